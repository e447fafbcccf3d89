package svg

import (
	"strconv"
	"strings"
	"time"

	"sipscope/render/ladder"
	"sipscope/render/text"
)

// Measures. A cell of the 12 px monospace font is 7.2 px wide; a wide character takes two.
const (
	pad      = 12
	lineStep = 15 // between two lines of text
	base     = 14 // of the first line of a row
	arrowY   = 20 // of an arrow below its row's top; its line is half a pixel lower, where 1 px is crisp
	arrowH   = 28
	belowY   = 33 // of a session description below the arrow
	belowH   = 40
	loopH    = 36
	loopW    = 34 // from a lifeline to the label of its loop
	shaftPad = 28 // what an arrow needs beside its label: head, and room on both sides
	proseX   = 8  // from a lifeline to prose
	minWidth = 480
	minGap   = 120 // between lifelines
	boxGap   = 14  // between heads
	footGap  = 10  // below the lifelines
	mediaGap = 4   // below the lines of a session description
)

// Bounds in cells: what is longer does not widen the picture.
const (
	maxFull    = 30 // label and session description beside each other
	maxHop     = 20 // the same, on the first hop of an arrow over several
	maxText    = 44 // a label alone
	maxName    = 32
	maxAddress = 47 // an IPv6 address with its port
	maxMargin  = 44
	maxProse   = 60
	maxMedia   = 76
)

// px is the width of cells.
func px(cells int) int { return (cells*72 + 9) / 10 }

// cells is how many fit from x to the right end of the picture.
func (d *drawing) cells(x int) int { return max((d.width-x-pad)*10/72, 1) }

const (
	sep       = " · "
	arrowWord = " → "
)

// read cleans every text once.
func (d *drawing) read() {
	d.cols = make([]column, len(d.l.Columns))
	for i := range d.l.Columns {
		c := &d.l.Columns[i]
		t := column{label: text.Clean(c.Label), address: text.Clean(c.Address)}
		if c.Label == "" {
			t = column{label: t.address}
		}
		if t.address != "" {
			d.tallHd = true
		}
		t.box = max(px(min(width(t.label), maxName)), px(min(width(t.address), maxAddress))) + 18
		d.cols[i] = t
	}
	d.rows = make([]row, len(d.l.Rows))
	transport, timed := "", false
	for i := range d.l.Rows {
		d.readRow(i, &transport, timed)
		timed = timed || d.l.Rows[i].Kind != ladder.Note
	}
}

// drawn reports whether the kind of a row is one that can be drawn.
func drawn(r *ladder.Row) bool { return r.Kind >= ladder.Arrow && r.Kind <= ladder.Lane }

// overAll reports whether a row is a line over all lifelines when its ends are not known: a gap, or media.
func overAll(r *ladder.Row) bool { return r.Kind == ladder.Gap || r.Kind.OfMedia() }

// inside reports whether both ends of a row are lifelines.
func (d *drawing) inside(r *ladder.Row) bool {
	return r.From >= 0 && r.To >= 0 && r.From < len(d.cols) && r.To < len(d.cols)
}

// readRow writes what a row says, in the words of render/text. transport is the one that was said last: it is said again
// where it changes.
func (d *drawing) readRow(i int, transport *string, timed bool) {
	r, t := &d.l.Rows[i], &d.rows[i]
	if !drawn(r) {
		return
	}
	t.time = d.time(r, timed)
	t.label, t.sdp = text.Clean(r.Label), text.Clean(r.SDP)
	if r.Count > 1 {
		t.label += " ×" + strconv.Itoa(r.Count)
	}
	if r.Hops > 1 {
		t.label += " (" + strconv.Itoa(r.Hops) + " hops)"
	}
	t.notes = d.notes(r, transport)
	switch r.Kind {
	case ladder.Arrow:
		t.prose = !d.inside(r)
	case ladder.Gap, ladder.Media, ladder.DTMF, ladder.Lane:
		from, to := d.gapEnds(r)
		t.prose = from == to
	case ladder.Note, ladder.State:
		t.prose = true
	}
	if t.prose {
		d.toProse(r, t)
	}
	t.labelW, t.sdpW, t.notesW = width(t.label), width(t.sdp), width(t.notes)
}

// notes joins the remarks of the margin. Most rows have one or none.
func (d *drawing) notes(r *ladder.Row, transport *string) string {
	s := r.RepeatNote()
	if len(r.Figures) > 0 {
		s = text.Clean(strings.Join(r.Figures, sep))
	}
	for _, n := range r.Notes {
		if s != "" {
			s += sep
		}
		s += text.Clean(n)
	}
	if r.Transport != "" && r.Transport != *transport {
		*transport = r.Transport
		if s != "" {
			s += sep
		}
		s += "over " + text.Clean(r.Transport)
	}
	return s
}

