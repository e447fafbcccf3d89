// Package stream is the media of a replay: recorded RTP sent again to where the live SDP says, and what comes back
// counted.
//
//	Recording   recorded packets of one source, ready to be sent any number of times at once
//	Stream      one m= line of one call on one port: recordings, or sound in their place; a receiver; RTCP
//	Set         many streams, and which is due
//
// A packet keeps its payload, marker, header extension and its distance in time, sequence number and timestamp from the
// others of its source. Its SSRC, and where both numbers begin, are chosen anew (RFC 3550 5.1, 8); its payload type
// becomes that under which the live side takes the same codec, by name, clock rate and channels. What it takes under no
// payload type is not sent, and noted. RTCP is made, not replayed.
//
// Streams are functions of (state, input, now): no goroutine, clock or socket. They belong to the goroutine of their
// ports. Whom they may send to is not decided here: give them the ports of a guard.Guard. Encrypted recordings (SRTP)
// cannot be sent again, since the keys are another call's; leave them out.
package stream

import (
	"fmt"
	"strings"
)

// Mode says what a stream sends.
type Mode uint8

// Modes.
const (
	Auto Mode = iota // what was recorded; silence where there is nothing that the live side would take
	Off              // nothing, not even RTCP; what comes is counted
	Tone             // 440 Hz, and recorded digits
	File             // Config.Sound over and over, and recorded digits
)

// modes are the names of modes.
var modes = [...]string{"auto", "off", "tone", "file"} //nolint:gochecknoglobals // a read-only table

// String is the mode in lower case.
func (m Mode) String() string { return modes[min(m, File)] }

// ParseMode reads the name of a mode in any case.
func ParseMode(s string) (Mode, error) {
	for i, name := range modes {
		if strings.EqualFold(s, name) {
			return Mode(i), nil
		}
	}
	return 0, fmt.Errorf("media mode %.40q: want %s", s, strings.Join(modes[:], ", "))
}
