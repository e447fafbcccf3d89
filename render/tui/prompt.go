package tui

import (
	"errors"
	"strings"

	"github.com/gdamore/tcell/v2"
	"github.com/rivo/tview"

	"sipscope/correlate/query"
	"sipscope/render/text"
	"sipscope/render/tui/term"
)

// prompt is a line at the bottom where the user writes, with proposals above it and an error below.
type prompt struct {
	a        *app
	p        term.Prompt
	field    *tview.InputField
	was      string // the text at the last change
	err      error
	offers   []term.Completion
	selected int // of offers, -1 for none
}

// maxOffers is how many proposals are shown at once.
const maxOffers = 8

// newPrompt makes the line. Editing is tview's: Ctrl-A, Ctrl-E, Ctrl-W, Ctrl-U, Ctrl-K and the arrows work as in a shell.
func newPrompt(a *app, p term.Prompt) *prompt {
	d := &prompt{a: a, p: p, was: p.Text, selected: -1}
	st := a.theme.Style(term.Field)
	d.field = tview.NewInputField().SetText(p.Text).SetFieldStyle(st).SetLabelStyle(st).SetLabel(p.Label + ": ")
	d.field.SetBackgroundColor(tcell.ColorDefault)
	d.field.Focus(func(tview.Primitive) {})
	return d
}

func (d *prompt) draw(c *term.Canvas) {
	w, h := c.Size()
	y := h - 1
	if d.err != nil {
		y-- // the error stands in the last line
		c.Fill(0, h-1, w, 1, term.Field)
		c.PutMax(0, h-1, w, " "+d.explain(), term.Field)
		c.Overlay(0, h-1, w, term.Error)
	}
	c.Fill(0, y, w, 1, term.Field)
	s, x0, y0 := c.Screen()
	d.field.SetRect(x0, y0+y, w, 1)
	d.field.Draw(s)
	d.drawCaret(c, y)
	d.drawOffers(c, y)
}

// explain is the error in a line; the caret above it shows the place.
func (d *prompt) explain() string {
	var q *query.Error
	if errors.As(d.err, &q) && q.Hint != "" {
		return q.Message + ": " + q.Hint
	} else if q != nil {
		return q.Message
	}
	return d.err.Error()
}

// drawCaret marks the place of an error in a filter, as far as the line shows it.
func (d *prompt) drawCaret(c *term.Canvas, y int) {
	var q *query.Error
	w, _ := c.Size()
	if !errors.As(d.err, &q) {
		return
	}
	r := []rune(d.field.GetText())
	at := min(q.Column, len(r))
	x := text.Width(d.p.Label+": ") + text.Width(string(r[:at]))
	if x < w {
		c.Overlay(x, y, 1, term.Error)
	}
}

func (d *prompt) drawOffers(c *term.Canvas, y int) {
	w, _ := c.Size()
	first := max(0, min(d.selected-maxOffers/2, len(d.offers)-maxOffers))
	shown := d.offers[first:min(len(d.offers), first+maxOffers)]
	if y < len(shown)+1 || len(shown) == 0 {
		return
	}
	names := make([]string, len(shown))
	wide := 0
	for i := range shown {
		names[i] = lastWord(shown[i].Text)
		wide = max(wide, text.Width(c.Clean(names[i])))
	}
	wide = min(wide, w/2)
	for i := range shown {
		row := y - len(shown) + i
		c.Fill(0, row, w, 1, term.Peer)
		c.PutMax(2, row, wide, names[i], term.Bold)
		c.PutMax(wide+4, row, w-wide-5, shown[i].Help, term.Dim)
		c.Overlay(0, row, w, term.Peer)
		if first+i == d.selected {
			c.Overlay(0, row, w, term.Cursor)
		}
	}
}

// lastWord is the part of a proposal that it adds or changes.
func lastWord(s string) string {
	s = strings.TrimRight(s, " ")
	return s[strings.LastIndexAny(s, " (!")+1:]
}

func (d *prompt) key(ev *tcell.EventKey) bool {
	switch ev.Key() {
	case tcell.KeyEsc:
		if d.p.Cancelled != nil {
			d.p.Cancelled()
		}
		return false
	case tcell.KeyEnter:
		if d.selected >= 0 {
			d.take()
			return true
		}
		return d.done()
	case tcell.KeyTab:
		if d.propose(); len(d.offers) > 0 {
			d.selected = max(d.selected, 0)
			d.take()
		}
		return true
	case tcell.KeyDown, tcell.KeyUp:
		d.propose()
		d.move(map[tcell.Key]int{tcell.KeyDown: 1, tcell.KeyUp: -1}[ev.Key()])
		return true
	default:
		d.field.InputHandler()(ev, func(tview.Primitive) {})
		d.changed()
		return true
	}
}

// propose asks for proposals when there are none yet.
func (d *prompt) propose() {
	if len(d.offers) == 0 && d.p.Complete != nil {
		d.offers = d.p.Complete(d.field.GetText())
	}
}

// move goes through the proposals; before the first and behind the last there is none.
func (d *prompt) move(by int) {
	n := len(d.offers)
	if n == 0 {
		return
	}
	d.selected = (d.selected+1+by+n+1)%(n+1) - 1
}

// take writes the selected proposal into the line.
func (d *prompt) take() {
	d.field.SetText(d.offers[d.selected].Text)
	d.changed()
}

// changed tells the prompt's owner of a change, and asks for proposals.
func (d *prompt) changed() {
	s := d.field.GetText()
	if s == d.was {
		return
	}
	d.was = s
	d.err, d.offers, d.selected = nil, nil, -1
	if d.p.Changed != nil {
		d.err = d.p.Changed(s)
	}
	if d.p.Complete != nil {
		d.offers = d.p.Complete(s)
	}
}

func (d *prompt) done() bool {
	if d.p.Done == nil {
		return false
	}
	d.err = d.p.Done(d.field.GetText())
	return d.err != nil
}

func (d *prompt) mouse(term.Mouse) bool { return true }

func (d *confirm) key(ev *tcell.EventKey) bool {
	switch {
	case d.a.pasting:
		return true // a pasted y is no answer
	case ev.Key() == tcell.KeyRune && (ev.Rune() == 'y' || ev.Rune() == 'Y'):
		d.yes()
		return false
	case ev.Key() == tcell.KeyRune && (ev.Rune() == 'n' || ev.Rune() == 'N' || ev.Rune() == 'q'), ev.Key() == tcell.KeyEsc,
		ev.Key() == tcell.KeyEnter:
		return false
	default:
		return true
	}
}

func (d *confirm) mouse(term.Mouse) bool { return true }
