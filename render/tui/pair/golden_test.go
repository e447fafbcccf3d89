package pair

import (
	"testing"

	"sipscope/correlate/diff"
	"sipscope/render/text"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term/termtest"
)

func TestGoldens(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		made  *diff.Result
		w, h  int
		ascii bool
		do    []keymap.Action
	}{
		{name: "two-120x37", made: trunk(), w: 120, h: 37},
		{name: "two-120x37-ascii", made: trunk(), w: 120, h: 37, ascii: true},
		{name: "two-200x47", made: trunk(), w: 200, h: 47},
		{name: "one-80x21", made: trunk(), w: 80, h: 21},
		{name: "one-80x21-ascii", made: trunk(), w: 80, h: 21, ascii: true},
		{name: "one-40x7", made: trunk(), w: 40, h: 7},
		{name: "one-200x47", made: trunk(), w: 200, h: 47, do: []keymap.Action{keymap.Layout, keymap.Top}},
		{name: "waits", made: trunk(), w: 120, h: 24, do: []keymap.Action{keymap.Times}},
		{name: "only-differences", made: trunk(), w: 120, h: 24, do: []keymap.Action{keymap.OnlyDifferences}},
		{name: "last", made: trunk(), w: 80, h: 14, do: []keymap.Action{keymap.Bottom}},
		{name: "same", made: same(), w: 120, h: 24},
		{name: "same-no-differences", made: same(), w: 120, h: 24, do: []keymap.Action{keymap.OnlyDifferences}},
		{name: "crowd-120x30", made: crowd(14), w: 120, h: 30},
		{name: "crowd-80x21", made: crowd(5), w: 80, h: 21, do: []keymap.Action{keymap.Bottom}},
		{name: "crowd-merged", made: crowd(7), w: 110, h: 30, do: []keymap.Action{keymap.Bottom}},
		{name: "hostile-120x30", made: hostile(), w: 120, h: 30},
		{name: "hostile-80x21-ascii", made: hostile(), w: 80, h: 21, ascii: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v, h := open(tt.made)
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

// line is what the bars of the application make of a text.
func line(s string) string {
	s = text.Clean(s)
	return s[:min(len(s), 200)]
}
