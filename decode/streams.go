package decode

import (
	"sipscope/decode/frame"
	"sipscope/decode/stream"
	"sipscope/decode/tls"
)

// Streams joins fragments and TCP segments. It has one owner and takes the batches in the order of the capture.
type Streams struct {
	hash      hasher
	secret    uint64 // of the keys of media streams
	vault     *Vault
	fragments *frame.Defragmenter
	tcp       *stream.Assembler
	w         *Work // the batch at hand
	ipid      uint16
	hasIPID   bool
	ttl       uint8
	path      frame.Path
	nth       uint16
	barren    bool // the segment completed HEP that carries something else than SIP
	lastSeq   uint64
	now       int64
	lost      uint64    // datagrams given up
	keys      *tls.Keys // nil: there will never be any
	late      bool      // they may come after a connection has ended
	secured   uint32    // TLS connections
	touched   []*secure // those that changed with the batch
	framed    uint64    // messages out of streams
}

// NewStreams makes one for a run, whose keys are d's.
func NewStreams(d *Decoder) *Streams {
	s := &Streams{hash: d.hash, secret: d.secret, vault: d.vault, fragments: frame.NewDefragmenter()}
	s.tcp = stream.New(s)
	s.tcp.Secure(s.openSecure)
	if d.secrets {
		s.keys, s.late = tls.NewKeys(), d.late
	}
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
	s.learn(w.Secrets)
	for i := range w.units {
		u := &w.units[i]
		switch u.result {
		case frame.TCP:
			s.advance(w.Batch.Packets[i].Time)
			s.segment(i)
		case frame.Fragment:
			s.advance(w.Batch.Packets[i].Time)
			s.fragment(i)
		case frame.SCTP:
			s.advance(w.Batch.Packets[i].Time)
			s.association(i)
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
	if w.Batch.Now-s.now <= setBack || len(w.units) == 0 {
		s.advance(w.Batch.Now)
	}
	w.acct.Packets = uint64(len(w.units))
	if w.Last {
		s.tcp.Flush(s.lastSeq, w.Batch.Now)
		s.fragments.Flush(s.missing)
	} else if n := len(w.units); n > 0 {
		s.lastSeq = w.Batch.Packets[n-1].Seq
	}
	w.sortMedia()
	s.reportSecured(w)
	w.acct.Messages = uint64(len(w.messages))
	c := &s.tcp.Counters
	w.acct.Streams = StreamLimits{
		Datagrams: s.lost, Gaps: c.Gaps, Evicted: c.Evicted, Fragments: s.fragments.Evicted,
		Overlaps: c.Overlaps + s.fragments.Overlaps, Unkept: s.vault.Stats().Unkept,
	}
	if s.keys != nil {
		w.acct.Streams.Secrets, w.acct.Streams.Unawaited = s.keys.Forgotten, c.Unawaited
	}
	s.w = nil
	return len(w.messages) > before
}

// setBack is how far packets may lie behind the newest one, in ns: sources are merged by time, clocks are set by less. Of
// what is further behind, the newest one is wrong.
const setBack = int64(3600e9)

// advance gives up what waited too long. It looks at each packet's own time, so that the size of batches changes nothing.
func (s *Streams) advance(now int64) {
	if s.now = max(s.now, now); s.now-now > setBack {
		s.now = now // the clock was set back, or a packet before had a wrong time: what comes now must not look old
	}
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
		Src: f.Src, Dst: f.Dst, Path: f.Path, Seq: f.Seq, Ack: f.Ack, Flags: f.Flags, Payload: f.Payload, Pieces: pieces,
		Cut: f.Cut, Frame: seq, Time: now,
	}
	s.carrier(f)
	u.outcome = s.outcome(s.tcp.Add(&seg))
	if u.outcome == OutcomeOther && isTLS(f.Payload) {
		u.outcome = OutcomeEncrypted
	}
}

// carrier notes what the packet at hand says that messages are to say, too.
func (s *Streams) carrier(f *frame.Packet) {
	s.ipid, s.hasIPID, s.nth, s.barren = f.IPID, f.HasIPID, 0, false
	s.ttl, s.path = f.TTL, f.Path
}

// outcome is what a fate of a segment or an SCTP packet means.
func (s *Streams) outcome(f stream.Fate) Outcome {
	switch f {
	case stream.Completed:
		if s.barren && s.nth == 0 {
			return OutcomeOther
		}
		return OutcomeSIP
	case stream.Partial:
		return OutcomeContinuation
	case stream.Held:
		return OutcomeHeld
	case stream.KeepAlive:
		return OutcomeKeepAlive
	case stream.Duplicate:
		return OutcomeDuplicate
	case stream.Sealed:
		return OutcomeEncrypted
	case stream.NotSIP, stream.Empty:
	}
	return OutcomeOther
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
		m.Seq, m.Time, m.Src, m.Dst, m.Transport = f.Frame, f.Time, f.Src, f.Dst, transport(f.Layer)
		m.IPID, m.HasIPID = s.ipid, s.hasIPID
	}
	s.framed++
	m.TTL, m.Path = s.ttl, s.path
	m.Nth = s.nth
	s.nth++
	if f.AfterGap {
		m.Flags |= AfterGap
	}
	if f.Truncated {
		m.Flags |= Truncated
	}
}

// transport names the transport of a message by what it was wrapped in (RFC 7118 5.2).
func transport(l stream.Layer) Transport {
	if l&stream.LayerSCTP != 0 {
		return SCTP
	}
	return [...]Transport{0: TCP, stream.LayerTLS: TLS, stream.LayerWS: WS, stream.LayerTLS | stream.LayerWS: WSS}[l&3]
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
	if InVault(m.Pieces) {
		s.vault.keep(text, m.Pieces)
	}
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
