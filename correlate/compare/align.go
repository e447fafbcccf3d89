package compare

import (
	"slices"
	"sort"
)

// Bounds of the work on two messages. A message of 64 KiB can hold 30,000 lines or words; an exact alignment of n with
// m of them takes n·m steps. What goes beyond is aligned in order, one by one, which is what is left of a comparison
// of two texts that have nothing in common.
const (
	// maxLines is how many units of one side are aligned exactly.
	maxLines = 2000
	// maxCells is how many cells of exact alignments are filled for two messages: one of 2,000 lines with 2,000, in
	// about 10 ms and 8 MiB.
	maxCells = (maxLines + 1) * (maxLines + 1)
	// maxSteps is how many pieces are compared to see how alike units are, in about 5 ms.
	maxSteps = 1 << 20
	// maxAlike is how many pairs of units are compared in one go to see how alike they are: 64 Vias with 64 others.
	maxAlike = 64 * 64
	// maxValues is how many values of one line are aligned one by one; the rest is compared as words.
	maxValues = 256
	// maxMedia is how many media of a description are aligned one by one; what follows belongs to the last.
	maxMedia = 256
)

// Weights of a pair in an alignment, in thousandths of what the two units have in common.
const (
	weightEqual = 4000 // the same meaning goes before everything
	weightPair  = 100  // a line that changed goes before one removed and one added
	leastText   = 400  // lines of a text that have less in common are not paired
	never       = 1 << 20
)

// pair is two units that belong together, by their indices.
type pair struct{ x, y int }

// sequence is what is aligned: keys, which are equal for what means the same, and the sorted ids of the parts, if any,
// for how much two have in common.
type sequence struct {
	keys  []uint32
	parts [][]uint32
}

func sequenceOf(us []unit, idx []int) sequence {
	s := sequence{make([]uint32, len(idx)), make([][]uint32, len(idx))}
	for n, i := range idx {
		s.keys[n], s.parts[n] = us[i].key, us[i].ids
	}
	return s
}

func (s sequence) cut(from, to int) sequence {
	s.keys = s.keys[from:to]
	if s.parts != nil {
		s.parts = s.parts[from:to]
	}
	return s
}

// align pairs what belongs together: what has the same key, in order, and then, in between, what has at least so many
// thousandths of its parts in common, or any when least is 0. The pairs are in order on both sides.
func (c *comparer) align(x, y sequence, least int) []pair {
	n, m := len(x.keys), len(y.keys)
	head := 0
	for head < n && head < m && x.keys[head] == y.keys[head] {
		head++
	}
	tail := 0
	for tail < n-head && tail < m-head && x.keys[n-1-tail] == y.keys[m-1-tail] {
		tail++
	}
	pairs := make([]pair, 0, min(n, m))
	for i := range head {
		pairs = append(pairs, pair{i, i})
	}
	pairs = c.middle(pairs, head, x.cut(head, n-tail), y.cut(head, m-tail), least)
	for i := range tail {
		pairs = append(pairs, pair{n - tail + i, m - tail + i})
	}
	return pairs
}

// middle aligns what is left between the equal beginnings and ends; at is where it begins on both sides.
func (c *comparer) middle(pairs []pair, at int, x, y sequence, least int) []pair {
	n, m := len(x.keys), len(y.keys)
	if n == 0 || m == 0 {
		return pairs
	}
	var exact []pair
	if !c.worthAlike(x, y) && n <= maxLines && m <= maxLines && n*m <= c.cells {
		c.cells -= n * m
		exact = c.common(x.keys, y.keys)
	}
	i, j := 0, 0
	for _, p := range append(exact, pair{n, m}) {
		pairs = c.gap(pairs, pair{at + i, at + j}, x.cut(i, p.x), y.cut(j, p.y), least)
		if p.x < n {
			pairs = append(pairs, pair{at + p.x, at + p.y})
		}
		i, j = p.x+1, p.y+1
	}
	return pairs
}

// worthAlike reports whether x and y are few enough to be aligned by what they have in common.
func (c *comparer) worthAlike(x, y sequence) bool {
	return x.parts != nil && len(x.keys)*len(y.keys) <= maxAlike && work(x, y) <= c.steps
}

// work is how many parts have to be compared to compare everything in x with everything in y.
func work(x, y sequence) int {
	n, m := len(x.keys), len(y.keys)
	steps := n * m
	for _, p := range x.parts {
		steps += len(p) * m
	}
	for _, p := range y.parts {
		steps += len(p) * n
	}
	return steps
}

