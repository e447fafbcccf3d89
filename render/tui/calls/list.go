package calls

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"sipscope/correlate"
	"sipscope/correlate/query"
	"sipscope/decode/sip"
	"sipscope/render/columns"
	"sipscope/render/tui/term"
)

// list is the numbers of the calls that are shown, in their order.
//
// The base is what was not cleared: kept numbers up to upTo, then all after it. A filter picks match out of the base, a
// sort column orders either.
type list struct {
	h     term.Host
	board *correlate.Board
	total uint32 // calls that the board had at the last tick

	kept []uint32 // of the numbers up to upTo those that were not taken off, in order
	upTo uint32

	evicted   uint64 // calls that limits had evicted when kept was last made
	evictedAt time.Time

	query   *query.Query // nil for none
	first   *query.Query // that of the command line: the pipeline collects its words
	only    conditions   // of the settings, when match was begun
	match   []uint32     // sorted by number; valid when filtered
	in      bitset       // of match
	rev     uint64       // the board's revision up to which match is right
	passes  int          // generation of the filter: results of an older one are dropped
	passing bool         // the first pass is under way
	scanner scanner      // of texts, for a filter that asks for what the pipeline did not collect
	looked  time.Time    // of the last catching up

	column   columns.Column
	sortBy   string   // as Settings.Sort has it: "num" is the plain order
	sorted   []uint32 // nil until it is there
	sortedOf [2]uint64
	sorts    int
	sorting  bool
	began    time.Time
	took     time.Duration // of the last sort

	moved bool   // work on another goroutine has changed the list since the last tick
	busy  string // what goes on in the background, for the status line
}

// conditions is what the settings say about which calls are shown.
type conditions struct {
	callsOnly bool
	methods   string // names with commas
}

func (c *conditions) any() bool { return c.callsOnly || c.methods != "" }

func (c *conditions) match(s *correlate.Summary) bool {
	if c.callsOnly && s.Method != sip.MethodInvite.String() {
		return false
	}
	return c.methods == "" || strings.Contains(","+c.methods+",", ","+s.Method+",")
}

func conditionsOf(s *term.Settings) conditions {
	return conditions{s.CallsOnly, strings.Join(s.Methods, ",")}
}

// bitset is a set of numbers.
type bitset []uint64

func (b *bitset) has(n uint32) bool { return int(n>>6) < len(*b) && (*b)[n>>6]>>(n&63)&1 != 0 }

func (b *bitset) set(n uint32, on bool) {
	for int(n>>6) >= len(*b) {
		*b = append(*b, 0)
	}
	if on {
		(*b)[n>>6] |= 1 << (n & 63)
	} else {
		(*b)[n>>6] &^= 1 << (n & 63)
	}
}

func newList(h term.Host, q *query.Query) list {
	if q != nil && q.String() == "" {
		q = nil
	}
	return list{h: h, board: h.Data().Board, query: q, first: q, sortBy: "num"}
}

// filtered reports whether something hides calls.
func (l *list) filtered() bool { return l.query != nil || l.only.any() }

// what says what hides them.
func (l *list) what() string {
	var parts []string
	if l.query != nil {
		parts = append(parts, "filter "+l.query.String())
	}
	if l.only.callsOnly {
		parts = append(parts, "calls only")
	}
	if l.only.methods != "" {
		parts = append(parts, l.only.methods)
	}
	return strings.Join(parts, ", ")
}

// all counts the base.
func (l *list) all() int { return len(l.kept) + int(max(l.total, l.upTo)-l.upTo) }

// inBase reports whether a number was not taken off.
func (l *list) inBase(num uint32) bool {
	if num > l.upTo {
		return true
	}
	_, ok := slices.BinarySearch(l.kept, num)
	return ok
}

// baseAt gives the i-th number of the base.
func (l *list) baseAt(i int) uint32 {
	if i < len(l.kept) {
		return l.kept[i]
	}
	return l.upTo + 1 + uint32(i-len(l.kept)) //nolint:gosec // below total
}

// base lists the base.
func (l *list) base() []uint32 {
	nums := make([]uint32, l.all())
	for i := range nums {
		nums[i] = l.baseAt(i)
	}
	return nums
}

