package spool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sipscope/capture"
)

// TestRoundTrip: everything reads back, from the queue, from the disk, in a second pass and by other readers.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for name, skip := range map[string]uint64{"all": 0, "every third left out": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "new", "dir")
			f := newFeed(5000)
			f.skip = skip
			s := open(t, f, Options{
				Dir: dir, Size: 8 << 20, Segment: 512 << 10,
				Names: func(i uint16) string { return fmt.Sprintf("eth%d", i) },
			})
			given := drain(t, s, 0)
			for _, k := range given {
				check(t, s, k, false)
			}
			p, err := s.Reopen()
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			got, end := secondPass(t, p, given)
			if len(got) != 5000 || !errors.Is(end, io.EOF) {
				t.Fatalf("the second pass gave %d packets, then %v", len(got), end)
			}
			settle(t, s)
			for _, k := range given {
				check(t, s, k, false)
			}
			if st := s.Stats(); st.Packets != 5000 || st.Kept != 5000 || st.Waiting != 0 || st.Dropped+st.Failed+st.Gone > 0 {
				t.Errorf("%+v", st)
			}
			if seq, at := s.First(); seq != given[0].seq || at != given[0].time {
				t.Errorf("the oldest is %d at %d", seq, at)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			paths, _ := segmentFiles(t, dir)
			n := 0
			for _, path := range paths {
				n += countFile(t, path, true)
			}
			if n != 5000 || len(paths) < 5 {
				t.Errorf("%d packets in %d files", n, len(paths))
			}
			checkNames(t, paths)
			capinfos(t, paths, 5000)
		})
	}
}

// checkNames: a segment names its interfaces.
func checkNames(t *testing.T, paths []string) {
	t.Helper()
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(data), "eth0") {
			t.Errorf("%s names no interface", path)
		}
	}
}

// capinfos counts with Wireshark's tool.
func capinfos(t *testing.T, paths []string, want int) {
	t.Helper()
	tool, err := exec.LookPath("capinfos")
	if err != nil {
		if os.Getenv("SIPSCOPE_CI") != "" {
			t.Fatal("capinfos is not installed")
		}
		return
	}
	n := 0
	for _, path := range paths {
		out, err := exec.Command(tool, "-r", "-T", "-c", "-M", path).CombinedOutput()
		if err != nil {
			t.Fatalf("capinfos %s: %v\n%s", path, err, out)
		}
		var k int
		fields := strings.Fields(string(out))
		if _, err := fmt.Sscan(fields[len(fields)-1], &k); err != nil {
			t.Fatalf("capinfos says %q", out)
		}
		n += k
	}
	if n != want {
		t.Errorf("capinfos counts %d packets, want %d", n, want)
	}
}

// TestRing: the disk stays within Size, the newest stay, the oldest are gone, nothing is unaccounted.
func TestRing(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{
		"least": {Size: 1 << 20, Queue: 256 << 10}, "small segments": {Size: 2 << 20, Segment: 1},
		"large segments": {Size: 2 << 20, Segment: 1 << 30},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o.Dir = t.TempDir()
			s := open(t, newFeed(20_000), o)
			var b capture.Batch
			var given []kept
			for s.Next(t.Context(), &b) == nil {
				given = append(given, remember(b.Packets)...)
				if _, size := segmentFiles(t, o.Dir); size > o.Size {
					t.Fatalf("%d bytes on the disk, %d allowed", size, o.Size)
				}
				check(t, s, given[rand.IntN(len(given))], true)
				for _, k := range given[len(given)-len(b.Packets):] {
					check(t, s, k, false)
				}
				settle(t, s)
			}
			b.Release()
			settle(t, s)
			st := s.Stats()
			if st.Packets != 20_000 || st.Kept+st.Gone != st.Packets || st.Dropped+st.Failed > 0 || st.Gone < 15_000 {
				t.Errorf("%+v", st)
			}
			if _, size := segmentFiles(t, o.Dir); size != st.Disk || size < o.Size/2 {
				t.Errorf("%d bytes on the disk, stats say %d", size, st.Disk)
			}
			first, _ := s.First()
			if first != 20_000-st.Kept+1 {
				t.Errorf("the first is %d, %d are kept", first, st.Kept)
			}
			for _, k := range given {
				err := s.ReadAt(k.loc, make([]byte, k.size))
				if gone := k.seq < first; gone != errors.Is(err, capture.ErrGone) || !gone && err != nil {
					t.Fatalf("packet %d, the first is %d: %v", k.seq, first, err)
				}
			}
			if status := s.Status(); status.Kept != st.Kept || status.Gone != st.Gone || status.Limit != o.Size {
				t.Errorf("%+v", status)
			}
		})
	}
}

