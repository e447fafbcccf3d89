package flow

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"sipscope/render/ladder"
	"sipscope/render/text"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
)

// Do performs an action of the ladder's scope.
func (v *View) Do(a keymap.Action) bool {
	v.ensure()
	return v.move(a) || v.choose(a) || v.jump(a) || v.act(a)
}

// move moves the cursor and scrolls.
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
		v.moveTo(v.list.len() - 1)
	case keymap.Left:
		v.left = max(v.geo.left-1, 0)
	case keymap.Right:
		v.left = min(v.geo.left+1, v.geo.maxLeft())
	default:
		return false
	}
	return true
}

// moveTo puts the cursor on a position, or on the nearest one that exists.
func (v *View) moveTo(pos int) {
	if v.list.len() == 0 {
		return
	}
	v.cursor = min(max(pos, 0), v.list.len()-1)
	v.reveal()
	v.revealColumns()
}

// moveLines moves the cursor and what is in sight by so many lines, by a row at least.
func (v *View) moveLines(n int) {
	if v.list.len() == 0 {
		return
	}
	pos := v.index.at(max(v.index.start(v.cursor)+n, 0))
	if pos == v.cursor {
		pos += map[bool]int{true: 1, false: -1}[n > 0]
	}
	v.top += n
	v.moveTo(pos)
}

// choose changes a setting: the next Draw shows it.
func (v *View) choose(a keymap.Action) bool {
	s := v.host.Settings()
	switch a {
	case keymap.SDP:
		s.SDP = !s.SDP
	case keymap.ByIP:
		s.ByIP = !s.ByIP
	case keymap.FoldHops:
		s.FoldHops = !s.FoldHops
	case keymap.Unfold:
		s.Unfold = !s.Unfold
	case keymap.Aliases:
		s.Names = !s.Names
	case keymap.Syntax:
		s.Syntax = !s.Syntax
	case keymap.Parsed:
		s.Parsed = !s.Parsed
	case keymap.Pane:
		s.Pane = !s.Pane
	case keymap.Times:
		s.Times = after(s.Times, "delta", "absolute", "relative")
	case keymap.Color:
		s.ColorBy = after(s.ColorBy, "kind", "call", "transaction", "dialog")
	case keymap.PaneReset:
		s.Pane, s.PaneWidth = true, term.DefaultSettings().PaneWidth
	case keymap.PaneWider, keymap.PaneNarrower:
		by := 5
		if a == keymap.PaneNarrower {
			by = -by
		}
		s.Pane = true
		s.PaneWidth = min(max(s.PaneWidth+by, minPane), maxPane)
	default:
		return v.leaveOut(a)
	}
	v.ensure()
	return true
}

// after gives what follows a value in a round; the first when it is not among them.
func after(now string, round ...string) string {
	return round[(slices.Index(round, now)+1)%len(round)]
}

// leaveOut changes which rows are shown.
func (v *View) leaveOut(a keymap.Action) bool {
	switch a {
	case keymap.OnlySDP:
		v.filter.onlySDP = !v.filter.onlySDP
	case keymap.Media:
		if v.pic != nil && !v.pic.media {
			v.host.Say("no media rows: no stream of these calls is known")
			return true
		}
		v.filter.noMedia = !v.filter.noMedia
	case keymap.Extended:
		v.extended = !v.extended
		v.ensure()
		return true
	default:
		return false
	}
	if v.pic != nil {
		v.keep(func() {})
	}
	return true
}

// jump goes to a row that has to do with the one under the cursor.
func (v *View) jump(a keymap.Action) bool {
	switch a {
	case keymap.NextPeer, keymap.PrevPeer, keymap.ToRequest, keymap.NextRepeat, keymap.NextDiag, keymap.PrevDiag,
		keymap.Mark:
	default:
		return false
	}
	if v.pic == nil || v.list.len() == 0 {
		return true
	}
	switch a { //nolint:exhaustive // those above
	case keymap.NextPeer:
		v.peer(v.pic.next, "this is the last message of its transaction")
	case keymap.PrevPeer:
		v.peer(v.pic.prev, "this is the first message of its transaction")
	case keymap.ToRequest:
		v.toRequest()
	case keymap.NextRepeat:
		v.nextRepeat()
	case keymap.NextDiag:
		v.diag(1)
	case keymap.PrevDiag:
		v.diag(-1)
	case keymap.Mark:
		v.mark, v.marked = v.place(v.cursor), true
	}
	return true
}

// peer goes along the messages of a transaction, past those that are not shown.
func (v *View) peer(links []int32, none string) {
	for i := links[v.list.rows[v.cursor]]; i >= 0; i = links[i] {
		if pos := v.list.pos(i); v.list.rows[pos] == i {
			v.moveTo(pos)
			return
		}
	}
	v.host.Say(none)
}

// toRequest goes from a response to its request, from an ACK or a CANCEL to the INVITE that it belongs to.
func (v *View) toRequest() {
	r := v.row(v.cursor)
	if r.Kind != ladder.Arrow || len(r.Messages) == 0 {
		v.host.Say("there is no message in this row")
		return
	}
	target := v.request(r)
	if target < 0 {
		if r.Response {
			v.host.Say("its request was not captured")
		} else {
			v.host.Say("this is a request")
		}
		return
	}
	i := v.pic.rowAt(messageKey{num: v.pic.calls[r.Call].Num, message: target})
	if i < 0 || v.list.rows[v.list.pos(i)] != i {
		v.host.Say("its request is not shown")
		return
	}
	v.moveTo(v.list.pos(i))
}

