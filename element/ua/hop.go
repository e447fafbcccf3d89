package ua

import (
	"net/netip"
	"slices"
	"strings"

	"sipscope/decode/sip"
	"sipscope/element/transport"
)

// directHop is the next hop of a URI whose host is an address, without asking anybody (RFC 3263 4.1, 4.2).
func (a *Agent) directHop(uri string) (transport.Hop, bool) {
	a.buf = append(a.buf[:0], uri...)
	u, ok := sip.ParseURI(a.buf)
	if !ok {
		return transport.Hop{}, false
	}
	secure := asciiFold(u.Scheme, "sips")
	if !secure && !asciiFold(u.Scheme, "sip") {
		return transport.Hop{}, false
	}
	host := u.Host
	if maddr, has := sip.Param(u.Params, "maddr"); has && len(maddr) > 0 {
		host = maddr
	}
	addr, ok := parseHost(host)
	if !ok {
		return transport.Hop{}, false
	}
	proto, ok := uriProto(u, secure)
	if !ok {
		return transport.Hop{}, false
	}
	port := u.Port
	if port == 0 {
		port = proto.DefaultPort()
	}
	return transport.Hop{Proto: proto, Remote: netip.AddrPortFrom(addr, port)}, true
}

// uriProto is the transport of a URI that names an address (RFC 3263 4.1, RFC 7118 5.3).
func uriProto(u sip.URI, secure bool) (transport.Proto, bool) {
	value, has := sip.Param(u.Params, "transport")
	if !has {
		if secure {
			return transport.TLS, true
		}
		return transport.UDP, true
	}
	for _, p := range [...]transport.Proto{transport.UDP, transport.TCP, transport.TLS, transport.WS, transport.WSS} {
		if !asciiFold(value, strings.ToLower(p.String())) {
			continue
		}
		switch {
		case secure && p == transport.TCP:
			p = transport.TLS
		case secure && p == transport.WS:
			p = transport.WSS
		case secure && p == transport.UDP:
			return 0, false // there is no such thing here
		}
		return p, true
	}
	return 0, false
}

// parseHost reads an address as a URI has it, IPv6 with brackets.
func parseHost(b []byte) (netip.Addr, bool) {
	if n := len(b); n > 2 && b[0] == '[' && b[n-1] == ']' {
		b = b[1 : n-1]
	}
	if addr, ok := parseIPv4(b); ok {
		return addr, true
	}
	if len(b) > 45 || !slices.Contains(b, ':') {
		return netip.Addr{}, false // a name, without the cost of an error
	}
	addr, err := netip.ParseAddr(string(b))
	return addr, err == nil && addr.Zone() == ""
}

// parseIPv4 reads what most hosts are without allocating.
func parseIPv4(b []byte) (netip.Addr, bool) {
	var out [4]byte
	n, digits, value := 0, 0, 0
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9' && digits < 3 && (digits == 0 || value > 0):
			digits++
			value = 10*value + int(c-'0')
		case c == '.' && digits > 0 && n < 3:
			if value > 255 {
				return netip.Addr{}, false
			}
			out[n] = byte(value) //nolint:gosec // G115: just compared.
			n, digits, value = n+1, 0, 0
		default:
			return netip.Addr{}, false
		}
	}
	if n != 3 || digits == 0 || value > 255 {
		return netip.Addr{}, false
	}
	out[3] = byte(value)
	return netip.AddrFrom4(out), true
}

// asciiFold compares b with a word in lower case.
func asciiFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// routeURI is the URI of a Route value.
func routeURI(route string) string {
	b := []byte(route)
	addr := sip.ParseAddress(b)
	return string(addr.URI.Of(b))
}

// looseRoute reports whether a URI is a loose router's (RFC 3261 19.1.1 lr).
func looseRoute(uri string) bool {
	u, ok := sip.ParseURI([]byte(uri))
	if !ok {
		return false
	}
	_, lr := sip.Param(u.Params, "lr")
	return lr
}

func isSips(uri string) bool { return len(uri) > 5 && strings.EqualFold(uri[:5], "sips:") }
