// Package pair draws what correlate/diff found: two flows, row by row, with what differs between them.
//
//	diff.Result → scene (labels, participants, words) → text for terminals, JSON, JUnit, or one HTML page
//
// It compares nothing and reads nothing. Every string of a Result may be an attacker's text: for terminals, JUnit and the
// page it passes text.Clean, in JSON it is escaped, and the page puts it into the document as text nodes only, under a
// policy that allows no script but its own and no request.
package pair

import (
	"strconv"
	"strings"

	"sipscope/correlate"
	"sipscope/correlate/diff"
	"sipscope/decode/sip"
)

// Report is what is drawn: one comparison, or those of all calls of two captures.
type Report struct {
	Title   string   // of a page; "" makes one of the names
	A, B    string   // the sides' names for people: "good.pcap", "recorded"
	Notes   []string // said at the top: what was chosen, what a capture lacks
	Version string   // of the program, for a page; may be empty
	// Replay says that the second side is a recorded flow that was played again: pairs are plays, not calls of two captures.
	Replay bool
	Pairs  []Pair
}

// Pair is two flows that were compared, or one that has no partner.
type Pair struct {
	A, B     *correlate.Summary // of the first call of each side; nil where that side has none
	Verdict  diff.Verdict       // Same, Tolerated, Differs; Missing or Extra without a partner
	Headline string             // one line, raw
	// Open gives the comparison; nil without a partner. It may be asked more than once, so that two large captures need
	// not be held with all that differs between them.
	Open func() *diff.Result
}

// New makes a Pair of a Result.
func New(r *diff.Result) Pair {
	p := Pair{Verdict: r.Verdict, Headline: r.Headline, Open: func() *diff.Result { return r }}
	if len(r.A.Calls) > 0 {
		p.A = &r.A.Calls[0].Summary
	}
	if len(r.B.Calls) > 0 {
		p.B = &r.B.Calls[0].Summary
	}
	return p
}

// Alone makes a Pair of a call that has no partner: of the first side, or of the second.
func Alone(s *correlate.Summary, first bool) Pair {
	if first {
		return Pair{A: s, Verdict: diff.Missing, Headline: "only in the first"}
	}
	return Pair{B: s, Verdict: diff.Extra, Headline: "only in the second"}
}

// headlineOf is what a list says beside the verdict: nothing where that would be the verdict again.
func headlineOf(p *Pair) string {
	if p.Headline == p.Verdict.String() {
		return ""
	}
	return p.Headline
}

// Verdict is the worst of all pairs: Same, Tolerated or Differs.
func (r *Report) Verdict() diff.Verdict {
	worst := diff.Same
	for i := range r.Pairs {
		switch r.Pairs[i].Verdict {
		case diff.Same, diff.Expected:
		case diff.Tolerated:
			if worst == diff.Same {
				worst = diff.Tolerated
			}
		default:
			return diff.Differs
		}
	}
	return worst
}

// Count is how many pairs have a verdict.
func (r *Report) Count(v diff.Verdict) int {
	n := 0
	for i := range r.Pairs {
		if r.Pairs[i].Verdict == v {
			n++
		}
	}
	return n
}

// title names the report.
func (r *Report) title() string {
	switch {
	case r.Title != "":
		return r.Title
	case len(r.Pairs) == 1:
		p := &r.Pairs[0]
		return sideName(r.A, p.A) + " and " + sideName(r.B, p.B)
	default:
		return r.A + " and " + r.B
	}
}

// sideName names a side of a pair: "good.pcap call 3".
func sideName(name string, s *correlate.Summary) string {
	if s == nil || s.Num == 0 {
		return name
	}
	return strings.TrimSpace(name + " call " + strconv.FormatUint(uint64(s.Num), 10))
}

// summaryOfFlow is what a side is called by: its call, or nothing where there are several.
func summaryOfFlow(f *diff.Flow) *correlate.Summary {
	if len(f.Calls) != 1 {
		return nil
	}
	return &f.Calls[0].Summary
}

// callName says what a call is: "INVITE alice@a.com → bob@b.com".
func callName(s *correlate.Summary, arrow string) string {
	if s == nil {
		return ""
	}
	if s.Method == sip.MethodRegister.String() {
		return s.Method + " " + party(&s.To)
	}
	return strings.TrimSpace(s.Method + " " + party(&s.From) + arrow + party(&s.To))
}

func party(p *correlate.Party) string {
	switch {
	case p.User != "" && p.Host != "":
		return p.User + "@" + p.Host
	case p.User != "" || p.Host != "":
		return p.User + p.Host
	case p.URI != "":
		return p.URI
	default:
		return "?"
	}
}

// stateName is a call's outcome: "failed 488 Not Acceptable Here".
func stateName(s *correlate.Summary) string {
	state := strings.ReplaceAll(s.State.String(), "_", " ")
	if s.Code == 0 {
		return state
	}
	return strings.TrimSpace(state + " " + strconv.Itoa(int(s.Code)) + " " + s.Reason)
}

// verdictWord is a verdict in words.
func verdictWord(v diff.Verdict) string { return strings.ReplaceAll(v.String(), "_", " ") }

// counts is rows by verdict.
type counts [diff.NotReached + 1]int

func countRows(rows []diff.Row) counts {
	var n counts
	for i := range rows {
		if v := rows[i].Verdict; int(v) < len(n) {
			n[v]++
		}
	}
	return n
}

// alike is how many rows do not count: what differs as any two calls do is the same for a reader.
func (n *counts) alike() int { return n[diff.Same] + n[diff.Expected] }

// line sums up: "6 same, 1 tolerated, 5 not reached".
func (n *counts) line() string {
	parts := []string{strconv.Itoa(n.alike()) + " same"}
	for v := diff.Tolerated; v <= diff.NotReached; v++ {
		if n[v] > 0 {
			parts = append(parts, strconv.Itoa(n[v])+" "+verdictWord(v))
		}
	}
	return strings.Join(parts, ", ")
}
