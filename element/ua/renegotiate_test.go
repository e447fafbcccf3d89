package ua

import (
	"fmt"
	"math"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sipscope/decode/sdp"
)

// ear is sound that notes what it was told last.
type ear struct{ told Agreed }

func (e *ear) Open(*Call, netip.Addr) (Stream, error) { return e, nil }
func (*ear) Wake(int64) int64                         { return math.MaxInt64 }
func (*ear) Addr() netip.AddrPort                     { return netip.MustParseAddrPort("192.0.2.10:4000") }
func (e *ear) Agree(_ int64, g Agreed)                { e.told = g }
func (*ear) Close(int64)                              {}

// TestReliableReinvite: a re-INVITE says that it supports 100rel, so its reliable provisional responses get PRACKs, each
// once and in order (RFC 3262 4), and their description is the answer; a refusal takes it back.
func TestReliableReinvite(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 488} {
		ear := &ear{}
		l := newHostile(func(c *Config) { c.Media = ear })
		c, _ := l.answered(t)
		if err := c.Hold(); err != nil {
			t.Fatal(err)
		}
		l.wake()
		re := l.last("INVITE")
		if !strings.Contains(headerOf(re, "Supported"), "100rel") {
			t.Fatal(headerOf(re, "Supported"))
		}
		moved := strings.Replace(peerSDP, "4000", "4002", 1) + "a=recvonly\r\n"
		l.receive(with(respond(re, 183, "A", peerContact, "Require: 100rel", "RSeq: 7"), moved))
		l.receive(with(respond(re, 183, "A", peerContact, "Require: 100rel", "RSeq: 7"), moved)) // again
		l.receive(respond(re, 180, "A", peerContact, "Require: 100rel", "RSeq: 9"))              // 8 is missing
		l.receive(respond(re, 180, "A", peerContact, "Require: 100rel", "RSeq: 8"))
		l.receive(respond(re, 180, "A", peerContact)) // not reliable
		if n, got := l.count("PRACK"), headerOf(l.last("PRACK"), "RAck"); n != 2 || got != "8 2 INVITE" {
			t.Errorf("%d PRACKs, the last of %q", n, got)
		}
		if g, _ := c.Agreed(); g.Remote.Port() != 4002 || g.Receive {
			t.Errorf("the answer in the 183 is not taken: %+v", g)
		}
		l.receive(respond(re, status, "A", peerContact))
		g, _ := c.Agreed()
		if want := map[int]uint16{200: 4002, 488: 4000}[status]; g.Remote.Port() != want || c.State() != StateConfirmed {
			t.Errorf("after %d: %+v, the call is %v", status, g, c.State())
		}
		if ear.told != g {
			t.Errorf("after %d: the stream goes by %+v, agreed is %+v", status, ear.told, g)
		}
	}
}

// TestAckWithoutAnswer: when the ACK does not answer the offer of the 2xx to a re-INVITE, what was agreed on stays, and
// the next offer is answered.
func TestAckWithoutAnswer(t *testing.T) {
	t.Parallel()
	l := newHostile(nil)
	if s := l.receive(with(peerInvite("INVITE", "<sip:bob@b.com>", 1), peerSDP)); s != 200 {
		t.Fatal(s)
	}
	to := headerOf(l.last("SIP/2.0 200"), "To")
	l.receive(peerInvite("ACK", to, 1))
	if s := l.receive(peerInvite("INVITE", to, 2)); s != 200 {
		t.Fatal(s)
	}
	l.receive(peerInvite("ACK", to, 2))
	if s := l.receive(with(peerInvite("UPDATE", to, 3), peerSDP)); s != 200 {
		t.Errorf("UPDATE is answered %d", s)
	}
}

// TestShortSession: a 2xx that wants a refresh every second gets one every 45 s (RFC 4028 5).
func TestShortSession(t *testing.T) {
	t.Parallel()
	l := newHostile(nil)
	l.answered(t, "Allow: UPDATE", "Session-Expires: 1;refresher=uac")
	for range 100 {
		l.pass(time.Second)
		if u := l.last("UPDATE"); u != "" {
			l.receive(respond(u, 200, "", peerContact, "Session-Expires: 1;refresher=uac"))
		}
	}
	if n := l.count("UPDATE"); n != 2 || l.count("BYE") != 0 {
		t.Errorf("%d UPDATEs, %d BYEs in 100 s", n, l.count("BYE"))
	}
}

