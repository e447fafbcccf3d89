package registrar

import (
	"bytes"
	"strings"
	"testing"
)

func TestAOR(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ uri, want string }{
		{"sip:bob@b.com", "sip:bob@b.com"},
		{"sip:bob@B.CoM", "sip:bob@b.com"},
		{"SIP:Bob@b.com", "sip:Bob@b.com"}, // the user part keeps its case
		{"sips:bob@b.com", "sip:bob@b.com"},
		{"sip:bob:secret@b.com;transport=tcp;user=phone?Subject=x", "sip:bob@b.com"},
		{"sip:bob@127.0.0.1:5070", "sip:bob@127.0.0.1"},
		{"sip:%62ob@b.com", "sip:bob@b.com"},
		{"sip:a%2Bb@b.com", "sip:a+b@b.com"},
		{"sip:a%40b@b.com", "sip:a%40b@b.com"}, // an "@" cannot stand in a user part
		{"sip:a%3ab@b.com", "sip:a%3Ab@b.com"}, // nor can a colon: a password would follow
		{"sip:%00@b.com", "sip:%00@b.com"},     // RFC 4475 3.1.1.4
		{"sip:a%25b@b.com", "sip:a%25b@b.com"},
		{"sip:a%zzb@b.com", "sip:a%25zzb@b.com"}, // no escape
		{"sip:f\u00fcr@b.com", "sip:f%C3%BCr@b.com"},
		{"sip:bob@[2001:DB8:0:0::1]:5060", "sip:bob@[2001:db8::1]"},
		{"sip:b.com", "sip:b.com"},
		{"sip:b^com", ""},
		{"tel:+15551234", ""},
		{"isbn:2983792873", ""},
		{"bob@b.com", ""},
		{"sip:bob@", ""},
		{"sip:", ""},
		{"", ""},
		{"*", ""},
	} {
		got, ok := AOR(c.uri)
		if got != c.want || ok != (c.want != "") {
			t.Errorf("AOR(%q) = %q, %v, want %q", c.uri, got, ok, c.want)
		}
	}
}

func TestParts(t *testing.T) {
	t.Parallel()
	for aor, want := range map[string]string{
		"sip:bob@b.com": "bob b.com", "sip:b.com": " b.com", "sip:a%40b@[::1]": "a%40b [::1]",
	} {
		if got := string(aorUser([]byte(aor))) + " " + string(aorHost([]byte(aor))); got != want {
			t.Errorf("%s: %q", aor, got)
		}
	}
}

// TestEqualURI has the examples of RFC 3261 19.1.4, and what its rules say beside them.
func TestEqualURI(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp", true},
		{"sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", true},
		{"sip:carol@chicago.com", "sip:carol@chicago.com;security=on", true},
		{"sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on", true},
		{
			"sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
			"sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com", true,
		},
		{
			"sip:alice@atlanta.com?subject=project%20x&priority=urgent",
			"sip:alice@atlanta.com?priority=urgent&subject=project%20x", true,
		},
		{"SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", false},
		{"sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", false},
		{"sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", false},
		{"sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp", false},
		{"sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting", false},
		{"sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4", false},
		{"sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off", false},
		// the rules
		{"sip:a@b.com", "sips:a@b.com", false},
		{"sip:a@b.com", "sip:b.com", false},
		{"sip:a:x@b.com", "sip:a:y@b.com", false},
		{"sip:a:x@b.com", "sip:a@b.com", false},
		{"sip:a@b.com;maddr=1.2.3.4", "sip:a@b.com", false},
		{"sip:a@b.com;ttl=1", "sip:a@b.com", false},
		{"sip:a@b.com;user=phone", "sip:a@b.com", false},
		{"sip:a@b.com;method=INVITE", "sip:a@b.com", false},
		{"sip:a@b.com;lr", "sip:a@b.com", true},
		{"sip:a%40c@b.com", "sip:a%40c@B.com", true},
		{"sip:a%2Bc@b.com", "sip:a+c@b.com", false}, // reserved: not its escape
		{"sip:%00@b.com", "sip:%00%00@b.com", false},
		{"sip:a@[2001:db8::1]", "sip:a@[2001:DB8:0::1]", true},
		{"sip:a@[2001:db8::1]", "sip:a@[2001:db8::2]", false},
		{"tel:+1", "TEL:+1", true},
		{"tel:+1", "tel:+2", false},
		{"tel:+1", "sip:+1@b.com", false},
		{"sip:a@b.com?x=1&x=2", "sip:a@b.com?x=2&x=1", true},
		{"sip:a@b.com?x=1", "sip:a@b.com?x=1&x=1", false},
		{"sip:a@b.com?x=1&y=2", "sip:a@b.com?x=1&z=2", false},
		{"sip:a@b.com;" + strings.Repeat("x;", 100) + "y", "sip:a@b.com;" + strings.Repeat("x;", 100) + "z", false}, // too many to compare
	} {
		for _, pair := range [][2]string{{c.a, c.b}, {c.b, c.a}} {
			if got := EqualURI([]byte(pair[0]), []byte(pair[1])); got != c.want {
				t.Errorf("EqualURI(%q, %q) = %v", pair[0], pair[1], got)
			}
		}
	}
}

func FuzzURI(f *testing.F) {
	f.Add("sip:bob@b.com", "sip:%62ob@B.com;transport=udp?x=1")
	f.Add("sip:a%40b:pw@[::1]:5060;lr", "tel:+1")
	f.Fuzz(func(t *testing.T, a, b string) {
		x, ok := AppendAOR([]byte("before"), []byte(a))
		if !bytes.HasPrefix(x, []byte("before")) || !ok && len(x) != len("before") {
			t.Fatalf("AppendAOR(%q) = %q", a, x)
		}
		if ok {
			x = x[len("before"):]
			again, ok := AppendAOR(nil, x)
			if !ok || !bytes.Equal(again, x) {
				t.Fatalf("%q gives %q, that %q", a, x, again)
			}
			for _, c := range x {
				if c <= ' ' || c >= 0x7f {
					t.Fatalf("%q gives %q", a, x)
				}
			}
			if len(aorHost(x)) == 0 || len(aorUser(x)) > len(x) {
				t.Fatalf("%q: host %q", x, aorHost(x))
			}
		}
		if EqualURI([]byte(a), []byte(b)) != EqualURI([]byte(b), []byte(a)) {
			t.Fatalf("EqualURI(%q, %q) depends on their order", a, b)
		}
		if !EqualURI([]byte(a), []byte(a)) {
			t.Fatalf("%q is not equal to itself", a)
		}
	})
}
