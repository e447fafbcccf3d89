package frame_test

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"

	"sipscope/capture"
	"sipscope/decode/frame"
)

func TestTunnelsTooDeep(t *testing.T) {
	t.Parallel()
	for _, layer := range []string{"gre", "ipip", "vxlan:1", "gtp:0x2", "geneve:2", "erspan:9", "esp:0x5", "vxlan:1/ipip/gre"} {
		n := strings.Count(layer, "/") + 1
		chain := strings.Repeat("/"+layer, frame.MaxDepth/n)[1:]
		data := wrap(t, chain, inner4(invite))
		var p frame.Packet
		if r := frame.Decode(capture.LinkEthernet, data, uint32(len(data)), &p); r != frame.UDP || string(p.Payload) != invite {
			t.Errorf("%d times %s: %v (%v)", frame.MaxDepth/n, layer, r, p.Reason)
		}
		if p.Path.Depth() != frame.MaxDepth/n*n || p.Path.Named() != 8 || !strings.HasSuffix(p.Path.String(), "/+"+
			map[int]string{16: "8", 15: "7"}[p.Path.Depth()]) {
			t.Errorf("%s: path %q of %d layers", layer, p.Path, p.Path.Depth())
		}
		data = wrap(t, strings.Repeat("/"+layer, 100/n)[1:], inner4(invite))
		r := frame.Decode(capture.LinkEthernet, data, uint32(len(data)), &p)
		if r != frame.Malformed || p.Reason != frame.TunnelDepth {
			t.Errorf("%s a hundred deep: %v (%v) in %q", layer, r, p.Reason, p.Path)
		}
	}
}

