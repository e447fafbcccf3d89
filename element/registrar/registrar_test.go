package registrar

import (
	"fmt"
	"strings"
	"testing"

	"sipscope/decode/sip"
	"sipscope/element/auth"
	"sipscope/element/transport"
)

// TestRegistrar has a row for each rule of RFC 3261 10.3 and its neighbours. Before it, bob is bound to sip:bob@old with
// Call-ID c0, CSeq 10.
func TestRegistrar(t *testing.T) {
	t.Parallel()
	const old = "<sip:bob@old>;expires=3600"
	config := Config{Domains: []string{"b.com", "127.0.3.1"}}
	for _, c := range []struct {
		name     string
		method   string
		uri, to  string
		lines    []string
		config   func(*Config)
		status   int
		reason   string
		contacts string // of the answer
		also     string // "Header: value" of the answer
	}{
		{name: "query", status: 200, contacts: old, also: "Date: Tue, 14 Nov 2023 22:13:20 GMT"},
		{name: "new", lines: []string{"Contact: <sip:bob@new>"}, status: 200, contacts: old + ", <sip:bob@new>;expires=3600"},
		{name: "expires of the contact", lines: []string{"Contact: <sip:bob@new>;expires=600", "Expires: 700"}, status: 200, contacts: old + ", <sip:bob@new>;expires=600"},
		{name: "Expires", lines: []string{"Contact: <sip:bob@new>", "Expires: 700"}, status: 200, contacts: old + ", <sip:bob@new>;expires=700"},
		{name: "each its own", lines: []string{"Contact: <sip:1@n>;expires=600, <sip:2@n>;q=0.5", "Contact: <sip:3@n>;expires=0", "Expires: 700"}, status: 200, contacts: old + ", <sip:1@n>;expires=600, <sip:2@n>;q=0.5;expires=700"},
		{name: "malformed expires", lines: []string{"Contact: <sip:bob@new>;expires=soon", "Expires: 700"}, status: 200, contacts: old + ", <sip:bob@new>;expires=3600"},
		{name: "malformed Expires", lines: []string{"Contact: <sip:bob@new>", "Expires: 1 hour"}, status: 200, contacts: old + ", <sip:bob@new>;expires=3600"},
		{name: "maximum", lines: []string{"Contact: <sip:bob@new>;expires=4294967295"}, status: 200, contacts: old + ", <sip:bob@new>;expires=86400"},
		{name: "beyond the maximum of the grammar", lines: []string{"Contact: <sip:bob@new>;expires=280297596632815"}, status: 200, contacts: old + ", <sip:bob@new>;expires=86400"},
		{name: "too brief", lines: []string{"Contact: <sip:bob@new>;expires=59"}, status: 423, also: "Min-Expires: 60"},
		{name: "too brief, in one of two", lines: []string{"Contact: <sip:1@n>, <sip:bob@new>;expires=59"}, status: 423, also: "Min-Expires: 60"},
		{name: "just enough", lines: []string{"Contact: <sip:bob@new>;expires=60"}, status: 200, contacts: old + ", <sip:bob@new>;expires=60"},
		{name: "an hour is never too brief", lines: []string{"Contact: <sip:bob@new>;expires=3600"}, config: func(c *Config) { c.MinExpires = 7200 }, status: 200, contacts: old + ", <sip:bob@new>;expires=3600"},
		{name: "less than an hour is", lines: []string{"Contact: <sip:bob@new>;expires=3599"}, config: func(c *Config) { c.MinExpires = 7200 }, status: 423, also: "Min-Expires: 7200"},
		{name: "default", lines: []string{"Contact: <sip:bob@new>"}, config: func(c *Config) { c.DefaultExpires = 100 }, status: 200, contacts: old + ", <sip:bob@new>;expires=100"},
		{name: "q", lines: []string{"Contact: <sip:a@n>;q=0.3, <sip:b@n>;q=0.700, <sip:c@n>;q=0.125, <sip:d@n>;q=1.0, <sip:e@n>;q=0"}, status: 200, contacts: old + ", <sip:d@n>;q=1;expires=3600, <sip:b@n>;q=0.7;expires=3600, <sip:a@n>;q=0.3;expires=3600, <sip:c@n>;q=0.125;expires=3600, <sip:e@n>;q=0;expires=3600"},
		{name: "removal", lines: []string{"Contact: <sip:bob@old>;expires=0"}, status: 200},
		{name: "removal by Expires", lines: []string{"Contact: <sip:bob@old>", "Expires: 0"}, status: 200},
		{name: "wildcard", lines: []string{"Contact: *", "Expires: 0"}, status: 200},
		{name: "wildcard without Expires", lines: []string{"Contact: *"}, status: 400, reason: "Bad Wildcard Contact"},
		{name: "wildcard with an interval", lines: []string{"Contact: *", "Expires: 1"}, status: 400, reason: "Bad Wildcard Contact"},
		{name: "wildcard and a contact", lines: []string{"Contact: *", "Contact: <sip:a@n>", "Expires: 0"}, status: 400, reason: "Bad Wildcard Contact"},
		{name: "contact and a wildcard", lines: []string{"Contact: <sip:a@n>", "Contact: *", "Expires: 0"}, status: 400, reason: "Bad Wildcard Contact"},
		{name: "wildcard in a list", lines: []string{"Contact: <sip:a@n>, *", "Expires: 0"}, status: 400},
		{name: "wildcard with an old CSeq", lines: []string{"Call-ID: c0", "CSeq: 10 REGISTER", "Contact: *", "Expires: 0"}, status: 500, reason: "CSeq Out Of Order"},
		{name: "the same CSeq", lines: []string{"Call-ID: c0", "CSeq: 10 REGISTER", "Contact: <sip:bob@old>"}, status: 500, reason: "CSeq Out Of Order"},
		{name: "all or nothing", lines: []string{"Call-ID: c0", "CSeq: 9 REGISTER", "Contact: <sip:bob@new>, <sip:bob@old>"}, status: 500, reason: "CSeq Out Of Order"},
		{name: "a higher CSeq", lines: []string{"Call-ID: c0", "CSeq: 11 REGISTER", "Contact: <sip:bob@old>;expires=60"}, status: 200, contacts: "<sip:bob@old>;expires=60"},
		{name: "a CSeq cannot be read", lines: []string{"CSeq: x REGISTER", "Contact: <sip:bob@new>"}, status: 400},
		{name: "other parameters come back", lines: []string{`Contact: "Bob" <sip:bob@new;transport=tcp> ; +sip.instance="<urn:uuid:1>" ;Q=0.5; reg-id=1;methods="INVITE; BYE"`}, status: 200, contacts: old + `, <sip:bob@new;transport=tcp>;q=0.5;expires=3600;+sip.instance="<urn:uuid:1>";reg-id=1;methods="INVITE; BYE"`},
		{name: "a folded parameter", lines: []string{"Contact: <sip:bob@new>\r\n ;expires=600\r\n ;x=\"a\r\n b\""}, status: 200, contacts: old + `, <sip:bob@new>;expires=600;x="a  b"`},
		{name: "a URI of another scheme", lines: []string{"Contact: <mailto:bob@b.com>"}, status: 200, contacts: old + ", <mailto:bob@b.com>;expires=3600"},
		{name: "no scheme", lines: []string{"Contact: <bob@b.com>"}, status: 400, reason: "Bad Contact"},
		{name: "no host", lines: []string{"Contact: <sip:bob@>"}, status: 400, reason: "Bad Contact"},
		{name: "a blank in the URI", lines: []string{"Contact: <sip:bob@b .com>"}, status: 400, reason: "Bad Contact"},
		{name: "a fold in the URI", lines: []string{"Contact: <sip:bob@b;x=\r\n y>"}, status: 400, reason: "Bad Contact"},
		{name: "URI headers without brackets", lines: []string{"Contact: sip:bob@new?Route=%3Csip:x%3E"}, status: 400, reason: "Bad Contact"},
		{name: "the second Contact is bad", lines: []string{"Contact: <sip:1@n>, \"x\" <sip:>"}, status: 400, reason: "Bad Contact"},
		{name: "an empty Contact", lines: []string{"Contact: <>"}, status: 400},
		{name: "too many contacts", lines: []string{"Contact: " + contactList(10)}, status: 403, reason: "Too Many Contacts"},
		{name: "far too many contacts", lines: []string{"Contact: " + contactList(1000)}, status: 403, reason: "Too Many Contacts"},
		{name: "as many as fit", lines: []string{"Contact: " + contactList(9) + ", <sip:bob@old>;expires=0", "Contact: <sip:x@n>"}, status: 200, contacts: strings.ReplaceAll(contactList(9)+", <sip:x@n>", ">", ">;expires=3600")},
		{name: "too long", lines: []string{"Contact: <sip:" + strings.Repeat("x", 4096) + "@n>"}, status: 513},

		{name: "another domain", uri: "sip:c.com", status: 404, reason: "Domain Not Served Here"},
		{name: "its own address", uri: "sip:127.0.3.1:5060", status: 200, contacts: old},
		{name: "a user in the Request-URI", uri: "sip:bob@b.com", status: 200, contacts: old},
		{name: "address of another domain", to: "sip:bob@c.com", status: 404},
		{name: "address of no scheme", to: "isbn:2983792873", status: 404},
		{name: "another form of the address", to: "sips:%62ob:x@B.com:5061;a=b", status: 200, contacts: old},
		{name: "no such user", to: "sip:mallory@b.com", config: func(c *Config) { c.Exists = func(aor string) bool { return aor == bob } }, status: 404},
		{name: "a user who exists", config: func(c *Config) { c.Exists = func(aor string) bool { return aor == bob } }, status: 200, contacts: old},
		{name: "Request-URI of another scheme", uri: "tel:+1", status: 416},
		{name: "Require", lines: []string{"Require: path, gruu", "Require: Outbound"}, status: 420, also: "Unsupported: gruu, Outbound"},
		{name: "Require path", lines: []string{"Require: PATH"}, status: 200, contacts: old},
		{name: "Proxy-Require is for proxies", lines: []string{"Proxy-Require: x"}, status: 200, contacts: old},
		{name: "version", lines: []string{"X: y"}, method: "v3", status: 505},

		{name: "Path", lines: []string{"Contact: <sip:bob@new>", "Path: <sip:p1;lr>,<sip:p2;lr>", "Path: <sip:p3;lr>", "Supported: path"}, status: 200, contacts: old + ", <sip:bob@new>;expires=3600", also: "Path: <sip:p1;lr>, <sip:p2;lr>, <sip:p3;lr>"},
		{name: "Path without Supported", lines: []string{"Contact: <sip:bob@new>", "Path: <sip:p1;lr>"}, status: 200, contacts: old + ", <sip:bob@new>;expires=3600", also: "Path: "},
		{name: "strict Path without Supported", lines: []string{"Contact: <sip:bob@new>", "Path: <sip:p1;lr>"}, config: func(c *Config) { c.StrictPath = true }, status: 420, also: "Unsupported: path"},
		{name: "strict Path", lines: []string{"Contact: <sip:bob@new>", "Path: <sip:p1;lr>", "Supported: x, path"}, config: func(c *Config) { c.StrictPath = true }, status: 200, contacts: old + ", <sip:bob@new>;expires=3600"},
		{name: "bad Path", lines: []string{"Contact: <sip:bob@new>", "Path: p1"}, status: 400, reason: "Bad Path"},
		{name: "endless Path", lines: []string{"Contact: <sip:bob@new>", "Path: " + contactList(33)}, status: 400, reason: "Bad Path"},

		{name: "OPTIONS", method: "OPTIONS", status: 200, also: "Allow: REGISTER, OPTIONS"},
		{name: "OPTIONS that requires", method: "OPTIONS", lines: []string{"Require: x"}, status: 420, also: "Unsupported: x"},
		{name: "OPTIONS of another scheme", method: "OPTIONS", uri: "soap.beep://192.0.2.103:3002", status: 416},
		{name: "INVITE", method: "INVITE", status: 405, also: "Allow: REGISTER, OPTIONS"},
		{name: "BYE", method: "BYE", status: 405, also: "Allow: REGISTER, OPTIONS"},
		{name: "OPTIONS without a host", method: "OPTIONS", uri: "sip:bob@", status: 400},
		{name: "a group of parameters", lines: []string{`Contact: <sip:bob@new>;a="x\";y";;b`}, status: 200, contacts: old + `, <sip:bob@new>;expires=3600;a="x\";y";b`},
		{name: "Path with names", lines: []string{"Contact: <sip:bob@new>", `Path: "a, \"b" <sip:p1;lr>, <sip:p2,x;lr>`, "Supported: path"}, status: 200, contacts: old + ", <sip:bob@new>;expires=3600", also: `Path: "a, \"b" <sip:p1;lr>, <sip:p2,x;lr>`},
		{name: "unknown method", method: "REGISTERED", status: 501, also: "Allow: REGISTER, OPTIONS"},
		{name: "register is no method", method: "register", status: 501},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cfg := config
			cfg.Store = NewStore(StoreConfig{})
			if c.config != nil {
				c.config(&cfg)
			}
			w, r := newRegistrar(t, cfg)
			if err := cfg.Store.Register([]byte(bob), bind("c0", 10, contact("sip:bob@old", -1, start+3600*second)), start); err != nil {
				t.Fatal(err)
			}
			before := content(cfg.Store)
			method, uri, to := "REGISTER", "sip:b.com", bob
			if c.uri != "" {
				uri = c.uri
			}
			if c.to != "" {
				to = c.to
			}
			if c.method != "" && c.method != "v3" {
				method = c.method
			}
			text := w.request(method, uri, to, c.lines...)
			if c.method == "v3" {
				text = strings.Replace(text, " SIP/2.0\r\n", " SIP/3.0\r\n", 1)
			}
			m := w.one(text)
			if int(m.Status) != c.status || c.reason != "" && string(m.Reason.Of(m.Raw)) != c.reason {
				t.Errorf("got\n%swant %d %s", m.Raw, c.status, c.reason)
			}
			if got := values(m, sip.HeaderContact); got != c.contacts {
				t.Errorf("got contacts %s\nwant %s", got, c.contacts)
			}
			if name, value, ok := strings.Cut(c.also, ": "); ok {
				var got []string
				for v := range m.List(sip.LookupHeader([]byte(name))) {
					got = append(got, string(v))
				}
				if all, _ := m.Get(name); strings.Join(got, ", ") != value && string(all) != value {
					t.Errorf("got %s: %q, want %q", name, got, value)
				}
			}
			if c.status >= 300 && content(cfg.Store) != before {
				t.Error("a refused request changed the bindings")
			}
			if m.To.Tag.Empty() {
				t.Error("no To tag")
			}
			checkStore(t, cfg.Store)
			st := r.Stats()
			if refused := len(st.Reasons()) > 0; refused != (c.status >= 300) && c.status != 505 && st.Requests > 0 {
				t.Errorf("%+v", st)
			}
		})
	}
}

