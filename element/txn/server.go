package txn

import (
	"bytes"
	"fmt"
	"strconv"

	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/transport"
)

// retryAfter is what the layer tells a client that it refuses for a limit, in seconds: about the time in which a third of
// the finished transactions are gone.
const retryAfter = 10

// full reports whether a limit is reached.
func (l *Layer) full(open, limit int) bool { return open >= limit || l.arena.bytes >= l.cfg.Memory }

// receiveRequest takes a request.
func (l *Layer) receiveRequest(received *transport.Received) {
	m := received.Msg
	if status, reason := Refusal(m); status != 0 && !l.accepts(m) {
		l.malformed(received, status, reason)
		return
	}
	k := l.keys.make(m, false)
	x, same := l.find(&k)
	if m.MethodID == sip.MethodAck {
		l.receiveAck(x, &k, received)
		return
	}
	switch {
	case x != 0:
		l.again(x, received)
	case m.MethodID == sip.MethodCancel:
		l.receiveCancel(&k, same, received)
	case !l.cfg.Merged && l.isMerged(m):
		l.stats.Merged++
		l.refuse(received, 482, "")
	case same >= crowd || l.full(l.servers, l.cfg.Limit):
		l.stats.Refused++
		l.refuse(received, 503, "")
	default:
		l.accept(&k, received)
	}
}

// again takes a request that came before. Over a reliable transport that means that its client opened another connection,
// where it now waits.
func (l *Layer) again(x uint32, received *transport.Received) {
	r := l.slab.at(x)
	if received.Hop.Conn != r.hop.conn && r.hop.remote.proto.Reliable() {
		l.ends.release(&r.hop)
		r.hop = l.ends.pack(transport.ReplyHop(received))
	}
	l.run(x, r, evRequest, input{received: received})
}

// accept makes the server transaction of a new request and gives it to the user.
func (l *Layer) accept(k *key, received *transport.Received) {
	m := received.Msg
	kind := Server
	if m.MethodID == sip.MethodInvite {
		kind = ServerInvite
	}
	x, r := l.create(k, kind, transport.ReplyHop(received), 0)
	l.keepRequest(r, m.Raw, received.Hop.Remote)
	if !l.cfg.Merged {
		if hash, ok := l.keys.mergeHash(m); ok {
			r.merge = hash
			r.flags |= flagMerge
			l.copies.add(uint32(hash), x) //nolint:gosec // the lower half
		}
	}
	l.user.Request(r.id(x), received)
}

// isMerged reports whether this request is a copy, of another branch, of one whose transaction is there (RFC 3261 8.2.2.2):
// one without final response, or one that succeeded. A request that was refused had no effect, and who repeats it with a
// new branch wants another answer: a proxy that forks serially, a client that tries the next hop after a 503 (RFC 3263
// 4.3), and those that answer a challenge without a new CSeq.
func (l *Layer) isMerged(m *sip.Message) bool {
	hash, ok := l.keys.mergeHash(m)
	if !ok {
		return false
	}
	x, _ := l.copies.find(uint32(hash), func(x uint32) bool { return l.slab.at(x).merge == hash }) //nolint:gosec // likewise
	return x != 0
}

// unmerge lets copies of a request in.
func (l *Layer) unmerge(x uint32, r *record) {
	if r.flags&flagMerge != 0 {
		r.flags &^= flagMerge
		l.copies.remove(uint32(r.merge), x) //nolint:gosec // the lower half
	}
}

// receiveAck takes an ACK: of a transaction, of a response that was given without one, or of a 2xx.
func (l *Layer) receiveAck(x uint32, k *key, received *transport.Received) {
	m := received.Msg
	var tag [16]byte
	if x == 0 && !m.TxnKey().RFC3261 {
		x = l.findBeside(k, true)
		if x != 0 && !l.answers(l.slab.at(x), m) {
			x = 0
		}
	}
	switch {
	case x != 0:
		l.run(x, l.slab.at(x), evAck, input{received: received})
	case bytes.Equal(m.To.Tag.Of(m.Raw), l.tag(tag[:0], m)):
		l.stats.Absorbed++
	default:
		l.user.Request(0, received)
	}
}

