package pair

import (
	"strconv"
	"strings"

	"sipscope/correlate/diff"
	"sipscope/render/ladder"
	"sipscope/render/text"
)

// fitMerged plans one ladder of both sides.
func (l *layout) fitMerged() bool {
	n := len(l.s.who)
	lanes := max(n-1, 1)
	l.whenW = 0
	for i := range l.s.rows {
		for _, ns := range [2]int64{l.s.rows[i].WaitA, l.s.rows[i].WaitB} {
			if ns >= 0 {
				l.whenW = max(l.whenW, text.Width(ladder.Duration(ns)))
			}
		}
	}
	l.xWhen = l.numW + 3 // number, blank, sign, blank
	l.xa = l.xWhen + l.whenW + 4
	gap := l.natural()
	if l.o.Width > 0 {
		gap = min(gap, (l.o.Width-l.xa-4)/lanes)
	}
	l.gap = gap
	return n > 0 && gap >= minMerged
}

// merged draws one ladder: what differs as a row of each side, with - and +, and below them what the difference is.
func (l *layout) merged() {
	l.names(l.xa)
	l.eachSide(func(r *row, e *event, sign string, wait int64) {
		l.number(r)
		l.to(l.numW + 1)
		l.put(sign, l.signStyle(r, sign))
		if wait >= 0 {
			s := ladder.Duration(wait)
			l.to(l.xWhen + l.whenW - text.Width(s))
			l.put(s, dim)
		}
		l.lanes(l.xa, e, r, true)
		l.end()
	}, l.numW+3)
}

// eachSide gives every row once, or once a side where the sides differ, and writes below it what differs.
func (l *layout) eachSide(draw func(r *row, e *event, sign string, wait int64), x int) {
	for i := range l.s.rows {
		r := &l.s.rows[i]
		switch {
		case !r.b.there():
			sign := "-"
			if r.Verdict == diff.NotReached {
				sign = l.g.sign[diff.NotReached]
			}
			draw(r, &r.a, sign, r.WaitA)
		case !r.a.there():
			draw(r, &r.b, "+", r.WaitB)
		case !r.alike():
			draw(r, &r.a, "-", r.WaitA)
			draw(r, &r.b, "+", r.WaitB)
		default:
			draw(r, &r.a, l.g.sign[min(int(r.Verdict), len(l.g.sign)-1)], r.WaitA)
		}
		if telling(r.Verdict) {
			for _, s := range l.said(r, x) {
				l.to(x)
				l.line(s, l.saidStyle(r))
			}
		}
	}
	l.end()
}

func (l *layout) signStyle(r *row, sign string) style {
	switch sign {
	case "-":
		return red
	case "+":
		return green
	default:
		return verdictStyle(r.Verdict)
	}
}

// list writes rows as prose, for terminals that have no room for lifelines and flows that nobody took part in.
func (l *layout) list() {
	l.eachSide(func(r *row, e *event, sign string, wait int64) {
		parts := []string{l.clean(e.full())}
		if e.from >= 0 {
			parts[0] = l.way(l.s, e) + "  " + parts[0]
		}
		if wait >= 0 {
			parts = append(parts, ladder.Duration(wait))
		}
		l.put(strconv.Itoa(r.index+1)+" ", dim)
		l.put(sign+" ", l.signStyle(r, sign))
		l.wrapped(l.at, strings.Join(parts, l.g.sep), plain)
	}, l.numW+3)
}
