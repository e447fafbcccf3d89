package hostile

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/auth"
	"sipscope/element/proxy"
	"sipscope/element/registrar"
	"sipscope/element/transport"
	"sipscope/element/txn"
	"sipscope/element/ua"
)

// mallory is where attacks come from.
const mallory = "10.66.6.6:5060"

// calling has alice call a peer that only rings; it gives her call, the peer and her INVITE.
func calling(t *testing.T) (s *sim, alice *ua.Agent, call *ua.Call, peer *raw, invite string) {
	t.Helper()
	s = newSim(t, 1)
	alice = s.user(aliceAddr, "<sip:alice@a.com>", "", nil)
	peer = s.raw(bobAddr)
	s.net.At(start, func() {
		var err error
		if call, err = alice.Call(ua.CallOptions{To: "sip:bob@" + bobAddr}); err != nil {
			t.Fatal(err)
		}
	})
	s.run(10 * time.Millisecond)
	invite = peer.last()
	peer.send(aliceAddr, reply(t, invite, 180, "b1", "Contact: <sip:bob@"+bobAddr+">"))
	s.run(10 * time.Millisecond)
	if call.State() != ua.StateRinging {
		t.Fatal(call.State())
	}
	return s, alice, call, peer, invite
}

// TestSpoofedResponses: only what has branch, sent-by and method of the request is an answer (RFC 3261 17.1.3); nothing else
// changes the call.
func TestSpoofedResponses(t *testing.T) {
	single(t)
	t.Parallel()
	for name, change := range map[string]func(string) string{
		"another branch":  func(s string) string { return strings.Replace(s, ";branch=z9hG4bK", ";branch=z9hG4bKx", 1) },
		"no branch":       func(s string) string { return strings.Replace(s, ";branch=", ";bronch=", 1) },
		"another sent-by": func(s string) string { return strings.Replace(s, "UDP 10.0.1.1", "UDP 10.0.1.2", 1) },
		"another port":    func(s string) string { return strings.Replace(s, "UDP 10.0.1.1:5060", "UDP 10.0.1.1:5061", 1) },
		"two Vias": func(s string) string {
			return strings.Replace(s, "Via: ", "Via: SIP/2.0/UDP 10.6.6.6;branch=z9hG4bKq\r\nVia: ", 1)
		},
		"another CSeq method": func(s string) string { return strings.Replace(s, "1 INVITE", "1 BYE", 1) },
		"another CSeq number": func(s string) string { return cseq(s, "777") },
		"huge CSeq":           func(s string) string { return cseq(s, "4294967296") },
		"no CSeq":             func(s string) string { return strings.Replace(s, "CSeq: ", "X: ", 1) },
		"status 700":          func(s string) string { return strings.Replace(s, "SIP/2.0 200", "SIP/2.0 700", 1) },
		"status 99":           func(s string) string { return strings.Replace(s, "SIP/2.0 200", "SIP/2.0 99", 1) },
		"another SIP":         func(s string) string { return strings.Replace(s, "SIP/2.0 200", "SIP/3.0 200", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _, call, _, invite := calling(t)
			evil := s.raw(mallory)
			spoof := change(reply(t, invite, 200, "evil", "Contact: <sip:evil@"+mallory+">"))
			for range 10 {
				evil.send(aliceAddr, spoof)
			}
			s.run(time.Second)
			if call.State() != ua.StateRinging {
				t.Errorf("the call is %v", call.State())
			}
			if len(evil.got) > 0 {
				t.Errorf("mallory hears %q", evil.got)
			}
		})
	}
}

// cseq has another number in CSeq.
func cseq(s, number string) string {
	before, after, _ := strings.Cut(s, "CSeq: ")
	_, after, _ = strings.Cut(after, " ")
	return before + "CSeq: " + number + " " + after
}

