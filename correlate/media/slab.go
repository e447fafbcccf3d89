package media

// slabShift sizes a slab's chunks: 256 records, so that growing never copies and a capture with few streams wastes little.
const (
	slabShift = 8
	slabMask  = 1<<slabShift - 1
)

// slab keeps records without moving them and hands out indices; index 0 means none. The records have no pointers, so the
// garbage collector does not look at them.
type slab[T any] struct {
	chunks [][]T
	n      uint32 // indices ever handed out, 0 included
	free   []uint32
}

// at gives the record with index i, which must be live.
func (s *slab[T]) at(i uint32) *T { return &s.chunks[i>>slabShift][i&slabMask] }

// alloc gives a zeroed record and its index.
func (s *slab[T]) alloc() (uint32, *T) {
	var zero T
	if k := len(s.free); k > 0 {
		i := s.free[k-1]
		s.free = s.free[:k-1]
		r := s.at(i)
		*r = zero
		return i, r
	}
	s.n = max(s.n, 1)
	i := s.n
	if int(i>>slabShift) >= len(s.chunks) {
		s.chunks = append(s.chunks, make([]T, 1<<slabShift))
	}
	s.n++
	return i, s.at(i)
}

// release gives a record back.
func (s *slab[T]) release(i uint32) { s.free = append(s.free, i) }

// live counts the records in use.
func (s *slab[T]) live() int { return max(int(s.n)-1, 0) - len(s.free) }

// index maps secret 64-bit hashes to record indices: open addressing with linear probing, one cache line a look-up. Value
// 0 means absent.
type index struct {
	slots []slot
	n     int
}

type slot struct {
	key uint64
	val uint32
}

// indexMin is the first size; sizes are powers of two.
const indexMin = 1 << 8

func (x *index) get(key uint64) uint32 {
	if x.n == 0 {
		return 0
	}
	mask := uint64(len(x.slots)) - 1
	for i := key & mask; ; i = (i + 1) & mask {
		s := &x.slots[i]
		if s.val == 0 || s.key == key {
			return s.val
		}
	}
}

func (x *index) set(key uint64, val uint32) {
	if (x.n+1)*8 > len(x.slots)*5 { // at most five eighths full: probes stay short
		old := x.slots
		x.slots, x.n = make([]slot, max(indexMin, 2*len(old))), 0
		for _, s := range old {
			if s.val != 0 {
				x.set(s.key, s.val)
			}
		}
	}
	mask := uint64(len(x.slots)) - 1
	for i := key & mask; ; i = (i + 1) & mask {
		s := &x.slots[i]
		if s.val == 0 {
			*s = slot{key, val}
			x.n++
			return
		}
		if s.key == key {
			s.val = val
			return
		}
	}
}

// drop removes a key and closes the hole, so that probes need no tombstones.
func (x *index) drop(key uint64) {
	if x.n == 0 {
		return
	}
	mask := uint64(len(x.slots)) - 1
	i := key & mask
	for x.slots[i].key != key || x.slots[i].val == 0 {
		if x.slots[i].val == 0 {
			return
		}
		i = (i + 1) & mask
	}
	x.n--
	for j := i; ; {
		x.slots[i] = slot{}
		for {
			j = (j + 1) & mask
			if x.slots[j].val == 0 {
				return
			}
			if home := x.slots[j].key & mask; (j-home)&mask >= (j-i)&mask {
				break // it may fill the hole: its home does not lie behind it
			}
		}
		x.slots[i] = x.slots[j]
		i = j
	}
}
