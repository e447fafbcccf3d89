package ua

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/txn"
)

// referPackage is the event package of REFER's implicit subscription (RFC 3515 2.4.4).
const referPackage = "refer"

// Refer asks the other side to call a URI (RFC 3515). with, which may be nil, is the call that the new one shall replace:
// an attended transfer (RFC 5589 7). EventReferred tells how it goes on, EventRefused that it will not.
func (c *Call) Refer(to string, with *Call) (*Subscription, error) {
	l := c.leg
	if l == nil || c.state != StateConfirmed {
		return nil, fmt.Errorf("REFER in a call that is %s: %w", c.state, ErrState)
	}
	value := "<" + to + ">"
	if with != nil {
		callID, local, remote, ok := with.Dialog()
		if !ok {
			return nil, fmt.Errorf("REFER to replace a call without a dialog: %w", ErrState)
		}
		mark := "?"
		if strings.Contains(to, "?") {
			mark = "&"
		}
		value = "<" + to + mark + "Replaces=" + url.QueryEscape(callID+";to-tag="+remote+";from-tag="+local) + ">"
	}
	x := l.request(nil, "REFER")
	s := &Subscription{
		a: c.a, call: c, leg: l, pkg: referPackage, id: strconv.FormatUint(uint64(x.req.CSeq), 10), x: x,
		opt: SubscribeOptions{Event: referPackage, Events: c.opt.Events},
	}
	s.alarm.own = s
	s.open()
	l.subs = append(l.subs, s) // a NOTIFY may come before the 202
	x.owner = referral{s}
	x.contact = true
	x.req.Headers = append(x.req.Headers, compose.Header{ID: sip.HeaderReferTo, Value: value},
		compose.Header{ID: sip.HeaderReferredBy, Value: l.dlg.Local})
	c.a.alarms.set(&s.alarm, timerExpiry, c.a.now+int64(300*time.Second))
	x.start()
	return s, nil
}

// referral is the owner of a REFER.
type referral struct{ s *Subscription }

func (f referral) answered(x *exchange, r *received) {
	m, s := r.Msg, f.s
	if m.Status < 200 {
		return
	}
	x.finish()
	s.x = nil
	switch v, _ := m.Value(sip.HeaderReferSub); {
	case m.Status >= 300:
		s.a.emit(&Event{
			Kind: EventRefused, Call: s.call, Method: "REFER", Status: int(m.Status), Text: phrase(m), Msg: m, Remote: true,
		})
		s.end("refused", int(m.Status), m, nil)
	case asciiFold(v, "false"): // RFC 4488: no subscription
		s.end("norefersub", int(m.Status), m, nil)
	case !s.done && s.state == "":
		s.a.alarms.set(&s.alarm, timerN, s.a.now+64*s.a.t1)
	}
}

func (f referral) failed(x *exchange, err error) {
	x.finish()
	f.s.x = nil
	f.s.end("failed", 0, nil, err)
}

// referred is a REFER (RFC 3515 2.4.2).
func (a *Agent) referred(id txn.ID, r *received, l *leg) {
	m := r.Msg
	target, replaces, rep := a.admitRefer(m, l)
	if rep.Status != 0 {
		a.stats.Refused++
		a.reply(id, r, &rep)
		return
	}
	var call *Call
	if l != nil {
		call = l.call
	}
	a.emit(&Event{Kind: EventRefer, Call: call, Text: target, Msg: m, Remote: true})
	v, _ := m.Value(sip.HeaderReferSub)
	if asciiFold(v, "false") { // RFC 4488 4
		rep = compose.Reply{Status: 200, Headers: []compose.Header{{ID: sip.HeaderReferSub, Value: "false"}}}
		rep.Headers = append(rep.Headers, compose.Header{
			ID: sip.HeaderContact, Value: a.contactFor(r.Hop.Proto, a.localOf(r.Hop), l != nil && l.dlg.Secure),
		})
		a.reply(id, r, &rep)
		_, _ = a.call(CallOptions{To: target, Replaces: replaces}, true) // nobody asked to hear of it
		return
	}
	pkg := &Package{Event: referPackage, Type: "message/sipfrag"}
	w := a.newWatcher(r, l, pkg, sip.Event{ID: strconv.AppendUint(nil, uint64(m.CSeq), 10)})
	if w == nil {
		a.answer(id, r, 400)
		return
	}
	w.ref = true
	w.kind, w.body = fragType, frag(100, "Trying")
	w.acceptRefer(id, r)
	next, err := a.call(CallOptions{To: target, Replaces: replaces}, true)
	if err != nil {
		status := 400
		if errors.Is(err, ErrLimit) {
			status = 503
		}
		w.report(status, sip.ReasonPhrase(status))
		return
	}
	next.refer = w
}