// gap pairs what is between two equal units.
func (c *comparer) gap(pairs []pair, at pair, x, y sequence, least int) []pair {
	n, m := len(x.keys), len(y.keys)
	switch {
	case n == 0 || m == 0:
	case n == 1 && m == 1 && least < never: // one for one
		pairs = append(pairs, at)
	case c.worthAlike(x, y):
		c.steps -= work(x, y)
		pairs = alignAlike(pairs, at, x, y, least)
	default:
		for i := range min(n, m) {
			if x.keys[i] == y.keys[i] || least == 0 || least < never && alike(x.parts[i], y.parts[i]) >= least {
				pairs = append(pairs, pair{at.x + i, at.y + i})
			}
		}
	}
	return pairs
}

// common finds a longest common subsequence.
func (c *comparer) common(x, y []uint32) []pair {
	n, m := len(x), len(y)
	w := m + 1
	c.grid = slices.Grow(c.grid[:0], (n+1)*w)[:(n+1)*w]
	g := c.grid // g[i*w+j] is the length of the longest one of x[i:] and y[j:]
	clear(g[n*w:])
	for i := n - 1; i >= 0; i-- {
		above, below := g[i*w:(i+1)*w], g[(i+1)*w:(i+2)*w]
		above[m] = 0
		right := uint16(0)
		for j := m - 1; j >= 0; j-- {
			if x[i] == y[j] {
				right = below[j+1] + 1
			} else {
				right = max(right, below[j])
			}
			above[j] = right
		}
	}
	pairs := make([]pair, 0, g[0])
	for i, j := 0, 0; i < n && j < m; {
		switch {
		case x[i] == y[j]:
			pairs = append(pairs, pair{i, j})
			i, j = i+1, j+1
		case g[(i+1)*w+j] >= g[i*w+j+1]:
			i++
		default:
			j++
		}
	}
	return pairs
}

// alignAlike finds the alignment in which the pairs have most in common.
func alignAlike(pairs []pair, at pair, x, y sequence, least int) []pair {
	n, m := len(x.keys), len(y.keys)
	w := m + 1
	sum := make([]int32, (n+1)*w) // of the pairs in x[i:] and y[j:]
	own := make([]int32, n*m)     // of the pair i, j; 0 when the two are no pair
	for i := n - 1; i >= 0; i-- {
		for j := m - 1; j >= 0; j-- {
			best := max(sum[(i+1)*w+j], sum[i*w+j+1])
			if v := weight(x, y, i, j, least); v > 0 {
				own[i*m+j] = v
				best = max(best, v+sum[(i+1)*w+j+1])
			}
			sum[i*w+j] = best
		}
	}
	for i, j := 0, 0; i < n && j < m; {
		here := sum[i*w+j]
		switch v := own[i*m+j]; {
		case v > 0 && here == v+sum[(i+1)*w+j+1]:
			pairs = append(pairs, pair{at.x + i, at.y + j})
			i, j = i+1, j+1
		case here == sum[(i+1)*w+j]:
			i++
		default:
			j++
		}
	}
	return pairs
}

// weight is what a pair is worth, 0 when the two are no pair.
func weight(x, y sequence, i, j, least int) int32 {
	if x.keys[i] == y.keys[j] {
		return weightEqual
	}
	v := alike(x.parts[i], y.parts[j])
	if v < least {
		return 0
	}
	return weightPair + int32(v) //nolint:gosec // at most 1000
}

// alike is how much two have in common, in thousandths. The ids are sorted.
func alike(x, y []uint32) int {
	both := 0
	for i, j := 0, 0; i < len(x) && j < len(y); {
		switch {
		case x[i] == y[j]:
			both++
			i, j = i+1, j+1
		case x[i] < y[j]:
			i++
		default:
			j++
		}
	}
	if len(x)+len(y) == 0 {
		return 0
	}
	return 2000 * both / (len(x) + len(y))
}

// inOrder gives, for different numbers, a longest increasing subsequence: true for what is in it.
func inOrder(seq []int) []bool {
	ends := make([]int, 0, len(seq)) // ends[n] is the index of the smallest end of an increasing subsequence of n+1
	before := make([]int, len(seq))
	for i, v := range seq {
		n := sort.Search(len(ends), func(n int) bool { return seq[ends[n]] >= v })
		before[i] = -1
		if n > 0 {
			before[i] = ends[n-1]
		}
		if n == len(ends) {
			ends = append(ends, i)
		} else {
			ends[n] = i
		}
	}
	in := make([]bool, len(seq))
	if len(ends) > 0 {
		for i := ends[len(ends)-1]; i >= 0; i = before[i] {
			in[i] = true
		}
	}
	return in
}
