package virtual

import (
	"container/heap"
	"fmt"
	"math"
	"net/netip"
	"slices"

	"sipscope/element/transport"
)

// Where the ports begin that a host chooses itself: of connections, of sockets for RTP (even, RFC 3550 11), of listeners
// on port 0.
const (
	firstEphemeral = 49152
	firstMedia     = 16384
	firstListener  = 32768
)

// Host is one machine of a network with one element on it. It is a transport.Link.
type Host struct {
	net     *Net
	name    string
	index   int // in Net.hosts
	local   []transport.Listen
	handler transport.Handler

	wakeAt int64
	place  int // in Net.wakes; -1 when no call is due

	unplugged bool
	ephemeral uint16
	media     uint16
	peers     map[peer]*conn
	switched  switched
}

var _ transport.Link = (*Host)(nil)

// Host adds a machine that listens at the given places. Port 0 has one chosen. An address that is taken or unspecified
// (0.0.0.0) makes an error of the network, which Err and Run tell, and that listener is left out.
func (n *Net) Host(name string, local ...transport.Listen) *Host {
	h := &Host{
		net: n, name: name, index: len(n.hosts), place: -1, wakeAt: math.MaxInt64,
		ephemeral: firstEphemeral, media: firstMedia, peers: make(map[peer]*conn),
	}
	n.hosts = append(n.hosts, h)
	for i, l := range local {
		l.AddrPort = netip.AddrPortFrom(l.Addr().Unmap(), l.Port())
		if l.Port() == 0 {
			l.AddrPort = netip.AddrPortFrom(l.Addr(), firstListener+uint16(i))
		}
		at := place{l.Proto, l.AddrPort}
		if !l.Addr().IsValid() || l.Addr().IsUnspecified() || l.Proto.String() == "" {
			n.fail(fmt.Errorf("host %s: %s: %w", name, l, ErrAddress))
			continue
		}
		if other := n.listeners[at]; other != nil {
			n.fail(fmt.Errorf("host %s: %s is taken by %s: %w", name, l, other.name, ErrAddress))
			continue
		}
		n.listeners[at] = h
		h.local = append(h.local, l)
	}
	return h
}

// Attach has handler get what arrives. It is woken once at the present time, so that it can say when it wants to be
// called. nil detaches.
func (h *Host) Attach(handler transport.Handler) {
	h.handler = handler
	if handler != nil {
		h.At(h.net.now, func() {})
	} else if h.place >= 0 {
		heap.Remove(&h.net.wakes, h.place)
	}
}

// Name is what the host was given.
func (h *Host) Name() string { return h.name }

// Listeners gives the host's own places, as the Local of hops.
func (h *Host) Listeners() []transport.Hop {
	hops := make([]transport.Hop, len(h.local))
	for i, l := range h.local {
		hops[i] = transport.Hop{Proto: l.Proto, Local: l.AddrPort}
	}
	return hops
}

// Now is the time of the network.
func (h *Host) Now() int64 { return h.net.now }

// At has f called at time t, or now when that is past, and the host's handler woken afterwards.
func (h *Host) At(t int64, f func()) { h.net.push(t, event{kind: eventCall, host: h, call: f}) }

// Post has f called as the next event, like Endpoint.Post; but only from the goroutine of the network.
func (h *Host) Post(f func()) { h.At(h.net.now, f) }

// Unplug pulls the host's cable, or plugs it in again. What it sends and what is sent to it is lost; connections end, and
// cannot be opened.
func (h *Host) Unplug(unplugged bool) {
	h.unplugged = unplugged
	if !unplugged {
		return
	}
	open := make([]uint64, 0, len(h.peers))
	for _, c := range h.peers {
		open = append(open, c.id)
	}
	for _, id := range open {
		h.net.Disconnect(id)
	}
}

// SentBy is the host's listener that a Via or Contact towards hop names: Local when the host listens there, else its
// first of that transport and address family; over a reliable transport without one, its first of that family, since
// answers come back over the connection. It fails with transport.ErrNoListener.
func (h *Host) SentBy(hop transport.Hop) (netip.AddrPort, error) {
	if slices.Contains(h.local, transport.Listen{Proto: hop.Proto, AddrPort: hop.Local}) {
		return hop.Local, nil
	}
	for _, l := range h.local {
		if l.Proto == hop.Proto && l.Addr().Is4() == hop.Remote.Addr().Unmap().Is4() {
			return l.AddrPort, nil
		}
	}
	if hop.Proto.Reliable() {
		for _, l := range h.local {
			if l.Addr().Is4() == hop.Remote.Addr().Unmap().Is4() {
				return l.AddrPort, nil
			}
		}
	}
	return netip.AddrPort{}, fmt.Errorf("%s to %s: %w", hop.Proto, hop.Remote, transport.ErrNoListener)
}

// Send sends a message. It arrives after the latency of the path, unless it is lost. A large request to a UDP hop may go by
// TCP: see Net.MTU.
func (h *Host) Send(hop transport.Hop, raw []byte, tag uint64) {
	hop.Remote = netip.AddrPortFrom(hop.Remote.Addr().Unmap(), hop.Remote.Port())
	if hop.Proto.Reliable() {
		h.stream(hop, raw, tag)
		return
	}
	if h.byTCP(hop, raw, tag) {
		return
	}
	n := h.net
	src, err := h.SentBy(hop)
	if err == nil && len(raw) > maxDatagram {
		err = fmt.Errorf("%d bytes to %s: %w", len(raw), hop.Remote, transport.ErrTooLarge)
	}
	if err != nil {
		n.failed(h, hop, tag, 0, err)
		return
	}
	if !n.TapArrivals {
		n.tap(hop.Proto, 0, src, hop.Remote, raw)
	}
	if n.lose(src, hop.Remote, raw) {
		return
	}
	n.cast(h, n.listeners[place{hop.Proto, hop.Remote}], event{
		kind: eventMessage, sender: h, tag: tag, raw: raw,
		hop: transport.Hop{Proto: hop.Proto, Local: hop.Remote, Remote: src},
	})
}
