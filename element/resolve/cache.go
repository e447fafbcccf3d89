package resolve

import "slices"

// cache keeps answers until they are too old. When it is full, the oldest goes, whether in use or not: with thousands of
// names the next question costs a millisecond, and an order by use would cost more on each hit.
type cache struct {
	limit   int
	entries map[question]answer
	order   []question // in the order of coming in; those that were replaced stand here twice
}

// get gives an answer that is not too old.
func (c *cache) get(q question, now int64) (answer, bool) {
	a, ok := c.entries[q]
	if ok && a.until <= now {
		delete(c.entries, q)
		return answer{}, false
	}
	return a, ok
}

// put keeps an answer for its ttl, and gives how many went to make room.
func (c *cache) put(q question, a answer, now int64) (evicted uint64) {
	a.until = now + a.ttl
	if _, known := c.entries[q]; !known {
		for len(c.entries) >= c.limit && len(c.order) > 0 {
			oldest := c.order[0]
			c.order = c.order[1:]
			if _, there := c.entries[oldest]; there {
				delete(c.entries, oldest)
				evicted++
			}
		}
	}
	c.entries[q] = a
	if c.order = append(c.order, q); len(c.order) > 2*c.limit { // many were replaced or grew too old
		c.compact()
	}
	return evicted
}

// compact leaves each entry in the order once, where it came in last.
func (c *cache) compact() {
	seen := make(map[question]struct{}, len(c.entries))
	kept := make([]question, 0, c.limit+1)
	for _, q := range slices.Backward(c.order) {
		if _, there := c.entries[q]; !there {
			continue
		}
		if _, twice := seen[q]; twice {
			continue
		}
		seen[q] = struct{}{}
		kept = append(kept, q)
	}
	slices.Reverse(kept)
	c.order = kept
}
