package stream

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sipscope/capture"
	"sipscope/decode/frame"
)

// cuts plays a stream in segments cut at random, reordered within a window and repeated with other boundaries. With an
// odd seed there is no SYN.
func (w *wire) cuts(stream []byte, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 1))
	type span struct{ from, to int }
	var spans []span
	for at := 0; at < len(stream); {
		n := 1 + r.IntN(1+r.IntN(1+min(len(stream)-at, 1400)))
		n = min(n, len(stream)-at)
		spans = append(spans, span{at, at + n})
		at += n
	}
	for i := range spans { // within a window of 8
		if i == 0 && seed%2 == 1 {
			continue // without a SYN, what comes first is first
		}
		j := min(len(spans)-1, i+r.IntN(8))
		if r.IntN(4) == 0 {
			spans[i], spans[j] = spans[j], spans[i]
		}
	}
	isn := r.Uint32()
	if seed%2 == 0 {
		w.send(alice, bob, isn-1, 0, frame.SYN, nil, false)
	}
	seen := 0
	for _, s := range spans {
		w.send(alice, bob, isn+uint32(s.from), 0, frame.ACK, stream[s.from:s.to], false)
		if seen = max(seen, s.to); r.IntN(5) == 0 {
			from := max(0, s.from-r.IntN(200))
			to := min(seen, s.to+r.IntN(200))
			if from < to {
				w.send(alice, bob, isn+uint32(from), 0, frame.ACK, stream[from:to], false)
			}
		}
	}
	w.a.Flush(w.frame, w.now)
}

// roomy has limits that no random cut reaches.
func roomy() Limits {
	l := DefaultLimits()
	l.Held, l.HeldBytes = 1<<20, 1<<30
	l.HoleAge, l.SettleAge, l.MessageAge = 1<<60, 1<<60, 1<<60
	return l
}

func FuzzCuts(f *testing.F) {
	for i, c := range framingCases {
		f.Add([]byte(c.stream), uint64(i))
	}
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64) {
		if len(stream) > 20_000 {
			return
		}
		whole, pieces := newWire(t), newWire(t)
		whole.a, pieces.a = NewLimited(whole, roomy()), NewLimited(pieces, roomy())
		whole.stream(1000, seed%2 == 0, string(stream), max(1, len(stream)))
		whole.a.Flush(whole.frame, whole.now)
		pieces.cuts(stream, seed)
		if foreign(stream) {
			return // told by the first segment
		}
		if d := cmp.Diff(whole.log, pieces.log); d != "" {
			t.Errorf("cut differently (-whole +pieces):\n%s", d)
		}
		if d := cmp.Diff(whole.texts, pieces.texts); d != "" {
			t.Errorf("texts (-whole +pieces):\n%s", d)
		}
	})
}

// TestCuts puts the streams of the framing cases behind each other at random and cuts them at random.
func TestCuts(t *testing.T) {
	t.Parallel()
	parts := []string{"\r\n\r\n", "rubbish\r\n", "\x00\xff", "half a line", xml, "SIP/2.0 200 OK\r\n", "BYE ", "SIP/", "\r", "\n"}
	for _, c := range framingCases {
		parts = append(parts, c.stream)
	}
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 0))
		var b strings.Builder
		for range 1 + r.IntN(8) {
			b.WriteString(parts[r.IntN(len(parts))])
		}
		stream := b.String()
		for k := range uint64(6) {
			whole, w := newWire(t), newWire(t)
			whole.stream(1000, k%2 == 0, stream, len(stream))
			whole.a.Flush(whole.frame, whole.now)
			w.a = NewLimited(w, roomy())
			w.cuts([]byte(stream), seed<<8|k)
			if d := cmp.Diff(whole.log, w.log); d != "" {
				t.Fatalf("seed %d.%d (-whole +cut):\n%s", seed, k, d)
			}
		}
	}
}

// strict checks the promises that hold for any input.
type strict struct {
	t      *testing.T
	a      *Assembler
	frames uint64
	texts  int
	gaps   uint64
}

func (s *strict) Framed(f *Framed) {
	s.texts++
	n := 0
	for _, p := range f.Pieces {
		n += int(p.Len)
		if p.Seq == 0 || p.Seq > s.frames {
			s.t.Fatalf("piece of frame %d, %d frames were given", p.Seq, s.frames)
		}
	}
	if n != len(f.Text) || n == 0 || f.Frame == 0 {
		s.t.Fatalf("%d bytes of text, %d in pieces, frame %d", len(f.Text), n, f.Frame)
	}
	if len(f.Text) > s.a.limits.Message+s.a.limits.Head {
		s.t.Fatalf("message of %d bytes", len(f.Text))
	}
}

func (s *strict) Gap(*Gap) { s.gaps++ }

func FuzzAssembler(f *testing.F) {
	for _, c := range framingCases {
		f.Add([]byte(c.stream))
	}
	f.Add([]byte("\x02\x00\x00\x10\x10INVITE sip:b SIP/2.0\r\n\x00\x00\x40\x18\x04Via: x\r\n\x04\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, script []byte) {
		s := &strict{t: t}
		l := DefaultLimits()
		l.Flows, l.Total, l.Message, l.Head, l.Held, l.HeldBytes, l.Search = 4, 20_000, 3000, 1000, 6, 4000, 2000
		s.a = NewLimited(s, l)
		hosts := []frame.Endpoint{alice, bob, frame.Endpoint4([]byte{192, 0, 2, 3}, 1)}
		now := int64(0)
		// a segment is 5 bytes: flags, hosts, distance, size, time; then its payload
		for len(script) >= 5 {
			c := script[:5]
			size := min(int(c[3])*4, len(script)-5)
			s.frames++
			now += int64(c[4]) << 24
			seg := Segment{
				Src: hosts[int(c[1])%3], Dst: hosts[int(c[1]>>2)%3],
				Seq: uint32(c[2]) << (c[0] >> 6 * 4), Ack: binary.BigEndian.Uint32(c[1:]), Flags: c[0] & 0x17,
				Payload: slices.Clone(script[5 : 5+size]), Cut: c[0]&0x20 != 0, Frame: s.frames, Time: now,
			}
			if size > 0 {
				seg.Pieces = []frame.Piece{{Seq: s.frames, Loc: capture.Loc{Off: 100}, Len: uint32(size)}}
			}
			before := s.texts
			fate := s.a.Add(&seg)
			if fate > NotSIP || fate == Completed && s.texts == before {
				t.Fatalf("fate %v, %d messages", fate, s.texts-before)
			}
			clear(seg.Payload)
			if s.a.Flows() > l.Flows || s.a.Bytes() > l.Total {
				t.Fatalf("%d flows, %d bytes", s.a.Flows(), s.a.Bytes())
			}
			script = script[5+size:]
		}
		s.a.Flush(s.frames, now)
		if s.a.Flows() != 0 || s.a.Bytes() != 0 || s.a.timed != nil || s.a.newest != nil {
			t.Fatalf("%d flows, %d bytes are left", s.a.Flows(), s.a.Bytes())
		}
		if s.a.Counters.Messages != uint64(s.texts) || s.a.Counters.Gaps != s.gaps {
			t.Fatalf("counters %+v, %d messages, %d gaps", s.a.Counters, s.texts, s.gaps)
		}
	})
}
