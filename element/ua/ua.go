// Package ua is the core of a SIP user agent, client and server (RFC 3261 8, 13): calls with offer and answer (3264), early
// dialogs, reliable provisional responses (3262), UPDATE (3311), session timers (4028), REFER (3515), Replaces (3891),
// registrations, MESSAGE (3428), OPTIONS, INFO, subscriptions of both sides (6665) and PUBLISH (3903), with digest
// authentication and failover between next hops.
//
//	link → Agent.Handler → txn.Layer → Agent (dialogs found by Call-ID and tags) → Call, Subscription, Registration …
//	                                        ↑ timers                                 ↓ Events
//
// It keeps to one audio stream in its session descriptions (G.711 and telephone-event), takes no part in routing for
// others, and knows no users beyond itself: those are packages media, proxy and registrar. Package ua/load makes many
// calls with an Agent.
//
// An Agent is a state machine that the goroutine of its link owns: every method, and every event, runs there. It has no
// goroutine, no lock, no socket and no clock; time comes from the link, randomness from the configuration.
package ua

import (
	"errors"
	"hash/maphash"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"sipscope/decode/sdp"
	"sipscope/decode/sip"
	"sipscope/element/auth"
	"sipscope/element/compose"
	"sipscope/element/resolve"
	"sipscope/element/transport"
	"sipscope/element/txn"
)

// Errors of methods.
var (
	// ErrState says that a call, subscription or registration is in no state for what was asked.
	ErrState = errors.New("not possible in this state")
	// ErrLimit says that a limit of the agent is reached.
	ErrLimit = errors.New("limit of the user agent reached")
	// ErrClosed says that the agent was closed.
	ErrClosed = errors.New("user agent closed")
	// ErrAddress says that a URI or an address cannot be used.
	ErrAddress = errors.New("unusable address")
	// ErrNoHop says that no next hop is known.
	ErrNoHop = errors.New("no next hop")
)

// Policy says how an extension is used.
type Policy uint8

// Policies.
const (
	Supported Policy = iota // used when the other side asks for it or needs it
	Required                // asked for
	Off
)

// Limits bound what others can make an agent keep. A zero stands for the value in brackets.
type Limits struct {
	Calls         int // at a time, both directions; a further INVITE gets 486 [100,000]
	Forks         int // early dialogs of one call; further ones are ignored until they answer [16]
	Subscriptions int // both roles; a further SUBSCRIBE or REFER gets 503 with Retry-After [100,000]
	Requests      int // own requests that wait for an answer [1,000,000]
	// Ring is how long a call may wait for its answer, in either direction: nothing waits for ever [5 min].
	Ring time.Duration
}

// Config is what an Agent is made of.
type Config struct {
	Link     transport.Link
	Txn      txn.Config // Rand and Server are taken from below when they are not set
	Rand     *rand.Rand
	Resolver resolve.Resolver // of host names; nil: only addresses can be called

	Identity string   // own address of record as a From value without tag: `"Alice" <sip:alice@a.com>`
	User     string   // user part of the Contact; "" that of Identity
	Route    []string // Route values of requests outside dialogs: the outbound proxy (RFC 3261 8.1.2)

	Credentials []auth.Credentials
	Auth        *auth.Server // challenges incoming requests but ACK and CANCEL; nil: nobody is challenged

	Server  string           // User-Agent and Server value; "" none
	Style   sip.Style        // of requests
	Headers []compose.Header // added to every request

	Events func(Event) // told what happens; a call with Events of its own tells those instead

	Answer   Answer                 // what incoming calls get
	Incoming func(c *Call) *Answer  // chooses another behaviour for one call; nil, or a nil result: Answer
	Users    func(user string) bool // the users that are here, others get 404; nil: all

	Reliable   Policy // provisional responses (RFC 3262)
	SessionSec int    // Session-Expires to ask for, seconds (RFC 4028); 0: none is asked for
	MinSE      int    // seconds, at least 90; shorter ones get 422; 0: 90
	Refer      bool   // act on REFER; else 603
	Packages   []Package
	MaxBody    int // bytes; a longer body gets 413; 0: 64 KiB

	// Recycle uses Calls again after their EventEnded, for load: nobody may keep one.
	Recycle bool

	Media  Media // sound; nil: descriptions are exchanged, nothing is sent
	Limits Limits
}

// Stats are figures since the start, and what is open now.
type Stats struct {
	Calls, Subscriptions, Requests int // now
	CallsOut, CallsIn, Answered    uint64
	Ended                          [Causes]uint64 // calls by cause
	Retransmitted2xx               uint64         // sent again for want of an ACK
	Forks                          uint64         // second 2xx that were ended (RFC 3261 13.2.2.4)
	Refused                        uint64         // requests answered with 4xx to 6xx by this core's own rules
	Limited                        uint64         // refused by Limits
	Challenged                     uint64         // 401 and 407 that were answered
}

