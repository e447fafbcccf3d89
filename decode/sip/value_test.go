package sip

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// TestValues checks the readers of values: each row is a reader, a value and what it gives as text.
func TestValues(t *testing.T) {
	t.Parallel()
	replaces := func(b []byte) string {
		r, ok := ParseReplaces(b)
		return fmt.Sprintf("%s %s %s %v %v", r.CallID, r.ToTag, r.FromTag, r.EarlyOnly, ok)
	}
	referTo := func(b []byte) string {
		r, ok := ParseReferTo(b)
		rep, has := r.Replaces()
		return fmt.Sprintf("%s|%s|%s|%v|%s %s %s %v", r.URI, r.Headers, r.Method, ok, rep.CallID, rep.ToTag, rep.FromTag, has)
	}
	event := func(b []byte) string { e, ok := ParseEvent(b); return fmt.Sprintf("%s %s %v", e.Package, e.ID, ok) }
	state := func(b []byte) string {
		s := ParseSubscriptionState(b)
		return fmt.Sprintf("%s %s %d %d", s.State, s.Reason, s.Expires, s.RetryAfter)
	}
	session := func(b []byte) string {
		s, ok := ParseSessionID(b)
		return fmt.Sprintf("%s %s %v", s.Local, s.Remote, ok)
	}
	rack := func(b []byte) string { r := ParseRAck(b); return fmt.Sprintf("%d %d %s", r.RSeq, r.CSeq, r.Method) }
	rseq := func(b []byte) string { return strconv.FormatInt(ParseRSeq(b), 10) }
	timer := func(b []byte) string {
		s := ParseSessionExpires(b)
		return fmt.Sprintf("%d %s", s.Seconds, s.Refresher)
	}
	reasons := func(b []byte) string {
		var out []string
		for len(b) > 0 {
			var r Reason
			r, b = ParseReason(b)
			out = append(out, fmt.Sprintf("%s %d %s", r.Protocol, r.Cause, r.Text))
		}
		return strings.Join(out, "|")
	}
	q850 := func(b []byte) string { c, ok := Q850Cause(b); return fmt.Sprint(c, ok) }
	warnings := func(b []byte) string {
		var out []string
		for len(b) > 0 {
			var w Warn
			w, b = ParseWarning(b)
			out = append(out, fmt.Sprintf("%d %s %s", w.Code, w.Agent, w.Text))
		}
		return strings.Join(out, "|")
	}
	challenge := func(b []byte) string {
		c, ok := ParseChallenge(b)
		return fmt.Sprintf("%s %s %s %s %s %s %s %v %v", c.Scheme, c.Realm, c.Domain, c.Nonce, c.Opaque, c.Algorithm, c.QOP, c.Stale, ok)
	}
	credentials := func(b []byte) string {
		c, ok := ParseCredentials(b)
		return fmt.Sprintf("%s %s %s %s %s %s %s %s %s %s %s %v", c.Scheme, c.Username, c.Realm, c.Nonce, c.URI, c.Response,
			c.Algorithm, c.CNonce, c.Opaque, c.QOP, c.NC, ok)
	}
	uri := func(b []byte) string {
		u, ok := ParseURI(b)
		return fmt.Sprintf("%s|%s|%s|%s|%d|%s|%s|%v", u.Scheme, u.User, u.Password, u.Host, u.Port, u.Params, u.Headers, ok)
	}
	q := func(b []byte) string { return fmt.Sprint(ContactQ(b), ContactExpires(b)) }
	params := func(b []byte) string {
		var out []string
		for name, value := range Params(b) {
			out = append(out, fmt.Sprintf("%s=%s", name, value))
		}
		return strings.Join(out, "|")
	}
	for _, test := range []struct {
		read        func([]byte) string
		value, want string
	}{
		{replaces, "12adf2f34456gs5;to-tag=12345;from-tag=54321", "12adf2f34456gs5 12345 54321 false true"},
		{replaces, " a@b ; FROM-tag=1;early-only;to-tag = 2", "a@b 2 1 true true"},
		{replaces, ";to-tag=1", " 1  false false"},
		{replaces, "", "   false false"},
		{
			referTo, "<sip:c@d;method=INVITE?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2&Require=replaces>;x=y",
			"sip:c@d;method=INVITE|Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2&Require=replaces|INVITE|true|a@b 1 2 true",
		},
		{referTo, "\"C\" <sip:c@d>", "sip:c@d|||true|   false"},
		{referTo, "sip:c@d;method=BYE", "sip:c@d|||true|   false"}, // without brackets the parameter is the header's
		{referTo, "<sip:d;method=BYE>", "sip:d;method=BYE||BYE|true|   false"},
		{referTo, "", "|||false|   false"},
		{event, "presence.winfo; id=7", "presence.winfo 7 true"},
		{event, "refer", "refer  true"},
		{event, ";id=1", " 1 false"},
		{state, "active;expires=3600", "active  3600 -1"},
		{state, "terminated ; reason=\"time out\";retry-after=5", "terminated time out -1 5"},
		{state, "active;expires=soon", "active  -1 -1"},
		{
			session, "ab30317f1a784dc48ff824d0d3715d86;remote=47755a9de7794ba387653f2099600ef2",
			"ab30317f1a784dc48ff824d0d3715d86 47755a9de7794ba387653f2099600ef2 true",
		},
		{session, "ab", "ab  true"},
		{session, "", "  false"},
		{rack, "776656 1 INVITE", "776656 1 INVITE"},
		{rack, " 1\r\n 2\tX y", "1 2 X"},
		{rack, "1", "1 -1 "},
		{rseq, "988789", "988789"},
		{rseq, "0", "-1"},
		{rseq, "4294967296", "-1"},
		{timer, "1800;refresher=uas", "1800 uas"},
		{timer, "x", "-1 "},
		{
			reasons, "SIP ;cause=200 ;text=\"Call completed, elsewhere\",Q.850;cause=16;text=Terminated",
			"SIP 200 Call completed, elsewhere|Q.850 16 Terminated",
		},
		{reasons, "Preemption", "Preemption -1 "},
		{reasons, "a,,b", "a -1 | -1 |b -1 "},
		{q850, "SIP;cause=487, q.850;cause=17", "17 true"},
		{q850, "Q.850;cause=128", "0 false"},
		{q850, "SIP;cause=200", "0 false"},
		{
			warnings, "307 isi.edu \"Session parameter 'foo' not, understood\", 399 a:5060 \"x\\\"y\"",
			"307 isi.edu Session parameter 'foo' not, understood|399 a:5060 x\\\"y",
		},
		{warnings, "x y z", "-1 y z"},
		{warnings, "370 a \"open", "370 a open"},
		{
			challenge, "Digest realm=\"biloxi, com\", domain=\"sip:a sip:b\",\r\n nonce=\"n\\\"\" , opaque=\"\", algorithm=SHA-256,qop=\"auth,auth-int\", STALE=true",
			"Digest biloxi, com sip:a sip:b n\\\"  SHA-256 auth,auth-int true true",
		},
		{challenge, "Digest realm=a,nonce", "Digest a      false true"},
		{challenge, "", "       false false"},
		{challenge, "Digest realm=\"open, nonce=x", "Digest open, nonce=x      false true"},
		{
			credentials, "Digest username=\"bob\",realm=\"b.com\",nonce=\"n\",uri=\"sip:bob@b.com\",qop=auth,nc=00000001,cnonce=\"c\",response=\"r\",opaque=\"o\",algorithm=MD5,x=y",
			"Digest bob b.com n sip:bob@b.com r MD5 c o auth 00000001 true",
		},
		{credentials, "NoOneKnowsThisScheme opaque-data=here", "NoOneKnowsThisScheme           true"},
		{
			uri, "sip:alice:secret@a.example:5061;transport=tcp;lr?subject=x&to=y",
			"sip|alice|secret|a.example|5061|;transport=tcp;lr|subject=x&to=y|true",
		},
		{uri, "sips:[2001:db8::1]:5061", "sips|||[2001:db8::1]|5061|||true"},
		{uri, "sip:a@[2001:db8::1%25eth0]", "sip|a||[2001:db8::1%25eth0]|0|||true"},
		{uri, "sip:a@[zz]", "sip|a||[zz]|0|||false"},
		{uri, "sip:a@b:", "sip|a||b|0|||false"},
		{uri, "sip:a@b:x", "sip|a||b:x|0|||false"},
		{uri, "tel:+1-201;phone-context=a;ext=1", "tel|+1-201|||0|;phone-context=a;ext=1||true"},
		{uri, "urn:service:sos", "urn||||0|||true"},
		{uri, "http://a.example/x", "http|||a.example|0|/x||true"},
		{uri, "im:bob@b", "im|bob||b|0|||true"},
		{uri, "bob@b", "|bob||b|0|||false"},
		{uri, "b", "|||b|0|||false"},
		{uri, "sip:", "sip||||0|||false"},
		{uri, "", "||||0|||false"},
		{q, ";q=0.5;expires=60", "500 60"},
		{q, ";Q=1", "1000 -1"},
		{q, ";q=1.000", "1000 -1"},
		{q, ";q=.123", "-1 -1"},
		{q, ";q=0.12345", "123 -1"},
		{q, ";q=1.5", "-1 -1"},
		{q, ";q=0.x;expires=x", "-1 -1"},
		{q, "", "-1 -1"},
		{params, ";a=1; b ;c=\"x;,\\\"y\" z;;d=", "a=1|b=|c=x;,\\\"y|d="},
		{params, "a=1;b", "a=1|b="},
		{params, "=x", "=x"},
		{params, ";;;", ""},
	} {
		if got := test.read([]byte(test.value)); got != test.want {
			t.Errorf("%q gives\n%q, want\n%q", test.value, got, test.want)
		}
	}
}

