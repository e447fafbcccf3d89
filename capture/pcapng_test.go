package capture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNGPackets(t *testing.T) {
	t.Parallel()
	for name, o := range orders() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNG(o).
				iface(LinkEthernet, 0).
				iface(LinkSLL2, 8, "\x09", "\x09", "\x02", "eth1").
				block(4, make([]byte, 8)).              // name resolution
				packet(0, 1_000_001, "abcde", "hello"). // microseconds
				packet(1, 2_000_000_003, "xyz").        // nanoseconds
				block(5, make([]byte, 12)).             // statistics
				obsolete(1, 77, 3_000_000_000, "old").
				simple(100, "spb.spb!").
				block(0x80000bad, []byte("custom")).
				packet(0, 4_000_000, "")
			want := []flat{
				{1_000_001_000, "abcde", 5, LinkEthernet, 0},
				{2_000_000_003, "xyz", 3, LinkSLL2, 1},
				{3_000_000_000, "old", 3, LinkSLL2, 1},
			}
			// The simple packet is of the first interface, which has no snaplen: 100 bytes claimed, 8 there.
			got, err := readBytes(t, n.b)
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "room for 8") {
				t.Errorf("error %v", err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestNGSimple(t *testing.T) {
	t.Parallel()
	n := newNG(binary.BigEndian).iface(LinkRaw, 8).packet(0, 5_000_000, "timed").
		simple(100, "cut at 8").simple(3, "abc")
	want := []flat{
		{5e9, "timed", 5, LinkRaw, 0},
		{5e9, "cut at 8", 100, LinkRaw, 0}, // the time of the packet before
		{5e9, "abc", 3, LinkRaw, 0},
	}
	if diff := cmp.Diff(want, mustRead(t, n.b)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestNGSections has sections of different byte order; interface numbers stay unique within the file.
func TestNGSections(t *testing.T) {
	t.Parallel()
	data := newNG(binary.LittleEndian).iface(LinkEthernet, 0).iface(LinkRaw, 0, "\x02", "second").packet(1, 1e6, "a").b
	data = append(data, newNG(binary.BigEndian).iface(LinkSLL, 0, "\x02", "third").packet(0, 2e6, "b").b...)
	fs, err := NewReader("test", bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	got, err := readAll(t, fs)
	want := []flat{{1e9, "a", 1, LinkRaw, 1}, {2e9, "b", 1, LinkSLL, 2}}
	if diff := cmp.Diff(want, got); diff != "" || !errors.Is(err, io.EOF) {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
	for i, name := range []string{"", "second", "third", ""} {
		if got := fs.Interface(0, uint16(i)); got != name {
			t.Errorf("interface %d is %q, %q expected", i, got, name)
		}
	}
	if fs.Interface(3, 0) != "" {
		t.Error("a file that is not there has an interface")
	}
}

func TestNGClock(t *testing.T) {
	t.Parallel()
	type row struct {
		resol  byte
		offset int64
		ticks  uint64
		want   int64
	}
	for _, c := range []row{
		{6, 0, 1_700_000_000_123_456, 1_700_000_000_123_456_000},
		{9, 0, 1_700_000_000_123_456_789, 1_700_000_000_123_456_789},
		{3, 0, 1_700_000_000_123, 1_700_000_000_123_000_000},
		{0, 0, 1_700_000_000, 1_700_000_000_000_000_000},
		{12, 0, 1_700_000_000_123_456_789, 1_700_000_000_123_456},
		{19, 0, math.MaxUint64, 1_844_674_407},
		{6, 10, 1_000_001, 11_000_001_000},
		{6, -10, 1_000_001, -8_999_999_000},
		{0x80, 0, 5, 5e9},
		{0x80 | 10, 0, 1024 + 512, 1_500_000_000},
		{0x80 | 32, 0, 3<<32 | 1<<31, 3_500_000_000},
		{0x80 | 63, 0, 1<<63 | 1<<62, 1_500_000_000},
		{0x80 | 127, 0, 1 << 63, 1e9}, // finer than 64 bits: taken as the finest
		{6, 0, math.MaxUint64, math.MaxInt64},
		{9, 0, math.MaxUint64, math.MaxInt64},
		{0, 0, math.MaxUint64, math.MaxInt64},
		{0x80, math.MaxInt64, math.MaxUint64, math.MaxInt64},
		{6, math.MinInt64, 1, math.MinInt64},
		{6, math.MaxInt64, 1, math.MaxInt64},
	} {
		var k clock
		k.resolve(c.resol)
		k.offset = c.offset
		if got := k.time(c.ticks); got != c.want {
			t.Errorf("resolution %#x, offset %d: %d ticks are %d ns, %d expected", c.resol, c.offset, c.ticks, got, c.want)
		}
		// And through a file.
		off := binary.LittleEndian.AppendUint64(nil, uint64(c.offset))
		data := newNG(binary.LittleEndian).iface(1, 0, "\x09", string([]byte{c.resol}), "\x0e", string(off)).
			packet(0, c.ticks, "x").b
		if got := mustRead(t, data)[0].Time; got != c.want {
			t.Errorf("resolution %#x in a file: %d, %d expected", c.resol, got, c.want)
		}
	}
}

func TestNGDamage(t *testing.T) {
	t.Parallel()
	base := func() *ng { return newNG(binary.LittleEndian).iface(LinkEthernet, 0).packet(0, 1, "good") }
	start := len(base().b)
	patch := func(n *ng, at int, v uint32) []byte {
		binary.LittleEndian.PutUint32(n.b[start+at:], v)
		return n.b
	}
	last := func(n *ng) int { return len(n.b) - start - 4 }
	again := func() *ng { return base().packet(0, 2, "bad ") }
	idb := newNG(binary.LittleEndian).b
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"length no multiple of 4":   {patch(again(), 4, 33), "block length 33"},
		"length below the least":    {patch(again(), 4, 8), "block length 8"},
		"length beyond belief":      {patch(again(), 4, 0x7ffffffc), "block length 2147483644"},
		"repeated length":           {patch(again(), last(again()), 40), "repeated as 40"},
		"interface":                 {patch(again(), 8, 5), "packet of interface 5, 1 are described"},
		"interface above 16 bits":   {patch(again(), 8, 0x10000), "packet of interface 65536"},
		"caplen":                    {patch(again(), 20, 9), "packet of 9 bytes in a block with room for 4"},
		"caplen above 31 bits":      {patch(again(), 20, 0xffffffff), "packet of 4294967295 bytes"},
		"packet block too short":    {base().block(blockEPB, make([]byte, 16)).b, "packet block of 20 bytes"},
		"interface block too short": {base().block(blockIDB, make([]byte, 4)).b, "interface block of 8 bytes"},
		"simple block too short":    {base().block(blockSPB, nil).b, "simple packet block of 4 bytes"},
		"section of another kind":   {patch(base().section(), 8, 0x01020304), "byte-order magic"},
		"section version":           {patch(base().section(), 12, 7), "section version 1 expected, found 7"},
		"section too short":         {patch(base().section(), 4, 24), "block length 24"},
		"simple, no interface": {
			append(base().b, newNG(binary.LittleEndian).simple(1, "x").b...), "no interface is described",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := readBytes(t, c.data)
			var damage *DamagedError
			if !errors.As(err, &damage) || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, %q expected", err, c.want)
			}
			at := int64(start)
			if name == "simple, no interface" {
				at += int64(len(idb))
			}
			if damage.Offset != at || damage.Frame != 1 || len(got) != 1 {
				t.Errorf("%d packets; %+v, offset %d expected", len(got), damage, at)
			}
			fuzzRead(t, c.data) // in pieces: as at once
		})
	}
}

func TestNGCut(t *testing.T) {
	t.Parallel()
	n := newNG(binary.LittleEndian)
	whole := map[int]int{len(n.b): 0}
	n.iface(LinkEthernet, 0)
	whole[len(n.b)] = 0
	var want []flat
	for i := range 12 {
		data := strings.Repeat("x", i)
		n.packet(0, uint64(1e6+i), data, "c")
		want = append(want, flat{1e9 + int64(i)*1000, data, uint32(i), LinkEthernet, 0})
		whole[len(n.b)] = len(want)
	}
	last := 0
	for cut := 1; cut <= len(n.b); cut++ {
		k, clean := whole[cut]
		if clean {
			last = k
		}
		checkCut(t, cut, n.b[:cut], want[:last], clean)
	}
}

func TestNGComments(t *testing.T) {
	t.Parallel()
	n := newNG(binary.BigEndian).iface(1, 0)
	want := map[uint64]string{}
	for i := range uint64(600) {
		switch i % 5 {
		case 0:
			n.packet(0, i, "x", "one", "two")
			want[i+1] = "one\ntwo"
		case 1:
			n.obsolete(0, 0, i, "xyz", "old")
			want[i+1] = "old"
		default:
			n.packet(0, i, "x")
		}
	}
	fs, err := NewReader("test", bytes.NewReader(n.b))
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	if _, err := readAll(t, fs); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	for seq := range uint64(602) {
		if got := fs.Comments(seq); got != want[seq] {
			t.Errorf("comment of %d is %q, %q expected", seq, got, want[seq])
		}
	}
	if fs.CommentsDropped() != 0 {
		t.Errorf("%d comments dropped", fs.CommentsDropped())
	}
}

// TestNGBounds writes more comments and secrets than are kept: they are counted.
func TestNGBounds(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("c", 60_000)
	n := newNG(binary.LittleEndian).iface(1, 0)
	for i := range uint64(400) { // 24 MB
		n.packet(0, i, "x", long, long) // the second exceeds a packet's share
	}
	secret := binary.LittleEndian.AppendUint32(nil, secretsTLS)
	secret = binary.LittleEndian.AppendUint32(secret, 1<<30) // claims more than there is
	secret = append(secret, bytes.Repeat([]byte{'k'}, 6<<20)...)
	for range 3 {
		n.block(blockDSB, secret)
	}
	n.block(blockDSB, []byte("WireGuard, say"))
	fs, err := NewReader("test", bytes.NewReader(n.b))
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	if got, err := readAll(t, fs); !errors.Is(err, io.EOF) || len(got) != 400 {
		t.Fatal(len(got), err)
	}
	kept := 0
	for seq := range uint64(401) {
		if fs.Comments(seq) != "" {
			kept++
		}
	}
	if kept < 200 || kept*60_000 > maxCommentBytes || fs.CommentsDropped() != uint64(400+400-kept) {
		t.Errorf("%d comments kept, %d dropped", kept, fs.CommentsDropped())
	}
	if s := fs.Secrets(); len(s) != 2 || len(s[0]) != 6<<20 || fs.SecretsDropped() != 2 {
		t.Errorf("%d secrets kept, %d dropped", len(s), fs.SecretsDropped())
	}
}

// TestNGOptionsDamaged: a list of options that lies about its lengths costs no packet.
func TestNGOptionsDamaged(t *testing.T) {
	t.Parallel()
	n := newNG(binary.LittleEndian).iface(1, 0, "\x09", "") // a resolution without a value: the default stays
	b := binary.LittleEndian.AppendUint32(nil, 0)
	b = binary.LittleEndian.AppendUint64(b, 0)
	b = binary.LittleEndian.AppendUint32(b, 4)
	b = binary.LittleEndian.AppendUint32(b, 4)
	b = append(b, "data"...)
	b = append(b, 1, 0, 0xff, 0xff, 'x')
	n.block(blockEPB, b).packet(0, 1, "next")
	if got := mustRead(t, n.b); len(got) != 2 || got[1].Time != 1000 {
		t.Errorf("%+v", got)
	}
}

// TestNGNoPackets: a file of blocks that are no packets is a whole file.
func TestNGNoPackets(t *testing.T) {
	t.Parallel()
	n := newNG(binary.LittleEndian).iface(1, 0)
	for range 1000 {
		n.block(99, make([]byte, 3000))
	}
	fs, err := NewReader("test", bytes.NewReader(n.b))
	if err != nil {
		t.Fatal(err)
	}
	defer fs.Close()
	var b Batch
	if err := fs.Next(context.Background(), &b); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
}
