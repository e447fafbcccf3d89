package hostile

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/auth"
	"sipscope/element/transport"
	"sipscope/element/ua"
)

// storms are answers that want to make a client ask again and again, by the method that they are to.
var storms = []struct {
	name, method string
	status       int
	more         []string
}{
	{"expires 0", "REGISTER", 200, []string{"Expires: 0"}},
	{"expires 0 of the contact", "REGISTER", 200, []string{"Contact: <sip:alice@" + aliceAddr + ">;expires=0"}},
	{"expires 1", "REGISTER", 200, []string{"Contact: <sip:alice@" + aliceAddr + ">;expires=1"}},
	{"expires huge", "REGISTER", 200, []string{"Contact: <sip:alice@" + aliceAddr + ">;expires=4294967295"}},
	{"expires beyond", "REGISTER", 200, []string{"Contact: <sip:alice@" + aliceAddr + ">;expires=99999999999999999999"}},
	{"expires negative", "REGISTER", 200, []string{"Contact: <sip:alice@" + aliceAddr + ">;expires=-5"}},
	{"too brief, ever higher", "REGISTER", 423, []string{"Min-Expires: +"}},
	{"too brief, huge", "REGISTER", 423, []string{"Min-Expires: 4294967295"}},
	{"too brief, the same", "REGISTER", 423, []string{"Min-Expires: 3600"}},
	{"retry at once", "REGISTER", 503, []string{"Retry-After: 0"}},
	{"challenge for ever", "REGISTER", 401, []string{`WWW-Authenticate: Digest realm="b.com", nonce="+", stale=true`}},
	{"challenge of ever other realms", "REGISTER", 401, []string{`WWW-Authenticate: Digest realm="r+", nonce="+"`}},
	{"proxy challenge for ever", "REGISTER", 407, []string{`Proxy-Authenticate: Digest realm="b.com", nonce="+", qop="auth", stale=true`}},
	{"redirect to itself", "REGISTER", 302, []string{"Contact: <sip:x+@" + otherAddr + ">"}},
	{"expires 0", "SUBSCRIBE", 200, []string{"Expires: 0"}},
	{"expires 1", "SUBSCRIBE", 200, []string{"Expires: 1"}},
	{"expires huge", "SUBSCRIBE", 200, []string{"Expires: 4294967295"}},
	{"too brief, ever higher", "SUBSCRIBE", 423, []string{"Min-Expires: +"}},
	{"retry at once", "SUBSCRIBE", 503, []string{"Retry-After: 0"}},
	{"unknown dialog", "SUBSCRIBE", 481, nil},
	{"challenge for ever", "SUBSCRIBE", 401, []string{`WWW-Authenticate: Digest realm="b.com", nonce="+", stale=true`}},
	{"expires 0", "PUBLISH", 200, []string{"SIP-ETag: e+", "Expires: 0"}},
	{"expires 1", "PUBLISH", 200, []string{"SIP-ETag: e+", "Expires: 1"}},
	{"expires huge", "PUBLISH", 200, []string{"SIP-ETag: e+", "Expires: 4294967295"}},
	{"precondition for ever", "PUBLISH", 412, nil},
	{"too brief, ever higher", "PUBLISH", 423, []string{"Min-Expires: +"}},
	{"retry at once", "PUBLISH", 503, []string{"Retry-After: 0"}},
	{"session too small, ever higher", "INVITE", 422, []string{"Min-SE: +"}},
	{"session too small, huge", "INVITE", 422, []string{"Min-SE: 4294967295"}},
	{"session too small, the same", "INVITE", 422, []string{"Min-SE: 90"}},
	{"pending", "INVITE", 491, nil},
	{"challenge for ever", "INVITE", 401, []string{`WWW-Authenticate: Digest realm="b.com", nonce="+", stale=true`}},
	{"another offer", "INVITE", 488, nil},
	{"bad extension", "INVITE", 420, []string{"Unsupported: timer"}},
	{"retry at once", "INVITE", 503, []string{"Retry-After: 0"}},
	{"redirect for ever", "INVITE", 302, []string{"Contact: <sip:x+@" + otherAddr + ">"}},
}

