package ua

import (
	"errors"
	"fmt"
	"slices"

	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/transport"
	"sipscope/element/txn"
)

// maxChallenges is how often one request is sent again with credentials: once for each of several proxies, and again for
// a stale nonce. The digest client itself stops where one nonce is refused twice.
const maxChallenges = 4

// owner is told what becomes of a request.
type owner interface {
	// answered is given each response that the exchange does not deal with itself.
	answered(x *exchange, r *transport.Received)
	// failed says that no response will come: err is txn.ErrTimeout, or says why it could not be sent.
	failed(x *exchange, err error)
}

// exchange is one request that the agent sends, with what it takes to get an answer: the next hops in their order
// (RFC 3263 4.3) and the challenges (RFC 3261 22.2, 22.3), each a transaction of its own.
type exchange struct {
	a       *Agent
	owner   owner
	leg     *leg            // the dialog that it is sent in; nil: none
	req     compose.Request // Headers without Contact, credentials and those of the configuration
	next    string          // URI whose host is the next hop
	named   bool            // this side chose the next hop: see wallet
	sips    bool            // goes by TLS or not at all
	back    bool            // goes to where the dialog's messages came from
	contact bool            // has a Contact

	hops   []transport.Hop
	hop    int
	id     txn.ID // the transaction that counts; 0: none yet
	data   uint64 // of id
	serial uint64 // tells one use of an exchange from the next
	begun  int64  // ns, when the first was sent
	raw    []byte
	body   []byte // what req.Body may point to
	late   *Call  // makes its offer once the next hop is known
	creds  []compose.Header
	fresh  bool // creds answer a challenge, and are for the next transaction
	tries  int  // challenges answered
	done   bool
}

// slot is what the data of a transaction leads to: its exchange, or the call whose INVITE it is.
type slot struct {
	x    *exchange
	call *Call
	gen  uint32
	late late
}

// bind gives the data for a transaction of x or call.
func (a *Agent) bind(x *exchange, c *Call) uint64 {
	if len(a.free) == 0 {
		a.slots = append(a.slots, slot{})
		a.free = append(a.free, uint32(len(a.slots)-1)) //nolint:gosec // G115: bounded by Limits.
	}
	i := a.free[len(a.free)-1]
	a.free = a.free[:len(a.free)-1]
	s := &a.slots[i]
	s.x, s.call = x, c
	return uint64(s.gen)<<32 | uint64(i) + 1
}

// bound finds what data stands for; nil when it is gone.
func (a *Agent) bound(data uint64) *slot {
	i := uint32(data) - 1 //nolint:gosec // G115: the low half is the index.
	if data == 0 || int64(i) >= int64(len(a.slots)) || a.slots[i].gen != uint32(data>>32) {
		return nil
	}
	return &a.slots[i]
}

func (a *Agent) unbind(data uint64) {
	if s := a.bound(data); s != nil {
		s.x, s.call, s.late = nil, nil, 0
		s.gen++
		a.free = append(a.free, uint32(data)-1) //nolint:gosec // G115: the low half is the index.
	}
}

// exchange makes a request that is to be completed and given to start.
func (a *Agent) exchange(o owner, l *leg) *exchange {
	a.tick()
	a.serial++
	if n := len(a.spare); n > 0 {
		x := a.spare[n-1]
		a.spare = a.spare[:n-1]
		*x = exchange{
			a: a, owner: o, leg: l, serial: a.serial, hops: x.hops[:0], raw: x.raw[:0], body: x.body[:0],
			req: compose.Request{Headers: x.req.Headers[:0]},
		}
		return x
	}
	return &exchange{a: a, owner: o, leg: l, serial: a.serial}
}

// spareExchanges is how many are kept for use again.
const spareExchanges = 1024

// finish says that nobody waits for x any more: what its transaction still receives is stray.
func (x *exchange) finish() {
	if x.done {
		return
	}
	a := x.a
	x.detach()
	x.done = true
	x.owner, x.leg = nil, nil
	a.requests--
	if len(a.spare) < spareExchanges {
		a.spare = append(a.spare, x)
	}
}

// detach leaves the transaction to itself. Its slot stays until the layer has ended it.
func (x *exchange) detach() {
	if s := x.a.bound(x.data); s != nil {
		s.x = nil
	}
	x.id, x.data = 0, 0
}

// outside completes a request outside of dialogs (RFC 3261 8.1.1): to is the Request-URI, route the preloaded route set.
func (x *exchange) outside(method, to string, route []string) {
	x.req.Method, x.req.URI, x.req.Route = method, to, route
	x.next, x.named, x.sips = to, true, isSips(to)
	if len(route) == 0 {
		return
	}
	first := routeURI(route[0])
	x.next = first
	if x.sips {
		x.next = sipsURI(first)
	}
	if !looseRoute(first) { // RFC 3261 12.2.1.1: a strict router wants to find itself in the Request-URI
		x.req.Route = append(slices.Clone(route[1:]), "<"+to+">")
		x.req.URI = first
	}
}

