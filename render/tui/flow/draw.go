package flow

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"sipscope/render/ladder"
	"sipscope/render/text"
	"sipscope/render/tui/term"
)

// Draw draws the rows in sight.
func (v *View) Draw(c *term.Canvas) {
	v.ensure()
	w, h := c.Size()
	if v.pic == nil {
		c.PutMax(1, 0, w-1, "reading "+countCalls(len(v.nums)), term.Dim)
		return
	}
	if len(v.pic.calls) == 0 {
		c.PutMax(1, 0, w-1, v.nothing(), term.Warning)
		return
	}
	v.layout(w, h)
	g := &v.geo
	p := painter{v: v, g: g, c: c.Sub(g.area.x, g.area.y, g.area.w, g.area.h), gl: c.Glyphs()}
	p.draw()
	if g.pane.w > 0 && g.pane.h > 0 {
		if g.pane.y > 0 {
			c.Draw(0, g.pane.y-1, w, c.Glyphs().Rule, term.Border)
		} else {
			for y := range h {
				c.Draw(g.pane.x-1, y, 1, c.Glyphs().Vertical, term.Border)
			}
		}
		v.syncPane()
		v.pane.Draw(g.paneCanvas(c))
	}
}

// nothing says why there is no ladder.
func (v *View) nothing() string {
	switch {
	case len(v.nums) == 0:
		return "no call is selected"
	case len(v.nums) == 1:
		return "call " + strconv.FormatUint(uint64(v.nums[0]), 10) + " is no longer kept: a limit has evicted it"
	default:
		return "the " + strconv.Itoa(len(v.nums)) + " calls are no longer kept: a limit has evicted them"
	}
}

// painter draws a picture in one go.
type painter struct {
	v    *View
	g    *geometry
	c    *term.Canvas // the ladder's area
	l    *term.Canvas // of it, the lines of rows right of the time column
	body *term.Canvas // of it, the lines of rows
	gl   *term.Glyphs

	labelX, labelY, labelW int // of the row that was drawn last, for the overlay of what a search found
}

func (p *painter) draw() {
	v, g := p.v, p.g
	if !g.list {
		p.header()
	}
	p.body = p.c.Sub(0, g.head, g.area.w, g.bodyH())
	p.l = p.body.Sub(g.x0, 0, g.lanes(), g.bodyH())
	if v.list.len() == 0 {
		p.body.Put(1, 0, "no row is left: D shows all messages again", term.Dim)
		return
	}
	for pos := v.index.at(v.top); pos < v.list.len(); pos++ {
		y := v.index.start(pos) - v.top
		if y >= g.bodyH() {
			break
		}
		p.row(pos, y)
	}
	p.scrollMark()
}

// header draws the participants and the rule below.
func (p *painter) header() {
	g := p.g
	lines := p.v.header(g)
	at := p.c.Sub(g.x0, 0, g.lanes(), g.head)
	for y, line := range lines {
		for i, s := range line {
			if s == "" || g.x(i) < 0 {
				continue
			}
			role := term.Normal
			if y == 0 {
				role = term.Head
			}
			w := g.lane - 2
			if i == g.cols-1 {
				w = g.lanes() - g.x(i)
			}
			at.PutMax(g.x(i), y, w, s, role)
		}
	}
	y := len(lines)
	p.rule(p.c, y, p.gl.Head)
	if p.v.left > 0 {
		p.c.Put(g.x0-1, y, p.gl.Left, term.Bold)
	}
	if g.left+g.inSight() < g.cols {
		p.c.Put(g.area.w-1, y, p.gl.Right, term.Bold)
	}
}

// rule draws a line that the lifelines meet.
func (p *painter) rule(c *term.Canvas, y int, cross string) {
	g := p.g
	c.Draw(0, y, g.area.w, p.gl.Rule, term.Border)
	for i := max(g.left, 0); i < g.cols && g.x(i) < g.lanes(); i++ {
		c.Put(g.x0+g.x(i), y, cross, term.Border)
	}
}

// scrollMark shows at the right edge where in the ladder this is.
func (p *painter) scrollMark() {
	total, h := p.v.index.total(), p.g.bodyH()
	if total <= h || h < 3 {
		return
	}
	y := p.v.top * (h - 1) / (total - h)
	p.body.Put(p.g.area.w-1, y, p.gl.ScrollAt, term.Border)
}

