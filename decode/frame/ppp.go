package frame

import "encoding/binary"

// PPP protocol numbers.
const (
	pppIPv4 = 0x0021
	pppIPv6 = 0x0057
	pppMPLS = 0x0281
)

// pppoe reads a session header (RFC 2516 4): version and type, code, session and length in six bytes, then PPP.
func (d *decoder) pppoe(at int) Result {
	if len(d.data) < at+8 {
		return Truncated
	}
	l := Layer{Kind: LayerPPPoE, HasNum: true, Num: uint32(binary.BigEndian.Uint16(d.data[at+2:]))}
	return d.inside(l, grePPP, d.data[at+6:], at+6)
}

// ppp reads a PPP header with or without HDLC's address and control bytes (RFC 1662 3.1).
func (d *decoder) ppp(at int) Result {
	if len(d.data) >= at+2 && d.data[at] == 0xff && d.data[at+1] == 3 {
		at += 2
	}
	if len(d.data) < at+2 {
		return Truncated
	}
	proto, size := uint16(d.data[at]), 1
	if proto&1 == 0 { // an odd first byte is the whole, compressed number (RFC 1661 6.5)
		proto, size = proto<<8|uint16(d.data[at+1]), 2
	}
	switch proto {
	case pppIPv4:
		return d.ip4(at + size)
	case pppIPv6:
		return d.ip6(at + size)
	case pppMPLS:
		return d.mpls(at + size)
	default:
		return NotIP
	}
}
