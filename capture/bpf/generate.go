package bpf

import (
	"fmt"

	"sipscope/capture"
)

// all is the mask that changes nothing.
const all = 0xffffffff

// linkKind is a link type as the generator knows it.
type linkKind uint8

const (
	linkUnknown linkKind = iota
	linkEthernet
	linkSLL
	linkSLL2
	linkRaw
	linkIPv4
	linkIPv6
	linkNull
	linkLoop
	linkPPP
	linkKinds
)

// linkBSDRaw is how some systems write LinkRaw.
const linkBSDRaw capture.LinkType = 12

// kindOf maps a link type, or gives linkUnknown.
func kindOf(link capture.LinkType) linkKind {
	switch link {
	case capture.LinkEthernet:
		return linkEthernet
	case capture.LinkSLL:
		return linkSLL
	case capture.LinkSLL2:
		return linkSLL2
	case capture.LinkRaw, linkBSDRaw:
		return linkRaw
	case capture.LinkIPv4:
		return linkIPv4
	case capture.LinkIPv6:
		return linkIPv6
	case capture.LinkNull:
		return linkNull
	case capture.LinkLoop:
		return linkLoop
	case capture.LinkPPP:
		return linkPPP
	}
	return linkUnknown
}

// String names the link type in errors.
func (k linkKind) String() string {
	return [...]string{
		"this link type", "Ethernet", "Linux cooked v1", "Linux cooked v2", "raw IP", "raw IPv4", "raw IPv6",
		"BSD loopback", "OpenBSD loopback", "PPP",
	}[k]
}

// cooked is for what the kernel gives without a link header.
func (k linkKind) cooked() bool { return k == linkSLL || k == linkSLL2 }

// offset is a place in a packet. A variable one is so many bytes behind what cellTag holds.
type offset struct {
	k        uint32
	variable bool
}

// cellTag is the cell of the machine's memory that holds the length of a VLAN tag which is in the frame, or 0 when the
// kernel has taken it off. Arithmetic takes the cells below.
const cellTag = 15

// generator makes conditions for one link type. The offsets are those of the part of the expression at hand.
type generator struct {
	kind      linkKind // of the innermost link header: PPP after pppoes
	outer     linkKind
	kernel    bool
	fragments bool
	err       error // the first

	header   offset // the link header
	linkType offset // its type field
	typed    bool   // it has one
	payload  offset
	network  uint32 // offset of the network header in the payload, without LLC: 4 bytes an MPLS label
	labels   int    // MPLS labels passed
	tags     int    // VLAN tags passed
	beyond   bool   // the relation at hand asks for bytes that no packet has
	usesVar  bool   // cellTag needs to be zero at the beginning
}

// newGenerator begins at the outermost header.
func newGenerator(kind linkKind, kernel, fragments bool) *generator {
	g := &generator{kind: kind, outer: kind, kernel: kernel, fragments: fragments}
	switch kind {
	case linkEthernet:
		g.linkType.k, g.payload.k, g.typed = 12, 14, true
	case linkSLL:
		g.linkType.k, g.payload.k, g.typed = 14, 16, true
	case linkSLL2:
		g.linkType.k, g.payload.k, g.typed = 0, 20, true
	case linkNull, linkLoop:
		g.linkType.k, g.payload.k, g.typed = 0, 4, true
	case linkPPP:
		g.linkType.k, g.payload.k, g.typed = 2, 4, true
	default: // no header
	}
	return g
}

// fail notes the first error and gives a condition to go on with.
func (g *generator) fail(pos int, format string, args ...any) *cond {
	if g.err == nil {
		g.err = &genError{offset: pos, reason: fmt.Sprintf(format, args...)}
	}
	return yes(false)
}

// lacks is fail for what another link type may have.
func (g *generator) lacks(pos int, what string) *cond {
	if g.err == nil {
		g.err = &genError{offset: pos, reason: fmt.Sprintf("%s on %s", what, g.kind), link: true}
	}
	return yes(false)
}

// Sizes of loads in bytes, as code for an absolute load.
const (
	sizeB = ldAbsB
	sizeH = ldAbsH
	sizeW = ldAbsW
)

// indirect turns the code of an absolute load into that of one relative to X.
func indirect(size uint16) uint16 { return size + ldIndW - ldAbsW }

