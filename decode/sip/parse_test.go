package sip

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// diagNames gives a message's diags as their names, blank-separated.
func diagNames(m *Message) string {
	names := make([]string, 0, len(m.Diags))
	for _, d := range m.Diags {
		names = append(names, d.Code.String())
	}
	return strings.Join(names, " ")
}

// fieldsOf gives the parts of a message as text.
func fieldsOf(m *Message) map[string]string {
	of := func(s Span) string { return string(s.Of(m.Raw)) }
	f := map[string]string{
		"method": of(m.Method), "status": strconv.Itoa(int(m.Status)), "uri": of(m.URI), "reason": of(m.Reason),
		"cid": of(m.CallID), "cseq": fmt.Sprintf("%d %s", m.CSeq, of(m.CSeqMethod)),
		"vias":   strconv.Itoa(int(m.Vias)),
		"via":    of(m.Via.Transport) + " " + of(m.Via.Host) + " " + of(m.Via.Branch),
		"sentby": of(m.Via.SentBy), "viaport": strconv.Itoa(int(m.Via.Port)),
		"received": of(m.Via.Received), "rport": fmt.Sprintf("%v %d", m.Via.HasRPort, m.Via.RPort),
		"from": of(m.From.User) + "@" + of(m.From.Host), "fromuri": of(m.From.URI), "fromport": strconv.Itoa(int(m.From.Port)),
		"fromscheme": of(m.From.Scheme), "fromparams": of(m.From.Params),
		"fromtag": of(m.From.Tag), "display": of(m.From.Display),
		"touser": of(m.To.User), "totag": of(m.To.Tag), "todisplay": of(m.To.Display), "tohost": of(m.To.Host),
		"contact": of(m.Contact.URI), "contactparams": of(m.Contact.Params), "contacts": strconv.Itoa(int(m.Contacts)),
		"star": strconv.FormatBool(m.ContactStar),
		"type": of(m.ContentType), "length": strconv.FormatInt(m.ContentLength, 10), "body": strconv.Itoa(int(m.Body.Len)),
		"mf": strconv.Itoa(int(m.MaxForwards)), "expires": strconv.FormatInt(m.Expires, 10),
		"minexpires": strconv.FormatInt(m.MinExpires, 10), "agent": of(m.UserAgent),
		"routes":  fmt.Sprintf("%v %v", m.HasRoute, m.HasRecordRoute),
		"headers": strconv.Itoa(len(m.Headers)),
	}
	var require, parts []string
	for v := range m.List(HeaderRequire) {
		require = append(require, string(v))
	}
	for p := range m.Parts() {
		parts = append(parts, fmt.Sprintf("%s:%d", p.Type, p.Body.Len))
	}
	f["require"] = strings.Join(require, ",")
	f["parts"] = strings.Join(parts, ",")
	return f
}

// checkSpans fails when a span of the message is not inside its text.
func checkSpans(t *testing.T, m *Message) {
	t.Helper()
	n := uint64(len(m.Raw))
	check := func(what string, s Span) {
		t.Helper()
		if uint64(s.Off)+uint64(s.Len) > n {
			t.Fatalf("%s %+v is outside of %d bytes", what, s, n)
		}
	}
	for i, s := range [...]Span{
		m.Method, m.URI, m.Reason, m.Version, m.Body, m.CallID, m.CSeqMethod, m.ContentType, m.UserAgent,
		m.Via.Transport, m.Via.Host, m.Via.SentBy, m.Via.Branch, m.Via.Received,
	} {
		check(strconv.Itoa(i), s)
	}
	for _, a := range [...]*Address{&m.From, &m.To, &m.Contact} {
		for i, s := range [...]Span{a.Display, a.URI, a.Scheme, a.User, a.Host, a.Params, a.Tag} {
			check("address "+strconv.Itoa(i), s)
		}
	}
	last := uint32(0)
	for _, h := range m.Headers {
		check("name", h.Name)
		check("value", h.Value)
		if h.Name.Off < last || h.Value.Off < h.Name.Off+h.Name.Len {
			t.Fatalf("header %+v begins before %d, or its value in its name", h, last)
		}
		last = h.Value.Off + h.Value.Len
		if v := h.Value.Of(m.Raw); len(v) != len(trim(v)) {
			t.Fatalf("header %q has blanks around its value %q", h.Name.Of(m.Raw), v)
		}
	}
	for _, d := range m.Diags {
		check("diag "+d.Code.String(), d.Span)
		if d.Code.Section() == "" {
			t.Fatalf("diag %d has no section", d.Code)
		}
	}
	if last > m.Head || m.Head > m.Body.Off || len(m.Diags) > maxDiags {
		t.Fatalf("headers end at %d, head at %d, body at %d; %d diags", last, m.Head, m.Body.Off, len(m.Diags))
	}
}

