// Package media is the screen of the RTP streams in the terminal UI: a list with their figures and a sparkline, and all
// that is known of one of them.
//
//	term.Data.Streams ─▶ job (copies on another goroutine) ─▶ rows, sorted ─▶ list or one stream ─▶ canvas
package media

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"sipscope/correlate/media"
	"sipscope/correlate/media/judge"
	"sipscope/render/text"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
)

// Times of looking for news. Copying all streams of a large capture takes time, which must stay a small part of it.
const (
	pollEvery = 500 * time.Millisecond
	pollShare = 20 // the pause is this many times what a copy took
)

// View is the list of streams.
type View struct {
	host term.Host
	nums []uint32 // calls; none for all streams

	all     []column
	rows    []media.Stream
	loaded  bool
	busy    bool
	changed bool
	polled  time.Time
	pause   time.Duration
	final   bool // the rows are those of the whole capture

	sort     int // index into all
	down     bool
	series   series
	cursor   int
	top      int
	height   int
	paused   bool
	needle   string
	from     int
	chosenAt []column // of the last drawing

	found map[uint32][]judge.Finding // by call, as far as they were asked for
}

var _ term.View = (*View)(nil)

// New shows the streams of calls, or all of the capture when nums is empty.
func New(host term.Host, nums []uint32) *View {
	v := &View{host: host, nums: slices.Clone(nums), all: columns(), pause: pollEvery}
	v.load()
	return v
}

// load copies the streams on another goroutine.
func (v *View) load() {
	data := v.host.Data()
	if v.busy || data.Streams == nil {
		v.loaded = v.loaded || data.Streams == nil
		return
	}
	v.busy = true
	final := data.Board == nil || data.Board.Done()
	nums := v.nums
	v.host.Go(func(ctx context.Context) func() {
		began := time.Now()
		rows := gather(ctx, data.Streams, nums)
		took := time.Since(began)
		return func() {
			v.busy = false
			v.pause = max(pollEvery, pollShare*took)
			v.install(rows, final)
		}
	})
}

// maxJudged bounds the calls whose findings are kept.
const maxJudged = 1000

// findings gives those of a stream and of its call, once they are there: making them reads texts.
func (v *View) findings(s *media.Stream) []judge.Finding {
	data := v.host.Data()
	if data.Findings == nil || s.Call == 0 {
		return nil
	}
	all, asked := v.found[s.Call]
	if !asked {
		if v.found == nil || len(v.found) > maxJudged {
			v.found = map[uint32][]judge.Finding{}
		}
		v.found[s.Call] = nil
		found, num := v.found, s.Call
		v.host.Go(func(context.Context) func() {
			list := data.Findings(num)
			return func() {
				found[num] = list
				v.changed = true
			}
		})
	}
	var own []judge.Finding
	for i := range all {
		if all[i].Stream == 0 || all[i].Stream == s.Num {
			own = append(own, all[i])
		}
	}
	return own
}

// gather copies the streams of calls.
func gather(ctx context.Context, streams func(call uint32) []media.Stream, nums []uint32) []media.Stream {
	if len(nums) == 0 {
		return streams(0)
	}
	var rows []media.Stream
	for _, num := range nums {
		if ctx.Err() != nil {
			break
		}
		if num != 0 {
			rows = append(rows, streams(num)...)
		}
	}
	return rows
}

// install shows new rows, with the cursor on its stream.
func (v *View) install(rows []media.Stream, final bool) {
	at := uint32(0)
	if s := v.current(); s != nil {
		at = s.Num
	}
	v.rows, v.loaded, v.final, v.changed = rows, true, final, true
	if !final {
		v.found = nil // more may be said now
	}
	sortRows(v.rows, &v.all[v.sort], v.down)
	v.goTo(at)
}

// goTo puts the cursor on a stream; where it was when the stream is gone.
func (v *View) goTo(num uint32) {
	if i := slices.IndexFunc(v.rows, func(s media.Stream) bool { return s.Num == num }); i >= 0 {
		v.cursor = i
	}
	v.cursor = max(min(v.cursor, len(v.rows)-1), 0)
}

// current is the stream under the cursor; nil when there is none.
func (v *View) current() *media.Stream {
	if v.cursor < 0 || v.cursor >= len(v.rows) {
		return nil
	}
	return &v.rows[v.cursor]
}

// Scope implements term.View.
func (v *View) Scope() keymap.Scope { return keymap.Streams }

