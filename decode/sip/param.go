package sip

import "bytes"

// paramScan walks over ";name=value;name" (RFC 3261 25.1, generic-param), with blanks wherever a message may have them.
type paramScan struct {
	raw  []byte
	i    int  // of the next ";"
	to   int  // where the parameters end at the latest
	list bool // a comma outside quotes ends them: the next value of a list follows

	name, value Span // of the last one found; the value without its quotes, its escapes kept
	hasValue    bool
	empty       bool // ";;", or a ";" that nothing follows, was met
}

// reset makes s ready for raw[i:to]. It leaves the fields alone that next sets.
func (s *paramScan) reset(raw []byte, i, to int, list bool) {
	s.raw, s.i, s.to, s.list, s.empty = raw, i, to, list, false
}

// next finds the next parameter. When it reports false, s.i is the index of the comma, or s.to.
func (s *paramScan) next() bool { return s.plain() || s.odd() }

// plain reads ";name=value" without blanks and quotes, as most parameters are; of anything else it reads nothing.
func (s *paramScan) plain() bool {
	if s.i >= s.to || s.raw[s.i] != ';' {
		return false
	}
	b := s.raw[s.i+1 : s.to]
	name := run(b, classToken)
	if name == 0 || name == len(b) || b[name] != '=' {
		return false
	}
	value := run(b[name+1:], classValue)
	end := name + 1 + value
	if end < len(b) && !s.ends(b[end]) {
		return false
	}
	from := u32(s.i + 1)
	s.name = Span{from, u32(name)}
	s.value = Span{from + u32(name+1), u32(value)}
	s.hasValue = true
	s.i += 1 + end
	return true
}

// odd reads any parameter.
func (s *paramScan) odd() bool {
	raw := s.raw
	for s.i < s.to {
		switch {
		case raw[s.i] == ';':
			s.i++
		case raw[s.i] == ',' && s.list:
			return false
		}
		from := skipBlanks(raw, s.i, s.to)
		end := from
		for end < s.to && !s.ends(raw[end]) && raw[end] != '=' {
			end++
		}
		s.name = sp(from, backBlanks(raw, from, end))
		s.i, s.hasValue, s.value = end, false, Span{u32(end), 0}
		if end < s.to && raw[end] == '=' {
			s.hasValue = true
			s.readValue(end + 1)
		}
		if !s.name.Empty() || s.hasValue {
			return true
		}
		s.empty = true
	}
	return false
}

func (s *paramScan) ends(c byte) bool { return c == ';' || c == ',' && s.list }

// readValue reads the value that begins at from, quoted or not.
func (s *paramScan) readValue(from int) {
	raw := s.raw
	i := skipBlanks(raw, from, s.to)
	if i < s.to && raw[i] == '"' {
		end := closeQuote(raw, i, s.to)
		s.value = sp(i+1, end)
		for i = end; i < s.to && !s.ends(raw[i]); {
			i++
		}
		s.i = i
		return
	}
	end := i
	for end < s.to && !s.ends(raw[end]) {
		end++
	}
	s.value = sp(i, backBlanks(raw, i, end))
	s.i = end
}

// Param finds a parameter by name, whatever its case, in ";a=b;c" (RFC 3261 25.1). name is in lower case. A quoted
// value comes without its quotes, escapes kept; a parameter without a value gives an empty one.
func Param(params []byte, name string) (value []byte, ok bool) {
	s := paramScan{raw: params, to: len(params)}
	for s.next() {
		if equalFold(s.name.Of(params), name) {
			return s.value.Of(params), true
		}
	}
	return nil, false
}

// Params calls yield for each parameter of ";a=b;c" in turn: its name as written, and its value as Param gives it.
func Params(params []byte) func(yield func(name, value []byte) bool) {
	return func(yield func(name, value []byte) bool) {
		s := paramScan{raw: params, to: len(params)}
		for s.next() {
			if !yield(s.name.Of(params), s.value.Of(params)) {
				return
			}
		}
	}
}

// closeQuote finds the quote that closes the one at i, or end.
func closeQuote(b []byte, i, end int) int {
	for i++; i < end; i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return end
}

// closeBracket finds the ">" that closes the "<" at i, -1 when another "<" or the end comes first: a URI has neither, and
// a search that stops there looks at each byte once, however many brackets a hostile text opens.
func closeBracket(b []byte, i, end int) int {
	for i++; i < end; i++ {
		switch b[i] {
		case '>':
			return i
		case '<':
			return -1
		}
	}
	return -1
}

// nextComma finds the first comma of b[i:end] that separates two values: outside quotes and angle brackets. Without
// one it gives end.
func nextComma(b []byte, i, end int) int {
	for ; i < end; i++ {
		switch b[i] {
		case ',':
			return i
		case '"':
			i = closeQuote(b, i, end)
		case '<':
			i = max(i, closeBracket(b, i, end))
		}
	}
	return end
}

// nextSemicolon finds the first semicolon of b outside quotes, or its end.
func nextSemicolon(b []byte) int {
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case ';':
			return i
		case '"':
			i = closeQuote(b, i, len(b))
		}
	}
	return len(b)
}

// Unquote takes the quotes and the escapes off a quoted-string (RFC 3261 25.1); other text, and what Param and
// Address.Display give, only loses its escapes. It allocates only when there is one.
func Unquote(b []byte) []byte {
	if len(b) >= 2 && b[0] == '"' && b[len(b)-1] == '"' {
		b = b[1 : len(b)-1]
	}
	if bytes.IndexByte(b, '\\') < 0 {
		return b
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+1 < len(b) {
			i++
		}
		out = append(out, b[i])
	}
	return out
}
