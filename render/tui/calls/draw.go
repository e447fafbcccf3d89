package calls

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"sipscope/correlate"
	"sipscope/render/columns"
	"sipscope/render/text"
	"sipscope/render/tui/term"
)

// Layout of a row: the mark of a selected call, then the columns with a blank between them.
const (
	markWidth = 2
	maxAuto   = 40 // cells that a column takes by its content at most
	minWidth  = 3
)

// head is where a column stands on the screen.
type head struct{ col, x, w int }

// chooseColumns makes the columns that the settings ask for.
func (v *View) chooseColumns() { v.columnsFor(0) }

func (v *View) columnsFor(width int) {
	names := v.settings().Columns
	if len(names) == 0 {
		names = strings.Split(columns.For(width), ",")
	}
	if slices.Equal(names, v.colNames) {
		return
	}
	v.colNames = slices.Clone(names)
	v.cols, v.widths, v.left = v.cols[:0], nil, 0
	data := v.h.Data()
	var lazy []string
	for _, name := range names {
		if header, ok := strings.CutPrefix(strings.TrimSpace(name), columns.HeaderPrefix); ok && header != "" {
			v.cols = append(v.cols, v.headerColumn(data, header, &lazy))
		} else if c, err := columns.Find(strings.TrimSpace(name)); err == nil {
			v.cols = append(v.cols, c)
		} else {
			v.h.Fail(err)
		}
	}
	if len(v.cols) == 0 { // all names of the configuration file are wrong
		v.cols, _, _ = columns.Choose(columns.For(width))
	}
	v.texts.want(lazy)
	v.widths = make([]int, len(v.cols))
}

// headerColumn shows a header, collected by the pipeline or read again for the rows in sight.
func (v *View) headerColumn(data *term.Data, header string, lazy *[]string) columns.Column {
	if at := collected(data, header); at >= 0 {
		return columns.Header(header, func(s *correlate.Summary) string {
			if at < len(s.Columns) {
				return s.Columns[at]
			}
			return ""
		})
	}
	at := len(*lazy)
	*lazy = append(*lazy, header)
	return columns.Header(header, func(s *correlate.Summary) string { return v.texts.value(s.Num, at) })
}

// still gives the columns for another goroutine, with a copy of the values that were read for them so far.
func (v *View) still() ([]columns.Column, map[uint32][]string) {
	cols := slices.Clone(v.cols)
	values := make(map[uint32][]string, len(v.texts.values))
	maps.Copy(values, v.texts.values)
	for i := range cols {
		header, ok := strings.CutPrefix(cols[i].Name, columns.HeaderPrefix)
		if !ok {
			continue
		}
		if at := slices.Index(v.texts.headers, header); at >= 0 {
			cols[i].Cell = func(s *correlate.Summary) string {
				if all := values[s.Num]; at < len(all) {
					return all[at]
				}
				return ""
			}
		}
	}
	return cols, values
}

// Draw implements term.View.
func (v *View) Draw(c *term.Canvas) {
	w, h := c.Size()
	v.columnsFor(w)
	v.height = max(h-1, 0)
	v.scroll()
	v.fetch()
	v.measure(c)
	v.place(w)
	v.drawHeads(c)
	if v.list.len() == 0 {
		v.drawEmpty(c)
		return
	}
	for y, num := range v.nums {
		v.drawRow(c, y+1, num)
	}
}

// scroll keeps the cursor in sight.
func (v *View) scroll() {
	n := v.list.len()
	v.cursor = max(0, min(v.cursor, n-1))
	if v.cursor < v.top {
		v.top = v.cursor
	}
	if v.cursor >= v.top+v.height {
		v.top = v.cursor - v.height + 1
	}
	v.top = max(0, min(v.top, n-v.height))
}

// measure makes columns as wide as what was in them so far, so that they do not jump while one scrolls.
func (v *View) measure(c *term.Canvas) {
	for i := range v.cols {
		v.widths[i] = max(v.widths[i], text.Width(v.title(c, i)), minWidth)
		for j := range v.rows {
			if v.widths[i] >= maxAuto {
				break
			}
			cell := v.cols[i].Cell(&v.rows[j])
			v.widths[i] = max(v.widths[i], min(text.Width(c.Clean(cell[:min(len(cell), 4*maxAuto)])), maxAuto))
		}
	}
}

