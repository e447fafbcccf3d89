package proxy

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sipscope/element/resolve"
	"sipscope/element/transport"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	for _, cfg := range []Config{{}, {Rand: rand.New(rand.NewPCG(1, 1)), Outbound: "nowhere"}} {
		if _, err := New(cfg); !errors.Is(err, ErrConfig) {
			t.Error(err)
		}
		if _, err := NewStateless(cfg); !errors.Is(err, ErrConfig) {
			t.Error(err)
		}
	}
	for s, want := range map[string]Fork{"": ForkByQ, "q": ForkByQ, "parallel": ForkParallel, "serial": ForkSerial} {
		if got, err := ParseFork(s); err != nil || got != want {
			t.Error(s, got, err)
		}
	}
	if _, err := ParseFork("x"); !errors.Is(err, ErrConfig) {
		t.Error(err)
	}
	if EventRefused.String() != "refused" || EventDropped.String() != "dropped" || EventKind(99).String() != "" {
		t.Error("names of events")
	}
}

// TestTimerCSilent: timer C is shorter than timer B, and the target is silent: 408 at once, and a CANCEL when it answers
// after all (16.8).
func TestTimerCSilent(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{TimerC: int64(10 * time.Second)})
	alice, bob := r.peer(aliceAddr), r.peer(bobAddr)
	alice.udp(request("INVITE", "sip:bob@10.0.2.1", "a1"))
	r.run(11 * time.Second)
	alice.takeLine("SIP/2.0 100")
	alice.takeLine("SIP/2.0 408")
	invite := bob.take()
	bob.got = nil
	bob.reply(invite, 180, "b1")
	r.run(5 * ms)
	bob.takeLine("CANCEL")
	r.idle()
}

// TestTransports: what came over one transport goes on over another, in both directions and both families; a message
// without Content-Length gets one where it needs it (18.3).
func TestTransports(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{RecordRoute: true})
	alice, bob := r.peer(aliceAddr), r.peer(bobAddr)
	bob6 := r.peer("[2001:db8::2]:5060")
	text := strings.Replace(request("INVITE", "sips:bob@10.0.2.1", "a1"), "Content-Length: 0\n", "", 1) + "body"
	alice.udp(text)
	r.run(5 * ms)
	got := bob.takeLine("INVITE sips:bob@10.0.2.1 ")
	want := []string{"<sips:10.0.0.1:5061;lr>", "<sip:10.0.0.1:5060;lr>"}
	if d := cmp.Diff(want, headerOf(t, got, "Record-Route")); d != "" {
		t.Error(d)
	}
	if via := headerOf(t, got, "Via")[0]; !strings.HasPrefix(via, "SIP/2.0/TLS 10.0.0.1:5061;") || headerOf(t, got, "Content-Length")[0] != "4" {
		t.Error(got)
	}
	bob.host.Send(bob.hops[0], []byte(strings.ReplaceAll(answer(t, got, 200, "b1"), "\n", "\r\n")), 0)
	r.run(5 * ms)
	alice.takeLine("SIP/2.0 100")
	alice.takeLine("SIP/2.0 200")
	alice.send(transport.TCP, proxyAddr, strings.Replace(request("MESSAGE", "sip:bob@[2001:DB8::2]", "a2"), "/UDP", "/TCP", 1))
	r.run(5 * ms)
	got = bob6.takeLine("MESSAGE ")
	if via := headerOf(t, got, "Via")[0]; !strings.HasPrefix(via, "SIP/2.0/UDP [2001:db8::1]:5060;") {
		t.Error(got)
	}
	bob6.send(transport.UDP, "[2001:db8::1]:5060", strings.Replace(answer(t, got, 200, "b1"), "Content-Length: 0\n", "", 1))
	r.run(5 * ms)
	if got = alice.takeLine("SIP/2.0 200"); len(headerOf(t, got, "Content-Length")) != 1 {
		t.Error(got)
	}
	alice.udp(request("MESSAGE", "sip:bob@10.0.2.1;transport=sctp", "a3"))
	r.run(5 * ms)
	alice.takeLine("SIP/2.0 500")
}

// TestOutbound: all that is not a user here goes to the outbound proxy.
func TestOutbound(t *testing.T) {
	t.Parallel()
	cfg := bCom(1000, 500)
	cfg.Outbound, cfg.Names = "sip:10.0.2.2;lr", []string{"Px.b.com:5060"}
	r := newRig(t, cfg)
	alice, bob, bob2 := r.peer(aliceAddr), r.peer(bobAddr), r.peer(bob2Addr)
	alice.udp(request("MESSAGE", "sip:x@other.org", "a1"))
	alice.udp(request("MESSAGE", "tel:+1", "a2"))
	alice.udp(request("MESSAGE", "sip:bob@px.B.com", "a3")) // a name of the proxy stands for its first domain
	r.run(5 * ms)
	bob2.takeLine("MESSAGE sip:x@other.org ")
	bob2.takeLine("MESSAGE tel:+1 ")
	bob.takeLine("MESSAGE sip:bob@10.0.2.1 ")
	bob2.none()
}

