package judge

import (
	"net/netip"
	"slices"
	"sort"
)

// lane is a medium in one direction, on one hop, through all agreements of a call.
type lane struct {
	kind     string // "audio"
	toCaller bool
	spans    []span
	streams  []*Stream // that were seen in it, by first packets
	wrong    *Stream   // one that should be in it, and goes somewhere else

	// What the descriptions of all spans name.
	receiver, sender parties
}

// parties is what the descriptions of one end name, whenever.
type parties struct {
	addrs    map[netip.AddrPort]bool
	hosts    map[netip.Addr]bool
	payloads map[uint8]string // names by payload type
	event    int              // payload type of telephone-event, -1 without
}

// maxLanes bounds what is judged of one call: 128 media on all hops, in two directions.
const maxLanes = 256

// collect takes what an end says.
func (p *parties) collect(e *End) {
	if p.addrs == nil {
		*p = parties{map[netip.AddrPort]bool{}, map[netip.Addr]bool{}, map[uint8]string{}, -1}
	}
	for _, a := range e.Addrs {
		p.addrs[a], p.hosts[a.Addr()] = true, true
	}
	for i := range e.Payloads {
		x := &e.Payloads[i]
		p.payloads[x.PT] = x.Name
		if p.event < 0 && event(x.Name) {
			p.event = int(x.PT)
		}
	}
}

// span is a time of a lane with one agreement.
type span struct {
	from, to int64 // until the next agreement, or for ever
	flows    bool  // one side sends and the other receives
	rejected bool
	receiver *End
	sender   *End
	frame    uint64 // of the answer
	offer    uint64
}

// name says where a lane goes.
func (l *lane) name() string {
	if l.toCaller {
		return "to the caller"
	}
	return "to the callee"
}

// source says who sends in a lane.
func (l *lane) source() string {
	if l.toCaller {
		return "the callee"
	}
	return "the caller"
}

// address is where the lane goes, of its first agreement that says so.
func (l *lane) address() string {
	for i := range l.spans {
		if a := l.spans[i].receiver.Addrs; len(a) > 0 {
			return a[0].String()
		}
	}
	return "no address"
}

// at gives the span of a time: the first one for times before it.
func (l *lane) at(now int64) *span {
	for i := range l.spans {
		if now < l.spans[i].to {
			return &l.spans[i]
		}
	}
	return &l.spans[len(l.spans)-1]
}

// first and last are the times of the lane's first and last packets; 0 without any.
func (l *lane) first() *Stream {
	if len(l.streams) == 0 {
		return nil
	}
	return l.streams[0]
}

func (l *lane) last() *Stream {
	var out *Stream
	for _, s := range l.streams {
		if out == nil || s.Last > out.Last {
			out = s
		}
	}
	return out
}

// lanes makes the lanes of a call. A hop with the addresses of one before it is the same media: the proxy between them
// passed the description on.
func lanes(c *Call) []lane {
	type place struct{ hop, line int }
	var order []place
	byPlace := map[place][]*Agreement{}
	for i := range c.Agreements {
		a := &c.Agreements[i]
		for k := range a.Media {
			p := place{a.Hop, a.Media[k].Line}
			if byPlace[p] == nil {
				order = append(order, p)
			}
			byPlace[p] = append(byPlace[p], a)
		}
	}
	var out []lane
	for _, p := range order {
		if len(out) >= maxLanes {
			break
		}
		toCaller, toCallee := build(byPlace[p], p.line)
		if !known(out, &toCaller, &toCallee) {
			out = append(out, toCaller, toCallee)
		}
	}
	return out
}

// build makes the two lanes of an m= line of a hop.
func build(agreements []*Agreement, line int) (toCaller, toCallee lane) {
	toCaller.toCaller = true
	for i, a := range agreements {
		k := slices.IndexFunc(a.Media, func(m Medium) bool { return m.Line == line })
		m := &a.Media[k]
		to := int64(1<<63 - 1)
		if i+1 < len(agreements) {
			to = agreements[i+1].Time
		}
		toCaller.kind, toCallee.kind = m.Type, m.Type
		x := span{from: a.Time, to: to, rejected: m.Rejected, frame: a.Answer, offer: a.Offer}
		x.receiver, x.sender = &m.Caller, &m.Callee
		x.flows = flows(m, x.sender, x.receiver)
		toCaller.spans = append(toCaller.spans, x)
		x.receiver, x.sender = &m.Callee, &m.Caller
		x.flows = flows(m, x.sender, x.receiver)
		toCallee.spans = append(toCallee.spans, x)
		toCaller.receiver.collect(&m.Caller)
		toCaller.sender.collect(&m.Callee)
	}
	toCallee.receiver, toCallee.sender = toCaller.sender, toCaller.receiver
	return toCaller, toCallee
}

