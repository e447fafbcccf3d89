package sip

import "bytes"

// address reads a name-addr or addr-spec with its parameters (RFC 3261 20.10, 25.1) out of raw[from:to] and returns
// where it ends: in a list at the comma before the next value, else at to.
func (p *parser) address(a *Address, from, to int, list bool) int {
	raw := p.raw
	i := skipBlanks(raw, from, to)
	if i < to && raw[i] == '"' {
		i = p.quotedDisplay(a, i, to)
	}
	open := i
	if open == to || raw[open] != '<' {
		open = angle(raw, i, to, list)
	}
	if open >= 0 {
		if open > i {
			p.display(a, i, open)
		}
		var ok bool
		if i, ok = plainURI(a, raw, open, to); !ok {
			i = p.bracketURI(a, open, to, list)
		}
	} else {
		if !a.Display.Empty() {
			p.diag(DiagBracket, sp(from, to))
		}
		i = p.bareURI(a, i, to)
	}
	if a.URI.Empty() || a.Scheme.Empty() {
		p.diag(DiagAddress, sp(from, to))
	}
	return p.addressParams(a, i, to, list)
}

// quotedDisplay reads a quoted display name and gives where the URI may begin. A quote that is never closed is closed
// where the URI begins, as a person would read it (RFC 4475 3.1.2.6).
func (p *parser) quotedDisplay(a *Address, i, to int) int {
	end := closeQuote(p.raw, i, to)
	if end < to {
		a.Display = sp(i+1, end)
		return skipBlanks(p.raw, end+1, to)
	}
	p.diag(DiagQuote, sp(i, to))
	if n := bytes.IndexByte(p.raw[i:to], '<'); n > 0 {
		a.Display = sp(i+1, backBlanks(p.raw, i+1, i+n))
		return i + n
	}
	a.Display = sp(i+1, to)
	return to
}

// display takes an unquoted display name, which is made of tokens (RFC 4475 3.1.2.15 has one that is not).
func (p *parser) display(a *Address, from, to int) {
	to = backBlanks(p.raw, from, to)
	if !a.Display.Empty() { // a quoted one and more
		p.diag(DiagDisplay, sp(int(a.Display.Off), to))
		return
	}
	a.Display = sp(from, to)
	for _, c := range p.raw[from:to] {
		if classes[c]&(classToken|classBlank) == 0 {
			p.diag(DiagDisplay, a.Display)
			return
		}
	}
}

// maxDisplay bounds how far behind a comma of a list the "<" of an unquoted display name is looked for.
const maxDisplay = 64

// angle finds the "<" of a name-addr, -1 for an addr-spec. A ";" before it begins the parameters of an addr-spec, and a
// comma the next value of a list, except in the middle of what can only be a display name.
func angle(raw []byte, i, to int, list bool) int {
	uri := false
	for ; i < to; i++ {
		switch raw[i] {
		case '<':
			return i
		case ';':
			return -1
		case ':', '@':
			uri = true
		case ',':
			if list && uri {
				return -1
			}
			if list {
				to = min(to, i+maxDisplay)
			}
		}
	}
	return -1
}

// plainURI reads "<sip:user@host:port;params>", which most addresses are, in one go and as bracketURI would. Of
// anything else it reads nothing.
func plainURI(a *Address, raw []byte, open, to int) (next int, ok bool) {
	const start = "<sip:"
	b := raw[open:to]
	if len(b) < len(start) || string(b[:len(start)]) != start {
		return open, false
	}
	at := len(start) + run(b[len(start):], classUser)
	if at == len(b) || b[at] != '@' {
		return open, false
	}
	host := at + 1 + run(b[at+1:], classHost)
	port, end := plainPort(b, host)
	if end < len(b) && b[end] == ';' {
		end = max(end, closeBracket(b, end, len(b)))
	}
	if end == len(b) || b[end] != '>' || host == at+1 || isBlank(b[end-1]) {
		return open, false
	}
	a.URI = sp(open+1, open+end)
	a.Scheme = sp(open+1, open+len(start)-1)
	a.User = sp(open+len(start), open+at)
	a.Host = sp(open+at+1, open+host)
	a.Port = port
	return open + end + 1, true
}

// plainPort reads ":5060", or nothing; what is no port it leaves.
func plainPort(b []byte, i int) (port uint16, end int) {
	if i == len(b) || b[i] != ':' {
		return 0, i
	}
	n := 0
	for end = i + 1; end < len(b) && isDigit(b[end]) && n < 1<<16; end++ {
		n = n*10 + int(b[end]-'0')
	}
	if end == i+1 || n >= 1<<16 {
		return 0, i
	}
	return uint16(n), end
}

