package record

// appointment is a call that is looked at again at a time.
type appointment struct {
	generation
	at int64 // packet time
}

// due is a file that is to be written at a time.
type due struct {
	out *output
	at  int64 // packet time
}

// queue is first in, first out. What was taken makes room for what comes.
type queue[T any] struct {
	items []T
	head  int // taken ones at the start of items
}

func (q *queue[T]) len() int { return len(q.items) - q.head }

func (q *queue[T]) push(v T) {
	if q.head > 0 && len(q.items) == cap(q.items) && q.head >= len(q.items)/2 {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, v)
}

// first is the oldest, which must be there.
func (q *queue[T]) first() *T { return &q.items[q.head] }

// pop takes the oldest, which must be there.
func (q *queue[T]) pop() T {
	var none T
	v := q.items[q.head]
	q.items[q.head] = none
	q.head++
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	}
	return v
}

// all gives what is in the queue, oldest first; it may be changed in place.
func (q *queue[T]) all() []T { return q.items[q.head:] }

// marks tell which packet was the newest some time ago, whatever times packets of several sources have.
type marks struct {
	at  [8]int64 // packet time
	seq [8]uint64
	n   int // marks ever made
}

// add marks the newest packet.
func (m *marks) add(now int64, seq uint64) {
	m.at[m.n%len(m.at)], m.seq[m.n%len(m.at)] = now, seq
	m.n++
}

// before is the newest packet that was marked at a time or earlier, as far back as marks go.
func (m *marks) before(at int64) uint64 {
	var newest uint64
	for i := range min(m.n, len(m.at)) {
		if m.at[i] <= at {
			newest = max(newest, m.seq[i])
		}
	}
	return newest
}
