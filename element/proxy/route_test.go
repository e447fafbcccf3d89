package proxy

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sipscope/decode/sip"
	"sipscope/element/transport"
)

// errName is what fakeDNS says of a name that it does not have.
var errName = errors.New("no such name")

// fakeDNS resolves host names, at once or when the test says so.
type fakeDNS struct {
	hops  map[string][]string
	later bool
	wait  []func()
	asked []string
}

func (d *fakeDNS) Resolve(uri []byte, done func([]transport.Hop, error)) {
	u, _ := sip.ParseURI(uri)
	name := string(u.Host)
	d.asked = append(d.asked, string(uri))
	answer := func() {
		var hops []transport.Hop
		for _, a := range d.hops[name] {
			proto := transport.UDP
			if rest, ok := strings.CutPrefix(a, "tcp:"); ok {
				proto, a = transport.TCP, rest
			}
			hops = append(hops, transport.Hop{Proto: proto, Remote: netip.MustParseAddrPort(a)})
		}
		if len(hops) == 0 {
			done(nil, errName)
			return
		}
		done(hops, nil)
	}
	if d.later {
		d.wait = append(d.wait, answer)
		return
	}
	answer()
}

// routed is the request line and the Route values of what bob gets of a BYE that the proxy of these names is sent.
func routed(t *testing.T, cfg Config, lines ...string) []string {
	t.Helper()
	bob := []string{bobAddr}
	cfg.Resolver = &fakeDNS{hops: map[string][]string{
		"p1.example.com": bob, "p2.example.com": bob, "p3.middle.com": bob, "p4.domain.com": bob, "u1.example.com": bob,
		"u2.domain.com": bob, "domain.com": bob, "p2.domain.com": bob,
	}}
	r := newRig(t, cfg)
	text := request(strings.Fields(lines[0])[0], strings.Fields(lines[0])[1], "r1", append(lines[1:], "totag b1")...)
	r.peer(aliceAddr).udp(text)
	p := r.peer(bobAddr)
	r.run(5 * ms)
	got := p.take()
	first, _, _ := strings.Cut(got, " SIP/2.0\r\n")
	out := []string{first}
	for _, v := range headerOf(t, got, "Route") {
		out = append(out, "Route: "+v)
	}
	return out
}

