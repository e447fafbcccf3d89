package proxy

import (
	"math"

	"sipscope/decode/sip"
	"sipscope/element/transport"
	"sipscope/element/txn"
)

// Proxy is a transaction stateful proxy (RFC 3261 16.2). It is the user of a txn.Layer; all calls come from the goroutine
// of its link. Make it with New, give it to txn.New, Attach the layer, and run Handler.
//
// The layer wants Config.Merged and Config.StrayCancel (a proxy forwards both); Config.Trying may stay off, since the
// proxy answers 100 at once.
type Proxy struct {
	engine
	layer *txn.Layer

	contexts slab[context]
	branches slab[branch]
	forks    []*fork // by context.fork; nil: free
	spare    []uint32
	timers   timerC

	again    sip.Message // a request that is read again
	answer   sip.Message // a stored response
	received transport.Received
}

var (
	_ txn.User          = (*Proxy)(nil)
	_ transport.Handler = (*handler)(nil)
)

// New makes a stateful proxy. It fails with ErrConfig.
func New(cfg Config) (*Proxy, error) {
	p := &Proxy{forks: make([]*fork, 1)}
	if err := p.init(&cfg); err != nil {
		return nil, err
	}
	p.key = p.cfg.Rand.Uint64()
	return p, nil
}

// Attach gives the proxy the layer that it is the user of, before the first message.
func (p *Proxy) Attach(layer *txn.Layer) {
	p.layer = layer
	p.link = layer.Link()
}

// Handler is the layer with the proxy's own timers: what the link is to drive.
func (p *Proxy) Handler() transport.Handler { return &handler{p.layer, p} }

type handler struct {
	*txn.Layer
	p *Proxy
}

// Wake does what is due in both.
func (h *handler) Wake(now int64) int64 {
	next := h.p.Wake(now)
	return min(next, h.Layer.Wake(now))
}

// Wake does what is due of the proxy's own: Timer C (RFC 3261 16.8). Call it with the layer's Wake, before it. See Handler.
func (p *Proxy) Wake(now int64) (next int64) {
	for {
		i, due := p.timers.first(&p.branches)
		if i == 0 {
			return math.MaxInt64
		}
		if due > now {
			return due
		}
		p.expired(i)
	}
}

// Stats gives the counts.
func (p *Proxy) Stats() Stats {
	s := p.stats
	s.Contexts, s.Branches = p.contexts.open, p.branches.open
	return s
}

// event tells what happened to a request, or to the message that is at hand.
func (e *engine) event(ev Event, m *sip.Message) {
	if e.cfg.Events == nil {
		return
	}
	ev.Now = e.link.Now()
	if m != nil {
		ev.Method, ev.CallID, ev.URI = m.Method.Of(m.Raw), m.CallID.Of(m.Raw), m.URI.Of(m.Raw)
	}
	e.cfg.Events(ev)
}
