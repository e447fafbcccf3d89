package transport

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"sipscope/decode/sip"
)

// Endpoint is a Link with real sockets. Open makes one, Run drives it. Run's goroutine, the loop, owns all that is not
// marked as shared; Send, SentBy belong to it. Now, Post, Stats, Listeners and Close are for any goroutine.
type Endpoint struct {
	cfg       Config
	start     time.Time    // with the monotonic clock; shared, never changes
	seed      maphash.Seed // shared, never changes
	listeners []*listener
	dialled   [WSS + 1]counters // shared
	totals    totals            // shared

	events  chan event    // shared
	quit    chan struct{} // shared; closed: end
	ended   chan struct{} // shared; closed: the loop reads no more events
	quitter sync.Once     // shared
	running atomic.Bool   // shared
	wg      sync.WaitGroup

	postMu sync.Mutex // guards posts
	posts  []func()
	posted chan struct{} // capacity 1: there are posts

	handler  Handler
	received Received // the one that Handler.Receive is given
	msg      sip.Message
	fails    []failure
	conns    connTable
	sentBy   localCache
	recent   recentTags
	switches switches
	reading  reading
}

var _ Link = (*Endpoint)(nil)

// listener is one place that is listened at.
type listener struct {
	at    Listen       // as bound
	udp   *udpSocket   // of UDP
	tcp   net.Listener // of all others
	count counters
}

// failure is a message that could not be sent and waits to be told.
type failure struct {
	hop Hop
	tag uint64
	err error
}

// event is what goroutines tell the loop.
type event struct {
	kind   eventKind
	batch  *udpBatch // eventDatagrams
	conn   *conn     // eventOpen and what follows it
	ln     *listener // eventAccept, eventStarved, eventICMP
	nc     net.Conn  // eventAccept
	bounce bounce    // eventICMP
	err    error
}

type eventKind uint8

const (
	eventDatagrams eventKind = iota + 1
	eventICMP                // a datagram did not arrive
	eventAccept              // a listener has a new connection
	eventStarved             // a listener cannot accept for lack of something, of files most likely
	eventOpen                // a connection can be written to
	eventData                // a connection has messages
	eventHeavy               // all connections hold too much, and one wants to go on
	eventFlushed             // a connection that is to end has written all
	eventReadDone            // a connection's reader has ended
	eventClosed              // a connection's writer has failed
)

// Open binds the sockets of cfg. It fails when one cannot be bound; the error says which.
func Open(cfg Config) (*Endpoint, error) {
	e := &Endpoint{
		cfg: cfg.withDefaults(), start: time.Now(), seed: maphash.MakeSeed(),
		events: make(chan event, 64), quit: make(chan struct{}), ended: make(chan struct{}),
		posted: make(chan struct{}, 1),
	}
	e.conns.init()
	for _, at := range cfg.Listen {
		l, err := e.bind(at)
		if err != nil {
			e.closeListeners()
			return nil, fmt.Errorf("listen at %s: %w", at, err)
		}
		e.listeners = append(e.listeners, l)
		if l.udp != nil && e.reading.l == nil {
			e.own(l)
		}
	}
	if len(e.listeners) == 0 {
		return nil, fmt.Errorf("nothing to listen at: %w", ErrNoListener)
	}
	return e, nil
}

