package correlate

import "sort"

// changes keeps calls in order of their last change. Each change is an entry at the end; an entry is stale once its call
// has a younger one. So a change costs one write in sequence, where a linked list would touch the call's neighbours.
type changes struct{ fifo[change] }

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
	o := &t.order
	o.push(change{t.rev, ci})
	if n := o.len(); n > 4*t.calls.live()+changesSlack {
		for range n {
			if e := o.pop(); !t.stale(e) {
				o.push(e)
			}
		}
	}
}

// stale reports whether the entry's call has changed since, or is gone.
func (t *Tracker) stale(e change) bool { return t.calls.at(e.call).rev != e.rev }

// after gives the index of the first entry after a revision.
func (o *changes) after(rev uint64) int {
	return sort.Search(o.len(), func(i int) bool { return o.at(i).rev > rev })
}

// expire evicts what is older than the limits allow, seen from the packet time reached. Calls stand in the order of their
// last change, which is that of their last message: the walk ends at the first that is young enough.
func (t *Tracker) expire() {
	if t.limits.Keep <= 0 || t.now < t.expireAt {
		return
	}
	now := t.now - t.now%expireEvery // not t.now: which packets make a batch must not change what goes
	t.expireAt = now + expireEvery
	o := &t.order
	for o.len() > 0 && t.stale(*o.at(0)) {
		o.pop()
	}
	for i := 0; i < o.len(); i++ {
		e := *o.at(i)
		if t.stale(e) {
			continue
		}
		c := t.calls.at(e.call)
		age := now - c.last
		if age <= t.limits.Keep {
			return
		}
		if c.ended() || age > t.limits.Idle {
			t.limited.ExpiredCalls++
			t.evict(e.call)
		}
	}
}

// evictLook is how many calls are passed, from the one that changed longest ago, to find an ended one.
const evictLook = 256

// victim chooses the call to evict: of those that changed longest ago an ended one, else the very first. 0 when there is
// only one.
func (t *Tracker) victim() uint32 {
	o := &t.order
	for o.len() > 0 && t.stale(*o.at(0)) {
		o.pop()
	}
	if t.calls.live() < 2 || o.len() == 0 {
		return 0
	}
	seen := 0
	for i := range o.len() {
		e := *o.at(i)
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
	return o.at(0).call
}
