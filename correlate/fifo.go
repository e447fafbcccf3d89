package correlate

// fifoShift sizes a chunk of a fifo: 1024 entries.
const (
	fifoShift = 10
	fifoMask  = 1<<fifoShift - 1
)

// fifo is a queue in chunks: it grows without copying, and what is popped makes room for what is pushed. A slice that
// grew to the same size would leave five times as much garbage behind.
type fifo[T any] struct {
	chunks [][]T
	head   int // of the oldest entry in the first chunk
	n      int
	spare  []T // the chunk emptied last
}

func (q *fifo[T]) len() int { return q.n }

// at gives the i-th entry from the oldest on.
func (q *fifo[T]) at(i int) *T {
	i += q.head
	return &q.chunks[i>>fifoShift][i&fifoMask]
}

func (q *fifo[T]) push(v T) {
	end := q.head + q.n
	if end>>fifoShift == len(q.chunks) {
		c := q.spare
		if q.spare = nil; c == nil {
			c = make([]T, 1<<fifoShift)
		}
		q.chunks = append(q.chunks, c)
	}
	q.chunks[end>>fifoShift][end&fifoMask] = v
	q.n++
}

// pop takes the oldest entry, which must be there.
func (q *fifo[T]) pop() T {
	v := q.chunks[0][q.head]
	q.head++
	q.n--
	if q.head == 1<<fifoShift {
		q.spare = q.chunks[0]
		q.chunks[0] = nil
		q.chunks = q.chunks[1:]
		q.head = 0
	}
	return v
}
