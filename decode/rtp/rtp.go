// Package rtp reads RTP and RTCP (RFC 3550), and the telephone-events that RTP carries (RFC 4733).
//
// It reads headers, not sound: what a payload type stands for is said elsewhere, in SDP. It allocates nothing but the
// errors, holds no state, and its functions may be called from any goroutine. What it gives points into what it was
// given. No length that a packet states is trusted.
package rtp

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrNotRTP says that a datagram is no RTP packet, or one that is cut.
var ErrNotRTP = errors.New("not RTP")

// HeaderBytes is the length of the fixed header (RFC 3550 5.1):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|V=2|P|X|  CC   |M|     PT      |       sequence number         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                           timestamp                           |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|           synchronization source (SSRC) identifier            |
//	+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
//	|            contributing source (CSRC) identifiers             |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
const HeaderBytes = 12

// MaxPT is the highest payload type: it has seven bits (RFC 3550 5.1).
const MaxPT = 127

// Bits of the first two bytes.
const (
	version     = 2
	paddingBit  = 0x20
	extendedBit = 0x10
	countMask   = 0x0f
	markerBit   = 0x80
)

// Packet is an RTP packet. Payload points into what it was parsed from.
type Packet struct {
	Marker    bool
	PT        uint8 // payload type, 0 to 127
	Seq       uint16
	Timestamp uint32 // in units of the payload's clock rate
	SSRC      uint32
	Payload   []byte // without padding
}

// Parse reads an RTP packet. CSRC and header extension are passed over. RTCP in the same port is no RTP (RFC 5761 4).
// It fails with ErrNotRTP, and leaves p in any state then.
func Parse(b []byte, p *Packet) error {
	if len(b) < HeaderBytes || b[0]>>6 != version || IsRTCP(b) {
		return fmt.Errorf("%w: %d bytes", ErrNotRTP, len(b))
	}
	p.Marker, p.PT = b[1]&markerBit != 0, b[1]&MaxPT
	p.Seq = binary.BigEndian.Uint16(b[2:])
	p.Timestamp, p.SSRC = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	at, end := HeaderBytes+4*int(b[0]&countMask), len(b)
	if b[0]&extendedBit != 0 { // profile, length in words (RFC 3550 5.3.1)
		if at+4 > end {
			return fmt.Errorf("%w: extension at byte %d of %d", ErrNotRTP, at, end)
		}
		at += 4 + 4*int(binary.BigEndian.Uint16(b[at+2:]))
	}
	if b[0]&paddingBit != 0 { // its last byte has its length
		end -= max(int(b[end-1]), 1)
	}
	if at > end {
		return fmt.Errorf("%w: payload from byte %d to %d", ErrNotRTP, at, end)
	}
	p.Payload = b[at:end]
	return nil
}

// Rewrite changes the five fields of the fixed header of a packet that Parse reads to those of p, in place: marker,
// payload type, sequence number, timestamp and SSRC. All else, such as CSRC, header extension, payload and padding, stays
// byte for byte. It does nothing to what is too short.
func Rewrite(b []byte, p *Packet) {
	if len(b) < HeaderBytes {
		return
	}
	b[1] = p.second()
	binary.BigEndian.PutUint16(b[2:], p.Seq)
	binary.BigEndian.PutUint32(b[4:], p.Timestamp)
	binary.BigEndian.PutUint32(b[8:], p.SSRC)
}

// second is the second byte: marker and payload type.
func (p *Packet) second() byte {
	if p.Marker {
		return markerBit | p.PT&MaxPT
	}
	return p.PT & MaxPT
}

// AppendHeader appends the fixed header: no CSRC, extension or padding.
func (p *Packet) AppendHeader(dst []byte) []byte {
	dst = append(dst, version<<6, p.second())
	dst = binary.BigEndian.AppendUint16(dst, p.Seq)
	dst = binary.BigEndian.AppendUint32(dst, p.Timestamp)
	return binary.BigEndian.AppendUint32(dst, p.SSRC)
}

// Append appends the packet.
func (p *Packet) Append(dst []byte) []byte { return append(p.AppendHeader(dst), p.Payload...) }

// IsRTCP tells RTCP from RTP by its packet type, which would be a payload type 64 to 95 with the marker (RFC 5761 4).
func IsRTCP(b []byte) bool { return len(b) >= 2 && b[0]>>6 == version && b[1] >= 192 && b[1] <= 223 }
