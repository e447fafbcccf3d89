package proxy

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const ms = time.Millisecond

// bobs is a location service with two contacts of one user.
func bobs(q1, q2 int) namedLocator {
	return namedLocator{"sip:bob@b.com": {
		{URI: "sip:bob@10.0.2.1", Q: q1},
		{URI: "sip:bob@10.0.2.2", Q: q2},
	}, "sip:idle@b.com": {}}
}

func bCom(q1, q2 int) Config { return Config{Domains: []string{"b.com"}, Locator: bobs(q1, q2)} }

// TestForward compares a whole forwarded request with what RFC 3261 16.6 makes of it, byte by byte.
func TestForward(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{RecordRoute: true, NoLoopCheck: true})
	alice, bob := r.peer(aliceAddr), r.peer(bobAddr)
	alice.udp("INVITE sip:bob@10.0.2.1 SIP/2.0\n" +
		"v: SIP/2.0/UDP 10.0.1.1:5060;branch=z9hG4bKa1,SIP/2.0/TCP  other;branch=z9hG4bK0\n" +
		"X-Odd:\t one ,  two\n" +
		"max-forwards : 70\n" +
		"To: <sip:bob@b.com>\nf: \"A, \\\"B\\\"\" <sip:alice@a.com> ;tag=a1\n" +
		"CSeq: 1  INVITE\nCall-ID: c1@a\n" +
		"Proxy-Hint: a;b\n  folded\nm: <sip:alice@10.0.1.1>\nl: 3\n\nabc")
	r.run(5 * ms)
	alice.takeLine("SIP/2.0 100 Trying\r\n")
	got := bob.take()
	via := headerOf(t, got, "Via")[0]
	branch := via[strings.Index(via, "branch=")+7:]
	want := strings.ReplaceAll("INVITE sip:bob@10.0.2.1 SIP/2.0\n"+
		"Via: SIP/2.0/UDP 10.0.0.1:5060;branch="+branch+"\n"+
		"v: SIP/2.0/UDP 10.0.1.1:5060;branch=z9hG4bKa1,SIP/2.0/TCP  other;branch=z9hG4bK0\n"+
		"Record-Route: <sip:10.0.0.1:5060;lr>\n"+
		"X-Odd:\t one ,  two\n"+
		"max-forwards : 69\n"+
		"To: <sip:bob@b.com>\nf: \"A, \\\"B\\\"\" <sip:alice@a.com> ;tag=a1\n"+
		"CSeq: 1  INVITE\nCall-ID: c1@a\n"+
		"Proxy-Hint: a;b\n  folded\nm: <sip:alice@10.0.1.1>\nl: 3\nMax-Breadth: 60\n\nabc", "\n", "\r\n")
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	bob.reply(got, 486, "b1", "X-Odd:  left  alone")
	r.run(5 * ms)
	if got := alice.takeLine("SIP/2.0 486"); !strings.Contains(got, "X-Odd:  left  alone\r\n") || strings.Contains(got, "10.0.0.1:5060;branch") {
		t.Error(got)
	}
	bob.takeLine("ACK ")
	r.idle()
}

// TestCall is a call through a record-routing proxy, message by message.
func TestCall(t *testing.T) {
	t.Parallel()
	cfg := bCom(1000, 500)
	cfg.RecordRoute = true
	r := newRig(t, cfg)
	alice, bob := r.peer(aliceAddr), r.peer(bobAddr)
	alice.udp(request("INVITE", "sip:bob@b.com", "a1", "Contact: <sip:alice@10.0.1.1>"))
	r.run(5 * ms)
	invite := bob.take()
	bob.reply(invite, 180, "b1")
	r.run(5 * ms)
	bob.reply(invite, 200, "b1", "Contact: <sip:bob@10.0.2.1>")
	r.run(5 * ms)
	alice.takeLine("SIP/2.0 100")
	alice.takeLine("SIP/2.0 180")
	ok := alice.takeLine("SIP/2.0 200")
	if d := cmp.Diff([]string{"<sip:10.0.0.1:5060;lr>"}, headerOf(t, ok, "Record-Route")); d != "" {
		t.Error(d)
	}
	route := "Route: <sip:10.0.0.1:5060;lr>"
	alice.udp(request("ACK", "sip:bob@10.0.2.1", "a2", route, "totag b1"))
	r.run(5 * ms)
	if ack := bob.takeLine("ACK sip:bob@10.0.2.1 "); len(headerOf(t, ack, "Route")) != 0 {
		t.Error(ack)
	}
	bob.udp(strings.ReplaceAll(request("BYE", "sip:alice@10.0.1.1", "b9", route, "totag x"), "UDP 10.0.1.1:5060", "UDP 10.0.2.1:5060"))
	r.run(5 * ms)
	bye := alice.takeLine("BYE sip:alice@10.0.1.1 ")
	alice.reply(bye, 200, "")
	r.run(5 * ms)
	bob.takeLine("SIP/2.0 200")
	want := []string{
		"10.0.1.1>10.0.0.1 INVITE sip:bob@b.com SIP/2.0",
		"10.0.0.1>10.0.1.1 SIP/2.0 100 Trying",
		"10.0.0.1>10.0.2.1 INVITE sip:bob@10.0.2.1 SIP/2.0",
		"10.0.2.1>10.0.0.1 SIP/2.0 180 Ringing",
		"10.0.0.1>10.0.1.1 SIP/2.0 180 Ringing",
		"10.0.2.1>10.0.0.1 SIP/2.0 200 OK",
		"10.0.0.1>10.0.1.1 SIP/2.0 200 OK",
		"10.0.1.1>10.0.0.1 ACK sip:bob@10.0.2.1 SIP/2.0",
		"10.0.0.1>10.0.2.1 ACK sip:bob@10.0.2.1 SIP/2.0",
		"10.0.2.1>10.0.0.1 BYE sip:alice@10.0.1.1 SIP/2.0",
		"10.0.0.1>10.0.1.1 BYE sip:alice@10.0.1.1 SIP/2.0",
		"10.0.1.1>10.0.0.1 SIP/2.0 200 OK",
		"10.0.0.1>10.0.2.1 SIP/2.0 200 OK",
	}
	if d := cmp.Diff(want, r.lines()); d != "" {
		t.Error(d)
	}
	r.idle()
}

