package ua

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"sipscope/element/auth"
)

// TestEarlyDialogGone: when the early dialog that came first is ended by a BYE, the call goes on with the other one, and
// no timer of the first is left.
func TestEarlyDialogGone(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		then func(t *testing.T, l *hostile, invite string)
	}{
		{"an UPDATE in the other", func(t *testing.T, l *hostile, invite string) {
			t.Helper()
			if s := l.receive(inside(invite, "UPDATE", "B", 1)); s != 200 {
				t.Errorf("the UPDATE is answered %d", s)
			}
		}},
		{"its session timer", func(_ *testing.T, l *hostile, _ string) { l.pass(100 * time.Second) }},
		{"an UPDATE with a session timer in the other", func(t *testing.T, l *hostile, invite string) {
			t.Helper()
			if s := l.receive(inside(invite, "UPDATE", "B", 1, "Supported: timer", "Session-Expires: 90;refresher=uac")); s != 200 {
				t.Errorf("the UPDATE is answered %d", s)
			}
			l.receive(inside(invite, "BYE", "B", 2))
			l.pass(100 * time.Second)
		}},
		{"a BYE in the other, and the INVITE is refused", func(_ *testing.T, l *hostile, invite string) {
			l.receive(inside(invite, "BYE", "B", 1))
			l.receive(respond(invite, 422, "A", "Min-SE: 200"))
			l.pass(100 * time.Second)
		}},
		{"the answer of the other", func(t *testing.T, l *hostile, invite string) {
			t.Helper()
			l.receive(with(respond(invite, 200, "B", peerContact), peerSDP))
			if n := l.count("ACK"); n != 1 {
				t.Errorf("%d ACKs", n)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			l := newHostile(nil)
			c, invite := l.callOut(t, CallOptions{})
			l.receive(respond(invite, 183, "A", peerContact))
			l.receive(respond(invite, 183, "B", peerContact))
			if s := l.receive(inside(invite, "UPDATE", "A", 1, "Supported: timer", "Session-Expires: 90;refresher=uac")); s != 200 {
				t.Fatalf("UPDATE is answered %d", s)
			}
			if s := l.receive(inside(invite, "BYE", "A", 2)); s != 200 {
				t.Fatalf("BYE is answered %d", s)
			}
			if c.leg == nil || c.leg.dlg.RemoteTag != "B" {
				t.Errorf("the call does not go on with the other dialog")
			}
			if at := c.alarm.due[timerSession]; at != 0 {
				t.Errorf("the session timer of the dialog that is gone runs: %d", at)
			}
			test.then(t, l, invite)
			_ = c.Hangup()           // ErrState: it is over
			l.pass(10 * time.Minute) // nobody answers any more
			if n := l.agent.Stats().Calls; n != 0 {
				t.Errorf("%d calls stay", n)
			}
		})
	}
}

// TestOtherForkTimer: the session timer that an early dialog agrees on does not touch that of another one.
func TestOtherForkTimer(t *testing.T) {
	t.Parallel()
	l := newHostile(nil)
	c, invite := l.callOut(t, CallOptions{})
	l.receive(respond(invite, 183, "A", peerContact))
	l.receive(respond(invite, 183, "B", peerContact))
	l.receive(inside(invite, "UPDATE", "B", 1, "Supported: timer", "Session-Expires: 90;refresher=uac"))
	if at := c.alarm.due[timerSession]; at != 0 {
		t.Errorf("the other fork's timer runs for the call: %d", at)
	}
}

// TestCancelBeforeAnything: a call that is cancelled sends no further INVITE, whatever the answer to the first.
func TestCancelBeforeAnything(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status int
		header string
	}{
		{401, `WWW-Authenticate: Digest realm="b.com", nonce="abc", algorithm=MD5, qop="auth"`},
		{407, `Proxy-Authenticate: Digest realm="b.com", nonce="abc", algorithm=MD5, qop="auth"`},
		{503, "Retry-After: 1"},
		{302, "Contact: <sip:c@192.0.2.1>"},
		{422, "Min-SE: 1000"},
	} {
		t.Run(strconv.Itoa(test.status), func(t *testing.T) {
			t.Parallel()
			l := newHostile(func(c *Config) {
				c.Credentials = []auth.Credentials{{User: "bob", Password: "x"}}
				c.Resolver = names{"b.com": {"192.0.2.1:5060", "192.0.2.2:5060"}}
			})
			c, invite := l.callOut(t, CallOptions{To: "sip:b@b.com", Redirects: 3})
			if err := c.Cancel(); err != nil {
				t.Fatal(err)
			}
			l.receive(respond(invite, test.status, "A", test.header))
			l.pass(time.Second)
			if n := l.count("INVITE"); n != 1 {
				t.Errorf("%d INVITEs", n)
			}
			if c.State() != StateEnded {
				t.Errorf("the call is %v", c.State())
			}
			if cause, _, _ := c.Outcome(); cause != CauseCancelled {
				t.Errorf("it ended by %v", cause)
			}
		})
	}
}

// TestCancelWhileResolving: a call that is cancelled before its host has an address never leaves.
func TestCancelWhileResolving(t *testing.T) {
	t.Parallel()
	slow := &later{}
	l := newHostile(func(c *Config) { c.Resolver = slow })
	c, _ := l.callOut(t, CallOptions{To: "sip:b@b.com"})
	if err := c.Cancel(); err != nil {
		t.Fatal(err)
	}
	slow.done(hopsOf("192.0.2.1:5060"), nil)
	l.pass(time.Minute)
	if n := l.count("INVITE"); n != 0 || c.State() != StateEnded {
		t.Errorf("%d INVITEs, the call is %v", n, c.State())
	}
}

