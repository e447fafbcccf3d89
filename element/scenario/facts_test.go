package scenario_test

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"sipscope/decode/sip"
	"sipscope/element/scenario"
	"sipscope/element/transport"
)

// facts are what the messages of a flow say in their headers, line by line: the number of the message, a field, and what
// holds for it:
//
//	is VALUE       it is that
//	has TEXT       the text is in it
//	lacks TEXT     it is not
//	none           the message has no such field
//	some           it has one
//	same N         it is that of message N
//	differs N      it is not
//
// A field is a header's name, whose values are joined by ", ", or one of: uri, branch, From.tag, To.tag, CSeq.number, vias
// (how many), body.
var facts = map[string]string{
	"ua-fork": `
1 Max-Forwards is 70
1 Max-Breadth none
2 To.tag none
3 Max-Forwards is 69
3 Max-Breadth is 30
4 Max-Breadth is 30
3 vias is 2
3 Route none
3 To same 1
3 From same 1
3 Call-ID same 1
3 CSeq same 1
3 body same 1
3 branch differs 1
4 branch differs 3
4 uri is sip:bob@127.0.2.11
6 vias is 1
6 branch same 1
6 To.tag same 5
7 To.tag differs 5
8 To.tag same 7
10 To.tag same 7
10 Contact same 9
11 branch same 3
11 CSeq is 1 CANCEL
11 To.tag none
11 vias is 1
12 branch differs 1
12 uri is sip:bob2@127.0.2.11:5060
12 CSeq is 1 ACK
12 To.tag same 9
13 To.tag same 5
14 To.tag same 5
15 branch same 3
15 uri same 3
15 To.tag same 14
16 From.tag same 9.To.tag
16 To.tag same 1.From.tag
16 Call-ID same 1
16 uri is sip:alice@127.0.1.10:5060`,
	"ua-fork-serial": `
6 branch differs 3
6 CSeq same 3
8 To.tag differs 4`,
	"ua-fork-rejected": `
13 To.tag same 11
14 branch same 1`,
	"forked-200s": `
10 To.tag differs 14
11 branch same 4
15 To.tag same 14
15 CSeq is 1 ACK
16 To.tag same 14
18 branch same 11
20 To.tag same 10
20 CSeq is 2 BYE
16 CSeq is 2 BYE`,
	"session-invitation": `
1 uri is sip:b.com
2 Contact has expires=3600
2 Date some
3 vias is 1
5 vias is 2
5 uri is sip:bob@b.com
5 Max-Forwards is 69
7 vias is 3
7 Max-Forwards is 68
7 uri is sip:bob@127.0.2.10:5060
7 To same 3
7 From same 3
7 Contact same 3
7 Record-Route none
6 To.tag none
8 vias is 3
9 vias is 2
10 vias is 1
13 vias is 1
13 To.tag same 8
13 body some
14 uri is sip:bob@127.0.2.10:5060
14 Route none
14 vias is 1
14 CSeq is 1 ACK`,
	"registrar": `
1 uri is sip:iptel.org
1 From has <sip:jan@iptel.org>;tag=
1 To is <sip:jan@iptel.org>
1 CSeq is 1 REGISTER
1 Contact has <sip:jan@127.0.1.10:5060>
1 Expires is 3600
2 Contact is <sip:jan@127.0.1.10:5060>;expires=3600
2 Date is Thu, 15 Jan 2026 12:00:00 GMT
2 To.tag some`,
	"registrar-refresh": `
3 Call-ID same 1
3 From.tag same 1
3 CSeq is 2 REGISTER
3 branch differs 1
4 Contact has expires=3600`,
	"registrar-remove": `
3 Call-ID differs 1
4 Contact has 127.0.1.10
4 Contact has 127.0.1.11
5 Expires is 0
5 Contact has 127.0.1.10
6 Contact lacks 127.0.1.10
7 Contact is *
7 Expires is 0
8 Contact none`,
	"registrar-query": `
1 Contact none
1 Expires none
2 Contact has <sip:jan@192.0.2.7>;q=0.8`,
	"registrar-contacts": `
1 Contact is <sip:jan@127.0.1.10>;q=0.9, <sip:jan@192.0.2.7>;q=0.3
2 Contact has 192.0.2.7>;q=0.3;expires=3600`,
	"registrar-interval": `
1 Expires is 20
2 Min-Expires is 60
3 Expires is 60
3 Call-ID same 1
3 CSeq is 2 REGISTER`,
	"redirect": `
2 Contact is <sip:bob@127.0.2.10>;q=0.9, <sip:bob@127.0.2.11>;q=0.5
2 To.tag some
2 Record-Route none
3 branch same 1
3 CSeq is 1 ACK
3 To.tag same 2
4 branch differs 1
4 CSeq is 2 INVITE
4 Call-ID same 1
4 From same 1
4 To same 1
4 To.tag none
6 To.tag differs 2
8 CSeq is 3 BYE`,
	"redirect-next-target": `
7 CSeq is 3 INVITE
7 Call-ID same 1
7 To.tag none
11 CSeq is 4 BYE`,
	"redirect-recursed": `
6 To same 1
6 CSeq same 1
6 branch differs 3
8 To.tag differs 4
10 Contact has carol@127.0.2.12`,
	"transactions": `
2 branch same 1
3 branch same 1
4 branch same 1
5 branch differs 1
5 CSeq is 1 ACK
6 branch differs 5
6 CSeq is 2 BYE
7 branch same 6`,
	"transactions-busy": `
4 branch same 1
4 uri same 1
4 To same 3
4 CSeq is 1 ACK`,
	"transactions-cancel": `
3 branch same 1
3 CSeq is 1 CANCEL
3 To.tag none
3 Require none
3 uri same 1
4 branch same 1
5 CSeq is 1 INVITE
6 branch same 1`,
	"transactions-lost": `
2 branch same 1
3 branch same 1
8 branch same 7
9 branch same 7`,
	"transactions-ack-lost": `
5 branch same 1
7 branch same 1`,
	"dialog": `
1 To.tag none
2 To.tag none
3 To.tag some
4 To.tag same 3
5 CSeq is 1 ACK
6 From.tag same 3.To.tag
6 To.tag same 1.From.tag
6 CSeq.number differs 1
6 Call-ID same 1
6 body has a=sendonly
7 body has a=recvonly
8 CSeq.number same 6
9 CSeq is 2 BYE
9 To.tag same 3
9 From.tag same 1`,
	"trapezoid": `
5 Record-Route none
5 vias is 3
11 Record-Route none
12 Route none
12 uri is sip:bob@127.0.2.10:5060
13 Route none
13 uri same 12`,
	"register": `
1 Authorization none
2 WWW-Authenticate has algorithm=SHA-256
2 WWW-Authenticate has algorithm=MD5
2 WWW-Authenticate has realm="iptel.org"
2 WWW-Authenticate has qop="auth"
2 WWW-Authenticate has opaque="
3 Authorization has nc=00000001
3 Authorization has algorithm=SHA-256
3 Authorization has uri="sip:iptel.org"
3 Authorization has opaque="
3 Authorization lacks secret
3 CSeq is 2 REGISTER
3 Call-ID same 1
3 From.tag same 1
3 branch differs 1
4 Authentication-Info has rspauth=
4 Contact has expires=3600`,
	"register-proxy": `
1 Route is <sip:127.0.1.1;lr>
2 Proxy-Authenticate has realm="a.com"
2 WWW-Authenticate none
3 Proxy-Authorization has realm="a.com"
3 Authorization none
3 CSeq is 2 REGISTER
4 Proxy-Authorization none
4 Route none
4 Max-Forwards is 69`,
	"register-wrong-password": `
3 Authorization some
4 WWW-Authenticate none
4 Contact none`,
	"register-stale": `
2 WWW-Authenticate lacks stale=true
5 Authorization has nc=00000002
6 WWW-Authenticate has stale=true
7 Authorization has nc=00000001
8 Contact has expires=3600`,
	"register-refresh": `
3 Authorization has nc=00000001
5 Authorization has nc=00000002
5 Authorization differs 3
5 CSeq is 3 REGISTER`,
	"invite": `
1 body some
3 body same 1
5 To.tag some
6 body some
7 body same 6
8 CSeq is 1 ACK`,
	"invite-ack-lost": `
9 To same 6
11 branch same 8
17 branch same 8`,
	"invite-proxy-auth": `
1 Proxy-Authorization none
2 Proxy-Authenticate has realm="a.com"
3 branch same 1
4 Proxy-Authorization has nc=00000001
4 CSeq is 2 INVITE
4 Call-ID same 1
4 From.tag same 1
4 To.tag none
6 Proxy-Authorization none
11 Proxy-Authorization same 4
11 CSeq is 2 ACK
12 CSeq is 3 BYE`,
	"invite-reliable": `
1 Supported has 100rel
2 Require is 100rel
2 RSeq some
2 body some
3 RAck has 1 INVITE
3 CSeq is 2 PRACK
3 To.tag same 2
5 body none
7 CSeq is 3 BYE`,
	"invite-timer-c": `
6 branch same 3
10 branch same 1`,
	"cancel": `
6 branch same 1
6 uri same 1
6 Route same 1
6 CSeq is 1 CANCEL
6 To same 1
8 branch same 3
8 vias is 1
12 To.tag same 10
13 branch same 1`,
	"cancel-race": `
5 To.tag same 2
6 To.tag same 2
7 CSeq is 2 BYE`,
	"bye": `
3 Record-Route none
9 Route none
9 uri is sip:bob@127.0.2.10:5060
9 CSeq is 2 BYE`,
	"bye-record-route": `
1 Record-Route none
3 Record-Route is <sip:127.0.1.1:5060;lr>
4 Record-Route same 3
7 Record-Route same 3
8 Route same 7.Record-Route
8 uri is sip:bob@127.0.2.10:5060
9 Route none
9 uri same 8
9 vias is 2
10 Route same 8
10 uri same 8
11 Route none
11 uri same 8
13 vias is 1`,
	"bye-two-proxies": `
5 Record-Route is <sip:127.0.2.1:5060;lr>, <sip:127.0.1.1:5060;lr>
6 Record-Route same 5
11 Record-Route same 5
12 Route is <sip:127.0.1.1:5060;lr>, <sip:127.0.2.1:5060;lr>
12 uri is sip:bob@127.0.2.10:5060
13 Route is <sip:127.0.2.1:5060;lr>
14 Route none
15 Route same 12
17 Route none
17 vias is 3`,
	"bye-from-callee": `
15 Route is <sip:127.0.2.1:5060;lr>, <sip:127.0.1.1:5060;lr>
15 uri is sip:joe@127.0.1.10:5060
15 From.tag same 6.To.tag
16 Route is <sip:127.0.1.1:5060;lr>
17 Route none`,
	"strict-route": `
3 Record-Route is <sip:127.0.1.1:5060>
8 uri is sip:127.0.1.1:5060
8 Route is <sip:bob@127.0.2.10:5060>
9 uri is sip:bob@127.0.2.10:5060
9 Route none
10 uri is sip:127.0.1.1:5060
11 uri is sip:bob@127.0.2.10:5060
11 Route none`,
	"subscribe-notify": `
1 Event is presence
1 Expires is 3600
1 Accept is application/pidf+xml
1 Contact some
2 Expires is 3600
2 To.tag some
2 Contact some
3 Subscription-State has active;expires=
3 body has <basic>closed</basic>
3 From.tag same 2.To.tag
3 To.tag same 1.From.tag
3 CSeq.number differs 1
3 Event same 1
5 body has <basic>open</basic>
7 CSeq is 2 SUBSCRIBE
7 To.tag same 2
11 CSeq is 3 SUBSCRIBE
11 Expires is 0
12 Expires is 0
13 Subscription-State is terminated;reason=timeout`,
	"subscribe-pending": `
3 Subscription-State has pending
3 body none
5 Subscription-State has active
5 body has <basic>open</basic>`,
	"subscribe-bad-event": `
2 Allow-Events has presence`,
	"subscribe-notify-first": `
2 From.tag same 4.To.tag`,
	"subscribe-proxy": `
2 Record-Route is <sip:127.0.1.1:5060;lr>
3 Record-Route same 2
4 Route same 3.Record-Route
6 Record-Route is <sip:127.0.1.1:5060;lr>
6 Route none
9 Route is <sip:127.0.1.1:5060;lr>
10 Route none
14 Subscription-State has terminated`,
	"subscribe-fork": `
5 From.tag same 4.To.tag
7 From.tag same 6.To.tag
7 From.tag differs 5
8 To.tag same 4`,
	"message": `
1 Contact none
1 Content-Type is text/plain
1 body is Lunch at one?
2 body same 1
2 Contact none
2 Max-Forwards is 69
3 Contact none
3 body none
4 Contact none
4 body none`,
	"message-not-found": `
4 To.tag same 3`,
	"message-proxy-auth": `
3 CSeq is 2 MESSAGE
3 Call-ID same 1
3 body same 1
4 Proxy-Authorization none`,
	"message-timeout": `
3 branch same 1
4 branch same 2
9 To.tag none`,
	"stateless-retransmission": `
2 vias is 2
4 branch same 2
6 branch same 2`,
	"stateful-absorption": `
5 branch same 1
6 branch same 1`,
}

