package stream

import (
	"bytes"

	"sipscope/decode/frame"
	"sipscope/decode/sip"
)

// state says what the next byte of a direction belongs to.
type state uint8

const (
	boundary state = iota // a message, or CRLFs before one
	search                // nobody knows: a start line must be found
	inHead
	inBody
)

// end says how final a run of the framer is.
type end uint8

const (
	more   end = iota // more bytes may come
	settle            // what waits for a decision is decided
	closed            // the connection has ended: what has its head is a message
	missed            // the next bytes are missing: likewise, and it is truncated
	cut               // the snaplen took the next bytes: what has a header line is a truncated message
)

// piece is where bytes lie in the capture, and when they were captured.
type piece struct {
	frame.Piece
	time int64
	done uint64 // the frame that completed the bytes: Seq, or a later one when they were made of several
}

// framer cuts a direction's bytes into messages. What waits for more bytes is in buf.
type framer struct {
	buf    []byte  // begins at a start line in inHead and inBody
	pieces []piece // of buf

	state    state
	confirm  bool // a start line counts only with a header line behind it: nobody knows that a message begins here
	afterGap bool
	sip      bool // a message was seen
	pending  bool // buf begins with a message that is whole unless later bytes tell otherwise

	edge    bool  // in search: buf begins at the beginning of a line
	scanned int   // bytes from the message's start, or buf's, in which what is looked for is not
	head    int   // of the message: start line to empty line
	length  int64 // Content-Length, -1 when later bytes must tell where the body ends
	cand    int   // where another message seems to begin within the body, 0 for nowhere

	skipped uint64 // since the last message
	barren  int    // bytes searched in vain since the last message
}

// work frames the bytes at hand: those of buf, or those of a segment when nothing waits.
type work struct {
	a      *Assembler
	f      *flow
	b      []byte
	pieces []piece
	at     int // next byte; where the message begins
}

// run emits what is certain.
func (w *work) run(e end) {
	for w.at < len(w.b) {
		goOn := false
		switch w.f.state {
		case boundary:
			goOn = w.start(e)
		case search:
			goOn = w.search()
		case inHead:
			goOn = w.header(e)
		case inBody:
			goOn = w.body(e)
		}
		if !goOn {
			return
		}
	}
}

// start looks for a start line right here.
func (w *work) start(e end) bool {
	w.at += sip.SkipCRLF(w.b[w.at:])
	b := w.b[w.at:]
	if len(b) == 0 {
		return false
	}
	if b[0] == hepMagic[0] {
		if goOn, is := w.hep(b, e); is {
			return goOn
		}
	}
	m := sip.StartLine(b)
	if m == sip.Matched && w.f.confirm {
		m = lineBehind(b, false)
		if !knownStart(b) {
			m = sip.NoMatch // the search is stricter with such
		}
	}
	if m == sip.NoMatch && e == more {
		if goOn, is := w.wrapped(b); is { // in a stream that is not SIP by itself
			return goOn
		}
	}
	switch {
	case m == sip.Matched:
		w.begin()
	case m == sip.NoMatch || e >= closed:
		w.lost()
	default:
		return false
	}
	return true
}

// hep takes a HEP message. It reports whether b begins with one, or may, and whether the framer is to go on.
func (w *work) hep(b []byte, e end) (goOn, is bool) {
	switch n, m := hepExtent(b); {
	case m == sip.Matched:
		w.emit(n, false)
		return true, true
	case m == sip.NeedMore && e < closed:
		return false, true
	case m == sip.NeedMore && n > 0:
		w.skip(len(b)) // its rest is missing, and what is there names no place
		w.lost()
		return false, true
	}
	return false, false
}

// begin says that a message begins at w.at.
func (w *work) begin() {
	f := &w.f.framer
	f.state, f.scanned, f.cand, f.pending, f.confirm = inHead, 0, 0, false, false
}

// lost says that w.at is no place where a message begins.
func (w *work) lost() {
	f := &w.f.framer
	f.state, f.scanned, f.pending, f.edge = search, 0, false, false
}

// search looks for a start line further on.
func (w *work) search() bool {
	f := &w.f.framer
	b := w.b[w.at:]
	r := region{b: b, edge: f.edge}
	if i := findHEP(b); i >= 0 {
		w.skip(i)
		f.state = boundary
		return true
	}
	found := r.find(f.scanned, len(b), false)
	hold, ws := w.foundWS(b, &found)
	if ws {
		return false
	}
	keep := found.at
	switch found.match {
	case sip.Matched:
		w.skip(keep)
		w.begin()
		return true
	case sip.NeedMore:
		keep = min(hold, tail(b, 0, found.at))
		f.scanned = found.at - keep
	case sip.NoMatch:
		keep = min(hold, tail(b, 0, len(b)))
		f.scanned = max(0, len(b)-keep-len(version)+1)
	}
	if keep > 0 {
		f.edge = control(b[keep-1])
	}
	w.skip(keep)
	return false
}

