package media

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"syscall"
)

// ErrNoPort says that the range has no pair of ports left.
var ErrNoPort = errors.New("no pair of ports is free")

// Limits of Sockets.
const (
	firstPort   = 16384 // of the range without another; below where systems choose ports for clients
	lastPort    = 32767
	maxDatagram = 2048      // bytes; sound is far less, and the rest of a longer one is cut off
	maxWaiting  = 1 << 20   // bytes of datagrams that wait for the loop
	perDatagram = 64        // what one costs beside its bytes
	maxBackoff  = 16        // errors in a row, of a socket that does not work, before its reader ends
	bufferBytes = 256 << 10 // of a socket, in each direction
	// fullFor is how long a range that was found to have no pair left is believed to have none, ns: to ask for each of its
	// 8,192 pairs takes tenths of a second of the loop.
	fullFor = 1_000_000_000
)

// SocketsConfig says how real sockets are opened and who gets what arrives.
type SocketsConfig struct {
	Min, Max uint16 // range of ports, both in it; 0, 0: 16384 to 32767
	// Post runs a function in the loop that owns the streams. It may be called from any goroutine.
	Post func(func())
	// Now is the time in nanoseconds since 1970. It may be called from any goroutine.
	Now func() int64
	// Tap, when set, sees every datagram that is sent and received, in the loop.
	Tap interface {
		Datagram(now int64, src, dst netip.AddrPort, payload []byte)
	}
	Rand *rand.Rand // where in the range to begin; nil: at its beginning
}

// Sockets opens real sockets, in pairs for RTP and RTCP. Each has a goroutine that reads it; what they read waits in one
// queue of at most 1 MiB, from which the loop takes all at once. When it is full, the newest are lost, and counted.
type Sockets struct {
	cfg  SocketsConfig
	next uint16               // the port to try next
	full map[netip.Addr]int64 // until when there is no pair at an address; of the loop
	work sync.WaitGroup

	mu      sync.Mutex
	waiting queue
	spare   queue
	posted  bool
	lost    uint64
	closed  bool
	open    map[*socket]struct{}
}

// queue is datagrams, and their bytes in a row.
type queue struct {
	items []item
	bytes []byte
}

// item is a datagram that arrived.
type item struct {
	to   *socket
	from netip.AddrPort
	at   int64
	size int
}

// NewSockets makes Ports of real sockets.
func NewSockets(cfg SocketsConfig) (*Sockets, error) {
	if cfg.Min == 0 && cfg.Max == 0 {
		cfg.Min, cfg.Max = firstPort, lastPort
	}
	cfg.Min += cfg.Min & 1
	if cfg.Min == 0 || cfg.Max <= cfg.Min {
		return nil, fmt.Errorf("range of ports %d to %d has no even port with the next", cfg.Min, cfg.Max)
	}
	if cfg.Post == nil || cfg.Now == nil {
		return nil, errors.New("sockets need Post and Now")
	}
	s := &Sockets{cfg: cfg, next: cfg.Min, open: map[*socket]struct{}{}}
	if cfg.Rand != nil {
		s.next += 2 * uint16(cfg.Rand.UintN(uint(s.pairs()))) //nolint:gosec // Within the range.
	}
	return s, nil
}

// pairs is how many pairs the range has.
func (s *Sockets) pairs() int { return (int(s.cfg.Max) - int(s.cfg.Min) + 1) / 2 }

// Open opens a pair of sockets. The Port is a ControlPort. It is called from the loop. Where no pair was free it fails with
// ErrNoPort at once, until one of ours is closed or a second has passed.
func (s *Sockets) Open(local netip.Addr) (Port, error) {
	if until, full := s.full[local]; full && s.cfg.Now() < until {
		return nil, s.noPort(local)
	}
	for range s.pairs() {
		at := s.next
		if s.next += 2; s.next < at || s.next >= s.cfg.Max {
			s.next = s.cfg.Min
		}
		rtp, err := s.listen(netip.AddrPortFrom(local, at))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return nil, err
		}
		rtp.rtcp, err = s.listen(netip.AddrPortFrom(local, at+1))
		if err == nil {
			err = s.start(rtp)
		}
		if err == nil {
			return rtp, nil
		}
		_ = rtp.conn.Close()
		if rtp.rtcp != nil {
			_ = rtp.rtcp.conn.Close()
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil, err
		}
	}
	if s.full == nil {
		s.full = map[netip.Addr]int64{}
	}
	s.full[local] = s.cfg.Now() + fullFor
	return nil, s.noPort(local)
}

func (s *Sockets) noPort(local netip.Addr) error {
	return fmt.Errorf("%w: %d to %d on %s", ErrNoPort, s.cfg.Min, s.cfg.Max, local)
}

