package proxy

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sipscope/element/auth"
	"sipscope/element/transport"
)

// TestValidation has a row for each rule of RFC 3261 16.3 and 16.5, for both kinds of proxy.
func TestValidation(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, method, uri string
		more              []string
		status            string
		header, value     string
	}{
		{"scheme", "INVITE", "nobodyKnows:this", nil, "416", "", ""},
		{"tel without gateway", "INVITE", "tel:+491", nil, "404", "", ""},
		{"Max-Forwards", "INVITE", "sip:bob@10.0.2.1", []string{"Max-Forwards: 0"}, "483", "", ""},
		{"OPTIONS with Max-Forwards 0", "OPTIONS", "sip:bob@10.0.2.1", []string{"Max-Forwards: 0"}, "483", "", ""},
		{"OPTIONS of the proxy with Max-Forwards 0", "OPTIONS", "sip:10.0.0.1", []string{"Max-Forwards: 0"}, "200", "Allow", "OPTIONS"},
		{"OPTIONS of the proxy", "OPTIONS", "sip:10.0.0.1", nil, "200", "Server", "px"},
		{"another method for the proxy", "MESSAGE", "sip:10.0.0.1", nil, "404", "", ""},
		{
			"Proxy-Require", "INVITE", "sip:bob@10.0.2.1",
			[]string{"Proxy-Require: foo, bar", "Proxy-Require: baz"},
			"420", "Unsupported", "foo, bar, baz",
		},
		{"unknown user", "INVITE", "sip:nobody@b.com", nil, "404", "", ""},
		{"known user without contact", "INVITE", "sip:idle@B.COM", nil, "480", "", ""},
		{"own address", "INVITE", "sip:nobody@10.0.0.1", nil, "404", "", ""},
		{"Max-Breadth", "INVITE", "sip:bob@10.0.2.1", []string{"Max-Breadth: 0"}, "440", "", ""},
		{"no resolver", "INVITE", "sip:bob@nowhere.org", nil, "500", "", ""},
		{"CSeq", "INVITE", "sip:bob@10.0.2.1", []string{"CSeq: 1 BYE"}, "400", "", ""},
	} {
		for _, stateless := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/stateless=%v", tc.name, stateless), func(t *testing.T) {
				t.Parallel()
				cfg := bCom(1000, 500)
				cfg.Server = "px"
				r := newRig(t, cfg)
				if stateless {
					r.stateless(cfg)
				}
				alice, bob := r.peer(aliceAddr), r.peer(bobAddr)
				alice.udp(request(tc.method, tc.uri, "x1", tc.more...))
				r.run(5 * ms)
				bob.none()
				got := alice.take()
				if strings.HasPrefix(got, "SIP/2.0 100") {
					got = alice.take()
				}
				if !strings.HasPrefix(got, "SIP/2.0 "+tc.status) {
					t.Fatalf("got %q, want %s", got, tc.status)
				}
				if tc.header != "" && !cmp.Equal(headerOf(t, got, tc.header), []string{tc.value}) {
					t.Errorf("%s: %q", tc.header, headerOf(t, got, tc.header))
				}
				if parse(t, got).To.Tag.Empty() {
					t.Error("no To tag")
				}
			})
		}
	}
}

// TestClosed: what only its sender sends somewhere is refused; users, the table, and dialogs are served.
func TestClosed(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, method, uri string
		more              []string
		status            string // "": it is sent on
	}{
		{"own user", "INVITE", "sip:bob@b.com", nil, ""},
		{"somebody else", "INVITE", "sip:bob@10.0.2.1", nil, "403"},
		{"route of the sender", "INVITE", "sip:bob@b.com", []string{"Route: <sip:10.0.0.1;lr>, <sip:10.0.2.1;lr>"}, "403"},
		{"table", "INVITE", "sip:00491@nowhere.org", nil, ""},
		{"not by a Route", "BYE", "sip:bob@10.0.2.1", []string{"Route: <sip:10.0.0.1;lr>", "totag x"}, "403"},
		{"not by a dialog's looks", "BYE", "sip:bob@10.0.2.1", []string{"totag x"}, "403"},
	} {
		for _, stateless := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/stateless=%v", tc.name, stateless), func(t *testing.T) {
				t.Parallel()
				cfg := bCom(1000, 500)
				cfg.Closed = true
				cfg.Routes = []Route{{Prefix: "00", URI: "sip:10.0.2.1"}}
				r := newRig(t, cfg)
				if stateless {
					r.stateless(cfg)
				}
				alice, bob := r.peer(aliceAddr), r.peer(bobAddr)
				alice.udp(request(tc.method, tc.uri, "x1", tc.more...))
				r.run(5 * ms)
				if tc.status == "" {
					bob.takeLine(tc.method)
					return
				}
				bob.none()
				alice.takeLine("SIP/2.0 " + tc.status)
			})
		}
	}
}

