package media

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrNotRTP says that a datagram is no RTP packet, or one that is cut.
var ErrNotRTP = errors.New("not RTP")

// rtpHeader is the length of the fixed header in bytes (RFC 3550 5.1):
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
const rtpHeader = 12

// Packet is an RTP packet. Payload points into what it was parsed from.
type Packet struct {
	Marker    bool
	PT        uint8 // payload type, 0 to 127
	Seq       uint16
	Timestamp uint32 // in samples
	SSRC      uint32
	Payload   []byte // without padding
}

// ParsePacket reads an RTP packet. CSRC and header extension are passed over. RTCP in the same port is no RTP (RFC 5761 4).
func ParsePacket(b []byte, p *Packet) error {
	if len(b) < rtpHeader || b[0]>>6 != 2 || isRTCP(b) {
		return fmt.Errorf("%w: %d bytes", ErrNotRTP, len(b))
	}
	p.Marker, p.PT = b[1]&0x80 != 0, b[1]&0x7f
	p.Seq = binary.BigEndian.Uint16(b[2:])
	p.Timestamp, p.SSRC = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	at, end := rtpHeader+4*int(b[0]&0x0f), len(b)
	if b[0]&0x10 != 0 { // extension: profile, length in words (RFC 3550 5.3.1)
		if at+4 > end {
			return fmt.Errorf("%w: extension at byte %d of %d", ErrNotRTP, at, end)
		}
		at += 4 + 4*int(binary.BigEndian.Uint16(b[at+2:]))
	}
	if b[0]&0x20 != 0 { // padding: its last byte has its length
		end -= max(int(b[end-1]), 1)
	}
	if at > end {
		return fmt.Errorf("%w: payload from byte %d to %d", ErrNotRTP, at, end)
	}
	p.Payload = b[at:end]
	return nil
}

// isRTCP tells RTCP from RTP by its packet type, which would be a payload type 64 to 95 with the marker (RFC 5761 4).
func isRTCP(b []byte) bool { return len(b) >= 2 && b[0]>>6 == 2 && b[1] >= 192 && b[1] <= 223 }

// appendHeader appends the header of a packet.
func (p *Packet) appendHeader(dst []byte) []byte {
	marker := byte(0)
	if p.Marker {
		marker = 0x80
	}
	dst = append(dst, 2<<6, marker|p.PT&0x7f)
	dst = binary.BigEndian.AppendUint16(dst, p.Seq)
	dst = binary.BigEndian.AppendUint32(dst, p.Timestamp)
	return binary.BigEndian.AppendUint32(dst, p.SSRC)
}

// Append appends the packet.
func (p *Packet) Append(dst []byte) []byte { return append(p.appendHeader(dst), p.Payload...) }

// eventBytes is the length of a telephone-event (RFC 4733 2.3):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|     event     |E|R| volume    |          duration             |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
const eventBytes = 4

// digits are the events 0 to 15 (RFC 4733 3.2).
const digits = "0123456789*#ABCD"

// event is a telephone-event.
type event struct {
	code     uint8
	end      bool
	volume   uint8  // dB below 0 dBm0, 0 to 63
	duration uint16 // samples
}

func (e event) append(dst []byte) []byte {
	flags := e.volume & 0x3f
	if e.end {
		flags |= 0x80
	}
	return binary.BigEndian.AppendUint16(append(dst, e.code, flags), e.duration)
}

func parseEvent(b []byte) (e event, ok bool) {
	if len(b) < eventBytes {
		return event{}, false
	}
	return event{
		code: b[0], end: b[1]&0x80 != 0, volume: b[1] & 0x3f, duration: binary.BigEndian.Uint16(b[2:]),
	}, true
}
