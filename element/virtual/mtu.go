package virtual

import (
	"bytes"
	"cmp"
	"hash/maphash"
	"net/netip"

	"sipscope/decode/sip"
	"sipscope/element/transport"
)

// A request that is larger than Net.MTU and meant for UDP goes by TCP to the same address when somebody listens there (RFC
// 3261 18.1.1), as an Endpoint sends it: with "TCP" in its top Via, once however often it is sent again. What belongs to it
// and is new, as it goes to the same place with the same branch, follows it: its CANCEL (9.1) and the ACK of a non-2xx
// response (17.1.1.3).

const (
	defaultMTU  = 1300    // bytes
	maxSwitched = 1 << 16 // requests remembered a host
)

// switched remembers the requests of a host that went by TCP, by the hashes of their branches.
type switched struct {
	known map[uint64]overTCP
	order []uint64 // keys, in a ring when there are maxSwitched
	at    int
}

type overTCP struct {
	conn uint64
	hash uint64 // of the text as it was given
}

func (s *switched) remember(key uint64, o overTCP) {
	if s.known == nil {
		s.known = make(map[uint64]overTCP)
	}
	if _, again := s.known[key]; again {
		s.known[key] = o
		return
	}
	if len(s.order) < maxSwitched {
		s.order = append(s.order, key)
	} else {
		delete(s.known, s.order[s.at])
		s.order[s.at] = key
		s.at = (s.at + 1) % maxSwitched
	}
	s.known[key] = o
}

// byTCP sends raw by TCP if it is a request that should go that way; false leaves it to UDP.
func (h *Host) byTCP(hop transport.Hop, raw []byte, tag uint64) bool {
	n := h.net
	limit := cmp.Or(n.MTU, defaultMTU)
	large := len(raw) > limit
	if limit < 0 || !large && len(h.switched.known) == 0 || !n.isUDPRequest(raw) {
		return false
	}
	branch := n.sent.Via.Branch.Of(raw)
	key, hash := maphash.Bytes(n.seed, branch), maphash.Bytes(n.seed, raw)
	was, follows := h.wentByTCP(key, hop.Remote)
	if follows && was.hash == hash {
		return true // sent again; TCP does not lose it
	}
	if !large && !follows || n.listeners[place{transport.TCP, hop.Remote}] == nil {
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
	if tag != 0 && len(branch) > 0 && !follows {
		h.switched.remember(key, overTCP{c.id, hash})
	}
	return true
}

// wentByTCP tells what went to remote with a branch over a connection that is open.
func (h *Host) wentByTCP(key uint64, remote netip.AddrPort) (overTCP, bool) {
	was, ok := h.switched.known[key]
	c := h.net.conns[was.conn]
	return was, ok && c != nil && c.ends[1].addr == remote
}

// isUDPRequest reads raw into n.sent, and reports whether it is a request with "UDP" in its top Via.
func (n *Net) isUDPRequest(raw []byte) bool {
	return !bytes.HasPrefix(raw, []byte("SIP/")) && sip.Parse(raw, &n.sent) == nil && n.sent.Request &&
		bytes.EqualFold(n.sent.Via.Transport.Of(raw), []byte("UDP"))
}
