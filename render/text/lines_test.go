package text_test

import (
	"bytes"
	"fmt"
	"iter"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sipscope/decode/sip"
	"sipscope/render/text"
)

// letters stand for styles in tests.
var letters = map[text.Color]string{
	text.Plain: "", text.Dim: "d", text.HeaderName: "h", text.Method: "m", text.URI: "u", text.Parameter: "p",
	text.Identity: "i", text.Number: "n", text.BodyName: "b", text.Request: "Q", text.Provisional: "1",
	text.Success: "2", text.Redirect: "3", text.Failure: "4", text.DiagWarning: "w", text.DiagError: "e",
}

// styled writes a line with each styled piece as letter{text}.
func styled(l *text.Line) string {
	var b strings.Builder
	for _, s := range l.Segs {
		if s.Style == text.Plain {
			b.WriteString(s.Text)
		} else {
			fmt.Fprintf(&b, "%s{%s}", letters[s.Style], s.Text)
		}
	}
	return b.String()
}

func styledLines(lines iter.Seq[text.Line]) []string {
	var all []string
	for l := range lines {
		all = append(all, styled(&l))
	}
	return all
}

// TestSyntax: what each piece of a message is.
func TestSyntax(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{ // line of a head, want
		{"Via: SIP/2.0/UDP h:5060;branch=z9hG4bKa;rport=5062;x", "h{Via}: SIP/2.0/UDP u{h:5060};p{branch}=i{z9hG4bKa};p{rport}=n{5062};p{x}"},
		{"v:SIP / 2.0/UDP [::1] ; Branch = 1,SIP/2.0/TCP b", "h{v}:SIP / 2.0/UDP u{[::1]} ; p{Branch} = i{1},SIP/2.0/TCP u{b}"},
		{`From: "A ; \" <x>" <sip:a@b;tag=no>;tag=1;y="a;b"`, `h{From}: "A ; \" <x>" <u{sip:a@b;tag=no}>;p{tag}=i{1};p{y}="a;b"`},
		{"t: sip:bob@b;tag=2, <tel:1>;p", "h{t}: u{sip:bob@b};p{tag}=i{2}, <u{tel:1}>;p{p}"},
		{"Contact: *", "h{Contact}: *"},
		{"Call-ID: a;b@c", "h{Call-ID}: i{a;b@c}"},
		{"Replaces: a@b;to-tag=7;from-tag=8;early-only", "h{Replaces}: i{a@b};p{to-tag}=i{7};p{from-tag}=i{8};p{early-only}"},
		{"CSeq: 101 INVITE", "h{CSeq}: n{101} m{INVITE}"},
		{"RAck: 1 101 INVITE", "h{RAck}: n{1} n{101} m{INVITE}"},
		{"Allow: INVITE,ACK, BYE", "h{Allow}: m{INVITE},m{ACK}, m{BYE}"},
		{"Max-Forwards: 70", "h{Max-Forwards}: n{70}"},
		{"Session-Expires: 1800;refresher=uac", "h{Session-Expires}: n{1800};p{refresher}=uac"},
		{`Authorization: Digest username="a, b", uri="sip:x", nc=00000001`, `h{Authorization}: m{Digest} p{username}="a, b", p{uri}=u{"sip:x"}, p{nc}=n{00000001}`},
		{` realm="r"`, ` p{realm}="r"`},
		{"User-Agent: SIPp 3;x=1", "h{User-Agent}: SIPp 3;x=1"},
		{"X-Own: a;b=c;tag=9;;=", "h{X-Own}: a;p{b}=c;p{tag}=i{9};;="},
		{"Supported: 100rel, timer", "h{Supported}: 100rel, timer"},
		{`Warning: 399 h "a;b`, `h{Warning}: n{399} h "a;b`},
		{"no colon here", "no colon here"},
		{"From: <sip:a", "h{From}: <u{sip:a}"},
		{"From: a;\u0301tag=1", "h{From}: a;\u0301p{tag}=n{1}"},
	} {
		raw := "INVITE sip:a@b SIP/2.0\r\nAuthorization: x\r\n" + c[0] + "\r\n"
		if c[0][0] == ' ' {
			raw = "INVITE sip:a@b SIP/2.0\r\nAuthorization: Digest a=b,\r\n" + c[0] + "\r\n"
		}
		got := styledLines(text.RawLines([]byte(raw), text.MessageOptions{}))
		if want := "m{INVITE} u{sip:a@b} d{SIP/2.0}"; got[0] != want {
			t.Errorf("%s, want %s", got[0], want)
		}
		if got[2] != c[1] {
			t.Errorf("%q:\n got %s\nwant %s", c[0], got[2], c[1])
		}
	}
}

