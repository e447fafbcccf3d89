package ua

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"sipscope/decode/sip"
	"sipscope/element/auth"
	"sipscope/element/compose"
	"sipscope/element/dialog"
	"sipscope/element/transport"
	"sipscope/element/txn"
)

type received = transport.Received

// target is a Contact of a 3xx.
type target struct {
	uri string
	q   int // thousandths
}

// Call makes a call. What becomes of it, failures included, is told by events, never before Call returns.
func (a *Agent) Call(opt CallOptions) (*Call, error) {
	return a.call(opt, false)
}

// call makes a call; stranger says that somebody else chose whom to call.
func (a *Agent) call(opt CallOptions, stranger bool) (*Call, error) {
	switch {
	case a.closing:
		return nil, ErrClosed
	case len(a.calls.all) >= a.cfg.Limits.Calls:
		a.stats.Limited++
		return nil, fmt.Errorf("%d calls: %w", len(a.calls.all), ErrLimit)
	}
	if _, ok := sip.ParseURI([]byte(opt.To)); !ok {
		return nil, fmt.Errorf("call %q: %w: no URI", opt.To, ErrAddress)
	}
	a.tick()
	c := a.newCall()
	a.stats.CallsOut++
	c.opt, c.stranger = opt, stranger
	c.callID, c.localTag = compose.CallID(a.rng, a.host), compose.Tag(a.rng)
	c.from = opt.From
	if c.from == "" {
		c.from = a.cfg.Identity
	}
	c.to = toValue(opt.Display, opt.To)
	c.invite(opt.To, 1)
	ring := opt.Ring
	if ring <= 0 {
		ring = a.cfg.Limits.Ring
	}
	a.alarms.set(&c.alarm, timerRing, a.now+int64(ring))
	return c, nil
}

// toValue is the To value of a URI.
func toValue(display, uri string) string {
	if display == "" {
		return "<" + uri + ">"
	}
	return strconv.Quote(display) + " <" + uri + ">"
}

// invite sends the INVITE to a Request-URI.
func (c *Call) invite(uri string, cseq uint32) {
	a := c.a
	x := a.exchange(c, nil)
	c.x = x
	route := c.opt.Route
	if route == nil {
		route = a.cfg.Route
	}
	x.outside("INVITE", uri, route)
	x.named = !c.stranger || len(route) > 0
	x.req.From, x.req.To = c.from+";tag="+c.localTag, c.to
	x.req.CallID, x.req.CSeq = c.callID, cseq
	x.contact = true
	h := append(x.req.Headers,
		compose.Header{ID: sip.HeaderAllow, Value: a.allow}, compose.Header{ID: sip.HeaderSupported, Value: a.supported})
	if a.cfg.Reliable == Required {
		h = append(h, compose.Header{ID: sip.HeaderRequire, Value: "100rel"})
	}
	if se := max(int64(a.cfg.SessionSec), c.minSE); a.cfg.SessionSec > 0 || c.minSE > 0 {
		h = append(h, compose.Header{ID: sip.HeaderSessionExpires, Value: strconv.FormatInt(se, 10)},
			compose.Header{ID: sip.HeaderMinSE, Value: strconv.FormatInt(max(int64(a.cfg.MinSE), c.minSE), 10)})
	}
	if c.opt.Replaces != "" {
		h = append(h, compose.Header{ID: sip.HeaderReplaces, Value: c.opt.Replaces},
			compose.Header{ID: sip.HeaderRequire, Value: "replaces"})
	}
	x.req.Headers = append(h, c.opt.Headers...)
	if err := c.offerBody(x); err != nil {
		a.requests++
		x.begun = a.now
		x.failSoon(err)
		return
	}
	x.start()
}

// offerBody puts the offer into the INVITE.
func (c *Call) offerBody(x *exchange) error {
	if len(c.opt.Body) > 0 || c.opt.NoOffer {
		x.req.ContentType, x.req.Body = c.opt.Type, c.opt.Body
		return nil
	}
	hop, ok := c.a.directHop(x.next)
	if !ok {
		x.late = c // which address it names depends on where the name leads
		return nil
	}
	return c.offerAt(x, hop)
}

// offerAt makes the offer of an INVITE that goes to a hop.
func (c *Call) offerAt(x *exchange, hop transport.Hop) error {
	x.late = nil
	if err := c.offer.open(c, hop); err != nil {
		return err
	}
	x.body = c.offer.offer(x.body[:0])
	x.req.ContentType, x.req.Body = typeSDP, x.body
	return nil
}

// answered is a response to the INVITE.
func (c *Call) answered(x *exchange, r *received) {
	m := r.Msg
	switch {
	case x != c.x:
	case m.Status < 200:
		c.provisional(r)
	case m.Status < 300:
		c.success(x, r)
	default:
		c.refused(x, m)
	}
}

