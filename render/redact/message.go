package redact

import (
	"bytes"
	"strconv"

	"sipscope/decode/sip"
)

// message rewrites a whole message and gives its text, which is w's until the next one.
func (w *writer) message(raw []byte) []byte {
	if err := sip.Parse(raw, &w.msg); err != nil {
		w.begin(raw)
		w.count("text", len(raw))
		return w.out
	}
	body := w.bodyText(raw)
	w.begin(raw)
	w.startLine()
	lengths := 0
	for i := range w.msg.Headers {
		h := &w.msg.Headers[i]
		w.gap(int(h.Name.Off), 0)
		w.headerName(h)
		w.gap(int(h.Value.Off), 0)
		if h.ID == sip.HeaderContentLength {
			if lengths++; lengths == 1 {
				w.contentLength(int(h.Value.Off+h.Value.Len), len(body))
			}
		}
		w.header(i)
		w.gap(int(h.Value.Off+h.Value.Len), 0)
	}
	w.gap(int(w.msg.Head), 0)
	if !w.sweepLines(':') {
		w.out = w.out[:0]
		w.count("text", len(raw))
		return w.out
	}
	w.out = append(w.out, body...)
	w.rest(raw[w.msg.Body.Off+w.msg.Body.Len:])
	return w.out
}

// headerName keeps the names that are known, and those that are words; any other may carry a text.
func (w *writer) headerName(h *sip.Header) {
	to := int(h.Name.Off + h.Name.Len)
	if h.ID != sip.HeaderOther || isWord(w.raw[w.pos:to]) {
		w.pass(to)
	}
	w.put(HeaderName, to)
}

// isWord reports whether a header's name has letters and "-" only.
func isWord(b []byte) bool {
	for _, c := range b {
		if c != '-' && c|0x20-'a' >= 26 {
			return false
		}
	}
	return len(b) <= maxWord
}

// contentLength writes the length of the new body. When the old one was wrong, this one is, by as many bytes: the reader
// of a report must see that an element counts wrongly, or that the capture cut the message.
func (w *writer) contentLength(to, size int) {
	m := &w.msg
	if m.ContentLength < 0 {
		return
	}
	wrong := m.ContentLength - int64(m.Body.Len)
	w.out = strconv.AppendInt(w.out, int64(size)+wrong, 10)
	w.pos = to
}

// rest writes what follows the body, beyond the Content-Length: as many bytes, of which only line ends are told.
func (w *writer) rest(b []byte) {
	for _, c := range b {
		if c != '\r' && c != '\n' {
			c = 'x'
		}
		w.out = append(w.out, c)
	}
}

// bodyText rewrites the body of msg.
func (w *writer) bodyText(raw []byte) []byte {
	m := &w.msg
	if m.Body.Empty() {
		return nil
	}
	head := w.out
	w.raw, w.pos, w.out = raw, int(m.Body.Off), w.body[:0]
	w.bodyOf(m.ContentType.Of(raw), m.Body)
	_ = w.sweepLines('=')
	w.body, w.out = w.out, head
	return w.body
}

// bodyOf rewrites a body or a part of one.
func (w *writer) bodyOf(t []byte, s sip.Span) {
	to := int(s.Off + s.Len)
	w.pos = int(s.Off)
	encoding, encoded := w.msg.Value(sip.HeaderContentEncoding)
	switch {
	case encoded && !bytes.EqualFold(encoding, []byte("identity")):
		w.count("body", to-w.pos)
	case bytes.EqualFold(t, []byte("application/sdp")):
		w.sdp(to)
	case bytes.EqualFold(t, []byte("message/sipfrag")) && w.depth < maxDepth:
		inner := w.r.writer(w.learn)
		defer w.r.pool.Put(inner)
		inner.depth = w.depth + 1
		w.out = append(w.out, inner.message(w.raw[w.pos:to])...)
	case len(t) > len("multipart/") && bytes.EqualFold(t[:len("multipart/")], []byte("multipart/")):
		w.multipart()
	default:
		w.count("body", to-w.pos)
	}
	w.pos = to
}