// TestSealed: what comes with the Record-Route of a dialog that was let through goes on; with that of another one, or in
// one that looks as if it were one, it does not: not past a closed proxy, and not past passwords.
func TestSealed(t *testing.T) {
	t.Parallel()
	for _, strict := range []bool{false, true} {
		cfg := bCom(1000, 500)
		cfg.Closed, cfg.RecordRoute, cfg.StrictRoute = true, true, strict
		r := newRig(t, cfg)
		alice, bob := r.peer(aliceAddr), r.peer(bobAddr)
		r.peer(bob2Addr)
		alice.udp(request("INVITE", "sip:bob@b.com", "x1"))
		r.run(5 * ms)
		routes := headerOf(t, bob.takeLine("INVITE"), "Record-Route")
		if len(routes) != 1 || !strings.Contains(routes[0], ";d=") {
			t.Fatalf("Record-Route %q", routes)
		}
		alice.takeLine("SIP/2.0 100")
		within := func(callID string) string {
			uri, route := "sip:bob@10.0.2.1", "Route: "+routes[0]
			if strict {
				uri, route = strings.Trim(routes[0], "<>"), "Route: <sip:bob@10.0.2.1>"
			}
			return strings.ReplaceAll(request("BYE", uri, "y"+callID, route, "totag x"), "c1@a", callID)
		}
		alice.udp(within("c1@a"))
		r.run(5 * ms)
		bob.takeLine("BYE sip:bob@10.0.2.1")
		alice.udp(within("c2@a"))
		alice.udp(strings.ReplaceAll(within("c3@a"), "BYE", "ACK"))
		r.run(5 * ms)
		alice.takeLine("SIP/2.0 403")
		bob.none()
	}
}

