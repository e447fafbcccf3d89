package stream

import (
	"hash/maphash"
	"math"

	"sipscope/decode/frame"
	"sipscope/decode/sip"
)

// Assembler reassembles all TCP connections of a capture.
type Assembler struct {
	Counters Counters

	limits Limits
	open   func(s *Segment) Conduit // of Secure; nil for none
	out    Receiver
	flows  map[flowKey]*flow // the first of each; others of the same addresses are its twins
	newest *flow             // by last segment
	oldest *flow
	timed  *flow // those that wait for something, the one that waits longest first
	last   *flow // of timed
	bytes  int   // held by all
	tubed  int   // of them by conduits
	marked int   // of them by directions with marks: see Patient
	due    int64 // when the first of timed may have waited long enough
	frame  uint64

	reached int64 // packet time
	doubted int64 // one far ahead of it that nothing has confirmed yet; 0 for none

	emitted int // messages, since the beginning of the segment at hand
	framed  Framed
	scratch []frame.Piece
	plain   []byte  // unmasked
	parts   []piece // of a chunk
	sctp    associations
	in      []piece
	free    [][]byte
	probe   inflater

	directions int // of flows and their twins
	seed       maphash.Seed
	pathed     bool // something was in a tunnel, or tagged: what streams bring is remembered
	recent     int  // bytes so remembered
}

const never = math.MaxInt64

// New makes an Assembler that gives what it finds to out.
func New(out Receiver) *Assembler { return NewLimited(out, DefaultLimits()) }

// NewLimited is New with other limits.
func NewLimited(out Receiver, l Limits) *Assembler {
	return &Assembler{flows: map[flowKey]*flow{}, out: out, limits: l, due: never, seed: maphash.MakeSeed()}
}

// Flows gives the number of directions that are remembered.
func (a *Assembler) Flows() int { return a.directions }

// Bytes gives what all directions hold, bookkeeping included.
func (a *Assembler) Bytes() int { return a.bytes }

// Add takes a segment in the order of the capture. What it completes, and what other directions gave up waiting for
// until its time, goes to the Receiver before Add returns.
func (a *Assembler) Add(s *Segment) Fate {
	a.Advance(s.Time)
	a.frame = max(a.frame, s.Frame)
	f := a.flow(s)
	a.acknowledge(f, s)
	if len(s.Payload) > 0 && f.peer != nil && f.peer.pending {
		a.finish(f.peer, settle) // who answers thinks that the request is whole
		a.settleTimer(f.peer)
	}
	a.emitted = 0
	seq := s.Seq
	if s.Flags&frame.SYN != 0 {
		a.restart(f, seq+1)
		seq++
	}
	fate := Empty
	switch {
	case s.Flags&frame.RST != 0: // its payload is a reason for people (RFC 9293 3.5.2)
		a.reset(f, seq)
	case len(s.Payload) == 0:
		if s.Flags&(frame.SYN|frame.FIN) == 0 && f.known && seq == f.next-1 {
			fate = KeepAlive
		}
	default:
		fate = a.data(f, s, seq)
	}
	if s.Flags&frame.FIN != 0 && s.Flags&frame.RST == 0 {
		f.fin, f.hasFin = seq+uint32(len(s.Payload)), true //nolint:gosec // below 64 KiB
		f.atFin(a)
	}
	a.settleTimer(f)
	a.relieve(f)
	if a.emitted > 0 {
		return Completed
	}
	return fate
}

// acknowledge uses an ACK: bytes that the receiver has and the capture has not will hardly come any more.
func (a *Assembler) acknowledge(f *flow, s *Segment) {
	p := f.peer
	if s.Flags&frame.ACK == 0 || p == nil {
		return
	}
	if !p.hasAck || distance(p.ack, s.Ack) > 0 {
		p.ack, p.hasAck = s.Ack, true
	}
	if len(p.held) > 0 && !p.acked {
		p.checkAck(s.Time)
		a.settleTimer(p)
	}
}