// answers reports whether ack has the To tag of the final response that an INVITE without the magic cookie got (RFC 3261
// 17.2.3).
func (l *Layer) answers(r *record, ack *sip.Message) bool {
	if r.state != Completed || r.msg == 0 || r.flags&flagDelta != 0 {
		return true
	}
	return sip.Parse(l.arena.of(r.msg), &l.msg) != nil ||
		bytes.Equal(l.msg.To.Tag.Of(l.msg.Raw), ack.To.Tag.Of(ack.Raw))
}

// receiveCancel takes a new CANCEL: it answers it, and tells the user when it is for an INVITE that has no final response
// (RFC 3261 9.2). Beyond a limit it does so without a transaction: a CANCEL relieves, and the answer to each copy is the
// same.
func (l *Layer) receiveCancel(k *key, same int, received *transport.Received) {
	ix := l.findBeside(k, false)
	if ix == 0 {
		l.stats.Stray++
		if l.cfg.StrayCancel {
			l.user.Request(0, received)
		} else {
			l.refuse(received, 481, "")
		}
		return
	}
	target := l.slab.at(ix)
	invite, data := target.id(ix), target.data
	tell := target.kind == ServerInvite && target.state == Proceeding && target.flags&flagCancelled == 0
	reply := compose.Reply{Status: 200, ToTag: l.tagOf(target, received)}
	raw, err := l.confirmation(k, data, received, &reply)
	if err != nil {
		l.stats.Dropped++
		return
	}
	if !l.confirm(k, same, received, raw) {
		return
	}
	if tell {
		target.flags |= flagCancelled
		l.user.Cancel(invite, data, received)
	}
}

// confirm answers a CANCEL, by a transaction of the layer's own where the limits allow one. It reports whether it could.
func (l *Layer) confirm(k *key, same int, received *transport.Received, raw []byte) bool {
	if same >= crowd || l.full(l.servers, l.cfg.Limit) {
		l.link.Send(transport.ReplyHop(received), raw, 0)
		return true
	}
	x, r := l.create(k, Server, transport.ReplyHop(received), 0)
	r.flags |= flagInternal
	l.keepRequest(r, received.Msg.Raw, received.Hop.Remote)
	if err := l.Respond(r.id(x), raw); err != nil {
		l.end(x, r, nil)
		l.stats.Dropped++
		return false
	}
	return true
}

// tagOf is the To tag of the answer to a CANCEL: that of the last response to its INVITE, as far as there is one (RFC 3261
// 9.2), else one of the layer's.
func (l *Layer) tagOf(target *record, received *transport.Received) string {
	if target.msg != 0 && target.flags&flagDelta == 0 && sip.Parse(l.arena.of(target.msg), &l.msg) == nil {
		if tag := l.msg.To.Tag.Of(l.msg.Raw); len(tag) > 0 {
			return string(tag)
		}
	}
	return string(l.tag(nil, received.Msg))
}

func (l *Layer) addServer(reply *compose.Reply) {
	if l.cfg.Server != "" {
		reply.Headers = append(reply.Headers, compose.Header{ID: sip.HeaderServer, Value: l.cfg.Server})
	}
}

// malformed refuses a request that no core can use.
func (l *Layer) malformed(received *transport.Received, status int, reason string) {
	if status < 0 || received.Msg.MethodID == sip.MethodAck {
		l.stats.Dropped++
		return
	}
	l.stats.Malformed++
	l.refuse(received, status, reason)
}

// refuse answers without state. The To tag is a function of the key, so that the answer to a retransmission is the same,
// and the ACK is known (RFC 3261 8.2.7).
func (l *Layer) refuse(received *transport.Received, status int, reason string) {
	reply := compose.Reply{Status: status, Reason: reason, ToTag: string(l.tag(nil, received.Msg))}
	if status == 503 {
		reply.Headers = []compose.Header{{ID: sip.HeaderRetryAfter, Value: strconv.Itoa(retryAfter)}}
	}
	l.answer(received, &reply)
}

// answer sends an answer without state, and reports whether there is one.
func (l *Layer) answer(received *transport.Received, reply *compose.Reply) bool {
	l.addServer(reply)
	raw, err := compose.Response(l.out[:0], received.Msg, received.Hop.Remote, reply)
	l.out = raw
	if err != nil {
		l.stats.Dropped++
		return false
	}
	l.link.Send(transport.ReplyHop(received), raw, 0)
	return true
}

