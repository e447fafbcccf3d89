package pair

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"sipscope/correlate"
	"sipscope/correlate/diff"
	"sipscope/render/ladder/laddertest"
	"sipscope/render/pair"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
	"sipscope/render/tui/term/termtest"
)

// at gives the row of the result under the cursor.
func (v *View) row() int { return int(v.list[v.cursor]) }

func TestItOpensWhereTheFlowsPart(t *testing.T) {
	t.Parallel()
	v, _ := open(trunk())
	termtest.Draw(t, v, 80, 12, false)
	if v.row() != 5 {
		t.Errorf("the cursor is on row %d, want 5", v.row())
	}
	if v, _ = open(same()); v.Tick(time.Time{}) && v.row() != 0 {
		t.Errorf("two calls that are the same begin at row %d", v.row())
	}
}

func TestDifferencesAreSteppedThrough(t *testing.T) {
	t.Parallel()
	v, h := open(trunk())
	termtest.Draw(t, v, 120, 40, false)
	v.Do(keymap.Top)
	var seen []int
	for range 7 {
		v.Do(keymap.SearchNext)
		seen = append(seen, v.row())
	}
	if want := []int{3, 5, 6, 7, 8, 9, 9}; !slices.Equal(seen, want) {
		t.Errorf("n goes to rows %v, want %v: tolerated ones and what is not reached are no stops", seen, want)
	}
	if got := h.Said; len(got) != 1 || got[0] != "no further difference" {
		t.Errorf("behind the last one it says %q", got)
	}
	v.Do(keymap.SearchPrev)
	if v.row() != 8 {
		t.Errorf("N goes to row %d", v.row())
	}
	v.Do(keymap.FirstDifference)
	if v.row() != 5 {
		t.Errorf("f goes to row %d", v.row())
	}
}

func TestToleratedOnesAreStopsWhereNothingElseDiffers(t *testing.T) {
	t.Parallel()
	r := same()
	r.Rows[4].Verdict, r.Verdict = diff.Tolerated, diff.Tolerated
	v, h := open(r)
	termtest.Draw(t, v, 80, 24, false)
	v.Do(keymap.SearchNext)
	if v.row() != 4 {
		t.Errorf("n goes to row %d, want 4", v.row())
	}
	v.Do(keymap.FirstDifference)
	if len(h.Said) == 0 || h.Said[0] != "they do not part" {
		t.Errorf("f says %q", h.Said)
	}
}

func TestOnlyDifferences(t *testing.T) {
	t.Parallel()
	v, _ := open(trunk())
	termtest.Draw(t, v, 120, 40, false)
	v.Do(keymap.OnlyDifferences)
	if want := []int32{2, 3, 4, 5, 6, 7, 8, 9, 10, 11}; !slices.Equal(v.list, want) {
		t.Errorf("rows %v, want %v", v.list, want)
	}
	if v.row() != 5 {
		t.Errorf("the cursor went to row %d", v.row())
	}
	v.Do(keymap.Top)
	v.Do(keymap.OnlyDifferences)
	if v.row() != 2 || len(v.list) != 12 {
		t.Errorf("back among all rows the cursor is on %d of %d", v.row(), len(v.list))
	}
}

