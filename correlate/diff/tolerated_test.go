package diff_test

import (
	"strings"
	"testing"

	"sipscope/correlate/diff"
	"sipscope/decode/frame"
)

// edit is what some messages say otherwise.
type edit struct {
	messages   string // their indices
	old, fresh string
}

// with gives an archive with edits.
func (a archive) with(t *testing.T, edits []edit) archive {
	t.Helper()
	for _, e := range edits {
		for i := range strings.FieldsSeq(e.messages) {
			n := 0
			for _, c := range i {
				n = 10*n + int(c-'0')
			}
			a = a.edited(t, n, e.old, e.fresh)
		}
	}
	return a
}

// Places and headers of base, and of what replaces them.
const (
	mediaOf  = "c=IN IP4 "
	contact  = "Contact: <sip:bob@10.0.2.10"
	answers  = "3 4 5 6 11 12" // what bob says, with a Contact
	offers   = "0 2"
	credits  = `Authorization: Digest username="alice", realm="a.com", nonce="1", uri="sip:10.0.0.1", response="2", algorithm=MD5` + "\r\n"
	credits2 = `Authorization: Digest username="alice", realm="a.com", nonce="3", uri="sip:10.0.0.1", response="4", algorithm=SHA-256` + "\r\n"
)

// For everything that a replay tolerates: what is harmless stays tolerated, and a real difference of the same kind in what
// the live side says is named.
func TestToleratedAndReal(t *testing.T) {
	t.Parallel()
	const natted = "203.0.113.7"
	own := func(messages, host string) edit { return edit{messages, mediaOf + host, mediaOf + natted} }
	var (
		aliceBehind = []edit{own("0 2 9 10", "10.0.1.10")}
		bobBehind   = []edit{own("5 6 11 12", "10.0.2.10"), {answers, contact, "Contact: <sip:bob@" + natted}}
		bobNamed    = []edit{{answers, contact, "Contact: <sip:bob@pc7.b.com"}}
		relayed     = []edit{own("2 10", "10.0.1.10"), own("6 12", "10.0.2.10")}
		domain      = []edit{{answers, contact, "Contact: <sip:bob@b.com"}}
		asserted    = []edit{{"5", "", "P-Asserted-Identity: <sip:bob@b.com>\r\n"}}
		noAuth      = []edit{{"0", "", credits}}
	)
	for _, row := range []struct {
		name           string
		recorded, live []edit
		want           string // beginning of the headline
		served         bool   // bob and the proxy are live, alice is ours
	}{
		// Places that are no participant's.
		{"caller's own media", aliceBehind, nil, "same", false},
		{"a proxy that puts itself between", aliceBehind, []edit{{"2", mediaOf + "10.0.1.10", mediaOf + "10.0.0.1"}}, "media address 10.0.0.1, was " + natted, false},
		{"caller's media at the callee", aliceBehind, []edit{{offers, mediaOf + "10.0.1.10", mediaOf + "10.0.2.10"}}, "media address 10.0.2.10, was " + natted, false},
		{"callee's own places", bobBehind, nil, "same", false},
		{"callee's other relay", bobBehind, []edit{{"5 6 11 12", mediaOf + "10.0.2.10", mediaOf + "198.51.100.9"}}, "same", false},
		{"callee's second relay", bobBehind, []edit{{"5 6", mediaOf + "10.0.2.10", mediaOf + "198.51.100.9"}, {"11 12", mediaOf + "10.0.2.10", mediaOf + "198.51.100.8"}}, "media address 198.51.100.8, was " + natted, false},
		{"callee's media at the caller", bobBehind, []edit{{"5 6", mediaOf + "10.0.2.10", mediaOf + "10.0.1.10"}}, "media address 10.0.1.10, was " + natted, false},
		{"callee's Contact is the caller", bobBehind, []edit{{answers, contact, "Contact: <sip:bob@10.0.1.10"}}, "header Contact is <sip:bob@10.0.1.10>, was <sip:bob@" + natted + ">", false},
		{"callee's Contact is the proxy", bobBehind, []edit{{answers, contact, "Contact: <sip:bob@10.0.0.1"}}, "header Contact is <sip:bob@10.0.0.1>, was <sip:bob@" + natted + ">", false},
		{"callee's Contact changes", bobBehind, []edit{{"11 12", contact, "Contact: <sip:bob@10.0.0.1"}}, "header Contact is <sip:bob@10.0.0.1>, was <sip:bob@" + natted + ">", false},
		{"a relay's address", relayed, []edit{{"2 10", mediaOf + "10.0.1.10", mediaOf + "10.0.0.1"}, {"6 12", mediaOf + "10.0.2.10", mediaOf + "10.0.0.1"}}, "same", false},
		{"no relay any more", relayed, nil, "media address 10.0.1.10, was " + natted, false},
		{"a third address for a participant's", nil, []edit{{"5 6", mediaOf + "10.0.2.10", mediaOf + "198.51.100.9"}}, "media address 198.51.100.9, was 10.0.2.10", false},
		{"a third Contact for a participant's", nil, []edit{{answers, contact, "Contact: <sip:bob@198.51.100.9"}}, "header Contact is <sip:bob@198.51.100.9>", false},
		{"a third Record-Route", nil, []edit{{"2", "Record-Route: <sip:10.0.0.1", "Record-Route: <sip:198.51.100.9"}}, "header Record-Route is <sip:198.51.100.9;lr>", false},
		{"a Record-Route of the callee", bobBehind, []edit{{"2", "Record-Route: <sip:10.0.0.1", "Record-Route: <sip:10.0.2.10"}}, "header Record-Route is <sip:10.0.2.10;lr>", false},
		{"a third Via", nil, []edit{{"2", "Via: SIP/2.0/UDP 10.0.0.1", "Via: SIP/2.0/UDP 198.51.100.9"}}, "header Via names 198.51.100.9, was 10.0.0.1, in the INVITE", false},
		{"a name instead of an address", bobNamed, nil, "same", false},
		{"the name is kept", bobNamed, bobNamed, "same", false},
		{"a name, and the caller's address", bobNamed, []edit{{answers, contact, "Contact: <sip:bob@10.0.1.10"}}, "header Contact is <sip:bob@10.0.1.10>, was <sip:bob@pc7.b.com>", false},
		{"another name", bobNamed, []edit{{answers, contact, "Contact: <sip:bob@pc8.b.com"}}, "header Contact is <sip:bob@pc8.b.com>, was <sip:bob@pc7.b.com>", false},
		{"a name that another one had", bobNamed, []edit{{"0", "Contact: <sip:alice@10.0.1.10", "Contact: <sip:alice@pc7.b.com"}}, "header Contact is <sip:alice@pc7.b.com>", false},
		{"a domain in a Contact", domain, nil, "same", false},
		{"another domain asserted", append(domain, asserted...), []edit{{"5", "", "P-Asserted-Identity: <sip:bob@c.com>\r\n"}}, "header P-Asserted-Identity is <sip:bob@c.com>", false},
		{"an address asserted", append(domain, asserted...), []edit{{"5", "", "P-Asserted-Identity: <sip:bob@10.0.0.1>\r\n"}}, "header P-Asserted-Identity is <sip:bob@10.0.0.1>", false},
		{"another domain called", domain, []edit{{"2 10", "To: <sip:bob@b.com>", "To: <sip:bob@c.com>"}}, "header To is <sip:bob@c.com>", false},

		// Digests.
		{"our form of a digest", noAuth, []edit{{"0", "", credits2}}, "same, but for 1 tolerated", true},
		{"our form, sent on", []edit{{offers, "", credits}}, []edit{{offers, "", credits2}}, "same, but for", true},
		{"their algorithm", []edit{{"10", "", credits}}, []edit{{"10", "", credits2}}, "header Authorization is", true},
		{"their user", []edit{{"10", "", credits}}, []edit{{"10", "", strings.Replace(credits, "alice", "eve", 1)}}, "header Authorization is", true},

		// Versions of IP.
		{"a version that fits no address", nil, []edit{{"5 6", "c=IN IP4", "c=IN IP6"}}, "c=IN IP6 10.0.2.10, was c=IN IP4 10.0.2.10", false},
		{"both versions of o=", nil, []edit{{"5 6", "IN IP4 10.0.2.10\r\ns=", "IN IP6 10.0.2.10\r\ns="}}, "same, but for", false},

		// What nothing tolerates.
		{"a doubled header", nil, []edit{{"5", "", "Contact: <sip:bob@10.0.2.10>\r\n"}}, "header Contact has <sip:bob@10.0.2.10> in addition", false},
		{"a doubled Via", nil, []edit{{"5", "", "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\n"}}, "header Via has", false},
		{"another user answers", bobBehind, []edit{{answers, contact, "Contact: <sip:eve@10.0.2.10"}}, "header Contact is <sip:eve@10.0.2.10>", false},
		{"no Contact", bobBehind, []edit{{"5 6", contact + ">\r\n", ""}}, "header Contact is missing in the 200", false},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			plain := parsed(t, base)
			a, b := plain.with(t, row.recorded).flow("recorded"), plain.with(t, row.live).flow("live")
			if row.served {
				b.Ours = func(e frame.Endpoint) bool { return e.Addr().String() == "10.0.1.10" }
			}
			r := diff.Flows(a, b, diff.Rules{Replayed: true, Challenges: true})
			if !strings.HasPrefix(r.Headline, row.want) || r.Headline != "same" && row.want == "same" {
				t.Errorf("%q, want %q: %s", r.Headline, row.want, list(r))
			}
		})
	}
}

