//go:build !libpcap

package live

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"sipscope/capture"
)

const (
	tagLen  = 4  // of a VLAN tag: TPID and TCI
	sll2Len = 20 // of a cooked header
	macLen  = 12 // both addresses of an Ethernet header, which a tag follows
)

// layout is how the packets of a device are asked for and what becomes of them.
type layout struct {
	link   capture.LinkType
	cooked bool // the kernel takes the link layer off (SOCK_DGRAM)
}

// layoutOf tells it by the ARPHRD_ number of an interface. What is neither Ethernet nor bare IP gets the cooked header,
// which says of any packet what it is.
func layoutOf(hatype uint16) layout {
	switch hatype {
	case unix.ARPHRD_ETHER, unix.ARPHRD_LOOPBACK:
		return layout{link: capture.LinkEthernet}
	case unix.ARPHRD_NONE, unix.ARPHRD_RAWIP, unix.ARPHRD_PPP, unix.ARPHRD_TUNNEL, unix.ARPHRD_TUNNEL6,
		unix.ARPHRD_SIT, unix.ARPHRD_IPGRE, unix.ARPHRD_IP6GRE:
		return layout{link: capture.LinkRaw, cooked: true}
	}
	return layout{link: capture.LinkSLL2, cooked: true}
}

// socketType is the second argument of socket(2).
func (l layout) socketType() int {
	if l.cooked {
		return unix.SOCK_DGRAM
	}
	return unix.SOCK_RAW
}

// reserve is the room asked for before a packet beyond what the kernel leaves anyway.
func (l layout) reserve() int { return sll2Len + tagLen }

// looped tells a loopback packet on its way out: it is seen again on its way in.
func (r *record) looped() bool {
	return r.addr[addrPkttype] == unix.PACKET_OUTGOING &&
		binary.NativeEndian.Uint16(r.addr[addrHatype:]) == unix.ARPHRD_LOOPBACK
}

// frame gives a packet's bytes as a file of the link type has them, in place: the tag that the kernel took off is put
// back, the cooked header is written, both into the room before the packet. grown is how many bytes were added.
func (r *record) frame(link capture.LinkType) (data []byte, grown int) {
	at := len(r.room) - r.kept
	tagged := r.status&unix.TP_STATUS_VLAN_VALID != 0
	switch {
	case link == capture.LinkSLL2:
		protocol := binary.BigEndian.Uint16(r.addr[addrProtocol:])
		if tagged && r.hidesTag(protocol) {
			protocol = unix.ETH_P_8021Q
		}
		if tagged && at >= sll2Len+tagLen {
			at -= tagLen
			binary.BigEndian.PutUint16(r.room[at:], r.tci)
			binary.BigEndian.PutUint16(r.room[at+2:], protocol)
			protocol, grown = r.tagType(), tagLen
		}
		if at < sll2Len {
			return r.room[at:], grown
		}
		at -= sll2Len
		r.cook(r.room[at:at+sll2Len], protocol)
		grown += sll2Len
	case link == capture.LinkEthernet && tagged && at >= tagLen && r.kept >= macLen:
		at -= tagLen
		copy(r.room[at:at+macLen], r.room[at+tagLen:])
		binary.BigEndian.PutUint16(r.room[at+macLen:], r.tagType())
		binary.BigEndian.PutUint16(r.room[at+macLen+2:], r.tci)
		grown = tagLen
	}
	return r.room[at:], grown
}

// hidesTag tells a second tag on an incoming cooked packet: newer kernels give the protocol behind all tags (Linux
// 6.10, vlan_get_protocol_dgram), but take only the first tag off. The packet then begins with the rest of the second
// one, TCI and protocol, unless its length says that it is what the protocol says.
func (r *record) hidesTag(protocol uint16) bool {
	p := r.room[len(r.room)-r.kept:]
	if r.addr[addrPkttype] == unix.PACKET_OUTGOING || len(p) < tagLen || binary.BigEndian.Uint16(p[2:]) != protocol {
		return false
	}
	switch {
	case protocol == unix.ETH_P_IP && p[0]>>4 == 4:
		return uint32(protocol) != r.wire // which would be its total length
	case protocol == unix.ETH_P_IPV6 && p[0]>>4 == 6 && len(p) >= 6:
		return 40+uint32(binary.BigEndian.Uint16(p[4:])) != r.wire
	}
	return true
}

// tagType is the TPID of the tag that was taken off: 802.1Q where the kernel does not say.
func (r *record) tagType() uint16 {
	if r.status&unix.TP_STATUS_VLAN_TPID_VALID != 0 && r.tpid != 0 {
		return r.tpid
	}
	return unix.ETH_P_8021Q
}

// cook writes a LINUX_SLL2 header (https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL2.html):
//
//	0 protocol (2)    2 reserved (2)    4 interface (4)    8 ARPHRD (2)
//	10 packet type    11 address length    12 address (8)
//
// all in network byte order.
func (r *record) cook(h []byte, protocol uint16) {
	binary.BigEndian.PutUint16(h[0:], protocol)
	binary.BigEndian.PutUint16(h[2:], 0)
	binary.BigEndian.PutUint32(h[4:], binary.NativeEndian.Uint32(r.addr[addrIfindex:]))
	binary.BigEndian.PutUint16(h[8:], binary.NativeEndian.Uint16(r.addr[addrHatype:]))
	h[10] = r.addr[addrPkttype]
	h[11] = r.addr[addrHalen]
	copy(h[12:sll2Len], r.addr[addrAddr:])
}
