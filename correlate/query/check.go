package query

import (
	"fmt"
	"net/netip"
	"regexp/syntax"
	"slices"
	"strings"
	"time"

	"sipscope/correlate"
	"sipscope/decode/frame"
)

// constantCheck turns a constant that a field is compared with into the form that the field's values have, or says what
// is wrong with it and what would be right.
type constantCheck func(constant string) (value any, wrong, hint string)

// checkOneOf accepts the given values, whatever the case: a state that is misspelt would match nothing in silence.
func checkOneOf(what string, values []string) constantCheck {
	return func(constant string) (value any, wrong, hint string) {
		i := slices.IndexFunc(values, func(v string) bool { return strings.EqualFold(v, constant) })
		if i >= 0 {
			return values[i], "", ""
		}
		hint = "one of " + strings.Join(slices.DeleteFunc(slices.Clone(values), isEmpty), ", ")
		if near := nearest(constant, values); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		return nil, fmt.Sprintf("unknown %s %q", what, constant), hint
	}
}

func isEmpty(s string) bool { return s == "" }

// checkTime accepts a date with or without a time, UTC unless it has a zone.
func checkTime(constant string) (value any, wrong, hint string) {
	for _, layout := range []string{
		time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05",
		"2006-01-02 15:04", time.DateOnly,
	} {
		if t, err := time.Parse(layout, constant); err == nil {
			return t.UTC(), "", ""
		}
	}
	return nil, fmt.Sprintf("unreadable time %q", constant), `write "2024-05-01", "2024-05-01 12:00:00" or RFC 3339`
}

// addresses is a set of networks, single addresses and addresses with a port.
type addresses struct {
	items []addressItem
}

type addressItem struct {
	net     netip.Prefix // invalid: no address
	port    uint16
	hasPort bool
}

// parse adds "10.0.0.1", "10.0.0.0/8", "10.0.0.1:5060", "2001:db8::1", "[2001:db8::1]:5060" or, for no address, "".
func (a *addresses) parse(text string, ports bool) (wrong, hint string) {
	item := addressItem{}
	addr, addrErr := netip.ParseAddr(text)
	prefix, prefixErr := netip.ParsePrefix(text)
	both, bothErr := netip.ParseAddrPort(text)
	switch {
	case text == "":
	case addrErr == nil && addr.Zone() == "":
		item.net = netip.PrefixFrom(addr, addr.BitLen())
	case prefixErr == nil:
		item.net = prefix.Masked()
	case bothErr == nil && both.Addr().Zone() == "" && ports:
		item.net = netip.PrefixFrom(both.Addr(), both.Addr().BitLen())
		item.port, item.hasPort = both.Port(), true
	default:
		forms := `write "10.0.0.1", "10.0.0.0/8" or "2001:db8::/32"`
		if ports {
			forms = `write "10.0.0.1", "10.0.0.1:5060", "10.0.0.0/8" or "2001:db8::/32"`
		}
		return fmt.Sprintf("unreadable address %q", text), forms
	}
	a.items = append(a.items, item)
	return "", ""
}

// has reports whether the endpoint is in the set.
func (a *addresses) has(e frame.Endpoint) bool {
	if !e.IsValid() {
		return slices.ContainsFunc(a.items, func(i addressItem) bool { return !i.net.IsValid() })
	}
	addr := e.Addr()
	for i := range a.items {
		item := &a.items[i]
		if item.net.IsValid() && item.net.Contains(addr) && (!item.hasPort || item.port == e.Port) {
			return true
		}
	}
	return false
}

// within is the value of a comparison of an endpoint with a set.
func (a *addresses) within(get func(*correlate.Summary) frame.Endpoint) getter {
	return func(_ *Query, s *correlate.Summary, old any) any { return renew(a.has(get(s)), old) }
}

// maxPattern bounds the programs of a filter's regular expressions, in instructions: matching costs that many steps a
// byte at worst.
const maxPattern = 2000

// checkPattern gives the size of a regular expression and says what is wrong with it. The size is reckoned before it
// is compiled, for nested counts such as (a{30}){30} make a large program out of a short text.
func checkPattern(pattern string) (size int, wrong string) {
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0, printable("the pattern cannot be read: " + strings.TrimPrefix(err.Error(), "error parsing regexp: "))
	}
	return patternSize(tree), ""
}

// patternSize is about the number of instructions that a pattern compiles to, and no more than maxPattern+1.
func patternSize(re *syntax.Regexp) int {
	size := 1 + len(re.Rune)
	for _, sub := range re.Sub {
		size = min(size+patternSize(sub), maxPattern+1)
	}
	if re.Op == syntax.OpRepeat {
		size = min(size*max(re.Min, re.Max, 1), maxPattern+1)
	}
	return min(size, maxPattern+1)
}
