package hep

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// sameAddr compares addresses by value, for netip's have fields of their own.
var sameAddr = cmpopts.EquateComparable(netip.AddrPort{})

// bin reads hexadecimal bytes with blanks; what is in single quotes is text.
func bin(tb testing.TB, s string) []byte {
	tb.Helper()
	var out []byte
	for i, part := range strings.Split(s, "'") {
		if i%2 == 1 {
			out = append(out, part...)
			continue
		}
		b, err := hex.DecodeString(strings.Join(strings.Fields(part), ""))
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, b...)
	}
	return out
}

var (
	a4 = netip.MustParseAddrPort("192.0.2.1:5060")
	b4 = netip.MustParseAddrPort("192.0.2.2:5080")
	a6 = netip.MustParseAddrPort("[2001:db8::1]:5060")
	b6 = netip.MustParseAddrPort("[2001:db8::2]:5080")
)

// goldens are messages and what they say, both ways.
func goldens() []golden {
	const at = 1_700_000_000_123_456_000
	return []golden{
		{
			name: "version 3, IPv4, all chunks",
			bytes: `'HEP3' 009f
				0000 0001 0007 02  0000 0002 0007 11
				0000 0003 000a c0000201  0000 0004 000a c0000202  0000 0007 0008 13c4  0000 0008 0008 13d8
				0000 0009 000a 6553f100  0000 000a 000a 0001e240  0000 000b 0007 01
				0000 000c 000a 000007d1  0000 000d 0008 001e  0000 0012 0008 0064
				0000 000e 000c 'secret'  0000 0011 000d 'a@b.cde'  0000 0013 000b 'node1'
				0000 000f 000e 'OPTIONS '`,
			packet: Packet{
				Version: 3, Family: 2, Proto: 17, Type: TypeSIP, Src: a4, Dst: b4, Time: at, CaptureID: 2001, KeepAlive: 30,
				VLAN: 100, Key: []byte("secret"), CorrelationID: []byte("a@b.cde"), Node: []byte("node1"),
				Payload: []byte("OPTIONS "), PayloadOff: 151,
			},
		},
		{
			name: "version 3, IPv6, over TCP, compressed elsewhere",
			bytes: `'HEP3' 0064
				0000 0001 0007 0a  0000 0002 0007 06
				0000 0005 0016 20010db8000000000000000000000001  0000 0006 0016 20010db8000000000000000000000002
				0000 0007 0008 13c4  0000 0008 0008 13d8  0000 000b 0007 05  0000 0010 000d 1f8b0102030405`,
			packet: Packet{
				Version: 3, Family: 10, Proto: 6, Type: TypeRTCP, Src: a6, Dst: b6, Compressed: true,
				Payload: []byte("\x1f\x8b\x01\x02\x03\x04\x05"), PayloadOff: 93,
			},
		},
		{
			name:   "version 3, a log without addresses",
			bytes:  `'HEP3' 001c 0000 0002 0007 00  0000 000b 0007 64  0000 000f 0008 'hi'`,
			packet: Packet{Version: 3, Type: TypeLog, Payload: []byte("hi"), PayloadOff: 26},
		},
		{
			name:   "version 3, an empty payload",
			bytes:  `'HEP3' 001a 0000 0002 0007 00  0000 000b 0007 01  0000 000f 0006`,
			packet: Packet{Version: 3, Type: TypeSIP, Payload: []byte{}, PayloadOff: 26},
		},
		{
			name:     "version 2, IPv4",
			encoding: Encoding{Version: 2},
			bytes:    `02 10 02 11 13c4 13d8 c0000201 c0000202 00f15365 40e20100 d107 0000 'ACK'`,
			packet: Packet{
				Version: 2, Family: 2, Proto: 17, Type: TypeSIP, Src: a4, Dst: b4, Time: at, CaptureID: 2001,
				Payload: []byte("ACK"), PayloadOff: 28,
			},
		},
		{
			name:     "version 2, IPv6",
			encoding: Encoding{Version: 2},
			bytes: `02 28 0a 06 13c4 13d8 20010db8000000000000000000000001 20010db8000000000000000000000002
				00f15365 40e20100 d107 0000 'ACK'`,
			packet: Packet{
				Version: 2, Family: 10, Proto: 6, Type: TypeSIP, Src: a6, Dst: b6, Time: at, CaptureID: 2001,
				Payload: []byte("ACK"), PayloadOff: 52,
			},
		},
		{
			name:     "version 1",
			encoding: Encoding{Version: 1},
			bytes:    `01 10 02 11 13c4 13d8 c0000201 c0000202 'ACK'`,
			packet: Packet{
				Version: 1, Family: 2, Proto: 17, Type: TypeSIP, Src: a4, Dst: b4, Payload: []byte("ACK"), PayloadOff: 16,
			},
		},
	}
}

