// Package virtual is a network in virtual time: hosts that talk SIP and RTP with each other in one goroutine, without a
// socket and without a clock, so that an hour of timers takes milliseconds and two runs are equal to the byte.
//
//	host.Send ─▶ path (loss, duplication, delay) ─▶ queue by (time, number) ─▶ parse ─▶ Handler.Receive ─▶ Handler.Wake
//
// A Host is a transport.Link, so an element that runs on real sockets runs here unchanged. UDP loses, duplicates and
// reorders as its Path says; reliable transports deliver everything in order while their connection is open. What opening
// a connection costs, TLS and WebSocket handshakes and congestion are not modelled: messages arrive whole, after the
// latency of their path.
//
// A Net, its hosts and all that is attached to them belong to one goroutine. A message is parsed once, when it arrives,
// and its bytes are overwritten after the call that gives it, so that who keeps them finds out.
package virtual

import (
	"cmp"
	"container/heap"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"math/rand/v2"
	"net/netip"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/transport"
)

// Errors of a network, and what Handler.Failed tells besides transport.ErrNoListener and transport.ErrTooLarge.
var (
	// ErrEndless says that the events do not come to an end: see Net.MaxEvents.
	ErrEndless = errors.New("events without end")
	// ErrAddress says that a host was given an address that it cannot have.
	ErrAddress = errors.New("bad address")
	// ErrUnreachable says that nobody listens where a message was sent to.
	ErrUnreachable = errors.New("unreachable")
)

const (
	defaultLatency   = int64(time.Millisecond)
	defaultMaxEvents = 10_000_000
	// maxInstant bounds the events of one moment: a handler that always wants to be called now stops the time.
	maxInstant  = 2_000_000
	maxDatagram = 65507 // bytes: 65535 less the headers of IPv4 and UDP
	maxMessage  = 1 << 20
	poison      = '#' // what a message's bytes become after the call
)

// Path is what happens to messages in one direction between two hosts. Shares are from 0 to 1, times in nanoseconds.
// Loss, duplication and reordering happen to datagrams alone.
type Path struct {
	Latency   int64   // from end to end
	Jitter    int64   // up to so much more, evenly spread; messages stay in order
	Loss      float64 // share that does not arrive
	Duplicate float64 // share that arrives twice
	Reorder   float64 // share that is held back, so that later ones overtake it
	HoldBack  int64   // how long; 0 stands for ten times the latency, 20 ms at least
}

func (p *Path) holdBack() int64 {
	if p.HoldBack > 0 {
		return p.HoldBack
	}
	return max(10*p.Latency, 20*int64(time.Millisecond))
}

// Stats counts messages; datagrams of RTP too.
type Stats struct {
	Sent, Delivered   uint64
	Lost              uint64 // by Path.Loss, by Net.Lose, to or from an unplugged host
	Duplicated        uint64
	Reordered         uint64
	Unreachable       uint64 // nobody listened there
	NotSIP            uint64 // arrived at a host, and could not be parsed or had no handler
	Events            uint64
	Connections, Open uint64 // opened ever, open now
}

// Net is a virtual network. Its fields may be set at any time.
type Net struct {
	// Path is what all directions do that SetPath gave nothing else: 1 ms of latency, no fault.
	Path
	// Lose, when set, is asked for each SIP message of UDP, and has those lost for which it reports true: tests lose
	// exactly the message that they mean.
	Lose func(src, dst netip.AddrPort, raw []byte) bool
	// ICMP has a host told, by Handler.Failed, that nobody listens where it sent a datagram. Without it datagrams vanish,
	// as they do behind a firewall. Reliable transports always tell.
	ICMP bool
	// TapArrivals has taps see messages where and when they arrive: those that are lost not at all, those that are
	// duplicated twice. Without it taps see each message once, when it is sent.
	TapArrivals bool
	// MTU is the size in bytes above which a request goes by TCP instead of UDP where that is listened for (RFC 3261
	// 18.1.1), as transport.Config.MTU; 0 stands for 1300, negative for never.
	MTU int
	// MaxEvents bounds the events of one Run; 0 stands for 10,000,000.
	MaxEvents int

	rng     *rand.Rand
	now     int64
	number  uint64 // of the next event
	queue   queue
	wakes   wakes
	moment  int // counts the events at now
	instant int // how many there may be

	hosts     []*Host
	listeners map[place]*Host
	ports     map[netip.AddrPort]*Port
	conns     map[uint64]*conn
	lastConn  uint64
	paths     map[direction]*Path
	order     map[direction]int64 // when the last datagram of a direction arrives, so that the next comes later

	taps     []transport.Tap
	msg      sip.Message // that arrives
	sent     sip.Message // that goes by TCP instead of UDP
	seed     maphash.Seed
	received transport.Received
	stats    Stats
	err      error
}

