package message

import (
	"slices"
	"strings"

	"github.com/rivo/uniseg"

	"sipscope/decode/sip"
	"sipscope/render/text"
	"sipscope/render/tui/term"
)

// Bounds of what is laid out: a message that passes them is shown as far as that, and says so. No real one does.
const (
	maxLines = 20_000
	maxBytes = 1 << 20
)

// roleOf is the role of what a piece of a message is.
func roleOf(st text.Color) term.Role {
	switch st {
	case text.Bold:
		return term.Bold
	case text.Dim:
		return term.Dim
	case text.DiagWarning, text.DiagError:
		return term.Diag
	default:
	}
	if i := slices.Index(pieces[:], st); i >= 0 {
		return pieceRoles[i]
	}
	return term.Normal
}

// What render/text tells apart in a message, and the roles for it.
var (
	pieces = [...]text.Color{ //nolint:gochecknoglobals // read-only table
		text.Request, text.Provisional, text.Success, text.Redirect, text.Failure, text.HeaderName, text.Method, text.URI,
		text.Parameter, text.Identity, text.Number, text.BodyName,
	}
	pieceRoles = [...]term.Role{ //nolint:gochecknoglobals // read-only table
		term.Request, term.Provisional, term.Success, term.Redirect, term.Failure, term.HeaderName, term.Method, term.URI,
		term.Parameter, term.Identity, term.Number, term.BodyName,
	}
)

// textLine is a line that is laid out: its text, clean, and which part of it is what.
type textLine struct {
	text     string
	parts    []part
	off, len int // bytes of the raw text
	diag     int // -1 for none
}

// part is a piece of a line, by the offset where it ends.
type part struct {
	end  int
	role term.Role
}

// layOut makes lines of a message.
func layOut(raw []byte, m *sip.Message, parsed, ascii bool) []textLine {
	cut := len(raw) > maxBytes
	if cut {
		raw = raw[:maxBytes]
	}
	seq := text.RawLines(raw, text.MessageOptions{ASCII: ascii})
	if parsed && m != nil && !cut {
		seq = text.ParsedLines(m, text.MessageOptions{ASCII: ascii})
	}
	kept, more := text.Lines(seq, maxLines)
	lines := make([]textLine, 0, len(kept)+1)
	for i := range kept {
		l := textLine{off: kept[i].Off, len: kept[i].Len, diag: kept[i].Diag}
		n := 0
		for j := range kept[i].Segs {
			n += len(kept[i].Segs[j].Text)
			l.parts = append(l.parts, part{n, roleOf(kept[i].Segs[j].Style)})
		}
		l.text = kept[i].Text()
		lines = append(lines, l)
	}
	if more || cut {
		const note = "(the message goes on; save it to see all)"
		lines = append(lines, textLine{text: note, parts: []part{{len(note), term.Dim}}, diag: -1, off: len(raw)})
	}
	return lines
}

// row is what one line of the screen shows of a line.
type row struct{ line, from, to int }

// rowsOf breaks lines into rows of w cells, or gives each one row.
func rowsOf(lines []textLine, w int, wrap bool) []row {
	rows := make([]row, 0, len(lines))
	for i := range lines {
		s := lines[i].text
		if !wrap || len(s) <= w {
			rows = append(rows, row{i, 0, len(s)})
			continue
		}
		for from := 0; ; {
			n := fit(s[from:], w)
			rows = append(rows, row{i, from, from + n})
			if from += n; from >= len(s) {
				break
			}
		}
	}
	return rows
}

// fit gives how many bytes of a clean text fit into w cells, at least one character's.
func fit(s string, w int) int {
	n, cells, state := 0, 0, -1
	for n < len(s) && cells < w {
		if s[n] < 0x80 && (n+1 == len(s) || s[n+1] < 0x80) {
			n++
			cells++
			continue
		}
		c, _, width, _ := uniseg.FirstGraphemeClusterInString(s[n:], state)
		if cells+width > w && n > 0 {
			break
		}
		n += len(c)
		cells += width
	}
	return n
}

// drawPart draws the bytes from..to of a line from cell x on, in their roles.
func drawPart(c *term.Canvas, x, y int, l *textLine, from, to int, syntax bool) {
	at := 0
	for i := range l.parts {
		end := l.parts[i].end
		if end > from && at < to {
			role := l.parts[i].role
			if !syntax && role != term.Diag {
				role = term.Normal
			}
			x += c.Put(x, y, l.text[max(at, from):min(end, to)], role)
		}
		if at = end; at >= to {
			return
		}
	}
}

// overlayFound marks each place where a row holds the text that is searched for, which is in lower case.
func overlayFound(c *term.Canvas, x, y int, s string, r row, needle string) {
	low := term.Lower(s)
	from := max(0, r.from-len(needle))
	for range 200 { // more than fit on a screen
		i := strings.Index(low[from:], needle)
		if i < 0 || from+i >= r.to {
			return
		}
		at := from + i
		begin, end := max(at, r.from), min(at+len(needle), r.to)
		if end > begin {
			c.Overlay(x+text.Width(s[r.from:begin]), y, text.Width(s[begin:end]), term.Found)
		}
		from = at + 1
	}
}
