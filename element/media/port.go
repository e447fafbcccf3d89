package media

import "net/netip"

// Port is a UDP socket for RTP, and for RTCP with it. All its calls come from one goroutine.
type Port interface {
	// Local is the address of the socket.
	Local() netip.AddrPort
	// Send sends a datagram, which it does not keep. What is lost on the way is no error.
	Send(to netip.AddrPort, b []byte) error
	// Receive has f get what arrives. b is valid during the call.
	Receive(f func(now int64, from netip.AddrPort, b []byte))
	// Close closes the socket. Nothing arrives afterwards.
	Close() error
}

// ControlPort is a Port that has a socket for RTCP beside it, at the next number (RFC 3550 11).
type ControlPort interface {
	Port
	// Control is the socket for RTCP. It is closed with its Port.
	Control() Port
}

// Ports opens sockets.
type Ports interface {
	// Open opens one on a local address, with an even number of its choice (RFC 3550 11).
	Open(local netip.Addr) (Port, error)
}

// Opener is a Ports of a function that opens sockets of a type of its own, such as a virtual host's OpenPort.
type Opener[P Port] func(local netip.Addr) (P, error)

// Open opens a socket.
func (f Opener[P]) Open(local netip.Addr) (Port, error) {
	p, err := f(local)
	if err != nil {
		return nil, err
	}
	return p, nil
}
