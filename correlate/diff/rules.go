package diff

import (
	"slices"
	"strings"
	"time"
)

// StatusMatch says how alike two status codes must be.
type StatusMatch uint8

// Matches. The zero value stands for MatchCode of final responses, and for MatchNone of provisional ones.
const (
	MatchDefault  StatusMatch = iota
	MatchCode                 // the same code
	MatchClass                // the same hundred
	MatchAnyFinal             // any
	MatchNone                 // any, and that it is missing or extra does not matter
)

// Defaults of Rules.
const (
	defaultLate    = 4
	defaultLateMin = 500 * time.Millisecond
)

// Rules say which differences matter. The zero value is what a tester would choose.
//
// Always tolerated: 100 (Trying) and its absence, the reason phrase, retransmissions, keep-alives (OPTIONS and NOTIFY
// of the event package keep-alive) that only one side has, the order of transactions of different dialogs, the name
// and version of the software (User-Agent, Server, Organization), Max-Forwards, Warning, the subject of SDP, and
// lifetimes that differ by seconds.
type Rules struct {
	Final StatusMatch // of final responses; MatchNone is MatchAnyFinal
	// Provisional is of 101-199. MatchNone tolerates missing, extra and other ones; the other values demand that each has
	// its counterpart.
	Provisional StatusMatch
	// Ignore are header names, in any case, whose differences do not count and are not listed. "sdp" stands for session
	// descriptions, "body" for all bodies, "transport" for what carries a message, "request-uri" for the start line's.
	Ignore   []string
	Spelling bool // differences of spelling and order count too
	// Late is how many times the recorded wait a final response may take. 0 stands for 4, less for no limit.
	Late    float64
	LateMin time.Duration // a response is late only when it comes so much later than recorded; 0: 500 ms
	Strict  bool          // tolerated differences count as divergence
	// Challenges tolerates rounds of 401 and 407 that were answered with credentials and that only one side has, and the
	// credentials of what follows them.
	Challenges bool
	// Replayed says that B was made from A by a replay, which names its own places where a session description or a Contact
	// of A names a host that is no participant (behind a NAT, a media relay), computes digest answers in its own way, and
	// whose transactions acknowledge every failure and answer every CANCEL (RFC 3261 17.1.1.3, 9.2).
	Replayed bool
	// Calls pairs calls that are known to belong together: Call-IDs of B by those of A. Nil, or for others: calls that begin
	// alike belong together, in order.
	Calls map[string]string
	// Alias says what B calls what A calls otherwise, such as users and domains that were mapped: {"3001": "test1"}. It is
	// for whole users, hosts and display names.
	Alias map[string]string
}

// Status is the verdict on one response: recorded is the code that was expected, live the one that came.
func (r *Rules) Status(recorded, live int) Verdict {
	switch {
	case recorded == live:
		return Same
	case recorded < 200 && live < 200:
		return r.provisional(recorded, live)
	case recorded < 200 || live < 200:
		return Differs
	case r.Final == MatchAnyFinal || r.Final == MatchNone,
		r.Final == MatchClass && recorded/100 == live/100:
		return Tolerated
	default:
		return Differs
	}
}

// provisional is the verdict on two different provisional codes.
func (r *Rules) provisional(recorded, live int) Verdict {
	switch {
	case r.Provisional == MatchCode, r.Provisional == MatchClass && (recorded == 100) != (live == 100):
		return Differs
	default:
		return Tolerated
	}
}

// lone is the verdict on a response that one side lacks: v, or Tolerated.
func (r *Rules) lone(status int, v Verdict) Verdict {
	loose := r.Provisional == MatchDefault || r.Provisional == MatchNone
	if status == 100 || status < 200 && loose {
		return Tolerated
	}
	return v
}

// late reports whether a wait of live is too long where recorded was it, both in nanoseconds.
func (r *Rules) late(recorded, live int64) bool {
	factor, least := r.Late, r.LateMin
	if factor == 0 {
		factor = defaultLate
	}
	if least == 0 {
		least = defaultLateMin
	}
	return factor > 0 && recorded >= 0 && live-recorded > int64(least) && float64(live) > factor*float64(recorded)
}

// ignores reports whether differences of a header, or of one of the other names of Ignore, do not count.
func (r *Rules) ignores(name string) bool {
	return slices.ContainsFunc(r.Ignore, func(i string) bool { return strings.EqualFold(i, name) })
}

// counts reports whether a verdict is a divergence.
func (r *Rules) counts(v Verdict) bool {
	switch v {
	case Late, Differs, Missing, Extra:
		return true
	case Tolerated:
		return r.Strict
	default:
		return false
	}
}
