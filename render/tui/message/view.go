package message

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"sipscope/correlate"
	"sipscope/render/text"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
)

// View is one message of a call on the whole screen, with the way to the others.
type View struct {
	h        term.Host
	call     *correlate.Call
	at       int
	pane     *Pane
	selected int // message chosen for a comparison, -1 for none
	seeker
}

// NewView shows a message of a call, by index.
func NewView(h term.Host, call *correlate.Call, message int) *View {
	v := &View{h: h, call: call, pane: NewPane(h.Settings()), selected: -1}
	v.show(message)
	return v
}

var _ term.View = (*View)(nil)

// show goes to a message, or to the nearest one that exists.
func (v *View) show(i int) {
	if len(v.call.Messages) == 0 {
		v.pane.Show(nil, "")
		return
	}
	v.at = max(0, min(i, len(v.call.Messages)-1))
	v.pane.Show(textOfRef(v.h.Data(), v.call, v.at), "")
}

// next goes to the next message, or to the previous one. A call that goes on is looked at again when its last known
// message was reached.
func (v *View) next(step int) {
	v.halt()
	at := v.at + step
	if at >= len(v.call.Messages) {
		v.refresh()
	}
	switch {
	case at < 0:
		v.h.Say("this is the first message of the call")
	case at >= len(v.call.Messages):
		v.h.Say("this is the last message of the call")
	default:
		v.show(at)
	}
	v.moved = true
}

// refresh looks whether the call has more messages by now. A call only ever gets messages at its end.
func (v *View) refresh() {
	b := v.h.Data().Board
	if b == nil {
		return
	}
	now, ok := b.Call(v.call.Num)
	if ok && now.CallID == v.call.CallID && len(now.Messages) > len(v.call.Messages) {
		v.call = &now
	}
}

// Scope implements term.View.
func (v *View) Scope() keymap.Scope { return keymap.Message }

func (v *View) ascii() bool { return v.h.Settings().ASCII }

// Title implements term.View.
func (v *View) Title() string {
	sep := jointsOf(v.ascii()).sep
	if len(v.call.Messages) == 0 {
		return fmt.Sprintf("call %d%sno messages%s%s", v.call.Num, sep, sep, v.call.CallID)
	}
	return fmt.Sprintf("call %d%smessage %d of %d%s%s", v.call.Num, sep, v.at+1, len(v.call.Messages), sep, v.call.CallID)
}

// Status implements term.View.
func (v *View) Status() string {
	var parts []string
	if v.selected >= 0 {
		parts = append(parts, fmt.Sprintf("message %d selected: Space on another one compares", v.selected+1))
	}
	if v.seeking() {
		parts = append(parts, "searching the other messages")
	}
	if n := len(v.pane.order); n > 0 {
		parts = append(parts, plural(n, "departure")+" from the grammar (e)")
	}
	if n := len(v.pane.raw); n > 0 {
		parts = append(parts, plural(n, "byte"))
	}
	if v.h.Settings().Parsed && v.pane.msg == nil && !v.pane.gone {
		parts = append(parts, "no SIP: shown as it is")
	}
	return strings.Join(parts, jointsOf(v.ascii()).sep)
}

// headShare is which part of the height the head may take.
const headShare = 6

// Draw implements term.View: what message this is, in as many lines as that needs and there is room for, then its text.
func (v *View) Draw(c *term.Canvas) {
	w, h := c.Size()
	if len(v.call.Messages) == 0 {
		c.PutMax(0, 0, w, "a call without messages", term.Warning)
		return
	}
	sep := c.Glyphs().Sep
	parts := append([]string{fmt.Sprintf("message %d of %d", v.at+1, len(v.call.Messages))}, heads(v.call, v.at, c.ASCII())...)
	if v.at == v.selected {
		parts[0] = c.Glyphs().Check + " " + parts[0]
	}
	y := 0
	for len(parts) > 0 {
		n := len(parts)
		if y+1 < h/headShare {
			n = whole(parts, sep, w)
		}
		c.PutMax(0, y, w, strings.Join(parts[:n], sep), term.Head)
		parts = parts[n:]
		y++
	}
	v.pane.Draw(c.Sub(0, y, w, h-y))
}

// whole gives how many parts fit into w cells, at least one.
func whole(parts []string, sep string, w int) int {
	cells := text.Width(parts[0])
	for i := 1; i < len(parts); i++ {
		if cells += text.Width(sep) + text.Width(parts[i]); cells > w {
			return i
		}
	}
	return len(parts)
}

