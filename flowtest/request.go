package flowtest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// request makes or forwards one.
func (p *player) request(s *step) (*txn, *message, error) {
	t := &txn{call: s.call, a: s.a, b: s.b, label: s.text("as", "")}
	var err error
	switch {
	case s.verb == "CANCEL":
		t.req, err = p.cancel(s)
	case s.verb == "ACK" && p.failed(s) != nil:
		t.req = p.ackFailure(p.failed(s))
	case s.a.is(isProxy) && !s.has("own"):
		t.req, err = p.forward(s, t)
	default:
		t.req, err = p.originate(s)
	}
	if err != nil {
		return nil, nil, err
	}
	m := t.req
	if err := s.apply(m); err != nil {
		return nil, nil, err
	}
	if uri := s.uriWord(); uri != "" {
		m.uri = uri
	}
	if err := p.authorise(s, m); err != nil {
		return nil, nil, err
	}
	if err := p.misrouted(s, m); err != nil {
		return nil, nil, err
	}
	p.deliver(s, t)
	return t, m, nil
}

// uriWord gives the Request-URI on a request's line, if any.
func (s *step) uriWord() string {
	for _, t := range s.words {
		if strings.ContainsAny(t.text, ":*") {
			return t.text
		}
	}
	return ""
}

// misrouted finds a request inside a dialog that its Route or Request-URI would take to another element of the flow.
func (p *player) misrouted(s *step, m *message) error {
	if m.toTag == "" || s.has("anyway") || s.verb == "CANCEL" || p.failedAck(s, m) {
		return nil
	}
	next := m.uri
	if len(m.route) > 0 && !m.strict {
		next = uriOf(m.route[0])
	}
	if s.b.at(next) {
		return nil
	}
	for _, h := range p.f.hosts {
		if h.at(next) {
			return fmt.Errorf("%s goes to %s by its Route or Request-URI, not to %s (anyway allows it)", s.verb, h.name, s.b.name)
		}
	}
	return nil
}

// failedAck reports whether m is an ACK that goes where its INVITE went, whatever its Request-URI.
func (p *player) failedAck(s *step, m *message) bool {
	return m.method == "ACK" && p.find(s, func(t *txn) bool {
		return t.a == s.a && t.b == s.b && t.req.method == "INVITE" && len(t.req.vias) > 0 && t.req.vias[0] == m.vias[0]
	}) != nil
}

// deliver lets the receiver know the request.
func (p *player) deliver(s *step, t *txn) {
	m := t.req
	t.got = m.clone()
	if len(m.vias) > 0 {
		t.got.vias[0] = received(s, m.vias[0])
	}
	p.txns = append(p.txns, t)
	if s.b.is(isProxy) {
		return
	}
	if d := p.dialogOf(ends{s.call, s.b}, m.toTag, m.fromTag); d != nil {
		if m.contact != "" {
			d.target = uriOf(m.contact)
		}
	} else if m.method == "NOTIFY" && m.toTag != "" { // a fork's, or ahead of the 2xx (RFC 6665 4.1.2.4)
		p.dialogs = append(p.dialogs, &dialog{
			at: ends{s.call, s.b}, peer: p.origin(t), localTag: m.toTag, remoteTag: m.fromTag, local: m.to, remote: m.from,
			target: uriOf(m.contact), route: slices.Clone(m.recordRoute), confirmed: true,
		})
	}
}

// received adds where a request came from to its top Via, when the sender's own word differs or it asks
// (RFC 3261 18.2.1, RFC 3581 4).
func received(s *step, via string) string {
	head, params, _ := strings.Cut(via, ";")
	if strings.Contains(";"+params+";", ";rport;") {
		port := s.text("sport", strconv.Itoa(int(s.a.addr.Port())))
		return strings.Replace(via, ";rport", ";received="+s.a.addr.Addr().String()+";rport="+port, 1)
	}
	sentBy := head[strings.LastIndexByte(head, ' ')+1:]
	if sentBy != s.a.ip() && !strings.HasPrefix(sentBy, s.a.ip()+":") {
		return via + ";received=" + s.a.addr.Addr().String()
	}
	return via
}

// via makes a new Via (RFC 3261 20.42, 8.1.1.7).
func (p *player) via(s *step) string {
	p.count++
	branch := ident(12, p.f.Name, s.call.name, s.a.name, "branch", strconv.Itoa(p.count))
	if !s.a.is(isRFC2543) {
		branch = "z9hG4bK" + branch
	}
	branch = s.text("branch", branch)
	sentBy := s.a.sentBy
	if sentBy == "" {
		sentBy = s.a.hostPort()
	}
	transport := "UDP"
	if s.tcp() {
		transport = "TCP"
	}
	v := "SIP/2.0/" + transport + " " + sentBy
	if s.a.is(isRPort) {
		v += ";rport"
	}
	if branch != "none" {
		v += ";branch=" + branch
	}
	return v
}

