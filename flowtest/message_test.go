package flowtest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sipscope/decode/sip"
)

// texts plays a flow and gives what was sent, retransmissions left out.
func texts(t *testing.T, lines string) []string {
	t.Helper()
	p, err := parseText(t, lines).play()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, x := range p.sent {
		out = append(out, string(x.payload))
	}
	return out
}

// lines gives the lines of a message that begin with one of the names, start line for "".
func lines(text string, names ...string) []string {
	var out []string
	for i, l := range strings.Split(text, "\r\n") {
		for _, n := range names {
			if n == "" && i == 0 || n != "" && strings.HasPrefix(l, n+":") {
				out = append(out, l)
			}
		}
	}
	return out
}

const proxied = `title T
host a 10.0.0.1 user=sip:a@x.com name="A \"q\""
host p 10.0.0.8 record-route
host q 10.0.0.9:5070 record-route
host b 10.0.0.2 user=sip:b@y.com
call c from a to b callid=c@x
@0s a > p INVITE sdp=PCMU header.X-Test=1 branch=z9hG4bKone tag=A1
@0s p > q INVITE branch=z9hG4bKtwo
@0s q > b INVITE branch=z9hG4bKthree
@0s b > q 200 tag=B1 "Fine"
@0s q > p 200
@0s p > a 200
@0s a > p ACK branch=z9hG4bKack
@0s b > q BYE branch=z9hG4bKbye
`

// What proxies and user agents write, header by header.
func TestDialogHeaders(t *testing.T) {
	t.Parallel()
	all := texts(t, proxied)
	for _, tc := range []struct {
		n     int
		names []string
		want  []string
	}{
		{0, []string{"", "Via", "Max-Forwards", "From", "To", "Call-ID", "CSeq", "Contact", "X-Test"}, []string{
			"INVITE sip:b@y.com SIP/2.0", "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKone", "Max-Forwards: 70",
			`From: "A \"q\"" <sip:a@x.com>;tag=A1`, "To: <sip:b@y.com>", "Call-ID: c@x", "CSeq: 1 INVITE",
			"Contact: <sip:a@10.0.0.1>", "X-Test: 1",
		}},
		{2, []string{"", "Via", "Max-Forwards", "Record-Route", "To", "X-Test"}, []string{
			"INVITE sip:b@10.0.0.2 SIP/2.0", "Via: SIP/2.0/UDP 10.0.0.9:5070;branch=z9hG4bKthree",
			"Via: SIP/2.0/UDP 10.0.0.8;branch=z9hG4bKtwo", "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKone",
			"Max-Forwards: 68", "Record-Route: <sip:10.0.0.9:5070;lr>", "Record-Route: <sip:10.0.0.8;lr>",
			"To: <sip:b@y.com>", "X-Test: 1",
		}},
		{3, []string{"", "Via", "Record-Route", "From", "To", "CSeq", "Contact", "Max-Forwards", "X-Test"}, []string{
			"SIP/2.0 200 Fine", "Via: SIP/2.0/UDP 10.0.0.9:5070;branch=z9hG4bKthree",
			"Via: SIP/2.0/UDP 10.0.0.8;branch=z9hG4bKtwo", "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKone",
			"Record-Route: <sip:10.0.0.9:5070;lr>", "Record-Route: <sip:10.0.0.8;lr>",
			`From: "A \"q\"" <sip:a@x.com>;tag=A1`, "To: <sip:b@y.com>;tag=B1", "CSeq: 1 INVITE",
			"Contact: <sip:b@10.0.0.2>",
		}},
		{5, []string{"", "Via"}, []string{"SIP/2.0 200 Fine", "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKone"}},
		{6, []string{"", "Via", "Route", "To", "CSeq", "Contact"}, []string{
			"ACK sip:b@10.0.0.2 SIP/2.0", "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKack",
			"Route: <sip:10.0.0.8;lr>", "Route: <sip:10.0.0.9:5070;lr>", "To: <sip:b@y.com>;tag=B1", "CSeq: 1 ACK",
		}},
		{7, []string{"", "Via", "Route", "From", "To", "CSeq"}, []string{
			"BYE sip:a@10.0.0.1 SIP/2.0", "Via: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKbye",
			"Route: <sip:10.0.0.9:5070;lr>", "Route: <sip:10.0.0.8;lr>",
			"From: <sip:b@y.com>;tag=B1", `To: "A \"q\"" <sip:a@x.com>;tag=A1`, "CSeq: 1 BYE",
		}},
	} {
		if d := cmp.Diff(tc.want, lines(all[tc.n], tc.names...)); d != "" {
			t.Errorf("message %d (-want +got):\n%s", tc.n+1, d)
		}
	}
}

