package sipp

import (
	"fmt"
	"slices"

	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/decode/frame"
	"sipscope/decode/sip"
	"sipscope/render/ladder"
)

// parties knows who sent each message of a call: the participants of its ladder.
type parties struct {
	call     *correlate.Call
	from, to []int // by message; -1 unknown
	cols     []ladder.Column
}

func newParties(call *correlate.Call) *parties {
	p := &parties{call: call, from: make([]int, len(call.Messages)), to: make([]int, len(call.Messages))}
	for i := range p.from {
		p.from[i], p.to[i] = -1, -1
	}
	l := ladder.Build([]correlate.Call{*call}, func(int, int) []byte { return nil }, ladder.Options{Unfold: true})
	p.cols = l.Columns
	for i := range l.Rows {
		r := &l.Rows[i]
		if r.Kind != ladder.Arrow {
			continue
		}
		for _, m := range r.Messages {
			p.from[m], p.to[m] = r.From, r.To
		}
	}
	return p
}

// event is a message as one participant saw it.
type event struct {
	at    int // index into Call.Messages
	facts *correlate.Message
	send  bool
	gap   int64 // nanoseconds since the event before
	left  int64 // nanoseconds until the last message of the call
	sip   sip.Message

	request *event   // of a response: what it answers; of an ACK or CANCEL: its INVITE; nil when it is not there
	finals  []*event // of a request: the final responses to it
	ack     *event   // of an INVITE: its ACK, the last one
	again   bool     // the message was retransmitted
	saved   bool     // of a request received: SIPp keeps what a later answer needs
	alone   bool     // the other scenario does not have it: an element between the two made or took it
	pos     int      // index in the view
}

func (e *event) isRequest() bool { return e.facts.Status == 0 }

func (e *event) isFinal() bool { return e.facts.Status >= 200 }

func (e *event) is(method string) bool { return e.isRequest() && e.facts.Method == method }

// method is the request's, also of a response.
func (e *event) method() string { return e.facts.Method }

// inDialog reports whether a request was sent within a dialog.
func (e *event) inDialog() bool { return !e.sip.To.Tag.Empty() && !e.is("CANCEL") && !e.acksFailure() }

// acksFailure reports whether it is the ACK of a response that is no 2xx, which belongs to the INVITE's transaction.
func (e *event) acksFailure() bool {
	if !e.is("ACK") || e.request == nil {
		return false
	}
	status := uint16(0)
	for _, f := range e.request.finals {
		if f.pos < e.pos {
			status = f.facts.Status
		}
	}
	return status >= 300
}

// tag is the To tag.
func (e *event) tag() string { return string(e.sip.To.Tag.Of(e.sip.Raw)) }

// maxEvents is more messages than MaxXML has room for.
const maxEvents = MaxXML / 32

// view is what one participant sent and received, without retransmissions, in order.
type view struct {
	call   *correlate.Call
	p      *parties
	caller bool
	me     int // column
	peer   int // column of the first request's other end
	hop    int
	events []*event
}

// views chooses the two participants.
func (p *parties) views(hop int) (uac, uas *view, err error) {
	first := slices.IndexFunc(p.call.Messages, func(m correlate.Message) bool { return m.Status == 0 && m.Method != "ACK" })
	if first < 0 || p.from[first] < 0 || p.from[first] == p.to[first] {
		return nil, nil, fmt.Errorf("call %d: %w", p.call.Num, ErrNoRequest)
	}
	caller, callee := p.from[first], p.callee(first)
	if hop != 0 {
		all := p.pairs()
		if hop < 0 || hop > len(all) {
			return nil, nil, fmt.Errorf("call %d: %w: %d of %d", p.call.Num, ErrHop, hop, len(all))
		}
		caller, callee = all[hop-1][0], all[hop-1][1]
	}
	uac = p.view(caller, callee, hop)
	uas = p.view(callee, caller, hop)
	uac.caller = true
	for _, v := range []*view{uac, uas} {
		if len(v.events) > maxEvents {
			return nil, nil, fmt.Errorf("call %d: %w, and the call has %d messages", p.call.Num, ErrTooLong, len(p.call.Messages))
		}
		if len(v.events) == 0 || v.events[0].send != v.caller || !v.events[0].isRequest() {
			return nil, nil, fmt.Errorf("call %d, hop %d: %w", p.call.Num, hop, ErrNoRequest)
		}
		v.peer = p.to[v.events[0].at]
		if !v.caller {
			v.peer = p.from[v.events[0].at]
		}
	}
	return uac, uas, nil
}

// callee finds the element at the other end: where a request like the first one went that had no further hop. If there
// are several, an answer counts most, then the response that decided the call, then what came last.
func (p *parties) callee(first int) int {
	type copied struct {
		by   int
		cseq uint32
	}
	call := p.call
	method := call.Messages[first].Method
	forwarded := map[copied]bool{}
	for i := range call.Transactions {
		if t := &call.Transactions[i]; t.Request >= 0 && t.Method == method {
			forwarded[copied{p.from[t.Request], t.CSeq}] = true
		}
	}
	best, score := p.to[first], -1
	for i := range call.Transactions {
		t := &call.Transactions[i]
		if t.Request < first || t.Method != method {
			continue
		}
		to := p.to[t.Request]
		if to < 0 || to == p.from[first] || forwarded[copied{to, t.CSeq}] {
			continue
		}
		s := worth(t, call.Code)
		if s > score || s == score && t.Initial && t.CSeq > call.Messages[first].CSeq {
			best, score = to, s
		}
	}
	return best
}

