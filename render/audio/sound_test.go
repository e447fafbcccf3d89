package audio

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"sipscope/correlate"
	"sipscope/correlate/cut"
	"sipscope/decode/rtp"
)

// TestG711 holds the corners of the tables of G.711, and that each is odd and monotonic.
func TestG711(t *testing.T) {
	t.Parallel()
	for code, want := range map[byte]int16{0x00: -32124, 0x80: 32124, 0x7f: 0, 0xff: 0, 0xfe: 8, 0x7e: -8, 0xf0: 120, 0xef: 132} {
		if ulaw[code] != want {
			t.Errorf("µ-law %#x is %d, want %d", code, ulaw[code], want)
		}
	}
	for code, want := range map[byte]int16{0xd5: 8, 0x55: -8, 0xaa: 32256, 0x2a: -32256, 0xda: 248, 0xc5: 264, 0x85: 4224} {
		if alaw[code] != want {
			t.Errorf("A-law %#x is %d, want %d", code, alaw[code], want)
		}
	}
	// All codes, as FFmpeg 5.1 decodes them.
	if u, a := checksum(ulaw[:]), checksum(alaw[:]); u != 0x2e0ab9c4 || a != 0x0c7fc039 {
		t.Errorf("checksums %#x, %#x", u, a)
	}
	for i := range 127 {
		if a, b := ulaw[0xff-i], ulaw[0xfe-i]; a >= b || ulaw[0x7f-i] != -a {
			t.Errorf("µ-law %#x: %d, %d", 0xff-i, a, b)
		}
		if a, b := alaw[0x80|i^0x55], alaw[0x80|(i+1)^0x55]; a >= b || alaw[i^0x55] != -a {
			t.Errorf("A-law %d: %d, %d", i, a, b)
		}
	}
}

// codes are bytes that look random, the same each time.
func codes(n int) []byte {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}

// checksum is one of samples in network order.
func checksum(samples []int16) uint32 {
	h := crc32.NewIEEE()
	binary.Write(h, binary.BigEndian, samples)
	return h.Sum32()
}

// TestG722 holds that random codes, which drive every block to its bounds, give what FFmpeg 5.1 makes of them, sample by
// sample. The checksums are of its output.
func TestG722(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]uint32{160: 0x4e8adc71, 64000: 0xdc397fef} {
		all := newG722().decode(nil, codes(n))
		if got := checksum(all); len(all) != 2*n || got != want {
			t.Errorf("%d bytes: %d samples, checksum %#x, want %#x", n, len(all), got, want)
		}
		g := newG722()
		var parts []int16
		for b := codes(n); len(b) > 0; {
			k := min(len(b), 80)
			parts, b = g.decode(parts, b[:k]), b[k:]
		}
		if !slices.Equal(all, parts) {
			t.Errorf("%d bytes: cut into packets they sound different", n)
		}
	}
}

func TestLinear(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		p    cut.Payload
		in   []byte
		want []int16
		rate int64
	}{
		{cut.Payload{PT: 11, Name: "L16", Clock: 44100, Channels: 1}, []byte{0x12, 0x34, 0xff, 0xfe, 0x80}, []int16{0x1234, -2}, 44100},
		{cut.Payload{PT: 10, Name: "L16", Clock: 44100, Channels: 2}, []byte{0, 10, 0, 20, 0x80, 0, 0x80, 0, 1, 1}, []int16{15, -32768}, 44100},
		{cut.Payload{PT: 96, Name: "l16", Clock: 16000, Channels: 3}, []byte{0, 3, 0, 6, 0, 9}, []int16{6}, 16000},
		{cut.Payload{PT: 96, Name: "L8", Clock: 8000}, []byte{0x80, 0, 0xff}, []int16{0, -32768, 0x7f00}, 8000},
		{cut.Payload{PT: 96, Name: "L8", Clock: 8000, Channels: 2}, []byte{0x80, 0x90, 1}, []int16{0x800}, 8000},
		{cut.Payload{PT: 96, Name: "PCMU", Clock: 16000, Channels: 2}, []byte{0x80, 0x00, 0x80, 0x80, 3}, []int16{0, 32124}, 16000},
		{cut.Payload{PT: 8, Name: "PCMA"}, []byte{0xd5}, []int16{8}, 8000},
	} {
		c, ok := codecOf(&tt.p)
		if !ok || c.rate != tt.rate || c.length(tt.in) != int64(len(tt.want)) {
			t.Fatalf("%+v: %v, %+v", tt.p, ok, c)
		}
		if got := c.decoder().decode(nil, tt.in); !slices.Equal(got, tt.want) {
			t.Errorf("%+v: %v, want %v", tt.p, got, tt.want)
		}
	}
	for _, p := range []cut.Payload{{Name: "opus", Clock: 48000}, {Name: "G729", Clock: 8000}, {}, {Name: "L16", Clock: 1}, {Name: "L16", Clock: 1 << 31}} {
		if c, ok := codecOf(&p); ok {
			t.Errorf("%+v: %+v", p, c)
		}
	}
}

