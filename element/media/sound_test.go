package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"
	"time"
)

// level is the power of a frequency in sound, 1 for a full sine (Goertzel).
func level(pcm []int16, hz float64) float64 {
	var re, im float64
	for i, s := range pcm {
		w := 2 * math.Pi * hz * float64(i) / Rate
		re += float64(s) * math.Cos(w)
		im += float64(s) * math.Sin(w)
	}
	return 2 * math.Hypot(re, im) / float64(len(pcm)) / math.MaxInt16
}

func TestTone(t *testing.T) {
	t.Parallel()
	src, err := Tone(time.Second, 697, 1209)
	if err != nil {
		t.Fatal(err)
	}
	pcm := make([]int16, 2*Rate)
	n := 0
	for step := 1; ; step += 7 { // in pieces of any size
		got := src.Read(pcm[n:min(n+step, len(pcm))])
		n += got
		if got < step {
			break
		}
	}
	if n != Rate {
		t.Fatalf("%d samples, want %d", n, Rate)
	}
	for hz, want := range map[float64]float64{697: 0.125, 1209: 0.125, 941: 0, 1336: 0, 2000: 0} {
		if got := level(pcm[:n], hz); math.Abs(got-want) > 0.002 {
			t.Errorf("%g Hz: level %.4f, want %.4f", hz, got, want)
		}
	}
	long, err := Tone(0, 440)
	if err != nil {
		t.Fatal(err)
	}
	for range 3600 { // an hour, and the recurrence keeps its level
		long.Read(pcm[:Rate])
	}
	if got := level(pcm[:Rate], 440); math.Abs(got-0.25) > 0.001 {
		t.Errorf("after an hour: level %.4f", got)
	}
	for _, hz := range [][]float64{nil, {0}, {-1}, {4000}, {math.NaN()}, {math.Inf(1)}, make([]float64, maxTones+1)} {
		if _, err := Tone(0, hz...); err == nil {
			t.Errorf("tone of %v accepted", hz)
		}
	}
}

func TestPlay(t *testing.T) {
	t.Parallel()
	s := Sound{1, 2, 3}
	buf := make([]int16, 8)
	if n := s.Play(true).Read(buf); n != 8 || buf[7] != 2 {
		t.Errorf("loop: %d, %v", n, buf)
	}
	p := s.Play(false)
	if n := p.Read(buf[:2]); n != 2 {
		t.Errorf("first: %d", n)
	}
	if n := p.Read(buf); n != 1 || buf[0] != 3 {
		t.Errorf("rest: %d, %v", n, buf)
	}
	if n := Sound(nil).Play(true).Read(buf); n != 0 {
		t.Errorf("a loop of nothing gives %d samples", n)
	}
}

// wav makes a file of chunks.
func wav(chunks ...string) string {
	return "RIFF\xff\xff\xff\xffWAVE" + strings.Join(chunks, "")
}

func chunk(id, data string) string {
	var b bytes.Buffer
	b.WriteString(id)
	_ = binary.Write(&b, binary.LittleEndian, uint32(len(data)))
	b.WriteString(data)
	if len(data)&1 != 0 {
		b.WriteByte(0)
	}
	return b.String()
}

func fmtChunk(format, channels, rate, bits int, more string) string {
	var b bytes.Buffer
	_ = binary.Write(&b, binary.LittleEndian, []uint16{uint16(format), uint16(channels)})
	_ = binary.Write(&b, binary.LittleEndian, []uint32{uint32(rate), uint32(rate * channels * bits / 8)})
	_ = binary.Write(&b, binary.LittleEndian, []uint16{uint16(channels * bits / 8), uint16(bits)})
	return chunk("fmt ", b.String()+more)
}

// samples16 is sound as the bytes of a file.
func samples16(s ...int16) string {
	var b bytes.Buffer
	_ = binary.Write(&b, binary.LittleEndian, s)
	return b.String()
}

func TestReadWAV(t *testing.T) {
	t.Parallel()
	extensible := "\x16\x00\x10\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x10\x00\x80\x00\x00\xaa\x00\x38\x9b\x71"
	for name, tt := range map[string]struct {
		file string
		want Sound
	}{
		"16 bits":            {wav(fmtChunk(1, 1, 8000, 16, ""), chunk("data", samples16(1, -2, 32767, -32768))), Sound{1, -2, 32767, -32768}},
		"8 bits":             {wav(fmtChunk(1, 1, 8000, 8, ""), chunk("data", "\x80\x81\x00\xff")), Sound{0, 256, -32768, 32512}},
		"two channels":       {wav(fmtChunk(1, 2, 8000, 16, ""), chunk("data", samples16(10, 20, -10, -30))), Sound{15, -20}},
		"µ-law":              {wav(fmtChunk(7, 1, 8000, 8, "\x00\x00"), chunk("data", "\x80\xff")), Sound{32124, 0}},
		"A-law":              {wav(fmtChunk(6, 1, 8000, 8, ""), chunk("data", "\xaa\xd5")), Sound{32256, 8}},
		"extensible":         {wav(fmtChunk(0xfffe, 1, 8000, 16, extensible), chunk("data", samples16(7))), Sound{7}},
		"odd chunks between": {wav(chunk("LIST", "abc"), fmtChunk(1, 1, 8000, 16, "x"), chunk("fact", "1"), chunk("data", samples16(5))), Sound{5}},
		"cut":                {wav(fmtChunk(1, 1, 8000, 16, ""), chunk("data", samples16(1, 2, 3))[:13]), Sound{1, 2}},
		"length unknown":     {wav(fmtChunk(1, 1, 8000, 16, ""), "data\xff\xff\xff\xff"+samples16(1, 2)), Sound{1, 2}},
		"no sound":           {wav(fmtChunk(1, 1, 8000, 16, ""), chunk("data", "")), nil},
		"half the rate":      {wav(fmtChunk(1, 1, 4000, 16, ""), chunk("data", samples16(0, 100, 200))), Sound{0, 50, 100, 150, 200}},
		"twice the rate":     {wav(fmtChunk(1, 1, 16000, 16, ""), chunk("data", samples16(0, 100, 200, 300, 400, 500))), Sound{50, 250, 450}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ReadWAV(strings.NewReader(tt.file))
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(tt.want) {
				t.Fatalf("%v, want %v", got, tt.want)
			}
			for i := range got {
				if got[i] != tt.want[i] {
					t.Fatalf("%v, want %v", got, tt.want)
				}
			}
		})
	}
}