// flows reports whether a medium is to flow from one end to the other.
func flows(m *Medium, from, to *End) bool {
	return !m.Rejected && from.Sends && to.Receives && len(to.Addrs) > 0
}

// known reports whether lanes with the same addresses are there.
func known(list []lane, toCaller, toCallee *lane) bool {
	for i := 0; i+1 < len(list); i += 2 {
		if list[i].kind == toCaller.kind && sameAddrs(&list[i], toCaller) && sameAddrs(&list[i+1], toCallee) {
			return true
		}
	}
	return false
}

// sameAddrs reports whether the first spans of two lanes go to the same address.
func sameAddrs(a, b *lane) bool {
	x, y := a.spans[0].receiver.Addrs, b.spans[0].receiver.Addrs
	return len(x) > 0 && len(y) > 0 && x[0] == y[0]
}

// assign finds the streams of a lane: those that go to an address of its receiver; then those that go to where the receiver
// really sends from, which is what a peer behind a NAT gets (symmetric RTP, RFC 4961).
func (j *judgement) assign(l *lane) {
	sources := map[netip.AddrPort]bool{}
	for i := range j.Streams {
		s := &j.Streams[i]
		switch {
		case l.receiver.addrs[s.Dst]:
			l.streams = append(l.streams, s)
		case l.sender.addrs[s.Dst]: // the other way
			sources[s.Src] = true
		}
	}
	for i := range j.Streams {
		s := &j.Streams[i]
		if sources[s.Dst] && !l.receiver.addrs[s.Dst] {
			l.streams = append(l.streams, s)
		}
	}
	slices.SortStableFunc(l.streams, func(a, b *Stream) int {
		switch {
		case a.First < b.First:
			return -1
		case a.First > b.First:
			return 1
		}
		return 0
	})
}

// settle says in which lane streams are judged: in the one whose descriptions name both their ends, else in the first. A relay
// names its address on several hops, and on one of them the stream comes from where it should.
func (j *judgement) settle(l *lane) {
	for _, s := range l.streams {
		home := j.homes[s]
		if home == nil || l.sender.addrs[s.Src] && !home.sender.addrs[s.Src] {
			j.homes[s] = l
		}
	}
}

// stray finds a stream that should be in a lane and is not, when the lane is empty: it comes from the port where the sender
// receives, or it goes from host to host while the call talks. A lane that has its stream misses nothing: a relay may well
// send from the same port to somebody else.
func (j *judgement) stray(l *lane) *Stream {
	if len(l.streams) > 0 {
		return nil
	}
	for _, list := range [...][]Stream{j.Streams, j.Strays} {
		for i := range list {
			s := &list[i]
			if s.Last < j.First || s.First > j.until() || j.homes[s] != nil || j.named[s.Dst] {
				continue
			}
			if l.sender.addrs[s.Src] {
				return s
			}
			if l.sender.hosts[s.Src.Addr()] && l.receiver.hosts[s.Dst.Addr()] && j.Answer != 0 && s.First >= j.First {
				return s
			}
		}
	}
	return nil
}

// until is the end of the call's media: its BYE, else the end of the capture.
func (j *judgement) until() int64 {
	if j.Bye != 0 {
		return j.Bye
	}
	return max(j.End, j.Last)
}

// within counts the packets in the seconds of a stream that lie wholly in a time, and says in which second the first was.
func (s *Stream) within(from, to int64) (packets uint64, first int64) {
	at := func(i int) int64 { return s.First + int64(s.Seconds[i].At)*1e9 }
	i := sort.Search(len(s.Seconds), func(i int) bool { return at(i) >= from })
	for ; i < len(s.Seconds) && to-at(i) >= 1e9; i++ {
		if s.Seconds[i].Packets > 0 {
			if packets == 0 {
				first = at(i)
			}
			packets += uint64(s.Seconds[i].Packets)
		}
	}
	return packets, first
}