type golden struct {
	name     string
	encoding Encoding
	bytes    string
	packet   Packet
}

func TestGoldens(t *testing.T) {
	t.Parallel()
	for _, g := range goldens() {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			b := bin(t, g.bytes)
			if !Is(b) {
				t.Error("Is says that it is none")
			}
			var p Packet
			if err := Decode(b, &p); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(g.packet, p, sameAddr); d != "" {
				t.Errorf("decoded (-want +got)\n%s", d)
			}
			if !bytes.Equal(b[p.PayloadOff:p.PayloadOff+len(p.Payload)], p.Payload) {
				t.Error("the payload is not where PayloadOff says")
			}
			got, err := Append([]byte("before"), &g.packet, g.encoding)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff("before"+string(b), string(got)); d != "" {
				t.Errorf("encoded (-want +got)\n%s", d)
			}
		})
	}
}

// What agents write differently, and is understood.
func TestDecodeVariants(t *testing.T) {
	t.Parallel()
	want := Packet{Version: 3, Family: 2, Proto: 17, Type: TypeSIP, Src: a4, Dst: b4, Payload: []byte("ACK")}
	const addresses = `0000 0001 0007 02  0000 0002 0007 11  0000 0003 000a c0000201  0000 0004 000a c0000202 `
	for _, v := range []struct {
		name, bytes string
		change      func(p *Packet)
	}{
		{"chunks of a vendor and unknown ones", `'HEP3' 006a` + addresses + `0000 0007 0008 13c4  0000 0008 0008 13d8
			0000 000b 0007 01  0003 0001 0007 63  0000 7777 0008 'xy'  0000 0014 0006  0000 000f 0009 'ACK'
			0008 000f 000d 'another'`, nil},
		{
			"ports of four bytes, capture id of two", `'HEP3' 0055` + addresses + `0000 0007 000a 000013c4
			0000 0008 000a 000013d8  0000 000b 0008 0001  0000 000c 0008 0007  0000 000f 0009 'ACK'`,
			func(p *Packet) { p.CaptureID = 7 },
		},
		{"bytes behind the message", `'HEP3' 0048` + addresses + `0000 0007 0008 13c4  0000 0008 0008 13d8
			0000 000b 0007 01  0000 000f 0009 'ACK' 'trailer'`, nil},
		{"payload twice: the last counts", `'HEP3' 004f` + addresses + `0000 0007 0008 13c4  0000 0008 0008 13d8
			0000 000b 0007 01  0000 0010 0007 'x'  0000 000f 0009 'ACK'`, nil},
		{"microseconds without seconds", `'HEP3' 0052` + addresses + `0000 0007 0008 13c4  0000 0008 0008 13d8
			0000 000b 0007 01  0000 000a 000a 00000001  0000 000f 0009 'ACK'`, nil},
		{"sngrep's version 2", `02 00 02 11 13c4 13d8 c0000201 c0000202 00f15365 00000000 d107 fefe 'ACK'`, func(p *Packet) {
			p.Version, p.CaptureID, p.Time = 2, 2001, 1_700_000_000_000_000_000
		}},
		{"version 2 with all of the header counted", `02 1c 02 11 13c4 13d8 c0000201 c0000202 00f15365 00000000 d107 0000
			'ACK'`, func(p *Packet) { p.Version, p.CaptureID, p.Time = 2, 2001, 1_700_000_000_000_000_000 }},
		{"version 2 packed", `02 1a 02 11 13c4 13d8 c0000201 c0000202 00f15365 00000000 d107 'ACK'`, func(p *Packet) {
			p.Version, p.CaptureID, p.Time = 2, 2001, 1_700_000_000_000_000_000
		}},
	} {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			b := bin(t, v.bytes)
			if !Is(b) {
				t.Error("Is says that it is none")
			}
			var p Packet
			if err := Decode(b, &p); err != nil {
				t.Fatal(err)
			}
			w := want
			if v.change != nil {
				v.change(&w)
			}
			if d := cmp.Diff(w, p, sameAddr, cmpopts.IgnoreFields(Packet{}, "PayloadOff")); d != "" {
				t.Errorf("(-want +got)\n%s", d)
			}
		})
	}
}

