package decode

import (
	"sipscope/decode/frame"
	"sipscope/decode/sip"
	"sipscope/decode/stream"
)

// Streams joins fragments and TCP segments. It has one owner and takes the batches in the order of the capture.
type Streams struct {
	hash      hasher
	fragments *frame.Defragmenter
	tcp       *stream.Assembler
	w         *Work // the batch at hand
	ipid      uint16
	hasIPID   bool
	nth       uint16
	barren    bool // the segment completed HEP that carries something else than SIP
	lastSeq   uint64
	now       int64
	lost      uint64 // datagrams given up
}

// NewStreams makes one for a run, whose keys are d's.
func NewStreams(d *Decoder) *Streams {
	s := &Streams{hash: d.hash, fragments: frame.NewDefragmenter()}
	s.tcp = stream.New(s)
	return s
}

// Join joins the fragments and segments of a batch, puts its messages and gaps in order, and counts outcomes. It
// reports whether texts came out that are yet to be parsed.
func (s *Streams) Join(w *Work) (texts bool) {
	s.w = w
	if w.Batch.SetBack {
		s.now = w.Batch.Now // what waits is given up by its size, or when it was due by the old time
	}
	before := len(w.messages)
	for i := range w.units {
		u := &w.units[i]
		switch u.result {
		case frame.TCP:
			s.advance(w.Batch.Packets[i].Time)
			s.segment(i)
		case frame.Fragment:
			s.advance(w.Batch.Packets[i].Time)
			s.fragment(i)
		default:
			if u.message >= 0 {
				w.items = append(w.items, item{u.message, -1})
			}
		}
		w.acct.Outcomes[u.outcome]++
		if u.outcome == OutcomeMalformed {
			w.acct.Malformed[u.frame.Reason]++
		}
	}
	s.advance(w.Batch.Now)
	w.acct.Packets = uint64(len(w.units))
	if w.Last {
		s.tcp.Flush(s.lastSeq, w.Batch.Now)
		s.fragments.Flush(s.missing)
	} else if n := len(w.units); n > 0 {
		s.lastSeq = w.Batch.Packets[n-1].Seq
	}
	w.acct.Messages = uint64(len(w.messages))
	c := &s.tcp.Counters
	w.acct.Streams = StreamLimits{
		Datagrams: s.lost, Gaps: c.Gaps, Evicted: c.Evicted + s.fragments.Evicted,
		Overlaps: c.Overlaps + s.fragments.Overlaps,
	}
	s.w = nil
	return len(w.messages) > before
}

// advance gives up what waited too long. It looks at each packet's own time, so that the size of batches changes nothing.
func (s *Streams) advance(now int64) {
	s.now = max(s.now, now)
	s.fragments.Expire(s.now, s.missing)
	s.tcp.Advance(s.now)
}

// segment gives a TCP segment to the assembler.
func (s *Streams) segment(i int) {
	p, u := &s.w.Batch.Packets[i], &s.w.units[i]
	loc := p.Loc
	loc.Off += int64(u.frame.PayloadOff)
	n := uint32(len(u.frame.Payload)) //nolint:gosec // within a frame
	s.addSegment(&u.frame, s.w.addPiece(Piece{Seq: p.Seq, Loc: loc, Len: n}), p.Seq, p.Time, u)
}

func (s *Streams) addSegment(f *frame.Packet, pieces []Piece, seq uint64, now int64, u *unit) {
	seg := stream.Segment{
		Src: f.Src, Dst: f.Dst, Seq: f.Seq, Ack: f.Ack, Flags: f.Flags, Payload: f.Payload, Pieces: pieces,
		Cut: f.Cut, Frame: seq, Time: now,
	}
	s.ipid, s.hasIPID, s.nth, s.barren = f.IPID, f.HasIPID, 0, false
	switch s.tcp.Add(&seg) {
	case stream.Completed:
		if u.outcome = OutcomeSIP; s.barren && s.nth == 0 {
			u.outcome = OutcomeOther
		}
	case stream.Partial:
		u.outcome = OutcomeContinuation
	case stream.Held:
		u.outcome = OutcomeHeld
	case stream.KeepAlive:
		u.outcome = OutcomeKeepAlive
	case stream.Duplicate:
		u.outcome = OutcomeDuplicate
	case stream.NotSIP:
		u.outcome = OutcomeOther
		if isTLS(f.Payload) {
			u.outcome = OutcomeEncrypted
		}
	case stream.Empty:
		u.outcome = OutcomeOther
	}
}

