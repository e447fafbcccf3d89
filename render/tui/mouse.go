package tui

import (
	"time"

	"github.com/gdamore/tcell/v2"

	"sipscope/render/tui/term"
)

// pointer makes clicks, double clicks and drags of what the terminal tells of the mouse: where it is and which buttons
// are down.
type pointer struct {
	held    bool
	x, y    int // where the button went down
	clicked time.Time
}

// doubleClick is how quickly the second click of a double one comes.
const doubleClick = 400 * time.Millisecond

// take gives what happened, 0 for nothing.
func (p *pointer) take(ev *tcell.EventMouse) term.Mouse {
	x, y := ev.Position()
	m := term.Mouse{X: x, Y: y, Shift: ev.Modifiers()&tcell.ModShift != 0}
	switch b := ev.Buttons(); {
	case b&tcell.WheelUp != 0:
		m.Kind = term.WheelUp
	case b&tcell.WheelDown != 0:
		m.Kind = term.WheelDown
	case b&tcell.Button1 != 0 && p.held:
		if x != p.x || y != p.y {
			m.Kind = term.Drag
			p.clicked = time.Time{}
		}
	case b&tcell.Button1 != 0:
		m.Kind = term.Click
		if x == p.x && y == p.y && ev.When().Sub(p.clicked) < doubleClick {
			m.Kind = term.DoubleClick
			p.clicked = time.Time{} // a third click begins anew
		} else {
			p.clicked = ev.When()
		}
		p.held, p.x, p.y = true, x, y
	case p.held:
		p.held = false
		m.Kind = term.Release
	default:
	}
	return m
}

// mouse gives the dialog or the view what the mouse did, in its own coordinates.
func (a *app) mouse(ev *tcell.EventMouse) {
	m := a.pointer.take(ev)
	if m.Kind == 0 {
		return
	}
	if a.dialog != nil {
		d := a.dialog
		if !d.mouse(m) && a.dialog == d {
			a.dialog = nil
		}
		return
	}
	m.Y -= titleLines
	if _, h := a.screen.Size(); m.Y < 0 || m.Y >= h-titleLines-barLines {
		if m.Kind == term.Click || m.Kind == term.DoubleClick {
			return
		}
	}
	a.top().Mouse(m)
}
