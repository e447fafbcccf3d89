package output

import (
	"path/filepath"
	"testing"
	"time"

	"sipscope/capture"
)

// BenchmarkWrite: packets of 700 bytes into a file. The ring of names is small, so that the disk is not filled.
func BenchmarkWrite(b *testing.B) {
	for _, name := range formats() {
		b.Run(name, func(b *testing.B) {
			p := create(b, Options{Path: filepath.Join(b.TempDir(), name), MaxBytes: 256 << 20, Files: 2})
			pkt := &capture.Packet{Time: start, Data: make([]byte, 700), Link: capture.LinkEthernet}
			for i := range pkt.Data {
				pkt.Data[i] = byte(i * i / 7)
			}
			b.SetBytes(700)
			b.ReportAllocs()
			for b.Loop() {
				pkt.Time += 2000
				pkt.Data[40]++
				if err := p.Write(pkt, ""); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestAllocations: a packet costs none.
func TestAllocations(t *testing.T) { //nolint:paralleltest // counts allocations
	for _, name := range formats() {
		p := create(t, Options{Path: filepath.Join(t.TempDir(), name), MaxAge: time.Hour})
		pkt := &capture.Packet{Time: start, Data: make([]byte, 700), Link: capture.LinkEthernet}
		round := func() {
			for range 5000 {
				pkt.Time += 2000
				if err := p.Write(pkt, "a comment"); err != nil {
					t.Fatal(err)
				}
			}
		}
		round()
		round()
		if n := testing.AllocsPerRun(5, round); n > 50 {
			t.Errorf("%s: %v allocations for 5000 packets", name, n)
		}
	}
}
