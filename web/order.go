package web

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"sipscope/correlate"
	"sipscope/correlate/query"
	"sipscope/render/columns"
)

// orderKey names a list of calls.
type orderKey struct {
	filter     string // "" for every call
	sort       string // name of a column, "header.NAME" in lower case, or "num"
	descending bool
}

// plain reports whether the list is the numbers of the calls, upwards or downwards: it needs no pass.
func (k *orderKey) plain() bool { return k.filter == "" && k.sort == sortNum }

// order is the numbers of the calls of a list, in its order.
type order struct {
	nums []uint32
	rev  uint64 // all changes up to this revision are in it
	done bool   // nothing changes any more
}

// sortNum is the order of the first messages.
const sortNum = "num"

// freshOrder reports whether an order may be used again: it is young, or nothing has changed since.
func (s *site) freshOrder(o *order, age, took time.Duration) bool {
	if o.done || recent(age, took) {
		return true
	}
	changed, _ := s.data.Board.Changes(o.rev, nil)
	return len(changed) == 0
}

// ordered gives the numbers of a list's calls, and how many calls there are in all. The slice is shared.
func (s *site) ordered(ctx context.Context, key orderKey) (nums []uint32, of int, err error) {
	all, err := s.numbers.get(ctx, struct{}{})
	if err != nil {
		return nil, 0, err
	}
	if key.plain() {
		return all, len(all), nil
	}
	o, err := s.orders.get(ctx, key)
	if err != nil {
		return nil, 0, err
	}
	return o.nums, max(len(all), len(o.nums)), nil
}

// window gives the numbers of a page; a list that is plain and goes downwards is turned here.
func window(key *orderKey, nums []uint32, offset, limit int) []uint32 {
	offset = min(offset, len(nums))
	limit = min(limit, len(nums)-offset)
	if !key.plain() || !key.descending {
		return nums[offset : offset+limit]
	}
	page := slices.Clone(nums[len(nums)-offset-limit : len(nums)-offset])
	slices.Reverse(page)
	return page
}

// aliases are the names of JSON and of the filter language for columns that are called otherwise.
func sortAlias(name string) string {
	switch name {
	case "call_id":
		return "callid"
	case "start_ns":
		return "start"
	case "status":
		return "code"
	case "q850_cause":
		return "cause"
	case "pdd_ms", "setup_ms", "duration_ms":
		return strings.TrimSuffix(name, "_ms")
	case "user_agent":
		return "ua"
	case "transports":
		return "transport"
	case "from.display", "to.display":
		return strings.TrimSuffix(name, "display") + "name"
	case "src", "dst":
		return map[string]string{"src": "source", "dst": "destination"}[name]
	default:
		return name
	}
}

// sortName gives the one name of what a list is sorted by.
func (s *site) sortName(name string) (string, error) {
	name = sortAlias(strings.ToLower(strings.TrimSpace(name)))
	if name == "" {
		return sortNum, nil
	}
	if _, err := s.column(name); err != nil {
		return "", err
	}
	return name, nil
}

// column finds what a list is sorted by.
func (s *site) column(name string) (columns.Column, error) {
	header, ok := strings.CutPrefix(name, columns.HeaderPrefix)
	if !ok {
		return columns.Find(name)
	}
	at := collected(s.data.Headers, header)
	if at < 0 {
		return columns.Column{}, fmt.Errorf("header %q is not collected", header)
	}
	return columns.Header(header, func(c *correlate.Summary) string {
		if at < len(c.Columns) {
			return c.Columns[at]
		}
		return ""
	}), nil
}

// sortKey is what a call sorts by: texts, cut, or a number.
type sortKey struct {
	num uint32
	n   int64
	s   string
}

// maxSortKey is how much of a text decides, in bytes.
const maxSortKey = 128

func keyOf(c *columns.Column, s *correlate.Summary) sortKey {
	k := sortKey{num: s.Num}
	switch {
	case c.Name == sortNum: // all are equal: the number decides
	case c.Number != nil:
		k.n = c.Number(s)
	default:
		if k.s = c.Cell(s); len(k.s) > maxSortKey {
			k.s = strings.Clone(k.s[:maxSortKey])
		}
	}
	return k
}

func sortKeys(keys []sortKey, descending bool) {
	slices.SortFunc(keys, func(a, b sortKey) int {
		c := cmp.Compare(a.n, b.n)
		if c == 0 {
			c = strings.Compare(a.s, b.s)
		}
		if descending {
			c = -c
		}
		if c == 0 {
			c = cmp.Compare(a.num, b.num)
		}
		return c
	})
}

// makeOrder goes over all calls once: it filters and sorts.
func (s *site) makeOrder(ctx context.Context, key orderKey) (*order, error) {
	m, err := s.matcher(key.filter)
	if err != nil {
		return nil, err
	}
	column, err := s.column(key.sort)
	if err != nil {
		return nil, err
	}
	// Done and the revision are asked for before the pass, so that nothing that comes during it is taken for seen.
	o := &order{done: s.data.Board.Done(), rev: s.rev.Load()}
	var keys []sortKey
	var newest uint64
	n := 0
	for c := range s.data.Board.Calls() {
		if n++; n%64 == 0 && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		newest = max(newest, c.Rev)
		ok, err := m.match(ctx, c)
		if err != nil {
			return nil, err
		}
		if ok {
			keys = append(keys, keyOf(&column, c))
		}
	}
	s.saw(newest)
	if key.sort != sortNum {
		sortKeys(keys, key.descending)
	} else if key.descending {
		slices.Reverse(keys)
	}
	o.nums = make([]uint32, len(keys))
	for i := range keys {
		o.nums[i] = keys[i].num
	}
	return o, nil
}

// compile reads a filter. A browser's user does not think of upper and lower case.
func compile(filter string) (*query.Query, error) {
	return query.Compile(filter, query.Options{IgnoreCase: true})
}
