package ua

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/compose"
)

// RegisterOptions say what is registered, and where (RFC 3261 10.2).
type RegisterOptions struct {
	Registrar string   // Request-URI without a user: "sip:a.com"
	AOR       string   // address of record as a To value; "" the agent's identity
	Contacts  []string // Contact values; nil: the agent's own address
	Expires   int      // seconds; 0: 3600. Bindings are removed by Remove or RemoveAll, not by 0
	Route     []string // preloaded Route values; nil: the agent's
	Headers   []compose.Header
	Once      bool          // no refresh
	Remove    bool          // removes the bindings of Contacts at once, instead of making them: EventUnregistered is all that follows
	RemoveAll bool          // likewise all bindings there are, by "*" (RFC 3261 10.2.2), without Contacts
	Query     bool          // asks what is bound, and binds nothing (RFC 3261 10.2.3): EventRegistered is all that follows
	Retry     time.Duration // after a failure; 0: none
	Events    func(Event)
	Data      any
}

// Registration keeps bindings alive: it refreshes them before they expire, until it is removed.
type Registration struct {
	a        *Agent
	index    int
	opt      RegisterOptions
	alarm    alarm
	x        *exchange
	callID   string
	tag      string
	cseq     uint32
	expires  int // seconds, asked for
	removing bool
	done     bool
	active   bool
	all      bool
	tries    int
}

func (g *Registration) place() *int { return &g.index }

// Data is what the options had.
func (g *Registration) Data() any { return g.opt.Data }

// Active reports whether the bindings are there, as far as this side knows.
func (g *Registration) Active() bool { return g.active }

// Register makes bindings. EventRegistered and EventUnregistered tell what becomes of them.
func (a *Agent) Register(opt RegisterOptions) (*Registration, error) {
	if a.closing {
		return nil, ErrClosed
	}
	if err := opt.check(); err != nil {
		return nil, err
	}
	if _, ok := sip.ParseURI([]byte(opt.Registrar)); !ok {
		return nil, fmt.Errorf("register at %q: %w: no URI", opt.Registrar, ErrAddress)
	}
	a.tick()
	if opt.AOR == "" {
		opt.AOR = a.cfg.Identity
	}
	g := &Registration{
		a: a, opt: opt, callID: compose.CallID(a.rng, a.host), tag: compose.Tag(a.rng), expires: orInt(opt.Expires, 3600),
	}
	g.removing, g.all = opt.Remove || opt.RemoveAll, opt.RemoveAll
	g.alarm.own = g
	a.standing.add(g)
	g.send()
	return g, nil
}

// check looks at what cannot be asked for together.
func (o *RegisterOptions) check() error {
	switch {
	case o.Expires < 0:
		return fmt.Errorf("register for %d seconds: %w", o.Expires, ErrState)
	case (o.Query || o.RemoveAll) && len(o.Contacts) > 0:
		return fmt.Errorf("query or remove all bindings with contacts: %w", ErrState)
	case o.Query && (o.Remove || o.RemoveAll):
		return fmt.Errorf("query and remove bindings: %w", ErrState)
	}
	return nil
}

// send sends the next REGISTER: the same Call-ID, a higher CSeq (RFC 3261 10.2).
func (g *Registration) send() {
	a := g.a
	x := a.exchange(g, nil)
	g.x = x
	route := g.opt.Route
	if route == nil {
		route = a.cfg.Route
	}
	x.outside("REGISTER", g.opt.Registrar, route)
	g.cseq++
	x.req.From, x.req.To = g.opt.AOR+";tag="+g.tag, g.opt.AOR
	x.req.CallID, x.req.CSeq = g.callID, g.cseq
	expires := g.expires
	if g.removing {
		expires = 0
	}
	switch {
	case g.all:
		x.req.Headers = append(x.req.Headers, compose.Header{ID: sip.HeaderContact, Value: "*"})
	case len(g.opt.Contacts) == 0 && !g.opt.Query:
		x.contact = true
	}
	if !g.all {
		for _, v := range g.opt.Contacts {
			x.req.Headers = append(x.req.Headers, compose.Header{ID: sip.HeaderContact, Value: v})
		}
	}
	if !g.opt.Query {
		x.req.Headers = append(x.req.Headers, compose.Header{ID: sip.HeaderExpires, Value: strconv.Itoa(expires)})
	}
	x.req.Headers = append(x.req.Headers, g.opt.Headers...)
	x.start()
}

// Refresh sends REGISTER now.
func (g *Registration) Refresh() error {
	if g.x != nil || g.done || g.removing {
		return fmt.Errorf("refresh a registration: %w", ErrState)
	}
	g.send()
	return nil
}

// Remove takes the bindings away (RFC 3261 10.2.2); all: those of others too, by "*".
func (g *Registration) Remove(all bool) error {
	if g.done || g.removing || g.opt.Query {
		return fmt.Errorf("remove a registration: %w", ErrState)
	}
	g.removing, g.all = true, all
	g.a.alarms.drop(&g.alarm)
	if g.x == nil {
		g.send()
	}
	return nil
}

