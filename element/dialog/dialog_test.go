package dialog_test

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/dialog"
)

func parse(tb testing.TB, lines ...string) *sip.Message {
	tb.Helper()
	var m sip.Message
	if err := sip.Parse([]byte(strings.Join(lines, "\r\n")+"\r\n\r\n"), &m); err != nil {
		tb.Fatal(err)
	}
	return &m
}

func rng() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// invite is what U1 sent; seen has it as U2 saw it, after the proxies P1 and P3, of which P3 routes strictly (after RFC 3261
// 16.12.1.2).
func invite(tb testing.TB, more ...string) *sip.Message {
	tb.Helper()
	return parse(tb, append([]string{
		"INVITE sip:callee@u2.example.com SIP/2.0",
		"Via: SIP/2.0/UDP u1.example.com;branch=z9hG4bK1",
		"From: \"Call, er\" <sip:caller@u1.example.com;x=y>;a=\"1;tag=no\";TAG=from1;b",
		"t: <sip:callee@u2.example.com>",
		"Call-ID: c1@u1",
		"CSeq: 100 INVITE",
		"Contact: <sip:caller@192.0.2.1;transport=tcp>",
	}, more...)...)
}

func seen(tb testing.TB) *sip.Message {
	tb.Helper()
	return invite(tb, "Record-Route: <sip:p4.example.com;lr>, <sip:p3.example.com;x=1>;rr=1", "Record-Route: <sip:p1.example.com;lr>")
}

func answer(tb testing.TB, status, tag string, more ...string) *sip.Message {
	tb.Helper()
	return parse(tb, append([]string{
		"SIP/2.0 " + status + " x",
		"Via: SIP/2.0/UDP u1.example.com;branch=z9hG4bK1",
		"From: \"Call, er\" <sip:caller@u1.example.com;x=y>;a=\"1;tag=no\";TAG=from1;b",
		"To: <sip:callee@u2.example.com>" + tag,
		"Call-ID: c1@u1",
		"CSeq: 100 INVITE",
		"Contact: <sip:callee@192.0.2.2?Subject=x>",
	}, more...)...)
}

