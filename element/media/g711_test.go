package media

import (
	"math"
	"testing"
)

// expandU and expandA are the tables of ITU-T G.711 by its text: the decision values double from segment to segment.
// They share no code with the codec.
func expandU(code byte) int {
	n := 255 - int(code) // the bits are inverted on the line
	segment, step := n>>4&7, n&15
	// Table 2a: segment 0 has steps of 2 (one of 1 at the beginning), and each segment begins where 33·2^s - 33 is.
	v := (33<<segment - 33) + 2<<segment*step
	if n >= 128 {
		return -v * 4
	}
	return v * 4
}

func expandA(code byte) int {
	n := int(code ^ 0x55)
	segment, step := n>>4&7, n&15
	v := 2*step + 1 // table 1a, of 4096: segments 0 and 1 have steps of 2
	if segment > 0 {
		v = (2*step + 33) << (segment - 1)
	}
	if n < 128 {
		v = -v
	}
	return v * 8
}

func TestG711Decode(t *testing.T) {
	t.Parallel()
	for i := range 256 {
		code := byte(i)
		if got, want := int(decodeU(code)), expandU(code); got != want {
			t.Errorf("µ-law %#02x: %d, want %d", code, got, want)
		}
		if got, want := int(decodeA(code)), expandA(code); got != want {
			t.Errorf("A-law %#02x: %d, want %d", code, got, want)
		}
	}
	// Values that everybody knows: G.711's largest, smallest and silence.
	for _, v := range []struct {
		codec Codec
		code  byte
		want  int16
	}{
		{PCMU, 0x80, 32124},
		{PCMU, 0x00, -32124},
		{PCMU, 0xff, 0},
		{PCMU, 0x7f, 0},
		{PCMA, 0xaa, 32256},
		{PCMA, 0x2a, -32256},
		{PCMA, 0xd5, 8},
		{PCMA, 0x55, -8},
	} {
		if got := v.codec.Decode(nil, []byte{v.code}); got[0] != v.want {
			t.Errorf("%s %#02x: %d, want %d", v.codec, v.code, got[0], v.want)
		}
	}
}

// TestG711Encode has every sample become the code in whose interval it is (G.711 tables 1 and 2, columns 5 and 6: the
// intervals of a segment are of one width, so that the nearest value is not always the right one); and every code come
// back.
func TestG711Encode(t *testing.T) {
	t.Parallel()
	for _, c := range []Codec{PCMU, PCMA} {
		expand, largest := expandU, 8159*4-1
		if c == PCMA {
			expand, largest = expandA, math.MaxInt16
		}
		for s := math.MinInt16; s <= math.MaxInt16; s++ {
			code := c.Encode(nil, []int16{int16(s)})[0]
			segment := (code ^ map[Codec]byte{PCMU: 0xff, PCMA: 0x55}[c]) >> 4 & 7
			half := 4 << segment
			if c == PCMA {
				half = 8 << max(int(segment)-1, 0)
			}
			clipped := min(max(s, -largest), largest)
			if off := abs(expand(code) - clipped); off > half {
				t.Fatalf("%s %d: %#02x is %d, %d away, want at most %d", c, s, code, expand(code), off, half)
			}
		}
		for code := range 256 {
			back := c.Encode(nil, c.Decode(nil, []byte{byte(code)}))[0]
			if back != byte(code) && (c != PCMU || code != 0x7f || back != 0xff) { // µ-law has two zeros
				t.Errorf("%s %#02x comes back as %#02x", c, code, back)
			}
		}
	}
}

func abs(v int) int { return max(v, -v) }

func TestParseCodec(t *testing.T) {
	t.Parallel()
	for _, c := range []Codec{PCMU, PCMA} {
		if got, ok := ParseCodec(c.String()); !ok || got != c {
			t.Errorf("%s: %v, %t", c, got, ok)
		}
	}
	if _, ok := ParseCodec("G729"); ok {
		t.Error("G729 is known")
	}
}

func BenchmarkEncode(b *testing.B) {
	for _, c := range []Codec{PCMU, PCMA} {
		b.Run(c.String(), func(b *testing.B) {
			b.ReportAllocs()
			pcm := make([]int16, 160)
			for i := range pcm {
				pcm[i] = int16(i*409 - 1<<15)
			}
			out := make([]byte, 0, len(pcm))
			b.SetBytes(int64(2 * len(pcm)))
			for b.Loop() {
				out = c.Encode(out[:0], pcm)
			}
		})
	}
}
