package output

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"sipscope/capture"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start is the time of packet 0.
const start = 1_700_000_000_000_000_000 // 2023-11-14 22:13:20 UTC

// step is the time between two packets.
const step = 10_000_000

// formats are file names, one for each format.
func formats() []string { return []string{"a.pcapng", "a.pcap", "a.pcapng.zst", "a.pcap.zst"} }

// packet makes packet n, whose bytes follow from n.
func packet(n uint64) *capture.Packet {
	data := make([]byte, 8+n*37%1400)
	binary.BigEndian.PutUint64(data, n)
	noise := n*2862933555777941757 + 3037000493
	for i := 8; i < len(data); i++ {
		if data[i] = byte(n) + byte(i); i < len(data)/2 { // half of it cannot be compressed
			noise = noise*6364136223846793005 + 1442695040888963407
			data[i] = byte(noise >> 56)
		}
	}
	return &capture.Packet{
		Seq: n, Time: start + int64(n)*step, Data: data, WireLen: uint32(len(data)) + uint32(n%3),
		Link: capture.LinkEthernet, Iface: uint16(n % 2),
	}
}

// create makes an Output that the test's end closes.
func create(tb testing.TB, o Options) *Output {
	tb.Helper()
	p, err := Create(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = p.Close() })
	return p
}

// write writes packets from to to, and then closes.
func write(tb testing.TB, p *Output, from, to uint64) {
	tb.Helper()
	for n := from; n <= to; n++ {
		if err := p.Write(packet(n), ""); err != nil {
			tb.Fatal(err)
		}
	}
}

// read gives the numbers of the packets in a file, after comparing them, and what ended the reading.
func read(tb testing.TB, path string) (out []uint64, end error) {
	tb.Helper()
	files, err := capture.Open([]string{path}, capture.Options{})
	if err != nil {
		return nil, err
	}
	defer files.Close()
	var b capture.Batch
	defer b.Release()
	for {
		if err := files.Next(context.Background(), &b); err != nil {
			return out, err
		}
		for i := range b.Packets {
			p := &b.Packets[i]
			n := binary.BigEndian.Uint64(p.Data)
			want := packet(n)
			if string(p.Data) != string(want.Data) || p.Time != want.Time || p.WireLen != want.WireLen || p.Link != want.Link {
				tb.Fatalf("%s: packet %d is %+v, want %+v", path, n, p, want)
			}
			out = append(out, n)
		}
	}
}

// mustRead is read for whole files, one after the other.
func mustRead(tb testing.TB, paths ...string) (out []uint64) {
	tb.Helper()
	for _, path := range paths {
		got, err := read(tb, path)
		if !errors.Is(err, io.EOF) {
			tb.Fatalf("%s ended by %v", path, err)
		}
		out = append(out, got...)
	}
	return out
}

// list gives the files in a directory by name.
func list(tb testing.TB, dir string) []string {
	tb.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		tb.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	slices.Sort(out)
	return out
}

// paths puts a directory before names.
func paths(dir string, names []string) (out []string) {
	for _, n := range names {
		out = append(out, filepath.Join(dir, n))
	}
	return out
}

// isRow tells whether numbers go up by one.
func isRow(numbers []uint64, from, to uint64) bool {
	if uint64(len(numbers)) != to-from+1 {
		return false
	}
	for i, n := range numbers {
		if n != from+uint64(i) {
			return false
		}
	}
	return true
}