// load loads bytes at a distance from an offset.
func (g *generator) load(at offset, distance uint32, size uint16) []insn {
	k := at.k + distance
	if !at.variable {
		return []insn{{Op: size, K: k}}
	}
	g.usesVar = true
	return []insn{{Op: ldxMem, K: cellTag}, {Op: indirect(size), K: k}}
}

// loadNetwork loads bytes of the network header.
func (g *generator) loadNetwork(distance uint32, size uint16) []insn {
	return g.load(g.payload, g.network+distance, size)
}

// headerLength leaves the length of the IPv4 header in X, with what cellTag adds to the payload's offset.
func (g *generator) headerLength() []insn {
	k := g.payload.k + g.network
	if !g.payload.variable {
		return []insn{{Op: ldxMSH, K: k}}
	}
	g.usesVar = true
	return []insn{
		{Op: ldxMem, K: cellTag},
		{Op: ldIndB, K: k},
		{Op: aluAnd, K: 15},
		{Op: aluLsh, K: 2},
		{Op: aluAdd | srcX},
		{Op: tax},
	}
}

// loadTransport loads bytes of the header after that of IPv4.
func (g *generator) loadTransport(distance uint32, size uint16) []insn {
	return append(g.headerLength(), insn{Op: indirect(size), K: g.payload.k + g.network + distance})
}

// is tests a byte of the network header.
func (g *generator) is(distance, v uint32) *cond {
	return compare(g.loadNetwork(distance, sizeB), all, jeq, v)
}

// gen of a logicNode.
func (n *logicNode) gen(g *generator, negated bool) *cond {
	left := n.left.gen(g, negated) // before right: it may move the offsets
	right := n.right.gen(g, negated)
	if n.and {
		return and(left, right)
	}
	return or(left, right)
}

// gen of a notNode.
func (n *notNode) gen(g *generator, negated bool) *cond { return not(n.x.gen(g, !negated)) }

// gen of a protoNode.
func (n *protoNode) gen(g *generator, _ bool) *cond { return g.protocol(n.proto, n.pos) }

// protocol tests for a protocol by its name.
func (g *generator) protocol(p protocol, pos int) *cond {
	m := &protocols[p]
	switch {
	case p == protoLink:
		return g.fail(pos, "expected \"host\", \"proto\", \"multicast\" or an offset in brackets after %q", m.word)
	case m.link != 0:
		return g.isType(m.link, pos)
	}
	return g.ipProtocol(m.ip, m.scope, pos)
}

// ipProtocol tests the protocol number of IPv4, IPv6 or both. In IPv6 it may also stand in a fragment header that
// comes first; other extension headers are not passed.
func (g *generator) ipProtocol(v uint32, scope protocol, pos int) *cond {
	switch scope {
	case protoIP:
		return and(g.isType(typeIP, pos), g.is(9, v))
	case protoIP6:
		fragment := and(g.is(6, ipFragment), g.is(40, v))
		return and(g.isType(typeIP6, pos), or(g.is(6, v), fragment))
	default:
		return or(g.ipProtocol(v, protoIP, pos), g.ipProtocol(v, protoIP6, pos))
	}
}

// isType tests what a link header says of its payload: an Ethernet type, or an LLC service access point up to
// maxLength.
func (g *generator) isType(v uint32, pos int) *cond {
	if g.labels > 0 {
		return g.isLabelled(v, pos)
	}
	switch g.kind {
	case linkEthernet:
		return g.isEtherType(v)
	case linkSLL:
		return g.isCookedType(v)
	case linkRaw:
		switch v {
		case typeIP:
			return compare(g.load(g.header, 0, sizeB), 0xf0, jeq, 0x40)
		case typeIP6:
			return compare(g.load(g.header, 0, sizeB), 0xf0, jeq, 0x60)
		}
		return yes(false)
	case linkIPv4:
		return yes(v == typeIP)
	case linkIPv6:
		return yes(v == typeIP6)
	case linkNull, linkLoop:
		return g.isFamily(v)
	case linkPPP:
		v = pppType(v)
	default: // an Ethernet type
	}
	return compare(g.load(g.linkType, 0, sizeH), all, jeq, v)
}