// contactList is "<sip:0@n>, <sip:1@n>, …".
func contactList(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("<sip:%d@n>", i)
	}
	return strings.Join(all, ", ")
}

// TestAnswer compares a whole answer.
func TestAnswer(t *testing.T) {
	t.Parallel()
	w, _ := newRegistrar(t, Config{Server: "sipscope"})
	m := w.one("REGISTER sip:b.com SIP/2.0\r\nVia: SIP/2.0/UDP host:5070;rport;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n" +
		"f: \"Bob\" <sip:bob@b.com>;tag=1\r\nt: <sip:bob@b.com>;tag=2\r\nCall-ID: c1\r\nCSeq: 1 REGISTER\r\nm: sip:bob@1.1.1.1;q=0.5\r\nl: 0\r\n\r\n")
	want := "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP host:5070;rport=5060;branch=z9hG4bK1;received=127.0.1.10\r\n" +
		"From: \"Bob\" <sip:bob@b.com>;tag=1\r\nTo: <sip:bob@b.com>;tag=2\r\nCall-ID: c1\r\nCSeq: 1 REGISTER\r\n" +
		"Contact: <sip:bob@1.1.1.1>;q=0.5;expires=3600\r\nDate: Tue, 14 Nov 2023 22:13:20 GMT\r\nServer: sipscope\r\nContent-Length: 0\r\n\r\n"
	if string(m.Raw) != want {
		t.Errorf("got\n%q\nwant\n%q", m.Raw, want)
	}
}

