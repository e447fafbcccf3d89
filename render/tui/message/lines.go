package message

import (
	"iter"
	"sort"
	"strings"

	"sipscope/decode/sip"
	"sipscope/render/text"
	"sipscope/render/tui/term"
)

// Bounds of what is laid out: a message that passes them is shown as far as that, and says so. The reassembler gives no
// message of more bytes, and no element writes so many lines.
const (
	maxLines = 20_000
	maxBytes = 1 << 20
)

// goesOn stands below a message that is not shown whole.
const goesOn = "(the message goes on; save it to see all)"

// roleOf is the role of what a piece of a message is.
func roleOf(what text.Color) term.Role {
	if int(what) < len(roles) {
		return roles[what]
	}
	return term.Normal
}

// roles are the roles for what render/text tells apart in a message.
var roles = [...]term.Role{ //nolint:gochecknoglobals // read-only table
	text.Bold: term.Bold, text.Dim: term.Dim, text.Request: term.Request, text.Provisional: term.Provisional,
	text.Success: term.Success, text.Redirect: term.Redirect, text.Failure: term.Failure,
	text.HeaderName: term.HeaderName, text.Method: term.Method, text.URI: term.URI, text.Parameter: term.Parameter,
	text.Identity: term.Identity, text.Number: term.Number, text.BodyName: term.BodyName,
	text.DiagWarning: term.Diag, text.DiagError: term.Diag,
}

// textLine is a line that is laid out: its text, which is clean, and which part of it is what.
type textLine struct {
	text     string
	parts    []part
	off, len int // bytes of the raw text
	diag     int // index in Message.Diags of the departure that the line tells, -1 for none
}

// part is a piece of a line, by the offset where it ends.
type part struct {
	end  int
	role term.Role
}

// layOut makes lines of a message: parsed when m is not nil, else raw.
func layOut(raw []byte, m *sip.Message, ascii bool) []textLine {
	cut := len(raw) > maxBytes
	if cut {
		raw = raw[:maxBytes]
	}
	seq := text.RawLines(raw, text.MessageOptions{ASCII: ascii})
	if m != nil && !cut {
		seq = text.ParsedLines(m, text.MessageOptions{ASCII: ascii})
	}
	lines, more := collect(seq)
	if more || cut {
		lines = append(lines, textLine{text: goesOn, parts: []part{{len(goesOn), term.Dim}}, diag: -1, off: len(raw)})
	}
	return lines
}

// collect keeps at most maxLines lines, and reports whether there are more. The parts of all lines share their memory.
func collect(seq iter.Seq[text.Line]) (lines []textLine, more bool) {
	var all []part
	for l := range seq {
		if len(lines) == maxLines {
			return lines, true
		}
		if len(all)+len(l.Segs) > cap(all) {
			all = make([]part, 0, max(len(l.Segs), min(max(64, 2*cap(all)), 4096)))
		}
		from, n := len(all), 0
		for i := range l.Segs {
			n += len(l.Segs[i].Text)
			all = append(all, part{n, roleOf(l.Segs[i].Style)})
		}
		lines = append(lines, textLine{
			text: textOf(l.Segs, n), parts: all[from:len(all):len(all)], off: l.Off, len: l.Len, diag: l.Diag,
		})
	}
	return lines, false
}

// textOf joins segments of n bytes in all.
func textOf(segs []text.Seg, n int) string {
	if len(segs) == 1 {
		return segs[0].Text
	}
	var b strings.Builder
	b.Grow(n)
	for i := range segs {
		b.WriteString(segs[i].Text)
	}
	return b.String()
}

// drawText draws the bytes from..to of a line from cell x on, in their roles; without syntax only what departs from the
// grammar has one.
func drawText(c *term.Canvas, x, y int, l *textLine, from, to int, syntax bool) {
	to = min(to, len(l.text))
	first := sort.Search(len(l.parts), func(i int) bool { return l.parts[i].end > from })
	for i := first; i < len(l.parts) && from < to; i++ {
		role := l.parts[i].role
		if !syntax && role != term.Diag {
			role = term.Normal
		}
		end := min(l.parts[i].end, to)
		x += c.Put(x, y, l.text[from:end], role)
		from = end
	}
}

// drawFound marks each place where a row holds a text, which is in lower case. Beyond the row it looks no further than a
// place may reach that the row's edge cuts.
func drawFound(c *term.Canvas, x, y int, s string, r *row, needle string) {
	from, to := max(0, r.from-len(needle)), min(len(s), r.to+len(needle))
	low := term.Lower(s[from:to])
	for at := 0; ; at++ {
		i := strings.Index(low[at:], needle)
		if i < 0 || from+at+i >= r.to {
			return
		}
		at += i
		begin, end := max(from+at, r.from), min(from+at+len(needle), r.to)
		if end > begin {
			c.Overlay(x+text.Width(s[r.from:begin]), y, text.Width(s[begin:end]), term.Found)
		}
	}
}
