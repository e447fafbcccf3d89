package guard

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
)

// ErrRefused says that an address may not be sent to.
var ErrRefused = errors.New("refused to send")

// ErrAddress says that a text names no address, or one that can never be sent to.
var ErrAddress = errors.New("want ADDRESS, ADDRESS:PORT or ADDRESS/BITS")

// Reason says why an address is refused.
type Reason uint8

// Reasons.
const (
	Fine    Reason = iota // it is not
	Unnamed               // the operator did not name it
	Public                // neither loopback nor private, and not allowed to be public
	Never                 // nobody may be sent to there: multicast, broadcast, unspecified, reserved, port 0
)

// String is the reason in words, with the flag that would lift it.
func (r Reason) String() string {
	return [...]string{
		"fine", "not named; --allow", "a public address; --allow-public", "no address of a host",
	}[min(r, Never)]
}

// Use is what an address is meant for.
type Use uint8

// Uses. An address that was named with a port is for signaling at that port alone. Who was named by it may get media at
// any port from 1024 on, since only the SDP of a call says at which (RFC 3550 11), and answers over a connection that it
// has opened, whose port was not its choice.
const (
	Signaling  Use = iota // SIP to a port that we chose
	Connection            // SIP over a connection that is open
	Media                 // RTP and RTCP
)

// firstMediaPort is the lowest port that media goes to: those below belong to services.
const firstMediaPort = 1024

// Guard holds the addresses that may be sent to. Make it with New.
type Guard struct {
	mu       sync.RWMutex
	exact    map[netip.AddrPort]struct{}
	hosts    map[netip.Addr]bool // true: at any port; false: as Use says
	prefixes []netip.Prefix
	public   []netip.Prefix
	own      map[netip.Addr]struct{}     // where we listen: nothing to it leaves the machine
	ours     map[netip.AddrPort]struct{} // and at which ports
	refused  refusals
}

// New makes a guard that lets pass what is named; see Name. What could never be sent to is passed over.
func New(named ...netip.AddrPort) *Guard {
	g := &Guard{
		exact: map[netip.AddrPort]struct{}{}, hosts: map[netip.Addr]bool{}, own: map[netip.Addr]struct{}{},
		ours:    map[netip.AddrPort]struct{}{},
		refused: refusals{of: map[netip.Addr]*Refusal{}},
	}
	for _, at := range named {
		g.name(normal(at))
	}
	return g
}

// Name lets addresses be sent to; port 0 stands for all ports. It fails for an address that would be refused all the
// same: one that no host has, or a public one that AllowPublic did not list before.
func (g *Guard) Name(at ...netip.AddrPort) error {
	for _, a := range at {
		a = normal(a)
		if r := g.judge(a.Addr()); r != Fine {
			return fmt.Errorf("%s: %w: %s", a, ErrRefused, r)
		}
		g.name(a)
	}
	return nil
}

// name keeps a normal address.
func (g *Guard) name(at netip.AddrPort) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if at.Port() == 0 {
		g.hosts[at.Addr()] = true
		return
	}
	g.exact[at] = struct{}{}
	if !g.hosts[at.Addr()] {
		g.hosts[at.Addr()] = false
	}
}

// NamePrefix lets all addresses of networks be sent to, at any port, but for the first and the last of an IPv4 network,
// which are its broadcast addresses (RFC 919), and for public ones that AllowPublic does not list.
func (g *Guard) NamePrefix(networks ...netip.Prefix) error {
	for _, network := range networks {
		p, ok := normalPrefix(network)
		if !ok {
			return fmt.Errorf("network: %w", ErrAddress)
		}
		g.mu.Lock()
		g.prefixes = append(g.prefixes, p)
		g.mu.Unlock()
	}
	return nil
}

// AllowPublic lets public addresses be named. It names none.
func (g *Guard) AllowPublic(networks ...netip.Prefix) error {
	for _, network := range networks {
		p, ok := normalPrefix(network)
		if !ok {
			return fmt.Errorf("public network: %w", ErrAddress)
		}
		g.mu.Lock()
		g.public = append(g.public, p)
		g.mu.Unlock()
	}
	return nil
}

// Own lets our own places be sent to, as they are bound, public ones too: what is sent there does not leave the machine.
// Of other ports of those addresses nothing is said, but that connections from them may be answered: other programs may
// listen there. Ports that are opened by Ports are own places until they are closed.
func (g *Guard) Own(at ...netip.AddrPort) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, a := range at {
		if a = normal(a); possible(a.Addr()) && a.Port() != 0 {
			g.ours[a], g.own[a.Addr()] = struct{}{}, struct{}{}
		}
	}
}

