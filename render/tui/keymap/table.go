package keymap

import "slices"

// Binding is one row of the table.
type Binding struct {
	Action Action
	Scopes Scope
	Name   string   // in the configuration file
	Keys   []string // defaults, as ParseKey reads them
	Hint   string   // a word for the bar at the bottom; empty for what is not shown there
	Help   string   // a line of the help
}

// table holds the defaults: sngrep's keys, and what sngrep does not have on keys that it leaves free.
func table() []Binding {
	return slices.Concat(moving(), lists(), ladders(), messages(), pairs(), streams())
}

func moving() []Binding {
	return []Binding{
		{Up, Everywhere, "up", []string{"Up", "k"}, "", "one line up"},
		{Down, Everywhere, "down", []string{"Down", "j"}, "", "one line down"},
		{Left, Everywhere, "left", []string{"Left"}, "", "scroll to the left"},
		{Right, Everywhere, "right", []string{"Right"}, "", "scroll to the right"},
		{PageUp, Everywhere, "page_up", []string{"PgUp", "Ctrl-B"}, "", "a page up"},
		{PageDown, Everywhere, "page_down", []string{"PgDn", "Ctrl-F"}, "", "a page down"},
		{HalfUp, Everywhere, "half_up", []string{"Ctrl-U"}, "", "half a page up"},
		{HalfDown, Everywhere, "half_down", []string{"Ctrl-D"}, "", "half a page down"},
		{Top, Everywhere, "top", []string{"Home", "g", "Ctrl-A"}, "", "to the first line"},
		{Bottom, Everywhere, "bottom", []string{"End", "G", "Ctrl-E"}, "", "to the last line"},
		{Back, Everywhere, "back", []string{"Esc", "q", "Q"}, "Back", "leave this screen; in the call list: quit"},
		{Quit, Everywhere, "quit", []string{"Ctrl-C"}, "", "quit at once"},
		{Help, Everywhere, "help", []string{"F1", "?", "h", "H"}, "Help", "this help"},
		{Search, Everywhere, "search", []string{"/", "Ctrl-S"}, "Search", "search as you type"},
		{SearchNext, List | Ladder | Message | Page | Streams, "search_next", []string{"n"}, "", "next that the search finds"},
		{SearchPrev, List | Ladder | Message | Page | Streams, "search_prev", []string{"N"}, "", "previous that the search finds"},
		{Redraw, Everywhere, "redraw", []string{"Ctrl-R"}, "", "draw the screen anew"},
		{Hints, Everywhere, "hints", []string{"K"}, "", "letters instead of function keys in the line below"},
		{Suspend, Everywhere, "suspend", []string{"Ctrl-Z"}, "", "back to the shell until fg"},
	}
}

