package capture

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sync"
	"sync/atomic"
)

// handle is an open file that several Files may share: the one that read it first, and those reopened.
type handle struct {
	f       *os.File
	base    int64        // where the capture begins in f
	regular bool         // can be read at any offset
	stdin   bool         // not ours to close
	wakes   bool         // a read ends by itself or when the file is closed
	size    atomic.Int64 // bytes on disk when opened, 0 when unknown
	refs    atomic.Int32
	remove  string // a temporary file that could not be unlinked while open

	mu     sync.Mutex
	failed error // a spool that could not take all bytes
}

// openHandle opens a path; "-" is standard input.
func openHandle(path string) (*handle, error) {
	if path == "-" {
		return newHandle(os.Stdin, true)
	}
	f, err := os.Open(path)
	if err != nil {
		if why, ok := errors.AsType[*os.PathError](err); ok {
			err = why.Err // the caller names the file
		}
		return nil, err
	}
	h, err := newHandle(f, false)
	if err != nil {
		_ = f.Close()
	}
	return h, err
}

func newHandle(f *os.File, stdin bool) (*handle, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.IsDir() {
		return nil, fmt.Errorf("%w (pcap or pcapng expected, it is a directory)", ErrFormat)
	}
	h := &handle{f: f, stdin: stdin}
	h.refs.Store(1)
	h.wakes = st.Mode().IsRegular() || !stdin && st.Mode()&(os.ModeNamedPipe|os.ModeSocket) != 0
	if st.Mode().IsRegular() {
		// Standard input may be a file that somebody has read the beginning of.
		if h.base, err = f.Seek(0, io.SeekCurrent); err == nil {
			h.regular = true
			h.size.Store(max(0, st.Size()-h.base))
		}
	}
	return h, nil
}

// newSpool makes a temporary file without a name, which is gone when the last one closes it.
func newSpool(dir string) (*handle, error) {
	f, err := os.CreateTemp(dir, "sipscope-*")
	if err != nil {
		return nil, err
	}
	h := &handle{f: f, regular: true, wakes: true}
	h.refs.Store(1)
	if err := os.Remove(f.Name()); err != nil {
		h.remove = f.Name() // not every system lets go of the name of an open file
	}
	return h, nil
}

func (h *handle) share() *handle {
	h.refs.Add(1)
	return h
}

func (h *handle) close() error {
	if h.refs.Add(-1) > 0 || h.stdin {
		return nil
	}
	err := h.f.Close()
	if h.remove != "" {
		err = errors.Join(err, os.Remove(h.remove))
	}
	return err
}

// whole reads the capture from its beginning, without moving the file's own position where it can be avoided.
func (h *handle) whole() io.Reader {
	if h.regular {
		return io.NewSectionReader(h.f, h.base, math.MaxInt64-h.base)
	}
	return h.f
}

// readAt fills p from an offset of the capture.
func (h *handle) readAt(p []byte, off int64) error {
	if off < 0 || off > math.MaxInt64-h.base-int64(len(p)) {
		return io.ErrUnexpectedEOF
	}
	n, err := h.f.ReadAt(p, h.base+off)
	if n == len(p) {
		return nil
	}
	if why := h.failure(); why != nil {
		return why
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%d bytes wanted, %d there: %w", len(p), n, io.ErrUnexpectedEOF)
	}
	return err
}

func (h *handle) failure() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failed
}

// tee copies what is read from r into the spool. When the spool cannot take it (a full disk), the reading goes on and
// whoever wants the bytes again is told why they are not there.
type tee struct {
	r     io.Reader
	spool *handle
	full  bool
}

func (t *tee) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	if n > 0 && !t.full {
		if _, werr := t.spool.f.Write(p[:n]); werr != nil {
			t.full = true
			t.spool.mu.Lock()
			t.spool.failed = fmt.Errorf("%w: the temporary copy failed: %w", ErrNotKept, werr)
			t.spool.mu.Unlock()
		}
	}
	return n, err
}

// counter counts what is read, for progress.
type counter struct {
	r io.Reader
	n atomic.Int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}
