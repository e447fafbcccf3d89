package hep

import (
	"net"
	"net/netip"
	"time"
)

const (
	// maxRoutes bounds the table of own addresses by agent.
	maxRoutes = 1024
	// restAfter is how long a task rests after an error of a socket that may pass.
	restAfter = 10 * time.Millisecond
)

// readUDP receives datagrams until the socket is closed. One call a datagram is enough: it takes some 1 µs, and the
// kernel's buffer bridges what the scheduler does.
func (l *Listener) readUDP(c *net.UDPConn) {
	var p Packet
	b, oob := make([]byte, 64<<10), make([]byte, 128)
	own := newOwn(c.LocalAddr())
	var dropped uint32
	for {
		n, k, _, from, err := c.ReadMsgUDPAddrPort(b, oob)
		if err != nil {
			if l.failed(err) {
				return
			}
			time.Sleep(restAfter)
			continue
		}
		if d, ok := overflow(oob[:k]); ok && d != dropped {
			l.count(func(s *ListenStats) { s.Kernel += uint64(d - dropped) }) // wraps
			dropped = d
		}
		from = plain(from)
		l.accept(b[:n], from, own.to(from.Addr()), &p)
	}
}

// plain takes away what IP datagrams do not carry: zones, and IPv4 in IPv6.
func plain(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
}

// own knows the address that an agent sends to. It is used by one goroutine.
type own struct {
	addr  netip.AddrPort
	known map[netip.Addr]netip.Addr // by agent, when listening on all addresses
}

func newOwn(a net.Addr) *own {
	o := &own{}
	if u, ok := a.(*net.UDPAddr); ok {
		o.addr = plain(u.AddrPort())
	}
	if o.addr.Addr().IsUnspecified() {
		o.known = make(map[netip.Addr]netip.Addr)
	}
	return o
}

// to is the address that the agent sends to: where the socket listens on all addresses, the one that answers would come
// from.
func (o *own) to(agent netip.Addr) netip.AddrPort {
	if o.known == nil && o.addr.Addr().Is4() == agent.Is4() {
		return o.addr
	}
	a, ok := o.known[agent]
	if !ok {
		a = route(agent)
		if o.known != nil && len(o.known) < maxRoutes {
			o.known[agent] = a
		}
	}
	return netip.AddrPortFrom(a, o.addr.Port())
}

// route is the own address towards another; the unspecified one when there is none. Nothing is sent.
func route(to netip.Addr) netip.Addr {
	none := netip.IPv6Unspecified()
	if to.Is4() {
		none = netip.IPv4Unspecified()
	}
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 9)))
	if err != nil {
		return none
	}
	defer c.Close()
	if a, ok := c.LocalAddr().(*net.UDPAddr); ok {
		if local := plain(a.AddrPort()).Addr(); local.Is4() == to.Is4() {
			return local
		}
	}
	return none
}
