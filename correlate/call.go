package correlate

import (
	"sipscope/decode"
	"sipscope/decode/frame"
	"sipscope/decode/sip"
)

// callOf finds or makes the call of a message: all that shares a Call-ID. Messages without one are grouped by their
// pair of addresses, since nothing else holds them together.
func (t *Tracker) callOf(m *decode.Message) (ci uint32, fresh bool) {
	id := m.SIP.CallID.Of(m.SIP.Raw)
	hash := m.Keys.Call
	if len(id) == 0 {
		hash = pairHash(m.Src, m.Dst)
	}
	head := t.byID.Get(hash)
	for ci = head; ci != 0; {
		c := t.calls.At(ci)
		if len(id) > 0 || c.id.Len == 0 && t.holds(c, m.Src) {
			return ci, false // the seeded hash of a Call-ID stands for it: see decode.Keys
		}
		ci = c.sameHash
	}
	ci, c := t.calls.Alloc()
	t.nextNum++
	c.num, c.hash, c.sameHash = t.nextNum, hash, head
	t.byID.Set(hash, ci)
	t.byNum.set(c.num, ci)
	t.totals.Calls++
	if len(id) > 0 {
		t.totals.CallIDs++
	}
	return ci, true
}

func pairHash(a, b frame.Endpoint) uint64 {
	return a.Hi ^ b.Hi ^ (a.Lo+uint64(a.Port))*0x9e3779b97f4a7c15 ^ (b.Lo+uint64(b.Port))*0x9e3779b97f4a7c15
}

// ep gives one of the call's addresses.
func (t *Tracker) ep(c *callRec, i uint16) *frame.Endpoint {
	if i < inlineEndpoints {
		return &c.eps[i]
	}
	return &t.sides.At(c.side).eps[i-inlineEndpoints]
}

// sameHost compares two of the call's addresses without their ports.
func (t *Tracker) sameHost(c *callRec, i, j uint16) bool {
	return i == j || t.ep(c, i).SameHost(*t.ep(c, j))
}

func (t *Tracker) holds(c *callRec, e frame.Endpoint) bool {
	for i := range c.nEps {
		if *t.ep(c, uint16(i)) == e {
			return true
		}
	}
	return false
}

// sideOf gives the call's side record, making it when there is none.
func (t *Tracker) sideOf(c *callRec) *sideRec {
	if c.side == 0 {
		c.side, _ = t.sides.Alloc()
	}
	return t.sides.At(c.side)
}

// maxEndpoints bounds the addresses of one call; a Call-ID that a scanner uses for a whole network stops here, and
// its later addresses share the last place.
const maxEndpoints = 1024

// endpoint gives the index of an address in the call; the newest are looked at first.
func (t *Tracker) endpoint(c *callRec, e frame.Endpoint) uint16 {
	for i := int(c.nEps) - 1; i >= 0; i-- {
		if *t.ep(c, uint16(i)) == e { //nolint:gosec // at most maxEndpoints
			return uint16(i) //nolint:gosec // likewise
		}
	}
	if c.nEps >= maxEndpoints {
		t.limited.SharedAddresses++
		return maxEndpoints - 1
	}
	if c.nEps < inlineEndpoints {
		c.eps[c.nEps] = e
	} else {
		side := t.sideOf(c)
		side.eps = append(side.eps, e)
	}
	c.nEps++
	return uint16(c.nEps - 1)
}

// begin fills a new call from its first message.
func (t *Tracker) begin(x *seen) {
	c, m := x.c, x.m
	s := &m.SIP
	c.first, c.last = m.Time, m.Time
	c.pdd, c.setup, c.duration, c.cause = -1, -1, -1, -1
	c.ev.Request = m.Seq
	c.bits |= callNoMethods
	if len(t.headers) > 0 {
		t.sideOf(c).columns = make([]string, len(t.headers))
	}
	var buf [512]byte
	text := buf[:0]
	add := func(span sip.Span, limit uint32) sip.Span {
		span.Len = min(span.Len, limit)
		off := uint32(len(text)) //nolint:gosec // a message is below 4 GiB
		text = append(text, span.Of(s.Raw)...)
		return sip.Span{Off: off, Len: span.Len}
	}
	c.id = add(s.CallID, s.CallID.Len)
	address := func(a *sip.Address) addrRec {
		r := addrRec{display: add(a.Display, maxText), uri: add(a.URI, maxText)}
		r.user, r.host = inside(a.User, a.URI, r.uri), inside(a.Host, a.URI, r.uri)
		return r
	}
	c.from, c.to = address(&s.From), address(&s.To)
	c.ruri = add(s.URI, maxText)
	c.text = t.texts.add(text)
	t.cast(x)
}