// TestAuthInDialog: a To tag is no password.
func TestAuthInDialog(t *testing.T) {
	t.Parallel()
	cfg := bCom(1000, 500)
	server, err := auth.NewServer(auth.ServerConfig{
		Realm: "b.com", Proxy: true, Rand: rand.New(rand.NewPCG(1, 1)), Lookup: func(string, string) (string, bool) { return "", false },
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Auth, cfg.Realm = server, "b.com"
	r := newRig(t, cfg)
	alice, bob := r.peer(aliceAddr), r.peer(bobAddr)
	for i, method := range []string{"INVITE", "BYE", "MESSAGE", "ACK"} {
		alice.udp(request(method, "sip:x@10.0.2.1", fmt.Sprint("z", i), "Route: <sip:10.0.0.1;lr>", "totag x"))
		r.run(5 * ms)
		if method != "ACK" {
			alice.takeLine("SIP/2.0 407")
		}
		bob.none()
	}
}

// TestSips: a request to a sips URI leaves over TLS or not at all.
func TestSips(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{"sips:bob@b.com", "sips:00491@nowhere.org"} {
		cfg := bCom(1000, 500)
		cfg.Routes = []Route{{Prefix: "00", URI: "sip:10.0.2.1"}}
		r := newRig(t, cfg)
		alice, bob, bob2 := r.peer(aliceAddr), r.peer(bobAddr), r.peer(bob2Addr)
		alice.udp(request("INVITE", uri, "s"))
		r.run(5 * ms)
		bob.none()
		bob2.none()
		alice.takeLine("SIP/2.0 100")
		alice.takeLine("SIP/2.0 500")
	}
}

// stateless has a stateless proxy run where the stateful one did.
func (r *rig) stateless(cfg Config) *Stateless {
	r.t.Helper()
	cfg.Rand, cfg.Listeners = rand.New(rand.NewPCG(3, 4)), r.host.Listeners()
	s, err := NewStateless(cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	s.Attach(r.host)
	r.host.Attach(s)
	return s
}

// TestAuth: 407, then the credentials are taken and not sent on; who is trusted is not asked.
func TestAuth(t *testing.T) {
	t.Parallel()
	server, err := auth.NewServer(auth.ServerConfig{
		Realm: "b.com", Proxy: true, Rand: rand.New(rand.NewPCG(5, 6)),
		Lookup: func(user, _ string) (string, bool) { return "secret", user == "alice" },
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{Auth: server, Realm: "b.com", Trust: []netip.Prefix{netip.MustParsePrefix("10.0.2.0/24")}}
	r := newRig(t, cfg)
	alice, bob := r.peer(aliceAddr), r.peer(bobAddr)
	alice.udp(request("INVITE", "sip:bob@10.0.2.1", "x1"))
	r.run(5 * ms)
	bob.none()
	got := alice.takeLine("SIP/2.0 407")
	alice.udp(strings.Replace(request("ACK", "sip:bob@10.0.2.1", "x1", "totag x"), "CSeq: 2", "CSeq: 1", 1))
	client := auth.NewClient(auth.Credentials{User: "alice", Password: "secret"})
	headers, err := client.Answer(parse(t, got), "INVITE", "sip:bob@10.0.2.1", nil)
	if err != nil || len(headers) != 1 {
		t.Fatal(headers, err)
	}
	other := `Proxy-Authorization: Digest realm="other", nonce="1", response="2"`
	alice.udp(strings.Replace(request("INVITE", "sip:bob@10.0.2.1", "x2", other, "Proxy-Authorization: "+headers[0].Value),
		"CSeq: 1", "CSeq: 2", 1))
	r.run(5 * ms)
	invite := bob.takeLine("INVITE")
	if d := cmp.Diff([]string{strings.TrimPrefix(other, "Proxy-Authorization: ")}, headerOf(t, invite, "Proxy-Authorization")); d != "" {
		t.Error(d)
	}
	bob.udp(strings.ReplaceAll(request("MESSAGE", "sip:alice@10.0.1.1", "y"), "UDP 10.0.1.1", "UDP 10.0.2.1"))
	r.run(5 * ms)
	alice.takeLine("SIP/2.0 100")
	alice.takeLine("MESSAGE")
}

// TestChallenges: all challenges of all branches reach the caller (16.7 step 7).
func TestChallenges(t *testing.T) {
	t.Parallel()
	r := newRig(t, bCom(1000, 1000))
	alice, bob, bob2 := r.peer(aliceAddr), r.peer(bobAddr), r.peer(bob2Addr)
	alice.udp(request("INVITE", "sip:bob@b.com", "a1"))
	r.run(5 * ms)
	bob.reply(bob.take(), 407, "b1", `Proxy-Authenticate: Digest realm="1"`, `Proxy-Authenticate: Digest realm="2"`)
	bob2.reply(bob2.take(), 401, "b2", `WWW-Authenticate: Digest realm="3"`)
	r.run(5 * ms)
	alice.takeLine("SIP/2.0 100")
	got := alice.takeLine("SIP/2.0 407")
	all := append(headerOf(t, got, "Proxy-Authenticate"), headerOf(t, got, "WWW-Authenticate")...)
	if d := cmp.Diff([]string{`Digest realm="1"`, `Digest realm="2"`, `Digest realm="3"`}, all); d != "" {
		t.Error(d)
	}
	r.idle()
}

// TestBest has the responses of two branches and what becomes of them (16.7 step 6).
func TestBest(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		method        string
		first, second int
		want          string
	}{
		{"INVITE", 486, 404, "486"},
		{"INVITE", 486, 401, "401"},
		{"INVITE", 500, 480, "480"},
		{"INVITE", 503, 500, "500"},
		{"INVITE", 503, 503, "500"},
		{"INVITE", 404, 302, "302"},
		{"INVITE", 302, 603, "603"},
		{"INVITE", 408, 486, "486"},
		{"INVITE", 408, 408, "408"},
		{"INVITE", 404, 600, "600"},
		{"MESSAGE", 408, 408, ""},
		{"MESSAGE", 408, 404, "404"},
		{"MESSAGE", 503, 408, ""},
		{"MESSAGE", 404, 200, "200"},
	} {
		for _, fork := range []Fork{ForkByQ, ForkSerial} {
			cfg := bCom(1000, 1000)
			cfg.Fork = fork
			r := newRig(t, cfg)
			alice, bob, bob2 := r.peer(aliceAddr), r.peer(bobAddr), r.peer(bob2Addr)
			alice.udp(request(tc.method, "sip:bob@b.com", "a1"))
			r.run(5 * ms)
			bob.reply(bob.take(), tc.first, "b1", "Retry-After: 7")
			r.run(5 * ms)
			if fork == ForkByQ || tc.first < 600 {
				bob2.reply(bob2.take(), tc.second, "b2")
			}
			r.run(5 * ms)
			var finals []string
			for _, m := range alice.got {
				if !strings.HasPrefix(m, "SIP/2.0 1") {
					finals = append(finals, m[8:11])
					if tc.want == "500" && tc.second == 503 && strings.Contains(m, "Retry-After") {
						t.Error(m)
					}
				}
			}
			if got := strings.Join(finals, " "); got != tc.want {
				t.Errorf("%s %d and %d by %d: got %q, want %q", tc.method, tc.first, tc.second, fork, got, tc.want)
			}
			r.idle()
		}
	}
}

// TestDecline: a 6xx ends all (16.7 step 5).
func TestDecline(t *testing.T) {
	t.Parallel()
	r := newRig(t, bCom(1000, 1000))
	alice, bob, bob2 := r.peer(aliceAddr), r.peer(bobAddr), r.peer(bob2Addr)
	alice.udp(request("INVITE", "sip:bob@b.com", "a1"))
	r.run(5 * ms)
	i1, i2 := bob.take(), bob2.take()
	bob2.reply(i2, 180, "b2")
	r.run(5 * ms)
	bob.reply(i1, 603, "b1")
	r.run(5 * ms)
	alice.takeLine("SIP/2.0 100")
	alice.takeLine("SIP/2.0 180")
	alice.none() // it waits for the end of the other branch
	bob2.reply(bob2.takeLine("CANCEL"), 200, "b2")
	bob2.reply(i2, 487, "b2")
	r.run(5 * ms)
	alice.takeLine("SIP/2.0 603")
	r.idle()
}

// TestRecurse follows a 302, the best contact first, and none twice.
func TestRecurse(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{Recurse: true, Fork: ForkSerial})
	alice, bob, bob2, carol := r.peer(aliceAddr), r.peer(bobAddr), r.peer(bob2Addr), r.peer(carolAddr)
	alice.udp(request("INVITE", "sip:bob@10.0.2.1", "a1"))
	r.run(5 * ms)
	bob.reply(bob.take(), 302, "b1",
		"Contact: <sip:carol@10.0.2.3>;q=0.2, <mailto:x@y>, <sip:bob@10.0.2.1>, <sip:bob@10.0.2.2>;q=0.7")
	r.run(5 * ms)
	carol.none()
	bob2.reply(bob2.takeLine("INVITE sip:bob@10.0.2.2 "), 302, "b2", "Contact: <sip:bob@10.0.2.1>")
	r.run(5 * ms)
	carol.reply(carol.takeLine("INVITE sip:carol@10.0.2.3 "), 200, "b3")
	r.run(5 * ms)
	alice.takeLine("SIP/2.0 100")
	alice.takeLine("SIP/2.0 200")
	alice.none()
	r.idle()
}

// TestFailover: the hops of one target in their order, by 503, timeout and a connection that cannot be made (RFC 3263 4.3).
func TestFailover(t *testing.T) {
	t.Parallel()
	dns := &fakeDNS{hops: map[string][]string{"b.org": {"tcp:10.0.2.9:5060", bobAddr, bob2Addr, carolAddr}}}
	r := newRig(t, Config{Resolver: dns})
	alice, bob, bob2, carol := r.peer(aliceAddr), r.peer(bobAddr), r.peer(bob2Addr), r.peer(carolAddr)
	alice.udp(request("INVITE", "sip:bob@b.org", "a1"))
	r.run(5 * ms)
	bob.reply(bob.take(), 503, "b1")
	r.run(5 * ms)
	bob2.take()
	carol.none()
	r.run(33 * time.Second)
	carol.reply(carol.takeLine("INVITE sip:bob@b.org "), 200, "b3")
	r.run(5 * ms)
	alice.takeLine("SIP/2.0 100")
	alice.takeLine("SIP/2.0 200")
	if s := r.proxy.Stats(); s.Failovers != 3 {
		t.Errorf("%+v", s)
	}
	r.idle()
}

// TestLater: a Resolver that takes its time, fails, is too late, or is asked too much.
func TestLater(t *testing.T) {
	t.Parallel()
	dns := &fakeDNS{hops: map[string][]string{"b.org": {bobAddr}}, later: true}
	r := newRig(t, Config{Resolver: dns, Resolving: 3})
	alice, bob := r.peer(aliceAddr), r.peer(bobAddr)
	alice.udp(request("INVITE", "sip:bob@b.org", "a1"))
	alice.udp(request("INVITE", "sip:bob@none.org", "a2"))
	alice.udp(request("INVITE", "sip:bob@b.org", "a3"))
	alice.udp(request("MESSAGE", "sip:bob@b.org", "a4"))
	alice.udp(request("ACK", "sip:bob@b.org", "a5"))
	r.run(5 * ms)
	for range 3 {
		alice.takeLine("SIP/2.0 100")
	}
	alice.takeLine("SIP/2.0 500 Next Hop Unresolvable") // the fourth: the limit
	alice.udp(request("CANCEL", "sip:bob@b.org", "a3"))
	r.run(5 * ms)
	alice.takeLine("SIP/2.0 200")
	alice.takeLine("SIP/2.0 487")
	alice.got = nil
	for _, f := range dns.wait {
		r.host.Post(f)
		r.host.Post(f) // a resolver that answers twice does no harm
	}
	r.run(5 * ms)
	bob.takeLine("INVITE sip:bob@b.org ")
	bob.none()
	alice.takeLine("SIP/2.0 500")
	dns.wait = nil
	alice.udp(request("ACK", "sip:bob@b.org", "a6"))
	r.run(5 * ms)
	r.host.Post(dns.wait[0])
	r.run(5 * ms)
	bob.takeLine("ACK")
	r.idle()
}

// TestLoopAndSpiral: a proxy that sends to itself. The same Request-URI again is a loop (482), another one a spiral.
func TestLoopAndSpiral(t *testing.T) {
	t.Parallel()
	locator := namedLocator{
		"sip:loop@b.com":   {{URI: "sip:loop2@b.com", Q: 1000}},
		"sip:loop2@b.com":  {{URI: "sip:loop@b.com", Q: 1000}},
		"sip:spiral@b.com": {{URI: "sip:bob@b.com", Q: 1000}},
		"sip:bob@b.com":    {{URI: "sip:bob@10.0.2.1", Q: 1000}},
	}
	dns := &fakeDNS{hops: map[string][]string{"b.com": {proxyAddr}}}
	r := newRig(t, Config{Domains: []string{"b.com"}, Locator: locator, Resolver: dns})
	alice, bob := r.peer(aliceAddr), r.peer(bobAddr)
	alice.udp(request("MESSAGE", "sip:loop@b.com", "a1"))
	r.run(20 * ms)
	alice.takeLine("SIP/2.0 482")
	if s := r.proxy.Stats(); s.Loops != 1 || s.Forwarded != 2 {
		t.Errorf("%+v", s)
	}
	alice.udp(request("MESSAGE", "sip:spiral@b.com", "a2"))
	r.run(20 * ms)
	got := bob.takeLine("MESSAGE sip:bob@10.0.2.1 ")
	if n := len(headerOf(t, got, "Via")); n != 3 {
		t.Error(got)
	}
	bob.reply(got, 200, "b1")
	r.run(20 * ms)
	alice.takeLine("SIP/2.0 200")
	r.idle()
}

// TestBreadth is RFC 5393: the attack of its section 3 (two users that fork to each other's both) ends soon.
func TestBreadth(t *testing.T) {
	t.Parallel()
	both := []Target{{URI: "sip:a@b.com", Q: 1000}, {URI: "sip:b@b.com", Q: 1000}}
	dns := &fakeDNS{hops: map[string][]string{"b.com": {proxyAddr}}}
	r := newRig(t, Config{
		Domains: []string{"b.com"}, Resolver: dns, NoLoopCheck: true, MaxBreadth: 8,
		Locator: namedLocator{"sip:a@b.com": both, "sip:b@b.com": both},
	})
	alice := r.peer(aliceAddr)
	alice.udp(request("MESSAGE", "sip:a@b.com", "a1", "Max-Forwards: 6"))
	r.run(60 * time.Second)
	alice.takeLine("SIP/2.0 483")
	if s := r.proxy.Stats(); s.Forks != 1+2+4 {
		t.Errorf("%+v", s) // 8 at a time, the rest one after the other
	}
	r.idle()
	r2 := newRig(t, Config{
		Domains: []string{"b.com"}, Resolver: dns, Locator: namedLocator{"sip:a@b.com": both, "sip:b@b.com": both},
	})
	alice = r2.peer(aliceAddr)
	alice.udp(request("MESSAGE", "sip:a@b.com", "a1"))
	r2.run(60 * time.Second)
	alice.takeLine("SIP/2.0 482")
	if s := r2.proxy.Stats(); s.Forwarded > 8 {
		t.Errorf("%+v", s)
	}
}

// TestBreadthLimitsFork: with a Max-Breadth of 1 the targets are tried one after the other.
func TestBreadthLimitsFork(t *testing.T) {
	t.Parallel()
	r := newRig(t, bCom(1000, 1000))
	alice, bob, bob2 := r.peer(aliceAddr), r.peer(bobAddr), r.peer(bob2Addr)
	alice.udp(request("INVITE", "sip:bob@b.com", "a1", "Max-Breadth: 1"))
	r.run(5 * ms)
	bob2.none()
	bob.reply(bob.take(), 480, "b1")
	r.run(5 * ms)
	if got := bob2.take(); headerOf(t, got, "Max-Breadth")[0] != "1" {
		t.Error(got)
	}
}

// TestLimits: 503 with Retry-After, and nothing is kept.
func TestLimits(t *testing.T) {
	t.Parallel()
	cfg := bCom(1000, 500)
	cfg.Contexts = 2
	r := newRig(t, cfg)
	alice := r.peer(aliceAddr)
	r.peer(bobAddr)
	for n := range 5 {
		alice.udp(strings.ReplaceAll(request("INVITE", "sip:bob@b.com", fmt.Sprint("l", n)), "c1@a", fmt.Sprint("c", n)))
	}
	r.run(5 * ms)
	alice.takeLine("SIP/2.0 100")
	alice.takeLine("SIP/2.0 100")
	for range 3 {
		if got := alice.takeLine("SIP/2.0 503"); len(headerOf(t, got, "Retry-After")) != 1 {
			t.Error(got)
		}
	}
	if s := r.proxy.Stats(); s.Limited != 3 || s.Contexts != 2 {
		t.Errorf("%+v", s)
	}
	r.idle()
}

// TestStray: responses that nobody asked for are dropped (RFC 6026 7.3), and a CANCEL that is not known goes on (16.10).
func TestStray(t *testing.T) {
	t.Parallel()
	r := newRig(t, bCom(1000, 500))
	alice, bob := r.peer(aliceAddr), r.peer(bobAddr)
	bob.udp("SIP/2.0 200 OK\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKx\nVia: SIP/2.0/UDP 10.0.1.1:5060;branch=z9hG4bKy\n" +
		"From: <sip:a@b>;tag=1\nTo: <sip:c@d>;tag=2\nCall-ID: z\nCSeq: 1 INVITE\nContent-Length: 0\n\n")
	r.run(5 * ms)
	alice.none()
	if s := r.proxy.Stats(); s.Strays != 1 {
		t.Errorf("%+v", s)
	}
	alice.udp(request("CANCEL", "sip:bob@b.com", "nix"))
	r.run(5 * ms)
	bob.takeLine("CANCEL sip:bob@10.0.2.1 ")
	alice.none()
}

// TestTargetPath: a target with Path and one with a hop of its own.
func TestTargetPath(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{Domains: []string{"b.com"}, Locator: namedLocator{
		"sip:bob@b.com": {{URI: "sip:bob@nowhere.org", Q: 1000, Path: []string{"<sip:10.0.2.2;lr>", "<sip:edge.org;lr>"}}},
		"sip:nat@b.com": {{URI: "sip:x@192.168.1.1:9", Hop: transport.Hop{Proto: transport.UDP, Remote: netip.MustParseAddrPort(bobAddr)}}},
	}})
	alice, bob, bob2 := r.peer(aliceAddr), r.peer(bobAddr), r.peer(bob2Addr)
	alice.udp(request("MESSAGE", "sip:bob@b.com", "a1"))
	alice.udp(request("INVITE", "sip:nat@b.com", "a2"))
	r.run(5 * ms)
	got := bob2.takeLine("MESSAGE sip:bob@nowhere.org ")
	if d := cmp.Diff([]string{"<sip:10.0.2.2;lr>", "<sip:edge.org;lr>"}, headerOf(t, got, "Route")); d != "" {
		t.Error(d)
	}
	bob.takeLine("INVITE sip:x@192.168.1.1:9 ")
}

// TestStatelessForged: a response goes back to who asked; one that names somebody else, or was never asked for, goes nowhere.
func TestStatelessForged(t *testing.T) {
	t.Parallel()
	cfg := bCom(1000, 500)
	r := newRig(t, cfg)
	r.stateless(cfg)
	alice, bob, carol := r.peer(aliceAddr), r.peer(bobAddr), r.peer(carolAddr)
	alice.udp(request("INVITE", "sip:bob@b.com", "f1"))
	r.run(5 * ms)
	invite := bob.takeLine("INVITE")
	vias := headerOf(t, invite, "Via")
	made := func(via string) string {
		return fmt.Sprintf("SIP/2.0 180 Ringing\nVia: %s\nVia: %s\nFrom: <sip:a@a.com>;tag=a1\nTo: <sip:b@b.com>;tag=x\n"+
			"Call-ID: c1@a\nCSeq: 1 INVITE\nContent-Length: 0\n\n", vias[0], via)
	}
	bob.udp(made(vias[1] + ";received=10.0.2.3"))
	bob.udp(made("SIP/2.0/UDP 10.0.2.3:5060;branch=z9hG4bKother"))
	r.run(5 * ms)
	carol.none()
	bob.udp(made(vias[1]))
	r.run(5 * ms)
	alice.takeLine("SIP/2.0 180")
}

// TestStateless: the same copy of the same request, of its CANCEL and its ACK; responses by Via; no state.
func TestStateless(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{})
	cfg := bCom(1000, 1000)
	cfg.RecordRoute = true
	s := r.stateless(cfg)
	alice, bob := r.peer(aliceAddr), r.peer(bobAddr)
	for range 2 {
		alice.udp(request("INVITE", "sip:bob@b.com", "a1"))
	}
	alice.udp(request("CANCEL", "sip:bob@b.com", "a1"))
	alice.udp(request("ACK", "sip:bob@b.com", "a1", "totag b1"))
	r.run(5 * ms)
	alice.none()
	first := bob.takeLine("INVITE sip:bob@10.0.2.1 ")
	if again := bob.take(); again != first {
		t.Errorf("another copy:\n%s\n%s", first, again)
	}
	for _, method := range []string{"CANCEL", "ACK"} {
		if got := bob.takeLine(method + " sip:bob@10.0.2.1 "); headerOf(t, got, "Via")[0] != headerOf(t, first, "Via")[0] {
			t.Error(got)
		}
	}
	bob.reply(first, 200, "b1")
	r.run(5 * ms)
	if got := alice.takeLine("SIP/2.0 200"); len(headerOf(t, got, "Via")) != 1 {
		t.Error(got)
	}
	r.peer(bob2Addr).none()
	bob.reply(strings.Replace(first, "10.0.0.1", "10.0.0.7", 1), 200, "b1") // a Via that is not ours
	r.run(5 * ms)
	alice.none()
	if st := s.Stats(); st.Relayed != 1 || st.Strays != 1 || st.Requests != 3 || st.Forwarded != 4 {
		t.Errorf("%+v", st)
	}
}
