// Package calls is the call list of the terminal UI: what a user sees first, while the captures are still being read.
//
// It never holds the calls. In the plain order the list is the numbers 1 to n, and a drawing fetches the summaries of the
// rows in sight; a filter keeps the numbers that match (four bytes a call), a sort their order. What looks at all calls
// (a filter's first pass, sorting, searching, reading texts) runs through Host.Go in chunks, and the old list stays on
// the screen until the new one is there. So a key is answered at once whatever the size, and the pipeline waits for no
// more than a screenful of copies.
//
//	Board ─▶ Tick: how many, what changed ─▶ list (numbers in order) ─▶ Draw: Summaries of the rows in sight
//	Host.Go ─▶ filter, sort, search, texts ─────▲
package calls

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"sipscope/correlate"
	"sipscope/correlate/query"
	"sipscope/correlate/stats"
	"sipscope/render/columns"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
)

// View is the call list. All its methods run on the UI's goroutine.
type View struct {
	h      term.Host
	board  *correlate.Board
	copies copier // the board
	list   list
	texts  texts

	cols     []columns.Column // that the rows show
	colNames []string         // what they were made of
	widths   []int            // widest content seen, by column
	left     int              // columns scrolled to the right
	heads    []head           // of the last drawing, for the mouse
	drag     int              // index into heads of the column that the mouse sizes, -1 for none

	top, cursor int    // rows
	at          uint32 // number of the call under the cursor, 0 for none
	home        uint32 // the call that the user went to: the cursor goes back there when a filter shows it again
	height      int    // rows in sight
	selected    bitset
	rows        []correlate.Summary // of the rows in sight, as last fetched
	nums        []uint32

	paused bool
	totals correlate.Totals
	last   read // at the last tick

	needle    string // in lower case; "" for no search
	from      int    // row where the search began
	strayed   bool   // the user has moved since: the next search begins at the cursor
	searching bool
	search    stopper
	searches  int // generation: results of an older one are dropped
}

// read is how far the reading is, to see whether anything changed.
type read struct {
	messages, packets uint64
	done              bool
}

// New makes the list. q is the filter of the command line, whose headers and words the pipeline collects; nil for none.
func New(h term.Host, q *query.Query) *View {
	v := &View{h: h, board: h.Data().Board, drag: -1}
	v.copies = v.board
	v.list = newList(h, q)
	v.texts = texts{h: h}
	v.chooseColumns()
	v.Tick(time.Time{})
	return v
}

var _ term.View = (*View)(nil)

// Scope implements term.View.
func (v *View) Scope() keymap.Scope { return keymap.List }

// Tick implements term.View.
func (v *View) Tick(now time.Time) bool {
	if v.paused {
		return v.standing()
	}
	changed := v.list.tick(now, v.settings())
	v.totals = v.board.Totals()
	acct, _ := v.board.Accounting()
	if r := (read{v.totals.Messages, acct.Packets, v.board.Done()}); r != v.last {
		v.last = r
		changed = true
	}
	if changed {
		v.settle()
	}
	return changed
}

// standing is a tick of a list that stands still: only what the user has asked for since goes on, such as a sort.
func (v *View) standing() bool {
	v.list.goOn()
	v.list.busy = v.list.progress()
	if !v.list.moved {
		return false
	}
	v.list.moved = false
	v.settle()
	return true
}

func (v *View) settings() *term.Settings { return v.h.Settings() }

// settle keeps the cursor on its call when the order has changed, or on the newest one.
func (v *View) settle() {
	n := v.list.len()
	if v.settings().Follow {
		if to := v.list.index(v.list.newest()); to >= 0 {
			v.cursor, v.at = to, v.list.at(to)
			return
		}
	}
	if v.home != 0 && v.home != v.at && v.list.index(v.home) >= 0 {
		v.at = v.home
	}
	switch {
	case n == 0:
		v.cursor, v.at = 0, 0
	case v.cursor < n && v.list.at(v.cursor) == v.at:
	case v.at != 0 && v.list.index(v.at) >= 0:
		to := v.list.index(v.at)
		v.top += to - v.cursor
		v.cursor = to
	default:
		v.cursor = min(v.cursor, n-1)
		v.at = v.list.at(v.cursor)
	}
}

// move puts the cursor on a row.
func (v *View) move(to int) {
	n := v.list.len()
	if n == 0 {
		return
	}
	v.cursor = max(0, min(to, n-1))
	v.at = v.list.at(v.cursor)
	v.home = v.at
	v.h.Redraw()
}