// tag appends the To tag of what the layer itself answers to m: a function of what m shares with its ACK and CANCEL.
func (l *Layer) tag(dst []byte, m *sip.Message) []byte {
	h := l.salt ^ 14695981039346656037 ^ uint64(m.CSeq)
	for _, s := range [...]sip.Span{m.Via.Branch, m.Via.SentBy, m.CallID} {
		for _, c := range s.Of(m.Raw) {
			h = (h ^ uint64(c)) * 1099511628211
		}
	}
	h ^= h >> 29
	h *= 0xBF58476D1CE4E5B9
	h ^= h >> 32
	return strconv.AppendUint(dst, h, 36)
}

// Respond sends a response of a server transaction, provisional or final, to where its request came from. After the final
// one, only an INVITE takes more, and those must be 2xx (RFC 6026 7.1). A response that comes after 64*T1 to another
// request is dropped, since its client has given up (RFC 4320).
func (l *Layer) Respond(id ID, raw []byte) error {
	x, r := l.get(id)
	if r == nil {
		return ErrGone
	}
	if r.kind < ServerInvite {
		return fmt.Errorf("respond: %w: want a request that was received", ErrKind)
	}
	status := statusOf(raw)
	if status == 0 && l.cfg.Malformed {
		status = l.oddStatus(raw)
	}
	if status == 0 {
		return fmt.Errorf("respond: %w: want a response", ErrMessage)
	}
	if r.flags&flagLate != 0 {
		return nil
	}
	to, _, ok := step(r.kind, r.state, classOf(status))
	if !ok {
		return fmt.Errorf("respond %d: %w", status, ErrAnswered)
	}
	l.tick()
	l.link.Send(l.ends.unpack(&r.hop), raw, uint64(id))
	l.keepResponse(r, to, raw)
	if status >= 300 {
		l.unmerge(x, r)
	}
	if r.kind == ServerInvite && r.state == Proceeding && to == Proceeding {
		l.stop(r, timerState) // no 100 is due any more
	}
	l.enter(x, r, to)
	return nil
}

// keepResponse keeps a response for when the request comes again: not when that cannot be.
func (l *Layer) keepResponse(r *record, to State, raw []byte) {
	l.arena.free(&r.msg)
	if to == Accepted || r.kind == Server && to == Completed && r.hop.remote.proto.Reliable() {
		return
	}
	if to == Completed && r.kind == Server && r.req != 0 {
		req, _ := l.request(r)
		l.delta = makeDelta(l.delta[:0], req, raw)
		r.msg = l.arena.put(l.delta)
		r.flags |= flagDelta
		return
	}
	r.msg = l.arena.put(raw) // timer G needs it without a request at hand
}

// sendTrying answers 100 for a user that takes its time (RFC 3261 17.2.1).
func (l *Layer) sendTrying(x uint32, r *record) {
	raw, src := l.request(r)
	if sip.Parse(raw, &l.msg) != nil {
		return
	}
	out, err := compose.Response(l.out[:0], &l.msg, src, &compose.Reply{Status: 100})
	l.out = out
	if err == nil {
		l.link.Send(l.ends.unpack(&r.hop), out, uint64(r.id(x)))
		l.keepResponse(r, Proceeding, out)
	}
}

// oddStatus is the status of a response that is not written as it should be; 0 when raw is none.
func (l *Layer) oddStatus(raw []byte) int {
	if sip.Parse(raw, &l.msg) != nil || l.msg.Request || l.msg.Status < 100 || l.msg.Status > 699 {
		return 0
	}
	return int(l.msg.Status)
}

// statusOf is the status of a response; 0 when raw is none.
func statusOf(raw []byte) int {
	const start = "SIP/2.0 "
	if len(raw) < len(start)+4 || string(raw[:len(start)]) != start {
		return 0
	}
	status := 0
	for _, c := range raw[len(start) : len(start)+3] {
		if c < '0' || c > '9' {
			return 0
		}
		status = status*10 + int(c-'0')
	}
	if status < 100 || status > 699 {
		return 0
	}
	return status
}
