package message

import (
	"strings"

	"sipscope/correlate/compare"
	"sipscope/render/text"
	"sipscope/render/tui/term"
)

// pairs is a comparison laid out: lines of both sides, and the rows that show them.
type pairs struct {
	made  pairFrame
	sides []sides // by line of the comparison; nil when they are to be made
	rows  []pairRow
	cells int // of the widest side
}

// reset lays everything out anew with the next Draw.
func (p *pairs) reset() { p.sides, p.rows = nil, nil }

// pairFrame is what rows were made for.
type pairFrame struct {
	w, split, left            int
	wide                      bool // side by side
	only, wrap, ascii, syntax bool
}

// Columns of a comparison: mark, blank, text, and a scroll bar at the right.
const markWidth = 2

// widths gives the cells of the two sides.
func (f *pairFrame) widths() (a, b int) {
	w := max(f.w-markWidth-1, 1)
	if !f.wide {
		return w, w
	}
	a = max((w-1)*f.split/100, 1)
	return a, max(w-1-a, 1)
}

// border is the column between the two sides.
func (f *pairFrame) border() int {
	a, _ := f.widths()
	return markWidth + a
}

// sides are the two sides of a line, laid out.
type sides struct{ a, b side }

// side is a side of a line; there is false where that message has no such line.
type side struct {
	textLine
	there bool
}

// pairRow is one line of the screen: of a line of the comparison what is left and what is right.
type pairRow struct {
	line int
	a, b row
	mark string
	kind rowKind
}

// rowKind is what a row shows.
type rowKind uint8

const (
	both   rowKind = iota // both sides, beside each other
	onlyA                 // the first message's side, on the whole width
	onlyB                 // the second's
	reason                // why the line above differs
)

// Marks of the lines, so that changes can be seen without colour.
const (
	markSame     = " "
	markAdded    = "+"
	markRemoved  = "-"
	markChanged  = "~"
	markSpelling = "="
)

// markOf is the mark of a line.
func markOf(l *compare.Line) string {
	switch {
	case l.Change == compare.Added:
		return markAdded
	case l.Change == compare.Removed:
		return markRemoved
	case l.Change == compare.Changed && l.Meaning:
		return markChanged
	case l.Change == compare.Changed:
		return markSpelling
	default:
		return markSame
	}
}

// roleOfMark is how a mark looks.
func roleOfMark(mark string) term.Role {
	switch mark {
	case markAdded:
		return term.Added
	case markRemoved:
		return term.Removed
	case markChanged:
		return term.Changed
	default:
		return term.Dim
	}
}

// roleOfDifference is how the pieces of a line look that differ.
func roleOfDifference(l *compare.Line) term.Role {
	switch {
	case l.Change == compare.Added:
		return term.Added
	case l.Change == compare.Removed:
		return term.Removed
	case l.Meaning:
		return term.Changed
	default:
		return term.Dim
	}
}

func clean(s string, ascii bool) string {
	if ascii {
		return text.CleanASCII(s)
	}
	return text.Clean(s)
}

// sideOf lays out a side: what differs looks so, the rest as its syntax wants.
func sideOf(spans []compare.Span, l *compare.Line, ascii, syntax bool) side {
	s := side{there: spans != nil, textLine: textLine{diag: -1}}
	var b strings.Builder
	for i := range spans {
		b.WriteString(clean(spans[i].Text, ascii))
		s.parts = append(s.parts, part{b.Len(), term.Normal})
		if spans[i].Differs || l.Change == compare.Added || l.Change == compare.Removed {
			s.parts[i].role = roleOfDifference(l)
		}
	}
	s.text = b.String()
	if syntax {
		s.nameFirst(l.Section)
	}
	return s
}

// nameFirst gives the name at the beginning of a line its own role, where the name does not differ.
func (s *side) nameFirst(section compare.Section) {
	n, role := 0, term.HeaderName
	switch {
	case section == compare.Header:
		n = strings.IndexByte(s.text, ':')
	case section == compare.SDP && len(s.text) > 1 && s.text[1] == '=':
		n, role = 1, term.BodyName
	}
	if n > 0 && s.parts[0].role == term.Normal {
		s.parts = append([]part{{min(n, s.parts[0].end), role}}, s.parts...)
	}
}
