package flow

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sipscope/render/ladder"
	"sipscope/render/ladder/laddertest"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
	"sipscope/render/tui/term/termtest"
)

// screen draws without the grid of styles.
func screen(tb testing.TB, v *View, w, h int) string {
	tb.Helper()
	s, _, _ := strings.Cut(termtest.Draw(tb, v, w, h, v.host.Settings().ASCII), "--- styles")
	return s
}

// do performs actions with a Draw before and behind each.
func do(tb testing.TB, v *View, w, h int, actions ...keymap.Action) string {
	tb.Helper()
	got := screen(tb, v, w, h)
	for _, a := range actions {
		if !v.Do(a) {
			tb.Fatalf("action %d is not known", a)
		}
		got = screen(tb, v, w, h)
	}
	return got
}

func lastSaid(h *termtest.Host) string {
	if len(h.Said) == 0 {
		return ""
	}
	return h.Said[len(h.Said)-1]
}

// under is the label under the cursor.
func under(v *View) string { return v.pic.label(v.row(v.cursor)) }

// TestMoving follows the cursor through a call whose rows are known.
func TestMoving(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		made laddertest.Made
		from int
		do   []keymap.Action
		want int // position
		said string
	}{
		{name: "down", made: laddertest.TwoProxies(), do: []keymap.Action{keymap.Down, keymap.Down}, want: 2},
		{name: "up at the top", made: laddertest.TwoProxies(), do: []keymap.Action{keymap.Up}, want: 0},
		{name: "bottom", made: laddertest.TwoProxies(), do: []keymap.Action{keymap.Bottom, keymap.Down}, want: 17},
		{name: "top", made: laddertest.TwoProxies(), from: 9, do: []keymap.Action{keymap.Top}, want: 0},
		{name: "next peer", made: laddertest.TwoProxies(), do: []keymap.Action{keymap.NextPeer, keymap.NextPeer}, want: 7},
		{name: "peers end", made: laddertest.TwoProxies(), do: []keymap.Action{keymap.NextPeer, keymap.NextPeer, keymap.NextPeer, keymap.NextPeer}, want: 10, said: "this is the last message of its transaction"},
		{name: "previous peer", made: laddertest.TwoProxies(), from: 7, do: []keymap.Action{keymap.PrevPeer}, want: 1},
		{name: "previous peer of the first", made: laddertest.TwoProxies(), do: []keymap.Action{keymap.PrevPeer}, want: 0, said: "this is the first message of its transaction"},
		{name: "request of a response", made: laddertest.TwoProxies(), from: 10, do: []keymap.Action{keymap.ToRequest}, want: 0},
		{name: "request of an ACK to a 2xx", made: laddertest.TwoProxies(), from: 11, do: []keymap.Action{keymap.ToRequest}, want: 0},
		{name: "request of a request", made: laddertest.TwoProxies(), do: []keymap.Action{keymap.ToRequest}, want: 0, said: "this is a request"},
		{name: "INVITE of a CANCEL", made: laddertest.Fork(), from: 10, do: []keymap.Action{keymap.ToRequest}, want: 3},
		{name: "retransmitted", made: laddertest.TwoProxies(), do: []keymap.Action{keymap.NextRepeat}, want: 4},
		{name: "retransmitted, round", made: laddertest.TwoProxies(), from: 6, do: []keymap.Action{keymap.NextRepeat}, want: 4, said: "from the first row again"},
		{name: "nothing retransmitted", made: laddertest.Fork(), do: []keymap.Action{keymap.NextRepeat}, want: 0, said: "nothing was retransmitted"},
		{name: "no request of a state", made: laddertest.TwoProxies(), do: []keymap.Action{keymap.Bottom, keymap.ToRequest}, want: 17, said: "there is no message in this row"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v, h, _ := scene(t, tt.made)
			screen(t, v, 120, 40)
			v.moveTo(tt.from)
			do(t, v, 120, 40, tt.do...)
			if v.cursor != tt.want || lastSaid(h) != tt.said {
				t.Errorf("at %d (%s), said %q; want %d, %q\n%s", v.cursor, under(v), lastSaid(h), tt.want, tt.said, screen(t, v, 120, 40))
			}
		})
	}
}

