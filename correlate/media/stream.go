package media

import (
	"strconv"

	"sipscope/correlate/media/dtmf"
	"sipscope/decode/frame"
)

// Found says how a stream was found.
type Found uint8

// Ways of finding a stream.
const (
	_             Found = iota
	BySDP               // its destination was named by SDP, and its source too or nothing contradicts it
	BySymmetry          // its destination was named by SDP, and it comes from another address than the other side's SDP named
	ByConsistency       // no SDP names it: several packets continue each other
)

// String is "sdp", "symmetry", "consistency" or "".
func (f Found) String() string {
	return [...]string{"", "sdp", "symmetry", "consistency"}[min(int(f), 3)]
}

// Stream is a copy of what is known of one RTP stream: one SSRC from one address to another. Durations are in
// nanoseconds, -1 when not known.
type Stream struct {
	Num      uint32 // 1-based, in order of first packets
	Src, Dst frame.Endpoint
	SSRC     uint32
	Call     uint32    // number of the call whose SDP named it; 0: none
	Message  int       // index into that call's messages of the SDP that named it; -1
	Medium   int       // 0-based m= line of that SDP; -1 without SDP
	Type     string    // "audio", "video"; "" unknown
	Found    Found     // how it was found
	Secure   bool      // SRTP: RTP/SAVP, or a=crypto or a=fingerprint
	Payloads []Payload // by first appearance

	Packets       uint64 // as captured: RFC 3550 A.3 counts what came twice, too
	Bytes         uint64 // of RTP payloads
	Expected      uint64 // RFC 3550 A.3: extended highest sequence number less the first, plus 1, summed over jumps
	Lost          int64  // RFC 3550 A.3: Expected - Packets; a duplicate hides a loss
	Missing       uint64 // distinct sequence numbers never seen
	Duplicates    uint64 // sequence numbers seen again
	Reordered     uint64 // packets that came after one with a higher sequence number
	LossRuns      uint64 // how often packets were passed over: Missing in so many runs
	Late          uint64 // packets too late for the assumed jitter buffer (emodel.Playout)
	Jumps         uint64 // restarts of the sequence: no loss
	TapDuplicates uint64 // those of Duplicates that the tap saw twice: same IP id within 2 ms

	First, Last           int64 // packet times, nanoseconds since 1970-01-01 UTC
	FirstFrame, LastFrame uint64

	Jitter     int64 // interarrival jitter at the end, RFC 3550 A.8
	MeanJitter int64 // mean over the packets that count
	MaxJitter  int64
	MaxGap     int64      // largest time between packets
	MaxGapAt   int64      // when it began
	PTime      int64      // observed packet interval by timestamps
	Skew       float64    // parts per million: the sender's clock against the capture's, positive when it runs fast; NaN unknown
	DSCP       uint8      // of the first packet (RFC 2474)
	Path       frame.Path // of the first packet

	Seconds        []Second // bounded by Limits.Seconds
	SecondsDropped uint64   // packets of seconds that are not kept

	MOS     float64      // estimated by the E-model (ITU-T G.107), 1 to 4.5; 0 unknown
	R       float64      // its transmission rating, 0 to 100 (129 wideband); 0 unknown
	Presses []dtmf.Press // telephone-events (RFC 4733); empty when encrypted
	Reports Reports      // RTCP about this stream
}

// Payload is one payload type of a stream.
type Payload struct {
	PT      uint8
	Name    string // encoding name: of SDP, else of the static type (RFC 3551 6); "" unknown
	Clock   uint32 // Hz; 0 unknown
	Packets uint64
	Bytes   uint64
	First   int64  // packet time of the first
	Carries string // of redundant data (RFC 2198): encoding name of its newest primary block, else of the first in a=fmtp; "" unknown
}

// Second is a second of a stream, by packet time since its first packet.
type Second struct {
	At      int32  // seconds since Stream.First
	Packets uint32 // received
	Lost    uint32 // sequence numbers that were passed over and did not come late in this second
	Jitter  uint32 // largest in the second, microseconds
	Bytes   uint32 // of RTP payloads
}

// Reports is what RTCP says about a stream.
type Reports struct {
	Sender   uint64 // sender reports of its source
	Receiver uint64 // report blocks about it
	CNAME    string // SDES of its source (RFC 3550 6.5.1), as the wire had it
	Bye      int64  // packet time of its BYE; 0 none

	SentPackets, SentBytes uint32  // of the newest sender report
	Fraction               uint8   // newest fraction lost, in 1/256
	MaxFraction            uint8   // largest
	Lost                   int32   // newest cumulative number of packets lost
	Jitter                 int64   // newest interarrival jitter; -1 when the clock rate is not known or nothing was reported
	RTT                    int64   // newest round trip by LSR and DLSR as seen from the capture point's side; -1 unknown
	MaxRTT                 int64   // largest; -1 unknown
	XR                     uint64  // extended report blocks about it (RFC 3611)
	MOSLQ, MOSCQ           float64 // newest of a VoIP metrics block, 1 to 5; 0 not given
	RFactor                uint8   // newest; 0 not given
	Points                 []Point // bounded series of the report blocks
}

// Point is one report block about a stream.
type Point struct {
	Time     int64
	Fraction uint8
	Lost     int32
	Jitter   uint32 // units of the clock rate
	RTT      int64  // -1 unknown
}

// Counts are figures over all streams of a run.
type Counts struct {
	Streams      uint64 // ever
	Live         uint64 // kept now
	Packets      uint64 // RTP of confirmed streams
	RTCP         uint64 // RTCP packets (datagrams)
	Evicted      uint64 // streams given up by a limit
	Candidates   uint64 // unconfirmed streams given up: their packets are of another protocol
	Lost         int64
	Missing      uint64
	Duplicates   uint64
	Reordered    uint64
	Named        uint64 // media addresses that SDP named
	Unkept       uint64 // media addresses beyond the limits
	UnkeptPoints uint64 // RTCP report blocks that counted and were not kept one by one
	Unproved     uint64 // of Candidates, those that gave room to others before they could prove themselves
	Lanes        uint64 // ways of media that are not RTP, ever
	LanePackets  uint64 // that were counted in them
	EvictedLanes uint64 // lanes given up by a limit
	Unmapped     uint64 // media addresses whose list of payload types is one too many to be told apart
}

// Label is the payload type's name, or "PT n" without one.
func (p *Payload) Label() string {
	if p.Name == "" {
		return "PT " + strconv.Itoa(int(p.PT))
	}
	return p.Name
}