// row draws the row at a position, its first line at y, which may be above what is in sight.
func (p *painter) row(pos, y int) {
	v, g := p.v, p.g
	r := v.row(pos)
	s := v.shape(g, pos)
	if s.rule {
		p.rule(p.body, y, p.gl.Foot)
		y++
	}
	n := s.lines()
	if s.rule {
		n--
	}
	if !g.list && r.Kind != ladder.State {
		p.lifelines(y, n)
	}
	p.labelX, p.labelY, p.labelW = 0, y, g.timeW+1
	p.stamp(pos, y)
	switch {
	case g.list:
		p.prose(pos, y)
	case r.Kind == ladder.State:
		p.state(r, y)
	case r.Kind == ladder.Gap:
		p.gap(pos, y, s)
	case r.Kind.OfMedia() && len(v.pic.lad.Columns) > 1:
		p.media(pos, y, s)
	case r.Kind != ladder.Arrow || r.From < 0 || r.To < 0:
		p.remark(pos, y)
	default:
		p.arrow(pos, y, s)
	}
	p.overlays(pos, y, n)
}

// overlays shows what is special about a row.
func (p *painter) overlays(pos, y, n int) {
	v := p.v
	role := term.Normal
	switch {
	case pos == v.cursor:
		role = term.Cursor
	case v.selected != nil && v.isSelected(pos):
		role = term.Marked
	case v.isPeer(pos):
		role = term.Peer
	}
	if role != term.Normal {
		for k := range n {
			p.body.Overlay(0, y+k, p.g.area.w, role)
		}
	}
	if v.search != nil && v.search.is(v.list.rows[pos]) {
		p.body.Overlay(p.labelX, p.labelY, p.labelW, term.Found)
	}
}

func (p *painter) lifelines(y, n int) {
	g := p.g
	for i := g.left; i < g.cols && g.x(i) < g.lanes(); i++ {
		for k := range n {
			p.l.Draw(g.x(i), y+k, 1, p.gl.Line, term.Border)
		}
	}
}

// stamp writes the marks, the time and the call's number.
func (p *painter) stamp(pos, y int) {
	v, g := p.v, p.g
	r := v.row(pos)
	switch {
	case v.isSelected(pos):
		p.body.Put(0, y, p.gl.Check, term.Bold)
	case v.marked && v.mark == v.place(pos):
		p.body.Put(0, y, p.gl.Bullet, term.Bold)
	}
	if r.Kind == ladder.State && !g.list {
		return
	}
	if r.Kind != ladder.Note && r.Kind != ladder.State {
		p.body.PutRight(1, y, g.timeW, v.time(pos), term.Time)
	}
	if len(v.pic.calls) > 1 {
		p.body.Put(g.callX, y, "#"+strconv.FormatUint(uint64(v.pic.calls[r.Call].Num), 10), term.Series(r.Call))
	}
}

// time is the text of the time column.
func (v *View) time(pos int) string {
	r := v.row(pos)
	switch v.host.Settings().Times {
	case "absolute":
		if v.geo.list {
			return clock(r.Time, "15:04:05.000")
		}
		return clock(r.Time, "15:04:05.000000")
	case "relative":
		return v.relative(int(v.list.rows[pos]))
	}
	if v.firstTimed(pos) {
		return clock(r.Time, "15:04:05.000")
	}
	return signed(v.list.delta[pos])
}

// firstTimed reports whether no row before has a time: only notes come without one.
func (v *View) firstTimed(pos int) bool {
	const far = 8
	if pos > far {
		return false
	}
	for k := range pos {
		if v.row(k).Kind != ladder.Note {
			return false
		}
	}
	return true
}

// relative is seconds since the first row.
func (v *View) relative(i int) string {
	if i < 0 {
		return ""
	}
	return strconv.FormatFloat(float64(v.pic.lad.Rows[i].SinceFirst)/1e9, 'f', 6, 64)
}

