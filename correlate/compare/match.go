package compare

import (
	"strings"
)

// mark is what became of a piece.
type mark struct {
	verdict verdict
	why     string
	whole   bool // all of the piece is marked, not its value alone
	partner int  // index of the other side's piece, -1 without
}

// match compares the pieces of two sides: those of one role with one another.
func (c *comparer) match(xs, ys []piece) (mx, my []mark) {
	marks := make([]mark, len(xs)+len(ys))
	mx, my = marks[:len(xs):len(xs)], marks[len(xs):]
	ix, iy := sortedByRole(xs), sortedByRole(ys)
	for len(ix) > 0 || len(iy) > 0 {
		var role uint32
		if len(iy) == 0 || len(ix) > 0 && xs[ix[0]].role < ys[iy[0]].role {
			role = xs[ix[0]].role
		} else {
			role = ys[iy[0]].role
		}
		nx, ny := sameRole(xs, ix, role), sameRole(ys, iy, role)
		c.matchRole(xs, ys, ix[:nx], iy[:ny], mx, my)
		ix, iy = ix[nx:], iy[ny:]
	}
	markOrder(xs, mx, my)
	return mx, my
}

func sortedByRole(ps []piece) []int {
	idx := make([]int, len(ps))
	for i := range idx {
		idx[i] = i
	}
	byRole(ps, idx)
	return idx
}

func sameRole(ps []piece, idx []int, role uint32) int {
	n := 0
	for n < len(idx) && ps[idx[n]].role == role {
		n++
	}
	return n
}

// matchRole compares the pieces of one role, whose indices ix and iy are.
func (c *comparer) matchRole(xs, ys []piece, ix, iy []int, mx, my []mark) {
	var pairs []pair
	switch {
	case len(ix) == 1 && len(iy) == 1:
		pairs = []pair{{0, 0}}
	case len(ix) > 0 && len(iy) > 0:
		pairs = c.align(idsOf(xs, ix), idsOf(ys, iy), 0)
	}
	i, j := 0, 0
	for _, p := range append(pairs, pair{len(ix), len(iy)}) {
		for ; i < p.x; i++ {
			mx[ix[i]] = single(&xs[ix[i]])
		}
		for ; j < p.y; j++ {
			my[iy[j]] = single(&ys[iy[j]])
		}
		if i < len(ix) && j < len(iy) {
			m := judge(&xs[ix[i]], &ys[iy[j]])
			m.partner = iy[j]
			mx[ix[i]] = m
			m.partner = ix[i]
			my[iy[j]] = m
			i, j = i+1, j+1
		}
	}
}

func idsOf(ps []piece, idx []int) sequence {
	s := sequence{keys: make([]uint32, len(idx))}
	for n, i := range idx {
		s.keys[n] = ps[i].id
	}
	return s
}

// single judges a piece that the other side lacks.
func single(p *piece) mark {
	switch p.class {
	case loose:
		return mark{verdict: spelled, why: p.why, whole: true, partner: -1}
	case follows:
		return mark{verdict: expected, why: p.why, whole: true, partner: -1}
	default:
	}
	return mark{verdict: differs, whole: true, partner: -1}
}

// judge compares two pieces of one role.
func judge(x, y *piece) mark {
	switch {
	case x.id == y.id && x.text == y.text, x.known != y.known && x.plain != 0 && x.plain == y.plain:
		return mark{}
	case x.id == y.id && x.known:
		return mark{verdict: expected, why: x.why}
	case x.id == y.id:
		return mark{verdict: spelled, why: spelling(x, y), whole: x.label() != y.label()}
	case x.class == follows || y.class == follows, x.anywhere(y):
		return mark{verdict: expected, why: whyPlace}
	case x.class == loose:
		return mark{verdict: spelled, why: x.why}
	case x.class == usual:
		return mark{verdict: expected, why: x.why}
	default:
		return mark{verdict: differs}
	}
}

// anywhere reports whether one of two places may be any place. What is no place, such as the 0.0.0.0 of a hold, is none.
func (p *piece) anywhere(o *piece) bool {
	return p.class == vague && (o.class == vague || o.known) || o.class == vague && p.known
}

// markOrder marks the pieces that stand at another place among the others, though they mean the same. The names of
// headers, of which the lines of a set have many, stand in front.
func markOrder(xs []piece, mx, my []mark) {
	places, at, last, ordered := make([]int, 0, len(mx)), make([]int, 0, len(mx)), -1, true
	for i := range mx {
		if mx[i].partner < 0 || xs[i].isName {
			continue
		}
		ordered = ordered && mx[i].partner > last
		last = mx[i].partner
		places, at = append(places, last), append(at, i)
	}
	if ordered {
		return
	}
	for n, in := range inOrder(places) {
		if m := &mx[at[n]]; !in && m.verdict <= spelled {
			m.verdict, m.why, m.whole = spelled, whyOrder, true
			partner := m.partner
			my[partner].verdict, my[partner].why, my[partner].whole = spelled, whyOrder, true
		}
	}
}

