package calls

import (
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"sipscope/correlate"
	"sipscope/correlate/query"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
	"sipscope/render/tui/term/termtest"
)

const manyCalls = 20_000

// manyOf is a feed with 20,000 calls.
func manyOf(tb testing.TB) *feed {
	tb.Helper()
	f := newFeed(tb, correlate.Limits{})
	for i := 1; i <= manyCalls; i += 1000 {
		f.push(requests(i, i+999)...)
	}
	return f
}

// What the pipeline waits for is counted: in the plain order a key, a tick and a drawing together copy no more than a
// screenful of summaries, and with a filter a tick no more than its chunks.
func TestCopiesAreBounded(t *testing.T) {
	t.Parallel()
	const rows = 23
	f := manyOf(t)
	x := f.tester(t, true)
	c := x.count()
	within := func(name string, most int, do func()) {
		t.Helper()
		c.copied = 0
		do()
		if c.copied > most {
			t.Errorf("%s copies %d summaries, at most %d are allowed", name, c.copied, most)
		}
	}
	for _, a := range []keymap.Action{
		keymap.Down, keymap.PageDown, keymap.Bottom, keymap.Top, keymap.Select, keymap.SelectAll, keymap.SelectNone, keymap.Open,
		keymap.Extended, keymap.Copy, keymap.CopyAll, keymap.Columns, keymap.Methods, keymap.Follow, keymap.Follow, keymap.Pause,
		keymap.Pause, keymap.SortNext, keymap.SortPrev, keymap.Wider, keymap.Right,
	} {
		within(fmt.Sprintf("action %d", a), rows+1, func() { x.Do(a); x.draw(80, rows+1) })
	}
	within("a wheel's turn", rows, func() { x.Mouse(term.Mouse{Kind: term.WheelDown}); x.draw(80, rows+1) })
	within("a search", rows, func() { x.Search("bob19999@", false, false); x.draw(80, rows+1) })
	within("what can be saved", 0, func() { x.Saving() })
	within("a filter", 39, func() { x.filter("num > 19000") })
	x.h.RunQueue()
	if x.list.len() != manyCalls-19000 {
		t.Fatalf("%d calls match", x.list.len())
	}
	for i := 1; i <= manyCalls; i += 1000 {
		var answers []string
		for j := i; j < i+1000; j++ {
			answers = append(answers, busy(j, ""))
		}
		f.push(answers...)
	}
	for range 8 {
		within("a tick of a filter", lookChunks*512+rows, func() { x.draw(80, rows+1) })
	}
	x.filter("")
	within("a sort", rows, func() { x.sortBy("callid"); x.draw(80, rows+1) })
}

// The plain order costs nothing a call, a filter and an order four bytes each and a bit.
func TestMemory(t *testing.T) { //nolint:paralleltest // it measures the heap
	f := manyOf(t)
	grown := func(do func(x *tester)) int {
		x := f.tester(t, false)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		do(x)
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(x)
		return int(after.HeapAlloc) - int(before.HeapAlloc)
	}
	for _, tt := range []struct {
		name string
		most int // bytes a call
		do   func(x *tester)
	}{
		{"plain", 0, func(x *tester) { x.Do(keymap.Bottom) }},
		{"all selected", 1, func(x *tester) { x.Do(keymap.SelectAll) }},
		{"filtered and sorted", 16, func(x *tester) {
			x.Do(keymap.Filter)
			_ = x.h.Prompt.Done("true")
			x.sortBy("-callid")
			x.Tick(x.now.Add(time.Second))
			if !slices.IsSorted(x.list.match) || len(x.list.sorted) != manyCalls {
				x.t.Error("neither filtered nor sorted")
			}
		}},
	} {
		if got := grown(tt.do); got > tt.most*manyCalls+64<<10 {
			t.Errorf("%s: %d bytes for %d calls, want at most %d each", tt.name, got, manyCalls, tt.most)
		}
	}
}

// A search that ends nowhere looks at every row once.
func TestSearchLooksOnce(t *testing.T) {
	t.Parallel()
	f := newFeed(t, correlate.Limits{})
	f.push(requests(1, 1000)...)
	x := f.tester(t, false)
	c := x.count()
	x.Search("no such text", false, true)
	if c.copied != 1000 {
		t.Errorf("%d summaries for a search in 1,000 calls", c.copied)
	}
	x.Search("bob999@", false, false)
	if x.at != 999 {
		t.Errorf("on call %d, want 999", x.at)
	}
}

// many is a list of 20,000 calls for a benchmark, drawn on 120 by 40 cells.
func many(b *testing.B) (*View, *termtest.Host, *term.Canvas) {
	b.Helper()
	h := termtest.NewHost(manyOf(b).data())
	v := New(h, nil)
	c := canvas(b, 120, 40)
	v.Draw(c)
	return v, h, c
}

func BenchmarkDraw(b *testing.B) {
	v, _, c := many(b)
	b.ReportAllocs()
	for b.Loop() {
		v.Draw(c)
	}
}

func BenchmarkTick(b *testing.B) {
	v, _, _ := many(b)
	now := time.Unix(1, 0)
	b.ReportAllocs()
	for b.Loop() {
		v.Tick(now)
	}
}

// BenchmarkTickWhileFiltering is a tick in which more calls have changed than it may look at.
func BenchmarkTickWhileFiltering(b *testing.B) {
	v, _, _ := many(b)
	q, err := query.Compile(`method == "OPTIONS"`, query.Options{})
	if err != nil {
		b.Fatal(err)
	}
	v.setFilter(q)
	now := time.Unix(1, 0)
	b.ReportAllocs()
	for b.Loop() {
		v.list.rev = 0
		now = now.Add(time.Second)
		v.Tick(now)
	}
}

// BenchmarkFilter is the first pass over 20,000 calls, in the background.
func BenchmarkFilter(b *testing.B) {
	v, _, _ := many(b)
	q, err := query.Compile(`method == "OPTIONS"`, query.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		v.list.setQuery(q)
	}
	if len(v.list.match) != manyCalls/4 {
		b.Fatal(len(v.list.match))
	}
}

// BenchmarkSort orders 20,000 calls by a text, in the background.
func BenchmarkSort(b *testing.B) {
	v, h, _ := many(b)
	h.S.Sort = "-callid"
	now := time.Unix(1, 0)
	b.ReportAllocs()
	for b.Loop() {
		v.list.outdate()
		now = now.Add(time.Second)
		v.Tick(now)
	}
	if slices.IsSorted(v.list.sorted) || len(v.list.sorted) != manyCalls {
		b.Fatal("not sorted")
	}
}
