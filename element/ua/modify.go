package ua

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"sipscope/decode/sdp"
	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/dialog"
	"sipscope/element/txn"
)

// change is an own re-INVITE or UPDATE that waits for its answer, or, after a 491, for its time (RFC 3261 14.1).
type change struct {
	l       *leg
	x       *exchange // nil: it waits
	method  string
	refresh bool // for the session timer only
	before  session
	tries   int
	rseq    int64 // of the reliable provisional response that came last; 0: none
}

// glareTries is how often a change is tried again after a 491.
const glareTries = 10

// Hold puts the other side on hold by a re-INVITE with sendonly (RFC 3264 8.4).
func (c *Call) Hold() error { return c.modify("INVITE", sdp.SendOnly) }

// Resume ends a hold.
func (c *Call) Resume() error { return c.modify("INVITE", sdp.SendRecv) }

// Reinvite sends a re-INVITE that changes nothing.
func (c *Call) Reinvite() error {
	if c.leg == nil {
		return fmt.Errorf("re-INVITE: %w", ErrState)
	}
	return c.modify("INVITE", c.leg.session.want)
}

// Update sends an UPDATE with an offer (RFC 3311 5.1): in an early dialog too, once its first offer is answered.
func (c *Call) Update() error {
	if c.leg == nil {
		return fmt.Errorf("UPDATE: %w", ErrState)
	}
	return c.modify("UPDATE", c.leg.session.want)
}

func (c *Call) modify(method string, want sdp.Direction) error {
	l := c.leg
	early := c.state == StateRinging && method == "UPDATE"
	switch {
	case l == nil || (c.state != StateConfirmed && !early):
		return fmt.Errorf("%s in a call that is %s: %w", method, c.state, ErrState)
	case l.change != nil || l.session.offered || l.ok.waits:
		return fmt.Errorf("%s while another offer is open: %w", method, ErrState)
	}
	if err := c.openSession(l, l.hop); err != nil {
		return err
	}
	l.change = &change{l: l, method: method, before: l.session}
	l.session.want = want
	l.change.start()
	return nil
}

// start sends the request of a change.
func (g *change) start() {
	l := g.l
	x := l.request(g, g.method)
	g.x = x
	x.contact = true
	a := l.a
	x.req.Headers = append(x.req.Headers, compose.Header{ID: sip.HeaderAllow, Value: a.allow},
		compose.Header{ID: sip.HeaderSupported, Value: a.supported})
	x.req.Headers = l.timer.ask(x.req.Headers, a.cfg.MinSE)
	if !g.refresh || g.method == "INVITE" { // an UPDATE that refreshes needs no offer (RFC 4028 7.4)
		if g.refresh && l.session.version > 0 {
			l.session.version-- // nothing changes, so neither does the version (RFC 3264 8)
		}
		x.body = l.session.offer(x.body[:0])
		x.req.ContentType, x.req.Body = typeSDP, x.body
	}
	x.start()
}

// drop forgets the change: the dialog has ended.
func (g *change) drop() {
	if g.x != nil {
		g.x.finish()
	}
	g.l.change = nil
}

// answered is a response to the change.
func (g *change) answered(x *exchange, r *received) {
	m, l := r.Msg, g.l
	c := l.call
	switch {
	case m.Status < 200:
		g.provisional(m)
	case m.Status < 300:
		g.success(x, m)
	case m.Status == 491 && g.tries < glareTries && c != nil:
		g.undo(x)
		l.change = g
		l.a.alarms.set(&c.alarm, timerGlare, l.a.now+g.glareWait())
	case m.Status == 422 && l.timer.longer(m) && g.tries < glareTries:
		g.undo(x)
		l.change = g
		g.again()
	default:
		g.undo(x)
		g.lost(int(m.Status), m)
	}
}

// provisional acknowledges a reliable provisional response to a re-INVITE (RFC 3262 4), which may have the answer.
func (g *change) provisional(m *sip.Message) {
	l := g.l
	rseq := l.a.rseqOf(m)
	if g.method != "INVITE" || rseq <= 0 || g.rseq != 0 && rseq != g.rseq+1 {
		return
	}
	g.rseq = rseq
	if body := description(m); body != nil && l.session.offered && l.session.answered(l.a.parseSDP(body)) == nil && l.call != nil {
		l.call.agree(l)
	}
	l.prack(m, rseq, nil)
}

// undo ends the request and restores what was agreed before.
func (g *change) undo(x *exchange) {
	version := g.l.session.version
	want := g.l.session.want
	g.l.session = g.before
	g.l.session.version = version
	g.before.want = want                                    // for another try
	if g.rseq != 0 && g.l.call != nil && g.l.session.done { // a provisional response had changed it
		g.l.call.agree(g.l)
	}
	g.rseq = 0
	x.finish()
	g.x, g.l.change = nil, nil
}

// glareWait is how long to wait after a 491: the side that made the Call-ID longer, so that the two do not meet again
// (RFC 3261 14.1).
func (g *change) glareWait() int64 {
	step := int64(10 * time.Millisecond)
	if g.l.dlg.Caller {
		return 2100*int64(time.Millisecond) + g.l.a.rng.Int64N(191)*step
	}
	return g.l.a.rng.Int64N(201) * step
}

// retryChange is the timer after a 491.
func (l *leg) retryChange() {
	if g := l.change; g != nil && g.x == nil {
		g.again()
	}
}

func (g *change) again() {
	l := g.l
	g.tries++
	want := g.before.want
	g.before = l.session
	l.session.want = want
	g.start()
}

