package correlate

// slabShift sizes a slab's chunks: 4096 records, so that growing never copies and the last chunk wastes little.
const (
	slabShift = 12
	slabMask  = 1<<slabShift - 1
)

// slab keeps records without moving them and hands out indices instead of pointers, which halves their size and, for
// records without pointers, keeps them out of the garbage collector's sight. Index 0 means none.
type slab[T any] struct {
	chunks [][]T
	n      uint32   // indices ever handed out, 0 included
	free   []uint32 // given back
}

// at gives the record with index i, which must be live.
func (s *slab[T]) at(i uint32) *T { return &s.chunks[i>>slabShift][i&slabMask] }

// alloc gives a zeroed record and its index.
func (s *slab[T]) alloc() (uint32, *T) {
	if k := len(s.free); k > 0 {
		i := s.free[k-1]
		s.free = s.free[:k-1]
		r := s.at(i)
		var zero T
		*r = zero
		return i, r
	}
	if s.n == 0 {
		s.n = 1
	}
	i := s.n
	if int(i>>slabShift) >= len(s.chunks) {
		s.chunks = append(s.chunks, make([]T, 1<<slabShift))
	}
	s.n++
	return i, s.at(i)
}

// release gives a record back.
func (s *slab[T]) release(i uint32) {
	var zero T
	*s.at(i) = zero // drops what it points to
	s.free = append(s.free, i)
}

// live counts the records in use.
func (s *slab[T]) live() int {
	if s.n == 0 {
		return 0
	}
	return int(s.n) - 1 - len(s.free)
}
