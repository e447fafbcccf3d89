package replay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"

	"sipscope/decode/sip"
	"sipscope/element/auth"
	"sipscope/element/replay/guard"
	"sipscope/element/replay/plan"
	"sipscope/element/replay/stream"
	"sipscope/element/transport"
	"sipscope/element/txn"
)

// Player plays a plan any number of times at once. It is a transport.Handler for one link that listens at all places of
// Options.Local: one transport.Endpoint, or one virtual.Host, with several listeners; Hop.Local says as whom.
type Player struct {
	o      Options
	script *script
	link   transport.Link // behind the guard
	layer  *txn.Layer
	now    int64
	t1     int64
	t2     int64
	speed  float64

	plays   map[uint64]*play
	last    uint64
	byCall  map[string]uint64 // live Call-IDs
	waiting map[waitKey]*queue
	txns    map[txn.ID]place // open transactions, to count what is sent again
	times   timers
	streams *stream.Set
	work    []uint64 // plays with steps that are due
	ended   []*Outcome
	dead    []*play // ended, and perhaps still looked at by who called
	idle    []*play
	asks    []*auth.Server
	media   []prepared
	closed  bool
	sending bool // the layer is called for something new

	verifying *play // whose values LookupHA1 takes
	stats     Stats

	// Memory that is used again.
	out   []byte
	body  []byte
	msg   sip.Message // of what is rendered, or kept
	req   sip.Message // of the request that is answered
	bare  sip.Message // a request without credentials
	src   sip.Message // of what is forwarded
	named []byte
}

// place is a step of a play.
type place struct {
	play uint64
	step int32
}

// Stats are counts of a Player since it was made.
type Stats struct {
	Playing int    // now
	Started uint64 // plays
	Ended   uint64
	Extra   uint64 // requests that belong to no play
	Stray   uint64 // responses likewise
	Refused uint64 // messages that the guard kept, and those whose next hop it would not have let pass
}

var _ transport.Handler = (*Player)(nil)

// NewPlayer makes a Player of a plan. It sends through link, behind o.Guard, and must be what the link drives. It fails
// with ErrPlan or ErrOptions. The plan must not change afterwards.
func NewPlayer(link transport.Link, p *plan.Plan, o Options) (*Player, error) {
	if err := o.check(p); err != nil {
		return nil, err
	}
	s, err := compile(p, &o)
	if err != nil {
		return nil, err
	}
	for i := range s.hosts {
		if h := &s.hosts[i]; h.part == plan.Played {
			for _, at := range h.places {
				o.Guard.Own(at.AddrPort)
			}
		}
	}
	g := &Player{
		o: o, script: s, now: link.Now(), speed: o.Speed,
		plays: map[uint64]*play{}, byCall: map[string]uint64{}, waiting: map[waitKey]*queue{}, txns: map[txn.ID]place{},
		streams: stream.NewSet(),
	}
	if g.speed == 0 {
		g.speed = 1
	}
	g.t1, g.t2 = min(o.Txn.T1, mostT), min(o.Txn.T2, mostT)
	if g.t1 <= 0 {
		g.t1 = defaultT1
	}
	if g.t2 <= 0 {
		g.t2 = defaultT2
	}
	if g.o.Patience == 0 {
		g.o.Patience = timeOf(64 * g.t1)
	}
	g.o.Patience = min(g.o.Patience, maxThink)
	g.link = &counted{Link: o.Guard.Link(link), p: g}
	o.Txn.Merged, o.Txn.StrayCancel, o.Txn.Malformed = true, false, true
	o.Txn.Writer = layerUser{g}
	if o.Txn.Rand == nil {
		o.Txn.Rand = rand.New(rand.NewPCG(o.Rand.Uint64(), o.Rand.Uint64())) //nolint:gosec // of tags, not of secrets
	}
	g.layer = txn.New(g.link, layerUser{g}, o.Txn)
	if err = sip.Parse([]byte(bareRequest), &g.bare); err != nil {
		return nil, wrap(ErrPlan, "%w", err)
	}
	if err = g.challengers(); err != nil {
		return nil, err
	}
	g.prepareMedia()
	return g, nil
}

// Defaults of RFC 3261 table 4.
const (
	defaultT1 = 500_000_000
	defaultT2 = 4_000_000_000
	mostT     = 3600 * 1_000_000_000 // as txn.Config has it
)

// counted is the link behind the guard, which counts what the transactions send again.
type counted struct {
	transport.Link
	p *Player
}

// Send sends a message.
func (c *counted) Send(hop transport.Hop, raw []byte, tag uint64) {
	if !c.p.sending && tag != 0 {
		if at, ok := c.p.txns[txn.ID(tag)]; ok {
			if g := c.p.plays[at.play]; g != nil {
				c.again(g, at.step, raw)
			}
		}
	}
	c.Link.Send(hop, raw, tag)
}