func lists() []Binding {
	return []Binding{
		{Open, List, "open", []string{"Enter"}, "Show", "the ladder of the selected calls, or of this one"},
		{Open, Ladder, "open", []string{"Enter"}, "Show", "the message on the whole screen"},
		{Select, List, "select", []string{"Space"}, "Select", "select or unselect this call"},
		{Select, Ladder | Message, "select", []string{"Space"}, "Select", "select this message; a second one is compared with it"},
		{SelectAll, List, "select_all", []string{"*"}, "", "select all calls that the list shows"},
		{SelectNone, List | Ladder, "select_none", []string{"Backspace"}, "", "unselect all"},
		{Extended, List | Ladder, "extended", []string{"F4", "x", "X"}, "Extended", "the ladder with joined calls: other legs, transfers"},
		{Filter, List, "filter", []string{"F7", "f", "F"}, "Filter", "show the calls for which an expression holds"},
		{Save, List | Message | Compare | Page, "save", []string{"F2", "S"}, "Save", "save to a file"},
		{Save, Ladder, "save", []string{"S"}, "Save", "save to a file"},
		{Search, List, "search", []string{"F3", "Tab"}, "", "search as you type"},
		{Save, List, "save", []string{"s"}, "", "save to a file"},
		{Clear, List, "clear", []string{"F5", "Ctrl-L"}, "Clear", "take all calls off the list"},
		{Raw, List | Ladder, "raw", []string{"F6", "r", "R"}, "Raw", "the messages as they were on the wire"},
		{Settings, List, "settings", []string{"F8"}, "Settings", "theme, times, names and other settings"},
		{Settings, List | Ladder, "settings", []string{"o", "O"}, "", "theme, times, names and other settings"},
		{KeepFiltered, List, "keep_filtered", []string{"F9"}, "", "take off the list what the filter hides"},
		{Columns, List, "columns", []string{"F10", "t", "T"}, "Columns", "choose, order and size the columns"},
		{SortPrev, List, "sort_prev", []string{"<"}, "", "sort by the column to the left"},
		{SortNext, List, "sort_next", []string{">"}, "", "sort by the column to the right"},
		{SortSwap, List, "sort_swap", []string{"z", "Z"}, "", "turn the order round"},
		{Narrower, List, "narrower", []string{"[", "-"}, "", "make the sorted column narrower"},
		{Wider, List, "wider", []string{"]", "+"}, "", "make the sorted column wider"},
		{Methods, List, "methods", []string{"m"}, "", "choose the methods that are shown"},
		{CallsOnly, List, "calls_only", []string{"c"}, "", "only calls made with INVITE, or all"},
		{Follow, List, "follow", []string{"A", "a"}, "", "stay on the newest call"},
		{Pause, List | Ladder, "pause", []string{"p"}, "", "stop and go on updating the screen"},
		{ShowMedia, List, "streams", []string{"M", "J"}, "", "RTP streams of the selected calls, or of all"},
		{ShowMedia, Ladder, "streams", []string{"J"}, "", "RTP streams of these calls; Enter on a media row, too"},
		{Stats, List, "stats", []string{"i", "I"}, "", "figures over all calls"},
		{Copy, Everywhere, "copy", []string{"y"}, "", "copy this Call-ID, message or page to the clipboard"},
		{Diff, List, "diff", []string{"="}, "Diff", "compare two selected calls, message by message"},
		{CopyAll, Everywhere, "copy_all", []string{"Y"}, "", "copy all that is shown to the clipboard"},
	}
}

func ladders() []Binding {
	return []Binding{
		{SDP, Ladder, "sdp", []string{"F2", "d"}, "SDP", "session descriptions in the ladder, line by line"},
		{Media, Ladder, "media", []string{"F3", "M"}, "Media", "rows of media streams"},
		{OnlySDP, Ladder, "only_sdp", []string{"D"}, "", "only messages with a session description"},
		{ByIP, Ladder, "by_ip", []string{"F5", "s"}, "Compress", "one column an address, whatever its ports"},
		{Color, Ladder, "color", []string{"F7", "c"}, "Color", "colour by kind, Call-ID, transaction or dialog"},
		{Syntax, Ladder | Message | Compare, "syntax", []string{"F8", "C"}, "", "colours inside of messages"},
		{Aliases, Ladder, "aliases", []string{"F9", "l", "a"}, "Names", "columns with names, or with addresses only"},
		{Times, Ladder, "times", []string{"w", "W"}, "Time", "time of day, since the first row or the row before"},
		{Mark, Ladder, "mark", []string{"m"}, "Mark", "mark this row: the status line measures from it"},
		{FoldHops, Ladder, "fold_hops", []string{"f"}, "", "one arrow for the copies that proxies forward"},
		{Diff, Ladder, "diff", []string{"="}, "", "compare these two calls, or the hops of this one"},
		{Unfold, Ladder, "unfold", []string{"u"}, "", "give each retransmission a row of its own"},
		{Pane, Ladder, "pane", []string{"t"}, "Message", "the message beside the ladder"},
		{PaneReset, Ladder, "pane_reset", []string{"T"}, "", "give the message pane its usual width"},
		{PaneWider, Ladder | Compare, "pane_wider", []string{"9"}, "", "make the message pane wider"},
		{PaneNarrower, Ladder | Compare, "pane_narrower", []string{"0"}, "", "make the message pane narrower"},
		{NextPeer, Ladder, "next_peer", []string{"]"}, "", "next message of the transaction"},
		{PrevPeer, Ladder, "prev_peer", []string{"["}, "", "previous message of the transaction"},
		{ToRequest, Ladder, "to_request", []string{"b"}, "", "from a response to its request"},
		{NextRepeat, Ladder, "next_repeat", []string{"}"}, "", "next row that was sent again"},
		{NextDiag, Ladder | Message, "next_diag", []string{"e"}, "", "next departure from the grammar"},
		{PrevDiag, Ladder | Message, "prev_diag", []string{"E"}, "", "previous departure from the grammar"},
	}
}