func TestUnquote(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		`"a\"b"`: `a"b`, `a\\b`: `a\b`, `"`: `"`, ``: ``, `""`: ``, `a\`: `a\`, `plain`: `plain`,
	} {
		if got := string(Unquote([]byte(in))); got != want {
			t.Errorf("Unquote(%q) = %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"%41%62": "Ab", "%4": "%4", "%": "%", "%zz%41": "%zzA", "a": "a", "%00": "\x00"} {
		if got := string(Unescape([]byte(in))); got != want {
			t.Errorf("Unescape(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestLookups(t *testing.T) {
	t.Parallel()
	raw := []byte(with(
		"Via: SIP/2.0/TCP a;branch=z9hG4bKa, SIP/2.0/UDP b:5070;branch=z9hG4bKb\r\nv: SIP / 2.0 / TLS c",
		"Route: <sip:r1;lr>, \"x, y\" <sip:r2>;p=1\r\nRoute: sip:r3", "Supported: replaces, Timer,,path\r\nk: 100rel",
		"X-Own: first\r\nx-own: second", "Contact: <sip:a@b>;q=0.5, sip:c@d;expires=5\r\nm: *",
	))
	var m Message
	if err := Parse(raw, &m); err != nil {
		t.Fatal(err)
	}
	var vias, routes, contacts, supported, own []string
	for v := range m.AllVias() {
		vias = append(vias, fmt.Sprintf("%s %s %d %s", v.Transport.Of(raw), v.Host.Of(raw), v.Port, v.Branch.Of(raw)))
	}
	for a := range m.Addresses(HeaderRoute) {
		routes = append(routes, fmt.Sprintf("%s %s%s", a.Display.Of(raw), a.URI.Of(raw), a.Params.Of(raw)))
	}
	for a := range m.Addresses(HeaderContact) {
		contacts = append(contacts, fmt.Sprintf("%s %d %d", a.URI.Of(raw), ContactQ(a.Params.Of(raw)), ContactExpires(a.Params.Of(raw))))
	}
	for v := range m.List(HeaderSupported) {
		supported = append(supported, string(v))
	}
	for v := range m.Named("X-OWN") {
		own = append(own, string(v))
	}
	for _, test := range []struct{ got, want string }{
		{strings.Join(vias, "|"), "TCP a 0 z9hG4bKa|UDP b 5070 z9hG4bKb|TLS c 0 "},
		{strings.Join(routes, "|"), " sip:r1;lr|x, y sip:r2;p=1| sip:r3"},
		{strings.Join(contacts, "|"), "sip:a@b 500 -1|sip:c@d -1 5"},
		{strings.Join(supported, "|"), "replaces|Timer|path|100rel"},
		{strings.Join(own, "|"), "first|second"},
		{fmt.Sprint(m.Vias, m.Contacts, m.ContactStar), "3 3 true"},
		{
			fmt.Sprint(
				m.HasOption(HeaderSupported, "timer"), m.HasOption(HeaderSupported, "time"), m.HasOption(HeaderRequire, "timer"),
			),
			"true false false",
		},
	} {
		if test.got != test.want {
			t.Errorf("got  %s\nwant %s", test.got, test.want)
		}
	}
	for name, want := range map[string]string{"CALL-ID": "c1@a.example", "i": "c1@a.example", "x-own": "first", "l": "5", "Nope": "", "Event": ""} {
		if got, ok := m.Get(name); string(got) != want || ok != (want != "") {
			t.Errorf("Get(%s) = %q, %v", name, got, ok)
		}
	}
	if v, ok := m.NthVia(1); !ok || string(v.SentBy.Of(raw)) != "b:5070" {
		t.Errorf("NthVia(1) = %+v, %v", v, ok)
	}
	if _, ok := m.NthVia(3); ok {
		t.Error("there is no fourth Via")
	}
	for range m.AllVias() {
		break // an iterator must bear it
	}
	for range m.Addresses(HeaderRoute) {
		break
	}
}

func TestBody(t *testing.T) {
	t.Parallel()
	multipart := func(contentType, body string) string {
		return strings.Replace(with("Content-Type: "+contentType, fmt.Sprintf("Content-Length: %d", len(body))), "\r\n\r\nhello", "\r\n\r\n"+body, 1)
	}
	for _, test := range []struct{ name, text, parts, sdp string }{
		{"none", plain, "", ""},
		{"alone", multipart("application/SDP;x=y", "v=0\r\n"), "", "v=0\r\n"},
		{
			"two parts", multipart("multipart/mixed; boundary=\"b 1\"", "preamble\r\n--b 1\r\nContent-Type: text/plain\r\n\r\nhi\r\n--b 1 \r\nCONTENT-type : application/sdp\r\n"+
				"Content-Disposition: session;handling=required\r\nContent-ID: <1@x>\r\n\r\nv=0\r\n\r\n--b 1--\r\nepilogue"),
			"0 text/plain \"hi\"|0 application/sdp session;handling=required <1@x> \"v=0\\r\\n\"", "v=0\r\n",
		},
		{
			"nested", multipart("multipart/mixed;boundary=a", "--a\nContent-Type: multipart/alternative;\n boundary=b\n\n--b\n\nplain\n--b\nContent-Type: application/sdp\n\nv=0\n--b--\n--a\nContent-Type: x/y\n\nz\n--a--\n"),
			"0 multipart/alternative \"--b\\n\\nplain\\n--b\\nContent-Type: application/sdp\\n\\nv=0\\n--b--\"|1  \"plain\"|1 application/sdp \"v=0\"|0 x/y \"z\"", "v=0",
		},
		{
			"no closing delimiter",
			multipart("multipart/mixed;boundary=a", "--a\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n"),
			"0 application/sdp \"v=0\\r\\n\"", "v=0\r\n",
		},
		{"no headers", multipart("multipart/mixed;boundary=a", "--a\r\nbare text\r\n--a--"), "0  \"bare text\"", ""},
		{"no boundary", multipart("multipart/mixed", "--a\r\n\r\nx\r\n--a--"), "", ""},
		{"no delimiter", multipart("multipart/mixed;boundary=a", "--b\r\n\r\nx\r\n--b--"), "", ""},
		{
			"binary", multipart("multipart/mixed;boundary=a", "--a\r\nContent-Type: x/y\r\n\r\n\x00\xff--a\r\n--a--"),
			"0 x/y \"\\x00\\xff--a\"", "",
		},
		{"empty part", multipart("multipart/mixed;boundary=a", "--a\r\n--a\r\n\r\n--a--"), "0  \"\"|0  \"\"", ""},
		{"empty", multipart("multipart/mixed;boundary=a", ""), "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var m Message
			if err := Parse([]byte(test.text), &m); err != nil {
				t.Fatal(err)
			}
			var parts []string
			for p := range m.Parts() {
				line := []string{strconv.Itoa(p.Depth), string(p.Type)}
				for _, more := range [][]byte{p.Disposition, p.ID} {
					if len(more) > 0 {
						line = append(line, string(more))
					}
				}
				parts = append(parts, fmt.Sprintf("%s %q", strings.Join(line, " "), p.Body.Of(m.Raw)))
			}
			if got := strings.Join(parts, "|"); got != test.parts {
				t.Errorf("parts\n%s, want\n%s", got, test.parts)
			}
			if sdp, ok := m.SDP(); string(sdp) != test.sdp || ok != (test.sdp != "") {
				t.Errorf("SDP %q, %v, want %q", sdp, ok, test.sdp)
			}
		})
	}
}

func TestPartsAreBounded(t *testing.T) {
	t.Parallel()
	body := strings.Repeat("--a\n\nx\n", 9000)
	var m Message
	if err := Parse([]byte(strings.Replace(with("Content-Type: multipart/mixed;boundary=a", fmt.Sprintf("Content-Length: %d", len(body))), "hello", body, 1)), &m); err != nil {
		t.Fatal(err)
	}
	n := 0
	for range m.Parts() {
		n++
	}
	if n != maxParts {
		t.Errorf("%d parts, want %d", n, maxParts)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	parse := func(text string) *Message {
		var m Message
		if err := Parse([]byte(text), &m); err != nil {
			t.Fatal(err)
		}
		return &m
	}
	ack := parse(with("ACK sip:b SIP/2.0", "CSeq: 7 ACK"))
	if k := ack.TxnKey(); k.MethodID != MethodInvite || k.CSeq != 7 || !k.RFC3261 || !k.FromTag.Empty() {
		t.Errorf("ACK: %+v", k)
	}
	old := parse(with("Via: SIP/2.0/UDP a;branch=1"))
	if k := old.TxnKey(); k.RFC3261 || string(k.FromTag.Of(old.Raw)) != "1" || string(k.SentBy.Of(old.Raw)) != "a" {
		t.Errorf("RFC 2543: %+v", k)
	}
	ok := parse(with("SIP/2.0 200 OK", "CSeq: 3 UPDATE", "To: <sip:b>;tag=0"))
	if k := ok.TxnKey(); k.MethodID != MethodUpdate || k.CSeq != 3 {
		t.Errorf("response: %+v", k)
	}
	there, back := parse(with("From: <sip:a>;tag=x", "To: <sip:b>;tag=y")), parse(with("From: <sip:b>;tag=y", "To: <sip:a>;tag=x"))
	a, b := there.DialogKey(), back.DialogKey()
	if string(a.TagLo.Of(there.Raw)) != "x" || string(b.TagLo.Of(back.Raw)) != "x" || string(a.TagHi.Of(there.Raw)) != string(b.TagHi.Of(back.Raw)) {
		t.Errorf("dialog keys of the two directions differ: %+v %+v", a, b)
	}
}
