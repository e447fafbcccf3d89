package stats

import (
	"math"
	"strconv"
	"time"

	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/decode/frame"
	"sipscope/decode/sip"
)

// Totals is what the pipeline counts itself.
type Totals struct {
	Packets       uint64
	Outcomes      map[string]uint64 // packets by decode.Outcome; they add up to Packets
	Malformed     map[string]uint64 // the malformed ones by reason
	Streams       Streams
	CallIDs       uint64            // distinct, empty ones not counted
	Transactions  map[string]uint64 // by method, one a hop, ACK not counted
	InviteDialogs InviteDialogs
	Limited       correlate.Limited
}

// NewTotals takes the totals from the board of a run.
func NewTotals(acct decode.Accounting, totals correlate.Totals, limited correlate.Limited) Totals {
	t := Totals{
		Packets: acct.Packets, Outcomes: map[string]uint64{}, Malformed: map[string]uint64{},
		Streams: Streams{
			Datagrams: acct.Streams.Datagrams, Gaps: acct.Streams.Gaps, Evicted: acct.Streams.Evicted, Fragments: acct.Streams.Fragments,
			Overlaps: acct.Streams.Overlaps, Unkept: acct.Streams.Unkept,
			Secrets: acct.Streams.Secrets, Unawaited: acct.Streams.Unawaited,
		},
		CallIDs: totals.CallIDs, Transactions: totals.Transactions, Limited: limited,
		InviteDialogs: InviteDialogs{
			Confirmed: totals.Confirmed, EarlySeen: totals.Early,
			EarlyNeverConfirmed: totals.Early - min(totals.Early, totals.EarlyConfirmed),
		},
	}
	acct.Each(func(name string, n uint64) { t.Outcomes[name] = n })
	acct.EachMalformed(func(reason string, n uint64) { t.Malformed[reason] = n })
	return t
}

// Streams says what reassembly could not do: what the capture does not have, and what its limits cost.
type Streams struct {
	Datagrams uint64 `json:"datagrams_given_up"` // IP datagrams with fragments missing, or over a limit
	Gaps      uint64 `json:"gaps"`               // holes in TCP streams
	Evicted   uint64 `json:"evicted"`            // TCP and SCTP connections that a limit ended, each direction
	Fragments uint64 `json:"evicted_fragments"`  // IP datagrams of which fragments waited, that a limit ended
	Overlaps  uint64 `json:"overlaps"`           // fragments or segments that contradict earlier bytes
	// Unkept counts messages whose text was decoded (unmasked, decrypted) and could not be kept: it cannot be shown.
	Unkept uint64 `json:"texts_unkept,omitempty"`
	// Secrets counts TLS secrets that were forgotten for newer ones.
	Secrets uint64 `json:"tls_secrets_forgotten,omitempty"`
	// Unawaited counts TLS connections with an end or a hole whose keys were not waited for any longer.
	Unawaited uint64 `json:"tls_not_awaited,omitempty"`
}

// InviteDialogs counts pairs of tags within a Call-ID.
type InviteDialogs struct {
	Confirmed           uint64 `json:"confirmed"`  // a 2xx of an INVITE
	EarlySeen           uint64 `json:"early_seen"` // a 101-199 of an INVITE with a To tag
	EarlyNeverConfirmed uint64 `json:"early_never_confirmed"`
}

