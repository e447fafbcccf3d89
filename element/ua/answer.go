package ua

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/dialog"
	"sipscope/element/transport"
	"sipscope/element/txn"
)

// Answer is how an agent behaves when it is called. The zero value rings and answers at once.
type Answer struct {
	Manual bool // nothing happens but what the methods of the Call do

	Ring       time.Duration // from the INVITE to the provisional response; negative: none is sent
	RingCode   int           // 0: 180
	EarlyMedia bool          // it has a session description
	Reliable   bool          // it is sent reliably when the caller supports that (RFC 3262)
	RingOnce   bool          // it is not sent again every minute, as RFC 3261 13.3.1.1 wants it

	Delay  time.Duration // from the INVITE to the final response; negative: none is sent
	Code   int           // 0: 200
	Reason string        // phrase; "" the usual one
	// Contacts are the values of a 3xx, with q where wanted: "<sip:bob@192.0.2.4>;q=0.5".
	Contacts   []string
	RetryAfter int              // seconds, of a refusal; 0: none
	Headers    []compose.Header // of the final response

	Talk time.Duration // from the ACK to a BYE; 0: never
}

// incoming is an INVITE that may begin a call (RFC 3261 13.3).
func (a *Agent) incoming(id txn.ID, r *received) {
	m := r.Msg
	rep, replaced := a.admit(m)
	if rep.Status != 0 {
		a.stats.Refused++
		a.reply(id, r, &rep)
		return
	}
	tag := compose.Tag(a.rng)
	d, err := dialog.FromRequest(m, tag)
	if err != nil {
		a.stats.Refused++
		a.reply(id, r, &compose.Reply{Status: 400, Reason: "No usable Contact, Call-ID or CSeq"})
		return
	}
	d.Check(m) // notes the CSeq
	c := a.newCall()
	a.stats.CallsIn++
	c.incoming, c.localTag, c.callID, c.from, c.to = true, tag, d.CallID, d.Remote, d.Local
	c.server, c.serverData, c.replaced = id, a.bind(nil, c), replaced
	a.layer.SetData(id, c.serverData)
	l := a.newLeg(d, r.Hop)
	l.call, c.leg = c, l
	c.legs = append(c.legs, l)
	l.learn(m)
	l.session.owed = description(m) != nil
	a.list(l)
	a.alarms.set(&c.alarm, timerWait, a.now+int64(a.cfg.Limits.Ring))
	serial := c.id
	a.emit(&Event{Kind: EventIncoming, Call: c, Remote: true, Msg: m, Text: string(m.From.URI.Of(m.Raw))})
	if c.id == serial && c.state != StateEnded { // the listener may have refused it
		c.begin()
	}
}

// begin follows the behaviour that is chosen for the call.
func (c *Call) begin() {
	a := c.a
	c.script = a.cfg.Answer
	if a.cfg.Incoming != nil {
		if s := a.cfg.Incoming(c); s != nil {
			c.script = *s
		}
	}
	if c.script.Manual || c.server == 0 {
		return // the application does, or did already
	}
	switch s := &c.script; {
	case s.Ring > 0:
		a.alarms.set(&c.alarm, timerRing, a.now+int64(s.Ring))
	case s.Ring == 0 && (s.Delay != 0 || s.code() < 300):
		c.ring()
	}
	switch s := &c.script; {
	case c.server == 0:
	case s.Delay == 0:
		c.answerNow()
	case s.Delay > 0:
		a.alarms.set(&c.alarm, timerAnswer, a.now+int64(s.Delay))
	}
}

func (s *Answer) code() int {
	if s.Code == 0 {
		return 200
	}
	return s.Code
}

// admit looks at what an INVITE asks for; Status 0 says that it may begin a call, in the place of another one or nil.
func (a *Agent) admit(m *sip.Message) (rep compose.Reply, replaced *Call) {
	switch {
	case a.closing:
		return compose.Reply{Status: 503}, nil
	case len(a.calls.all) >= a.cfg.Limits.Calls:
		a.stats.Limited++
		return compose.Reply{Status: 486}, nil
	case a.cfg.Reliable == Required && !m.HasOption(sip.HeaderSupported, "100rel") && !m.HasOption(sip.HeaderRequire, "100rel"):
		return compose.Reply{Status: 421, Headers: []compose.Header{{ID: sip.HeaderRequire, Value: "100rel"}}}, nil
	case a.tooShort(m):
		return compose.Reply{Status: 422, Headers: []compose.Header{{ID: sip.HeaderMinSE, Value: strconv.Itoa(a.cfg.MinSE)}}}, nil
	case !accepts(m, typeSDP): // RFC 3261 21.4.7
		return compose.Reply{Status: 406, Headers: []compose.Header{{ID: sip.HeaderAccept, Value: typeSDP}}}, nil
	case !a.acceptable(description(m)):
		return notAcceptable(), nil
	}
	var value []byte
	n := 0
	for v := range m.Values(sip.HeaderReplaces) {
		n, value = n+1, v
	}
	switch n {
	case 0:
		return rep, nil
	case 1:
		status, c := a.replaces(value)
		return compose.Reply{Status: status}, c
	default: // RFC 3891 3
		return compose.Reply{Status: 400, Reason: "More than one Replaces"}, nil
	}
}

