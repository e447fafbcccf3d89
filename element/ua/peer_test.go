package ua

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"sipscope/decode/sip"
)

// A peer by hand: what the other side says to an agent on a hostile link.

const (
	peerContact = "Contact: <sip:b@192.0.2.1>"
	peerSDP     = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
)

// headerOf is the value of a header that the agent wrote; "" for none.
func headerOf(raw, name string) string {
	for line := range strings.SplitSeq(raw, "\r\n") {
		if v, ok := strings.CutPrefix(line, name+": "); ok {
			return v
		}
	}
	return ""
}

// last gives the request of that method that was sent last, or the response whose line begins so; "" for none.
func (l *hostile) last(start string) string {
	for _, v := range slices.Backward(l.sent) {
		if strings.HasPrefix(v, start+" ") {
			return v
		}
	}
	return ""
}

// lastTo is the address and port that it went to.
func (l *hostile) lastTo(start string) string {
	for i, v := range slices.Backward(l.sent) {
		if strings.HasPrefix(v, start+" ") {
			return l.hops[i].Remote.String()
		}
	}
	return ""
}

func (l *hostile) count(start string) (n int) {
	for _, s := range l.sent {
		if strings.HasPrefix(s, start+" ") {
			n++
		}
	}
	return n
}

// wake does what is due now.
func (l *hostile) wake() { l.agent.Handler().Wake(l.now) }

// respond writes a response to a request of the agent.
func respond(req string, status int, tag string, headers ...string) []byte {
	to := headerOf(req, "To")
	if tag != "" && !strings.Contains(to, "tag=") {
		to += ";tag=" + tag
	}
	var b strings.Builder
	fmt.Fprintf(&b, "SIP/2.0 %d %s\r\nVia: %s\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %s\r\n", status, sip.ReasonPhrase(status),
		headerOf(req, "Via"), headerOf(req, "From"), to, headerOf(req, "Call-ID"), headerOf(req, "CSeq"))
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	return []byte(b.String() + "Content-Length: 0\r\n\r\n")
}

// with gives a message without a body a session description.
func with(raw []byte, sdp string) []byte {
	head := fmt.Sprintf("Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", len(sdp), sdp)
	return []byte(strings.Replace(string(raw), "Content-Length: 0\r\n\r\n", head, 1))
}

// inside writes a request of the one who was called by invite, in the dialog that its tag makes.
func inside(invite, method, tag string, cseq int, headers ...string) []byte {
	return peerRequest(method, headerOf(invite, "To")+";tag="+tag, headerOf(invite, "From"), headerOf(invite, "Call-ID"), cseq, headers...)
}

// peerInvite writes a request of somebody who calls the agent: to is its To value, with the agent's tag in a dialog.
func peerInvite(method, to string, cseq int, headers ...string) []byte {
	return peerRequest(method, "<sip:a@a.com>;tag=1", to, "in", cseq, headers...)
}

func peerRequest(method, from, to, callID string, cseq int, headers ...string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%s sip:a@192.0.2.10 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK%s%d%s\r\nMax-Forwards: 70\r\n",
		method, method, cseq, from[len(from)-1:])
	fmt.Fprintf(&b, "From: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %d %s\r\n", from, to, callID, cseq, method)
	contact := peerContact
	for _, h := range headers {
		if strings.HasPrefix(h, "Contact: ") {
			contact = h
			continue
		}
		b.WriteString(h + "\r\n")
	}
	return []byte(b.String() + contact + "\r\nContent-Length: 0\r\n\r\n")
}

// callOut makes a call and gives its INVITE.
func (l *hostile) callOut(t *testing.T, opt CallOptions) (*Call, string) {
	t.Helper()
	if opt.To == "" {
		opt.To = "sip:b@192.0.2.1"
	}
	c, err := l.agent.Call(opt)
	if err != nil {
		t.Fatal(err)
	}
	l.wake()
	return c, l.last("INVITE")
}

// answered makes a call that is answered.
func (l *hostile) answered(t *testing.T, headers ...string) (*Call, string) {
	t.Helper()
	c, invite := l.callOut(t, CallOptions{})
	l.receive(with(respond(invite, 200, "A", append(headers, peerContact)...), peerSDP))
	if c.State() != StateConfirmed {
		t.Fatalf("the call is %v", c.State())
	}
	return c, invite
}
