package auth

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"sipscope/decode/sip"
	"sipscope/element/compose"
)

func www(values ...string) []compose.Header { return headersOf(sip.HeaderWWWAuthenticate, values) }

func proxy(values ...string) []compose.Header { return headersOf(sip.HeaderProxyAuthenticate, values) }

func headersOf(id sip.HeaderID, values []string) []compose.Header {
	var out []compose.Header
	for _, v := range values {
		out = append(out, compose.Header{ID: id, Value: v})
	}
	return out
}

func TestAnswerChooses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		challenges []compose.Header
		want       []string // beginnings that each credentials have after "algorithm=" …
		err        error
	}{
		"the first supported, in the server's order (RFC 8760 2.4)": {
			challenges: www(`Digest realm="r",nonce="n",algorithm=SHA-999,qop="auth"`, `Digest realm="r",nonce="n2",algorithm=MD5,qop="auth"`,
				`Digest realm="r",nonce="n3",algorithm=SHA-256,qop="auth"`),
			want: []string{`Authorization r n2 MD5 auth 00000001`},
		},
		"each realm": {
			challenges: append(www(`Digest realm="r",nonce="n",qop="auth"`), proxy(`Digest realm="r",nonce="p",qop="auth-int"`,
				`Digest realm="s",nonce="q"`)...),
			want: []string{`Authorization r n  auth 00000001`, `Proxy-Authorization r p  auth-int 00000001`, `Proxy-Authorization s q   `},
		},
		"auth before auth-int": {
			challenges: www(`Digest realm="r",nonce="n",qop="auth-int, AUTH"`), want: []string{`Authorization r n  auth 00000001`},
		},
		"nothing":                 {err: ErrNoChallenge},
		"Basic":                   {challenges: www(`Basic realm="r"`), err: ErrNoChallenge},
		"no nonce":                {challenges: www(`Digest realm="r"`), err: ErrNoChallenge},
		"unknown qop":             {challenges: www(`Digest realm="r",nonce="n",qop="auth-conf"`), err: ErrNoChallenge},
		"a nonce without end":     {challenges: www(`Digest realm="r",nonce="` + strings.Repeat("n", maxNonceLength+1) + `"`), err: ErrNoChallenge},
		"a realm with line break": {challenges: www("Digest realm=\"r\r\n x\",nonce=\"n\""), err: ErrNoChallenge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := NewClient(Credentials{User: "u", Password: "p"})
			got, err := c.Answer(response(t, 401, 1, "x", tt.challenges), "INVITE", "sip:b@b", nil)
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			var said []string
			for _, h := range got {
				cr, _ := sip.ParseCredentials([]byte(h.Value))
				said = append(said, fmt.Sprintf("%s %s %s %s %s %s", h.ID, cr.Realm, cr.Nonce, cr.Algorithm, cr.QOP, cr.NC))
			}
			if strings.Join(said, "|") != strings.Join(tt.want, "|") {
				t.Errorf("got %q, want %q", said, tt.want)
			}
		})
	}
}

