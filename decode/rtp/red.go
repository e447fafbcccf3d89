package rtp

import "encoding/binary"

// MaxRedBlocks is how many blocks of one packet are read; senders put in two to five (RFC 2198 5, RFC 4733 2.6).
const MaxRedBlocks = 16

// RedBlock is one block of a packet with redundant data (RFC 2198 3): an encoding of its own.
type RedBlock struct {
	PT        uint8  // payload type, 0 to 127
	Primary   bool   // the newest data, and the last block; the others were sent before, as primary data
	Timestamp uint32 // of the packet less the block's offset
	Payload   []byte // points into what it was read from
}

// The header of a block (RFC 2198 3), of which the last, primary one has the first byte only:
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|F|   block PT  |  timestamp offset         |   block length    |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
const (
	followBit    = 0x80
	redundantLen = 4
	lengthBits   = 10
	offsetMask   = 1<<14 - 1
)

// AppendRedBlocks appends the blocks of a payload with redundant data to dst, the oldest first as they stand, the primary one
// last, and allocates nothing while dst has room for MaxRedBlocks. ts is the packet's timestamp; payload is without padding.
// cut says that bytes at its end were not captured: the blocks that reach into them are left out. It reports false, and dst
// as it was, when headers and lengths do not fit, and for more than MaxRedBlocks.
func AppendRedBlocks(dst []RedBlock, payload []byte, ts uint32, cut bool) ([]RedBlock, bool) {
	at, n := 0, 1
	for ; at < len(payload) && payload[at]&followBit != 0; at += redundantLen {
		n++
	}
	if at >= len(payload) || n > MaxRedBlocks {
		return dst, false
	}
	out, data := dst, payload[at+1:]
	for h := payload; h[0]&followBit != 0; h = h[redundantLen:] {
		x := binary.BigEndian.Uint32(h)
		size := int(x & (1<<lengthBits - 1))
		if size > len(data) && cut {
			return out, true
		}
		if size > len(data) {
			return dst, false
		}
		out = append(out, RedBlock{PT: h[0] & MaxPT, Timestamp: ts - x>>lengthBits&offsetMask, Payload: data[:size:size]})
		data = data[size:]
	}
	if cut && len(data) == 0 {
		return out, true
	}
	return append(out, RedBlock{PT: payload[at] & MaxPT, Primary: true, Timestamp: ts, Payload: data}), true
}