// restart begins a connection at sequence number next.
func (a *Assembler) restart(f *flow, next uint32) {
	switch {
	case f.hasSYN && f.first == next, f.midway && f.first == next:
		f.hasSYN, f.midway = true, false // again, or overtaken by the first data
		return
	case f.known || f.ignored:
		a.Counters.Restarts++
		a.close(f, closed)
		a.detach(f)
		f.forget()
	}
	f.next, f.first, f.known, f.hasSYN, f.born = next, next, true, true, f.last
	f.confirm = false // a message begins here, if SIP is spoken at all
}

// reset ends both directions. What comes later is checked against the sequence numbers as before: retransmissions do
// come after a RST.
func (a *Assembler) reset(f *flow, seq uint32) {
	if d := distance(f.next, seq); f.known && (d > a.limits.MaxDistance || -d > a.limits.MaxDistance) {
		return // a forgery, or of another connection
	}
	a.close(f, closed)
	if p := f.peer; p != nil {
		a.close(p, closed)
		a.settleTimer(p)
	}
}

// data takes a segment's payload, which begins at seq.
func (a *Assembler) data(f *flow, s *Segment, seq uint32) Fate {
	if !a.admit(f, s.Payload, seq) {
		return NotSIP
	}
	ahead, size := distance(f.next, seq), len(s.Payload)
	if far := a.limits.MaxDistance; ahead > far || -ahead > far || f.loose && ahead > 0 {
		a.jump(f, seq)
		ahead = 0
	}
	a.in = a.in[:0]
	for _, p := range s.Pieces {
		a.in = append(a.in, piece{p, s.Time, p.Seq})
	}
	n := segment{seq: seq, data: s.Payload, pieces: a.in, cut: s.Cut}
	switch {
	case ahead > 0:
		return a.ahead(f, &n, s.Time)
	case ahead == -1 && size == 1:
		return KeepAlive // a probe repeats the last byte
	case ahead+size <= 0:
		if f.midway && distance(seq, f.first) >= size {
			return a.early(f, &n)
		}
		a.Counters.Duplicates++
		return Duplicate
	case ahead < 0:
		a.Counters.Overlaps++
		n = n.from(-ahead)
	}
	fate := a.take(f, &n)
	a.drain(f, s.Time)
	return fate
}

// admit reports whether a payload is worth looking at, and begins the direction with it if it is the first.
func (a *Assembler) admit(f *flow, b []byte, seq uint32) bool {
	if f.ignored && !f.wake(b) {
		return false
	}
	if f.known {
		return true
	}
	if a.open == nil && foreign(b) {
		f.ignored = true
		return false
	}
	f.next, f.first, f.known, f.midway, f.confirm = seq, seq, true, true, true
	return true
}

// jump goes on at seq, far from where the direction was: another connection on the same addresses whose SYN was not
// seen, or bytes that the snaplen cut.
func (a *Assembler) jump(f *flow, seq uint32) {
	if f.loose && f.tube != nil {
		a.end(f, Missing, distance(f.next, seq))
	}
	if !f.loose {
		a.close(f, missed)
		a.gap(f, 0)
		a.detach(f)
		f.forget()
		a.Counters.Restarts++
		f.known, f.midway, f.first, f.afterGap = true, true, seq, true
	}
	f.next, f.loose, f.confirm = seq, false, true
}

// ahead keeps a segment behind a hole, and gives the hole up when there is too much behind it.
func (a *Assembler) ahead(f *flow, n *segment, now int64) Fate {
	if len(f.held) == 0 {
		f.holeSince = now
	}
	switch f.hold(n) {
	case nothingNew:
		a.Counters.Duplicates++
		return Duplicate
	case inPart:
		a.Counters.Overlaps++
	case allNew:
	}
	f.checkAck(now)
	for len(f.held) > a.limits.Held || f.heldBytes > a.limits.HeldBytes {
		a.skipHole(f, now)
	}
	return Held
}

