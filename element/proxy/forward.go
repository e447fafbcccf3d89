package proxy

import (
	"errors"

	"sipscope/decode/sip"
	"sipscope/element/transport"
	"sipscope/element/txn"
)

// begin sends a request to its first targets, p.goals. r is at hand, p.plan was read of it.
func (p *Proxy) begin(ci uint32, c *context, r *transport.Received) {
	if len(p.goals) == 1 {
		if hop, ok := p.numeric(&p.goals[0]); ok { // the usual case: nothing is kept but a branch
			p.send(ci, c, r, &p.goals[0], []transport.Hop{hop}, p.plan.breadth)
			p.advance(ci, c, r)
			return
		}
	}
	f := p.forkOf(c)
	f.breadth = p.plan.breadth
	for i := range p.goals {
		t := p.goals[i].store()
		f.targets = append(f.targets, t)
		f.seen = append(f.seen, t.URI)
	}
	p.advance(ci, c, r)
}

// advance goes on as soon as no branch is out: with the next targets, or with the answer. r is the request when it is at
// hand, with p.plan read of it, else nil.
func (p *Proxy) advance(ci uint32, c *context, r *transport.Received) {
	for first := r != nil; c.pending == 0 && c.waiting == 0 && !c.has(answered); first = false {
		if c.fork == 0 || len(p.forks[c.fork].targets) == 0 || c.has(cancelled|declined) {
			p.conclude(c)
			return
		}
		if r == nil {
			if r = p.reload(c); r == nil {
				c.flags |= answered // the server transaction is gone: nobody waits
				return
			}
		}
		p.group(ci, c, r, first)
	}
}

// group sends the request to the targets that are tried together (RFC 3261 16.6), as many at once as Max-Breadth allows
// (RFC 5393 5.3.3): the rest come after them.
func (p *Proxy) group(ci uint32, c *context, r *transport.Received, first bool) {
	f := p.forks[c.fork]
	n := 1
	for p.cfg.Fork != ForkSerial && n < len(f.targets) && n < f.breadth {
		if p.cfg.Fork == ForkByQ && f.targets[n].Q != f.targets[0].Q {
			break
		}
		n++
	}
	switch {
	case n > 1:
		p.stats.Forks++
		p.event(Event{Kind: EventForked, Count: n}, r.Msg)
	case !first:
		p.event(Event{Kind: EventNext, Count: n}, r.Msg)
	}
	batch := f.targets[:n]
	f.targets = f.targets[n:]
	share, more := f.breadth/n, f.breadth%n
	for i := range batch {
		s := share
		if i < more {
			s++
		}
		p.launch(ci, c, r, &batch[i], s)
	}
}

// launch sends the request to one target, when it is known where that is.
func (p *Proxy) launch(ci uint32, c *context, r *transport.Received, t *stored, share int) {
	g := t.goal()
	if hop, ok := p.numeric(&g); ok {
		p.send(ci, c, r, &g, []transport.Hop{hop}, share)
		return
	}
	if p.cfg.Resolver == nil || p.stats.Resolving >= p.cfg.Resolving {
		p.note(c, 503, "Next Hop Unresolvable")
		return
	}
	c.waiting++
	c.refs++
	p.stats.Resolving++
	during, called, keep := true, false, *t
	p.cfg.Resolver.Resolve(p.nextURI(&g), func(hops []transport.Hop, err error) {
		if called {
			return
		}
		called = true
		p.resolved(ci, r, &keep, share, hops, err, during)
	})
	during = false
}

// resolved goes on with a target whose hops are known, or cannot be.
func (p *Proxy) resolved(
	ci uint32, r *transport.Received, t *stored, share int, hops []transport.Hop, err error, during bool,
) {
	c := p.contexts.at(ci)
	p.stats.Resolving--
	c.waiting--
	if !during {
		r = nil // what was at hand then is not any more
	}
	switch {
	case c.has(answered | cancelled | declined):
	case err != nil || len(hops) == 0:
		p.note(c, 503, "Next Hop Unresolvable")
	default:
		if r == nil {
			r = p.reload(c)
		}
		if r != nil {
			g := t.goal()
			p.send(ci, c, r, &g, hops, share)
		}
	}
	if !during {
		p.advance(ci, c, r)
	}
	p.release(ci, c)
}

// send makes a branch: the request goes to the first hop that takes it, the others are kept (RFC 3263 4.3).
func (p *Proxy) send(ci uint32, c *context, r *transport.Received, g *goal, hops []transport.Hop, share int) {
	for n := range hops {
		hop := hops[n]
		if p.copyOf(r, g, &hop, p.cfg.Rand.Uint64(), share) != nil {
			continue
		}
		i, b := p.newBranch(ci, c)
		id, err := p.layer.Send(hop, p.out, uint64(i))
		if err != nil {
			p.finish(i, b)
			p.dropBranch(i)
			if errors.Is(err, txn.ErrLimit) {
				break
			}
			continue
		}
		b.id = id
		p.stats.Forwarded++
		if c.has(invite) {
			p.timers.start(&p.branches, i, p.link.Now()+p.cfg.TimerC)
		}
		if n+1 < len(hops) {
			f := p.forkOf(c)
			f.spare = append(f.spare, spare{branch: i, target: g.store(), hops: clone(hops[n+1:]), share: share})
		}
		return
	}
	p.note(c, 503, "Next Hop Unreachable") // RFC 3261 16.9
}

// maxHops bounds the hops that are kept for a branch.
const maxHops = 16

func clone(hops []transport.Hop) []transport.Hop {
	return append([]transport.Hop(nil), hops[:min(len(hops), maxHops)]...)
}

// failover tries the next hop of a branch that failed (RFC 3263 4.3). It reports false when there is none.
func (p *Proxy) failover(i uint32, c *context, status int) bool {
	if c.fork == 0 || c.has(answered|cancelled|declined) {
		return false
	}
	f := p.forks[c.fork]
	for n := range f.spare {
		if f.spare[n].branch != i {
			continue
		}
		s := f.spare[n]
		p.dropSpare(c, i)
		r := p.reload(c)
		if r == nil {
			return false
		}
		p.stats.Failovers++
		p.event(Event{Kind: EventFailover, Status: status}, r.Msg)
		g := s.target.goal()
		ci := p.branches.at(i).context
		p.send(ci, c, r, &g, s.hops, s.share)
		return c.pending > 0
	}
	return false
}

// reload reads the request of a context again, and p.plan of it. It is nil when the transaction is gone.
func (p *Proxy) reload(c *context) *transport.Received {
	raw, from, ok := p.layer.Request(c.server)
	if !ok || sip.Parse(raw, &p.again) != nil {
		return nil
	}
	p.received = transport.Received{Msg: &p.again, Hop: from}
	p.plan.read(&p.engine, &p.received)
	return &p.received
}
