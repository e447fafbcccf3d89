package hep

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
)

func squeeze(tb testing.TB, text []byte, gz bool) []byte {
	tb.Helper()
	var out bytes.Buffer
	var w io.WriteCloser = zlib.NewWriter(&out)
	if gz {
		w = gzip.NewWriter(&out)
	}
	if _, err := w.Write(text); err != nil {
		tb.Fatal(err)
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

func TestInflate(t *testing.T) {
	t.Parallel()
	text := []byte(invite(1))
	zeros := make([]byte, 1<<20)
	var f Inflater // used again and again, also after errors
	for _, c := range []struct {
		name  string
		b     []byte
		limit int
		want  []byte
		err   error // nil: any, when want is nil
	}{
		{"zlib", squeeze(t, text, false), MaxInflated, text, nil},
		{"gzip", squeeze(t, text, true), MaxInflated, text, nil},
		{"exactly the limit", squeeze(t, text, false), len(text), text, nil},
		{"one more than the limit", squeeze(t, text, false), len(text) - 1, nil, ErrTooLarge},
		{"bomb", squeeze(t, zeros, true), MaxInflated, nil, ErrTooLarge},
		{"nothing", nil, MaxInflated, nil, errNotCompressed},
		{"plain text", text, MaxInflated, nil, errNotCompressed},
		{"cut", squeeze(t, text, false)[:50], MaxInflated, nil, nil},
		{"cut header", squeeze(t, text, true)[:5], MaxInflated, nil, nil},
		{"wrong checksum", append(squeeze(t, text, false)[:len(squeeze(t, text, false))-1], 0xee), MaxInflated, nil, nil},
		{"zlib again", squeeze(t, []byte{}, false), MaxInflated, []byte{}, nil},
		{"gzip again", squeeze(t, text, true), MaxInflated, text, nil},
	} {
		for _, inflate := range []func(dst, b []byte, limit int) ([]byte, error){f.Inflate, Inflate} {
			got, err := inflate([]byte("before"), c.b, c.limit)
			if !bytes.HasPrefix(got, []byte("before")) || len(got) > 6+c.limit {
				t.Errorf("%s: %d bytes, of %d", c.name, len(got), c.limit)
			}
			if c.want == nil {
				if err == nil || c.err != nil && !errors.Is(err, c.err) {
					t.Errorf("%s: %v, want %v", c.name, err, c.err)
				}
				continue
			}
			if err != nil || !bytes.Equal(got[6:], c.want) {
				t.Errorf("%s: %d bytes, %v", c.name, len(got)-6, err)
			}
		}
	}
}

// A payload of any kind comes back, and only one that gets shorter is compressed.
func TestCompress(t *testing.T) {
	t.Parallel()
	noise := make([]byte, 1000)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	for _, c := range []struct {
		payload    []byte
		compressed bool
	}{{[]byte(invite(1)), true}, {noise, false}, {[]byte("ACK"), false}, {[]byte{}, false}, {make([]byte, 60_000), true}} {
		b, err := Append(nil, &Packet{Src: a4, Dst: b4, Payload: c.payload}, Encoding{Compress: true})
		if err != nil {
			t.Fatal(err)
		}
		var p Packet
		if err = Decode(b, &p); err != nil {
			t.Fatal(err)
		}
		got := p.Payload
		if p.Compressed {
			if got, err = Inflate(nil, p.Payload, MaxInflated); err != nil {
				t.Fatal(err)
			}
			r, err := zlib.NewReader(bytes.NewReader(p.Payload)) // by another implementation
			if err != nil {
				t.Fatal(err)
			}
			if all, err := io.ReadAll(r); err != nil || !bytes.Equal(all, c.payload) {
				t.Errorf("the standard library gives %d bytes, %v", len(all), err)
			}
		}
		if p.Compressed != c.compressed || !bytes.Equal(got, c.payload) {
			t.Errorf("%d bytes: compressed %v to %d, want %v", len(c.payload), p.Compressed, len(p.Payload), c.compressed)
		}
	}
}

func BenchmarkInflate(b *testing.B) {
	z := squeeze(b, []byte(invite(1)), false)
	var f Inflater
	room := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := f.Inflate(room, z, MaxInflated); err != nil {
			b.Fatal(err)
		}
	}
}