// TestSyntaxStart: start lines, right and wrong.
func TestSyntaxStart(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"SIP/2.0 180 Ringing":      "d{SIP/2.0 }1{180 Ringing}",
		"SIP/2.0 401 Unauthorized": "d{SIP/2.0 }1{401 Unauthorized}",
		"SIP/2.0 200 ":             "d{SIP/2.0 }2{200 }",
		"SIP/2.0 302 x":            "d{SIP/2.0 }3{302 x}",
		"SIP/2.0 603 Decline":      "d{SIP/2.0 }4{603 Decline}",
		"SIP/2.0 2x0 OK":           "m{SIP/2.0} u{2x0} d{OK}",
		"INVITE  sip:a b SIP/2.0":  "m{INVITE} u{ sip:a b} d{SIP/2.0}",
		"INVITE":                   "Q{INVITE}",
		" x":                       "Q{ x}",
		"":                         "",
	} {
		got := styledLines(text.RawLines([]byte(in+"\r\n"), text.MessageOptions{}))
		if len(got) != 1 || got[0] != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// TestSyntaxBody: session descriptions line by line; other bodies stay plain.
func TestSyntaxBody(t *testing.T) {
	t.Parallel()
	sdp := []string{
		"v=0", "o=- 12 3 IN IP4 10.0.0.1", "s=a 1", "u=http://x", "c=IN IP6 2001:db8::1/127", "b=AS:64", "t=0 0",
		"m=audio 49170/2 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/8000", "a=sendonly", "x", "=", "SIP/2.0 200 OK",
	}
	for _, c := range []struct {
		kind string
		want []string
	}{
		{"application/SDP", []string{
			"b{v=}0", "b{o=}- n{12} n{3} IN IP4 u{10.0.0.1}", "b{s=}a 1", "b{u=}u{http://x}", "b{c=}IN IP6 u{2001:db8::1}/n{127}",
			"b{b=}p{AS}:n{64}", "b{t=}n{0} n{0}", "b{m=}audio n{49170}/n{2} RTP/AVP n{0} n{101}",
			"b{a=}p{rtpmap}:n{101} telephone-event/n{8000}", "b{a=}p{sendonly}", "x", "=", "d{SIP/2.0 }2{200 OK}",
		}},
		{"text/plain", append(sdp[:len(sdp)-1:len(sdp)-1], "d{SIP/2.0 }2{200 OK}")},
	} {
		raw := "SIP/2.0 200 OK\nc: " + c.kind + "\n\n" + strings.Join(sdp, "\n")
		got := styledLines(text.RawLines([]byte(raw), text.MessageOptions{}))
		if diff := cmp.Diff(c.want, got[3:]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.kind, diff)
		}
	}
}

