package check

import (
	"bytes"
	"net/netip"
	"strconv"

	"sipscope/correlate"
	"sipscope/correlate/media/judge"
	"sipscope/decode/frame"
	"sipscope/decode/rtp"
	"sipscope/decode/sdp"
	"sipscope/decode/sip"
)

// Bounds of what descriptions may claim.
const (
	maxAgreements = 256 // of a call
	maxLines      = 32  // m= lines of a description
	maxAddrs      = 16  // addresses of an m= line
	maxPayloads   = 64
)

// hop is a pair of hosts, the one on the caller's side first, while its offers and answers are paired. On one host, ports
// tell hops apart. A request that comes back to a host (a spiral) makes another hop.
type hop struct {
	num     int
	pending description // the newest offer
	open    bool        // there is one that may be answered
	body    []byte      // of the newest answer: a 200 repeats that of the 183 (RFC 3261 13.2.1); nil before the first
}

// description is a session description of a message.
type description struct {
	message    int
	txn        int
	seq        uint64
	response   bool
	fromCaller bool
	session    sdp.Session
}

// pairing pairs the offers and answers of a call (RFC 3264, RFC 6337).
type pairing struct {
	call    *correlate.Call
	callers map[string]bool // tags of those who sent the INVITEs that made dialogs
	hops    map[[2]frame.Endpoint]*hop
	out     []judge.Agreement
}

// agreements gives the offers of a call with their answers, in order of the answers.
func agreements(c *correlate.Call, text Text) []judge.Agreement {
	p := pairing{call: c, callers: map[string]bool{}, hops: map[[2]frame.Endpoint]*hop{}}
	for i := range c.Dialogs {
		if d := &c.Dialogs[i]; d.Method == "INVITE" {
			p.callers[d.CallerTag] = d.CallerTag != ""
		}
	}
	var parsed sip.Message
	for i := range c.Messages {
		m := &c.Messages[i]
		if !m.SDP || m.Repeats >= 0 || text == nil || len(p.out) >= maxAgreements {
			continue
		}
		raw := text(i)
		if raw == nil || sip.Parse(raw, &parsed) != nil {
			continue
		}
		if body, ok := parsed.SDP(); ok {
			// A response has the From of its request.
			fromCaller := p.fromCaller(&parsed) == parsed.Request
			p.take(p.hop(m, fromCaller), i, fromCaller, bytes.Clone(body)) // the session points into it
		}
	}
	return p.out
}

// fromCaller reports whether the request of a message came from the caller's side, by its tags.
func (p *pairing) fromCaller(m *sip.Message) bool {
	return p.callers[string(m.From.Tag.Of(m.Raw))] || !p.callers[string(m.To.Tag.Of(m.Raw))]
}

// hop gives the hop of a message.
func (p *pairing) hop(m *correlate.Message, fromCaller bool) *hop {
	a, b := m.Src, m.Dst
	if !a.SameHost(b) {
		a, b = host(a), host(b)
	}
	key := [2]frame.Endpoint{a, b}
	if !fromCaller {
		key = [2]frame.Endpoint{b, a}
	}
	h := p.hops[key]
	if h == nil {
		h = &hop{num: len(p.hops)}
		p.hops[key] = h
	}
	return h
}

// take takes a session description: an offer, or the answer to the newest one.
func (p *pairing) take(h *hop, i int, fromCaller bool, body []byte) {
	m := &p.call.Messages[i]
	d := description{message: i, txn: m.Txn, seq: m.Seq, response: m.Status != 0, fromCaller: fromCaller}
	d.session, _ = sdp.Parse(body)
	switch {
	case m.Status >= 300:
		return // a 488 tells what would do (RFC 3261 21.4.26)
	case !h.open:
	case d.response && !h.pending.response && h.pending.txn == m.Txn,
		!d.response && h.pending.response && h.pending.fromCaller != d.fromCaller:
		p.answer(h, &d, body, m.Time)
		return
	case d.response && h.pending.response && h.pending.txn == m.Txn:
		return // a 200 with the offer of the 183
	}
	h.pending, h.open, h.body = d, true, nil
}

