package transport

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// ErrListen says that a text names no place to listen at.
var ErrListen = errors.New("want PROTO:ADDRESS:PORT, such as udp:127.0.0.1:5060 or tls:[::1]:5061")

// Listen is a place to listen at. Port 0 lets the system choose one.
type Listen struct { //nolint:recvcheck // encoding asks for both
	Proto Proto
	netip.AddrPort
}

// ParseListen reads "udp:127.0.0.1:5060", "ws:[::1]:80", "tcp:192.0.2.1" (the default port of the transport). The
// address is an IP address; "*" and nothing stand for all addresses of IPv4. The error wraps ErrListen.
func ParseListen(s string) (Listen, error) {
	name, rest, ok := strings.Cut(s, ":")
	proto, known := ParseProto(name)
	if !ok || !known {
		return Listen{}, fmt.Errorf("%q: %w", s, ErrListen)
	}
	addr, port := rest, proto.DefaultPort()
	if at := strings.LastIndexByte(rest, ':'); at >= 0 && !isBareIPv6(rest) && !strings.HasSuffix(rest, "]") {
		n, err := strconv.ParseUint(rest[at+1:], 10, 16)
		if err != nil {
			return Listen{}, fmt.Errorf("%q: port: %w", s, ErrListen)
		}
		addr, port = rest[:at], uint16(n)
	}
	if addr == "*" || addr == "" {
		addr = "0.0.0.0"
	}
	if len(addr) > 2 && addr[0] == '[' && addr[len(addr)-1] == ']' {
		addr = addr[1 : len(addr)-1]
	}
	ip, err := netip.ParseAddr(addr)
	if err != nil {
		return Listen{}, fmt.Errorf("%q: address: %w", s, ErrListen)
	}
	return Listen{Proto: proto, AddrPort: netip.AddrPortFrom(ip.Unmap(), port)}, nil
}

// isBareIPv6 reports whether s is an IPv6 address without brackets, of which the last part is no port.
func isBareIPv6(s string) bool {
	a, err := netip.ParseAddr(s)
	return err == nil && a.Is6()
}

// AppendText appends what ParseListen reads. It keeps that of the address alone from standing for the whole.
func (l Listen) AppendText(b []byte) ([]byte, error) { return append(b, l.String()...), nil }

// MarshalText gives what ParseListen reads.
func (l Listen) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText is ParseListen.
func (l *Listen) UnmarshalText(text []byte) (err error) {
	*l, err = ParseListen(string(text))
	return err
}

// String is what ParseListen reads.
func (l Listen) String() string { return strings.ToLower(l.Proto.String()) + ":" + l.AddrPort.String() }
