package transport

import (
	"errors"
	"slices"
)

// A peer that has sent its last over a connection may still read, and wait for the responses to what it has sent, or have
// gone for good, and listen for them at the port of its Via (RFC 3261 18.2.2). Which of the two cannot be known before
// something is sent. So a connection over which responses are owed is kept. They go by it, and once more over a new one
// if it turns out to be broken.

// kept is a message that may have to be sent over another connection.
type kept struct {
	sent sent
	text []byte
}

const (
	// endedLife is for how long (ns) such a connection is kept: 64*T1, the time of a transaction.
	endedLife = 32e9
	// endedCheck is for how long (ns) after the last response a peer that is gone has time to say so.
	endedCheck = 400e6
	// keptMost is how many messages of a connection are kept, keptBytes of which size each.
	keptMost  = 16
	keptBytes = 16 << 10
)

// halfClosed is told when the peer has sent its last over a connection that it is owed responses over.
func (e *Endpoint) halfClosed(c *conn) {
	c.list.remove(c)
	c.used = e.Now()
	e.conns.ended.push(c)
}

// keep remembers what is sent over a connection that may be broken already; false leaves it to its only way.
func (c *conn) keep(raw []byte, s *sent) bool {
	if !c.readDone || len(c.kept) >= keptMost || len(raw) > keptBytes {
		return false
	}
	c.kept = append(c.kept, kept{sent: *s, text: slices.Clone(raw)})
	return true
}

// sweepEnded closes the connections over which nothing is owed any more, or for too long.
func (e *Endpoint) sweepEnded(now int64) {
	for c := e.conns.ended.first; c != nil; {
		next := c.next
		switch {
		case now-c.used >= endedLife:
			e.drop(c, ErrConnGone)
		case c.owed <= 0 && c.state == connOpen && now-c.wroteAt >= endedCheck:
			e.endAfterWriting(c)
		}
		c = next
	}
}

// isOwn reports whether a connection ends by a decision from here, and is not broken.
func isOwn(err error) bool {
	for _, own := range [...]error{ErrConnGone, ErrClosed, ErrTooMany, ErrMemory, ErrSlow} {
		if errors.Is(err, own) {
			return true
		}
	}
	return false
}

// lost tells Config.Ended of the end of a connection, unless that is a decision from here.
func (e *Endpoint) lost(c *conn, err error) {
	if e.cfg.Ended == nil || c.told || c.state == connClosing || isOwn(err) || errors.Is(err, ErrIdle) {
		return
	}
	c.told = true
	e.cfg.Ended(c.proto, c.remote, err)
}

// sendElsewhere sends what was kept of a connection that has broken.
func (e *Endpoint) sendElsewhere(c *conn) {
	again := c.kept
	c.kept = nil
	for i := range again {
		k := &again[i]
		to := k.sent.hop
		to.Conn = 0
		k.sent.kept = false
		if err := e.sendConn(to, k.text, k.sent); err != nil {
			e.failed(c.count, k.sent.hop, k.sent.tag, err)
		}
	}
}
