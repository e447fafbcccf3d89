package resolve

import (
	"strconv"
	"testing"
)

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	c := cache{limit: 10, entries: map[question]answer{}}
	name := func(i int) question { return question{name: strconv.Itoa(i)} }
	var evicted uint64
	for i := range 1000 {
		evicted += c.put(name(i), answer{ttl: 100}, int64(i))
		evicted += c.put(name(i), answer{ttl: 200}, int64(i)) // replaced: it does not count twice
		if len(c.entries) > 10 || len(c.order) > 21 {
			t.Fatalf("%d entries, %d in order", len(c.entries), len(c.order))
		}
	}
	if evicted != 990 {
		t.Errorf("evicted %d, want 990", evicted)
	}
	if _, ok := c.get(name(999), 1000); !ok {
		t.Error("the newest is gone")
	}
	if _, ok := c.get(name(999), 2000); ok {
		t.Error("what is too old is given")
	}
}
