// Package hep speaks HEP, the Homer encapsulation protocol, in versions 1, 2 and 3: capture agents send what they saw,
// with its addresses and time, to a collector. It takes messages apart (Is, Extent, Decode, Inflate), makes them (Append),
// receives them from many agents at once as a capture.Source (Listen), and sends them to a collector (NewSender).
//
// It does not read what is in a message: SIP is decode's business. Decoded packets slice into what they were decoded from
// and live as long as it does. Functions are safe for concurrent use, and so are Listener and Sender, but for
// Listener.Next, which one goroutine calls. There is no RFC; the protocol is what github.com/sipcapture/HEP says and
// what agents send.
package hep

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
)

// Protocol types, what a payload is (chunk 11 of version 3). Others pass through.
const (
	TypeSIP    = 1
	TypeXMPP   = 2
	TypeSDP    = 3
	TypeRTP    = 4
	TypeRTCP   = 5 // as JSON
	TypeReport = 34
	TypeMOS    = 35
	TypeLog    = 100
)

// IP protocol numbers in Packet.Proto.
const (
	protoTCP  = 6
	protoUDP  = 17
	protoTLS  = 22 // IDP: what Kamailio writes for TLS and WebSocket
	protoSCTP = 132
)

// Address families in messages: Linux's numbers.
const (
	familyIPv4 = 2
	familyIPv6 = 10
)

// maxMessage is the longest message of version 3 in bytes: its length has 16 bits.
const maxMessage = 65535

// MaxDatagram is the longest message that a UDP datagram over IPv4 carries, in bytes.
const MaxDatagram = 65535 - 20 - 8

// Packet is one message: a captured payload with its addresses and time.
type Packet struct {
	Version       uint8          // 1, 2 or 3
	Family        uint8          // address family as the agent wrote it: 2 for IPv4, 10 for IPv6; see Src for what counts
	Proto         uint8          // IP protocol of the payload: 17 UDP, 6 TCP, 132 SCTP, 22 for TLS by some
	Type          uint8          // protocol type, such as TypeSIP; versions 1 and 2 carry SIP only
	Src, Dst      netip.AddrPort // of the payload; the address is not valid when the message has none
	Time          int64          // when the agent captured it, ns since 1970-01-01 UTC; 0 when absent
	CaptureID     uint32         // number of the agent
	KeepAlive     uint16         // keep-alive timer in seconds
	VLAN          uint16         // VLAN identifier
	Key           []byte         // authentication key
	Node          []byte         // name of the agent
	CorrelationID []byte         // what joins payloads, such as a Call-ID
	Payload       []byte         // nil when the message has none
	PayloadOff    int            // of Payload in what was decoded, in bytes
	Compressed    bool           // Payload is compressed; see Inflate
}

// ErrTooLarge says that a message, or a payload once inflated, exceeds its bound.
var ErrTooLarge = errors.New("too large")

// ErrClosed says that a sender is closed.
var ErrClosed = errors.New("closed")

// Error says why bytes are no HEP message.
type Error struct {
	Offset int    // where, in bytes from the start of the message
	Reason string // what was expected and what was there
}

// Error is one line.
func (e *Error) Error() string { return fmt.Sprintf("HEP at offset %d: %s", e.Offset, e.Reason) }

// Version 3:
//
//	0      4        6                                   total length
//	"HEP3" | length | chunk | chunk | ...               |
//
//	0        2      4        6
//	vendor | type | length | value ...                  length counts the 6 bytes before the value
const (
	magic     = "HEP3"
	headSize  = 6
	chunkHead = 6
)

// Versions 1 and 2, integers in network order but for those of the time header, which are in the agent's order: little
// endian. C structures were sent as they lie in memory, so the time header ends with two bytes of padding.
//
//	0         1        2        3       4             6                  8
//	version | length | family | proto | source port | destination port | source | destination | time header | payload
//
//	0         4              8            10
//	seconds | microseconds | capture id | padding       version 2 only
const (
	oldHead    = 8
	timeHead   = 12
	timePacked = 10 // from agents that pack it, which then count it in the length
)

// Is reports whether a datagram may be a HEP message of any version; it is cheap. For versions 1 and 2, which begin with
// no magic, the header must add up, for any UDP payload is asked. Decode has the last word.
func Is(b []byte) bool {
	if len(b) < headSize {
		return false
	}
	switch b[0] {
	case 'H':
		return string(b[:len(magic)]) == magic && binary.BigEndian.Uint16(b[len(magic):]) >= headSize
	case 1, 2:
		_, ok := oldLayout(b)
		return ok
	}
	return false
}

// State says what Extent found.
type State uint8

// What a stream may hold at some place.
const (
	_        State = iota
	NeedMore       // the beginning of a message
	NotHEP         // no message, whatever follows
	Whole          // a whole message
)

// Extent gives the length in bytes of the version 3 message that b, a piece of a stream, begins with; 0 while it is not
// known. Older versions do not say how long they are, and so do not come in streams. An empty b needs more.
func Extent(b []byte) (n int, s State) {
	k := min(len(b), len(magic))
	if string(b[:k]) != magic[:k] {
		return 0, NotHEP
	}
	if len(b) < headSize {
		return 0, NeedMore
	}
	n = int(binary.BigEndian.Uint16(b[len(magic):]))
	switch {
	case n < headSize:
		return 0, NotHEP
	case len(b) < n:
		return n, NeedMore
	}
	return n, Whole
}
