package flow

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"sipscope/render/ladder/laddertest"
	"sipscope/render/text"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
	"sipscope/render/tui/term/termtest"
)

// hostile is a call whose texts attack who draws them.
func hostile() laddertest.Made {
	long := strings.Repeat("\u4e2d\u0301\u200b", 300)
	return laddertest.Call("\x1b[2J\u202eeve@a.com", "b\xff\xfe@b.com", `
0 [2001:db8:aaaa:bbbb:cccc:dddd:eeee:1]:5060 > [2001:db8:aaaa:bbbb:cccc:dddd:eeee:2]:5060 `+"\x07IN\x00VITE"+` sdp
  Reason: `+long+`;cause=16;text="`+"\x1b]0;owned\x07"+`"
5 [2001:db8:aaaa:bbbb:cccc:dddd:eeee:2]:5060 > [2001:db8:aaaa:bbbb:cccc:dddd:eeee:1]:5060 603 `+long+` tag=b
6 [2001:db8:aaaa:bbbb:cccc:dddd:eeee:2]:5060 > [2001:db8:aaaa:bbbb:cccc:dddd:eeee:2]:5061 `+long+` cseq=9
`)
}

// scenes are the ladders that a fuzzed user looks at.
func scenes() [][]laddertest.Made {
	return [][]laddertest.Made{
		{laddertest.TwoProxies()},
		{laddertest.Fork()},
		{laddertest.Lossy()},
		{laddertest.Names()},
		{laddertest.Self()},
		{laddertest.Chain()},
		laddertest.TwoLegs(),
		{hostile()},
		{long(40), hostile(), laddertest.Chain()},
		{},
	}
}

// frameOf draws a view inside a screen that is a cell larger on each side, and fails when the margin was touched.
func frameOf(tb testing.TB, s tcell.SimulationScreen, v *View, w, h int) {
	tb.Helper()
	s.SetSize(w+2, h+2)
	s.Clear()
	outer := term.NewCanvas(s, termtest.Theme(), v.host.Settings().ASCII)
	outer.Fill(0, 0, w+2, h+2, term.Bar)
	mark := termtest.Theme().Style(term.Bar)
	c := outer.Sub(1, 1, w, h)
	c.Clear()
	v.Draw(c)
	for y := range h + 2 {
		for x := 0; x < w+2; {
			str, st, n := s.Get(x, y)
			inside := x >= 1 && x <= w && y >= 1 && y <= h
			if !inside && (str != " " || st != mark) {
				tb.Fatalf("%d x %d: %q at %d,%d is outside", w, h, str, x-1, y-1)
			}
			if str != text.Clean(str) || v.host.Settings().ASCII && str != text.CleanASCII(str) {
				tb.Fatalf("%d x %d: %q at %d,%d is not clean", w, h, str, x-1, y-1)
			}
			x += max(n, 1)
		}
	}
}

// FuzzUser lets a user press any keys at any size: nothing panics, nothing is drawn outside or unclean, and the cursor
// stays on a row.
func FuzzUser(f *testing.F) {
	f.Add([]byte{0, 80, 24, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
	f.Add([]byte{1, 40, 10, 53, 54, 55, 56, 200, 201, 202, 250, 251})
	f.Add([]byte{7, 120, 40, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52})
	f.Add([]byte{8, 60, 30, 240, 230, 220, 210, 200, 190, 180, 170, 160})
	f.Add([]byte{9, 0, 0, 1, 40, 41, 42, 43, 250, 240})
	all := scenes()
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) < 3 {
			return
		}
		if len(in) > 200 {
			in = in[:200]
		}
		v, h, b := scene(t, all[int(in[0])%len(all)]...)
		h.Async = in[0]&128 != 0
		w, ht := int(in[1])%210, int(in[2])%64
		s := termtest.NewScreen(t, w+2, ht+2)
		now := time.Unix(1, 0)
		frameOf(t, s, v, w, ht)
		for i, op := range in[3:] {
			press(v, h, b, op, i)
			if op == 255 {
				w, ht = (w*7+i*13)%210, (ht*5+i*3)%64
			}
			if op%16 == 15 {
				h.RunQueue()
			}
			now = now.Add(time.Duration(op) * time.Millisecond)
			v.Tick(now)
			frameOf(t, s, v, w, ht)
			_, _, _ = v.Title(), v.Status(), v.Saving()
			if v.pic != nil && v.list.len() > 0 && (v.cursor < 0 || v.cursor >= v.list.len() || v.top < 0) {
				t.Fatalf("cursor %d of %d, top %d", v.cursor, v.list.len(), v.top)
			}
		}
	})
}

// press does what a byte stands for.
func press(v *View, h *termtest.Host, b *fakeBoard, op byte, i int) {
	const last = byte(keymap.PaneReset)
	switch {
	case op <= last:
		v.Do(keymap.Action(op))
	case op < 150:
		v.Mouse(term.Mouse{X: int(op) * 7 % 130, Y: i * 3 % 50, Kind: term.MouseKind(op % 8)})
	case op < 180:
		v.Search([]string{"", "i", "200", "\x1b", "zzz", "\xff"}[op%6], op&8 != 0, op&16 != 0)
	case op < 190:
		h.S.ASCII = !h.S.ASCII
	case op < 200 && len(b.calls) > 0:
		c := &b.calls[int(op)%len(b.calls)]
		c.Rev += 1000
		c.Messages = c.Messages[:max(len(c.Messages)-1, 1)]
	case op == 200:
		b.calls = nil
	case op < 210:
		h.S.Aliases = map[string]string{"10.77.0.20": "\u202e\x1b[0m中文"}
	}
}

// TestHostile draws what attacks the terminal at many sizes.
func TestHostile(t *testing.T) {
	t.Parallel()
	for _, ascii := range []bool{false, true} {
		v, h, _ := scene(t, hostile())
		h.S.ASCII = ascii
		s := termtest.NewScreen(t, 10, 10)
		for w := 1; w < 220; w += 7 {
			frameOf(t, s, v, w, 24)
		}
	}
}

// TestCaptures draws all calls of every capture of the project in one ladder, at several sizes.
func TestCaptures(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(pcap("*.pcap*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	s := termtest.NewScreen(t, 10, 10)
	for _, f := range files {
		d := termtest.Load(t, f)
		h := termtest.NewHost(d)
		var nums []uint32
		for c := range d.Board.Calls() {
			nums = append(nums, c.Num)
		}
		v := New(h, nums, false)
		for _, size := range [][2]int{{40, 10}, {80, 24}, {120, 40}, {200, 60}} {
			for range 3 {
				frameOf(t, s, v, size[0], size[1])
				v.Do(keymap.PageDown)
			}
			v.Do(keymap.Top)
		}
		if v.pic == nil || len(v.pic.calls) != len(nums) {
			t.Errorf("%s: not all calls are in the ladder", f)
		}
	}
}
