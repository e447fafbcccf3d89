package registrar

import (
	"bytes"
	"net/netip"

	"sipscope/decode/sip"
)

// AppendAOR appends the canonical form of the address-of-record uri to dst: "sip:user@host" (RFC 3261 10.3 step 5).
// Password, parameters and headers are left out, escapes of what need not be escaped are undone, the host is in lower
// case, and an IPv6 address in its shortest form. A port is left out, too: it is no part of a domain's name, but agents
// that know a registrar by its address and port put both into their address-of-record. A sips URI names the same resource
// as its sip URI (RFC 3261 19.1), so it gives the same. What a user part cannot have stays escaped, or becomes so: the
// form of a canonical form is itself, and it has no byte that is not printable ASCII. ok is false, and dst unchanged,
// when uri is not a sip or sips URI with a host that can be read.
func AppendAOR(dst, uri []byte) (aor []byte, ok bool) {
	u, ok := sip.ParseURI(uri)
	if !ok || !isSIP(u.Scheme) || !plainHost(u.Host) {
		return dst, false
	}
	dst = append(dst, "sip:"...)
	if len(u.User) > 0 {
		dst = appendUser(dst, u.User)
		dst = append(dst, '@')
	}
	return appendHost(dst, u.Host), true
}

// AOR is AppendAOR for a text.
func AOR(uri string) (aor string, ok bool) {
	b, ok := AppendAOR(nil, []byte(uri))
	return string(b), ok
}

// aorHost is the host of a canonical address-of-record.
func aorHost(aor []byte) []byte {
	if _, host, ok := bytes.Cut(aor, []byte("@")); ok {
		return host
	}
	return aor[len("sip:"):]
}

// aorUser is the user part of a canonical address-of-record.
func aorUser(aor []byte) []byte {
	rest := aor[len("sip:"):]
	return rest[:max(bytes.IndexByte(rest, '@'), 0)]
}

func isSIP(scheme []byte) bool  { return foldEqual(scheme, "sip") || isSIPS(scheme) }
func isSIPS(scheme []byte) bool { return foldEqual(scheme, "sips") }

func foldEqual(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if toLower(c) != lower[i] {
			return false
		}
	}
	return true
}

