package proxy

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"sipscope/decode/sip"
	"sipscope/element/auth"
	"sipscope/element/transport"
)

// ErrConfig says that a configuration cannot be used.
var ErrConfig = errors.New("proxy configuration")

// Target is one place where a request may go (RFC 3261 16.5).
type Target struct {
	URI  string        // becomes the Request-URI
	Q    int           // preference in thousandths, 0 to 1000 (RFC 3261 20.10); targets of one q are tried at once
	Path []string      // Route values towards it, in order (RFC 3327 5.3), each with its angle brackets
	Hop  transport.Hop // where it is reached whatever the URI says, such as an open connection; zero: see Resolver
}

// Locator is a location service. aor is canonical: "sip:user@host" with the host in lower case, without parameters and
// port. The targets come best first. known says that the domain has this user, who may have no target now (480, not
// 404). It is called in the loop and must not block.
type Locator interface {
	Lookup(aor string, now int64) (targets []Target, known bool)
}

// Resolver finds the hops of a URI, in the order to try (RFC 3263). done is called once, in the loop: during the call
// when no DNS is needed, else later. uri is valid during the call.
type Resolver interface {
	Resolve(uri []byte, done func(hops []transport.Hop, err error))
}

// KeyedResolver is a Resolver that a stateless proxy asks so that the answer is the same for all messages of one transaction
// (RFC 3261 16.11, RFC 3263 4.4): for equal keys the same order, which depends on nothing but the records. Of a Resolver
// that is none, it takes the first hop as it comes.
type KeyedResolver interface {
	Resolver
	ResolveKeyed(uri []byte, key uint64, done func(hops []transport.Hop, err error))
}

// Authenticator looks at the Proxy-Authorization of requests (RFC 3261 22.3): an auth.Server with Proxy set.
type Authenticator interface {
	Check(now int64, m *sip.Message, body []byte) auth.Result
}

// Fork says how a request with several targets goes out.
type Fork uint8

// Ways to fork.
const (
	ForkByQ      Fork = iota // the targets of one q at once, those of the next when all have failed
	ForkParallel             // all at once
	ForkSerial               // one after the other
)

// ParseFork reads "q", "parallel" or "serial".
func ParseFork(s string) (Fork, error) {
	switch s {
	case "q", "":
		return ForkByQ, nil
	case "parallel":
		return ForkParallel, nil
	case "serial":
		return ForkSerial, nil
	}
	return 0, fmt.Errorf("fork %q: want q, parallel or serial: %w", s, ErrConfig)
}

// Defaults and bounds.
const (
	// DefaultTimerC is the time that an INVITE may ring: more than 3 minutes (RFC 3261 16.6 step 11).
	DefaultTimerC = 181_000_000_000
	// DefaultMaxBreadth is the Max-Breadth of a request that has none (RFC 5393 5.3.3).
	DefaultMaxBreadth = 60
	// DefaultContexts is how many requests may be open at once, with those whose transactions have not ended yet.
	DefaultContexts = 2_000_000
	// DefaultMemory is how many bytes of responses that wait for better ones, and of requests that wait for DNS, are kept.
	DefaultMemory = 256 << 20
	// DefaultResolving is how many requests may wait for DNS at once.
	DefaultResolving = 10_000
	// maxTargets bounds the targets of one request, those of 3xx answers included.
	maxTargets = 64
	// maxForwards is given to a request that has none (RFC 3261 16.6 step 3).
	maxForwards = 70
)

