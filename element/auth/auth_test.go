package auth

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/compose"
)

const start = int64(1_700_000_000_000_000_000)

func rng(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

// parse reads a message made of lines.
func parse(tb testing.TB, text string) *sip.Message {
	tb.Helper()
	var m sip.Message
	if err := sip.Parse([]byte(text), &m); err != nil {
		tb.Fatalf("%v: %q", err, text)
	}
	return &m
}

// request is a request with headers and a body.
func request(tb testing.TB, method, uri string, cseq int, body string, headers []compose.Header) *sip.Message {
	tb.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP a.example;branch=z9hG4bK1\r\nFrom: <sip:a@a>;tag=1\r\nTo: <sip:b@b>\r\n", method, uri)
	fmt.Fprintf(&b, "Call-ID: c1\r\nCSeq: %d %s\r\n", cseq, method)
	writeHeaders(&b, headers)
	fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	return parse(tb, b.String())
}

// response is a response with headers.
func response(tb testing.TB, status, cseq int, callID string, headers []compose.Header) *sip.Message {
	tb.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "SIP/2.0 %d X\r\nVia: SIP/2.0/UDP a.example;branch=z9hG4bK1\r\nFrom: <sip:a@a>;tag=1\r\nTo: <sip:b@b>;tag=2\r\n", status)
	fmt.Fprintf(&b, "Call-ID: %s\r\nCSeq: %d REGISTER\r\n", callID, cseq)
	writeHeaders(&b, headers)
	b.WriteString("Content-Length: 0\r\n\r\n")
	return parse(tb, b.String())
}

func writeHeaders(b *strings.Builder, headers []compose.Header) {
	for _, h := range headers {
		fmt.Fprintf(b, "%s: %s\r\n", h.ID, h.Value)
	}
}

func bodyOf(m *sip.Message) []byte { return m.Body.Of(m.Raw) }

// passwords is a Lookup of one user.
func passwords(user, password string) func(string, string) (string, bool) {
	return func(u, _ string) (string, bool) { return password, u == user }
}

