package virtual

import (
	"bytes"
	"hash/maphash"

	"sipscope/decode/sip"
	"sipscope/element/transport"
)

// A request that is larger than Net.MTU and meant for UDP goes by TCP to the same address when somebody listens there (RFC
// 3261 18.1.1), as an Endpoint sends it: with "TCP" in its top Via, once however often it is sent again, and what is sent
// with the same tag and is new, the ACK of a non-2xx response, follows it.

const (
	defaultMTU  = 1300 // bytes
	maxSwitched = 64   // requests remembered a host
)

// switched is a request that went by TCP.
type switched struct {
	tag  uint64
	conn uint64
	hash uint64 // of the text as it was given
}

// byTCP sends raw by TCP if it is a request that should go that way; false leaves it to UDP.
func (h *Host) byTCP(hop transport.Hop, raw []byte, tag uint64) bool {
	n := h.net
	limit := n.MTU
	if limit == 0 {
		limit = defaultMTU
	}
	large := len(raw) > limit
	if limit < 0 || !large && len(h.switched) == 0 || bytes.HasPrefix(raw, []byte("SIP/")) {
		return false
	}
	hash := maphash.Bytes(n.seed, raw)
	again, follows := h.wentByTCP(hop, tag, hash)
	if again {
		return true // TCP does not lose it
	}
	if !large && !follows || n.listeners[place{transport.TCP, hop.Remote}] == nil || !n.isUDPRequest(raw) {
		return false
	}
	over := transport.Hop{Proto: transport.TCP, Local: hop.Local, Remote: hop.Remote}
	c, _, err := h.connection(over)
	if err != nil {
		return false
	}
	text := append(n.queue.buffer(), raw...)
	copy(n.sent.Via.Transport.Of(text), "TCP")
	over.Conn = c.id
	h.stream(over, text, tag)
	n.queue.free(text)
	if tag != 0 && !follows {
		if len(h.switched) == maxSwitched {
			h.switched = append(h.switched[:0], h.switched[1:]...)
		}
		h.switched = append(h.switched, switched{tag, c.id, hash})
	}
	return true
}

// wentByTCP reports whether the same text went to hop over a connection that is open, or another one of the same tag.
func (h *Host) wentByTCP(hop transport.Hop, tag, hash uint64) (again, follows bool) {
	if tag == 0 {
		return false, false
	}
	for _, s := range h.switched {
		if c := h.net.conns[s.conn]; s.tag == tag && c != nil && c.ends[1].addr == hop.Remote {
			again, follows = again || s.hash == hash, true
		}
	}
	return again, follows
}

// isUDPRequest reads raw into n.sent, and reports whether it is a request with "UDP" in its top Via.
func (n *Net) isUDPRequest(raw []byte) bool {
	return sip.Parse(raw, &n.sent) == nil && n.sent.Request && bytes.EqualFold(n.sent.Via.Transport.Of(raw), []byte("UDP"))
}