// Result is all figures of a run. Its JSON is what sipscope stats --format json prints: the names are stable, maps hold
// what occurred, null is a figure that nothing was there for.
type Result struct {
	Packets       uint64            `json:"packets"`
	Outcomes      map[string]uint64 `json:"outcomes"` // what became of each packet
	Malformed     map[string]uint64 `json:"malformed"`
	Streams       Streams           `json:"streams"`
	First         time.Time         `json:"first,omitzero"` // time of the first SIP message, UTC
	Last          time.Time         `json:"last,omitzero"`
	Seconds       float64           `json:"seconds"` // between these
	MessagesPeak  uint64            `json:"messages_per_second_peak"`
	SIPMessages   uint64            `json:"sip_messages"`
	Requests      map[string]uint64 `json:"requests_by_method"`
	Responses     map[string]uint64 `json:"responses_by_status"` // "200"
	Classes       map[string]uint64 `json:"responses_by_class"`  // "2xx"; "other" outside of 100 to 699
	Transports    map[string]uint64 `json:"transports"`          // messages
	Retransmitted uint64            `json:"retransmissions"`
	Retransmit    float64           `json:"retransmission_rate"` // share of the messages, 0 to 1
	Duplicates    uint64            `json:"duplicates"`          // messages in frames that the tap saw twice
	CallIDs       uint64            `json:"call_ids"`
	Transactions  map[string]uint64 `json:"transactions_by_method"`
	InviteDialogs InviteDialogs     `json:"invite_dialogs"`
	States        States            `json:"states"`
	Attempts      Attempts          `json:"attempts"`
	PDD           *Distribution     `json:"pdd_ms"`        // first INVITE to first 18x at the caller
	Setup         *Distribution     `json:"setup_ms"`      // first INVITE to first 2xx at the caller
	Duration      *Distribution     `json:"duration_ms"`   // that 2xx to the first BYE
	RTP           *RTP              `json:"rtp,omitempty"` // nil without a stream
	CallsPeak     uint64            `json:"calls_per_second_peak"`
	ActivePeak    uint64            `json:"concurrent_calls_peak"` // at most 1,048,576 are told apart
	Hosts         []Ranked          `json:"busiest_hosts"`         // by messages sent and received
	UserAgents    []Ranked          `json:"user_agents"`           // by calls: of the first request
	Servers       []Ranked          `json:"servers"`               // by calls: of the first response
	Overflow      Overflow          `json:"overflow"`
	Limited       correlate.Limited `json:"limited"`
}

// States counts calls by state.
type States struct {
	Invite map[string]uint64 `json:"invite"` // calls that an INVITE began
	Other  map[string]uint64 `json:"other"`  // all others
}

// Attempts says how INVITE calls went. A call through a back-to-back user agent is one for each leg.
//
// Recoverable are those that ended with 3xx, 401, 402 or 407: the caller is expected to try again (RFC 6076 4.6). All
// but these and the pending ones are seizures, the base of the ratios, which are in percent and nil without any:
//
//	ASR   answered                                       E.411; the SER of RFC 6076 4.6
//	SEER  answered, and 480, 486, 600, 603               RFC 6076 4.7
//	NER   as SEER, and those that the caller cancelled   E.425: the network did its part
type Attempts struct {
	Calls       uint64   `json:"calls"`
	Answered    uint64   `json:"answered"`
	Pending     uint64   `json:"pending"`     // without a final response when the capture ends
	Recoverable uint64   `json:"recoverable"` // redirected or challenged, not followed up
	Seizures    uint64   `json:"seizures"`
	ASR         *float64 `json:"asr_percent"`
	SEER        *float64 `json:"seer_percent"`
	NER         *float64 `json:"ner_percent"`
}

// Overflow counts what the bounds of the collector left out of the maps above. All are 0 in honest captures.
type Overflow struct {
	Methods    uint64 `json:"methods"`     // requests
	Statuses   uint64 `json:"statuses"`    // responses
	Hosts      uint64 `json:"hosts"`       // messages, counted for each end
	UserAgents uint64 `json:"user_agents"` // calls
	Servers    uint64 `json:"servers"`     // calls
}

