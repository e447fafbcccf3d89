package sip

import (
	"bytes"
	"errors"
)

// ErrNotSIP says that the text does not begin with a SIP start line.
var ErrNotSIP = errors.New("not SIP: no request line or status line")

// Parse reads raw, one message as a whole (from the start line to the end of the body or of the datagram), into m. It
// fails, with ErrNotSIP, only when raw does not begin with a start line (see IsStart); every other departure becomes a
// Diag, and the message is read as a person would read it. m keeps raw and points into it: raw must not change as long
// as m is in use. The slices of m are used again, so that parsing does not allocate once they have grown.
func Parse(raw []byte, m *Message) error {
	headers, diags := m.Headers[:0], m.Diags[:0]
	*m = Message{}
	m.Raw, m.Headers, m.Diags = raw, headers, diags
	m.Expires, m.MinExpires, m.MaxForwards, m.ContentLength = -1, -1, -1, -1
	p := parser{m: m, raw: raw}
	at, ok := p.startLine()
	if !ok {
		m.Diags = m.Diags[:0]
		return ErrNotSIP
	}
	at = p.headers(at)
	m.Head = u32(at)
	p.body(at)
	p.check()
	return nil
}

// parser holds what a Parse needs beyond the message.
type parser struct {
	m       *Message
	raw     []byte
	lfOnly  bool // a line that ends in LF alone was met
	control bool // a control character was met
	quiet   bool // diags are not wanted
	seen    [2]uint64
	length  Span // the value of Content-Length
	cseq    Span // the value of CSeq
	params  paramScan
}

// The header set of a parser has a bit for each HeaderID.
const _ = uint(128 - headers)

func u32(i int) uint32 { return uint32(i) } //nolint:gosec // a message is far below 4 GiB

// sp is the span that begins at from and ends before to.
func sp(from, to int) Span { return Span{u32(from), u32(to - from)} }

// maxDiags bounds the diags of a message: a hostile one must not grow the list without end.
const maxDiags = 64

func (p *parser) diag(code DiagCode, s Span) {
	if p.quiet {
		return
	}
	switch n := len(p.m.Diags); {
	case n < maxDiags-1:
		p.m.Diags = append(p.m.Diags, Diag{code, s})
	case n == maxDiags-1:
		p.m.Diags = append(p.m.Diags, Diag{DiagMore, s})
	}
}

// mark notes that a header was met, and reports whether it was before.
func (p *parser) mark(id HeaderID) (again bool) {
	bit := uint64(1) << (id & 63)
	again = p.seen[id>>6]&bit != 0
	p.seen[id>>6] |= bit
	return again
}

func (p *parser) met(id HeaderID) bool { return p.seen[id>>6]&(1<<(id&63)) != 0 }

// line finds the end of the line that at is in, without its CR LF, and where the next one begins.
func (p *parser) line(at int) (end, next int) {
	raw := p.raw
	for i := at; ; i++ {
		i = nextControl(raw, i)
		if i == len(raw) {
			return i, i
		}
		switch raw[i] {
		case '\r':
			if i+1 < len(raw) && raw[i+1] == '\n' {
				return i, i + 2
			}
			p.controlChar(i)
		case '\n':
			if !p.lfOnly {
				p.lfOnly = true
				p.diag(DiagLineEnd, sp(i, i+1))
			}
			return i, i + 1
		case '\t':
		default:
			p.controlChar(i)
		}
	}
}

// controlChar notes a control character, unless it is escaped as a quoted-pair (RFC 3261 25.1, RFC 4475 3.1.1.2).
func (p *parser) controlChar(i int) {
	if !p.control && (i == 0 || p.raw[i-1] != '\\' || p.raw[i] == '\r') {
		p.control = true
		p.diag(DiagControl, sp(i, i+1))
	}
}

