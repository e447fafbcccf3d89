package media

import (
	"hash/maphash"

	"sipscope/correlate/dense"
	"sipscope/correlate/media/dtmf"
	"sipscope/decode"
	"sipscope/decode/frame"
	"sipscope/decode/rtp"
)

// Limits bound what a Tracker keeps. A zero field takes the default.
type Limits struct {
	Streams    int // streams kept, candidates among them; the idlest of some go first
	Seconds    int // of a stream that have figures of their own
	AllSeconds int // of all streams
	Addresses  int // media addresses that SDP named; the oldest go first
	Points     int // RTCP report blocks of a stream that are kept
	AllPoints  int // of all streams
	Lanes      int // ways of media that are not RTP; the idlest of some go first
}

// Default limits: a stream costs about 1 KiB, a second 20 bytes, an address 96, a lane 160.
const (
	defaultStreams    = 65_536
	defaultSeconds    = 4 * 3600
	defaultAllSeconds = 4_000_000
	defaultAddresses  = 262_144
	defaultPoints     = 256
	defaultAllPoints  = 2_000_000
	defaultLanes      = 65_536
)

func (l Limits) withDefaults() Limits {
	set := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	set(&l.Streams, defaultStreams)
	set(&l.Seconds, defaultSeconds)
	set(&l.AllSeconds, defaultAllSeconds)
	set(&l.Addresses, defaultAddresses)
	set(&l.Points, defaultPoints)
	set(&l.AllPoints, defaultAllPoints)
	set(&l.Lanes, defaultLanes)
	return l
}

// Tracker measures the streams of a run. See the package comment.
type Tracker struct {
	limits Limits
	seed   maphash.Seed

	streams  dense.Slab[streamRec]
	payloads dense.Slab[payloadRec]
	seconds  dense.Slab[secondsRec]
	controls dense.Slab[controlRec]
	presses  []dtmf.Tracker // by streamRec.presses less 1; of streams with telephone-events
	unused   []uint32       // of presses

	byKey  dense.Index // secret hash of a stream -> it
	byDst  dense.Index // of a destination -> newest stream to it
	bySSRC dense.Index // of an SSRC -> newest confirmed stream of it
	byCall dense.Index // of a call -> newest stream of it

	names  names
	lanes  lanes
	counts Counts
	num    uint32
	points int    // of all controls
	hand   uint32 // of the clock that finds the idlest stream
}

// NewTracker makes an empty Tracker.
func NewTracker(l Limits) *Tracker {
	return &Tracker{limits: l.withDefaults(), seed: maphash.MakeSeed()}
}

// Rules by which streams that no SDP names prove themselves: DNS has a constant where the sequence number is, other
// protocols an identifier; random bytes never have the same SSRC twice.
const (
	proof    = 4  // packets of one SSRC between two addresses, each with the next sequence number and a plausible timestamp
	patience = 64 // packets until a candidate that has not proved itself is given up
	// longestStep is how far a timestamp moves from one packet to the next: 10 s at 96 kHz.
	longestStep = 960_000
)

// Packet takes the next datagram that has the form of RTP. It reports how many frames are now known to be RTP: this one
// and its fragments alone, or those of its stream before it as well, when it is the one that proves it.
func (t *Tracker) Packet(m *decode.Media) (proved uint64) {
	i := t.byKey.Get(m.Key)
	if i == 0 {
		return t.first(m)
	}
	r := t.streams.At(i)
	if r.state == rejected {
		r.last = m.Time
		return 0
	}
	if r.renamed && m.Time-r.last > reuseAfter {
		t.byKey.Drop(m.Key) // the port has another call now
		return t.first(m)
	}
	t.measure(r, m)
	if r.state == candidate {
		return t.prove(i, r)
	}
	return 1 + uint64(m.Waited)
}

// reuseAfter is how long a stream must have been silent until its addresses and SSRC can be another call's.
const reuseAfter = 2 * second

