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
	headA  string
	headB  string
	result *compare.Result // nil while it is made
	gone   bool            // a text cannot be read again
	ignore bool

	below bool // one below the other, also where there is room for both
	only  bool // only what differs
	split int  // per cent of the width for the first

	made struct {
		w                  int
		wide, only, ignore bool
		wrap, ascii        bool
	}
	rows   []pairRow
	top    int
	height int
	needle string
	at     int // line of the difference or search, -1 for none
}

// sideBySide is the width from which on two messages have room beside each other.
const sideBySide = 100

// NewCompare compares two messages.
func NewCompare(h term.Host, a, b term.MessageRef) *CompareView {
	v := &CompareView{h: h, a: a, b: b, headA: Head(a.Call, a.Message), headB: Head(b.Call, b.Message), split: 50, at: -1}
	v.compare()
	return v
}

var _ term.View = (*CompareView)(nil)

// compare makes the result on another goroutine: two hostile messages take some tens of milliseconds.
func (v *CompareView) compare() {
	data, x, y, ignore := v.h.Data(), v.a, v.b, v.ignore
	v.h.Go(func(context.Context) func() {
		rawA, rawB := data.Text(x.Call, x.Message), data.Text(y.Call, y.Message)
		var a, b sip.Message
		_, _ = sip.Parse(rawA, &a), sip.Parse(rawB, &b) // what is no SIP compares as an empty message, and says so
		r := compare.Messages(&a, &b, compare.Options{Ignore: ignore})
		return func() {
			v.result, v.gone, v.rows, v.at = &r, rawA == nil || rawB == nil, nil, -1
			v.h.Redraw()
		}
	})
}

// Scope implements term.View.
func (v *CompareView) Scope() keymap.Scope { return keymap.Compare }

// Title implements term.View.
func (v *CompareView) Title() string {
	return fmt.Sprintf("compare · call %d message %d · call %d message %d", v.a.Call.Num, v.a.Message+1, v.b.Call.Num,
		v.b.Message+1)
}

// Status implements term.View.
func (v *CompareView) Status() string {
	if v.result == nil {
		return "comparing"
	}
	s := fmt.Sprintf("%d differences", v.result.Differences)
	if v.result.Differences == 1 {
		s = "1 difference"
	}
	if n := v.result.Spelling; n > 0 {
		s += fmt.Sprintf(", %d of spelling only", n)
	}
	if n := v.result.Expected; n > 0 {
		s += fmt.Sprintf(", %d expected", n)
	}
	if v.only {
		s += " · only differences are shown"
	}
	if v.gone {
		s += " · a text is no longer there"
	}
	return s
}

// Tick implements term.View.
func (v *CompareView) Tick(time.Time) bool { return false }

// shown reports whether a line is in the picture.
func (v *CompareView) shown(l *compare.Line) bool {
	return !v.only || l.Change != compare.Same && l.Change != compare.Moved
}

// Do implements term.View.
func (v *CompareView) Do(a keymap.Action) bool {
	switch a {
	case keymap.Layout:
		v.below = !v.below
	case keymap.OnlyDifferences:
		v.only = !v.only
	case keymap.IgnoreExpected:
		v.ignore = !v.ignore
		v.compare()
	case keymap.Wrap:
		v.h.Settings().Wrap = !v.h.Settings().Wrap
	case keymap.Syntax:
		v.h.Settings().Syntax = !v.h.Settings().Syntax
	case keymap.PaneWider:
		v.split = min(v.split+5, 80)
		v.rows = nil
	case keymap.PaneNarrower:
		v.split = max(v.split-5, 20)
		v.rows = nil
	case keymap.SearchNext, keymap.SearchPrev:
		v.nextDifference(a == keymap.SearchPrev)
	case keymap.Copy, keymap.CopyAll:
		v.h.Copy(v.text(), "the comparison")
	default:
		return v.move(a)
	}
	v.h.Redraw()
	return true
}

