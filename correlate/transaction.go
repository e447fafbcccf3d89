package correlate

import (
	"sipscope/decode/sip"
)

// transaction finds or makes the transaction of a message (RFC 3261 17.1.3, 17.2.3). An ACK goes to its INVITE's
// transaction when that one failed; an ACK of a 2xx, which is no transaction, gets a record of its own so that its
// repetitions are recognised.
func (t *Tracker) transaction(x *seen) uint32 {
	s := &x.m.SIP
	k := &x.m.Keys
	if s.Request && s.MethodID == sip.MethodAck {
		return t.ackTransaction(x)
	}
	key := hashCall(k.MixMethod(), x.ci)
	if s.Request {
		if ti := t.onHop(key, x); ti != 0 {
			return ti
		}
		return t.newTransaction(x, key)
	}
	if ti := t.ofResponse(key, x); ti != 0 {
		return ti
	}
	ti := t.newTransaction(x, key)
	r := t.txns.At(ti)
	r.bits |= txnOrphan
	r.src, r.dst = r.dst, r.src
	return ti
}

// onHop finds the transaction with this key whose request crossed the same pair of hosts in the same direction.
func (t *Tracker) onHop(key uint64, x *seen) uint32 {
	byHost := uint32(0)
	ti := t.withKey(x.c, key)
	for range chainLook {
		if ti == 0 {
			break
		}
		r := t.txns.At(ti)
		if r.src == x.src && r.dst == x.dst {
			return ti
		}
		if byHost == 0 && t.sameHost(x.c, r.src, x.src) && t.sameHost(x.c, r.dst, x.dst) {
			byHost = ti
		}
		ti = r.same
	}
	return byHost
}

// ofResponse finds the transaction that a response answers: the one whose request came from where it goes. A response
// may leave another address than the request reached (RFC 3261 18.2.2), so the newest with this key is the last resort.
func (t *Tracker) ofResponse(key uint64, x *seen) uint32 {
	first := t.withKey(x.c, key)
	toHost := uint32(0)
	ti := first
	for range chainLook {
		if ti == 0 {
			break
		}
		r := t.txns.At(ti)
		if t.sameHost(x.c, r.src, x.dst) {
			if t.sameHost(x.c, r.dst, x.src) {
				return ti
			}
			if toHost == 0 {
				toHost = ti
			}
		}
		ti = r.same
	}
	if toHost != 0 {
		return toHost
	}
	return first
}

func (t *Tracker) ackTransaction(x *seen) uint32 {
	k := &x.m.Keys
	if ti := t.onHop(hashCall(k.MixMethod(), x.ci), x); ti != 0 {
		if r := t.txns.At(ti); r.bits&txnFinal == 0 || r.status >= 300 {
			return ti
		}
	}
	if ti := t.unacknowledged(x); ti != 0 {
		return ti
	}
	own := *k
	own.Method = uint64(sip.MethodAck)
	key := hashCall(own.MixMethod(), x.ci)
	if ti := t.onHop(key, x); ti != 0 {
		return ti
	}
	return t.newTransaction(x, key)
}

// unacknowledged finds the INVITE on this hop that failed and still waits for its ACK: some elements, and a flow of RFC
// 3665 itself (3.8), give that ACK a branch of its own.
func (t *Tracker) unacknowledged(x *seen) uint32 {
	ti := x.c.lastTxn
	for range chainLook {
		if ti == 0 {
			break
		}
		r := t.txns.At(ti)
		if r.method == uint16(sip.MethodInvite) && r.cseq == x.m.SIP.CSeq && r.state == TxnCompleted && r.status >= 300 &&
			r.src == x.src && r.dst == x.dst {
			return ti
		}
		ti = r.prev
	}
	return 0
}

// fewTxns is how many transactions of a call are searched one by one. They were made within seconds of each other and
// lie close together, so that a handful costs less than one jump into the index of all; most calls have no more.
const fewTxns = 8

