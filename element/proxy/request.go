package proxy

import (
	"strings"

	"sipscope/decode/sip"
	"sipscope/element/auth"
	"sipscope/element/compose"
	"sipscope/element/transport"
	"sipscope/element/txn"
)

// serverBit marks the data of server transactions; those of clients are the index of a branch.
const serverBit = 1 << 63

// retryAfter is what a 503 for a limit asks for, in seconds.
const retryAfter = "5"

// Request is given a new request by the layer.
func (p *Proxy) Request(id txn.ID, r *transport.Received) {
	if id == 0 {
		p.once(r) // the ACK of a 2xx; a CANCEL of something that is not known (RFC 3261 16.10)
		return
	}
	p.stats.Requests++
	p.self.learn(r.Hop.Local)
	p.plan.read(&p.engine, r)
	status := p.validate(r)
	if status == 0 {
		status = p.targets(r.Msg)
	}
	if status == 0 && (p.contexts.open >= p.cfg.Contexts || p.plan.breadth == 0) {
		status = p.full()
	}
	if status != 0 {
		p.refuse(id, r, status)
		return
	}
	ci, c := p.contexts.take()
	c.server, c.refs = id, 2 // the server transaction, and this call
	p.layer.SetData(id, serverBit|uint64(ci))
	if r.Msg.MethodID == sip.MethodInvite {
		c.flags = invite
		p.respond(id, r, 100)
	}
	p.begin(ci, c, r)
	p.release(ci, c)
}

// full is the answer when there are too many contexts, or a Max-Breadth of 0 (RFC 5393 5.3.3).
func (p *Proxy) full() int {
	if p.plan.breadth == 0 {
		return 440
	}
	p.stats.Limited++
	p.reply.Headers = append(p.reply.Headers[:0], compose.Header{ID: sip.HeaderRetryAfter, Value: retryAfter})
	return 503
}

// validate does RFC 3261 16.3 on a request of which e.plan was read; the syntax is the layer's. It gives the status of
// the answer, whose headers are e.reply's, or 0.
func (e *engine) validate(r *transport.Received) (status int) {
	m := r.Msg
	e.reply.Headers = e.reply.Headers[:0]
	if !isSIP(e.plan.u.Scheme) && !equalFold(e.plan.u.Scheme, "tel") {
		return 416
	}
	if m.MethodID == sip.MethodOptions && e.forSelf() {
		e.reply.Headers = append(e.reply.Headers, compose.Header{ID: sip.HeaderAllow, Value: "OPTIONS"})
		return 200 // 16.3 step 3, 11.2: it is the final recipient
	}
	if m.MaxForwards == 0 {
		return 483
	}
	if e.plan.looped(e, m) {
		return 482
	}
	if status = e.required(m); status != 0 {
		return status
	}
	return e.authenticate(r)
}

// forSelf reports whether an OPTIONS asks about this proxy: it names no user and no further hop. One for others whose hops
// end here may be answered, too (11), but RFC 4475 3.3.11 asks for the 483, and those who trace the way wait for it.
func (e *engine) forSelf() bool {
	return e.plan.next == nil && len(e.plan.u.User) == 0 && isSIP(e.plan.u.Scheme) && e.self.is(&e.plan.u)
}

// required refuses what Proxy-Require asks for: there is no such extension here (RFC 3261 16.3 step 5).
func (e *engine) required(m *sip.Message) (status int) {
	var tags []string
	for v := range m.List(sip.HeaderProxyRequire) {
		tags = append(tags, string(v))
	}
	if tags == nil || m.MethodID == sip.MethodAck || m.MethodID == sip.MethodCancel {
		return 0
	}
	e.reply.Headers = append(e.reply.Headers,
		compose.Header{ID: sip.HeaderUnsupported, Value: unfold(strings.Join(tags, ", "))})
	return 420
}

// unfold makes one line of a value that was folded.
func unfold(s string) string { return strings.Join(strings.Fields(s), " ") }

// authenticate asks for credentials (RFC 3261 16.3 step 6, 22.3): of requests outside dialogs, since whoever is in one was
// asked when it began, or was called.
func (e *engine) authenticate(r *transport.Received) (status int) {
	m := r.Msg
	if e.cfg.Auth == nil || e.within(m) || m.MethodID == sip.MethodAck || m.MethodID == sip.MethodCancel {
		return 0
	}
	for _, prefix := range e.cfg.Trust {
		if prefix.Contains(r.Hop.Remote.Addr().Unmap()) {
			return 0
		}
	}
	result := e.cfg.Auth.Check(e.link.Now(), m, m.Body.Of(m.Raw))
	if result.Outcome == auth.OK {
		return 0
	}
	e.reply.Headers = append(e.reply.Headers, result.Headers...)
	return result.Status
}

// refuse answers a request at once, without a context.
func (p *Proxy) refuse(id txn.ID, r *transport.Received, status int) {
	if status >= 300 {
		p.stats.Refused++
		if status == 482 {
			p.stats.Loops++
		}
		p.event(Event{Kind: EventRefused, Status: status}, r.Msg)
	}
	p.respond(id, r, status)
	p.reply.Headers = p.reply.Headers[:0]
}

// respond sends an answer of the proxy's own to a request that is at hand. Its headers are p.reply's.
func (p *Proxy) respond(id txn.ID, r *transport.Received, status int) {
	if p.compose(r, status) == nil {
		_ = p.layer.Respond(id, p.out) // the transaction may be gone: then nobody waits
	}
}

// compose writes an answer of the proxy's own to e.out.
func (e *engine) compose(r *transport.Received, status int) (err error) {
	e.reply.Status = status
	e.reply.ToTag = ""
	if status == 100 {
		e.reply.Headers = e.reply.Headers[:0]
	} else {
		e.reply.ToTag = compose.Tag(e.cfg.Rand)
		if e.cfg.Server != "" {
			e.reply.Headers = append(e.reply.Headers, compose.Header{ID: sip.HeaderServer, Value: e.cfg.Server})
		}
	}
	e.out, err = compose.Response(e.out[:0], r.Msg, r.Hop.Remote, &e.reply)
	e.reply.Reason = ""
	return err
}
