// Package judge compares the media of a call with what its signalling agreed on (RFC 3264): media that is missing, late, goes
// on after BYE or during hold, or comes with a payload type, packet time or address that nobody agreed on.
//
// It works on plain values (Call) that somebody else fills from messages and streams, and gives findings with the frames that
// show them. It knows what the capture saw and no more: a direction that the capture point does not see is missing for it,
// and the text says so. It has no state; its functions may be called from any goroutine. What it reads comes from the wire:
// the number of findings is bounded, and texts hold addresses, numbers and the names of Payload, which a caller cleans.
package judge

import (
	"cmp"
	"net/netip"
	"slices"
)

// MaxFindings is the number of findings of one call that are given; further ones are left out.
const MaxFindings = 256

// Severity says how bad a finding is.
type Severity uint8

// Severities.
const (
	Note    Severity = iota + 1 // as it should be, or allowed, but good to know
	Warning                     // departs from what was agreed, or sounds badly
	Error                       // somebody does not hear somebody
)

// String is "note", "warning", "error" or "".
func (s Severity) String() string {
	switch s {
	case Note:
		return "note"
	case Warning:
		return "warning"
	case Error:
		return "error"
	default:
		return ""
	}
}

// Code names a finding. Codes are stable; docs/media.md has an example of each.
type Code string

// Codes.
const (
	NoMedia          Code = "no-media"            // agreed on, and nothing came in either direction
	OneWay           Code = "one-way"             // agreed on for both directions, and one is missing
	EarlyMedia       Code = "early-media"         // media before the 2xx
	LateMedia        Code = "late-media"          // media long after the 2xx
	WrongDestination Code = "wrong-destination"   // sent to an address that no description names
	OtherPort        Code = "other-port"          // sent from another port than the sender receives at
	OtherAddress     Code = "other-address"       // sent from another address than the sender's description names
	NAT              Code = "nat"                 // likewise, and the one in the description is private
	PayloadType      Code = "payload-type"        // a payload type that the receiver did not name
	DTMF             Code = "dtmf-not-negotiated" // telephone-events to somebody who did not name them
	PTime            Code = "ptime"               // another packet time than the receiver asked for
	MaxPTime         Code = "maxptime"            // longer packets than the receiver takes
	Hold             Code = "hold"                // a direction was put on hold
	MediaOnHold      Code = "media-on-hold"       // media in a direction that is on hold
	NoResume         Code = "no-resume"           // media does not come back after hold
	Stops            Code = "stops"               // a direction ends long before the call
	AfterBye         Code = "media-after-bye"     // media after the call
	CodecChange      Code = "codec-change"        // a stream changes its codec
	Loss             Code = "loss"                // packets are missing
	Jitter           Code = "jitter"              // packets come irregularly
)

// Codes lists all codes.
func Codes() []Code {
	return []Code{
		NoMedia, OneWay, EarlyMedia, LateMedia, WrongDestination, OtherPort, OtherAddress, NAT, PayloadType, DTMF, PTime, MaxPTime,
		Hold, MediaOnHold, NoResume, Stops, AfterBye, CodecChange, Loss, Jitter,
	}
}

// Section is the rule that a finding departs from or rests on, e.g. "RFC 3264 5.1"; "" when there is none.
func (c Code) Section() string {
	switch c {
	case NoMedia, OneWay, LateMedia, Stops:
		return "RFC 3264 6"
	case EarlyMedia:
		return "RFC 3960 3"
	case WrongDestination, PayloadType, DTMF:
		return "RFC 3264 5.1"
	case OtherPort, OtherAddress, NAT:
		return "RFC 4961 3"
	case PTime:
		return "RFC 8866 6.4"
	case MaxPTime:
		return "RFC 8866 6.5"
	case Hold, MediaOnHold, NoResume:
		return "RFC 3264 8.4"
	case AfterBye:
		return "RFC 3261 15"
	case CodecChange:
		return "RFC 3264 8.3.2"
	case Loss, Jitter:
		return "RFC 3550 6.4.1"
	default:
		return ""
	}
}

// Finding is one thing to say about a call's media.
type Finding struct {
	Code     Code
	Severity Severity
	Time     int64    // packet time of what it is about, nanoseconds since 1970-01-01 UTC
	Text     string   // one sentence
	Frames   []uint64 // that show it, rising
	Stream   uint32   // number of the stream, 0 when it is about none
}

// Call is what a call agreed on, and what was seen of its media. Times are packet times in nanoseconds since 1970-01-01 UTC, 0
// when there is none.
type Call struct {
	Answer, Bye           int64  // first 2xx of the INVITE, last BYE
	AnswerFrame, ByeFrame uint64 // their frames
	First, Last           int64  // the call's own messages
	End                   int64  // of the capture: the newest packet
	Agreements            []Agreement
	Streams               []Stream // of the call
	Strays                []Stream // of no call, from or to a host that the call's descriptions name, in its time
	Seen                  bool     // one of the hosts that its descriptions name has RTP in the capture, of this call or another
	RTP                   bool     // there is RTP in the capture at all: without, nothing is said of media that is missing
}

