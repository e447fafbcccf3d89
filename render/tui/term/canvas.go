// Package term is how the terminal UI draws: a canvas on a tcell screen that nothing of the wire can break, themes, and
// the contract between the application and its views.
//
// This is the only package that puts text on a screen. tcell writes control characters through to the terminal as they
// are, so every string passes text.Clean here (law 8), and no view needs to remember it.
package term

import (
	"strings"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/uniseg"

	"sipscope/render/text"
)

// Canvas is a rectangle of the screen. Coordinates are cells from its upper left corner; what is drawn beyond its
// edges is cut. It is used on the UI's goroutine only.
type Canvas struct {
	s          tcell.Screen
	x, y, w, h int
	theme      *Theme
	glyphs     *Glyphs
}

// NewCanvas covers a whole screen. ascii draws with nothing but ASCII.
func NewCanvas(s tcell.Screen, theme *Theme, ascii bool) *Canvas {
	w, h := s.Size()
	return &Canvas{s: s, w: w, h: h, theme: theme, glyphs: glyphsOf(ascii)}
}

// Size is the canvas' width and height in cells.
func (c *Canvas) Size() (w, h int) { return c.w, c.h }

// ASCII reports whether nothing but ASCII may be drawn.
func (c *Canvas) ASCII() bool { return c.glyphs.ascii }

// Glyphs gives the characters that pictures are made of.
func (c *Canvas) Glyphs() *Glyphs { return c.glyphs }

// Sub is the part of the canvas from x, y, at most w wide and h high, cut at its edges.
func (c *Canvas) Sub(x, y, w, h int) *Canvas {
	x, y = min(max(x, 0), c.w), min(max(y, 0), c.h)
	sub := *c
	sub.x, sub.y = c.x+x, c.y+y
	sub.w, sub.h = min(max(w, 0), c.w-x), min(max(h, 0), c.h-y)
	return &sub
}

// Fill draws blanks.
func (c *Canvas) Fill(x, y, w, h int, r Role) {
	st := c.theme.Style(r)
	for i := max(y, 0); i < min(y+h, c.h); i++ {
		for j := max(x, 0); j < min(x+w, c.w); j++ {
			c.s.SetContent(c.x+j, c.y+i, ' ', nil, st)
		}
	}
}

// Clear draws blanks on the whole canvas.
func (c *Canvas) Clear() { c.Fill(0, 0, c.w, c.h, Normal) }

// Put writes s, made safe, from x on and gives the cells that it takes, visible or not. x may be negative: the text
// then begins to the left of what is seen. A wide character that the edge would cut is left out.
func (c *Canvas) Put(x, y int, s string, r Role) int {
	return c.PutMax(x, y, c.w-x+1, s, r)
}

// PutMax is Put within w cells: what does not fit ends with an ellipsis.
func (c *Canvas) PutMax(x, y, w int, s string, r Role) int {
	if w <= 0 {
		return 0
	}
	// Nothing beyond the edge is seen: a 60 KiB header must not cost a 60 KiB walk for each line drawn. A character of
	// four bytes takes at least one cell; marks are at most text.maxMarks a character.
	if most := (w + 2) * 20; len(s) > most {
		s = s[:most]
	}
	s = c.clean(s)
	if text.Width(s) > w {
		s = cut(s, w, c.glyphs.Ellipsis)
	}
	return c.put(x, y, s, c.theme.Style(r))
}

// PutRight is PutMax with the text at the right end of the w cells.
func (c *Canvas) PutRight(x, y, w int, s string, r Role) {
	if n := text.Width(c.clean(s)); n < w {
		x += w - n
		w = n
	}
	c.PutMax(x, y, w, s, r)
}

// Clean makes a string safe for this canvas: one line, printable, ASCII where the canvas is.
func (c *Canvas) Clean(s string) string { return c.clean(s) }

func (c *Canvas) clean(s string) string {
	if c.glyphs.ascii {
		return text.CleanASCII(s)
	}
	return text.Clean(s)
}

// put writes a clean string.
func (c *Canvas) put(x, y int, s string, st tcell.Style) int {
	if y < 0 || y >= c.h {
		return text.Width(s)
	}
	start, state := x, -1
	for s != "" {
		var cluster string
		w := 1
		if s[0] < 0x80 && (len(s) == 1 || s[1] < 0x80) {
			cluster, s, state = s[:1], s[1:], -1
		} else {
			cluster, s, w, state = uniseg.FirstGraphemeClusterInString(s, state)
		}
		if w > 0 && x >= 0 && x+w <= c.w {
			c.s.Put(c.x+x, c.y+y, cluster, st)
		}
		x += w
	}
	return x - start
}