// raws keeps the SIP messages of a run.
type raws struct{ all []*sip.Message }

func (r *raws) Message(_ int64, _ transport.Proto, _ uint64, _, _ netip.AddrPort, raw []byte) {
	m := &sip.Message{}
	if sip.Parse(append([]byte(nil), raw...), m) == nil {
		r.all = append(r.all, m)
	}
}

func (*raws) Datagram(int64, netip.AddrPort, netip.AddrPort, []byte) {}

// The headers of each flow are those that the textbook, SCENARIOS and the RFCs name.
func TestFacts(t *testing.T) {
	t.Parallel()
	checked := 0
	for _, f := range textbook(t, nil) {
		lines := strings.FieldsFunc(facts[f.Name], func(r rune) bool { return r == '\n' })
		if len(lines) == 0 {
			continue
		}
		checked++
		t.Run(f.Name, func(t *testing.T) {
			t.Parallel()
			var seen raws
			if _, err := f.Play(t.Context(), scenario.Stage{Seed: 7, Tap: &seen}); err != nil {
				t.Fatal(err)
			}
			for _, line := range lines {
				words := strings.SplitN(line, " ", 4)
				if err := holds(seen.all, words); err != nil {
					t.Errorf("%s: %v", strings.Join(words, " "), err)
				}
			}
		})
	}
	if checked != len(facts) {
		t.Errorf("facts of %d flows, %d flows have some", len(facts), checked)
	}
}

