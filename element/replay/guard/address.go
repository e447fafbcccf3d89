package guard

import (
	"net/netip"
)

// normal is an address as it is compared: IPv4 when it is IPv4, however it is written (RFC 4291 2.5.5.2), and without the
// zone, which says where the address is reached and not what it is (RFC 4007 11).
func normal(at netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port())
}

// mappedBits is the length of the prefix that IPv4 addresses have in IPv6's form.
const mappedBits = 96

// normalPrefix is a network as it is compared.
func normalPrefix(p netip.Prefix) (netip.Prefix, bool) {
	if !p.IsValid() {
		return p, false
	}
	if p.Addr().Is4In6() && p.Bits() >= mappedBits {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mappedBits)
	}
	return p.Masked(), true
}

// possible reports whether a normal address can be a host's (RFC 1122 3.2.1.3, RFC 6890).
func possible(a netip.Addr) bool {
	switch {
	case !a.IsValid(), a.IsUnspecified(), a.IsMulticast():
		return false
	case a.Is4():
		b := a.As4()
		loopbackBroadcast := b == [4]byte{127, 255, 255, 255} || b == [4]byte{127, 0, 0, 0}
		return b[0] != 0 && b[0] < 240 && !loopbackBroadcast // 0: this network; 240 on: reserved, and broadcast
	default:
		return true
	}
}

// local reports whether an address leads no farther than the operator's own networks: loopback, private (RFC 1918, RFC
// 4193), link-local (RFC 3927, RFC 4291 2.5.6).
func local(a netip.Addr) bool { return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() }

// inside reports whether a network has an address, other than as its broadcast address. Networks of two addresses and of
// one have none (RFC 3021).
func inside(p netip.Prefix, a netip.Addr) bool {
	if !p.Contains(a) {
		return false
	}
	const pointToPoint = 31
	if !a.Is4() || p.Bits() >= pointToPoint {
		return true
	}
	return p.Contains(a.Next()) && p.Contains(a.Prev())
}