func newServer(tb testing.TB, change func(*ServerConfig)) *Server {
	tb.Helper()
	cfg := ServerConfig{Realm: "example.com", Lookup: passwords("alice", "secret"), Rand: rng(1)}
	if change != nil {
		change(&cfg)
	}
	s, err := NewServer(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// TestClientServer is the property that what a client answers its server accepts, and nobody else's.
func TestClientServer(t *testing.T) {
	t.Parallel()
	users := []string{"alice", `al"ice\`, "J\u00e4s\u00f8n Doe"}
	for _, alg := range Algorithms() {
		for _, qop := range [][]string{{}, {"auth"}, {"auth-int"}, {"auth", "auth-int"}, {"auth-int", "auth"}} {
			for _, proxy := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %v proxy=%t", alg, qop, proxy), func(t *testing.T) {
					t.Parallel()
					for i, user := range users {
						roundTrip(t, alg, qop, proxy, user, i == 1)
					}
				})
			}
		}
	}
}

func roundTrip(t *testing.T, alg Algorithm, qop []string, proxy bool, user string, odd bool) {
	t.Helper()
	realm := "example.com"
	if odd {
		realm = `the "best" realm\`
	}
	s := newServer(t, func(c *ServerConfig) {
		c.Realm, c.Algorithms, c.QOP, c.Proxy, c.Opaque = realm, []Algorithm{alg}, qop, proxy, `o"p`
		c.Lookup = passwords(user, "se:cret")
	})
	hashed := newServer(t, func(c *ServerConfig) {
		c.Realm, c.Algorithms, c.QOP, c.Proxy, c.Lookup = realm, []Algorithm{alg}, qop, proxy, nil
		c.LookupHA1 = func(u, r string, a Algorithm) (string, bool) {
			return strings.ToUpper(HA1(a, u, r, "se:cret")), u == user
		}
	})
	for _, srv := range []*Server{s, hashed} {
		c, wrong := NewClient(Credentials{User: user, Password: "se:cret"}), NewClient(Credentials{User: user, Password: "no"})
		ha1 := NewClient(Credentials{User: user, HA1: HA1(alg, user, realm, "se:cret"), Algorithm: alg, Realm: realm})
		c.Rand, wrong.Rand = rng(2), rng(3)
		for n, method := range []string{"REGISTER", "INVITE", "SUBSCRIBE", "BYE"} {
			body := strings.Repeat("v=0\r\n", n)
			uri := "sip:" + strings.ToLower(method) + "@example.com;x=1"
			first := srv.Check(start, request(t, method, uri, 1, body, nil), []byte(body))
			if first.Outcome != Challenge || len(first.Headers) != 1 || first.Status != 401 && !proxy || first.Status != 407 && proxy {
				t.Fatalf("%s without credentials: %+v", method, first)
			}
			resp := response(t, first.Status, 10*n+1, "x", first.Headers)
			for _, cl := range []*Client{c, ha1} {
				own := srv.Check(start, request(t, method, uri, 1, body, nil), []byte(body)) // a nonce for each
				answer, err := cl.Answer(response(t, first.Status, 10*n+1, "x", own.Headers), method, uri, []byte(body))
				if err != nil || len(answer) != 1 {
					t.Fatalf("%s: answer %v, %v", method, answer, err)
				}
				req := request(t, method, uri, 2, body, answer)
				r := srv.Check(start+1, req, bodyOf(req))
				if r.Outcome != OK || r.User != user {
					t.Fatalf("%s: %+v for %s after %s", method, r, answer[0].Value, first.Headers[0].Value)
				}
				info, ok := srv.Info(start+1, &r, []byte("back"))
				if ok != (len(qop) > 0) {
					t.Fatalf("Info %v, %t", info, ok)
				}
				if ok {
					good := parse(t, "SIP/2.0 200 OK\r\n"+info.ID.String()+": "+info.Value+"\r\nContent-Length: 4\r\n\r\nback")
					if err := cl.Info(good, uri); err != nil {
						t.Fatalf("Info %s: %v", info.Value, err)
					}
					if err := cl.Info(good, uri+"x"); !errors.Is(err, ErrRspauth) {
						t.Fatalf("Info for another URI: %v", err)
					}
				}
				again := srv.Check(start+2, req, bodyOf(req))
				if len(qop) > 0 && (again.Outcome != Challenge || !again.Stale) {
					t.Fatalf("replay: %+v", again)
				}
				next := cl.Preempt("MESSAGE", "sip:m@example.com", nil)
				if r := srv.Check(start+3, request(t, "MESSAGE", "sip:m@example.com", 3, "", next), nil); r.Outcome != OK {
					t.Fatalf("preempt: %+v for %v", r, next)
				}
				if r := srv.Check(start+3, request(t, "MESSAGE", "sip:m@example.com", 3, "x", next), []byte("x")); r.Outcome == OK &&
					len(qop) == 1 && qop[0] == "auth-int" {
					t.Fatalf("another body: %+v", r)
				}
			}
			answer, err := wrong.Answer(resp, method, uri, []byte(body))
			if err != nil {
				t.Fatal(err)
			}
			if r := srv.Check(start+1, request(t, method, uri, 2, body, answer), []byte(body)); r.Outcome != Forbidden || r.Status != 403 {
				t.Fatalf("wrong password: %+v", r)
			}
		}
	}
}

func TestServerRefuses(t *testing.T) {
	t.Parallel()
	const uri = "sip:example.com"
	good := func(s *Server, now int64, change func(*Credentials)) []compose.Header {
		cr := Credentials{User: "alice", Password: "secret"}
		if change != nil {
			change(&cr)
		}
		c := NewClient(cr)
		first := s.Check(now, request(t, "REGISTER", uri, 1, "", nil), nil)
		h, err := c.Answer(response(t, first.Status, 1, "x", first.Headers), "REGISTER", uri, nil)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	edit := func(h []compose.Header, old, replacement string) []compose.Header {
		if !strings.Contains(h[0].Value, old) {
			t.Fatalf("no %q in %s", old, h[0].Value)
		}
		return []compose.Header{{ID: h[0].ID, Value: strings.Replace(h[0].Value, old, replacement, 1)}}
	}
	check := func(s *Server, now int64, h []compose.Header) Result {
		return s.Check(now, request(t, "REGISTER", uri, 2, "", h), nil)
	}
	s := newServer(t, nil)
	plain := func() []compose.Header { return good(s, start, nil) }
	for _, tt := range []struct {
		name  string
		got   Result
		want  Outcome
		code  int
		stale bool
	}{
		{"right", check(s, start, plain()), OK, 0, false},
		{"just in time", check(s, start+defaultNonceLife, plain()), OK, 0, false},
		{"too old", check(s, start+defaultNonceLife+1, plain()), Challenge, 401, true},
		{"too old and wrong", check(s, start+defaultNonceLife+1, edit(plain(), `response="`, `response="f`)), Forbidden, 403, false},
		{"from the future", check(s, start-1, plain()), Challenge, 401, true},
		{"unknown user", check(s, start, good(s, start, func(c *Credentials) { c.User = "bob" })), Forbidden, 403, false},
		{"user of the empty password", check(s, start, good(s, start, func(c *Credentials) { c.User, c.Password = "bob", "" })), Forbidden, 403, false},
		{"another realm", check(s, start, edit(plain(), "example.com", "other.com")), Challenge, 401, false},
		{"another scheme", check(s, start, edit(plain(), "Digest", "Basic")), Challenge, 401, false},
		{"algorithm not offered", check(s, start, edit(plain(), "algorithm=SHA-256", "algorithm=SHA-512-256")), Challenge, 401, false},
		{"algorithm unknown", check(s, start, edit(plain(), "algorithm=SHA-256", "algorithm=AKAv1-MD5")), Challenge, 401, false},
		{"qop not offered", check(s, start, edit(plain(), "qop=auth", "qop=auth-int")), Challenge, 401, false},
		{"qop left out with SHA-256", check(s, start, edit(plain(), "qop=auth, nc=00000001", "x=y")), Challenge, 401, false},
		{"count of 0", check(s, start, edit(plain(), "nc=00000001", "nc=00000000")), Challenge, 401, false},
		{"no count", check(s, start, edit(plain(), "nc=00000001", "nc=zz")), Challenge, 401, false},
		{"another count", check(s, start, edit(plain(), "nc=00000001", "nc=00000002")), Forbidden, 403, false},
		{"no response", check(s, start, edit(plain(), "response=", "responze=")), Challenge, 401, false},
		{"cut response", check(s, start, edit(plain(), `response="`, `response="", x="`)), Forbidden, 403, false},
		{"a nonce that nobody made", check(s, start, edit(plain(), `nonce="`, `nonce="x`)), Challenge, 401, false},
		{"a nonce of another server", check(newServer(t, func(c *ServerConfig) { c.Rand = rng(9) }), start, plain()), Challenge, 401, true},
		{"an ACK", s.Check(start, request(t, "ACK", uri, 1, "", nil), nil), OK, 0, false},
		{"a CANCEL", s.Check(start, request(t, "CANCEL", uri, 1, "", nil), nil), OK, 0, false},
	} {
		if tt.got.Outcome != tt.want || tt.got.Status != tt.code || tt.got.Stale != tt.stale {
			t.Errorf("%s: %s %d stale=%t, want %s %d stale=%t", tt.name, tt.got.Outcome, tt.got.Status, tt.got.Stale, tt.want, tt.code, tt.stale)
		}
		if tt.got.Outcome == Challenge {
			for _, h := range tt.got.Headers {
				if strings.Contains(h.Value, "stale=true") != tt.stale {
					t.Errorf("%s: %s", tt.name, h.Value)
				}
			}
		}
	}
	strict := newServer(t, func(c *ServerConfig) { c.StrictURI = true })
	h := good(strict, start, nil)
	if r := strict.Check(start, request(t, "REGISTER", "sip:elsewhere", 2, "", h), nil); r.Outcome != Forbidden || r.Status != 400 {
		t.Errorf("strict with another Request-URI: %+v", r)
	}
	if r := strict.Check(start, request(t, "REGISTER", uri, 2, "", h), nil); r.Outcome != OK {
		t.Errorf("strict with the same Request-URI: %+v", r)
	}
	if r := s.Check(start, request(t, "REGISTER", "sip:rewritten", 2, "", plain()), nil); r.Outcome != OK {
		t.Errorf("lenient with a rewritten Request-URI: %+v", r)
	}
}

// TestRFC2069 has a client of 1997 served: no algorithm, no qop.
func TestRFC2069(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	first := s.Check(start, request(t, "REGISTER", "sip:example.com", 1, "", nil), nil)
	chal, _ := sip.ParseChallenge([]byte(first.Headers[1].Value))
	p := proof{algorithm: MD5, nonce: chal.Nonce, method: []byte("REGISTER"), uri: []byte("sip:example.com")}
	resp, _ := p.append(nil, []byte(HA1(MD5, "alice", "example.com", "secret")), nil)
	h := []compose.Header{{ID: sip.HeaderAuthorization, Value: fmt.Sprintf(
		`digest uri="sip:example.com" , RESPONSE="%s",nonce="%s",realm="example.com",username="alice"`,
		strings.ToUpper(string(resp)), chal.Nonce)}}
	r := s.Check(start, request(t, "REGISTER", "sip:example.com", 2, "", h), nil)
	if r.Outcome != OK || r.User != "alice" {
		t.Fatalf("%+v", r)
	}
	if _, ok := s.Info(start, &r, nil); ok {
		t.Error("Authentication-Info for a client that knows none")
	}
}

func TestServerConfig(t *testing.T) {
	t.Parallel()
	ok := passwords("a", "b")
	for name, cfg := range map[string]ServerConfig{
		"no lookup":         {Realm: "r", Rand: rng(1)},
		"no randomness":     {Realm: "r", Lookup: ok},
		"unknown algorithm": {Realm: "r", Lookup: ok, Rand: rng(1), Algorithms: []Algorithm{"ROT13"}},
		"unknown qop":       {Realm: "r", Lookup: ok, Rand: rng(1), QOP: []string{"auth-conf"}},
		"line break":        {Realm: "r\r\nX: y", Lookup: ok, Rand: rng(1)},
	} {
		if _, err := NewServer(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestNonceTable holds the table of counts at its limit, and every replay is rejected nevertheless.
func TestNonceTable(t *testing.T) {
	t.Parallel()
	const limit, life = 8, int64(time.Minute)
	s := newServer(t, func(c *ServerConfig) { c.Limit, c.NonceLife = limit, life })
	type use struct {
		key nonceKey
		nc  uint32
	}
	var used []use
	random := rng(5)
	accepted := 0
	for now := start; now < start+3*life; now += life / 100 {
		key, ok := s.nonces.read([]byte(s.nonces.make(now)))
		if !ok {
			t.Fatal("a nonce of its own is not known")
		}
		for nc := uint32(1); nc < 1+random.Uint32N(4); nc++ {
			if s.nonces.fresh(now, key) && s.nonces.use(now, key, nc) {
				used = append(used, use{key, nc})
				accepted++
			}
		}
		for _, u := range used {
			if s.nonces.fresh(now, u.key) && s.nonces.use(now, u.key, u.nc) {
				t.Fatalf("replay of count %d of a nonce %s old", u.nc, time.Duration(now-u.key.issued))
			}
		}
		if len(s.nonces.used) > limit || len(s.nonces.order) > limit {
			t.Fatalf("%d nonces are kept, %d in order", len(s.nonces.used), len(s.nonces.order))
		}
	}
	if accepted < 300 {
		t.Errorf("%d uses accepted: the table refuses what is new", accepted)
	}
}

func TestWindow(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		counts []uint32
		want   string // + accepted, - rejected
	}{
		"in order":        {[]uint32{1, 2, 3, 4}, "++++"},
		"again":           {[]uint32{1, 1, 2, 1, 2}, "+-+--"},
		"overtaken":       {[]uint32{3, 1, 2, 1, 4}, "+++-+"},
		"far ahead":       {[]uint32{1, 66, 2, 1, 65}, "++-"[:2] + "+-+"},
		"too far behind":  {[]uint32{100, 35, 36, 36}, "+-+-"},
		"the end of all":  {[]uint32{1<<32 - 1, 1<<32 - 1, 1<<32 - 2}, "+-+"},
		"a jump past all": {[]uint32{5, 1000, 5, 999}, "++-+"},
	} {
		var w window
		var got []byte
		for _, n := range tt.counts {
			got = append(got, map[bool]byte{true: '+', false: '-'}[w.use(n)])
		}
		if string(got) != tt.want {
			t.Errorf("%s: %v gave %s, want %s", name, tt.counts, got, tt.want)
		}
	}
}
