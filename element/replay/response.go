package replay

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"sipscope/correlate/diff"
	"sipscope/decode/sip"
	"sipscope/element/dialog"
	"sipscope/element/replay/plan"
	"sipscope/element/transport"
	"sipscope/element/txn"
)

// response takes a response to the request of step q.
func (g *play) response(id txn.ID, q int32, r *transport.Received) {
	if g.over || g.states[q].client != id {
		return // an older transaction of this step, before a challenge
	}
	m := r.Msg
	g.heard(m)
	if m.Status < 200 {
		g.states[q].flags |= flagRung
	} else {
		g.states[q].flags |= flagFinal
	}
	switch {
	case g.ending:
		g.responseAtEnd(q, r)
	case g.script.steps[q].method == "INVITE" && m.Status >= 200 && m.Status < 300 && g.ackAgain(q, m):
	case m.Status < 200:
		g.provisional(q, r)
	default:
		g.final(q, r)
	}
	g.resumeCancel(q)
	g.resume()
	g.checkDone()
}

// resume tries again what waited for an answer.
func (g *play) resume() {
	if len(g.held) == 0 || g.ending || g.over {
		return
	}
	for _, i := range g.held {
		g.push(i)
	}
	g.held = g.held[:0]
}

// heard notes the times of responses for figures.
func (g *play) heard(m *sip.Message) {
	if g.first == 0 {
		g.first = g.now
	}
	if g.ring == 0 && (m.Status == 180 || m.Status == 183) {
		g.ring = g.now
	}
	if m.Status >= 200 && m.MethodID == sip.MethodInvite && m.Status != 401 && m.Status != 407 && (g.answer == 0 || !g.answered) {
		g.answer, g.answered = g.now, m.Status < 300
	}
}

// resumeCancel sends a CANCEL that waited for a provisional response, or gives it up.
func (g *play) resumeCancel(q int32) {
	for _, c := range g.script.steps[q].cancels {
		if g.states[c].flags&flagWaits != 0 && !g.ending && !g.over {
			g.push(c)
		}
	}
}

// waited reports whether a response is still to come.
func (g *play) waited(a int32) bool {
	s, st := &g.script.steps[a], &g.states[a]
	return st.flags&(flagReceived|flagSkipped) == 0 && (s.Kind == plan.Expect || st.flags&flagSent != 0 || s.byLayer)
}

// fits reports whether a live response can be the one of a step: with the tag of the same dialog, as far as that is known.
func (g *play) fits(a int32, m *sip.Message) bool {
	s := &g.script.steps[a]
	switch {
	case m.To.Tag.Empty() || s.toTag < 0:
		return true
	case g.bound(s.toTag):
		return bytes.Equal(g.value(s.toTag), m.To.Tag.Of(m.Raw))
	default:
		return !g.script.tokens[s.toTag].ours // one of ours that nobody has seen yet
	}
}

// alien reports whether a response has a tag that nobody in the play has: an element on the way made it up, which in the
// recording did not.
func (g *play) alien(m *sip.Message) bool {
	tag := m.To.Tag.Of(m.Raw)
	for t := range g.script.tokens {
		if g.script.tokens[t].kind == tokenTag && g.values[t].n > 0 && bytes.Equal(g.value(int32(t)), tag) {
			return false
		}
	}
	return len(tag) > 0
}

// find finds the first step that a response may be, of those that accept does not turn down.
func (g *play) find(q int32, m *sip.Message, accept func(s *step) bool) int32 {
	for _, a := range g.script.steps[q].answers {
		if accept(&g.script.steps[a]) && g.waited(a) && g.fits(a, m) {
			return a
		}
	}
	if !g.alien(m) {
		return none
	}
	for _, a := range g.script.steps[q].answers {
		if accept(&g.script.steps[a]) && g.waited(a) {
			return a
		}
	}
	return none
}

