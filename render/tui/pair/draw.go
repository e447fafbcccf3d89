package pair

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"sipscope/correlate/diff"
	"sipscope/render/ladder"
	"sipscope/render/text"
	"sipscope/render/tui/term"
)

// Draw draws the rows in sight.
func (v *View) Draw(c *term.Canvas) {
	v.ensure()
	w, h := c.Size()
	if s, role := v.nothing(); s != "" {
		c.PutMax(1, 0, w-1, s, role)
		return
	}
	v.layout(w, h)
	p := painter{v: v, g: &v.geo, c: c, gl: c.Glyphs()}
	p.body = c.Sub(0, v.geo.top, w, v.geo.bodyH())
	p.header()
	p.rows()
	p.scrollMark()
	p.tell()
}

// nothing says why there is no picture.
func (v *View) nothing() (string, term.Role) {
	switch {
	case v.note != "":
		return v.note, term.Warning
	case v.at >= len(v.report.Pairs):
		return "there are no calls to compare", term.Warning
	case v.report.Pairs[v.at].Open == nil:
		return v.alone(), term.Warning
	case v.pic == nil:
		return "comparing " + v.sideName(0) + " and " + v.sideName(1), term.Dim
	case v.result == nil:
		return "this comparison is no longer there", term.Warning
	default:
		return "", term.Normal
	}
}

// alone tells of a call without a partner.
func (v *View) alone() string {
	p := &v.report.Pairs[v.at]
	side := 0
	if p.A == nil {
		side = 1
	}
	return v.sideName(side) + " has no partner: " + p.Headline
}

// painter draws a comparison in one go.
type painter struct {
	v    *View
	g    *geometry
	c    *term.Canvas
	body *term.Canvas // the lines of rows
	gl   *term.Glyphs
}

// header draws the verdict, the sides, the participants and the rule below.
func (p *painter) header() {
	v, g := p.v, p.g
	role := roleOf(v.result.Verdict)
	if v.result.Verdict == diff.Differs {
		role = term.Bad
	}
	p.c.Put(1, 0, v.verdict(), role)
	x := v.headX()
	for y, line := range g.head {
		p.c.PutMax(x, y, g.w-x-1, line, term.Bold)
	}
	y := len(g.head)
	y += p.sides(y)
	if !g.prose {
		p.names(y)
	}
	p.rule(g.top-1, p.gl.Head)
}

// sides names the two sides, and gives the lines that it takes.
func (p *painter) sides(y int) int {
	v, g := p.v, p.g
	a, b := v.about(0), v.about(1)
	if !g.two && g.h < tall {
		a, b = v.sideName(0), v.sideName(1)
	}
	minus, plus := sign(diff.Missing, p.c.ASCII())+" ", "+ "
	switch {
	case g.two:
		p.c.PutMax(g.timeX[0], y, g.border()-g.timeX[0]-1, minus+a, term.Removed)
		p.c.PutMax(g.timeX[1], y, g.w-g.timeX[1]-1, plus+b, term.Added)
		p.c.Draw(g.border(), y, 1, p.gl.Vertical, term.Border)
		return 1
	case g.h >= tall:
		p.c.PutMax(1, y, g.w-2, minus+a, term.Removed)
		p.c.PutMax(1, y+1, g.w-2, plus+b, term.Added)
		return 2
	default:
		half := max((g.w-4)/2, 1)
		x := 1 + p.c.PutMax(1, y, half, minus+a, term.Removed)
		p.c.PutMax(min(x, 1+half)+2, y, g.w-x-4, plus+b, term.Added)
		return 1
	}
}

// names draws the participants above their lifelines.
func (p *painter) names(y int) {
	v, g := p.v, p.g
	for s := range 2 {
		if s == 1 && !g.two {
			break
		}
		p.onLines(s, y, v.pic.who[s], term.Head)
		if v.nameLines(g) > 1 {
			p.onLines(s, y+1, v.pic.hosts[s], term.Normal)
		}
	}
	if !g.two && v.nameLines(g) > 2 {
		p.c.PutMax(0, y+1, 2, " "+sign(diff.Missing, p.c.ASCII()), term.Removed)
		p.c.PutMax(0, y+2, 2, " +", term.Added)
		p.onLines(1, y+2, v.pic.hosts[1], term.Normal)
	}
	if g.two {
		for k := y; k < g.top-1; k++ {
			p.c.Draw(g.border(), k, 1, p.gl.Vertical, term.Border)
		}
	}
}