// TestReaders: whatever other goroutines read at any moment is right or gone, and second passes begun at any moment give
// all that was kept then.
func TestReaders(t *testing.T) {
	t.Parallel()
	f := newFeed(60_000)
	s := open(t, f, Options{Size: 4 << 20, Queue: 1 << 20, root: t.TempDir()})
	var newest atomic.Pointer[[]kept]
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if given := newest.Load(); given != nil {
					from := max(0, len(*given)-6000)
					for range 50 {
						check(t, s, (*given)[from+rand.IntN(len(*given)-from)], true)
					}
				}
			}
		})
	}
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			p, err := s.Reopen()
			if err != nil {
				t.Error(err)
				return
			}
			var b capture.Batch
			for last := uint64(0); ; {
				if err = p.Next(context.Background(), &b); err != nil {
					break
				}
				for i := range b.Packets {
					if seq := b.Packets[i].Seq; seq <= last {
						t.Errorf("Seq %d after %d", seq, last)
					} else {
						last = seq
					}
				}
			}
			b.Release()
			if !errors.Is(err, io.EOF) {
				t.Error(err)
			}
			p.Close()
		}
	})
	var b capture.Batch
	var given []kept
	for s.Next(t.Context(), &b) == nil {
		given = append(given, remember(b.Packets)...)
		snapshot := given
		newest.Store(&snapshot)
	}
	b.Release()
	close(stop)
	wg.Wait()
	st := s.Stats()
	if st.Packets+st.Dropped != 60_000 || st.Failed > 0 || st.Kept+st.Gone != st.Packets {
		t.Errorf("%+v", st)
	}
	for _, k := range given {
		check(t, s, k, true)
	}
}

