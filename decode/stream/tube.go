package stream

import (
	"bytes"

	"sipscope/decode/sip"
)

// A tube is put between a direction and its framer. What comes out of the conduit goes to a flow of its own, which has no
// sequence numbers: its bytes come in order. Tubes stand behind each other, WebSocket in TLS in TCP.
//
//	segment ─▶ flow ─▶ conduit ─▶ Pipe ─▶ inner flow ─▶ framer, or the next conduit

// tube is a conduit on a direction.
type tube struct {
	c      Conduit
	pipe   Pipe
	inner  *flow // takes what the conduit makes
	shared bool  // the conduit is of Secure and serves both directions
	first  bool  // of the two directions it is the one that began
	size   int   // of c, as charged
	since  int64 // when what waits was said to be late
	closed bool  // the direction has ended
	marks  []mark
}

// attach puts a conduit on a direction.
func (a *Assembler) attach(f *flow, c Conduit, l Layer) *tube {
	inner := &flow{src: f.src, dst: f.dst, last: f.last, known: true, layer: f.layer | l}
	inner.confirm, inner.afterGap = f.confirm, f.afterGap
	t := &tube{c: c, inner: inner}
	t.pipe = Pipe{a: a, f: f}
	f.tube = t
	if p := f.peer; p != nil && p.tube != nil && p.tube.inner.layer == inner.layer {
		inner.peer, p.tube.inner.peer = p.tube.inner, inner
	}
	return t
}

// detach takes the conduit off a direction whose end it was told of, and gives up what is behind it.
func (a *Assembler) detach(f *flow) {
	a.settle(f)
	t := f.tube
	if t == nil {
		return
	}
	a.detach(t.inner)
	a.finish(t.inner, closed)
	a.settleTimer(t.inner)
	a.bytes -= t.inner.charged // the memory that it kept to use again
	a.tubed -= t.size
	t.inner.charged = 0
	if p := t.inner.peer; p != nil {
		p.peer = nil
	}
	f.tube = nil
}

// follow gives a direction the conduit of the other one.
func (a *Assembler) follow(f *flow) {
	if p := f.peer; p != nil && p.tube != nil && p.tube.shared && f.tube == nil && !f.sip {
		a.attach(f, p.tube.c, LayerTLS).shared = true
		f.state, f.scanned = boundary, 0
	}
}

// wrapped looks for something that SIP is wrapped in, at b, where a message is expected. It reports whether there is, or
// may be, and whether the framer is to go on.
func (w *work) wrapped(b []byte) (goOn, is bool) {
	if m := w.secured(b); m != sip.NoMatch {
		return false, true
	}
	if w.f.layer&LayerWS != 0 {
		return false, false
	}
	n, ws, m := upgrade(b)
	switch {
	case m == sip.NeedMore:
		return false, true
	case m == sip.Matched && !ws:
		w.skip(n)
		return true, true
	case m == sip.Matched:
		w.skip(n)
	case w.a.startsWS(b) == sip.NeedMore:
		return false, true
	case w.a.startsWS(b) == sip.NoMatch:
		return false, false
	}
	w.webSocket()
	return false, true
}

// webSocket says that WebSocket frames begin at w.at.
func (w *work) webSocket() {
	t := w.a.attach(w.f, &webSocket{a: w.a}, LayerWS)
	t.inner.whole = true
	w.f.state, w.f.scanned, w.f.pending = boundary, 0, false
}

// foundWS looks for WebSocket out of sync, before what else was found: a 101, or a frame with SIP in it. It reports whether
// there is, and else what of b must be kept, since it may begin there.
func (w *work) foundWS(b []byte, found *finding) (hold int, is bool) {
	hold = len(b)
	if w.f.layer&LayerWS != 0 {
		return hold, false
	}
	if found.match == sip.Matched {
		b = b[:found.at]
	}
	for _, head := range [...]string{switching, getting} {
		end, from := upgradeIn(b, head)
		if end > 0 {
			w.skip(end)
			w.webSocket()
			return 0, true
		}
		hold = min(hold, from)
	}
	at, m := w.firstFrame(b)
	if m == sip.Matched {
		w.skip(at)
		w.webSocket()
		return 0, true
	}
	return min(hold, at), false
}

