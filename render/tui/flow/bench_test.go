package flow

import (
	"fmt"
	"testing"

	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
	"sipscope/render/tui/term/termtest"
)

// lengths of calls: what a key costs must not depend on them.
func lengths() []int { return []int{200, 20_000, 100_000} }

// BenchmarkDraw draws the middle of a ladder.
func BenchmarkDraw(b *testing.B) {
	for _, n := range lengths() {
		b.Run(fmt.Sprintf("messages=%d", n), func(b *testing.B) {
			v, _, _ := scene(b, long(n))
			s := termtest.NewScreen(b, 120, 40)
			c := term.NewCanvas(s, termtest.Theme(), false)
			v.Draw(c)
			v.moveTo(n / 2)
			b.ReportAllocs()
			for b.Loop() {
				v.Draw(c)
			}
		})
	}
}

// BenchmarkKey moves the cursor and draws, as a key that is held down does; the pane shows another message each time.
func BenchmarkKey(b *testing.B) {
	for _, n := range lengths() {
		for _, a := range []struct {
			name    string
			there   keymap.Action
			andBack keymap.Action
		}{{"down", keymap.Down, keymap.Up}, {"page", keymap.PageDown, keymap.PageUp}, {"peer", keymap.NextPeer, keymap.PrevPeer}, {"bottom", keymap.Bottom, keymap.Top}} {
			b.Run(fmt.Sprintf("%s/messages=%d", a.name, n), func(b *testing.B) {
				v, _, _ := scene(b, long(n))
				s := termtest.NewScreen(b, 120, 40)
				c := term.NewCanvas(s, termtest.Theme(), false)
				v.Draw(c)
				v.moveTo(n/8*4 + 1)
				b.ReportAllocs()
				for b.Loop() {
					v.Do(a.there)
					v.Draw(c)
					v.Do(a.andBack)
					v.Draw(c)
				}
			})
		}
	}
}

// BenchmarkResize counts the lines of all rows anew.
func BenchmarkResize(b *testing.B) {
	v, _, _ := scene(b, long(100_000))
	s := termtest.NewScreen(b, 120, 40)
	v.Draw(term.NewCanvas(s, termtest.Theme(), false))
	b.ReportAllocs()
	w := 0
	for b.Loop() {
		w++
		v.layout(100+w%40, 40)
	}
}

// BenchmarkBuild makes the picture of a long call, beside the UI.
func BenchmarkBuild(b *testing.B) {
	board := boardOf(long(20_000))
	h := board.host()
	v := newView(h, board, &testPane{}, []uint32{1}, false)
	b.ReportAllocs()
	for b.Loop() {
		v.job().run(b.Context())
	}
}

// BenchmarkSearch looks through the texts of a long call for what is not there.
func BenchmarkSearch(b *testing.B) {
	v, _, _ := scene(b, long(20_000))
	v.Draw(term.NewCanvas(termtest.NewScreen(b, 120, 40), termtest.Theme(), false))
	b.ReportAllocs()
	for b.Loop() {
		v.search = nil
		v.Search("not there", false, false)
	}
}

// TestDrawReads holds what a Draw does to the rows in sight: the texts that are read, and the cells that are drawn, do
// not depend on the length of the ladder.
//
//nolint:paralleltest // AllocsPerRun counts the allocations of all goroutines
func TestDrawReads(t *testing.T) {
	var allocs []float64
	for _, n := range []int{400, 40_000} {
		v, _, board := scene(t, long(n))
		s := termtest.NewScreen(t, 120, 40)
		c := term.NewCanvas(s, termtest.Theme(), false)
		v.Draw(c)
		v.moveTo(n / 8 * 4)
		asked := board.asked
		allocs = append(allocs, testing.AllocsPerRun(20, func() { v.Draw(c) }))
		if board.asked != asked {
			t.Errorf("drawing copied %d calls", board.asked-asked)
		}
	}
	if allocs[1] > allocs[0]*1.2 {
		t.Errorf("a Draw allocates %v times in a short and in a long call", allocs)
	}
}