// Headers that lie: each is an Ethernet type or IP protocol with what follows, and what must come of it.
func TestTunnelsThatLie(t *testing.T) {
	t.Parallel()
	ip := inner4(invite)
	in := func(head ...byte) []byte { return append(head, ip...) }
	label := func(n int) []byte {
		var b []byte
		for i := range n {
			entry := uint32(i+16)<<12 | 64
			if i == n-1 {
				entry |= 1 << 8
			}
			b = binary.BigEndian.AppendUint32(b, entry)
		}
		return b
	}
	for _, c := range []struct {
		name   string
		data   []byte
		want   frame.Result
		reason frame.Reason
	}{
		{"sixteen labels", ether(0x8847, append(label(16), ip...)), frame.UDP, 0},
		{"labels without end", ether(0x8847, make([]byte, 1400)), frame.Malformed, frame.TooManyLabels},
		{"label over nothing", ether(0x8847, label(1)), frame.NotIP, 0},
		{"label over noise", ether(0x8847, append(label(1), "\x45 is not IP, though it looks like it"...)), frame.NotIP, 0},
		{"gre with routes", over(47, in(0x40, 0, 8, 0, 0, 0, 0, 0, 0, 1, 0, 4, 1, 2, 3, 4, 0, 0, 0, 0)), frame.UDP, 0},
		{"gre with routes without end", over(47, append([]byte{0x40, 0, 8, 0, 0, 0, 0, 0}, strings.Repeat("\x00\x01\x00\x00", 300)...)), frame.Malformed, frame.IPHeader},
		{"gre of version 5", over(47, in(0, 5, 8, 0)), frame.OtherIP, 0},
		{"gre of something", over(47, in(0, 0, 0x12, 0x34)), frame.NotIP, 0},
		{"gre cut in its header", over(47, []byte{0x30, 0, 8, 0, 0, 0}), frame.Malformed, frame.IPHeader},
		{"gre of longer IPv4", over(47, in(0, 0, 8, 0)[:40]), frame.Malformed, frame.IPLength},
		{"erspan 2 cut", over(47, []byte{0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0}), frame.Malformed, frame.IPHeader},
		{"erspan 3 cut in its subheader", over(47, []byte{0, 0, 0x22, 0xeb, 0x20, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1}), frame.Malformed, frame.IPHeader},
		{"erspan 3 of IP", over(47, in(0, 0, 0x22, 0xeb, 0x20, 0, 0, 5, 0, 0, 0, 0, 0, 0, 8, 0)), frame.UDP, 0},
		{"wccp 2", over(47, in(0, 0, 0x88, 0x3e, 1, 2, 3, 4)), frame.UDP, 0},
		{"pptp without PPP", over(47, in(0x30, 1, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0)), frame.OtherIP, 0},
		{"pptp, acknowledgement", over(47, []byte{0x20, 0x81, 0x88, 0x0b, 0, 0, 0, 9, 0, 0, 0, 1}), frame.OtherIP, 0},
		{"etherip of version 4", over(97, in(0x40, 0)), frame.OtherIP, 0},
		{"mpls in ip", over(137, append(label(2), ip...)), frame.UDP, 0},
		{"ah", over(51, append([]byte{17, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, ip[20:]...)), frame.UDP, 0},
		{"ah in ah in ah", over(51, []byte(strings.Repeat("\x33\x00\x00\x00\x00\x00\x00\x01", 100))), frame.OtherIP, 0},
		{"ah longer than all", over(51, []byte{17, 200, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1}), frame.Malformed, frame.IPHeader},
		{"nsh", ether(0x894f, in(0, 2, 1, 1, 0, 0, 7, 255)), frame.UDP, 0},
		{"nsh of no length", ether(0x894f, in(0, 0, 1, 1, 0, 0, 7, 255)), frame.NotIP, 0},
		{"nsh longer than all", ether(0x894f, in(0, 0x3f, 1, 1, 0, 0, 7, 255)[:60]), frame.Truncated, 0},
		{"pbb", ether(0x88e7, append([]byte{0, 0, 1, 0}, ether(0x0800, ip)...)), frame.UDP, 0},
		{"vxlan-gpe of IPv4", datagram(4790, in(0x0c, 0, 0, 1, 0, 0, 1, 0)), frame.UDP, 0},
		{"vxlan-gpe of nsh", datagram(4790, in(0x0c, 0, 0, 4, 0, 0, 1, 0, 0, 2, 1, 1, 0, 0, 7, 255)), frame.UDP, 0},
		{"vxlan on Linux's port", datagram(8472, append([]byte{8, 0, 0, 0, 0, 0, 1, 0}, ether(0x0800, ip)...)), frame.UDP, 0},
		{"vxlan with a group", datagram(4789, append([]byte{0x88, 0, 0, 9, 0, 0, 1, 0}, ether(0x0800, ip)...)), frame.UDP, 0},
		{"vxlan on any port", datagram(40000, append([]byte{8, 0, 0, 0, 0, 0, 1, 0}, ether(0x0800, ip)...)), frame.UDP, 0},
		{"mpls over udp", datagram(6635, append(label(1), ip...)), frame.UDP, 0},
		{"l2tp with sequence and offset", datagram(1701, in(0x0a, 2, 0, 1, 0, 2, 0, 1, 0, 2, 0, 2, 0, 0, 0xff, 3, 0, 0x21)), frame.UDP, 0},
	} {
		var p frame.Packet
		r := frame.Decode(capture.LinkEthernet, c.data, uint32(len(c.data)), &p)
		if r != c.want || p.Reason != c.reason {
			t.Errorf("%s: %v (%v) in %q, want %v (%v)", c.name, r, p.Reason, p.Path, c.want, c.reason)
		}
		if r == frame.UDP && (string(p.Payload) != invite || p.Path.IsZero() && c.name != "ah") {
			t.Errorf("%s: payload %q in %q", c.name, p.Payload, p.Path)
		}
	}
}

// What is on a tunnel's port and no tunnel stays the datagram that it is.
func TestNoTunnel(t *testing.T) {
	t.Parallel()
	ip := inner4(invite)
	lied := append([]byte{8, 0, 0, 0, 0, 0, 1, 0}, ether(0x0800, ip)...)
	lied[8+14+3]++ // longer than the datagram
	noise := append([]byte{8, 0, 0, 0, 0, 0, 1, 0}, ether(0x0800, ip)...)
	noise[8+14+10]++ // the checksum
	gtp := func(head ...byte) []byte { return append(head, ip...) }
	size := byte(len(ip))
	for _, c := range []struct {
		name string
		port uint16
		data []byte
	}{
		{"SIP on VXLAN's port", 4789, []byte(invite)},
		{"SIP on GTP's port", 2152, []byte("200OK is no SIP, but 2 is 0x32")},
		{"SIP on ESP's port", 4500, []byte(invite)},
		{"SIP on L2TP's port", 1701, []byte(invite)},
		{"SIP on MPLS's port", 6635, []byte(invite)},
		{"VXLAN of an IPv4 packet longer than it", 4789, lied},
		{"a bad checksum on any port", 40000, noise},
		{"VXLAN of ARP", 4789, append([]byte{8, 0, 0, 0, 0, 0, 1, 0}, ether(0x0806, ip)...)},
		{"VXLAN without its flag", 4789, append([]byte{0, 0, 0, 0, 0, 0, 1, 0}, ether(0x0800, ip)...)},
		{"VXLAN of nothing", 4789, []byte{8, 0, 0, 0, 0, 0, 1, 0}},
		{"Geneve with options beyond the end", 6081, []byte{0x3f, 0, 8, 0, 0, 0, 1, 0, 1, 2, 3, 4}},
		{"Geneve of version 1", 6081, gtp(0x40, 0, 8, 0, 0, 0, 1, 0)},
		{"Geneve of a length", 6081, gtp(0, 0, 0, 40, 0, 0, 1, 0)},
		{"GTP without length", 2152, gtp(0x30, 255, 0, 0, 0, 0, 0, 1)},
		{"GTP longer than the datagram", 2152, gtp(0x30, 255, 0, size+1, 0, 0, 0, 1)},
		{"GTP echo", 2152, gtp(0x30, 1, 0, size, 0, 0, 0, 1)},
		{"GTP, extension of length 0", 2152, gtp(0x34, 255, 0, size+8, 0, 0, 0, 1, 0, 0, 0, 0x85, 0, 0, 0, 0x85)},
		{"GTP, extension beyond the end", 2152, gtp(0x34, 255, 0, size+8, 0, 0, 0, 1, 0, 0, 0, 0x85, 200, 0, 0, 0)},
		{"GTP of noise", 2152, []byte{0x30, 255, 0, 8, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8}},
		{"TZSP of tags without end", 37008, []byte{1, 0, 0, 1, 10, 1, 0x55, 9, 0, 9, 0, 0, 0, 0}},
		{"TZSP, a tag beyond the end", 37008, []byte{1, 0, 0, 1, 10, 200, 0x55}},
		{"L2TP control", 1701, gtp(0xc8, 2, 0, size+8, 0, 1, 0, 2)},
		{"L2TP, offset beyond the end", 1701, []byte{2, 2, 0, 1, 0, 2, 255, 255, 0, 0}},
		{"IKE on ESP's port", 4500, gtp(0, 0, 0, 0, 1, 2, 3, 4)},
		{"a keep-alive on ESP's port", 4500, []byte{255}},
	} {
		data := datagram(c.port, c.data)
		var p frame.Packet
		r := frame.Decode(capture.LinkEthernet, data, uint32(len(data)), &p)
		if r != frame.UDP || p.Dst.Port != c.port || p.Src.String() != "192.0.2.1:7000" || string(p.Payload) != string(c.data) ||
			!p.Path.IsZero() || p.Cut {
			t.Errorf("%s: %v (%v), %v to %v in %q, %d bytes", c.name, r, p.Reason, p.Src, p.Dst, p.Path, len(p.Payload))
		}
	}
}

// ESP that encrypts looks like random bytes, and is nothing.
func TestRandomESP(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	var p frame.Packet
	for range 50_000 {
		data := over(50, make([]byte, 40+r.IntN(120)))
		for i := 34; i < len(data); i++ {
			data[i] = byte(r.Uint32())
		}
		data[34] |= 1
		// half of them have a trailer that could be one
		if end := len(data) - 12; r.IntN(2) == 0 {
			data[end-2], data[end-1] = 0, []byte{4, 6, 17, 41, 132}[r.IntN(5)]
		}
		if got := frame.Decode(capture.LinkEthernet, data, uint32(len(data)), &p); got != frame.OtherIP || !p.Path.IsZero() {
			t.Fatalf("%v in %q of random bytes %x", got, p.Path, data[34:])
		}
	}
}

// Transport mode: the addresses are the outer ones, the checksums those of TCP and UDP.
func TestESPTransport(t *testing.T) {
	t.Parallel()
	udp := inner4(invite)[20:]
	for _, icv := range []int{0, 8, 12, 16, 24, 32} {
		body := append([]byte{0, 0, 16, 1, 0, 0, 0, 1}, udp...)
		pad := 0
		for (len(body)+2)%4 != 0 {
			pad++
			body = append(body, byte(pad))
		}
		body = append(append(body, byte(pad), 17), strings.Repeat("\xa5", icv)...)
		for _, data := range [][]byte{over(50, body), datagram(4500, body)} {
			var p frame.Packet
			r := frame.Decode(capture.LinkEthernet, data, uint32(len(data)), &p)
			if r != frame.UDP || string(p.Payload) != invite || p.Src.String() != "192.0.2.1:5060" || p.Path.String() != "esp:0x1001" {
				t.Errorf("ICV of %d bytes: %v (%v) from %v in %q", icv, r, p.Reason, p.Src, p.Path)
			}
			data[len(data)-icv-3-pad] ^= 0x40 // the last byte of the payload or of the padding: UDP here has no checksum
			data[len(data)-icv-1] = 6         // and it is no TCP
			if r := frame.Decode(capture.LinkEthernet, data, uint32(len(data)), &p); !p.Path.IsZero() {
				t.Errorf("ICV of %d bytes, TCP that is none: %v in %q", icv, r, p.Path)
			}
		}
	}
}

// ether, over and datagram make frames.
func ether(t uint16, data []byte) []byte {
	return append(binary.BigEndian.AppendUint16(make([]byte, 12), t), data...)
}

func over(proto byte, data []byte) []byte {
	b := make([]byte, 20, 20+len(data))
	b[0], b[8], b[9] = 0x45, 64, proto
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(data)))
	copy(b[12:], []byte{192, 0, 2, 1, 192, 0, 2, 2})
	return ether(0x0800, append(b, data...))
}