// Title implements term.View.
func (v *View) Title() string {
	of := "all streams"
	if n := len(v.nums); n == 1 {
		of = fmt.Sprintf("streams of call %d", v.nums[0])
	} else if n > 1 {
		of = fmt.Sprintf("streams of %d calls", n)
	}
	return v.host.Data().Source + " · " + of
}

// Status implements term.View.
func (v *View) Status() string {
	if !v.loaded {
		return "reading the streams…"
	}
	s := "no streams"
	if len(v.rows) > 0 {
		s = fmt.Sprintf("stream %d of %d", v.cursor+1, len(v.rows))
	}
	if v.paused {
		s += " · paused"
	}
	return s
}

// Draw implements term.View.
func (v *View) Draw(c *term.Canvas) {
	w, h := c.Size()
	v.height = max(h-1, 0)
	v.reveal()
	if len(v.rows) == 0 {
		say := "no RTP streams here"
		if !v.loaded {
			say = "…"
		}
		c.Put(1, 1, say, term.Dim)
		return
	}
	shown := v.rows[v.top:min(v.top+v.height, len(v.rows))]
	chosen, widths, room := layout(v.all, shown, w, c.Clean)
	v.chosenAt = chosen
	v.head(c, chosen, widths, room)
	for y := range shown {
		s := &shown[y]
		x := 0
		for i := range chosen {
			role := term.Normal
			if chosen[i].role != nil {
				role = chosen[i].role(s)
			}
			put(c, x, y+1, widths[i], chosen[i].cell(s), role, chosen[i].right)
			x += widths[i] + blank
		}
		if room >= minSpark {
			c.PutMax(x, y+1, room, spark(stretch(buckets(s, v.series, room-1), room-1), v.series.least(), c.ASCII()), term.MediaLine)
		}
		if v.top+y == v.cursor {
			c.Overlay(0, y+1, w, term.Cursor)
		}
	}
}

// least is what fills the height of a sparkline at least: a jitter of 1 ms must not look like a mountain.
func (k series) least() float64 {
	switch k {
	case ofJitter:
		return 10
	case ofLoss:
		return 5
	default:
		return 1
	}
}

func put(c *term.Canvas, x, y, w int, s string, role term.Role, right bool) {
	if right {
		c.PutRight(x, y, w, s, role)
		return
	}
	c.PutMax(x, y, w, s, role)
}

// head names the columns.
func (v *View) head(c *term.Canvas, chosen []column, widths []int, room int) {
	x := 0
	gl := c.Glyphs()
	for i := range chosen {
		name, role := chosen[i].name, term.Head
		if chosen[i].name == v.all[v.sort].name {
			role = term.HeadSort
			if v.down {
				name += gl.Down
			} else {
				name += gl.Up
			}
		}
		put(c, x, 0, widths[i], name, role, chosen[i].right)
		x += widths[i] + blank
	}
	if room >= minSpark {
		c.PutMax(x, 0, room, v.series.String(), term.Head)
	}
}

// reveal scrolls as little as it must to have the cursor in sight.
func (v *View) reveal() {
	v.cursor = max(min(v.cursor, len(v.rows)-1), 0)
	if v.height <= 0 {
		v.top = 0
		return
	}
	v.top = min(max(v.top, v.cursor-v.height+1), v.cursor)
	v.top = max(min(v.top, len(v.rows)-v.height), 0)
}

// Do implements term.View.
func (v *View) Do(a keymap.Action) bool {
	switch a {
	case keymap.Open:
		if v.current() != nil {
			v.host.Open(&detail{list: v})
		}
	case keymap.SortNext, keymap.SortPrev:
		v.sortBy(a == keymap.SortNext)
	case keymap.SortSwap:
		v.down = !v.down
		v.resort()
	case keymap.Layout:
		v.series = (v.series + 1) % seriesCount
	case keymap.Pause:
		v.paused = !v.paused
	case keymap.ToCall:
		v.showCall()
	case keymap.Copy, keymap.CopyAll:
		v.copy(a == keymap.CopyAll)
	default:
		return v.move(a)
	}
	v.host.Redraw()
	return true
}

// sortBy sorts by the next column that is shown, or the one before.
func (v *View) sortBy(next bool) {
	step := len(v.all) - 1
	if next {
		step = 1
	}
	at := v.sort
	for range v.all {
		at = (at + step) % len(v.all)
		if len(v.chosenAt) == 0 || slices.ContainsFunc(v.chosenAt, func(c column) bool { return c.name == v.all[at].name }) {
			break
		}
	}
	v.sort = at
	v.resort()
}

