package calls

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"sipscope/correlate"
	"sipscope/render/columns"
)

// sortWith orders by another column, as Settings.Sort names it.
func (l *list) sortWith(by string) {
	l.sortBy = by
	l.outdate()
	l.sort.renew()
	l.sorts++
	l.sorting = false
	name := strings.TrimPrefix(by, "-")
	if name == "num" || name == "" {
		l.sorted = nil
		return
	}
	c, err := l.find(name)
	if err != nil { // a name of the configuration file
		l.sortBy, l.sorted, l.h.Settings().Sort = "num", nil, "num"
		l.h.Fail(err)
		return
	}
	l.column = c
}

// find gives a column by name; a header that the pipeline did not collect is empty here, see headerKeys.
func (l *list) find(name string) (columns.Column, error) {
	header, ok := strings.CutPrefix(name, columns.HeaderPrefix)
	if !ok {
		return columns.Find(name)
	}
	at := collected(l.h.Data(), header)
	return columns.Header(header, func(s *correlate.Summary) string {
		if at >= 0 && at < len(s.Columns) {
			return s.Columns[at]
		}
		return ""
	}), nil
}

// resortEvery is how often a list that sorts is sorted anew while calls change, at least; a long sort waits longer.
const resortEvery = 500 * time.Millisecond

// resort sorts on another goroutine when the order may be out of date. The old one stays meanwhile.
func (l *list) resort(now time.Time) {
	name := strings.TrimPrefix(l.sortBy, "-")
	if name == "num" || name == "" || l.sorting || l.passing {
		return
	}
	of := state{l.board.Totals().Messages, l.version, l.total, true}
	if of == l.sortedOf || l.sorted != nil && l.sortedOf.known && now.Sub(l.began) < max(resortEvery, 10*l.took) {
		return
	}
	l.sorting, l.began = true, now
	l.sorts++
	stopped := l.sort.renew()
	generation, descending := l.sorts, l.sortBy[0] == '-'
	nums := l.base()
	if l.picked {
		nums = slices.Clone(l.match)
	}
	column, copies, data := l.column, l.copies, l.h.Data()
	header, lazy := strings.CutPrefix(name, columns.HeaderPrefix)
	lazy = lazy && collected(data, header) < 0
	l.h.Go(func(ctx context.Context) func() {
		begin := time.Now()
		var keys []key
		if lazy {
			keys = headerKeys(ctx, stopped, data, nums, header)
		} else {
			keys = sortKeys(ctx, stopped, copies, &column, nums)
		}
		if keys == nil {
			return nil
		}
		order := orderOf(nums, keys, descending)
		took := time.Since(begin)
		return func() {
			if generation == l.sorts {
				l.sorting = false
				l.sorted, l.sortedOf, l.took, l.moved = order, of, took, true
				l.h.Redraw()
			}
		}
	})
}

// key is what a call sorts by.
type key struct {
	n int64
	s string
}

// sortKeys reads the keys of calls; those of calls that are gone stay empty. It gives nil when it was stopped.
func sortKeys(ctx context.Context, stopped *atomic.Bool, copies copier, c *columns.Column, nums []uint32) []key {
	keys := make([]key, len(nums))
	var buf []correlate.Summary
	at := 0
	for chunk := range slices.Chunk(nums, 512) {
		if ctx.Err() != nil || stopped.Load() {
			return nil
		}
		buf = copies.Summaries(chunk, buf[:0])
		j := 0
		for i, num := range chunk {
			if j == len(buf) || buf[j].Num != num {
				continue
			}
			if c.Number != nil {
				keys[at+i].n = c.Number(&buf[j])
			} else {
				keys[at+i].s = c.Cell(&buf[j])
			}
			j++
		}
		at += len(chunk)
	}
	return keys
}

// orderOf orders numbers by their keys, ties by number.
func orderOf(nums []uint32, keys []key, descending bool) []uint32 {
	index := make([]uint32, len(nums))
	for i := range index {
		index[i] = uint32(i)
	}
	slices.SortFunc(index, func(a, b uint32) int {
		x, y := &keys[a], &keys[b]
		c := compareKeys(x, y)
		if descending {
			c = -c
		}
		if c == 0 {
			c = int(a) - int(b)
		}
		return c
	})
	for i, at := range index {
		index[i] = nums[at]
	}
	return index
}

func compareKeys(x, y *key) int {
	switch {
	case x.n < y.n:
		return -1
	case x.n > y.n:
		return 1
	default:
		return strings.Compare(x.s, y.s)
	}
}

// describe says how the list is sorted, for the user.
func (l *list) describe() string {
	name, order := strings.TrimPrefix(l.sortBy, "-"), "upwards"
	if strings.HasPrefix(l.sortBy, "-") {
		order = "downwards"
	}
	return fmt.Sprintf("sorted by %s, %s", name, order)
}