func TestEnterOpensTheMessages(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		row, a, b int // messages, -1 for none
	}{{5, 5, 6}, {6, -1, 7}, {8, 7, -1}} {
		v, h := open(trunk())
		termtest.Draw(t, v, 120, 40, false)
		v.moveTo(v.position(tt.row))
		v.Do(keymap.Open)
		var want []term.MessageRef
		if tt.a >= 0 {
			want = append(want, term.MessageRef{Call: &v.result.A.Calls[0], Message: tt.a})
		}
		if tt.b >= 0 {
			want = append(want, term.MessageRef{Call: &v.result.B.Calls[0], Message: tt.b})
		}
		if !slices.Equal(h.Messages, want) {
			t.Errorf("row %d opens %v, want %v", tt.row, h.Messages, want)
		}
		kind := map[bool]string{true: "compare", false: "messages"}[len(want) == 2]
		if len(h.Opened) != 1 || h.Opened[0] != kind {
			t.Errorf("row %d opens %v", tt.row, h.Opened)
		}
		for _, m := range h.Messages {
			if text := h.D.Text(m.Call, m.Message); len(text) == 0 {
				t.Errorf("row %d: no text of its message", tt.row)
			}
		}
		if h.D.Text(&correlate.Call{}, 0) != nil {
			t.Error("there is a text of a call that is not compared")
		}
		if len(want) == 2 && len(h.Compared.Made().Lines) == 0 {
			t.Error("the comparison of the messages is empty")
		}
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	v, h := open(trunk())
	termtest.Draw(t, v, 120, 40, false)
	v.Do(keymap.Top)
	for _, tt := range []struct {
		text       string
		next, back bool
		want       int
	}{
		{"BUSY", false, false, 5},
		{"busy", true, false, 7},
		{"busy", true, false, 5},
		{"busy", true, true, 7},
		{"sent again", false, false, 2},
		{"not reached", false, false, 10},
	} {
		v.Search(tt.text, tt.next, tt.back)
		if v.row() != tt.want {
			t.Errorf("%q (%t, %t) finds row %d, want %d", tt.text, tt.next, tt.back, v.row(), tt.want)
		}
	}
	v.Search("no such thing", false, false)
	if len(h.Said) != 1 || !strings.Contains(h.Said[0], "is not in this comparison") {
		t.Errorf("what is not there: %q", h.Said)
	}
}

func TestSeveralPairs(t *testing.T) {
	t.Parallel()
	report := reportOf(same(), same(), trunk())
	lone := correlate.Summary{Num: 9, CallID: "x"}
	report.Pairs = append(report.Pairs, pair.Alone(&lone, true))
	report.Pairs[1].Verdict = diff.Tolerated
	h := termtest.NewHost(term.Data{})
	report.Notes = []string{"one note", "another"}
	v := New(h, report)
	if len(h.Said) != 1 || h.Said[0] != "one note · another" {
		t.Errorf("the notes: %q", h.Said)
	}
	screen := func() string { return termtest.Draw(t, v, 80, 24, false) }
	if s := screen(); !strings.Contains(s, "DIFFERS") || !strings.Contains(v.Title(), "3 of 4 pairs") {
		t.Errorf("it begins with %q", v.Title())
	}
	v.Do(keymap.NextPair)
	if s := screen(); !strings.Contains(s, "good.pcap call 9 has no partner: only in the first") {
		t.Errorf("a call without partner: %s", s)
	}
	for _, a := range []keymap.Action{keymap.Open, keymap.SearchNext, keymap.OnlyDifferences, keymap.Save, keymap.Copy, keymap.CopyAll, keymap.Bottom, keymap.PageUp, keymap.FirstDifference} {
		v.Do(a)
	}
	v.Do(keymap.NextPair)
	if n := len(h.Said); n == 0 || h.Said[n-1] != "these are the last two calls" {
		t.Errorf("behind the last pair: %q", h.Said)
	}
	for range 3 {
		v.Do(keymap.PrevPair)
	}
	if s := screen(); v.at != 0 || !strings.Contains(s, " SAME") {
		t.Errorf("pair %d: %s", v.at, s)
	}
	v.Do(keymap.PrevPair)
	if n := len(h.Said); h.Said[n-1] != "these are the first two calls" {
		t.Errorf("before the first pair: %q", h.Said)
	}
}

func TestLayoutNeedsRoom(t *testing.T) {
	t.Parallel()
	v, h := open(trunk())
	termtest.Draw(t, v, 80, 24, false)
	v.Do(keymap.Layout)
	if len(h.Said) != 1 || v.one {
		t.Errorf("on 80 columns: %q", h.Said)
	}
	termtest.Draw(t, v, 120, 24, false)
	v.Do(keymap.Layout)
	termtest.Draw(t, v, 120, 24, false)
	if !v.one || v.geo.two {
		t.Error("there are still two ladders")
	}
}

