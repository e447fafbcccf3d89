package replay_test

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/auth"
	"sipscope/element/compose"
	"sipscope/element/replay"
	"sipscope/element/replay/plan"
	"sipscope/element/transport"
)

// crlf is a message as it is on the wire, of a text that is good to read.
func crlf(text string) []byte {
	text = strings.TrimPrefix(text, "\n")
	return []byte(strings.ReplaceAll(text, "\n", "\r\n"))
}

// handPlan makes a plan of steps that follow each other: "alice > sut" and the message. The hosts are alice and bob at
// 127.0.1.10 and .20, and sut at 127.0.3.1, which is live.
func handPlan(t *testing.T, steps ...string) *plan.Plan {
	t.Helper()
	at := func(s string) []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort(s)} }
	p := &plan.Plan{
		Title: "by hand", Calls: []plan.Call{{CallID: "first"}},
		Hosts: []plan.Host{
			{Name: "alice", At: at("127.0.1.10:5060"), Proto: transport.UDP, Part: plan.Played},
			{Name: "bob", At: at("127.0.1.20:5060"), Proto: transport.UDP, Part: plan.Played},
			{Name: "sut", At: at("127.0.3.1:5060"), Proto: transport.UDP, Part: plan.Live},
		},
	}
	for i, text := range steps {
		head, raw, _ := strings.Cut(strings.TrimLeft(text, "\n"), "\n")
		var from, to string
		if _, err := fmt.Sscanf(head, "%s > %s", &from, &to); err != nil {
			t.Fatal(head, err)
		}
		s := plan.Step{
			ID: i + 1, Kind: plan.Send, From: from, To: to, At: int64(i) * int64(10*time.Millisecond), Gap: int64(10 * time.Millisecond),
			Message: crlf(raw), Proto: transport.UDP,
		}
		if from == "sut" {
			s.Kind = plan.Expect
		}
		var m sip.Message
		if err := sip.Parse(s.Message, &m); err == nil && !m.Request && m.Status < 200 {
			s.Optional = true
		}
		if i > 0 {
			s.After = []int{i}
		} else {
			s.Gap = 0
		}
		p.Steps = append(p.Steps, s)
	}
	return p
}

// request is a request of a step: method, Request-URI, sender's address, dialog, and more lines.
func request(method, uri, from, call, fromTag, toTag string, cseq int, more string) string {
	to := "<sip:bob@lab.example>"
	if toTag != "" {
		to += ";tag=" + toTag
	}
	return method + " " + uri + " SIP/2.0\nVia: SIP/2.0/UDP " + from + ";branch=z9hG4bK-" + call + fromTag + strconv.Itoa(cseq) + method +
		";rport\nMax-Forwards: 70\nFrom: <sip:alice@lab.example>;tag=" + fromTag + "\nTo: " + to + "\nCall-ID: " + call +
		"\nCSeq: " + strconv.Itoa(cseq) + " " + method + "\n" + more
}

// response is the response to a request of a step.
func response(status, method, to, call, fromTag, toTag string, cseq int, more string) string {
	return "SIP/2.0 " + status + "\nVia: SIP/2.0/UDP " + to + ";branch=z9hG4bK-" + call + fromTag + strconv.Itoa(cseq) + method +
		";rport=5060\nFrom: <sip:alice@lab.example>;tag=" + fromTag + "\nTo: <sip:bob@lab.example>;tag=" + toTag + "\nCall-ID: " + call +
		"\nCSeq: " + strconv.Itoa(cseq) + " " + method + "\n" + more
}

const (
	aliceAt = "127.0.1.10:5060"
	bobAt   = "127.0.1.20:5060"
)

// only plays once against a peer, and gives the outcome.
func only(t *testing.T, p *plan.Plan, change func(o *replay.Options), on func(p *peer, r *transport.Received)) (*world, *peer, *replay.Outcome) {
	t.Helper()
	w := newWorld(t, p, nil, change)
	x := withPeer(w, p, on)
	w.run(1)
	w.clean()
	w.onlyNamed(p)
	if len(w.ended) != 1 {
		t.Fatalf("no outcome\n%s", w.wire.arrows())
	}
	return w, x, w.ended[0]
}