// early takes a segment from before the first one that was seen of a connection. Messages that it has all of are
// given; it does not matter what else is in it.
func (a *Assembler) early(f *flow, n *segment) Fate {
	if f.tube != nil {
		return NotSIP
	}
	f.first = n.seq
	kept := f.framer
	f.framer = framer{confirm: true, sip: kept.sip}
	w := work{a: a, f: f, b: n.data, pieces: n.pieces}
	w.run(missed)
	kept.sip = f.sip
	f.framer = kept
	return NotSIP
}

// take frames a segment that begins at f.next.
func (a *Assembler) take(f *flow, n *segment) Fate {
	a.remember(f, n.data)
	f.next += uint32(len(n.data)) //nolint:gosec // below 64 KiB
	if a.open != nil {
		a.follow(f)
	}
	switch {
	case f.tube != nil:
		return a.takeTube(f, n)
	case f.whole:
		a.gather(f, n.data, n.pieces)
		return Partial
	}
	fr := &f.framer
	w := work{a: a, f: f, b: n.data, pieces: n.pieces}
	idle, before := fr.state == boundary && len(fr.buf) == 0, fr.skipped
	if len(fr.buf) > 0 {
		fr.buf = append(fr.buf, n.data...)
		fr.pieces = append(fr.pieces, n.pieces...)
		w.b, w.pieces = fr.buf, fr.pieces
	}
	w.run(more)
	a.keepRest(f, &w)
	if f.tube != nil { // it has just begun
		n.data, n.pieces = nil, nil
		return a.takeTube(f, n)
	}
	if n.cut {
		a.finish(f, cut)
		fr.state, fr.confirm, f.loose = boundary, true, true
	}
	f.atFin(a)
	switch {
	case fr.state != search && len(fr.buf) > 0:
		return Partial
	case idle && fr.state == boundary && fr.skipped == before:
		return KeepAlive
	default:
		f.giveUp(a)
		return NotSIP
	}
}

// takeTube is take for a direction that has a conduit.
func (a *Assembler) takeTube(f *flow, n *segment) Fate {
	fate := a.convey(f, n.data, n.pieces)
	f.loose = f.loose || n.cut // the conduit is told with the next segment how many bytes are missing
	f.atFin(a)
	return fate
}

// keepRest keeps what waits for more bytes.
func (a *Assembler) keepRest(f *flow, w *work) {
	fr := &f.framer
	rest := len(w.b) - w.at
	switch {
	case rest == 0:
		a.release(fr)
	case len(fr.buf) == 0:
		fr.buf = append(a.grab(), w.b[w.at:]...)
		fr.pieces = cutPieces(fr.pieces[:0], w.pieces, w.at)
	case w.at > 0:
		fr.buf = fr.buf[:copy(fr.buf, fr.buf[w.at:])]
		fr.pieces = cutPieces(fr.pieces[:0], fr.pieces, w.at)
	}
	if len(fr.pieces) > maxPieces {
		a.Counters.Oversize++
		a.finish(f, missed)
		a.settle(f)
	}
}

// maxPieces bounds the segments of a message: 1 MiB in segments of 64 bytes.
const maxPieces = 1 << 14

// cutPieces appends to dst the pieces from offset off on. dst may be the beginning of pieces.
func cutPieces(dst, pieces []piece, off int) []piece {
	for _, p := range pieces {
		n := int(p.Len)
		if off >= n {
			off -= n
			continue
		}
		p.Loc.Off += int64(off)
		p.Len -= uint32(off) //nolint:gosec // below p.Len
		off = 0
		dst = append(dst, p)
	}
	return dst
}