// sine is one of a frequency, in Hz.
func sine(n int, hz, rate float64) (out []int16) {
	for i := range n {
		out = append(out, int16(math.Round(10000*math.Sin(2*math.Pi*hz*float64(i)/rate))))
	}
	return out
}

// linearBytes are samples as L16 carries them.
func linearBytes(samples []int16) (out []byte) {
	for _, v := range samples {
		out = binary.BigEndian.AppendUint16(out, uint16(v))
	}
	return out
}

// TestResample holds that a sine that is raised to another rate is that sine: no delay, no image, to -60 dB.
func TestResample(t *testing.T) {
	t.Parallel()
	for _, rates := range [][2]int{{8000, 16000}, {8000, 44100}, {16000, 44100}, {8000, 48000}, {11025, 48000}, {44100, 48000}} {
		for _, part := range []float64{0.05, 0.2, 0.4} { // of the lower rate; half is the bound
			hz := part * float64(rates[0])
			src := &source{codecs: []codec{{name: "L16", rate: int64(rates[0]), bytes: 2, samples: 1, decoder: func() decoder { return linear16(1) }}}}
			in := sine(rates[0], hz, float64(rates[0]))
			src.pieces = []piece{{at: 0, n: int64(len(in)), payload: linearBytes(in)}}
			r := newResampler(newTrack(int64(rates[0]), []*source{src}), int64(rates[1]))
			var got []int32
			scratch := make([]int16, blockSamples)
			for _, n := range []int{1, 7, 1000, blockSamples, 3, 2000} { // the size of the blocks changes nothing
				sum := make([]int32, n)
				r.add(sum, scratch)
				got = append(got, sum...)
			}
			want := sine(len(got), hz, float64(rates[1]))
			var noise, signal float64
			for i := 200; i < len(got)-200; i++ {
				d := float64(got[i]) - float64(want[i])
				noise, signal = noise+d*d, signal+float64(want[i])*float64(want[i])
			}
			limit := -60.0
			if part > 0.3 {
				limit = -40
			}
			if db := 10 * math.Log10(noise/signal); db > limit {
				t.Errorf("%d to %d Hz: %.0f Hz is off by %.1f dB", rates[0], rates[1], hz, db)
			}
		}
	}
}

// TestRates holds that two directions of different rates share one line of time.
func TestRates(t *testing.T) {
	t.Parallel()
	s := newScene(t, "RTP/AVP 0 97", "a=rtpmap:97 L16/16000")
	wide := sine(16000, 1000, 16000)
	for i := range 50 {
		s.put(int64(i)*20e6, alice, bob, rtp.Packet{PT: 97, Seq: uint16(i), Timestamp: uint32(320 * i), SSRC: 1, Payload: linearBytes(wide[320*i : 320*i+320])})
		s.put(int64(i)*20e6, bob, alice, rtp.Packet{PT: 0, Seq: uint16(i), Timestamp: uint32(160 * i), SSRC: 2, Payload: pattern(160, 0x40)})
	}
	r := s.record()
	got := samples(t, r)
	if r.Rate != 16000 || r.Frames != 16000 || !slices.Equal(got[0], wide) {
		t.Errorf("%d Hz, %d samples, or the wide sound is another", r.Rate, r.Frames)
	}
	for i := 100; i < 15900; i++ {
		if d := got[1][i] - ulaw[0x40]; d < -2 || d > 2 {
			t.Fatalf("sample %d of a constant is %d, want %d", i, got[1][i], ulaw[0x40])
		}
	}
}

