package text

import (
	"strconv"
	"strings"

	"sipscope/render/ladder"
)

// lanes gives a line with its lifelines.
func (d *drawing) lanes() line {
	l := d.line()
	for i := range d.names {
		l.put(d.x(i), d.g.line, dim)
	}
	return l
}

// header writes names and addresses above their lifelines and a rule below.
func (d *drawing) header(cross string) {
	switch d.m {
	case modeList:
		return
	case modeCompact:
		l := d.line()
		for i := range d.names {
			l.put(d.x(i), strconv.Itoa(i+1), bold)
		}
		d.emit(&l)
	case modeLanes:
		d.heads(func(c *colText) string { return c.label }, bold)
		d.heads(func(c *colText) string { return c.address }, plain)
	}
	d.rule(cross)
	d.since = 0
}

// heads writes one text of every participant. Names and addresses that are wider than their place go on below.
func (d *drawing) heads(text func(c *colText) string, st style) {
	var cells [][]string
	height := 0
	for i := range d.names {
		w := d.gap - 2
		if i == len(d.names)-1 {
			w = unlimited
			if d.opts.Width > 0 {
				w = max(d.opts.Width-d.x(i), 1)
			}
		}
		parts := breakName(text(&d.names[i]), w)
		if len(parts) > maxHeadLines {
			parts = append(parts[:maxHeadLines-1:maxHeadLines-1], cut(strings.Join(parts[maxHeadLines-1:], ""), w, d.g.ell))
		}
		cells = append(cells, parts)
		height = max(height, len(parts))
	}
	for y := range height {
		l := d.line()
		for i, parts := range cells {
			if y < len(parts) {
				l.put(d.x(i), parts[y], st)
			}
		}
		if len(l.cells) > 0 {
			d.emit(&l)
		}
	}
}

// maxHeadLines holds an IPv6 address with its port in the narrowest lane.
const maxHeadLines = 4

// breakName breaks a name or address into parts of at most w cells, after a colon, dot, dash or @ when one is near.
func breakName(s string, w int) []string {
	var parts []string
	for Width(s) > w {
		head := take(s, w)
		if head == "" {
			head = firstCluster(s)
		}
		if i := strings.LastIndexAny(head, ":.-@ "); i >= len(head)/2 {
			head = head[:i+1]
		}
		parts = append(parts, head)
		s = s[len(head):]
	}
	if s != "" || len(parts) == 0 {
		parts = append(parts, s)
	}
	return parts
}

// rule writes a horizontal line that the lifelines meet.
func (d *drawing) rule(cross string) {
	end := d.x(len(d.names)-1) + 7
	if d.opts.Width > 0 {
		end = min(end, d.opts.Width)
	}
	l := d.line()
	l.put(0, strings.Repeat(d.g.rule, end), dim)
	for i := range d.names {
		l.put(d.x(i), cross, dim)
	}
	d.emit(&l)
}

// row draws one row in as many lines as it needs.
func (d *drawing) row(i int) {
	r := &d.l.Rows[i]
	if d.m == modeList || r.From >= len(d.names) || r.To >= len(d.names) {
		d.listRow(i)
		return
	}
	switch r.Kind {
	case ladder.Arrow:
		d.arrowRow(i)
	case ladder.Gap:
		d.gapRow(i)
	case ladder.Note:
		d.noteRow(i)
	case ladder.Media, ladder.DTMF, ladder.Lane:
		d.mediaRow(i)
	case ladder.State:
	}
}

// block is the lines of a row that is being drawn.
type block struct {
	d     *drawing
	lines []line
}

func (b *block) add() *line {
	b.lines = append(b.lines, b.d.lanes())
	return &b.lines[len(b.lines)-1]
}

// finish puts time and margin beside the lines and writes them.
func (b *block) finish(i int, notes []string) {
	d := b.d
	if len(notes) > 0 {
		for y, s := range Wrap(strings.Join(notes, d.g.sep), d.noteW) {
			if y == len(b.lines) {
				b.add()
			}
			b.lines[y].put(d.noteX, s, plain)
		}
	}
	if len(b.lines) == 0 {
		return
	}
	d.stamp(&b.lines[0], i)
	for y := range b.lines {
		d.emit(&b.lines[y])
	}
}