// listen opens one socket.
func (s *Sockets) listen(at netip.AddrPort) (*socket, error) {
	var lc net.ListenConfig
	pc, err := lc.ListenPacket(context.Background(), "udp", at.String()) // to bind takes no time
	if err != nil {
		return nil, fmt.Errorf("RTP: %w", err)
	}
	conn, ok := pc.(*net.UDPConn)
	if !ok {
		_ = pc.Close()
		return nil, fmt.Errorf("RTP: %s is no UDP socket", at)
	}
	// Less than wished for is what the system allows.
	_, _ = conn.SetReadBuffer(bufferBytes), conn.SetWriteBuffer(bufferBytes)
	return &socket{sockets: s, conn: conn, local: at}, nil
}

// start has both sockets of a pair read.
func (s *Sockets) start(rtp *socket) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	s.open[rtp] = struct{}{}
	s.work.Go(rtp.read)
	s.work.Go(rtp.rtcp.read)
	return nil
}

// Lost is the number of datagrams that found the queue full.
func (s *Sockets) Lost() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lost
}

// Close closes all sockets and waits for their readers. It is called from the loop, or after its end.
func (s *Sockets) Close() error {
	s.mu.Lock()
	s.closed = true
	all := make([]*socket, 0, len(s.open))
	for p := range s.open {
		all = append(all, p)
	}
	s.mu.Unlock()
	var errs error
	for _, p := range all {
		errs = errors.Join(errs, p.Close())
	}
	s.work.Wait()
	return errs
}

// enter puts a datagram into the queue, and has the loop come for it. It reports false when all is closed.
func (s *Sockets) enter(it item, b []byte) bool {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return false
	}
	post := false
	if q := &s.waiting; len(q.bytes)+len(b)+perDatagram*len(q.items) > maxWaiting {
		s.lost++
	} else {
		q.bytes, q.items = append(q.bytes, b...), append(q.items, it)
		post = !s.posted
		s.posted = true
	}
	s.mu.Unlock()
	if post {
		s.cfg.Post(s.deliver)
	}
	return true
}

// deliver gives the loop what waits.
func (s *Sockets) deliver() {
	s.mu.Lock()
	q := s.waiting
	s.waiting, s.posted = s.spare, false
	s.spare = queue{} // in use until the end of this function
	s.mu.Unlock()
	at := 0
	for i := range q.items {
		it := &q.items[i]
		b := q.bytes[at : at+it.size : at+it.size]
		at += it.size
		if it.to.closed {
			continue
		}
		if s.cfg.Tap != nil {
			s.cfg.Tap.Datagram(it.at, it.from, it.to.local, b)
		}
		if it.to.receive != nil {
			it.to.receive(it.at, it.from, b)
		}
	}
	clear(q.items)
	s.mu.Lock()
	s.spare = queue{items: q.items[:0], bytes: q.bytes[:0]}
	s.mu.Unlock()
}

// socket is one end of a pair. Its fields belong to the loop, but conn, local and sockets, which do not change.
type socket struct {
	sockets *Sockets
	conn    *net.UDPConn
	local   netip.AddrPort
	rtcp    *socket // beside RTP
	receive func(now int64, from netip.AddrPort, b []byte)
	closed  bool
}

// Local is the address of the socket.
func (p *socket) Local() netip.AddrPort { return p.local }

// Control is the socket for RTCP.
func (p *socket) Control() Port { return p.rtcp }

// Receive has f get what arrives, in the loop.
func (p *socket) Receive(f func(now int64, from netip.AddrPort, b []byte)) { p.receive = f }

// Send sends a datagram.
func (p *socket) Send(to netip.AddrPort, b []byte) error {
	if p.closed {
		return net.ErrClosed
	}
	if _, err := p.conn.WriteToUDPAddrPort(b, to); err != nil {
		return fmt.Errorf("RTP: %w", err)
	}
	if p.sockets.cfg.Tap != nil {
		p.sockets.cfg.Tap.Datagram(p.sockets.cfg.Now(), p.local, to, b)
	}
	return nil
}

// Close closes the socket, and that for RTCP.
func (p *socket) Close() error {
	if p.closed {
		return nil
	}
	p.closed = true
	err := p.conn.Close()
	if p.rtcp != nil {
		err = errors.Join(err, p.rtcp.Close())
		p.sockets.mu.Lock()
		delete(p.sockets.open, p)
		p.sockets.mu.Unlock()
		delete(p.sockets.full, p.local.Addr())
	}
	return err
}

// read reads until the socket is closed. An error of a single datagram, such as a port that is not there, is passed over.
func (p *socket) read() {
	var b [maxDatagram]byte
	for failed := 0; failed < maxBackoff; {
		n, from, err := p.conn.ReadFromUDPAddrPort(b[:])
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			failed++
			continue
		}
		failed = 0
		from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
		if !p.sockets.enter(item{to: p, from: from, at: p.sockets.cfg.Now(), size: n}, b[:n]) {
			return
		}
	}
}
