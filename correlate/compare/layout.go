package compare

import "slices"

// markMoved finds the rows that are the same on both sides but stand at another place: as few as possible.
func markMoved(rows []row) {
	both := make([]int, 0, len(rows))
	for i := range rows {
		if rows[i].x >= 0 && rows[i].y >= 0 && rows[i].verdict == same {
			both = append(both, i)
		}
	}
	slices.SortFunc(both, func(i, j int) int { return rows[i].x - rows[j].x })
	places := make([]int, len(both))
	for n, i := range both {
		places[n] = rows[i].y
	}
	for n, in := range inOrder(places) {
		rows[both[n]].moved = !in
	}
}

// layout gives the order of the rows: that of a, with what only b has after the line that it follows in b, or, when
// its group has lines on both sides, where it belongs among them.
func (c *comparer) layout(rows []row, xs, ys []unit) []int {
	p := placer{
		rows: rows, main: rowX, other: rowY, units: ys,
		next: make([]int, len(rows)+1), prev: make([]int, len(rows)+1),
	}
	if c.flip {
		p.main, p.other, p.units = rowY, rowX, xs
	}
	p.place()
	order := make([]int, 0, len(rows))
	top := len(rows)
	for i := p.next[top]; i != top; i = p.next[i] {
		order = append(order, i)
	}
	return order
}

func rowX(r *row) int { return r.x }
func rowY(r *row) int { return r.y }

// placer holds the rows as a ring, which begins and ends at index len(rows).
type placer struct {
	rows        []row
	main, other func(*row) int // the unit of a, and of b
	units       []unit         // of b
	next, prev  []int
}

// insert puts row i behind row at.
func (p *placer) insert(i, at int) {
	n := p.next[at]
	p.next[at], p.prev[i], p.next[i], p.prev[n] = i, at, n, i
}

func (p *placer) place() {
	top := len(p.rows)
	p.next[top], p.prev[top] = top, top
	var mine, others []int
	for i := range p.rows {
		if p.main(&p.rows[i]) >= 0 {
			mine = append(mine, i)
		}
		if p.other(&p.rows[i]) >= 0 {
			others = append(others, i)
		}
	}
	slices.SortFunc(mine, func(i, j int) int { return p.main(&p.rows[i]) - p.main(&p.rows[j]) })
	slices.SortFunc(others, func(i, j int) int { return p.other(&p.rows[i]) - p.other(&p.rows[j]) })
	for _, i := range mine {
		p.insert(i, p.prev[top])
	}
	if len(p.rows) > len(mine) {
		p.additions(others, p.ahead(others))
	}
}

// ahead gives, for each of b's rows that a does not have, the next row of its group that a has, -1 without one.
func (p *placer) ahead(others []int) map[int]int {
	ahead := make(map[int]int)
	met := make(map[uint32]int)
	for _, i := range slices.Backward(others) {
		r := &p.rows[i]
		g := p.units[p.other(r)].group
		if p.main(r) >= 0 {
			met[g] = i
			continue
		}
		ahead[i] = -1
		if n, ok := met[g]; ok {
			ahead[i] = n
		}
	}
	return ahead
}

// additions places what only b has.
func (p *placer) additions(others []int, ahead map[int]int) {
	behind := make(map[uint32]int) // the last row of a group, when a has one
	last := len(p.rows)            // the row before in b
	for _, i := range others {
		r := &p.rows[i]
		g := p.units[p.other(r)].group
		if p.main(r) >= 0 {
			behind[g], last = i, i
			continue
		}
		if at, ok := behind[g]; ok {
			p.insert(i, p.pass(at, g))
			behind[g] = i
		} else if n := ahead[i]; n >= 0 {
			p.insert(i, p.prev[n])
		} else {
			p.insert(i, p.pass(last, g))
		}
		last = i
	}
}

// pass skips the rows behind at that only a has, of the same group: what is gone is read before what came.
func (p *placer) pass(at int, group uint32) int {
	for {
		n := p.next[at]
		if n == len(p.rows) || p.rows[n].group != group || p.other(&p.rows[n]) >= 0 {
			return at
		}
		at = n
	}
}
