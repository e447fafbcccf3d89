package frame

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"sipscope/capture"
)

// unhex joins hex with blanks between.
func unhex(parts ...string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(strings.Join(parts, ""), " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// The parts that frames in these tests are made of. The payload is "hello".
const (
	macs   = "02000000000b 02000000000a"
	udp    = "13c4 13d8 000d 0000 68656c6c6f"                             // 5060 to 5080, 13 bytes
	tcp    = "13c4 13d8 00000001 00000002 5018 2000 0000 0000 68656c6c6f" // without options
	tcpOpt = "13c4 13d8 00000001 00000002 8018 2000 0000 0000 0101080a 0000000100000002 68656c6c6f"
	v4UDP  = "4500 0021 1234 0000 40 11 0000 c0000201 c0000202 " + udp                   // 33 bytes
	v4TCP  = "4500 002d 1234 4000 40 06 0000 c0000201 c0000202 " + tcp                   // 45 bytes
	v4Opt  = "4700 0029 1234 0000 40 11 0000 c0000201 c0000202 94040000 01010100 " + udp // router alert
	v6src  = "20010db8000000000000000000000001"
	v6dst  = "20010db8000000000000000000000002"
	v6UDP  = "60000000 000d 11 40 " + v6src + v6dst + udp
	sll    = "0000 0001 0006 02000000000a 0000 "
	sll2   = "0000 00000003 0001 00 06 02000000000a 0000 "
)

type want struct {
	result  Result
	reason  Reason
	payload string
	v6      bool
	missing uint32
	vlans   uint8
	vlan    uint16
}

func TestDecode(t *testing.T) {
	t.Parallel()
	hello := want{result: UDP, payload: "hello"}
	hello6 := want{result: UDP, payload: "hello", v6: true}
	cases := []struct {
		name string
		link capture.LinkType
		hex  string
		wire int // bytes more on the wire than captured
		want want
	}{
		{"ethernet", 1, macs + "0800" + v4UDP, 0, hello},
		{"ethernet, padded", 1, macs + "0800" + v4UDP + "00000000000000000000", 0, hello},
		{"ethernet, tcp", 1, macs + "0800" + v4TCP + "0000", 0, want{result: TCP, payload: "hello"}},
		{
			"tcp options", 1, macs + "0800" + strings.Replace(v4TCP, "002d", "0039", 1)[:len(v4TCP)-len(tcp)] + tcpOpt, 0,
			want{result: TCP, payload: "hello"},
		},
		{"ip options", 1, macs + "0800" + v4Opt, 0, hello},
		{"ipv6", 1, macs + "86dd" + v6UDP, 0, hello6},
		{"vlan", 1, macs + "8100 a064 0800" + v4UDP, 0, want{result: UDP, payload: "hello", vlans: 1, vlan: 100}},
		{
			"q in q", 1, macs + "88a8 0064 8100 00c8 86dd" + v6UDP, 0,
			want{result: UDP, payload: "hello", v6: true, vlans: 2, vlan: 100},
		},
		{
			"old q in q", 1, macs + "9100 0001 9200 0002 8100 0003 0800" + v4UDP, 0,
			want{result: UDP, payload: "hello", vlans: 3, vlan: 1},
		},
		{
			"too many vlans", 1, macs + strings.Repeat("8100 0001", 40) + "0800" + v4UDP, 0,
			want{result: Malformed, reason: TooManyVLANs, vlans: maxVLANs, vlan: 1},
		},
		{"802.3 with snap", 1, macs + "0029 aaaa03 000000 0800" + v4UDP, 0, hello},
		{"802.3 with snap, ipv6", 1, macs + "003d aaaa03 000000 86dd" + v6UDP, 0, hello6},
		{"802.3 spanning tree", 1, macs + "0026 424203 0000000000", 0, want{result: NotIP}},
		{"arp", 1, macs + "0806 0001080006040001", 0, want{result: NotIP}},
		{"pppoe session", 1, macs + "8864 1100 0001 0023 0021" + v4UDP, 0, hello},
		{"pppoe session, ipv6", 1, macs + "8864 1100 0001 0037 0057" + v6UDP, 0, hello6},
		{"pppoe session, lcp", 1, macs + "8864 1100 0001 0004 c021 0101", 0, want{result: NotIP}},
		{"pppoe discovery", 1, macs + "8863 1109 0000 0000", 0, want{result: NotIP}},
		{"ppp", 9, "0021" + v4UDP, 0, hello},
		{"ppp, framed", 9, "ff03 0021" + v4UDP, 0, hello},
		{"ppp, compressed protocol", 9, "57" + v6UDP, 0, hello6},
		{"cooked", 113, sll + "0800" + v4UDP, 0, hello},
		{"cooked, ipv6", 113, sll + "86dd" + v6UDP, 0, hello6},
		{"cooked, vlan", 113, sll + "8100 0007 0800" + v4UDP, 0, want{result: UDP, payload: "hello", vlans: 1, vlan: 7}},
		{"cooked v2", 276, "0800" + sll2 + v4UDP, 0, hello},
		{"cooked v2, ipv6", 276, "86dd" + sll2 + v6UDP, 0, hello6},
		{"cooked v2, arp", 276, "0806" + sll2 + "0001", 0, want{result: NotIP}},
		{"raw", 101, v4UDP, 0, hello},
		{"raw, ipv6", 101, v6UDP, 0, hello6},
		{"raw of bsd", 12, v4UDP, 0, hello},
		{"raw of openbsd", 14, v6UDP, 0, hello6},
		{"ipv4", 228, v4UDP, 0, hello},
		{"ipv6 link", 229, v6UDP, 0, hello6},
		{"ipv4 announced, ipv6 there", 228, v6UDP, 0, want{result: Malformed, reason: IPVersion}},
		{"ipv6 announced, ipv4 there", 229, v4UDP + v4UDP, 0, want{result: Malformed, reason: IPVersion}},
		{"raw, neither", 101, "00112233", 0, want{result: Malformed, reason: IPVersion}},
		{"null, little endian", 0, "02000000" + v4UDP, 0, hello},
		{"null, big endian", 0, "00000002" + v4UDP, 0, hello},
		{"loop, macOS ipv6", 108, "0000001e" + v6UDP, 0, hello6},
		{"null, FreeBSD ipv6", 0, "1c000000" + v6UDP, 0, hello6},
		{"null, appletalk", 0, "10000000" + v4UDP, 0, want{result: NotIP}},
		{"unknown link", 147, v4UDP, 0, want{result: Malformed, reason: LinkUnknown}},

		{"no total length", 101, "4500 0000 1234 0000 40 11 0000 c0000201 c0000202 " + udp, 0, hello},
		{"no payload length", 101, "60000000 0000 11 40 " + v6src + v6dst + udp, 0, hello6},
		{"no udp length", 101, "4500 0021 1234 0000 40 11 0000 c0000201 c0000202 13c4 13d8 0000 0000 68656c6c6f", 0, hello},
		{
			"udp length below ip's", 101, "4500 0021 1234 0000 40 11 0000 c0000201 c0000202 13c4 13d8 000a 0000 68656c6c6f", 0,
			want{result: UDP, payload: "he"},
		},
		{
			"udp length above ip's", 101, "4500 0021 1234 0000 40 11 0000 c0000201 c0000202 13c4 13d8 00ff 0000 68656c6c6f", 0,
			want{result: UDP, payload: "hello", missing: 0xff - 13},
		},
		{
			"udp length 7", 101, "4500 0021 1234 0000 40 11 0000 c0000201 c0000202 13c4 13d8 0007 0000 68656c6c6f", 0,
			want{result: Malformed, reason: UDPLength},
		},
		{"cut in the payload", 101, v4UDP[:len(v4UDP)-6], 3, want{result: UDP, payload: "he", missing: 3}},
		{"cut in tcp's payload", 101, v4TCP[:len(v4TCP)-4], 2, want{result: TCP, payload: "hel", missing: 2}},
		{"cut in the udp header", 101, v4UDP[:len(v4UDP)-16], 8, want{result: Truncated}},
		{"cut in the tcp header", 101, v4TCP[:len(v4TCP)-16], 8, want{result: Truncated}},
		{"cut in the ip header", 101, "4500 0021 1234", 30, want{result: Truncated}},
		{"cut in the ethernet header", 1, "0200 0000", 60, want{result: Truncated}},
		{"cut in a vlan tag", 1, macs + "8100 00", 60, want{result: Truncated, vlans: 0}},
		{
			"ip header too short to be true", 101, "4400 0021 1234 0000 40 11 0000 c0000201 c0000202 " + udp, 0,
			want{result: Malformed, reason: IPHeader},
		},
		{
			"ip header beyond the frame", 101, "4f00 0021 1234 0000 40 11 0000 c0000201 c0000202 " + udp, 0,
			want{result: Malformed, reason: IPLength},
		},
		{
			"total length below the header's", 101, "4500 0013 1234 0000 40 11 0000 c0000201 c0000202 " + udp, 0,
			want{result: Malformed, reason: IPLength},
		},
		{"tcp offset 4", 101, strings.Replace(v4TCP, "5018", "4018", 1), 0, want{result: Malformed, reason: TCPHeader}},
		{"tcp offset beyond", 101, strings.Replace(v4TCP, "5018", "f018", 1), 0, want{result: Malformed, reason: TCPHeader}},

		{
			"icmp", 101, "4500 001c 1234 0000 40 01 0000 c0000201 c0000202 0303000000000000", 0,
			want{result: ICMP, payload: "\x03\x03\x00\x00\x00\x00\x00\x00"},
		},
		{"sctp", 101, "4500 0018 1234 0000 40 84 0000 c0000201 c0000202 13c413c4", 0, want{result: SCTP, payload: "\x13\xc4\x13\xc4"}},
		{
			"gre keep-alive", 101, "4500 0018 1234 0000 40 2f 0000 c0000201 c0000202 00000800", 0,
			want{result: OtherIP},
		},
		{"hop by hop, routing, destination", 101, "60000000 0025 00 40 " + v6src + v6dst +
			"2b 00 050200000100 3c 00 000000000000 11 00 010400000000" + udp, 0, hello6},
		{"authentication header", 101, "60000000 001d 33 40 " + v6src + v6dst + "11 02 0000 00000001 00000001 00000000" + udp, 0, hello6},
		{"atomic fragment", 101, "60000000 0015 2c 40 " + v6src + v6dst + "11 00 0000 00000007" + udp, 0, hello6},
		{"no next header", 101, "60000000 0000 3b 40 " + v6src + v6dst, 0, want{result: OtherIP, v6: true}},
		{
			"extension beyond the frame", 101, "60000000 0008 00 40 " + v6src + v6dst + "11ff000000000000", 0,
			want{result: Malformed, reason: IPHeader},
		},
		{"extension cut", 101, "60000000 0108 00 40 " + v6src + v6dst + "11ff000000000000", 256, want{result: Truncated}},
		{
			"endless extensions", 101, "60000000 0100 00 40 " + v6src + v6dst + strings.Repeat("0000000000000000", 32), 0,
			want{result: Malformed, reason: IPExtensions},
		},
		{
			"fragment beyond 65535", 101, "4500 0021 1234 1fff 40 11 0000 c0000201 c0000202 " + udp, 0,
			want{result: Malformed, reason: FragmentSize},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			data := unhex(c.hex)
			p := Packet{Payload: []byte("left over"), Reason: 99, VLANs: 7}
			got := Decode(c.link, data, uint32(len(data)+c.wire), &p)
			w := want{got, p.Reason, string(p.Payload), false, p.Missing, p.VLANs, p.VLAN}
			w.v6 = p.Src.IsValid() && !p.Src.V4
			if c.want.result == Malformed || c.want.result == Truncated {
				w.v6 = false
			}
			if w != c.want {
				t.Fatalf("got %+v, want %+v", w, c.want)
			}
			if p.Cut != (p.Missing > 0) {
				t.Errorf("cut is %v, %d bytes are missing", p.Cut, p.Missing)
			}
			if got == UDP || got == TCP {
				checkHello(t, &p, data)
			}
		})
	}
}

func checkHello(t *testing.T, p *Packet, data []byte) {
	t.Helper()
	src, dst := "192.0.2.1:5060", "192.0.2.2:5080"
	if !p.Src.V4 {
		src, dst = "[2001:db8::1]:5060", "[2001:db8::2]:5080"
	}
	if p.Src != FromAddrPort(netip.MustParseAddrPort(src)) || p.Dst.String() != dst {
		t.Errorf("from %v to %v", p.Src, p.Dst)
	}
	if at := int(p.PayloadOff); string(data[at:at+len(p.Payload)]) != string(p.Payload) {
		t.Errorf("the payload is not at %d", at)
	}
	if p.HasIPID != p.Src.V4 || p.HasIPID && p.IPID != 0x1234 {
		t.Errorf("IP id %v %#x", p.HasIPID, p.IPID)
	}
}

func TestDecodeTCPFields(t *testing.T) {
	t.Parallel()
	var p Packet
	data := unhex(v4TCP)
	if r := Decode(capture.LinkRaw, data, uint32(len(data)), &p); r != TCP || p.Seq != 1 || p.Ack != 2 || p.Flags != PSH|ACK {
		t.Errorf("%v, seq %d, ack %d, flags %#x", r, p.Seq, p.Ack, p.Flags)
	}
}

func TestDecodeFragmentFields(t *testing.T) {
	t.Parallel()
	var p Packet
	data := unhex("4500 0021 1234 2003 40 11 0000 c0000201 c0000202 " + udp)
	r := Decode(capture.LinkRaw, data, uint32(len(data)), &p)
	if r != Fragment || p.FragID != 0x1234 || p.FragOffset != 24 || !p.MoreFrags || p.Proto != protoUDP || len(p.Payload) != 13 {
		t.Errorf("%v, %+v", r, p)
	}
	data = unhex("60000000 0015 2c 40 " + v6src + v6dst + "11 00 0019 00000007" + udp)
	r = Decode(capture.LinkRaw, data, uint32(len(data)), &p)
	if r != Fragment || p.FragID != 7 || p.FragOffset != 24 || !p.MoreFrags || p.Proto != protoUDP || p.PayloadOff != 48 {
		t.Errorf("%v, %+v", r, p)
	}
}

// TestDecodeCuts cuts frames at every byte: what is decoded of the rest is a prefix, or the headers are cut.
func TestDecodeCuts(t *testing.T) {
	t.Parallel()
	frames := []struct {
		link capture.LinkType
		hex  string
	}{
		{1, macs + "8100 0001 0800" + v4TCP},
		{1, macs + "86dd" + v6UDP},
		{1, macs + "8864 1100 0001 0023 0021" + v4UDP},
		{113, sll + "0800" + v4Opt},
		{276, "86dd" + sll2 + v6UDP},
		{0, "02000000" + v4UDP},
		{9, "ff03 0021" + v4UDP},
		{1, macs + "003d aaaa03 000000 86dd" + v6UDP},
		{101, "60000000 0025 00 40 " + v6src + v6dst + "2b 00 050200000100 3c 00 000000000000 11 00 010400000000" + udp},
	}
	for _, f := range frames {
		data := unhex(f.hex)
		for n := range data {
			var p Packet
			switch r := Decode(f.link, data[:n:n], uint32(len(data)), &p); r {
			case UDP, TCP:
				if !strings.HasPrefix("hello", string(p.Payload)) || int(p.Missing)+len(p.Payload) != 5 {
					t.Errorf("%s cut at %d: %q, %d missing", f.hex, n, p.Payload, p.Missing)
				}
			case Truncated:
			default:
				t.Errorf("%s cut at %d: %v %v", f.hex, n, r, p.Reason)
			}
		}
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for r := Reason(1); r < Reasons; r++ {
		if s := r.String(); s == "?" || seen[s] {
			t.Errorf("reason %d is %q", r, s)
		}
		seen[r.String()] = true
	}
	for r := UDP; r <= Malformed; r++ {
		if s := r.String(); s == "?" || seen[s] {
			t.Errorf("result %d is %q", r, s)
		}
		seen[r.String()] = true
	}
}

func TestDecodeAllocations(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts for all goroutines
	data := unhex(macs + "8100 0001 0800" + v4UDP)
	var p Packet
	if n := testing.AllocsPerRun(100, func() { Decode(1, data, uint32(len(data)), &p) }); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

func BenchmarkDecodeUDP(b *testing.B) {
	data := unhex(macs + "0800" + v4UDP)
	var p Packet
	b.ReportAllocs()
	for b.Loop() {
		if Decode(1, data, uint32(len(data)), &p) != UDP {
			b.Fatal("not UDP")
		}
	}
}

func BenchmarkDecodeTCP6(b *testing.B) {
	data := unhex(macs + "8100 0001 86dd 60000000 0019 06 40 " + v6src + v6dst + tcp)
	var p Packet
	b.ReportAllocs()
	for b.Loop() {
		if Decode(1, data, uint32(len(data)), &p) != TCP {
			b.Fatal("not TCP")
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		macs + "8100 a064 0800" + v4UDP, macs + "86dd" + v6UDP, macs + "0029 aaaa03 000000 0800" + v4Opt,
		macs + "8864 1100 0001 0023 0021" + v4UDP, macs + "0800" + v4TCP,
	} {
		f.Add(uint16(1), unhex(s), uint16(0))
	}
	f.Add(uint16(113), unhex(sll+"0800"+v4UDP), uint16(9))
	f.Add(uint16(276), unhex("86dd"+sll2+v6UDP), uint16(0))
	f.Add(uint16(0), unhex("0000001e"+v6UDP), uint16(1))
	f.Add(uint16(9), unhex("ff03 0021"+v4UDP), uint16(0))
	f.Add(uint16(101), unhex("60000000 0015 2c 40 "+v6src+v6dst+"11 00 0019 00000007"+udp), uint16(0))
	f.Fuzz(func(t *testing.T, link uint16, data []byte, more uint16) {
		var p Packet
		r := Decode(capture.LinkType(link), data, uint32(len(data))+uint32(more), &p)
		if r < UDP || r > Malformed || (r == Malformed) != (p.Reason != 0) {
			t.Fatalf("result %v, reason %v", r, p.Reason)
		}
		at := int(p.PayloadOff)
		if at+len(p.Payload) > len(data) || string(data[at:at+len(p.Payload)]) != string(p.Payload) {
			t.Fatalf("payload of %d bytes at %d of %d", len(p.Payload), at, len(data))
		}
		if p.Cut != (p.Missing > 0) {
			t.Fatalf("cut is %v, %d bytes are missing", p.Cut, p.Missing)
		}
		if r == Fragment && int(p.FragOffset)+len(p.Payload)+int(p.Missing) > maxDatagram {
			t.Fatalf("fragment of %d bytes at %d", len(p.Payload), p.FragOffset)
		}
		var again Packet
		if Decode(capture.LinkType(link), data, uint32(len(data))+uint32(more), &again) != r || again.Src != p.Src {
			t.Fatal("decoded again, another result")
		}
	})
}
