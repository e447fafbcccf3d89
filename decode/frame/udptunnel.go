package frame

import "encoding/binary"

// Ports of tunnels over UDP.
const (
	portL2TP     = 1701
	portGTP      = 2152
	portESP      = 4500
	portVXLAN    = 4789
	portGPE      = 4790
	portGeneve   = 6081
	portMPLS     = 6635
	portVXLANOld = 8472 // Linux's default
	portTZSP     = 37008
)

const vxlanLen = 8

// mayCarry is a quick look at the first byte of a datagram: what tunnels have there is below "@", with the exception of
// VXLAN with a group policy, of L2TP, and of ESP and MPLS, where it may be anything. SIP and RTP never pass.
func mayCarry(first byte, src, dst uint16) bool {
	return first < 0x40 || first == 0x88 || dst == portESP || src == portESP || dst == portMPLS || dst == portL2TP
}

// udpTunnel reads the tunnel in a datagram's payload b. Content decides: what lies in a tunnel must be a packet, down to
// its transport's header. It reports whether it is one; if not, nothing has changed.
func (d *decoder) udpTunnel(b []byte, at int) (r Result, is bool) {
	if printable(b) {
		return 0, false
	}
	packet, data, missing := *d.out, d.data, d.missing
	r, is = d.carried(b, at)
	switch {
	case !is:
	case r == Malformed:
		is = d.out.Reason == TunnelDepth
	case r == Truncated:
		is = missing > 0
	case r == NotIP:
		is = false
	}
	if !is {
		*d.out, d.data, d.missing = packet, data, missing
	}
	return r, is
}

// printable reports whether the first eight bytes are text. No tunnel's header is; a SIP message on its port is.
func printable(b []byte) bool {
	for _, c := range b[:min(8, len(b))] {
		if c != '\r' && c != '\n' && c != '\t' && (c < ' ' || c > '~') {
			return false
		}
	}
	return true
}

// carried reads the tunnel that the port names, or the one that any port may have.
func (d *decoder) carried(b []byte, at int) (r Result, is bool) {
	o := d.out
	switch o.Dst.Port {
	case portVXLAN, portVXLANOld:
		return d.vxlan(b, at)
	case portGPE:
		return d.gpe(b, at)
	case portGeneve:
		return d.geneve(b, at)
	case portGTP:
		return d.gtp(b, at)
	case portTZSP:
		return d.tzsp(b, at)
	case portMPLS: // RFC 7510
		if !d.enter(Layer{Kind: LayerGRE}, b, at) {
			return d.malformed(TunnelDepth), true
		}
		return d.mpls(at), true
	case portL2TP:
		return d.l2tp(b, at)
	}
	if o.Src.Port == portESP || o.Dst.Port == portESP {
		return d.esp(b, at)
	}
	if d.looksLikeVXLAN(b) {
		return d.vxlan(b, at)
	}
	return 0, false
}

// looksLikeVXLAN reports whether a datagram on any port is VXLAN: the flag byte and the reserved ones are as they must
// be, and so is the checksum, or for IPv6 the length, of an IP packet in an Ethernet frame.
func (d *decoder) looksLikeVXLAN(b []byte) bool {
	const network = vxlanLen + 14
	if len(b) < network+20 || binary.BigEndian.Uint32(b) != 0x08000000 || b[7] != 0 || !d.plausibleEthernet(b[vxlanLen:]) {
		return false
	}
	ip := b[network:]
	switch binary.BigEndian.Uint16(b[network-2:]) {
	case etherIPv4:
		head := int(ip[0]&0xf) * 4
		return head <= len(ip) && checksum(ip[:head], 0) == 0
	case etherIPv6:
		return 40+int(binary.BigEndian.Uint16(ip[4:])) == len(ip)+d.missing
	default:
		return false
	}
}

// vxlan reads a VXLAN header (RFC 7348 5): flags, of which I must be set, reserved, network, reserved. With the group
// policy extension the reserved bytes hold a group.
func (d *decoder) vxlan(b []byte, at int) (r Result, is bool) {
	if len(b) < vxlanLen+14 || b[0]&0x08 == 0 {
		return 0, false
	}
	if b[0]&0x04 != 0 {
		return d.gpe(b, at)
	}
	l := Layer{Kind: LayerVXLAN, HasNum: true, Num: binary.BigEndian.Uint32(b[4:]) >> 8}
	return d.inside(l, etherBridged, b[vxlanLen:], at+vxlanLen), true
}

// gpe reads a VXLAN-GPE header (draft-ietf-nvo3-vxlan-gpe 3): flags, of which I and, for a next protocol in the fourth
// byte, P must be set.
func (d *decoder) gpe(b []byte, at int) (r Result, is bool) {
	if len(b) <= vxlanLen || b[0]&0x08 == 0 {
		return 0, false
	}
	t, ok := uint16(etherBridged), true
	if b[0]&0x04 != 0 {
		t, ok = nextProtocol(b[3])
	}
	if !ok {
		return 0, false
	}
	l := Layer{Kind: LayerVXLAN, HasNum: true, Num: binary.BigEndian.Uint32(b[4:]) >> 8}
	return d.inside(l, t, b[vxlanLen:], at+vxlanLen), true
}