// first begins a stream.
func (t *Tracker) first(m *decode.Media) uint64 {
	h := &m.RTP
	name := t.names.find(t.hash(m.Frame.Dst), m.Frame.Dst)
	if name == 0 || !t.names.At(name).media() {
		name = t.names.find(t.hash(m.Frame.Src), m.Frame.Src)
	}
	if name != 0 && !t.names.At(name).media() {
		name = 0
	}
	if name == 0 && (h.PT >= reservedFrom && h.PT <= reservedTo || m.Frame.Src.Port == 0 || m.Frame.Dst.Port == 0) {
		return 0
	}
	if t.streams.Live() >= t.limits.Streams {
		t.makeRoom()
	}
	i, r := t.streams.Alloc()
	r.key, r.src, r.dst, r.ssrc = m.Key, m.Frame.Src, m.Frame.Dst, h.SSRC
	r.first, r.firstFrame, r.last = m.Time, m.Seq, m.Time
	r.dscp, r.path, r.message = m.Frame.TOS>>2, m.Frame.Path, -1
	t.byKey.Set(m.Key, i)
	t.link(&t.byDst, t.hash(r.dst), i, dstLinks)
	if name != 0 {
		t.bind(i, name)
	}
	r.seq.start(h.Seq, h.Timestamp)
	t.payloadOf(r, h.PT, m.Time)
	r.secondEnd = m.Time
	r.recent[0] = recentRec{m.Time, h.Seq, m.Frame.IPID, m.Frame.HasIPID}
	t.take(r, m, manner{inOrder: true, clocked: true})
	if name == 0 {
		return 0
	}
	return t.confirm(i, r)
}

// Payload types that cannot be told from RTCP (RFC 5761 4).
const (
	reservedFrom = 64
	reservedTo   = 95
)

// prove decides about a candidate.
func (t *Tracker) prove(i uint32, r *streamRec) uint64 {
	switch {
	case r.run >= proof-1:
		r.found = ByConsistency
		return t.confirm(i, r)
	case r.packets >= patience:
		r.state = rejected
		t.counts.Candidates++
	}
	return 0
}

// confirm makes a stream of a candidate; all its packets were RTP. From now on RTCP finds it: a search among candidates
// could be made as long as there is room for them.
func (t *Tracker) confirm(i uint32, r *streamRec) uint64 {
	t.link(&t.bySSRC, t.hashSSRC(r.ssrc), i, ssrcLinks)
	t.num++
	r.state, r.num = confirmed, t.num
	t.counts.Streams++
	t.counts.Packets += r.packets
	return r.packets + r.waited
}

// measure takes a further packet of a stream.
func (t *Tracker) measure(r *streamRec, m *decode.Media) {
	h := &m.RTP
	if h.PT != r.pt {
		t.payloadOf(r, h.PT, m.Time)
	}
	moved := h.Timestamp - r.seq.maxTS
	kind, distance := r.seq.take(h.Seq, h.Timestamp, !r.event && r.timing.broken(m.Time, h.Timestamp, r.clock))
	how := manner{inOrder: true, clocked: true}
	switch kind {
	case ahead:
		how.passed = distance
		r.continues(distance, moved, h.Marker)
	case again:
		r.duplicates++
		if t.tapped(r, m) {
			r.tapDuplicates++
		}
		how.inOrder = false
	case late:
		r.reordered++
		how.inOrder = false
	case stray:
		how = manner{}
		r.begins()
	case restarted:
		r.timing.restart()
		r.begins()
	case rerun:
		r.duplicates -= manyDoubles
		r.timing.skew.begun = false
		r.begins()
	}
	r.newest = (r.newest + 1) % recentLook
	r.recent[r.newest] = recentRec{m.Time, h.Seq, m.Frame.IPID, m.Frame.HasIPID}
	t.take(r, m, how)
	if kind == late {
		t.found(r)
	}
	if r.state == confirmed {
		t.counts.Packets++
	}
}

// continues takes a packet that came after so many others had been passed over, with its step of the timestamp.
func (r *streamRec) continues(passed, moved uint32, marker bool) {
	if passed == 0 && !r.event && moved != 0 && !marker {
		r.timing.vote(moved)
	}
	if r.state == confirmed {
		return
	}
	if passed == 0 && moved <= longestStep && (moved != 0 || r.event || r.run > 0) {
		r.run++
	} else {
		r.run = 0
	}
}

// begins takes a packet that continues nothing: a candidate has to prove itself anew.
func (r *streamRec) begins() {
	if r.state == candidate {
		r.run = 0
	}
}

// tapAge is how far apart a tap shows one frame twice.
const tapAge = int64(2e6)

// tapped reports whether a packet with a number that was seen is the tap's copy: the same IP id within tapAge.
func (t *Tracker) tapped(r *streamRec, m *decode.Media) bool {
	for i := range r.recent {
		x := &r.recent[i]
		if x.has && m.Frame.HasIPID && x.seq == m.RTP.Seq && x.ipid == m.Frame.IPID && m.Time-x.time <= tapAge {
			return true
		}
	}
	return false
}

// manner is how a packet came.
type manner struct {
	inOrder bool
	clocked bool   // it says something about jitter: no stray
	passed  uint32 // sequence numbers passed over
}

