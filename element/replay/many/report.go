package many

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"sipscope/element/ua/load"
)

// Report is what became of the plays so far. Ended is Clean + Diverged + Failed + Stopped.
type Report struct {
	Asked           float64 // plays a second that were asked for
	Started, Ended  uint64
	Clean, Diverged uint64
	Failed, Stopped uint64
	Late            uint64  // plays that had to wait for the limit of plays at a time
	Retransmissions uint64  // messages that this side had to send again, in all plays
	Natural         float64 // of these, in a play, what is to be expected; see Options
	Now, Peak       int     // plays at a time
	Began           int64   // ns since 1970-01-01 UTC
	LastBegan       int64   // when the last play so far began
	Finished        int64   // 0 while plays go on
	Why             string  // why no further plays were begun before the last; "" when all were

	First  load.Histogram // from when a play was due to its first response
	Ring   load.Histogram // to the first 180 or 183
	Answer load.Histogram // to the answer
	Whole  load.Histogram // to its end
	Delay  load.Histogram // to its beginning
	Lag    load.Histogram // how late the loop was when it was to come back

	Divergences []Divergence // the most frequent first
	Kept        []string     // Call-IDs of the first plays that went otherwise, at most Options.Keep
	Health      Health       // between Began and Finished
}

// Rate is the plays begun a second: from the first to the last. 0 for fewer than two.
func (r *Report) Rate() float64 {
	if r.Started < 2 || r.LastBegan <= r.Began {
		return 0
	}
	return float64(r.Started-1) / time.Duration(r.LastBegan-r.Began).Seconds()
}

// Lasted is the time from the beginning to the end, 0 while plays go on.
func (r *Report) Lasted() time.Duration {
	if r.Finished == 0 {
		return 0
	}
	return time.Duration(r.Finished - r.Began)
}

// Divergence is a row of the table: plays that went otherwise at the same step for the same reason. Numbers of time in a
// reason are left out of the comparison.
type Divergence struct {
	Step    int    // 0: before or beside all steps
	Reason  string // of the first such play; bounded, raw
	Count   uint64
	Failed  bool   // the play could not be played, rather than diverged
	Example string // Call-ID of the first such play; "" none
}

// count takes the end of a play that was begun at p.
func (l *Load) count(e Ended, p playing) {
	r := &l.report
	r.Ended++
	r.Retransmissions += uint64(max(e.Retransmissions, 0))
	late := p.began - p.due
	for _, t := range [...]struct {
		h  *load.Histogram
		ns int64
	}{{&r.First, e.First}, {&r.Ring, e.Ring}, {&r.Answer, e.Answer}, {&r.Whole, e.Whole}} {
		if t.ns >= 0 && e.Verdict != Stopped {
			t.h.Add(late + t.ns)
		}
	}
	switch e.Verdict {
	case Clean:
		r.Clean++
		return
	case Stopped:
		r.Stopped++
		return
	case Diverged:
		r.Diverged++
	default:
		r.Failed++
	}
	l.table.add(&e)
	if e.CallID != "" && len(e.CallID) <= maxCallID && len(r.Kept) < l.opt.Keep {
		r.Kept = append(r.Kept, e.CallID)
	}
	if n := l.opt.MaxFailures; n > 0 && r.Failed >= n {
		l.halt("too many plays failed")
	}
	if n := l.opt.MaxDivergences; n > 0 && r.Diverged >= n {
		l.halt("too many plays diverged")
	}
}

// Bounds of the table: a hostile server can make every play diverge in another way.
const (
	maxRows   = 200
	maxReason = 400 // bytes
	maxCallID = 256 // bytes
)

// key says which plays share a row.
type key struct {
	step   int
	failed bool
	reason string
}

// table counts what went otherwise.
type table struct {
	index map[key]int
	all   []Divergence
	other uint64 // of further rows
}

func (t *table) add(e *Ended) {
	reason := bound(e.Reason, maxReason)
	failed := e.Verdict != Diverged
	k := key{e.Step, failed, timeless(reason)}
	if i, there := t.index[k]; there {
		t.all[i].Count++
		return
	}
	if len(t.all) >= maxRows {
		t.other++
		return
	}
	if t.index == nil {
		t.index = map[key]int{}
	}
	t.index[k] = len(t.all)
	t.all = append(t.all, Divergence{e.Step, reason, 1, failed, bound(e.CallID, maxCallID)})
}

// rows are the table, sorted; what found no place is the last row.
func (t *table) rows() []Divergence {
	rows := slices.Clone(t.all)
	slices.SortFunc(rows, byCount)
	if t.other > 0 {
		rows = append(rows, Divergence{Reason: "other reasons, of which there are too many to list", Count: t.other})
	}
	return rows
}

// bound cuts a text at n bytes, between characters, and makes a copy that does not hold on to the rest.
func bound(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.Clone(s[:n])
}

// timeless is a reason with its times left out: "852 ms", "1.2s" and "3 s" are what differs between two plays that are late
// in the same way.
func timeless(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		n := number(s[i:])
		if n == 0 || i > 0 && word(s[i-1]) {
			b.WriteByte(s[i])
			i++
			continue
		}
		if u := unit(s[i+n:]); u > 0 {
			b.WriteString("#")
			i += n + u
			continue
		}
		b.WriteString(s[i : i+n])
		i += n
	}
	return b.String()
}

// number is the length of the decimal number that s begins with.
func number(s string) int {
	n := 0
	for n < len(s) && (s[n] >= '0' && s[n] <= '9' || s[n] == '.' && n > 0 && n+1 < len(s) && s[n+1] >= '0' && s[n+1] <= '9') {
		n++
	}
	return n
}

// unit is the length of the unit of time that s begins with, a blank before it included.
func unit(s string) int {
	rest := strings.TrimPrefix(s, " ")
	for _, u := range [...]string{"ns", "us", "µs", "ms", "s", "min", "m", "h"} {
		if after, ok := strings.CutPrefix(rest, u); ok && (after == "" || !word(after[0])) {
			return len(s) - len(after)
		}
	}
	return 0
}

func word(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= utf8.RuneSelf
}