// notAcceptable refuses a description (RFC 3261 13.3.1.3, 20.43).
func notAcceptable() compose.Reply {
	return compose.Reply{Status: 488, Headers: []compose.Header{
		{ID: sip.HeaderWarning, Value: `305 sipscope "Incompatible media format"`},
	}}
}

// acceptable reports whether an offer has a codec that the agent has; no offer at all is fine.
func (a *Agent) acceptable(offer []byte) bool {
	if offer == nil {
		return true
	}
	a.parseSDP(offer)
	for i := range a.sdp.Media {
		if codec, _ := choose(&a.sdp.Media[i]); codec >= 0 {
			return true
		}
	}
	return false
}

// replaces finds the call that a Replaces header means (RFC 3891 3); status 0: it can be replaced.
func (a *Agent) replaces(value []byte) (status int, c *Call) {
	p, ok := sip.ParseReplaces(value)
	if !ok {
		return 400, nil
	}
	l := a.findTags(p.CallID, p.ToTag, p.FromTag)
	switch {
	case l == nil || l.call == nil:
		return 481, nil
	case l.call.state >= StateEnding:
		return 603, nil
	case l.dlg.State == dialog.Early && l.call.incoming:
		return 481, nil // only an early dialog that this side began can be replaced
	case p.EarlyOnly && l.dlg.State != dialog.Early:
		return 486, nil
	}
	return 0, l.call
}

// pending parses the INVITE that waits for its answer; nil when there is none.
func (c *Call) pending() (*sip.Message, transport.Hop) {
	if c.server == 0 {
		return nil, transport.Hop{}
	}
	c.a.tick()
	raw, from, ok := c.a.layer.Request(c.server)
	if !ok || sip.Parse(raw, &c.a.scratch) != nil {
		return nil, transport.Hop{}
	}
	return &c.a.scratch, from
}

// ring sends the provisional response of the script.
func (c *Call) ring() {
	code := c.script.RingCode
	if code == 0 {
		code = 180
	}
	_ = c.Ring(code, c.script.EarlyMedia, c.script.Reliable) // ErrState: it was answered meanwhile
}

// rung is the provisional response that was sent last. Proxies give up a call that is silent for three minutes: it is
// repeated every minute (RFC 3261 13.3.1.1), a reliable one every two and a half (RFC 3262 3).
type rung struct {
	code            int16 // 0: none
	media, reliably bool
}

func (p *rung) every() int64 {
	if p.reliably {
		return int64(150 * time.Second)
	}
	return int64(time.Minute)
}

// ringAgain is the timer of the provisional response.
func (c *Call) ringAgain() {
	p := c.rung
	if p.code == 0 {
		c.ring()
		return
	}
	if c.Ring(int(p.code), p.media, p.reliably) != nil && c.server != 0 { // the last one waits for its PRACK
		c.a.alarms.set(&c.alarm, timerRing, c.a.now+p.every())
	}
}

// Ring sends a provisional response to the call that came in: with a session description when media is set, reliably when
// reliable is set and the caller supports it (RFC 3262). 100 is sent as it is.
func (c *Call) Ring(code int, media, reliably bool) error {
	m, from := c.pending()
	if m == nil || code < 100 || code > 199 {
		return fmt.Errorf("ring with %d: %w", code, ErrState)
	}
	if code == 100 {
		c.a.send(c.server, m, &received{Msg: m, Hop: from}, &compose.Reply{Status: 100})
		return nil
	}
	return c.provide(m, from, code, media, reliably)
}

