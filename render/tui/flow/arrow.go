package flow

import (
	"slices"

	"sipscope/correlate"
	"sipscope/render/ladder"
	"sipscope/render/text"
	"sipscope/render/tui/term"
)

// arrow draws a message between two lifelines, its label on it or, when it does not fit, above it.
func (p *painter) arrow(pos, y int, s shape) {
	v := p.v
	r := v.row(pos)
	role := v.role(r)
	label, notes := v.pic.label(r), v.notes(pos)
	full := label
	if r.SDP != "" && !s.aside {
		full += " " + r.SDP
	}
	if r.SDP != "" && s.aside {
		notes = slices.Insert(notes, 0, r.SDP)
	}
	first := y
	lo := min(r.From, r.To)
	if s.above {
		p.over(max(p.g.x(lo), 0)+2, y, full, role)
		y++
	}
	switch {
	case s.loop:
		p.loop(r, y, full, s, role)
		if !s.above && p.loopRoom(r) < text.Width(p.c.Clean(full)) {
			notes = slices.Insert(notes, 0, full)
		}
		y++
	case p.outOfSight(r):
		p.beyond(r, y, full, s, role)
	default:
		p.shaft(r.From, r.To, y, p.gl.Dash, role, true)
		if !s.above {
			p.onShaft(r, y, full, role)
		}
	}
	p.margin(first, notes)
	for i := range s.details {
		p.over(max(p.g.x(lo), 0)+2, y+1+i, r.Media[i], term.Dim)
	}
}

// shaft draws the line of an arrow, with a head or without.
func (p *painter) shaft(from, to, y int, dash string, role term.Role, head bool) {
	g := p.g
	lo, hi := min(from, to), max(from, to)
	start, end := max(g.x(lo)+1, 0), min(g.x(hi), g.lanes())
	if end > start {
		p.l.Draw(start, y, end-start, dash, role)
	}
	for c := lo + 1; c < hi; c++ {
		if x := g.x(c); x >= 0 && x < g.lanes() {
			p.l.Draw(x, y, 1, p.gl.Cross, role)
		}
	}
	switch {
	case !head:
	case from < to:
		p.l.Put(g.x(hi)-1, y, p.gl.Right, role)
	default:
		p.l.Put(g.x(lo)+1, y, p.gl.Left, role)
	}
}

// onShaft writes a label on an arrow: on the first hop of its way when it fits there, else in the middle of what is in
// sight.
func (p *painter) onShaft(r *ladder.Row, y int, label string, role term.Role) {
	g := p.g
	label = p.c.Clean(label)
	w := text.Width(label)
	from, to := g.x(r.From), g.x(r.To)
	if w+onArrow <= g.lane-1 {
		hop := from + g.lane
		if from > to {
			hop = from - g.lane
		}
		if min(from, hop) >= -1 && max(from, hop) <= g.lanes() {
			to = hop
		}
	}
	lo, hi := max(min(from, to), -1), min(max(from, to), g.lanes())
	x := lo + 1 + (hi-lo-1-w-2)/2
	x = max(min(x, hi-1-w-2), lo+2)
	x = max(min(x, g.lanes()-w-2), 0)
	p.l.Put(x, y, " ", role)
	p.put(x+1, y, g.lanes()-x-1, label, role)
	p.l.Put(x+1+min(w, g.lanes()-x-1), y, " ", role)
}

// outOfSight reports whether no part of an arrow can be seen.
func (p *painter) outOfSight(r *ladder.Row) bool {
	lo, hi := p.g.x(min(r.From, r.To)), p.g.x(max(r.From, r.To))
	return hi <= 0 || lo >= p.g.lanes()-1
}

// beyond tells of an arrow that is out of sight, at the side where it is.
func (p *painter) beyond(r *ladder.Row, y int, label string, s shape, role term.Role) {
	if s.above {
		label = ""
	}
	if p.g.x(max(r.From, r.To)) <= 0 {
		p.put(1, y, p.g.lanes()-1, p.gl.Ellipsis+" "+label, role)
		return
	}
	label = p.c.Clean(label + " " + p.gl.Ellipsis)
	w := min(text.Width(label), p.g.lanes()-1)
	p.put(p.g.lanes()-1-w, y, w, label, role)
}

// loop draws a message that a participant sends to itself.
func (p *painter) loop(r *ladder.Row, y int, label string, s shape, role term.Role) {
	x := p.g.x(r.From)
	p.l.Put(x+1, y, p.gl.Dash+p.gl.LoopTop, role)
	p.l.Put(x+1, y+1, p.gl.Left+p.gl.LoopEnd, role)
	if !s.above && p.loopRoom(r) >= text.Width(p.c.Clean(label)) {
		p.put(x+4, y, p.g.lanes()-x-4, label, role)
	}
}

// loopRoom is the cells between a loop and the last lifeline.
func (p *painter) loopRoom(r *ladder.Row) int { return (p.g.cols-1-r.From)*p.g.lane - 5 }

// gap draws a dotted line where the capture has a hole.
func (p *painter) gap(pos, y int, s shape) {
	v, g := p.v, p.g
	r := v.row(pos)
	from, to := v.gapEnds(r)
	label, notes := v.pic.label(r), v.notes(pos)
	if s.above {
		p.over(g.x(min(from, to))+2, y, label, term.GapLine)
		y++
	}
	p.shaft(from, to, y, p.gl.Dot, term.GapLine, false)
	switch {
	case s.above:
	case s.aside:
		notes = slices.Insert(notes, 0, label)
	default:
		w := text.Width(p.c.Clean(label))
		x := g.x(min(from, to)) + 1 + (g.inner(from, to)-w-2)/2
		p.over(x, y, " "+label+" ", term.GapLine)
	}
	p.margin(y, notes)
}

// stateRole is the colour of what became of a call.
func (v *View) stateRole(r *ladder.Row) term.Role {
	switch v.pic.calls[r.Call].State {
	case correlate.StateAnswered, correlate.StateCompleted, correlate.StateSucceeded, correlate.StateRegistered,
		correlate.StateUnregistered, correlate.StateSubscribed, correlate.StateTerminated:
		return term.Good
	case correlate.StateFailed, correlate.StateTimedOut, correlate.StateNotFound, correlate.StateDeclined:
		return term.Bad
	default:
		return term.Neutral
	}
}

// isPeer reports whether a row is of the transaction of the row under the cursor.
func (v *View) isPeer(pos int) bool {
	r, c := v.row(pos), v.row(v.cursor)
	return r.Kind == ladder.Arrow && c.Kind == ladder.Arrow && r.Txn >= 0 && r.Txn == c.Txn && r.Call == c.Call
}

// isSelected reports whether a row stands for the selected message.
func (v *View) isSelected(pos int) bool {
	if v.selected == nil || v.row(pos).Kind != ladder.Arrow {
		return false
	}
	return v.pic.rowAt(v.selected.key) == v.list.rows[pos]
}
