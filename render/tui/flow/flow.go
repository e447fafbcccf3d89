// Package flow is the ladder of the terminal UI: one call or many as one picture, with the message under the cursor
// beside it.
//
// What a row says and where it goes is render/ladder's; this package fits it into the cells of a screen, scrolls it and
// moves a cursor over it. It draws only the rows in sight, so the length of a ladder costs nothing per key. Building
// the ladder, searching and looking for departures read every message again: they run in pieces through Host.Go, and
// the old picture stays until the new one is there.
//
//	Board ─▶ job (copies, ladder.Build, widths) ─▶ picture ─▶ list (what is shown) ─▶ index (lines) ─▶ painter
//	         another goroutine                     immutable    UI goroutine, on change                  in sight only
//
// All methods of View run on the UI's goroutine.
package flow

import (
	"context"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"sipscope/correlate"
	"sipscope/render/ladder"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/message"
	"sipscope/render/tui/term"
)

// Tuning.
const (
	// syncMessages is how many messages are laid out at once on the UI's goroutine: some 4 µs each, so about 1 ms.
	syncMessages = 300
	// maxCalls and maxMessages bound one ladder: beyond them no person reads it, and a picture of a million rows would
	// take 500 MB.
	maxCalls    = 1000
	maxMessages = 250_000
	// pollEvery is how often a live ladder may be built anew.
	pollEvery = 200 * time.Millisecond
	// summariesAt is how many summaries the board gives at a time.
	summariesAt = 512
)

// board is what the view reads; *correlate.Board is one.
type board interface {
	Call(num uint32) (correlate.Call, bool)
	Summaries(nums []uint32, dst []correlate.Summary) []correlate.Summary
	Calls() iter.Seq[*correlate.Summary]
	Changes(since uint64, dst []correlate.Summary) ([]correlate.Summary, uint64)
	Totals() correlate.Totals
}

// pane shows a message; *message.Pane is one.
type pane interface {
	Show(raw []byte, head string)
	Draw(c *term.Canvas)
	Scroll(lines int)
	Search(text string, next, backwards bool) bool
	NextDiag(back bool) bool
}

// View is the ladder of some calls. It implements term.View.
type View struct {
	host  term.Host
	board board
	data  term.Data

	nums     []uint32 // asked for
	extended bool     // with the calls that are joined with them
	filter   filter
	paused   bool

	pic         *picture // nil until the first one is there
	list        list
	load        task
	dirty       bool   // the calls have changed since the picture was made
	since       uint64 // the revision up to which changes of the board were looked at, with extended
	changed     bool   // something arrived that has to be drawn
	polled      time.Time
	polledMedia time.Time

	cursor   int // position in list
	top      int // first line in sight
	left     int // first column in sight
	mark     place
	marked   bool // the user has set it
	selected *selection
	geo      geometry // of the last Draw
	index    lineIndex
	dragging bool

	search   *scan
	searchAt int // where the search left the cursor
	origin   int // where it began
	diags    *scan

	pane  pane
	shown messageKey // in the pane
	texts textCache
}

var _ term.View = (*View)(nil)

// selection is a message that was picked to be compared or saved.
type selection struct {
	key messageKey
	ref term.MessageRef
}

// New shows the calls with these numbers in one ladder, and with extended those that are joined with them
// (Summary.Group), too. A small ladder is there at once; a large one comes when it is ready.
func New(h term.Host, nums []uint32, extended bool) *View {
	return newView(h, h.Data().Board, message.NewPane(h.Settings()), nums, extended)
}

func newView(h term.Host, b board, p pane, nums []uint32, extended bool) *View {
	v := &View{host: h, board: b, data: *h.Data(), pane: p, extended: extended}
	v.nums = slices.Clone(nums)
	if len(v.nums) > maxCalls {
		h.Say("only the first " + strconv.Itoa(maxCalls) + " of " + strconv.Itoa(len(v.nums)) + " calls are in this ladder")
		v.nums = v.nums[:maxCalls]
	}
	if !extended && v.small() {
		v.install(v.job().run(context.Background()))
	}
	return v // a large one is begun by the first Draw: only then does Host.Go end with this view
}

