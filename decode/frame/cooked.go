package frame

import "encoding/binary"

// Linux's cooked headers, which stand for the link layer of the "any" device. The protocol is an Ethernet type, or a
// number below 1,536 for what is none: 4 is IEEE 802.2.
//
//	v1, 16 bytes: packet type 2 | ARPHRD type 2 | address length 2 | address 8 | protocol 2
//	v2, 20 bytes: protocol 2 | reserved 2 | interface 4 | ARPHRD type 2 | packet type 1 | address length 1 | address 8
const (
	cooked1Len = 16
	cooked2Len = 20
)

func (d *decoder) cooked1() Result {
	if len(d.data) < cooked1Len {
		return Truncated
	}
	return d.etherType(binary.BigEndian.Uint16(d.data[14:]), cooked1Len)
}

func (d *decoder) cooked2() Result {
	if len(d.data) < cooked2Len {
		return Truncated
	}
	return d.etherType(binary.BigEndian.Uint16(d.data), cooked2Len)
}
