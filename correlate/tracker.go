package correlate

import (
	"math/bits"

	"sipscope/correlate/dense"
	"sipscope/correlate/media"
	"sipscope/decode"
	"sipscope/decode/sip"
)

// Tracker puts messages into transactions, dialogs and calls. It is a plain value without goroutine, clock or lock:
// the same messages in the same order always give the same archive. Whoever shares it guards it (see Board).
type Tracker struct {
	limits  Limits
	limited Limited
	headers []string // Config.Headers

	msgs    dense.Slab[msgRec]
	pieces  dense.Slab[pieceRec]
	txns    dense.Slab[txnRec]
	dialogs dense.Slab[dialogRec]
	calls   dense.Slab[callRec]
	sides   dense.Slab[sideRec]
	texts   texts

	byID  dense.Index // hash of a Call-ID -> newest call with it
	byNum numbers
	byKey dense.Index // hash of a transaction key and its call -> newest transaction; of calls with many

	names    *methods
	paths    paths
	interned map[string]uint32 // user agents, reason phrases
	words    []string          // by interned number; 0 is the empty one

	order   changes // all calls
	ended   changes // those that have ended
	rev     uint64
	nextNum uint32
	now     int64

	expireAt int64 // when aged calls are looked for again

	noResponse deadlines // requests that wait for a response
	noFinal    deadlines // INVITEs that wait for a final one

	media   *media.Tracker
	sdp     descriptions
	decoder *decode.Decoder // reads session descriptions; nil: nobody wants them
	proved  [2]uint64       // packets known to be RTP, RTCP since Reckoned
	gaps    gapRecs
	joins   joiner
	totals  Totals

	secured securedRows
}

// Totals counts over a whole run; what limits evict stays counted.
type Totals struct {
	Messages        uint64
	CallIDs         uint64 // distinct, empty ones not counted
	Calls           uint64
	Retransmissions uint64
	Duplicates      uint64
	Gaps            uint64
	Transactions    map[string]uint64 // by method, with a request seen, ACK not counted
	Confirmed       uint64            // dialogs with a 2xx of an INVITE
	Early           uint64            // tag pairs with a 101-199 of an INVITE
	EarlyConfirmed  uint64            // both
	txns            []uint64          // by interned method
}

// NewTracker makes an empty archive. headers are those whose first value each call keeps (Summary.Columns).
func NewTracker(limits Limits, headers []string) *Tracker {
	return &Tracker{
		media:  media.NewTracker(limits.Media),
		limits: limits.withDefaults(), headers: headers,
		names: newMethods(), paths: newPaths(), interned: map[string]uint32{}, words: []string{""}, joins: newJoiner(),
	}
}

// Verdict says what a message turned out to be.
type Verdict struct {
	Call           uint32 // its call's number
	State          State  // of the call, with this message
	Retransmission bool
	Duplicate      bool // the tap saw the frame twice
	NewCall        bool
}

// seen is a message on its way into the archive.
type seen struct {
	m        *decode.Message
	c        *callRec
	ci       uint32
	src, dst uint16
	method   uint16 // of the request, or CSeq's
	path     uint16 // see paths
}

// Message takes the next message. Everything of m is free again afterwards.
func (t *Tracker) Message(m *decode.Message) Verdict {
	t.Advance(m.Time)
	t.totals.Messages++
	ci, fresh := t.callOf(m)
	c := t.calls.At(ci)
	x := seen{m: m, c: c, ci: ci, src: t.endpoint(c, m.Src), dst: t.endpoint(c, m.Dst)}
	x.method, x.path = t.methodOf(&m.SIP), t.path(c, &m.Path)
	if fresh {
		t.begin(&x)
	}
	t.touch(ci, c)
	t.count(&x)

	ti := t.transaction(&x)
	mi, of := t.keep(&x, ti)
	v := Verdict{Call: c.num, NewCall: fresh}
	if of == 0 {
		t.advance(&x, ti, mi)
		t.decide(c)
	} else if m.Flags&decode.TapDuplicate != 0 {
		v.Duplicate = true
		c.duplicates++
		t.totals.Duplicates++
	} else {
		v.Retransmission = true
		c.again++
		t.txns.At(ti).again++
		t.totals.Retransmissions++
	}
	v.State = c.state
	if of == 0 {
		t.join(&x, fresh)
		t.describe(&x, mi)
	}
	t.settle(ci, c)
	t.enforce()
	return v
}

func (t *Tracker) methodOf(s *sip.Message) uint16 {
	known, text := s.CSeqMethodID, s.CSeqMethod.Of(s.Raw)
	if s.Request {
		known, text = s.MethodID, s.Method.Of(s.Raw)
	}
	id := t.names.id(known, text)
	if id == 0 && len(text) > 0 {
		t.limited.SharedMethods++
	}
	return id
}