// Scope is the ladder's.
func (v *View) Scope() keymap.Scope { return keymap.Ladder }

// sep and to are what words are joined with outside of a canvas.
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

// Title says which calls these are: "trace.pcap · call 1 of 3 · completed · alice@a.com → bob@b.com · 4.60 s".
func (v *View) Title() string {
	if v.pic == nil {
		return v.join(v.source(), countCalls(len(v.nums)))
	}
	calls := v.pic.lad.Calls
	if len(calls) == 1 {
		return v.oneTitle(&calls[0])
	}
	parts := []string{v.source(), countCalls(len(calls))}
	const some = 8
	var nums []string
	for i := range calls {
		if i == some {
			nums = append(nums, "...")
			break
		}
		nums = append(nums, "#"+strconv.FormatUint(uint64(calls[i].Num), 10))
	}
	return v.join(append(parts, strings.Join(nums, " "))...)
}

func (v *View) oneTitle(c *ladder.Title) string {
	n := "call " + strconv.FormatUint(uint64(c.Num), 10)
	if of := v.pic.lad.Of; of > 0 {
		n += " of " + strconv.Itoa(of)
	}
	parts := []string{v.source(), n, strings.ReplaceAll(c.State.String(), "_", " ")}
	if c.From != "" || c.To != "" {
		parts = append(parts, c.From+v.to()+c.To)
	}
	parts = append(parts, ladder.Duration(c.Span))
	if c.PDD >= 0 {
		parts = append(parts, "pdd "+ladder.Duration(c.PDD))
	}
	if c.Setup >= 0 {
		parts = append(parts, "setup "+ladder.Duration(c.Setup))
	}
	if c.EndedBy != "" {
		parts = append(parts, "ended by "+c.EndedBy)
	}
	return v.join(append(parts, c.Relation)...)
}

// source is the name of what is read, without its folder.
func (v *View) source() string {
	s := v.data.Source
	return s[strings.LastIndexByte(s, '/')+1:]
}

// join puts separators between the parts that say something.
func (v *View) join(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), v.sep())
}

func countCalls(n int) string {
	if n == 1 {
		return "1 call"
	}
	return strconv.Itoa(n) + " calls"
}

// Status tells of the row under the cursor: its frame and hop, its time, the time since the row before and since the
// mark; then what is out of the ordinary here.
func (v *View) Status() string {
	if v.pic == nil || v.list.len() == 0 {
		return v.join(v.states()...)
	}
	r := v.row(v.cursor)
	var parts []string
	if v.selected != nil {
		parts = append(parts, "one message selected: Space on another compares")
	}
	parts = append(parts, strconv.Itoa(v.cursor+1)+"/"+strconv.Itoa(v.list.len()))
	if r.Frame > 0 {
		parts = append(parts, "frame "+strconv.FormatUint(r.Frame, 10))
	}
	if r.From >= 0 && r.To >= 0 && r.Kind != ladder.State {
		parts = append(parts, v.name(r.From)+v.to()+v.name(r.To))
	}
	parts = append(parts, clock(r.Time, "15:04:05.000"))
	if v.cursor > 0 && r.Kind != ladder.State {
		parts = append(parts, signed(v.list.delta[v.cursor]))
	}
	parts = append(parts, "since mark "+ladder.Duration(r.Time-v.mark.time))
	if notes := v.notes(v.cursor); r.Kind == ladder.Arrow && !v.hasRoom(notes) {
		parts = append(parts, notes...)
	}
	return v.join(append(parts, v.states()...)...)
}

// hasRoom reports whether the margin shows notes whole.
func (v *View) hasRoom(notes []string) bool {
	return !v.geo.list && int(v.pic.width(v.join(notes...))) <= v.geo.noteW()
}

