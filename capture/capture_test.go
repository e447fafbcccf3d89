package capture_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"go.uber.org/goleak"

	"sipscope/capture"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// plain is a packet without what depends on the file.
type plain struct {
	Seq   uint64
	Time  int64
	Data  string
	Wire  uint32
	Link  capture.LinkType
	Iface uint16
}

// drain reads all packets of a source, and what ended it.
func drain(t *testing.T, src capture.Source) (all []plain, locs []capture.Loc, err error) {
	t.Helper()
	var b capture.Batch
	defer b.Release()
	now := int64(-1 << 62)
	for {
		if err := src.Next(context.Background(), &b); err != nil {
			if len(b.Packets) != 0 {
				t.Errorf("%d packets beside an error", len(b.Packets))
			}
			return all, locs, err
		}
		if len(b.Packets) > capture.MaxBatch {
			t.Errorf("a batch of %d packets", len(b.Packets))
		}
		for i := range b.Packets {
			p := &b.Packets[i]
			now = max(now, p.Time)
			all = append(all, plain{p.Seq, p.Time, string(p.Data), p.WireLen, p.Link, p.Iface})
			locs = append(locs, p.Loc)
		}
		if b.Now != now {
			t.Errorf("batch time %d, want %d", b.Now, now)
		}
	}
}

func read(t *testing.T, data []byte) ([]plain, error) {
	t.Helper()
	files, err := capture.NewReader("test", bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	defer func() { _ = files.Close() }()
	all, _, err := drain(t, files)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return all, err
}

// pcapFile makes a classic file of records.
func pcapFile(order binary.ByteOrder, magic uint32, records ...[]byte) []byte {
	b := make([]byte, 24)
	order.PutUint32(b, magic)
	order.PutUint16(b[4:], 2)
	order.PutUint16(b[6:], 4)
	order.PutUint32(b[16:], 65535)
	order.PutUint32(b[20:], 1)
	return append(b, bytes.Join(records, nil)...)
}

func record(order binary.ByteOrder, sec, frac, wire uint32, data string) []byte {
	b := make([]byte, 16, 16+len(data))
	order.PutUint32(b, sec)
	order.PutUint32(b[4:], frac)
	order.PutUint32(b[8:], uint32(len(data)))
	order.PutUint32(b[12:], wire)
	return append(b, data...)
}

func TestPcapByteOrdersAndResolutions(t *testing.T) {
	t.Parallel()
	for _, order := range []binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		for magic, unit := range map[uint32]int64{0xa1b2c3d4: 1000, 0xa1b23c4d: 1} {
			data := pcapFile(order, magic, record(order, 7, 5, 3, "abc"), record(order, 8, 6, 9, ""), record(order, 6, 1, 1, "toolong"))
			got, err := read(t, data)
			if err != nil {
				t.Fatal(err)
			}
			want := []plain{
				{1, 7e9 + 5*unit, "abc", 3, 1, 0}, {2, 8e9 + 6*unit, "", 9, 1, 0},
				{3, 6e9 + unit, "toolong", 7, 1, 0}, // more bytes than on the wire: believed
			}
			if d := cmp.Diff(want, got); d != "" {
				t.Errorf("%v %x (-want +got):\n%s", order, magic, d)
			}
		}
	}
}

// appender is a byte order that can append.
type appender interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

func ngBlock(o appender, kind uint32, body []byte) []byte {
	for len(body)%4 != 0 {
		body = append(body, 0)
	}
	b := o.AppendUint32(nil, kind)
	b = o.AppendUint32(b, uint32(len(body)+12))
	b = append(b, body...)
	return o.AppendUint32(b, uint32(len(body)+12))
}

func section(o appender) []byte {
	b := o.AppendUint32(nil, 0x1a2b3c4d)
	b = o.AppendUint16(b, 1)
	b = o.AppendUint16(b, 0)
	return ngBlock(o, 0x0a0d0d0a, o.AppendUint64(b, 1<<64-1))
}

