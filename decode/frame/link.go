package frame

import (
	"encoding/binary"

	"sipscope/capture"
)

// Numbers that DLT_RAW has on some systems; libpcap writes them into old files.
const (
	dltRawBSD     = 12
	dltRawOpenBSD = 14
)

// link reads the link layer; Ethernet is Decode's.
func (d *decoder) link(link capture.LinkType) Result {
	switch link {
	case capture.LinkSLL:
		return d.cooked1()
	case capture.LinkSLL2:
		return d.cooked2()
	case capture.LinkRaw, dltRawBSD, dltRawOpenBSD:
		return d.ip(0)
	case capture.LinkIPv4:
		return d.ip4(0)
	case capture.LinkIPv6:
		return d.ip6(0)
	case capture.LinkNull, capture.LinkLoop:
		return d.loopback()
	case capture.LinkPPP:
		return d.ppp(0)
	default:
		return d.malformed(LinkUnknown)
	}
}

// ip reads IPv4 or IPv6, told by the version nibble.
func (d *decoder) ip(at int) Result {
	if len(d.data) <= at {
		return Truncated
	}
	switch d.data[at] >> 4 {
	case 4:
		return d.ip4(at)
	case 6:
		return d.ip6(at)
	default:
		return d.malformed(IPVersion)
	}
}

// loopback reads BSD's header: an address family of four bytes in either byte order. AF_INET6 differs between systems
// (Linux 10, Windows 23, NetBSD and OpenBSD 24, FreeBSD 28, macOS 30), so the IP version has the last word.
func (d *decoder) loopback() Result {
	if len(d.data) < 4 {
		return Truncated
	}
	family := binary.LittleEndian.Uint32(d.data)
	if family > 0xffff {
		family = binary.BigEndian.Uint32(d.data)
	}
	switch family {
	case 2, 10, 23, 24, 28, 30:
		return d.ip(4)
	default:
		return NotIP
	}
}
