package flowtest

import (
	"fmt"
	"slices"
	"strconv"

	"sipscope/decode/sip"
)

// ends is an element's part in a call.
type ends struct {
	call *call
	host *host
}

// player lets the elements of a flow talk: it keeps what each of them would know.
type player struct {
	f       *Flow
	w       *wire
	count   int // makes identifiers differ
	txns    []*txn
	sent    []sent
	dialogs []*dialog
	cseq    map[ends]uint32
	sdps    map[ends]int
	known   map[ends][]*challenge
	tags    map[ends]string
}

// txn is a request on one hop with its responses. An ACK is kept as one, too, so that a proxy can forward it.
type txn struct {
	call      *call
	a, b      *host
	req       *message // as a sent it
	got       *message // as b has it: with received and rport in the top Via
	label     string
	parent    *txn // where a proxy got it
	responses []*response
	acked     bool
}

// response is one that b sent.
type response struct {
	m         *message
	order     int
	forwarded bool
}

// final gives the last final response, nil when there is none yet.
func (t *txn) final() *message {
	for _, r := range slices.Backward(t.responses) {
		if r.m.status >= 200 {
			return r.m
		}
	}
	return nil
}

// sent is what a hop has seen, to be sent again.
type sent struct {
	s       *step
	t       *txn
	method  string
	status  int
	payload []byte
	tcp     bool
}

// play runs all steps.
func (f *Flow) play() (*player, error) {
	p := &player{
		f: f, w: newWire(f), cseq: map[ends]uint32{}, sdps: map[ends]int{}, known: map[ends][]*challenge{},
		tags: map[ends]string{},
	}
	for i := range f.steps {
		s := &f.steps[i]
		if err := p.step(s); err != nil {
			return nil, &Error{File: f.file, Line: s.line, Err: err}
		}
	}
	return p, nil
}

func (p *player) step(s *step) error {
	if s.call == nil {
		return p.w.verb(s)
	}
	if s.has("retransmit") {
		return p.again(s)
	}
	var t *txn
	var m *message
	var err error
	if isStatus(s.verb) {
		t, m, err = p.response(s)
	} else {
		t, m, err = p.request(s)
	}
	if err != nil {
		return err
	}
	x := sent{s: s, t: t, method: m.method, status: m.status, payload: m.text(), tcp: s.tcp()}
	if raw, ok := s.opt("raw"); ok {
		x.payload = []byte(raw)
	}
	p.sent = append(p.sent, x)
	return p.w.payload(s, x.payload, x.tcp)
}

// tcp tells the transport of a step: as the line says, else TCP when one of the two speaks it.
func (s *step) tcp() bool {
	if v, ok := s.opt("transport"); ok {
		return v == "tcp"
	}
	return s.a.is(isTCP) || s.b.is(isTCP)
}

// again sends the newest same message of this hop once more.
func (p *player) again(s *step) error {
	status, _ := strconv.Atoi(s.verb) // 0 for a method
	method := s.methodWord()
	if status == 0 {
		method = s.verb
	}
	label, labelled := s.opt("of")
	for _, x := range slices.Backward(p.sent) {
		if x.s.a == s.a && x.s.b == s.b && x.s.call == s.call && x.status == status &&
			(method == "" || x.method == method) && (!labelled || x.t.label == label) {
			return p.w.payload(s, x.payload, x.tcp)
		}
	}
	return fmt.Errorf("%s sent no %s to %s before", s.a.name, s.verb, s.b.name)
}

// methodWord gives the method that a response's line names, if any.
func (s *step) methodWord() string {
	for _, t := range s.words {
		if !t.quoted && isMethod(t.text) {
			return t.text
		}
	}
	return ""
}

// find gives the newest transaction that fits.
func (p *player) find(s *step, fits func(t *txn) bool) *txn {
	label, labelled := s.opt("of")
	for _, t := range slices.Backward(p.txns) {
		if t.call == s.call && (!labelled || t.label == label) && fits(t) {
			return t
		}
	}
	return nil
}

// answered finds the request that a response of s.a to s.b answers.
func (p *player) answered(s *step, status int) (*txn, error) {
	method := s.methodWord()
	here := func(t *txn) bool {
		return t.b == s.a && t.a == s.b && t.req.method != "ACK" && (method == "" || t.req.method == method)
	}
	invite := func(t *txn) bool { return here(t) && t.req.method == "INVITE" }
	open := func(is func(*txn) bool) func(*txn) bool {
		return func(t *txn) bool { return is(t) && t.final() == nil }
	}
	tries := []func(*txn) bool{open(here), invite, here}
	if status < 200 || status == 487 {
		tries = []func(*txn) bool{open(invite), open(here), invite, here}
	}
	for _, try := range tries {
		if t := p.find(s, try); t != nil {
			return t, nil
		}
	}
	return nil, fmt.Errorf("%s has no request by %s to answer", s.a.name, s.b.name)
}

