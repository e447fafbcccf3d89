package capture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestMerge merges captures of every shape and compares with the plain rule: always the earliest of the files' next
// packets, ties to the file named first.
func TestMerge(t *testing.T) {
	t.Parallel()
	for name, times := range map[string][][]int64{
		"alternating":        {seqTimes(0, 2, 900), seqTimes(1, 2, 900)},
		"one after another":  {seqTimes(1000, 1, 600), seqTimes(0, 1, 600)},
		"all at once":        {make([]int64, 300), make([]int64, 700), make([]int64, 5)},
		"unsorted":           {{5, 1, 9, 2}, {4, 4, 0, 8}},
		"empty among others": {{}, seqTimes(0, 3, 400), {}, seqTimes(1, 5, 300)},
		"all empty":          {{}, {}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var paths []string
			var files [][]flat
			for i, ts := range times {
				var ps []flat
				for j, at := range ts {
					data := fmt.Sprintf("%d/%d", i, j)
					ps = append(ps, flat{testStart + at*1000, data, uint32(len(data)), LinkEthernet, 0})
				}
				files = append(files, ps)
				paths = append(paths, file(t, "m.pcap", pcapBytes(binary.BigEndian, magicNano, ps)))
			}
			fs, err := Open(paths, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer fs.Close()
			got, err := readAll(t, fs)
			if diff := cmp.Diff(mergePlainly(files), got); diff != "" || !errors.Is(err, io.EOF) {
				t.Errorf("%v (-want +got)\n%s", err, diff)
			}
		})
	}
}

func seqTimes(from, step int64, n int) []int64 {
	out := make([]int64, n)
	for i := range out {
		out[i] = from + int64(i)*step
	}
	return out
}

func mergePlainly(files [][]flat) []flat {
	files = slices.Clone(files)
	var out []flat
	for {
		best := -1
		for i, f := range files {
			if len(f) > 0 && (best < 0 || f[0].Time < files[best][0].Time) {
				best = i
			}
		}
		if best < 0 {
			return out
		}
		out = append(out, files[best][0])
		files[best] = files[best][1:]
	}
}

// TestMergeBatches keeps many merged batches alive at once: releasing one harms no other, and blocks come back.
func TestMergeBatches(t *testing.T) {
	t.Parallel()
	a, b := samples(3000), samples(3000)
	paths := []string{
		file(t, "a", pcapBytes(binary.LittleEndian, magicMicro, a)),
		file(t, "b", pcapBytes(binary.LittleEndian, magicMicro, b)),
	}
	fs, err := Open(paths, Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := mergePlainly([][]flat{a, b})
	var kept []*Batch
	for {
		x := &Batch{}
		err := fs.Next(context.Background(), x)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, x)
	}
	if err := fs.Close(); err != nil {
		t.Error(err)
	}
	n := 0
	for i, x := range kept {
		for _, p := range x.Packets {
			if string(p.Data) != want[n].Data || p.Time != want[n].Time {
				t.Fatalf("frame %d is not the one written", p.Seq)
			}
			n++
		}
		blocks := slices.Clone(x.blocks)
		x.Release()
		x.Release() // again: harmless
		for _, k := range blocks {
			if k.refs.Load() < 0 {
				t.Fatalf("batch %d: a block was given back twice", i)
			}
		}
	}
	if n != len(want) {
		t.Errorf("%d packets, %d expected", n, len(want))
	}
}