// isTLS reports whether b begins with a TLS record header (RFC 8446 5.1).
func isTLS(b []byte) bool {
	return len(b) >= 5 && b[0] >= 20 && b[0] <= 24 && b[1] == 3 && b[2] <= 4
}

// Framed implements stream.Receiver: the text is copied and parsed by a worker later.
func (s *Streams) Framed(f *stream.Framed) {
	var m *Message
	if f.HEP {
		if m = s.joined(f.Text, f.Pieces, f.Frame, f.Time); m == nil {
			s.barren = true
			return
		}
	} else {
		m = s.message(f.Text, f.Pieces)
		m.Seq, m.Time, m.Src, m.Dst, m.Transport = f.Frame, f.Time, f.Src, f.Dst, TCP
		m.IPID, m.HasIPID = s.ipid, s.hasIPID
	}
	m.Nth = s.nth
	s.nth++
	if f.AfterGap {
		m.Flags |= AfterGap
	}
	if f.Truncated {
		m.Flags |= Truncated
	}
}

// message makes a message of a text that is yet to be parsed.
func (s *Streams) message(text []byte, pieces []Piece) *Message {
	w := s.w
	index, m := w.slot()
	from := len(w.text)
	w.text = append(w.text, text...)
	m.pending, m.from, m.to = true, from, len(w.text)
	n := len(w.pieces)
	w.pieces = append(w.pieces, pieces...)
	m.Pieces = w.pieces[n:len(w.pieces):len(w.pieces)]
	if len(pieces) > 1 {
		m.Flags |= Reassembled
	}
	w.items = append(w.items, item{index, -1})
	return m
}

// Gap implements stream.Receiver.
func (s *Streams) Gap(g *stream.Gap) {
	s.addGap(Gap{Seq: g.Frame, Time: g.Time, Src: g.Src, Dst: g.Dst, Bytes: g.Bytes, Kind: StreamGap})
}

func (s *Streams) addGap(g Gap) {
	s.w.gaps = append(s.w.gaps, g)
	s.w.items = append(s.w.items, item{-1, int32(len(s.w.gaps) - 1)}) //nolint:gosec // a batch's worth
}

// fragment gives a fragment to the defragmenter, and takes what it completes.
func (s *Streams) fragment(i int) {
	p, u := &s.w.Batch.Packets[i], &s.w.units[i]
	loc := p.Loc
	loc.Off += int64(u.frame.PayloadOff)
	n := uint32(len(u.frame.Payload)) //nolint:gosec // within a frame
	u.outcome = OutcomeHeld
	d := s.fragments.Add(&u.frame, Piece{Seq: p.Seq, Loc: loc, Len: n}, p.Time)
	if d == nil {
		return
	}
	u.outcome = OutcomeOther
	switch d.Result {
	case frame.UDP:
		if s.whole(d, p.Seq, p.Time) {
			u.outcome = OutcomeSIP
		}
	case frame.TCP:
		s.addSegment(&d.Packet, d.Pieces, p.Seq, p.Time, u)
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
		return true
	}
	skip := sip.SkipCRLF(d.Payload)
	text := d.Payload[skip:]
	if sip.StartLine(text) != sip.Matched {
		return false
	}
	m := s.message(text, d.Pieces)
	if skip > 0 && len(m.Pieces) > 0 {
		m.Pieces[0].Loc.Off += int64(skip)
		m.Pieces[0].Len -= uint32(skip) //nolint:gosec // CRLFs at the start of the first piece
	}
	m.Seq, m.Time, m.Src, m.Dst, m.Transport = seq, now, d.Src, d.Dst, UDP
	m.IPID, m.HasIPID = d.IPID, d.HasIPID
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
