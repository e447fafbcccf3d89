package flow

import (
	"strings"

	"sipscope/render/ladder"
	"sipscope/render/text"
	"sipscope/render/tui/term"
)

// Cells that a ladder is planned with; see render/text, which draws the same on paper.
const (
	minLane   = 12 // between lifelines: "10.0.0.100" and a blank
	usualLane = 18
	maxLane   = 34
	maxHead   = 24 // a name does not widen the lanes beyond this
	onArrow   = 4  // what a label on an arrow needs beside itself: a dash, two blanks and the head
	minNotes  = 10 // no margin below this
	someNotes = 17
	goodNotes = 30
	listBelow = 44 // cells, with fewer every row is a line of prose
	listRows  = 8  // so are fewer lines
	besideMin = 70 // cells, with fewer the pane is below the ladder
	belowMin  = 16 // lines, with fewer there is no pane below
	timeShort = len("12:00:01.000")
	timeLong  = len("12:00:01.000000")
	maxMedia  = 8 // lines of a session description below an arrow
	maxState  = 3 // lines of a state
)

// geometry is where things are on the screen.
type geometry struct {
	w, h  int // of the canvas
	area  rect
	pane  rect // empty when there is none
	list  bool // a line of prose a row
	head  int  // lines of the header
	timeW int
	callX int // of the call's number
	x0    int // of the first lifeline
	lane  int // between lifelines
	cols  int
	notes int // cells of the margin with the first column in sight
	left  int
}

type rect struct{ x, y, w, h int }

func (r rect) holds(x, y int) bool { return x >= r.x && x < r.x+r.w && y >= r.y && y < r.y+r.h }

// lanes is the width of what is right of the time column.
func (g *geometry) lanes() int { return max(g.area.w-g.x0, 0) }

// x is the cell of a lifeline from the first cell of the lanes.
func (g *geometry) x(col int) int { return (col - g.left) * g.lane }

// noteX and noteW are where the margin is, with the columns scrolled as they are.
func (g *geometry) noteX() int { return g.x(g.cols-1) + 3 }

func (g *geometry) noteW() int {
	if w := g.lanes() - g.noteX() - 1; w >= minNotes { // the last cell is the scroll mark's
		return w
	}
	return 0
}

// inSight is how many columns are seen whole.
func (g *geometry) inSight() int {
	if g.list || g.lane == 0 {
		return g.cols
	}
	return (g.lanes()-1)/g.lane + 1
}

// maxLeft is the farthest that the columns can be scrolled: the last one and a margin are in sight then.
func (g *geometry) maxLeft() int {
	if g.inSight() >= g.cols {
		return 0
	}
	return max(g.cols-1-max(g.lanes()-goodNotes, 0)/g.lane, 0)
}

// bodyH is how many lines of rows are in sight.
func (g *geometry) bodyH() int { return max(g.area.h-g.head, 0) }

// plan divides a canvas.
func (v *View) plan(w, h int) geometry {
	s := v.host.Settings()
	g := geometry{w: w, h: h, area: rect{0, 0, w, h}, left: v.left}
	if s.Pane {
		g.split(s.PaneWidth)
	}
	p := v.pic
	g.cols = len(p.lad.Columns)
	g.list = g.area.w < listBelow || g.area.h < listRows || g.cols == 0
	g.timeW = p.delta
	switch s.Times {
	case "absolute":
		g.timeW = timeLong
	case "relative":
		g.timeW = max(len(v.relative(len(p.lad.Rows)-1)), 8)
	}
	if g.list {
		g.timeW = min(g.timeW, timeShort)
	}
	g.callX = g.timeW + 2
	g.x0 = g.callX
	if len(p.calls) > 1 {
		g.x0 += p.callW + 1
	}
	if g.list {
		return g
	}
	g.lane = v.laneWidth(&g)
	g.left = min(max(g.left, 0), g.maxLeft())
	at := g
	at.left = 0
	g.notes = at.noteW()
	g.head = len(v.header(&g)) + 1
	return g
}

// split takes the pane from the area: beside it, or below it on a narrow screen.
func (g *geometry) split(percent int) {
	percent = min(max(percent, minPane), maxPane)
	if g.w >= besideMin {
		pw := min(g.w*percent/100, g.w-1-listBelow)
		g.area.w = g.w - pw - 1
		g.pane = rect{g.area.w + 1, 0, pw, g.h}
		return
	}
	if g.h < belowMin {
		return
	}
	ph := min(g.h*percent/100, g.h-1-listRows)
	g.area.h = g.h - ph - 1
	g.pane = rect{0, g.area.h + 1, g.w, ph}
}

// Per cent of the screen that the pane may take.
const (
	minPane = 15
	maxPane = 80
)

// laneWidth is the room between lifelines: what labels and names need when there is a margin left, then less margin,
// then narrower lanes; the rest is scrolled.
func (v *View) laneWidth(g *geometry) int {
	natural := max(usualLane, min(v.pic.wide+onArrow+2, maxLane))
	for i := range v.pic.lad.Columns {
		natural = max(natural, min(int(v.pic.width(v.name(i)))+2, maxHead))
	}
	n := g.cols
	room := g.lanes() - 1
	if n == 1 {
		return natural
	}
	last := &v.pic.lad.Columns[n-1]
	head := int(max(v.pic.width(v.name(n-1)), v.pic.width(last.Address)))
	for _, try := range [...]struct{ notes, lane int }{
		{goodNotes, natural}, {someNotes, usualLane}, {min(head, minLane), minLane}, {0, minLane},
	} {
		if lane := (room - try.notes - 2) / (n - 1); lane >= try.lane {
			return min(lane, natural)
		}
	}
	return minLane
}

