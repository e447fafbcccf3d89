package check

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"sipscope/correlate"
	"sipscope/decode/frame"
)

// said is a message of a test: who sends it to whom, its status (0: a request), method, tags, transaction and description.
type said struct {
	from, to string
	status   uint16
	method   string
	tags     string // From/To
	txn      int
	sdp      string
}

// brief writes agreements: hop, offer and answer frames, and where caller and callee receive.
func brief(list []said) string {
	c := correlate.Call{Summary: correlate.Summary{Method: "INVITE"}}
	c.Dialogs = []correlate.Dialog{{CallerTag: "a", Method: "INVITE"}}
	texts := map[int][]byte{}
	for i, s := range list {
		ep := func(a string) frame.Endpoint { return frame.FromAddrPort(netip.MustParseAddrPort(a)) }
		c.Messages = append(c.Messages, correlate.Message{
			Seq: uint64(i + 1), Time: int64(i + 1), Src: ep(s.from), Dst: ep(s.to), Status: s.status, Method: s.method, Txn: s.txn,
			SDP: s.sdp != "", Repeats: -1,
		})
		start := s.method + " sip:b@b SIP/2.0"
		if s.status != 0 {
			start = fmt.Sprintf("SIP/2.0 %d x", s.status)
		}
		from, to, _ := strings.Cut(s.tags, "/")
		texts[i] = fmt.Appendf(nil, "%s\r\nFrom: <sip:a@a>;tag=%s\r\nTo: <sip:b@b>;tag=%s\r\nCall-ID: 1\r\nCSeq: 1 %s\r\n"+
			"Content-Type: application/sdp\r\n\r\n%s", start, from, to, s.method, s.sdp)
	}
	var out []string
	for _, a := range agreements(&c, func(i int) []byte { return texts[i] }) {
		var lines []string
		for _, m := range a.Media {
			s := fmt.Sprintf("%s %v>%v", m.Type, m.Callee.Addrs, m.Caller.Addrs)
			if m.Rejected {
				s = m.Type + " rejected"
			}
			lines = append(lines, s)
		}
		out = append(out, fmt.Sprintf("hop %d %d-%d: %s", a.Hop, a.Offer, a.Answer, strings.Join(lines, ", ")))
	}
	return strings.Join(out, "; ")
}

