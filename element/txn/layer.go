package txn

import (
	"encoding/binary"
	"hash/maphash"
	"net/netip"

	"sipscope/decode/sip"
	"sipscope/element/transport"
)

// Layer is the transaction layer: a transport.Handler over a link, for one user.
type Layer struct {
	link  transport.Link
	user  User
	cfg   Config
	times times
	now   int64 // nanoseconds since 1970; never goes back

	slab   slab
	arena  arena
	ends   hopEnds
	byKey  index // all transactions by key
	copies index // server transactions that copies must not repeat, by what those share: see isMerged
	queues []queue

	servers, clients int
	gen              uint32
	salt             uint64 // of the tags that the layer makes
	stats            Stats

	keys  keyMaker
	msg   sip.Message // what the layer parses itself
	out   []byte      // what it writes itself
	delta []byte      // before it is kept
}

var _ transport.Handler = (*Layer)(nil)

// Defaults of Config.
const (
	defaultLimit  = 1_000_000
	defaultMemory = 2 << 30
	// Beyond these, numbers of records and of texts would not fit.
	maxLimit  = 1 << 28
	maxMemory = 16 << 30
)

// New gives a Layer that sends through link and serves user. The link, or whoever stands for it, must then call Receive,
// Failed and Wake.
func New(link transport.Link, user User, cfg Config) *Layer {
	if cfg.Limit <= 0 {
		cfg.Limit = defaultLimit
	}
	cfg.Limit = min(cfg.Limit, maxLimit)
	if cfg.Clients <= 0 {
		cfg.Clients = 4 * cfg.Limit
	}
	cfg.Clients = min(cfg.Clients, 4*maxLimit)
	if cfg.Memory <= 0 {
		cfg.Memory = defaultMemory
	}
	cfg.Memory = min(cfg.Memory, maxMemory)
	l := &Layer{link: link, user: user, cfg: cfg, times: newTimes(&cfg), arena: newArena()}
	l.keys.seeds = [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()} // they decide nothing that can be seen
	l.queues = newQueues(&l.times)
	if cfg.Rand != nil {
		l.salt = cfg.Rand.Uint64()
	}
	return l
}

// Link is what the layer sends through: for what belongs to no transaction, such as the ACK of a 2xx.
func (l *Layer) Link() transport.Link { return l.link }

// Stats gives the counts.
func (l *Layer) Stats() Stats {
	s := l.stats
	s.Bytes = l.arena.bytes
	return s
}

// SetData sets what the user is given with the id; it is 0 for a new server transaction.
func (l *Layer) SetData(id ID, data uint64) {
	if _, r := l.get(id); r != nil {
		r.data = data
	}
}

// Request gives the request of a server transaction that has no final response yet, and where it came from. raw is valid
// until that response, and must not be changed.
func (l *Layer) Request(id ID) (raw []byte, from transport.Hop, ok bool) {
	_, r := l.get(id)
	if r == nil || r.kind < ServerInvite || r.req == 0 {
		return nil, transport.Hop{}, false
	}
	raw, src := l.request(r)
	from = l.ends.unpack(&r.hop)
	from.Remote = netip.AddrPortFrom(src.Addr().WithZone(from.Remote.Addr().Zone()), src.Port())
	return raw, from, true
}

// sourceSize is what stands behind the text of a server's request: address, port, kind.
const sourceSize = 19

// request gives the request that a server transaction keeps, and its source address without zone.
func (l *Layer) request(r *record) (raw []byte, src netip.AddrPort) {
	kept := l.arena.of(r.req)
	n := len(kept) - sourceSize
	p := packedAddr{
		ip: [16]byte(kept[n:]), port: binary.BigEndian.Uint16(kept[n+16:]), kind: kept[n+18],
	}
	return kept[:n:n], p.unpack("")
}

// keepRequest keeps the text of a server's request and its source.
func (l *Layer) keepRequest(r *record, raw []byte, src netip.AddrPort) {
	p := packAddr(src)
	at, dst := l.arena.alloc(len(raw) + sourceSize)
	r.req = at
	n := copy(dst, raw)
	copy(dst[n:], p.ip[:])
	binary.BigEndian.PutUint16(dst[n+16:], p.port)
	dst[n+18] = p.kind
}

