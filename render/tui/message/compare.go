package message

import (
	"context"
	"fmt"
	"strings"
	"time"

	"sipscope/correlate/compare"
	"sipscope/decode/sip"
	"sipscope/render/text"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
)

// CompareView is two messages and what differs between them, side by side or one below the other.
type CompareView struct {
	h      term.Host
	a, b   term.MessageRef
	rules  func() compare.Result // by rules that know the calls, with ignore; nil for the usual ones
	result *compare.Result       // nil while it is made
	note   string                // what is wrong with a message: its text is gone, or is no SIP
	asked  int                   // comparisons asked for: only the last one counts

	ignore   bool
	below    bool // one below the other, also where there is room for both
	only     bool // only what differs
	split    int  // per cent of the width for the first
	dragging bool // the line between them

	pairs
	top, left, height int
	want              int // line to bring into sight with the next Draw, -1 for none
	needle            string
	at                int // line of the difference or of the search, -1 for none
}

// Tuning.
const (
	// sideBySide is the width from which on two messages have room beside each other.
	sideBySide = 100
	// syncBytes is up to which size of both messages they are compared at once: less than a millisecond.
	syncBytes = 8 << 10
	// minSplit and maxSplit bound the share of the first message, per cent.
	minSplit, maxSplit, splitStep = 20, 80, 5
)

// NewCompare compares two messages. Rules that know the calls hold at once; without them, all differences count until the
// user leaves out the expected ones.
func NewCompare(h term.Host, c term.Comparison) *CompareView {
	v := &CompareView{h: h, a: c.A, b: c.B, rules: c.Made, ignore: c.Made != nil, split: 50, at: -1, want: -1}
	v.compare()
	return v
}

var _ term.View = (*CompareView)(nil)

// compare makes the result; on another goroutine when the messages are long: hostile ones take some tens of
// milliseconds.
func (v *CompareView) compare() {
	data := v.h.Data()
	rawA, rawB := textOfRef(data, v.a.Call, v.a.Message), textOfRef(data, v.b.Call, v.b.Message)
	v.asked++
	asked, ignore, rules := v.asked, v.ignore, v.rules
	if !ignore {
		rules = nil
	}
	if len(rawA)+len(rawB) <= syncBytes {
		v.take(comparison(rawA, rawB, ignore, rules))
		return
	}
	v.h.Go(func(context.Context) func() {
		r, note := comparison(rawA, rawB, ignore, rules)
		return func() {
			if asked == v.asked {
				v.take(r, note)
				v.h.Redraw()
			}
		}
	})
}

// comparison compares two texts, and says what is wrong with them. One that is gone is compared with nothing.
func comparison(rawA, rawB []byte, ignore bool, rules func() compare.Result) (r *compare.Result, note string) {
	var a, b sip.Message
	var notes []string
	for _, x := range [...]struct {
		raw  []byte
		m    *sip.Message
		name string
	}{{rawA, &a, "first"}, {rawB, &b, "second"}} {
		err := sip.Parse(x.raw, x.m)
		switch {
		case x.raw == nil:
			notes = append(notes, "the text of the "+x.name+" message is no longer there")
		case err != nil:
			notes = append(notes, "the "+x.name+" message is no SIP")
		}
	}
	if len(notes) > 0 {
		return &compare.Result{}, strings.Join(notes, ", ")
	}
	var made compare.Result
	if rules != nil {
		made = rules()
	} else {
		made = compare.Messages(&a, &b, compare.Options{Ignore: ignore})
	}
	return &made, ""
}

func (v *CompareView) take(r *compare.Result, note string) {
	v.result, v.note = r, note
	v.reset()
	v.at = min(v.at, len(r.Lines)-1)
}

// Scope implements term.View.
func (v *CompareView) Scope() keymap.Scope { return keymap.Compare }

func (v *CompareView) ascii() bool { return v.h.Settings().ASCII }

