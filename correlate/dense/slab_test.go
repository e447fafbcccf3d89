package dense

import (
	"math/rand/v2"
	"testing"
)

// Records stay where they are, keep what was put into them, and come back zeroed.
func TestSlabKeepsRecords(t *testing.T) {
	t.Parallel()
	type record struct {
		text *string
		n    int
	}
	var s Slab[record]
	r := rand.New(rand.NewPCG(3, 4))
	want := map[uint32]*record{}
	var order []uint32
	text := "kept"
	for step := range 50_000 {
		if len(order) > 0 && r.IntN(3) == 0 {
			k := r.IntN(len(order))
			i := order[k]
			if got := s.At(i); got != want[i] || got.text != &text || got.n != int(i) {
				t.Fatalf("step %d: record %d is %+v", step, i, got)
			}
			s.Release(i)
			delete(want, i)
			order[k] = order[len(order)-1]
			order = order[:len(order)-1]
		} else {
			i, rec := s.Alloc()
			if i == 0 || want[i] != nil || *rec != (record{}) {
				t.Fatalf("step %d: new record %d is %+v", step, i, *rec)
			}
			rec.text, rec.n = &text, int(i)
			want[i] = rec
			order = append(order, i)
		}
		if s.Live() != len(want) {
			t.Fatalf("step %d: %d live, want %d", step, s.Live(), len(want))
		}
	}
}
