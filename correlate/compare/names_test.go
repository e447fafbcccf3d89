package compare_test

import (
	"strings"
	"testing"

	"sipscope/correlate/compare"
)

// start is the line that all messages of this file begin with.
const start = "INVITE sip:x@y.example SIP/2.0\n"

// network names the hosts of a test: name=host or name=host:port; a name "*" is one that cannot be told from others.
func network(hosts ...string) *compare.Names {
	of := make(map[string]string)
	for _, h := range hosts {
		name, at, _ := strings.Cut(h, "=")
		of[at] = name
	}
	return &compare.Names{
		Place: func(host, port string) (string, bool) {
			who, ok := of[host+":"+port]
			if !ok {
				who, ok = of[host]
			}
			return strings.Trim(who, "*"), ok
		},
		Word: func(text string) (string, bool) {
			out := text
			for at, name := range of {
				out = strings.ReplaceAll(out, at, "{"+name+"}")
			}
			return out, out != text
		},
	}
}

// Hosts are compared as who stands behind them.
func TestNames(t *testing.T) {
	t.Parallel()
	a := network("alice=10.0.0.1", "bob=10.0.0.2", "lab=*")
	b := network("alice=10.9.0.1", "bob=10.9.0.2", "*=127.0.0.1", "carol=10.0.0.1")
	for _, row := range []struct {
		a, b            string
		differs, expect int
	}{
		{"Contact: <sip:x@10.0.0.1:5060>", "Contact: <sip:x@10.9.0.1:5070>", 0, 1},
		{"Contact: <sip:x@10.0.0.1>", "Contact: <sip:x@10.9.0.1:5070>", 0, 1},
		{"Contact: <sip:x@10.0.0.1>", "Contact: <sip:x@10.9.0.2>", 1, 0},
		{"Contact: <sip:x@10.0.0.1>", "Contact: <sip:x@10.0.0.1>", 1, 0}, // carol's in b
		{"Contact: <sip:x@10.0.0.1>", "Contact: <sip:x@127.0.0.1:5080>", 0, 1},
		{"Contact: <sip:x@0.0.0.0>", "Contact: <sip:x@127.0.0.1:5080>", 1, 0},
		{"Contact: <sip:x@10.0.0.1>", "Contact: <sip:x@10.7.7.7>", 1, 0},
		{"Contact: <sip:x@a.example:5060>", "Contact: <sip:x@a.example:5070>", 1, 0},
		{"Route: <sip:10.0.0.1;lr>, <sip:10.0.0.2;lr>", "Route: <sip:10.9.0.2;lr>", 1, 1},
		{"Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1;received=1.2.3.4;rport=5", "Via: SIP/2.0/UDP 10.9.0.1:5;branch=z9hG4bK2", 0, 1},
		{"Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1", "Via: SIP/2.0/TCP 10.9.0.1:5;branch=z9hG4bK2", 1, 0},
		{"Via: SIP/2.0/TCP 10.0.0.1;branch=z9hG4bK1;i=a", "Via: SIP/2.0/TCP 10.9.0.1;branch=z9hG4bK2;i=5b", 0, 1}, // Kamailio's
		{"Via: SIP/2.0/TCP 10.0.0.1;branch=z9hG4bK1", "Via: SIP/2.0/TCP 10.9.0.1;branch=z9hG4bK2;i=5b", 1, 0},
		{"Via: SIP/2.0/TCP 10.0.0.1;branch=z9hG4bK1;keep=30", "Via: SIP/2.0/TCP 10.9.0.1;branch=z9hG4bK2;keep=60", 1, 0},
		{"X-Peer: peer=10.0.0.2;x", "X-Peer: peer=10.9.0.2;x", 0, 1},
		{"X-Peer: peer=10.0.0.2;x", "X-Peer: peer=10.9.0.1;x", 1, 0},
		{"X-Peer: 10.8.0.2", "X-Peer: 10.8.0.2", 0, 0},
		{"X-Peer: 10.9.0.1", "X-Peer: 10.9.0.1", 0, 0}, // known on one side only, and written alike
		{"P-Asserted-Identity: <sip:1@10.0.0.1>", "P-Asserted-Identity: <sip:1@10.9.0.1>", 0, 1},
	} {
		res := compare.Messages(message(t, start+row.a), message(t, start+row.b), compare.Options{Ignore: true, A: a, B: b})
		if res.Differences != row.differs || res.Expected != row.expect {
			t.Errorf("%q and %q: %d differences and %d expected, want %d and %d", row.a, row.b, res.Differences, res.Expected,
				row.differs, row.expect)
		}
		back := compare.Messages(message(t, start+row.b), message(t, start+row.a), compare.Options{Ignore: true, A: b, B: a})
		if back.Differences != res.Differences || back.Expected != res.Expected {
			t.Errorf("%q and %q: %+v the other way round", row.a, row.b, back)
		}
	}
}

// Addresses and ports of SDP are those of the participants, but for the port 0.
func TestNamesSDP(t *testing.T) {
	t.Parallel()
	a, b := network("alice=10.0.0.1"), network("alice=10.9.0.1")
	const head = "Content-Type: application/sdp\n\nv=0\no=x 1 1 IN IP4 10.0.0.1\ns=-\nc=IN IP4 10.0.0.1\nt=0 0\n"
	other := strings.NewReplacer("o=x 1 1", "o=y 2 9", "10.0.0.1", "10.9.0.1").Replace(head)
	for _, row := range []struct {
		a, b    string
		differs int
	}{
		{"m=audio 4000 RTP/AVP 0\na=rtcp:4001", "m=audio 9000 RTP/AVP 0\na=rtcp:9001", 0},
		{"m=audio 4000 RTP/AVP 0", "m=audio 0 RTP/AVP 0", 1},
		{"m=audio 4000/2 RTP/AVP 0", "m=audio 9000/2 RTP/AVP 0", 0},
		{"m=audio 4000/2 RTP/AVP 0", "m=audio 9000/3 RTP/AVP 0", 1},
		{"m=audio 4000 RTP/AVP 0\na=fingerprint:sha-256 AA:BB", "m=audio 9000 RTP/AVP 0\na=fingerprint:sha-256 CC:DD", 0},
		{"m=audio 4000 RTP/AVP 0\na=fingerprint:sha-256 AA:BB", "m=audio 9000 RTP/AVP 0\na=fingerprint:sha-1 CC:DD", 1},
		{"m=audio 4000 RTP/AVP 0\na=candidate:1 1 UDP 99 10.0.0.1 4000 typ host", "m=audio 1 RTP/AVP 0\na=candidate:7 1 UDP 3 10.8.0.1 3 typ host", 0},
		{"m=audio 4000 RTP/AVP 0\na=candidate:1 1 UDP 99 10.0.0.1 4000 typ host", "m=audio 1 RTP/AVP 0\na=candidate:7 1 UDP 3 10.8.0.1 3 typ relay", 1},
		{"m=audio 4000 RTP/AVP 0\na=ssrc:1 cname:x", "m=audio 1 RTP/AVP 0\na=ssrc:2 cname:y", 0},
	} {
		res := compare.Messages(message(t, start+head+row.a), message(t, start+other+row.b), compare.Options{Ignore: true, A: a, B: b})
		if res.Differences != row.differs {
			t.Errorf("%q and %q: %d differences, want %d: %+v", row.a, row.b, res.Differences, row.differs, res.Lines)
		}
	}
}