func TestDecodeErrors(t *testing.T) {
	t.Parallel()
	for _, e := range []struct {
		name, bytes string
		offset      int
		is          bool // what Is says
	}{
		{"nothing", ``, 0, false},
		{"SIP", `'OPTIONS sip:a SIP/2.0'`, 0, false},
		{"half a magic", `'HEP'`, 3, false},
		{"magic alone", `'HEP3'`, 4, false},
		{"length below the header", `'HEP3' 0005 0000`, 0, false},
		{"cut short", `'HEP3' 0010 0000 0001`, 10, true},
		{"half a chunk header", `'HEP3' 000a 0000 0001`, 6, true},
		{"chunk shorter than its header", `'HEP3' 000c 0000 0001 0005`, 6, true},
		{"chunk of no length", `'HEP3' 000c 0000 0001 0000`, 6, true},
		{"chunk longer than the message", `'HEP3' 000d 0000 0001 0008 02`, 6, true},
		{"second chunk longer than the message", `'HEP3' 0014 0000 0001 0007 02 0001 0001 0100 02`, 13, true},
		{"address of three bytes", `'HEP3' 000f 0000 0003 0009 010203`, 6, true},
		{"IPv4 in an IPv6 chunk", `'HEP3' 0010 0000 0005 000a 01020304`, 6, true},
		{"port that fits no port", `'HEP3' 0010 0000 0007 000a 00010000`, 6, true},
		{"protocol of three bytes", `'HEP3' 000f 0000 0002 0009 000011`, 6, true},
		{"version 1, cut", `01 10 02 11 13c4 13d8 c0000201 c00002`, 0, false},
		{"version 1, no payload", `01 10 02 11 13c4 13d8 c0000201 c0000202`, 0, false},
		{"version 1, wrong length", `01 11 02 11 13c4 13d8 c0000201 c0000202 'ACK'`, 0, false},
		{"version 1, family", `01 10 03 11 13c4 13d8 c0000201 c0000202 'ACK'`, 0, false},
		{"version 1, protocol", `01 10 02 01 13c4 13d8 c0000201 c0000202 'ACK'`, 0, false},
		{"version 1, no ports", `01 10 02 11 0000 0000 c0000201 c0000202 'ACK'`, 0, false},
		{"version 1 with IPv6 cut", `01 28 0a 11 13c4 13d8 c0000201 c0000202 c0000201 c0000202 'ACK'`, 0, false},
		{"version 2 without time", `02 10 02 11 13c4 13d8 c0000201 c0000202 'ACK'`, 0, false},
		{"version 2, time of 1970", `02 10 02 11 13c4 13d8 c0000201 c0000202 00000001 00000000 d107 0000 'ACK'`, 0, false},
		{"version 2, microseconds", `02 10 02 11 13c4 13d8 c0000201 c0000202 00f15365 40420f00 d107 0000 'ACK'`, 0, false},
		{"STUN", `0101 0008 2112a442 000000000000000000000000 0000000000000000`, 0, false},
		{"version 4", `04 10 02 11 13c4 13d8 c0000201 c0000202 'ACK'`, 0, false},
	} {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			b := bin(t, e.bytes)
			if Is(b) != e.is {
				t.Errorf("Is: %v", !e.is)
			}
			var p Packet
			err := Decode(b, &p)
			var he *Error
			if !errors.As(err, &he) {
				t.Fatalf("%v, want an *Error", err)
			}
			if he.Offset != e.offset || !strings.Contains(err.Error(), "HEP at offset") {
				t.Errorf("%v, want offset %d", err, e.offset)
			}
		})
	}
}

