package redact_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"sipscope/correlate"
	"sipscope/decode/sip"
	"sipscope/render/redact"
)

// secret is what the fuzzer may put anywhere, and what may come out nowhere.
var secret = regexp.MustCompile(`(?i)wonderland42|4930123456|(?:^|[^0-9a-z])203\.0\.113\.77(?:$|[^0-9a-z])`)

func secretive(texts ...[]byte) *redact.Redactor {
	r := redact.New()
	r.LearnName(redact.User, "wonderland42")
	r.LearnName(redact.User, "4930123456")
	r.LearnName(redact.Host, "203.0.113.77")
	c := correlate.Call{Messages: make([]correlate.Message, len(texts))}
	r.Learn(&c, func(i int) []byte { return texts[i] })
	return r
}

// FuzzText: what is redacted holds no secret, is SIP when it was, has as many headers, and can be redacted again; two
// texts have equal keys afterwards if, and only if, they had before.
func FuzzText(f *testing.F) {
	paths, err := filepath.Glob(own + "/*.pcap*")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths[:min(len(paths), 12)] {
		c, err := read(path)
		if err != nil {
			f.Fatal(err)
		}
		for i := range c.texts {
			f.Add(c.texts[i][0], c.texts[i][len(c.texts[i])-1])
		}
	}
	secretText := []byte(lines("INVITE sip:Wonderland42@203.0.113.77 SIP/2.0\n"+head+"X-wonderland42: 4930123456\n"+
		"Refer-To: <sip:4930123456@a?Subject=wonderland42&body=x>\nExpires: 4930123456\nRAck: 4930123456 4930123456 X\n"+
		"Warning: 399 203.0.113.77 \"wonderland42\"\nAuthorization: Digest username=\"wonderland42\",nc=4930123456\n"+
		"Content-Type: application/sdp\n") + "v=0\r\no=wonderland42 4930123456 1 IN IP4 203.0.113.77\r\na=fmtp:1 x=wonderland42\r\n")
	f.Add(secretText, []byte(lines("SIP/2.0 200 Wonderland42\n"+head+"CSeq: 4930123456 wonderland42\n"+
		"Content-Type: multipart/mixed;boundary=wonderland42\n")+"--wonderland42\r\n\r\nx\r\n--wonderland42--\r\n"))
	f.Add([]byte(offer), []byte("INVITE sip:a SIP/2.0\nContent-Type:application/sdp\n\n"+offer))
	if b, err := os.ReadFile("redact_test.go"); err == nil {
		for _, q := range regexp.MustCompile(`"([A-Z][A-Za-z-]+: [^"]+)\\n"`).FindAllSubmatch(b, -1) {
			f.Add([]byte(lines("BYE sip:a SIP/2.0\n"+string(q[1])+"\n")), []byte("ACK sip:a SIP/2.0\r\n\r\n"))
		}
	}
	f.Fuzz(func(t *testing.T, one, two []byte) {
		r := secretive(one, two)
		var was, is [2]sip.Message
		var ok [2]bool
		for i, raw := range [][]byte{one, two} {
			before := bytes.Clone(raw)
			out := r.Text(raw)
			if !bytes.Equal(raw, before) {
				t.Fatal("the original changed")
			}
			if m := secret.Find(out); m != nil {
				t.Fatalf("%q stands in\n%q\nfrom\n%q", m, out, raw)
			}
			if sip.Parse(raw, &was[i]) != nil {
				continue
			}
			ok[i] = true
			if err := sip.Parse(out, &is[i]); err != nil {
				if !bytes.HasPrefix(out, []byte("redacted text, ")) {
					t.Fatalf("%v: %q from %q", err, out, raw)
				}
				ok[i] = false
				continue
			}
			if len(is[i].Headers) != len(was[i].Headers) {
				t.Fatalf("%d headers, were %d\n%q\n%q", len(is[i].Headers), len(was[i].Headers), out, raw)
			}
			again := secretive(out).Text(out)
			var m sip.Message
			if err := sip.Parse(again, &m); err != nil && !bytes.HasPrefix(again, []byte("redacted text, ")) {
				t.Fatalf("redacted again: %v: %q from %q", err, again, out)
			}
		}
		if ok[0] && ok[1] && clean(&was[0]) && clean(&was[1]) {
			a, b := keyOf(&was[0]), keyOf(&was[1])
			x, y := keyOf(&is[0]), keyOf(&is[1])
			for i := range a {
				if (a[i] == b[i]) != (x[i] == y[i]) {
					t.Errorf("%q, %q became %q, %q", a[i], b[i], x[i], y[i])
				}
			}
		}
	})
}

// clean reports whether a message is one that an element may have sent: without departures in what identifies it.
func clean(m *sip.Message) bool {
	for _, d := range m.Diags {
		if d.Code.Severity() == sip.Error {
			return false
		}
	}
	return true
}

// FuzzName: pseudonyms are not their originals, and two names have two of them.
func FuzzName(f *testing.F) {
	for _, s := range []string{"alice", "+49301234567", "00491", "10.0.0.1", "2001:db8::1", "user1", "0", "Example.COM", "abcdef01"} {
		f.Add(uint8(redact.User), s, s+"1")
		f.Add(uint8(redact.Host), s, s+"1")
		f.Add(uint8(redact.Token), s, s+"1")
	}
	f.Fuzz(func(t *testing.T, kind uint8, one, two string) {
		k := redact.Kind(kind%uint8(redact.Sequence)) + 1
		if one == two || one == "" || two == "" || k >= redact.Number || k == redact.Agent {
			return
		}
		r := redact.New()
		r.LearnName(k, one)
		r.LearnName(k, two)
		a, b := r.Name(k, one), r.Name(k, two)
		if a == b {
			t.Errorf("%q and %q became %q", one, two, a)
		}
	})
}