// plain is a request without a fault: each row of TestParse changes a line of it.
const plain = "OPTIONS sip:bob@b.example SIP/2.0\r\n" +
	"Via: SIP/2.0/UDP a.example;branch=z9hG4bK1\r\n" +
	"Max-Forwards: 70\r\n" +
	"From: <sip:alice@a.example>;tag=1\r\n" +
	"To: <sip:bob@b.example>\r\n" +
	"Call-ID: c1@a.example\r\n" +
	"CSeq: 1 OPTIONS\r\n" +
	"Contact: <sip:alice@a.example>\r\n" +
	"Content-Type: text/plain\r\n" +
	"Content-Length: 5\r\n" +
	"\r\n" +
	"hello"

// with gives plain with lines put in place of those of the same header, or added; a start line replaces the start line.
func with(lines ...string) string {
	out := strings.SplitAfter(plain, "\r\n")
	for _, line := range lines {
		name, _, _ := strings.Cut(line, ":")
		if !strings.HasSuffix(line, "\n") {
			line += "\r\n"
		}
		id := LookupHeader([]byte(strings.TrimSpace(name)))
		if IsStart([]byte(line)) {
			out[0] = line
			continue
		}
		done := false
		for i, old := range out {
			if oldName, _, _ := strings.Cut(old, ":"); i > 0 && id != HeaderOther && LookupHeader([]byte(oldName)) == id {
				out[i] = line
				done = true
			}
		}
		if !done {
			out[1] = line + out[1]
		}
	}
	return strings.Join(out, "")
}