// role is the colour of a row, as the settings want it.
func (v *View) role(r *ladder.Row) term.Role {
	switch v.host.Settings().ColorBy {
	case "call":
		return term.Series(r.Call)
	case "transaction":
		if r.Txn < 0 {
			return term.Normal
		}
		return term.Series(v.pic.txn0[r.Call] + r.Txn)
	case "dialog":
		if r.Dialog < 0 {
			return term.Normal
		}
		return term.Series(v.pic.dlg0[r.Call] + r.Dialog)
	}
	return statusRole(r.Status)
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

// label is what a row says, with how often it was sent and over how many hops.
func (p *picture) label(r *ladder.Row) string {
	s := r.Label
	if r.Kind.OfMedia() && p.spec.ascii {
		s = text.ASCIIArrows(s)
	}
	if r.Count > 1 {
		if p.spec.ascii {
			s += " x" + strconv.Itoa(r.Count)
		} else {
			s += " ×" + strconv.Itoa(r.Count)
		}
	}
	if r.Hops > 1 {
		s += " (" + strconv.Itoa(r.Hops) + " hops)"
	}
	return s
}

// put writes a text of a row's event and remembers where it is.
func (p *painter) put(x, y, w int, s string, role term.Role) {
	n := p.l.PutMax(x, y, w, s, role)
	p.labelX, p.labelY, p.labelW = p.g.x0+max(x, 0), y, min(n, w)
}

// prose writes a row in a line: "alice → proxy A INVITE sdp PCMU". Names give way before the label does.
func (p *painter) prose(pos, y int) {
	v := p.v
	r := v.row(pos)
	label := p.c.Clean(v.pic.label(r))
	role := v.role(r)
	x := 0
	switch r.Kind {
	case ladder.Arrow:
		x = p.between(r, y, p.gl.To, text.Width(label), term.Normal)
	case ladder.Gap:
		role = term.GapLine
		x = p.between(r, y, " "+p.gl.Dot+p.gl.Dot+" ", text.Width(label), role)
	case ladder.State:
		role = v.stateRole(r)
	case ladder.Media, ladder.DTMF, ladder.Lane:
		role = term.MediaLine
		x = p.between(r, y, " "+p.gl.Wire+p.gl.Wire+" ", text.Width(label), role)
	default:
		role = term.Note
	}
	if r.SDP != "" {
		label += " " + r.SDP
	}
	if n := v.notes(pos); len(n) > 0 {
		label += p.gl.Sep + strings.Join(n, p.gl.Sep)
	}
	p.put(x, y, p.g.lanes()-x-1, label, role) // the last cell is the scroll mark's
}

// between writes the participants of a row, and leaves room for its label when there is any way to.
func (p *painter) between(r *ladder.Row, y int, to string, label int, role term.Role) int {
	if r.From < 0 || r.To < 0 {
		return 0
	}
	const least = 4
	from, dest := p.c.Clean(p.v.name(r.From)), p.c.Clean(p.v.name(r.To))
	wf, wt := text.Width(from), text.Width(dest)
	room := max(p.g.lanes()-label-text.Width(to)-2, 2*least)
	if wf+wt > room {
		half := room / 2
		wf, wt = min(wf, max(half, room-wt)), min(wt, max(room-half, room-wf))
	}
	x := p.elided(0, y, wf, from, role)
	x += p.l.PutMax(x, y, text.Width(to), to, term.Dim)
	x += p.elided(x, y, wt, dest, role)
	return x + 1
}

// elided writes a clean name in w cells. What tells "proxy A" and "proxy B" or two addresses apart is at their ends, so
// it is the middle that is left out.
func (p *painter) elided(x, y, w int, s string, role term.Role) int {
	if text.Width(s) <= w {
		return p.l.PutMax(x, y, w, s, role)
	}
	end := 1
	if w > 8 {
		end = 3
	}
	tail := s
	for text.Width(tail) > end {
		_, n := utf8.DecodeRuneInString(tail)
		tail = tail[n:]
	}
	n := p.l.PutMax(x, y, w-text.Width(tail), s, role)
	return n + p.l.PutMax(x+n, y, w-n, tail, role)
}

func (p *painter) state(r *ladder.Row, y int) {
	for k, s := range p.v.stateLines(p.g, r) {
		n := p.body.PutMax(1, y+k, p.g.area.w-2, s, p.v.stateRole(r))
		if k == 0 {
			p.labelX, p.labelY, p.labelW = 1, y, n
		}
	}
}

// remark writes a row that is no arrow, further to the left when it needs the room.
func (p *painter) remark(pos, y int) {
	v := p.v
	r := v.row(pos)
	s := strings.Join(append([]string{v.pic.label(r)}, v.notes(pos)...), p.gl.Sep)
	x := p.g.x(max(min(r.From, r.To), 0)) + 2
	p.over(x, y, s, term.Note)
}

// over writes a text across lifelines, in sight whatever it costs in place, and cut last.
func (p *painter) over(x, y int, s string, role term.Role) {
	s = p.c.Clean(s)
	room := p.g.lanes()
	x = max(min(x, room-text.Width(s)-1), 1)
	p.put(x, y, room-x, s, role)
}

func (p *painter) margin(y int, notes []string) {
	if w := p.g.noteW(); w > 0 && len(notes) > 0 {
		p.l.PutMax(p.g.noteX(), y, w, strings.Join(notes, p.gl.Sep), term.Note)
	}
}