func (v *CompareView) move(a keymap.Action) bool {
	page := max(v.height-1, 1)
	switch a {
	case keymap.Up:
		v.scroll(-1)
	case keymap.Down:
		v.scroll(1)
	case keymap.PageUp:
		v.scroll(-page)
	case keymap.PageDown:
		v.scroll(page)
	case keymap.HalfUp:
		v.scroll(-page / 2)
	case keymap.HalfDown:
		v.scroll(page / 2)
	case keymap.Top:
		v.scroll(-len(v.rows))
	case keymap.Bottom:
		v.scroll(len(v.rows))
	default:
		return false
	}
	v.h.Redraw()
	return true
}

func (v *CompareView) scroll(by int) { v.top = max(0, min(v.top+by, len(v.rows)-max(v.height, 1))) }

// Mouse implements term.View.
func (v *CompareView) Mouse(m term.Mouse) bool {
	switch m.Kind {
	case term.WheelUp:
		v.scroll(-3)
	case term.WheelDown:
		v.scroll(3)
	default:
		return false
	}
	v.h.Redraw()
	return true
}

// nextDifference goes to the next line that means something else; where none does, to the next that differs at all.
func (v *CompareView) nextDifference(back bool) {
	if v.result == nil {
		return
	}
	meaning := v.result.Differences > 0
	v.find(back, func(l *compare.Line) bool {
		if meaning {
			return l.Meaning
		}
		return l.Change != compare.Same && l.Change != compare.Moved
	}, "no further difference")
}

// Search implements term.View.
func (v *CompareView) Search(needle string, _, backwards bool) {
	if v.needle = term.Lower(needle); needle == "" || v.result == nil {
		v.h.Redraw()
		return
	}
	v.at = -1
	v.find(backwards, func(l *compare.Line) bool {
		return strings.Contains(term.Lower(compare.Text(l.A)), v.needle) || strings.Contains(term.Lower(compare.Text(l.B)), v.needle)
	}, fmt.Sprintf("%q is in neither message", text.Clean(needle)))
}

// find goes to the next line for which ok holds.
func (v *CompareView) find(back bool, ok func(l *compare.Line) bool, none string) {
	step := 1
	if back {
		step = -1
		if v.at < 0 {
			v.at = len(v.result.Lines)
		}
	}
	for i := v.at + step; i >= 0 && i < len(v.result.Lines); i += step {
		if l := &v.result.Lines[i]; ok(l) && v.shown(l) {
			v.at = i
			v.reveal()
			v.h.Redraw()
			return
		}
	}
	v.h.Say(none)
}

func (v *CompareView) reveal() {
	for i := range v.rows {
		if v.rows[i].line == v.at {
			if i < v.top || i >= v.top+v.height {
				v.top = i
				v.scroll(-v.height / 3)
			}
			return
		}
	}
}

// Saving implements term.View: a comparison is copied; its calls can be saved.
func (v *CompareView) Saving() term.Selection {
	x, y := v.a, v.b
	nums := []uint32{x.Call.Num}
	chosen := map[uint32][]int{x.Call.Num: {x.Message}}
	if y.Call.Num != x.Call.Num {
		nums = append(nums, y.Call.Num)
	}
	chosen[y.Call.Num] = append(chosen[y.Call.Num], y.Message)
	calls := func() []uint32 { return nums }
	return term.Selection{Choices: []term.Choice{
		{Label: "the two messages", Calls: calls, Count: len(nums), Messages: chosen},
		{Label: "their calls", Calls: calls, Count: len(nums)},
	}}
}

// text is the comparison for the clipboard, one message below the other.
func (v *CompareView) text() string {
	if v.result == nil {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "- %s\n+ %s\n", v.headA, v.headB)
	for i := range v.result.Lines {
		l := &v.result.Lines[i]
		if !v.shown(l) {
			continue
		}
		why := ""
		if l.Why != "" {
			why = "    (" + l.Why + ")"
		}
		switch l.Change {
		case compare.Same, compare.Moved:
			fmt.Fprintf(&b, "  %s\n", text.Clean(compare.Text(l.A)))
		default:
			if l.A != nil {
				fmt.Fprintf(&b, "- %s%s\n", text.Clean(compare.Text(l.A)), why)
			}
			if l.B != nil {
				fmt.Fprintf(&b, "+ %s%s\n", text.Clean(compare.Text(l.B)), why)
			}
		}
	}
	return b.String()
}