// onLines writes a text above each lifeline of a side: the first begins there, the last ends there, the others are in
// the middle, and a blank stays between them.
func (p *painter) onLines(side, y int, names []string, role term.Role) {
	g, last := p.g, len(names)-1
	starts, widths := make([]int, len(names)), make([]int, len(names))
	for i, s := range names {
		widths[i] = min(text.Width(s), g.lane-2)
		starts[i] = g.column(i) - widths[i]/2
	}
	if last == 0 {
		starts[0], widths[0] = 0, min(text.Width(names[0]), g.side)
	}
	if last > 0 { // the two at the ends have what the others leave
		room := g.column(last)
		left, right := room/2-1, room/2+1
		if last > 1 {
			left, right = starts[1]-1, starts[last-1]+widths[last-1]
		}
		starts[0], widths[0] = 0, min(text.Width(names[0]), left)
		widths[last] = min(text.Width(names[last]), room-right)
		starts[last] = room - widths[last] + 1
	}
	for i, s := range names {
		p.c.Put(g.x[side]+starts[i], y, p.elided(s, widths[i]), role)
	}
}

// elided shortens a clean text to w cells. What tells two elements or two addresses apart is at their ends, so it is the
// middle that is left out.
func (p *painter) elided(s string, w int) string {
	if text.Width(s) <= w {
		return s
	}
	ell := p.gl.Ellipsis
	room := w - text.Width(ell)
	if room < 2 {
		return cut(s, w)
	}
	tail := len(s)
	for tail > 0 {
		_, n := utf8.DecodeLastRuneInString(s[:tail])
		if text.Width(s[tail-n:]) > room/2 {
			break
		}
		tail -= n
	}
	return cut(s, room-text.Width(s[tail:])) + ell + s[tail:]
}

// cut gives the beginning of a clean text, at most w cells.
func cut(s string, w int) string {
	at := 0
	for at < len(s) {
		_, n := utf8.DecodeRuneInString(s[at:])
		if text.Width(s[:at+n]) > w {
			break
		}
		at += n
	}
	return s[:at]
}

// rule draws the line that the lifelines begin at.
func (p *painter) rule(y int, cross string) {
	g := p.g
	p.c.Draw(0, y, g.w, p.gl.Rule, term.Border)
	if g.two {
		p.c.Draw(g.border(), y, 1, p.gl.Cross, term.Border)
	}
	if g.prose {
		return
	}
	for s := range 2 {
		for i := range p.v.pic.who[0] {
			p.c.Draw(g.x[s]+g.column(i), y, 1, cross, term.Border)
		}
	}
}

// rows draws what is in sight.
func (p *painter) rows() {
	v, g := p.v, p.g
	if len(v.list) == 0 {
		s := "no messages"
		if v.only {
			s = "no differences"
		}
		p.body.PutMax(markW, 0, g.w-markW, s, term.Dim)
		return
	}
	for pos := v.lines.at(v.top); pos < len(v.list); pos++ {
		y := v.lines.start(pos) - v.top
		if y >= g.bodyH() {
			break
		}
		p.row(pos, y)
	}
}

// row draws the row at a position, its first line at y, which may be above what is in sight.
func (p *painter) row(pos, y int) {
	v, g := p.v, p.g
	i := int(v.list[pos])
	x, r := &v.pic.rows[i], &v.result.Rows[i]
	n := int(v.lines.starts[pos+1]) - v.lines.start(pos)
	p.marks(i, y, n)
	switch {
	case g.two:
		for s := range 2 {
			if !g.prose {
				p.lifelines(g.x[s], y, n)
			}
			p.cell(i, s, y, n)
		}
	case x.apart():
		a := v.cellHeight(g, r, &x.side[0])
		for s, at := range [...]struct{ y, n int }{{y, a}, {y + a, n - a}} {
			if !g.prose {
				p.lifelines(g.x[0], at.y, at.n)
			}
			p.cell(i, s, at.y, at.n)
		}
	default:
		if !g.prose {
			p.lifelines(g.x[0], y, n)
		}
		p.cell(i, x.one(), y, n)
	}
	p.margin(r, y)
	if v.needle != "" && v.holds(i) {
		p.body.Overlay(1, y, 1, term.Found)
	}
	if pos == v.cursor {
		for k := range n {
			p.body.Overlay(0, y+k, g.w, term.Cursor)
		}
	}
}

