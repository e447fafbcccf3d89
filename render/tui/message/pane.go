// Package message shows messages on the screen: the pane beside a ladder, one message on the whole screen, and two that
// are compared.
//
// What a message says is render/text's and correlate/compare's; this package breaks it into rows, scrolls and searches.
// It reads texts through term.Data only, and draws the rows in sight only.
//
//	raw ─▶ layOut: lines, clean and with roles ─▶ rowsOf: rows of the pane's width ─▶ Draw: those in sight
//	       once a message and view                once a width                        each time
package message

import (
	"bytes"
	"sort"

	"sipscope/decode/sip"
	"sipscope/render/text"
	"sipscope/render/tui/term"
)

// Pane is a message that scrolls, raw or parsed. Its methods belong to the UI's goroutine.
type Pane struct {
	s    *term.Settings
	raw  []byte
	head string
	msg  *sip.Message // nil when raw is no SIP
	gone bool

	ascii    bool // of the canvas
	lines    []textLine
	linesFor struct{ parsed, ascii bool }
	widest   int            // cells of the widest line, -1 when not known
	marks    map[int][]mark // by line: those of the raw view that were looked at
	rows     []row          // nil until the next Draw
	rowsFor  frame

	top    int // first row in sight
	left   int // cells scrolled out of sight, without wrapping
	height int // rows in sight
	want   target

	finder
	order []int // indices of the message's diags, by their place
	diag  int   // index in order of the departure under its cursor, -1 for none
}

// place is a byte of a line's text.
type place struct{ line, at int }

// target is a place that the next Draw brings into sight, as the first row when atTop is set.
type target struct {
	place
	set, atTop bool
}

// NewPane makes an empty pane that follows the settings.
func NewPane(s *term.Settings) *Pane {
	return &Pane{s: s, ascii: s.ASCII, diag: -1, finder: finder{hit: nowhere}}
}

// Show takes a message and the line above it; without one the text begins at the top. A nil raw says that its text is
// gone. The same message again keeps its place.
func (p *Pane) Show(raw []byte, head string) {
	p.head = head
	if raw != nil && bytes.Equal(raw, p.raw) && !p.gone {
		return
	}
	p.raw, p.gone = bytes.Clone(raw), raw == nil
	p.top, p.left, p.diag, p.want = 0, 0, -1, target{}
	p.finder = finder{needle: p.needle, hit: nowhere}
	p.lines, p.rows, p.marks, p.msg, p.order = nil, nil, nil, nil, nil
	var m sip.Message
	if raw != nil && sip.Parse(p.raw, &m) == nil {
		p.msg = &m
		for i := range m.Diags {
			p.order = append(p.order, i)
		}
		sort.SliceStable(p.order, func(i, j int) bool {
			return m.Diags[p.order[i]].Span.Off < m.Diags[p.order[j]].Span.Off
		})
	}
}

// Text is the message as it was on the wire.
func (p *Pane) Text() string { return string(p.raw) }

// parsed reports whether the parsed view is shown.
func (p *Pane) parsed() bool { return p.s.Parsed && p.msg != nil }

// prepare lays out the lines when the message or the view of it has changed. What is at the top stays there.
func (p *Pane) prepare() {
	parsed := p.parsed()
	if p.lines != nil && p.linesFor.parsed == parsed && p.linesFor.ascii == p.ascii {
		return
	}
	again, off := p.lines != nil, p.offset(p.topPlace())
	found := p.hit != nowhere
	hit := p.offset(p.hit)
	m := p.msg
	if !parsed {
		m = nil
	}
	p.lines = layOut(p.raw, m, p.ascii)
	p.linesFor.parsed, p.linesFor.ascii = parsed, p.ascii
	p.marks, p.rows, p.widest = nil, nil, -1
	p.hit = nowhere
	if again {
		if found {
			p.hit = find(p.lines, p.needle, p.placeOf(hit), false)
		}
		p.origin = p.placeOf(off)
		p.want = target{place: p.origin, set: true, atTop: true}
	}
}

// layout makes the rows of w cells, when something has changed, and scrolls to what is wanted.
func (p *Pane) layout(w int) {
	p.prepare()
	f := frame{w: w, wrap: p.s.Wrap, words: p.linesFor.parsed}
	if !f.wrap {
		if p.widest < 0 {
			p.widest = widest(p.lines)
		}
		p.left = max(0, min(p.left, p.widest-w))
		f.left = p.left
	}
	if p.rows == nil || f != p.rowsFor {
		if p.rows != nil && !p.want.set {
			p.want = target{place: p.topPlace(), set: true, atTop: true}
		}
		p.rows, p.rowsFor = rowsOf(p.lines, f), f
	}
	p.settle()
	p.clamp()
}

