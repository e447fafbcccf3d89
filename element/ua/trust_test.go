package ua

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/auth"
	"sipscope/element/transport"
)

// names is a resolver by hand: each name with its addresses.
type names map[string][]string

func (n names) Resolve(uri []byte, done func([]transport.Hop, error)) {
	for name, addrs := range n {
		if strings.Contains(string(uri), name) {
			done(hopsOf(addrs...), nil)
			return
		}
	}
	done(nil, ErrNoHop)
}

func hopsOf(addrs ...string) (hops []transport.Hop) {
	for _, s := range addrs {
		hops = append(hops, transport.Hop{Proto: transport.UDP, Remote: netip.MustParseAddrPort(s)})
	}
	return hops
}

// later is a resolver that answers when the test says so.
type later struct {
	done func([]transport.Hop, error)
}

func (r *later) Resolve(_ []byte, done func([]transport.Hop, error)) { r.done = done }

const (
	challenge407 = `Proxy-Authenticate: Digest realm="b.com", nonce="abc", algorithm=MD5, qop="auth"`
	challenge401 = `WWW-Authenticate: Digest realm="b.com", nonce="abc", algorithm=MD5, qop="auth"`
)

func withCredentials(c *Config) {
	c.Credentials = []auth.Credentials{{User: "bob", Password: "x"}}
	c.Resolver = names{"b.com": {"192.0.2.1:5060"}, "other.com": {"203.0.113.66:5060"}}
}

// credentials reports whether a request has some.
func credentials(raw string) bool { return strings.Contains(raw, "Authorization: ") }

// TestCredentialsOfRedirect: where a 3xx leads gets no credentials but that of the host that was called, and no answer to
// a challenge of its own.
func TestCredentialsOfRedirect(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, to, contact string
		route             []string
		sent              string // where the INVITE goes after the 3xx
		want              bool   // with credentials
	}{
		{"stranger", "sip:b@b.com", "<sip:x@203.0.113.66>", nil, "203.0.113.66:5060", false},
		{"stranger by name", "sip:b@b.com", "<sip:x@other.com>", nil, "203.0.113.66:5060", false},
		{"maddr", "sip:b@b.com", "<sip:+900@b.com;maddr=203.0.113.66>", nil, "192.0.2.1:5060", true},
		{"other port", "sip:b@192.0.2.1", "<sip:x@192.0.2.1:5099>", nil, "192.0.2.1:5099", false},
		{"same host", "sip:b@b.com", "<sip:c@b.com>", nil, "192.0.2.1:5060", true},
		{"by the own proxy", "sip:b@else.com", "<sip:x@203.0.113.66>", []string{"<sip:192.0.2.1;lr>"}, "192.0.2.1:5060", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := newHostile(withCredentials)
			_, invite := l.callOut(t, CallOptions{To: test.to, Redirects: 5, Route: test.route})
			l.receive(respond(invite, 407, "A", challenge407))
			if invite = l.last("INVITE"); !credentials(invite) {
				t.Fatal("the challenge of the one who was called is not answered")
			}
			l.receive(respond(invite, 302, "A", "Contact: "+test.contact))
			l.wake()
			invite = l.last("INVITE")
			if got := l.lastTo("INVITE"); got != test.sent {
				t.Fatalf("the INVITE goes to %s, want %s: %q", got, test.sent, invite)
			}
			if strings.Contains(invite, "maddr") {
				t.Errorf("keeps the maddr: %q", invite)
			}
			if credentials(invite) != test.want {
				t.Errorf("credentials %v, want %v", credentials(invite), test.want)
			}
			l.receive(respond(invite, 401, "A", `WWW-Authenticate: Digest realm="evil", nonce="chosen", algorithm=MD5`))
			l.wake()
			if got := strings.Contains(l.last("INVITE"), `nonce="chosen"`); got != test.want {
				t.Errorf("a challenge is answered: %v, want %v", got, test.want)
			}
		})
	}
}

