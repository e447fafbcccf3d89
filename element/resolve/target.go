package resolve

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"

	"sipscope/decode/sip"
	"sipscope/element/transport"
)

// Target is what a URI says about where its requests go (RFC 3263 4).
type Target struct {
	Host   string          // the value of maddr, else the host; a name in lower case, or an address as written, without brackets
	Addr   netip.Addr      // valid when Host is an address
	Port   uint16          // 0 when the URI has none
	Proto  transport.Proto // of transport=; 0 when the URI has none
	Secure bool            // a SIPS URI: TLS or WSS, nothing else
}

// ParseTarget reads a URI, with or without angle brackets around it. It fails with ErrURI, or with ErrTransport for a
// transport parameter that is unknown or, under sips, not secure.
func ParseTarget(uri []byte) (Target, error) {
	if i := bytes.IndexByte(uri, '<'); i >= 0 {
		a := sip.ParseAddress(uri)
		uri = a.URI.Of(uri)
	}
	u, ok := sip.ParseURI(bytes.TrimSpace(uri))
	secure := bytes.EqualFold(u.Scheme, []byte("sips"))
	if !ok || !secure && !bytes.EqualFold(u.Scheme, []byte("sip")) {
		return Target{}, fmt.Errorf("%.100q: %w", uri, ErrURI)
	}
	t := Target{Port: u.Port, Secure: secure}
	host := u.Host
	if maddr, has := sip.Param(u.Params, "maddr"); has && len(maddr) > 0 {
		host = maddr
	}
	if !t.host(string(host)) {
		return Target{}, fmt.Errorf("host %.100q: %w", host, ErrURI)
	}
	name, has := sip.Param(u.Params, "transport")
	if !has {
		return t, nil
	}
	proto, known := transport.ParseProto(string(name))
	if !known {
		return Target{}, fmt.Errorf("%.40q: %w", name, ErrTransport)
	}
	if t.Secure { // RFC 3261 26.2.2: the transport below TLS
		switch proto {
		case transport.TCP:
			proto = transport.TLS
		case transport.WS:
			proto = transport.WSS
		case transport.UDP:
			return Target{}, fmt.Errorf("%s for a SIPS URI: %w", name, ErrTransport)
		default:
		}
	}
	t.Proto = proto
	return t, nil
}

// host reads a host name or an address, IPv6 with or without brackets.
func (t *Target) host(s string) bool {
	bare := s
	if len(s) > 2 && s[0] == '[' && s[len(s)-1] == ']' {
		bare = s[1 : len(s)-1]
	}
	if a, err := netip.ParseAddr(bare); err == nil {
		t.Addr = a.Unmap()
		t.Host = bare
		return !t.Addr.IsUnspecified()
	}
	t.Host = normal(s)
	return isName(t.Host)
}

// isName reports whether s can be asked for in DNS: labels of 1 to 63 letters, digits, "-" and "_", 253 bytes at most.
func isName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for _, c := range []byte(label) {
			letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
			if !letter && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}
