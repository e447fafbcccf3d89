package replay

import (
	"bytes"
	"fmt"
	"strings"

	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/dialog"
	"sipscope/element/replay/plan"
	"sipscope/element/transport"
	"sipscope/element/txn"
)

// onRequest takes a request that the layer has made a transaction for; id 0 is the ACK of a 2xx, which receiveAck has seen.
func (p *Player) onRequest(id txn.ID, r *transport.Received) {
	if id == 0 {
		return
	}
	host := p.hostAt(r.Hop.Local)
	g, i := p.match(host, r)
	switch {
	case i >= 0:
		g.requested(i, id, r)
	case g != nil:
		g.unexpected(host, id, r)
	default:
		p.stats.Extra++
		p.polite(id, r)
	}
	if g != nil {
		g.checkDone()
	}
}

// match finds the play and the step of a request: by its Call-ID; else, of one that begins a call, by what it says of
// other calls, and by whom it is for.
func (p *Player) match(host int32, r *transport.Received) (*play, int32) {
	m := r.Msg
	if g := p.plays[p.byCall[string(m.CallID.Of(m.Raw))]]; g != nil {
		return g, g.matchIn(host, m)
	}
	if !m.To.Tag.Empty() {
		return nil, none
	}
	return p.matchNew(host, m)
}

// matchIn finds the step of a request whose Call-ID is one of the play's.
func (g *play) matchIn(host int32, m *sip.Message) int32 {
	if g.ending {
		return none
	}
	call := none
	id := m.CallID.Of(m.Raw)
	for _, t := range g.script.callTokens {
		if g.bound(t) && bytes.Equal(g.value(t), id) {
			call = t
			break
		}
	}
	if call < 0 {
		return none
	}
	steps := g.script.requests[requestKey{call, string(m.Method.Of(m.Raw))}]
	best, bestScore := none, 0
	for _, i := range steps {
		if score := g.score(i, host, m); score > bestScore {
			best, bestScore = i, score
		}
	}
	return best
}

// score says how well a request fits a step of its Call-ID and method; 0 not at all.
func (g *play) score(i, host int32, m *sip.Message) int {
	s, st := &g.script.steps[i], &g.states[i]
	// An in-dialog request is no initial one, whatever its tags are.
	if !g.waited(i) || host >= 0 && s.to != host || (s.toTag < 0) != m.To.Tag.Empty() || !g.tagsFit(s, m) {
		return 0
	}
	score := 2
	if s.Kind == plan.Expect && st.flags&flagEnabled != 0 {
		score++
	}
	if b := m.Via.Branch.Of(m.Raw); s.Kind == plan.Send && g.bound(s.branch) && bytes.Equal(g.value(s.branch), b) {
		score += 8
	}
	if s.dir >= 0 && uint32(max(int64(s.msg.CSeq)+int64(g.shift[s.dir]), 0)) == m.CSeq { //nolint:gosec // a number of 32 bits
		score += 4
	}
	return score
}

// tagsFit reports whether a message has the tags of a step, as far as those are known.
func (g *play) tagsFit(s *step, m *sip.Message) bool {
	return !g.differs(s.fromTag, m.From.Tag.Of(m.Raw)) && !g.differs(s.toTag, m.To.Tag.Of(m.Raw))
}

// differs reports whether a token has another live value.
func (g *play) differs(t int32, b []byte) bool {
	return g.bound(t) && !bytes.Equal(g.value(t), b)
}

// requested takes a request as the one of step i.
func (g *play) requested(i int32, id txn.ID, r *transport.Received) {
	s, st := &g.script.steps[i], &g.states[i]
	m := r.Msg
	st.server = id
	g.layer.SetData(id, g.data(i))
	g.txns[id] = place{g.id, i}
	g.bindMessage(i, m)
	g.keep(i, r)
	if g.o.Media != nil {
		g.described(i, m)
	}
	if s.remote >= 0 {
		g.within(i, m)
	}
	if s.prack >= 0 && s.method == "PRACK" {
		g.acknowledged(s.prack)
	}
	why := g.verify(i, m)
	g.received(i)
	if why != "" && g.diverge(i, s.what()+" from "+s.From+": "+why) {
		return
	}
	for _, a := range s.answers {
		x := &g.states[a]
		if x.flags&flagEnabled != 0 && x.flags&(flagSent|flagSkipped) == 0 && x.deadline <= g.now && !g.ending {
			g.push(a)
		}
	}
}

