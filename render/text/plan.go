package text

import (
	"strconv"

	"sipscope/render/ladder"
)

// Cells that a ladder is planned with.
const (
	minGap      = 12 // between lifelines with names above them: "10.0.0.100" and a blank
	maxGap      = 34
	usualGap    = 18 // no ladder is narrower when there is room
	maxHead     = 24 // a name above a lifeline does not widen the ladder beyond this
	minCompact  = 3  // between numbered lifelines: "|>|" needs one, two digits and a blank need three
	maxCompact  = 10
	minNotes    = 16 // margin
	enoughNotes = 26
	wideNotes   = 40
	listNotes   = 22 // margin of a compact ladder: it holds the labels too
	minListRow  = 24 // below this width nothing is wrapped any more
	unlimited   = 1 << 30
)

// plan chooses the mode and the columns of cells.
func (d *drawing) plan() {
	for i := range d.rows {
		d.timeW = max(d.timeW, Width(d.rows[i].time))
	}
	d.callX = d.timeW + 2
	d.x0 = d.callX
	if d.numbered = len(d.l.Calls) > 1; d.numbered {
		d.x0 += d.callWidth() + 1
	}
	d.fit(d.naturalGap())
}

// fit chooses the mode for lifelines that are this far apart when there is room.
func (d *drawing) fit(natural int) {
	if len(d.names) == 0 {
		d.m = modeList
		d.noteW = unlimited
		return
	}
	if d.opts.Width <= 0 {
		d.place(natural, unlimited)
		return
	}
	if !d.fitLanes(natural) && !d.fitCompact() {
		d.m = modeList
		d.noteW = max(d.opts.Width-d.x0, minListRow)
	}
}

// place fixes lifelines and margin.
func (d *drawing) place(gap, notes int) {
	d.gap = gap
	d.noteX = d.x(len(d.names)-1) + 3
	d.noteW = notes
	for i := range d.l.Rows {
		if r := &d.l.Rows[i]; r.Kind == ladder.Arrow && r.From == r.To && r.To == len(d.names)-1 {
			d.noteX++ // a loop stands there
			d.noteW--
			return
		}
	}
}

// x is the cell of a lifeline.
func (d *drawing) x(col int) int { return d.x0 + col*d.gap }

func (d *drawing) callWidth() int {
	w := 0
	for i := range d.l.Calls {
		w = max(w, 1+len(strconv.FormatUint(uint64(d.l.Calls[i].Num), 10)))
	}
	return w
}

// naturalGap is the gap at which labels fit on their arrows and names above their lifelines.
func (d *drawing) naturalGap() int {
	gap := d.namesGap()
	for i := range d.l.Rows {
		r := &d.l.Rows[i]
		if !spans(r) || r.From == r.To {
			continue
		}
		w := Width(d.rows[i].label)
		if s := d.rows[i].sdp; s != "" {
			w += 1 + Width(s)
		}
		gap = max(gap, min(w+onArrow+2, maxGap))
	}
	return gap
}

// namesGap is the gap at which names fit above their lifelines.
func (d *drawing) namesGap() int {
	gap := usualGap
	for i := range d.names {
		gap = max(gap, min(Width(d.names[i].label)+2, maxHead), min(Width(d.names[i].address)+2, maxHead))
	}
	return gap
}

// onArrow is what a label on an arrow needs beside its own width: a dash, two blanks and the head.
const onArrow = 4

// fitLanes looks for a gap that leaves a margin; the wider the terminal, the wider both.
func (d *drawing) fitLanes(natural int) bool {
	n := len(d.names)
	room := d.opts.Width - d.x0 - 3 // the last lifeline and two blanks
	if n == 1 {
		if room < minNotes {
			return false
		}
		d.place(natural, room)
		return true
	}
	for _, try := range [...]struct{ notes, gap int }{
		{wideNotes, natural}, {enoughNotes, usualGap - 1}, {enoughNotes - 4, usualGap - 3}, {minNotes, minGap},
	} {
		gap := min((room-try.notes)/(n-1), natural)
		if gap >= try.gap {
			d.place(gap, room-gap*(n-1))
			return true
		}
	}
	return false
}

// fitCompact numbers the lifelines.
func (d *drawing) fitCompact() bool {
	n := len(d.names)
	room := d.opts.Width - d.x0 - 3
	gap := min((room-listNotes)/max(n-1, 1), maxCompact)
	if gap < minCompact {
		return false
	}
	d.m = modeCompact
	d.place(gap, room-gap*(n-1))
	return true
}