// TestStorms: no answer makes a client ask more often than it was told to, or stand still for ever where there is
// something to do; and it stops when it is told to.
func TestStorms(t *testing.T) {
	single(t)
	t.Parallel()
	for _, tt := range storms {
		t.Run(tt.method+" "+tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSim(t, 1)
			alice := s.user(aliceAddr, "<sip:alice@a.com>", "", func(c *ua.Config) {
				c.SessionSec = 90
				c.Credentials = []auth.Credentials{{User: "alice", Password: "secret"}}
			})
			peer, n := s.raw(otherAddr), 0
			peer.keep = false
			peer.auto = func(m *sip.Message, _ transport.Hop) {
				if !m.Request || m.MethodID == sip.MethodAck {
					return
				}
				n++
				var more []string
				for _, line := range tt.more {
					more = append(more, strings.ReplaceAll(line, "+", strconv.Itoa(1000+n)))
				}
				code := tt.status
				if string(m.Method.Of(m.Raw)) != tt.method {
					code, more = 200, nil
				}
				peer.send(aliceAddr, reply(t, string(m.Raw), code, "x", more...))
			}
			s.net.At(start, func() { stormy(t, alice, tt.method) })
			s.run(10 * time.Minute)
			t.Logf("%d requests in ten minutes", n)
			if limit := 5*600 + 10; n > limit { // Retry is a second, and a challenge is followed four times
				t.Errorf("%d requests in ten minutes", n)
			}
			s.net.At(s.net.Now(), alice.Close)
			s.run(2 * time.Minute)
			if left := (&element{agent: alice, layer: alice.Layer()}).left(); left != "" || !alice.Idle() {
				t.Errorf("%q is left, idle %v", left, alice.Idle())
			}
			n = 0
			s.run(time.Hour)
			if n > 0 {
				t.Errorf("%d requests after all was over", n)
			}
		})
	}
}

// stormy asks for what a method is there for.
func stormy(t *testing.T, a *ua.Agent, method string) {
	t.Helper()
	var err error
	to := "sip:x@" + otherAddr
	switch method {
	case "REGISTER":
		_, err = a.Register(ua.RegisterOptions{Registrar: "sip:" + otherAddr, Retry: time.Second})
	case "SUBSCRIBE":
		_, err = a.Subscribe(ua.SubscribeOptions{To: to, Event: "presence"})
	case "PUBLISH":
		_, err = a.Publish(ua.PublishOptions{To: to, Event: "presence", Type: "text/plain", Body: []byte("x")})
	default:
		_, err = a.Call(ua.CallOptions{To: to, Redirects: 50, Talk: time.Minute})
	}
	if err != nil {
		t.Error(err)
	}
}

// TestNotifyStorms: neither do notifications of a peer who wants to be asked again and again, nor those that claim to be of
// ever other branches of a fork.
func TestNotifyStorms(t *testing.T) {
	single(t)
	t.Parallel()
	for _, state := range []string{
		"active;expires=0", "active;expires=1", "active;expires=99999999999999", "active;expires=-1", "pending;retry-after=0", "terminated;reason=deactivated",
		"terminated;reason=timeout", "terminated;reason=probation;retry-after=0", "terminated;reason=giveup;retry-after=0", "terminated", "",
	} {
		for _, forks := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s forks %v", state, forks), func(t *testing.T) {
				t.Parallel()
				s := newSim(t, 1)
				alice := s.user(aliceAddr, "<sip:alice@a.com>", "", nil)
				peer, n, answered := s.raw(otherAddr), 0, 0
				peer.keep = false
				peer.auto = func(m *sip.Message, _ transport.Hop) {
					if !m.Request {
						answered++
						return
					}
					n++
					peer.send(aliceAddr, reply(t, string(m.Raw), 200, "x", "Expires: 600", "Contact: <sip:x@"+otherAddr+">"))
					tags := []string{"x"}
					for i := range 2000 {
						if !forks || n > 1 {
							break
						}
						tags = append(tags, fmt.Sprint("x", i))
					}
					for _, tag := range tags {
						peer.send(aliceAddr, req{
							method: "NOTIFY", via: otherAddr, branch: fmt.Sprint("n", n, tag), uri: "sip:alice@" + aliceAddr, from: "sip:x@" + otherAddr, fromTag: tag, to: "sip:alice@a.com",
							toTag: string(m.From.Tag.Of(m.Raw)), callID: string(m.CallID.Of(m.Raw)), cseq: uint64(n), more: []string{"Event: presence", "Subscription-State: " + state},
						}.text())
					}
				}
				s.net.At(start, func() { stormy(t, alice, "SUBSCRIBE") })
				s.run(time.Second)
				subs := alice.Stats().Subscriptions
				s.run(10 * time.Minute)
				t.Logf("%d requests in ten minutes, %d answers, %d subscriptions at most", n, answered, subs)
				if n > 610*max(subs, 1) || subs > 17 { // 16 forks
					t.Errorf("%d requests in ten minutes, %d subscriptions", n, subs)
				}
				s.net.At(s.net.Now(), alice.Close)
				s.run(3 * time.Minute)
				if left := (&element{agent: alice, layer: alice.Layer()}).left(); left != "" || !alice.Idle() {
					t.Errorf("%q is left, idle %v", left, alice.Idle())
				}
			})
		}
	}
}