func iface(o appender, link uint16, options ...byte) []byte {
	b := o.AppendUint16(nil, link)
	b = o.AppendUint16(b, 0)
	b = o.AppendUint32(b, 4)
	return ngBlock(o, 1, append(b, options...))
}

func option(o appender, code uint16, value ...byte) []byte {
	b := o.AppendUint16(nil, code)
	b = o.AppendUint16(b, uint16(len(value)))
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

func enhanced(o appender, iface uint32, ticks uint64, wire uint32, data string, options ...byte) []byte {
	b := o.AppendUint32(nil, iface)
	b = o.AppendUint32(b, uint32(ticks>>32))
	b = o.AppendUint32(b, uint32(ticks))
	b = o.AppendUint32(b, uint32(len(data)))
	b = o.AppendUint32(b, wire)
	b = append(b, data...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return ngBlock(o, 6, append(b, options...))
}

func TestPcapNG(t *testing.T) {
	t.Parallel()
	for _, o := range []appender{binary.LittleEndian, binary.BigEndian} {
		old := o.AppendUint16(nil, 1)
		old = o.AppendUint16(old, 77)
		old = o.AppendUint32(old, 0)
		old = o.AppendUint32(old, 4<<2)
		old = o.AppendUint32(old, 2)
		old = append(o.AppendUint32(old, 2), "pb\x00\x00"...)
		data := bytes.Join([][]byte{
			section(o),
			iface(o, 1),
			iface(o, 113, append(option(o, 9, 0x82), option(o, 14, o.AppendUint64(nil, 100)...)...)...),
			iface(o, 101, option(o, 9, 9)...),
			ngBlock(o, 4, []byte("names")),
			ngBlock(o, 0x0bad, []byte("custom")),
			enhanced(o, 0, 1_000_001, 5, "micro", option(o, 1, []byte("a comment")...)...),
			enhanced(o, 1, 4<<2|1, 9, "quarter"),
			enhanced(o, 2, 1_500_000_001, 4, "nano"),
			ngBlock(o, 3, append(o.AppendUint32(nil, 9), "simp"...)),
			ngBlock(o, 2, old),
			ngBlock(o, 10, append(o.AppendUint32(o.AppendUint32(nil, 0x544c534b), 4), "keys"...)),
			section(binary.BigEndian), // a second section in another byte order
			iface(binary.BigEndian, 276),
			enhanced(binary.BigEndian, 0, 3_000_000, 2, "be"),
		}, nil)
		got, err := read(t, data)
		if err != nil {
			t.Fatal(err)
		}
		want := []plain{
			{1, 1_000_001_000, "micro", 5, 1, 0},
			{2, 104_250_000_000, "quarter", 9, 113, 1}, // (4<<2|1)/4 s is 4.25 s, and 100 s of offset
			{3, 1_500_000_001, "nano", 4, 101, 2},
			{4, 0, "simp", 9, 1, 0},
			{5, 104_000_000_000, "pb", 2, 113, 1},
			{6, 3e9, "be", 2, 276, 0},
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%v (-want +got):\n%s", o, d)
		}
	}
}

func TestDamage(t *testing.T) {
	t.Parallel()
	le := binary.LittleEndian
	ok := record(le, 1, 0, 3, "abc")
	huge := record(le, 1, 0, 3, "abc")
	le.PutUint32(huge[8:], 1<<31)
	lying := record(le, 1, 0, 3, "abc")
	le.PutUint32(lying[8:], 40<<20)
	ng := func(blocks ...[]byte) []byte {
		return bytes.Join(append([][]byte{section(le), iface(le, 1), enhanced(le, 0, 1, 1, "x")}, blocks...), nil)
	}
	short := enhanced(le, 0, 1, 1, "x")
	le.PutUint32(short[4:], 8)
	odd := enhanced(le, 0, 1, 1, "x")
	le.PutUint32(odd[4:], 33)
	tail := enhanced(le, 0, 1, 1, "x")
	le.PutUint32(tail[len(tail)-4:], 12)
	claim := enhanced(le, 0, 1, 1, "x")
	le.PutUint32(claim[20:], 1000)
	tests := []struct {
		name   string
		data   []byte
		frames int
		offset int64
		reason string
	}{
		{"record over the limit", pcapFile(le, 0xa1b2c3d4, ok, huge, ok), 1, 43, "claims 2147483648 bytes"},
		{"record beyond the end", pcapFile(le, 0xa1b2c3d4, ok, lying), 1, 43, "record of 41943056 bytes, 19 left"},
		{"header cut", pcapFile(le, 0xa1b2c3d4)[:20], 0, 20, "file header of 24 bytes"},
		{"version", append([]byte{0xa1, 0xb2, 0xc3, 0xd4, 2, 0, 4, 0}, make([]byte, 16)...), 0, 4, "version 2 expected"},
		{"block length below 12", ng(short), 1, 84, "block length 8"},
		{"block length odd", ng(odd), 1, 84, "block length 33"},
		{"block length repeated wrongly", ng(tail), 1, 84, "repeated as 12"},
		{"packet larger than its block", ng(claim), 1, 84, "packet of 1000 bytes"},
		{"interface unknown", ng(enhanced(le, 9, 1, 1, "x")), 1, 84, "interface 9"},
		{"byte-order magic", append(ng(), ngBlock(le, 0x0a0d0d0a, make([]byte, 16))...), 1, 84, "magic"},
		{"block cut", ng()[:80], 0, 48, "block of 36 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := read(t, tt.data)
			if len(got) != tt.frames {
				t.Errorf("%d packets, want %d", len(got), tt.frames)
			}
			var damage *capture.DamagedError
			if !errors.As(err, &damage) || !errors.Is(err, capture.ErrDamaged) {
				t.Fatalf("error %v, want a DamagedError", err)
			}
			if damage.Offset != tt.offset || damage.File != "test" || damage.Frame != uint64(tt.frames) {
				t.Errorf("%s: offset %d, frame %d; want %d, %d", err, damage.Offset, damage.Frame, tt.offset, tt.frames)
			}
			if !strings.Contains(err.Error(), tt.reason) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q, want one line with %q", err, tt.reason)
			}
		})
	}
}