// TestMemoryLimit: when no memory is left for the responses that wait, their status is what counts.
func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	cfg := bCom(1000, 1000)
	cfg.Memory = 100
	r := newRig(t, cfg)
	alice, bob, bob2 := r.peer(aliceAddr), r.peer(bobAddr), r.peer(bob2Addr)
	alice.udp(request("INVITE", "sip:bob@b.com", "a1"))
	r.run(5 * ms)
	bob.reply(bob.take(), 404, "b1", "X-Kept: no")
	bob2.reply(bob2.take(), 500, "b2", "X-Kept: no")
	r.run(5 * ms)
	alice.takeLine("SIP/2.0 100")
	if got := alice.takeLine("SIP/2.0 404 Not Found"); strings.Contains(got, "X-Kept") {
		t.Error(got)
	}
	r.idle()
}

// TestAddr: what is an address, and what is only like one.
func TestAddr(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"10.0.0.1": "10.0.0.1", "255.255.255.255": "255.255.255.255", "[::1]": "::1", "2001:db8::1": "2001:db8::1",
		"[::ffff:1.2.3.4]": "1.2.3.4",
		"10.0.0.256":       "", "10.0.0.01": "", "10.0.0": "", "10.0.0.1.": "", "10.0.0.1.2": "", "": "", "abc": "", "[": "",
		"1.2.3.4.example": "", "[::1": "", "[fe80::1%eth0]": "", "..": "", "1...": "", "12345678": "", "::": "::",
	} {
		got, ok := parseAddr([]byte(text))
		if ok != (want != "") || ok && got != netip.MustParseAddr(want) {
			t.Errorf("%q: %v %v", text, got, ok)
		}
	}
}

// TestDeterministic: two runs give the same messages, byte for byte.
func TestDeterministic(t *testing.T) {
	t.Parallel()
	run := func() []string {
		r := newRig(t, bCom(1000, 1000))
		alice, bob := r.peer(aliceAddr), r.peer(bobAddr)
		r.peer(bob2Addr)
		alice.udp(request("INVITE", "sip:bob@b.com", "a1"))
		alice.udp(request("INVITE", "sip:nobody@b.com", "a2"))
		r.run(5 * ms)
		bob.reply(bob.got[0], 200, "b1")
		r.run(5 * ms)
		return append(alice.got, bob.got...)
	}
	if d := cmp.Diff(run(), run()); d != "" {
		t.Error(d)
	}
}

// TestStatelessSRV: all messages of one transaction go to the same of several servers, those of others to others (RFC 3261
// 16.11, RFC 3263 4.4).
func TestStatelessSRV(t *testing.T) {
	t.Parallel()
	table := &resolve.Table{}
	for _, entry := range []string{"_sip._udp.b.com=1,50,5060,one.b.com", "_sip._udp.b.com=1,50,5060,two.b.com"} {
		if err := table.SRV(entry); err != nil {
			t.Fatal(err)
		}
	}
	for _, entry := range []string{"one.b.com=10.0.2.1", "two.b.com=10.0.2.2"} {
		if err := table.Host(entry); err != nil {
			t.Fatal(err)
		}
	}
	names := resolve.New(resolve.Config{Table: table, Server: "none", Rand: rand.New(rand.NewPCG(1, 2))})
	r := newRig(t, Config{})
	r.stateless(Config{Resolver: names})
	alice, one, two := r.peer(aliceAddr), r.peer(bobAddr), r.peer(bob2Addr)
	const branches = 64
	methods := []string{"INVITE", "INVITE", "CANCEL", "CANCEL", "INVITE", "ACK"}
	toOne := 0
	for branch := range branches {
		for _, method := range methods {
			alice.udp(request(method, "sip:bob@b.com", strconv.Itoa(branch)))
			r.run(500 * ms)
		}
		switch {
		case len(one.got) == len(methods) && len(two.got) == 0:
			toOne++
		case len(two.got) != len(methods) || len(one.got) != 0:
			t.Errorf("branch %d: %d messages to one server, %d to the other", branch, len(one.got), len(two.got))
		}
		one.got, two.got = nil, nil
	}
	if toOne < branches/4 || toOne > branches*3/4 {
		t.Errorf("%d of %d transactions to one of two equal servers", toOne, branches)
	}
}
