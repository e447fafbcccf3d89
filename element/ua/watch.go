package ua

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/dialog"
	"sipscope/element/txn"
)

// Package is an event package that the agent serves as notifier (RFC 6665 4.2).
type Package struct {
	Event      string // "presence"
	Type       string // media type of its state
	Expires    int    // seconds, where a SUBSCRIBE names none; 0: 3600
	MinExpires int    // shorter ones get 423; 0: none is too short
	MaxExpires int    // longer ones are shortened; 0: 86400
	Pending    bool   // subscriptions wait for Watcher.Accept; 202 is answered
	// State gives the state that a new or refreshed subscription is told; nil: none.
	State func(w *Watcher) (contentType string, body []byte)
}

// Watcher is one subscription to this agent.
type Watcher struct {
	a       *Agent
	index   int
	listed  int // where it stands in Agent.watchers, from 1 on
	leg     *leg
	pkg     *Package
	event   string // value of Event
	id      string
	user    string // user part of the Request-URI
	alarm   alarm
	until   int64 // ns
	x       *exchange
	again   bool // another NOTIFY is due
	pending bool
	over    string // reason of the end; "" it goes on
	done    bool
	kind    string
	body    []byte
	ref     bool // of a REFER
}

func (w *Watcher) place() *int { return &w.index }

// User is the user part of the Request-URI that was subscribed to.
func (w *Watcher) User() string { return w.user }

// Pending reports whether it waits for Accept.
func (w *Watcher) Pending() bool { return w.pending }

// Remote is the subscriber's From value without tag.
func (w *Watcher) Remote() string { return w.leg.dlg.Remote }

// packages lists what the agent serves.
func (a *Agent) packages() string {
	names := make([]string, len(a.cfg.Packages))
	for i := range a.cfg.Packages {
		names[i] = a.cfg.Packages[i].Event
	}
	return strings.Join(names, ", ")
}

func (a *Agent) packageOf(m *sip.Message) (*Package, sip.Event) {
	v, _ := m.Value(sip.HeaderEvent)
	e, ok := sip.ParseEvent(v)
	if !ok {
		return nil, e
	}
	for i := range a.cfg.Packages {
		if a.cfg.Packages[i].Event == string(e.Package) {
			return &a.cfg.Packages[i], e
		}
	}
	return nil, e
}

// subscribed is a SUBSCRIBE (RFC 6665 4.2.1); l is its dialog, nil for a new one.
func (a *Agent) subscribed(id txn.ID, r *received, l *leg) {
	m := r.Msg
	p, e := a.packageOf(m)
	var w *Watcher
	if l != nil {
		w = l.watcher(string(e.Package), string(e.ID))
	}
	if w != nil && w.ref {
		p = w.pkg
	}
	if rep := a.admitWatcher(m, p, w, l); rep.Status != 0 {
		a.stats.Refused++
		a.reply(id, r, &rep)
		return
	}
	seconds := p.seconds(m)
	if w == nil {
		if w = a.newWatcher(r, l, p, e); w == nil {
			a.stats.Refused++
			a.answer(id, r, 400)
			return
		}
	}
	w.accept(id, r, seconds)
}

// dialogWatchers is how many subscriptions one dialog may have: RFC 6665 4.5.2 wants one, an INVITE's may have those of REFERs.
const dialogWatchers = 32

// admitWatcher checks a SUBSCRIBE; Status 0 says that it may go on.
func (a *Agent) admitWatcher(m *sip.Message, p *Package, w *Watcher, l *leg) compose.Reply {
	switch {
	case p == nil:
		return compose.Reply{Status: 489, Headers: []compose.Header{{ID: sip.HeaderAllowEvents, Value: a.packages()}}}
	case w != nil && w.over != "":
		return compose.Reply{Status: 481}
	case w == nil && a.closing:
		return compose.Reply{Status: 503}
	case w == nil && a.crowded(l):
		return a.overload()
	case m.Expires > 0 && m.Expires < int64(p.MinExpires) && m.Expires < 3600:
		return compose.Reply{Status: 423, Headers: []compose.Header{{ID: sip.HeaderMinExpires, Value: strconv.Itoa(p.MinExpires)}}}
	case !accepts(m, p.Type):
		return compose.Reply{Status: 406, Headers: []compose.Header{{ID: sip.HeaderAccept, Value: p.Type}}}
	}
	return compose.Reply{}
}

