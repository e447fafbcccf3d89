package rtp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// ErrNotRTCP says that a datagram is no compound RTCP packet, or one that is cut.
var ErrNotRTCP = errors.New("not RTCP")

// Packet types of RTCP (RFC 3550 12.1).
const (
	SenderReport   = 200
	ReceiverReport = 201
	Description    = 202 // SDES
	Bye            = 203
	Application    = 204 // APP
)

// Sizes in bytes (RFC 3550 6.4). A sender report is
//
//	|V=2|P|  RC   |   PT=SR=200   |            length             |
//	|                          SSRC of sender                     |
//	|          NTP timestamp, seconds since 1900, 32.32           |
//	|                                                             |
//	|                        RTP timestamp                        |
//	|                    sender's packet count                    |
//	|                     sender's octet count                    |
//
// a receiver report the same without the last five words, and each block in either
//
//	|                            SSRC                             |
//	| fraction lost |       cumulative number of packets lost     |
//	|           extended highest sequence number received         |
//	|                     interarrival jitter                     |
//	|                         last SR (LSR)                       |
//	|                   delay since last SR (DLSR)                |
const (
	controlHeader = 4
	sourceBytes   = 4
	infoBytes     = 20 // sender information
	blockBytes    = 24
	maxControl    = 32 // RTCP packets of a datagram that are looked at
	ntpEpoch      = 2_208_988_800
)

// Control is one packet of a compound RTCP packet (RFC 3550 6.1).
type Control struct {
	Type  uint8  // SenderReport and so on
	Count uint8  // of blocks, of sources, or a subtype: 0 to 31
	SSRC  uint32 // its first source; 0 when it has none
	Body  []byte // after the header of four bytes, padding included
}

// Controls reads a compound packet, one after the other, until f returns false. It fails with ErrNotRTCP where the text
// is no RTCP any more; what came before was given to f. At most 32 are read.
func Controls(b []byte, f func(c *Control) bool) error {
	if len(b) < controlHeader+sourceBytes || !IsRTCP(b) {
		return fmt.Errorf("%w: %d bytes", ErrNotRTCP, len(b))
	}
	var c Control
	for n := 0; len(b) > 0 && n < maxControl; n++ {
		if len(b) < controlHeader || b[0]>>6 != version {
			return fmt.Errorf("%w: header of packet %d", ErrNotRTCP, n+1)
		}
		size := 4 * (int(binary.BigEndian.Uint16(b[2:])) + 1)
		if size > len(b) {
			return fmt.Errorf("%w: packet %d of %d bytes in %d", ErrNotRTCP, n+1, size, len(b))
		}
		c = Control{Type: b[1], Count: b[0] & 0x1f, Body: b[controlHeader:size]}
		if len(c.Body) >= sourceBytes {
			c.SSRC = binary.BigEndian.Uint32(c.Body)
		}
		if !f(&c) {
			return nil
		}
		b = b[size:]
	}
	return nil
}

// Info is the sender information of a sender report (RFC 3550 6.4.1).
type Info struct {
	NTP       uint64 // seconds since 1900, 32.32
	Timestamp uint32 // the same moment in the units of the stream
	Packets   uint32
	Octets    uint32 // of payload
}

// Info reads the sender information; false for another packet, or one that is cut.
func (c *Control) Info() (i Info, ok bool) {
	if c.Type != SenderReport || len(c.Body) < sourceBytes+infoBytes {
		return i, false
	}
	b := c.Body[sourceBytes:]
	return Info{
		NTP: binary.BigEndian.Uint64(b), Timestamp: binary.BigEndian.Uint32(b[8:]),
		Packets: binary.BigEndian.Uint32(b[12:]), Octets: binary.BigEndian.Uint32(b[16:]),
	}, true
}

// Block is a report block: what a receiver says about one source (RFC 3550 6.4.1).
type Block struct {
	SSRC     uint32
	Fraction uint8  // lost since the report before, in 1/256
	Lost     int32  // since the beginning, 24 bits, negative when duplicates came
	Highest  uint32 // extended sequence number
	Jitter   uint32 // in units of the clock rate
	LSR      uint32 // middle of the NTP time of the last sender report; 0: none
	DLSR     uint32 // since then, in 1/65536 s
}

// Blocks gives the report blocks of a sender or receiver report, until f returns false. A count that says more than there
// are gives those that there are.
func (c *Control) Blocks(f func(b *Block) bool) {
	at := sourceBytes
	switch c.Type {
	case SenderReport:
		at += infoBytes
	case ReceiverReport:
	default:
		return
	}
	var x Block
	for n := c.Count; n > 0 && at+blockBytes <= len(c.Body); n-- {
		b := c.Body[at:]
		lost := binary.BigEndian.Uint32(b[4:])
		x = Block{
			SSRC: binary.BigEndian.Uint32(b), Fraction: b[4], Lost: int32(lost<<8) >> 8, //nolint:gosec // 24 bits, signed.
			Highest: binary.BigEndian.Uint32(b[8:]), Jitter: binary.BigEndian.Uint32(b[12:]),
			LSR: binary.BigEndian.Uint32(b[16:]), DLSR: binary.BigEndian.Uint32(b[20:]),
		}
		if !f(&x) {
			return
		}
		at += blockBytes
	}
}

// NTP is a time in nanoseconds since 1970 as seconds since 1900 in 32.32 (RFC 3550 4).
func NTP(now int64) uint64 {
	s, ns := now/int64(time.Second), now%int64(time.Second)
	return uint64(s+ntpEpoch)<<32 | uint64(ns)<<32/uint64(time.Second) //nolint:gosec // After 1900, below a second.
}

// Compact is the middle of an NTP time: seconds in 16.16 (RFC 3550 4).
func Compact(t uint64) uint32 { return uint32(t >> 16) } //nolint:gosec // Its middle 32 bits.
