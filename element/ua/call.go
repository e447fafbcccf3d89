package ua

import (
	"fmt"
	"time"

	"sipscope/decode/sdp"
	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/txn"
)

// State is how far a call is.
type State uint8

// States of a call.
const (
	StateCalling   State = iota // the INVITE is sent or received, and nothing but 100 answered
	StateRinging                // a provisional response made an early dialog, or was sent
	StateAnswered               // a 2xx was sent, and waits for its ACK
	StateConfirmed              // a 2xx and its ACK are exchanged
	StateEnding                 // a CANCEL or BYE waits for its answer
	StateEnded
)

// String is a word for output.
func (s State) String() string {
	names := [...]string{"calling", "ringing", "answered", "confirmed", "ending", "ended"}
	if int(s) < len(names) {
		return names[s]
	}
	return ""
}

// CallOptions say how a call is made.
type CallOptions struct {
	To      string   // URI to call: "sip:bob@b.com"
	Display string   // name in To; "" none
	From    string   // From value without tag; "" the agent's identity
	Route   []string // preloaded Route values instead of the agent's (RFC 3261 8.1.2); nil: the agent's
	Headers []compose.Header
	// NoOffer leaves the offer to the other side's 2xx or reliable provisional response (RFC 3261 13.2.1).
	NoOffer bool
	// Type and Body replace the session description that the agent would make.
	Type string
	Body []byte
	// Ring is how long to wait for an answer before a CANCEL; 0: Limits.Ring.
	Ring time.Duration
	// Talk is how long after the answer a BYE is sent; 0: never.
	Talk time.Duration
	// Redirects is how many targets of 3xx responses are tried; 0: none, the 3xx ends the call.
	Redirects int
	// Replaces is the value of a Replaces header (RFC 3891); "" none.
	Replaces string
	// Events is told what happens to this call, instead of Config.Events.
	Events func(Event)
	// Data is for the one who calls.
	Data any
}

// Timers of a call.
const (
	timerRing    = iota // client: give up; server: ring, and again
	timerAnswer         // server: give the final answer
	timerTalk           // hang up
	timerOK             // send the 2xx again
	timerPrack          // send the reliable provisional response again
	timerSession        // refresh the session, or end it
	timerGlare          // try the re-INVITE again (RFC 3261 14.1)
	timerWait           // server: nobody answers
)

// Call is one call, made or received. Its methods belong to the agent's loop.
type Call struct {
	a      *Agent
	id     uint64
	index  int
	opt    CallOptions
	state  State
	alarm  alarm
	x      *exchange // client: the INVITE
	legs   []*leg    // its dialogs: early ones, the confirmed one, second 2xx that are being ended
	leg    *leg      // the dialog of the call, once there is one that counts
	offer  session   // client: what the INVITE offers, for all early dialogs
	stream Stream

	incoming  bool
	cancelled bool
	hangup    bool // hang up as soon as the ACK has come
	stranger  bool // somebody else chose whom to call: a 3xx or a REFER
	reached   bool // the caller gets what is sent to it: an ACK or a PRACK came
	callID    string
	localTag  string
	from, to  string
	minSE     int64 // asked for by a 422
	intervals int   // how many 422 were followed
	targets   []target
	tried     int

	server     txn.ID // server: the INVITE transaction; 0: none, or it has its final response
	serverData uint64
	script     Answer
	rung       rung
	shared     bool // something else may point to it
	replaced   *Call
	refer      *Watcher // the one that a REFER made it for hears how it goes

	begun     int64 // ns, INVITE sent or received
	rang      int64 // ns, first provisional response over 100; 0: none
	answeredT int64 // ns, 2xx; 0: none
	confirmT  int64
	endedT    int64
	err       error // why there was no answer at all
	cause     Cause
	status    int
	remote    bool
}

func (c *Call) place() *int { return &c.index }

// ID numbers the calls of an agent from 1 on.
func (c *Call) ID() uint64 { return c.id }

// CallID is the Call-ID.
func (c *Call) CallID() string { return c.callID }

// State is how far it is.
func (c *Call) State() State { return c.state }

