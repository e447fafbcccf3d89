// Package resolve finds where a SIP request is sent: the hops of a URI, in the order to try (RFC 3263; RFC 7118 for
// WebSocket).
//
//	URI ─▶ Target ─▶ plan (RFC 3263 4) ⇄ records: static Table, cache, DNS ─▶ hops
//
// The plan is a pure function of the target and the records that are known. It says which records it misses; these are
// asked for, all at once, and when they are there the plan is made again. So the rules stand in one place, without a
// callback in them, and do not know whether a record came from a flag, from the cache or from a server.
//
// Responses whose Via names a host go the same way (RFC 3263 5): ask for "sip:HOST:PORT;transport=PROTO", with the port only
// where sent-by has one.
//
// A Client belongs to the loop of its link: Resolve, Close and the calls of done happen there. Questions to servers run in
// goroutines of their own, a bounded number of them, that touch nothing of the Client and bring their answers by
// Config.Post. What comes from the network is hostile: the records of an answer, the aliases that are followed, the
// rounds, the questions and the hops of a resolution, and the cache are bounded. Domains take turns, and none has more than a
// quarter of the questions in flight: one whose servers are slow, by intent or not, does not stop the others.
package resolve

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"sipscope/element/transport"
)

// Errors that done gets; they are wrapped with the name that they are about.
var (
	// ErrURI says that a URI is no SIP or SIPS URI with a host.
	ErrURI = errors.New("no SIP or SIPS URI with a host")
	// ErrTransport says that the URI asks for a transport that is unknown, not supported, or not secure for sips.
	ErrTransport = errors.New("transport not supported")
	// ErrNotFound says that DNS and the table have no address.
	ErrNotFound = errors.New("not found")
	// ErrRefused says that a domain's SRV record has the target ".": it has no such service (RFC 2782).
	ErrRefused = errors.New("the domain offers no such service")
	// ErrServer says that the DNS servers answered with an error, or not in a readable way.
	ErrServer = errors.New("DNS server failed")
	// ErrTimeout says that no DNS server answered in time.
	ErrTimeout = errors.New("DNS timed out")
	// ErrNoDNS says that a name is not in the table, and there is no DNS server to ask.
	ErrNoDNS = errors.New("not in the table, and no DNS server to ask")
	// ErrBusy says that too many questions wait for DNS.
	ErrBusy = errors.New("too many DNS questions wait")
	// ErrLoop says that records lead to further records without end.
	ErrLoop = errors.New("DNS records without end")
	// ErrClosed says that the Client was closed.
	ErrClosed = errors.New("resolver closed")
)

// Bounds. 64 questions in flight and 2 s for each serve some thousand names a second from a local server; what waits
// behind them costs a few hundred bytes each.
const (
	maxFlights   = 64
	maxWaiting   = 4096
	domainFlies  = maxFlights / 4
	domainWaits  = maxWaiting / 4
	maxAtOnce    = 8 // questions of a resolution in flight: the addresses of four SRV targets
	maxRounds    = 8 // NAPTR, SRV, addresses: 3 are usual; with maxAtOnce, 64 questions a resolution
	maxSlow      = 2 // rounds in which DNS did not answer, before a resolution is given up
	maxRecords   = 32
	maxNAPTR     = 4  // that are followed
	maxTargets   = 16 // of SRV that are looked at
	maxHops      = 32
	maxAliases   = 8
	attempts     = 2
	defaultCache = 4096
	defaultTime  = 2 * time.Second
)

// Resolver says where requests for a URI go.
type Resolver interface {
	// Resolve finds the hops for a URI (of a Request-URI or the top Route, with or without angle brackets), in the order
	// to try (RFC 3263 4.3), at least one without error. done is called once, in the loop: before Resolve returns when no
	// DNS is needed. uri is not kept.
	Resolve(uri []byte, done func(hops []transport.Hop, err error))
}

// Families says which addresses hops have, and which come first.
type Families uint8

// Families; the zero value follows RFC 6724.
const (
	IPv6First Families = iota
	IPv4First
	IPv6Only
	IPv4Only
)

