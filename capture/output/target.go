package output

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// target is the file being written, or a stream.
type target struct {
	path    string
	w       io.Writer // a stream; nil for a file
	file    *os.File  // nil for a given writer
	regular bool      // a file that can be cut
	size    int64     // bytes written
	packets uint64    // taken in for it
	first   int64     // time of the first of them
}

// openTarget makes a file. One that exists gives fs.ErrExist, unless it is empty or force is set; pipes and devices are
// written to as they are.
func openTarget(path string, mode os.FileMode, force bool) (*target, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		st, serr := os.Stat(path)
		switch {
		case serr != nil:
			return nil, serr // a link to nowhere, or gone by now
		case !st.Mode().IsRegular():
			f, err = os.OpenFile(path, os.O_WRONLY, 0)
		case force || st.Size() == 0:
			f, err = os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
		}
	}
	if err != nil {
		return nil, err
	}
	st, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	t := &target{path: path, file: f, regular: st.Mode().IsRegular()}
	if !t.regular {
		t.w = f
	}
	return t, nil
}

// write appends to the target and says how much of b is there.
func (t *target) write(b []byte) (int, error) {
	if t.w != nil {
		return t.w.Write(b)
	}
	// Not WriteAt: that does not tell how much of b is there when the disk is full.
	if _, err := t.file.Seek(t.size, io.SeekStart); err != nil {
		return 0, err
	}
	return t.file.Write(b)
}

// cut ends a file whose write failed after n bytes more that are whole, and gives the error to tell.
func (t *target) cut(n int64, err error) error {
	if t.regular {
		err = errors.Join(err, t.file.Truncate(t.size+n))
	}
	if isFull(err) {
		err = fmt.Errorf("%w: %w", ErrFull, err)
	}
	return fmt.Errorf("output %s: %w", t.path, err)
}

// isFull tells that a disk, or what this user may have of it, is full.
func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// inPlace tells whether the file still has its name.
func (t *target) inPlace() bool {
	ours, err := t.file.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(t.path)
	return err == nil && os.SameFile(ours, there)
}

func (t *target) close() error {
	if t.file == nil {
		return nil
	}
	return t.file.Close()
}
