package pair

import (
	"io"
	"strconv"
	"strings"

	"sipscope/correlate"
	"sipscope/correlate/diff"
	"sipscope/render/ladder"
	"sipscope/render/text"
)

// TextOptions say how a Report is drawn for a terminal.
type TextOptions struct {
	Width int  // cells of the terminal; 0 draws as wide as it needs
	ASCII bool // nothing but ASCII, wire text included
	Color bool // ANSI colours; the picture loses nothing without
	// Details is at most how many pairs of messages are compared line by line in one pair of calls; 0 takes 20, a negative
	// number leaves them out.
	Details int
	// Pairs is at most how many pairs of calls that differ are drawn below the table of all; 0 takes 10, a negative number
	// leaves them out. A single pair is always drawn.
	Pairs int
}

// defaultDetails is how many messages a reader wants to see line by line; JSON and the page have all.
const (
	defaultDetails = 20
	defaultPairs   = 10
)

// WriteText draws the report: what came of it in the first line, the ladders side by side where there is room and as one
// ladder with rows of - and + where there is not, then the messages that differ, line by line. A report of several pairs
// begins with a table of them.
func (r *Report) WriteText(w io.Writer, o TextOptions) error {
	d := newDrawing(w, r, o)
	if len(r.Pairs) != 1 {
		if err := d.table(); err != nil {
			return err
		}
	}
	d.pairs()
	d.notes()
	d.flush()
	return d.err
}

// pairs draws the pairs that differ.
func (d *drawing) pairs() {
	if len(d.r.Pairs) == 1 {
		d.pair(&d.r.Pairs[0], 0)
		return
	}
	drawn := 0
	for i := range d.r.Pairs {
		p := &d.r.Pairs[i]
		if p.Open == nil || !telling(p.Verdict) {
			continue
		}
		if drawn++; drawn <= d.o.Pairs {
			d.pair(p, i+1)
		}
		if d.err != nil {
			return
		}
	}
	if n := drawn - max(d.o.Pairs, 0); n > 0 && d.o.Pairs > 0 {
		d.end()
		d.wrapped(0, strconv.Itoa(n)+" more pairs are not drawn: choose calls, or take --format html", plain)
	}
}

// drawing is a report on its way to a terminal.
type drawing struct {
	pen

	r     *Report
	o     TextOptions
	g     *glyphs
	clean func(string) string
}

func newDrawing(w io.Writer, r *Report, o TextOptions) *drawing {
	d := &drawing{pen: pen{w: w, color: o.Color, width: o.Width}, r: r, o: o, g: glyphsOf(o.ASCII), clean: text.Clean}
	if o.ASCII {
		d.clean = text.CleanASCII
	}
	if d.o.Details == 0 {
		d.o.Details = defaultDetails
	}
	if d.o.Pairs == 0 {
		d.o.Pairs = defaultPairs
	}
	return d
}

func (d *drawing) notes() {
	if len(d.r.Notes) > 0 {
		d.end()
	}
	for _, n := range d.r.Notes {
		d.wrapped(0, d.clean(n), yellow)
	}
}

// verdictStyle colours a verdict.
func verdictStyle(v diff.Verdict) style {
	switch v {
	case diff.Same, diff.Expected:
		return green
	case diff.Tolerated, diff.Late:
		return yellow
	case diff.NotReached:
		return dim
	default:
		return red
	}
}

// headline is the first line: the verdict, where the flows part, and why.
func (d *drawing) headline(p *Pair, s *scene) {
	word := strings.ToUpper(verdictWord(p.Verdict))
	line := d.clean(p.Headline)
	switch {
	case p.Verdict == diff.Same && (line == "" || line == "same"):
		d.wrapped(0, word, green)
		return
	case s != nil && s.r.First >= 0:
		word += " at row " + strconv.Itoa(s.r.First+1)
	}
	if line != "" {
		word += ": " + line
	}
	d.wrapped(0, word, verdictHead(p.Verdict))
}

func verdictHead(v diff.Verdict) style {
	if st := verdictStyle(v); st != red {
		return st
	}
	return alarm
}

