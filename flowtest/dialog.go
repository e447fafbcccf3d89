package flowtest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// dialog is one end's view of a dialog (RFC 3261 12).
type dialog struct {
	at        ends
	peer      *host // the user agent at the other end
	localTag  string
	remoteTag string
	local     string // name-addr without tag
	remote    string
	target    string   // remote target, a URI
	route     []string // route set in the order of use
	invite    uint32   // CSeq of the INVITE that was answered last
	rack      string   // RSeq and CSeq of the newest reliable provisional
	confirmed bool
}

// dialogOf finds a dialog by its tags.
func (p *player) dialogOf(at ends, local, remote string) *dialog {
	for _, d := range p.dialogs {
		if d.at == at && d.localTag == local && d.remoteTag == remote {
			return d
		}
	}
	return nil
}

// uasDialog keeps the dialog that a response makes for its sender (RFC 3261 12.1.1).
func (p *player) uasDialog(h *host, t *txn, m *message) {
	if !makesDialog(m.method, m.status) || h.is(isProxy) {
		return
	}
	q := t.got
	d := p.dialogOf(ends{t.call, h}, m.toTag, q.fromTag)
	if d == nil {
		d = &dialog{
			at: ends{t.call, h}, peer: p.origin(t), localTag: m.toTag, remoteTag: q.fromTag, local: q.to, remote: q.from,
			target: uriOf(q.contact), route: slices.Clone(q.recordRoute),
		}
		p.dialogs = append(p.dialogs, d)
	}
	d.confirmed = d.confirmed || m.status >= 200
}

// origin gives the element that made a request.
func (p *player) origin(t *txn) *host {
	for t.parent != nil {
		t = t.parent
	}
	return t.a
}

// source gives the element that made the response m to t.
func (p *player) source(t *txn, m *message) *host {
	for {
		i := slices.IndexFunc(p.txns, func(c *txn) bool {
			return c.parent == t && slices.ContainsFunc(c.responses, func(r *response) bool {
				return r.m.status == m.status && r.m.toTag == m.toTag
			})
		})
		if i < 0 {
			return t.b
		}
		t = p.txns[i]
	}
}

// uacDialog keeps the dialog that a response makes for who gets it (RFC 3261 12.1.2, 13.2.2.4).
func (p *player) uacDialog(h *host, t *txn, m *message) {
	inside := m.method == "UPDATE" && m.status < 300
	if !makesDialog(m.method, m.status) && !inside || m.toTag == "" || h.is(isProxy) {
		return
	}
	d := p.dialogOf(ends{t.call, h}, m.fromTag, m.toTag)
	if d == nil {
		if inside {
			return
		}
		d = &dialog{
			at: ends{t.call, h}, peer: p.source(t, m), localTag: m.fromTag, remoteTag: m.toTag, local: m.from, remote: m.to,
		}
		p.dialogs = append(p.dialogs, d)
	}
	if !d.confirmed && !inside {
		d.route = slices.Clone(m.recordRoute)
		slices.Reverse(d.route)
	}
	if m.contact != "" {
		d.target = uriOf(m.contact)
	}
	if m.method == "INVITE" {
		d.invite = m.cseq
		if rseq := m.field("RSeq"); rseq != "" {
			d.rack = fmt.Sprintf("%s %d INVITE", rseq, m.cseq)
		}
	}
	d.confirmed = d.confirmed || m.status >= 200
}

// choose finds the dialog that a request of s.a belongs to: with= names its other end; else it is that with the
// receiver, else the newest. An INVITE and a SUBSCRIBE need a confirmed one.
func (p *player) choose(s *step) *dialog {
	name, named := s.opt("with")
	best, rank := (*dialog)(nil), 0
	for _, d := range p.dialogs {
		if d.at != (ends{s.call, s.a}) || named && d.peer.name != name {
			continue
		}
		if !d.confirmed && (s.verb == "INVITE" || s.verb == "SUBSCRIBE") {
			continue
		}
		r := 1
		if d.confirmed {
			r += 2
		}
		if d.peer == s.b {
			r += 4
		}
		if r >= rank {
			best, rank = d, r
		}
	}
	return best
}

