package ua

import (
	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/transport"
	"sipscope/element/txn"
)

// sentOK is a 2xx to an INVITE, which is sent again until its ACK comes: at T1, then doubling up to T2, for 64*T1
// (RFC 3261 13.3.1.4).
type sentOK struct {
	waits bool
	cseq  uint32
	raw   []byte
	to    transport.Hop
	every int64 // ns
	until int64
}

// sendOK sends the 2xx to m.
func (l *leg) sendOK(id txn.ID, m *sip.Message, from transport.Hop, rep *compose.Reply) {
	a, ok := l.a, &l.ok
	r := received{Msg: m, Hop: from}
	cseq, to := m.CSeq, transport.ReplyHop(&r)
	a.send(id, m, &r, rep)
	if ok.raw == nil {
		ok.raw = a.text()
	}
	*ok = sentOK{
		waits: true, cseq: cseq, raw: append(ok.raw[:0], a.out...), to: to, every: a.t1, until: a.now + 64*a.t1,
	}
	a.alarms.set(&l.call.alarm, timerOK, a.now+a.t1)
}

// resendOK is the timer of the 2xx.
func (l *leg) resendOK(now int64) {
	a, ok, c := l.a, &l.ok, l.call
	if !ok.waits {
		return
	}
	if now >= ok.until {
		ok.waits = false
		c.bye(l, CauseNoAck, `SIP;cause=408;text="No ACK"`)
		return
	}
	a.stats.Retransmitted2xx++
	a.link.Send(ok.to, ok.raw, 0)
	ok.every = min(2*ok.every, a.t2)
	a.alarms.set(&c.alarm, timerOK, min(now+ok.every, ok.until))
}

// acknowledged is an ACK in the dialog.
func (l *leg) acknowledged(m *sip.Message) {
	a, ok, c := l.a, &l.ok, l.call
	if !ok.waits || m.CSeq != ok.cseq || c == nil {
		return
	}
	ok.waits = false
	a.keepText(ok.raw)
	ok.raw = nil
	a.alarms.set(&c.alarm, timerOK, 0)
	if l.session.offered { // the 2xx made the offer
		body := description(m)
		if body == nil || l.session.answered(a.parseSDP(body)) != nil {
			l.session.offered = false // what was agreed on before stays
			c.reached = true
			if c.state == StateAnswered {
				c.bye(l, CauseMedia, `SIP;cause=488;text="No answer to the offer"`)
			}
			return
		}
		c.agree(l)
	}
	c.reach(l)
	if c.state != StateAnswered {
		return
	}
	c.state, c.confirmT = StateConfirmed, a.now
	a.emit(&Event{Kind: EventConfirmed, Call: c, Remote: true, Msg: m})
	if c.state != StateConfirmed {
		return
	}
	c.takeOver()
	switch {
	case c.hangup:
		c.bye(l, CauseBye, "")
	case c.script.Talk > 0:
		a.alarms.set(&c.alarm, timerTalk, a.now+int64(c.script.Talk))
	}
}

// takeOver ends the call that this one replaces (RFC 3891 3).
func (c *Call) takeOver() {
	old := c.replaced
	c.replaced = nil
	switch {
	case old == nil || old.state >= StateEnding:
	case old.state == StateConfirmed:
		old.bye(old.leg, CauseReplaced, "")
	default:
		_ = old.Hangup() // its state allows it
	}
}