// provisional takes a provisional response.
func (g *play) provisional(q int32, r *transport.Received) {
	m, status := r.Msg, int(r.Msg.Status)
	if g.seen(q, m) {
		return
	}
	a := g.find(q, m, func(s *step) bool { return s.status == status })
	if a < 0 && status > 100 {
		a = g.find(q, m, func(s *step) bool {
			return s.provisional() && s.status > 100 && g.o.Rules.Status(s.status, status) <= diff.Tolerated
		})
	}
	if a >= 0 {
		g.passed(q, a)
		s := &g.script.steps[a]
		if s.prack >= 0 && s.Kind == plan.Expect && !m.HasOption(sip.HeaderRequire, "100rel") {
			g.leaveOutPrack(s.prack, got(m)+" is not reliable, as it was in the recording")
		}
		g.arrive(a, r)
		if s.prack < 0 {
			g.acknowledge(q, m)
		}
		return
	}
	if status == 100 {
		return
	}
	if next := g.script.steps[q].retry; next >= 0 && g.unchallenged(q) {
		g.provisional(next, r)
		return
	}
	g.extra(q, r)
}

// seen reports whether a provisional response came before: with the same code, tag and RSeq.
func (g *play) seen(q int32, m *sip.Message) bool {
	value, _ := m.Value(sip.HeaderRSeq)
	if l := g.matching(m); l != nil && len(value) > 0 && sip.ParseRSeq(value) <= l.rseq {
		return true
	}
	for _, a := range g.script.steps[q].answers {
		s, st := &g.script.steps[a], &g.states[a]
		if st.flags&flagReceived == 0 || st.status != m.Status || g.bound(s.toTag) && g.differs(s.toTag, m.To.Tag.Of(m.Raw)) {
			continue
		}
		same := true
		for _, b := range s.learn {
			if b.header == sip.HeaderRSeq {
				same = !g.differs(b.token, value)
			}
		}
		if same && (len(value) == 0 || s.Kind == plan.Send || len(s.learn) > 0) {
			return true
		}
	}
	return false
}

// extra is a provisional response that the recording does not have: tolerated, but a reliable one must be acknowledged.
func (g *play) extra(q int32, r *transport.Received) {
	s, m := &g.script.steps[q], r.Msg
	g.note(fmt.Sprintf("step %d: extra %s", s.ID, got(m)))
	g.acknowledge(q, m)
	if g.o.Rules.Status(180, int(m.Status)) == diff.Differs { // the rules want every provisional response as recorded
		g.diverge(q, "extra "+got(m)+" to "+s.what()+" from "+s.To)
	}
}

// acknowledge acknowledges a provisional response for which the plan has no PRACK, when it is a reliable one: without that
// the live side gives the call up (RFC 3262 3).
func (g *play) acknowledge(q int32, m *sip.Message) {
	s := &g.script.steps[q]
	if s.origin < 0 && g.script.hosts[s.to].part != plan.Played && m.HasOption(sip.HeaderRequire, "100rel") {
		g.politePrack(q, m)
	}
}

// passed skips the provisional responses that a transaction has gone past.
func (g *play) passed(q, a int32) {
	for _, b := range g.script.steps[q].answers {
		s := &g.script.steps[b]
		if b >= a {
			break
		}
		if s.provisional() && (s.status == 100 || g.script.steps[a].isFinal()) && !g.states[b].flags.done() &&
			(s.Kind == plan.Expect || g.states[b].flags&flagSent != 0) {
			g.skip(b, "")
		}
	}
}

// final takes a final response.
func (g *play) final(q int32, r *transport.Received) {
	m, status := r.Msg, int(r.Msg.Status)
	if a := g.find(q, m, func(x *step) bool { return x.status == status }); a >= 0 {
		g.matched(q, a, r)
		return
	}
	s := &g.script.steps[q]
	expected := g.find(q, m, (*step).isFinal)
	if expected < 0 {
		expected = g.otherFork(q)
	}
	asks := expected >= 0 && g.asksAs(expected)
	switch {
	case isChallenge(status) && !asks:
		if err := g.challenged(q, m); err != nil {
			g.otherFinal(q, expected, r, err)
		}
	case s.retry >= 0 && asks && g.unchallenged(q):
		g.final(s.retry, r)
	case g.shorter(q, m):
	case expected >= 0 && g.stands(expected, m):
		g.matched(q, expected, r)
	default:
		g.otherFinal(q, expected, r, nil)
	}
}

