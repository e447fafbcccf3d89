package sip

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// rebuild writes a message again, line by line, with a Builder.
func rebuild(m *Message) ([]byte, error) {
	raw := m.Raw
	b := Builder{Style: Style{NoLength: true}}
	line := lineLength(raw)
	b.Style.LF = !bytes.HasSuffix(raw[:line], []byte("\r\n"))
	eol := 2
	if b.Style.LF {
		eol = 1
	}
	b.Reset(nil)
	b.StartLine(string(raw[:line-eol]))
	headers := m.Headers
	for at := line; at < int(m.Head)-eol; {
		end := logicalLine(raw, at)
		text := raw[at:max(at, end-eol)]
		if len(headers) > 0 && int(headers[0].Name.Off) == at {
			h := headers[0]
			headers = headers[1:]
			colon := raw[h.Name.Off+h.Name.Len : h.Value.Off]
			b.Field(string(h.Name.Of(raw)), string(colon), string(raw[h.Value.Off:at+len(text)]))
		} else {
			b.Line(string(text))
		}
		at = end
	}
	b.Body(m.Body.Of(raw))
	return b.Bytes()
}

// roundTrip fails when a message that is written again is not the same to the byte. What a Builder refuses to write,
// and what has no uniform line ends or no end of its head, is left out.
func roundTrip(t *testing.T, m *Message) {
	t.Helper()
	names := " " + diagNames(m) + " "
	head := m.Raw[:m.Head]
	if strings.Contains(names, " head-open ") || bytes.Count(head, []byte("\r\n")) != bytes.Count(head, []byte("\n")) && bytes.Contains(head, []byte("\r")) {
		return
	}
	out, err := rebuild(m)
	if err != nil {
		if !errors.Is(err, ErrLineBreak) || !bytes.Contains(head, []byte("\r")) && !bytes.Contains(head, []byte("\n ")) && !bytes.Contains(head, []byte("\n\t")) {
			t.Fatalf("%v: %q", err, m.Raw)
		}
		return
	}
	if want := m.Raw[:m.Body.Off+m.Body.Len]; !bytes.Equal(out, want) {
		t.Fatalf("written again:\n%q\nwant:\n%q", out, want)
	}
}

func TestBuild(t *testing.T) {
	t.Parallel()
	var b Builder
	b.Reset([]byte("before|"))
	b.Request("INVITE", "sip:bob@b.example")
	b.Header(HeaderVia, "SIP/2.0/UDP a;branch=z9hG4bK1")
	b.Header(HeaderCallID, "c1")
	b.Field("X-Odd", "\t:  ", "a\r\n b")
	b.Body([]byte("v=0\r\n"))
	got, err := b.Bytes()
	want := "before|INVITE sip:bob@b.example SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nCall-ID: c1\r\n" +
		"X-Odd\t:  a\r\n b\r\nContent-Length: 5\r\n\r\nv=0\r\n"
	if err != nil || string(got) != want {
		t.Errorf("%v\n%q\nwant\n%q", err, got, want)
	}

	b.Style = Style{LF: true, Compact: true, Colon: ":"}
	b.Reset(nil)
	b.Response(486, "")
	b.Header(HeaderVia, "x")
	b.Header(HeaderCSeq, "1 INVITE")
	got, err = b.Bytes()
	if want = "SIP/2.0 486 Busy Here\nv:x\nCSeq:1 INVITE\nl:0\n\n"; err != nil || string(got) != want {
		t.Errorf("%v\n%q\nwant\n%q", err, got, want)
	}

	b.Style = Style{}
	b.Reset(nil)
	b.StartLine("SIP/2.0 200")
	b.Field("l", " : ", "99")
	b.Body([]byte("x"))
	got, err = b.Bytes()
	if want = "SIP/2.0 200\r\nl : 99\r\n\r\nx"; err != nil || string(got) != want {
		t.Errorf("%v\n%q\nwant\n%q", err, got, want)
	}
}

