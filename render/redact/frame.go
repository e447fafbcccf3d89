package redact

import (
	"encoding/binary"
	"errors"
	"fmt"

	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/decode/frame"
	"sipscope/decode/sip"
)

// ErrTooLong says that a text does not fit a UDP datagram (65,507 bytes over IPv4, RFC 768).
var ErrTooLong = errors.New("message does not fit a datagram")

// Framer puts redacted texts into frames: Ethernet, IPv4 or IPv6, and UDP, or TCP for every other transport (TLS and
// WebSocket are written as what they carry: the keys stay out of a redacted file). It counts sequence numbers and IP ids,
// so that a reader of the frames finds the same streams, retransmissions and duplicates. The zero value is ready; one
// Framer writes one file, from one goroutine, the messages in the order of their frames.
type Framer struct {
	flows map[flow]*flowState
	id    uint16 // of IP, of the newest frame
}

type flow struct{ src, dst frame.Endpoint }

// flowState is one direction of a flow.
type flowState struct {
	next, last uint32 // TCP sequence numbers: of the next byte, and of the newest message
	id         uint16 // IP id of the newest message
}

// Bounds of frames.
const (
	maxDatagram = 65507 // bytes of text: 65,535 less the headers of IPv4 and UDP
	maxSegment  = 65000 // bytes of text in a TCP segment; a longer text goes in several
	maxHole     = 1 << 20
	etherSize   = 14
	ipv4Size    = 20
	ipv6Size    = 40
	udpSize     = 8
	tcpSize     = 20
)

// Frames gives the frames, of link type Ethernet, that carry the redacted text of m, which a redacted call has: one, or
// several for a text of more than 65,000 bytes over TCP. A text that UDP cannot carry gives ErrTooLong. Endpoints without
// an address, and those of two families, give an error. The frames are the caller's.
//
// Where the text is shorter than its Content-Length, over TCP, a hole of that size follows, as it did in the capture.
func (f *Framer) Frames(m *correlate.Message, text []byte) ([][]byte, error) {
	switch {
	case !m.Src.IsValid() || !m.Dst.IsValid() || m.Src.V4 != m.Dst.V4:
		return nil, fmt.Errorf("frame %d: %s > %s: %w", m.Seq, m.Src, m.Dst, errEndpoints)
	case stream(m.Transport):
		return f.segments(m, text), nil
	case len(text) > maxDatagram:
		return nil, fmt.Errorf("frame %d: %d bytes: %w", m.Seq, len(text), ErrTooLong)
	}
	s := f.state(flow{m.Src, m.Dst})
	if m.Flags&decode.TapDuplicate == 0 || s.id == 0 {
		s.id = f.nextID()
	}
	b := header(m, s.id, protoUDP, udpSize+len(text))
	at := len(b)
	b = binary.BigEndian.AppendUint16(b, m.Src.Port)
	b = binary.BigEndian.AppendUint16(b, m.Dst.Port)
	b = binary.BigEndian.AppendUint16(b, uint16(udpSize+len(text))) //nolint:gosec // checked
	b = append(append(b, 0, 0), text...)
	sum := checksum(b[at:], pseudo(m, protoUDP, udpSize+len(text)))
	if sum == 0 {
		sum = 0xffff // 0 says that there is no checksum (RFC 768)
	}
	binary.BigEndian.PutUint16(b[at+6:], sum)
	return [][]byte{b}, nil
}

var errEndpoints = errors.New("no pair of addresses of one family")

// stream reports whether a transport is written as TCP.
func stream(t decode.Transport) bool { return t != decode.UDP && t != decode.TransportUnknown }

func (f *Framer) nextID() uint16 {
	if f.id++; f.id == 0 {
		f.id = 1
	}
	return f.id
}

func (f *Framer) state(k flow) *flowState {
	if s := f.flows[k]; s != nil {
		return s
	}
	if f.flows == nil {
		f.flows = map[flow]*flowState{}
	}
	s := &flowState{next: 1, last: 1}
	f.flows[k] = s
	return s
}

