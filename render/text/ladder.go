package text

import (
	"io"
	"strconv"
	"strings"
	"time"

	"sipscope/render/ladder"
)

// Times says what the time column of a ladder shows.
type Times uint8

const (
	// TimesDelta shows the first row's time of day, then the time since the row before.
	TimesDelta Times = iota
	// TimesAbsolute shows each row's time of day, UTC, in microseconds.
	TimesAbsolute
	// TimesRelative shows seconds since the first row.
	TimesRelative
)

// Options say how a ladder is drawn.
type Options struct {
	Width int   // cells of the terminal; 0 draws as wide as it needs
	ASCII bool  // nothing but ASCII, wire text included
	Color bool  // ANSI colours; the picture loses nothing without
	Times Times // of the left column
	// HeaderEvery repeats the header after so many lines; 0 takes 50, a negative number never repeats it.
	HeaderEvery int
}

const headerEvery = 50

// Ladder draws l. It writes nothing wider than opts.Width, when that is 24 or more: participants move together, then
// are numbered with a legend above and labels beside, then every row is a line of prose.
func Ladder(w io.Writer, l *ladder.Ladder, opts Options) error {
	d := newDrawing(w, l, opts)
	d.prepare()
	d.plan()
	d.titles()
	d.header(d.g.head)
	d.body()
	d.footer()
	d.flush()
	return d.err
}

func newDrawing(w io.Writer, l *ladder.Ladder, opts Options) drawing {
	d := drawing{w: w, l: l, opts: opts, g: glyphsOf(opts.ASCII), clean: Clean}
	if opts.ASCII {
		d.clean = CleanASCII
	}
	if opts.HeaderEvery == 0 {
		d.opts.HeaderEvery = headerEvery
	}
	return d
}

// body draws the rows, but those of states.
func (d *drawing) body() {
	for i := range d.l.Rows {
		if d.l.Rows[i].Kind == ladder.State {
			continue
		}
		if e := d.opts.HeaderEvery; e > 0 && d.since >= e && d.m != modeList {
			d.header(d.g.ruleCross)
		}
		d.row(i)
	}
}

// mode is how much room there is.
type mode uint8

const (
	modeLanes   mode = iota // names above, labels on the arrows
	modeCompact             // numbers above, labels in the margin
	modeList                // a line of prose a row
)

// drawing is a ladder on its way to w.
type drawing struct {
	w     io.Writer
	l     *ladder.Ladder
	opts  Options
	g     *glyphs
	clean func(string) string
	names []colText
	rows  []rowText

	transport string // of the arrow before, while rows are prepared

	m     mode
	begun bool // rows were drawn before those of l
	timeW int
	callX int // of the call's number

	numbered bool // calls have one, since there are several

	x0    int // of the first lifeline
	gap   int // between lifelines
	noteX int
	noteW int

	buf   []byte
	free  [][]cell
	since int // lines since the header
	err   error
}

// colText is a participant in clean text.
type colText struct{ label, address string }

// rowText is a row in clean text.
type rowText struct {
	time, label, sdp string
	figures          string // of media
	notes            []string
}

// prepare cleans every string once and writes the labels.
func (d *drawing) prepare() {
	d.names = make([]colText, len(d.l.Columns))
	for i := range d.l.Columns {
		c := &d.l.Columns[i]
		d.names[i] = colText{label: d.clean(c.Label), address: d.clean(c.Address)}
		if c.Label == "" {
			d.names[i] = colText{label: d.names[i].address}
		}
	}
	d.rows = make([]rowText, len(d.l.Rows))
	for i := range d.l.Rows {
		d.rows[i] = d.rowText(i)
	}
}

