// Package dtmf reads the keys that were pressed in a call: from telephone-events in RTP (RFC 4733, which replaced RFC 2833)
// and from INFO requests (application/dtmf-relay, application/dtmf).
//
// One press is told once, though it takes many packets: those with the timestamp of the press are the press, its end is sent
// three times, and a press longer than a segment goes on with a new timestamp. Start and end may be lost. The package opens
// no files, knows no calls, has no clock and no goroutine; a Tracker belongs to one stream and one goroutine. What it reads is
// hostile: a Tracker keeps at most MaxPresses, and counts what it does not keep.
package dtmf

import "strings"

// Flash is the Digit of a hook flash (event 16 of RFC 4733 3.2), as H.245 writes it in a user input.
const Flash = '!'

// MaxPresses is the number of presses that a Tracker keeps; further ones are counted (Tracker.Dropped).
const MaxPresses = 512

// Via says how a press came.
type Via uint8

// Ways.
const (
	ViaEvent     Via = iota + 1 // telephone-event in RTP
	ViaInfoRelay                // INFO with application/dtmf-relay
	ViaInfo                     // INFO with application/dtmf
)

// String is "rtp-event", "info-relay" or "info".
func (v Via) String() string {
	switch v {
	case ViaEvent:
		return "rtp-event"
	case ViaInfoRelay:
		return "info-relay"
	case ViaInfo:
		return "info"
	default:
		return ""
	}
}

// Press is one key pressed once.
type Press struct {
	Digit     byte   // '0' to '9', '*', '#', 'A' to 'D', Flash
	Via       Via    // how it came
	Volume    uint8  // dB below 0 dBm0 (RFC 4733 2.3.4); 0 for an INFO
	Ended     bool   // an end packet was seen; always true for an INFO
	LostStart bool   // the first packets were lost: Start is reckoned back from the first one seen
	Start     int64  // packet time, nanoseconds since 1970-01-01 UTC
	Duration  int64  // nanoseconds, as the sender said last; -1 unknown
	First     uint64 // first frame
	Last      uint64 // last frame
	Packets   uint32 // packets seen, repeated ends included
	Timestamp uint32 // RTP timestamp of its beginning; 0 for an INFO
}

// Name is the digit as a text: "5", "#", "flash".
func (p *Press) Name() string {
	if p.Digit == Flash {
		return "flash"
	}
	return string(rune(p.Digit))
}

// Sequence is the presses as one text, such as "1234#". A hook flash is "!".
func Sequence(presses []Press) string {
	var b strings.Builder
	b.Grow(len(presses))
	for i := range presses {
		b.WriteByte(presses[i].Digit)
	}
	return b.String()
}