// stands reports whether a final response stands for the one that is expected, and notes how.
func (g *play) stands(expected int32, m *sip.Message) bool {
	e := &g.script.steps[expected]
	switch {
	case e.Made:
		g.note(fmt.Sprintf("step %d: %s: what the recording does not have is not needed either", e.ID, got(m)))
		return true
	case g.o.Rules.Status(e.status, int(m.Status)) <= diff.Tolerated:
		g.note(fmt.Sprintf("step %d: %s instead of %d", e.ID, got(m), e.status))
		if e.method == "INVITE" && m.Status >= 300 && e.status < 300 {
			g.noDialog(e)
		}
		return true
	default:
		return false
	}
}

// otherFork finds the final response that is expected of another fork than the one that answered: which of them a proxy
// passes on is chance.
func (g *play) otherFork(q int32) int32 {
	if g.script.steps[q].method == "INVITE" {
		return none // each of its forks is a dialog of its own
	}
	for _, a := range g.script.steps[q].answers {
		if g.script.steps[a].isFinal() && g.waited(a) {
			return a
		}
	}
	return none
}

// asksAs reports whether a step is a challenge.
func (g *play) asksAs(a int32) bool {
	return isChallenge(g.script.steps[a].status)
}

func isChallenge(status int) bool { return status == 401 || status == 407 }

// otherFinal is a final response that diverges.
func (g *play) otherFinal(q, expected int32, r *transport.Received, why error) {
	s, m := &g.script.steps[q], r.Msg
	at := q
	var text string
	switch {
	case expected >= 0:
		at = expected
		text = fmt.Sprintf("expected %s from %s, got %s", g.script.steps[expected].what(), s.To, got(m))
	case g.hasFinal(q):
		text = fmt.Sprintf("%s to %s from %s is more than was recorded", got(m), s.what(), s.To)
	default:
		text = fmt.Sprintf("expected no final response to %s from %s, got %s", s.what(), s.To, got(m))
	}
	if why != nil {
		text += ": " + why.Error()
	}
	g.learn(q, r)
	if g.diverge(at, text) && expected >= 0 {
		g.matched(q, expected, r)
	}
}

func (g *play) hasFinal(q int32) bool {
	for _, a := range g.script.steps[q].answers {
		if g.script.steps[a].isFinal() {
			return true
		}
	}
	return false
}

// matched takes a final response as the one of step a.
func (g *play) matched(q, a int32, r *transport.Received) {
	s, m := &g.script.steps[a], r.Msg
	g.passed(q, a)
	if next := g.script.steps[q].retry; next >= 0 && g.asksAs(a) && s.Kind == plan.Expect || next >= 0 && s.Kind == plan.Send {
		g.wait = append(g.wait, held{step: next, raw: bytes.Clone(m.Raw)})
	}
	if s.lasts > 0 {
		if n := lasting(m); n > 0 {
			g.wait = append(g.wait, held{step: a, lasts: n})
		}
	}
	g.later(a, m)
	g.info(q, m)
	g.arrive(a, r)
}

// later has what comes after a refusal wait as long as the live side asks for (RFC 3261 20.33), for a minute at most.
func (g *play) later(a int32, m *sip.Message) {
	const most = 60
	value, ok := m.Value(sip.HeaderRetryAfter)
	if !ok || m.Status < 300 {
		return
	}
	n := sip.ParseSessionExpires(value).Seconds // a number and parameters, as here
	if n <= 0 {
		return
	}
	for _, j := range g.script.steps[a].onReceived {
		if s := &g.script.steps[j]; s.request && s.Kind == plan.Send && s.method != "ACK" {
			g.wait = append(g.wait, held{step: j, at: g.now + min(n, most)*1_000_000_000})
		}
	}
}

