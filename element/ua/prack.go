package ua

import (
	"fmt"
	"math/rand/v2"
	"strconv"

	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/txn"
)

// reliable is the state of reliable provisional responses in a dialog (RFC 3262).
type reliable struct {
	in int64 // RSeq that came last; 0: none

	out   uint32 // RSeq that was sent last; 0: none
	waits bool   // for its PRACK
	then  bool   // the final answer waits for that too
	cseq  uint32 // of the INVITE
	raw   []byte
	every int64 // ns
	until int64
}

// next is the RSeq of the next reliable response (RFC 3262 3): the first is from 1 to 2^31-1.
func (p *reliable) next(rng *rand.Rand) compose.Header {
	if p.out == 0 {
		p.out = rng.Uint32N(1<<31 - 1)
	}
	p.out++
	return compose.Header{ID: sip.HeaderRSeq, Value: strconv.FormatUint(uint64(p.out), 10)}
}

// sent notes what a.out has: it is sent again until its PRACK comes.
func (p *reliable) sent(a *Agent, c *Call, cseq uint32) {
	p.waits, p.cseq, p.every, p.until = true, cseq, a.t1, a.now+64*a.t1
	p.raw = append(p.raw[:0], a.out...)
	a.alarms.set(&c.alarm, timerPrack, a.now+a.t1)
}

// resendReliable is the timer of a reliable response: without a PRACK for 64*T1 the call is refused (RFC 3262 3).
func (l *leg) resendReliable(now int64) {
	p, c := &l.rel, l.call
	if !p.waits || c == nil || c.server == 0 {
		return
	}
	if now >= p.until {
		p.waits = false
		_ = c.refuse(504, "", nil, 0, nil) // the INVITE is pending: just looked at
		return
	}
	_ = c.a.layer.Respond(c.server, p.raw) // ErrGone: the caller cancelled
	p.every *= 2
	c.a.alarms.set(&c.alarm, timerPrack, min(now+p.every, p.until))
}

// pracked is a PRACK (RFC 3262 3).
func (l *leg) pracked(id txn.ID, r *received) {
	m, c, p := r.Msg, l.call, &l.rel
	v, _ := m.Value(sip.HeaderRAck)
	rack := sip.ParseRAck(v)
	if c == nil || !p.waits || rack.RSeq != int64(p.out) || rack.CSeq != int64(p.cseq) || string(rack.Method) != "INVITE" {
		l.a.answer(id, r, 481)
		return
	}
	p.waits, p.raw = false, nil
	l.a.alarms.set(&c.alarm, timerPrack, 0)
	c.reach(l)
	l.prackBody(id, r)
	if p.then {
		p.then = false
		c.answerNow()
	}
}

// prackBody answers the PRACK: with a description when it has an offer of its own, RFC 3262 5.
func (l *leg) prackBody(id txn.ID, r *received) {
	a, c := l.a, l.call
	body := description(r.Msg)
	rep := compose.Reply{Status: 200}
	switch {
	case body == nil:
	case l.session.offered: // the response made the offer, this is the answer
		if l.session.answered(a.parseSDP(body)) == nil {
			c.agree(l)
		}
	case l.session.done:
		a.parseSDP(body)
		out, err := l.session.answerTo(a.body[:0], &a.sdp)
		a.body = out
		if err != nil {
			rep = notAcceptable()
			break
		}
		rep.ContentType, rep.Body = typeSDP, out
		c.agree(l)
	}
	a.reply(id, r, &rep)
}

// earlyResponse takes in a provisional response of the dialog: its description, and a PRACK when it asks for one. It
// reports false for a reliable one that came before or comes too early (RFC 3262 4).
func (l *leg) earlyResponse(m *sip.Message) bool {
	rseq := l.a.rseqOf(m)
	if rseq > 0 {
		if l.rel.in != 0 && rseq != l.rel.in+1 {
			return false
		}
		l.rel.in = rseq
	}
	answer := l.earlyDescription(m, rseq > 0)
	if rseq > 0 {
		l.prack(m, rseq, answer)
	}
	return true
}

// rseqOf is the RSeq of a reliable provisional response; -1 for another one.
func (a *Agent) rseqOf(m *sip.Message) int64 {
	if a.cfg.Reliable == Off || m.Status <= 100 || !m.HasOption(sip.HeaderRequire, "100rel") {
		return -1
	}
	v, ok := m.Value(sip.HeaderRSeq)
	if !ok {
		return -1
	}
	return sip.ParseRSeq(v)
}

// earlyDescription reads the description of a provisional response, and gives the answer when it is an offer.
func (l *leg) earlyDescription(m *sip.Message, reliably bool) (answer []byte) {
	a, c := l.a, l.call
	body := description(m)
	switch {
	case body == nil:
		return nil
	case l.session.offered:
		err := l.session.answered(a.parseSDP(body))
		l.session.offered = !reliably // one that is not reliable shows what the answer will be (RFC 3261 13.2.1)
		if err != nil {
			return nil
		}
	case reliably && !l.session.done:
		if c.openSession(l, l.hop) != nil {
			return nil
		}
		var err error
		if answer, err = l.session.answerTo(nil, a.parseSDP(body)); err != nil {
			return nil
		}
	default:
		return nil
	}
	c.agree(l)
	a.emit(&Event{Kind: EventEarlyMedia, Call: c, Status: int(m.Status), Remote: true, Msg: m})
	return answer
}

// prack acknowledges a reliable provisional response (RFC 3262 4).
func (l *leg) prack(m *sip.Message, rseq int64, body []byte) {
	x := l.request(silent{}, "PRACK")
	x.req.Headers = append(x.req.Headers, compose.Header{
		ID: sip.HeaderRAck, Value: fmt.Sprintf("%d %d INVITE", rseq, m.CSeq),
	})
	if len(body) > 0 {
		x.req.ContentType, x.req.Body = typeSDP, body
	}
	x.start()
}

// silent is the owner of a request whose answer changes nothing.
type silent struct{}

func (silent) answered(x *exchange, r *received) {
	if r.Msg.Status >= 200 {
		x.finish()
	}
}

func (silent) failed(x *exchange, _ error) { x.finish() }

// finalDescription reads the description of a 2xx to the own INVITE. When it makes the offer, ackBody is the answer.
func (l *leg) finalDescription(m *sip.Message) error {
	a, c := l.a, l.call
	body := description(m)
	switch {
	case body == nil:
		if l.session.offered && !l.session.done {
			return fmt.Errorf("2xx without an answer: %w", errNoCodec)
		}
		l.session.offered = false
		return nil
	case l.session.offered:
		if err := l.session.answered(a.parseSDP(body)); err != nil {
			return err
		}
	case l.session.done:
		return nil // the reliable provisional response settled it
	default:
		if err := c.openSession(l, l.hop); err != nil {
			return err
		}
		var err error
		if l.ackBody, err = l.session.answerTo(nil, a.parseSDP(body)); err != nil {
			return err
		}
	}
	if c.answeredT == 0 {
		c.leg = l
		c.agree(l)
	}
	return nil
}
