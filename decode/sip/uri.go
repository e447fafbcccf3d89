package sip

import "bytes"

// uriParts has the parts of a URI (RFC 3261 19.1.1, RFC 3966 3) as spans.
type uriParts struct {
	scheme, user, password, host, params, headers Span
	port                                          uint16
	odd                                           bool // a SIP or SIPS URI whose host or port cannot be read
}

// splitURI splits raw[from:to]. Without a scheme it reads [user@]host[:port], as people write them. Of a URI that is
// neither sip, sips nor tel and has no "@" nor "//", such as urn:service:sos, it gives the scheme alone.
func splitURI(raw []byte, from, to int) (u uriParts) {
	i := from
	for i < to && classes[raw[i]]&classScheme != 0 {
		i++
	}
	sip := true // of host and port, or something like it
	if i < to && i > from && raw[i] == ':' {
		u.scheme = sp(from, i)
		sip = isSIPScheme(raw[from:i])
		i++
		if !sip && bytes.HasPrefix(raw[i:to], []byte("//")) {
			i += 2
			sip = true
		}
	} else {
		i = from
	}
	if at := bytes.IndexByte(raw[i:to], '@'); at >= 0 {
		u.userinfo(raw, i, i+at)
		i += at + 1
	} else if !sip {
		if equalFold(u.scheme.Of(raw), "tel") {
			end := i + nextSemicolon(raw[i:to])
			u.user, u.params = sp(i, end), sp(end, to)
		}
		return u
	}
	if i = u.hostPort(raw, i, to); i == to {
		return u
	}
	u.params = sp(i, to)
	if q := bytes.IndexByte(raw[i:to], '?'); q >= 0 {
		u.params, u.headers = sp(i, i+q), sp(i+q+1, to)
	}
	return u
}

// userinfo reads "user" or "user:password".
func (u *uriParts) userinfo(raw []byte, from, to int) {
	u.user = sp(from, to)
	if colon := bytes.IndexByte(raw[from:to], ':'); colon >= 0 {
		u.user, u.password = sp(from, from+colon), sp(from+colon+1, to)
	}
}

func isSIPScheme(b []byte) bool { return equalFold(b, "sip") || equalFold(b, "sips") }

// hostPort reads host [ ":" port ] and gives where it ends. An IPv6 address without brackets is taken as a whole.
func (u *uriParts) hostPort(raw []byte, i, to int) int {
	var h hostPort
	end := h.read(raw, i, to)
	u.host, u.port, u.odd = h.host, h.port, h.odd
	return end
}

// hostPort is "host [ : port ]", of a URI or of a Via's sent-by.
type hostPort struct {
	host Span
	port uint16
	odd  bool // empty, not closed, an IPv6 address without brackets, or no port after the colon
}

// read reads raw[i:to] up to what cannot be a part of it, and gives where that is.
func (h *hostPort) read(raw []byte, i, to int) int {
	if i < to && raw[i] == '[' {
		return h.reference(raw, i, to)
	}
	end := to
	for n, c := range raw[i:to] {
		if classes[c]&classHost == 0 {
			end = i + n
			break
		}
	}
	h.host = sp(i, end)
	h.odd = end == i
	colon := skipBlanks(raw, end, to)
	if colon == to || raw[colon] != ':' {
		return end
	}
	if end = h.readPort(raw, colon, to); end == to || raw[end] != ':' && classes[raw[end]]&classHost == 0 {
		return end
	}
	// what follows the colon is no port: an IPv6 address that lacks its brackets, or garbage
	h.port, h.odd = 0, true
	for end < to && (classes[raw[end]]&classHost != 0 || raw[end] == ':') {
		end++
	}
	h.host = sp(i, end)
	return end
}