// Title implements term.View.
func (v *View) Title() string {
	acct, _ := v.board.Accounting()
	parts := []string{v.h.Data().Source, count(int(v.totals.Calls), "call"), count(int(v.totals.Messages), "message")} //nolint:gosec // fit
	if sum := acct.Packets; sum > 0 {
		parts = append(parts, count(int(sum), "packet")+" read") //nolint:gosec // fits
	}
	bad := uint64(0)
	acct.EachMalformed(func(_ string, n uint64) { bad += n })
	if bad > 0 {
		parts = append(parts, fmt.Sprintf("%d undecodable", bad))
	}
	if n := acct.Streams.Gaps + acct.Streams.Datagrams; n > 0 {
		parts = append(parts, count(int(n), "hole")) //nolint:gosec // fits
	}
	return strings.Join(parts, " · ")
}

// count writes a number with its thousands apart, and what is counted.
func count(n int, what string) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if n != 1 {
		what += "s"
	}
	return s + " " + what
}

// Status implements term.View: what is shown of what there is, and why.
func (v *View) Status() string {
	parts := []string{}
	add := func(ok bool, format string, args ...any) {
		if ok {
			parts = append(parts, fmt.Sprintf(format, args...))
		}
	}
	add(v.paused, "PAUSED: %d new", int(v.board.Totals().Calls)-int(v.totals.Calls)) //nolint:gosec // fit
	n := v.list.len()
	if v.list.filtered() {
		add(true, "%d of %s · %s", n, count(v.list.all(), "call"), v.list.what())
	} else {
		add(n > 0, "%d of %s", min(v.cursor+1, n), count(n, "call"))
	}
	marked := v.selected.len()
	add(marked > 0, "%d selected", marked)
	add(v.list.busy != "", "%s", v.list.busy)
	add(v.searching, "searching")
	add(v.settings().Follow, "FOLLOW")
	acct, limited := v.board.Accounting()
	add(limited.EvictedCalls > 0, "%d older calls no longer kept", limited.EvictedCalls)
	add(limited.UnkeptMessages > 0, "%d messages of long calls not kept", limited.UnkeptMessages)
	limited.EvictedCalls, limited.UnkeptMessages = 0, 0 // said
	for _, x := range stats.Losses(&limited, &acct.Streams) {
		add(x.Limit, "%d %s", x.N, x.What)
	}
	closed := v.board.EncryptedCount()
	add(closed > 0, "%s, no key", count(closed, "encrypted connection"))
	if data := v.h.Data(); data.Err != nil && data.Err() != nil {
		add(true, "%v", data.Err())
	}
	return strings.Join(parts, " · ")
}

// fetch gets the summaries of the rows in sight. A paused list keeps those that it has.
func (v *View) fetch() {
	n := max(0, min(v.height, v.list.len()-v.top))
	same := len(v.nums) == n
	v.nums = resize(v.nums, n)
	for i := range n {
		num := v.list.at(v.top + i)
		same = same && v.nums[i] == num
		v.nums[i] = num
	}
	if same && v.paused && len(v.rows) > 0 {
		return
	}
	v.rows = v.copies.Summaries(v.nums, v.rows[:0])
	v.texts.fill(v.rows)
}

func resize(s []uint32, n int) []uint32 {
	if cap(s) < n {
		return make([]uint32, n)
	}
	return s[:n]
}

// row gives the summary of a number in sight, nil for a call that is no longer kept.
func (v *View) row(num uint32) *correlate.Summary {
	for i := range v.rows {
		if v.rows[i].Num == num {
			return &v.rows[i]
		}
	}
	return nil
}

// chosen gives the selected calls in the order of the list, those that a filter hides after them, or the one under the
// cursor.
func (v *View) chosen() []uint32 {
	marked := v.selected.len()
	if marked == 0 {
		if v.at == 0 {
			return nil
		}
		return []uint32{v.at}
	}
	nums := make([]uint32, 0, marked)
	hidden := slices.Clone(v.selected)
	for i := range v.list.len() {
		if num := v.list.at(i); v.selected.has(num) {
			nums = append(nums, num)
			hidden.set(num, false)
		}
	}
	hidden.each(func(num uint32) { nums = append(nums, num) })
	return nums
}

// Saving implements term.View.
func (v *View) Saving() term.Selection {
	var s term.Selection
	if n := v.selected.len(); n > 0 {
		s.Choices = append(s.Choices, term.Choice{Label: count(n, "selected call"), Count: n, Calls: v.chosen})
	} else if v.at != 0 {
		num := v.at
		s.Choices = append(s.Choices, term.Choice{
			Label: fmt.Sprintf("call %d", num), Count: 1, Calls: func() []uint32 { return []uint32{num} },
		})
	}
	if n := v.list.len(); v.list.filtered() {
		s.Choices = append(s.Choices, term.Choice{Label: "the " + count(n, "call") + " shown", Count: n, Calls: v.list.numbers})
	}
	all := v.list.all()
	s.Choices = append(s.Choices, term.Choice{Label: "all " + count(all, "call"), Count: all, Calls: v.list.base})
	return s
}
