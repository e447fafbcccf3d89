package spool

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sipscope/capture"
)

// TestFailingDisk: while nothing can be written, the queue keeps what it can, the rest is counted, and packets pass on.
// Writing is tried again after a second of packet time, and nothing queued is lost.
func TestFailingDisk(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "dir")
	f := newFeed(3000)
	s := open(t, f, Options{Dir: dir, Queue: 512 << 10, Size: 16 << 20})
	away := dir + " away"
	if err := os.Rename(dir, away); err != nil {
		t.Fatal(err)
	}
	f.step = 0
	given := drain(t, s, 1500)
	settle(t, s)
	st := s.Stats()
	if st.Bytes > 0 || st.Failed+st.Dropped == 0 || st.Packets != st.Kept || st.Packets+st.Failed+st.Dropped != 1536 ||
		st.LastError == "" || st.Waiting > 512<<10 {
		t.Errorf("while it fails: %+v", st)
	}
	for _, k := range given {
		check(t, s, k, false)
	}
	if err := os.Rename(away, dir); err != nil {
		t.Fatal(err)
	}
	settle(t, s)
	if s.Stats().Bytes > 0 {
		t.Error("tried again although no time has passed")
	}
	f.step = second / 64
	more := drain(t, s, 128)
	for i := 0; i < 5000 && s.Stats().LastError != ""; i++ {
		time.Sleep(time.Millisecond)
	}
	given = append(append(given, more...), drain(t, s, 0)...)
	settle(t, s)
	if now := s.Stats(); now.LastError != "" || now.Bytes == 0 || now.Kept <= st.Kept || now.Gone > 0 {
		t.Errorf("after it: %+v", now)
	}
	for _, k := range given {
		check(t, s, k, false)
	}
	p, err := s.Reopen()
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	got, end := secondPass(t, p, given)
	if uint64(len(got)) != s.Stats().Kept || !errors.Is(end, io.EOF) {
		t.Errorf("the second pass gave %d packets, then %v; %d are kept", len(got), end, s.Stats().Kept)
	}
}

// TestCloseFails: what Close cannot write it tells.
func TestCloseFails(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "dir")
	s := open(t, newFeed(50), Options{Dir: dir})
	drain(t, s, 0)
	settle(t, s)
	first := s.Stats()
	if err := os.Rename(dir, dir+" away"); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.current = nil // as after a failure
	s.seq, s.closing = 0, false
	for k := range uint64(5) {
		data := make([]byte, 8)
		content(data, k+60)
		s.keep(&capture.Packet{Seq: k + 60, Time: start, Data: data})
	}
	s.mu.Unlock()
	err := s.Close()
	if err == nil || !strings.Contains(err.Error(), "5 packets lost") || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if st := s.Stats(); st.Failed != 5 || st.Packets != first.Packets {
		t.Errorf("%+v", st)
	}
	if again := s.Close(); again == nil || err == nil || again.Error() != err.Error() {
		t.Errorf("closed again: %v", again)
	}
	var b capture.Batch
	if err := s.Next(t.Context(), &b); !errors.Is(err, io.EOF) {
		t.Errorf("after Close: %v", err)
	}
}

// TestNamedDirectory: segments of earlier runs count, stay as long as there is room, and go first; one spool at a time.
func TestNamedDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := Options{Dir: dir, Size: 2 << 20}
	s := open(t, newFeed(1500), o)
	drain(t, s, 0)
	if _, err := New(newFeed(1), o); !errors.Is(err, errInUse) {
		t.Errorf("a second spool in the same directory: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	before, size := segmentFiles(t, dir)
	foreign := filepath.Join(dir, "spool-notes.pcapng")
	if err := os.WriteFile(foreign, []byte("not a segment"), 0o600); err != nil {
		t.Fatal(err)
	}
	s = open(t, newFeed(20_000), o)
	if st := s.Stats(); st.Disk != size || st.Kept != 0 {
		t.Errorf("at first %+v, %d bytes are there", st, size)
	}
	drain(t, s, 700)
	settle(t, s)
	after, _ := segmentFiles(t, dir)
	if _, err := os.Stat(before[len(before)-1]); err != nil || len(after) < len(before) {
		t.Errorf("earlier segments went before they had to: %v", err)
	}
	for s.Stats().Gone == 0 {
		if len(drain(t, s, 100)) == 0 {
			t.Fatal("the ring does not turn over")
		}
		settle(t, s)
		if _, size := segmentFiles(t, dir); size > o.Size+20 {
			t.Fatalf("%d bytes on the disk", size)
		}
	}
	for _, path := range before {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", path, err)
		}
	}
	if _, err := os.Stat(foreign); err != nil {
		t.Error(err)
	}
}

