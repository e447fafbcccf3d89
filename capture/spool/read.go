package spool

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"sipscope/capture"
)

// ReadAt fills p with bytes of a packet that Next gave with loc, or from the middle of it on. It gives
// capture.ErrNotKept where loc says that nothing was kept, and capture.ErrGone when the packet was overwritten.
func (s *Spool) ReadAt(loc capture.Loc, p []byte) error {
	if loc.Off < 0 {
		return fmt.Errorf("spool: %w: the disk was too slow or full", capture.ErrNotKept)
	}
	n, err := s.readAt(p, loc.Off)
	if err == nil && n < len(p) {
		err = fmt.Errorf("%d bytes wanted, %d there: %w", len(p), n, io.ErrUnexpectedEOF)
	}
	if err != nil {
		return fmt.Errorf("spool: offset %d: %w", loc.Off, err)
	}
	return nil
}

// readAt reads up to len(p) bytes from one place: the queue, or a segment.
func (s *Spool) readAt(p []byte, off int64) (int, error) {
	s.mu.Lock()
	if c := s.find(off); c != nil {
		n := copy(p, c.buf[off-c.base:])
		s.mu.Unlock()
		return n, nil
	}
	g := within(s.segments, off)
	if g == nil {
		err := s.missing(off)
		s.mu.Unlock()
		return 0, err
	}
	g.refs++
	size := g.size
	s.mu.Unlock()
	n, err := g.read(p, off, size)
	if cerr := s.release(g); err == nil {
		err = cerr
	}
	return n, err
}

// missing says why an offset is in no place.
func (s *Spool) missing(off int64) error {
	switch {
	case s.closed:
		return errClosed
	case off >= s.end:
		return fmt.Errorf("%w: %d bytes were kept", io.ErrUnexpectedEOF, s.end)
	}
	return capture.ErrGone
}

// within gives the segment that holds an offset, or nil.
func within(segments []*segment, off int64) *segment {
	i, ok := slices.BinarySearchFunc(segments, off, func(g *segment, off int64) int {
		switch {
		case g.end() <= off:
			return -1
		case g.base > off:
			return 1
		}
		return 0
	})
	if !ok {
		return nil
	}
	return segments[i]
}

// read reads from a segment that has size bytes, and whose file the caller holds.
func (g *segment) read(p []byte, off, size int64) (int, error) {
	p = p[:min(int64(len(p)), g.base+size-off)]
	n, err := g.file.ReadAt(p, g.head+off-g.base)
	if n < len(p) && errors.Is(err, io.EOF) {
		err = fmt.Errorf("%s was cut: %w", g.path, io.ErrUnexpectedEOF)
	}
	if n == len(p) {
		err = nil
	}
	return n, err
}
