// Package stream reassembles TCP (RFC 9293 3.4) for an onlooker and frames the SIP messages in it (RFC 3261 18.3).
//
// An onlooker may start in the middle, miss segments that the peers got, and see copies. What he has not seen within a
// bound is a gap: it is told, and the text goes on at the next start line. The messages depend on the bytes alone, never
// on how segments cut them.
//
// The package does not decode frames or parse messages. An Assembler has one owner and neither goroutine, lock nor
// clock: time is packet time in nanoseconds. It copies what must wait; what it hands out is valid during the call.
//
//	segment ─▶ Assembler: flow, sequence numbers, holes ─▶ framer: start line, head, body ─▶ Receiver
package stream

import "sipscope/decode/frame"

// Segment is a TCP segment on its way into the Assembler.
type Segment struct {
	Src, Dst frame.Endpoint
	Path     frame.Path // what the frame was in
	Seq, Ack uint32
	Flags    uint8         // frame.SYN and so on
	Payload  []byte        // valid during the call
	Pieces   []frame.Piece // where Payload lies in the capture; valid during the call
	Cut      bool          // the snaplen cut Payload: what follows it in the stream is missing
	Frame    uint64        // number of the frame, 1-based
	Time     int64         // of the frame, ns since 1970-01-01 UTC
}

// Framed is a message. It, its Text and its Pieces are valid during the call only.
type Framed struct {
	Src, Dst  frame.Endpoint
	Text      []byte        // from the start line to the end of the body
	Pieces    []frame.Piece // where Text lies in the capture, byte for byte
	Frame     uint64        // that carried the last missing byte; below the frame at hand when only later bytes told the end
	Time      int64         // of that frame
	Skipped   uint64        // bytes before it that belong to no message: a body longer than its Content-Length, for one
	AfterGap  bool          // bytes before it are missing
	Truncated bool          // its end is missing
	HEP       bool          // Text is a HEP message, whatever it carries
	Layer     Layer         // what the message was wrapped in, beyond TCP
}

// Gap is a hole in a direction of a connection that carries SIP.
type Gap struct {
	Src, Dst frame.Endpoint
	Bytes    uint64 // 0 when unknown
	Frame    uint64 // the newest when the hole became certain
	Time     int64  // likewise
}

// Receiver takes what comes out of the Assembler, in the order in which it became certain. It must not call back.
type Receiver interface {
	Framed(f *Framed)
	Gap(g *Gap)
}

// Fate is what became of a segment. Each has exactly one.
type Fate uint8

// Fates.
const (
	Empty     Fate = iota // no payload
	Completed             // one or more messages were completed by it, or became certain with it
	Partial               // part of a message, or of what may become one
	Held                  // behind a hole
	KeepAlive             // CRLFs between messages (RFC 5626 4.4.1), TCP keep-alives (RFC 9293 3.8.4)
	Duplicate             // seen before
	Sealed                // bytes of a conduit that nobody can read, or that are its own (Pipe.Opaque)
	NotSIP                // belongs to no message
)

// String is the fate in lower case with "-" between words.
func (f Fate) String() string {
	return [...]string{
		"empty", "completed", "partial", "held", "keep-alive", "duplicate", "sealed", "not-sip", "?",
	}[min(f, NotSIP+1)]
}

// Counters counts what bounds and broken streams cost.
type Counters struct {
	Messages   uint64 // framed
	Gaps       uint64 // holes given up in directions that carry SIP
	GapBytes   uint64 // that they have
	Evicted    uint64 // directions forgotten, or relieved of what they held, for a limit
	Overlaps   uint64 // segments that overlapped others only in part, or contradict bytes that are held
	Duplicates uint64 // segments seen before
	Skipped    uint64 // bytes between messages that belong to none, in directions that carry SIP
	Heads      uint64 // messages given up because their head never became whole
	Oversize   uint64 // messages cut for Limits.Message
	Restarts   uint64 // connections that began anew on the same addresses
	Unawaited  uint64 // connections whose conduit waited for something when Limits.Ended was reached
}

// Limits bounds what an Assembler keeps. Times are packet time in nanoseconds.
type Limits struct {
	Flows       int   // directions; the longest idle goes first
	Total       int   // bytes of all directions
	Message     int   // bytes of a message; beyond, it is truncated
	Head        int   // bytes of a message without its body; beyond, it is none
	Held        int   // segments behind a hole
	HeldBytes   int   // likewise
	HoleAge     int64 // how long a hole may stay open
	AckedAge    int64 // likewise, when the receiver has acknowledged the missing bytes: the wire had them
	SettleAge   int64 // how long a message waits that is whole unless later bytes belie its Content-Length
	MessageAge  int64 // how long an incomplete message waits for more: no transaction lives longer (RFC 3261 timer B)
	IdleAge     int64 // how long a silent direction is remembered
	Ended       int   // bytes of directions that have ended, or a hole, for whose keys a conduit waits; 0: it does not wait
	Search      int   // bytes without a start line after which a direction is taken for something else
	MaxDistance int   // bytes between two segments of one connection; beyond, it must be another connection
}

// DefaultLimits gives the limits of New: 65,536 directions, 64 MiB, messages of 1 MiB.
func DefaultLimits() Limits {
	const ms, s = 1_000_000, 1_000_000_000
	return Limits{
		Flows: 1 << 16, Total: 64 << 20, Message: 1 << 20, Head: 256 << 10, Held: 64, HeldBytes: 256 << 10,
		HoleAge: 3 * s, AckedAge: 50 * ms, SettleAge: 500 * ms, MessageAge: 32 * s, IdleAge: 3600 * s,
		Ended: 16 << 20, Search: 64 << 10, MaxDistance: 4 << 20,
	}
}
