package ua

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/auth"
	"sipscope/element/compose"
	"sipscope/element/transport"
	"sipscope/element/virtual"
)

// peer is a host that answers by a function, without any state of SIP.
type peer struct {
	g     *rig
	host  *virtual.Host
	reply func(p *peer, m *sip.Message, r *transport.Received)
	n     int // requests received
	log   []string
}

func (p *peer) Receive(r *transport.Received) {
	p.n++
	p.log = append(p.log, string(r.Msg.Raw))
	p.reply(p, r.Msg, r)
}
func (p *peer) Failed(transport.Hop, uint64, error) {}
func (p *peer) Wake(int64) int64                    { return 1<<63 - 1 }

func (p *peer) answer(r *transport.Received, rep compose.Reply) {
	out, err := compose.Response(nil, r.Msg, r.Hop.Remote, &rep)
	if err != nil {
		p.g.t.Fatal(err)
	}
	p.host.Send(transport.ReplyHop(r), out, 0)
}

// withPeer puts a peer in the place of bob.
func withPeer(g *rig, reply func(p *peer, m *sip.Message, r *transport.Received)) *peer {
	p := &peer{g: g, host: g.hosts[1], reply: reply}
	g.hosts[1].Attach(p)
	return p
}

func h(id sip.HeaderID, v string) compose.Header { return compose.Header{ID: id, Value: v} }

func has(t *testing.T, raw, want string) {
	t.Helper()
	if !strings.Contains(raw, want) {
		t.Errorf("no %q in\n%s", want, raw)
	}
}

func TestRegister(t *testing.T) {
	t.Parallel()
	server, err := auth.NewServer(auth.ServerConfig{
		Realm: "b.com", Lookup: func(string, string) (string, bool) { return "secret", true }, Rand: rand.New(rand.NewPCG(1, 5)),
	})
	if err != nil {
		t.Fatal(err)
	}
	g := newRig(t, 1, "udp", func(a, _ *Config) { a.Credentials = []auth.Credentials{{User: "alice", Password: "secret"}} })
	p := withPeer(g, func(p *peer, m *sip.Message, r *transport.Received) {
		res := server.Check(g.net.Now(), m, m.Body.Of(m.Raw))
		switch {
		case res.Outcome != auth.OK:
			p.answer(r, compose.Reply{Status: res.Status, Headers: res.Headers, ToTag: "x"})
		case m.Expires > 0 && m.Expires < 600:
			p.answer(r, compose.Reply{Status: 423, ToTag: "x", Headers: []compose.Header{h(sip.HeaderMinExpires, "600")}})
		default:
			c, _ := m.Value(sip.HeaderContact)
			p.answer(r, compose.Reply{Status: 200, ToTag: "x", Headers: []compose.Header{h(sip.HeaderContact, string(c)+";expires=600")}})
		}
	})
	g.do(func() {
		if _, err := g.alice.Register(RegisterOptions{Registrar: "sip:127.0.2.10", Expires: 60}); err != nil {
			t.Fatal(err)
		}
	})
	g.run(20 * time.Minute)
	g.do(g.alice.Close)
	g.run(time.Minute)
	if !g.alice.Idle() {
		t.Error("not idle")
	}
	// 401, 423 with the first credentials, 200; then refreshes at 540 s and 1080 s, each challenged again since the nonce
	// is old, and the removal.
	if p.n != 8 {
		t.Fatalf("%d requests, want 8:\n%s", p.n, strings.Join(p.log, "\n"))
	}
	for i, raw := range p.log {
		has(t, raw, "CSeq: "+string(rune('1'+i))+" ")
	}
	has(t, p.log[2], "Expires: 600")
	has(t, p.log[7], "Expires: 0")
	want := []string{"a registered 200", "a registered 200", "a registered 200", "a unregistered 200", "a idle"}
	if !slices.Equal(g.events, want) {
		t.Errorf("events %q", g.events)
	}
}

