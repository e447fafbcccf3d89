package hep

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"time"
)

const (
	// handshakeTime is how long a TLS handshake may take.
	handshakeTime = 10 * time.Second
	// messageTime is how long a message may take from its first to its last byte.
	messageTime = 30 * time.Second
	// squatTime is how long a connection must have been quiet to give way when MaxConns are open.
	squatTime = time.Minute
	// A connection begins with so much room and gets more as bytes come: a message and what was read behind it.
	minRoom = 4 << 10
	maxRoom = 128 << 10
)

// conn is one connection of an agent.
type conn struct {
	raw  net.Conn
	last int64 // when it last gave a message, or was accepted, by Listener.clock; guarded by Listener.mu
}

// acceptTCP takes connections until the socket is closed.
func (l *Listener) acceptTCP(s *socket) {
	for {
		raw, err := s.tcp.Accept()
		if err != nil {
			if l.failed(err) {
				return
			}
			time.Sleep(restAfter) // out of descriptors, perhaps
			continue
		}
		c := &conn{raw: raw}
		if !l.admit(c) {
			_ = raw.Close()
			continue
		}
		l.tasks.Go(func() {
			defer l.dismiss(c)
			l.serve(c, s.tls)
		})
	}
}

// admit notes a connection, unless there are too many.
func (l *Listener) admit(c *conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false
	}
	_, c.last = l.clock()
	if len(l.conns) >= l.o.MaxConns {
		quiet := c
		for other := range l.conns {
			if other.last < quiet.last {
				quiet = other
			}
		}
		if c.last-quiet.last < int64(squatTime) {
			l.stats.Refused++
			return false
		}
		l.stats.TimedOut++
		delete(l.conns, quiet)
		_ = quiet.raw.Close()
	}
	l.stats.Connections++
	l.conns[c] = struct{}{}
	return true
}

func (l *Listener) dismiss(c *conn) {
	_ = c.raw.Close()
	l.mu.Lock()
	delete(l.conns, c)
	l.mu.Unlock()
}

// serve reads one connection to its end.
func (l *Listener) serve(c *conn, secure bool) {
	r := c.raw
	if secure {
		t := tls.Server(c.raw, l.o.TLS)
		_ = c.raw.SetDeadline(time.Now().Add(handshakeTime))
		if err := t.Handshake(); err != nil { //nolint:noctx // the deadline and the closing of the socket end it
			l.count(func(s *ListenStats) { s.Handshakes++ })
			return
		}
		_ = c.raw.SetDeadline(time.Time{})
		r = t
	}
	src, dst := ends(c.raw)
	var p Packet
	var begun time.Time // when the message that b begins with did
	b, n := make([]byte, minRoom), 0
	for {
		if n == 0 {
			_ = c.raw.SetReadDeadline(time.Now().Add(l.o.Idle))
		} else {
			_ = c.raw.SetReadDeadline(begun.Add(l.o.patience))
		}
		k, err := r.Read(b[n:])
		full := n+k == len(b)
		used, ok := l.frame(b[:n+k], src, dst, &p)
		if used > 0 || n == 0 {
			begun = time.Now()
			l.active(c)
		}
		n = copy(b, b[used:n+k])
		if !ok || err != nil {
			l.hungUp(err, ok, n)
			return
		}
		if full && len(b) < maxRoom {
			more := make([]byte, 2*len(b))
			copy(more, b[:n])
			b = more
		}
	}
}

// active notes that a connection gave something.
func (l *Listener) active(c *conn) {
	l.mu.Lock()
	_, c.last = l.clock()
	l.mu.Unlock()
}

// frame takes the whole messages that b begins with, and tells how many bytes they are. ok is false when something else
// follows.
func (l *Listener) frame(b []byte, src, dst netip.AddrPort, p *Packet) (used int, ok bool) {
	for used < len(b) {
		n, state := Extent(b[used:])
		switch state {
		case NotHEP:
			return used, false
		case NeedMore:
			return used, true
		default:
			l.accept(b[used:used+n:used+n], src, dst, p)
			used += n
		}
	}
	return used, true
}

// hungUp notes how a connection ended. ok is false for what is no HEP; left is how many bytes of a message were there.
func (l *Listener) hungUp(err error, ok bool, left int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !ok:
		l.stats.Garbage++
	case l.closed || errors.Is(err, net.ErrClosed):
	case errors.Is(err, os.ErrDeadlineExceeded):
		l.stats.TimedOut++
	case left > 0:
		l.stats.Cut++
	case !errors.Is(err, io.EOF):
		l.stats.LastError = err.Error()
	}
}

// ends are the addresses of a connection.
func ends(c net.Conn) (src, dst netip.AddrPort) {
	if a, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		src = plain(a.AddrPort())
	}
	if a, ok := c.LocalAddr().(*net.TCPAddr); ok {
		dst = plain(a.AddrPort())
	}
	return src, dst
}
