package svg

import (
	"time"

	"sipscope/render/ladder"
	"sipscope/render/text"
)

// group begins a part of the picture that stands further down.
func (d *drawing) group(y int) {
	d.pair(`<g transform="translate(0 `, y)
	d.str(`)">`)
}

// header draws the participants above their lifelines.
func (d *drawing) header() {
	const top, bottom = 6, 10
	boxH := d.headH - top - bottom
	for i := range d.cols {
		c := &d.cols[i]
		d.pair(`<g class="column" data-column="`, i)
		d.str(`" role="img" aria-label="`)
		d.columnName(c)
		d.str(`"><title>`)
		d.columnName(c)
		d.str(`</title>`)
		d.pair(`<rect class="box" x="`, c.x-c.box/2)
		d.pair(`" y="`, top)
		d.pair(`" width="`, c.box)
		d.pair(`" height="`, boxH)
		d.str(`" rx="5"/>`)
		y := top + boxH/2 + 5
		if c.address != "" {
			d.line("address", c.x, top+boxH-7, cut(c.address, maxAddress))
			y = top + 16
		}
		d.line("name", c.x, y, cut(c.label, maxName))
		d.str(`</g>`)
	}
	d.lifelines(d.headH-bottom, d.headH)
}

func (d *drawing) columnName(c *column) {
	d.text(c.label)
	if c.address != "" {
		d.str(", ")
		d.text(c.address)
	}
}

// lifelines draws them from one height to another.
func (d *drawing) lifelines(from, to int) {
	if len(d.cols) == 0 {
		return
	}
	d.str(`<path class="life" aria-hidden="true" d="`)
	for i := range d.cols {
		d.pair("M", d.cols[i].x)
		d.pair(".5 ", from)
		d.pair("V", to)
	}
	d.str(`"/>`)
}

// body draws the rows, and last what became of the calls.
func (d *drawing) body() {
	d.lifelines(0, d.laneH)
	y := 4
	for i := range d.rows {
		if r := &d.l.Rows[i]; drawn(r) && r.Kind != ladder.State {
			d.row(i, y)
			y += d.rows[i].h
		}
	}
	d.pair(`<path class="foot" aria-hidden="true" d="M0 `, d.laneH)
	d.pair(".5H", d.width)
	d.str(`"/>`)
	y = d.laneH + footGap/2
	for i := range d.rows {
		if d.l.Rows[i].Kind == ladder.State {
			d.row(i, y)
			y += d.rows[i].h
		}
	}
}

// row draws a row whose top is at y.
func (d *drawing) row(i, y int) {
	d.flushAt()
	r, t := &d.l.Rows[i], &d.rows[i]
	d.openRow(i, y)
	d.pair(`<rect class="hit" width="`, d.width)
	d.pair(`" height="`, t.h)
	d.str(`"/>`)
	if t.time != "" {
		d.line("time", d.timeX, base, t.time)
	}
	if len(d.l.Calls) > 1 && r.Call >= 0 && r.Call < len(d.l.Calls) && r.Kind != ladder.State {
		d.openText("call", d.callX, base)
		d.str("#")
		d.uint(uint64(d.l.Calls[r.Call].Num))
		d.str(`</text>`)
	}
	switch {
	case t.prose:
		x := d.proseX(r)
		d.lines("label prose", x, base, t.label, d.cells(x))
	case r.Kind == ladder.Arrow && r.From == r.To:
		d.loop(r, t)
	default:
		d.arrow(r, t)
	}
	if t.notes != "" {
		d.lines("margin", d.noteX, base, t.notes, d.noteW)
	}
	if !t.prose {
		d.media(r, t)
	}
	d.str("</g>")
}