// TestStrangersInDialogs: CANCEL, BYE, re-INVITE, UPDATE, INFO, PRACK, ACK and NOTIFY of somebody who lacks one part of what
// names a call do nothing to it.
func TestStrangersInDialogs(t *testing.T) {
	t.Parallel()
	s := newSim(t, 1)
	var call *ua.Call
	ended := 0
	bob := s.user(bobAddr, "<sip:bob@b.com>", "", func(c *ua.Config) {
		c.Answer = ua.Answer{Delay: 2 * time.Second}
		c.Events = func(e ua.Event) {
			switch e.Kind {
			case ua.EventIncoming:
				call = e.Call
			case ua.EventEnded:
				ended++
			default:
			}
		}
	})
	alice, evil := s.raw(aliceAddr), s.raw(mallory)
	invite := req{method: "INVITE", uri: "sip:bob@" + bobAddr, branch: "real", callID: "c1", more: []string{"Content-Type: application/sdp"}, body: offer}
	alice.send(bobAddr, invite.text())
	s.run(100 * time.Millisecond)
	for i, cancel := range []req{ // each lacks one of branch, sent-by
		{branch: "other"}, {branch: "real", via: mallory}, {branch: "real", via: "10.0.1.1:5061"}, {branch: "REALLY"}, {branch: "rea"},
	} {
		cancel.method, cancel.uri, cancel.callID = "CANCEL", invite.uri, "c1"
		evil.send(bobAddr, cancel.text())
		s.run(50 * time.Millisecond)
		if call.State() != ua.StateRinging {
			t.Fatalf("CANCEL %d: the call is %v", i, call.State())
		}
	}
	s.run(3 * time.Second)
	_, tag, _, _ := call.Dialog()
	alice.send(bobAddr, req{method: "ACK", uri: invite.uri, branch: "ack", callID: "c1", toTag: tag}.text())
	s.run(50 * time.Millisecond)
	if call.State() != ua.StateConfirmed {
		t.Fatal(call.State())
	}
	for _, method := range []string{"BYE", "INVITE", "UPDATE", "INFO", "PRACK", "ACK", "NOTIFY", "REFER", "MESSAGE", "SUBSCRIBE"} {
		for i, q := range []req{
			{callID: "c2", toTag: tag},
			{callID: "c1", toTag: tag + "x"},
			{callID: "c1", toTag: tag, fromTag: "a2"},
			{callID: "c1", toTag: strings.ToUpper(tag) + "-"},
			{callID: "C1", toTag: tag},
			{callID: "c1", toTag: "a1", fromTag: tag},
		} {
			q.method, q.uri, q.via, q.branch, q.cseq = method, invite.uri, mallory, fmt.Sprint(method, i), 99
			q.more = []string{"RAck: 1 1 INVITE", "Event: refer", "Subscription-State: terminated", "Refer-To: <sip:evil@" + mallory + ">"}
			evil.send(bobAddr, q.text())
			s.run(20 * time.Millisecond)
			if call.State() != ua.StateConfirmed || ended > 0 {
				t.Fatalf("%s %d: the call is %v", method, i, call.State())
			}
		}
	}
	// BYEs of the dialog: one whose CSeq is as low as the INVITE's, those that cannot be (RFC 3261 8.1.1.5), and the highest
	for n, q := range []struct {
		cseq  uint64
		state ua.State
	}{{1, ua.StateConfirmed}, {4294967296, ua.StateConfirmed}, {18446744073709551615, ua.StateConfirmed}, {4294967295, ua.StateConfirmed}, {2147483647, ua.StateEnded}} {
		alice.send(bobAddr, req{method: "BYE", uri: invite.uri, branch: fmt.Sprint("last", n), callID: "c1", toTag: tag, cseq: q.cseq}.text())
		s.run(20 * time.Millisecond)
		if call.State() != q.state {
			t.Errorf("BYE with CSeq %d: the call is %v", q.cseq, call.State())
		}
	}
	s.drain()
	if left := (&element{agent: bob, layer: bob.Layer()}).left(); left != "" {
		t.Error(left)
	}
}