// ok answers every request with 200, and nothing else.
func ok(p *peer, r *transport.Received) {
	if r.Msg.Request && r.Msg.MethodID != sip.MethodAck {
		p.answer(r, 200, "live", compose.Header{ID: sip.HeaderContact, Value: "<sip:sut@127.9.3.1>"})
	}
}

// All bytes of a message stay, whatever they are, but for those of what identifies.
func TestOddBytes(t *testing.T) {
	t.Parallel()
	odd := "MESSAGE sip:127.0.3.1 SIP/2.0\n" +
		"v:SIP/2.0/UDP 127.0.1.10:5060 ;branch=z9hG4bK-odd ; rport\n" +
		"f : \"A. \\\"Odd\\\" Name\" <sip:alice@127.0.1.10>;x=y;tag=tagtag-odd\n" +
		"t:\t<sip:bob@127.0.3.1:5060;user=phone>\n" +
		"X-UNKNOWN:   a  b   c\n" +
		"i:call-odd-0001@127.0.1.10\n" +
		"MAX-forwards: 007\n" +
		"cSeQ:  00042   MESSAGE\n" +
		"X-Cid: <call-odd-0001@127.0.1.10>;leg=call-odd-0001@127.0.1.10;n=12345678\n" +
		"Subject: folded,\n  over two lines\n" +
		"P-Number: 127.0.1.100 127.0.1.10 x127.0.1.10 127.0.1.10:5060\n" +
		"User-Agent: Test/127.0.1.10 (tagtag-odd)\n" +
		"c: text/plain\n" +
		"l: 35\n" +
		"\n" +
		"call-odd-0001@127.0.1.10 stays here"
	p := handPlan(t, "alice > sut\n"+odd, "sut > alice\nSIP/2.0 200 OK\nVia: SIP/2.0/UDP 127.0.1.10:5060;branch=z9hG4bK-odd\n"+
		"From: <sip:alice@127.0.1.10>;tag=tagtag-odd\nTo: <sip:bob@127.0.3.1>;tag=x\nCall-ID: call-odd-0001@127.0.1.10\nCSeq: 42 MESSAGE\n\n")
	_, x, o := only(t, p, nil, ok)
	if o.Verdict != replay.Completed || len(x.got) != 1 {
		t.Fatalf("%s: %s", o.Verdict, o.Reason)
	}
	var m sip.Message
	if err := sip.Parse([]byte(x.got[0]), &m); err != nil {
		t.Fatal(err)
	}
	text := func(s sip.Span) string { return string(s.Of(m.Raw)) }
	call, _, _ := strings.Cut(text(m.CallID), "@")
	back := strings.NewReplacer(
		text(m.Via.Branch), "z9hG4bK-odd", text(m.From.Tag), "tagtag-odd", call, "call-odd-0001",
		"127.9.1.10", "127.0.1.10", "127.9.3.1", "127.0.3.1",
	).Replace(x.got[0])
	want := strings.Replace(string(crlf(odd)), "00042 ", "42 ", 1)
	if back != want {
		t.Errorf("sent, names put back:\n%s\nwant:\n%s", back, want)
	}
	if call == "call-odd-0001" || text(m.From.Tag) == "tagtag-odd" {
		t.Error("identities are the recorded ones")
	}
	if !strings.Contains(x.got[0], "call-odd-0001@127.0.1.10 stays here") || !strings.Contains(x.got[0], "Test/127.0.1.10 (tagtag-odd)") {
		t.Errorf("what is no identity was changed:\n%s", x.got[0])
	}
}