// Config is what a proxy is made with. The zero value of a field is its default.
type Config struct {
	// Listeners are the own ends, of which Proto and Local count; requests for these addresses are for this proxy.
	Listeners []transport.Hop
	// Names are host names or host:port under which this proxy is reached, beside its addresses.
	Names []string
	// Domains are those whose users Locator knows, such as "a.com" (RFC 3261 16.5).
	Domains  []string
	Locator  Locator  // nil: no users of its own
	Resolver Resolver // nil: only numeric hosts can be reached
	Routes   []Route  // the static table
	Outbound string   // URI of the next hop of all that is neither routed, nor a user of its own; "": by Request-URI

	RecordRoute bool   // stay in the path of dialogs (RFC 3261 16.6 step 4); those with a WebSocket client have it in any case
	RecordHost  string // one of Names that Record-Route has instead of the address, such as "p1.example.com"; "": the address
	StrictRoute bool   // write Record-Route without lr, as an RFC 2543 proxy did; for demonstrations
	Fork        Fork
	Recurse     bool  // try the contacts of a 3xx instead of forwarding it (RFC 3261 16.7 step 4)
	TimerC      int64 // nanoseconds; DefaultTimerC
	// Closed refuses with 403 what would go where only its sender says: not to an own domain, by the static table, to the
	// outbound hop, or within a dialog. Else whoever reaches the proxy makes it send anywhere.
	Closed      bool
	NoLoopCheck bool // leave the detection of loops to Max-Forwards; RFC 5393 wants it on for a forking proxy

	Auth  Authenticator  // who asks for credentials; nil: nobody
	Realm string         // of Auth: credentials for it end here (RFC 3261 22.3)
	Trust []netip.Prefix // whoever sends from here is not asked

	MaxBreadth int // of a request that has none; DefaultMaxBreadth
	Contexts   int // at most; beyond, 503 with Retry-After; DefaultContexts
	Memory     int // bytes of messages that wait at most; beyond, answers lose their bodies; DefaultMemory
	Resolving  int // requests that wait for a Resolver at most; beyond, 503; DefaultResolving

	Server string        // Server header of its own answers; "": none
	Rand   *rand.Rand    // of branches and tags; required
	Events func(e Event) // told what a person wants to see in a log; nil: not told. Called in the loop.
}

// EventKind is what happened.
type EventKind uint8

// Kinds of Event.
const (
	EventRefused   EventKind = iota + 1 // answered by the proxy itself with Status
	EventForked                         // goes to several targets at once
	EventNext                           // the next targets are tried after failures
	EventFailover                       // the next hop of the same target is tried (RFC 3263 4.3)
	EventRecursed                       // a 3xx is followed
	EventTimerC                         // nobody answered an INVITE in time
	EventCancelled                      // the caller gave up
	EventDropped                        // a response or ACK that leads nowhere
)

// String is the kind in lower case.
func (k EventKind) String() string {
	names := [...]string{
		"", "refused", "forked", "next", "failover", "recursed", "timer-c", "cancelled", "dropped",
	}
	if int(k) < len(names) {
		return names[k]
	}
	return ""
}

// Event is one line of a live log. The slices are valid during the call.
type Event struct {
	Now    int64
	Kind   EventKind
	Status int    // of EventRefused, EventFailover and EventRecursed
	Count  int    // targets of EventForked and EventNext
	Method []byte // of the request; nil when it is not at hand
	CallID []byte
	URI    []byte // Request-URI
}

// Stats are counts since the start, but for the first four, which are of now.
type Stats struct {
	Contexts, Branches, Resolving int
	Kept                          int // bytes of messages that wait, see Config.Memory

	Requests  uint64 // received, ACKs not included
	Responses uint64 // received
	Forwarded uint64 // requests sent on, each branch once, ACKs included
	Relayed   uint64 // responses sent on
	Acks      uint64 // ACKs of 2xx sent on
	Cancels   uint64 // CANCELs received that matched
	Refused   uint64 // requests answered by the proxy itself with an error
	Loops     uint64 // of Refused: 482
	Limited   uint64 // of Refused: 503, by a limit
	Strays    uint64 // responses and ACKs that were dropped
	Forks     uint64 // requests that went to several targets at once
	Failovers uint64 // next hops tried
	Recursed  uint64 // 3xx followed
	TimerC    uint64 // INVITEs that nobody answered
}

// check fills in defaults.
func (c *Config) check() error {
	if c.Rand == nil {
		return fmt.Errorf("no Rand: %w", ErrConfig)
	}
	set(&c.MaxBreadth, DefaultMaxBreadth)
	set(&c.Contexts, DefaultContexts)
	set(&c.Resolving, DefaultResolving)
	set(&c.Memory, DefaultMemory)
	if c.TimerC <= 0 {
		c.TimerC = DefaultTimerC
	}
	if c.Outbound != "" {
		if _, ok := sip.ParseURI([]byte(c.Outbound)); !ok {
			return fmt.Errorf("outbound proxy %q: want a URI: %w", c.Outbound, ErrConfig)
		}
	}
	return nil
}

func set(n *int, def int) {
	if *n <= 0 {
		*n = def
	}
}
