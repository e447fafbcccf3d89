package pair

import (
	"strconv"
	"strings"

	"sipscope/correlate/compare"
	"sipscope/correlate/diff"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
)

// Do performs an action of the scope.
func (v *View) Do(a keymap.Action) bool {
	v.ensure()
	if !v.move(a) && !v.act(a) {
		return false
	}
	v.host.Redraw()
	return true
}

// move moves the cursor.
func (v *View) move(a keymap.Action) bool {
	page := max(v.geo.bodyH(), 1)
	switch a {
	case keymap.Up:
		v.moveTo(v.cursor - 1)
	case keymap.Down:
		v.moveTo(v.cursor + 1)
	case keymap.PageUp:
		v.moveLines(-page)
	case keymap.PageDown:
		v.moveLines(page)
	case keymap.HalfUp:
		v.moveLines(-max(page/2, 1))
	case keymap.HalfDown:
		v.moveLines(max(page/2, 1))
	case keymap.Top:
		v.moveTo(0)
	case keymap.Bottom:
		v.moveTo(len(v.list) - 1)
	case keymap.SearchNext, keymap.SearchPrev:
		v.next(a == keymap.SearchPrev)
	case keymap.FirstDifference:
		v.first()
	default:
		return false
	}
	return true
}

// moveTo puts the cursor on a position, or on the nearest one that exists.
func (v *View) moveTo(pos int) {
	v.cursor = min(max(pos, 0), max(len(v.list)-1, 0))
	v.reveal()
}

// moveLines moves the cursor and what is in sight by so many lines, by a row at least.
func (v *View) moveLines(n int) {
	if len(v.list) == 0 || len(v.lines.starts) == 0 {
		return
	}
	pos := v.lines.at(max(v.lines.start(v.cursor)+n, 0))
	if pos == v.cursor {
		pos += map[bool]int{true: 1, false: -1}[n > 0]
	}
	v.top += n
	v.moveTo(pos)
}

// next goes to the next row that differs; where none counts, to the next one that is not the same.
func (v *View) next(back bool) {
	if v.result == nil || v.pic == nil {
		return
	}
	ok := func(row int) bool { return !alike(v.result.Rows[row].Verdict) }
	if v.result.First >= 0 {
		ok = v.result.Diverges
	}
	step := 1
	if back {
		step = -1
	}
	for pos := v.cursor + step; pos >= 0 && pos < len(v.list); pos += step {
		if ok(int(v.list[pos])) {
			v.moveTo(pos)
			return
		}
	}
	v.host.Say("no further difference")
}

// first goes to where the flows part.
func (v *View) first() {
	if v.result == nil || v.pic == nil {
		return
	}
	if v.result.First < 0 {
		v.host.Say("they do not part")
		return
	}
	v.moveTo(v.position(v.result.First))
}

// act does what is no move.
func (v *View) act(a keymap.Action) bool {
	switch a {
	case keymap.Open:
		v.open()
	case keymap.OnlyDifferences:
		v.only = !v.only
		if v.pic != nil && v.result != nil {
			v.relist()
		}
	case keymap.Layout:
		v.layoutKey()
	case keymap.Times:
		v.waits = !v.waits
	case keymap.NextPair:
		v.turn(1)
	case keymap.PrevPair:
		v.turn(-1)
	case keymap.Copy:
		v.copyRow()
	case keymap.CopyAll:
		v.copyAll()
	case keymap.Save:
		v.ask()
	default:
		return false
	}
	return true
}

// layoutKey changes between two ladders and one.
func (v *View) layoutKey() {
	if w := v.geo.w; w > 0 && w < sideBySide {
		v.host.Say("two ladders need " + strconv.Itoa(sideBySide) + " columns")
		return
	}
	v.one = !v.one
}

