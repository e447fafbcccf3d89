package compare

import (
	"slices"
	"strings"

	"sipscope/decode/sip"
)

// side is one of the two messages.
type side struct {
	m     *sip.Message
	text  string // all of it; the texts of the result are cut from it
	lines []textLine
	body  int // index of the first line of the body
	names *Names
}

// textLine is a line of a message, a folded one as a whole.
type textLine struct {
	text   string // without its end, folds joined by a blank
	off    int    // bytes, in the message
	folded bool
	end    string // "\r\n", "\n", or "" at the end of the message
}

func newSide(m *sip.Message) *side {
	if m == nil {
		m = &sip.Message{}
	}
	s := &side{m: m, text: string(m.Raw)}
	s.lines = make([]textLine, 0, strings.Count(s.text, "\n")+1)
	head := min(int(m.Head), len(s.text))
	at := 0
	for at < head {
		l, next := s.line(at, head, at > 0)
		s.lines = append(s.lines, l)
		at = next
	}
	s.body = len(s.lines)
	end := min(int(m.Body.Off+m.Body.Len), len(s.text))
	for at = int(m.Body.Off); at < end; {
		l, next := s.line(at, end, false)
		s.lines = append(s.lines, l)
		at = next
	}
	return s
}

// line reads the line at at, with its folds (RFC 3261 7.3.1) when it may have some, and gives where the next begins.
func (s *side) line(at, to int, folds bool) (l textLine, next int) {
	l.off = at
	l.text, l.end, next = cutLine(s.text, at, to)
	if !folds || l.text == "" {
		return l, next
	}
	var pieces []string
	for next < to && isBlank(s.text[next]) {
		if pieces == nil {
			pieces = append(pieces, l.text)
		}
		var piece string
		piece, l.end, next = cutLine(s.text, next, to)
		last := len(pieces) - 1
		pieces[last] = strings.TrimRight(pieces[last], " \t")
		pieces = append(pieces, strings.TrimLeft(piece, " \t"))
	}
	if pieces != nil {
		l.text, l.folded = strings.Join(pieces, " "), true
	}
	return l, next
}

