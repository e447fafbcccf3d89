package frame

import "encoding/binary"

// Ethernet types.
const (
	etherIPv4    = 0x0800
	etherARP     = 0x0806
	etherBridged = 0x6558 // Transparent Ethernet Bridging: a frame in what has Ethernet types
	etherVLAN    = 0x8100
	etherIPv6    = 0x86dd
	etherMPLS    = 0x8847
	etherMPLSUp  = 0x8848 // with upstream-assigned labels (RFC 5332)
	etherPPPoE   = 0x8864
	etherQinQ    = 0x88a8
	etherPBB     = 0x88e7
	etherNSH     = 0x894f
	etherQinQOld = 0x9100
	etherQinQAlt = 0x9200
)

// maxLength is the largest value of the type field that is an IEEE 802.3 length.
const maxLength = 1500

// ethernet reads destination, source and type (Ethernet II) or length (IEEE 802.3).
func (d *decoder) ethernet(at int) Result {
	if len(d.data) < at+14 {
		return Truncated
	}
	return d.etherType(binary.BigEndian.Uint16(d.data[at+12:]), at+14)
}

// maxVLANs bounds the tags of a frame; real stacks have up to four.
const maxVLANs = 32

// etherType reads what follows an Ethernet type.
func (d *decoder) etherType(t uint16, at int) Result {
	switch {
	case t == etherIPv4:
		return d.ip4(at)
	case t == etherIPv6:
		return d.ip6(at)
	case t <= maxLength:
		return d.llc(at)
	default:
		return d.encloses(t, at)
	}
}

// vlan reads tags (IEEE 802.1Q, 802.1ad) up to another Ethernet type.
func (d *decoder) vlan(at int) Result {
	for {
		if len(d.data) < at+4 {
			return Truncated
		}
		if d.out.VLANs == maxVLANs {
			return d.malformed(TooManyVLANs)
		}
		id := binary.BigEndian.Uint16(d.data[at:]) & 0xfff
		if d.out.VLANs == 0 {
			d.out.VLAN = id
		}
		if id != 0 { // 0 is a priority and no VLAN
			d.out.Path.push(Layer{Kind: LayerVLAN, HasNum: true, Num: uint32(id)})
		}
		d.out.VLANs++
		t := binary.BigEndian.Uint16(d.data[at+2:])
		at += 4
		if t != etherVLAN && t != etherQinQ && t != etherQinQOld && t != etherQinQAlt {
			return d.etherType(t, at)
		}
	}
}

// encloses reads what follows the Ethernet type of something that carries further packets.
func (d *decoder) encloses(t uint16, at int) Result {
	switch t {
	case etherVLAN, etherQinQ, etherQinQOld, etherQinQAlt:
		return d.vlan(at)
	case etherPPPoE:
		return d.pppoe(at)
	case etherMPLS, etherMPLSUp:
		return d.mpls(at)
	case etherBridged:
		return d.ethernet(at)
	case grePPP:
		return d.ppp(at)
	case etherNSH:
		return d.nsh(at)
	case etherPBB: // flags and I-SID in four bytes, then the customer's frame
		if len(d.data) < at+4 {
			return Truncated
		}
		l := Layer{Kind: LayerPBB, HasNum: true, Num: binary.BigEndian.Uint32(d.data[at:]) & 0xffffff}
		return d.inside(l, etherBridged, d.data[at+4:], at+4)
	default:
		return NotIP
	}
}

// nsh reads a network service header (RFC 8300 2.2): length in words in the low six bits of the second byte, next protocol
// in the fourth, then the service path.
func (d *decoder) nsh(at int) Result {
	if len(d.data) < at+8 {
		return Truncated
	}
	b := d.data[at:]
	size := int(b[1]&0x3f) * 4
	if size < 8 {
		return NotIP
	}
	if size > len(b) {
		return Truncated
	}
	l := Layer{Kind: LayerNSH, HasNum: true, Num: binary.BigEndian.Uint32(b[4:]) >> 8}
	t, ok := nextProtocol(b[3])
	if !ok {
		return NotIP
	}
	return d.inside(l, t, b[size:], at+size)
}

// nextProtocol gives the Ethernet type for a next protocol of VXLAN-GPE and NSH (RFC 8300 6.2.5), which agree up to 5.
func nextProtocol(n byte) (t uint16, ok bool) {
	switch n {
	case 1:
		return etherIPv4, true
	case 2:
		return etherIPv6, true
	case 3:
		return etherBridged, true
	case 4:
		return etherNSH, true
	case 5:
		return etherMPLS, true
	default:
		return 0, false
	}
}

// llc reads an IEEE 802.2 header with SNAP, which may carry IP (RFC 1042).
func (d *decoder) llc(at int) Result {
	if len(d.data) < at+3 {
		return Truncated
	}
	if d.data[at] != 0xaa || d.data[at+1] != 0xaa || d.data[at+2] != 3 {
		return NotIP
	}
	if len(d.data) < at+8 {
		return Truncated
	}
	switch t := binary.BigEndian.Uint16(d.data[at+6:]); t {
	case etherIPv4, etherIPv6, etherVLAN, etherQinQ:
		return d.etherType(t, at+8)
	default:
		return NotIP
	}
}