func TestExtent(t *testing.T) {
	t.Parallel()
	for _, e := range []struct {
		bytes string
		n     int
		state State
	}{
		{``, 0, NeedMore},
		{`'H'`, 0, NeedMore},
		{`'HEP3' 00`, 0, NeedMore},
		{`'HEP3' 0007`, 7, NeedMore},
		{`'HEP3' 0006`, 6, Whole},
		{`'HEP3' 0007 00 'HEP3'`, 7, Whole},
		{`'HEP3' 0005`, 0, NotHEP},
		{`'HEX3' 0007`, 0, NotHEP},
		{`'X'`, 0, NotHEP},
		{`01 10 02 11`, 0, NotHEP},
	} {
		if n, state := Extent(bin(t, e.bytes)); n != e.n || state != e.state {
			t.Errorf("%s: %d, %d, want %d, %d", e.bytes, n, state, e.n, e.state)
		}
	}
}

func TestAppendErrors(t *testing.T) {
	t.Parallel()
	long := make([]byte, 65536)
	for _, e := range []struct {
		name     string
		p        Packet
		o        Encoding
		tooLarge bool
	}{
		{"two families", Packet{Src: a4, Dst: b6}, Encoding{}, false},
		{"one address", Packet{Src: a4}, Encoding{}, false},
		{"time before 1970", Packet{Time: -1}, Encoding{}, false},
		{"time after 2106", Packet{Time: 1 << 32 * 1_000_000_000}, Encoding{}, false},
		{"version 4", Packet{}, Encoding{Version: 4}, false},
		{"version 2 without addresses", Packet{Payload: []byte("x")}, Encoding{Version: 2}, false},
		{"version 1, compressed", Packet{Src: a4, Dst: b4, Payload: []byte("x"), Compressed: true}, Encoding{Version: 1}, false},
		{"payload", Packet{Payload: long}, Encoding{}, true},
		{"payload and the rest", Packet{Payload: long[:65535-20]}, Encoding{}, true},
		{"key", Packet{Key: long}, Encoding{}, true},
		{"version 1", Packet{Src: a4, Dst: b4, Payload: long}, Encoding{Version: 1}, true},
	} {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			got, err := Append([]byte("before"), &e.p, e.o)
			if err == nil || errors.Is(err, ErrTooLarge) != e.tooLarge || string(got) != "before" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	if _, err := Append(nil, &Packet{Payload: long[:65535-26]}, Encoding{}); err != nil {
		t.Errorf("the longest message: %v", err)
	}
}

func TestDecodeAllocs(t *testing.T) { //nolint:paralleltest // it counts allocations
	b := bin(t, goldens()[0].bytes)
	var p, q Packet
	room := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() {
		if !Is(b) || Decode(b, &p) != nil {
			t.Fatal("not decoded")
		}
		q = p
		if _, err := Append(room, &q, Encoding{}); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDecode(b *testing.B) {
	m := bin(b, goldens()[0].bytes)
	var p Packet
	b.ReportAllocs()
	b.SetBytes(int64(len(m)))
	for b.Loop() {
		if err := Decode(m, &p); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	p := goldens()[0].packet
	p.Payload = []byte(invite(1))
	for _, o := range []struct {
		name string
		o    Encoding
	}{{"plain", Encoding{}}, {"zlib", Encoding{Compress: true}}} {
		b.Run(o.name, func(b *testing.B) {
			room := make([]byte, 0, 4096)
			b.ReportAllocs()
			for b.Loop() {
				out, err := Append(room, &p, o.o)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(len(out)))
			}
		})
	}
}
