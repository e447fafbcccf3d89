package capture

import (
	"io"
	"sync"
)

// aheadSize is how much a goroutine reads ahead at a time, and aheadBuffers how many such pieces are on their way:
// while one is copied out and one waits, the third is being filled.
const (
	aheadSize    = 128 << 10
	minAheadSize = 16 << 10
	allAhead     = 32 << 20 // bytes that these pieces may take over all files
	aheadBuffers = 3
)

// aheadFor is the size of a piece when n files are open at once.
func aheadFor(n int) int {
	return max(minAheadSize, min(aheadSize, allAhead/aheadBuffers/max(n, 1)))
}

// piece is what one goroutine hands to the other.
type piece struct {
	b   []byte
	err error // what ended the input, after b
}

// readAhead reads an input in a goroutine of its own: decompression runs beside the parsing, and a pipe that is silent
// holds nobody up who has a context to cancel. Read is used by one goroutine.
type readAhead struct {
	size int  // bytes of a piece
	fill bool // no read of the input waits for long: pieces are filled while nobody waits for them
	full chan piece
	free chan []byte
	done chan struct{} // closed by close
	end  chan struct{} // closed when the goroutine has ended
	once sync.Once

	cancel <-chan struct{} // of the Next under way; nil: never
	cur    []byte          // the piece being copied out
	rest   []byte          // of cur
	err    error           // after rest
}

// newReadAhead starts the goroutine. open makes the reader in it, since it may have to read; shut is called in it at
// the end, when the reader is no longer used. fill is for inputs that never fall silent, such as files.
func newReadAhead(size int, fill bool, open func() (r io.Reader, shut func(), err error)) *readAhead {
	a := &readAhead{
		size: size, fill: fill,
		full: make(chan piece, aheadBuffers), free: make(chan []byte, aheadBuffers),
		done: make(chan struct{}), end: make(chan struct{}),
	}
	for range aheadBuffers {
		a.free <- nil // made when first used
	}
	go a.run(open)
	return a
}

func (a *readAhead) run(open func() (io.Reader, func(), error)) {
	defer close(a.end)
	r, shut, err := open()
	if err != nil {
		a.full <- piece{err: err} // has room: nothing was sent
		return
	}
	defer shut()
	for idle := 0; ; {
		var buf []byte
		select {
		case buf = <-a.free:
		case <-a.done:
			return
		}
		if buf == nil {
			buf = make([]byte, a.size)
		}
		n, err := a.readSome(r, buf[:a.size])
		if idle++; n > 0 {
			idle = 0
		}
		if idle >= 100 && err == nil {
			err = io.ErrNoProgress
		}
		a.full <- piece{b: buf[:n], err: err} // has room: there are as many pieces as places
		if err != nil {
			return
		}
	}
}

// readSome fills buf while nobody waits for it, which is a third faster where a decompressor gives little at a time. Of an
// input that may fall silent it takes what one read gives: the next one could hold up, for as long as the silence lasts,
// bytes that somebody has begun to wait for.
func (a *readAhead) readSome(r io.Reader, buf []byte) (int, error) {
	n, err := r.Read(buf)
	for a.fill && err == nil && n > 0 && n < len(buf) && len(a.full) > 0 {
		var k int
		if k, err = r.Read(buf[n:]); k == 0 {
			break
		}
		n += k
	}
	return n, err
}

// Read gives what was read ahead. It gives errCanceled, which does not last, when the caller's context ends.
func (a *readAhead) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.err != nil {
			return 0, a.err
		}
		if a.cur != nil {
			a.free <- a.cur[:0] // has room: there are as many pieces as places
			a.cur = nil
		}
		select {
		case x := <-a.full:
			a.cur, a.rest, a.err = x.b, x.b, x.err
		case <-a.cancel:
			return 0, errCanceled
		case <-a.done:
			return 0, io.ErrClosedPipe
		}
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// close makes the goroutine end as soon as its read returns. wait waits for that.
func (a *readAhead) close() { a.once.Do(func() { close(a.done) }) }

func (a *readAhead) wait() { <-a.end }
