package transport

import (
	"context"
	"errors"
	"net/netip"
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
		if !e.switchToTCP(hop, raw, tag) {
			e.sendUDP(hop, raw, tag)
		}
		return
	}
	if err := e.sendConn(hop, raw, sent{hop: hop, tag: tag}); err != nil {
		e.failed(nil, hop, tag, err)
	}
}

// sendConn queues raw on a connection that leads to hop.
func (e *Endpoint) sendConn(hop Hop, raw []byte, s sent) error {
	c, err := e.connFor(hop)
	if err != nil {
		return err
	}
	err = c.enqueue(raw, s, e.cfg.MaxQueue)
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
	now := e.Now()
	e.conns.touch(c, now, false)
	if s.tag != 0 {
		if len(c.unheard) == unheardMost {
			copy(c.unheard, c.unheard[1:])
			c.unheard = c.unheard[:unheardMost-1]
		}
		c.unheard = append(c.unheard, s)
	}
	return nil
}

// connFor finds or makes the connection for a hop.
func (e *Endpoint) connFor(hop Hop) (*conn, error) {
	remote := unmap(hop.Remote)
	if c := e.existing(&hop, remote); c != nil {
		return c, nil
	}
	// A browser cannot be called back; odd numbers are of accepted connections.
	if (hop.Proto == WS || hop.Proto == WSS) && hop.Conn%2 == 1 {
		return nil, ErrConnGone
	}
	return e.dial(hop, remote)
}

// existing finds the connection that hop names, or one that is open, or being made, and leads to the same place.
func (e *Endpoint) existing(hop *Hop, remote netip.AddrPort) *conn {
	if c := e.conns.byID[hop.Conn]; c != nil && c.state <= connOpen && c.proto == hop.Proto {
		return c
	}
	for c := e.conns.byRemote[remoteKey{hop.Proto, remote}]; c != nil; c = c.sibling {
		if c.state <= connOpen && c.fits(hop, e.cfg.Insecure) {
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
// name, which is not another's (RFC 5922 4), and an accepted one was not verified at all. An own address that was asked
// for must be that of the connection.
func (c *conn) fits(hop *Hop, insecure bool) bool {
	if c.proto.Secure() && !insecure && c.name != hop.Name && (hop.Name != "" || c.ln == nil) {
		return false
	}
	want, is := hop.Local.Addr().Unmap(), c.local.Addr()
	return !want.IsValid() || want.IsUnspecified() || !is.IsValid() || is.IsUnspecified() || want == is
}
