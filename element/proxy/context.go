package proxy

import (
	"slices"

	"sipscope/decode/sip"
	"sipscope/element/transport"
	"sipscope/element/txn"
)

// flags of a context.
type flags uint8

const (
	invite    flags = 1 << iota
	answered        // a final response went upstream, or never will (RFC 4320)
	accepted        // a 2xx to an INVITE did
	cancelled       // by the client: no further branch
	declined        // a 6xx came: no further branch
	ended           // the server transaction is gone
)

// context is a response context (RFC 3261 16.2): a received request and what it was forwarded as. It has no pointers. It
// lives until all its transactions are gone, so that a late 2xx finds its way (RFC 6026).
type context struct {
	server   txn.ID
	branches uint32 // list, by branch.sibling
	fork     uint32 // in Proxy.forks; 0: one target, one hop
	pending  uint16 // branches without a final response
	waiting  uint16 // for a Resolver
	refs     uint16 // branches, resolutions, and the server transaction
	flags    flags
}

func (c *context) has(f flags) bool { return c.flags&f != 0 }

// branch is a request that was forwarded: a client transaction.
type branch struct {
	id         txn.ID
	due        int64 // timer C
	context    uint32
	sibling    uint32
	prev, next uint32 // in the list of timer C
	flags      branchFlags
}

type branchFlags uint8

const (
	final    branchFlags = 1 << iota // a final response came, or none ever will
	timing                           // timer C runs
	expired                          // timer C fired: the 487 that comes stands for 408
	dropping                         // CANCEL was asked for
	heard                            // a provisional response came
)

func (b *branch) has(f branchFlags) bool { return b.flags&f != 0 }

// fork is what a context has beside it when its request may go to more than one place.
type fork struct {
	targets []stored // not tried yet, the best ones first
	seen    []string // Request-URIs tried or waiting, so that 3xx do not lead round (RFC 3261 16.5)
	spare   []spare
	breadth int // for the branches that are out at one time (RFC 5393 5.3.3)

	status     int    // best failure so far, 0 for none
	reason     string // of a failure that the proxy found itself, "" for the usual phrase
	best       []byte // the response as it goes upstream; empty: the proxy makes it
	challenges []challenge
}

// stored is a goal that waits.
type stored struct {
	Target
	keep bool   // the Request-URI stays as RFC 3261 16.4 left it
	via  string // see goal
}

// goal gives the goal again.
func (t *stored) goal() goal {
	g := goal{path: t.Path, hop: t.Hop, q: t.Q}
	if !t.keep {
		g.uri = []byte(t.URI)
	}
	if t.via != "" {
		g.via = []byte(t.via)
	}
	return g
}

// store keeps a goal beyond the message that it was made of.
func (g *goal) store() stored {
	return stored{
		Target: Target{URI: string(g.uri), Q: g.q, Path: g.path, Hop: g.hop},
		keep:   g.uri == nil, via: string(g.via),
	}
}

// spare are further hops of a branch (RFC 3263 4.3).
type spare struct {
	branch uint32
	target stored
	hops   []transport.Hop
	share  int // Max-Breadth
}

// challenge is one of those that other branches asked (RFC 3261 16.7 step 7).
type challenge struct {
	id    sip.HeaderID
	value string
}

// forkOf gives the context's fork, which is made when there is none.
func (p *Proxy) forkOf(c *context) *fork {
	if c.fork != 0 {
		return p.forks[c.fork]
	}
	f := &fork{}
	if n := len(p.spare); n > 0 {
		c.fork = p.spare[n-1]
		p.spare = p.spare[:n-1]
		p.forks[c.fork] = f
		return f
	}
	c.fork = uint32(len(p.forks)) //nolint:gosec // bounded by Config.Contexts
	p.forks = append(p.forks, f)
	return f
}

// dropFork gives a fork back as soon as nothing can be tried any more.
func (p *Proxy) dropFork(c *context) {
	if c.fork != 0 {
		p.stats.Kept -= len(p.forks[c.fork].best)
		p.forks[c.fork] = nil
		p.spare = append(p.spare, c.fork)
		c.fork = 0
	}
}

// release takes one reference from a context, which goes with the last.
func (p *Proxy) release(i uint32, c *context) {
	if c.refs--; c.refs > 0 {
		return
	}
	p.dropFork(c)
	p.contexts.drop(i)
}

// newBranch makes a branch of a context.
func (p *Proxy) newBranch(ci uint32, c *context) (uint32, *branch) {
	i, b := p.branches.take()
	b.context, b.sibling = ci, c.branches
	c.branches = i
	c.refs++
	c.pending++
	return i, b
}

// dropBranch unlinks a branch from its context and gives it back.
func (p *Proxy) dropBranch(i uint32) {
	b := p.branches.at(i)
	ci := b.context
	c := p.contexts.at(ci)
	p.timers.stop(&p.branches, i)
	for at := &c.branches; *at != 0; at = &p.branches.at(*at).sibling {
		if *at == i {
			*at = b.sibling
			break
		}
	}
	if c.fork != 0 {
		p.dropSpare(c, i)
	}
	p.branches.drop(i)
	p.release(ci, c)
}

func (p *Proxy) dropSpare(c *context, i uint32) {
	f := p.forks[c.fork]
	f.spare = slices.DeleteFunc(f.spare, func(s spare) bool { return s.branch == i })
}

// finish notes that a branch got its final response, or will get none. It reports false when it had.
func (p *Proxy) finish(i uint32, b *branch) bool {
	if b.has(final) {
		return false
	}
	b.flags |= final
	p.timers.stop(&p.branches, i)
	p.contexts.at(b.context).pending--
	return true
}

// timerC is the list of branches that wait for an answer, the first one due first: all wait equally long.
type timerC struct{ head, tail uint32 }

func (t *timerC) start(s *slab[branch], i uint32, due int64) {
	t.stop(s, i)
	b := s.at(i)
	b.due, b.prev, b.flags = due, t.tail, b.flags|timing
	if t.tail != 0 {
		s.at(t.tail).next = i
	} else {
		t.head = i
	}
	t.tail = i
}

func (t *timerC) stop(s *slab[branch], i uint32) {
	b := s.at(i)
	if !b.has(timing) {
		return
	}
	if b.prev != 0 {
		s.at(b.prev).next = b.next
	} else {
		t.head = b.next
	}
	if b.next != 0 {
		s.at(b.next).prev = b.prev
	} else {
		t.tail = b.prev
	}
	b.prev, b.next, b.flags = 0, 0, b.flags&^timing
}

func (t *timerC) first(s *slab[branch]) (i uint32, due int64) {
	if t.head == 0 {
		return 0, 0
	}
	return t.head, s.at(t.head).due
}
