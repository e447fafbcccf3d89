package hep

import (
	"context"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"sipscope/capture"
)

const (
	defaultWindow   = 200 * time.Millisecond
	defaultMaxConns = 256
	defaultIdle     = time.Hour
	// defaultReadBuffer is asked of the kernel for a UDP socket: a second of 20,000 messages of 600 bytes, each of which
	// costs the kernel some 1.3 KiB. Without the privilege it gives what net.core.rmem_max allows.
	defaultReadBuffer = 32 << 20

	// A Next that is late finds at most so many messages, 6 s at 20,000 a second, and bytes.
	maxHeld      = 128 << 10
	maxHeldBytes = 256 << 20

	// tickEvery is how long Next waits before it gives an empty batch.
	tickEvery = 10 * time.Millisecond
)

// ListenOptions say where and how to listen.
type ListenOptions struct {
	Addresses  []string      // "udp:0.0.0.0:9060", "tcp::9060" (all addresses), "tls:[::]:9061"; port 0 picks one
	TLS        *tls.Config   // for tls addresses, with a certificate
	Key        string        // messages with another authentication key are dropped; "" takes all
	Window     time.Duration // how long a message waits for earlier ones of other agents; 0 is 200 ms, below 0 none
	MaxConns   int           // connections at once; 0 is 256
	Idle       time.Duration // a connection without a message for so long is closed; 0 is 1 h
	ReadBuffer int           // bytes, asked of the kernel for each UDP socket; 0 is 32 MiB

	// Now tells arrival times, and how long messages waited; nil is time.Now.
	Now func() time.Time

	maxHeld  int           // messages in the window; 0 is the constant
	patience time.Duration // for a whole message; 0 is messageTime
}

// ListenStats count what came since the start, but for Open and Held, which are of now.
type ListenStats struct {
	Received  uint64 // messages accepted
	Malformed uint64 // datagrams and messages that are no HEP
	Rejected  uint64 // another authentication key
	Oversize  uint64 // longer than MaxDatagram
	Dropped   uint64 // accepted, but the queue was full
	Kernel    uint64 // datagrams dropped by the kernel, whose buffer was full; as told with the next datagram (Linux)

	Late    uint64 // given out of order: their turn was more than the window before
	Ahead   uint64 // time more than 10 s ahead of arrival, which cannot be: given the time of arrival
	Untimed uint64 // no time, or one before 2000 or after 2100: given the time of arrival
	Held    int    // messages that wait in the window

	Connections uint64 // accepted
	Open        int    // connections now
	Refused     uint64 // connections, since MaxConns were open
	Garbage     uint64 // connections closed for what is no HEP
	Cut         uint64 // connections that ended within a message
	TimedOut    uint64 // connections closed for being idle, or within a message for 30 s
	Handshakes  uint64 // TLS handshakes that failed

	Agents []AgentStats // at most 1,024, those with most messages first
	Others uint64       // messages of agents that are not in Agents

	LastError string // of a socket; empty when there was none
}

// Listener receives from many agents and implements capture.Source. Each message becomes a frame of LinkRaw: an IP
// datagram from the agent to the listener with UDP, whatever carried it, and the whole message in it. The packet's time is
// what the agent says.
type Listener struct {
	o       ListenOptions
	buffers buffers
	sockets []socket
	tasks   sync.WaitGroup
	stopped chan struct{} // closed when all tasks have ended
	release func() bool   // of the context

	mu     sync.Mutex // guards what follows
	seen   time.Time  // when clock was last asked
	mono   int64      // what it said
	window window
	agents agents
	stats  ListenStats
	conns  map[*conn]struct{}
	closed bool

	// Of the goroutine that calls Next.
	memory *capture.Memory
	timer  *time.Timer
	taken  []held
	seq    uint64
	now    int64 // of the last batch
}

var _ capture.Source = (*Listener)(nil)

// socket is one address being listened on.
type socket struct {
	udp *net.UDPConn // or
	tcp net.Listener
	tls bool
}

func (s *socket) addr() net.Addr {
	if s.udp != nil {
		return s.udp.LocalAddr()
	}
	return s.tcp.Addr()
}

func (s *socket) close() error {
	if s.udp != nil {
		return s.udp.Close()
	}
	return s.tcp.Close()
}

