package stream

import (
	"slices"

	"sipscope/decode/frame"
)

// flowKey is a direction of a connection: two addresses and their ports. It has no padding, so that it is hashed at once.
type flowKey struct {
	srcHi, srcLo, dstHi, dstLo uint64
	ports                      uint64 // and whether the addresses are IPv4's
}

func keyOf(src, dst frame.Endpoint) flowKey {
	k := flowKey{src.Hi, src.Lo, dst.Hi, dst.Lo, uint64(src.Port)<<16 | uint64(dst.Port)}
	if src.V4 {
		k.ports |= 1 << 32
	}
	if dst.V4 {
		k.ports |= 1 << 33
	}
	return k
}

// flow is one direction of a connection.
type flow struct {
	framer
	lane

	key          flowKey
	src, dst     frame.Endpoint
	peer         *flow
	twin         *flow // the next of the same addresses and ports, on other paths
	tube         *tube // takes the bytes in the framer's place; nil for none
	layer        Layer // what the bytes are in already
	whole        bool  // the conduit before it gives messages, not a stream
	newer, older *flow // by last segment
	last         int64 // time of the last segment
	born         int64 // time of the first one, or of a SYN since

	recent    []byte // newest bytes before recentEnd, kept where there are tunnels
	recentEnd uint32

	next    uint32 // sequence number of the next byte wanted
	first   uint32 // of the first byte of the connection, or of the first that was seen
	known   bool   // next and first are valid
	hasSYN  bool   // first is the connection's
	midway  bool   // it is not
	loose   bool   // how many bytes are missing before the next segment is not known
	ignored bool   // something else than SIP
	hasFin  bool
	fin     uint32 // sequence number of the FIN

	ack    uint32 // highest that the peer has acknowledged
	hasAck bool

	held      []segment // behind a hole: by sequence number, disjoint
	heldBytes int
	holeSince int64
	acked     bool // the peer has the bytes that are missing
	ackedAt   int64

	untold Gap // not told as long as nobody knows whether this is SIP; without Src for none

	due           int64 // 0 while it waits for nothing
	waits         bool
	sooner, later *flow // in Assembler.timed
	charged       int   // its part of Assembler.bytes
	marked        int   // its part of Assembler.marked
}

// segment is a part of a direction. While held, it owns its bytes.
type segment struct {
	seq    uint32
	data   []byte
	pieces []piece
	cut    bool
}

// from gives the segment without its first n bytes.
func (s *segment) from(n int) segment {
	return segment{s.seq + uint32(n), s.data[n:], cutPieces(nil, s.pieces, n), s.cut} //nolint:gosec // below 64 KiB
}

// distance gives how far b is behind a (RFC 9293 3.4: modulo 2^32).
func distance(a, b uint32) int { return int(int32(b - a)) } //nolint:gosec // that is the arithmetic

// flow finds or makes the direction that a segment belongs to, and makes it the newest.
func (a *Assembler) flow(s *Segment) *flow {
	f := a.flows[keyOf(s.Src, s.Dst)]
	a.pathed = a.pathed || !s.Path.IsZero()
	switch {
	case f == nil:
		f = a.begin(newLane(s), s)
	case f.twin != nil || len(f.more) > 0 || f.path != s.Path:
		f = a.laneOf(f, s)
	}
	if f.peer == nil && a.pathed {
		a.pair(f, s)
	}
	if a.newest != f {
		a.unlink(f)
		f.older = a.newest
		if a.newest != nil {
			a.newest.newer = f
		}
		a.newest = f
		if a.oldest == nil {
			a.oldest = f
		}
	}
	if f.last = s.Time; !f.known {
		f.born = s.Time
	}
	return f
}

func (a *Assembler) unlink(f *flow) {
	if f.newer != nil {
		f.newer.older = f.older
	} else if a.newest == f {
		a.newest = f.older
	}
	if f.older != nil {
		f.older.newer = f.newer
	} else if a.oldest == f {
		a.oldest = f.newer
	}
	f.newer, f.older = nil, nil
}

// settleTimer finds out what f waits for, and until when. It must follow whatever may have changed that.
func (a *Assembler) settleTimer(f *flow) {
	const perPiece, perSegment = 48, 104
	cost := cap(f.buf) + cap(f.pieces)*perPiece + f.heldBytes + len(f.held)*perSegment
	if t := f.tube; t != nil && (t.first || !t.shared) {
		size := t.c.Size()
		a.tubed += size - t.size
		t.size = size
		cost += size
	}
	a.bytes += cost - f.charged
	f.charged = cost
	marked := 0
	if f.tube != nil && len(f.tube.marks) > 0 {
		marked = cost
	}
	a.marked += marked - f.marked
	f.marked = marked
	if len(f.buf) == 0 && len(f.held) == 0 {
		if f.waits {
			a.unwait(f)
		}
		return
	}
	if !f.waits {
		a.wait(f)
	}
	f.due = never
	if len(f.held) > 0 {
		f.due = f.holeDue(&a.limits)
	}
	if n := len(f.pieces); n > 0 {
		age := a.limits.MessageAge
		if f.pending {
			age = a.limits.SettleAge
		}
		since := f.pieces[n-1].time
		if f.tube != nil {
			since = max(since, f.tube.since)
		}
		f.due = min(f.due, since+age)
	}
	a.due = min(a.due, f.due)
}

