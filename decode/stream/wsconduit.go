package stream

import (
	"bytes"

	"sipscope/decode/sip"
)

// webSocket is the Conduit of one direction of a WebSocket connection. The directions do not depend on each other: the
// client masks, whoever sent the frame says how it is compressed.
type webSocket struct {
	a       *Assembler
	beyond  uint64 // bytes to come of a frame whose rest is not in the capture
	seeking bool   // nobody knows where the next frame begins
	open    bool   // a message has begun, and goes on in other frames
	packed  bool   // it is compressed
	zip     *inflater
}

// Size implements Conduit.
func (s *webSocket) Size() int {
	const self = 512 // with the tube and the flow behind it
	return self + s.zip.size()
}

// Convey implements Conduit.
func (s *webSocket) Convey(p *Pipe, b []byte) (taken int) {
	if n := min(s.beyond, uint64(len(b))); n > 0 {
		s.beyond -= n
		taken = int(n) //nolint:gosec // at most len(b)
	}
	for taken < len(b) {
		n, goOn := s.next(p, b, taken)
		taken += n
		if !goOn {
			break
		}
	}
	return taken
}

// next takes what is at b[at:]: a frame, HTTP, or what belongs to neither.
func (s *webSocket) next(p *Pipe, b []byte, at int) (taken int, goOn bool) {
	rest := b[at:]
	if s.seeking {
		n, m := s.a.findWS(rest)
		s.skip(p, n)
		s.seeking = m != sip.Matched
		return n, m == sip.Matched
	}
	h, m := parseWS(rest, s.a.limits.Message)
	switch {
	case m == sip.NeedMore:
		return 0, false
	case m == sip.NoMatch:
		return s.strange(p, rest)
	case len(rest)-h.size < h.length:
		return 0, false
	}
	s.frame(p, b, at, &h)
	return h.size + h.length, true
}

// strange takes what is no frame: HTTP, where the server refused and the client asks again.
func (s *webSocket) strange(p *Pipe, rest []byte) (taken int, goOn bool) {
	n, _, m := upgrade(rest)
	switch m {
	case sip.Matched:
		s.open = false
		return n, true
	case sip.NeedMore:
		return 0, false
	case sip.NoMatch:
	}
	s.lose(p)
	return 0, true
}

// lose says that nobody knows where the next frame begins.
func (s *webSocket) lose(p *Pipe) {
	s.seeking = true
	s.abort(p)
}

// abort ends a message of which frames are missing.
func (s *webSocket) abort(p *Pipe) {
	if s.open {
		s.open = false
		p.finishMessage(s.unpack(), true)
	}
	s.zip.lose()
}

// skip passes over bytes that belong to no frame.
func (s *webSocket) skip(p *Pipe, n int) {
	w := work{a: p.a, f: p.f.tube.inner}
	w.skip(n)
}

// frame takes a whole frame, which begins at b[at].
func (s *webSocket) frame(p *Pipe, b []byte, at int, h *wsHeader) {
	if h.control() {
		p.Idle()
		return
	}
	if h.opcode == wsContinuation && !s.open {
		s.skip(p, h.size+h.length) // of a message whose beginning nobody has seen
		return
	}
	if h.opcode != wsContinuation {
		if s.open { // its end is missing
			p.finishMessage(s.unpack(), true)
		}
		s.open, s.packed = true, h.packed
	}
	s.payload(p, b, at, h, h.length)
	if h.fin {
		s.open = false
		p.finishMessage(s.unpack(), false)
	}
}

// payload gives the first n bytes of a frame's payload.
func (s *webSocket) payload(p *Pipe, b []byte, at int, h *wsHeader, n int) {
	from := at + h.size
	if !h.masked {
		p.Pass(b, from, n)
		return
	}
	s.a.plain = h.unmask(s.a.plain[:0], b[from:from+n])
	p.Write(s.a.plain, at, h.size+n)
}

// unpack is what makes the text of a message that is compressed; nil for one that is not.
func (s *webSocket) unpack() *inflater {
	if !s.packed {
		return nil
	}
	if s.zip == nil {
		s.zip = &inflater{}
	}
	return s.zip
}

