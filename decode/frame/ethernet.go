package frame

import "encoding/binary"

// Ethernet types.
const (
	etherIPv4    = 0x0800
	etherVLAN    = 0x8100
	etherIPv6    = 0x86dd
	etherPPPoE   = 0x8864
	etherQinQ    = 0x88a8
	etherQinQOld = 0x9100
	etherQinQAlt = 0x9200
)

// maxLength is the largest value of the type field that is an IEEE 802.3 length.
const maxLength = 1500

// ethernet reads destination, source and type (Ethernet II) or length (IEEE 802.3).
func (d *decoder) ethernet() Result {
	if len(d.data) < 14 {
		return Truncated
	}
	return d.etherType(binary.BigEndian.Uint16(d.data[12:]), 14)
}

// maxVLANs bounds the tags of a frame; real stacks have up to four.
const maxVLANs = 32

// etherType reads what follows an Ethernet type: VLAN tags (IEEE 802.1Q, 802.1ad), then the network layer.
func (d *decoder) etherType(t uint16, at int) Result {
	for t == etherVLAN || t == etherQinQ || t == etherQinQOld || t == etherQinQAlt {
		if len(d.data) < at+4 {
			return Truncated
		}
		if d.out.VLANs == maxVLANs {
			return d.malformed(TooManyVLANs)
		}
		if d.out.VLANs == 0 {
			d.out.VLAN = binary.BigEndian.Uint16(d.data[at:]) & 0xfff
		}
		d.out.VLANs++
		t = binary.BigEndian.Uint16(d.data[at+2:])
		at += 4
	}
	switch {
	case t == etherIPv4:
		return d.ip4(at)
	case t == etherIPv6:
		return d.ip6(at)
	case t == etherPPPoE:
		return d.pppoe(at)
	case t <= maxLength:
		return d.llc(at)
	default:
		return NotIP
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