func TestAgreements(t *testing.T) {
	t.Parallel()
	const a, b, p = "10.0.0.1:5060", "10.0.0.2:5060", "10.0.0.9:5060"
	one, two, three := offer("10.0.0.1:4000"), offer("10.0.0.2:5000"), offer("10.0.0.2:6000")
	bundle := func(addr string) string {
		return offer(addr, "a=group:BUNDLE 0 1", "a=mid:0", "a=candidate:1 1 UDP 1 192.0.2.5 7000 typ srflx raddr 0.0.0.0 rport 0",
			"a=candidate:1 2 UDP 1 192.0.2.5 7001 typ srflx", "a=candidate:1 1 tcp 1 192.0.2.5 9 typ host", "m=video 4000 RTP/AVP 99", "a=mid:1")
	}
	// The session's a=group has to stand before the first m= line.
	grouped := func(s string) string { return strings.Replace(s, "t=0 0\r\n", "t=0 0\r\na=group:BUNDLE 0 1\r\n", 1) }
	for _, test := range []struct {
		name string
		list []said
		want string
	}{
		{"offer in INVITE", []said{
			{a, b, 0, "INVITE", "a/", 0, one},
			{b, a, 200, "INVITE", "a/b", 0, two},
		}, "hop 0 1-2: audio [10.0.0.2:5000]>[10.0.0.1:4000]"},
		{"the 200 repeats the 183", []said{
			{a, b, 0, "INVITE", "a/", 0, one},
			{b, a, 183, "INVITE", "a/b", 0, two},
			{b, a, 200, "INVITE", "a/b", 0, two},
		}, "hop 0 1-2: audio [10.0.0.2:5000]>[10.0.0.1:4000]"},
		{"another fork answers", []said{
			{a, b, 0, "INVITE", "a/", 0, one},
			{b, a, 183, "INVITE", "a/b", 0, two},
			{b, a, 200, "INVITE", "a/c", 0, three},
		}, "hop 0 1-2: audio [10.0.0.2:5000]>[10.0.0.1:4000]; hop 0 1-3: audio [10.0.0.2:6000]>[10.0.0.1:4000]"},
		{"offer in 200, answer in ACK", []said{
			{a, b, 0, "INVITE", "a/", 0, ""},
			{b, a, 200, "INVITE", "a/b", 0, two},
			{a, b, 0, "ACK", "a/b", 0, one},
		}, "hop 0 2-3: audio [10.0.0.2:5000]>[10.0.0.1:4000]"},
		{"offer in 183 and 200, answer in PRACK", []said{
			{a, b, 0, "INVITE", "a/", 0, ""},
			{b, a, 183, "INVITE", "a/b", 0, two},
			{b, a, 183, "INVITE", "a/b", 0, two},
			{a, b, 0, "PRACK", "a/b", 1, one},
		}, "hop 0 2-4: audio [10.0.0.2:5000]>[10.0.0.1:4000]"},
		{"re-INVITE by the callee", []said{
			{a, b, 0, "INVITE", "a/", 0, one},
			{b, a, 200, "INVITE", "a/b", 0, two},
			{b, a, 0, "INVITE", "b/a", 1, three},
			{a, b, 200, "INVITE", "b/a", 1, one},
		}, "hop 0 1-2: audio [10.0.0.2:5000]>[10.0.0.1:4000]; hop 0 3-4: audio [10.0.0.2:6000]>[10.0.0.1:4000]"},
		{"a 488 changes nothing", []said{
			{a, b, 0, "INVITE", "a/", 0, one},
			{b, a, 200, "INVITE", "a/b", 0, two},
			{b, a, 0, "UPDATE", "b/a", 1, three},
			{a, b, 488, "UPDATE", "b/a", 1, one},
		}, "hop 0 1-2: audio [10.0.0.2:5000]>[10.0.0.1:4000]"},
		{"back to the host that it came from", []said{
			{a, p, 0, "INVITE", "a/", 0, one},
			{p, a, 0, "INVITE", "a/", 1, one},
			{a, p, 200, "INVITE", "a/b", 1, two},
			{p, a, 200, "INVITE", "a/b", 0, two},
		}, "hop 1 2-3: audio [10.0.0.2:5000]>[10.0.0.1:4000]; hop 0 1-4: audio [10.0.0.2:5000]>[10.0.0.1:4000]"},
		{"a bundle is one", []said{
			{a, b, 0, "INVITE", "a/", 0, grouped(bundle("10.0.0.1:4000"))},
			{b, a, 200, "INVITE", "a/b", 0, grouped(bundle("10.0.0.2:5000"))},
		}, "hop 0 1-2: audio [10.0.0.2:5000 192.0.2.5:7000]>[10.0.0.1:4000 192.0.2.5:7000]"},
		{"rejected, and not RTP", []said{
			{a, b, 0, "INVITE", "a/", 0, one + "m=image 4002 udptl t38\r\nm=video 4004 RTP/AVP 99\r\n"},
			{b, a, 200, "INVITE", "a/b", 0, two + "m=image 5002 udptl t38\r\nm=video 0 RTP/AVP 99\r\n"},
		}, "hop 0 1-2: audio [10.0.0.2:5000]>[10.0.0.1:4000], image rejected, video rejected"},
		{"one host", []said{
			{"127.0.0.1:5060", "127.0.0.1:5070", 0, "INVITE", "a/", 0, one},
			{"127.0.0.1:5070", "127.0.0.1:5080", 0, "INVITE", "a/", 1, one},
			{"127.0.0.1:5080", "127.0.0.1:5070", 200, "INVITE", "a/b", 1, two},
			{"127.0.0.1:5070", "127.0.0.1:5060", 200, "INVITE", "a/b", 0, three},
		}, "hop 1 2-3: audio [10.0.0.2:5000]>[10.0.0.1:4000]; hop 0 1-4: audio [10.0.0.2:6000]>[10.0.0.1:4000]"},
		{"only an answer", []said{{b, a, 200, "INVITE", "a/b", 0, two}}, ""},
	} {
		if got := brief(test.list); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}
