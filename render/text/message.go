package text

import (
	"bytes"
	"io"
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
	v := newView(w, opts)
	head := true
	first := true
	for l := range bytes.Lines(raw) {
		s := string(trimEnd(l))
		switch {
		case first:
			v.line(seg{s, startStyle(s)})
		case !head:
			v.line(seg{s, plain})
		case s == "":
			head = false
			v.line()
		default:
			name, rest, ok := strings.Cut(s, ":")
			if !ok || strings.HasPrefix(s, " ") || strings.HasPrefix(s, "\t") {
				v.line(seg{s, plain})
			} else {
				v.line(seg{name, cyan}, seg{":" + rest, plain})
			}
		}
		first = false
	}
	return v.flush()
}

// trimEnd takes one line end off.
func trimEnd(l []byte) []byte {
	l = bytes.TrimSuffix(l, []byte{'\n'})
	return bytes.TrimSuffix(l, []byte{'\r'})
}

// startStyle colours a start line: a request, or a response by its class.
func startStyle(s string) style {
	rest, ok := strings.CutPrefix(s, "SIP/2.0 ")
	if !ok || len(rest) < 3 {
		return cyan
	}
	code := uint16(0)
	for i := range 3 {
		c := rest[i]
		if c < '0' || c > '9' {
			return cyan
		}
		code = code*10 + uint16(c-'0')
	}
	return statusStyle(code)
}

// ParsedMessage writes a message as the parser understood it: start line, a table of header fields under their
// canonical names with their parameters, the body with the lines of a session description named, and each departure
// from the grammar, with its RFC section, under the line that it points at.
func ParsedMessage(w io.Writer, m *sip.Message, opts MessageOptions) error {
	v := newView(w, opts)
	p := parsed{v: v, m: m, told: make([]bool, len(m.Diags))}
	start, _, _ := bytes.Cut(m.Raw, []byte{'\n'})
	text := string(trimEnd(start))
	v.line(seg{text, statusStyle(m.Status)})
	end := uint32(len(start)) //nolint:gosec // a message is far below 4 GiB: spans are 32 bits
	if len(m.Headers) > 0 {
		end = m.Headers[0].Name.Off
	}
	p.diags(0, end)
	for i := range m.Headers {
		p.header(i)
	}
	p.body()
	p.diags(0, ^uint32(0))
	return v.flush()
}

// parsed is a message on its way to its view.
type parsed struct {
	v    *view
	m    *sip.Message
	told []bool // by diag: written
}

// Layout of the header table.
const (
	nameWidth  = 20
	paramWidth = 12
)

func (p *parsed) header(i int) {
	h := &p.m.Headers[i]
	name := h.ID.String()
	written := string(h.Name.Of(p.m.Raw))
	if name == "" {
		name = written
	}
	end := h.Value.Off + h.Value.Len
	if i+1 < len(p.m.Headers) {
		end = max(end, p.m.Headers[i+1].Name.Off)
	} else {
		end = max(end, p.m.Head)
	}
	value, params := splitParams(h.ID, unfold(h.Value.Of(p.m.Raw)))
	p.v.line(seg{"  " + padTo(Clean(name), nameWidth) + " ", cyan}, seg{value, plain})
	for _, s := range params {
		k, val, ok := strings.Cut(s, "=")
		k = strings.TrimSpace(k)
		if ok {
			k = padTo(Clean(k), paramWidth) + " "
		}
		p.v.line(seg{strings.Repeat(" ", nameWidth+5) + k, dim}, seg{strings.TrimSpace(val), plain})
	}
	p.diags(h.Name.Off, end)
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

// body writes the body line by line.
func (p *parsed) body() {
	body := p.m.Body.Of(p.m.Raw)
	if len(body) == 0 {
		return
	}
	p.v.line()
	sdp, isSDP := p.m.SDP()
	alone := isSDP && len(sdp) == len(body)
	at := p.m.Body.Off
	for l := range bytes.Lines(body) {
		s := string(trimEnd(l))
		if name := lineName(s); alone && name != "" {
			p.v.line(seg{"  " + padTo(name, nameWidth) + " ", dim}, seg{s, plain})
		} else {
			p.v.line(seg{"  " + s, plain})
		}
		next := at + uint32(len(l)) //nolint:gosec // within the message
		p.diags(at, next)
		at = next
	}
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

// diags writes the departures that point into raw[from:to] and were not written yet.
func (p *parsed) diags(from, to uint32) {
	for i := range p.m.Diags {
		d := &p.m.Diags[i]
		if p.told[i] || d.Span.Off < from || d.Span.Off >= to {
			continue
		}
		p.told[i] = true
		st := yellow
		if d.Code.Severity() == sip.Error {
			st = red
		}
		s := "  ! " + d.Code.Text()
		if sec := d.Code.Section(); sec != "" {
			s += " (" + sec + ")"
		}
		p.v.line(seg{s + " [" + d.Code.String() + ", " + d.Code.Severity().String() + "]", st})
	}
}

// seg is a piece of a line in one colour.
type seg struct {
	s  string
	st style
}

// view writes lines of cleaned segments.
type view struct {
	w     io.Writer
	opts  MessageOptions
	clean func(string) string
	buf   []byte
	err   error
}

func newView(w io.Writer, opts MessageOptions) *view {
	v := &view{w: w, opts: opts, clean: Clean}
	if opts.ASCII {
		v.clean = CleanASCII
	}
	return v
}

func (v *view) line(segs ...seg) {
	for _, s := range segs {
		t := v.clean(s.s)
		if v.opts.Color && s.st != plain && t != "" {
			v.buf = appendSGR(v.buf, plain, s.st)
			v.buf = append(v.buf, t...)
			v.buf = appendSGR(v.buf, s.st, plain)
		} else {
			v.buf = append(v.buf, t...)
		}
	}
	v.buf = append(v.buf, '\n')
	if len(v.buf) >= flushSize {
		_ = v.flush()
	}
}

func (v *view) flush() error {
	if v.err == nil && len(v.buf) > 0 {
		_, v.err = v.w.Write(v.buf)
	}
	v.buf = v.buf[:0]
	return v.err
}