// isLabelled is isType after MPLS labels, which do not say what follows them: it is the bottom of the stack, and the
// version of the IP header tells.
func (g *generator) isLabelled(v uint32, pos int) *cond {
	version := uint32(0x40)
	switch v {
	case typeIP:
	case typeIP6:
		version = 0x60
	default:
		return g.fail(pos, "after mpls only IPv4 and IPv6 can be told")
	}
	bottom := compare(g.load(g.payload, g.network-2, sizeB), 1, jeq, 1)
	return and(bottom, compare(g.loadNetwork(0, sizeB), 0xf0, jeq, version))
}

// isEtherType is isType for Ethernet, where a number up to maxLength is the length of an LLC frame.
func (g *generator) isEtherType(v uint32) *cond {
	field := func(jump uint16, k uint32) *cond { return compare(g.load(g.linkType, 0, sizeH), all, jump, k) }
	llc := not(field(jgt, maxLength))
	switch {
	case v == sapISO || v == sapIP || v == sapNetBEUI:
		return and(llc, compare(g.load(g.payload, 0, sizeH), all, jeq, v<<8|v))
	case v == sapIPX:
		sap := compare(g.load(g.payload, 0, sizeB), all, jeq, v)
		bare := compare(g.load(g.payload, 0, sizeH), all, jeq, 0xffff)
		return or(field(jeq, typeIPX), and(llc, or(g.snap(0, typeIPX), sap, bare)))
	case v == typeAppleTalk:
		return or(field(jeq, v), and(llc, g.snap(0x080007, v)))
	case v == typeAARP:
		return or(field(jeq, v), and(llc, g.snap(0, v)))
	case v <= maxLength:
		return and(llc, compare(g.load(g.linkType, 2, sizeB), all, jeq, v))
	}
	return field(jeq, v)
}

// What Linux writes into the type field of a cooked header for frames without an Ethernet type.
const (
	sllRaw8023 = 1
	sllLLC     = 4
)

// isCookedType is isType for Linux cooked v1.
func (g *generator) isCookedType(v uint32) *cond {
	field := func(k uint32) *cond { return compare(g.load(g.linkType, 0, sizeH), all, jeq, k) }
	switch {
	case v == sapISO || v == sapIP || v == sapNetBEUI:
		return and(field(sllLLC), compare(g.load(g.payload, 0, sizeH), all, jeq, v<<8|v))
	case v == sapIPX:
		sap := compare(g.load(g.payload, 0, sizeB), all, jeq, v)
		return or(field(typeIPX), field(sllRaw8023), and(field(sllLLC), or(sap, g.snap(0, typeIPX))))
	case v == typeAppleTalk:
		return or(field(v), and(field(sllLLC), g.snap(0x080007, v)))
	case v == typeAARP:
		return or(field(v), and(field(sllLLC), g.snap(0, v)))
	case v <= maxLength:
		return and(field(sllLLC), compare(g.load(g.payload, 0, sizeB), all, jeq, v))
	}
	return field(v)
}

// snap tests for a SNAP header: service access points, control field, organisation and type.
func (g *generator) snap(organisation, v uint32) *cond {
	high := compare(g.load(g.payload, 0, sizeW), all, jeq, 0xaaaa0300|organisation>>16)
	low := compare(g.load(g.payload, 4, sizeW), all, jeq, organisation<<16|v)
	return and(low, high)
}

// isFamily is isType for the loopback headers of the BSDs. IPv6 has another number in each of them, and LinkNull has
// the byte order of the machine that wrote it, which a packet does not tell.
func (g *generator) isFamily(v uint32) *cond {
	var families []uint32
	switch v {
	case typeIP:
		families = []uint32{2}
	case typeIP6:
		families = []uint32{24, 28, 30}
	default:
		return yes(false)
	}
	c := yes(false)
	for _, f := range families {
		if g.kind == linkNull {
			c = or(c, compare(g.load(g.header, 0, sizeW), all, jeq, f<<24))
		}
		c = or(c, compare(g.load(g.header, 0, sizeW), all, jeq, f))
	}
	return c
}

// pppType is the PPP protocol (IANA) for an Ethernet type; what has none stays as it is.
func pppType(v uint32) uint32 {
	switch v {
	case typeIP:
		return 0x21
	case typeIP6:
		return 0x57
	case typeDECnet:
		return 0x27
	case typeAppleTalk:
		return 0x29
	case typeXNS:
		return 0x25
	case sapISO:
		return 0x23
	case sapSTP:
		return 0x31
	case sapIPX:
		return 0x2b
	}
	return v
}
