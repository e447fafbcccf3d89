package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sync/atomic"
)

// errClosed says that the Files were closed.
var errClosed = errors.New("captures are closed")

// Options say how to open captures.
type Options struct {
	// Spool keeps a temporary copy, without a name, of what comes through pipes and compression, so that packets can
	// be read again (ReadAt, Reopen). Plain files need none.
	Spool bool
	// SpoolDir is where; empty means the system's place for temporary files.
	SpoolDir string
}

// Files is one or more captures read as one Source, in the order of packet times. Ties go to the file named first, and
// the order inside a file is never changed.
//
// Next is used by one goroutine. ReadAt, Reopen, Name, Size, Offset, Includes and Comments may be called from any, also
// while Next runs, up to Close.
type Files struct {
	opts     Options
	inputs   []*input
	pool     *blockPool
	merge    *merge // nil for one input
	seq      uint64
	given    atomic.Uint64 // seq, for other goroutines
	last     uint64        // the last Seq to give; 0 for no bound. See Reopen.
	now      int64
	begun    bool            // now is set
	done     <-chan struct{} // of the Next under way
	end      error           // what Next gives from now on
	comments comments
}

// Open opens captures, told by their content: pcap or pcapng, plain or compressed with gzip, zstd or bzip2 (twice at
// most). "-" is standard input. What is a file is looked at here: one that is no capture gives ErrFormat, as a
// directory and an empty file do. What is a pipe is looked at by Next, so that Open never waits.
//
// A file with a damaged header is no reason to fail: its error comes from Next when the other files are read.
func Open(paths []string, opts Options) (*Files, error) {
	if len(paths) == 0 || len(paths) > math.MaxUint16 {
		return nil, fmt.Errorf("%d captures named, 1 to %d expected", len(paths), math.MaxUint16)
	}
	fs := &Files{opts: opts, pool: newBlockPool(sizeFor(len(paths)))}
	for _, path := range paths {
		name := path
		if path == "-" {
			name = "standard input"
		}
		h, err := openHandle(path)
		if err != nil {
			_ = fs.Close()
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		fs.add(newInput(name, h, opts, aheadFor(len(paths))))
		if err := fs.look(); err != nil {
			_ = fs.Close()
			return nil, err
		}
	}
	return fs, nil
}

// NewReader reads one capture from r, as Open does from a file. The packets cannot be read again. Close waits for a
// read of r that is under way, and does not close r.
func NewReader(name string, r io.Reader) (*Files, error) {
	fs := &Files{pool: newBlockPool(blockSize)}
	in := &input{name: name, piece: aheadSize}
	in.count.r = r
	in.stream = &in.count
	fs.add(in)
	if err := fs.look(); err != nil {
		_ = fs.Close()
		return nil, err
	}
	return fs, nil
}

func (fs *Files) add(in *input) {
	in.index = uint16(len(fs.inputs)) //nolint:gosec // Open bounds the number
	fs.inputs = append(fs.inputs, in)
}

// look starts the input added last, unless it is a pipe. Damage is for Next to tell.
func (fs *Files) look() error {
	in := fs.inputs[len(fs.inputs)-1]
	if in.live {
		return nil
	}
	err := in.start(fs.pool, nil)
	if errors.Is(err, ErrDamaged) {
		in.finish(err)
		return nil
	}
	return err
}

// Next releases b and fills it with the next packets of all files in the order of their times: at least one, and at
// most MaxBatch. It waits for input until ctx ends, and can be called again after that. The end comes after all whole
// packets: io.EOF, or for damaged files an error for which errors.Is(err, ErrDamaged) holds. Both last.
func (fs *Files) Next(ctx context.Context, b *Batch) error {
	b.Release()
	b.Now = fs.now
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if fs.end != nil {
		return fs.end
	}
	fs.done = ctx.Done()
	before := fs.now
	var err error
	if len(fs.inputs) == 1 {
		err = fs.nextOfOne(b)
	} else {
		err = fs.nextOfMany(b)
	}
	switch {
	case errors.Is(err, errCanceled):
		return context.Cause(ctx)
	case err != nil:
		fs.end = err
		return err
	}
	fs.given.Store(fs.seq)
	if b.Now = fs.now; fs.last > 0 && fs.seq >= fs.last {
		fs.end = io.EOF
		b.until(fs.last, before)
	}
	return nil
}

// nextOfOne needs no merge.
func (fs *Files) nextOfOne(b *Batch) error {
	in := fs.inputs[0]
	if err := in.read(b, fs.pool, fs.done); err != nil {
		return err
	}
	fs.stamp(in, b.Packets)
	return nil
}

// stamp gives packets of one input their place in the run.
func (fs *Files) stamp(in *input, ps []Packet) {
	if !fs.begun && len(ps) > 0 {
		fs.begun, fs.now = true, ps[0].Time
	}
	seq, now := fs.seq, fs.now
	for i := range ps {
		seq++
		ps[i].Seq = seq
		ps[i].Loc.File = in.index
		now = max(now, ps[i].Time)
	}
	if ng, ok := in.reader.(*pcapngReader); ok {
		fs.takeNotes(&ng.notes, in.frame, ps)
	}
	in.frame += uint64(len(ps))
	fs.seq, fs.now = seq, now
}

// takeNotes files the comments of packets under their Seq. frame is the number of frames before them.
func (fs *Files) takeNotes(n *notes, frame uint64, ps []Packet) {
	if n.dropped > 0 {
		fs.comments.drop(n.dropped)
		n.dropped = 0
	}
	for i := 0; i < len(ps) && len(n.queue) > 0; i++ {
		if text, ok := n.take(frame + uint64(i) + 1); ok {
			fs.comments.set(ps[i].Seq, text)
		}
	}
}

// ReadAt fills p with the uncompressed bytes of a file from loc on. It gives ErrNotKept for a pipe or a compressed file
// that is not spooled, and io.ErrUnexpectedEOF when the file ends before. What Next has given can be read, whether or
// not it is still reading.
func (fs *Files) ReadAt(loc Loc, p []byte) error {
	if int(loc.File) >= len(fs.inputs) {
		return fmt.Errorf("no file %d: %d are open", loc.File, len(fs.inputs))
	}
	in := fs.inputs[loc.File]
	random := in.random.Load()
	if random == nil {
		return in.notKept()
	}
	if err := random.readAt(p, loc.Off); err != nil {
		return fmt.Errorf("%s: offset %d: %w", in.name, loc.Off, err)
	}
	return nil
}

func (in *input) notKept() error {
	return fmt.Errorf("%s: %w: it came through a pipe or compressed, and was not spooled", in.name, ErrNotKept)
}

// Reopen opens the same inputs once more, from their first packet: a second pass gives the same packets with the same
// Seq. It does not look the names up again. A pipe must have been spooled; else ErrNotKept. While Next still reads a
// pipe, the second pass ends, with io.EOF, after the last packet that Next has given: what follows is not there yet,
// and without it the order of several inputs is not known. A compressed file that Next still reads is decompressed once
// more, without another copy: ReadAt of the second pass gives ErrNotKept for it.
func (fs *Files) Reopen() (*Files, error) {
	again := &Files{opts: fs.opts, pool: fs.pool}
	given := fs.given.Load() // before the inputs are looked at: what they have by now includes it
	for _, in := range fs.inputs {
		h, whole, err := in.again()
		if err == nil && !whole {
			if again.last = given; given == 0 {
				_ = h.close()
				err = fmt.Errorf("%s: %w: no packet has been read yet", in.name, ErrNotKept)
			}
		}
		if err != nil {
			_ = again.Close()
			return nil, err
		}
		opts := fs.opts
		if h == in.source {
			opts.Spool = false
		}
		again.add(newInput(in.name, h, opts, in.piece))
		if err := again.look(); err != nil {
			_ = again.Close()
			return nil, err
		}
	}
	return again, nil
}

// again is the handle to read an input a second time, and whether it is whole: a spool that is being filled is not.
func (in *input) again() (h *handle, whole bool, err error) {
	ended, random := in.ended.Load(), in.random.Load()
	spooled := random != nil && random != in.source
	switch {
	case ended && in.err == errClosed: //nolint:errorlint // never wrapped
		return nil, false, fmt.Errorf("%s: %w", in.name, errClosed)
	case in.source != nil && in.source.regular && (!spooled || !ended):
		return in.source.share(), true, nil
	case spooled:
		if err := random.failure(); err != nil {
			return nil, false, fmt.Errorf("%s: %w", in.name, err)
		}
		if st, err := random.f.Stat(); err == nil {
			random.size.Store(st.Size())
		}
		return random.share(), ended, nil
	case in.live && in.opts.Spool && !ended:
		return nil, false, fmt.Errorf("%s: %w: nothing has been read yet", in.name, ErrNotKept)
	}
	return nil, false, in.notKept()
}

// Includes reports whether a file is one of those being read, by whatever name: nobody should write over it.
func (fs *Files) Includes(info os.FileInfo) bool {
	for _, in := range fs.inputs {
		if in.source == nil || !in.source.regular {
			continue
		}
		if st, err := in.source.f.Stat(); err == nil && os.SameFile(st, info) {
			return true
		}
	}
	return false
}

// Close ends all reading and closes the files; spooled copies go with the last of the Files that share them. Batches
// stay valid. Next gives an error afterwards. Close may be called again.
func (fs *Files) Close() error {
	if fs.end == errClosed { //nolint:errorlint // never wrapped
		return nil
	}
	fs.end = errClosed
	var all error
	for _, in := range fs.inputs {
		if err := in.close(); err != nil {
			all = errors.Join(all, fmt.Errorf("%s: %w", in.name, err))
		}
	}
	if fs.merge != nil {
		fs.merge.release()
	}
	return all
}

// Name is a file's name as given, "standard input" for "-", or empty when there is no such file.
func (fs *Files) Name(file uint16) string {
	if int(file) >= len(fs.inputs) {
		return ""
	}
	return fs.inputs[file].name
}

// Len is how many files there are.
func (fs *Files) Len() int { return len(fs.inputs) }

// Size is how many bytes all files have on disk, or 0 when one of them cannot tell.
func (fs *Files) Size() int64 {
	var n int64
	for _, in := range fs.inputs {
		if in.source == nil || in.source.size.Load() == 0 {
			return 0
		}
		n += in.source.size.Load()
	}
	return n
}

// Offset is how many bytes on disk were read so far.
func (fs *Files) Offset() int64 {
	var n int64
	for _, in := range fs.inputs {
		n += in.count.n.Load()
	}
	return n
}

// Comments is what a pcapng file says about a packet, one comment a line, or empty. It is text from outside: clean it
// before showing it.
func (fs *Files) Comments(seq uint64) string { return fs.comments.get(seq) }

// CommentsDropped is how many comments exceeded the bounds: 64 KiB for a packet, 16 MiB for all.
func (fs *Files) CommentsDropped() uint64 { return fs.comments.droppedCount() }

// Secrets are the TLS key logs (NSS format) that pcapng files carry in Decryption Secrets Blocks, as read so far:
// at most 16 MiB a file. It is for the goroutine that calls Next, or after the end.
func (fs *Files) Secrets() [][]byte {
	var all [][]byte
	for _, in := range fs.inputs {
		if ng, ok := in.reader.(*pcapngReader); ok {
			all = append(all, ng.secrets...)
		}
	}
	return all
}

// SecretsDropped is how many Decryption Secrets Blocks were not kept: beyond the bound, or of another type than a TLS
// key log. It is for the goroutine that calls Next, or after the end.
func (fs *Files) SecretsDropped() uint64 {
	var n uint64
	for _, in := range fs.inputs {
		if ng, ok := in.reader.(*pcapngReader); ok {
			n += ng.dropped
		}
	}
	return n
}

// Interface is the name of an interface of a pcapng file (if_name), or empty. It is for the goroutine that calls Next,
// or after the end.
func (fs *Files) Interface(file, iface uint16) string {
	if int(file) >= len(fs.inputs) {
		return ""
	}
	if ng, ok := fs.inputs[file].reader.(*pcapngReader); ok {
		return ng.names[iface]
	}
	return ""
}
