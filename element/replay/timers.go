package replay

import (
	"math"
	"time"
)

// timerKind is what a timer does.
type timerKind uint8

const (
	timerDue    timerKind = iota + 1 // a step is due
	timerCheck                       // deadlines are looked at
	timerResend                      // a response is sent again
	timerEnd                         // a Wait or Media is over
	timerGiveUp                      // a play that ends must have ended
)

// timed is a timer of a play. One that is no longer needed is left, and ignored when its time comes.
type timed struct {
	at   int64
	n    uint64 // of two at one time the older goes first
	play uint64
	step int32
	kind timerKind
}

// timers is a heap.
type timers struct {
	heap []timed
	n    uint64
}

func (t *timers) less(i, j int) bool {
	a, b := &t.heap[i], &t.heap[j]
	return a.at < b.at || a.at == b.at && a.n < b.n
}

func (t *timers) add(e timed) {
	t.n++
	e.n = t.n
	t.heap = append(t.heap, e)
	for i := len(t.heap) - 1; i > 0; {
		up := (i - 1) / 2
		if !t.less(i, up) {
			return
		}
		t.heap[i], t.heap[up] = t.heap[up], t.heap[i]
		i = up
	}
}

func (t *timers) next() int64 {
	if len(t.heap) == 0 {
		return math.MaxInt64
	}
	return t.heap[0].at
}

func (t *timers) due(now int64) bool { return t.next() <= now }

func (t *timers) pop() timed {
	e := t.heap[0]
	last := len(t.heap) - 1
	t.heap[0] = t.heap[last]
	t.heap = t.heap[:last]
	for i := 0; ; {
		low := 2*i + 1
		if low >= last {
			return e
		}
		if low+1 < last && t.less(low+1, low) {
			low++
		}
		if !t.less(low, i) {
			return e
		}
		t.heap[i], t.heap[low] = t.heap[low], t.heap[i]
		i = low
	}
}

// at sets a timer of the play.
func (g *play) at(t int64, kind timerKind, i int32) {
	g.times.add(timed{at: t, play: g.id, step: i, kind: kind})
}

func timeOf(ns int64) time.Duration { return time.Duration(ns) }
