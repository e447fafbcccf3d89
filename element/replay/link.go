package replay

import (
	"bytes"
	"strconv"

	"sipscope/decode/sip"
	"sipscope/element/replay/plan"
)

// hopKey is what a message is found by on one hop.
type hopKey struct {
	from, to int32
	call     string
	cseq     uint32
	method   string
	branch   string
}

// passKey is what a message is found by that came to a host, from what goes on from there.
type passKey struct {
	at     int32
	call   string
	cseq   uint32
	method string
	status int
	tag    string
	branch string
}

// endKey is what a final response to an INVITE is found by from its ACK, and a provisional one from its PRACK.
type endKey struct {
	call string
	cseq uint32
	tag  string
	rseq int64
	host int32 // that it came to
}

// wholeKey is what the requests of one user agent share.
type wholeKey struct {
	host   int32
	call   string
	method string
}

// linker finds which steps belong together. Steps are looked at in order, so that every link leads back.
type linker struct {
	*compiler
	requests   map[hopKey]int32
	passed     map[passKey]int32
	finals     map[endKey]int32 // by who got them
	sent       map[endKey]int32 // by who sent them
	reliable   map[endKey]int32
	challenged map[wholeKey]int32
	refresh    map[wholeKey]int32 // the last 2xx that said how long it lasts
	refers     map[endKey]int32
}

func (c *compiler) link() {
	l := &linker{
		compiler: c, requests: map[hopKey]int32{}, passed: map[passKey]int32{}, finals: map[endKey]int32{}, sent: map[endKey]int32{},
		reliable: map[endKey]int32{}, challenged: map[wholeKey]int32{}, refresh: map[wholeKey]int32{}, refers: map[endKey]int32{},
	}
	for i := range c.steps {
		s := &c.steps[i]
		if !s.message() {
			continue
		}
		x := int32(i)
		l.findOrigin(s, x)
		if s.request {
			l.linkRequest(s, x)
		} else {
			l.linkResponse(s, x)
		}
	}
	for i := range c.steps {
		if s := &c.steps[i]; s.request && s.method == "CANCEL" {
			for _, a := range s.answers {
				c.steps[a].byLayer = c.hosts[s.to].part == plan.Played
			}
		}
	}
}

func (s *step) text(span sip.Span) string { return string(span.Of(s.msg.Raw)) }

// below are the branches of the Vias below the top one, of the first few.
func (s *step) below() []string {
	var list []string
	for v := range s.msg.AllVias() {
		if list = append(list, s.text(v.Branch)); len(list) > maxOwnVias {
			break
		}
	}
	return list[min(len(list), 1):]
}

// maxOwnVias is how many Vias a proxy may add that sends a request to itself on the way, which no step shows.
const maxOwnVias = 4

// findOrigin finds what the sender forwards by this message: a request whose second Via is the top one of what came, a
// response whose top Via is the second one of what came (RFC 3261 16.6, 16.7). What a proxy sends to itself on the way is no
// step: then it is a Via further down.
func (l *linker) findOrigin(s *step, x int32) {
	m := &s.msg
	key := passKey{call: s.text(m.CallID), cseq: m.CSeq, method: s.method, status: s.status}
	came, goes := []string{s.text(m.Via.Branch)}, s.below()
	if !s.request {
		came, goes = goes, came
		key.tag = s.text(m.To.Tag)
	}
	for _, branch := range goes {
		key.at, key.branch = s.from, branch
		if o, ok := l.passed[key]; ok && branch != "" {
			s.origin = o
			l.steps[o].relayed = true
			break
		}
	}
	for _, branch := range came {
		key.at, key.branch = s.to, branch
		l.passed[key] = x
	}
}

func (l *linker) linkRequest(s *step, x int32) {
	m := &s.msg
	call, branch := s.text(m.CallID), s.text(m.Via.Branch)
	switch s.method {
	case "ACK":
		l.linkAck(s, x, call, branch)
	case "CANCEL":
		if q, ok := l.requests[hopKey{s.from, s.to, call, m.CSeq, "INVITE", branch}]; ok {
			s.asked = q
		}
	case "PRACK":
		value, _ := m.Value(sip.HeaderRAck)
		r := sip.ParseRAck(value)
		key := endKey{call: call, cseq: uint32(max(r.CSeq, 0)), tag: s.text(m.To.Tag), rseq: r.RSeq, host: s.from} //nolint:gosec // a hostile one finds nothing
		if p, ok := l.reliable[key]; ok && s.origin < 0 {
			s.prack = p
			l.steps[p].prack = x
		}
	case "REFER":
		l.refers[endKey{call: call, cseq: m.CSeq}] = x
	case "NOTIFY", "SUBSCRIBE":
		value, _ := m.Value(sip.HeaderEvent)
		event, _ := sip.ParseEvent(value)
		if id, err := strconv.ParseUint(string(event.ID), 10, 32); err == nil {
			if r, ok := l.refers[endKey{call: call, cseq: uint32(id)}]; ok {
				s.refers = r
			}
		}
	}
	l.requests[hopKey{s.from, s.to, call, m.CSeq, s.method, branch}] = x
	if s.origin < 0 && s.method != "ACK" && s.method != "CANCEL" {
		l.linkChain(s, x, call)
	}
}

