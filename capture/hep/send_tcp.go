package hep

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// link is one connection to a collector.
type link struct {
	net.Conn               // TCP, or TLS over it
	tcp      *net.TCPConn  // beneath
	raw      atomic.Int64  // bytes written to tcp
	gone     chan struct{} // closed when the other end is gone
	clean    bool          // it said good-bye after it had read all that its kernel acknowledged; valid once gone
	err      error         // why; valid once gone
	written  []written     // what is on its way
	broke    error         // what a write said; the system tells an error once, and the reading may then see a good-bye
}

// written says that the stream up to off is within the first raw bytes of a connection: TLS makes more of them.
type written struct{ raw, off int64 }

// ackMark says that the peer had acknowledged the stream up to off at a time.
type ackMark struct {
	at  time.Time
	off int64
}

// counter counts what goes into a TCP connection.
type counter struct {
	*net.TCPConn
	n *atomic.Int64
}

func (c counter) Write(b []byte) (int, error) {
	n, err := c.TCPConn.Write(b)
	c.n.Add(int64(n))
	return n, err
}

// runTCP connects, and sends until ctx ends, or the sender is closed and everything was acknowledged.
func (s *Sender) runTCP(ctx context.Context) {
	var marks []ackMark
	for wait := minWait; ; wait = min(2*wait, maxWait) {
		l, err := s.connect(ctx)
		if err != nil {
			if ctx.Err() == nil {
				s.trouble(err)
			}
			if s.nothingLeft() || !pause(ctx, wait) {
				return
			}
			continue
		}
		wait = minWait
		s.linked(true)
		end := make(chan struct{})
		go func() {
			defer close(end)
			l.listen()
		}()
		stop := context.AfterFunc(ctx, func() { _ = l.tcp.Close() })
		more := s.pump(ctx, l, &marks)
		stop()
		s.linked(false)
		_ = l.Close()
		_ = l.tcp.Close()
		<-end
		if !more || !pause(ctx, wait) {
			return
		}
	}
}

// nothingLeft tells whether the sender is closed with nothing to send.
func (s *Sender) nothingLeft() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing && s.log.left() == 0
}

// connect makes a connection.
func (s *Sender) connect(ctx context.Context) (*link, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	d := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: maxSkew, Interval: connectTime, Count: 3}}
	c, err := d.DialContext(ctx, "tcp", s.hostPort)
	if err != nil {
		return nil, err
	}
	t, ok := c.(*net.TCPConn)
	if !ok || c.LocalAddr().String() == c.RemoteAddr().String() { // TCP can meet itself where nobody listens
		_ = c.Close()
		return nil, errors.New("no TCP connection to somebody else")
	}
	l := &link{tcp: t, gone: make(chan struct{})}
	l.Conn = counter{TCPConn: t, n: &l.raw}
	if s.over == overTCP {
		return l, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.o.TLS != nil {
		config = s.o.TLS.Clone()
	}
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(s.hostPort)
	}
	secure := tls.Client(l.Conn, config)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = t.Close()
		return nil, err
	}
	l.Conn = secure
	return l, nil
}

// listen waits for the other end to go. A collector says nothing; what it says is read and forgotten, for bytes that
// nobody read would turn our closing into a reset.
func (l *link) listen() {
	b := make([]byte, 4<<10)
	for {
		if _, err := l.Read(b); err != nil {
			l.clean, l.err = errors.Is(err, io.EOF), err
			close(l.gone)
			_ = l.tcp.SetWriteDeadline(time.Unix(1, 0)) // a write under way must not wait any longer
			return
		}
	}
}

