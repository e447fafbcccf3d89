package replay

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"

	"sipscope/decode/sip"
	"sipscope/element/auth"
	"sipscope/element/compose"
	"sipscope/element/dialog"
	"sipscope/element/replay/plan"
	"sipscope/element/transport"
	"sipscope/element/txn"
)

// send sends the message of a step.
func (g *play) send(i int32) {
	s := &g.script.steps[i]
	switch {
	case s.byLayer:
		g.sent(i)
	case !s.request:
		g.sendResponse(i)
	case s.method == "ACK":
		g.sendAck(i)
	case s.method == "CANCEL":
		g.sendCancel(i)
	case g.early(i):
		g.held = append(g.held, i)
	default:
		_ = g.sendRequest(i, nil) // without a challenge it tells by itself
	}
}

// early reports whether a request before this one, of the same sender, waits for an answer that it had in the recording
// when this one was sent.
func (g *play) early(i int32) bool {
	s := &g.script.steps[i]
	if s.dir < 0 || s.origin >= 0 {
		return false
	}
	for _, q := range g.script.byDir[s.dir] {
		if q >= i {
			break
		}
		st := &g.states[q]
		if st.client == 0 || st.flags&flagFinal != 0 {
			continue
		}
		for _, a := range g.script.steps[q].answers {
			if a < i && g.script.steps[a].isFinal() && !g.states[a].flags.done() {
				return true
			}
		}
	}
	return false
}

// unable ends a play whose next message cannot be made or sent.
func (g *play) unable(i int32, err error) {
	s := &g.script.steps[i]
	g.stop(Refused, s.ID, fmt.Sprintf("step %d: cannot send %s to %s: %v", s.ID, s.what(), s.To, err))
}

// sendRequest sends a request. challenge is a live 401 or 407 that it answers though the recording has none, nil for none:
// the error then says why it cannot be answered.
func (g *play) sendRequest(i int32, challenge *sip.Message) error {
	s, st := &g.script.steps[i], &g.states[i]
	var x source
	g.asked(s.local)
	g.order(i)
	x.hop = g.hopFor(i)
	if s.origin >= 0 && !g.forwarded(s.origin, &x) {
		g.skip(i, "what it forwards did not come")
		return nil
	}
	raw, err := g.rendered(i, &x, challenge)
	switch {
	case err != nil && challenge != nil:
		return err
	case errors.Is(err, auth.ErrRefused):
		g.diverge(i, err.Error())
		return nil
	case err == nil:
		err = g.refusal(x.hop)
	}
	if err == nil {
		g.sending = true
		st.client, err = g.layer.Send(x.hop, raw, g.data(i))
		g.sending = false
	}
	if errors.Is(err, txn.ErrBranch) && st.flags&flagRenewed == 0 { // recorded from two who chose alike
		st.flags |= flagRenewed
		g.note(fmt.Sprintf("step %d: its branch is in use: it has one of its own", s.ID))
		g.renew(s.branch)
		return g.sendRequest(i, challenge)
	}
	if err != nil {
		g.unable(i, err)
		return nil
	}
	g.txns[st.client] = place{g.id, i}
	st.cseq = g.cseq(i)
	if l := g.legOf(s.local); l != nil {
		l.LocalSeq = max(l.LocalSeq, st.cseq)
		l.over = l.over || s.method == "BYE"
		l.feeds = l.feeds && !s.terminates()
	}
	g.sent(i)
	return nil
}

// order keeps CSeq ascending (RFC 3261 12.2.1.1) where requests leave in another order than recorded, since one of them
// waited for a slow or lost answer. Where the recorded numbers go down, they do so here too.
func (g *play) order(i int32) {
	s := &g.script.steps[i]
	if s.origin >= 0 || s.dir < 0 {
		return
	}
	t := &g.tops[s.dir]
	c := g.cseq(i)
	if t.cseq >= c && (t.step > i || g.states[i].flags&flagRetried != 0) {
		g.shift[s.dir] += int32(t.cseq + 1 - c) //nolint:gosec // RFC 3261 8.1.1.5: below 2^31; else it wraps
		c = t.cseq + 1
	}
	if c > t.cseq {
		*t = top{cseq: c, step: i}
	}
}

