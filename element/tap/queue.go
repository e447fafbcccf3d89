package tap

import (
	"slices"
	"sync/atomic"

	"sipscope/capture"
)

const (
	// chunkSize is a few hundred messages: one allocation, and one release, for all of them.
	chunkSize = 256 << 10
	// maxFree is how many empty chunks are kept: as much as a pipeline has in flight.
	maxFree = 8
)

// record is one frame of a chunk.
type record struct {
	time     int64
	from, to int
}

// chunk has frames one after the other. What was written once does not change while somebody holds the chunk.
type chunk struct {
	source  *Source
	buf     []byte // of a fixed capacity
	records []record
	next    int // first record that was not given yet
	refs    atomic.Int32
}

// Release implements capture.Holder.
func (c *chunk) Release() {
	if c.refs.Add(-1) > 0 || cap(c.buf) != chunkSize {
		return
	}
	s := c.source
	s.mu.Lock()
	if len(s.free) < maxFree {
		s.free = append(s.free, c)
	}
	s.mu.Unlock()
}

// grow makes room for a frame of that size and time, which waits from now on. The lock is held. Time never goes back: what
// was read before and is told later, such as RTP beside messages, has the time of what was told, or that of Tick.
func (s *Source) grow(now int64, size int) []byte {
	s.last = max(s.last, s.ticked, now)
	now = s.last
	c := s.filling()
	if c == nil || cap(c.buf)-len(c.buf) < size {
		c = s.chunk(size)
		s.queue = append(s.queue, c)
	}
	from := len(c.buf)
	c.buf = c.buf[:from+size]
	c.records = append(c.records, record{time: now, from: from, to: from + size})
	s.waiting++
	s.taken++
	s.bytes += size
	return c.buf[from : from+size : from+size]
}

func (s *Source) filling() *chunk {
	if n := len(s.queue); n > 0 {
		return s.queue[n-1]
	}
	return nil
}

// chunk gives an empty one, which the queue holds.
func (s *Source) chunk(size int) *chunk {
	var c *chunk
	if n := len(s.free); n > 0 && size <= chunkSize {
		c = s.free[n-1]
		s.free = s.free[:n-1]
		c.buf, c.records, c.next = c.buf[:0], c.records[:0], 0
	} else {
		c = &chunk{source: s, buf: make([]byte, 0, max(size, chunkSize))}
	}
	c.refs.Store(1)
	return c
}

// fill gives the batch what waits, as far as it takes it. ended says that nothing waits and nothing will come, ticked is
// the time that Tick told.
func (s *Source) fill(b *capture.Batch) (ended bool, ticked int64) {
	var spent []*chunk
	s.mu.Lock()
	for len(s.queue) > 0 && len(b.Packets) < capture.MaxBatch {
		c := s.queue[0]
		if c.next < len(c.records) {
			s.give(c, b)
		}
		if c.next < len(c.records) || len(s.queue) == 1 && !s.closed {
			break // there is more for another batch, or it is still being filled
		}
		s.queue = slices.Delete(s.queue, 0, 1)
		spent = append(spent, c)
	}
	ended, ticked = s.closed && len(s.queue) == 0, s.ticked
	s.mu.Unlock()
	for _, c := range spent {
		c.Release()
	}
	return ended, ticked
}

// give moves records of a chunk to the batch, which holds the chunk from then on.
func (s *Source) give(c *chunk, b *capture.Batch) {
	if b.Packets == nil {
		b.Packets = make([]capture.Packet, 0, capture.MaxBatch)
	}
	c.refs.Add(1)
	b.Hold(c)
	n := min(len(c.records)-c.next, capture.MaxBatch-len(b.Packets))
	for _, r := range c.records[c.next : c.next+n] {
		s.seq++
		b.Packets = append(b.Packets, capture.Packet{
			Seq: s.seq, Time: r.time, Data: c.buf[r.from:r.to:r.to],
			WireLen: uint32(r.to - r.from), //nolint:gosec // below 64 KiB
			Link:    capture.LinkRaw, Loc: capture.Loc{Off: capture.NotKept},
		})
		b.Now = max(b.Now, r.time)
		s.bytes -= r.to - r.from
	}
	c.next += n
	s.waiting -= n
}