// marks draws where the flows part and what is to be said of a row.
func (p *painter) marks(i, y, n int) {
	v, g := p.v, p.g
	x, r := &v.pic.rows[i], &v.result.Rows[i]
	ascii := p.c.ASCII()
	if i == v.result.First {
		p.body.Put(0, y, p.gl.Right, term.Bad)
	}
	if !g.two && x.apart() {
		a := v.cellHeight(g, r, &x.side[0])
		p.body.Put(1, y, sign(diff.Missing, ascii), term.Removed)
		p.body.Put(1, y+a, sign(diff.Extra, ascii), term.Added)
		return
	}
	s, role := sign(r.Verdict, ascii), roleOf(r.Verdict)
	p.body.Put(1, y, s, role)
	if !g.two {
		return
	}
	for k := range n {
		p.body.Draw(g.border(), y+k, 1, p.gl.Vertical, term.Border)
	}
	if !alike(r.Verdict) {
		p.body.Put(g.border(), y, s, role)
	}
}

func (p *painter) lifelines(x, y, n int) {
	for i := range p.v.pic.who[0] {
		for k := range n {
			p.body.Draw(x+p.g.column(i), y+k, 1, p.gl.Line, term.Border)
		}
	}
}

// cell draws a message of a side at its place.
func (p *painter) cell(i, side, y, n int) {
	v, g := p.v, p.g
	x, r := &v.pic.rows[i], &v.result.Rows[i]
	c := &x.side[side]
	if !c.there {
		return
	}
	role := p.role(i, side)
	p.stamp(r, side, y)
	at := p.body.Sub(g.x[side], 0, g.sideWidth(side), g.bodyH())
	switch {
	case g.prose || !v.pic.placed(r):
		p.prose(at, r, c, side, y, role)
	case r.From == r.To:
		p.loop(at, r, c, y, role)
	default:
		p.arrow(at, r, c, y, n, role)
	}
}

// sideWidth is the cells of a side's lines: text may go on in the margin where there is one ladder.
func (g *geometry) sideWidth(side int) int {
	if g.two && side == 0 {
		return g.border() - g.x[0]
	}
	if g.noteW > 0 {
		return g.side + 1
	}
	return g.w - g.x[side] - 1
}

// role is how a message looks: by its status, where there is nothing to say of its row.
func (p *painter) role(i, side int) term.Role {
	x, verdict := &p.v.pic.rows[i], p.v.result.Rows[i].Verdict
	switch verdict {
	case diff.Differs, diff.Missing, diff.Extra, diff.NotReached:
	default:
		return statusRole(x.side[side].status)
	}
	if !p.g.two && x.apart() {
		return [...]term.Role{term.Removed, term.Added}[side]
	}
	return roleOf(verdict)
}

func statusRole(status uint16) term.Role {
	switch {
	case status == 0:
		return term.Request
	case status < 200, status == 401, status == 407:
		return term.Provisional
	case status < 300:
		return term.Success
	case status < 400:
		return term.Redirect
	default:
		return term.Failure
	}
}

// stamp writes when a side's message was sent.
func (p *painter) stamp(r *diff.Row, side, y int) {
	at := [...]int64{r.TimeA, r.TimeB}[side]
	s := ""
	if p.v.waits {
		if at = [...]int64{r.WaitA, r.WaitB}[side]; at >= 0 {
			s = "+"
		}
	}
	if at < 0 {
		return
	}
	role := term.Time
	if r.Verdict == diff.Late && side == 1 {
		role = term.Warning
	}
	p.body.PutRight(p.g.timeX[side], y, timeW, s+stamp(at), role)
}

