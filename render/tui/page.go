package tui

import (
	"fmt"
	"strings"
	"time"

	"sipscope/render/text"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
)

// page is a text to scroll through: help, statistics.
type page struct {
	h      term.Host
	title  string
	lines  []string
	top    int // first line shown
	left   int // cells scrolled to the right
	height int // of the last drawing
	isHelp bool

	needle string // in lower case; "" for no search
	at     int    // line of the search
	from   int    // where it began
}

func newPage(h term.Host, title, content string) *page {
	p := &page{h: h, title: title}
	p.set(content)
	return p
}

// set gives the page another text.
func (p *page) set(content string) {
	p.lines = strings.Split(strings.TrimRight(content, "\n"), "\n")
	p.h.Redraw()
}

var _ term.View = (*page)(nil)

// Scope implements term.View.
func (p *page) Scope() keymap.Scope { return keymap.Page }

// Title implements term.View.
func (p *page) Title() string { return p.title }

// Status implements term.View.
func (p *page) Status() string {
	last := min(p.top+p.height, len(p.lines))
	return fmt.Sprintf("lines %d to %d of %d", min(p.top+1, last), last, len(p.lines))
}

// Draw implements term.View.
func (p *page) Draw(c *term.Canvas) {
	w, h := c.Size()
	p.height = h
	p.scroll(0)
	for y := range min(h, len(p.lines)-p.top) {
		s := p.lines[p.top+y]
		role := term.Normal
		if s != "" && s[0] != ' ' {
			role = term.Head
		}
		c.Put(-p.left, y, s, role)
		if p.needle == "" {
			continue
		}
		if i := strings.Index(strings.ToLower(s), p.needle); i >= 0 && i <= len(s) {
			c.Overlay(text.Width(s[:i])-p.left, y, text.Width(p.needle), term.Found)
			if p.top+y == p.at {
				c.Overlay(0, y, w, term.Cursor)
			}
		}
	}
}

func (p *page) scroll(by int) {
	p.top = max(0, min(p.top+by, len(p.lines)-p.height))
}

// Do implements term.View.
func (p *page) Do(a keymap.Action) bool {
	switch a {
	case keymap.Up:
		p.scroll(-1)
	case keymap.Down:
		p.scroll(1)
	case keymap.PageUp:
		p.scroll(-p.height)
	case keymap.PageDown:
		p.scroll(p.height)
	case keymap.HalfUp:
		p.scroll(-p.height / 2)
	case keymap.HalfDown:
		p.scroll(p.height / 2)
	case keymap.Top:
		p.scroll(-len(p.lines))
	case keymap.Bottom:
		p.scroll(len(p.lines))
	case keymap.Left:
		p.left = max(0, p.left-8)
	case keymap.Right:
		p.left = min(p.left+8, 1000)
	case keymap.Copy, keymap.CopyAll:
		p.h.Copy(strings.Join(p.lines, "\n")+"\n", p.title)
	default:
		return false
	}
	p.h.Redraw()
	return true
}

// Mouse implements term.View.
func (p *page) Mouse(m term.Mouse) bool {
	switch m.Kind {
	case term.WheelUp:
		p.scroll(-3)
	case term.WheelDown:
		p.scroll(3)
	default:
		return false
	}
	return true
}

// Tick implements term.View.
func (p *page) Tick(time.Time) bool { return false }

// Search implements term.View.
func (p *page) Search(needle string, next, backwards bool) {
	if needle == "" {
		p.needle = ""
		return
	}
	if p.needle == "" {
		p.from, p.at = p.top, p.top
	}
	p.needle = strings.ToLower(needle)
	from, step := p.from, 1
	if next {
		from = p.at + 1
		if backwards {
			from, step = p.at-1, -1
		}
	}
	n := len(p.lines)
	for i := range n {
		at := ((from+i*step)%n + n) % n
		if strings.Contains(strings.ToLower(p.lines[at]), p.needle) {
			p.at = at
			p.top = at
			p.scroll(-p.height / 2)
			return
		}
	}
	p.h.Say(fmt.Sprintf("%q is not on this page", needle))
}

// Saving implements term.View: a page is copied, not saved.
func (p *page) Saving() term.Selection { return term.Selection{} }
