package registrar

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sipscope/decode/sip"
	"sipscope/element/transport"
	"sipscope/element/txn"
)

// TestRedirect has a row for each rule of RFC 3261 8.3. bob has two contacts, al none any more, carl is known alone, dora
// is bound to what is equal to her own address, fred to that and another.
func TestRedirect(t *testing.T) {
	t.Parallel()
	const two = "<sip:bob@127.0.2.10>;q=0.9, <sip:bob@127.0.2.11>;q=0.5"
	for _, c := range []struct {
		name     string
		method   string
		uri      string
		lines    []string
		config   func(*RedirectConfig)
		status   int
		contacts string
		also     string
	}{
		{name: "in the order of q", uri: bob, status: 302, contacts: two},
		{name: "any form of the address", uri: "sip:%62ob@B.com;transport=tcp", status: 302, contacts: two},
		{name: "300", uri: bob, config: func(c *RedirectConfig) { c.MultipleChoices = true }, status: 300, contacts: two},
		{name: "300 only for several", uri: "sip:fred@b.com", config: func(c *RedirectConfig) { c.MultipleChoices = true }, status: 302, contacts: "<sip:fred@127.0.2.12>;x=y"},
		{name: "expires", uri: bob, config: func(c *RedirectConfig) { c.Expires = true }, status: 302, contacts: "<sip:bob@127.0.2.10>;q=0.9;expires=100, <sip:bob@127.0.2.11>;q=0.5;expires=100"},
		{name: "unknown", uri: "sip:nobody@b.com", status: 404},
		{name: "no binding any more", uri: "sip:al@b.com", status: 480},
		{name: "known", uri: "sip:carl@b.com", status: 480},
		{name: "exists", uri: "sip:nobody@b.com", config: func(c *RedirectConfig) { c.Exists = func(aor string) bool { return aor == "sip:nobody@b.com" } }, status: 480},
		{name: "a loop", uri: "sip:dora@b.com", status: 404},
		{name: "a loop in other words", uri: "sip:%64ora@B.com;x=1", status: 404},
		{name: "a loop is left out", uri: "sip:fred@b.com", status: 302, contacts: "<sip:fred@127.0.2.12>;x=y"},
		{name: "sips", uri: "sips:gina@b.com", status: 302, contacts: "<sips:gina@127.0.2.13>"},
		{name: "sip of sips", uri: "sip:gina@b.com", status: 302, contacts: "<sip:gina@127.0.2.14>, <sips:gina@127.0.2.13>"},
		{name: "sips without", uri: "sips:bob@b.com", status: 480},
		{name: "any method", method: "FOO", uri: bob, status: 302, contacts: two},
		{name: "BYE", method: "BYE", uri: bob, status: 302, contacts: two},
		{name: "OPTIONS of a user", method: "OPTIONS", uri: bob, status: 302, contacts: two},
		{name: "OPTIONS", method: "OPTIONS", uri: "sip:127.0.4.1", status: 200, also: "Accept: */*"},
		{name: "REGISTER", method: "REGISTER", uri: "sip:b.com", status: 405},
		{name: "Require", uri: bob, lines: []string{"Require: 100rel"}, status: 420, also: "Unsupported: 100rel"},
		{name: "scheme", uri: "nobodyKnowsThisScheme:totallyopaquecontent", status: 416},
		{name: "tel", uri: "tel:+1", status: 416},
		{name: "no host", uri: "sip:bob@", status: 400},
		{name: "no user", uri: "sip:b.com", status: 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := NewStore(StoreConfig{})
			ends := start + 100*second
			put := func(aor string, uri string, q int, ends int64) {
				reg := bind(uri, 1, contact(uri, q, ends))
				if strings.Contains(uri, "2.12") {
					reg.Contacts[0].Params = []byte(";x=y")
				}
				if err := s.Register([]byte(aor), reg, start-second); err != nil {
					t.Fatal(err)
				}
			}
			put(bob, "sip:bob@127.0.2.11", 500, ends)
			put(bob, "sip:bob@127.0.2.10", 900, ends)
			put("sip:al@b.com", "sip:al@127.0.2.1", -1, start)
			put("sip:dora@b.com", "sip:dora@b.com", -1, ends)
			put("sip:fred@b.com", "sip:fred@b.com", -1, ends)
			put("sip:fred@b.com", "sip:fred@127.0.2.12", -1, ends)
			put("sip:gina@b.com", "sip:gina@127.0.2.14", -1, ends)
			put("sip:gina@b.com", "sips:gina@127.0.2.13", -1, ends)
			if err := s.Know("sip:carl@b.com"); err != nil {
				t.Fatal(err)
			}
			cfg := RedirectConfig{Store: s}
			if c.config != nil {
				c.config(&cfg)
			}
			w, r := newRedirect(t, cfg)
			method := c.method
			if method == "" {
				method = "INVITE"
			}
			m := w.one(w.request(method, c.uri, bob, c.lines...))
			if int(m.Status) != c.status {
				t.Errorf("got\n%swant %d", m.Raw, c.status)
			}
			if got := values(m, sip.HeaderContact); got != c.contacts {
				t.Errorf("got contacts %s\nwant %s", got, c.contacts)
			}
			if name, value, ok := strings.Cut(c.also, ": "); ok {
				if got, _ := m.Get(name); string(got) != value {
					t.Errorf("got %s: %q", name, got)
				}
			}
			if _, ok := m.Value(sip.HeaderAllow); ok != (c.status == 405 || c.status == 200) {
				t.Errorf("Allow: %v", ok)
			}
			if st := r.Stats(); c.status != 400 && (st.Requests != 1 || st.Accepted+uint64(len(st.Reasons())) != 1) {
				t.Errorf("%+v", st)
			}
		})
	}
}

