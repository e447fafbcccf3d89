// Package message shows messages on the screen: the pane beside a ladder, one message on the whole screen, and two that
// are compared. What a message says is render/text's and correlate/compare's; this package breaks it into rows, scrolls
// and searches. It reads texts through term.Data only.
package message

import (
	"bytes"
	"fmt"
	"strings"

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

	made struct { // what lines and rows were made for
		parsed, wrap, ascii bool
		w                   int
	}
	lines  []textLine
	rows   []row
	top    int // first row shown
	left   int // cells scrolled to the right, without wrapping
	height int

	needle string // in lower case
	hit    int    // line of the search, -1 for none
	diag   int    // index of the departure under its cursor, -1 for none
}

// NewPane makes an empty pane that follows the settings.
func NewPane(s *term.Settings) *Pane { return &Pane{s: s, hit: -1, diag: -1} }

// Show takes a message and the line that says where it comes from. A nil raw says that its text is gone. The same message
// again keeps its place.
func (p *Pane) Show(raw []byte, head string) {
	p.head = head
	if raw != nil && bytes.Equal(raw, p.raw) && !p.gone {
		return
	}
	p.raw, p.gone = bytes.Clone(raw), raw == nil
	p.top, p.left, p.hit, p.diag = 0, 0, -1, -1
	p.lines, p.rows, p.msg = nil, nil, nil
	var m sip.Message
	if raw != nil && sip.Parse(p.raw, &m) == nil {
		p.msg = &m
	}
}

// Text is the message as it was on the wire.
func (p *Pane) Text() string { return string(p.raw) }

// layout makes the lines and rows that a canvas of this width needs, when something changed.
func (p *Pane) layout(w int, ascii bool) {
	m := p.made
	m.parsed, m.wrap, m.ascii, m.w = p.s.Parsed, p.s.Wrap, ascii, w
	if p.lines != nil && m == p.made {
		return
	}
	place := p.place()
	if p.lines == nil || m.parsed != p.made.parsed || m.ascii != p.made.ascii {
		p.lines = layOut(p.raw, p.msg, p.s.Parsed, ascii)
		p.hit = -1
	}
	p.made = m
	p.rows = rowsOf(p.lines, w, p.s.Wrap)
	p.toOffset(place)
}

// place is the offset in the raw text of what stands at the top.
func (p *Pane) place() int {
	if p.top >= len(p.rows) || p.rows[p.top].line >= len(p.lines) {
		return 0
	}
	return p.lines[p.rows[p.top].line].off
}

func (p *Pane) toOffset(off int) {
	if off == 0 {
		return
	}
	for i := range p.rows {
		if l := &p.lines[p.rows[i].line]; l.off+l.len > off {
			p.top = i
			return
		}
	}
}

// Draw draws the head and the rows in sight.
func (p *Pane) Draw(c *term.Canvas) {
	w, h := c.Size()
	if h < 1 || w < 1 {
		return
	}
	c.PutMax(0, 0, w, p.head, term.Head)
	if p.gone {
		c.PutMax(0, 1, w, "the text of this message is no longer there", term.Warning)
		return
	}
	foot := p.foot()
	p.height = max(h-1, 0)
	if foot != "" {
		p.height = max(p.height-1, 0)
	}
	p.layout(max(w-1, 1), c.ASCII())
	p.Scroll(0)
	for y := 1; y <= p.height && p.top+y-1 < len(p.rows); y++ {
		p.drawRow(c.Sub(0, 0, w-1, h), y, p.rows[p.top+y-1])
	}
	if len(p.rows) > p.height && p.height > 1 {
		c.Draw(w-1, 1+p.top*(p.height-1)/max(len(p.rows)-p.height, 1), 1, c.Glyphs().ScrollAt, term.Border)
	}
	if foot != "" {
		c.PutMax(0, h-1, w, foot, term.Diag)
	}
}

func (p *Pane) drawRow(c *term.Canvas, y int, r row) {
	w, _ := c.Size()
	l := &p.lines[r.line]
	drawPart(c, -p.left, y, l, r.from, r.to, p.s.Syntax)
	if !p.s.Parsed {
		p.drawDiags(c, y, l, r)
	}
	if p.needle != "" {
		overlayFound(c, -p.left, y, l.text, r, p.needle)
		if r.line == p.hit {
			c.Overlay(0, y, w, term.Peer)
		}
	}
	if p.diag >= 0 && l.diag == p.diag {
		c.Overlay(0, y, w, term.Cursor)
	}
}

