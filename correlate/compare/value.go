package compare

import (
	"net/netip"
	"strconv"
	"strings"

	"sipscope/decode/sip"
)

// via takes "SIP/2.0/UDP host:port;params" apart (RFC 3261 20.42). Tokens and hosts have no case (RFC 3261 7.3.1).
func (s *scribe) via(from, to int) {
	end := s.until(from, to, ";")
	at := from
	for _, role := range [...]string{"protocol", "version", "transport"} {
		at = s.word(at, end, role, " \t/")
	}
	s.sentBy(at, end)
	n := len(s.pieces)
	s.params(end, to, ';', "param")
	for i := n; i < len(s.pieces); i++ {
		p := &s.pieces[i]
		if name, _, value := strings.Cut(s.text[p.from:p.to], "="); value && viaExtension(name) {
			s.usual(p, whyTxn)
		}
	}
}

// viaExtension reports whether a parameter of a Via is none that others than its element read: what a proxy notes there
// about a transaction is for itself, such as the number of a connection in i (RFC 3261 25.1, via-extension).
func viaExtension(name string) bool {
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "ttl", "maddr", "received", "branch", "rport", "comp", "sigcomp-id", "keep", "alias", "oc", "oc-algo", "oc-validity", "oc-seq":
		return false
	}
	return true
}

// word makes a piece of what stands up to the next of the stop bytes, behind those that stand before it, and gives
// where it ends.
func (s *scribe) word(from, to int, role, stops string) int {
	for from < to && strings.IndexByte(stops, s.text[from]) >= 0 {
		from++
	}
	end := from
	for end < to && strings.IndexByte(stops, s.text[end]) < 0 {
		end++
	}
	s.piece(from, end, role, strings.ToLower(s.text[from:end]))
	return end
}

// sentBy reads host [ ":" port ].
func (s *scribe) sentBy(from, to int) {
	from, to = s.trimmed(from, to)
	end := from
	if from < to && s.text[from] == '[' {
		end = from + max(strings.IndexByte(s.text[from:to], ']'), 0)
	}
	for end < to && s.text[end] != ':' {
		end++
	}
	hostFrom, hostTo := s.trimmed(from, end)
	s.hostPort(hostFrom, hostTo, end, to)
}

// hostPort makes pieces of a host and of the ":" and digits at at, if they stand there, and gives where those end.
func (s *scribe) hostPort(hostFrom, hostTo, at, to int) int {
	_, value, end := s.portAt(at, to)
	host := s.piece(hostFrom, hostTo, "host", hostMeaning(s.text[hostFrom:hostTo]))
	known := s.place(host, "host", trimZeros(s.text[value:end]))
	return s.port(at, to, known)
}

// portAt finds ":" and digits at from: where the colon is, where the digits begin and where they end. The last two are
// from when there are none.
func (s *scribe) portAt(from, to int) (colon, value, end int) {
	colon, _ = s.trimmed(from, to)
	if colon == to || s.text[colon] != ':' {
		return from, from, from
	}
	value, _ = s.trimmed(colon+1, to)
	if end = s.digits(value, to); end == value {
		return from, from, from
	}
	return colon, value, end
}

// port makes a piece of ":" and digits at from, and gives where they end. known says that the place is told by the host.
func (s *scribe) port(from, to int, known bool) int {
	colon, value, end := s.portAt(from, to)
	if value == end {
		return from
	}
	p := s.piece(colon, end, "port", trimZeros(s.text[value:end]))
	p.value = value
	if known {
		p.class, p.why = follows, whyPlace
	}
	return end
}

// address reads a name-addr or addr-spec with its parameters (RFC 3261 20.10).
func (s *scribe) address(from, to int) {
	a := sip.ParseAddress([]byte(s.text[from:to]))
	at, end := from+int(a.Display.Off), from+int(a.Display.Off+a.Display.Len)
	if end > at {
		name := foldBlanks(string(sip.Unquote([]byte(s.text[at:end]))))
		if at > from && s.text[at-1] == '"' && end < to && s.text[end] == '"' {
			at, end = at-1, end+1
		}
		s.piece(at, end, "display", name)
	}
	s.uri(from+int(a.URI.Off), from+int(a.URI.Off+a.URI.Len))
	s.params(from+int(a.Params.Off), from+int(a.Params.Off+a.Params.Len), ';', "param")
}

// uri takes a URI apart. Parameters and headers are sets (RFC 3261 19.1.4).
func (s *scribe) uri(from, to int) {
	if from >= to || to > len(s.text) {
		return
	}
	u, _ := sip.ParseURI([]byte(s.text[from:to]))
	at := from
	scheme := strings.ToLower(string(u.Scheme))
	if scheme != "" {
		s.piece(at, at+len(scheme), "scheme", scheme)
		at += len(scheme) + 1
	}
	switch scheme {
	case "", "sip", "sips":
		s.sipURI(at, to, u)
	case "tel":
		end := s.until(at, to, ";")
		s.piece(at, end, "user", strings.ToLower(without(s.text[at:end], "-.()"))) // RFC 3966 4
		s.params(end, to, ';', "uri param")
	default:
		s.piece(at, to, "uri", s.text[at:to])
	}
}

