package ua

import (
	"hash/maphash"
	"net/netip"

	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/dialog"
	"sipscope/element/transport"
)

// leg is one dialog with what uses it (RFC 3261 12, RFC 5057): a call, and subscriptions of both sides.
type leg struct {
	a      *Agent
	dlg    *dialog.Dialog
	chain  *leg // the next one with the same Call-ID and local tag, or hash
	hash   uint64
	listed bool
	hop    transport.Hop // where the peer's messages come from

	call     *Call
	subs     []*Subscription
	watchers []*Watcher

	session session // offer and answer
	timer   refresh // RFC 4028
	rel     reliable
	change  *change // own re-INVITE or UPDATE that waits for an answer

	acked bool   // an ACK of a 2xx was sent; its number of CSeq and its text are kept to send it again
	ackOf uint32 // number of CSeq
	ack   []byte
	ackTo transport.Hop

	ok      sentOK // own 2xx that waits for its ACK
	ackBody []byte // the answer that the next ACK carries

	byeX    *exchange // own BYE that waits for its answer
	shared  bool      // something else may point to it
	dropped bool
}

func (a *Agent) newLeg(d *dialog.Dialog, hop transport.Hop) *leg {
	var l *leg
	if n := len(a.oldLegs); n > 0 {
		l = a.oldLegs[n-1]
		a.oldLegs = a.oldLegs[:n-1]
		*l = leg{}
	} else {
		l = new(leg)
	}
	l.a, l.dlg, l.hop = a, d, hop
	return l
}

// tagHash is what a dialog is found by: the tag that this agent gave, and the Call-ID.
func (a *Agent) tagHash(callID, localTag []byte) uint64 {
	return maphash.Bytes(a.seed, callID) ^ maphash.Bytes(a.seed, localTag)*31
}

func (a *Agent) tagHashString(callID, localTag string) uint64 {
	return maphash.String(a.seed, callID) ^ maphash.String(a.seed, localTag)*31
}

// list makes l known to requests that come in.
func (a *Agent) list(l *leg) {
	if l.listed {
		return
	}
	l.hash = a.tagHashString(l.dlg.CallID, l.dlg.LocalTag)
	l.chain, l.listed = a.dialogs[l.hash], true
	a.dialogs[l.hash] = l
}

// unlist forgets l, once nothing uses it.
func (a *Agent) unlist(l *leg) {
	if !l.listed {
		return
	}
	l.listed = false
	if first := a.dialogs[l.hash]; first == l {
		if l.chain == nil {
			delete(a.dialogs, l.hash)
		} else {
			a.dialogs[l.hash] = l.chain
		}
	} else {
		for p := first; p != nil; p = p.chain {
			if p.chain == l {
				p.chain = l.chain
				break
			}
		}
	}
	l.chain = nil
}

// find gives the dialog of a message; nil for none. With wanting it also gives one whose remote tag is not known yet.
func (a *Agent) find(m *sip.Message) *leg {
	local := m.To.Tag
	if !m.Request {
		local = m.From.Tag
	}
	if local.Empty() && m.Request {
		return nil
	}
	h := a.tagHash(m.CallID.Of(m.Raw), local.Of(m.Raw))
	for l := a.dialogs[h]; l != nil; l = l.chain {
		if l.dlg.Match(m) {
			return l
		}
	}
	return nil
}

// findTags gives the dialog by its names, as Replaces has them (RFC 3891 3).
func (a *Agent) findTags(callID, localTag, remoteTag []byte) *leg {
	for l := a.dialogs[a.tagHash(callID, localTag)]; l != nil; l = l.chain {
		if l.dlg.CallID == string(callID) && l.dlg.LocalTag == string(localTag) && l.dlg.RemoteTag == string(remoteTag) {
			return l
		}
	}
	return nil
}

// used reports whether anything uses the dialog.
func (l *leg) used() bool {
	return l.call != nil || l.byeX != nil || len(l.subs) > 0 || len(l.watchers) > 0
}

// release forgets the dialog when nothing uses it.
func (l *leg) release() {
	if !l.used() {
		l.a.unlist(l)
		l.dropped = true
	}
}

// flow reports whether requests go by the connection that the dialog's messages came on. A WebSocket client cannot be
// reached without it (RFC 7118 5), and a client itself sends all by it: what a server writes into its Record-Route may
// have neither the port nor the security of the connection (RFC 7118 has 80 for no port, Kamailio means 5060; a
// wss connection is "transport=ws" to both).
func (l *leg) flow() bool {
	if l.hop.Conn == 0 || (l.hop.Proto != transport.WS && l.hop.Proto != transport.WSS) {
		return false
	}
	if len(l.dlg.Route) == 0 {
		return true
	}
	u, ok := sip.ParseURI([]byte(l.dlg.Next()))
	if !ok {
		return false
	}
	value, _ := sip.Param(u.Params, "transport")
	return asciiFold(value, "ws") || asciiFold(value, "wss")
}