// recorder is a user that notes what it is told.
type recorder struct{ log []string }

func (r *recorder) Request(_ txn.ID, rc *transport.Received) {
	r.log = append(r.log, "request "+string(rc.Msg.Method.Of(rc.Msg.Raw)))
}

func (r *recorder) Response(txn.ID, uint64, *transport.Received) { r.log = append(r.log, "response") }
func (r *recorder) Cancel(txn.ID, uint64, *transport.Received)   { r.log = append(r.log, "cancel") }
func (r *recorder) Failed(_ txn.ID, data uint64, _ error) {
	r.log = append(r.log, fmt.Sprint("failed ", data))
}

func (r *recorder) Ended(_ txn.ID, data uint64) {
	r.log = append(r.log, fmt.Sprint("ended ", data))
}

// TestMux: the registrar gets what is its own, the other user all else, and nothing of the registrar's.
func TestMux(t *testing.T) {
	t.Parallel()
	s := NewStore(StoreConfig{})
	r := New(Config{Store: s, Domains: []string{"b.com"}, Rand: rng()})
	other := &recorder{}
	x := &Mux{Registrar: r, Other: other}
	w := newWorld(t, x, s)
	r.Attach(w.layer)
	x.SetData = w.layer.SetData

	if m := w.register("Contact: <sip:x@y>"); m.Status != 200 {
		t.Errorf("REGISTER: %d", m.Status)
	}
	invite := w.request("INVITE", bob, bob)
	for _, text := range []string{
		w.request("REGISTER", "sip:c.com", bob), invite, w.request("ACK", bob, bob),
		strings.ReplaceAll(invite, "INVITE", "CANCEL"),
	} {
		w.raw(text)
	}
	x.Response(1, 2, nil)
	x.Failed(1, 2, errors.New("x"))
	x.Failed(1, answered, errors.New("x"))
	for range 100 {
		w.now += 10 * second
		w.handler.Wake(w.now)
	}
	want := []string{"request REGISTER", "request INVITE", "request ACK", "cancel", "response", "failed 2"}
	if len(other.log) < len(want) || !slices.Equal(other.log[:len(want)], want) {
		t.Errorf("%q", other.log)
	}
	for _, line := range other.log {
		if strings.Contains(line, strconv.FormatUint(answered, 10)) {
			t.Errorf("%q is the registrar's", line)
		}
	}
	if st := r.Stats(); st.Requests != 1 {
		t.Errorf("%+v", st)
	}
}

// TestRegistrarAndRedirect is one program that is both: what registers is where callers are sent.
func TestRegistrarAndRedirect(t *testing.T) {
	t.Parallel()
	s := NewStore(StoreConfig{})
	r := New(Config{Store: s, Rand: rng()})
	d := NewRedirect(RedirectConfig{Store: s, Rand: rng()})
	x := &Mux{Registrar: r, Other: d}
	w := newWorld(t, x, s)
	x.SetData = w.layer.SetData
	r.Attach(w.layer)
	d.Attach(w.layer)
	if m := w.one(w.request("INVITE", bob, bob)); m.Status != 404 {
		t.Errorf("before: %d", m.Status)
	}
	w.register("Contact: <sip:bob@1>;q=0.2, <sip:bob@2>;q=0.4", "Expires: 100")
	if m := w.one(w.request("INVITE", bob, bob)); m.Status != 302 || values(m, sip.HeaderContact) != "<sip:bob@2>;q=0.4, <sip:bob@1>;q=0.2" {
		t.Errorf("bound:\n%s", m.Raw)
	}
	w.now += 100 * second
	w.handler.Wake(w.now)
	if m := w.one(w.request("INVITE", bob, bob)); m.Status != 480 {
		t.Errorf("after the end: %d", m.Status)
	}
}
