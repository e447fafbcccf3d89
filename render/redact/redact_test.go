package redact_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sipscope/correlate"
	"sipscope/correlate/stats"
	"sipscope/decode/frame"
	"sipscope/render/redact"
)

// lines makes a message: lines that end in CR LF, and the empty one.
func lines(s string) string {
	return strings.ReplaceAll(strings.TrimLeft(s, "\n"), "\n", "\r\n") + "\r\n"
}

// learnt redacts texts that were learnt.
func learnt(texts ...string) *redact.Redactor {
	r := redact.New()
	c := correlate.Call{Messages: make([]correlate.Message, len(texts))}
	r.Learn(&c, func(i int) []byte { return []byte(texts[i]) })
	return r
}

const head = `Via: SIP/2.0/TCP pbx.example.com:5062;branch=z9hG4bKabc;received=192.0.2.7;rport=4711
From: "Alice Smith" <sip:alice@example.com>;tag=abc-1
To: Bob <sip:bob:secret@example.com;user=phone>
Call-ID: f81d4fae@192.0.2.7
CSeq: 7 INVITE
`

const headRedacted = `Via: SIP/2.0/TCP host1.example.invalid:5062;branch=z9hG4bKb1;received=198.18.0.1;rport=4711
From: "Name 1" <sip:user1@host2.example.invalid>;tag=tag1
To: Name 2 <sip:user2:password1@host2.example.invalid;user=phone>
Call-ID: call1@invalid
CSeq: 7 INVITE
`

