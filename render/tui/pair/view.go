// Package pair is the comparison of calls in the terminal UI: two ladders beside each other whose rows belong together,
// or one ladder of both where there is no room, with the first divergence named at the top.
//
// What differs is correlate/diff's to say, and what a file of it looks like is render/pair's; this package fits a result
// into the cells of a screen, scrolls it and moves a cursor over it. Both ladders have the same rows, so they cannot
// scroll apart. Comparing and naming the rows run through Host.Go; a Draw draws only the rows in sight.
//
//	pair.Pair ─▶ job (Open, ladder.Build of each side) ─▶ picture ─▶ list (what is shown) ─▶ index (lines) ─▶ painter
//	             another goroutine                        immutable   UI goroutine, on change                 in sight only
//
// All methods of View run on the UI's goroutine.
package pair

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"sipscope/correlate"
	"sipscope/correlate/diff"
	"sipscope/render/ladder"
	"sipscope/render/pair"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
)

// syncMessages is how many messages are compared and laid out at once on the UI's goroutine: some microseconds each.
const syncMessages = 100

// View is a comparison of calls, or several of which one is shown. It implements term.View.
type View struct {
	host   term.Host
	report *pair.Report
	at     int // in report.Pairs
	calls  *calls
	note   string // why there is nothing to compare
	result *diff.Result
	texts  atomic.Pointer[diff.Result] // the result, for Text

	pic   *picture // nil until it is made
	load  task
	only  bool // only what differs
	one   bool // one ladder, also where there is room for two
	waits bool // times since what was answered

	list   []int32 // what is shown: indices into the picture's rows, ascending
	lines  lineIndex
	cursor int // position in list
	top    int // first line in sight
	geo    geometry

	needle string // in lower case; "" for no search
	origin int    // row where the search began
}

var _ term.View = (*View)(nil)

// New shows comparisons, beginning with the first that differs.
func New(h term.Host, report *pair.Report) *View {
	v := &View{host: h, report: report}
	if len(report.Notes) > 0 {
		h.Say(v.join(slices.Clone(report.Notes)...))
	}
	for i := range report.Pairs {
		if x := report.Pairs[i].Verdict; !alike(x) && x != diff.Tolerated {
			v.at = i
			break
		}
	}
	return v
}

// Calls compares two calls of the board as they are now.
func Calls(h term.Host, a, b uint32) *View {
	data := h.Data()
	v := &View{host: h, calls: &calls{nums: [2]uint32{a, b}}}
	source := data.Source[strings.LastIndexByte(data.Source, '/')+1:]
	v.report = &pair.Report{A: source, B: source}
	for i, num := range v.calls.nums {
		c, ok := data.Board.Call(num)
		if !ok {
			v.note = v.calls.name(i) + " is no longer kept: a limit has evicted it"
			return v
		}
		v.calls.calls[i] = c
	}
	two := v.calls
	v.report.Pairs = []pair.Pair{{
		A: &two.calls[0].Summary, B: &two.calls[1].Summary,
		Open: func() *diff.Result { return two.compare(data.Text) },
	}}
	return v
}

// calls are two calls of the board.
type calls struct {
	nums  [2]uint32
	calls [2]correlate.Call
}

func (c *calls) name(i int) string { return "call " + strconv.FormatUint(uint64(c.nums[i]), 10) }

// compare may run on any goroutine: the calls are copies.
func (c *calls) compare(text func(call *correlate.Call, message int) []byte) *diff.Result {
	flow := func(i int) diff.Flow {
		own := []correlate.Call{c.calls[i]}
		return diff.Flow{Name: c.name(i), Calls: own, Text: func(call, message int) []byte {
			return text(&own[call], message)
		}}
	}
	return diff.Flows(flow(0), flow(1), diff.Rules{})
}

// task is work on another goroutine, one at a time. Host.Go forgets work when the view that was on top is closed: that
// may be another one than this, and the task is then to be done again.
type task struct {
	running bool
	lost    *atomic.Bool
}

func (t *task) busy() bool {
	if t.running && t.lost.Load() {
		t.running = false
	}
	return t.running
}

// ensure makes the picture of the pair that is shown, when there is none yet or the one there is was made for other
// settings.
func (v *View) ensure() {
	if v.note != "" || v.load.busy() || v.at >= len(v.report.Pairs) {
		return
	}
	ascii := v.host.Settings().ASCII
	if v.pic != nil && v.pic.ascii == ascii {
		return
	}
	open, result, aliases := v.report.Pairs[v.at].Open, v.result, maps.Clone(v.host.Settings().Aliases)
	if open == nil {
		return
	}
	if v.small() {
		v.take(prepare(open, result, ascii, aliases))
		return
	}
	lost := &atomic.Bool{}
	v.load = task{running: true, lost: lost}
	v.host.Go(func(ctx context.Context) func() {
		stop := context.AfterFunc(ctx, func() { lost.Store(true) })
		p := prepare(open, result, ascii, aliases)
		return func() {
			stop()
			if v.load.lost != lost || !v.load.busy() {
				return // another pair is wanted meanwhile
			}
			v.load.running = false
			v.take(p)
			v.host.Redraw()
		}
	})
}

// small reports whether the calls are so short that they are compared at once.
func (v *View) small() bool {
	if v.result != nil {
		return len(v.result.Rows) <= syncMessages
	}
	if v.calls == nil {
		return false // nobody knows what Open costs
	}
	return len(v.calls.calls[0].Messages)+len(v.calls.calls[1].Messages) <= syncMessages
}