// segments writes a text in TCP segments.
func (f *Framer) segments(m *correlate.Message, text []byte) [][]byte {
	s, back := f.state(flow{m.Src, m.Dst}), f.state(flow{m.Dst, m.Src})
	again := m.Flags&decode.TapDuplicate != 0 && s.id != 0
	if again {
		s.next = s.last
	} else {
		s.id = f.nextID()
	}
	s.last = s.next
	lack := min(max(missing(text), 0), maxHole)
	var out [][]byte
	for id := s.id; len(out) == 0 || len(text) > 0; id = f.nextID() {
		part := text[:min(len(text), maxSegment)]
		text = text[len(part):]
		out = append(out, segment(m, id, s.next, back.next, part))
		s.next += uint32(len(part)) //nolint:gosec // at most maxSegment
		if len(text) == 0 {
			break
		}
	}
	s.next += uint32(lack)
	return out
}

func segment(m *correlate.Message, id uint16, seq, ack uint32, text []byte) []byte {
	const pushAck, window = 5<<12 | frame.PSH | frame.ACK, 0xffff
	b := header(m, id, protoTCP, tcpSize+len(text))
	at := len(b)
	b = binary.BigEndian.AppendUint16(b, m.Src.Port)
	b = binary.BigEndian.AppendUint16(b, m.Dst.Port)
	b = binary.BigEndian.AppendUint32(b, seq)
	b = binary.BigEndian.AppendUint32(b, ack)
	b = binary.BigEndian.AppendUint16(b, pushAck)
	b = binary.BigEndian.AppendUint16(b, window)
	b = append(append(b, 0, 0, 0, 0), text...)
	binary.BigEndian.PutUint16(b[at+16:], checksum(b[at:], pseudo(m, protoTCP, tcpSize+len(text))))
	return b
}

// IP protocol numbers.
const (
	protoTCP = 6
	protoUDP = 17
)

// header makes the Ethernet and IP headers. The hardware addresses are made up and locally administered: real ones name
// a machine.
func header(m *correlate.Message, id uint16, proto byte, size int) []byte {
	b := make([]byte, 0, etherSize+ipv6Size+size)
	b = append(b, 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1)
	src, dst := m.Src.Addr().AsSlice(), m.Dst.Addr().AsSlice()
	if !m.Src.V4 {
		b = append(b, 0x86, 0xdd, 0x60, 0, 0, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(size)) //nolint:gosec // bounded by the callers
		b = append(b, proto, 64)
		return append(append(b, src...), dst...)
	}
	b = append(b, 0x08, 0x00, 0x45, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(ipv4Size+size)) //nolint:gosec // bounded by the callers
	b = binary.BigEndian.AppendUint16(b, id)
	b = append(b, 0x40, 0, 64, proto, 0, 0)
	b = append(append(b, src...), dst...)
	binary.BigEndian.PutUint16(b[etherSize+10:], checksum(b[etherSize:], 0))
	return b
}

// pseudo is the sum of the pseudo header (RFC 768, RFC 8200 8.1).
func pseudo(m *correlate.Message, proto byte, size int) uint32 {
	sum := uint32(proto) + uint32(size) //nolint:gosec // at most 65,535
	for _, e := range [...]frame.Endpoint{m.Src, m.Dst} {
		b := e.Addr().AsSlice()
		for i := 0; i < len(b); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(b[i:]))
		}
	}
	return sum
}

// checksum is the Internet checksum (RFC 1071) of b and of what sum has.
func checksum(b []byte, sum uint32) uint16 {
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// missing counts the bytes that a text lacks of what its Content-Length states.
func missing(text []byte) int64 {
	head, length, state := sip.Extent(text)
	if state != sip.HeadComplete || length < 0 {
		return 0
	}
	return length - int64(len(text)-head)
}
