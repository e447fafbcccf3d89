package sip

import (
	"fmt"
	"strings"
	"testing"
)

func TestStartLine(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxStartLine)
	for _, test := range []struct {
		text  string
		want  Match
		whole bool // IsStart
	}{
		{"", NeedMore, false},
		{"I", NeedMore, false},
		{"INVITE", NeedMore, false},
		{"INVITE ", NeedMore, false},
		{"INVITE sip:a", NeedMore, false},
		{"INVITE sip:a SIP/2.0", NeedMore, true}, // in a stream, "x\r\n" may follow
		{"INVITE sip:a SIP/2.0\r", NeedMore, true},
		{"INVITE sip:a SIP/2.0\r\n", Matched, true},
		{"INVITE sip:a SIP/2.0\n", Matched, true},
		{"INVITE sip:a SIP/2.0x\r\n", NoMatch, false},
		{"INVITE sip:a sip/2.0\r\n", Matched, true},
		{"INVITE sip:a SIP/7.0\r\n", Matched, true},
		{"INVITE sip:a SIP/12.34\r\n", Matched, true},
		{"INVITE\t sip:a; lr \t SIP/2.0 \t \r\n", Matched, true},
		{"INVITE <sip:a> SIP/2.0\r\n", Matched, true},
		{"!%*_+`'~.-1 urn:x SIP/2.0\r\n", Matched, true},
		{"S sip:a SIP/2.0\r\n", Matched, true},
		{"SIP sip:a SIP/2.0\r\n", Matched, true},
		{"SUBSCRIBE sip:\xff\x00 SIP/2.0\r\n", Matched, true},
		{"INVITE sip:a\r\nTo: SIP/2.0\r\n", NoMatch, false},
		{"INVITE SIP/2.0\r\n", NoMatch, false},
		{"GET / HTTP/1.1\r\n", NoMatch, false},
		{"OPTIONS * RTSP/1.0\r\n", NoMatch, false},
		{"M-SEARCH * HTTP/1.1\r\n", NoMatch, false},
		{"\x80\x00", NoMatch, false},
		{"\r\nINVITE sip:a SIP/2.0\r\n", NoMatch, false},
		{"S", NeedMore, false},
		{"SIP", NeedMore, false},
		{"SIP/2.0", NeedMore, false},
		{"SIP/2.0 ", NeedMore, false},
		{"SIP/2.0 20", NeedMore, false},
		{"SIP/2.0 200", Matched, true},
		{"SIP/2.0 200 OK\r\n", Matched, true},
		{"sip/2.0 \t 200 OK\r\n", Matched, true},
		{"SIP/3.1 200 OK\r\n", Matched, true},
		{"SIP/2.0 4294967301 x\r\n", Matched, true},
		{"SIP/2.0  2x", NoMatch, false},
		{"SIP/2.0\r\n200", NoMatch, false},
		{"SIP/2 200", NoMatch, false},
		{"HTTP/1.1 200 OK\r\n", NoMatch, false},
		{strings.Repeat("M", maxMethod+1) + " sip:a SIP/2.0\r\n", NoMatch, true},
		{"INVITE sip:" + long + " SIP/2.0\r\n", NoMatch, true},
		{"INVITE " + long[:maxStartLine-8], NeedMore, false},
		{"INVITE " + long, NoMatch, false},
	} {
		if got := StartLine([]byte(test.text)); got != test.want {
			t.Errorf("StartLine(%.60q) = %d, want %d", test.text, got, test.want)
		}
		if got := IsStart([]byte(test.text)); got != test.whole {
			t.Errorf("IsStart(%.60q) = %v, want %v", test.text, got, test.whole)
		}
	}
}

func TestSkipCRLF(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"": 0, "\r\n": 2, "\r\n\r\nSIP": 4, "\n\r\n": 3, "a\r\n": 0, " \r\n": 0} {
		if got := SkipCRLF([]byte(text)); got != want {
			t.Errorf("SkipCRLF(%q) = %d, want %d", text, got, want)
		}
	}
}

func TestExtent(t *testing.T) {
	t.Parallel()
	const start = "INVITE sip:a SIP/2.0\r\n"
	for _, test := range []struct {
		text   string
		head   int // -1: incomplete; 0: all of text
		length int64
	}{
		{"", -1, -1},
		{start, -1, -1},
		{start + "\r", -1, -1},
		{start + "\r\n", 0, -1},
		{start + "\n", 0, -1},
		{"SIP/2.0 200 OK\n\n", 0, -1},
		{start + "Content-Length: 5\r\n\r\n", 0, 5},
		{start + "content-length:5\n\n", 0, 5},
		{start + "l: 5\r\n\r\n", 0, 5},
		{start + "L\t : 5 \r\n\r\n", 0, 5},
		{start + "Content-Length" + strings.Repeat(" ", 90) + ":\r\n 5\r\n\r\n", 0, 5},
		{start + "Content-Length\r\n :\r\n 5\r\n\r\n", 0, 5},
		{start + "Content-Length: 5\r\n \r\n\r\n", 0, 5},
		{start + "Content-Length: 5\r\nl: 7\r\n\r\n", 0, 5},
		{start + "Content-Length: -5\r\nl: 7\r\n\r\n", 0, -1},
		{start + "Content-Length: 9007199254740993\r\n\r\n", 0, -1},
		{start + "Subject: x\r\n Content-Length: 5\r\n\r\n", 0, -1},
		{start + "Content-Lengthy: 5\r\nContent-Type: l:5\r\nCall-ID: x\r\nc\r\nl\r\n\r\n", 0, -1},
		{start + " \r\n\r\n", 0, -1},
		{start + "Contact: a\r\n\r\nl: 9\r\n\r\n", len(start) + len("Contact: a\r\n\r\n"), -1},
	} {
		want := test.head
		if want == 0 {
			want = len(test.text)
		}
		head, length, state := Extent([]byte(test.text))
		if state == HeadIncomplete {
			head = -1
		}
		if head != want || length != test.length {
			t.Errorf("Extent(%q) = %d, %d; want %d, %d", test.text, head, length, want, test.length)
		}
	}
}

