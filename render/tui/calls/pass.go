package calls

import (
	"context"
	"slices"
	"time"

	"sipscope/correlate"
	"sipscope/correlate/query"
)

// restart begins the filter anew. What was shown before stays until the first results are there.
func (l *list) restart() {
	l.passes++
	l.scanner = scanner{}
	l.outdate()
	stopped := l.pass.renew()
	if !l.filtered() {
		l.match, l.in, l.passing, l.picked = nil, nil, false, false
		return
	}
	if l.needsTexts() {
		l.match, l.in, l.rev, l.passing, l.picked = nil, nil, 0, false, true
		l.scanner = scanner{total: l.all()}
		l.scan()
		return
	}
	pass, q, only, copies := l.passes, l.query, l.only, l.copies
	l.passing = true
	l.h.Go(func(ctx context.Context) func() {
		var in bitset
		var rev uint64
		buf := make([]correlate.Summary, 0, 512)
		for ctx.Err() == nil && !stopped.Load() {
			buf, rev = copies.Changes(rev, buf[:0])
			if len(buf) == 0 {
				break
			}
			for i := range buf {
				in.set(buf[i].Num, only.match(&buf[i]) && (q == nil || q.Match(&buf[i])))
			}
		}
		return func() { l.passed(pass, in, rev) }
	})
}

// passed takes the result of a first pass.
func (l *list) passed(pass int, in bitset, rev uint64) {
	if pass != l.passes {
		return
	}
	l.passing, l.in, l.rev, l.picked = false, in, rev, true
	l.match = nil
	for _, num := range l.kept {
		if in.has(num) {
			l.match = append(l.match, num)
		}
	}
	// The pass may have seen calls that came after the last tick, and they may never change again.
	in.each(func(num uint32) {
		if num > l.upTo {
			l.match = append(l.match, num)
		}
	})
	l.counted()
	l.outdate()
	l.moved = true
	l.h.Redraw()
}

// counted keeps the count of calls up with match, which may be ahead of the last tick.
func (l *list) counted() {
	if n := len(l.match); n > 0 {
		l.total = max(l.total, l.match[n-1])
	}
}

// bind tells a query where its headers are: in what the pipeline collects, or in what a scan reads. It is done once, before
// another goroutine may use the query.
func (l *list) bind(q *query.Query) {
	if q == nil {
		return
	}
	if l.asksTexts(q) {
		q.Bind(q.Headers())
	} else {
		q.Bind(l.h.Data().Headers)
	}
}

// catchUp takes what changed since into match, within its budget.
func (l *list) catchUp() bool {
	if l.needsTexts() {
		l.scan()
		return false
	}
	begin := time.Now()
	changed := false
	for k := range lookChunks {
		l.buf, l.rev = l.copies.Changes(l.rev, l.buf[:0])
		if len(l.buf) == 0 {
			return changed
		}
		var flips []uint32
		for i := range l.buf {
			s := &l.buf[i]
			ok := l.inBase(s.Num) && l.only.match(s) && (l.query == nil || l.query.Match(s))
			if ok != l.in.has(s.Num) {
				flips = append(flips, s.Num)
				l.in.set(s.Num, ok)
			}
		}
		changed = l.merge(flips) || changed
		if k == lookChunks-1 || time.Since(begin) > lookBudget {
			break
		}
	}
	if l.board.Done() {
		l.restart() // far behind, and ticks are seldom now: the rest is looked at beside the UI
	}
	return changed
}

// merge puts numbers whose membership has changed into match, or takes them out, in one pass.
func (l *list) merge(flips []uint32) bool {
	if len(flips) == 0 {
		return false
	}
	l.version++
	slices.Sort(flips)
	from, _ := slices.BinarySearch(l.match, flips[0])
	tail := slices.Clone(l.match[from:])
	l.match = l.match[:from]
	for len(tail) > 0 || len(flips) > 0 {
		switch {
		case len(flips) == 0 || len(tail) > 0 && tail[0] < flips[0]:
			l.match = append(l.match, tail[0])
			tail = tail[1:]
		default:
			num := flips[0]
			flips = flips[1:]
			if len(tail) > 0 && tail[0] == num {
				tail = tail[1:]
			}
			if l.in.has(num) {
				l.match = append(l.match, num)
			}
		}
	}
	l.counted()
	return true
}