// Config says how names become hops.
type Config struct {
	// Table has records that override DNS; nil for none.
	Table *Table
	// Server is the DNS server, "192.0.2.53", "[2001:db8::53]:5353"; "" stands for those of /etc/resolv.conf, after
	// /etc/hosts, whose names are taken as those of Table are; "none" for no DNS at all.
	Server string
	// Post runs a function in the loop, from any goroutine (Endpoint.Post). Without it there is no DNS.
	Post func(func())
	// Now is the time, as Link.Now; the cache needs it. Without it nothing is cached.
	Now func() int64
	// Timeout is for one attempt at one server; 0 stands for 2 s. There are two attempts at each of at most three servers.
	Timeout time.Duration
	// Transports are those that the link has, the preferred one first: the order matters where a domain has no NAPTR
	// record. None stands for UDP, TCP, TLS, WS and WSS.
	Transports []transport.Proto
	// Families says which addresses to ask for.
	Families Families
	// Cache bounds the records kept, in sets; 0 stands for 4096.
	Cache int
	// Rand draws among SRV records by weight (RFC 2782).
	Rand *rand.Rand
}

// Stats counts what a Client did.
type Stats struct {
	Resolved, Failed uint64
	Questions        uint64 // sent to DNS, repetitions left out
	CacheHits        uint64
	Coalesced        uint64 // questions that waited for the answer to an equal one
	Evicted          uint64 // from the cache, to make room
	Cached           int    // now
	InFlight         int    // questions now
}

// Client is a Resolver by a Table and DNS.
type Client struct {
	cfg     Config
	servers []string        // nil until they are needed first
	hosts   Table           // of the system; read at the same time
	ctx     context.Context //nolint:containedctx // the life of the questions in flight, which Close ends
	cancel  context.CancelFunc
	closed  bool

	cache   cache
	flights flights
	pending map[*resolution]struct{}
	stats   Stats
}

var _ Resolver = (*Client)(nil)

// resolution is one call of Resolve that needs DNS.
type resolution struct {
	target Target
	done   func([]transport.Hop, error)
	key    uint64
	keyed  bool
	known  map[question]answer // kept for this resolution, even when its TTL is 0
	open   int                 // questions that are not answered yet
	rounds int
	silent bool // DNS did not answer in time in this round
	slow   int  // rounds of which silent was true
}

