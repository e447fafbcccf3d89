package frame

import "encoding/binary"

// maxLabels bounds an MPLS label stack; real ones have up to five or six.
const maxLabels = 16

// mpls reads a label stack (RFC 3032 2.1), label 20, traffic class 3, bottom of stack 1, TTL 8, and what is below it.
// Nothing says what that is but its first nibble (RFC 4928 3): IPv4, IPv6, or a pseudo-wire, with a control word
// (RFC 4385 3) or without.
func (d *decoder) mpls(at int) Result {
	for n := 0; ; n++ {
		if len(d.data) < at+4 {
			return Truncated
		}
		if n == maxLabels {
			return d.malformed(TooManyLabels)
		}
		entry := binary.BigEndian.Uint32(d.data[at:])
		d.out.Path.push(Layer{Kind: LayerMPLS, HasNum: true, Num: entry >> 12})
		at += 4
		if entry&0x100 != 0 {
			break
		}
	}
	return d.belowLabels(d.data[at:], at)
}

// belowLabels reads what an MPLS label stack carries.
func (d *decoder) belowLabels(b []byte, at int) Result {
	word := len(b) > 4 && b[0]>>4 == 0 // there may be a control word
	switch {
	case d.plausibleIP(b):
		return d.ip(at)
	case word && d.certainIP(b[4:]): // a pseudo-wire of IP (RFC 4446 3.2: type 11)
		return d.insideIP(Layer{Kind: LayerPW}, b[4:], at+4)
	case word && d.plausibleEthernet(b[4:]):
		return d.inside(Layer{Kind: LayerPW}, etherBridged, b[4:], at+4)
	case d.plausibleEthernet(b):
		return d.inside(Layer{Kind: LayerPW}, etherBridged, b, at)
	case d.missing > 0 && len(b) < 40:
		return Truncated
	default:
		return NotIP
	}
}

// certainIP reports whether b begins with an IP packet where an Ethernet frame may begin as well: plausible, and its header
// has a right checksum or, as IPv6 has none, a next header that is in use, and is no frame.
func (d *decoder) certainIP(b []byte) bool {
	if !d.plausibleIP(b) {
		return false
	}
	if b[0]>>4 == 4 {
		head := int(b[0]&0xf) * 4
		return head <= len(b) && checksum(b[:head], 0) == 0
	}
	return known6(b[6]) && b[7] > 0 && !d.plausibleEthernet(b)
}