func TestWrongPassword(t *testing.T) {
	t.Parallel()
	g := newRig(t, 1, "udp", func(a, b *Config) {
		a.Credentials = []auth.Credentials{{User: "alice", Password: "wrong"}}
		s, err := auth.NewServer(auth.ServerConfig{
			Realm: "b.com", Lookup: func(string, string) (string, bool) { return "secret", true }, Rand: rand.New(rand.NewPCG(1, 5)),
		})
		if err != nil {
			t.Fatal(err)
		}
		b.Auth = s
	})
	g.call(CallOptions{})
	g.drain()
	if e := g.ended["a"]; len(e) != 1 || (e[0].Cause != CauseAuth && e[0].Status != 403) {
		t.Errorf("ended %+v", e)
	}
	g.clean()
}

func TestRedirect(t *testing.T) {
	t.Parallel()
	g := newRig(t, 1, "udp", nil)
	p := withPeer(g, func(p *peer, m *sip.Message, r *transport.Received) {
		uri := string(m.URI.Of(m.Raw))
		switch {
		case m.Method.Len == 3: // ACK
		case strings.Contains(uri, "first"):
			p.answer(r, compose.Reply{Status: 486, ToTag: "b"})
		case strings.Contains(uri, "second"):
			p.answer(r, compose.Reply{Status: 404, ToTag: "c"})
		default:
			p.answer(r, compose.Reply{Status: 302, ToTag: "a", Headers: []compose.Header{
				h(sip.HeaderContact, "<sip:second@127.0.2.10>;q=0.5, <sip:first@127.0.2.10>;q=0.9"),
			}})
		}
	})
	g.call(CallOptions{Redirects: 5})
	g.drain()
	g.check("a", CauseRejected, 404, true)
	has(t, p.log[2], "INVITE sip:first@")
	has(t, p.log[2], "CSeq: 2 INVITE")
	has(t, p.log[4], "INVITE sip:second@")
	if strings.Contains(p.log[2], "To: <sip:bob@127.0.2.10>;tag") {
		t.Error("a new INVITE has the tag of the 302")
	}
}

// TestForkedAnswers has two 2xx with different tags: the second one is acknowledged and ended (RFC 3261 13.2.2.4); its
// retransmission is acknowledged again.
func TestForkedAnswers(t *testing.T) {
	t.Parallel()
	g := newRig(t, 1, "udp", nil)
	sdp := []byte("v=0\r\no=- 1 1 IN IP4 127.0.2.10\r\ns=-\r\nc=IN IP4 127.0.2.10\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n")
	acks := map[string]int{}
	p := withPeer(g, func(p *peer, m *sip.Message, r *transport.Received) {
		switch string(m.Method.Of(m.Raw)) {
		case "INVITE":
			for _, tag := range []string{"one", "two", "one", "two"} {
				p.answer(r, compose.Reply{
					Status: 200, ToTag: tag, ContentType: typeSDP, Body: sdp,
					Headers: []compose.Header{h(sip.HeaderContact, "<sip:"+tag+"@127.0.2.10>")},
				})
			}
		case "ACK":
			acks[string(m.To.Tag.Of(m.Raw))]++
		case "BYE":
			p.answer(r, compose.Reply{Status: 200})
		}
	})
	c := g.call(CallOptions{})
	g.run(time.Second)
	if acks["one"] != 2 || acks["two"] != 2 {
		t.Errorf("acks %v", acks)
	}
	has(t, strings.Join(p.log, ""), "BYE sip:two@127.0.2.10")
	if c.State() != StateConfirmed || g.alice.Stats().Forks != 1 {
		t.Errorf("state %v, forks %d", c.State(), g.alice.Stats().Forks)
	}
	g.do(func() { must(g, c.Hangup()) })
	g.drain()
	g.check("a", CauseBye, 0, false)
	g.clean2(g.alice)
}