// info looks at the live side's proof that it knows the password.
func (g *play) info(q int32, m *sip.Message) {
	if c := g.knownClient(g.script.steps[q].user); c != nil && m.Status < 300 {
		if err := c.Info(m, string(g.script.steps[q].msg.URI.Of(g.script.steps[q].msg.Raw))); err != nil {
			g.note(fmt.Sprintf("step %d: %v", g.script.steps[q].ID, err))
		}
	}
}

// arrive notes that the message of a step has come.
func (g *play) arrive(i int32, r *transport.Received) {
	s := &g.script.steps[i]
	g.bindMessage(i, r.Msg)
	g.states[i].status = r.Msg.Status
	g.keep(i, r)
	if !s.request {
		g.learn(i, r)
		if s.Kind == plan.Send && g.states[i].flags&flagSent == 0 {
			g.sent(i) // the layer's own answer
		}
	}
	if g.o.Media != nil {
		g.described(i, r.Msg)
	}
	g.received(i)
}

// learn makes or refreshes the dialog of a response to a request of ours. i is the step of the response, or of the
// request when the response is none of the plan's.
func (g *play) learn(i int32, r *transport.Received) {
	s, m := &g.script.steps[i], r.Msg
	q := s.asked
	if s.request {
		q = i
	}
	if q < 0 || m.Status <= 100 || m.Status >= 300 || !makesDialog(g.script.steps[q].method) || g.script.steps[q].origin >= 0 {
		return
	}
	spec := none
	if !s.request {
		spec = s.local
	}
	l := g.legOf(spec)
	if l == nil {
		l = g.matching(m)
	}
	if l != nil {
		if l.spec < 0 {
			l.spec = spec // a response that nobody recorded began it
		}
		l.Refresh(m)
	} else if l = g.newLeg(q, spec, m); l == nil {
		return
	}
	if m.Status >= 200 && g.script.steps[q].method == "INVITE" {
		l.Route = g.withoutOwn(l.Route, l.host)
		l.up, l.acked, l.cseq, l.session = true, false, m.CSeq, true
	}
}

// matching finds the dialog that a message belongs to by its tags.
func (g *play) matching(m *sip.Message) *leg {
	for k := range g.legs {
		if g.legs[k].Match(m) {
			return &g.legs[k]
		}
	}
	return nil
}

// maxLegs bounds the dialogs of a play that the plan does not have: a hostile side may answer with any number of tags.
const maxLegs = 256

func (g *play) tooManyLegs() bool { return len(g.legs) >= maxLegs+len(g.script.dialogs) }

// newLeg makes the dialog of a response to a request of ours, which is made once more for it: the same text as was sent.
func (g *play) newLeg(q, spec int32, m *sip.Message) *leg {
	s := &g.script.steps[q]
	if g.tooManyLegs() || s.local >= 0 {
		return nil // within a dialog no other one begins
	}
	x := source{hop: g.hopFor(q)}
	raw, err := g.render(g.out[:0], q, &x)
	g.out = raw
	if err != nil || sip.Parse(raw, &g.msg) != nil {
		return nil
	}
	d, err := dialog.FromResponse(&g.msg, m)
	if err != nil {
		return nil
	}
	d.LocalSeq = max(d.LocalSeq, m.CSeq)
	d.Route = g.withoutOwn(d.Route, s.from)
	g.legs = append(g.legs, leg{
		Dialog: d, spec: spec, host: s.from, invite: q, cseq: m.CSeq, session: s.method == "INVITE",
		watch: s.method == "SUBSCRIBE", event: s.event(),
	})
	return &g.legs[len(g.legs)-1]
}

