// Package dense keeps very many small records close together: a Slab hands out indices instead of pointers, and an Index
// finds records by secret hashes. Neither is safe for concurrent use.
//
// What has no pointers is not looked at by the garbage collector.
package dense

// Chunks have 1,024 records, so that growing never copies and a capture with few calls wastes little.
const (
	shift = 10
	mask  = 1<<shift - 1
)

// Slab keeps records without moving them and hands out indices instead of pointers, which halves their size. Index 0
// means none. The zero value is empty and ready for use.
type Slab[T any] struct {
	chunks [][]T
	n      uint32   // indices ever handed out, 0 included
	free   []uint32 // given back; the records are zero
}

// At gives the record with index i, which must be live. It stays where it is until it is released.
func (s *Slab[T]) At(i uint32) *T { return &s.chunks[i>>shift][i&mask] }

// Alloc gives a zeroed record and its index.
func (s *Slab[T]) Alloc() (uint32, *T) {
	if k := len(s.free); k > 0 {
		i := s.free[k-1]
		s.free = s.free[:k-1]
		return i, s.At(i)
	}
	s.n = max(s.n, 1)
	i := s.n
	if int(i>>shift) >= len(s.chunks) {
		s.chunks = append(s.chunks, make([]T, 1<<shift))
	}
	s.n++
	return i, s.At(i)
}

// Release gives a record back.
func (s *Slab[T]) Release(i uint32) {
	var zero T
	*s.At(i) = zero // drops what it points to, too
	s.free = append(s.free, i)
}

// Live counts the records in use.
func (s *Slab[T]) Live() int { return max(int(s.n)-1, 0) - len(s.free) }

// End is above every index that was ever handed out, 0 when none was. What is released is zero until it is handed out
// again, so that a walk over all can tell.
func (s *Slab[T]) End() uint32 { return s.n }