// disown forgets ports that are closed.
func (g *Guard) disown(at ...netip.AddrPort) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, a := range at {
		delete(g.ours, normal(a))
	}
}

// Allow is Name and NamePrefix of a text: "10.0.0.5", "10.0.0.5:5060", "10.0.0.0/8", "2001:db8::5", "[::1]:5060".
func (g *Guard) Allow(text string) error {
	if strings.Contains(text, "/") {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return fmt.Errorf("%q: %w", text, ErrAddress)
		}
		return g.NamePrefix(p)
	}
	if at, err := netip.ParseAddrPort(text); err == nil {
		return g.Name(at)
	}
	addr, err := parseAddr(text)
	if err != nil {
		return err
	}
	return g.Name(netip.AddrPortFrom(addr, 0))
}

// Public is AllowPublic of a text: an address or a network.
func (g *Guard) Public(text string) error {
	if strings.Contains(text, "/") {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return fmt.Errorf("%q: %w", text, ErrAddress)
		}
		return g.AllowPublic(p)
	}
	addr, err := parseAddr(text)
	if err != nil {
		return err
	}
	addr = addr.Unmap().WithZone("")
	return g.AllowPublic(netip.PrefixFrom(addr, addr.BitLen()))
}

// parseAddr reads an address, in brackets or not.
func parseAddr(text string) (netip.Addr, error) {
	bare := text
	if len(text) > 2 && text[0] == '[' && text[len(text)-1] == ']' {
		bare = text[1 : len(text)-1]
	}
	addr, err := netip.ParseAddr(bare)
	if err != nil {
		return addr, fmt.Errorf("%q: %w", text, ErrAddress)
	}
	return addr, nil
}

// Allowed reports whether SIP may be sent to an address.
func (g *Guard) Allowed(at netip.AddrPort) bool { return g.Reason(at, Signaling) == Fine }

// Check is nil when an address may be sent to, else an error that wraps ErrRefused and says what to do about it. It
// counts nothing: that is done where a packet is kept from leaving.
func (g *Guard) Check(at netip.AddrPort, use Use) error {
	if r := g.Reason(at, use); r != Fine {
		return &Error{At: normal(at), Reason: r}
	}
	return nil
}

// Error is a refusal. It is ErrRefused.
type Error struct {
	At     netip.AddrPort
	Reason Reason
}

// Error says what was refused, and the flag that would lift it.
func (e *Error) Error() string {
	text := ErrRefused.Error() + " to " + e.At.String() + " (" + e.Reason.String()
	if e.Reason == Unnamed || e.Reason == Public {
		text += " " + e.At.Addr().String()
	}
	return text + ")"
}

// Unwrap gives ErrRefused.
func (*Error) Unwrap() error { return ErrRefused }

// Reason says why an address may not be sent to, or that it may.
func (g *Guard) Reason(at netip.AddrPort, use Use) Reason {
	at = normal(at)
	if !possible(at.Addr()) || at.Port() == 0 {
		return Never
	}
	if !g.named(at, use) {
		return Unnamed
	}
	return g.judge(at.Addr())
}

// named reports whether the operator named a normal address for a use.
func (g *Guard) named(at netip.AddrPort, use Use) bool {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if _, ok := g.exact[at]; ok {
		return true
	}
	if _, ok := g.ours[at]; ok {
		return true
	}
	if _, ok := g.own[at.Addr()]; ok && use == Connection {
		return true
	}
	if use == Media && at.Port() < firstMediaPort {
		return false
	}
	if everyPort, ok := g.hosts[at.Addr()]; ok && (everyPort || use != Signaling) {
		return true
	}
	return slices.ContainsFunc(g.prefixes, func(p netip.Prefix) bool { return inside(p, at.Addr()) })
}

// judge says whether a normal address may be sent to once it is named.
func (g *Guard) judge(a netip.Addr) Reason {
	if !possible(a) {
		return Never
	}
	if local(a) {
		return Fine
	}
	g.mu.RLock()
	defer g.mu.RUnlock()
	if _, ok := g.own[a]; ok || slices.ContainsFunc(g.public, func(p netip.Prefix) bool { return p.Contains(a) }) {
		return Fine
	}
	return Public
}
