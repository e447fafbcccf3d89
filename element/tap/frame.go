package tap

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// Header sizes in bytes.
const (
	ipv4Head = 20 // RFC 791 3.1, no options
	ipv6Head = 40 // RFC 8200 3
	udpHead  = 8  // RFC 768
	tcpHead  = 20 // RFC 9293 3.1, no options
	maxTotal = 65535
)

// IP protocol numbers.
const (
	protoTCP = 6
	protoUDP = 17
)

// hopLimit is the TTL or hop limit of all frames.
const hopLimit = 64

// family gives both addresses in one family: an IPv4 address that IPv6 carries is IPv4, one that is not known is the
// unspecified address, and of two that still differ the IPv4 one is mapped into IPv6 (RFC 4291 2.5.5.2).
func family(src, dst netip.AddrPort) (netip.AddrPort, netip.AddrPort) {
	a, b := plain(src.Addr()), plain(dst.Addr())
	a, b = known(a, b), known(b, a)
	if a.Is4() != b.Is4() {
		a, b = netip.AddrFrom16(a.As16()), netip.AddrFrom16(b.As16())
	}
	return netip.AddrPortFrom(a, src.Port()), netip.AddrPortFrom(b, dst.Port())
}

func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// known gives a, or when it says nothing the unspecified address of the family of b.
func known(a, b netip.Addr) netip.Addr {
	switch {
	case a.IsValid() && !a.IsUnspecified():
		return a
	case b.Is4() || !b.IsValid() && (a.Is4() || !a.IsValid()):
		return netip.IPv4Unspecified()
	default:
		return netip.IPv6Unspecified()
	}
}

func ipHead(a netip.Addr) int {
	if a.Is4() {
		return ipv4Head
	}
	return ipv6Head
}

// maxDatagram is how many bytes a UDP datagram carries: the length of IPv4 counts its header, that of IPv6 does not.
func maxDatagram(a netip.Addr) int {
	if a.Is4() {
		return maxTotal - ipv4Head - udpHead
	}
	return maxTotal - udpHead
}

// writer writes frames.
type writer struct {
	id    uint16 // of the next IPv4 packet: each has its own, so that none is taken for a copy of another
	flows flows
}

func newWriter() writer { return writer{id: 1, flows: newFlows()} }

// ip writes the IP header into b, a whole frame, and gives what follows it with the checksum over its pseudo header
// (RFC 9293 3.1, RFC 8200 8.1).
func (w *writer) ip(b []byte, src, dst netip.Addr, proto byte) (rest []byte, sum uint64) {
	head := ipHead(src)
	rest = b[head:]
	if src.Is4() {
		s, d := src.As4(), dst.As4()
		b[0], b[1] = 0x45, 0
		binary.BigEndian.PutUint16(b[2:], u16(len(b)))
		binary.BigEndian.PutUint16(b[4:], w.id)
		b[6], b[7] = 0x40, 0 // do not fragment
		b[8], b[9], b[10], b[11] = hopLimit, proto, 0, 0
		copy(b[12:], s[:])
		copy(b[16:], d[:])
		binary.BigEndian.PutUint16(b[10:], fold(add(0, b[:ipv4Head])))
		w.id++
		sum = add(add(0, s[:]), d[:])
	} else {
		s, d := src.As16(), dst.As16()
		b[0], b[1], b[2], b[3] = 0x60, 0, 0, 0
		binary.BigEndian.PutUint16(b[4:], u16(len(rest)))
		b[6], b[7] = proto, hopLimit
		copy(b[8:], s[:])
		copy(b[24:], d[:])
		sum = add(add(0, s[:]), d[:])
	}
	return rest, sum + uint64(proto) + uint64(len(rest))
}

// datagram writes a frame with a UDP datagram into b, which has its size.
func (w *writer) datagram(b []byte, src, dst netip.AddrPort, payload []byte) {
	u, sum := w.ip(b, src.Addr(), dst.Addr(), protoUDP)
	binary.BigEndian.PutUint16(u, src.Port())
	binary.BigEndian.PutUint16(u[2:], dst.Port())
	binary.BigEndian.PutUint16(u[4:], u16(len(u)))
	u[6], u[7] = 0, 0
	copy(u[udpHead:], payload)
	check := fold(add(sum, u))
	if check == 0 { // 0 would say that there is none (RFC 768)
		check = 0xffff
	}
	binary.BigEndian.PutUint16(u[6:], check)
}

// segment writes a frame with a TCP segment into b, which has its size.
func (w *writer) segment(b []byte, src, dst netip.AddrPort, seq, ack uint32, flags byte, payload []byte) {
	t, sum := w.ip(b, src.Addr(), dst.Addr(), protoTCP)
	binary.BigEndian.PutUint16(t, src.Port())
	binary.BigEndian.PutUint16(t[2:], dst.Port())
	binary.BigEndian.PutUint32(t[4:], seq)
	binary.BigEndian.PutUint32(t[8:], ack)
	t[12], t[13] = tcpHead/4<<4, flags
	binary.BigEndian.PutUint16(t[14:], maxTotal) // window
	t[16], t[17], t[18], t[19] = 0, 0, 0, 0
	copy(t[tcpHead:], payload)
	binary.BigEndian.PutUint16(t[16:], fold(add(sum, t)))
}

// add adds b as 16-bit words to a sum (RFC 1071). Eight bytes at a time, with the carry added at the end, give the same
// sum once it is folded.
func add(sum uint64, b []byte) uint64 {
	var carry uint64
	for ; len(b) >= 8; b = b[8:] {
		sum, carry = bits.Add64(sum, binary.BigEndian.Uint64(b), carry)
	}
	for ; len(b) >= 2; b = b[2:] {
		sum, carry = bits.Add64(sum, uint64(binary.BigEndian.Uint16(b)), carry)
	}
	if len(b) == 1 {
		sum, carry = bits.Add64(sum, uint64(b[0])<<8, carry)
	}
	if sum += carry; sum < carry {
		sum++
	}
	return sum>>32 + sum&0xffffffff // room for what is added without looking for a carry
}

// fold makes the checksum of a sum.
func fold(sum uint64) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

func u16(n int) uint16 { return uint16(n) } //nolint:gosec // lengths of frames, which are at most 65,535 bytes