func TestAnswerRefused(t *testing.T) {
	t.Parallel()
	const n1, n2 = `Digest realm="r",nonce="n1",qop="auth"`, `Digest realm="r",nonce="n2",qop="auth"`
	type step struct {
		cseq      int
		challenge string
		refused   bool
	}
	for name, steps := range map[string][]step{
		"the same nonce twice":                      {{1, n1, false}, {2, n1, true}},
		"another nonce, not stale":                  {{1, n1, false}, {2, n2, true}},
		"stale":                                     {{1, n1, false}, {2, n2 + ",stale=true", false}},
		"stale, then wrong":                         {{1, n1, false}, {2, n2 + ",stale=true", false}, {3, n2, true}},
		"later, a server that has but one nonce":    {{1, n1, false}, {3, n1, false}, {5, n1, false}},
		"the next proxy on the way asks too":        {{1, n1, false}, {2, `Digest realm="s",nonce="m"`, false}, {3, n1, true}},
		"stale without end":                         {{1, n1, false}, {2, n1 + ",stale=true", false}, {3, n2 + ",stale=true", false}, {4, n1 + ",stale=true", false}, {5, n1 + ",stale=true", false}, {6, n1 + ",stale=true", false}, {7, n1 + ",stale=true", false}, {8, n1 + ",stale=true", false}, {9, n1 + ",stale=true", true}},
		"a wrong password stays wrong, again asked": {{1, n1, false}, {2, n1, true}, {7, n1, false}, {8, n2, true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := NewClient(Credentials{User: "u", Password: "p"})
			for i, s := range steps {
				// Another call of the same client in between must not hide the loop.
				if _, err := c.Answer(response(t, 401, 100+2*i, "other", www(n1)), "INVITE", "sip:b@b", nil); err != nil {
					t.Fatal(err)
				}
				_, err := c.Answer(response(t, 401, s.cseq, "x", www(s.challenge)), "INVITE", "sip:b@b", nil)
				if errors.Is(err, ErrRefused) != s.refused || (err != nil) != s.refused {
					t.Fatalf("step %d: %v, want refused=%t", i+1, err, s.refused)
				}
			}
		})
	}
}