// response makes or forwards one.
func (p *player) response(s *step) (*txn, *message, error) {
	status, _ := strconv.Atoi(s.verb) // checked when parsed
	t, err := p.answered(s, status)
	if err != nil {
		return nil, nil, err
	}
	var m *message
	if s.a.is(isProxy) && status != 100 && !s.has("own") {
		m = p.fromBeyond(t, status)
	}
	forwarded := m != nil
	if m == nil {
		if m, err = p.answer(s, t, status); err != nil {
			return nil, nil, err
		}
	}
	for _, w := range s.words {
		if w.quoted {
			m.reason = w.text
		}
	}
	if err := s.apply(m); err != nil {
		return nil, nil, err
	}
	p.count++
	t.responses = append(t.responses, &response{m: m, order: p.count})
	if !forwarded {
		p.uasDialog(s.a, t, m)
	}
	if t.parent == nil {
		p.uacDialog(s.b, t, m)
		if m.challenge != nil {
			p.learn(ends{s.call, s.b}, m.challenge)
		}
	}
	return t, m, nil
}

// fromBeyond gives a copy, without the top Via, of the first response with this status that the proxy has not yet
// forwarded (RFC 3261 16.7), nil when there is none.
func (p *player) fromBeyond(t *txn, status int) *message {
	var first *response
	for _, c := range p.txns {
		if c.parent != t {
			continue
		}
		for _, r := range c.responses {
			if r.m.status == status && !r.forwarded && (first == nil || r.order < first.order) {
				first = r
			}
		}
	}
	if first == nil {
		return nil
	}
	first.forwarded = true
	m := first.m.clone()
	if len(m.vias) > 0 {
		m.vias = m.vias[1:]
	}
	return m
}

// answer makes a response (RFC 3261 8.2.6).
func (p *player) answer(s *step, t *txn, status int) (*message, error) {
	q := t.got
	m := &message{
		method: q.method, status: status, reason: sip.ReasonPhrase(status), maxForwards: -1,
		vias: slices.Clone(q.vias), from: q.from, to: q.to, fromTag: q.fromTag, toTag: q.toTag,
		callID: q.callID, cseq: q.cseq,
	}
	if m.toTag == "" && status > 100 {
		m.toTag = p.tag(s)
	}
	dialog := makesDialog(q.method, status)
	if dialog {
		m.recordRoute = slices.Clone(q.recordRoute)
	}
	if dialog || q.method == "UPDATE" && status < 300 {
		m.contact = s.a.contact(s.tcp())
	}
	if status < 300 && status >= 200 {
		p.success(s, q, m)
	}
	if status == 401 || status == 407 {
		p.challenge(s, m)
	}
	if s.has("rel") {
		m.add("Require", "100rel")
		p.count++
		m.add("RSeq", strconv.Itoa(p.count))
	}
	if s.a.agent != "" {
		m.add("Server", s.a.agent)
	}
	return m, p.setBody(s, m)
}

// success adds what a 2xx of some methods carries.
func (p *player) success(s *step, q, m *message) {
	asked := q.field("Expires")
	granted := s.text("expires", asked)
	switch q.method {
	case "REGISTER":
		if q.contact != "" && q.contact != "*" {
			m.contact = binding(q.contact, granted)
		}
		m.add("Date", p.f.start.Add(s.at).Format("Mon, 02 Jan 2006 15:04:05 GMT"))
	case "SUBSCRIBE", "PUBLISH":
		if granted != "" {
			m.add("Expires", granted)
		}
	}
}

// makesDialog reports whether a response makes a dialog (RFC 3261 12.1, RFC 6665 4.4.1, RFC 3515 2.4.6).
func makesDialog(method string, status int) bool {
	switch method {
	case "INVITE":
		return status > 100 && status < 300
	case "SUBSCRIBE", "REFER":
		return status >= 200 && status < 300
	}
	return false
}

// tag gives the element's own tag in a call; tag= chooses it for all that follows.
func (p *player) tag(s *step) string {
	at := ends{s.call, s.a}
	if v, ok := s.opt("tag"); ok {
		p.tags[at] = v
	} else if p.tags[at] == "" {
		p.tags[at] = ident(8, p.f.Name, s.call.name, s.a.name, "tag")
	}
	return p.tags[at]
}
