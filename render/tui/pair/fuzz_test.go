package pair

import (
	"testing"
	"time"

	"sipscope/correlate"
	"sipscope/correlate/diff"
	"sipscope/render/pair"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
	"sipscope/render/tui/term/termtest"
)

// FuzzUser lets a user press any keys at any size: nothing panics, nothing is drawn outside or unclean, and the cursor
// stays on a row.
func FuzzUser(f *testing.F) {
	f.Add([]byte{0, 80, 24, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10})
	f.Add([]byte{1, 40, 10, 83, 84, 85, 86, 200, 201, 202, 250, 251})
	f.Add([]byte{2, 120, 40, 40, 41, 42, 43, 44, 255, 46, 255, 48, 255, 50, 255, 52})
	f.Add([]byte{3, 60, 30, 240, 230, 220, 210, 200, 190, 180, 170, 160})
	f.Add([]byte{132, 0, 0, 1, 40, 41, 42, 43, 250, 240, 15, 255, 255})
	lone := correlate.Summary{Num: 9}
	made := []*diff.Result{trunk(), same(), crowd(3), crowd(14), hostile(), long(300), {First: -1}}
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) < 3 {
			return
		}
		in = in[:min(len(in), 150)]
		report := reportOf(made[int(in[0])%len(made)], made[int(in[0]/7)%len(made)])
		report.Pairs = append(report.Pairs, pair.Alone(&lone, in[0]&1 == 0))
		h := termtest.NewHost(term.Data{})
		h.Async = in[0]&128 != 0
		v := New(h, report)
		h.D.Text = v.Text
		w, ht := int(in[1])%210, int(in[2])%64
		s := termtest.NewScreen(t, w+2, ht+2)
		frameOf(t, s, v, w, ht, h.S.ASCII)
		for i, op := range in[3:] {
			press(v, h, op, i)
			if op == 255 {
				w, ht = (w*7+i*13)%210, (ht*5+i*3)%64
			}
			if op%16 == 15 {
				h.RunQueue()
			}
			v.Tick(time.Time{})
			frameOf(t, s, v, w, ht, h.S.ASCII)
			_, _, _ = v.Title(), v.Status(), v.Saving()
			if v.pic != nil && len(v.list) > 0 && (v.cursor < 0 || v.cursor >= len(v.list) || v.top < 0) {
				t.Fatalf("cursor %d of %d, top %d", v.cursor, len(v.list), v.top)
			}
		}
	})
}

// press does what a byte stands for.
func press(v *View, h *termtest.Host, op byte, i int) {
	const last = byte(keymap.PrevPair)
	switch {
	case op <= last:
		v.Do(keymap.Action(op))
	case op < 150:
		v.Mouse(term.Mouse{X: int(op) * 7 % 130, Y: i * 3 % 50, Kind: term.MouseKind(op % 8)})
	case op < 180:
		v.Search([]string{"", "i", "200", "\x1b", "zzz", "\xff"}[op%6], op&8 != 0, op&16 != 0)
	case op < 190:
		h.S.ASCII = !h.S.ASCII
	case op < 195:
		v.load.lost = nil
		v.load.running = false
	}
}

// TestResize draws everything at many sizes.
func TestResize(t *testing.T) {
	t.Parallel()
	s := termtest.NewScreen(t, 10, 10)
	for _, r := range []*diff.Result{trunk(), same(), crowd(2), crowd(5), crowd(9), crowd(14), hostile(), {First: -1}} {
		for _, ascii := range []bool{false, true} {
			v, h := open(r)
			h.S.ASCII = ascii
			for w := 1; w < 230; w += 9 {
				for _, ht := range []int{1, 3, 7, 15, 28, 45} {
					frameOf(t, s, v, w, ht, ascii)
				}
			}
		}
	}
}

// TestEveryRowIsReached goes through all rows in both layouts: the cursor's row is in sight after each key.
func TestEveryRowIsReached(t *testing.T) {
	t.Parallel()
	for _, w := range []int{40, 80, 120, 200} {
		v, _ := open(long(400))
		termtest.Draw(t, v, w, 24, false)
		v.Do(keymap.Top)
		for i := range 400 {
			if v.row() != i {
				t.Fatalf("%d columns: the cursor is on row %d, want %d", w, v.row(), i)
			}
			if first := v.lines.start(v.cursor); first < v.top || first >= v.top+v.geo.bodyH() {
				t.Fatalf("%d columns: row %d is at line %d, in sight are %d to %d", w, i, first, v.top, v.top+v.geo.bodyH())
			}
			v.Do(keymap.Down)
		}
	}
}
