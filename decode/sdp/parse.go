package sdp

import "bytes"

// Parse reads a session description. It never fails: what cannot be read is missing from the Session, and in the diags,
// which are also the Session's.
func Parse(b []byte) (Session, []Diag) {
	var s Session
	ParseInto(b, &s)
	return s, s.Diags
}

// ParseInto is Parse into a Session that may have been used before; its slices are used again.
func ParseInto(b []byte, s *Session) {
	*s = Session{Groups: s.Groups[:0], Media: s.Media[:0], Diags: s.Diags[:0]}
	p := parser{s: s, b: b}
	for at := 0; at < len(b); {
		end, next := len(b), len(b)
		if i := bytes.IndexByte(b[at:], '\n'); i >= 0 {
			end, next = at+i, at+i+1
		}
		crlf := end > at && end < len(b) && b[end-1] == '\r'
		if !crlf && end < len(b) {
			p.once(DiagLineEnd, end, end+1)
		}
		for end > at && (b[end-1] == '\r' || b[end-1] == 0) {
			end--
		}
		if end > at {
			p.line(at, end)
		}
		at = next
	}
	p.finish()
}

type parser struct {
	s     *Session
	b     []byte
	m     *Media // that the lines belong to; nil before the first m=
	met   [26]bool
	rank  uint8
	onced uint64 // codes that are told once, by bit
	skip  bool   // the lines belong to a medium beyond maxMedia
}

const maxDiags = 64

func (p *parser) diag(code DiagCode, from, to int) {
	switch n := len(p.s.Diags); {
	case n < maxDiags-1:
	case n == maxDiags-1:
		code = DiagMore
	default:
		return
	}
	p.s.Diags = append(p.s.Diags, Diag{
		Code: code, Off: uint32(from), Len: uint32(to - from), //nolint:gosec // a body is far below 4 GiB
	})
}

func (p *parser) once(code DiagCode, from, to int) {
	if p.onced&(1<<code) == 0 {
		p.onced |= 1 << code
		p.diag(code, from, to)
	}
}

// line reads "x=value". Blanks around the "=" are no SDP, and read (RFC 8866 5).
func (p *parser) line(from, to int) {
	b := p.b
	kind := b[from]
	i := skipBlanks(b, from+1, to)
	if i == to || b[i] != '=' || kind-'a' > 'z'-'a' {
		p.diag(DiagLine, from, to)
		return
	}
	at := skipBlanks(b, i+1, to)
	if i != from+1 || at != i+1 && kind != 's' {
		p.diag(DiagBlanks, from, to)
	}
	p.order(kind, from, to)
	p.met[kind-'a'] = true
	value := bytes.TrimRight(b[at:to], " \t")
	if kind == 'm' {
		p.media(value, from, to)
		return
	}
	if !p.skip {
		p.value(kind, value, from, to)
	}
}

// value reads what a line other than m= says; from and to are the line's.
func (p *parser) value(kind byte, value []byte, from, to int) {
	switch kind {
	case 'v':
		if string(value) != "0" {
			p.diag(DiagVersion, from, to)
		}
	case 'o':
		p.origin(value, from, to)
	case 's':
		p.s.Name = value
	case 'c':
		p.connection(value, from, to)
	case 't':
		if p.s.Timing == nil {
			p.s.Timing = value
		}
	case 'a':
		p.attribute(value, from, to)
	}
}

// order checks the order of lines (RFC 8866 5) of the session and of each medium.
func (p *parser) order(kind byte, from, to int) {
	sequence := "vosiuepcbtrzka"
	if p.m != nil {
		sequence = "micbka"
	}
	i := bytes.IndexByte([]byte(sequence), kind)
	switch {
	case kind == 'm':
		p.rank = 0
	case i < 0:
		p.diag(DiagLine, from, to)
	case i < int(p.rank) && (p.rank != rankOf(sequence, 'r') || kind != 't'): // t= and r= may take turns
		p.once(DiagOrder, from, to)
	default:
		p.rank = uint8(i) //nolint:gosec // below 14
	}
}

func rankOf(sequence string, kind byte) uint8 {
	for i := range len(sequence) {
		if sequence[i] == kind {
			return uint8(i)
		}
	}
	return 255
}

func (p *parser) origin(value []byte, from, to int) {
	o := &p.s.Origin
	f := fields{rest: value}
	o.Username, o.SessionID, o.Version = f.next(), f.next(), f.next()
	f.next() // IN
	o.AddrType, o.Address = f.next(), f.next()
	if o.Address == nil || f.next() != nil {
		p.diag(DiagOrigin, from, to)
	}
}

