//go:build !libpcap

package live

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"sipscope/capture"
)

// TestOffsets compares the drawings with the structures of the kernel.
func TestOffsets(t *testing.T) {
	t.Parallel()
	var d unix.TpacketBlockDesc
	var h unix.TpacketHdrV1
	var p unix.Tpacket3Hdr
	var a unix.RawSockaddrLinklayer
	hdr, hv := unsafe.Offsetof(d.Hdr), unsafe.Offsetof(p.Hv1)
	for name, c := range map[string][2]uintptr{
		"block status":   {blockStatus, hdr + unsafe.Offsetof(h.Block_status)},
		"packets":        {blockCount, hdr + unsafe.Offsetof(h.Num_pkts)},
		"first packet":   {blockFirst, hdr + unsafe.Offsetof(h.Offset_to_first_pkt)},
		"block header":   {blockHeader, unsafe.Sizeof(d)},
		"next packet":    {packetNext, unsafe.Offsetof(p.Next_offset)},
		"seconds":        {packetSec, unsafe.Offsetof(p.Sec)},
		"nanoseconds":    {packetNsec, unsafe.Offsetof(p.Nsec)},
		"kept":           {packetSnaplen, unsafe.Offsetof(p.Snaplen)},
		"length":         {packetLen, unsafe.Offsetof(p.Len)},
		"status":         {packetStatus, unsafe.Offsetof(p.Status)},
		"link layer":     {packetMac, unsafe.Offsetof(p.Mac)},
		"TCI":            {packetTCI, hv + unsafe.Offsetof(p.Hv1.Vlan_tci)},
		"TPID":           {packetTPID, hv + unsafe.Offsetof(p.Hv1.Vlan_tpid)},
		"address":        {packetAddr, unsafe.Sizeof(p)},
		"packet header":  {packetHeader, unsafe.Sizeof(p) + unsafe.Sizeof(a)},
		"protocol":       {addrProtocol, unsafe.Offsetof(a.Protocol)},
		"interface":      {addrIfindex, unsafe.Offsetof(a.Ifindex)},
		"ARPHRD":         {addrHatype, unsafe.Offsetof(a.Hatype)},
		"packet type":    {addrPkttype, unsafe.Offsetof(a.Pkttype)},
		"address length": {addrHalen, unsafe.Offsetof(a.Halen)},
		"address bytes":  {addrAddr, unsafe.Offsetof(a.Addr)},
	} {
		if c[0] != c[1] {
			t.Errorf("%s at %d, the kernel has it at %d", name, c[0], c[1])
		}
	}
}

// blockOf writes packets as the kernel does: 96 bytes before each.
func blockOf(size int, frames ...[]byte) []byte {
	b := make([]byte, size)
	binary.NativeEndian.PutUint32(b[blockStatus:], unix.TP_STATUS_USER)
	binary.NativeEndian.PutUint32(b[blockCount:], uint32(len(frames)))
	binary.NativeEndian.PutUint32(b[blockFirst:], blockHeader)
	at := blockHeader
	for i, f := range frames {
		p := b[at:]
		step := (96 + len(f) + 15) &^ 15
		if i+1 < len(frames) {
			binary.NativeEndian.PutUint32(p[packetNext:], uint32(step))
		}
		binary.NativeEndian.PutUint32(p[packetSec:], 1_700_000_000)
		binary.NativeEndian.PutUint32(p[packetNsec:], uint32(i))
		binary.NativeEndian.PutUint32(p[packetSnaplen:], uint32(len(f)))
		binary.NativeEndian.PutUint32(p[packetLen:], uint32(len(f)))
		binary.NativeEndian.PutUint16(p[packetMac:], 96)
		copy(p[96:], f)
		at += step
	}
	return b
}

// putTime changes the time of a packet.
func putTime(p []byte, at int64) {
	binary.NativeEndian.PutUint32(p[packetSec:], uint32(at/int64(time.Second)))
	binary.NativeEndian.PutUint32(p[packetNsec:], uint32(at%int64(time.Second)))
}

func TestWalker(t *testing.T) {
	t.Parallel()
	frames := [][]byte{[]byte("one"), {}, bytes.Repeat([]byte("three"), 100)}
	var w walker
	var r record
	w.start(blockOf(4096, frames...))
	for i, want := range frames {
		if !w.next(&r) {
			t.Fatalf("packet %d is missing", i)
		}
		data, grown := r.frame(capture.LinkRaw)
		if !bytes.Equal(data, want) || grown != 0 || int(r.wire) != len(want) ||
			r.time != 1_700_000_000*int64(time.Second)+int64(i) {
			t.Errorf("packet %d: %q, %+v", i, data, r)
		}
	}
	if w.next(&r) || w.left != 0 {
		t.Errorf("%d packets after the last", w.left)
	}
}

