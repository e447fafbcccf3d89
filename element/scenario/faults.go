package scenario

import (
	"net/netip"
	"strconv"
	"sync"

	"sipscope/decode/sip"
	"sipscope/element/transport"
)

// faults decides which messages get lost or come late. It may be asked by several loops.
type faults struct {
	mu    sync.Mutex
	rules []rule
	msg   sip.Message
}

// rule is for the first messages of a kind from a host to another one.
type rule struct {
	from, to netip.Addr
	what     string
	left     int   // how many it still holds for; negative: for all
	by       int64 // delay in nanoseconds; 0: lost
}

// newFaults makes them of a flow that was checked.
func newFaults(f *Flow) *faults {
	l := &faults{}
	add := func(from, to, what string, count int, by int64) {
		src, _ := f.Host(from)
		dst, _ := f.Host(to)
		l.rules = append(l.rules, rule{from: src.Addr, to: dst.Addr, what: what, left: count, by: by})
	}
	for i := range f.Losses {
		count := f.Losses[i].Count
		if count == 0 {
			count = -1
		}
		add(f.Losses[i].From, f.Losses[i].To, f.Losses[i].What, count, 0)
	}
	for i := range f.Delays {
		add(f.Delays[i].From, f.Delays[i].To, f.Delays[i].What, 1, f.Delays[i].By)
	}
	return l
}

// match says what becomes of a message: it gets lost, or comes later by some nanoseconds.
func (l *faults) match(src, dst netip.AddrPort, raw []byte) (lost bool, by int64) {
	if len(l.rules) == 0 {
		return false, 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if sip.Parse(raw, &l.msg) != nil {
		return false, 0
	}
	what := string(l.msg.Method.Of(l.msg.Raw))
	if !l.msg.Request {
		what = strconv.Itoa(int(l.msg.Status))
	}
	for i := range l.rules {
		r := &l.rules[i]
		if r.from != src.Addr() || r.to != dst.Addr() || r.what != what || r.left == 0 {
			continue
		}
		r.left--
		return r.by == 0, r.by
	}
	return false, 0
}

// faulty is a link that loses and delays what a flow says. What is lost is seen all the same: it was sent.
type faulty struct {
	transport.Link

	own    netip.AddrPort
	faults *faults
	tap    transport.Tap
	later  func(by int64, f func()) // calls f in the loop of the link after a time
}

// Send implements transport.Link.
func (l *faulty) Send(hop transport.Hop, raw []byte, tag uint64) {
	lost, by := l.faults.match(l.own, hop.Remote, raw)
	switch {
	case lost:
		l.tap.Message(l.Now(), hop.Proto, 0, l.own, hop.Remote, raw)
	case by > 0:
		kept := append([]byte(nil), raw...)
		l.later(by, func() { l.Link.Send(hop, kept, tag) })
	default:
		l.Link.Send(hop, raw, tag)
	}
}
