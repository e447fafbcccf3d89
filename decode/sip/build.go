package sip

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// Errors of a Builder.
var (
	// ErrLineBreak says that a text would end the line that it stands in and begin another header or the body.
	ErrLineBreak = errors.New("line break that is no fold")
	// ErrOrder says that the parts of a message came in another order than start line, headers, body.
	ErrOrder = errors.New("out of order")
)

// Style says how a Builder writes what the grammar leaves free. The zero value is what most elements write.
type Style struct {
	LF      bool   // lines end in LF alone
	Compact bool   // headers that have a compact form (RFC 3261 7.3.3) are written in it
	Colon   string // between a name and its value; "" stands for ": "
	// NoLength leaves Content-Length out, unless a header of the message has it.
	NoLength bool
}

// Builder writes one message after the other, appending to a buffer. It writes what it is told to the byte: names keep
// their case, values their folds and blanks; only a text that would break out of its line is refused, since values
// often come from the wire. The zero value is ready for use. Errors stick: Bytes reports the first one.
type Builder struct {
	Style Style

	buf   []byte
	state buildState
	err   error
	// length says that the message has a Content-Length of its own.
	length bool
}

type buildState uint8

const (
	buildStart buildState = iota
	buildHeaders
	buildDone
)

// Reset begins a new message, which is appended to dst. The style stays.
func (b *Builder) Reset(dst []byte) {
	b.buf, b.state, b.err, b.length = dst, buildStart, nil, false
}

// Request writes the request line "method uri SIP/2.0" (RFC 3261 7.1).
func (b *Builder) Request(method, uri string) {
	b.start(method, " ", uri, " SIP/2.0")
}

// Response writes the status line "SIP/2.0 status reason" (RFC 3261 7.2). An empty reason stands for the usual one.
func (b *Builder) Response(status int, reason string) {
	if reason == "" {
		reason = ReasonPhrase(status)
	}
	b.start("SIP/2.0 ", strconv.Itoa(status), " ", reason)
}

// StartLine writes a start line as it is, right or wrong.
func (b *Builder) StartLine(line string) { b.start(line) }

func (b *Builder) start(parts ...string) {
	if b.state != buildStart {
		b.fail(fmt.Errorf("start line: %w", ErrOrder))
		return
	}
	b.state = buildHeaders
	b.line("start line", parts...)
}

// Header writes a header by its canonical name, or its compact form when the style says so.
func (b *Builder) Header(id HeaderID, value string) {
	name := id.String()
	if c := id.Compact(); b.Style.Compact && c != 0 {
		name = string(rune(c))
	}
	b.Field(name, b.colon(), value)
}

func (b *Builder) colon() string {
	if b.Style.Colon == "" {
		return ": "
	}
	return b.Style.Colon
}

// Field writes a header with its name, what stands between name and value (": ", "\t:" and so on) and value as they
// are.
func (b *Builder) Field(name, colon, value string) {
	if LookupHeader(trimRight([]byte(name))) == HeaderContentLength {
		b.length = true
	}
	b.Line(name, colon, value)
}

// Line writes a line among the headers as it is, right or wrong; the parts are joined.
func (b *Builder) Line(parts ...string) {
	if b.state != buildHeaders {
		b.fail(fmt.Errorf("header %q: %w", parts, ErrOrder))
		return
	}
	b.line("header", parts...)
}

func (b *Builder) line(what string, parts ...string) {
	from := len(b.buf)
	for _, p := range parts {
		b.buf = append(b.buf, p...)
	}
	text := b.buf[from:]
	fold := what == "header"
	// A header that begins with a blank would fold into the line before it, one with a line end would be the empty line
	// that ends the head.
	if len(text) == 0 || breaks(text, fold) || fold && bytes.IndexByte([]byte(" \t\r\n"), text[0]) >= 0 {
		b.fail(fmt.Errorf("%s %q: %w", what, text, ErrLineBreak))
	}
	b.end()
}

// breaks reports whether text has a line end that no blank follows (RFC 3261 7.3.1), or any where folds are not
// allowed.
func breaks(text []byte, fold bool) bool {
	for i, c := range text {
		switch {
		case c == '\r' && i+1 < len(text) && text[i+1] == '\n':
		case c == '\n', c == '\r':
			if !fold || c == '\r' || i+1 == len(text) || text[i+1] != ' ' && text[i+1] != '\t' {
				return true
			}
		}
	}
	return false
}

func (b *Builder) end() {
	if b.Style.LF {
		b.buf = append(b.buf, '\n')
		return
	}
	b.buf = append(b.buf, '\r', '\n')
}

func (b *Builder) fail(err error) {
	if b.err == nil {
		b.err = fmt.Errorf("build a SIP message: %w", err)
	}
}

// Body ends the message: it writes Content-Length, unless a header or the style did otherwise, the empty line and the
// body, which may be empty.
func (b *Builder) Body(body []byte) {
	if b.state != buildHeaders {
		b.fail(fmt.Errorf("body: %w", ErrOrder))
		return
	}
	if !b.length && !b.Style.NoLength {
		b.Header(HeaderContentLength, strconv.Itoa(len(body)))
	}
	b.end()
	b.buf = append(b.buf, body...)
	b.state = buildDone
}

// Bytes gives the buffer with the message at its end, and the first error. A message that Body did not end yet gets no
// body.
func (b *Builder) Bytes() ([]byte, error) {
	if b.state == buildHeaders {
		b.Body(nil)
	}
	if b.state == buildStart {
		b.fail(fmt.Errorf("no start line: %w", ErrOrder))
	}
	return b.buf, b.err
}