// provide sends a provisional response that makes an early dialog.
func (c *Call) provide(m *sip.Message, from transport.Hop, code int, media, reliably bool) error {
	l := c.leg
	reliably = c.a.reliably(m, reliably)
	if reliably && l.rel.waits {
		return fmt.Errorf("ring with %d before the PRACK of the last: %w", code, ErrState) // RFC 3262 3
	}
	rep := compose.Reply{Status: code, ToTag: c.localTag, RecordRoute: true, Headers: c.a.headers[:0]}
	rep.Headers = append(rep.Headers, l.contact(from), compose.Header{ID: sip.HeaderAllow, Value: c.a.allow})
	if media && (!l.session.done || !reliably) {
		body, err := c.description(m, from, reliably)
		if err != nil {
			return err
		}
		rep.ContentType, rep.Body = typeSDP, body
	}
	if reliably {
		rep.Headers = append(rep.Headers, compose.Header{ID: sip.HeaderRequire, Value: "100rel"}, l.rel.next(c.a.rng))
	}
	if c.state == StateCalling {
		c.state, c.rang = StateRinging, c.a.now
	}
	c.a.headers = rep.Headers
	c.a.send(c.server, m, &received{Msg: m, Hop: from}, &rep)
	c.rung = rung{int16(code), media, reliably} //nolint:gosec // G115: up to 199.
	if !c.script.RingOnce {
		c.a.alarms.set(&c.alarm, timerRing, c.a.now+c.rung.every())
	}
	if reliably {
		l.rel.sent(c.a, c, m.CSeq)
	}
	return nil
}

// reliably reports whether a provisional response is sent reliably, where that is wished for.
func (a *Agent) reliably(invite *sip.Message, wish bool) bool {
	switch {
	case a.cfg.Reliable == Off:
		return false
	case a.cfg.Reliable == Required || invite.HasOption(sip.HeaderRequire, "100rel"):
		return true
	}
	return wish && invite.HasOption(sip.HeaderSupported, "100rel")
}

// contact is the Contact of a response.
func (l *leg) contact(from transport.Hop) compose.Header {
	a := l.a
	return compose.Header{ID: sip.HeaderContact, Value: a.contactFor(from.Proto, a.localOf(from), l.dlg.Secure)}
}

// description is the session description of a response: the answer to the INVITE's offer, or an offer when it has none.
// A response that is not reliable shows what the answer will be, and settles nothing (RFC 3261 13.2.1).
func (c *Call) description(m *sip.Message, from transport.Hop, settles bool) ([]byte, error) {
	l := c.leg
	if err := c.openSession(l, from); err != nil {
		return nil, err
	}
	offer := description(m)
	if offer == nil {
		if !settles {
			return nil, fmt.Errorf("offer in an unreliable response: %w", ErrState)
		}
		c.a.body = l.session.offer(c.a.body[:0])
		return c.a.body, nil
	}
	before := l.session
	c.a.parseSDP(offer)
	body, err := l.session.answerTo(c.a.body[:0], &c.a.sdp)
	c.a.body = body
	if err != nil {
		return nil, err
	}
	if !settles {
		before.agreed = l.session.agreed
		l.session = before
	}
	c.agree(l)
	return body, nil
}

// openSession gives a dialog's session the address of the call's stream.
func (c *Call) openSession(l *leg, hop transport.Hop) error {
	if l.session.addr.IsValid() {
		return nil
	}
	if err := c.offer.open(c, hop); err != nil {
		return err
	}
	s := &l.session
	s.id, s.version, s.addr, s.want = c.offer.id, c.offer.version, c.offer.addr, c.offer.want
	return nil
}

// agree tells the stream what is agreed on. Whoever is called over UDP says nothing before an ACK or a PRACK has shown
// that the caller is where it says: else one datagram with a false source and somebody's address in its description has
// the agent flood them (RFC 5245 18.5.1, the voice hammer).
func (c *Call) agree(l *leg) {
	if c.stream == nil || c.leg != nil && c.leg != l {
		return
	}
	g := l.session.agreed
	if c.incoming && !c.reached && !l.hop.Proto.Reliable() {
		g.Send = false
	}
	c.stream.Agree(c.a.now, g)
}

// reach notes that the caller gets what is sent to it.
func (c *Call) reach(l *leg) {
	if c.reached {
		return
	}
	if c.reached = true; l.session.done {
		c.agree(l)
	}
}

// answerNow sends the final response of the script, as soon as a reliable provisional response is acknowledged.
func (c *Call) answerNow() {
	s := &c.script
	switch {
	case c.server == 0:
	case s.code() >= 300:
		_ = c.refuse(s.code(), s.Reason, s.Contacts, s.RetryAfter, s.Headers) // the state was just looked at
	default:
		_ = c.Answer()
	}
}