// sameExtent fails when Extent depends on how the bytes arrive, or says something else than Parse.
func sameExtent(t *testing.T, b []byte) {
	t.Helper()
	head, length, state := Extent(b)
	for from := range b {
		if h, _, s := Extent(b[:from]); s == HeadComplete {
			if h > from || h != head {
				t.Fatalf("the first %d bytes of %q have a head of %d, all have %d", from, b, h, head)
			}
			break
		}
		if h, l, s := ExtentFrom(b, from); h != head || l != length || s != state {
			t.Fatalf("from %d: %d, %d, %d; from 0: %d, %d, %d\n%q", from, h, l, s, head, length, state, b)
		}
	}
	var m Message
	if Parse(b, &m) != nil {
		return
	}
	if state == HeadComplete && (int(m.Head) != head || m.ContentLength != length) {
		t.Fatalf("Parse has a head of %d and a length of %d, Extent %d and %d\n%q", m.Head, m.ContentLength, head, length, b)
	}
	if state == HeadIncomplete && int(m.Head) != len(b) {
		t.Fatalf("Parse finds a head of %d bytes where Extent finds none\n%q", m.Head, b)
	}
}

// A message cut anywhere is no other message: no prefix of a start line is refused, or taken before it is whole.
func TestCuts(t *testing.T) {
	t.Parallel()
	for _, text := range [][]byte{inviteText(), okText(), []byte(plain), []byte("X <y>  sip/2.0\n\n"), []byte("sip/2.0  200 x\r\n\r\n")} {
		sameExtent(t, text)
		sure := NeedMore
		for n := range text {
			m := StartLine(text[:n])
			if m < sure || m == NoMatch {
				t.Fatalf("StartLine(%q) = %d after %d", text[:n], m, sure)
			}
			sure = m
		}
	}
}

func FuzzStartLine(f *testing.F) {
	for _, s := range []string{plain, "SIP/2.0 200 OK\r\n\r\n", "GET / HTTP/1.1\r\n", "\x80\x60", "INVITE  <sip:a>  SIP/7.0 \n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got := StartLine(b)
		for n := range min(len(b), 600) {
			if m := StartLine(b[:n]); m != NeedMore && m != got {
				t.Fatalf("%d after %d bytes, %d after all: %q", m, n, got, b)
			}
		}
		var m Message
		if err := Parse(b, &m); (err == nil) != IsStart(b) {
			t.Fatalf("Parse: %v, IsStart: %v: %q", err, IsStart(b), b)
		}
		if got == Matched && !IsStart(b) {
			t.Fatalf("a start line in a stream and none in a datagram: %q", b)
		}
	})
}

func FuzzExtent(f *testing.F) {
	for _, s := range []string{plain, "S a SIP/2.0\r\nl\r\n :\r\n 5\r\n\r\n", "S a SIP/2.0\n\r\n\n", "\n\r\r\n\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 2000 {
			sameExtent(t, b)
		}
	})
}

func TestNextControl(t *testing.T) {
	t.Parallel()
	for c := range 256 {
		for n := range 20 {
			b := []byte(strings.Repeat("x", n) + string([]byte{byte(c)}) + "yé\xff~ yyyyyyyy")
			want := len(b)
			if c < ' ' || c == 0x7f {
				want = n
			}
			if got := nextControl(b, 0); got != want {
				t.Fatalf("nextControl(%q) = %d, want %d", b, got, want)
			}
		}
	}
	if got := nextControl([]byte("\n\n"), 2); got != 2 {
		t.Error(got)
	}
}

func ExampleParse() {
	var m Message
	err := Parse([]byte("BYE sip:bob@b.example SIP/2.0\nVia: SIP/2.0/UDP a.example;branch=z9hG4bK7\n"+
		"Max-Forwards: 70\nFrom: Alice <sip:alice@a.example>;tag=1\nt: <sip:bob@b.example>;tag=2\n"+
		"i: 4711@a.example\nCSeq: 2 BYE\n\n"), &m)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s from %s, call %s\n", m.MethodID, m.From.User.Of(m.Raw), m.CallID.Of(m.Raw))
	for _, d := range m.Diags {
		fmt.Printf("%s (%s): %s\n", d.Code, d.Code.Section(), d.Code.Text())
	}
	// Output:
	// BYE from alice, call 4711@a.example
	// line-end (RFC 3261 7): A line ends in LF alone, not in CR LF.
}
