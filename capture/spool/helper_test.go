package spool

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sipscope/capture"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start is the time of the first packet.
const start = 1_700_000_000_000_000_000

// feed is a source whose packets say who they are. step is what every packet adds to the time.
type feed struct {
	n, next uint64 // packets to give, and given
	batch   int
	size    func(seq uint64) int
	step    int64
	skip    uint64 // every so many Seq are left out, as a filter before the spool does; 0 for none
	seq     uint64
	now     int64
	mem     *capture.Memory
}

func newFeed(n uint64) *feed {
	return &feed{
		n: n, batch: 64, step: int64(time.Millisecond), now: start, mem: capture.NewMemory(0),
		size: func(seq uint64) int { return int(seq*37%1400) + 8 },
	}
}

// content is the bytes of a packet: its Seq, and then what follows from it.
func content(p []byte, seq uint64) {
	for i := range p {
		p[i] = byte(seq + uint64(i))
	}
	binary.BigEndian.PutUint64(p, seq)
}

func about(seq uint64) (link capture.LinkType, iface uint16) {
	return []capture.LinkType{capture.LinkEthernet, capture.LinkRaw}[seq/50%2], uint16(seq / 100 % 3)
}

func (f *feed) Next(ctx context.Context, b *capture.Batch) error {
	b.Release()
	b.Now = f.now
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if f.next >= f.n {
		return io.EOF
	}
	for range f.batch {
		if f.next >= f.n {
			break
		}
		f.next++
		if f.seq++; f.skip > 0 && f.seq%f.skip == 0 {
			f.seq++
		}
		f.now += f.step
		data := f.mem.Bytes(b, f.size(f.seq))
		content(data, f.seq)
		link, iface := about(f.seq)
		b.Packets = append(b.Packets, capture.Packet{
			Seq: f.seq, Time: f.now, Data: data, WireLen: uint32(len(data)) + uint32(f.seq%3), Link: link, Iface: iface,
		})
	}
	b.Now = f.now
	return nil
}

// kept is what a test remembers of a packet.
type kept struct {
	seq  uint64
	time int64
	size int
	loc  capture.Loc
}

func remember(ps []capture.Packet) []kept {
	out := make([]kept, len(ps))
	for i := range ps {
		p := &ps[i]
		out[i] = kept{p.Seq, p.Time, len(p.Data), p.Loc}
	}
	return out
}

// open makes a spool that the test's end closes.
func open(tb testing.TB, source capture.Source, o Options) *Spool {
	tb.Helper()
	s, err := New(source, o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Close() })
	return s
}

// drain takes n packets, or all for 0.
func drain(tb testing.TB, s *Spool, n int) []kept {
	tb.Helper()
	var b capture.Batch
	defer b.Release()
	var out []kept
	for n == 0 || len(out) < n {
		if err := s.Next(context.Background(), &b); err != nil {
			if !errors.Is(err, io.EOF) {
				tb.Fatal(err)
			}
			return out
		}
		out = append(out, remember(b.Packets)...)
	}
	return out
}

// settle waits until the writer has nothing to do.
func settle(tb testing.TB, s *Spool) {
	tb.Helper()
	for range 2000 {
		s.mu.Lock()
		idle := len(s.chunks) == 0 || !s.chunks[0].sealed || s.failing != nil
		s.mu.Unlock()
		if idle {
			return
		}
		time.Sleep(time.Millisecond)
	}
	tb.Fatal("the writer does not end")
}

// check reads a packet again and compares it.
func check(tb testing.TB, s *Spool, k kept, gone bool) {
	tb.Helper()
	got, want := make([]byte, k.size), make([]byte, k.size)
	err := s.ReadAt(k.loc, got)
	switch {
	case k.loc.Off < 0:
		if !errors.Is(err, capture.ErrNotKept) {
			tb.Fatalf("packet %d was not kept: %v", k.seq, err)
		}
		inside := capture.Loc{Off: k.loc.Off + int64(k.size)} // where decode looks for a payload
		if err = s.ReadAt(inside, got); !errors.Is(err, capture.ErrNotKept) {
			tb.Fatalf("a place within packet %d, which was not kept: %v", k.seq, err)
		}
	case gone && errors.Is(err, capture.ErrGone):
	case err != nil:
		tb.Fatalf("packet %d: %v", k.seq, err)
	default:
		if content(want, k.seq); !bytes.Equal(got, want) {
			tb.Fatalf("packet %d reads back as %x, want %x", k.seq, got[:8], want[:8])
		}
	}
}

// second reads a second pass to its end and compares it with what was given.
func secondPass(tb testing.TB, p *Pass, given []kept) (got []kept, end error) {
	tb.Helper()
	bySeq := make(map[uint64]kept, len(given))
	for _, k := range given {
		bySeq[k.seq] = k
	}
	var b capture.Batch
	defer b.Release()
	last, now := uint64(0), int64(0)
	for {
		if err := p.Next(context.Background(), &b); err != nil {
			if again := p.Next(context.Background(), &b); !errors.Is(again, err) {
				tb.Fatalf("the end does not last: %v, then %v", err, again)
			}
			return got, err
		}
		if n := len(b.Packets); n == 0 || n > capture.MaxBatch {
			tb.Fatalf("batch of %d packets", n)
		}
		for i, k := range remember(b.Packets) {
			pkt := &b.Packets[i]
			if k.seq <= last {
				tb.Fatalf("Seq %d after %d", k.seq, last)
			}
			last, now = k.seq, max(now, k.time)
			if k != bySeq[k.seq] {
				tb.Fatalf("the second pass gives %+v, the first gave %+v", k, bySeq[k.seq])
			}
			want := make([]byte, k.size)
			if content(want, k.seq); !bytes.Equal(pkt.Data, want) {
				tb.Fatalf("packet %d has other bytes", k.seq)
			}
			link, iface := about(k.seq)
			if pkt.Link != link || pkt.Iface != iface || pkt.WireLen != uint32(k.size)+uint32(k.seq%3) {
				tb.Fatalf("packet %d: link %d, interface %d, %d bytes", k.seq, pkt.Link, pkt.Iface, pkt.WireLen)
			}
			got = append(got, k)
		}
		if b.Now != now {
			tb.Fatalf("Now %d, the highest time is %d", b.Now, now)
		}
	}
}

// segmentFiles gives the segments in a directory, and their bytes.
func segmentFiles(tb testing.TB, dir string) (paths []string, size int64) {
	tb.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "spool-*.pcapng"))
	if err != nil {
		tb.Fatal(err)
	}
	for _, p := range paths {
		if st, err := os.Stat(p); err == nil {
			size += st.Size()
		}
	}
	return paths, size
}

// countFile reads a segment as anybody would. whole says that it must end well.
func countFile(tb testing.TB, path string, whole bool) int {
	tb.Helper()
	fs, err := capture.Open([]string{path}, capture.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	defer fs.Close()
	var b capture.Batch
	defer b.Release()
	n := 0
	for {
		if err = fs.Next(context.Background(), &b); err != nil {
			break
		}
		for i := range b.Packets {
			seq := binary.BigEndian.Uint64(b.Packets[i].Data)
			want := make([]byte, len(b.Packets[i].Data))
			if content(want, seq); !bytes.Equal(want, b.Packets[i].Data) {
				tb.Fatalf("%s: packet %d has other bytes", path, n+1)
			}
			n++
		}
	}
	if whole && !errors.Is(err, io.EOF) || !errors.Is(err, io.EOF) && !errors.Is(err, capture.ErrDamaged) {
		tb.Fatal(err)
	}
	return n
}