// skip passes over bytes that belong to no message.
func (w *work) skip(n int) {
	w.at += n
	w.f.skipped += uint64(n) //nolint:gosec // not negative
	w.f.barren += n
	if w.f.sip {
		w.a.Counters.Skipped += uint64(n) //nolint:gosec // not negative
	}
}

// header looks for the end of the head.
func (w *work) header(e end) bool {
	f := &w.f.framer
	b := w.b[w.at:]
	head, length, st := sip.ExtentFrom(b, f.scanned)
	if st == sip.HeadComplete && head <= w.a.limits.Head {
		f.state, f.head, f.length, f.scanned = inBody, head, length, head
		if length < 0 && len(contentType(b[:head])) == 0 {
			f.length = 0
		}
		return w.body(e)
	}
	f.scanned = len(b)
	switch {
	case st == sip.HeadComplete || len(b) > w.a.limits.Head:
		w.a.Counters.Heads++
		w.lost()
		w.skip(1 + max(0, bytes.IndexByte(b[:w.a.limits.Head], '\n')))
		return true
	case e == cut && bytes.Count(b, []byte("\n")) >= 2:
		w.emit(len(b), true)
	case e >= closed:
		w.a.Counters.Heads++
		w.skip(len(b))
		w.lost()
	}
	return false
}

// body looks for the end of the body. It reports whether there was one.
func (w *work) body(e end) bool {
	f := &w.f.framer
	b := w.b[w.at:]
	size := f.head
	stated := f.length >= 0 && f.length <= int64(w.a.limits.Message-f.head)
	if stated {
		size += int(f.length)
	} else {
		size = max(size, w.a.limits.Message)
	}
	if size == f.head { // no body: the usual case
		return w.emit(size, false)
	}
	undecided := w.seek(b, size, stated)
	switch {
	case f.cand > 0 && (!stated || splits(contentType(b[:f.head]))):
		return w.emit(f.cand, false) // Content-Length claims a part of the next message
	case len(b) >= size && !stated:
		w.a.Counters.Oversize++
		w.emit(size, true)
		w.lost()
		return true
	case len(b) >= size:
		return w.whole(b, size, undecided, e)
	}
	f.pending = f.length < 0
	return w.part(len(b), e)
}

// part decides on a message of which size bytes are there, and not all.
func (w *work) part(size int, e end) bool {
	f := &w.f.framer
	switch {
	case f.cand > 0 && e >= closed:
		return w.emit(f.cand, false)
	case e >= closed:
		return w.emit(size, f.length >= 0 || e > closed)
	case e == settle && f.pending:
		return w.emit(size, false)
	default:
		return false
	}
}

// seek looks for the start of another message in a body that is said to end at size. undecided reports that one may
// begin there, but its first lines are not all there.
func (w *work) seek(b []byte, size int, stated bool) (undecided bool) {
	f := &w.f.framer
	if f.cand > 0 || f.scanned >= size {
		return false
	}
	to := min(len(b), size) - len(version) + 1 // a version across the end is not there yet, or is straddle's
	from := max(f.head, f.scanned)
	r := region{b: b, lo: f.head, edge: true}
	found := r.find(from, to, true)
	switch found.match {
	case sip.Matched:
		if !stated || !trusted(contentType(b[:f.head])) {
			f.cand = found.at
		}
		f.scanned = size
	case sip.NeedMore:
		f.scanned = found.at
		return !trusted(contentType(b[:f.head]))
	case sip.NoMatch:
		f.scanned = max(f.head, to)
	}
	return false
}

// whole decides on a message of which as many bytes are there as it states.
func (w *work) whole(b []byte, size int, undecided bool, e end) bool {
	f := &w.f.framer
	if f.cand == 0 && !undecided {
		line := f.head + 1 + bytes.LastIndexByte(b[f.head:size], '\n')
		if !beginsStart(b[line:size]) || trusted(contentType(b[:f.head])) {
			return w.emit(size, false)
		}
		return w.straddle(b, line, size, e)
	}
	switch next := sip.StartLine(b[size+sip.SkipCRLF(b[size:]):]); {
	case next == sip.NeedMore && e == more:
		f.pending = true
		return false
	case next == sip.NoMatch && f.cand > 0:
		return w.emit(f.cand, false)
	case next == sip.NoMatch && undecided && e == more && w.soon(b, size):
		f.pending = true
		return false
	default:
		return w.emit(size, false)
	}
}