// pump sends until the connection is gone (true), or there is nothing more to do.
func (s *Sender) pump(ctx context.Context, l *link, marks *[]ackMark) (more bool) {
	var polled time.Time
	timer := time.NewTimer(pollEvery)
	defer timer.Stop()
	for {
		piece, end := s.nextPiece(l)
		wait := pollEvery
		if now := s.o.Now(); len(piece) == 0 || now.Sub(polled) >= pollEvery {
			polled = now
			all, waiting := s.poll(l, marks, now)
			if all && end {
				return false
			}
			wait = restFor(all, waiting)
		}
		if len(piece) > 0 {
			n, err := l.Write(piece)
			s.wrote(l, n)
			if err == nil && ctx.Err() == nil {
				continue
			}
			if !errors.Is(err, os.ErrDeadlineExceeded) { // which is the reading's way to end a write
				l.broke = err
			}
			l.leave()
		}
		timer.Reset(wait)
		select {
		case <-l.gone:
			s.lost(l, marks)
			return ctx.Err() == nil
		case <-ctx.Done():
			return false
		case <-s.wake:
		case <-timer.C:
		}
	}
}

// restFor is how long to wait before the next look: all that was sent has been acknowledged, or something is waiting.
func restFor(all, waiting bool) time.Duration {
	switch {
	case !all:
		return pollEvery
	case waiting: // on disk, for room in memory: there is some now
		return 0
	default:
		return quietEvery
	}
}

// leave closes a connection that a write could not use, and waits for the reading to end: it may be about to end by
// itself, and then says why.
func (l *link) leave() {
	t := time.AfterFunc(pollEvery, func() { _ = l.tcp.Close() })
	defer t.Stop()
	<-l.gone
}

// nextPiece is what to write next; end tells that nothing comes after all is sent.
func (s *Sender) nextPiece(l *link) (piece []byte, end bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.log.sent
	lost, err := s.log.refill()
	if err != nil {
		s.stats.Dropped += lost
		s.stats.Errors++
		s.stats.LastError = err.Error()
		if s.log.sent < before { // half a message is on its way and will never be whole
			_ = l.tcp.Close()
		}
	}
	piece = s.log.pending(maxWrite)
	return piece, len(piece) == 0 && s.closing && s.log.left() == 0
}

func (s *Sender) wrote(l *link, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log.wrote(n)
	l.written = append(l.written, written{raw: l.raw.Load(), off: s.log.sent})
}

// poll asks what was acknowledged, and lets go of what was long enough ago. It tells whether all was that was sent, and
// whether more waits.
func (s *Sender) poll(l *link, marks *[]ackMark, now time.Time) (all, waiting bool) {
	n, known := unacked(l.tcp)
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.log.sent // where the kernel does not tell, all that was sent is kept for a while
	if known {
		at = l.acknowledged(n, s.log.acked)
	}
	if at > s.log.acked {
		s.log.ack(at)
		*marks = append(*marks, ackMark{at: now, off: at})
	}
	old := 0
	for old < len(*marks) && now.Sub((*marks)[old].at) > keepFor {
		old++
	}
	if old > 0 {
		s.log.keep((*marks)[old-1].off)
		*marks = append((*marks)[:0], (*marks)[old:]...)
	}
	return s.log.acked == s.log.sent, s.log.left() > 0
}

// acknowledged is how far the stream was acknowledged when n bytes of the connection were not; it was so up to before.
func (l *link) acknowledged(n, before int64) (off int64) {
	raw := l.raw.Load() - n
	i := 0
	for i < len(l.written) && l.written[i].raw <= raw {
		before = max(before, l.written[i].off)
		i++
	}
	l.written = append(l.written[:0], l.written[i:]...)
	return before
}

// lost goes back to what the collector may not have. One that said good-bye had read what its kernel acknowledged; one
// that did not may have died with all that the kernel had for it.
func (s *Sender) lost(l *link, marks *[]ackMark) {
	now := s.o.Now()
	_, known := unacked(l.tcp)
	s.poll(l, marks, now)
	s.mu.Lock()
	defer s.mu.Unlock()
	to := s.log.acked
	err := l.broke
	if err == nil && !l.clean {
		err = l.err
	}
	if err != nil || !known {
		to = s.log.kept
	}
	s.log.rewind(to)
	*marks = (*marks)[:0]
	if s.log.acked > s.log.kept {
		*marks = append(*marks, ackMark{at: now, off: s.log.acked})
	}
	if err != nil {
		s.stats.Errors++
		s.stats.LastError = err.Error()
	}
}
