package frame

import "encoding/binary"

// MaxDepth is how many tunnels in each other are followed; the deepest that anybody has reported has five.
const MaxDepth = 16

// maxWork bounds the tunnels that one frame makes Decode look into, those included that turn out to be none: a datagram
// that can be read in several ways, in another one of the kind, must not cost the product.
const maxWork = 4 * MaxDepth

// enter notes that b, which begins at offset at, is what a tunnel between the addresses at hand carries. It reports
// false when that is too deep.
func (d *decoder) enter(l Layer, b []byte, at int) bool {
	o := d.out
	d.work++
	if o.Path.deep >= MaxDepth || d.work > maxWork {
		return false
	}
	o.Path.deep++
	o.Path.push(l)
	o.Path.ends(o)
	d.data = d.data[:at+len(b)]
	return true
}

// inside reads what a tunnel carries; t is an Ethernet type, or one of the kinds below.
func (d *decoder) inside(l Layer, t uint16, b []byte, at int) Result {
	if !d.enter(l, b, at) {
		return d.malformed(TunnelDepth)
	}
	return d.etherType(t, at)
}

// insideIP reads IPv4 or IPv6 in a tunnel.
func (d *decoder) insideIP(l Layer, b []byte, at int) Result {
	if !d.enter(l, b, at) {
		return d.malformed(TunnelDepth)
	}
	return d.ip(at)
}

// longer says whether an IP packet of total bytes cannot be: nothing in a tunnel is longer than what the tunnel carries.
// Only the outermost packet may be, when segmentation was left to the network card or the capture cut it.
func (d *decoder) longer(total, have int) bool {
	return total > have+d.missing && d.out.Path.deep > 0
}

// overIP reads the tunnels that have an IP protocol number.
func (d *decoder) overIP(b []byte, at int) Result {
	v4 := d.out.Src.V4
	switch d.out.Proto {
	case protoGRE:
		return d.gre(b, at)
	case protoIPIP, protoIPIPOld:
		kind := LayerIPIP
		if !v4 {
			kind = Layer4in6
		}
		return d.inside(Layer{Kind: kind}, etherIPv4, b, at)
	case protoIPv6:
		kind := Layer6in4
		if !v4 {
			kind = Layer6in6
		}
		return d.inside(Layer{Kind: kind}, etherIPv6, b, at)
	case protoESP:
		if r, is := d.esp(b, at); is {
			return r
		}
	case protoAH:
		return d.ah(b, at)
	case protoEtherIP:
		if len(b) >= 2 && b[0] == 0x30 && b[1] == 0 { // version 3, reserved (RFC 3378 3)
			return d.inside(Layer{Kind: LayerEtherIP}, etherBridged, b[2:], at+2)
		}
	case protoMPLS: // RFC 4023
		return d.inside(Layer{Kind: LayerGRE}, etherMPLS, b, at)
	}
	return d.payload(b, at, OtherIP)
}

// ah reads an authentication header over IPv4 (RFC 4302 2); over IPv6 it is one of the extension headers.
func (d *decoder) ah(b []byte, at int) Result {
	if len(b) < 8 {
		return d.short(IPHeader)
	}
	size := (int(b[1]) + 2) * 4
	if size > len(b) {
		return d.short(IPHeader)
	}
	if d.out.Proto = b[0]; b[0] == protoAH { // not twice: a chain of them would be a loop of its own
		return d.payload(b[size:], at+size, OtherIP)
	}
	return d.transport(b[size:], at+size)
}

// plausibleIP reports whether b may begin with an IP packet: its version, header length and total length fit.
func (d *decoder) plausibleIP(b []byte) bool {
	if len(b) < 20 {
		return false
	}
	switch b[0] >> 4 {
	case 4:
		head, total := int(b[0]&0xf)*4, int(binary.BigEndian.Uint16(b[2:]))
		return head >= 20 && total >= head && total <= len(b)+d.missing
	case 6:
		return len(b) >= 40 && 40+int(binary.BigEndian.Uint16(b[4:])) <= len(b)+d.missing
	default:
		return false
	}
}

// plausibleEthernet reports whether b may begin with an Ethernet frame: its type is one that is in use, and an IP packet
// in it is plausible.
func (d *decoder) plausibleEthernet(b []byte) bool {
	if len(b) < 14 {
		return false
	}
	switch t := binary.BigEndian.Uint16(b[12:]); t {
	case etherIPv4:
		return len(b) > 14 && b[14]>>4 == 4 && d.plausibleIP(b[14:])
	case etherIPv6:
		return len(b) > 14 && b[14]>>4 == 6 && d.plausibleIP(b[14:])
	case etherARP, etherVLAN, etherQinQ, etherPPPoE, etherMPLS, etherMPLSUp:
		return true
	default:
		return t >= 3 && t <= maxLength && int(t) <= len(b)-14+d.missing
	}
}

// checksum is the Internet checksum (RFC 1071) of b, with sum to begin with; 0 when b has its own and it is right.
func checksum(b []byte, sum uint64) uint16 {
	for len(b) >= 4 {
		sum += uint64(binary.BigEndian.Uint32(b))
		b = b[4:]
	}
	if len(b) >= 2 {
		sum += uint64(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		sum += uint64(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}