// TestPassHolds: a pass gives all that was kept when it was begun, though the ring has turned over since.
func TestPassHolds(t *testing.T) {
	t.Parallel()
	f := newFeed(40_000)
	s := open(t, f, Options{Size: 2 << 20, root: t.TempDir()})
	var given []kept
	for len(given) < 9000 {
		given = append(given, drain(t, s, 100)...)
		settle(t, s)
	}
	first, _ := s.First()
	p, err := s.Reopen()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	want := given[len(given)-1].seq - first + 1
	var b capture.Batch
	if err := p.Next(t.Context(), &b); err != nil || b.Packets[0].Seq != first {
		t.Fatalf("begins with %v, %v; want %d", b.Packets, err, first)
	}
	n := uint64(len(b.Packets))
	b.Release()
	for range 200 {
		given = append(given, drain(t, s, 100)...)
		settle(t, s)
	}
	if now, _ := s.First(); now < first+want {
		t.Fatalf("the ring did not turn over: %d, then %d", first, now)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	got, end := secondPass(t, p, given)
	if n+uint64(len(got)) != want || !errors.Is(end, io.EOF) {
		t.Errorf("%d packets, then %v; %d were kept", n+uint64(len(got)), end, want)
	}
	if _, err := s.Reopen(); !errors.Is(err, errClosed) {
		t.Errorf("after Close: %v", err)
	}
	if err := s.ReadAt(given[0].loc, make([]byte, 1)); !errors.Is(err, errClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// TestPassOfQueue: a pass gives what waits in memory, also when it moves to the disk meanwhile.
func TestPassOfQueue(t *testing.T) {
	t.Parallel()
	f := newFeed(4000)
	s := open(t, f, Options{Size: 64 << 20, root: t.TempDir()})
	given := drain(t, s, 300)
	p, err := s.Reopen()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	var b capture.Batch
	defer b.Release()
	if err := p.Next(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	n := len(b.Packets)
	more := drain(t, s, 0)
	settle(t, s)
	got, end := secondPass(t, p, append(given, more...))
	if n+len(got) != len(given) || !errors.Is(end, io.EOF) {
		t.Errorf("%d packets, then %v; %d were given", n+len(got), end, len(given))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Next(ctx, &b); !errors.Is(err, context.Canceled) {
		t.Errorf("after cancel: %v", err)
	}
	p.Close()
	if err := p.Next(t.Context(), &b); !errors.Is(err, errClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// TestSlowPackets: what is a second old is on the disk though no chunk is full, also when the clock is set back.
func TestSlowPackets(t *testing.T) {
	t.Parallel()
	for name, step := range map[string]int64{"forward": second, "back": -second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFeed(20)
			f.batch, f.step = 1, step
			f.size = func(uint64) int { return 1000 }
			dir := t.TempDir()
			s := open(t, f, Options{Dir: dir})
			var given []kept
			for range 10 {
				given = append(given, drain(t, s, 1)...)
				settle(t, s)
			}
			if st := s.Stats(); st.Kept != 10 || st.Bytes == 0 || st.Waiting > 1500 {
				t.Errorf("%+v", st)
			}
			for _, k := range given {
				check(t, s, k, false)
			}
		})
	}
}

// TestRefused: what no file can hold passes on and is counted.
func TestRefused(t *testing.T) {
	t.Parallel()
	f := newFeed(30)
	f.batch = 1
	f.size = func(seq uint64) int {
		if seq%10 == 5 {
			return 300 << 10
		}
		if seq%10 == 6 {
			return 100 << 10 // more than a chunk
		}
		return 100
	}
	s := open(t, &early{f}, Options{Size: 1 << 20, root: t.TempDir()})
	given := drain(t, s, 0)
	if st := s.Stats(); len(given) != 30 || st.Packets != 26 || st.Failed != 4 || st.Dropped != 0 || st.Kept != 26 {
		t.Errorf("%d given, %+v", len(given), st)
	}
	for _, k := range given {
		check(t, s, k, false)
		if bad := k.seq%10 == 5 || k.seq == 8; bad != (k.loc.Off < 0) {
			t.Errorf("packet %d is at %d", k.seq, k.loc.Off)
		}
	}
	if err := s.ReadAt(capture.Loc{Off: 1 << 40}, make([]byte, 1)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("beyond the end: %v", err)
	}
	if seq, at := open(t, f, Options{root: t.TempDir()}).First(); seq != 0 || at != 0 {
		t.Errorf("an empty spool begins with %d at %d", seq, at)
	}
}

// early gives packet 8 a time that no file can hold.
type early struct{ *feed }

func (e *early) Next(ctx context.Context, b *capture.Batch) error {
	err := e.feed.Next(ctx, b)
	for i := range b.Packets {
		if b.Packets[i].Seq == 8 {
			b.Packets[i].Time = -1
		}
	}
	return err
}

// TestOptions: bounds.
func TestOptions(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		o       Options
		segment int64
		fails   bool
	}{
		"defaults":       {Options{}, 64 << 20, false},
		"least":          {Options{Size: 1 << 20}, 256 << 10, false},
		"200 MB":         {Options{Size: 200 << 20}, 200 << 20 / 16, false},
		"few open files": {Options{Size: 1 << 40}, 1 << 32, false},
		"named":          {Options{Size: 100 << 20, Segment: 5 << 20}, 5 << 20, false},
		"too large":      {Options{Size: 100 << 20, Segment: 500 << 20}, 25 << 20, false},
		"small size":     {Options{Size: 1<<20 - 1}, 0, true},
		"negative":       {Options{Size: -1}, 0, true},
		"small queue":    {Options{Queue: 1000}, 0, true},
	} {
		err := c.o.limits()
		if c.fails != (err != nil) || err == nil && c.o.Segment != c.segment {
			t.Errorf("%s: segment of %d, %v", name, c.o.Segment, err)
		}
	}
}

// TestManyInterfaces: each segment describes all interfaces that were there before it.
func TestManyInterfaces(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	f := newFeed(6000)
	s := open(t, &interfaces{f}, Options{Dir: dir, Size: 4 << 20})
	drain(t, s, 0)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	paths, _ := segmentFiles(t, dir)
	for _, path := range paths {
		countFile(t, path, true)
	}
	if len(paths) < 4 {
		t.Errorf("%d files", len(paths))
	}
}

// interfaces makes every tenth packet one of a new interface.
type interfaces struct{ *feed }

func (e *interfaces) Next(ctx context.Context, b *capture.Batch) error {
	err := e.feed.Next(ctx, b)
	for i := range b.Packets {
		b.Packets[i].Iface = uint16(b.Packets[i].Seq / 10)
	}
	return err
}

// TestSourceError: what the source says comes through, and ends no second pass.
func TestSourceError(t *testing.T) {
	t.Parallel()
	s := open(t, newFeed(10), Options{root: t.TempDir()})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var b capture.Batch
	if err := s.Next(ctx, &b); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	if got := drain(t, s, 0); len(got) != 10 {
		t.Errorf("%d packets", len(got))
	}
	deadline := time.After(5 * time.Second)
	for s.Stats().Waiting > 0 { // the end sends them to the disk
		select {
		case <-deadline:
			t.Fatal("packets wait after the end of the source")
		case <-time.After(time.Millisecond):
		}
	}
}