// sipURI reads what follows the scheme of a SIP URI (RFC 3261 19.1.1).
func (s *scribe) sipURI(at, to int, u sip.URI) {
	if n := strings.IndexByte(s.text[at:to], '@'); n >= 0 {
		end := at + len(u.User)
		s.piece(at, end, "user", escapeMeaning(s.text[at:end]))
		if len(u.Password) > 0 {
			p := s.piece(end, at+n, "password", escapeMeaning(s.text[end+1:at+n]))
			p.value = end + 1
		}
		at += n + 1
	}
	end := min(at+len(u.Host), to)
	at = s.hostPort(at, end, end, to)
	headers := to
	if n := strings.IndexByte(s.text[at:to], '?'); n >= 0 {
		headers = at + n
	}
	s.params(at, headers, ';', "uri param")
	s.params(min(headers+1, to), to, '&', "uri header")
}

// params reads parameters that sep separates, name=value or name alone; their names have no case (RFC 3261 7.3.1).
// role is what parameters they are.
func (s *scribe) params(from, to int, sep byte, role string) {
	if from >= to {
		return
	}
	stops := string([]byte{sep})
	s.grow(strings.Count(s.text[from:to], stops))
	for at := from; at < to; {
		end := s.until(at, to, stops)
		first, last := s.trimmed(at, end)
		at = end + 1
		if first == last {
			continue
		}
		value := s.until(first, last, "=")
		_, nameEnd := s.trimmed(first, value)
		name := strings.ToLower(s.text[first:nameEnd])
		value, _ = s.trimmed(min(value+1, last), last)
		p := s.piece(first, last, role+";"+name, paramMeaning(role, name, s.text[value:last]))
		p.value = value
		s.usual(p, usualParam(role, name))
		s.placeParam(p, role, name, value, last)
	}
}

// placeParam makes a parameter that holds an address one that is compared as a place. What a Via says of the address
// that it came from (RFC 3261 18.2.1, RFC 3581 4) follows from the network.
func (s *scribe) placeParam(p *piece, role, name string, from, to int) {
	switch {
	case !s.c.named || role != "param" && role != "uri param":
	case name == "received" || name == "rport":
		p.class, p.why = follows, whyPlace
	case name == "maddr" && s.c.names != nil && s.c.names.Place != nil:
		if who, ok := s.c.names.Place(hostMeaning(s.text[from:to]), ""); ok {
			s.c.stand(p, role+";"+name, who)
		}
	}
}

// paramMeaning is what the value of a parameter means.
func paramMeaning(role, name, value string) string {
	switch role {
	case "uri param":
		return strings.ToLower(escapeMeaning(value)) // RFC 3261 19.1.4
	case "uri header":
		return escapeMeaning(value)
	case "digest":
		return digestMeaning(name, value)
	}
	switch name {
	case "tag", "branch", "to-tag", "from-tag", "id", "icid-value", "info", "boundary":
		return string(sip.Unquote([]byte(value)))
	case "expires", "rport", "ttl", "cause", "retry-after", "duration":
		return trimZeros(value)
	case "q":
		return decimalMeaning(value)
	case "received", "maddr":
		return hostMeaning(value)
	}
	if strings.HasPrefix(value, `"`) {
		return `"` + string(sip.Unquote([]byte(value)))
	}
	return strings.ToLower(value)
}

// digestMeaning is what the value of a parameter of a challenge or of credentials means, with quotes or without.
func digestMeaning(name, value string) string {
	value = string(sip.Unquote([]byte(value)))
	switch name {
	case "algorithm", "qop", "stale", "nc", "response":
		return strings.ToLower(noBlanks(value))
	default:
		return value
	}
}

// usualParam is why a parameter differs in any two calls, empty when it does not.
func usualParam(role, name string) string {
	switch role {
	case "digest":
		switch name {
		case "nonce", "cnonce", "nc", "opaque", "response", "nextnonce", "rspauth":
			return whyNonce
		}
		return ""
	case "uri param":
		switch name {
		case "rinstance", "line", "gr", "alias": // of one registration of a phone (RFC 5627 5)
			return whySession
		case "ftag", "did", "vsf", "vst": // what proxies remember in their Record-Route
			return whyDialog
		}
	case "uri header":
		switch name {
		case "replaces", "join", "target-dialog", "in-reply-to":
			return whyDialog
		}
	case "param":
		switch name {
		case "branch":
			return whyTxn
		case "tag", "to-tag", "from-tag", "local-tag", "remote-tag":
			return whyDialog
		case "+sip.instance", "pub-gruu", "temp-gruu":
			return whySession
		case "boundary":
			return whyBoundary
		case "icid-value":
			return whyCall
		}
	}
	return ""
}