// upgradeIn looks for an upgrade to WebSocket whose head begins so, behind other HTTP: a proxy's CONNECT, pages. end is
// where it ends, 0 for none; from there on b may begin one that is not all there.
func upgradeIn(b []byte, begin string) (end, from int) {
	from = len(b)
	for at := 0; ; at++ {
		i := bytes.Index(b[at:], []byte(begin))
		if i < 0 {
			return 0, from
		}
		if at += i; begin == switching && at > 0 && !control(b[at-1]) {
			continue
		}
		switch n, ws, m := upgrade(b[at:]); {
		case m == sip.Matched && ws:
			return at + n, from
		case m == sip.NeedMore:
			from = min(from, at)
		}
	}
}

// firstFrame is findWS for what may be anything: it looks only for whole messages, which nearly all are.
func (w *work) firstFrame(b []byte) (at int, m sip.Match) {
	all := w.b[w.at:]
	at, m = len(all), sip.NoMatch
	for _, first := range [...]byte{0x80 | wsText, 0x80 | wsBinary, wsPacked} {
		for from := 0; ; from++ {
			i := bytes.IndexByte(b[from:], first)
			if from += i; i < 0 || from >= at {
				break
			}
			if n := w.a.startsWS(all[from:]); n != sip.NoMatch {
				at, m = from, n
				break
			}
		}
	}
	return at, m
}

// secured looks for a TLS record at the beginning of a direction.
func (w *work) secured(b []byte) sip.Match {
	f, a := w.f, w.a
	if a.open == nil || f.layer != 0 || f.sip || f.skipped > 0 || f.barren > 0 || b[0] < 20 || b[0] > 24 {
		return sip.NoMatch
	}
	const head = 5 // type, version, length
	switch {
	case len(b) > 1 && b[1] != 3 || len(b) > 2 && b[2] > 4:
		return sip.NoMatch
	case len(b) < head:
		return sip.NeedMore
	}
	c := a.open(&Segment{Src: f.src, Dst: f.dst, Payload: b, Pieces: nil, Frame: a.frame, Time: f.last})
	if c == nil {
		return sip.NoMatch
	}
	t := a.attach(f, c, LayerTLS)
	t.shared, t.first = true, true
	if f.peer != nil {
		a.detach(f.peer) // of a connection before, on the same addresses
	}
	return sip.Matched
}

// convey gives a conduit what waits and what came.
func (a *Assembler) convey(f *flow, b []byte, pieces []piece) Fate {
	fr, t := &f.framer, f.tube
	if len(t.marks) > 0 {
		if len(b) > 0 {
			return a.behind(f, b, pieces)
		}
		a.resume(f)
		return Sealed
	}
	if len(fr.buf) > 0 {
		fr.buf = append(fr.buf, b...)
		fr.pieces = append(fr.pieces, pieces...)
		b, pieces = fr.buf, fr.pieces
	}
	w := work{a: a, f: f, b: b, pieces: pieces}
	p := &t.pipe
	before := a.emitted
	if t.closed { // what comes after the end is not of this connection
		w.at = len(b)
	} else {
		p.in, p.fate, p.retry = pieces, Empty, false
		w.at = min(max(t.c.Convey(p, b), 0), len(b))
		p.in = nil
	}
	a.keepRest(f, &w)
	if len(fr.buf) > a.limits.Message+maxOverhead {
		if a.late(f); len(fr.buf) > a.limits.Message {
			a.Counters.Oversize++
			a.end(f, Missing, 0)
			a.settle(f)
		}
	}
	if p.retry {
		a.offerPeer(f)
	}
	if !t.shared && t.inner.ignored {
		a.detach(f)
		a.release(fr)
		a.dropRecent(f)
		f.forget()
		f.ignored = true
	}
	switch {
	case a.emitted > before:
		return Completed
	case p.fate == Sealed:
		return Sealed
	case len(fr.buf) > 0 || t.waiting():
		return Partial
	case p.fate != Empty:
		return p.fate
	}
	return NotSIP
}

