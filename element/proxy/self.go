package proxy

import (
	"net/netip"
	"strconv"
	"strings"

	"sipscope/decode/sip"
	"sipscope/element/transport"
)

// maxSelf bounds the own addresses that are learnt.
const maxSelf = 1024

// self knows which hosts are this proxy.
type self struct {
	addrs   map[netip.AddrPort]struct{}
	last    netip.AddrPort      // the own address that was seen last: nearly always the one that is asked for
	names   map[string]struct{} // "host" for any port, "host:port"
	domains map[string]struct{}
	lower   []byte
}

func (s *self) init(cfg *Config) {
	s.addrs = make(map[netip.AddrPort]struct{})
	s.names = make(map[string]struct{})
	s.domains = make(map[string]struct{})
	for i := range cfg.Listeners {
		s.learn(cfg.Listeners[i].Local)
	}
	for _, name := range cfg.Names {
		s.names[strings.ToLower(name)] = struct{}{}
	}
	for _, name := range cfg.Domains {
		s.domains[strings.ToLower(name)] = struct{}{}
	}
}

// learn notes an own address. A listener on all addresses (0.0.0.0) only finds out one by one which it has.
func (s *self) learn(a netip.AddrPort) {
	if a = unmap(a); a == s.last || !a.IsValid() || a.Addr().IsUnspecified() {
		return
	}
	if len(s.addrs) < maxSelf {
		s.addrs[a] = struct{}{}
		s.last = a
	}
}

func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// is reports whether a URI's host and port are this proxy.
func (s *self) is(u *sip.URI) bool {
	if addr, ok := parseAddr(u.Host); ok {
		return s.hasAddr(addr, uriPort(u))
	}
	if len(s.names) == 0 {
		return false
	}
	s.lower = appendLower(s.lower[:0], u.Host)
	if _, ok := s.names[string(s.lower)]; ok {
		return true
	}
	s.lower = strconv.AppendUint(append(s.lower, ':'), uint64(uriPort(u)), 10)
	_, ok := s.names[string(s.lower)]
	return ok
}

// hasAddr reports whether an address is an own one.
func (s *self) hasAddr(addr netip.Addr, port uint16) bool {
	a := netip.AddrPortFrom(addr, port)
	if a == s.last {
		return true
	}
	_, ok := s.addrs[a]
	return ok
}

// domain gives the own domain that a Request-URI belongs to (RFC 3261 16.5). An own address or name that is no domain
// stands for the first of cfg.Domains, so that a user can be called at the proxy's address, too.
func (s *self) domain(u *sip.URI, cfg *Config) (host []byte, ok bool) {
	s.lower = appendLower(s.lower[:0], u.Host)
	if _, ok = s.domains[string(s.lower)]; ok {
		return s.lower, true
	}
	if !s.is(u) {
		return nil, false
	}
	if len(cfg.Domains) > 0 {
		s.lower = append(s.lower[:0], strings.ToLower(cfg.Domains[0])...)
	} else {
		s.lower = appendLower(s.lower[:0], u.Host)
	}
	return s.lower, true
}

func appendLower(dst, b []byte) []byte {
	for _, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// uriPort is the port of a SIP URI, or what stands for it (RFC 3261 19.1.2).
func uriPort(u *sip.URI) uint16 {
	if u.Port != 0 {
		return u.Port
	}
	return uriProto(u).DefaultPort()
}

// uriProto is the transport of a URI with a numeric host (RFC 3263 4.1; RFC 7118 5.2 for sips over WebSocket). It is 0 for
// one that is not known.
func uriProto(u *sip.URI) transport.Proto {
	proto := transport.UDP
	secure := equalFold(u.Scheme, "sips")
	if v, ok := sip.Param(u.Params, "transport"); ok {
		if proto, ok = transport.ParseProto(string(v)); !ok {
			return 0
		}
	} else if secure {
		return transport.TLS
	}
	if !secure {
		return proto
	}
	switch proto {
	case transport.WS, transport.WSS:
		return transport.WSS
	default:
		return transport.TLS
	}
}

// parseAddr reads a host that is an IP address, IPv6 in brackets or without. IPv4, the usual one, does not allocate.
func parseAddr(b []byte) (netip.Addr, bool) {
	if addr, ok := parseIPv4(b); ok {
		return addr, true
	}
	if len(b) > 1 && b[0] == '[' && b[len(b)-1] == ']' {
		b = b[1 : len(b)-1]
	}
	if len(b) < 2 || len(b) > 64 {
		return netip.Addr{}, false
	}
	colons := 0
	for _, c := range b {
		switch {
		case c == ':':
			colons++
		case c == '.', '0' <= c && c <= '9', 'a' <= c|0x20 && c|0x20 <= 'f':
		default:
			return netip.Addr{}, false
		}
	}
	if colons < 2 {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(string(b))
	return addr.Unmap(), err == nil
}

// parseIPv4 reads a dotted quad.
func parseIPv4(b []byte) (netip.Addr, bool) {
	if len(b) < 7 || len(b) > 15 {
		return netip.Addr{}, false
	}
	var quad [4]byte
	for n := range quad {
		if n > 0 {
			if len(b) == 0 || b[0] != '.' {
				return netip.Addr{}, false
			}
			b = b[1:]
		}
		var ok bool
		if quad[n], b, ok = octet(b); !ok {
			return netip.Addr{}, false
		}
	}
	return netip.AddrFrom4(quad), len(b) == 0
}

// octet reads a number up to 255 without leading zeros, and gives the rest.
func octet(b []byte) (v uint8, rest []byte, ok bool) {
	n, i := 0, 0
	for i < len(b) && i < 3 && '0' <= b[i] && b[i] <= '9' {
		n = n*10 + int(b[i]-'0')
		i++
	}
	if i == 0 || n > 255 || i > 1 && b[0] == '0' {
		return 0, nil, false
	}
	return uint8(n), b[i:], true
}

// numericHop is the hop of a URI that needs no DNS: a numeric host, or maddr (RFC 3263 4.1, 4.2; RFC 3261 19.1.1).
func numericHop(u *sip.URI) (transport.Hop, bool) {
	if !isSIP(u.Scheme) {
		return transport.Hop{}, false
	}
	host := u.Host
	if maddr, ok := sip.Param(u.Params, "maddr"); ok && len(maddr) > 0 {
		host = maddr
	}
	addr, ok := parseAddr(host)
	if !ok {
		return transport.Hop{}, false
	}
	proto := uriProto(u)
	if proto == 0 {
		return transport.Hop{}, false
	}
	return transport.Hop{Proto: proto, Remote: netip.AddrPortFrom(addr, uriPort(u))}, true
}

func isSIP(scheme []byte) bool { return equalFold(scheme, "sip") || equalFold(scheme, "sips") }
