package proxy

import (
	"strings"

	"sipscope/decode/sip"
	"sipscope/element/registrar"
)

// Location is a registrar's location service as a Locator: its bindings become targets, with their q, the Path that leads
// to them (RFC 3327 5.3), and, when the registrar kept it, the way that the REGISTER came.
type Location struct{ Store *registrar.Store }

var _ Locator = Location{}

// Lookup gives the bindings of an address-of-record.
func (l Location) Lookup(aor string, now int64) (targets []Target, known bool) {
	bindings := l.Store.Lookup(aor, now)
	for i := range bindings {
		b := &bindings[i]
		t := Target{URI: b.URI, Q: b.Q, Path: paths(b.Path)}
		if t.Q < 0 {
			t.Q = 1000
		}
		if len(t.Path) == 0 { // else it came by the proxies of the Path
			t.Hop = b.Received
		}
		targets = append(targets, t)
	}
	return targets, len(targets) > 0 || l.Store.Known(aor)
}

// paths takes a list of Path values apart.
func paths(list string) []string {
	if list == "" {
		return nil
	}
	m := sip.Message{Raw: []byte(list), Headers: []sip.Header{{
		ID: sip.HeaderPath, Value: sip.Span{Len: uint32(len(list))}, //nolint:gosec // a Store bounds it far below 4 GiB
	}}}
	var values []string
	for v := range m.List(sip.HeaderPath) {
		values = append(values, strings.TrimSpace(string(v)))
	}
	return values
}
