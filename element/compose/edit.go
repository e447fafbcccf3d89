package compose

import (
	"bytes"
	"fmt"
	"strconv"

	"sipscope/decode/sip"
)

// Edit is a copy of a message that differs in what it is told to, the rest byte for byte: as a proxy forwards (RFC 3261
// 16.6), and as a replay sends. Each call works on what those before have made. Errors stick, and Bytes gives the first
// one. The message must stay unchanged until Bytes. An Edit that is Reset does not allocate once it has grown.
type Edit struct {
	m       *sip.Message
	start   line   // start line with its line end
	lines   []line // of the headers, in the order in which they are written
	text    []byte // of the lines that are not in m.Raw
	empty   []byte // the empty line that ends the head; nothing when m ends before it
	tail    []byte // body, and what follows it
	eol     string // as the start line has it
	changed bool
	err     error
}

// NewEdit makes an Edit of m.
func NewEdit(m *sip.Message) *Edit {
	e := new(Edit)
	e.Reset(m)
	return e
}

// Reset forgets all, and begins with m.
func (e *Edit) Reset(m *sip.Message) {
	e.m, e.lines, e.text, e.eol, e.changed, e.err = m, e.lines[:0], e.text[:0], "\r\n", false, nil
	raw := m.Raw
	head := int(m.Head)
	startTo := head
	if n := bytes.IndexByte(raw[:head], '\n'); n >= 0 {
		startTo = n + 1
		if n == 0 || raw[n-1] != '\r' {
			e.eol = "\n"
		}
	}
	e.start = line{to: u32(startTo)}
	end := max(startTo, headerEnd(raw, head))
	e.empty, e.tail = raw[end:head], raw[head:]
	if string(e.empty) == "\r" { // cut off within the empty line
		e.empty = nil
	}
	e.split(startTo, end)
}

// headerEnd gives where the empty line of a head begins, which is head long with it; head when it has none. The byte
// before the last LF tells: a lone LF is an empty line only after another LF.
func headerEnd(raw []byte, head int) int {
	switch b := raw[:head]; {
	case bytes.HasSuffix(b, []byte("\n\r\n")):
		return head - 2
	case bytes.HasSuffix(b, []byte("\n\n")):
		return head - 1
	case bytes.HasSuffix(b, []byte("\n\r")):
		return head - 1
	default:
		return head
	}
}

// URI changes the Request-URI. Brackets around the old one, which do not belong there, go with it.
func (e *Edit) URI(uri string) { setURI(e, uri) }

// URIBytes is URI.
func (e *Edit) URIBytes(uri []byte) { setURI(e, uri) }

func setURI[T text](e *Edit, uri T) {
	if !e.m.Request {
		e.fail(fmt.Errorf("Request-URI of a response: %w", ErrKind))
		return
	}
	raw, at := e.m.Raw, len(e.text)
	from, to := int(e.m.URI.Off), int(e.m.URI.Off+e.m.URI.Len)
	if raw[from-1] == '<' {
		from--
		if to < len(raw) && raw[to] == '>' {
			to++
		}
	}
	e.text = append(e.text, raw[:from]...)
	word := len(e.text)
	e.text = append(e.text, uri...)
	if !isWord(e.text[word:]) {
		e.fail(fmt.Errorf("Request-URI %q: %w", e.text[word:], ErrValue))
	}
	end := max(bytes.IndexByte(raw[to:e.m.Head], '\n')+1, 0)
	if end == 0 {
		end = int(e.m.Head) - to
	}
	e.text = append(e.text, raw[to:to+end]...)
	e.endLine()
	e.start = line{own: true, from: u32(at), to: u32(len(e.text))}
	e.changed = true
}

// StartLine replaces the start line by another, which is written as it is, right or wrong.
func (e *Edit) StartLine(text string) {
	at := len(e.text)
	e.text = append(e.text, text...)
	if b := e.text[at:]; len(b) == 0 || breaks(b, false) {
		e.fail(fmt.Errorf("start line %q: %w", b, sip.ErrLineBreak))
	}
	e.text = append(e.text, e.eol...)
	e.start = line{own: true, from: u32(at), to: u32(len(e.text))}
	e.changed = true
}

// Replace gives a header, by its index in the message's Headers, another value. Its name stays as written.
func (e *Edit) Replace(header int, value string) {
	if i := e.source(header); i >= 0 {
		setValue(e, i, value)
	}
}

// Remove takes out a header, by its index in the message's Headers.
func (e *Edit) Remove(header int) {
	if i := e.source(header); i >= 0 {
		e.drop(i)
	}
}

// source finds the line of a header of the message, -1 (and an error) when it is not there any more.
func (e *Edit) source(header int) int {
	for i := range e.lines {
		if int(e.lines[i].src) == header && header >= 0 {
			return i
		}
	}
	e.fail(fmt.Errorf("header %d: %w", header, ErrMissing))
	return -1
}

