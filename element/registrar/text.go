package registrar

import "encoding/binary"

// texts keeps byte strings outside the sight of the garbage collector: blocks in chunks of 1 MiB, named by a number. A
// freed block is used again for a text of its size class, so that what refreshes of bindings write does not add up, and,
// once there may be no more chunks, for a smaller one.
//
//	size   1 … 1,024 bytes: multiples of 32 bytes · 2,048 · 4,096
type texts struct {
	chunks [][]byte
	limit  int    // of chunks
	next   uint32 // first unused unit of the last chunk
	free   [textClasses]uint32
}

const (
	textUnit     = 32      // bytes: block numbers count units, 128 GiB in all
	textChunk    = 1 << 15 // units in a chunk
	textExact    = 32      // classes 0 to 31 are of 1 to 32 units
	textClasses  = 32 + 2  // and 64 and 128 units
	noText       = ^uint32(0)
	textChunkLen = textChunk * textUnit
	// maxText bounds the texts of a binding. Ten such contacts still fit into an answer over UDP.
	maxText = 4096
)

// textClass is the class of a text of size bytes.
func textClass(size int) int {
	n := max(1, (size+textUnit-1)/textUnit)
	switch {
	case n <= textExact:
		return n - 1
	case n <= 2*textExact:
		return textExact
	default:
		return textExact + 1
	}
}

// classUnits is how many units the blocks of a class have.
func classUnits(class int) uint32 {
	if class < textExact {
		return uint32(class) + 1 //nolint:gosec // at most 32
	}
	return 2 * textExact << (class - textExact)
}

// init makes t empty, with room for so many bytes.
func (t *texts) init(bytes int) {
	*t = texts{next: textChunk, limit: max(1, bytes/textChunkLen)}
	for i := range t.free {
		t.free[i] = noText
	}
}

// add copies b, at most maxText bytes, into a block. It gives noText and false when there is no room.
func (t *texts) add(b []byte) (ref uint32, ok bool) {
	class := textClass(len(b))
	if ref, ok = t.take(class); ok {
		copy(t.block(ref, len(b)), b)
	}
	return ref, ok
}

// take finds a block as add does: a freed one, a new one, or the beginning of a larger freed one.
func (t *texts) take(class int) (ref uint32, ok bool) {
	if t.free[class] != noText {
		return t.pop(class), true
	}
	units := classUnits(class)
	if t.next+units <= textChunk || len(t.chunks) < t.limit {
		return t.fresh(units), true
	}
	for larger := class + 1; larger < textClasses; larger++ {
		if t.free[larger] != noText {
			ref = t.pop(larger)
			t.release(ref+units, classUnits(larger)-units)
			return ref, true
		}
	}
	return noText, false
}

// fresh gives a block that was never used. What is left of a chunk that is too small for it is used for smaller ones.
func (t *texts) fresh(units uint32) (ref uint32) {
	base := func() uint32 { return uint32(len(t.chunks)-1) * textChunk } //nolint:gosec // 128 GiB of texts do not fit
	if t.next+units > textChunk {
		if t.next < textChunk {
			t.release(base()+t.next, textChunk-t.next)
		}
		t.chunks = append(t.chunks, make([]byte, textChunkLen))
		t.next = 0
	}
	ref = base() + t.next
	t.next += units
	return ref
}

// release frees units that follow each other, as the largest blocks that they make.
func (t *texts) release(ref, units uint32) {
	for class := textClasses - 1; units > 0; {
		n := classUnits(class)
		if n > units {
			class--
			continue
		}
		t.push(class, ref)
		ref += n
		units -= n
	}
}

func (t *texts) push(class int, ref uint32) {
	binary.LittleEndian.PutUint32(t.block(ref, 4), t.free[class])
	t.free[class] = ref
}

func (t *texts) pop(class int) (ref uint32) {
	ref = t.free[class]
	t.free[class] = binary.LittleEndian.Uint32(t.block(ref, 4))
	return ref
}

// remove frees the block of a text of size bytes.
func (t *texts) remove(ref uint32, size int) { t.push(textClass(size), ref) }

// block gives size bytes at ref, valid until it is removed.
func (t *texts) block(ref uint32, size int) []byte {
	from := int(ref%textChunk) * textUnit
	return t.chunks[ref/textChunk][from : from+size : from+size]
}

// slab is a growing array whose elements never move, named by 1, 2, …; 0 is none. Freed ones are used again.
type slab[T any] struct {
	chunks [][]T
	used   uint32 // of all ever given out, the highest
	free   []uint32
}

const slabChunk = 4096

func (s *slab[T]) at(i uint32) *T { return &s.chunks[(i-1)/slabChunk][(i-1)%slabChunk] }

// add gives the number of an element with its zero value.
func (s *slab[T]) add() uint32 {
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.free = s.free[:n-1]
		return i
	}
	if s.used%slabChunk == 0 {
		s.chunks = append(s.chunks, make([]T, slabChunk))
	}
	s.used++
	return s.used
}

func (s *slab[T]) remove(i uint32) {
	var zero T
	*s.at(i) = zero
	s.free = append(s.free, i)
}

// queue orders bindings by when they end: a heap with four children a node, in which a binding knows its place.
type queue struct {
	heap  []uint32
	slots *slab[slot]
}

func (q *queue) ends(i int) int64 { return q.slots.at(q.heap[i]).expires }

func (q *queue) set(i int, n uint32) {
	q.heap[i] = n
	q.slots.at(n).place = uint32(i) + 1 //nolint:gosec // there are fewer than 2^32
}

// fix puts binding n where its end says; it may be in the queue, or not yet.
func (q *queue) fix(n uint32) {
	place := q.slots.at(n).place
	if place == 0 {
		q.heap = append(q.heap, n)
		place = uint32(len(q.heap)) //nolint:gosec // there are fewer than 2^32
		q.set(int(place)-1, n)
	}
	q.down(q.up(int(place) - 1))
}

func (q *queue) up(i int) int {
	n := q.heap[i]
	end := q.slots.at(n).expires
	for i > 0 {
		parent := (i - 1) / 4
		if q.ends(parent) <= end {
			break
		}
		q.set(i, q.heap[parent])
		i = parent
	}
	q.set(i, n)
	return i
}

func (q *queue) down(i int) {
	n := q.heap[i]
	end := q.slots.at(n).expires
	for {
		least, at := end, -1
		for child := 4*i + 1; child < min(4*i+5, len(q.heap)); child++ {
			if e := q.ends(child); e < least {
				least, at = e, child
			}
		}
		if at < 0 {
			break
		}
		q.set(i, q.heap[at])
		i = at
	}
	q.set(i, n)
}

// remove takes binding n out, if it is there.
func (q *queue) remove(n uint32) {
	s := q.slots.at(n)
	if s.place == 0 {
		return
	}
	i, last := int(s.place)-1, len(q.heap)-1
	s.place = 0
	moved := q.heap[last]
	q.heap = q.heap[:last]
	if i < last {
		q.set(i, moved)
		q.fix(moved)
	}
}