// bind opens the socket of one listener. "udp6" and the like keep the address families apart, so that an address never
// appears in two forms.
func (e *Endpoint) bind(at Listen) (*listener, error) {
	if !at.IsValid() || at.Proto.String() == "" {
		return nil, ErrAddress
	}
	if at.Proto.Secure() && len(e.cfg.Certificates) == 0 {
		return nil, ErrNoCertificate
	}
	at.AddrPort = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	l := &listener{at: at}
	if at.Proto == UDP {
		udp, err := openUDP(at.AddrPort, e.cfg.SocketBytes)
		if err != nil {
			return nil, err
		}
		l.udp, l.at.AddrPort = udp, udp.local
		return l, nil
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(context.Background(), network("tcp", at.Addr()), at.AddrPort.String())
	if err != nil {
		return nil, err
	}
	l.tcp, l.at.AddrPort = ln, addrPortOf(ln.Addr())
	return l, nil
}

// network is "udp4", "tcp6" and so on.
func network(name string, addr netip.Addr) string {
	if addr.Is4() || addr.Is4In6() {
		return name + "4"
	}
	return name + "6"
}

// addrPortOf is the address of a socket; zero when it is none of UDP and TCP.
func addrPortOf(a net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	switch a := a.(type) {
	case *net.UDPAddr:
		ap = a.AddrPort()
	case *net.TCPAddr:
		ap = a.AddrPort()
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// Listeners says where the endpoint listens, as bound, in the order of the configuration: Proto and Local are set.
func (e *Endpoint) Listeners() []Hop {
	hops := make([]Hop, len(e.listeners))
	for i, l := range e.listeners {
		hops[i] = Hop{Proto: l.at.Proto, Local: l.at.AddrPort}
	}
	return hops
}

// Now is the time in nanoseconds since 1970-01-01 UTC: that of Open, and the monotonic clock since.
func (e *Endpoint) Now() int64 { return e.start.UnixNano() + int64(time.Since(e.start)) }

// Post has f run in the loop, after what was posted before. It never blocks. What is posted after Run has ended does not
// run.
func (e *Endpoint) Post(f func()) {
	e.postMu.Lock()
	e.posts = append(e.posts, f)
	e.postMu.Unlock()
	select {
	case e.posted <- struct{}{}:
	default:
	}
	e.poke()
}

func (e *Endpoint) runPosts() {
	e.postMu.Lock()
	posts := e.posts
	e.posts = nil
	e.postMu.Unlock()
	for _, f := range posts {
		f()
	}
}

// Close ends Run, which flushes what is queued, or closes the sockets when Run never began. It does not wait.
func (e *Endpoint) Close() error {
	e.quitter.Do(func() {
		close(e.quit)
		e.poke()
	})
	if e.running.CompareAndSwap(false, true) {
		close(e.ended)
		e.closeListeners()
	}
	return nil
}

func (e *Endpoint) closeListeners() {
	for _, l := range e.listeners {
		if l.udp != nil {
			_ = l.udp.close()
		} else {
			_ = l.tcp.Close()
		}
	}
}

// Run is the loop: it receives, lets h handle, and sends, until ctx is done or Close is called. It returns when every
// goroutine and socket of the endpoint has ended: nil, or ErrClosed when it ran before. An Endpoint runs once.
func (e *Endpoint) Run(ctx context.Context, h Handler) error {
	if h == nil {
		return errors.New("no handler")
	}
	if !e.running.CompareAndSwap(false, true) {
		return ErrClosed
	}
	stop := context.AfterFunc(ctx, func() { _ = e.Close() })
	defer stop()
	e.handler = h
	e.listen()
	if e.reading.l != nil {
		e.readLoop() //nolint:contextcheck // connections do not end with ctx: they flush first
	} else {
		e.loop() //nolint:contextcheck // likewise
	}
	e.finish() //nolint:contextcheck // likewise
	return nil
}

// listen starts what reads and accepts beside the loop, which itself reads the first UDP socket.
func (e *Endpoint) listen() {
	for _, l := range e.listeners {
		switch {
		case l.udp == nil:
			e.wg.Go(func() { e.accept(l) })
		case l != e.reading.l:
			e.wg.Go(func() { e.readUDP(l) })
		}
	}
}

// loop runs until Close. It is for an Endpoint without UDP; see readLoop.
func (e *Endpoint) loop() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	armed := int64(0)
	for {
		next, now := e.turn(), e.Now()
		if next <= now { // compared, not subtracted: it may be any number
			if !e.poll() {
				return
			}
			continue
		}
		if next != armed {
			timer.Reset(time.Duration(min(next-now, int64(never))))
			armed = next
		}
		select {
		case ev := <-e.events:
			e.handle(&ev)
			e.drain(burst)
		case <-e.posted:
		case <-timer.C:
			armed = 0
		case <-e.quit:
			return
		}
	}
}

// burst is how many more events are handled before what they sent leaves. It bounds the delay to some hundred datagrams.
const burst = 3

// poll handles what is there without waiting; false says that the end is asked for.
func (e *Endpoint) poll() bool {
	e.drain(burst)
	select {
	case <-e.quit:
		return false
	default:
		return true
	}
}

// drain handles at most n events that are there.
func (e *Endpoint) drain(n int) {
	for range n {
		select {
		case ev := <-e.events:
			e.handle(&ev)
		default:
			return
		}
	}
}

// turn does what follows a batch: posts, failures, timers, sending. It says when the next turn is due.
func (e *Endpoint) turn() int64 {
	e.runPosts()
	e.tellFailures()
	next := e.handler.Wake(e.Now())
	e.tellFailures()
	next = min(next, e.sweep(e.Now()))
	e.lighten()
	e.flush()
	if len(e.fails) > 0 { // of the flush itself
		return math.MinInt64
	}
	return next
}

// tellFailures tells the handler what could not be sent. What it sends in answer and fails at once waits for the next
// turn, so that no two of them can keep the loop busy.
func (e *Endpoint) tellFailures() {
	for range len(e.fails) {
		f := e.fails[0]
		e.fails = e.fails[1:]
		e.handler.Failed(f.hop, f.tag, f.err)
	}
	if len(e.fails) == 0 {
		e.fails = nil
	}
}

// failed remembers to tell that a message was not sent.
func (e *Endpoint) failed(count *counters, hop Hop, tag uint64, err error) {
	if count != nil {
		count.sendErrors.Add(1)
	}
	if tag != 0 {
		e.fails = append(e.fails, failure{hop: hop, tag: tag, err: err})
	}
}

// flush lets everything leave that was sent since the last flush.
func (e *Endpoint) flush() {
	for _, l := range e.listeners {
		if l.udp != nil {
			e.flushUDP(l)
		}
	}
	e.conns.wakeWriters()
}

func (e *Endpoint) handle(ev *event) {
	switch ev.kind {
	case eventDatagrams:
		e.datagrams(ev.batch)
	case eventICMP:
		e.unreachable(ev.bounce)
	case eventAccept:
		e.admit(ev.ln, ev.nc)
	case eventStarved:
		e.evict()
	case eventOpen:
		e.opened(ev.conn)
	case eventData:
		e.data(ev.conn)
	case eventHeavy:
		e.lighten()
		ev.conn.goOn()
	case eventFlushed:
		e.flushed(ev.conn, ev.err)
	case eventReadDone:
		e.readDone(ev.conn, ev.err)
	case eventClosed:
		e.closed(ev.conn, ev.err)
	}
}

// tell hands ev to the loop; false says that there is none any more.
func (e *Endpoint) tell(ev event) bool {
	select {
	case e.events <- ev:
		e.poke()
		return true
	case <-e.ended:
		return false
	}
}

// finish sends what is queued, for FlushTimeout at most, then ends all connections, sockets and goroutines.
func (e *Endpoint) finish() {
	e.flush()
	for _, l := range e.listeners {
		if l.tcp != nil {
			_ = l.tcp.Close()
		}
	}
	deadline := time.NewTimer(e.cfg.FlushTimeout)
	defer deadline.Stop()
	for e.conns.finish() {
		select {
		case ev := <-e.events:
			e.handleLast(&ev)
			continue
		case <-deadline.C:
		}
		break
	}
	close(e.ended)
	for c := range e.conns.all() {
		e.drop(c, ErrClosed)
	}
	e.flush() // large requests that could not go by TCP
	e.closeListeners()
	e.wg.Wait()
	for len(e.events) > 0 { // what was accepted and never admitted
		if ev := <-e.events; ev.kind == eventAccept {
			_ = ev.nc.Close()
		}
	}
}

// handleLast handles what still matters at the end: connections that have written all, or have ended.
func (e *Endpoint) handleLast(ev *event) {
	switch ev.kind {
	case eventOpen, eventFlushed, eventReadDone, eventClosed:
		e.handle(ev)
	case eventAccept:
		_ = ev.nc.Close()
	default:
	}
}