// TestCredentialsInDialog: the digest of the registrar does not go to a caller, but to the registrar that routes the call.
func TestCredentialsInDialog(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		record string
		sent   string
		want   bool
	}{
		{"to the caller", "", "203.0.113.66:5060", false},
		{"by the registrar", "Record-Route: <sip:192.0.2.1;lr>", "192.0.2.1:5060", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := newHostile(func(c *Config) {
				withCredentials(c)
				c.Answer = Answer{Talk: time.Millisecond}
			})
			if _, err := l.agent.Register(RegisterOptions{Registrar: "sip:192.0.2.1"}); err != nil {
				t.Fatal(err)
			}
			l.wake()
			l.receive(respond(l.last("REGISTER"), 401, "r", challenge401))
			l.receive(respond(l.last("REGISTER"), 200, "r", "Expires: 3600"))
			headers := []string{"Contact: <sip:mallory@203.0.113.66>"}
			if test.record != "" {
				headers = append(headers, test.record)
			}
			l.receive(with(peerInvite("INVITE", "<sip:bob@b.com>", 1, headers...), peerSDP))
			l.receive(peerInvite("ACK", headerOf(l.last("SIP/2.0 200"), "To"), 1))
			l.pass(time.Second)
			if got := l.lastTo("BYE"); got != test.sent {
				t.Fatalf("BYE goes to %s", got)
			}
			if got := credentials(l.last("BYE")); got != test.want {
				t.Errorf("credentials %v, want %v: %q", got, test.want, l.last("BYE"))
			}
			bye := l.last("BYE")
			l.receive(respond(bye, 401, "", `WWW-Authenticate: Digest realm="evil", nonce="chosen", algorithm=MD5`))
			if got := strings.Contains(l.last("BYE"), `nonce="chosen"`); got != test.want {
				t.Errorf("a challenge is answered: %v", got)
			}
		})
	}
}

// TestCredentialsOfReferral: the target of a REFER gets none.
func TestCredentialsOfReferral(t *testing.T) {
	t.Parallel()
	l := newHostile(withCredentials)
	_, invite := l.callOut(t, CallOptions{})
	l.receive(respond(invite, 401, "A", challenge401))
	invite = l.last("INVITE")
	l.receive(with(respond(invite, 200, "A", peerContact), peerSDP))
	if s := l.receive(inside(invite, "REFER", "A", 1, "Refer-To: <sip:x@b.com;maddr=203.0.113.66;lr?Subject=hi>")); s != 202 {
		t.Fatalf("REFER is answered %d", s)
	}
	if got := l.lastTo("INVITE"); got != "192.0.2.1:5060" {
		t.Errorf("the maddr of a REFER is followed: %s", got)
	}
	if s := l.receive(inside(invite, "REFER", "A", 2, "Refer-To: <sip:x@203.0.113.66>")); s != 202 {
		t.Fatalf("REFER is answered %d", s)
	}
	second := l.last("INVITE")
	if l.lastTo("INVITE") != "203.0.113.66:5060" || credentials(second) {
		t.Errorf("credentials for the target of a REFER: %q", second)
	}
	l.receive(respond(second, 401, "B", `WWW-Authenticate: Digest realm="evil", nonce="chosen", algorithm=MD5`))
	if credentials(l.last("INVITE")) {
		t.Errorf("the target of a REFER gets an answer: %q", l.last("INVITE"))
	}
}

// TestCredentialsOfFailover: what answers the challenge of one next hop is not for the other.
func TestCredentialsOfFailover(t *testing.T) {
	t.Parallel()
	l := newHostile(func(c *Config) {
		withCredentials(c)
		c.Resolver = names{"b.com": {"192.0.2.1:5060", "192.0.2.2:5060"}}
	})
	_, invite := l.callOut(t, CallOptions{To: "sip:b@b.com"})
	l.receive(respond(invite, 407, "A", challenge407))
	l.receive(respond(l.last("INVITE"), 503, "A"))
	invite = l.last("INVITE")
	if l.lastTo("INVITE") != "192.0.2.2:5060" || credentials(invite) {
		t.Errorf("to %s: %q", l.lastTo("INVITE"), invite)
	}
	l.receive(respond(invite, 407, "B", strings.Replace(challenge407, "abc", "other", 1)))
	if invite = l.last("INVITE"); l.count("INVITE") != 4 || !strings.Contains(invite, `nonce="other"`) || strings.Contains(invite, `"abc"`) {
		t.Errorf("%d INVITEs, the last %q", l.count("INVITE"), invite)
	}
}

