package pair

import (
	"fmt"
	"strconv"
	"strings"

	"sipscope/correlate/compare"
	"sipscope/render/text"
)

// Bounds of what is told of one pair of messages on a terminal.
const (
	maxTold  = 200  // lines
	maxCells = 4000 // of one line
)

// details compares the messages that differ, line by line: the one where the flows part first, then the others in order.
func (d *drawing) details(s *scene) {
	if d.o.Details < 0 {
		return
	}
	order := make([]int, 0, len(s.rows))
	if s.r.First >= 0 && s.r.First < len(s.rows) {
		order = append(order, s.r.First)
	}
	for i := range s.rows {
		if i != s.r.First && len(s.rows[i].Differences) > 0 && telling(s.rows[i].Verdict) {
			order = append(order, i)
		}
	}
	for n, i := range order {
		if n == d.o.Details {
			d.end()
			d.wrapped(0, fmt.Sprintf("%d more rows differ; --format json and html have all", len(order)-n), plain)
			return
		}
		d.message(s, i)
		if d.err != nil {
			return
		}
	}
}

// message tells of one row: what differs in sentences, then the lines.
func (d *drawing) message(s *scene, i int) {
	r := &s.rows[i]
	d.end()
	head := "row " + strconv.Itoa(i+1)
	if s.first(i) {
		head += " (" + s.firstWords() + ")"
	}
	e := r.one()
	if !e.there() {
		return
	}
	names := d.clean(e.label)
	if r.a.there() && r.b.there() && r.a.label != r.b.label {
		names += " | " + d.clean(r.b.label)
	}
	parts := []string{head, names}
	if e.from >= 0 {
		parts = append(parts, d.way(s, e))
	}
	if frames := d.frames(r); frames != "" {
		parts = append(parts, frames)
	}
	d.wrapped(0, strings.Join(parts, d.g.sep), bold)
	for j := range r.Differences {
		x := &r.Differences[j]
		st := verdictStyle(x.Verdict)
		if s.first(i) && j == 0 {
			st = alarm
		}
		d.to(2)
		d.put(d.g.sign[min(int(x.Verdict), len(d.g.sign)-1)]+" ", st)
		d.wrapped(d.at, d.clean(x.Text), st)
	}
	if s.first(i) || r.a.there() && r.b.there() {
		d.lines(s.compare(i), r) // of one that has no partner the sentence says enough
	}
}

// frames names where the messages of a row are: "frames 12 | 15", "frame 12 of good.pcap".
func (d *drawing) frames(r *row) string {
	number := func(e *event) string { return strconv.FormatUint(e.message.Seq, 10) }
	switch {
	case r.one().message.Seq == 0:
		return ""
	case r.a.there() && r.b.there():
		return "frames " + number(&r.a) + " | " + number(&r.b)
	case r.a.there():
		return "frame " + number(&r.a) + " of " + d.clean(d.r.A)
	default:
		return "frame " + number(&r.b) + " of " + d.clean(d.r.B)
	}
}

// way says between whom a message went.
func (d *drawing) way(s *scene, e *event) string {
	return d.clean(s.who[e.from]) + d.g.to + d.clean(s.who[e.to])
}

// lines writes the lines of a comparison that are not the same, and says how many were.
func (d *drawing) lines(c compare.Result, r *row) {
	alone := !r.a.there() || !r.b.there()
	told, same, expected := 0, 0, 0
	for i := range c.Lines {
		l := &c.Lines[i]
		switch {
		case alone || differing(l):
			if told++; told <= maxTold {
				d.sides(l)
			}
		case l.Change == compare.Changed:
			expected++
		default:
			same++
		}
	}
	if told > maxTold {
		d.to(detailX)
		d.line(strconv.Itoa(told-maxTold)+" more lines", dim)
	}
	if alone || same+expected == 0 {
		return
	}
	rest := strconv.Itoa(same) + " lines are the same"
	if same == 1 {
		rest = "1 line is the same"
	}
	if expected > 0 {
		rest += ", " + strconv.Itoa(expected) + " as different as in any two calls"
	}
	d.to(detailX)
	d.line(rest, dim)
}

// sides writes both sides of a line.
func (d *drawing) sides(l *compare.Line) {
	why := ""
	if !l.Meaning && l.Why != "" {
		why = "   (" + d.clean(l.Why) + ")"
	}
	d.spans("-", l.A, red, gone, why)
	d.spans("+", l.B, green, come, why)
}

// expectedWhy begins compare.Line.Why of what differs in any two calls.
const expectedWhy = "expected"

// detailX is where the lines of messages begin.
const detailX = 4

// spans writes one side of a line. Where there are no colours, a line of marks below it says what differs in it.
func (d *drawing) spans(sign string, side []compare.Span, st, inside style, why string) {
	if side == nil {
		return
	}
	whole := true // marks below all of a line say nothing
	for i := range side {
		whole = whole && (side[i].Differs || strings.TrimSpace(side[i].Text) == "")
	}
	lines := d.cells(side, why)
	for i, pieces := range lines {
		d.to(detailX)
		if i == 0 {
			d.put(sign+" ", st)
		} else {
			d.to(detailX + 2)
		}
		for _, p := range pieces {
			switch {
			case p.Differs && !whole:
				d.put(p.Text, inside)
			default:
				d.put(p.Text, st)
			}
		}
		d.end()
		if !d.o.Color && !whole {
			d.marks(pieces)
		}
	}
}

// marks underlines what differs in a line.
func (d *drawing) marks(pieces []compare.Span) {
	some := false
	x := detailX + 2
	for _, p := range pieces {
		w := text.Width(p.Text)
		if p.Differs && w > 0 {
			some = true
			d.to(x)
			d.put(strings.Repeat(d.g.mark, w), plain)
		}
		x += w
	}
	if some {
		d.end()
	}
}

// cells cleans the spans of a line and breaks them into lines of the terminal, at any character: a line of a message is
// read like a table, not like prose.
func (d *drawing) cells(side []compare.Span, why string) [][]compare.Span {
	w := unbounded
	if d.o.Width > 0 {
		w = max(d.o.Width-detailX-2, minProse)
	}
	lines := [][]compare.Span{nil}
	room, left := w, maxCells
	add := func(s string, differs bool) {
		for s != "" && left > 0 {
			head, rest := split(s, room)
			if head == "" && room == w {
				return // a character wider than the terminal
			}
			if head != "" {
				n := len(lines) - 1
				lines[n] = append(lines[n], compare.Span{Text: head, Differs: differs})
				used := text.Width(head)
				room -= used
				left -= used
			}
			if s = rest; s != "" {
				lines = append(lines, nil)
				room = w
			}
		}
	}
	for i := range side {
		add(d.clean(side[i].Text), side[i].Differs)
	}
	if left <= 0 {
		left = len(d.g.ell)
		add(d.g.ell, false)
	}
	add(why, false)
	return lines
}

// differing reports whether a line of a comparison is one that differs in meaning or spelling, beyond what any two calls
// differ in.
func differing(l *compare.Line) bool {
	switch l.Change {
	case compare.Same, compare.Moved:
		return false
	default:
		return l.Meaning || !strings.HasPrefix(l.Why, expectedWhy)
	}
}