// clean2 checks one agent.
func (g *rig) clean2(a *Agent) {
	g.t.Helper()
	if len(a.dialogs) != 0 || len(a.alarms.heap) != 0 || a.requests != 0 || len(a.slots) != len(a.free) {
		g.t.Errorf("keeps %d dialogs, %d timers, %d requests, %d slots", len(a.dialogs), len(a.alarms.heap), a.requests,
			len(a.slots)-len(a.free))
	}
}

func TestPublish(t *testing.T) {
	t.Parallel()
	g := newRig(t, 1, "udp", nil)
	p := withPeer(g, func(p *peer, m *sip.Message, r *transport.Received) {
		v, _ := m.Value(sip.HeaderSIPIfMatch)
		if string(v) == "etag2" { // the server forgot it
			p.answer(r, compose.Reply{Status: 412, ToTag: "x"})
			return
		}
		p.answer(r, compose.Reply{Status: 200, ToTag: "x", Headers: []compose.Header{
			h(sip.HeaderSIPETag, "etag"+string(rune('0'+p.n))), h(sip.HeaderExpires, "100"),
		}})
	})
	var pub *Publication
	g.do(func() {
		var err error
		pub, err = g.alice.Publish(PublishOptions{To: "sip:alice@127.0.2.10", Event: "presence", Type: "text/plain", Body: []byte("open")})
		must(g, err)
	})
	g.run(200 * time.Second) // first at 0, refresh at 90 with etag1, at 180 with etag2: 412, anew
	g.do(func() { must(g, pub.Remove()) })
	g.run(time.Minute)
	if p.n != 5 {
		t.Fatalf("%d requests:\n%s", p.n, strings.Join(p.log, "\n"))
	}
	has(t, p.log[0], "\r\n\r\nopen")
	has(t, p.log[1], "SIP-If-Match: etag1")
	if strings.Contains(p.log[1], "open") {
		t.Error("a refresh has a body")
	}
	has(t, p.log[3], "\r\n\r\nopen")
	has(t, p.log[4], "Expires: 0")
	has(t, p.log[4], "SIP-If-Match: etag4")
	g.clean2(g.alice)
}

func presence(b *Config) {
	b.Packages = []Package{{
		Event: "presence", Type: "application/pidf+xml", MinExpires: 30,
		State: func(w *Watcher) (string, []byte) { return "application/pidf+xml", []byte("<" + w.User() + "/>") },
	}}
}

func TestSubscribe(t *testing.T) {
	t.Parallel()
	g := newRig(t, 1, "udp", func(_, b *Config) { presence(b) })
	var s *Subscription
	g.do(func() {
		var err error
		s, err = g.alice.Subscribe(SubscribeOptions{To: "sip:bob@127.0.2.10", Event: "presence", Expires: 10})
		must(g, err)
	})
	g.run(40 * time.Second) // 423, then 30 s with a refresh at 25 s
	g.do(func() { g.bob.Notify("presence") })
	g.run(time.Second)
	g.do(func() { must(g, s.Unsubscribe()) })
	g.drain()
	const each = ", a SUBSCRIBE, b 200 SUBSCRIBE, b NOTIFY, a 200 NOTIFY"
	g.wants("a SUBSCRIBE, b 423 SUBSCRIBE" + each + each + ", b NOTIFY, a 200 NOTIFY" + each)
	want := []string{
		"b watcher", "a subscribed 200", "a notify", "b watcher", "a subscribed 200", "a notify", "a notify", "a notify",
		"a unsubscribed", "b watcher-ended",
	}
	if !slices.Equal(g.events, want) {
		t.Errorf("events %q", g.events)
	}
	g.clean()
}