func messages() []Binding {
	return []Binding{
		{Parsed, Ladder | Message, "parsed", []string{"v"}, "Parsed", "the message as parsed, or as it was on the wire"},
		{Wrap, Message | Compare, "wrap", []string{"w"}, "Wrap", "wrap long lines, or cut them"},
		{NextMessage, Message, "next_message", []string{"]", "Tab"}, "Next", "next message"},
		{PrevMessage, Message, "prev_message", []string{"[", "Backtab"}, "", "previous message"},
		{Layout, Compare, "layout", []string{"v", "Tab"}, "Layout", "side by side, or one below the other"},
		{OnlyDifferences, Compare, "only_differences", []string{"d"}, "Differences", "only what differs, or all"},
		{IgnoreExpected, Compare, "ignore_expected", []string{"i"}, "Ignore", "leave out what always differs: Call-ID, tags, branch"},
		{SearchNext, Compare, "next_difference", []string{"n"}, "Next", "next difference"},
		{SearchPrev, Compare, "prev_difference", []string{"N"}, "", "previous difference"},
	}
}

func pairs() []Binding {
	return []Binding{
		{Open, Pair, "open", []string{"Enter"}, "Show", "the two messages, with what differs in them"},
		{SearchNext, Pair, "next_difference", []string{"n"}, "Next", "next difference"},
		{SearchPrev, Pair, "prev_difference", []string{"N"}, "", "previous difference"},
		{FirstDifference, Pair, "first_difference", []string{"f"}, "First", "where they first part"},
		{OnlyDifferences, Pair, "only_differences", []string{"d"}, "Differences", "only what differs, or all"},
		{Layout, Pair, "layout", []string{"v", "Tab"}, "Layout", "two ladders beside each other, or one for both"},
		{Times, Pair, "times", []string{"w", "W"}, "Time", "time since the start, or since what was answered"},
		{NextPair, Pair, "next_pair", []string{"]"}, "", "next two calls"},
		{PrevPair, Pair, "prev_pair", []string{"["}, "", "previous two calls"},
		{Save, Pair, "save", []string{"F2", "s", "S"}, "Save", "save the comparison as text, HTML or JSON"},
	}
}

func streams() []Binding {
	return []Binding{
		{Open, Streams, "open", []string{"Enter"}, "Show", "all that is known of the stream, with charts"},
		{ToCall, Streams, "to_call", []string{"c", "x"}, "Ladder", "the ladder of the stream's call"},
		{NextMessage, Streams, "next_stream", []string{"]", "Tab"}, "Next", "next stream"},
		{PrevMessage, Streams, "prev_stream", []string{"[", "Backtab"}, "", "previous stream"},
		{Layout, Streams, "layout", []string{"v"}, "Figure", "what is drawn over time: jitter, loss or packets"},
		{SortPrev, Streams, "sort_prev", []string{"<"}, "", "sort by the column to the left"},
		{SortNext, Streams, "sort_next", []string{">"}, "Sort", "sort by the column to the right"},
		{SortSwap, Streams, "sort_swap", []string{"z", "Z"}, "", "turn the order round"},
		{Pause, Streams, "pause", []string{"p"}, "", "stop and go on updating the screen"},
		{Save, Streams, "save", []string{"F2", "s", "S"}, "Save", "save the stream's call to a file"},
	}
}
