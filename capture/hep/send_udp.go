package hep

import (
	"context"
	"errors"
	"net"
	"syscall"
	"time"
)

// redialAfter is how long errors last before the name is looked up again.
const redialAfter = 5 * time.Second

// runUDP sends datagrams until ctx ends, or the sender is closed and nothing is left. Nothing tells whether a datagram
// arrived. A collector that is away may be told of by ICMP, some time later and for one of several; that counts as an
// error, and the next ones are sent all the same.
func (s *Sender) runUDP(ctx context.Context) {
	var d net.Dialer
	for wait := minWait; ; wait = min(2*wait, maxWait) {
		dctx, cancel := context.WithTimeout(ctx, connectTime)
		c, err := d.DialContext(dctx, "udp", s.hostPort)
		cancel()
		if err == nil {
			s.linked(true)
			again := s.pumpUDP(ctx, c)
			s.linked(false)
			_ = c.Close()
			if !again {
				return
			}
			wait = minWait
		} else if ctx.Err() == nil {
			s.trouble(err)
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

// pumpUDP sends until there is nothing more to do, or errors have lasted.
func (s *Sender) pumpUDP(ctx context.Context, c net.Conn) (again bool) {
	var room []byte
	var since time.Time // of the first error in a row
	for {
		s.mu.Lock()
		m := s.log.message(room)
		end := m == nil && s.closing
		s.mu.Unlock()
		switch {
		case end || ctx.Err() != nil:
			return false
		case m == nil:
			select {
			case <-ctx.Done():
				return false
			case <-s.wake:
			}
			continue
		}
		if cap(m) > cap(room) && len(m) <= MaxDatagram {
			room = make([]byte, 0, 64<<10)
		}
		_, err := c.Write(m)
		if errors.Is(err, syscall.ECONNREFUSED) {
			s.trouble(err) // of an earlier one; this one was not tried
			_, err = c.Write(m)
		}
		now := s.o.Now()
		if s.datagram(len(m), err); err == nil {
			since = time.Time{}
		} else if since.IsZero() {
			since = now
		}
		if !since.IsZero() && now.Sub(since) > redialAfter {
			return true
		}
	}
}

// datagram takes note of a datagram of n bytes that was sent, or could not be.
func (s *Sender) datagram(n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log.wrote(n)
	s.log.forget()
	if err != nil {
		s.log.done--
		s.stats.Dropped++
		s.stats.Errors++
		s.stats.LastError = err.Error()
	}
}
