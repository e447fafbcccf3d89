package message

import (
	"strings"
	"unicode/utf8"

	"sipscope/render/text"
	"sipscope/render/tui/term"
)

// finder is the search of a pane.
type finder struct {
	needle string // in lower case; empty for no search
	hit    place  // what it has found, or nowhere
	origin place  // where it began: what is typed on is looked for from there
	moved  bool   // the user has scrolled since
}

// nowhere is no place.
var nowhere = place{line: -1} //nolint:gochecknoglobals // a constant

// Search marks a text wherever it is, whatever the case of its ASCII letters, and brings a place of it into sight: the
// first from where the search began, or with next the one behind the place that was found last, or before it. It reports
// whether there is one. An empty text ends the search.
func (p *Pane) Search(needle string, next, backwards bool) bool {
	p.needle = term.Lower(needle)
	if needle == "" || p.gone {
		p.hit = nowhere
		p.moved = true // the next search begins at what is in sight
		return false
	}
	p.prepare()
	p.settle()
	var from place
	switch {
	case next && p.hit != nowhere && backwards:
		from = place{p.hit.line, p.hit.at - 1}
	case next && p.hit != nowhere:
		from = place{p.hit.line, p.hit.at + 1}
	default:
		if p.moved {
			p.origin = p.topPlace()
		}
		from = p.origin
	}
	hit := find(p.lines, p.needle, from, backwards)
	if hit == nowhere {
		return false
	}
	p.hit, p.moved = hit, false
	if next {
		p.origin = hit
	}
	p.reveal(hit)
	return true
}

// begin lets the next search begin at what was found last, or at what is in sight.
func (p *Pane) begin() {
	p.settle()
	p.origin = p.hit
	if p.hit == nowhere || p.moved {
		p.origin = p.topPlace()
	}
	p.moved = false
}

// restart lets the next search begin at the first line, or at the end.
func (p *Pane) restart(atEnd bool) {
	p.prepare()
	p.hit, p.origin, p.moved = nowhere, place{}, false
	if atEnd && len(p.lines) > 0 {
		last := len(p.lines) - 1
		p.origin = place{last, len(p.lines[last].text)}
	}
}

// reveal brings a place into sight with the next Draw; without wrapping also sideways.
func (p *Pane) reveal(at place) {
	p.want = target{place: at, set: true}
	if p.s.Wrap || at.line >= len(p.lines) {
		return
	}
	s := p.lines[at.line].text
	x, w := text.Width(s[:min(at.at, len(s))]), p.rowsFor.w
	if x < p.left || x+len(p.needle) > p.left+w {
		p.left = max(0, x-w/3)
		if x+len(p.needle) < w {
			p.left = 0
		}
	}
}

// find gives the first place of a text, which is in lower case, at a place or behind it; backwards the last one at it or
// before.
func find(lines []textLine, needle string, from place, backwards bool) place {
	step := 1
	if backwards {
		step = -1
	}
	for i := max(from.line, 0); i >= 0 && i < len(lines); i += step {
		low := term.Lower(lines[i].text)
		at := -1
		switch {
		case i != from.line && backwards:
			at = strings.LastIndex(low, needle)
		case i != from.line:
			at = strings.Index(low, needle)
		case backwards && from.at >= 0:
			at = strings.LastIndex(low[:min(from.at+len(needle), len(low))], needle)
		case !backwards:
			skip := min(from.at, len(low))
			if at = strings.Index(low[skip:], needle); at >= 0 {
				at += skip
			}
		}
		if at >= 0 {
			return place{i, at}
		}
	}
	return nowhere
}

// NextDiag goes to the next departure from the grammar, or back to the previous one. It reports false when there is none.
func (p *Pane) NextDiag(back bool) bool {
	at := p.diag + 1
	if back {
		if at = p.diag - 1; p.diag < 0 {
			at = len(p.order) - 1
		}
	}
	if at < 0 || at >= len(p.order) {
		return false
	}
	p.prepare()
	p.settle()
	p.diag, p.hit, p.moved = at, nowhere, true
	if line, ok := p.diagPlace(); ok {
		p.reveal(line)
	}
	return true
}

// diagPlace is where the departure under the cursor is shown.
func (p *Pane) diagPlace() (at place, ok bool) {
	index := p.order[p.diag]
	off := int(p.msg.Diags[index].Span.Off)
	for i := range p.lines {
		l := &p.lines[i]
		switch {
		case p.linesFor.parsed && l.diag == index:
			return place{i, 0}, true
		case !p.linesFor.parsed && off < l.off+l.len:
			return place{i, p.cleanOffset(l, off)}, true
		}
	}
	return place{max(len(p.lines)-1, 0), 0}, len(p.lines) > 0
}

// diagOn reports whether the departure under the cursor begins in a line, or is told in it.
func (p *Pane) diagOn(line int) bool {
	if p.diag < 0 || p.diag >= len(p.order) {
		return false
	}
	index := p.order[p.diag]
	l := &p.lines[line]
	if p.linesFor.parsed {
		return l.diag == index
	}
	off := int(p.msg.Diags[index].Span.Off)
	return off >= l.off && (off < l.off+l.len || line == len(p.lines)-1)
}

// mark is a piece of a raw line that departs from the grammar: bytes of its clean text.
type mark struct{ from, to, diag int }

// marksOf gives the pieces of a raw line that depart from the grammar. The parser gives at most some dozens a message.
func (p *Pane) marksOf(line int) []mark {
	if p.msg == nil || len(p.order) == 0 || p.linesFor.parsed {
		return nil
	}
	marks, ok := p.marks[line]
	if ok {
		return marks
	}
	l := &p.lines[line]
	for _, i := range p.order {
		s := p.msg.Diags[i].Span
		from, to := int(s.Off), int(s.Off)+int(s.Len)
		if to <= l.off || from >= l.off+l.len {
			continue
		}
		if m := (mark{p.cleanOffset(l, from), p.cleanOffset(l, to), i}); m.from < m.to {
			marks = append(marks, m)
		}
	}
	if p.marks == nil {
		p.marks = map[int][]mark{}
	}
	p.marks[line] = marks
	return marks
}

// cleanOffset is where the raw byte at off stands in a line's clean text.
func (p *Pane) cleanOffset(l *textLine, off int) int {
	off = min(max(off, l.off), l.off+l.len, len(p.raw))
	raw := string(p.raw[min(l.off, off):off])
	clean := text.Clean(raw)
	if p.linesFor.ascii {
		clean = text.CleanASCII(raw)
	}
	n := min(len(clean), len(l.text))
	for n < len(l.text) && !utf8.RuneStart(l.text[n]) {
		n++
	}
	return n
}

// foot explains the departure under the cursor, or the one that a search has found, in the raw view: the parsed view
// tells it where it is.
func (p *Pane) foot() string {
	if p.msg == nil || p.linesFor.parsed {
		return ""
	}
	index := -1
	if p.diag >= 0 && p.diag < len(p.order) {
		index = p.order[p.diag]
	}
	if p.hit != nowhere {
		index = -1
		for _, m := range p.marksOf(p.hit.line) {
			if m.from <= p.hit.at && p.hit.at < m.to {
				index = m.diag
			}
		}
	}
	if index < 0 {
		return ""
	}
	code := p.msg.Diags[index].Code
	s := "! " + code.Text()
	if section := code.Section(); section != "" {
		s += " (" + section + ")"
	}
	return s
}
