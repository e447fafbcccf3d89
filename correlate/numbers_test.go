package correlate

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestNumbers compares with a map while calls come in order and go in any.
func TestNumbers(t *testing.T) {
	t.Parallel()
	var x numbers
	want := map[uint32]uint32{}
	r := rand.New(rand.NewPCG(1, 2))
	num := uint32(0)
	for range 20000 {
		if len(want) < 300 && r.IntN(3) > 0 {
			num++
			x.set(num, num*7)
			want[num] = num * 7
			continue
		}
		for gone := range want { // any
			x.drop(gone)
			delete(want, gone)
			break
		}
	}
	for i := range num + 2 {
		if x.get(i) != want[i] {
			t.Fatalf("number %d: record %d, want %d", i, x.get(i), want[i])
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), x.all(nil)); diff != "" || x.n != len(want) {
		t.Errorf("%d numbers (-want +got):\n%s", x.n, diff)
	}
	for gone := range want {
		x.drop(gone)
	}
	if len(x.pages) != 0 {
		t.Errorf("%d pages are left without calls", len(x.pages))
	}
}
