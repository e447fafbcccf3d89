package flow

import (
	"sort"

	"sipscope/render/ladder"
)

// lineIndex says at which line each row begins.
type lineIndex struct {
	key    indexKey
	starts []int32 // by position, and the number of all lines at the end
}

// indexKey is what the lines of rows depend on.
type indexKey struct {
	pic                     *picture
	n, lane, notes, w, cols int
	list                    bool
}

func (x *lineIndex) start(pos int) int {
	if pos < 0 || pos >= len(x.starts) {
		return 0
	}
	return int(x.starts[pos])
}

func (x *lineIndex) total() int {
	if len(x.starts) == 0 {
		return 0
	}
	return int(x.starts[len(x.starts)-1])
}

// at is the position of the row that has a line; the last one when it is beyond.
func (x *lineIndex) at(line int) int {
	n := len(x.starts) - 1
	return max(sort.Search(n, func(k int) bool { return int(x.starts[k+1]) > line }), 0)
}

// reindex counts the lines anew when what they depend on has changed: some nanoseconds a row.
func (v *View) reindex() {
	g := &v.geo
	key := indexKey{pic: v.pic, n: v.list.len(), lane: g.lane, notes: g.notes, w: g.area.w, cols: g.cols, list: g.list}
	if v.index.key == key && len(v.index.starts) == v.list.len()+1 {
		return
	}
	starts := make([]int32, v.list.len()+1)
	line := 0
	for pos := range v.list.rows {
		starts[pos] = int32(line)
		line += v.shape(g, pos).lines()
	}
	starts[v.list.len()] = int32(line)
	v.index = lineIndex{key: key, starts: starts}
}

// layout plans the canvas, counts the lines and keeps the cursor in sight.
func (v *View) layout(w, h int) {
	height := v.index.start(v.cursor) - v.top
	had := v.index.key
	v.geo = v.plan(w, h)
	v.left = v.geo.left
	v.reindex()
	if had.pic != nil && had != v.index.key {
		v.top = v.index.start(v.cursor) - height
	}
	v.cursor = min(max(v.cursor, 0), max(v.list.len()-1, 0))
	v.reveal()
}

// reveal scrolls as little as it must to have the row of the cursor in sight.
func (v *View) reveal() {
	body := v.geo.bodyH()
	if v.list.len() == 0 || body == 0 {
		v.top = 0
		return
	}
	first, last := v.index.start(v.cursor), v.index.start(v.cursor+1)-1
	if v.cursor == v.list.len()-1 {
		last = v.index.total() - 1
	}
	if last >= v.top+body {
		v.top = last - body + 1
	}
	v.top = min(v.top, first)
	v.top = max(min(v.top, v.index.total()-body), 0)
}

// revealColumns scrolls sideways until the arrow under the cursor can be seen.
func (v *View) revealColumns() {
	g := &v.geo
	if g.list || v.list.len() == 0 || g.inSight() >= g.cols {
		return
	}
	r := v.row(v.cursor)
	if r.Kind != ladder.Arrow || r.From < 0 || r.To < 0 {
		return
	}
	lo, hi := min(r.From, r.To), max(r.From, r.To)
	last := v.left + g.inSight() - 1
	if hi > v.left && lo < last || lo == hi && lo >= v.left && lo <= last {
		return // some of it is in sight
	}
	if hi > last {
		v.left = max(hi-g.inSight()+1, 0)
	}
	if lo < v.left {
		v.left = lo
	}
	v.left = min(v.left, g.maxLeft())
	g.left = v.left
}
