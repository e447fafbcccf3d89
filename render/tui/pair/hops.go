package pair

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"sipscope/correlate"
	"sipscope/correlate/diff"
	"sipscope/decode/sip"
	"sipscope/render/ladder"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
)

// HopsView is what each element on the path of a call did to its messages: what it added, removed and rewrote, and how
// long it took. It implements term.View.
type HopsView struct {
	host term.Host
	num  uint32
	call correlate.Call
	note string // why there is nothing to show

	hops   []diff.Hop
	made   bool
	load   task
	only   bool // only what counts
	list   []hopLine
	cursor int // index into list
	top    int
	height int
	left   int // cells scrolled to the right
	needle string
}

// hopLine is a line of the list: a hop, or one of its differences.
type hopLine struct{ hop, difference int } // difference -1 for the hop itself

var _ term.View = (*HopsView)(nil)

// Hops tells of the hops of a call of the board as it is now.
func Hops(h term.Host, num uint32) *HopsView {
	v := &HopsView{host: h, num: num}
	call, ok := h.Data().Board.Call(num)
	if !ok {
		v.note = v.name() + " is no longer kept: a limit has evicted it"
		return v
	}
	v.call = call
	return v
}

func (v *HopsView) name() string { return "call " + strconv.FormatUint(uint64(v.num), 10) }

// ensure begins the work, or begins it anew when it was lost with a view that was on top.
func (v *HopsView) ensure() {
	if v.made || v.note != "" || v.load.busy() {
		return
	}
	call, text := &v.call, v.host.Data().Text
	work := func() []diff.Hop {
		return diff.Hops(*call, func(message int) []byte { return text(call, message) }, diff.Rules{})
	}
	if len(call.Messages) <= syncMessages {
		v.take(work())
		return
	}
	lost := &atomic.Bool{}
	v.load = task{running: true, lost: lost}
	v.host.Go(func(ctx context.Context) func() {
		stop := context.AfterFunc(ctx, func() { lost.Store(true) })
		hops := work()
		return func() {
			stop()
			if v.load.lost == lost && v.load.busy() {
				v.load.running = false
				v.take(hops)
				v.host.Redraw()
			}
		}
	})
}

func (v *HopsView) take(hops []diff.Hop) {
	v.hops, v.made = hops, true
	v.relist()
}

// changed reports whether an element did more to a message than every proxy does.
func changed(h *diff.Hop) bool {
	return slices.ContainsFunc(h.Differences, func(d diff.Difference) bool { return d.Verdict != diff.Tolerated })
}

// relist makes the list anew, with the cursor on its hop or on the next one.
func (v *HopsView) relist() {
	at := hopLine{}
	if v.cursor < len(v.list) {
		at = v.list[v.cursor]
	}
	v.list, v.cursor = nil, 0
	for i := range v.hops {
		if v.only && !changed(&v.hops[i]) {
			continue
		}
		if i <= at.hop {
			v.cursor = len(v.list)
		}
		v.list = append(v.list, hopLine{i, -1})
		for k := range v.hops[i].Differences {
			if !v.only || v.hops[i].Differences[k].Verdict != diff.Tolerated {
				v.list = append(v.list, hopLine{i, k})
			}
		}
	}
}

// Scope is that of comparisons of calls.
func (v *HopsView) Scope() keymap.Scope { return keymap.Pair }

func (v *HopsView) sep() string { return map[bool]string{true: "; ", false: " · "}[v.ascii()] }

func (v *HopsView) ascii() bool { return v.host.Settings().ASCII }

// Title says whose hops these are.
func (v *HopsView) Title() string {
	parts := []string{"hops", v.name()}
	if v.call.From.User != "" || v.call.To.User != "" {
		parts = append(parts, v.call.From.User+map[bool]string{true: " -> ", false: " → "}[v.ascii()]+v.call.To.User)
	}
	return strings.Join(parts, v.sep())
}

// Status counts the hops.
func (v *HopsView) Status() string {
	switch {
	case v.note != "":
		return v.note
	case !v.made:
		return "comparing"
	}
	n := 0
	for i := range v.hops {
		if changed(&v.hops[i]) {
			n++
		}
	}
	parts := []string{fmt.Sprintf("%d messages forwarded", len(v.hops)), fmt.Sprintf("%d changed beyond what every proxy does", n)}
	if v.only {
		parts = append(parts, "only changes")
	}
	return strings.Join(parts, v.sep())
}

