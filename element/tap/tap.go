// Package tap lets the messages that an element sends and receives be read as captured packets: for a pcap file of its
// own traffic, and for the ladder that is drawn while it runs.
//
//	loop of the link ─▶ Source.Message ─▶ chunks of frames, bounded ─▶ Source.Next ─▶ correlate.Run, a writer
//
// A frame is IPv4 or IPv6 (LINKTYPE_RAW) with UDP or TCP and true checksums. What goes over TCP, TLS or WebSocket
// becomes the text in TCP segments, whose connection has its handshake and consistent sequence numbers both ways: TLS
// records and WebSocket frames, which would need keys to read, are left out.
//
// One Source taps one link: two ends of one connection would give each byte twice. Message and Datagram are for one
// goroutine, Next for one other; Close and Status for any. Message waits for nobody: where the reader is late and the
// bound reached, the newest is lost, as a whole, and counted.
package tap

import (
	"context"
	"io"
	"net/netip"
	"sync"
	"time"

	"sipscope/capture"
	"sipscope/element/transport"
)

// Bounds that hold where New is told none: packets that wait, and whatever their number bytes that wait.
const (
	DefaultLimit = 1 << 17
	maxWaiting   = 256 << 20
)

// Source is a transport.Tap, and a capture.Source of what it saw.
type Source struct {
	limit int
	wake  chan struct{} // has one when there is something new
	clock func() int64  // of Live
	timer *time.Timer

	mu      sync.Mutex // guards what follows
	queue   []*chunk   // oldest first; the last is being filled
	free    []*chunk
	waiting int   // packets
	bytes   int   // of them
	ticked  int64 // the time that Tick told
	last    int64 // that of the newest packet
	closed  bool
	taken   uint64 // packets
	lost    uint64 // messages and datagrams for which there was no room
	refused uint64 // those that no datagram can carry

	// Of the goroutine that calls Message.
	writer

	// Of the goroutine that calls Next.
	seq uint64
	now int64
}

var (
	_ capture.Source = (*Source)(nil)
	_ transport.Tap  = (*Source)(nil)
)

// New makes a Source where at most limit packets wait for Next, 0 for 131,072, and at most 256 MiB.
func New(limit int) *Source {
	if limit <= 0 {
		limit = DefaultLimit
	}
	return &Source{limit: limit, wake: make(chan struct{}, 1), writer: newWriter()}
}

// Live has Next tell the time of clock (nanoseconds since 1970-01-01 UTC) by an empty batch when nothing came for 10 ms,
// as the sources of capture do, so that what waits for time to pass goes on. It is for real sockets; a virtual network
// has no other time than that of its messages, and Tick. It is called before Next, whose goroutine calls clock.
func (s *Source) Live(clock func() int64) { s.clock = clock }

// Tick tells that the time is now (nanoseconds since 1970-01-01 UTC), though nothing was sent or received: Next gives an
// empty batch with it. Any goroutine may call it.
func (s *Source) Tick(now int64) {
	s.mu.Lock()
	s.ticked = max(s.ticked, now)
	s.mu.Unlock()
	s.notify()
}

// Message implements transport.Tap. A message that is too long for a UDP datagram is refused, and counted.
func (s *Source) Message(
	now int64, proto transport.Proto, conn uint64, src, dst netip.AddrPort, raw []byte,
) {
	if !proto.Reliable() {
		s.Datagram(now, src, dst, raw)
		return
	}
	f := s.stream(now, conn, src, dst, raw)
	s.mu.Lock()
	if s.room(f.packets, f.size) {
		f.write(s)
	}
	s.mu.Unlock()
	s.notify()
}

// Datagram sees a UDP datagram of any content, such as RTP. One that is told late has the time of what was told before it.
func (s *Source) Datagram(now int64, src, dst netip.AddrPort, payload []byte) {
	src, dst = family(src, dst)
	if len(payload) > maxDatagram(src.Addr()) {
		s.mu.Lock()
		s.refused++
		s.mu.Unlock()
		return
	}
	size := ipHead(src.Addr()) + udpHead + len(payload)
	s.mu.Lock()
	if s.room(1, size) {
		s.datagram(s.grow(now, size), src, dst, payload)
	}
	s.mu.Unlock()
	s.notify()
}

// room reports whether so much more may wait, and counts a loss when not. The lock is held.
func (s *Source) room(packets, size int) bool {
	switch {
	case s.closed:
		return false
	case s.waiting+packets > s.limit || s.bytes+size > maxWaiting:
		s.lost++
		return false
	}
	return true
}

func (s *Source) notify() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Close ends the source: Next gives what waits, then io.EOF. What comes later is not seen. It may be called again.
func (s *Source) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.notify()
	return nil
}

// Status tells what was seen (packets, handshakes included), and what was lost: Queue counts messages and datagrams that
// found no room, Rejected those that are too long for a datagram.
func (s *Source) Status() capture.SourceStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return capture.SourceStatus{
		Name: "own messages", Up: !s.closed, Received: s.taken, Queue: s.lost, Rejected: s.refused,
	}
}

// Next implements capture.Source. It waits for packets, a Tick, or the time of Live until ctx ends, and may be called again after that.
func (s *Source) Next(ctx context.Context, b *capture.Batch) error {
	b.Release()
	b.Now = s.now
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		ended, ticked := s.fill(b)
		switch {
		case len(b.Packets) > 0:
			s.now = b.Now
			return nil
		case ended:
			return io.EOF
		case ticked > s.now:
			s.now, b.Now = ticked, ticked
			return nil
		}
		if late, err := s.sleep(ctx); err != nil {
			return err
		} else if late {
			s.Tick(s.clock())
		}
	}
}

// tickEvery is how long Next waits before it gives an empty batch, when it has a clock.
const tickEvery = 10 * time.Millisecond

// sleep waits until something comes, or ctx ends; late: nothing came in time.
func (s *Source) sleep(ctx context.Context) (late bool, err error) {
	var tick <-chan time.Time
	if s.clock != nil {
		if s.timer == nil {
			s.timer = time.NewTimer(tickEvery) //nolint:forbidigo // how long to wait; what time it is says clock
		} else {
			s.timer.Reset(tickEvery)
		}
		defer s.timer.Stop()
		tick = s.timer.C
	}
	select {
	case <-ctx.Done():
		return false, context.Cause(ctx)
	case <-tick:
		return true, nil
	case <-s.wake:
		return false, nil
	}
}
