package stream

import (
	"bytes"
	"slices"

	"sipscope/decode/frame"
)

// The same addresses and ports may belong to connections of several networks, in a tunnel each: two customers, two labs.
// And one connection may come on several paths: two mirrors of it, before and after a tunnel, a handover. What its
// packets were in does not tell which it is; their sequence numbers and bytes do.
//
// A path belongs to the connection in which it was seen first. A segment on a path that is new joins the connection
// whose stream it goes on with or repeats, byte for byte as far as that is remembered, and begins another one where there
// is none. Where a path of several belies what the others brought, it leaves.

// Bounds of what decides that.
const (
	maxLanes    = 64            // connections of the same addresses and ports, in a direction
	maxPaths    = 16            // of one connection, in a direction
	recentBytes = 1024          // remembered of a stream that may be on several paths
	joinWindow  = 128 << 10     // bytes between two paths of a connection: what a mirror is late by, or lost
	copyAge     = 1_000_000_000 // between two sights of a handshake, ns: mirrors are late by less, and ports live longer
	smallestHit = 16            // bytes that are no coincidence: more than keep-alives have
)

// lane is the paths of a connection in a direction. The zero value is a connection in nothing.
type lane struct {
	path frame.Path
	more []frame.Path // others, the oldest first
}

// has reports whether a path is one of the lane's.
func (l *lane) has(p *frame.Path) bool {
	return l.path == *p || slices.Contains(l.more, *p)
}

// like reports whether a path is in the same tags, labels and tunnels as one of the lane's, whatever their ends and
// directions.
func (l *lane) like(p *frame.Path) bool {
	shape := p.Shape()
	if l.path.Shape() == shape {
		return true
	}
	for i := range l.more {
		if l.more[i].Shape() == shape {
			return true
		}
	}
	return false
}

// join adds a path, in the place of the oldest where there are too many.
func (l *lane) join(p *frame.Path) {
	if len(l.more) == maxPaths-1 {
		l.path = l.more[0]
		l.more = append(l.more[:0], l.more[1:]...)
	}
	l.more = append(l.more, *p)
}

// leave takes a path off. It reports whether others are left; where there are none, nothing changes.
func (l *lane) leave(p *frame.Path) (left bool) {
	if len(l.more) == 0 {
		return false
	}
	if l.path == *p {
		l.path = l.more[0]
		l.more = append(l.more[:0], l.more[1:]...)
		return true
	}
	if i := slices.Index(l.more, *p); i >= 0 {
		l.more = slices.Delete(l.more, i, i+1)
	}
	return true
}

// near reports whether two sequence numbers may be of one connection.
func near(a, b uint32, window int) bool {
	d := distance(a, b)
	return -window <= d && d <= window
}

// laneOf finds or makes the direction that a segment belongs to. head is the first of the same addresses and ports.
func (a *Assembler) laneOf(head *flow, s *Segment) *flow {
	f, n := head, 0
	for f != nil && !f.has(&s.Path) {
		f, n = f.twin, n+1
	}
	var left *flow
	if f != nil && len(f.more) > 0 && f.belies(s) {
		left = f
		f.leave(&s.Path)
		f.partFrom(&s.Path)
		n, f = 0, nil
	}
	if v := a.joined(head, f, s); v != nil {
		if f != nil && !f.leave(&s.Path) {
			a.remove(f)
		}
		return v
	}
	if f != nil {
		return f
	}
	if n >= maxLanes {
		a.Counters.Evicted++
		a.remove(stalest(head))
	}
	made := newLane(s)
	if left != nil {
		made.startLike(left, s.Seq)
	}
	return a.begin(made, s)
}

// joined looks for another direction than f to which a segment belongs by its bytes, and has its path join that. Where
// f has the path already, the evidence must be better than that the segment would fit.
func (a *Assembler) joined(head, f *flow, s *Segment) *flow {
	for v := head; v != nil; v = v.twin {
		if v == f {
			continue
		}
		fits := v.fits(s)
		if fits && f != nil && f.has(&s.Path) {
			fits = s.Flags&frame.SYN != 0 && !f.fits(s) || len(s.Payload) > 0 && (!f.known && !f.ignored || v.repeats(s))
		}
		if fits {
			v.join(&s.Path)
			return v
		}
	}
	return nil
}

// newLane makes a direction for a segment whose path belongs to no other one.
func newLane(s *Segment) *flow {
	n := &flow{key: keyOf(s.Src, s.Dst), src: s.Src, dst: s.Dst, lane: lane{path: s.Path}}
	n.confirm = true
	return n
}

// startLike begins a direction at seq where o does, to which its path belonged until now: both had the same SYN.
func (f *flow) startLike(o *flow, seq uint32) {
	if o.hasSYN && o.first == seq {
		f.next, f.first, f.known, f.hasSYN, f.born, f.confirm = seq, seq, true, true, o.born, false
	}
}

// begin remembers a new direction, and the other one of the same connection.
func (a *Assembler) begin(f *flow, s *Segment) *flow {
	if head := a.flows[f.key]; head != nil {
		f.twin, head.twin = head.twin, f
	} else {
		a.flows[f.key] = f
	}
	a.directions++
	a.pair(f, s)
	return f
}