// take shows a picture, with the cursor on the first divergence when it is a new comparison.
func (v *View) take(p *picture) {
	fresh := v.pic == nil
	v.pic, v.result = p, p.r
	v.texts.Store(p.r)
	if p.r == nil {
		return
	}
	v.lines = lineIndex{}
	if !fresh {
		return
	}
	v.relist()
	v.cursor, v.top = 0, 0
	if p.r.First >= 0 {
		v.moveTo(v.position(p.r.First))
	}
}

// turn shows another pair.
func (v *View) turn(step int) {
	to := v.at + step
	switch {
	case len(v.report.Pairs) < 2:
		v.host.Say("these are the only two calls")
		return
	case to < 0:
		v.host.Say("these are the first two calls")
		return
	case to >= len(v.report.Pairs):
		v.host.Say("these are the last two calls")
		return
	}
	v.at = to
	v.pic, v.result, v.list, v.load = nil, nil, nil, task{}
	v.lines, v.cursor, v.top = lineIndex{}, 0, 0
}

// Text gives the raw text of a message of a call that the comparison on the screen holds, nil for others: what
// term.Data.Text is where there is no board. Any goroutine may call it.
func (v *View) Text(call *correlate.Call, message int) []byte {
	r := v.texts.Load()
	if r == nil {
		return nil
	}
	for _, f := range [...]*diff.Flow{&r.A, &r.B} {
		for i := range f.Calls {
			if &f.Calls[i] == call && f.Text != nil {
				return f.Text(i, message)
			}
		}
	}
	return nil
}

// Scope is that of comparisons of calls.
func (v *View) Scope() keymap.Scope { return keymap.Pair }

func (v *View) sep() string {
	if v.host.Settings().ASCII {
		return "; "
	}
	return " · "
}

func (v *View) to() string {
	if v.host.Settings().ASCII {
		return " -> "
	}
	return " → "
}

// join puts separators between the parts that say something.
func (v *View) join(parts ...string) string {
	kept := parts[:0]
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, v.sep())
}

// Title says what is compared: "diff · good.pcap call 1 · bad.pcap call 1 · 2 of 7".
func (v *View) Title() string {
	of := ""
	if n := len(v.report.Pairs); n > 1 {
		of = strconv.Itoa(v.at+1) + " of " + strconv.Itoa(n) + " pairs"
	}
	return v.join("diff", v.sideName(0), v.sideName(1), of)
}

// sideName names a side: its file, and the call where the report tells of several.
func (v *View) sideName(side int) string {
	if v.calls != nil {
		return v.calls.name(side) // of what is open anyway
	}
	name := [...]string{v.report.A, v.report.B}[side]
	if v.at >= len(v.report.Pairs) {
		return name
	}
	p := &v.report.Pairs[v.at]
	s := [...]*correlate.Summary{p.A, p.B}[side]
	if name == "" && v.result != nil {
		name = [...]string{v.result.A.Name, v.result.B.Name}[side]
	}
	if s == nil || s.Num == 0 {
		return name
	}
	return strings.TrimSpace(name + " call " + strconv.FormatUint(uint64(s.Num), 10))
}

// about is a side's name and what became of its call: "good.pcap call 1 · completed · alice → bob".
func (v *View) about(side int) string {
	r := v.result
	f := [...]*diff.Flow{&r.A, &r.B}[side]
	if len(f.Calls) == 0 {
		return v.sideName(side)
	}
	s := &f.Calls[0].Summary
	state := ""
	if s.State != correlate.StateUnknown {
		state = strings.ReplaceAll(s.State.String(), "_", " ")
	}
	if s.Code >= 300 {
		state = strings.TrimSpace(state + " " + strconv.Itoa(int(s.Code)) + " " + s.Reason)
	}
	parties := ""
	if s.From.User != "" && s.To.User != "" {
		parties = s.From.User + v.to() + s.To.User
	}
	return v.join(v.sideName(side), state, parties)
}

// Status tells of the row under the cursor, and counts the rows.
func (v *View) Status() string {
	switch {
	case v.note != "":
		return v.note
	case v.pic == nil && v.load.busy():
		return "comparing"
	case v.pic == nil || v.result == nil:
		return ""
	}
	parts := []string{}
	if len(v.list) > 0 {
		i := v.list[v.cursor]
		r := &v.result.Rows[i]
		parts = append(parts, strconv.Itoa(v.cursor+1)+"/"+strconv.Itoa(len(v.list)), word(r.Verdict), v.pic.hop(int(i), v.to()),
			v.timing(r))
	}
	if v.only {
		parts = append(parts, "only differences")
	}
	return v.join(append(parts, v.pic.counted())...)
}

// timing says how long the row took on both sides: "waited 148 ms, 1.05 s".
func (v *View) timing(r *diff.Row) string {
	a, b := r.WaitA, r.WaitB
	switch {
	case a >= 0 && b >= 0:
		return "waited " + ladder.Duration(a) + ", " + ladder.Duration(b)
	case a >= 0:
		return "waited " + ladder.Duration(a)
	case b >= 0:
		return "waited " + ladder.Duration(b)
	default:
		return ""
	}
}

// Tick begins anew what was lost with a view that was on top.
func (v *View) Tick(time.Time) bool {
	before := v.pic
	v.ensure()
	return v.pic != before
}
