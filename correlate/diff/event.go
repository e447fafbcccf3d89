package diff

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strings"

	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/decode/frame"
	"sipscope/decode/sdp"
	"sipscope/decode/sip"
)

// event is a message of a side, without those that repeat it.
type event struct {
	ref       Ref
	src, dst  frame.Endpoint
	from, to  int   // participants, of the side at first, then of the result
	time      int64 // nanoseconds
	again     int   // retransmissions
	method    string
	status    uint16
	cseq      uint32
	transport decode.Transport
	cut       bool // the text is not whole
	exchange  int  // index into the side's exchanges
	cause     int  // event that caused it, -1 for none
	wait      int64
	moved     bool // its partner stands in another order
	facts     facts
}

func (e *event) request() bool { return e.status == 0 }
func (e *event) final() bool   { return e.status >= 200 }

// facts are what is taken from the text to align messages, without what any two calls differ in.
type facts struct {
	read    bool
	sentBy  string // top Via's, in lower case
	content uint64 // of what tells messages of one method apart: Request-URI's user, event, state, body
	fromTag uint64
	toTag   uint64 // 0 for none
	auth    bool   // has credentials
	idle    bool   // an OPTIONS, or a NOTIFY that keeps a NAT open
}

// exchange is a transaction on one hop: a request, its responses, and the ACK of a failure. The ACK of a 2xx is one of
// its own (RFC 3261 17).
type exchange struct {
	call     int
	txn      int   // index into the call's Transactions, -1 for none
	events   []int // in order
	request  int   // event, -1 when only responses were seen
	from, to int   // client and server
	method   string
	status   uint16 // final one, else 0
	initial  bool   // makes or tries to make a dialog
	timedOut bool
	ack      int // event of a 2xx's ACK, -1
	partner  int // exchange of the other side, -1
	moved    bool
	elsehop  bool // its partner crosses another hop
}

// side is a flow in the making.
type side struct {
	flow      *Flow
	events    []event
	exchanges []exchange
	people    []person
	partner   []int             // of each event the other side's, -1 for none
	calls     []int             // of each call the other side's, -1
	answerers map[answerKey]int // who was first to use a To tag; nil until somebody asks
	start     int64             // time of the first event
	end       int64             // time of the last message
}

func newSide(f *Flow, seed maphash.Seed) *side {
	s := &side{flow: f, calls: make([]int, len(f.Calls))}
	for c := range f.Calls {
		s.calls[c] = -1
		s.gather(c)
	}
	slices.SortStableFunc(s.events, func(x, y event) int {
		return cmp.Or(cmp.Compare(x.time, y.time), cmp.Compare(s.seq(x.ref), s.seq(y.ref)))
	})
	if len(s.events) > 0 {
		s.start = s.events[0].time
	}
	var m sip.Message
	var d sdp.Session
	for i := range s.events {
		s.events[i].facts = s.read(&s.events[i], &m, &d, seed)
	}
	s.partner = make([]int, len(s.events))
	for i := range s.partner {
		s.partner[i] = -1
	}
	s.exchange()
	return s
}

func (s *side) seq(r Ref) uint64 {
	m := &s.flow.Calls[r.Call].Messages[r.Message]
	return m.Seq<<8 | uint64(m.Nth&0xff)
}

// gather appends the events of a call. What the tap saw twice is none, and a retransmission counts for its original.
func (s *side) gather(call int) {
	c := &s.flow.Calls[call]
	at := make(map[int]int, len(c.Messages)) // event of a message
	for i := range c.Messages {
		m := &c.Messages[i]
		s.end = max(s.end, m.Time)
		if m.Flags&decode.TapDuplicate != 0 || s.flow.Keep != nil && !s.flow.Keep(call, i) {
			continue
		}
		if m.Repeats >= 0 {
			if e, ok := at[m.Repeats]; ok {
				s.events[e].again++
				at[i] = e
				continue
			}
		}
		at[i] = len(s.events)
		s.events = append(s.events, event{
			ref: Ref{call, i}, src: m.Src, dst: m.Dst, time: m.Time, method: m.Method, status: m.Status, cseq: m.CSeq,
			transport: m.Transport, cut: m.Flags&decode.Truncated != 0, cause: -1, wait: -1, exchange: -1,
		})
	}
}