// Title implements term.View.
func (v *CompareView) Title() string {
	return strings.Join([]string{"compare", titleOf(v.a), titleOf(v.b)}, jointsOf(v.ascii()).sep)
}

func titleOf(r term.MessageRef) string {
	if r.Call == nil {
		return "no message"
	}
	return fmt.Sprintf("call %d message %d", r.Call.Num, r.Message+1)
}

// Status implements term.View.
func (v *CompareView) Status() string {
	switch {
	case v.result == nil:
		return "comparing"
	case v.note != "":
		return v.note
	}
	s := plural(v.result.Differences, "difference")
	if n := v.result.Spelling; n > 0 {
		s += fmt.Sprintf(", %d of spelling only", n)
	}
	if n := v.result.Expected; n > 0 {
		s += fmt.Sprintf(", %d expected", n)
	}
	parts := []string{s}
	if v.only {
		parts = append(parts, "only differences are shown")
	}
	if v.ignore {
		parts = append(parts, "what differs in any two calls is not counted")
	}
	return strings.Join(parts, jointsOf(v.ascii()).sep)
}

// Tick implements term.View.
func (v *CompareView) Tick(time.Time) bool { return false }

// Do implements term.View.
func (v *CompareView) Do(a keymap.Action) bool {
	s := v.h.Settings()
	switch a {
	case keymap.Layout:
		v.turn()
	case keymap.OnlyDifferences:
		v.only = !v.only
	case keymap.IgnoreExpected:
		v.ignore = !v.ignore
		v.compare()
	case keymap.Wrap:
		s.Wrap = !s.Wrap
	case keymap.Syntax:
		s.Syntax = !s.Syntax
	case keymap.PaneWider:
		v.split = min(v.split+splitStep, maxSplit)
	case keymap.PaneNarrower:
		v.split = max(v.split-splitStep, minSplit)
	case keymap.SearchNext, keymap.SearchPrev:
		v.nextDifference(a == keymap.SearchPrev)
	case keymap.Copy, keymap.CopyAll:
		v.copy()
	default:
		return v.move(a)
	}
	v.h.Redraw()
	return true
}

// turn changes between side by side and one below the other.
func (v *CompareView) turn() {
	if v.made.w > 0 && v.made.w < sideBySide {
		v.h.Say(fmt.Sprintf("side by side needs %d columns", sideBySide))
		return
	}
	v.below = !v.below
}

func (v *CompareView) move(a keymap.Action) bool {
	switch a {
	case keymap.Left:
		v.left = max(v.left-sideways, 0)
	case keymap.Right:
		v.left += sideways // Draw bounds it
	default:
		by, ok := scrollBy(a, v.height, len(v.rows))
		if !ok {
			return false
		}
		v.scroll(by)
	}
	v.h.Redraw()
	return true
}

func (v *CompareView) scroll(by int) {
	v.settle()
	v.top += by
	v.clamp()
}

func (v *CompareView) clamp() { v.top = max(0, min(v.top, len(v.rows)-max(v.height, 1))) }

// Mouse implements term.View: the wheel scrolls, the line between the messages can be dragged.
func (v *CompareView) Mouse(m term.Mouse) bool {
	switch m.Kind {
	case term.WheelUp:
		v.scroll(-wheelRows)
	case term.WheelDown:
		v.scroll(wheelRows)
	case term.Click:
		v.dragging = v.made.wide && m.X == v.made.border()
		return v.dragging
	case term.Drag:
		if !v.dragging {
			return false
		}
		v.split = max(minSplit, min(m.X*100/v.made.w, maxSplit))
	case term.Release:
		v.dragging = false
	default:
		return false
	}
	v.h.Redraw()
	return true
}

// differs reports whether a line is written differently in the two messages.
func differs(l *compare.Line) bool { return l.Change != compare.Same && l.Change != compare.Moved }

