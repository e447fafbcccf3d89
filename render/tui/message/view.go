package message

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"time"

	"sipscope/correlate"
	"sipscope/decode"
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
	needle   string
	seeking  bool // a search in the other messages is under way
}

// NewView shows a message of a call, by index.
func NewView(h term.Host, call *correlate.Call, message int) *View {
	v := &View{h: h, call: call, pane: NewPane(h.Settings()), selected: -1}
	v.show(message)
	return v
}

var _ term.View = (*View)(nil)

// show goes to a message.
func (v *View) show(i int) {
	if len(v.call.Messages) == 0 {
		v.pane.Show(nil, "a call without messages")
		return
	}
	v.at = max(0, min(i, len(v.call.Messages)-1))
	v.pane.Show(v.h.Data().Text(v.call, v.at), Head(v.call, v.at))
}

// Head is the line above a message: frame, way, transport, time, and what befell it.
func Head(call *correlate.Call, i int) string {
	m := &call.Messages[i]
	parts := []string{
		fmt.Sprintf("frame %d", m.Seq), fmt.Sprintf("%s → %s %s", m.Src, m.Dst, m.Transport),
		time.Unix(0, m.Time).UTC().Format("15:04:05.000000"),
	}
	if m.Copy > 1 {
		parts = append(parts, fmt.Sprintf("copy %d on its path", m.Copy))
	}
	if m.Repeats >= 0 && m.Repeats < len(call.Messages) {
		what := "sent again"
		if m.Flags&decode.TapDuplicate != 0 {
			what = "seen twice"
		}
		parts = append(parts, fmt.Sprintf("%s, first in frame %d", what, call.Messages[m.Repeats].Seq))
	}
	for _, f := range []struct {
		flag decode.Flags
		name string
	}{{decode.Reassembled, "out of several frames"}, {decode.Truncated, "not whole"}, {decode.AfterGap, "after a hole in the stream"}} {
		if m.Flags&f.flag != 0 {
			parts = append(parts, f.name)
		}
	}
	return strings.Join(parts, " · ")
}

// Scope implements term.View.
func (v *View) Scope() keymap.Scope { return keymap.Message }

// Title implements term.View.
func (v *View) Title() string {
	return fmt.Sprintf("call %d · message %d of %d · %s", v.call.Num, v.at+1, len(v.call.Messages), v.call.CallID)
}

// Status implements term.View.
func (v *View) Status() string {
	var parts []string
	if v.pane.msg != nil {
		if n := len(v.pane.msg.Diags); n == 1 {
			parts = append(parts, "1 departure from the grammar (e)")
		} else if n > 1 {
			parts = append(parts, fmt.Sprintf("%d departures from the grammar (e)", n))
		}
	}
	if v.selected >= 0 {
		parts = append(parts, fmt.Sprintf("message %d selected: Space on another one compares", v.selected+1))
	}
	if v.seeking {
		parts = append(parts, "searching the other messages")
	}
	if n := len(v.pane.raw); n > 0 {
		parts = append(parts, fmt.Sprintf("%d bytes", n))
	}
	return strings.Join(parts, " · ")
}

// Draw implements term.View.
func (v *View) Draw(c *term.Canvas) { v.pane.Draw(c) }

// Tick implements term.View.
func (v *View) Tick(time.Time) bool { return false }

// Do implements term.View.
func (v *View) Do(a keymap.Action) bool {
	s := v.h.Settings()
	switch a {
	case keymap.NextMessage:
		v.show(v.at + 1)
	case keymap.PrevMessage:
		v.show(v.at - 1)
	case keymap.Parsed:
		s.Parsed = !s.Parsed
	case keymap.Wrap:
		s.Wrap = !s.Wrap
	case keymap.Syntax:
		s.Syntax = !s.Syntax
	case keymap.NextDiag, keymap.PrevDiag:
		if !v.pane.NextDiag(a == keymap.PrevDiag) {
			v.h.Say("no further departure from the grammar in this message")
		}
	case keymap.Select:
		v.choose()
	case keymap.Copy:
		v.h.Copy(v.pane.Text(), "the message")
	case keymap.CopyAll:
		v.copyAll()
	default:
		return v.move(a)
	}
	v.h.Redraw()
	return true
}

