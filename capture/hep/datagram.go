package hep

import (
	"encoding/binary"
	"net/netip"
)

// What a listener gives are frames, so that spools, files and Wireshark can hold them: each message in an IP datagram from
// its agent to the listener, with UDP, also when it came over TCP.

const (
	ip4Head = 20
	ip6Head = 40
	udpHead = 8
	hopsSet = 64
)

// datagramHead is how many bytes precede the message in a datagram from src.
func datagramHead(src netip.Addr) int {
	if src.Is4() {
		return ip4Head + udpHead
	}
	return ip6Head + udpHead
}

// putDatagram fills the head of a datagram, whose message is in place. src and dst are of one family, without zones; id
// tells it from others (RFC 791 3.1).
func putDatagram(b []byte, src, dst netip.AddrPort, id uint16) {
	var u []byte
	var sum uint64
	if src.Addr().Is4() {
		h := b[:ip4Head]
		clear(h)
		h[0], h[8], h[9] = 0x45, hopsSet, protoUDP
		binary.BigEndian.PutUint16(h[2:], uint16(len(b))) //nolint:gosec // at most MaxDatagram and heads
		binary.BigEndian.PutUint16(h[4:], id)
		s, d := src.Addr().As4(), dst.Addr().As4()
		copy(h[12:], s[:])
		copy(h[16:], d[:])
		binary.BigEndian.PutUint16(h[10:], ^fold(sum16(0, h)))
		u, sum = b[ip4Head:], sum16(0, h[12:])
	} else {
		h := b[:ip6Head] //nolint:gosec // the caller has left room for datagramHead
		clear(h)
		h[0], h[6], h[7] = 0x60, protoUDP, hopsSet
		binary.BigEndian.PutUint16(h[4:], uint16(len(b)-ip6Head)) //nolint:gosec // as above
		s, d := src.Addr().As16(), dst.Addr().As16()
		copy(h[8:], s[:])
		copy(h[24:], d[:])
		u, sum = b[ip6Head:], sum16(0, h[8:]) //nolint:gosec // as above
	}
	binary.BigEndian.PutUint16(u, src.Port())
	binary.BigEndian.PutUint16(u[2:], dst.Port())
	binary.BigEndian.PutUint16(u[4:], uint16(len(u))) //nolint:gosec // as above
	u[6], u[7] = 0, 0
	// The pseudo header: RFC 768, RFC 8200 8.1.
	sum += protoUDP + uint64(len(u))
	if c := ^fold(sum16(sum, u)); c != 0 {
		binary.BigEndian.PutUint16(u[6:], c)
	} else {
		u[6], u[7] = 0xff, 0xff // 0 would say that there is none
	}
}

// sum16 adds up the 16-bit words of b (RFC 1071), 32 bits at a time: what carries is folded in the end, and 64 bits hold
// the sum of far more than a datagram.
func sum16(sum uint64, b []byte) uint64 {
	for len(b) >= 8 {
		sum += uint64(binary.BigEndian.Uint32(b)) + uint64(binary.BigEndian.Uint32(b[4:]))
		b = b[8:]
	}
	for len(b) >= 2 {
		sum += uint64(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		sum += uint64(b[0]) << 8
	}
	return sum
}

// fold gives the 16-bit ones' complement sum.
func fold(sum uint64) uint16 {
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return uint16(sum)
}
