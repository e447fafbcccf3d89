package hep

import (
	"net/netip"
	"testing"
)

// Whatever an agent's address is, lengths and sums are right.
func TestDatagram(t *testing.T) {
	t.Parallel()
	for n := range 300 {
		for _, ends := range [][2]netip.AddrPort{{a4, b4}, {a6, b6}} {
			head := datagramHead(ends[0].Addr())
			b := make([]byte, head+n)
			for i := range b {
				b[i] = byte(i * n)
			}
			putDatagram(b, ends[0], ends[1], uint16(n))
			sums(t, b)
		}
	}
	// A sum of zero is written as ones: RFC 768.
	b := make([]byte, ip4Head+udpHead+2)
	putDatagram(b, a4, b4, 1)
	copy(b[28:], b[26:28]) // what makes the sum zero
	putDatagram(b, a4, b4, 1)
	if b[26] != 0xff || b[27] != 0xff {
		t.Errorf("checksum % x, want ff ff", b[26:28])
	}
	sums(t, b)
}

// sums checks lengths and checksums: the sum over a header with its checksum is all ones (RFC 1071).
func sums(tb testing.TB, b []byte) {
	tb.Helper()
	size, addrs := ip4Head, b[12:20]
	if b[0]>>4 == 6 {
		size, addrs = ip6Head, b[8:40]
	} else if fold(sum16(0, b[:size])) != 0xffff {
		tb.Error("IPv4 checksum")
	}
	u := b[size:]
	if int(u[4])<<8|int(u[5]) != len(u) {
		tb.Error("UDP length")
	}
	if fold(sum16(sum16(protoUDP+uint64(len(u)), addrs), u)) != 0xffff {
		tb.Error("UDP checksum")
	}
}
