package sip

import (
	"testing"
)

func FuzzParse(f *testing.F) {
	for _, s := range [][]byte{
		inviteText(), okText(), []byte(plain),
		[]byte(with("From: \"a <sip:b@[::1]:5>;tag=\"", "Contact: *, <sip:a>;;q=1", "Via: SIP / 2.0/UDP a : 5 ;;,b")),
		[]byte("SIP/2.0 200\nc:multipart/mixed;boundary=\"b\"\n\n--b\nContent-Type: application/sdp\n\nv=0\n--b--"),
	} {
		f.Add(s)
	}
	var m Message
	f.Fuzz(func(t *testing.T, raw []byte) {
		if Parse(raw, &m) != nil {
			return
		}
		checkSpans(t, &m)
		readAll(t, &m)
		m.TxnKey()
		m.DialogKey()
	})
}

// readAll reads whatever can be read from a message, and checks that the counts of Parse are those of the iterators.
func readAll(t *testing.T, m *Message) {
	t.Helper()
	for p := range m.Parts() {
		if p.Body.Off < m.Body.Off || p.Body.Off+p.Body.Len > m.Body.Off+m.Body.Len {
			t.Fatalf("part %+v outside of body %+v", p.Body, m.Body)
		}
	}
	m.SDP()
	vias := 0
	for v := range m.AllVias() {
		if vias == 0 && v != m.Via {
			t.Fatalf("first Via %+v, top Via %+v", v, m.Via)
		}
		vias++
	}
	if vias != int(m.Vias) && m.Vias < maxValues {
		t.Fatalf("%d Vias, %d counted", vias, m.Vias)
	}
	for i := range m.Headers {
		h := &m.Headers[i]
		value := h.Value.Of(m.Raw)
		for a := range m.Addresses(h.ID) {
			if a.URI.Off+a.URI.Len > h.Value.Off+h.Value.Len && i == len(m.Headers)-1 {
				t.Fatalf("address %+v beyond its header", a)
			}
		}
		readValue(t, value)
	}
}

// inside fails when a part is no slice of the whole.
func inside(t *testing.T, whole []byte, parts ...[]byte) {
	t.Helper()
	for i, p := range parts {
		if len(p) > len(whole) {
			t.Fatalf("part %d, %q, is longer than %q", i, p, whole)
		}
	}
}

// readValue gives a value to every reader of values.
func readValue(t *testing.T, b []byte) {
	t.Helper()
	r, _ := ParseReplaces(b)
	inside(t, b, r.CallID, r.ToTag, r.FromTag)
	refer, _ := ParseReferTo(b)
	inside(t, b, refer.URI, refer.Headers, refer.Method)
	refer.Replaces()
	e, _ := ParseEvent(b)
	inside(t, b, e.Package, e.ID)
	s := ParseSubscriptionState(b)
	inside(t, b, s.State, s.Reason)
	id, _ := ParseSessionID(b)
	inside(t, b, id.Local, id.Remote)
	inside(t, b, ParseRAck(b).Method)
	ParseRSeq(b)
	ParseSessionExpires(b)
	for rest := b; len(rest) > 0; {
		before := len(rest)
		if _, rest = ParseReason(rest); len(rest) >= before {
			t.Fatalf("ParseReason stands still at %q", rest)
		}
	}
	for rest := b; len(rest) > 0; {
		before := len(rest)
		if _, rest = ParseWarning(rest); len(rest) >= before {
			t.Fatalf("ParseWarning stands still at %q", rest)
		}
	}
	Q850Cause(b)
	c, _ := ParseChallenge(b)
	inside(t, b, c.Scheme, c.Realm, c.Domain, c.Nonce, c.Opaque, c.Algorithm, c.QOP)
	cr, _ := ParseCredentials(b)
	inside(t, b, cr.Scheme, cr.Username, cr.Realm, cr.Nonce, cr.URI, cr.Response, cr.Algorithm, cr.CNonce, cr.Opaque, cr.QOP, cr.NC)
	u, _ := ParseURI(b)
	inside(t, b, u.Scheme, u.User, u.Password, u.Host, u.Params, u.Headers)
	u.Header("replaces")
	n := 0
	for name, value := range Params(b) {
		inside(t, b, name, value)
		if n++; n > len(b) {
			t.Fatalf("more parameters than bytes in %q", b)
		}
	}
	if q := ContactQ(b); q < -1 || q > 1000 {
		t.Fatalf("q of %q is %d", b, q)
	}
	ContactExpires(b)
	Unquote(b)
	a := ParseAddress(b)
	for _, s := range [...]Span{a.Display, a.URI, a.Scheme, a.User, a.Host, a.Params, a.Tag} {
		inside(t, b, s.Of(b))
	}
}

func FuzzValues(f *testing.F) {
	for _, s := range []string{
		"a@b;to-tag=1;from-tag=2;early-only", "<sip:a@b;method=BYE?Replaces=x%40y%3Bto-tag%3D1&a=b>", "active;expires=5;reason=\"x;y\"",
		"Digest realm=\"a,b\", nonce=\"\\\"\", qop=\"auth,auth-int\", stale=TRUE", "Q.850 ; cause=16 ; text=\"a,b\", SIP;cause=200",
		"307 a \"x\\\"\", 399 b", "1 2 INVITE", ";q=0.5;expires=1", "\"a\\\"\" <sip:b@c>;tag=\"", "sip:a:b@[::1]:5060;x?y",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) { readValue(t, b) })
}

// The fast readers must say what the thorough ones say, where they say anything.
func FuzzPlain(f *testing.F) {
	for _, s := range []string{
		"<sip:a@b>", "<sip:a@b:5060;x=y>;tag=1", "<sip:a@b;x=a@c?d>", "<sip:a@b ;x>", "<sip:a@b:;x>", "<sip:a@b:99999>", "<sip:%41@[::1]>",
		";a=b;c=d", ";a=b ;c", ";a=\"b\";c=,", ";=x", ";a==;b", "<sip:a@b;>",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 0 && b[0] == '<' {
			var fast, slow Address
			var m Message
			p := parser{m: &m, raw: b}
			next, ok := plainURI(&fast, b, 0, len(b))
			if end := p.bracketURI(&slow, 0, len(b), false); ok && (end != next || fast != slow || len(m.Diags) > 0) {
				t.Fatalf("%q: %+v up to %d, thoroughly %+v up to %d, diags %s", b, fast, next, slow, end, diagNames(&m))
			}
		}
		for _, list := range []bool{false, true} {
			var fast, slow paramScan
			fast.reset(b, 0, len(b), list)
			slow.reset(b, 0, len(b), list)
			if fast.plain() && (!slow.odd() || fast.i != slow.i || fast.name != slow.name || fast.value != slow.value || fast.hasValue != slow.hasValue) {
				t.Fatalf("%q: %+v, thoroughly %+v", b, fast, slow)
			}
		}
	})
}