// drawDiags marks the places of a raw line that depart from the grammar.
func (p *Pane) drawDiags(c *term.Canvas, y int, l *textLine, r row) {
	if p.msg == nil {
		return
	}
	for i := range p.msg.Diags {
		s := p.msg.Diags[i].Span
		from, to := int(s.Off), int(s.Off+s.Len)
		if to <= l.off || from >= l.off+l.len {
			continue
		}
		from, to = p.cleanOffset(l, from), p.cleanOffset(l, to)
		if from, to = max(from, r.from), min(to, r.to); from >= to {
			continue
		}
		role := term.Diag
		if i == p.diag {
			c.Overlay(0, y, 1<<12, term.Peer)
		}
		c.Overlay(text.Width(l.text[r.from:from])-p.left, y, text.Width(l.text[from:to]), role)
	}
}

// cleanOffset is where the raw byte at off stands in a line's clean text.
func (p *Pane) cleanOffset(l *textLine, off int) int {
	off = min(max(off, l.off), l.off+l.len)
	raw := string(p.raw[l.off:off])
	clean := text.Clean(raw)
	if p.made.ascii {
		clean = text.CleanASCII(raw)
	}
	return min(len(clean), len(l.text))
}

// foot explains the departure under the cursor.
func (p *Pane) foot() string {
	if p.diag < 0 || p.msg == nil || p.diag >= len(p.msg.Diags) || p.s.Parsed {
		return ""
	}
	d := p.msg.Diags[p.diag].Code
	return fmt.Sprintf("%s: %s (%s)", d, d.Text(), d.Section())
}

// Scroll moves by rows.
func (p *Pane) Scroll(rows int) {
	p.top = max(0, min(p.top+rows, len(p.rows)-max(p.height, 1)))
}

// Sideways moves by cells, when lines are not wrapped.
func (p *Pane) Sideways(cells int) {
	if p.s.Wrap {
		p.left = 0
		return
	}
	p.left = max(0, min(p.left+cells, maxBytes))
}

// Search marks a text wherever it is, whatever the case of its ASCII letters, and brings the next place into sight. It
// reports whether there is one. An empty text ends the search.
func (p *Pane) Search(needle string, next, backwards bool) bool {
	p.needle = term.Lower(needle)
	if needle == "" || p.gone {
		p.hit = -1
		return false
	}
	if p.lines == nil {
		p.layout(max(p.made.w, 1), p.made.ascii)
	}
	from, step := p.hit, 1
	if p.hit < 0 {
		if from = 0; p.top < len(p.rows) {
			from = p.rows[p.top].line
		}
	} else if next {
		if from++; backwards {
			from -= 2
		}
	}
	if backwards {
		step = -1
	}
	for i := from; i >= 0 && i < len(p.lines); i += step {
		if strings.Contains(term.Lower(p.lines[i].text), p.needle) {
			p.hit = i
			p.reveal(i)
			return true
		}
	}
	return false
}

// End searches from the end: for a search that goes backwards into a message.
func (p *Pane) End() { p.hit = len(p.lines) }

// reveal brings a line into sight.
func (p *Pane) reveal(line int) {
	for i := range p.rows {
		if p.rows[i].line == line {
			if i < p.top || i >= p.top+p.height {
				p.top = i
				p.Scroll(-p.height / 3)
			}
			return
		}
	}
}

// NextDiag goes to the next departure from the grammar, or back to the previous one. It reports false when there is none.
func (p *Pane) NextDiag(back bool) bool {
	if p.msg == nil {
		return false
	}
	at := p.diag + 1
	if back {
		if at = p.diag - 1; p.diag < 0 {
			at = len(p.msg.Diags) - 1
		}
	}
	if at < 0 || at >= len(p.msg.Diags) {
		return false
	}
	p.diag = at
	off := int(p.msg.Diags[at].Span.Off)
	for i := range p.lines {
		l := &p.lines[i]
		if p.s.Parsed && l.diag == at || !p.s.Parsed && off < l.off+max(l.len, 1) && off >= l.off {
			p.reveal(i)
			break
		}
	}
	return true
}
