package pair

import (
	"slices"
	"strconv"
	"strings"

	"sipscope/correlate/diff"
	"sipscope/render/ladder"
	"sipscope/render/text"
)

// Cells that a picture is planned with.
const (
	minGap     = 16 // between lifelines: "│◀ 180 Ringing ─│"
	minMerged  = 12 // the same with one ladder, where nothing else can give way
	maxGap     = 30
	minVerdict = 26 // the column of verdicts beside two ladders
	onArrow    = 4  // what a label needs beside its width: a dash, two blanks and the head
	between    = 3  // blanks between columns
	maxSaid    = 4  // differences told beside a row; the messages below have all
)

// layout is the two ladders of a pair on their way to a terminal.
type layout struct {
	*drawing

	s        *scene
	numW     int
	whenW    int
	gap      int
	xa, xb   int // first lifelines
	xWhen    int
	xVerdict int
}

// draw chooses what the terminal has room for.
func (l *layout) draw() {
	if len(l.s.rows) == 0 {
		l.wrapped(0, "no message to compare", plain)
		return
	}
	l.numW = len(strconv.Itoa(len(l.s.rows)))
	l.whenW = len("after")
	for i := range l.s.rows {
		l.whenW = max(l.whenW, text.Width(l.when(&l.s.rows[i])))
	}
	switch {
	case l.fitWide():
		l.wide()
	case l.fitMerged():
		l.merged()
	default:
		l.list()
	}
}

// natural is the gap at which labels fit on their arrows.
func (l *layout) natural() int {
	gap := minGap
	for i := range l.s.rows {
		for _, e := range [2]*event{&l.s.rows[i].a, &l.s.rows[i].b} {
			if e.there() {
				gap = max(gap, text.Width(l.clean(e.full()))+onArrow+2)
			}
		}
	}
	for i := range l.s.who {
		gap = max(gap, text.Width(l.clean(l.s.who[i]))+2, text.Width(l.s.addr[0][i])+2, text.Width(l.s.addr[1][i])+2)
	}
	return min(gap, maxGap)
}

// fitWide plans two ladders beside each other.
func (l *layout) fitWide() bool {
	n := len(l.s.who)
	if n < 1 {
		return false
	}
	// names stand centred over lifelines, so half of one reaches over each side of a ladder
	const left, middle, right = 5, 7, 4
	lanes := max(n-1, 1)
	fixed := l.numW + 1 + left + 1 + middle + 1 + right + l.whenW + between + minVerdict
	gap := l.natural()
	if l.o.Width > 0 {
		gap = min(gap, (l.o.Width-fixed)/(2*lanes))
	}
	if gap < minGap {
		return false
	}
	l.gap = gap
	span := lanes*gap + 1
	l.xa = l.numW + 1 + left
	l.xb = l.xa + span + middle
	l.xWhen = l.xb + span + right
	l.xVerdict = l.xWhen + l.whenW + between
	return true
}

// wide draws recorded | observed | time | verdict.
func (l *layout) wide() {
	l.to(l.xa)
	l.put(cut(l.clean(sideName(l.r.A, summaryOfFlow(&l.s.r.A))), l.xb-l.xa-2, l.g.ell), bold)
	l.to(l.xb)
	l.put(cut(l.clean(sideName(l.r.B, summaryOfFlow(&l.s.r.B))), l.xWhen-l.xb-2, l.g.ell), bold)
	l.to(l.xWhen + l.whenW - len("after"))
	l.put("after", dim)
	l.to(l.xVerdict)
	l.line("verdict", dim)
	l.names(l.xa, l.xb)
	for i := range l.s.rows {
		l.wideRow(&l.s.rows[i])
	}
	l.end()
}

// names writes the participants above their lifelines.
func (l *layout) names(starts ...int) {
	l.heads([2][]string{l.s.who, l.s.who}, bold, starts)
	if slices.ContainsFunc(slices.Concat(l.s.addr[0], l.s.addr[1]), func(s string) bool { return s != "" }) {
		l.heads(l.s.addr, dim, starts)
	}
}

// heads writes a line of texts that stand over their lifelines.
func (l *layout) heads(names [2][]string, st style, starts []int) {
	for side, x := range starts {
		for i, name := range names[side] {
			s := cut(l.clean(name), l.gap-2, l.g.ell)
			l.to(max(x+i*l.gap-text.Width(s)/2, l.at+min(l.at, 1)))
			l.put(s, st)
		}
	}
	l.end()
}

func (l *layout) wideRow(r *row) {
	said := l.said(r, l.xVerdict)
	for y := range max(len(said), 1) {
		if y == 0 {
			l.number(r)
		}
		l.lanes(l.xa, &r.a, r, y == 0)
		l.lanes(l.xb, &r.b, r, y == 0)
		if y == 0 {
			when := l.when(r)
			l.to(l.xWhen + l.whenW - text.Width(when))
			l.put(when, dim)
		}
		if y < len(said) {
			l.to(l.xVerdict)
			l.put(said[y], l.saidStyle(r))
		}
		l.end()
	}
}

func (l *layout) number(r *row) {
	s := strconv.Itoa(r.index + 1)
	l.to(l.numW - len(s))
	st := dim
	if l.s.first(r.index) {
		st = alarm
	}
	l.put(s, st)
}