// Phrases of Line.Why.
const (
	whyOrder    = "order of parameters"
	whySetOrder = "order of values"
	whyCompact  = "compact form"
	whyCase     = "case"
	whyBlanks   = "white space"
	whyQuotes   = "quotes"
	whyEscapes  = "escapes"
	whyBrackets = "brackets"
	whyPoints   = "punctuation"
	whyAddress  = "form of an address"
	whyDigits   = "form of a number"
	whySpelling = "spelling"
	whyFolding  = "folding"
	whyLineEnd  = "line end"
	whyOneLine  = "list in one line"
	whyDefault  = "default"
	whyReason   = "reason phrase"
	whyBody     = "expected: another body"
	whyTxn      = "expected: new transaction"
	whyDialog   = "expected: new dialog"
	whyCall     = "expected: new call"
	whySequence = "expected: sequence number"
	whyTime     = "expected: other time"
	whyNonce    = "expected: new challenge"
	whySession  = "expected: new session"
	whyEntity   = "expected: new entity tag"
	whyKey      = "expected: new keys"
	whyBoundary = "expected: new boundary"
	whySource   = "expected: new source"
	whyPlace    = "expected: other address"
)

// spelling says how two pieces that mean the same differ.
func spelling(px, py *piece) string {
	x, y := px.text, py.text
	switch {
	case px.isName && !equalFold(x, y):
		return whyCompact
	case noBlanks(x) == noBlanks(y):
		return whyBlanks
	case equalFold(x, y):
		return whyCase
	case strings.ContainsRune(x, '"') != strings.ContainsRune(y, '"'):
		return whyQuotes
	case strings.Count(x, ":") > 1:
		return whyAddress
	case strings.IndexByte(x, '%') >= 0 || strings.IndexByte(y, '%') >= 0:
		return whyEscapes
	case endsInDigit(x) || endsInDigit(y):
		return whyDigits
	default:
		return whySpelling
	}
}

func endsInDigit(t string) bool { return t != "" && t[len(t)-1]-'0' < 10 }

