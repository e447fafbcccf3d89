package decode

import (
	"sipscope/decode/frame"
	"sipscope/decode/sip"
)

// Transport is what carried a message.
type Transport uint8

// The transports, as RFC 3261 and its extensions name them in Via.
const (
	TransportUnknown Transport = iota
	UDP
	TCP
	TLS
	SCTP
	WS
	WSS
)

// String is the name that Via uses.
func (t Transport) String() string {
	return [...]string{"?", "UDP", "TCP", "TLS", "SCTP", "WS", "WSS"}[min(int(t), 6)]
}

// Piece is a part of a message's text and the frame that carried it.
type Piece = frame.Piece

// Flags say what befell a message on its way.
type Flags uint16

const (
	// Truncated marks a message whose text is not whole: the snaplen, a lost segment or a missing fragment cut it.
	Truncated Flags = 1 << iota
	// AfterGap marks the first message of a stream after bytes that the capture does not have.
	AfterGap
	// TapDuplicate marks a frame that the tap saw twice: same IP id and bytes within 2 ms. No retransmission.
	TapDuplicate
	// Reassembled marks a message out of several frames.
	Reassembled
	// Encapsulated marks a message that a capture agent sent in HEP: addresses and time are the agent's, IPID is the agent's
	// number folded to 16 bits.
	Encapsulated
)

// Message is a SIP message with where it came from.
type Message struct {
	Seq       uint64 // the frame that completes the message
	Time      int64  // of that frame, nanoseconds since 1970-01-01 UTC
	Src, Dst  frame.Endpoint
	Pieces    []Piece // the frames, in the order of the text
	Transport Transport
	Flags     Flags
	Nth       uint16 // 0-based among the messages that the frame completes
	IPID      uint16 // of the frame, when HasIPID
	HasIPID   bool
	TTL       uint8      // time to live or hop limit of the frame
	Path      frame.Path // tags, labels and tunnels around the frame; of fragments, around the first
	Words     uint64     // bit i: the text holds Config.Words[i]
	Keys      Keys
	SIP       sip.Message
	Lines     []Line // media addresses of its session description, when Described
	Described bool   // its session description was read; see Decoder.Describe
	Beside    bool   // it was not read, and names media that are not carried in RTP: T.38, MSRP, BFCP

	codecs   []Codec // of Lines
	related  uint64  // hash of the correlation id of its HEP
	pending  bool    // the text is yet to be parsed:
	from, to int     // where it is in Work.text
}

// Gap is a hole that the capture has where SIP was or may have been.
type Gap struct {
	Seq      uint64 // the frame that made the hole certain
	Time     int64
	Src, Dst frame.Endpoint
	Bytes    uint64 // missing, 0 when unknown
	Kind     GapKind
}

// GapKind says what a gap is.
type GapKind uint8

const (
	// StreamGap is TCP segments that the capture does not have.
	StreamGap GapKind = iota + 1
	// FragmentGap is an IP datagram of which fragments are missing.
	FragmentGap
)
