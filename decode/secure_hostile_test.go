package decode_test

import (
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"testing"

	"sipscope/capture"
	"sipscope/decode"
)

// clientHello is a ClientHello in a record, with a random value that is made of n.
func clientHello(n uint64) string {
	b := make([]byte, 0, 80)
	b = append(b, 22, 3, 1, 0, 45, 1, 0, 0, 41, 3, 3)
	b = binary.BigEndian.AppendUint64(b, n)
	b = append(b, make([]byte, 24)...)
	b = append(b, 0, 0, 2, 0x13, 1, 1, 0)
	return string(b)
}

// TestManyHellos begins as many connections as addresses and ports allow: memory and rows are bounded.
func TestManyHellos(t *testing.T) {
	t.Parallel()
	total := 300_000 // beyond every limit
	if testing.Short() {
		total = 100_000
	}
	d := decode.NewDecoder(decode.Options{Secrets: true})
	s := decode.NewStreams(d)
	w := &decode.Work{}
	const batch = 256
	packets := make([]capture.Packet, batch)
	rows := 0
	for n := 0; n < total; n += batch {
		w.Reset()
		for i := range packets {
			p := packet(uint64(n+i+1), 6, tcp(1000, clientHello(uint64(n+i))), -1, false)
			binary.BigEndian.PutUint32(p.Data[26:], uint32(n+i))
			packets[i] = p
		}
		w.Batch.Packets, w.Batch.Now = packets, packets[batch-1].Time
		d.Frames(w)
		s.Join(w)
		rows += len(w.Secured())
	}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	runtime.KeepAlive(s)
	if rows < total {
		t.Errorf("%d connections told of %d", rows, total)
	}
	if m.HeapAlloc > 250<<20 {
		t.Errorf("%d MB live", m.HeapAlloc>>20)
	}
}

// TestRandomTLS has records of random bytes and lengths that lie on many connections, with and without a handshake.
func TestRandomTLS(t *testing.T) {
	t.Parallel()
	for _, o := range []decode.Options{{}, {Secrets: true}} {
		r := rand.New(rand.NewPCG(3, 4))
		d := decode.NewDecoder(o)
		s := decode.NewStreams(d)
		var acct decode.Accounting
		w := &decode.Work{}
		var seqs [64]uint32
		n := uint64(0)
		for range 400 {
			w.Reset()
			for range 64 {
				b := make([]byte, r.IntN(1400)+6)
				for i := range b {
					b[i] = byte(r.Uint32())
				}
				c := r.IntN(64)
				copy(b, []byte{byte(20 + r.IntN(5)), 3, byte(r.IntN(4))})
				if seqs[c] == 0 && c%2 == 0 {
					b = []byte(clientHello(uint64(c)))
				}
				n++
				p := packet(n, 6, tcp(seqs[c], string(b)), -1, false)
				binary.BigEndian.PutUint16(p.Data[34:], uint16(20_000+c))
				seqs[c] += uint32(len(b))
				if r.IntN(20) == 0 {
					seqs[c] += r.Uint32N(3000) // what follows is missing
				}
				w.Batch.Packets = append(w.Batch.Packets, p)
				w.Batch.Now = p.Time
			}
			d.Frames(w)
			if s.Join(w) {
				d.Texts(w)
			}
			for m := range w.Items() {
				if m != nil {
					t.Errorf("a message in random bytes: %q", m.SIP.Raw)
				}
			}
			w.Account(&acct)
			w.Batch.Packets = nil
		}
		sum := uint64(0)
		for _, k := range acct.Outcomes {
			sum += k
		}
		if sum != acct.Packets || acct.Packets != n {
			t.Errorf("outcomes add up to %d of %d packets", sum, n)
		}
	}
}