// Incoming reports whether the other side called.
func (c *Call) Incoming() bool { return c.incoming }

// Remote is the To value of a call made, the From value of one received, without tag.
func (c *Call) Remote() string {
	if c.incoming {
		return c.from
	}
	return c.to
}

// Stream is the sound of the call, as Config.Media made it; nil for none.
func (c *Call) Stream() Stream { return c.stream }

// Data is what the options had.
func (c *Call) Data() any { return c.opt.Data }

// SetData attaches something to the call.
func (c *Call) SetData(v any) { c.opt.Data = v }

// SetEvents gives the call a listener of its own, in the place of Config.Events.
func (c *Call) SetEvents(f func(Event)) { c.opt.Events = f }

// Agreed is what the session descriptions agree on; false before.
func (c *Call) Agreed() (Agreed, bool) {
	if c.leg == nil {
		return Agreed{}, false
	}
	return c.leg.session.agreed, c.leg.session.done
}

// Held says who holds: this side, the other side.
func (c *Call) Held() (local, remote bool) {
	if c.leg == nil {
		return false, false
	}
	s := &c.leg.session
	return s.want == sdp.SendOnly || s.want == sdp.Inactive, s.held
}

// Times are when the call began, rang, was answered, confirmed and ended, in ns since 1970-01-01 UTC; 0: not yet.
func (c *Call) Times() (begun, rang, answered, confirmed, ended int64) {
	return c.begun, c.rang, c.answeredT, c.confirmT, c.endedT
}

// Outcome is how the call ended; the cause is 0 while it goes on. status is that of the response that refused it, if one
// did, and remote tells whether the other side ended it.
func (c *Call) Outcome() (cause Cause, status int, remote bool) { return c.cause, c.status, c.remote }

// Dialog names the dialog as Replaces has it, for the other call of an attended transfer (RFC 3891 6.1).
func (c *Call) Dialog() (callID, localTag, remoteTag string, ok bool) {
	if c.leg == nil {
		return "", "", "", false
	}
	d := c.leg.dlg
	return d.CallID, d.LocalTag, d.RemoteTag, true
}

// newCall makes a call and counts it.
func (a *Agent) newCall() *Call {
	a.nextCall++
	var c *Call
	if n := len(a.oldCalls); n > 0 {
		c = a.oldCalls[n-1]
		a.oldCalls = a.oldCalls[:n-1]
		*c = Call{legs: c.legs[:0]}
	} else {
		c = new(Call)
	}
	c.a, c.id, c.begun = a, a.nextCall, a.now
	c.alarm.own = c
	a.calls.add(c)
	return c
}

// fired is a timer of the call.
func (c *Call) fired(kind int, now int64) {
	switch kind {
	case timerRing:
		if c.incoming {
			c.ringAgain()
		} else {
			c.giveUp()
		}
	case timerAnswer:
		c.answerNow()
	case timerTalk:
		_ = c.Hangup() // a call that is over already needs none
	case timerWait:
		_ = c.refuse(480, "", nil, 0, nil) // ErrState: the transaction is gone
	default:
		if c.leg != nil {
			c.leg.fired(kind, now)
		}
	}
}

// fired is a timer of the call's dialog.
func (l *leg) fired(kind int, now int64) {
	switch kind {
	case timerOK:
		l.resendOK(now)
	case timerPrack:
		l.resendReliable(now)
	case timerSession:
		l.sessionDue()
	case timerGlare:
		l.retryChange()
	}
}

// Hangup ends the call by what its state asks for: CANCEL before the answer (RFC 3261 9.1), 480 from the side that was
// called, BYE after it; a 2xx that was sent is waited with until its ACK has come (RFC 3261 15).
func (c *Call) Hangup() error {
	switch c.state {
	case StateCalling, StateRinging:
		if c.incoming {
			return c.Reject(480, "")
		}
		return c.Cancel()
	case StateAnswered:
		c.hangup = true
		return nil
	case StateConfirmed:
		c.bye(c.leg, CauseBye, "")
		return nil
	default:
		return fmt.Errorf("hang up a call that is %s: %w", c.state, ErrState)
	}
}

