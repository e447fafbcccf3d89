package tui

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/gdamore/tcell/v2"

	"sipscope/render/text"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
)

// menu is a box with items to tick, order and size.
type menu struct {
	a     *app
	m     term.Menu
	items []term.Item
	at    int
	top   int
	box   struct{ x, y, w, h int } // of the last drawing
}

func newMenu(a *app, m term.Menu) *menu {
	d := &menu{a: a, m: m, items: slices.Clone(m.Items)}
	for i := range d.items {
		if m.Single && d.items[i].Ticked {
			d.at = i
		}
	}
	return d
}

// keysText says what the keys do, at the lower border.
func (d *menu) keysText() string {
	if d.m.Single {
		return " Enter takes it, Esc leaves "
	}
	s := " Space ticks"
	if d.m.Order {
		s += ", < > move"
	}
	if d.m.Widths {
		s += ", - + size"
	}
	if d.m.Add != nil {
		s += ", a adds"
	}
	return s + ", Enter "
}

func (d *menu) draw(c *term.Canvas) {
	w, h := c.Size()
	name := 0
	help := 0
	for i := range d.items {
		name = max(name, text.Width(c.Clean(d.items[i].Name)))
		help = max(help, text.Width(c.Clean(d.items[i].Help)))
	}
	name = min(name, w/2)
	bw := min(w, max(name+help+14, text.Width(d.keysText())+4, text.Width(d.m.Title)+6))
	bh := min(h, len(d.items)+2)
	d.box.x, d.box.y, d.box.w, d.box.h = (w-bw)/2, (h-bh)/2, bw, bh
	frame(c, d.box.x, d.box.y, bw, bh, d.m.Title, d.keysText())
	rows := bh - 2
	d.top = max(0, min(d.top, d.at), d.at-rows+1)
	d.top = max(0, min(d.top, len(d.items)-rows))
	for y := range min(rows, len(d.items)-d.top) {
		d.drawItem(c, d.top+y, d.box.y+1+y, name)
	}
}

func (d *menu) drawItem(c *term.Canvas, i, y, name int) {
	it := &d.items[i]
	x, w := d.box.x+1, d.box.w-2
	if !d.m.Single {
		mark := "[ ]"
		if it.Ticked {
			mark = "[" + c.Glyphs().Check + "]"
		}
		c.Put(x+1, y, mark, term.Bold)
	}
	c.PutMax(x+5, y, name, it.Name, term.Normal)
	end := x + 5 + name + 1
	if d.m.Widths {
		width := "auto"
		if it.Width > 0 {
			width = strconv.Itoa(it.Width)
		}
		c.PutRight(end, y, 4, width, term.Dim)
		end += 5
	}
	c.PutMax(end+1, y, x+w-end-1, it.Help, term.Dim)
	if i == d.at {
		c.Overlay(x, y, w, term.Cursor)
	}
}

// frame draws an empty box with a title and a foot.
func frame(c *term.Canvas, x, y, w, h int, title, foot string) {
	g := c.Glyphs()
	c.Fill(x, y, w, h, term.Normal)
	c.Draw(x, y, 1, g.UpperLeft, term.Border)
	c.Draw(x+1, y, w-2, g.Rule, term.Border)
	c.Draw(x+w-1, y, 1, g.UpperRight, term.Border)
	for i := 1; i < h-1; i++ {
		c.Draw(x, y+i, 1, g.Line, term.Border)
		c.Draw(x+w-1, y+i, 1, g.Line, term.Border)
	}
	c.Draw(x, y+h-1, 1, g.LowerLeft, term.Border)
	c.Draw(x+1, y+h-1, w-2, g.Rule, term.Border)
	c.Draw(x+w-1, y+h-1, 1, g.LowerRight, term.Border)
	if title != "" {
		c.PutMax(x+2, y, w-4, " "+title+" ", term.Head)
	}
	c.PutMax(x+2, y+h-1, w-4, foot, term.Dim)
}

func (d *menu) key(ev *tcell.EventKey) bool {
	if d.a.pasting || len(d.items) == 0 {
		return ev.Key() != tcell.KeyEsc
	}
	switch k := term.KeyOf(ev); k {
	case "Esc", "q":
		return false
	case "Enter":
		d.m.Done(d.items, d.at)
		return false
	case "Space":
		d.tick()
	case "<", ">":
		d.order(map[keymap.Key]int{"<": -1, ">": 1}[k])
	case "-", "+":
		d.size(map[keymap.Key]int{"-": -1, "+": 1}[k])
	case "a":
		d.add()
	default:
		d.move(k)
	}
	return true
}

func (d *menu) move(k keymap.Key) {
	page := max(d.box.h-2, 1)
	switch k {
	case "Up", "k":
		d.at--
	case "Down", "j":
		d.at++
	case "PgUp":
		d.at -= page
	case "PgDn":
		d.at += page
	case "Home", "g":
		d.at = 0
	case "End", "G":
		d.at = len(d.items)
	default:
		return
	}
	d.at = max(0, min(d.at, len(d.items)-1))
}

func (d *menu) tick() {
	if d.m.Single {
		return
	}
	d.items[d.at].Ticked = !d.items[d.at].Ticked
	d.at = min(d.at+1, len(d.items)-1)
}

func (d *menu) order(by int) {
	to := d.at + by
	if !d.m.Order || to < 0 || to >= len(d.items) {
		return
	}
	d.items[d.at], d.items[to] = d.items[to], d.items[d.at]
	d.at = to
}

// Bounds of a column's width that a user chooses, cells.
const maxWidth = 200

func (d *menu) size(by int) {
	if d.m.Widths {
		d.items[d.at].Width = max(0, min(d.items[d.at].Width+by, maxWidth))
	}
}

// add asks for a text and puts the item that it gives below the cursor. The menu comes back whatever is answered.
func (d *menu) add() {
	if d.m.Add == nil {
		return
	}
	label := d.m.AddHint
	if label == "" {
		label = "add"
	}
	d.a.Ask(term.Prompt{
		Label: label,
		Done: func(s string) error {
			it, err := d.m.Add(s)
			if err != nil {
				return fmt.Errorf("%q: %w", s, err)
			}
			d.items = slices.Insert(d.items, d.at+1, it)
			d.at++
			d.a.show(d)
			return nil
		},
		Cancelled: func() { d.a.show(d) },
	})
}

func (d *menu) mouse(m term.Mouse) bool {
	inside := m.X > d.box.x && m.X < d.box.x+d.box.w-1 && m.Y > d.box.y && m.Y < d.box.y+d.box.h-1
	switch {
	case m.Kind == term.WheelUp:
		d.move("Up")
	case m.Kind == term.WheelDown:
		d.move("Down")
	case m.Kind == term.Click && inside && d.top+m.Y-d.box.y-1 < len(d.items):
		d.at = d.top + m.Y - d.box.y - 1
		if m.X < d.box.x+5 {
			d.tick()
		}
	case m.Kind == term.DoubleClick && inside && d.m.Single:
		d.m.Done(d.items, d.at)
		return false
	default:
	}
	return true
}