// place is an address that somebody listens at.
type place struct {
	proto transport.Proto
	addr  netip.AddrPort
}

// direction is a pair of hosts, by their place in Net.hosts; -1 for a place where nobody listens.
type direction struct{ from, to int }

// New makes a network whose time is start, in nanoseconds since 1970-01-01 UTC. All chance comes from rng.
func New(start int64, rng *rand.Rand) *Net {
	return &Net{
		Path:      Path{Latency: defaultLatency},
		rng:       rng,
		seed:      maphash.MakeSeed(),
		now:       start,
		instant:   maxInstant,
		listeners: make(map[place]*Host),
		ports:     make(map[netip.AddrPort]*Port),
		conns:     make(map[uint64]*conn),
		paths:     make(map[direction]*Path),
		order:     make(map[direction]int64),
	}
}

// Now is the time of the network.
func (n *Net) Now() int64 { return n.now }

// Stats gives what has happened so far.
func (n *Net) Stats() Stats {
	s := n.stats
	s.Open = uint64(len(n.conns))
	return s
}

// Err is the first error of the network itself, e.g. of a host without a usable address. Run gives it too.
func (n *Net) Err() error { return n.err }

func (n *Net) fail(err error) { n.err = cmp.Or(n.err, err) }

// Tap has t see every message. A tap that has a method Datagram, such as a tap.Source, sees the datagrams of RTP too.
func (n *Net) Tap(t transport.Tap) { n.taps = append(n.taps, t) }

// SetPath says what happens to messages from one host to another, instead of what Net.Path says.
func (n *Net) SetPath(from, to *Host, p Path) { n.paths[direction{from.index, to.index}] = &p }

// At has f called at time t, or now when that is past. All handlers are woken afterwards, since f may have used any;
// Host.At wakes one.
func (n *Net) At(t int64, f func()) { n.push(t, event{kind: eventCall, call: f}) }

// Run does what is due up to and including the time until, which then is the time; math.MaxInt64 has it run until
// nothing is left to do, at the time of the last event. It fails with ErrEndless when the events exceed MaxEvents, or the
// time stands still.
func (n *Net) Run(until int64) error {
	limit := n.MaxEvents
	if limit <= 0 {
		limit = defaultMaxEvents
	}
	for range limit {
		if next := n.Next(); next > until || next == math.MaxInt64 || n.err != nil {
			if until != math.MaxInt64 && n.err == nil {
				n.advance(until)
			}
			return n.err
		}
		n.Step()
	}
	if n.err == nil && n.Next() <= until && n.Next() != math.MaxInt64 {
		return fmt.Errorf("%w: %d up to %s", ErrEndless, limit, time.Unix(0, n.now).UTC().Format(time.RFC3339Nano))
	}
	return n.err
}

// Next is when the next event is due; math.MaxInt64 says that there is none.
func (n *Net) Next() int64 {
	next := int64(math.MaxInt64)
	if len(n.queue.heap) > 0 {
		next = n.queue.heap[0].at
	}
	if len(n.wakes) > 0 {
		next = min(next, n.wakes[0].wakeAt)
	}
	return next
}

// Step does the next event: a message that arrives, a failure, a call of At, or a Wake. It reports false when there is
// none, or after an error.
func (n *Net) Step() bool {
	next := n.Next()
	if next == math.MaxInt64 || n.err != nil {
		return false
	}
	n.advance(next)
	n.stats.Events++
	if n.moment++; n.moment > n.instant {
		n.fail(fmt.Errorf("%w: %d at one moment", ErrEndless, n.instant))
		return false
	}
	if len(n.queue.heap) == 0 || n.queue.heap[0].at > next { // messages go first, so that a timer does not beat them
		n.wake(n.wakes[0])
		return true
	}
	n.dispatch(n.queue.pop())
	return true
}

func (n *Net) advance(t int64) {
	if t > n.now {
		n.now, n.moment = t, 0
	}
}

func (n *Net) push(at int64, e event) {
	n.number++
	n.queue.push(max(at, n.now), n.number, e)
}

