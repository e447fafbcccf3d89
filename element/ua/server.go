package ua

import (
	"strconv"
	"strings"

	"sipscope/decode/sip"
	"sipscope/element/auth"
	"sipscope/element/compose"
	"sipscope/element/txn"
)

// Request is a transaction user's: see txn.User.
func (a *Agent) Request(id txn.ID, r *received) {
	m := r.Msg
	if m.MethodID == sip.MethodAck || id == 0 {
		if l := a.find(m); l != nil && string(m.Method.Of(m.Raw)) == "ACK" {
			l.acknowledged(m)
		}
		return
	}
	if rep := a.inspect(m); rep.Status != 0 {
		a.stats.Refused++
		a.reply(id, r, &rep)
		return
	}
	if m.To.Tag.Empty() {
		a.outsideRequest(id, r)
		return
	}
	a.insideRequest(id, r)
}

// inspect checks a request in the order of RFC 3261 8.2; Status 0 says that it may be processed.
func (a *Agent) inspect(m *sip.Message) (rep compose.Reply) {
	inside := !m.To.Tag.Empty()
	if !inside && a.cfg.Auth != nil { // 22.1: before anything else
		if res := a.cfg.Auth.Check(a.now, m, m.Body.Of(m.Raw)); res.Outcome != auth.OK {
			return compose.Reply{Status: res.Status, Headers: res.Headers}
		}
	}
	if !a.serves(m.MethodID) { // 8.2.1; 21.5.2 for a method that nobody knows
		status := 405
		if m.MethodID == sip.MethodUnknown {
			status = 501
		}
		return compose.Reply{Status: status, Headers: []compose.Header{{ID: sip.HeaderAllow, Value: a.allow}}}
	}
	uri, ok := sip.ParseURI(m.URI.Of(m.Raw)) // 8.2.2.1
	switch {
	case !asciiFold(uri.Scheme, "sip") && !asciiFold(uri.Scheme, "sips"):
		return compose.Reply{Status: 416}
	case !ok:
		return compose.Reply{Status: 400, Reason: "Request-URI cannot be read"}
	case !inside && a.cfg.Users != nil && !a.cfg.Users(string(sip.Unescape(uri.User))):
		return compose.Reply{Status: 404}
	}
	if unknown := a.unsupported(m); unknown != "" { // 8.2.2.3
		return compose.Reply{Status: 420, Headers: []compose.Header{{ID: sip.HeaderUnsupported, Value: unknown}}}
	}
	return a.inspectBody(m)
}

// serves reports whether the agent processes a method.
func (a *Agent) serves(id sip.MethodID) bool {
	switch id {
	case sip.MethodInvite, sip.MethodBye, sip.MethodOptions, sip.MethodInfo, sip.MethodMessage, sip.MethodUpdate,
		sip.MethodNotify, sip.MethodRefer:
		return true
	case sip.MethodPrack:
		return a.cfg.Reliable != Off
	case sip.MethodSubscribe:
		return true // 489 tells the packages, also when there are none
	default:
		return false
	}
}

// unsupported lists the option tags of Require that the agent does not have.
func (a *Agent) unsupported(m *sip.Message) string {
	var unknown []string
	for tag := range m.List(sip.HeaderRequire) {
		t := strings.ToLower(string(tag))
		switch {
		case t == "replaces" || t == "timer":
		case t == "100rel" && a.cfg.Reliable != Off:
		case len(unknown) < 16:
			unknown = append(unknown, string(tag))
		}
	}
	return strings.Join(unknown, ", ")
}

// inspectBody checks what a request carries (RFC 3261 8.2.3).
func (a *Agent) inspectBody(m *sip.Message) (rep compose.Reply) {
	if m.Body.Empty() {
		return rep
	}
	if int64(m.Body.Len) > int64(a.cfg.MaxBody) {
		return compose.Reply{Status: 413}
	}
	if v, ok := m.Value(sip.HeaderContentDisposition); ok && strings.Contains(strings.ToLower(string(v)), "handling=optional") {
		return rep
	}
	if v, ok := m.Value(sip.HeaderContentEncoding); ok && !asciiFold(v, "identity") {
		return compose.Reply{Status: 415, Headers: []compose.Header{{ID: sip.HeaderAcceptEncoding, Value: "identity"}}}
	}
	switch m.MethodID {
	case sip.MethodInvite, sip.MethodUpdate, sip.MethodPrack:
		kind := m.ContentType.Of(m.Raw)
		if !asciiFold(kind, typeSDP) && (len(kind) <= 10 || !asciiFold(kind[:10], "multipart/")) {
			return compose.Reply{Status: 415, Headers: []compose.Header{{ID: sip.HeaderAccept, Value: typeSDP}}}
		}
	default:
	}
	return rep
}

// reply answers a request.
func (a *Agent) reply(id txn.ID, r *received, rep *compose.Reply) {
	if rep.ToTag == "" && rep.Status > 100 && r.Msg.To.Tag.Empty() {
		rep.ToTag = compose.Tag(a.rng)
	}
	a.send(id, r.Msg, r, rep)
}

// send writes a response and gives it to the transaction. The text stays in a.out until the next one.
func (a *Agent) send(id txn.ID, m *sip.Message, r *received, rep *compose.Reply) {
	if a.cfg.Server != "" {
		rep.Headers = append(rep.Headers, compose.Header{ID: sip.HeaderServer, Value: a.cfg.Server})
	}
	out, err := compose.Response(a.out[:0], m, r.Hop.Remote, rep)
	if err != nil {
		return // the layer let a request through that has no Via: nobody can be answered
	}
	a.out = out
	_ = a.layer.Respond(id, out) // ErrGone: it was answered too late (RFC 4320)
}

