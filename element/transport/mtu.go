package transport

import (
	"bytes"
	"hash/maphash"
	"net/netip"

	"sipscope/decode/sip"
)

// A request that is larger than Config.MTU and meant for UDP goes by TCP to the same address (RFC 3261 18.1.1), so that
// it is not cut into fragments, which firewalls drop. This file is the only place where a message is not sent as it was
// given: the transport of its top Via becomes "TCP", which has as many letters as "UDP", so that nothing moves. Who gave
// it does not notice, but for the hop of the responses: they come over the connection. It goes on to send again by the
// timers of UDP; what it sends again is not written to the connection a second time, but what belongs to it and is new
// (the ACK of a non-2xx response, which has the same tag) follows it (RFC 3261 17.1.1.3).
//
// When the connection cannot be made, the request goes by UDP after all, with its Via as it was, and so does what follows
// for a minute.

// switches remembers which requests went by TCP, and who takes no TCP.
type switches struct {
	ring  [64]switched
	at    int
	noTCP map[netip.AddrPort]int64 // until when
	seed  maphash.Seed
	ready bool
	msg   sip.Message
	buf   []byte
}

type switched struct {
	tag    uint64
	remote netip.AddrPort
	hash   uint64 // of the text as given
}

const (
	noTCPLife = 60e9 // ns
	noTCPMost = 256
)

// switchToTCP sends raw by TCP if it is a request that should go that way; false leaves it to UDP.
func (e *Endpoint) switchToTCP(hop Hop, raw []byte, tag uint64) bool {
	w := &e.switches
	large := len(raw) > e.cfg.MTU
	if e.cfg.MTU < 0 || !large && (!w.ready || tag == 0) || bytes.HasPrefix(raw, []byte("SIP/")) {
		return false
	}
	remote := unmap(hop.Remote)
	known, follows := w.find(tag, remote)
	if !large && !follows || !w.takesTCP(remote, e.Now()) {
		return false
	}
	w.prepare()
	hash := maphash.Bytes(w.seed, raw)
	if follows && known.hash == hash {
		return true // sent again; TCP does not lose it
	}
	at := w.viaTransport(raw)
	if at == 0 {
		return false
	}
	w.buf = append(w.buf[:0], raw...)
	copy(w.buf[at:], "TCP")
	to := hop
	to.Proto, to.Conn = TCP, 0
	if e.sendConn(to, w.buf, sent{hop: hop, tag: tag, switched: at}) != nil {
		return false
	}
	e.totals.switched.Add(1)
	if tag != 0 && !follows {
		w.ring[w.at] = switched{tag: tag, remote: remote, hash: hash}
		w.at = (w.at + 1) % len(w.ring)
	}
	return true
}

// takesTCP reports whether TCP is worth a try.
func (w *switches) takesTCP(remote netip.AddrPort, now int64) bool {
	return now >= w.noTCP[remote] && !remote.Addr().IsMulticast()
}

// find tells whether what was sent with tag went by TCP.
func (w *switches) find(tag uint64, remote netip.AddrPort) (*switched, bool) {
	for i := range w.ring {
		if s := &w.ring[i]; tag != 0 && s.tag == tag && s.remote == remote {
			return s, true
		}
	}
	return nil, false
}

// forget lets what was sent with tag be sent again: the connection that it went by has ended without an answer.
func (w *switches) forget(tag uint64) {
	for i := range w.ring {
		if w.ring[i].tag == tag {
			w.ring[i] = switched{}
		}
	}
}

func (w *switches) prepare() {
	if !w.ready {
		w.seed, w.ready = maphash.MakeSeed(), true
	}
}

// viaTransport finds the "UDP" of the top Via; 0 when there is none.
func (w *switches) viaTransport(raw []byte) uint32 {
	if sip.Parse(raw, &w.msg) != nil || !w.msg.Request {
		return 0
	}
	if t := w.msg.Via.Transport; bytes.EqualFold(t.Of(raw), []byte("UDP")) {
		return t.Off
	}
	return 0
}

// fallBack sends a request by UDP that could not go by TCP.
func (e *Endpoint) fallBack(s *sent, raw []byte) {
	w := &e.switches
	e.totals.fellBack.Add(1)
	remote := unmap(s.hop.Remote)
	if w.noTCP == nil || len(w.noTCP) >= noTCPMost {
		w.noTCP = make(map[netip.AddrPort]int64)
	}
	w.noTCP[remote] = e.Now() + noTCPLife
	w.buf = append(w.buf[:0], raw...)
	copy(w.buf[s.switched:], "UDP")
	e.sendUDP(s.hop, w.buf, s.tag)
}
