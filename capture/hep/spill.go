package hep

import (
	"errors"
	"fmt"
	"os"
)

// spill is a queue of bytes on disk: a file of bounded size, written round and round, that has no name where the system
// allows it, so that nothing stays behind. It has one user at a time.
type spill struct {
	dir      string
	limit    int64
	f        *os.File // nil before the first byte
	from, to int64    // of the whole stream that went through; modulo limit in the file
}

// size is how many bytes wait.
func (s *spill) size() int64 { return s.to - s.from }

// put appends b, or nothing with an error.
func (s *spill) put(b []byte) error {
	if s.size()+int64(len(b)) > s.limit {
		return fmt.Errorf("%d bytes wait on disk: %w", s.size(), ErrFull)
	}
	if s.f == nil {
		f, err := os.CreateTemp(s.dir, "sipscope-hep-*")
		if err != nil {
			return fmt.Errorf("buffer on disk: %w", err)
		}
		s.f = f
		_ = os.Remove(f.Name()) // where this fails, close does it
	}
	at := s.to % s.limit
	n := min(int64(len(b)), s.limit-at)
	_, err := s.f.WriteAt(b[:n], at)
	if err == nil && n < int64(len(b)) {
		_, err = s.f.WriteAt(b[n:], 0)
	}
	if err != nil {
		return fmt.Errorf("buffer on disk: %w", err)
	}
	s.to += int64(len(b))
	return nil
}

// take fills b with the first bytes, as many as there are.
func (s *spill) take(b []byte) (int, error) {
	at := s.from % max(1, s.limit)
	n := min(int64(len(b)), s.size(), s.limit-at)
	if n == 0 {
		return 0, nil
	}
	if _, err := s.f.ReadAt(b[:n], at); err != nil {
		return 0, fmt.Errorf("buffer on disk: %w", err)
	}
	if s.from += n; s.from == s.to {
		s.clear()
	}
	return int(n), nil
}

// clear forgets everything and gives the disk back.
func (s *spill) clear() {
	s.from, s.to = 0, 0
	if s.f != nil {
		_ = s.f.Truncate(0)
	}
}

// close removes the file.
func (s *spill) close() error {
	if s.f == nil {
		return nil
	}
	err := s.f.Close()
	if rerr := os.Remove(s.f.Name()); rerr != nil && !errors.Is(rerr, os.ErrNotExist) {
		err = errors.Join(err, rerr)
	}
	s.f, s.from, s.to = nil, 0, 0
	return err
}
