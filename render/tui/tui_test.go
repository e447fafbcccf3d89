package tui

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/gdamore/tcell/v2"

	"sipscope/correlate"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
	"sipscope/render/tui/term/termtest"
)

// restored counts how often a screen was given back.
type restored struct {
	tcell.SimulationScreen
	finis int
	ready chan struct{} // closed when events are taken
}

func (r *restored) Init() error {
	defer close(r.ready)
	return r.SimulationScreen.Init()
}

func (r *restored) Fini() {
	r.finis++
	r.SimulationScreen.Fini()
}

func newRestored() *restored {
	return &restored{SimulationScreen: tcell.NewSimulationScreen("UTF-8"), ready: make(chan struct{})}
}

func options(t *testing.T, s tcell.Screen) Options {
	t.Helper()
	return Options{
		Data: termtest.Load(t, "../../testdata/pcaps/two-proxies.pcap"), Settings: term.DefaultSettings(), Screen: s,
	}
}

func TestRunQuitsAndRestores(t *testing.T) {
	t.Parallel()
	s := newRestored()
	done := make(chan error)
	go func() { done <- Run(t.Context(), options(t, s)) }()
	<-s.ready
	for _, r := range "?qq" { // help, back, quit
		s.InjectKey(tcell.KeyRune, r, tcell.ModNone)
	}
	if err := <-done; err != nil || s.finis != 1 {
		t.Errorf("error %v, restored %d times", err, s.finis)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := newRestored()
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if err := Run(ctx, options(t, s)); err != nil || s.finis != 1 {
		t.Errorf("error %v, restored %d times", err, s.finis)
	}
}

func TestRunEndsWithItsTerminal(t *testing.T) {
	t.Parallel()
	s := newRestored()
	time.AfterFunc(50*time.Millisecond, func() { _ = s.PostEvent(tcell.NewEventError(errors.New("read: input/output error"))) })
	if err := Run(t.Context(), options(t, s)); err == nil || !strings.Contains(err.Error(), "terminal is gone") || s.finis != 1 {
		t.Errorf("error %v, restored %d times", err, s.finis)
	}
}

// A panic, in a view or in its work, leaves a usable terminal behind, and its reason.
func TestPanicRestoresTheTerminal(t *testing.T) {
	t.Parallel()
	for name, action := range map[string]func(a *app) func(){
		"view": func(*app) func() { return func() { panic("in a view") } },
		"work": func(a *app) func() {
			return func() { a.Go(func(context.Context) func() { panic("in work") }) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newRestored()
			if err := s.Init(); err != nil {
				t.Fatal(err)
			}
			a := newApp(t.Context(), s, termtest.Theme(), options(t, s))
			do := action(a)
			a.Open(&stub{scope: keymap.List, onDo: func(keymap.Action) bool {
				do()
				return true
			}})
			var reason any
			func() {
				defer func() { reason = recover() }()
				defer s.Fini()
				s.InjectKey(tcell.KeyRune, 'j', tcell.ModNone)
				_ = a.loop(t.Context())
			}()
			if text, _ := reason.(string); !strings.HasPrefix(text, "in ") || s.finis != 1 {
				t.Errorf("reason %.60v, restored %d times", reason, s.finis)
			}
		})
	}
}

// Work of a view that was closed is told to end, and its result is dropped.
func TestWorkEndsWithItsView(t *testing.T) {
	t.Parallel()
	a := newTestApp(t, 40, 10)
	a.Open(&stub{scope: keymap.Message})
	taken := false
	a.Go(func(ctx context.Context) func() {
		<-ctx.Done()
		return func() { taken = true }
	})
	a.Close()
	a.settle()
	if taken {
		t.Error("the result of a closed view was used")
	}
}

func TestBars(t *testing.T) {
	t.Parallel()
	for _, size := range []struct {
		name string
		w, h int
	}{{"bars-40x10", 40, 10}, {"bars-80x24", 80, 24}, {"bars-tiny", 20, 5}, {"bars-none", 9, 3}} {
		a := newTestApp(t, size.w, size.h)
		a.data.Progress = func() (int64, int64) { return 1, 3 }
		a.data.Board = &correlate.Board{} // still reading
		termtest.Golden(t, size.name, a.dump())
	}
	a := newTestApp(t, 80, 24)
	a.press("K")
	a.Fail(errors.New("frame 7: \x1b[2Jnot there"))
	termtest.Golden(t, "bars-letters", a.dump())
}

func TestHelp(t *testing.T) {
	t.Parallel()
	for _, s := range keymap.Scopes() {
		a := newTestApp(t, 80, 60)
		a.stub.scope = s
		a.press("F1")
		termtest.Golden(t, "help-"+s.String(), a.dump())
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	a := newTestApp(t, 30, 9)
	p := newPage(a, "a page", strings.Repeat("Head\n  one\n  two Ä\x1b[31m\n", 10))
	a.Open(p)
	a.draw()
	a.press("End")
	if p.top != 24 {
		t.Errorf("the end is at line %d", p.top)
	}
	a.press("/", "TWO", "Enter", "n")
	if p.at != 29 { // from line 24 on, which the screen began with, and one further
		t.Errorf("found in line %d", p.at)
	}
	termtest.Golden(t, "page", a.dump())
	a.press("N", "N")
	if p.at != 23 {
		t.Errorf("backwards found in line %d", p.at)
	}
}

func TestCopyIsBounded(t *testing.T) {
	t.Parallel()
	a := newTestApp(t, 40, 10)
	a.Copy("abc", "Call-ID")
	if got := string(a.screen.GetClipboardData()); got != "abc" || a.failure != nil {
		t.Errorf("clipboard %q, error %v", got, a.failure)
	}
	a.Copy(strings.Repeat("x", maxClipboard+1), "the list")
	if a.failure == nil {
		t.Error("no word about a text that terminals do not take")
	}
}

func TestThemeOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, theme string
		colors, env map[string]string
		want, fails string
	}{
		{"default", "", nil, nil, "dark", ""},
		{"light background", "auto", nil, map[string]string{"COLORFGBG": "0;15"}, "light", ""},
		{"dark background", "auto", nil, map[string]string{"COLORFGBG": "15;default;0"}, "dark", ""},
		{"asked for", "light", nil, map[string]string{"COLORFGBG": "15;0"}, "light", ""},
		{"NO_COLOR", "light", map[string]string{"request": "red"}, map[string]string{"NO_COLOR": "1"}, "mono", ""},
		{"one role", "dark", map[string]string{"request": "bold #ff8800 on black"}, nil, "dark", ""},
		{"no theme", "solarized", nil, nil, "", `theme: no theme is called "solarized"`},
		{"no role", "dark", map[string]string{"requests": "red"}, nil, "", "colors.requests: nothing is called so"},
		{"no colour", "dark", map[string]string{"request": "rot"}, nil, "", `colors.request: no colour or attribute is called "rot"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := themeOf(tt.theme, tt.colors, func(name string) string { return tt.env[name] })
			if tt.fails != "" {
				if err == nil || !strings.HasPrefix(err.Error(), tt.fails) {
					t.Fatalf("error %v, want %s", err, tt.fails)
				}
				return
			}
			if err != nil || got.Name != tt.want {
				t.Errorf("theme %v, %v, want %s", got, err, tt.want)
			}
		})
	}
}