// stamp writes the time and the call's number.
func (d *drawing) stamp(l *line, i int) {
	t := d.rows[i].time
	l.put(1+d.timeW-Width(t), t, dim)
	if d.numbered {
		if c := d.l.Rows[i].Call; c >= 0 && c < len(d.l.Calls) {
			l.put(d.callX, "#"+strconv.FormatUint(uint64(d.l.Calls[c].Num), 10), dim)
		}
	}
}

func (d *drawing) arrowRow(i int) {
	r, t := &d.l.Rows[i], &d.rows[i]
	st := statusStyle(r.Status)
	b := block{d: d}
	notes := t.notes
	switch {
	case r.From < 0 || r.To < 0:
		d.listRow(i)
		return
	case r.From == r.To:
		notes = d.loop(&b, r, t, st)
	case d.m == modeCompact:
		d.shaft(b.add(), r.From, r.To, d.g.dash, st, true)
		notes = prepend(join(t.label, t.sdp), notes)
	default:
		notes = d.labelled(&b, r, t, st)
	}
	b.finish(i, notes)
	d.mediaLines(r)
}

func prepend(s string, rest []string) []string { return append([]string{s}, rest...) }

func join(label, sdp string) string {
	if sdp == "" {
		return label
	}
	return label + " " + sdp
}

// labelled draws an arrow between two lifelines with its label on it or, when it does not fit, above it.
func (d *drawing) labelled(b *block, r *ladder.Row, t *rowText, st style) []string {
	lo, hi := min(r.From, r.To), max(r.From, r.To)
	inner := d.x(hi) - d.x(lo) - 1
	full := join(t.label, t.sdp)
	notes := t.notes
	switch {
	case Width(full)+onArrow <= inner:
		d.onShaft(b.add(), r, full, st)
		return notes
	case t.sdp != "" && Width(full)+2 <= inner:
		b.add().put(d.x(lo)+2, full, st)
	case Width(t.label)+onArrow <= inner:
		d.onShaft(b.add(), r, t.label, st)
		return prepend(t.sdp, notes)
	case hi == len(d.names)-1 && lo > 0 && Width(t.label)+1 > inner:
		notes = prepend(full, notes) // the margin is beside it: no lifeline needs to give way
	default:
		d.above(b, lo, t.label, st)
		if t.sdp != "" {
			notes = prepend(t.sdp, notes)
		}
	}
	d.shaft(b.add(), r.From, r.To, d.g.dash, st, true)
	return notes
}

// above writes a text over the lanes from a lifeline on, further left when it needs the room.
func (d *drawing) above(b *block, lo int, s string, st style) {
	end := d.x(len(d.names) - 1)
	room := max(end-d.x0-1, 1)
	for _, part := range Wrap(s, room) {
		x := min(d.x(lo)+2, end-Width(part))
		b.add().put(max(x, d.x0+1), part, st)
	}
}

// onShaft draws an arrow and its label: on the first hop of its way when it fits there, else in the middle.
func (d *drawing) onShaft(l *line, r *ladder.Row, label string, st style) {
	d.shaft(l, r.From, r.To, d.g.dash, st, true)
	from, to := d.x(r.From), d.x(r.To)
	if Width(label)+onArrow <= d.gap-1 {
		if from < to {
			to = from + d.gap
		} else {
			to = from - d.gap
		}
	}
	lo, inner := min(from, to), max(from, to)-min(from, to)-1
	w := Width(label) + 2
	x := lo + 1 + (inner-w)/2
	x = max(min(x, lo+inner-w), lo+2)
	l.put(x, " "+label+" ", st)
}

// shaft draws the line of an arrow, with a head or without.
func (d *drawing) shaft(l *line, from, to int, dash string, st style, head bool) {
	lo, hi := min(from, to), max(from, to)
	for x := d.x(lo) + 1; x < d.x(hi); x++ {
		l.put(x, dash, st)
	}
	for c := lo + 1; c < hi; c++ {
		l.put(d.x(c), d.g.cross, st)
	}
	switch {
	case !head:
	case from < to:
		l.put(d.x(hi)-1, d.g.right, st)
	default:
		l.put(d.x(lo)+1, d.g.left, st)
	}
}

