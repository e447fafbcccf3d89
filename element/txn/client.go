package txn

import (
	"fmt"

	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/transport"
)

// Send starts a client transaction: it sends raw, a request other than an ACK with a top Via that has a branch, to hop, and
// gives the user data with everything that comes of it. raw is copied where it is needed later.
func (l *Layer) Send(hop transport.Hop, raw []byte, data uint64) (ID, error) {
	l.tick()
	if err := sip.Parse(raw, &l.msg); err != nil {
		return 0, fmt.Errorf("send: %w: %w", ErrMessage, err)
	}
	if l.full(l.clients, l.cfg.Clients) {
		l.stats.Refused++
		return 0, fmt.Errorf("send %s: %w", l.msg.Method.Of(raw), ErrLimit)
	}
	x, r, err := l.send(hop, raw, data)
	if err != nil {
		return 0, err
	}
	return r.id(x), nil
}

// send starts a client transaction for raw, which l.msg is.
func (l *Layer) send(hop transport.Hop, raw []byte, data uint64) (uint32, *record, error) {
	m := &l.msg
	switch {
	case !m.Request || m.MethodID == sip.MethodAck:
		return 0, nil, fmt.Errorf("send: %w: want a request other than ACK", ErrMessage)
	case m.Vias == 0 || !m.HasCSeq || m.CallID.Empty():
		return 0, nil, fmt.Errorf("send %s: %w: want Via, CSeq and Call-ID", m.Method.Of(raw), ErrMessage)
	}
	k := l.keys.make(m, true)
	if x, _ := l.find(&k); x != 0 {
		return 0, nil, fmt.Errorf("send %s: %w: %s", m.Method.Of(raw), ErrBranch, m.Via.Branch.Of(raw))
	}
	kind := Client
	if m.MethodID == sip.MethodInvite {
		kind = ClientInvite
	}
	x, r := l.create(&k, kind, hop, data)
	if kind == ClientInvite || !hop.Proto.Reliable() {
		r.req = l.arena.put(raw)
	}
	l.link.Send(hop, raw, uint64(r.id(x)))
	return x, r, nil
}

// Cancel cancels an INVITE that was sent: the CANCEL goes out now, or when the first provisional response comes (RFC 3261
// 9.1). reason is the value of its Reason header (RFC 3326), "" for none. The INVITE's own final response is told as ever,
// ErrTimeout when none comes within 64*T1. When a final response came already there is nothing to cancel, and no error.
func (l *Layer) Cancel(id ID, reason string) error {
	x, r := l.get(id)
	switch {
	case r == nil:
		return ErrGone
	case r.kind != ClientInvite:
		return fmt.Errorf("cancel: %w: want an INVITE that was sent", ErrKind)
	case r.state > Proceeding || r.flags&(flagCancel|flagCancelled) != 0:
		return nil
	}
	l.tick()
	if reason != "" {
		r.reason = l.arena.put([]byte(reason))
	}
	if r.state == Trying {
		r.flags |= flagCancel
		return nil
	}
	return l.sendCancel(x, r)
}

// sendCancel sends the CANCEL as a transaction of the layer's own, and gives the INVITE 64*T1 for its final response.
func (l *Layer) sendCancel(x uint32, r *record) error {
	r.flags = r.flags&^flagCancel | flagCancelled
	l.start(x, r, timerState, l.times.all64())
	if err := sip.Parse(l.arena.of(r.req), &l.msg); err != nil {
		return fmt.Errorf("cancel: %w", err)
	}
	raw, err := compose.Cancel(l.out[:0], &l.msg, string(l.arena.of(r.reason)))
	l.out = raw
	l.arena.free(&r.reason)
	if err != nil {
		return fmt.Errorf("cancel: %w", err)
	}
	if err = sip.Parse(raw, &l.msg); err != nil {
		return fmt.Errorf("cancel: %w", err)
	}
	_, c, err := l.send(l.ends.unpack(&r.hop), raw, 0)
	if err != nil {
		return err
	}
	c.flags |= flagInternal
	return nil
}

// receiveResponse takes a response.
func (l *Layer) receiveResponse(received *transport.Received) {
	m := received.Msg
	if !usable(m) && !l.accepts(m) {
		l.stats.Dropped++
		return
	}
	k := l.keys.make(m, true)
	x, _ := l.find(&k)
	if x == 0 {
		l.stats.Stray++
		l.user.Response(0, 0, received)
		return
	}
	l.run(x, l.slab.at(x), classOf(int(m.Status)), input{received: received})
}

// acknowledge sends the ACK of a final response other than 2xx (RFC 3261 17.1.1.3), and keeps what it does not share with
// that response, which asks for it when it comes again.
func (l *Layer) acknowledge(x uint32, r *record, received *transport.Received) {
	raw, own := l.ackByUser(r, received)
	if own {
		return
	}
	if raw == nil {
		if sip.Parse(l.arena.of(r.req), &l.msg) != nil {
			return
		}
		var err error
		raw, err = compose.Ack(l.out[:0], &l.msg, received.Msg)
		l.out = raw
		if err != nil {
			return // Send made sure that the INVITE has what it takes
		}
	}
	l.link.Send(l.ends.unpack(&r.hop), raw, uint64(r.id(x)))
	if !r.hop.remote.proto.Reliable() {
		l.delta = makeDelta(l.delta[:0], received.Msg.Raw, raw)
		r.msg = l.arena.put(l.delta)
		r.flags |= flagDelta
	}
}
