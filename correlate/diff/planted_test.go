package diff_test

import (
	"bytes"
	"strconv"
	"strings"
	"testing"

	"sipscope/correlate/diff"
)

// base is a call through a proxy that stays on the path, with hold and hang-up.
const base = `title A call through a proxy
host alice 10.0.1.10 user=sip:alice@a.com name="Alice" agent="Phone 1"
host proxy 10.0.0.1  proxy record-route user=sip:proxy.a.com
host bob   10.0.2.10 user=sip:bob@b.com agent="Softphone 7" rtp=20000
call c1 from alice to bob callid=planted-call-1@10.0.1.10

@0ms    alice > proxy INVITE sip:bob@b.com sdp=PCMU,PCMA,G729 header.Supported="timer, replaces" header.X-Account=4711 header.Session-Expires=1800
+1ms    proxy > alice 100
+2ms    proxy > bob   INVITE
@140ms  bob   > proxy 180
+4ms    proxy > alice 180
@1042ms bob   > proxy 200 sdp=PCMU
+4ms    proxy > alice 200
+10ms   alice > proxy ACK
+2ms    proxy > bob   ACK
@3s     alice > proxy INVITE sdp=PCMU sdp.dir=sendonly
+2ms    proxy > bob   INVITE
+5ms    bob   > proxy 200 sdp=PCMU sdp.dir=recvonly
+2ms    proxy > alice 200
+2ms    alice > proxy ACK
+2ms    proxy > bob   ACK
@4550ms alice > proxy BYE
+1ms    proxy > bob   BYE
+5ms    bob   > proxy 200
+1ms    proxy > alice 200
`

// plant is one difference.
type plant struct {
	name     string
	flow     string // of testdata/flows; empty for base
	message  int    // index of the message whose text is edited, -1: the flow is
	old, new string // "" in old: in front of the empty line; of a flow every pair of them in turn, parted by "|"
	where    string
	headline string
	at       int  // the row, as the index of A's message, or B's when A has none; -1: the edited one
	only     bool // no other row diverges
	rules    diff.Rules
	tolerate bool // it must only be tolerated
}

