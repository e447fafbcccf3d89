package hep

import (
	"math"
	"net/netip"
	"time"
)

// A window puts messages of many agents into the order of their times. A message is held for the window's length after
// its arrival, which is what it waits for those of other agents that were captured before it and are still on their way.
// What comes later than that is given at once. Memory: two entries of some 100 bytes a message, and its bytes.

// held is a message that waits.
type held struct {
	time    int64 // of the packet, ns since 1970
	arrival int64 // order of arrival
	src     netip.AddrPort
	dst     netip.AddrPort
	buf     *buffer
}

// buffer is the bytes of a message behind room for the head of its datagram.
type buffer struct {
	b     []byte
	class int // of the pool that it belongs to; beyond the last for none
}

// due says when a message has waited for long enough.
type due struct {
	at   int64 // monotonic, ns
	time int64 // of the packet
}

// window is not safe for concurrent use.
type window struct {
	length  int64  // ns
	heap    []held // by time, then arrival
	queue   []due  // in the order of arrival
	first   int    // of queue
	arrived int64
	bytes   int
	horizon int64 // messages up to this time are given; starts below all times
	reached int64 // highest time given
	late    uint64
}

func newWindow(length time.Duration) window {
	return window{length: int64(length), horizon: math.MinInt64, reached: math.MinInt64}
}

// add holds a message that arrived at mono.
func (w *window) add(h held, mono int64) {
	w.arrived++
	h.arrival = w.arrived
	w.bytes += cap(h.buf.b)
	if h.time < w.reached {
		w.late++
	}
	w.heap = append(w.heap, h)
	w.up(len(w.heap) - 1)
	if h.time > w.horizon { // others are given anyway
		w.queue = append(w.queue, due{at: mono + w.length, time: h.time})
	}
}

// advance moves the horizon to what has waited until mono.
func (w *window) advance(mono int64) {
	for w.first < len(w.queue) && w.queue[w.first].at <= mono {
		w.horizon = max(w.horizon, w.queue[w.first].time)
		w.first++
	}
	if w.first == len(w.queue) {
		w.queue, w.first = w.queue[:0], 0
	} else if w.first > 1024 && w.first > len(w.queue)/2 {
		n := copy(w.queue, w.queue[w.first:])
		w.queue, w.first = w.queue[:n], 0
	}
}

// all moves the horizon beyond everything held.
func (w *window) all() {
	for _, d := range w.queue[w.first:] {
		w.horizon = max(w.horizon, d.time)
	}
	w.queue, w.first = w.queue[:0], 0
}

// ready tells whether take gives something.
func (w *window) ready() bool { return len(w.heap) > 0 && w.heap[0].time <= w.horizon }

// take gives the next message; the caller has asked ready.
func (w *window) take() held {
	h := w.heap[0]
	last := len(w.heap) - 1
	w.heap[0] = w.heap[last]
	w.heap[last] = held{}
	if w.heap = w.heap[:last]; last > 0 {
		w.down(0)
	}
	w.bytes -= cap(h.buf.b)
	w.reached = max(w.reached, h.time)
	return h
}

// pass says that the time is reached: what is of before is late.
func (w *window) pass(t int64) {
	w.horizon, w.reached = max(w.horizon, t), max(w.reached, t)
}

// next is when the next message will have waited for long enough, monotonic; ok is false when none waits.
func (w *window) next() (at int64, ok bool) {
	if w.first == len(w.queue) {
		return 0, false
	}
	return w.queue[w.first].at, true
}

// restart forgets what times were given: the clock was set back.
func (w *window) restart() { w.horizon, w.reached = math.MinInt64, math.MinInt64 }

func (w *window) less(i, j int) bool {
	a, b := &w.heap[i], &w.heap[j]
	return a.time < b.time || a.time == b.time && a.arrival < b.arrival
}

func (w *window) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !w.less(i, parent) {
			return
		}
		w.heap[i], w.heap[parent] = w.heap[parent], w.heap[i]
		i = parent
	}
}

func (w *window) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(w.heap) {
			return
		}
		if child+1 < len(w.heap) && w.less(child+1, child) {
			child++
		}
		if !w.less(child, i) {
			return
		}
		w.heap[i], w.heap[child] = w.heap[child], w.heap[i]
		i = child
	}
}
