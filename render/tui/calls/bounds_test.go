package calls

import (
	"slices"
	"strings"
	"testing"
	"time"

	"sipscope/correlate"
	"sipscope/correlate/query"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
	"sipscope/render/tui/term/termtest"
)

// The list shows what was there until the filter's first pass has come to its end: it must not blink with each key typed.
func TestOldListStays(t *testing.T) {
	t.Parallel()
	f := newFeed(t, correlate.Limits{})
	f.push(requests(1, 8)...)
	x := f.tester(t, true)
	x.do(keymap.CallsOnly)
	x.want("while the filter works", 1, 2, 3, 4, 5, 6, 7, 8)
	x.work()
	x.want("filtered", 1, 2, 3, 5, 6, 7)
	x.do(keymap.CallsOnly)
	x.want("no filter", 1, 2, 3, 4, 5, 6, 7, 8)
}

// The cursor goes back to the user's call when the filter that hid it is dropped.
func TestCursorReturns(t *testing.T) {
	t.Parallel()
	f := newFeed(t, correlate.Limits{})
	f.push(requests(1, 8)...)
	x := f.tester(t, false)
	x.do(keymap.Down, keymap.Down, keymap.Down) // call 4, an OPTIONS
	x.do(keymap.CallsOnly)
	if x.at == 4 {
		t.Fatal("call 4 is still there")
	}
	if x.do(keymap.CallsOnly); x.at != 4 {
		t.Errorf("on call %d, was on 4", x.at)
	}
}

// A double click opens the call that was clicked, though others are selected.
func TestDoubleClickOpensThatCall(t *testing.T) {
	t.Parallel()
	x := newTester(t)
	x.do(keymap.Select)
	x.Mouse(term.Mouse{X: 10, Y: 5, Kind: term.DoubleClick})
	if !slices.Equal(x.h.Nums, []uint32{5}) {
		t.Errorf("opened %v", x.h.Nums)
	}
}

// A table that is copied is no more than what terminals take.
func TestCopyAllIsBounded(t *testing.T) {
	t.Parallel()
	x := manyOf(t).tester(t, false)
	x.settings().Columns = []string{"num", "start", "method", "from", "to", "ruri", "source", "destination", "state", "callid", "transport"}
	x.draw(80, 24)
	x.do(keymap.CopyAll)
	if n := len(x.h.Copied); n < maxCopiedBytes*9/10 || n > maxCopiedBytes || !strings.HasSuffix(x.h.Copied, "\n") {
		t.Errorf("%d bytes for a terminal, which takes %d", n, maxCopiedBytes)
	}
}

// A filter that is far behind when the capture has come to its end does not need a tick for each few chunks: the
// application ticks only four times a second then.
func TestFarBehind(t *testing.T) {
	t.Parallel()
	f := newFeed(t, correlate.Limits{})
	q, err := query.Compile(`method == "INVITE"`, query.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := termtest.NewHost(f.data())
	x := &tester{View: New(h, q), h: h, t: t, now: time.Unix(1, 0)}
	for i := 1; i <= manyCalls; i += 1000 {
		f.push(requests(i, i+999)...)
	}
	f.end()
	x.draw(80, 24)
	x.draw(80, 24)
	if n := x.list.len(); n != manyCalls*3/4 {
		t.Errorf("%d calls after two ticks, want %d", n, manyCalls*3/4)
	}
}

// Headers of 60 KiB do not fill the memory with what a cell cannot show.
func TestLongValuesAreCut(t *testing.T) {
	t.Parallel()
	f := newFeed(t, correlate.Limits{})
	f.push(request("INVITE", 1, "X-Long: "+strings.Repeat("x", 60<<10)+"\r\n"))
	x := f.tester(t, false)
	x.settings().Columns = []string{"num", "header.X-Long"}
	x.draw(80, 24)
	x.draw(80, 24)
	if n := len(x.texts.value(1, 0)); n == 0 || n > maxValue {
		t.Errorf("%d bytes are kept", n)
	}
}
