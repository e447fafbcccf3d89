package pair

import (
	"strings"
	"testing"

	"sipscope/correlate/diff"
	"sipscope/render/ladder/laddertest"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
	"sipscope/render/tui/term/termtest"
)

// forwarded is what a proxy did to four messages, told by hand.
func forwarded() (*HopsView, *termtest.Host) {
	m := numbered(laddertest.Call("alice@a.com", "bob@b.com", good), 7)
	h := termtest.NewHost(term.Data{})
	v := &HopsView{host: h, num: 7, call: m.Call}
	proxy := laddertest.Endpoint("10.77.0.20:5060")
	via := diff.Difference{Verdict: diff.Tolerated, Where: "Via", Text: "Via of the element is added"}
	v.take([]diff.Hop{
		{Element: proxy, In: 0, Out: 2, Method: "INVITE", Latency: 2e6, Differences: []diff.Difference{
			{Verdict: diff.Extra, Where: "X-Foo", B: "1", Text: "X-Foo is added"},
			{Verdict: diff.Differs, Where: "SDP m0", A: "PCMU", B: "PCMA", Text: "codec PCMU became PCMA"},
			via,
		}},
		{Element: proxy, In: 3, Out: 4, Method: "INVITE", Status: 180, Latency: 1e6, Differences: []diff.Difference{via}},
		{Element: proxy, In: 5, Out: 6, Method: "INVITE", Status: 200, Latency: 1e6},
		{Element: proxy, In: 99, Out: -1, Method: "\x1b[2J", Status: 1 << 30, Latency: -1, Differences: []diff.Difference{
			{Verdict: diff.Missing, Where: "\x1b]0;x\x07", Text: "\u202e\x00"},
		}},
	})
	return v, h
}

func TestHopsGoldens(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		w, h  int
		ascii bool
		do    []keymap.Action
	}{
		{name: "hops-120x37", w: 120, h: 37},
		{name: "hops-80x21-ascii", w: 80, h: 21, ascii: true},
		{name: "hops-only", w: 80, h: 21, do: []keymap.Action{keymap.OnlyDifferences, keymap.SearchNext}},
		{name: "hops-40x4", w: 40, h: 4, do: []keymap.Action{keymap.Bottom, keymap.Right}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v, h := forwarded()
			h.S.ASCII = tt.ascii
			for _, a := range tt.do {
				termtest.Draw(t, v, tt.w, tt.h, tt.ascii)
				v.Do(a)
			}
			got := termtest.Draw(t, v, tt.w, tt.h, tt.ascii)
			termtest.Golden(t, tt.name, "title  "+line(v.Title())+"\nstatus "+line(v.Status())+"\n"+got)
		})
	}
}

func TestHopsKeys(t *testing.T) {
	t.Parallel()
	v, h := forwarded()
	termtest.Draw(t, v, 80, 24, false)
	hop := func() int { return v.list[v.cursor].hop }
	v.Do(keymap.SearchNext)
	if hop() != 3 {
		t.Errorf("n goes to hop %d: what every proxy does is no stop", hop())
	}
	v.Do(keymap.SearchNext)
	if len(h.Said) != 1 {
		t.Errorf("behind the last one: %q", h.Said)
	}
	v.Do(keymap.FirstDifference)
	v.Do(keymap.Open)
	if len(h.Messages) != 2 || h.Messages[0].Message != 0 || h.Messages[1].Message != 2 {
		t.Errorf("Enter opens %v", h.Messages)
	}
	v.Search("PCMA", false, false)
	if l := v.list[v.cursor]; l.hop != 0 || l.difference != 1 {
		t.Errorf("the search finds %v", l)
	}
	v.Do(keymap.OnlyDifferences)
	if hop() != 0 || len(v.list) != 5 {
		t.Errorf("only changes: hop %d, %d lines", hop(), len(v.list))
	}
	v.Do(keymap.CopyAll)
	if !strings.Contains(h.Copied, "INVITE at 10.77.0.20:5060 after 2 ms · frame 1 → 3\n  + X-Foo is added\n") ||
		strings.ContainsAny(h.Copied, "\x1b\x00\u202e") {
		t.Errorf("copied %q", h.Copied)
	}
	v.Mouse(term.Mouse{Y: 3, Kind: term.DoubleClick})
	if v.cursor != 3 || len(h.Opened) != 2 {
		t.Errorf("two clicks: line %d, %v", v.cursor, h.Opened)
	}
}

// TestHopsFrame draws at many sizes and does all that a user can.
func TestHopsFrame(t *testing.T) {
	t.Parallel()
	s := termtest.NewScreen(t, 10, 10)
	for _, ascii := range []bool{false, true} {
		v, h := forwarded()
		h.S.ASCII = ascii
		empty := &HopsView{host: h, made: true}
		for w := 1; w < 200; w += 13 {
			for _, ht := range []int{1, 5, 20} {
				for a := keymap.Action(1); a <= keymap.PrevPair; a++ {
					v.Do(a)
					empty.Do(a)
				}
				frameOf(t, s, v, w, ht, ascii)
				frameOf(t, s, empty, w, ht, ascii)
			}
		}
	}
}
