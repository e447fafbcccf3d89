package capture

import (
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
)

// blockSize is how much is read at once: large enough that a read(2) call costs below 1 ns a packet, small enough that
// the dozen blocks in flight stay within some MiB. With many files open, each has smaller blocks (see sizeFor).
const (
	blockSize    = 512 << 10
	minBlockSize = 16 << 10
	allBlocks    = 32 << 20 // bytes that the blocks being read into may take over all files
)

// sizeFor is the block size when n files are open at once.
func sizeFor(n int) int { return max(minBlockSize, min(blockSize, allBlocks/max(n, 1))) }

// block is a piece of input that packets slice into; the last one to let go of it gives it back to the pool.
type block struct {
	buf  []byte
	refs atomic.Int32
	pool *blockPool // nil for a block larger than the pool's
}

// blockPool keeps blocks of one size for reuse. It is safe for concurrent use.
type blockPool struct {
	size int
	free sync.Pool
}

func newBlockPool(size int) *blockPool {
	p := &blockPool{size: size}
	p.free.New = func() any { return &block{buf: make([]byte, size), pool: p} }
	return p
}

// get gives a block held once.
func (p *blockPool) get() *block {
	k, ok := p.free.Get().(*block)
	if !ok { // the pool makes nothing else
		k = &block{buf: make([]byte, p.size), pool: p}
	}
	k.refs.Store(1)
	return k
}

func (k *block) release() {
	if k.refs.Add(-1) == 0 && k.pool != nil {
		k.pool.free.Put(k)
	}
}

// Release gives the batch's bytes back; its packets must not be used afterwards. It may be called from any goroutine
// that owns the batch, and again.
func (b *Batch) Release() {
	b.SetBack = false
	for _, k := range b.blocks {
		if k.pool == nil {
			clear(b.Packets) // the collector may have a block that no pool wants back
		}
		k.release()
	}
	clear(b.blocks)
	b.blocks = b.blocks[:0]
	if len(b.holders) > 0 {
		clear(b.Packets)
		for _, h := range b.holders {
			h.Release()
		}
		clear(b.holders)
		b.holders = b.holders[:0]
	}
	b.Packets = b.Packets[:0]
}

// until drops the packets after last, and the time that they reached. now is the time reached before the batch.
func (b *Batch) until(last uint64, now int64) {
	n := 0
	for n < len(b.Packets) && b.Packets[n].Seq <= last {
		if now = max(now, b.Packets[n].Time); b.Packets[n].Seq == 1 {
			now = b.Packets[n].Time
		}
		n++
	}
	clear(b.Packets[n:])
	b.Packets, b.Now = b.Packets[:n], now
}

// hold makes the batch keep a block until its Release.
func (b *Batch) hold(k *block) {
	if slices.Contains(b.blocks, k) {
		return
	}
	k.refs.Add(1)
	b.blocks = append(b.blocks, k)
}

// Memory gives batches room for bytes that come from elsewhere than a file: a socket, a script. It has one owner; what it
// gave may be released by any goroutine.
type Memory struct {
	pool *blockPool
	cur  *block // held
	used int    // of cur
}

// NewMemory makes one whose blocks have size bytes, or 512 KiB for 0. A longer packet gets a block of its own.
func NewMemory(size int) *Memory {
	if size <= 0 {
		size = blockSize
	}
	return &Memory{pool: newBlockPool(size)}
}

// Bytes gives n bytes that belong to the batch until its Release. They hold whatever was there before.
func (m *Memory) Bytes(b *Batch, n int) []byte {
	if n > m.pool.size {
		return make([]byte, n)
	}
	if m.cur == nil || len(m.cur.buf)-m.used < n {
		if m.cur != nil {
			m.cur.release()
		}
		m.cur, m.used = m.pool.get(), 0
	}
	b.hold(m.cur)
	m.used += n
	return m.cur.buf[m.used-n : m.used : m.used]
}

// Close lets go of the block at hand. Batches stay valid.
func (m *Memory) Close() {
	if m.cur != nil {
		m.cur.release()
		m.cur = nil
	}
}

// room makes place for a full batch in one allocation.
func (b *Batch) room() {
	if cap(b.Packets) < MaxBatch {
		b.Packets = make([]Packet, 0, MaxBatch)
	}
}

// blockReader cuts an input into contiguous pieces without copying them, except those that straddle two blocks. Bytes
// once read into a block are never written again while somebody holds it.
type blockReader struct {
	r    io.Reader
	pool *blockPool
	cur  *block // held by the reader; nil before the first read and after close
	from int    // next unread byte in cur
	to   int    // end of what was read into cur
	off  int64  // offset of cur.buf[from] in the input
	err  error  // what ended the input
}

func newBlockReader(r io.Reader, pool *blockPool) *blockReader {
	return &blockReader{r: r, pool: pool}
}

// have gives the unread bytes at hand without reading.
func (r *blockReader) have() []byte {
	if r.cur == nil {
		return nil
	}
	return r.cur.buf[r.from:r.to:r.to]
}

// skip consumes n bytes of what have gave.
func (r *blockReader) skip(n int) {
	r.from += n
	r.off += int64(n)
}

// need reads until n bytes are at hand. When the input ends before, it gives what ended it: io.EOF, errCanceled (which
// does not last) or the error of the reading. Memory grows with the bytes that arrive, not with n.
func (r *blockReader) need(n int) error {
	for empty := 0; r.to-r.from < n; {
		if r.err != nil {
			return r.err
		}
		k, err := r.fill(n)
		switch {
		case errors.Is(err, errCanceled):
			return err
		case err != nil:
			r.err = err
		case k > 0:
			empty = 0
		default:
			if empty++; empty >= 100 { // as bufio does
				r.err = io.ErrNoProgress
			}
		}
	}
	return nil
}

// fill reads once, into a new block when the current one has little room left.
func (r *blockReader) fill(n int) (int, error) {
	if r.cur == nil || len(r.cur.buf)-r.to < r.lowRoom(n) {
		r.grow(n)
	}
	k, err := r.r.Read(r.cur.buf[r.to:])
	r.to += k
	return k, err
}

// lowRoom is the room below which a new block is worth it: an eighth of a block, so that no read is tiny; but a block
// made for one large record is filled to its end.
func (r *blockReader) lowRoom(n int) int {
	if r.cur.pool == nil && r.from == 0 && n >= len(r.cur.buf) {
		return 1
	}
	return max(1, r.pool.size/8)
}

// grow moves the unread bytes to the start of a new block. A record larger than a block gets a block of its own, at
// most twice as large as what has arrived: a length that lies costs no memory.
func (r *blockReader) grow(n int) {
	rest := r.to - r.from
	var next *block
	if n > r.pool.size && rest*2 > r.pool.size {
		next = &block{buf: make([]byte, min(n, rest*2))}
		next.refs.Store(1)
	} else {
		next = r.pool.get()
	}
	if r.cur != nil {
		copy(next.buf, r.cur.buf[r.from:r.to])
		r.cur.release()
	}
	r.cur, r.from, r.to = next, 0, rest
}

// close lets go of the current block; later reads give io.ErrClosedPipe.
func (r *blockReader) close() {
	if r.cur != nil {
		r.cur.release()
		r.cur = nil
	}
	r.from, r.to, r.err = 0, 0, io.ErrClosedPipe
}
