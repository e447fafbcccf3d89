package ua

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/dialog"
	"sipscope/element/txn"
)

// SubscribeOptions say what is subscribed to (RFC 6665).
type SubscribeOptions struct {
	To      string // URI
	Event   string // package, with ;id= where wanted
	Accept  string // media types; "" leaves it to the package
	Expires int    // seconds; 0: 3600; negative: fetch the state once (RFC 6665 4.4.3)
	Route   []string
	Headers []compose.Header
	Type    string // of Body, e.g. a filter
	Body    []byte
	Events  func(Event)
	Data    any
}

// Subscription is one subscription of this side: of a SUBSCRIBE, or of a REFER (RFC 3515 2.4.4). A fork makes several,
// each with a dialog of its own (RFC 6665 4.4.1).
type Subscription struct {
	a       *Agent
	index   int
	opt     SubscribeOptions
	pkg     string
	id      string // of Event
	alarm   alarm
	x       *exchange
	half    *leg // what a first NOTIFY is found by; its dialog has no remote tag
	leg     *leg
	seq     uint32 // CSeq of the SUBSCRIBE
	expires int    // seconds, asked for
	state   string // of the last NOTIFY; "" none came
	ending  bool
	done    bool
	call    *Call // of a REFER
	tries   int
	forks   int // further subscriptions that it made
}

// Timers of a subscription.
const (
	timerN       = iota // a NOTIFY is due (RFC 6665 4.1.2)
	timerRefresh        // SUBSCRIBE again
	timerExpiry         // it is over
)

func (s *Subscription) place() *int { return &s.index }

// Data is what the options had.
func (s *Subscription) Data() any { return s.opt.Data }

// State is the Subscription-State that came last; "" none.
func (s *Subscription) State() string { return s.state }

// Event is the event package.
func (s *Subscription) Event() string { return s.pkg }

// Subscribe subscribes. EventSubscribed, EventNotify and EventUnsubscribed tell what becomes of it.
func (a *Agent) Subscribe(opt SubscribeOptions) (*Subscription, error) {
	e, ok := sip.ParseEvent([]byte(opt.Event))
	_, okURI := sip.ParseURI([]byte(opt.To))
	switch {
	case a.closing:
		return nil, ErrClosed
	case !ok || !okURI:
		return nil, fmt.Errorf("subscribe to %q of %q: %w: no URI, or no event package", opt.Event, opt.To, ErrAddress)
	case a.subs >= a.cfg.Limits.Subscriptions:
		a.stats.Limited++
		return nil, fmt.Errorf("%d subscriptions: %w", a.subs, ErrLimit)
	}
	a.tick()
	s := &Subscription{a: a, opt: opt, pkg: string(e.Package), id: string(e.ID), expires: opt.Expires}
	switch {
	case s.expires == 0:
		s.expires = 3600
	case s.expires < 0:
		s.expires, s.ending = 0, true
	}
	s.alarm.own = s
	s.open()
	x := a.exchange(s, nil)
	s.x = x
	a.address(x, "SUBSCRIBE", opt.To, "", opt.Route)
	s.fill(x)
	tag := x.req.From[len(x.req.From)-tagLength(x.req.From):]
	s.half = &leg{a: a, dlg: &dialog.Dialog{CallID: x.req.CallID, LocalTag: tag, State: dialog.Early, Caller: true}}
	s.half.subs = append(s.half.subs, s)
	a.list(s.half)
	s.seq = x.req.CSeq
	a.alarms.set(&s.alarm, timerN, a.now+64*a.t1)
	x.start()
	return s, nil
}

// tagLength is the length of the tag that a From value ends with.
func tagLength(from string) int {
	for i := len(from) - 1; i >= 0; i-- {
		if from[i] == '=' {
			return len(from) - 1 - i
		}
	}
	return 0
}

func (s *Subscription) open() {
	s.a.subs++
	s.a.standing.add(s)
}

