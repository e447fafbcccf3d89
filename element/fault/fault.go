// Package fault makes an element misbehave as told: it drops, delays, duplicates, reorders, answers and mangles the
// messages between a link and its handler.
//
//	Handler ─▶ Send ─▶ rules ─▶ Link.Send        Link ─▶ Receive ─▶ rules ─▶ Handler.Receive
//	                     └─▶ held until Wake ◀──────────────────────┘
//
// It stands between transport.Link and transport.Handler, so that it works alike on real sockets and in virtual time, and
// on all transports: a message that is dropped over TCP is one that an element lost, not a segment. The same rules and the
// same rng do the same to the same messages. What is held back is bounded; beyond that, messages are dropped and counted.
//
// An Injector belongs to the goroutine of its link.
package fault

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/transport"
)

const (
	maxHeld = 10_000 // messages; at 1 KiB each 10 MiB
	// holdBack is how long a message waits for another to overtake it.
	holdBack = 100 * int64(time.Millisecond)
)

// Stats counts what was done, by direction: to messages from the link, and to messages of the handler.
type Stats struct{ In, Out Counts }

// Counts are of one direction.
type Counts struct {
	Messages   uint64 // seen, duplicates made here left out
	Dropped    uint64
	Delayed    uint64
	Duplicated uint64
	Reordered  uint64
	Answered   uint64
	Mangled    uint64
	Overflow   uint64 // dropped since too many were held back
}

// Injector is a link and its handler with rules between them.
type Injector struct {
	link    transport.Link
	handler transport.Handler
	rules   Rules
	counts  []([2]int) // of the messages that a rule's selectors let through so far, by direction
	rng     *rand.Rand

	held    held
	number  uint64
	waiting [2]int // how many of held wait to be overtaken, by direction

	verdicts verdicts
	answers  bool // there is a rule that answers

	msg      sip.Message // of messages that were held or changed
	received transport.Received
	reply    []byte
	stats    Stats
}

var (
	_ transport.Link    = (*Injector)(nil)
	_ transport.Handler = (*side)(nil)
)

// Link puts rules before a link. Its Handler method puts them before the handler. All chance comes from rng.
func Link(link transport.Link, rules Rules, rng *rand.Rand) *Injector {
	return &Injector{
		link: link, rules: slices.Clone(rules), counts: make([][2]int, len(rules)), rng: rng,
		answers:  slices.ContainsFunc(rules, func(r Rule) bool { return r.Action == Answer }),
		verdicts: newVerdicts(),
	}
}

// Handler gives what the link is to run instead of h. One Injector has one handler.
func (f *Injector) Handler(h transport.Handler) transport.Handler {
	f.handler = h
	return &side{f}
}

// Stats gives what was done so far.
func (f *Injector) Stats() Stats { return f.stats }

// Now is the link's time.
func (f *Injector) Now() int64 { return f.link.Now() }

// SentBy is the link's answer.
func (f *Injector) SentBy(hop transport.Hop) (netip.AddrPort, error) { return f.link.SentBy(hop) }

// Send sends what the rules leave of a message. Of one that is dropped no failure is told: it got lost on the way.
func (f *Injector) Send(hop transport.Hop, raw []byte, tag uint64) {
	f.handle(Out, parcel{hop: hop, raw: raw, tag: tag}, nil)
}

// side is the handler's side.
type side struct{ f *Injector }

// Receive has the rules look at a message of the link.
func (s *side) Receive(r *transport.Received) {
	s.f.handle(In, parcel{hop: r.Hop, raw: r.Msg.Raw}, r.Msg)
}

// Failed is the link's.
func (s *side) Failed(hop transport.Hop, tag uint64, err error) { s.f.handler.Failed(hop, tag, err) }

