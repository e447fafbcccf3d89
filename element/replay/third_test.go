package replay_test

import (
	"strings"
	"testing"

	"sipscope/decode/sip"
	"sipscope/element/auth"
	"sipscope/element/compose"
	"sipscope/element/replay"
	"sipscope/element/replay/plan"
	"sipscope/element/transport"
)

// Who registers somebody else names the place of that one, not its own, and neither what the registrar answers nor what it
// did answer in the recording changes that (RFC 3261 10.2).
func TestRegistersAnother(t *testing.T) {
	t.Parallel()
	const bound = "Contact: <sip:bob@127.0.1.20:5060;transport=udp>"
	register := func(cseq int) string {
		return "alice > sut\n" + request("REGISTER", "sip:lab.example", aliceAt, "first", "a1", "", cseq, bound+";q=0.5\nExpires: 600\n\n")
	}
	answer := func(cseq int) string {
		return "sut > alice\n" + response("200 OK", "REGISTER", aliceAt, "first", "a1", "s1", cseq, bound+";expires=600\n\n")
	}
	_, x, o := only(t, handPlan(t, register(1), answer(1), register(2), answer(2)), nil, func(p *peer, r *transport.Received) {
		contact, _ := r.Msg.Value(sip.HeaderContact)
		p.answer(r, 200, "live", compose.Header{ID: sip.HeaderContact, Value: strings.Replace(string(contact), ";q=0.5", ";expires=600", 1)})
	})
	if o.Verdict != replay.Completed {
		t.Fatalf("%s: %s", o.Verdict, o.Reason)
	}
	if len(x.got) != 2 {
		t.Fatalf("%d messages: %s", len(x.got), x.got)
	}
	for _, raw := range x.got {
		if want := "\r\nContact: <sip:bob@127.9.1.20:5060;transport=udp>;q=0.5\r\n"; !strings.Contains(raw, want) {
			t.Errorf("no %q in\n%s", want, raw)
		}
	}
}

// A registrar and proxy in one asks for credentials of one realm as both: what answers one of the two is no answer to the
// other, and is not taken for a wrong one.
func TestBothChallenges(t *testing.T) {
	t.Parallel()
	digest := func(uri string) string {
		return `Digest username="alice", realm="lab.example", nonce="n1", uri="` + uri + `", response="00112233445566778899aabbccddeeff"`
	}
	const ask = `Digest realm="lab.example", nonce="n1"` + "\n\n"
	step := func(from, to, text string) string { return from + " > " + to + "\n" + text }
	p := handPlan(t,
		step("alice", "sut", request("REGISTER", "sip:lab.example", aliceAt, "first", "a1", "", 1, "\n")),
		step("sut", "alice", response("401 Unauthorized", "REGISTER", aliceAt, "first", "a1", "s1", 1, "WWW-Authenticate: "+ask)),
		step("alice", "sut", request("REGISTER", "sip:lab.example", aliceAt, "first", "a1", "", 2, "Authorization: "+digest("sip:lab.example")+"\n\n")),
		step("sut", "alice", response("200 OK", "REGISTER", aliceAt, "first", "a1", "s2", 2, "\n")),
		step("alice", "sut", request("MESSAGE", "sip:bob@lab.example", aliceAt, "second", "a2", "", 1, "\n")),
		step("sut", "alice", response("407 Proxy Authentication Required", "MESSAGE", aliceAt, "second", "a2", "s3", 1, "Proxy-Authenticate: "+ask)),
		step("alice", "sut", request("MESSAGE", "sip:bob@lab.example", aliceAt, "second", "a2", "", 2,
			"Proxy-Authorization: "+digest("sip:bob@lab.example")+"\n\n")),
		step("sut", "alice", response("200 OK", "MESSAGE", aliceAt, "second", "a2", "s4", 2, "\n")),
	)
	p.Calls = append(p.Calls, plan.Call{CallID: "second"})
	for i := range p.Hosts {
		p.Hosts[i].Part = plan.Played
	}
	for i := range p.Steps {
		p.Steps[i].Kind, p.Steps[i].Call = plan.Send, i/4
	}
	w := newWorld(t, p, nil, func(o *replay.Options) {
		o.Credentials = []auth.Credentials{{User: "alice", Password: "secret"}}
	})
	w.run(1)
	if o := w.ended[0]; o.Verdict != replay.Completed {
		t.Errorf("%s: %s\n%s", o.Verdict, o.Reason, w.wire.arrows())
	}
}
