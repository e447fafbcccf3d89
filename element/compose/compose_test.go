package compose_test

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sipscope/decode/sip"
	"sipscope/element/compose"
)

// crlf makes a message of lines.
func crlf(lines ...string) string { return strings.Join(lines, "\r\n") + "\r\n" }

func TestResponse(t *testing.T) {
	t.Parallel()
	got, err := compose.Response([]byte("before"), parse(t, invite), netip.MustParseAddrPort("192.0.2.7:5062"),
		&compose.Reply{
			Status: 200, ToTag: "314159", RecordRoute: true, ContentType: "application/sdp", Body: []byte("v=0\r\n"),
			Headers: []compose.Header{
				{ID: sip.HeaderContact, Value: "<sip:bob@192.0.2.4>"}, {Name: "X-Own", Value: "a,\r\n b"},
			},
		})
	if err != nil {
		t.Fatal(err)
	}
	want := "before" + crlf(
		"SIP/2.0 200 OK",
		"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK74bf9;rport=5062;received=192.0.2.7",
		"Via: SIP/2.0/UDP pc33.example.com;branch=z9hG4bKnashds8;received=192.0.2.9",
		"Record-Route: <sip:ss2.example.com;lr>",
		"From: Alice <sip:alice@atlanta.example.com>;tag=9fxced76sl",
		"To: Bob <sip:bob@biloxi.example.com>;tag=314159",
		"Call-ID: 3848276298220188511@atlanta.example.com",
		"CSeq: 2 INVITE",
		"Contact: <sip:bob@192.0.2.4>",
		"X-Own: a,\r\n b",
		"Content-Type: application/sdp",
		"Content-Length: 5",
		"",
		"v=0",
	)
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("response (-want +got):\n%s", diff)
	}
}

