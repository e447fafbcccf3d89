package calls

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sipscope/correlate"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
	"sipscope/render/tui/term/termtest"
)

// work runs what waits and lets the list take it, until nothing is left to do.
func (x *tester) work() {
	x.t.Helper()
	for range 50 {
		x.h.RunQueue()
		x.draw(80, 24)
		if len(x.h.Queue) == 0 {
			return
		}
	}
	x.t.Fatal("the work in the background does not end")
}

// Calls that come while the first pass of a filter runs, and never change again, are not lost.
func TestPassSeesNewCalls(t *testing.T) {
	t.Parallel()
	f := newFeed(t, correlate.Limits{})
	f.push(requests(1, 3)...)
	x := f.tester(t, true)
	x.filter(`method == "INVITE"`)
	contains(t, x.Status(), "filtering")
	f.push(requests(4, 6)...)
	x.h.RunQueue()
	x.want("at once", 1, 2, 3, 5, 6)
	x.work()
	x.want("later", 1, 2, 3, 5, 6)
	f.push(requests(7, 9)...)
	x.work()
	x.want("further calls", 1, 2, 3, 5, 6, 7, 9)
	f.push(busy(2, ""))
	x.filter(`state == "calling"`)
	x.work()
	x.want("before the answer", 1, 3, 5, 6, 7, 9)
	f.push(busy(5, ""))
	x.work()
	x.want("after it", 1, 3, 6, 7, 9)
}

// A sort that was under way does not bring back what was taken off the list meanwhile.
func TestClearEndsTheSort(t *testing.T) {
	t.Parallel()
	f := newFeed(t, correlate.Limits{})
	f.push(requests(1, 6)...)
	x := f.tester(t, true)
	x.settings().Sort = "-method"
	x.draw(80, 24)
	contains(t, x.Status(), "sorting")
	x.want("the old order stays", 1, 2, 3, 4, 5, 6)
	x.do(keymap.Clear)
	x.h.Yes()
	x.work()
	x.want("cleared")
	f.push(requests(7, 8)...)
	x.work()
	x.want("new calls", 8, 7)

	x.filter(`method == "OPTIONS"`)
	x.work()
	x.do(keymap.SelectAll, keymap.KeepFiltered)
	x.work()
	x.want("kept", 8)
}

// An order made of fewer calls than there are is made anew, although no further message comes.
func TestSortIsCompleteAtTheEnd(t *testing.T) {
	t.Parallel()
	f := newFeed(t, correlate.Limits{})
	f.push(requests(1, 3)...)
	x := f.tester(t, true)
	x.settings().Sort = "-callid"
	x.work()
	x.want("at first", 3, 2, 1)
	f.push(requests(4, 5)...)
	x.list.resort(x.now.Add(time.Second)) // the tick has counted before the calls came
	x.work()
	x.work()
	x.want("at the end", 5, 4, 3, 2, 1)
}

// A filter that replaces as many calls as it had before orders anew.
func TestSortFollowsTheFilter(t *testing.T) {
	t.Parallel()
	f := newFeed(t, correlate.Limits{})
	f.push(requests(3, 8)...) // numbers 2 and 6 are OPTIONS
	x := f.tester(t, true)
	x.settings().Sort = "-callid"
	x.filter(`num <= 2`)
	x.work()
	x.want("two", 2, 1)
	x.filter(`num >= 5`)
	x.work()
	x.want("two others", 6, 5)
	x.filter("")
	x.work()
	x.want("all", 6, 5, 4, 3, 2, 1)
}

