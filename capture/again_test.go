package capture

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// passUntil reads a second pass to its end and gives the number of packets, all checked to be those of want.
func passUntil(fs *Files, want []flat) (int, error) {
	var b Batch
	defer b.Release()
	for n := 0; ; {
		err := fs.Next(context.Background(), &b)
		if err != nil {
			return n, err
		}
		for i := range b.Packets {
			p := &b.Packets[i]
			got := flat{p.Time, string(p.Data), p.WireLen, p.Link, p.Iface}
			if n++; p.Seq != uint64(n) || n > len(want) || got != want[n-1] {
				return n, fmt.Errorf("packet %d of the second pass is %d: %+v", n, p.Seq, got)
			}
		}
	}
}

// slowly writes data to w in small pieces, so that readers see every kind of half record.
func slowly(w io.WriteCloser, data []byte) error {
	for part := range slices.Chunk(data, 997) {
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return w.Close()
}

// TestAgainWhileReading: bytes are read again and second passes are made by other goroutines while Next runs. Every
// second pass has at least what Next had given when it began, with the same Seq. The race detector watches.
func TestAgainWhileReading(t *testing.T) {
	t.Parallel()
	want := samples(6000)
	var even, odd []flat
	for i, p := range want {
		if i%2 == 0 {
			even = append(even, p)
		} else {
			odd = append(odd, p)
		}
	}
	pcap := func(ps []flat) []byte { return pcapBytes(binary.LittleEndian, magicNano, ps) }
	for _, c := range []struct {
		name  string
		files [][]byte
		pipe  []byte
	}{
		{name: "file", files: [][]byte{pcap(want)}},
		{name: "gzip", files: [][]byte{gz(t, pcap(want))}},
		{name: "two files", files: [][]byte{pcap(even), zst(t, pcap(odd))}},
		{name: "pipe", pipe: pcap(want)},
		{name: "pipe of gzip", pipe: gz(t, pcap(want))},
		{name: "file and pipe", files: [][]byte{pcap(even)}, pipe: pcap(odd)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fs, wait := openAll(t, c.files, c.pipe)
			defer fs.Close()
			readWhileAgain(t, fs, want)
			wait()
		})
	}
}

// openAll opens files, and a pipe into which a goroutine writes. wait is for its end.
func openAll(t *testing.T, files [][]byte, pipe []byte) (fs *Files, wait func()) {
	t.Helper()
	opts := Options{Spool: true, SpoolDir: t.TempDir()}
	dir := t.TempDir()
	fs = &Files{opts: opts, pool: newBlockPool(blockSize)}
	for i, data := range files {
		path := filepath.Join(dir, strconv.Itoa(i))
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		h, err := openHandle(path)
		if err != nil {
			t.Fatal(err)
		}
		fs.add(newInput(path, h, opts, minAheadSize))
		if err := fs.look(); err != nil {
			t.Fatal(err)
		}
	}
	if pipe == nil {
		return fs, func() {}
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	h, err := newHandle(r, false)
	if err != nil {
		t.Fatal(err)
	}
	fs.add(newInput("pipe", h, opts, minAheadSize))
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := slowly(w, pipe); err != nil {
			t.Error(err)
		}
	})
	return fs, wg.Wait
}

// readWhileAgain reads fs to its end while others read again.
func readWhileAgain(t *testing.T, fs *Files, want []flat) {
	t.Helper()
	var mu sync.Mutex
	var locs []Loc // of the packets given so far
	var over atomic.Bool
	var passes atomic.Int32
	var wg sync.WaitGroup
	wg.Go(func() { // second passes
		for last := false; !last; {
			last = over.Load()
			mu.Lock()
			given := len(locs)
			mu.Unlock()
			again, err := fs.Reopen()
			if err != nil {
				if given > 0 || !errors.Is(err, ErrNotKept) {
					t.Error(err)
				}
				continue
			}
			n, err := passUntil(again, want)
			if !errors.Is(err, io.EOF) || n < given || last && n != len(want) {
				t.Errorf("second pass: %d packets of %d given, %v", n, given, err)
			}
			passes.Add(1)
			again.Close()
		}
	})
	wg.Go(func() { // at random
		for last := false; !last; {
			last = over.Load()
			mu.Lock()
			given := len(locs)
			mu.Unlock()
			for i := 0; i < given; i += 97 {
				mu.Lock()
				loc := locs[i]
				mu.Unlock()
				p := make([]byte, len(want[i].Data))
				if err := fs.ReadAt(loc, p); err != nil || string(p) != want[i].Data {
					t.Errorf("packet %d read again: %q, %v", i+1, p, err)
				}
				_, _ = fs.Size(), fs.Offset()
			}
		}
	})
	var b Batch
	for {
		err := fs.Next(context.Background(), &b)
		if err != nil {
			if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			break
		}
		mu.Lock()
		for i := range b.Packets {
			locs = append(locs, b.Packets[i].Loc)
		}
		mu.Unlock()
	}
	over.Store(true)
	wg.Wait()
	if len(locs) != len(want) || passes.Load() == 0 {
		t.Errorf("%d packets, %d expected, %d second passes", len(locs), len(want), passes.Load())
	}
}

// TestReopenBeforeTheEnd: the second pass of what is still read ends with the last packet given, exactly, although the
// copy has more; its clock, too, has reached no further.
func TestReopenBeforeTheEnd(t *testing.T) {
	t.Parallel()
	want := samples(MaxBatch + 50)
	fs, w := pipeInput(t, Options{Spool: true, SpoolDir: t.TempDir()})
	defer fs.Close()
	if _, err := fs.Reopen(); !errors.Is(err, ErrNotKept) {
		t.Errorf("before anything was read: %v", err)
	}
	data := pcapBytes(binary.LittleEndian, magicNano, want)
	if _, err := w.Write(data[:len(data)-3]); err != nil { // the last record is not whole yet
		t.Fatal(err)
	}
	var b Batch
	given := 0
	for given < MaxBatch/2 {
		if err := fs.Next(context.Background(), &b); err != nil {
			t.Fatal(err)
		}
		given += len(b.Packets)
	}
	again, err := fs.Reopen()
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	got, err := readAll(t, again) // checks Now
	if diff := cmp.Diff(want[:given], got); diff != "" || !errors.Is(err, io.EOF) {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
}

// TestIncludes: a file is known by whatever name.
func TestIncludes(t *testing.T) {
	t.Parallel()
	path := file(t, "a.pcap", pcapBytes(binary.LittleEndian, magicMicro, samples(2)))
	other := file(t, "b.pcap", pcapBytes(binary.LittleEndian, magicMicro, samples(2)))
	link := filepath.Join(filepath.Dir(path), "link")
	if err := os.Symlink(path, link); err != nil {
		t.Skip("no symbolic links here:", err)
	}
	fs, err := Open([]string{path}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	for name, want := range map[string]bool{path: true, link: true, other: false} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if got := fs.Includes(info); got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