// cseq is the number that a request has now.
func (g *play) cseq(i int32) uint32 {
	s := &g.script.steps[i]
	if s.origin >= 0 {
		return g.states[s.origin].cseq
	}
	return uint32(max(int64(s.msg.CSeq)+int64(g.shift[s.dir]), 0)) //nolint:gosec // RFC 3261 8.1.1.5: below 2^31; else it wraps
}

// rendered renders a request, with credentials where it needs some. What it gives is good until the next one.
func (g *play) rendered(i int32, x *source, challenge *sip.Message) ([]byte, error) {
	s := &g.script.steps[i]
	raw, err := g.render(g.out[:0], i, x)
	if err != nil {
		return nil, err
	}
	g.out = raw
	if s.origin >= 0 {
		return raw, nil
	}
	if x.auth, err = g.credentialsFor(i, raw, challenge); err != nil || len(x.auth) == 0 {
		return raw, err
	}
	raw, err = g.render(g.out[:0], i, x)
	if err != nil {
		return nil, err
	}
	g.out = raw
	return raw, nil
}

// forwarded finds what a step forwards; false when it did not come.
func (g *play) forwarded(o int32, x *source) bool {
	k := g.keptOf(o)
	if k == nil || sip.Parse(k.raw, &g.src) != nil {
		return false
	}
	x.in, x.inFrom = &g.src, k.hop.Remote
	return true
}

// hopFor is where a request goes: where the route set or the target of the live dialog says, if the guard knows that
// address; else to who stands for the recorded receiver.
func (g *play) hopFor(i int32) transport.Hop {
	s := &g.script.steps[i]
	base := g.baseHop(s)
	l := g.legOf(s.local)
	if l == nil || s.outside || s.keepsURI {
		return base
	}
	next := l.Next()
	hop, ok := g.nextHop(next, base)
	switch {
	case !ok:
		g.note(fmt.Sprintf("next hop %s is no address: sent to %s", clean(next), base.Remote))
	case hop.Remote == base.Remote && hop.Proto == base.Proto, hop.Remote == g.script.hosts[s.from].addr:
		return base // nobody sends to itself
	case g.refusal(hop) != nil:
		g.stats.Refused++
		g.note(fmt.Sprintf("%v: sent to %s", g.refusal(hop), base.Remote))
	default:
		return g.from(s.from, hop)
	}
	return base
}

// baseHop is the operator's: the target, or the place of the played host.
func (g *play) baseHop(s *step) transport.Hop {
	to := &g.script.hosts[s.to]
	if to.part == plan.Live {
		hop := g.o.Target
		hop.Proto = s.carrier
		return g.from(s.from, hop)
	}
	at := to.place(s.carried())
	return g.from(s.from, transport.Hop{Proto: at.Proto, Remote: at.AddrPort})
}

// from has a hop begin at a host's own place.
func (g *play) from(h int32, hop transport.Hop) transport.Hop {
	hop.Local = g.script.hosts[h].place(hop.Proto).AddrPort
	hop.Conn = 0
	return hop
}

// nextHop is hopOf; one that we play is reached where it listens, whatever transport the URI asks for: a recording of what
// was decrypted on the way has no TLS, but its URIs do.
func (g *play) nextHop(uri string, base transport.Hop) (transport.Hop, bool) {
	hop, ok := hopOf(uri, base)
	if h, own := g.script.byLocal[hop.Remote]; ok && own {
		at := g.script.hosts[h].place(hop.Proto)
		if at.Proto != hop.Proto {
			at = g.script.hosts[h].place(base.Proto)
		}
		hop.Proto, hop.Remote = at.Proto, at.AddrPort
	}
	return hop, ok
}