// geneve reads a Geneve header (RFC 8926 3.4): version 2 bits, length of the options in words 6, flags O and C, an
// Ethernet type, network 24, reserved 8. Options are passed over as a whole, whatever lengths they state.
func (d *decoder) geneve(b []byte, at int) (r Result, is bool) {
	if len(b) < 8 || b[0]>>6 != 0 || b[1]&0x3f != 0 {
		return 0, false
	}
	size := 8 + int(b[0]&0x3f)*4
	if size > len(b) {
		return 0, false
	}
	t := binary.BigEndian.Uint16(b[2:])
	if t <= maxLength {
		return 0, false
	}
	l := Layer{Kind: LayerGeneve, HasNum: true, Num: binary.BigEndian.Uint32(b[4:]) >> 8}
	return d.inside(l, t, b[size:], at+size), true
}

// gtp reads a GTP-U header of a G-PDU (3GPP TS 29.281 5.1):
//
//	| Version 3 = 1 | PT 1 = 1 | * | E | S | PN |  Message Type 8 = 255  |  Length 16  |
//	| TEID 32                                                                          |
//	| Sequence Number 16 | N-PDU Number 8 | Next Extension Header Type 8               |  (any of E, S, PN)
//
// Length counts from the third line on. An extension header begins with its length in words and ends with the type of the
// next one.
func (d *decoder) gtp(b []byte, at int) (r Result, is bool) {
	const gpdu = 0xff
	if len(b) < 8 || b[0]>>4 != 3 || b[1] != gpdu {
		return 0, false
	}
	l := Layer{Kind: LayerGTP, HasNum: true, Num: binary.BigEndian.Uint32(b[4:])}
	size := int(binary.BigEndian.Uint16(b[2:]))
	if size == 0 || size > len(b)-8+d.missing {
		return 0, false
	}
	flags := b[0]
	b, at = d.bound(b[8:], size), at+8
	n, ok := gtpOptions(flags, b)
	if !ok {
		return 0, false
	}
	b, at = b[n:], at+n
	switch {
	case d.plausibleIP(b):
		return d.insideIP(l, b, at), true
	case d.plausibleEthernet(b): // a PDU session of type Ethernet
		return d.inside(l, etherBridged, b, at), true
	case d.missing > 0 && len(b) < 40:
		return Truncated, true
	default:
		return 0, false
	}
}

// gtpOptions gives the size of what stands between the first two lines and the packet.
func gtpOptions(flags byte, b []byte) (size int, ok bool) {
	const optional, extended = 7, 4
	if flags&optional == 0 {
		return 0, true
	}
	if len(b) < 4 {
		return 0, false
	}
	next := b[3]
	size = 4
	for flags&extended != 0 && next != 0 {
		if len(b)-size < 4 {
			return 0, false
		}
		n := int(b[size]) * 4
		if n == 0 || n > len(b)-size {
			return 0, false
		}
		size += n
		next = b[size-1]
	}
	return size, true
}

// tzsp reads a TZSP header: version 1, type, protocol 16 (1 is Ethernet), then tags. Tag 0 is padding and tag 1 the end;
// any other has a length and that many bytes.
func (d *decoder) tzsp(b []byte, at int) (r Result, is bool) {
	const received, transmit = 0, 1
	if len(b) < 5 || b[0] != 1 || b[1] > transmit && b[1] != received || binary.BigEndian.Uint16(b[2:]) != 1 {
		return 0, false
	}
	for i := 4; i < len(b); {
		switch b[i] {
		case 0:
			i++
		case 1:
			return d.inside(Layer{Kind: LayerTZSP}, etherBridged, b[i+1:], at+i+1), true
		default:
			if i+1 >= len(b) {
				return 0, false
			}
			i += 2 + int(b[i+1])
		}
	}
	return 0, false
}

// l2tp reads the header of an L2TP data message (RFC 2661 3.1): flags T (0 for data), L, S, O and version 2, then length
// (L), tunnel, session, sequence numbers (S) and an offset (O). PPP follows.
func (d *decoder) l2tp(b []byte, at int) (r Result, is bool) {
	const control, length, sequence, offset = 0x8000, 0x4000, 0x0800, 0x0200
	if len(b) < 6 {
		return 0, false
	}
	flags := binary.BigEndian.Uint16(b)
	if flags&control != 0 || flags&0xf != 2 || flags&0x34f0 != 0 { // reserved bits must be 0
		return 0, false
	}
	if flags&length != 0 {
		n := int(binary.BigEndian.Uint16(b[2:]))
		if n < 8 || n > len(b)+d.missing {
			return 0, false
		}
		b = d.bound(b, n)
	}
	size := 2
	if flags&length != 0 {
		size += 2
	}
	if len(b) < size+4 {
		return 0, false
	}
	l := Layer{Kind: LayerL2TP, HasNum: true, Num: binary.BigEndian.Uint32(b[size:])}
	size += 4
	if flags&sequence != 0 {
		size += 4
	}
	if flags&offset != 0 {
		if len(b) < size+2 {
			return 0, false
		}
		size += 2 + int(binary.BigEndian.Uint16(b[size:]))
	}
	if size >= len(b) {
		return 0, false
	}
	return d.inside(l, grePPP, b[size:], at+size), true
}
