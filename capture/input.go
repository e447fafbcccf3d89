package capture

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

// input is one opened capture.
type input struct {
	index  uint16
	name   string
	source *handle // what was opened; nil when a reader was given
	// random has its uncompressed bytes: source or a spool; nil when they cannot be had again. Next's goroutine sets it,
	// any may read it.
	random atomic.Pointer[handle]
	live   bool    // a pipe: bytes come when they come
	count  counter // bytes of source that were read
	opts   Options
	piece  int // bytes that a goroutine of the chain reads at a time

	// The chain from the bytes on disk to the parser.
	stream io.Reader    // the outermost reader
	ahead  []*readAhead // the goroutines, innermost first
	magic  []byte       // sniffed from stream
	layers int          // of compression taken off
	reader fileReader   // nil until started
	ended  atomic.Bool  // reader gave what ended the file; any goroutine may read err after that

	frame uint64 // frames given to the caller, of this file
	err   error  // what ended it, set before ended
}

// newInput prepares to read from a handle, which it owns from then on.
func newInput(name string, h *handle, opts Options, piece int) *input {
	in := &input{name: name, source: h, opts: opts, live: !h.regular, piece: piece}
	if h.regular {
		in.random.Store(h)
	}
	in.count.r = h.whole()
	in.stream = &in.count
	if in.live {
		in.push(func() (io.Reader, func(), error) { return &in.count, func() {}, nil })
	}
	return in
}

// push adds a goroutine at the end of the chain.
func (in *input) push(open func() (io.Reader, func(), error)) {
	in.watch(nil) // the last one so far is read by the new goroutine from now on, without anybody's context
	a := newReadAhead(in.piece, !in.live, open)
	in.ahead = append(in.ahead, a)
	in.stream = a
}

// watch makes waiting for input end with the context whose Done channel is given.
func (in *input) watch(done <-chan struct{}) {
	if n := len(in.ahead); n > 0 {
		in.ahead[n-1].cancel = done
	}
}

// read appends packets to b, or gives what ended the file. errCanceled does not end it.
func (in *input) read(b *Batch, pool *blockPool, done <-chan struct{}) error {
	if in.ended.Load() {
		return in.err
	}
	err := in.start(pool, done)
	if err == nil {
		in.watch(done)
		err = in.reader.read(b)
	}
	if err == nil || errors.Is(err, errCanceled) {
		return err
	}
	in.finish(err)
	if in.reader != nil {
		in.reader.close() // its block is needed no more
	}
	return err
}

// finish says what ended the input.
func (in *input) finish(err error) {
	in.err = err
	in.ended.Store(true)
}

// start looks at the content and makes the reader, once. ErrFormat says that the input is no capture.
func (in *input) start(pool *blockPool, done <-chan struct{}) error {
	for in.reader == nil {
		in.watch(done)
		if err := in.fillMagic(); err != nil {
			return err
		}
		is := sniff(in.magic)
		r := &prefixed{head: in.magic, r: in.stream}
		switch is {
		case formatGzip, formatZstd, formatBzip2:
			if in.layers == maxLayers {
				return fmt.Errorf("%s: %w (compressed more than %d times)", in.name, ErrFormat, maxLayers)
			}
			in.layers++
			in.random.Store(nil) // offsets are of the uncompressed bytes
			in.magic = nil
			in.push(decompress(is, r))
		case formatPcap, formatPcapNG:
			if err := in.parse(is, r, pool); err != nil {
				return err
			}
		case formatPart:
			at := place{name: in.name}
			return at.short(0, "file header", pcapHeader, len(in.magic), io.EOF)
		default:
			if len(in.magic) == 0 {
				return fmt.Errorf("%s: %w (pcap or pcapng expected, it is empty)", in.name, ErrFormat)
			}
			return fmt.Errorf("%s: %w (pcap or pcapng expected, found %s)", in.name, ErrFormat, hint(in.magic))
		}
	}
	return nil
}

// fillMagic reads the first bytes; what it has survives a canceled context.
func (in *input) fillMagic() error {
	var buf [magicSize]byte
	for len(in.magic) < magicSize {
		n, err := in.stream.Read(buf[:magicSize-len(in.magic)])
		in.magic = append(in.magic, buf[:n]...)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errCanceled):
			return err
		case err != nil:
			at := place{name: in.name}
			return at.short(0, "file header", pcapHeader, len(in.magic), err)
		}
	}
	return nil
}

// parse makes the reader of the uncompressed bytes.
func (in *input) parse(is format, r io.Reader, pool *blockPool) error {
	plain := r
	if in.random.Load() == nil && in.opts.Spool {
		spool, err := newSpool(in.opts.SpoolDir)
		if err != nil {
			return fmt.Errorf("%s: no temporary copy for reading again: %w", in.name, err)
		}
		in.random.Store(spool)
		in.push(func() (io.Reader, func(), error) { return &tee{r: r, spool: spool}, func() {}, nil })
		plain = in.stream // not r: the goroutine has that
	}
	br := newBlockReader(plain, pool)
	if is == formatPcapNG {
		in.reader = newPcapNGReader(in.name, br)
		return nil
	}
	in.reader = &lazyPcap{name: in.name, blockReader: br}
	return nil
}

// lazyPcap reads the file header when the first packet is wanted, since that may have to wait.
type lazyPcap struct {
	*blockReader
	name string
	pcap *pcapReader
}

func (l *lazyPcap) read(b *Batch) (err error) {
	if l.pcap == nil {
		if l.pcap, err = newPcapReader(l.name, l.blockReader); err != nil {
			return err
		}
	}
	return l.pcap.read(b)
}

// close ends the goroutines and closes the files. It does not wait for one that sits in a read of standard input or of
// a terminal, which nothing can end; that one goes with its next byte.
func (in *input) close() error {
	if in.reader != nil {
		in.reader.close()
	}
	in.finish(errClosed)
	for _, a := range in.ahead {
		a.close()
	}
	var err error
	if in.live {
		err = in.source.close() // ends a read of a pipe
	}
	for i, a := range in.ahead {
		if i > 0 || in.source == nil || in.source.wakes {
			a.wait()
		}
	}
	if random := in.random.Load(); random != nil && random != in.source {
		err = errors.Join(err, random.close())
	}
	if in.source != nil && !in.live {
		err = errors.Join(err, in.source.close())
	}
	return err
}
