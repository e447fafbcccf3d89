package correlate

import "slices"

// changes keeps calls in order of their last change. Each change is an entry at the end; an entry is stale once its call
// has a younger one. So a change costs one write in sequence, where a linked list would touch the call's neighbours.
type changes struct {
	log  []change
	head int // entries before it are stale
}

type change struct {
	rev  uint64
	call uint32
}

// changesSlack is how many stale entries are put up with before they are cleared away, beside three a call.
const changesSlack = 1 << 16

// touch makes the call the one that changed last.
func (t *Tracker) touch(ci uint32, c *callRec) {
	t.rev++
	c.rev = t.rev
	t.order.log = append(t.order.log, change{t.rev, ci})
	if len(t.order.log)-t.order.head > 4*t.calls.live()+changesSlack {
		t.order.log = slices.DeleteFunc(t.order.log, t.stale)
		t.order.head = 0
	}
}

// stale reports whether the entry's call has changed since, or is gone.
func (t *Tracker) stale(e change) bool { return t.calls.at(e.call).rev != e.rev }

// after gives the index of the first entry after a revision.
func (o *changes) after(rev uint64) int {
	i, _ := slices.BinarySearchFunc(o.log, rev+1, func(e change, rev uint64) int {
		if e.rev < rev {
			return -1
		}
		return 1
	})
	return max(i, o.head)
}

// evictLook is how many calls are passed, from the one that changed longest ago, to find an ended one.
const evictLook = 256

// victim chooses the call to evict: of those that changed longest ago an ended one, else the very first. 0 when there is
// only one.
func (t *Tracker) victim() uint32 {
	o := &t.order
	for o.head < len(o.log) && t.stale(o.log[o.head]) {
		o.head++
	}
	if t.calls.live() < 2 || o.head == len(o.log) {
		return 0
	}
	seen := 0
	for _, e := range o.log[o.head:] {
		if t.stale(e) {
			continue
		}
		if t.calls.at(e.call).ended() {
			return e.call
		}
		if seen++; seen == evictLook {
			break
		}
	}
	return o.log[o.head].call
}