// maxOverhead is what a conduit may keep beyond a message: heads of frames and records.
const maxOverhead = 64 << 10

// waiting reports whether something waits behind the conduit.
func (t *tube) waiting() bool {
	i := t.inner
	return len(i.buf) > 0 && i.state != search || i.tube != nil && i.tube.waiting()
}

// offerPeer offers the other direction's bytes again.
func (a *Assembler) offerPeer(f *flow) {
	f.tube.pipe.retry = false
	p := f.peer
	if p == nil || p.tube == nil || len(p.buf) == 0 {
		return
	}
	a.convey(p, nil, nil)
	a.settleTimer(p)
}

// pour takes what the conduit of f made.
func (a *Assembler) pour(f *flow, b []byte, pieces []piece) {
	inner := f.tube.inner
	if len(b) == 0 || inner.ignored {
		return
	}
	inner.last = f.last
	if p := inner.peer; p != nil && p.pending {
		a.finish(p, settle) // who answers thinks that the request is whole
		a.settleTimer(p)
	}
	a.take(inner, &segment{data: b, pieces: pieces})
	a.settleTimer(inner)
}

// late tells a conduit that what it did not take has waited for long.
func (a *Assembler) late(f *flow) {
	fr, t := &f.framer, f.tube
	p := &t.pipe
	p.in, p.fate, p.retry = fr.pieces, Empty, false
	end := len(fr.buf)
	if len(t.marks) > 0 {
		end = t.marks[0].at
	}
	n := min(max(t.c.End(p, fr.buf[:end:end], Late, 0), 0), end)
	p.in = nil
	a.consume(f, n)
	t.since = f.last
	a.settleTimer(t.inner)
	if p.retry {
		a.offerPeer(f)
	}
	a.resume(f)
}

// end tells a conduit that what waits will not be followed by what it waits for.
func (a *Assembler) end(f *flow, why Ending, missing int) {
	t := f.tube
	if t.closed {
		return
	}
	t.closed = why == Closed
	if !a.defers(f, why, missing) {
		a.tell(f, mark{at: len(f.buf), why: why, missing: missing})
	}
}

// finishTube is finish for a direction that has a conduit.
func (a *Assembler) finishTube(f *flow, e end) {
	switch e {
	case more:
	case settle:
		a.finish(f.tube.inner, settle)
		a.settleTimer(f.tube.inner)
	case closed:
		a.end(f, Closed, 0)
	case missed, cut:
		a.end(f, Missing, 0)
	}
}

// spread appends to dst the pieces of n bytes that were made of size bytes from offset off on of what in describes. Each
// frame that has a part of those has one of them, too, as far as there are enough.
func spread(dst, in []piece, off, size, n int) []piece {
	from := len(dst)
	var done uint64
	var now int64
	left := int64(0)
	for i := range in {
		p := &in[i]
		have := int(p.Len)
		if off >= have {
			off -= have
			continue
		}
		if size <= 0 {
			break
		}
		have = min(have-off, size)
		size, off = size-have, 0
		if p.done >= done {
			done, now = p.done, p.time
		}
		m := *p
		m.Loc.File, m.Loc.Off, m.Len = MadeFile, 0, uint32(have) //nolint:gosec // at most p.Len
		dst = append(dst, m)
		left += int64(have)
	}
	rest := int64(n)
	for i := from; i < len(dst); i++ {
		p := &dst[i]
		others := int64(len(dst) - i - 1)
		share := min(max(rest*int64(p.Len)/left, 1), max(rest-others, 0), rest)
		if others == 0 {
			share = rest
		}
		left -= int64(p.Len)
		rest -= share
		p.Len, p.done, p.time = uint32(share), done, now //nolint:gosec // at most n
	}
	return dst
}
