package flow

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sipscope/correlate"
	"sipscope/render/ladder/laddertest"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term/termtest"
)

// TestLive follows a call that grows, builds at most five times a second, and not while paused.
func TestLive(t *testing.T) {
	t.Parallel()
	m := laddertest.TwoProxies()
	all := m.Call.Messages
	m.Call.Messages, m.Call.State = all[:6], correlate.StateCalling
	v, _, b := scene(t, m)
	now := time.Unix(100, 0)
	v.Tick(now)
	do(t, v, 120, 40, keymap.Bottom)
	rows := v.list.len()
	grow := func(n int) {
		b.calls[0].Messages = all[:n]
		b.calls[0].Rev += 10
	}
	grow(8)
	if v.Tick(now.Add(pollEvery / 2)); v.list.len() != rows {
		t.Error("built before its time")
	}
	if !v.Tick(now.Add(pollEvery)) || v.list.len() <= rows {
		t.Errorf("%d rows, before %d", v.list.len(), rows)
	}
	if v.cursor != v.list.len()-1 {
		t.Errorf("the cursor is at %d of %d: it did not follow", v.cursor, v.list.len())
	}
	do(t, v, 120, 40, keymap.Top, keymap.Down, keymap.Pause)
	grow(12)
	rows = v.list.len()
	if v.Tick(now.Add(time.Second)) || v.list.len() != rows || !strings.Contains(v.Status(), "paused") {
		t.Error("it went on while paused")
	}
	do(t, v, 120, 40, keymap.Pause)
	if !v.Tick(now.Add(2*time.Second)) || v.list.len() <= rows || v.cursor != 1 {
		t.Errorf("%d rows, before %d; cursor %d", v.list.len(), rows, v.cursor)
	}
	asked := b.asked
	if v.Tick(now.Add(3*time.Second)) || b.asked != asked {
		t.Error("it was built again though nothing changed")
	}
}

// TestEvicted keeps what was copied of a call that the board has dropped.
func TestEvicted(t *testing.T) {
	t.Parallel()
	v, h, b := scene(t, laddertest.TwoProxies())
	before := screen(t, v, 120, 40)
	b.calls = nil
	v.Tick(time.Unix(1, 0))
	do(t, v, 120, 40, keymap.FoldHops, keymap.FoldHops)
	if diff := cmp.Diff(before, screen(t, v, 120, 40)); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(v.Status(), "1 call no longer kept") {
		t.Errorf("status %q", v.Status())
	}
	none := newView(h, b, &testPane{}, []uint32{7, 8}, false)
	if got := screen(t, none, 80, 24); !strings.Contains(got, "the 2 calls are no longer kept") {
		t.Error(got)
	}
	for _, a := range []keymap.Action{keymap.Down, keymap.Open, keymap.Select, keymap.Copy, keymap.CopyAll, keymap.Mark, keymap.NextDiag, keymap.OnlySDP} {
		do(t, none, 80, 24, a)
	}
	empty := newView(h, b, &testPane{}, nil, false)
	if got := screen(t, empty, 80, 24); !strings.Contains(got, "no call is selected") {
		t.Error(got)
	}
}