// TestPaging moves by what is in sight, and keeps the cursor there.
func TestPaging(t *testing.T) {
	t.Parallel()
	v, _, _ := scene(t, long(200))
	h := 24
	for _, a := range []keymap.Action{keymap.PageDown, keymap.PageDown, keymap.HalfDown, keymap.HalfUp, keymap.PageUp, keymap.Bottom, keymap.PageUp} {
		before := v.cursor
		do(t, v, 100, h, a)
		moved := v.cursor - before
		down := a == keymap.PageDown || a == keymap.HalfDown || a == keymap.Bottom
		if moved == 0 || down != (moved > 0) {
			t.Errorf("action %d moved by %d", a, moved)
		}
		first, body := v.index.start(v.cursor), v.geo.bodyH()
		if first < v.top || v.index.start(v.cursor+1) > v.top+body {
			t.Errorf("action %d: row %d has lines from %d, in sight are %d to %d", a, v.cursor, first, v.top, v.top+body)
		}
	}
}

// TestSettings turns each setting over and back: the picture differs in between and is the same afterwards, with the
// cursor on the same message all the time.
func TestSettings(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		action keymap.Action
		times  int // to come round
		has    string
	}{
		{name: "SDP", action: keymap.SDP, times: 2, has: "audio port 49170"},
		{name: "ByIP", action: keymap.ByIP, times: 2},
		{name: "FoldHops", action: keymap.FoldHops, times: 2, has: "(3 hops)"},
		{name: "Unfold", action: keymap.Unfold, times: 2},
		{name: "Aliases", action: keymap.Aliases, times: 2},
		{name: "Times", action: keymap.Times, times: 3, has: "12:00:01.652000"},
		{name: "Color", action: keymap.Color, times: 4},
		{name: "OnlySDP", action: keymap.OnlySDP, times: 2},
		{name: "Pane", action: keymap.Pane, times: 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v, h, _ := scene(t, laddertest.TwoProxies())
			h.S.Pane = false
			screen(t, v, 140, 40)
			v.moveTo(8)
			key := v.place(8).key
			first := termtest.Draw(t, v, 140, 40, false)
			status := v.Status()
			for i := range tt.times {
				got := do(t, v, 140, 40, tt.action)
				styled := termtest.Draw(t, v, 140, 40, false)
				last := i == tt.times-1
				if differs := styled != first || v.Status() != status; differs == last && tt.action != keymap.ByIP {
					t.Errorf("press %d: the picture differs: %v\n%s", i+1, differs, styled)
				}
				if i == 0 && !strings.Contains(got, tt.has) {
					t.Errorf("no %q in\n%s", tt.has, got)
				}
				shown := v.pic.rowAt(key)
				if at := v.list.rows[v.cursor]; at != shown && tt.action != keymap.OnlySDP {
					t.Errorf("press %d: the cursor is on row %d, its message in %d", i+1, at, shown)
				}
			}
		})
	}
}

// TestOtherSettings are those of the pane.
func TestOtherSettings(t *testing.T) {
	t.Parallel()
	v, h, _ := scene(t, laddertest.TwoProxies())
	width := h.S.PaneWidth
	do(t, v, 120, 40, keymap.PaneWider)
	if h.S.PaneWidth != width+5 || v.geo.pane.w != 120*(width+5)/100 {
		t.Errorf("pane of %d per cent and %d cells", h.S.PaneWidth, v.geo.pane.w)
	}
	do(t, v, 120, 40, keymap.PaneNarrower, keymap.PaneNarrower)
	if h.S.PaneWidth != width-5 {
		t.Errorf("pane of %d per cent", h.S.PaneWidth)
	}
	do(t, v, 120, 40, keymap.PaneReset)
	if h.S.PaneWidth != width {
		t.Errorf("pane of %d per cent, usual are %d", h.S.PaneWidth, width)
	}
	syntax, parsed := h.S.Syntax, h.S.Parsed
	do(t, v, 120, 40, keymap.Syntax, keymap.Parsed)
	if h.S.Syntax == syntax || h.S.Parsed == parsed {
		t.Error("syntax or parsed did not change")
	}
	do(t, v, 120, 40, keymap.Media)
	if !strings.Contains(lastSaid(h), "no media rows") {
		t.Errorf("said %q", lastSaid(h))
	}
	if v.Do(keymap.Columns) {
		t.Error("an action of the list was taken")
	}
	if v.Scope() != keymap.Ladder {
		t.Error("scope")
	}
}

