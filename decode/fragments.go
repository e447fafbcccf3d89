package decode

import (
	"sipscope/decode/frame"
	"sipscope/decode/sip"
)

// fragment gives a fragment to the defragmenter, and takes what it completes. That may be a tunnel whose inner packet is
// a fragment again, and so on: each time at least one tunnel deeper, of which frame follows MaxDepth.
func (s *Streams) fragment(i int) {
	p, u := &s.w.Batch.Packets[i], &s.w.units[i]
	loc := p.Loc
	loc.Off += int64(u.frame.PayloadOff)
	n := uint32(len(u.frame.Payload)) //nolint:gosec // within a frame
	u.outcome = OutcomeHeld
	d := s.fragments.Add(&u.frame, Piece{Seq: p.Seq, Loc: loc, Len: n}, p.Time)
	for d != nil && d.Result == frame.Fragment {
		d = s.fragments.AddDatagram(d, p.Time)
	}
	if d == nil {
		return
	}
	u.outcome = OutcomeOther
	switch d.Result {
	case frame.UDP:
		switch {
		case carriesSCTP(&d.Packet):
			s.addSCTP(&d.Packet, d.Pieces, p.Seq, p.Time, u)
		case s.media(d, p.Seq, p.Time): // what it is, its stream tells
		case s.whole(d, p.Seq, p.Time):
			u.outcome = OutcomeSIP
		}
	case frame.TCP:
		s.addSegment(&d.Packet, d.Pieces, p.Seq, p.Time, u)
	case frame.SCTP:
		s.addSCTP(&d.Packet, d.Pieces, p.Seq, p.Time, u)
	default:
	}
	s.settle(d, u.outcome)
}

// settle corrects the outcome of the fragments that waited for the one that completed the datagram.
func (s *Streams) settle(d *frame.Datagram, completed Outcome) {
	waited := uint64(max(d.Frames-1, 0))
	to := OutcomeContinuation
	if completed == OutcomeOther {
		to = OutcomeOther
	}
	s.w.acct.Outcomes[OutcomeHeld] -= waited // wraps within the batch, adds up over the run
	s.w.acct.Outcomes[to] += waited
}

// whole looks for a message in a reassembled datagram.
func (s *Streams) whole(d *frame.Datagram, seq uint64, now int64) bool {
	if m := s.joined(d.Payload, d.Pieces, seq, now); m != nil {
		m.TTL, m.Path = d.TTL, d.Path
		return true
	}
	skip := sip.SkipCRLF(d.Payload)
	text := d.Payload[skip:]
	if sip.StartLine(text) != sip.Matched {
		return false
	}
	m := s.message(text, frame.CutPieces(nil, d.Pieces, skip, len(text)))
	m.Seq, m.Time, m.Src, m.Dst, m.Transport = seq, now, d.Src, d.Dst, UDP
	m.IPID, m.HasIPID, m.TTL, m.Path = d.IPID, d.HasIPID, d.TTL, d.Path
	m.Flags |= Reassembled
	if d.Cut {
		m.Flags |= Truncated
	}
	return true
}

// missing takes a datagram that lacks fragments: a gap, if SIP or if nobody can tell.
func (s *Streams) missing(d *frame.Datagram) {
	s.lost++
	src, dst := d.Src, d.Dst
	if d.Result == frame.UDP && len(d.Payload) > 0 {
		text := d.Payload[sip.SkipCRLF(d.Payload):]
		if sip.StartLine(text) == sip.NoMatch {
			return // it began, and was not SIP
		}
	}
	s.addGap(Gap{Seq: d.Seq, Time: d.Time, Src: src, Dst: dst, Kind: FragmentGap})
}