func (l *layout) saidStyle(r *row) style {
	switch {
	case l.s.first(r.index):
		return alarm
	case r.Verdict == diff.Same || r.Verdict == diff.Expected:
		return dim
	default:
		return verdictStyle(r.Verdict)
	}
}

// said is the verdict of a row, in lines that fit right of a cell.
func (l *layout) said(r *row, x int) []string {
	w := unbounded
	if l.o.Width > 0 {
		w = max(l.o.Width-x, minProse)
	}
	const hang = 2
	lines := text.Wrap(l.verdict(r), w-hang)
	for i := 1; i < len(lines); i++ {
		lines[i] = strings.Repeat(" ", hang) + lines[i]
	}
	return lines
}

// verdict is a row's verdict in words, clean: its sign, then what differs.
func (l *layout) verdict(r *row) string {
	sign := l.g.sign[min(int(r.Verdict), len(l.g.sign)-1)]
	var b strings.Builder
	b.WriteString(sign)
	if l.s.first(r.index) {
		b.WriteString(" " + strings.ToUpper(l.s.firstWords()))
		if len(r.Differences) > 0 {
			b.WriteByte(':')
		}
	}
	told := len(r.Differences)
	if r.Verdict == diff.NotReached {
		return sign + " " + verdictWord(r.Verdict)
	}
	if told > maxSaid+1 {
		told = maxSaid
	}
	for i := range r.Differences[:told] {
		if i > 0 {
			b.WriteByte(';')
		}
		b.WriteByte(' ')
		b.WriteString(l.clean(r.Differences[i].Text))
	}
	if n := len(r.Differences) - told; n > 0 {
		b.WriteString("; " + strconv.Itoa(n) + " more")
	}
	if len(r.Differences) == 0 && telling(r.Verdict) {
		b.WriteString(" " + verdictWord(r.Verdict))
	}
	return b.String()
}

// when is how long after its cause a message came: on both sides where that is not about the same.
func (l *layout) when(r *row) string {
	a, b := r.WaitA, r.WaitB
	switch {
	case a < 0 && b < 0:
		return ""
	case a < 0:
		return ladder.Duration(b)
	case b < 0 || aboutSame(a, b):
		return ladder.Duration(a)
	default:
		return ladder.Duration(a) + l.g.to + ladder.Duration(b)
	}
}

// aboutSame reports whether two waits differ by less than a reader would care about.
func aboutSame(a, b int64) bool {
	const least = 20_000_000 // ns
	d := max(a, b) - min(a, b)
	return d < least || d < min(a, b)/4
}

// lanes draws the lifelines of one ladder and, with arrow, the message on them.
func (l *layout) lanes(x int, e *event, r *row, arrow bool) {
	n := len(l.s.who)
	from, to := e.from, e.to
	if !arrow || !e.there() || from < 0 {
		for i := range n {
			l.to(x + i*l.gap)
			l.put(l.g.line, dim)
		}
		return
	}
	st := l.arrowStyle(e, r)
	lo, hi := min(from, to), max(from, to)
	for i := 0; i <= lo; i++ {
		l.to(x + i*l.gap)
		l.put(l.g.line, dim)
	}
	if lo == hi {
		l.loop(e, lo == n-1, st)
	} else {
		l.shaft(e, hi-lo, from < to, st)
	}
	for i := max(hi, lo+1); i < n; i++ {
		l.to(x + i*l.gap)
		l.put(l.g.line, dim)
	}
}

func (l *layout) arrowStyle(e *event, r *row) style {
	if r.Verdict == diff.NotReached {
		return dim
	}
	return statusStyle(e.message.Status)
}

// loop writes a message that a participant sends to itself, from behind its lifeline on.
func (l *layout) loop(e *event, last bool, st style) {
	room := l.gap - 1
	if last {
		room = min(l.gap-1, 8)
	}
	l.put(cut(l.g.loop+" "+l.clean(e.label), room, l.g.ell), st)
}

// shaft writes an arrow over some lanes, from behind its lower lifeline on to before its upper one, with the label on it.
func (l *layout) shaft(e *event, lanes int, right bool, st style) {
	inner := lanes*l.gap - 1
	label := l.clean(e.full())
	if text.Width(label)+onArrow > inner {
		label = cut(l.clean(e.label), inner-onArrow, l.g.ell)
	}
	label = " " + label + " "
	before := (inner - text.Width(label)) / 2
	before = max(before, 1)
	after := inner - before - text.Width(label)
	shaft := []rune(strings.Repeat(l.g.dash, before))
	tail := []rune(strings.Repeat(l.g.dash, max(after, 0)))
	// where the shaft crosses a lifeline
	for i := 1; i < lanes; i++ {
		at := i*l.gap - 1
		cross := []rune(l.g.cross)[0]
		switch j := at - before - text.Width(label); {
		case at < before:
			shaft[at] = cross
		case j >= 0 && j < len(tail):
			tail[j] = cross
		}
	}
	if right {
		if len(tail) > 0 {
			tail[len(tail)-1] = []rune(l.g.right)[0]
		}
	} else {
		shaft[0] = []rune(l.g.left)[0]
	}
	l.put(string(shaft)+label+string(tail), st)
}