// TestLateFork: a 2xx of another fork that comes when the call is over is acknowledged and ended (RFC 3261 13.2.2.4), as
// long as the transaction of its INVITE lasts; the dialog that was answered first is not ended twice.
func TestLateFork(t *testing.T) {
	t.Parallel()
	for _, secure := range []string{"sip:b@192.0.2.1", "sips:b@192.0.2.1"} {
		l := newHostile(nil)
		c, invite := l.callOut(t, CallOptions{To: secure})
		contact := "Contact: <" + secure + ">"
		l.receive(respond(invite, 183, "B", contact))
		l.receive(with(respond(invite, 200, "A", contact), peerSDP))
		if err := c.Hangup(); err != nil {
			t.Fatal(err)
		}
		l.wake()
		l.receive(respond(l.last("BYE"), 200, ""))
		if c.State() != StateEnded {
			t.Fatalf("the call is %v", c.State())
		}
		l.sent, l.hops = nil, nil
		l.pass(200 * time.Millisecond)
		l.receive(with(respond(invite, 200, "A", contact), peerSDP)) // again
		if len(l.sent) != 0 {
			t.Errorf("the dialog that is over: %q", l.sent)
		}
		for range 3 {
			l.receive(with(respond(invite, 200, "B", contact, "Record-Route: <sip:192.0.2.3;lr>"), peerSDP))
		}
		ack, bye := l.last("ACK"), l.last("BYE")
		for i, hop := range l.hops {
			if hop.Proto.Secure() != isSips(secure) {
				t.Errorf("%s: by %v: %q", secure, hop.Proto, l.sent[i])
			}
		}
		if l.count("ACK") != 3 || l.count("BYE") != 1 {
			t.Errorf("%d ACKs, %d BYEs: %q", l.count("ACK"), l.count("BYE"), l.sent)
		}
		for _, m := range []string{ack, bye} {
			if !strings.HasSuffix(headerOf(m, "To"), ";tag=B") || headerOf(m, "Route") != "<sip:192.0.2.3;lr>" ||
				headerOf(m, "From") != headerOf(invite, "From") || headerOf(m, "Call-ID") != headerOf(invite, "Call-ID") {
				t.Errorf("not in its dialog: %q", m)
			}
		}
		if got := headerOf(ack, "CSeq") + ", " + headerOf(bye, "CSeq"); got != "1 ACK, 2 BYE" {
			t.Error(got)
		}
		l.receive(respond(bye, 200, ""))
		for i := range 1000 { // somebody who answers without end
			l.receive(with(respond(invite, 200, fmt.Sprint("x", i), contact), peerSDP))
		}
		if n := l.count("BYE"); n > 100 {
			t.Errorf("%d BYEs", n)
		}
		l.pass(2 * time.Minute)
		l.sent = nil
		l.receive(with(respond(invite, 200, "late", contact), peerSDP))
		if len(l.sent) != 0 {
			t.Errorf("after 64*T1: %q", l.sent)
		}
		a := l.agent
		if len(a.dialogs) != 0 || len(a.slots) != len(a.free) || a.requests != 0 || len(a.alarms.heap) != 0 {
			t.Errorf("%d dialogs, %d slots, %d requests, %d timers stay",
				len(a.dialogs), len(a.slots)-len(a.free), a.requests, len(a.alarms.heap))
		}
	}
}

// TestTwoVias: a response with two Vias is for somebody else (RFC 3261 8.1.3.3).
func TestTwoVias(t *testing.T) {
	t.Parallel()
	l := newHostile(nil)
	c, invite := l.callOut(t, CallOptions{})
	two := strings.Replace(string(respond(invite, 486, "A")), "From:", "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKother\r\nFrom:", 1)
	l.receive([]byte(two))
	if c.State() != StateCalling {
		t.Errorf("the call is %v", c.State())
	}
	l.receive(respond(invite, 486, "A"))
	if _, status, _ := c.Outcome(); status != 486 {
		t.Errorf("the real one is lost: %v", c.State())
	}
}

// TestRingEveryMinute: RFC 3261 13.3.1.1 wants a provisional response every minute, RFC 3262 3 a reliable one every two
// and a half.
func TestRingEveryMinute(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		script Answer
		ring   bool // by the method
		line   string
		want   int
	}{
		{"script", Answer{Delay: 200 * time.Second}, false, "SIP/2.0 180", 4},
		{"method", Answer{Manual: true}, true, "SIP/2.0 183", 4},
		{"reliable", Answer{Delay: 200 * time.Second, Reliable: true}, false, "SIP/2.0 180", 2},
		{"once", Answer{Delay: 200 * time.Second, RingOnce: true}, false, "SIP/2.0 180", 1},
		{"none", Answer{Delay: 200 * time.Second, Ring: -1}, false, "SIP/2.0 180", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var call *Call
			l := newHostile(func(c *Config) {
				c.Answer = test.script
				c.Events = func(e Event) { call = e.Call }
			})
			l.receive(peerInvite("INVITE", "<sip:bob@b.com>", 1, "Supported: 100rel"))
			if test.ring {
				if err := call.Ring(183, false, false); err != nil {
					t.Fatal(err)
				}
			}
			for i := range 195 {
				r := l.last("SIP/2.0 180")
				if rseq := headerOf(r, "RSeq"); rseq != "" {
					l.receive(peerInvite("PRACK", headerOf(r, "To"), 2+i, "RAck: "+rseq+" 1 INVITE"))
				}
				l.pass(time.Second)
			}
			if n := l.count(test.line); n != test.want {
				t.Errorf("%d of %q in 195 s, want %d", n, test.line, test.want)
			}
		})
	}
}
