package stream

import (
	"bytes"

	"sipscope/decode/sip"
)

// Out of sync, a start line is looked for by its version: "/2.0" is rare in anything else, and finding four bytes is
// what processors do best. The start line must be followed by a header line, since bodies quote start lines
// (message/sipfrag, RFC 3420). It need not stand at the beginning of a line: bodies often end without a line end.

const (
	version     = "/2.0"
	maxDistance = 2000 // bytes between the beginning of a start line found by its version, and the version
	keepTail    = 2100 // bytes kept so that a start line can straddle two segments: more than maxDistance and a method
	maxName     = 64   // bytes of a header's name
	maxReason   = 2048 // bytes of a status line
	maxLine     = 8192 // bytes of a start line where a message is expected
)

// finding is where a start line was found.
type finding struct {
	match sip.Match
	at    int // of the start line when Matched; of its version when NeedMore
}

// region is the bytes in which a start line is looked for.
type region struct {
	b    []byte
	lo   int  // nothing before it is looked at
	edge bool // lo is the beginning of a line; otherwise nobody knows what is before it
}

// find looks for a start line whose version stands at from or behind it, and before to. With known, the header line that
// follows must be one that sip.LookupHeader knows.
func (r *region) find(from, to int, known bool) finding {
	b := r.b
	for from < to {
		i := bytes.Index(b[from:min(len(b), to+len(version)-1)], []byte(version))
		if i < 0 {
			return finding{}
		}
		i += from
		at, end, m := r.startAt(i)
		if m == sip.Matched {
			m = headerLine(b[end:], known)
		}
		switch m {
		case sip.Matched:
			return finding{sip.Matched, at}
		case sip.NeedMore:
			return finding{sip.NeedMore, i}
		case sip.NoMatch:
		}
		from = i + len(version)
	}
	return finding{}
}

// startAt reads the start line around the version at i: where it begins and where the next line does.
func (r *region) startAt(i int) (at, next int, m sip.Match) {
	b, lo := r.b, r.lo
	if i-3 < lo || b[i-3]|0x20 != 's' || b[i-2]|0x20 != 'i' || b[i-1]|0x20 != 'p' {
		return 0, 0, sip.NoMatch
	}
	j := skipBlanks(b, i+len(version))
	switch rest := b[j:]; {
	case j-i > maxName:
		return 0, 0, sip.NoMatch
	case len(rest) == 0 || len(rest) == 1 && rest[0] == '\r':
		return 0, 0, sip.NeedMore
	case rest[0] == '\n':
		return r.request(i-3, j+1)
	case rest[0] == '\r' && rest[1] == '\n':
		return r.request(i-3, j+2)
	case j > i+len(version):
		return status(b, i-3, lo, j)
	default:
		return 0, 0, sip.NoMatch
	}
}

// skipBlanks gives the offset of the first byte from i on that is no blank, but looks at few.
func skipBlanks(b []byte, i int) int {
	for end := min(len(b), i+2*maxName); i < end && (b[i] == ' ' || b[i] == '\t'); {
		i++
	}
	return i
}

// status reads a status line that begins at "at"; its code is at j.
func status(b []byte, at, lo, j int) (start, next int, m sip.Match) {
	if at > lo && bytes.IndexByte([]byte(" \t:=,;<(\"'/"), b[at-1]) >= 0 {
		return 0, 0, sip.NoMatch // a header's value, or a quotation
	}
	for k := j; k < j+3; k++ {
		if k == len(b) {
			return 0, 0, sip.NeedMore
		}
		if b[k] < '0' || b[k] > '9' {
			return 0, 0, sip.NoMatch
		}
	}
	nl := bytes.IndexByte(b[j:min(len(b), at+maxReason)], '\n')
	switch {
	case nl >= 0:
		return at, j + nl + 1, sip.Matched
	case len(b) < at+maxReason:
		return 0, 0, sip.NeedMore
	default:
		return 0, 0, sip.NoMatch
	}
}

