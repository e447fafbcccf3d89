package hep

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

const (
	// sendMemory is the part of a backlog in memory. Two thirds of it are more than what the kernel of the other end holds
	// for a collector (6 MiB is Linux' bound), so that what gets lost there can be sent again.
	sendMemory   = 12 << 20
	defaultLimit = 256 << 20
	// keepFor is how long messages stay after the peer's kernel acknowledged them: when a collector dies, what it had not
	// read is lost in there.
	keepFor = 10 * time.Second
	// pollEvery is how often the kernel is asked what was acknowledged.
	pollEvery = 20 * time.Millisecond
	// quietEvery is how often that is while nothing is on its way.
	quietEvery = time.Second
	// maxWrite is how much is written at once, in bytes.
	maxWrite = 64 << 10
	// Connecting is tried again after minWait, doubled each time up to maxWait.
	minWait     = 50 * time.Millisecond
	maxWait     = time.Second
	connectTime = 5 * time.Second
)

// ErrFull says that there is no room for a message: the collector is away for too long.
var ErrFull = errors.New("buffer is full")

// SendOptions say where to send and as whom.
type SendOptions struct {
	Address   string      // "udp:host:port", "tcp:host:port" or "tls:host:port"
	TLS       *tls.Config // for tls; nil checks the collector's certificate against the system's
	CaptureID uint32      // of messages that have none
	Node      string      // name of the agent, of messages that have none
	Key       string      // authentication key, of messages that have none
	Compress  bool        // zlib, for payloads that it makes shorter
	Dir       string      // where messages wait on disk, tcp and tls only; "" is os.TempDir
	Limit     int64       // bytes on disk; 0 is 256 MiB, below 0 none

	// Now is the clock that says for how long acknowledged messages are kept; nil is time.Now.
	Now func() time.Time
}

// SendStats count since the start, but for Buffered, Disk and Connected, which are of now.
type SendStats struct {
	Sent       uint64 // messages written to a socket; each counts once
	Resent     uint64 // messages written once more after a connection broke: the collector may have got them twice
	Buffered   uint64 // messages that wait
	Disk       int64  // bytes that wait on disk
	Dropped    uint64 // messages that nobody gets: no room, or they fit no message
	Errors     uint64 // of the socket; over UDP each may stand for a datagram that nobody got
	Reconnects uint64 // connections after the first
	Connected  bool   // over UDP: the name was resolved
	LastError  string // empty when there was none
}

// Sender sends messages of version 3 to a collector. It is safe for concurrent use.
type Sender struct {
	o        SendOptions
	over     transport
	hostPort string
	wake     chan struct{}
	cancel   context.CancelFunc
	ended    chan struct{}

	mu      sync.Mutex // guards what follows
	log     *backlog
	stats   SendStats
	scratch []byte
	closing bool // no more messages come; the rest is to be sent
	links   uint64
}

// NewSender begins to connect, and returns at once: a collector that is away is no error. The end of ctx ends the sender
// without sending the rest; see Close.
func NewSender(ctx context.Context, o SendOptions) (*Sender, error) {
	return newSender(ctx, o, sendMemory)
}

func newSender(ctx context.Context, o SendOptions, memory int) (*Sender, error) {
	over, hostPort, err := parseAddress(o.Address, true)
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Dir == "" {
		o.Dir = os.TempDir()
	}
	if o.Limit == 0 {
		o.Limit = defaultLimit
	}
	if over == overUDP || o.Limit < 0 {
		o.Limit = 0 // there is no way to know what datagrams did not arrive, so none wait for better times
	}
	s := &Sender{
		o: o, over: over, hostPort: hostPort, wake: make(chan struct{}, 1), ended: make(chan struct{}),
		log: newBacklog(memory, o.Dir, o.Limit),
	}
	ctx, s.cancel = context.WithCancel(ctx)
	go func() {
		defer close(s.ended)
		if over == overUDP {
			s.runUDP(ctx)
		} else {
			s.runTCP(ctx)
		}
		s.mu.Lock()
		s.closing = true // also when ctx ended
		s.stats.Connected = false
		s.mu.Unlock()
	}()
	return s, nil
}

// Send queues a message, and fills in CaptureID, Node and Key where they are empty. It never waits for the network; it may
// write to disk. p is used no more when it returns. Errors: ErrFull, ErrClosed, ErrTooLarge (over UDP, more than
// MaxDatagram), those of the disk, and what Append says; all but ErrClosed count as dropped.
func (s *Sender) Send(p *Packet) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return ErrClosed
	}
	err := s.put(p)
	if err != nil {
		s.stats.Dropped++
		s.stats.LastError = err.Error()
		return err
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return nil
}

func (s *Sender) put(p *Packet) (err error) {
	q := *p
	if q.CaptureID == 0 {
		q.CaptureID = s.o.CaptureID
	}
	s.scratch = s.scratch[:0]
	if len(q.Node) == 0 {
		s.scratch = append(s.scratch, s.o.Node...)
		q.Node = s.scratch
	}
	if len(q.Key) == 0 {
		from := len(s.scratch)
		s.scratch = append(s.scratch, s.o.Key...)
		q.Key = s.scratch[from:]
	}
	from := len(s.scratch)
	if s.scratch, err = Append(s.scratch, &q, Encoding{Compress: s.o.Compress}); err != nil {
		return err
	}
	m := s.scratch[from:]
	if s.over == overUDP && len(m) > MaxDatagram {
		return fmt.Errorf("HEP: message of %d bytes over UDP: %w", len(m), ErrTooLarge)
	}
	return s.log.put(m)
}

// Close takes no more messages, sends what waits until ctx ends, and closes the connection. The error is that of ctx when
// something is left, which Stats tells.
func (s *Sender) Close(ctx context.Context) error {
	s.mu.Lock()
	s.closing = true
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
	select {
	case <-s.ended:
	case <-ctx.Done():
	}
	s.cancel()
	<-s.ended
	s.mu.Lock()
	defer s.mu.Unlock()
	left := s.log.left() > 0 || s.log.acked < s.log.sent
	if err := s.log.disk.close(); err != nil {
		return err
	}
	switch {
	case !left:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("not all messages reached %s: %w", s.o.Address, context.Cause(ctx))
	}
	return fmt.Errorf("not all messages reached %s: %w", s.o.Address, context.Canceled)
}

// Stats counts what was sent.
func (s *Sender) Stats() SendStats {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stats
	st.Sent, st.Resent, st.Buffered = s.log.done, s.log.again, s.log.queued
	st.Disk = s.log.disk.size()
	st.Reconnects = max(s.links, 1) - 1
	return st
}

// trouble takes note of an error.
func (s *Sender) trouble(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Errors++
	s.stats.LastError = err.Error()
}

// linked takes note of a connection being there, or gone.
func (s *Sender) linked(yes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stats.Connected = yes; yes {
		s.links++
	}
}

// pause waits before connecting again.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
