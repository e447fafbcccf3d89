package message

import (
	"sort"

	"sipscope/correlate/compare"
	"sipscope/render/text"
	"sipscope/render/tui/term"
)

// layout makes sides and rows for a width, when something has changed, and scrolls to what is wanted. What is at the top
// stays there.
func (v *CompareView) layout(w int, ascii bool) {
	s := v.h.Settings()
	if v.sides == nil || ascii != v.made.ascii || s.Syntax != v.made.syntax {
		v.makeSides(ascii, s.Syntax)
	}
	if s.Wrap {
		v.left = 0
	}
	v.left = max(0, min(v.left, v.cells-1))
	f := pairFrame{
		w: w, split: v.split, left: v.left, wide: w >= sideBySide && !v.below, only: v.only, wrap: s.Wrap, ascii: ascii,
		syntax: s.Syntax,
	}
	if v.rows == nil || f != v.made {
		line := -1
		if v.top < len(v.rows) {
			line = v.rows[v.top].line
		}
		v.made = f
		v.makeRows()
		if line >= 0 {
			v.top = v.rowOf(line)
		}
	}
	v.settle()
	v.clamp()
}

func (v *CompareView) makeSides(ascii, syntax bool) {
	v.sides = make([]sides, len(v.result.Lines))
	v.cells = 0
	for i := range v.result.Lines {
		l := &v.result.Lines[i]
		s := sides{sideOf(l.A, l, ascii, syntax), sideOf(l.B, l, ascii, syntax)}
		for _, t := range [...]string{s.a.text, s.b.text} {
			if len(t) > v.cells {
				v.cells = max(v.cells, text.Width(t))
			}
		}
		v.sides[i] = s
	}
}

// makeRows breaks what is shown into rows.
func (v *CompareView) makeRows() {
	v.rows = make([]pairRow, 0, len(v.sides))
	wa, wb := v.made.widths()
	for i := range v.result.Lines {
		l := &v.result.Lines[i]
		if !v.shown(l) || len(v.rows) >= maxRows {
			continue
		}
		a := v.rowsOfSide(i, &v.sides[i].a, wa)
		b := v.rowsOfSide(i, &v.sides[i].b, wb)
		switch {
		case v.made.wide:
			v.beside(i, l, a, b)
		case differs(l):
			v.alone(a, onlyA, markRemoved)
			v.alone(b, onlyB, markAdded)
		default:
			v.alone(a, onlyA, markSame)
		}
		if l.Why != "" {
			v.rows = append(v.rows, pairRow{line: i, mark: markSame, kind: reason})
		}
	}
}

func (v *CompareView) rowsOfSide(line int, s *side, w int) []row {
	if !s.there {
		return nil
	}
	return appendRows(nil, line, s.text, frame{w: w, left: v.made.left, wrap: v.made.wrap})
}

// beside adds rows that show both sides.
func (v *CompareView) beside(line int, l *compare.Line, a, b []row) {
	for k := range max(len(a), len(b)) {
		v.rows = append(v.rows, pairRow{line: line, a: nth(a, k), b: nth(b, k), mark: markOf(l)})
	}
}

// nth gives a row, or an empty one behind the last.
func nth(rows []row, i int) row {
	if i < len(rows) {
		return rows[i]
	}
	return row{}
}

// alone adds rows that show one side.
func (v *CompareView) alone(rows []row, kind rowKind, mark string) {
	for _, r := range rows {
		p := pairRow{line: r.line, a: r, mark: mark, kind: kind}
		if kind == onlyB {
			p.a, p.b = row{}, r
		}
		v.rows = append(v.rows, p)
	}
}

// rowOf gives the first row of a line, or of the next one that is shown.
func (v *CompareView) rowOf(line int) int {
	return sort.Search(len(v.rows), func(i int) bool { return v.rows[i].line >= line })
}

// settle scrolls to what is wanted.
func (v *CompareView) settle() {
	if v.want < 0 || v.rows == nil {
		return
	}
	if at := v.rowOf(v.want); at < v.top || at >= v.top+v.height {
		v.top = at - v.height/3
		v.clamp()
	}
	v.want = -1
}

// Draw implements term.View.
func (v *CompareView) Draw(c *term.Canvas) {
	w, h := c.Size()
	if v.result == nil || v.note != "" {
		c.PutMax(0, 0, w, v.Status(), term.Warning)
		return
	}
	y := v.drawHeads(c)
	v.height = max(h-y, 0)
	v.layout(w, c.ASCII())
	for i := range min(v.height, len(v.rows)-v.top) {
		v.drawRow(c, y+i, &v.rows[v.top+i])
	}
	if len(v.rows) == 0 && v.only {
		c.PutMax(markWidth, y, w-markWidth, "no differences", term.Dim)
	}
	drawScroll(c, y, v.height, v.top, len(v.rows))
}

// drawHeads draws what the two messages are, and gives the lines that it takes.
func (v *CompareView) drawHeads(c *term.Canvas) int {
	w, _ := c.Size()
	a, b := refHead(v.a, c.ASCII()), refHead(v.b, c.ASCII())
	if w >= sideBySide && !v.below {
		f := pairFrame{w: w, split: v.split, wide: true}
		wa, wb := f.widths()
		c.PutMax(markWidth, 0, wa-1, a, term.Head)
		c.PutMax(f.border()+1, 0, wb, b, term.Head)
		return 1
	}
	for y, s := range [...]string{a, b} {
		mark := [...]string{markRemoved, markAdded}[y]
		c.Put(0, y, mark, roleOfMark(mark))
		c.PutMax(markWidth, y, w-markWidth, s, term.Head)
	}
	return 2
}

func (v *CompareView) drawRow(c *term.Canvas, y int, r *pairRow) {
	w, _ := c.Size()
	s := &v.sides[r.line]
	wa, wb := v.made.widths()
	c.Put(0, y, r.mark, roleOfMark(r.mark))
	if r.kind == reason {
		c.PutMax(markWidth+2, y, w-markWidth-3, "("+v.result.Lines[r.line].Why+")", term.Note)
	}
	a, b := c.Sub(markWidth, y, wa, 1), c.Sub(markWidth, y, wb, 1)
	if r.kind == both {
		b = c.Sub(v.made.border()+1, y, wb, 1)
		c.Draw(v.made.border(), y, 1, c.Glyphs().Vertical, term.Border)
	}
	drawText(a, r.a.x, 0, &s.a.textLine, r.a.from, r.a.to, true)
	drawText(b, r.b.x, 0, &s.b.textLine, r.b.from, r.b.to, true)
	if r.line == v.at {
		c.Overlay(0, y, w-1, term.Peer)
	}
	v.drawMarks(a, &s.a, &r.a)
	v.drawMarks(b, &s.b, &r.b)
}

// drawMarks marks in a side what a search found, and where its line goes on.
func (v *CompareView) drawMarks(c *term.Canvas, s *side, r *row) {
	if r.to == 0 && r.from == 0 {
		return
	}
	if v.needle != "" {
		drawFound(c, r.x, 0, s.text, r, v.needle)
	}
	if w, _ := c.Size(); !v.made.wrap {
		drawCuts(c, 0, w, s.text, r)
	}
}