func datagram(port uint16, data []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, 7000)
	b = binary.BigEndian.AppendUint16(b, port)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(data)))
	return over(17, append(append(b, 0, 0), data...))
}

// Decode does not allocate, whatever it looks into.
func TestTunnelsAllocations(t *testing.T) { //nolint:paralleltest // counts allocations
	var all [][]byte
	for _, path := range over4()[1:] {
		all = append(all, wrap(t, layersOf(path), inner4(invite)))
	}
	var p frame.Packet
	n := testing.AllocsPerRun(100, func() {
		for _, data := range all {
			frame.Decode(capture.LinkEthernet, data, uint32(len(data)), &p)
		}
	})
	if n != 0 {
		t.Errorf("%.1f allocations", n)
	}
}

func BenchmarkDecodeTunnels(b *testing.B) {
	for _, path := range []string{"vlan:100", "gre:7", "vxlan:5001", "gtp:0x3", "esp:0x5", "mpls:16/pw", "vlan:7/gre:6/vxlan:9/gtp:0x7"} {
		data := wrap(b, path, inner4(invite))
		b.Run(strings.ReplaceAll(path, "/", "+"), func(b *testing.B) {
			var p frame.Packet
			b.ReportAllocs()
			for b.Loop() {
				frame.Decode(capture.LinkEthernet, data, uint32(len(data)), &p)
			}
		})
	}
}

