package message

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"sipscope/correlate/compare"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
)

func TestCompareActions(t *testing.T) {
	t.Parallel()
	v, h := compareOf(invite(), other())
	draw := func(w int) { screen(t, w, 12, v.Draw) }
	draw(120)
	if !v.made.wide {
		t.Error("120 columns are not side by side")
	}
	v.Do(keymap.Layout)
	if draw(120); v.made.wide {
		t.Error("one below the other is not")
	}
	v.Do(keymap.Layout)
	if draw(90); v.made.wide {
		t.Error("90 columns are side by side")
	}
	v.Do(keymap.Layout)
	if v.below || !strings.Contains(last(h), "100 columns") {
		t.Errorf("on 90 columns: said %q", last(h))
	}
	draw(120)
	border := v.made.border()
	v.Do(keymap.PaneWider)
	if draw(120); v.made.border() <= border {
		t.Errorf("the middle moved from %d to %d", border, v.made.border())
	}
	for range 30 {
		v.Do(keymap.PaneNarrower)
	}
	if v.split != minSplit {
		t.Errorf("split %d, want %d", v.split, minSplit)
	}
	draw(120)
	v.Do(keymap.Bottom)
	draw(120)
	if last := v.rows[len(v.rows)-1].line; v.top == 0 || v.rows[v.top+v.height-1].line != last {
		t.Errorf("at the end the first row is %d of %d", v.top, len(v.rows))
	}
	v.Do(keymap.Top)
	if v.top != 0 {
		t.Errorf("top %d", v.top)
	}
	for _, a := range []keymap.Action{
		keymap.Up, keymap.Down, keymap.PageUp, keymap.PageDown, keymap.HalfUp, keymap.HalfDown, keymap.Left, keymap.Right,
		keymap.Syntax, keymap.Wrap,
	} {
		if !v.Do(a) {
			t.Errorf("action %d is not known", a)
		}
		draw(120)
	}
	if h.S.Wrap || h.S.Syntax {
		t.Error("wrap and syntax are still on")
	}
	if v.Do(keymap.Methods) || v.Scope() != keymap.Compare || v.Tick(time.Time{}) {
		t.Error("an action of the call list is known here, or scope or Tick are wrong")
	}
}

// TestDifferences goes through the lines that mean something else, and to spelling where there is nothing else.
func TestDifferences(t *testing.T) {
	t.Parallel()
	v, h := compareOf(invite(), other())
	screen(t, 120, 8, v.Draw)
	var lines []int
	for range v.result.Differences {
		v.Do(keymap.SearchNext)
		screen(t, 120, 8, v.Draw)
		if l := &v.result.Lines[v.at]; !l.Meaning {
			t.Errorf("line %d differs in spelling only", v.at)
		}
		if first := v.rowOf(v.at); first < v.top || first >= v.top+v.height {
			t.Errorf("line %d is not in sight", v.at)
		}
		lines = append(lines, v.at)
	}
	if !slices.IsSorted(lines) || len(slices.Compact(slices.Clone(lines))) != v.result.Differences || last(h) != "" {
		t.Errorf("went through %v, said %q", lines, last(h))
	}
	v.Do(keymap.SearchNext)
	if last(h) != "no further difference" {
		t.Errorf("said %q", last(h))
	}
	for i := len(lines) - 2; i >= 0; i-- {
		if v.Do(keymap.SearchPrev); v.at != lines[i] {
			t.Errorf("going back: line %d, want %d", v.at, lines[i])
		}
	}

	spelling, _ := compareOf(invite(), bytes.Replace(invite(), []byte("Max-Forwards"), []byte("max-forwards"), 1))
	spelling.Do(keymap.SearchPrev)
	if at := spelling.at; at < 0 || spelling.result.Lines[at].Change != compare.Changed || spelling.result.Differences != 0 {
		t.Errorf("line %d of %+v", at, spelling.result)
	}
}