// inside moves a span that lies in outer to where outer was copied.
func inside(s, outer, copied sip.Span) sip.Span {
	if s.Len == 0 || s.Off < outer.Off || s.Off-outer.Off+s.Len > copied.Len {
		return sip.Span{}
	}
	return sip.Span{Off: copied.Off + s.Off - outer.Off, Len: s.Len}
}

// cast decides who the caller is: the sender of the first request, or, when only responses were seen, the one that
// they go to.
func (t *Tracker) cast(x *seen) {
	c, s := x.c, &x.m.SIP
	c.caller, c.callee = x.src, x.dst
	if !s.Request {
		c.caller, c.callee = x.dst, x.src
	}
	c.callerVias = s.Vias
	c.fromTag = x.m.Keys.FromTag
	c.method = x.method
	if s.Request {
		c.bits |= callFromReq
	}
	if s.Request && x.m.Keys.ToTag != 0 {
		c.bits |= callInDialog
	}
}

// recast lets a better message name the call: any request after ACKs alone, and an INVITE that makes a dialog after
// anything else.
func (t *Tracker) recast(x *seen, initialInvite bool) {
	c := x.c
	isAck := x.method == uint16(sip.MethodAck)
	switch {
	case initialInvite && c.bits&callInvite == 0:
		inDialog := c.bits & callInDialog
		if c.messages > 1 {
			c.bits &^= callInDialog
			t.cast(x)
			c.bits |= inDialog
		}
		c.bits |= callInvite
		c.bits &^= callNoMethods
		c.inviteAt = x.m.Time
	case c.bits&callNoMethods != 0 && !isAck:
		c.bits &^= callNoMethods
		c.method = x.method
	}
}

// enforce evicts until the limits hold.
func (t *Tracker) enforce() {
	for t.calls.Live() > t.limits.Calls || t.msgs.Live() > t.limits.Messages {
		victim := t.victim()
		if victim == 0 {
			return
		}
		t.evict(victim)
	}
}

// ended reports whether nothing more is expected of the call.
func (c *callRec) ended() bool {
	switch c.state {
	case StateUnknown, StateCalling, StateRinging, StateAnswered, StatePending, StateSubscribed, StateRegistered:
		return false
	default:
		return true
	}
}

func (t *Tracker) evict(ci uint32) {
	c := t.calls.At(ci)
	t.limited.EvictedCalls++
	for mi := c.head; mi != 0; {
		r := t.msgs.At(mi)
		for pi := r.more; pi != 0; {
			next := t.pieces.At(pi).next
			t.pieces.Release(pi)
			pi = next
		}
		next := r.next
		t.msgs.Release(mi)
		t.limited.EvictedMessages++
		mi = next
	}
	for ti := c.txns; ti != 0; {
		x := t.txns.At(ti)
		next := x.next
		if c.nTxns > fewTxns {
			t.byKey.Drop(x.key)
		}
		t.txns.Release(ti)
		ti = next
	}
	for di := c.dialogs; di != 0; {
		next := t.dialogs.At(di).next
		t.texts.drop(t.dialogs.At(di).tags)
		t.dialogs.Release(di)
		di = next
	}
	t.texts.drop(c.text)
	if c.side != 0 {
		t.sides.Release(c.side)
	}
	t.forget(ci, c)
	t.byNum.drop(c.num)
	t.calls.Release(ci)
}

// forget takes the call out of the index by Call-ID.
func (t *Tracker) forget(ci uint32, c *callRec) {
	head := t.byID.Get(c.hash)
	if head == ci {
		if c.sameHash == 0 {
			t.byID.Drop(c.hash)
		} else {
			t.byID.Set(c.hash, c.sameHash)
		}
		return
	}
	for i := head; i != 0; {
		o := t.calls.At(i)
		if o.sameHash == ci {
			o.sameHash = c.sameHash
			return
		}
		i = o.sameHash
	}
}