// With another screen on top, work that the end of a chunk began would be thrown away with that screen.
func TestScanGoesOnWithTicks(t *testing.T) {
	t.Parallel()
	f := newFeed(t, correlate.Limits{})
	f.push(requests(1, 700)...)
	x := f.tester(t, true)
	x.filter("bob7@example.com")
	contains(t, x.Status(), "searching the messages, 0 %")
	x.h.RunQueue()
	if len(x.h.Queue) != 0 {
		t.Error("the end of a chunk begins the next one")
	}
	x.draw(80, 24)
	contains(t, x.Status(), "searching the messages, 73 %")
	x.want("results of the first chunk", 7)
	x.do(keymap.KeepFiltered)
	if len(x.h.Said) == 0 || x.list.len() != 1 || !x.list.filtered() {
		t.Error("a filter that is still at work was kept")
	}
	x.work()
	x.want("all chunks", 7)
	f.push(request("INVITE", 701, "Subject: bob7@example.com\r\n"))
	x.work()
	x.want("a new call", 7, 701)
	x.filter(`text("BOB7@example.com") && code == 486`)
	x.work()
	x.want("and a field")
	f.push(busy(701, ""))
	x.work()
	x.want("and a field that changes", 701)
	x.filter(`!text("bob7@example.com")`)
	x.work()
	if x.list.len() != 699 {
		t.Errorf("%d calls without the word", x.list.len())
	}
}

// Of the filters that a user passes through while typing only the last one costs more than a chunk.
func TestTypingEndsTheWorkBefore(t *testing.T) {
	t.Parallel()
	f := newFeed(t, correlate.Limits{})
	f.push(requests(1, 600)...)
	x := f.tester(t, true)
	x.Do(keymap.Filter)
	c := x.count()
	for _, src := range []string{"num < 1", "num < 10", "num < 100"} {
		if err := x.h.Prompt.Changed(src); err != nil {
			t.Fatal(err)
		}
	}
	x.work()
	if x.list.len() != 99 {
		t.Errorf("%d calls", x.list.len())
	}
	if c.copied > 600+10*23 {
		t.Errorf("%d summaries were copied for three filters over 600 calls", c.copied)
	}
	c.copied = 0
	for _, s := range []string{"x", "xy", "xyz"} {
		x.Search(s, false, false)
	}
	contains(t, x.Status(), "searching")
	x.h.RunQueue()
	if c.copied > 99 {
		t.Errorf("%d summaries were copied for three searches in 99 calls", c.copied)
	}
	if len(x.h.Said) != 1 || strings.Contains(x.Status(), "searching") {
		t.Errorf("said %q, status %q", x.h.Said, x.Status())
	}
}

// A search that was given up leaves no trace.
func TestSearchGivenUp(t *testing.T) {
	t.Parallel()
	f := newFeed(t, correlate.Limits{})
	f.push(requests(1, 9)...)
	x := f.tester(t, true)
	x.Search("bob5", false, false)
	x.Search("", false, false)
	x.work()
	if x.at != 1 || x.searching {
		t.Errorf("on call %d, searching %v", x.at, x.searching)
	}
	x.Search("bob5", false, false)
	x.filter("false")
	x.Search("bob6", false, false)
	x.work()
	if strings.Contains(x.Status(), "searching") {
		t.Errorf("status %q", x.Status())
	}
}

// A new search begins at the cursor when the user has moved.
func TestSearchFromTheCursor(t *testing.T) {
	t.Parallel()
	f := newFeed(t, correlate.Limits{})
	f.push(requests(1, 29)...)
	x := f.tester(t, false)
	for _, text := range []string{"b", "bo", "bob2"} {
		x.Search(text, false, false)
	}
	if x.at != 2 {
		t.Errorf("on call %d, want 2", x.at)
	}
	x.do(keymap.PageDown)
	x.Search("bob1", false, false)
	if x.at != 1 && x.at < 10 {
		t.Errorf("on call %d", x.at)
	}
	x.do(keymap.Top, keymap.Down, keymap.Down, keymap.Down)
	x.Search("bob1", false, false)
	if x.at != 10 {
		t.Errorf("on call %d, want 10", x.at)
	}
	x.Mouse(term.Mouse{X: 10, Y: 15, Kind: term.Click})
	x.Search("bob1", false, false)
	if x.at != 15 {
		t.Errorf("on call %d, want 15", x.at)
	}
}