// originate makes a request of a user agent, inside a dialog where there is one (RFC 3261 12.2.1.1, 8.1.1).
func (p *player) originate(s *step) (*message, error) {
	m := &message{method: s.verb, maxForwards: 70, callID: s.call.id}
	var d *dialog
	if !s.has("initial") && s.verb != "REGISTER" && s.verb != "PUBLISH" {
		if d = p.choose(s); d == nil && s.verb == "NOTIFY" {
			d = p.notifier(s)
		}
	}
	switch {
	case d != nil:
		m.within(d)
	case s.verb == "ACK" || s.verb == "BYE" || s.verb == "PRACK":
		return nil, errors.New(s.a.name + " has no dialog for this (initial sends it all the same)")
	default:
		p.outside(s, m)
	}
	m.cseq = p.number(s, d)
	m.vias = []string{p.via(s)}
	if s.verb == "PRACK" && d != nil {
		m.add("RAck", d.rack)
	}
	p.specific(s, m)
	if s.a.agent != "" {
		m.add("User-Agent", s.a.agent)
	}
	return m, p.setBody(s, m)
}

// number gives the CSeq of a request: the INVITE's for an ACK, else one more than the element's last in the call.
func (p *player) number(s *step, d *dialog) uint32 {
	if s.verb == "ACK" && d != nil {
		return d.invite
	}
	at := ends{s.call, s.a}
	p.cseq[at]++
	return p.cseq[at]
}

// within fills a request from its dialog; a strict router at the head of the route set takes the Request-URI.
func (m *message) within(d *dialog) {
	m.from, m.fromTag, m.to, m.toTag = d.local, d.localTag, d.remote, d.remoteTag
	m.uri, m.route = d.target, slices.Clone(d.route)
	if len(m.route) > 0 && !isLoose(m.route[0]) {
		m.uri = uriOf(m.route[0])
		m.route = append(m.route[1:], "<"+d.target+">")
		m.strict = true
	}
}

// outside fills a request that belongs to no dialog.
func (p *player) outside(s *step, m *message) {
	to := s.call.to
	if s.a == to {
		to = s.call.from
	}
	m.uri = to.user
	if s.verb == "REGISTER" {
		to = s.a
		m.uri = "sip:" + s.a.domain
	}
	m.from, m.to = nameAddr(s.a.disp, s.a.user), nameAddr(to.disp, to.user)
	m.fromTag = p.tag(s)
	if uri := s.uriWord(); uri != "" && s.verb != "REGISTER" && to == s.call.to && p.cseq[ends{s.call, s.a}] == 0 {
		m.to = nameAddr(to.disp, uri) // who is called, before anybody changes where it goes (8.1.1.2)
	}
}

// notifier makes the dialog of a NOTIFY that comes before the 2xx of its SUBSCRIBE (RFC 6665 4.4.1).
func (p *player) notifier(s *step) *dialog {
	t := p.find(s, func(t *txn) bool { return t.b == s.a && (t.req.method == "SUBSCRIBE" || t.req.method == "REFER") })
	if t == nil {
		return nil
	}
	q := t.got
	d := &dialog{
		at: ends{s.call, s.a}, peer: p.origin(t), localTag: p.tag(s),
		remoteTag: q.fromTag, local: q.to, remote: q.from, target: uriOf(q.contact), route: slices.Clone(q.recordRoute),
		confirmed: true,
	}
	p.dialogs = append(p.dialogs, d)
	return d
}

// specific adds what some methods carry.
func (p *player) specific(s *step, m *message) {
	expires := s.text("expires", "")
	switch s.verb {
	case "INVITE", "UPDATE", "REFER":
		m.contact = s.a.contact(s.tcp())
	case "SUBSCRIBE", "NOTIFY":
		m.contact = s.a.contact(s.tcp())
		m.add("Event", s.text("event", "presence"))
	case "REGISTER":
		if c, ok := s.opt("contact"); !ok {
			m.contact = s.a.contact(s.tcp()) + ";expires=" + s.text("expires", "3600")
			return
		} else if c != "*" && expires == "" {
			return
		}
	case "PUBLISH":
		m.add("Event", s.text("event", "presence"))
	}
	if s.verb == "NOTIFY" {
		m.add("Subscription-State", s.text("state", "active"))
	}
	if expires != "" {
		m.add("Expires", expires)
	}
}

// binding is a Contact of a REGISTER's 2xx: with the expiry that was granted, empty for none (RFC 3261 10.3 step 8).
func binding(contact, granted string) string {
	addr, params, _ := strings.Cut(contact, ">")
	if granted == "" {
		for p := range strings.SplitSeq(params, ";") {
			if v, ok := strings.CutPrefix(p, "expires="); ok {
				granted = v
			}
		}
	}
	if granted == "0" {
		return ""
	}
	return addr + ">;expires=" + granted
}
