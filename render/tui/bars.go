package tui

import (
	"fmt"
	"strings"

	"sipscope/render/text"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
)

// Lines around a view: title above, status and keys below.
const (
	titleLines = 1
	barLines   = 2
	smallest   = 6 // lines from which on the bar of keys is shown
)

// draw draws everything.
func (a *app) draw() {
	c := term.NewCanvas(a.screen, a.theme, a.settings.ASCII)
	w, h := c.Size()
	c.Clear()
	a.screen.HideCursor()
	if w < 10 || h < 4 {
		c.PutMax(0, 0, w, "too small", term.Error)
		a.screen.Show()
		return
	}
	v := a.top()
	area := a.area(c)
	v.Draw(area)
	a.drawTitle(c, v)
	below := 1
	if h >= smallest {
		below = barLines
		a.drawKeys(c, v)
	}
	a.drawStatus(c, v, h-below)
	if a.dialog != nil {
		a.dialog.draw(c)
	}
	a.screen.Show()
}

// area is where the view draws.
func (a *app) area(c *term.Canvas) *term.Canvas {
	w, h := c.Size()
	below := barLines
	if h < smallest {
		below = 1
	}
	return c.Sub(0, titleLines, w, h-titleLines-below)
}

func (a *app) drawTitle(c *term.Canvas, v term.View) {
	w, _ := c.Size()
	c.Fill(0, 0, w, 1, term.Bar)
	right := strings.TrimSpace(a.savingText() + "  " + fitting(a.progress(), w/2-2))
	room := w - text.Width(right) - 1
	if room < w/2 {
		right, room = "", w
	}
	c.PutMax(0, 0, room, " "+v.Title(), term.Bar)
	if right != "" {
		c.PutRight(room, 0, w-room, right+" ", term.Bar)
	}
}

// fitting leaves out parts of a line from its end, until it fits.
func fitting(line string, width int) string {
	for text.Width(line) > width {
		cut := strings.LastIndex(line, " · ")
		if cut < 0 {
			break
		}
		line = line[:cut]
	}
	return line
}

// progress says how far the reading is.
func (a *app) progress() string {
	switch {
	case a.data.Err != nil && a.data.Err() != nil && a.read():
		return "damaged"
	case a.read():
		return ""
	case a.data.Live != nil:
		return a.data.Live()
	}
	if a.data.Progress != nil {
		if done, total := a.data.Progress(); total > 0 {
			return fmt.Sprintf("reading %d %%", min(100, done*100/total))
		}
	}
	return "reading"
}

// drawStatus draws what the view says, or what was said to the user.
func (a *app) drawStatus(c *term.Canvas, v term.View, y int) {
	w, _ := c.Size()
	c.Fill(0, y, w, 1, term.Status)
	switch {
	case a.failure != nil:
		c.PutMax(0, y, w, " "+a.failure.Error(), term.Status)
		c.Overlay(0, y, w, term.Error)
	case a.message != "":
		c.PutMax(0, y, w, " "+a.message, term.Status)
	default:
		c.PutMax(0, y, w, " "+v.Status(), term.Status)
	}
}

// drawKeys draws the hints of the view's keys, as many as fit whole.
func (a *app) drawKeys(c *term.Canvas, v term.View) {
	w, h := c.Size()
	c.Fill(0, h-1, w, 1, term.Bar)
	x := 0
	for _, r := range hints(a.keys, v.Scope(), a.letters) {
		if r.word == "Back" && len(a.views) == 1 {
			r.word = "Quit"
		}
		need := len(r.key) + 1 + len(r.word) + 1
		if x+need > w {
			continue
		}
		x += c.Put(x, h-1, r.key, term.BarKey)
		x += c.Put(x, h-1, " "+r.word+" ", term.Bar)
	}
}

type hint struct{ key, word string }

// hints gives the keys that the bar shows: what leaves and what helps first, then in the order of the table.
// With letters they are those that need no function key, where there are such.
func hints(keys *keymap.Map, s keymap.Scope, letters bool) []hint {
	var first, rest []hint
	for _, r := range keys.Rows(s) {
		if r.Hint == "" || len(r.Bound) == 0 {
			continue
		}
		x := hint{string(r.Bound[0]), r.Hint}
		for _, k := range r.Bound {
			if letters && len(k) == 1 {
				x.key = string(k)
				break
			}
		}
		switch r.Action {
		case keymap.Back:
			first = append(first, x)
		case keymap.Open, keymap.Help, keymap.Select:
			first = append(first, x)
		default:
			rest = append(rest, x)
		}
	}
	return append(first, rest...)
}

// confirm asks a question at the bottom.
type confirm struct {
	a        *app
	question string
	yes      func()
}

func (d *confirm) draw(c *term.Canvas) {
	w, h := c.Size()
	y := h - 1
	c.Fill(0, y, w, 1, term.Field)
	c.PutMax(0, y, w, " "+strings.TrimSpace(d.question)+" (y/n)", term.Field)
}