func TestPausedListStandsStill(t *testing.T) {
	t.Parallel()
	f := newFeed(t, correlate.Limits{})
	f.push(requests(1, 3)...)
	x := f.tester(t, true)
	x.do(keymap.Bottom, keymap.Pause)
	before := x.draw(80, 24)
	f.push(busy(1, ""))
	f.push(requests(4, 5)...)
	if x.Tick(x.now.Add(time.Minute)) || x.draw(80, 24) != before {
		t.Error("it moves")
	}
	contains(t, x.Status(), "PAUSED: 2 new")
	x.settings().Sort = "-num"
	x.Tick(x.now)
	x.want("a setting changes nothing", 1, 2, 3)
	x.do(keymap.SortSwap)
	x.sortBy("-method") // what the user asks for by hand is done
	x.work()
	if x.cursor != 3 || x.list.at(x.cursor) != 3 || x.at != 3 {
		t.Errorf("the cursor is in row %d, call %d, want call 3", x.cursor, x.at)
	}
	x.settings().Sort = "num"
	x.do(keymap.Pause)
	x.want("after the pause", 1, 2, 3, 4, 5)
	if strings.Contains(x.Status(), "PAUSED") {
		t.Error(x.Status())
	}
}

// What is left of the list, in which order, when calls come after it was cleared.
func TestClearWhileFilling(t *testing.T) {
	t.Parallel()
	f := newFeed(t, correlate.Limits{})
	f.push(requests(1, 3)...)
	x := f.tester(t, true)
	x.h.D.Live = func() string { return "live" }
	x.do(keymap.SelectAll, keymap.Clear)
	if x.h.Question != "" || x.selected.len() != 0 {
		t.Error("a live list asks before it is cleared, or keeps the selection")
	}
	x.want("cleared")
	contains(t, x.draw(80, 24), "no new calls")
	f.push(requests(4, 8)...)
	f.push(busy(1, ""))
	x.draw(80, 24)
	x.want("new calls", 4, 5, 6, 7, 8)
	x.settings().Sort = "-num"
	x.draw(80, 24)
	x.want("turned round", 8, 7, 6, 5, 4)
	for row, num := range x.shown() {
		if x.list.index(num) != row {
			t.Errorf("call %d is in row %d, want %d", num, x.list.index(num), row)
		}
	}
	if x.list.index(3) != -1 {
		t.Error("a cleared call has a row")
	}
	x.filter(`method == "OPTIONS"`)
	x.work()
	x.want("filtered", 8, 4)
	contains(t, x.Status(), "2 of 5 calls")
	x.do(keymap.Down, keymap.Select)
	x.filter(`num == 8`)
	x.work()
	x.do(keymap.KeepFiltered)
	x.work()
	x.want("kept", 8)
	if x.selected.len() != 0 {
		t.Error("calls that were taken off are still selected")
	}
	f.push(requests(9, 10)...)
	f.push(busy(5, ""))
	x.work()
	x.want("and new ones", 10, 9, 8)
	x.settings().Sort = "callid"
	x.work()
	x.want("sorted", 10, 8, 9)
}

func TestFollow(t *testing.T) {
	t.Parallel()
	f := newFeed(t, correlate.Limits{})
	f.push(requests(1, 50)...)
	x := f.tester(t, true)
	x.do(keymap.Follow)
	at := func(name string, row int, num uint32) {
		t.Helper()
		if x.cursor != row || x.at != num {
			t.Errorf("%s: row %d, call %d, want row %d, call %d", name, x.cursor, x.at, row, num)
		}
	}
	at("plain", 49, 50)
	contains(t, x.Status(), "FOLLOW")
	f.push(requests(51, 53)...)
	x.draw(80, 24)
	at("new calls", 52, 53)
	x.filter(`method == "OPTIONS"`)
	x.work()
	at("filtered", 12, 52)
	x.filter("")
	x.settings().Sort = "-num"
	x.work()
	at("newest first", 0, 53)
	x.settings().Sort = "-method"
	x.work()
	at("sorted", 13+39, 53)
	x.do(keymap.Follow)
	f.push(requests(54, 55)...)
	x.work()
	if x.at != 53 {
		t.Errorf("the cursor left its call for %d", x.at)
	}
}