// TestTime follows a binding over virtual time: what remains is told, a retransmission changes nothing, the end comes by
// itself.
func TestTime(t *testing.T) {
	t.Parallel()
	w, r := newRegistrar(t, Config{KeepReceived: true})
	text := w.request("REGISTER", "sip:b.com", bob, "Contact: <sip:bob@1>", "Expires: 100")
	first := w.one(text)
	w.now += 2*second + 1
	if again := w.one(text); string(again.Raw) != string(first.Raw) {
		t.Errorf("a retransmission got another answer:\n%s", again.Raw)
	}
	if got := values(w.register(), sip.HeaderContact); got != "<sip:bob@1>;expires=97" {
		t.Errorf("after two seconds %q", got)
	}
	if b := r.cfg.Store.Lookup(bob, w.now); len(b) != 1 || b[0].Received.Remote != there || b[0].Received.Proto != transport.UDP {
		t.Errorf("%+v", b)
	}
	w.now = start + 100*second - 1
	if got := values(w.register(), sip.HeaderContact); got != "<sip:bob@1>;expires=1" {
		t.Errorf("at the end %q", got)
	}
	w.now = start + 100*second
	w.handler.Wake(w.now)
	if st := r.cfg.Store.Stats(); st.Expired != 1 || st.Bindings != 0 {
		t.Errorf("%+v", st)
	}
	if got := values(w.register(), sip.HeaderContact); got != "" {
		t.Errorf("after the end %q", got)
	}
	if st := r.Stats(); st.Requests != 4 || st.Accepted != 4 || st.Queries != 3 {
		t.Errorf("%+v", st)
	}
}