// legOf gives the dialog of a response with a To tag, made when it is new; nil when it makes none or there are too many.
func (c *Call) legOf(r *received) *leg {
	m := r.Msg
	for _, l := range c.legs {
		if l.dlg.Match(m) {
			return l
		}
	}
	a := c.a
	limit := a.cfg.Limits.Forks
	if m.Status >= 200 {
		limit *= 4 // each 2xx is to be acknowledged and ended, but not without end
	}
	if len(c.legs) >= limit {
		a.stats.Limited++
		return nil
	}
	if c.x == nil || sip.Parse(c.x.raw, &a.scratch) != nil {
		return nil
	}
	d, err := dialog.FromResponse(&a.scratch, m)
	if err != nil {
		return nil
	}
	l := a.newLeg(d, r.Hop)
	l.call, l.session = c, c.offer
	c.legs = append(c.legs, l)
	a.list(l)
	if len(c.legs) > 1 {
		a.emit(&Event{Kind: EventForked, Call: c, Status: int(m.Status), Remote: true, Msg: m})
	}
	return l
}

// provisional is a 1xx (RFC 3261 13.2.2.1).
func (c *Call) provisional(r *received) {
	m := r.Msg
	if m.Status == 100 || c.state >= StateAnswered {
		return
	}
	a := c.a
	if c.rang == 0 {
		c.rang = a.now
	}
	var l *leg
	if !m.To.Tag.Empty() {
		l = c.legOf(r)
	}
	if c.state == StateCalling {
		c.state = StateRinging
	}
	if l != nil {
		if c.leg == nil {
			c.leg = l
		}
		l.hop = r.Hop
		l.learn(m)
		if !l.earlyResponse(m) {
			return // a reliable one that came again, or out of order
		}
	}
	kind := EventProgress
	if m.Status == 180 {
		kind = EventRinging
	}
	a.emit(&Event{Kind: kind, Call: c, Status: int(m.Status), Text: string(m.Reason.Of(m.Raw)), Remote: true, Msg: m})
}

// success is a 2xx (RFC 3261 13.2.2.4): the first one answers the call; one of another fork is acknowledged and ended.
func (c *Call) success(x *exchange, r *received) {
	m := r.Msg
	l := c.legOf(r)
	if l == nil {
		if c.answeredT == 0 { // nobody can be sent an ACK
			c.end(CauseLost, int(m.Status), true, m)
		}
		return
	}
	if l.againAck(m.CSeq) {
		return
	}
	first := c.answeredT == 0
	l.hop = r.Hop
	l.dlg.Refresh(m)
	l.dlg.State = dialog.Confirmed
	l.learn(m)
	err := l.finalDescription(m)
	l.sendAck(x.req.CSeq, x.creds, l.ackBody)
	l.ackBody = nil
	switch {
	case !first:
		c.a.stats.Forks++
		c.sendBye(l, "")
	case c.cancelled:
		c.answeredT, c.leg = c.a.now, l
		c.dropOthers()
		c.bye(l, CauseCancelled, "")
	default:
		c.connect(l, m, err)
	}
}

// connect makes l the dialog of the call.
func (c *Call) connect(l *leg, m *sip.Message, err error) {
	a := c.a
	a.stats.Answered++
	c.leg, c.state, c.answeredT, c.confirmT = l, StateConfirmed, a.now, a.now
	a.alarms.set(&c.alarm, timerRing, 0)
	c.dropOthers()
	if err != nil { // the answer is none: acknowledged, and ended (RFC 3261 13.2.2.4)
		c.bye(l, CauseMedia, `SIP;cause=488;text="Not Acceptable Here"`)
		return
	}
	l.sessionAnswer(m)
	if c.opt.Talk > 0 {
		a.alarms.set(&c.alarm, timerTalk, a.now+int64(c.opt.Talk))
	}
	a.emit(&Event{Kind: EventAnswered, Call: c, Status: int(m.Status), Text: string(m.Reason.Of(m.Raw)), Remote: true, Msg: m})
}

// dropOthers ends the early dialogs of branches that a proxy cancels now. One that answers yet makes a new dialog.
func (c *Call) dropOthers() {
	for _, l := range slices.Backward(c.legs) {
		if l != c.leg && l.dlg.State == dialog.Early {
			c.drop(l)
		}
	}
}

// refused is a final response from 300 on.
func (c *Call) refused(x *exchange, m *sip.Message) {
	if c.answeredT != 0 {
		return // cannot be: the transaction is Accepted
	}
	switch {
	case c.cancelled:
		c.end(CauseCancelled, int(m.Status), false, m)
	case m.Status == 422 && c.longer(x, m):
	case m.Status < 400 && c.redirect(x, m):
	case m.Status < 600 && c.nextTarget(x):
	case m.Status == 401 || m.Status == 407:
		c.end(CauseAuth, int(m.Status), true, m)
	default:
		c.end(CauseRejected, int(m.Status), true, m)
	}
}

