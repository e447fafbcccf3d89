package txn

// index finds records by hash: open addressing with linear probing. The caller compares what the records keep.
type index struct {
	slots []slot // a power of two
	used  int
}

type slot struct{ record, hash uint32 } // record 0: free

// smallest index.
const minSlots = 64

// grow and shrink bounds: at most 3/4 full, at least 1/8, and half of that after a change of size.
func (x *index) fit() {
	n := len(x.slots)
	switch {
	case n == 0:
		n = minSlots
	case (x.used+1)*4 > n*3:
		n *= 2
	case n > minSlots && x.used*8 < n:
		n /= 2
	default:
		return
	}
	old := x.slots
	x.slots = make([]slot, n)
	for _, s := range old {
		if s.record != 0 {
			x.place(s)
		}
	}
}

func (x *index) place(s slot) {
	mask := uint32(len(x.slots) - 1) //nolint:gosec // records are counted in 32 bits
	i := s.hash & mask
	for x.slots[i].record != 0 {
		i = (i + 1) & mask
	}
	x.slots[i] = s
}

// add adds a record, which is not there yet.
func (x *index) add(hash, record uint32) {
	x.fit()
	x.place(slot{record, hash})
	x.used++
}

// remove takes a record out and closes the gap that it leaves in its run.
func (x *index) remove(hash, record uint32) {
	if len(x.slots) == 0 {
		return
	}
	mask := uint32(len(x.slots) - 1) //nolint:gosec // records are counted in 32 bits
	i := hash & mask
	for x.slots[i].record != record {
		if x.slots[i].record == 0 {
			return
		}
		i = (i + 1) & mask
	}
	for j := (i + 1) & mask; x.slots[j].record != 0; j = (j + 1) & mask {
		// The one at j may fill the gap at i when its own place is not between them.
		if (j-x.slots[j].hash)&mask >= (j-i)&mask {
			x.slots[i] = x.slots[j]
			i = j
		}
	}
	x.slots[i] = slot{}
	x.used--
	x.fit()
}

// find calls match for each record of that hash until it says true, and gives that record, or 0. same is how many it asked.
func (x *index) find(hash uint32, match func(record uint32) bool) (record uint32, same int) {
	if len(x.slots) == 0 {
		return 0, 0
	}
	mask := uint32(len(x.slots) - 1) //nolint:gosec // records are counted in 32 bits
	for i := hash & mask; x.slots[i].record != 0; i = (i + 1) & mask {
		if s := x.slots[i]; s.hash == hash {
			same++
			if match(s.record) {
				return s.record, same
			}
		}
	}
	return 0, same
}