// Tick begins anew what was lost.
func (v *HopsView) Tick(time.Time) bool {
	before := v.made
	v.ensure()
	return v.made != before
}

// Draw draws the lines in sight.
func (v *HopsView) Draw(c *term.Canvas) {
	v.ensure()
	w, h := c.Size()
	v.height = h
	switch {
	case v.note != "":
		c.PutMax(1, 0, w-1, v.note, term.Warning)
		return
	case !v.made:
		c.PutMax(1, 0, w-1, "comparing the hops of "+v.name(), term.Dim)
		return
	case len(v.list) == 0 && v.only:
		c.PutMax(1, 0, w-1, "no element changed more than every proxy does: d shows all", term.Dim)
		return
	case len(v.list) == 0:
		c.PutMax(1, 0, w-1, "no message of this call was forwarded: it has one hop only", term.Dim)
		return
	}
	v.reveal()
	for y := range min(h, len(v.list)-v.top) {
		v.line(c, v.top+y, y)
	}
	if n := len(v.list); n > h && h >= 3 {
		c.Put(w-1, v.top*(h-1)/(n-h), c.Glyphs().ScrollAt, term.Border)
	}
}

// line draws a hop, or a difference.
func (v *HopsView) line(c *term.Canvas, pos, y int) {
	w, _ := c.Size()
	l := v.list[pos]
	h := &v.hops[l.hop]
	if l.difference < 0 {
		x := 1 - v.left
		x += c.Put(x, y, hopLabel(h), statusRole(uint16(min(max(h.Status, 0), 699))))
		s := c.Glyphs().Sep + "at " + h.Element.String() + c.Glyphs().Sep + "after " + ladder.Duration(h.Latency) + v.frames(h)
		c.Put(x, y, s, term.Head)
	} else {
		d := &h.Differences[l.difference]
		c.Put(3-v.left, y, sign(d.Verdict, c.ASCII()), roleOf(d.Verdict))
		c.Put(5-v.left, y, told(d), diffRole(d.Verdict))
	}
	if v.needle != "" && v.holds(pos) {
		c.Overlay(0, y, 1, term.Found)
	}
	if pos == v.cursor {
		c.Overlay(0, y, w, term.Cursor)
	}
}

// frames names the frames of a hop: " · frame 3 → 4".
func (v *HopsView) frames(h *diff.Hop) string {
	n := len(v.call.Messages)
	if h.In < 0 || h.In >= n || h.Out < 0 || h.Out >= n {
		return ""
	}
	to := map[bool]string{true: " -> ", false: " → "}[v.ascii()]
	return v.sep() + "frame " + strconv.FormatUint(v.call.Messages[h.In].Seq, 10) + to +
		strconv.FormatUint(v.call.Messages[h.Out].Seq, 10)
}

// hopLabel is what went on: "INVITE", "180 Ringing of INVITE".
func hopLabel(h *diff.Hop) string {
	if h.Status == 0 {
		return h.Method
	}
	return strings.TrimSpace(strconv.Itoa(h.Status)+" "+sip.ReasonPhrase(h.Status)) + " of " + h.Method
}

// reveal scrolls as little as it must to have the cursor in sight.
func (v *HopsView) reveal() {
	v.cursor = min(max(v.cursor, 0), max(len(v.list)-1, 0))
	v.top = min(max(v.top, v.cursor-v.height+1), v.cursor)
	v.top = max(min(v.top, len(v.list)-v.height), 0)
}

// Do performs an action of the scope.
func (v *HopsView) Do(a keymap.Action) bool {
	v.ensure()
	switch a {
	case keymap.Top:
		v.cursor = 0
	case keymap.Bottom:
		v.cursor = len(v.list) - 1
	case keymap.Left:
		v.left = max(v.left-sideways, 0)
	case keymap.Right:
		v.left = min(v.left+sideways, farRight)
	default:
		by := v.lines(a)
		if by == 0 {
			return v.act(a)
		}
		v.cursor += by
	}
	v.reveal()
	v.host.Redraw()
	return true
}

// Scrolling to the side, in cells.
const (
	sideways = 8
	farRight = 400
)

