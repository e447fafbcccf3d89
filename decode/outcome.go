package decode

import (
	"sipscope/decode/frame"
)

// Outcome is what became of a packet: each has exactly one, so their counts add up to the packets read (law 2).
type Outcome uint8

// Outcomes.
const (
	OutcomeSIP          Outcome = iota // completed at least one message
	OutcomeContinuation                // part of a message that another packet completes
	OutcomeHeld                        // a fragment or segment that still waits for others, or waited in vain
	OutcomeKeepAlive                   // CRLF and the like (RFC 5626), TCP keep-alives
	OutcomeDuplicate                   // a TCP segment seen before
	OutcomeEncrypted                   // TLS records
	OutcomeRTP                         // of a stream that SDP names or that its packets prove
	OutcomeRTCP                        // reports about streams
	OutcomeOther                       // not SIP: other protocols, segments without payload
	OutcomeTruncated                   // the snaplen left too little to tell
	OutcomeMalformed                   // headers that contradict themselves
	outcomes
)

// String is the outcome in lower case with "_" between words.
func (o Outcome) String() string {
	return [...]string{
		"sip", "continuation", "held", "keep_alive", "duplicate", "encrypted", "rtp", "rtcp", "other", "truncated", "malformed", "?",
	}[min(o, outcomes)]
}

// Accounting says what became of every packet read.
type Accounting struct {
	Packets   uint64
	Messages  uint64
	Outcomes  [outcomes]uint64
	Malformed [frame.Reasons]uint64 // by reason, adds up to Outcomes[OutcomeMalformed]
	Streams   StreamLimits
}

// StreamLimits counts what the limits of reassembly cost.
type StreamLimits struct {
	Datagrams uint64 // IP datagrams given up: fragments missing or limits reached
	Gaps      uint64 // holes in TCP streams
	Evicted   uint64 // TCP and SCTP connections, each direction, evicted by a limit
	Fragments uint64 // IP datagrams of which fragments waited, evicted by a limit
	Overlaps  uint64 // fragments or segments that contradict earlier bytes
	Secrets   uint64 // TLS secrets forgotten for newer ones: their connections cannot be read
	Unawaited uint64 // TLS connections with an end or a hole whose keys were not waited for any longer: the limit was reached
	Unkept    uint64 // texts of messages that the vault did not take: they cannot be shown again
}

// Each calls f for every outcome that occurred, in a fixed order.
func (a *Accounting) Each(f func(name string, n uint64)) {
	for o, n := range a.Outcomes {
		if n > 0 {
			f(Outcome(o).String(), n)
		}
	}
}

// EachMalformed calls f for every reason that occurred.
func (a *Accounting) EachMalformed(f func(reason string, n uint64)) {
	for r, n := range a.Malformed {
		if n > 0 {
			f(frame.Reason(r).String(), n)
		}
	}
}

// add adds b's counts to a; its stream counters are totals already.
func (a *Accounting) add(b *Accounting) {
	a.Packets += b.Packets
	a.Messages += b.Messages
	for i, n := range b.Outcomes {
		a.Outcomes[i] += n
	}
	for i, n := range b.Malformed {
		a.Malformed[i] += n
	}
	a.Streams = b.Streams
}