// RemoveFirst takes out the first value of the headers of that id: of a list that commas separate not the whole line.
// It reports false when there is none.
func (e *Edit) RemoveFirst(id sip.HeaderID) bool {
	i, _, to := e.first(id)
	if i < 0 {
		return false
	}
	value := e.value(i)
	next := afterValue(value, to)
	if next == len(value) {
		e.drop(i)
		return true
	}
	splice(e, i, 0, next, "")
	return true
}

// ReplaceFirst changes the first value of the headers of that id: of a list that commas separate not the others. It
// reports false when there is none.
func (e *Edit) ReplaceFirst(id sip.HeaderID, value string) bool { return replaceFirst(e, id, value) }

// ReplaceFirstBytes is ReplaceFirst.
func (e *Edit) ReplaceFirstBytes(id sip.HeaderID, value []byte) bool {
	return replaceFirst(e, id, value)
}

func replaceFirst[T text](e *Edit, id sip.HeaderID, value T) bool {
	i, from, to := e.first(id)
	if i >= 0 {
		splice(e, i, from, to, value)
	}
	return i >= 0
}

// Prepend adds a header above the first of that id; a Via above all others, another that is not there yet below the
// Vias.
func (e *Edit) Prepend(id sip.HeaderID, value string) { prepend(e, id, value) }

// PrependBytes is Prepend.
func (e *Edit) PrependBytes(id sip.HeaderID, value []byte) { prepend(e, id, value) }

func prepend[T text](e *Edit, id sip.HeaderID, value T) {
	at := 0
	if id != sip.HeaderVia {
		for i := range e.lines {
			if e.lines[i].id == id {
				at = i
				break
			}
			if e.lines[i].id == sip.HeaderVia {
				at = i + 1
			}
		}
	}
	insert(e, at, id, "", value)
}

// Append adds a header below the last of that id, or below all.
func (e *Edit) Append(id sip.HeaderID, value string) { e.add(id, "", value) }

// Add adds a header, which may be one without an id, below the last of that id or below all.
func (e *Edit) Add(h Header) { e.add(h.ID, h.Name, h.Value) }

func (e *Edit) add(id sip.HeaderID, name, value string) {
	at := len(e.lines)
	if id != sip.HeaderOther {
		for i := range e.lines {
			if e.lines[i].id == id {
				at = i + 1
			}
		}
	}
	insert(e, at, id, name, value)
}

// Set gives the headers of that id one value: the first of them changes, the others go, one is added when there is none.
func (e *Edit) Set(id sip.HeaderID, value string) {
	found := false
	for i := 0; i < len(e.lines); i++ {
		switch {
		case e.lines[i].id != id:
		case !found:
			setValue(e, i, value)
			found = true
		default:
			i -= e.drop(i)
		}
	}
	if !found {
		insert(e, len(e.lines), id, "", value)
	}
}

// RemoveAll takes out all headers of that id.
func (e *Edit) RemoveAll(id sip.HeaderID) {
	for i := 0; i < len(e.lines); i++ {
		if e.lines[i].id == id {
			i -= e.drop(i)
		}
	}
}

// Body replaces the body, with the Content-Type ("" for none) and the Content-Length that belong to it. body is not
// copied before Bytes.
func (e *Edit) Body(contentType string, body []byte) {
	if contentType == "" {
		e.RemoveAll(sip.HeaderContentType)
	} else {
		e.Set(sip.HeaderContentType, contentType)
	}
	e.Set(sip.HeaderContentLength, strconv.Itoa(len(body)))
	e.tail = body
	e.changed = true
}

// Frame makes the message one that a stream can carry and nobody can take for two: a single Content-Length that tells
// the body's length, and nothing after the body (RFC 3261 18.3). A message that is so stays as it is. What came as a
// datagram must pass here before it goes on over TCP.
func (e *Edit) Frame() {
	m := e.m
	body := m.Body.Of(m.Raw)
	lengths := 0
	for i := range e.lines {
		if e.lines[i].id == sip.HeaderContentLength {
			lengths++
		}
	}
	own := len(e.tail) != len(m.Raw)-int(m.Head) || len(e.tail) > 0 && &e.tail[0] != &m.Raw[m.Head]
	if own || lengths == 1 && m.ContentLength == int64(len(body)) && len(body) == len(e.tail) && len(e.empty) > 0 {
		return
	}
	e.Set(sip.HeaderContentLength, strconv.Itoa(len(body)))
	e.tail = body
	e.changed = true
}

// Bytes appends the copy to dst. An error comes with dst as it was.
func (e *Edit) Bytes(dst []byte) ([]byte, error) {
	if e.err != nil {
		return dst, e.err
	}
	if !e.changed {
		return append(dst, e.m.Raw...), nil
	}
	out := e.head(dst)
	if len(e.empty) > 0 {
		out = append(out, e.empty...)
	} else {
		out = append(out, e.eol...)
	}
	return append(out, e.tail...), nil
}