// Of the top Via (RFC 3261 18.2.1, RFC 3581 4, RFC 5118 4.5).
func TestResponseVia(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, via, src, want string }{
		{"address is the source", "SIP/2.0/UDP 192.0.2.1;branch=b", "192.0.2.1:9", "SIP/2.0/UDP 192.0.2.1;branch=b"},
		{
			"another address", "SIP/2.0/UDP 192.0.2.1;branch=b", "192.0.2.2:9",
			"SIP/2.0/UDP 192.0.2.1;branch=b;received=192.0.2.2",
		},
		{"a name", "SIP/2.0/UDP a.example", "192.0.2.2:9", "SIP/2.0/UDP a.example;received=192.0.2.2"},
		{
			"rport asks for received too", "SIP/2.0/UDP 192.0.2.1:5060;rport;branch=b", "192.0.2.1:9",
			"SIP/2.0/UDP 192.0.2.1:5060;rport=9;branch=b;received=192.0.2.1",
		},
		{
			"rport in any case, with blanks", "SIP/2.0/UDP 192.0.2.1 ; RPort ;branch=b", "192.0.2.1:9",
			"SIP/2.0/UDP 192.0.2.1 ;rport=9;branch=b;received=192.0.2.1",
		},
		{
			"what the client claims is replaced", "SIP/2.0/UDP a;received=203.0.113.1;rport=7;branch=b", "192.0.2.1:9",
			"SIP/2.0/UDP a;received=192.0.2.1;rport=9;branch=b",
		},
		{
			"a claim without need", "SIP/2.0/UDP 192.0.2.1;received=203.0.113.1;branch=b", "192.0.2.1:9",
			"SIP/2.0/UDP 192.0.2.1;received=192.0.2.1;branch=b",
		},
		{
			"twice", "SIP/2.0/UDP a;rport;rport;received=1;received=2", "192.0.2.1:9",
			"SIP/2.0/UDP a;rport=9;received=192.0.2.1",
		},
		{
			"in quotes", `SIP/2.0/UDP a;x=";rport;received=1";branch=b`, "192.0.2.1:9",
			`SIP/2.0/UDP a;x=";rport;received=1";branch=b;received=192.0.2.1`,
		},
		{"IPv6 is the source", "SIP/2.0/UDP [2001:DB8:0::1]", "[2001:db8::1]:9", "SIP/2.0/UDP [2001:DB8:0::1]"},
		{
			"another IPv6", "SIP/2.0/UDP [2001:db8::1]:5060;branch=b", "[2001:db8::2]:9",
			"SIP/2.0/UDP [2001:db8::1]:5060;branch=b;received=2001:db8::2",
		},
		{"zone", "SIP/2.0/UDP [fe80::1]", "[fe80::1%eth0]:9", "SIP/2.0/UDP [fe80::1]"},
		{"zone elsewhere", "SIP/2.0/UDP a", "[fe80::1%eth0]:9", "SIP/2.0/UDP a;received=fe80::1"},
		{"IPv4 by IPv6", "SIP/2.0/UDP 192.0.2.1", "[::ffff:192.0.2.1]:9", "SIP/2.0/UDP 192.0.2.1"},
		{
			"a list", "SIP/2.0/UDP a;rport , SIP/2.0/TCP b;rport", "192.0.2.1:9",
			"SIP/2.0/UDP a;rport=9;received=192.0.2.1 , SIP/2.0/TCP b;rport",
		},
		{"empty values", " , ,SIP/2.0/UDP a", "192.0.2.1:9", "SIP/2.0/UDP a;received=192.0.2.1"},
		{
			"folded", "SIP/2.0/UDP\r\n a\r\n\t;rport", "192.0.2.1:9", "SIP/2.0/UDP a ;rport=9;received=192.0.2.1",
		},
		{"unreadable", "nonsense;rport", "192.0.2.1:9", "nonsense;rport;received=192.0.2.1"},
		{"source unknown", "SIP/2.0/UDP a;rport;received=1", "", "SIP/2.0/UDP a;rport;received=1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var src netip.AddrPort
			if c.src != "" {
				src = netip.MustParseAddrPort(c.src)
			}
			req := parse(t, crlf("OPTIONS sip:a SIP/2.0", "Via: "+c.via, "v: SIP/2.0/UDP last;rport", ""))
			out, err := compose.Response(nil, req, src, &compose.Reply{Status: 200})
			if err != nil {
				t.Fatal(err)
			}
			want := crlf("SIP/2.0 200 OK", "Via: "+c.want, "Via: SIP/2.0/UDP last;rport", "Content-Length: 0", "")
			if diff := cmp.Diff(want, string(out)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestResponseTo(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		to     string
		status int
		want   string
	}{
		{"<sip:b@c>", 180, "<sip:b@c>;tag=new"},
		{"<sip:b@c>", 100, "<sip:b@c>"},
		{"<sip:b@c>;TAG=old", 200, "<sip:b@c>;TAG=old"},
		{"sip:b@c", 486, "sip:b@c;tag=new"},
		{"\"a\r\n b\" <sip:b@c>", 200, "\"a b\" <sip:b@c>;tag=new"},
	} {
		req := parse(t, crlf("INVITE sip:b@c SIP/2.0", "Via: SIP/2.0/UDP a", "t: "+c.to, "To: <sip:second>", ""))
		out, err := compose.Response(nil, req, netip.AddrPort{}, &compose.Reply{Status: c.status, ToTag: "new"})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(out), "\r\nTo: "+c.want+"\r\nContent-Length: 0\r\n\r\n") {
			t.Errorf("%s of %d: want To %q in\n%s", c.to, c.status, c.want, out)
		}
	}
}

// Timestamp is for a 100 alone (RFC 3261 8.2.6.1).
func TestResponseTimestamp(t *testing.T) {
	t.Parallel()
	req := parse(t, crlf("INVITE sip:b@c SIP/2.0", "Via: SIP/2.0/UDP a", "Timestamp: 54.2", ""))
	for status, want := range map[int]bool{100: true, 180: false, 200: false} {
		out, err := compose.Response(nil, req, netip.AddrPort{}, &compose.Reply{Status: status})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(out), "Timestamp: 54.2\r\n") != want {
			t.Errorf("%d: Timestamp should be there: %v\n%s", status, want, out)
		}
	}
}