// start sends the request. Its owner hears of everything later, never before start returns.
func (x *exchange) start() {
	a := x.a
	a.requests++
	x.begun = a.now
	if a.requests > a.cfg.Limits.Requests {
		a.stats.Limited++
		x.failSoon(ErrLimit)
		return
	}
	x.resolve()
}

// resolve finds the next hops and sends.
func (x *exchange) resolve() {
	a := x.a
	x.hops, x.hop = x.hops[:0], 0
	if x.leg != nil && (x.back || x.leg.flow()) {
		x.hops = append(x.hops, x.leg.hop)
		x.transmit()
		return
	}
	if hop, ok := a.directHop(x.next); ok {
		x.hops = append(x.hops, hop)
		x.fallback()
		x.transmit()
		return
	}
	if a.cfg.Resolver == nil {
		x.failSoon(fmt.Errorf("%w for %q: it is no address", ErrNoHop, x.next))
		return
	}
	// The answer may come at once, or when x is no longer wanted and another request uses its place.
	serial, inCall := x.serial, true
	a.cfg.Resolver.Resolve([]byte(x.next), func(hops []transport.Hop, err error) {
		switch {
		case x.done || x.serial != serial || x.cancelled():
		case err == nil && len(hops) > 0:
			x.hops = append(x.hops, hops...)
			x.fallback()
			x.transmit()
		case inCall:
			x.failSoon(noHop(x.next, err))
		default:
			x.fail(noHop(x.next, err))
		}
	})
	inCall = false
}

func noHop(uri string, err error) error {
	if err == nil {
		return fmt.Errorf("%w for %q", ErrNoHop, uri)
	}
	return fmt.Errorf("%w for %q: %w", ErrNoHop, uri, err)
}

// fallback adds the connection that the dialog's messages came on, for a peer whose Contact cannot be reached; and takes
// it at once where it leads to the same place.
func (x *exchange) fallback() {
	l := x.leg
	if l == nil || !l.hop.Proto.Reliable() || l.hop.Conn == 0 {
		return
	}
	for i := range x.hops {
		x.hops[i] = l.open(x.hops[i])
	}
	x.hops = append(x.hops, l.hop)
}

// transmit sends x to the current hop in a new transaction, and to further ones where that is not possible.
func (x *exchange) transmit() {
	a := x.a
	err := ErrNoHop
	x.detach()
	for ; x.hop < len(x.hops); x.hop++ {
		if err = x.allow(x.hops[x.hop]); err != nil {
			continue
		}
		if err = x.write(x.hops[x.hop]); err != nil {
			continue
		}
		data := a.bind(x, nil)
		var id txn.ID
		if id, err = a.layer.Send(x.hops[x.hop], x.raw, data); err == nil {
			x.id, x.data = id, data
			return
		}
		a.unbind(data)
	}
	x.failSoon(err)
}

// write makes the text for a hop.
func (x *exchange) write(hop transport.Hop) error {
	a := x.a
	addr, err := a.link.SentBy(hop)
	if err != nil {
		return fmt.Errorf("address towards %v: %w", hop.Remote, err)
	}
	if x.late != nil {
		if err = x.late.offerAt(x, hop); err != nil {
			return err
		}
	}
	x.authorize(hop)
	req := &x.req
	own := len(req.Headers)
	if x.contact {
		req.Headers = append(req.Headers, compose.Header{ID: sip.HeaderContact, Value: a.contactFor(hop.Proto, addr, x.secure())})
	}
	req.Headers = append(req.Headers, x.creds...)
	req.Headers = append(req.Headers, a.cfg.Headers...)
	if a.cfg.Server != "" {
		req.Headers = append(req.Headers, compose.Header{ID: sip.HeaderUserAgent, Value: a.cfg.Server})
	}
	req.Via = compose.Via{Proto: hop.Proto.String(), SentBy: addr, Branch: compose.Branch(a.rng), RPort: hop.Proto == transport.UDP}
	req.Style = a.cfg.Style
	x.raw, err = req.Append(x.raw[:0])
	req.Headers = req.Headers[:own]
	return err
}

// authorize gives x the credentials for a hop: those that answer its challenge, else those that need not be asked for.
// They are made last: auth-int is about the body.
func (x *exchange) authorize(hop transport.Hop) {
	if x.fresh {
		x.fresh = false
		return
	}
	x.creds = nil
	if client := x.a.wallet.client(hop, x.named); client != nil {
		x.creds = client.Preempt(x.req.Method, x.req.URI, x.req.Body)
	}
}