// TestForkedAnswers: thousands of early dialogs, 2xx and reliable provisional responses to one INVITE, each with a tag of
// its own: the first are kept, what must be acknowledged is, and what that costs is bounded.
func TestForkedAnswers(t *testing.T) {
	single(t)
	t.Parallel()
	for _, status := range []int{180, 183, 200, 302, 486} {
		t.Run(strconv.Itoa(status), func(t *testing.T) {
			t.Parallel()
			s, alice, call, peer, invite := calling(t)
			peer.keep = false
			sent := map[string]int{}
			peer.auto = func(m *sip.Message, _ transport.Hop) {
				if m.Request {
					sent[string(m.Method.Of(m.Raw))]++
				}
			}
			const n = 5000
			for i := range n {
				more := []string{"Contact: <sip:bob@" + bobAddr + ">"}
				if status == 183 {
					more = append(more, "Require: 100rel", fmt.Sprint("RSeq: ", i+1))
				}
				peer.send(aliceAddr, reply(t, invite, status, fmt.Sprint("f", i), more...))
			}
			s.run(time.Second)
			st := alice.Stats()
			open := (&element{layer: alice.Layer()}).open()
			t.Logf("she sends %v, %d requests and %d transactions open, call %v", sent, st.Requests, open, call.State())
			if open > 200 || st.Calls > 1 {
				t.Errorf("%d transactions, %d calls", open, st.Calls)
			}
			s.net.At(s.net.Now(), alice.Close)
			s.run(3 * time.Minute)
			if left := (&element{agent: alice, layer: alice.Layer()}).left(); left != "" || !alice.Idle() {
				t.Errorf("%q is left, idle %v", left, alice.Idle())
			}
		})
	}
}

// TestLoopsWithoutAnswer: ACKs and CANCELs that match nothing go round no more than Max-Forwards allows, and do not fork.
func TestLoopsWithoutAnswer(t *testing.T) {
	single(t)
	t.Parallel()
	for _, kind := range []string{"proxy", "stateless"} {
		for _, method := range []string{"ACK", "CANCEL"} {
			for _, self := range []bool{false, true} {
				s := newSim(t, 1)
				for i := range 2 {
					h := s.host(middle(i))
					next := middle(1 - i)
					if self {
						next = middle(i)
					}
					e := loopy(t, kind, h, h.Listeners(), "sip:"+next, 10, false)
					h.Attach(e.handler)
				}
				s.raw(aliceAddr).send(proxyAddr, req{method: method, branch: "round", toTag: "x"}.text())
				s.run(time.Minute)
				if sent := s.net.Stats().Sent; sent > 150 {
					t.Errorf("%s %s, to itself %v: %d messages", kind, method, self, sent)
				}
			}
		}
	}
}

// TestOwnVias: responses whose Vias all name the proxy, and requests whose Via names the one who answers, do not go round.
func TestOwnVias(t *testing.T) {
	single(t)
	t.Parallel()
	for _, kind := range kinds {
		s := newSim(t, 1)
		e := s.add(kind, proxyAddr, bobAddr, limits{}, "")
		evil := s.raw(mallory)
		vias := strings.Repeat("Via: SIP/2.0/UDP "+proxyAddr+";branch=z9hG4bKx\r\n", 500)
		evil.send(proxyAddr, "SIP/2.0 200 OK\r\n"+vias+"From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n")
		s.run(time.Minute)
		sent := s.net.Stats().Sent
		if limit := map[bool]uint64{true: 501, false: 3}[kind == "stateless"]; sent > limit { // it takes a Via each time
			t.Errorf("%s: %d messages of one response", kind, sent)
		}
		for _, via := range []string{proxyAddr, proxyAddr + ";maddr=10.0.0.1", mallory + ";maddr=10.0.0.1", mallory + ";received=10.0.0.1", mallory + ";rport=5060;received=10.0.0.1"} {
			evil.send(proxyAddr, strings.Replace(req{method: "OPTIONS", uri: "sip:" + proxyAddr, branch: "own" + strconv.Itoa(len(via))}.text(), aliceAddr+";branch", via+";branch", 1))
		}
		s.run(5 * time.Minute)
		if more := s.net.Stats().Sent - sent; more > 150 {
			t.Errorf("%s: %d messages of five requests", kind, more)
		}
		s.drain()
		if left := e.left(); left != "" {
			t.Errorf("%s keeps %s", kind, left)
		}
	}
}

