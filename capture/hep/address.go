package hep

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// transport is how messages travel.
type transport uint8

const (
	overUDP transport = iota + 1
	overTCP
	overTLS
)

// parseAddress takes "udp:host:port" apart. The host may be empty, for all addresses, where listening; a host is needed
// where sending.
func parseAddress(s string, hostNeeded bool) (t transport, hostPort string, err error) {
	name, rest, _ := strings.Cut(s, ":")
	switch strings.ToLower(name) {
	case "udp":
		t = overUDP
	case "tcp":
		t = overTCP
	case "tls":
		t = overTLS
	default:
		return 0, "", fmt.Errorf("HEP address %q: want udp:host:port, tcp:host:port or tls:host:port", s)
	}
	host, port, err := net.SplitHostPort(rest)
	if err != nil {
		return 0, "", fmt.Errorf("HEP address %q: %w", s, err)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 && hostNeeded {
		return 0, "", fmt.Errorf("HEP address %q: want a port number, not %q", s, port)
	}
	if hostNeeded && host == "" {
		return 0, "", fmt.Errorf("HEP address %q: want a host", s)
	}
	return t, net.JoinHostPort(host, port), nil
}