// again counts a message of a transaction that was sent again: its request, or its last response. An ACK is the layer's.
func (c *counted) again(g *play, i int32, raw []byte) {
	if len(raw) > 4 && string(raw[:4]) == "ACK " {
		return
	}
	if len(raw) > 8 && string(raw[:8]) == "SIP/2.0 " {
		if i = g.lastAnswer(i); i < 0 {
			return
		}
	}
	if n := &g.states[i].again; *n < math.MaxUint16 {
		*n++
	}
}

// lastAnswer is the response to a request that was sent last.
func (g *play) lastAnswer(q int32) int32 {
	for _, a := range slices.Backward(g.script.steps[q].answers) {
		if g.states[a].flags&flagSent != 0 {
			return a
		}
	}
	return none
}

// Play begins a play now.
func (p *Player) Play(in Input) (id uint64, err error) {
	if p.closed {
		return 0, ErrClosed
	}
	p.tick()
	g := p.newPlay()
	p.last++
	p.stats.Started++
	g.id, g.began, g.input = p.last, p.now, in.Values
	p.plays[g.id] = g
	for i := range p.script.steps {
		if !g.states[i].flags.done() {
			g.open++
		}
	}
	if p.o.Verbatim {
		g.verbatim()
	} else {
		g.skipBroken()
		for _, i := range p.script.roots {
			g.enable(i, g.began)
		}
	}
	g.expectCalls()
	g.checkDone()
	p.run()
	return p.last, nil
}

// Stop ends a play politely: its dialogs are ended, then Options.Done is told. A play that has ended is no more.
func (p *Player) Stop(id uint64) {
	if g := p.plays[id]; g != nil {
		p.tick()
		g.stop(Aborted, 0, "stopped")
		p.run()
	}
}