// bye ends the confirmed dialog.
func (c *Call) bye(l *leg, cause Cause, reason string) {
	c.state, c.cause = StateEnding, cause
	c.a.alarms.drop(&c.alarm)
	c.sendBye(l, reason)
}

// sendBye sends BYE in a dialog; reason is a Reason value (RFC 3326), "" none.
func (c *Call) sendBye(l *leg, reason string) {
	x := l.request(l, "BYE")
	l.byeX = x
	x.back = c.incoming && !c.reached // who never sent an ACK may have named somebody else in its Contact
	if reason != "" {
		x.req.Headers = append(x.req.Headers, compose.Header{ID: sip.HeaderReason, Value: reason})
	}
	x.start()
}

// phrase is what a response says beside its status; "" for a request, and for none.
func phrase(m *sip.Message) string {
	if m == nil || m.Request {
		return ""
	}
	return string(m.Reason.Of(m.Raw))
}

// end is the one place where a call ends. msg is the message that did it, nil for none.
func (c *Call) end(cause Cause, status int, remote bool, msg *sip.Message) {
	if c.state == StateEnded {
		return
	}
	a := c.a
	c.state, c.cause, c.status, c.remote, c.endedT = StateEnded, cause, status, remote, a.now
	a.alarms.drop(&c.alarm)
	c.lateness()
	if c.x != nil {
		c.x.finish()
		c.x = nil
	}
	if s := a.bound(c.serverData); s != nil {
		s.call = nil
	}
	c.server, c.serverData = 0, 0
	for _, l := range c.legs {
		l.leave()
	}
	c.legs, c.leg = c.legs[:0], nil
	if c.stream != nil {
		c.stream.Close(a.now)
		c.stream = nil
	}
	a.calls.remove(c)
	a.stats.Ended[cause]++
	a.emit(&Event{Kind: EventEnded, Call: c, Cause: cause, Status: status, Text: phrase(msg), Remote: remote, Err: c.err, Msg: msg})
	if a.cfg.Recycle && !c.shared && len(a.oldCalls) < spareExchanges {
		a.oldCalls = append(a.oldCalls, c)
	}
	a.settle()
}

// leave takes the call out of its dialog, which goes on for subscriptions only.
func (l *leg) leave() {
	a := l.a
	l.call = nil
	if l.byeX != nil {
		l.byeX.finish()
		l.byeX = nil
	}
	if l.change != nil {
		l.change.drop()
	}
	a.keepText(l.ack)
	a.keepText(l.ok.raw)
	l.ack, l.ok.raw = nil, nil
	l.release()
	if a.cfg.Recycle && l.dropped && !l.shared && len(a.oldLegs) < spareExchanges {
		a.oldLegs = append(a.oldLegs, l)
	}
}

// drop forgets one early dialog. When it was the one that counts, another takes its place.
func (c *Call) drop(l *leg) {
	for i, other := range c.legs {
		if other == l {
			c.legs = append(c.legs[:i], c.legs[i+1:]...)
			break
		}
	}
	if c.leg == l {
		c.leg = nil
		for _, kind := range [...]int{timerOK, timerPrack, timerSession, timerGlare} {
			c.a.alarms.set(&c.alarm, kind, 0)
		}
		if len(c.legs) > 0 {
			c.leg = c.legs[0]
		}
	}
	l.leave()
}

// answered is the answer to a BYE, or to another request of the dialog that ends it.
func (l *leg) answered(x *exchange, r *received) {
	if r.Msg.Status < 200 {
		return
	}
	l.byeDone(x)
}

// failed is a BYE without answer: the call is over all the same (RFC 3261 15.1.1).
func (l *leg) failed(x *exchange, _ error) { l.byeDone(x) }

func (l *leg) byeDone(x *exchange) {
	x.finish()
	l.byeX = nil
	c := l.call
	switch {
	case c == nil: // of a fork that was late
		l.leave()
	case c.leg == l || (c.state == StateEnding && len(c.legs) == 1):
		c.end(c.cause, c.status, c.remote, nil)
	default:
		c.drop(l)
	}
}