// Listen opens all addresses and begins to receive, until Close or the end of ctx. When one cannot be opened none is, and
// the error names it.
func Listen(ctx context.Context, o ListenOptions) (*Listener, error) {
	if len(o.Addresses) == 0 {
		return nil, errors.New("HEP: no address to listen on")
	}
	o.defaults()
	l := &Listener{
		o: o, seen: o.Now(), stopped: make(chan struct{}), window: newWindow(max(0, o.Window)), agents: newAgents(),
		conns: make(map[*conn]struct{}), memory: capture.NewMemory(0),
	}
	for _, a := range o.Addresses {
		s, err := l.open(ctx, a)
		if err != nil {
			for i := range l.sockets {
				_ = l.sockets[i].close()
			}
			return nil, fmt.Errorf("listening for HEP on %s: %w", a, err)
		}
		l.sockets = append(l.sockets, s)
	}
	for i := range l.sockets {
		s := &l.sockets[i]
		if s.udp != nil {
			l.tasks.Go(func() { l.readUDP(s.udp) })
		} else {
			l.tasks.Go(func() { l.acceptTCP(s) })
		}
	}
	l.release = context.AfterFunc(ctx, l.stop)
	return l, nil
}

func (o *ListenOptions) defaults() {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Window == 0 {
		o.Window = defaultWindow
	}
	if o.MaxConns <= 0 {
		o.MaxConns = defaultMaxConns
	}
	if o.Idle <= 0 {
		o.Idle = defaultIdle
	}
	if o.maxHeld == 0 {
		o.maxHeld = maxHeld
	}
	if o.patience == 0 {
		o.patience = messageTime
	}
	if o.ReadBuffer <= 0 {
		o.ReadBuffer = defaultReadBuffer
	}
}

func (l *Listener) open(ctx context.Context, address string) (s socket, err error) {
	t, hostPort, err := parseAddress(address, false)
	if err != nil {
		return s, err
	}
	var config net.ListenConfig
	if t != overUDP {
		if s.tls = t == overTLS; s.tls && l.o.TLS == nil {
			return s, errors.New("TLS needs a certificate")
		}
		s.tcp, err = config.Listen(ctx, "tcp", hostPort)
		return s, err
	}
	c, err := config.ListenPacket(ctx, "udp", hostPort)
	if err != nil {
		return s, err
	}
	var ok bool
	if s.udp, ok = c.(*net.UDPConn); !ok {
		return s, errors.Join(fmt.Errorf("a UDP socket that is a %T", c), c.Close())
	}
	tuneUDP(s.udp, l.o.ReadBuffer)
	return s, nil
}

// Addrs are the addresses listened on, in the order of ListenOptions.Addresses.
func (l *Listener) Addrs() []net.Addr {
	all := make([]net.Addr, len(l.sockets))
	for i := range l.sockets {
		all[i] = l.sockets[i].addr()
	}
	return all
}

// Stop ends the receiving; Next gives what has come, then io.EOF. It does not wait.
func (l *Listener) Stop() { l.stop() }

// Close is Stop, and waits for all goroutines of the listener to end.
func (l *Listener) Close() error {
	l.release()
	l.stop()
	<-l.stopped
	return nil
}

func (l *Listener) stop() {
	l.mu.Lock()
	first := !l.closed
	l.closed = true
	if first {
		for i := range l.sockets {
			_ = l.sockets[i].close()
		}
		for c := range l.conns {
			_ = c.raw.Close()
		}
	}
	l.mu.Unlock()
	if first {
		go func() { // ends when the others do, which nothing holds up any more
			l.tasks.Wait()
			close(l.stopped)
		}()
	}
}

// Stats counts what came.
func (l *Listener) Stats() ListenStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.Late, s.Held, s.Open = l.window.late, len(l.window.heap), len(l.conns)
	s.Agents, s.Others = l.agents.stats(), l.agents.others
	return s
}

// failed takes note of what a socket said, and tells whether that is since the listener is closed.
func (l *Listener) failed(err error) (closed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.stats.LastError = err.Error()
	}
	return l.closed || errors.Is(err, net.ErrClosed)
}

// count changes the counters.
func (l *Listener) count(f func(*ListenStats)) {
	l.mu.Lock()
	f(&l.stats)
	l.mu.Unlock()
}

// clock tells the time, ns since 1970, and one that never goes back, ns since the start. The lock is held.
func (l *Listener) clock() (wall, mono int64) {
	now := l.o.Now()
	l.mono += max(0, int64(now.Sub(l.seen)))
	l.seen = now
	return now.UnixNano(), l.mono
}

