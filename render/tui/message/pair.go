package message

import (
	"sipscope/correlate/compare"
	"sipscope/render/text"
	"sipscope/render/tui/term"
)

// pairRow is one line of the screen of a comparison.
type pairRow struct {
	line int
	a, b chunk // of the first message and of the second
	mark string
	why  bool // the row says why the line above it differs
}

// chunk is what a row shows of a side: bytes of its clean text. None when to < 0.
type chunk struct{ from, to int }

func none() chunk { return chunk{0, -1} }

// side is a side of a line, laid out.
type side struct {
	textLine
	there bool
}

// sideOf cleans a side's spans and gives them roles.
func sideOf(spans []compare.Span, change compare.Change, meaning, ascii bool) side {
	s := side{there: spans != nil}
	s.diag = -1
	role := term.Changed
	switch {
	case change == compare.Added:
		role = term.Added
	case change == compare.Removed:
		role = term.Removed
	case !meaning:
		role = term.Dim
	}
	for _, x := range spans {
		clean := text.Clean(x.Text)
		if ascii {
			clean = text.CleanASCII(x.Text)
		}
		r := term.Normal
		if x.Differs || change == compare.Added || change == compare.Removed {
			r = role
		}
		s.text += clean
		s.parts = append(s.parts, part{len(s.text), r})
	}
	return s
}

// markOf is the sign of a change, so that it can be seen without colour.
func markOf(l *compare.Line) string {
	switch {
	case l.Change == compare.Added:
		return "+"
	case l.Change == compare.Removed:
		return "-"
	case l.Change == compare.Changed && l.Meaning:
		return "~"
	case l.Change == compare.Changed:
		return "≈"
	default:
		return " "
	}
}

// layout breaks the lines into rows, when something changed.
func (v *CompareView) layout(c *term.Canvas) {
	w, _ := c.Size()
	m := v.made
	m.w, m.wide, m.only, m.ignore = w, w >= sideBySide && !v.below, v.only, v.ignore
	m.wrap, m.ascii = v.h.Settings().Wrap, c.ASCII()
	if v.rows != nil && m == v.made {
		return
	}
	line := -1
	if v.top < len(v.rows) {
		line = v.rows[v.top].line
	}
	v.made = m
	v.rows = []pairRow{}
	for i := range v.result.Lines {
		if l := &v.result.Lines[i]; v.shown(l) && len(v.rows) < maxLines {
			v.addRows(i, l)
		}
	}
	for i := range v.rows {
		if v.rows[i].line >= line && line >= 0 {
			v.top = i
			break
		}
	}
}

// widths gives the cells of the two sides.
func (v *CompareView) widths() (a, b int) {
	w := v.made.w - 3 // mark, blank, scroll bar
	if !v.made.wide {
		return max(w, 1), max(w, 1)
	}
	a = max((w-1)*v.split/100, 1)
	return a, max(w-1-a, 1)
}

func (v *CompareView) addRows(i int, l *compare.Line) {
	wa, wb := v.widths()
	a := v.chunks(sideOf(l.A, l.Change, l.Meaning, v.made.ascii), wa)
	b := v.chunks(sideOf(l.B, l.Change, l.Meaning, v.made.ascii), wb)
	mark := markOf(l)
	switch {
	case v.made.wide:
		for k := range max(len(a), len(b)) {
			v.rows = append(v.rows, pairRow{line: i, a: nth(a, k), b: nth(b, k), mark: mark})
		}
	case l.Change == compare.Same || l.Change == compare.Moved:
		for _, x := range a {
			v.rows = append(v.rows, pairRow{line: i, a: x, b: none(), mark: " "})
		}
	default:
		for _, x := range a {
			v.rows = append(v.rows, pairRow{line: i, a: x, b: none(), mark: "-"})
		}
		for _, x := range b {
			v.rows = append(v.rows, pairRow{line: i, a: none(), b: x, mark: "+"})
		}
	}
	if l.Why != "" {
		v.rows = append(v.rows, pairRow{line: i, a: none(), b: none(), mark: " ", why: true})
	}
}

func nth(list []chunk, i int) chunk {
	if i < len(list) {
		return list[i]
	}
	return none()
}

// chunks breaks a side into what fits into w cells.
func (v *CompareView) chunks(s side, w int) []chunk {
	if !s.there {
		return nil
	}
	var out []chunk
	for _, r := range rowsOf([]textLine{s.textLine}, w, v.made.wrap) {
		out = append(out, chunk{r.from, r.to})
	}
	return out
}

// Draw implements term.View.
func (v *CompareView) Draw(c *term.Canvas) {
	w, h := c.Size()
	if v.result == nil {
		c.PutMax(1, 0, w-1, "comparing", term.Dim)
		return
	}
	v.layout(c)
	head := 2
	wa, _ := v.widths()
	if v.made.wide {
		head = 1
		c.PutMax(2, 0, wa, v.headA, term.Head)
		c.PutMax(2+wa+1, 0, w-wa-3, v.headB, term.Head)
	} else {
		c.PutMax(0, 0, w, "- "+v.headA, term.Head)
		c.PutMax(0, 1, w, "+ "+v.headB, term.Head)
	}
	v.height = max(h-head, 0)
	v.scroll(0)
	for y := range min(v.height, len(v.rows)-v.top) {
		v.drawRow(c, head+y, &v.rows[v.top+y])
	}
	if len(v.rows) > v.height && v.height > 1 {
		c.Draw(w-1, head+v.top*(v.height-1)/max(len(v.rows)-v.height, 1), 1, c.Glyphs().ScrollAt, term.Border)
	}
}

func (v *CompareView) drawRow(c *term.Canvas, y int, r *pairRow) {
	w, _ := c.Size()
	l := &v.result.Lines[r.line]
	wa, wb := v.widths()
	if r.why {
		c.PutMax(4, y, w-5, "("+l.Why+")", term.Note)
	} else {
		mark := r.mark
		if mark == "≈" && c.ASCII() {
			mark = "="
		}
		c.Put(0, y, mark, markRole(r.mark))
		v.drawSide(c.Sub(2, 0, wa, y+1), y, l.A, l, r.a)
		x := 2
		if v.made.wide {
			x += wa + 1
			c.Draw(2+wa, y, 1, c.Glyphs().Vertical, term.Border)
		}
		v.drawSide(c.Sub(x, 0, wb, y+1), y, l.B, l, r.b)
	}
	if r.line == v.at {
		c.Overlay(0, y, w-1, term.Peer)
	}
}

func markRole(mark string) term.Role {
	switch mark {
	case "+":
		return term.Added
	case "-":
		return term.Removed
	case "~":
		return term.Changed
	default:
		return term.Dim
	}
}

func (v *CompareView) drawSide(c *term.Canvas, y int, spans []compare.Span, l *compare.Line, k chunk) {
	if k.to < k.from {
		return
	}
	s := sideOf(spans, l.Change, l.Meaning, v.made.ascii)
	drawPart(c, 0, y, &s.textLine, k.from, min(k.to, len(s.text)), true)
	if v.needle != "" {
		overlayFound(c, 0, y, s.text, row{0, k.from, min(k.to, len(s.text))}, v.needle)
	}
}
