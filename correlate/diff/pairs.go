package diff

import (
	"cmp"
	"slices"

	"sipscope/correlate"
)

// MatchBy says how the calls of two captures are paired.
type MatchBy uint8

// Ways to pair calls.
const (
	// ByAny pairs calls with equal Call-IDs; then those of one method and the same From and To users, nearest in time
	// since the beginning of their capture; then of what is left those that have the method and one user in common, and
	// last the only ones of their method.
	ByAny    MatchBy = iota
	ByCallID         // by equal Call-IDs alone
	ByUsers          // by method and both users, then by time
	ByNumber         // the first with the first
)

// Pair is two calls that belong together, as indices; -1 for none.
type Pair struct{ A, B int }

// Match pairs the calls of two captures: in the order of a, then those that only b has.
func Match(a, b []correlate.Summary, by MatchBy) []Pair {
	m := matcher{a: a, b: b, ofA: nobodyYet(len(a)), ofB: nobodyYet(len(b)), aligner: aligner{cells: maxCells}}
	if by == ByAny || by == ByCallID {
		m.byKey(func(s *correlate.Summary) any {
			if s.CallID == "" {
				return nil
			}
			return s.CallID
		})
	}
	type users struct{ method, from, to string }
	if by == ByAny || by == ByUsers {
		m.byKey(func(s *correlate.Summary) any { return users{s.Method, s.From.User, s.To.User} })
	}
	if by == ByAny {
		type one struct{ method, which, user string }
		m.byKey(func(s *correlate.Summary) any { return one{s.Method, "to", s.To.User} })
		m.byKey(func(s *correlate.Summary) any { return one{s.Method, "from", s.From.User} })
		m.single()
	}
	if by == ByNumber {
		for i := range min(len(a), len(b)) {
			m.join(i, i)
		}
	}
	return m.pairs()
}

// matcher is a pairing in the making.
type matcher struct {
	a, b     []correlate.Summary
	ofA, ofB []int // the partner of each, -1 for none
	aligner  aligner
}

func nobodyYet(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = -1
	}
	return list
}

func (m *matcher) join(i, j int) { m.ofA[i], m.ofB[j] = j, i }

// byKey pairs what has no partner yet and an equal key: all in order, or, when there are more of them on one side, the
// nearest in time. What has the key nil is left.
func (m *matcher) byKey(key func(*correlate.Summary) any) {
	of := make(map[any][2][]int)
	var order []any
	gather := func(list []correlate.Summary, taken []int, side int) {
		for i := range list {
			k := key(&list[i])
			if taken[i] >= 0 || k == nil {
				continue
			}
			both, ok := of[k]
			if !ok {
				order = append(order, k)
			}
			both[side] = append(both[side], i)
			of[k] = both
		}
	}
	gather(m.a, m.ofA, 0)
	gather(m.b, m.ofB, 1)
	startA, startB := beginning(m.a), beginning(m.b)
	for _, k := range order {
		as, bs := inTime(m.a, of[k][0]), inTime(m.b, of[k][1])
		if len(as) == len(bs) {
			for n := range as {
				m.join(as[n], bs[n])
			}
			continue
		}
		// A call without partner costs more than half of any pair, so as many as can be get one.
		const gap, step = 1000, 1e8
		for _, p := range m.aligner.align(len(as), len(bs), gap, func(i, j int) int32 {
			d := (m.a[as[i]].First - startA) - (m.b[bs[j]].First - startB)
			return int32(min(max(d, -d)/step, gap-1)) //nolint:gosec // below gap
		}) {
			m.join(as[p.a], bs[p.b])
		}
	}
}

func beginning(list []correlate.Summary) int64 {
	if len(list) == 0 {
		return 0
	}
	first := list[0].First
	for i := range list {
		first = min(first, list[i].First)
	}
	return first
}

func inTime(list []correlate.Summary, indices []int) []int {
	slices.SortStableFunc(indices, func(i, j int) int { return cmp.Compare(list[i].First, list[j].First) })
	return indices
}

// single pairs calls that are the only ones of their method that are left.
func (m *matcher) single() {
	left := func(list []correlate.Summary, taken []int) map[string]int {
		of := make(map[string]int)
		for i := range list {
			if taken[i] >= 0 {
				continue
			}
			if _, ok := of[list[i].Method]; ok {
				of[list[i].Method] = -1
			} else {
				of[list[i].Method] = i
			}
		}
		return of
	}
	bs := left(m.b, m.ofB)
	for method, i := range left(m.a, m.ofA) {
		if j, ok := bs[method]; ok && i >= 0 && j >= 0 {
			m.join(i, j)
		}
	}
}

func (m *matcher) pairs() []Pair {
	list := make([]Pair, 0, len(m.a)+8)
	for i, j := range m.ofA {
		list = append(list, Pair{i, j})
	}
	for j, i := range m.ofB {
		if i < 0 {
			list = append(list, Pair{-1, j})
		}
	}
	return list
}
