package sip

import "bytes"

// Match is the answer of a search in bytes that may end too early to tell.
type Match uint8

// Answers.
const (
	NoMatch  Match = iota // it is not there, whatever follows
	NeedMore              // what follows will tell
	Matched               // it is there, whatever follows
)

// SkipCRLF counts the CR and LF bytes that b begins with: empty lines before a start line (RFC 3261 7.5) and the
// keep-alives of RFC 5626 3.5.1.
func SkipCRLF(b []byte) int {
	for i, c := range b {
		if c != '\r' && c != '\n' {
			return i
		}
	}
	return len(b)
}

// Bounds of what a stream may hold before its first line is known to be no start line. A datagram has no such bounds.
const (
	maxMethod    = 128   // bytes of a method token
	maxStartLine = 16384 // bytes of a start line
)

// IsStart reports whether b, a datagram or another text that is whole, begins with a SIP start line (RFC 3261 7.1,
// 7.2). The line may be all there is. For a stream, which may go on, see StartLine.
func IsStart(b []byte) bool {
	if len(b) == 0 || !isToken(b[0]) {
		return false
	}
	if lower(b[0]) == 's' && matchStatusLine(b) == Matched {
		return true
	}
	n := 1
	for n < len(b) && isToken(b[n]) {
		n++
	}
	if n == len(b) || b[n] != ' ' && b[n] != '\t' {
		return false
	}
	_, ok := splitRequestLine(firstLine(b))
	return ok
}

// firstLine is b up to its first LF, or all of it.
func firstLine(b []byte) []byte {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	return line
}

// StartLine reports whether b, the beginning of a stream's next message, is a SIP request line or status line
// (RFC 3261 7.1, 7.2): with any method token, any URI and on any port. HTTP and RTSP, which share the shape, name
// another protocol at the end of the line and do not match. The number of the version and extra blanks do not
// matter: such a message is SIP, and wrong (RFC 4475 3.1.2.16, 3.1.2.9).
func StartLine(b []byte) Match {
	if len(b) == 0 {
		return NeedMore
	}
	if lower(b[0]) == 's' {
		if m := matchStatusLine(b); m != NoMatch {
			return m
		}
	}
	n := 0
	for n < len(b) && isToken(b[n]) {
		n++
	}
	switch {
	case n == 0 || n > maxMethod:
		return NoMatch
	case n == len(b):
		return NeedMore
	case b[n] != ' ' && b[n] != '\t':
		return NoMatch
	}
	line := b[:min(len(b), maxStartLine)]
	end := bytes.IndexByte(line[n:], '\n')
	switch {
	case end >= 0:
		if _, ok := splitRequestLine(line[:n+end]); ok {
			return Matched
		}
		return NoMatch
	case len(b) >= maxStartLine:
		return NoMatch
	default:
		return NeedMore
	}
}

// matchStatusLine matches "SIP/d.d ddd", with any blanks between the two.
func matchStatusLine(b []byte) Match {
	const shape, usual = "sip/0.0 000", "SIP/2.0 "
	if len(b) >= len(shape) && string(b[:len(usual)]) == usual && isDigit(b[8]) && isDigit(b[9]) && isDigit(b[10]) {
		return Matched
	}
	i := 0
	for j := range len(shape) {
		if i == len(b) {
			return NeedMore
		}
		if !shaped(b[i], shape[j]) {
			return NoMatch
		}
		i++
		for shape[j] == ' ' && i < len(b) && shaped(b[i], ' ') {
			i++
		}
	}
	return Matched
}

// shaped reports whether c is what the shape of a status line has: a digit for 0, a blank for a blank, else the same
// letter in any case.
func shaped(c, shape byte) bool {
	switch shape {
	case '0':
		return isDigit(c)
	case ' ':
		return c == ' ' || c == '\t'
	case '/', '.':
		return c == shape
	default:
		return lower(c) == shape
	}
}

