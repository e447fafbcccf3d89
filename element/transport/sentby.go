package transport

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
)

// SentBy is the own address that a Via or Contact towards hop names (RFC 3261 18.1.1): that of the listener of hop's
// transport at hop's own address, or of the first of the address family. For one that is bound to all addresses it is the
// address from which the system would send to hop. Where nothing listens for a reliable transport, it is another
// listener: the responses come over the connection, and requests find somebody. The error wraps ErrNoListener when there
// is no listener of the family, or says why the system has no way to hop.
func (e *Endpoint) SentBy(hop Hop) (netip.AddrPort, error) {
	l := e.listenerFor(hop)
	if l == nil {
		return netip.AddrPort{}, fmt.Errorf("%s to %s: %w", hop.Proto, hop.Remote, ErrNoListener)
	}
	at := l.at.AddrPort
	if !at.Addr().IsUnspecified() {
		return at, nil
	}
	if a := hop.Local.Addr().Unmap(); a.IsValid() && !a.IsUnspecified() {
		return netip.AddrPortFrom(a, at.Port()), nil
	}
	local, err := e.sentBy.find(hop.Remote.Addr().Unmap(), e.Now())
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("own address towards %s: %w", hop.Remote, err)
	}
	return netip.AddrPortFrom(local, at.Port()), nil
}

// listenerFor is the listener that stands for the own end of hop; nil when there is none of the address family.
func (e *Endpoint) listenerFor(hop Hop) *listener {
	if hop.Proto == UDP {
		return e.udpListener(hop)
	}
	local, remote := hop.Local.Addr().Unmap(), hop.Remote.Addr().Unmap()
	v4 := remote.Is4()
	if !remote.IsValid() {
		v4 = local.Is4()
	}
	var best *listener
	score := 0
	for _, l := range e.listeners {
		if l.at.Addr().Is4() != v4 {
			continue
		}
		n := 1
		if l.at.Proto == hop.Proto {
			n += 8
		}
		switch {
		case local.IsValid() && l.at.Addr() == local && l.at.Port() == hop.Local.Port():
			n += 5
		case local.IsValid() && l.at.Addr() == local:
			n += 4
		case l.at.Addr().IsUnspecified():
			n += 2
		}
		if n > score && (l.at.Proto == hop.Proto || hop.Proto.Reliable()) {
			best, score = l, n
		}
	}
	return best
}

// concrete puts the address from which the system sends to remote in the place of "all addresses".
func (e *Endpoint) concrete(local netip.AddrPort, remote netip.Addr) netip.AddrPort {
	if a, err := e.sentBy.find(remote, e.Now()); err == nil {
		return netip.AddrPortFrom(a, local.Port())
	}
	return local
}

// localCache remembers the own address towards others, which costs some system calls to find out.
type localCache struct {
	known map[netip.Addr]localEntry
}

type localEntry struct {
	local netip.Addr
	until int64 // routes change
}

const (
	localMost = 4096 // entries
	localLife = 30e9 // ns
)

var errNoLocal = errors.New("the system names no own address")

// find asks the system, by a socket that is connected and never used: no packet is sent.
func (c *localCache) find(remote netip.Addr, now int64) (netip.Addr, error) {
	if known, ok := c.known[remote]; ok && now < known.until {
		return known.local, nil
	}
	to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(remote, 9))
	conn, err := net.DialUDP(network("udp", remote), nil, to)
	if err != nil {
		return netip.Addr{}, err
	}
	local := addrPortOf(conn.LocalAddr()).Addr()
	_ = conn.Close()
	if !local.IsValid() {
		return netip.Addr{}, errNoLocal
	}
	if c.known == nil || len(c.known) >= localMost {
		c.known = make(map[netip.Addr]localEntry)
	}
	c.known[remote] = localEntry{local: local, until: now + localLife}
	return local, nil
}