// Wake lets go what is due.
func (s *side) Wake(now int64) int64 {
	f := s.f
	for len(f.held) > 0 && f.held[0].at <= now {
		f.release(0)
	}
	next := f.handler.Wake(now)
	for len(f.held) > 0 && f.held[0].at <= now { // what the handler sent just now, with a delay of nothing
		f.release(0)
	}
	if len(f.held) > 0 {
		next = min(next, f.held[0].at)
	}
	return next
}

// parcel is a message on its way. raw is copied when it is held.
type parcel struct {
	at      int64
	number  uint64
	dir     Direction
	waiting bool // to be overtaken
	hop     transport.Hop
	raw     []byte
	tag     uint64
}

// fate is what the rules say about a message.
type fate struct {
	drop, reorder bool
	delay         int64
	copies        int
	answer        int // status code
	tag           string
}

// handle applies the rules to a message. m is its parsed form where there is one.
func (f *Injector) handle(dir Direction, p parcel, m *sip.Message) {
	p.dir = dir
	c := f.of(dir)
	c.Messages++
	if m == nil {
		m = f.parse(p.raw)
	}
	decides := f.answers && dir == In && m.Request
	settled, done := f.settled(m, p.hop, decides)
	if done {
		return
	}
	t, raw := f.judge(dir, m, settled)
	if decides && !settled && !t.drop && m.MethodID != sip.MethodAck {
		f.verdicts.put(f.verdicts.key(m, ""), verdict{t.answer, t.tag})
	}
	switch {
	case t.drop:
		c.Dropped++
	case t.answer != 0:
		f.answer(m, p.hop, t.answer, t.tag)
	case raw != nil:
		p.raw = raw
		f.forward(&t, p, nil)
	default:
		f.forward(&t, p, m)
	}
}

// parse reads a message into f.msg, when there is a rule that wants to look at it.
func (f *Injector) parse(raw []byte) *sip.Message {
	if len(f.rules) == 0 || sip.Parse(raw, &f.msg) != nil {
		f.msg = sip.Message{Raw: raw}
	}
	return &f.msg
}

// forward gives a message on, or holds it. m is its parsed form, nil when it was changed.
func (f *Injector) forward(t *fate, p parcel, m *sip.Message) {
	overtaken := f.waiting[side0(p.dir)]
	f.of(p.dir).Duplicated += uint64(t.copies - 1) //nolint:gosec // at least 1
	for range t.copies {
		switch {
		case t.delay > 0:
			f.hold(p, t.delay, false)
		case t.reorder:
			f.hold(p, holdBack, true)
		default:
			f.pass(p, m)
		}
	}
	if t.delay == 0 && !t.reorder && overtaken > 0 {
		f.overtake(p.dir)
	}
}

// judge asks the rules in turn. A request that is settled is not answered. raw is the message as it was mangled, nil when
// it was not.
func (f *Injector) judge(dir Direction, m *sip.Message, settled bool) (t fate, raw []byte) {
	t.copies = 1
	c := f.of(dir)
	for i := range f.rules {
		r := &f.rules[i]
		if settled && r.Action == Answer || !r.selects(dir, m, &f.counts[i][side0(dir)], f.rng) {
			continue
		}
		switch r.Action {
		case Drop:
			t.drop = true
			return t, nil
		case Answer:
			t.answer, t.tag = r.Code, compose.Tag(f.rng)
			return t, nil
		case Delay:
			t.delay += r.Delay
			if r.Spread > 0 {
				t.delay += f.rng.Int64N(r.Spread + 1)
			}
			c.Delayed++
		case Duplicate:
			t.copies++
		case Reorder:
			t.reorder = true
			c.Reordered++
		case Mangle:
			b, ok := mangle(m, r, f.rng)
			if !ok {
				continue
			}
			c.Mangled++
			raw, m = b, f.parse(b)
		}
	}
	return t, raw
}