// Agreement is an offer with its answer on one hop.
type Agreement struct {
	Hop           int // hops of a call have numbers from 0
	Time          int64
	Offer, Answer uint64 // frames
	Media         []Medium
}

// Medium is an m= line of an agreement.
type Medium struct {
	Line     int    // 0-based
	Type     string // "audio", "video"
	Rejected bool   // port 0 on either side, or not carried in RTP
	Caller   End
	Callee   End
}

// End is what one side's description says.
type End struct {
	Addrs          []netip.AddrPort // where it receives: of m= and c=, and of ICE candidates; empty when it names none
	Sends          bool
	Receives       bool
	PTime, MaxTime uint16 // milliseconds, 0 when not given
	Payloads       []Payload
}

// Payload is a payload type of a description or of a stream.
type Payload struct {
	PT      uint8
	Name    string
	Packets uint64 // of a stream
	First   int64  // of a stream: packet time of the first packet
}

// Stream is what was seen of an RTP stream.
type Stream struct {
	Num                   uint32
	Src, Dst              netip.AddrPort
	Type                  string
	First, Last           int64
	FirstFrame, LastFrame uint64
	Packets               uint64
	Expected, Missing     uint64
	MeanJitter            int64
	PTime                 int64 // observed, nanoseconds; 0 or less when not known
	Payloads              []Payload
	Seconds               []Second // rising
	Shared                bool     // another call names the same addresses, and has it: what concerns the stream alone is told there
}

// Second counts the packets of a second of a stream.
type Second struct {
	At      int32 // seconds since Stream.First
	Packets uint32
}

// Thresholds say from when on something is worth a finding. Times are in nanoseconds.
type Thresholds struct {
	Talk    int64   // a call that talked for less is not judged for media that is missing
	Early   int64   // media this long before the answer is early
	Late    int64   // media this long after it is late
	Stop    int64   // a direction that ends this long before the call stops
	Grace   int64   // media may go on for this long after BYE, and after a hold
	Loss    float64 // share
	BadLoss float64 // share, from which on it is an error
	Jitter  int64   // mean
	Packets uint64  // a stream with fewer is not judged for loss, jitter and packet time
}

// Defaults are the thresholds that the program uses.
func Defaults() Thresholds {
	return Thresholds{
		Talk: 3e9, Early: 100e6, Late: 2e9, Stop: 5e9, Grace: 1e9, Loss: 0.01, BadLoss: 0.05, Jitter: 30e6, Packets: 50,
	}
}

// Media judges a call. The findings come in order of time, those of one time in order of code.
func Media(c *Call, t Thresholds) []Finding {
	j := judgement{Call: c, limits: t, homes: map[*Stream]*lane{}, named: map[netip.AddrPort]bool{}, alien: map[alien]bool{}}
	j.lanes = lanes(c)
	for i := range j.lanes {
		l := &j.lanes[i]
		j.assign(l)
		j.settle(l)
		for a := range l.receiver.addrs {
			j.named[a] = true
		}
	}
	for i := range j.lanes {
		j.lanes[i].wrong = j.stray(&j.lanes[i])
	}
	for i := range j.lanes {
		j.lane(&j.lanes[i])
	}
	for i := 0; i+1 < len(j.lanes); i += 2 {
		j.pair(&j.lanes[i], &j.lanes[i+1])
	}
	for i := range c.Streams {
		if !c.Streams[i].Shared {
			j.stream(&c.Streams[i])
		}
	}
	slices.SortStableFunc(j.out, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.Code, b.Code), cmp.Compare(a.Stream, b.Stream))
	})
	return j.out
}

// judgement is a call while it is judged.
type judgement struct {
	*Call
	limits Thresholds
	lanes  []lane // two for each medium of a hop: to the caller, to the callee
	out    []Finding
	homes  map[*Stream]*lane // in which a stream is judged
	named  map[netip.AddrPort]bool
	alien  map[alien]bool // payload types that were told of
}

// alien is a payload type of a stream that its receiver did not name.
type alien struct {
	stream uint32
	pt     uint8
}

// add adds a finding.
func (j *judgement) add(f Finding, frames ...uint64) {
	if len(j.out) >= MaxFindings {
		return
	}
	same := func(g Finding) bool {
		return f.Stream != 0 && g.Stream == f.Stream && g.Code == f.Code && g.Time == f.Time && g.Text == f.Text
	}
	if slices.ContainsFunc(j.out, same) {
		return // another hop shows it, too
	}
	frames = slices.DeleteFunc(frames, func(n uint64) bool { return n == 0 })
	slices.Sort(frames)
	f.Frames = slices.Compact(frames)
	j.out = append(j.out, f)
}
