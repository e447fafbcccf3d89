package diff

import "slices"

// pair is two elements that belong together, by their indices.
type pair struct{ a, b int }

// never is the cost of a pair that is none.
const never = -1

// aligner aligns sequences within what is left of its cells (see maxCells).
type aligner struct{ cells int }

// align finds the cheapest alignment of n with m elements (Needleman and Wunsch): cost gives what a pair costs, or never;
// an element without partner costs gap. Equal beginnings and ends are paired as they are. The pairs are in order.
func (al *aligner) align(n, m int, gap int32, cost func(i, j int) int32) []pair {
	head := 0
	for head < n && head < m && cost(head, head) == 0 {
		head++
	}
	tail := 0
	for tail < n-head && tail < m-head && cost(n-1-tail, m-1-tail) == 0 {
		tail++
	}
	pairs := make([]pair, 0, min(n, m))
	for i := range head {
		pairs = append(pairs, pair{i, i})
	}
	rows, columns := n-head-tail, m-head-tail
	if rows > 0 && columns > 0 {
		pairs = al.middle(pairs, head, rows, columns, gap, cost)
	}
	for i := range tail {
		pairs = append(pairs, pair{n - tail + i, m - tail + i})
	}
	return pairs
}

// middle aligns what is left between the equal beginnings and ends. The longer sequence is that of the rows, so that the
// band, which follows the diagonal, moves by at most one column a row. The table is filled from the end: of alignments
// that cost the same the one is found that pairs what comes first.
func (al *aligner) middle(pairs []pair, head, n, m int, gap int32, cost func(i, j int) int32) []pair {
	lastA, lastB := head+n-1, head+m-1
	if m > n {
		for _, p := range slices.Backward(al.band(m, n, gap, func(i, j int) int32 { return cost(lastA-j, lastB-i) })) {
			pairs = append(pairs, pair{lastA - p.b, lastB - p.a})
		}
		return pairs
	}
	for _, p := range slices.Backward(al.band(n, m, gap, func(i, j int) int32 { return cost(lastA-i, lastB-j) })) {
		pairs = append(pairs, pair{lastA - p.a, lastB - p.b})
	}
	return pairs
}

// Steps of an alignment.
const (
	stepNone uint8 = iota
	stepPair
	stepRow    // the row's element has no partner
	stepColumn // the column's
)

// far is more than any alignment costs.
const far = int32(1) << 30

// band fills the band of the table: row i holds the columns from i*m/n-half on.
func (al *aligner) band(n, m int, gap int32, cost func(i, j int) int32) []pair {
	half := m
	if (n+1)*(2*half+1) > al.cells {
		half = min(m, max(minBand, al.cells/(2*(n+1))))
	}
	w := 2*half + 1
	al.cells -= min(al.cells, (n+1)*w)
	t := table{
		m: m, gap: gap, cost: cost, steps: make([]uint8, (n+1)*w), above: make([]int32, w), row: make([]int32, w),
	}
	for i := range n + 1 {
		t.before, t.first = t.first, i*m/n-half
		t.fill(i)
		t.above, t.row = t.row, t.above
	}
	return trace(t.steps, n, m, half)
}

// table is what is known of a band while its rows are filled one after the other.
type table struct {
	m          int
	gap        int32
	cost       func(i, j int) int32
	steps      []uint8
	above, row []int32 // costs
	before     int     // column of above[0]
	first      int     // column of row[0]
}

// fill fills row i. Of equal costs a pair goes before all.
func (t *table) fill(i int) {
	w := len(t.row)
	for k := range t.row {
		t.row[k] = far
		j := t.first + k
		if j < 0 || j > t.m {
			continue
		}
		best, step := far, stepNone
		if i == 0 && j == 0 {
			best = 0
		}
		if i > 0 {
			best, step = t.down(i, j, best)
		}
		if k > 0 && j > 0 && t.row[k-1]+t.gap < best {
			best, step = t.row[k-1]+t.gap, stepColumn
		}
		t.row[k], t.steps[i*w+k] = best, step
	}
}

// down gives the cheapest way to a cell from the row above, when it costs less than best.
func (t *table) down(i, j int, best int32) (int32, uint8) {
	step := stepNone
	up := j - t.before
	if j > 0 && up > 0 && up <= len(t.above) && t.above[up-1] < far {
		if c := t.cost(i-1, j-1); c >= 0 && t.above[up-1]+c < best {
			best, step = t.above[up-1]+c, stepPair
		}
	}
	if up >= 0 && up < len(t.above) && t.above[up]+t.gap < best {
		best, step = t.above[up]+t.gap, stepRow
	}
	return best, step
}

// trace reads the pairs from the table, last one first, and gives them in order.
func trace(steps []uint8, n, m, half int) []pair {
	w := 2*half + 1
	var pairs []pair
	i, j := n, m
	for i > 0 || j > 0 {
		k := j - (i*m/n - half)
		if k < 0 || k >= w {
			break
		}
		switch steps[i*w+k] {
		case stepPair:
			i, j = i-1, j-1
			pairs = append(pairs, pair{i, j})
		case stepRow:
			i--
		case stepColumn:
			j--
		default:
			i, j = 0, 0
		}
	}
	slices.Reverse(pairs)
	return pairs
}
