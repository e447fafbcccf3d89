// Package guard says whom a replay may send to: nobody but whom its operator named. Destinations that come from
// captures, from live peers' Contact, Route, Via and SDP, or from a bug, are checked where the packet would leave: at the
// Link and at the Ports of the player.
//
//	Name, NamePrefix   what flags and configuration name: the target, maps, allow lists
//	Own                where the player itself listens
//	AllowPublic        public addresses that may be named; without it loopback and private ones may
//	Check              the rule
//	Link, Ports        what passes nothing on that the rule refuses
//
// Addresses are compared without zone, and IPv4 in IPv6's form as IPv4. Nothing is ever sent to multicast, broadcast,
// unspecified and reserved addresses, whoever names them. Names are not resolved here.
//
// What a transport answers by itself, on a connection that its peer has opened (keep-alives, a rejection of what is no
// SIP), goes to that peer and does not pass here.
//
// A Guard may be used by any goroutine; its Link and Ports by those of what they wrap.
package guard
