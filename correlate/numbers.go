package correlate

import (
	"maps"
	"slices"
)

// pageShift sizes a page of numbers: 64 calls, so that one call that outlives all others of its time holds 256 bytes.
const (
	pageShift = 6
	pageMask  = 1<<pageShift - 1
)

// numbers finds a call's record by its number. Numbers are given in order and mostly taken back in order, so they live
// in pages; a page goes with its last call.
type numbers struct {
	pages map[uint32]*numberPage
	last  *numberPage // that of lastAt, where the newest calls are
	at    uint32
	n     int
}

type numberPage struct {
	calls [1 << pageShift]uint32
	used  int
}

// set gives a number, not yet there, a record other than 0.
func (x *numbers) set(num, call uint32) {
	if x.last == nil || x.at != num>>pageShift {
		x.at = num >> pageShift
		if x.last = x.pages[x.at]; x.last == nil {
			x.last = &numberPage{}
			if x.pages == nil {
				x.pages = map[uint32]*numberPage{}
			}
			x.pages[x.at] = x.last
		}
	}
	x.last.calls[num&pageMask] = call
	x.last.used++
	x.n++
}

// get gives the record, 0 for none.
func (x *numbers) get(num uint32) uint32 {
	p := x.pages[num>>pageShift]
	if p == nil {
		return 0
	}
	return p.calls[num&pageMask]
}

// drop takes a number back, which must be there.
func (x *numbers) drop(num uint32) {
	p := x.pages[num>>pageShift]
	p.calls[num&pageMask] = 0
	p.used--
	x.n--
	if p.used == 0 {
		delete(x.pages, num>>pageShift)
		if p == x.last {
			x.last = nil
		}
	}
}

// all appends the numbers there are to dst, in order.
func (x *numbers) all(dst []uint32) []uint32 {
	dst = slices.Grow(dst, x.n)
	for _, at := range slices.Sorted(maps.Keys(x.pages)) {
		for i, call := range x.pages[at].calls {
			if call != 0 {
				dst = append(dst, at<<pageShift|uint32(i))
			}
		}
	}
	return dst
}