// states says what the user has turned on.
func (v *View) states() []string {
	s := v.host.Settings()
	var parts []string
	add := func(on bool, what string) {
		if on {
			parts = append(parts, what)
		}
	}
	add(v.load.running && v.pic == nil, "reading")
	add(v.load.running && v.pic != nil && !v.dirty, "drawing anew")
	add(v.paused, "paused")
	add(v.filter.onlySDP, "only SDP")
	add(v.filter.noMedia, "no media rows")
	add(s.ColorBy != "kind", "colour by "+s.ColorBy)
	add(v.extended, "with joined calls")
	if v.pic != nil {
		add(v.pic.gone > 0, countCalls(v.pic.gone)+" no longer kept")
		add(v.pic.cut, "the ladder ends at "+strconv.Itoa(maxMessages)+" messages")
	}
	return parts
}

// name is what a participant is called, as the settings want it.
func (v *View) name(col int) string {
	c := &v.pic.lad.Columns[col]
	if v.host.Settings().Names {
		return c.Name()
	}
	return c.Address
}

func (v *View) row(pos int) *ladder.Row { return &v.pic.lad.Rows[v.list.rows[pos]] }

// notes is the margin of a row, most important first.
func (v *View) notes(pos int) []string {
	i := int(v.list.rows[pos])
	r := &v.pic.lad.Rows[i]
	var out []string
	if n := r.RepeatNote(); n != "" {
		out = append(out, n)
	}
	out = append(out, r.Notes...)
	if r.Transport != "" && r.Transport != v.pic.transportBefore(i) {
		out = append(out, "over "+r.Transport)
	}
	return out
}

// Tick looks whether the calls have changed, at most five times a second.
func (v *View) Tick(now time.Time) bool {
	if !v.paused && now.Sub(v.polled) >= pollEvery {
		v.polled = now
		v.poll()
	}
	v.pollMedia(now)
	v.ensure()
	for _, s := range [...]*scan{v.search, v.diags} {
		if s != nil {
			v.resume(s) // when it was lost with a view that was on top
		}
	}
	changed := v.changed
	v.changed = false
	return changed
}

// Saving offers the selected message, the one under the cursor, the calls of this ladder, and all.
func (v *View) Saving() term.Selection {
	var s term.Selection
	one := func(label string, k messageKey) {
		s.Choices = append(s.Choices, term.Choice{
			Label: label, Count: 1, Calls: func() []uint32 { return []uint32{k.num} },
			Messages: map[uint32][]int{k.num: {k.message}},
		})
	}
	if v.selected != nil {
		one("the selected message", v.selected.key)
	}
	if k, ok := v.messageAt(v.cursor); ok {
		one("the message under the cursor", k)
	}
	nums := v.pictured()
	if len(nums) > 0 {
		label := "call " + strconv.FormatUint(uint64(nums[0]), 10)
		if len(nums) > 1 {
			label = "the " + strconv.Itoa(len(nums)) + " calls of this ladder"
		}
		s.Choices = append(s.Choices, term.Choice{Label: label, Count: len(nums), Calls: func() []uint32 { return nums }})
	}
	all := int(v.board.Totals().Calls) //nolint:gosec // calls fit into memory
	s.Choices = append(s.Choices, term.Choice{
		Label: "all " + countCalls(all), Count: all,
		Calls: func() []uint32 {
			var out []uint32
			for c := range v.board.Calls() {
				out = append(out, c.Num)
			}
			return out
		},
	})
	return s
}

// pictured gives the numbers of the calls in the ladder.
func (v *View) pictured() []uint32 {
	if v.pic == nil {
		return nil
	}
	nums := make([]uint32, len(v.pic.calls))
	for i := range v.pic.calls {
		nums[i] = v.pic.calls[i].Num
	}
	return nums
}

func clock(ns int64, layout string) string { return time.Unix(0, ns).UTC().Format(layout) }

func signed(ns int64) string {
	if ns < 0 {
		return ladder.Duration(ns)
	}
	return "+" + ladder.Duration(ns)
}