// Draw writes one of the Glyphs n times.
func (c *Canvas) Draw(x, y, n int, glyph string, r Role) {
	st := c.theme.Style(r)
	for i := range n {
		c.put(x+i, y, glyph, st)
	}
}

// Overlay gives w cells of a line the background and the attributes of a role, and keeps their text and colours where
// the role has none.
func (c *Canvas) Overlay(x, y, w int, r Role) {
	if y < 0 || y >= c.h {
		return
	}
	fg, bg, attr := c.theme.Style(r).Decompose()
	for i := max(x, 0); i < min(x+w, c.w); {
		str, st, cells := c.s.Get(c.x+i, c.y+y)
		if bg != tcell.ColorDefault {
			st = st.Background(bg)
		}
		if fg != tcell.ColorDefault {
			st = st.Foreground(fg)
		}
		_, _, has := st.Decompose()
		c.s.Put(c.x+i, c.y+y, str, st.Attributes(has|attr))
		i += max(cells, 1)
	}
}

// Show puts the terminal's cursor there.
func (c *Canvas) Show(x, y int) {
	if x >= 0 && x < c.w && y >= 0 && y < c.h {
		c.s.ShowCursor(c.x+x, c.y+y)
	}
}

// Screen gives the screen and the canvas' place on it, for widgets of tview, which draw for themselves. They must only
// be given text of ours or what Clean gave.
func (c *Canvas) Screen() (s tcell.Screen, x, y int) { return c.s, c.x, c.y }

// cut shortens a clean string to w cells.
func cut(s string, w int, ellipsis string) string {
	room := w - text.Width(ellipsis)
	if room < 0 {
		room, ellipsis = w, strings.Repeat(".", 0)
	}
	return take(s, room) + ellipsis
}

func take(s string, w int) string {
	state, at, rest := -1, 0, s
	for rest != "" {
		var cluster string
		var n int
		cluster, rest, n, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if n > w {
			break
		}
		w -= n
		at += len(cluster)
	}
	return s[:at]
}

// Glyphs are the characters that pictures are made of, each one cell wide but Ellipsis and Times.
type Glyphs struct {
	ascii                               bool
	Line, Cross, Head, Foot             string // a lifeline; where an arrow crosses it; where the rules meet it
	Rule, Dash, Dot, Wire               string // a rule; an arrow; a gap; a medium
	Right, Left                         string // heads of arrows
	LoopTop, LoopEnd                    string
	Vertical                            string // between panes
	Times, Sep, To, Ellipsis            string
	Up, Down                            string // the order of a sorted column
	Check, Bullet                       string // what is selected; the mark
	UpperLeft, UpperRight, LowerLeft    string
	LowerRight, Bar, BarEmpty, ScrollAt string // progress; the place in what scrolls
}

func glyphsOf(ascii bool) *Glyphs {
	if ascii {
		return &Glyphs{
			ascii: true, Line: "|", Cross: "+", Head: "+", Foot: "+", Rule: "-", Dash: "-", Dot: ".", Wire: "=", Right: ">", Left: "<",
			LoopTop: ".", LoopEnd: "'", Vertical: "|", Times: "x", Sep: "; ", To: " -> ", Ellipsis: "...", Up: "^", Down: "v",
			Check: "*", Bullet: "@", UpperLeft: "+", UpperRight: "+", LowerLeft: "+", LowerRight: "+", Bar: "#", BarEmpty: ".",
			ScrollAt: "#",
		}
	}
	return &Glyphs{
		Line: "│", Cross: "┼", Head: "┬", Foot: "┴", Rule: "─", Dash: "─", Dot: "┄", Wire: "═", Right: "▶", Left: "◀", LoopTop: "╮",
		LoopEnd: "╯", Vertical: "│", Times: "×", Sep: " · ", To: " → ", Ellipsis: "…", Up: "▲", Down: "▼", Check: "✓",
		Bullet: "●", UpperLeft: "┌", UpperRight: "┐", LowerLeft: "└", LowerRight: "┘", Bar: "█", BarEmpty: "░", ScrollAt: "█",
	}
}