// TestTimestampsOfG722 holds both clocks that senders count G.722 with.
func TestTimestampsOfG722(t *testing.T) {
	t.Parallel()
	for _, step := range []int{160, 320} {
		s := newScene(t, "RTP/AVP 9")
		all := codes(160 * 50)
		for i := range 50 {
			s.put(int64(i)*20e6, bob, alice, rtp.Packet{PT: 9, Seq: uint16(i), Timestamp: uint32(step * i), SSRC: 2, Payload: all[160*i : 160*i+160]})
		}
		r := s.record()
		if got := samples(t, r); r.Rate != 16000 || !slices.Equal(got[1], newG722().decode(nil, all)) || r.Channels[1].Anchored > 0 {
			t.Errorf("steps of %d: %d Hz, %d samples, %+v", step, r.Rate, r.Frames, r.Channels[1].Figures)
		}
	}
}

func TestNoiseAndEvents(t *testing.T) {
	t.Parallel()
	s := newScene(t, "RTP/AVP 0 13 101", "a=rtpmap:101 telephone-event/8000")
	put := func(at int64, pt uint8, seq, ts int, payload []byte) {
		s.put(at, bob, alice, rtp.Packet{PT: pt, Seq: uint16(seq), Timestamp: uint32(ts), SSRC: 2, Payload: payload})
	}
	put(0, 0, 0, 0, pattern(160, 0x40))
	put(20e6, 13, 1, 160, []byte{60})                                  // noise of -60 dBov for a second
	put(1020e6, 0, 2, 8160, pattern(160, 0x40))                        //
	put(1040e6, 101, 3, 8320, []byte{5, 10, 0, 160})                   // a digit
	put(1060e6, 101, 4, 8320, []byte{5, 10, 1, 64})                    //
	put(1080e6, 101, 5, 8320, []byte{5, 0x8a, 1, 224})                 //
	put(1100e6, 0, 6, 8800, pattern(160, 0x40))                        // sound again
	put(1120e6, 13, 7, 8960, []byte{127})                              // silence
	put(1220e6, 0, 8, 9760, pattern(160, 0x40))                        //
	put(1240e6, 13, 9, 9920, []byte{0})                                // full scale, says somebody
	put(1340e6, 0, 10, 10720, pattern(160, 0x40))                      //
	put(1360e6, 77, 11, 10880, []byte("of a codec that nobody named")) //
	r := s.record()
	if want := (Figures{Packets: 5, Unplayed: 1}); r.Channels[1].Figures != want {
		t.Errorf("%+v, want %+v", r.Channels[1].Figures, want)
	}
	got := samples(t, r)[1]
	level := func(from, to int) float64 {
		var sum float64
		for _, v := range got[from:to] {
			sum += float64(v) * float64(v)
		}
		return 10 * math.Log10(sum/float64(to-from)/32768/32768)
	}
	if db := level(160, 8160); db < -61 || db > -59 {
		t.Errorf("noise of -60 dBov has %.1f", db)
	}
	if db := level(9920, 10720); db > -39 {
		t.Errorf("noise of 0 dBov has %.1f", db)
	}
	for i, v := range got {
		quiet := i >= 8320 && i < 8800 || i >= 8960 && i < 9760
		sound := i < 160 || i >= 8160 && i < 8320 || i >= 8800 && i < 8960 || i >= 9760 && i < 9920 || i >= 10720
		if quiet && v != 0 || sound && v != ulaw[0x40] {
			t.Fatalf("sample %d is %d", i, v)
		}
	}
	if again := samples(t, s.record())[1]; !slices.Equal(got, again) {
		t.Error("the noise is another each time")
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	put := func(s *scene, after int64, pt uint8, seq uint16) {
		s.put(after, bob, alice, rtp.Packet{PT: pt, Seq: seq, SSRC: uint32(pt), Payload: pattern(160, 1)})
	}
	for _, tt := range []struct {
		name  string
		build func() *scene
		err   error
		says  string
	}{
		{"no media", func() *scene { return newScene(t, "RTP/AVP 0") }, ErrNoAudio, "no RTP"},
		{"a codec", func() *scene {
			s := newScene(t, "RTP/AVP 18")
			put(s, 0, 18, 1)
			return s
		}, ErrCodec, "stream 1: no decoder for G729 "},
		{"a codec with a hostile name", func() *scene {
			s := newScene(t, "RTP/AVP 96", "a=rtpmap:96 \x1b[31m/8000")
			put(s, 0, 96, 1)
			return s
		}, ErrCodec, `\x1b[31`},
		{"events only", func() *scene {
			s := newScene(t, "RTP/AVP 101", "a=rtpmap:101 telephone-event/8000")
			put(s, 0, 101, 1)
			return s
		}, ErrCodec, "no sound"},
		{"another stream could be written", func() *scene {
			s := newScene(t, "RTP/AVP 18 0")
			put(s, 0, 18, 1)
			put(s, 1, 18, 2)
			put(s, 2, 0, 1)
			return s
		}, ErrCodec, "these can be written: 2"},
		{"DTLS", func() *scene {
			s := newScene(t, "UDP/TLS/RTP/SAVPF 0", "a=fingerprint:sha-256 00")
			put(s, 0, 0, 1)
			return s
		}, cut.ErrDTLS, "stream 1"},
		{"two packets with 30 h between them", func() *scene {
			s := newScene(t, "RTP/AVP 0")
			put(s, 0, 0, 1)
			put(s, 30*3600e9, 0, 2)
			return s
		}, ErrTooLong, "30.0 h apart"},
		{"two packets at a high rate with half an hour between them", func() *scene {
			s := newScene(t, "RTP/AVP 96", "a=rtpmap:96 L16/192000")
			put(s, 0, 96, 1)
			put(s, 1800e9, 96, 2)
			return s
		}, ErrTooLong, "0.5 h apart"},
		{"a sampling rate a packet", func() *scene {
			s := newScene(t, "RTP/AVP 96 97 98 99 100 101 102 103 104 105", manyRates(96, 10)...)
			for i := range uint8(10) {
				put(s, int64(i)*20e6, 96+i, uint16(i))
			}
			return s
		}, ErrRates, "10 in one channel"},
		{"two packets with a century between them", func() *scene {
			s := newScene(t, "RTP/AVP 0")
			put(s, 0, 0, 1)
			put(s, 3e18, 0, 2)
			return s
		}, ErrTooLong, "80 h"},
	} {
		s := tt.build()
		r, err := New(s.result(), &s.call, 0, Options{})
		if !errors.Is(err, tt.err) || !strings.Contains(err.Error(), tt.says) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%s: %v, %v", tt.name, r, err)
		}
	}
	r := &Recording{Rate: 48000, Frames: 1 << 31, sources: make([][]*source, 2)}
	if err := r.checkLength(1 << 62); !errors.Is(err, ErrTooLong) || !strings.Contains(err.Error(), "8.0 GiB") {
		t.Errorf("8 GiB: %v", err)
	}
	r.Frames = maxBytes / 4
	if err := r.checkLength(1 << 62); err != nil || binary.LittleEndian.Uint32(r.header()[4:]) < 1<<32-16 {
		t.Errorf("4 GiB: %v, % x", err, r.header())
	}
}

