package main

import (
	"io"
	"sync"
)

// behind writes to w in a goroutine of its own, so that encoding a long list and handing it to the system overlap. It
// takes ownership of nothing: Write copies. Close waits for the end and gives the first error.
type behind struct {
	full, empty chan []byte
	buf         []byte
	wg          sync.WaitGroup

	mu  sync.Mutex
	err error
}

// behindSize is a buffer's size; there are three: one fills, one waits, one is written.
const behindSize = 256 << 10

func newBehind(w io.Writer) *behind {
	b := &behind{full: make(chan []byte, 2), empty: make(chan []byte, 3), buf: make([]byte, 0, behindSize)}
	for range 2 {
		b.empty <- make([]byte, 0, behindSize)
	}
	b.wg.Go(func() {
		for buf := range b.full {
			if b.failed() == nil {
				if _, err := w.Write(buf); err != nil {
					b.mu.Lock()
					b.err = err
					b.mu.Unlock()
				}
			}
			b.empty <- buf[:0]
		}
	})
	return b
}

func (b *behind) failed() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// Write implements io.Writer. An error of the writer beneath is given by a later Write, or by Close.
func (b *behind) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		k := copy(b.buf[len(b.buf):cap(b.buf)], p)
		b.buf, p = b.buf[:len(b.buf)+k], p[k:]
		if len(b.buf) == cap(b.buf) {
			b.full <- b.buf
			b.buf = <-b.empty
			if err := b.failed(); err != nil {
				return n - len(p), err
			}
		}
	}
	return n, nil
}

// Close writes what is left.
func (b *behind) Close() error {
	if len(b.buf) > 0 {
		b.full <- b.buf
		b.buf = nil
	}
	close(b.full)
	b.wg.Wait()
	return b.err
}
