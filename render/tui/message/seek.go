package message

import (
	"context"
	"sync/atomic"

	"sipscope/decode/sip"
	"sipscope/render/tui/term"
)

// seeker looks for something in the messages of a call beyond the one on the screen.
type seeker struct {
	needle string       // what is searched for, empty for nothing
	origin origin       // where the search began
	moved  bool         // the user went elsewhere since
	stop   *atomic.Bool // ends the look at the other messages that is under way; nil for none
}

// origin is a message and the byte of it that stood at the top.
type origin struct{ message, off int }

func (s *seeker) seeking() bool { return s.stop != nil }

// halt ends the look at other messages: what it finds is no longer asked for.
func (s *seeker) halt() {
	if s.stop != nil {
		s.stop.Store(true)
		s.stop = nil
	}
}

// Search implements term.View: in this message first, then in those after it, round the end of the call.
func (v *View) Search(needle string, next, backwards bool) {
	v.halt()
	fresh := v.needle == "" || v.moved
	over := next || needle == v.needle // Enter: what is typed from now on is another search
	v.needle = needle
	if needle == "" || len(v.call.Messages) == 0 {
		v.pane.Search("", false, false)
		v.h.Redraw()
		return
	}
	switch {
	case next:
	case fresh:
		v.origin = origin{v.at, v.pane.offset(v.pane.topPlace())}
		v.pane.begin()
	default:
		v.goBack()
	}
	v.moved = over
	if v.pane.Search(needle, next, backwards) {
		v.h.Redraw()
		return
	}
	parsed, ascii := v.h.Settings().Parsed, v.pane.ascii
	low := term.Lower(needle)
	v.seek(backwards, func(raw []byte) bool {
		var m sip.Message
		shown := &m
		if !parsed || sip.Parse(raw, &m) != nil {
			shown = nil
		}
		return find(layOut(raw, shown, ascii), low, place{}, false) != nowhere
	}, func(found int) {
		if found < 0 {
			v.h.Say(quoted(needle) + " is in no message of this call")
			return
		}
		v.sayRound(found, backwards)
		v.show(found)
		v.pane.restart(backwards)
		v.pane.Search(needle, false, backwards)
	})
}

// goBack shows the message where the search began, as it was.
func (v *View) goBack() {
	if v.at != v.origin.message {
		v.show(v.origin.message)
		v.pane.prepare()
		v.pane.origin = v.pane.placeOf(v.origin.off)
		v.pane.want = target{place: v.pane.origin, set: true, atTop: true}
	}
}

// sayRound says that the end of the call was passed.
func (v *View) sayRound(found int, backwards bool) {
	switch {
	case !backwards && found <= v.at:
		v.h.Say("from the first message again")
	case backwards && found >= v.at:
		v.h.Say("from the last message again")
	}
}

// seek looks at the other messages, and last at this one again, on another goroutine, and gives the first that matches,
// or -1.
func (v *View) seek(backwards bool, match func(raw []byte) bool, done func(found int)) {
	v.halt()
	stop := &atomic.Bool{}
	v.stop = stop
	data, call, at, step := v.h.Data(), v.call, v.at, 1
	if backwards {
		step = -1
	}
	v.h.Go(func(ctx context.Context) func() {
		n := len(call.Messages)
		found := -1
		for i := 1; i <= n && found < 0 && ctx.Err() == nil && !stop.Load(); i++ {
			k := ((at+i*step)%n + n) % n
			if raw := textOfRef(data, call, k); raw != nil && match(raw) {
				found = k
			}
		}
		return func() {
			if v.stop != stop {
				return // something else is asked for by now
			}
			v.stop = nil
			done(found)
			v.h.Redraw()
		}
	})
}

// nextDiag goes to the next departure from the grammar, here or in another message.
func (v *View) nextDiag(back bool) {
	v.moved = true
	if v.pane.NextDiag(back) || len(v.call.Messages) == 0 {
		return
	}
	var m sip.Message
	v.seek(back, func(raw []byte) bool {
		return sip.Parse(raw, &m) == nil && len(m.Diags) > 0
	}, func(found int) {
		if found < 0 {
			v.h.Say("no message of this call departs from the grammar")
			return
		}
		v.sayRound(found, back)
		v.show(found)
		v.pane.diag = -1
		v.pane.NextDiag(back)
	})
}