// TestForkParallel is figure 1-1: both ring, the second one answers, the first one is cancelled.
func TestForkParallel(t *testing.T) {
	t.Parallel()
	r := newRig(t, bCom(1000, 1000))
	alice, bob, bob2 := r.peer(aliceAddr), r.peer(bobAddr), r.peer(bob2Addr)
	alice.udp(request("INVITE", "sip:bob@b.com", "a1"))
	r.run(5 * ms)
	i1, i2 := bob.take(), bob2.take()
	for _, i := range []string{i1, i2} {
		if d := cmp.Diff([]string{"30"}, headerOf(t, i, "Max-Breadth")); d != "" {
			t.Error(d)
		}
	}
	bob.reply(i1, 180, "b1")
	bob2.reply(i2, 180, "b2")
	r.run(5 * ms)
	bob2.reply(i2, 200, "b2")
	r.run(5 * ms)
	cancel := bob.takeLine("CANCEL sip:bob@10.0.2.1 ")
	if d := cmp.Diff([]string{reasonElsewhere}, headerOf(t, cancel, "Reason")); d != "" {
		t.Error(d)
	}
	bob.reply(cancel, 200, "b1")
	bob.reply(i1, 487, "b1")
	r.run(5 * ms)
	bob.takeLine("ACK ")
	bob.none()
	alice.takeLine("SIP/2.0 100")
	alice.takeLine("SIP/2.0 180")
	alice.takeLine("SIP/2.0 180")
	alice.takeLine("SIP/2.0 200")
	alice.none()
	bob2.none()
	r.idle()
}

// TestAllSuccesses has both answer: each 2xx reaches the caller, also when one comes again (RFC 6026).
func TestAllSuccesses(t *testing.T) {
	t.Parallel()
	r := newRig(t, bCom(1000, 1000))
	alice, bob, bob2 := r.peer(aliceAddr), r.peer(bobAddr), r.peer(bob2Addr)
	alice.udp(request("INVITE", "sip:bob@b.com", "a1"))
	r.run(5 * ms)
	i1, i2 := bob.take(), bob2.take()
	bob.reply(i1, 200, "b1")
	bob2.reply(i2, 200, "b2") // crosses the CANCEL
	r.run(5 * ms)
	bob.reply(i1, 200, "b1")
	bob2.reply(i2, 200, "b2")
	r.run(5 * ms)
	alice.takeLine("SIP/2.0 100")
	count := map[string]int{}
	for len(alice.got) > 0 {
		m := parse(t, alice.takeLine("SIP/2.0 200"))
		count[string(m.To.Tag.Of(m.Raw))]++
	}
	if d := cmp.Diff(map[string]int{"b1": 2, "b2": 2}, count); d != "" {
		t.Error(d)
	}
	bob.none()
	r.idle()
}

// TestForkSerial tries the next target by q when the first one is busy.
func TestForkSerial(t *testing.T) {
	t.Parallel()
	r := newRig(t, bCom(900, 500))
	alice, bob, bob2 := r.peer(aliceAddr), r.peer(bobAddr), r.peer(bob2Addr)
	alice.udp(request("INVITE", "sip:bob@b.com", "a1"))
	r.run(5 * ms)
	bob2.none()
	bob.reply(bob.take(), 486, "b1")
	r.run(5 * ms)
	bob.takeLine("ACK")
	i2 := bob2.take()
	if d := cmp.Diff([]string{"60"}, headerOf(t, i2, "Max-Breadth")); d != "" {
		t.Error(d)
	}
	bob2.reply(i2, 603, "b2")
	r.run(5 * ms)
	alice.takeLine("SIP/2.0 100")
	alice.takeLine("SIP/2.0 603")
	alice.none()
	r.idle()
}

