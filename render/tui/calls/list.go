package calls

import (
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"sync/atomic"
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
	h      term.Host
	board  *correlate.Board
	copies copier // the board
	total  uint32 // calls that the board had at the last tick

	kept []uint32 // of the numbers up to upTo those that were not taken off, in order
	upTo uint32

	evicted   uint64 // calls that limits had evicted when kept was last made
	evictedAt time.Time

	query   *query.Query        // nil for none
	first   *query.Query        // that of the command line: the pipeline collects its words
	only    conditions          // of the settings, when match was begun
	match   []uint32            // sorted by number; valid when filtered
	picked  bool                // match is what is shown: the first results of the filter are there
	in      bitset              // of match
	rev     uint64              // the board's revision up to which match is right
	buf     []correlate.Summary // of catching up
	passes  int                 // generation of the filter: results of an older one are dropped
	pass    stopper             // of the first pass
	passing bool                // the first pass is under way
	scanner scanner             // of texts, for a filter that asks for what the pipeline did not collect
	looked  time.Time           // of the last catching up

	column   columns.Column
	sortBy   string   // as Settings.Sort has it: "num" is the plain order
	sorted   []uint32 // nil until it is there
	sortedOf state    // what the list was when sorted was begun
	version  uint64   // grows when the base or match changes in another way than by new calls
	sorts    int      // generation of the order: results of an older one are dropped
	sort     stopper
	sorting  bool
	began    time.Time
	took     time.Duration // of the last sort

	moved bool   // work on another goroutine has changed the list since the last tick
	busy  string // what goes on in the background, for the status line
}

// state tells whether an order is out of date.
type state struct {
	messages, version uint64
	total             uint32
	known             bool // false when it must be made anew at once
}

// copier is the part of a board that copies summaries, while the pipeline waits.
type copier interface {
	Changes(since uint64, dst []correlate.Summary) ([]correlate.Summary, uint64)
	Summaries(nums []uint32, dst []correlate.Summary) []correlate.Summary
}

// stopper ends work on another goroutine that nobody waits for any more.
type stopper struct{ last *atomic.Bool }

// renew ends the work before and gives what says that the next one is to end.
func (s *stopper) renew() *atomic.Bool {
	if s.last != nil {
		s.last.Store(true)
	}
	s.last = new(atomic.Bool)
	return s.last
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

// each calls f with the numbers in order.
func (b *bitset) each(f func(n uint32)) {
	for i, word := range *b {
		for ; word != 0; word &= word - 1 {
			f(uint32(i*64 + bits.TrailingZeros64(word))) //nolint:gosec // numbers have 32 bits
		}
	}
}

func (b *bitset) len() int {
	n := 0
	for _, word := range *b {
		n += bits.OnesCount64(word)
	}
	return n
}

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
	l := list{h: h, board: h.Data().Board, copies: h.Data().Board, query: q, first: q, picked: q != nil, sortBy: "num"}
	l.bind(q)
	return l
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
	n := copy(nums, l.kept)
	for i := range nums[n:] {
		nums[n+i] = l.upTo + 1 + uint32(i)
	}
	return nums
}

// numbers lists what is shown, in its order.
func (l *list) numbers() []uint32 {
	var nums []uint32
	switch {
	case !l.plain():
		nums = slices.Clone(l.sorted)
	case l.picked:
		nums = slices.Clone(l.match)
	default:
		nums = l.base()
	}
	if l.sortBy == "-num" {
		slices.Reverse(nums)
	}
	return nums
}

// newest gives the highest number that is shown, 0 for none.
func (l *list) newest() uint32 {
	switch n := l.all(); {
	case l.picked && len(l.match) > 0:
		return l.match[len(l.match)-1]
	case l.picked || n == 0:
		return 0
	default:
		return l.baseAt(n - 1)
	}
}

func (l *list) plain() bool { return l.sorted == nil }

func (l *list) len() int {
	switch {
	case !l.plain():
		return len(l.sorted)
	case l.picked:
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
	case l.picked:
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
	case l.picked:
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
	l.goOn()
	if l.filtered() && !l.passing && (now.Sub(l.looked) >= lookEvery || now.IsZero()) {
		l.looked = now
		changed = l.catchUp() || changed
	}
	changed = l.moved || changed
	l.moved = false
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
	l.outdate()
	return true
}

// outdate says that the order must be made anew at once.
func (l *list) outdate() {
	l.version++
	l.sortedOf = state{}
}

func (l *list) progress() string {
	switch {
	case l.scanner.more && l.scanner.total > 0:
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

// clear takes everything off the list.
func (l *list) clear() {
	l.kept, l.upTo = nil, l.total
	l.match = nil
	l.dropOrder()
	l.restart()
}

// keep takes off what the filter hides, and drops the filter. It reports false while the filter is still at work.
func (l *list) keep() bool {
	if l.passing || l.scanner.more {
		return false
	}
	if !l.needsTexts() {
		l.catchUp() // what has begun to match since the last look
	}
	l.kept, l.upTo = slices.Clone(l.match), l.total
	l.only = conditions{}
	l.dropOrder()
	l.setQuery(nil)
	return true
}

// dropOrder throws away the order, and the one that is being made: calls that were taken off are in them.
func (l *list) dropOrder() {
	l.sort.renew()
	l.sorts++
	l.sorted, l.sorting = nil, false
}