// finish frames what is in the buffer as its end tells. Unless it was only to settle, the buffer is empty then.
func (a *Assembler) finish(f *flow, e end) {
	fr := &f.framer
	switch {
	case f.tube != nil:
		a.finishTube(f, e)
		return
	case len(fr.buf) == 0:
		return
	case f.whole:
		if e != settle {
			a.finishWhole(f, nil, true)
		}
		return
	}
	w := work{a: a, f: f, b: fr.buf, pieces: fr.pieces}
	w.run(e)
	if e == settle {
		a.keepRest(f, &w)
		return
	}
	w.skip(len(w.b) - w.at)
	a.release(fr)
	fr.state, fr.scanned, fr.cand, fr.pending, fr.confirm = boundary, 0, 0, false, true
}

// drain takes held segments that are in order now.
func (a *Assembler) drain(f *flow, now int64) {
	took := false
	for len(f.held) > 0 {
		h := f.held[0]
		ahead := distance(f.next, h.seq)
		if ahead > 0 {
			if f.loose {
				a.jump(f, h.seq)
				continue
			}
			break
		}
		f.pop()
		took = true
		if -ahead < len(h.data) {
			h = h.from(-ahead)
			a.take(f, &h)
		}
	}
	if took {
		f.holeSince, f.acked = now, false
		f.checkAck(now)
	}
}

// skipHole gives up the bytes that the first held segment waits for.
func (a *Assembler) skipHole(f *flow, now int64) {
	if len(f.held) == 0 {
		return
	}
	missing := distance(f.next, f.held[0].seq)
	if f.tube != nil {
		a.end(f, Missing, missing)
	} else {
		a.finish(f, missed)
	}
	a.gap(f, missing)
	f.next = f.held[0].seq
	f.state, f.confirm, f.scanned = boundary, true, 0
	a.drain(f, now)
}

// gap is missed for bytes behind what was taken so far.
func (a *Assembler) gap(f *flow, missing int) {
	g := Gap{Src: f.src, Dst: f.dst, Bytes: uint64(missing), Frame: a.frame, Time: f.last} //nolint:gosec // not negative
	if t := f.tube; t != nil && len(t.marks) > 0 {
		m := &t.marks[len(t.marks)-1]
		g.Bytes += m.gap.Bytes
		m.gap = g
		return
	}
	a.missed(f, &g)
}

// missed tells of missing bytes, now or when the direction proves to carry SIP.
func (a *Assembler) missed(f *flow, g *Gap) {
	for f.tube != nil {
		f = f.tube.inner
	}
	f.afterGap = true
	had := f.untold.Bytes
	f.untold = *g
	f.untold.Bytes += had
	if f.sip || f.peer != nil && f.peer.sip {
		f.tellGap(a)
	}
}

// close gives what a direction still holds.
func (a *Assembler) close(f *flow, e end) {
	for len(f.held) > 0 {
		a.skipHole(f, f.last)
	}
	a.finish(f, e)
	if f.sip && f.known && f.hasAck && !f.hasFin && !f.loose {
		// one byte more may be the FIN's
		if n := distance(f.next, f.ack); n > 1 && n <= a.limits.MaxDistance {
			a.gap(f, n)
			f.next = f.ack
		}
	}
}

// Advance gives up waiting where the time has come, and forgets directions that were silent for long. It costs nothing
// when nothing is due. Add does it too; calling it with the time of every other packet as well makes results
// independent of how packets are batched.
func (a *Assembler) Advance(now int64) {
	if !a.believes(now) {
		return
	}
	for a.oldest != nil && now-a.oldest.last > a.limits.IdleAge {
		a.remove(a.oldest)
	}
	if a.sctp.oldest != nil {
		a.advanceSCTP(now)
	}
	if now < a.due {
		return
	}
	for f := a.timed; f != nil; {
		next := f.later
		switch {
		case f.due <= now:
			a.expire(f, now)
			a.settleTimer(f)
		case f.due-now > a.limits.IdleAge: // the clock was set back: it would wait for ever
			a.close(f, missed)
			a.settleTimer(f)
		}
		f = next
	}
	a.due = never
	for f := a.timed; f != nil; f = f.later {
		a.due = min(a.due, f.due)
	}
	// many that wait must not be looked at for each packet
	const pause = 20_000_000
	if a.due != never {
		a.due = max(a.due, now+pause)
	}
}

