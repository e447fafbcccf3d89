package flow

import (
	"sipscope/render/tui/term"
)

// wheelLines is how far a turn of the wheel scrolls.
const wheelLines = 3

// Mouse moves the cursor, opens messages, scrolls, and sizes the pane.
func (v *View) Mouse(m term.Mouse) bool {
	if v.pic == nil || v.geo.w == 0 {
		return false
	}
	if v.dragging {
		return v.drag(m)
	}
	switch m.Kind {
	case term.Click, term.DoubleClick:
		return v.click(m)
	case term.WheelUp:
		return v.wheel(m, -wheelLines)
	case term.WheelDown:
		return v.wheel(m, wheelLines)
	default:
		return false
	}
}

func (v *View) click(m term.Mouse) bool {
	if v.onBorder(m) {
		v.dragging = true
		return true
	}
	pos, ok := v.rowUnder(m)
	if !ok {
		return false
	}
	v.moveTo(pos)
	if m.Kind == term.DoubleClick {
		v.open()
	}
	return true
}

// rowUnder is the position of the row at a place of the screen.
func (v *View) rowUnder(m term.Mouse) (int, bool) {
	g := &v.geo
	body := rect{0, g.head, g.area.w, g.bodyH()}
	line := v.top + m.Y - g.head
	if !body.holds(m.X, m.Y) || line >= v.index.total() {
		return 0, false
	}
	return v.index.at(line), true
}

// paneShown reports whether the message is in sight.
func (v *View) paneShown() bool { return v.geo.pane.w > 0 && v.geo.pane.h > 0 }

// onBorder reports whether the mouse is on the line between ladder and pane.
func (v *View) onBorder(m term.Mouse) bool {
	switch p := v.geo.pane; {
	case !v.paneShown():
		return false
	case p.y > 0:
		return m.Y == p.y-1
	default:
		return m.X == p.x-1
	}
}

// drag moves that line, until the button is let go.
func (v *View) drag(m term.Mouse) bool {
	switch m.Kind {
	case term.Drag, term.Release:
		g := &v.geo
		percent := (g.w - m.X) * 100 / max(g.w, 1)
		if g.pane.y > 0 {
			percent = (g.h - m.Y) * 100 / max(g.h, 1)
		}
		v.host.Settings().PaneWidth = min(max(percent, minPane), maxPane)
		v.dragging = m.Kind == term.Drag
		return true
	default:
		v.dragging = false
		return v.Mouse(m)
	}
}

// wheel scrolls what the mouse is over: the pane, or the ladder, whose cursor stays in sight.
func (v *View) wheel(m term.Mouse, lines int) bool {
	if v.paneShown() && v.geo.pane.holds(m.X, m.Y) {
		v.pane.Scroll(lines)
		return true
	}
	body := v.geo.bodyH()
	if v.list.len() == 0 || body == 0 {
		return false
	}
	v.top = max(min(v.top+lines, v.index.total()-body), 0)
	first, last := v.index.at(v.top), v.index.at(v.top+body-1)
	if v.index.start(first) < v.top && first < last {
		first++
	}
	if v.index.start(last+1) > v.top+body && last > first {
		last--
	}
	v.cursor = min(max(v.cursor, first), last)
	return true
}
