package correlate

import (
	"time"

	"sipscope/correlate/media"
)

// Limits bound what a tracker keeps (law 6). A zero field takes the default.
type Limits struct {
	Calls           int // calls kept; the least recently changed ended call goes first
	Messages        int // messages kept over all calls; the same rule
	MessagesPerCall int // further messages of a call are counted, not kept
	Gaps            int // holes kept
	Media           media.Limits

	// Keep is how long an ended call stays after its last message, in nanoseconds of packet time; 0 for as long as there is
	// room.
	Keep int64
	// Idle is how long a call that has not ended stays without a message; 0 takes a day when Keep is set. A lost BYE, or a
	// binding that nobody refreshes, must not last for weeks.
	Idle int64
}

// Default limits, sized so that a full archive stays near 10 GiB and an everyday one far below: a call costs about
// 1 KiB with its texts, a message 80 bytes.
const (
	defaultCalls           = 4_000_000
	defaultMessages        = 60_000_000
	defaultMessagesPerCall = 100_000
	defaultGaps            = 65_536
	defaultIdle            = int64(24 * time.Hour)
)

// expireEvery is how often aged calls are looked for, in packet time: rarely enough that walking over the calls that go
// on costs nothing.
const expireEvery = int64(time.Second)

// Timers of RFC 3261 table 4 that a passive watcher needs, in nanoseconds of packet time.
const (
	t1       = int64(500 * time.Millisecond)
	timerB   = 64 * t1                     // no response to an INVITE; also F for a non-INVITE without a final one
	timerC   = int64(3*time.Minute) + t1   // a proxy gives up after provisionals (RFC 3261 16.6 step 11: over 3 min)
	agentAge = t1 / 2                      // two agents tell of one message within this, whatever their clocks and distance; a peer repeats it later
	dupAge   = int64(2 * time.Millisecond) // a tap shows a frame twice within this, a peer never sends it again so soon
	sameAge  = dupAge / 4                  // likewise where nothing but time tells the two apart
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
	if l.Keep > 0 && l.Idle <= 0 {
		l.Idle = max(l.Keep, defaultIdle)
	}
	return l
}

// Limited counts what the limits cost.
type Limited struct {
	EvictedCalls    uint64 `json:"evicted_calls"`
	ExpiredCalls    uint64 `json:"expired_calls"`    // of the evicted ones, those that were too old (Keep, Idle)
	EvictedMessages uint64 `json:"evicted_messages"` // that went with their calls
	UnkeptMessages  uint64 `json:"unkept_messages"`  // over MessagesPerCall
	UnkeptGaps      uint64 `json:"unkept_gaps"`
	SharedAddresses uint64 `json:"shared_addresses"`                    // messages of an address beyond maxEndpoints of their call
	SharedPaths     uint64 `json:"shared_paths"`                        // messages in more distinct tunnels than are told apart
	SharedMethods   uint64 `json:"shared_methods"`                      // messages of a method beyond maxMethods, shown as "?"
	EvictedStreams  uint64 `json:"evicted_streams,omitempty"`           // RTP streams that gave room to others (Media)
	UnprovedStreams uint64 `json:"unproved_streams,omitempty"`          // what may have been RTP streams and gave room before it was proved
	EvictedLanes    uint64 `json:"evicted_lanes,omitempty"`             // ways of media that are not RTP that gave room to others
	UnmappedMedia   uint64 `json:"unmapped_media,omitempty"`            // addresses of SDP with one list of payload types too many
	UnkeptReports   uint64 `json:"unkept_reports,omitempty"`            // RTCP report blocks that counted, without a point of their own
	ForgottenMedia  uint64 `json:"forgotten_media_addresses,omitempty"` // addresses of SDP that gave room to others
	Connections     uint64 `json:"connections"`                         // TLS connections forgotten: only the newest are listed
}