// request reads a request line backwards from its version at v: blanks, URI, blanks, method.
func (r *region) request(v, next int) (start, nextLine int, m sip.Match) {
	b, lo := r.b, max(r.lo, v-maxDistance)
	i := backBlanks(b, v, lo)
	uri := i
	for i > lo && b[i-1] > ' ' {
		i--
	}
	if uri == v || i == uri {
		return 0, 0, sip.NoMatch
	}
	method := backBlanks(b, i, lo)
	if method == i {
		return 0, 0, sip.NoMatch
	}
	at := method
	for at > lo && method-at < maxName && isToken(b[at-1]) {
		at--
	}
	if at == method {
		return 0, 0, sip.NoMatch
	}
	token := b[at:method]
	if sip.LookupMethod(token) != sip.MethodUnknown {
		return at, next, sip.Matched
	}
	if n := knownSuffix(token); n > 0 { // the end of a body, then the method
		return method - n, next, sip.Matched
	}
	if !r.lineAt(at, token) {
		return 0, 0, sip.NoMatch
	}
	return at, next, sip.Matched
}

// lineAt reports whether a line that begins with a token begins at "at".
func (r *region) lineAt(at int, token []byte) bool {
	if at == r.lo {
		return r.edge || !cutMethod(token)
	}
	return control(r.b[at-1])
}

func backBlanks(b []byte, i, lo int) int {
	for i > lo && (b[i-1] == ' ' || b[i-1] == '\t') {
		i--
	}
	return i
}

// knownSuffix gives the length of the known method that a token ends with, 0 for none.
func knownSuffix(token []byte) int {
	for n := min(len(token)-1, 9); n >= 3; n-- {
		if sip.LookupMethod(token[len(token)-n:]) != sip.MethodUnknown {
			return n
		}
	}
	return 0
}

// cutMethod reports whether a token is the rest of a known method: what comes after a gap, or first, may begin anywhere.
func cutMethod(token []byte) bool {
	if sip.LookupMethod(token) != sip.MethodUnknown {
		return false // INFO is no rest, whatever ends with it
	}
	for id := sip.MethodInvite; id <= sip.MethodUpdate; id++ {
		if bytes.HasSuffix([]byte(id.String()), token) {
			return true
		}
	}
	return false
}

// isToken reports whether c may stand in a token (RFC 3261 25.1).
func isToken(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' ||
		bytes.IndexByte([]byte("-.!%*_+`'~"), c) >= 0
}

// headerLine reports whether b begins with a header line: a name, blanks, a colon.
func headerLine(b []byte, known bool) sip.Match {
	n := 0
	for n < len(b) && n <= maxName && isToken(b[n]) {
		n++
	}
	i := skipBlanks(b, n)
	switch {
	case len(b) == 0:
		return sip.NeedMore
	case n == 0 || n > maxName:
		return sip.NoMatch
	case i == len(b):
		return sip.NeedMore
	case b[i] != ':':
		return sip.NoMatch
	case known && sip.LookupHeader(b[:n]) == sip.HeaderOther:
		return sip.NoMatch
	default:
		return sip.Matched
	}
}

// lineBehind reports whether a header line follows the start line that b begins with.
func lineBehind(b []byte, known bool) sip.Match {
	nl := bytes.IndexByte(b[:min(len(b), maxLine)], '\n')
	switch {
	case nl >= 0:
		return headerLine(b[nl+1:], known)
	case len(b) >= maxLine:
		return sip.NoMatch
	default:
		return sip.NeedMore
	}
}

// tail gives where the bytes of b[lo:end] begin that a start line which goes on behind end could begin in: a start line
// has no control characters.
func tail(b []byte, lo, end int) int {
	lo = max(lo, end-keepTail)
	if end > lo && b[end-1] == '\r' {
		end--
	}
	for end > lo && !control(b[end-1]) {
		end--
	}
	return end
}

// control reports whether c is one of the characters that no start line has. Lines end with them.
func control(c byte) bool { return c < ' ' && c != '\t' }

// beginsStart reports whether b is the beginning of a start line of a known method, or of a status line. It is for the
// last bytes of a body, whose Content-Length may claim the first bytes of the next message.
func beginsStart(b []byte) bool {
	const status = "SIP/2.0 "
	if len(b) == 0 || len(b) > maxDistance {
		return false
	}
	if n := min(len(b), len(status)); string(b[:n]) == status[:n] {
		return true
	}
	for id := sip.MethodInvite; id <= sip.MethodUpdate; id++ {
		m := id.String()
		n := min(len(b), len(m))
		if string(b[:n]) == m[:n] && (n == len(b) || b[n] == ' ') {
			return true
		}
	}
	return false
}