// TestLarge builds a large ladder beside, shows that it is being read, and keeps the old picture meanwhile.
func TestLarge(t *testing.T) {
	t.Parallel()
	b := boardOf(long(2000))
	h := b.host()
	h.Async = true
	v := newView(h, b, &testPane{}, []uint32{1}, false)
	if got := screen(t, v, 80, 24); !strings.Contains(got, "reading 1 call") || len(h.Queue) != 1 {
		t.Errorf("%d jobs\n%s", len(h.Queue), got)
	}
	screen(t, v, 80, 24)
	if len(h.Queue) != 1 {
		t.Errorf("%d jobs for one picture", len(h.Queue))
	}
	h.RunQueue()
	if !v.Tick(time.Unix(1, 0)) || v.Tick(time.Unix(1, 1)) {
		t.Error("a new picture must be drawn once")
	}
	do(t, v, 80, 24, keymap.Down, keymap.Down)
	key := v.place(v.cursor).key
	before := v.pic
	do(t, v, 80, 24, keymap.Unfold)
	if v.pic != before || !strings.Contains(v.Status(), "drawing anew") {
		t.Error("the old picture did not stay")
	}
	do(t, v, 80, 24, keymap.FoldHops) // while it is being built
	h.RunQueue()
	screen(t, v, 80, 24)
	h.RunQueue()
	if v.pic == before || !v.pic.spec.unfold || !v.pic.spec.foldHops || v.pic.rowAt(key) != v.list.rows[v.cursor] {
		t.Errorf("picture %+v, cursor %d", v.pic.spec, v.cursor)
	}
}

// TestExtended adds the calls of the group, and takes them away again.
func TestExtended(t *testing.T) {
	t.Parallel()
	legs := laddertest.TwoLegs()
	b := boardOf(append(legs, laddertest.Fork())...)
	b.calls[0].Group, b.calls[1].Group, b.calls[2].Group = 1, 1, 0
	v := newView(b.host(), b, &testPane{}, []uint32{2}, false)
	do(t, v, 120, 40, keymap.Extended)
	if diff := cmp.Diff([]uint32{1, 2}, v.pictured()); diff != "" {
		t.Error(diff)
	}
	if got := v.Title(); !strings.Contains(got, "2 calls · #1 #2") {
		t.Errorf("title %q", got)
	}
	do(t, v, 120, 40, keymap.Extended)
	if diff := cmp.Diff([]uint32{2}, v.pictured()); diff != "" {
		t.Error(diff)
	}
}

// TestExtendedGrows finds a leg that joins later, though the call that was asked for does not change.
func TestExtendedGrows(t *testing.T) {
	t.Parallel()
	b := boardOf(laddertest.TwoLegs()...)
	late := b.calls[1]
	b.calls = b.calls[:1]
	v := newView(b.host(), b, &testPane{}, []uint32{1}, true)
	screen(t, v, 120, 40)
	v.Tick(time.Unix(1, 0))
	if diff := cmp.Diff([]uint32{1}, v.pictured()); diff != "" {
		t.Error(diff)
	}
	late.Group, late.Rev = 1, 50
	b.calls = append(b.calls, late)
	v.Tick(time.Unix(2, 0))
	if diff := cmp.Diff([]uint32{1, 2}, v.pictured()); diff != "" {
		t.Error(diff)
	}
	asked := b.asked
	v.Tick(time.Unix(3, 0))
	if b.asked != asked {
		t.Error("built anew though nothing changed")
	}
}

// forgetful drops the work that waits, as the application does when the view on top is closed.
type forgetful struct {
	*termtest.Host
	drop bool
}

func (h *forgetful) Go(work func(ctx context.Context) func()) {
	if !h.drop {
		h.Host.Go(work)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	work(ctx)
}

// TestLost begins work again that was forgotten.
func TestLost(t *testing.T) {
	t.Parallel()
	b := boardOf(long(2000))
	h := &forgetful{Host: b.host(), drop: true}
	v := newView(h, b, &testPane{}, []uint32{1}, false)
	settle := func(ready func() bool) {
		t.Helper()
		for i := 0; !ready(); i++ {
			if i == 1000 {
				t.Fatal("the work was not begun again")
			}
			time.Sleep(time.Millisecond) // the context's end is told on another goroutine
			v.Tick(time.Unix(int64(i), 0))
		}
	}
	screen(t, v, 80, 24)
	if v.pic != nil {
		t.Fatal("the picture was not forgotten")
	}
	h.drop = false
	settle(func() bool { return v.pic != nil })
	screen(t, v, 80, 24)
	h.drop = true
	v.Search("number 1999.", false, false)
	h.drop = false
	settle(func() bool { return v.cursor > 1900 })
}