// FuzzDecode holds what every frame must: the payload lies in the frame, and twice the same is the same.
func FuzzDecodeTunnels(f *testing.F) {
	for _, path := range over4()[1:] {
		f.Add(uint16(1), wrap(f, layersOf(path), inner4(invite)), uint16(0))
	}
	for _, path := range over6()[1:] {
		f.Add(uint16(1), wrap(f, layersOf(path), inner6(invite)), uint16(3))
	}
	f.Add(uint16(1), wrap(f, strings.Repeat("/vxlan:1", 100)[1:], inner4(invite)), uint16(0))
	f.Add(uint16(1), wrap(f, strings.Repeat("/esp:0x9", 100)[1:], inner4(invite)), uint16(0))
	f.Fuzz(func(t *testing.T, link uint16, data []byte, more uint16) {
		var p, q frame.Packet
		wire := uint32(len(data)) + uint32(more)
		r := frame.Decode(capture.LinkType(link), data, wire, &p)
		q.Path = p.Path // what is left of another frame
		if s := frame.Decode(capture.LinkType(link), data, wire, &q); s != r || q.Path != p.Path || q.Src != p.Src || q.Dst != p.Dst {
			t.Fatalf("%v in %q, then %v in %q", r, p.Path, s, q.Path)
		}
		end := int(p.PayloadOff) + len(p.Payload)
		if end > len(data) || string(data[p.PayloadOff:end]) != string(p.Payload) {
			t.Fatalf("payload of %d bytes at %d of %d", len(p.Payload), p.PayloadOff, len(data))
		}
		if p.Path.IsZero() != (p.Path.String() == "") || p.Path.Named() > p.Path.Depth() {
			t.Fatalf("path %q of %d layers", p.Path, p.Path.Depth())
		}
	})
}
