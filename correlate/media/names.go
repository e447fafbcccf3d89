package media

import (
	"bytes"
	"slices"

	"sipscope/correlate/dense"
	"sipscope/decode"
	"sipscope/decode/frame"
	"sipscope/decode/sdp"
)

// nameFlags say what an address was named for.
type nameFlags uint8

const (
	nameRTP nameFlags = 1 << iota
	nameControl
	nameMux
	nameSecure
	nameCandidate
)

func (f nameFlags) has(x nameFlags) bool { return f&x != 0 }

// nameRec is an address that SDP named: no pointers.
type nameRec struct {
	addr    frame.Endpoint
	key     uint64 // secret hash of addr
	born    uint64 // consecutive: a link to a record that is younger than its owner is void
	seq     uint64 // frame of the message
	time    int64
	call    uint32
	message int32  // index in the call's messages
	older   uint32 // earlier record of this address
	ofCall  uint32 // earlier record of this call
	set     uint32 // of names.sets; 0 none
	author  uint16 // hash of who wrote the description: the sender of the message
	line    uint8
	kind    decode.LineKind
	flags   nameFlags
}

// media reports whether RTP comes to the address.
func (n *nameRec) media() bool { return n.flags.has(nameRTP) && !n.flags.has(nameControl) }

// Bounds of searches, so that nobody can make them long.
const (
	nameLook   = 32     // records of one address, or of one call
	streamLook = 16     // streams to one address
	maxSets    = 16_384 // distinct lists of payload types
)

// lateNaming is how long before its SDP a stream may have begun: the answer overtaken by media.
const lateNaming = 10 * second

// names are the addresses that SDP named, the newest first.
type names struct {
	dense.Slab[nameRec]
	byAddr dense.Index
	byCall dense.Index
	bySet  dense.Index // hash of codecs -> place in sets
	sets   [][]decode.Codec
	born   uint64
	next   uint32 // the oldest, once there is no more room
}

// find gives the newest record of an address.
func (n *names) find(key uint64, addr frame.Endpoint) uint32 {
	if i := n.byAddr.Get(key); i != 0 && n.At(i).addr == addr {
		return i
	}
	return 0
}

// of gives the newest record of an address by a call.
func (n *names) of(key uint64, addr frame.Endpoint, call uint32) uint32 {
	for i, looks := n.find(key, addr), 0; i != 0 && looks < nameLook; looks++ {
		r := n.At(i)
		if r.call == call {
			return i
		}
		i = n.link(r, r.older)
	}
	return 0
}

// link follows a link unless it was given to a younger record.
func (n *names) link(from *nameRec, to uint32) uint32 {
	if to == 0 || n.At(to).born >= from.born {
		return 0
	}
	return to
}

// room gives a record: the oldest one when limit are in use.
func (n *names) room(limit int) (uint32, *nameRec, bool) {
	if n.Live() < limit {
		i, r := n.Alloc()
		return i, r, false
	}
	n.next = n.next%uint32(limit) + 1 //nolint:gosec // a limit is far below
	r := n.At(n.next)
	if n.byAddr.Get(r.key) == n.next {
		n.byAddr.Drop(r.key)
	}
	if n.byCall.Get(callKey(r.call)) == n.next {
		n.byCall.Drop(callKey(r.call))
	}
	*r = nameRec{}
	return n.next, r, true
}

// callKey spreads the numbers of calls over an index.
func callKey(call uint32) uint64 { return (uint64(call) + 1) * 0x9e3779b97f4a7c15 }

// setOf keeps a list of payload types, each distinct one once.
// ok is false for one too many.
func (n *names) setOf(l *decode.Line) (set uint32, ok bool) {
	if l.Set == 0 {
		return 0, true
	}
	if i := n.bySet.Get(l.Set); i != 0 {
		return i, true
	}
	if len(n.sets) == 0 {
		n.sets = append(n.sets, nil)
	}
	if len(n.sets) > maxSets {
		return 0, false
	}
	n.sets = append(n.sets, slices.Clone(l.Codecs))
	i := uint32(len(n.sets) - 1) //nolint:gosec // at most maxSets
	n.bySet.Set(l.Set, i)
	return i, true
}

// codec gives what a payload type stands for in a stream.
func (n *names) codec(r *streamRec, pt uint8) decode.Codec {
	for _, name := range [...]uint32{r.name, r.peer} {
		if name == 0 || n.At(name).call != r.call {
			continue // the record is another address's now
		}
		if set := n.At(name).set; set != 0 {
			for i := range n.sets[set] {
				if c := &n.sets[set][i]; c.PT == pt {
					return *c
				}
			}
		}
	}
	c := decode.Codec{PT: pt}
	var name string
	name, c.Clock = sdp.StaticPayload(int(pt))
	copy(c.Name[:], name)
	return c
}