// hopOf reads a URI whose host is an address. What it does not say is as in base.
func hopOf(uri string, base transport.Hop) (transport.Hop, bool) {
	u, ok := sip.ParseURI([]byte(uri))
	if !ok {
		return base, false
	}
	addr, _, _, ok := parseHostPort(u.Host)
	if !ok {
		return base, false
	}
	hop := transport.Hop{Proto: base.Proto, Name: base.Name}
	if len(u.Scheme) == 4 && !hop.Proto.Secure() { // sips
		hop.Proto = transport.TLS
	}
	if value, has := sip.Param(u.Params, "transport"); has {
		if p, known := transport.ParseProto(string(value)); known {
			hop.Proto = p
			if p == transport.TCP && len(u.Scheme) == 4 {
				hop.Proto = transport.TLS
			}
		}
	}
	port := u.Port
	if port == 0 {
		port = hop.Proto.DefaultPort()
	}
	hop.Remote = netip.AddrPortFrom(addr, port)
	if hop.Remote == base.Remote && (!hop.Proto.Reliable() || base.Proto.Secure() || base.Proto == transport.WS) {
		hop.Proto = base.Proto // the operator knows how to reach it; WS in a URI may be either kind (RFC 7118 5.2.1)
	}
	return hop, true
}

// sendAck sends the ACK of a 2xx.
func (g *play) sendAck(i int32) {
	s := &g.script.steps[i]
	if s.final >= 0 && g.states[s.final].status >= 300 {
		g.sent(i) // the layer sent it
		return
	}
	if raw, hop, ok := g.ackOf(i); ok {
		g.link.Send(hop, raw, g.direct(i))
		if l := g.legOf(s.local); l != nil {
			l.acked = true
		}
		g.sent(i)
	}
}

// ackOf renders an ACK of a 2xx, for the first time or again.
func (g *play) ackOf(i int32) (raw []byte, hop transport.Hop, ok bool) {
	s := &g.script.steps[i]
	var x source
	x.hop = g.hopFor(i)
	if s.origin >= 0 && !g.forwarded(s.origin, &x) {
		return nil, hop, false
	}
	raw, err := g.rendered(i, &x, nil)
	if err == nil {
		err = g.refusal(x.hop)
	}
	if err != nil {
		g.unable(i, err)
		return nil, hop, false
	}
	return raw, x.hop, true
}

// sendCancel sends a CANCEL, once a provisional response has come (RFC 3261 9.1).
func (g *play) sendCancel(i int32) {
	s, st := &g.script.steps[i], &g.states[i]
	switch {
	case s.asked < 0 || g.states[s.asked].client == 0:
		g.skip(i, "there is no INVITE to cancel")
		return
	case g.states[s.asked].flags&flagFinal != 0:
		g.skip(i, "the INVITE has its final response already")
		return
	case g.states[s.asked].flags&flagRung == 0 && !g.script.tooEarly(s):
		st.flags |= flagWaits
		return
	}
	st.flags &^= flagWaits
	x := source{hop: g.hopFor(s.asked)}
	if s.origin >= 0 && !g.forwarded(s.origin, &x) {
		g.skip(i, "what it forwards did not come")
		return
	}
	raw, err := g.render(g.out[:0], i, &x)
	if err == nil {
		g.out = raw
		err = g.refusal(x.hop)
	}
	if err == nil {
		g.sending = true
		st.client, err = g.layer.Send(x.hop, raw, g.data(i))
		g.sending = false
	}
	if err != nil {
		g.unable(i, err)
		return
	}
	g.txns[st.client] = place{g.id, i}
	st.cseq = g.states[s.asked].cseq
	g.sent(i)
}

// tooEarly reports whether a CANCEL to one that we play was recorded before any provisional response, though it must not be
// sent then (RFC 3261 9.1): who should wait for one may wait for ever.
func (c *script) tooEarly(s *step) bool {
	if s.to < 0 || c.hosts[s.to].part != plan.Played {
		return false
	}
	for _, a := range c.steps[s.asked].answers {
		if x := &c.steps[a]; x.provisional() && x.ID < s.ID {
			return false
		}
	}
	return true
}