// count adds the message to its call's figures.
func (t *Tracker) count(x *seen) {
	c, m := x.c, x.m
	c.messages++
	c.last = max(c.last, m.Time)
	c.diags += uint32(len(m.SIP.Diags)) //nolint:gosec // bounded by the parser
	c.transports |= 1 << m.Transport
	c.words |= m.Words
	t.hop(c, x.src, x.dst)
	for i, name := range t.headers {
		if columns := t.sides.At(c.side).columns; columns[i] == "" {
			if v, ok := m.SIP.Get(name); ok {
				columns[i] = string(v)
			}
		}
	}
	if c.server == 0 && !m.SIP.Request && !m.SIP.UserAgent.Empty() {
		c.server = t.intern(m.SIP.UserAgent.Of(m.SIP.Raw))
	}
	if c.userAgent == 0 && m.SIP.Request && !m.SIP.UserAgent.Empty() {
		c.userAgent = t.intern(m.SIP.UserAgent.Of(m.SIP.Raw))
	}
}

// hop counts distinct pairs of hosts; the sixth and later ones are told apart by their last place only.
func (t *Tracker) hop(c *callRec, src, dst uint16) {
	a, b := min(src, dst), max(src, dst)
	pair := uint32(a)<<16 | uint32(b) + 1
	n := min(int(c.nHops), len(c.hops))
	for i := range n {
		if c.hops[i] == pair {
			return
		}
	}
	for i := range n {
		p := c.hops[i]
		e, f := uint16(p>>16), uint16(p&0xffff-1)
		if t.sameHost(c, e, a) && t.sameHost(c, f, b) || t.sameHost(c, e, b) && t.sameHost(c, f, a) {
			return
		}
	}
	if n < len(c.hops) {
		c.hops[n] = pair
	} else {
		if c.hops[n-1] == pair {
			return
		}
		c.hops[n-1] = pair
	}
	c.nHops++
}

// keep records the message and finds out whether it repeats an earlier one of its transaction: the same message on
// the same hop (law 4). It returns the record's index and that of the original, 0 when it is new.
func (t *Tracker) keep(x *seen, ti uint32) (mi, of uint32) {
	c, m := x.c, x.m
	of = t.original(x, ti)
	if int(c.kept) >= t.limits.MessagesPerCall {
		t.limited.UnkeptMessages++
		if of != 0 {
			t.markDuplicate(x, t.msgs.At(of))
		}
		return 0, of
	}
	mi, r := t.msgs.Alloc()
	*r = msgRec{
		time: m.Time, seq: m.Seq, sig: uint32(m.Keys.Sig), //nolint:gosec // low half wanted
		src: x.src, dst: x.dst, method: x.method, status: m.SIP.Status, nth: m.Nth, ipid: m.IPID, path: x.path, txn: ti, of: of,
	}
	if !m.HasIPID {
		r.ipid = uint16(m.TTL)
	}
	if of != 0 {
		o := t.msgs.At(of)
		t.markDuplicate(x, o)
		o.last = mi
	}
	r.bits = msgBits(m.Flags) | msgBits(m.Transport)<<transportShift
	if m.HasIPID {
		r.bits |= bitIPID
	}
	if hasSDP(&m.SIP) {
		r.bits |= bitSDP
	}
	t.keepPieces(r, m.Pieces)
	if ti != 0 {
		x := t.txns.At(ti)
		r.bits |= msgBits(min(x.leg, 255)) << copyShift
		if of == 0 {
			r.prev, x.chain = x.chain, mi
			x.sigs |= 1 << (r.sig & 63)
		}
	}
	if c.tail == 0 {
		c.head = mi
	} else {
		t.msgs.At(c.tail).next = mi
	}
	c.tail = mi
	c.kept++
	return mi, of
}

// original finds the message that x repeats.
func (t *Tracker) original(x *seen, ti uint32) uint32 {
	if ti == 0 {
		return 0
	}
	sig := uint32(x.m.Keys.Sig) //nolint:gosec // low half wanted
	txn := t.txns.At(ti)
	if txn.sigs&(1<<(sig&63)) == 0 {
		return 0
	}
	mi := txn.chain
	for range chainLook {
		if mi == 0 {
			return 0
		}
		r := t.msgs.At(mi)
		if r.sig == sig && r.src == x.src && r.dst == x.dst && r.status == x.m.SIP.Status && r.method == x.method {
			return mi
		}
		mi = r.prev
	}
	return 0
}