// withoutOwn takes the host itself off the beginning of a route set: a proxy that is played stands for who is behind it
// as well, and its own Record-Route leads back to itself.
func (g *play) withoutOwn(routes []string, h int32) []string {
	for len(routes) > 0 {
		uri := strings.Trim(routes[0], "<>")
		hop, ok := hopOf(uri, transport.Hop{Proto: g.script.hosts[h].places[0].Proto})
		if !ok || hop.Remote != g.script.hosts[h].addr {
			break
		}
		routes = routes[1:]
	}
	return routes
}

// event is the value of Event.
func (s *step) event() string { return eventOf(&s.msg) }

func eventOf(m *sip.Message) string {
	value, _ := m.Value(sip.HeaderEvent)
	return string(bytes.Join(bytes.Fields(value), blank))
}

// ackAgain sends the ACK of a 2xx that came again. It reports false for one that is new.
func (g *play) ackAgain(q int32, m *sip.Message) bool {
	for _, a := range g.script.steps[q].answers {
		s, st := &g.script.steps[a], &g.states[a]
		if st.flags&flagReceived == 0 || st.status < 200 || st.status >= 300 || g.bound(s.toTag) &&
			!bytes.Equal(g.value(s.toTag), m.To.Tag.Of(m.Raw)) {
			continue
		}
		if s.ack >= 0 && g.states[s.ack].flags&flagSent != 0 {
			g.sendAckAgain(s.ack)
		}
		for _, j := range s.effects { // a proxy passes on every 2xx (RFC 3261 16.7 step 5)
			if x := &g.script.steps[j]; x.origin == a && !x.request && g.states[j].flags&flagSent != 0 {
				g.respondAgain(j)
			}
		}
		return true
	}
	return false
}

// respondAgain forwards a 2xx once more.
func (g *play) respondAgain(i int32) {
	s := &g.script.steps[i]
	k := g.keptOf(s.asked)
	if k == nil || sip.Parse(k.raw, &g.req) != nil {
		return
	}
	x := source{req: &g.req, reqFrom: k.hop.Remote, hop: k.hop}
	if !g.forwarded(s.origin, &x) {
		return
	}
	raw, err := g.render(g.out[:0], i, &x)
	if err != nil {
		return
	}
	g.out = raw
	g.sending = true
	err = g.layer.Respond(g.states[s.asked].server, raw)
	g.sending = false
	if err == nil {
		g.states[i].again++
	}
}

func (g *play) sendAckAgain(i int32) {
	if raw, hop, ok := g.ackOf(i); ok {
		g.link.Send(hop, raw, 0)
		g.states[i].again++
	}
}

// noAnswer is a request of ours that gets no final response.
func (g *play) noAnswer(q int32, err error) {
	s := &g.script.steps[q]
	g.states[q].flags |= flagFinal
	if g.over {
		return
	}
	for _, c := range s.cancels {
		if g.states[c].flags&flagWaits != 0 {
			g.push(c)
		}
	}
	if g.ending {
		g.checkDone()
		return
	}
	g.resume()
	wanted := none
	for _, a := range s.answers {
		if g.script.steps[a].isFinal() && !g.states[a].flags.done() {
			wanted = a
			break
		}
	}
	switch {
	case wanted < 0 && errors.Is(err, txn.ErrTimeout):
		g.giveUp(q)
	case wanted < 0:
		g.unable(q, err)
	case errors.Is(err, txn.ErrTimeout):
		e := &g.script.steps[wanted]
		if g.diverge(wanted, fmt.Sprintf("expected %s from %s, nothing came: %v", e.what(), s.To, err)) {
			g.skip(wanted, "")
		}
	default:
		g.diverge(q, fmt.Sprintf("%s to %s could not be sent: %v", s.what(), s.To, err))
	}
	g.checkDone()
}

// giveUp skips what was expected of a request that was never answered, in the recording neither.
func (g *play) giveUp(q int32) {
	for _, a := range g.script.steps[q].answers {
		g.skip(a, "")
	}
}