// request is the message that a row's message answers, acknowledges or cancels; -1 for none.
func (v *View) request(r *ladder.Row) int {
	txns := v.pic.calls[r.Call].Transactions
	own := -1
	if r.Txn >= 0 && r.Txn < len(txns) {
		own = txns[r.Txn].Request
		if c := txns[r.Txn].Cancel; !r.Response && r.Method == "CANCEL" && c >= 0 && c < len(txns) {
			return txns[c].Request
		}
	}
	if !r.Response && r.Method == "ACK" {
		for i := range txns {
			if txns[i].Ack == r.Messages[0] {
				return txns[i].Request
			}
		}
	}
	if own == r.Messages[0] {
		return -1
	}
	return own
}

// nextRepeat goes to the next row that was sent more than once, round at the end.
func (v *View) nextRepeat() {
	n := v.list.len()
	for k := 1; k <= n; k++ {
		pos := (v.cursor + k) % n
		if r := v.row(pos); r.Count > 1 || r.Retransmission {
			if pos <= v.cursor {
				v.host.Say("from the first row again")
			}
			v.moveTo(pos)
			return
		}
	}
	v.host.Say("nothing was retransmitted")
}

// act does what goes beyond the ladder.
func (v *View) act(a keymap.Action) bool {
	switch a {
	case keymap.Open, keymap.Raw:
		if a == keymap.Open && v.pic != nil && v.list.len() > 0 && v.row(v.cursor).Kind.OfMedia() {
			if r := v.row(v.cursor); r.Kind == ladder.Lane {
				v.host.Say(r.Beside.Name + " is counted, not measured: " + strings.Join(r.Figures, ", "))
				return true
			}
			v.host.ShowMedia([]uint32{v.pic.calls[v.row(v.cursor).Call].Num})
			return true
		}
		v.open()
	case keymap.ShowMedia:
		v.host.ShowMedia(v.pictured())
	case keymap.Select:
		v.pick()
	case keymap.SelectNone:
		v.selected = nil
	case keymap.Pause:
		v.paused = !v.paused
	case keymap.Diff:
		v.diff()
	case keymap.Copy:
		v.copyMessage()
	case keymap.CopyAll:
		v.copyLadder()
	default:
		return false
	}
	return true
}

// under is the message under the cursor; it says so when there is none.
func (v *View) under() (messageKey, term.MessageRef, bool) {
	k, ok := v.messageAt(v.cursor)
	if !ok {
		v.host.Say("there is no message here")
		return k, term.MessageRef{}, false
	}
	ref, ok := v.ref(k)
	return k, ref, ok
}

func (v *View) open() {
	if _, ref, ok := v.under(); ok {
		v.host.ShowMessages(ref.Call, ref.Message)
	}
}

// pick selects a message, or compares the one under the cursor with the selected one.
func (v *View) pick() {
	k, ref, ok := v.under()
	switch {
	case !ok:
	case v.selected == nil:
		v.selected = &selection{key: k, ref: ref}
	case v.selected.key == k:
		v.selected = nil
	default:
		v.host.ShowCompare(term.Comparison{A: v.selected.ref, B: ref})
	}
}

// diff compares the two calls of the ladder, or the hops of the only one.
func (v *View) diff() {
	switch nums := v.pictured(); len(nums) {
	case 0:
		v.host.Say("there is no call to compare")
	case 1:
		v.host.ShowHops(nums[0])
	case 2:
		v.host.ShowPair(nums[0], nums[1])
	default:
		v.host.Say("two calls are compared, here are " + strconv.Itoa(len(nums)) + ": select two of them in the call list")
	}
}

func (v *View) copyMessage() {
	k, _, ok := v.under()
	if !ok {
		return
	}
	raw := v.text(k)
	if raw == nil {
		v.host.Fail(errors.New("the text of this message cannot be read again"))
		return
	}
	v.host.Copy(string(raw), "message")
}

// maxCopy bounds what goes to the clipboard: terminals refuse much more.
const maxCopy = 1<<20 - 64

// errFull ends a drawing that is longer than the clipboard takes.
var errFull = errors.New("the clipboard is full")

// limited keeps what is written up to a limit.
type limited struct {
	strings.Builder
	left int
}

// Write fails with errFull at the limit, at the end of a line.
func (l *limited) Write(p []byte) (int, error) {
	if len(p) <= l.left {
		l.left -= len(p)
		return l.Builder.Write(p)
	}
	end := strings.LastIndexByte(string(p[:l.left]), '\n') + 1
	l.Builder.Write(p[:end])
	l.left = 0
	return end, errFull
}

// copyLadder copies the picture as text, as wide as it needs.
func (v *View) copyLadder() {
	if v.pic == nil || len(v.pic.calls) == 0 {
		v.host.Say("there is no ladder yet")
		return
	}
	s := v.host.Settings()
	opts := text.Options{ASCII: s.ASCII, HeaderEvery: -1}
	switch s.Times {
	case "absolute":
		opts.Times = text.TimesAbsolute
	case "relative":
		opts.Times = text.TimesRelative
	}
	p := v.pic
	v.host.Go(func(context.Context) func() {
		out := limited{left: maxCopy}
		err := text.Ladder(&out, &p.lad, opts)
		return func() {
			if err != nil {
				v.host.Copy(out.String()+"... the rest was not copied\n", "beginning of the ladder")
				return
			}
			v.host.Copy(out.String(), "ladder")
		}
	})
}