func TestNotACapture(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, path := range map[string]string{
		"empty": write("empty.pcap", ""), "text": write("notes.txt", "Hello\x1b[31m"), "short": write("short", "abc"),
		"directory": dir,
	} {
		_, err := capture.Open([]string{path}, capture.Options{})
		if !errors.Is(err, capture.ErrFormat) || !strings.Contains(err.Error(), path) || strings.ContainsAny(err.Error(), "\n\x1b") {
			t.Errorf("%s: error %q, want one safe line that names the file", name, err)
		}
	}
	if _, err := capture.Open([]string{filepath.Join(dir, "none")}, capture.Options{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

// sample makes packets of several sizes and times.
func sample(n int) []capture.Packet {
	var out []capture.Packet
	for i := range n {
		data := bytes.Repeat([]byte{byte(i)}, i*37%1500)
		out = append(out, capture.Packet{
			Seq: uint64(i + 1), Time: 1_700_000_000_000_000_001 + int64(i)*1_000_003, Data: data,
			WireLen: uint32(len(data) + i%3), Link: capture.LinkEthernet,
		})
	}
	return out
}

func plainOf(packets []capture.Packet) []plain {
	var out []plain
	for i := range packets {
		p := &packets[i]
		out = append(out, plain{uint64(i + 1), p.Time, string(p.Data), p.WireLen, p.Link, p.Iface})
	}
	return out
}

func written(t testing.TB, packets []capture.Packet, ng bool) []byte {
	t.Helper()
	var buf bytes.Buffer
	var err error
	if ng {
		w, e := capture.NewNGWriter(&buf)
		err = e
		for i := range packets {
			err = errors.Join(err, w.WritePacket(&packets[i], ""))
		}
		err = errors.Join(err, w.Close())
	} else {
		w, e := capture.NewWriter(&buf, packets[0].Link)
		err = e
		for i := range packets {
			err = errors.Join(err, w.WritePacket(&packets[i]))
		}
		err = errors.Join(err, w.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestWriteRead(t *testing.T) {
	t.Parallel()
	packets := sample(1000)
	for _, ng := range []bool{false, true} {
		got, err := read(t, written(t, packets, ng))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(plainOf(packets), got); d != "" {
			t.Errorf("pcapng %t (-want +got):\n%s", ng, d)
		}
	}
	packets[500].Link = capture.LinkSLL
	w, err := capture.NewWriter(io.Discard, capture.LinkEthernet)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WritePacket(&packets[500]); !errors.Is(err, capture.ErrLinkType) {
		t.Errorf("a second link type in a pcap file: %v", err)
	}
	got, err := read(t, written(t, packets, true))
	if err != nil || got[500].Link != capture.LinkSLL || got[500].Iface != 1 {
		t.Errorf("a second link type in a pcapng file: %+v, %v", got[500], err)
	}
}

func squeeze(t testing.TB, data []byte, zst bool) []byte {
	t.Helper()
	var buf bytes.Buffer
	var w io.WriteCloser = gzip.NewWriter(&buf)
	if zst {
		z, err := zstd.NewWriter(&buf)
		if err != nil {
			t.Fatal(err)
		}
		w = z
	}
	_, err := w.Write(data)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// A file cut at any byte gives exactly the packets that are whole before the cut, then an error (law 10).
func TestCutAnywhere(t *testing.T) {
	t.Parallel()
	packets := sample(12)
	for name, data := range map[string][]byte{"pcap": written(t, packets, false), "pcapng": written(t, packets, true)} {
		_, locs := locate(t, data)
		for n := range len(data) {
			got, err := read(t, data[:n])
			whole := 0
			for i, l := range locs {
				end := l.Off + int64(len(packets[i].Data))
				if name == "pcapng" {
					end = (end+3)&^3 + 4
				}
				if end <= int64(n) {
					whole++
				}
			}
			if len(got) != whole {
				t.Fatalf("%s cut at %d: %d packets, want %d", name, n, len(got), whole)
			}
			damaged := errors.Is(err, capture.ErrDamaged) || errors.Is(err, capture.ErrFormat)
			if err != nil && !damaged {
				t.Fatalf("%s cut at %d: %v", name, n, err)
			}
			if full, _ := read(t, data[:n]); !damaged && len(full) != whole {
				t.Fatalf("%s cut at %d without an error", name, n)
			}
		}
	}
	for _, zst := range []bool{false, true} {
		data := squeeze(t, written(t, packets, false), zst)
		for n := range len(data) {
			got, err := read(t, data[:n])
			if err == nil && len(got) != len(packets) {
				t.Fatalf("zstd %t cut at %d of %d: %d packets and no error", zst, n, len(data), len(got))
			}
			if err != nil && !errors.Is(err, capture.ErrDamaged) && !errors.Is(err, capture.ErrFormat) {
				t.Fatalf("zstd %t cut at %d: %v", zst, n, err)
			}
		}
	}
}

func locate(t *testing.T, data []byte) ([]plain, []capture.Loc) {
	t.Helper()
	files, err := capture.NewReader("test", bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = files.Close() }()
	all, locs, _ := drain(t, files)
	return all, locs
}

// Packets can be read again, compressed ones from the spool, and all of it a second time.
func TestReadAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	packets := sample(300)
	for name, data := range map[string][]byte{
		"a.pcap": written(t, packets, false), "a.pcapng": written(t, packets, true),
		"a.gz": squeeze(t, written(t, packets, false), false), "a.zst": squeeze(t, written(t, packets, true), true),
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		files, err := capture.Open([]string{path}, capture.Options{Spool: true})
		if err != nil {
			t.Fatal(err)
		}
		all, locs, _ := drain(t, files)
		for i := range all {
			p := make([]byte, len(all[i].Data))
			if err := files.ReadAt(locs[i], p); err != nil || string(p) != all[i].Data {
				t.Fatalf("%s: packet %d read again: %v", name, i+1, err)
			}
		}
		again, err := files.Reopen()
		if err != nil {
			t.Fatal(err)
		}
		second, _, _ := drain(t, again)
		if d := cmp.Diff(all, second); d != "" {
			t.Errorf("%s: second pass (-first +second):\n%s", name, d)
		}
		if err := errors.Join(again.Close(), files.Close()); err != nil {
			t.Error(err)
		}
	}
}

// Several files are merged by time; a damaged one gives its whole packets, and the error comes at the end.
func TestMerge(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	le := binary.LittleEndian
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	a := write("a", pcapFile(le, 0xa1b2c3d4, record(le, 1, 0, 1, "a"), record(le, 5, 0, 1, "d"), record(le, 4, 0, 1, "e")))
	b := pcapFile(le, 0xa1b2c3d4, record(le, 1, 0, 1, "b"), record(le, 3, 0, 1, "c"), record(le, 9, 0, 1, "f"))
	files, err := capture.Open([]string{a, write("b", b[:len(b)-1])}, capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = files.Close() }()
	got, _, err := drain(t, files)
	order := ""
	for i, p := range got {
		order += p.Data
		if p.Seq != uint64(i+1) {
			t.Errorf("packet %d has Seq %d", i+1, p.Seq)
		}
	}
	if order != "abcde" {
		t.Errorf("order %q, want abcde: by time, ties by file, the order of a file kept", order)
	}
	if !errors.Is(err, capture.ErrDamaged) || !strings.Contains(err.Error(), filepath.Join(dir, "b")) {
		t.Errorf("error %v, want the damage of b", err)
	}
	if again := files.Next(context.Background(), &capture.Batch{}); !errors.Is(again, capture.ErrDamaged) {
		t.Errorf("after the end: %v", again)
	}
}

// A record that lies about its length costs no more memory than the file has bytes, within a small factor.
func TestLyingLengthCostsNoMemory(t *testing.T) {
	le := binary.LittleEndian
	rec := record(le, 1, 0, 3, strings.Repeat("x", 100))
	le.PutUint32(rec[8:], 60<<20)
	data := pcapFile(le, 0xa1b2c3d4, rec)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := read(t, data); !errors.Is(err, capture.ErrDamaged) {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
		t.Errorf("%d bytes allocated for a file of %d", n, len(data))
	}
}

// A record larger than a block is one packet.
func TestLargeRecords(t *testing.T) {
	t.Parallel()
	packets := sample(3)
	packets[1].Data = bytes.Repeat([]byte("0123456789"), 300_000)
	packets[1].WireLen = uint32(len(packets[1].Data))
	for _, ng := range []bool{false, true} {
		got, err := read(t, written(t, packets, ng))
		if err != nil || cmp.Diff(plainOf(packets), got) != "" {
			t.Errorf("pcapng %t: %d packets, %v", ng, len(got), err)
		}
	}
}

func BenchmarkReadPcap(b *testing.B) {
	packets := sample(1)
	packets[0].Data = make([]byte, 672)
	packets[0].WireLen = 672
	var many []capture.Packet
	for range 100_000 {
		many = append(many, packets[0])
	}
	data := written(b, many, false)
	path := filepath.Join(b.TempDir(), "bench.pcap")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		files, err := capture.Open([]string{path}, capture.Options{})
		if err != nil {
			b.Fatal(err)
		}
		var batch capture.Batch
		n := 0
		for files.Next(context.Background(), &batch) == nil {
			n += len(batch.Packets)
		}
		if n != len(many) {
			b.Fatal(fmt.Errorf("%d packets", n))
		}
		_ = files.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(many)), "ns/packet")
}
