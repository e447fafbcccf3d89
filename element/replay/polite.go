package replay

import (
	"fmt"
	"slices"
	"strconv"

	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/replay/plan"
	"sipscope/element/transport"
)

// leave plays nothing more, and ends what is open, so that no dialog is left on the live side: CANCEL for a call that is
// not answered, ACK and BYE for one that is, an answer for what came.
func (g *play) leave() {
	if g.ending || g.over {
		return
	}
	g.ending = true
	g.queue = g.queue[:0]
	g.endBy = g.now + 64*g.t1 + graceTime
	if g.script.self { // nobody else is to be left in peace
		g.endBy = g.now + min(64*g.t1, int64(g.o.Patience))
	}
	g.at(g.endBy, timerGiveUp, none)
	if g.o.Verbatim {
		return
	}
	for i := range g.script.steps {
		s, st := &g.script.steps[i], &g.states[i]
		if s.request && st.client != 0 && st.flags&flagFinal == 0 && s.method == "INVITE" {
			g.cancel(int32(i))
		}
		if s.request && st.server != 0 && st.flags&flagReplied == 0 {
			st.flags |= flagReplied
			g.refuse(st.server, g.refusalOf(s))
		}
	}
	g.farewell()
}

// graceTime is how much longer than a transaction a play that ends may take.
const graceTime = 2_000_000_000

// refusalOf is how a request is answered that the play had no time for.
func (g *play) refusalOf(s *step) int {
	switch s.method {
	case "BYE", "PRACK", "INFO", "NOTIFY", "OPTIONS", "MESSAGE":
		return 200
	case "INVITE":
		for _, c := range s.cancels {
			if g.states[c].flags&flagReceived != 0 {
				return 487
			}
		}
		if s.toTag >= 0 {
			return 488
		}
	}
	return 480
}

// cancel cancels an INVITE, unless the play has done so.
func (g *play) cancel(q int32) {
	for _, c := range g.script.steps[q].cancels {
		if g.states[c].client != 0 {
			return
		}
	}
	g.sending = true
	_ = g.layer.Cancel(g.states[q].client, "") // an INVITE that cannot be cancelled ends by its timers
	g.sending = false
}

// farewell ends the dialogs that are up. A callee waits for the ACK of its 2xx (RFC 3261 15).
func (g *play) farewell() {
	for k := range g.legs {
		l := &g.legs[k]
		switch {
		case l.over:
		case l.session && l.up && l.Caller:
			if !l.acked {
				g.politeAck(l)
			}
			g.politeBye(l)
		case l.session && l.up && l.acked && !g.otherEnd(l):
			g.politeBye(l)
		case l.feeds && !g.mirrored(l): // RFC 6665 4.2.2
			g.politeSend(l, "NOTIFY", []compose.Header{
				{ID: sip.HeaderEvent, Value: l.event},
				{ID: sip.HeaderSubscriptionState, Value: "terminated;reason=noresource"},
				{ID: sip.HeaderContact, Value: g.contactOf(l)},
			})
		case l.watch && l.Caller:
			g.politeSend(l, "SUBSCRIBE", []compose.Header{
				{ID: sip.HeaderEvent, Value: l.event}, {ID: sip.HeaderExpires, Value: "0"}, {ID: sip.HeaderContact, Value: g.contactOf(l)},
			})
		}
	}
}

// otherEnd reports whether the other end of a dialog is ours as well, and ends it.
func (g *play) otherEnd(l *leg) bool {
	if l.spec < 0 {
		return false
	}
	m := g.legOf(g.script.dialogs[l.spec].mirror)
	return m != nil && m.Caller && m.up
}

// mirrored reports whether the other end of a dialog is played, too.
func (g *play) mirrored(l *leg) bool { return l.spec >= 0 && g.script.dialogs[l.spec].mirror >= 0 }

func (g *play) contactOf(l *leg) string {
	return "<sip:" + string(appendAddrPort(nil, g.script.hosts[l.host].addr)) + ">"
}

// politeBye ends a dialog by a BYE that the recording does not have.
func (g *play) politeBye(l *leg) {
	if g.verdict == 0 && g.open == 0 {
		g.note("BYE added: the recording ends within the call")
	}
	g.politeSend(l, "BYE", nil)
}