// open gives the connection that the dialog's messages came on in the place of a hop to the very same address and port.
// Who is at the other end was found out when it was opened: a Record-Route with an address must not ask for a
// certificate that names that address too.
func (l *leg) open(hop transport.Hop) transport.Hop {
	if l.hop.Conn != 0 && hop.Conn == 0 && hop.Proto == l.hop.Proto && hop.Remote == l.hop.Remote {
		return l.hop
	}
	return hop
}

// sips reports whether all that is sent in the dialog goes by TLS: this side called a sips URI (RFC 3261 12.1.2).
func (l *leg) sips() bool { return l.dlg.Secure && l.dlg.Caller }

// next is the URI whose host is the next hop. Not every proxy writes sips into its Record-Route.
func (l *leg) next() string {
	if l.sips() {
		return sipsURI(l.dlg.Next())
	}
	return l.dlg.Next()
}

// request makes an exchange in the dialog (RFC 3261 12.2.1.1).
func (l *leg) request(o owner, method string) *exchange {
	x := l.a.exchange(o, l)
	if method != "BYE" { // whose exchange ends with the leg
		l.shared = true
	}
	if l.call != nil && l.shared {
		l.call.shared = true
	}
	headers := x.req.Headers
	x.req = l.dlg.Request(method, l.a.rng)
	x.req.Headers = append(headers, x.req.Headers...)
	x.next, x.sips = l.next(), l.sips()
	return x
}

// sendAck sends the ACK of a 2xx with that number of CSeq, and keeps it to be sent again (RFC 3261 13.2.2.4). body answers
// the offer that a 2xx may have made.
func (l *leg) sendAck(cseq uint32, creds []compose.Header, body []byte) {
	req := l.dlg.Ack(cseq)
	if len(body) > 0 {
		req.ContentType, req.Body = typeSDP, body
	}
	req.Headers = append(req.Headers, creds...) // those of the INVITE (RFC 3261 22.1)
	l.acked, l.ackOf, l.ack = true, cseq, l.ack[:0]
	next := l.next()
	switch hop, ok := l.a.directHop(next); {
	case l.flow():
		l.writeAck(&req, l.hop)
	case ok:
		l.writeAck(&req, l.open(hop))
	case l.a.cfg.Resolver != nil:
		l.a.cfg.Resolver.Resolve([]byte(next), func(hops []transport.Hop, err error) {
			if err == nil && len(hops) > 0 && l.ackOf == cseq {
				l.writeAck(&req, l.open(hops[0]))
			} else if l.hop.Proto.Reliable() {
				l.writeAck(&req, l.hop)
			}
		})
	case l.hop.Proto != 0:
		l.writeAck(&req, l.hop)
	}
}

func (l *leg) writeAck(req *compose.Request, hop transport.Hop) {
	addr, err := l.a.link.SentBy(hop)
	if err != nil || !single(hop.Remote.Addr()) || l.sips() && !hop.Proto.Secure() {
		return // the peer sends its 2xx again, and the next ACK may find a way
	}
	req.Via = compose.Via{
		Proto: hop.Proto.String(), SentBy: addr, Branch: compose.Branch(l.a.rng), RPort: hop.Proto == transport.UDP,
	}
	req.Style = l.a.cfg.Style
	if l.ack == nil {
		l.ack = l.a.text()
	}
	if l.ack, err = req.Append(l.ack[:0]); err == nil {
		l.ackTo = hop
		l.a.link.Send(hop, l.ack, 0)
	}
}

// againAck answers a 2xx that came again. It reports false when l has not sent that ACK.
func (l *leg) againAck(cseq uint32) bool {
	if !l.acked || l.ackOf != cseq {
		return false
	}
	if len(l.ack) > 0 {
		l.a.link.Send(l.ackTo, l.ack, 0)
	}
	return true
}

// stray is a response that no exchange waits for: a 2xx to an INVITE whose ACK was lost.
func (a *Agent) stray(r *transport.Received) {
	m := r.Msg
	if m.CSeqMethodID != sip.MethodInvite || m.Status < 200 || m.Status > 299 {
		return
	}
	if l := a.find(m); l != nil {
		l.againAck(m.CSeq)
	}
}

// text gives a buffer for a text that is kept for a while, and keepText takes it back.
func (a *Agent) text() []byte {
	if n := len(a.bufs); n > 0 {
		b := a.bufs[n-1]
		a.bufs = a.bufs[:n-1]
		return b[:0]
	}
	return make([]byte, 0, 768)
}

const (
	spareTexts  = 1024
	maxSpareCap = 4096 // bytes; a larger one goes back to the heap
)

func (a *Agent) keepText(b []byte) {
	if cap(b) > 0 && cap(b) <= maxSpareCap && len(a.bufs) < spareTexts {
		a.bufs = append(a.bufs, b)
	}
}

// localOf is the address of this end of a hop.
func (a *Agent) localOf(hop transport.Hop) netip.AddrPort {
	if addr, err := a.link.SentBy(hop); err == nil {
		return addr
	}
	if hop.Local.IsValid() {
		return hop.Local
	}
	return netip.AddrPortFrom(netip.IPv4Unspecified(), 0) // a description with it puts on hold (RFC 2543)
}