// within is a request of a dialog: it may change the target, or end it.
func (g *play) within(i int32, m *sip.Message) {
	s := &g.script.steps[i]
	l := g.legOf(s.remote)
	if l == nil {
		l = g.matching(m)
	}
	if l == nil && (m.MethodID == sip.MethodNotify || m.MethodID == sip.MethodSubscribe) {
		d, err := dialog.FromRequest(m, string(m.To.Tag.Of(m.Raw))) // a NOTIFY before the 200 (RFC 6665 4.4.1)
		if err != nil || g.tooManyLegs() {
			return
		}
		g.legs = append(g.legs, leg{Dialog: d, spec: s.remote, host: s.to, invite: none, watch: true, event: s.event()})
		return
	}
	if l == nil {
		return
	}
	l.Refresh(m)
	if m.MethodID == sip.MethodBye {
		l.over = true
		g.hangUp(l)
	}
	if l.watch && m.MethodID == sip.MethodNotify {
		if value, ok := m.Value(sip.HeaderSubscriptionState); ok {
			l.over = l.over || bytes.EqualFold(sip.ParseSubscriptionState(value).State, []byte("terminated"))
		}
	}
}

// hangUp is a BYE: nobody will acknowledge the 2xx of the dialog any more. When its ACK got lost, that was no matter.
func (g *play) hangUp(l *leg) {
	for k := range g.again {
		r := &g.again[k]
		if s := &g.script.steps[r.step]; r.raw != nil && s.remote >= 0 && s.remote == l.spec && !s.provisional() {
			r.raw = nil
			l.acked = true
			if s.ackIn >= 0 && !g.ending {
				g.skipAcks(s.ackIn)
			}
		}
	}
}

// skipAcks gives up an ACK on all its hops.
func (g *play) skipAcks(i int32) {
	s := &g.script.steps[i]
	for _, j := range g.script.requests[requestKey{s.call, "ACK"}] {
		if x := &g.script.steps[j]; x.toTag == s.toTag && x.msg.CSeq == s.msg.CSeq {
			g.skip(j, "it did not come before the BYE")
		}
	}
}

// cancelled is a CANCEL that came for the INVITE of step q; the layer has answered it.
func (g *play) cancelled(q int32, r *transport.Received) {
	if g.over {
		return
	}
	if g.ending {
		g.refuse(g.states[q].server, 487)
		g.states[q].flags |= flagReplied
		g.checkDone()
		return
	}
	if c := g.awaitedCancel(q); c >= 0 {
		g.bindMessage(c, r.Msg)
		g.keep(c, r)
		g.received(c)
		return
	}
	if g.states[q].flags&flagReplied == 0 {
		g.refuse(g.states[q].server, 487)
		g.states[q].flags |= flagReplied
	}
	g.diverge(q, "unexpected CANCEL of "+g.script.steps[q].what()+" from "+g.script.steps[q].From)
	g.checkDone()
}

// receiveAck looks at an ACK before the layer does, which keeps those of failures to itself.
func (p *Player) receiveAck(r *transport.Received) {
	m := r.Msg
	g := p.plays[p.byCall[string(m.CallID.Of(m.Raw))]]
	if g == nil || g.over {
		return
	}
	host := p.hostAt(r.Hop.Local)
	g.ackFor(host, m)
	if i := g.matchAck(host, m); i >= 0 {
		g.bindMessage(i, m)
		g.keep(i, r)
		if g.o.Media != nil {
			g.described(i, m)
		}
		if g.script.steps[i].Kind == plan.Send && g.states[i].flags&flagSent == 0 {
			g.sent(i)
		}
		g.received(i)
	} else {
		g.forwardAck(host, m)
	}
	g.checkDone()
}