func TestOnlyAndIgnore(t *testing.T) {
	t.Parallel()
	b := bytes.Replace(invite(), []byte("a84b4c76e66710"), []byte("another"), 1)
	v, _ := compareOf(invite(), b)
	if got := v.Status(); got != "1 difference" {
		t.Errorf("status %q", got)
	}
	v.Do(keymap.OnlyDifferences)
	screen(t, 120, 20, v.Draw)
	if len(v.rows) != 1 {
		t.Errorf("%d rows, want that of the Call-ID", len(v.rows))
	}
	v.Do(keymap.IgnoreExpected)
	if got := v.Status(); !strings.HasPrefix(got, "0 differences, 1 expected") {
		t.Errorf("status %q", got)
	}
	v.Do(keymap.OnlyDifferences)
	screen(t, 120, 20, v.Draw)
	if len(v.rows) < 18 {
		t.Errorf("%d rows, want all", len(v.rows))
	}
}

func TestCompareSearch(t *testing.T) {
	t.Parallel()
	v, h := compareOf(invite(), other())
	screen(t, 120, 8, v.Draw)
	at := func(want string) {
		t.Helper()
		if v.at < 0 || !strings.Contains(compare.Text(v.result.Lines[v.at].A)+"\n"+compare.Text(v.result.Lines[v.at].B), want) {
			t.Errorf("line %d, want one with %q", v.at, want)
		}
	}
	v.Search("RECORD-route", false, false)
	at("Record-Route")
	v.Search("via", false, false)
	at("10.0.0.9;branch")
	v.Search("via", true, false)
	at("10.0.0.1:5060;branch")
	v.Search("via", true, true)
	at("10.0.0.9;branch")
	v.Search("not there", false, false)
	if last(h) != `"not there" is not in this comparison` {
		t.Errorf("said %q", last(h))
	}
	v.Search("", false, false)
	if v.needle != "" {
		t.Error("the search has not ended")
	}
}

// TestCompareCopy: the text is a comparison that can be read without a terminal.
func TestCompareCopy(t *testing.T) {
	t.Parallel()
	v, h := compareOf(invite(), other())
	v.Do(keymap.OnlyDifferences)
	v.Do(keymap.Copy)
	want := `- frame 1 · 10.0.0.1:5060 → [2001:db8::2]:5060 UDP · 12:00:01.000000
+ frame 1 · 10.0.0.1:5060 → [2001:db8::2]:5060 UDP · 12:00:01.000000

- INVITE sip:bob@b.example;transport=udp SIP/2.0
+ INVITE sip:bob@10.9.9.9:5070 SIP/2.0
+ Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKproxy
`
	if !strings.HasPrefix(h.Copied, want) {
		t.Errorf("copied\n%s\nwant it to begin with\n%s", h.Copied, want)
	}
	if !strings.Contains(h.Copied, "+ From: \"Alice A.\" <sip:alice@a.example>;tag=1928301774    (compact form)\n") ||
		strings.Contains(h.Copied, "  CSeq") {
		t.Errorf("copied\n%s", h.Copied)
	}
	v.Do(keymap.OnlyDifferences)
	v.Do(keymap.CopyAll)
	if !strings.Contains(h.Copied, "\n  CSeq: 314159 INVITE\n") {
		t.Errorf("with what is the same:\n%s", h.Copied)
	}
	gone, h := compareOf(invite(), nil)
	gone.Do(keymap.CopyAll)
	if h.Copied != "" || !strings.Contains(last(h), "no longer there") {
		t.Errorf("copied %q, said %q", h.Copied, last(h))
	}
}

func TestCompareSaving(t *testing.T) {
	t.Parallel()
	v, h := compareOf(invite(), other())
	got := v.Saving().Choices
	if len(got) != 2 || !slices.Equal(got[0].Calls(), []uint32{3, 4}) || len(got[0].Messages) != 2 || got[1].Messages != nil {
		t.Errorf("offered are %+v", got)
	}
	c := callOf(3, invite(), invite())
	one := NewCompare(h, term.Comparison{A: term.MessageRef{Call: c}, B: term.MessageRef{Call: c, Message: 1}}).Saving().Choices
	if !slices.Equal(one[0].Calls(), []uint32{3}) || !slices.Equal(one[0].Messages[3], []int{0, 1}) || one[1].Label != "call 3" {
		t.Errorf("of one call: %+v", one)
	}
	nothing := NewCompare(h, term.Comparison{B: term.MessageRef{Call: c, Message: 9}})
	screen(t, 80, 5, nothing.Draw)
	if len(nothing.Saving().Choices) != 0 || !strings.Contains(nothing.Title(), "no message") {
		t.Errorf("of nothing: title %q", nothing.Title())
	}
}