// TestPane shows the message under the cursor once, and that of the neighbour for rows without one.
func TestPane(t *testing.T) {
	t.Parallel()
	v, _, b := scene(t, laddertest.Lossy())
	p, ok := v.pane.(*testPane)
	if !ok {
		t.Fatal("no test pane")
	}
	screen(t, v, 120, 40)
	screen(t, v, 120, 40)
	if p.shown != 1 {
		t.Errorf("shown %d times, want once", p.shown)
	}
	for pos := range v.list.len() {
		v.moveTo(pos)
		screen(t, v, 120, 40)
		if k, has := v.messageAt(pos); !has || string(p.raw) != string(b.texts[k]) {
			t.Errorf("row %d (%s): message %v, %v; pane %.20q", pos, under(v), k, has, p.raw)
		}
	}
	if want := "frame 7 · 10.0.0.2:5060 → 10.0.0.1:40001 TCP · 12:00:10.300"; !strings.Contains(p.head, want) {
		t.Errorf("head %q does not have %q", p.head, want)
	}
	if got := v.Mouse(term.Mouse{X: 110, Y: 5, Kind: term.WheelDown}); !got || p.scrolled != wheelLines {
		t.Errorf("wheel over the pane: %v, scrolled by %d", got, p.scrolled)
	}
}

// TestSelecting compares two messages, opens one and forgets.
func TestSelecting(t *testing.T) {
	t.Parallel()
	v, h, _ := scene(t, laddertest.TwoProxies())
	do(t, v, 120, 40, keymap.Down, keymap.Select)
	if !strings.Contains(v.Status(), "one message selected: Space on another compares") {
		t.Errorf("status %q", v.Status())
	}
	if got := screen(t, v, 120, 40); !strings.Contains(got, "✓") {
		t.Errorf("no mark of the selected row in\n%s", got)
	}
	do(t, v, 120, 40, keymap.Select)
	if v.selected != nil {
		t.Error("Space twice on one message still selects it")
	}
	do(t, v, 120, 40, keymap.Select, keymap.Down, keymap.Select)
	if len(h.Messages) != 2 || h.Messages[0].Message != 1 || h.Messages[1].Message != 2 {
		t.Errorf("compared %+v", h.Messages)
	}
	do(t, v, 120, 40, keymap.SelectNone)
	if v.selected != nil {
		t.Error("Backspace did not unselect")
	}
	do(t, v, 120, 40, keymap.Open)
	if got := h.Opened[len(h.Opened)-1]; got != "messages" || h.Messages[0].Message != 2 {
		t.Errorf("opened %q %+v", got, h.Messages)
	}
	do(t, v, 120, 40, keymap.Raw)
	if len(h.Opened) != 3 {
		t.Errorf("opened %q", h.Opened)
	}
}

// TestMark measures from the first row, then from where the mark was set, whatever is rebuilt.
func TestMark(t *testing.T) {
	t.Parallel()
	v, _, _ := scene(t, laddertest.TwoProxies())
	screen(t, v, 120, 40)
	v.moveTo(5)
	if !strings.Contains(v.Status(), "+648 ms") || !strings.Contains(v.Status(), "since mark 652 ms") {
		t.Errorf("status %q", v.Status())
	}
	do(t, v, 120, 40, keymap.Mark, keymap.FoldHops, keymap.Bottom, keymap.Up)
	if want := "since mark 4.45 s"; !strings.Contains(v.Status(), want) {
		t.Errorf("status %q does not have %q", v.Status(), want)
	}
}