// withKey finds the newest transaction of the call with a key.
func (t *Tracker) withKey(c *callRec, key uint64) uint32 {
	if c.nTxns > fewTxns {
		return t.byKey.Get(key)
	}
	for ti := c.lastTxn; ti != 0; {
		r := t.txns.At(ti)
		if r.key == key {
			return ti
		}
		ti = r.prev
	}
	return 0
}

// enter makes a new transaction findable by its key; a call that gets many moves into the index. The list of the call
// does not yet hold it.
func (t *Tracker) enter(c *callRec, ti uint32, key uint64) {
	c.nTxns++
	if c.nTxns <= fewTxns {
		return
	}
	if c.nTxns == fewTxns+1 {
		for old := c.txns; old != 0; old = t.txns.At(old).next { // oldest first: the newest with a key stays
			t.byKey.Set(t.txns.At(old).key, old)
		}
	}
	t.byKey.Set(key, ti)
}

// newTransaction makes a record; its request is not yet set.
func (t *Tracker) newTransaction(x *seen, key uint64) uint32 {
	c := x.c
	ti, r := t.txns.Alloc()
	*r = txnRec{
		key: key, call: x.ci, same: t.withKey(c, key), prev: c.lastTxn, cseq: x.m.SIP.CSeq,
		from: uint32(x.m.Keys.FromTag), //nolint:gosec // low half wanted
		src:  x.src, dst: x.dst, vias: x.m.SIP.Vias, method: x.method, state: TxnTrying,
	}
	if x.m.Keys.ToTag == 0 && x.m.SIP.Request {
		r.bits |= txnInitial
	}
	r.leg = t.leg(x, r)
	t.enter(c, ti, key)
	if c.lastTxn == 0 {
		c.txns = ti
	} else {
		t.txns.At(c.lastTxn).next = ti
	}
	c.lastTxn = ti
	return ti
}

// leg places a transaction on the path of its request: 1 on the first hop seen, 2 after the first proxy, and so on. Each
// proxy adds a Via (RFC 3261 16.6 step 8), so their number tells; an element that adds none is told by the addresses.
func (t *Tracker) leg(x *seen, r *txnRec) uint16 {
	leg := uint16(1)
	ti := r.prev
	for range chainLook {
		if ti == 0 {
			break
		}
		o := t.txns.At(ti)
		if o.method == r.method && o.cseq == r.cseq && o.from == r.from {
			switch {
			case r.vias > o.vias:
				leg = max(leg, o.leg+r.vias-o.vias)
			case t.sameHost(x.c, o.dst, r.src) && !t.sameHost(x.c, o.src, r.src):
				leg = max(leg, o.leg+1)
			}
		}
		ti = o.prev
	}
	return leg
}

// advance moves the transaction's machine, and with it dialogs and call, by a message that is no repetition.
func (t *Tracker) advance(x *seen, ti, mi uint32) {
	if x.m.SIP.Request {
		t.request(x, ti, mi)
	} else {
		t.response(x, ti, mi)
	}
	t.dialog(x, mi)
}

func (t *Tracker) request(x *seen, ti, mi uint32) {
	c, r, s := x.c, t.txns.At(ti), &x.m.SIP
	if s.MethodID == sip.MethodAck {
		t.ack(x, r, mi)
		return
	}
	if r.bits&txnRequest != 0 {
		return // another message under the same key: kept, but the machine has its request
	}
	r.req = mi
	r.bits = r.bits&^txnOrphan | txnRequest
	if r.same == 0 {
		t.countTransaction(x)
	}
	initialInvite := s.MethodID == sip.MethodInvite && r.bits&txnInitial != 0
	t.recast(x, initialInvite)
	t.claim(x, ti, r)
	switch s.MethodID {
	case sip.MethodCancel:
		t.cancel(x, ti, r)
	case sip.MethodBye:
		t.bye(x)
	case sip.MethodRegister:
		registerRequest(s, r)
	case sip.MethodSubscribe:
		if s.Expires == 0 {
			r.bits |= txnRemove
		}
	case sip.MethodNotify:
		t.notify(c, s)
	default:
	}
	t.noResponse.add(x.m.Time+timerB, ti, r.key)
}