// TestStrays: what is no request of its own is not answered by the registrar.
func TestStrays(t *testing.T) {
	t.Parallel()
	w, r := newRegistrar(t, Config{})
	if sent := w.raw(w.request("ACK", "sip:b.com", bob)); len(sent) != 0 {
		t.Errorf("an ACK was answered:\n%s", sent[0].Raw)
	}
	if m := w.one(w.request("CANCEL", "sip:b.com", bob)); m.Status != 481 {
		t.Errorf("CANCEL of nothing: %d", m.Status)
	}
	invite := w.request("INVITE", "sip:b.com", bob, "Contact: <sip:a@x>")
	if m := w.one(invite); m.Status != 405 {
		t.Errorf("INVITE: %d", m.Status)
	}
	if sent := w.raw(strings.ReplaceAll(invite, "INVITE", "ACK")); len(sent) != 0 {
		t.Errorf("the ACK of a 405 was answered:\n%s", sent[0].Raw)
	}
	if st := r.Stats(); st.Requests != 1 || st.Refused[BadMethod] != 1 {
		t.Errorf("%+v", st)
	}
}

func TestFull(t *testing.T) {
	t.Parallel()
	w, r := newRegistrar(t, Config{Store: NewStore(StoreConfig{MaxAORs: 2})})
	for i, status := range []uint16{200, 200, 503} {
		m := w.one(w.request("REGISTER", "sip:b.com", fmt.Sprintf("sip:%d@b.com", i), "Contact: <sip:x@y>"))
		if m.Status != status {
			t.Errorf("%d: %d", i, m.Status)
		}
		if v, _ := m.Value(sip.HeaderRetryAfter); status == 503 && string(v) != "60" {
			t.Errorf("Retry-After: %s", v)
		}
	}
	if m := w.one(w.request("REGISTER", "sip:b.com", "sip:0@b.com", "Contact: <sip:x@y>;expires=90")); m.Status != 200 {
		t.Errorf("a refresh when full: %d", m.Status)
	}
	if st := r.Stats(); st.Refused[Full] != 1 || fmt.Sprint(st.Reasons()) != "map[full:1]" {
		t.Errorf("%+v", st)
	}
}

