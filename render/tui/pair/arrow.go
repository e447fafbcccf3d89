package pair

import (
	"sipscope/correlate/diff"
	"sipscope/render/text"
	"sipscope/render/tui/term"
)

// arrow draws a message between two lifelines, its label on it or, when it does not fit, above it. With a session
// description the label says what it offers, where there is room.
func (p *painter) arrow(c *term.Canvas, r *diff.Row, x *cell, y, n int, role term.Role) {
	g := p.g
	lo, hi := g.column(min(r.From, r.To)), g.column(max(r.From, r.To))
	inner := hi - lo - 1
	label, w := x.label, x.w
	if x.sdp != "" && x.full+onArrow <= inner {
		label, w = label+" "+x.sdp, x.full
	}
	above := x.w+onArrow > inner
	if above {
		if x.sdp != "" && x.full <= inner {
			label, w = label+" "+x.sdp, x.full
		}
		width, _ := c.Size()
		at := max(min(lo+2, width-1-w), 0)
		c.Put(at-1, y, " ", role)
		c.PutMax(at, y, width-at, label, role)
		c.Put(at+min(w, width-at), y, " ", role)
		y++
	} else if n > 1 {
		y += n - 1 // its counterpart has a line more: both shafts are on the last one
	}
	c.Draw(lo+1, y, inner, p.gl.Dash, role)
	for k := min(r.From, r.To) + 1; k < max(r.From, r.To); k++ {
		c.Draw(g.column(k), y, 1, p.gl.Cross, role)
	}
	if r.From < r.To {
		c.Put(hi-1, y, p.gl.Right, role)
	} else {
		c.Put(lo+1, y, p.gl.Left, role)
	}
	if !above {
		p.onShaft(c, r, label, w, y, role)
	}
}

// onShaft writes a label on an arrow: on the first hop of its way when it fits there, else in its middle.
func (p *painter) onShaft(c *term.Canvas, r *diff.Row, label string, w, y int, role term.Role) {
	g := p.g
	from, to := g.column(r.From), g.column(r.To)
	if w+onArrow <= g.lane-1 {
		to = from + g.lane
		if r.From > r.To {
			to = from - g.lane
		}
	}
	lo, hi := min(from, to), max(from, to)
	x := lo + 1 + (hi-lo-1-w-2)/2
	c.Put(x, y, " ", role)
	c.Put(x+1, y, label, role)
	c.Put(x+1+w, y, " ", role)
}

// loop draws a message that a participant sends to itself, its label at the side where there is room.
func (p *painter) loop(c *term.Canvas, r *diff.Row, x *cell, y int, role term.Role) {
	at := p.g.column(r.From)
	width, _ := c.Size()
	label := x.label
	if x.sdp != "" {
		label += " " + x.sdp
	}
	if right := width - at - 4; right >= min(x.w, minLane) || at == 0 {
		c.Put(at+1, y, p.gl.Dash+p.gl.LoopTop, role)
		c.Put(at+1, y+1, p.gl.Left+p.gl.LoopEnd, role)
		c.PutMax(at+4, y, right, label, role)
		return
	}
	c.Put(at-2, y, p.gl.UpperLeft+p.gl.Dash, role)
	c.Put(at-2, y+1, p.gl.LowerLeft+p.gl.Right, role)
	w := min(x.full, at-3)
	c.PutMax(at-3-w, y, w, label, role)
}

// prose writes a message as a line: "alice → proxy A INVITE sdp PCMU". Names give way before the label does.
func (p *painter) prose(c *term.Canvas, r *diff.Row, x *cell, side, y int, role term.Role) {
	width, _ := c.Size()
	label := x.label
	if x.sdp != "" {
		label += " " + x.sdp
	}
	at := 0
	if from, to := p.v.pic.called(side, r.From), p.v.pic.called(side, r.To); from != "" && to != "" {
		room := max(width-x.w-text.Width(p.gl.To)-1, 8)
		wf, wt := text.Width(from), text.Width(to)
		if wf+wt > room {
			wf = min(wf, max(room/2, room-wt))
			wt = max(min(wt, room-wf), 1)
		}
		at += c.PutMax(at, y, wf, from, term.Normal)
		at += c.Put(at, y, p.gl.To, term.Dim)
		at += c.PutMax(at, y, wt, to, term.Normal) + 1
	}
	c.PutMax(at, y, width-at, label, role)
}