// linear checks that four times as many cost not nearly sixteen times as much: f does n of something. The machine may have
// other things to do meanwhile, so there are several tries.
func linear(t *testing.T, n int, f func(n int)) {
	t.Helper()
	var few, many time.Duration
	for range 4 {
		begun := time.Now()
		f(n)
		few = time.Since(begun)
		begun = time.Now()
		f(4 * n)
		if many = time.Since(begun); many < 6*few {
			return
		}
	}
	t.Errorf("%d take %v, %d take %v", n, few, 4*n, many)
}

// TestManyInOne has one peer put as much as the limits allow into one place: subscriptions of one dialog, dialogs of one Call-ID,
// watchers of one package. What it costs to find and to end one does not grow with their number.
func TestManyInOne(t *testing.T) {
	single(t)
	t.Parallel()
	for name, one := range map[string]func(i int) req{
		"watchers": func(i int) req { return req{callID: strconv.Itoa(i), more: []string{"Event: presence"}} },
		"dialogs of one Call-ID": func(i int) req {
			return req{callID: "c", fromTag: fmt.Sprint("t", i), more: []string{"Event: presence"}}
		},
		"subscriptions of a dialog": func(i int) req {
			return req{callID: "c", cseq: uint64(i + 1), more: []string{fmt.Sprintf("Event: presence;id=%d", i)}}
		},
	} {
		linear(t, 10_000, func(n int) {
			b := newBench(t, "user agent", limits{calls: 100_000})
			tag := ""
			for i := range n {
				q := one(i)
				q.method, q.branch, q.uri = "SUBSCRIBE", fmt.Sprint("m", i), "sip:bob@b.com"
				q.more = append(q.more, fmt.Sprint("Expires: ", 600+i%7))
				if name == "subscriptions of a dialog" {
					q.toTag = tag
				}
				b.give(netip.MustParseAddrPort(aliceAddr), []byte(q.text()))
				if tag == "" { // its NOTIFY came last
					tag = string(parse(t, b.last).From.Tag.Of([]byte(b.last)))
				}
			}
			want := n
			if name == "subscriptions of a dialog" {
				want = 32
			}
			if made := b.agent.Stats().Subscriptions; made != want {
				t.Fatalf("%s: %d subscriptions, want %d", name, made, want)
			}
			b.pass(3 * time.Hour)
			if left := b.left(); left != "" {
				t.Error(left)
			}
		})
	}
}

// TestCollisions sends requests that share all of their identity but one part: none makes the search for a transaction slow.
func TestCollisions(t *testing.T) {
	single(t)
	t.Parallel()
	for name, one := range map[string]func(i int) req{
		"other branches": func(i int) req { return req{branch: fmt.Sprint("m", i), callID: "c"} },
		"other sent-by":  func(i int) req { return req{branch: "same", via: fmt.Sprintf("10.1.%d.%d", i>>8, i&255), callID: "c"} },
		"other ports": func(i int) req {
			return req{branch: "same", via: fmt.Sprintf("10.1.1.1:%d", i+1000), callID: strconv.Itoa(i)}
		},
		"other methods":    func(i int) req { return req{method: fmt.Sprint("M", i), branch: "same", callID: "c"} },
		"other Call-IDs":   func(i int) req { return req{branch: "same", callID: strconv.Itoa(i)} },
		"RFC 2543, CSeq":   func(i int) req { return req{branch: "", callID: "c", cseq: uint64(i + 1)} },
		"RFC 2543, To tag": func(i int) req { return req{branch: "", callID: "c", toTag: strconv.Itoa(i)} },
	} {
		for _, kind := range kinds {
			linear(t, 1500, func(n int) {
				b := newBench(t, kind, limits{})
				for i := range n {
					q := one(i)
					q.method = or(q.method, "INVITE")
					text := q.text()
					if q.branch == "" {
						text = strings.Replace(text, ";branch=z9hG4bK", "", 1)
					}
					b.give(netip.MustParseAddrPort(aliceAddr), []byte(text))
				}
				b.pass(time.Hour)
				if left := b.left(); left != "" {
					t.Errorf("%s: the %s keeps %s", name, kind, left)
				}
			})
		}
	}
}
