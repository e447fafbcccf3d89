package term

import (
	"context"
	"time"

	"sipscope/correlate"
	"sipscope/correlate/compare"
	"sipscope/correlate/media"
	"sipscope/correlate/media/judge"
	"sipscope/render/tui/keymap"
)

// View is one screen of the terminal UI. All its methods run on the UI's goroutine, so it needs no lock, and must
// return within some milliseconds: what takes longer goes through Host.Go.
type View interface {
	Input
	// Scope says which keys it understands.
	Scope() keymap.Scope
	// Title is the line above it, such as "trace.pcap · 120 calls".
	Title() string
	// Status is what it has to say at the left of the status line: counts, a filter, a measured time.
	Status() string
	// Draw draws the whole canvas, which was cleared.
	Draw(c *Canvas)
	// Tick is called up to 30 times a second while the capture is being read or watched, and after Host.Go. It reports
	// whether the view has to be drawn anew.
	Tick(now time.Time) bool
}

// Input is what a user can do to a view.
type Input interface {
	// Do performs an action, and reports false for one that it does not know; the application then tries.
	Do(a keymap.Action) bool
	// Mouse reports false for what it does not use.
	Mouse(m Mouse) bool
	// Search finds the next place that holds a text, from the place where the search began (next false) or behind the
	// present one, backwards on request. It reports through Host.Say when there is none. An empty text ends the search.
	Search(text string, next, backwards bool)
	// Saving says what "save" offers here: which calls, and which of their messages.
	Saving() Selection
}

// Selection is what a view offers to save, from the narrowest choice to the widest. Empty ones are left out.
type Selection struct {
	Choices []Choice
}

// Choice is one of the things that can be saved.
type Choice struct {
	Label    string // "2 selected calls"
	Calls    func() []uint32
	Count    int              // calls
	Messages map[uint32][]int // of these calls only these messages, by index; nil for all
}

// Mouse is a press, a turn of the wheel or a move with a button held, relative to the view's canvas.
type Mouse struct {
	X, Y  int
	Kind  MouseKind
	Shift bool
}

// MouseKind is what the mouse did.
type MouseKind uint8

// Kinds of what a mouse does.
const (
	Click MouseKind = iota + 1
	DoubleClick
	Drag    // the left button is held
	Release // it was let go after a drag
	WheelUp
	WheelDown
)

// Host is what the application does for its views.
type Host interface {
	Stack
	Dialogs
	// Go runs work on another goroutine. What it returns, when not nil, runs on the UI's goroutine afterwards. ctx ends
	// when the view that was on top is closed, or the program ends.
	Go(work func(ctx context.Context) (done func()))
	// Copy gives text to the terminal's clipboard (OSC 52) and says so.
	Copy(text, what string)
	// Data gives what is shown.
	Data() *Data
	// Settings gives what the user has chosen; views may change it and read it anew in each Draw.
	Settings() *Settings
}

// Stack is the screens, one above the other.
type Stack interface {
	// Open puts a view on top; Close takes the top one off.
	Open(v View)
	Close()
	Screens
}

// Screens opens the other screens: views do not know each other.
type Screens interface {
	Comparisons
	ShowStats()
	ShowCalls(nums []uint32, extended bool)
	ShowMessages(call *correlate.Call, message int)
	// ShowMedia lists the RTP streams of calls, of the whole capture without any.
	ShowMedia(nums []uint32)
}

// Comparisons opens the screens that compare.
type Comparisons interface {
	ShowCompare(c Comparison)
	// ShowPair compares two calls, by number, row by row.
	ShowPair(a, b uint32)
	// ShowHops tells what each hop of a call changed.
	ShowHops(num uint32)
}

// Dialogs is how a view talks with the user.
type Dialogs interface {
	// Redraw asks for another Draw.
	Redraw()
	// Say shows a line at the bottom until the next key.
	Say(message string)
	// Fail shows an error there.
	Fail(err error)
	// Ask reads a line from the user.
	Ask(p Prompt)
	// Choose lets the user tick items of a list.
	Choose(m Menu)
	// Confirm asks a question that y answers.
	Confirm(question string, yes func())
}