// TestCompareBehind: long messages are compared on another goroutine, and only the newest comparison counts.
func TestCompareBehind(t *testing.T) {
	t.Parallel()
	a := numbered(800)
	b := bytes.Replace(a, []byte("value 7\r"), []byte("value x\r"), 1)
	v, h := compareOf(invite(), invite())
	h.Async = true
	h.D.Text = hostOf(map[uint32][][]byte{3: {a}, 4: {b}}).D.Text
	v = NewCompare(h, term.Comparison{A: v.a, B: v.b})
	for _, act := range []keymap.Action{keymap.SearchNext, keymap.Copy, keymap.Bottom, keymap.IgnoreExpected} {
		v.Do(act) // before there is anything
	}
	v.Search("x", false, false)
	if got := screen(t, 120, 8, v.Draw)[0]; got != "comparing" || len(h.Queue) != 2 {
		t.Errorf("at first %q, %d in the queue", got, len(h.Queue))
	}
	h.RunQueue()
	v.Do(keymap.SearchNext)
	got := strings.Join(screen(t, 120, 8, v.Draw), "\n")
	if !strings.Contains(got, "~ X-7: value 7") || !strings.HasPrefix(v.Status(), "1 difference") {
		t.Errorf("status %q\n%s", v.Status(), got)
	}
}

func TestCompareMouse(t *testing.T) {
	t.Parallel()
	v, _ := compareOf(invite(), other())
	screen(t, 120, 8, v.Draw)
	mouse := func(kind term.MouseKind, x int) bool { return v.Mouse(term.Mouse{Kind: kind, X: x}) }
	if !mouse(term.WheelDown, 5) || v.top != 3 || !mouse(term.WheelUp, 5) || v.top != 0 {
		t.Errorf("the wheel scrolls to %d", v.top)
	}
	if mouse(term.Click, 5) || mouse(term.Drag, 30) {
		t.Error("a drag beside the line is used")
	}
	if !mouse(term.Click, v.made.border()) || !mouse(term.Drag, 36) || v.split != 30 || !mouse(term.Drag, 0) ||
		v.split != minSplit || !mouse(term.Release, 0) || mouse(term.Drag, 36) {
		t.Errorf("dragged to %d per cent", v.split)
	}
	if mouse(term.DoubleClick, 5) {
		t.Error("a double click is used")
	}
}

// TestSides: the sides of a row show their whole lines, and the marks tell the change without colour.
func TestSides(t *testing.T) {
	t.Parallel()
	v, h := compareOf(invite(), other())
	for _, w := range []int{40, 99, 100, 130} {
		for _, wrap := range []bool{true, false} {
			h.S.Wrap = wrap
			screen(t, w, 8, v.Draw)
			marks := map[string]int{}
			for i := range v.rows {
				marks[v.rows[i].mark]++
			}
			if marks[markAdded] == 0 || marks[markRemoved] == 0 || (marks[markChanged] > 0) != (w >= sideBySide) {
				t.Errorf("%d wide: marks %v", w, marks)
			}
			for i := range v.sides {
				if !wrap {
					break
				}
				var a, b strings.Builder
				s := &v.sides[i]
				for _, r := range v.rows {
					if r.line == i {
						a.WriteString(s.a.text[r.a.from:r.a.to])
						b.WriteString(s.b.text[r.b.from:r.b.to])
					}
				}
				once := !v.made.wide && !differs(&v.result.Lines[i])
				if a.String() != s.a.text || b.String() != s.b.text && !once {
					t.Errorf("%d wide: rows show %q and %q of %q and %q", w, a.String(), b.String(), s.a.text, s.b.text)
				}
			}
		}
	}
}