// callPlan is two calls to the live one, of which the second replaces the first by way of a REFER.
func callPlan(t *testing.T) *plan.Plan {
	t.Helper()
	const contact = "Contact: <sip:sut@127.0.3.1:5060>\nContent-Length: 0\n\n"
	const own = "Contact: <sip:alice@" + aliceAt + ">\nContent-Length: 0\n\n"
	return handPlan(t,
		"alice > sut\n"+request("INVITE", "sip:bob@lab.example", aliceAt, "first-call-id@h", "a1", "", 1, own),
		"sut > alice\n"+response("200 OK", "INVITE", aliceAt, "first-call-id@h", "a1", "s1", 1, contact),
		"alice > sut\n"+request("ACK", "sip:sut@127.0.3.1:5060", aliceAt, "first-call-id@h", "a1", "s1", 1, "Content-Length: 0\n\n"),
		"alice > sut\n"+request("INVITE", "sip:carol@lab.example", aliceAt, "second-call-id@h", "a2", "", 7, own),
		"sut > alice\n"+response("200 OK", "INVITE", aliceAt, "second-call-id@h", "a2", "s2", 7, contact),
		"alice > sut\n"+request("ACK", "sip:sut@127.0.3.1:5060", aliceAt, "second-call-id@h", "a2", "s2", 7, "Content-Length: 0\n\n"),
		"alice > sut\n"+request("REFER", "sip:sut@127.0.3.1:5060", aliceAt, "first-call-id@h", "a1", "s1", 2,
			own[:len(own)-len("Content-Length: 0\n\n")]+
				"Refer-To: <sip:sut@127.0.3.1:5060?Replaces=second-call-id%40h%3Bto-tag%3Ds2%3Bfrom-tag%3da2&Subject=s2>\n"+
				"Target-Dialog: second-call-id@h;local-tag=a2;remote-tag=s2\nIn-Reply-To: first-call-id@h, second-call-id@h\n"+
				"Join: first-call-id@h;to-tag=s1;from-tag=a1\nReplaces: second-call-id@h;from-tag=a2;to-tag=s2;early-only\n"+
				"Content-Type: application/dialog-info+xml\nContent-Length: 139\n\n"+
				`<dialog-info entity="sip:alice@127.0.1.10"><dialog id="s2" call-id='second-call-id@h' local-tag="a2" remote-tag='s2'>a2 s2</dialog></dialog-info>`),
		"sut > alice\n"+response("202 Accepted", "REFER", aliceAt, "first-call-id@h", "a1", "s1", 2, contact),
		"alice > sut\n"+request("BYE", "sip:sut@127.0.3.1:5060", aliceAt, "second-call-id@h", "a2", "s2", 8, "Content-Length: 0\n\n"),
		"sut > alice\n"+response("200 OK", "BYE", aliceAt, "second-call-id@h", "a2", "s2", 8, "Content-Length: 0\n\n"),
		"alice > sut\n"+request("BYE", "sip:sut@127.0.3.1:5060", aliceAt, "first-call-id@h", "a1", "s1", 3, "Content-Length: 0\n\n"),
		"sut > alice\n"+response("200 OK", "BYE", aliceAt, "first-call-id@h", "a1", "s1", 3, "Content-Length: 0\n\n"),
	)
}

// What names another dialog names the live one, in headers, in the escaped header of a URI, and in XML; what only looks
// like it stays.
func TestReplaces(t *testing.T) {
	t.Parallel()
	_, x, o := only(t, callPlan(t), nil, func(p *peer, r *transport.Received) {
		if !r.Msg.Request || r.Msg.MethodID == sip.MethodAck {
			return
		}
		status, tag := 200, "live;tag"[:4]+strconv.Itoa(len(p.got))
		if r.Msg.MethodID == sip.MethodRefer {
			status = 202
		}
		if !r.Msg.To.Tag.Empty() {
			tag = ""
		}
		p.answer(r, status, tag, compose.Header{ID: sip.HeaderContact, Value: "<sip:sut@127.9.3.1:5060>"})
	})
	if o.Verdict != replay.Completed {
		t.Fatalf("%s: %s", o.Verdict, o.Reason)
	}
	var refer, second sip.Message
	for _, raw := range x.got {
		switch {
		case strings.HasPrefix(raw, "REFER"):
			if err := sip.Parse([]byte(raw), &refer); err != nil {
				t.Fatal(err)
			}
		case strings.HasPrefix(raw, "BYE") && second.Raw == nil:
			if err := sip.Parse([]byte(raw), &second); err != nil {
				t.Fatal(err)
			}
		}
	}
	text := func(m *sip.Message, s sip.Span) string { return string(s.Of(m.Raw)) }
	call, from, to := text(&second, second.CallID), text(&second, second.From.Tag), text(&second, second.To.Tag)
	firstCall, firstFrom, firstTo := text(&refer, refer.CallID), text(&refer, refer.From.Tag), text(&refer, refer.To.Tag)
	for _, want := range []string{
		"Refer-To: <sip:sut@127.9.3.1:5060?Replaces=" + strings.Replace(call, "@", "%40", 1) + "%3Bto-tag%3D" + to + "%3Bfrom-tag%3d" + from + "&Subject=s2>\r\n",
		"Target-Dialog: " + call + ";local-tag=" + from + ";remote-tag=" + to + "\r\n",
		"In-Reply-To: " + firstCall + ", " + call + "\r\n",
		"Join: " + firstCall + ";to-tag=" + firstTo + ";from-tag=" + firstFrom + "\r\n",
		"Replaces: " + call + ";from-tag=" + from + ";to-tag=" + to + ";early-only\r\n",
		`<dialog-info entity="sip:alice@127.9.1.10"><dialog id="s2" call-id='` + call + `' local-tag="` + from + `" remote-tag='` + to + `'>a2 s2</dialog>`,
	} {
		if !strings.Contains(string(refer.Raw), want) {
			t.Errorf("%q is not in\n%s", want, refer.Raw)
		}
	}
	if refer.ContentLength != int64(refer.Body.Len) {
		t.Errorf("Content-Length %d of %d bytes", refer.ContentLength, refer.Body.Len)
	}
}