func (g *change) success(x *exchange, m *sip.Message) {
	l := g.l
	c := l.call
	l.dlg.Refresh(m)
	l.learn(m)
	if g.method == "INVITE" {
		l.sendAck(x.req.CSeq, x.creds, nil)
	}
	var err error
	switch body := description(m); {
	case body != nil && l.session.offered:
		err = l.session.answered(l.a.parseSDP(body))
	case l.session.offered:
		l.session.offered = false // answers without a description are tolerated: nothing changes
	}
	x.finish()
	l.change, g.x = nil, nil
	l.sessionAnswer(m)
	if c == nil || c.state == StateEnded {
		return
	}
	if err == nil {
		c.agree(l)
	}
	if !g.refresh {
		l.a.emit(&Event{Kind: EventModified, Call: c, Method: g.method, Status: int(m.Status), Msg: m, Err: err})
	}
}

// lost tells that a change was refused: the session stays as it was, unless the dialog is gone (RFC 3261 14.1).
func (g *change) lost(status int, m *sip.Message) {
	l := g.l
	c := l.call
	if c == nil {
		return
	}
	if l.gone(status, m) {
		return
	}
	l.a.emit(&Event{Kind: EventRefused, Call: c, Method: g.method, Status: status, Text: phrase(m), Remote: true, Msg: m})
}

// gone ends the call when a response within the dialog says that the other side does not know it, or does not answer
// (RFC 3261 12.2.1.2).
func (l *leg) gone(status int, m *sip.Message) bool {
	c := l.call
	if c == nil || l != c.leg || (status != 481 && status != 408) {
		return false
	}
	switch {
	case c.state == StateConfirmed && status == 408:
		c.bye(l, CauseLost, `SIP;cause=408;text="Request Timeout"`)
	case c.state == StateConfirmed:
		c.end(CauseLost, status, true, m)
	default:
		return false
	}
	return true
}

func (g *change) failed(x *exchange, err error) {
	status := 503
	if errors.Is(err, txn.ErrTimeout) {
		status = 408
	}
	g.undo(x)
	g.lost(status, nil)
}

// reinvited is an INVITE within a dialog (RFC 3261 14.2).
func (l *leg) reinvited(id txn.ID, r *received) {
	a, m, c := l.a, r.Msg, l.call
	switch {
	case c == nil || c.state >= StateEnding || l.byeX != nil:
		a.answer(id, r, 481)
	case c.server != 0 || l.ok.waits || l.dlg.State == dialog.Early:
		a.retryLater(id, r, 500, int(a.rng.Uint32N(11))) // an INVITE before this one is not finished
	case l.change != nil && l.change.x != nil:
		a.answer(id, r, 491)
	default:
		l.renegotiate(id, r)
		l.a.emitModified(l, m)
	}
}

// updated is an UPDATE (RFC 3311 5.2).
func (l *leg) updated(id txn.ID, r *received) {
	a, m, c := l.a, r.Msg, l.call
	offer := description(m)
	switch {
	case c == nil || c.state >= StateEnding || l.byeX != nil:
		a.answer(id, r, 481)
	case offer != nil && (l.session.offered || l.change != nil && l.change.x != nil):
		a.answer(id, r, 491)
	case offer != nil && !l.session.done && c.server != 0:
		a.retryLater(id, r, 500, int(a.rng.Uint32N(11))) // the offer of the INVITE has no answer yet
	default:
		l.renegotiate(id, r)
		a.emitModified(l, m)
	}
}

func (a *Agent) emitModified(l *leg, m *sip.Message) {
	if l.call != nil && l.call.state < StateEnding && description(m) != nil {
		a.emit(&Event{Kind: EventModified, Call: l.call, Remote: true, Method: m.MethodID.String(), Msg: m})
	}
}

// renegotiate answers a re-INVITE or UPDATE with 2xx, or 488 when what it offers cannot be.
func (l *leg) renegotiate(id txn.ID, r *received) {
	a, m, c := l.a, r.Msg, l.call
	if a.tooShort(m) {
		a.reply(id, r, &compose.Reply{Status: 422, Headers: []compose.Header{{ID: sip.HeaderMinSE, Value: strconv.Itoa(a.cfg.MinSE)}}})
		return
	}
	rep := compose.Reply{Status: 200, Headers: a.headers[:0]}
	offer := description(m)
	invite := m.MethodID == sip.MethodInvite
	if offer != nil || invite {
		if c.openSession(l, r.Hop) != nil {
			a.answer(id, r, 500)
			return
		}
	}
	switch {
	case offer != nil:
		out, err := l.session.answerTo(a.body[:0], a.parseSDP(offer))
		a.body = out
		if err != nil {
			bad := notAcceptable()
			a.reply(id, r, &bad)
			return
		}
		rep.ContentType, rep.Body = typeSDP, out
		c.agree(l)
	case invite:
		a.body = l.session.offer(a.body[:0])
		rep.ContentType, rep.Body = typeSDP, a.body
	}
	l.dlg.Refresh(m)
	l.learn(m)
	rep.Headers = append(rep.Headers, l.contact(r.Hop), compose.Header{ID: sip.HeaderAllow, Value: a.allow},
		compose.Header{ID: sip.HeaderSupported, Value: a.supported})
	rep.Headers = l.sessionReply(rep.Headers, m)
	a.headers = rep.Headers
	if invite {
		l.sendOK(id, m, r.Hop, &rep)
		return
	}
	a.reply(id, r, &rep)
}