// table lists the pairs.
func (d *drawing) table() error {
	v := d.r.Verdict()
	d.wrapped(0, strings.ToUpper(verdictWord(v))+": "+d.clean(summaryOf(d.r)), verdictHead(v))
	d.line("- "+d.clean(d.r.A), red)
	d.line("+ "+d.clean(d.r.B), green)
	d.end()
	d.flush()
	if d.err != nil || len(d.r.Pairs) == 0 {
		return d.err
	}
	colour := map[string]text.Color{}
	for v := diff.Same; v <= diff.NotReached; v++ {
		colour[verdictWord(v)] = map[style]text.Color{green: text.Green, yellow: text.Yellow, red: text.Red}[verdictStyle(v)]
	}
	t := text.Table{Columns: []text.TableColumn{
		{Title: "A", Right: true},
		{Title: "B", Right: true},
		{Title: "Verdict", Color: func(cell string) text.Color { return colour[cell] }},
		{Title: "Call", Min: 12, Max: 44},
		{Title: "Headline", Min: 20},
	}}
	for i := range d.r.Pairs {
		p := &d.r.Pairs[i]
		s := p.A
		if s == nil {
			s = p.B
		}
		t.Add(numberOf(p.A), numberOf(p.B), verdictWord(p.Verdict), d.clean(callName(s, d.g.to)), d.clean(headlineOf(p)))
	}
	return t.Write(d.w, text.TableOptions{Width: d.o.Width, ASCII: d.o.ASCII, Color: d.o.Color})
}

// numberOf is the number of a pair's call, "-" where there is none.
func numberOf(s *correlate.Summary) string {
	if s == nil {
		return "-"
	}
	return strconv.FormatUint(uint64(s.Num), 10)
}

// summaryOf counts the pairs: "11 pairs of calls: 9 same, 2 differ, 1 only in good.pcap"; of a replay its plays.
func summaryOf(r *Report) string {
	pairs := len(r.Pairs) - r.Count(diff.Missing) - r.Count(diff.Extra)
	parts := make([]string, 0, 5)
	for _, x := range []struct {
		v    diff.Verdict
		text string
	}{
		{diff.Same, "same"},
		{diff.Tolerated, "with tolerated differences only"},
		{diff.Differs, "differ"},
		{diff.Missing, "only in " + r.A},
		{diff.Extra, "only in " + r.B},
	} {
		if n := r.Count(x.v); n > 0 {
			parts = append(parts, strconv.Itoa(n)+" "+x.text)
		}
	}
	one, many := "pair of calls", "pairs of calls"
	if r.Replay {
		one, many = "play", "plays"
	}
	s := strconv.Itoa(pairs) + " " + many
	if pairs == 1 {
		s = "1 " + one
	}
	if len(parts) == 0 {
		return s
	}
	return s + ": " + strings.Join(parts, ", ")
}

// pair draws one pair of calls; n is its line in the table, 0 without one.
func (d *drawing) pair(p *Pair, n int) {
	if n > 0 {
		d.end()
		title := strings.Repeat(d.g.rule, 3) + " " + numberOf(p.A) + " | " + numberOf(p.B) + " "
		width := d.o.Width
		if width <= 0 {
			width = ruleWidth
		}
		d.line(title+strings.Repeat(d.g.rule, max(width-text.Width(title), 0)), dim)
	}
	var s *scene
	if p.Open != nil {
		if r := p.Open(); r != nil {
			s = newScene(r)
		}
	}
	d.headline(p, s)
	d.side("-", d.r.A, p.A, red)
	d.side("+", d.r.B, p.B, green)
	if s == nil {
		return
	}
	d.end()
	l := layout{drawing: d, s: s}
	l.draw()
	d.wrapped(0, s.n.line(), plain)
	d.happened("- ", &s.r.A, red)
	d.happened("+ ", &s.r.B, green)
	d.details(s)
}

// happened tells what happened on a side beside its messages.
func (d *drawing) happened(sign string, f *diff.Flow, st style) {
	for i := range f.Notes {
		if i == maxNotes {
			d.line("  "+strconv.Itoa(len(f.Notes)-i)+" more notes", dim)
			return
		}
		n := &f.Notes[i]
		d.put(sign, st)
		s := d.clean(n.Text)
		if at := sinceFirst(f, n.Time); at >= 0 {
			s = ladder.Duration(at) + d.g.sep + s
		}
		d.wrapped(len(sign), s, plain)
	}
}

// maxNotes bounds what is told beside the messages of a side.
const maxNotes = 100

// sinceFirst is how long after the first message of a side a time is, -1 when that is not known.
func sinceFirst(f *diff.Flow, at int64) int64 {
	if len(f.Calls) == 0 || at < f.Calls[0].First {
		return -1
	}
	return at - f.Calls[0].First
}

// ruleWidth is how long the line above a pair is where no terminal tells.
const ruleWidth = 80

// side says what one side is: its number, outcome and parties.
func (d *drawing) side(sign, name string, s *correlate.Summary, st style) {
	if s == nil {
		return
	}
	parts := []string{sideName(name, s), stateName(s), callName(s, d.g.to)}
	if s.Last > s.First {
		parts = append(parts, ladder.Duration(s.Last-s.First))
	}
	if s.CallID != "" {
		parts = append(parts, "Call-ID "+s.CallID)
	}
	for i := range parts {
		parts[i] = d.clean(parts[i])
	}
	d.put(sign+" ", st)
	d.wrapped(2, strings.Join(parts, d.g.sep), plain)
}
