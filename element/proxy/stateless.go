package proxy

import (
	"bytes"
	"math"
	"net/netip"

	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/transport"
	"sipscope/element/txn"
)

// once forwards a request without state (RFC 3261 16.11): to its first target, with a branch that is the same each time.
// A stateful proxy does so with the ACK of a 2xx and with a CANCEL that it knows nothing of.
func (e *engine) once(r *transport.Received) {
	m := r.Msg
	e.plan.read(e, r)
	if m.MaxForwards == 0 || e.plan.looped(e, m) || e.targets(m) != 0 {
		e.lost(m)
		return
	}
	e.pass(r)
}

// pass forwards a request of which e.plan and e.goals were made.
func (e *engine) pass(r *transport.Received) {
	first := &e.goals[0]
	if hop, ok := e.numeric(first); ok {
		e.passTo(r, first, hop)
		return
	}
	size := len(r.Msg.Raw)
	if e.cfg.Resolver == nil || e.stats.Resolving >= e.cfg.Resolving || e.stats.Kept+size > e.cfg.Memory {
		e.unresolved(r)
		return
	}
	e.stats.Resolving++
	e.stats.Kept += size
	during, called := true, false
	raw, from, keep := bytes.Clone(r.Msg.Raw), r.Hop, first.store()
	e.ask(e.nextURI(first), r.Msg, func(hops []transport.Hop, err error) {
		if called {
			return
		}
		called = true
		e.stats.Resolving--
		e.stats.Kept -= size
		again := r
		if !during {
			again = &transport.Received{Msg: new(sip.Message), Hop: from}
			if sip.Parse(raw, again.Msg) != nil {
				return
			}
			e.plan.read(e, again)
		}
		if err != nil || len(hops) == 0 {
			e.unresolved(again)
			return
		}
		g := keep.goal()
		e.passTo(again, &g, hops[0])
	})
	during = false
}

// ask finds the hops for a request that is forwarded without state, by what makes its branch: where its retransmissions, its
// CANCEL and its ACK go, too.
func (e *engine) ask(uri []byte, m *sip.Message, done func(hops []transport.Hop, err error)) {
	if e.keyed != nil {
		e.keyed.ResolveKeyed(uri, onceHash(e.onceKey, m), done)
		return
	}
	e.cfg.Resolver.Resolve(uri, done)
}

// passTo sends the copy.
func (e *engine) passTo(r *transport.Received, g *goal, hop transport.Hop) {
	own := sealHash(e.flowKey, &r.Msg.Via, r.Msg, r.Hop.Remote.Addr())
	if e.copyOf(r, g, &hop, own, e.plan.breadth) != nil {
		e.lost(r.Msg)
		return
	}
	e.link.Send(hop, e.out, 0)
	e.stats.Forwarded++
	if r.Msg.MethodID == sip.MethodAck {
		e.stats.Acks++
	}
}

// unresolved answers a request whose next hop is not known, when there is somebody to answer to.
func (e *engine) unresolved(r *transport.Received) {
	if !e.stateless {
		e.lost(r.Msg)
		return
	}
	e.reply.Headers = e.reply.Headers[:0]
	e.reply.Reason = "Next Hop Unresolvable"
	e.answer(r, 500)
}

// lost counts a message that leads nowhere.
func (e *engine) lost(m *sip.Message) {
	e.stats.Strays++
	e.event(Event{Kind: EventDropped, Status: int(m.Status)}, m)
}

// answer sends an answer of a stateless proxy's own: a UAS without state (RFC 3261 8.2.7).
func (e *engine) answer(r *transport.Received, status int) {
	if r.Msg.MethodID == sip.MethodAck {
		e.lost(r.Msg)
		return
	}
	if status >= 300 {
		e.stats.Refused++
		if status == 482 {
			e.stats.Loops++
		}
		e.event(Event{Kind: EventRefused, Status: status}, r.Msg)
	}
	if e.compose(r, status) == nil {
		e.link.Send(transport.ReplyHop(r), e.out, 0)
	}
	e.reply.Headers = e.reply.Headers[:0]
}

