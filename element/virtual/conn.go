package virtual

import (
	"fmt"
	"net/netip"

	"sipscope/element/transport"
)

// peer is what a host finds an open connection by.
type peer struct {
	proto  transport.Proto
	remote netip.AddrPort
	name   string // that TLS verified the server for (RFC 5922 4); "" of the server, and without TLS
}

func (c *conn) peer(end int) peer {
	p := peer{proto: c.proto, remote: c.ends[1-end].addr}
	if c.proto.Secure() {
		p.name = c.ends[end].name
	}
	return p
}

// conn is a connection of a reliable transport: ends[0] opened it.
type conn struct {
	id    uint64
	proto transport.Proto
	ends  [2]end
}

type end struct {
	host *Host
	addr netip.AddrPort
	name string // the server's name, as the client asked for it
	last int64  // when the last message towards this end arrives
}

// isOpen reports whether c is open still.
func (n *Net) isOpen(c *conn) bool { return n.conns[c.id] == c }

// Disconnect closes a connection, as seen in a Hop. What is on its way is lost; no end is told before it sends again.
func (n *Net) Disconnect(id uint64) {
	c := n.conns[id]
	if c == nil {
		return
	}
	delete(n.conns, id)
	for i, e := range c.ends {
		if key := c.peer(i); e.host.peers[key] == c {
			delete(e.host.peers, key)
		}
	}
}

// stream sends over a connection: the one that the hop names, else one that leads there, else a new one.
func (h *Host) stream(hop transport.Hop, raw []byte, tag uint64) {
	n := h.net
	c, me, err := h.connection(hop)
	if err == nil && len(raw) > maxMessage {
		err = fmt.Errorf("%d bytes to %s: %w", len(raw), hop.Remote, transport.ErrTooLarge)
	}
	if err != nil {
		n.failed(h, hop, tag, 2*n.Latency, err)
		return
	}
	from, to := &c.ends[me], &c.ends[1-me]
	if !n.TapArrivals {
		n.tap(c.proto, c.id, from.addr, to.addr, raw)
	}
	p, _ := n.path(h, to.host)
	to.last = max(n.now+n.flight(p), to.last)
	n.stats.Sent++
	n.push(to.last, event{
		kind: eventMessage, host: to.host, conn: c, raw: append(n.queue.buffer(), raw...),
		hop: transport.Hop{Proto: c.proto, Local: to.addr, Remote: from.addr, Conn: c.id, Name: to.name},
	})
}

// connection finds or opens the connection for a hop, and says which end of it h is.
func (h *Host) connection(hop transport.Hop) (c *conn, me int, err error) {
	n := h.net
	c = n.conns[hop.Conn]
	if c == nil || c.ends[0].host != h && c.ends[1].host != h {
		key := peer{proto: hop.Proto, remote: hop.Remote}
		if hop.Proto.Secure() {
			key.name = hop.Name
		}
		c = h.peers[key]
	}
	if c == nil {
		if hop.NoDial {
			return nil, 0, fmt.Errorf("%s %s: %w", hop.Proto, hop.Remote, transport.ErrConnGone)
		}
		if c, err = h.dial(hop); err != nil {
			return nil, 0, err
		}
		return c, 0, nil
	}
	// A host that talks to itself has both ends: what came from one goes back to it.
	if c.ends[1].host == h && (c.ends[0].host != h || hop.Remote == c.ends[0].addr) {
		return c, 1, nil
	}
	return c, 0, nil
}

// dial opens a connection. It is there at once.
func (h *Host) dial(hop transport.Hop) (*conn, error) {
	n := h.net
	own, err := h.SentBy(hop)
	if err != nil {
		return nil, err
	}
	server := n.listeners[place{hop.Proto, hop.Remote}]
	if server == nil || server.unplugged || h.unplugged {
		n.stats.Unreachable++
		return nil, fmt.Errorf("%s %s: %w", hop.Proto, hop.Remote, ErrUnreachable)
	}
	n.lastConn++
	n.stats.Connections++
	c := &conn{id: n.lastConn, proto: hop.Proto, ends: [2]end{
		{host: h, addr: netip.AddrPortFrom(own.Addr(), h.ephemeral), name: hop.Name},
		{host: server, addr: hop.Remote},
	}}
	if h.ephemeral++; h.ephemeral == 0 { // it went round
		h.ephemeral = firstEphemeral
	}
	n.conns[c.id] = c
	h.peers[c.peer(0)] = c
	server.peers[c.peer(1)] = c
	return c, nil
}