// worth says how much speaks for the callee of a transaction being that of the call. code is what decided the call.
func worth(t *correlate.Transaction, code uint16) int {
	s := 0
	if t.Initial {
		s += 4
	}
	if t.Status == code && code != 0 {
		s += 2
	}
	if t.Status >= 200 && t.Status < 300 {
		s += 8
	}
	return s
}

// pairs lists the pairs of participants, who asked first before who was asked.
func (p *parties) pairs() [][2]int {
	var all [][2]int
	for i := range p.call.Messages {
		a, b := p.from[i], p.to[i]
		if a < 0 || a == b || p.call.Messages[i].Status != 0 {
			continue
		}
		if !slices.Contains(all, [2]int{a, b}) && !slices.Contains(all, [2]int{b, a}) {
			all = append(all, [2]int{a, b})
		}
	}
	return all
}

func (p *parties) hops() []Hop {
	var all []Hop
	for _, pair := range p.pairs() {
		h := Hop{From: p.cols[pair[0]].Address, To: p.cols[pair[1]].Address}
		for i := range p.from {
			if pair == [2]int{p.from[i], p.to[i]} || pair == [2]int{p.to[i], p.from[i]} {
				h.Messages++
			}
		}
		all = append(all, h)
	}
	return all
}

// view takes what a participant sent and received; with a hop only what it exchanged with other.
func (p *parties) view(me, other, hop int) *view {
	v := &view{call: p.call, p: p, me: me, hop: hop}
	byMessage := map[int]*event{}
	prev := int64(0)
	for i := range p.call.Messages {
		m := &p.call.Messages[i]
		from, to := p.from[i], p.to[i]
		if from == to || from != me && to != me || hop != 0 && from != other && to != other {
			continue
		}
		if m.Repeats >= 0 {
			if e := byMessage[m.Repeats]; e != nil {
				e.again = true
			}
			continue
		}
		e := &event{at: i, facts: m, send: from == me, left: p.call.Last - m.Time, pos: len(v.events)}
		if prev != 0 {
			e.gap = max(0, m.Time-prev)
		}
		prev = m.Time
		byMessage[i] = e
		if v.events = append(v.events, e); len(v.events) > maxEvents {
			return v // too long for views
		}
	}
	v.link(byMessage)
	return v
}

// link finds what belongs together.
func (v *view) link(byMessage map[int]*event) {
	txns := v.call.Transactions
	for _, e := range v.events {
		t := e.facts.Txn
		switch {
		case !e.isRequest():
			if t >= 0 && t < len(txns) {
				e.request = before(byMessage[txns[t].Request], e)
			}
			if e.request != nil && e.isFinal() {
				e.request.finals = append(e.request.finals, e)
			}
		case e.is("ACK") || e.is("CANCEL"):
			e.request = v.invite(e)
			if e.request != nil && e.is("ACK") {
				e.request.ack = e
			}
		}
	}
}

// before gives r when it came before e the other way.
func before(r, e *event) *event {
	if r != nil && r.pos < e.pos && r.send != e.send {
		return r
	}
	return nil
}

// invite finds the INVITE that an ACK or CANCEL is about: the newest one the same way with its CSeq number.
func (v *view) invite(e *event) *event {
	for _, r := range slices.Backward(v.events[:e.pos]) {
		if r.is("INVITE") && r.send == e.send && r.facts.CSeq == e.facts.CSeq {
			return r
		}
	}
	return nil
}

// load reads the messages.
func (v *view) load(text func(int) []byte) error {
	for _, e := range v.events {
		raw := text(e.at)
		if len(raw) == 0 {
			return fmt.Errorf("call %d, message %d of frame %d: %w", v.call.Num, e.at, e.facts.Seq, ErrText)
		}
		if err := sip.Parse(raw, &e.sip); err != nil {
			return fmt.Errorf("call %d, message %d of frame %d: %w", v.call.Num, e.at, e.facts.Seq, err)
		}
	}
	return nil
}

// same names a message whatever hop it is seen on.
type same struct {
	cseq   uint32
	method string
	status uint16
	from   string // the From tag: which way the request went
}

func (e *event) same() same {
	return same{e.facts.CSeq, e.facts.Method, e.facts.Status, string(e.sip.From.Tag.Of(e.sip.Raw))}
}

// pair marks what only one of two views has.
func (v *view) pair(w *view) {
	for _, sides := range [2][2]*view{{v, w}, {w, v}} {
		there := map[same]bool{}
		for _, e := range sides[1].events {
			there[e.same()] = true
		}
		for _, e := range sides[0].events {
			e.alone = !there[e.same()]
		}
	}
}

// mine lists the endpoints that the participant had, theirs those of the others; first seen first.
func (v *view) endpoints() (mine, theirs []frame.Endpoint) {
	add := func(all *[]frame.Endpoint, e frame.Endpoint) {
		if !slices.Contains(*all, e) {
			*all = append(*all, e)
		}
	}
	for _, e := range v.events {
		if e.send {
			add(&mine, e.facts.Src)
			add(&theirs, e.facts.Dst)
		} else {
			add(&mine, e.facts.Dst)
			add(&theirs, e.facts.Src)
		}
	}
	return mine, theirs
}

// proto is the transport of the first message.
func (v *view) proto() decode.Transport { return v.events[0].facts.Transport }