// TestAnswerChain has the second proxy's challenge answered with the credentials for the first too (RFC 3261 22.3).
func TestAnswerChain(t *testing.T) {
	t.Parallel()
	c := NewClient(Credentials{User: "u", Password: "p"}, Credentials{User: "v", Password: "q", Realm: "s"})
	first, err := c.Answer(response(t, 407, 1, "x", proxy(`Digest realm="r",nonce="n",qop="auth"`)), "INVITE", "sip:b@b", nil)
	if err != nil || len(first) != 1 {
		t.Fatal(first, err)
	}
	second, err := c.Answer(response(t, 407, 2, "x", proxy(`Digest realm="s",nonce="m",qop="auth"`)), "INVITE", "sip:b@b", nil)
	if err != nil || len(second) != 2 || !strings.Contains(second[0].Value, "nc=00000002") || !strings.Contains(second[1].Value, `username="v"`) {
		t.Fatal(second, err)
	}
	if other, _ := c.Answer(response(t, 407, 1, "y", proxy(`Digest realm="s",nonce="m",qop="auth"`)), "INVITE", "sip:b@b", nil); len(other) != 1 {
		t.Errorf("another request got %v", other)
	}
	if all := c.Preempt("BYE", "sip:b@b", nil); len(all) != 2 {
		t.Errorf("preempt: %v", all)
	}
	for _, uri := range []string{`sip:"b@b`, " ", "sip:b\r\nX: y", `sip:b\`} {
		if none := c.Preempt("BYE", uri, nil); none != nil {
			t.Errorf("URI %q: %v", uri, none)
		}
	}
}

func TestNextNonce(t *testing.T) {
	t.Parallel()
	c := NewClient(Credentials{User: "u", Password: "p"})
	if _, err := c.Answer(response(t, 401, 1, "x", www(`Digest realm="r",nonce="n",qop="auth"`)), "INVITE", "sip:b@b", nil); err != nil {
		t.Fatal(err)
	}
	info := headersOf(sip.HeaderAuthenticationInfo, []string{`nextnonce="n2"`})
	if err := c.Info(response(t, 200, 2, "x", info), "sip:b@b"); err != nil {
		t.Fatal(err)
	}
	got := c.Preempt("BYE", "sip:b@b", nil)
	if len(got) != 1 || !strings.Contains(got[0].Value, `nonce="n2"`) || !strings.Contains(got[0].Value, "nc=00000001") {
		t.Errorf("after nextnonce: %v", got)
	}
}

// TestServerNextNonce follows the server into its next nonce without a challenge.
func TestServerNextNonce(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	c := NewClient(Credentials{User: "alice", Password: "secret"})
	first := s.Check(start, request(t, "REGISTER", "sip:e", 1, "", nil), nil)
	h, err := c.Answer(response(t, 401, 1, "x", first.Headers), "REGISTER", "sip:e", nil)
	if err != nil {
		t.Fatal(err)
	}
	for now := start; now < start+10*defaultNonceLife; now += defaultNonceLife / 5 {
		r := s.Check(now, request(t, "REGISTER", "sip:e", 2, "", h), nil)
		if r.Outcome != OK {
			t.Fatalf("%d s: %+v", (now-start)/1e9, r)
		}
		info, _ := s.Info(now, &r, nil)
		if err := c.Info(response(t, 200, 2, "x", []compose.Header{info}), "sip:e"); err != nil {
			t.Fatal(err)
		}
		h = c.Preempt("REGISTER", "sip:e", nil)
	}
}

// TestClientBounds has a server that invents realms, and many calls.
func TestClientBounds(t *testing.T) {
	t.Parallel()
	c := NewClient(Credentials{User: "u", Password: "p"})
	ask := func(cseq, call, realm int) error {
		m := response(t, 401, cseq, fmt.Sprint("c", call), www(fmt.Sprintf(`Digest realm="r%d",nonce="n"`, realm)))
		_, err := c.Answer(m, "INVITE", "sip:b@b", nil)
		return err
	}
	for i := range 2 * maxSpaces {
		if err := ask(1, -i, i); (err == nil) != (i < maxSpaces) {
			t.Fatalf("realm %d: %v", i, err)
		}
	}
	for i := range maxChains + 100 {
		if err := ask(1, 1+i, i%maxSpaces); err != nil {
			t.Fatal(err)
		}
	}
	if len(c.spaces) != maxSpaces || len(c.chains) != maxChains || len(c.order) != maxChains {
		t.Errorf("%d spaces, %d chains, %d in order", len(c.spaces), len(c.chains), len(c.order))
	}
	if err := ask(2, maxChains+100, (maxChains+99)%maxSpaces); !errors.Is(err, ErrRefused) {
		t.Errorf("the newest call is forgotten: %v", err)
	}
	if err := ask(2, 1, 0); err != nil {
		t.Errorf("the oldest call is not forgotten: %v", err)
	}
}

// TestHA1 has credentials with a hash answer only challenges of its algorithm and its realm.
func TestHA1(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		credentials Credentials
		challenge   string
		ok          bool
	}{
		"MD5 by its length":     {Credentials{HA1: HA1(MD5, "u", "r", "p")}, `Digest realm="r",nonce="n"`, true},
		"SHA-256 by its length": {Credentials{HA1: HA1(SHA256, "u", "r", "p")}, `Digest realm="r",nonce="n",algorithm=SHA-256`, true},
		"SHA-512-256 by name": {
			Credentials{HA1: HA1(SHA512x256, "u", "r", "p"), Algorithm: SHA512x256},
			`Digest realm="r",nonce="n",algorithm=sha-512-256-SESS,qop="auth"`, true,
		},
		"another algorithm": {Credentials{HA1: HA1(MD5, "u", "r", "p")}, `Digest realm="r",nonce="n",algorithm=SHA-256`, false},
		"another realm":     {Credentials{HA1: HA1(MD5, "u", "r", "p"), Realm: "r"}, `Digest realm="s",nonce="n"`, false},
	} {
		tt.credentials.User = "u"
		_, err := NewClient(tt.credentials).Answer(response(t, 401, 1, "x", www(tt.challenge)), "INVITE", "sip:b@b", nil)
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParam(t *testing.T) {
	t.Parallel()
	const list = "nextnonce=\"a,b=c\\\"d\" ,\r\n QOP = auth,nc=00000001, empty=, rspauth=\"\""
	for name, want := range map[string]string{"nextnonce": `a,b=c\"d`, "qop": "auth", "nc": "00000001", "empty": "", "rspauth": ""} {
		if got, ok := param([]byte(list), name); !ok || string(got) != want {
			t.Errorf("%s: %q, %t, want %q", name, got, ok, want)
		}
	}
	if got, ok := param([]byte(list), "b"); ok {
		t.Errorf("found %q inside of a quoted value", got)
	}
}