// settled looks whether a request belongs to one that was answered here, or let through: what was decided once stays
// (RFC 3261 17.2). done says that nothing is left to do. Other messages, for which decides is false, are never settled.
func (f *Injector) settled(m *sip.Message, hop transport.Hop, decides bool) (settled, done bool) {
	if !decides {
		return false, false
	}
	invite := sip.MethodInvite.String()
	switch m.MethodID {
	case sip.MethodAck:
		v, ok := f.verdicts.get(f.verdicts.key(m, invite))
		return ok, ok && v.code >= 300
	case sip.MethodCancel:
		if v, ok := f.verdicts.get(f.verdicts.key(m, invite)); ok && v.code >= 200 {
			f.answer(m, hop, 200, v.tag) // RFC 3261 9.2: too late, but not wrong
			return true, true
		}
	default:
	}
	v, ok := f.verdicts.get(f.verdicts.key(m, ""))
	if ok && v.code != 0 {
		f.answer(m, hop, v.code, v.tag)
	}
	return ok, ok && v.code != 0
}

func (f *Injector) answer(m *sip.Message, hop transport.Hop, code int, tag string) {
	var err error
	f.reply, err = compose.Response(f.reply[:0], m, hop.Remote, &compose.Reply{Status: code, ToTag: tag})
	if err != nil { // a request without what a response needs
		f.stats.In.Dropped++
		return
	}
	f.stats.In.Answered++
	f.received = transport.Received{Msg: m, Hop: hop}
	f.link.Send(transport.ReplyHop(&f.received), f.reply, 0)
}

// pass gives a message on. m is its parsed form, nil when that is to be found out.
func (f *Injector) pass(p parcel, m *sip.Message) {
	if p.dir == Out {
		f.link.Send(p.hop, p.raw, p.tag)
		return
	}
	if m == nil {
		// Not f.msg: the handler sends while it looks at the message, which parses into that.
		m = new(sip.Message)
		if sip.Parse(p.raw, m) != nil {
			f.stats.In.Dropped++ // mangled beyond recognition
			return
		}
	}
	f.handler.Receive(&transport.Received{Msg: m, Hop: p.hop})
}

func (f *Injector) hold(p parcel, delay int64, waiting bool) {
	c := f.of(p.dir)
	if len(f.held) >= maxHeld {
		c.Overflow++
		return
	}
	f.number++
	p.raw = slices.Clone(p.raw)
	p.at, p.number, p.waiting = saturate(f.link.Now(), delay), f.number, waiting
	if waiting {
		f.waiting[side0(p.dir)]++
	}
	heap.Push(&f.held, p)
}

// overtake lets go what waited for a message to pass by.
func (f *Injector) overtake(dir Direction) {
	for f.waiting[side0(dir)] > 0 {
		i := slices.IndexFunc(f.held, func(p parcel) bool { return p.waiting && p.dir == dir })
		if i < 0 {
			return
		}
		f.release(i)
	}
}

// release gives on what was held.
func (f *Injector) release(i int) {
	p, ok := heap.Remove(&f.held, i).(parcel)
	if !ok {
		return
	}
	if p.waiting {
		f.waiting[side0(p.dir)]--
	}
	f.pass(p, nil)
}

func (f *Injector) of(dir Direction) *Counts {
	if dir == In {
		return &f.stats.In
	}
	return &f.stats.Out
}

// side0 is the index of a direction.
func side0(dir Direction) int {
	if dir == In {
		return 0
	}
	return 1
}

func saturate(a, b int64) int64 {
	if b > math.MaxInt64-a {
		return math.MaxInt64
	}
	return a + b
}

// held is a heap by time, then in the order of coming in.
type held []parcel //nolint:recvcheck // heap.Interface asks for both

func (h held) Len() int { return len(h) }

func (h held) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].number < h[j].number
}

func (h held) Swap(i, j int) { h[i], h[j] = h[j], h[i] }

// Push is for container/heap.
func (h *held) Push(x any) {
	if p, ok := x.(parcel); ok {
		*h = append(*h, p)
	}
}

// Pop is for container/heap.
func (h *held) Pop() any {
	last := len(*h) - 1
	p := (*h)[last]
	(*h)[last] = parcel{}
	*h = (*h)[:last]
	return p
}