// lines is how many lines an action moves the cursor, 0 for one that does not.
func (v *HopsView) lines(a keymap.Action) int {
	page := max(v.height, 1)
	switch a {
	case keymap.Up:
		return -1
	case keymap.Down:
		return 1
	case keymap.PageUp:
		return -page
	case keymap.PageDown:
		return page
	case keymap.HalfUp:
		return -max(page/2, 1)
	case keymap.HalfDown:
		return max(page/2, 1)
	default:
		return 0
	}
}

func (v *HopsView) act(a keymap.Action) bool {
	switch a {
	case keymap.SearchNext, keymap.SearchPrev, keymap.FirstDifference:
		v.next(a)
	case keymap.OnlyDifferences:
		v.only = !v.only
		v.relist()
	case keymap.Open:
		v.open()
	case keymap.Copy, keymap.CopyAll:
		v.copy()
	case keymap.Layout, keymap.Times, keymap.NextPair, keymap.PrevPair, keymap.Save:
		v.host.Say("not for hops: Y copies them")
	default:
		return false
	}
	v.host.Redraw()
	return true
}

// next goes to the next hop that changed something.
func (v *HopsView) next(a keymap.Action) {
	from, step := v.cursor, 1
	switch a {
	case keymap.SearchPrev:
		step = -1
	case keymap.FirstDifference:
		from = -1
	default:
	}
	for pos := from + step; pos >= 0 && pos < len(v.list); pos += step {
		if l := v.list[pos]; l.difference < 0 && changed(&v.hops[l.hop]) {
			v.cursor = pos
			v.reveal()
			return
		}
	}
	v.host.Say("no further change")
}

// open compares the message that came in with the one that went out.
func (v *HopsView) open() {
	if v.cursor >= len(v.list) {
		return
	}
	h := &v.hops[v.list[v.cursor].hop]
	v.host.ShowCompare(term.Comparison{
		A: term.MessageRef{Call: &v.call, Message: h.In}, B: term.MessageRef{Call: &v.call, Message: h.Out},
	})
}

// copy copies what is shown.
func (v *HopsView) copy() {
	var b strings.Builder
	clean := (&picture{ascii: v.ascii()}).clean
	for _, l := range v.list {
		h := &v.hops[l.hop]
		if l.difference < 0 {
			fmt.Fprintf(&b, "%s\n", clean(hopLabel(h)+" at "+h.Element.String()+" after "+ladder.Duration(h.Latency)+v.frames(h)))
			continue
		}
		d := &h.Differences[l.difference]
		fmt.Fprintf(&b, "  %s %s\n", sign(d.Verdict, v.ascii()), clean(told(d)))
		if b.Len() > maxCopy {
			break
		}
	}
	v.host.Copy(b.String(), "hops")
}

// Search implements term.View.
func (v *HopsView) Search(needle string, next, backwards bool) {
	v.host.Redraw()
	v.needle = term.Lower(needle)
	n := len(v.list)
	if needle == "" || n == 0 {
		return
	}
	from, step := v.cursor, 1
	if next {
		from = v.cursor + 1
		if backwards {
			from, step = v.cursor-1, -1
		}
	}
	for k := range n {
		if pos := ((from+k*step)%n + n) % n; v.holds(pos) {
			v.cursor = pos
			v.reveal()
			return
		}
	}
	v.host.Say(strconv.Quote(short(needle)) + " is not in these hops")
}

func (v *HopsView) holds(pos int) bool {
	l := v.list[pos]
	h := &v.hops[l.hop]
	if l.difference < 0 {
		return has(hopLabel(h)+" "+h.Element.String(), v.needle)
	}
	return has(told(&h.Differences[l.difference]), v.needle)
}

// Mouse moves the cursor, opens messages and scrolls.
func (v *HopsView) Mouse(m term.Mouse) bool {
	switch m.Kind {
	case term.Click, term.DoubleClick:
		if m.Y < 0 || v.top+m.Y >= len(v.list) {
			return false
		}
		v.cursor = v.top + m.Y
		if m.Kind == term.DoubleClick {
			v.open()
		}
	case term.WheelUp:
		v.cursor -= wheelLines
	case term.WheelDown:
		v.cursor += wheelLines
	default:
		return false
	}
	v.reveal()
	v.host.Redraw()
	return true
}

// Saving implements term.View: hops are copied.
func (v *HopsView) Saving() term.Selection { return term.Selection{} }
