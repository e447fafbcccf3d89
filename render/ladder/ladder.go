// Package ladder lays out calls as a ladder: which participants stand in which column, and what every row says.
//
// It draws nothing. Terminal text, Mermaid and JSON all draw this one model, so they cannot disagree. Build is a pure
// function: it keeps no reference to the calls' texts and may run on any goroutine.
//
// The strings in a Ladder are the wire's, cut to a bounded length and otherwise untouched: whoever draws them escapes
// them (render/text.Clean, or the escaping of the format).
package ladder

import (
	"net/netip"

	"sipscope/correlate"
	"sipscope/correlate/media"
	"sipscope/correlate/media/judge"
	"sipscope/decode/frame"
)

// TextFunc gives the raw text of a message by index of the call and of its message. nil when it cannot be read again;
// the row then says what the record knows.
type TextFunc func(call, message int) []byte

// Options say how calls are laid out. The zero value is what `flow` shows by default.
type Options struct {
	// ByIP makes one participant of all ports of an address.
	ByIP bool
	// Unfold gives each retransmission a row of its own instead of a count in the row of its original.
	Unfold bool
	// FoldHops makes one arrow of the copies of a message that proxies forward, where nothing happens in between.
	FoldHops bool
	// SDP fills Row.Media: the offer or answer line by line.
	SDP bool
	// Live says that the calls go on: nothing is said of what is not there yet.
	Live bool
	// Explain says what a message does, by index of the call and of its message: a note below its arrow. Nil, or an empty
	// text, for none.
	Explain func(call, message int) string
	// Order is participants that stand first, by address without port. The others follow as the calls reach them.
	Order []netip.Addr
	// Aliases names participants, by "10.0.0.1", "10.0.0.1:5060" or "[2001:db8::1]:5060". An alias with the port wins.
	Aliases map[string]string
	// Source says what was read, such as "trace.pcap", for the title. It may be empty.
	Source string
	// Of is how many calls the capture has, for the title "call 1 of 3"; 0 when not known.
	Of int
	// Accounting says what became of the packets, such as "68 packets read: 54 SIP, 14 other", for the footer.
	Accounting string
	// Streams gives the media of a call, which become rows and Ladder.Streams; nil leaves media out.
	Streams StreamsFunc
	// Lanes gives what was seen of media that are not carried in RTP. The media that session descriptions agree on become
	// rows; nil leaves them out.
	Lanes LanesFunc
	// Findings gives what is to be said of the media of a call, which become notes and Ladder.Findings; nil for nothing.
	Findings FindingsFunc
}

// Ladder is the picture as data.
type Ladder struct {
	Source     string
	Of         int
	Calls      []Title // one a call, in the order given to Build
	Columns    []Column
	Rows       []Row // in order of time; the state rows, one a call, come last
	Transports []string
	Totals     Totals
	Streams    [][]media.Stream  // by call, as Options.Streams gave them
	Findings   [][]judge.Finding // by call, as Options.Findings gave them
}

// Title is a call's headline.
type Title struct {
	Num      uint32
	CallID   string
	Method   string
	State    correlate.State
	From, To string // user@host, or what there is of it
	Start    int64  // nanoseconds since 1970-01-01 UTC
	Span     int64  // nanoseconds from the first message to the last
	PDD      int64  // nanoseconds, -1 unknown; so are Setup and Duration
	Setup    int64
	Duration int64
	EndedBy  string // the participant that released or cancelled the call, "" when nobody did
	Relation string // how the call was joined with others
}

// Column is a participant.
type Column struct {
	Label     string           // alias, user, host or role; empty when only the address is known
	Address   string           // the IP address, with a port where another column has the same address
	Ports     []uint16         // seen, in order of appearance, at most maxPorts
	Endpoints []frame.Endpoint // what stands for it, in order of appearance, at most maxPorts
	Others    int              // of the last column of a crowded ladder: how many participants share it, else 0
}

// Name is what prose calls the participant: its label or its address.
func (c *Column) Name() string {
	if c.Label != "" {
		return c.Label
	}
	return c.Address
}

// Kind says what a row is. A drawing passes over those that it does not know.
type Kind uint8

// Kinds of rows.
const (
	// Arrow is a message from a column to another one, or to itself.
	Arrow Kind = iota + 1
	// Note is a remark on the ladder that belongs to no arrow.
	Note
	// Gap is a hole in the capture between two columns.
	Gap
	// State says what became of a call. These rows come last.
	State
	// Media is the span of a medium between two columns, from the first packet of its RTP to the last.
	Media
	// DTMF is keys that were pressed one after another, as telephone-events of a stream tell.
	DTMF
	// Lane is a medium that is not carried in RTP, as its session descriptions name it (Row.Beside), from its first packet
	// to the last, or at its answer when none was seen.
	Lane
)

// String is the kind in lower case, as JSON has it.
func (k Kind) String() string {
	return [...]string{"", "arrow", "note", "gap", "state", "media", "dtmf", "lane"}[min(int(k), 7)]
}

