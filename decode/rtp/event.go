package rtp

import "encoding/binary"

// EventBytes is the length of a telephone-event (RFC 4733 2.3):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|     event     |E|R| volume    |          duration             |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
const EventBytes = 4

// Digits are the characters of the events 0 to 15 (RFC 4733 3.2).
const Digits = "0123456789*#ABCD"

const (
	endBit     = 0x80
	volumeMask = 0x3f
)

// Event is a telephone-event.
type Event struct {
	Code     uint8
	End      bool
	Volume   uint8  // dB below 0 dBm0, 0 to 63
	Duration uint16 // in units of the clock rate, since the packet's timestamp
}

// Digit is the character of an event, 0 for one that is none of the 16 DTMF digits.
func (e Event) Digit() byte {
	if int(e.Code) >= len(Digits) {
		return 0
	}
	return Digits[e.Code]
}

// Append appends the event.
func (e Event) Append(dst []byte) []byte {
	flags := e.Volume & volumeMask
	if e.End {
		flags |= endBit
	}
	return binary.BigEndian.AppendUint16(append(dst, e.Code, flags), e.Duration)
}

// ParseEvent reads the first event of a payload; false for one that is too short.
func ParseEvent(b []byte) (e Event, ok bool) {
	if len(b) < EventBytes {
		return Event{}, false
	}
	return Event{
		Code: b[0], End: b[1]&endBit != 0, Volume: b[1] & volumeMask, Duration: binary.BigEndian.Uint16(b[2:]),
	}, true
}
