package stream

import (
	"strings"
	"testing"

	"sipscope/capture"
	"sipscope/decode/frame"
)

// sink counts.
type sink struct{ texts, bytes int }

func (s *sink) Framed(f *Framed) { s.texts++; s.bytes += len(f.Text) }
func (s *sink) Gap(*Gap)         {}

func benchStream(b *testing.B, text string, segment int) {
	b.Helper()
	out := &sink{}
	a := New(out)
	var seg Segment
	seq, frames := uint32(1), uint64(0)
	payload := []byte(text)
	piece := make([]frame.Piece, 1)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		for at := 0; at < len(payload); at += segment {
			part := payload[at:min(at+segment, len(payload))]
			frames++
			piece[0] = frame.Piece{Seq: frames, Loc: capture.Loc{Off: int64(seq)}, Len: uint32(len(part))}
			seg = Segment{
				Src: alice, Dst: bob, Seq: seq, Flags: frame.ACK, Payload: part, Pieces: piece, Frame: frames,
				Time: int64(frames) * 1000,
			}
			a.Add(&seg)
			seq += uint32(len(part))
		}
	}
	if out.texts == 0 || a.Counters.Skipped > 0 {
		b.Fatalf("%+v, counters %+v", out, a.Counters)
	}
}

func realistic() string {
	h := strings.Repeat("X-Header: some value that a header may have\r\n", 10)
	return withBody(invite+"\r\n"+strings.TrimSuffix(h, "\r\n"), "application/sdp", sdp+strings.Repeat("a=rtpmap:0 PCMU/8000\r\n", 5), len(sdp)+110)
}

// BenchmarkAssembler frames one message a segment.
func BenchmarkAssembler(b *testing.B) { benchStream(b, realistic(), 1<<16) }

// BenchmarkAssemblerSplit frames messages in segments of 548 bytes.
func BenchmarkAssemblerSplit(b *testing.B) { benchStream(b, realistic(), 548) }

// BenchmarkAssemblerOther takes segments of a connection that is not SIP.
func BenchmarkAssemblerOther(b *testing.B) {
	out := &sink{}
	a := New(out)
	payload := []byte(strings.Repeat("<div class=\"a\">some text of a page</div>\r\n", 34))
	seq, n := uint32(1), uint64(0)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		n++
		a.Add(&Segment{Src: alice, Dst: bob, Seq: seq, Flags: frame.ACK, Payload: payload, Frame: n, Time: int64(n) * 1000})
		seq += uint32(len(payload))
	}
}

func TestAllocations(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts for all goroutines
	for _, size := range []int{1 << 16, 548, 60} {
		a := New(&sink{})
		text := []byte(realistic())
		seq, frames := uint32(1), uint64(0)
		piece := make([]frame.Piece, 1)
		message := func() {
			for at := 0; at < len(text); at += size {
				part := text[at:min(at+size, len(text))]
				frames++
				piece[0] = frame.Piece{Seq: frames, Len: uint32(len(part))}
				a.Add(&Segment{
					Src: alice, Dst: bob, Seq: seq, Flags: frame.ACK, Payload: part, Pieces: piece, Frame: frames,
					Time: int64(frames) * 1000,
				})
				seq += uint32(len(part))
			}
		}
		message()
		if n := testing.AllocsPerRun(100, message); n != 0 {
			t.Errorf("segments of %d bytes: %v allocations a message", size, n)
		}
	}
}
