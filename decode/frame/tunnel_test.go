package frame_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"sipscope/capture"
	"sipscope/decode/frame"
	"sipscope/flowtest"
)

// inner4 and inner6 are packets with "INVITE ..." from port 5060 to 5070.
func inner4(payload string) []byte {
	b := make([]byte, 28, 28+len(payload))
	b[0], b[8], b[9] = 0x45, 61, 17
	binary.BigEndian.PutUint16(b[2:], uint16(28+len(payload)))
	binary.BigEndian.PutUint16(b[4:], 777)
	copy(b[12:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	binary.BigEndian.PutUint16(b[10:], ^uint16(sum+sum>>16))
	udpHead(b[20:], len(payload))
	return append(b, payload...)
}

func inner6(payload string) []byte {
	b := make([]byte, 48, 48+len(payload))
	b[0], b[6], b[7] = 0x60, 17, 61
	binary.BigEndian.PutUint16(b[4:], uint16(8+len(payload)))
	copy(b[8:], []byte{0x20, 1, 0xd, 0xb8})
	copy(b[24:], []byte{0x20, 1, 0xd, 0xb8})
	b[23], b[39] = 1, 2
	udpHead(b[40:], len(payload))
	return append(b, payload...)
}

func udpHead(b []byte, n int) {
	binary.BigEndian.PutUint16(b, 5060)
	binary.BigEndian.PutUint16(b[2:], 5070)
	binary.BigEndian.PutUint16(b[4:], uint16(8+n))
}

const invite = "INVITE sip:b@example.com SIP/2.0\r\nCall-ID: in a tunnel\r\n\r\n"

// wrap makes an Ethernet frame of an IP packet in tunnels.
func wrap(tb testing.TB, layers string, ip []byte) []byte {
	tb.Helper()
	t, err := flowtest.ParseTunnels(layers, 0)
	if err != nil {
		tb.Fatal(err)
	}
	etype, all, err := t.Wrap(ip, 1, 2, 99)
	if err != nil {
		tb.Fatalf("%s: %v", layers, err)
	}
	if etype == 0x6558 {
		return all[0]
	}
	return append(binary.BigEndian.AppendUint16(make([]byte, 12), etype), all[0]...)
}

// inside decodes a frame and says what is wrong with it, "" when the INVITE is there with its own addresses.
func inside(data []byte, wire int, layers string, v6 bool) string {
	var p frame.Packet
	r := frame.Decode(capture.LinkEthernet, data, uint32(wire), &p)
	src, dst := "10.0.0.1:5060", "10.0.0.2:5070"
	if v6 {
		src, dst = "[2001:db8::1]:5060", "[2001:db8::2]:5070"
	}
	switch {
	case r != frame.UDP:
		return fmt.Sprintf("%v (%v) in %q", r, p.Reason, p.Path)
	case p.Src.String() != src || p.Dst.String() != dst:
		return fmt.Sprintf("%v to %v in %q", p.Src, p.Dst, p.Path)
	case string(p.Payload) != invite:
		return fmt.Sprintf("payload %q", p.Payload)
	case string(data[p.PayloadOff:int(p.PayloadOff)+len(p.Payload)]) != invite:
		return fmt.Sprintf("offset %d", p.PayloadOff)
	case p.HasIPID == v6 || p.HasIPID && p.IPID != 777 || p.TTL != 61:
		return fmt.Sprintf("IP id %d (%v), TTL %d", p.IPID, p.HasIPID, p.TTL)
	case p.Path.String() != layers:
		return fmt.Sprintf("path %q", p.Path)
	}
	return ""
}

// over4 and over6 are chains that carry IPv4 and IPv6.
func over4() []string {
	return []string{
		"", "vlan:100", "vlan:100/vlan:200", "mpls:16", "mpls:16/mpls:1000000", "mpls:18/pw", "vlan:5/mpls:18/pw/vlan:7",
		"pppoe:17", "gre", "gre:4", "gre:7", "gre:2", "gre:1", "pptp:300", "nvgre:5000", "nvgre:5000/vlan:9", "erspan", "erspan:100",
		"erspan:511/vlan:3", "erspan:512", "erspan:1023", "vxlan:5001", "vxlan:16777215/vlan:4094", "geneve:2", "geneve:3",
		"gtp:0x1a2b3c4d", "gtp:0x2", "ipip", "4in6", "tzsp", "etherip", "esp:0xabcdef", "esp:0x1000", "l2tp:1.2",
		"gre/mpls:20", "vxlan:1/pppoe:3", "vlan:7/gre:6/vxlan:9/gtp:0x7", "gtp:0x1/gtp:0x3/ipip", "6in4/4in6",
		"geneve:9/mpls:3/pw/erspan:9", "esp:0x5/gre/ipip", "tzsp/vlan:3/pppoe:1/etherip", "vxlan:1/vxlan:2/vxlan:3/vxlan:4",
	}
}

func over6() []string {
	return []string{
		"", "vlan:100/vlan:200", "mpls:16", "mpls:18/pw", "pppoe:17", "gre:7", "pptp:300", "nvgre:5000", "erspan:100", "erspan:1023",
		"vxlan:5001", "geneve:2", "geneve:3", "gtp:0x1a2b3c4d", "6in4", "6in6", "tzsp", "etherip", "esp:0xabcdef", "l2tp:1.2",
		"4in6/6in4", "gre:3/erspan:700/6in6", "6in4/6in6/4in6/gtp:0x3/6in4",
	}
}

// layersOf turns a path into what ParseTunnels reads: L2TP has one number there.
func layersOf(path string) string { return strings.ReplaceAll(path, "l2tp:1.2", "l2tp:65538") }

func TestTunnels(t *testing.T) {
	t.Parallel()
	for _, path := range over4() {
		data := inner4(invite)
		if path != "" {
			data = wrap(t, layersOf(path), data)
		} else {
			data = append(append(make([]byte, 12), 8, 0), data...)
		}
		if bad := inside(data, len(data), path, false); bad != "" {
			t.Errorf("IPv4 in %q: %s", path, bad)
		}
	}
	for _, path := range over6() {
		data := inner6(invite)
		if path != "" {
			data = wrap(t, layersOf(path), data)
		} else {
			data = append(append(make([]byte, 12), 0x86, 0xdd), data...)
		}
		if bad := inside(data, len(data), path, true); bad != "" {
			t.Errorf("IPv6 in %q: %s", path, bad)
		}
	}
}

// Whatever is in whatever, up to a depth of seven, is found; and whatever byte the snaplen cuts it at, nothing else is.
func TestTunnelsNested(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	simple := []string{
		"vlan:100", "mpls:16", "pppoe:17", "gre", "gre:4", "gre:7", "gre:2", "pptp:300", "nvgre:5000", "erspan", "erspan:100",
		"erspan:700", "erspan:1023", "vxlan:5001", "geneve:2", "geneve:3", "gtp:0x1a2b", "gtp:0x2", "ipip", "tzsp", "etherip",
		"esp:0xabcdef", "l2tp:1.2", "4in6", "6in4",
	}
	good := 0
	for range 4000 {
		n := 1 + r.IntN(7)
		chain := make([]string, n)
		for i := range chain {
			chain[i] = simple[r.IntN(len(simple))]
		}
		path := strings.Join(chain, "/")
		tunnels, err := flowtest.ParseTunnels(layersOf(path), 0)
		if err != nil {
			t.Fatal(err)
		}
		etype, all, err := tunnels.Wrap(inner4(invite), 1, 2, 99)
		if err != nil || etype == 0x6558 {
			continue // one layer cannot carry the other
		}
		good++
		data := append(binary.BigEndian.AppendUint16(make([]byte, 12), etype), all[0]...)
		if bad := inside(data, len(data), path, false); bad != "" {
			t.Errorf("%q: %s", path, bad)
		}
		var p frame.Packet
		cut := r.IntN(len(data))
		if got := frame.Decode(capture.LinkEthernet, data[:cut], uint32(len(data)), &p); got == frame.Malformed {
			t.Errorf("%q cut at %d of %d bytes: %v", path, cut, len(data), p.Reason)
		}
	}
	if good < 1000 {
		t.Errorf("only %d chains were possible", good)
	}
}

// Fragments with the same addresses and IP identification in two tunnels are two datagrams, and so are those of one VNI
// between other tunnel ends.
func TestFragmentsInTunnels(t *testing.T) {
	t.Parallel()
	d := frame.NewDefragmenter()
	texts := []string{strings.Repeat("a", 64), strings.Repeat("b", 64), strings.Repeat("c", 64)}
	part := func(which int, from, to int) []byte {
		ip := inner4(texts[which])
		b := append(append([]byte{}, ip[:20]...), ip[20+from:20+to]...)
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
		binary.BigEndian.PutUint16(b[6:], uint16(from/8))
		if to < len(ip)-20 {
			b[6] |= 0x20
		}
		tunnels, err := flowtest.ParseTunnels([]string{"vxlan:1", "vxlan:2", "vxlan:1"}[which], 0)
		if err != nil {
			t.Fatal(err)
		}
		_, all, err := tunnels.Wrap(b, 1, []byte{2, 2, 3}[which], 5)
		if err != nil {
			t.Fatal(err)
		}
		return append(append(make([]byte, 12), 8, 0), all[0]...)
	}
	add := func(data []byte) *frame.Datagram {
		var p frame.Packet
		if r := frame.Decode(capture.LinkEthernet, data, uint32(len(data)), &p); r != frame.Fragment {
			t.Fatalf("%v in %q", r, p.Path)
		}
		return d.Add(&p, frame.Piece{Seq: 1, Len: uint32(len(p.Payload))}, 1)
	}
	for i := range texts {
		if add(part(i, 0, 40)) != nil {
			t.Fatal("whole without its end")
		}
	}
	for i, text := range texts {
		out := add(part(i, 40, 72))
		if out == nil || string(out.Payload) != text || out.Path.Layer(0).Num != []uint32{1, 2, 1}[i] {
			t.Errorf("datagram %d: %+v", i, out)
		}
	}
	if d.Overlaps+d.Duplicates != 0 {
		t.Errorf("%d overlaps, %d duplicates", d.Overlaps, d.Duplicates)
	}
}

// A datagram out of fragments is a tunnel, in which there is a fragment, in which ... The pieces are those of the text.
func TestFragmentsInFragments(t *testing.T) {
	t.Parallel()
	text := "INVITE " + strings.Repeat("0123456789", 200)
	packets := [][]byte{inner4(text)}
	for range 5 { // cut all, and put each into GRE
		tunnels, err := flowtest.ParseTunnels("gre", 68+20*len(packets))
		if err != nil {
			t.Fatal(err)
		}
		var next [][]byte
		for i, p := range packets {
			_, all, err := tunnels.Wrap(p, 1, 2, uint16(len(packets)<<8+i))
			if err != nil {
				t.Fatal(err)
			}
			next = append(next, all...)
		}
		packets = next
	}
	d := frame.NewDefragmenter()
	r := rand.New(rand.NewPCG(5, 6))
	var file []byte
	frames := 0
	for i, n := range r.Perm(len(packets)) {
		data := append(append(make([]byte, 12), 8, 0), packets[n]...)
		var p frame.Packet
		if got := frame.Decode(capture.LinkEthernet, data, uint32(len(data)), &p); got != frame.Fragment {
			t.Fatalf("%v (%v)", got, p.Reason)
		}
		at := capture.Loc{Off: int64(len(file)) + int64(p.PayloadOff)}
		file = append(file, data...)
		out := d.Add(&p, frame.Piece{Seq: uint64(i + 1), Loc: at, Len: uint32(len(p.Payload))}, int64(i))
		for out != nil && out.Result == frame.Fragment {
			out = d.AddDatagram(out, int64(i))
		}
		if out == nil {
			continue
		}
		frames = out.Frames
		if out.Result != frame.UDP || string(out.Payload) != text || out.Path.String() != "gre/gre/gre/gre/gre" {
			t.Fatalf("%v of %d bytes in %q", out.Result, len(out.Payload), out.Path)
		}
		var again []byte
		for _, p := range out.Pieces {
			again = append(again, file[p.Loc.Off:p.Loc.Off+int64(p.Len)]...)
		}
		if string(again) != text {
			t.Error("the pieces are not the text's")
		}
	}
	if frames != len(packets) {
		t.Errorf("%d of %d frames were counted", frames, len(packets))
	}
}