// reference reads an IPv6 reference in its brackets (RFC 5118 4.1).
func (h *hostPort) reference(raw []byte, i, to int) int {
	end := i + 1
	for end < to && (classes[raw[end]]&classHost != 0 || raw[end] == ':') {
		end++
	}
	if end == to || raw[end] != ']' {
		h.host, h.odd = sp(i, end), true
		return end
	}
	end++
	h.host = sp(i, end)
	h.odd = !plausibleIPv6(raw[i+1 : end-1])
	if colon := skipBlanks(raw, end, to); colon < to && raw[colon] == ':' {
		return h.readPort(raw, colon, to)
	}
	return end
}

// readPort reads the port after a colon.
func (h *hostPort) readPort(raw []byte, colon, to int) int {
	from := skipBlanks(raw, colon+1, to)
	end, n := from, 0
	for end < to && isDigit(raw[end]) {
		n = min(n*10+int(raw[end]-'0'), 1<<16)
		end++
	}
	if end == from {
		h.odd = true
		return colon + 1
	}
	if n > 65535 {
		h.odd = true
		return end
	}
	h.port = uint16(n)
	return end
}

// plausibleIPv6 finds what can be no IPv6 address, among them the three colons that an error in RFC 3261's grammar
// allows (RFC 5118 4.10).
func plausibleIPv6(b []byte) bool {
	colons := 0
	for i, c := range b {
		switch {
		case c == ':':
			colons++
			if i >= 2 && b[i-1] == ':' && b[i-2] == ':' {
				return false
			}
		case isDigit(c), lower(c)-'a' < 6, c == '.':
		case c == '%':
			return colons >= 2 // a zone follows
		default:
			return false
		}
	}
	return colons >= 2 && len(b) <= 45
}

// URI is a URI in its parts (RFC 3261 19.1.1; RFC 3966 3 for tel, whose number is the user). The parts are slices of
// what was parsed.
type URI struct {
	Scheme   []byte // "sip"
	User     []byte // escapes kept
	Password []byte
	Host     []byte // IPv6 with its brackets
	Port     uint16 // 0 when not given
	Params   []byte // ";transport=tcp;lr", see Param
	Headers  []byte // what follows "?"
}

// ParseURI splits a URI without the angle brackets around it. ok says that it has a scheme, and if that is sip or sips
// a host and a port that can be read; the parts are given in any case.
func ParseURI(b []byte) (u URI, ok bool) {
	p := splitURI(b, 0, len(b))
	u = URI{
		Scheme: p.scheme.Of(b), User: p.user.Of(b), Password: p.password.Of(b), Host: p.host.Of(b), Port: p.port,
		Params: p.params.Of(b), Headers: p.headers.Of(b),
	}
	return u, len(u.Scheme) > 0 && !p.odd
}

// Header finds a header of the URI, e.g. Replaces in "?Replaces=a%40b" (RFC 3261 19.1.1), and undoes its escapes.
func (u URI) Header(name string) (value []byte, ok bool) {
	rest := u.Headers
	for len(rest) > 0 {
		var part []byte
		part, rest, _ = bytes.Cut(rest, []byte("&"))
		key, v, _ := bytes.Cut(part, []byte("="))
		if equalFold(Unescape(key), name) {
			return Unescape(v), true
		}
	}
	return nil, false
}

// Unescape undoes the %XX escapes of a URI (RFC 3261 19.1.2). It allocates only when there is one.
func Unescape(b []byte) []byte {
	if bytes.IndexByte(b, '%') < 0 {
		return b
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '%' && i+2 < len(b) {
			hi, lo := hexDigit(b[i+1]), hexDigit(b[i+2])
			if hi < 16 && lo < 16 {
				out = append(out, hi<<4|lo)
				i += 2
				continue
			}
		}
		out = append(out, b[i])
	}
	return out
}

// hexDigit is the value of a hexadecimal digit, 255 for another byte.
func hexDigit(c byte) byte {
	switch {
	case isDigit(c):
		return c - '0'
	case lower(c)-'a' < 6:
		return lower(c) - 'a' + 10
	default:
		return 255
	}
}