// move scrolls.
func (v *View) move(a keymap.Action) bool {
	p := v.pane
	page := max(p.height-1, 1)
	switch a {
	case keymap.Up:
		p.Scroll(-1)
	case keymap.Down:
		p.Scroll(1)
	case keymap.PageUp:
		p.Scroll(-page)
	case keymap.PageDown:
		p.Scroll(page)
	case keymap.HalfUp:
		p.Scroll(-page / 2)
	case keymap.HalfDown:
		p.Scroll(page / 2)
	case keymap.Top:
		p.Scroll(-len(p.rows))
	case keymap.Bottom:
		p.Scroll(len(p.rows))
	case keymap.Left:
		p.Sideways(-8)
	case keymap.Right:
		p.Sideways(8)
	default:
		return false
	}
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
		v.h.ShowCompare(term.MessageRef{Call: v.call, Message: first}, term.MessageRef{Call: v.call, Message: v.at})
	}
}

// maxCopy bounds what is gathered for the clipboard.
const maxCopy = 1 << 20

// copyAll copies the messages of the call, each under its head. Reading them goes to another goroutine.
func (v *View) copyAll() {
	data, call := v.h.Data(), v.call
	v.h.Go(func(ctx context.Context) func() {
		var b strings.Builder
		for i := range call.Messages {
			if ctx.Err() != nil {
				return nil
			}
			if b.Len() > maxCopy {
				break // Copy says that it is too much
			}
			fmt.Fprintf(&b, "-- %s\n%s\n", Head(call, i), bytes.TrimRight(data.Text(call, i), "\r\n"))
		}
		return func() { v.h.Copy(b.String(), fmt.Sprintf("%d messages", len(call.Messages))) }
	})
}

// Mouse implements term.View.
func (v *View) Mouse(m term.Mouse) bool {
	switch m.Kind {
	case term.WheelUp:
		v.pane.Scroll(-3)
	case term.WheelDown:
		v.pane.Scroll(3)
	default:
		return false
	}
	v.h.Redraw()
	return true
}

// Search implements term.View: in this message first, then in those after it, round the end of the call.
func (v *View) Search(needle string, next, backwards bool) {
	v.needle = needle
	if v.pane.Search(needle, next, backwards) || needle == "" {
		v.h.Redraw()
		return
	}
	v.seeking = true
	data, call, from, step := v.h.Data(), v.call, v.at, 1
	if backwards {
		step = -1
	}
	low := []byte(term.Lower(needle))
	v.h.Go(func(ctx context.Context) func() {
		found, n := -1, len(call.Messages)
		for i := 1; i <= n && found < 0 && ctx.Err() == nil; i++ {
			at := ((from+i*step)%n + n) % n
			if bytes.Contains(bytes.ToLower(data.Text(call, at)), low) {
				found = at
			}
		}
		return func() { v.seekEnded(needle, found, backwards) }
	})
}

func (v *View) seekEnded(needle string, found int, backwards bool) {
	v.seeking = false
	if v.needle != needle {
		return // something else is searched for by now
	}
	if found < 0 {
		v.h.Say(fmt.Sprintf("%q is in no message of this call", text.Clean(needle)))
		return
	}
	v.show(found)
	v.pane.hit = -1
	v.pane.layout(max(v.pane.made.w, 1), v.pane.made.ascii)
	if backwards {
		v.pane.End()
	}
	v.pane.Search(needle, backwards, backwards)
	v.h.Redraw()
}

// Saving implements term.View.
func (v *View) Saving() term.Selection {
	num, at := v.call.Num, v.at
	calls := func() []uint32 { return []uint32{num} }
	return term.Selection{Choices: []term.Choice{
		{Label: fmt.Sprintf("message %d", at+1), Calls: calls, Count: 1, Messages: map[uint32][]int{num: {at}}},
		{Label: fmt.Sprintf("call %d", num), Calls: calls, Count: 1},
	}}
}