// Both sides of one dialog (RFC 3261 12.1.1, 12.1.2).
func TestSides(t *testing.T) {
	t.Parallel()
	caller, err := dialog.FromResponse(invite(t), answer(t, "180", ";tag=to1",
		"Record-Route: <sip:p4.example.com;lr>, <sip:p3.example.com;x=1>;rr=1", "Record-Route: <sip:p1.example.com;lr>"))
	if err != nil {
		t.Fatal(err)
	}
	callee, err := dialog.FromRequest(seen(t), "to1")
	if err != nil {
		t.Fatal(err)
	}
	const from, to = `"Call, er" <sip:caller@u1.example.com;x=y>;a="1;tag=no";b`, "<sip:callee@u2.example.com>"
	p1, p3, p4 := "<sip:p1.example.com;lr>", "<sip:p3.example.com;x=1>", "<sip:p4.example.com;lr>"
	for _, c := range []struct {
		name      string
		got, want *dialog.Dialog
	}{
		{"caller", caller, &dialog.Dialog{
			CallID: "c1@u1", LocalTag: "from1", RemoteTag: "to1", Local: from, Remote: to, LocalSeq: 100,
			Target: "sip:callee@192.0.2.2?Subject=x", Route: []string{p1, p3, p4}, Caller: true, State: dialog.Early,
		}},
		{"callee", callee, &dialog.Dialog{
			CallID: "c1@u1", LocalTag: "to1", RemoteTag: "from1", Local: to, Remote: from, RemoteSeq: 100,
			Target: "sip:caller@192.0.2.1;transport=tcp", Route: []string{p4, p3, p1}, State: dialog.Early,
		}},
	} {
		if diff := cmp.Diff(c.want, c.got, cmpopts.IgnoreUnexported(dialog.Dialog{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
	got := text(t, callee.Request("BYE", rng()))
	if callee.LocalSeq == 0 || callee.LocalSeq > 1<<16 {
		t.Errorf("first CSeq %d", callee.LocalSeq)
	}
	m := parseText(t, got)
	if !caller.Match(m) || caller.Check(m) != 0 || caller.RemoteSeq != callee.LocalSeq {
		t.Errorf("the caller does not take what the callee sent:\n%s", got)
	}
	if callee.Match(m) || callee.Check(m) != 481 {
		t.Error("the callee takes its own request")
	}
	m = parseText(t, text(t, caller.Request("INFO", rng())))
	if !callee.Match(m) || callee.Check(m) != 0 || caller.LocalSeq != 101 || callee.RemoteSeq != 101 {
		t.Errorf("CSeq %d and %d, want 101", caller.LocalSeq, callee.RemoteSeq)
	}
}

func text(tb testing.TB, r compose.Request) string {
	tb.Helper()
	r.Via.Proto, r.Via.Host = "UDP", "own"
	out, err := r.Append(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return string(out)
}

func parseText(tb testing.TB, text string) *sip.Message {
	tb.Helper()
	var m sip.Message
	if err := sip.Parse([]byte(text), &m); err != nil {
		tb.Fatal(err)
	}
	return &m
}

// Where requests go (RFC 3261 12.2.1.1, 16.12.1.2).
func TestRouting(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		target string
		route  []string
		uri    string
		want   []string
		next   string
	}{
		{"no route", "sip:b@2", nil, "sip:b@2", nil, "sip:b@2"},
		{"target with what a request line may not have", "sip:b@2;x;method=BYE;y?A=b", nil, "sip:b@2;x;y", nil, "sip:b@2;x;method=BYE;y?A=b"},
		{"loose", "sip:b@2", []string{"<sip:p1;lr>", "<sip:p2>"}, "sip:b@2", []string{"<sip:p1;lr>", "<sip:p2>"}, "sip:p1;lr"},
		{"loose by a value", "sip:b@2", []string{"<sip:p1;LR=on>"}, "sip:b@2", []string{"<sip:p1;LR=on>"}, "sip:p1;LR=on"},
		{
			"strict", "sip:b@2;x",
			[]string{"<sip:p1;a;method=X>", "<sip:p2;lr>"},
			"sip:p1;a",
			[]string{"<sip:p2;lr>", "<sip:b@2;x>"},
			"sip:p1;a;method=X",
		},
		{"strict alone", "sip:b@2", []string{"<sip:p1>"}, "sip:p1", []string{"<sip:b@2>"}, "sip:p1"},
		{"lr of the user is none", "sip:b@2", []string{"<sip:a;lr@p1>"}, "sip:a;lr@p1", []string{"<sip:b@2>"}, "sip:a;lr@p1"},
		{"tel", "tel:+1", nil, "tel:+1", nil, "tel:+1"},
	} {
		d := dialog.Dialog{
			CallID: "c", LocalTag: "l", RemoteTag: "r", Local: "<sip:a>", Remote: "<sip:b>", Target: c.target, Route: c.route,
			LocalSeq: 7,
		}
		for _, r := range []compose.Request{d.Request("INFO", rng()), d.Ack(8)} {
			if r.URI != c.uri || r.CSeq != 8 || d.LocalSeq != 8 || d.Next() != c.next {
				t.Errorf("%s: %s, CSeq %d, next hop %s; want %s, 8, %s", c.name, r.URI, r.CSeq, d.Next(), c.uri, c.next)
			}
			if diff := cmp.Diff(c.want, r.Route); diff != "" {
				t.Errorf("%s: route (-want +got):\n%s", c.name, diff)
			}
			if r.From != "<sip:a>;tag=l" || r.To != "<sip:b>;tag=r" || r.CallID != "c" {
				t.Errorf("%s: %+v", c.name, r)
			}
		}
		if len(c.route) > 0 && d.Route[0] != c.route[0] {
			t.Errorf("%s: the route set has changed: %q", c.name, d.Route)
		}
	}
}

// The route set as messages write it.
func TestRouteSet(t *testing.T) {
	t.Parallel()
	for header, want := range map[string][]string{
		"Record-Route: \"P, 1\" <sip:p1;lr>;x=y ,<sip:p2>":  {"<sip:p1;lr>", "<sip:p2>"},
		"Record-Route: sip:p1;lr , sip:p2":                  {"<sip:p1;lr>", "<sip:p2>"},
		"Record-Route: < sip:p1;lr >;x":                     {"<sip:p1;lr>"},
		"Record-Route: <sip:p1\r\n ;lr>,\r\n\t<sip:p2;a=b>": {"<sip:p1;lr>", "<sip:p2;a=b>"},
		"Record-Route:": nil,
	} {
		d, err := dialog.FromRequest(invite(t, header), "l")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, d.Route); diff != "" {
			t.Errorf("%q (-want +got):\n%s", header, diff)
		}
	}
}

// A fork makes a dialog for each tag; the 2xx of one confirms that one alone, and with another tag makes one more (RFC
// 3261 13.2.2.4).
func TestFork(t *testing.T) {
	t.Parallel()
	req := invite(t)
	var list []*dialog.Dialog
	for _, tag := range []string{";tag=a", ";tag=b"} {
		d, err := dialog.FromResponse(req, answer(t, "180", tag, "Record-Route: <sip:early;lr>"))
		if err != nil || d.State != dialog.Early {
			t.Fatalf("%+v, error %v", d, err)
		}
		list = append(list, d)
	}
	final := answer(t, "200", ";tag=b", "Record-Route: <sip:late2;lr>, <sip:late1;lr>")
	for i, d := range list {
		if got := d.Match(final); got != (i == 1) {
			t.Errorf("the 200 is of dialog %s: %v", d.RemoteTag, got)
		}
	}
	list[1].Refresh(final)
	if d := list[1]; d.State != dialog.Confirmed || !cmp.Equal(d.Route, []string{"<sip:late1;lr>", "<sip:late2;lr>"}) {
		t.Errorf("confirmed: %+v", d)
	}
	if d := list[0]; d.State != dialog.Early || !cmp.Equal(d.Route, []string{"<sip:early;lr>"}) {
		t.Errorf("the other early dialog: %+v", d)
	}
	other := answer(t, "200", ";tag=c")
	for _, d := range list {
		if d.Match(other) {
			t.Errorf("the 200 of another branch is of dialog %s", d.RemoteTag)
		}
	}
	if d, err := dialog.FromResponse(req, other); err != nil || d.State != dialog.Confirmed || d.RemoteTag != "c" {
		t.Errorf("dialog of another branch: %+v, error %v", d, err)
	}
	// the answer to a re-INVITE leaves the route set as it is
	list[1].Refresh(answer(t, "200", ";tag=b", "Record-Route: <sip:evil;lr>"))
	if !cmp.Equal(list[1].Route, []string{"<sip:late1;lr>", "<sip:late2;lr>"}) {
		t.Errorf("a later 2xx changes the route set: %q", list[1].Route)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	d, err := dialog.FromRequest(invite(t), "l")
	if err != nil {
		t.Fatal(err)
	}
	req := func(method, cseq, from, to string) *sip.Message {
		return parse(t, method+" sip:a SIP/2.0", "From: <sip:x>"+from, "To: <sip:y>"+to, "Call-ID: c1@u1", "CSeq: "+cseq)
	}
	for i, c := range []struct {
		m    *sip.Message
		want int
		seq  uint32
	}{
		{req("ACK", "100 ACK", ";tag=from1", ";tag=l"), 0, 100},
		{req("CANCEL", "100 CANCEL", ";tag=from1", ";tag=l"), 0, 100},
		{req("INFO", "100 INFO", ";tag=from1", ";tag=l"), 500, 100},
		{req("INFO", "99 INFO", ";tag=from1", ";tag=l"), 500, 100},
		{req("INFO", "101 INFO", ";tag=from1", ";tag=l"), 0, 101},
		{req("INFO", "300 INFO", ";tag=from1", ";tag=l"), 0, 300}, // gaps are no error
		{req("INFO", "299 INFO", ";tag=from1", ";tag=l"), 500, 300},
		{req("ACK", "100 ACK", ";tag=from1", ";tag=l"), 0, 300},
		{req("INFO", "301 INFO", ";tag=other", ";tag=l"), 481, 300},
		{req("INFO", "301 INFO", ";tag=from1", ""), 481, 300},
		{req("INFO", "301 INFO", ";tag=l", ";tag=from1"), 481, 300},
		{req("INFO", "x INFO", ";tag=from1", ";tag=l"), 400, 300},
		{answer(t, "200", ";tag=l"), 400, 300},
		{req("INFO", "2147483647 INFO", ";tag=from1", ";tag=l"), 0, 2147483647},
	} {
		if got := d.Check(c.m); got != c.want || d.RemoteSeq != c.seq {
			t.Errorf("%d: %d with CSeq %d, want %d with %d", i, got, d.RemoteSeq, c.want, c.seq)
		}
	}
	d.State = dialog.Ended
	if got := d.Check(req("BYE", "2147483647 BYE", ";tag=from1", ";tag=l")); got != 481 {
		t.Errorf("after the end: %d, want 481", got)
	}
	// a first request may have 0, and then 0 again is late (RFC 3261 12.2.2)
	zero := parse(t, "INVITE sip:a SIP/2.0", "From: <sip:x>;tag=1", "To: <sip:y>", "Call-ID: c1@u1", "CSeq: 0 INVITE")
	if d, err = dialog.FromRequest(zero, "l"); err != nil {
		t.Fatal(err)
	}
	if got := d.Check(req("INFO", "0 INFO", ";tag=1", ";tag=l")); got != 500 {
		t.Errorf("0 after 0: %d, want 500", got)
	}
	// a caller takes any first one
	if d, err = dialog.FromResponse(invite(t), answer(t, "200", ";tag=r")); err != nil {
		t.Fatal(err)
	}
	if got := d.Check(req("INFO", "0 INFO", ";tag=r", ";tag=from1")); got != 0 {
		t.Errorf("first request of the other side: %d, want 0", got)
	}
}

// Peers of RFC 2543 have no tags: a missing tag is the tag "" (RFC 3261 12.1.1, 12.1.2, 12.2.1.1).
func TestWithoutTags(t *testing.T) {
	t.Parallel()
	d, err := dialog.FromResponse(invite(t), answer(t, "200", ""))
	if err != nil || d.State != dialog.Confirmed {
		t.Fatalf("%+v, error %v", d, err)
	}
	m := parseText(t, text(t, d.Request("BYE", rng())))
	if !m.To.Tag.Empty() || string(m.From.Tag.Of(m.Raw)) != "from1" {
		t.Errorf("tags of\n%s", m.Raw)
	}
	if bye := parse(t, "BYE sip:a SIP/2.0", "From: <sip:b>", "To: <sip:a>;tag=from1", "Call-ID: c1@u1", "CSeq: 1 BYE"); !d.Match(bye) {
		t.Error("a request without From tag does not match")
	}
	if !d.Match(answer(t, "200", "")) || d.Match(answer(t, "200", ";tag=x")) {
		t.Error("responses are not told apart")
	}
	old := parse(t, "INVITE sip:b SIP/2.0", "From: sip:a@b", "To: sip:b", "Call-ID: c", "CSeq: 1 INVITE")
	if d, err = dialog.FromRequest(old, "l"); err != nil {
		t.Fatal(err)
	}
	if d.RemoteTag != "" || d.Target != "sip:a@b" || d.Local != "sip:b" {
		t.Errorf("%+v", d)
	}
	if m = parseText(t, text(t, d.Request("BYE", rng()))); !m.To.Tag.Empty() || string(m.From.Tag.Of(m.Raw)) != "l" {
		t.Errorf("tags of\n%s", m.Raw)
	}
}

// Which messages move the target (RFC 3261 12.2, RFC 3311 5.1, RFC 6665 4.4.1, RFC 3515 2.2).
func TestRefresh(t *testing.T) {
	t.Parallel()
	for method, want := range map[string]bool{
		"INVITE": true, "UPDATE": true, "SUBSCRIBE": true, "NOTIFY": true, "REFER": true,
		"BYE": false, "INFO": false, "PRACK": false, "OPTIONS": false, "MESSAGE": false, "ACK": false, "FOO": false,
	} {
		contact := "Contact: <sip:new@9>"
		for _, c := range []struct {
			name string
			m    *sip.Message
			want bool
		}{
			{"request", parse(t, method+" sip:a SIP/2.0", "CSeq: 1 "+method, contact), want},
			{"request without Contact", parse(t, method+" sip:a SIP/2.0", "CSeq: 1 "+method), false},
			{"200", parse(t, "SIP/2.0 200 OK", "CSeq: 1 "+method, contact), want},
			{"202", parse(t, "SIP/2.0 202 Accepted", "CSeq: 1 "+method, contact), want},
			{"180", parse(t, "SIP/2.0 180 Ringing", "CSeq: 1 "+method, contact), false},
			{"302", parse(t, "SIP/2.0 302 Moved", "CSeq: 1 "+method, contact), false},
		} {
			d := dialog.Dialog{Target: "sip:old", State: dialog.Confirmed}
			if d.Refresh(c.m); (d.Target == "sip:new@9") != c.want {
				t.Errorf("%s %s: target %s, refreshed should be %v", method, c.name, d.Target, c.want)
			}
		}
	}
	d, err := dialog.FromRequest(invite(t), "l")
	if err != nil {
		t.Fatal(err)
	}
	d.Refresh(parse(t, "SIP/2.0 200 OK", "CSeq: 1 UPDATE", "Contact: <sip:new@9>"))
	if d.State != dialog.Early || d.Target != "sip:new@9" {
		t.Errorf("a 2xx to UPDATE in an early dialog: %+v", d)
	}
}

func TestSecure(t *testing.T) {
	t.Parallel()
	for uri, want := range map[string]bool{"sips:b": true, "SIPS:b": true, "sip:b": false, "tel:1": false} {
		req := parse(t, "INVITE "+uri+" SIP/2.0", "From: <sip:a>;tag=1", "To: <sip:b>", "Call-ID: c", "CSeq: 1 INVITE",
			"Contact: <sips:a@1>")
		uas, err := dialog.FromRequest(req, "l")
		if err != nil || uas.Secure != want {
			t.Errorf("%s: callee %+v, error %v", uri, uas, err)
		}
		uac, err := dialog.FromResponse(req, answer(t, "200", ";tag=2"))
		if err != nil || uac.Secure != want {
			t.Errorf("%s: caller %+v, error %v", uri, uac, err)
		}
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for status, tag := range map[string]string{"100": ";tag=x", "180": "", "302": ";tag=x", "486": ";tag=x", "600": ";tag=x"} {
		if d, err := dialog.FromResponse(invite(t), answer(t, status, tag)); !errors.Is(err, dialog.ErrNone) || d != nil {
			t.Errorf("%s makes %+v, error %v, want ErrNone", status, d, err)
		}
	}
	if _, err := dialog.FromResponse(answer(t, "200", ""), answer(t, "200", "")); !errors.Is(err, dialog.ErrNone) {
		t.Errorf("a response to a response: error %v", err)
	}
	if _, err := dialog.FromRequest(answer(t, "200", ""), "l"); !errors.Is(err, dialog.ErrNone) {
		t.Errorf("a response as a request: error %v", err)
	}
	for name, m := range map[string]*sip.Message{
		"Call-ID": parse(t, "INVITE sip:b SIP/2.0", "From: <sip:a>", "CSeq: 1 INVITE"),
		"CSeq":    parse(t, "INVITE sip:b SIP/2.0", "From: <sip:a>", "Call-ID: c"),
		"target":  parse(t, "INVITE sip:b SIP/2.0", "Call-ID: c", "CSeq: 1 INVITE"),
	} {
		if d, err := dialog.FromRequest(m, "l"); !errors.Is(err, dialog.ErrMissing) || d != nil {
			t.Errorf("without %s: %+v, error %v, want ErrMissing", name, d, err)
		}
	}
	for s, want := range map[dialog.State]string{
		0: "none", dialog.Early: "early", dialog.Confirmed: "confirmed", dialog.Ended: "ended",
	} {
		if s.String() != want {
			t.Errorf("state %d is %q, want %q", s, s, want)
		}
	}
}

// FuzzDialog: whatever makes a dialog, a request in it has the identity of the dialog and no header that nobody asked
// for; the other side takes it for its own.
func FuzzDialog(f *testing.F) {
	for _, m := range []*sip.Message{
		invite(f), seen(f), invite(f, "Record-Route: sip:a>b;lr,<sip:c,<d>"),
		parse(f, "INVITE sip:b SIP/2.0", "From: \"a\r\n b\" <sip:a\r\n\t@b>;tag=1", "To: ", "Call-ID: c", "CSeq: 1 INVITE"),
		parse(f, "INVITE sip:b SIP/2.0", "From: sip:a\rb;tag=1", "To: sip:c;x=\";tag=2", "Call-ID: c\rd", "CSeq: 1 INVITE"),
	} {
		f.Add(m.Raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var m sip.Message
		if sip.Parse(raw, &m) != nil {
			t.Skip()
		}
		callee, err := dialog.FromRequest(&m, "l0cal")
		if err != nil {
			return
		}
		r := callee.Request("BYE", rng())
		r.Via.Proto, r.Via.Host = "UDP", "own"
		out, err := r.Append(nil)
		if err != nil {
			return // a tag, a Call-ID or a URI that cannot be written
		}
		var bye sip.Message
		if err = sip.Parse(out, &bye); err != nil {
			t.Fatalf("%q: %v", out, err)
		}
		want := 7 + len(callee.Route) // Via, Max-Forwards, From, To, Call-ID, CSeq, Content-Length
		if r.From == "" {
			want--
		}
		if r.To == "" {
			want--
		}
		if len(bye.Headers) != want || bye.CSeq != callee.LocalSeq {
			t.Fatalf("%d headers, want %d:\n%q\n%q", len(bye.Headers), want, raw, out)
		}
		ok, err := compose.Response(nil, &bye, netip.AddrPort{}, &compose.Reply{Status: 200})
		if err != nil {
			t.Fatal(err)
		}
		var resp sip.Message
		if err = sip.Parse(ok, &resp); err != nil {
			t.Fatal(err)
		}
		// what the parser reads in the dialog's own values it reads in what is made of them
		if string(bye.From.Tag.Of(out)) == callee.LocalTag && string(bye.To.Tag.Of(out)) == callee.RemoteTag && !callee.Match(&resp) {
			t.Fatalf("the answer is not of the dialog:\n%q\n%q", out, ok)
		}
	})
}

func BenchmarkRequest(b *testing.B) {
	d, err := dialog.FromResponse(invite(b), answer(b, "200", ";tag=to1", "Record-Route: <sip:p1.example.com;lr>"))
	if err != nil {
		b.Fatal(err)
	}
	source, buf := rng(), make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		r := d.Request("BYE", source)
		if _, err := r.Append(buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkFromResponse(b *testing.B) {
	req, resp := invite(b), answer(b, "200", ";tag=to1", "Record-Route: <sip:p1.example.com;lr>")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := dialog.FromResponse(req, resp); err != nil {
			b.Fatal(err)
		}
	}
}