// TestCancel: the caller gives up while two ring (16.10).
func TestCancel(t *testing.T) {
	t.Parallel()
	r := newRig(t, bCom(1000, 1000))
	alice, bob, bob2 := r.peer(aliceAddr), r.peer(bobAddr), r.peer(bob2Addr)
	alice.udp(request("INVITE", "sip:bob@b.com", "a1"))
	r.run(5 * ms)
	i1, i2 := bob.take(), bob2.take()
	bob.reply(i1, 180, "b1")
	r.run(5 * ms)
	alice.udp(request("CANCEL", "sip:bob@b.com", "a1", `Reason: SIP;cause=200;text="x"`))
	r.run(5 * ms)
	c1 := bob.takeLine("CANCEL")
	if d := cmp.Diff([]string{`SIP;cause=200;text="x"`}, headerOf(t, c1, "Reason")); d != "" {
		t.Error(d)
	}
	bob.reply(c1, 200, "b1")
	bob.reply(i1, 487, "b1")
	r.run(5 * ms)
	bob2.none() // no provisional response yet: the CANCEL waits (9.1)
	bob2.reply(i2, 180, "b2")
	r.run(5 * ms)
	bob2.reply(bob2.takeLine("CANCEL"), 200, "b2")
	bob2.reply(i2, 487, "b2")
	r.run(5 * ms)
	alice.takeLine("SIP/2.0 100")
	alice.takeLine("SIP/2.0 180")
	alice.takeLine("SIP/2.0 200") // of the CANCEL
	alice.takeLine("SIP/2.0 180")
	alice.takeLine("SIP/2.0 487")
	alice.none()
	r.idle()
}

// TestCancelCrosses: a 200 that crosses the CANCEL reaches the caller.
func TestCancelCrosses(t *testing.T) {
	t.Parallel()
	r := newRig(t, bCom(1000, 500))
	alice, bob := r.peer(aliceAddr), r.peer(bobAddr)
	alice.udp(request("INVITE", "sip:bob@b.com", "a1"))
	r.run(5 * ms)
	i1 := bob.take()
	bob.reply(i1, 180, "b1")
	r.run(5 * ms)
	alice.udp(request("CANCEL", "sip:bob@b.com", "a1"))
	r.run(1 * ms)
	bob.reply(i1, 200, "b1")
	r.run(5 * ms)
	bob.reply(bob.takeLine("CANCEL"), 481, "b1")
	r.run(5 * ms)
	alice.takeLine("SIP/2.0 100")
	alice.takeLine("SIP/2.0 180")
	alice.takeLine("SIP/2.0 200")
	ok := alice.takeLine("SIP/2.0 200")
	if parse(t, ok).CSeqMethodID.String() != "INVITE" {
		t.Error(ok)
	}
	r.peer(bob2Addr).none()
	r.idle()
}

// TestTimerC: it rings and nobody answers (16.8).
func TestTimerC(t *testing.T) {
	t.Parallel()
	cfg := bCom(1000, 500)
	cfg.Fork = ForkParallel
	r := newRig(t, cfg)
	alice, bob, bob2 := r.peer(aliceAddr), r.peer(bobAddr), r.peer(bob2Addr)
	alice.udp(request("INVITE", "sip:bob@b.com", "a1"))
	r.run(5 * ms)
	i1, i2 := bob.take(), bob2.take()
	bob2.reply(i2, 486, "b2")
	bob.reply(i1, 180, "b1")
	r.run(100 * time.Second)
	bob.reply(i1, 180, "b1") // starts it again
	r.run(100 * time.Second)
	bob.none()
	r.run(90 * time.Second)
	c := bob.takeLine("CANCEL")
	bob.reply(c, 200, "b1")
	bob.reply(i1, 487, "b1")
	r.run(5 * ms)
	alice.takeLine("SIP/2.0 100")
	alice.takeLine("SIP/2.0 180")
	alice.takeLine("SIP/2.0 180")
	alice.takeLine("SIP/2.0 486")
	alice.none()
	if r.proxy.Stats().TimerC != 1 {
		t.Error(r.proxy.Stats())
	}
	r.idle()
}

// TestNoAnswer: the target is silent: 408 for an INVITE, nothing for another (RFC 4320).
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	r := newRig(t, bCom(1000, 500))
	cfg := &r.proxy.cfg
	cfg.Locator = namedLocator{"sip:bob@b.com": {{URI: "sip:bob@10.0.2.1", Q: 1000}}}
	alice := r.peer(aliceAddr)
	r.peer(bobAddr)
	alice.udp(request("INVITE", "sip:bob@b.com", "a1"))
	alice.udp(request("MESSAGE", "sip:bob@b.com", "a2"))
	r.run(40 * time.Second)
	alice.takeLine("SIP/2.0 100")
	alice.takeLine("SIP/2.0 100") // to the MESSAGE, 3.5 s after it (RFC 4320 4.1)
	alice.takeLine("SIP/2.0 408")
	for _, m := range alice.got { // retransmissions of the 408: nobody sends an ACK
		if !strings.HasPrefix(m, "SIP/2.0 408") || parse(t, m).CSeqMethodID.String() != "INVITE" {
			t.Error(m)
		}
	}
	r.idle()
}