// TestLoops: proxies of ours that are configured to send everything to each other, or to themselves, answer 482 or 483 after
// a bounded number of messages; stateful or not, forking or not (RFC 3261 16.3 step 3 and 4, RFC 5393).
func TestLoops(t *testing.T) {
	single(t)
	t.Parallel()
	for _, tt := range []struct {
		name     string
		one, two string
		noCheck  bool
		max      int // requests on the wire
	}{
		{"stateful", "proxy", "proxy", false, 8},
		{"stateless", "stateless", "stateless", false, 75},
		{"mixed", "proxy", "stateless", false, 75},
		{"unchecked", "proxy", "proxy", true, 75},
	} {
		for _, method := range []string{"INVITE", "MESSAGE"} {
			t.Run(tt.name+"/"+method, func(t *testing.T) {
				t.Parallel()
				s := newSim(t, 1)
				var made []*element
				for i, kind := range []string{tt.one, tt.two} {
					h := s.host(middle(i))
					made = append(made, loopy(t, kind, h, h.Listeners(), "sip:"+middle(1-i), 1, tt.noCheck))
					h.Attach(made[i].handler)
				}
				alice := s.raw(aliceAddr)
				alice.send(proxyAddr, req{method: method, branch: "loop"}.text())
				s.run(20 * time.Second)
				if sent := s.net.Stats().Sent; sent > uint64(4*tt.max) {
					t.Errorf("%d messages", sent)
				}
				if alice.all[482]+alice.all[483] == 0 {
					t.Errorf("alice hears %v", alice.all)
				}
				s.drain()
				for _, e := range made {
					if left := e.left(); left != "" {
						t.Errorf("%s keeps %s", e.kind, left)
					}
				}
			})
		}
	}
}