// forwardAck passes on an ACK of a 2xx that came again.
func (g *play) forwardAck(host int32, m *sip.Message) {
	for i := range g.script.steps {
		s := &g.script.steps[i]
		if s.method != "ACK" || !s.relayed || host >= 0 && s.to != host || g.states[i].flags&flagReceived == 0 ||
			g.differs(s.call, m.CallID.Of(m.Raw)) || g.differs(s.toTag, m.To.Tag.Of(m.Raw)) || g.states[i].cseq != m.CSeq {
			continue
		}
		for _, j := range s.effects {
			if x := &g.script.steps[j]; x.request && x.origin == int32(i) && g.states[j].flags&flagSent != 0 {
				g.sendAckAgain(j)
			}
		}
		return
	}
}

// matchAck finds the step of an ACK: that of the INVITE with its number.
func (g *play) matchAck(host int32, m *sip.Message) int32 {
	if g.ending {
		return none
	}
	for _, t := range g.script.callTokens {
		if !g.bound(t) || !bytes.Equal(g.value(t), m.CallID.Of(m.Raw)) {
			continue
		}
		for _, i := range g.script.requests[requestKey{t, "ACK"}] {
			s := &g.script.steps[i]
			if !g.waited(i) || host >= 0 && s.to != host || !g.tagsFit(s, m) {
				continue
			}
			if s.asked < 0 || g.states[s.asked].cseq == 0 || g.states[s.asked].cseq == m.CSeq {
				return i
			}
		}
	}
	return none
}

// ackFor ends the sending again of the 2xx that an ACK is for.
func (g *play) ackFor(host int32, m *sip.Message) {
	for k := range g.again {
		r := &g.again[k]
		s := &g.script.steps[r.step]
		if r.raw == nil || s.provisional() || g.states[r.step].cseq != m.CSeq || host >= 0 && s.from != host ||
			g.differs(s.toTag, m.To.Tag.Of(m.Raw)) || g.differs(s.call, m.CallID.Of(m.Raw)) {
			continue
		}
		r.raw = nil
		if l := g.legOf(s.remote); l != nil {
			l.acked = true
		}
	}
	if g.ending {
		g.farewell()
	}
}

// noAck is a final response to an INVITE, other than 2xx, that nobody acknowledged.
func (g *play) noAck(q int32) {
	if g.over || g.ending {
		return
	}
	for _, a := range g.script.steps[q].answers {
		s := &g.script.steps[a]
		if s.isFinal() && s.ackIn >= 0 && g.states[a].flags&flagSent != 0 {
			g.diverge(s.ackIn, fmt.Sprintf("expected ACK from %s, nothing came", g.script.steps[s.ackIn].From))
			return
		}
	}
	g.note(fmt.Sprintf("step %d: no ACK came", g.script.steps[q].ID))
}

// unexpected answers a request of the play that the recording does not have. Keep-alives and what asks for nothing are
// tolerated; the rest is a divergence that does not end the play by itself, but for a BYE.
func (g *play) unexpected(host int32, id txn.ID, r *transport.Received) {
	m := r.Msg
	g.layer.SetData(id, 0)
	l := g.matching(m)
	status := politeStatus(m, l)
	if l != nil {
		l.Refresh(m)
		if m.MethodID == sip.MethodBye {
			l.over = true
		}
	}
	g.answerWith(id, r, status)
	from := "nobody"
	if host >= 0 {
		from = g.script.hosts[host].name
	}
	switch {
	case g.ending:
	case m.MethodID == sip.MethodOptions || m.MethodID == sip.MethodNotify:
		g.note(fmt.Sprintf("extra %s to %s, answered %d", got(m), from, status))
	default:
		g.surprise(fmt.Sprintf("unexpected %s to %s, answered %d", got(m), from, status), m.MethodID == sip.MethodBye && l != nil)
	}
}