func TestResponseErrors(t *testing.T) {
	t.Parallel()
	req := parse(t, invite)
	for _, c := range []struct {
		name  string
		req   *sip.Message
		reply compose.Reply
		want  error
	}{
		{"to a response", parse(t, "SIP/2.0 200 OK\r\n\r\n"), compose.Reply{Status: 200}, compose.ErrKind},
		{"without Via", parse(t, "OPTIONS sip:a SIP/2.0\r\nVia: ,\r\n\r\n"), compose.Reply{Status: 200}, compose.ErrMissing},
		{"status 99", req, compose.Reply{Status: 99}, compose.ErrValue},
		{"status 700", req, compose.Reply{Status: 700}, compose.ErrValue},
		{"reason", req, compose.Reply{Status: 200, Reason: "OK\r\nX: y"}, sip.ErrLineBreak},
		{"tag", req, compose.Reply{Status: 200, ToTag: "a\r\n b"}, sip.ErrLineBreak},
		{"type", req, compose.Reply{Status: 200, ContentType: "a\nb"}, sip.ErrLineBreak},
		{
			"value", req,
			compose.Reply{Status: 200, Headers: []compose.Header{{ID: sip.HeaderContact, Value: "a\rb"}}},
			sip.ErrLineBreak,
		},
		{"name", req, compose.Reply{Status: 200, Headers: []compose.Header{{Name: "a: b", Value: "c"}}}, compose.ErrValue},
		{"no name", req, compose.Reply{Status: 200, Headers: []compose.Header{{Value: "c"}}}, compose.ErrValue},
	} {
		got, err := compose.Response([]byte("kept"), c.req, netip.AddrPort{}, &c.reply)
		if !errors.Is(err, c.want) || string(got) != "kept" {
			t.Errorf("%s: %q, error %v, want what was there and %v", c.name, got, err, c.want)
		}
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	r := compose.Request{
		Method: "INVITE", URI: "sip:bob@example.com", CSeq: 4294967295, CallID: "c@a",
		Via: compose.Via{
			Proto: "TCP", SentBy: netip.MustParseAddrPort("[2001:db8::1]:5060"), Branch: "z9hG4bK1", RPort: true, Alias: true,
		},
		Route: []string{"<sip:p1;lr>", "<sip:p2;lr>"}, From: "<sip:a@a>;tag=1", To: "<sip:b@b>",
		Headers: []compose.Header{{ID: sip.HeaderSubject, Value: "x"}, {Name: "P", Value: ""}}, ContentType: "text/plain",
		Body: []byte("hi"),
	}
	r.Set(sip.HeaderSubject, "changed")
	r.Set(sip.HeaderContact, "<sip:a@1>")
	rest := "Subject: changed\r\nP: \r\nContact: <sip:a@1>\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi"
	check(t, &r, crlf(
		"INVITE sip:bob@example.com SIP/2.0",
		"Via: SIP/2.0/TCP [2001:db8::1]:5060;branch=z9hG4bK1;rport;alias",
		"Max-Forwards: 70", "Route: <sip:p1;lr>", "Route: <sip:p2;lr>", "From: <sip:a@a>;tag=1", "To: <sip:b@b>",
		"Call-ID: c@a", "CSeq: 4294967295 INVITE",
	)+rest)

	r = compose.Request{
		Method: "X", URI: "tel:1", MaxForwards: -1, CSeq: 1, From: "<sip:a>",
		Via:     compose.Via{Proto: "WS", Host: "df7jal23ls0d.invalid", Branch: "z9hG4bK1"},
		Headers: []compose.Header{{Name: "cOntent-length", Value: "3"}}, Body: []byte("hi"),
		Style: sip.Style{LF: true, Compact: true, Colon: ":"},
	}
	check(t, &r, "X tel:1 SIP/2.0\nv:SIP/2.0/WS df7jal23ls0d.invalid;branch=z9hG4bK1\nf:<sip:a>\nCSeq:1 X\n"+
		"cOntent-length:3\n\nhi")
}

func check(t *testing.T, r *compose.Request, want string) {
	t.Helper()
	got, err := r.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

func TestRequestErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		r    compose.Request
		want error
	}{
		"no method":      {compose.Request{URI: "sip:a"}, compose.ErrValue},
		"method":         {compose.Request{Method: "A B", URI: "sip:a"}, compose.ErrValue},
		"no URI":         {compose.Request{Method: "A"}, compose.ErrValue},
		"URI with blank": {compose.Request{Method: "A", URI: "sip:a b"}, compose.ErrValue},
		"URI with line":  {compose.Request{Method: "A", URI: "sip:a\r\nX:y"}, compose.ErrValue},
		"branch": {
			compose.Request{Method: "A", URI: "sip:a", Via: compose.Via{Proto: "UDP", Branch: "a\r\n b"}}, sip.ErrLineBreak,
		},
		"route":   {compose.Request{Method: "A", URI: "sip:a", Route: []string{"a\n"}}, sip.ErrLineBreak},
		"from":    {compose.Request{Method: "A", URI: "sip:a", From: "a\r\nb"}, sip.ErrLineBreak},
		"to":      {compose.Request{Method: "A", URI: "sip:a", To: "a\nb"}, sip.ErrLineBreak},
		"call-id": {compose.Request{Method: "A", URI: "sip:a", CallID: "a\r"}, sip.ErrLineBreak},
	} {
		got, err := c.r.Append([]byte("kept"))
		if !errors.Is(err, c.want) || string(got) != "kept" {
			t.Errorf("%s: %q, error %v, want what was there and %v", name, got, err, c.want)
		}
	}
}