// fill adds what every SUBSCRIBE has.
func (s *Subscription) fill(x *exchange) {
	x.contact = true
	h := append(x.req.Headers, compose.Header{ID: sip.HeaderEvent, Value: s.opt.Event},
		compose.Header{ID: sip.HeaderExpires, Value: strconv.Itoa(s.expires)})
	if s.opt.Accept != "" {
		h = append(h, compose.Header{ID: sip.HeaderAccept, Value: s.opt.Accept})
	}
	x.req.Headers = append(h, s.opt.Headers...)
	x.req.ContentType, x.req.Body = s.opt.Type, s.opt.Body
}

// Refresh sends SUBSCRIBE again in the dialog.
func (s *Subscription) Refresh() error {
	if s.leg == nil || s.done || s.x != nil || s.pkg == "refer" {
		return fmt.Errorf("refresh a subscription: %w", ErrState)
	}
	x := s.leg.request(s, "SUBSCRIBE")
	s.x = x
	s.fill(x)
	s.a.alarms.set(&s.alarm, timerN, s.a.now+64*s.a.t1)
	x.start()
	return nil
}

// Unsubscribe ends the subscription: the last NOTIFY tells that it is over (RFC 6665 4.1.2.3).
func (s *Subscription) Unsubscribe() error {
	if s.done || s.ending {
		return fmt.Errorf("unsubscribe: %w", ErrState)
	}
	s.ending, s.expires = true, 0
	if s.x == nil && s.leg != nil {
		return s.Refresh()
	}
	return nil // as soon as the answer to the one before has come
}

func (s *Subscription) close() {
	if s.pkg == "refer" || s.Unsubscribe() != nil {
		s.end("closed", 0, nil, nil)
	}
}

func (s *Subscription) answered(x *exchange, r *received) {
	m := r.Msg
	if m.Status < 200 {
		return
	}
	if s.leg == nil && m.Status < 300 {
		s.accepted(x, r) // before x is finished: it has the request
	}
	asked := !removes(x)
	retry := x.req.CSeq
	x.finish()
	s.x = nil
	if !s.done {
		s.outcome(m, asked, retry+1)
	}
}

// outcome is a final response to a SUBSCRIBE; asked tells that it was not the one that ends the subscription.
func (s *Subscription) outcome(m *sip.Message, asked bool, seq uint32) {
	switch {
	case m.Status < 300:
		if s.leg != nil && s.leg.listed {
			s.leg.dlg.Refresh(m)
		}
		s.extend(m, asked)
	case m.Status == 423 && s.tries < 3 && m.MinExpires > int64(s.expires) && m.MinExpires < maxInterval:
		s.longer(int(m.MinExpires), seq)
	case s.leg == nil || s.ending || gone(m.Status):
		s.end("refused", int(m.Status), m, nil)
	default: // the subscription lives until it expires (RFC 6665 4.1.2.2)
		s.a.alarms.set(&s.alarm, timerN, 0)
		s.a.alarms.set(&s.alarm, timerRefresh, s.a.now+int64(32*time.Second))
	}
}

// gone reports whether a response to a refresh says that there is no subscription any more (RFC 6665 4.1.2.2, RFC 5057 5.1).
func gone(status uint16) bool {
	return status == 404 || status == 410 || status == 481 || status == 489
}

// longer asks for the time that a 423 wants.
func (s *Subscription) longer(seconds int, seq uint32) {
	s.tries++
	s.expires = seconds
	if s.leg != nil {
		_ = s.Refresh() // leg is there, x is not
		return
	}
	s.again(seq)
}

// again sends the first SUBSCRIBE again with another Expires.
func (s *Subscription) again(seq uint32) {
	a, d := s.a, s.half.dlg
	x := a.exchange(s, nil)
	s.x = x
	a.address(x, "SUBSCRIBE", s.opt.To, "", s.opt.Route)
	x.req.From = a.cfg.Identity + ";tag=" + d.LocalTag
	x.req.CallID, x.req.CSeq, s.seq = d.CallID, seq, seq
	s.fill(x)
	x.start()
}