// Describe takes the media addresses that a message of a call named. call is the call's number, message the index among
// the messages that are kept of it, -1 for one that is not. It reports how many packets are now known to be RTP, because
// they went to such an address before.
func (t *Tracker) Describe(m *decode.Message, call uint32, message int) (proved uint64) {
	for i := range m.Lines {
		if l := &m.Lines[i]; !rtpToo(m.Lines, l) {
			proved += t.name(m, l, call, message)
		}
	}
	return proved
}

// name keeps one address.
func (t *Tracker) name(m *decode.Message, l *decode.Line, call uint32, message int) (proved uint64) {
	n := &t.names
	key, flags := t.hash(l.Addr), flagsOf(l)
	set, ok := n.setOf(l)
	head := n.find(key, l.Addr)
	if head != 0 {
		if r := n.At(head); r.call == call && r.set == set && r.flags == flags && r.line == l.Index && r.kind == l.Kind {
			return 0 // said before: a retransmission, another hop, the next offer
		}
	}
	i, r, reused := n.room(t.limits.Addresses)
	if reused {
		t.counts.Unkept++
		head = n.find(key, l.Addr)
	}
	n.born++
	*r = nameRec{
		addr: l.Addr, key: key, born: n.born, seq: m.Seq, time: m.Time, call: call, message: int32(message), //nolint:gosec // bounded by Limits
		older: head, ofCall: n.byCall.Get(callKey(call)), set: set, author: uint16(t.hash(m.Src)), //nolint:gosec // some bits do
		line: l.Index, kind: l.Kind, flags: flags,
	}
	n.byAddr.Set(key, i)
	n.byCall.Set(callKey(call), i)
	t.counts.Named++
	t.lanes.named = t.lanes.named || !flags.has(nameRTP)
	if !ok {
		t.counts.Unmapped++
	}
	if !r.media() {
		return 0
	}
	looks := 0
	for s := t.byDst.Get(key); s != 0 && looks < streamLook; looks++ {
		x := t.streams.At(s)
		if x.dst == l.Addr {
			proved += t.rename(s, i)
		}
		s = x.dstLinks.next
	}
	return proved
}

func flagsOf(l *decode.Line) (f nameFlags) {
	for _, x := range [...]struct {
		on bool
		as nameFlags
	}{{l.RTP, nameRTP}, {l.Control, nameControl}, {l.Mux, nameMux}, {l.Secure, nameSecure}, {l.Candidate, nameCandidate}} {
		if x.on {
			f |= x.as
		}
	}
	return f
}

// rename tells a stream that its destination was named, again or at last.
func (t *Tracker) rename(i, name uint32) (proved uint64) {
	r, n := t.streams.At(i), t.names.At(name)
	switch {
	case r.call == n.call:
		r.name = name // new payload types
	case r.call != 0:
		r.renamed = true
	case n.time-r.first <= lateNaming:
		t.bind(i, name)
		t.relearn(r)
		if r.state != confirmed {
			return t.confirm(i, r)
		}
	}
	return 0
}

// bind gives a stream to the call that named its destination, or its source.
func (t *Tracker) bind(i, name uint32) {
	r, n := t.streams.At(i), t.names.At(name)
	r.name, r.call, r.message, r.line, r.kind = name, n.call, n.message, n.line, n.kind
	r.flags, r.found = n.flags, BySDP
	t.link(&t.byCall, callKey(r.call), i, callLinks)
	other := r.src
	if n.addr == r.src {
		other = r.dst
	}
	r.peer = t.names.of(t.hash(other), other, n.call)
}

// relearn names the payload types that were seen before the SDP.
func (t *Tracker) relearn(r *streamRec) {
	for i := r.payloads; i != 0; {
		p := t.payloads.At(i)
		if c := t.names.codec(r, p.pt); c.Clock != 0 {
			t.learn(r, p, &c)
		}
		i = p.next
	}
	t.usePayload(r, r.payload)
}

// symmetric reports whether a stream comes from an address that its call's other side did not name: the destination is
// named, the source is not, and another description of the call is known to have named something else.
func (t *Tracker) symmetric(r *streamRec) bool {
	if r.name == 0 || r.call == 0 || t.names.At(r.name).addr != r.dst || t.names.At(r.name).call != r.call {
		return false
	}
	if t.names.of(t.hash(r.src), r.src, r.call) != 0 {
		return false
	}
	mine, looks := t.names.At(r.name), 0
	for i := t.names.byCall.Get(callKey(r.call)); i != 0 && looks < nameLook; looks++ {
		n := t.names.At(i)
		if n.media() && n.author != mine.author && n.addr != r.dst && n.line == mine.line {
			return true
		}
		i = t.names.link(n, n.ofCall)
	}
	return false
}

// Names that SDP gives to what is no sound.
const (
	eventName = "telephone-event" // RFC 4733
	noiseName = "CN"              // RFC 3389

	redundantName = "red" // RFC 2198
)

func isEvent(n *decode.CodecName) bool { return named(n, eventName) }
func isNoise(n *decode.CodecName) bool { return named(n, noiseName) }

func named(n *decode.CodecName, what string) bool {
	return n[len(what)] == 0 && bytes.EqualFold(n[:len(what)], []byte(what))
}
