package text_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode"

	"sipscope/decode/sip"
	"sipscope/render/ladder/laddertest"
	"sipscope/render/text"
)

const invite = "INVITE sip:bob@biloxi.example.com SIP/2.0\r\n" +
	"v: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK74bf9;rport\r\n" +
	"Max-Forwards: 70\r\n" +
	"f: \"Alice; \\\"A\\\" \x1b[31m\" <sip:alice@atlanta.example.com;transport=udp>;tag=9fxced76sl\r\n" +
	"t: Bob <sip:bob@biloxi.example.com>\r\n" +
	"Call-ID: 3848276298220188511@atlanta.example.com\r\n" +
	"CSeq: 2 INVITE\r\n" +
	"Contact: <sip:alice@client.atlanta.example.com;transport=tcp>\r\n" +
	"Proxy-Authorization: Digest username=\"alice\",\r\n realm=\"atlanta, ex\", nonce=\"wf84f1\"\r\n" +
	"Subject: I know you're there,\r\n\tpick up the phone\r\n" +
	"X-Own: a;b=c\r\n" +
	"Content-Type: application/sdp\r\n" +
	"Content-Length: 999\r\n\r\n" + laddertest.PCMU

func TestMessageViews(t *testing.T) {
	t.Parallel()
	var m sip.Message
	if err := sip.Parse([]byte(invite), &m); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		show func(b *bytes.Buffer) error
	}{
		{"raw", func(b *bytes.Buffer) error { return text.RawMessage(b, []byte(invite), text.MessageOptions{}) }},
		{"raw-color", func(b *bytes.Buffer) error {
			return text.RawMessage(b, []byte(invite), text.MessageOptions{Color: true})
		}},
		{"parsed", func(b *bytes.Buffer) error { return text.ParsedMessage(b, &m, text.MessageOptions{}) }},
		{"parsed-color", func(b *bytes.Buffer) error {
			return text.ParsedMessage(b, &m, text.MessageOptions{Color: true})
		}},
		{"parsed-ascii", func(b *bytes.Buffer) error { return text.ParsedMessage(b, &m, text.MessageOptions{ASCII: true}) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			if err := c.show(&b); err != nil {
				t.Fatal(err)
			}
			golden(t, "message-"+c.name, b.String())
		})
	}
}

// TestRawLines: a line a line whatever ends it, and the last one ends.
func TestRawLines(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                                  "",
		"SIP/2.0 200 OK\n":                  "SIP/2.0 200 OK\n",
		"SIP/2.0 200 OK\r\nA: b\r\n\r\nx":   "SIP/2.0 200 OK\nA: b\n\nx\n",
		"SIP/2.0 2x0 OK\nA\n b\n\n\x00\xff": "SIP/2.0 2x0 OK\nA\n b\n\n\\x00\\xff\n",
		"a\rb\n":                            "a\\rb\n",
	} {
		var b bytes.Buffer
		if err := text.RawMessage(&b, []byte(in), text.MessageOptions{}); err != nil || b.String() != want {
			t.Errorf("%q: %q, want %q (%v)", in, b.String(), want, err)
		}
	}
}

func TestMessageError(t *testing.T) {
	t.Parallel()
	raw := []byte(invite + strings.Repeat("a=x\r\n", 20000))
	if err := text.RawMessage(&full{left: 100}, raw, text.MessageOptions{}); !errors.Is(err, errFull) {
		t.Errorf("%v", err)
	}
}

// FuzzMessage: whatever parses is shown, every diag once, without control characters.
func FuzzMessage(f *testing.F) {
	f.Add([]byte(invite))
	f.Add([]byte("SIP/2.0 200\nVia\n x\n\n\x80"))
	f.Add([]byte("A b SIP/2.0\r\nFrom: \"\\"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var m sip.Message
		if sip.Parse(raw, &m) != nil {
			return
		}
		var parsed, plain bytes.Buffer
		if err := text.ParsedMessage(&parsed, &m, text.MessageOptions{}); err != nil {
			t.Fatal(err)
		}
		if err := text.RawMessage(&plain, raw, text.MessageOptions{ASCII: true}); err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{parsed.String(), plain.String()} {
			for _, r := range s {
				if unicode.IsControl(r) && r != '\n' || r == 0x202e {
					t.Fatalf("%U in %q", r, s)
				}
			}
		}
		for i := range m.Diags {
			if !strings.Contains(parsed.String(), "["+m.Diags[i].Code.String()+", ") {
				t.Fatalf("%v is not told:\n%s", m.Diags[i], parsed.String())
			}
		}
	})
}
