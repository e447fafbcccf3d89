package plan

import (
	"bytes"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"sipscope/decode/sip"
	"sipscope/element/compose"
)

// registration is a REGISTER that is made since the live one would not know where to find somebody whom we play.
type registration struct {
	call    int    // index into Plan.Calls
	aor     string // address of record: URI
	contact string // URI
	host    int
}

// madeExpires is how long a made binding lasts, in seconds: longer than most flows, and soon gone.
const madeExpires = "600"

// maxMade bounds the REGISTERs that are made.
const maxMade = 64

// made adds a REGISTER and its 200 for each participant whom the live one reached by a Contact that no REGISTER of the
// calls has told it: the request that it got named somebody else than the address that it sent it on to (RFC 3261 16.5).
func (k *maker) made() {
	if k.live < 0 || k.o.NoRegister || !k.hosts[k.live].Proxy && !k.hosts[k.live].legs {
		return
	}
	var all []registration
	known := map[string]bool{} // host and user
	a := asking{}
	for i := range k.events {
		e := &k.events[i]
		if !e.msg.Request || e.fate != 0 {
			continue
		}
		if e.msg.MethodID == sip.MethodRegister {
			k.bindings(e, known)
			continue
		}
		a.note(k, e)
		r, ok := k.lookup(e, a)
		if key := k.bindKey(r.host, []byte(userOf([]byte(r.aor)))); ok && !known[key] && len(all) < maxMade {
			known[key] = true
			r.call = len(k.calls) + len(all)
			all = append(all, r)
		}
	}
	k.prepend(all)
}

// bindings notes whom a REGISTER binds: who sent it, and those whose addresses its Contacts name (RFC 3261 10.2.1).
func (k *maker) bindings(e *event, known map[string]bool) {
	user := e.msg.To.User.Of(e.raw)
	known[k.bindKey(e.from, user)] = true
	for value := range e.msg.List(sip.HeaderContact) {
		a := sip.ParseAddress(value)
		p, ok := k.places.known(a.Host.Of(value), a.Port, e.proto)
		if !ok {
			continue
		}
		for i := range k.hosts {
			if slices.Contains(k.hosts[i].places, p) {
				known[k.bindKey(i, user)] = true
			}
		}
	}
}

func (k *maker) bindKey(host int, user []byte) string {
	return strconv.Itoa(host) + " " + string(user)
}

// lookup says what the live one must have known to send a request where it did; false when it needs to know nothing.
func (k *maker) lookup(e *event, a asking) (registration, bool) {
	if e.from != k.live || e.toTag != "" || k.hosts[e.to].Part != Played || k.hosts[e.to].Proxy {
		return registration{}, false
	}
	uri := e.msg.URI.Of(e.raw)
	if !k.hosts[e.to].owns(uri) {
		return registration{}, false
	}
	asked := a.of(k, e)
	if asked == nil || k.hosts[e.to].owns(asked) {
		return registration{}, false
	}
	u, ok := sip.ParseURI(asked)
	if !ok || len(u.User) == 0 || len(u.Host) == 0 {
		return registration{}, false
	}
	aor := string(u.Scheme) + ":" + string(u.User) + "@" + string(u.Host)
	return registration{aor: aor, contact: string(uri), host: e.to}, true
}

// asking remembers the Request-URIs of the requests that reached the live one: by call or group, and method.
type asking map[string][]byte

func (a asking) keys(k *maker, e *event) []string {
	keys := []string{"c" + strconv.Itoa(e.call) + " " + e.method()}
	if g := k.group(e); g != "" {
		keys = append(keys, "g"+g+" "+e.method())
	}
	return keys
}

// note remembers the first of a kind.
func (a asking) note(k *maker, e *event) {
	if e.to != k.live || e.toTag != "" {
		return
	}
	for _, key := range a.keys(k, e) {
		if _, ok := a[key]; !ok {
			a[key] = e.msg.URI.Of(e.raw)
		}
	}
}

// of is the Request-URI of what the live one got and sent on as e; nil when that was not seen.
func (a asking) of(k *maker, e *event) []byte {
	if e.forwards >= 0 {
		f := &k.events[e.forwards]
		return f.msg.URI.Of(f.raw)
	}
	for _, key := range a.keys(k, e) {
		if uri, ok := a[key]; ok {
			return uri
		}
	}
	return nil
}

