package calls

import (
	"context"
	"testing"
	"time"

	"sipscope/correlate"
	"sipscope/render/tui/keymap"
)

// finished runs the first job that waits and gives its result, which has not reached the list yet.
func (x *tester) finished() (late func()) {
	x.t.Helper()
	if len(x.h.Queue) == 0 {
		x.t.Fatal("nothing is done in the background")
	}
	late = x.h.Queue[0](context.Background())
	x.h.Queue = x.h.Queue[1:]
	if late == nil {
		x.t.Fatal("the work gave no result")
	}
	return late
}

// What another goroutine has found is dropped when the user has gone on meanwhile.
func TestLateResults(t *testing.T) {
	t.Parallel()
	newList := func(t *testing.T) *tester {
		t.Helper()
		f := newFeed(t, correlate.Limits{})
		f.push(requests(3, 8)...) // numbers 2 and 6 are OPTIONS
		return f.tester(t, true)
	}
	t.Run("a filter", func(t *testing.T) {
		t.Parallel()
		x := newList(t)
		x.filter("num < 3")
		late := x.finished()
		x.filter("num > 4")
		x.work()
		late()
		x.work()
		x.want("the newer one", 5, 6)
	})
	t.Run("a filter that was taken away", func(t *testing.T) {
		t.Parallel()
		x := newList(t)
		x.filter("num < 3")
		late := x.finished()
		x.filter("")
		late()
		x.work()
		x.want("all", 1, 2, 3, 4, 5, 6)
	})
	t.Run("a scan", func(t *testing.T) {
		t.Parallel()
		x := newList(t)
		x.filter("bob3@example.com")
		late := x.finished()
		x.filter("bob8@example.com")
		x.work()
		late()
		x.work()
		x.want("the newer one", 6)
	})
	t.Run("a sort", func(t *testing.T) {
		t.Parallel()
		x := newList(t)
		x.settings().Sort = "-callid"
		x.draw(80, 24)
		late := x.finished()
		x.settings().Sort = "method"
		x.work()
		late()
		x.work()
		x.want("the newer one", 1, 3, 4, 5, 2, 6)
	})
	t.Run("a sort of a list that was cleared", func(t *testing.T) {
		t.Parallel()
		x := newList(t)
		x.settings().Sort = "-callid"
		x.draw(80, 24)
		late := x.finished()
		x.h.D.Live = func() string { return "live" }
		x.do(keymap.Clear)
		late()
		x.want("at once")
		x.work()
		x.want("later")
	})
	t.Run("a sort of other calls", func(t *testing.T) {
		t.Parallel()
		x := newList(t)
		x.settings().Sort = "-callid"
		x.filter("num <= 2")
		x.h.RunQueue()
		x.draw(80, 24) // begins to sort 1 and 2
		late := x.finished()
		x.filter("num >= 5")
		x.h.RunQueue()
		late()
		x.work()
		x.want("those of the filter", 6, 5)
	})
	t.Run("a search", func(t *testing.T) {
		t.Parallel()
		x := newList(t)
		x.Search("bob5", false, false)
		late := x.finished()
		x.Search("bob7", false, false)
		x.work()
		late()
		if x.at != 5 {
			t.Errorf("on call %d, want 5", x.at)
		}
	})
	t.Run("headers of columns that are gone", func(t *testing.T) {
		t.Parallel()
		x := newList(t)
		x.settings().Columns = []string{"num", "header.CSeq"}
		x.Draw(canvas(t, 80, 24))
		late := x.finished()
		x.settings().Columns = []string{"num", "header.Call-ID"}
		x.work()
		late()
		contains(t, x.draw(80, 24), "c8@10.0.0.1")
	})
}

// A filter may have seen calls that the list has not counted yet. They are there once, also after the filter is dropped.
func TestFilterAheadOfTheCount(t *testing.T) {
	t.Parallel()
	f := newFeed(t, correlate.Limits{})
	f.push(requests(1, 3)...)
	x := f.tester(t, true)
	x.filter("true")
	x.work()
	f.push(requests(4, 5)...)
	x.list.catchUp()
	if x.list.len() != 5 || x.list.all() != 5 {
		t.Errorf("%d of %d calls, want 5 of 5", x.list.len(), x.list.all())
	}
	x.list.keep()
	x.want("kept", 1, 2, 3, 4, 5)
	x.draw(80, 24)
	x.want("kept, counted anew", 1, 2, 3, 4, 5)
}

// Evicted calls leave a list that filters, and one that sorts.
func TestEvictedWhileFiltering(t *testing.T) {
	t.Parallel()
	f := newFeed(t, correlate.Limits{Calls: 5})
	f.push(requests(1, 3)...)
	f.push(busy(1, ""))
	x := f.tester(t, true)
	x.filter(`method == "INVITE"`)
	x.work()
	x.want("before", 1, 2, 3)
	f.push(requests(4, 6)...)
	x.now = x.now.Add(time.Second)
	x.work()
	x.want("after", 2, 3, 5, 6)
	x.settings().Sort = "-callid"
	x.work()
	x.want("sorted", 6, 5, 3, 2)
	f.push(busy(3, ""))
	f.push(requests(7, 7)...)
	x.work()
	x.want("sorted and evicted", 7, 6, 5, 2)
}
