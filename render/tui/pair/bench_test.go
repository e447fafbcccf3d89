package pair

import (
	"fmt"
	"testing"

	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
	"sipscope/render/tui/term/termtest"
)

// lengths of comparisons in rows: what a key costs must not depend on them.
func lengths() []int { return []int{200, 10_000, 100_000} }

// BenchmarkKey moves the cursor and draws, as a key that is held down does.
func BenchmarkKey(b *testing.B) {
	for _, n := range lengths() {
		for _, a := range []struct {
			name           string
			there, andBack keymap.Action
		}{
			{"down", keymap.Down, keymap.Up},
			{"page", keymap.PageDown, keymap.PageUp},
			{"difference", keymap.SearchNext, keymap.SearchPrev},
			{"bottom", keymap.Bottom, keymap.Top},
		} {
			b.Run(fmt.Sprintf("%s/rows=%d", a.name, n), func(b *testing.B) {
				v, _ := open(long(n))
				c := term.NewCanvas(termtest.NewScreen(b, 120, 40), termtest.Theme(), false)
				v.Draw(c)
				v.moveTo(n / 2)
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
	v, _ := open(long(10_000))
	v.Draw(term.NewCanvas(termtest.NewScreen(b, 120, 40), termtest.Theme(), false))
	b.ReportAllocs()
	w := 0
	for b.Loop() {
		w++
		v.layout(100+w%40, 40)
	}
}

// BenchmarkOnly leaves out what is the same, and takes it in again.
func BenchmarkOnly(b *testing.B) {
	v, _ := open(long(10_000))
	v.Draw(term.NewCanvas(termtest.NewScreen(b, 120, 40), termtest.Theme(), false))
	b.ReportAllocs()
	for b.Loop() {
		v.Do(keymap.OnlyDifferences)
	}
}

// BenchmarkSearch looks for what is not there.
func BenchmarkSearch(b *testing.B) {
	v, _ := open(long(10_000))
	v.Draw(term.NewCanvas(termtest.NewScreen(b, 120, 40), termtest.Theme(), false))
	b.ReportAllocs()
	for b.Loop() {
		v.Search("not there", false, false)
	}
}

// BenchmarkPrepare names the rows, beside the UI.
func BenchmarkPrepare(b *testing.B) {
	r := long(10_000)
	b.ReportAllocs()
	for b.Loop() {
		prepare(nil, r, false, nil)
	}
}

// TestDrawIsOfConstantCost holds that what a Draw allocates does not depend on the length of the comparison.
//
//nolint:paralleltest // AllocsPerRun counts the allocations of all goroutines
func TestDrawIsOfConstantCost(t *testing.T) {
	var allocs []float64
	for _, n := range []int{400, 40_000} {
		v, _ := open(long(n))
		c := term.NewCanvas(termtest.NewScreen(t, 120, 40), termtest.Theme(), false)
		v.Draw(c)
		v.moveTo(200)
		allocs = append(allocs, testing.AllocsPerRun(20, func() { v.Draw(c) }))
	}
	if allocs[1] > allocs[0]*1.2 {
		t.Errorf("a Draw allocates %v times in a short and in a long comparison", allocs)
	}
}
