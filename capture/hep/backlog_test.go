package hep

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// model is a backlog without bounds.
type model struct {
	all  [][]byte // every message put
	ends []int64  // where each ends in the stream
}

// A backlog is used at random, beside a model: what is sent is the stream of what was put, in order, however often
// connections break; after a break it goes on at a message, at most at the one that was not acknowledged.
func TestBacklogModel(t *testing.T) {
	t.Parallel()
	for round := range uint64(30) {
		r := rand.New(rand.NewPCG(round, 7))
		l := newBacklog(0, t.TempDir(), 100_000+int64(round)*7001)
		var m model
		stream := []byte{}
		dropped := 0
		for step := range 3000 {
			switch k := r.IntN(100); {
			case k < 55 || k < 85 && step/500%2 == 1: // at times the collector is away
				b := encode(t, &Packet{Payload: make([]byte, r.IntN(3000)), CaptureID: uint32(step)})
				switch err := l.put(b); {
				case err == nil:
					stream = append(stream, b...)
					m.all = append(m.all, b)
					m.ends = append(m.ends, int64(len(stream)))
				case errors.Is(err, ErrFull):
					dropped++
				default:
					t.Fatal(err)
				}
			case k < 85:
				if lost, err := l.refill(); lost != 0 || err != nil {
					t.Fatal(lost, err)
				}
				piece := l.pending(1 + r.IntN(maxWrite))
				if at := l.sent; !bytes.Equal(piece, stream[at:at+int64(len(piece))]) {
					t.Fatalf("round %d, step %d: other bytes at %d", round, step, at)
				}
				l.wrote(len(piece))
			case k < 93:
				l.ack(l.acked + r.Int64N(l.sent-l.acked+1))
			case k < 98:
				l.keep(l.acked - r.Int64N(50_000))
			default:
				to := l.acked
				if r.IntN(2) == 0 {
					to = l.kept
				}
				l.rewind(to)
				if l.sent > to || l.sent > 0 && !contains(m.ends, l.sent) {
					t.Fatalf("round %d, step %d: goes on at %d, want a message until %d", round, step, l.sent, to)
				}
			}
			m.check(t, l)
		}
		for l.left() > 0 {
			if _, err := l.refill(); err != nil {
				t.Fatal(err)
			}
			piece := l.pending(maxWrite)
			if !bytes.Equal(piece, stream[l.sent:l.sent+int64(len(piece))]) {
				t.Fatal("other bytes at the end")
			}
			l.wrote(len(piece))
			l.forget()
		}
		if l.done != uint64(len(m.all)) || l.queued != 0 || l.sent != int64(len(stream)) {
			t.Fatalf("%d of %d messages, %d queued, %d of %d bytes", l.done, len(m.all), l.queued, l.sent, len(stream))
		}
		if round == 0 && dropped == 0 {
			t.Error("the backlog was never full: the test tests nothing")
		}
		if err := l.disk.close(); err != nil {
			t.Error(err)
		}
	}
}

func contains(ends []int64, at int64) bool {
	for _, end := range slices.Backward(ends) {
		if end <= at {
			return end == at
		}
	}
	return false
}

func (m *model) check(t *testing.T, l *backlog) {
	t.Helper()
	if l.base > l.acked || l.kept > l.acked || l.acked > l.sent || l.sent > l.mem || l.free() < 0 || l.counted > l.mem {
		t.Fatalf("base %d, kept %d, acked %d, sent %d, counted %d, end %d", l.base, l.kept, l.acked, l.sent, l.counted, l.mem)
	}
	if l.done+l.queued != uint64(len(m.all)) {
		t.Fatalf("%d done and %d queued of %d", l.done, l.queued, len(m.all))
	}
	if l.base > 0 && !contains(m.ends, l.base) {
		t.Fatalf("the memory begins at %d, within a message", l.base)
	}
}

// When the disk fails, what is on it is lost and counted, and the rest is as whole as before.
func TestBacklogDiskFails(t *testing.T) {
	t.Parallel()
	l := newBacklog(0, t.TempDir(), 1<<20)
	m := encode(t, &Packet{Payload: make([]byte, 1000)})
	for range 500 {
		if err := l.put(m); err != nil {
			t.Fatal(err)
		}
	}
	l.wrote(len(l.pending(50_000)))
	l.ack(50_000)
	l.keep(50_000)
	if _, err := l.refill(); err != nil { // half a message is in memory at the end
		t.Fatal(err)
	}
	if l.mem%int64(len(m)) == 0 || l.disk.size() == 0 {
		t.Fatalf("%d in memory, %d on disk: the test tests nothing", l.mem, l.disk.size())
	}
	l.wrote(len(l.pending(60_000)))
	l.forget()
	if err := l.disk.f.Close(); err != nil {
		t.Fatal(err)
	}
	lost, err := l.refill()
	if err == nil || lost == 0 {
		t.Fatalf("%d lost, %v", lost, err)
	}
	if l.done+l.queued+lost != 500 || l.mem%int64(len(m)) != 0 || l.disk.size() != 0 {
		t.Errorf("%d done, %d queued, %d lost, memory ends at %d", l.done, l.queued, lost, l.mem)
	}
	l.disk.f = nil // a new file is made for what comes next
	for l.left() > 0 {
		l.wrote(len(l.pending(maxWrite)))
	}
	if l.queued != 0 || l.done+lost != 500 {
		t.Errorf("%d done, %d queued", l.done, l.queued)
	}
}

func TestSpill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := &spill{dir: dir, limit: 100}
	defer s.close()
	if n, err := s.take(make([]byte, 10)); n != 0 || err != nil {
		t.Errorf("%d, %v of nothing", n, err)
	}
	if err := s.put(make([]byte, 101)); !errors.Is(err, ErrFull) {
		t.Error(err)
	}
	if err := s.put(bytes.Repeat([]byte{1}, 70)); err != nil {
		t.Fatal(err)
	}
	if names, _ := filepath.Glob(filepath.Join(dir, "*")); len(names) != 0 {
		t.Errorf("%q are left to be found", names)
	}
	if n, err := s.take(make([]byte, 60)); n != 60 || err != nil {
		t.Fatal(n, err)
	}
	if err := s.put(bytes.Repeat([]byte{2}, 90)); err != nil { // round the end
		t.Fatal(err)
	}
	if err := s.put([]byte{3}); !errors.Is(err, ErrFull) {
		t.Error(err)
	}
	var all []byte
	for b := make([]byte, 1000); ; {
		n, err := s.take(b)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		all = append(all, b[:n]...)
	}
	if want := append(bytes.Repeat([]byte{1}, 10), bytes.Repeat([]byte{2}, 90)...); !bytes.Equal(all, want) {
		t.Errorf("%v, want %v", all, want)
	}
	if info, err := s.f.Stat(); err != nil || info.Size() != 0 {
		t.Errorf("the disk is not given back: %v, %v", info.Size(), err)
	}
	if err := (&spill{dir: filepath.Join(dir, "absent"), limit: 100}).put([]byte{1}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func BenchmarkSend(b *testing.B) {
	p := numbered(1, time.Now())
	p.Payload = []byte(invite(1))
	room := make([]byte, 0, 4096)
	l := newBacklog(sendMemory, b.TempDir(), 0)
	b.ReportAllocs()
	for b.Loop() {
		m, err := Append(room, p, Encoding{})
		if err == nil {
			err = l.put(m)
		}
		if err != nil {
			b.Fatal(err)
		}
		l.wrote(len(l.pending(maxWrite)))
		l.forget()
	}
}
