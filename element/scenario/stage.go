package scenario

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"sipscope/element/media"
	"sipscope/element/transport"
	"sipscope/element/virtual"
)

// ErrAddress says that a flow would use another address than those of loopback.
var ErrAddress = errors.New("a flow is played on loopback addresses only")

// Port is where every element listens.
const Port = 5060

// stage is where a flow is played: it carries the messages of all hosts and tells the time.
type stage interface {
	link(h *Host) (transport.Link, error)
	attach(h *Host, handler transport.Handler)
	// sound opens the ports of a host's RTP.
	sound(h *Host) media.Ports
	// at has a function run in the host's loop: at a time that is planned before play, or soon, from any loop, when t is 0.
	at(h *Host, t int64, f func())
	// play runs everything until done says that it was enough, or until a time.
	play(ctx context.Context, until int64, done func(now int64) bool) error
	start() int64 // the time at which everything begins, once there are links
}

// Tap sees what the hosts send, SIP and RTP; a *tap.Source is one.
type Tap interface {
	transport.Tap
	Datagram(now int64, src, dst netip.AddrPort, payload []byte)
}

// virtually is a stage in virtual time.
type virtually struct {
	net    *virtual.Net
	begin  int64
	hosts  map[string]*virtual.Host
	faults *faults
	tap    transport.Tap
}

// newVirtual makes a stage where each message takes a millisecond.
func newVirtual(begin int64, rng *rand.Rand, faults *faults, tap Tap) *virtually {
	v := &virtually{net: virtual.New(begin, rng), begin: begin, hosts: map[string]*virtual.Host{}, faults: faults, tap: tap}
	v.net.Tap(tap)
	return v
}

func (v *virtually) start() int64 { return v.begin }

func (v *virtually) link(h *Host) (transport.Link, error) {
	own := netip.AddrPortFrom(h.Addr, Port)
	host := v.net.Host(h.Name, transport.Listen{Proto: transport.UDP, AddrPort: own})
	v.hosts[h.Name] = host
	return &faulty{
		Link: host, own: own, faults: v.faults, tap: v.tap,
		later: func(by int64, f func()) { host.At(host.Now()+by, f) },
	}, v.net.Err()
}

func (v *virtually) attach(h *Host, handler transport.Handler) { v.hosts[h.Name].Attach(handler) }

// ports opens those of a host in virtual time.
type ports struct{ host *virtual.Host }

// Open implements media.Ports.
func (p ports) Open(local netip.Addr) (media.Port, error) { return p.host.OpenPort(local) }

func (v *virtually) sound(h *Host) media.Ports { return ports{v.hosts[h.Name]} }

func (v *virtually) at(h *Host, t int64, f func()) { v.hosts[h.Name].At(t, f) }

func (v *virtually) play(ctx context.Context, until int64, done func(now int64) bool) error {
	for v.net.Next() <= until && !done(v.net.Now()) {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if !v.net.Step() {
			break
		}
	}
	return v.net.Err()
}

// really is a stage of sockets on loopback, a loop a host.
type really struct {
	begin  int64
	faults *faults
	seen   *merged
	ends   map[string]*transport.Endpoint
	plays  map[string]transport.Handler
	timed  []timed

	sounds []*media.Sockets
}

// timed is what a host does at a time.
type timed struct {
	end *transport.Endpoint
	at  int64
	f   func()
}

func newReal(faults *faults, tap Tap) *really {
	return &really{
		faults: faults, seen: &merged{tap: tap}, ends: map[string]*transport.Endpoint{}, plays: map[string]transport.Handler{},
	}
}

func (r *really) start() int64 { return r.begin }

