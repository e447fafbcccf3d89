package proxy

import (
	"bytes"
	"fmt"
	"strings"

	"sipscope/decode/sip"
)

// Route is a line of the static table: requests that fit go to a next hop, the Request-URI stays. The zero Domain and
// Prefix fit everything.
type Route struct {
	Domain string // host of the Request-URI in lower case; "": any
	Prefix string // what its user begins with; "": any
	URI    string // where it goes, e.g. "sip:10.0.0.1:5070;transport=tcp"
}

// RouteHelp is the grammar that ParseRoute reads.
const RouteHelp = `--route PATTERN=URI sends requests without a Route of their own to the host of URI:
  b.com=sip:127.0.2.1        Request-URIs of the domain b.com
  +49@b.com=sip:127.0.2.1    of these, users that begin with +49
  00@=sip:gw.a.com           users that begin with 00, any domain
  *=sip:127.0.0.1:5070       everything that is not a user of an own domain`

// ParseRoute reads "PATTERN=URI"; see RouteHelp.
func ParseRoute(s string) (Route, error) {
	pattern, uri, ok := strings.Cut(s, "=")
	if !ok || pattern == "" {
		return Route{}, fmt.Errorf("route %q: want PATTERN=URI: %w", s, ErrConfig)
	}
	if u, valid := sip.ParseURI([]byte(uri)); !valid || len(u.Host) == 0 {
		return Route{}, fmt.Errorf("route %q: %q is no SIP URI: %w", s, uri, ErrConfig)
	}
	r := Route{URI: uri}
	switch prefix, domain, at := strings.Cut(pattern, "@"); {
	case pattern == "*":
	case at:
		r.Prefix, r.Domain = prefix, strings.ToLower(domain)
	default:
		r.Domain = strings.ToLower(pattern)
	}
	return r, nil
}

// fits reports whether a Request-URI is one of r's.
func (r *Route) fits(u *sip.URI) bool {
	if r.Domain != "" && !equalFold(u.Host, r.Domain) {
		return false
	}
	return r.Prefix == "" || bytes.HasPrefix(u.User, []byte(r.Prefix))
}

// all says that r is the default, which comes after the location service.
func (r *Route) all() bool { return r.Domain == "" && r.Prefix == "" }

// equalFold compares b with a text in lower case, ASCII letters in any case.
func equalFold(b []byte, lower string) bool {
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
