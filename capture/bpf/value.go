package bpf

import (
	"encoding/binary"
	"net/netip"
	"strings"
)

// gen of a valueNode.
func (n *valueNode) gen(g *generator, negated bool) *cond {
	switch n.q.addr { //nolint:exhaustive // addresses come after
	case addrPort, addrPortRange:
		return n.port(g, negated)
	case addrProto:
		return n.protocol(g)
	case addrUnset:
		return g.fail(n.value.pos, "a value without a qualifier such as \"host\" or \"port\"")
	}
	switch n.value.kind { //nolint:exhaustive // names come after
	case kEthernet:
		return n.ethernet(g)
	case kIPv6:
		return n.host6(g)
	case kIPv4, kNumber:
		return n.host(g)
	}
	if n.q.addr == addrNet {
		return g.fail(n.value.pos, "names of networks are not looked up; write the address")
	}
	return g.fail(n.value.pos, "names of hosts are not looked up; write the address, or \"port\" before a service")
}

// either tests a field of the source, the destination, or as the direction says.
func either(dir direction, field func(dst bool) *cond) *cond {
	switch dir {
	case dirSrc:
		return field(false)
	case dirDst:
		return field(true)
	case dirBoth:
		return and(field(false), field(true))
	default:
		return or(field(false), field(true))
	}
}

// ethernet tests MAC addresses, last four bytes first as tcpdump does.
func (n *valueNode) ethernet(g *generator) *cond {
	pos := n.value.pos
	if n.q.proto != protoLink || n.q.addr == addrNet {
		return g.fail(pos, "a MAC address needs \"ether host\", \"ether src\" or \"ether dst\"")
	}
	if g.kind != linkEthernet {
		return g.lacks(pos, "no MAC addresses to filter")
	}
	mac, _ := parseMAC(n.value.text)
	return either(n.q.dir, func(dst bool) *cond { return g.isMAC(mac, dst) })
}

// isMAC tests one of the two addresses of an Ethernet header.
func (g *generator) isMAC(mac [6]byte, dst bool) *cond {
	at := uint32(6)
	if dst {
		at = 0
	}
	return and(
		compare(g.load(g.header, at+2, sizeW), all, jeq, binary.BigEndian.Uint32(mac[2:])),
		compare(g.load(g.header, at, sizeH), all, jeq, uint32(binary.BigEndian.Uint16(mac[:]))))
}

// host tests IPv4 addresses, in ARP and RARP too when no protocol is asked for.
func (n *valueNode) host(g *generator) *cond {
	addr, mask, reason := n.ipv4()
	if reason != "" {
		return g.fail(n.value.pos, "%s", reason)
	}
	switch n.q.proto {
	case protoNone:
		c := g.isHost(addr, mask, n, typeIP, 12, 16)
		if g.labels > 0 {
			return c
		}
		return or(c, g.isHost(addr, mask, n, typeARP, 14, 24), g.isHost(addr, mask, n, typeRARP, 14, 24))
	case protoIP:
		return g.isHost(addr, mask, n, typeIP, 12, 16)
	case protoARP:
		return g.isHost(addr, mask, n, typeARP, 14, 24)
	case protoRARP:
		return g.isHost(addr, mask, n, typeRARP, 14, 24)
	case protoLink:
		return g.fail(n.value.pos, "expected a MAC address after \"ether\"")
	default:
		return g.fail(n.value.pos, "%q has no IPv4 addresses to test", n.q.proto.String())
	}
}

// isHost tests addresses in one protocol.
func (g *generator) isHost(addr, mask uint32, n *valueNode, v, src, dst uint32) *cond {
	return either(n.q.dir, func(second bool) *cond {
		at := src
		if second {
			at = dst
		}
		return and(g.isType(v, n.value.pos), compare(g.loadNetwork(at, sizeW), mask, jeq, addr))
	})
}

// ipv4 gives the address and the mask of a host or net. Addresses of fewer than four numbers are networks.
func (n *valueNode) ipv4() (addr, mask uint32, reason string) {
	if n.value.kind == kNumber {
		addr, mask = n.value.num, all
		for n.q.addr == addrNet && addr != 0 && addr>>24 == 0 {
			addr, mask = addr<<8, mask<<8
		}
		return addr, mask, ""
	}
	addr, mask, ok := dotted(n.value.text)
	if !ok {
		return 0, 0, "not an IPv4 address: each number is decimal and at most 255"
	}
	if !n.slashed && n.mask.kind == 0 {
		return addr, mask, ""
	}
	switch {
	case n.q.addr != addrNet:
		return 0, 0, "a mask needs \"net\" before the address"
	case !n.slashed:
		if mask, _, ok = dotted(n.mask.text); !ok {
			return 0, 0, "not a mask: each number is decimal and at most 255"
		}
	case n.prefix > 32:
		return 0, 0, "the length of an IPv4 prefix is at most 32"
	default:
		mask = prefixMask(n.prefix)
	}
	if addr&^mask != 0 {
		return 0, 0, "the address has bits outside the network"
	}
	return addr, mask, ""
}