// New makes a Client. It asks nobody until it must.
func New(cfg Config) *Client {
	if len(cfg.Transports) == 0 {
		cfg.Transports = []transport.Proto{transport.UDP, transport.TCP, transport.TLS, transport.WS, transport.WSS}
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = defaultTime
	}
	if cfg.Cache <= 0 {
		cfg.Cache = defaultCache
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the order among equals is no secret
	}
	if cfg.Table == nil {
		cfg.Table = &Table{}
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Client{
		cfg: cfg, ctx: ctx, cancel: cancel,
		cache:   cache{limit: cfg.Cache, entries: make(map[question]answer)},
		pending: make(map[*resolution]struct{}),
	}
}

// Resolve finds the hops of a URI: see Resolver.
func (c *Client) Resolve(uri []byte, done func(hops []transport.Hop, err error)) {
	target, err := c.target(uri)
	if err != nil {
		c.finish(done, nil, err)
		return
	}
	key := uint64(0)
	if !target.Addr.IsValid() {
		key = c.cfg.Rand.Uint64()
	}
	c.start(target, key, false, done)
}

// ResolveKeyed is Resolve with an order among SRV records and addresses that depends on them and on key alone, neither on
// what is in the cache nor on the order in which DNS sends them. A stateless proxy gives a hash of what identifies the
// transaction, so that a retransmission goes where the request went (RFC 3263 4.4).
func (c *Client) ResolveKeyed(uri []byte, key uint64, done func(hops []transport.Hop, err error)) {
	target, err := c.target(uri)
	if err != nil {
		c.finish(done, nil, err)
		return
	}
	c.start(target, key, true, done)
}

func (c *Client) target(uri []byte) (Target, error) {
	target, err := ParseTarget(uri)
	if err == nil && c.closed {
		err = fmt.Errorf("%s: %w", target.Host, ErrClosed)
	}
	return target, err
}

func (c *Client) start(target Target, key uint64, keyed bool, done func([]transport.Hop, error)) {
	if target.Addr.IsValid() { // most of a load: without the state of a resolution
		p := plan{target: target, transports: c.cfg.Transports}
		hops, err := p.make()
		c.finish(done, hops, err)
		return
	}
	c.advance(&resolution{target: target, key: key, keyed: keyed, done: done})
}

// Close ends all questions. Whoever waits for hops gets ErrClosed before it returns.
func (c *Client) Close() {
	c.closed = true
	c.cancel()
	c.flights.close()
	for r := range c.pending {
		delete(c.pending, r)
		c.finish(r.done, nil, fmt.Errorf("%s: %w", r.target.Host, ErrClosed))
	}
}

// Stats gives what was done so far.
func (c *Client) Stats() Stats {
	s := c.stats
	s.Cached, s.InFlight = len(c.cache.entries), len(c.flights.byQuestion)
	return s
}

func (c *Client) finish(done func([]transport.Hop, error), hops []transport.Hop, err error) {
	if err != nil {
		c.stats.Failed++
	} else {
		c.stats.Resolved++
	}
	done(hops, err)
}

// advance makes the plan, and asks for what it misses.
func (c *Client) advance(r *resolution) {
	for {
		p := plan{
			target: r.target, transports: c.cfg.Transports, families: c.cfg.Families, key: r.key, keyed: r.keyed,
			ask: func(q question) (answer, bool) { return c.know(r, q) },
		}
		hops, err := p.make()
		if len(p.missing) == 0 {
			c.end(r, hops, err)
			return
		}
		if r.silent {
			r.silent = false
			r.slow++
		}
		switch r.rounds++; {
		case len(hops) > 0 && (r.slow > 0 || r.rounds > maxRounds): // they are enough to begin with
			c.end(r, hops, nil)
			return
		case r.slow >= maxSlow:
			c.end(r, nil, err)
			return
		case r.rounds > maxRounds:
			c.end(r, nil, fmt.Errorf("%s: %w", r.target.Host, ErrLoop))
			return
		}
		if r.known == nil {
			r.known = make(map[question]answer)
		}
		c.pending[r] = struct{}{}
		for _, q := range p.missing {
			c.want(r, q)
		}
		if r.open > 0 {
			return
		}
	}
}

func (c *Client) end(r *resolution, hops []transport.Hop, err error) {
	delete(c.pending, r)
	c.finish(r.done, hops, err)
}

// know gives the answer to a question without asking anybody.
func (c *Client) know(r *resolution, q question) (answer, bool) {
	if a, ok := c.cfg.Table.answer(q); ok {
		return a, true
	}
	if a, ok := c.hosts.answer(q); ok {
		return a, true
	}
	if a, ok := r.known[q]; ok {
		return a, true
	}
	if c.cfg.Now == nil {
		return answer{}, false
	}
	a, ok := c.cache.get(q, c.cfg.Now())
	if ok {
		c.stats.CacheHits++
	}
	return a, ok
}

// want has r wait for the answer to q, or know an error when it cannot be asked.
func (c *Client) want(r *resolution, q question) {
	if c.servers == nil {
		c.servers = servers(&c.cfg)
		if c.cfg.Server == "" && c.cfg.Post != nil {
			c.readHosts(hostsFile)
		}
	}
	if a, ok := c.hosts.answer(q); ok { // it was read just now
		r.known[q] = a
		return
	}
	if len(c.servers) == 0 {
		r.known[q] = answer{err: ErrNoDNS}
		return
	}
	known, ok := c.flights.join(r, q)
	if known {
		c.stats.Coalesced++
	}
	if !ok {
		r.known[q] = answer{err: ErrBusy}
		return
	}
	r.open++
	c.launch()
}

// readHosts reads the names of the system, as far as they can be read.
func (c *Client) readHosts(path string) {
	f, err := os.Open(path)
	if err != nil {
		return // a system without one
	}
	defer f.Close()
	_ = c.hosts.ReadHosts(io.LimitReader(f, maxHosts)) // what comes before an error counts, as everywhere
}

// launch starts the questions whose turn it is.
func (c *Client) launch() {
	for {
		q, ok := c.flights.next()
		if !ok {
			return
		}
		c.stats.Questions++
		a := asker{servers: c.servers, timeout: c.cfg.Timeout}
		ctx, post := c.ctx, c.cfg.Post
		go func() {
			// It ends when the servers have answered, the attempts are used up, or Close is called.
			got := a.ask(ctx, q)
			post(func() { c.answered(q, got) }) //nolint:contextcheck // its context is the Client's, too
		}()
	}
}

// answered brings the answer to a question to those who wait.
func (c *Client) answered(q question, a answer) {
	if c.closed {
		return
	}
	waiters := c.flights.land(q)
	if c.cfg.Now != nil && a.ttl > 0 {
		c.stats.Evicted += c.cache.put(q, a, c.cfg.Now())
	}
	c.launch()
	for _, r := range waiters {
		if _, waits := c.pending[r]; !waits {
			continue
		}
		r.known[q] = a
		r.silent = r.silent || errors.Is(a.err, ErrTimeout)
		if r.open--; r.open == 0 {
			c.advance(r)
		}
	}
}

// normal is a name as the table and the cache have it: in lower case, without the dot at the end.
func normal(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
