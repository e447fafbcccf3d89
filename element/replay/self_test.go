package replay_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"sipscope/element/replay"
	"sipscope/element/replay/plan"
	"sipscope/element/transport"
)

const sutAt = "127.0.3.1:5060"

// alone plays steps with all of their hosts played, and gives what was sent: "proto src > dst\ntext" each.
func alone(t *testing.T, change func(p *plan.Plan, o *replay.Options), steps ...string) ([]string, *replay.Outcome) {
	t.Helper()
	p := handPlan(t, steps...)
	for i := range p.Hosts {
		p.Hosts[i].Part = plan.Played
	}
	for i := range p.Steps {
		p.Steps[i].Kind = plan.Send
	}
	w, err := selfWorld(t, p, func(o *replay.Options) {
		if change != nil {
			change(p, o)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	w.link.At(start, func() {
		if _, err := w.player.Play(replay.Input{}); err != nil {
			t.Error(err)
		}
	})
	if err := w.net.Run(start + int64(time.Hour)); err != nil {
		t.Fatal(err)
	}
	w.clean()
	if len(w.ended) != 1 {
		t.Fatalf("%d plays have ended", len(w.ended))
	}
	return w.wire.lines, w.ended[0]
}

// sent finds the first message of a start.
func sent(t *testing.T, lines []string, begins string) string {
	t.Helper()
	for _, line := range lines {
		if _, text, _ := strings.Cut(line, "\n"); strings.HasPrefix(text, begins) {
			return line
		}
	}
	t.Fatalf("nothing begins with %q in\n%s", begins, strings.Join(lines, "\n"))
	return ""
}

// as checks that a play with ourselves went as recorded, and soon.
func as(t *testing.T, o *replay.Outcome) {
	t.Helper()
	if o.Verdict != replay.Completed || o.Ended-o.Began > int64(5*time.Second) {
		t.Errorf("%s after %v: %s %q", o.Verdict, time.Duration(o.Ended-o.Began), o.Reason, o.Notes)
	}
}

// The ACK of a failure and the answer to a CANCEL have the headers that were recorded, though transactions send them.
func TestAloneByLayer(t *testing.T) {
	t.Parallel()
	lines, o := alone(t, nil,
		"alice > sut\n"+request("INVITE", "sip:bob@"+sutAt, aliceAt, "first", "a", "", 1, "\n"),
		"sut > alice\n"+response("486 Busy", "INVITE", aliceAt, "first", "a", "b", 1, "\n"),
		"alice > sut\n"+strings.Replace(request("ACK", "sip:bob@"+sutAt, aliceAt, "first", "a", "b", 1, "X-Odd: yes\n\n"), "1ACK", "1INVITE", 1),
		"alice > sut\n"+request("INVITE", "sip:bob@"+sutAt, aliceAt, "second", "c", "", 2, "\n"),
		"sut > alice\n"+response("180 Ringing", "INVITE", aliceAt, "second", "c", "d", 2, "\n"),
		"alice > sut\n"+strings.Replace(request("CANCEL", "sip:bob@"+sutAt, aliceAt, "second", "c", "", 2, "\n"), "2CANCEL", "2INVITE", 1),
		"sut > alice\n"+strings.Replace(response("200 Fine", "CANCEL", aliceAt, "second", "c", "d", 2, "X-Own: yes\n\n"), "2CANCEL", "2INVITE", 1),
		"sut > alice\n"+response("487 Gone", "INVITE", aliceAt, "second", "c", "d", 2, "\n"),
		"alice > sut\n"+strings.Replace(request("ACK", "sip:bob@"+sutAt, aliceAt, "second", "c", "d", 2, "\n"), "2ACK", "2INVITE", 1),
	)
	as(t, o)
	if ack := sent(t, lines, "ACK "); !strings.Contains(ack, "X-Odd: yes\r\n") {
		t.Error(ack)
	}
	if ok := sent(t, lines, "SIP/2.0 200 Fine"); !strings.Contains(ok, "X-Own: yes\r\n") {
		t.Error(ok)
	}
}

// What our own elements refuse is played all the same, mistakes included: a From without its bracket, no branch, a Via that
// names another transport.
func TestAloneMalformed(t *testing.T) {
	t.Parallel()
	odd := strings.NewReplacer("<sip:alice@lab.example>", "<sip:alice@lab.example", ";branch=z9hG4bK-firsta1MESSAGE;rport=5060", "",
		";branch=z9hG4bK-firsta1MESSAGE;rport", "", "SIP/2.0/UDP", "SIP/2.0/TLS")
	lines, o := alone(t, nil,
		"alice > sut\n"+odd.Replace(request("MESSAGE", "sip:bob@"+sutAt, aliceAt, "first", "a", "", 1, "\n")),
		"sut > alice\n"+odd.Replace(response("200 OK", "MESSAGE", aliceAt, "first", "a", "b", 1, "\n")),
	)
	as(t, o)
	m := sent(t, lines, "MESSAGE ")
	if strings.Contains(m, "branch") || !strings.Contains(m, "SIP/2.0/TLS 127.8.0.1:5060\r\n") || !strings.Contains(m, "From: <sip:alice@lab.example;") {
		t.Error(m)
	}
	if len(lines) != 2 {
		t.Errorf("%d messages", len(lines))
	}
}

// A request that did not go to the Contact of its dialog does not do so here; a live server gets its Contact.
func TestAloneKeepsURI(t *testing.T) {
	t.Parallel()
	lines, o := alone(t, nil,
		"alice > sut\n"+request("INVITE", "sip:bob@lab.example", aliceAt, "first", "a", "", 1, "Contact: <sip:alice@"+aliceAt+">\n\n"),
		"sut > alice\n"+response("200 OK", "INVITE", aliceAt, "first", "a", "b", 1, "Contact: <sip:bob@"+sutAt+">\n\n"),
		"alice > sut\n"+request("ACK", "sip:bob@lab.example", aliceAt, "first", "a", "b", 1, "\n"),
		"alice > sut\n"+request("BYE", "sip:bob@"+sutAt, aliceAt, "first", "a", "b", 2, "\n"),
		"sut > alice\n"+response("200 OK", "BYE", aliceAt, "first", "a", "b", 2, "\n"),
	)
	as(t, o)
	sent(t, lines, "ACK sip:bob@lab.example SIP/2.0")
	sent(t, lines, "BYE sip:bob@127.8.0.3:5060 SIP/2.0")
}

// What went over TCP goes over TCP, and what went over UDP goes over UDP.
func TestAloneTransports(t *testing.T) {
	t.Parallel()
	lines, o := alone(t, func(p *plan.Plan, o *replay.Options) {
		p.Steps[2].Proto, p.Steps[3].Proto = transport.TCP, transport.TCP
		o.Also = map[string][]transport.Listen{}
		for name, at := range o.Local {
			o.Also[name] = []transport.Listen{{Proto: transport.TCP, AddrPort: at.AddrPort}}
		}
	},
		"alice > sut\n"+request("MESSAGE", "sip:bob@"+sutAt, aliceAt, "first", "a", "", 1, "\n"),
		"sut > alice\n"+response("200 OK", "MESSAGE", aliceAt, "first", "a", "b", 1, "\n"),
		"alice > sut\n"+strings.Replace(request("OPTIONS", "sip:bob@"+sutAt, aliceAt, "second", "a", "", 1, "\n"), "/UDP", "/TCP", 1),
		"sut > alice\n"+strings.Replace(response("200 OK", "OPTIONS", aliceAt, "second", "a", "b", 1, "\n"), "/UDP", "/TCP", 1),
	)
	as(t, o)
	if m := sent(t, lines, "MESSAGE "); !strings.Contains(m, "UDP ") || !strings.Contains(m, "Via: SIP/2.0/UDP 127.8.0.1:5060;") {
		t.Error(m)
	}
	if m := sent(t, lines, "OPTIONS "); !strings.Contains(m, "TCP ") || !strings.Contains(m, "Via: SIP/2.0/TCP 127.8.0.1:5060;") {
		t.Error(m)
	}
}

// Who offers the media of another participant does so here; a CANCEL that came too early comes too early; and nobody waits
// for an ACK that was never sent.
func TestAloneOffers(t *testing.T) {
	t.Parallel()
	sdp := "Contact: <sip:sut@" + sutAt + ">\nContent-Type: application/sdp\nContent-Length: 96\n\n" +
		"v=0\no=- 1 1 IN IP4 127.0.3.1\ns=-\nc=IN IP4 127.0.1.20\nt=0 0\nm=audio 4000 RTP/AVP 0\n"
	lines, o := alone(t, nil,
		"sut > alice\n"+request("INVITE", "sip:alice@"+aliceAt, sutAt, "first", "a", "", 1, sdp),
		"alice > sut\n"+response("200 OK", "INVITE", sutAt, "first", "a", "b", 1, "Contact: <sip:alice@"+aliceAt+">\n\n"),
		"alice > bob\n"+request("INVITE", "sip:bob@"+bobAt, aliceAt, "second", "c", "", 1, "\n"),
		"alice > bob\n"+strings.Replace(request("CANCEL", "sip:bob@"+bobAt, aliceAt, "second", "c", "", 1, "\n"), "1CANCEL", "1INVITE", 1),
		"bob > alice\n"+strings.Replace(response("200 OK", "CANCEL", aliceAt, "second", "c", "d", 1, "\n"), "1CANCEL", "1INVITE", 1),
		"bob > alice\n"+response("487 Gone", "INVITE", aliceAt, "second", "c", "d", 1, "\n"),
		"alice > bob\n"+strings.Replace(request("ACK", "sip:bob@"+bobAt, aliceAt, "second", "c", "d", 1, "\n"), "1ACK", "1INVITE", 1),
	)
	as(t, o)
	if m := sent(t, lines, "INVITE sip:alice"); !strings.Contains(m, "c=IN IP4 127.8.0.2\r\n") || !strings.Contains(m, "IN IP4 127.8.0.3\r\n") {
		t.Error(m)
	}
}

// Two places of two hosts cannot be one, and a place must be one.
func TestAlonePlaces(t *testing.T) {
	t.Parallel()
	p := handPlan(t, "alice > bob\n"+request("MESSAGE", "sip:bob@"+bobAt, aliceAt, "first", "a", "", 1, "\n"))
	for i := range p.Hosts {
		p.Hosts[i].Part = plan.Played
	}
	for name, bad := range map[string]transport.Listen{
		"of another":     {Proto: transport.TCP, AddrPort: netip.MustParseAddrPort("127.8.0.2:5060")},
		"of no port":     {Proto: transport.TCP, AddrPort: netip.MustParseAddrPort("127.8.0.9:0")},
		"of no protocol": {AddrPort: netip.MustParseAddrPort("127.8.0.9:5060")},
	} {
		_, err := selfWorld(t, p, func(o *replay.Options) { o.Also = map[string][]transport.Listen{"alice": {bad}} })
		if err == nil {
			t.Errorf("a place %s is taken", name)
		}
	}
}