// Answer sends the 2xx (RFC 3261 13.3.1.4). While a reliable provisional response waits for its PRACK, it waits too
// (RFC 3262 5).
func (c *Call) Answer() error {
	if c.server == 0 || !c.incoming {
		return fmt.Errorf("answer a call that is %s: %w", c.state, ErrState)
	}
	l := c.leg
	if l.rel.waits {
		l.rel.then = true
		return nil
	}
	m, from := c.pending()
	if m == nil {
		return fmt.Errorf("answer: %w", txn.ErrGone)
	}
	a := c.a
	rep := compose.Reply{Status: 200, Reason: c.script.Reason, ToTag: c.localTag, RecordRoute: true, Headers: a.headers[:0]}
	if c.script.Code > 200 && c.script.Code < 300 {
		rep.Status = c.script.Code
	}
	rep.Headers = append(rep.Headers, l.contact(from), compose.Header{ID: sip.HeaderAllow, Value: a.allow},
		compose.Header{ID: sip.HeaderSupported, Value: a.supported})
	rep.Headers = l.sessionReply(rep.Headers, m)
	rep.Headers = append(rep.Headers, c.script.Headers...)
	if !l.session.done {
		body, err := c.description(m, from, true)
		if err != nil {
			return c.refuse(488, "", nil, 0, nil)
		}
		rep.ContentType, rep.Body = typeSDP, body
	}
	a.headers = rep.Headers
	id := c.server
	c.server = 0
	c.state, c.answeredT = StateAnswered, a.now
	l.dlg.State = dialog.Confirmed
	a.stats.Answered++
	a.alarms.set(&c.alarm, timerRing, 0)
	a.alarms.set(&c.alarm, timerAnswer, 0)
	a.alarms.set(&c.alarm, timerWait, 0)
	l.sendOK(id, m, from, &rep)
	a.emit(&Event{Kind: EventAnswered, Call: c, Status: rep.Status})
	return nil
}

// Reject refuses the call that came in.
func (c *Call) Reject(code int, reason string) error { return c.refuse(code, reason, nil, 0, nil) }

// Redirect answers 302 with Contact values (RFC 3261 13.3.1.2).
func (c *Call) Redirect(contacts ...string) error { return c.refuse(302, "", contacts, 0, nil) }

func (c *Call) refuse(code int, reason string, contacts []string, retryAfter int, headers []compose.Header) error {
	m, from := c.pending()
	if m == nil || code < 300 || code > 699 {
		return fmt.Errorf("refuse a call that is %s with %d: %w", c.state, code, ErrState)
	}
	rep := compose.Reply{Status: code, Reason: reason, ToTag: c.localTag, Headers: slices.Clone(headers)}
	for _, v := range contacts {
		rep.Headers = append(rep.Headers, compose.Header{ID: sip.HeaderContact, Value: v})
	}
	if retryAfter > 0 {
		rep.Headers = append(rep.Headers, compose.Header{ID: sip.HeaderRetryAfter, Value: strconv.Itoa(retryAfter)})
	}
	c.a.send(c.server, m, &received{Msg: m, Hop: from}, &rep)
	c.end(CauseRejected, code, false, nil)
	return nil
}

// Cancel is a transaction user's: see txn.User. The caller gave up (RFC 3261 9.2).
func (a *Agent) Cancel(_ txn.ID, data uint64, r *received) {
	s := a.bound(data)
	if s == nil || s.call == nil {
		return
	}
	c := s.call
	m, from := c.pending()
	if m == nil {
		return // a re-INVITE, which is answered at once
	}
	a.send(c.server, m, &received{Msg: m, Hop: from}, &compose.Reply{Status: 487, ToTag: c.localTag})
	c.end(CauseCancelled, 487, true, r.Msg)
}

// serverFailed is a link error, or the lack of an ACK, of the INVITE's transaction. A 2xx is sent again anyway.
func (c *Call) serverFailed(error) {}

// serverEnded says that the INVITE's transaction is over.
func (c *Call) serverEnded() { c.serverData = 0 }

// hungUp is a BYE (RFC 3261 15.1.2).
func (l *leg) hungUp(id txn.ID, r *received) {
	c := l.call
	if c == nil {
		l.a.answer(id, r, 481)
		return
	}
	l.a.answer(id, r, 200)
	if m, from := c.pending(); m != nil { // before the answer: the INVITE is over too
		l.a.send(c.server, m, &received{Msg: m, Hop: from}, &compose.Reply{Status: 487, ToTag: c.localTag})
		c.end(CauseBye, 487, true, r.Msg)
		return
	}
	if c.leg != l || (!c.incoming && c.answeredT == 0) {
		c.drop(l) // an early dialog, or a second one
		if len(c.legs) == 0 && c.state == StateEnding && c.answeredT != 0 {
			c.end(c.cause, 0, true, r.Msg)
		}
		return
	}
	cause := CauseBye
	if c.cancelled {
		cause = CauseCancelled
	}
	c.end(cause, 0, true, r.Msg)
}
