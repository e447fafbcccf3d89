package capture

import (
	"bufio"
	"compress/bzip2"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// Options say how to open captures.
type Options struct {
	// Spool keeps an unlinked temporary copy of standard input and of compressed files, so that their packets can be
	// read again.
	Spool bool
}

// Files is one or more captures read as one Source, in the order of packet times. Order inside a file is never changed.
type Files struct {
	opts  Options
	pool  *sync.Pool
	files []*file
	seq   uint64
	now   int64
	end   error // what Next gives once everything was read
	many  []head
}

// file is one opened input.
type file struct {
	index  uint16
	name   string
	path   string
	reader fileReader
	closer []io.Closer
	count  *countReader // on-disk bytes read
	size   int64        // on disk, 0 when unknown
	random io.ReaderAt  // uncompressed bytes, nil when they cannot be had again
	spool  *os.File
}

// countReader counts what is read, for progress.
type countReader struct {
	r io.Reader
	n atomic.Int64
}

func (c *countReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n.Add(int64(n))
	return n, err
}

// Open opens captures by content: pcap or pcapng, plain or compressed with gzip, zstd or bzip2. "-" is standard input.
func Open(paths []string, opts Options) (*Files, error) {
	fs := &Files{opts: opts, pool: newBlockPool()}
	for i, path := range paths {
		f, err := fs.open(path)
		if err != nil {
			_ = fs.Close()
			return nil, err
		}
		f.index = uint16(i) //nolint:gosec // a command line is shorter
		fs.files = append(fs.files, f)
	}
	return fs, nil
}

func (fs *Files) open(path string) (*file, error) {
	f := &file{name: path, path: path}
	in := os.Stdin
	if path == "-" {
		f.name = "standard input"
	} else {
		var err error
		if in, err = os.Open(path); err != nil { //nolint:gosec // the operator named it
			return nil, err
		}
		f.closer = append(f.closer, in)
	}
	if st, err := in.Stat(); err == nil {
		if st.IsDir() {
			f.close()
			return nil, fmt.Errorf("%s: %w: it is a directory", path, ErrFormat)
		}
		if st.Mode().IsRegular() && path != "-" {
			f.size = st.Size()
			f.random = in
		}
	}
	f.count = &countReader{r: in}
	if err := f.start(f.count, fs); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// NewReader reads one capture from r, for tests and pipes.
func NewReader(name string, r io.Reader) (*Files, error) {
	fs := &Files{pool: newBlockPool()}
	f := &file{name: name, count: &countReader{r: r}}
	if err := f.start(f.count, fs); err != nil {
		return nil, err
	}
	fs.files = []*file{f}
	return fs, nil
}

// start looks at the content and makes the reader.
func (f *file) start(r io.Reader, fs *Files) error {
	plain, err := f.unpack(r)
	if err != nil {
		return err
	}
	if f.random == nil && fs.opts.Spool {
		if plain, err = f.keepCopy(plain); err != nil {
			return err
		}
	}
	br := newBlockReader(plain, fs.pool)
	f.closer = append(f.closer, closerFunc(br.close))
	magic, err := br.peek(4)
	switch {
	case len(magic) == 0 && errors.Is(err, io.EOF):
		return fmt.Errorf("%s: %w: it is empty", f.name, ErrFormat)
	case len(magic) < 4:
		if err := unexpected(err); err != nil {
			return &DamagedError{File: f.name, Reason: "cannot be read", Err: err}
		}
		return fmt.Errorf("%s: %w: pcap or pcapng expected, found %q", f.name, ErrFormat, magic)
	}
	le, be := binary.LittleEndian.Uint32(magic), binary.BigEndian.Uint32(magic)
	switch {
	case isPcapMagic(le) || isPcapMagic(be):
		f.reader, err = newPcapReader(f.name, br)
	case le == blockSHB:
		f.reader = newPcapNGReader(f.name, br)
	default:
		err = fmt.Errorf("%s: %w: pcap or pcapng expected, found %q", f.name, ErrFormat, magic)
	}
	return err
}

type closerFunc func()

func (c closerFunc) Close() error {
	c()
	return nil
}

// unpack takes off up to two layers of compression, told by their magic numbers.
func (f *file) unpack(r io.Reader) (io.Reader, error) {
	for range 2 {
		b := bufio.NewReaderSize(r, 64<<10)
		magic, _ := b.Peek(4) // too short an input is judged by who reads it
		switch {
		case len(magic) >= 2 && magic[0] == 0x1f && magic[1] == 0x8b:
			z, err := gzip.NewReader(b)
			if err != nil {
				return nil, &DamagedError{File: f.name, Reason: "gzip header", Err: err}
			}
			f.closer = append(f.closer, z)
			r = z
		case string(magic) == "\x28\xb5\x2f\xfd":
			z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(256<<20))
			if err != nil {
				return nil, &DamagedError{File: f.name, Reason: "zstd header", Err: err}
			}
			f.closer = append(f.closer, z.IOReadCloser())
			r = z
		case len(magic) >= 3 && string(magic[:3]) == "BZh":
			r = bzip2.NewReader(b)
		default:
			if f.random != nil && r == io.Reader(f.count) {
				return f.rewind()
			}
			return b, nil
		}
		f.random = nil
	}
	return r, nil
}

// rewind goes back to the start of a plain file, so that it is read in large blocks without a buffer between.
func (f *file) rewind() (io.Reader, error) {
	in, ok := f.count.r.(*os.File)
	if !ok {
		return f.count, nil
	}
	if _, err := in.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	f.count.n.Store(0)
	return f.count, nil
}

// keepCopy copies what is read into a temporary file that has no name.
func (f *file) keepCopy(r io.Reader) (io.Reader, error) {
	tmp, err := os.CreateTemp("", "sipscope-*")
	if err != nil {
		return nil, fmt.Errorf("%s: copy for reading again: %w", f.name, err)
	}
	_ = os.Remove(tmp.Name())
	f.spool, f.random = tmp, tmp
	return io.TeeReader(r, tmp), nil
}

func (f *file) close() {
	for i := len(f.closer) - 1; i >= 0; i-- {
		_ = f.closer[i].Close()
	}
	f.closer = nil
}

// Close closes all files and removes temporary copies.
func (fs *Files) Close() error {
	for _, f := range fs.files {
		f.close()
		if f.spool != nil {
			_ = f.spool.Close()
			f.spool = nil
		}
	}
	fs.releaseHeads()
	return nil
}

// Name is the file's name as given.
func (fs *Files) Name(file uint16) string { return fs.files[file].name }

// Len is how many files there are.
func (fs *Files) Len() int { return len(fs.files) }

// Size is how many bytes the files have on disk, 0 when one of them cannot tell.
func (fs *Files) Size() int64 {
	var n int64
	for _, f := range fs.files {
		if f.size == 0 {
			return 0
		}
		n += f.size
	}
	return n
}

// Offset is how many bytes on disk were read so far. It may be called from any goroutine.
func (fs *Files) Offset() int64 {
	var n int64
	for _, f := range fs.files {
		n += f.count.n.Load()
	}
	return n
}

// ReadAt reads bytes of a file again, at an offset of its uncompressed bytes.
func (fs *Files) ReadAt(loc Loc, p []byte) error {
	if int(loc.File) >= len(fs.files) {
		return fmt.Errorf("no file %d", loc.File)
	}
	f := fs.files[loc.File]
	if f.random == nil {
		return fmt.Errorf("%s: its packets cannot be read again (not spooled)", f.name)
	}
	if n, err := f.random.ReadAt(p, loc.Off); n < len(p) {
		return fmt.Errorf("%s: offset %d: %d bytes wanted, %d read: %w", f.name, loc.Off, len(p), n, err)
	}
	return nil
}

// Reopen opens the same inputs once more, from their first packet.
func (fs *Files) Reopen() (*Files, error) {
	again := &Files{opts: Options{}, pool: fs.pool}
	for _, f := range fs.files {
		g, err := fs.reopen(f, again)
		if err != nil {
			_ = again.Close()
			return nil, err
		}
		g.index = f.index
		again.files = append(again.files, g)
	}
	return again, nil
}

func (fs *Files) reopen(f *file, again *Files) (*file, error) {
	if f.spool == nil {
		if f.path == "-" || f.path == "" {
			return nil, fmt.Errorf("%s: cannot be read again (not spooled)", f.name)
		}
		return again.open(f.path)
	}
	g := &file{name: f.name, path: f.path}
	g.count = &countReader{r: io.NewSectionReader(f.spool, 0, 1<<62)}
	if err := g.start(g.count, again); err != nil {
		return nil, err
	}
	return g, nil
}

// Next fills b with the next packets of all files in the order of their times.
func (fs *Files) Next(ctx context.Context, b *Batch) error {
	b.Release()
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	if fs.end != nil && fs.many == nil {
		return fs.end
	}
	if len(fs.files) != 1 {
		return fs.merge(b)
	}
	f := fs.files[0]
	if err := f.reader.read(b); err != nil {
		fs.end = err
		if len(b.Packets) == 0 {
			return err
		}
	}
	for i := range b.Packets {
		fs.stamp(b, &b.Packets[i])
	}
	b.Now = fs.now
	return nil
}

func (fs *Files) stamp(_ *Batch, p *Packet) {
	fs.seq++
	p.Seq = fs.seq
	fs.now = max(fs.now, p.Time)
}

// head is a file's packets that wait to be merged.
type head struct {
	f     *file
	batch *Batch
	next  int
	err   error // what ended the file
}

func (h *head) fill() bool {
	for h.next >= len(h.batch.Packets) {
		if h.err != nil {
			return false
		}
		h.batch.Release()
		h.next = 0
		h.err = h.f.reader.read(h.batch)
		for i := range h.batch.Packets {
			h.batch.Packets[i].Loc.File = h.f.index
		}
	}
	return true
}

// merge takes, a packet at a time, the earliest of all files; ties go to the file named first.
func (fs *Files) merge(b *Batch) error {
	if fs.many == nil {
		for _, f := range fs.files {
			fs.many = append(fs.many, head{f: f, batch: &Batch{}})
		}
	}
	for len(b.Packets) < MaxBatch {
		best := -1
		for i := range fs.many {
			h := &fs.many[i]
			if h.fill() && (best < 0 || h.at() < fs.many[best].at()) {
				best = i
			}
		}
		if best < 0 {
			break
		}
		h := &fs.many[best]
		for _, k := range h.batch.blocks {
			b.holdAny(k)
		}
		b.Packets = append(b.Packets, h.batch.Packets[h.next])
		h.next++
		fs.stamp(b, &b.Packets[len(b.Packets)-1])
	}
	b.Now = fs.now
	if len(b.Packets) > 0 {
		return nil
	}
	fs.end = fs.endOfAll()
	fs.releaseHeads()
	return fs.end
}

func (h *head) at() int64 { return h.batch.Packets[h.next].Time }

// holdAny is hold for blocks that come in no order.
func (b *Batch) holdAny(k *block) {
	for _, x := range b.blocks {
		if x == k {
			return
		}
	}
	k.refs.Add(1)
	b.blocks = append(b.blocks, k)
}

// endOfAll joins what ended the files: io.EOF when all ended well.
func (fs *Files) endOfAll() error {
	var bad []error
	for i := range fs.many {
		if err := fs.many[i].err; !errors.Is(err, io.EOF) {
			bad = append(bad, err)
		}
	}
	switch len(bad) {
	case 0:
		return io.EOF
	case 1:
		return bad[0]
	}
	texts := make([]string, len(bad))
	for i, err := range bad {
		texts[i] = err.Error()
	}
	return &DamagedError{File: fmt.Sprintf("%d files", len(bad)), Reason: strings.Join(texts, "; ")}
}

func (fs *Files) releaseHeads() {
	for i := range fs.many {
		fs.many[i].batch.Release()
	}
	fs.many = nil
}