// TestReferralByProxy: the call of a REFER goes by the own proxy, whose challenge is answered.
func TestReferralByProxy(t *testing.T) {
	t.Parallel()
	l := newHostile(func(c *Config) {
		withCredentials(c)
		c.Route = []string{"<sip:192.0.2.9;lr>"}
	})
	l.receive(with(peerInvite("INVITE", "<sip:bob@b.com>", 1), peerSDP))
	to := headerOf(l.last("SIP/2.0 200"), "To")
	l.receive(peerInvite("ACK", to, 1))
	if s := l.receive(peerInvite("REFER", to, 2, "Refer-To: <sip:x@203.0.113.66>")); s != 202 {
		t.Fatalf("REFER is answered %d", s)
	}
	l.receive(respond(l.last("INVITE"), 407, "P", challenge407))
	if invite := l.last("INVITE"); l.lastTo("INVITE") != "192.0.2.9:5060" || !credentials(invite) {
		t.Errorf("to %s: %q", l.lastTo("INVITE"), invite)
	}
}

// TestReferOutsideCall: who is not in a call, and proved nothing, cannot have the agent call somebody.
func TestReferOutsideCall(t *testing.T) {
	t.Parallel()
	l := newHostile(func(c *Config) { c.Answer = Answer{Delay: time.Minute} })
	refer := "Refer-To: <sip:v@203.0.113.2>"
	if s := l.receive(peerInvite("REFER", "<sip:bob@b.com>", 1, refer)); s != 403 {
		t.Errorf("REFER outside of a dialog is answered %d", s)
	}
	l.receive(peerInvite("INVITE", "<sip:bob@b.com>", 1))
	early := headerOf(l.last("SIP/2.0 180"), "To")
	if s := l.receive(peerInvite("REFER", early, 2, refer)); s != 403 {
		t.Errorf("REFER in an early dialog is answered %d", s)
	}
	l.pass(10 * time.Second)
	if n := l.count("INVITE") + l.count("NOTIFY"); n != 0 {
		t.Errorf("%d requests to others: %q", n, l.sent)
	}
}

// TestByeOfUnseenCaller: the BYE for want of an ACK goes to where the INVITE came from, not to whoever its Contact names.
func TestByeOfUnseenCaller(t *testing.T) {
	t.Parallel()
	l := newHostile(nil)
	l.receive(with(peerInvite("INVITE", "<sip:bob@b.com>", 1, "Contact: <sip:victim@203.0.113.66>"), peerSDP))
	l.pass(5 * time.Minute)
	if l.count("BYE") == 0 {
		t.Error("no BYE")
	}
	for i, hop := range l.hops {
		if hop.Remote.String() != "192.0.2.1:5060" {
			t.Errorf("to %v: %q", hop.Remote, l.sent[i])
		}
	}
}

// TestSipsStaysSecure: what is called by a sips URI goes by TLS to a Route without it too, and no 3xx leads out of it.
func TestSipsStaysSecure(t *testing.T) {
	t.Parallel()
	for _, route := range [][]string{nil, {"<sip:192.0.2.1;lr>"}, {"<sip:192.0.2.1;transport=tcp;lr>"}, {"<sips:192.0.2.1;lr>"}} {
		l := newHostile(nil)
		_, invite := l.callOut(t, CallOptions{To: "sips:b@192.0.2.1", Route: route, Redirects: 5})
		if l.lastTo("INVITE") != "192.0.2.1:5061" || l.hops[0].Proto != transport.TLS {
			t.Errorf("%v: goes to %v", route, l.hops)
		}
		l.receive(respond(invite, 302, "A", "Contact: <sip:b@192.0.2.7>, <sips:b@192.0.2.8>"))
		l.wake()
		if n := l.count("INVITE"); n != 2 || !strings.HasPrefix(l.last("INVITE"), "INVITE sips:b@192.0.2.8 ") {
			t.Errorf("%v: %d INVITEs: %q", route, n, l.last("INVITE"))
		}
	}
	l := newHostile(func(c *Config) { c.Resolver = names{"b.com": {"192.0.2.1:5060"}} }) // UDP, whatever was asked
	c, _ := l.callOut(t, CallOptions{To: "sips:b@b.com"})
	l.pass(time.Second)
	if n := l.count("INVITE"); n != 0 || c.State() != StateEnded {
		t.Errorf("%d INVITEs by UDP, the call is %v", n, c.State())
	}
	l = newHostile(nil)
	_, _ = l.callOut(t, CallOptions{To: "sips:b@192.0.2.1", Route: []string{"<sip:192.0.2.1;transport=udp;lr>"}})
	l.pass(time.Second)
	if n := l.count("INVITE"); n != 0 {
		t.Errorf("%d INVITEs by UDP", n)
	}
}