// forgetKey takes a direction out of those of its addresses and ports.
func (a *Assembler) forgetKey(f *flow) {
	a.directions--
	head := a.flows[f.key]
	switch {
	case head != f:
		for head.twin != f {
			head = head.twin
		}
		head.twin = f.twin
	case f.twin != nil:
		a.flows[f.key] = f.twin
	default:
		delete(a.flows, f.key)
	}
}

// pair finds the other direction of a connection. Where there are several it is the one whose bytes the segment
// acknowledges; among such, one in the same tunnels.
func (a *Assembler) pair(f *flow, s *Segment) {
	var best *flow
	bestScore := 0
	for p := a.flows[keyOf(s.Dst, s.Src)]; p != nil; p = p.twin {
		if p == f || p.peer != nil {
			continue
		}
		score := 1
		if p.known && !p.ignored && (!s.Path.IsZero() || !p.path.IsZero()) {
			if s.Flags&frame.ACK == 0 || !near(p.next, s.Ack, a.limits.MaxDistance) {
				continue
			}
			score += 2
		}
		if p.like(&s.Path) {
			score++
		}
		if score > bestScore {
			best, bestScore = p, score
		}
	}
	if best != nil {
		f.peer, best.peer = best, f
	}
}

// partFrom gives up the other direction of f when that is of the connection to which a path has gone.
func (f *flow) partFrom(gone *frame.Path) {
	p := f.peer
	if p == nil || !p.like(gone) || p.like(&f.path) {
		return
	}
	for i := range f.more {
		if p.like(&f.more[i]) {
			return
		}
	}
	f.peer, p.peer = nil, nil
}

// stalest gives the direction of the same addresses and ports that was silent for longest.
func stalest(head *flow) *flow {
	old := head
	for f := head; f != nil; f = f.twin {
		if f.last < old.last {
			old = f
		}
	}
	return old
}

// fits reports whether a segment, on whatever path, goes on with this direction or repeats it.
func (f *flow) fits(s *Segment) bool {
	switch {
	case !f.known || f.ignored:
		return false
	case s.Flags&frame.SYN != 0:
		return f.first == s.Seq+1 && s.Time-f.born <= copyAge
	case !near(f.next, s.Seq, joinWindow):
		return false
	case s.Flags&frame.ACK != 0 && f.peer != nil && f.peer.known && !f.peer.ignored && !near(f.peer.next, s.Ack, joinWindow):
		return false
	}
	_, differ := f.compare(s)
	return !differ
}

// repeats reports whether a segment is another sight of the newest bytes of this direction.
func (f *flow) repeats(s *Segment) bool {
	same, differ := f.compare(s)
	return same >= smallestHit && !differ && s.Time-f.last <= copyAge
}

// belies reports whether a segment cannot be of the same connection as the others of this direction.
func (f *flow) belies(s *Segment) bool {
	switch {
	case !f.known || f.ignored || f.loose || s.Flags&frame.RST != 0:
		return false
	case s.Flags&frame.SYN != 0:
		return f.first != s.Seq+1
	case !near(f.next, s.Seq, joinWindow):
		return true
	}
	_, differ := f.compare(s)
	return differ
}

// compare compares a segment with what is remembered: same is the bytes that both have, all of them equal unless they
// differ. A single byte may be a probe's, which says nothing (RFC 9293 3.8.4).
func (f *flow) compare(s *Segment) (same int, differ bool) {
	b, seq := s.Payload, s.Seq
	if s.Flags&frame.SYN != 0 {
		seq++
	}
	if len(b) <= 1 || len(f.recent) == 0 || f.recentEnd != f.next {
		return 0, false
	}
	at := distance(f.next, seq) + len(f.recent) // of b in recent
	if at < 0 {
		if -at >= len(b) {
			return 0, false
		}
		b, at = b[-at:], 0
	}
	if at >= len(f.recent) {
		return 0, false
	}
	n := min(len(b), len(f.recent)-at)
	return n, !bytes.Equal(b[:n], f.recent[at:at+n])
}

// remember keeps the newest bytes of a direction, which begin at f.next, where there are tunnels. Of what comes out of a
// conduit nothing comes twice.
func (a *Assembler) remember(f *flow, b []byte) {
	if !a.pathed || f.layer != 0 {
		return
	}
	if f.recent == nil {
		f.recent = make([]byte, 0, recentBytes)
		if a.recent += recentBytes; a.recent > a.limits.Total/8 {
			a.forgetRecent()
		}
	}
	if f.recentEnd != f.next {
		f.recent = f.recent[:0]
	}
	f.recentEnd = f.next + uint32(len(b)) //nolint:gosec // below 64 KiB
	if len(b) >= recentBytes {
		f.recent = append(f.recent[:0], b[len(b)-recentBytes:]...)
		return
	}
	if over := len(f.recent) + len(b) - recentBytes; over > 0 {
		f.recent = f.recent[:copy(f.recent, f.recent[over:])]
	}
	f.recent = append(f.recent, b...)
}

// forgetRecent takes from half of what is remembered, that of the longest silent. Their paths are judged by sequence
// numbers alone then.
func (a *Assembler) forgetRecent() {
	for f := a.oldest; f != nil && a.recent > a.limits.Total/16; f = f.newer {
		a.dropRecent(f)
	}
}

func (a *Assembler) dropRecent(f *flow) {
	if f.recent != nil {
		f.recent = nil
		a.recent -= recentBytes
	}
}
