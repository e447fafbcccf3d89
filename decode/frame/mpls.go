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
	b := d.data[at:]
	switch {
	case d.plausibleIP(b):
		return d.ip(at)
	case len(b) > 4 && b[0]>>4 == 0 && d.plausibleEthernet(b[4:]):
		return d.inside(Layer{Kind: LayerPW}, etherBridged, b[4:], at+4)
	case d.plausibleEthernet(b):
		return d.inside(Layer{Kind: LayerPW}, etherBridged, b, at)
	case d.missing > 0 && len(b) < 40:
		return Truncated
	default:
		return NotIP
	}
}