// get finds the transaction of an id; nil when it is gone.
func (l *Layer) get(id ID) (uint32, *record) {
	x := uint32(id) //nolint:gosec // the lower half
	if r := l.slab.get(x); r != nil && r.gen != 0 && r.gen == uint32(id>>32) {
		return x, r
	}
	return 0, nil
}

func (r *record) id(x uint32) ID { return ID(r.gen)<<32 | ID(x) }

// tick takes the time of the link.
func (l *Layer) tick() { l.now = max(l.now, l.link.Now()) }

// create makes a transaction in its first state.
func (l *Layer) create(k *key, kind Kind, hop transport.Hop, data uint64) (uint32, *record) {
	x, r := l.slab.alloc()
	l.gen++
	if l.gen == 0 {
		l.gen++ // an ID is never below 1<<32
	}
	r.gen, r.kind, r.state, r.data = l.gen, kind, first(kind), data
	r.hop = l.ends.pack(hop)
	r.key = *k
	l.byKey.add(k.hash(), x)
	if kind < ServerInvite {
		l.clients++
	} else {
		l.servers++
	}
	l.stats.Created[kind]++
	l.stats.Open[kind][r.state]++
	l.startTimers(x, r)
	return x, r
}

// startTimers starts the timers of the state that was entered, and stops those of the one before.
func (l *Layer) startTimers(x uint32, r *record) {
	l.stop(r, timerState)
	l.stop(r, timerResend)
	reliable := r.hop.remote.proto.Reliable()
	if d := l.times.state(r.kind, r.state, reliable); d >= 0 {
		l.start(x, r, timerState, d)
	} else if r.kind == ServerInvite && l.cfg.Trying {
		l.start(x, r, timerState, tryingAfter)
	}
	if r.kind == Server && r.state == Trying || !reliable &&
		(r.kind < ServerInvite && r.state == Trying || r.kind == ServerInvite && r.state == Completed) {
		r.resent = 0
		l.start(x, r, timerResend, l.times.resend(r.kind, r.state, 0))
	}
}

// enter brings a transaction into a state other than Terminated.
func (l *Layer) enter(x uint32, r *record, to State) {
	if to == r.state {
		return
	}
	l.stats.Open[r.kind][r.state]--
	l.stats.Open[r.kind][to]++
	r.state = to
	if to == Proceeding && r.kind == Client {
		return // timers E and F go on
	}
	if to == Proceeding && r.kind == Server {
		l.stop(r, timerResend) // a 100 was sent; the client's timer F goes on since the request
		return
	}
	l.startTimers(x, r)
	if to != Proceeding {
		l.answered(r)
	}
}

// answered gives up what a transaction needs until its final response only.
func (l *Layer) answered(r *record) {
	l.arena.free(&r.req)
	l.arena.free(&r.reason)
	if r.state == Confirmed || r.state == Accepted {
		l.arena.free(&r.msg)
	}
}

// end destroys a transaction and tells the user, err first when there is one.
func (l *Layer) end(x uint32, r *record, err error) {
	id, data, internal := r.id(x), r.data, r.flags&flagInternal != 0
	l.answered(r)
	l.unmerge(x, r)
	l.stop(r, timerState)
	l.stop(r, timerResend)
	l.byKey.remove(r.key.hash(), x)
	l.stats.Open[r.kind][r.state]--
	if r.kind < ServerInvite {
		l.clients--
	} else {
		l.servers--
	}
	l.arena.free(&r.msg)
	l.ends.release(&r.hop)
	l.slab.release(x)
	if internal {
		return
	}
	if err != nil {
		l.user.Failed(id, data, err)
	}
	l.user.Ended(id, data)
}

// input is what came with an event.
type input struct {
	received *transport.Received
	err      error
}

