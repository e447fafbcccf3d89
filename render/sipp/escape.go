package sipp

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// indent stands before every line of a message. SIPp takes blanks at both ends of a line away.
const indent = "      "

// hex is how SIPp has a byte written that it would understand otherwise.
func hex(c byte) string { return fmt.Sprintf(`\x%02X`, c) }

// special says which bytes SIPp or a reader of XML would take for something else wherever they stand: a keyword, an
// escape, a control character.
func special(c byte) bool {
	return c == '[' || c == '\\' || c < ' ' || c == 0x7F
}

// escaper writes the bytes of a message into a CDATA section as SIPp must read them to send the same bytes. The zero
// value is at the beginning of a message.
type escaper struct {
	b      strings.Builder
	tight  bool // no indentation
	quotes bool // quotes are escaped, too
	odd    bool // within quotes
	unsafe bool // a keyword stands within quotes: SIPp's search for brackets would run astray (see finish)
	begun  bool
	fresh  bool // at the beginning of a line
}

// literal writes bytes of the recording. more says that something follows them on the same line, a keyword.
func (e *escaper) literal(s []byte, more bool) {
	for i := 0; i < len(s); {
		rest := s[i:]
		if len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n' {
			e.newline()
			i += 2
			continue
		}
		i += e.char(rest, more)
	}
}

// newline is a CRLF: SIPp makes one of each line end.
func (e *escaper) newline() {
	e.b.WriteByte('\n')
	e.fresh, e.begun = true, true
}

// char writes the first character of s and gives its length.
func (e *escaper) char(s []byte, more bool) int {
	c := s[0]
	switch {
	case c == ' ' || c == '\t':
		e.blank(c, s[1:], more)
		return 1
	case special(c):
		e.raw(hex(c))
		return 1
	case c == '"':
		e.odd = !e.odd
		if e.quotes {
			e.raw(hex(c))
			return 1
		}
	case c == '>' && strings.HasSuffix(e.b.String()[max(0, e.b.Len()-2):], "]]"):
		e.raw(hex(c)) // it would end the section
		return 1
	case c >= utf8.RuneSelf:
		r, n := utf8.DecodeRune(s)
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			e.raw(hex(c))
			return 1
		}
		e.raw(string(s[:n]))
		return n
	}
	e.raw(string(s[:1]))
	return 1
}

// blank writes a blank; the first and the last of a line would be lost as they are.
func (e *escaper) blank(c byte, after []byte, more bool) {
	last := len(after) == 0 && !more || len(after) > 1 && after[0] == '\r' && after[1] == '\n'
	if c == '\t' || last || e.fresh || !e.begun {
		e.raw(hex(c))
		return
	}
	e.raw(" ")
}

// raw writes what SIPp shall read as it is.
func (e *escaper) raw(s string) {
	if (e.fresh || !e.begun) && !e.tight {
		e.b.WriteString(indent)
	}
	e.fresh, e.begun = false, true
	e.b.WriteString(s)
}

// keyword writes text for SIPp: keywords and what stands between them.
func (e *escaper) keyword(s string) {
	e.unsafe = e.unsafe || e.odd
	for i, line := range strings.Split(s, "\n") {
		if i > 0 {
			e.newline()
		}
		if line != "" {
			e.raw(line)
		}
	}
}

// edit is a part of a message that SIPp shall make itself: bytes from off to end become with. An empty part is an
// insertion.
type edit struct {
	off, end int
	with     string
}

// render writes a message with its edits, which are in order and do not overlap, as the content of a CDATA section. head is
// how long its head is, with the empty line.
func render(raw []byte, head int, edits []edit, tight bool) string {
	text, safe := renderAs(raw, head, edits, tight, false)
	if !safe {
		text, _ = renderAs(raw, head, edits, tight, true)
	}
	return text
}

// renderAs reports whether SIPp can read what it made: when SIPp looks for the end of a keyword, it passes over quoted
// strings, and over the end of the message when a quote is open there.
//
// SIPp takes away all blanks and line ends at the end of the section. It puts one line end back if it found any there, and
// an empty line if the message has none. So the head's end may be left to it, a body's last line end is written as it
// is, and those before that as bytes.
func renderAs(raw []byte, head int, edits []edit, tight, quotes bool) (string, bool) {
	e := escaper{tight: tight, quotes: quotes}
	if !bytes.HasSuffix(raw[:head], []byte("\r\n\r\n")) { // line ends of another kind
		e.span(raw, 0, len(raw), edits)
		return strings.TrimRight(e.b.String(), "\n") + "\n", quotes || !e.odd && !e.unsafe
	}
	e.span(raw, 0, head-2, edits)
	if head == len(raw) {
		return e.b.String(), quotes || !e.odd && !e.unsafe
	}
	e.newline()
	body, ends := raw[head:], 0
	for bytes.HasSuffix(body, []byte("\r\n")) {
		body = body[:len(body)-2]
		ends++
	}
	e.span(raw, head, head+len(body), edits)
	for range ends - 1 {
		e.raw(`\x0D\x0A`)
	}
	if ends > 0 && len(body) == 0 && ends == 1 {
		e.raw(`\x0D\x0A`) // nothing else stands there
	} else if ends > 0 {
		e.newline()
	}
	return e.b.String(), quotes || !e.odd && !e.unsafe
}

// span writes the bytes from one offset to another, with the edits that lie within.
func (e *escaper) span(raw []byte, from, to int, edits []edit) {
	pos := from
	for i := range edits {
		d := &edits[i]
		if d.off < pos || d.end > to {
			continue
		}
		e.literal(raw[pos:d.off], true)
		e.keyword(d.with)
		pos = d.end
	}
	e.literal(raw[pos:to], false)
}

// attribute writes a value into an attribute, as SIPp reads it: XML's escapes mean nothing to it, a backslash does.
// It reports false for a value that cannot be written so.
func attribute(s string) (string, bool) {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7F || strings.IndexByte(`<>&"\[]`, c) >= 0 {
			return "", false
		}
	}
	return s, s != ""
}

// maxRemark bounds what a remark quotes of the wire, in bytes.
const maxRemark = 200

// remark makes a text fit for an XML comment and for a terminal.
func remark(s string) string {
	var b strings.Builder
	for _, r := range s {
		if b.Len() > maxRemark {
			b.WriteString("...")
			break
		}
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			r = '?'
		}
		if r == '-' && strings.HasSuffix(b.String(), "-") {
			b.WriteByte(' ') // "--" ends a comment
		}
		b.WriteRune(r)
	}
	return strings.TrimSuffix(b.String(), "-")
}