// TestTemporary: a temporary directory goes with the spool, one in use stays, one of a killed process goes with the next
// start, and what the spool did not make stays.
func TestTemporary(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	s := open(t, newFeed(100), Options{root: root})
	drain(t, s, 0)
	stale, mixed := filepath.Join(root, tempPrefix+"stale"), filepath.Join(root, tempPrefix+"mixed")
	for _, dir := range []string{stale, mixed} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{lockName, "spool-000001.pcapng"} {
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	precious := filepath.Join(mixed, "precious")
	if err := os.WriteFile(precious, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	elsewhere := filepath.Join(t.TempDir(), lockName)
	if err := os.WriteFile(elsewhere, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(root, tempPrefix+"link")
	if err := os.Symlink(filepath.Dir(elsewhere), link); err != nil {
		t.Fatal(err)
	}
	other := open(t, newFeed(1), Options{root: root})
	if _, err := os.Stat(stale); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the stale directory is there: %v", err)
	}
	for _, path := range []string{s.Dir(), other.Dir(), precious, elsewhere, link} {
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	for _, x := range []*Spool{s, other} {
		if err := x.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(x.Dir()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("after Close: %v", err)
		}
	}
	if _, err := New(newFeed(1), Options{root: filepath.Join(root, "nowhere")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no place for it: %v", err)
	}
}

// TestDamagedSegment: a pass leaves a damaged file, gives all others, and tells at the end.
func TestDamagedSegment(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(data []byte) []byte{
		"cut":          func(d []byte) []byte { return d[:len(d)/2+1] },
		"emptied":      func([]byte) []byte { return nil },
		"zeros":        func(d []byte) []byte { clear(d[len(d)/2:]); return d },
		"huge length":  func(d []byte) []byte { return block(d, func(b []byte) { put(b[4:], 1<<31) }) },
		"long length":  func(d []byte) []byte { return block(d, func(b []byte) { put(b[4:], uint32(len(b)-4)&^3+4) }) },
		"no length":    func(d []byte) []byte { return block(d, func(b []byte) { put(b[4:], 0) }) },
		"odd type":     func(d []byte) []byte { return block(d, func(b []byte) { put(b, 99) }) },
		"odd iface":    func(d []byte) []byte { return block(d, func(b []byte) { put(b[8:], 1<<31) }) },
		"large caplen": func(d []byte) []byte { return block(d, func(b []byte) { put(b[20:], 1<<31) }) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := open(t, newFeed(4000), Options{Dir: dir, Size: 64 << 20, Segment: 1 << 20})
			given := drain(t, s, 0)
			settle(t, s)
			paths, _ := segmentFiles(t, dir)
			data, err := os.ReadFile(paths[1])
			if err != nil {
				t.Fatal(err)
			}
			inside := countFile(t, paths[1], true)
			if err = os.WriteFile(paths[1], damage(data), 0o600); err != nil {
				t.Fatal(err)
			}
			p, err := s.Reopen()
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			got, end := secondPass(t, p, given)
			var bad *capture.DamagedError
			if !errors.As(end, &bad) || !errors.Is(end, capture.ErrDamaged) || bad.File != paths[1] {
				t.Fatalf("ended by %v", end)
			}
			if n := len(given) - len(got); n == 0 || n > inside || got[len(got)-1].seq != 4000 {
				t.Errorf("%d of %d packets are missing, %d were in the file; the last is %d", n, len(given), inside,
					got[len(got)-1].seq)
			}
		})
	}
}

// block changes a packet's block in the middle of a segment.
func block(data []byte, change func(b []byte)) []byte {
	at := 0
	for at < len(data)/2 {
		at += int(binary.LittleEndian.Uint32(data[at+4:]))
	}
	change(data[at:])
	return data
}

func put(b []byte, v uint32) { binary.LittleEndian.PutUint32(b, v) }

// FuzzPass: whatever is on the disk, a pass ends, gives packets in order, and takes no memory that the file does not have.
func FuzzPass(f *testing.F) {
	f.Add(uint32(40), []byte{0xff, 0xff, 0xff, 0x7f}, uint32(0))
	f.Add(uint32(132), []byte{0}, uint32(1000))
	f.Add(uint32(0), []byte{}, uint32(77))
	f.Fuzz(func(t *testing.T, at uint32, with []byte, cut uint32) {
		dir := t.TempDir()
		source := newFeed(200)
		s, err := New(source, Options{Dir: dir, Size: 1 << 20, Queue: 256 << 10})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		drain(t, s, 0)
		settle(t, s)
		paths, _ := segmentFiles(t, dir)
		file, err := os.OpenFile(paths[0], os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		st, err := file.Stat()
		if err != nil {
			t.Fatal(err)
		}
		if _, err = file.WriteAt(with, int64(at)%st.Size()); err != nil {
			t.Fatal(err)
		}
		if cut > 0 {
			if err = file.Truncate(int64(cut) % st.Size()); err != nil {
				t.Fatal(err)
			}
		}
		file.Close()
		p, err := s.Reopen()
		if err != nil {
			t.Fatal(err)
		}
		defer p.Close()
		var b capture.Batch
		defer b.Release()
		for n := 0; ; n += len(b.Packets) {
			if err = p.Next(context.Background(), &b); err != nil {
				break
			}
			if len(b.Packets) == 0 || n > 10_000 {
				t.Fatalf("no end after %d packets", n)
			}
			for i := range b.Packets {
				if len(b.Packets[i].Data) > 1<<20 {
					t.Fatalf("packet of %d bytes", len(b.Packets[i].Data))
				}
			}
		}
		if !errors.Is(err, io.EOF) && !errors.Is(err, capture.ErrDamaged) {
			t.Fatal(err)
		}
		if len(p.buf) > 1<<20 {
			t.Fatalf("a buffer of %d bytes", len(p.buf))
		}
	})
}