// Agent is a user agent. See the package comment for who may call it.
type Agent struct {
	cfg   Config
	link  transport.Link
	layer *txn.Layer
	rng   *rand.Rand
	now   int64
	t1    int64
	t2    int64
	t4    int64
	seed  maphash.Seed

	alarms    alarms
	dialogs   map[uint64]*leg // by Call-ID and local tag; a chain
	slots     []slot          // what the data of a transaction points to
	free      []uint32        // unused slots
	spare     []*exchange
	wallet    wallet
	watchers  map[string][]*Watcher // by event package
	standing  set[closer]           // registrations, subscriptions and watchers, which Close removes
	calls     set[*Call]
	serial    uint64
	subs      int
	requests  int
	stats     Stats
	closing   bool
	idle      bool
	nextCall  uint64
	contact   contactCache
	buf       []byte // scratch of a URI
	out       []byte // the response that was sent last
	body      []byte // scratch of a session description
	headers   []compose.Header
	sdp       sdp.Session
	scratch   sip.Message // of a request of our own, or one that the layer keeps
	bufs      [][]byte    // spare texts
	oldCalls  []*Call     // to be used again, with Config.Recycle
	oldLegs   []*leg
	allow     string
	supported string
	accepts   string
	host      string // of Call-IDs
}

// New makes an agent and its transaction layer. Its Handler is for the link to drive.
func New(cfg Config) *Agent {
	if cfg.Txn.Rand == nil {
		cfg.Txn.Rand = cfg.Rand
	}
	if cfg.Txn.Server == "" {
		cfg.Txn.Server = cfg.Server
	}
	a := &Agent{
		cfg: cfg, link: cfg.Link, rng: cfg.Rand, seed: maphash.MakeSeed(),
		dialogs: map[uint64]*leg{}, watchers: map[string][]*Watcher{},
		t1:  or64(cfg.Txn.T1, int64(500*time.Millisecond)),
		t2:  or64(cfg.Txn.T2, int64(4*time.Second)),
		t4:  or64(cfg.Txn.T4, int64(5*time.Second)),
		now: cfg.Link.Now(),
	}
	a.defaults()
	a.wallet = wallet{credentials: cfg.Credentials, rand: cfg.Rand, clients: map[netip.AddrPort]*auth.Client{}}
	a.layer = txn.New(cfg.Link, a, cfg.Txn)
	return a
}

func (a *Agent) defaults() {
	l := &a.cfg.Limits
	l.Calls = orInt(l.Calls, 100_000)
	l.Forks = orInt(l.Forks, 16)
	l.Subscriptions = orInt(l.Subscriptions, 100_000)
	l.Requests = orInt(l.Requests, 1_000_000)
	if l.Ring <= 0 {
		l.Ring = 5 * time.Minute
	}
	a.cfg.MaxBody = orInt(a.cfg.MaxBody, 64<<10)
	a.cfg.MinSE = max(a.cfg.MinSE, 90) // RFC 4028 5
	if a.cfg.Identity == "" {
		a.cfg.Identity = "<sip:anonymous@anonymous.invalid>" // RFC 3261 8.1.1.3
	}
	id := sip.ParseAddress([]byte(a.cfg.Identity))
	if a.cfg.User == "" {
		a.cfg.User = string(id.User.Of([]byte(a.cfg.Identity)))
	}
	a.host = string(id.Host.Of([]byte(a.cfg.Identity)))
	a.allow = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, MESSAGE, UPDATE, NOTIFY, REFER"
	a.supported = "replaces, timer"
	if a.cfg.Reliable != Off {
		a.allow += ", PRACK"
		a.supported = "100rel, " + a.supported
	}
	if len(a.cfg.Packages) > 0 {
		a.allow += ", SUBSCRIBE"
	}
	a.accepts = "application/sdp, application/dtmf-relay, message/sipfrag, text/plain"
}

func or64(v, def int64) int64 {
	if v > 0 {
		return v
	}
	return def
}

func orInt(v, def int) int {
	if v > 0 {
		return v
	}
	return def
}

// Layer is the transaction layer below the agent.
func (a *Agent) Layer() *txn.Layer { return a.layer }

// Now is the time that the agent has reached.
func (a *Agent) Now() int64 { return a.now }

// Stats gives the figures.
func (a *Agent) Stats() Stats {
	s := a.stats
	s.Calls, s.Subscriptions, s.Requests = len(a.calls.all), a.subs, a.requests
	return s
}

