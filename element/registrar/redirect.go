package registrar

import (
	"math/rand/v2"

	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/transport"
	"sipscope/element/txn"
)

// RedirectConfig is how a Redirect behaves.
type RedirectConfig struct {
	Store *Store
	// Exists reports whether an address in its canonical form exists though it has no binding: the answer then is 480, not
	// 404. nil: Store.Known alone decides.
	Exists func(aor string) bool
	// MultipleChoices answers 300 when there is more than one contact, instead of 302 (RFC 3261 21.3.1).
	MultipleChoices bool
	// Expires says how long a contact may be used, as its parameter (RFC 3261 21.3.3).
	Expires bool

	Methods []string     // of Allow; nil: all that RFC 3261 and its extensions name but REGISTER
	Server  string       // Server header; "" for none
	Rand    *rand.Rand   // of tags; needed
	Tell    func(Answer) // of each answer, for a live log; nil: nobody. Called in the loop.
}

// Redirect answers each request with the contacts of the address that it is for (RFC 3261 8.3). It is a txn.User.
type Redirect struct {
	server
	cfg   RedirectConfig
	found []Binding
	text  []byte
}

var _ txn.User = (*Redirect)(nil)

// NewRedirect makes a redirect server. See Attach.
func NewRedirect(cfg RedirectConfig) *Redirect {
	if cfg.Methods == nil {
		cfg.Methods = []string{
			"INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "PRACK", "SUBSCRIBE", "NOTIFY", "PUBLISH", "INFO", "REFER", "MESSAGE",
			"UPDATE",
		}
	}
	r := &Redirect{cfg: cfg}
	r.name, r.rng, r.tell, r.allows = cfg.Server, cfg.Rand, cfg.Tell, cfg.Methods
	return r
}

// Request answers a request.
func (r *Redirect) Request(id txn.ID, rc *transport.Received) {
	m := rc.Msg
	if id == 0 || m.MethodID == sip.MethodAck {
		return // the ACK of a 2xx that was not sent here
	}
	r.stats.Requests++
	f := r.check(m)
	if f == nil && m.MethodID == sip.MethodOptions && r.own(m) {
		r.answer(id, rc, nil, 200, []compose.Header{r.allow(), {ID: sip.HeaderAccept, Value: "*/*"}})
		return
	}
	var headers []compose.Header
	if f == nil {
		headers, f = r.contacts(m, r.layer.Link().Now())
	}
	status := 302
	if len(headers) > 1 && r.cfg.MultipleChoices {
		status = 300
	}
	r.answer(id, rc, f, status, headers)
}

// Response does nothing: a redirect server sends no requests.
func (*Redirect) Response(txn.ID, uint64, *transport.Received) {}

// Cancel does nothing: each request is answered at once.
func (*Redirect) Cancel(txn.ID, uint64, *transport.Received) {}

// Failed does nothing: a client that misses its answer asks again.
func (*Redirect) Failed(txn.ID, uint64, error) {}

// Ended does nothing: there is no state of a transaction.
func (*Redirect) Ended(txn.ID, uint64) {}

// check says no to what cannot be redirected. Which methods the contact knows is the contact's to say.
func (r *Redirect) check(m *sip.Message) *refusal {
	if f := usable(m); f != nil {
		return f
	}
	if m.MethodID == sip.MethodRegister {
		return r.method(m)
	}
	if f := uriScheme(m); f != nil {
		return f
	}
	return extensions(m)
}

// own reports whether a request is for this server, not for a user.
func (r *Redirect) own(m *sip.Message) bool {
	u, _ := sip.ParseURI(m.URI.Of(m.Raw))
	return len(u.User) == 0
}

// contacts are the headers of a 3xx: the contacts that the Request-URI stands for, the best first, but none that is equal to
// it: the client would come back (RFC 3261 8.3). A sips URI gives sips contacts alone (RFC 5630 4).
func (r *Redirect) contacts(m *sip.Message, now int64) ([]compose.Header, *refusal) {
	uri := m.URI.Of(m.Raw)
	u, _ := sip.ParseURI(uri)
	clear(r.found)
	r.found = r.cfg.Store.AppendLookup(r.found[:0], uri, now)
	if len(r.found) == 0 {
		return nil, r.nowhere(uri)
	}
	headers := make([]compose.Header, 0, len(r.found)+1)
	insecure := false
	for i := range r.found {
		b := &r.found[i]
		target := []byte(b.URI)
		if EqualURI(target, uri) {
			continue
		}
		if t, _ := sip.ParseURI(target); isSIPS(u.Scheme) && !isSIPS(t.Scheme) {
			insecure = true
			continue
		}
		expires := int64(-1)
		if r.cfg.Expires && b.Ends != Forever {
			expires = max(1, (b.Ends-now)/second)
		}
		r.text = appendContact(r.text[:0], b, expires)
		headers = append(headers, compose.Header{ID: sip.HeaderContact, Value: string(r.text)})
	}
	switch {
	case len(headers) > 0:
		return headers, nil
	case insecure:
		return nil, refuse(Unavailable, 480)
	default:
		return nil, refuse(Unknown, 404)
	}
}

// nowhere is the answer for an address without a contact.
func (r *Redirect) nowhere(uri []byte) *refusal {
	aor, ok := AppendAOR(nil, uri)
	if ok && (r.cfg.Store.Known(string(aor)) || r.cfg.Exists != nil && r.cfg.Exists(string(aor))) {
		return refuse(Unavailable, 480)
	}
	return refuse(Unknown, 404)
}