func TestSubscribeRefused(t *testing.T) {
	t.Parallel()
	g := newRig(t, 1, "udp", func(_, b *Config) { presence(b) })
	g.do(func() {
		_, err := g.alice.Subscribe(SubscribeOptions{To: "sip:bob@127.0.2.10", Event: "weather"})
		must(g, err)
		_, err = g.alice.Subscribe(SubscribeOptions{To: "sip:bob@127.0.2.10", Event: "presence", Accept: "text/html"})
		must(g, err)
	})
	g.drain()
	g.wants("a SUBSCRIBE, a SUBSCRIBE, b 489 SUBSCRIBE, b 406 SUBSCRIBE")
	g.clean()
}

// TestNotifyFirst has the NOTIFY arrive before the 200, and one of another fork after it (RFC 6665 4.4.1).
func TestNotifyFirst(t *testing.T) {
	t.Parallel()
	g := newRig(t, 1, "udp", nil)
	notify := func(p *peer, m *sip.Message, tag string) {
		req := compose.Request{
			Method: "NOTIFY", URI: "sip:alice@127.0.1.10", CSeq: 7, CallID: string(m.CallID.Of(m.Raw)),
			Via:  compose.Via{Proto: "UDP", SentBy: netip.MustParseAddrPort("127.0.2.10:5060"), Branch: "z9hG4bK" + tag},
			From: "<sip:bob@b.com>;tag=" + tag, To: "<sip:alice@a.com>;tag=" + string(m.From.Tag.Of(m.Raw)),
			Headers: []compose.Header{
				h(sip.HeaderEvent, "presence"), h(sip.HeaderSubscriptionState, "active;expires=100"),
				h(sip.HeaderContact, "<sip:"+tag+"@127.0.2.10>"),
			},
		}
		raw, err := req.Append(nil)
		must(g, err)
		p.host.Send(transport.Hop{Proto: transport.UDP, Remote: netip.MustParseAddrPort("127.0.1.10:5060")}, raw, 0)
	}
	withPeer(g, func(p *peer, m *sip.Message, r *transport.Received) {
		if m.Request && string(m.Method.Of(m.Raw)) == "SUBSCRIBE" && m.To.Tag.Empty() {
			notify(p, m, "one")
			p.answer(r, compose.Reply{Status: 200, ToTag: "one", Headers: []compose.Header{
				h(sip.HeaderContact, "<sip:one@127.0.2.10>"), h(sip.HeaderExpires, "100"),
			}})
			notify(p, m, "two")
		}
	})
	g.do(func() {
		_, err := g.alice.Subscribe(SubscribeOptions{To: "sip:bob@127.0.2.10", Event: "presence"})
		must(g, err)
	})
	g.run(time.Second)
	if n := g.alice.Stats().Subscriptions; n != 2 {
		t.Errorf("%d subscriptions, want one for each fork; events %q", n, g.events)
	}
	if want := []string{"a notify", "a subscribed 200", "a notify"}; !slices.Equal(g.events, want) {
		t.Errorf("events %q, want %q", g.events, want)
	}
	g.do(g.alice.Close)
	g.drain()
	g.clean2(g.alice)
}

// TestNoNotify: an accepted SUBSCRIBE without a NOTIFY is over after timer N.
func TestNoNotify(t *testing.T) {
	t.Parallel()
	g := newRig(t, 1, "udp", nil)
	withPeer(g, func(p *peer, _ *sip.Message, r *transport.Received) {
		p.answer(r, compose.Reply{Status: 200, ToTag: "one", Headers: []compose.Header{h(sip.HeaderContact, "<sip:one@127.0.2.10>")}})
	})
	g.do(func() {
		_, err := g.alice.Subscribe(SubscribeOptions{To: "sip:bob@127.0.2.10", Event: "presence"})
		must(g, err)
	})
	g.run(33 * time.Second)
	if want := []string{"a subscribed 200", "a unsubscribed"}; !slices.Equal(g.events, want) {
		t.Errorf("events %q", g.events)
	}
	g.drain()
	g.clean2(g.alice)
}

