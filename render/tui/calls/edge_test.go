package calls

import (
	"context"
	"strings"
	"testing"
	"unicode"

	"sipscope/correlate"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
	"sipscope/render/tui/term/termtest"
)

// Names that attack who looks at them stay in their cells, on every width.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	cols := "num,from.name,state,from,to,ua,callid"
	for _, tt := range []struct {
		name  string
		w, h  int
		ascii bool
	}{
		{"hostile-120x40", 120, 40, false},
		{"hostile-80x24", 80, 24, false},
		{"hostile-80x24-ascii", 80, 24, true},
		{"hostile-40x10", 40, 10, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := newTester(t, "hostile-names", "compact-lf-only", "ipv6")
			x.settings().Columns = strings.Split(cols, ",")
			x.draw(tt.w, tt.h)
			got := termtest.Draw(t, x.View, tt.w, tt.h, tt.ascii)
			termtest.Golden(t, tt.name, got)
			for _, r := range got {
				if r != '\n' && (unicode.IsControl(r) || tt.ascii && r > unicode.MaxASCII) {
					t.Errorf("%q on the screen", r)
				}
			}
			if strings.Contains(got, "\n^ ") {
				t.Error("a line is not as wide as the screen")
			}
		})
	}
}

// Wide characters, combining marks and whatever else a peer writes do not move the columns behind them.
func TestColumnsStayInPlace(t *testing.T) {
	t.Parallel()
	f := newFeed(t, correlate.Limits{})
	names := []string{
		"plain", "東京電力ホールディングス株式会社の電話交換機と受付と倉庫と工場", "e\u0301\u0301\u0301\u0301", "\u202egnihtemos\u202c", "👩‍👩‍👧‍👦👍🏽",
		"\xff\xfe\x80", strings.Repeat("x", 500), strings.Repeat("\u0301", 300), "a\tb",
	}
	for i, name := range names {
		f.push(request("INVITE", i+1, "User-Agent: "+name+"\r\n"))
	}
	x := f.tester(t, false)
	x.settings().Columns = []string{"ua", "method", "num"}
	for _, w := range []int{20, 30, 40, 61, 80} {
		x.draw(w, 24)
		for i, num := range x.nums {
			s := termtest.NewScreen(t, w, 24)
			c := term.NewCanvas(s, termtest.Theme(), false)
			c.Clear()
			x.Draw(c)
			s.Show()
			cells, _, _ := s.GetContents()
			at := x.heads[1].x
			for k, want := range "INVITE" {
				if at+k < w && string(cells[(i+1)*w+at+k].Runes) != string(want) {
					t.Errorf("%d cells, call %d (%q): no %q in column %d", w, num, names[num-1], want, at+k)
					break
				}
			}
		}
	}
}

func TestWrongColumns(t *testing.T) {
	t.Parallel()
	x := newTester(t, "busy-486")
	x.settings().Columns = []string{"nonsense", "num"}
	x.draw(80, 24)
	x.draw(80, 24)
	if len(x.cols) != 1 || len(x.h.Failed) != 1 {
		t.Errorf("%d columns, errors %v", len(x.cols), x.h.Failed)
	}
	x.settings().Columns = []string{"nonsense"}
	contains(t, x.draw(40, 10), "FROM")
	x.settings().Widths = map[string]int{"num": 500}
	x.draw(40, 10)
	x.do(keymap.Right, keymap.Right, keymap.Right, keymap.Right, keymap.Right, keymap.Right, keymap.Right, keymap.Left)
	for _, size := range [][2]int{{1, 1}, {2, 2}, {10, 1}, {3, 40}} {
		x.draw(size[0], size[1])
	}
}

// The columns at the edges: sorting goes no further, a column that is not shown cannot be sized.
func TestSortAtTheEdges(t *testing.T) {
	t.Parallel()
	x := newTester(t, "busy-486", "two-proxies")
	x.settings().Columns = []string{"num", "method"}
	x.draw(80, 24)
	x.do(keymap.SortPrev)
	if x.settings().Sort != "num" {
		t.Errorf("sorted by %s", x.settings().Sort)
	}
	x.do(keymap.SortNext, keymap.SortNext, keymap.SortNext)
	if x.settings().Sort != "method" {
		t.Errorf("sorted by %s", x.settings().Sort)
	}
	x.settings().Sort = "callid"
	x.draw(80, 24)
	x.do(keymap.Wider)
	if len(x.settings().Widths) != 0 {
		t.Errorf("widths %v", x.settings().Widths)
	}
	x.do(keymap.SortNext)
	if x.settings().Sort != "num" {
		t.Errorf("from a column that is not shown to %s, want the first one", x.settings().Sort)
	}
	for range 300 {
		x.do(keymap.Narrower)
	}
	if got := x.settings().Widths["num"]; got != minWidth {
		t.Errorf("%d cells, want %d at least", got, minWidth)
	}
}

// What the status line and the title say of what is missing.
func TestDamageIsShown(t *testing.T) {
	t.Parallel()
	d := load(t, correlate.Limits{MessagesPerCall: 4}, "two-proxies", "tcp-loss-gap")
	d.Err = func() error { return context.DeadlineExceeded }
	x := testerOf(t, d)
	contains(t, x.Status(), "messages of long calls not kept")
	contains(t, x.Status(), context.DeadlineExceeded.Error())
	contains(t, x.Title(), "packets read")
	contains(t, x.Title(), "1 hole")
	if strings.Contains(x.Title(), "1 holes") {
		t.Error(x.Title())
	}
}

func TestHeaderOfThePipeline(t *testing.T) {
	t.Parallel()
	d := termtest.Load(t, "../../../testdata/pcaps/two-proxies.pcap", "User-Agent")
	x := testerOf(t, d)
	x.h.Async = true
	x.settings().Columns = []string{"num", "header.user-agent"}
	got := x.draw(80, 24)
	contains(t, got, "Desk phone 1.4")
	x.filter(`header("user-agent") == "Desk phone 1.4"`)
	x.h.RunQueue()
	x.want("filtered without reading texts", 1)
	if len(x.texts.headers) != 0 || x.list.needsTexts() {
		t.Error("texts are read for what the pipeline collects")
	}
}

// A click finds what the mouse points at, also when the list is scrolled and shorter than the screen.
func TestMouseScrolled(t *testing.T) {
	t.Parallel()
	x := newTester(t)
	x.do(keymap.Bottom)
	x.draw(80, 12)
	n := uint32(x.list.len())
	x.Mouse(term.Mouse{X: 10, Y: 1, Kind: term.Click})
	if x.at != n-10 {
		t.Errorf("a click into the first row went to call %d, want %d", x.at, n-10)
	}
	x.do(keymap.Right, keymap.Right) // the first one is lost with the columns of 80 cells
	h := x.heads[0]
	x.Mouse(term.Mouse{X: h.x, Y: 0, Kind: term.Click})
	if want := x.cols[1].Name; h.col != 1 || x.settings().Sort != want {
		t.Errorf("a click on the first head sorts by %s, want %s", x.settings().Sort, want)
	}
	x.filter(`num == 3`)
	x.Mouse(term.Mouse{X: 10, Y: 9, Kind: term.DoubleClick})
	if len(x.h.Nums) != 0 {
		t.Errorf("a double click below the list opened %v", x.h.Nums)
	}
	x.Mouse(term.Mouse{X: 119, Y: 0, Kind: term.Click}) // behind the heads
}