// loopy is a proxy for b.com that sends every user to n contacts at the next element.
func loopy(t *testing.T, kind string, link transport.Link, own []transport.Hop, next string, n int, noCheck bool) *element {
	t.Helper()
	e := &element{kind: kind, store: registrar.NewStore(registrar.StoreConfig{MaxContacts: 200})}
	host := strings.TrimSuffix(strings.TrimPrefix(next, "sip:"), ":5060")
	for i := range n {
		uri := fmt.Sprintf("sip:bob%d@b.com;maddr=%s", i, host)
		if n == 1 {
			uri = "sip:bob@b.com;maddr=" + host
		}
		for _, who := range []string{"sip:bob@b.com", fmt.Sprintf("sip:bob%d@b.com", i)} {
			if err := e.store.Add(who, &registrar.Binding{URI: uri, Q: -1, Ends: registrar.Forever}, start); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range n { // each of them leads to all again
		for j := range n {
			_ = e.store.Add(fmt.Sprintf("sip:bob%d@b.com", i), &registrar.Binding{
				URI: fmt.Sprintf("sip:bob%d@b.com;maddr=%s", j, host), Q: -1, Ends: registrar.Forever,
			}, start)
		}
	}
	cfg := proxy.Config{Listeners: own, Domains: []string{"b.com"}, Locator: proxy.Location{Store: e.store}, Rand: rng(3), NoLoopCheck: noCheck, Fork: proxy.ForkParallel}
	var err error
	if kind == "stateless" {
		if e.stateless, err = proxy.NewStateless(cfg); err != nil {
			t.Fatal(err)
		}
		e.stateless.Attach(link)
		e.handler = e.stateless
		return e
	}
	if e.proxy, err = proxy.New(cfg); err != nil {
		t.Fatal(err)
	}
	e.layer = txn.New(link, e.proxy, txn.Config{Merged: true, StrayCancel: true, Rand: rng(4)})
	e.proxy.Attach(e.layer)
	e.handler = e.proxy.Handler()
	return e
}

// TestForkBomb: two proxies where each of some users forks to all of them at the other one (RFC 5393 3). The detection of loops
// ends it for two users. With ten, or without it, the ways through are too many to end in a lifetime: Max-Breadth bounds
// how many are tried at a time (RFC 5393 5), and the caller's CANCEL ends them all.
func TestForkBomb(t *testing.T) {
	single(t)
	t.Parallel()
	for _, tt := range []struct {
		users   int
		noCheck bool
	}{{2, false}, {10, false}, {2, true}, {10, true}} {
		t.Run(fmt.Sprintf("%d users, check %v", tt.users, !tt.noCheck), func(t *testing.T) {
			t.Parallel()
			s := newSim(t, 1)
			var made []*element
			for i := range 2 {
				h := s.host(middle(i))
				made = append(made, loopy(t, "proxy", h, h.Listeners(), "sip:"+middle(1-i), tt.users, tt.noCheck))
				h.Attach(made[i].handler)
			}
			alice := s.raw(aliceAddr)
			bomb := req{method: "INVITE", branch: "bomb"}
			alice.send(proxyAddr, bomb.text())
			most := 0
			for s.net.Now() < start+5*second && s.net.Stats().Sent < 100_000 && s.net.Step() {
				n := 0
				for _, e := range made {
					st := e.layer.Stats()
					n += st.Open[txn.ClientInvite][txn.Trying] + st.Open[txn.ClientInvite][txn.Proceeding]
				}
				most = max(most, n)
			}
			st := s.net.Stats()
			t.Logf("%d messages in %v, at most %d branches at a time; alice hears %v", st.Sent, time.Duration(s.net.Now()-start), most, alice.all)
			if !tt.noCheck && tt.users == 2 && (alice.all[482] == 0 || st.Sent > 200) {
				t.Errorf("%d messages; alice hears %v", st.Sent, alice.all)
			}
			if most > proxy.DefaultMaxBreadth*70 { // each branch is a way of at most 70 hops
				t.Errorf("%d branches at a time", most)
			}
			bomb.method = "CANCEL"
			alice.send(proxyAddr, bomb.text())
			s.drain()
			if more := s.net.Stats().Sent - st.Sent; more > uint64(40*most+100) {
				t.Errorf("%d more messages after the CANCEL", more)
			}
			if alice.all[482]+alice.all[487]+alice.all[483]+alice.all[440] == 0 {
				t.Errorf("alice hears %v", alice.all)
			}
			for _, e := range made {
				if left := e.left(); left != "" {
					t.Errorf("%s keeps %s", e.kind, left)
				}
			}
		})
	}
}

// TestRedirectLoop: agents that are told to follow 3xx, and proxies that recurse, do not follow for ever.
func TestRedirectLoop(t *testing.T) {
	single(t)
	t.Parallel()
	s := newSim(t, 1)
	peer := s.raw(bobAddr)
	invites := 0
	peer.auto = func(m *sip.Message, hop transport.Hop) {
		if m.Request && m.MethodID == sip.MethodInvite {
			invites++
			var contacts []string
			for i := range 10 { // ever new ones
				contacts = append(contacts, fmt.Sprintf("Contact: <sip:bob%d-%d@%s>", invites, i, bobAddr))
			}
			peer.send(hop.Remote.String(), reply(t, string(m.Raw), 302, "x", contacts...))
		}
	}
	alice := s.user(aliceAddr, "<sip:alice@a.com>", "", nil)
	var cause ua.Cause
	s.net.At(start, func() {
		_, err := alice.Call(ua.CallOptions{To: "sip:bob@" + bobAddr, Redirects: 20, Events: func(e ua.Event) { cause = e.Cause }})
		if err != nil {
			t.Error(err)
		}
	})
	s.run(time.Minute)
	if invites > 60 || cause != ua.CauseRejected { // 21, and some again for want of an ACK
		t.Errorf("%d INVITEs, cause %v", invites, cause)
	}
	invites = 0
	h := s.host(proxyAddr)
	e := &element{kind: "proxy"}
	var err error
	if e.proxy, err = proxy.New(proxy.Config{Listeners: h.Listeners(), Recurse: true, Rand: rng(1)}); err != nil {
		t.Fatal(err)
	}
	e.layer = txn.New(h, e.proxy, txn.Config{Merged: true, StrayCancel: true, Rand: rng(2)})
	e.proxy.Attach(e.layer)
	h.Attach(e.proxy.Handler())
	caller := s.raw("10.0.1.2:5060")
	caller.send(proxyAddr, req{method: "INVITE", via: "10.0.1.2:5060", uri: "sip:bob@" + bobAddr, branch: "recurse"}.text())
	s.run(5 * time.Minute)
	if invites > 300 || len(caller.all) < 2 {
		t.Errorf("the proxy sent %d INVITEs; the caller hears %v", invites, caller.all)
	}
	t.Logf("the proxy followed to %d targets; the caller hears %v", invites, caller.all)
	s.drain()
	if left := e.left(); left != "" {
		t.Error(left)
	}
}

// TestBigParts: tags, Call-IDs, branches, user parts of 60,000 bytes, thousands of Via, Route, Record-Route and Contact
// values: answered or dropped, not kept beyond their time, and never more kept than they are long.
func TestBigParts(t *testing.T) { //nolint:paralleltest // it measures the heap
	long := strings.Repeat("x", 60_000)
	many := func(line string, n int) []string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf(line, i))
		}
		return all
	}
	rows := map[string]req{
		"From tag":     {fromTag: long},
		"To tag":       {toTag: long},
		"Call-ID":      {callID: long},
		"branch":       {branch: long},
		"user":         {uri: "sip:" + long + "@b.com"},
		"AOR":          {to: "sip:" + long + "@b.com", from: "sip:" + long + "@b.com"},
		"Vias":         {more: many("Via: SIP/2.0/UDP 10.0.0.%d", 1500)},
		"Routes":       {more: many("Route: <sip:10.0.0.9;lr;x=%d>", 1500)},
		"RecordRoutes": {more: many("Record-Route: <sip:10.0.0.9;lr;x=%d>", 1500)},
		"Contacts":     {more: many("Contact: <sip:x%d@10.0.0.9>", 1500)},
		"Requires":     {more: many("Require: x%d", 3000)},
		"unknown":      {more: many("X-%d: y", 5000)},
		"one line":     {more: []string{"Route: " + strings.Repeat("<sip:10.0.0.9;lr>,", 3000) + "<sip:10.0.0.9;lr>"}},
		"folded":       {more: []string{"Subject: x" + strings.Repeat("\r\n y", 15_000)}},
		"parameters":   {uri: "sip:bob@b.com" + strings.Repeat(";a=b", 12_000)},
		"credentials":  {more: many(`Authorization: Digest username="u%d", realm="b.com", nonce="x", uri="sip:b.com", response="0"`, 500)},
		"quotes":       {more: []string{`Contact: "` + strings.Repeat(`\"`, 25_000) + `" <sip:x@10.0.0.9>`}},
		"expires":      {more: []string{"Expires: " + strings.Repeat("9", 50_000)}},
		"Max-Forwards": {more: []string{"Max-Breadth: " + strings.Repeat("9", 50_000)}},
	}
	for name, q := range rows {
		for _, kind := range kinds {
			for _, method := range []string{"INVITE", "REGISTER", "SUBSCRIBE", "OPTIONS"} {
				b := newBench(t, kind, limits{})
				before := heap()
				const n = 10
				for i := range n {
					one := q
					one.method, one.branch = method, strconv.Itoa(i)+q.branch
					if method == "REGISTER" && one.uri == "" {
						one.uri = "sip:b.com"
					}
					begun := time.Now()
					b.give(netip.MustParseAddrPort(aliceAddr), []byte(one.text()))
					b.pass(100 * time.Millisecond)
					if took := time.Since(begun); took > 2*time.Second {
						t.Errorf("%s: a %s takes the %s %v", name, method, kind, took)
					}
				}
				if grown := heap() - before; grown > 8*n*65_536 {
					t.Errorf("%s, %s: the %s keeps %d bytes of %d messages", name, method, kind, grown, n)
				}
				for range n { // and again what it sent
					b.give(netip.MustParseAddrPort(bobAddr), []byte(b.last))
				}
				b.pass(24 * time.Hour)
				if left := b.left(); left != "" {
					t.Errorf("%s, %s: the %s keeps %s", name, method, kind, left)
				}
				runtime.KeepAlive(b)
			}
		}
	}
}