func plants() []plant {
	text := func(name string, message int, old, fresh, where, headline string) plant {
		return plant{name: name, message: message, old: old, new: fresh, where: where, headline: headline, at: -1, only: true}
	}
	several := func(name string, message int, old, fresh, where, headline string) plant {
		p := text(name, message, old, fresh, where, headline)
		p.only = false
		return p
	}
	mild := func(name string, message int, old, fresh, where string) plant {
		p := text(name, message, old, fresh, where, "")
		p.tolerate = true
		return p
	}
	flow := func(name, old, fresh, where string, at int, headline string) plant {
		return plant{name: name, message: -1, old: old, new: fresh, where: where, headline: headline, at: at}
	}
	in := func(file string, p plant) plant { p.flow = file; return p }
	under := func(r diff.Rules, p plant) plant { p.rules = r; return p }
	return []plant{
		text("header missing", 0, "Supported: timer, replaces\r\n", "", "Supported", "header Supported is missing in the INVITE"),
		text("header extra", 0, "", "X-Foo: 1\r\n", "X-Foo", "header X-Foo is extra: 1, in the INVITE"),
		text("header changed", 0, "X-Account: 4711", "X-Account: 4712", "X-Account",
			"header X-Account is 4712, was 4711, in the INVITE"),
		text("token missing", 0, "timer, replaces", "timer", "Supported", "header Supported lacks replaces in the INVITE"),
		text("token extra", 0, "timer, replaces", "100rel, replaces, timer", "Supported",
			"header Supported has 100rel in addition in the INVITE"),
		text("Request-URI user", 0, "INVITE sip:bob@", "INVITE sip:robert@", "request-uri",
			"Request-URI sip:robert@b.com, was sip:bob@b.com, in the INVITE"),
		text("Request-URI parameter", 0, "sip:bob@b.com SIP", "sip:bob@b.com;user=phone SIP", "request-uri",
			"Request-URI sip:bob@b.com;user=phone, was sip:bob@b.com, in the INVITE"),
		text("Request-URI to another host", 2, "INVITE sip:bob@10.0.2.10", "INVITE sip:bob@10.0.0.1", "request-uri",
			"Request-URI sip:bob@"),
		text("To URI", 0, "<sip:bob@b.com>", "<sip:bob@c.com>", "To", "header To is"),
		text("From display name", 0, "Alice", "Alicia", "From", "header From is"),
		text("Contact of another participant", 0, "<sip:alice@10.0.1.10", "<sip:alice@10.0.2.10", "Contact", "header Contact is"),
		text("Contact user", 0, "<sip:alice@10.0.1.10", "<sip:mallory@10.0.1.10", "Contact", "header Contact is"),
		text("Contact parameter", 0, "<sip:alice@10.0.1.10>", "<sip:alice@10.0.1.10;transport=tcp>", "Contact", "header Contact"),
		text("Session-Expires", 0, "Session-Expires: 1800", "Session-Expires: 90", "Session-Expires",
			"header Session-Expires is 90, was 1800, in the INVITE"),
		text("codec missing", 0, "RTP/AVP 0 8 18\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n",
			"RTP/AVP 0 18\r\na=rtpmap:0 PCMU/8000\r\n", "SDP m0", "codec PCMA is missing in the INVITE"),
		text("codec extra", 0, "RTP/AVP 0 8 18", "RTP/AVP 0 8 18 9", "SDP m0", "codec G722 is extra in the INVITE"),
		text("codec order", 0, "RTP/AVP 0 8 18", "RTP/AVP 8 0 18", "SDP m0",
			"codec order PCMA, PCMU, G729, was PCMU, PCMA, G729, in the INVITE"),
		text("telephone-event extra", 5, "RTP/AVP 0\r\n", "RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n", "SDP m0",
			"codec telephone-event is extra in the 200"),
		several("codec's clock", 0, "PCMA/8000", "PCMA/16000", "SDP m0", "codec PCMA/16000 instead of PCMA in the INVITE"),
		text("fmtp", 0, "a=rtpmap:18 G729/8000\r\n", "a=rtpmap:18 G729/8000\r\na=fmtp:18 annexb=no\r\n", "SDP m0",
			"fmtp of G729 is extra: annexb=no, in the INVITE"),
		text("ptime", 0, "a=rtpmap:0 PCMU/8000\r\n", "a=rtpmap:0 PCMU/8000\r\na=ptime:30\r\n", "SDP m0", "ptime 30 is extra in the INVITE"),
		text("direction", 9, "a=sendonly", "a=inactive", "SDP m0", "direction inactive, was sendonly, in the re-INVITE"),
		text("hold by address", 9, "c=IN IP4 10.0.1.10", "c=IN IP4 0.0.0.0", "SDP",
			"media address 0.0.0.0, was 10.0.1.10, in the re-INVITE"),
		text("media to another participant", 0, "c=IN IP4 10.0.1.10", "c=IN IP4 10.0.2.10", "SDP",
			"media address 172.20.102.11, was 10.0.1.10, in the INVITE"),
		text("medium rejected", 5, "m=audio 20000", "m=audio 0", "SDP m0", "medium audio is rejected (port 0) in the 200"),
		text("media transport", 0, "RTP/AVP", "RTP/SAVP", "SDP m0", "transport RTP/SAVP, was RTP/AVP, in the INVITE"),
		text("bandwidth", 0, "t=0 0\r\n", "b=AS:64\r\nt=0 0\r\n", "SDP", "b=AS:64 is extra, in the INVITE"),
		text("crypto", 0, "a=rtpmap:0 PCMU/8000\r\n", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:abc\r\na=rtpmap:0 PCMU/8000\r\n",
			"SDP m0", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:abc is extra, in the INVITE"),
		text("rtcp-mux", 0, "a=rtpmap:0 PCMU/8000\r\n", "a=rtpmap:0 PCMU/8000\r\na=rtcp-mux\r\n", "SDP m0",
			"a=rtcp-mux is extra in the INVITE"),
		text("medium extra", 0, "a=rtpmap:18 G729/8000\r\n", "a=rtpmap:18 G729/8000\r\nm=video 4000 RTP/AVP 31\r\n", "SDP m1",
			"medium video is extra in the INVITE"),
		text("Record-Route missing", 2, "Record-Route: <sip:10.0.0.1;lr>\r\n", "", "Record-Route",
			"header Record-Route is missing in the INVITE"),
		text("strict router", 2, "Record-Route: <sip:10.0.0.1;lr>", "Record-Route: <sip:10.0.0.1>", "Record-Route", "header Record-Route lacks lr"),
		text("Record-Route of another host", 2, "Record-Route: <sip:10.0.0.1;lr>", "Record-Route: <sip:10.0.2.10;lr>", "Record-Route",
			"header Record-Route is"),
		text("Route extra", 2, "", "Route: <sip:10.0.2.10;lr>\r\n", "Route", "header Route is extra"),
		text("To parameter", 3, "To: <sip:bob@b.com>;tag=", "To: <sip:bob@b.com>;gat=", "To", "header To"),
		text("Require", 0, "", "Require: 100rel\r\n", "Require", "header Require is extra: 100rel, in the INVITE"),
		several("Content-Type", 0, "application/sdp", "text/plain", "SDP", "SDP is missing in the INVITE"),
		text("another body", 0, "", "Content-Disposition: render\r\n", "Content-Disposition", "header Content-Disposition is extra"),
		mild("Max-Forwards", 0, "Max-Forwards: 70", "Max-Forwards: 20", "Max-Forwards"),
		mild("reason phrase", 3, "180 Ringing", "180 Rrrring", "reason"),
		mild("software", 0, "User-Agent: Phone 1", "User-Agent: Phone 2", "User-Agent"),
		mild("session name", 0, "s=-", "s=Talk", "SDP"),
		under(diff.Rules{Strict: true}, text("software, strictly", 0, "User-Agent: Phone 1", "User-Agent: Phone 2", "User-Agent",
			"header User-Agent is Phone 2, was Phone 1, in the INVITE")),
		under(diff.Rules{Spelling: true}, text("spelling", 0, "timer, replaces", "replaces, timer", "Supported", "header Supported is written differently")),

		flow("another final", "@1042ms bob   > proxy 200 sdp=PCMU\n+4ms    proxy > alice 200\n+10ms   alice > proxy ACK\n+2ms    proxy > bob   ACK\n"+tail,
			"@1042ms bob   > proxy 486\n+1ms proxy > bob ACK\n+4ms    proxy > alice 486\n+10ms   alice > proxy ACK\n",
			"status", 5, "expected 200; got 486 Busy Here"),
		flow("refused media", "@140ms  bob   > proxy 180\n+4ms    proxy > alice 180\n@1042ms bob   > proxy 200 sdp=PCMU\n+4ms    proxy > alice 200\n+10ms   alice > proxy ACK\n+2ms    proxy > bob   ACK\n"+tail,
			"@142ms bob   > proxy 488\n+1ms proxy > bob ACK\n+4ms    proxy > alice 488\n+10ms   alice > proxy ACK\n",
			"status", 5, "expected 180 then 200; got 488 Not Acceptable Here; the offer's codecs were PCMU, PCMA, G729"),
		flow("refused by the proxy", base[strings.Index(base, "+1ms    proxy > alice 100"):],
			"+1ms proxy > alice 404\n+1ms alice > proxy ACK\n", "missing", 2, "expected 180 then 200; got 404 Not Found; INVITE from 10.0.0.1 to 10.0.2.10 is missing"),
		flow("no answer", "@1042ms bob   > proxy 200 sdp=PCMU\n+4ms    proxy > alice 200\n+10ms   alice > proxy ACK\n+2ms    proxy > bob   ACK\n"+tail, "",
			"missing", 5, "no final response to INVITE, 180 was the last, expected 200"),
		flow("late answer", "@1042ms bob|@3s|@4550ms", "@9042ms bob|@11s|@12550ms", "time", 5, "200 after 9.5 s, recorded 1 s"),
		flow("BYE missing", base[strings.Index(base, "@4550ms"):], "", "missing", 15, "BYE from 10.0.1.10 to 10.0.0.1 is missing"),
		flow("BYE by the other", base[strings.Index(base, "@4550ms"):],
			"@4550ms bob > proxy BYE\n+1ms proxy > alice BYE\n+5ms alice > proxy 200\n+1ms proxy > bob 200\n",
			"path", 15, "BYE from 10.0.2.10 to 10.0.0.1, expected from 10.0.1.10 to 10.0.0.1"),
		flow("BYE to the callee", base[strings.Index(base, "@4550ms"):], "@4550ms alice > bob BYE anyway\n+5ms bob > alice 200\n", "path", 15,
			"BYE from 10.0.1.10 to 10.0.2.10, expected from 10.0.1.10 to 10.0.0.1"),
		flow("extra INFO", "@3s     alice", "@2s alice > proxy INFO\n+1ms proxy > bob INFO\n+1ms bob > proxy 200\n+1ms proxy > alice 200\n@3s     alice",
			"extra", 9, "extra INFO from 10.0.1.10 to 10.0.0.1"),
		flow("re-INVITE missing", tail[:strings.Index(tail, "@4550ms")], "", "missing", 9, "INVITE from 10.0.1.10 to 10.0.0.1 is missing"),
		flow("cancelled", "@1042ms bob   > proxy 200 sdp=PCMU\n+4ms    proxy > alice 200\n+10ms   alice > proxy ACK\n+2ms    proxy > bob   ACK\n"+tail,
			"@1s alice > proxy CANCEL\n+1ms proxy > alice 200 CANCEL\n+1ms proxy > bob CANCEL\n+1ms bob > proxy 200 CANCEL\n+1ms bob > proxy 487 INVITE\n+1ms proxy > bob ACK\n+1ms proxy > alice 487 INVITE\n+1ms alice > proxy ACK\n",
			"extra", 5, "INVITE was cancelled after 1.1 s, expected 200"),
		flow("over TCP", "@0ms    alice > proxy INVITE", "@0ms    alice > proxy INVITE transport=tcp", "transport", 0, "sent over TCP, was UDP, in the INVITE"),
		in("prack-update", flow("PRACK missing", "+2ms    alice > bob   PRACK\n+2ms    bob   > alice 200 PRACK\n", "", "missing", 3,
			"PRACK from 10.0.1.10 to 10.0.2.10 is missing")),
		in("prack-update", flow("UPDATE's media", "UPDATE sdp=PCMU", "UPDATE sdp=PCMA", "SDP m0", 5, "codec PCMA instead of PCMU in the UPDATE")),
		in("info-dtmf", flow("a digit", "Signal=#", "Signal=7", "body", 5, `the body differs in 1 line: "Signal=7", was "Signal=#", in the INFO`)),
		in("info-dtmf", flow("a digit missing", "@2s    alice > ivr   INFO body=\"Signal=5\\r\\nDuration=160\\r\\n\" type=application/dtmf-relay\n+2ms   ivr   > alice 200\n",
			"", "missing", 3, "INFO from 10.0.1.10 to 10.0.2.10 is missing")),
		in("subscribe-notify", text("subscription state", 2, "Subscription-State: active", "Subscription-State: pending", "Subscription-State",
			"header Subscription-State is pending;expires=3599, was active;expires=3599, in the NOTIFY")),
		in("subscribe-notify", text("event", 0, "Event: presence", "Event: dialog", "Event", "header Event is dialog, was presence, in the SUBSCRIBE")),
		in("subscribe-notify", text("Expires", 0, "Expires: 3600", "Expires: 60", "Expires", "header Expires is 60, was 3600, in the SUBSCRIBE")),
		in("subscribe-notify", mild("what is left of a lifetime", 2, "expires=3599", "expires=3596", "Subscription-State")),
		in("subscribe-notify", text("presence", 2, "<basic>closed", "<basic>open", "body", "the body differs in 1 line")),
		in("refer-transfer", text("Refer-To", 4, "<sip:carol@b.com>", "<sip:dave@b.com>", "Refer-To",
			"header Refer-To is <sip:dave@b.com>, was <sip:carol@b.com>, in the REFER")),
		in("refer-transfer", text("sipfrag", 6, "SIP/2.0 100 Trying", "SIP/2.0 180 Ringing", "body", "the body differs in 1 line")),
		in("refer-transfer", flow("202 is 200", "> bob   202", "> bob   200", "status", 5, "expected 202 to REFER; got 200 OK")),
		in("invite-407-auth", text("realm", 1, `realm="`, `realm="x`, "Proxy-Authenticate", "header Proxy-Authenticate is")),
		in("invite-407-auth", text("user of credentials", 3, `username="`, `username="x`, "Proxy-Authorization", "header Proxy-Authorization is")),
		in("invite-407-auth", flow("challenge missing", "+2ms    proxy > alice 407\n+1ms    alice > proxy ACK\n+2ms    alice > proxy INVITE auth sdp=PCMU\n", "",
			"missing", 0, "INVITE from 10.0.1.10 to 10.0.1.1 is missing")),
		in("register-auth", flow("registration refused", "+2ms     jan > registrar REGISTER auth expires=3600\n+4ms     registrar > jan 200", "+2ms     jan > registrar REGISTER auth expires=3600\n+4ms     registrar > jan 403",
			"status", 3, "expected 200 to REGISTER; got 403 Forbidden")),
		in("message", text("a text", 0, "come here", "come there", "body", `the body differs in 1 line: "Watson, come there.", was "Watson, come here.", in the MESSAGE`)),
		in("redirect-followed", text("where a redirect leads", 1, "<sip:bob@10.0.2.10>", "<sip:bob@10.0.1.10>", "Contact", "header Contact is")),
		in("redirect-followed", text("preference", 1, "q=0.9", "q=0.1", "Contact", "header Contact is")),
	}
}

// tail is what follows the first ACKs of base.
var tail = base[strings.Index(base, "@3s"):]

// One difference among everything that differs anyway is found, first, and nothing else.
func TestPlanted(t *testing.T) {
	t.Parallel()
	for _, p := range plants() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			p.check(t)
		})
	}
}

