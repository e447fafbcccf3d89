package guard

import (
	"cmp"
	"net/netip"
	"slices"
)

// maxRefusals is how many addresses are remembered: a hostile peer may name any number.
const maxRefusals = 256

// Refusal is an address that packets were kept from.
type Refusal struct {
	At     netip.AddrPort // with the port of the first packet
	Use    Use            // of the first packet
	Reason Reason
	Count  uint64 // packets, to any port
	order  int
}

// refusals are those that there were, by address.
type refusals struct {
	of    map[netip.Addr]*Refusal
	other uint64 // packets to addresses beyond maxRefusals
	total uint64
}

// pass is Check of a packet that is about to leave: what it refuses is counted.
func (g *Guard) pass(at netip.AddrPort, use Use) error {
	reason := g.Reason(at, use)
	if reason == Fine {
		return nil
	}
	at = normal(at)
	g.count(at, use, reason)
	return &Error{At: at, Reason: reason}
}

// Accept reports whether a connection of a peer is taken: from who may be answered over it (see Connection). One that is
// not is counted.
func (g *Guard) Accept(peer netip.AddrPort) bool { return g.pass(peer, Connection) == nil }

// count counts a packet to a normal address that was refused.
func (g *Guard) count(at netip.AddrPort, use Use, reason Reason) {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := &g.refused
	r.total++
	if known := r.of[at.Addr()]; known != nil {
		known.Count++
		return
	}
	if len(r.of) == maxRefusals {
		r.other++
		return
	}
	r.of[at.Addr()] = &Refusal{At: at, Use: use, Reason: reason, Count: 1, order: len(r.of)}
}

// Refused says whom packets were kept from, in the order of the first of each; at most 256 addresses.
func (g *Guard) Refused() []Refusal {
	g.mu.RLock()
	defer g.mu.RUnlock()
	all := make([]Refusal, 0, len(g.refused.of))
	for _, r := range g.refused.of {
		all = append(all, *r)
	}
	slices.SortFunc(all, func(a, b Refusal) int { return cmp.Compare(a.order, b.order) })
	return all
}

// Count is how many packets were refused, and how many of them went to addresses that Refused has no room for.
func (g *Guard) Count() (packets, unlisted uint64) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.refused.total, g.refused.other
}

// Err is the refusal as an error, for people.
func (r *Refusal) Err() error { return &Error{At: r.At, Reason: r.Reason} }