// ref gives a message of a side, false where that side has none.
func (v *View) ref(f *diff.Flow, r diff.Ref) (term.MessageRef, bool) {
	if r.Call < 0 || r.Call >= len(f.Calls) || r.Message < 0 || r.Message >= len(f.Calls[r.Call].Messages) {
		return term.MessageRef{}, false
	}
	return term.MessageRef{Call: &f.Calls[r.Call], Message: r.Message}, true
}

// open shows the messages of the row under the cursor.
func (v *View) open() {
	if v.result == nil || v.cursor >= len(v.list) {
		return
	}
	i := int(v.list[v.cursor])
	r := &v.result.Rows[i]
	a, hasA := v.ref(&v.result.A, r.A)
	b, hasB := v.ref(&v.result.B, r.B)
	switch {
	case hasA && hasB:
		result := v.result
		v.host.ShowCompare(term.Comparison{A: a, B: b, Made: func() compare.Result { return result.Message(i) }})
	case hasA:
		v.host.ShowMessages(a.Call, a.Message)
	case hasB:
		v.host.ShowMessages(b.Call, b.Message)
	default:
		v.host.Say("there is no message here")
	}
}

// Search implements term.View: a row holds what it is called and what differs in it.
func (v *View) Search(needle string, next, backwards bool) {
	v.host.Redraw()
	if v.needle == "" || !next && needle == "" {
		v.origin = v.cursor
	}
	v.needle = term.Lower(needle)
	n := len(v.list)
	if needle == "" || n == 0 || v.result == nil {
		return
	}
	from, step := v.origin, 1
	if next {
		from = v.cursor + 1
		if backwards {
			from, step = v.cursor-1, -1
		}
	}
	for k := range n {
		pos := ((from+k*step)%n + n) % n
		if v.holds(int(v.list[pos])) {
			v.moveTo(pos)
			return
		}
	}
	v.host.Say(strconv.Quote(short(needle)) + " is not in this comparison")
}

// short is what a user searched for, in a message to him.
func short(s string) string {
	const most = 40
	for i := range s {
		if i >= most {
			return s[:i] + "..."
		}
	}
	return s
}

// holds reports whether a row has what is searched for.
func (v *View) holds(i int) bool {
	for s := range v.pic.rows[i].side {
		c := &v.pic.rows[i].side[s]
		if has(c.label, v.needle) || has(c.sdp, v.needle) {
			return true
		}
	}
	r := &v.result.Rows[i]
	for k := range r.Differences {
		if has(told(&r.Differences[k]), v.needle) {
			return true
		}
	}
	return has(word(r.Verdict), v.needle)
}

func has(s, low string) bool { return strings.Contains(term.Lower(s), low) }

// wheelLines is how far a turn of the wheel scrolls.
const wheelLines = 3

// Mouse moves the cursor, opens messages and scrolls.
func (v *View) Mouse(m term.Mouse) bool {
	if v.pic == nil || len(v.list) == 0 || len(v.lines.starts) == 0 {
		return false
	}
	switch m.Kind {
	case term.Click, term.DoubleClick:
		line := v.top + m.Y - v.geo.top
		if m.Y < v.geo.top || m.Y >= v.geo.top+v.geo.bodyH() || line >= v.lines.total() {
			return false
		}
		v.moveTo(v.lines.at(line))
		if m.Kind == term.DoubleClick {
			v.open()
		}
	case term.WheelUp:
		v.wheel(-wheelLines)
	case term.WheelDown:
		v.wheel(wheelLines)
	default:
		return false
	}
	v.host.Redraw()
	return true
}

// wheel scrolls; the cursor stays in sight.
func (v *View) wheel(lines int) {
	body := v.geo.bodyH()
	if body == 0 {
		return
	}
	v.top = max(min(v.top+lines, v.lines.total()-body), 0)
	first, last := v.lines.at(v.top), v.lines.at(v.top+body-1)
	if v.lines.start(first) < v.top && first < last {
		first++
	}
	if v.lines.start(last+1) > v.top+body && last > first {
		last--
	}
	v.cursor = min(max(v.cursor, first), last)
}