// MessageRef is a message of a call.
type MessageRef struct {
	Call    *correlate.Call
	Message int
}

// Comparison is two messages to be compared.
type Comparison struct {
	A, B MessageRef
	// Made compares them with rules that know the calls, and leaves out what differs as expected; nil for the usual rules.
	// It runs on any goroutine.
	Made func() compare.Result
}

// Data is what the terminal UI reads. The pipeline never waits for any of it.
type Data struct {
	Board *correlate.Board
	// Source names what is read: "trace.pcap".
	Source string
	// Headers names the values in Summary.Columns.
	Headers []string
	// Text gives the raw text of a message, nil when it cannot be read again. Any goroutine may call it.
	Text func(call *correlate.Call, message int) []byte
	// Progress tells how far the reading is: bytes done, and all there are (0 when not known).
	Progress func() (done, total int64)
	// Err gives what ended the run when it was not the end of the input; nil while it runs.
	Err func() error
	// Live says in a line how a source goes that has no end: figures a second, losses. Nil for files.
	Live func() string
	// Streams copies the RTP streams of a call by its number, of the whole capture for 0. Any goroutine may call it. Nil
	// without media.
	Streams func(call uint32) []media.Stream
	// Lanes copies what was seen of a call's media that are not RTP. Like Streams.
	Lanes func(call uint32) []media.Lane
	// Findings says what media and signalling of a call do not agree on. It reads texts: only on a goroutine of its own.
	Findings func(call uint32) []judge.Finding
}

// Settings is what a user can choose in the configuration file and while the program runs.
type Settings struct {
	Columns   []string          // of the call list, as `sipscope ls --columns` takes them
	Widths    map[string]int    // of columns that the user has sized, cells
	Sort      string            // column; a leading "-" turns it round
	Aliases   map[string]string // by address, see ladder.Options
	Times     string            // "delta", "absolute" or "relative"
	ColorBy   string            // "kind", "call", "transaction" or "dialog"
	Follow    bool
	CallsOnly bool
	Methods   []string // shown; none for all
	SDP       bool
	ByIP      bool
	Names     bool // columns of a ladder have names, else addresses only
	FoldHops  bool
	Unfold    bool
	Pane      bool // the message beside the ladder
	PaneWidth int  // per cent of the screen
	Parsed    bool
	Syntax    bool
	Wrap      bool
	Mouse     bool
	ASCII     bool
}

// DefaultSettings are those without a configuration file.
func DefaultSettings() Settings {
	return Settings{
		Widths: map[string]int{}, Sort: "num", Times: "delta", ColorBy: "kind", Names: true, Pane: true, PaneWidth: 42, Syntax: true,
		Wrap: true, Mouse: true,
	}
}

// Prompt asks for a line.
type Prompt struct {
	Label string
	Text  string // to begin with
	// Changed is called with each change; an error is shown below the line.
	Changed func(text string) error
	// Done is called with Enter. An error keeps the prompt open and is shown.
	Done func(text string) error
	// Cancelled is called with Esc.
	Cancelled func()
	// Complete gives what may stand in the place of the word at the end of text (the part of it before the cursor).
	Complete func(text string) []Completion
}

// Completion is one proposal of a prompt.
type Completion struct {
	Text string // the whole line with it
	Help string
}

// Menu is a list of things to tick.
type Menu struct {
	Title   string
	Items   []Item
	Single  bool // Enter takes the one under the cursor; else Space ticks and Enter takes all ticked
	Order   bool // items may be moved with < and >
	Widths  bool // items may be sized with - and +
	AddHint string
	// Add, when set, is called with a text that the user typed after "a": it gives the item to add.
	Add  func(text string) (Item, error)
	Done func(items []Item, at int)
}

// Item is a line of a Menu.
type Item struct {
	Name   string
	Help   string
	Ticked bool
	Width  int // 0 for automatic
}
