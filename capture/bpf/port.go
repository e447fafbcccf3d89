package bpf

import "strings"

// maxPort is the highest port.
const maxPort = 65535

// port tests ports of TCP, UDP and SCTP. As in tcpdump, IPv4 fragments but the first have none, and in IPv6 the
// transport must follow the fixed header.
func (n *valueNode) port(g *generator, negated bool) *cond {
	lo, hi, transport, reason := n.ports()
	if reason != "" {
		return g.fail(n.value.pos, "%s", reason)
	}
	transports := []uint32{ipSCTP, ipTCP, ipUDP}
	if transport != 0 {
		transports = []uint32{transport}
	}
	pos := n.value.pos
	exact := n.q.addr == addrPort
	v6, v4 := yes(false), yes(false)
	for _, t := range transports {
		v6 = or(v6, and(g.is(6, t), either(n.q.dir, func(dst bool) *cond {
			return g.isPort(g.loadNetwork(40+portAt(dst), sizeH), lo, hi, exact)
		})))
		v4 = or(v4, and(g.is(9, t), not(g.laterFragment()), either(n.q.dir, func(dst bool) *cond {
			return g.isPort(g.loadTransport(portAt(dst), sizeH), lo, hi, exact)
		})))
	}
	// What was loaded for another protocol's ports is not loaded again, see blocks.go.
	c := or(and(g.isType(typeIP6, pos), v6), and(g.isType(typeIP, pos), v4))
	if g.fragments && !negated {
		c = or(c, g.fragmentOf(transports, pos))
	}
	return c
}

// portAt is the offset of a port in the transport header.
func portAt(dst bool) uint32 {
	if dst {
		return 2
	}
	return 0
}

// isPort tests the number that code loads.
func (g *generator) isPort(code []insn, lo, hi uint32, exact bool) *cond {
	if exact {
		return compare(code, all, jeq, lo)
	}
	return and(compare(code, all, jge, lo), not(compare(code, all, jgt, hi)))
}

// laterFragment tests for an IPv4 fragment with an offset.
func (g *generator) laterFragment() *cond {
	return compare(g.loadNetwork(6, sizeH), all, jset, 0x1fff)
}

// fragmentOf tests for fragments whose ports cannot be seen: IPv4 with an offset; IPv6 with a fragment header, first
// or after one extension header. Which transport an IPv6 fragment has is known when its header says so; behind
// destination options, which may belong to the part that is fragmented, it is not, and the packet is kept.
func (g *generator) fragmentOf(transports []uint32, pos int) *cond {
	v4, v6 := yes(false), g.is(40, ipDestOpts)
	for _, t := range transports {
		v4 = or(v4, g.is(9, t))
		v6 = or(v6, g.is(40, t))
	}
	first := and(g.is(6, ipFragment), v6)
	extension := or(g.is(6, ipHopByHop), g.is(6, ipRouting), g.is(6, ipDestOpts))
	second := and(extension, g.is(40, ipFragment))
	return or(
		and(g.isType(typeIP, pos), v4, g.laterFragment()),
		and(g.isType(typeIP6, pos), or(first, second)))
}

// ports gives the range, both ends included, and the transport, 0 for any that has ports.
func (n *valueNode) ports() (lo, hi, transport uint32, reason string) {
	if n.q.proto != protoNone && !n.q.proto.hasPorts() {
		return 0, 0, 0, "only tcp, udp and sctp have ports"
	}
	switch n.value.kind {
	case kNumber:
		lo, hi = n.value.num, n.value.num
	case kName:
		if lo, hi, transport, reason = n.named(); reason != "" {
			return 0, 0, 0, reason
		}
	default:
		return 0, 0, 0, "expected a port number or name"
	}
	if lo > maxPort || hi > maxPort {
		return 0, 0, 0, "a port is at most 65535"
	}
	if n.q.proto.hasPorts() {
		asked := protocols[n.q.proto].ip
		if transport != 0 && transport != asked {
			return 0, 0, 0, "this name is of a port of another transport"
		}
		transport = asked
	}
	return min(lo, hi), max(lo, hi), transport, ""
}

// named looks up names of ports, two of them or numbers in a range.
func (n *valueNode) named() (lo, hi, transport uint32, reason string) {
	text := n.value.text
	if n.q.addr == addrPort {
		port, t, ok := lookUp(text)
		if !ok {
			return 0, 0, 0, "unknown name of a port; a number is always understood, and for two \"portrange 5060-5070\""
		}
		return port, port, t, ""
	}
	first, second, _ := strings.Cut(text, "-")
	lo, t1, ok1 := lookUp(first)
	hi, t2, ok2 := lookUp(second)
	if !ok1 || !ok2 {
		return 0, 0, 0, "expected two ports joined by \"-\""
	}
	if t1 != t2 {
		t1 = 0
	}
	return lo, hi, t1, ""
}

// lookUp finds a port by name; in a range numbers are words, too, and always decimal.
func lookUp(s string) (port, transport uint32, ok bool) {
	if v, found := services[s]; found {
		return uint32(v.port), uint32(v.transport), true
	}
	if s == "" || len(s) > 5 {
		return 0, 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, 0, false
		}
		port = port*10 + uint32(s[i]-'0')
	}
	return port, 0, true
}