// take adds a packet to counters, clocks and the second at hand.
func (t *Tracker) take(r *streamRec, m *decode.Media, how manner) {
	h := &m.RTP
	nth := r.packets
	r.packets++
	r.bytes += uint64(h.Size)
	if m.Waited > 0 {
		r.waited += uint64(m.Waited)
	}
	r.last, r.lastFrame = m.Time, m.Seq
	p := t.payloads.At(r.payload)
	p.packets++
	p.bytes += uint64(h.Size)
	switch {
	case r.event:
		t.event(r, m)
	case r.red && t.redundant(r, m):
	case how.clocked:
		counts := nth > 0 && !h.Marker && !r.noise && !r.after
		r.timing.arrive(m.Time, h.Timestamp, r.clock, nth, counts)
		if how.inOrder {
			if delay, ok := r.timing.skew.take(m.Time, h.Timestamp, r.clock); ok {
				r.playout.Packet(m.Time, delay)
			} else {
				r.playout.Restart()
			}
		}
	}
	r.after = r.noise
	if m.Time >= r.secondEnd || r.second == 0 {
		t.nextSecond(r, m.Time)
	}
	if r.second == 0 {
		r.unkept++
		return
	}
	chunk := t.seconds.At(r.second)
	s := &chunk.of[chunk.n-1]
	s.Packets++
	s.Lost += how.passed
	s.Bytes += h.Size
	if us := uint32(min(r.timing.jitter/1e3, 4e9)); us > s.Jitter {
		s.Jitter = us
	}
}

// found takes back a loss of the second at hand that turned out to be a delay.
func (t *Tracker) found(r *streamRec) {
	if r.second != 0 {
		chunk := t.seconds.At(r.second)
		if s := &chunk.of[chunk.n-1]; s.Lost > 0 {
			s.Lost--
		}
	}
}

// nextSecond begins another second, unless the limits are reached.
func (t *Tracker) nextSecond(r *streamRec, now int64) {
	at := max(now-r.first, 0) / second
	r.secondEnd = r.first + (at+1)*second
	if int(r.nSeconds) >= t.limits.Seconds {
		r.second = 0
		r.secondEnd = 1<<63 - 1
		return
	}
	if r.second == 0 || t.seconds.At(r.second).n == secondsEach {
		if t.seconds.Live()*secondsEach >= t.limits.AllSeconds {
			r.second, r.secondEnd = 0, 1<<63-1
			return
		}
		i, _ := t.seconds.Alloc()
		if r.second == 0 {
			r.firstSecond = i
		} else {
			t.seconds.At(r.second).next = i
		}
		r.second = i
	}
	chunk := t.seconds.At(r.second)
	chunk.of[chunk.n] = Second{At: int32(min(at, 1<<31-1))}
	chunk.n++
	r.nSeconds++
}

// payloadOf makes a payload type the stream's newest: its name and clock are those of the receiver's SDP, else of the
// sender's, else static (RFC 3551 6).
func (t *Tracker) payloadOf(r *streamRec, pt uint8, now int64) {
	r.pt = pt
	last := uint32(0)
	for i := r.payloads; i != 0; i = t.payloads.At(i).next {
		if t.payloads.At(i).pt == pt {
			t.usePayload(r, i)
			return
		}
		last = i
	}
	if r.nPayloads >= maxPayloads {
		t.usePayload(r, last)
		return
	}
	i, p := t.payloads.Alloc()
	p.pt, p.first = pt, now
	c := t.names.codec(r, pt)
	t.learn(r, p, &c)
	r.nPayloads++
	if last == 0 {
		r.payloads = i
	} else {
		t.payloads.At(last).next = i
	}
	t.usePayload(r, i)
}

func (t *Tracker) usePayload(r *streamRec, i uint32) {
	p := t.payloads.At(i)
	r.payload, r.clock = i, p.clock
	r.event, r.noise = isEvent(&p.name), p.pt == 13 || p.pt == 19 || isNoise(&p.name)
	r.red = named(&p.name, redundantName)
}

// pressesOf gives the presses of a stream.
func (t *Tracker) pressesOf(r *streamRec) *dtmf.Tracker {
	if r.presses == 0 {
		if k := len(t.unused); k > 0 {
			r.presses = t.unused[k-1]
			t.unused = t.unused[:k-1]
			t.presses[r.presses-1] = dtmf.Tracker{}
		} else {
			t.presses = append(t.presses, dtmf.Tracker{})
			r.presses = uint32(len(t.presses)) //nolint:gosec // at most Limits.Streams
		}
	}
	return &t.presses[r.presses-1]
}