// RFC 3261 17.1.1.3 and 9.1; the messages are those of RFC 3665 3.8, with a list and a fold.
func TestAckAndCancel(t *testing.T) {
	t.Parallel()
	req := parse(t, crlf(
		"INVITE sip:bob@biloxi.example.com SIP/2.0",
		"v: SIP/2.0/UDP ss1;branch=z9hG4bK721e4.1 , SIP/2.0/UDP client;branch=z9hG4bK74bf9",
		"Via: SIP/2.0/UDP other",
		"Max-Forwards: 69",
		"Route: <sip:a;lr>,\r\n <sip:b;lr>", "Route: <sip:c;lr>",
		"From: Alice <sip:alice@atlanta>;tag=9fx", "To: Bob <sip:bob@biloxi>", "Call-ID: 384@atlanta", "CSeq: 2 INVITE",
		"Require: 100rel", "Content-Length: 4", "", "v=0",
	))
	resp := parse(t, crlf("SIP/2.0 486 Busy Here", "To: Bob <sip:bob@biloxi>;tag=314", ""))
	head := func(method, to string) string {
		return crlf(
			method+" sip:bob@biloxi.example.com SIP/2.0", "Via: SIP/2.0/UDP ss1;branch=z9hG4bK721e4.1", "Max-Forwards: 70",
			"Route: <sip:a;lr>, <sip:b;lr>", "Route: <sip:c;lr>", "From: Alice <sip:alice@atlanta>;tag=9fx",
			"To: Bob <sip:bob@biloxi>"+to, "Call-ID: 384@atlanta", "CSeq: 2 "+method,
		)
	}
	ack, err := compose.Ack(nil, req, resp)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(head("ACK", ";tag=314")+"Content-Length: 0\r\n\r\n", string(ack)); diff != "" {
		t.Errorf("ACK (-want +got):\n%s", diff)
	}
	cancel, err := compose.Cancel(nil, req, `SIP;cause=200;text="Call completed elsewhere"`)
	if err != nil {
		t.Fatal(err)
	}
	want := head("CANCEL", "") + "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\nContent-Length: 0\r\n\r\n"
	if diff := cmp.Diff(want, string(cancel)); diff != "" {
		t.Errorf("CANCEL (-want +got):\n%s", diff)
	}

	for _, c := range []struct {
		name         string
		invite, resp *sip.Message
		want         error
	}{
		{"of a request", req, req, compose.ErrKind},
		{"to a response", resp, resp, compose.ErrKind},
		{"no Via", parse(t, "INVITE sip:a SIP/2.0\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n\r\n"), resp, compose.ErrMissing},
		{"no CSeq", parse(t, "INVITE sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nCall-ID: 1\r\n\r\n"), resp, compose.ErrMissing},
	} {
		if got, err := compose.Ack([]byte("kept"), c.invite, c.resp); !errors.Is(err, c.want) || string(got) != "kept" {
			t.Errorf("ACK %s: %q, error %v, want %v", c.name, got, err, c.want)
		}
	}
	if _, err := compose.Cancel(nil, req, "a\nb"); !errors.Is(err, sip.ErrLineBreak) {
		t.Errorf("CANCEL with a reason of two lines: error %v", err)
	}
}

// A hop-by-hop request has the key of its INVITE's transaction, as the server sees it (RFC 3261 17.2.3, 9.2).
func TestHopByHopKey(t *testing.T) {
	t.Parallel()
	req := parse(t, invite)
	resp := parse(t, "SIP/2.0 487 Request Terminated\r\nTo: <sip:b@c>;tag=1\r\n\r\n")
	for _, method := range []string{"ACK", "CANCEL"} {
		out, err := compose.Ack(nil, req, resp)
		if method == "CANCEL" {
			out, err = compose.Cancel(nil, req, "")
		}
		if err != nil {
			t.Fatal(err)
		}
		m := parse(t, string(out))
		a, b := req.TxnKey(), m.TxnKey()
		if string(a.Branch.Of(req.Raw)) != string(b.Branch.Of(m.Raw)) || a.CSeq != b.CSeq ||
			string(a.SentBy.Of(req.Raw)) != string(b.SentBy.Of(m.Raw)) {
			t.Errorf("%s has another key:\n%s", method, out)
		}
	}
}