// toProse puts all that a row says into its label.
func (d *drawing) toProse(r *ladder.Row, t *row) {
	if t.sdp != "" {
		t.label += " " + t.sdp
	}
	if t.notes != "" {
		t.label += sep + t.notes
	}
	for _, m := range r.Media {
		t.label += sep + text.Clean(m)
	}
	t.sdp, t.notes = "", ""
}

// gapEnds gives the lifelines that lost something, or the first and the last.
func (d *drawing) gapEnds(r *ladder.Row) (from, to int) {
	if !d.inside(r) || r.From == r.To {
		return 0, max(len(d.cols)-1, 0)
	}
	return r.From, r.To
}

// time is the text of the time column. Notes and states have none: the rows that they belong to have it.
func (d *drawing) time(r *ladder.Row, timed bool) string {
	if r.Kind == ladder.Note || r.Kind == ladder.State {
		return ""
	}
	switch d.opts.Times {
	case text.TimesAbsolute:
		return time.Unix(0, r.Time).UTC().Format("15:04:05.000000")
	case text.TimesRelative:
		return strconv.FormatFloat(float64(r.SinceFirst)/1e9, 'f', 6, 64)
	case text.TimesDelta:
	}
	switch {
	case !timed:
		return time.Unix(0, r.Time).UTC().Format(clock)
	case r.SincePrev < 0:
		return ladder.Duration(r.SincePrev)
	default:
		return "+" + ladder.Duration(r.SincePrev)
	}
}

const clock = "15:04:05.000"

// plan fixes where everything stands.
func (d *drawing) plan() {
	d.across()
	d.margin()
	d.down()
}

// across places time column and lifelines.
func (d *drawing) across() {
	timeW := 0
	for i := range d.rows {
		timeW = max(timeW, width(d.rows[i].time))
	}
	d.timeX = pad + px(timeW)
	d.callX = d.timeX + pad
	d.x0 = d.callX
	if len(d.l.Calls) > 1 {
		most := uint32(0)
		for i := range d.l.Calls {
			most = max(most, d.l.Calls[i].Num)
		}
		d.x0 += px(1+len(strconv.FormatUint(uint64(most), 10))) + pad
	}
	if len(d.cols) == 0 {
		return
	}
	for i := range len(d.cols) - 1 {
		d.cols[i+1].x = max(minGap, (d.cols[i].box+d.cols[i+1].box)/2+boxGap) // its gap, for now
	}
	for i := range d.rows {
		d.widen(&d.l.Rows[i], &d.rows[i])
	}
	for i := range d.rows {
		d.widenSpan(&d.l.Rows[i], &d.rows[i])
	}
	d.cols[0].x = max(d.x0, pad+d.cols[0].box/2)
	for i := 1; i < len(d.cols); i++ {
		d.cols[i].x += d.cols[i-1].x
	}
}

// need is the cells that a row's label asks for.
func (t *row) need() int {
	if full := t.fullW(); full <= maxFull {
		return full
	}
	return max(min(t.labelW, maxText), min(t.sdpW, maxFull))
}

// fullW is the cells of label and session description beside each other.
func (t *row) fullW() int {
	if t.sdp == "" {
		return t.labelW
	}
	return t.labelW + 1 + t.sdpW
}

// widen makes room for the label of a row between neighbours, of a loop, and of a short one on its first hop. A column's x is still the gap before it.
func (d *drawing) widen(r *ladder.Row, t *row) {
	if t.prose || !drawn(r) {
		return
	}
	from, to := r.From, r.To
	if overAll(r) {
		from, to = d.gapEnds(r)
	}
	lo, hi := min(from, to), max(from, to)
	switch {
	case lo == hi && lo == len(d.cols)-1:
		d.tail = max(d.tail, loopW+px(t.need()))
	case lo == hi:
		d.cols[lo+1].x = max(d.cols[lo+1].x, loopW+px(t.need())+pad)
	case hi == lo+1:
		d.cols[hi].x = max(d.cols[hi].x, px(t.need())+shaftPad)
	case t.fullW() <= maxHop:
		hop := lo + 1 // the first on the arrow's way
		if to < from {
			hop = hi
		}
		d.cols[hop].x = max(d.cols[hop].x, px(t.fullW())+shaftPad)
	}
}

// widenSpan makes room for the label of a row over several lifelines, where what their neighbours need is not enough.
func (d *drawing) widenSpan(r *ladder.Row, t *row) {
	if t.prose || !drawn(r) {
		return
	}
	from, to := r.From, r.To
	if overAll(r) {
		from, to = d.gapEnds(r)
	}
	lo, hi := min(from, to), max(from, to)
	need := px(t.need()) + shaftPad
	if hi-lo < 2 || need <= (hi-lo)*minGap {
		return
	}
	for i := lo + 1; i <= hi; i++ {
		need -= d.cols[i].x
	}
	if need <= 0 {
		return
	}
	for i := lo + 1; i <= hi; i++ {
		d.cols[i].x += (need + hi - lo - 1) / (hi - lo)
	}
}