// numbers lists what is shown, in its order.
func (l *list) numbers() []uint32 {
	nums := make([]uint32, l.len())
	for i := range nums {
		nums[i] = l.at(i)
	}
	return nums
}

func (l *list) plain() bool { return l.sorted == nil }

func (l *list) len() int {
	switch {
	case !l.plain():
		return len(l.sorted)
	case l.filtered():
		return len(l.match)
	default:
		return l.all()
	}
}

// at gives the number in row i.
func (l *list) at(i int) uint32 {
	if l.sortBy == "-num" {
		i = l.len() - 1 - i
	}
	switch {
	case !l.plain():
		return l.sorted[i]
	case l.filtered():
		return l.match[i]
	default:
		return l.baseAt(i)
	}
}

// index gives the row of a number, -1 for none.
func (l *list) index(num uint32) int {
	i := -1
	switch {
	case !l.plain():
		i = slices.Index(l.sorted, num)
	case l.filtered():
		if at, ok := slices.BinarySearch(l.match, num); ok {
			i = at
		}
	case num > l.upTo && num <= l.total:
		i = len(l.kept) + int(num-l.upTo) - 1
	default:
		if at, ok := slices.BinarySearch(l.kept, num); ok {
			i = at
		}
	}
	if i >= 0 && l.sortBy == "-num" {
		i = l.len() - 1 - i
	}
	return i
}

// How often and for how long a list that filters looks at what changed. While a capture is read, each call changes some
// ten times within a moment: looking seldom costs the pipeline a few per cent of its lock.
const (
	lookEvery  = 120 * time.Millisecond
	lookBudget = 3 * time.Millisecond
	lookChunks = 8 // at most, whatever the clock says
)

// tick looks at the board, and reports whether the list may have changed.
func (l *list) tick(now time.Time, s *term.Settings) bool {
	was, moved := l.total, l.moved
	l.moved = false
	l.total = uint32(min(l.board.Totals().Calls, 1<<32-1))
	changed := l.dropEvicted(now) || moved || l.total != was
	if c := conditionsOf(s); c != l.only {
		l.only = c
		l.restart()
		changed = true
	}
	if l.filtered() && !l.passing && (now.Sub(l.looked) >= lookEvery || now.IsZero()) {
		l.looked = now
		changed = l.catchUp() || changed
	}
	if s.Sort != l.sortBy {
		l.sortWith(s.Sort)
		changed = true
	}
	l.resort(now)
	l.busy = l.progress()
	return changed
}

// dropEvicted takes calls off the list that a limit has evicted. While a capture evicts as it is read this is done as
// seldom as a sort; what is gone meanwhile says so in its row.
func (l *list) dropEvicted(now time.Time) bool {
	_, limited := l.board.Accounting()
	if limited.EvictedCalls == l.evicted || !l.evictedAt.IsZero() && now.Sub(l.evictedAt) < resortEvery {
		return false
	}
	l.evicted, l.evictedAt = limited.EvictedCalls, now
	var kept []uint32
	var alive bitset
	for _, num := range l.board.Numbers() {
		if num <= l.total && l.inBase(num) {
			kept = append(kept, num)
			alive.set(num, true)
		}
	}
	l.kept, l.upTo = kept, l.total
	l.match = slices.DeleteFunc(l.match, func(num uint32) bool { return num <= l.total && !alive.has(num) })
	l.sortedOf = [2]uint64{}
	return true
}

func (l *list) progress() string {
	switch {
	case l.scanner.running && l.scanner.total > 0:
		return fmt.Sprintf("searching the messages, %d %%", min(99, l.scanner.seen*100/l.scanner.total))
	case l.passing:
		return "filtering"
	case l.sorting:
		return "sorting"
	default:
		return ""
	}
}

// setQuery filters by another expression; nil for none.
func (l *list) setQuery(q *query.Query) {
	l.query = q
	l.restart()
}