// surprise notes a request that came though the recording has none.
func (g *play) surprise(text string, last bool) {
	if g.verdict == 0 {
		g.verdict, g.reason = Diverged, text
	} else {
		g.note(text)
	}
	switch {
	case g.o.OnDiverge == Abort:
		g.end()
	case last && g.o.OnDiverge == Recover:
		g.leave()
	}
}

// politeStatus is how a request is answered that nobody expected.
func politeStatus(m *sip.Message, l *leg) int {
	if l == nil && !m.To.Tag.Empty() {
		return 481
	}
	switch m.MethodID {
	case sip.MethodOptions, sip.MethodNotify, sip.MethodInfo, sip.MethodPrack, sip.MethodBye, sip.MethodMessage:
		if m.MethodID == sip.MethodBye && l == nil {
			return 481
		}
		return 200
	case sip.MethodUpdate:
		if m.Body.Empty() {
			return 200
		}
		return 488
	case sip.MethodInvite:
		if l != nil {
			return 488
		}
		return 480
	default:
		return 480
	}
}

// polite answers a request that belongs to no play.
func (p *Player) polite(id txn.ID, r *transport.Received) {
	p.answerWith(id, r, politeStatus(r.Msg, nil))
}

// answerWith answers a request with a code and nothing else.
func (p *Player) answerWith(id txn.ID, r *transport.Received, status int) {
	reply := compose.Reply{Status: status, ToTag: string(appendRandom(nil, p.o.Rand.Uint64()))}
	raw, err := compose.Response(p.out[:0], r.Msg, r.Hop.Remote, &reply)
	if err != nil {
		return
	}
	p.out = raw
	p.sending = true
	_ = p.layer.Respond(id, raw) // a transaction that is gone needs no answer
	p.sending = false
}

// refuse answers a request that waits in the layer.
func (p *Player) refuse(id txn.ID, status int) {
	raw, from, ok := p.layer.Request(id)
	if !ok || sip.Parse(raw, &p.req) != nil {
		return
	}
	p.answerWith(id, &transport.Received{Msg: &p.req, Hop: from}, status)
}

// waitKey is what an expected call is found by: whom it comes to, its method, and the user that it is for; "" of all.
type waitKey struct {
	host   int32
	method string
	user   string
}

// queue is the plays that wait for a call, the oldest first.
type queue struct{ list []place }

// expectCalls notes the calls that a play expects from the live side.
func (g *play) expectCalls() {
	for _, i := range g.script.incoming {
		s := &g.script.steps[i]
		user := g.liveUser(s)
		for _, key := range [...]waitKey{{s.to, s.method, user}, {s.to, s.method, "*"}} {
			q := g.waiting[key]
			if q == nil {
				q = &queue{}
				g.waiting[key] = q
			}
			q.list = append(q.list, place{g.id, i})
		}
	}
}

// expectNoCalls forgets what a play that has ended waited for, so that users who are called once leave nothing behind.
func (g *play) expectNoCalls() {
	for _, i := range g.script.incoming {
		s := &g.script.steps[i]
		for _, key := range [...]waitKey{{s.to, s.method, g.liveUser(s)}, {s.to, s.method, "*"}} {
			q := g.waiting[key]
			if q == nil {
				continue
			}
			q.trim(g.Player)
			switch {
			case len(q.list) == 0:
				delete(g.waiting, key)
			case len(q.list) > 64 && len(q.list) > 4*len(g.plays)*len(g.script.incoming):
				q.compact(g.Player)
			}
		}
	}
}

// trim leaves out the first ones that nobody waits for any more.
func (q *queue) trim(p *Player) {
	for len(q.list) > 0 && !p.waits(q.list[0]) {
		q.list = q.list[1:]
	}
}

// liveUser is the user of the Request-URI of an expected call, as mapped, in lower case.
func (g *play) liveUser(s *step) string {
	u, _ := sip.ParseURI(s.msg.URI.Of(s.msg.Raw))
	user := string(u.User)
	if t, ok := g.o.Rewrite.users[user]; ok {
		user = string(t.append(nil, g.input))
	}
	return strings.ToLower(user)
}

