package save

import (
	"context"
	"io"
	"math/rand/v2"
	"testing"

	"sipscope/capture"
	"sipscope/correlate"
)

// TestFrameSet compares with a map.
func TestFrameSet(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	var s frameSet
	model := map[uint64]bool{}
	last := uint64(0)
	for range 20000 {
		seq := r.Uint64N(1 << (1 + r.UintN(22)))
		s.add(seq)
		model[seq] = true
		last = max(last, seq)
	}
	for range 20000 {
		if seq := r.Uint64N(1 << 23); s.has(seq) != model[seq] {
			t.Fatalf("%d is in: %v", seq, s.has(seq))
		}
	}
	for seq := range model {
		if !s.has(seq) {
			t.Fatalf("%d is missing", seq)
		}
	}
	if s.n != len(model) || s.last != last {
		t.Errorf("%d frames, the last %d; want %d, %d", s.n, s.last, len(model), last)
	}
	if s.has(1 << 60) {
		t.Error("far away")
	}
}

// made is a capture of n packets that are made when they are asked for.
type made struct {
	n, at uint64
	data  []byte
}

func (m *made) Close() error { return nil }

func (m *made) Next(_ context.Context, b *capture.Batch) error {
	b.Release()
	if m.at == m.n {
		return io.EOF
	}
	for len(b.Packets) < capture.MaxBatch && m.at < m.n {
		m.at++
		b.Packets = append(b.Packets, capture.Packet{
			Seq: m.at, Time: int64(m.at), Data: m.data, WireLen: uint32(len(m.data)), Link: capture.LinkEthernet,
		})
	}
	return nil
}

// BenchmarkSave saves 100,000 calls of ten messages out of a million frames, one call at a time.
func BenchmarkSave(b *testing.B) {
	const calls, messages = 100_000, 10
	data := make([]byte, 700)
	for _, f := range []Format{Pcap, Pcapng, NDJSON, CSV} {
		b.Run(f.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c := correlate.Call{Messages: make([]correlate.Message, messages)}
				job := Job{
					Format: f, Total: calls,
					Source: Source{Frames: func() (Frames, error) { return &made{n: calls * messages, data: data}, nil }},
					Calls: func(yield func(*correlate.Call) bool) {
						for n := range calls {
							for i := range c.Messages {
								c.Messages[i].Seq = uint64(i*calls + n + 1)
							}
							if !yield(&c) {
								return
							}
						}
					},
				}
				res, err := Write(context.Background(), io.Discard, job, nil)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(res.Bytes)
			}
		})
	}
}
