package tui

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/gdamore/tcell/v2"

	"sipscope/correlate"
	"sipscope/render/tui/flow"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/media"
	"sipscope/render/tui/message"
	"sipscope/render/tui/term"
)

// app is the state of the terminal UI. It implements term.Host.
type app struct {
	ctx      context.Context //nolint:containedctx // the program's, for work that a view starts
	screen   tcell.Screen
	theme    *term.Theme
	opts     Options
	keys     *keymap.Map
	data     term.Data
	settings term.Settings
	views    []opened
	dialog   dialog // nil for none; it gets all keys
	pointer  pointer
	pasting  bool

	message string // the line at the bottom, until the next key
	failure error
	found   string // what was searched for last

	jobs    sync.WaitGroup
	results chan result
	working int // jobs under way
	saving  *saving

	lastProgress string
	letters      bool // hints show letters, not function keys
	dirty        bool // something has to be drawn
	ended        bool
	failed       error
}

// opened is a view with the context of its work.
type opened struct {
	view   term.View
	ctx    context.Context //nolint:containedctx // ends when the view is closed
	cancel context.CancelFunc
}

// dialog is what lies above the view and takes the keys.
type dialog interface {
	draw(c *term.Canvas)
	// key reports false when the dialog is done and goes away.
	key(ev *tcell.EventKey) bool
	// mouse takes a click or a turn of the wheel; x and y are those of the screen.
	mouse(m term.Mouse) bool
}

func newApp(ctx context.Context, screen tcell.Screen, theme *term.Theme, opts Options) *app {
	keys := opts.Keys
	if keys == nil {
		keys = keymap.Default()
	}
	return &app{
		ctx: ctx, screen: screen, theme: theme, opts: opts, keys: keys, data: opts.Data, settings: opts.Settings,
		results: make(chan result, 16),
	}
}

var _ term.Host = (*app)(nil)

func (a *app) top() term.View { return a.views[len(a.views)-1].view }

func (a *app) ctxOf() context.Context {
	if len(a.views) == 0 {
		return a.ctx
	}
	return a.views[len(a.views)-1].ctx
}

// Open implements term.Host.
func (a *app) Open(v term.View) {
	ctx, cancel := context.WithCancel(a.ctx)
	a.views = append(a.views, opened{v, ctx, cancel})
	a.dirty = true
}

// Close implements term.Host. The call list stays: leaving it is quitting.
func (a *app) Close() {
	n := len(a.views) - 1
	if n == 0 {
		a.quit()
		return
	}
	a.views[n].cancel()
	a.views = a.views[:n]
	a.top().Tick(time.Now())
	a.dirty = true
}

// quit ends the program; a save under way is not thrown away without asking.
func (a *app) quit() {
	if a.saving != nil {
		a.Confirm("A save is under way. Stop it and quit?", func() { a.ended = true })
		return
	}
	a.ended = true
}

// Say implements term.Host.
func (a *app) Say(line string) { a.message, a.failure, a.dirty = line, nil, true }

// Fail implements term.Host.
func (a *app) Fail(err error) { a.failure, a.dirty = err, true }

// Redraw implements term.Host.
func (a *app) Redraw() { a.dirty = true }

// Data implements term.Host.
func (a *app) Data() *term.Data { return &a.data }

// Settings implements term.Host.
func (a *app) Settings() *term.Settings { return &a.settings }

// Copy implements term.Host. The clipboard is the terminal's own, by OSC 52: it works over ssh, and a terminal that does
// not know it ignores it, which cannot be told from here.
func (a *app) Copy(text, what string) {
	if len(text) > maxClipboard {
		a.Fail(fmt.Errorf("%s: %d bytes, terminals take at most %d: save it to a file instead", what, len(text), maxClipboard))
		return
	}
	a.screen.SetClipboard([]byte(text))
	a.Say(what + " copied, if the terminal allows it (OSC 52)")
}

// maxClipboard is how much is given to the terminal; xterm and others cut off at about this, in base64.
const maxClipboard = 1 << 20

// ShowCalls implements term.Host.
func (a *app) ShowCalls(nums []uint32, extended bool) { a.Open(flow.New(a, nums, extended)) }

// ShowMessages implements term.Host.
func (a *app) ShowMessages(call *correlate.Call, index int) { a.Open(message.NewView(a, call, index)) }

// ShowCompare implements term.Host.
func (a *app) ShowCompare(c term.Comparison) { a.Open(message.NewCompare(a, c)) }