func TestReadWAVErrors(t *testing.T) {
	t.Parallel()
	for name, file := range map[string]string{
		"nothing":       "",
		"no RIFF":       "OggS" + strings.Repeat("x", 100),
		"no data":       wav(fmtChunk(1, 1, 8000, 16, "")),
		"no fmt":        wav(chunk("data", "12")),
		"short fmt":     wav(chunk("fmt ", "12345678"), chunk("data", "12")),
		"24 bits":       wav(fmtChunk(1, 1, 8000, 24, ""), chunk("data", "123")),
		"MP3":           wav(fmtChunk(0x55, 1, 8000, 8, ""), chunk("data", "123")),
		"no channel":    wav(fmtChunk(1, 0, 8000, 16, ""), chunk("data", "12")),
		"many channels": wav(fmtChunk(1, 60000, 8000, 16, ""), chunk("data", "12")),
		"no rate":       wav(fmtChunk(1, 1, 0, 16, ""), chunk("data", "12")),
		"chunk of 4 GB": wav("LIST\xff\xff\xff\xff"),
		"empty chunks":  wav(strings.Repeat(chunk("JUNK", ""), maxWAVChunks+1)),
	} {
		if _, err := ReadWAV(strings.NewReader(file)); !errors.Is(err, ErrWAV) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestReadWAVRates has a tone of one second keep its frequency, level and length at any rate.
func TestReadWAVRates(t *testing.T) {
	t.Parallel()
	for _, rate := range []int{8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000, 192000, 384000} {
		pcm := make([]int16, rate)
		for i := range pcm {
			pcm[i] = int16(8000 * math.Sin(2*math.Pi*440*float64(i)/float64(rate)))
		}
		got, err := ReadWAV(strings.NewReader(wav(fmtChunk(1, 1, rate, 16, ""), chunk("data", samples16(pcm...)))))
		if err != nil {
			t.Fatal(err)
		}
		if abs(len(got)-Rate) > 4 {
			t.Errorf("%d Hz: %d samples", rate, len(got))
		}
		want := 8000. / math.MaxInt16
		if l := level(got, 440); math.Abs(l-want) > 0.03*want {
			t.Errorf("%d Hz: level %.4f at 440 Hz, want %.4f", rate, l, want)
		}
	}
	// One sample a second, for hours: an hour is made of it, no more.
	slow := wav(fmtChunk(1, 1, 1, 8, ""), chunk("data", strings.Repeat("\x90", 10000)))
	if got, err := ReadWAV(strings.NewReader(slow)); err != nil || len(got) != maxWAVSeconds*Rate {
		t.Errorf("a file of hours: %d samples, %v", len(got), err)
	}
}

func TestWriteWAV(t *testing.T) {
	t.Parallel()
	s := make(Sound, 100_000)
	for i := range s {
		s[i] = int16(i * 7)
	}
	var b bytes.Buffer
	if err := WriteWAV(&b, s); err != nil {
		t.Fatal(err)
	}
	got, err := ReadWAV(&b)
	if err != nil || len(got) != len(s) {
		t.Fatalf("%d samples, %v", len(got), err)
	}
	for i := range s {
		if got[i] != s[i] {
			t.Fatalf("sample %d: %d, want %d", i, got[i], s[i])
		}
	}
}

func FuzzReadWAV(f *testing.F) {
	f.Add([]byte(wav(fmtChunk(1, 2, 44100, 16, ""), chunk("data", samples16(1, 2, 3, 4)))))
	f.Add([]byte(wav(fmtChunk(7, 1, 1, 8, "xx"), chunk("LIST", "a"), chunk("data", "1234"))))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ReadWAV(bytes.NewReader(b))
		if err != nil {
			return
		}
		if len(s) > maxWAVSeconds*Rate {
			t.Fatalf("%d samples", len(s))
		}
		var out bytes.Buffer
		if err = WriteWAV(&out, s); err != nil {
			t.Fatal(err)
		}
		again, err := ReadWAV(&out)
		if err != nil || len(again) != len(s) {
			t.Fatalf("%d samples came back as %d: %v", len(s), len(again), err)
		}
	})
}