// TestSaving offers what there is, from the narrowest to the widest.
func TestSaving(t *testing.T) {
	t.Parallel()
	v, _, _ := scene(t, laddertest.TwoLegs()...)
	do(t, v, 120, 40, keymap.Select, keymap.Down)
	var got []string
	for _, c := range v.Saving().Choices {
		got = append(got, c.Label)
		if nums := c.Calls(); len(nums) != c.Count {
			t.Errorf("%s: %d calls, count %d", c.Label, len(nums), c.Count)
		}
	}
	want := []string{"the selected message", "the message under the cursor", "the 2 calls of this ladder", "all 2 calls"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	m := v.Saving().Choices[0].Messages
	if len(m) != 1 || len(m[v.selected.key.num]) != 1 {
		t.Errorf("messages %v", m)
	}
}

// TestCopying gives the text of a message, and the whole ladder up to a bound.
func TestCopying(t *testing.T) {
	t.Parallel()
	v, h, b := scene(t, laddertest.TwoProxies())
	do(t, v, 80, 24, keymap.Copy)
	if h.Copied != string(b.texts[messageKey{num: 1}]) {
		t.Errorf("copied %q", h.Copied)
	}
	do(t, v, 80, 24, keymap.CopyAll)
	if !strings.Contains(h.Copied, "180 Ringing") || !strings.Contains(h.Copied, "made.pcap") {
		t.Errorf("copied %q", h.Copied)
	}
	big, h2, _ := scene(t, long(14_000))
	do(t, big, 80, 24, keymap.CopyAll)
	if n := len(h2.Copied); n > maxCopy+100 || n < maxCopy/2 || !strings.HasSuffix(h2.Copied, "\n... the rest was not copied\n") {
		t.Errorf("copied %d bytes, the end is %q", n, h2.Copied[max(n-60, 0):])
	}
}

// TestCopyGone says that a text is not there any more.
func TestCopyGone(t *testing.T) {
	t.Parallel()
	v, h, b := scene(t, laddertest.TwoProxies())
	clear(b.texts)
	do(t, v, 80, 24, keymap.Copy)
	if len(h.Failed) != 1 || h.Copied != "" {
		t.Errorf("failed %v, copied %q", h.Failed, h.Copied)
	}
}

// TestSearch finds labels, notes and texts, forth and back, and says so when it goes round or finds nothing.
func TestSearch(t *testing.T) {
	t.Parallel()
	v, h, _ := scene(t, laddertest.TwoProxies())
	screen(t, v, 120, 40)
	step := func(text string, next, back bool, want int, said string) {
		t.Helper()
		h.Said = nil
		v.Search(text, next, back)
		if v.cursor != want || lastSaid(h) != said {
			t.Errorf("search %q next %v back %v: at %d (%s), said %q; want %d, %q", text, next, back, v.cursor, under(v), lastSaid(h), want, said)
		}
	}
	step("r", false, false, 0, "")
	step("ri", false, false, 5, "")
	step("RINGING", false, false, 5, "")
	step("RINGING", true, false, 6, "")
	step("RINGING", true, false, 7, "")
	step("RINGING", true, false, 5, "from the first row again")
	step("RINGING", true, true, 7, "from the last row again")
	step("q.850", false, false, 13, "")
	step("xyzzy", false, false, 13, `no row holds "xyzzy"`)
	step("note: ", false, false, 13, `no row holds "note: "`)
	if p, ok := v.pane.(*testPane); !ok || p.searched != "q.850" {
		t.Error("the pane was not told what is searched")
	}
	v.Search("180", false, false)
	if got := termtest.Draw(t, v, 120, 40, false); !strings.Contains(got, "180 Ringing") || v.search == nil || v.search.left != 0 {
		t.Error("the search did not go round")
	}
	v.Search("", false, false)
	if v.search != nil {
		t.Error("an empty text does not end the search")
	}
}

// TestSearchLong reads the texts of a long call in pieces, and goes on with the new picture when it is rebuilt.
func TestSearchLong(t *testing.T) {
	t.Parallel()
	v, h, _ := scene(t, long(5000))
	screen(t, v, 120, 40)
	h.Async = true
	v.Search("number 4321.", false, false)
	if v.cursor != 0 || len(h.Queue) != 1 {
		t.Fatalf("at %d with %d pieces waiting", v.cursor, len(h.Queue))
	}
	h.S.Unfold = true
	screen(t, v, 120, 40)
	h.RunQueue()
	v.Search("number 4321.", true, false)
	h.RunQueue()
	if k := v.place(v.cursor).key; k.message != 4321 {
		t.Errorf("found message %d, said %q", k.message, h.Said)
	}
	if v.search.left != 0 {
		t.Errorf("%d rows were not looked at", v.search.left)
	}
	v.Search("number 17.", true, true)
	h.RunQueue()
	if k := v.place(v.cursor).key; k.message != 17 {
		t.Errorf("found message %d, said %q", k.message, h.Said)
	}
}

// TestDiags goes to the messages that depart from the grammar.
func TestDiags(t *testing.T) {
	t.Parallel()
	v, h := open(t, "compact-lf-only.pcap", false, 1)
	v.pane = &testPane{}
	do(t, v, 120, 40, keymap.NextDiag)
	if v.cursor == 0 || len(h.Said) != 0 {
		t.Errorf("at %d, said %q", v.cursor, h.Said)
	}
	at := v.cursor
	do(t, v, 120, 40, keymap.NextDiag, keymap.PrevDiag)
	if v.cursor != at {
		t.Errorf("at %d, want %d", v.cursor, at)
	}
	if p, ok := v.pane.(*testPane); !ok || p.diags != 3 {
		t.Error("the pane was not asked for the diag")
	}
	clean, h2 := open(t, "fork.pcap", false, 1)
	do(t, clean, 120, 40, keymap.NextDiag)
	if !strings.Contains(lastSaid(h2), "no message here departs") {
		t.Errorf("said %q", h2.Said)
	}
}

// TestContainsFold compares with what the standard library makes of it.
func TestContainsFold(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"", "a", "Via: SIP/2.0/UDP", "aAaAb", "MÜLLER", "\xff\x00VIA", "call-id: X", "k"} {
		for _, low := range []string{"", "a", "via", "aab", "müller", "call-id: x", "p", "\xff"} {
			want := strings.Contains(strings.ToLower(raw), low) || strings.Contains(raw, low)
			if got := containsFold([]byte(raw), []byte(low)); got != want {
				t.Errorf("%q in %q: %v", low, raw, got)
			}
		}
	}
}