// secure reports whether the Contact must be a sips URI (RFC 3261 8.1.1.8, 12.1.1).
func (x *exchange) secure() bool {
	return isSips(x.req.URI) || (len(x.req.Route) > 0 && isSips(routeURI(x.req.Route[0])))
}

// failSoon fails x from the loop, for a start that its caller has not returned from.
func (x *exchange) failSoon(err error) {
	serial := x.serial
	x.a.At(x.a.now, func(int64) {
		if x.serial == serial && !x.done {
			x.fail(err)
		}
	})
}

// fail ends x without an answer.
func (x *exchange) fail(err error) {
	o := x.owner
	if x.done || o == nil {
		return
	}
	o.failed(x, err)
}

// again sends x as a new transaction with the next number of CSeq.
func (x *exchange) again() {
	if x.leg != nil {
		x.leg.dlg.LocalSeq++
		x.req.CSeq = x.leg.dlg.LocalSeq
	} else {
		x.req.CSeq++
	}
	x.hop = min(x.hop, max(len(x.hops)-1, 0))
	x.transmit()
}

// challenge answers a 401 or 407 (RFC 3261 22.2, 22.3). It reports false when that is not possible.
func (x *exchange) challenge(m *sip.Message) bool {
	if x.tries >= maxChallenges || x.hop >= len(x.hops) {
		return false
	}
	client := x.a.wallet.client(x.hops[x.hop], x.named)
	if client == nil {
		return false
	}
	headers, err := client.Answer(m, x.req.Method, x.req.URI, x.req.Body)
	if err != nil || len(headers) == 0 {
		return false
	}
	x.tries++
	x.a.stats.Challenged++
	x.creds, x.fresh = headers, true
	x.again()
	return true
}

// failover tries the next hop, where the last one refused or did not answer (RFC 3263 4.3).
func (x *exchange) failover() bool {
	if x.hop+1 >= len(x.hops) {
		return false
	}
	x.hop++
	x.transmit()
	return true
}

// Response is a transaction user's: see txn.User.
func (a *Agent) Response(id txn.ID, data uint64, r *transport.Received) {
	s := a.bound(data)
	if id == 0 || s == nil || s.x == nil {
		if id == 0 || s == nil || !a.lateFork(s, r) {
			a.stray(r)
		}
		return
	}
	x, m := s.x, r.Msg
	if x.id != id || x.owner == nil {
		a.stray(r)
		return
	}
	x.info(m)
	switch {
	case x.cancelled(): // whatever it is, no further request is sent
	case (m.Status == 401 || m.Status == 407) && x.challenge(m):
		return
	case m.Status == 503 && x.failover():
		return
	}
	x.owner.answered(x, r)
}

// info takes from the answer to a request with credentials the nonce of the next one (RFC 7616 3.5).
func (x *exchange) info(m *sip.Message) {
	if len(x.creds) == 0 || m.Status < 200 || x.hop >= len(x.hops) {
		return
	}
	if client := x.a.wallet.client(x.hops[x.hop], false); client != nil {
		_ = client.Info(m, x.req.URI) // a server that does not prove itself has its nextnonce ignored
	}
}

// cancelled reports whether x is the INVITE of a call that was given up.
func (x *exchange) cancelled() bool {
	c, ok := x.owner.(*Call)
	return ok && c.cancelled
}

// Failed is a transaction user's: see txn.User.
func (a *Agent) Failed(id txn.ID, data uint64, err error) {
	s := a.bound(data)
	switch {
	case s == nil:
	case s.call != nil:
		s.call.serverFailed(err)
	case s.x == nil || s.x.id != id || s.x.done:
	case s.x.canFailOver(err) && s.x.failover():
	default:
		s.x.fail(err)
	}
}

// canFailOver reports whether another hop may be tried: not after the server there has given a sign of life, which only
// the owner of an INVITE knows, and not for a CANCEL that nobody answered.
func (x *exchange) canFailOver(err error) bool {
	c, ok := x.owner.(*Call)
	return !errors.Is(err, txn.ErrLimit) && (!ok || (!c.cancelled && c.state == StateCalling))
}

// Ended is a transaction user's: see txn.User.
func (a *Agent) Ended(_ txn.ID, data uint64) {
	s := a.bound(data)
	if s == nil {
		return
	}
	x, c := s.x, s.call
	a.unbind(data)
	if x != nil {
		x.id, x.data = 0, 0
		if own, ok := x.owner.(*Call); ok {
			own.settled(x)
		}
	}
	if c != nil {
		c.serverEnded()
	}
	a.settle()
}
