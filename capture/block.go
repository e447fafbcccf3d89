package capture

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
)

// blockSize is how much is read at once: large enough that a read(2) call costs nothing a packet, small enough that
// the dozen blocks in flight stay within the second-level caches' reach and some MiB.
const blockSize = 512 << 10

// block is a piece of input that packets slice into; the last one to let go of it gives it back to the pool.
type block struct {
	buf  []byte
	refs atomic.Int32
	pool *sync.Pool
}

func newBlockPool() *sync.Pool {
	p := &sync.Pool{}
	p.New = func() any { return &block{buf: make([]byte, blockSize), pool: p} }
	return p
}

func (b *block) release() {
	if b.refs.Add(-1) == 0 && b.pool != nil {
		b.pool.Put(b)
	}
}

// Release gives the batch's bytes back; its packets must not be used afterwards. It may be called again.
func (b *Batch) Release() {
	for _, k := range b.blocks {
		k.release()
	}
	clear(b.blocks)
	b.blocks = b.blocks[:0]
	b.Packets = b.Packets[:0]
}

// hold makes the batch keep a block.
func (b *Batch) hold(k *block) {
	if n := len(b.blocks); n > 0 && b.blocks[n-1] == k {
		return
	}
	k.refs.Add(1)
	b.blocks = append(b.blocks, k)
}

// blockReader cuts an input into contiguous pieces without copying them, except those that straddle two blocks.
type blockReader struct {
	r    io.Reader
	pool *sync.Pool
	cur  *block // held by the reader
	from int    // next unread byte in cur
	to   int    // end of what was read into cur
	off  int64  // offset of cur.buf[from] in the input
	err  error  // what ended the input
}

func newBlockReader(r io.Reader, pool *sync.Pool) *blockReader {
	return &blockReader{r: r, pool: pool}
}

// next gives the next n bytes, which lie in r.cur. At the end of the input it gives fewer, and what ended it. Memory
// grows with the bytes that arrive, not with n.
func (r *blockReader) next(n int) ([]byte, error) {
	b, err := r.peek(n)
	r.from += len(b)
	r.off += int64(len(b))
	return b, err
}

// peek is next without consuming.
func (r *blockReader) peek(n int) ([]byte, error) {
	for r.to-r.from < n && r.err == nil {
		r.fill(n)
	}
	have := min(n, r.to-r.from)
	if r.cur == nil {
		return nil, r.err
	}
	b := r.cur.buf[r.from : r.from+have : r.from+have]
	if have < n {
		return b, r.err
	}
	return b, nil
}

// fill reads more, into a new block when the current one is full.
func (r *blockReader) fill(n int) {
	if r.cur == nil || r.to == len(r.cur.buf) {
		r.grow(n)
	}
	k, err := r.r.Read(r.cur.buf[r.to:])
	r.to += k
	if err == nil && k == 0 {
		err = io.ErrNoProgress
	}
	if err != nil && !errors.Is(err, io.ErrNoProgress) || k == 0 {
		r.err = err
	}
}

// grow moves the unread bytes to the start of a new block. A piece larger than a block gets a block of its own that at
// most doubles what has arrived.
func (r *blockReader) grow(n int) {
	rest := r.to - r.from
	next, _ := r.pool.Get().(*block)
	if n > blockSize && rest*2 > blockSize {
		next = &block{buf: make([]byte, min(n+16, rest*2))}
	}
	next.refs.Store(1)
	if r.cur != nil {
		copy(next.buf, r.cur.buf[r.from:r.to])
		r.cur.release()
	}
	r.cur, r.from, r.to = next, 0, rest
}

// skip drops n bytes.
func (r *blockReader) skip(n int) error {
	for n > 0 {
		b, err := r.next(min(n, blockSize/2))
		n -= len(b)
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *blockReader) close() {
	if r.cur != nil {
		r.cur.release()
		r.cur = nil
	}
	if r.err == nil {
		r.err = io.ErrClosedPipe
	}
}
