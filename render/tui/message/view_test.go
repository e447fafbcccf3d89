package message

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
	"sipscope/render/tui/term/termtest"
)

// bodyOf is a message with a text as its body.
func bodyOf(body string) []byte {
	return fmt.Appendf(nil, "MESSAGE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n"+
		"Call-ID: c\r\nCSeq: 1 MESSAGE\r\nMax-Forwards: 70\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// last gives what was said last.
func last(h *termtest.Host) string {
	if len(h.Said) == 0 {
		return ""
	}
	return h.Said[len(h.Said)-1]
}

func TestViewActions(t *testing.T) {
	t.Parallel()
	v, h := viewOf(numbered(50), invite(), departing())
	draw := func() []string { return screen(t, 60, 12, v.Draw) }
	draw()
	do := func(a keymap.Action, said string, ok func() bool) {
		t.Helper()
		h.Said = nil
		if !v.Do(a) {
			t.Errorf("action %d is not known", a)
		}
		draw()
		if last(h) != said {
			t.Errorf("action %d says %q, want %q", a, last(h), said)
		}
		if !ok() {
			t.Errorf("action %d: message %d, top %d\n%s", a, v.at, v.pane.top, strings.Join(draw(), "\n"))
		}
	}
	top := func(n int) func() bool { return func() bool { return v.pane.top == n } }
	at := func(n int) func() bool { return func() bool { return v.at == n } }
	s := &h.S
	do(keymap.Down, "", top(1))
	do(keymap.Up, "", top(0))
	do(keymap.PageDown, "", top(9)) // ten lines of text, one stays
	do(keymap.PageUp, "", top(0))
	do(keymap.HalfDown, "", top(4))
	do(keymap.HalfUp, "", top(0))
	do(keymap.Bottom, "", top(42))
	do(keymap.Top, "", top(0))
	do(keymap.Wrap, "", func() bool { return !s.Wrap })
	do(keymap.Right, "", func() bool { return v.pane.left == 0 }) // nothing is longer than the screen
	do(keymap.NextMessage, "", at(1))
	do(keymap.Right, "", func() bool { return v.pane.left == 5 }) // as far as the longest line goes
	do(keymap.Left, "", func() bool { return v.pane.left == 0 })
	do(keymap.Wrap, "", func() bool { return s.Wrap })
	do(keymap.Syntax, "", func() bool { return !s.Syntax })
	do(keymap.Parsed, "", func() bool { return s.Parsed })
	do(keymap.NextMessage, "", at(2))
	do(keymap.NextMessage, "this is the last message of the call", at(2))
	do(keymap.PrevMessage, "", at(1))
	do(keymap.PrevMessage, "", at(0))
	do(keymap.PrevMessage, "this is the first message of the call", at(0))
	do(keymap.Copy, "", func() bool { return h.Copied == string(numbered(50)) })
	do(keymap.CopyAll, "", func() bool {
		return strings.Count(h.Copied, "-- frame ") == 3 && strings.Contains(h.Copied, "no header at all")
	})
	if v.Do(keymap.Methods) {
		t.Error("an action of the call list is known here")
	}
	if v.Scope() != keymap.Message || v.Tick(time.Time{}) {
		t.Error("scope or Tick")
	}
}

func TestSelect(t *testing.T) {
	t.Parallel()
	v, h := viewOf(invite(), departing())
	v.Do(keymap.Select)
	if !strings.Contains(v.Status(), "message 1 selected") {
		t.Errorf("status %q", v.Status())
	}
	v.Do(keymap.Select)
	if v.selected != -1 {
		t.Error("the same message again does not unselect it")
	}
	v.Do(keymap.Select)
	v.Do(keymap.NextMessage)
	v.Do(keymap.Select)
	if len(h.Messages) != 2 || h.Messages[0].Message != 0 || h.Messages[1].Message != 1 || v.selected != -1 {
		t.Errorf("compared are %v, selected %d", h.Messages, v.selected)
	}
}

func TestViewSaving(t *testing.T) {
	t.Parallel()
	v, _ := viewOf(invite(), departing())
	v.Do(keymap.NextMessage)
	got := v.Saving().Choices
	if len(got) != 2 || got[0].Label != "message 2" || !slices.Equal(got[0].Messages[3], []int{1}) || got[1].Messages != nil ||
		!slices.Equal(got[1].Calls(), []uint32{3}) {
		t.Errorf("offered are %+v", got)
	}
	if empty, _ := viewOf(); len(empty.Saving().Choices) != 0 {
		t.Error("a call without messages can be saved")
	}
}

func TestViewMouse(t *testing.T) {
	t.Parallel()
	v, _ := viewOf(numbered(50))
	screen(t, 60, 12, v.Draw)
	if !v.Mouse(term.Mouse{Kind: term.WheelDown}) || v.pane.top != 3 {
		t.Errorf("the wheel scrolls to %d", v.pane.top)
	}
	if !v.Mouse(term.Mouse{Kind: term.WheelUp}) || v.pane.top != 0 {
		t.Errorf("the wheel scrolls back to %d", v.pane.top)
	}
	if v.Mouse(term.Mouse{Kind: term.Click}) {
		t.Error("a click is used")
	}
}

// TestViewSearch goes through the messages of a call and round its end.
func TestViewSearch(t *testing.T) {
	t.Parallel()
	v, h := viewOf(bodyOf("red one"), bodyOf("blue two"), bodyOf("red three red"), nil, bodyOf("green"))
	step := func(needle string, next, back bool, want string) {
		t.Helper()
		h.Said = nil
		v.Search(needle, next, back)
		got := "nothing"
		if v.pane.hit != nowhere {
			got = fmt.Sprintf("%d:%d", v.at, v.pane.hit.at)
		}
		if got += " " + last(h); strings.TrimSpace(got) != want {
			t.Errorf("Search(%q, %t, %t): %q, want %q", needle, next, back, got, want)
		}
	}
	step("gre", false, false, "4:0")
	step("g", false, false, "0:5") // letters taken back: the message where the search began has one, too
	step("gree", false, false, "4:0")
	step("greet", false, false, `nothing "greet" is in no message of this call`)
	if v.at != 0 {
		t.Errorf("a search that finds nothing leaves message %d, want that where it began", v.at)
	}
	step("Red", false, false, "0:0")
	step("Red", false, false, "0:0") // Enter
	step("Red", true, false, "2:0")
	step("Red", true, false, "2:10")
	step("Red", true, false, "0:0 from the first message again")
	step("Red", true, true, "2:10 from the last message again")
	step("Red", true, true, "2:0")
	step("Red", true, true, "0:0")

	step("blue", false, false, "1:0") // another search begins here
	step("blue", true, false, "1:0 from the first message again")
	v.Do(keymap.NextMessage)
	step("one", false, false, "0:4 from the first message again")
	step("", false, false, "nothing")
	if v.needle != "" || v.pane.needle != "" {
		t.Error("the search has not ended")
	}
}

// TestSearchBehind: a search that is still under way when something else is asked for changes nothing.
func TestSearchBehind(t *testing.T) {
	t.Parallel()
	v, h := viewOf(bodyOf("x"), bodyOf("one"), bodyOf("two"))
	h.Async = true
	v.Search("one", false, false)
	if !strings.Contains(v.Status(), "searching") {
		t.Errorf("status %q", v.Status())
	}
	v.Search("two", false, false)
	h.RunQueue()
	if v.at != 2 || v.seeking() {
		t.Errorf("message %d, want that of the newer search", v.at)
	}
	v.Search("one", false, false)
	v.Do(keymap.PrevMessage)
	v.Do(keymap.PrevMessage)
	h.RunQueue()
	if v.at != 0 || v.seeking() {
		t.Errorf("message %d: the user went elsewhere", v.at)
	}
	v.Search("one", false, false)
	v.Search("", false, false)
	h.RunQueue()
	if v.at != 0 || v.seeking() {
		t.Errorf("message %d: the search was ended", v.at)
	}
}

// TestSearchFollowsView: what only the parsed view shows is found only there.
func TestSearchFollowsView(t *testing.T) {
	t.Parallel()
	v, h := viewOf(bodyOf("x"), []byte("OPTIONS sip:a@b SIP/2.0\r\nk: 100rel\r\n\r\n"))
	v.Search("Supported", false, false)
	if v.at != 0 {
		t.Error("the raw view shows a canonical name")
	}
	h.S.Parsed = true
	v.Search("Supported", false, false)
	if v.at != 1 {
		t.Error("the parsed view does not show a canonical name")
	}
}

// TestViewDiags goes through the departures of all messages.
func TestViewDiags(t *testing.T) {
	t.Parallel()
	v, h := viewOf(bodyOf("good"), departing(), bodyOf("good"), []byte("OPTIONS sip:a@b SIP/2.0\n\n"))
	var got []string
	for range 5 + len(mustDiags(t)) {
		h.Said = nil
		v.Do(keymap.NextDiag)
		got = append(got, fmt.Sprintf("%d:%d", v.at, v.pane.diag))
	}
	want := []string{"1:0", "1:1", "1:2", "1:3", "1:4"}
	for i := range mustDiags(t) {
		want = append(want, fmt.Sprintf("3:%d", i))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	v.Do(keymap.NextDiag)
	if v.at != 1 || v.pane.diag != 0 || last(h) != "from the first message again" {
		t.Errorf("round the end: message %d, departure %d, said %q", v.at, v.pane.diag, last(h))
	}
	v.Do(keymap.PrevDiag)
	if v.at != 3 || v.pane.diag != len(mustDiags(t))-1 || last(h) != "from the last message again" {
		t.Errorf("back round the beginning: message %d, departure %d, said %q", v.at, v.pane.diag, last(h))
	}
	none, h := viewOf(bodyOf("good"))
	none.Do(keymap.NextDiag)
	if last(h) != "no message of this call departs from the grammar" {
		t.Errorf("said %q", last(h))
	}
}

// mustDiags are the departures of the last message of TestViewDiags.
func mustDiags(t *testing.T) []int {
	t.Helper()
	p, _ := paneOf([]byte("OPTIONS sip:a@b SIP/2.0\n\n"), nil)
	if len(p.order) < 2 {
		t.Fatal("the message departs less than expected")
	}
	return p.order
}

// TestRefresh: a call that goes on has its new messages when the last one known is passed.
func TestRefresh(t *testing.T) {
	t.Parallel()
	d := termtest.Load(t, "../../../testdata/pcaps/two-proxies.pcap")
	call, ok := d.Board.Call(1)
	if !ok || len(call.Messages) < 3 {
		t.Fatal("the capture has not the call that it should have")
	}
	n := len(call.Messages)
	early := call
	early.Messages = call.Messages[:2]
	v := NewView(termtest.NewHost(d), &early, 1)
	v.Do(keymap.NextMessage)
	if v.at != 2 || len(v.call.Messages) != n || !strings.Contains(v.Title(), fmt.Sprintf("message 3 of %d", n)) {
		t.Errorf("message %d of %d, want the third of %d", v.at+1, len(v.call.Messages), n)
	}
	if got := string(v.pane.raw); !strings.Contains(got, "SIP/2.0") {
		t.Errorf("its text is %q", got)
	}
}

// TestCopyGone: what cannot be read again is not copied in silence.
func TestCopyGone(t *testing.T) {
	t.Parallel()
	v, h := viewOf(nil, bodyOf("x"))
	v.Do(keymap.Copy)
	if h.Copied != "" || last(h) == "" {
		t.Errorf("copied %q, said %q", h.Copied, last(h))
	}
	v.Do(keymap.CopyAll)
	if !strings.Contains(h.Copied, "no longer there") {
		t.Errorf("copied %q", h.Copied)
	}
}
