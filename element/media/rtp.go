package media

import "sipscope/decode/rtp"

// ErrNotRTP says that a datagram is no RTP packet, or one that is cut.
var ErrNotRTP = rtp.ErrNotRTP

// Packet is an RTP packet. Payload points into what it was parsed from.
type Packet = rtp.Packet

// ParsePacket reads an RTP packet; see rtp.Parse.
func ParsePacket(b []byte, p *Packet) error { return rtp.Parse(b, p) }

// digits are the events 0 to 15 (RFC 4733 3.2).
const digits = rtp.Digits
