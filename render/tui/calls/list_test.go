package calls

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/correlate/query"
	"sipscope/decode/sip"
	"sipscope/render/columns"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
	"sipscope/render/tui/term/termtest"
)

func upTo(n uint32) []uint32 {
	nums := make([]uint32, n)
	for i := range nums {
		nums[i] = uint32(i) + 1
	}
	return nums
}

func TestGoldens(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		w, h  int
		ascii bool
		do    func(x *tester)
	}{
		{"all-200x60", 200, 60, false, func(*tester) {}},
		{"all-120x40", 120, 40, false, func(*tester) {}},
		{"all-80x24", 80, 24, false, func(*tester) {}},
		{"all-40x10", 40, 10, false, func(*tester) {}},
		{"all-120x40-ascii", 120, 40, true, func(*tester) {}},
		{"sorted-80x24", 80, 24, false, func(x *tester) { x.do(keymap.SortNext, keymap.SortNext, keymap.SortNext, keymap.SortSwap) }},
		{"marked-80x24", 80, 24, false, func(x *tester) { x.do(keymap.Select, keymap.Down, keymap.Select, keymap.Bottom) }},
		{"found-80x24", 80, 24, false, func(x *tester) { x.Search("carol", false, false) }},
		{"filtered-120x40", 120, 40, false, func(x *tester) { x.filter(`state == "failed"`) }},
		{"none-80x24", 80, 24, false, func(x *tester) { x.filter(`state == "failed" && state == "busy"`) }},
		{"scrolled-80x24", 80, 24, false, func(x *tester) { x.do(keymap.Right, keymap.Right, keymap.Right) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := newTester(t)
			tt.do(x)
			x.Tick(x.now.Add(time.Second))
			got := termtest.Draw(t, x.View, tt.w, tt.h, tt.ascii)
			termtest.Golden(t, tt.name, x.Title()+"\n"+x.Status()+"\n"+got)
		})
	}
}