// believes reports whether the capture has come to a time. One that is further ahead than connections are remembered must
// be confirmed by another one: a single packet with a wrong time would have all of them forgotten.
func (a *Assembler) believes(now int64) bool {
	if a.reached != 0 && now-a.reached > a.limits.IdleAge && (a.doubted == 0 || a.doubted == now) {
		a.doubted = now
		return false
	}
	a.reached, a.doubted = now, 0
	return true
}

// expire gives up what f waits for.
func (a *Assembler) expire(f *flow, now int64) {
	switch {
	case len(f.held) > 0 && now >= f.holeDue(&a.limits):
		a.skipHole(f, now)
	case f.tube != nil:
		a.late(f)
		f.tube.since = now
	case f.pending:
		a.finish(f, settle)
	default:
		a.finish(f, closed)
	}
}

// Flush gives what all directions still hold, the longest silent first, and forgets them: the capture has ended.
func (a *Assembler) Flush(frameNo uint64, now int64) {
	a.Advance(now)
	a.frame = max(a.frame, frameNo)
	for a.oldest != nil {
		a.remove(a.oldest)
	}
	a.flushSCTP()
}

// remove forgets a direction.
func (a *Assembler) remove(f *flow) {
	a.close(f, closed)
	a.detach(f)
	a.settleTimer(f)
	a.bytes -= f.charged // the memory that it kept to use again
	a.unlink(f)
	a.dropRecent(f)
	a.forgetKey(f)
	if f.peer != nil {
		f.peer.peer = nil
	}
}

// relieve takes from those that hold most and wait longest until the limits are kept. f is what was just used.
func (a *Assembler) relieve(f *flow) {
	for a.directions > a.limits.Flows && a.oldest != f {
		a.Counters.Evicted++
		a.remove(a.oldest)
	}
	for a.bytes > a.limits.Total && a.timed != nil {
		a.Counters.Evicted++
		v := a.timed
		a.close(v, missed)
		a.settle(v)
		a.settleTimer(v)
	}
	if a.marked > a.limits.Ended {
		a.relieveEnded()
	}
	for a.tubed > a.limits.Total/2 && a.oldest != f { // what conduits hold is held for ever
		a.Counters.Evicted++
		a.remove(a.oldest)
	}
}

// grab gives an empty buffer, a used one if there is any.
func (a *Assembler) grab() []byte {
	if n := len(a.free); n > 0 {
		b := a.free[n-1]
		a.free = a.free[:n-1]
		return b
	}
	return make([]byte, 0, 4096)
}

// release takes a flow's buffer back. Most flows have none between two messages.
func (a *Assembler) release(fr *framer) {
	const most, largest = 64, 64 << 10
	if c := cap(fr.buf); c > 0 && c <= largest && len(a.free) < most {
		a.free = append(a.free, fr.buf[:0])
	}
	fr.buf = nil
	fr.pieces = fr.pieces[:0]
	if cap(fr.pieces) > 64 {
		fr.pieces = nil
	}
}

// foreign reports whether the first bytes of a connection are a TLS record's (RFC 8446 5.1).
func foreign(b []byte) bool {
	return len(b) >= 3 && b[0] >= 20 && b[0] <= 24 && b[1] == 3 && b[2] <= 4
}

// wake reports whether a payload begins a message, and gets a direction that carried something else ready for it: SIP
// may follow an HTTP CONNECT.
func (f *flow) wake(b []byte) bool {
	b = b[sip.SkipCRLF(b):]
	if len(b) == 0 {
		return false
	}
	if _, ws, _ := upgrade(b); !ws && sip.StartLine(b) != sip.Matched {
		return false
	}
	f.forget()
	return true
}
