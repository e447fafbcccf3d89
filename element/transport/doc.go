// Package transport carries SIP messages over UDP, TCP, TLS and WebSocket (RFC 3261 18, RFC 7118), on IPv4 and IPv6.
//
//	socket ─▶ reader (a goroutine each) ─▶ events ─▶ loop: Tap, Handler.Receive ... Handler.Wake ─▶ flush ─▶ socket
//	          UDP: recvmmsg, parse                     ▲ Post, Failed                    UDP: sendmmsg
//	          streams: frame                           │ timer                           streams: writer (a goroutine each)
//
// An Endpoint is a Link with real sockets. One goroutine, the one that calls Run, owns all its state and runs the Handler:
// transactions and elements need neither locks nor clocks. What one event brings (a batch of datagrams, what a read of a
// stream completed) is handled as a whole, then the Handler's timers, then everything that was sent leaves at once.
//
// Nothing waits for a peer: queues are bounded, and a neighbour who does not read loses its connection. What cannot be
// sent is told by Failed when the sender gave a tag, and counted in any case.
//
// The package knows messages as far as it takes to find their ends, where responses go, and to rewrite one Via (mtu.go).
// It resolves no names and keeps no transactions. Over UDP it answers no STUN, neither as the keep-alive of RFC 5626 3.5.2
// nor otherwise: what is no SIP is counted, and an empty datagram or CRLFs keep a binding as well. It follows no maddr (see
// ReplyHop).
package transport