// loop draws a message that a participant sends to itself.
func (d *drawing) loop(b *block, r *ladder.Row, t *rowText, st style) []string {
	x := d.x(r.From)
	b.add()
	b.add()
	b.lines[0].put(x+1, d.g.dash+d.g.loopTop, st)
	b.lines[1].put(x+1, d.g.left+d.g.loopEnd, st)
	full := join(t.label, t.sdp)
	room := d.x(len(d.names)-1) - x - 5
	if d.m == modeLanes && Width(full) <= room {
		b.lines[0].put(x+4, full, st)
		return t.notes
	}
	return prepend(full, t.notes)
}

// mediaLines writes a session description line by line under its arrow.
func (d *drawing) mediaLines(r *ladder.Row) {
	for _, s := range r.Media {
		d.prose(min(r.From, r.To), d.clean(s), plain)
	}
}

// prose writes a text right of a lifeline, over those further right, on as many lines as it needs.
func (d *drawing) prose(col int, s string, st style) {
	x, w := d.proseAt(col)
	for _, part := range Wrap(s, w) {
		l := d.lanes()
		l.put(x, part, st)
		d.emit(&l)
	}
}

func (d *drawing) proseAt(col int) (x, w int) {
	const enough = 30
	x, w = d.x(max(col, 0))+2, unlimited
	if d.opts.Width > 0 {
		if d.opts.Width-x < enough {
			x = max(min(x, d.opts.Width-enough), d.x0+2)
		}
		w = max(d.opts.Width-x, 1)
	}
	return x, w
}

// gapRow draws a dotted line between the columns that lost something, or over all.
func (d *drawing) gapRow(i int) {
	r, t := &d.l.Rows[i], &d.rows[i]
	from, to := r.From, r.To
	if from < 0 || to < 0 || from == to {
		from, to = 0, len(d.names)-1
	}
	b := block{d: d}
	l := b.add()
	d.shaft(l, from, to, d.g.dot, magenta, false)
	inner := (max(from, to)-min(from, to))*d.gap - 1
	notes := t.notes
	if d.m == modeLanes && Width(t.label)+onArrow <= inner {
		l.put(d.x(min(from, to))+1+(inner-Width(t.label)-2)/2, " "+t.label+" ", magenta)
	} else {
		notes = prepend(t.label, notes)
	}
	b.finish(i, notes)
}

// noteRow writes a remark beside the lifeline that it begins at.
func (d *drawing) noteRow(i int) {
	r, t := &d.l.Rows[i], &d.rows[i]
	s := t.label
	if len(t.notes) > 0 {
		s += d.g.sep + strings.Join(t.notes, d.g.sep)
	}
	col := min(r.From, r.To)
	if d.m == modeCompact {
		b := block{d: d}
		b.finish(i, []string{s})
		return
	}
	d.prose(col, s, yellow)
}

// listRow writes a row as prose: for terminals that have no room for lifelines.
func (d *drawing) listRow(i int) {
	r, t := &d.l.Rows[i], &d.rows[i]
	s := join(t.label, t.sdp)
	switch {
	case r.Kind == ladder.Gap && r.From >= 0 && r.To >= 0:
		s = strconv.Itoa(r.From+1) + " " + d.g.dot + d.g.dot + " " + strconv.Itoa(r.To+1) + "  " + s
	case r.Kind == ladder.Arrow && r.From >= 0 && r.To >= 0:
		s = strconv.Itoa(r.From+1) + d.g.to + strconv.Itoa(r.To+1) + "  " + s
	case r.Kind.OfMedia() && r.From >= 0 && r.To >= 0:
		s = strconv.Itoa(r.From+1) + " " + d.g.wire + d.g.wire + " " + strconv.Itoa(r.To+1) + "  " + s
	}
	parts := prepend(s, t.notes)
	if t.figures != "" {
		parts = prepend(s, prepend(t.figures, t.notes))
	}
	for _, m := range r.Media {
		parts = append(parts, d.clean(m))
	}
	width := unlimited
	if d.opts.Width > 0 {
		width = max(d.opts.Width-d.x0, minListRow)
	}
	const hang = 2
	for y, p := range Wrap(strings.Join(parts, d.g.sep), width-hang) {
		l := d.line()
		x := d.x0
		if y == 0 {
			d.stamp(&l, i)
		} else {
			x += hang
		}
		l.put(x, p, plain)
		d.emit(&l)
	}
}
