// Package tui is the terminal UI: it shows views on a tcell screen and gives them what the user does.
//
//	keys, mouse ─▶ loop (1 goroutine) ─▶ dialog or top view ─▶ draw, at most once an event or a tick
//	                ▲          └─▶ Host.Go: work on goroutines of its own, whose result comes back to the loop
//	Board ──────────┘ views poll it when the loop ticks; the pipeline never waits for a drawing
//
// All state belongs to the loop's goroutine, so nothing here has a lock. The views live in packages of their own (calls,
// flow, message) and know each other through term.Host only; what draws text is term, which makes it safe.
package tui

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/gdamore/tcell/v2"
	"github.com/gdamore/tcell/v2/terminfo"

	"sipscope/correlate/query"
	"sipscope/render/pair"
	"sipscope/render/save"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
)

// Options say what to show, and how.
type Options struct {
	Data term.Data
	// Pairs, when not nil, is shown in the place of the call list: comparisons, which need no Data.
	Pairs    *pair.Report
	Settings term.Settings
	Theme    string // "auto", or one of term.ThemeNames
	Colors   map[string]string
	Keys     *keymap.Map // nil for the default
	Query    *query.Query
	Save     save.Source
	// Figures gives the text of the statistics screen. It runs on a goroutine of its own.
	Figures func(ctx context.Context) (string, error)
	// Screen is a screen that is not yet initialised; nil opens the terminal.
	Screen tcell.Screen
	// Env gives environment variables: NO_COLOR, COLORFGBG.
	Env func(name string) string
}

// Run shows the terminal UI until the user quits or ctx ends, and restores the terminal, whatever happens. It fails when
// there is no terminal that it can use.
func Run(ctx context.Context, opts Options) error {
	theme, err := themeOf(opts.Theme, opts.Colors, opts.Env)
	if err != nil {
		return err
	}
	screen := opts.Screen
	if screen == nil {
		if screen, err = openScreen(opts.Env); err != nil {
			return fmt.Errorf("no terminal to draw on: %w (sipscope ls prints the calls)", err)
		}
	}
	if err = screen.Init(); err != nil {
		return fmt.Errorf("no terminal to draw on: %w (sipscope ls prints the calls)", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	a := newApp(ctx, screen, theme.Adapt(screen.Colors()), opts)
	defer a.jobs.Wait()
	defer cancel(errClosed)
	defer screen.Fini() // also when a view panics: the terminal must not stay as it is
	if opts.Settings.Mouse {
		screen.EnableMouse(mouseFlags)
	}
	screen.EnablePaste()
	a.begin()
	return a.loop(ctx)
}

// openScreen opens the terminal. One that nobody has described under the name that TERM gives is taken for an xterm, which
// nearly all of them imitate.
func openScreen(env func(string) string) (tcell.Screen, error) {
	screen, err := tcell.NewScreen()
	if err == nil || env == nil || env("TERM") == "" || env("TERM") == "dumb" {
		return screen, err
	}
	xterm, lookupErr := terminfo.LookupTerminfo("xterm")
	if lookupErr != nil {
		return nil, err
	}
	if screen, lookupErr = tcell.NewTerminfoScreenFromTtyTerminfo(nil, xterm); lookupErr != nil {
		return nil, err
	}
	return screen, nil
}

// errClosed ends the work of a program that ends.
var errClosed = errors.New("the terminal UI was closed")

// mouseFlags asks for presses, the wheel, and moves with a button held.
const mouseFlags = tcell.MouseDragEvents

// Times of the loop.
const (
	tick      = time.Second / 30
	idleTick  = time.Second / 4 // when the capture was read and nothing works
	eventRoom = 64
)

// loop waits for what happens, and draws when something did.
func (a *app) loop(ctx context.Context) error {
	events, quit := make(chan tcell.Event, eventRoom), make(chan struct{})
	a.jobs.Go(func() { a.screen.ChannelEvents(events, quit) })
	defer close(quit)
	timer := time.NewTicker(tick)
	defer timer.Stop()
	slow := false
	a.dirty = true
	for !a.ended {
		if a.dirty {
			a.draw()
			a.dirty = false
		}
		select {
		case <-ctx.Done():
			return nil
		case ev, ok := <-events:
			if !ok {
				return nil // the terminal is gone
			}
			a.event(ev)
			a.drain(events)
		case r := <-a.results:
			if r.panicked != nil {
				panic(r.panicked) // on this goroutine, where the terminal is restored
			}
			if r.done != nil {
				r.done()
			}
			a.top().Tick(time.Now())
			a.dirty = true
		case now := <-timer.C:
			if a.tick(now) {
				a.dirty = true
			}
			if idle := a.idle(); idle != slow {
				slow = idle
				timer.Reset(map[bool]time.Duration{false: tick, true: idleTick}[slow])
			}
		}
	}
	return a.failed
}

// drain takes what has come in meanwhile before the next drawing: keys that repeat faster than a terminal draws must not
// queue up.
func (a *app) drain(events <-chan tcell.Event) {
	for range eventRoom {
		select {
		case ev, ok := <-events:
			if !ok {
				a.ended = true
				return
			}
			a.event(ev)
		default:
			return
		}
	}
}

// tick gives the top view its chance to look at the board.
func (a *app) tick(now time.Time) bool {
	changed := a.top().Tick(now)
	if p := a.progress(); p != a.lastProgress {
		a.lastProgress = p
		changed = true
	}
	return changed
}

// idle reports whether nothing will change by itself.
func (a *app) idle() bool { return a.working == 0 && a.read() && a.data.Live == nil }

// event gives an event to whom it belongs.
func (a *app) event(ev tcell.Event) {
	switch ev := ev.(type) {
	case *tcell.EventKey:
		a.message, a.failure = "", nil
		a.key(ev)
	case *tcell.EventMouse:
		a.mouse(ev)
	case *tcell.EventPaste:
		a.pasting = ev.Start()
	case *tcell.EventResize:
		a.screen.Sync()
	case *tcell.EventError:
		a.failed = fmt.Errorf("the terminal is gone: %w", ev)
		a.ended = true
	default:
		return
	}
	a.dirty = true
}

// Go implements term.Host.
func (a *app) Go(work func(ctx context.Context) func()) {
	a.working++
	ctx := a.ctxOf()
	a.jobs.Go(func() {
		r := result{}
		defer func() {
			if p := recover(); p != nil {
				r = result{panicked: fmt.Sprintf("%v\n\n%s", p, debug.Stack())}
			}
			done := r.done
			r.done = func() {
				a.working--
				if done != nil && ctx.Err() == nil {
					done()
				}
			}
			select {
			case a.results <- r:
			case <-a.ctx.Done():
			}
		}()
		r.done = work(ctx)
	})
}

// result is what work on another goroutine gives back to the loop.
type result struct {
	done     func()
	panicked any
}
