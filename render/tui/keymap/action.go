// Package keymap says which key does what in the terminal UI. One table binds the keys, names them for the
// configuration file, and writes the help, so that none of them can lie. It reads no terminal.
package keymap

// Scope is a kind of view, as bits: what a key does depends on where it is pressed.
type Scope uint8

// Scopes.
const (
	List    Scope = 1 << iota // the call list
	Ladder                    // one or many calls as a ladder
	Message                   // messages, raw or parsed, on the whole screen
	Compare                   // two messages beside each other
	Page                      // a text to scroll: help, statistics
	Pair                      // two calls compared row by row
	Streams                   // RTP streams: the list, and one of them

	Everywhere = List | Ladder | Message | Compare | Page | Pair | Streams
)

// String is the scope's name as the configuration file has it.
func (s Scope) String() string {
	switch s {
	case List:
		return "list"
	case Ladder:
		return "ladder"
	case Message:
		return "message"
	case Compare:
		return "compare"
	case Page:
		return "page"
	case Pair:
		return "diff"
	case Streams:
		return "media"
	default:
		return "all"
	}
}

// Scopes lists the scopes in the order of the help.
func Scopes() []Scope { return []Scope{List, Ladder, Message, Compare, Pair, Streams, Page} }

// Action is what a key asks for.
type Action uint8

// Actions. Each is explained in the table.
const (
	None Action = iota
	Up
	Down
	Left
	Right
	PageUp
	PageDown
	HalfUp
	HalfDown
	Top
	Bottom
	Open
	Back
	Quit
	Help
	Search
	SearchNext
	SearchPrev
	Redraw
	Suspend
	Hints
	Settings
	Copy
	CopyAll
	Save
	Select
	SelectAll
	SelectNone
	Extended
	Raw
	Clear
	KeepFiltered
	Filter
	Methods
	CallsOnly
	Columns
	Narrower
	Wider
	SortPrev
	SortNext
	SortSwap
	Follow
	Pause
	Stats
	SDP
	Media
	OnlySDP
	ByIP
	Color
	Syntax
	Aliases
	Times
	Mark
	FoldHops
	Unfold
	Pane
	PaneWider
	PaneNarrower
	PaneReset
	Parsed
	Wrap
	NextMessage
	PrevMessage
	NextPeer
	PrevPeer
	ToRequest
	NextRepeat
	NextDiag
	PrevDiag
	Layout
	OnlyDifferences
	IgnoreExpected
	Diff
	FirstDifference
	NextPair
	PrevPair
	ShowMedia
	ToCall

	actions // how many
)