func (d *drawing) rowText(i int) rowText {
	r := &d.l.Rows[i]
	t := rowText{label: d.clean(r.Label), sdp: d.clean(r.SDP), time: d.time(i)}
	if r.Kind.OfMedia() {
		t.label, t.figures = d.clean(d.arrows(r.Label)), d.clean(d.arrows(strings.Join(r.Figures, d.g.sep)))
	}
	if r.Count > 1 {
		t.label += " " + d.g.times + strconv.Itoa(r.Count)
	}
	if r.Hops > 1 {
		t.label += " (" + strconv.Itoa(r.Hops) + " hops)"
	}
	if n := r.RepeatNote(); n != "" {
		t.notes = append(t.notes, n)
	}
	for _, n := range r.Notes {
		t.notes = append(t.notes, d.clean(n))
	}
	if r.Transport != "" && r.Transport != d.transport {
		d.transport = r.Transport // said where it changes
		t.notes = append(t.notes, "over "+d.clean(r.Transport))
	}
	return t
}

// time is the text of the time column.
func (d *drawing) time(i int) string {
	r := &d.l.Rows[i]
	if r.Kind == ladder.Note || r.Kind == ladder.State {
		return "" // the row that it belongs to has it
	}
	at := time.Unix(0, r.Time).UTC()
	switch d.opts.Times {
	case TimesAbsolute:
		return at.Format("15:04:05.000000")
	case TimesRelative:
		return strconv.FormatFloat(float64(r.SinceFirst)/1e9, 'f', 6, 64)
	case TimesDelta:
	}
	if d.firstTimed(i) {
		if d.narrow() {
			return ""
		}
		return at.Format("15:04:05.000")
	}
	if r.SincePrev < 0 {
		return ladder.Duration(r.SincePrev)
	}
	return "+" + ladder.Duration(r.SincePrev)
}

// arrows writes the arrows in a text about media as the drawing has them.
func (d *drawing) arrows(s string) string {
	if !d.opts.ASCII {
		return s
	}
	return ASCIIArrows(s)
}

// firstTimed reports whether no row before i has a time. Only notes come without one.
func (d *drawing) firstTimed(i int) bool {
	if d.begun {
		return false
	}
	for i--; i >= 0; i-- {
		if d.l.Rows[i].Kind != ladder.Note {
			return false
		}
	}
	return true
}

// narrow reports whether the terminal is too narrow for a time of day; the title has it.
func (d *drawing) narrow() bool { return d.opts.Width > 0 && d.opts.Width < 64 }

// titles writes the headlines and, for numbered columns, the legend.
func (d *drawing) titles() {
	for i := range d.l.Calls {
		d.wrapped(d.title(i), bold)
		if id := d.l.Calls[i].CallID; id != "" {
			d.wrapped([]string{"Call-ID " + d.clean(id)}, dim)
		}
	}
	if d.m == modeLanes {
		d.blank()
		return
	}
	d.blank()
	d.legend()
	d.blank()
}

// legend says which participant has which number.
func (d *drawing) legend() {
	for i := range d.names {
		s := strconv.Itoa(i+1) + " " + d.names[i].label
		if d.names[i].address != "" {
			s += " " + d.names[i].address
		}
		d.wrapped([]string{" " + s}, plain)
	}
}

func (d *drawing) title(i int) []string {
	c := &d.l.Calls[i]
	var parts []string
	add := func(s string) {
		if s != "" {
			parts = append(parts, d.clean(s))
		}
	}
	if i == 0 {
		add(d.l.Source)
	}
	n := "call " + strconv.FormatUint(uint64(c.Num), 10)
	if d.l.Of > 0 {
		n += " of " + strconv.Itoa(d.l.Of)
	}
	add(n)
	add(strings.ReplaceAll(c.State.String(), "_", " "))
	if c.From != "" || c.To != "" {
		parts = append(parts, d.clean(c.From)+d.g.to+d.clean(c.To))
	}
	add(ladder.Duration(c.Span))
	if c.PDD >= 0 {
		add("pdd " + ladder.Duration(c.PDD))
	}
	if c.Setup >= 0 {
		add("setup " + ladder.Duration(c.Setup))
	}
	if c.EndedBy != "" {
		add("ended by " + c.EndedBy)
	}
	add(c.Relation)
	if t := d.l.Transports; i == 0 && len(t) > 0 && (len(t) > 1 || t[0] != "UDP") {
		add(strings.Join(t, ", "))
	}
	add(time.Unix(0, c.Start).UTC().Format("2006-01-02 15:04:05.000 UTC"))
	return parts
}