// answer makes an agreement.
func (p *pairing) answer(h *hop, d *description, body []byte, now int64) {
	if h.body != nil && bytes.Equal(body, h.body) {
		return
	}
	h.body = body
	a := judge.Agreement{Hop: h.num, Time: now, Offer: h.pending.seq, Answer: d.seq}
	a.Media = lines(&h.pending.session, &d.session, h.pending.fromCaller)
	p.out = append(p.out, a)
	// What answers in a request (ACK, PRACK) ends the exchange; after an answer in a response another one may come: of a
	// fork, or a 200 that differs from the 183.
	if !d.response {
		h.open = false
	}
}

// lines gives the m= lines of an offer and its answer. Lines of one bundle share their addresses (RFC 9143): they are one.
func lines(offer, answer *sdp.Session, offerFromCaller bool) []judge.Medium {
	var out []judge.Medium
	bundle := -1
	for i := range min(len(offer.Media), len(answer.Media), maxLines) {
		o, a := &offer.Media[i], &answer.Media[i]
		m := judge.Medium{
			Line: i, Type: string(o.Type), Caller: end(o), Callee: end(a),
			Rejected: o.Rejected() || a.Rejected() || !o.RTP() || !a.RTP(),
		}
		if !offerFromCaller {
			m.Caller, m.Callee = m.Callee, m.Caller
		}
		if bundled(answer, a) && !m.Rejected {
			if bundle >= 0 {
				join(&out[bundle], &m)
				continue
			}
			bundle = len(out)
		}
		out = append(out, m)
	}
	return out
}

// bundled reports whether a medium is in a bundle of its session.
func bundled(s *sdp.Session, m *sdp.Media) bool {
	for _, g := range s.Groups {
		rest, ok := bytes.CutPrefix(g, []byte("BUNDLE"))
		if !ok || len(m.Mid) == 0 {
			continue
		}
		for mid := range bytes.FieldsSeq(rest) {
			if bytes.Equal(mid, m.Mid) {
				return true
			}
		}
	}
	return false
}

// join adds a medium of a bundle to its first one.
func join(to, m *judge.Medium) {
	for _, x := range [...]struct{ to, from *judge.End }{{&to.Caller, &m.Caller}, {&to.Callee, &m.Callee}} {
		if room := maxPayloads - len(x.to.Payloads); room > 0 {
			x.to.Payloads = append(x.to.Payloads, x.from.Payloads[:min(room, len(x.from.Payloads))]...)
		}
		x.to.Sends = x.to.Sends || x.from.Sends
		x.to.Receives = x.to.Receives || x.from.Receives
	}
}

// end gives what an m= line says of its author.
func end(m *sdp.Media) judge.End {
	e := judge.End{
		Sends: m.Direction.Sends(), Receives: m.Direction.Receives() && !m.Connection.Unspecified(), PTime: m.Ptime, MaxTime: m.MaxPtime,
	}
	name(&e, m.Connection.Address, m.Port)
	for _, c := range m.Candidates {
		// foundation component transport priority address port typ type (RFC 8839 5.1)
		f := bytes.Fields(c[:min(len(c), 256)])
		if len(f) < 6 || !bytes.EqualFold(f[2], []byte("udp")) || string(f[1]) != "1" {
			continue
		}
		if port, err := strconv.ParseUint(string(f[5]), 10, 16); err == nil {
			name(&e, f[4], uint16(port))
		}
	}
	for i := range m.Formats {
		f := &m.Formats[i]
		if f.PT < 0 || f.PT > rtp.MaxPT || len(e.Payloads) >= maxPayloads {
			continue
		}
		encoding, _, _ := f.Encoding()
		e.Payloads = append(e.Payloads, judge.Payload{PT: uint8(f.PT), Name: encoding})
	}
	return e
}

// name adds an address at which an end receives. Names of hosts are not looked up.
func name(e *judge.End, addr []byte, port uint16) {
	a, err := netip.ParseAddr(string(addr))
	if err == nil && !a.IsUnspecified() && port != 0 && len(e.Addrs) < maxAddrs {
		e.Addrs = append(e.Addrs, netip.AddrPortFrom(a.Unmap(), port))
	}
}