// crowded reports whether no further subscription can be taken, in the dialog l if that is not nil.
func (a *Agent) crowded(l *leg) bool {
	return a.subs >= a.cfg.Limits.Subscriptions || l != nil && len(l.watchers) >= dialogWatchers
}

// overload is what is answered beyond a limit.
func (a *Agent) overload() compose.Reply {
	a.stats.Limited++
	return compose.Reply{Status: 503, Headers: []compose.Header{{ID: sip.HeaderRetryAfter, Value: "30"}}}
}

// accepts reports whether a request's Accept lets a media type through; without one, it does.
func accepts(m *sip.Message, kind string) bool {
	if _, ok := m.Value(sip.HeaderAccept); !ok || kind == "" {
		return true
	}
	group, _, _ := strings.Cut(kind, "/")
	for v := range m.List(sip.HeaderAccept) {
		t, _, _ := strings.Cut(string(v), ";")
		t = strings.ToLower(strings.TrimSpace(t))
		if t == kind || t == "*/*" || t == group+"/*" {
			return true
		}
	}
	return false
}

func (p *Package) seconds(m *sip.Message) int64 {
	n := m.Expires
	if n < 0 {
		n = int64(orInt(p.Expires, 3600))
	}
	return min(n, int64(orInt(p.MaxExpires, 86400)))
}

func (l *leg) watcher(pkg, id string) *Watcher {
	for _, w := range l.watchers {
		if w.pkg.Event == pkg && w.id == id {
			return w
		}
	}
	return nil
}

// newWatcher makes a subscription, in a dialog of its own when l is nil. nil: no dialog can be made.
func (a *Agent) newWatcher(r *received, l *leg, p *Package, e sip.Event) *Watcher {
	m := r.Msg
	if l == nil {
		d, err := dialog.FromRequest(m, compose.Tag(a.rng))
		if err != nil {
			return nil
		}
		d.Check(m) // notes the CSeq
		d.State = dialog.Confirmed
		l = &leg{a: a, dlg: d, hop: r.Hop}
		a.list(l)
	}
	uri, _ := sip.ParseURI(m.URI.Of(m.Raw))
	w := &Watcher{a: a, leg: l, pkg: p, event: p.Event, id: string(e.ID), user: string(uri.User), pending: p.Pending}
	if w.id != "" {
		w.event += ";id=" + w.id
	}
	w.alarm.own = w
	l.watchers = append(l.watchers, w)
	a.watchers[p.Event] = append(a.watchers[p.Event], w)
	w.listed = len(a.watchers[p.Event])
	a.standing.add(w)
	a.subs++
	return w
}

// accept answers the SUBSCRIBE, and tells the state (RFC 6665 4.2.1.2).
func (w *Watcher) accept(id txn.ID, r *received, seconds int64) {
	a := w.a
	w.leg.dlg.Refresh(r.Msg)
	rep := compose.Reply{Status: 200, ToTag: w.leg.dlg.LocalTag, RecordRoute: true, Headers: []compose.Header{
		{ID: sip.HeaderContact, Value: a.contactFor(r.Hop.Proto, a.localOf(r.Hop), w.leg.dlg.Secure)},
		{ID: sip.HeaderExpires, Value: strconv.FormatInt(seconds, 10)},
	}}
	if w.pending {
		rep.Status = 202
	}
	a.reply(id, r, &rep)
	if seconds == 0 {
		w.over = "timeout"
		a.alarms.drop(&w.alarm)
	} else {
		w.until = a.now + seconds*int64(time.Second)
		a.alarms.set(&w.alarm, 0, w.until)
		a.emit(&Event{Kind: EventWatcher, Watcher: w, Expires: int(seconds), Msg: r.Msg, Remote: true})
	}
	if !w.ref {
		w.kind, w.body = "", nil
	}
	w.notify()
}

