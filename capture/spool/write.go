package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"syscall"

	"sipscope/capture"
)

// segment is one file of the ring. Its fields belong to the spool's lock, but for the file and what never changes.
type segment struct {
	path    string
	file    *os.File
	head    int64  // bytes of the headers in it
	base    int64  // offset of its first block after them
	size    int64  // bytes of whole blocks after them
	packets uint64 // in it
	first   uint64 // Seq of the first of them
	time    int64  // and its time
	refs    int    // the ring, passes and reads that need the file open
}

// end is the offset after the segment's last block so far.
func (g *segment) end() int64 { return g.base + g.size }

// write appends to the file and says how much of b is there. File.WriteAt would not, when the disk is full.
func (g *segment) write(b []byte) (int, error) {
	if _, err := g.file.Seek(g.head+g.size, io.SeekStart); err != nil {
		return 0, err
	}
	return g.file.Write(b)
}

// file is a segment of an earlier run: it counts, and goes.
type file struct {
	path   string
	size   int64
	number uint64
}

// write is the writer: it puts sealed chunks on the disk until the spool is closed.
func (s *Spool) write() {
	defer close(s.ended)
	for {
		c := s.await()
		if c == nil {
			return
		}
		err := s.put(c)
		s.mu.Lock()
		if s.failing = err; err != nil {
			s.failedAt = s.now
			if s.closing {
				s.mu.Unlock()
				return
			}
		} else {
			s.recycle()
		}
		s.mu.Unlock()
	}
}

// await gives the first sealed chunk, when it is time to write, or nil when there will be none.
func (s *Spool) await() *chunk {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		ready := len(s.chunks) > 0 && s.chunks[0].sealed
		switch {
		case s.closing && (!ready || s.dir.temporary && len(s.passes) == 0): // nobody would read it
			return nil
		case ready && (s.closing || s.failing == nil || s.now-s.failedAt >= second || s.now < s.failedAt):
			return s.chunks[0]
		}
		s.wake.Wait()
	}
}

// put writes what is left of a chunk. What is written stays whole, whatever comes; what is not stays in the chunk.
func (s *Spool) put(c *chunk) error {
	for c.done < len(c.buf) {
		left := len(c.buf) - c.done
		if s.current != nil && s.current.size+int64(left) > s.segment && s.current.size > 0 {
			s.finish()
		}
		if s.current == nil {
			if err := s.begin(c); err != nil {
				return err
			}
		}
		if err := s.makeRoom(int64(left)); err != nil {
			return err
		}
		g := s.current
		n, err := g.write(c.buf[c.done:])
		whole := c.whole(n)
		s.took(c, whole)
		if err == nil {
			continue
		}
		cut := g.file.Truncate(g.head + g.size)
		if retry := s.yield(err, cut); !retry {
			return errors.Join(err, cut)
		}
	}
	return nil
}

// took says that n bytes of a chunk are in the current segment.
func (s *Spool) took(c *chunk, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.current
	first, time := c.first, c.time
	packets := c.advance(n)
	if g.packets == 0 && packets > 0 {
		g.first, g.time = first, time
	}
	g.packets += packets
	g.size += int64(n)
	s.disk += int64(n)
	s.stats.Bytes += int64(n)
}

// yield does what there is to do about a failed write, and tells whether it is worth trying again at once. cut is why the
// file could not be cut to its last whole block.
func (s *Spool) yield(err, cut error) bool {
	if !isFull(err) || cut != nil {
		s.finish() // its file may be broken: go on in another
		return false
	}
	s.tight = true
	if removed, rerr := s.removeOldest(); removed || rerr != nil {
		return removed
	}
	// All that this run has on the full disk is the current segment. It becomes what can go, and what follows is cut
	// into smaller pieces, so that the ring turns over within what the disk has.
	if s.current == nil || s.current.size < 2*minSegment {
		return false
	}
	s.segment = max(minSegment, s.current.size/4)
	s.finish()
	return true
}

// isFull tells that a disk, or what this user may have of it, is full.
func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// finish ends the current segment.
func (s *Spool) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = nil
}

// begin makes the segment that a chunk goes to.
func (s *Spool) begin(c *chunk) error {
	s.mu.Lock()
	known := s.ifaces[:c.ifaces]
	s.mu.Unlock()
	head := capture.AppendNGSection(nil, "sipscope")
	for i := range known {
		head = append(head, known[i].block...)
	}
	for {
		err := s.makeRoom(int64(len(head) + len(c.buf) - c.done))
		if err != nil {
			return err
		}
		g, err := s.create(head)
		if err == nil {
			g.base, g.refs = c.base+int64(c.done), 1
			s.add(g)
			return nil
		}
		if !isFull(err) {
			return err
		}
		s.tight = true
		if removed, _ := s.removeOldest(); !removed {
			return err
		}
	}
}

// create makes the file of a segment with its headers.
func (s *Spool) create(head []byte) (*segment, error) {
	for range 100 { // names that somebody else has taken are passed over
		s.dir.number++
		path := s.segmentPath(s.dir.number)
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if _, err = f.Write(head); err != nil {
			return nil, errors.Join(err, f.Close(), os.Remove(path))
		}
		return &segment{path: path, file: f, head: int64(len(head))}, nil
	}
	return nil, fmt.Errorf("%s: %w", s.segmentPath(s.dir.number), fs.ErrExist)
}

// add makes a segment the current one.
func (s *Spool) add(g *segment) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.tight {
		s.segment = min(s.segment*2, s.o.Segment)
	}
	s.tight = false
	s.current = g
	s.segments = append(s.segments, g)
	s.disk += g.head
	for _, p := range s.passes {
		if g.base < p.end {
			g.refs++
			p.segments = append(p.segments, g)
		}
	}
}

// makeRoom removes the oldest segments until n more bytes stay within Size.
func (s *Spool) makeRoom(n int64) error {
	for {
		s.mu.Lock()
		fits := s.disk+n <= s.o.Size
		s.mu.Unlock()
		if fits {
			return nil
		}
		if removed, err := s.removeOldest(); !removed {
			return err
		}
	}
}

// removeOldest removes the oldest segment, those of earlier runs first, and tells whether there was one beside the
// current. One that cannot be removed is emptied, or else stays and counts.
func (s *Spool) removeOldest() (bool, error) {
	s.mu.Lock()
	if len(s.earlier) > 0 {
		old := s.earlier[0]
		s.mu.Unlock()
		if err := os.Remove(old.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		s.mu.Lock()
		s.earlier = s.earlier[1:]
		s.disk -= old.size
		s.mu.Unlock()
		return true, nil
	}
	if len(s.segments) == 0 || s.segments[0] == s.current {
		s.mu.Unlock()
		return false, nil
	}
	g := s.segments[0]
	s.mu.Unlock()
	if err := os.Remove(g.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		if g.file.Truncate(0) != nil {
			return false, err
		}
	}
	s.mu.Lock()
	s.segments = slices.Delete(s.segments, 0, 1)
	s.disk -= g.head + g.size
	s.stats.Gone += g.packets
	s.mu.Unlock()
	_ = s.release(g) // nothing was written to it for long, or nobody will read it
	return true, nil
}

// release lets go of a segment's file.
func (s *Spool) release(g *segment) error {
	s.mu.Lock()
	g.refs--
	last := g.refs == 0
	s.mu.Unlock()
	if last {
		return g.file.Close()
	}
	return nil
}
