package tls_test

import (
	"bytes"
	stdtls "crypto/tls"
	"math/rand/v2"
	"testing"

	"sipscope/decode/tls"
)

// FuzzConn takes bytes as what two sides send, with gaps between, and with the keys of the session that the seeds are of.
//
//	input: op (1) | length (2) | bytes        op: bit 0 the side, bit 1 a gap of as many bytes, bit 2 nobody knows how many
func FuzzConn(f *testing.F) {
	rsaCert, _ := certificates(f)
	keys := tls.NewKeys()
	for _, v := range []uint16{stdtls.VersionTLS10, stdtls.VersionTLS12, stdtls.VersionTLS13} {
		cc, sc, log := configs(rsaCert, v)
		var seed []byte
		for _, c := range talk(f, cc, sc) {
			seed = append(seed, byte(c.from), byte(len(c.b)>>8), byte(len(c.b)))
			seed = append(seed, c.b...)
		}
		keys.Add(log.Bytes())
		f.Add(seed, uint16(1460))
		f.Add(seed, uint16(3))
	}
	f.Fuzz(func(t *testing.T, b []byte, size uint16) {
		var h heard
		w := &wire{c: tls.NewConn(keys, &h)}
		total := 0
		for len(b) >= 3 {
			op, n := b[0], int(b[1])<<8|int(b[2])
			b = b[3:]
			side := tls.Side(op & 1)
			switch {
			case op&2 != 0:
				w.gap(side, n)
			case op&4 != 0:
				w.gap(side, -1)
			default:
				n = min(n, len(b))
				part := b[:n]
				b = b[n:]
				total += n
				for len(part) > 0 {
					k := min(len(part), int(size)+1)
					w.take(side, part[:k])
					part = part[k:]
				}
			}
		}
		if h.bad != "" {
			t.Error(h.bad)
		}
		if n := h.text[0].Len() + h.text[1].Len(); n > total {
			t.Errorf("%d bytes of text out of %d", n, total)
		}
		if n := len(w.rest[0]) + len(w.rest[1]); n > 2*(128<<10+20<<10) {
			t.Errorf("%d bytes wait", n)
		}
		if n := w.c.Size(); n > 200<<10 {
			t.Errorf("it holds %d bytes", n)
		}
		_ = w.c.Info().State.String()
	})
}

// FuzzKeys cuts a key log in two: the same secrets come out, as far as another log can tell.
func FuzzKeys(f *testing.F) {
	rsaCert, _ := certificates(f)
	cc, sc, log := configs(rsaCert, stdtls.VersionTLS13)
	talk(f, cc, sc)
	f.Add(log.Bytes(), 100)
	f.Add([]byte("# comment\nRSA 24e323be1defc33b 0303a3ec\r\nRSA Session-ID:00ff Master-Key:aa\nCLIENT_RANDOM zz\n"), 20)
	f.Fuzz(func(t *testing.T, b []byte, cut int) {
		whole, parts := tls.NewKeys(), tls.NewKeys()
		whole.Add(b)
		whole.End()
		cut = min(max(cut, 0), len(b))
		parts.Add(b[:cut])
		parts.Add(b[cut:])
		parts.End()
		if whole.Lines != parts.Lines || whole.Ignored != parts.Ignored || whole.Forgotten != parts.Forgotten {
			t.Errorf("cut at %d: %d and %d lines, want %d and %d", cut, parts.Lines, parts.Ignored, whole.Lines, whole.Ignored)
		}
	})
}

// TestRandomRecords sends records of random bytes, with all lengths, on a connection whose keys are known.
func TestRandomRecords(t *testing.T) {
	t.Parallel()
	rsaCert, _ := certificates(t)
	for _, v := range []uint16{stdtls.VersionTLS10, stdtls.VersionTLS12, stdtls.VersionTLS13} {
		cc, sc, log := configs(rsaCert, v)
		chunks := talk(t, cc, sc)
		var h heard
		w := feed(tls.NewConn(keysOf(log.String()), &h), chunks, 1<<16)
		said := h.text[0].Len() + h.text[1].Len()
		r := rand.New(rand.NewPCG(1, 2))
		junk := make([]byte, 16<<10)
		for range 4000 { // 32 MiB
			for i := range junk {
				junk[i] = byte(r.Uint32())
			}
			n := r.IntN(len(junk) - 5)
			copy(junk, []byte{23, 3, 3, byte(n >> 8), byte(n)})
			w.take(tls.Side(r.UintN(2)), junk[:n+5])
		}
		if got := h.text[0].Len() + h.text[1].Len(); got != said {
			t.Errorf("%d bytes of text out of random ones", got-said)
		}
		if n := len(w.rest[0]) + len(w.rest[1]); n > 64<<10 {
			t.Errorf("%d bytes wait", n)
		}
	}
}

// TestLyingLengths has lengths that lie, at every byte of a handshake.
func TestLyingLengths(t *testing.T) {
	t.Parallel()
	rsaCert, _ := certificates(t)
	cc, sc, log := configs(rsaCert, stdtls.VersionTLS12)
	chunks := talk(t, cc, sc)
	keys := keysOf(log.String())
	for i := range chunks[:4] {
		for at := range chunks[i].b {
			for _, v := range []byte{0, 1, 0x7f, 0xff} {
				var h heard
				w := &wire{c: tls.NewConn(keys, &h)}
				for j, c := range chunks {
					b := c.b
					if j == i {
						b = bytes.Clone(b)
						b[at] = v
					}
					w.take(c.from, b)
				}
				if n := w.c.Size(); n > 200<<10 {
					t.Fatalf("byte %d of chunk %d as %#x: it holds %d bytes", at, i, v, n)
				}
			}
		}
	}
}

func BenchmarkConn(b *testing.B) {
	rsaCert, _ := certificates(b)
	for _, x := range []struct {
		name    string
		version uint16
		keys    bool
	}{{"tls1.2", stdtls.VersionTLS12, true}, {"tls1.3", stdtls.VersionTLS13, true}, {"no key", stdtls.VersionTLS13, false}} {
		b.Run(x.name, func(b *testing.B) {
			cc, sc, log := configs(rsaCert, x.version)
			chunks := talk(b, cc, sc)
			size := 0
			for _, c := range chunks {
				size += len(c.b)
			}
			var keys *tls.Keys
			if x.keys {
				keys = keysOf(log.String())
			}
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				w := &wire{c: tls.NewConn(keys, nothing{})}
				for _, c := range chunks {
					w.take(c.from, c.b)
				}
			}
		})
	}
}

type nothing struct{}

func (nothing) Plain(*tls.Text) {}
