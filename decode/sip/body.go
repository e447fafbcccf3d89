package sip

import (
	"bytes"
	"iter"
)

// SDP gives the session description in the body, alone or wherever it is in a multipart body (RFC 5621 5).
func (m *Message) SDP() (sdp []byte, ok bool) {
	body := m.Body.Of(m.Raw)
	if len(body) == 0 {
		return nil, false
	}
	t := m.ContentType.Of(m.Raw)
	if isSDP(t) {
		return body, true
	}
	if isMultipart(t) {
		for part := range m.Parts() {
			if isSDP(part.Type) {
				return part.Body.Of(m.Raw), true
			}
		}
	}
	return nil, false
}

func isSDP(t []byte) bool { return equalFold(t, "application/sdp") }

func isMultipart(t []byte) bool {
	const prefix = "multipart/"
	return len(t) > len(prefix) && equalFold(t[:len(prefix)], prefix)
}

// Part is one part of a multipart body (RFC 2046 5.1, RFC 5621).
type Part struct {
	Type        []byte // media type without parameters; nil stands for text/plain
	Disposition []byte // Content-Disposition with its parameters
	ID          []byte // Content-ID
	Body        Span   // in Message.Raw
	Depth       int    // 0, or 1 for a part of a part that is multipart itself
}

// maxParts bounds the parts of a body that are looked at; a call's bodies have two or three.
const maxParts = 64

// Parts gives the parts of a multipart body in order. A part that is multipart itself comes before its own parts, which
// come no deeper. When the closing delimiter is missing, the last part goes up to the end.
func (m *Message) Parts() iter.Seq[Part] {
	return func(yield func(Part) bool) {
		if t, ok := m.Value(HeaderContentType); ok && isMultipart(m.ContentType.Of(m.Raw)) {
			left := maxParts
			m.parts(m.Body, boundary(t), 0, &left, yield)
		}
	}
}

// parts walks over the parts in s; it reports false when yield does not want more.
func (m *Message) parts(s Span, delimiter []byte, depth int, left *int, yield func(Part) bool) bool {
	if len(delimiter) == 0 {
		return true
	}
	at, end := int(s.Off), int(s.Off+s.Len)
	_, at, open := m.delimiter(at, end, delimiter)
	for ; open && *left > 0; *left-- {
		var to int
		from := at
		to, at, open = m.delimiter(at, end, delimiter)
		part, contentType := m.part(from, to)
		part.Depth = depth
		if !yield(part) {
			return false
		}
		if depth == 0 && isMultipart(part.Type) && !m.parts(part.Body, boundary(contentType), 1, left, yield) {
			return false
		}
	}
	return true
}

// boundary gives the boundary parameter of a Content-Type value.
func boundary(contentType []byte) []byte {
	_, params := cutParams(contentType)
	b, _ := Param(params, "boundary")
	return b
}

// delimiter finds the next line that begins with "--boundary" in m.Raw[at:end]: before is where the part before it
// ends, next where the part after it begins, more whether there is one. Without a delimiter the part goes up to end.
func (m *Message) delimiter(at, end int, boundary []byte) (before, next int, more bool) {
	raw := m.Raw[:end]
	for line := at; line < end; {
		rest := raw[line:]
		if bytes.HasPrefix(rest, []byte("--")) && bytes.HasPrefix(rest[2:], boundary) {
			before = line
			if before > at && raw[before-1] == '\n' {
				before--
			}
			if before > at && raw[before-1] == '\r' {
				before--
			}
			rest = rest[2+len(boundary):]
			next = line + 2 + len(boundary) + lineLength(rest)
			return before, next, !bytes.HasPrefix(rest, []byte("--")) && next < end
		}
		line += lineLength(rest)
	}
	return end, end, false
}

// lineLength counts the bytes of b through its first LF.
func lineLength(b []byte) int {
	if n := bytes.IndexByte(b, '\n'); n >= 0 {
		return n + 1
	}
	return len(b)
}

// part splits m.Raw[from:to] into its headers and its body. Without an empty line and without headers all of it is
// body.
func (m *Message) part(from, to int) (p Part, contentType []byte) {
	raw := m.Raw[:to]
	at := from
	for at < to {
		if raw[at] == '\n' || raw[at] == '\r' && at+1 < to && raw[at+1] == '\n' {
			at += lineLength(raw[at:])
			break
		}
		end := logicalLine(raw, at)
		name, value, ok := bytes.Cut(raw[at:end], []byte(":"))
		if name = trimRight(name); !ok || !allToken(name) {
			break // no header: the body begins without an empty line
		}
		value = trim(value)
		switch {
		case equalFold(name, "Content-Type"):
			contentType = value
			p.Type, _ = cutParams(value)
		case equalFold(name, "Content-Disposition"):
			p.Disposition = value
		case equalFold(name, "Content-ID"):
			p.ID = value
		}
		at = end
	}
	p.Body = sp(at, to)
	return p, contentType
}