// accepted makes the dialog of a 2xx, unless a NOTIFY was faster.
func (s *Subscription) accepted(x *exchange, r *received) {
	a := s.a
	s.seq = x.req.CSeq
	if sip.Parse(x.raw, &a.scratch) != nil {
		return
	}
	d, err := dialog.FromResponse(&a.scratch, r.Msg)
	if err != nil {
		return // a 2xx without a tag: the NOTIFY will have one
	}
	s.attach(&leg{a: a, dlg: d, hop: r.Hop})
}

func (s *Subscription) attach(l *leg) {
	s.leg = l
	l.subs = append(l.subs, s)
	l.dlg.State = dialog.Confirmed
	s.a.list(l)
}

// extend notes how long the subscription lives.
func (s *Subscription) extend(m *sip.Message, asked bool) {
	s.tries = 0
	if s.ending {
		if asked && s.leg != nil { // Unsubscribe was called meanwhile
			_ = s.Refresh() // leg is there, x is not
		}
		return
	}
	seconds := int64(s.expires)
	if m.Expires > 0 {
		seconds = min(m.Expires, seconds)
	}
	s.lives(seconds)
	s.tell(&Event{Kind: EventSubscribed, Status: int(m.Status), Expires: int(seconds), Msg: m, Remote: true})
}

func (s *Subscription) lives(seconds int64) {
	a := s.a
	seconds = min(max(seconds, 1), maxInterval)
	if s.pkg != "refer" && !s.ending {
		a.alarms.set(&s.alarm, timerRefresh, a.now+refreshAfter(seconds))
	}
	a.alarms.set(&s.alarm, timerExpiry, a.now+(seconds+1)*int64(time.Second))
}

func (s *Subscription) failed(x *exchange, err error) {
	x.finish()
	s.x = nil
	if s.leg == nil || s.ending || errors.Is(err, txn.ErrTimeout) {
		s.end("failed", 0, nil, err)
		return
	}
	s.a.alarms.set(&s.alarm, timerRefresh, s.a.now+int64(32*time.Second))
}

func (s *Subscription) fired(kind int, _ int64) {
	switch kind {
	case timerRefresh:
		_ = s.Refresh() // a SUBSCRIBE that waits for its answer does as well
	case timerN:
		if s.x != nil && s.leg != nil { // a challenge or a further hop made it late
			s.a.alarms.set(&s.alarm, timerN, s.a.now+64*s.a.t1)
			return
		}
		s.end("no NOTIFY", 0, nil, nil)
	default:
		s.end("expired", 0, nil, nil)
	}
}

// end is the end of a subscription.
func (s *Subscription) end(reason string, status int, m *sip.Message, err error) {
	if s.done {
		return
	}
	a := s.a
	s.done = true
	a.subs--
	a.alarms.drop(&s.alarm)
	a.standing.remove(s)
	if s.x != nil {
		s.x.finish()
		s.x = nil
	}
	for _, l := range []*leg{s.half, s.leg} {
		if l != nil {
			l.subs = slices.DeleteFunc(l.subs, func(o *Subscription) bool { return o == s })
			l.release()
		}
	}
	s.tell(&Event{Kind: EventUnsubscribed, Text: reason, Status: status, Msg: m, Err: err, Remote: m != nil})
	a.settle()
}

func (s *Subscription) tell(e *Event) {
	e.Subscription, e.Call, e.Method = s, s.call, "SUBSCRIBE"
	if s.pkg == "refer" {
		e.Method = "REFER"
	}
	s.a.tell(s.opt.Events, e)
}