func (r *really) link(h *Host) (transport.Link, error) {
	if !h.Addr.IsLoopback() {
		return nil, fmt.Errorf("%w: %s has %s; in virtual time any will do", ErrAddress, h.Name, h.Addr)
	}
	at := netip.AddrPortFrom(h.Addr, Port)
	end, err := transport.Open(transport.Config{
		Listen: []transport.Listen{{Proto: transport.UDP, AddrPort: at}}, Tap: &sending{tap: r.seen, own: at}, SocketBytes: 256 << 10,
	})
	if err != nil {
		return nil, err
	}
	r.begin = max(r.begin, end.Now())
	r.ends[h.Name] = end
	return &faulty{
		Link: end, own: at, faults: r.faults, tap: r.seen,
		// a Post to an endpoint that is closed by then does nothing
		later: func(by int64, f func()) {
			time.AfterFunc(time.Duration(by), func() { end.Post(f) }) //nolint:forbidigo // sockets are for real time
		},
	}, nil
}

func (r *really) attach(h *Host, handler transport.Handler) { r.plays[h.Name] = handler }

func (r *really) sound(h *Host) media.Ports {
	end := r.ends[h.Name]
	p, err := media.NewSockets(media.SocketsConfig{Post: end.Post, Now: end.Now, Tap: &sending{tap: r.seen, own: netip.AddrPortFrom(h.Addr, Port)}})
	if err != nil { // its range of ports is fixed
		return nil
	}
	r.sounds = append(r.sounds, p)
	return p
}

func (r *really) at(h *Host, t int64, f func()) {
	if t == 0 {
		r.ends[h.Name].Post(f)
		return
	}
	r.timed = append(r.timed, timed{r.ends[h.Name], t, f})
}

// lookEvery is how often a stage of sockets looks whether it is over.
const lookEvery = 10 * time.Millisecond

// play runs a goroutine an endpoint, and one for each action that waits for its time.
func (r *really) play(ctx context.Context, until int64, done func(now int64) bool) error {
	over, cancel := context.WithCancel(ctx)
	defer cancel()
	g, run := errgroup.WithContext(over)
	clock := r.clock()
	for name, end := range r.ends {
		g.Go(func() error { return end.Run(run, r.plays[name]) })
	}
	for _, w := range r.timed {
		g.Go(func() error {
			if wait(run, w.at-clock()) {
				w.end.Post(w.f)
			}
			return nil
		})
	}
	g.Go(func() error {
		defer cancel()
		for clock() < until && !done(clock()) && wait(run, int64(lookEvery)) {
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return err
	}
	return context.Cause(ctx) // that of the caller: he has had enough
}

// clock is the time of one of the endpoints; all have the same but for microseconds.
func (r *really) clock() func() int64 {
	for _, end := range r.ends {
		return end.Now
	}
	return func() int64 { return 0 }
}

// close ends what is open: endpoints that never ran, and ports.
func (r *really) close() {
	for _, end := range r.ends {
		_ = end.Close() // nothing was sent
	}
	for _, p := range r.sounds {
		_ = p.Close() // its calls are over
	}
}

// wait reports whether the time has come before ctx was done.
func wait(ctx context.Context, ns int64) bool {
	if ns <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(time.Duration(ns)) //nolint:forbidigo // sockets are for real time
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// merged gives the messages of several loops to one tap, in the order in which they were sent.
type merged struct {
	mu   sync.Mutex
	tap  Tap
	last int64
}

// Message implements Tap.
func (m *merged) Message(now int64, proto transport.Proto, conn uint64, src, dst netip.AddrPort, raw []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = max(m.last, now) // clocks of endpoints are microseconds apart
	m.tap.Message(m.last, proto, conn, src, dst, raw)
}

// Datagram implements Tap.
func (m *merged) Datagram(now int64, src, dst netip.AddrPort, payload []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last = max(m.last, now)
	m.tap.Datagram(m.last, src, dst, payload)
}

// sending passes on what a host sends: the other end of each message taps it, too.
type sending struct {
	tap Tap
	own netip.AddrPort
}

// Message implements Tap.
func (s *sending) Message(now int64, proto transport.Proto, conn uint64, src, dst netip.AddrPort, raw []byte) {
	if src == s.own {
		s.tap.Message(now, proto, conn, src, dst, raw)
	}
}

// Datagram is told of RTP, which has a port of its own.
func (s *sending) Datagram(now int64, src, dst netip.AddrPort, payload []byte) {
	if src.Addr() == s.own.Addr() {
		s.tap.Datagram(now, src, dst, payload)
	}
}