// What transactions send by themselves may be extra, once: more of it, or anything else, is of the live side's doing.
func TestTransactionsAndMore(t *testing.T) {
	t.Parallel()
	const head = `title Cancelled
host alice 10.0.1.10 user=sip:alice@a.com
host bob   10.0.2.10 user=sip:bob@b.com
call c1 from alice to bob
@0ms alice > bob INVITE sip:bob@b.com sdp=PCMU
+1ms bob > alice 180
`
	const cancel, ok, gone, ack = "@500ms alice > bob CANCEL\n", "+1ms bob > alice 200 CANCEL\n", "+1ms bob > alice 487 INVITE\n", "+1ms alice > bob ACK\n"
	const other = "+1ms alice > bob ACK branch=other anyway\n"
	for _, c := range []struct{ name, recorded, live, want string }{
		{"no ACK recorded", cancel + ok + gone, cancel + ok + gone + ack, "same, but for"},
		{"ACK again", cancel + ok + gone + ack, cancel + ok + gone + ack + "+1ms alice > bob ACK retransmit\n", "same, but for"},
		{"another ACK", cancel + ok + gone + ack, cancel + ok + gone + ack + other, "extra ACK from 10.0.1.10 to 10.0.2.10"},
		{"two ACKs where none was", cancel + ok + gone, cancel + ok + gone + ack + other, "extra ACK from 10.0.1.10 to 10.0.2.10"},
		{"no answer to CANCEL recorded", cancel + gone + ack, cancel + ok + gone + ack, "same, but for"},
		{"CANCEL refused", cancel + gone + ack, cancel + "+1ms bob > alice 481 CANCEL\n" + gone + ack, "extra 481 "},
	} {
		r := diff.Flows(parsed(t, head+c.recorded).flow("recorded"), parsed(t, head+c.live).flow("live"), diff.Rules{Replayed: true})
		if !strings.HasPrefix(r.Headline, c.want) {
			t.Errorf("%s: %q, want %q: %s", c.name, r.Headline, c.want, list(r))
		}
	}
}