// openRow begins a row: its classes, what a page needs to know of it, and what is read aloud.
func (d *drawing) openRow(i, y int) {
	r := &d.l.Rows[i]
	d.str(`<g class="row `)
	d.class(r)
	if !d.opts.Terse {
		d.str(`" id="`)
		d.str(d.id)
		d.pair("r", i)
	}
	d.pair(`" data-row="`, i)
	d.pair(`" data-call="`, r.Call)
	for k, m := range r.Messages {
		d.pair([...]string{`" data-msgs="`, " "}[min(k, 1)], m)
	}
	for k, n := range r.Streams {
		d.pair([...]string{`" data-streams="`, " "}[min(k, 1)], int(n))
	}
	if r.Txn >= 0 {
		d.pair(`" data-txn="`, r.Txn)
	}
	if r.Dialog >= 0 {
		d.pair(`" data-dialog="`, r.Dialog)
	}
	if r.Frame > 0 {
		d.str(`" data-frame="`)
		d.uint(r.Frame)
	}
	if r.Kind == ladder.Arrow {
		d.str(`" tabindex="0" role="button" aria-label="`)
	} else {
		d.str(`" role="img" aria-label="`)
	}
	d.sentence(i)
	d.pair(`" transform="translate(0 `, y)
	d.str(`)">`)
	if !d.opts.Terse {
		d.str(`<title>`)
		d.tip(i)
		d.str(`</title>`)
	}
}

// class writes the classes of a row.
func (d *drawing) class(r *ladder.Row) {
	if r.Kind.OfMedia() {
		d.str("stream ")
	}
	if r.Kind != ladder.Media { // the lines of a session description have that class
		d.str(r.Kind.String())
	}
	if r.Kind == ladder.Arrow {
		if r.Response {
			d.str(" response")
		} else {
			d.str(" request")
		}
		if r.Retransmission {
			d.str(" retransmission")
		}
		if r.From == r.To {
			d.str(" self")
		}
	}
	if c := r.Status / 100; c >= 1 && c <= 6 {
		d.str([...]string{" s1xx", " s2xx", " s3xx", " s4xx", " s5xx", " s6xx"}[c-1])
	}
	if r.Status == 401 || r.Status == 407 {
		d.str(" challenge")
	}
}

// name writes what prose calls a participant.
func (d *drawing) name(col int) { d.text(d.cols[col].label) }

// sentence writes all that a row says, for those who do not see it.
func (d *drawing) sentence(i int) {
	r, t := &d.l.Rows[i], &d.rows[i]
	if r.Kind != ladder.State && r.Kind != ladder.Note {
		d.buf = time.Unix(0, r.Time).UTC().AppendFormat(d.buf, clock)
		d.str(": ")
	}
	d.what(t)
	d.ends(r)
	if r.Transport != "" {
		d.str(", over ")
		d.text(text.Clean(r.Transport))
	}
	if r.Frame > 0 {
		d.str(", frame ")
		d.uint(r.Frame)
	}
	if t.notes != "" {
		d.str("; ")
		d.text(t.notes)
	}
	if !t.prose {
		for _, m := range r.Media {
			d.str("; ")
			d.text(text.Clean(m))
		}
	}
}

// ends says between whom a row is.
func (d *drawing) ends(r *ladder.Row) {
	if !d.inside(r) || r.Kind == ladder.State {
		return
	}
	switch {
	case r.From == r.To && r.Kind == ladder.Arrow:
		d.str(", from ")
		d.name(r.From)
		d.str(" to itself")
	case !r.OneWay && (r.Kind == ladder.Media || r.Kind == ladder.Lane):
		d.str(", between ")
		d.name(r.From)
		d.str(" and ")
		d.name(r.To)
	case r.Kind == ladder.Arrow || overAll(r):
		d.str(", from ")
		d.name(r.From)
		d.str(" to ")
		d.name(r.To)
	}
}

// what writes the label with the session description.
func (d *drawing) what(t *row) {
	d.text(t.label)
	if t.sdp != "" {
		d.str(" ")
		d.text(t.sdp)
	}
}

// tip writes what the pointer shows: the whole label, which may be cut in the picture, and both ends.
func (d *drawing) tip(i int) {
	r, t := &d.l.Rows[i], &d.rows[i]
	d.what(t)
	if d.inside(r) && (r.Kind == ladder.Arrow || overAll(r)) {
		d.str(sep)
		d.name(r.From)
		d.str(arrowWord)
		d.name(r.To)
	}
	if r.Frame > 0 {
		d.str(sep + "frame ")
		d.uint(r.Frame)
	}
}

// line writes a line of text.
func (d *drawing) line(class string, x, y int, s string) {
	d.openText(class, x, y)
	d.text(s)
	d.str(`</text>`)
}

func (d *drawing) openText(class string, x, y int) {
	d.str(`<text class="`)
	d.str(class)
	d.pair(`" x="`, x)
	d.pair(`" y="`, y)
	d.str(`">`)
}

