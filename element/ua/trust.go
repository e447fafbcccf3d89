package ua

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"

	"sipscope/decode/sip"
	"sipscope/element/auth"
	"sipscope/element/transport"
)

// wallet answers challenges for the next hops that this side chose itself: the target of a call or another request, a
// Route, the registrar. Each of them has a digest client of its own, so that no nonce of one is answered to another.
// Nobody whom a message named, as the Contact of a 3xx or of a dialog or the target of a REFER, is given any credentials,
// unless it is one of those hops: a digest made for a stranger is as good at the server of its realm.
type wallet struct {
	credentials []auth.Credentials
	rand        *rand.Rand
	clients     map[netip.AddrPort]*auth.Client
}

// maxNamed is how many next hops are remembered; beyond, all begin anew.
const maxNamed = 1024

// client gives the one for a hop; nil: it gets no credentials. named says that this side chose the hop.
func (w *wallet) client(hop transport.Hop, named bool) *auth.Client {
	if len(w.credentials) == 0 {
		return nil
	}
	c := w.clients[hop.Remote]
	if c != nil || !named {
		return c
	}
	if len(w.clients) >= maxNamed {
		clear(w.clients)
	}
	c = auth.NewClient(w.credentials...)
	c.Rand = w.rand
	w.clients[hop.Remote] = c
	return c
}

// allow says why a request must not go to a hop; nil: it may.
func (x *exchange) allow(hop transport.Hop) error {
	switch {
	case !single(hop.Remote.Addr()):
		return fmt.Errorf("send %s to %v: %w: not the address of one host", x.req.Method, hop.Remote, ErrAddress)
	case x.sips && !hop.Proto.Secure():
		return fmt.Errorf("send %s to %v by %v: %w: sips wants TLS", x.req.Method, hop.Remote, hop.Proto, ErrAddress)
	}
	return nil
}

// single reports whether an address can be that of one host: messages and sound that others direct to a broadcast or
// multicast address would reach many.
func single(addr netip.Addr) bool {
	addr = addr.Unmap()
	if addr.Is4() {
		first := addr.As4()[0]
		return first != 0 && first < 224 // RFC 1122 3.2.1.3, RFC 1112 4
	}
	return addr.IsValid() && !addr.IsUnspecified() && !addr.IsMulticast()
}

// sipsURI gives a sip URI as sips: all hops of a request to a sips URI use TLS (RFC 3261 26.2.2, RFC 5630 3.1.3).
func sipsURI(uri string) string {
	if len(uri) > 4 && strings.EqualFold(uri[:4], "sip:") {
		return "sips:" + uri[4:]
	}
	return uri
}

// plainTarget takes from a URI that somebody else wants called what would direct the request elsewhere than to its host
// (maddr, ttl, lr), and what is not for a Request-URI (method and headers; RFC 3261 19.1.1, 8.1.3.4).
func plainTarget(uri string) string {
	uri = strings.TrimSuffix(uri, "?")
	u, ok := sip.ParseURI([]byte(uri))
	if !ok || !asciiFold(u.Scheme, "sip") && !asciiFold(u.Scheme, "sips") {
		return uri
	}
	tail := len(u.Params)
	if len(u.Headers) > 0 {
		tail += 1 + len(u.Headers)
	}
	var out strings.Builder
	out.WriteString(uri[:len(uri)-tail])
	for p := range strings.SplitSeq(string(u.Params), ";") {
		name, _, _ := strings.Cut(p, "=")
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "", "maddr", "ttl", "lr", "method":
		default:
			out.WriteString(";" + p)
		}
	}
	return out.String()
}