func (p *parser) connection(value []byte, from, to int) {
	f := fields{rest: value}
	network := f.next()
	c := Connection{AddrType: f.next(), Address: f.next()}
	c.Address, _, _ = bytes.Cut(c.Address, []byte("/"))
	if string(network) != "IN" || string(c.AddrType) != "IP4" && string(c.AddrType) != "IP6" || len(c.Address) == 0 {
		p.diag(DiagConnection, from, to)
	}
	if len(c.Address) == 0 {
		return
	}
	if p.m != nil {
		if p.m.Connection.Address == nil {
			p.m.Connection = c // of several layers the first
		}
		return
	}
	p.s.Connection = c
}

// media reads "audio 49170/2 RTP/AVP 0 8".
func (p *parser) media(value []byte, from, to int) {
	s := p.s
	if p.skip = len(s.Media) >= maxMedia; p.skip {
		p.once(DiagMore, from, to)
		return
	}
	if len(s.Media) < cap(s.Media) {
		s.Media = s.Media[:len(s.Media)+1]
	} else {
		s.Media = append(s.Media, Media{})
	}
	m := &s.Media[len(s.Media)-1]
	*m = Media{Ports: 1, Formats: m.Formats[:0], Candidates: m.Candidates[:0]}
	p.m = m
	f := fields{rest: value}
	m.Type = f.next()
	port, ports, several := bytes.Cut(f.next(), []byte("/"))
	n, ok := number(port, 1<<16-1)
	m.Port = uint16(n) //nolint:gosec // at most 65535
	if several {
		var good bool
		n, good = number(ports, 1<<16-1)
		m.Ports = max(1, uint16(n)) //nolint:gosec // at most 65535
		ok = ok && good
	}
	m.Proto = f.next()
	for {
		text := f.next()
		if text == nil {
			break
		}
		if len(m.Formats) == maxFormats {
			p.once(DiagMore, from, to)
			break
		}
		m.Formats = append(m.Formats, format(text, m))
	}
	if !ok || m.Proto == nil || len(m.Formats) == 0 {
		p.diag(DiagMedia, from, to)
	}
}

// format makes a format of an m= line.
func format(text []byte, m *Media) Format {
	f := Format{Text: text, PT: -1}
	if n, ok := number(text, 127); ok && m.RTP() {
		f.PT = int16(n) //nolint:gosec // at most 127
	}
	return f
}

// finish gives each medium what the session says for all, and looks for what is missing.
func (p *parser) finish() {
	s := p.s
	end := len(p.b)
	for _, need := range [...]struct {
		kind byte
		code DiagCode
	}{
		{'v', DiagMissingVersion}, {'o', DiagMissingOrigin}, {'s', DiagMissingName}, {'t', DiagMissingTime},
	} {
		if !p.met[need.kind-'a'] {
			p.diag(need.code, end, end)
		}
	}
	for i := range s.Media {
		m := &s.Media[i]
		if m.Connection.Address == nil {
			m.Connection = s.Connection
		}
		if m.Connection.Address == nil && !m.Rejected() {
			p.once(DiagMissingConnection, end, end)
		}
		if m.Direction == Unstated {
			m.Direction = s.Direction
		}
		if m.Setup == nil {
			m.Setup = s.Setup
		}
		m.Fingerprint = m.Fingerprint || s.Fingerprint
	}
}

// fields cuts words off a line; blanks of any number separate them.
type fields struct{ rest []byte }

// next gives the next word, nil after the last one.
func (f *fields) next() []byte {
	i := skipBlanks(f.rest, 0, len(f.rest))
	j := i
	for j < len(f.rest) && !isBlank(f.rest[j]) {
		j++
	}
	word := f.rest[i:j]
	f.rest = f.rest[j:]
	if len(word) == 0 {
		return nil
	}
	return word
}

func skipBlanks(b []byte, i, end int) int {
	for i < end && isBlank(b[i]) {
		i++
	}
	return i
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// number reads a decimal number of at most most.
func number(b []byte, most uint32) (n uint32, ok bool) {
	if len(b) == 0 || len(b) > 10 {
		return 0, false
	}
	var v uint64
	for _, c := range b {
		if c-'0' > 9 {
			return 0, false
		}
		v = v*10 + uint64(c-'0')
	}
	if v > uint64(most) {
		return 0, false
	}
	return uint32(v), true
}

// contains looks for upper-case text, whatever the case in b.
func contains(b []byte, text string) bool {
	for i := 0; i+len(text) <= len(b); i++ {
		if equalFold(b[i:i+len(text)], text) {
			return true
		}
	}
	return false
}

// equalFold compares ASCII letters whatever their case.
func equalFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i, c := range b {
		x := c ^ s[i]
		if x != 0 && (x != 0x20 || (c|0x20)-'a' > 'z'-'a') {
			return false
		}
	}
	return true
}