// TestWalkerLies gives numbers that cannot be.
func TestWalkerLies(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		at   int
		v    uint32
		good int // packets before the lie shows
	}{
		"more packets than there are": {blockCount, 1 << 31, 2},
		"first packet in the header":  {blockFirst, 8, 0},
		"first packet beyond":         {blockFirst, 1 << 31, 0},
		"first packet at the end":     {blockFirst, 4096 - 20, 0},
		"next packet in this one":     {blockHeader + packetNext, 16, 1},
		"next packet beyond":          {blockHeader + packetNext, 1<<32 - 16, 1},
		"no next packet":              {blockHeader + packetNext, 0, 1},
		"too long":                    {blockHeader + packetSnaplen, 4096, 0},
		"much too long":               {blockHeader + packetSnaplen, 1<<32 - 1, 0},
		"bytes in the header":         {blockHeader + packetMac, 40, 0},
		"bytes beyond":                {blockHeader + packetMac, 65535, 0},
	} {
		b := blockOf(4096, []byte("one"), []byte("two"))
		binary.NativeEndian.PutUint32(b[c.at:], c.v)
		announced := binary.NativeEndian.Uint32(b[blockCount:])
		var w walker
		var r record
		w.start(b)
		good := 0
		for w.next(&r) {
			good++
		}
		if good != c.good || w.left != announced-uint32(good) {
			t.Errorf("%s: %d packets and %d left of %d, want %d", name, good, w.left, announced, c.good)
		}
	}
	var w walker
	w.start([]byte("short"))
	if w.next(&record{}) {
		t.Error("a packet in a block of 5 bytes")
	}
}

// FuzzWalker walks blocks of any bytes, and puts tags and headers into what it finds: nothing outside of the block's
// rooms changes, and every packet lies in its room.
func FuzzWalker(f *testing.F) {
	f.Add(blockOf(1024, []byte("one"), []byte("two"), bytes.Repeat([]byte{0x88}, 60)), uint16(0))
	tagged := blockOf(1024, bytes.Repeat([]byte{1}, 60))
	binary.NativeEndian.PutUint32(tagged[blockHeader+packetStatus:], unix.TP_STATUS_VLAN_VALID)
	f.Add(tagged, uint16(1))
	f.Add(tagged, uint16(276))
	f.Add([]byte{}, uint16(101))
	f.Fuzz(func(t *testing.T, b []byte, link uint16) {
		var w walker
		var r record
		w.start(b)
		last := -1
		for n := 0; w.next(&r); n++ {
			if n > len(b)/packetHeader {
				t.Fatal("the walk does not end")
			}
			if w.at <= last {
				t.Fatalf("the walk goes back to %d", w.at)
			}
			last = w.at
			before := len(r.room) - r.kept
			if before < 0 || len(r.addr) < 20 {
				t.Fatalf("room of %d bytes for %d", len(r.room), r.kept)
			}
			data, grown := r.frame(capture.LinkType(link))
			if len(data) != r.kept+grown || len(data) > len(r.room) || int64(r.wire) < int64(r.kept) {
				t.Fatalf("%d bytes of %d and %d", len(data), r.kept, grown)
			}
			r.looped()
		}
	})
}

// TestHiddenTag tells second tags from packets that look like one.
func TestHiddenTag(t *testing.T) {
	t.Parallel()
	v4 := append([]byte{0x45, 0, 0x08, 0x00}, make([]byte, 2044)...) // total length 2048, which is also the protocol
	v6 := append([]byte{0x60, 0x01, 0x86, 0xdd, 0, 8, 17, 64}, make([]byte, 40)...)
	for name, c := range map[string]struct {
		packet   []byte
		protocol uint16
		want     bool
	}{
		"IPv4":            {v4, unix.ETH_P_IP, false},
		"IPv6":            {v6, unix.ETH_P_IPV6, false},
		"tag, IPv4":       {append([]byte{0, 5, 8, 0}, v4...), unix.ETH_P_IP, true},
		"tag like IPv4":   {append([]byte{0x45, 0, 8, 0}, v4...), unix.ETH_P_IP, true},
		"tag like IPv6":   {append([]byte{0x65, 0, 0x86, 0xdd}, v6...), unix.ETH_P_IPV6, true},
		"other protocols": {[]byte{0, 1, 8, 0, 6, 4}, unix.ETH_P_ARP, false},
		"short":           {[]byte{8, 0}, unix.ETH_P_IP, false},
	} {
		r := record{room: c.packet, kept: len(c.packet), addr: make([]byte, 20), wire: uint32(len(c.packet))}
		if got := r.hidesTag(c.protocol); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestShape(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ bytes, size, blocks int }{
		{0, minBlock, minBlocks},
		{1 << 20, minBlock, 8},
		{8 << 20, maxBlock, 32},
		{DefaultBuffer, maxBlock, 256},
		{1 << 30, maxBlock, 4096},
	} {
		if size, blocks := shape(c.bytes); size != c.size || blocks != c.blocks {
			t.Errorf("%d bytes: %d blocks of %d, want %d of %d", c.bytes, blocks, size, c.blocks, c.size)
		}
	}
}

func BenchmarkWalker(b *testing.B) {
	frames := make([][]byte, 256)
	for i := range frames {
		frames[i] = bytes.Repeat([]byte{byte(i)}, 700)
	}
	block := blockOf(256<<10, frames...)
	for name, link := range map[string]capture.LinkType{"ethernet": capture.LinkEthernet, "sll2": capture.LinkSLL2} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var w walker
			var r record
			sum := 0
			for b.Loop() {
				w.start(block)
				for w.next(&r) {
					data, _ := r.frame(link)
					sum += len(data)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(frames)), "ns/packet")
			if sum == 0 {
				b.Fatal("nothing was read")
			}
		})
	}
}