// title is a column's head, with the order when it sorts.
func (v *View) title(c *term.Canvas, i int) string {
	name, down := strings.CutPrefix(v.list.sortBy, "-")
	if v.cols[i].Name != name {
		return v.cols[i].Title
	}
	if down {
		return v.cols[i].Title + c.Glyphs().Down
	}
	return v.cols[i].Title + c.Glyphs().Up
}

// place gives each column its cells: what the user set, else what its content needs; when they do not fit, the widest
// columns of text give way first, and what still does not fit is scrolled to.
func (v *View) place(w int) {
	v.left = max(0, min(v.left, len(v.cols)-1))
	widths := make([]int, len(v.cols))
	sum := markWidth
	for i := range v.cols {
		widths[i] = v.widths[i]
		if set := v.settings().Widths[v.cols[i].Name]; set > 0 {
			widths[i] = set
		}
		if i >= v.left {
			sum += widths[i] + 1
		}
	}
	for sum-1 > w {
		widest := -1
		for i := v.left; i < len(v.cols); i++ {
			fixed := v.settings().Widths[v.cols[i].Name] > 0
			if !fixed && v.cols[i].Least > 0 && widths[i] > v.cols[i].Least && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
		sum--
	}
	v.heads = v.heads[:0]
	x := markWidth
	for i := v.left; i < len(v.cols) && x < w; i++ {
		v.heads = append(v.heads, head{i, x, min(widths[i], w-x)})
		x += widths[i] + 1
	}
}

func (v *View) drawHeads(c *term.Canvas) {
	name := strings.TrimPrefix(v.list.sortBy, "-")
	for _, h := range v.heads {
		role := term.Head
		if v.cols[h.col].Name == name {
			role = term.HeadSort
		}
		if v.cols[h.col].Right {
			c.PutRight(h.x, 0, h.w, v.title(c, h.col), role)
		} else {
			c.PutMax(h.x, 0, h.w, v.title(c, h.col), role)
		}
	}
	if v.left > 0 {
		c.Put(0, 0, c.Glyphs().Left, term.Dim)
	}
}

// drawEmpty says why there is nothing.
func (v *View) drawEmpty(c *term.Canvas) {
	w, h := c.Size()
	acct, _ := v.board.Accounting()
	s := "reading…"
	switch {
	case v.list.filtered() && v.list.all() > 0 && v.list.busy == "":
		s = fmt.Sprintf("none of %s matches", count(v.list.all(), "call"))
	case v.list.busy != "":
		s = v.list.busy + "…"
	case v.list.upTo > 0:
		s = "no new calls"
	case v.board.Done():
		s = fmt.Sprintf("no calls: %s read, %s", count(int(acct.Packets), "packet"), //nolint:gosec // fits
			count(int(v.totals.Messages), "SIP message")) //nolint:gosec // fits
	}
	c.PutMax(max(0, (w-text.Width(s))/2), h/2, w, s, term.Dim)
}

func (v *View) drawRow(c *term.Canvas, y int, num uint32) {
	w, _ := c.Size()
	s := v.row(num)
	if v.selected.has(num) {
		c.Put(0, y, c.Glyphs().Check, term.Bold)
	}
	if s == nil {
		c.PutMax(markWidth, y, w-markWidth, fmt.Sprintf("%d: no longer kept (--max-calls)", num), term.Dim)
	} else {
		for _, h := range v.heads {
			v.drawCell(c, y, h, v.cols[h.col].Cell(s))
		}
	}
	if v.selected.has(num) {
		c.Overlay(0, y, w, term.Marked)
	}
	if num == v.at {
		c.Overlay(0, y, w, term.Cursor)
	}
}

// drawCell draws a cell and marks in it what is searched for.
func (v *View) drawCell(c *term.Canvas, y int, h head, cell string) {
	col := &v.cols[h.col]
	role := term.Normal
	if col.Class != nil {
		role = map[columns.Class]term.Role{
			columns.Good: term.Good, columns.Bad: term.Bad, columns.Neutral: term.Neutral,
		}[col.Class(cell)]
	}
	x := h.x
	if col.Right {
		x += max(0, h.w-text.Width(c.Clean(cell)))
	}
	c.PutMax(x, y, h.x+h.w-x, cell, role)
	if v.needle == "" {
		return
	}
	if i := strings.Index(term.Lower(cell), v.needle); i >= 0 {
		at := x + text.Width(c.Clean(cell[:i]))
		c.Overlay(at, y, min(text.Width(c.Clean(cell[i:i+len(v.needle)])), h.x+h.w-at), term.Found)
	}
}