// tick takes the time of the link: who calls a method does so some time after the agent was last awake.
func (a *Agent) tick() { a.now = max(a.now, a.link.Now()) }

// At calls f in the agent's loop when the time has come.
func (a *Agent) At(at int64, f func(now int64)) {
	t := &funcAlarm{f: f}
	t.alarm.own = t
	a.alarms.set(&t.alarm, 0, max(at, 1))
}

// Handler is what the link drives.
func (a *Agent) Handler() transport.Handler { return handler{a} }

// handler puts the agent's timers beside those of its transactions.
type handler struct{ a *Agent }

// Receive is transport.Handler's. A response with several Vias was misrouted (RFC 3261 8.1.3.3): its transaction must not
// see it either, or its user would wait for ever.
func (h handler) Receive(r *transport.Received) {
	if !r.Msg.Request && r.Msg.Vias > 1 {
		return
	}
	h.a.now = h.a.link.Now()
	h.a.layer.Receive(r)
}

// Failed is transport.Handler's.
func (h handler) Failed(hop transport.Hop, tag uint64, err error) {
	h.a.now = h.a.link.Now()
	h.a.layer.Failed(hop, tag, err)
}

// Wake is transport.Handler's.
func (h handler) Wake(now int64) int64 {
	h.a.now = now
	h.a.alarms.fire(now)
	next := h.a.layer.Wake(now)
	if h.a.cfg.Media != nil {
		next = min(next, h.a.cfg.Media.Wake(now))
	}
	return min(next, h.a.alarms.next())
}

// Close ends what is open: calls by CANCEL, BYE or a refusal, registrations, subscriptions and publications by removing
// them. EventIdle tells when nothing is left; what others do not answer is given up by its timers.
func (a *Agent) Close() {
	if a.closing {
		return
	}
	a.tick()
	a.closing = true
	for _, c := range slices.Clone(a.calls.all) {
		_ = c.Hangup() // a call that is ending already goes on ending
	}
	for _, s := range slices.Clone(a.standing.all) {
		s.close()
	}
	a.settle()
}

// closer is what Close ends.
type closer interface {
	place() *int
	close()
}

// placed is what a set holds: place is where the set notes its position, from 1 on.
type placed interface{ place() *int }

// set is a set that is walked in an order that depends on nothing but what was done to it.
type set[T placed] struct{ all []T }

func (s *set[T]) add(v T) {
	if p := v.place(); *p == 0 {
		s.all = append(s.all, v)
		*p = len(s.all)
	}
}

func (s *set[T]) remove(v T) {
	p := v.place()
	if *p == 0 {
		return
	}
	last := len(s.all) - 1
	s.all[*p-1] = s.all[last]
	*s.all[last].place() = *p
	*p = 0
	var zero T
	s.all[last] = zero
	s.all = s.all[:last]
}

// settle tells, once, that a closed agent has nothing left.
func (a *Agent) settle() {
	if !a.closing || a.idle || len(a.calls.all) > 0 || len(a.standing.all) > 0 || a.requests > 0 {
		return
	}
	a.idle = true
	a.emit(&Event{Kind: EventIdle})
}

// Idle reports whether a closed agent has nothing left.
func (a *Agent) Idle() bool { return a.idle }

// contactCache keeps the Contact of the hop that was used last.
type contactCache struct {
	proto transport.Proto
	addr  netip.AddrPort
	value string
}

// contactFor is the own Contact value towards a hop, with the address addr that the link gives for it.
func (a *Agent) contactFor(proto transport.Proto, addr netip.AddrPort, secure bool) string {
	c := &a.contact
	if c.value != "" && c.proto == proto && c.addr == addr && !secure {
		return c.value
	}
	value := contactValue(a.cfg.User, proto, addr, secure)
	if !secure {
		*c = contactCache{proto: proto, addr: addr, value: value}
	}
	return value
}

// contactValue writes a Contact (RFC 3261 20.10) whose URI leads to addr by proto.
func contactValue(user string, proto transport.Proto, addr netip.AddrPort, secure bool) string {
	b := make([]byte, 0, 96)
	b = append(b, "<sip"...)
	if secure {
		b = append(b, 's')
	}
	b = append(b, ':')
	if user != "" {
		b = append(append(b, user...), '@')
	}
	b = addr.AppendTo(b)
	switch {
	case secure && proto == transport.WSS:
		b = append(b, ";transport=ws"...) // RFC 7118 5.3: sips and ws is wss
	case secure || proto == transport.UDP:
	case proto == transport.TLS:
		b = append(b, ";transport=tls"...)
	case proto == transport.WS || proto == transport.WSS:
		b = append(b, ";transport=ws"...)
	default:
		b = append(b, ";transport=tcp"...)
	}
	return string(append(b, '>'))
}