// without gives plain without a header.
func without(name string) string {
	var out strings.Builder
	for line := range strings.SplitAfterSeq(plain, "\r\n") {
		if !strings.HasPrefix(line, name+":") {
			out.WriteString(line)
		}
	}
	return out.String()
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		text   string
		diags  string
		fields string
	}{
		{
			"plain", plain, "",
			"method=OPTIONS|uri=sip:bob@b.example|from=alice@a.example|body=5|headers=9|mf=70|expires=-1|minexpires=-1",
		},
		{"LF only", strings.ReplaceAll(plain, "\r\n", "\n"), "line-end", "cid=c1@a.example|body=5|headers=9"},
		{
			"bare datagram", "OPTIONS sip:bob@b.example SIP/2.0",
			"head-open missing-via missing-from missing-to missing-call-id missing-cseq missing-max-forwards",
			"uri=sip:bob@b.example",
		},
		{"lower-case version", with("OPTIONS sip:b SIP/2.0", "OPTIONS sip:bob@b sip/2.0"), "version", "uri=sip:bob@b"},
		{"any method", with("ZAP-1 sip:b SIP/2.0", "CSeq: 1 ZAP-1"), "", "method=ZAP-1"},
		{"methods have case", with("options sip:b SIP/2.0"), "cseq-method", "method=options"},
		{"any scheme", with("OPTIONS urn:service:sos SIP/2.0"), "", "uri=urn:service:sos"},
		{"no scheme", with("OPTIONS bob@b SIP/2.0"), "uri", "uri=bob@b"},
		{"port", with("OPTIONS sip:b:70000 SIP/2.0"), "host", ""},
		{"status line", with("SIP/2.0 200 All right", "To: <sip:b>;tag=2"), "", "status=200|reason=All right|method=OPTIONS"},
		{"no blank after the status", with("SIP/2.0 200", "To: <sip:b>;tag=2"), "status", "status=200|reason="},
		{"four digits", with("SIP/2.0 2000 OK", "To: <sip:b>;tag=2"), "status", "status=2000"},
		{"099", with("SIP/2.0 099 OK"), "status", "status=99"},

		{"folded Call-ID", with("Call-ID:\r\n f1@x"), "", "cid=f1@x"},
		{"fold before the end", with("Call-ID: f1@x\r\n \r\n\t"), "", "cid=f1@x|headers=9"},
		{"fold inside", with("Call-ID: f1\r\n x"), "call-id", "cid=f1\r\n x"},
		{"blank Call-ID", with("Call-ID: "), "call-id", "cid="},
		{"folded tag", with("From: <sip:alice@a>\r\n ;\r\n tag = 9\r\n"), "", "fromtag=9"},
		{"compact", strings.NewReplacer("Via:", "v:", "From:", "f:", "To:", "t:", "Call-ID:", "i:", "Contact:", "m:", "Content-Type:", "c:",
			"Content-Length:", "l:").Replace(plain), "", "cid=c1@a.example|length=5|type=text/plain|contact=sip:alice@a.example|fromtag=1"},
		{
			"blanks before colons", strings.NewReplacer("Via:", "Via :", "From:", "FROM\t :", "Call-ID:", "call-id  :", "Content-Length:", "L :").Replace(plain),
			"", "cid=c1@a.example|length=5|fromtag=1|vias=1",
		},
		{"no colon", with("Nothing to see"), "no-colon", "headers=9"},
		{"name with a blank", with("No thing: x"), "header-name", "headers=10"},
		{"empty name", with(": x"), "header-name", "headers=10"},
		{"control", with("Subject: a\x01b\x02c"), "control", ""},
		{"escaped control", with("Subject: \"\\\x01\""), "", ""},
		{"lone CR", with("Subject: a\rb"), "control", ""},
		{"NUL", with("Subject: \x00"), "control", ""},
		{"UTF-8", with("Subject: жук 虫"), "", ""},

		{"repeated", with("Subject: x\r\nCall-ID: c0"), "repeated", "cid=c0"},
		{"negative Max-Forwards", with("Max-Forwards: -1"), "number", "mf=-1"},
		{"Max-Forwards 256", with("Max-Forwards: 256"), "number", "mf=-1"},
		{"Expires", with("Expires: 3600", "Min-Expires: 60"), "", "expires=3600|minexpires=60"},
		{"Expires as date", with("Expires: Thu, 01 Dec 1994 16:00:00 GMT"), "number", "expires=-1"},
		{"Retry-After with comment", with("Retry-After: 18 (busy);duration=5"), "", ""},
		{"no Retry-After", with("Retry-After: (busy)"), "number", ""},
		{"Warning", with("Warning: 307 a \"x\"\r\nWarning: 30 a \"x\""), "number", ""},

		{
			"Via list", with("Via: SIP/2.0/TCP a:1;branch=z9hG4bKa;x=\",;\" , SIP/2.0/UDP b;branch=z9hG4bKb,SIP/2.0/UDP c"),
			"", "vias=3|via=TCP a z9hG4bKa|sentby=a:1|viaport=1",
		},
		{
			"Via headers", with("Via: SIP/2.0/TCP a;branch=z9hG4bKa\r\nVIA:SIP/2.0/UDP b\r\nv: SIP/2.0/UDP c, SIP/2.0/UDP d"),
			"", "vias=4|via=TCP a z9hG4bKa",
		},
		{
			"Via with blanks", with("Via: SIP / 2.0 / UDP\r\n host.x : 5070 ; branch = z9hG4bKq ; rport ;received= 1.2.3.4"), "",
			"via=UDP host.x z9hG4bKq|sentby=host.x : 5070|viaport=5070|received=1.2.3.4|rport=true 0",
		},
		{"Via rport", with("Via: SIP/2.0/UDP a;rport=5099;branch=z9hG4bKq"), "", "rport=true 5099"},
		{"Via odd rport", with("Via: SIP/2.0/UDP a;rport=x;branch=z9hG4bKq"), "", "rport=true 0"},
		{
			"Via IPv6", with("Via: SIP/2.0/UDP [2001:db8::1]:5062;branch=z9hG4bKq"), "",
			"via=UDP [2001:db8::1] z9hG4bKq|viaport=5062|sentby=[2001:db8::1]:5062",
		},
		{
			"Via bare IPv6", with("Via: SIP/2.0/UDP 2001:db8::1;branch=z9hG4bKq"), "via",
			"via=UDP 2001:db8::1 z9hG4bKq|viaport=0",
		},
		{"Via host with _", with("Via: SIP/2.0/UDP my_host.x;branch=z9hG4bKq"), "", "via=UDP my_host.x z9hG4bKq"},
		{"Via without host", with("Via: SIP/2.0/UDP ;branch=z9hG4bKq"), "via", "via=UDP  z9hG4bKq"},
		{"Via without protocol", with("Via: a.example;branch=z9hG4bKq"), "via branch", "vias=1"},
		{"Via with a comma before the slash", with("Via: SIP / 2.,b0/U x"), "via branch", "vias=2|via=  "},
		{"Via without port", with("Via: SIP/2.0/UDP a : ,SIP/2.0/UDP b"), "via branch", "vias=2|sentby=a :"},
		{"Via not closed", with("Via: SIP/2.0/UDP [::1,SIP/2.0/UDP ];b"), "via branch", "vias=2|sentby=[::1"},
		{"Via of commas", with("Via: , ,SIP/2.0/UDP a;branch=z9hG4bK1,"), "via", "vias=1|via=UDP a z9hG4bK1"},
		{"Via junk", with("Via: SIP/2.0/UDP a b;branch=z9hG4bKq"), "via", "via=UDP a z9hG4bKq|sentby=a b"},
		{"Via empty", with("Via:"), "via", "vias=0"},
		{"Via empty parameter", with("Via: SIP/2.0/UDP a;;branch=z9hG4bKq;"), "params", "via=UDP a z9hG4bKq"},
		{"cookie in capitals", with("Via: SIP/2.0/UDP a;branch=Z9HG4BKq"), "", ""},
		{"old branch", with("Via: SIP/2.0/UDP a;branch=1"), "branch", ""},

		{"display", with("From: Alice B. <sip:alice@a.example>;tag=1"), "", "display=Alice B."},
		{
			"quoted display", with("From: \"A, \\\"B\\\" <x>; \" <sip:alice@a.example>;tag=1"), "",
			"display=A, \\\"B\\\" <x>; |from=alice@a.example|fromtag=1",
		},
		{
			"unquoted display", with("From: Alice, B@home <sip:alice@a.example>;tag=1"), "display-name",
			"display=Alice, B@home|from=alice@a.example",
		},
		{
			"display twice", with("From: \"A\" B <sip:alice@a.example>;tag=1"), "display-name",
			"display=A|from=alice@a.example",
		},
		{
			"display without <", with("From: \"A\" sip:alice@a.example;tag=1"), "bracket",
			"display=A|from=alice@a.example|fromtag=1",
		},
		{"open quote", with("From: \"A <sip:alice@a.example>;tag=1"), "quote", "display=A|from=alice@a.example|fromtag=1"},
		{"open quote alone", with("From: \"A"), "quote bracket address from-tag", "display=A|fromuri="},
		{"open bracket", with("From: <sip:alice@a.example;tag=1"), "bracket", "from=alice@a.example|fromtag=1"},
		{
			"bare address", with("From: sip:alice@a.example:5070;user=phone;tag=1"), "",
			"fromuri=sip:alice@a.example:5070|fromport=5070|fromtag=1",
		},
		{
			"uri parameters", with("From: <sip:alice:secret@a.example:5070;tag=no;x?y=z>;tag=1"), "",
			"from=alice@a.example|fromport=5070|fromtag=1|fromuri=sip:alice:secret@a.example:5070;tag=no;x?y=z",
		},
		{"no scheme in From", with("From: alice@a.example;tag=1"), "address", "from=alice@a.example|fromtag=1"},
		{"tel", with("From: <tel:+1-201-555;phone-context=x>;tag=1"), "", "from=+1-201-555@|fromscheme=tel"},
		{"urn", with("From: <urn:service:sos>;tag=1"), "", "from=@|fromscheme=urn|fromuri=urn:service:sos"},
		{"sips", with("From: <SIPS:alice@[::1]:5071>;tag=1"), "", "from=alice@[::1]|fromport=5071|fromscheme=SIPS"},
		{"IPv6 without brackets", with("From: <sip:alice@2001:db8::1>;tag=1"), "host", "from=alice@2001:db8::1|fromport=0"},
		{"IPv6 not closed", with("From: <sip:alice@[2001:db8::1>;tag=1"), "host", "from=alice@[2001:db8::1"},
		{"no host", with("From: <sip:alice@>;tag=1"), "host", "from=alice@"},
		{"no URI", with("From: <>;tag=1"), "address", "fromtag=1"},
		{"empty From", with("From:"), "address from-tag", ""},
		{"junk after the URI", with("From: <sip:a@b> junk;tag=1"), "address", "fromtag=1|from=a@b"},
		{"tag in capitals", with("From: <sip:a@b>;TAG=Ab"), "", "fromtag=Ab"},
		{"two tags", with("From: <sip:a@b>;tag=1;tag=2"), "", "fromtag=1"},
		{"quoted parameter", with("From: <sip:a@b>;x=\"1;tag=9\";tag=1"), "", "fromtag=1"},
		{"empty parameters", with("From: <sip:a@b>;;tag=1;"), "params", "fromtag=1|fromparams=;;tag=1;"},
		{"no tag", with("From: <sip:a@b>"), "from-tag", ""},
		{"no To tag", with("SIP/2.0 180 Ringing"), "to-tag", ""},
		{"100 needs no To tag", with("SIP/2.0 100 Trying"), "", ""},

		{
			"Contact list", with("Contact: \"a,b\" <sip:a@b;x>;q=0.5, <sip:c@d>,sip:e@f"), "",
			"contacts=3|contact=sip:a@b;x|contactparams=;q=0.5",
		},
		{"Contact list of bare addresses", with("Contact: sip:a@b, Carol <sip:c@d>"), "", "contacts=2|contact=sip:a@b"},
		{"Contact star", with("Contact: *"), "", "contacts=1|star=true"},
		{"Contact with <", with("Contact: <sip:a@b,c@d"), "bracket", "contact=sip:a@b|contacts=2"},
		{"Contact expires", with("Contact: <sip:a@b>;expires=x"), "number", ""},

		{"CSeq of zeros", with("CSeq: 0009 OPTIONS"), "", "cseq=9 OPTIONS"},
		{"CSeq over 2^31", with("CSeq: 2147483648 OPTIONS"), "cseq-range", "cseq=0 OPTIONS"},
		{"CSeq without number", with("CSeq: OPTIONS"), "cseq", ""},
		{"CSeq without method", with("CSeq: 1"), "cseq cseq-method", "cseq=1 "},
		{"CSeq without blank", with("CSeq: 1OPTIONS"), "cseq", "cseq=1 OPTIONS"},
		{"CSeq with junk", with("CSeq: 1 OPTIONS x"), "cseq cseq-method", "cseq=1 OPTIONS x"},

		{"short length", with("Content-Length: 3"), "length-short", "body=3|length=3"},
		{"long length", with("Content-Length: 7"), "length-long", "body=5|length=7"},
		{"huge length", with("Content-Length: 99999999999999999999"), "length", "body=5|length=-1"},
		{"no length", without("Content-Length"), "", "body=5|length=-1"},
		{"length in words", with("Content-Length: five"), "length", "body=5"},
		{"no type", without("Content-Type"), "body-type", "type="},
		{"type with parameters", with("Content-Type: text/plain ;charset=utf-8"), "", "type=text/plain"},
		{"server and user agent", with("Server: s", "User-Agent: u"), "", "agent=u"},
		{"server of a response", with("SIP/2.0 100 Trying", "User-Agent: u", "Server: s"), "", "agent=s"},
		{"user agent of a response", with("SIP/2.0 100 Trying", "User-Agent: u"), "", "agent=u"},
		{"routes", with("Route: <sip:a;lr>", "Record-Route: <sip:b>"), "", "routes=true true"},
		{"open head", strings.TrimSuffix(plain, "\r\nhello"), "head-open length-long", "body=0|headers=9"},
		{"cut in a header", plain[:len(plain)-20], "no-colon head-open", "headers=8"},
		{
			"cut in a number", plain[:strings.Index(plain, "70\r\n")+1],
			"head-open missing-from missing-to missing-call-id missing-cseq", "headers=2|mf=7",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var m Message
			if err := Parse([]byte(test.text), &m); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.diags, diagNames(&m)); diff != "" {
				t.Errorf("diags (-want +got)\n%s\n%s", diff, test.text)
			}
			checkSpans(t, &m)
			got := fieldsOf(&m)
			for want := range strings.SplitSeq(test.fields, "|") {
				if key, value, ok := strings.Cut(want, "="); ok && got[key] != value {
					t.Errorf("%s = %q, want %q\n%s", key, got[key], value, test.text)
				}
			}
		})
	}
}