func TestCursor(t *testing.T) {
	t.Parallel()
	x := newTester(t)
	n := uint32(x.list.len())
	for _, tt := range []struct {
		name string
		do   keymap.Action
		want uint32
	}{
		{"up at the top", keymap.Up, 1},
		{"down", keymap.Down, 2},
		{"page down", keymap.PageDown, 2 + 39},
		{"half a page up", keymap.HalfUp, 2 + 39 - 19},
		{"bottom", keymap.Bottom, n},
		{"down at the bottom", keymap.Down, n},
		{"page up", keymap.PageUp, n - 39},
		{"half a page down", keymap.HalfDown, n - 39 + 19},
		{"top", keymap.Top, 1},
	} {
		x.do(tt.do)
		if x.at != tt.want {
			t.Errorf("%s: the cursor is on call %d, want %d", tt.name, x.at, tt.want)
		}
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	x := newTester(t)
	all := upTo(uint32(x.list.len()))
	x.want("all", all...)
	for _, src := range []string{`state == "failed"`, `method == "INVITE" && code >= 400`, `messages > 10`, `false`, `true`} {
		x.filter(src)
		x.want(src, x.matching(src)...)
		contains(t, x.Status(), "filter "+src)
	}
	x.filter("")
	x.want("no filter", all...)

	x.do(keymap.CallsOnly)
	x.want("calls only", x.matching(`method == "INVITE"`)...)
	x.filter(`state == "completed"`)
	x.want("both", x.matching(`method == "INVITE" && state == "completed"`)...)
	x.do(keymap.CallsOnly)
	x.filter("")

	x.do(keymap.Methods)
	items := x.h.Menu.Items
	for i := range items {
		items[i].Ticked = items[i].Name == "MESSAGE" || items[i].Name == "OPTIONS"
	}
	x.h.Menu.Done(items, 0)
	x.draw(120, 40)
	x.want("methods", x.matching(`method == "MESSAGE" || method == "OPTIONS"`)...)
}

// What the pipeline did not collect is read from the messages.
func TestFilterReadsMessages(t *testing.T) {
	t.Parallel()
	x := newTester(t)
	var words, agents []uint32
	for _, num := range upTo(uint32(x.list.len())) {
		call, ok := x.board.Call(num)
		if !ok {
			t.Fatal(num)
		}
		word, agent := false, ""
		var m sip.Message
		for i := range call.Messages {
			raw := x.h.D.Text(&call, i)
			word = word || strings.Contains(strings.ToLower(string(raw)), "application/sdp")
			if agent == "" && sip.Parse(raw, &m) == nil {
				agent, _ = valueOf(&m, "user-agent")
			}
		}
		if word {
			words = append(words, num)
		}
		if strings.Contains(agent, "phone") {
			agents = append(agents, num)
		}
	}
	if len(words) == 0 || len(agents) == 0 || len(words) == x.list.len() {
		t.Fatalf("nothing to tell apart: %d and %d of %d", len(words), len(agents), x.list.len())
	}
	x.filter("Application/SDP")
	x.want("words", words...)
	x.filter(`header("User-Agent") contains "phone"`)
	x.want("header", agents...)
}

func TestFilterPrompt(t *testing.T) {
	t.Parallel()
	x := newTester(t)
	x.filter(`state == "busy"`)
	busy := x.shown()
	x.Do(keymap.Filter)
	p := x.h.Prompt
	if p.Text != `state == "busy"` {
		t.Errorf("the prompt begins with %q", p.Text)
	}
	if err := p.Changed(`state == `); err == nil {
		t.Error("an unfinished expression is no error")
	}
	x.want("after an error", busy...)
	if err := p.Changed(`true`); err != nil || x.list.len() == len(busy) {
		t.Errorf("a change does not filter: %v", err)
	}
	p.Cancelled()
	x.draw(120, 40)
	x.want("after Esc", busy...)

	for src, want := range map[string]string{
		"sta": "state", `code > 1 && (from.u`: `code > 1 && (from.user`, `state == "fa`: `state == "failed"`,
		`state != comp`: `state != "completed"`, "method == INV": `method == "INVITE"`,
	} {
		if got := p.Complete(src); len(got) == 0 || got[0].Text != want {
			t.Errorf("%s is completed by %v, want %s", src, got, want)
		}
	}
	if got := p.Complete("nosuchfield"); len(got) != 0 {
		t.Errorf("nothing completes by %v", got)
	}
}

func TestSorting(t *testing.T) {
	t.Parallel()
	x := newTester(t)
	x.do(keymap.Bottom)
	at := x.at
	for _, col := range []string{"method", "state", "messages", "duration", "callid"} {
		x.settings().Sort = col
		x.draw(120, 40)
		c, err := columns.Find(col)
		if err != nil {
			t.Fatal(err)
		}
		want := slices.Collect(func(yield func(correlate.Summary) bool) {
			for s := range x.board.Calls() {
				if !yield(*s) {
					return
				}
			}
		})
		slices.SortStableFunc(want, func(a, b correlate.Summary) int { return c.Compare(&a, &b) })
		var nums []uint32
		for i := range want {
			nums = append(nums, want[i].Num)
		}
		x.want(col, nums...)
		if x.at != at || x.list.at(x.cursor) != at {
			t.Errorf("%s: the cursor left call %d for %d", col, at, x.at)
		}
	}
	x.filter(`method == "INVITE"`)
	if got := x.list.len(); got != len(x.matching(`method == "INVITE"`)) {
		t.Errorf("sorted and filtered: %d calls", got)
	}
	x.filter("")
	x.settings().Sort = "-num"
	x.draw(120, 40)
	all := upTo(uint32(x.list.len()))
	slices.Reverse(all)
	x.want("-num", all...)
	if i := x.list.index(all[3]); i != 3 {
		t.Errorf("call %d is in row %d, want 3", all[3], i)
	}
	x.settings().Sort = "nonsense"
	x.draw(120, 40)
	if len(x.h.Failed) == 0 || x.settings().Sort != "num" {
		t.Errorf("a wrong column: %v, sorted by %s", x.h.Failed, x.settings().Sort)
	}
}

func TestSortKeys(t *testing.T) {
	t.Parallel()
	x := newTester(t)
	x.do(keymap.SortNext)
	if x.settings().Sort != "time" {
		t.Errorf("sorted by %s", x.settings().Sort)
	}
	x.do(keymap.SortSwap, keymap.SortNext, keymap.SortPrev, keymap.SortPrev, keymap.SortPrev)
	if x.settings().Sort != "-num" {
		t.Errorf("sorted by %s", x.settings().Sort)
	}
	w := x.heads[0].w
	x.do(keymap.Wider, keymap.Wider, keymap.Narrower)
	if got := x.settings().Widths["num"]; got != w+1 {
		t.Errorf("the column has %d cells, want %d", got, w+1)
	}
}

func TestClearAndKeep(t *testing.T) {
	t.Parallel()
	x := newTester(t)
	x.filter(`method == "REGISTER"`)
	registers := x.shown()
	x.do(keymap.KeepFiltered)
	x.want("kept", registers...)
	if x.list.filtered() {
		t.Error("the filter is still there")
	}
	if i := x.list.index(registers[1]); i != 1 {
		t.Errorf("row %d", i)
	}
	x.filter(`state == "registered"`)
	for _, num := range x.shown() {
		if !slices.Contains(registers, num) {
			t.Errorf("call %d was taken off", num)
		}
	}
	x.filter("")
	x.do(keymap.Clear)
	if x.list.len() != len(registers) {
		t.Error("cleared without an answer")
	}
	x.h.Yes()
	x.draw(120, 40)
	x.want("cleared")
	contains(t, x.draw(80, 24), "no new calls")
}

func TestSelection(t *testing.T) {
	t.Parallel()
	x := newTester(t)
	x.do(keymap.Open)
	if !slices.Equal(x.h.Nums, []uint32{1}) {
		t.Errorf("opened %v", x.h.Nums)
	}
	x.do(keymap.Bottom, keymap.Select, keymap.Top, keymap.Down, keymap.Select, keymap.Extended)
	if want := []uint32{2, uint32(x.list.len())}; !slices.Equal(x.h.Nums, want) || x.h.Opened[len(x.h.Opened)-1] != "extended" {
		t.Errorf("opened %v %v, want %v", x.h.Opened, x.h.Nums, want)
	}
	labels := func() (all []string) {
		for _, c := range x.Saving().Choices {
			if len(c.Calls()) != c.Count {
				t.Errorf("%s: %d calls, said %d", c.Label, len(c.Calls()), c.Count)
			}
			all = append(all, c.Label)
		}
		return all
	}
	x.filter(`method == "INVITE"`)
	if got := labels(); len(got) != 3 || got[0] != "2 selected calls" {
		t.Errorf("offers to save %q", got)
	}
	x.do(keymap.SelectNone)
	x.filter("")
	if got := labels(); len(got) != 2 || !strings.HasPrefix(got[0], "call ") {
		t.Errorf("offers to save %q", got)
	}
	x.do(keymap.SelectAll)
	if x.selected.len() != x.list.len() {
		t.Errorf("%d selected", x.selected.len())
	}
	x.do(keymap.Raw, keymap.Stats, keymap.Copy)
	if got := x.h.Opened[len(x.h.Opened)-2:]; !slices.Equal(got, []string{"messages", "stats"}) {
		t.Errorf("opened %v", got)
	}
	if x.h.Copied != x.row(x.at).CallID {
		t.Errorf("copied %q", x.h.Copied)
	}
	x.do(keymap.CopyAll)
	if lines := strings.Count(x.h.Copied, "\n"); lines != x.list.len()+1 || !strings.HasPrefix(x.h.Copied, "#\tTIME\t") {
		t.Errorf("%d lines copied: %.60q", lines, x.h.Copied)
	}
}

func TestColumns(t *testing.T) {
	t.Parallel()
	x := newTester(t, "two-proxies", "busy-486")
	x.do(keymap.Columns)
	items := x.h.Menu.Items
	for i := range items {
		items[i].Ticked = items[i].Name == "num" || items[i].Name == "to"
		if items[i].Name == "to" {
			items[i].Width = 5
		}
	}
	if _, err := x.h.Menu.Add("bad header"); err == nil {
		t.Error("a header with a blank was taken")
	}
	added, err := x.h.Menu.Add("User-Agent")
	if err != nil {
		t.Fatal(err)
	}
	x.h.Menu.Done(append(items, added), 0)
	x.draw(80, 24) // asks for the headers of the rows in sight
	got := x.draw(80, 24)
	contains(t, got, "USER-AGENT")
	contains(t, got, "Desk phone 1.4")
	contains(t, got, " bob@… ")
	x.settings().Sort = "header.User-Agent"
	x.draw(80, 24)
	if len(x.h.Failed) > 0 || len(x.list.sorted) != x.list.len() {
		t.Errorf("sorting by a header that is read again: %v", x.h.Failed)
	}
	x.h.Menu.Done(nil, 0)
	if len(x.settings().Columns) != 3 {
		t.Error("a list without columns")
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	x := newTester(t)
	var hits []uint32
	for s := range x.board.Calls() {
		if strings.Contains(s.To.User+s.From.User+s.CallID+s.RURI+s.To.URI+s.From.URI, "carol") {
			hits = append(hits, s.Num)
		}
	}
	if len(hits) < 2 {
		t.Fatal(hits)
	}
	at := func(name string, want uint32) {
		t.Helper()
		if x.at != want {
			t.Errorf("%s: on call %d, want %d of %v", name, x.at, want, hits)
		}
	}
	x.Search("CAR", false, false)
	x.Search("CAROL", false, false)
	at("first", hits[0])
	x.Search("carol", true, false)
	at("next", hits[1])
	x.Search("carol", true, true)
	at("previous", hits[0])
	x.Search("carol", true, true)
	at("round the end", hits[len(hits)-1])
	x.Search("no such text", false, false)
	if len(x.h.Said) == 0 {
		t.Error("no word about a text that is not there")
	}
	x.Search("", false, false)
	if x.needle != "" {
		t.Error("the search did not end")
	}
}

func TestMouse(t *testing.T) {
	t.Parallel()
	x := newTester(t)
	x.Mouse(term.Mouse{X: 10, Y: 3, Kind: term.Click})
	if x.at != 3 {
		t.Errorf("a click went to call %d", x.at)
	}
	x.Mouse(term.Mouse{X: 0, Y: 4, Kind: term.Click})
	if !x.selected.has(4) {
		t.Error("a click on the mark does not select")
	}
	x.selected = nil
	x.Mouse(term.Mouse{X: 10, Y: 5, Kind: term.DoubleClick})
	if !slices.Equal(x.h.Nums, []uint32{5}) {
		t.Errorf("a double click opened %v", x.h.Nums)
	}
	x.Mouse(term.Mouse{Kind: term.WheelDown})
	if x.at != 8 {
		t.Errorf("the wheel went to call %d", x.at)
	}
	x.Mouse(term.Mouse{Kind: term.WheelUp})
	method := x.heads[2]
	x.Mouse(term.Mouse{X: method.x + 1, Y: 0, Kind: term.Click})
	x.Mouse(term.Mouse{X: method.x + 1, Y: 0, Kind: term.Click})
	if x.settings().Sort != "-method" {
		t.Errorf("two clicks on a head sort by %s", x.settings().Sort)
	}
	x.Mouse(term.Mouse{X: method.x + method.w, Y: 0, Kind: term.Click})
	x.Mouse(term.Mouse{X: method.x + method.w + 4, Y: 0, Kind: term.Drag})
	x.Mouse(term.Mouse{Kind: term.Release})
	if got := x.settings().Widths["method"]; got != method.w+5 {
		t.Errorf("a drag makes the column %d cells, want %d", got, method.w+5)
	}
	x.Mouse(term.Mouse{X: 3, Y: 0, Kind: term.Drag})
	if x.settings().Widths["num"] != 0 {
		t.Error("a drag without a press sizes a column")
	}
	x.Mouse(term.Mouse{X: 1, Y: 500, Kind: term.Click}) // below the list
}

// The list grows while the capture is read: filters, order, cursor, pause and follow hold at every moment.
func TestFilling(t *testing.T) {
	t.Parallel()
	var names []string
	for _, name := range []string{"two-proxies", "failures", "options", "registrar"} {
		names = append(names, "../../../testdata/pcaps/"+name+".pcap")
	}
	files, err := capture.Open(names, capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	board := &correlate.Board{}
	src := &gate{files, make(chan int)}
	done := make(chan error)
	go func() { done <- correlate.Run(t.Context(), src, correlate.Config{Board: board, Workers: 1}) }()
	x := testerOf(t, term.Data{Board: board, Source: "feed"})
	contains(t, x.draw(80, 24), "reading…")
	x.settings().Sort = "-messages"
	x.filter(`method == "INVITE"`)
	x.settings().Follow = true
	for more := true; more; {
		select {
		case src.tokens <- 1:
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			more = false
		}
		x.draw(80, 24)
		nums := x.shown()
		for i := 1; i < len(nums); i++ {
			if slices.Contains(nums[:i], nums[i]) {
				t.Fatalf("call %d twice in %v", nums[i], nums)
			}
		}
	}
	x.draw(80, 24)
	x.draw(80, 24)
	got := slices.Sorted(slices.Values(x.shown()))
	if want := x.matching(`method == "INVITE"`); !slices.Equal(got, want) {
		t.Errorf("at the end %v, want %v", got, want)
	}
	if x.at != slices.Max(x.shown()) {
		t.Error("follow is not on the newest call")
	}
}

func TestPause(t *testing.T) {
	t.Parallel()
	x := newTester(t)
	x.do(keymap.Pause)
	before := x.draw(80, 24)
	x.settings().CallsOnly = true
	if x.draw(80, 24) != before {
		t.Error("a paused list moved")
	}
	contains(t, x.Status(), "PAUSED")
	x.do(keymap.Pause)
	x.want("after the pause", x.matching(`method == "INVITE"`)...)
}

// Calls that a limit has evicted leave the list, and it says how many.
func TestEvicted(t *testing.T) {
	t.Parallel()
	x := testerOf(t, load(t, correlate.Limits{Calls: 10}))
	x.draw(80, 24)
	x.want("those that are kept", x.board.Numbers()...)
	contains(t, x.Status(), "older calls no longer kept")
	x.filter(`method == "INVITE"`)
	x.want("filtered", x.matching(`method == "INVITE"`)...)
}

func TestMerge(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 8))
	var l list
	in := map[uint32]bool{}
	for range 300 {
		var flips []uint32
		for range r.IntN(20) {
			num := uint32(r.IntN(400))
			if !slices.Contains(flips, num) {
				flips = append(flips, num)
				in[num] = !in[num]
				l.in.set(num, in[num])
			}
		}
		l.merge(flips)
		var want []uint32
		for num, is := range in {
			if is {
				want = append(want, num)
			}
		}
		slices.Sort(want)
		if !slices.Equal(l.match, want) {
			t.Fatalf("%v, want %v", l.match, want)
		}
	}
}

// The filter of the command line is not compiled again, and its words are those that the pipeline has looked for.
func TestFirstFilter(t *testing.T) {
	t.Parallel()
	d := load(t, correlate.Limits{}, "two-proxies", "busy-486")
	q, err := query.Compile(`state == "busy"`, query.Options{})
	if err != nil {
		t.Fatal(err)
	}
	h := termtest.NewHost(d)
	x := &tester{View: New(h, q), h: h, t: t, now: time.Unix(1, 0)}
	x.draw(80, 24)
	x.want("busy", x.matching(`state == "busy"`)...)
}