// Close stops all plays, and lets none begin.
func (p *Player) Close() {
	p.closed = true
	ids := make([]uint64, 0, len(p.plays))
	for id := range p.plays {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	for _, id := range ids {
		p.Stop(id)
	}
}

// Stats gives the counts.
func (p *Player) Stats() Stats {
	s := p.stats
	s.Playing = len(p.plays)
	return s
}

// Transactions gives the counts of the transaction layer.
func (p *Player) Transactions() txn.Stats { return p.layer.Stats() }

func (p *Player) tick() { p.now = max(p.now, p.link.Now()) }

// Receive implements transport.Handler.
func (p *Player) Receive(r *transport.Received) {
	p.tick()
	if p.o.Verbatim {
		p.receiveVerbatim(r)
		p.run()
		return
	}
	if r.Msg.Request && r.Msg.MethodID == sip.MethodAck {
		p.receiveAck(r)
	}
	if p.fromStranger(r) {
		p.stats.Extra++
		return
	}
	p.layer.Receive(r)
	p.run()
}

// fromStranger reports whether a request belongs to no play and comes from who may not be answered: it is not worth a
// transaction. One that belongs to a play ends that, with the reason why it cannot be answered.
func (p *Player) fromStranger(r *transport.Received) bool {
	m := r.Msg
	if !m.Request || m.MethodID == sip.MethodAck || p.refusal(transport.ReplyHop(r)) == nil {
		return false
	}
	g := p.plays[p.byCall[string(m.CallID.Of(m.Raw))]]
	if g == nil && m.To.Tag.Empty() {
		g, _ = p.matchFor(p.hostAt(r.Hop.Local), m) // a scanner asks for somebody else
	}
	return g == nil
}

// Failed implements transport.Handler.
func (p *Player) Failed(hop transport.Hop, tag uint64, err error) {
	p.tick()
	if id, ok := p.directFailed(tag); ok {
		if g := p.plays[id.play]; g != nil {
			g.unsent(id.step, err)
		}
	}
	p.layer.Failed(hop, tag, err)
	p.run()
}

// directTags are the tags of what is sent beside the layer: below 1<<32, which are free (see txn.Layer.Failed). A tag
// has 20 bits of the play and the step; a play that is confused with another is told of a failure that is not its own.
const (
	directPlay = 1<<16 - 1
	directStep = 1<<15 - 1
)

// direct is the tag of a step that is sent beside the layer, 0 when it has none.
func (g *play) direct(i int32) uint64 {
	if i < 0 || i > directStep {
		return 0
	}
	return 1<<31 | g.id&directPlay<<15 | uint64(i)
}

func (p *Player) directFailed(tag uint64) (place, bool) {
	if tag>>31 != 1 {
		return place{}, false
	}
	low := tag >> 15 & directPlay
	id := p.last&^directPlay | low
	if id > p.last {
		id -= directPlay + 1
	}
	i := int32(tag & directStep)
	return place{id, i}, int(i) < len(p.script.steps)
}

// Wake implements transport.Handler.
func (p *Player) Wake(now int64) (next int64) {
	p.tick()
	for again := true; again; {
		for p.times.due(p.now) {
			e := p.times.pop()
			if g := p.plays[e.play]; g != nil {
				g.timer(e)
			}
		}
		p.run()
		next = p.layer.Wake(now) // last, since what was sent has timers; what it tells may have more sent
		again = len(p.work) > 0 || p.times.due(p.now)
	}
	next = min(next, p.streams.Wake(now), p.times.next())
	p.flush()
	return next
}

// flush tells of the plays that have ended.
func (p *Player) flush() {
	for _, g := range p.dead {
		p.recycle(g)
	}
	p.dead = p.dead[:0]
	for len(p.ended) > 0 {
		all := p.ended
		p.ended = nil
		for _, o := range all {
			if p.o.Done != nil {
				p.o.Done(o)
			}
		}
	}
}

// run does what is due, until nothing is.
func (p *Player) run() {
	for len(p.work) > 0 {
		id := p.work[0]
		p.work = p.work[1:]
		if g := p.plays[id]; g != nil {
			g.runQueue()
		}
	}
	p.work = p.work[:0]
}

// data is what a transaction of a step is known by.
func (g *play) data(i int32) uint64 { return g.id<<16 | uint64(i+1) } //nolint:gosec // a script has less than 65,535 steps

func (p *Player) of(data uint64) (*play, int32) {
	g := p.plays[data>>16]
	i := int32(data&0xffff) - 1
	if int(i) >= len(p.script.steps) {
		return nil, none
	}
	return g, i
}

// onResponse takes a response.
func (p *Player) onResponse(id txn.ID, data uint64, r *transport.Received) {
	g, q := p.of(data)
	switch {
	case g == nil:
		p.stats.Stray++
	case q < 0:
		g.politeAnswered(r)
	default:
		g.response(id, q, r)
	}
}

// onCancel takes a CANCEL that matched.
func (p *Player) onCancel(invite txn.ID, data uint64, r *transport.Received) {
	if g, q := p.of(data); g != nil && q >= 0 {
		g.cancelled(q, r)
	} else {
		p.refuse(invite, 487)
	}
}

var _ txn.User = layerUser{}

// layerUser is the Player as the layer's user, under another name since transport.Handler and txn.User both have a method
// Failed.
type layerUser struct{ p *Player }

// Request implements txn.User.
func (u layerUser) Request(id txn.ID, r *transport.Received) { u.p.onRequest(id, r) }

// Response implements txn.User.
func (u layerUser) Response(id txn.ID, data uint64, r *transport.Received) {
	u.p.onResponse(id, data, r)
}

// Cancel implements txn.User.
func (u layerUser) Cancel(id txn.ID, data uint64, r *transport.Received) { u.p.onCancel(id, data, r) }

// Failed implements txn.User.
func (u layerUser) Failed(id txn.ID, data uint64, err error) { u.p.onFailed(id, data, err) }

// Ended implements txn.User.
func (u layerUser) Ended(id txn.ID, _ uint64) { delete(u.p.txns, id) }

// onFailed is a transaction that ends without a final response, or one whose response could not be sent.
func (p *Player) onFailed(id txn.ID, data uint64, err error) {
	g, q := p.of(data)
	switch {
	case g == nil:
	case q < 0:
		g.polite--
		g.checkDone()
	case g.states[q].client == id:
		g.noAnswer(q, err)
	case errors.Is(err, txn.ErrNoAck):
		g.noAck(q)
	default:
		g.unsent(q, err)
	}
}

// refusal reports whether an error is that of the guard, for a hop.
func (p *Player) refusal(hop transport.Hop) error {
	use := guard.Signaling
	if hop.Conn != 0 {
		use = guard.Connection
	}
	return p.o.Guard.Check(hop.Remote, use)
}

// index notes the live Call-ID of a play.
func (g *play) index(_ int32, callID []byte) {
	if _, taken := g.byCall[string(callID)]; !taken {
		g.byCall[string(callID)] = g.id
	}
}

// appendRandom appends 64 random bits as 13 characters.
func appendRandom(dst []byte, v uint64) []byte {
	const alphabet = "abcdefghijkmnpqrstuvwxyz23456789"
	for range 13 {
		dst = append(dst, alphabet[v&31])
		v >>= 5
	}
	return dst
}

func appendHex(dst []byte, v uint64) []byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], v)
	for _, c := range b {
		dst = append(dst, "0123456789abcdef"[c>>4], "0123456789abcdef"[c&15])
	}
	return dst
}

func appendNumber(dst []byte, v uint64) []byte { return fmt.Append(dst, v) }

// hostAt finds who listens where a message came to; none when several might.
func (p *Player) hostAt(at netip.AddrPort) int32 {
	at = unmapped(at)
	if h, ok := p.script.byLocal[at]; ok {
		return h
	}
	if h, ok := p.script.byAddr[at.Addr()]; ok {
		return h
	}
	return none
}