// prefixMask is the mask of a prefix of at most 32 bits.
func prefixMask(bits uint32) uint32 { return ^(uint32(all) >> bits) }

// dotted reads one to four decimal numbers, and what part of an address they cover.
func dotted(s string) (addr, mask uint32, ok bool) {
	parts := strings.Split(s, ".")
	for _, p := range parts {
		v := uint32(0)
		for i := range len(p) {
			if p[i] < '0' || p[i] > '9' || v > 25 {
				return 0, 0, false
			}
			v = v*10 + uint32(p[i]-'0')
		}
		if v > 255 {
			return 0, 0, false
		}
		addr = addr<<8 | v
	}
	missing := 32 - 8*len(parts)
	return addr << missing, uint32(all) << missing, true
}

// host6 tests IPv6 addresses, four bytes at a time.
func (n *valueNode) host6(g *generator) *cond {
	pos := n.value.pos
	addr, err := netip.ParseAddr(n.value.text)
	bits := uint32(128)
	if n.slashed {
		bits = n.prefix
	}
	switch {
	case err != nil:
		return g.fail(pos, "not an IPv6 address")
	case n.q.proto != protoNone && n.q.proto != protoIP6:
		return g.fail(pos, "%q has no IPv6 addresses to test", n.q.proto.String())
	case bits > 128:
		return g.fail(pos, "the length of an IPv6 prefix is at most 128")
	case bits < 128 && n.q.addr != addrNet:
		return g.fail(pos, "a prefix needs \"net\" before the address")
	}
	raw := addr.As16()
	var words, masks [4]uint32
	for i := range words {
		words[i] = binary.BigEndian.Uint32(raw[4*i:])
		if rest := int(bits) - 32*i; rest > 0 {
			masks[i] = prefixMask(uint32(min(rest, 32)))
		}
		if words[i]&^masks[i] != 0 {
			return g.fail(pos, "the address has bits outside the network")
		}
	}
	return either(n.q.dir, func(dst bool) *cond {
		at := uint32(8)
		if dst {
			at = 24
		}
		c := g.isType(typeIP6, pos)
		for i := range words {
			c = and(c, compare(g.loadNetwork(at+4*uint32(i), sizeW), masks[i], jeq, words[i]))
		}
		return c
	})
}

// protocol tests a protocol number or name.
func (n *valueNode) protocol(g *generator) *cond {
	v, pos := n.value.num, n.value.pos
	switch n.value.kind {
	case kNumber, kName:
	default:
		return g.fail(pos, "expected a protocol number or name")
	}
	switch n.q.proto {
	case protoNone, protoIP, protoIP6:
		if n.value.kind == kName {
			var ok bool
			if v, ok = ipProtocols[n.value.text]; !ok {
				return g.fail(pos, "unknown IP protocol; a number is always understood")
			}
		}
		return g.ipProtocol(v, n.q.proto, pos)
	case protoLink:
		if n.value.kind == kName {
			var ok bool
			if v, ok = etherProtocol(n.value.text); !ok {
				return g.fail(pos, "unknown Ethernet protocol; a number such as 0x88cc is always understood")
			}
		}
		return g.isType(v, pos)
	default:
		return g.fail(pos, "%q carries no other protocol; use \"ip proto\", \"ip6 proto\" or \"ether proto\"",
			n.q.proto.String())
	}
}

// gen of a castNode.
func (n *castNode) gen(g *generator, _ bool) *cond {
	word := "broadcast"
	if n.multicast {
		word = "multicast"
	}
	switch {
	case n.proto == protoNone || n.proto == protoLink:
		if g.kind != linkEthernet {
			return g.lacks(n.pos, "no "+word+" addresses")
		}
		if n.multicast {
			return compare(g.load(g.header, 0, sizeB), all, jset, 1)
		}
		return g.isMAC([6]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, true)
	case n.proto == protoIP && n.multicast:
		return and(g.isType(typeIP, n.pos), compare(g.loadNetwork(16, sizeB), all, jge, 224))
	case n.proto == protoIP6 && n.multicast:
		return and(g.isType(typeIP6, n.pos), g.is(24, 255))
	case n.proto == protoIP:
		return g.fail(n.pos, "the netmask of the network is not known; write \"dst host\" and the broadcast address")
	}
	return g.fail(n.pos, "%q has no %s addresses", n.proto.String(), word)
}