// accept takes one message; p is room to take it apart.
func (l *Listener) accept(b []byte, src, dst netip.AddrPort, p *Packet) {
	if !Is(b) || Decode(b, p) != nil {
		l.count(func(s *ListenStats) { s.Malformed++ })
		return
	}
	if l.o.Key != "" && subtle.ConstantTimeCompare(p.Key, []byte(l.o.Key)) == 0 {
		l.count(func(s *ListenStats) { s.Rejected++ })
		return
	}
	if len(b) > MaxDatagram {
		l.count(func(s *ListenStats) { s.Oversize++ })
		return
	}
	at, timed := p.Time, true
	h := held{src: src, dst: dst, buf: l.buffers.get(datagramHead(src.Addr()) + len(b))}
	copy(h.buf.b[datagramHead(src.Addr()):], b)

	l.mu.Lock()
	defer l.mu.Unlock()
	wall, mono := l.clock()
	l.stats.Received++
	switch {
	case !plausible(at):
		l.stats.Untimed++
		at, timed = wall, false
	case at-wall > int64(maxSkew):
		l.stats.Ahead++
		at, timed = wall, false
	}
	l.agents.saw(p, src.Addr(), wall, mono, timed)
	if len(l.window.heap) >= l.o.maxHeld || l.window.bytes+cap(h.buf.b) > maxHeldBytes {
		l.stats.Dropped++
		l.buffers.put(h.buf)
		return
	}
	h.time = at
	l.window.add(h, mono)
}

// Next implements capture.Source. It waits for packets for about 10 ms; then it gives an empty batch, whose Now follows
// the clock as far as no packet in order can still come, and does not begin to before the first packet. io.EOF comes when
// the listener is closed and all was given; a context that ends gives its cause, and Next may be called again.
func (l *Listener) Next(ctx context.Context, b *capture.Batch) error {
	b.Release()
	b.Now = l.now
	for tries := 0; ; tries++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		ended := l.ended()
		wait := l.fill(b, ended)
		switch {
		case len(b.Packets) > 0 || b.SetBack:
			return nil
		case ended:
			l.memory.Close()
			return io.EOF
		case tries > 0:
			return nil
		}
		if err := l.sleep(ctx, wait); err != nil {
			return err
		}
	}
}

func (l *Listener) ended() bool {
	select {
	case <-l.stopped:
		return true
	default:
		return false
	}
}

// sleep waits until the time is over, ctx ends, or the listener has stopped.
func (l *Listener) sleep(ctx context.Context, d time.Duration) error {
	if l.timer == nil {
		l.timer = time.NewTimer(d)
	} else {
		l.timer.Reset(d)
	}
	defer l.timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-l.timer.C:
	case <-l.stopped:
	}
	return nil
}

// fill gives the batch what is to be given now; wait is when to look again.
func (l *Listener) fill(b *capture.Batch, ended bool) (wait time.Duration) {
	l.taken = l.taken[:0]
	l.mu.Lock()
	wall, mono := l.clock()
	w := &l.window
	// No time is more than maxSkew ahead of the clock, so when one is the clock was set back.
	back := l.now-wall > int64(maxSkew)
	if w.advance(mono); ended || back {
		w.all()
	}
	for len(l.taken) < capture.MaxBatch && w.ready() {
		l.taken = append(l.taken, w.take())
	}
	if back && len(l.taken) == 0 {
		w.restart()
		l.agents.restart()
		l.now, b.SetBack = wall-w.length, true
	} else {
		l.now = max(l.now, w.reached, l.quiet(wall, mono))
	}
	if l.now != 0 {
		w.pass(l.now)
	}
	wait = tickEvery
	if at, ok := w.next(); ok {
		wait = max(0, min(wait, time.Duration(at-mono)))
	}
	l.mu.Unlock()

	b.Now = l.now
	for i := range l.taken {
		l.give(b, &l.taken[i])
	}
	return wait
}

// quiet is the time before which no packet in order can come any more; 0 when nothing tells. The lock is held.
func (l *Listener) quiet(wall, mono int64) int64 {
	lag, ok := l.agents.lag(mono)
	if !ok {
		return 0
	}
	at := wall - l.window.length - lag
	if len(l.window.heap) > 0 {
		at = min(at, l.window.heap[0].time)
	}
	return at
}

// give moves a message into the batch.
func (l *Listener) give(b *capture.Batch, h *held) {
	l.seq++
	putDatagram(h.buf.b, h.src, h.dst, uint16(l.seq)) //nolint:gosec // its low bits
	data := l.memory.Bytes(b, len(h.buf.b))
	copy(data, h.buf.b)
	l.buffers.put(h.buf)
	h.buf = nil
	b.Packets = append(b.Packets, capture.Packet{
		Seq: l.seq, Time: h.time, Data: data, WireLen: uint32(len(data)), //nolint:gosec // below 65,536
		Link: capture.LinkRaw, Loc: capture.Loc{Off: capture.NotKept},
	})
}
