package frame

import (
	"encoding/binary"
	"net/netip"
)

// Endpoint is an IP address and a port: comparable, without pointers, 24 bytes.
type Endpoint struct {
	Hi, Lo uint64 // the address in network order as two big-endian words; IPv4 is mapped (::ffff:a.b.c.d)
	Port   uint16 // 0 where the protocol has none
	V4     bool   // the packet was IPv4 (an IPv4-mapped IPv6 address is not)
}

// Endpoint4 makes an Endpoint of an IPv4 address in network order.
func Endpoint4(ip []byte, port uint16) Endpoint {
	return Endpoint{Lo: 0xffff<<32 | uint64(binary.BigEndian.Uint32(ip)), Port: port, V4: true}
}

// Endpoint6 makes an Endpoint of an IPv6 address in network order.
func Endpoint6(ip []byte, port uint16) Endpoint {
	return Endpoint{Hi: binary.BigEndian.Uint64(ip), Lo: binary.BigEndian.Uint64(ip[8:]), Port: port}
}

// FromAddrPort makes an Endpoint of a standard library address.
func FromAddrPort(a netip.AddrPort) Endpoint {
	ip := a.Addr().As16()
	e := Endpoint6(ip[:], a.Port())
	e.V4 = a.Addr().Is4()
	return e
}

// Addr is the address alone.
func (e Endpoint) Addr() netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], e.Hi)
	binary.BigEndian.PutUint64(b[8:], e.Lo)
	a := netip.AddrFrom16(b)
	if e.V4 {
		return a.Unmap()
	}
	return a
}

// AddrPort is the address and port as the standard library has them.
func (e Endpoint) AddrPort() netip.AddrPort { return netip.AddrPortFrom(e.Addr(), e.Port) }

// IsValid reports whether an address was set.
func (e Endpoint) IsValid() bool { return e != Endpoint{} }

// SameHost reports whether both have the same address, whatever the ports.
func (e Endpoint) SameHost(o Endpoint) bool { return e.Hi == o.Hi && e.Lo == o.Lo && e.V4 == o.V4 }

// Host is the address as text; IPv6 without brackets.
func (e Endpoint) Host() string { return e.Addr().String() }

// String is address:port, IPv6 in brackets.
func (e Endpoint) String() string { return e.AddrPort().String() }
