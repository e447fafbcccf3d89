package proxy

import (
	"bytes"
	"net/netip"
	"strconv"

	"sipscope/decode/sip"
	"sipscope/element/transport"
)

// plan is what the own addresses make of a request before it has a target: RFC 3261 16.4. Its slices point into the
// message, but for uri when moved.
type plan struct {
	uri   []byte  // Request-URI to work with
	u     sip.URI // uri in its parts
	moved bool    // uri is not the message's

	drop   int  // own values at the top of Route, which go
	last   bool // the last value of Route became the Request-URI, and goes
	next   []byte
	strict bool // next, the first Route value that stays, has no lr: an RFC 2543 neighbour; nil: there is none

	sealed  bool          // an own Route value shows that the request is within a dialog; see guard.go
	flow    transport.Hop // the connection that an own Route value names, Proto 0: none; see flow.go
	out     transport.Hop // Proto and Local that the second of two own Route values asks for (16.6: one for each side)
	loop    uint64        // of the branch, see loopHash
	breadth int           // Max-Breadth as received, or the default (RFC 5393 5.3.3)
	bounded bool          // the request has a Max-Breadth
	forward int           // Max-Forwards to send

	text []byte // memory of a moved uri
}

// read does the steps of RFC 3261 16.4 in order: a strict router before us, maddr, the own Route values.
func (pl *plan) read(e *engine, r *transport.Received) {
	m, text := r.Msg, pl.text[:0]
	*pl = plan{uri: m.URI.Of(m.Raw), breadth: e.cfg.MaxBreadth, forward: maxForwards, text: text}
	if m.MaxForwards > 0 {
		pl.forward = int(m.MaxForwards) - 1
	}
	if v, ok := m.Value(sip.HeaderMaxBreadth); ok {
		if n, err := strconv.ParseUint(string(v), 10, 31); err == nil {
			pl.breadth, pl.bounded = int(n), true
		}
	}
	pl.u, _ = sip.ParseURI(pl.uri)
	if m.HasRoute {
		pl.routes(e, m)
		if pl.next != nil || pl.flow.Conn == r.Hop.Conn { // a client's own flow: its request goes the other way
			pl.flow = transport.Hop{}
		}
	}
	if maddr, ok := sip.Param(pl.u.Params, "maddr"); ok && len(maddr) > 0 {
		pl.maddr(e, maddr)
	}
	if !e.cfg.NoLoopCheck {
		pl.loop = loopHash(e.key, m)
	}
}

// routes reads the Route values.
func (pl *plan) routes(e *engine, m *sip.Message) {
	// A strict router has replaced the Request-URI by the URI that this proxy put into Record-Route, which has no user,
	// and saved it as the last Route value (16.4, 16.12.1.2).
	pl.last = pl.recorded(e, m)
	n := 0
	var final []byte
	for a := range m.Addresses(sip.HeaderRoute) {
		uri := a.URI.Of(m.Raw)
		pl.route(e, m, n, uri)
		final = uri
		n++
	}
	if n == 0 {
		pl.last = false
	}
	if !pl.last {
		return
	}
	if pl.drop == n || pl.next != nil && n == pl.drop+1 {
		// the value that goes to the Request-URI was the only one left
		pl.drop, pl.next, pl.strict = n-1, nil, false
	}
	pl.uri, pl.moved = final, true
	pl.u, _ = sip.ParseURI(final)
}

// recorded reports whether the Request-URI is one that this proxy puts into Record-Route.
func (pl *plan) recorded(e *engine, m *sip.Message) bool {
	if !isSIP(pl.u.Scheme) || !e.self.is(&pl.u) {
		return false
	}
	pl.sealed = pl.sealed || e.sealed(pl.u.Params, m)
	if len(pl.u.User) == 0 {
		return true
	}
	flow, ok := e.flow(pl.u.User)
	if ok {
		pl.flow = flow
	}
	return ok
}

// route reads one Route value, the nth: own ones at the top go, two when the dialog changes sides here.
func (pl *plan) route(e *engine, m *sip.Message, n int, uri []byte) {
	if pl.drop < n || pl.next != nil {
		return
	}
	u, _ := sip.ParseURI(uri)
	if n < 2 && isSIP(u.Scheme) && e.self.is(&u) {
		pl.drop++
		pl.sealed = pl.sealed || e.sealed(u.Params, m)
		if flow, ok := e.flow(u.User); ok {
			pl.flow = flow
		}
		if n == 0 {
			return
		}
		if hop, ok := numericHop(&u); ok {
			pl.out = transport.Hop{Proto: hop.Proto, Local: hop.Remote}
		}
		return
	}
	_, lr := sip.Param(u.Params, "lr")
	pl.next, pl.strict = uri, !lr
}

// maddr takes an own maddr out of the Request-URI, with the port and the transport that belong to it (RFC 3261 16.4).
func (pl *plan) maddr(e *engine, maddr []byte) {
	own := pl.u
	own.Host = maddr
	if !isSIP(own.Scheme) || !e.self.is(&own) {
		return
	}
	text := append(pl.text[:0], pl.u.Scheme...)
	text = append(text, ':')
	if len(pl.u.User) > 0 {
		text = append(text, pl.u.User...)
		if len(pl.u.Password) > 0 {
			text = append(append(text, ':'), pl.u.Password...)
		}
		text = append(text, '@')
	}
	text = append(text, pl.u.Host...)
	for name, value := range sip.Params(pl.u.Params) {
		if equalFold(name, "maddr") || equalFold(name, "transport") || len(name) == 0 {
			continue
		}
		text = append(append(text, ';'), name...)
		if len(value) > 0 {
			text = append(append(text, '='), value...)
		}
	}
	if len(pl.u.Headers) > 0 {
		text = append(append(text, '?'), pl.u.Headers...)
	}
	pl.text, pl.uri, pl.moved = text, text, true
	pl.u, _ = sip.ParseURI(text)
}

// looped reports whether the request was here before with the same Request-URI and the same Route (RFC 3261 16.3 step 4,
// RFC 5393 4.2): one of its branches ends with the hash that ours would have.
func (pl *plan) looped(e *engine, m *sip.Message) bool {
	if e.cfg.NoLoopCheck || m.Vias < 2 {
		return false
	}
	var b [wordSize]byte
	word := appendWord(b[:0], pl.loop)
	for i := range m.Headers {
		if h := &m.Headers[i]; h.ID == sip.HeaderVia && bytes.Contains(h.Value.Of(m.Raw), word) {
			return true
		}
	}
	return false
}

// nextAddr is the own end of an address that a Route value names, for a link that has several.
func nextAddr(out *transport.Hop, hop *transport.Hop) netip.AddrPort {
	if out.Proto == hop.Proto && out.Local.Addr().Is4() == hop.Remote.Addr().Is4() {
		return out.Local
	}
	return hop.Local
}
