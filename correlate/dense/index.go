package dense

// Index maps secret 64-bit hashes to record indices: open addressing with linear probing, one cache line a look-up where
// Go's map takes two, and nothing in it for the garbage collector. The keys must be hashes that nobody outside can
// choose, so that nobody can aim at one place. Value 0 means absent. The zero value is empty and ready for use.
type Index struct {
	slots []slot
	n     int
}

type slot struct {
	key uint64
	val uint32
}

// indexMin is the first size; sizes are powers of two.
const indexMin = 1 << 8

// Len counts the keys.
func (x *Index) Len() int { return x.n }

// Get gives the value of a key, 0 when it is absent.
func (x *Index) Get(key uint64) uint32 {
	if x.n == 0 {
		return 0
	}
	mask := uint64(len(x.slots)) - 1
	for i := key & mask; ; i = (i + 1) & mask {
		s := &x.slots[i]
		if s.val == 0 {
			return 0
		}
		if s.key == key {
			return s.val
		}
	}
}

// Set gives a key a value, which must not be 0.
func (x *Index) Set(key uint64, val uint32) {
	if (x.n+1)*8 > len(x.slots)*5 { // at most five eighths full: probes stay short
		x.grow()
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

func (x *Index) grow() {
	old := x.slots
	x.slots, x.n = make([]slot, max(indexMin, 2*len(old))), 0
	for _, s := range old {
		if s.val != 0 {
			x.Set(s.key, s.val)
		}
	}
}

// Drop removes a key and closes the hole, so that probes need no tombstones.
func (x *Index) Drop(key uint64) {
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
