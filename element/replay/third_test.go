package replay_test

import (
	"strings"
	"testing"

	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/replay"
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