func (p *plant) check(t *testing.T) {
	t.Helper()
	text := base
	if p.flow != "" {
		text = flows(t)[p.flow]
	}
	a := parsed(t, text)
	var b archive
	if p.message < 0 {
		news := strings.Split(p.new, "|")
		for i, old := range strings.Split(p.old, "|") {
			if !strings.Contains(text, old) {
				t.Fatalf("the flow has no %q", old)
			}
			text = strings.Replace(text, old, news[i], 1)
		}
		b = parsed(t, text)
	} else {
		b = a.edited(t, p.message, p.old, p.new)
		p.at = p.message
	}
	r := diff.Flows(a.flow("good"), b.disguised(t).flow("bad"), p.rules)
	p.judge(t, r)
	back := diff.Flows(b.disguised(t).flow("bad"), a.flow("good"), p.rules)
	mirrored(t, r, back)
}

func (p *plant) judge(t *testing.T, r *diff.Result) {
	t.Helper()
	if p.tolerate {
		if r.Verdict != diff.Tolerated || r.Counts.Tolerated != 1 || r.First != -1 {
			t.Errorf("not only one tolerated difference: %s", list(r))
		}
		for i := range r.Rows {
			if row := &r.Rows[i]; row.Verdict == diff.Tolerated && (row.A.Message != p.at || row.Differences[0].Where != p.where) {
				t.Errorf("row %d is not that of %s: %s", i, p.where, list(r))
			}
		}
		return
	}
	if r.First < 0 || r.Verdict != diff.Differs {
		t.Fatalf("no divergence: %s", list(r))
	}
	row := r.Rows[r.First]
	at := row.A.Message
	if at < 0 {
		at = row.B.Message
	}
	if at != p.at || row.Differences[0].Where != p.where || !strings.Contains(r.Headline, p.headline) {
		t.Errorf("want %s of message %d and %q: %s", p.where, p.at, p.headline, list(r))
	}
	if n := r.Counts.Late + r.Counts.Differs + r.Counts.Missing + r.Counts.Extra + r.Counts.NotReached + r.Counts.Tolerated; p.only && (n != 1 || len(row.Differences) != 1) {
		t.Errorf("more than one difference: %s", list(r))
	}
}