func TestBuildRefuses(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		build func(*Builder)
		want  error
	}{
		"header injection": {
			func(b *Builder) { b.Request("A", "b"); b.Header(HeaderSubject, "x\r\nVia: y") }, ErrLineBreak,
		},
		"LF injection":        {func(b *Builder) { b.Request("A", "b"); b.Header(HeaderSubject, "x\ny") }, ErrLineBreak},
		"CR injection":        {func(b *Builder) { b.Request("A", "b"); b.Header(HeaderSubject, "x\ry") }, ErrLineBreak},
		"line end at the end": {func(b *Builder) { b.Request("A", "b"); b.Header(HeaderSubject, "x\r\n") }, ErrLineBreak},
		"body injection": {
			func(b *Builder) { b.Request("A", "b"); b.Header(HeaderSubject, "x\r\n\r\nbody") }, ErrLineBreak,
		},
		"fold in a start line": {func(b *Builder) { b.Request("A", "b\r\n c") }, ErrLineBreak},
		"empty line":           {func(b *Builder) { b.Request("A", "b"); b.Line("") }, ErrLineBreak},
		"line that is a fold":  {func(b *Builder) { b.Request("A", "b"); b.Line(" x") }, ErrLineBreak},
		// Not a fold: the line before it has ended, so the head ends here.
		"line of a fold alone": {func(b *Builder) { b.Request("A", "b"); b.Line("\r\n x") }, ErrLineBreak},
		"no start line":        {func(b *Builder) { b.Header(HeaderSubject, "x") }, ErrOrder},
		"nothing":              {func(*Builder) {}, ErrOrder},
		"two start lines":      {func(b *Builder) { b.Request("A", "b"); b.Response(200, "") }, ErrOrder},
		"header after body":    {func(b *Builder) { b.Request("A", "b"); b.Body(nil); b.Line("x:") }, ErrOrder},
		"two bodies":           {func(b *Builder) { b.Request("A", "b"); b.Body(nil); b.Body(nil) }, ErrOrder},
	} {
		var b Builder
		test.build(&b)
		if _, err := b.Bytes(); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
		b.Reset(nil)
		b.Request("A", "sip:b")
		if _, err := b.Bytes(); err != nil {
			t.Errorf("%s: the error outlives Reset: %v", name, err)
		}
	}
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		plain, string(inviteText()), string(okText()), strings.ReplaceAll(plain, "\r\n", "\n"),
		with("Subject :\t x  \r\n  y \r\n", "nothing", ": x", "v: SIP/2.0/UDP b"), with("Content-Length: 2"),
	} {
		var m Message
		if err := Parse([]byte(text), &m); err != nil {
			t.Fatal(err)
		}
		if _, err := rebuild(&m); err != nil {
			t.Error(err)
		}
		roundTrip(t, &m)
	}
}

// What a Builder writes, Parse reads.
func FuzzBuild(f *testing.F) {
	f.Add("INVITE", "sip:a@b", "Subject", ": ", "x\r\n y", []byte("body"), byte(0))
	f.Add("X", "y", "l", "\t:", "5", []byte("\r\n\r\n"), byte(3))
	f.Add("0", "0", "\r", "", "\n ", []byte("0"), byte(7))
	f.Fuzz(func(t *testing.T, method, uri, name, colon, value string, body []byte, style byte) {
		b := Builder{Style: Style{LF: style&1 > 0, Compact: style&2 > 0, NoLength: style&4 > 0}}
		b.Request(method, uri)
		b.Field(name, colon, value)
		b.Header(HeaderCallID, value)
		b.Body(body)
		raw, err := b.Bytes()
		var m Message
		if err != nil || Parse(raw, &m) != nil {
			return
		}
		roundTrip(t, &m)
		if m.Head != u32(len(raw)-len(body)) {
			t.Fatalf("head of %d bytes in %q, body %q", m.Head, raw, body)
		}
		if id, ok := m.Value(HeaderCallID); allToken([]byte(name)) && LookupHeader([]byte(name)) == HeaderOther && len(trim([]byte(colon))) == 1 &&
			strings.Contains(colon, ":") && (!ok || !bytes.Equal(id, trim([]byte(value)))) {
			t.Fatalf("Call-ID %q of %q", id, raw)
		}
	})
}