// Accept lets a pending subscription become active.
func (w *Watcher) Accept() {
	if w.pending {
		w.pending = false
		w.notify()
	}
}

// End ends the subscription: reason as in Subscription-State, e.g. "rejected", "noresource" (RFC 6665 4.1.3).
func (w *Watcher) End(reason string) {
	if w.over == "" && !w.done {
		w.over = reason
		w.a.alarms.drop(&w.alarm)
		w.notify()
	}
}

func (w *Watcher) close() { w.End("deactivated") }

// Notify tells the subscriber a state.
func (w *Watcher) Notify(contentType string, body []byte) {
	if w.done || w.over != "" {
		return
	}
	w.kind, w.body = contentType, body
	w.notify()
}

// Notify tells all subscribers of an event package that their state may be another now: each is told what
// Package.State gives.
func (a *Agent) Notify(event string) {
	a.tick()
	for _, w := range slices.Clone(a.watchers[event]) {
		if w.over == "" {
			w.kind, w.body = "", nil
			w.notify()
		}
	}
}

// notify sends a NOTIFY, or does so when the one before is answered (RFC 6665 4.2.2).
func (w *Watcher) notify() {
	if w.done {
		return
	}
	if w.x != nil {
		w.again = true
		return
	}
	w.again = false
	x := w.leg.request(w, "NOTIFY")
	w.x = x
	x.contact = true
	x.req.Headers = append(x.req.Headers, compose.Header{ID: sip.HeaderEvent, Value: w.event},
		compose.Header{ID: sip.HeaderSubscriptionState, Value: w.stateValue()})
	kind, body := w.kind, w.body
	if kind == "" && w.pkg.State != nil && !w.pending {
		kind, body = w.pkg.State(w)
	}
	if len(body) > 0 {
		x.req.ContentType, x.req.Body = kind, body
	}
	x.start()
}

func (w *Watcher) stateValue() string {
	switch {
	case w.over != "":
		return "terminated;reason=" + w.over
	case w.pending:
		return "pending;expires=" + w.left()
	default:
		return "active;expires=" + w.left()
	}
}

// left is how many seconds the subscription lives yet.
func (w *Watcher) left() string {
	return strconv.FormatInt(max(w.until-w.a.now, 0)/int64(time.Second), 10)
}

func (w *Watcher) answered(x *exchange, r *received) {
	m := r.Msg
	if m.Status < 200 {
		return
	}
	x.finish()
	w.x = nil
	switch {
	case m.Status < 300:
		w.leg.dlg.Refresh(m)
	case m.Status != 401 && m.Status != 407 && m.Status < 500, m.Status == 501, m.Status >= 600:
		w.finish() // RFC 6665 4.2.2: the subscriber is gone
		return
	}
	w.next()
}

func (w *Watcher) next() {
	switch {
	case w.again:
		w.notify()
	case w.over != "":
		w.finish()
	}
}

func (w *Watcher) failed(x *exchange, _ error) {
	x.finish()
	w.x = nil
	w.finish()
}

// fired is the end of the subscription's time.
func (w *Watcher) fired(int, int64) { w.End("timeout") }

func (w *Watcher) finish() {
	if w.done {
		return
	}
	a := w.a
	w.done = true
	a.subs--
	a.alarms.drop(&w.alarm)
	a.standing.remove(w)
	a.unlistWatcher(w)
	w.leg.watchers = slices.DeleteFunc(w.leg.watchers, func(o *Watcher) bool { return o == w })
	w.leg.release()
	a.emit(&Event{Kind: EventWatcherEnded, Watcher: w, Text: w.over})
	a.settle()
}

// unlistWatcher takes a watcher from those of its package: the last one gets its place, since there may be very many.
func (a *Agent) unlistWatcher(w *Watcher) {
	all := a.watchers[w.pkg.Event]
	last := len(all) - 1
	all[w.listed-1] = all[last]
	all[w.listed-1].listed = w.listed
	all[last] = nil
	a.watchers[w.pkg.Event] = all[:last]
}