// Tick implements term.View.
func (v *View) Tick(time.Time) bool { return false }

// Do implements term.View.
func (v *View) Do(a keymap.Action) bool {
	s := v.h.Settings()
	switch a {
	case keymap.NextMessage:
		v.next(1)
	case keymap.PrevMessage:
		v.next(-1)
	case keymap.Parsed:
		s.Parsed = !s.Parsed
	case keymap.Wrap:
		s.Wrap = !s.Wrap
	case keymap.Syntax:
		s.Syntax = !s.Syntax
	case keymap.NextDiag, keymap.PrevDiag:
		v.nextDiag(a == keymap.PrevDiag)
	case keymap.Select:
		v.choose()
	case keymap.Copy:
		v.copy()
	case keymap.CopyAll:
		v.copyAll()
	default:
		return v.move(a)
	}
	v.h.Redraw()
	return true
}

// sideways is how many cells Left and Right scroll.
const sideways = 8

// move scrolls.
func (v *View) move(a keymap.Action) bool {
	p := v.pane
	switch a {
	case keymap.Left:
		p.Sideways(-sideways)
	case keymap.Right:
		p.Sideways(sideways)
	default:
		rows, ok := scrollBy(a, p.height, len(p.rows))
		if !ok {
			return false
		}
		p.Scroll(rows)
	}
	v.moved = true
	v.h.Redraw()
	return true
}

// scrollBy says by how many rows an action scrolls.
func scrollBy(a keymap.Action, height, rows int) (by int, ok bool) {
	page := max(height-1, 1) // a row stays in sight
	switch a {
	case keymap.Up:
		return -1, true
	case keymap.Down:
		return 1, true
	case keymap.PageUp:
		return -page, true
	case keymap.PageDown:
		return page, true
	case keymap.HalfUp:
		return -max(page/2, 1), true
	case keymap.HalfDown:
		return max(page/2, 1), true
	case keymap.Top:
		return -rows, true
	case keymap.Bottom:
		return rows, true
	default:
		return 0, false
	}
}

// wheelRows is how many rows a turn of the wheel scrolls.
const wheelRows = 3

// Mouse implements term.View.
func (v *View) Mouse(m term.Mouse) bool {
	switch m.Kind {
	case term.WheelUp:
		v.pane.Scroll(-wheelRows)
	case term.WheelDown:
		v.pane.Scroll(wheelRows)
	default:
		return false
	}
	v.moved = true
	v.h.Redraw()
	return true
}

// choose selects the message, or compares it with the one selected before.
func (v *View) choose() {
	switch v.selected {
	case -1:
		v.selected = v.at
	case v.at:
		v.selected = -1
	default:
		first := v.selected
		v.selected = -1
		v.h.ShowCompare(term.Comparison{
			A: term.MessageRef{Call: v.call, Message: first}, B: term.MessageRef{Call: v.call, Message: v.at},
		})
	}
}

func (v *View) copy() {
	if v.pane.gone {
		v.h.Say("the text of this message is no longer there")
		return
	}
	v.h.Copy(v.pane.Text(), "the message")
}

// maxCopy bounds what is gathered for the clipboard; Host.Copy says when something is too much.
const maxCopy = 2 << 20

// copyAll copies the messages of the call, each under its head. Reading them goes to another goroutine.
func (v *View) copyAll() {
	data, call, ascii := v.h.Data(), v.call, v.ascii()
	v.h.Go(func(ctx context.Context) func() {
		var b strings.Builder
		for i := range call.Messages {
			if ctx.Err() != nil {
				return nil
			}
			if b.Len() > maxCopy {
				break
			}
			raw := textOfRef(data, call, i)
			if raw == nil {
				raw = []byte("(the text of this message is no longer there)")
			}
			fmt.Fprintf(&b, "-- %s\n%s\n\n", Head(call, i, ascii), bytes.TrimRight(raw, "\r\n"))
		}
		return func() { v.h.Copy(b.String(), plural(len(call.Messages), "message")) }
	})
}

// Saving implements term.View.
func (v *View) Saving() term.Selection {
	if len(v.call.Messages) == 0 {
		return term.Selection{}
	}
	num, at := v.call.Num, v.at
	calls := func() []uint32 { return []uint32{num} }
	return term.Selection{Choices: []term.Choice{
		{Label: fmt.Sprintf("message %d", at+1), Calls: calls, Count: 1, Messages: map[uint32][]int{num: {at}}},
		{Label: fmt.Sprintf("call %d", num), Calls: calls, Count: 1},
	}}
}