// TestAuthentication challenges, accepts, refuses, and answers whose address it is.
func TestAuthentication(t *testing.T) {
	t.Parallel()
	server, err := auth.NewServer(auth.ServerConfig{
		Realm: "b.com", Rand: rng(), Lookup: func(user, _ string) (string, bool) { return "secret of " + user, user != "eve" },
	})
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	w, r := newRegistrar(t, Config{
		Auth: server,
		Tell: func(a Answer) { told = append(told, fmt.Sprintf("%d %s", a.Status, a.Why)) },
	})
	try := func(user, password, to string) *sip.Message {
		t.Helper()
		m := w.one(w.request("REGISTER", "sip:b.com", to, "Contact: <sip:x@y>"))
		if m.Status != 401 {
			t.Fatalf("without credentials: %d", m.Status)
		}
		client := auth.NewClient(auth.Credentials{User: user, Password: password})
		headers, err := client.Answer(m, "REGISTER", "sip:b.com", nil)
		if err != nil {
			t.Fatal(err)
		}
		lines := []string{"Contact: <sip:x@y>"}
		for _, h := range headers {
			lines = append(lines, h.ID.String()+": "+h.Value)
		}
		return w.one(w.request("REGISTER", "sip:b.com", to, lines...))
	}
	for _, c := range []struct {
		user, password, to string
		status             uint16
	}{
		{"bob", "secret of bob", bob, 200},
		{"bob@b.com", "secret of bob@b.com", bob, 200},
		{"bob", "wrong", bob, 403},
		{"eve", "secret of eve", bob, 403},
		{"al", "secret of al", bob, 403},
		{"bob@c.com", "secret of bob@c.com", bob, 403},
		{"a b", "secret of a b", "sip:a%20b@b.com", 200},
	} {
		m := try(c.user, c.password, c.to)
		if m.Status != c.status {
			t.Errorf("%s as %s: %d", c.user, c.to, m.Status)
		}
		if _, ok := m.Value(sip.HeaderAuthenticationInfo); ok != (c.status == 200) {
			t.Errorf("%s as %s: Authentication-Info %v", c.user, c.to, ok)
		}
	}
	r.cfg.Allow = func(user, aor string) bool { return user == "admin" && aor == bob }
	if m := try("admin", "secret of admin", bob); m.Status != 200 {
		t.Errorf("who may: %d", m.Status)
	}
	if m := try("bob", "secret of bob", bob); m.Status != 403 {
		t.Errorf("who may not: %d", m.Status)
	}
	if m := w.one(w.request("OPTIONS", "sip:b.com", bob)); m.Status != 200 {
		t.Errorf("OPTIONS: %d", m.Status)
	}
	if told[0] != "401 challenged" || told[1] != "200 " || told[5] != "403 forbidden" {
		t.Errorf("%q", told)
	}
	if st := r.Stats(); st.Refused[Challenged] != 9 || st.Refused[Forbidden] != 5 {
		t.Errorf("%+v", st.Reasons())
	}
}

func TestReasons(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{"": true}
	for _, f := range Refusals() {
		if seen[f.String()] {
			t.Errorf("%d: %q", f, f)
		}
		seen[f.String()] = true
	}
	if Bound.String() != "bound" || Expired.String() != "expired" {
		t.Error("names of events")
	}
}