// politeAck acknowledges a 2xx that the play came to no ACK for.
func (g *play) politeAck(l *leg) {
	l.acked = true
	req := l.Ack(l.cseq)
	hop := g.hopOfLeg(l)
	req.Via = g.via(l.host, hop)
	if raw, err := req.Append(g.out[:0]); err == nil && g.refusal(hop) == nil {
		g.out = raw
		g.link.Send(hop, raw, 0)
	}
}

// politeSend sends a request that ends a dialog.
func (g *play) politeSend(l *leg, method string, headers []compose.Header) {
	l.over, l.last = true, headers
	if l.spec >= 0 {
		if d := g.script.dialogs[l.spec].dir; d >= 0 {
			l.LocalSeq = max(l.LocalSeq, g.tops[d].cseq)
		}
	}
	req, hop := g.politeRequest(l, method)
	if c := g.knownClient(g.userOf(l)); c != nil {
		req.Headers = append(req.Headers, c.Preempt(method, req.URI, nil)...)
	}
	g.politeOut(&req, hop)
}

// politeRequest makes a request that ends a dialog, without credentials.
func (g *play) politeRequest(l *leg, method string) (compose.Request, transport.Hop) {
	req := l.Request(method, g.o.Rand)
	hop := g.hopOfLeg(l)
	branch := req.Via.Branch
	req.Via = g.via(l.host, hop)
	req.Via.Branch = branch
	req.Headers = slices.Clone(l.last)
	return req, hop
}

// politeAgain answers the challenge of a request that ends a dialog, once.
func (g *play) politeAgain(m *sip.Message) {
	l := g.matching(m)
	if l == nil || l.tried || !l.over {
		return
	}
	l.tried = true
	method := string(m.CSeqMethod.Of(m.Raw))
	req, hop := g.politeRequest(l, method)
	headers, err := g.clientOf(g.userOf(l)).Answer(m, method, req.URI, nil)
	if err != nil {
		g.note(fmt.Sprintf("%s to end the dialog was refused: %v", clean(method), err))
		return
	}
	req.Headers = append(req.Headers, headers...)
	g.politeOut(&req, hop)
}

func (g *play) userOf(l *leg) int32 {
	if l.invite < 0 {
		return none
	}
	return g.script.steps[l.invite].user
}

func (g *play) politeOut(req *compose.Request, hop transport.Hop) {
	raw, err := req.Append(g.out[:0])
	if err == nil {
		g.out = raw
		err = g.refusal(hop)
	}
	if err == nil {
		g.sending = true
		_, err = g.layer.Send(hop, raw, g.data(none))
		g.sending = false
	}
	if err != nil {
		g.note(fmt.Sprintf("%s could not be sent: %v", req.Method, err))
		return
	}
	g.polite++
}

// maxPracks is how many a dialog has beside the plan at most: each can have the live side send the next response.
const maxPracks = 64

// politePrack acknowledges a reliable provisional response that the recording does not have (RFC 3262 4).
func (g *play) politePrack(q int32, m *sip.Message) {
	value, _ := m.Value(sip.HeaderRSeq)
	n := sip.ParseRSeq(value)
	g.learnExtra(q, m)
	l := g.matching(m)
	if n < 0 || l == nil || n <= l.rseq || l.pracks == maxPracks {
		return
	}
	l.rseq = n
	l.pracks++
	hop := g.hopOfLeg(l)
	req := l.Request("PRACK", g.o.Rand)
	branch := req.Via.Branch
	req.Via = g.via(l.host, hop)
	req.Via.Branch = branch
	req.Headers = []compose.Header{
		{ID: sip.HeaderRAck, Value: strconv.FormatInt(n, 10) + " " + strconv.FormatUint(uint64(m.CSeq), 10) + " INVITE"},
	}
	if s := &g.script.steps[q]; s.dir >= 0 {
		g.shift[s.dir]++
	}
	g.politeOut(&req, hop)
}

func (g *play) learnExtra(q int32, m *sip.Message) { g.learn(q, &transport.Received{Msg: m}) }

// hopOfLeg is where requests of a dialog go; see hopFor.
func (g *play) hopOfLeg(l *leg) transport.Hop {
	base := g.o.Target
	if base.Proto == 0 { // nobody is live
		base = transport.Hop{Proto: g.script.hosts[l.host].places[0].Proto}
	}
	hop, ok := g.nextHop(l.Next(), base)
	if ok && g.refusal(hop) == nil && hop.Remote != g.script.hosts[l.host].addr {
		return g.from(l.host, hop)
	}
	if l.invite >= 0 {
		s := &g.script.steps[l.invite]
		if s.from == l.host {
			return g.baseHop(s)
		}
		if from := &g.script.hosts[s.from]; from.part == plan.Played {
			return g.from(l.host, transport.Hop{Proto: from.places[0].Proto, Remote: from.addr})
		}
	}
	return g.from(l.host, base)
}