// intervalTries is how many 422 of one INVITE are followed: as many proxies on the way may each want a longer interval, and
// one that always does must not make a loop.
const intervalTries = 5

// longer asks again with the session interval that a 422 wants (RFC 4028 7.4).
func (c *Call) longer(x *exchange, m *sip.Message) bool {
	v, ok := m.Value(sip.HeaderMinSE)
	if !ok || c.intervals >= intervalTries {
		return false
	}
	se := sip.ParseSessionExpires(v).Seconds
	if se <= c.minSE || se > 1<<31 {
		return false
	}
	c.minSE = se
	c.intervals++
	c.reinvite(x, x.req.URI)
	return true
}

// reinvite sends the INVITE again, to the same or to another URI, as a call of its own number (RFC 3261 8.1.3.4).
func (c *Call) reinvite(x *exchange, uri string) {
	cseq := x.req.CSeq + 1
	for _, l := range slices.Clone(c.legs) {
		c.drop(l)
	}
	x.finish()
	c.state = StateCalling
	c.invite(uri, cseq)
}

// redirect notes the targets of a 3xx and tries the first.
func (c *Call) redirect(x *exchange, m *sip.Message) bool {
	if c.opt.Redirects == 0 {
		return false
	}
	for addr := range m.Addresses(sip.HeaderContact) {
		uri := plainTarget(string(addr.URI.Of(m.Raw)))
		if len(c.targets)+c.tried >= c.opt.Redirects || len(uri) == 0 {
			break
		}
		if _, ok := sip.ParseURI([]byte(uri)); !ok || uri == x.req.URI || isSips(c.opt.To) && !isSips(uri) {
			continue // RFC 3261 8.1.3.4: no loop to where it came from, and no way out of sips
		}
		q := sip.ContactQ(addr.Params.Of(m.Raw))
		if q < 0 {
			q = 1000
		}
		c.targets = append(c.targets, target{uri, q})
	}
	slices.SortStableFunc(c.targets, func(p, q target) int { return q.q - p.q })
	return c.nextTarget(x)
}

// nextTarget tries the next target of a redirection.
func (c *Call) nextTarget(x *exchange) bool {
	if len(c.targets) == 0 || c.tried >= c.opt.Redirects {
		return false
	}
	next := c.targets[0]
	c.targets = c.targets[1:]
	c.tried++
	c.stranger = true
	c.a.emit(&Event{Kind: EventRedirected, Call: c, Text: next.uri, Remote: true})
	if c.state != StateEnded && !c.cancelled { // the listener may have given up
		c.reinvite(x, next.uri)
	}
	return true
}

// failed is an INVITE without a final response.
func (c *Call) failed(x *exchange, err error) {
	if x != c.x || c.answeredT != 0 {
		return
	}
	switch {
	case c.cancelled:
		c.end(CauseCancelled, 0, false, nil)
		return
	case c.nextTarget(x):
		return
	}
	c.err = err
	switch {
	case errors.Is(err, txn.ErrTimeout):
		c.end(CauseTimeout, 408, true, nil)
	case errors.Is(err, ErrLimit) || errors.Is(err, txn.ErrLimit):
		c.end(CauseLimit, 0, false, nil)
	case errors.Is(err, auth.ErrRefused):
		c.end(CauseAuth, 0, true, nil)
	default:
		c.end(CauseTransport, 503, false, nil) // RFC 3261 8.1.3.1
	}
}

// settled says that the layer has ended the transaction of the INVITE: no further 2xx can come.
func (c *Call) settled(x *exchange) {
	switch {
	case c.x != x:
	case c.answeredT != 0:
		x.finish()
		c.x = nil
	default: // cannot be: a final response or a failure came before
		c.end(CauseLost, 0, false, nil)
	}
}

// Cancel gives a call up that is not answered (RFC 3261 9.1). When the answer comes first, it is acknowledged and ended.
func (c *Call) Cancel() error {
	if c.incoming || c.state > StateRinging {
		return fmt.Errorf("cancel a call that is %s: %w", c.state, ErrState)
	}
	c.cancelled = true
	c.state = StateEnding
	c.cause = CauseCancelled
	c.a.alarms.drop(&c.alarm)
	if c.x.id == 0 { // it never left
		x := c.x
		x.failSoon(ErrState)
		return nil
	}
	if err := c.a.layer.Cancel(c.x.id, ""); err != nil {
		c.end(CauseCancelled, 0, false, nil) // the transaction is over, and said so to nobody
		return fmt.Errorf("cancel %s: %w", c.callID, err)
	}
	return nil
}

// giveUp is the end of the time that the call may ring.
func (c *Call) giveUp() {
	if c.state <= StateRinging {
		_ = c.Cancel() // the state was just looked at
	}
}
