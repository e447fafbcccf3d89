package pair

import (
	"sort"

	"sipscope/correlate/diff"
	"sipscope/render/text"
)

// Cells and lines that a comparison is planned with.
const (
	sideBySide = 100 // cells, with fewer there is one ladder for both sides
	minLane    = 12  // between lifelines: "INVITE" on an arrow, or an address
	usualLane  = 18
	maxLane    = 40
	maxHead    = 24 // a name does not widen the lanes beyond this
	onArrow    = 4  // what a label on an arrow needs beside itself: a dash, two blanks and the head
	markW      = 3  // where the flows part, the verdict, a blank
	timeW      = 8  // see stamp
	borderW    = 3
	minNotes   = 30 // cells of the margin, with fewer there is none
	goodNotes  = 50 // what lanes that are wide enough leave to it
	tall       = 28 // lines, with fewer there are no addresses
	roomy      = 16 // lines, with fewer nothing is told below the ladders
	maxTold    = 6  // lines that are told of a row

	maxHeadline = 2000 // bytes
)

// geometry is where things are on the screen.
type geometry struct {
	w, h  int // of the canvas
	two   bool
	prose bool // a row is a line of text: there are too many participants
	head  []string
	lane  int
	x     [2]int // of a side's first lifeline
	timeX [2]int // of its times
	side  int    // cells of a side from its first lifeline on
	noteX int
	noteW int // 0 for no margin
	top   int // lines above the rows
	told  int // lines below them, the rule included
}

// bodyH is how many lines of rows are in sight.
func (g *geometry) bodyH() int { return max(g.h-g.top-g.told, 0) }

// plan divides a canvas.
func (v *View) plan(w, h int) geometry {
	g := geometry{w: w, h: h, two: w >= sideBySide && !v.one}
	n := len(v.pic.r.Who)
	if g.two && !g.fit(v.pic, n) {
		merged := g
		merged.two = false
		if merged.fit(v.pic, n) {
			g = merged // rather one picture than two texts
		}
	} else if !g.two {
		g.fit(v.pic, n)
	}
	g.head = v.headline(w, h)
	g.top = len(g.head) + v.sideLines(&g)
	if !g.prose {
		g.top += v.nameLines(&g)
	}
	g.top++ // the rule
	if h >= roomy {
		g.told = min(1+maxTold, h/5)
	}
	return g
}

// fit places the sides, and reports whether there is room for lifelines.
func (g *geometry) fit(p *picture, n int) bool {
	sides := 1
	room := g.w - markW - 1 // the last cell is the scroll mark's
	if g.two {
		sides = 2
		room -= borderW
	}
	g.side = max(room/sides-timeW-1, 1)
	g.prose = true
	if n > 1 {
		natural := max(usualLane, min(p.wide+onArrow+2, maxLane))
		for i := range n {
			w := max(text.Width(p.who[0][i]), text.Width(p.who[1][i]))
			natural = max(natural, min(w+2, maxHead))
		}
		if lane := (g.side - 1) / (n - 1); lane >= minLane {
			noted := (room-goodNotes-borderW-sides*(timeW+2))/(sides*(n-1)) - 1
			switch {
			case noted >= natural:
				lane = min(noted, maxLane)
			case noted >= usualLane:
				lane = noted // the notes are worth more than what the names and labels would like to have
			default:
				lane = min(lane, natural)
			}
			g.prose, g.lane = false, lane
			g.side = g.lane*(n-1) + 1
		}
	} else if n == 1 {
		g.prose, g.lane = false, usualLane
		g.side = min(g.side, usualLane)
	}
	at := markW
	for s := range sides {
		g.timeX[s], g.x[s] = at, at+timeW+1
		at = g.x[s] + g.side + borderW
	}
	if !g.two {
		g.timeX[1], g.x[1] = g.timeX[0], g.x[0]
	}
	g.noteX = at
	if g.noteW = g.w - 1 - at; g.noteW < minNotes {
		g.noteW = 0
	}
	return !g.prose
}

// column is the cell of a lifeline from a side's first one.
func (g *geometry) column(i int) int { return i * g.lane }

// inner is the cells between two lifelines.
func (g *geometry) inner(a, b int) int { return (max(a, b)-min(a, b))*g.lane - 1 }

// border is the column between the sides.
func (g *geometry) border() int { return g.x[0] + g.side + borderW/2 }

