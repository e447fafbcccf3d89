package hep

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"time"
)

const (
	// maxAgents bounds the table of agents: a fleet of collectors has hundreds, and whoever forges more must not cost
	// memory, some 300 bytes each.
	maxAgents = 1024
	// maxNode is how much of an agent's name is kept, in bytes.
	maxNode = 64
	// skewPeriod is how long the lag of an agent's times counts: it is that of the present period and of the one before.
	skewPeriod = 30 * time.Second
	// maxSkew is how far an agent's clock may be off for its times to be believed. Beyond, behind is a replay of old
	// captures, and ahead is a wrong clock.
	maxSkew = 10 * time.Second
	noLag   = math.MinInt64
)

// AgentStats is what came from one agent. An agent is a capture id, a node name and a host.
type AgentStats struct {
	CaptureID uint32
	Node      string // as sent: clean it before showing it; at most 64 bytes
	Addr      netip.Addr
	Packets   uint64
	Last      int64 // when the last one came, ns since 1970-01-01 UTC
	// Offset is how far the agent's clock is ahead of ours, as far as its messages tell: what they took on the way makes
	// it look behind, so the one that took least counts. It means little for a replay.
	Offset time.Duration
}

type agentKey struct {
	id   uint32
	addr netip.Addr
	node [maxNode]byte
}

type agent struct {
	packets     uint64
	last        int64
	period      int64    // when the present period of lags began, monotonic
	least, most [2]int64 // lag, ns: arrival less the message's time; present period and the one before; noLag for none
}

// agents is what is known of those that send. It is not safe for concurrent use.
type agents struct {
	all    map[agentKey]*agent
	others uint64 // messages of agents beyond the bound
	last   int64  // lag when somebody sent something lately; noLag before
}

func newAgents() agents { return agents{all: make(map[agentKey]*agent), last: noLag} }

// saw takes note of a message that came at wall; timed says that it had a time of its own.
func (a *agents) saw(p *Packet, addr netip.Addr, wall, mono int64, timed bool) {
	key := agentKey{id: p.CaptureID, addr: addr}
	copy(key.node[:], p.Node)
	g := a.all[key]
	if g == nil {
		if len(a.all) >= maxAgents {
			a.others++
			return
		}
		g = &agent{period: mono, least: [2]int64{noLag, noLag}, most: [2]int64{noLag, noLag}}
		a.all[key] = g
	}
	g.packets++
	g.last = wall
	if timed {
		g.lag(wall-p.Time, mono)
	}
}

// lag takes note of how far a message's time is behind its arrival.
func (g *agent) lag(lag, mono int64) {
	g.turn(mono)
	if g.least[0] == noLag || lag < g.least[0] {
		g.least[0] = lag
	}
	g.most[0] = max(g.most[0], lag)
}

// offset is how far the agent's clock is ahead.
func (g *agent) offset() time.Duration {
	now, before := g.least[0], g.least[1]
	switch {
	case now == noLag && before == noLag:
		return 0
	case now == noLag || before != noLag && before < now:
		now = before
	}
	return -time.Duration(now)
}

// turn begins a new period when the present one is over.
func (g *agent) turn(mono int64) {
	gone := (mono - g.period) / int64(skewPeriod)
	if gone <= 0 {
		return
	}
	g.period = mono
	g.least[1], g.most[1] = g.least[0], g.most[0]
	if gone > 1 {
		g.least[1], g.most[1] = noLag, noLag
	}
	g.least[0], g.most[0] = noLag, noLag
}

// lag is how far behind our clock messages may be that are still to come: as far as that of the slowest agent that sent
// something lately. Replays count only where nothing else is.
// ok is false when nobody did.
func (a *agents) lag(mono int64) (lag int64, ok bool) {
	near, far := int64(0), int64(noLag)
	some := false
	for _, g := range a.all {
		g.turn(mono)
		switch most := max(g.most[0], g.most[1]); {
		case most == noLag:
		case most <= int64(maxSkew):
			near, some = max(near, most), true
		default:
			far = max(far, most)
		}
	}
	if !some {
		near = far
	}
	if near != noLag {
		a.last = near
	}
	return a.last, a.last != noLag
}

// restart forgets all lags: the clock was set back.
func (a *agents) restart() {
	a.last = noLag
	for _, g := range a.all {
		g.least, g.most = [2]int64{noLag, noLag}, [2]int64{noLag, noLag}
	}
}

// stats lists the agents, those with most messages first.
func (a *agents) stats() []AgentStats {
	list := make([]AgentStats, 0, len(a.all))
	for key, g := range a.all {
		s := AgentStats{CaptureID: key.id, Addr: key.addr, Packets: g.packets, Last: g.last}
		s.Node = string(key.node[:slices.Index(append(key.node[:], 0), 0)])
		s.Offset = g.offset()
		list = append(list, s)
	}
	slices.SortFunc(list, func(x, y AgentStats) int {
		return cmp.Or(cmp.Compare(y.Packets, x.Packets), x.Addr.Compare(y.Addr), cmp.Compare(x.CaptureID, y.CaptureID),
			cmp.Compare(x.Node, y.Node))
	})
	return list
}