// lines writes a text in lines of at most w cells.
func (d *drawing) lines(class string, x, y int, s string, w int) {
	first, rest := wrapLine(s, w)
	d.openText(class, x, y)
	if rest == "" {
		d.text(first)
		d.str(`</text>`)
		return
	}
	for {
		d.pair(`<tspan x="`, x)
		d.pair(`" y="`, y)
		d.str(`">`)
		d.text(first)
		d.str(`</tspan>`)
		if rest == "" {
			break
		}
		first, rest = wrapLine(rest, w)
		y += lineStep
	}
	d.str(`</text>`)
}

// label writes the label of an arrow, its session description beside or below it.
func (d *drawing) label(p place, t *row, class string, below int) {
	if p.over {
		class += " over"
	}
	d.openText(class, p.x, base)
	if t.sdp == "" || p.below {
		d.text(cut(t.label, p.cells))
	} else {
		d.text(t.label)
		d.str(` <tspan class="sdp">`)
		d.text(t.sdp)
		d.str(`</tspan>`)
	}
	d.str(`</text>`)
	if p.below {
		d.line(class+" sdp", p.x, below, cut(t.sdp, p.cells))
	}
}

// arrow draws an arrow between two lifelines, or the dotted line of a gap, which has no head.
func (d *drawing) arrow(r *ladder.Row, t *row) {
	from, to := r.From, r.To
	if overAll(r) {
		from, to = d.gapEnds(r)
	}
	d.label(d.fit(r, t), t, "label", belowY)
	if r.Kind.OfMedia() {
		d.span(r, from, to)
		return
	}
	const head = 7
	x, end := d.cols[from].x, d.cols[to].x
	stop := end - head
	if end < x {
		stop = end + 1 + head
	}
	if r.Kind == ladder.Gap {
		stop = end
	}
	d.pair(`<path class="shaft" d="M`, x)
	d.pair(".5 ", arrowY)
	d.pair(".5H", stop)
	d.str(`"/>`)
	switch {
	case r.Kind == ladder.Gap:
	case end > x:
		d.head(end, arrowY, "l-9-4v8z")
	default:
		d.head(end+1, arrowY, "l9-4v8z")
	}
}

// span draws the double line of a medium, with a head when there is one direction only.
func (d *drawing) span(r *ladder.Row, from, to int) {
	x, end := d.cols[from].x, d.cols[to].x
	for _, y := range [...]int{arrowY - 1, arrowY + 2} {
		d.pair(`<path class="shaft" d="M`, x)
		d.pair(".5 ", y)
		d.pair(".5H", end)
		d.str(`"/>`)
	}
	switch {
	case !r.OneWay || !d.inside(r):
	case end > x:
		d.head(end, arrowY+1, "l-9-5v10z")
	default:
		d.head(end+1, arrowY+1, "l9-5v10z")
	}
}

// head draws a solid head with its tip at x.
func (d *drawing) head(x, y int, shape string) {
	d.pair(`<path class="head" d="M`, x)
	d.pair(" ", y)
	d.str(".5")
	d.str(shape)
	d.str(`"/>`)
}

// loop draws a message that a participant sends to itself.
func (d *drawing) loop(r *ladder.Row, t *row) {
	const top, right, drop = 9, 26, 14
	x := d.cols[r.From].x
	d.pair(`<path class="shaft" d="M`, x)
	d.pair(".5 ", top)
	d.pair(".5h", right)
	d.pair("v", drop)
	d.pair("H", x+8)
	d.str(`"/>`)
	d.head(x+1, top+drop, "l9-4v8z")
	d.label(d.beside(r.From, t), t, "label side", base+lineStep)
}

// media writes a session description line by line under its arrow.
func (d *drawing) media(r *ladder.Row, t *row) {
	if len(r.Media) == 0 {
		return
	}
	x := d.proseX(r)
	w := d.cells(x)
	n := 0
	for _, m := range r.Media {
		n += max(countLines(text.Clean(m), w), 1)
	}
	y := t.h - mediaGap - (n-1)*lineStep - 5
	for _, m := range r.Media {
		s := text.Clean(m)
		d.lines("media over", x, y, s, w)
		y += lineStep * max(countLines(s, w), 1)
	}
}
