package calls

import (
	"slices"
	"testing"

	"sipscope/render/tui/keymap"
)

// TestDiff compares two calls: both selected, or the selected one and the one under the cursor.
func TestDiff(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		do   []keymap.Action
		want []uint32
		says string
	}{
		{"two selected", []keymap.Action{keymap.Select, keymap.Down, keymap.Select, keymap.Bottom}, []uint32{1, 3}, ""},
		{"one selected", []keymap.Action{keymap.Down, keymap.Select, keymap.Top}, []uint32{2, 1}, ""},
		{"none selected", nil, nil, "select the call to compare this one with: Space"},
		{"the selected one", []keymap.Action{keymap.Select, keymap.Top}, nil, "select the call to compare this one with: Space"},
		{"three selected", []keymap.Action{keymap.Select, keymap.Select, keymap.Select}, nil, "two calls are compared, 3 are selected"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := newTester(t, "failures")
			x.do(append(tt.do, keymap.Diff)...)
			if tt.says != "" {
				if len(x.h.Opened) > 0 || len(x.h.Said) != 1 || x.h.Said[0] != tt.says {
					t.Errorf("it opens %v and says %q", x.h.Opened, x.h.Said)
				}
				return
			}
			if !slices.Equal(x.h.Opened, []string{"pair"}) || !slices.Equal(x.h.Nums, tt.want) {
				t.Errorf("it opens %v of %v, want a pair of %v", x.h.Opened, x.h.Nums, tt.want)
			}
		})
	}
}