// TestContactBomb: an address-of-record takes no more contacts than it may, whoever asks how, and one Call-ID cannot turn the
// order back.
func TestContactBomb(t *testing.T) {
	single(t)
	t.Parallel()
	b := newBench(t, "registrar", limits{})
	for i := range 5000 {
		q := req{method: "REGISTER", uri: "sip:b.com", branch: fmt.Sprint("b", i), callID: fmt.Sprint("c", i%7), cseq: uint64(i + 1)}
		for j := range 1 + i%5 {
			q.more = append(q.more, fmt.Sprintf("Contact: <sip:x%d-%d@10.0.0.9>;expires=%d", i, j, 60+i))
		}
		b.give(netip.MustParseAddrPort(aliceAddr), []byte(q.text()))
	}
	if n := len(b.store.Lookup("sip:bob@b.com", b.now)); n == 0 || n > 11 {
		t.Errorf("%d contacts", n)
	}
	if b.sent[403] == 0 {
		t.Errorf("sent %v", b.sent)
	}
}

// TestReplay: credentials that were seen on the wire do not work again, not in another request, not with another body, not
// after their time (RFC 7616 3.4.6, 5.12).
func TestReplay(t *testing.T) {
	single(t)
	t.Parallel()
	s := newSim(t, 1)
	server, err := auth.NewServer(auth.ServerConfig{
		Realm: "b.com", Rand: rand.New(rand.NewPCG(1, 2)), Lookup: func(user, _ string) (string, bool) { return "secret", user == "bob" },
	})
	if err != nil {
		t.Fatal(err)
	}
	h := s.host(proxyAddr)
	store := registrar.NewStore(registrar.StoreConfig{})
	reg := registrar.New(registrar.Config{Store: store, Auth: server, Domains: []string{"b.com"}, Rand: rng(1)})
	layer := txn.New(h, reg, txn.Config{Rand: rng(2)})
	reg.Attach(layer)
	h.Attach(registrar.Handler(layer, store))
	var seen string
	s.net.Lose = func(_, _ netip.AddrPort, raw []byte) bool {
		if strings.Contains(string(raw), "\r\nAuthorization: ") {
			seen = string(raw)
		}
		return false
	}
	bob := s.user(bobAddr, "<sip:bob@b.com>", "", func(c *ua.Config) { c.Credentials = []auth.Credentials{{User: "bob", Password: "secret"}} })
	s.net.At(start, func() {
		if _, err := bob.Register(ua.RegisterOptions{Registrar: "sip:b.com", Route: []string{"<sip:" + proxyAddr + ";lr>"}, Expires: 600, Once: true}); err != nil {
			t.Error(err)
		}
	})
	s.run(time.Second)
	if len(store.Lookup("sip:bob@b.com", s.net.Now())) != 1 || seen == "" {
		t.Fatal("not registered")
	}
	evil := s.raw(mallory)
	replay := func(change ...string) string {
		text := strings.NewReplacer(append([]string{"UDP 10.0.2.1", "UDP 10.66.6.6", "sip:bob@10.0.2.1", "sip:evil@10.66.6.6"}, change...)...).Replace(seen)
		return cseq(text, strconv.Itoa(100+len(evil.got)))
	}
	for i, text := range []string{
		replay(";branch=z9hG4bK", ";branch=z9hG4bK1"),
		replay(";branch=z9hG4bK", ";branch=z9hG4bK2", "nc=00000001", "nc=00000002"),
		replay(";branch=z9hG4bK", ";branch=z9hG4bK3", "REGISTER sip:b.com", "REGISTER sip:bob@b.com"),
		replay(";branch=z9hG4bK", ";branch=z9hG4bK4", `username="bob"`, `username="BOB"`),
		replay(";branch=z9hG4bK", ";branch=z9hG4bK5", "nc=00000001", "nc=ffffffff"),
	} {
		evil.send(proxyAddr, text)
		s.run(time.Second)
		if got := status(evil.last()); got != "401" && got != "403" && got != "400" {
			t.Errorf("replay %d gets %q", i, got)
		}
	}
	for _, b := range store.Lookup("sip:bob@b.com", s.net.Now()) {
		if strings.Contains(b.URI, "evil") {
			t.Errorf("mallory is registered: %s", b.URI)
		}
	}
}
