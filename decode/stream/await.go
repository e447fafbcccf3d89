package stream

// A conduit may wait for what comes from elsewhere, such as the keys of a TLS connection that are logged after it has
// ended. Then what the capture says of the direction meanwhile waits as well, in order: an ending is a mark in the bytes
// that the conduit has not taken, and what comes behind it is not offered before the conduit was told of the ending.
//
//	bytes not taken | mark: 700 bytes missing | bytes behind the hole | mark: FIN

// Patient is a Conduit that may wait beyond the end of a direction.
type Patient interface {
	Conduit
	// Waits reports whether bytes of the direction that it did not take wait for something that may come at any time,
	// Assembler.Retry being called then. It is asked before End, which is called only when it says no or when there is no
	// room to wait: Limits.Ended.
	Waits(p *Pipe) bool
	// Behind says that n bytes came behind an ending that it is not told of yet. It is offered them later.
	Behind(p *Pipe, n int)
}

// mark is an ending of which a conduit is not told yet.
type mark struct {
	at      int // how many of the bytes not taken are before it
	why     Ending
	missing int // as Conduit.End wants it
	gap     Gap // to be told with it; without Src for none
}

// maxMarked bounds the bytes of a direction that wait with a mark among them: twice what a conduit of TLS waits for.
const maxMarked = 256 << 10

// defers puts an ending off if the conduit of f waits, and reports whether it did.
func (a *Assembler) defers(f *flow, why Ending, missing int) bool {
	t := f.tube
	if len(t.marks) == 0 && !a.patient(f) {
		return false
	}
	t.marks = append(t.marks, mark{at: len(f.buf), why: why, missing: missing})
	return true
}

// patient asks the conduit of f whether it waits.
func (a *Assembler) patient(f *flow) bool {
	c, ok := f.tube.c.(Patient)
	if !ok || a.limits.Ended == 0 || len(f.buf) == 0 {
		return false
	}
	p := &f.tube.pipe
	return c.Waits(p)
}

// behind takes bytes that come behind a mark.
func (a *Assembler) behind(f *flow, b []byte, pieces []piece) Fate {
	fr := &f.framer
	if !f.tube.closed { // what comes after the end is not of this connection
		fr.buf = append(fr.buf, b...)
		fr.pieces = append(fr.pieces, pieces...)
		if c, ok := f.tube.c.(Patient); ok {
			c.Behind(&f.tube.pipe, len(b))
		}
	}
	if len(fr.buf) > maxMarked || len(fr.pieces) > maxPieces {
		a.Counters.Unawaited++
		a.settle(f)
	}
	return Sealed
}

// resume offers the bytes before marks again, and tells the conduit of those endings that it need not wait for any more.
func (a *Assembler) resume(f *flow) {
	t := f.tube
	for len(t.marks) > 0 {
		before := len(f.buf)
		a.offer(f)
		switch {
		case len(t.marks) == 0: // the other direction has had its turn in between
			return
		case t.marks[0].at > 0 && a.patient(f):
			return
		case len(f.buf) < before && t.marks[0].at > 0:
			continue // it may take more now
		}
		a.pass(f)
	}
}

// offer offers the bytes before the first mark.
func (a *Assembler) offer(f *flow) {
	t, fr := f.tube, &f.framer
	p := &t.pipe
	p.in, p.fate, p.retry = fr.pieces, Empty, false
	end := t.marks[0].at
	n := min(max(t.c.Convey(p, fr.buf[:end:end]), 0), end)
	p.in = nil
	a.consume(f, n)
	if p.retry {
		a.offerPeer(f)
	}
}

// pass tells the conduit of f of the ending at the first mark, and offers what is behind the last one.
func (a *Assembler) pass(f *flow) {
	t := f.tube
	m := t.marks[0]
	t.marks = t.marks[1:]
	a.tell(f, m)
	if m.gap.Src != (Gap{}).Src {
		a.missed(t.inner, &m.gap)
	}
	if f.tube == t && len(t.marks) == 0 {
		t.marks = nil
		if len(f.buf) > 0 && !t.closed {
			a.convey(f, nil, nil)
		}
	}
}

// tell tells the conduit of f of an ending, and gives up the bytes before it.
func (a *Assembler) tell(f *flow, m mark) {
	t, fr := f.tube, &f.framer
	p := &t.pipe
	p.in, p.fate, p.retry = fr.pieces, Empty, false
	t.c.End(p, fr.buf[:m.at:m.at], m.why, uint64(max(m.missing, 0)))
	p.in = nil
	a.consume(f, m.at)
	inner := t.inner
	if m.why == Closed {
		a.finish(inner, closed)
	} else {
		a.finish(inner, missed)
		inner.state, inner.confirm, inner.scanned = boundary, true, 0
	}
	a.settleTimer(inner)
	if p.retry {
		a.offerPeer(f)
	}
}

// consume gives up the first n bytes that wait.
func (a *Assembler) consume(f *flow, n int) {
	for i := range f.tube.marks {
		f.tube.marks[i].at -= n
	}
	if n > 0 || len(f.buf) == 0 {
		a.keepRest(f, &work{a: a, f: f, b: f.buf, pieces: f.pieces, at: n})
	}
}

// settle has the conduit of f wait no longer.
func (a *Assembler) settle(f *flow) {
	for f.tube != nil && len(f.tube.marks) > 0 {
		a.pass(f)
	}
}

// relieveEnded has the conduits that wait longest beyond an end wait no longer, until the limit is kept. Both
// directions of a connection go together.
func (a *Assembler) relieveEnded() {
	for f := a.timed; f != nil && a.marked > a.limits.Ended; {
		next := f.later
		if f.marked > 0 {
			a.Counters.Unawaited++
			for _, g := range [...]*flow{f, f.peer} {
				if g != nil {
					a.settle(g)
					a.settleTimer(g)
				}
			}
			next = a.timed // whatever was settled with it
		}
		f = next
	}
}