// Who is seen only when it speaks later was behind the Contact that the proxy sent on before.
func TestSeenLate(t *testing.T) {
	t.Parallel()
	const flow = `title Seen late
host alice 10.0.1.10 user=sip:alice@a.com
host proxy 10.0.0.1  proxy user=sip:proxy.a.com
host bob   10.0.2.10 user=sip:bob@b.com
call c1 from alice to bob
@0ms alice > proxy INVITE sip:bob@b.com sdp=PCMU
+1ms proxy > alice 200 contact=sip:bob@HOST sdp=PCMU
+1ms alice > proxy ACK anyway
+1s bob > alice MESSAGE sip:alice@a.com initial contact=sip:bob@HOST
+1ms alice > bob 200
`
	at := func(host string) diff.Flow { return parsed(t, strings.ReplaceAll(flow, "HOST", host)).flow(host) }
	for host, want := range map[string]string{
		"10.0.2.10": "same",
		"10.0.1.10": "header Contact is <sip:bob@10.0.1.10>, was <sip:bob@203.0.113.7>, in the 200",
	} {
		if r := diff.Flows(at("203.0.113.7"), at(host), diff.Rules{Replayed: true}); r.Headline != want {
			t.Errorf("%s: %q, want %q: %s", host, r.Headline, want, list(r))
		}
	}
}