// TestMergeDamaged: the damaged files' whole packets come among the others', and the errors at the end.
func TestMergeDamaged(t *testing.T) {
	t.Parallel()
	data := pcapBytes(binary.LittleEndian, magicMicro, samples(400))
	paths := []string{
		file(t, "one.pcap", data[:len(data)-1]), file(t, "two.pcap", data),
		file(t, "three.pcap", append(bytes.Clone(data), make([]byte, 40)...)),
	}
	fs, err := Open(paths, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	got, err := readAll(t, fs)
	if len(got) != 399+400+400 {
		t.Errorf("%d packets", len(got))
	}
	var damage *DamagedError
	if !errors.Is(err, ErrDamaged) || errors.Is(err, io.EOF) || !errors.As(err, &damage) || damage.File != paths[0] {
		t.Errorf("error %v", err)
	}
	if s := err.Error(); !strings.Contains(s, "one.pcap: cut short") || !strings.Contains(s, "three.pcap: damaged") ||
		strings.Contains(s, "two.pcap") || strings.Contains(s, "\n") {
		t.Errorf("error %q", s)
	}
}

// TestMergeComments: comments find their packets after the merge.
func TestMergeComments(t *testing.T) {
	t.Parallel()
	a := newNG(binary.LittleEndian).iface(1, 0)
	b := newNG(binary.LittleEndian).iface(1, 0)
	for i := range uint64(500) {
		a.packet(0, 2*i, "a", fmt.Sprint("a", i))
		b.packet(0, 2*i+1, "b", fmt.Sprint("b", i))
	}
	fs, err := Open([]string{file(t, "a", a.b), file(t, "b", b.b)}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	if _, err := readAll(t, fs); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	for i := range uint64(500) {
		if x, y := fs.Comments(2*i+1), fs.Comments(2*i+2); x != fmt.Sprint("a", i) || y != fmt.Sprint("b", i) {
			t.Fatalf("comments of %d and %d: %q, %q", 2*i+1, 2*i+2, x, y)
		}
	}
}

// TestManyFiles opens more files than blocks of full size would allow memory for.
func TestManyFiles(t *testing.T) {
	t.Parallel()
	const n = 200
	var paths []string
	for i := range n {
		ps := samples(20)
		for j := range ps {
			ps[j].Time += int64(i) * 1000
		}
		paths = append(paths, file(t, "f", pcapBytes(binary.LittleEndian, magicMicro, ps)))
	}
	fs, err := Open(paths, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	got, err := readAll(t, fs)
	if len(got) != n*20 || !errors.Is(err, io.EOF) {
		t.Errorf("%d packets, %v", len(got), err)
	}
	if !slices.IsSortedFunc(got, func(a, b flat) int { return int(a.Time - b.Time) }) {
		t.Error("not in the order of time")
	}
	if fs.pool.size*n > allBlocks {
		t.Errorf("blocks of %d bytes for %d files", fs.pool.size, n)
	}
}

// pipeInput is a Files that reads from a pipe, as Open makes for one.
func pipeInput(t *testing.T, opts Options) (*Files, *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	h, err := newHandle(r, false)
	if err != nil {
		t.Fatal(err)
	}
	fs := &Files{opts: opts, pool: newBlockPool(blockSize)}
	fs.add(newInput("pipe", h, opts, aheadSize))
	return fs, w
}

// TestPipe: packets come as they are written, waiting ends with the context, and Next goes on after that.
func TestPipe(t *testing.T) {
	t.Parallel()
	want := samples(9)
	fs, w := pipeInput(t, Options{Spool: true, SpoolDir: t.TempDir()})
	defer fs.Close()
	var b Batch
	data := pcapBytes(binary.LittleEndian, magicMicro, nil)
	for i := range want {
		short, cancel := context.WithTimeout(context.Background(), 2*time.Millisecond)
		if err := fs.Next(short, &b); !errors.Is(err, context.DeadlineExceeded) || len(b.Packets) != 0 {
			t.Fatalf("a silent pipe gave %d packets, %v", len(b.Packets), err)
		}
		cancel()
		data = append(data, pcapBytes(binary.LittleEndian, magicMicro, want[i:i+1])[pcapHeader:]...)
		for half := range slices.Chunk(data, len(data)/2+1) { // the record comes in two writes
			if _, err := w.Write(half); err != nil {
				t.Fatal(err)
			}
		}
		data = nil
		if err := fs.Next(context.Background(), &b); err != nil || len(b.Packets) != 1 || b.Packets[0].Seq != uint64(i+1) {
			t.Fatalf("packet %d: %d packets, %v", i, len(b.Packets), err)
		}
		p := make([]byte, len(want[i].Data))
		if err := fs.ReadAt(b.Packets[0].Loc, p); err != nil || string(p) != want[i].Data {
			t.Fatalf("packet %d read again: %q, %v", i, p, err)
		}
	}
	early, err := fs.Reopen() // before the end
	if err != nil {
		t.Fatal(err)
	}
	defer early.Close()
	var got []flat
	if got, err = readAll(t, early); !cmp.Equal(want, got) || !errors.Is(err, io.EOF) {
		t.Errorf("second pass before the end: %d packets, %v", len(got), err)
	}
	w.Close()
	if err = fs.Next(context.Background(), &b); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	again, err := fs.Reopen()
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got, err := readAll(t, again); !cmp.Equal(want, got) || !errors.Is(err, io.EOF) {
		t.Errorf("second pass: %d packets, %v", len(got), err)
	}
	if fs.Size() != 0 || again.Size() == 0 {
		t.Errorf("size of the pipe %d, of its copy %d", fs.Size(), again.Size())
	}
}

// TestPipeClosed: Close ends the goroutines although the writer holds the pipe open (goleak looks).
func TestPipeClosed(t *testing.T) {
	t.Parallel()
	for name, data := range map[string][]byte{
		"nothing yet":  nil,
		"half a magic": {0xd4, 0xc3},
		"plain":        pcapBytes(binary.LittleEndian, magicMicro, samples(2))[:60],
		"gzip":         gz(t, pcapBytes(binary.LittleEndian, magicMicro, samples(900)))[:200],
		"zstd gzip":    zst(t, gz(t, pcapBytes(binary.LittleEndian, magicMicro, samples(900))))[:200],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fs, w := pipeInput(t, Options{Spool: true, SpoolDir: t.TempDir()})
			if _, err := w.Write(data); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
			defer cancel()
			var b Batch
			var err error
			for err == nil {
				err = fs.Next(ctx, &b)
			}
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Next: %v", err)
			}
			if err := fs.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			if err := fs.Next(context.Background(), &b); !errors.Is(err, errClosed) {
				t.Errorf("Next after Close: %v", err)
			}
		})
	}
}