// TestUnknownKind draws rows of kinds that are not known here as notes, and leaves them out on request.
func TestUnknownKind(t *testing.T) {
	t.Parallel()
	v, _, _ := scene(t, laddertest.TwoProxies())
	p := *v.pic
	r := p.lad.Rows[11]
	r.Kind, r.Label, r.Messages = ladder.State+1, "RTP PCMU 182 packets", nil
	p.lad.Rows = slices.Insert(slices.Clone(p.lad.Rows), 12, r)
	p.rowOf, p.txn0, p.dlg0 = nil, nil, nil
	p.prepare()
	v.install(&p)
	got := do(t, v, 120, 40, keymap.Bottom)
	if !strings.Contains(got, "│ RTP PCMU 182 packets") {
		t.Error(got)
	}
	got = do(t, v, 120, 40, keymap.Media)
	if strings.Contains(got, "RTP PCMU") || !strings.Contains(v.Status(), "no media rows") {
		t.Error(got)
	}
	if got = do(t, v, 120, 40, keymap.Media); !strings.Contains(got, "RTP PCMU") {
		t.Error(got)
	}
}

// TestMouse clicks on each line: the row there gets the cursor.
func TestMouse(t *testing.T) {
	t.Parallel()
	v, h, _ := scene(t, laddertest.Names())
	screen(t, v, 100, 30)
	for y := v.geo.head; y < v.geo.head+v.index.total() && y < 30; y++ {
		if !v.Mouse(term.Mouse{X: 20, Y: y, Kind: term.Click}) {
			t.Fatalf("line %d was not taken", y)
		}
		if line := v.top + y - v.geo.head; line < v.index.start(v.cursor) || v.cursor < v.list.len()-1 && line >= v.index.start(v.cursor+1) {
			t.Errorf("line %d gave row %d", y, v.cursor)
		}
	}
	if v.Mouse(term.Mouse{X: 20, Y: 0, Kind: term.Click}) {
		t.Error("a click on the header was taken")
	}
	v.Mouse(term.Mouse{X: 20, Y: v.geo.head, Kind: term.DoubleClick})
	if len(h.Opened) != 1 {
		t.Errorf("opened %q", h.Opened)
	}
	border := v.geo.pane.x - 1
	for _, m := range []term.Mouse{{X: border, Y: 3, Kind: term.Click}, {X: 40, Y: 3, Kind: term.Drag}, {X: 50, Y: 3, Kind: term.Release}} {
		if !v.Mouse(m) {
			t.Errorf("%+v was not taken", m)
		}
	}
	if h.S.PaneWidth != 50 || v.dragging {
		t.Errorf("pane of %d per cent, dragging %v", h.S.PaneWidth, v.dragging)
	}
	if v.Mouse(term.Mouse{X: 3, Y: 3, Kind: term.Drag}) {
		t.Error("a drag that did not begin on the border was taken")
	}
}