// TestSipsDialog: the requests of a dialog that a sips URI began go by TLS, whatever the Record-Route says.
func TestSipsDialog(t *testing.T) {
	t.Parallel()
	l := newHostile(nil)
	c, invite := l.callOut(t, CallOptions{To: "sips:b@192.0.2.1"})
	l.receive(with(respond(invite, 200, "A", "Contact: <sip:b@192.0.2.1>", "Record-Route: <sip:192.0.2.1;lr>"), peerSDP))
	if err := c.Hangup(); err != nil {
		t.Fatal(err)
	}
	l.wake()
	for i, hop := range l.hops {
		if hop.Proto != transport.TLS {
			t.Errorf("by %v: %q", hop.Proto, l.sent[i])
		}
	}
	if l.count("ACK") != 1 || l.count("BYE") != 1 {
		t.Errorf("%q", l.sent)
	}
}

// TestUnusableTargets: nothing is sent to addresses that are many, or none.
func TestUnusableTargets(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{
		"255.255.255.255", "224.0.1.75", "239.1.1.1", "0.0.0.0", "0.1.2.3", "240.0.0.1", "[ff02::1]", "[::]",
		"[::ffff:255.255.255.255]",
	} {
		l := newHostile(nil)
		c, _ := l.callOut(t, CallOptions{To: "sip:b@" + addr})
		l.pass(time.Second)
		if len(l.sent) != 0 || c.State() != StateEnded {
			t.Errorf("%s: the call is %v, %d messages to %v", addr, c.State(), len(l.sent), l.hops)
		}
		l = newHostile(func(c *Config) { c.Resolver = names{"b.com": {netip.AddrPortFrom(hostOf(addr), 5060).String()}} })
		if l.callOut(t, CallOptions{To: "sip:b@b.com"}); l.count("INVITE") != 0 {
			t.Errorf("%s: a name leads there", addr)
		}
		l = newHostile(nil)
		c, invite := l.callOut(t, CallOptions{})
		l.receive(with(respond(invite, 200, "A", "Contact: <sip:b@"+addr+">"), peerSDP))
		_ = c.Hangup()
		l.wake()
		if l.count("ACK")+l.count("BYE") != 0 {
			t.Errorf("%s: ACK or BYE go to %v", addr, l.hops)
		}
	}
}

func hostOf(s string) netip.Addr {
	return netip.MustParseAddr(strings.Trim(s, "[]"))
}

// TestNextNonce: what Authentication-Info brings is used for the next request (RFC 7616 3.5).
func TestNextNonce(t *testing.T) {
	t.Parallel()
	l := newHostile(withCredentials)
	g, err := l.agent.Register(RegisterOptions{Registrar: "sip:192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	l.wake()
	l.receive(respond(l.last("REGISTER"), 401, "r", challenge401))
	l.receive(respond(l.last("REGISTER"), 200, "r", "Expires: 3600", `Authentication-Info: nextnonce="second"`))
	if err := g.Refresh(); err != nil {
		t.Fatal(err)
	}
	l.wake()
	v := headerOf(l.last("REGISTER"), "Authorization")
	if !strings.Contains(v, `nonce="second"`) || !strings.Contains(v, "nc=00000001") {
		t.Errorf("Authorization %q", v)
	}
}

// TestBodyHash: auth-int is about the body that is sent, which an INVITE to a name has only when its hop is known, and
// each further hop gets one of its own.
func TestBodyHash(t *testing.T) {
	t.Parallel()
	now := start
	server, err := auth.NewServer(auth.ServerConfig{
		Realm: "b.com", QOP: []string{"auth-int"}, Rand: rand.New(rand.NewPCG(1, 1)),
		Lookup: func(user, _ string) (string, bool) { return "x", user == "bob" },
	})
	if err != nil {
		t.Fatal(err)
	}
	l := newHostile(withCredentials)
	for i, status := range []int{401, 0} { // the second one need not be asked
		_, invite := l.callOut(t, CallOptions{To: "sip:b@b.com"})
		for range 2 {
			var m sip.Message
			if err := sip.Parse([]byte(invite), &m); err != nil {
				t.Fatal(err)
			}
			res := server.Check(now, &m, m.Body.Of(m.Raw))
			if got := res.Status; got != status {
				t.Fatalf("call %d: %d, want %d: %q", i, got, status, invite)
			}
			if status == 0 {
				break
			}
			l.receive(respond(invite, status, "A", "WWW-Authenticate: "+res.Headers[0].Value))
			invite, status = l.last("INVITE"), 0
		}
	}
}