func (g *Registration) close() {
	if g.x == nil && !g.active {
		g.finish(&Event{})
		return
	}
	if g.opt.Query {
		return // its answer, or the want of one, ends it
	}
	_ = g.Remove(false) // it is being removed already
}

func (g *Registration) answered(x *exchange, r *received) {
	m := r.Msg
	if m.Status < 200 {
		return
	}
	g.cseq = x.req.CSeq
	x.finish()
	g.x = nil
	switch {
	case m.Status < 300 && g.opt.Query:
		g.end(&Event{Kind: EventRegistered, Status: int(m.Status), Msg: m, Remote: true})
	case m.Status < 300 && g.removing && removes(x):
		g.finish(&Event{Status: int(m.Status), Msg: m, Remote: true})
	case m.Status < 300:
		g.registered(m)
	case m.Status == 423 && m.MinExpires > int64(g.expires) && m.MinExpires < maxInterval && g.tries < 3:
		g.tries++ // RFC 3261 10.2.8
		g.expires = int(m.MinExpires)
		g.send()
	default:
		g.lost(&Event{Status: int(m.Status), Text: string(m.Reason.Of(m.Raw)), Msg: m, Remote: true})
	}
}

// removes reports whether a request had Expires: 0; removing may begin while an earlier one is on its way.
func removes(x *exchange) bool {
	return slices.ContainsFunc(x.req.Headers, func(h compose.Header) bool { return h.ID == sip.HeaderExpires && h.Value == "0" })
}

// registered is a 2xx: the registrar says how long the bindings live.
func (g *Registration) registered(m *sip.Message) {
	a := g.a
	g.active, g.tries = true, 0
	if g.removing {
		g.send()
		return
	}
	seconds := int64(g.expires)
	if m.Expires >= 0 {
		seconds = m.Expires
	}
	if v, ok := g.ownExpires(m); ok {
		seconds = v
	}
	seconds = min(max(seconds, 1), maxInterval)
	if !g.opt.Once {
		a.alarms.set(&g.alarm, 0, a.now+refreshAfter(seconds))
	}
	g.tell(&Event{Kind: EventRegistered, Status: int(m.Status), Expires: int(seconds), Msg: m, Remote: true})
}

// ownExpires is the shortest expires= of the own contacts in a 2xx, which lists all bindings (RFC 3261 10.2.4).
func (g *Registration) ownExpires(m *sip.Message) (least int64, ok bool) {
	own := g.opt.Contacts
	if len(own) == 0 {
		own = []string{g.a.contact.value}
	}
	uris := make([]string, len(own))
	for i, v := range own {
		uris[i] = routeURI(v)
	}
	for addr := range m.Addresses(sip.HeaderContact) {
		e := sip.ContactExpires(addr.Params.Of(m.Raw))
		if e < 0 || !slices.Contains(uris, string(addr.URI.Of(m.Raw))) {
			continue
		}
		if !ok || e < least {
			least, ok = e, true
		}
	}
	return least, ok
}

// refreshAfter is when to refresh what lives so many seconds: with a tenth to spare, at least enough for a lost request.
func refreshAfter(seconds int64) int64 {
	spare := max(seconds/10, min(5, seconds/2))
	return max((seconds-spare)*int64(time.Second), int64(time.Second)/2)
}

func (g *Registration) failed(x *exchange, err error) {
	x.finish()
	g.x = nil
	g.lost(&Event{Err: err})
}

// lost is a failure: tried again after a while when the options say so.
func (g *Registration) lost(e *Event) {
	if g.removing || g.opt.Retry <= 0 {
		g.finish(e)
		return
	}
	g.active = false
	g.a.alarms.set(&g.alarm, 0, g.a.now+int64(g.opt.Retry))
	e.Kind = EventUnregistered
	g.tell(e)
}

func (g *Registration) finish(e *Event) {
	e.Kind = EventUnregistered
	g.end(e)
}

// end forgets the registration, and tells the last of it.
func (g *Registration) end(e *Event) {
	g.done, g.active = true, false
	g.a.alarms.drop(&g.alarm)
	g.a.standing.remove(g)
	g.tell(e)
	g.a.settle()
}

func (g *Registration) tell(e *Event) {
	e.Registration, e.Method = g, "REGISTER"
	g.a.tell(g.opt.Events, e)
}

// fired is the time of a refresh, or of another try.
func (g *Registration) fired(int, int64) {
	if g.x == nil && !g.done {
		g.send()
	}
}

// tell gives an event to a listener, or to the agent's.
func (a *Agent) tell(f func(Event), e *Event) {
	if f == nil {
		a.emit(e)
		return
	}
	e.At = a.now
	f(*e)
}
