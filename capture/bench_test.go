package capture

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// benchPackets is how many packets the benchmarks' captures have, and benchSize how long they are: like SIP.
const (
	benchPackets = 100_000
	benchSize    = 670
)

func benchFile(b *testing.B, ng bool) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "bench")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	w, err := NewWriter(f, LinkEthernet)
	write := func(p *Packet) error { return w.WritePacket(p) }
	shut := w.Close
	if ng {
		if err = f.Truncate(0); err != nil {
			b.Fatal(err)
		}
		var n *NGWriter
		n, err = NewNGWriter(f)
		write = func(p *Packet) error { return n.WritePacket(p, "") }
		shut = n.Close
	}
	if err != nil {
		b.Fatal(err)
	}
	p := Packet{Link: LinkEthernet, Data: make([]byte, benchSize)}
	for i := range benchPackets {
		p.Time = 1_700_000_000_000_000_000 + int64(i)*1000
		if err := write(&p); err != nil {
			b.Fatal(err)
		}
	}
	if err := shut(); err != nil {
		b.Fatal(err)
	}
	return path
}

func benchRead(b *testing.B, paths ...string) {
	b.Helper()
	var size int64
	for _, p := range paths {
		st, err := os.Stat(p)
		if err != nil {
			b.Fatal(err)
		}
		size += st.Size()
	}
	b.SetBytes(size)
	b.ReportAllocs()
	n := 0
	var batch Batch
	for b.Loop() {
		fs, err := Open(paths, Options{})
		if err != nil {
			b.Fatal(err)
		}
		for {
			err := fs.Next(context.Background(), &batch)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				b.Fatal(err)
			}
			n += len(batch.Packets)
		}
		fs.Close()
	}
	if n != b.N*benchPackets*len(paths) {
		b.Fatalf("%d packets read, %d expected", n, b.N*benchPackets*len(paths))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/packet")
}

func BenchmarkReadPcap(b *testing.B)   { benchRead(b, benchFile(b, false)) }
func BenchmarkReadPcapNG(b *testing.B) { benchRead(b, benchFile(b, true)) }

func BenchmarkMergeTwo(b *testing.B) { benchRead(b, benchFile(b, false), benchFile(b, true)) }

// BenchmarkRead is the floor: the same bytes by read(2) alone, in blocks of the same size.
func BenchmarkRead(b *testing.B) {
	path := benchFile(b, false)
	buf := make([]byte, blockSize)
	b.ReportAllocs()
	for b.Loop() {
		f, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		for err == nil {
			_, err = f.Read(buf)
		}
		f.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*benchPackets), "ns/packet")
}

// BenchmarkParse leaves out the reading: what the parsers cost a packet on bytes that are in the cache, as they are
// when they have just been read.
func BenchmarkParse(b *testing.B) {
	for _, ng := range []bool{false, true} {
		name := "pcap"
		if ng {
			name = "pcapng"
		}
		b.Run(name, func(b *testing.B) { benchParse(b, ng) })
	}
}

func benchParse(b *testing.B, ng bool) {
	b.Helper()
	data, err := os.ReadFile(benchFile(b, ng))
	if err != nil {
		b.Fatal(err)
	}
	k := &block{buf: data[:256<<10]}
	k.refs.Store(1)
	r := &blockReader{cur: k, to: len(k.buf), pool: newBlockPool(blockSize), err: io.EOF}
	var p fileReader
	if ng {
		p = newPcapNGReader("bench", r)
	} else if p, err = newPcapReader("bench", r); err != nil {
		b.Fatal(err)
	}
	n, begin := 0, r.from
	var batch Batch
	b.ReportAllocs()
	for b.Loop() {
		r.from, r.off = begin, int64(begin)
		for p.read(&batch) == nil {
			n += len(batch.Packets)
			batch.Release()
		}
		if ng {
			begin = 28 + 32 // the section and its interface are read once
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/packet")
}