// ShowMedia implements term.Host.
func (a *app) ShowMedia(nums []uint32) { a.Open(media.New(a, nums)) }

// ShowStats implements term.Host.
func (a *app) ShowStats() {
	p := newPage(a, "statistics · "+a.data.Source, "counting…")
	a.Open(p)
	if a.opts.Figures == nil {
		return
	}
	a.Go(func(ctx context.Context) func() {
		text, err := a.opts.Figures(ctx)
		return func() {
			if err != nil {
				a.Fail(err)
				return
			}
			p.set(text)
		}
	})
}

// Ask implements term.Host.
func (a *app) Ask(p term.Prompt) { a.show(newPrompt(a, p)) }

// Choose implements term.Host.
func (a *app) Choose(m term.Menu) { a.show(newMenu(a, m)) }

// Confirm implements term.Host.
func (a *app) Confirm(question string, yes func()) {
	a.show(&confirm{a: a, question: question, yes: yes})
}

func (a *app) show(d dialog) {
	a.dialog = d
	a.dirty = true
}

// key gives a key to the dialog, or makes an action of it.
func (a *app) key(ev *tcell.EventKey) {
	if a.pasting && (ev.Key() != tcell.KeyRune || a.dialog == nil) {
		return // what was meant for a shell or an editor must not run as commands, nor its line ends decide
	}
	if a.dialog != nil {
		d := a.dialog
		if ev.Key() == tcell.KeyCtrlC {
			ev = tcell.NewEventKey(tcell.KeyEsc, 0, tcell.ModNone)
		}
		if !d.key(ev) && a.dialog == d { // it may have opened another one
			a.dialog = nil
		}
		return
	}
	a.do(a.keys.Lookup(a.top().Scope(), term.KeyOf(ev)))
}

// do performs an action: the view first, then what works everywhere.
func (a *app) do(act keymap.Action) {
	if act == keymap.None {
		return
	}
	if a.general(act) || a.top().Do(act) {
		return
	}
	switch act {
	case keymap.Back:
		a.Close()
	case keymap.Save:
		a.save()
	case keymap.Settings:
		a.choose()
	default:
	}
}

// general performs what no view may have otherwise.
func (a *app) general(act keymap.Action) bool {
	switch act {
	case keymap.Quit:
		a.quit()
	case keymap.Help:
		a.help()
	case keymap.Redraw:
		a.screen.Sync()
	case keymap.Suspend:
		a.suspend()
	case keymap.Hints:
		a.letters = !a.letters
	case keymap.Search:
		a.search()
	case keymap.SearchNext, keymap.SearchPrev:
		if s := a.top().Scope(); s == keymap.Compare || s == keymap.Pair {
			return false // there it goes from difference to difference
		}
		if a.found == "" {
			a.search()
			return true
		}
		a.top().Search(a.found, true, act == keymap.SearchPrev)
	default:
		return false
	}
	return true
}

// search asks for a text and looks for it while it is typed.
func (a *app) search() {
	v := a.top()
	a.Ask(term.Prompt{
		Label: "search",
		Changed: func(text string) error {
			v.Search(text, false, false)
			return nil
		},
		Done: func(text string) error {
			a.found = text
			v.Search(text, false, false)
			return nil
		},
		Cancelled: func() { v.Search("", false, false) },
	})
}

// help opens the keys of the view as a page.
func (a *app) help() {
	if p, ok := a.top().(*page); ok && p.isHelp {
		return
	}
	p := newPage(a, "keys of this screen", helpText(a.keys, a.top().Scope()))
	p.isHelp = true
	a.Open(p)
}

// helpText writes the help of a scope from the table that binds the keys.
func helpText(keys *keymap.Map, s keymap.Scope) string {
	rows := keys.Rows(s)
	names := make([]string, len(rows))
	width := 0
	for i := range rows {
		words := make([]string, len(rows[i].Bound))
		for j, k := range rows[i].Bound {
			words[j] = string(k)
		}
		names[i] = strings.Join(words, " ")
		width = max(width, len(names[i]))
	}
	width = min(width, 22)
	var b strings.Builder
	for i := range rows {
		if names[i] == "" {
			continue
		}
		fmt.Fprintf(&b, "  %-*s  %s\n", width, names[i], rows[i].Help)
	}
	b.WriteString("\nThe mouse: a click selects, two open, the wheel scrolls; with Shift the terminal\nselects text for itself.\n" +
		"Keys, colours, columns and names can be set in a file: sipscope config --help\n")
	return b.String()
}