// manyRates maps n payload types from one on to L8 of rates without a common factor.
func manyRates(pt, n int) (lines []string) {
	for i := range n {
		lines = append(lines, fmt.Sprintf("a=rtpmap:%d L8/%d", pt+i, 8009+2*i))
	}
	return lines
}

// TestHostileTimestamps holds that timestamps which claim hours make no file of hours.
func TestHostileTimestamps(t *testing.T) {
	t.Parallel()
	s := newScene(t, "RTP/AVP 0")
	for i := range 1000 {
		s.put(int64(i)*20e6, bob, alice, rtp.Packet{Seq: uint16(i), Timestamp: uint32(i) * 0x7fffffff, SSRC: 1, Payload: pattern(160, 1), Marker: i%2 == 0})
	}
	if r := s.record(); r.Frames > 8000*21 {
		t.Errorf("%d samples of 20 s", r.Frames)
	}
}

var errFull = errors.New("full")

// full is a disk that is full after so many bytes.
type full int

func (f *full) Write(b []byte) (int, error) {
	if *f -= full(len(b)); *f < 0 {
		return 0, errFull
	}
	return len(b), nil
}

func TestWriteErrors(t *testing.T) {
	t.Parallel()
	s := newScene(t, "RTP/AVP 0")
	s.put(0, bob, alice, rtp.Packet{SSRC: 1, Payload: pattern(9000, 1)})
	r := s.record()
	for _, n := range []full{0, 44, 20000} {
		if err := r.WriteWAV(t.Context(), &n); !errors.Is(err, errFull) {
			t.Errorf("%v", err)
		}
	}
	ctx, stop := context.WithCancelCause(t.Context())
	stop(errFull)
	if err := r.WriteWAV(ctx, io.Discard); !errors.Is(err, errFull) {
		t.Errorf("%v", err)
	}
}