// tokens makes a piece of each element of a list that is a set. An element keeps its own parameters. exact says that
// case matters, as it does for methods (RFC 3261 7.1).
func (s *scribe) tokens(from, to int, sep string, exact bool) {
	s.grow(strings.Count(s.text[from:to], sep))
	for at := from; at < to; {
		end := s.until(at, to, sep)
		first, last := s.trimmed(at, end)
		at = end + 1
		if first == last {
			continue
		}
		meaning := noBlanks(s.text[first:last])
		if !exact {
			meaning = strings.ToLower(meaning)
		}
		s.piece(first, last, "element "+meaning, meaning)
	}
}

// valueParams reads a text with parameters. why is the reason of a text, and of a parameter remote, that differs in
// any two calls.
func (s *scribe) valueParams(from, to int, exact bool, why string) {
	end := s.until(from, to, ";")
	first, last := s.trimmed(from, end)
	meaning := foldBlanks(s.text[first:last])
	if !exact {
		meaning = strings.ToLower(noBlanks(meaning))
	}
	s.usual(s.piece(first, last, "value", meaning), why)
	n := len(s.pieces)
	s.params(end, to, ';', "param")
	remote := s.c.id("param;remote")
	for i := n; i < len(s.pieces); i++ {
		if p := &s.pieces[i]; why == whySession && p.role == remote {
			s.usual(p, why)
		}
	}
}

// number reads digits, what follows them, and parameters.
func (s *scribe) number(id sip.HeaderID, from, to int) {
	end := s.digits(from, to)
	p := s.piece(from, end, "number", trimZeros(s.text[from:end]))
	switch {
	case id == sip.HeaderRSeq:
		s.usual(p, whySequence)
	case id == sip.HeaderContentLength && s.c.bodyLength:
		p.class, p.why = usual, whyBody
	}
	s.params(s.until(end, to, ";"), to, ';', "param")
}

// cseq reads "1 INVITE" (RFC 3261 20.16), or the "1 1 INVITE" of RAck (RFC 3262 7.2). The method has its case.
func (s *scribe) cseq(from, to int) {
	for from < to {
		first, _ := s.trimmed(from, to)
		end := first
		for end < to && !isBlank(s.text[end]) {
			end++
		}
		if word := s.text[first:end]; word != "" && strings.Trim(word, "0123456789") == "" {
			s.usual(s.piece(first, end, "number", trimZeros(word)), whySequence)
		} else {
			s.piece(first, end, "method", word)
		}
		from = end
	}
}

// auth reads the scheme and the parameters of a challenge or of credentials (RFC 3261 25.1), or parameters alone.
func (s *scribe) auth(from, to int) {
	end := from
	for end < to && !isBlank(s.text[end]) && s.text[end] != '=' && s.text[end] != ',' {
		end++
	}
	if next, _ := s.trimmed(end, to); next == to || s.text[next] != '=' {
		s.piece(from, end, "scheme", strings.ToLower(s.text[from:end]))
		from = end
	}
	s.params(from, to, ',', "digest")
}

// trimZeros is a decimal number without leading zeros; what is no number stays as it is.
func trimZeros(t string) string {
	for len(t) > 1 && t[0] == '0' && t[1]-'0' < 10 {
		t = t[1:]
	}
	return t
}

// decimalMeaning is a number such as q, whose trailing zeros mean nothing.
func decimalMeaning(t string) string {
	t = trimZeros(t)
	if strings.IndexByte(t, '.') >= 0 {
		t = strings.TrimRight(strings.TrimRight(t, "0"), ".")
	}
	if t == "" {
		return "0"
	}
	return t
}

// hostMeaning is a host without regard to case; an IPv6 address in one form of the many (RFC 5118 4.5).
func hostMeaning(t string) string {
	if strings.IndexByte(t, ':') >= 0 {
		if a, err := netip.ParseAddr(strings.Trim(t, "[]")); err == nil {
			return a.String()
		}
	}
	return strings.ToLower(t)
}

// escapeMeaning undoes the escapes of characters that are not reserved: to write those escaped makes a difference
// (RFC 3261 19.1.4).
func escapeMeaning(t string) string {
	if strings.IndexByte(t, '%') < 0 {
		return t
	}
	b := make([]byte, 0, len(t))
	for i := 0; i < len(t); i++ {
		if t[i] != '%' || i+2 >= len(t) {
			b = append(b, t[i])
			continue
		}
		v, err := strconv.ParseUint(t[i+1:i+3], 16, 8)
		switch {
		case err != nil:
			b = append(b, '%')
			continue
		case strings.IndexByte(";/?:@&=+$,%", byte(v)) >= 0:
			b = append(b, strings.ToUpper(t[i:i+3])...)
		default:
			b = append(b, byte(v))
		}
		i += 2
	}
	return string(b)
}
