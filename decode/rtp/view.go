package rtp

import "encoding/binary"

// Header is the fixed header of an RTP packet and the size of what it carries.
type Header struct {
	Timestamp uint32 // in units of the payload's clock rate
	SSRC      uint32
	Seq       uint16
	PT        uint8 // payload type, 0 to 127
	Marker    bool
	Start     uint16 // where the payload begins, bytes
	Size      uint32 // of the payload without padding, bytes on the wire
}

// View reads the headers of an RTP packet of which missing bytes were not captured: what a snaplen cut still counts. It
// reports false, without an error to allocate, for what cannot be RTP: another version, RTCP (RFC 5761 4), or a CSRC list,
// extension or padding that does not fit. h is then in any state.
func View(b []byte, missing uint32, h *Header) bool {
	if len(b) < HeaderBytes || b[0]>>6 != version || IsRTCP(b) {
		return false
	}
	h.Marker, h.PT = b[1]&markerBit != 0, b[1]&MaxPT
	h.Seq = binary.BigEndian.Uint16(b[2:])
	h.Timestamp, h.SSRC = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	at, end := HeaderBytes, len(b)+int(missing)
	if b[0]&(countMask|extendedBit|paddingBit) != 0 {
		var ok bool
		if at, end, ok = bounds(b, missing, end); !ok {
			return false
		}
	}
	h.Start, h.Size = uint16(min(at, 1<<16-1)), uint32(end-at) //nolint:gosec // Within a datagram; at <= end.
	return true
}

// bounds gives where the payload of a packet with a CSRC list, an extension or padding begins and ends, of which end bytes were
// on the wire; false when they do not fit.
func bounds(b []byte, missing uint32, end int) (from, to int, ok bool) {
	at := HeaderBytes + 4*int(b[0]&countMask)
	if b[0]&extendedBit != 0 { // profile, length in words (RFC 3550 5.3.1)
		if at+4 <= len(b) {
			at += 4 * int(binary.BigEndian.Uint16(b[at+2:]))
		} else if missing == 0 {
			return 0, 0, false
		}
		at += 4
	}
	if b[0]&paddingBit != 0 && missing == 0 { // its last byte has its length
		end -= max(int(b[len(b)-1]), 1)
	}
	return at, end, at <= end
}

// Compound reports whether a datagram is RTCP by its form: the packets of a compound packet fill it (RFC 3550 A.2, and RFC
// 5506 for one that does not begin with a report).
func Compound(b []byte) bool {
	if len(b) < controlHeader+sourceBytes || len(b)%4 != 0 || !IsRTCP(b) || b[0]&paddingBit != 0 && !alone(b) {
		return false
	}
	for n := 0; len(b) > 0; n++ {
		if len(b) < controlHeader || b[0]>>6 != version || b[1] < SenderReport || b[1] > ExtendedReport || n == maxControl {
			return false
		}
		size := 4 * (int(binary.BigEndian.Uint16(b[2:])) + 1)
		if size > len(b) || size < least(b) {
			return false
		}
		b = b[size:]
	}
	return true
}

// alone reports whether the first packet is the only one: no other than the last has padding (RFC 3550 6.4.1).
func alone(b []byte) bool { return 4*(int(binary.BigEndian.Uint16(b[2:]))+1) == len(b) }

// least is how many bytes a packet takes for what it counts.
func least(b []byte) int {
	count := int(b[0] & 0x1f)
	switch b[1] {
	case SenderReport:
		return controlHeader + sourceBytes + infoBytes + count*blockBytes
	case ReceiverReport:
		return controlHeader + sourceBytes + count*blockBytes
	case Bye:
		return controlHeader + count*sourceBytes
	default:
		return controlHeader
	}
}
