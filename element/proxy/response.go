package proxy

import (
	"errors"
	"slices"

	"sipscope/decode/sip"
	"sipscope/element/transport"
	"sipscope/element/txn"
)

// Reasons of the CANCELs that the proxy sends itself (RFC 3326).
const (
	reasonElsewhere = `SIP;cause=200;text="Call completed elsewhere"`
	reasonDeclined  = `SIP;cause=600;text="Declined elsewhere"`
	reasonTimerC    = `SIP;cause=408;text="No answer"`
)

// Response is given a response by the layer (RFC 3261 16.7).
func (p *Proxy) Response(id txn.ID, data uint64, r *transport.Received) {
	p.stats.Responses++
	m := r.Msg
	b := p.branches.get(uint32(data)) //nolint:gosec // what Send was given
	if id == 0 || b == nil || b.id != id || m.Vias < 2 {
		// RFC 6026 7.3: a response of no transaction is dropped, lest somebody sends 2xx into calls of others
		p.stats.Strays++
		p.event(Event{Kind: EventDropped, Status: int(m.Status)}, m)
		return
	}
	i, ci := uint32(data), b.context //nolint:gosec // as above
	c := p.contexts.at(ci)
	c.refs++ // whatever ends, it stays until this call returns
	switch {
	case m.Status == 100: // 16.7 step 5: of this hop alone
		b.flags |= heard
	case m.Status < 200:
		b.flags |= heard
		if b.has(timing) {
			p.timers.start(&p.branches, i, p.link.Now()+p.cfg.TimerC) // 16.7 step 2
		}
		if !c.has(answered) {
			p.relay(c, m)
		}
	case m.Status < 300:
		p.success(i, b, c, m)
	default:
		if p.finish(i, b) {
			p.failure(i, b, c, m)
		}
	}
	p.release(ci, c)
}

// success forwards a 2xx: each one to an INVITE, also when another was first (16.7 step 5), else the first.
func (p *Proxy) success(i uint32, b *branch, c *context, m *sip.Message) {
	p.finish(i, b)
	if c.has(invite) {
		if c.has(answered) && !c.has(accepted) {
			p.stats.Strays++ // the caller was told of a failure, and its transaction has ended
			return
		}
		p.relay(c, m)
		if !c.has(accepted) {
			c.flags |= answered | accepted
			p.stop(c, reasonElsewhere)
			p.dropFork(c)
		}
		return
	}
	if !c.has(answered) {
		c.flags |= answered
		p.relay(c, m)
		p.dropFork(c)
	}
}

// stop cancels the branches that have no final response yet (16.7 step 10).
func (p *Proxy) stop(c *context, reason string) {
	if !c.has(invite) {
		return
	}
	for i := c.branches; i != 0; {
		b := p.branches.at(i)
		i = b.sibling
		if !b.has(final) && !b.has(dropping) {
			b.flags |= dropping
			_ = p.layer.Cancel(b.id, reason) // a transaction that is gone needs none
		}
	}
}

// relay sends a response on, without the own Via value (16.7 steps 3 and 9).
func (p *Proxy) relay(c *context, m *sip.Message) {
	if p.strip(m, m.Status) == nil {
		p.upstream(c)
	}
}

// strip writes m, without the own Via value and with another status if so, to p.out.
func (p *Proxy) strip(m *sip.Message, status uint16) (err error) {
	p.edit.Reset(m)
	p.edit.RemoveFirst(sip.HeaderVia)
	if status != m.Status {
		p.edit.StartLine("SIP/2.0 500 " + sip.ReasonPhrase(500))
		p.edit.RemoveAll(sip.HeaderRetryAfter)
	}
	p.edit.Frame() // what came as a datagram may go on over a stream (18.3)
	p.out, err = p.edit.Bytes(p.out[:0])
	return err
}

func (p *Proxy) upstream(c *context) {
	if p.layer.Respond(c.server, p.out) != nil {
		p.stats.Strays++ // too late (RFC 4320 4.2), or the caller has gone
		return
	}
	p.stats.Relayed++
}

// failure deals with a final response that is no 2xx.
func (p *Proxy) failure(i uint32, b *branch, c *context, m *sip.Message) {
	ci := b.context
	switch {
	case c.has(answered):
		return // the 487 of a branch that lost, or what came after the answer
	case b.has(expired) && m.Status == 487:
		p.note(c, 408, "") // 16.8
	case m.Status == 503 && p.failover(i, c, 503):
		return
	case m.Status < 400 && p.recurse(c, m):
	case p.last(c) && m.Status != 503 && (m.Status != 408 || c.has(invite)):
		c.flags |= answered // nothing else to wait for: no copy is kept
		p.relay(c, m)
		p.dropFork(c)
		return
	default:
		p.keep(c, m)
		if m.Status >= 600 && !c.has(declined) {
			c.flags |= declined
			p.stop(c, reasonDeclined)
		}
	}
	p.advance(ci, c, nil)
}

