package registrar

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"

	"sipscope/decode/sip"
	"sipscope/element/auth"
	"sipscope/element/compose"
	"sipscope/element/transport"
	"sipscope/element/txn"
)

// optionPath is the one extension that a Registrar has (RFC 3327).
const optionPath = "path"

// busySeconds is the Retry-After of a 503.
const busySeconds = "60"

// Config is how a Registrar behaves.
type Config struct {
	Store *Store
	// Domains are the hosts of the addresses-of-record that are served, such as "b.com" or "127.0.3.1". Empty: any.
	Domains []string
	// Auth asks for credentials; nil: nobody is asked.
	Auth *auth.Server
	// Allow reports whether an authenticated user may change and see the bindings of an address in its canonical form. nil:
	// when the user's name is its user part, or "user@host".
	Allow func(user, aor string) bool
	// Exists reports whether an address of the domains exists; nil: all do.
	Exists func(aor string) bool

	// Intervals in seconds: what a request gets that asks for none, the least, and the most. 0: 3,600, 60, 86,400. By RFC
	// 3261 10.3 an hour is never too brief, whatever MinExpires says.
	DefaultExpires, MinExpires, MaxExpires int64

	// StrictPath refuses a Path from a client that does not say that it supports it (RFC 3327 5.3), instead of keeping it.
	StrictPath bool
	// KeepReceived keeps with a binding where its REGISTER came from: Binding.Received. Without it only the bindings of
	// WebSocket clients have that.
	KeepReceived bool

	Methods []string     // of Allow; nil: REGISTER, OPTIONS. An element that is more than a registrar says so here.
	Server  string       // Server header; "" for none
	Rand    *rand.Rand   // of tags; needed
	Tell    func(Answer) // of each answer, for a live log; nil: nobody. Called in the loop.
}

// Registrar answers REGISTER by RFC 3261 10.3, and OPTIONS about itself. It is a txn.User.
type Registrar struct {
	server
	cfg     Config
	reg     Registration
	params  []byte
	pathBuf []byte
	aor     []byte
	found   []Binding
	text    []byte
}

var _ txn.User = (*Registrar)(nil)

// New makes a registrar. See Attach.
func New(cfg Config) *Registrar {
	set := func(v *int64, to int64) {
		if *v <= 0 {
			*v = to
		}
	}
	set(&cfg.DefaultExpires, 3600)
	set(&cfg.MinExpires, 60)
	set(&cfg.MaxExpires, 86_400)
	if cfg.Methods == nil {
		cfg.Methods = []string{"REGISTER", "OPTIONS"}
	}
	r := &Registrar{cfg: cfg}
	r.name, r.rng, r.tell, r.allows = cfg.Server, cfg.Rand, cfg.Tell, cfg.Methods
	return r
}

// Request answers a request.
func (r *Registrar) Request(id txn.ID, rc *transport.Received) {
	m := rc.Msg
	if id == 0 || m.MethodID == sip.MethodAck {
		return // the ACK of a 2xx that was not sent here
	}
	r.stats.Requests++
	if m.MethodID != sip.MethodRegister {
		f := r.other(m)
		r.answer(id, rc, f, 200, []compose.Header{
			r.allow(), {ID: sip.HeaderSupported, Value: optionPath}, {ID: sip.HeaderAccept, Value: "*/*"},
		})
		return
	}
	now := r.layer.Link().Now()
	var proof auth.Result
	f := r.register(rc, &proof, now)
	var headers []compose.Header
	if f == nil {
		headers = r.bindings(m, now)
		if r.cfg.Auth != nil {
			if info, ok := r.cfg.Auth.Info(now, &proof, nil); ok {
				headers = append(headers, info)
			}
		}
	}
	r.answer(id, rc, f, 200, headers)
}

// Response does nothing: a registrar sends no requests.
func (*Registrar) Response(txn.ID, uint64, *transport.Received) {}

// Cancel does nothing: each request is answered at once.
func (*Registrar) Cancel(txn.ID, uint64, *transport.Received) {}

// Failed does nothing: a client that misses its answer asks again.
func (*Registrar) Failed(txn.ID, uint64, error) {}

// Ended does nothing: there is no state of a transaction.
func (*Registrar) Ended(txn.ID, uint64) {}

// other says no to all methods but OPTIONS.
func (r *Registrar) other(m *sip.Message) *refusal {
	switch f := usable(m); {
	case f != nil:
		return f
	case m.MethodID != sip.MethodOptions:
		return r.method(m)
	}
	if f := uriScheme(m); f != nil {
		return f
	}
	return extensions(m, optionPath)
}

// uriScheme says no to a Request-URI of another scheme (RFC 3261 8.2.2.1).
func uriScheme(m *sip.Message) *refusal {
	u, ok := sip.ParseURI(m.URI.Of(m.Raw))
	switch {
	case len(u.Scheme) > 0 && !isSIP(u.Scheme):
		return refuse(BadScheme, 416)
	case !ok || !plainHost(u.Host):
		return refuse(Malformed, 400).because("Bad Request-URI")
	default:
		return nil
	}
}

