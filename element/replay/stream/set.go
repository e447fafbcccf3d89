package stream

import (
	"container/heap"
	"math"
)

// Set is many streams, ordered by when they are due: waking all of them costs what those that are due cost. A stream is in
// one set at most.
type Set struct{ due queue }

// entry is a stream and when it wants to be woken.
type entry struct {
	stream *Stream
	next   int64
}

// NewSet makes an empty set.
func NewSet() *Set { return &Set{} }

// Len is the number of streams.
func (s *Set) Len() int { return len(s.due) }

// Add adds a stream, or, when it is there already, looks anew at when it is due: after Change.
func (s *Set) Add(x *Stream) {
	if s.has(x) {
		s.due[x.place].next = x.Next()
		heap.Fix(&s.due, x.place)
		return
	}
	heap.Push(&s.due, entry{x, x.Next()})
}

// Remove removes a stream, which is not closed by that.
func (s *Set) Remove(x *Stream) {
	if s.has(x) {
		heap.Remove(&s.due, x.place)
	}
}

func (s *Set) has(x *Stream) bool { return x.place < len(s.due) && s.due[x.place].stream == x }

// Wake wakes the streams that are due at now, each once, and says when it wants to be called next, math.MaxInt64 for
// never.
func (s *Set) Wake(now int64) (next int64) {
	for len(s.due) > 0 && s.due[0].next <= now {
		x := s.due[0].stream
		next = max(x.Wake(now), now+1)
		if s.has(x) { // it may have been removed by what it told
			s.due[x.place].next = next
			heap.Fix(&s.due, x.place)
		}
	}
	return s.Next()
}

// Next is when the first stream is due.
func (s *Set) Next() int64 {
	if len(s.due) == 0 {
		return math.MaxInt64
	}
	return s.due[0].next
}

// queue is a heap.Interface.
type queue []entry

// Len is for heap.
func (q *queue) Len() int { return len(*q) }

// Less is for heap.
func (q *queue) Less(i, j int) bool { return (*q)[i].next < (*q)[j].next }

// Swap is for heap.
func (q *queue) Swap(i, j int) {
	all := *q
	all[i], all[j] = all[j], all[i]
	all[i].stream.place, all[j].stream.place = i, j
}

// Push is for heap.
func (q *queue) Push(x any) {
	e, _ := x.(entry)
	e.stream.place = len(*q)
	*q = append(*q, e)
}

// Pop is for heap.
func (q *queue) Pop() any {
	last := len(*q) - 1
	e := (*q)[last]
	(*q)[last] = entry{}
	*q = (*q)[:last]
	return e
}