// wake calls a host's handler, and notes when it wants to be called again.
func (n *Net) wake(h *Host) {
	if h.handler == nil {
		return
	}
	h.wakeAt = h.handler.Wake(n.now)
	switch {
	case h.wakeAt == math.MaxInt64 && h.place >= 0:
		heap.Remove(&n.wakes, h.place)
	case h.wakeAt == math.MaxInt64:
	case h.place >= 0:
		heap.Fix(&n.wakes, h.place)
	default:
		heap.Push(&n.wakes, h)
	}
}

func (n *Net) dispatch(e event) {
	switch e.kind {
	case eventMessage:
		n.arrive(&e)
	case eventDatagram:
		n.arriveDatagram(&e)
	case eventFailed:
		if e.host.handler != nil {
			e.host.handler.Failed(e.hop, e.tag, e.err)
			n.wake(e.host)
		}
	case eventCall:
		e.call()
		if e.host != nil {
			n.wake(e.host)
			return
		}
		for _, h := range n.hosts {
			n.wake(h)
		}
	}
}

// arrive gives a message to the host that listens where it was sent to.
func (n *Net) arrive(e *event) {
	defer n.queue.free(e.raw)
	src, dst := e.hop.Remote, e.hop.Local // of the receiver
	h := e.host
	if e.conn == nil {
		h = n.listeners[place{e.hop.Proto, dst}]
	}
	switch {
	case e.conn != nil && !n.isOpen(e.conn), h != nil && h.unplugged:
		n.stats.Lost++
		return
	case h == nil:
		n.unreachable(e)
		return
	}
	if n.TapArrivals {
		n.tap(e.hop.Proto, e.hop.Conn, src, dst, e.raw)
	}
	if h.handler == nil || sip.Parse(e.raw, &n.msg) != nil {
		n.stats.NotSIP++
		return
	}
	n.stats.Delivered++
	n.received = transport.Received{Msg: &n.msg, Hop: e.hop}
	h.handler.Receive(&n.received)
	n.wake(h)
}

// unreachable answers a datagram that nobody listens for.
func (n *Net) unreachable(e *event) {
	n.stats.Unreachable++
	if !n.ICMP || e.tag == 0 || e.sender == nil {
		return
	}
	hop := e.hop // of the receiver
	hop.Local, hop.Remote = hop.Remote, hop.Local
	n.failed(e.sender, hop, e.tag, n.Latency, fmt.Errorf("udp %s: %w", hop.Remote, ErrUnreachable))
}

func (n *Net) failed(h *Host, hop transport.Hop, tag uint64, after int64, err error) {
	if tag != 0 {
		n.push(n.now+after, event{kind: eventFailed, host: h, hop: hop, tag: tag, err: err})
	}
}

func (n *Net) tap(proto transport.Proto, connection uint64, src, dst netip.AddrPort, raw []byte) {
	for _, t := range n.taps {
		t.Message(n.now, proto, connection, src, dst, raw)
	}
}

// path is what happens to messages from h to to, nil for nobody.
func (n *Net) path(from, to *Host) (*Path, direction) {
	d := direction{from.index, -1}
	if to != nil {
		d.to = to.index
	}
	if p, ok := n.paths[d]; ok {
		return p, d
	}
	return &n.Path, d
}

func (n *Net) chance(share float64) bool { return share > 0 && n.rng.Float64() < share }

// flight is the time that a message needs on p.
func (n *Net) flight(p *Path) int64 {
	t := max(p.Latency, 0)
	if p.Jitter > 0 {
		t += n.rng.Int64N(p.Jitter + 1)
	}
	return t
}

// cast sends a datagram on its way: it is lost, or queued once or twice. e.raw is the caller's; the queue gets copies.
func (n *Net) cast(from, to *Host, e event) {
	p, d := n.path(from, to)
	n.stats.Sent++
	if from.unplugged || n.chance(p.Loss) {
		n.stats.Lost++
		return
	}
	copies := 1
	if n.chance(p.Duplicate) {
		n.stats.Duplicated++
		copies++
	}
	for range copies {
		at := n.now + n.flight(p)
		if n.chance(p.Reorder) {
			n.stats.Reordered++
			at += p.holdBack()
		} else {
			at = max(at, n.order[d])
			n.order[d] = at
		}
		c := e
		c.raw = append(n.queue.buffer(), e.raw...)
		n.push(at, c)
	}
}

// lose asks Net.Lose.
func (n *Net) lose(src, dst netip.AddrPort, raw []byte) bool {
	if n.Lose == nil || !n.Lose(src, dst, raw) {
		return false
	}
	n.stats.Sent++
	n.stats.Lost++
	return true
}