// TestHeaders: one header each, after the usual ones.
func TestHeaders(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want string }{
		{"numbers stay", "Max-Forwards: 70\nExpires: 3600\nMin-SE: 90\nSession-Expires: 1800;refresher=uac\nRSeq: 988789\n" +
			"Retry-After: 18;duration=3600\nTimestamp: 1.5 0.25\n", ""},
		{"lists stay", "Allow: INVITE, ACK,BYE\nSupported: 100rel, timer\nAccept: application/sdp;level=1, text/plain\n" +
			"Allow-Events: presence,message-summary\nAccept-Language: en, de;q=0.5\nPrivacy: id;user\n" +
			"Date: Sat, 13 Nov 2010 23:29:00 GMT\n", ""},
		{"unknown method", "Allow: INVITE, CALLALICE\n", "Allow: INVITE, METHOD1\n"},
		{"unknown option", "Require: alices-own, 100rel\n", "Require: redacted-1, 100rel\n"},
		{"comment", "Retry-After: 18 (I am in a meeting)\n", "Retry-After: 18 (redacted-1)\n"},
		{"unknown header", "X-Account: 4711\nSubject: Lunch\nx-note: Lunch\n", "X-Account: redacted-1\nSubject: redacted-2\n" +
			"x-note: redacted-2\n"},
		{"odd header names", "Alice1: x\nAl ice: y\n: z\n", "X-Redacted-1: redacted-1\nX Redacted-2: redacted-2\n: redacted-3\n"},
		{"no colon", "Alice is away\n", "redacted-1 is redacted-2\n"},
		{"contact", "Contact: <sip:alice@192.0.2.7:5062;transport=tcp;ob>;q=0.7;expires=60;+sip.instance=\"<urn:uuid:1-2>\";" +
			"reg-id=1\n", "Contact: <sip:user1@198.18.0.1:5062;transport=tcp;ob>;q=0.7;expires=60;" +
			"+sip.instance=\"token1\";reg-id=1\n"},
		{"no brackets", "Contact: sip:alice@192.0.2.7;expires=60\n", "Contact: sip:user1@198.18.0.1;expires=60\n"},
		{"fold", "Route: <sip:192.0.2.7;lr>,\n <sip:example.com;lr>\n", "Route: <sip:198.18.0.1;lr>,\n" +
			" <sip:host2.example.invalid;lr>\n"},
		{
			"number", "P-Asserted-Identity: <tel:+49-301-234567>, <sip:+49301234567@example.com>, <sip:0049301@example.com>\n",
			"P-Asserted-Identity: <tel:+00-000-000001>, <sip:+00000000002@host2.example.invalid>, " +
				"<sip:0000001@host2.example.invalid>\n",
		},
		{
			"replaces", "Replaces: f81d4fae@192.0.2.7;to-tag=abc-1;from-tag=x;early-only\n",
			"Replaces: call1@invalid;to-tag=tag1;from-tag=tag2;early-only\n",
		},
		{
			"refer-to", "Refer-To: <sip:bob@example.com?Replaces=f81d4fae%40192.0.2.7%3Bto-tag%3Dabc-1%3Bfrom-tag%3Dx&Alice=1>\n",
			"Refer-To: <sip:user2@host2.example.invalid?Replaces=call1%40invalid%3Bto-tag%3Dtag1%3Bfrom-tag%3Dtag2" +
				"&X-Redacted-1=redacted-1>\n",
		},
		{"in-reply-to", "In-Reply-To: f81d4fae@192.0.2.7, y@z\n", "In-Reply-To: call1@invalid, call2@invalid\n"},
		{
			"session-id", "Session-ID: ab30317f1a784dc48ff824d0d3715d86;remote=00000000000000000000000000000000\n",
			"Session-ID: 00000000000000000000000000000001;remote=00000000000000000000000000000000\n",
		},
		{
			"challenge", "WWW-Authenticate: Digest realm=\"example.com\", nonce=\"84f1c1ae6cbe5ua9\", qop=\"auth,auth-int\", " +
				"stale=FALSE, algorithm=MD5, domain=\"sip:example.com\", opaque=\"\", alice=\"bob\"\n",
			"WWW-Authenticate: Digest realm=\"host2.example.invalid\", nonce=\"token1\", qop=\"auth,auth-int\", stale=FALSE, " +
				"algorithm=MD5, domain=\"sip:host2.example.invalid\", opaque=\"\", param-1=\"redacted-1\"\n",
		},
		{
			"credentials", "Authorization: Digest username=\"alice\",realm=\"Home of Alice\",nonce=abcdef0123,nc=0000000a," +
				"uri=\"sip:alice@example.com\",response=\"0123456789abcdef0123456789abcdef\",cnonce=\"x\",qop=auth\n",
			"Authorization: Digest username=\"user1\",realm=\"realm 1\",nonce=0000000001,nc=0000000a," +
				"uri=\"sip:user1@host2.example.invalid\",response=\"00000000000000000000000000000001\",cnonce=\"token1\",qop=auth\n",
		},
		{"basic", "Proxy-Authorization: Basic YWxpY2U6c2VjcmV0\n", "Proxy-Authorization: Basic redacted-1\n"},
		{
			"info", "Authentication-Info: nextnonce=\"aabbccdd11\",rspauth=\"0123456789abcdef\",qop=auth,nc=00000001\n",
			"Authentication-Info: nextnonce=\"0000000001\",rspauth=\"0000000000000001\",qop=auth,nc=00000001\n",
		},
		{
			"warning", "Warning: 399 pbx.example.com:5062 \"Alice is away\", 307 alice \"x\"\n",
			"Warning: 399 host1.example.invalid:5062 \"redacted-1\", 307 host3.example.invalid \"redacted-2\"\n",
		},
		{
			"reason", "Reason: Q.850;cause=16;text=\"Alice hung up\", SIP;cause=200\n",
			"Reason: Q.850;cause=16;text=\"redacted-1\", SIP;cause=200\n",
		},
		{
			"event", "Event: presence.winfo;id=abc\nSubscription-State: active;expires=60;reason=alice\n",
			"Event: presence.winfo;id=token1\nSubscription-State: active;expires=60;reason=redacted-1\n",
		},
		{
			"diversion", "Diversion: \"Carol\" <tel:0301234>;reason=user-busy;counter=1;privacy=off\n",
			"Diversion: \"Name 3\" <tel:0000001>;reason=user-busy;counter=1;privacy=off\n",
		},
		{"rack", "RAck: 776656 1 INVITE\n", "RAck: 776656 1 INVITE\n"},
		{"agents", "User-Agent: Alice's phone\nServer: Alice's phone\n", "User-Agent: agent 1\nServer: agent 1\n"},
		{"anonymous", "P-Preferred-Identity: \"Anonymous\" <sip:anonymous@anonymous.invalid>\n", ""},
		{
			"urn", "Route: <urn:service:sos>, <https://example.com/alice?x=1>\n",
			"Route: <urn:service:sos>, <https://host2.example.invalid/redacted-1>\n",
		},
		{
			"ipv6", "Route: <sip:[2001:db8:7::1]:5060;lr>, <sip:[2001:DB8:7::1];lr>\n",
			"Route: <sip:[2001:db8::1]:5060;lr>, <sip:[2001:0db8:0:0:0:0:0:1];lr>\n",
		},
		{"spellings", "Route: <sip:Example.COM;lr>\n", "Route: <sip:Host2.example.invalid;lr>\n"},
		{
			"junk", "Contact: \"Alice Smith\" private 47 <sip:alice@example.com> here;expires=5\n",
			"Contact: \"Name 1\" redacted-1 redacted-2 <sip:user1@host2.example.invalid> here;expires=5\n",
		},
		{
			"parameters", "Contact: <sip:alice@example.com;isub=4711;secret;x=1>\n",
			"Contact: <sip:user1@host2.example.invalid;isub=redacted-1;param-1;x=redacted-2>\n",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			want := tt.want
			if want == "" {
				want = tt.in
			}
			in := lines("INVITE sip:bob@example.com SIP/2.0\n" + head + tt.in)
			r := redact.New()
			for _, host := range []string{"pbx.example.com", "example.com"} {
				r.LearnName(redact.Host, host)
			}
			for _, user := range []string{"alice", "bob"} {
				r.LearnName(redact.User, user)
			}
			r.Learn(&correlate.Call{Messages: make([]correlate.Message, 1)}, func(int) []byte { return []byte(in) })
			got := string(r.Text([]byte(in)))
			want = lines("INVITE sip:user2@host2.example.invalid SIP/2.0\n" + headRedacted + want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestStartLines: methods, phrases, versions.
func TestStartLines(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{"SIP/2.0 200 OK", "SIP/2.0 200 OK"},
		{"SIP/2.0 180 ringing", "SIP/2.0 180 ringing"},
		{"SIP/2.0 403 Alice is not allowed", "SIP/2.0 403 Reason 1"},
		{"SIP/2.0 200 ", "SIP/2.0 200 "},
		{"SIP/2.0 4930123456789 Alice", "SIP/2.0 65535 Reason 1"},
		{"SIP/2.0000004930123456 200 OK", "redacted text, 33 bytes"},
		{"CALLALICE sip:alice@example.com SIP/2.0", "METHOD1 sip:user1@host1.example.invalid SIP/2.0"},
		{"INVITE alice SIP/2.0", "INVITE host1.example.invalid SIP/2.0"},
		{"INVITE sip:alice@example.com SIP/7.0000004930123456", "INVITE sip:user1@host1.example.invalid SIP/99.0"},
		{
			"INVITE <sip:alice smith@example.com;a b?Subject=x> SIP/2.0",
			"INVITE <sip:user1@host1.example.invalid;param-1?Subject=redacted-1> SIP/2.0",
		},
	} {
		in := tt.in + "\r\n\r\n"
		got := strings.TrimSuffix(string(learnt(in).Text([]byte(in))), "\r\n\r\n")
		if !strings.HasPrefix(in, "SIP/2.0000") && got != tt.want {
			t.Errorf("%q became %q, want %q", tt.in, got, tt.want)
		}
	}
}

const offer = `v=0
o=alice 2890844526 2890844527 IN IP4 192.0.2.7
s=Alice calls
i=about Bob
u=http://example.com/alice
e=alice@example.com (Alice)
p=+49 30 1234567
c=IN IP4 224.2.1.1/127/3
b=AS:64
t=2873397496 2873404696
k=clear:secret
a=tool:alices tool 1.0
a=group:BUNDLE 0 audio
a=fingerprint:sha-256 4A:AD:B9:B1:3F:82
a=ice-ufrag:F7gI
a=ice-pwd:x9cml/YzichV2+XlhiMu8g
m=audio 49170/2 RTP/SAVP 0 101 96
c=IN IP4 0.0.0.0
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=rtpmap:96 X-ODD/8000/2
a=fmtp:101 0-16
a=ptime:20
a=rtcp:53020 IN IP6 2001:db8:7::1
a=candidate:H7f000101 1 udp 2130706431 192.0.2.7 8998 typ srflx raddr 10.9.8.7 rport 4000 generation 0 ufrag F7gI
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4 KDR=1
a=ssrc:314159265 cname:alice@example.com
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=sendonly
a=alice:bob
m=image 5000 udptl t38
a=T38FaxVersion:0
alice was here
`

const offerRedacted = `v=0
o=user1 1000001 1000002 IN IP4 198.18.0.1
s=redacted-1
i=redacted-2
u=http://host1.example.invalid/redacted-3
e=redacted-4
p=redacted-5
c=IN IP4 198.18.0.2/127/3
b=AS:64
t=2873397496 2873404696
k=clear:token1
a=tool:redacted-6
a=group:BUNDLE 0 audio
a=fingerprint:sha-256 00:00:00:00:00:01
a=ice-ufrag:token2
a=ice-pwd:token3
m=audio 49170/2 RTP/SAVP 0 101 96
c=IN IP4 0.0.0.0
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=rtpmap:96 X-ODD/8000/2
a=fmtp:101 0-16
a=ptime:20
a=rtcp:53020 IN IP6 2001:db8::1
a=candidate:token4 1 udp 2130706431 198.18.0.1 8998 typ srflx raddr 198.18.0.3 rport 4000 generation 0 ufrag token2
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:token5 KDR=1
a=ssrc:1000003 cname:token6
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level
a=sendonly
a=param-1:redacted-7
m=image 5000 udptl t38
a=T38FaxVersion:0
redacted-8
`

func withBody(contentType, body string, length string) string {
	return "INFO sip:x SIP/2.0\r\nContent-Type: " + contentType + "\r\nContent-Length: " + length + "\r\n\r\n" + body
}

// TestBodies: SDP stays as far as it explains the negotiation, parts and fragments are opened, all else goes.
func TestBodies(t *testing.T) {
	t.Parallel()
	crlf := func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }
	for _, tt := range []struct{ name, in, want string }{
		{
			"sdp", withBody("application/sdp", crlf(offer), strconv.Itoa(len(crlf(offer)))),
			withBody("application/sdp", crlf(offerRedacted), strconv.Itoa(len(crlf(offerRedacted)))),
		},
		{"text", withBody("text/plain", "Hello Alice", "11"), withBody("text/plain", "redacted body, 11 bytes", "23")},
		{"too long", withBody("text/plain", "Hello Alice", "15"), withBody("text/plain", "redacted body, 11 bytes", "27")},
		{
			"too short", withBody("text/plain", "Hello Alice\r\n", "5"),
			withBody("text/plain", "redacted body, 5 bytesxxxxxx\r\n", "22"),
		},
		{"unreadable", withBody("text/plain", "Hello", "alice"), withBody("text/plain", "redacted body, 5 bytes", "redacted-1")},
		{
			"fragment", withBody("message/sipfrag", "SIP/2.0 486 Alice is busy\r\n", "27"),
			withBody("message/sipfrag", "SIP/2.0 486 Reason 1\r\n", "22"),
		},
		{
			"unknown type", withBody("application/x-alice", "Hello", "5"),
			withBody("application/redacted-1", "redacted body, 5 bytes", "22"),
		},
		{
			"parts", withBody(`multipart/mixed;boundary="alice"`, "--alice\r\nContent-Type: application/sdp\r\n\r\nv=0\r\ns=Alice\r\n"+
				"--alice\r\nContent-Type: text/plain\r\nContent-ID: <alice@bob>\r\nContent-Disposition: render;handling=optional\r\n"+
				"\r\nHello\r\n--alice--\r\n", "196"),
			withBody(`multipart/mixed;boundary="token1"`, "--token1\r\nContent-Type: application/sdp\r\n\r\nv=0\r\ns=redacted-1\r\n"+
				"--token1\r\nContent-Type: text/plain\r\nContent-Disposition: render;handling=optional\r\nContent-ID: <token2>\r\n"+
				"\r\nredacted body, 5 bytes\r\n--token1--\r\n", "218"),
		},
		{
			"coded", strings.Replace(withBody("application/sdp", "v=0\r\ns=Alice\r\n", "14"), "\r\n\r\n", "\r\nContent-Encoding: gzip\r\n\r\n", 1),
			strings.Replace(withBody("application/sdp", "redacted body, 14 bytes", "23"), "\r\n\r\n", "\r\nContent-Encoding: gzip\r\n\r\n", 1),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := string(learnt(tt.in).Text([]byte(tt.in)))
			want := strings.Replace(tt.want, "INFO sip:x", "INFO sip:"+host(tt.name), 1)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// host is the pseudonym of the Request-URI's host: bodies are read first.
func host(name string) string {
	if name == "sdp" {
		return "host2.example.invalid"
	}
	return "host1.example.invalid"
}

// TestPseudonyms: no pseudonym is an original, or holds one, and the same name has the same one.
func TestPseudonyms(t *testing.T) {
	t.Parallel()
	r := redact.New()
	originals := []struct {
		kind redact.Kind
		name string
	}{
		{redact.User, "alice"},
		{redact.User, "user1"},
		{redact.User, "+49301234567"},
		{redact.User, "+00000000001"},
		{redact.User, "004930123456"},
		{redact.User, "100"},
		{redact.User, "001"},
		{redact.User, "4711"},
		{redact.Host, "198.18.0.1"},
		{redact.Host, "192.0.2.1"},
		{redact.Host, "2001:db8::1"},
		{redact.Host, "example.org"},
		{redact.Host, "host1.example.invalid"},
		{redact.CallID, "call1@invalid"},
		{redact.Tag, "tag1"},
		{redact.Display, "Name 1"},
		{redact.Display, "Alice"},
		{redact.Agent, "agent"},
		{redact.User, "0000000"},
	}
	for _, o := range originals {
		r.LearnName(o.kind, o.name)
	}
	seen := map[string]string{}
	for _, o := range originals {
		alias := r.Name(o.kind, o.name)
		if again := r.Name(o.kind, o.name); again != alias {
			t.Errorf("%q became %q and %q", o.name, alias, again)
		}
		if was, ok := seen[alias]; ok {
			t.Errorf("%q and %q became %q", was, o.name, alias)
		}
		seen[alias] = o.name
		for _, p := range originals {
			if alias == p.name || len(p.name) > 6 && strings.Contains(alias, p.name) {
				t.Errorf("%q became %q, which holds the original %q", o.name, alias, p.name)
			}
		}
	}
	for o, want := range map[string]int{"+49301234567": 12, "004930123456": 12, "100": 3, "4711": 4} {
		if got := r.Name(redact.User, o); len(got) != want || got[:1] == "+" != (o[:1] == "+") {
			t.Errorf("%q became %q", o, got)
		}
	}
	if got := r.Name(redact.User, "+491"); got != "+000" {
		t.Errorf("a number that was never learnt became %q", got)
	}
	if got := r.Name(redact.User, "mallory"); got != "user0" && got != "u0" {
		t.Errorf("a name that was never learnt became %q", got)
	}
}

// TestUsedUp: all extensions of three digits are taken, and all zeros: numbers grow, none is an original.
func TestUsedUp(t *testing.T) {
	t.Parallel()
	r := redact.New()
	originals := map[string]bool{}
	for i := range 1000 {
		s := string([]byte{byte('0' + i/100), byte('0' + i/10%10), byte('0' + i%10)})
		originals[s] = true
		r.LearnName(redact.User, s)
	}
	seen := map[string]bool{}
	for s := range originals {
		alias := r.Name(redact.User, s)
		if originals[alias] || seen[alias] {
			t.Fatalf("%q became %q", s, alias)
		}
		seen[alias] = true
	}
}

// TestDeterministic: pseudonyms depend on the order of learning alone.
func TestDeterministic(t *testing.T) {
	t.Parallel()
	in := lines("INVITE sip:bob@example.com SIP/2.0\n" + head)
	want := string(learnt(in, in).Text([]byte(in)))
	for range 20 {
		if got := string(learnt(in, in).Text([]byte(in))); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	}
}

// TestLearnAgain: what is learnt after the first redaction leaves the pseudonyms as they were.
func TestLearnAgain(t *testing.T) {
	t.Parallel()
	r := redact.New()
	r.LearnName(redact.User, "alice")
	first := r.Name(redact.User, "alice")
	for _, u := range []string{"bob", "carol", "user3"} {
		r.LearnName(redact.User, u)
	}
	got := []string{r.Name(redact.User, "alice"), r.Name(redact.User, "bob"), r.Name(redact.User, "carol")}
	if diff := cmp.Diff([]string{first, "user2", "user4"}, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestHostile: a capture in which every pseudonym holds an original is redacted in bounded time, to names that differ.
func TestHostile(t *testing.T) {
	t.Parallel()
	r := redact.New()
	var originals []string
	for i := range 10 {
		for _, s := range []string{"host#.e", "h#.inv", "#.invalid", "user#", "u#", "0000000#", "#######", "198.18.#", "2001:db8::#"} {
			s = strings.ReplaceAll(s, "#", strconv.Itoa(i))
			originals = append(originals, s, "x"+s)
			r.LearnName(redact.Host, s)
			r.LearnName(redact.User, s)
			r.LearnName(redact.User, "x"+s)
			r.LearnName(redact.Host, "x"+s)
		}
	}
	seen := map[string]bool{}
	for _, s := range originals {
		for _, k := range []redact.Kind{redact.User, redact.Host} {
			alias := r.Name(k, s)
			if alias == s || seen[alias] {
				t.Errorf("%q became %q", s, alias)
			}
			seen[alias] = true
		}
	}
}

// TestSweep: an original in what would pass is found.
func TestSweep(t *testing.T) {
	t.Parallel()
	first := lines("INVITE sip:wonderland@example.com SIP/2.0\n" + head + "Contact: <tel:4930123456>\n")
	second := lines("INVITE sip:x@example.com SIP/2.0\n"+head+
		"Expires: 4930123456\nX-WonderLand: 1\nContent-Type: application/sdp\n") +
		"v=0\r\na=fmtp:96 owner=Wonderland\r\na=rtpmap:96 wonderland/8000\r\nm=audio 4711 RTP/AVP 0\r\n"
	got := string(learnt(first, second).Text([]byte(second)))
	for _, want := range []string{
		"Expires: redacted\r\n", "X-Redacted: redacted-", "a=redacted\r\na=redacted\r\nm=audio 4711 RTP/AVP 0\r\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// TestConcurrent: after the last Learn any goroutine may redact.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	in := lines("INVITE sip:bob@example.com SIP/2.0\n" + head)
	r := learnt(in)
	out := make(chan string)
	for range 8 {
		go func() { out <- string(r.Text([]byte(in))) }()
	}
	want := <-out
	for range 7 {
		if got := <-out; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestResult: hosts, products and methods of the statistics.
func TestResult(t *testing.T) {
	t.Parallel()
	res := stats.Result{
		Requests:     map[string]uint64{"INVITE": 3, "ALICE": 2, "BOB": 1},
		Transactions: map[string]uint64{"?": 1}, Hosts: []stats.Ranked{{Name: "192.0.2.7", Count: 2}},
		UserAgents: []stats.Ranked{{Name: "Alice's phone", Count: 1}}, Servers: []stats.Ranked{{Name: "Alice's phone", Count: 4}},
	}
	r := redact.New()
	r.LearnResult(&res)
	want := stats.Result{
		Requests:     map[string]uint64{"INVITE": 3, "METHOD1": 2, "METHOD2": 1},
		Transactions: map[string]uint64{"?": 1}, Hosts: []stats.Ranked{{Name: "198.18.0.1", Count: 2}},
		UserAgents: []stats.Ranked{{Name: "agent 1", Count: 1}}, Servers: []stats.Ranked{{Name: "agent 1", Count: 4}},
	}
	if diff := cmp.Diff(want, r.Result(res)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if res.Hosts[0].Name != "192.0.2.7" {
		t.Error("the original changed")
	}
	want = stats.Result{Requests: map[string]uint64{"INVITE": 3, "METHOD0": 3}}
	got := redact.New().Result(stats.Result{Requests: res.Requests})
	if diff := cmp.Diff(want.Requests, got.Requests); diff != "" {
		t.Errorf("never learnt: (-want +got)\n%s", diff)
	}
}

// TestColumns: the columns of a summary are redacted as the headers that they come from.
func TestColumns(t *testing.T) {
	t.Parallel()
	s := correlate.Summary{
		CallID: "a@b", From: correlate.Party{User: "alice", Host: "example.com", URI: "sip:alice@example.com"},
		Src: frame.Endpoint4([]byte{192, 0, 2, 7}, 5060), Columns: []string{"<sip:alice@example.com>;tag=1", "", "secret"},
	}
	r := redact.New()
	r.Columns([]string{"To", "Subject", "X-Note"})
	r.Learn(&correlate.Call{Summary: s}, func(int) []byte { return nil })
	got := r.Summary(&s)
	want := correlate.Summary{
		CallID: "call1@invalid", From: correlate.Party{User: "user1", Host: "host1.example.invalid", URI: "sip:user1@host1.example.invalid"},
		Src: frame.Endpoint4([]byte{198, 18, 0, 1}, 5060), Columns: []string{"<sip:user1@host1.example.invalid>;tag=tag1", "", "redacted-1"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if s.Columns[2] != "secret" {
		t.Error("the original changed")
	}
}

func TestNothing(t *testing.T) {
	t.Parallel()
	r := redact.New()
	if got := r.Text(nil); got != nil {
		t.Errorf("nil became %q", got)
	}
	if got := string(r.Text([]byte("GET /alice HTTP/1.1\r\n\r\n"))); got != "redacted text, 23 bytes" {
		t.Errorf("what is not SIP became %q", got)
	}
	if got := r.Name(redact.User, ""); got != "" {
		t.Errorf("the empty name became %q", got)
	}
}
