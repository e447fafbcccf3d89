package calls

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/correlate/query"
	"sipscope/decode"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
	"sipscope/render/tui/term/termtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// load reads captures of the project: all of them without names.
func load(tb testing.TB, limits correlate.Limits, names ...string) term.Data {
	tb.Helper()
	var paths []string
	for _, n := range names {
		paths = append(paths, "../../../testdata/pcaps/"+n+".pcap")
	}
	if len(names) == 0 {
		paths, _ = filepath.Glob("../../../testdata/pcaps/*.pcap")
	}
	files, err := capture.Open(paths, capture.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = files.Close() })
	board := &correlate.Board{}
	err = correlate.Run(tb.Context(), files, correlate.Config{Board: board, Limits: limits, Workers: 1})
	if err != nil && !errors.Is(err, capture.ErrDamaged) {
		tb.Fatal(err)
	}
	return term.Data{
		Board: board, Source: "captures",
		Text: func(call *correlate.Call, message int) []byte {
			b, err := decode.ReadText(files, call.Messages[message].Pieces)
			if err != nil {
				return nil
			}
			return b
		},
	}
}

// tester is a list with its host.
type tester struct {
	*View
	h   *termtest.Host
	t   *testing.T
	now time.Time
}

func newTester(t *testing.T, names ...string) *tester {
	t.Helper()
	return testerOf(t, load(t, correlate.Limits{}, names...))
}

func testerOf(t *testing.T, d term.Data) *tester {
	t.Helper()
	h := termtest.NewHost(d)
	x := &tester{View: New(h, nil), h: h, t: t, now: time.Unix(1, 0)}
	x.draw(120, 40)
	return x
}

// draw draws, as the application does after each key, and lets time pass.
func (x *tester) draw(w, h int) string {
	x.now = x.now.Add(time.Second)
	x.Tick(x.now)
	return termtest.Draw(x.t, x.View, w, h, false)
}

func (x *tester) do(actions ...keymap.Action) {
	x.t.Helper()
	for _, a := range actions {
		if !x.Do(a) {
			x.t.Fatalf("action %d is not known", a)
		}
		x.draw(120, 40)
	}
}

// filter gives an expression as a user types it.
func (x *tester) filter(src string) {
	x.t.Helper()
	x.Do(keymap.Filter)
	if err := x.h.Prompt.Done(src); err != nil {
		x.t.Fatal(err)
	}
	x.draw(120, 40)
}

// shown lists the numbers in the order of the list.
func (x *tester) shown() []uint32 { return x.list.numbers() }

func (x *tester) want(name string, nums ...uint32) {
	x.t.Helper()
	if got := x.shown(); !slices.Equal(got, nums) {
		x.t.Errorf("%s: %v, want %v", name, got, nums)
	}
}

// matching is what a filter over all summaries gives.
func (x *tester) matching(src string) []uint32 {
	x.t.Helper()
	q, err := query.Compile(src, query.Options{IgnoreCase: true})
	if err != nil {
		x.t.Fatal(err)
	}
	var nums []uint32
	for s := range x.board.Calls() {
		if q.Match(s) {
			nums = append(nums, s.Num)
		}
	}
	return nums
}

// canvas is a screen to draw on.
func canvas(tb testing.TB, w, h int) *term.Canvas {
	tb.Helper()
	c := term.NewCanvas(termtest.NewScreen(tb, w, h), termtest.Theme(), false)
	c.Clear()
	return c
}

func contains(t *testing.T, where, what string) {
	t.Helper()
	if !strings.Contains(where, what) {
		t.Errorf("no %q in\n%s", what, where)
	}
}
