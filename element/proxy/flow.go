package proxy

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"

	"sipscope/element/transport"
)

// A browser behind WebSocket cannot be called back: its Contact names no place (RFC 7118 5), so the requests of the other
// side must come over the connection that it opened. The proxy writes that connection into the user part of its
// Record-Route, as RFC 5626 5.2 says, and follows it when the Route comes back (5.3). A seal keeps others from making one.
//
//	"flow-" word(connection) word(address 0..7) word(address 8..15) word(port, transport) word(seal)
const (
	flowMark  = "flow-"
	flowWords = 5
	flowSize  = len(flowMark) + flowWords*wordSize
)

// hasFlow reports whether a neighbour can only be reached over its connection.
func hasFlow(h *transport.Hop) bool {
	return h.Conn != 0 && (h.Proto == transport.WS || h.Proto == transport.WSS)
}

// appendFlow writes the token of a connection.
func (e *engine) appendFlow(dst []byte, h *transport.Hop) []byte {
	words := flowOf(h)
	dst = append(dst, flowMark...)
	for _, w := range words {
		dst = appendWord(dst, w)
	}
	return appendWord(dst, e.seal(&words))
}

func flowOf(h *transport.Hop) [flowWords - 1]uint64 {
	addr := h.Remote.Addr().As16()
	return [flowWords - 1]uint64{
		h.Conn, binary.BigEndian.Uint64(addr[:8]), binary.BigEndian.Uint64(addr[8:]),
		uint64(h.Remote.Port())<<8 | uint64(h.Proto),
	}
}

func (e *engine) seal(words *[flowWords - 1]uint64) uint64 {
	s := newHasher(e.flowKey)
	for _, w := range words {
		s.mix(w)
	}
	return s.sum()
}

// flow reads the user part of an own Route value.
func (e *engine) flow(user []byte) (h transport.Hop, ok bool) {
	if len(user) != flowSize || string(user[:len(flowMark)]) != flowMark {
		return h, false
	}
	var words [flowWords]uint64
	for i := range words {
		at := len(flowMark) + i*wordSize
		if words[i], ok = parseWord(user[at : at+wordSize]); !ok {
			return h, false
		}
	}
	head := [flowWords - 1]uint64(words[:])
	if e.seal(&head) != words[flowWords-1] {
		return h, false
	}
	var addr [16]byte
	binary.BigEndian.PutUint64(addr[:8], words[1])
	binary.BigEndian.PutUint64(addr[8:], words[2])
	h.Conn, h.Proto = words[0], transport.Proto(words[3])                              //nolint:gosec // sealed
	h.Remote = netip.AddrPortFrom(netip.AddrFrom16(addr).Unmap(), uint16(words[3]>>8)) //nolint:gosec // sealed
	return h, true
}

// parseWord undoes appendWord.
func parseWord(b []byte) (v uint64, ok bool) {
	for _, c := range slices.Backward(b) {
		n := strings.IndexByte(branchAlphabet, c)
		if n < 0 {
			return 0, false
		}
		v = v<<5 | uint64(n)
	}
	return v, true
}