// A back-to-back user agent calls with a Call-ID of its own: the call is found by whom it is for, and by what it says of
// the first one.
func TestOtherCallID(t *testing.T) {
	t.Parallel()
	const none = "Content-Length: 0\n\n"
	p := handPlan(t,
		"alice > sut\n"+request("INVITE", "sip:bob@lab.example", aliceAt, "leg-a-call@h", "a1", "", 1, "Contact: <sip:alice@127.0.1.10>\n"+none),
		"sut > bob\n"+request("INVITE", "sip:bob@127.0.1.20", "127.0.3.1:5060", "leg-b-call@h", "s2", "", 102, "Contact: <sip:sut@127.0.3.1>\n"+none),
		"bob > sut\n"+response("200 OK", "INVITE", "127.0.3.1:5060", "leg-b-call@h", "s2", "b1", 102, "Contact: <sip:bob@127.0.1.20>\n"+none),
		"sut > bob\n"+request("ACK", "sip:bob@127.0.1.20", "127.0.3.1:5060", "leg-b-call@h", "s2", "b1", 102, none),
		"sut > alice\n"+response("200 OK", "INVITE", aliceAt, "leg-a-call@h", "a1", "s1", 1, "Contact: <sip:sut@127.0.3.1>\n"+none),
		"alice > sut\n"+request("ACK", "sip:sut@127.0.3.1", aliceAt, "leg-a-call@h", "a1", "s1", 1, none),
		"bob > sut\n"+strings.NewReplacer("alice", "bob", "sip:bob@", "sip:alice@").Replace(request("BYE", "sip:sut@127.0.3.1", bobAt, "leg-b-call@h", "b1", "s2", 1, none)),
		"sut > bob\n"+strings.NewReplacer("alice", "bob", "sip:bob@", "sip:alice@").Replace(response("200 OK", "BYE", bobAt, "leg-b-call@h", "b1", "s2", 1, none)),
		"sut > alice\n"+request("BYE", "sip:alice@127.0.1.10", "127.0.3.1:5060", "leg-a-call@h", "s1", "a1", 5, none),
		"alice > sut\n"+response("200 OK", "BYE", "127.0.3.1:5060", "leg-a-call@h", "s1", "a1", 5, none),
	)
	w := newWorld(t, p, nil, nil)
	b := &b2bua{legs: map[string]*b2bLeg{}}
	b.peer = withPeer(w, p, b.on)
	w.run(20)
	w.clean()
	for _, o := range w.ended {
		if o.Verdict != replay.Completed {
			t.Fatalf("%s: %s\n%s", o.Verdict, o.Reason, w.wire.arrows())
		}
		a, b := o.CallIDs["leg-a-call@h"], o.CallIDs["leg-b-call@h"]
		if a == "" || b != "b2b-"+a {
			t.Fatalf("Call-IDs %q and %q belong to different calls", a, b)
		}
	}
}

// b2bua is a simple back-to-back user agent: it holds both dialogs, and calls sip:bob at 127.9.1.20.
type b2bua struct {
	peer *peer
	legs map[string]*b2bLeg // by the Call-ID of the caller's leg
}