// owns reports whether a URI names one of the host's own addresses or names.
func (h *host) owns(uri []byte) bool {
	u, _ := sip.ParseURI(uri)
	return h.named(u.Host, u.Port)
}

// named reports whether a host and port are the host's own. A port of 0 stands for the default of its transport beside an
// address (RFC 3263 4.2), where others may have the other ports, and for any beside a name.
func (h *host) named(name []byte, port uint16) bool {
	if len(name) == 0 {
		return false
	}
	if addr, err := netip.ParseAddr(string(bytes.Trim(name, "[]"))); err == nil {
		own := port
		if own == 0 {
			own = h.Proto.DefaultPort()
		}
		if slices.Contains(h.At, netip.AddrPortFrom(addr, own)) {
			return true
		}
	}
	lower := strings.ToLower(string(name))
	for _, own := range h.Names {
		if own == lower || own == lower+":"+strconv.Itoa(int(port)) || port == 0 && strings.HasPrefix(own, lower+":") {
			return true
		}
	}
	return false
}

// prepend puts the REGISTERs and their 200s before all events.
func (k *maker) prepend(all []registration) {
	var before []event
	for i := range all {
		r := &all[i]
		request, response, err := r.compose(&k.hosts[r.host], i+1)
		if err != nil {
			k.plan.Notes = append(k.plan.Notes, "no REGISTER can be made of "+r.aor+": "+err.Error())
			continue
		}
		for j, raw := range [][]byte{request, response} {
			e := event{call: r.call, from: r.host, to: k.live, proto: k.hosts[r.host].Proto, raw: raw, forwards: -1, register: r}
			e.why = "made: the live server must know where " + k.hosts[r.host].Name + " is"
			if j == 1 {
				e.from, e.to, e.why = k.live, r.host, "made"
			}
			if err := sip.Parse(raw, &e.msg); err != nil {
				return
			}
			e.branch, e.fromTag, e.toTag = string(e.msg.Via.Branch.Of(raw)), string(e.msg.From.Tag.Of(raw)), string(e.msg.To.Tag.Of(raw))
			before = append(before, e)
		}
	}
	for i := range k.events {
		if k.events[i].forwards >= 0 {
			k.events[i].forwards += len(before)
		}
	}
	k.events = append(before, k.events...)
}

// compose writes the REGISTER and its 200. Their identifiers are fixed: a player makes its own.
func (r *registration) compose(h *host, n int) (request, response []byte, err error) {
	id := "made" + strconv.Itoa(n)
	u, _ := sip.ParseURI([]byte(r.aor))
	req := compose.Request{
		Method: "REGISTER", URI: string(u.Scheme) + ":" + string(u.Host),
		Via:  compose.Via{Proto: h.Proto.String(), SentBy: h.At[0], Branch: compose.Cookie + id, RPort: true},
		From: "<" + r.aor + ">;tag=" + id, To: "<" + r.aor + ">", CallID: id + "@" + h.At[0].Addr().String(), CSeq: 1,
		Headers: []compose.Header{
			{ID: sip.HeaderContact, Value: "<" + r.contact + ">"},
			{ID: sip.HeaderExpires, Value: madeExpires},
		},
	}
	if request, err = req.Append(nil); err != nil {
		return nil, nil, err
	}
	var m sip.Message
	if err = sip.Parse(request, &m); err != nil {
		return nil, nil, err
	}
	reply := compose.Reply{
		Status: 200, ToTag: id + "live",
		Headers: []compose.Header{{ID: sip.HeaderContact, Value: "<" + r.contact + ">;expires=" + madeExpires}},
	}
	response, err = compose.Response(nil, &m, netip.AddrPort{}, &reply)
	return request, response, err
}

// madeCalls lists the calls of what is made.
func (k *maker) madeCalls() {
	for i := range k.events {
		if e := &k.events[i]; e.register != nil && e.msg.Request {
			e.register.call = len(k.plan.Calls)
			k.plan.Calls = append(k.plan.Calls, Call{CallID: string(e.msg.CallID.Of(e.raw))})
			k.plan.Notes = append(k.plan.Notes, "+ REGISTER of "+e.register.aor+" by "+k.hosts[e.register.host].Name+
				" is synthesised: the recording has none, and the live server must know the Contact "+e.register.contact)
		}
	}
}
