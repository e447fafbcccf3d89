package frame

import "encoding/binary"

// Flags of a GRE header (RFC 2784, RFC 2890, RFC 1701 for the routing bit, RFC 2637 for version 1).
const (
	greChecksum = 0x8000
	greRouting  = 0x4000
	greKey      = 0x2000
	greSequence = 0x1000
	greAck      = 0x0080 // version 1
	greVersion  = 0x0007
)

// Protocols over GRE that are no Ethernet types of a network layer.
const (
	greERSPAN    = 0x88be
	greERSPAN3   = 0x22eb
	grePPP       = 0x880b
	greWCCP      = 0x883e
	firstVSID    = 0x1000 // RFC 7637 3.2: those below are reserved
	erspan2Len   = 8
	erspan3Len   = 12
	erspanOption = 8 // the platform specific subheader
)

// gre reads a GRE header:
//
//	|C|R|K|S|s|Recur|A| Flags | Ver |    Protocol Type    |
//	|    Checksum (C or R)          |    Offset (C or R)  |
//	|    Key (K)                                          |
//	|    Sequence Number (S)                              |
//	|    Routing (R) ...                                  |
func (d *decoder) gre(b []byte, at int) Result {
	if len(b) < 4 {
		return d.short(IPHeader)
	}
	flags, proto := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	switch flags & greVersion {
	case 0:
	case 1:
		return d.pptp(b, at, flags)
	default:
		return d.payload(b, at, OtherIP)
	}
	size := 4
	if flags&(greChecksum|greRouting) != 0 {
		size += 4
	}
	key := size
	if flags&greKey != 0 {
		size += 4
	}
	if flags&greSequence != 0 {
		size += 4
	}
	if flags&greRouting != 0 {
		size = greRoutes(b, size)
	}
	if size > len(b) {
		return d.short(IPHeader)
	}
	l := Layer{Kind: LayerGRE}
	if flags&greKey != 0 {
		l.HasNum, l.Num = true, binary.BigEndian.Uint32(b[key:])
		if proto == etherBridged && flags&(greChecksum|greSequence) == 0 && l.Num>>8 >= firstVSID {
			l.Kind, l.Num = LayerNVGRE, l.Num>>8 // the low byte tells flows apart
		}
	}
	return d.overGRE(l, proto, flags, b[size:], at+size)
}

// greRoutes gives the size of a header whose source routes (RFC 1701) begin at size: entries of address family, offset
// and length, up to one without address family and length.
func greRoutes(b []byte, size int) int {
	for size+4 <= len(b) {
		family, n := binary.BigEndian.Uint16(b[size:]), int(b[size+3])
		size += 4 + n
		if family == 0 && n == 0 {
			return size
		}
	}
	return len(b) + 1 // it does not end
}

// overGRE reads what a GRE header announces.
func (d *decoder) overGRE(l Layer, proto, flags uint16, b []byte, at int) Result {
	if len(b) == 0 && d.missing == 0 {
		return d.payload(b, at, OtherIP) // a keep-alive
	}
	switch proto {
	case greERSPAN:
		return d.erspan(b, at, flags&greSequence != 0)
	case greERSPAN3:
		return d.erspan3(b, at)
	case greWCCP: // version 2 has a redirect header of four bytes before the packet
		if len(b) > 4 && b[0]>>4 != 4 {
			b, at = b[4:], at+4
		}
		return d.inside(l, etherIPv4, b, at)
	default:
		return d.inside(l, proto, b, at)
	}
}

// pptp reads the enhanced GRE header of PPTP (RFC 2637 4.1): the key is the payload's length and the call.
func (d *decoder) pptp(b []byte, at int, flags uint16) Result {
	if flags&greKey == 0 || binary.BigEndian.Uint16(b[2:]) != grePPP {
		return d.payload(b, at, OtherIP)
	}
	size := 8
	if flags&greSequence != 0 {
		size += 4
	}
	if flags&greAck != 0 {
		size += 4
	}
	if size > len(b) {
		return d.short(IPHeader)
	}
	l := Layer{Kind: LayerPPTP, HasNum: true, Num: uint32(binary.BigEndian.Uint16(b[6:]))}
	n := int(binary.BigEndian.Uint16(b[4:]))
	if n == 0 {
		return d.payload(b, at, OtherIP) // an acknowledgement alone
	}
	return d.inside(l, grePPP, d.bound(b[size:], n), at+size)
}

// erspan reads the header of a mirrored frame: type I has none, type II eight bytes and a GRE sequence number:
//
//	| Ver 4 | VLAN 12 | COS 3 | En 2 | T 1 | Session ID 10 |
//	| Reserved 12 | Index 20                               |
func (d *decoder) erspan(b []byte, at int, second bool) Result {
	if !second {
		return d.inside(Layer{Kind: LayerERSPAN}, etherBridged, b, at)
	}
	if len(b) < erspan2Len {
		return d.short(IPHeader)
	}
	session := uint32(binary.BigEndian.Uint16(b[2:]) & 0x3ff)
	return d.inside(Layer{Kind: LayerERSPAN, HasNum: true, Num: session}, etherBridged, b[erspan2Len:], at+erspan2Len)
}

// erspan3 reads the header of type III:
//
//	| Ver 4 | VLAN 12 | COS 3 | BSO 2 | T 1 | Session ID 10 |
//	| Timestamp 32                                          |
//	| SGT 16 | P 1 | FT 5 | Hw ID 6 | D 1 | Gra 2 | O 1     |
//
// O says that a platform specific subheader of eight bytes follows; FT 2 that an IP packet was mirrored, not a frame.
func (d *decoder) erspan3(b []byte, at int) Result {
	if len(b) < erspan3Len {
		return d.short(IPHeader)
	}
	session, last := binary.BigEndian.Uint16(b[2:])&0x3ff, binary.BigEndian.Uint16(b[10:])
	size := erspan3Len
	if last&1 != 0 {
		size += erspanOption
	}
	if size > len(b) {
		return d.short(IPHeader)
	}
	l := Layer{Kind: LayerERSPAN, HasNum: true, Num: uint32(session)}
	if last>>10&0x1f == 2 {
		return d.insideIP(l, b[size:], at+size)
	}
	return d.inside(l, etherBridged, b[size:], at+size)
}