const fragType = "message/sipfrag;version=2.0"

func frag(status int, reason string) []byte {
	return []byte("SIP/2.0 " + strconv.Itoa(status) + " " + reason + "\r\n")
}

// admitRefer reads what a REFER wants; rep has a status when it is refused.
func (a *Agent) admitRefer(m *sip.Message, l *leg) (target, replaces string, rep compose.Reply) {
	n := 0
	var first []byte
	for v := range m.Values(sip.HeaderReferTo) {
		if n++; n == 1 {
			first = v
		}
	}
	to, ok := sip.ParseReferTo(first)
	if n != 1 || !ok { // RFC 3515 2.4.1
		return "", "", compose.Reply{Status: 400, Reason: "Exactly one Refer-To is needed"}
	}
	switch {
	case !a.cfg.Refer:
		return "", "", compose.Reply{Status: 603}
	case !a.mayRefer(l):
		return "", "", compose.Reply{Status: 403, Reason: "REFER in a Call Only"}
	case len(to.Method) > 0 && string(to.Method) != "INVITE":
		return "", "", compose.Reply{Status: 501}
	case a.crowded(l) || len(a.calls.all) >= a.cfg.Limits.Calls:
		return "", "", a.overload()
	}
	if _, ok := sip.ParseURI(to.URI); !ok {
		return "", "", compose.Reply{Status: 400, Reason: "Refer-To is no URI"}
	}
	if p, has := to.Replaces(); has {
		replaces = string(p.CallID) + ";to-tag=" + string(p.ToTag) + ";from-tag=" + string(p.FromTag)
		if p.EarlyOnly {
			replaces += ";early-only"
		}
	}
	return plainTarget(string(to.URI)), replaces, compose.Reply{}
}

// mayRefer reports whether a REFER may be acted on: one in a call whose other side showed that it is where it says, or
// one that was authenticated. A datagram with a false source must not have the agent send INVITEs and NOTIFYs to others.
func (a *Agent) mayRefer(l *leg) bool {
	if l == nil {
		return a.cfg.Auth != nil // its answer to a challenge was checked
	}
	return l.call != nil && l.call.state == StateConfirmed
}

// referSeconds is how long the implicit subscription lives.
const referSeconds = 180

// acceptRefer answers 202 and sends the first NOTIFY.
func (w *Watcher) acceptRefer(id txn.ID, r *received) {
	a := w.a
	w.leg.dlg.Refresh(r.Msg)
	a.reply(id, r, &compose.Reply{Status: 202, ToTag: w.leg.dlg.LocalTag, RecordRoute: true, Headers: []compose.Header{
		{ID: sip.HeaderContact, Value: a.contactFor(r.Hop.Proto, a.localOf(r.Hop), w.leg.dlg.Secure)},
	}})
	w.until = a.now + referSeconds*int64(time.Second)
	a.alarms.set(&w.alarm, 0, w.until)
	w.notify()
}

// progress tells the one that referred what becomes of the call.
func (w *Watcher) progress(e *Event) {
	switch e.Kind {
	case EventRinging, EventProgress:
		w.Notify(fragType, frag(e.Status, sip.ReasonPhrase(e.Status)))
	case EventAnswered:
		w.report(e.Status, sip.ReasonPhrase(e.Status))
	case EventEnded:
		status := e.Status
		if status < 300 {
			status = 503
		}
		w.report(status, sip.ReasonPhrase(status))
	default:
	}
}

// report tells the end of it.
func (w *Watcher) report(status int, reason string) {
	if w.done || w.over != "" {
		return
	}
	w.kind, w.body = fragType, frag(status, reason)
	w.End("noresource")
}