type b2bLeg struct {
	invite   []byte
	hop      transport.Hop
	aTag     string
	bTag     string
	aContact string
}

func (b *b2bua) send(to string, req compose.Request) {
	req.Via = compose.Via{Proto: "UDP", SentBy: netip.MustParseAddrPort("127.9.3.1:5060"), Branch: compose.Branch(b.peer.rng), RPort: true}
	raw, err := req.Append(nil)
	if err == nil {
		b.peer.link.Send(transport.Hop{Proto: transport.UDP, Remote: netip.MustParseAddrPort(to)}, raw, 0)
	}
}

func (b *b2bua) on(p *peer, r *transport.Received) {
	m := r.Msg
	call := string(m.CallID.Of(m.Raw))
	a := strings.TrimPrefix(call, "b2b-")
	contact := compose.Header{ID: sip.HeaderContact, Value: "<sip:sut@127.9.3.1>"}
	switch {
	case m.Request && m.MethodID == sip.MethodInvite:
		if b.legs[call] != nil {
			return
		}
		l := &b2bLeg{invite: append([]byte(nil), m.Raw...), hop: r.Hop, aTag: string(m.From.Tag.Of(m.Raw)), aContact: string(m.Contact.URI.Of(m.Raw))}
		b.legs[call] = l
		b.send("127.9.1.20:5060", compose.Request{
			Method: "INVITE", URI: "sip:bob@127.9.1.20", CallID: "b2b-" + call, CSeq: 900, From: "<sip:alice@lab.example>;tag=b2b",
			To: "<sip:bob@lab.example>", Headers: []compose.Header{contact},
		})
	case !m.Request && m.MethodID == sip.MethodInvite && m.Status == 200:
		l := b.legs[a]
		l.bTag = string(m.To.Tag.Of(m.Raw))
		b.send("127.9.1.20:5060", compose.Request{
			Method: "ACK", URI: "sip:bob@127.9.1.20", CallID: call, CSeq: 900, From: "<sip:alice@lab.example>;tag=b2b",
			To: "<sip:bob@lab.example>;tag=" + l.bTag,
		})
		var invite sip.Message
		if sip.Parse(l.invite, &invite) == nil {
			p.answer(&transport.Received{Msg: &invite, Hop: l.hop}, 200, "sutA", contact)
		}
	case m.Request && m.MethodID == sip.MethodBye:
		p.answer(r, 200, "")
		b.send("127.9.1.10:5060", compose.Request{
			Method: "BYE", URI: b.legs[a].aContact, CallID: a, CSeq: 900, From: "<sip:bob@lab.example>;tag=sutA",
			To: "<sip:alice@lab.example>;tag=" + b.legs[a].aTag,
		})
	}
}

