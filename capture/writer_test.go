package capture

import (
	"bytes"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket/pcapgo"
)

func (f flat) packet(seq int) *Packet {
	return &Packet{Seq: uint64(seq), Time: f.Time, Data: []byte(f.Data), WireLen: f.Wire, Link: f.Link, Iface: f.Iface}
}

func TestWriterRoundTrip(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]WriterOption{"nano": nil, "micro": {Microseconds()}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := samples(400)
			var buf bytes.Buffer
			w, err := NewWriter(&buf, LinkEthernet, opts...)
			if err != nil {
				t.Fatal(err)
			}
			for i := range in {
				in[i].Time += int64(i) // nanoseconds
				if err := w.WritePacket(in[i].packet(i + 1)); err != nil {
					t.Fatal(err)
				}
				if opts != nil {
					in[i].Time -= in[i].Time % 1000
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(in, mustRead(t, buf.Bytes())); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestNGWriterRoundTrip(t *testing.T) {
	t.Parallel()
	for name, opts := range map[string][]WriterOption{
		"nano": {Application("a test")}, "micro": {Microseconds()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := samples(400)
			links := []LinkType{LinkEthernet, LinkSLL2, LinkRaw}
			var buf bytes.Buffer
			w, err := NewNGWriter(&buf, opts...)
			if err != nil {
				t.Fatal(err)
			}
			comments := map[uint64]string{}
			for i := range in {
				in[i].Time += int64(i)
				in[i].Link = links[i%3]
				comment := strings.Repeat("ü", i%9)
				comments[uint64(i+1)] = comment
				if err = w.WritePacket(in[i].packet(i+1), comment); err != nil {
					t.Fatal(err)
				}
				in[i].Iface = uint16(i % 3) // described in the order of appearance
				if name == "micro" {
					in[i].Time -= in[i].Time % 1000
				}
			}
			if err = w.Close(); err != nil {
				t.Fatal(err)
			}
			fs, err := NewReader("test", bytes.NewReader(buf.Bytes()))
			if err != nil {
				t.Fatal(err)
			}
			defer fs.Close()
			got, _ := readAll(t, fs)
			if diff := cmp.Diff(in, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			for seq, want := range comments {
				if got := fs.Comments(seq); got != want {
					t.Errorf("comment of %d is %q, %q expected", seq, got, want)
				}
			}
			checkWithPcapgo(t, buf.Bytes(), in)
		})
	}
}

// checkWithPcapgo reads what we wrote with another reader.
func checkWithPcapgo(t *testing.T, data []byte, want []flat) {
	t.Helper()
	opts := pcapgo.DefaultNgReaderOptions
	opts.WantMixedLinkType = true
	r, err := pcapgo.NewNgReader(bytes.NewReader(data), opts)
	if err != nil {
		t.Fatal(err)
	}
	for i, w := range want {
		p, ci, err := r.ReadPacketData()
		if err != nil || string(p) != w.Data || ci.Timestamp.UnixNano() != w.Time || ci.Length != int(w.Wire) {
			t.Fatalf("pcapgo reads packet %d as %q, %+v, %v", i+1, p, ci, err)
		}
	}
}

func TestWriterErrors(t *testing.T) {
	t.Parallel()
	var buf bytes.Buffer
	w, err := NewWriter(&buf, LinkEthernet)
	if err != nil {
		t.Fatal(err)
	}
	good := samples(1)[0]
	for name, c := range map[string]struct {
		p  Packet
		is error
	}{
		"link type":   {Packet{Link: LinkRaw}, ErrLinkType},
		"before 1970": {Packet{Link: LinkEthernet, Time: -1}, ErrTime},
		"after 2106":  {Packet{Link: LinkEthernet, Time: (math.MaxUint32 + 1) * 1e9}, ErrTime},
	} {
		if err = w.WritePacket(&c.p); !errors.Is(err, c.is) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err = w.WritePacket(good.packet(1)); err != nil {
		t.Error(err)
	}
	if err = w.Flush(); err != nil {
		t.Error(err)
	}
	if got := mustRead(t, buf.Bytes()); len(got) != 1 || got[0] != good {
		t.Errorf("after refused packets: %+v", got)
	}
	n, err := NewNGWriter(&bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.WritePacket(&Packet{Time: -1}, ""); !errors.Is(err, ErrTime) {
		t.Errorf("pcapng, before 1970: %v", err)
	}
}

// broken takes n bytes.
type broken struct{ n int }

func (b *broken) Write(p []byte) (int, error) {
	if b.n -= len(p); b.n < 0 {
		return 0, os.ErrPermission
	}
	return len(p), nil
}

// TestWriterDiskFull: what the writer beneath says comes out, at the latest with Close.
func TestWriterDiskFull(t *testing.T) {
	t.Parallel()
	p := samples(2)[1].packet(1)
	w, err := NewWriter(&broken{n: 10}, LinkEthernet)
	if err == nil {
		err = errors.Join(w.WritePacket(p), w.Close())
	}
	if !errors.Is(err, os.ErrPermission) {
		t.Errorf("pcap: %v", err)
	}
	n, err := NewNGWriter(&broken{n: 10})
	if err == nil {
		err = errors.Join(n.WritePacket(p, "c"), n.Flush(), n.Close())
	}
	if !errors.Is(err, os.ErrPermission) {
		t.Errorf("pcapng: %v", err)
	}
}

func TestNGWriterLongComment(t *testing.T) {
	t.Parallel()
	var buf bytes.Buffer
	w, err := NewNGWriter(&buf)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []string{strings.Repeat("é", 40_000), "bad \xff text", strings.Repeat("x", 65_535)} {
		if err = w.WritePacket(samples(4)[3].packet(1), c); err != nil {
			t.Fatal(err)
		}
	}
	if err = w.Close(); err != nil {
		t.Fatal(err)
	}
	fs, err := NewReader("test", bytes.NewReader(buf.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	if got, _ := readAll(t, fs); len(got) != 3 {
		t.Fatalf("%d packets", len(got))
	}
	for seq, n := range []int{0, 65_534, len("bad \uFFFD text"), 65_535} {
		if c := fs.Comments(uint64(seq)); len(c) != n || !utf8.ValidString(c) {
			t.Errorf("comment %d has %d bytes, %d expected", seq, len(c), n)
		}
	}
}

// TestAllocations: reading and writing allocate nothing a packet.
func TestAllocations(t *testing.T) { //nolint:paralleltest // counts allocations
	in := samples(5000)
	var buf bytes.Buffer
	w, err := NewNGWriter(&buf)
	if err != nil {
		t.Fatal(err)
	}
	ps := make([]*Packet, len(in))
	for i := range in {
		ps[i] = in[i].packet(i + 1)
	}
	if err = w.WritePacket(ps[0], ""); err != nil { // describes the interface
		t.Fatal(err)
	}
	buf.Grow(8 << 20)
	i := 0
	if n := testing.AllocsPerRun(len(ps)-2, func() {
		i++
		if err = w.WritePacket(ps[i], ""); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations to write a packet", n)
	}
	if err = w.Close(); err != nil {
		t.Fatal(err)
	}
	fs, err := NewReader("test", bytes.NewReader(buf.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	var b Batch
	if err := fs.Next(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(10, func() {
		if err := fs.Next(t.Context(), &b); err != nil || len(b.Packets) != MaxBatch {
			t.Fatalf("%d packets, %v", len(b.Packets), err)
		}
	}); n > 0 {
		t.Errorf("%v allocations to read a batch of %d packets", n, MaxBatch)
	}
}

// TestAppendBlocks: blocks made one by one are a file: names, ids and statistics where Wireshark looks for them.
func TestAppendBlocks(t *testing.T) {
	t.Parallel()
	in := samples(60)
	data := AppendNGSection(nil, "a test")
	data = AppendNGInterface(data, NGInterface{Link: LinkEthernet, Name: "eth0"})
	data = AppendNGInterface(data, NGInterface{Link: LinkRaw, Name: strings.Repeat("ü", 300)})
	for i := range in {
		in[i].Link, in[i].Iface = []LinkType{LinkEthernet, LinkRaw}[i%2], uint16(i%2)
		p := in[i].packet(i + 1)
		x := NGExtra{ID: uint64(i % 3), Comment: strings.Repeat("é\xff", i%4)}
		before := len(data)
		out, at, err := AppendNGPacket(data, p, uint32(i%2), &x)
		if err != nil || len(out)-before != NGPacketSize(p, &x) || string(out[at:at+len(p.Data)]) != in[i].Data {
			t.Fatalf("packet %d: %d bytes, %d said, at %d, %v", i+1, len(out)-before, NGPacketSize(p, &x), at, err)
		}
		data = out
	}
	if same, _, err := AppendNGPacket(data, &Packet{Time: -1}, 0, &NGExtra{}); !errors.Is(err, ErrTime) ||
		len(same) != len(data) {
		t.Errorf("before 1970: %d bytes more, %v", len(same)-len(data), err)
	}
	data = AppendNGStatistics(data, 0, testStart, NGCounts{Received: 60, Dropped: 3})
	if diff := cmp.Diff(in, mustRead(t, data)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	checkWithPcapgo(t, data, in)
}

func TestAppendRecords(t *testing.T) {
	t.Parallel()
	in := samples(60)
	data := AppendPcapHeader(nil, LinkEthernet)
	for i := range in {
		var err error
		if data, err = AppendPcapRecord(data, in[i].packet(i+1)); err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range []int64{-1, (math.MaxUint32 + 1) * 1e9} {
		if same, err := AppendPcapRecord(data, &Packet{Time: bad}); !errors.Is(err, ErrTime) || len(same) != len(data) {
			t.Errorf("time %d: %d bytes more, %v", bad, len(same)-len(data), err)
		}
	}
	if diff := cmp.Diff(in, mustRead(t, data)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestInterfaceNames(t *testing.T) {
	t.Parallel()
	var buf bytes.Buffer
	w, err := NewNGWriter(&buf, InterfaceNames(func(iface uint16) string { return []string{"", "eth1"}[iface] }))
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint16(2) {
		if err = w.WritePacket(&Packet{Link: LinkEthernet, Iface: i}, ""); err != nil {
			t.Fatal(err)
		}
	}
	if err = w.Close(); err != nil {
		t.Fatal(err)
	}
	r := newPcapNGReader("test", newBlockReader(&buf, newBlockPool(blockSize)))
	defer r.close()
	var b Batch
	defer b.Release()
	if err = r.read(&b); err != nil || len(b.Packets) != 2 {
		t.Fatalf("%d packets, %v", len(b.Packets), err)
	}
	if diff := cmp.Diff(map[uint16]string{1: "eth1"}, r.names); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestWriteSecrets reads key logs of all lengths again, which are padded to 32 bits.
func TestWriteSecrets(t *testing.T) {
	t.Parallel()
	for n := range 9 {
		log := strings.Repeat("k", n)
		var b bytes.Buffer
		w, err := NewNGWriter(&b)
		if err != nil {
			t.Fatal(err)
		}
		p := Packet{Seq: 1, Time: 1, Link: LinkEthernet, Data: []byte("frame"), WireLen: 5}
		if err = errors.Join(w.WriteSecrets([]byte(log)), w.WritePacket(&p, ""), w.Close()); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "x.pcapng")
		if err = os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		files, err := Open([]string{path}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		var batch Batch
		packets := 0
		for err = files.Next(t.Context(), &batch); err == nil; err = files.Next(t.Context(), &batch) {
			packets += len(batch.Packets)
		}
		got := files.Secrets()
		if !errors.Is(err, io.EOF) || packets != 1 || len(got) != 1 || string(got[0]) != log || files.SecretsDropped() > 0 {
			t.Errorf("%d bytes: %v, %d packets, %q", n, err, packets, got)
		}
		batch.Release()
		_ = files.Close()
	}
}
