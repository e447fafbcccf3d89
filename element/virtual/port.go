package virtual

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"sipscope/element/media"
	"sipscope/element/transport"
)

// ErrClosed says that a port was closed.
var ErrClosed = errors.New("closed")

// Port is a UDP socket for RTP or RTCP in virtual time.
type Port struct {
	host    *Host
	local   netip.AddrPort
	receive func(now int64, from netip.AddrPort, b []byte)
	control *Port // of the socket for RTP
}

var (
	_ media.Ports       = (*Host)(nil)
	_ media.ControlPort = (*Port)(nil)
)

// Open is OpenPort for media.
func (h *Host) Open(local netip.Addr) (media.Port, error) {
	p, err := h.OpenPort(local)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// datagramTap is a Tap that wants to see RTP too.
type datagramTap interface {
	Datagram(now int64, src, dst netip.AddrPort, payload []byte)
}

// OpenPort opens a socket for RTP on one of the host's addresses, the first one for the zero Addr, with an even port of the
// host's choice, and one for RTCP with the next (RFC 3550 11).
func (h *Host) OpenPort(local netip.Addr) (*Port, error) {
	own := func(a netip.Addr) bool {
		for _, l := range h.local {
			if l.Addr() == a {
				return true
			}
		}
		return false
	}
	local = local.Unmap()
	if (!local.IsValid() || local.IsUnspecified()) && len(h.local) > 0 {
		local = h.local[0].Addr()
	}
	if !own(local) {
		return nil, fmt.Errorf("host %s: port on %s: %w", h.name, local, ErrAddress)
	}
	for range (firstListener - firstMedia) / 2 {
		at := netip.AddrPortFrom(local, h.media)
		if h.media += 2; h.media >= firstListener {
			h.media = firstMedia
		}
		next := netip.AddrPortFrom(local, at.Port()+1)
		if !h.net.taken(at) && !h.net.taken(next) {
			p := &Port{host: h, local: at, control: &Port{host: h, local: next}}
			h.net.ports[at], h.net.ports[next] = p, p.control
			return p, nil
		}
	}
	return nil, fmt.Errorf("host %s: no port is free on %s: %w", h.name, local, ErrAddress)
}

// taken reports whether somebody has a UDP socket at an address.
func (n *Net) taken(at netip.AddrPort) bool {
	return n.ports[at] != nil || n.listeners[place{transport.UDP, at}] != nil
}

// Control is the socket for RTCP; nil of one for RTCP.
func (p *Port) Control() media.Port {
	if p.control == nil {
		return nil
	}
	return p.control
}

// Local is the address of the socket.
func (p *Port) Local() netip.AddrPort { return p.local }

// Receive has f get what arrives. b is valid during the call; the host's handler is woken after it.
func (p *Port) Receive(f func(now int64, from netip.AddrPort, b []byte)) { p.receive = f }

// Send sends a datagram, as faithfully as the path is. It fails with ErrClosed or transport.ErrTooLarge.
func (p *Port) Send(to netip.AddrPort, b []byte) error {
	n := p.host.net
	if n.ports[p.local] != p {
		return ErrClosed
	}
	if len(b) > maxDatagram {
		return fmt.Errorf("%d bytes to %s: %w", len(b), to, transport.ErrTooLarge)
	}
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	if !n.TapArrivals {
		n.tapDatagram(p.local, to, b)
	}
	var receiver *Host
	if r := n.ports[to]; r != nil {
		receiver = r.host
	}
	n.cast(p.host, receiver, event{kind: eventDatagram, sender: p.host, src: p.local, dst: to, raw: b})
	return nil
}

// Close closes the socket, and that for RTCP with it. What is on its way to them is lost.
func (p *Port) Close() error {
	for q := p; q != nil; q = q.control {
		if q.host.net.ports[q.local] == q {
			delete(q.host.net.ports, q.local)
		}
	}
	return nil
}

func (n *Net) arriveDatagram(e *event) {
	defer n.queue.free(e.raw)
	p := n.ports[e.dst]
	switch {
	case p == nil:
		n.stats.Unreachable++
		return
	case p.host.unplugged:
		n.stats.Lost++
		return
	}
	if n.TapArrivals {
		n.tapDatagram(e.src, e.dst, e.raw)
	}
	n.stats.Delivered++
	if p.receive != nil {
		p.receive(n.now, e.src, slices.Clip(e.raw))
		n.wake(p.host)
	}
}

func (n *Net) tapDatagram(src, dst netip.AddrPort, b []byte) {
	for _, t := range n.taps {
		if d, ok := t.(datagramTap); ok {
			d.Datagram(n.now, src, dst, b)
		}
	}
}