// last reports whether a final response is all that a context has and will have.
func (p *Proxy) last(c *context) bool {
	if c.pending > 0 || c.waiting > 0 {
		return false
	}
	if c.fork == 0 {
		return true
	}
	f := p.forks[c.fork]
	return f.status == 0 && len(f.challenges) == 0 && (len(f.targets) == 0 || c.has(cancelled|declined))
}

// rank orders final responses: the lowest is the best (16.7 step 6). What tells the client how to try again goes before
// the rest of its class, what only says that nobody was there behind it.
func rank(status int) int {
	switch status {
	case 401, 407, 415, 420, 484:
		return 200
	case 408, 487:
		return 220
	case 503:
		return 310
	case 0:
		return 1000
	}
	switch status / 100 {
	case 6:
		return 0
	case 3:
		return 100
	case 4:
		return 210
	default:
		return 300
	}
}

// note takes a failure that the proxy found itself among the final responses.
func (p *Proxy) note(c *context, status int, reason string) {
	f := p.forkOf(c)
	if rank(status) < rank(f.status) {
		p.stats.Kept -= len(f.best)
		f.status, f.reason, f.best = status, reason, f.best[:0]
	}
}

// keep takes a final response among those that the best one is chosen of (16.7 step 4).
func (p *Proxy) keep(c *context, m *sip.Message) {
	f := p.forkOf(c)
	if m.Status == 401 || m.Status == 407 {
		f.challenge(m)
	}
	status := int(m.Status)
	if rank(status) >= rank(f.status) {
		return
	}
	sent := m.Status
	if sent == 503 {
		sent = 500 // 16.7 step 6: 503 would have the client leave this proxy alone
	}
	f.status, f.reason = status, ""
	p.stats.Kept -= len(f.best)
	f.best = f.best[:0]
	if p.stats.Kept+len(m.Raw) <= p.cfg.Memory && p.strip(m, sent) == nil { // else the proxy makes one of that status
		f.best = append(f.best, p.out...)
		p.stats.Kept += len(f.best)
	}
}

// maxChallenges bounds the challenges that are kept of all branches.
const maxChallenges = 32

// challenge keeps the challenges of a response.
func (f *fork) challenge(m *sip.Message) {
	for i := range m.Headers {
		h := &m.Headers[i]
		if (h.ID == sip.HeaderWWWAuthenticate || h.ID == sip.HeaderProxyAuthenticate) && len(f.challenges) < maxChallenges {
			f.challenges = append(f.challenges, challenge{h.ID, string(h.Value.Of(m.Raw))})
		}
	}
}

// conclude sends the best response: all branches have ended, and there is nothing else to try.
func (p *Proxy) conclude(c *context) {
	c.flags |= answered
	status, reason := 0, ""
	var f *fork
	if c.fork != 0 {
		f = p.forks[c.fork]
		status, reason = f.status, f.reason
	}
	switch {
	case c.has(cancelled) && (status == 0 || status == 408 || status == 503):
		p.own(c, 487, "")
	case status == 408 && !c.has(invite): // RFC 4320 4.2: the client has its own timeout
	case f != nil && len(f.best) > 0:
		p.best(c, f)
	case status == 503:
		p.own(c, 500, reason)
	case status == 0:
		p.own(c, 480, "")
	default:
		p.own(c, status, reason)
	}
	p.dropFork(c)
}

// own sends a final response of the proxy's own.
func (p *Proxy) own(c *context, status int, reason string) {
	r := p.reload(c)
	if r == nil {
		return
	}
	p.stats.Refused++
	p.reply.Reason = reason
	p.reply.Headers = p.reply.Headers[:0]
	p.event(Event{Kind: EventRefused, Status: status}, r.Msg)
	p.respond(c.server, r, status)
	p.reply.Headers = p.reply.Headers[:0]
}

// best sends the best response, with all challenges of all branches when it is one (16.7 step 7).
func (p *Proxy) best(c *context, f *fork) {
	p.out = append(p.out[:0], f.best...)
	if (f.status == 401 || f.status == 407) && len(f.challenges) > 0 && sip.Parse(f.best, &p.answer) == nil {
		p.edit.Reset(&p.answer)
		own := fork{}
		own.challenge(&p.answer)
		for _, ch := range f.challenges {
			if !slices.Contains(own.challenges, ch) {
				own.challenges = append(own.challenges, ch)
				p.edit.Append(ch.id, ch.value)
			}
		}
		if out, err := p.edit.Bytes(p.out[:0]); err == nil {
			p.out = out
		}
	}
	p.upstream(c)
}