// answer is a reply that has a status only.
func (a *Agent) answer(id txn.ID, r *received, status int) {
	a.reply(id, r, &compose.Reply{Status: status})
}

// retryLater is a refusal for a while.
func (a *Agent) retryLater(id txn.ID, r *received, status, seconds int) {
	a.reply(id, r, &compose.Reply{
		Status: status, Headers: []compose.Header{{ID: sip.HeaderRetryAfter, Value: strconv.Itoa(seconds)}},
	})
}

// outsideRequest is a request that belongs to no dialog.
func (a *Agent) outsideRequest(id txn.ID, r *received) {
	switch r.Msg.MethodID {
	case sip.MethodInvite:
		a.incoming(id, r)
	case sip.MethodOptions:
		a.capabilities(id, r)
	case sip.MethodMessage:
		a.message(id, r, nil)
	case sip.MethodSubscribe:
		a.subscribed(id, r, nil)
	case sip.MethodRefer:
		a.referred(id, r, nil)
	case sip.MethodNotify, sip.MethodBye, sip.MethodInfo, sip.MethodUpdate, sip.MethodPrack:
		a.answer(id, r, 481)
	default:
		a.answer(id, r, 405)
	}
}

// insideRequest is a request with a To tag: of a dialog, or of one that is not known (any more).
func (a *Agent) insideRequest(id txn.ID, r *received) {
	m := r.Msg
	l, fresh := a.find(m), false
	if l == nil && m.MethodID == sip.MethodNotify {
		l, fresh = a.firstNotify(r), true // a NOTIFY may come before the 200, and makes the dialog (RFC 6665 4.4.1)
	}
	if l == nil {
		a.answer(id, r, 481)
		return
	}
	if !fresh { // the dialog of a fresh one has its CSeq already
		if status := l.dlg.Check(m); status != 0 {
			a.answer(id, r, status)
			return
		}
	}
	l.hop = r.Hop
	l.process(id, r)
}

// process is a request of the dialog that is in order.
func (l *leg) process(id txn.ID, r *received) {
	a := l.a
	switch r.Msg.MethodID {
	case sip.MethodInvite:
		l.reinvited(id, r)
	case sip.MethodUpdate:
		l.updated(id, r)
	case sip.MethodBye:
		l.hungUp(id, r)
	case sip.MethodPrack:
		l.pracked(id, r)
	case sip.MethodInfo:
		l.info(id, r)
	case sip.MethodMessage:
		a.message(id, r, l)
	case sip.MethodOptions:
		a.capabilities(id, r)
	case sip.MethodNotify:
		l.notified(id, r)
	case sip.MethodSubscribe:
		a.subscribed(id, r, l)
	case sip.MethodRefer:
		a.referred(id, r, l)
	default:
		a.answer(id, r, 405)
	}
}

// capabilities answers OPTIONS (RFC 3261 11.2).
func (a *Agent) capabilities(id txn.ID, r *received) {
	rep := compose.Reply{Status: 200, Headers: []compose.Header{
		{ID: sip.HeaderAllow, Value: a.allow},
		{ID: sip.HeaderAccept, Value: a.accepts},
		{ID: sip.HeaderAcceptEncoding, Value: "identity"},
		{ID: sip.HeaderAcceptLanguage, Value: "en"},
		{ID: sip.HeaderSupported, Value: a.supported},
	}}
	if v := a.packages(); v != "" {
		rep.Headers = append(rep.Headers, compose.Header{ID: sip.HeaderAllowEvents, Value: v})
	}
	a.reply(id, r, &rep)
}

// message answers MESSAGE (RFC 3428 7): no Contact, no body.
func (a *Agent) message(id txn.ID, r *received, l *leg) {
	m := r.Msg
	a.answer(id, r, 200)
	e := Event{
		Kind: EventMessage, Remote: true, Msg: m, Type: string(m.ContentType.Of(m.Raw)), Body: m.Body.Of(m.Raw),
		Text: string(m.From.URI.Of(m.Raw)),
	}
	if l != nil {
		e.Call = l.call
	}
	a.emit(&e)
}

// info is an INFO (RFC 6086 4.2.2), which only a call can have.
func (l *leg) info(id txn.ID, r *received) {
	m := r.Msg
	if l.call == nil {
		l.a.answer(id, r, 481)
		return
	}
	if v, ok := m.Value(sip.HeaderInfoPackage); ok && len(v) > 0 {
		l.a.reply(id, r, &compose.Reply{Status: 469, Headers: []compose.Header{{ID: sip.HeaderRecvInfo, Value: ""}}})
		return
	}
	l.a.answer(id, r, 200)
	c := l.call
	kind, body := string(m.ContentType.Of(m.Raw)), m.Body.Of(m.Raw)
	l.a.emit(&Event{Kind: EventInfo, Call: c, Remote: true, Type: kind, Body: body, Msg: m})
	if digit := dtmfOf(kind, body); digit != nil {
		l.a.emit(&Event{Kind: EventDTMF, Call: c, Remote: true, Body: digit, Msg: m})
	}
}

// dtmfOf is the digit of an INFO of the two usual types; nil for none.
func dtmfOf(kind string, body []byte) []byte {
	text := strings.TrimSpace(string(body))
	switch strings.ToLower(kind) {
	case "application/dtmf":
	case "application/dtmf-relay":
		_, after, ok := strings.Cut(text, "=")
		if !ok || !strings.EqualFold(strings.TrimSpace(text[:len(text)-len(after)-1]), "signal") {
			return nil
		}
		text, _, _ = strings.Cut(strings.TrimSpace(after), "\n")
		text = strings.TrimSpace(text)
	default:
		return nil
	}
	if len(text) != 1 || !strings.Contains("0123456789*#ABCDabcd", text) {
		return nil
	}
	return []byte(text)
}