func (t *Tracker) countTransaction(x *seen) {
	x.c.transactions++
	for int(x.method) >= len(t.totals.txns) {
		t.totals.txns = append(t.totals.txns, 0)
	}
	t.totals.txns[x.method]++
}

// claim marks a transaction of the caller's own hop, which is where a call's state is read: the same host, as many Via
// values as the first request, the call's method. The newest one decides.
func (t *Tracker) claim(x *seen, ti uint32, r *txnRec) {
	c := x.c
	if x.method != c.method || r.vias != c.callerVias || !t.sameHost(c, r.src, c.caller) {
		return
	}
	if x.m.SIP.MethodID == sip.MethodInvite && r.bits&txnInitial == 0 && c.bits&callInvite != 0 {
		return // a re-INVITE does not decide what became of the call
	}
	r.bits |= txnCaller
	c.deciding = ti
}

func (t *Tracker) response(x *seen, ti, mi uint32) {
	c, r, s := x.c, t.txns.At(ti), &x.m.SIP
	if r.bits&txnOrphan != 0 && r.bits&txnCaller == 0 {
		t.claimOrphan(x, ti, r)
	}
	if s.Status < 200 {
		t.provisional(x, ti, r, mi)
		return
	}
	if r.bits&txnFinal == 0 || r.status >= 300 && s.Status < 300 {
		r.final, r.status = mi, s.Status
		r.bits |= txnFinal
	}
	r.state = TxnCompleted
	switch {
	case s.CSeqMethodID == sip.MethodInvite && s.Status < 300:
		r.state = TxnTerminated
	case s.CSeqMethodID == sip.MethodRegister:
		t.registered(x, r)
	case s.CSeqMethodID == sip.MethodSubscribe && s.Status < 300:
		c.subscription(r.bits&txnRemove == 0 && s.Expires != 0)
	}
	if r.bits&txnCaller != 0 {
		t.finalAtCaller(x, r)
	}
	t.cause(x)
}

// claimOrphan lets responses whose request the capture lacks tell what became of the call.
func (t *Tracker) claimOrphan(x *seen, ti uint32, r *txnRec) {
	c := x.c
	if c.bits&callNoMethods != 0 {
		c.bits &^= callNoMethods
		c.method = x.method
	}
	if x.method != c.method || r.vias != c.callerVias || !t.sameHost(c, r.src, c.caller) {
		return
	}
	if x.m.SIP.CSeqMethodID == sip.MethodInvite && c.bits&callInvite == 0 {
		c.bits |= callInvite
	}
	r.bits |= txnCaller
	c.deciding = ti
}

func (t *Tracker) provisional(x *seen, ti uint32, r *txnRec, mi uint32) {
	c, s := x.c, &x.m.SIP
	if r.bits&txnFinal == 0 {
		r.prov, r.status = mi, s.Status
		if r.state == TxnTrying || r.state == TxnTimedOut {
			r.state = TxnProceeding
		}
		if s.CSeqMethodID == sip.MethodInvite {
			t.noFinal.add(x.m.Time+timerC, ti, r.key)
		}
	}
	ringing := s.Status >= 180 && s.Status < 190 && s.CSeqMethodID == sip.MethodInvite
	if ringing && r.bits&txnCaller != 0 && c.ev.Ring == 0 {
		c.ev.Ring = x.m.Seq
		if c.inviteAt != 0 {
			c.pdd = max(-1, x.m.Time-c.inviteAt) // unknown when the clock was set back
		}
	}
}

