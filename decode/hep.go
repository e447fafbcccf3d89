package decode

import (
	"sipscope/capture/hep"
	"sipscope/decode/frame"
	"sipscope/decode/sip"
)

// What a capture agent sends to a collector is a message with the addresses and the time that it had where the agent saw
// it: those count, not the agent's and the collector's.

// maxInflated bounds a compressed payload: no SIP message in a datagram is larger.
const maxInflated = 64 << 10

// maxSkew is how far an agent's clock may be from the capture's, in nanoseconds, for its times to be believed. Beyond, the
// HEP was replayed or the clock is wrong, and transactions would time out at once.
const maxSkew = 10_000_000_000

// mayBeHEP is a quick look at the first byte: version 3 begins with "HEP3", versions 1 and 2 with their number.
func mayBeHEP(b []byte) bool { return len(b) > 0 && (b[0] == 'H' || b[0] == 1 || b[0] == 2) }

// envelope is HEP and the message in it.
type envelope struct {
	hep  hep.Packet
	zlib hep.Inflater
	text []byte // from the start line on
	off  int    // of text, or of the compressed payload, in the HEP message
	size int    // of what lies there
}

// open takes HEP apart and reports whether SIP is in it. is reports whether it is HEP at all.
func (e *envelope) open(b []byte, scratch []byte) (is, found bool) {
	if !mayBeHEP(b) || !hep.Is(b) || hep.Decode(b, &e.hep) != nil {
		return false, false
	}
	e.text, e.off, e.size = e.hep.Payload, e.hep.PayloadOff, len(e.hep.Payload)
	if e.hep.Compressed {
		text, err := e.zlib.Inflate(scratch[:0], e.hep.Payload, maxInflated)
		if err != nil {
			return true, false
		}
		e.text = text[sip.SkipCRLF(text):]
	} else {
		skip := sip.SkipCRLF(e.text)
		e.text, e.off, e.size = e.text[skip:], e.off+skip, e.size-skip
	}
	return true, sip.StartLine(e.text) == sip.Matched
}

// seal gives a message what the agent said of it. m has the time and the addresses of the packet that carried the HEP.
func (e *envelope) seal(m *Message, h hasher) {
	p := &e.hep
	m.Src, m.Dst = frame.FromAddrPort(p.Src), frame.FromAddrPort(p.Dst)
	if d := p.Time - m.Time; p.Time != 0 && d > -maxSkew && d < maxSkew {
		m.Time = p.Time
	}
	m.Transport = UDP
	switch p.Proto {
	case 6:
		m.Transport = TCP
	case 132:
		m.Transport = SCTP
	}
	agent := uint64(p.CaptureID)
	for _, c := range p.Node {
		agent = agent*31 + uint64(c)
	}
	m.IPID, m.HasIPID = uint16(agent^agent>>16^agent>>32), true //nolint:gosec // folded
	m.Flags |= Encapsulated
	m.related = h.bytes(p.CorrelationID)
}

// encapsulated looks for a message in the HEP of a datagram. It reports whether that is HEP.
func (d *Decoder) encapsulated(w *Work, i int, b []byte) bool {
	p, u := &w.Batch.Packets[i], &w.units[i]
	e := &w.envelope
	is, found := e.open(b, w.inflated)
	if !found {
		return is
	}
	if e.hep.Compressed {
		from := len(w.text)
		w.text = append(w.text, e.text...) // the scratch is for the next one
		w.inflated, e.text = e.text[:0], w.text[from:len(w.text):len(w.text)]
	}
	index, m := w.slot()
	m.Seq, m.Time, m.TTL, m.Path = p.Seq, p.Time, u.frame.TTL, u.frame.Path
	e.seal(m, d.hash)
	if !d.parse(m, e.text) {
		w.messages = w.messages[:index]
		return true
	}
	u.message, u.outcome = index, OutcomeSIP
	if u.frame.Cut {
		m.Flags |= Truncated
	}
	loc := p.Loc
	loc.Off += int64(u.frame.PayloadOff) + int64(e.off)
	m.Pieces = w.addPiece(Piece{Seq: p.Seq, Loc: loc, Len: uint32(e.size)}) //nolint:gosec // within a frame
	return true
}

// joined looks for a message in HEP that came out of fragments or a stream. m is to be given the rest of what a message
// has.
func (s *Streams) joined(b []byte, pieces []Piece, seq uint64, now int64) (m *Message) {
	e := &s.w.envelope
	if _, found := e.open(b, s.w.inflated); !found {
		return nil
	}
	if e.hep.Compressed {
		s.w.inflated = e.text[:0]
	}
	m = s.message(e.text, cutPieces(pieces, e.off, e.size))
	m.Seq, m.Time = seq, now
	e.seal(m, s.hash)
	return m
}

// cutPieces gives the pieces of size bytes from off on. It changes those that it is given.
func cutPieces(pieces []Piece, off, size int) []Piece {
	for len(pieces) > 0 && off >= int(pieces[0].Len) {
		off -= int(pieces[0].Len)
		pieces = pieces[1:]
	}
	if len(pieces) == 0 {
		return nil
	}
	pieces[0].Loc.Off += int64(off)
	pieces[0].Len -= uint32(off) //nolint:gosec // below the piece's length
	for i := range pieces {
		if n := int(pieces[i].Len); n >= size {
			pieces[i].Len = uint32(size) //nolint:gosec // at most n
			return pieces[:i+1]
		}
		size -= int(pieces[i].Len)
	}
	return pieces
}
