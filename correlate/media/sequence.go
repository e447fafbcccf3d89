package media

// Bounds of RFC 3550 A.1, the one of misordering widened to what a tap sees.
const (
	maxDropout = 3000 // a step forward beyond it is a restart of the sequence
	window     = 1024 // sequence numbers behind the highest that are remembered
)

// sequence counts by extended sequence numbers (RFC 3550 A.1, A.3). A stream that restarts its sequence begins a new
// segment; what was expected of the segments before is summed.
type sequence struct {
	max, base uint32 // extended: highest and first of the segment
	maxTS     uint32 // timestamp of the highest
	wild      uint16 // number after one that did not fit, when armed
	armed     bool
	doubles   uint8  // packets seen before, in order, with nothing new between
	double    uint32 // number after the newest packet seen before, with 1<<16 set; 0 none
	before    uint64 // expected of the segments before
	distinct  uint64 // received in them and in this one, each number once
	strays    uint64 // packets that fit nowhere
	jumps     uint64
	runs      uint64 // of losses: how often packets were passed over
	seen      [window / 64]uint64
}

// step is what a packet's number turned out to be.
type step uint8

const (
	ahead     step = iota // the next, or some after it
	late                  // behind the highest, and not seen yet
	again                 // seen before
	restarted             // the second packet of a new segment
	rerun                 // the sequence was sent before and is sent again; manyDoubles packets before were no duplicates
	stray                 // far from all others; if the next one continues it, the sequence has restarted
)

// start begins the first segment.
func (s *sequence) start(n uint16, ts uint32) {
	s.segment(n)
	s.maxTS = ts
	s.distinct++
}

// segment begins a segment with a number.
func (s *sequence) segment(n uint16) {
	s.base = 1<<16 | uint32(n)
	s.max = s.base
	s.seen = [window / 64]uint64{}
	s.mark(s.max)
}

func (s *sequence) mark(ext uint32)     { s.seen[ext%window/64] |= 1 << (ext % 64) }
func (s *sequence) has(ext uint32) bool { return s.seen[ext%window/64]&(1<<(ext%64)) != 0 }

// take takes the next packet; broken says that its timestamp does not continue the stream's clock. It reports how many
// numbers were passed over, or how far behind the highest one that was seen before is.
func (s *sequence) take(n uint16, ts uint32, broken bool) (kind step, distance uint32) {
	forward := uint32(n - uint16(s.max)) //nolint:gosec // modulo 2^16 is meant
	switch {
	case forward == 0:
		return s.behind(n, 0, ts)
	case forward < maxDropout && (!broken || forward < smallGap):
		s.advance(forward)
		s.maxTS, s.armed, s.doubles = ts, false, 0
		s.distinct++
		if forward > 1 {
			s.runs++
		}
		return ahead, forward - 1
	case forward > 1<<16-window:
		return s.behind(n, 1<<16-forward, ts)
	default:
		return s.jump(n, ts), 0
	}
}

// smallGap is how many packets may be missing where the sender's clock breaks, too: a burst of losses around a change of
// source.
const smallGap = 16

// behind takes a number at or behind the highest: late, seen before, or a sequence that began again, which only its
// timestamps tell from duplicates.
func (s *sequence) behind(n uint16, back uint32, ts uint32) (step, uint32) {
	if int32(ts-s.maxTS) > 0 { //nolint:gosec // modulo 2^32 is meant
		return s.jump(n, ts), 0
	}
	ext := s.max - back
	if s.has(ext) {
		if s.doubled(n) > manyDoubles && back >= smallGap {
			return s.rerun(n, ts), 0
		}
		return again, back
	}
	s.doubles = 0
	s.mark(ext)
	if ext >= s.base {
		s.distinct++
	}
	return late, 0
}

// doubled counts a packet seen before among those in order. Copies that lag, so that new packets come between them, are no
// beginning of a sequence sent once more, nor are the last of them, which no new packet parts.
func (s *sequence) doubled(n uint16) uint8 {
	switch {
	case s.double != 1<<16|uint32(n):
		s.doubles = 1
	case s.doubles > 0:
		s.doubles++
	}
	s.double = 1<<16 | uint32(n+1)
	return s.doubles
}

// manyDoubles is how many packets in order, all seen before and all far behind, a network may double before they are the
// same sequence sent once more.
const manyDoubles = 3

// rerun begins a segment with a number that was sent before, and so were manyDoubles before it.
func (s *sequence) rerun(n uint16, ts uint32) step {
	s.before += uint64(s.max - s.base + 1)
	s.segment(n - manyDoubles)
	for range manyDoubles {
		s.advance(1)
	}
	s.distinct += manyDoubles + 1
	s.maxTS, s.armed, s.doubles = ts, false, 0
	s.jumps++
	return rerun
}

// jump takes a number that does not fit. Two in order are a restart (RFC 3550 A.1).
func (s *sequence) jump(n uint16, ts uint32) step {
	if !s.armed || n != s.wild {
		s.armed, s.wild = true, n+1
		s.strays++
		return stray
	}
	s.before += uint64(s.max - s.base + 1)
	s.segment(n - 1)
	s.advance(1)
	s.maxTS, s.armed = ts, false
	s.strays-- // the packet before was the first of the segment
	s.distinct += 2
	s.jumps++
	return restarted
}

// advance moves the highest number on, and forgets those that leave the window.
func (s *sequence) advance(by uint32) {
	if by >= window {
		s.seen = [window / 64]uint64{}
	} else {
		for ext := s.max + 1; ext != s.max+by; ext++ {
			s.seen[ext%window/64] &^= 1 << (ext % 64)
		}
	}
	s.max += by
	s.mark(s.max)
}

// expected is how many packets the sender sent as far as the numbers tell (RFC 3550 A.3).
func (s *sequence) expected() uint64 { return s.before + uint64(s.max-s.base+1) + s.strays }

// missing is how many distinct numbers never came.
func (s *sequence) missing() uint64 { return s.before + uint64(s.max-s.base+1) - s.distinct }