// mirrored checks that the order of the sides does not matter.
func mirrored(t *testing.T, r, back *diff.Result) {
	t.Helper()
	type key struct{ a, b diff.Ref }
	pairs := make(map[key]bool)
	for i := range r.Rows {
		pairs[key{r.Rows[i].A, r.Rows[i].B}] = true
	}
	for i := range back.Rows {
		row := &back.Rows[i]
		if !pairs[key{row.B, row.A}] {
			t.Errorf("%v and %v are a pair in one order only:\n%s%s", row.B, row.A, list(r), list(back))
			return
		}
	}
	if len(pairs) != len(back.Rows) {
		t.Errorf("%d rows, and %d the other way round", len(pairs), len(back.Rows))
	}
	if r.Verdict != back.Verdict && r.Counts.Late == 0 {
		t.Errorf("%s, and %s the other way round: %s", r.Verdict, back.Verdict, list(back))
	}
}

// edited gives an archive in which one message of the first call says something else.
func (a archive) edited(t *testing.T, message int, old, fresh string) archive {
	t.Helper()
	out := archive{calls: a.calls, texts: make(texts)}
	m := &a.calls[0].Messages[message]
	for k, text := range a.texts {
		if k == [2]uint64{m.Seq, uint64(m.Nth)} {
			if old == "" {
				old, fresh = "\r\n\r\n", "\r\n"+fresh+"\r\n"
			}
			if !bytes.Contains(text, []byte(old)) {
				t.Fatalf("message %d has no %q:\n%s", message, old, text)
			}
			length := bytes.Index(text, []byte("\r\n\r\n")) + 4
			was := len(text) - length
			text = bytes.Replace(text, []byte(old), []byte(fresh), 1)
			now := len(text) - bytes.Index(text, []byte("\r\n\r\n")) - 4
			text = bytes.Replace(text, []byte("Content-Length: "+itoa(was)), []byte("Content-Length: "+itoa(now)), 1)
		}
		out.texts[k] = text
	}
	return out
}

