package correlate

// index maps seeded 64-bit hashes to record indices: open addressing with linear probing, one cache line a lookup where
// Go's map takes two, and nothing in it for the garbage collector. The keys are secret hashes, so nobody can aim at one
// place. Value 0 means absent.
type index struct {
	slots []indexSlot
	n     int
}

type indexSlot struct {
	key uint64
	val uint32
}

func (x *index) mask() uint64 { return uint64(len(x.slots)) - 1 }

// indexMin is the first size; sizes are powers of two.
const indexMin = 1 << 10

func (x *index) get(key uint64) uint32 {
	if x.n == 0 {
		return 0
	}
	mask := x.mask()
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

func (x *index) set(key uint64, val uint32) {
	if (x.n+1)*8 > len(x.slots)*5 { // at most five eighths full: probes stay short
		x.grow()
	}
	mask := x.mask()
	for i := key & mask; ; i = (i + 1) & mask {
		s := &x.slots[i]
		if s.val == 0 {
			*s = indexSlot{key, val}
			x.n++
			return
		}
		if s.key == key {
			s.val = val
			return
		}
	}
}

func (x *index) grow() {
	old := x.slots
	x.slots = make([]indexSlot, max(indexMin, 2*len(old)))
	x.n = 0
	for _, s := range old {
		if s.val != 0 {
			x.set(s.key, s.val)
		}
	}
}

// drop removes a key and closes the hole, so that probes need no tombstones.
func (x *index) drop(key uint64) {
	if x.n == 0 {
		return
	}
	mask := x.mask()
	i := key & mask
	for x.slots[i].key != key || x.slots[i].val == 0 {
		if x.slots[i].val == 0 {
			return
		}
		i = (i + 1) & mask
	}
	x.n--
	for j := i; ; {
		x.slots[i] = indexSlot{}
		for {
			j = (j + 1) & mask
			if x.slots[j].val == 0 {
				return
			}
			home := x.slots[j].key & mask
			// j's entry may fill the hole at i unless its home lies behind i
			if (j-home)&mask >= (j-i)&mask {
				break
			}
		}
		x.slots[i] = x.slots[j]
		i = j
	}
}
