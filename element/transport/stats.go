package transport

import "sync/atomic"

// Counters count what passed one listener, or one transport's connections that were made from here. All only grow.
type Counters struct {
	MessagesIn, MessagesOut uint64
	BytesIn, BytesOut       uint64 // of messages
	KeepAlives              uint64 // received: empty datagrams, CRLFs
	NotSIP                  uint64 // datagrams and frames that begin with no start line
	Rejected                uint64 // messages over a stream without an end, or beyond a limit
	SendErrors              uint64 // messages that could not be sent
	KernelDrops             uint64 // datagrams that found the receive buffer full (Linux)
}

// ListenerStats are the Counters of one listener.
type ListenerStats struct {
	At Listen // as bound
	Counters
}

// Stats are the figures of an Endpoint.
type Stats struct {
	Listeners []ListenerStats   // in the order of Listeners
	Dialled   [WSS + 1]Counters // by Proto, of connections made from here
	Open      int               // connections there are, those that are being made included
	Accepted  uint64            // connections taken
	Refused   uint64            // connections closed at once: too many, or not wanted
	Evicted   uint64            // idle connections closed to make room
	Dials     uint64            // connections begun from here
	DialError uint64            // that could not be made
	Idle      uint64            // connections closed since nothing came
	Slow      uint64            // connections dropped since the peer did not read
	Held      int               // bytes that connections hold: of messages that are not whole, and that wait to be written
	Crowded   uint64            // connections dropped since all together held too much
	Switched  uint64            // large requests that went by TCP instead of UDP
	FellBack  uint64            // of these, those that then went by UDP
	ICMP      uint64            // errors that routers and hosts told of datagrams
}

// counters are Counters while they are counted: by the loop and by readers, read by anyone.
type counters struct {
	messagesIn, messagesOut, bytesIn, bytesOut       atomic.Uint64
	keepAlives, notSIP, rejected, sendErrors, kernel atomic.Uint64
}

func (c *counters) in(n int) {
	c.messagesIn.Add(1)
	c.bytesIn.Add(uint64(max(0, n)))
}

func (c *counters) out(n int) {
	c.messagesOut.Add(1)
	c.bytesOut.Add(uint64(max(0, n)))
}

func (c *counters) snapshot() Counters {
	return Counters{
		MessagesIn: c.messagesIn.Load(), MessagesOut: c.messagesOut.Load(),
		BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(),
		KeepAlives: c.keepAlives.Load(), NotSIP: c.notSIP.Load(), Rejected: c.rejected.Load(),
		SendErrors: c.sendErrors.Load(), KernelDrops: c.kernel.Load(),
	}
}

// totals are the figures of an Endpoint that belong to no listener.
type totals struct {
	open, held                                    atomic.Int64
	accepted, refused, evicted, dials, dialError  atomic.Uint64
	idle, slow, switched, fellBack, icmp, crowded atomic.Uint64
}

// Stats gives the figures so far. Any goroutine may ask.
func (e *Endpoint) Stats() Stats {
	t := &e.totals
	s := Stats{
		Open:     int(t.open.Load()),
		Accepted: t.accepted.Load(), Refused: t.refused.Load(), Evicted: t.evicted.Load(),
		Dials: t.dials.Load(), DialError: t.dialError.Load(),
		Idle: t.idle.Load(), Slow: t.slow.Load(),
		Held: int(t.held.Load()), Crowded: t.crowded.Load(),
		Switched: t.switched.Load(), FellBack: t.fellBack.Load(), ICMP: t.icmp.Load(),
	}
	for p := range s.Dialled {
		s.Dialled[p] = e.dialled[p].snapshot()
	}
	for _, l := range e.listeners {
		if l.udp != nil {
			l.udp.readDrops(&l.count)
		}
		s.Listeners = append(s.Listeners, ListenerStats{At: l.at, Counters: l.count.snapshot()})
	}
	return s
}