// waits reports whether a play still waits for a call.
func (p *Player) waits(at place) bool {
	g := p.plays[at.play]
	return g != nil && !g.ending && g.states[at.step].flags&(flagReceived|flagSkipped) == 0
}

// waitsNoMore has an ended play leave nothing in the queues that it stood in, be they of its user alone.
func (g *play) waitsNoMore() {
	for _, i := range g.script.incoming {
		s := &g.script.steps[i]
		for _, user := range [...]string{g.liveUser(s), "*"} {
			key := waitKey{s.to, s.method, user}
			q := g.waiting[key]
			for q != nil && len(q.list) > 0 && !g.waits(q.list[0]) {
				q.list = q.list[1:]
			}
			if q != nil && len(q.list) == 0 {
				delete(g.waiting, key)
			}
		}
	}
}

// compact leaves out what nobody waits for any more.
func (q *queue) compact(p *Player) {
	kept := q.list[:0]
	for _, at := range q.list {
		if p.waits(at) {
			kept = append(kept, at)
		}
	}
	q.list = kept
}

// first finds the oldest play that waits; one whose call is due goes before one whose call is not.
func (q *queue) first(p *Player) (place, bool) {
	q.trim(p)
	const most = 256 // beyond, the oldest one that waits is as good
	for k, at := range q.list {
		if k >= most {
			break
		}
		if p.waits(at) && p.plays[at.play].states[at.step].flags&flagEnabled != 0 {
			return at, true
		}
	}
	if len(q.list) > 0 {
		return q.list[0], true
	}
	return place{}, false
}

// matchNew finds the step of a request that begins a call of the live side's own, as a back-to-back user agent's.
func (p *Player) matchNew(host int32, m *sip.Message) (*play, int32) {
	return p.matchFor(host, m, "*")
}

// matchFor is matchNew for whom the request names, and then for others, "*" for anybody.
func (p *Player) matchFor(host int32, m *sip.Message, others ...string) (*play, int32) {
	method := string(m.Method.Of(m.Raw))
	if len(p.script.incoming) == 0 || host < 0 {
		return nil, none
	}
	if g := p.related(m); g != nil {
		for _, i := range p.script.incoming {
			if s := &p.script.steps[i]; s.to == host && s.method == method && p.waits(place{g.id, i}) && g.bindable(s) {
				return g, i
			}
		}
	}
	u, _ := sip.ParseURI(m.URI.Of(m.Raw))
	named := []string{strings.ToLower(string(u.User)), strings.ToLower(string(m.To.User.Of(m.Raw)))}
	for _, user := range append(named, others...) {
		if q := p.waiting[waitKey{host, method, user}]; q != nil {
			if at, ok := q.first(p); ok && p.plays[at.play].bindable(&p.script.steps[at.step]) {
				return p.plays[at.play], at.step
			}
		}
	}
	return nil, none
}

// bindable reports whether the Call-ID of a step has no live value yet.
func (g *play) bindable(s *step) bool { return !g.bound(s.call) }

// related finds the play whose Call-ID a request names, wherever it does: in its own Call-ID, in a header of a
// back-to-back user agent.
func (p *Player) related(m *sip.Message) *play {
	head := m.Raw[:m.Head]
	for at := 0; at < len(head); {
		end := at
		for end < len(head) && strings.IndexByte(" \t\r\n\"<>;,=", head[end]) < 0 {
			end++
		}
		word := head[at:end]
		at = end + 1
		if len(word) < minWord || len(word) > maxBound {
			continue
		}
		if g := p.plays[p.byCall[string(word)]]; g != nil {
			return g
		}
		for k := minWord; k < len(word); k++ {
			if strings.IndexByte("_-@;.+:", word[k]) < 0 {
				continue
			}
			if g := p.plays[p.byCall[string(word[:k])]]; g != nil {
				return g
			}
		}
	}
	return nil
}