func TestMessageOptionsInfo(t *testing.T) {
	t.Parallel()
	g := newRig(t, 1, "tcp", nil)
	g.do(func() {
		for _, m := range []string{"MESSAGE", "OPTIONS", "FOO"} {
			_, err := g.alice.Send(RequestOptions{Method: m, To: "sip:bob@127.0.2.10;transport=tcp", Type: "text/plain", Body: []byte("hi")})
			must(g, err)
		}
	})
	g.run(time.Second)
	c := g.call(CallOptions{})
	g.run(time.Second)
	g.do(func() { must(g, c.Digit('5')) })
	g.run(time.Second)
	g.do(func() { must(g, c.Update()) })
	g.run(time.Second)
	g.do(func() { must(g, c.Hangup()) })
	g.drain()
	want := []string{
		"b message", "a response 200", "a response 200", "a response 501", "b incoming", "b answered 200", "a ringing 180",
		"a answered 200", "b confirmed", "b info", "b dtmf", "a accepted 200", "b modified", "a modified 200", "b ended bye",
		"a ended bye",
	}
	if !slices.Equal(g.events, want) {
		t.Errorf("events %q", g.events)
	}
	g.clean()
}

// TestRefer transfers a call: bob is asked to call alice back, which she sees as a second call.
func TestRefer(t *testing.T) {
	t.Parallel()
	g := newRig(t, 1, "udp", func(_, b *Config) { b.Refer = true })
	c := g.call(CallOptions{})
	g.run(time.Second)
	g.do(func() {
		_, err := c.Refer("sip:alice@127.0.1.10", nil)
		must(g, err)
	})
	g.run(time.Second)
	if len(g.alice.calls.all) != 2 || len(g.bob.calls.all) != 2 {
		t.Fatalf("calls %d and %d; %q", len(g.alice.calls.all), len(g.bob.calls.all), g.events)
	}
	if got := strings.Join(g.events, ", "); !strings.Contains(got, "a referred 100") || !strings.Contains(got, "a referred 200") {
		t.Errorf("events %q", g.events)
	}
	g.do(g.alice.Close)
	g.drain()
	if !g.alice.Idle() {
		t.Error("not idle")
	}
	g.clean()
}

func TestReferRefused(t *testing.T) {
	t.Parallel()
	g := newRig(t, 1, "udp", nil)
	c := g.call(CallOptions{})
	g.run(time.Second)
	g.do(func() {
		_, err := c.Refer("sip:alice@127.0.1.10", nil)
		must(g, err)
	})
	g.run(time.Second)
	if !slices.Contains(g.events, "a refused 603") {
		t.Errorf("events %q", g.events)
	}
	g.do(g.bob.Close)
	g.drain()
	g.clean()
}

// TestReplaces takes a call over: alice calls bob again with Replaces, and bob ends the first call.
func TestReplaces(t *testing.T) {
	t.Parallel()
	g := newRig(t, 1, "udp", nil)
	c := g.call(CallOptions{})
	g.run(time.Second)
	id, local, remote, _ := c.Dialog()
	g.call(CallOptions{Replaces: id + ";to-tag=" + remote + ";from-tag=" + local})
	g.run(time.Second)
	if len(g.ended["b"]) != 1 || g.ended["b"][0].Cause != CauseReplaced || len(g.alice.calls.all) != 1 {
		t.Errorf("ended %+v", g.ended)
	}
	g.call(CallOptions{Replaces: "nobody;to-tag=1;from-tag=2"})
	g.run(time.Second)
	if e := g.ended["a"]; len(e) != 2 || e[1].Status != 481 {
		t.Errorf("ended %+v", e)
	}
	g.do(g.alice.Close)
	g.drain()
	g.clean()
}

// hops is a resolver that knows one name.
type hops []transport.Hop

func (r hops) Resolve(_ []byte, done func([]transport.Hop, error)) { done(r, nil) }