// headline is what the comparison says in short, on as many lines as it needs and may have.
func (v *View) headline(w, h int) []string {
	most := 1
	switch {
	case h >= tall:
		most = 4
	case h >= roomy:
		most = 2
	}
	headline := v.result.Headline
	headline = headline[:min(len(headline), maxHeadline)]
	if headline == word(v.result.Verdict) {
		headline = "" // the verdict stands before it
	}
	lines := text.Wrap(v.pic.clean(headline), max(w-v.headX()-1, 10))
	if len(lines) > most {
		lines = append(lines[:most-1:most-1], joined(lines[most-1:]))
	}
	if len(lines) == 0 {
		lines = []string{""}
	}
	return lines
}

// joined puts the rest of a text on one line, where the canvas cuts it.
func joined(lines []string) string {
	s := ""
	for i, l := range lines {
		if len(s) > 1000 {
			break
		}
		if i > 0 {
			s += " "
		}
		s += l
	}
	return s
}

// headX is where the headline begins, behind the verdict.
func (v *View) headX() int { return 1 + text.Width(v.verdict()) + 2 }

// verdict is the verdict of the comparison, with the row where the flows part.
func (v *View) verdict() string {
	switch v.result.Verdict {
	case diff.Same, diff.Expected:
		return "SAME"
	case diff.Tolerated:
		return "TOLERATED"
	default:
		return "DIFFERS"
	}
}

// sideLines is how many lines name the two sides.
func (v *View) sideLines(g *geometry) int {
	if !g.two && g.h >= tall {
		return 2
	}
	return 1
}

// nameLines is how many lines name the participants.
func (v *View) nameLines(g *geometry) int {
	switch {
	case g.h < tall:
		return 1
	case !g.two && v.moved():
		return 3
	case v.pic.named:
		return 2
	default:
		return 1
	}
}

// moved reports whether a participant has another address on the second side.
func (v *View) moved() bool {
	for i := range v.pic.hosts[0] {
		if v.pic.hosts[0][i] != v.pic.hosts[1][i] {
			return true
		}
	}
	return false
}

// height is how many lines the row at a position takes.
func (v *View) height(g *geometry, i int) int {
	x, r := &v.pic.rows[i], &v.result.Rows[i]
	a, b := v.cellHeight(g, r, &x.side[0]), v.cellHeight(g, r, &x.side[1])
	switch {
	case g.two:
		return max(a, b, 1)
	case x.apart():
		return a + b
	case x.side[0].there:
		return a
	default:
		return max(b, 1)
	}
}

// cellHeight is how many lines a message takes: a second one when its label is wider than its arrow, or it comes back to
// where it left.
func (v *View) cellHeight(g *geometry, r *diff.Row, c *cell) int {
	switch {
	case !c.there:
		return 0
	case g.prose || !v.pic.placed(r):
		return 1
	case r.From == r.To, c.w+onArrow > g.inner(r.From, r.To):
		return 2
	default:
		return 1
	}
}

// lineIndex says at which line each row begins.
type lineIndex struct {
	key    indexKey
	starts []int32 // by position, and the number of all lines at the end
}

// indexKey is what the lines of rows depend on.
type indexKey struct {
	pic        *picture
	n, lane    int
	two, prose bool
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
	return max(min(sort.Search(n, func(k int) bool { return int(x.starts[k+1]) > line }), n-1), 0)
}

// layout plans the canvas, counts the lines when what they depend on has changed, and keeps the cursor in sight.
func (v *View) layout(w, h int) {
	if v.pic == nil || v.result == nil {
		return
	}
	height, had := v.lines.start(v.cursor)-v.top, v.lines.key
	v.geo = v.plan(w, h)
	g := &v.geo
	key := indexKey{pic: v.pic, n: len(v.list), lane: g.lane, two: g.two, prose: g.prose}
	if had != key || len(v.lines.starts) != len(v.list)+1 {
		starts := make([]int32, len(v.list)+1)
		line := 0
		for pos, i := range v.list {
			starts[pos] = int32(line)
			line += v.height(g, int(i))
		}
		starts[len(v.list)] = int32(line)
		v.lines = lineIndex{key: key, starts: starts}
		if had.pic != nil {
			v.top = v.lines.start(v.cursor) - height
		}
	}
	v.reveal()
}

// reveal scrolls as little as it must to have the row of the cursor in sight.
func (v *View) reveal() {
	body := v.geo.bodyH()
	v.cursor = min(max(v.cursor, 0), max(len(v.list)-1, 0))
	if len(v.list) == 0 || body == 0 {
		v.top = 0
		return
	}
	first, last := v.lines.start(v.cursor), int(v.lines.starts[min(v.cursor+1, len(v.lines.starts)-1)])-1
	if last >= v.top+body {
		v.top = last - body + 1
	}
	v.top = min(v.top, first)
	v.top = max(min(v.top, v.lines.total()-body), 0)
}
