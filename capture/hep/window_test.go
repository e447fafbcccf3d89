package hep

import (
	"math/rand/v2"
	"testing"
)

// Whatever comes in whatever order, what is in time is given in order, everything is given once, and the time reached never
// passes what is given in order later.
func TestWindowRandom(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 50 {
		w := newWindow(100)
		count, given := 0, 0
		last, late := int64(-1<<63), uint64(0)
		for mono := int64(0); mono < 5000; mono += random.Int64N(20) {
			for range random.IntN(4) {
				at := mono - random.Int64N(100)
				if random.IntN(50) == 0 {
					at = mono - random.Int64N(1000)
				}
				if at < w.reached {
					late++
				}
				w.add(held{time: at, buf: &buffer{b: make([]byte, 10)}}, mono)
				count++
			}
			w.advance(mono)
			floor := int64(-1 << 62)
			for w.ready() {
				h := w.take()
				if given++; h.time < floor {
					t.Fatal("out of order within what waited together")
				}
				floor = h.time
				last = max(last, h.time)
			}
			if w.reached != last || len(w.heap) > 0 && w.heap[0].time < w.horizon {
				t.Fatal("the horizon is beyond what waits")
			}
		}
		w.all()
		for w.ready() {
			w.take()
			given++
		}
		if given != count || w.bytes != 0 || len(w.heap) != 0 || w.late != late {
			t.Fatalf("round %d: %d given of %d, %d bytes, %d late, want %d", round, given, count, w.bytes, w.late, late)
		}
	}
}

// A message waits for no longer than the window, and messages whose times fit within it come in order.
func TestWindowBound(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	w := newWindow(100)
	arrived := map[int64]int64{}
	prev := int64(-1 << 62)
	for mono := range int64(20_000) {
		at := (mono-random.Int64N(100))*1000 + random.Int64N(1000)
		w.add(held{time: at, buf: &buffer{}}, mono)
		arrived[at] = mono
		w.advance(mono)
		for w.ready() {
			h := w.take()
			if mono-arrived[h.time] > 100 {
				t.Fatalf("waited for %d", mono-arrived[h.time])
			}
			if h.time < prev {
				t.Fatalf("%d after %d", h.time, prev)
			}
			prev = h.time
		}
	}
	if w.late != 0 {
		t.Errorf("%d late", w.late)
	}
}