// Stateless is a stateless proxy (RFC 3261 16.11): it forwards each request to one target, and each response by its Via. It
// keeps nothing, sends nothing again, and makes the same copy of the same request each time. It is a transport.Handler.
type Stateless struct {
	engine
}

var _ transport.Handler = (*Stateless)(nil)

// NewStateless makes a stateless proxy. It fails with ErrConfig.
func NewStateless(cfg Config) (*Stateless, error) {
	s := &Stateless{}
	s.stateless = true
	return s, s.init(&cfg)
}

// Attach gives the proxy its link, before the first message.
func (s *Stateless) Attach(link transport.Link) { s.link = link }

// Stats gives the counts.
func (s *Stateless) Stats() Stats { return s.stats }

// Receive forwards a message.
func (s *Stateless) Receive(r *transport.Received) {
	s.self.learn(r.Hop.Local)
	if !r.Msg.Request {
		s.response(r)
		return
	}
	m := r.Msg
	if m.MethodID != sip.MethodAck {
		s.stats.Requests++
	}
	if status := s.unusable(m); status != 0 {
		s.reply.Headers = s.reply.Headers[:0]
		s.answer(r, status)
		return
	}
	s.plan.read(&s.engine, r)
	status := s.validate(r)
	if status == 0 && s.plan.breadth == 0 && m.MethodID != sip.MethodAck && m.MethodID != sip.MethodCancel {
		status = 440
	}
	if status == 0 {
		status = s.targets(m)
	}
	if status != 0 {
		s.answer(r, status)
		return
	}
	s.pass(r)
}

// unusable gives the status of a request that cannot be forwarded as it is, 0 for a usable one: there is no transaction
// layer that would have looked (RFC 3261 16.3 step 1).
func (s *Stateless) unusable(m *sip.Message) int {
	status, reason := txn.Refusal(m)
	s.reply.Reason = reason
	return status
}

// response forwards a response by the Via value below the own one.
func (s *Stateless) response(r *transport.Received) {
	s.stats.Responses++
	m := r.Msg
	if m.Vias < 2 || !s.ownVia(m) {
		s.lost(m)
		return
	}
	next, ok := m.NthVia(1)
	hop := transport.Hop{}
	if ok {
		hop, ok = transport.ViaHop(m.Raw, &next)
		ok = ok && s.asked(m, &next, hop.Remote.Addr())
	}
	s.edit.Reset(m)
	s.edit.RemoveFirst(sip.HeaderVia)
	if hop.Proto.Reliable() {
		s.edit.Frame()
	}
	var err error
	if s.out, err = s.edit.Bytes(s.out[:0]); !ok || err != nil {
		s.lost(m)
		return
	}
	s.link.Send(hop, s.out, 0)
	s.stats.Relayed++
}

// ownVia reports whether the top Via is one that this proxy wrote (RFC 3261 16.11): what another wrote is not for here.
func (s *Stateless) ownVia(m *sip.Message) bool {
	addr, ok := parseAddr(m.Via.Host.Of(m.Raw))
	if !ok {
		return false
	}
	proto, _ := transport.ParseProto(string(m.Via.Transport.Of(m.Raw)))
	port := m.Via.Port
	if port == 0 {
		port = proto.DefaultPort()
	}
	return s.self.hasAddr(addr, port)
}

// asked reports whether the request of a response came here from the address that the response would go to.
func (s *Stateless) asked(m *sip.Message, next *sip.Via, to netip.Addr) bool {
	branch := m.Via.Branch.Of(m.Raw)
	if len(branch) < len(compose.Cookie)+wordSize {
		return false
	}
	own, ok := parseWord(branch[len(compose.Cookie) : len(compose.Cookie)+wordSize])
	return ok && own == sealHash(s.flowKey, next, m, to)
}

// Failed has nothing to do: who sent the message sends it again.
func (s *Stateless) Failed(transport.Hop, uint64, error) {}

// Wake has nothing to do.
func (s *Stateless) Wake(int64) int64 { return math.MaxInt64 }
