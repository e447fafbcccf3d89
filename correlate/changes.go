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
	t.push(&t.order, ci, c)
}

// settle remembers a call that has ended as one that may go. It must follow each touch, once the call's state is known.
func (t *Tracker) settle(ci uint32, c *callRec) {
	if c.ended() {
		t.push(&t.ended, ci, c)
	}
}

func (t *Tracker) push(o *changes, ci uint32, c *callRec) {
	o.push(change{c.rev, ci})
	if n := o.len(); n > 4*t.calls.Live()+changesSlack {
		for range n {
			if e := o.pop(); !t.stale(e) {
				o.push(e)
			}
		}
	}
}

// oldest gives the call that changed longest ago, 0 when there is none.
func (t *Tracker) oldest(o *changes) uint32 {
	for o.len() > 0 && t.stale(*o.at(0)) {
		o.pop()
	}
	if o.len() == 0 {
		return 0
	}
	return o.at(0).call
}

// stale reports whether the entry's call has changed since, or is gone.
func (t *Tracker) stale(e change) bool { return t.calls.At(e.call).rev != e.rev }

// after gives the index of the first entry after a revision.
func (o *changes) after(rev uint64) int {
	return sort.Search(o.len(), func(i int) bool { return o.at(i).rev > rev })
}

// expire evicts what is older than the limits allow, seen from the packet time reached. Calls stand in the order of their
// last change, which is that of their last message: the first that is young enough ends the walk.
func (t *Tracker) expire() {
	if t.limits.Keep <= 0 || t.now < t.expireAt {
		return
	}
	now := t.now - t.now%expireEvery // not t.now: which packets make a batch must not change what goes
	t.expireAt = now + expireEvery
	for _, q := range []struct {
		calls *changes
		age   int64
	}{{&t.ended, t.limits.Keep}, {&t.order, t.limits.Idle}} {
		for {
			ci := t.oldest(q.calls)
			if ci == 0 || now-t.calls.At(ci).last <= q.age {
				break
			}
			t.limited.ExpiredCalls++
			t.evict(ci)
		}
	}
}

// victim chooses the call to evict: the ended one that changed longest ago, else the very first. 0 when there is only one.
func (t *Tracker) victim() uint32 {
	if t.calls.Live() < 2 {
		return 0
	}
	if ci := t.oldest(&t.ended); ci != 0 {
		return ci
	}
	return t.oldest(&t.order)
}