// stamp is a time in at most 8 cells: "0.25 ms", "852 ms", "61.8 s", "12m 05s", "3h 05m".
func stamp(ns int64) string {
	switch sec := ns / 1e9; {
	case sec < 60:
		return ladder.Duration(ns)
	case sec < 100:
		return strconv.FormatFloat(float64(ns/1e8)/10, 'f', 1, 64) + " s"
	case sec < 3600:
		return fmt.Sprintf("%dm %02ds", sec/60, sec%60)
	default:
		return fmt.Sprintf("%dh %02dm", sec/3600, sec/60%60)
	}
}

// margin says in short what differs, where there is room for it.
func (p *painter) margin(r *diff.Row, y int) {
	if p.g.noteW == 0 || len(r.Differences) == 0 {
		return
	}
	d := &r.Differences[0]
	s := told(d)
	if n := len(r.Differences) - 1; n > 0 {
		s += p.gl.Sep + strconv.Itoa(n) + " more"
	}
	p.body.PutMax(p.g.noteX, y, p.g.noteW, s, noteRole(d.Verdict))
}

func noteRole(v diff.Verdict) term.Role {
	switch v {
	case diff.Tolerated:
		return term.Dim
	case diff.Late:
		return term.Warning
	default:
		return term.Note
	}
}

// told is a difference in words: where it is, too, when they do not say so.
func told(d *diff.Difference) string {
	switch d.Where {
	case "", "status", "reason", "time", "missing", "extra", "path", "order", "transport", "retransmission":
		return d.Text
	}
	if strings.Contains(strings.ToLower(d.Text), strings.ToLower(d.Where)) {
		return d.Text
	}
	return d.Where + ": " + d.Text
}

// scrollMark shows at the right edge where in the comparison this is.
func (p *painter) scrollMark() {
	total, h := p.v.lines.total(), p.g.bodyH()
	if total <= h || h < 3 {
		return
	}
	p.body.Put(p.g.w-1, p.v.top*(h-1)/(total-h), p.gl.ScrollAt, term.Border)
}

// tell says below the ladders what is to be said of the row under the cursor.
func (p *painter) tell() {
	v, g := p.v, p.g
	if g.told < 2 || len(v.list) == 0 {
		return
	}
	y := g.h - g.told
	p.c.Draw(0, y, g.w, p.gl.Rule, term.Border)
	if g.two {
		p.c.Draw(g.border(), y, 1, p.gl.Foot, term.Border)
	}
	r := &v.result.Rows[v.list[v.cursor]]
	room := g.told - 1
	if len(r.Differences) == 0 {
		p.c.PutMax(markW, y+1, g.w-markW-1, v.nothingTold(r), term.Dim)
		return
	}
	for k := range min(len(r.Differences), room) {
		if rest := len(r.Differences) - k; k == room-1 && rest > 1 {
			p.c.PutMax(markW, y+1+k, g.w-markW-1, strconv.Itoa(rest)+" more: Enter shows the messages", term.Dim)
			return
		}
		d := &r.Differences[k]
		p.c.Put(1, y+1+k, sign(d.Verdict, p.c.ASCII()), roleOf(d.Verdict))
		p.c.PutMax(markW, y+1+k, g.w-markW-1, told(d), diffRole(d.Verdict))
	}
}

func diffRole(v diff.Verdict) term.Role {
	switch v {
	case diff.Tolerated, diff.Expected, diff.Same:
		return term.Dim
	default:
		return term.Normal
	}
}

// nothingTold says why nothing is told of a row.
func (v *View) nothingTold(r *diff.Row) string {
	switch r.Verdict {
	case diff.Missing:
		return "only in " + v.sideName(0)
	case diff.Extra:
		return "only in " + v.sideName(1)
	case diff.NotReached:
		return "not reached: it follows from what differs before"
	case diff.Expected:
		return "the same, but for what differs in any two calls"
	case diff.Same:
		return "the same"
	default:
		return word(r.Verdict)
	}
}