// finalAtCaller reads the figures that the caller's hop gives.
func (t *Tracker) finalAtCaller(x *seen, r *txnRec) {
	c, s, m := x.c, &x.m.SIP, x.m
	if s.CSeqMethodID != sip.MethodInvite || c.bits&callInvite == 0 {
		if t.txns.At(c.deciding) == r {
			t.final(x)
		}
		return
	}
	if s.Status < 300 {
		if c.ev.Answer == 0 {
			c.ev.Answer, c.answerAt = m.Seq, m.Time
			t.final(x)
			if c.inviteAt != 0 {
				c.setup = max(-1, m.Time-c.inviteAt)
			}
			c.bits |= callAnswered
			t.setDuration(c)
		}
		return
	}
	if t.txns.At(c.deciding) == r {
		t.final(x)
		c.endedBy = t.refuser(x, r)
	}
}

// final notes the response that decides the call's state.
func (t *Tracker) final(x *seen) {
	x.c.ev.Final = x.m.Seq
	x.c.reason = t.intern(x.m.SIP.Reason.Of(x.m.SIP.Raw))
}

func (t *Tracker) setDuration(c *callRec) {
	if c.answerAt != 0 && c.bits&callBye != 0 && c.byeAt >= c.answerAt {
		c.duration = c.byeAt - c.answerAt
	}
}

// ack takes an ACK: of a failure it ends the INVITE's transaction, of a 2xx it is linked to it.
func (t *Tracker) ack(x *seen, r *txnRec, mi uint32) {
	c := x.c
	if r.method == uint16(sip.MethodInvite) {
		r.ack = mi
		r.state = TxnConfirmed
		return
	}
	r.req = mi
	atCaller := r.vias == c.callerVias && t.sameHost(c, r.src, c.caller)
	ti := c.lastTxn
	for range chainLook {
		if ti == 0 {
			break
		}
		o := t.txns.At(ti)
		if o.method == uint16(sip.MethodInvite) && o.cseq == r.cseq && o.status < 300 {
			if o.ack == 0 && (o.bits&txnFinal != 0 || r.vias == o.vias) {
				o.ack = mi
			}
			if atCaller && o.bits&txnCaller != 0 && o.bits&txnFinal == 0 {
				c.bits |= callAnswered // a new branch: only a 2xx is acknowledged so (RFC 3261 13.2.2.4)
			}
		}
		ti = o.prev
	}
	if c.ev.Ack == 0 {
		c.ev.Ack = x.m.Seq
	}
}

// cancel links a CANCEL with its INVITE: same branch, same hop (RFC 3261 9.1).
func (t *Tracker) cancel(x *seen, ti uint32, r *txnRec) {
	c := x.c
	ii := t.onHop(hashCall(x.m.Keys.InviteKey(), x.ci), x)
	if ii == 0 {
		return
	}
	o := t.txns.At(ii)
	o.mate, r.mate = ti, ii
	if o.bits&txnCaller != 0 {
		c.bits |= callCancel
		if c.ev.Cancel == 0 {
			c.ev.Cancel = x.m.Seq
		}
	}
}

// bye takes the first BYE seen anywhere: who sent it ended the call.
func (t *Tracker) bye(x *seen) {
	c, m := x.c, x.m
	if c.bits&callBye != 0 {
		return
	}
	c.bits |= callBye | callReleased
	c.byeAt, c.ev.End = m.Time, m.Seq
	c.releasedBy = x.src
	t.setDuration(c)
	switch {
	case m.SIP.Vias == 1 && t.forwards(c, x.src):
		c.endedBy = Network
	case m.Keys.FromTag == c.fromTag:
		c.endedBy = Caller
	case m.Keys.ToTag == c.fromTag:
		c.endedBy = Callee
	default:
		c.endedBy = SideUnknown
	}
	t.cause(x)
}

// forwards reports whether a host received the call's INVITE and sent it on: a proxy or the like.
func (t *Tracker) forwards(c *callRec, ep uint16) bool {
	same := func(i uint16) bool { return t.sameHost(c, i, ep) }
	if t.sameHost(c, ep, c.caller) { // several elements on one host are told apart by their ports
		same = func(i uint16) bool { return i == ep }
	}
	var in, out bool
	ti := c.txns
	for range chainLook {
		if ti == 0 {
			break
		}
		r := t.txns.At(ti)
		if r.method == c.method && r.bits&txnInitial != 0 {
			in = in || same(r.dst)
			out = out || same(r.src)
		}
		ti = r.next
	}
	return in && out
}

