package media

import "math"

// Streams are many streams, ordered by when they are due: waking all of them costs what those that are due cost. A
// stream is in one set at most.
type Streams struct{ heap []due }

// due is a stream and when it wants to be woken.
type due struct {
	stream *Stream
	next   int64
}

// NewStreams makes an empty set.
func NewStreams() *Streams { return &Streams{} }

// Len is the number of streams.
func (s *Streams) Len() int { return len(s.heap) }

// Add adds a stream, or, when it is there already, looks anew at when it is due: after Change, Play or SendDigits.
func (s *Streams) Add(stream *Stream) {
	i := stream.place
	if !s.has(stream) {
		i = len(s.heap)
		s.heap = append(s.heap, due{stream: stream})
		stream.place = i
	}
	s.heap[i].next = stream.Next()
	s.fix(i)
}

// Remove removes a stream, which is not closed by that.
func (s *Streams) Remove(stream *Stream) {
	if !s.has(stream) {
		return
	}
	i, last := stream.place, len(s.heap)-1
	s.heap[i] = s.heap[last]
	s.heap[last] = due{}
	s.heap = s.heap[:last]
	if i < last {
		s.heap[i].stream.place = i
		s.fix(i)
	}
}

// has reports whether a stream is in the set.
func (s *Streams) has(stream *Stream) bool {
	return stream.place < len(s.heap) && s.heap[stream.place].stream == stream
}

// Wake wakes the streams that are due at now, and says when it wants to be called next, math.MaxInt64 for never.
func (s *Streams) Wake(now int64) (next int64) {
	for len(s.heap) > 0 && s.heap[0].next <= now {
		next = s.heap[0].stream.Wake(now)
		s.heap[0].next = max(next, now+1) // once in a call
		s.fix(0)
	}
	return s.Next()
}

// Next is when the first stream is due.
func (s *Streams) Next() int64 {
	if len(s.heap) == 0 {
		return math.MaxInt64
	}
	return s.heap[0].next
}

// fix moves a stream to where it belongs.
func (s *Streams) fix(i int) {
	for i > 0 && s.heap[i].next < s.heap[(i-1)/2].next {
		s.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
	for {
		child := 2*i + 1
		if child >= len(s.heap) {
			return
		}
		if child+1 < len(s.heap) && s.heap[child+1].next < s.heap[child].next {
			child++
		}
		if s.heap[i].next <= s.heap[child].next {
			return
		}
		s.swap(i, child)
		i = child
	}
}

func (s *Streams) swap(i, j int) {
	s.heap[i], s.heap[j] = s.heap[j], s.heap[i]
	s.heap[i].stream.place, s.heap[j].stream.place = i, j
}
