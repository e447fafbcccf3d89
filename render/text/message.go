package text

import (
	"bytes"
	"io"
	"iter"
	"strings"

	"sipscope/decode/sip"
)

// MessageOptions say how a message is shown.
type MessageOptions struct {
	ASCII bool // nothing but ASCII
	Color bool
}

// RawMessage writes a message's text as the wire had it, a line a line whatever ends it (CRLF, LF), with control
// characters and bytes that are no UTF-8 made visible.
func RawMessage(w io.Writer, raw []byte, opts MessageOptions) error {
	return writeLines(w, rawLines(raw, opts, opts.Color), opts)
}

// ParsedMessage writes a message as the parser understood it: start line, a table of header fields under their
// canonical names with their parameters, the body with the lines of a session description named, and each departure
// from the grammar, with its RFC section, under the line that it points at.
func ParsedMessage(w io.Writer, m *sip.Message, opts MessageOptions) error {
	return writeLines(w, ParsedLines(m, opts), opts)
}

// writeLines writes lines, in colour or not.
func writeLines(w io.Writer, lines iter.Seq[Line], opts MessageOptions) error {
	var buf []byte
	for l := range lines {
		for i := range l.Segs {
			s := &l.Segs[i]
			if opts.Color && s.Style != plain {
				buf = appendSGR(buf, plain, s.Style)
				buf = append(buf, s.Text...)
				buf = appendSGR(buf, s.Style, plain)
			} else {
				buf = append(buf, s.Text...)
			}
		}
		if buf = append(buf, '\n'); len(buf) < flushSize {
			continue
		}
		if _, err := w.Write(buf); err != nil {
			return err
		}
		buf = buf[:0]
	}
	if len(buf) == 0 {
		return nil
	}
	_, err := w.Write(buf)
	return err
}

func padTo(s string, w int) string {
	if n := w - Width(s); n > 0 {
		return s + strings.Repeat(" ", n)
	}
	return s
}

// unfold joins folded lines by one blank (RFC 3261 7.3.1).
func unfold(value []byte) string {
	if bytes.IndexByte(value, '\n') < 0 {
		return string(value)
	}
	var parts []string
	for l := range bytes.Lines(value) {
		parts = append(parts, string(bytes.TrimSpace(l)))
	}
	return strings.Join(parts, " ")
}

// separator is what parts the parameters of a header field, 0 when it has none that are worth a line.
func separator(id sip.HeaderID) byte {
	switch id {
	case sip.HeaderVia, sip.HeaderFrom, sip.HeaderTo, sip.HeaderContact, sip.HeaderContentType, sip.HeaderEvent,
		sip.HeaderSubscriptionState, sip.HeaderReason, sip.HeaderReplaces, sip.HeaderReferTo, sip.HeaderReferredBy,
		sip.HeaderSessionExpires, sip.HeaderContentDisposition, sip.HeaderDiversion, sip.HeaderTargetDialog:
		return ';'
	case sip.HeaderAuthorization, sip.HeaderProxyAuthorization, sip.HeaderWWWAuthenticate, sip.HeaderProxyAuthenticate,
		sip.HeaderAuthenticationInfo:
		return ','
	default:
		return 0
	}
}

// splitParams parts a value from its parameters, outside quotes and angle brackets. A list of several values stays
// whole, but for challenges, where the comma parts the parameters.
func splitParams(id sip.HeaderID, s string) (value string, params []string) {
	sep := separator(id)
	if sep == 0 {
		return s, nil
	}
	parts, list := splitAt(s, sep)
	switch {
	case sep == ';' && list:
		return s, nil
	case sep == ';':
		return strings.TrimSpace(parts[0]), parts[1:]
	}
	scheme, first, ok := strings.Cut(parts[0], " ")
	if !ok {
		return s, nil
	}
	parts[0] = first
	return scheme, parts
}

// splitAt cuts s at every sep outside quotes and angle brackets, and reports whether a comma stands there too.
func splitAt(s string, sep byte) (parts []string, list bool) {
	quoted, bracket, from := false, false, 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case quoted && c == '\\':
			i++ // an escaped character (RFC 3261 25.1, quoted-pair)
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '<' || c == '>':
			bracket = c == '<'
		case bracket:
		case c == sep:
			parts = append(parts, s[from:i])
			from = i + 1
		case c == ',':
			list = true
		}
	}
	return append(parts, s[from:]), list
}

// lineName names a line of a session description (RFC 8866 5).
func lineName(s string) string {
	if len(s) < 2 || s[1] != '=' {
		return ""
	}
	for _, n := range [...]struct {
		letter byte
		name   string
	}{
		{'v', "version"},
		{'o', "origin"},
		{'s', "session"},
		{'i', "information"},
		{'u', "uri"},
		{'e', "email"},
		{'p', "phone"},
		{'c', "connection"},
		{'b', "bandwidth"},
		{'t', "time"},
		{'r', "repeat"},
		{'z', "zones"},
		{'k', "key"},
		{'m', "media"},
		{'a', "attribute"},
	} {
		if n.letter == s[0] {
			return n.name
		}
	}
	return ""
}