// markDuplicate tells the tap's second sight of a frame from a retransmission (law 4): the same bytes at once, with the
// same IP id. IPv6 has no id: then it must be within sameAge, or have come on another path or with another hop limit.
// Both are far below what RFC 3261 lets a peer wait before it sends again (T1).
func (t *Tracker) markDuplicate(x *seen, original *msgRec) {
	m, last := x.m, original
	if original.last != 0 {
		last = t.msgs.At(original.last)
	}
	if m.Flags&last.bits.flags()&decode.Encapsulated != 0 && m.IPID != last.ipid {
		if d := m.Time - last.time; d >= -agentAge && d <= agentAge {
			m.Flags |= decode.TapDuplicate // another agent saw it, too
		}
		return
	}
	later := m.Time - last.time
	if later > dupAge || m.Transport != decode.UDP || m.HasIPID != (last.bits&bitIPID != 0) || !sameSize(m, last) {
		return
	}
	if m.HasIPID {
		if m.IPID == last.ipid {
			m.Flags |= decode.TapDuplicate
		}
		return
	}
	if later <= sameAge || x.path != last.path || uint16(m.TTL) != last.ipid {
		m.Flags |= decode.TapDuplicate
	}
}

// sameSize reports whether a message is as long as an earlier one, as far as that can be told: what the snaplen cut, and
// what came in several frames, need not be cut alike.
func sameSize(m *decode.Message, r *msgRec) bool {
	const odd = decode.Truncated | decode.Reassembled
	return (m.Flags|r.bits.flags())&odd != 0 || len(m.Pieces) != 1 || m.Pieces[0].Len == r.size
}

func (t *Tracker) keepPieces(r *msgRec, pieces []decode.Piece) {
	if len(pieces) == 0 {
		return
	}
	r.off, r.size, r.file = pieces[0].Loc.Off, pieces[0].Len, pieces[0].Loc.File
	if len(pieces) == 1 && pieces[0].Seq == r.seq {
		return
	}
	// the first piece's frame differs from the completing one: keep the whole list, the first included
	next := uint32(0)
	for i := len(pieces) - 1; i >= 0; i-- {
		p := &pieces[i]
		pi, rec := t.pieces.Alloc()
		*rec = pieceRec{seq: p.Seq, off: p.Loc.Off, size: p.Len, file: p.Loc.File, next: next}
		next = pi
	}
	r.more = next
}

// hasSDP reports whether the body is, or holds, a session description.
func hasSDP(s *sip.Message) bool {
	if s.Body.Empty() {
		return false
	}
	_, ok := s.SDP()
	return ok
}

// maxInterned bounds the shared texts (user agents, reason phrases): real traffic has a few hundred.
const maxInterned = 1 << 16

// maxText bounds a text that a list shows, so that a 60 KiB header costs its message, not every list.
const maxText = 512

// intern gives a text's number. When there are too many, further ones share the last, which says so.
func (t *Tracker) intern(b []byte) uint32 {
	b = b[:min(len(b), maxText)]
	if len(b) == 0 {
		return 0
	}
	if i, ok := t.interned[string(b)]; ok {
		return i
	}
	s := string(b)
	if len(t.words) >= maxInterned {
		s = "(more than are kept)"
		if i, ok := t.interned[s]; ok {
			return i
		}
	}
	i := uint32(len(t.words)) //nolint:gosec // at most maxInterned
	t.words = append(t.words, s)
	t.interned[s] = i
	return i
}

// Totals gives the counts so far.
func (t *Tracker) Totals() Totals {
	n := t.totals
	n.Transactions = map[string]uint64{}
	for i, v := range n.txns {
		if v > 0 {
			n.Transactions[t.names.name(uint16(i))] = v
		}
	}
	n.txns = nil
	return n
}

// Limited gives what the limits have cost so far.
func (t *Tracker) Limited() Limited {
	l := t.limited
	gone := t.media.LetGo()
	l.EvictedStreams, l.UnprovedStreams, l.EvictedLanes = gone.Evicted, gone.Unproved, gone.EvictedLanes
	l.ForgottenMedia, l.UnmappedMedia, l.UnkeptReports = gone.Unkept, gone.Unmapped, gone.UnkeptPoints
	if t.sdp.awake {
		l.ForgottenMedia += t.sdp.dropped
	}
	return l
}

// Gap takes a hole in a stream or a datagram.
func (t *Tracker) Gap(g *decode.Gap) {
	t.Advance(g.Time)
	t.totals.Gaps++
	if len(t.gaps.all) >= t.limits.Gaps {
		t.limited.UnkeptGaps++
		return
	}
	t.gaps.add(g)
}

// hashCall folds a call's index into a transaction key, so that keys need no Call-ID of their own.
func hashCall(key uint64, ci uint32) uint64 {
	return bits.RotateLeft64(key, 17) ^ uint64(ci)*0x9e3779b97f4a7c15
}