// event gives a telephone-event to the stream's presses.
func (t *Tracker) event(r *streamRec, m *decode.Media) {
	h := &m.RTP
	p := rtp.Packet{Marker: h.Marker, PT: h.PT, Seq: h.Seq, Timestamp: h.Timestamp, SSRC: h.SSRC, Payload: m.Payload()}
	if !r.flags.has(nameSecure) { // an encrypted event is noise
		t.pressesOf(r).Packet(m.Time, m.Seq, r.clock, &p)
	}
}

func (t *Tracker) hash(e frame.Endpoint) uint64 { return maphash.Comparable(t.seed, e) }

func (t *Tracker) hashSSRC(ssrc uint32) uint64 { return maphash.Comparable(t.seed, ssrc) }

// sweep is how many records the hand passes to find an idle one.
const sweep = 32

// makeRoom gives up one stream: among the next records at the hand a rejected one or a candidate before one of a few
// packets before others, and the idlest of a kind.
func (t *Tracker) makeRoom() {
	var victim uint32
	var worst uint64
	for range sweep {
		t.hand++
		if t.hand >= t.streams.End() {
			t.hand = 1
		}
		r := t.streams.At(t.hand)
		if r.key == 0 {
			continue
		}
		if w := r.idleness(); victim == 0 || w > worst {
			victim, worst = t.hand, w
		}
	}
	if victim != 0 {
		t.evict(victim)
	}
}

// idleness orders streams by how little is lost with them.
func (r *streamRec) idleness() uint64 {
	old := ^uint64(r.last) >> 2 //nolint:gosec // only their order matters
	switch {
	case r.state == rejected:
		return 3<<62 | old
	case r.state == candidate:
		return 2<<62 | old
	case r.packets < proof:
		return 1<<62 | old
	default:
		return old
	}
}

func (t *Tracker) evict(i uint32) {
	r := t.streams.At(i)
	switch r.state {
	case confirmed:
		t.counts.Evicted++
		t.settled(r)
	case candidate:
		t.counts.Candidates++
		t.counts.Unproved++
	case rejected:
	}
	if t.byKey.Get(r.key) == i {
		t.byKey.Drop(r.key)
	}
	t.unlink(&t.byDst, t.hash(r.dst), i, dstLinks)
	if r.state == confirmed {
		t.unlink(&t.bySSRC, t.hashSSRC(r.ssrc), i, ssrcLinks)
	}
	if r.call != 0 {
		t.unlink(&t.byCall, callKey(r.call), i, callLinks)
	}
	for p := r.payloads; p != 0; {
		next := t.payloads.At(p).next
		t.payloads.Release(p)
		p = next
	}
	for s := r.firstSecond; s != 0; {
		next := t.seconds.At(s).next
		t.seconds.Release(s)
		s = next
	}
	if r.control != 0 {
		t.points -= len(t.controls.At(r.control).points)
		t.controls.At(r.control).points = nil
		t.controls.Release(r.control)
	}
	if r.presses != 0 {
		t.unused = append(t.unused, r.presses)
	}
	t.streams.Release(i)
}

func dstLinks(r *streamRec) *links  { return &r.dstLinks }
func ssrcLinks(r *streamRec) *links { return &r.ssrcLinks }
func callLinks(r *streamRec) *links { return &r.callLinks }

// link makes a stream the newest of those with a key.
func (t *Tracker) link(x *dense.Index, key uint64, i uint32, of func(*streamRec) *links) {
	head := x.Get(key)
	of(t.streams.At(i)).next = head
	if head != 0 {
		of(t.streams.At(head)).prev = i
	}
	x.Set(key, i)
}

// unlink takes a stream out of them.
func (t *Tracker) unlink(x *dense.Index, key uint64, i uint32, of func(*streamRec) *links) {
	l := *of(t.streams.At(i))
	if l.next != 0 {
		of(t.streams.At(l.next)).prev = l.prev
	}
	switch {
	case l.prev != 0:
		of(t.streams.At(l.prev)).next = l.next
	case l.next != 0:
		x.Set(key, l.next)
	default:
		x.Drop(key)
	}
}

// settled adds what an evicted stream lost to the totals.
func (t *Tracker) settled(r *streamRec) {
	t.counts.Lost += int64(r.seq.expected()) - int64(r.packets) //nolint:gosec // far below
	t.counts.Missing += r.seq.missing()
	t.counts.Duplicates += r.duplicates
	t.counts.Reordered += r.reordered
}
