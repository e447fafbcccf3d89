package ladder

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"

	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/decode/frame"
)

// event is a message or a gap at its place in the order.
type event struct {
	time      int64
	seq       uint64
	call, msg int // msg is -1 for a gap
	gap       decode.Gap
	nth       uint16
}

// sortEvents puts the messages and gaps of all calls in one order: time, then the frame, a gap before the message that
// revealed it.
func (b *builder) sortEvents() {
	gaps := map[decode.Gap]bool{}
	for ci := range b.calls {
		c := &b.calls[ci]
		for mi := range c.Messages {
			m := &c.Messages[mi]
			b.events = append(b.events, event{time: m.Time, seq: m.Seq, nth: m.Nth, call: ci, msg: mi})
		}
		for _, g := range c.Gaps {
			if gaps[g] {
				continue // two calls of one ladder lost the same bytes
			}
			gaps[g] = true
			b.events = append(b.events, event{time: g.Time, seq: g.Seq, call: ci, msg: -1, gap: g})
		}
	}
	slices.SortStableFunc(b.events, func(x, y event) int {
		return cmp.Or(
			cmp.Compare(x.time, y.time), cmp.Compare(x.seq, y.seq),
			cmp.Compare(min(x.msg, 0), min(y.msg, 0)), cmp.Compare(x.nth, y.nth),
		)
	})
}

func (b *builder) message(e event) *correlate.Message { return &b.calls[e.call].Messages[e.msg] }

// host is an Endpoint without its port.
func host(e frame.Endpoint) frame.Endpoint {
	e.Port = 0
	return e
}

// elements groups endpoints into participants: a union-find over endpoints.
type elements struct {
	parent map[frame.Endpoint]frame.Endpoint
	inside map[frame.Endpoint]bool // hosts of which two ports talk with each other
}

func (s *elements) find(e frame.Endpoint) frame.Endpoint {
	for {
		p, ok := s.parent[e]
		if !ok || p == e {
			return e
		}
		if g, ok := s.parent[p]; ok {
			s.parent[e] = g // halve the path
		}
		e = p
	}
}

// join makes one participant of two endpoints, unless ports of their host talk with each other: then every port is an
// element of its own (all of a lab on 127.0.0.1).
func (s *elements) join(root, e frame.Endpoint) {
	if !root.SameHost(e) || s.inside[host(e)] {
		return
	}
	if r, x := s.find(root), s.find(e); r != x {
		s.parent[x] = r
	}
}

// findColumns makes columns out of endpoints. By default each address and port is a participant, but
//   - a port that a stream's client was given by its system joins the participant of its address,
//   - the port that a transaction's responses go to joins the one that its request came from, and the port that they
//     come from joins the one that it went to (RFC 3261 18.2.2: without rport they may differ).
func (b *builder) findColumns() {
	s := elements{parent: map[frame.Endpoint]frame.Endpoint{}, inside: map[frame.Endpoint]bool{}}
	if !b.opts.ByIP {
		b.findInside(&s)
		b.joinTransactions(&s)
		b.joinClients(&s)
	}
	b.cols = map[frame.Endpoint]int{}
	byRoot := map[frame.Endpoint]int{}
	b.placeFirst(&s, byRoot)
	for i := range b.events {
		e := &b.events[i]
		if e.msg < 0 {
			continue
		}
		m := b.message(*e)
		b.place(&s, byRoot, m.Src)
		b.place(&s, byRoot, m.Dst)
	}
	b.addresses()
}

// placeFirst gives those of Options.Order their columns, if they are there.
func (b *builder) placeFirst(s *elements, byRoot map[frame.Endpoint]int) {
	if len(b.opts.Order) == 0 {
		return
	}
	there := map[netip.Addr][]frame.Endpoint{}
	add := func(e frame.Endpoint) {
		if a := e.AddrPort().Addr(); !slices.Contains(there[a], e) {
			there[a] = append(there[a], e)
		}
	}
	for i := range b.events {
		if e := &b.events[i]; e.msg >= 0 {
			m := b.message(*e)
			add(m.Src)
			add(m.Dst)
		}
	}
	for _, a := range b.opts.Order {
		for _, e := range there[a] {
			b.place(s, byRoot, e)
		}
	}
}