// TestWheel scrolls, and the cursor stays in sight.
func TestWheel(t *testing.T) {
	t.Parallel()
	v, _, _ := scene(t, long(100))
	screen(t, v, 100, 20)
	for _, kind := range []term.MouseKind{term.WheelDown, term.WheelDown, term.WheelUp, term.WheelUp, term.WheelUp} {
		top := v.top
		v.Mouse(term.Mouse{X: 5, Y: 5, Kind: kind})
		want := max(top+map[bool]int{true: wheelLines, false: -wheelLines}[kind == term.WheelDown], 0)
		screen(t, v, 100, 20)
		if v.top != want {
			t.Errorf("top %d, want %d", v.top, want)
		}
	}
}

// TestScrollColumns scrolls a ladder that is wider than the screen, and follows the cursor to where its arrow is.
func TestScrollColumns(t *testing.T) {
	t.Parallel()
	v, h, _ := scene(t, laddertest.Chain())
	h.S.Pane = false
	got := screen(t, v, 60, 20)
	if v.geo.inSight() >= v.geo.cols {
		t.Fatalf("all %d columns are in sight\n%s", v.geo.cols, got)
	}
	if v.Do(keymap.Left); v.left != 0 {
		t.Error("scrolled before the first column")
	}
	do(t, v, 60, 20, keymap.Right)
	if v.left != 1 {
		t.Errorf("left %d", v.left)
	}
	for range 50 {
		do(t, v, 60, 20, keymap.Right)
	}
	if v.left != v.geo.maxLeft() || v.geo.noteW() == 0 {
		t.Errorf("left %d of %d, margin %d", v.left, v.geo.maxLeft(), v.geo.noteW())
	}
	do(t, v, 60, 20, keymap.Top)
	if v.left != 0 {
		t.Errorf("left %d: the arrow under the cursor is out of sight", v.left)
	}
	for pos := range v.list.len() {
		v.moveTo(pos)
		screen(t, v, 60, 20)
		r := v.row(pos)
		if r.Kind == ladder.Arrow && (v.geo.x(max(r.From, r.To)) <= 0 || v.geo.x(min(r.From, r.To)) >= v.geo.lanes()) {
			t.Errorf("row %d is out of sight", pos)
		}
	}
}

// TestLines draws every row alone and compares the lines that the plan says with those that have something.
func TestLines(t *testing.T) {
	t.Parallel()
	for _, made := range [][]laddertest.Made{
		{laddertest.TwoProxies()},
		{laddertest.Fork()},
		{laddertest.Lossy()},
		{laddertest.Names()},
		{laddertest.Self()},
		{laddertest.Chain()},
		laddertest.TwoLegs(),
	} {
		v, h, _ := scene(t, made...)
		h.S.Pane, h.S.SDP = false, true
		for _, size := range [][2]int{{40, 10}, {46, 200}, {60, 200}, {80, 200}, {120, 200}, {300, 200}} {
			got := strings.Split(screen(t, v, size[0], size[1]), "\n")[1:]
			lines := got[:min(v.geo.head+v.index.total(), size[1])]
			for y, s := range lines[v.geo.head:] {
				if strings.TrimSpace(s) == "" {
					t.Errorf("%v: line %d of the rows is empty\n%s", size, y, strings.Join(lines, "\n"))
				}
			}
			for y, s := range got[len(lines):] {
				if strings.TrimSpace(s) != "" && !strings.HasPrefix(s, "--- styles") {
					t.Errorf("%v: line %d behind the rows has %q", size, y, s)
				}
			}
		}
	}
}