func TestSave(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v, h := open(trunk())
	termtest.Draw(t, v, 120, 40, false)
	for ext, want := range map[string]string{
		".txt": "486 Busy Here", ".html": "<!doctype html>", ".json": `"headline"`, ".xml": "<testsuite",
	} {
		path := filepath.Join(dir, "diff"+ext)
		v.Do(keymap.Save)
		if err := h.Prompt.Done(" " + path + " "); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil || !strings.Contains(strings.ToLower(string(b)), strings.ToLower(want)) {
			t.Errorf("%s: %v, %.300s", path, err, b)
		}
	}
	v.Do(keymap.Save)
	for bad, want := range map[string]string{"": "no file named", "x.pcap": "the name must end with"} {
		if err := h.Prompt.Done(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	path := filepath.Join(dir, "diff.txt")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := h.Prompt.Done(path); err != nil || h.Question == "" {
		t.Fatalf("it overwrites without asking: %v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "precious" {
		t.Error("the file is gone before the answer")
	}
	h.Yes()
	if b, _ := os.ReadFile(path); !strings.Contains(string(b), "486") {
		t.Error("the answer changed nothing")
	}
	if err := h.Prompt.Done(filepath.Join(dir, "none", "x.txt")); err != nil || len(h.Failed) != 1 {
		t.Errorf("a folder that is not there: %v, %v", err, h.Failed)
	}
}

func TestCopy(t *testing.T) {
	t.Parallel()
	v, h := open(trunk())
	termtest.Draw(t, v, 120, 40, false)
	v.Do(keymap.Copy)
	if !strings.HasPrefix(h.Copied, "200 OK → 486 Busy Here bob → proxy: differs\n✗ expected 200 OK") {
		t.Errorf("y copies %q", h.Copied)
	}
	v.Do(keymap.CopyAll)
	if !strings.Contains(h.Copied, "DIFFERS") || !strings.Contains(h.Copied, "183 Session Progress") {
		t.Errorf("Y copies %q", h.Copied)
	}
}

func TestMouse(t *testing.T) {
	t.Parallel()
	v, h := open(trunk())
	termtest.Draw(t, v, 120, 40, false)
	v.Mouse(term.Mouse{X: 30, Y: v.geo.top + 1, Kind: term.Click})
	if v.row() != 1 {
		t.Errorf("a click goes to row %d", v.row())
	}
	v.Mouse(term.Mouse{X: 30, Y: v.geo.top, Kind: term.DoubleClick})
	if len(h.Opened) != 1 {
		t.Errorf("two clicks open %v", h.Opened)
	}
	if v.Mouse(term.Mouse{X: 30, Y: 0, Kind: term.Click}) || v.Mouse(term.Mouse{Kind: term.Drag}) {
		t.Error("what is above the rows is used")
	}
	termtest.Draw(t, v, 80, 12, false)
	v.Mouse(term.Mouse{X: 3, Y: 5, Kind: term.WheelDown})
	if v.top != 3 || v.lines.start(v.cursor) < v.top {
		t.Errorf("the wheel scrolls to line %d, the cursor is on row %d", v.top, v.row())
	}
}

// TestBoard compares two calls of a board.
func TestBoard(t *testing.T) {
	t.Parallel()
	d := termtest.Load(t, filepath.Join("..", "..", "..", "testdata", "pcaps", "failures.pcap"))
	h := termtest.NewHost(d)
	v := Calls(h, 1, 2)
	if s := termtest.Draw(t, v, 120, 40, false); !strings.Contains(s, "call 1") || !strings.Contains(s, "call 2") {
		t.Error(s)
	}
	v.Do(keymap.CopyAll)
	if !strings.Contains(h.Copied, "- failures.pcap call 1; ") && !strings.Contains(h.Copied, "- failures.pcap call 1 · ") ||
		!strings.HasPrefix(h.Copied, "DIFFERS at row 1") {
		t.Errorf("the copy does not say what was compared: %.300s", h.Copied)
	}
	if v = Calls(h, 1, 99_999); !strings.Contains(termtest.Draw(t, v, 80, 24, false), "call 99999 is no longer kept") {
		t.Errorf("a call that is not there: %q", v.Status())
	}
	v.Do(keymap.Down)
	v.Do(keymap.Open)
}

// TestLostWork loses the comparison with a view that was on top: it is begun anew.
func TestLostWork(t *testing.T) {
	t.Parallel()
	h := termtest.NewHost(term.Data{})
	h.Async = true
	v := New(h, reportOf(trunk()))
	if s := termtest.Draw(t, v, 120, 40, false); !strings.Contains(s, "comparing good.pcap call 1 and bad.pcap call 4") {
		t.Errorf("while it is compared: %s", s)
	}
	if v.Status() != "comparing" || len(h.Queue) != 1 {
		t.Errorf("status %q, %d jobs", v.Status(), len(h.Queue))
	}
	v.Do(keymap.Down) // no second job
	if len(h.Queue) != 1 {
		t.Fatalf("%d jobs", len(h.Queue))
	}
	h.Queue = nil
	v.load.lost.Store(true)
	v.Tick(time.Time{})
	h.RunQueue()
	if v.pic == nil || v.row() != 5 {
		t.Error("the comparison never came")
	}
}

// TestASCIIChange draws anew in the other characters, and stays where it is.
func TestASCIIChange(t *testing.T) {
	t.Parallel()
	v, h := open(trunk())
	termtest.Draw(t, v, 120, 40, false)
	v.Do(keymap.Bottom)
	h.S.ASCII = true
	termtest.Draw(t, v, 120, 40, true)
	if v.row() != 11 || !v.pic.ascii {
		t.Errorf("row %d, ascii %t", v.row(), v.pic.ascii)
	}
}

func TestStamp(t *testing.T) {
	t.Parallel()
	for ns, want := range map[int64]string{
		0: "0 ms", 250_000: "0.25 ms", 999_900_000: "1 s", 59_990_000_000: "59.99 s", 61_750_000_000: "61.7 s",
		99_999_999_999: "99.9 s", 725e9: "12m 05s", 11_100e9: "3h 05m",
	} {
		if got := stamp(ns); got != want || len(got) > timeW {
			t.Errorf("%d: %q, want %q", ns, got, want)
		}
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		s    string
		w    int
		want string
	}{
		{"", 3, ""}, {"abc", 3, "abc"}, {"abcd", 3, "abc"}, {"abc", 0, ""}, {"中文字", 4, "中文"}, {"中文字", 5, "中文"}, {"中", 1, ""},
	} {
		if got := cut(tt.s, tt.w); got != tt.want {
			t.Errorf("%q in %d cells: %q, want %q", tt.s, tt.w, got, tt.want)
		}
	}
}

// TestGroup compares flows of several calls.
func TestGroup(t *testing.T) {
	t.Parallel()
	legs := laddertest.TwoLegs()
	f := diff.Flow{Name: "legs", Text: laddertest.Text(legs...)}
	for _, m := range legs {
		f.Calls = append(f.Calls, m.Call)
	}
	r := &diff.Result{A: f, B: f, First: -1, Who: []diff.Participant{{Name: "a"}, {Name: "b"}, {Name: "c"}}}
	for c := range f.Calls {
		for m := range f.Calls[c].Messages {
			r.Rows = append(r.Rows, diff.Row{A: diff.Ref{Call: c, Message: m}, B: diff.Ref{Call: c, Message: m}, From: c, To: c + 1})
		}
	}
	v, h := open(r)
	s := termtest.Draw(t, v, 120, 40, false)
	if !strings.Contains(s, "INVITE") {
		t.Error(s)
	}
	v.Do(keymap.Bottom)
	v.Do(keymap.Open)
	if h.Messages[0].Call != &v.result.A.Calls[len(f.Calls)-1] {
		t.Error("the last row is not of the last call")
	}
}

func ExampleView_Title() {
	v, _ := open(trunk())
	fmt.Println(v.Title())
	// Output: diff · good.pcap call 1 · bad.pcap call 4
}