// refuser tells who sent the final response that ended the call: the far end, or an element between that had sent
// the request on and answered itself.
func (t *Tracker) refuser(x *seen, r *txnRec) Side {
	c, status := x.c, x.m.SIP.Status
	switch {
	case status == 487 && c.bits&callCancel != 0:
		return Caller
	case status < 400, status == 401, status == 407:
		return SideUnknown
	}
	last, vias := r.dst, r.vias
	ti := c.txns
	for range chainLook {
		if ti == 0 {
			break
		}
		o := t.txns.At(ti)
		if o.method == r.method && o.cseq == r.cseq && o.bits&txnFinal != 0 && o.status == status && o.vias > vias {
			last, vias = o.dst, o.vias
		}
		ti = o.next
	}
	if t.forwards(c, last) {
		return Network
	}
	return Callee
}

// cause keeps the Q.850 cause of a Reason header (RFC 3326, RFC 6432).
func (t *Tracker) cause(x *seen) {
	s := &x.m.SIP
	for i := range s.Headers {
		if s.Headers[i].ID != sip.HeaderReason {
			continue
		}
		if v, ok := q850(s.Headers[i].Value.Of(s.Raw)); ok {
			x.c.cause = v
			return
		}
	}
}

// Rebase tells the tracker that the clock of the capture was set back to now: what waits goes on waiting for as long as
// it had left, and does not stand still until the old time is reached again.
func (t *Tracker) Rebase(now int64) {
	back := t.now - now
	if back <= 0 {
		return
	}
	t.now = now
	t.expireAt = min(t.expireAt, now+expireEvery)
	t.noResponse.back(back)
	t.noFinal.back(back)
}

// Advance tells the tracker the packet time reached: requests that waited too long time out, and calls that are too old
// go.
func (t *Tracker) Advance(now int64) {
	t.now = max(t.now, now)
	t.timeOuts()
	t.expire()
}

func (t *Tracker) timeOuts() {
	for {
		ti, key, ok := t.noResponse.due(t.now)
		if !ok {
			break
		}
		r := t.txns.At(ti)
		if r.key != key || r.state != TxnTrying && (r.state != TxnProceeding || r.method == uint16(sip.MethodInvite)) {
			continue
		}
		t.timeOut(ti, r)
	}
	for {
		ti, key, ok := t.noFinal.due(t.now)
		if !ok {
			return
		}
		r := t.txns.At(ti)
		if r.key != key || r.state != TxnProceeding {
			continue
		}
		if r.prov != 0 {
			if due := t.msgs.At(r.prov).time + timerC; due > t.now {
				t.noFinal.add(due, ti, key)
				continue
			}
		}
		t.timeOut(ti, r)
	}
}

func (t *Tracker) timeOut(ti uint32, r *txnRec) {
	r.state = TxnTimedOut
	c := t.calls.At(r.call)
	if c.deciding == ti {
		before := c.state
		t.decide(c)
		if c.state != before {
			t.touch(r.call, c)
			t.settle(r.call, c)
		}
	}
}

// deadlines is a queue of transactions to look at again, in the order of their times: all of one queue wait equally
// long, so first in is first due.
type deadlines struct{ fifo[deadline] }

type deadline struct {
	at  int64
	key uint64
	txn uint32
}

func (d *deadlines) add(at int64, txn uint32, key uint64) {
	if txn != 0 {
		d.push(deadline{at, key, txn})
	}
}

// back moves all of them to an earlier time.
func (d *deadlines) back(by int64) {
	for i := range d.len() {
		d.at(i).at -= by
	}
}

func (d *deadlines) due(now int64) (txn uint32, key uint64, ok bool) {
	if d.len() == 0 || d.at(0).at > now {
		return 0, 0, false
	}
	it := d.pop()
	return it.txn, it.key, true
}