// Result gives the figures so far. The collector may go on after it.
func (c *Collector) Result(t Totals) Result {
	c.hosts.flush()
	r := Result{
		Packets: t.Packets, Outcomes: some(t.Outcomes), Malformed: some(t.Malformed), Streams: t.Streams,
		CallIDs: t.CallIDs, Transactions: some(t.Transactions), InviteDialogs: t.InviteDialogs, Limited: t.Limited,
		MessagesPeak: c.rate.most(), SIPMessages: c.messages, Requests: c.requestsByMethod(),
		Responses: c.responsesByStatus(), Classes: c.responsesByClass(), Transports: c.byTransport(),
		Retransmitted: c.again, Duplicates: c.duplicates,
		States:   States{Invite: byState(&c.invite), Other: byState(&c.other)},
		Attempts: c.outcome.result(sum(&c.invite)), PDD: c.pdd.result(), Setup: c.setup.result(),
		Duration: c.duration.result(), CallsPeak: c.attempts.most(),
		ActivePeak: uint64(c.active.peak), //nolint:gosec // a length
		Hosts:      top(c.hosts.all.counts, frame.Endpoint.Host), UserAgents: top(c.agents.counts, asIs),
		Servers: top(c.server.counts, asIs),
		Overflow: Overflow{
			Methods: c.unknown.overflow, Statuses: c.strange.overflow, Hosts: c.hosts.all.overflow,
			UserAgents: c.agents.overflow, Servers: c.server.overflow,
		},
	}
	if c.messages > 0 {
		r.Retransmit = round(float64(c.again)/float64(c.messages), 6)
	}
	if c.rate.seen {
		r.First, r.Last = time.Unix(0, c.rate.first).UTC(), time.Unix(0, c.rate.last).UTC()
		r.Seconds = round(r.Last.Sub(r.First).Seconds(), 6)
	}
	return r
}

func asIs(s string) string { return s }

// some makes an empty map of none, so that JSON has {} and not null.
func some(m map[string]uint64) map[string]uint64 {
	out := make(map[string]uint64, len(m))
	for k, n := range m {
		if n > 0 {
			out[k] = n
		}
	}
	return out
}

func round(v float64, places int) float64 {
	unit := math.Pow10(places)
	return math.Round(v*unit) / unit
}

func sum(counts *[states]uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}

func (c *Collector) requestsByMethod() map[string]uint64 {
	out := map[string]uint64{}
	c.unknown.each(func(name string, n uint64) { out[name] = n })
	for id, n := range c.requests {
		if n > 0 {
			out[sip.MethodID(id).String()] += n
		}
	}
	return out
}

func (c *Collector) responsesByStatus() map[string]uint64 {
	out := map[string]uint64{}
	for status, n := range c.responses {
		if n > 0 {
			out[strconv.Itoa(status)] = n
		}
	}
	c.strange.each(func(status uint16, n uint64) { out[strconv.Itoa(int(status))] = n })
	return out
}

func (c *Collector) responsesByClass() map[string]uint64 {
	out := map[string]uint64{}
	for status, n := range c.responses {
		if n > 0 {
			out[class(status)] += n
		}
	}
	c.strange.each(func(status uint16, n uint64) { out[class(int(status))] += n })
	if n := c.strange.overflow; n > 0 {
		out[class(statuses)] += n
	}
	return out
}

// class names the class of a status (RFC 3261 7.2).
func class(status int) string {
	if status < 100 || status > 699 {
		return "other"
	}
	return strconv.Itoa(status/100) + "xx"
}

func (c *Collector) byTransport() map[string]uint64 {
	out := map[string]uint64{}
	for t, n := range c.transports {
		if n > 0 {
			out[decode.Transport(t).String()] = n
		}
	}
	return out
}

func byState(counts *[states]uint64) map[string]uint64 {
	out := map[string]uint64{}
	for s, n := range counts {
		if n > 0 {
			out[correlate.State(s).String()] = n
		}
	}
	return out
}

func (o *outcomes) result(calls uint64) Attempts {
	a := Attempts{Calls: calls, Answered: o.answered, Pending: o.pending, Recoverable: o.recoverable}
	a.Seizures = calls - o.pending - o.recoverable
	if a.Seizures == 0 {
		return a
	}
	percent := func(n uint64) *float64 {
		v := round(100*float64(n)/float64(a.Seizures), 2)
		return &v
	}
	a.ASR = percent(o.answered)
	a.SEER = percent(o.answered + o.user)
	a.NER = percent(o.answered + o.user + o.given)
	return a
}