// equalFold compares ASCII letters without their case; other bytes must be equal.
func equalFold(x, y string) bool {
	if len(x) != len(y) {
		return false
	}
	for i := range len(x) {
		if lower(x[i]) != lower(y[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c-'A' <= 'Z'-'A' {
		return c + 'a' - 'A'
	}
	return c
}

// both is the row of two units that are compared.
func (c *comparer) both(i, j int, xs, ys []unit) row {
	x, y := &xs[i], &ys[j]
	r := row{x: i, y: j, xs: 1, ys: 1, group: x.group}
	if x.text == y.text && x.traits == y.traits && x.end == y.end && (!c.named || x.key == y.key) {
		r.sx, r.sy = []Span{{Text: x.text}}, []Span{{Text: y.text}}
		return r
	}
	mx, my := c.match(x.pieces, y.pieces)
	r.weigh(mx)
	r.weigh(my)
	if x.traits&isSet != 0 && r.why == whyOrder {
		r.why = whySetOrder
	}
	if r.verdict <= spelled && (x.values > 1) != (y.values > 1) && x.text != y.text {
		r.verdict, r.why = spelled, whyOneLine
	}
	if r.verdict == same {
		r.outside(x, y)
	}
	r.sx, r.sy = x.spans(mx, r.verdict), y.spans(my, r.verdict)
	if r.verdict == spelled {
		r.markGlue(x, y, mx, my)
	}
	return r
}

// weigh makes the worst mark the row's verdict; of equal ones the first counts.
func (r *row) weigh(marks []mark) {
	for i := range marks {
		if m := &marks[i]; m.verdict > r.verdict {
			r.verdict, r.why = m.verdict, m.why
		}
	}
}

// outside judges two units whose pieces are the same.
func (r *row) outside(x, y *unit) {
	switch {
	case x.text != y.text && noBlanks(x.text) == noBlanks(y.text):
		r.why = whyBlanks
	case x.text != y.text && without(x.text, "<> \t") == without(y.text, "<> \t"):
		r.why = whyBrackets
	case x.text != y.text:
		r.why = whyPoints
	case (x.traits^y.traits)&folded != 0:
		r.why = whyFolding
	case x.end != y.end:
		r.why = whyLineEnd
	default:
		return
	}
	r.verdict = spelled
}

// without takes the bytes of cut out of t.
func without(t, cut string) string {
	b := make([]byte, 0, len(t))
	for i := range len(t) {
		if strings.IndexByte(cut, t[i]) < 0 {
			b = append(b, t[i])
		}
	}
	return string(b)
}

// extent is a part of a text, in bytes.
type extent struct{ from, to int }

// spans cuts the unit's text at the pieces that have the verdict.
func (u *unit) spans(marks []mark, v verdict) []Span {
	var at []extent
	for i := range marks {
		if v == same || marks[i].verdict != v {
			continue
		}
		p := &u.pieces[i]
		from := p.from
		if !marks[i].whole && p.value < p.to {
			from = p.value
		}
		at = append(at, extent{from, p.to})
	}
	return cut(u.text, at)
}

// cut cuts a text at what is to be marked, which is in order. Marks that touch become one.
func cut(text string, marked []extent) []Span {
	out := make([]Span, 0, 2*len(marked)+1)
	at := 0
	for i := 0; i < len(marked); {
		from, to := marked[i].from, marked[i].to
		for i++; i < len(marked) && marked[i].from <= to; i++ {
			to = max(to, marked[i].to)
		}
		if from > at {
			out = append(out, Span{Text: text[at:from]})
		}
		if to > from {
			out = append(out, Span{Text: text[from:to], Differs: true})
		}
		at = to
	}
	if at < len(text) || len(out) == 0 {
		out = append(out, Span{Text: text[at:]})
	}
	return out
}

// markGlue marks what differs between the pieces, when nothing else does.
func (r *row) markGlue(x, y *unit, mx, my []mark) {
	if len(mx) != len(my) {
		return
	}
	for i := range mx {
		if mx[i].verdict != same || mx[i].partner-mx[0].partner != i {
			return
		}
	}
	var markedX, markedY []extent
	var ax, ay int
	for i := range len(mx) + 1 {
		fx, fy := len(x.text), len(y.text)
		if i < len(mx) {
			fx, fy = x.pieces[i].from, y.pieces[i].from
		}
		ex, ey := unlike(x.text, y.text, extent{ax, fx}, extent{ay, fy})
		if ex.from < ex.to {
			markedX = append(markedX, ex)
		}
		if ey.from < ey.to {
			markedY = append(markedY, ey)
		}
		if i < len(mx) {
			ax, ay = x.pieces[i].to, y.pieces[i].to
		}
	}
	r.sx, r.sy = cut(x.text, markedX), cut(y.text, markedY)
}

// unlike is what stands between the beginning and the end that two parts of texts share.
func unlike(x, y string, ex, ey extent) (ux, uy extent) {
	for ex.from < ex.to && ey.from < ey.to && x[ex.from] == y[ey.from] {
		ex.from++
		ey.from++
	}
	for ex.from < ex.to && ey.from < ey.to && x[ex.to-1] == y[ey.to-1] {
		ex.to--
		ey.to--
	}
	return ex, ey
}

// sets compares the lines of two sides whose values are one set: a value counts when no line of the other side has it.
// The lines are laid side by side in order.
func (c *comparer) sets(rows []row, xs, ys []unit, gx, gy []int) []row {
	mx, my := c.match(allPieces(xs, gx), allPieces(ys, gy))
	for n := range max(len(gx), len(gy)) {
		r := row{x: -1, y: -1}
		var nx, ny []mark
		if n < len(gx) {
			r.x, r.xs = gx[n], 1
			nx, mx = r.take(&xs[r.x], mx)
		}
		if n < len(gy) {
			r.y, r.ys = gy[n], 1
			ny, my = r.take(&ys[r.y], my)
		}
		r.setVerdict(xs, ys)
		if r.x >= 0 {
			r.sx = xs[r.x].spans(nx, r.verdict)
		}
		if r.y >= 0 {
			r.sy = ys[r.y].spans(ny, r.verdict)
		}
		if r.verdict == spelled && r.x >= 0 && r.y >= 0 {
			r.markGlue(&xs[r.x], &ys[r.y], nx, ny)
		}
		rows = append(rows, r)
	}
	return rows
}

// take gives the marks of u, with which marks begins, and lets them count.
func (r *row) take(u *unit, marks []mark) (own, rest []mark) {
	r.group = u.group
	own = marks[:len(u.pieces)]
	r.weigh(own)
	return own, marks[len(own):]
}

// setVerdict judges a row of a set whose values alone do not differ.
func (r *row) setVerdict(xs, ys []unit) {
	if r.verdict > spelled {
		return
	}
	if r.x < 0 || r.y < 0 {
		r.verdict, r.why = spelled, whyOneLine
		return
	}
	x, y := &xs[r.x], &ys[r.y]
	if x.text == y.text {
		r.verdict, r.why = same, ""
	}
	if r.verdict == same {
		r.outside(x, y)
	}
	if r.why == whyOrder {
		r.why = whySetOrder
	}
}

func allPieces(us []unit, idx []int) []piece {
	var all []piece
	for _, i := range idx {
		all = append(all, us[i].pieces...)
	}
	return all
}
