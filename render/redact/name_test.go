package redact_test

import (
	"strings"
	"testing"

	"sipscope/correlate"
	"sipscope/decode/frame"
	"sipscope/render/redact"
)

// TestStandIns: a name that was never learnt gets the number 0 of its kind.
func TestStandIns(t *testing.T) {
	t.Parallel()
	r := redact.New()
	for _, tt := range []struct {
		kind     redact.Kind
		in, want string
	}{
		{redact.User, "alice", "user0"},
		{redact.User, "+49-30", "+00-00"},
		{redact.Display, "Alice", "Name 0"},
		{redact.Host, "example.com", "host0.example.invalid"},
		{redact.Host, "Example.com", "host0.example.invalid"},
		{redact.Host, "192.0.2.7", "198.18.0.0"},
		{redact.Host, "[2001:db8:7::1]", "[2001:db8::]"},
		{redact.Host, "0.0.0.0", "0.0.0.0"},
		{redact.Host, "::", "::"},
		{redact.Agent, "Phone 1.0", "agent 0"},
		{redact.CallID, "a@b", "call0@invalid"},
		{redact.CallID, "a", "call0"},
		{redact.Tag, "abc", "tag0"},
		{redact.Branch, "z9hG4bKabc", "z9hG4bKb0"},
		{redact.Branch, "abc", "b0"},
		{redact.Method, "INVITE", "INVITE"},
		{redact.Method, "ALICE", "METHOD0"},
		{redact.Phrase, "Busy here", "Busy here"},
		{redact.Phrase, "Alice", "Reason 0"},
		{redact.Token, "0123abcdef", "0000000000"},
		{redact.Token, "xyz", "token0"},
		{redact.Number, "12345678", "1000000"},
		{redact.Text, "Hello", "redacted-0"},
	} {
		if got := r.Name(tt.kind, tt.in); got != tt.want {
			t.Errorf("kind %d: %q became %q, want %q", tt.kind, tt.in, got, tt.want)
		}
	}
	if got := r.Name(0, "Hello"); strings.Contains(got, "Hello") {
		t.Errorf("no kind: %q", got)
	}
	e := frame.Endpoint4([]byte{192, 0, 2, 7}, 5060)
	if got := r.Endpoint(e).String(); got != "198.18.0.0:5060" {
		t.Errorf("endpoint %s", got)
	}
}

// TestSequence: a CSeq number that is somebody's telephone number changes, in all messages and in the call.
func TestSequence(t *testing.T) {
	t.Parallel()
	const number = "CSeq: 30123456 INVITE\r\n"
	text := "ACK sip:30123456@example.com SIP/2.0\r\nCall-ID: x\r\n" + number + "RAck: 30123456 30123456 INVITE\r\n\r\n"
	other := "ACK sip:bob@example.com SIP/2.0\r\nCall-ID: x\r\nCSeq: 1000001 INVITE\r\n\r\n"
	c := correlate.Call{Messages: []correlate.Message{{CSeq: 30123456, Method: "ACK"}, {CSeq: 1000001, Method: "ACK"}}}
	texts := []string{text, other}
	r := redact.New()
	r.Learn(&c, func(i int) []byte { return []byte(texts[i]) })
	red := r.Call(&c)
	if red.Messages[0].CSeq == 30123456 || red.Messages[0].CSeq == 1000001 || red.Messages[1].CSeq != 1000001 {
		t.Errorf("CSeq %d and %d", red.Messages[0].CSeq, red.Messages[1].CSeq)
	}
	if got := string(r.Text([]byte(text))); strings.Contains(got, "30123456") {
		t.Error(got)
	}
}

// TestSpellings: the same host in capital letters is the same host, spelled in another way.
func TestSpellings(t *testing.T) {
	t.Parallel()
	r := redact.New()
	names := []string{"example.com", "EXAMPLE.COM", "Example.com", "eXample.com", "2001:db8:7::1", "2001:DB8:7::1", "2001:db8:7:0::1"}
	for _, n := range names {
		r.LearnName(redact.Host, n)
	}
	seen := map[string]bool{}
	for _, n := range names[:4] {
		alias := r.Name(redact.Host, n)
		if !strings.EqualFold(alias, "host1.example.invalid") || seen[alias] {
			t.Errorf("%q became %q", n, alias)
		}
		seen[alias] = true
	}
	for _, n := range names[4:] {
		alias := r.Name(redact.Host, n)
		if seen[alias] || len(alias) < len("2001:db8::1") {
			t.Errorf("%q became %q", n, alias)
		}
		seen[alias] = true
	}
}

// TestNested: a part that is multipart itself.
func TestNested(t *testing.T) {
	t.Parallel()
	body := "--a1b2\r\nContent-Type: multipart/alternative;boundary=cc33\r\n\r\n--cc33\r\nContent-Type: text/plain\r\n\r\nAlice\r\n" +
		"--cc33\r\nContent-Type: application/sdp\r\n\r\nv=0\r\ns=Alice\r\nm=audio 1 RTP/AVP 0\r\n--cc33--\r\n" +
		"--a1b2\r\nContent-Type: text/html\r\n\r\nBob\r\n--a1b2--\r\n"
	in := "INFO sip:a SIP/2.0\r\nContent-Type: multipart/mixed;boundary=a1b2\r\n\r\n" + body
	out := learnt(in).Text([]byte(in))
	m := parse(t, out)
	var types []string
	for p := range m.Parts() {
		types = append(types, string(p.Type))
	}
	if got := strings.Join(types, " "); got != "multipart/alternative text/plain application/sdp text/html" {
		t.Errorf("parts %s in\n%s", got, out)
	}
	if sdp, ok := m.SDP(); !ok || !strings.HasPrefix(string(sdp), "v=0\r\ns=redacted-") {
		t.Errorf("sdp %q in\n%s", sdp, out)
	}
	for _, s := range []string{"Alice", "Bob", "a1b2", "cc33"} {
		if strings.Contains(string(out), s) {
			t.Errorf("%s stands in\n%s", s, out)
		}
	}
}

// TestOddBodies: what only looks like SDP or like parts.
func TestOddBodies(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		withBody("application/sdp", "a=fmtp:1 \x00alice\r\no=alice\r\nc=alice\r\nk=alice\r\na=crypto:alice\r\na=ssrc:alice bob\r\n", "1"),
		withBody("multipart/mixed", "alice", "5"), withBody("multipart/mixed;boundary=alice", "alice", "5"),
		withBody("message/sipfrag", "alice", "5"), withBody("alice", "alice", "5"),
	} {
		in = strings.Replace(in, "Content-Length: 1\r\n", "", 1)
		if out := string(learnt(in).Text([]byte(in))); strings.Contains(out, "alice") {
			t.Errorf("alice stands in\n%s", out)
		}
	}
}
