// Package diff compares two flows: the calls of a recording with those of a live run, or a call that worked with one
// that did not. It says which message of one side belongs to which of the other, what differs between them by meaning,
// and which difference comes first.
//
// It draws nothing, sends nothing, reads no files and has no clock. What any two calls differ in (identifiers, times,
// nonces, the addresses of hosts that correspond) is no difference: addresses are compared as the participants that they
// belong to. The work is bounded whatever the flows hold, see limits.go. All functions may be called from any
// goroutine; a Result is not changed once it is made.
//
//	flow → events (no retransmissions) → participants of both sides → calls → transactions on a hop → messages
//	pairs of messages → compare, with hosts and identifiers named alike on both sides → rows, the first divergence
package diff

import (
	"time"

	"sipscope/correlate"
	"sipscope/correlate/compare"
	"sipscope/decode/frame"
)

// Flow is one side of a comparison.
type Flow struct {
	Name  string           // for people: "good.pcap", "recorded", "live"
	Calls []correlate.Call // one, or a group
	// Text gives the raw text of a message: indices into Calls and into its Messages. Nil, or nil of a message, when it
	// cannot be read again: then methods, codes and times alone are compared.
	Text func(call, message int) []byte
	Keep func(call, message int) bool // which messages count; nil for all
	// Who names who stands behind an endpoint, alike on both sides ("alice", "sut"), so that sides that were recorded at
	// other addresses align; empty for one that it does not know. Nil, or nil on the other side: participants are aligned
	// by the order in which the flow reaches them and by what they do.
	Who func(frame.Endpoint) string
	// Named names who calls itself by a host name, in lower case and without a port, as Who does; nil: those who do so in
	// their Vias.
	Named func(host string) string
	// Ours names who is played by the one who made the flow. What only they send follows from what the others did, such as
	// the CANCEL and the BYE by which a player ends what went otherwise: it is tolerated, and the headline names the cause.
	// Nil: nobody.
	Ours  func(frame.Endpoint) bool
	Notes []Note // what happened beside the messages, for the headline
}

// Note is what happened beside the messages of a flow: "connection closed", "refused to send to 192.0.2.9:5060".
type Note struct {
	Time     int64          // nanoseconds since 1970-01-01 UTC, as in Call.Messages
	Src, Dst frame.Endpoint // where it happened; invalid when it is of no hop
	Text     string         // without a period
}

// Verdict says what became of a row, a difference or a whole comparison.
type Verdict uint8

// Verdicts.
const (
	Same       Verdict = iota
	Expected           // differs as any two calls do
	Tolerated          // differs, and the rules say that it does not matter
	Late               // the same, but much later than on side A
	Differs            // means something else
	Missing            // only in A
	Extra              // only in B
	NotReached         // only in A, after a divergence that explains it
)

// String is the verdict in lower case, with "_" between words.
func (v Verdict) String() string {
	switch v {
	case Same:
		return "same"
	case Expected:
		return "expected"
	case Tolerated:
		return "tolerated"
	case Late:
		return "late"
	case Differs:
		return "differs"
	case Missing:
		return "missing"
	case Extra:
		return "extra"
	case NotReached:
		return "not_reached"
	default:
		return "invalid"
	}
}

// Ref names a message of a flow.
type Ref struct {
	Call    int // index into Flow.Calls
	Message int // index into the call's Messages, -1 where that side has none
}

// Valid reports whether there is a message.
func (r Ref) Valid() bool { return r.Message >= 0 }

// Row is a pair of messages, or one that has no partner.
type Row struct {
	A, B     Ref
	From, To int // indices into Result.Who; of A's message when there is one
	Verdict  Verdict
	// TimeA and TimeB are nanoseconds since the first message of the side, -1 without a message.
	TimeA, TimeB int64
	// WaitA and WaitB are nanoseconds since the message that caused this one: a response's request on the same hop, of a
	// request that was forwarded the one that came in, else what its sender sent or received before; -1 unknown.
	WaitA, WaitB int64
	Differences  []Difference // those that count first, then tolerated ones
}

// Difference is one thing that differs between two messages, or between two flows.
type Difference struct {
	Verdict Verdict // Tolerated, Late, Differs, Missing, Extra or NotReached; what is Expected is not listed
	// Where is "status", "reason", "request-uri", the canonical name of a header, "SDP" or "SDP m0" (the 0-based index of
	// a medium), "body", "time", "path", "transport", "order", "retransmission", "missing" or "extra".
	Where string
	A, B  string // the two values, at most 200 bytes, otherwise as on the wire: whoever draws cleans them
	Text  string // a sentence without a period: "expected 180 Ringing, got 183 Session Progress"
}

// Participant is who stands behind endpoints of both sides.
type Participant struct {
	Name string           // unique in a Result
	A, B []frame.Endpoint // its endpoints in order of appearance; none when that side has no such participant
}

// Counts counts rows by verdict.
type Counts struct {
	Same, Tolerated, Late, Differs, Missing, Extra, NotReached int
}

// Result is a comparison.
type Result struct {
	A, B     Flow
	Rules    Rules
	Who      []Participant
	Rows     []Row   // in causal order, which is A's; what only B has behind what it follows in B
	First    int     // index of the first row that diverges, -1 for none
	Verdict  Verdict // Same, Tolerated or Differs
	Headline string  // one line: "same", "same, 2 tolerated differences", or the first divergence with its reason; raw
	Counts   Counts

	names [2]compare.Names
}

// Flows compares two flows. The same flows in the other order give the same pairs, with Missing and Extra exchanged.
func Flows(a, b Flow, rules Rules) *Result {
	w := newWork(a, b, rules)
	w.participants()
	w.pairCalls()
	w.pairMessages()
	w.nameIdentities()
	w.rows()
	w.judge()
	w.conclude()
	return w.out
}

// Diverges reports whether a row counts as a divergence.
func (r *Result) Diverges(row int) bool { return r.Rules.counts(r.Rows[row].Verdict) }

// Message compares the two messages of a row line by line, by meaning, as Flows did. It reads and parses them again. A
// side without message, or without text, is an empty message.
func (r *Result) Message(row int) compare.Result {
	w := reader{flows: [2]*Flow{&r.A, &r.B}}
	a, b := w.parse(0, r.Rows[row].A), w.parse(1, r.Rows[row].B)
	return compare.Messages(a, b, compare.Options{Ignore: true, A: &r.names[0], B: &r.names[1]})
}

// seconds is a duration as a person writes it: "4.2 s", "120 ms", "32 s".
func seconds(ns int64) string {
	d := time.Duration(ns)
	switch {
	case d >= 100*time.Second:
		return trimFraction(d.Seconds(), 0) + " s"
	case d >= time.Second:
		return trimFraction(d.Seconds(), 1) + " s"
	case d >= time.Millisecond:
		return trimFraction(float64(d)/1e6, 0) + " ms"
	default:
		return trimFraction(float64(d)/1e6, 2) + " ms"
	}
}