// startLine reads the first line and gives where the headers begin.
func (p *parser) startLine() (next int, ok bool) {
	raw := p.raw
	if len(raw) == 0 || !isToken(raw[0]) {
		return 0, false
	}
	if lower(raw[0]) == 's' && matchStatusLine(raw) == Matched {
		end, at := p.line(0)
		p.statusLine(end)
		return at, true
	}
	end, next := p.line(0)
	r, ok := splitRequestLine(raw[:end])
	if ok {
		p.requestLine(r, end)
	}
	return next, ok
}

func (p *parser) requestLine(r requestLine, end int) {
	m, raw := p.m, p.raw
	m.Request = true
	m.Method = sp(0, r.method)
	m.MethodID = LookupMethod(raw[:r.method])
	m.Version = sp(r.version, r.lineTo)
	p.version()
	if r.uriFrom-r.method != 1 || r.version-r.uriTo != 1 || r.lineTo != end {
		p.diag(DiagStartLineBlanks, sp(0, end))
	}
	from, to := r.uriFrom, r.uriTo
	if raw[from] == '<' {
		p.diag(DiagURIBrackets, sp(from, to))
		from++
		if to > from && raw[to-1] == '>' {
			to--
		}
	}
	m.URI = sp(from, to)
	if bytes.IndexByte(raw[from:to], ' ') >= 0 {
		p.diag(DiagURIBlanks, m.URI)
	}
	u := splitURI(raw, from, to)
	switch {
	case u.scheme.Empty():
		p.diag(DiagURI, m.URI)
	case u.odd:
		p.diag(DiagHost, m.URI)
	}
	if !u.headers.Empty() && isSIPScheme(u.scheme.Of(raw)) {
		p.diag(DiagURIHeaders, u.headers)
	}
}

func (p *parser) version() {
	if string(p.m.Version.Of(p.raw)) != "SIP/2.0" {
		p.diag(DiagVersion, p.m.Version)
	}
}

// statusLine reads "SIP/2.0 200 OK" (RFC 3261 7.2), whose first two parts are known to be there.
func (p *parser) statusLine(end int) {
	const version = len("SIP/2.0")
	m, raw := p.m, p.raw
	m.Version = sp(0, version)
	p.version()
	from := skipBlanks(raw, version, end)
	if from != version+1 {
		p.diag(DiagStartLineBlanks, sp(0, end))
	}
	i, code := from, 0
	for i < end && isDigit(raw[i]) {
		code = min(code*10+int(raw[i]-'0'), 1<<16-1)
		i++
	}
	m.Status = uint16(code)
	if i-from != 3 || code < 100 || code > 699 {
		p.diag(DiagStatus, sp(from, i))
	}
	if i < end && raw[i] == ' ' {
		i++
	} else {
		p.diag(DiagStatus, sp(from, end)) // the blank before the reason phrase is not optional, the phrase is
	}
	m.Reason = sp(i, backBlanks(raw, i, end))
}

// headers reads the header lines from at on and returns where the body begins.
func (p *parser) headers(at int) int {
	raw := p.raw
	for at < len(raw) {
		switch {
		case raw[at] == '\r' && at+1 < len(raw) && raw[at+1] == '\n':
			return at + 2
		case raw[at] == '\n':
			_, next := p.line(at)
			return next
		}
		id, colon := p.name(at)
		start := at
		var end int
		end, at = p.line(max(at, colon))
		for at < len(raw) && (raw[at] == ' ' || raw[at] == '\t') { // folded (RFC 3261 7.3.1)
			end, at = p.line(at)
		}
		if colon < 0 {
			if colon = p.oddName(start, end); colon < 0 {
				continue
			}
			id = LookupHeader(trimRight(raw[start:colon]))
		}
		p.header(id, start, colon, end)
	}
	p.diag(DiagHeadOpen, sp(len(raw), len(raw)))
	return len(raw)
}

// name finds a header name of the table that begins at at, and the colon right after it; -1 when there is none.
func (p *parser) name(at int) (id HeaderID, colon int) {
	raw := p.raw
	if usual, size := usualHeader(raw[at:]); size > 0 {
		return usual, at + size - 1
	}
	n := colonWithin(raw, at)
	if n < 0 {
		return HeaderOther, -1
	}
	if id = LookupHeader(raw[at : at+n]); id == HeaderOther {
		return HeaderOther, -1
	}
	return id, at + n
}