// settle scrolls to what is wanted.
func (p *Pane) settle() {
	if !p.want.set || p.rows == nil {
		return
	}
	p.want.set = false
	at := p.rowAt(p.want.place)
	switch {
	case p.want.atTop:
		p.top = at
	case at < p.top || at >= p.top+p.height:
		p.top = at - p.height/3
	}
	p.clamp()
}

// clamp keeps the last row at the bottom.
func (p *Pane) clamp() { p.top = max(0, min(p.top, len(p.rows)-max(p.height, 1))) }

// rowAt gives the row that shows a place.
func (p *Pane) rowAt(at place) int {
	i := sort.Search(len(p.rows), func(i int) bool {
		r := &p.rows[i]
		return r.line > at.line || r.line == at.line && (r.to > at.at || !p.rowsFor.wrap)
	})
	if i > 0 && (i == len(p.rows) || p.rows[i].line > at.line) {
		i-- // behind the end of its line
	}
	return i
}

// topPlace is what stands at the top.
func (p *Pane) topPlace() place {
	switch {
	case p.want.set && p.want.atTop:
		return p.want.place
	case p.top >= len(p.rows):
		return place{}
	case !p.rowsFor.wrap:
		return place{p.rows[p.top].line, 0}
	}
	return place{p.rows[p.top].line, p.rows[p.top].from}
}

// offset is where in the raw text a place is, about.
func (p *Pane) offset(at place) int {
	if at.line < 0 || at.line >= len(p.lines) {
		return 0
	}
	l := &p.lines[at.line]
	if p.linesFor.parsed {
		return l.off
	}
	return l.off + min(at.at, max(l.len-1, 0))
}

// placeOf is where a byte of the raw text is shown.
func (p *Pane) placeOf(off int) place {
	for i := range p.lines {
		l := &p.lines[i]
		if l.diag >= 0 || l.off+l.len <= off {
			continue
		}
		if p.linesFor.parsed {
			return place{i, 0}
		}
		return place{i, max(off-l.off, 0)}
	}
	return place{}
}

// Draw draws the head and the rows in sight.
func (p *Pane) Draw(c *term.Canvas) {
	w, h := c.Size()
	if h < 1 || w < 1 {
		return
	}
	y := 0
	if p.head != "" {
		c.PutMax(0, 0, w, p.head, term.Head)
		y = 1
	}
	if p.gone {
		c.PutMax(0, y, w, "the text of this message is no longer there", term.Warning)
		return
	}
	p.ascii = c.ASCII()
	p.prepare()
	foot := p.foot()
	p.height = h - y
	if foot != "" && p.height > 1 {
		p.height--
		c.PutMax(0, h-1, w, foot, term.Diag)
	}
	p.layout(max(w-1, 1))
	body := c.Sub(0, y, max(w-1, 1), p.height)
	for i := range min(p.height, len(p.rows)-p.top) {
		p.drawRow(body, i, &p.rows[p.top+i])
	}
	drawScroll(c, y, p.height, p.top, len(p.rows))
}

func (p *Pane) drawRow(c *term.Canvas, y int, r *row) {
	w, _ := c.Size()
	l := &p.lines[r.line]
	drawText(c, r.x, y, l, r.from, r.to, p.s.Syntax)
	for _, m := range p.marksOf(r.line) {
		if from, to := max(m.from, r.from), min(m.to, r.to); from < to {
			c.Overlay(r.x+text.Width(l.text[r.from:from]), y, text.Width(l.text[from:to]), term.Diag)
		}
	}
	switch {
	case p.diagOn(r.line):
		c.Overlay(0, y, w, term.Cursor)
	case p.hit.line == r.line && p.hit.at >= r.from && p.hit.at < max(r.to, r.from+1):
		c.Overlay(0, y, w, term.Peer)
	}
	if p.needle != "" {
		drawFound(c, r.x, y, l.text, r, p.needle)
	}
	if !p.s.Wrap {
		drawCuts(c, y, w, l.text, r)
	}
}

// Scroll moves by rows, down or (negative) up.
func (p *Pane) Scroll(rows int) {
	p.settle()
	if rows == 0 {
		return
	}
	p.want.set = false
	p.top = max(p.top+rows, 0)
	if p.rows != nil || p.gone {
		p.clamp()
	}
	p.moved = true
}

// Sideways moves by cells to the right or (negative) to the left, when lines are not wrapped.
func (p *Pane) Sideways(cells int) {
	if !p.s.Wrap {
		p.left = max(0, min(p.left+cells, maxBytes))
	}
}