// TestRFC3261Routes are the examples of RFC 3261 16.12.1, and what else Route and Request-URI can ask for.
func TestRFC3261Routes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		host string // of the proxy
		in   []string
		want []string
	}{
		{"16.12.1.1 P2", "p2.domain.com", []string{
			"BYE sip:caller@u1.example.com", "Route: <sip:p2.domain.com;lr>,<sip:p1.example.com;lr>",
		}, []string{"BYE sip:caller@u1.example.com", "Route: <sip:p1.example.com;lr>"}},
		{"16.12.1.1 P1", "p1.example.com", []string{
			"BYE sip:caller@u1.example.com", "Route: <sip:p1.example.com;lr>",
		}, []string{"BYE sip:caller@u1.example.com"}},
		{"16.12.1.2 P4, a strict router next", "p4.domain.com", []string{
			"BYE sip:caller@u1.example.com", "Route: <sip:p4.domain.com;lr>", "Route: <sip:p3.middle.com>",
			"Route: <sip:p2.example.com;lr>", "Route: <sip:p1.example.com;lr>",
		}, []string{
			"BYE sip:p3.middle.com", "Route: <sip:p2.example.com;lr>", "Route: <sip:p1.example.com;lr>",
			"Route: <sip:caller@u1.example.com>",
		}},
		{"16.12.1.2 P2, after a strict router", "p2.example.com", []string{
			"BYE sip:p2.example.com;lr", "Route: <sip:p1.example.com;lr>", "Route: <sip:caller@u1.example.com>",
		}, []string{"BYE sip:caller@u1.example.com", "Route: <sip:p1.example.com;lr>"}},
		{"16.12.1.2 P1", "p1.example.com", []string{
			"BYE sip:caller@u1.example.com", "Route: <sip:p1.example.com;lr>",
		}, []string{"BYE sip:caller@u1.example.com"}},
		{"strict before and after", "p2.example.com", []string{
			"BYE sip:p2.example.com", "Route: <sip:p3.middle.com>, <sip:caller@u1.example.com>",
		}, []string{"BYE sip:p3.middle.com", "Route: <sip:caller@u1.example.com>"}},
		{"strict router without lr of ours, one value left", "p2.example.com", []string{
			"BYE sip:p2.example.com", "Route: <sip:caller@u1.example.com>",
		}, []string{"BYE sip:caller@u1.example.com"}},
		{"strict router, own value and target", "p2.example.com", []string{
			"BYE sip:p2.example.com", "Route: <sip:p2.example.com;lr>, <sip:caller@u1.example.com>",
		}, []string{"BYE sip:caller@u1.example.com"}},
		{"both sides of a double record route", "p2.example.com", []string{
			"BYE sip:caller@u1.example.com", "Route: <sip:10.0.0.1;transport=tcp;lr>,<sip:10.0.0.1:5060;lr>, <sip:p1.example.com;lr>",
		}, []string{"BYE sip:caller@u1.example.com", "Route: <sip:p1.example.com;lr>"}},
		{"commas in quotes and brackets", "p2.domain.com", []string{
			"BYE sip:caller@u1.example.com", `Route: "a, <b>" <sip:p2.domain.com;lr;x=1,2>, "c,d" <sip:p1.example.com;lr>;z`,
		}, []string{"BYE sip:caller@u1.example.com", `Route: "c,d" <sip:p1.example.com;lr>;z`}},
		{
			"own maddr", "p2.domain.com",
			[]string{"BYE sip:caller@u1.example.com:5060;maddr=10.0.0.1;transport=udp;x=1"},
			[]string{"BYE sip:caller@u1.example.com;x=1"},
		},
		{
			"other maddr", "p2.domain.com",
			[]string{"BYE sip:caller@nowhere.org;maddr=10.0.2.1"},
			[]string{"BYE sip:caller@nowhere.org;maddr=10.0.2.1"},
		},
		{
			"not our Route", "p2.domain.com",
			[]string{"BYE sip:caller@10.0.9.9", "Route: <sip:p1.example.com;lr>"},
			[]string{"BYE sip:caller@10.0.9.9", "Route: <sip:p1.example.com;lr>"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := routed(t, Config{Names: []string{tc.host}}, tc.in...)
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// TestTrapezoid is RFC 3261 16.12.1.1: the INVITE as P1 forwards it.
func TestTrapezoid(t *testing.T) {
	t.Parallel()
	dns := &fakeDNS{hops: map[string][]string{"domain.com": {bobAddr}}}
	r := newRig(t, Config{
		Names: []string{"p1.example.com"}, RecordRoute: true, RecordHost: "p1.example.com", Resolver: dns,
	})
	r.peer(aliceAddr).udp(request("INVITE", "sip:callee@domain.com", "a1", "Contact: sip:caller@u1.example.com"))
	bob := r.peer(bobAddr)
	r.run(5 * ms)
	got := bob.takeLine("INVITE sip:callee@domain.com SIP/2.0\r\n")
	if d := cmp.Diff([]string{"<sip:p1.example.com;lr>"}, headerOf(t, got, "Record-Route")); d != "" {
		t.Error(d)
	}
	bob.reply(got, 200, "b1")
	r.run(5 * ms)
	r.idle()
}

// TestNotifyRecordRoute: every NOTIFY is recorded, though it has a To tag, since it may make the dialog (RFC 6665 4.3). A
// BYE is not.
func TestNotifyRecordRoute(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{RecordRoute: true})
	alice, bob := r.peer(aliceAddr), r.peer(bobAddr)
	for method, want := range map[string][]string{"NOTIFY": {"<sip:10.0.0.1:5060;lr>"}, "BYE": nil} {
		req := strings.Replace(request(method, "sip:bob@10.0.2.1", "n"+method, "Route: <sip:10.0.0.1:5060;lr>"),
			"To: <sip:bob@b.com>", "To: <sip:bob@b.com>;tag=b1", 1)
		if !strings.Contains(req, ";tag=b1") {
			t.Fatal(req)
		}
		alice.udp(req)
		r.run(5 * ms)
		got := bob.takeLine(method + " ")
		if d := cmp.Diff(want, headerOf(t, got, "Record-Route")); d != "" {
			t.Errorf("%s: %s", method, d)
		}
		bob.reply(got, 200, "b1")
		r.run(5 * ms)
		alice.takeLine("SIP/2.0 200")
	}
	r.idle()
}

// TestDoubleRecordRoute: a call from UDP to TCP leads through both ends, in both directions.
func TestDoubleRecordRoute(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{RecordRoute: true})
	alice, bob := r.peer(aliceAddr), r.peer(bobAddr)
	alice.udp(request("INVITE", "sip:bob@10.0.2.1;transport=tcp", "a1", "Contact: <sip:alice@10.0.1.1>"))
	r.run(5 * ms)
	got := bob.take()
	want := []string{"<sip:10.0.0.1:5060;transport=tcp;lr>", "<sip:10.0.0.1:5060;lr>"}
	if d := cmp.Diff(want, headerOf(t, got, "Record-Route")); d != "" {
		t.Error(d)
	}
	if !strings.Contains(got, "Via: SIP/2.0/TCP 10.0.0.1:5060;") {
		t.Error(got)
	}
	hop := bob.hops[0]
	bob.host.Send(hop, []byte(strings.ReplaceAll(answer(t, got, 200, "b1"), "\n", "\r\n")), 0)
	r.run(5 * ms)
	alice.takeLine("SIP/2.0 100")
	alice.takeLine("SIP/2.0 200")
	alice.udp(request("BYE", "sip:bob@10.0.2.1;transport=tcp", "a2", "totag b1",
		"Route: <sip:10.0.0.1:5060;lr>, <sip:10.0.0.1:5060;transport=tcp;lr>"))
	r.run(5 * ms)
	bye := bob.takeLine("BYE sip:bob@10.0.2.1;transport=tcp ")
	if len(headerOf(t, bye, "Route")) != 0 || bob.hops[1].Proto != transport.TCP {
		t.Error(bye)
	}
	bob.send(transport.UDP, proxyAddr, strings.ReplaceAll(request("INFO", "sip:alice@10.0.1.1", "b1", "totag a1",
		"Route: <sip:10.0.0.1:5060;transport=tcp;lr>, <sip:10.0.0.1:5060;lr>"), "UDP 10.0.1.1", "UDP 10.0.2.1"))
	r.run(5 * ms)
	alice.takeLine("INFO ")
	if hop := alice.hops[len(alice.hops)-1]; hop.Proto != transport.UDP {
		t.Error(hop)
	}
}

// TestViaStamp: the copy says where the request came from (RFC 3261 18.2.1, RFC 3581 4).
func TestViaStamp(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ via, want string }{
		{"SIP/2.0/UDP 10.0.1.1:5060;branch=z9hG4bK1", "SIP/2.0/UDP 10.0.1.1:5060;branch=z9hG4bK1"},
		{"SIP/2.0/UDP a.com;branch=z9hG4bK1;x=\"a;b\"", "SIP/2.0/UDP a.com;branch=z9hG4bK1;x=\"a;b\";received=10.0.1.1"},
		{
			"SIP / 2.0 / UDP 192.168.0.1:9 ;rport; branch=z9hG4bK1;received=1.2.3.4 , SIP/2.0/UDP z",
			"SIP / 2.0 / UDP 192.168.0.1:9 ; branch=z9hG4bK1;received=10.0.1.1;rport=5060 , SIP/2.0/UDP z",
		},
		{"SIP/2.0/UDP 10.0.1.1;rport;branch=z9hG4bK1", "SIP/2.0/UDP 10.0.1.1;branch=z9hG4bK1;received=10.0.1.1;rport=5060"},
	} {
		r := newRig(t, Config{})
		text := request("MESSAGE", "sip:bob@10.0.2.1", "x")
		from := strings.Index(text, "Via: ") + 5
		to := from + strings.IndexByte(text[from:], '\n')
		bob := r.peer(bobAddr)
		r.peer(aliceAddr).udp(text[:from] + tc.via + text[to:])
		r.run(5 * ms)
		got := headerOf(t, bob.take(), "Via")[1]
		if strings.ReplaceAll(got, "1.2.3.4 ", "") != tc.want && got != tc.want {
			t.Errorf("got  %s\nwant %s", got, tc.want)
		}
	}
}

// TestTable is the static table.
func TestTable(t *testing.T) {
	t.Parallel()
	var routes []Route
	for _, s := range []string{
		"B.com=sip:10.0.2.2", "+49@=sip:10.0.2.3;transport=tcp", "*=sip:10.0.2.1",
	} {
		route, err := ParseRoute(s)
		if err != nil {
			t.Fatal(err)
		}
		routes = append(routes, route)
	}
	for _, bad := range []string{"", "b.com", "=sip:x", "b.com=", "b.com=sip:", "b.com=tel:1"} {
		if _, err := ParseRoute(bad); !errors.Is(err, ErrConfig) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, tc := range []struct{ uri, addr string }{
		{"sip:x@b.COM", bob2Addr},
		{"sip:+491@c.com", carolAddr},
		{"tel:+491", carolAddr},
		{"sip:bob@10.0.0.1", bobAddr},
		{"sip:anybody@nowhere.org", bobAddr},
	} {
		r := newRig(t, Config{Routes: routes})
		r.peer(aliceAddr).udp(request("MESSAGE", tc.uri, "x"))
		p := r.peer(tc.addr)
		r.run(5 * ms)
		p.takeLine("MESSAGE " + tc.uri + " ")
	}
}