// sendResponse answers a request that came.
func (g *play) sendResponse(i int32) {
	s := &g.script.steps[i]
	if s.asked < 0 {
		g.skip(i, "its request is not in the plan")
		return
	}
	q := &g.states[s.asked]
	if q.server == 0 {
		return // it goes on when the request comes
	}
	raw, from, ok := g.layer.Request(q.server)
	if k := g.keptOf(s.asked); !ok && k != nil { // a second 2xx, of a fork
		raw, from, ok = k.raw, k.hop, true
	}
	if !ok || sip.Parse(raw, &g.req) != nil {
		g.skip(i, "its request has its final response already")
		return
	}
	var x source
	x.req, x.reqFrom, x.hop = &g.req, from.Remote, from
	if s.origin >= 0 && !g.forwarded(s.origin, &x) {
		g.skip(i, "what it forwards did not come")
		return
	}
	if s.remote >= 0 {
		g.answering(i, &g.req)
	}
	g.askFor(i, &x)
	out, err := g.render(g.out[:0], i, &x)
	if err == nil {
		g.out = out
		g.sending = true
		err = g.layer.Respond(q.server, out)
		g.sending = false
	}
	if err != nil {
		g.skip(i, err.Error())
		return
	}
	st := &g.states[i]
	st.status, st.cseq = uint16(s.status), g.req.CSeq //nolint:gosec // three digits
	hop := transport.ReplyHop(&transport.Received{Msg: &g.req, Hop: from})
	g.replied(i, hop, out)
	g.sent(i)
}

// replied notes what a response of ours begins: a final one ends its request, a 2xx to an INVITE waits for its ACK and a
// reliable provisional one for its PRACK.
func (g *play) replied(i int32, hop transport.Hop, raw []byte) {
	s := &g.script.steps[i]
	if s.isFinal() {
		g.states[s.asked].flags |= flagReplied
		g.drop(s.asked)
	}
	// we know that one of ours will not acknowledge what was never acknowledged
	alone := g.script.hosts[s.to].part == plan.Played
	switch {
	case s.origin >= 0:
	case s.method == "INVITE" && s.isFinal() && s.status < 300:
		if g.dialogUp(s, alone && s.ackIn < 0) {
			g.resendLater(i, hop, raw)
		}
	case s.provisional() && alone && s.prack < 0:
	case s.reliable():
		g.resendLater(i, hop, raw)
	}
}

// dialogUp notes that a dialog is up by a 2xx of ours to its INVITE, and reports whether its ACK is to be waited for: never
// says that none will come.
func (g *play) dialogUp(s *step, never bool) bool {
	if l := g.legOf(s.remote); l != nil {
		l.up = true
		l.acked = l.acked || never
	}
	if never {
		g.note(fmt.Sprintf("step %d: no ACK came, as recorded", s.ID))
	}
	return !never
}

// reliable reports whether a response is a provisional one that is sent again until its PRACK comes (RFC 3262 3).
func (s *step) reliable() bool {
	if !s.provisional() || s.status <= 100 {
		return false
	}
	_, numbered := s.msg.Value(sip.HeaderRSeq)
	return numbered && s.msg.HasOption(sip.HeaderRequire, "100rel")
}

// drop ends the sending again of the provisional responses to a request.
func (g *play) drop(q int32) {
	for k := range g.again {
		if r := &g.again[k]; r.raw != nil && g.script.steps[r.step].asked == q && g.script.steps[r.step].provisional() {
			r.raw = nil
		}
	}
}

// resendLater has a response sent again until it is acknowledged.
func (g *play) resendLater(i int32, hop transport.Hop, raw []byte) {
	r := resend{
		step: i, hop: hop, raw: append([]byte(nil), raw...), every: g.t1, next: g.now + g.t1, until: g.now + 64*g.t1,
	}
	g.again = append(g.again, r)
	g.at(r.next, timerResend, i)
}

// resendDue sends again what is due.
func (g *play) resendDue() {
	for k := range g.again {
		r := &g.again[k]
		if r.raw == nil || r.next > g.now {
			continue
		}
		if g.now >= r.until {
			r.raw = nil
			g.unacknowledged(r.step)
			continue
		}
		if g.refusal(r.hop) == nil {
			g.link.Send(r.hop, r.raw, 0)
			g.states[r.step].again++
		}
		s := &g.script.steps[r.step]
		if r.every *= 2; !s.provisional() {
			r.every = min(r.every, g.t2)
		}
		r.next = min(g.now+r.every, r.until)
		g.at(r.next, timerResend, r.step)
	}
}

