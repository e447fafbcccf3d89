package correlate

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"sipscope/decode"
	"sipscope/decode/frame"
)

// Holes are found by their hosts and times, whichever way they were and in whatever order they came.
func TestGapsByHosts(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 8))
	host := func() frame.Endpoint {
		return frame.Endpoint4([]byte{10, 0, 0, byte(rng.IntN(6))}, uint16(rng.IntN(3)))
	}
	var r gapRecs
	for range 2000 {
		r.add(&decode.Gap{Src: host(), Dst: host(), Time: rng.Int64N(1000)})
	}
	for range 500 {
		a, b, first := host(), host(), rng.Int64N(1000)
		last := first + rng.Int64N(300)
		var want []uint32
		for i := range r.all {
			g := &r.all[i]
			between := g.Src.SameHost(a) && g.Dst.SameHost(b) || g.Src.SameHost(b) && g.Dst.SameHost(a)
			if between && g.Time >= first && g.Time <= last {
				want = append(want, uint32(i))
			}
		}
		got := slices.Sorted(slices.Values(r.between(pairOf(a, b), first, last)))
		if !slices.Equal(got, want) {
			t.Fatalf("%v %v from %d to %d: %d holes, want %d", a, b, first, last, len(got), len(want))
		}
	}
}

// A list of many calls beside many holes is not calls times holes.
func TestGapsOfManyCalls(t *testing.T) {
	t.Parallel()
	tr := NewTracker(Limits{}, nil)
	for i := range defaultGaps {
		tr.gaps.add(&decode.Gap{
			Src: frame.Endpoint4([]byte{10, 0, 0, 1}, 5060), Dst: frame.Endpoint4([]byte{10, 0, 0, 2}, 5060), Time: int64(i),
		})
	}
	c := callRec{nEps: 2, last: defaultGaps}
	c.eps[0] = frame.Endpoint4([]byte{10, 0, 0, 1}, 5060)
	c.eps[1] = frame.Endpoint4([]byte{10, 0, 0, 2}, 5060)
	start := time.Now()
	for range 20_000 {
		if n := tr.countGaps(&c); n != defaultGaps {
			t.Fatalf("%d holes", n)
		}
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("20,000 calls took %v", took)
	}
	if got := tr.gapsOf(&c); len(got) != defaultGaps || !slices.IsSortedFunc(got, func(a, b decode.Gap) int { return int(a.Time - b.Time) }) {
		t.Errorf("%d holes, or out of order", len(got))
	}
}