func toLower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// plainHost reports whether host has nothing that a host name or an address cannot have.
func plainHost(host []byte) bool {
	if len(host) == 0 {
		return false
	}
	for _, c := range host {
		if !alphanumeric(c) && bytes.IndexByte([]byte("-._:[]"), c) < 0 {
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// appendHost appends host in lower case, an IPv6 reference in the form of RFC 5952.
func appendHost(dst, host []byte) []byte {
	if len(host) > 2 && len(host) <= 64 && host[0] == '[' {
		if a, err := netip.ParseAddr(string(host[1 : len(host)-1])); err == nil && a.Is6() {
			dst = append(dst, '[')
			dst = a.AppendTo(dst)
			return append(dst, ']')
		}
	}
	for _, c := range host {
		dst = append(dst, toLower(c))
	}
	return dst
}

// appendUser appends a user part with as few escapes as it can have (RFC 3261 25.1: user).
func appendUser(dst, user []byte) []byte {
	for i := 0; i < len(user); i++ {
		c := user[i]
		if v, ok := escape(user, i); ok {
			c = v
			i += 2
		}
		if userByte(c) {
			dst = append(dst, c)
		} else {
			dst = appendEscape(dst, c)
		}
	}
	return dst
}

func appendEscape(dst []byte, c byte) []byte {
	const digits = "0123456789ABCDEF"
	return append(dst, '%', digits[c>>4], digits[c&15])
}

// userByte reports whether a user part may have c as it is: unreserved and user-unreserved (RFC 3261 25.1).
func userByte(c byte) bool {
	return alphanumeric(c) || bytes.IndexByte([]byte("-_.!~*'()&=+$,;?/"), c) >= 0
}

// escape reads "%XX" at b[i].
func escape(b []byte, i int) (c byte, ok bool) {
	if b[i] != '%' || i+2 >= len(b) {
		return 0, false
	}
	hi, lo := hex(b[i+1]), hex(b[i+2])
	return hi<<4 | lo, hi < 16 && lo < 16
}

func hex(c byte) byte {
	switch c = toLower(c); {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	default:
		return 255
	}
}

// EqualURI compares two URIs by the rules of RFC 3261 19.1.4. Of parameters that only one of them has, user, ttl, method,
// maddr and transport make a difference: the rules' text leaves transport out, their examples do not. URIs of other
// schemes are equal when their bytes are, but for the case of the scheme.
func EqualURI(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	u, ok := sip.ParseURI(a)
	v, ok2 := sip.ParseURI(b)
	if !ok || !ok2 || !bytes.EqualFold(u.Scheme, v.Scheme) {
		return false
	}
	if !isSIP(u.Scheme) {
		return bytes.Equal(a[len(u.Scheme):], b[len(v.Scheme):])
	}
	return u.Port == v.Port &&
		len(u.User) > 0 == (len(v.User) > 0) && equalEscaped(u.User, v.User, false) &&
		equalEscaped(u.Password, v.Password, false) &&
		equalHost(u.Host, v.Host) &&
		coveredParams(u.Params, v.Params) && coveredParams(v.Params, u.Params) &&
		equalHeaders(u.Headers, v.Headers)
}

// equalHost compares hosts: names whatever their case, IPv6 addresses by value.
func equalHost(a, b []byte) bool {
	if bytes.EqualFold(a, b) {
		return true
	}
	if len(a) == 0 || len(b) == 0 || a[0] != '[' || b[0] != '[' {
		return false
	}
	var x, y [64]byte
	return bytes.Equal(appendHost(x[:0], a), appendHost(y[:0], b))
}

// equalEscaped compares texts in which a character that is not reserved equals its escape (RFC 3261 19.1.4).
func equalEscaped(a, b []byte, fold bool) bool {
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		x, n := symbol(a, i, fold)
		y, m := symbol(b, j, fold)
		if x != y {
			return false
		}
		i += n
		j += m
	}
	return i == len(a) && j == len(b)
}

// symbol reads one character at b[i]: an escaped reserved one differs from the character itself.
func symbol(b []byte, i int, fold bool) (s uint16, size int) {
	const escaped = 1 << 8
	c, size := b[i], 1
	if v, ok := escape(b, i); ok {
		c, size = v, 3
		if bytes.IndexByte([]byte(";/?:@&=+$,"), c) >= 0 {
			s = escaped
		}
	}
	if fold {
		c = toLower(c)
	}
	return s | uint16(c), size
}

// maxParams bounds how many parameters or headers of two URIs are compared: URIs with more are different. A comparison
// looks at each pair.
const maxParams = 16

// coveredParams reports whether each parameter of a fits those of b.
func coveredParams(a, b []byte) bool {
	if len(a) == 0 {
		return true
	}
	n := 0
	for name, value := range sip.Params(a) {
		if n++; n > maxParams {
			return false
		}
		other, ok := findParam(b, name)
		if ok && !equalEscaped(value, other, true) || !ok && alwaysMatters(name) {
			return false
		}
	}
	return true
}

func findParam(params, name []byte) (value []byte, ok bool) {
	n := 0
	for other, v := range sip.Params(params) {
		if equalEscaped(name, other, true) {
			return v, true
		}
		if n++; n > maxParams {
			break
		}
	}
	return nil, false
}

// alwaysMatters says which parameters make a difference when one URI lacks them.
func alwaysMatters(name []byte) bool {
	for _, s := range [...]string{"transport", "user", "ttl", "method", "maddr"} {
		if foldEqual(name, s) {
			return true
		}
	}
	return false
}

// equalHeaders compares what follows "?", in any order.
func equalHeaders(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	n := bytes.Count(a, []byte("&"))
	return len(a) > 0 && len(b) > 0 && n == bytes.Count(b, []byte("&")) && n < maxParams &&
		coveredHeaders(a, b) && coveredHeaders(b, a)
}

func coveredHeaders(a, b []byte) bool {
	for h := range bytes.SplitSeq(a, []byte("&")) {
		found := false
		for other := range bytes.SplitSeq(b, []byte("&")) {
			if found = equalHeader(h, other); found {
				break
			}
		}
		if !found {
			return false
		}
	}
	return true
}

func equalHeader(a, b []byte) bool {
	name, value, _ := bytes.Cut(a, []byte("="))
	otherName, otherValue, _ := bytes.Cut(b, []byte("="))
	return equalEscaped(name, otherName, true) && equalEscaped(value, otherValue, false)
}
