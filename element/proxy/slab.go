package proxy

// slabSize is how many records a chunk of a slab has: large enough that the chunks are few, small enough that an idle
// proxy has no memory to speak of.
const slabSize = 1 << 10

// slab keeps records by index. Index 0 is none. Records never move, so that a pointer to one stays good while others
// come. Records without pointers cost the garbage collector nothing.
type slab[T any] struct {
	chunks []*[slabSize]T
	free   []uint32
	used   uint32 // indices given out at least once
	open   int
}

// take gives a zero record.
func (s *slab[T]) take() (uint32, *T) {
	s.open++
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.free = s.free[:n-1]
		return i, s.at(i)
	}
	s.used++
	if int(s.used/slabSize) == len(s.chunks) {
		s.chunks = append(s.chunks, new([slabSize]T))
	}
	return s.used, s.at(s.used)
}

func (s *slab[T]) at(i uint32) *T { return &s.chunks[i/slabSize][i%slabSize] }

// get is at for an index that may be wrong: nil then.
func (s *slab[T]) get(i uint32) *T {
	if i == 0 || i > s.used {
		return nil
	}
	return s.at(i)
}

// drop gives a record back.
func (s *slab[T]) drop(i uint32) {
	var zero T
	*s.at(i) = zero
	s.free = append(s.free, i)
	s.open--
}
