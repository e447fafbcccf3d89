package proxy

import (
	"slices"

	"sipscope/decode/sip"
)

// targets finds where the request may go (RFC 3261 16.5), of which e.plan was read: e.goals, the best first. The status
// is 0, or that of the answer when there is no target.
func (e *engine) targets(m *sip.Message) (status int) {
	pl := &e.plan
	e.goals = append(e.goals[:0], goal{})
	if pl.next != nil { // its Route says where it goes
		return e.leaves(m)
	}
	if pl.flow.Proto != 0 {
		e.goals[0].hop = pl.flow
		return 0
	}
	// A request within a dialog that was routed here goes to its remote target, which is no matter of tables.
	fixed := pl.drop > 0 && e.within(m)
	if !fixed && e.static(false) {
		return 0
	}
	if host, own := e.self.domain(&pl.u, &e.cfg); own && isSIP(pl.u.Scheme) {
		return e.users(host)
	}
	if fixed || e.static(true) {
		return 0
	}
	if e.cfg.Outbound != "" {
		e.goals = append(e.goals[:0], goal{via: []byte(e.cfg.Outbound)})
		return 0
	}
	if !isSIP(pl.u.Scheme) {
		return 404 // tel, and no gateway for it
	}
	return e.leaves(m)
}

// users finds the targets of a request for an own domain.
func (e *engine) users(host []byte) (status int) {
	known := e.locate(host)
	switch {
	case len(e.goals) > 0, e.static(true):
		return 0
	case known:
		return 480
	default:
		return 404
	}
}

// static looks into the static table: for the default route, or for one of the others.
func (e *engine) static(all bool) bool {
	for i := range e.cfg.Routes {
		route := &e.cfg.Routes[i]
		if route.all() != all || !route.fits(&e.plan.u) {
			continue
		}
		g := goal{via: e.vias[i]}
		if hop, ok := numericHop(&e.hosts[i]); ok {
			g.hop = hop
		}
		e.goals = append(e.goals[:0], g)
		return true
	}
	return false
}

// locate asks the location service.
func (e *engine) locate(host []byte) (known bool) {
	e.goals = e.goals[:0]
	if e.cfg.Locator == nil {
		return false
	}
	aor := append(e.text[:0], "sip:"...)
	if len(e.plan.u.User) > 0 {
		aor = append(append(aor, e.plan.u.User...), '@')
	}
	aor = append(aor, host...)
	e.text = aor
	found, known := e.cfg.Locator.Lookup(string(aor), e.link.Now())
	for i := range found {
		t := &found[i]
		if u, ok := sip.ParseURI([]byte(t.URI)); !ok || !isSIP(u.Scheme) || len(e.goals) == maxTargets {
			continue // RFC 3261 16.5: what cannot be reached is no target
		}
		e.goals = append(e.goals, goal{uri: []byte(t.URI), path: t.Path, hop: t.Hop, q: t.Q})
	}
	slices.SortStableFunc(e.goals, func(a, b goal) int { return b.q - a.q })
	return known
}