// forward makes the copy that a proxy sends on (RFC 3261 16.4, 16.6).
func (p *player) forward(s *step, t *txn) (*message, error) {
	t.parent = p.find(s, func(o *txn) bool {
		return o.b == s.a && o.req.method == s.verb && !p.went(o, s.b)
	})
	if t.parent == nil {
		return nil, fmt.Errorf("%s has no %s to forward to %s (own makes one)", s.a.name, s.verb, s.b.name)
	}
	m := t.parent.got.clone()
	m.maxForwards--
	m.over, m.without, m.lf, m.compact = forwardable(m.over), nil, false, false
	m.arrive(s.a)
	if m.toTag == "" && !s.b.is(isProxy) && m.uri == s.b.user && m.method != "REGISTER" {
		m.uri = uriOf(s.b.contact(s.tcp())) // the location service knows where the user is
	}
	if s.a.is(isRecordRoute) && m.toTag == "" && (m.method == "INVITE" || m.method == "SUBSCRIBE" || m.method == "REFER") {
		m.recordRoute = slices.Insert(m.recordRoute, 0, s.a.recordRoute(s.tcp()))
	}
	m.leave(s.a)
	m.vias = slices.Insert(m.vias, 0, p.via(s))
	return m, nil
}

// arrive takes what is the proxy's own out of Request-URI and Route (RFC 3261 16.4). A strict router takes its next hop
// from Route, as RFC 2543 had it.
func (m *message) arrive(h *host) {
	m.strict = false
	n := len(m.route)
	switch {
	case n > 0 && h.is(isStrict) && h.at(m.uri):
		m.uri, m.route = uriOf(m.route[0]), m.route[1:]
		m.strict = len(m.route) > 0
		return
	case n > 0 && m.toTag != "" && h.at(m.uri): // a strict router before us
		m.uri, m.route = uriOf(m.route[n-1]), m.route[:n-1]
	}
	if len(m.route) > 0 && h.at(uriOf(m.route[0])) {
		m.route = m.route[1:]
	}
}

// leave prepares for a strict router behind the proxy (RFC 3261 16.6 step 6).
func (m *message) leave(h *host) {
	if len(m.route) > 0 && !isLoose(m.route[0]) && !h.is(isStrict) {
		m.route = append(m.route, "<"+m.uri+">")
		m.uri, m.route, m.strict = uriOf(m.route[0]), m.route[1:], true
	}
}

// forwardable leaves out overrides of what a proxy writes itself.
func forwardable(over []field) []field {
	return slices.DeleteFunc(over, func(f field) bool {
		switch strings.ToLower(f.name) {
		case "via", "route", "record-route", "max-forwards", "content-length":
			return true
		}
		return false
	})
}

// went reports whether a proxy has forwarded a request to b.
func (p *player) went(t *txn, b *host) bool {
	return slices.ContainsFunc(p.txns, func(c *txn) bool { return c.parent == t && c.b == b })
}

// recordRoute is the value that a proxy adds (RFC 3261 16.6 step 4).
func (h *host) recordRoute(tcp bool) string {
	v := "<sip:" + h.hostPort()
	if tcp {
		v += ";transport=tcp"
	}
	if !h.is(isStrict) {
		v += ";lr"
	}
	return v + ">"
}

// contact is where a user agent can be reached (RFC 3261 8.1.1.8).
func (h *host) contact(tcp bool) string {
	_, user, _ := strings.Cut(h.user, ":")
	uri := "sip:"
	if name, _, ok := strings.Cut(user, "@"); ok {
		uri += name + "@"
	}
	uri += h.hostPort()
	if tcp {
		uri += ";transport=tcp"
	}
	return "<" + uri + ">"
}

// cancel makes the CANCEL of the newest INVITE of the hop (RFC 3261 9.1).
func (p *player) cancel(s *step) (*message, error) {
	t := p.find(s, func(t *txn) bool { return t.a == s.a && t.b == s.b && t.req.method == "INVITE" })
	if t == nil {
		return nil, fmt.Errorf("%s sent no INVITE to %s", s.a.name, s.b.name)
	}
	return t.hopByHop("CANCEL"), nil
}

// hopByHop makes a CANCEL or an ACK of a failure: what they share (RFC 3261 9.1, 17.1.1.3).
func (t *txn) hopByHop(method string) *message {
	q := t.req
	return &message{
		method: method, uri: q.uri, vias: slices.Clone(q.vias[:min(1, len(q.vias))]), maxForwards: 70,
		route: slices.Clone(q.route), from: q.from, to: q.to, fromTag: q.fromTag, toTag: q.toTag,
		callID: q.callID, cseq: q.cseq,
	}
}

// failed finds the INVITE of the hop that failed and has no ACK yet.
func (p *player) failed(s *step) *txn {
	return p.find(s, func(t *txn) bool {
		f := t.final()
		return t.a == s.a && t.b == s.b && t.req.method == "INVITE" && !t.acked && f != nil && f.status >= 300
	})
}

func (p *player) ackFailure(t *txn) *message {
	t.acked = true
	m := t.hopByHop("ACK")
	m.toTag = t.final().toTag
	return m
}
