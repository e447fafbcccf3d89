package tui

import (
	"sipscope/render/tui/calls"
	"sipscope/render/tui/pair"
)

// begin opens the first screen.
func (a *app) begin() {
	if a.opts.Pairs == nil {
		a.Open(calls.New(a, a.opts.Query))
		return
	}
	v := pair.New(a, a.opts.Pairs)
	a.data.Text = v.Text
	a.Open(v)
}

// read reports whether the reading has ended. Comparisons come without anything to be read.
func (a *app) read() bool { return a.data.Board == nil || a.data.Board.Done() }

// ShowPair implements term.Host.
func (a *app) ShowPair(x, y uint32) { a.Open(pair.Calls(a, x, y)) }

// ShowHops implements term.Host.
func (a *app) ShowHops(num uint32) { a.Open(pair.Hops(a, num)) }