// TestFailover: the first next hop does not answer, the second one does (RFC 3263 4.3).
func TestFailover(t *testing.T) {
	t.Parallel()
	g := newRig(t, 1, "udp", func(a, _ *Config) {
		a.Resolver = hops{
			{Proto: transport.UDP, Remote: netip.MustParseAddrPort("127.0.9.9:5060")},
			{Proto: transport.UDP, Remote: netip.MustParseAddrPort("127.0.2.10:5060")},
		}
	})
	g.call(CallOptions{To: "sip:bob@b.com", Talk: time.Second})
	g.drain()
	g.check("a", CauseBye, 0, false)
	g.clean()
}

func TestNoHop(t *testing.T) {
	t.Parallel()
	g := newRig(t, 1, "udp", nil)
	g.call(CallOptions{To: "sip:bob@b.com"})
	g.drain()
	g.check("a", CauseTransport, 503, false)
	g.clean()
}

// TestNoAnswer: nobody is there, timer B.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	g := newRig(t, 1, "udp", nil)
	g.hosts[1].Unplug(true)
	g.call(CallOptions{})
	g.drain()
	g.check("a", CauseTimeout, 408, true)
	if n := len(g.wire); n != 7 {
		t.Errorf("%d INVITEs, want 7 in 32 s", n)
	}
	g.clean()
}

// TestRingsForEver: a call that nobody answers ends all the same, on both sides.
func TestRingsForEver(t *testing.T) {
	t.Parallel()
	g := newRig(t, 1, "udp", func(a, b *Config) {
		b.Answer.Delay = -1
		a.Limits.Ring, b.Limits.Ring = time.Hour, 2*time.Minute
	})
	g.call(CallOptions{})
	g.drain()
	g.check("b", CauseRejected, 480, false)
	g.check("a", CauseRejected, 480, true)
	if at := time.Duration(g.ended["b"][0].At - start); at.Round(time.Second) != 2*time.Minute {
		t.Errorf("ended after %v", at)
	}
	g.clean()
}

// TestNoAck: the 2xx is sent 11 times in 32 s, then BYE (RFC 3261 13.3.1.4).
func TestNoAck(t *testing.T) {
	t.Parallel()
	g := newRig(t, 1, "udp", nil)
	g.net.Lose = func(_, _ netip.AddrPort, raw []byte) bool { return strings.HasPrefix(string(raw), "ACK ") }
	g.call(CallOptions{})
	g.drain()
	g.check("b", CauseNoAck, 0, false)
	g.check("a", CauseBye, 0, true)
	n := 0
	for _, w := range g.wire {
		if w == "b 200 INVITE" {
			n++
		}
	}
	if n != 11 { // 0, 0.5, 1.5, 3.5, 7.5, 11.5 … 31.5 s
		t.Errorf("%d times 200", n)
	}
	g.clean()
}

// TestBadAnswer has 2xx responses that make no dialog, or endless ones: the call ends, and nothing grows.
func TestBadAnswer(t *testing.T) {
	t.Parallel()
	for name, contact := range map[string]string{"garbage": "<\x01>", "no scheme": "<>", "many tags": "<sip:x@127.0.2.10>"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, 1, "udp", nil)
			withPeer(g, func(p *peer, m *sip.Message, r *transport.Received) {
				if string(m.Method.Of(m.Raw)) != "INVITE" {
					if string(m.Method.Of(m.Raw)) == "BYE" {
						p.answer(r, compose.Reply{Status: 200})
					}
					return
				}
				for i := range 300 {
					rep := compose.Reply{Status: 200, ToTag: "t" + string(rune('a'+i)), Headers: []compose.Header{h(sip.HeaderContact, contact)}}
					if name != "many tags" {
						rep.ToTag = ""
					}
					p.answer(r, rep)
				}
			})
			g.call(CallOptions{Ring: time.Minute})
			g.drain()
			if len(g.ended["a"]) != 1 || g.alice.Stats().Forks > 64 {
				t.Errorf("ended %+v, %d forks", g.ended, g.alice.Stats().Forks)
			}
			g.clean2(g.alice)
		})
	}
}
