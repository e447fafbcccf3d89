package compose

import (
	"bytes"
	"fmt"
	"strconv"

	"sipscope/decode/sip"
)

// writer appends lines. It does what sip.Builder does, for bytes as for strings and without allocating: a UAS at full
// load writes its responses with it.
type writer struct {
	buf     []byte
	eol     string
	colon   string
	compact bool
	length  bool // a Content-Length was written
	err     error
}

func newWriter(dst []byte, style sip.Style) writer {
	w := writer{buf: dst, eol: "\r\n", colon: ": ", compact: style.Compact}
	if style.LF {
		w.eol = "\n"
	}
	if style.Colon != "" {
		w.colon = style.Colon
	}
	return w
}

// text is what a value may be given as.
type text interface{ ~string | ~[]byte }

// fail keeps the first error.
func (w *writer) fail(err error) {
	if w.err == nil {
		w.err = fmt.Errorf("compose a SIP message: %w", err)
	}
}

// done gives the message, or dst as it was and the error.
func (w *writer) done(dst []byte) ([]byte, error) {
	if w.err != nil {
		return dst, w.err
	}
	return w.buf, nil
}

// status writes "SIP/2.0 200 OK" (RFC 3261 7.2).
func (w *writer) status(code int, reason string) {
	if code < 100 || code > 699 {
		w.fail(fmt.Errorf("status %d: %w", code, ErrValue))
		return
	}
	if reason == "" {
		reason = sip.ReasonPhrase(code)
	}
	w.buf = append(w.buf, "SIP/2.0 "...)
	w.buf = strconv.AppendInt(w.buf, int64(code), 10)
	w.buf = append(w.buf, ' ')
	checked(w, "reason phrase", reason, false)
	w.end()
}

// request writes "INVITE sip:bob@example.com SIP/2.0" (RFC 3261 7.1).
func (w *writer) request(method, uri string) {
	from := len(w.buf)
	w.buf = append(w.buf, method...)
	w.word("method", from)
	w.buf = append(w.buf, ' ')
	from = len(w.buf)
	w.buf = append(w.buf, uri...)
	w.word("Request-URI", from)
	w.buf = append(w.buf, " SIP/2.0"...)
	w.end()
}

// word checks what was written from an offset on to be one word of a start line: not empty, no blanks or controls.
func (w *writer) word(what string, from int) {
	if b := w.buf[from:]; !isWord(b) {
		w.fail(fmt.Errorf("%s %q: %w", what, b, ErrValue))
	}
}

func isWord(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return len(b) > 0
}

// isToken reports whether a name can stand before a colon (RFC 3261 25.1).
func isToken(name string) bool {
	for i := range len(name) {
		c := name[i]
		switch {
		case c|0x20 >= 'a' && c|0x20 <= 'z', c >= '0' && c <= '9':
		case bytes.IndexByte([]byte("-.!%*_+`'~"), c) >= 0:
		default:
			return false
		}
	}
	return name != ""
}

// name writes a header's name, by its id or for HeaderOther as it is, and the colon.
func (w *writer) name(id sip.HeaderID, other string) {
	c := id.Compact()
	switch {
	case id == sip.HeaderOther:
		if !isToken(other) {
			w.fail(fmt.Errorf("header name %q: %w", other, ErrValue))
		}
		w.buf = append(w.buf, other...)
	case w.compact && c != 0:
		w.buf = append(w.buf, c)
	default:
		w.buf = append(w.buf, id.String()...)
	}
	w.buf = append(w.buf, w.colon...)
	if id == sip.HeaderContentLength {
		w.length = true
	}
}

// field writes a header whose value is ours, or somebody's who must not break out of the line.
func field[T text](w *writer, id sip.HeaderID, value T) {
	w.name(id, "")
	checked(w, "header", value, true)
	w.end()
}

// headers writes headers as given.
func (w *writer) headers(list []Header) {
	for i := range list {
		h := &list[i]
		id := h.ID
		if id == sip.HeaderOther && len(h.Name) == len("Content-Length") {
			id = lookup(h.Name)
		}
		w.name(h.ID, h.Name)
		w.length = w.length || id == sip.HeaderContentLength
		checked(w, "header", h.Value, true)
		w.end()
	}
}

func lookup(name string) sip.HeaderID {
	var b [32]byte
	return sip.LookupHeader(append(b[:0], name...))
}

// number writes a header with a number.
func (w *writer) number(id sip.HeaderID, n int64) {
	w.name(id, "")
	w.buf = strconv.AppendInt(w.buf, n, 10)
	w.end()
}

// copied writes a header with a value out of a received message.
func (w *writer) copied(id sip.HeaderID, value []byte) {
	w.name(id, "")
	w.unfolded(value)
	w.end()
}

// unfolded writes a part of a received message without its folds. A CR that is no part of one, which a person reads
// over and another parser may take for the end of the line, goes too.
func (w *writer) unfolded(value []byte) { w.buf = AppendUnfolded(w.buf, value) }

// AppendUnfolded appends a part of a received message without its folds and without any other line end: each becomes
// one blank (RFC 3261 7.3.1).
func AppendUnfolded(dst, value []byte) []byte {
	if bytes.IndexByte(value, '\n') < 0 && bytes.IndexByte(value, '\r') < 0 {
		return append(dst, value...)
	}
	for {
		n := bytes.IndexAny(value, "\r\n")
		if n < 0 {
			return append(dst, value...)
		}
		dst = append(dst, bytes.TrimRight(value[:n], " \t")...)
		dst = append(dst, ' ')
		value = bytes.TrimLeft(value[n:], " \t\r\n")
	}
}

// body ends the message.
func (w *writer) body(style sip.Style, contentType string, body []byte) {
	if contentType != "" {
		field(w, sip.HeaderContentType, contentType)
	}
	if !w.length && !style.NoLength {
		w.number(sip.HeaderContentLength, int64(len(body)))
	}
	w.end()
	w.buf = append(w.buf, body...)
}

func (w *writer) end() { w.buf = append(w.buf, w.eol...) }

// checked writes a text that stays within its line: no line end in it, except folds where they may be.
func checked[T text](w *writer, what string, value T, fold bool) {
	from := len(w.buf)
	w.buf = append(w.buf, value...)
	if b := w.buf[from:]; breaks(b, fold) {
		w.fail(fmt.Errorf("%s %q: %w", what, b, sip.ErrLineBreak))
	}
}

// breaks reports whether a text has a line end that no blank follows (RFC 3261 7.3.1), or any where folds may not be.
func breaks(b []byte, fold bool) bool {
	if bytes.IndexByte(b, '\n') < 0 && bytes.IndexByte(b, '\r') < 0 {
		return false
	}
	for i, c := range b {
		switch {
		case c != '\r' && c != '\n':
		case c == '\r' && i+1 < len(b) && b[i+1] == '\n': // the LF decides
		case !fold || c == '\r' || i+1 == len(b) || b[i+1] != ' ' && b[i+1] != '\t':
			return true
		}
	}
	return false
}