// Facts that are wrong are found to be.
func TestHolds(t *testing.T) {
	t.Parallel()
	m := &sip.Message{}
	raw := "MESSAGE sip:b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>\r\nCall-ID: c\r\n" +
		"CSeq: 1 MESSAGE\r\nContent-Length: 0\r\n\r\n"
	if err := sip.Parse([]byte(raw), m); err != nil {
		t.Fatal(err)
	}
	for line, right := range map[string]bool{
		"1 CSeq is 1 MESSAGE": true, "1 CSeq is 2 MESSAGE": false, "1 To.tag none": true, "1 To.tag some": false, "1 vias is 1": true,
		"1 From.tag none": false, "1 Call-ID same 1": true, "1 Call-ID differs 1": false, "1 body none": true, "1 uri has b": true,
		"1 uri lacks b": false, "2 uri some": false, "1 uri looks nice": false, "1 Route none": true, "1 branch same 2": false,
	} {
		if err := holds([]*sip.Message{m}, strings.SplitN(line, " ", 4)); (err == nil) != right {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// holds checks a fact.
func holds(all []*sip.Message, words []string) error {
	for len(words) < 4 {
		words = append(words, "")
	}
	got, err := field(all, words[0], words[1])
	if err != nil {
		return err
	}
	want, ok := words[3], false
	switch words[2] {
	case "is":
		ok = got == want
	case "has":
		ok = strings.Contains(got, want)
	case "lacks":
		ok = got != "" && !strings.Contains(got, want)
	case "none":
		ok = got == ""
	case "some":
		ok = got != ""
	case "same", "differs":
		n, name, other := strings.Cut(want, ".")
		if !other {
			name = words[1]
		}
		if want, err = field(all, n, name); err != nil {
			return err
		}
		ok = got != "" && (got == want) == (words[2] == "same")
	}
	if !ok {
		return fmt.Errorf("it is %q, the other %q", got, want)
	}
	return nil
}

// field gives a field of the message with the number n, "" for none.
func field(all []*sip.Message, n, name string) (string, error) {
	i, err := strconv.Atoi(n)
	if err != nil || i < 1 || i > len(all) {
		return "", fmt.Errorf("there are %d messages", len(all))
	}
	m := all[i-1]
	switch name {
	case "uri":
		return string(m.URI.Of(m.Raw)), nil
	case "branch":
		return string(m.Via.Branch.Of(m.Raw)), nil
	case "From.tag":
		return string(m.From.Tag.Of(m.Raw)), nil
	case "To.tag":
		return string(m.To.Tag.Of(m.Raw)), nil
	case "CSeq.number":
		return strconv.Itoa(int(m.CSeq)), nil
	case "body":
		return string(m.Body.Of(m.Raw)), nil
	case "vias":
		return strconv.Itoa(int(m.Vias)), nil
	}
	var values []string
	for v := range m.Named(name) {
		values = append(values, string(v))
	}
	return strings.Join(values, ", "), nil
}