// Headers that the pipeline did not collect are read for the rows in sight, again when they were not there yet.
func TestHeaderColumn(t *testing.T) {
	t.Parallel()
	f := newFeed(t, correlate.Limits{}, "X-Early")
	f.push(request("INVITE", 1, "X-Early: collected\r\n"))
	f.push(requests(2, 60)...)
	x := f.tester(t, true)
	x.h.D.Headers = []string{"X-Early"}
	x.settings().Columns = []string{"num", "header.x-early", "header.X-Late"}
	x.draw(80, 24)
	x.work()
	contains(t, x.draw(80, 24), "collected")
	f.push(busy(2, "X-Late: second\r\n"), busy(59, "X-Late: far\r\n"))
	x.work()
	contains(t, x.draw(80, 24), "second")
	if n := len(x.texts.values); n > 23 {
		t.Errorf("headers of %d calls were read for 23 rows", n)
	}
	x.do(keymap.CopyAll)
	x.h.RunQueue()
	contains(t, x.h.Copied, "59\t\tfar\n")
	contains(t, x.h.Copied, "2\t\tsecond\n")
	x.settings().Sort = "-header.X-Late"
	x.work()
	if got := x.shown()[:3]; !slices.Equal(got, []uint32{2, 59, 1}) {
		t.Errorf("sorted by the header: %v", got)
	}
	x.filter(`header("X-Late") == "far" || header("X-Early") == "collected"`)
	x.work()
	x.want("filtered by headers", 59, 1)
}

// A row whose call a limit has evicted says so, and leaves the list in time.
func TestEvictedRow(t *testing.T) {
	t.Parallel()
	f := newFeed(t, correlate.Limits{Calls: 3})
	f.push(requests(1, 3)...)
	x := f.tester(t, true)
	f.push(busy(1, ""), busy(2, ""))
	f.push(requests(4, 4)...)
	x.draw(80, 24)
	evicted := func() int { return 4 - len(x.board.Numbers()) }
	if evicted() != 1 || x.list.len() != 3 {
		t.Fatalf("%d evicted, %d shown", evicted(), x.list.len())
	}
	f.push(requests(5, 5)...)
	x.Tick(x.now.Add(resortEvery / 2))
	got := termtest.Draw(t, x.View, 80, 24, false)
	contains(t, got, "no longer kept (--max-calls)")
	x.draw(80, 24)
	x.want("later", x.board.Numbers()...)
	contains(t, x.Status(), "2 older calls no longer kept")
}

func TestEmpty(t *testing.T) {
	t.Parallel()
	f := newFeed(t, correlate.Limits{})
	x := f.tester(t, false)
	contains(t, x.draw(40, 10), "reading…")
	for _, a := range []keymap.Action{
		keymap.Up, keymap.Down, keymap.Bottom, keymap.Select, keymap.SelectAll, keymap.Open, keymap.Extended, keymap.Raw, keymap.Copy,
		keymap.CopyAll, keymap.SortNext, keymap.SortSwap, keymap.Wider, keymap.Columns, keymap.Methods, keymap.KeepFiltered,
		keymap.Follow, keymap.Pause, keymap.Pause, keymap.CallsOnly, keymap.CallsOnly, keymap.Left, keymap.Right,
	} {
		x.do(a)
	}
	if len(x.h.Opened) != 0 || x.at != 0 {
		t.Errorf("opened %v on call %d", x.h.Opened, x.at)
	}
	x.Search("nothing", false, false)
	f.end()
	if !x.Tick(x.now.Add(time.Second)) {
		t.Error("the end is not drawn")
	}
	contains(t, x.draw(80, 24), "no calls: 0 packets read, 0 SIP messages")
	if x.Do(keymap.Quit) || x.Mouse(term.Mouse{}) {
		t.Error("takes what is not for it")
	}
}
