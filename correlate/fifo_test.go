package correlate

import (
	"math/rand/v2"
	"testing"
)

// TestFIFO compares with a slice while entries come and go.
func TestFIFO(t *testing.T) {
	t.Parallel()
	var q fifo[int]
	var want []int
	r := rand.New(rand.NewPCG(5, 6))
	next := 0
	for _, phase := range []struct{ steps, pushes int }{{5000, 3}, {5000, 1}, {9000, 2}} { // grows, shrinks, stays
		for range phase.steps {
			if r.IntN(4) < phase.pushes {
				q.push(next)
				want = append(want, next)
				next++
			} else if len(want) > 0 {
				if got := q.pop(); got != want[0] {
					t.Fatalf("popped %d, want %d", got, want[0])
				}
				want = want[1:]
			}
			if q.len() != len(want) {
				t.Fatalf("%d entries, want %d", q.len(), len(want))
			}
		}
		for i := range want {
			if *q.at(i) != want[i] {
				t.Fatalf("entry %d is %d, want %d", i, *q.at(i), want[i])
			}
		}
	}
}

func TestFIFOReusesItsChunks(t *testing.T) { //nolint:paralleltest // AllocsPerRun
	var q fifo[int]
	if allocs := testing.AllocsPerRun(5000, func() { q.push(1); q.pop() }); allocs > 0.01 {
		t.Errorf("%v allocations for an entry that comes and goes", allocs)
	}
}
