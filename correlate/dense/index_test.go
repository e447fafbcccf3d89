package dense

import (
	"math/rand/v2"
	"testing"
)

// The index behaves like a map under any sequence of operations, clustered keys included.
func TestIndexIsAMap(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	for _, spread := range []uint64{7, 300, 1 << 40} {
		var x Index
		want := map[uint64]uint32{}
		for i := range 20_000 {
			key := r.Uint64N(spread) << (r.Uint64N(2) * 12)
			switch r.IntN(3) {
			case 0, 1:
				val := uint32(i + 1)
				x.Set(key, val)
				want[key] = val
			default:
				x.Drop(key)
				delete(want, key)
			}
			if got := x.Get(key); got != want[key] {
				t.Fatalf("spread %d, step %d: get(%d) = %d, want %d", spread, i, key, got, want[key])
			}
			if x.Len() != len(want) {
				t.Fatalf("spread %d, step %d: %d entries, want %d", spread, i, x.Len(), len(want))
			}
		}
		for key, val := range want {
			if got := x.Get(key); got != val {
				t.Fatalf("spread %d: get(%d) = %d, want %d", spread, key, got, val)
			}
		}
	}
}
