package replay

import (
	"sipscope/decode/sip"
	"sipscope/element/replay/plan"
	"sipscope/element/transport"
	"sipscope/element/txn"
)

var _ txn.Writer = layerUser{}

// AppendAck implements txn.Writer: the ACK of a failure has the headers that the recorded one has.
func (u layerUser) AppendAck(dst []byte, data uint64, hop transport.Hop, response *transport.Received) (raw []byte, own bool) {
	if g, q := u.p.of(data); g != nil && q >= 0 && !g.ending {
		return g.appendAck(dst, q, hop, response.Msg)
	}
	return nil, false
}

// AppendConfirmation implements txn.Writer: so has the answer to a CANCEL.
func (u layerUser) AppendConfirmation(dst []byte, data uint64, cancel *transport.Received) []byte {
	if g, q := u.p.of(data); g != nil && q >= 0 && !g.ending {
		return g.appendConfirmation(dst, q, cancel)
	}
	return nil
}

// appendAck appends the recorded ACK of a failure, which comes to the INVITE of step q; nil when that is not the recorded
// one, or has none. own: the ACK is one that came from somebody else, and is forwarded when that comes again.
func (g *play) appendAck(dst []byte, q int32, hop transport.Hop, m *sip.Message) (raw []byte, own bool) {
	a := g.find(q, m, func(s *step) bool { return s.status == int(m.Status) })
	if a < 0 {
		return nil, false
	}
	i := g.script.steps[a].ack
	if i < 0 {
		return nil, g.passesAckOn(q, m)
	}
	if !g.script.steps[i].byLayer || g.script.steps[i].Kind != plan.Send {
		return nil, false
	}
	g.bind(g.script.steps[a].toTag, m.To.Tag.Of(m.Raw)) // what it is matched by comes behind its ACK
	raw, err := g.render(dst, i, &source{hop: hop, auth: g.givenTo(q)})
	if err != nil {
		return nil, false
	}
	return raw, false
}

// passesAckOn reports whether the sender of the INVITE of step q forwards the ACK of its failure, as a proxy without state
// does.
func (g *play) passesAckOn(q int32, m *sip.Message) bool {
	s := &g.script.steps[q]
	for _, i := range g.script.requests[requestKey{s.call, "ACK"}] {
		x, st := &g.script.steps[i], &g.states[i]
		if x.origin >= 0 && x.Kind == plan.Send && x.from == s.from && x.to == s.to && x.msg.CSeq == s.msg.CSeq &&
			st.flags&(flagSent|flagSkipped) == 0 && g.fits(i, m) {
			return true
		}
	}
	return false
}

// appendConfirmation appends the recorded answer to a CANCEL of the INVITE of step q; nil when there is none.
func (g *play) appendConfirmation(dst []byte, q int32, cancel *transport.Received) []byte {
	c := g.awaitedCancel(q)
	if c < 0 {
		return nil
	}
	for _, a := range g.script.steps[c].answers {
		s := &g.script.steps[a]
		if !s.isFinal() || !s.byLayer || s.Kind != plan.Send || s.origin >= 0 {
			continue
		}
		raw, err := g.render(dst, a, &source{req: cancel.Msg, reqFrom: cancel.Hop.Remote, hop: cancel.Hop})
		if err != nil {
			return nil
		}
		return raw
	}
	return nil
}

// awaitedCancel is the recorded CANCEL of an INVITE that may come now; none when there is none.
func (g *play) awaitedCancel(q int32) int32 {
	for _, c := range g.script.steps[q].cancels {
		st := &g.states[c]
		if st.flags&(flagReceived|flagSkipped) == 0 && (g.script.steps[c].Kind == plan.Expect || st.flags&flagSent != 0) {
			return c
		}
	}
	return none
}
