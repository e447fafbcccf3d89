package bpf

import (
	"encoding/binary"
	"net/netip"

	"sipscope/capture"
)

// be16 and be32 are numbers in network order.
func be16(v int) []byte { return binary.BigEndian.AppendUint16(nil, uint16(v)) }
func be32(v int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(v)) }

// cat joins bytes.
func cat(parts ...[]byte) []byte {
	var out []byte
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

// ip4 is an IPv4 packet. Checksums are left out: no filter looks at them.
func ip4(src, dst string, proto, frag int, options, payload []byte) []byte {
	s, d := netip.MustParseAddr(src).As4(), netip.MustParseAddr(dst).As4()
	head := []byte{0x45 + byte(len(options)/4), byte(frag >> 3 & 0xb8)}
	return cat(head, be16(20+len(options)+len(payload)), be16(proto*3), be16(frag),
		[]byte{byte(64 - proto%3), byte(proto)}, be16(0), s[:], d[:], options, payload)
}

// ip6 is an IPv6 packet.
func ip6(src, dst string, next int, payload []byte) []byte {
	s, d := netip.MustParseAddr(src).As16(), netip.MustParseAddr(dst).As16()
	return cat([]byte{0x60, 0, 0, 1}, be16(len(payload)), []byte{byte(next), 64}, s[:], d[:], payload)
}

// udp, tcp and sctp are segments.
func udp(src, dst int, payload string) []byte {
	return cat(be16(src), be16(dst), be16(8+len(payload)), be16(0), []byte(payload))
}

func tcp(src, dst, flags int, options []byte, payload string) []byte {
	return cat(be16(src), be16(dst), be32(1), be32(2),
		[]byte{byte(5+len(options)/4) << 4, byte(flags)}, be16(512), be32(0), options, []byte(payload))
}

func sctp(src, dst int) []byte {
	return cat(be16(src), be16(dst), be32(7), be32(0), []byte{1, 0, 0, 20}, make([]byte, 16))
}

// extension is an IPv6 extension header of 8 bytes: hop-by-hop, routing or destination options.
func extension(next int, payload []byte) []byte {
	return cat([]byte{byte(next), 0, 1, 4, 0, 0, 0, 0}, payload)
}

// fragment6 is an IPv6 fragment header and what follows it.
func fragment6(next, offset int, payload []byte) []byte {
	return cat([]byte{byte(next), 0}, be16(offset<<3|1), be32(99), payload)
}

// arp is an ARP or RARP packet for IPv4.
func arp(op int, src, dst string) []byte {
	s, d := netip.MustParseAddr(src).As4(), netip.MustParseAddr(dst).As4()
	return cat(be16(1), be16(typeIP), []byte{6, 4}, be16(op), []byte{2, 0, 0, 0, 0, 1}, s[:],
		[]byte{2, 0, 0, 0, 0, 2}, d[:])
}

// networkPacket is a network layer with its Ethernet type.
type networkPacket struct {
	data []byte
	kind int
}

const (
	a4, b4, c4 = "10.0.0.1", "10.0.0.2", "192.168.1.10"
	a6, b6     = "2001:db8::1", "2001:db8::2"
)

// transports4 are IPv4 packets of all kinds that the filters tell apart.
func transports4() [][]byte {
	sip := "INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\n\r\n"
	rtp := "\x80\x08\x00\x01\x00\x00\x00\x01\x00\x00\x00\x02audio"
	options := []byte{0x94, 4, 0, 0, 1, 1, 1, 0}
	var out [][]byte
	for _, ports := range [][2]int{
		{5060, 5060},
		{5060, 5070},
		{5061, 5060},
		{40000, 5060},
		{5060, 40000},
		{16384, 16386},
		{53, 33000},
		{0, 65535},
		{123, 123},
		{69, 3000},
		{2905, 2905},
		{36412, 36412},
		{5065, 9},
		{80, 5060},
		{10000, 20000},
		{9999, 20001},
	} {
		out = append(out,
			ip4(a4, b4, ipUDP, 0, nil, udp(ports[0], ports[1], sip)),
			ip4(b4, a4, ipUDP, 0x4000, options, udp(ports[0], ports[1], rtp)),
			ip4(c4, a4, ipTCP, 0, nil, tcp(ports[0], ports[1], 0x18, nil, "GET / HTTP/1.1\r\n")),
			ip4(a4, c4, ipTCP, 0, options, tcp(ports[0], ports[1], 0x10, options, "GET ")),
			ip4(a4, c4, ipSCTP, 0, nil, sctp(ports[0], ports[1])))
	}
	for _, flags := range []int{0, 1, 2, 4, 8, 0x10, 0x11, 0x12, 0x14, 0x20, 0x40, 0x80, 0xc2, 0xff} {
		out = append(out, ip4(a4, b4, ipTCP, 0, nil, tcp(80, 5060, flags, nil, "")))
	}
	for _, frag := range []int{0x2000, 0x2001, 0x00b9, 0x1fff, 0x20b9, 0x8000} {
		out = append(out,
			ip4(a4, b4, ipUDP, frag, nil, udp(5060, 5060, sip)),
			ip4(a4, b4, ipTCP, frag, nil, tcp(5060, 5060, 2, nil, "x")),
			ip4(a4, b4, 1, frag, nil, []byte{8, 0, 0, 0, 0, 1, 0, 1}))
	}
	inner := ip4(b4, a4, ipUDP, 0, nil, udp(5060, 5060, ""))
	for _, icmp := range [][2]byte{{8, 0}, {0, 0}, {3, 3}, {3, 1}, {5, 0}, {11, 0}, {13, 0}} {
		out = append(out, ip4(a4, b4, 1, 0, nil, cat([]byte{icmp[0], icmp[1], 0, 0, 0, 0, 0, 0}, inner)))
	}
	for _, proto := range []int{0, 2, 4, 9, 41, 47, 50, 51, 88, 89, 103, 112, 115, 255} {
		out = append(out, ip4(c4, "224.0.0.5", proto, 0, nil, []byte("\x21\x16\x00\x00\x45\x00\x00\x00\x00\x00\x00\x00")))
	}
	for _, dst := range []string{"224.0.1.75", "239.1.2.3", "255.255.255.255", "127.0.0.1", "0.0.0.0", "172.16.3.4"} {
		out = append(out, ip4(c4, dst, ipUDP, 0, nil, udp(5060, 5353, "x")))
	}
	return out
}

// transports6 are IPv6 packets.
func transports6() [][]byte {
	u, t := udp(5060, 5060, "OPTIONS sip:a SIP/2.0\r\n"), tcp(5061, 40000, 0x12, nil, "x")
	out := [][]byte{
		ip6(a6, b6, ipUDP, u), ip6(b6, a6, ipTCP, t), ip6(a6, b6, ipSCTP, sctp(2905, 5060)),
		ip6(a6, b6, ipUDP, udp(20000, 10000, "\x80\x00")), ip6("::1", "::1", ipUDP, udp(53, 5070, "")),
		ip6("::ffff:10.0.0.1", a6, ipUDP, u), ip6("1:2:3:4:5:6:7:8", a6, ipTCP, t),
		ip6("1:2:3:4:5:6:1.2.3.4", "ff02::1", ipUDP, udp(546, 547, "")),
	}
	for _, next := range []int{ipHopByHop, ipRouting, ipDestOpts} {
		out = append(out,
			ip6(a6, b6, next, extension(ipUDP, u)), ip6(a6, b6, next, extension(ipTCP, t)),
			ip6(a6, b6, next, extension(ipFragment, fragment6(ipUDP, 0, u))),
			ip6(a6, b6, next, extension(ipFragment, fragment6(ipUDP, 100, u))))
	}
	for _, next := range []int{ipUDP, ipTCP, ipSCTP, ipICMP6, ipDestOpts} {
		out = append(out, ip6(a6, b6, ipFragment, fragment6(next, 0, u)), ip6(a6, b6, ipFragment, fragment6(next, 185, u)))
	}
	for _, kind := range []byte{1, 2, 3, 128, 129, 133, 134, 135, 136, 143} {
		out = append(out, ip6("fe80::1", "ff02::1", ipICMP6, []byte{kind, 0, 0, 0, 0, 0, 0, 0}))
	}
	for _, next := range []int{47, 50, 51, 59, 89, 103, 1, 2, 255} {
		out = append(out, ip6(a6, "ff05::2", next, u))
	}
	return out
}

// networks are all network layers.
func networks() []networkPacket {
	var out []networkPacket
	for _, p := range transports4() {
		out = append(out, networkPacket{p, typeIP})
	}
	for _, p := range transports6() {
		out = append(out, networkPacket{p, typeIP6})
	}
	for op := 1; op <= 4; op++ {
		out = append(out, networkPacket{arp(op, a4, b4), typeARP}, networkPacket{arp(op, b4, a4), typeARP},
			networkPacket{arp(op, c4, "0.0.0.0"), typeARP}, networkPacket{arp(op, a4, b4), typeRARP})
	}
	for _, kind := range []int{
		typeAppleTalk, typeAARP, typeDECnet, 0x6001, 0x6002, 0x6004, 0x6007, typeIPX, 0x88cc, 0x9000,
		typePPPoED, typeXNS, 1500, 1501, 1536,
	} {
		out = append(out, networkPacket{[]byte("\x11\x09\x00\x01\x00\x05\x00\x00\x00\x00\x00\x00 something"), kind})
	}
	return out
}

// ethernetFrames are the network layers in all the ways that Ethernet carries them.
func ethernetFrames() [][]byte {
	one, two, three := []byte{2, 0, 0, 0, 0, 1}, []byte{2, 0, 0, 0, 0, 2}, []byte{2, 0, 0, 0, 0, 3}
	all := []byte{255, 255, 255, 255, 255, 255}
	var out [][]byte
	for i, n := range networks() {
		head := cat([][]byte{two, one, all, {1, 0, 0x5e, 0, 0, 1}}[i%4], [][]byte{one, two, three}[i%3])
		tag := func(kind, id int) []byte { return cat(be16(kind), be16(0x6000|id)) }
		body := cat(be16(n.kind), n.data)
		out = append(out, cat(head, body), cat(head, tag(typeVLAN, []int{5, 100, 0, 4095}[i%4]), body))
		if n.kind != typeIP && n.kind != typeIP6 && i%3 != 0 {
			continue
		}
		label := func(label, bottom int) []byte { return be32(label<<12 | bottom<<8 | 64) }
		ppp := map[int]int{typeIP: 0x21, typeIP6: 0x57}[n.kind]
		session := cat(be16(typePPPoES), []byte{0x11, 0}, be16([]int{39, 1}[i%2]), be16(len(n.data)+2), be16(ppp), n.data)
		switch i % 5 {
		case 0:
			out = append(out, cat(head, tag(typeQinQ, 100), tag(typeVLAN, 5), body))
		case 1:
			out = append(out, cat(head, tag(typeQinQOld, 100), tag(typeVLAN, 5), tag(typeVLAN, 6), body))
		case 2:
			out = append(out, cat(head, be16(typeMPLS), label(100, 0), label(1024, 1), n.data))
		case 3:
			out = append(out, cat(head, be16(typeMPLS), label([]int{100, 1024, 0}[i%3], 1), n.data),
				cat(head, tag(typeVLAN, 5), be16(typeMPLS), label(100, 1), n.data))
		case 4:
			out = append(out, cat(head, session), cat(head, tag(typeVLAN, 5), session))
		}
	}
	for _, llc := range []string{
		"\x42\x42\x03\x00\x00", "\xfe\xfe\x03\x83\x01", "\xe0\xe0\x03\xff\xff", "\xff\xff\x00\x22\x00",
		"\xf0\xf0\x2c\x00\x00",
		"\xaa\xaa\x03\x00\x00\x00\x81\x37xx", "\xaa\xaa\x03\x08\x00\x07\x80\x9bxx", "\xaa\xaa\x03\x00\x00\x00\x80\xf3xx",
		"\xaa\xaa\x03\x00\x00\x00\x08\x00xx", "\x06\x06\x03\x45", "\xaa\xaa\x03\x00",
	} {
		out = append(out, cat([]byte{1, 0x80, 0xc2, 0, 0, 0}, one, be16(len(llc)), []byte(llc)))
		out = append(out, cat(two, one, be16(typeVLAN), be16(5), be16(len(llc)), []byte(llc)))
	}
	return out
}

// framesOf are the generated frames of a link type, and some of them cut at every length.
func framesOf(link capture.LinkType) []capture.Packet {
	var raw [][]byte
	if link == capture.LinkEthernet {
		raw = ethernetFrames()
	} else {
		for i, n := range networks() {
			if f := linkFrame(link, i, n); f != nil {
				raw = append(raw, f)
			}
		}
	}
	var out []capture.Packet
	for i, f := range raw {
		out = append(out, capture.Packet{Data: f, WireLen: uint32(len(f)), Link: link})
		if i%11 == 0 {
			for n := range min(len(f), 90) {
				out = append(out, capture.Packet{Data: f[:n], WireLen: uint32(len(f)), Link: link})
			}
		}
	}
	return out
}

// linkFrame puts a network layer into a frame of a link type other than Ethernet, or gives nil.
func linkFrame(link capture.LinkType, i int, n networkPacket) []byte {
	isIP := n.kind == typeIP || n.kind == typeIP6
	six := n.kind == typeIP6
	switch link {
	case capture.LinkSLL:
		return cat(be16(i%5), be16(1), be16(6), []byte{2, 0, 0, 0, 0, 1, 0, 0},
			be16([]int{n.kind, n.kind, 4, 1, n.kind}[i%5]), n.data)
	case capture.LinkSLL2:
		return cat(be16(n.kind), be16(0), be32(i%4), be16(1), []byte{byte(i % 5), 6, 2, 0, 0, 0, 0, 1, 0, 0}, n.data)
	case capture.LinkNull:
		family := []uint32{2, 2, 2}[i%3]
		if six {
			family = []uint32{24, 28, 30}[i%3]
		} else if !isIP {
			family = 7
		}
		return cat(binary.LittleEndian.AppendUint32(nil, family), n.data)
	case capture.LinkLoop:
		family := 2
		if six {
			family = []int{24, 28, 30}[i%3]
		} else if !isIP {
			family = 7
		}
		return cat(be32(family), n.data)
	case capture.LinkPPP:
		kind := int(pppType(uint32(n.kind)))
		if isIP && i%7 == 0 {
			return cat([]byte{0xff, 3}, be16(0x281), be32(100<<12|0x140), n.data)
		}
		return cat([]byte{0xff, 3}, be16(kind), n.data)
	default: // no header
	}
	if link == capture.LinkIPv4 && six || link == capture.LinkIPv6 && n.kind == typeIP || !isIP {
		return nil
	}
	return n.data
}