// TestTwoReplaces: RFC 3891 3 wants 400.
func TestTwoReplaces(t *testing.T) {
	t.Parallel()
	l := newHostile(nil)
	for want, headers := range map[uint16][]string{
		400: {"Replaces: a;to-tag=1;from-tag=2", "Replaces: b;to-tag=1;from-tag=2"},
		481: {"Replaces: a;to-tag=1;from-tag=2"},
	} {
		if s := l.receive(peerInvite("INVITE", "<sip:bob@b.com>", int(want), headers...)); s != want {
			t.Errorf("%d Replaces: %d, want %d", len(headers), s, want)
		}
	}
}

// TestMediaTargets: sound goes to the address of one host, or nowhere.
func TestMediaTargets(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		addr, line  string
		remote, rtp string // remote: of RTCP; "" none
		send        bool
	}{
		{"192.0.2.1", "m=audio 4000 RTP/AVP 0", "192.0.2.1:4001", "192.0.2.1:4000", true},
		{"192.0.2.1", "m=audio 4000 RTP/AVP 0\r\na=rtcp:4100", "192.0.2.1:4100", "192.0.2.1:4000", true},
		{"192.0.2.1", "m=audio 4000 RTP/AVP 0\r\na=rtcp:4100 IN IP4 192.0.2.1", "192.0.2.1:4100", "192.0.2.1:4000", true},
		{"192.0.2.1", "m=audio 4000 RTP/AVP 0\r\na=rtcp:4100 IN IP4 203.0.113.1", "", "192.0.2.1:4000", true},
		{"192.0.2.1", "m=audio 65535 RTP/AVP 0", "", "192.0.2.1:65535", true},
		{"192.0.2.1", "m=audio 0 RTP/AVP 0", "", "", false},
		{"255.255.255.255", "m=audio 4000 RTP/AVP 0", "", "", false},
		{"239.1.1.1/127", "m=audio 4000 RTP/AVP 0", "", "", false},
		{"224.0.0.1", "m=audio 4000 RTP/AVP 0", "", "", false},
		{"0.0.0.0", "m=audio 4000 RTP/AVP 0", "", "", false},
		{"b.com", "m=audio 4000 RTP/AVP 0", "", "", false},
	} {
		s := session{want: sdp.SendRecv}
		var p sdp.Session
		sdp.ParseInto([]byte("v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nc=IN IP4 "+test.addr+"\r\nt=0 0\r\n"+test.line+"\r\n"), &p)
		s.agree(&p.Media[0], 0, -1)
		text := func(a netip.AddrPort) string {
			if !a.IsValid() {
				return ""
			}
			return a.String()
		}
		g := s.agreed
		if text(g.Remote) != test.rtp || text(g.RTCP) != test.remote || g.Send != test.send {
			t.Errorf("%s %s: %+v", test.addr, test.line, g)
		}
	}
}

