package correlate

import "time"

// Limits bound what a tracker keeps (law 6). A zero field takes the default.
type Limits struct {
	Calls           int // calls kept; the least recently changed ended call goes first
	Messages        int // messages kept over all calls; the same rule
	MessagesPerCall int // further messages of a call are counted, not kept
	Gaps            int // holes kept
}

// Default limits, sized so that a full archive stays near 10 GiB and an everyday one far below: a call costs about
// 1 KiB with its texts, a message 80 bytes.
const (
	defaultCalls           = 4_000_000
	defaultMessages        = 60_000_000
	defaultMessagesPerCall = 100_000
	defaultGaps            = 65_536
)

// Timers of RFC 3261 table 4 that a passive watcher needs, in nanoseconds of packet time.
const (
	t1     = int64(500 * time.Millisecond)
	timerB = 64 * t1                     // no response to an INVITE; also F for a non-INVITE without a final one
	timerC = int64(3*time.Minute) + t1   // a proxy gives up after provisionals (RFC 3261 16.6 step 11: over 3 min)
	dupAge = int64(2 * time.Millisecond) // a tap shows a frame twice within this, a peer never sends it again so soon
)

// chainLook is how many messages or transactions a search walks back at the most, so that a peer that sends a million
// variants of one message costs linear time. RFC 3261 flows stay below ten.
const chainLook = 64

func (l Limits) withDefaults() Limits {
	set := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	set(&l.Calls, defaultCalls)
	set(&l.Messages, defaultMessages)
	set(&l.MessagesPerCall, defaultMessagesPerCall)
	set(&l.Gaps, defaultGaps)
	return l
}

// Limited counts what the limits cost.
type Limited struct {
	EvictedCalls    uint64 `json:"evicted_calls"`
	EvictedMessages uint64 `json:"evicted_messages"` // that went with their calls
	UnkeptMessages  uint64 `json:"unkept_messages"`  // over MessagesPerCall
	UnkeptGaps      uint64 `json:"unkept_gaps"`
	SharedAddresses uint64 `json:"shared_addresses"` // messages of an address beyond maxEndpoints of their call
	SharedMethods   uint64 `json:"shared_methods"`   // messages of a method beyond maxMethods, shown as "?"
}