// multipart writes the parts anew (RFC 2046 5.1): their headers that explain, and each body as if it were alone.
func (w *writer) multipart() {
	value, _ := w.msg.Value(sip.HeaderContentType)
	boundary, _ := sip.Param(value[min(len(w.msg.ContentType.Of(w.raw)), len(value)):], "boundary")
	outer, nested := w.name(Token, boundary), ""
	parts := 0
	for part := range w.msg.Parts() {
		parts++
		if part.Depth == 0 && nested != "" {
			w.out = append(append(append(w.out, "--"...), nested...), "--\r\n"...)
			nested = ""
		}
		line := outer
		if part.Depth > 0 {
			line = nested
		}
		w.out = append(append(append(w.out, "--"...), line...), "\r\n"...)
		isNest := part.Depth == 0 && len(part.Type) > 10 && bytes.EqualFold(part.Type[:10], []byte("multipart/"))
		if isNest {
			nested = strconv.Itoa(parts) + "-" + outer // a line that begins with the outer one would be taken for it
		}
		w.partHead(&part, nested, isNest)
		if !isNest {
			w.bodyOf(part.Type, part.Body)
			w.out = append(w.out, "\r\n"...)
		}
	}
	if nested != "" {
		w.out = append(append(append(w.out, "--"...), nested...), "--\r\n"...)
	}
	if parts == 0 {
		w.count("body", int(w.msg.Body.Len))
		return
	}
	w.out = append(append(append(w.out, "--"...), outer...), "--\r\n"...)
}

// partHead writes the headers of a part.
func (w *writer) partHead(part *sip.Part, boundary string, nest bool) {
	if len(part.Type) > 0 {
		w.out = append(w.out, "Content-Type: "...)
		w.pos = w.off(part.Type)
		w.tokens(w.pos+len(part.Type), 4)
		if nest {
			w.out = append(append(append(w.out, `;boundary="`...), boundary...), '"')
		}
		w.out = append(w.out, "\r\n"...)
	}
	if len(part.Disposition) > 0 {
		w.out = append(w.out, "Content-Disposition: "...)
		w.pos = w.off(part.Disposition)
		end := w.pos + len(part.Disposition)
		if i := bytes.IndexByte(part.Disposition, ';'); i >= 0 {
			w.tokens(w.pos+i, 4)
		} else {
			w.tokens(end, 4)
		}
		w.params(w.raw[w.pos:end])
		w.out = append(w.out, "\r\n"...)
	}
	if len(part.ID) > 0 {
		w.out = append(w.out, "Content-ID: <"...)
		w.out = append(w.out, w.name(Token, bytes.Trim(part.ID, "<>"))...)
		w.out = append(w.out, ">\r\n"...)
	}
	w.out = append(w.out, "\r\n"...)
}

// sweepLines replaces the values of lines, what follows the first separator, where an original stands in them
// nevertheless, and the names of headers that hold one. It reports false when one stands in the first line of a head,
// which cannot be replaced in part.
func (w *writer) sweepLines(separator byte) bool {
	if w.learn {
		return true
	}
	for from := 0; ; {
		at, end, found := w.r.sweep.find(w.out, from)
		if !found {
			return true
		}
		if excused(w.out, at, end) {
			from = at + 1
			continue
		}
		line := bytes.LastIndexByte(w.out[:at], '\n') + 1
		if line == 0 && separator == ':' {
			return false
		}
		stop := len(w.out)
		if i := bytes.IndexByte(w.out[end:], '\n'); i >= 0 {
			stop = end + i
		}
		from = w.hide(line, at, stop, separator)
	}
}

// hide replaces what holds the original, which begins at found, in the line w.out[line:stop], and gives where to go on.
func (w *writer) hide(line, found, stop int, separator byte) (next int) {
	const name, value = "X-Redacted", "redacted"
	if stop > line && w.out[stop-1] == '\r' {
		stop--
	}
	i := bytes.IndexByte(w.out[line:stop], separator)
	switch {
	case i < 0:
		w.splice(line, stop, value)
		return line + len(value)
	case line+i < found:
		from := line + i + 1
		if from < found && w.out[from] == ' ' {
			from++
		}
		w.splice(from, stop, value)
		return from + len(value)
	case separator == ':':
		w.splice(line, line+i, name)
		return line + len(name)
	default:
		w.splice(line, line+i, value)
		return line + len(value)
	}
}

// splice replaces a part of what was written.
func (w *writer) splice(from, to int, text string) {
	tail := append([]byte(nil), w.out[to:]...)
	w.out = append(append(w.out[:from], text...), tail...)
}
