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
// timers of UDP; what it sends again is not written to the connection a second time. What belongs to it and is new, as it
// goes to the same place with the same branch, follows it however small it is: its CANCEL (RFC 3261 9.1) and the ACK of a
// non-2xx response (17.1.1.3).
//
// When the connection cannot be made, the request goes by UDP after all, with its Via as it was, and so does what follows
// for a minute.

// switches remembers which requests went by TCP, and who takes no TCP.
type switches struct {
	known map[uint64]switched // by key
	order []switchedAt        // the oldest at head; what was forgotten or known anew in between as well
	head  int
	noTCP map[netip.AddrPort]int64 // until when
	msg   sip.Message
	buf   []byte
}

type switched struct {
	remote netip.AddrPort
	hash   uint64 // of the text as given
	at     int64  // when it went
}

type switchedAt struct {
	key uint64
	at  int64
}

const (
	noTCPLife = 60e9 // ns
	noTCPMost = 256
	// switchedLife is for how long (ns) a request is remembered: an INVITE may be cancelled after timer C, of some more than
	// three minutes (RFC 3261 16.6).
	switchedLife = 240e9
	// switchedMost is how many: some 5 MB.
	switchedMost = 1 << 16
)

// switchToTCP sends raw by TCP if it is a request that should go that way; false leaves it to UDP. key is the one of its
// branch, 0 for none.
func (e *Endpoint) switchToTCP(hop Hop, raw []byte, tag, key uint64) bool {
	w := &e.switches
	large := len(raw) > e.cfg.MTU
	if e.cfg.MTU < 0 || !large && len(w.known) == 0 || bytes.HasPrefix(raw, []byte("SIP/")) {
		return false
	}
	remote, now := unmap(hop.Remote), e.Now()
	was, follows := w.find(key, remote)
	if !large && !follows || !w.takesTCP(remote, now) {
		return false
	}
	hash := maphash.Bytes(e.seed, raw)
	if follows && was.hash == hash {
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
	if e.sendConn(to, w.buf, sent{hop: hop, tag: tag, branch: key, switched: at}) != nil {
		return false
	}
	e.totals.switched.Add(1)
	if tag != 0 && !follows {
		w.remember(key, switched{remote: remote, hash: hash, at: now})
	}
	return true
}

// find tells what went by TCP to remote with a branch.
func (w *switches) find(key uint64, remote netip.AddrPort) (switched, bool) {
	s, ok := w.known[key]
	return s, ok && key != 0 && s.remote == remote
}

// takesTCP reports whether TCP is worth a try.
func (w *switches) takesTCP(remote netip.AddrPort, now int64) bool {
	return now >= w.noTCP[remote] && !remote.Addr().IsMulticast()
}

// remember makes s known, and forgets what is too old or too much.
func (w *switches) remember(key uint64, s switched) {
	if key == 0 {
		return
	}
	for w.head < len(w.order) {
		first := w.order[w.head]
		if s.at-first.at < switchedLife && len(w.order)-w.head < switchedMost {
			break
		}
		if w.known[first.key].at == first.at {
			delete(w.known, first.key)
		}
		w.head++
	}
	if w.head > len(w.order)/2 {
		w.order = append(w.order[:0], w.order[w.head:]...)
		w.head = 0
	}
	if w.known == nil {
		w.known = make(map[uint64]switched)
	}
	w.known[key] = s
	w.order = append(w.order, switchedAt{key: key, at: s.at})
}

// forget lets what was sent with a branch be sent again: the connection that it went by has ended without an answer.
func (w *switches) forget(key uint64) { delete(w.known, key) }

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
	e.sendUDP(s.hop, w.buf, s.tag, s.branch)
}
