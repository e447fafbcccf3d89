package flow

import (
	"slices"
	"testing"

	"sipscope/render/ladder/laddertest"
	"sipscope/render/tui/keymap"
)

// TestDiff compares the calls of a ladder: two with each other, one with itself from hop to hop.
func TestDiff(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		made   []laddertest.Made
		opened string
		nums   []uint32
		says   string
	}{
		{"one", []laddertest.Made{laddertest.TwoProxies()}, "hops", []uint32{1}, ""},
		{"two", []laddertest.Made{laddertest.TwoProxies(), laddertest.Fork()}, "pair", []uint32{1, 2}, ""},
		{
			"three",
			[]laddertest.Made{laddertest.Fork(), laddertest.Fork(), laddertest.Fork()},
			"", nil,
			"two calls are compared, here are 3: select two of them in the call list",
		},
		{"none", nil, "", nil, "there is no call to compare"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v, h, _ := scene(t, tt.made...)
			v.Do(keymap.Diff)
			if tt.says != "" {
				if len(h.Opened) > 0 || len(h.Said) != 1 || h.Said[0] != tt.says {
					t.Errorf("it opens %v and says %q", h.Opened, h.Said)
				}
				return
			}
			if !slices.Equal(h.Opened, []string{tt.opened}) || !slices.Equal(h.Nums, tt.nums) {
				t.Errorf("it opens %v of %v, want %s of %v", h.Opened, h.Nums, tt.opened, tt.nums)
			}
		})
	}
}