// header gives the lines above the rule: by line, a text for each column.
func (v *View) header(g *geometry) [][]string {
	const tall = 20 // lines, with fewer a long address is cut
	most := 1
	if g.area.h >= tall {
		most = 3
	}
	columns := make([][]string, g.cols)
	for i := range v.pic.lad.Columns {
		c := &v.pic.lad.Columns[i]
		w := g.lane - 2
		if i == g.cols-1 {
			w = max(w, g.lanes()-g.x(i))
		}
		columns[i] = breakAddress(v.clean(c.Address), w, most)
		if c.Label != "" && v.host.Settings().Names {
			columns[i] = append([]string{c.Label}, columns[i]...)
		}
	}
	return transpose(columns)
}

// transpose makes lines of columns. What has no name stands with its address at the height of names.
func transpose(columns [][]string) [][]string {
	height := 1
	for _, c := range columns {
		height = max(height, len(c))
	}
	lines := make([][]string, height)
	for y := range lines {
		lines[y] = make([]string, len(columns))
		for i, c := range columns {
			if y < len(c) {
				lines[y][i] = c[y]
			}
		}
	}
	return lines
}

// clean is what the canvas will make of a text of the wire.
func (v *View) clean(s string) string {
	if v.host.Settings().ASCII {
		return text.CleanASCII(s)
	}
	return text.Clean(s)
}

// breakAddress breaks a clean address that is wider than its lane, after a colon or dot when one is near.
func breakAddress(s string, w, most int) []string {
	var parts []string
	for len(s) > w && w > 0 && len(parts) < most-1 {
		head := s[:w]
		if i := strings.LastIndexAny(head, ":.]"); i >= w/2 {
			head = head[:i+1]
		}
		parts = append(parts, head)
		s = s[len(head):]
	}
	return append(parts, s)
}

// shape is how a row takes its lines.
type shape struct {
	above   bool // the label has a line of its own above the arrow
	aside   bool // the SDP summary, or the label of a gap, stands in the margin
	loop    bool // two lines for the way out and back
	rule    bool // a rule before it
	text    int  // lines of prose
	details int  // lines of a session description
}

func (s shape) lines() int {
	n := s.text + s.details
	if s.above {
		n++
	}
	if s.rule {
		n++
	}
	if s.loop {
		n += 2
	} else if s.text == 0 {
		n++
	}
	return n
}

// shape plans the lines of the row at a position. It must not depend on how the picture is scrolled.
func (v *View) shape(g *geometry, pos int) shape {
	i := int(v.list.rows[pos])
	r := &v.pic.lad.Rows[i]
	if g.list {
		return shape{text: 1}
	}
	switch {
	case r.Kind == ladder.State:
		return shape{
			text: len(v.stateLines(g, r)),
			rule: pos == 0 || v.row(pos-1).Kind != ladder.State,
		}
	case r.Kind == ladder.Gap:
		return v.gapShape(g, i)
	case r.Kind.OfMedia() && len(v.pic.lad.Columns) > 1:
		return v.mediaShape(g, i)
	case r.Kind != ladder.Arrow || r.From < 0 || r.To < 0:
		return shape{text: 1}
	default:
		return v.arrowShape(g, i)
	}
}

func (v *View) arrowShape(g *geometry, i int) shape {
	r := &v.pic.lad.Rows[i]
	s := shape{details: min(len(r.Media), maxMedia)}
	full, label := v.pic.fullW(i), int(v.pic.labelW[i])
	if r.From == r.To {
		s.loop = true
		room := (g.cols-1-r.From)*g.lane - 5
		s.above = full > max(room, g.notes)
		return s
	}
	inner := g.inner(r.From, r.To)
	switch {
	case full+onArrow <= inner:
	case label+onArrow <= inner && int(v.pic.sdpW[i]) <= g.notes:
		s.aside = true
	default:
		s.above = true
	}
	return s
}

// inner is the cells between two lifelines.
func (g *geometry) inner(a, b int) int { return (max(a, b)-min(a, b))*g.lane - 1 }

func (v *View) gapShape(g *geometry, i int) shape {
	from, to := v.gapEnds(&v.pic.lad.Rows[i])
	w := int(v.pic.labelW[i])
	switch {
	case w+onArrow <= g.inner(from, to):
		return shape{}
	case w <= g.notes:
		return shape{aside: true}
	default:
		return shape{above: true}
	}
}

// gapEnds are the columns that a dotted line joins: those that lost something, or all.
func (v *View) gapEnds(r *ladder.Row) (from, to int) {
	if r.From < 0 || r.To < 0 || r.From == r.To {
		return 0, len(v.pic.lad.Columns) - 1
	}
	return r.From, r.To
}

func (v *View) stateLines(g *geometry, r *ladder.Row) []string {
	return wrap(v.clean(r.Label), g.area.w-2, maxState)
}

// wrap breaks a clean text at blanks into at most so many lines of w cells. The last one has the rest.
func wrap(s string, w, most int) []string {
	var lines []string
	for len(lines) < most-1 && text.Width(s) > w {
		at := -1
		for i := range len(s) {
			if s[i] != ' ' {
				continue
			}
			if text.Width(s[:i]) > w {
				break
			}
			at = i
		}
		if at <= 0 {
			break
		}
		lines = append(lines, s[:at])
		s = s[at+1:]
	}
	return append(lines, s)
}

// paneCanvas is the pane's part of the canvas.
func (g *geometry) paneCanvas(c *term.Canvas) *term.Canvas {
	return c.Sub(g.pane.x, g.pane.y, g.pane.w, g.pane.h)
}