// FuzzLine makes packets of any times, sequence numbers, timestamps and codecs: what is written has the length that was
// announced, and is no longer than the packets' times say.
func FuzzLine(f *testing.F) {
	f.Add([]byte{0, 0, 1, 0, 160, 0, 160, 20, 0, 2, 1, 64, 0, 160, 20, 0, 3, 1, 224, 9, 160})
	f.Add(bytes.Repeat([]byte{200, 255, 3, 128, 0, 13, 255}, 30))
	f.Add(codes(700))
	f.Fuzz(func(t *testing.T, script []byte) {
		s := newScene(t, "RTP/AVP 0 8 9 13 97 101", "a=rtpmap:97 L16/11025/2", "a=rtpmap:101 telephone-event/8000")
		pts := []uint8{0, 8, 9, 13, 97, 101, 50}
		now, longest := int64(0), int64(0)
		for ; len(script) >= 7 && len(s.packets) < 500; script = script[7:] {
			now += int64(int8(script[0])) * 5e6
			n := int(script[6]) * 4
			longest = max(longest, int64(n)*125e3)
			from, to := bob, alice
			if script[1]&1 != 0 {
				from, to = to, from
			}
			s.put(now, from, to, rtp.Packet{
				PT: pts[int(script[5])%len(pts)], Seq: uint16(script[1])<<8 | uint16(script[2]),
				Timestamp: uint32(script[3])<<24 | uint32(script[4])<<5, SSRC: uint32(script[1] & 3), Payload: codes(n), Marker: script[5]&128 != 0,
			})
		}
		result := s.result()
		r, err := New(result, &s.call, 0, Options{})
		if err != nil {
			return
		}
		first, last := int64(math.MaxInt64), int64(math.MinInt64)
		for _, p := range s.packets {
			first, last = min(first, p.after), max(last, p.after)
		}
		span := last - first + longest + 2*lookahead + within
		if got := nanos(r.Frames, int64(r.Rate)); got > span {
			t.Fatalf("%d ms of sound, the packets say %d", got/1e6, span/1e6)
		}
		var b bytes.Buffer
		if err = r.WriteWAV(t.Context(), &b); err != nil || int64(b.Len()) != 44+r.Bytes() {
			t.Fatalf("%v, %d bytes, want %d", err, b.Len(), 44+r.Bytes())
		}
		for _, ch := range r.Channels {
			if ch.Packets > uint64(len(s.packets)) || ch.LostTime < 0 || ch.Side == correlate.SideUnknown {
				t.Fatalf("%+v", ch)
			}
		}
	})
}

func BenchmarkWriteWAV(b *testing.B) {
	s := newScene(b, "RTP/AVP 0 9")
	for i := range 3000 { // a minute of two rates
		s.put(int64(i)*20e6, bob, alice, rtp.Packet{Seq: uint16(i), Timestamp: uint32(160 * i), SSRC: 1, Payload: pattern(160, 1)})
		s.put(int64(i)*20e6, alice, bob, rtp.Packet{PT: 9, Seq: uint16(i), Timestamp: uint32(160 * i), SSRC: 2, Payload: pattern(160, 1)})
	}
	result := s.result()
	b.ReportAllocs()
	b.SetBytes(3000 * 2 * 172)
	for b.Loop() {
		r, err := New(result, &s.call, 0, Options{})
		if err != nil {
			b.Fatal(err)
		}
		if err = r.WriteWAV(b.Context(), io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