// responseAtEnd takes a response when nothing more is played.
func (g *play) responseAtEnd(q int32, r *transport.Received) {
	m := r.Msg
	if g.script.steps[q].method != "INVITE" || m.Status < 200 || m.Status >= 300 || g.script.steps[q].origin >= 0 {
		return
	}
	if l := g.matching(m); l != nil && l.up {
		g.politeAck(l) // the 2xx came again
		return
	}
	g.learn(q, r)
	g.farewell()
}

// politeAnswered takes the answer to a request that belongs to no step.
func (g *play) politeAnswered(r *transport.Received) {
	if r.Msg.Status < 200 {
		return
	}
	g.polite--
	if isChallenge(int(r.Msg.Status)) && !g.over {
		g.politeAgain(r.Msg)
	}
	g.checkDone()
}

// quiet reports whether nothing is open on our side: no request without its final response, no 2xx without its ACK.
func (g *play) quiet() bool {
	if g.o.Verbatim {
		return true
	}
	if g.polite > 0 {
		return false
	}
	if g.unanswered() {
		return false
	}
	for k := range g.legs {
		l := &g.legs[k]
		if l.session && l.up && !l.over && (l.acked || l.Caller) && !g.otherEnd(l) {
			g.farewell()
			return g.polite == 0
		}
	}
	return true
}

// unanswered reports whether a request of ours has no final response yet, or a 2xx of ours no ACK.
func (g *play) unanswered() bool {
	for i := range g.states {
		st := &g.states[i]
		if g.script.steps[i].request && st.client != 0 && st.flags&flagFinal == 0 {
			return true
		}
	}
	for k := range g.again {
		if g.again[k].raw != nil && !g.script.steps[g.again[k].step].provisional() {
			return true
		}
	}
	return false
}

// end ends the play.
func (g *play) end() {
	if g.over {
		return
	}
	g.over, g.ending = true, true
	if g.verdict == 0 {
		g.verdict = Completed
	}
	g.closeSockets()
	p := g.Player
	p.stats.Ended++
	p.ended = append(p.ended, g.outcome())
	delete(p.plays, g.id)
	g.expectNoCalls()
	for _, t := range p.script.callTokens {
		if g.bound(t) && p.byCall[string(g.value(t))] == g.id {
			delete(p.byCall, string(g.value(t)))
		}
	}
	g.waitsNoMore()
	p.dead = append(p.dead, g)
}

// outcome tells what became of the play.
func (g *play) outcome() *Outcome {
	s := g.script
	o := &Outcome{
		ID: g.id, Began: g.began, Ended: g.now, Verdict: g.verdict, Step: g.step, Reason: g.reason,
		CallIDs: make(map[string]string, len(s.callTokens)), Steps: make([]StepOutcome, len(s.steps)),
		Notes: append(append([]string(nil), s.notes...), g.notes...),
		First: g.since(g.first), Ring: g.since(g.ring), Answer: g.since(g.answer), Media: g.mediaOutcome(),
	}
	for _, t := range s.callTokens {
		if g.bound(t) {
			o.CallIDs[s.tokens[t].recorded] = string(g.value(t))
		}
	}
	if len(s.calls) > 0 && g.bound(s.calls[0]) {
		o.CallID = string(g.value(s.calls[0]))
	}
	for i := range g.states {
		st := &g.states[i]
		x := StepOutcome{Step: s.steps[i].ID, At: -1, Arrived: -1, Skipped: st.flags&flagSkipped != 0}
		if st.flags&flagSent != 0 && st.at >= 0 {
			x.At = st.at - g.began
		}
		if st.flags&flagReceived != 0 && st.arrived >= 0 {
			x.Arrived = st.arrived - g.began
		}
		if !s.steps[i].request {
			x.Status = int(st.status)
		}
		x.Retransmissions = int(st.again)
		o.Retransmissions += int(st.again)
		o.Steps[i] = x
	}
	return o
}

// since is a time after the begin; -1 for none.
func (g *play) since(t int64) int64 {
	if t == 0 {
		return -1
	}
	return t - g.began
}