// End implements Conduit.
func (s *webSocket) End(p *Pipe, rest []byte, why Ending, missing uint64) (taken int) {
	short := uint64(0) // bytes that a frame in rest lacks
	for at := 0; at < len(rest) && !s.seeking; {
		h, m := parseWS(rest[at:], s.a.limits.Message)
		if m != sip.Matched {
			break
		}
		n, lacks := s.cutFrame(p, rest, at, &h)
		if at += n; lacks > 0 {
			short = lacks
			break
		}
		at += s.resume(p, rest[at:])
	}
	switch {
	case why == Closed:
		s.abort(p)
	case len(rest) == 0 && why == Late:
	case len(rest) == 0 && s.beyond >= missing && missing > 0:
		s.beyond -= missing
	case short >= missing && missing > 0:
		s.abort(p)
		s.beyond = short - missing
	default:
		s.beyond = 0
		s.lose(p)
	}
	return len(rest)
}

// cutFrame takes a frame of which not all is there; lacks says how many bytes are missing. Where the SIP message in it is
// whole all the same, its length lies, and another frame may begin behind the message.
func (s *webSocket) cutFrame(p *Pipe, rest []byte, at int, h *wsHeader) (taken int, lacks uint64) {
	have := len(rest) - at - h.size
	if have >= h.length {
		s.frame(p, rest, at, h)
		return h.size + h.length, 0
	}
	lacks = uint64(h.length - have) //nolint:gosec // positive
	if h.control() || h.packed || h.opcode == wsContinuation && !s.open {
		return len(rest) - at, lacks
	}
	whole := 0
	if h.opcode != wsContinuation {
		s.a.plain = h.unmask(s.a.plain[:0], rest[at+h.size:])
		whole = wholeSIP(s.a.plain)
	}
	if whole > 0 {
		h.length, h.fin = whole, true
		s.frame(p, rest, at, h)
		if at += h.size + whole; at < len(rest) {
			return h.size + whole, 0
		}
		return h.size + whole, lacks
	}
	h.fin = false
	if h.opcode != wsContinuation && s.open {
		p.finishMessage(s.unpack(), true)
	}
	if h.opcode != wsContinuation {
		s.open, s.packed = true, false
	}
	s.payload(p, rest, at, h, have)
	return len(rest) - at, lacks
}

// resume looks for the next frame in bytes behind one whose length lies.
func (s *webSocket) resume(p *Pipe, rest []byte) int {
	n, _ := s.a.findWS(rest)
	s.skip(p, n)
	return n
}

// wholeSIP gives the length of the SIP message that b begins with, 0 when it is not all there or does not state a length.
func wholeSIP(b []byte) int {
	if sip.StartLine(b) != sip.Matched {
		return 0
	}
	head, length, st := sip.Extent(b)
	if st != sip.HeadComplete || length < 0 || length > int64(len(b)-head) {
		return 0
	}
	return head + int(length)
}

// gather takes a part of a message.
func (a *Assembler) gather(f *flow, b []byte, pieces []piece) {
	fr := &f.framer
	if len(fr.buf)+len(b) > a.limits.Message || len(fr.pieces) > maxPieces {
		if fr.state != search {
			a.Counters.Oversize++
			a.finishWhole(f, nil, true)
			fr.state = search // until the message ends
		}
		return
	}
	if fr.buf == nil {
		fr.buf = a.grab()
	}
	fr.buf = append(fr.buf, b...)
	fr.pieces = append(fr.pieces, pieces...)
}

// finishMessage ends a message. Its text is what was given since the last one, made by zip when that is not nil.
func (p *Pipe) finishMessage(zip *inflater, truncated bool) {
	inner := p.f.tube.inner
	if p.a.finishWhole(inner, zip, truncated) {
		p.Idle()
	}
	inner.state = boundary
	p.a.settleTimer(inner)
	inner.giveUp(p.a)
}

// finishWhole ends the message that a direction gathers. It reports whether that was a keep-alive (RFC 7118 6).
func (a *Assembler) finishWhole(f *flow, zip *inflater, truncated bool) (idle bool) {
	fr := &f.framer
	w := work{a: a, f: f, b: fr.buf, pieces: fr.pieces}
	if zip != nil {
		var ok bool
		if w.b, ok = zip.message(fr.buf, a.limits.Message); !ok {
			truncated = true
		}
		w.pieces = spread(nil, fr.pieces, 0, len(fr.buf), len(w.b))
	}
	w.at = sip.SkipCRLF(w.b)
	rest := w.b[w.at:]
	switch {
	case fr.state == search || len(w.b) == 0: // it was too large, or is empty
	case len(rest) == 0:
		idle = true
	case sip.StartLine(rest) == sip.Matched && (!truncated || bytes.Count(rest, []byte("\n")) >= 2):
		fr.state = inHead
		w.emit(len(rest), truncated)
	default:
		w.at = 0
		w.skip(len(w.b))
	}
	a.release(fr)
	return idle
}