func (v *View) resort() {
	at := uint32(0)
	if s := v.current(); s != nil {
		at = s.Num
	}
	sortRows(v.rows, &v.all[v.sort], v.down)
	v.goTo(at)
	v.host.Say("sorted by " + v.all[v.sort].name)
}

// showCall opens the ladder of the stream's call.
func (v *View) showCall() {
	s := v.current()
	if s == nil {
		return
	}
	if s.Call == 0 {
		v.host.Say("no SDP names this stream: it belongs to no call")
		return
	}
	v.host.ShowCalls([]uint32{s.Call}, false)
}

// maxCopied bounds the streams that are copied to the clipboard.
const maxCopied = 1000

// copy gives the stream under the cursor, or all, to the clipboard, with tabs between the cells.
func (v *View) copy(all bool) {
	s := v.current()
	if s == nil {
		return
	}
	rows, what := []media.Stream{*s}, "stream"
	if all {
		rows, what = v.rows[:min(len(v.rows), maxCopied)], fmt.Sprintf("%d streams", min(len(v.rows), maxCopied))
	}
	var b strings.Builder
	for i := range rows {
		for k := range v.all {
			if k > 0 {
				b.WriteByte('\t')
			}
			b.WriteString(text.Clean(v.all[k].cell(&rows[i])))
		}
		b.WriteByte('\n')
	}
	v.host.Copy(b.String(), what)
}

// move moves the cursor.
func (v *View) move(a keymap.Action) bool {
	page := max(v.height-1, 1)
	switch a {
	case keymap.Up:
		v.cursor--
	case keymap.Down:
		v.cursor++
	case keymap.PageUp:
		v.cursor -= page
	case keymap.PageDown:
		v.cursor += page
	case keymap.HalfUp:
		v.cursor -= page / 2
	case keymap.HalfDown:
		v.cursor += page / 2
	case keymap.Top:
		v.cursor = 0
	case keymap.Bottom:
		v.cursor = len(v.rows) - 1
	default:
		return false
	}
	v.reveal()
	v.host.Redraw()
	return true
}

// Mouse implements term.View.
func (v *View) Mouse(m term.Mouse) bool {
	switch m.Kind {
	case term.WheelUp:
		v.cursor -= 3
	case term.WheelDown:
		v.cursor += 3
	case term.Click, term.DoubleClick:
		at := v.top + m.Y - 1
		if m.Y < 1 || at >= len(v.rows) {
			return false
		}
		v.cursor = at
		if m.Kind == term.DoubleClick {
			return v.Do(keymap.Open)
		}
	default:
		return false
	}
	v.reveal()
	return true
}

// Tick implements term.View: it looks for news while the capture is being read.
func (v *View) Tick(now time.Time) bool {
	if !v.paused && !v.final && !v.busy && now.Sub(v.polled) >= v.pause {
		v.polled = now
		v.load()
	}
	changed := v.changed
	v.changed = false
	return changed
}

// Search implements term.View: addresses, codecs and SSRCs.
func (v *View) Search(needle string, next, backwards bool) {
	if needle == "" {
		v.needle = ""
		return
	}
	if v.needle == "" {
		v.from = v.cursor
	}
	v.needle = strings.ToLower(needle)
	from, step := v.from, 1
	if next {
		from = v.cursor + 1
		if backwards {
			from, step = v.cursor-1, -1
		}
	}
	n := len(v.rows)
	for i := range n {
		at := ((from+i*step)%n + n) % n
		if v.holds(&v.rows[at]) {
			v.cursor = at
			v.reveal()
			v.host.Redraw()
			return
		}
	}
	v.host.Say(fmt.Sprintf("no stream has %q", needle))
}

func (v *View) holds(s *media.Stream) bool {
	for i := range v.all {
		if strings.Contains(strings.ToLower(text.Clean(v.all[i].cell(s))), v.needle) {
			return true
		}
	}
	return false
}

// Saving implements term.View: the calls of the list, or the one under the cursor.
func (v *View) Saving() term.Selection {
	var s term.Selection
	if at := v.current(); at != nil && at.Call != 0 {
		num := at.Call
		s.Choices = append(s.Choices, term.Choice{
			Label: fmt.Sprintf("call %d", num), Count: 1, Calls: func() []uint32 { return []uint32{num} },
		})
	}
	if len(v.nums) > 1 {
		s.Choices = append(s.Choices, term.Choice{
			Label: fmt.Sprintf("%d calls", len(v.nums)), Count: len(v.nums), Calls: func() []uint32 { return slices.Clone(v.nums) },
		})
	}
	return s
}
