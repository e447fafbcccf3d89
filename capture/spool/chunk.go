package spool

import (
	"encoding/binary"
	"slices"

	"sipscope/capture"
)

// chunk is memory full of whole pcapng blocks that wait for the disk. Once sealed, its bytes never change until it is on
// the disk; its other fields belong to the spool's lock.
type chunk struct {
	buf     []byte // its capacity is fixed
	base    int64  // offset of buf[0]
	done    int    // bytes of buf that are on the disk
	sealed  bool   // full, or old: the writer may have it
	since   int64  // Batch.Now when it was begun
	ifaces  int    // interfaces described before buf[done]
	packets uint64 // from buf[done] on
	first   uint64 // Seq of the first of them
	time    int64  // and its time
}

// keep queues a packet and gives its offset, or -1.
func (s *Spool) keep(p *capture.Packet) int64 {
	number, ok := s.describe(p)
	if !ok {
		return capture.NotKept
	}
	var extra capture.NGExtra
	c := s.room(capture.NGPacketSize(p, &capture.NGExtra{ID: 1}))
	if c == nil {
		return capture.NotKept
	}
	if p.Seq != s.seq+1 || c.packets == 0 {
		extra.ID = p.Seq // else it is one more than that of the packet before
	}
	before := len(c.buf)
	out, at, err := capture.AppendNGPacket(c.buf, p, number, &extra)
	if err != nil { // no such time
		s.stats.Failed++
		return capture.NotKept
	}
	if c.packets == 0 {
		c.first, c.time = p.Seq, p.Time
	}
	c.buf = out
	c.packets++
	s.seq = p.Seq
	s.stats.Packets++
	off := s.end + int64(at-before)
	s.end += int64(len(out) - before)
	return off
}

// describe gives the number of a packet's interface. One that is new is described before the packet.
func (s *Spool) describe(p *capture.Packet) (uint32, bool) {
	key := iface{p.Link, p.Iface}
	if s.lately >= 0 && s.ifaces[s.lately].iface == key {
		return uint32(s.lately), true //nolint:gosec // below maxIfaces
	}
	n, ok := s.numbers[key]
	if !ok {
		if n, ok = s.newIface(key); !ok {
			return 0, false
		}
	}
	s.lately = n
	return uint32(n), true //nolint:gosec // below maxIfaces
}

func (s *Spool) newIface(key iface) (int, bool) {
	n := len(s.ifaces)
	if n >= maxIfaces {
		s.stats.Failed++
		return 0, false
	}
	about := capture.NGInterface{Link: key.link}
	if s.o.Names != nil {
		about.Name = s.o.Names(key.index)
	}
	block := capture.AppendNGInterface(nil, about)
	c := s.room(len(block))
	if c == nil {
		return 0, false
	}
	c.buf = append(c.buf, block...)
	s.end += int64(len(block))
	s.ifaces = append(s.ifaces, described{key, block})
	s.numbers[key] = n
	return n, true
}

// room gives the open chunk when n more bytes fit into it, else a new one. When there may be no more, what wanted to be
// there is counted, and it gives nil.
func (s *Spool) room(n int) *chunk {
	if last := len(s.chunks) - 1; last >= 0 && !s.chunks[last].sealed {
		c := s.chunks[last]
		if cap(c.buf)-len(c.buf) >= n {
			return c
		}
		s.seal()
	}
	size := max(int64(n), s.chunkSize())
	switch {
	case s.closing || int64(n) > min(s.o.Segment, s.o.Queue)-minChunk/2: // the rest is for headers
		s.stats.Failed++
		return nil
	case s.taken+size > s.o.Queue && s.failing != nil:
		s.stats.Failed++
		return nil
	case s.taken+size > s.o.Queue:
		s.stats.Dropped++
		return nil
	}
	var c *chunk
	if k := len(s.free) - 1; k >= 0 && size == s.chunkSize() {
		c, s.free[k] = s.free[k], nil
		s.free = s.free[:k]
		*c = chunk{buf: c.buf[:0]}
	} else {
		c = &chunk{buf: make([]byte, 0, size)}
	}
	c.base, c.since, c.ifaces = s.end, s.now, len(s.ifaces)
	s.taken += size
	s.chunks = append(s.chunks, c)
	return c
}

// chunkSize is the memory of a chunk, in bytes.
func (s *Spool) chunkSize() int64 {
	return max(minChunk, min(maxChunk, s.o.Segment/4, s.o.Queue/4))
}

// maxFree is how many chunks are kept for reuse for good: what a short pause of the disk needs. What a long one needed
// goes back by and by.
const maxFree = 16

// trim gives memory back: half of the chunks above maxFree a second.
func (s *Spool) trim() {
	if age := s.now - s.trimmed; age >= 0 && age < second {
		return
	}
	s.trimmed = s.now
	if more := len(s.free) - maxFree; more > 0 {
		s.free = slices.Delete(s.free, 0, (more+1)/2)
	}
}

// recycle takes the first chunk, which is on the disk, out of the queue.
func (s *Spool) recycle() {
	c := s.chunks[0]
	s.taken -= int64(cap(c.buf))
	n := copy(s.chunks, s.chunks[1:])
	s.chunks[n] = nil
	s.chunks = s.chunks[:n]
	if int64(cap(c.buf)) == s.chunkSize() {
		s.free = append(s.free, c)
	}
}

// seal gives the open chunk, if there is one, to the writer.
func (s *Spool) seal() {
	if last := len(s.chunks) - 1; last >= 0 && !s.chunks[last].sealed {
		s.chunks[last].sealed = true
		s.wake.Signal()
	}
}

// find gives the chunk that holds an offset, or nil.
func (s *Spool) find(off int64) *chunk {
	lo, hi := 0, len(s.chunks)
	for lo < hi {
		if mid := (lo + hi) / 2; s.chunks[mid].base+int64(len(s.chunks[mid].buf)) <= off {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < len(s.chunks) && s.chunks[lo].base+int64(s.chunks[lo].done) <= off {
		return s.chunks[lo]
	}
	return nil
}

// whole is how many of the n bytes after c.done are whole blocks. It reads a sealed chunk, without the lock.
func (c *chunk) whole(n int) int {
	if c.done+n == len(c.buf) {
		return n
	}
	at := 0
	for at+8 <= n {
		size := int(binary.LittleEndian.Uint32(c.buf[c.done+at+4:]))
		if at+size > n {
			break
		}
		at += size
	}
	return at
}

// advance says that n more bytes, whole blocks, are on the disk, and gives the number of packets in them.
func (c *chunk) advance(n int) uint64 {
	if c.done+n == len(c.buf) {
		done := c.packets
		c.done, c.packets = len(c.buf), 0
		return done
	}
	var done uint64
	r := blocks{buf: c.buf[c.done:], seq: c.first - 1}
	for r.at < n && r.next() {
		if r.kind == kindPacket {
			done++
		} else {
			c.ifaces++
		}
	}
	c.done += n
	c.packets -= done
	for r.next() {
		if r.kind == kindPacket {
			c.first, c.time = r.seq, r.time
			break
		}
	}
	return done
}