// recurse makes targets of the contacts of a 3xx (16.7 step 4). It reports false when there is nothing to try.
func (p *Proxy) recurse(c *context, m *sip.Message) bool {
	if !p.cfg.Recurse || c.has(answered|cancelled|declined) {
		return false
	}
	first := c.fork == 0
	f := p.forkOf(c)
	if first {
		r := p.reload(c)
		if r == nil {
			return false
		}
		f.seen, f.breadth = append(f.seen, string(p.plan.uri)), p.plan.breadth
	}
	added := f.contacts(m)
	if added == 0 {
		return false
	}
	p.stats.Recursed++
	p.event(Event{Kind: EventRecursed, Status: int(m.Status), Count: added}, m)
	return true
}

// contacts adds the contacts of a response as targets that come next, the best first; those of a scheme that cannot be
// reached or that were tried before are left out.
func (f *fork) contacts(m *sip.Message) (added int) {
	var list []stored
	for a := range m.Addresses(sip.HeaderContact) {
		uri := string(a.URI.Of(m.Raw))
		if !isSIP(a.Scheme.Of(m.Raw)) || len(f.seen) >= maxTargets || slices.Contains(f.seen, uri) {
			continue
		}
		f.seen = append(f.seen, uri)
		q := sip.ContactQ(a.Params.Of(m.Raw))
		if q < 0 {
			q = 1000
		}
		at := len(list)
		for at > 0 && list[at-1].Q < q {
			at--
		}
		list = append(list[:at], append([]stored{{Target: Target{URI: uri, Q: q}}}, list[at:]...)...)
	}
	f.targets = append(list, f.targets...)
	return len(list)
}

// Cancel is told by the layer that the client has given up (RFC 3261 16.10). The layer has answered the CANCEL.
func (p *Proxy) Cancel(_ txn.ID, data uint64, r *transport.Received) {
	p.stats.Cancels++
	ci := uint32(data) //nolint:gosec // what SetData was given
	c := p.contexts.get(ci)
	if data&serverBit == 0 || c == nil || c.has(answered|cancelled) {
		return
	}
	p.event(Event{Kind: EventCancelled}, r.Msg)
	c.flags |= cancelled
	c.refs++
	reason := ""
	if v, ok := r.Msg.Value(sip.HeaderReason); ok {
		reason = unfold(string(v))
	}
	p.stop(c, reason)
	if c.pending == 0 {
		p.conclude(c) // nothing is out; what a Resolver says later is too late
	}
	p.release(ci, c)
}

// Failed is told by the layer that a transaction ended without an answer (RFC 3261 16.9).
func (p *Proxy) Failed(id txn.ID, data uint64, err error) {
	if data&serverBit != 0 {
		return // 16.9: a response that cannot be sent is dropped; nobody else is told
	}
	i := uint32(data) //nolint:gosec // what Send was given
	b := p.branches.get(i)
	if b == nil || b.id != id || !p.finish(i, b) {
		return
	}
	ci := b.context
	c := p.contexts.at(ci)
	if c.has(answered) {
		return
	}
	timeout := errors.Is(err, txn.ErrTimeout)
	status := 503
	if timeout {
		status = 408
	}
	c.refs++
	// The time of a request that is no INVITE is over when its first hop has not answered (RFC 4320).
	if (timeout && !c.has(invite)) || b.has(expired) || !p.failover(i, c, status) {
		p.note(c, status, "")
		p.advance(ci, c, nil)
	}
	p.release(ci, c)
}

// Ended is told by the layer that a transaction is gone.
func (p *Proxy) Ended(id txn.ID, data uint64) {
	if data == 0 {
		return // of a request that was refused
	}
	i := uint32(data) //nolint:gosec // what SetData or Send was given
	if data&serverBit != 0 {
		if c := p.contexts.get(i); c != nil && c.server == id && !c.has(ended) {
			c.flags |= ended
			p.release(i, c)
		}
		return
	}
	b := p.branches.get(i)
	if b == nil || b.id != id {
		return
	}
	if !b.has(final) {
		p.Failed(id, data, txn.ErrTimeout) // it ended in silence
	}
	p.dropBranch(i)
}

// expired does what RFC 3261 16.8 says when timer C fires: the branch is cancelled, or, when its target has not been heard
// of at all, counts as one that answered 408.
func (p *Proxy) expired(i uint32) {
	b := p.branches.at(i)
	c := p.contexts.at(b.context)
	p.timers.stop(&p.branches, i)
	p.stats.TimerC++
	p.event(Event{Kind: EventTimerC}, nil)
	b.flags |= expired | dropping
	err := p.layer.Cancel(b.id, reasonTimerC)
	if err == nil && b.has(heard) {
		return
	}
	c.refs++
	if ci := b.context; p.finish(i, b) && !c.has(answered) {
		p.note(c, 408, "")
		p.advance(ci, c, nil)
	}
	p.release(b.context, c)
}