// bracketURI reads "<URI>" and gives what follows it.
func (p *parser) bracketURI(a *Address, open, to int, list bool) int {
	raw := p.raw
	var end, next int
	if end = closeBracket(raw, open, to); end >= 0 {
		next = end + 1
	} else {
		p.diag(DiagBracket, sp(open, to))
		end = open + 1
		for end < to && raw[end] != ';' && !isBlank(raw[end]) && (raw[end] != ',' || !list) {
			end++
		}
		next = end
	}
	from := skipBlanks(raw, open+1, end)
	trimmed := backBlanks(raw, from, end)
	if from != open+1 || trimmed != end {
		p.diag(DiagURIBlanks, sp(open, next))
	}
	p.addressURI(a, from, trimmed)
	return next
}

// bareURI reads an addr-spec: a parameter after it belongs to the header, and one with "?" or "," needs brackets
// (RFC 3261 20.10).
func (p *parser) bareURI(a *Address, i, to int) int {
	raw := p.raw
	end := i
	for end < to && raw[end] != ';' && raw[end] != ',' && !isBlank(raw[end]) {
		end++
	}
	if bytes.IndexByte(raw[i:end], '?') >= 0 {
		p.diag(DiagBracket, sp(i, end))
	}
	p.addressURI(a, i, end)
	return end
}

func (p *parser) addressURI(a *Address, from, to int) {
	u := splitURI(p.raw, from, to)
	a.URI = sp(from, to)
	a.Scheme, a.User, a.Host, a.Port = u.scheme, u.user, u.host, u.port
	if u.odd && from < to {
		p.diag(DiagHost, a.URI)
	}
}

// addressParams reads the parameters after the URI, and gives where the value ends.
func (p *parser) addressParams(a *Address, i, to int, list bool) int {
	raw := p.raw
	if i < to && raw[i] != ';' {
		i = skipBlanks(raw, i, to)
	}
	a.Params = Span{u32(i), 0}
	if i == to || raw[i] == ',' && list {
		return i
	}
	if raw[i] != ';' {
		p.diag(DiagAddress, sp(i, to))
		if i = p.junk(i, to, list); i == to || raw[i] == ',' && list {
			return i
		}
	}
	s := &p.params
	s.reset(raw, i, to, list)
	for s.next() {
		p.addressParam(a, s)
	}
	a.Params = sp(i, backBlanks(raw, i, s.i))
	if s.empty {
		p.diag(DiagParams, a.Params)
	}
	return s.i
}

// addressParam takes a parameter that matters. Of two tags the first counts.
func (p *parser) addressParam(a *Address, s *paramScan) {
	switch name := s.name.Of(p.raw); len(name) {
	case len("tag"):
		if a.Tag.Empty() && equalFold(name, "tag") {
			a.Tag = s.value
		}
	case len("expires"):
		if equalFold(name, "expires") {
			if n := digits(s.value.Of(p.raw)); n < 0 || n > maxSeconds {
				p.diag(DiagNumber, s.value)
			}
		}
	}
}

// junk skips what stands between a URI and its parameters.
func (p *parser) junk(i, to int, list bool) int {
	for i < to && p.raw[i] != ';' && (p.raw[i] != ',' || !list) {
		i++
	}
	return i
}

// contacts counts the values of a Contact header and reads the very first (RFC 3261 20.10).
func (p *parser) contacts(from, to int) {
	m := p.m
	if to-from == 1 && p.raw[from] == '*' {
		m.ContactStar = true
		m.Contacts++
		return
	}
	if m.Contacts == 0 && from < to {
		m.Contacts++
		from = p.address(&m.Contact, from, to, true) + 1
	}
	m.Contacts += p.countValues(from, to, m.Contacts)
}

// maxValues is how far the values of lists are counted.
const maxValues = 1 << 15

// countValues counts the values of the comma-separated list raw[from:to], as long as have and they are few enough for
// the count.
func (p *parser) countValues(from, to int, have uint16) uint16 {
	n := uint16(0)
	if from < to && have < maxValues && bytes.IndexByte(p.raw[from:to], ',') < 0 {
		return 1
	}
	for from < to && have+n < maxValues {
		end := nextComma(p.raw, from, to)
		if skipBlanks(p.raw, from, end) < end {
			n++
		}
		from = end + 1
	}
	return n
}

// ParseAddress reads one name-addr or addr-spec with its parameters (RFC 3261 20.10). The spans are into b.
func ParseAddress(b []byte) Address {
	var a Address
	p := parser{m: &Message{}, raw: b, quiet: true}
	p.address(&a, 0, len(b), false)
	return a
}
