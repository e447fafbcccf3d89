package main

import (
	"fmt"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"

	"sipscope/correlate"
	"sipscope/correlate/diff"
	"sipscope/render/pair"
)

// aliases reads --same.
func aliases(all []string) (map[string]string, error) {
	if len(all) == 0 {
		return nil, nil //nolint:nilnil // no alias is none
	}
	out := map[string]string{}
	for _, s := range all {
		from, to, ok := strings.Cut(s, "=")
		if !ok || from == "" || to == "" {
			return nil, usagef("try: --same 3001=test1", "--same %q is not OLD=NEW", s)
		}
		out[from] = to
	}
	return out, nil
}

// report compares what was asked for.
func (c *diffCommand) report(sides []*archive, names []string, d *drawn) (*pair.Report, error) {
	a, b := sides[0], sides[len(sides)-1]
	r := &pair.Report{Title: c.title, Version: version}
	r.A, r.B = sideNames(a.source(), b.source())
	for _, s := range sides {
		r.Notes = append(r.Notes, s.door.lost()...)
	}
	switch {
	case c.hops:
		return r, c.hopReport(r, a, names, d)
	case len(names) == 0 && len(sides) == 1:
		return nil, usagef("name two calls: --call 3,5; or look at the hops of one: --hops", "one capture named, and nothing to compare it with")
	case len(names) == 0:
		return r, c.captures(r, a, b, d)
	}
	x, err := c.flow(a, r.A, names[0])
	if err != nil {
		return nil, err
	}
	y, err := c.flow(b, r.B, names[len(names)-1])
	if err != nil {
		return nil, err
	}
	if len(sides) == 1 && x.Calls[0].Num == y.Calls[0].Num {
		return nil, usagef("name two calls: --call 3,5", "both names are of call %d", x.Calls[0].Num)
	}
	r.Pairs = []pair.Pair{pair.New(diff.Flows(x, y, d.rules))}
	return r, nil
}

// sideNames are what the captures are called: by their base names where these tell them apart.
func sideNames(a, b string) (shortA, shortB string) {
	shortA, shortB = filepath.Base(a), filepath.Base(b)
	if shortA == shortB && a != b {
		return a, b
	}
	return shortA, shortB
}

// hopReport compares the hops of a call.
func (c *diffCommand) hopReport(r *pair.Report, a *archive, names []string, d *drawn) error {
	calls, err := a.pick(names)
	if err != nil {
		return err
	}
	if len(calls) > 1 {
		return usagef("name one with --call", "%d calls match, and --hops is of one", len(calls))
	}
	f := c.flowOf(a, "", calls)
	text := func(message int) []byte { return f.Text(0, message) }
	if r.Title == "" {
		r.Title = fmt.Sprintf("%s call %d, hop by hop", r.A, calls[0].Num)
	}
	r.A, r.B = pair.HopIn, pair.HopOut
	r.Pairs = []pair.Pair{pair.New(pair.Hops(calls[0], text, diff.Hops(calls[0], text, d.rules), d.rules))}
	return nil
}

// flow makes a side of the call that --call names and, with --group, of those that are joined with it.
func (c *diffCommand) flow(a *archive, name, call string) (diff.Flow, error) {
	calls, err := a.pick([]string{call})
	if err != nil {
		return diff.Flow{}, err
	}
	if group := calls[0].Group; c.group && group != 0 {
		var nums []uint32
		for s := range a.board.Calls() {
			if s.Group == group {
				nums = append(nums, s.Num)
			}
		}
		calls = calls[:0]
		for _, n := range nums {
			if x, ok := a.board.Call(n); ok {
				calls = append(calls, x)
			}
		}
	}
	return c.flowOf(a, name, calls), nil
}

// flowOf makes a side of calls. Of texts that cannot be read again the first error is kept.
func (c *diffCommand) flowOf(a *archive, name string, calls []correlate.Call) diff.Flow {
	return diff.Flow{Name: name, Calls: calls, Text: func(call, message int) []byte {
		b, err := a.text(&calls[call].Messages[message])
		if err != nil {
			c.failed.CompareAndSwap(nil, &err)
		}
		return b
	}}
}

// held is how many comparisons are kept while a report is made. Of more pairs each is made again when it is drawn: two
// captures of 100,000 calls would not fit into memory with all that differs between them.
const held = 500

// captures compares the calls of two captures.
func (c *diffCommand) captures(r *pair.Report, a, b *archive, d *drawn) error {
	callsA, callsB := a.matching(), b.matching()
	if len(callsA)+len(callsB) == 0 {
		return nothingError{"no call matches"}
	}
	if len(callsA) == 0 || len(callsB) == 0 {
		r.Notes = append(r.Notes, "one of the captures has no call that could be compared")
	}
	pairs := diff.Match(callsA, callsB, d.by)
	if len(callsA) == 1 && len(callsB) == 1 && d.by == diff.ByAny {
		pairs = []diff.Pair{{A: 0, B: 0}} // whoever names two captures of one call each wants these compared
	}
	r.Pairs = make([]pair.Pair, len(pairs))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, p := range pairs {
		switch {
		case p.B < 0:
			r.Pairs[i] = pair.Alone(&callsA[p.A], true)
		case p.A < 0:
			r.Pairs[i] = pair.Alone(&callsB[p.B], false)
		default:
			g.Go(func() error {
				r.Pairs[i] = c.compare(a, b, &callsA[p.A], &callsB[p.B], r, d, len(pairs) <= held)
				return nil
			})
		}
	}
	return g.Wait()
}

// compare compares two calls, and keeps what came of it or a way to do it again.
func (c *diffCommand) compare(a, b *archive, x, y *correlate.Summary, r *pair.Report, d *drawn, keep bool) pair.Pair {
	side := func(a *archive, name string, num uint32) diff.Flow {
		call, ok := a.board.Call(num)
		if !ok {
			return diff.Flow{Name: name}
		}
		return c.flowOf(a, name, []correlate.Call{call})
	}
	again := func() *diff.Result {
		return diff.Flows(side(a, r.A, x.Num), side(b, r.B, y.Num), d.rules)
	}
	made := again()
	p := pair.New(made)
	p.A, p.B = x, y
	if !keep {
		p.Open = again
	}
	return p
}

// matching gives the summaries of the calls that the filter keeps.
func (a *archive) matching() []correlate.Summary {
	var all []correlate.Summary
	for s := range a.board.Calls() {
		if a.match(s) {
			all = append(all, *s)
		}
	}
	return all
}
