package compose

import (
	"bytes"
	"fmt"

	"sipscope/decode/sip"
)

// line is a header of an Edit: its text from name to line end, folds included, and what stands behind it that is no
// header. Offsets are into the Edit's text when own, else into the message.
type line struct {
	id       sip.HeaderID
	own      bool
	src      int32 // index in the message's Headers; -1 for a new one, junk for what is no header
	from, to uint32
	vFrom    uint32 // of the value
	vTo      uint32
}

// junk is the src of lines without a colon.
const junk = -2

func u32(i int) uint32 { return uint32(i) } //nolint:gosec // a message is far below 4 GiB

// split fills the lines from the headers of the message, which stand in raw[from:end].
func (e *Edit) split(from, end int) {
	headers := e.m.Headers
	first := u32(end)
	if len(headers) > 0 {
		first = headers[0].Name.Off
	}
	if first > u32(from) { // lines without a colon
		e.lines = append(e.lines, line{src: junk, from: u32(from), to: first, vFrom: first, vTo: first})
	}
	for i := range headers {
		h := &headers[i]
		to := u32(end)
		if i+1 < len(headers) {
			to = headers[i+1].Name.Off
		}
		e.lines = append(e.lines, line{
			id: h.ID, src: int32(i),
			from: h.Name.Off, to: to, vFrom: h.Value.Off, vTo: h.Value.Off + h.Value.Len,
		})
	}
}

func (e *Edit) fail(err error) {
	if e.err == nil {
		e.err = fmt.Errorf("edit a SIP message: %w", err)
	}
}

// base is what the offsets of a line are into.
func (e *Edit) base(l *line) []byte {
	if l.own {
		return e.text
	}
	return e.m.Raw
}

// value is the value of a line, folds kept.
func (e *Edit) value(i int) []byte {
	l := &e.lines[i]
	return e.base(l)[l.vFrom:l.vTo]
}

// first finds the first value of the headers of that id that is not empty, and where it stands in its line's value.
func (e *Edit) first(id sip.HeaderID) (i, from, to int) {
	for i := range e.lines {
		if e.lines[i].id != id {
			continue
		}
		if from, to = firstValue(e.value(i)); from < to {
			return i, from, to
		}
	}
	return -1, 0, 0
}

// setValue changes the whole value of a line.
func setValue[T text](e *Edit, i int, value T) {
	splice(e, i, 0, int(e.lines[i].vTo-e.lines[i].vFrom), value)
}

// splice puts text in the place of value[from:to] of a line.
func splice[T text](e *Edit, i, from, to int, value T) {
	l := &e.lines[i]
	at := len(e.text)
	b := e.base(l)
	e.text = append(e.text, b[l.from:l.vFrom]...)
	vFrom := len(e.text)
	e.text = append(e.text, b[l.vFrom:int(l.vFrom)+from]...)
	text := len(e.text)
	e.text = append(e.text, value...)
	if v := e.text[text:]; breaks(v, true) {
		e.fail(fmt.Errorf("header %q: %w", v, sip.ErrLineBreak))
	}
	e.text = append(e.text, b[int(l.vFrom)+to:l.vTo]...)
	vTo := len(e.text)
	e.text = append(e.text, b[l.vTo:l.to]...)
	e.endLine()
	*l = line{
		id: l.id, own: true, src: l.src,
		from: u32(at), to: u32(len(e.text)), vFrom: u32(vFrom), vTo: u32(vTo),
	}
	e.changed = true
}

// endLine ends the line that was written to text last, where the message was cut off within it.
func (e *Edit) endLine() {
	if e.text[len(e.text)-1] != '\n' {
		e.text = append(e.text, e.eol...)
	}
}

// insert adds a line before the one at index at.
func insert[T text](e *Edit, at int, id sip.HeaderID, name string, value T) {
	if at == 0 && len(e.lines) > 0 && e.blankFirst() {
		at = 1
	}
	for at > 0 && at < len(e.lines) && e.lines[at].src == junk { // it goes with the header before it
		at++
	}
	if id != sip.HeaderOther {
		name = id.String()
	}
	if !isToken(name) {
		e.fail(fmt.Errorf("header name %q: %w", name, ErrValue))
	}
	from := len(e.text)
	e.text = append(append(e.text, name...), ": "...)
	vFrom := len(e.text)
	e.text = append(e.text, value...)
	vTo := len(e.text)
	if b := e.text[vFrom:]; breaks(b, true) {
		e.fail(fmt.Errorf("header %q: %w", b, sip.ErrLineBreak))
	}
	e.text = append(e.text, e.eol...)
	e.lines = append(e.lines, line{})
	copy(e.lines[at+1:], e.lines[at:])
	e.lines[at] = line{
		id: id, own: true, src: -1,
		from: u32(from), to: u32(len(e.text)), vFrom: u32(vFrom), vTo: u32(vTo),
	}
	e.changed = true
}

// blankFirst reports whether the first line begins with a blank, which makes it part of any line that is put before it.
func (e *Edit) blankFirst() bool {
	l := &e.lines[0]
	b := e.base(l)[l.from:l.to]
	return len(b) > 0 && (b[0] == ' ' || b[0] == '\t')
}

// drop takes out a line, but keeps what stands behind it that is no header. It gives how many lines went: 1 or 0.
func (e *Edit) drop(i int) int {
	e.changed = true
	l := &e.lines[i]
	b := e.base(l)
	end := l.vTo
	for end < l.to {
		n := bytes.IndexByte(b[end:l.to], '\n')
		if n < 0 {
			end = l.to
			break
		}
		if end += u32(n) + 1; end == l.to || b[end] != ' ' && b[end] != '\t' {
			break
		}
	}
	if end < l.to {
		*l = line{own: l.own, src: junk, from: end, to: l.to, vFrom: l.to, vTo: l.to}
		return 0
	}
	e.lines = append(e.lines[:i], e.lines[i+1:]...)
	return 1
}

// head appends start line and headers, in as few pieces as they stand in one after the other.
func (e *Edit) head(dst []byte) []byte {
	run := e.start
	for i := range e.lines {
		l := &e.lines[i]
		if l.own == run.own && l.from == run.to {
			run.to = l.to
			continue
		}
		dst = e.piece(dst, &run)
		run = *l
	}
	return e.piece(dst, &run)
}

// piece appends lines. The last line of a message that was cut off may lack its end.
func (e *Edit) piece(dst []byte, l *line) []byte {
	if dst = append(dst, e.base(l)[l.from:l.to]...); l.to > l.from && dst[len(dst)-1] != '\n' {
		dst = append(dst, e.eol...)
	}
	return dst
}