// An ACK of a failure and a CANCEL have their INVITE's branch and number; an ACK of a 2xx has a branch of its own.
func TestHopByHop(t *testing.T) {
	t.Parallel()
	all := texts(t, prelude+`@0s a > b INVITE
@0s b > a 180
@0s a > b CANCEL
@0s b > a 200 CANCEL
@0s b > a 487
@0s a > b ACK
@1s a > b INVITE
@1s b > a 200
@1s a > b ACK
`)
	invite, again := lines(all[0], "Via"), lines(all[6], "Via")
	for n, want := range map[int][]string{
		2: {"CSeq: 1 CANCEL"}, 4: {"CSeq: 1 INVITE"}, 5: {"CSeq: 1 ACK"}, 6: {"CSeq: 2 INVITE"}, 8: {"CSeq: 2 ACK"},
	} {
		if d := cmp.Diff(want, lines(all[n], "CSeq")); d != "" {
			t.Errorf("message %d (-want +got):\n%s", n+1, d)
		}
	}
	for _, n := range []int{2, 3, 4, 5} {
		if d := cmp.Diff(invite, lines(all[n], "Via")); d != "" {
			t.Errorf("message %d (-want +got):\n%s", n+1, d)
		}
	}
	if slices.Equal(invite, again) || slices.Equal(again, lines(all[8], "Via")) {
		t.Error("a new INVITE or the ACK of a 2xx has an old branch")
	}
	if d := cmp.Diff(lines(all[1], "To"), lines(all[4], "To")); d != "" {
		t.Errorf("180 and 487 have different tags:\n%s", d)
	}
	if d := cmp.Diff([]string{"To: <sip:b@x.com>"}, lines(all[2], "To")); d != "" {
		t.Errorf("To of the CANCEL (-want +got):\n%s", d)
	}
}

// Everything that a line can say in place of what is generated.
func TestOverrides(t *testing.T) {
	t.Parallel()
	all := texts(t, prelude+`@0s a > b OPTIONS callid=other cseq=77 tag=TT branch=none header.Max-Forwards=3 header.Via="X" header.A=1 header.a=2 without=To,contact
@1s a > b MESSAGE raw="whatever"
@2s a > b SUBSCRIBE event=dialog expires=60 contact=<sip:x> type=text/x body="é" compact
@3s a > b PUBLISH lf
`)
	if d := cmp.Diff("OPTIONS sip:b@x.com SIP/2.0\r\nVia: X\r\nMax-Forwards: 3\r\nFrom: <sip:a@x.com>;tag=TT\r\n"+
		"Call-ID: other\r\nCSeq: 77 OPTIONS\r\nA: 1\r\na: 2\r\nContent-Length: 0\r\n\r\n", all[0]); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if all[1] != "whatever" {
		t.Errorf("raw: %q", all[1])
	}
	want := []string{"m: <sip:x>", "o: dialog", "Expires: 60", "c: text/x", "l: 2"}
	if d := cmp.Diff(want, lines(all[2], "m", "o", "Expires", "c", "l")); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if strings.Contains(all[3], "\r") || !strings.HasSuffix(all[3], "\n\n") {
		t.Errorf("lf: %q", all[3])
	}
}

// Challenges and credentials (RFC 3261 22, RFC 7616 3.4), the response computed a second time.
func TestCredentials(t *testing.T) {
	t.Parallel()
	all := texts(t, prelude+`@0s a > b REGISTER
@0s b > a 401
@0s a > b REGISTER auth
@0s a > b REGISTER auth
@0s b > a 407 stale
@0s a > b REGISTER auth password=wrong
`)
	challenge := lines(all[1], "WWW-Authenticate")
	if len(challenge) != 2 || !strings.Contains(challenge[0], "algorithm=SHA-256") || !strings.Contains(challenge[1], "algorithm=MD5") {
		t.Errorf("challenge: %q", challenge)
	}
	for n, want := range map[int]string{2: "nc=00000001", 3: "nc=00000002"} {
		if a := lines(all[n], "Authorization"); len(a) != 1 || !strings.HasSuffix(a[0], want) {
			t.Errorf("message %d: %q, want %s", n+1, a, want)
		}
	}
	if a := lines(all[4], "Proxy-Authenticate"); len(a) != 2 || !strings.Contains(a[0], "stale=true") {
		t.Errorf("stale: %q", a)
	}
	if a := lines(all[5], "Authorization", "Proxy-Authorization"); len(a) != 2 {
		t.Errorf("credentials for both: %q", a)
	}
	c := challengeOf(lines(all[2], "Authorization")[0])
	if got, want := c["response"], digest(c, "a", "secret", "REGISTER"); got != want || len(got) != 64 {
		t.Errorf("response %s, want %s", got, want)
	}
}

// Every message of the project's flows is read by the project's parser without complaint, but where the flow is about
// that.
func TestFlowsAreClean(t *testing.T) {
	t.Parallel()
	names, err := filepath.Glob("../testdata/flows/*.flow")
	if err != nil || len(names) == 0 {
		t.Fatal("no flows", err)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		f, err := Parse(name, strings.NewReader(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		p, err := f.play()
		if err != nil {
			t.Fatal(err)
		}
		odd := slices.Contains([]string{"compact-lf-only", "hostile-names", "rfc2543"}, f.Name)
		var m sip.Message
		for _, x := range p.sent {
			if err := sip.Parse(x.payload, &m); err != nil {
				t.Errorf("%s:%d: %v", name, x.s.line, err)
				continue
			}
			if len(m.Diags) > 0 && !odd {
				t.Errorf("%s:%d: %v in\n%s", name, x.s.line, m.Diags, x.payload)
			}
			if string(m.Method.Of(m.Raw)) != x.method || int(m.Status) != x.status {
				t.Errorf("%s:%d: read as %s %d", name, x.s.line, m.Method.Of(m.Raw), m.Status)
			}
		}
	}
}
