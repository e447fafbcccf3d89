package guard

import (
	"net/netip"

	"sipscope/element/media"
	"sipscope/element/transport"
)

// Link is l for what may be sent. What may not is counted, goes nowhere, and, when it has a tag, is told by Failed like
// anything else that cannot be sent, with the hop and the error of a message that has no destination. Ask Check before, to
// say why. Hop.Remote is what is judged: a hop with a Conn has to name the peer of that connection, as it does when a
// message came on it. When that connection is gone no other one is made to a port that is not named: it is of a Via, so the
// peer's choice (RFC 3261 18.2.2).
func (g *Guard) Link(l transport.Link) transport.Link { return &link{Link: l, guard: g} }

// link is a Link behind the guard.
type link struct {
	transport.Link
	guard *Guard
}

// Send sends a message, or refuses to.
func (l *link) Send(hop transport.Hop, raw []byte, tag uint64) {
	if !hop.Remote.IsValid() { // it leads nowhere, which the link tells; another guard above may have sent it
		l.Link.Send(hop, raw, tag)
		return
	}
	use := Signaling
	if hop.Conn != 0 {
		use = Connection
		hop.NoDial = hop.NoDial || !l.guard.Allowed(hop.Remote)
	}
	if l.guard.pass(hop.Remote, use) == nil {
		l.Link.Send(hop, raw, tag)
		return
	}
	if tag != 0 { // no link can send it without a destination, and it says so when it may, which is not now
		l.Link.Send(transport.Hop{}, nil, tag)
	}
}

// Ports are p whose sockets send to nobody else than may be sent to: Send of another gives an error that is ErrRefused.
// What they open is our own place, as Own has it, until it is closed.
func (g *Guard) Ports(p media.Ports) media.Ports { return ports{ports: p, guard: g} }

// Port is a socket that sends to nobody else; see Ports. With a socket for RTCP beside it, it is a media.ControlPort.
func (g *Guard) Port(p media.Port) media.Port {
	if c, ok := p.(media.ControlPort); ok {
		return controlPort{port: port{Port: p, guard: g}, control: c}
	}
	return port{Port: p, guard: g}
}

// ports are Ports behind the guard.
type ports struct {
	ports media.Ports
	guard *Guard
}

// Open opens a socket.
func (p ports) Open(local netip.Addr) (media.Port, error) {
	opened, err := p.ports.Open(local)
	if err != nil {
		return nil, err
	}
	p.guard.Own(places(opened)...)
	return p.guard.Port(opened), nil
}

// places are the addresses of a port and of the socket for RTCP beside it.
func places(p media.Port) []netip.AddrPort {
	all := []netip.AddrPort{p.Local()}
	if c, ok := p.(media.ControlPort); ok {
		if control := c.Control(); control != nil {
			all = append(all, control.Local())
		}
	}
	return all
}

// port is a Port behind the guard.
type port struct {
	media.Port
	guard *Guard
}

// Send sends a datagram, or refuses to.
func (p port) Send(to netip.AddrPort, b []byte) error {
	if err := p.guard.pass(to, Media); err != nil {
		return err
	}
	return p.Port.Send(to, b)
}

// Close closes the socket, which is nobody's place from then on.
func (p port) Close() error {
	p.guard.disown(places(p.Port)...)
	return p.Port.Close()
}

// controlPort is a ControlPort behind the guard.
type controlPort struct {
	port
	control media.ControlPort
}

var _ media.ControlPort = controlPort{}

// Control is the socket for RTCP, nil when there is none.
func (p controlPort) Control() media.Port {
	c := p.control.Control()
	if c == nil {
		return nil
	}
	return port{Port: c, guard: p.guard}
}