// FuzzAnswer gives a client any challenge and any Authentication-Info. What it answers must be one line that reads back.
func FuzzAnswer(f *testing.F) {
	f.Add(`Digest realm="r",nonce="n",qop="auth"`, `nextnonce="x", rspauth="00", nc=00000001, cnonce="a", qop=auth`, "sip:b@b")
	f.Add(`Digest realm="r\"q",nonce="n\\",algorithm=SHA-256-sess,opaque=""`, `rspauth="\`, "sip:b")
	f.Add("Digest realm=\"r\r\n x\",nonce=n", "qop", `"`)
	f.Fuzz(func(t *testing.T, challenge, info, uri string) {
		var m sip.Message
		text := "SIP/2.0 401 X\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nWWW-Authenticate: " + challenge + "\r\nAuthentication-Info: " + info + "\r\n\r\n"
		if sip.Parse([]byte(text), &m) != nil {
			return
		}
		c := NewClient(Credentials{User: "u", Password: "p"})
		h, err := c.Answer(&m, "INVITE", uri, nil)
		_ = c.Info(&m, uri)
		if err != nil {
			return
		}
		for _, one := range append(h, c.Preempt("BYE", uri, nil)...) {
			if strings.ContainsAny(one.Value, "\r\n\x00") {
				t.Fatalf("%q", one.Value)
			}
			cr, ok := sip.ParseCredentials([]byte(one.Value))
			if !ok || len(cr.Response) < 32 || string(cr.URI) != uri || string(cr.Username) != "u" {
				t.Fatalf("%q reads as %+v", one.Value, cr)
			}
		}
	})
}

// FuzzCheck gives a server any credentials: nothing but the right ones is OK.
func FuzzCheck(f *testing.F) {
	f.Add(`Digest username="alice",realm="example.com",nonce="n",uri="sip:e",response="00",qop=auth,nc=00000001,cnonce="c"`, true)
	f.Add(`Digest username="al\ice",realm="example.com",nonce="@",uri="",response="00"`, false)
	f.Fuzz(func(t *testing.T, value string, own bool) {
		s := newServer(t, nil)
		if own { // a nonce of the server's
			value = strings.Replace(value, "@", s.nonces.make(start), 1)
		}
		var m sip.Message
		if sip.Parse([]byte("REGISTER sip:e SIP/2.0\r\nAuthorization: "+value+"\r\n\r\n"), &m) != nil {
			return
		}
		if r := s.Check(start, &m, nil); r.Outcome == OK {
			t.Fatalf("%q: %+v", value, r)
		}
	})
}

func BenchmarkCheck(b *testing.B) {
	for _, alg := range []Algorithm{MD5, SHA256} {
		b.Run(string(alg), func(b *testing.B) {
			b.ReportAllocs()
			s := newServer(b, func(c *ServerConfig) { c.Algorithms, c.QOP = []Algorithm{alg}, []string{} })
			c := NewClient(Credentials{User: "alice", Password: "secret"})
			first := s.Check(start, request(b, "INVITE", "sip:e", 1, "", nil), nil)
			h, err := c.Answer(response(b, 401, 1, "x", first.Headers), "INVITE", "sip:e", nil)
			if err != nil {
				b.Fatal(err)
			}
			m := request(b, "INVITE", "sip:e", 2, "", h)
			for b.Loop() {
				if r := s.Check(start, m, nil); r.Outcome != OK {
					b.Fatal(r)
				}
			}
		})
	}
}

func BenchmarkChallenge(b *testing.B) {
	b.ReportAllocs()
	s := newServer(b, nil)
	m := request(b, "INVITE", "sip:e", 1, "", nil)
	for b.Loop() {
		s.Check(start, m, nil)
	}
}

func BenchmarkAnswer(b *testing.B) {
	b.ReportAllocs()
	c := NewClient(Credentials{User: "alice", Password: "secret"})
	m := response(b, 401, 1, "x", www(`Digest realm="r",nonce="n",qop="auth",algorithm=SHA-256`))
	for b.Loop() {
		if _, err := c.Answer(m, "INVITE", "sip:b@b", nil); err != nil {
			b.Fatal(err)
		}
	}
}
