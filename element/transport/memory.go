package transport

import (
	"cmp"
	"slices"
	"unsafe"
)

// What connections hold is what their peers have them hold: parts of messages, and what they do not read. Each may hold
// a message and a queue, all of them together Config.Memory and no more: then those that hold most end, so that many which
// hold little go on. A reader that needs more waits until there is room. Its buffer has grown before, to twice its size at
// most, so that all hold twice the limit at worst, for as long as the loop takes to see it.

// sentBytes is what a message in a queue costs beside its text.
const sentBytes = int(unsafe.Sizeof(sent{}))

// weigh counts what the queue holds. The lock is held.
func (c *conn) weigh(e *Endpoint) {
	n := cap(c.out) + cap(c.wbuf) + sentBytes*(cap(c.pending)+cap(c.writing))
	if d := n - c.queued; d != 0 {
		c.queued = n
		e.totals.held.Add(int64(d))
	}
}

// hold counts what the reader holds. When all hold too much, it waits for the loop to change that; false says that the
// connection has ended, which is one way to do so.
func (c *conn) hold(e *Endpoint, n int) bool {
	c.mu.Lock()
	if c.dead {
		c.mu.Unlock()
		return false
	}
	d := n - c.reading
	c.reading = n
	total := e.totals.held.Add(int64(d))
	c.mu.Unlock()
	if d <= 0 || total <= int64(e.cfg.Memory) {
		return true
	}
	if !e.tell(event{kind: eventHeavy, conn: c}) {
		return false
	}
	select {
	case <-c.resume:
		return true
	case <-c.gone:
		return false
	}
}

// goOn has a reader go on that waits for the loop.
func (c *conn) goOn() {
	select {
	case c.resume <- struct{}{}:
	default:
	}
}

// weight is what c holds.
func (c *conn) weight() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reading + c.queued
}

// lighten drops the connections that hold most until there is room again: an eighth of all, so that the next that grows
// does not have them all compared again.
func (e *Endpoint) lighten() {
	limit := int64(e.cfg.Memory)
	if e.totals.held.Load() <= limit {
		return
	}
	type heavy struct {
		c *conn
		n int
	}
	all := make([]heavy, 0, len(e.conns.byID))
	for c := range e.conns.all() {
		all = append(all, heavy{c, c.weight()})
	}
	slices.SortFunc(all, func(a, b heavy) int { return cmp.Or(b.n-a.n, cmp.Compare(a.c.id, b.c.id)) })
	for _, h := range all {
		if e.totals.held.Load() <= limit-limit/8 || h.n == 0 {
			return
		}
		e.totals.crowded.Add(1)
		e.drop(h.c, ErrMemory)
	}
}