// OfMedia reports whether rows of the kind tell of media, not of signalling.
func (k Kind) OfMedia() bool { return k == Media || k == DTMF || k == Lane }

// Row is one event.
type Row struct {
	Kind       Kind
	Call       int   // index into Calls
	Time       int64 // nanoseconds since 1970-01-01 UTC
	SincePrev  int64 // nanoseconds since the row before; 0 in the first; negative when the capture's clock went back
	SinceFirst int64 // nanoseconds since the first row
	From, To   int   // columns; From == To for a message to itself; -1 for none

	Label    string   // "INVITE", "180 Ringing"; the text of a note, gap or state row
	SDP      string   // "sdp PCMU,PCMA", "sdp PCMU hold"; empty without a session description
	Media    []string // with Options.SDP: each media line in words
	Notes    []string // for the margin, most important first
	Method   string   // of the request, or of the CSeq in a response
	Status   uint16   // 0 for a request
	Response bool

	Count          int     // how often the message was sent: 1, or more when retransmissions are folded into the row
	Intervals      []int64 // nanoseconds between its sendings, at most maxIntervals
	Retransmission bool    // with Options.Unfold: the row is a retransmission
	Hops           int     // arrows folded into this one by Options.FoldHops, else 1
	Transport      string  // where the ladder has several, else empty

	Frame    uint64 // that completed the message, or that made a gap certain; 0 for none
	Messages []int  // indices into the call's messages that the row stands for, the original first, at most maxIntervals
	Txn      int    // index into the call's transactions, -1 for none
	Dialog   int    // index into the call's dialogs, -1 for none
	Leg      int    // 1-based position of the hop on the path of the request, 0 unknown

	// Of rows of media.
	Until   int64    // packet time of the last packet
	Figures []string // "182 ↔ 180 packets", "loss 0.0 %", most important first; From → To stands first
	Streams []uint32 // numbers of the streams: the one from From to To, then its way back
	OneWay  bool     // there is no way back in this row
	Beside  *Beside  // of a Lane, else nil
}

// Totals are the figures of the footer, summed over the calls.
type Totals struct {
	Messages        int
	Transactions    int // one a hop
	Hops            int // distinct pairs of addresses
	Dialogs         int
	EarlyDialogs    int
	Retransmissions int
	Duplicates      int
	Gaps            int
	Accounting      string // Options.Accounting
}

// Bounds on what a hostile capture can make of a ladder.
const (
	maxColumns   = 64  // participants; the rest share the last column
	maxPorts     = 64  // endpoints kept in a column
	maxIntervals = 64  // intervals and indices kept in a row
	maxLabel     = 200 // characters of a reason phrase or another text of the wire
)

// Build lays out calls, whose messages text gives. Several calls are interleaved by time and share columns.
func Build(calls []correlate.Call, text TextFunc, opts Options) Ladder {
	b := builder{calls: calls, opts: &opts}
	b.read(text)
	b.sortEvents()
	b.findColumns()
	b.nameColumns()
	b.out.Source, b.out.Of = opts.Source, opts.Of
	b.addTitles()
	b.addRows()
	if opts.FoldHops {
		b.out.Rows = foldHops(b.out.Rows)
	}
	b.addMedia()
	b.addStates()
	b.setTimes()
	b.addTotals()
	return b.out
}

// builder holds what Build works with.
type builder struct {
	calls  []correlate.Call
	opts   *Options
	facts  [][]fact // by call and message
	events []event
	cols   map[frame.Endpoint]int
	out    Ladder

	anyText []bool            // by call: a text could be read
	acked   []map[ackKey]bool // by call: the ACKs that are there
	rowOf   [][]int           // by call and message: the row that shows it, -1 for none
	dialogs []dialogSeen      // by call
	shown   int               // dialogs that have a number
	open    map[int][]openTxn
	noted   map[noteKey]bool
	route   routes
}

// ackKey is an ACK by CSeq number and hosts; without hosts it stands for one anywhere.
type ackKey struct {
	cseq     uint32
	src, dst frame.Endpoint
}

// noteKey keeps a remark from being made twice.
type noteKey struct {
	what string
	call int
	a, b uint32
}

// once reports whether the remark was not made before.
func (b *builder) once(k noteKey) bool {
	if b.noted[k] {
		return false
	}
	b.noted[k] = true
	return true
}

func (b *builder) setTimes() {
	var first, prev int64
	for i := range b.out.Rows {
		r := &b.out.Rows[i]
		if i == 0 {
			first, prev = r.Time, r.Time
		}
		r.SinceFirst, r.SincePrev = r.Time-first, r.Time-prev
		if r.Kind != Note && !r.Kind.OfMedia() { // a note has the time of the row that it explains; media go on beside
			prev = r.Time
		}
	}
}

// clip cuts a text of the wire to a length that no honest one has, at the boundary of a character.
func clip[T string | []byte](s T) string {
	if len(s) <= maxLabel {
		return string(s)
	}
	n := maxLabel
	for n > maxLabel-4 && s[n]&0xc0 == 0x80 {
		n--
	}
	return string(s[:n]) + "..."
}