// footer closes the lifelines and says what became of the calls and of the packets.
func (d *drawing) footer() {
	if d.m == modeList {
		d.blank()
	} else {
		d.rule(d.g.foot)
	}
	for i := range d.l.Rows {
		if r := &d.l.Rows[i]; r.Kind == ladder.State {
			st := plain
			if r.Status > 0 {
				st = statusStyle(r.Status)
			}
			d.wrapped([]string{" " + d.rows[i].label}, st)
		}
	}
	d.wrapped(d.totals(), plain)
}

func (d *drawing) totals() []string {
	t := &d.l.Totals
	parts := []string{" " + plural(t.Transactions, "transaction") + " on " + plural(t.Hops, "hop")}
	add := func(n int, what string) {
		if n > 0 {
			parts = append(parts, plural(n, what))
		}
	}
	add(t.Dialogs, "dialog")
	if t.EarlyDialogs != t.Dialogs {
		add(t.EarlyDialogs, "early dialog")
	}
	add(t.Retransmissions, "retransmission")
	add(t.Duplicates, "duplicate of the tap")
	add(t.Gaps, "gap")
	if t.Accounting != "" {
		parts = append(parts, d.clean(t.Accounting))
	}
	return parts
}

func plural(n int, what string) string {
	s := strconv.Itoa(n) + " " + what
	if n == 1 {
		return s
	}
	if rest, ok := strings.CutPrefix(what, "duplicate"); ok {
		return strconv.Itoa(n) + " duplicates" + rest
	}
	return s + "s"
}

// wrapped writes parts with separators, on as many lines as they need. A part is broken only when it is wider than a
// line.
func (d *drawing) wrapped(parts []string, st style) {
	width := d.opts.Width
	if width <= 0 {
		d.write(strings.Join(parts, d.g.sep), st)
		return
	}
	now := ""
	for i, p := range parts {
		next := p
		if i > 0 {
			next = now + d.g.sep + p
		}
		if i > 0 && Width(next) > width {
			d.write(now, st)
			next = " " + p
		}
		now = next
		for Width(now) > width {
			indent := ""
			if strings.HasPrefix(now, " ") {
				indent = " "
			}
			lines := Wrap(now, width-len(indent))
			for _, s := range lines[:len(lines)-1] {
				d.write(indent+s, st)
			}
			now = indent + lines[len(lines)-1]
			if len(lines) == 1 {
				break
			}
		}
	}
	d.write(now, st)
}

func (d *drawing) blank() { d.write("", plain) }

func (d *drawing) write(s string, st style) {
	l := d.line()
	l.put(0, s, st)
	d.emit(&l)
}

// flushSize is how much text is gathered before it is written.
const flushSize = 32 << 10

// line gives an empty line; emit takes its cells back.
func (d *drawing) line() line {
	l := line{limit: d.opts.Width}
	if n := len(d.free); n > 0 {
		l.cells = d.free[n-1][:0]
		d.free = d.free[:n-1]
	}
	return l
}

// maxFree bounds the cells that are kept for lines to come.
const maxFree = 16

func (d *drawing) emit(l *line) {
	d.buf = l.appendTo(d.buf, d.opts.Color)
	if len(d.free) < maxFree {
		d.free = append(d.free, l.cells)
	}
	l.cells = nil
	d.since++
	if len(d.buf) >= flushSize {
		d.flush()
	}
}

func (d *drawing) flush() {
	if d.err == nil && len(d.buf) > 0 {
		_, d.err = d.w.Write(d.buf)
	}
	d.buf = d.buf[:0]
}
