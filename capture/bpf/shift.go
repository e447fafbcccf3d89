package bpf

// Where Linux keeps what it knows of a packet beside its bytes (linux/filter.h): offsets that no packet has.
const (
	ancillary    = 0xfffff000
	ancProtocol  = ancillary + 0
	ancPktType   = ancillary + 4
	ancIfIndex   = ancillary + 8
	ancHatType   = ancillary + 28
	ancVLANTag   = ancillary + 44
	ancVLANTaken = ancillary + 48 // 1 when the tag is in ancVLANTag and not in the frame
)

// outgoing is the packet type of what this machine sent (PACKET_OUTGOING), in cooked headers and in the kernel.
const outgoing = 4

// metadata tests what the kernel knows of a packet.
func metadata(k, mask, v uint32) *cond {
	return &cond{test: test{code: []insn{{Op: ldAbsW, K: k}}, mask: mask, jump: jeq, k: v}}
}

// gen of a directionNode.
func (n *directionNode) gen(g *generator, _ bool) *cond {
	if n.word == "ifindex" {
		switch {
		case g.kind == linkSLL2:
			return compare(g.load(g.header, 4, sizeW), all, jeq, n.index)
		case g.kernel:
			return metadata(ancIfIndex, all, n.index)
		}
		return g.lacks(n.pos, "no interface numbers in the frames")
	}
	var c *cond
	switch {
	case g.kind == linkSLL:
		c = compare(g.load(g.header, 0, sizeH), all, jeq, outgoing)
	case g.kind == linkSLL2:
		c = compare(g.load(g.header, 10, sizeB), all, jeq, outgoing)
	case g.kernel:
		c = metadata(ancPktType, all, outgoing)
	default:
		return g.lacks(n.pos, "no directions in the frames")
	}
	if n.word == "inbound" {
		return not(c)
	}
	return c
}

// gen of a shiftNode. What is tested after it, also after "or", is looked for behind the header that it names: so it
// is in tcpdump, and filters are written for it.
func (n *shiftNode) gen(g *generator, _ bool) *cond {
	switch n.word {
	case "vlan":
		return n.vlan(g)
	case "mpls":
		return n.mpls(g)
	case "pppoes":
		return n.pppoe(g)
	}
	return g.isType(typePPPoED, n.pos)
}

// vlan tests for a tag of IEEE 802.1Q or 802.1ad, and moves on by its 4 bytes.
func (n *shiftNode) vlan(g *generator) *cond {
	switch {
	case n.number > 0xfff:
		return g.fail(n.pos, "a VLAN number is at most 4095")
	case g.labels > 0:
		return g.fail(n.pos, "vlan cannot be tested after mpls")
	case g.kind != linkEthernet:
		return g.lacks(n.pos, "no VLAN tags to filter")
	}
	tagged := or(g.isType(typeVLAN, n.pos), g.isType(typeQinQ, n.pos), g.isType(typeQinQOld, n.pos))
	number := compare(g.loadNetwork(0, sizeH), 0xfff, jeq, n.number)
	if g.kernel && g.tags == 0 && g.outer == linkEthernet && g.header == (offset{}) {
		return n.vlanTaken(g, tagged, number)
	}
	g.payload.k += 4
	g.linkType.k += 4
	g.tags++
	if n.asked {
		return and(tagged, number)
	}
	return tagged
}

// vlanTaken is vlan for the outermost tag in the kernel, which has taken it off, or has not: the program finds out,
// and from here on adds to the offsets what it found.
func (n *shiftNode) vlanTaken(g *generator, tagged, number *cond) *cond {
	g.tags++
	g.usesVar = true
	g.payload.variable, g.linkType.variable = true, true
	taken := metadata(ancVLANTaken, all, 1)
	move := &cond{test: test{jump: jeq, mask: all, k: 4, keep: true, code: []insn{
		{Op: ldImm, K: 4}, {Op: st, K: cellTag},
	}}}
	if !n.asked {
		return or(taken, and(move, tagged))
	}
	return or(
		and(taken, metadata(ancVLANTag, 0xfff, n.number)),
		and(not(metadata(ancVLANTaken, all, 1)), move, tagged, number))
}

// mpls tests for a label, RFC 3032, and moves on by its 4 bytes.
func (n *shiftNode) mpls(g *generator) *cond {
	var c *cond
	switch {
	case n.number > 0xfffff:
		return g.fail(n.pos, "an MPLS label is at most 1048575")
	case g.labels > 0: // the label before must not be the last
		c = compare(g.load(g.payload, g.network-2, sizeB), 1, jeq, 0)
	case g.kind == linkEthernet:
		c = g.isType(typeMPLS, n.pos)
	case g.kind == linkPPP:
		c = g.isType(0x0281, n.pos)
	default:
		return g.lacks(n.pos, "no MPLS labels to filter")
	}
	if n.asked {
		c = and(c, compare(g.loadNetwork(0, sizeW), 0xfffff000, jeq, n.number<<12))
	}
	g.network += 4
	g.labels++
	return c
}

// pppoe tests for a session packet, RFC 2516, and moves into the PPP packet behind its 6 bytes of header.
func (n *shiftNode) pppoe(g *generator) *cond {
	if n.number > 0xffff {
		return g.fail(n.pos, "a PPPoE session is at most 65535")
	}
	c := g.isType(typePPPoES, n.pos)
	if n.asked {
		// Four bytes, of which the last two are the session: a frame cut before them is dropped, as in tcpdump.
		c = and(c, compare(g.loadNetwork(0, sizeW), 0xffff, jeq, n.number))
	}
	g.kind = linkPPP
	g.header = g.payload
	g.header.k += g.network + 6
	g.linkType = g.header
	g.typed = true
	g.payload.k = g.header.k + 2
	g.network = 0
	return c
}