// firstNotify makes the dialog of a NOTIFY that comes before the 2xx, or from another fork (RFC 6665 4.4.1).
func (a *Agent) firstNotify(r *received) *leg {
	m := r.Msg
	local := m.To.Tag.Of(m.Raw)
	for half := a.dialogs[a.tagHash(m.CallID.Of(m.Raw), local)]; half != nil; half = half.chain {
		if half.dlg.RemoteTag != "" || len(half.subs) != 1 || half.dlg.CallID != string(m.CallID.Of(m.Raw)) ||
			half.dlg.LocalTag != string(local) {
			continue
		}
		s := half.subs[0]
		d, err := dialog.FromRequest(m, s.half.dlg.LocalTag)
		if err != nil {
			return nil
		}
		d.LocalSeq = s.seq
		l := &leg{a: a, dlg: d, hop: r.Hop}
		if s.leg == nil {
			s.attach(l)
			return l
		}
		if a.subs >= a.cfg.Limits.Subscriptions || s.forks >= a.cfg.Limits.Forks {
			a.stats.Limited++
			return nil
		}
		s.forks++
		fork := &Subscription{a: a, opt: s.opt, pkg: s.pkg, id: s.id, seq: s.seq, expires: s.expires, ending: s.ending}
		fork.alarm.own = fork
		fork.open()
		fork.attach(l)
		return l
	}
	return nil
}

// notified is a NOTIFY in a dialog (RFC 6665 4.1.3).
func (l *leg) notified(id txn.ID, r *received) {
	a, m := l.a, r.Msg
	v, _ := m.Value(sip.HeaderEvent)
	e, ok := sip.ParseEvent(v)
	if !ok {
		a.reply(id, r, &compose.Reply{Status: 489, Headers: []compose.Header{{ID: sip.HeaderAllowEvents, Value: "refer"}}})
		return
	}
	v, ok = m.Value(sip.HeaderSubscriptionState)
	if !ok {
		a.reply(id, r, &compose.Reply{Status: 400, Reason: "No Subscription-State"})
		return
	}
	s := l.subscription(string(e.Package), string(e.ID))
	if s == nil {
		a.answer(id, r, 481)
		l.release()
		return
	}
	a.answer(id, r, 200)
	l.dlg.Refresh(m)
	s.notified(sip.ParseSubscriptionState(v), m)
}

// subscription finds the one that a NOTIFY means. That of a REFER may leave out the id when there is but one (RFC 3515
// 2.4.6).
func (l *leg) subscription(pkg, id string) *Subscription {
	for _, s := range l.subs {
		if s.pkg == pkg && (s.id == id || pkg == "refer" && id == "") {
			return s
		}
	}
	return nil
}

// notified tells what a NOTIFY says.
func (s *Subscription) notified(st sip.SubscriptionState, m *sip.Message) {
	a := s.a
	s.state = string(st.State)
	over := asciiFold(st.State, "terminated")
	if !s.ending { // else the last one is still due, which says that it is over
		a.alarms.set(&s.alarm, timerN, 0)
	}
	if st.Expires > 0 && !over {
		s.lives(st.Expires)
	}
	e := Event{
		Kind: EventNotify, State: s.state, Type: string(m.ContentType.Of(m.Raw)), Body: m.Body.Of(m.Raw), Msg: m, Remote: true,
	}
	if s.pkg == "refer" {
		e.Kind = EventReferred
		e.Status, e.Text = fragment(e.Body)
	}
	s.tell(&e)
	if over {
		s.end(string(st.Reason), 0, m, nil)
	}
}

// fragment is what the status line of a message/sipfrag says (RFC 3420, RFC 3515 2.4.5); 0 for none.
func fragment(body []byte) (status int, phrase string) {
	const version = "SIP/2.0 "
	if len(body) < len(version)+3 || string(body[:len(version)]) != version {
		return 0, ""
	}
	line, _, _ := bytes.Cut(body[len(version):], []byte("\n"))
	code, rest, _ := bytes.Cut(bytes.TrimRight(line, "\r"), []byte(" "))
	n, err := strconv.Atoi(string(code))
	if err != nil || n < 100 || n > 699 {
		return 0, ""
	}
	return n, string(rest)
}