// TestParsedLines: every line says which bytes it shows, and each diag which it is.
func TestParsedLines(t *testing.T) {
	t.Parallel()
	var m sip.Message
	if err := sip.Parse([]byte(invite), &m); err != nil {
		t.Fatal(err)
	}
	lines, more := text.Lines(text.ParsedLines(&m, text.MessageOptions{}), 0)
	if more {
		t.Error("more than all")
	}
	diags := 0
	for i := range lines {
		l := &lines[i]
		shows := invite[l.Off : l.Off+l.Len]
		switch {
		case l.Diag >= 0:
			diags++
			d := m.Diags[l.Diag]
			if d.Span != (sip.Span{Off: uint32(l.Off), Len: uint32(l.Len)}) || !strings.Contains(l.Text(), d.Code.String()) {
				t.Errorf("%s: %+v shows %q", l.Text(), d, shows)
			}
		case strings.Contains(l.Text(), "9fxced76sl"):
			if want := "f: \"Alice"; !strings.HasPrefix(shows, want) || !strings.HasSuffix(shows, "sl\r\n") {
				t.Errorf("the tag's line shows %q", shows)
			}
			if got := styled(l); !strings.HasSuffix(got, "i{9fxced76sl}") {
				t.Error(got)
			}
		case strings.Contains(l.Text(), "a=rtpmap:0"):
			if shows != "a=rtpmap:0 PCMU/8000\r\n" {
				t.Errorf("%s shows %q", l.Text(), shows)
			}
		}
	}
	if diags != len(m.Diags) || diags == 0 {
		t.Errorf("%d lines with diags of %d", diags, len(m.Diags))
	}
}

func TestLinesLimit(t *testing.T) {
	t.Parallel()
	raw := []byte("SIP/2.0 200 OK\nA: b\n\nx\ny\n")
	all, more := text.Lines(text.RawLines(raw, text.MessageOptions{}), 0)
	if len(all) != 5 || more {
		t.Fatal(len(all), more)
	}
	for limit := 1; limit <= 5; limit++ {
		got, rest := text.Lines(text.RawLines(raw, text.MessageOptions{}), limit)
		if diff := cmp.Diff(all[:limit], got); diff != "" || rest != (limit < 5) {
			t.Errorf("limit %d: more is %v (-want +got)\n%s", limit, rest, diff)
		}
	}
	for off, want := range []int{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 3, 3, 4, 4, 4, 4} {
		if got := text.LineAt(all, off); got != want {
			t.Errorf("offset %d is in line %d, want %d", off, got, want)
		}
	}
	if got := text.LineAt(nil, 3); got != -1 {
		t.Errorf("of nothing: %d", got)
	}
}

// TestManySegments: a line of nothing but separators stays bounded and whole.
func TestManySegments(t *testing.T) {
	t.Parallel()
	line := "X: " + strings.Repeat(";a=1", 16<<10)
	lines, _ := text.Lines(text.RawLines([]byte("INVITE a SIP/2.0\r\n"+line), text.MessageOptions{}), 0)
	if n := len(lines[1].Segs); n > 4100 || lines[1].Text() != line {
		t.Errorf("%d segments, %d bytes of %d", n, len(lines[1].Text()), len(line))
	}
}

// checkLines holds what is true for the lines of any text.
func checkLines(t *testing.T, raw []byte, ascii bool) {
	t.Helper()
	opts := text.MessageOptions{ASCII: ascii}
	clean := text.Clean
	if ascii {
		clean = text.CleanASCII
	}
	var whole bytes.Buffer
	if err := text.RawMessage(&whole, raw, opts); err != nil {
		t.Fatal(err)
	}
	at := 0
	var joined strings.Builder
	kept, _ := text.Lines(text.RawLines(raw, opts), 0)
	for i := range kept {
		l := &kept[i]
		if l.Off != at || l.Len <= 0 || l.Diag != -1 {
			t.Fatalf("line %d at %d, want %d: %+v", i, l.Off, at, l)
		}
		at += l.Len
		shown := strings.TrimSuffix(strings.TrimSuffix(string(raw[l.Off:at]), "\n"), "\r")
		if got := l.Text(); got != clean(shown) {
			t.Fatalf("line %d: %q, want %q", i, got, clean(shown))
		}
		for _, s := range l.Segs {
			if s.Text == "" || clean(s.Text) != s.Text {
				t.Fatalf("line %d: %q is not clean by itself", i, s.Text)
			}
		}
		if text.LineAt(kept, l.Off) != i || text.LineAt(kept, at-1) != i {
			t.Fatalf("line %d is not found by its bytes", i)
		}
		joined.WriteString(l.Text() + "\n")
	}
	if at != len(raw) || joined.String() != whole.String() {
		t.Fatalf("%d bytes of %d in lines:\n%s\nwritten:\n%s", at, len(raw), joined.String(), whole.String())
	}
}