// acknowledged ends the sending again of a response.
func (g *play) acknowledged(i int32) {
	for k := range g.again {
		if g.again[k].step == i {
			g.again[k].raw = nil
		}
	}
}

// unacknowledged is a response that nobody acknowledged.
func (g *play) unacknowledged(i int32) {
	s := &g.script.steps[i]
	if !s.provisional() {
		if l := g.legOf(s.remote); l != nil {
			l.acked = true // as if: BYE is allowed now (RFC 3261 13.3.1.4)
		}
		if s.ackIn < 0 {
			g.note(fmt.Sprintf("step %d: no ACK came, as recorded", s.ID))
			return
		}
	}
	if !g.ending {
		g.diverge(i, "nobody acknowledged "+s.what())
	}
}

// unsent is a message that the link could not send.
func (g *play) unsent(i int32, err error) {
	if g.over || g.ending || i < 0 {
		return
	}
	s := &g.script.steps[i]
	if s.request && g.states[i].flags&flagReceived != 0 { // the answer to it
		for _, a := range s.answers {
			if g.states[a].flags&flagSent != 0 {
				s, i = &g.script.steps[a], a
			}
		}
	}
	text := fmt.Sprintf("%s to %s could not be sent: %v", s.what(), s.To, err)
	if !s.request && s.method == "INVITE" && s.status >= 200 && s.status < 300 { // it is sent again until its ACK comes
		g.note(fmt.Sprintf("step %d: %s", s.ID, text))
		return
	}
	g.diverge(i, text)
	g.checkDone()
}

// asked makes the dialog of a request that came and that we have not answered yet, as a notifier may (RFC 6665 4.4.1).
func (g *play) asked(spec int32) {
	if spec < 0 || g.legOf(spec) != nil || g.tooManyLegs() {
		return
	}
	d := &g.script.dialogs[spec]
	for k := range int32(len(g.script.steps)) { //nolint:gosec // few steps
		q := &g.script.steps[k]
		if q.call != d.call || !q.request || g.states[k].server == 0 || q.to != d.host || q.fromTag != d.remote || q.toTag >= 0 || !makesDialog(q.method) {
			continue
		}
		raw, _, ok := g.layer.Request(g.states[k].server)
		if !ok || sip.Parse(raw, &g.req) != nil {
			continue
		}
		if l, err := dialog.FromRequest(&g.req, string(g.value(d.local))); err == nil {
			g.legs = append(g.legs, leg{
				Dialog: l, spec: spec, host: d.host, invite: k, cseq: g.req.CSeq, session: q.method == "INVITE",
			})
		}
		return
	}
}

// answering makes the dialog of a request that we answer.
func (g *play) answering(i int32, req *sip.Message) {
	s := &g.script.steps[i]
	if s.status <= 100 || s.status >= 300 {
		return
	}
	l := g.legOf(s.remote)
	if l == nil {
		d, err := dialog.FromRequest(req, string(g.value(s.toTag)))
		if err != nil {
			return
		}
		g.legs = append(g.legs, leg{
			Dialog: d, spec: s.remote, host: s.from, invite: s.asked, cseq: req.CSeq, session: s.method == "INVITE",
		})
		l = &g.legs[len(g.legs)-1]
	}
	switch s.method {
	case "INVITE":
		l.session = true
	case "SUBSCRIBE":
		l.event = eventOf(req)
		l.feeds = s.status >= 200 && req.Expires != 0
	}
}

// terminates reports whether it is a NOTIFY that ends a subscription.
func (s *step) terminates() bool {
	value, ok := s.msg.Value(sip.HeaderSubscriptionState)
	return ok && s.method == "NOTIFY" && bytes.EqualFold(sip.ParseSubscriptionState(value).State, []byte("terminated"))
}

// via is the Via of a message that belongs to no step.
func (g *play) via(h int32, hop transport.Hop) compose.Via {
	return compose.Via{
		Proto: hop.Proto.String(), SentBy: g.script.hosts[h].addr, RPort: true, Branch: compose.Branch(g.o.Rand),
	}
}
