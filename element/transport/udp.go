package transport

import (
	"fmt"
	"net/netip"

	"sipscope/decode/sip"
)

// Sizes of UDP.
const (
	maxDatagram = 65507    // bytes of payload that IPv4 carries
	slotBytes   = 64 << 10 // room for one received datagram
)

// datagram is one of a batch: where it came from, and its message.
type datagram struct {
	size   int            // bytes; 0 for one that could not be read
	remote netip.AddrPort // whom it came from
	local  netip.Addr     // the address that it came to; zero: that of the socket
	kind   datagramKind
	msg    sip.Message // of isSIP, into the batch's buffer
}

type datagramKind uint8

const (
	isOther datagramKind = iota
	isKeepAlive
	isSIP
)

// parse reads the datagram in b. It is done in the reader's goroutine, beside the loop. Empty lines before a message are
// skipped (RFC 3261 7.5); nothing but them is a keep-alive.
func (d *datagram) parse(b []byte) {
	skip := sip.SkipCRLF(b)
	switch {
	case skip == len(b):
		d.kind = isKeepAlive
	case sip.Parse(b[skip:], &d.msg) == nil:
		d.kind = isSIP
	default:
		d.kind = isOther
	}
}

// readUDP reads batches of a socket that the loop does not read itself (see reading), until it is closed. Two batches take
// turns, so that one is read while the other is handled; when the loop is busy with both, datagrams wait in the socket's
// buffer, or are dropped and counted there.
func (e *Endpoint) readUDP(l *listener) {
	free := make(chan *udpBatch, 2)
	free <- newUDPBatch(l, free)
	free <- newUDPBatch(l, free)
	for {
		var b *udpBatch
		select {
		case b = <-free:
		case <-e.ended:
			return
		}
		switch l.udp.read(b, true, func(remote netip.AddrPort, quote []byte, err error) {
			e.tell(event{kind: eventICMP, ln: l, bounce: e.bounced(remote, quote, err)})
		}) {
		case readSome:
			if !e.tell(event{kind: eventDatagrams, batch: b}) {
				return
			}
		case readNothing:
			free <- b
		default:
			return
		}
	}
}

// datagrams hands what a batch holds to the handler.
func (e *Endpoint) datagrams(b *udpBatch) {
	count := &b.ln.count
	for i := range b.n {
		d := &b.grams[i]
		switch d.kind {
		case isKeepAlive:
			count.keepAlives.Add(1)
			continue
		case isOther:
			count.notSIP.Add(1)
			continue
		default:
		}
		count.in(len(d.msg.Raw))
		hop := Hop{Proto: UDP, Local: b.ln.at.AddrPort, Remote: d.remote}
		if d.local.IsValid() {
			hop.Local = netip.AddrPortFrom(d.local, hop.Local.Port())
		}
		e.receive(&d.msg, &hop)
	}
	b.n = 0
	if b.free != nil {
		b.free <- b
	}
}

// receive hands one message to the tap and the handler.
func (e *Endpoint) receive(m *sip.Message, hop *Hop) {
	if e.cfg.Tap != nil {
		e.cfg.Tap.Message(e.Now(), hop.Proto, hop.Conn, hop.Remote, hop.Local, m.Raw)
	}
	e.received.Msg, e.received.Hop = m, *hop
	e.handler.Receive(&e.received)
}

// sendUDP queues raw for the next flush. It is counted and shown to the tap now, as what goes over connections is: what the
// system refuses then is counted once more, among the errors, and told.
func (e *Endpoint) sendUDP(hop Hop, raw []byte, tag, branch uint64) {
	l := e.udpListener(hop)
	switch {
	case l == nil:
		e.failed(nil, hop, tag, ErrNoListener)
		return
	case len(raw) > maxDatagram:
		e.failed(&l.count, hop, tag, fmt.Errorf("%d bytes: %w", len(raw), ErrTooLarge))
		return
	}
	remote := unmap(hop.Remote)
	var source netip.Addr // only a socket bound to all addresses has a choice
	if a := hop.Local.Addr(); l.at.Addr().IsUnspecified() && a.IsValid() && !a.IsUnspecified() {
		source = a.Unmap()
	}
	if !l.udp.queue(remote, source, raw, hop, tag) {
		e.flushUDP(l)
		_ = l.udp.queue(remote, source, raw, hop, tag) // an empty queue has room for any datagram
	}
	l.count.out(len(raw))
	if tag != 0 {
		e.recent.add(recentTag{remote: remote, hop: hop, tag: tag, key: sentKey(branch, raw), sent: e.Now()})
	}
	if e.cfg.Tap != nil {
		local := l.at.AddrPort
		if source.IsValid() {
			local = netip.AddrPortFrom(source, local.Port())
		} else if local.Addr().IsUnspecified() {
			local = e.concrete(local, remote.Addr())
		}
		e.cfg.Tap.Message(e.Now(), UDP, 0, local, remote, raw)
	}
}