// restart begins the filter anew. What was shown before stays until the first results are there.
func (l *list) restart() {
	l.passes++
	l.sortedOf, l.scanner = [2]uint64{}, scanner{}
	if !l.filtered() {
		l.match, l.in, l.passing = nil, nil, false
		return
	}
	if l.needsTexts() {
		l.match, l.in, l.rev, l.passing = nil, nil, 0, false
		l.scanner = scanner{total: l.all()}
		l.query.Bind(l.query.Headers())
		l.scan()
		return
	}
	l.bind()
	pass, q, only, board := l.passes, l.query, l.only, l.board
	l.passing = true
	l.h.Go(func(ctx context.Context) func() {
		var in bitset
		var rev uint64
		buf := make([]correlate.Summary, 0, 512)
		for ctx.Err() == nil {
			buf, rev = board.Changes(rev, buf[:0])
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
	l.passing, l.in, l.rev = false, in, rev
	l.match = l.match[:0]
	for i := range l.all() {
		if num := l.baseAt(i); in.has(num) {
			l.match = append(l.match, num)
		}
	}
	l.sortedOf = [2]uint64{}
	l.moved = true
	l.h.Redraw()
}

// bind tells the query where its headers are.
func (l *list) bind() {
	if l.query != nil {
		l.query.Bind(l.h.Data().Headers)
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
	buf := make([]correlate.Summary, 0, 512)
	for range lookChunks {
		buf, l.rev = l.board.Changes(l.rev, buf[:0])
		if len(buf) == 0 {
			break
		}
		var flips []uint32
		for i := range buf {
			s := &buf[i]
			ok := l.inBase(s.Num) && l.only.match(s) && (l.query == nil || l.query.Match(s))
			if ok != l.in.has(s.Num) {
				flips = append(flips, s.Num)
				l.in.set(s.Num, ok)
			}
		}
		changed = l.merge(flips) || changed
		if time.Since(begin) > lookBudget {
			break
		}
	}
	return changed
}

// merge puts numbers whose membership has changed into match, or takes them out, in one pass.
func (l *list) merge(flips []uint32) bool {
	if len(flips) == 0 {
		return false
	}
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
	return true
}

// clear takes everything off the list.
func (l *list) clear() {
	l.kept, l.upTo = nil, l.total
	l.match, l.sorted, l.sortedOf = l.match[:0], nil, [2]uint64{}
	l.in = nil
	l.restart()
}

// keep takes off what the filter hides, and drops the filter.
func (l *list) keep() {
	l.kept, l.upTo = slices.Clone(l.match), l.total
	l.sorted = nil
	l.setQuery(nil)
}

// sortWith orders by another column, as Settings.Sort names it.
func (l *list) sortWith(by string) {
	l.sortBy, l.sortedOf = by, [2]uint64{}
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
	state := [2]uint64{l.board.Totals().Messages + 1, uint64(len(l.match))}
	if state == l.sortedOf || l.sorted != nil && l.sortedOf[0] != 0 && now.Sub(l.began) < max(resortEvery, 10*l.took) {
		return
	}
	l.sorting, l.began = true, now
	l.sorts++
	generation, descending := l.sorts, l.sortBy[0] == '-'
	nums := l.base()
	if l.filtered() {
		nums = slices.Clone(l.match)
	}
	column, board, data := l.column, l.board, l.h.Data()
	header, lazy := strings.CutPrefix(name, columns.HeaderPrefix)
	lazy = lazy && collected(data, header) < 0
	l.h.Go(func(ctx context.Context) func() {
		begin := time.Now()
		keys := sortKeys(ctx, board, &column, nums)
		if lazy {
			keys = headerKeys(ctx, data, nums, header)
		}
		order := orderOf(nums, keys, descending)
		took := time.Since(begin)
		return func() {
			l.sorting = false
			if generation == l.sorts && ctx.Err() == nil {
				l.sorted, l.sortedOf, l.took, l.moved = order, state, took, true
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

// sortKeys reads the keys of calls; those of calls that are gone stay empty.
func sortKeys(ctx context.Context, board *correlate.Board, c *columns.Column, nums []uint32) []key {
	keys := make([]key, len(nums))
	var buf []correlate.Summary
	at := 0
	for chunk := range slices.Chunk(nums, 512) {
		if ctx.Err() != nil {
			break
		}
		buf = board.Summaries(chunk, buf[:0])
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