// read takes the facts from an event's text.
func (s *side) read(e *event, m *sip.Message, d *sdp.Session, seed maphash.Seed) facts {
	if s.flow.Text == nil {
		return facts{}
	}
	if sip.Parse(s.flow.Text(e.ref.Call, e.ref.Message), m) != nil {
		return facts{}
	}
	f := facts{read: true, sentBy: strings.ToLower(string(m.Via.SentBy.Of(m.Raw)))}
	hash := func(b []byte) uint64 {
		if len(b) == 0 {
			return 0
		}
		return maphash.Bytes(seed, b) | 1
	}
	f.fromTag, f.toTag = hash(m.From.Tag.Of(m.Raw)), hash(m.To.Tag.Of(m.Raw))
	_, proxy := m.Value(sip.HeaderProxyAuthorization)
	_, own := m.Value(sip.HeaderAuthorization)
	f.auth = proxy || own
	var h maphash.Hash
	h.SetSeed(seed)
	event, _ := m.Value(sip.HeaderEvent)
	if m.Request {
		u, _ := sip.ParseURI(m.URI.Of(m.Raw))
		part(&h, u.User)
		part(&h, event)
		if m.Expires == 0 || sip.ContactExpires(m.Contact.Params.Of(m.Raw)) == 0 {
			part(&h, []byte("removes")) // a binding or a subscription
		}
		if state, ok := m.Value(sip.HeaderSubscriptionState); ok {
			part(&h, sip.ParseSubscriptionState(state).State)
		}
	}
	f.idle = m.MethodID == sip.MethodOptions || m.MethodID == sip.MethodNotify && string(event) == "keep-alive"
	if text, ok := m.SDP(); ok {
		sdp.ParseInto(text, d)
		part(&h, d.AppendSummary(nil))
	} else {
		part(&h, m.Body.Of(m.Raw))
	}
	f.content = h.Sum64()
	return f
}

func part(h *maphash.Hash, b []byte) {
	_, _ = h.Write(b)
	_ = h.WriteByte(0)
}

// exchange puts the events into exchanges.
func (s *side) exchange() {
	type key struct{ call, txn int }
	of := make(map[key]int)
	for i := range s.events {
		e := &s.events[i]
		c := &s.flow.Calls[e.ref.Call]
		k := key{e.ref.Call, c.Messages[e.ref.Message].Txn}
		x, ok := of[k]
		if !ok || k.txn < 0 || k.txn >= len(c.Transactions) {
			x = len(s.exchanges)
			s.exchanges = append(s.exchanges, newExchange(c, k.call, k.txn, e))
			of[k] = x
		}
		s.enter(x, i)
	}
	s.link()
}

func newExchange(c *correlate.Call, call, txn int, e *event) exchange {
	x := exchange{
		call: call, txn: -1, request: -1, method: e.method, ack: -1, partner: -1,
		initial: e.facts.read && e.facts.toTag == 0,
	}
	if txn >= 0 && txn < len(c.Transactions) {
		t := &c.Transactions[txn]
		x.txn, x.method, x.initial, x.timedOut = txn, t.Method, t.Initial, t.State == correlate.TxnTimedOut
	}
	return x
}

func (s *side) enter(x, i int) {
	e, ex := &s.events[i], &s.exchanges[x]
	e.exchange = x
	ex.events = append(ex.events, i)
	switch {
	case e.request() && ex.request < 0 && (e.method == ex.method || ex.txn < 0):
		ex.request = i
	case e.final() && ex.status == 0:
		ex.status = e.status
	}
}

// link finds the ACKs of 2xx, which are exchanges of their own.
func (s *side) link() {
	at := make(map[Ref]int, len(s.events))
	for i := range s.events {
		at[s.events[i].ref] = i
	}
	for i := range s.exchanges {
		x := &s.exchanges[i]
		if x.txn < 0 {
			continue
		}
		ack := s.flow.Calls[x.call].Transactions[x.txn].Ack
		if e, ok := at[Ref{x.call, ack}]; ok && ack >= 0 {
			x.ack = e
		}
	}
}