// FuzzLines: lines join to the text that is written, each byte is in one line, each segment is clean by itself, and
// every diag has its line.
func FuzzLines(f *testing.F) {
	f.Add([]byte(invite), false)
	f.Add([]byte("SIP/2.0 200\nVia: \x80\u0301;\u0301=\u0301\"\\\u0301\n x\n\nv=\u0301\na=:\n"), true)
	f.Add([]byte("A b SIP/2.0\r\nFrom: \"\\"), false)
	f.Add([]byte("A b SIP/2.0\r\nv:a/b/c;;==,,<>\"\"\nWWW-Authenticate: ,=,\" x"), false)
	f.Fuzz(func(t *testing.T, raw []byte, ascii bool) {
		checkLines(t, raw, ascii)
		var m sip.Message
		if sip.Parse(raw, &m) != nil {
			return
		}
		opts := text.MessageOptions{ASCII: ascii}
		var whole bytes.Buffer
		if err := text.ParsedMessage(&whole, &m, opts); err != nil {
			t.Fatal(err)
		}
		var joined strings.Builder
		told := make([]int, len(m.Diags))
		for l := range text.ParsedLines(&m, opts) {
			if l.Off < 0 || l.Len < 0 || l.Off+l.Len > len(raw) {
				t.Fatalf("%q shows %d bytes from %d of %d", l.Text(), l.Len, l.Off, len(raw))
			}
			if l.Diag >= 0 {
				told[l.Diag]++
			}
			joined.WriteString(l.Text() + "\n")
		}
		for i, n := range told {
			if n != 1 {
				t.Fatalf("%v is told %d times:\n%s", m.Diags[i], n, joined.String())
			}
		}
		if joined.String() != whole.String() {
			t.Fatalf("lines:\n%s\nwritten:\n%s", joined.String(), whole.String())
		}
	})
}

func BenchmarkRawLines(b *testing.B) {
	for name, raw := range map[string]string{
		"invite":       invite,
		"60000 lines":  "INVITE sip:a@b SIP/2.0\r\nContent-Type: application/sdp\r\n\r\n" + strings.Repeat("a=rtpmap:0 PCMU/8000\r\n", 60000),
		"quotes":       "INVITE sip:a@b SIP/2.0\r\nAuthorization: x " + strings.Repeat(`a=""`, 16<<10) + "\r\n\r\n",
		"brackets":     "INVITE sip:a@b SIP/2.0\r\nTo: " + strings.Repeat(`<;"`, 21<<10) + "\r\n\r\n",
		"64 KiB field": "INVITE sip:a@b SIP/2.0\r\nX: " + strings.Repeat(";a=1", 16<<10) + "\r\n\r\n",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				n := 0
				for l := range text.RawLines([]byte(raw), text.MessageOptions{}) {
					n += len(l.Segs)
				}
				if n == 0 {
					b.Fatal("nothing")
				}
			}
		})
	}
}

func BenchmarkParsedLinesKept(b *testing.B) {
	raw := []byte("INVITE sip:a@b SIP/2.0\r\n" + strings.Repeat("X: y;z=1\r\n", 30000) +
		"Content-Type: application/sdp\r\n\r\n" + strings.Repeat("a=rtpmap:0 PCMU/8000\r\n", 30000))
	var m sip.Message
	if err := sip.Parse(raw, &m); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		lines, _ := text.Lines(text.ParsedLines(&m, text.MessageOptions{}), 0)
		if len(lines) < 60000 {
			b.Fatal(len(lines))
		}
	}
}