// A closed connection is named where an answer is missing.
func TestNote(t *testing.T) {
	t.Parallel()
	a := parsed(t, base)
	b := parsed(t, base[:strings.Index(base, "@1042ms")]).disguised(t)
	f := b.flow("live")
	f.Notes = []diff.Note{{Text: "connection closed", Src: f.Calls[0].Messages[3].Src, Dst: f.Calls[0].Messages[3].Dst}}
	r := diff.Flows(a.flow("recorded"), f, diff.Rules{})
	if want := "no final response to INVITE, 180 was the last, expected 200; connection closed"; r.Headline != want {
		t.Errorf("%q, want %q", r.Headline, want)
	}
}

// What follows from a difference, and what repeats it, is not told as another one.
func TestOnce(t *testing.T) {
	t.Parallel()
	a := parsed(t, base)
	b := parsed(t, strings.NewReplacer(`name="Alice"`, `name="Alicia"`, "sdp=PCMU,PCMA,G729", "sdp=PCMU,PCMA").Replace(base)).disguised(t)
	r := diff.Flows(a.flow("a"), b.flow("b"), diff.Rules{})
	if r.Headline != "codec G729 is missing in the INVITE" || r.Counts.Differs != 1 {
		t.Errorf("%s", list(r))
	}
}

// No answer at all is named with how long it was waited for.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	hosts := "title x\nhost alice 10.0.1.10 user=sip:alice@a.com\nhost bob 10.0.2.10 user=sip:bob@b.com\ncall c1 from alice to bob\n@0ms alice > bob INVITE sdp=PCMU\n"
	a := parsed(t, hosts+"+1ms bob > alice 100\n+80ms bob > alice 180\n+1s bob > alice 200 sdp=PCMU\n+1ms alice > bob ACK\n@5s bob > alice BYE\n+1ms alice > bob 200\n")
	b := parsed(t, hosts+"@500ms alice > bob INVITE retransmit\n@1500ms alice > bob INVITE retransmit\n@32s alice > bob INVITE retransmit\n")
	r := diff.Flows(a.flow("a"), b.disguised(t).flow("b"), diff.Rules{})
	if want := "no answer to INVITE within 32 s, expected 180 then 200"; r.Headline != want {
		t.Errorf("want %q: %s", want, list(r))
	}
	if r.Counts.NotReached != 3 || r.Counts.Missing != 1 {
		t.Errorf("%s", list(r))
	}
}

func itoa(n int) string { return strconv.Itoa(n) }