func TestParseRejects(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "\r\n", " ", "\x80\x00\x01\x02", "GET / HTTP/1.1\r\n\r\n", "OPTIONS * RTSP/1.0\r\n", "M-SEARCH * HTTP/1.1\r\n",
		"HTTP/1.1 200 OK\r\n", "RTSP/1.0 200 OK\r\n", "SIP/2.0 20", "SIP/2.0 2x0 OK\r\n", "SIP/2.0", "SIP/x.0 200 OK\r\n",
		"INVITE sip:a@b\r\nVia: x SIP/2.0\r\n", "INVITE SIP/2.0\r\n", "INVITE  SIP/2.0\r\n", "INVITE sip:a SIP/2\r\n",
		"INVITE sip:a SIP/2.x\r\n", "INVITE sip:a SIP/2.0.0\r\n", "INVITE sip:a SIPS/2.0\r\n", "INV(ITE sip:a SIP/2.0\r\n",
		" INVITE sip:a SIP/2.0\r\n", "\nINVITE sip:a SIP/2.0\r\n", "INVITE\rsip:a SIP/2.0\r\n", "SIP\x0f2.0 200 OK\r\n",
	} {
		m := Message{Headers: make([]Header, 3)}
		if err := Parse([]byte(text), &m); err == nil || IsStart([]byte(text)) {
			t.Errorf("%q is taken for SIP", text)
		}
		if len(m.Headers) != 0 || len(m.Diags) != 0 {
			t.Errorf("%q leaves %d headers and %d diags", text, len(m.Headers), len(m.Diags))
		}
	}
}