// Flags change what they say, and their mistakes are told in words.
func TestRewrite(t *testing.T) {
	t.Parallel()
	var rw replay.Rewrite
	for _, err := range []error{
		rw.Set("header.User-Agent=sipscope {{x}} {n}"), rw.Set("MESSAGE.header.X-New={user}"), rw.Set("header.Subject="),
		rw.Set("INVITE.header.X-No=1"), rw.User("alice={user}"), rw.User("+4930123=100"), rw.Domain("lab.example=test.example:5070"),
		rw.Map("127.0.1.20:5060=127.9.9.9:99"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	p := handPlan(t,
		"alice > sut\n"+request("MESSAGE", "tel:+4930123", aliceAt, "rewritten@h", "a1", "", 1,
			"User-Agent: old\nSubject: away\nP-Asserted-Identity: \"alice\" <sip:alice@LAB.example>, <tel:+4930123;x=alice>\n"+
				"X-Where: 127.0.1.20:5060\nContent-Length: 0\n\n"),
		"sut > alice\n"+response("200 OK", "MESSAGE", aliceAt, "rewritten@h", "a1", "s1", 1, "Content-Length: 0\n\n"),
	)
	w := newWorld(t, p, nil, func(o *replay.Options) { o.Rewrite = rw })
	x := withPeer(w, p, ok)
	w.link.At(start, func() {
		if _, err := w.player.Play(replay.Input{Values: map[string]string{"user": "test\r\n1", "n": "5"}}); err != nil {
			t.Error(err)
		}
	})
	if err := w.net.Run(start + int64(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if len(w.ended) != 1 || w.ended[0].Verdict != replay.Completed || len(x.got) != 1 {
		t.Fatalf("%+v", w.ended)
	}
	for _, want := range []string{
		"MESSAGE tel:100 SIP/2.0\r\n", "User-Agent: sipscope {x} 5\r\n", "X-New: test1\r\n", "From: <sip:test1@test.example:5070>;tag=",
		"To: <sip:bob@test.example:5070>\r\n", "P-Asserted-Identity: \"alice\" <sip:test1@test.example:5070>, <tel:100;x=alice>\r\n",
		"X-Where: 127.9.9.9:99\r\n",
	} {
		if !strings.Contains(x.got[0], want) {
			t.Errorf("%q is not in\n%s", want, x.got[0])
		}
	}
	if strings.Contains(x.got[0], "Subject") || strings.Contains(x.got[0], "X-No") {
		t.Errorf("too much in\n%s", x.got[0])
	}
	for in, want := range map[string]string{
		"set header.X":           "want header.NAME=VALUE, METHOD.header.NAME=VALUE or CODE.header.NAME=VALUE",
		"set X=1":                "want header.NAME=VALUE",
		"set header.Via=x":       "Via cannot be set: it says where responses go",
		"set header.v=x":         "Via cannot be set",
		"set 999.header.X=1":     "999 is no response code",
		"set IN VITE.header.X=1": `"IN VITE" is neither a method nor a code`,
		"set header.X Y=1":       `"X Y" is no header name`,
		"set header.X={":         "want {name}, or {{ for a brace",
		"set header.X=a}":        "a } without its {",
		"set header.X=a\r\nb":    "a line break or control character",
		"user 3001":              "want OLD=NEW, such as 3001=test1",
		"user 3001=a b":          `"a b" cannot be a part of a URI`,
		"domain =x":              "want OLD=NEW, such as a.com=lab.example",
		"map 127.0.0.1=x":        "want ADDRESS:PORT=ADDRESS:PORT",
	} {
		kind, text, _ := strings.Cut(in, " ")
		err := map[string]func(string) error{"set": rw.Set, "user": rw.User, "domain": rw.Domain, "map": rw.Map}[kind](text)
		if !errors.Is(err, replay.ErrOptions) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", in, err, want)
		}
	}
}

// 423 and 422 are answered with what they ask for.
func TestTooBrief(t *testing.T) {
	t.Parallel()
	p := handPlan(t,
		"alice > sut\n"+request("REGISTER", "sip:lab.example", aliceAt, "brief-call@h", "a1", "", 1,
			"Contact: <sip:alice@127.0.1.10>\nExpires: 60\nContent-Length: 0\n\n"),
		"sut > alice\n"+response("200 OK", "REGISTER", aliceAt, "brief-call@h", "a1", "s1", 1, "Content-Length: 0\n\n"),
		"alice > sut\n"+request("INVITE", "sip:bob@lab.example", aliceAt, "brief-call2@h", "a2", "", 1,
			"Contact: <sip:alice@127.0.1.10>\nSession-Expires: 90;refresher=uac\nContent-Length: 0\n\n"),
		"sut > alice\n"+response("486 Busy", "INVITE", aliceAt, "brief-call2@h", "a2", "s2", 1, "Content-Length: 0\n\n"),
		"alice > sut\n"+request("ACK", "sip:bob@lab.example", aliceAt, "brief-call2@h", "a2", "s2", 1, "Content-Length: 0\n\n"),
	)
	p.Steps[4].Message = []byte(strings.Replace(string(p.Steps[4].Message), "1ACK", "1INVITE", 1))
	_, x, o := only(t, p, nil, func(p *peer, r *transport.Received) {
		switch m := r.Msg; {
		case m.MethodID == sip.MethodRegister && m.Expires < 300:
			p.answer(r, 423, "t", compose.Header{ID: sip.HeaderMinExpires, Value: "300"})
		case m.MethodID == sip.MethodRegister:
			p.answer(r, 200, "t")
		case m.MethodID == sip.MethodInvite && m.CSeq == 1:
			p.answer(r, 422, "t", compose.Header{ID: sip.HeaderMinSE, Value: "1800"})
		case m.MethodID == sip.MethodInvite:
			p.answer(r, 486, "t")
		}
	})
	all := strings.Join(x.got, "\n")
	if o.Verdict != replay.Completed || !strings.Contains(all, "CSeq: 2 REGISTER") || !strings.Contains(all, "Expires: 300\r\n") ||
		!strings.Contains(all, "Session-Expires: 1800;refresher=uac\r\n") || !strings.Contains(all, "Min-SE: 1800\r\n") {
		t.Errorf("%s: %s %v\n%s", o.Verdict, o.Reason, o.Notes, all)
	}
}

// Challenges of ours have a nonce of ours, and answers to them are verified: what is wrong diverges.
func TestChallenger(t *testing.T) {
	t.Parallel()
	text := flowText(t, "register")
	r := recorded(t, "register", text)
	for password, want := range map[string]string{
		"secret": "", "guess": `step 3: REGISTER from jan: the credentials of realm "iptel.org" are wrong`,
	} {
		there := parsed(t, "register", elsewhere(strings.Replace(text, "password=secret", "password="+password, 1)))
		p, _ := planFor(t, r, there, "jan")
		w := newWorld(t, p, there, func(o *replay.Options) {
			o.Credentials = []auth.Credentials{{User: "jan", Password: "secret"}}
		})
		w.run(1)
		w.clean()
		if o := w.ended[0]; o.Reason != want {
			t.Errorf("%s: %s, want %q\n%s", o.Verdict, o.Reason, want, w.wire.arrows())
		}
	}
}

// Dead bytes are sent as they are, and what comes is compared by kind.
func TestVerbatim(t *testing.T) {
	t.Parallel()
	p := handPlan(t,
		"alice > sut\n"+request("OPTIONS", "sip:bob@lab.example", aliceAt, "dead@h", "a1", "", 1, "Content-Length: 5\n\n"),
		"sut > alice\n"+response("200 OK", "OPTIONS", aliceAt, "dead@h", "a1", "s1", 1, "Content-Length: 0\n\n"),
	)
	p.Steps[0].Repeats = 2
	w, x, o := only(t, p, func(o *replay.Options) { o.Verbatim = true }, ok)
	if o.Verdict != replay.Completed || len(x.got) == 0 || x.got[0] != string(p.Steps[0].Message) {
		t.Errorf("%s: %s\n%s", o.Verdict, o.Reason, w.wire.arrows())
	}
	_, _, o = only(t, p, func(o *replay.Options) { o.Verbatim = true }, func(p *peer, r *transport.Received) { p.answer(r, 404, "x") })
	if o.Verdict != replay.Diverged || o.Reason != "step 2: expected 200 to OPTIONS from sut, got 404 Not Found" {
		t.Errorf("%s: %s", o.Verdict, o.Reason)
	}
	_, x, o = only(t, p, func(o *replay.Options) { o.Verbatim = true }, func(*peer, *transport.Received) {})
	if o.Verdict != replay.Diverged || len(x.got) != 3 {
		t.Errorf("%s: %s, %d messages", o.Verdict, o.Reason, len(x.got))
	}
}

// What is stopped ends politely.
func TestStop(t *testing.T) {
	t.Parallel()
	text := flowText(t, "transactions")
	r := recorded(t, "transactions", text)
	there := parsed(t, "transactions", elsewhere(text))
	for _, after := range []time.Duration{1, 100 * time.Millisecond, 500 * time.Millisecond, 1002 * time.Millisecond, 2 * time.Second} {
		for _, sut := range []string{"bob", "alice"} {
			p, _ := planFor(t, r, there, sut)
			w := newWorld(t, p, there, nil)
			w.net.At(start+int64(after), func() { w.player.Close() })
			w.run(1)
			w.clean()
			if o := w.ended[0]; o.Verdict != replay.Aborted {
				t.Errorf("after %v: %s\n%s", after, o.Verdict, w.wire.arrows())
			}
			if _, err := w.player.Play(replay.Input{}); !errors.Is(err, replay.ErrClosed) {
				t.Errorf("play after close: %v", err)
			}
		}
	}
}