// soon reports whether a start line that was found near the end of a body may still prove to be one.
func (w *work) soon(b []byte, size int) bool { return len(b) < size+maxReason+2*maxName }

// straddle decides on a body whose last line looks like the beginning of a start line: Content-Length may claim the
// first bytes of the next message.
func (w *work) straddle(b []byte, line, size int, e end) bool {
	next := b[size+sip.SkipCRLF(b[size:]):]
	m := sip.StartLine(b[line:])
	if m == sip.Matched {
		m = lineBehind(b[line:], true)
	}
	switch {
	case sip.StartLine(next) == sip.Matched && knownStart(next):
		return w.emit(size, false)
	case m == sip.Matched:
		return w.emit(line, false)
	case m == sip.NeedMore && e == more:
		w.f.pending = true
		return false
	default:
		return w.emit(size, false)
	}
}

// knownStart reports whether a start line is a status line or that of a known method.
func knownStart(b []byte) bool {
	blank := bytes.IndexByte(b, ' ')
	return blank > 0 && (b[min(3, len(b)-1)] == '/' || sip.LookupMethod(b[:blank]) != sip.MethodUnknown)
}

// contentType gives the media type that a head states, parameters included; nothing when it states none.
func contentType(head []byte) []byte {
	for {
		nl := bytes.IndexByte(head, '\n')
		if nl < 0 {
			return nil
		}
		head = head[nl+1:]
		if len(head) == 0 || head[0]|0x20 != 'c' {
			continue
		}
		colon := bytes.IndexByte(head[:min(len(head), maxName)], ':')
		if colon < 0 || sip.LookupHeader(bytes.TrimRight(head[:colon], " \t")) != sip.HeaderContentType {
			continue
		}
		value := bytes.TrimLeft(head[colon+1:], " \t\r\n") // a fold may stand before it
		if nl = bytes.IndexByte(value, '\n'); nl >= 0 {
			value = value[:nl]
		}
		return bytes.TrimRight(value, " \t\r")
	}
}

// trusted reports whether a body of a type is made of SIP: what looks like another message in it says nothing.
func trusted(media []byte) bool { return hasFold(media, "message/") }

// splits reports whether a body of a type never holds SIP: what looks like another message in it is one, whatever
// Content-Length says. Text, multipart and unknown bodies may quote SIP; for them the bytes behind the body decide.
func splits(media []byte) bool { return hasFold(media, "application/") }

func hasFold(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && bytes.EqualFold(b[:len(prefix)], []byte(prefix))
}

// emit gives the first size bytes to the receiver as a message. It returns true.
func (w *work) emit(size int, truncated bool) bool {
	f := &w.f.framer
	a := w.a
	out := &a.framed
	out.HEP = f.state == boundary // of SIP the head has begun
	out.Src, out.Dst, out.Layer = w.f.src, w.f.dst, w.f.layer
	out.Text = w.b[w.at : w.at+size]
	out.Pieces, out.Frame, out.Time = a.describe(w.pieces, w.at, size)
	out.Skipped, out.AfterGap, out.Truncated = f.skipped, f.afterGap, truncated
	w.f.tellGap(a)
	a.Counters.Messages++
	a.emitted++
	w.at += size
	f.state, f.scanned, f.cand, f.pending = boundary, 0, 0, false
	f.skipped, f.barren, f.afterGap, f.sip = 0, 0, false, true
	a.out.Framed(out)
	return true
}

// describe gives the pieces of size bytes from off on, and the frame and time of the last that came.
func (a *Assembler) describe(pieces []piece, off, size int) (out []frame.Piece, seq uint64, now int64) {
	a.scratch = a.scratch[:0]
	for i := range pieces {
		p := pieces[i].Piece
		n := int(p.Len)
		if off >= n {
			off -= n
			continue
		}
		if size <= 0 {
			break
		}
		n = min(n-off, size)
		p.Loc.Off += int64(off)
		p.Len = uint32(n) //nolint:gosec // at most p.Len
		if pieces[i].done >= seq {
			seq, now = pieces[i].done, pieces[i].time
		}
		a.scratch = append(a.scratch, p)
		size -= n
		off = 0
	}
	return a.scratch, seq, now
}