// linkChain finds the challenge that a request answers, and the 2xx that it refreshes.
func (l *linker) linkChain(s *step, x int32, call string) {
	key := wholeKey{s.from, call, s.method}
	if q, ok := l.challenged[key]; ok {
		_, origin := s.msg.Value(sip.HeaderAuthorization)
		_, proxy := s.msg.Value(sip.HeaderProxyAuthorization)
		if (origin || proxy) && s.msg.CSeq > l.steps[q].msg.CSeq && l.steps[q].to == s.to {
			s.retryOf, l.steps[q].retry = q, x
			delete(l.challenged, key)
		}
	}
	if f, ok := l.refresh[key]; ok && s.retryOf < 0 {
		s.fresh = f
	}
}

// linkAck finds what an ACK is for.
func (l *linker) linkAck(s *step, x int32, call, branch string) {
	m := &s.msg
	key := endKey{call: call, cseq: m.CSeq, tag: s.text(m.To.Tag), host: s.from}
	f, ok := l.finals[key]
	if sent, has := l.sent[endKey{call: call, cseq: m.CSeq, tag: key.tag, host: s.to}]; has {
		l.steps[sent].ackIn = x
	}
	if ok && s.origin < 0 {
		s.final, s.asked = f, l.steps[f].asked
		l.steps[f].ack = x
		s.byLayer = l.steps[f].status >= 300
		return
	}
	if q, known := l.requests[hopKey{s.from, s.to, call, m.CSeq, "INVITE", branch}]; known && s.origin < 0 {
		s.asked = q
	}
}

func (l *linker) linkResponse(s *step, x int32) {
	m := &s.msg
	call, branch := s.text(m.CallID), s.text(m.Via.Branch)
	q, ok := l.requests[hopKey{s.to, s.from, call, m.CSeq, s.method, branch}]
	if !ok {
		return
	}
	s.asked = q
	l.steps[q].answers = append(l.steps[q].answers, x)
	tag := s.text(m.To.Tag)
	if value, has := m.Value(sip.HeaderRSeq); has && s.provisional() {
		l.reliable[endKey{call: call, cseq: m.CSeq, tag: tag, rseq: sip.ParseRSeq(value), host: s.to}] = x
	}
	if !s.isFinal() {
		return
	}
	if s.method == "INVITE" {
		l.finals[endKey{call: call, cseq: m.CSeq, tag: tag, host: s.to}] = x
		l.sent[endKey{call: call, cseq: m.CSeq, tag: tag, host: s.from}] = x
	}
	if l.steps[q].origin >= 0 {
		return
	}
	key := wholeKey{s.to, call, s.method}
	delete(l.challenged, key)
	switch {
	case s.status == 401 || s.status == 407:
		l.challenged[key] = q
	case s.status < 300:
		if s.lasts = lasting(m); s.lasts > 0 {
			l.refresh[key] = x
		}
	}
}

// lasting is how long a 2xx says that its state lasts, in seconds: of a registration the longest Contact (RFC 3261
// 10.2.4), of a subscription or publication Expires, of a session Session-Expires (RFC 4028). 0: it does not say.
func lasting(m *sip.Message) int64 {
	seconds := max(m.Expires, 0)
	for a := range m.Addresses(sip.HeaderContact) {
		seconds = max(seconds, sip.ContactExpires(a.Params.Of(m.Raw)))
	}
	if value, ok := m.Value(sip.HeaderSessionExpires); ok {
		seconds = max(seconds, sip.ParseSessionExpires(value).Seconds)
	}
	return seconds
}

// same reports whether two messages have the same headers of an id, in order, folds aside.
func same(a, b *sip.Message, id sip.HeaderID) bool {
	i, j := nextHeader(a, id, 0), nextHeader(b, id, 0)
	for i >= 0 && j >= 0 {
		if !sameFolded(a.Headers[i].Value.Of(a.Raw), b.Headers[j].Value.Of(b.Raw)) {
			return false
		}
		i, j = nextHeader(a, id, i+1), nextHeader(b, id, j+1)
	}
	return i < 0 && j < 0
}

func nextHeader(m *sip.Message, id sip.HeaderID, from int) int {
	for i := from; i < len(m.Headers); i++ {
		if m.Headers[i].ID == id {
			return i
		}
	}
	return -1
}

func sameFolded(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	return bytes.Equal(bytes.Join(bytes.Fields(a), blank), bytes.Join(bytes.Fields(b), blank))
}

var blank = []byte{' '} //nolint:gochecknoglobals // read-only
