package flow

import (
	"sort"
	"strconv"

	"sipscope/render/ladder"
	"sipscope/render/tui/term"
)

// filter says which rows are left out.
type filter struct {
	onlySDP bool // all but arrows with a session description, and states
	noMedia bool // media rows
}

func (f *filter) keeps(r *ladder.Row) bool {
	switch {
	case r.Kind == ladder.State:
		return true
	case f.onlySDP:
		return r.Kind == ladder.Arrow && r.SDP != ""
	case f.noMedia:
		return !r.Kind.OfMedia()
	default:
		return true
	}
}

// list is what is shown of a picture.
type list struct {
	rows  []int32 // indices into the ladder's rows, ascending
	delta []int64 // nanoseconds since the row before that has a time
}

func (l *list) len() int { return len(l.rows) }

// pos is the position of the first row from i on, the last one when there is none, -1 in an empty list.
func (l *list) pos(i int32) int {
	at := sort.Search(len(l.rows), func(k int) bool { return l.rows[k] >= i })
	return min(at, len(l.rows)-1)
}

func newList(p *picture, f *filter) list {
	l := list{rows: make([]int32, 0, len(p.lad.Rows)), delta: make([]int64, 0, len(p.lad.Rows))}
	prev, timed := int64(0), false
	for i := range p.lad.Rows {
		r := &p.lad.Rows[i]
		if !f.keeps(r) {
			continue
		}
		if !timed {
			prev, timed = r.Time, true
		}
		l.rows = append(l.rows, int32(i))
		l.delta = append(l.delta, r.Time-prev)
		if r.Kind != ladder.Note && !r.Kind.OfMedia() {
			prev = r.Time
		}
	}
	return l
}

// messageKey names a message whatever picture it is in.
type messageKey struct {
	num     uint32
	message int
}

// place names a row whatever picture it is in: by its message, else by what else is known of it.
type place struct {
	key  messageKey // message -1 for a row without
	kind ladder.Kind
	time int64
}

// place names the row at a position.
func (v *View) place(pos int) place {
	r := v.row(pos)
	p := place{kind: r.Kind, time: r.Time, key: messageKey{num: v.pic.calls[r.Call].Num, message: -1}}
	if r.Kind == ladder.Arrow && len(r.Messages) > 0 {
		p.key.message = r.Messages[0]
	}
	return p
}

// find gives the position of a place, or of what is nearest.
func (v *View) find(p place) int {
	if i := v.pic.rowAt(p.key); i >= 0 {
		return v.list.pos(i)
	}
	near := sort.Search(v.list.len(), func(k int) bool { return v.row(k).Time >= p.time })
	if p.kind == ladder.State {
		near = 0 // state rows come last and have the times of their calls
	}
	for k := near; k < v.list.len(); k++ {
		r := v.row(k)
		if r.Kind == p.kind && v.pic.calls[r.Call].Num == p.key.num && (r.Time == p.time || p.kind == ladder.State) {
			return k
		}
		if r.Time > p.time && p.kind != ladder.State {
			break
		}
	}
	return max(min(near, v.list.len()-1), 0)
}

// rowAt gives the row that shows a message, -1 for none.
func (p *picture) rowAt(k messageKey) int32 {
	ci, ok := p.byNum[k.num]
	if !ok || k.message < 0 || k.message >= len(p.rowOf[ci]) {
		return -1
	}
	return p.rowOf[ci][k.message]
}

// install shows a new picture, with the cursor where it was.
func (v *View) install(p *picture) {
	v.changed = true
	if v.pic == nil || v.list.len() == 0 {
		v.pic = p
		v.relist()
		v.cursor, v.top = 0, 0
		v.resetMark()
		return
	}
	v.keep(func() { v.pic = p })
}

// keep changes what is shown, and keeps the cursor on its message and that at its height.
func (v *View) keep(change func()) {
	if v.pic == nil || v.list.len() == 0 {
		change()
		v.relist()
		v.resetMark()
		return
	}
	at := v.place(v.cursor)
	last := v.cursor == v.list.len()-1 && v.cursor > 0
	height := v.index.start(v.cursor) - v.top
	pic := v.pic
	change()
	v.relist()
	if v.list.len() == 0 {
		v.cursor, v.top = 0, 0
		return
	}
	v.cursor = v.find(at)
	if last && pic != v.pic {
		v.cursor = v.list.len() - 1 // what is new comes into sight
	}
	v.reindex()
	v.top = v.index.start(v.cursor) - height
	v.resetMark()
}

// relist makes the list anew after the picture or the filter changed.
func (v *View) relist() {
	v.list = newList(v.pic, &v.filter)
	v.index = lineIndex{}
	if v.search != nil {
		v.search = v.search.again(v.pic)
		v.resume(v.search)
	}
	v.diags = nil
	v.searchAt = -1
}

// resetMark puts the mark on the first row until the user sets it.
func (v *View) resetMark() {
	if !v.marked && v.list.len() > 0 {
		v.mark = v.place(0)
	}
}

// messageAt is the message that a position stands for: its own, else that of the next arrow, else of the one before.
func (v *View) messageAt(pos int) (messageKey, bool) {
	const near = 64
	if v.pic == nil || pos < 0 || pos >= v.list.len() {
		return messageKey{}, false
	}
	step := 1
	if v.row(pos).Kind == ladder.State {
		step = -1
	}
	for range 2 {
		for k := pos; k >= 0 && k < v.list.len() && k-pos < near && pos-k < near; k += step {
			if p := v.place(k); p.key.message >= 0 {
				return p.key, true
			}
		}
		step = -step
	}
	return messageKey{}, false
}

// ref gives a message with its call.
func (v *View) ref(k messageKey) (term.MessageRef, bool) {
	ci, ok := v.pic.byNum[k.num]
	if !ok || k.message < 0 || k.message >= len(v.pic.calls[ci].Messages) {
		return term.MessageRef{}, false
	}
	return term.MessageRef{Call: &v.pic.calls[ci], Message: k.message}, true
}

// maxCached bounds the texts that are kept: moving back and forth must not read again.
const (
	maxCached     = 16
	maxCachedSize = 64 << 10
)

// textCache keeps the last texts that were looked at.
type textCache struct {
	keys [maxCached]messageKey
	raw  [maxCached][]byte
	at   int
}

// text reads a message again.
func (v *View) text(k messageKey) []byte {
	for i := range v.texts.keys {
		if v.texts.raw[i] != nil && v.texts.keys[i] == k {
			return v.texts.raw[i]
		}
	}
	ref, ok := v.ref(k)
	if !ok {
		return nil
	}
	raw := v.data.Text(ref.Call, ref.Message)
	if len(raw) <= maxCachedSize {
		v.texts.keys[v.texts.at], v.texts.raw[v.texts.at] = k, raw
		v.texts.at = (v.texts.at + 1) % maxCached
	}
	return raw
}

// syncPane shows the message under the cursor in the pane, unless it is there already.
func (v *View) syncPane() {
	k, ok := v.messageAt(v.cursor)
	if !ok || k == v.shown {
		return
	}
	v.shown = k
	ref, ok := v.ref(k)
	if !ok {
		return
	}
	m := &ref.Call.Messages[ref.Message]
	v.pane.Show(v.text(k), v.join(
		"frame "+strconv.FormatUint(m.Seq, 10), m.Src.String()+v.to()+m.Dst.String()+" "+m.Transport.String(),
		clock(m.Time, "15:04:05.000")))
	if v.search != nil {
		v.pane.Search(v.search.text, false, false)
	}
}