func (b *builder) place(s *elements, byRoot map[frame.Endpoint]int, e frame.Endpoint) {
	if _, ok := b.cols[e]; ok {
		return
	}
	root := host(e)
	if !b.opts.ByIP {
		root = s.find(e)
	}
	col, ok := byRoot[root]
	if !ok {
		col = min(len(byRoot), maxColumns-1)
		byRoot[root] = col
		if col == len(b.out.Columns) {
			b.out.Columns = append(b.out.Columns, Column{})
		} else if c := &b.out.Columns[col]; c.Others == 0 {
			c.Others = 2
		} else {
			c.Others++
		}
	}
	b.cols[e] = col
	c := &b.out.Columns[col]
	if len(c.Endpoints) < maxPorts {
		c.Endpoints = append(c.Endpoints, e)
	}
	if len(c.Ports) < maxPorts && !slices.Contains(c.Ports, e.Port) {
		c.Ports = append(c.Ports, e.Port)
	}
}

func (b *builder) findInside(s *elements) {
	for i := range b.events {
		if b.events[i].msg < 0 {
			continue
		}
		if m := b.message(b.events[i]); m.Src != m.Dst && m.Src.SameHost(m.Dst) {
			s.inside[host(m.Src)] = true
		}
	}
}

func (b *builder) joinTransactions(s *elements) {
	for i := range b.events {
		if b.events[i].msg < 0 {
			continue
		}
		m := b.message(b.events[i])
		t := b.txn(b.events[i].call, m.Txn)
		if t == nil || m.Status == 0 {
			continue
		}
		s.join(t.Src, m.Dst)
		s.join(t.Dst, m.Src)
	}
}

// joinClients lets the ephemeral ports of a host join its first participant.
func (b *builder) joinClients(s *elements) {
	first := map[frame.Endpoint]frame.Endpoint{} // by host: its first endpoint, one that is not ephemeral if there is any
	client := map[frame.Endpoint]bool{}
	var order []frame.Endpoint
	seen := map[frame.Endpoint]bool{}
	for i := range b.events {
		if b.events[i].msg < 0 {
			continue
		}
		m := b.message(b.events[i])
		for _, p := range [2][2]frame.Endpoint{{m.Src, m.Dst}, {m.Dst, m.Src}} {
			if !seen[p[0]] {
				seen[p[0]] = true
				client[p[0]] = ephemeral(m.Transport, p[0], p[1])
				order = append(order, p[0])
			}
		}
	}
	for _, e := range order {
		f, ok := first[host(e)]
		if !ok || client[f] && !client[e] {
			first[host(e)] = e
		}
	}
	for _, e := range order {
		if client[e] {
			s.join(first[host(e)], e)
		}
	}
}

// ephemeral reports whether e looks like the client's end of a connection with peer: RFC 6335 6 begins the dynamic
// ports at 49152, Linux at 32768, and a client's port is above the service's in any case.
func ephemeral(t decode.Transport, e, peer frame.Endpoint) bool {
	const lowest = 10_000
	return t != decode.UDP && t != decode.TransportUnknown && e.Port >= lowest && e.Port > peer.Port
}

// addresses writes each column's address, with a port where another column has the same one.
func (b *builder) addresses() {
	count := map[frame.Endpoint]int{}
	for i := range b.out.Columns {
		count[host(b.out.Columns[i].Endpoints[0])]++
	}
	for i := range b.out.Columns {
		c := &b.out.Columns[i]
		e := c.Endpoints[0]
		switch {
		case c.Others > 0:
			c.Label = strconv.Itoa(c.Others) + " others"
			c.Address = "from " + e.Host() + " on"
		case count[host(e)] > 1:
			c.Address = e.String()
		default:
			c.Address = e.Host()
		}
	}
}

// txn gives a transaction of a call, nil for none.
func (b *builder) txn(call, i int) *correlate.Transaction {
	if all := b.calls[call].Transactions; i >= 0 && i < len(all) {
		return &all[i]
	}
	return nil
}

// col is the column of an endpoint; of its host when the endpoint itself sent nothing; -1 for none.
func (b *builder) col(e frame.Endpoint) int {
	if c, ok := b.cols[e]; ok {
		return c
	}
	for i := range b.out.Columns {
		for _, o := range b.out.Columns[i].Endpoints {
			if o.SameHost(e) {
				return i
			}
		}
	}
	return -1
}
