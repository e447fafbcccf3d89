package tui

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"
	"go.uber.org/goleak"

	"sipscope/capture"
	"sipscope/render/save"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
	"sipscope/render/tui/term/termtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stub is a view that notes what it is told.
type stub struct {
	scope    keymap.Scope
	actions  []keymap.Action
	searches []string
	mice     []term.Mouse
	saving   term.Selection
	onDo     func(a keymap.Action) bool
	text     string
}

func (s *stub) Scope() keymap.Scope { return s.scope }
func (s *stub) Title() string       { return "stub title" }
func (s *stub) Status() string      { return "stub status" }
func (s *stub) Draw(c *term.Canvas) { c.Put(0, 0, s.text, term.Normal) }
func (s *stub) Tick(time.Time) bool { return false }
func (s *stub) Saving() term.Selection {
	return s.saving
}

func (s *stub) Do(a keymap.Action) bool {
	s.actions = append(s.actions, a)
	return s.onDo != nil && s.onDo(a)
}

func (s *stub) Mouse(m term.Mouse) bool {
	s.mice = append(s.mice, m)
	return true
}

func (s *stub) Search(text string, next, backwards bool) {
	s.searches = append(s.searches, fmt.Sprint(text, " ", next, " ", backwards))
}

// testApp is an app without its loop: the test gives the events.
type testApp struct {
	*app
	t      *testing.T
	screen tcell.SimulationScreen
	stub   *stub
}

// newTestApp shows a stub over a capture of the project.
func newTestApp(t *testing.T, w, h int) *testApp {
	t.Helper()
	path := "../../testdata/pcaps/two-proxies.pcap"
	data := termtest.Load(t, path)
	files, err := capture.Open([]string{path}, capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var b capture.Batch
	for files.Next(t.Context(), &b) == nil {
	}
	ctx, cancel := context.WithCancel(t.Context())
	s := termtest.NewScreen(t, w, h)
	a := newApp(ctx, s, termtest.Theme(), Options{
		Data: data, Settings: term.DefaultSettings(), Save: save.FromFiles(files),
		Env: func(string) string { return "" },
	})
	st := &stub{scope: keymap.List, text: "the view"}
	a.Open(st)
	t.Cleanup(func() {
		cancel()
		a.jobs.Wait()
		_ = files.Close()
	})
	return &testApp{a, t, s, st}
}

// press gives keys by name; a text of several characters that is no key is typed.
func (a *testApp) press(keys ...string) {
	a.t.Helper()
	for _, k := range keys {
		if ev := keyEvent(k); ev != nil {
			a.event(ev)
			continue
		}
		for _, r := range k {
			a.event(tcell.NewEventKey(tcell.KeyRune, r, tcell.ModNone))
		}
	}
	a.settle()
}

func keyEvent(name string) *tcell.EventKey {
	names := map[string]tcell.Key{
		"Enter": tcell.KeyEnter, "Esc": tcell.KeyEsc, "Tab": tcell.KeyTab, "Up": tcell.KeyUp, "Down": tcell.KeyDown,
		"Left": tcell.KeyLeft, "Right": tcell.KeyRight, "PgUp": tcell.KeyPgUp, "PgDn": tcell.KeyPgDn, "Home": tcell.KeyHome,
		"End": tcell.KeyEnd, "Backspace": tcell.KeyBackspace2, "Ctrl-C": tcell.KeyCtrlC, "Ctrl-U": tcell.KeyCtrlU,
		"F1": tcell.KeyF1, "F2": tcell.KeyF2, "F8": tcell.KeyF8,
	}
	if k, ok := names[name]; ok {
		return tcell.NewEventKey(k, 0, tcell.ModNone)
	}
	if name == "Space" {
		return tcell.NewEventKey(tcell.KeyRune, ' ', tcell.ModNone)
	}
	return nil
}

// settle waits for the work under way and takes its results.
func (a *testApp) settle() {
	for a.working > 0 {
		if r := <-a.results; r.panicked != nil {
			a.t.Fatal(r.panicked)
		} else if r.done != nil {
			r.done()
		}
		a.top().Tick(time.Now())
	}
}

// dump draws and gives the screen.
func (a *testApp) dump() string {
	a.draw()
	return termtest.Dump(a.screen)
}

// allCalls offers the calls of the board to save.
func (a *testApp) allCalls() term.Selection {
	var nums []uint32
	for s := range a.data.Board.Calls() {
		nums = append(nums, s.Num)
	}
	return term.Selection{Choices: []term.Choice{
		{Label: "nothing", Calls: func() []uint32 { return nil }},
		{Label: "the first message", Calls: func() []uint32 { return nums[:1] }, Count: 1, Messages: map[uint32][]int{nums[0]: {0}}},
		{Label: "all calls", Calls: func() []uint32 { return slices.Clone(nums) }, Count: len(nums)},
	}}
}