// TestPipeNotACapture: a pipe is looked at by Next.
func TestPipeNotACapture(t *testing.T) {
	t.Parallel()
	fs, w := pipeInput(t, Options{})
	defer fs.Close()
	if _, err := w.WriteString("INVITE sip:x SIP/2.0\r\n"); err != nil {
		t.Fatal(err)
	}
	var b Batch
	if err := fs.Next(context.Background(), &b); !errors.Is(err, ErrFormat) {
		t.Errorf("%v", err)
	}
}

// TestOffsetWhileReading reads progress from another goroutine (for the race detector).
func TestOffsetWhileReading(t *testing.T) {
	t.Parallel()
	fs, err := Open([]string{file(t, "f", gz(t, pcapBytes(binary.LittleEndian, magicMicro, samples(9000))))}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			default:
				if fs.Offset() > fs.Size() {
					t.Error("more was read than there is")
				}
				_ = fs.Comments(1)
			}
		}
	}()
	if _, err := readAll(t, fs); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	close(stop)
	<-ended
}

// TestNoProgress: a reader that gives nothing, ever, ends with an error.
func TestNoProgress(t *testing.T) {
	t.Parallel()
	data := pcapBytes(binary.LittleEndian, magicMicro, samples(3))
	fs, err := NewReader("test", io.MultiReader(bytes.NewReader(data), idle{}))
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	if got, err := readAll(t, fs); len(got) != 3 || !errors.Is(err, io.ErrNoProgress) || !errors.Is(err, ErrDamaged) {
		t.Errorf("%d packets, %v", len(got), err)
	}
}

type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

// TestReadError: an error of the reading keeps its cause.
func TestReadError(t *testing.T) {
	t.Parallel()
	data := pcapBytes(binary.LittleEndian, magicMicro, samples(3))
	fs, err := NewReader("test", io.MultiReader(bytes.NewReader(data), failing{}))
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	if got, err := readAll(t, fs); len(got) != 3 || !errors.Is(err, os.ErrPermission) || !errors.Is(err, ErrDamaged) {
		t.Errorf("%d packets, %v", len(got), err)
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, os.ErrPermission }

// quietReader gives its texts, one a Read, and then is silent.
type quietReader struct {
	texts  []string
	silent chan struct{} // closed when nothing more comes
	end    chan struct{}
}

func (q *quietReader) Read(p []byte) (int, error) {
	if len(q.texts) == 0 {
		close(q.silent)
		<-q.end
		return 0, io.EOF
	}
	n := copy(p, q.texts[0])
	q.texts = q.texts[1:]
	return n, nil
}

// TestReadAheadGivesAtOnce: what was read is there for the reader, although the next read of the input waits for ever.
func TestReadAheadGivesAtOnce(t *testing.T) {
	t.Parallel()
	q := &quietReader{texts: []string{"one", "two"}, silent: make(chan struct{}), end: make(chan struct{})}
	a := newReadAhead(64, false, func() (io.Reader, func(), error) { return q, func() {}, nil })
	defer a.wait()
	defer close(q.end)
	defer a.close()
	<-q.silent // nobody has read yet: pieces wait
	time.AfterFunc(10*time.Second, a.close)
	p := make([]byte, len("onetwo"))
	if n, err := io.ReadFull(a, p); err != nil {
		t.Errorf("bytes that were read are held back: got %q, %v", p[:n], err)
	}
}
