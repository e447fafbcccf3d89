// Package cut takes out of a capture the RTP that calls' SDP names, so that it can be sent again, saved or exported.
//
//	Calls, texts ─▶ SDP ─▶ addresses ─┐
//	capture.Source ─▶ frames ─▶ UDP ──┴─▶ streams of packets, by source, destination and SSRC
//
// It takes a second pass over the capture, since the pipeline keeps no media. A datagram belongs to the call whose SDP
// named its destination last before it, or, behind a NAT that nobody's SDP knows of, its source. RTCP is counted and left
// apart. What is kept is bounded: by bytes, streams, and addresses of a call; what a bound leaves out is counted and told.
//
// The package holds no state of its own, starts no goroutine, and sends nothing. A Cutter belongs to one goroutine. Not
// judged here: loss, jitter, and who hears whom.
package cut

import (
	"sipscope/correlate"
	"sipscope/decode/frame"
)

// Stream is what one source (SSRC) sent from one address to another during a call.
type Stream struct {
	From, To frame.Endpoint
	SSRC     uint32
	Payloads []Payload // in order of appearance
	Call     int       // index into the calls
	// Message is the index of the call's message whose SDP named To, the newest before the first packet. It is -1 when
	// only From was named: the receiver is behind a NAT, and got the packets where it sent its own from.
	Message int
	// Sender is the index of the message whose SDP named From, perhaps after the first packets; -1 when none did.
	Sender int
	Medium int    // 0-based m= line of Message, or of Sender when Message is -1
	Type   string // of the m= line, "audio"
	Secure bool   // it is SRTP: the payload is encrypted for keys that this call had
	// Packets are in the order of the capture, as far as they were kept; see Left.
	Packets     []Packet
	Left        uint64 // packets beyond Options.Bytes, not in Packets
	Duplicates  uint64 // packets that the tap saw twice, not in Packets
	First, Last int64  // times of the first and the last packet, ns since 1970-01-01 UTC; of those left too
}

// Packet is one RTP packet.
type Packet struct {
	Time   int64  // ns since 1970-01-01 UTC
	Offset int64  // ns after Result.Began, less than 0 for what came before
	Data   []byte // the datagram: header, payload and padding
}

// Payload is a payload type of a stream and what it stands for.
type Payload struct {
	PT       uint8  // 0 to 127
	Name     string // "PCMU", "telephone-event", as SDP has it; "" when neither SDP nor RFC 3551 says
	Clock    uint32 // Hz; 0 unknown
	Channels uint8  // at least 1
	Params   string // of a=fmtp
}

// Event reports whether the payload is telephone-events (RFC 4733).
func (p *Payload) Event() bool { return equalFold(p.Name, "telephone-event") }

// Same reports whether two payload types stand for the same codec: name, clock rate and channels (RFC 3264 6.1).
// Payload types that nobody names are not the same as any.
func (p *Payload) Same(q *Payload) bool {
	return p.Name != "" && equalFold(p.Name, q.Name) && p.Clock == q.Clock && max(p.Channels, 1) == max(q.Channels, 1)
}

// Defaults and bounds of Options.
const (
	DefaultBytes   = 64 << 20
	DefaultStreams = 4096
)

// Options bound what a Cutter keeps.
type Options struct {
	Bytes   int64 // of all packets, with some 64 for each; 0: DefaultBytes
	Streams int   // 0: DefaultStreams
	// Types are the media types that are cut, such as "audio"; nil: all.
	Types []string
	// Linger is for how long (ns) after the last message of a call that has ended its addresses still belong to it; 0: 2 s.
	Linger int64
}

// Result is what was cut.
type Result struct {
	Streams []Stream // by call, in order of their first packets
	Began   int64    // time of the first message of all calls, ns since 1970-01-01 UTC
	Counts  Counts

	sides   []correlate.Side // of Streams
	secrets map[int]*secrets // by call
}

// Counts say what became of the datagrams to and from the addresses of the calls.
type Counts struct {
	Packets    uint64 // RTP, kept
	Bytes      uint64 // of those
	Left       uint64 // RTP beyond Options.Bytes
	Duplicates uint64 // RTP that the tap saw twice
	Streamless uint64 // RTP of sources beyond Options.Streams
	RTCP       uint64
	Other      uint64 // STUN, DTLS, T.38 and so on, and RTP that the snaplen cut
	Refused    uint64 // addresses that SDP named beyond the bounds of a call, an address, or all
	Unread     uint64 // messages with SDP whose text could not be read
}

// Complete reports whether no bound left anything out.
func (c *Counts) Complete() bool { return c.Left == 0 && c.Streamless == 0 && c.Refused == 0 }

// Text gives the text of a message of a call, by their indices, nil when it cannot be read.
type Text func(call, message int) []byte

// NewCutter makes a Cutter for calls. It reads the texts of all their messages that carry SDP, now and never again.
func NewCutter(calls []correlate.Call, text Text, o Options) *Cutter {
	return newCutter(calls, text, o)
}
