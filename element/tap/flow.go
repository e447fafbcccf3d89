package tap

import "net/netip"

// TCP flags (RFC 9293 3.1).
const (
	flagSYN = 0x02
	flagPSH = 0x08
	flagACK = 0x10
)

const (
	// maxSegment is the most text of a segment: a message has one segment nearly always, which readers that do not join
	// segments can read too.
	maxSegment = maxTotal - ipv6Head - tcpHead
	// maxFlows is how many connections are remembered in each of two generations: one that is silent while so many others
	// are used begins anew.
	maxFlows = 1 << 15
	// isnStep is what two connections' first sequence numbers differ by: the golden ratio's part of 2^32 spreads them.
	isnStep = 0x9e3779b1
)

// flowKey is a connection by its addresses, the lower first.
type flowKey struct{ lo, hi netip.AddrPort }

// flow is a connection: by direction (0 from lo to hi), the sequence number of the next byte, and the connection's
// number as the link gave it.
type flow struct {
	next [2]uint32
	conn [2]uint64
	told bool // its handshake was written
}

// flows are the connections, in two generations so that their number is bounded.
type flows struct {
	young, old map[flowKey]*flow
	count      uint32 // of all connections so far
}

func newFlows() flows { return flows{young: make(map[flowKey]*flow)} }

// get finds the connection that a message of that direction belongs to. The two ends of one connection may have
// different numbers, so a number tells by its change in one direction that the addresses have another one now.
func (f *flows) get(key flowKey, dir int, conn uint64) *flow {
	c := f.young[key]
	if c == nil {
		if c = f.old[key]; c == nil {
			c = f.begin(new(flow))
		}
		f.keep(key, c)
	} else if c.conn[dir] != 0 && conn != 0 && c.conn[dir] != conn {
		f.begin(c)
	}
	if conn != 0 {
		c.conn[dir] = conn
	}
	return c
}

// begin makes c a new connection.
func (f *flows) begin(c *flow) *flow {
	f.count++
	*c = flow{next: [2]uint32{f.count * isnStep, ^(f.count * isnStep)}}
	return c
}

func (f *flows) keep(key flowKey, c *flow) {
	if len(f.young) >= maxFlows {
		f.old, f.young = f.young, make(map[flowKey]*flow, maxFlows)
	}
	f.young[key] = c
}

// sending is a message on its way into segments.
type sending struct {
	now      int64
	src, dst netip.AddrPort
	flow     *flow
	dir      int
	raw      []byte
	packets  int
	size     int // bytes of all of them
}

// handshake is how many packets open a connection.
const handshake = 3

// stream says what a message over a reliable transport needs. A connection that is new has its handshake before it, from
// who sends first: the end that connected, nearly always.
func (s *Source) stream(now int64, conn uint64, src, dst netip.AddrPort, raw []byte) sending {
	src, dst = family(src, dst)
	key, dir := flowKey{src, dst}, 0
	if dst.Compare(src) < 0 {
		key, dir = flowKey{dst, src}, 1
	}
	f := sending{now: now, src: src, dst: dst, dir: dir, raw: raw}
	f.flow = s.flows.get(key, dir, conn)
	head := ipHead(src.Addr()) + tcpHead
	f.packets = (len(raw) + maxSegment - 1) / maxSegment
	f.size = f.packets*head + len(raw)
	if !f.flow.told {
		f.packets += handshake
		f.size += handshake * head
	}
	return f
}

// write puts the message into the queue. The lock is held.
func (f *sending) write(s *Source) {
	if !f.flow.told {
		f.flow.told = true
		f.segment(s, f.dir, flagSYN, nil)
		f.segment(s, 1-f.dir, flagSYN|flagACK, nil)
		f.segment(s, f.dir, flagACK, nil)
	}
	for raw := f.raw; len(raw) > 0; {
		n := min(len(raw), maxSegment)
		f.segment(s, f.dir, flagPSH|flagACK, raw[:n])
		raw = raw[n:]
	}
}

func (f *sending) segment(s *Source, dir int, flags byte, payload []byte) {
	src, dst := f.src, f.dst
	if dir != f.dir {
		src, dst = dst, src
	}
	b := s.grow(f.now, ipHead(src.Addr())+tcpHead+len(payload))
	seq := &f.flow.next[dir]
	ack := f.flow.next[1-dir]
	if flags&flagACK == 0 {
		ack = 0
	}
	s.segment(b, src, dst, *seq, ack, flags, payload)
	*seq += uint32(len(payload)) //nolint:gosec // below 64 KiB
	if flags&flagSYN != 0 {
		*seq++
	}
}