// register does the steps of RFC 3261 10.3 up to the answer.
func (r *Registrar) register(rc *transport.Received, proof *auth.Result, now int64) *refusal {
	m := rc.Msg
	if f := usable(m); f != nil {
		return f
	}
	if f := uriScheme(m); f != nil {
		return f
	}
	if !r.Serves(rc) { // step 1
		return refuse(Unknown, 404).because("Domain Not Served Here")
	}
	if f := extensions(m, optionPath); f != nil { // step 2
		return f
	}
	if r.cfg.Auth != nil { // step 3
		*proof = r.cfg.Auth.Check(now, m, m.Body.Of(m.Raw))
		switch proof.Outcome {
		case auth.OK:
		case auth.Challenge:
			return refuse(Challenged, proof.Status, proof.Headers...)
		default:
			return refuse(Forbidden, proof.Status, proof.Headers...)
		}
	}
	if f := r.address(m, proof); f != nil { // steps 4 and 5
		return f
	}
	if f := r.contacts(m, now); f != nil { // steps 6 and 7
		return f
	}
	r.reg.Received = r.way(&rc.Hop)
	if len(r.reg.Contacts) == 0 && !r.reg.RemoveAll {
		r.stats.Queries++
		return nil
	}
	return r.refusal(r.cfg.Store.Register(r.aor, &r.reg, now))
}

// way is what a binding keeps of where its REGISTER came from: a WebSocket client can be reached in no other way (RFC 7118
// 5).
func (r *Registrar) way(from *transport.Hop) transport.Hop {
	if p := from.Proto; r.cfg.KeepReceived || p == transport.WS || p == transport.WSS {
		return *from
	}
	return transport.Hop{}
}

// refusal is what the Store's no is for the client.
func (r *Registrar) refusal(err error) *refusal {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrOrder):
		return refuse(OutOfOrder, 500).because("CSeq Out Of Order")
	case errors.Is(err, ErrContacts):
		return refuse(ManyContacts, 403).because("Too Many Contacts")
	case errors.Is(err, ErrFull):
		return refuse(Full, 503, compose.Header{ID: sip.HeaderRetryAfter, Value: busySeconds})
	case errors.Is(err, ErrTooLong):
		return refuse(TooLong, 513)
	default:
		return refuse(Unknown, 404)
	}
}

// Serves reports whether a request is for the domains that are served here, by its Request-URI (RFC 3261 10.3 step 1): one
// of Config.Domains, or the address that it was sent to. A proxy that is the same program forwards the others.
func (r *Registrar) Serves(rc *transport.Received) bool {
	if len(r.cfg.Domains) == 0 {
		return true
	}
	u, ok := sip.ParseURI(rc.Msg.URI.Of(rc.Msg.Raw))
	if !ok {
		return false
	}
	if r.domain(u.Host) {
		return true
	}
	a, err := netip.ParseAddr(strings.Trim(string(u.Host), "[]"))
	return err == nil && a.Unmap() == rc.Hop.Local.Addr().Unmap()
}

// domain reports whether host is served.
func (r *Registrar) domain(host []byte) bool {
	for _, d := range r.cfg.Domains {
		if equalHost([]byte(d), host) {
			return true
		}
	}
	return len(r.cfg.Domains) == 0
}

// address reads the address-of-record, and says no when it is not served here or is not the user's.
func (r *Registrar) address(m *sip.Message, proof *auth.Result) *refusal {
	var ok bool
	if r.aor, ok = AppendAOR(r.aor[:0], m.To.URI.Of(m.Raw)); !ok {
		return refuse(Unknown, 404)
	}
	aor := string(r.aor)
	if r.cfg.Auth != nil && !r.allowed(proof.User, aor) {
		return refuse(Forbidden, 403)
	}
	if !r.domain(aorHost(r.aor)) || r.cfg.Exists != nil && !r.cfg.Exists(aor) {
		return refuse(Unknown, 404)
	}
	return nil
}

func (r *Registrar) allowed(user, aor string) bool {
	if r.cfg.Allow != nil {
		return r.cfg.Allow(user, aor)
	}
	own := aorUser(r.aor)
	if string(own) == user || string(sip.Unescape(own)) == user {
		return true
	}
	name, host, ok := strings.Cut(user, "@")
	return ok && string(own) == name && bytes.EqualFold([]byte(host), aorHost(r.aor))
}

// bindings are the headers of a 200: all bindings of the address as they are now (RFC 3261 10.3 step 8).
func (r *Registrar) bindings(m *sip.Message, now int64) []compose.Header {
	clear(r.found)
	r.found = r.cfg.Store.AppendLookup(r.found[:0], r.aor, now)
	headers := make([]compose.Header, 0, len(r.found)+4)
	for i := range r.found {
		b := &r.found[i]
		r.text = appendContact(r.text[:0], b, min(max(1, (b.Ends-now)/second), 1<<32-1))
		headers = append(headers, compose.Header{ID: sip.HeaderContact, Value: string(r.text)})
	}
	if m.HasOption(sip.HeaderSupported, optionPath) {
		for v := range m.List(sip.HeaderPath) {
			headers = append(headers, compose.Header{ID: sip.HeaderPath, Value: clean(v)})
		}
	}
	return append(headers, date(now))
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