// requestLine has where the parts of a request line stand in it.
type requestLine struct {
	method          int // end of the method token, which begins at 0
	uriFrom, uriTo  int
	version, lineTo int
}

// splitRequestLine splits "Method SP Request-URI SP SIP-Version" (RFC 3261 7.1). The version, last on the line, is what
// makes a line a SIP request line; between it and the method there may be any blanks and any text but nothing.
func splitRequestLine(line []byte) (r requestLine, ok bool) {
	for r.method < len(line) && isToken(line[r.method]) {
		r.method++
	}
	if r.method == len(line) || line[r.method] != ' ' && line[r.method] != '\t' {
		return r, false
	}
	r.lineTo = backBlanks(line, r.method, len(line))
	r.version = r.lineTo
	for r.version > r.method && !isBlank(line[r.version-1]) {
		r.version--
	}
	r.uriFrom = skipBlanks(line, r.method, r.version)
	r.uriTo = backBlanks(line, r.uriFrom, r.version)
	ok = r.method > 0 && r.uriTo > r.uriFrom && isVersion(line[r.version:r.lineTo])
	return r, ok
}

// isVersion reports whether b is "SIP/" digits "." digits, whatever the case.
func isVersion(b []byte) bool {
	if len(b) < 7 || lower(b[0]) != 's' || lower(b[1]) != 'i' || lower(b[2]) != 'p' || b[3] != '/' {
		return false
	}
	if len(b) == 7 {
		return isDigit(b[4]) && b[5] == '.' && isDigit(b[6])
	}
	major, minor, ok := bytes.Cut(b[4:], []byte("."))
	return ok && digits(major) >= 0 && digits(minor) >= 0
}

// ExtentState says how far the head of a message in a stream is there.
type ExtentState uint8

// States.
const (
	HeadIncomplete ExtentState = iota // the empty line after the headers is not there yet
	HeadComplete
)

// Extent finds the head of the message that b, part of a stream, begins with: its length in bytes from the start line
// through the empty line, and the Content-Length that it states (RFC 3261 18.3), -1 when it states none that can be
// read. Lines may end in LF alone. Until the head is complete its length is 0.
func Extent(b []byte) (head int, contentLength int64, state ExtentState) { return ExtentFrom(b, 0) }

// ExtentFrom is Extent for a b of which the first from bytes were searched before in vain, so that a message that
// arrives byte by byte is still read in linear time.
func ExtentFrom(b []byte, from int) (head int, contentLength int64, state ExtentState) {
	at := max(0, min(from, len(b))-3) // the empty line may straddle the border
	for {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return 0, -1, HeadIncomplete
		}
		at += i + 1
		rest := b[at:]
		switch {
		case len(rest) > 0 && rest[0] == '\n':
			return at + 1, statedLength(b[:at]), HeadComplete
		case len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
			return at + 2, statedLength(b[:at]), HeadComplete
		}
	}
}

// statedLength reads the first Content-Length of a head, "l" in its compact form; -1 without a readable one.
func statedLength(head []byte) int64 {
	at := bytes.IndexByte(head, '\n') + 1
	for at < len(head) {
		end := logicalLine(head, at)
		line := head[at:end]
		at = end
		if c := lower(line[0]); c != 'c' && c != 'l' {
			continue
		}
		colon := bytes.IndexByte(line, ':')
		if colon < 0 || LookupHeader(trimRight(line[:colon])) != HeaderContentLength {
			continue
		}
		return digits(trim(line[colon+1:]))
	}
	return -1
}

// logicalLine finds the end of the header line that begins at at, its folds (RFC 3261 7.3.1) and line end included.
func logicalLine(b []byte, at int) int {
	for {
		i := bytes.IndexByte(b[at:], '\n')
		if i < 0 {
			return len(b)
		}
		at += i + 1
		if at == len(b) || b[at] != ' ' && b[at] != '\t' {
			return at
		}
	}
}