// TestPayloads: each side's telephone-events have the payload type that the other one's description names, and an own one
// keeps its meaning (RFC 3264 5.1, 6.1, 8.3.2); ptime and rtcp-mux are the other side's wish.
func TestPayloads(t *testing.T) {
	t.Parallel()
	var p sdp.Session
	describe := func(format string, args ...any) *sdp.Session {
		sdp.ParseInto(fmt.Appendf(nil, "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"+format, args...), &p)
		return &p
	}
	const line = "m=audio 4000 RTP/AVP 0 %d\r\na=rtpmap:%d telephone-event/8000\r\n"
	s := session{addr: netip.MustParseAddrPort("192.0.2.2:4000"), want: sdp.SendRecv}
	if got := string(s.offer(nil)); !strings.Contains(got, "AVP 0 8 101\r\n") || strings.Contains(got, "rtcp-mux") {
		t.Errorf("offer %q", got)
	}
	if err := s.answered(describe(line+"a=ptime:30\r\na=rtcp-mux\r\n", 96, 96)); err != nil {
		t.Fatal(err)
	}
	if g := s.agreed; g.DTMF != 96 || g.Hear != 101 || g.Ptime != 30 || g.Mux {
		t.Errorf("answered with 96: %+v", g)
	}
	if got := string(s.offer(nil)); !strings.Contains(got, "AVP 0 8 101\r\n") {
		t.Errorf("second offer %q", got)
	}
	s.offered = false
	answer, err := s.answerTo(nil, describe(line+"a=ptime:1\r\na=rtcp-mux\r\n", 97, 97))
	if err != nil {
		t.Fatal(err)
	}
	if g := s.agreed; g.DTMF != 97 || g.Hear != 97 || g.Ptime != 10 || !g.Mux {
		t.Errorf("offered with 97: %+v", g)
	}
	again := string(s.offer(nil))
	for _, d := range []string{string(answer), again} {
		if !strings.Contains(d, "a=rtcp-mux\r\n") || !strings.Contains(d, " 97\r\n") {
			t.Errorf("%q", d)
		}
	}
	if err := s.answered(describe("m=audio 4000 RTP/AVP 0\r\na=ptime:60\r\na=maxptime:40\r\n")); err != nil {
		t.Fatal(err)
	}
	if g := s.agreed; g.DTMF != -1 || g.Hear != -1 || g.Ptime != 40 || g.Mux {
		t.Errorf("answered without: %+v", g)
	}
}

// TestReferWithout: a 2xx to a REFER without subscription has a Contact (RFC 3515 2.2), and the early-only of its
// Replaces is kept (RFC 3891 6.1).
func TestReferWithout(t *testing.T) {
	t.Parallel()
	l := newHostile(nil)
	_, invite := l.answered(t)
	if s := l.receive(inside(invite, "REFER", "A", 1, "Refer-Sub: false",
		"Refer-To: <sip:x@192.0.2.7?Replaces=cid%3Bto-tag%3D1%3Bfrom-tag%3D2%3Bearly-only>")); s != 200 {
		t.Fatalf("REFER is answered %d", s)
	}
	if v := headerOf(l.last("SIP/2.0 200"), "Contact"); v != "<sip:bob@192.0.2.10:5060>" {
		t.Errorf("Contact %q", v)
	}
	if v := headerOf(l.last("INVITE"), "Replaces"); v != "cid;to-tag=1;from-tag=2;early-only" {
		t.Errorf("Replaces %q", v)
	}
}

// TestReferHeaders: a URI that has headers gets one more.
func TestReferHeaders(t *testing.T) {
	t.Parallel()
	l := newHostile(nil)
	c, _ := l.answered(t)
	other, _ := l.answered(t)
	for to, want := range map[string]string{
		"sip:c@192.0.2.9":           "<sip:c@192.0.2.9?Replaces=",
		"sip:c@192.0.2.9?Subject=x": "<sip:c@192.0.2.9?Subject=x&Replaces=",
	} {
		if _, err := c.Refer(to, other); err != nil {
			t.Fatal(err)
		}
		l.wake()
		if v := headerOf(l.last("REFER"), "Refer-To"); !strings.HasPrefix(v, want) {
			t.Errorf("Refer-To %q", v)
		}
	}
}

// TestPlainTarget: what somebody else wants called leads to its host and nowhere else.
func TestPlainTarget(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]string{
		"sip:x@b.com": "sip:x@b.com",
		"sip:x@b.com;maddr=1.2.3.4;transport=tcp;TTL=4;lr;method=BYE;gr=abc": "sip:x@b.com;transport=tcp;gr=abc",
		"sip:x;a=b@b.com:5070;MADDR=1.2.3.4?Route=%3Csip:y%3E&Subject=hi":    "sip:x;a=b@b.com:5070",
		"sips:x@[2001:db8::1]:5070;user=phone?":                              "sips:x@[2001:db8::1]:5070;user=phone",
		"tel:+49301;phone-context=x":                                         "tel:+49301;phone-context=x",
	} {
		if got := plainTarget(uri); got != want {
			t.Errorf("%s: %s, want %s", uri, got, want)
		}
	}
}