// flushUDP sends what is queued for l. What could not leave is told later.
func (e *Endpoint) flushUDP(l *listener) {
	l.udp.flush(
		func(hop Hop, tag uint64, err error) { e.failed(&l.count, hop, tag, err) },
		func(remote netip.AddrPort, quote []byte, err error) { e.unreachable(e.bounced(remote, quote, err)) },
	)
}

// bouncer is told what ICMP says of a datagram that was sent: whom it was for, the beginning of what it held, the error.
type bouncer func(remote netip.AddrPort, quote []byte, err error)

// bounce is a datagram that did not arrive.
type bounce struct {
	remote netip.AddrPort
	key    uint64 // see sentKey; 0: the quote does not tell
	err    error
}

// bounced reads what was quoted of a datagram. Any goroutine may call it.
func (e *Endpoint) bounced(remote netip.AddrPort, quote []byte, err error) bounce {
	return bounce{remote: remote, key: sentKey(branchKey(e.seed, quote), quote), err: err}
}

// unreachable is told when ICMP has said that a datagram did not arrive. An error that quotes too little of it to tell
// which one is counted and nothing more: others to the same address may have arrived, and anybody can write an error that
// quotes nothing (RFC 5927 4). The timers of the transactions decide then.
func (e *Endpoint) unreachable(b bounce) {
	e.totals.icmp.Add(1)
	if b.key != 0 {
		e.recent.fail(e, &b)
	}
}

// udpListener is the socket that a hop leaves by: the one that is bound to its own address and port, else to its address,
// else to all addresses, else the first of the address family.
func (e *Endpoint) udpListener(hop Hop) *listener {
	var best *listener
	score := 0
	local, v4 := hop.Local.Addr().Unmap(), hop.Remote.Addr().Unmap().Is4()
	for _, l := range e.listeners {
		if l.udp == nil || l.at.Addr().Is4() != v4 {
			continue
		}
		n := 1
		if local.IsValid() && !local.IsUnspecified() {
			switch {
			case l.at.Addr() == local:
				n = 4
			case l.at.Addr().IsUnspecified():
				n = 2
			}
		}
		if n > 1 && l.at.Port() == hop.Local.Port() {
			n++
		}
		if n > score {
			best, score = l, n
		}
	}
	return best
}

// unmap makes ::ffff:192.0.2.1 the address that it is.
func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// recentTags remembers the tags of the last datagrams, for the errors that routers and hosts send back.
type recentTags struct {
	ring []recentTag
	at   int
}

type recentTag struct {
	remote netip.AddrPort
	hop    Hop
	tag    uint64
	key    uint64 // see sentKey
	sent   int64
}

const (
	recentSize = 1024
	recentLife = 4e9 // ns; what comes later is about another datagram
)

func (r *recentTags) add(entry recentTag) {
	if len(r.ring) < recentSize {
		r.ring = append(r.ring, entry)
		return
	}
	r.ring[r.at] = entry
	r.at = (r.at + 1) % recentSize
}

// fail fails the tag of the message that bounced, once though it was sent several times.
func (r *recentTags) fail(e *Endpoint, b *bounce) {
	now, told := e.Now(), uint64(0)
	for i := range r.ring {
		t := &r.ring[i]
		if t.tag == 0 || t.key != b.key || t.remote != b.remote {
			continue
		}
		if now-t.sent <= recentLife && t.tag != told {
			told = t.tag
			e.failed(nil, t.hop, t.tag, fmt.Errorf("%s: %w", b.remote, b.err)) // it was sent: Totals count the ICMP
		}
		t.tag = 0
	}
}