// shown reports whether a line is in the picture.
func (v *CompareView) shown(l *compare.Line) bool { return !v.only || differs(l) }

// nextDifference goes to the next line that means something else; where none does, to the next that differs at all.
func (v *CompareView) nextDifference(back bool) {
	if v.result == nil {
		return
	}
	ok := differs
	if v.result.Differences > 0 {
		ok = func(l *compare.Line) bool { return l.Meaning }
	}
	from := v.at
	if back && v.at < 0 {
		from = len(v.result.Lines)
	}
	if !v.find(from, back, ok) {
		v.h.Say("no further difference")
	}
}

// Search implements term.View. It begins at the first line: a comparison is short, and n goes to the next difference.
func (v *CompareView) Search(needle string, next, backwards bool) {
	v.needle = term.Lower(needle)
	v.h.Redraw()
	if needle == "" || v.result == nil {
		return
	}
	holds := func(l *compare.Line) bool {
		return v.holds(l.A, v.needle) || v.holds(l.B, v.needle)
	}
	from := -1
	if next {
		from = v.at
	}
	if backwards && from < 0 {
		from = len(v.result.Lines)
	}
	if !v.find(from, backwards, holds) {
		v.h.Say(quoted(needle) + " is not in this comparison")
	}
}

func (v *CompareView) holds(side []compare.Span, low string) bool {
	return strings.Contains(term.Lower(clean(compare.Text(side), v.ascii())), low)
}

// find goes to the next line behind another one, or before it, for which ok holds.
func (v *CompareView) find(from int, back bool, ok func(l *compare.Line) bool) bool {
	step := 1
	if back {
		step = -1
	}
	for i := from + step; i >= 0 && i < len(v.result.Lines); i += step {
		if l := &v.result.Lines[i]; ok(l) && v.shown(l) {
			v.at, v.want = i, i
			return true
		}
	}
	return false
}

// Saving implements term.View: a comparison is copied; its calls can be saved.
func (v *CompareView) Saving() term.Selection {
	if v.a.Call == nil || v.b.Call == nil {
		return term.Selection{}
	}
	nums := []uint32{v.a.Call.Num}
	chosen := map[uint32][]int{v.a.Call.Num: {v.a.Message}}
	if n := v.b.Call.Num; n != nums[0] {
		nums = append(nums, n)
	}
	label := "their calls"
	if len(nums) == 1 {
		label = fmt.Sprintf("call %d", nums[0])
	}
	chosen[v.b.Call.Num] = append(chosen[v.b.Call.Num], v.b.Message)
	calls := func() []uint32 { return nums }
	return term.Selection{Choices: []term.Choice{
		{Label: "the two messages", Calls: calls, Count: len(nums), Messages: chosen},
		{Label: label, Calls: calls, Count: len(nums)},
	}}
}

func (v *CompareView) copy() {
	switch {
	case v.result == nil:
		v.h.Say("comparing")
	case v.note != "":
		v.h.Say(v.note)
	default:
		v.h.Copy(v.text(), "the comparison")
	}
}

// text is the comparison for the clipboard, as far as it is shown: one message below the other.
func (v *CompareView) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "- %s\n+ %s\n\n", refHead(v.a, v.ascii()), refHead(v.b, v.ascii()))
	for i := range v.result.Lines {
		l := &v.result.Lines[i]
		switch {
		case !v.shown(l):
			continue
		case !differs(l):
			writeSide(&b, "  ", l.A, "")
			continue
		}
		writeSide(&b, "- ", l.A, l.Why)
		writeSide(&b, "+ ", l.B, l.Why)
	}
	return b.String()
}

func writeSide(b *strings.Builder, mark string, side []compare.Span, why string) {
	if side == nil {
		return
	}
	if why != "" {
		why = "    (" + why + ")"
	}
	fmt.Fprintf(b, "%s\n", strings.TrimRight(mark+text.Clean(compare.Text(side))+why, " "))
}