// A Message that is parsed into again must not keep anything of the message before.
func TestParseReuse(t *testing.T) {
	t.Parallel()
	texts := [][]byte{inviteText(), okText(), []byte(with("Contact: *", "Expires: 0")), []byte("OPTIONS sip:x SIP/2.0"), []byte("no")}
	var used Message
	for i := range 3 * len(texts) {
		text := texts[i*2%len(texts)]
		var fresh Message
		errFresh, err := Parse(text, &fresh), Parse(text, &used)
		if (errFresh == nil) != (err == nil) {
			t.Fatal(errFresh, err)
		}
		if diff := cmp.Diff(fieldsOf(&fresh), fieldsOf(&used)); diff != "" || !bytes.Equal(fresh.Raw, used.Raw) {
			t.Fatalf("(-fresh +used)\n%s", diff)
		}
		if diff := cmp.Diff(diagNames(&fresh), diagNames(&used)); diff != "" {
			t.Fatalf("(-fresh +used)\n%s", diff)
		}
	}
}

func TestParseDoesNotAllocate(t *testing.T) { //nolint:paralleltest // counts the allocations of the whole process
	for name, text := range map[string][]byte{
		"invite": inviteText(), "200": okText(), "faults": []byte(with("From: \"x", "nothing", "CSeq: x", "Via: x,,")),
	} {
		var m Message
		if err := Parse(text, &m); err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() {
			if err := Parse(text, &m); err != nil {
				t.Fatal(err)
			}
			if _, ok := m.SDP(); name == "invite" && !ok {
				t.Fatal("no SDP")
			}
			if m.TxnKey().Method.Empty() && name != "faults" || m.DialogKey().CallID.Empty() {
				t.Fatal("no keys")
			}
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

// Hostile messages take linear time and little memory, whatever they repeat.
func TestParseLarge(t *testing.T) {
	t.Parallel()
	for _, piece := range []string{
		"<", "\"", "\\", ",", ";", "(", ":", "\n", "\r", "\r\n", " ", "\t", "\x00", "@", "[", "?", "a", "=", ";=", ";a=\"", "<>", "\r\n ",
		"Via: SIP/2.0/UDP a,", "a:\r\n", "\r\nVia: <", ",<", "<,", "a,", "\",", "\xff",
	} {
		for _, head := range []string{"Via: SIP/2.0/UDP a", "From: ", "From: \"a\" <sip:a@b>", "Contact: ", "Content-Type: multipart/a;boundary=b\r\nX", "X", ""} {
			text := "INVITE sip:a SIP/2.0\r\n" + head + strings.Repeat(piece, 65000/len(piece))
			var m Message
			if err := Parse([]byte(text), &m); err != nil {
				t.Fatalf("%q: %v", piece, err)
			}
			checkSpans(t, &m)
			m.SDP()
			for range m.AllVias() {
			}
			for a := range m.Addresses(HeaderContact) { // quadratic, this would take seconds
				if a.URI.Off+a.URI.Len > u32(len(text)) {
					t.Fatalf("%q: URI %+v", piece, a.URI)
				}
			}
			if m.Vias > maxValues || m.Contacts > maxValues {
				t.Fatalf("%q: %d Vias, %d Contacts", piece, m.Vias, m.Contacts)
			}
		}
	}
}

// A request line of 60,000 bytes and a message of 64 KiB are read like any other.
func TestParseLong(t *testing.T) {
	t.Parallel()
	uri := "sip:" + strings.Repeat("x", 60000) + "@b"
	text := with("OPTIONS "+uri+" SIP/2.0", "Content-Length: 65000")
	text = strings.TrimSuffix(text, "hello") + strings.Repeat("\x00", 65000)
	var m Message
	if err := Parse([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	if string(m.URI.Of(m.Raw)) != uri || m.Body.Len != 65000 || len(m.Diags) != 0 {
		t.Errorf("URI of %d bytes, body of %d, diags %s", m.URI.Len, m.Body.Len, diagNames(&m))
	}
}