// margin places the notes and the right end of the picture.
func (d *drawing) margin() {
	right := d.x0
	d.noteX = d.x0
	if n := len(d.cols); n > 0 {
		last := &d.cols[n-1]
		d.noteX = last.x + max(16, d.tail+16)
		right = max(last.x+last.box/2, last.x+d.tail)
	}
	for i := range d.rows {
		t, r := &d.rows[i], &d.l.Rows[i]
		if !drawn(r) {
			continue
		}
		d.noteW = max(d.noteW, min(t.notesW, maxMargin))
		if t.prose {
			right = max(right, d.proseX(r)+px(min(t.labelW, maxProse)))
			continue
		}
		for _, m := range r.Media {
			right = max(right, d.proseX(r)+px(min(width(m), maxMedia)))
		}
	}
	if d.noteW > 0 {
		right = max(right, d.noteX+px(d.noteW))
	}
	d.width = max(right+pad, minWidth)
	d.noteW = max(d.noteW, min(d.cells(d.noteX), maxMargin))
}

// proseX is where the prose of a row begins: beside the lifeline that the row begins at, or at the left.
func (d *drawing) proseX(r *ladder.Row) int {
	switch {
	case r.Kind == ladder.State:
		return pad
	case len(d.cols) == 0:
		return d.x0
	default:
		return d.cols[min(max(min(r.From, r.To), 0), len(d.cols)-1)].x + proseX
	}
}

// down gives every row its height.
func (d *drawing) down() {
	d.headH = 0
	if len(d.cols) > 0 {
		d.headH = 40
		if d.tallHd {
			d.headH = 54
		}
	}
	d.laneH = 4
	states := 0
	for i := range d.rows {
		t, r := &d.rows[i], &d.l.Rows[i]
		if !drawn(r) {
			continue
		}
		t.h = d.height(r, t)
		if r.Kind == ladder.State {
			states += t.h
		} else {
			d.laneH += t.h
		}
	}
	d.laneH += 6
	d.bodyH = d.laneH + states + footGap
}

func (d *drawing) height(r *ladder.Row, t *row) int {
	if t.prose {
		return 9 + lineStep*max(countLines(t.label, d.cells(d.proseX(r))), 1)
	}
	h := arrowH
	switch {
	case r.Kind == ladder.Arrow && r.From == r.To:
		h = loopH
	case d.fit(r, t).below:
		h = belowH
	}
	if t.notes != "" {
		h = max(h, 9+lineStep*countLines(t.notes, d.noteW))
	}
	for _, m := range r.Media {
		h += lineStep * max(countLines(text.Clean(m), d.cells(d.proseX(r))), 1)
	}
	if len(r.Media) > 0 {
		h += mediaGap
	}
	return h
}

// place is where the label of an arrow stands.
type place struct {
	x     int // middle of the label; its beginning beside a loop
	cells int // that it may take
	below bool
	over  bool // it may cross a lifeline
}

// fit finds the place of an arrow's label: on the first hop of its way when it fits there, so that no lifeline crosses
// it, else over its whole way; the session description beside it, or below when they do not fit together.
func (d *drawing) fit(r *ladder.Row, t *row) place {
	from, to := r.From, r.To
	if overAll(r) {
		from, to = d.gapEnds(r)
	}
	if from == to {
		return d.beside(from, t)
	}
	next := from + 1
	if to < from {
		next = from - 1
	}
	hop, all := d.between(from, next), d.between(from, to)
	all.over = next != to
	full := t.fullW()
	switch {
	case full <= hop.cells:
		return hop
	case full <= all.cells:
		return all
	}
	hop.below, all.below = t.sdp != "", t.sdp != ""
	if max(t.labelW, t.sdpW) <= hop.cells {
		return hop
	}
	return all
}

// between is the place between two lifelines.
func (d *drawing) between(a, b int) place {
	lo, hi := d.cols[min(a, b)].x, d.cols[max(a, b)].x
	return place{x: (lo + hi) / 2, cells: max((hi-lo-shaftPad)*10/72, 1)}
}

// beside is the place right of a loop.
func (d *drawing) beside(col int, t *row) place {
	x := d.cols[col].x + loopW
	p := place{x: x, cells: max(d.tail-loopW, 0) * 10 / 72}
	if col+1 < len(d.cols) {
		p.cells = (d.cols[col+1].x - x - pad) * 10 / 72
	}
	p.below = t.sdp != "" && t.fullW() > p.cells
	return p
}