func TestTokens(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	seen := map[string]bool{}
	for range 2000 {
		branch, tag, id := compose.Branch(rng), compose.Tag(rng), compose.CallID(rng, "a.example")
		if !strings.HasPrefix(branch, compose.Cookie) || len(branch) < len(compose.Cookie)+16 || len(tag) < 8 ||
			!strings.HasSuffix(id, "@a.example") || len(id) < 26 {
			t.Fatalf("branch %q, tag %q, Call-ID %q", branch, tag, id)
		}
		for _, s := range []string{branch, tag, id} {
			if seen[s] {
				t.Fatalf("%q twice", s)
			}
			seen[s] = true
		}
		if m := parse(t, crlf("OPTIONS sip:a SIP/2.0", "Via: SIP/2.0/UDP 1.2.3.4;branch="+branch, "")); !m.TxnKey().RFC3261 {
			t.Fatalf("%q is no branch of RFC 3261", branch)
		}
	}
	if a, b := compose.CallID(rand.New(rand.NewPCG(1, 2)), ""), compose.CallID(rand.New(rand.NewPCG(1, 2)), ""); a != b ||
		strings.Contains(a, "@") {
		t.Errorf("the same seed gives %q and %q", a, b)
	}
}

// What runs for every message does not allocate.
func TestNoAllocations(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts what all goroutines allocate
	req := parse(t, invite)
	resp := parse(t, "SIP/2.0 486 Busy Here\r\nTo: <sip:b@c>;tag=1\r\n\r\n")
	src := netip.MustParseAddrPort("192.0.2.7:5062")
	reply := compose.Reply{Status: 200, ToTag: "1", RecordRoute: true, Headers: []compose.Header{{Name: "X", Value: "y"}}}
	via := compose.Via{Proto: "UDP", SentBy: netip.MustParseAddrPort("192.0.2.2:5060"), Branch: "z9hG4bK2d4790"}
	e := compose.NewEdit(req)
	value, buf := make([]byte, 0, 256), make([]byte, 0, 4096)
	var failed error
	keep := func(_ []byte, err error) { failed = errors.Join(failed, err) }
	for name, f := range map[string]func(){
		"Response": func() { keep(compose.Response(buf, req, src, &reply)) },
		"Ack":      func() { keep(compose.Ack(buf, req, resp)) },
		"Cancel":   func() { keep(compose.Cancel(buf, req, "")) },
		"Edit": func() {
			value = via.AppendTo(value[:0])
			proxied(e, req, value)
			keep(e.Bytes(buf))
		},
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 || failed != nil {
			t.Errorf("%s allocates %v times, error %v", name, n, failed)
		}
	}
}

// The short tortuous INVITE (RFC 4475 3.1.1.1) has an answer that a plain parser reads, too.
func TestResponseTortuous(t *testing.T) {
	t.Parallel()
	req := parse(t, crlf(
		"INVITE sip:vivekg@chair-dnrc.example.com;unknownparam SIP/2.0",
		"TO :", " sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n",
		"from   : \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com>", "  ;", "  tag = 98asjd8",
		"Call-ID: wsinv.ndaksdj@192.0.2.1",
		"cseq: 0009", "  INVITE",
		"Via  : SIP  /   2.0", " /UDP", "    192.0.2.2;branch=390skdjuw",
		"v:  SIP  / 2.0  / TCP     spindle.example.com   ;", "  branch  =   z9hG4bK9ikj8  ,",
		" SIP  /    2.0   / UDP  192.168.255.111   ; branch=", " z9hG4bK30239",
		"",
	))
	got, err := compose.Response(nil, req, netip.MustParseAddrPort("192.0.2.9:1"), &compose.Reply{Status: 404, ToTag: "own"})
	if err != nil {
		t.Fatal(err)
	}
	want := crlf(
		"SIP/2.0 404 Not Found",
		"Via: SIP  /   2.0 /UDP 192.0.2.2;branch=390skdjuw;received=192.0.2.9",
		"Via: SIP  / 2.0  / TCP     spindle.example.com   ; branch  =   z9hG4bK9ikj8  , "+
			"SIP  /    2.0   / UDP  192.168.255.111   ; branch= z9hG4bK30239",
		"From: \"J Rosenberg \\\\\\\"\"       <sip:jdrosen@example.com> ; tag = 98asjd8",
		"To: sip:vivekg@chair-dnrc.example.com ;   tag    = 1918181833n",
		"Call-ID: wsinv.ndaksdj@192.0.2.1",
		"CSeq: 0009 INVITE",
		"Content-Length: 0",
		"",
	)
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