func (a *Assembler) wait(f *flow) {
	f.waits = true
	f.sooner = a.last
	if a.last != nil {
		a.last.later = f
	} else {
		a.timed = f
	}
	a.last = f
}

func (a *Assembler) unwait(f *flow) {
	if f.sooner != nil {
		f.sooner.later = f.later
	} else {
		a.timed = f.later
	}
	if f.later != nil {
		f.later.sooner = f.sooner
	} else {
		a.last = f.sooner
	}
	f.sooner, f.later, f.waits = nil, nil, false
}

// holeDue is when the hole before the held segments is given up.
func (f *flow) holeDue(l *Limits) int64 {
	due := f.holeSince + l.HoleAge
	if f.acked {
		due = min(due, f.ackedAt+l.AckedAge)
	}
	return due
}

// checkAck looks whether the peer has acknowledged the bytes that are missing.
func (f *flow) checkAck(now int64) {
	if len(f.held) > 0 && f.hasAck && !f.acked && distance(f.held[0].seq, f.ack) >= 0 {
		f.acked, f.ackedAt = true, now
	}
}

// atFin ends the direction when its FIN is next.
func (f *flow) atFin(a *Assembler) {
	if f.hasFin && f.known && f.next == f.fin {
		a.finish(f, closed)
	}
}

// tellGap tells what is missing, once it is certain that this is SIP.
func (f *flow) tellGap(a *Assembler) {
	if f.untold.Src == (frame.Endpoint{}) {
		return
	}
	g := f.untold
	f.untold = Gap{}
	a.Counters.Gaps++
	a.Counters.GapBytes += g.Bytes
	a.out.Gap(&g)
}

// giveUp takes the direction for something else than SIP after enough bytes without a start line.
func (f *flow) giveUp(a *Assembler) {
	if f.barren > a.limits.Search {
		a.detach(f)
		a.release(&f.framer)
		a.dropRecent(f)
		f.forget()
		f.ignored = true
	}
}

// forget makes a direction as new, but for what was found out about it.
func (f *flow) forget() {
	f.framer = framer{sip: f.sip, buf: f.buf[:0], pieces: f.pieces[:0], confirm: true}
	f.known, f.hasSYN, f.midway, f.loose, f.ignored, f.hasFin = false, false, false, false, false, false
	f.hasAck, f.acked, f.held, f.heldBytes = false, false, nil, 0
	f.untold = Gap{}
}

// pop removes the first held segment.
func (f *flow) pop() {
	f.heldBytes -= len(f.held[0].data)
	f.held[0] = segment{}
	f.held = f.held[1:]
	if len(f.held) == 0 {
		f.held = nil
	}
}

// novelty says how much of a segment was not yet held.
type novelty uint8

const (
	allNew novelty = iota
	inPart
	nothingNew
)

// hold copies what no held segment has of n. The bytes that came first win.
func (f *flow) hold(n *segment) novelty {
	var fresh, same int
	rest := *n
	for i := 0; len(rest.data) > 0; i++ {
		if i == len(f.held) {
			f.insert(i, &rest, len(rest.data))
			fresh += len(rest.data)
			break
		}
		h := &f.held[i]
		ahead := distance(rest.seq, h.seq)
		if ahead > 0 { // what is before h is new
			k := min(ahead, len(rest.data))
			f.insert(i, &rest, k)
			fresh += k
			rest = rest.from(k)
			continue
		}
		if k := min(ahead+len(h.data), len(rest.data)); k > 0 {
			if string(rest.data[:k]) == string(h.data[-ahead:-ahead+k]) {
				same += k
			}
			rest = rest.from(k)
		}
	}
	switch {
	case fresh == len(n.data):
		return allNew
	case fresh == 0 && same == len(n.data):
		return nothingNew
	default:
		return inPart
	}
}

// insert holds a copy of the first k bytes of n.
func (f *flow) insert(i int, n *segment, k int) {
	h := segment{seq: n.seq, data: slices.Clone(n.data[:k]), cut: n.cut && k == len(n.data)}
	for _, p := range n.pieces {
		if k <= 0 {
			break
		}
		p.Len = min(p.Len, uint32(k)) //nolint:gosec // positive
		k -= int(p.Len)
		h.pieces = append(h.pieces, p)
	}
	f.held = slices.Insert(f.held, i, h)
	f.heldBytes += len(h.data)
}