// oddName finds the colon of a header line that name knows nothing of: with blanks before the colon, or an extension.
func (p *parser) oddName(start, end int) (colon int) {
	n := bytes.IndexByte(p.raw[start:end], ':')
	if n < 0 {
		p.diag(DiagNoColon, sp(start, end))
		return -1
	}
	colon = start + n
	if name := trimRight(p.raw[start:colon]); !allToken(name) {
		p.diag(DiagHeaderName, sp(start, colon))
	}
	return colon
}

// header takes one header, folds included.
func (p *parser) header(id HeaderID, start, colon, end int) {
	raw := p.raw
	from := colon + 1
	if from < end && raw[from] == ' ' {
		from++
	}
	if from < end && isBlank(raw[from]) {
		from = skipBlanks(raw, from, end)
	}
	to := backBlanks(raw, from, end)
	p.m.Headers = append(p.m.Headers, Header{
		ID: id, Name: sp(start, backBlanks(raw, start, colon)), Value: sp(from, to),
	})
	if id != HeaderOther {
		p.known(id, from, to)
	}
}

// body bounds the body: by Content-Length where more follows, by what is there where less does (RFC 3261 18.3).
func (p *parser) body(at int) {
	m := p.m
	have := int64(len(p.raw) - at)
	size := have
	switch {
	case m.ContentLength < 0:
	case m.ContentLength < have:
		size = m.ContentLength
		p.diag(DiagLengthShort, p.length)
	case m.ContentLength > have:
		p.diag(DiagLengthLong, p.length)
	}
	m.Body = sp(at, at+int(size))
	if size > 0 && m.ContentType.Empty() {
		p.diag(DiagBodyType, m.Body)
	}
}

// check looks at the message as a whole.
func (p *parser) check() {
	m := p.m
	if !m.Request {
		m.Method, m.MethodID = m.CSeqMethod, m.CSeqMethodID
	} else if m.HasCSeq && (m.MethodID != m.CSeqMethodID ||
		m.MethodID == MethodUnknown && !bytes.Equal(m.Method.Of(p.raw), m.CSeqMethod.Of(p.raw))) {
		p.diag(DiagCSeqMethod, p.cseq)
	}
	p.missing()
	if m.From.Tag.Empty() && p.met(HeaderFrom) {
		p.diag(DiagFromTag, m.From.URI)
	}
	if !m.Request && m.Status > 100 && m.To.Tag.Empty() && p.met(HeaderTo) {
		p.diag(DiagToTag, m.To.URI)
	}
	if m.Vias > 0 && !hasCookie(m.Via.Branch.Of(p.raw)) {
		p.diag(DiagBranch, m.Via.SentBy)
	}
}

// Headers that every message must have, and every request (RFC 3261 8.1.1), by the word of parser.seen.
const (
	needLow = 1<<HeaderCallID | 1<<HeaderCSeq | 1<<HeaderFrom
	needTo  = 1<<(HeaderTo-64) | 1<<(HeaderVia-64)
)

// missing looks for the headers that every message must have.
func (p *parser) missing() {
	if p.seen[0]&needLow != needLow || p.seen[1]&needTo != needTo {
		p.without(HeaderVia, DiagMissingVia)
		p.without(HeaderFrom, DiagMissingFrom)
		p.without(HeaderTo, DiagMissingTo)
		p.without(HeaderCallID, DiagMissingCallID)
		p.without(HeaderCSeq, DiagMissingCSeq)
	}
	if !p.m.Request {
		return
	}
	p.without(HeaderMaxForwards, DiagMissingMaxForwards)
	if p.m.MethodID == MethodInvite {
		p.without(HeaderContact, DiagMissingContact)
	}
}

func (p *parser) without(id HeaderID, code DiagCode) {
	if !p.met(id) {
		p.diag(code, Span{})
	}
}
