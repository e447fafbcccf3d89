package transport

import (
	"net/netip"
	"strings"

	"sipscope/decode/sip"
)

// Proto is a transport protocol of SIP (RFC 3261 18, RFC 7118).
type Proto uint8

// Transport protocols; the zero value is none.
const (
	UDP Proto = iota + 1
	TCP
	TLS
	WS
	WSS
)

// protoNames are as a Via has them (RFC 3261 20.42, RFC 7118 5.2).
var protoNames = [...]string{"", "UDP", "TCP", "TLS", "WS", "WSS"} //nolint:gochecknoglobals // a read-only table

// ParseProto reads a name in any case.
func ParseProto(s string) (Proto, bool) {
	for p, name := range protoNames {
		if p > 0 && strings.EqualFold(name, s) {
			return Proto(p), true
		}
	}
	return 0, false
}

// String is the name as in a Via.
func (p Proto) String() string {
	if int(p) < len(protoNames) {
		return protoNames[p]
	}
	return ""
}

// Reliable reports whether messages arrive whole and in order, or not at all: no transaction sends again then.
func (p Proto) Reliable() bool { return p > UDP }

// Secure reports whether TLS protects it.
func (p Proto) Secure() bool { return p == TLS || p == WSS }

// DefaultPort is the port where a URI or a Via names none (RFC 3261 19.1.2, 18.2.2; RFC 7118 6).
func (p Proto) DefaultPort() uint16 {
	switch p {
	case TLS:
		return 5061
	case WS:
		return 80
	case WSS:
		return 443
	default:
		return 5060
	}
}

// Hop is one neighbour as seen from here. Two that are equal lead the same way.
type Hop struct {
	Proto  Proto
	Local  netip.AddrPort // own end; zero: the link chooses the first listener of Proto and address family
	Remote netip.AddrPort
	Conn   uint64 // the connection it came on, used while it is open; 0: an open one that fits, or a new one
	Name   string // server name for TLS and WS, as in the URI; "" for none
	// NoDial keeps a connection from being made: over Conn, or another one that is open, or not at all. It has no meaning
	// for UDP.
	NoDial bool
}

// Received is a message and where it came from.
type Received struct {
	Msg *sip.Message // valid during the call that gives it
	Hop Hop          // an answer that is sent to it arrives where the message came from
}

// Link carries messages: sockets (Endpoint), or a virtual network. All calls come from the goroutine that runs the Handler.
type Link interface {
	// Now is the time in nanoseconds since 1970-01-01 UTC. It never goes back.
	Now() int64
	// Send sends raw, which it does not keep. The order of the messages to one hop is kept. When one cannot be sent and
	// its tag is not 0, Handler.Failed tells later, never during Send.
	Send(hop Hop, raw []byte, tag uint64)
	// SentBy is the own address that a Via or Contact towards hop names (RFC 3261 18.1.1).
	SentBy(hop Hop) (netip.AddrPort, error)
}

// Handler is what a link drives.
type Handler interface {
	// Receive is given one message.
	Receive(r *Received)
	// Failed tells that a message that Send was given with this tag could not be sent.
	Failed(hop Hop, tag uint64, err error)
	// Wake does what is due, and says when it wants to be called next, math.MaxInt64 for never. A link calls it after each
	// batch of messages and when the time has come.
	Wake(now int64) (next int64)
}

// Tap sees every message that is sent and received, in order. raw is valid during the call; conn is 0 for UDP.
type Tap interface {
	Message(now int64, proto Proto, conn uint64, src, dst netip.AddrPort, raw []byte)
}
