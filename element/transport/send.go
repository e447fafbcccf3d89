package transport

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"strings"
)

// Send sends raw over the transport of hop, which it copies. A request above Config.MTU that is meant for UDP goes by TCP
// (see mtu.go). Over a connection it is queued: on hop.Conn while that is open, else on an open connection to
// hop.Remote, else on a new one.
func (e *Endpoint) Send(hop Hop, raw []byte, tag uint64) {
	if !hop.Remote.IsValid() || hop.Remote.Port() == 0 || hop.Proto.String() == "" {
		e.failed(nil, hop, tag, ErrAddress)
		return
	}
	if hop.Proto == UDP {
		key := uint64(0)
		if tag != 0 || len(e.switches.known) > 0 {
			key = branchKey(e.seed, raw)
		}
		if !e.switchToTCP(hop, raw, tag, key) {
			e.sendUDP(hop, raw, tag, key)
		}
		return
	}
	if err := e.sendConn(hop, raw, sent{hop: hop, tag: tag}); err != nil {
		e.failed(nil, hop, tag, err)
	}
}

// sendConn queues raw on a connection that leads to hop.
func (e *Endpoint) sendConn(hop Hop, raw []byte, s sent) error {
	reply := bytes.HasPrefix(raw, []byte("SIP/"))
	c, err := e.connFor(hop, reply)
	if err != nil {
		return err
	}
	s.kept = c.keep(raw, &s)
	err = c.enqueue(e, raw, s)
	if err != nil && s.kept {
		c.kept = c.kept[:len(c.kept)-1]
	}
	if errors.Is(err, ErrSlow) {
		if c.state == connOpen {
			e.totals.slow.Add(1)
		}
		e.drop(c, ErrSlow)
	}
	if err != nil {
		return err
	}
	if c.state == connOpen {
		e.wrote(c, raw)
		e.conns.wake(c)
	}
	e.written(c, s)
	if reply && c.owed > 0 && len(raw) > 8 && raw[8] >= '2' { // of "SIP/2.0 200"
		c.owed--
	}
	if c.readDone {
		c.wroteAt = e.Now()
	} else {
		e.conns.touch(c, e.Now(), false)
	}
	return nil
}

// written remembers, with a tag, what the peer may never read.
func (e *Endpoint) written(c *conn, s sent) {
	if s.tag == 0 || c.readDone {
		return
	}
	if s.at = e.Now(); len(c.unheard) > 0 {
		s.crossed = c.unheard[len(c.unheard)-1].crossed
	} else {
		s.crossed = s.at-max(c.used, c.alive.Load()) >= crossedIdle
	}
	if len(c.unheard) == unheardMost {
		copy(c.unheard, c.unheard[1:])
		c.unheard = c.unheard[:unheardMost-1]
	}
	c.unheard = append(c.unheard, s)
}

// connFor finds or makes the connection for a hop.
func (e *Endpoint) connFor(hop Hop, reply bool) (*conn, error) {
	remote := unmap(hop.Remote)
	if c := e.existing(&hop, remote, reply); c != nil {
		return c, nil
	}
	// A browser cannot be called back; odd numbers are of accepted connections.
	if hop.NoDial || (hop.Proto == WS || hop.Proto == WSS) && hop.Conn%2 == 1 {
		return nil, ErrConnGone
	}
	return e.dial(hop, remote)
}

// existing finds the connection that hop names, or one that is open, or being made, and leads to the same place. One over
// which the peer sends nothing any more is for responses alone.
func (e *Endpoint) existing(hop *Hop, remote netip.AddrPort, reply bool) *conn {
	c := e.conns.byID[hop.Conn]
	if c != nil && c.state <= connOpen && c.proto == hop.Proto && (reply || !c.readDone) {
		return c
	}
	for c = e.conns.byRemote[remoteKey{hop.Proto, remote}]; c != nil; c = c.sibling {
		if c.state <= connOpen && !c.readDone && c.fits(hop, e.cfg.Insecure) {
			return c
		}
	}
	return nil
}

// dial begins a connection to remote, from hop's own address, or from that of the first listener.
func (e *Endpoint) dial(hop Hop, remote netip.AddrPort) (*conn, error) {
	local := hop.Local.Addr().Unmap()
	if !local.IsValid() {
		if l := e.listenerFor(hop); l != nil && l.at.Proto == hop.Proto {
			local = l.at.Addr()
		}
	}
	if local.Is4() != remote.Addr().Is4() {
		local = netip.Addr{}
	}
	c := e.newConn(hop.Proto, nil, netip.AddrPortFrom(local, 0), remote)
	if c == nil {
		return nil, ErrTooMany
	}
	c.name = hop.Name
	e.totals.dials.Add(1)
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	e.wg.Go(func() { e.serveDialled(ctx, c, local, remote) })
	return c, nil
}

// fits reports whether what is meant for hop may go over c. Who the peer of a TLS connection is was verified for one
// name, which is not another's (RFC 5922 4), and an accepted one was not verified at all. A WebSocket server was told one
// name, by which it chose who is to serve. An own address that was asked for must be that of the connection.
func (c *conn) fits(hop *Hop, insecure bool) bool {
	named := c.proto == WS || c.proto == WSS || c.proto == TLS && !insecure
	if named && !strings.EqualFold(c.name, hop.Name) && (hop.Name != "" || c.ln == nil) {
		return false
	}
	want, is := hop.Local.Addr().Unmap(), c.local.Addr()
	return !want.IsValid() || want.IsUnspecified() || !is.IsValid() || is.IsUnspecified() || want == is
}
