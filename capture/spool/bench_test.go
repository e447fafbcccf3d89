package spool

import (
	"context"
	"testing"
	"time"

	"sipscope/capture"
)

// ready is a source that gives the same batch again and again.
type ready struct {
	ps  []capture.Packet
	seq uint64
	now int64
}

func newReady(size int) *ready {
	r := &ready{ps: make([]capture.Packet, capture.MaxBatch), now: start}
	for i := range r.ps {
		r.ps[i] = capture.Packet{Data: make([]byte, size), WireLen: uint32(size), Link: capture.LinkEthernet}
	}
	return r
}

func (r *ready) Next(_ context.Context, b *capture.Batch) error {
	for i := range r.ps {
		r.seq++
		r.now += 2000 // 500,000 packets a second
		r.ps[i].Seq, r.ps[i].Time = r.seq, r.now
	}
	b.Packets, b.Now = r.ps, r.now
	return nil
}

// BenchmarkNext: packets towards the disk. The loop waits when the queue is half full, so that every packet is kept: what
// it measures includes the disk. next is the time in Next alone.
func BenchmarkNext(b *testing.B) {
	for name, size := range map[string]int{"sip700": 700, "rtp214": 214} {
		b.Run(name, func(b *testing.B) {
			s := open(b, newReady(size), Options{root: b.TempDir(), Size: 1 << 30})
			var batch capture.Batch
			var inside time.Duration
			b.SetBytes(int64(size) * capture.MaxBatch)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%64 == 0 && s.Stats().Waiting > defaultQueue/2 {
					settle(b, s)
				}
				from := time.Now()
				if err := s.Next(context.Background(), &batch); err != nil {
					b.Fatal(err)
				}
				inside += time.Since(from)
			}
			n := float64(b.N) * capture.MaxBatch
			if st := s.Stats(); st.Dropped+st.Failed > 0 {
				b.Errorf("%+v", st)
			}
			b.ReportMetric(n/b.Elapsed().Seconds()/1e6, "Mpkt/s")
			b.ReportMetric(float64(inside.Nanoseconds())/n, "next-ns/pkt")
		})
	}
}

// BenchmarkReadAt reads packets from the disk.
func BenchmarkReadAt(b *testing.B) {
	s := open(b, newFeed(50_000), Options{root: b.TempDir()})
	given := drain(b, s, 0)
	settle(b, s)
	buf := make([]byte, 2000)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		k := given[i%len(given)]
		if err := s.ReadAt(k.loc, buf[:k.size]); err != nil {
			b.Fatal(err)
		}
		i += 7919
	}
}

// BenchmarkPass reads a second pass.
func BenchmarkPass(b *testing.B) {
	s := open(b, newFeed(50_000), Options{root: b.TempDir()})
	drain(b, s, 0)
	settle(b, s)
	b.ReportAllocs()
	for b.Loop() {
		p, err := s.Reopen()
		if err != nil {
			b.Fatal(err)
		}
		var batch capture.Batch
		n := 0
		for p.Next(context.Background(), &batch) == nil {
			n += len(batch.Packets)
		}
		batch.Release()
		p.Close()
		if n != 50_000 {
			b.Fatalf("%d packets", n)
		}
	}
	b.ReportMetric(float64(b.N)*50_000/b.Elapsed().Seconds()/1e6, "Mpkt/s")
}

// TestAllocations: a packet costs none.
func TestAllocations(t *testing.T) { //nolint:paralleltest // counts allocations
	s := open(t, newReady(700), Options{root: t.TempDir(), Size: 64 << 20, Queue: 4 << 20})
	var b capture.Batch
	next := func() {
		for range 40 {
			if err := s.Next(t.Context(), &b); err != nil {
				t.Fatal(err)
			}
		}
		settle(t, s)
	}
	next()
	next()
	// 10,240 packets, 15 chunks: a segment, a path and two system calls now and then.
	if n := testing.AllocsPerRun(10, next); n > 40 {
		t.Errorf("%v allocations for 10,240 packets", n)
	}
}