// cutLine takes the line that text[at:to] begins with.
func cutLine(text string, at, to int) (line, end string, next int) {
	n := strings.IndexByte(text[at:to], '\n')
	if n < 0 {
		return text[at:to], "", to
	}
	if n > 0 && text[at+n-1] == '\r' {
		return text[at : at+n-1], "\r\n", at + n + 1
	}
	return text[at : at+n], "\n", at + n + 1
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// unit is what is aligned: a line, or one value of a list.
type unit struct {
	text   string
	name   string // Line.Name
	no     int    // Line.NoA or NoB
	group  uint32 // units of a group are aligned with one another
	traits traits
	end    string // line end, where that counts
	pieces []piece
	values int      // units that its line was taken apart into
	key    uint32   // equal for units that mean the same
	ids    []uint32 // of the pieces that count, sorted, to see how much two units have in common
}

// traits is how units of a group are aligned, and what is known of one.
type traits uint8

const (
	isSet   traits = 1 << iota // the values of all lines of the group are one set
	isFree                     // the order of the group's lines means nothing
	isText                     // lines of a text: two that have little in common are not the same line changed
	folded                     // the line is folded
	implied                    // what the line says holds without it
)

// section aligns the units of the two sides, and appends the lines to the result.
func (c *comparer) section(sec Section, xs, ys []unit) {
	if len(xs) == 0 && len(ys) == 0 {
		return
	}
	rows := make([]row, 0, max(len(xs), len(ys))+8)
	gx, gy := byGroup(xs), byGroup(ys)
	for len(gx) > 0 || len(gy) > 0 {
		var g uint32
		switch {
		case len(gy) == 0 || len(gx) > 0 && xs[gx[0]].group < ys[gy[0]].group:
			g = xs[gx[0]].group
		default:
			g = ys[gy[0]].group
		}
		nx, ny := leading(xs, gx, g), leading(ys, gy, g)
		rows = c.group(rows, xs, ys, gx[:nx], gy[:ny])
		gx, gy = gx[nx:], gy[ny:]
	}
	markMoved(rows)
	for _, i := range c.layout(rows, xs, ys) {
		c.emit(sec, &rows[i], xs, ys)
	}
}

// byGroup gives the indices of units by group, and in a group by place.
func byGroup(us []unit) []int {
	idx := make([]int, len(us))
	for i := range idx {
		idx[i] = i
	}
	slices.SortStableFunc(idx, func(i, j int) int { return int(us[i].group) - int(us[j].group) })
	return idx
}

// leading counts the indices at the beginning of idx whose units are of group g.
func leading(us []unit, idx []int, g uint32) int {
	n := 0
	for n < len(idx) && us[idx[n]].group == g {
		n++
	}
	return n
}

// group aligns the units of one group, whose indices gx and gy are, and appends its rows.
func (c *comparer) group(rows []row, xs, ys []unit, gx, gy []int) []row {
	if len(gx) == 0 || len(gy) == 0 {
		return unpaired(rows, xs, ys, gx, gy)
	}
	t := xs[gx[0]].traits
	switch {
	case len(gx) == 1 && len(gy) == 1 && t&isText == 0:
		return append(rows, c.both(gx[0], gy[0], xs, ys))
	case t&isSet != 0:
		return c.sets(rows, xs, ys, gx, gy)
	case t&isFree != 0 && !isSplit(xs, gx) && !isSplit(ys, gy):
		rows, gx, gy = c.equals(rows, xs, ys, gx, gy)
	}
	from := len(rows)
	least := 0
	if t&isText != 0 {
		least = leastText
	}
	i, j := 0, 0
	for _, p := range c.align(sequenceOf(xs, gx), sequenceOf(ys, gy), least) {
		rows = unpaired(rows, xs, ys, gx[i:p.x], gy[j:p.y])
		rows = append(rows, c.both(gx[p.x], gy[p.y], xs, ys))
		i, j = p.x+1, p.y+1
	}
	return merge(unpaired(rows, xs, ys, gx[i:], gy[j:]), from, xs, ys)
}

// unpaired appends the rows of units that only one side has.
func unpaired(rows []row, xs, ys []unit, gx, gy []int) []row {
	for _, i := range gx {
		rows = append(rows, alone(&xs[i], row{x: i, y: -1, xs: 1}))
	}
	for _, j := range gy {
		rows = append(rows, alone(&ys[j], row{x: -1, y: j, ys: 1}))
	}
	return rows
}

// alone is the row of a unit that only one side has.
func alone(u *unit, r row) row {
	r.verdict, r.group = differs, u.group
	if u.traits&implied != 0 {
		r.verdict, r.why = spelled, "default"
	}
	spans := []Span{{Text: u.text, Differs: true}}
	if r.x >= 0 {
		r.sx = spans
	} else {
		r.sy = spans
	}
	return r
}

// isSplit reports whether one of the units is a value of a list of more.
func isSplit(us []unit, idx []int) bool {
	return slices.ContainsFunc(idx, func(i int) bool { return us[i].values > 1 })
}

// equals pairs units of the same meaning wherever they stand, and gives what is left.
func (c *comparer) equals(rows []row, xs, ys []unit, gx, gy []int) (more []row, leftX, leftY []int) {
	places := make(map[uint32][]int, len(gy))
	for _, j := range gy {
		places[ys[j].key] = append(places[ys[j].key], j)
	}
	for _, i := range gx {
		k := xs[i].key
		if at := places[k]; len(at) > 0 {
			rows = append(rows, c.both(i, at[0], xs, ys))
			places[k] = at[1:]
			continue
		}
		leftX = append(leftX, i)
	}
	for _, js := range places {
		leftY = append(leftY, js...)
	}
	slices.Sort(leftY)
	return rows, leftX, leftY
}

// merge makes one row again of the values of a list that is one line on both sides. The rows from index from on are
// those of one group, whose pairs are in order on both sides.
func merge(rows []row, from int, xs, ys []unit) []row {
	out := rows[:from]
	for i := from; i < len(rows); {
		n := run(rows[i:], xs, ys)
		worst := same
		for k := range rows[i : i+n] {
			worst = max(worst, rows[i+k].verdict)
		}
		for k := range rows[i : i+n] { // marked is what makes the line's verdict, as within a value
			if rows[i+k].verdict < worst {
				unmark(rows[i+k].sx)
				unmark(rows[i+k].sy)
			}
		}
		r := rows[i]
		for _, next := range rows[i+1 : i+n] {
			r.sx, r.sy = join(r.sx, next.sx), join(r.sy, next.sy)
			r.xs, r.ys = r.xs+1, r.ys+1
			if next.verdict > r.verdict {
				r.verdict, r.why = next.verdict, next.why
			}
		}
		out = append(out, r)
		i += n
	}
	return out
}

func unmark(spans []Span) {
	for i := range spans {
		spans[i].Differs = false
	}
}

// run counts the rows, from the first on, that are all values of one line on both sides; 1 when they are not.
func run(rows []row, xs, ys []unit) int {
	r := &rows[0]
	if r.x < 0 || r.y < 0 {
		return 1
	}
	n := xs[r.x].values
	if n < 2 || ys[r.y].values != n || len(rows) < n {
		return 1
	}
	for _, next := range rows[1:n] {
		if next.x < 0 || next.y < 0 || xs[next.x].no != xs[r.x].no || ys[next.y].no != ys[r.y].no {
			return 1
		}
	}
	return n
}

// join appends spans to spans; two that are marked alike become one.
func join(a, b []Span) []Span {
	if n := len(a); n > 0 && len(b) > 0 && a[n-1].Differs == b[0].Differs {
		a[n-1].Text += b[0].Text
		b = b[1:]
	}
	return append(a, b...)
}