// run makes a transition. The user is called last, since it may call the layer in turn.
func (l *Layer) run(x uint32, r *record, e event, in input) {
	to, do, ok := step(r.kind, r.state, e)
	if !ok {
		return
	}
	if do&doSend != 0 {
		l.sendAgain(x, r, e, in.received)
	}
	if do&doAck != 0 {
		l.acknowledge(x, r, in.received)
	}
	if do&doAckMore != 0 {
		l.sendKept(x, r, in.received.Msg.Raw)
	}
	if do&doTrying != 0 {
		l.sendTrying(x, r)
	}
	if do&doLate != 0 {
		r.flags |= flagLate
		l.arena.free(&r.msg)
		l.stats.Late++
	}
	if do&doAbsorb != 0 {
		l.stats.Absorbed++
	}
	err := l.failure(r, do, in.err)
	if to == Terminated {
		l.end(x, r, err)
		return
	}
	l.enter(x, r, to)
	if r.flags&flagCancel != 0 && r.state == Proceeding {
		_ = l.sendCancel(x, r) // the INVITE ends by its timer when the CANCEL cannot be sent
	}
	l.tell(x, r, do, err, in.received)
}

// failure is the error that the user is told, and counts it; nil when it is told none.
func (l *Layer) failure(r *record, do action, err error) error {
	switch {
	case do&doFail == 0:
		return nil
	case err != nil:
		l.stats.LinkErrors++
		return err
	case r.kind == ServerInvite:
		l.stats.NoAck++
		return ErrNoAck
	default:
		l.stats.Timeouts++
		return ErrTimeout
	}
}

// tell calls the user for a transition that ends nothing.
func (l *Layer) tell(x uint32, r *record, do action, err error, received *transport.Received) {
	if r.flags&flagInternal != 0 {
		return
	}
	if err != nil {
		l.user.Failed(r.id(x), r.data, err)
		return
	}
	if do&doPass == 0 {
		return
	}
	if r.kind < ServerInvite {
		l.user.Response(r.id(x), r.data, received)
	} else {
		l.user.Request(0, received) // the ACK of a 2xx that has the branch of its INVITE
	}
}

// fire is a timer.
func (l *Layer) fire(x uint32, r *record, e event) { l.run(x, r, e, input{}) }

// Failed takes what the link could not send. Tags below 1<<32 are no transaction's and are ignored: they are free for
// what the user sends through the link itself.
func (l *Layer) Failed(_ transport.Hop, tag uint64, err error) {
	l.tick()
	x, r := l.get(ID(tag))
	if r == nil {
		return
	}
	if err == nil {
		err = ErrUnsent
	}
	l.run(x, r, evError, input{err: err})
}

// Receive takes a message that the link received.
func (l *Layer) Receive(r *transport.Received) {
	l.tick()
	if r.Msg.Request {
		l.receiveRequest(r)
	} else {
		l.receiveResponse(r)
	}
}

// sendAgain sends what a transaction keeps: by timer, or because the request came again.
func (l *Layer) sendAgain(x uint32, r *record, e event, received *transport.Received) {
	if e == evResend {
		if r.resent < 255 {
			r.resent++
		}
		l.start(x, r, timerResend, l.times.resend(r.kind, r.state, r.resent))
	}
	switch {
	case r.kind < ServerInvite:
		l.link.Send(l.ends.unpack(&r.hop), l.arena.of(r.req), uint64(r.id(x)))
		l.stats.Resent++
	case received != nil:
		l.sendKept(x, r, received.Msg.Raw)
	default:
		l.sendKept(x, r, nil)
	}
}

// sendKept sends the message that a transaction keeps, made of base when only a delta of it is kept.
func (l *Layer) sendKept(x uint32, r *record, base []byte) {
	if r.msg == 0 {
		return
	}
	raw := l.arena.of(r.msg)
	if r.flags&flagDelta != 0 {
		out, ok := applyDelta(l.out[:0], base, raw)
		l.out = out
		if !ok {
			return // it is no retransmission, but another message of the same key
		}
		raw = out
	}
	l.link.Send(l.ends.unpack(&r.hop), raw, uint64(r.id(x)))
	l.stats.Resent++
}
