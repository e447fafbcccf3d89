package transport

import (
	"encoding/json"
	"errors"
	"net"
	"net/netip"
	"testing"

	"sipscope/decode/sip"
)

// parsed makes a Received of what came.
func parsed(tb testing.TB, g got) *Received {
	tb.Helper()
	r := &Received{Msg: new(sip.Message), Hop: g.hop}
	if err := sip.Parse([]byte(g.text), r.Msg); err != nil {
		tb.Fatal(err)
	}
	return r
}

// freePort is an address where nobody listens.
func freePort(tb testing.TB) netip.AddrPort {
	tb.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer l.Close()
	return addrPortOf(l.Addr())
}

func TestHops(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, via string
		proto     Proto
		source    string
		reply     string // ReplyHop's Remote
		byVia     string // ViaHop, "" for none
	}{
		{"plain", "SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK1", UDP, "192.0.2.1:1024", "192.0.2.1:5070", "UDP 192.0.2.1:5070"},
		{"no port", "SIP/2.0/UDP 192.0.2.1", UDP, "192.0.2.1:1024", "192.0.2.1:5060", "UDP 192.0.2.1:5060"},
		{"rport asked", "SIP/2.0/UDP 10.0.0.1:5070;rport", UDP, "192.0.2.1:1024", "192.0.2.1:1024", "UDP 10.0.0.1:5070"},
		{"behind a NAT", "SIP/2.0/UDP 10.0.0.1:5070", UDP, "192.0.2.1:1024", "192.0.2.1:5070", "UDP 10.0.0.1:5070"},
		{"received", "SIP/2.0/UDP 10.0.0.1:5070;received=192.0.2.9", UDP, "192.0.2.9:1", "192.0.2.9:5070", "UDP 192.0.2.9:5070"},
		{
			"received and rport", "SIP/2.0/UDP a.b:5070;rport=99;received=192.0.2.9", UDP, "192.0.2.9:99", "192.0.2.9:99",
			"UDP 192.0.2.9:99",
		},
		{
			"received IPv6", "SIP/2.0/UDP a.b;received=[2001:db8::9]", UDP, "[2001:db8::9]:99", "[2001:db8::9]:5060",
			"UDP [2001:db8::9]:5060",
		},
		{
			"received IPv6 without brackets", "SIP/2.0/UDP a.b;received=2001:db8::9", UDP, "[2001:db8::9]:99",
			"[2001:db8::9]:5060", "UDP [2001:db8::9]:5060",
		},
		{"IPv6", "SIP/2.0/UDP [2001:db8::1]:5070", UDP, "[2001:db8::1]:9", "[2001:db8::1]:5070", "UDP [2001:db8::1]:5070"},
		{"maddr", "SIP/2.0/UDP 192.0.2.1:5070;rport;maddr=192.0.2.7", UDP, "192.0.2.1:9", "192.0.2.1:9", "UDP 192.0.2.1:5070"},
		{"maddr is the source", "SIP/2.0/UDP 192.0.2.1:5070;rport;maddr=192.0.2.1", UDP, "192.0.2.1:9", "192.0.2.1:5070", "UDP 192.0.2.1:5070"},
		{"maddr without rport", "SIP/2.0/UDP 192.0.2.1:5070;maddr=224.0.1.75", UDP, "192.0.2.1:9", "192.0.2.1:5070", "UDP 192.0.2.1:5070"},
		{"maddr is a name", "SIP/2.0/UDP 192.0.2.1:5070;maddr=a.b", UDP, "192.0.2.1:9", "192.0.2.1:5070", "UDP 192.0.2.1:5070"},
		{
			"maddr of the next value", "SIP/2.0/UDP 192.0.2.1:5070, SIP/2.0/UDP h;maddr=192.0.2.7", UDP, "192.0.2.1:9",
			"192.0.2.1:5070", "UDP 192.0.2.1:5070",
		},
		{"maddr in quotes", `SIP/2.0/UDP 192.0.2.1;x="\",;maddr=1.1.1.1"`, UDP, "192.0.2.1:9", "192.0.2.1:5060", "UDP 192.0.2.1:5060"},
		{"maddr after a fold", "SIP/2.0/UDP 192.0.2.1;x=y\r\n ;maddr=192.0.2.7", UDP, "192.0.2.1:9", "192.0.2.1:5060", "UDP 192.0.2.1:5060"},
		{"name", "SIP/2.0/UDP pc.a.com", UDP, "192.0.2.1:9", "192.0.2.1:5060", ""},
		{"TCP", "SIP/2.0/TCP 10.0.0.1:5070;rport", TCP, "192.0.2.1:9", "192.0.2.1:5070", "TCP 10.0.0.1:5070"},
		{
			"TCP, own connection", "SIP/2.0/tcp 10.0.0.1;received=192.0.2.1;rport=9", TCP, "192.0.2.1:9", "192.0.2.1:5060",
			"TCP 192.0.2.1:9",
		},
		{"TLS", "SIP/2.0/TLS 10.0.0.1;maddr=192.0.2.7", TLS, "192.0.2.1:9", "192.0.2.1:5061", "TLS 10.0.0.1:5061"},
		{"WS", "SIP/2.0/WS df7jal23ls0d.invalid;rport", WS, "192.0.2.1:9", "192.0.2.1:9", ""},
		{"other transport", "SIP/2.0/SCTP 192.0.2.1", TCP, "192.0.2.1:9", "192.0.2.1:5060", ""},
		{"nothing", "", UDP, "192.0.2.1:9", "192.0.2.1:9", ""},
	} {
		text := "OPTIONS sip:a@b SIP/2.0\r\nVia: " + tt.via + "\r\nTo: <sip:x;maddr=3.3.3.3>\r\n\r\n"
		r := &Received{Msg: new(sip.Message), Hop: Hop{Proto: tt.proto, Remote: netip.MustParseAddrPort(tt.source), Conn: 3}}
		if err := sip.Parse([]byte(text), r.Msg); err != nil {
			t.Fatal(err)
		}
		if hop := ReplyHop(r); hop.Remote.String() != tt.reply || hop.Proto != tt.proto || hop.Conn != 3 {
			t.Errorf("%s: reply to %+v, want %s", tt.name, hop, tt.reply)
		}
		byVia := ""
		if hop, ok := ViaHop(r.Msg.Raw, &r.Msg.Via); ok {
			byVia = hop.Proto.String() + " " + hop.Remote.String()
		}
		if byVia != tt.byVia {
			t.Errorf("%s: by Via to %q, want %q", tt.name, byVia, tt.byVia)
		}
	}
}

func TestReplyHopAllocates(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts the allocations of all
	r := &Received{Msg: new(sip.Message), Hop: Hop{Proto: UDP, Remote: netip.MustParseAddrPort("192.0.2.1:5060")}}
	raw := []byte("OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5070;received=192.0.2.5;maddr=192.0.2.7\r\n\r\n")
	if err := sip.Parse(raw, r.Msg); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { ReplyHop(r); ViaHop(raw, &r.Msg.Via) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzHops(f *testing.F) {
	f.Add("SIP/2.0/UDP 192.0.2.1:5070;received=192.0.2.5;maddr=192.0.2.7")
	f.Add("SIP/2.0/WSS [::1];x=\"\\")
	f.Fuzz(func(t *testing.T, via string) {
		m := new(sip.Message)
		if sip.Parse([]byte("OPTIONS sip:a@b SIP/2.0\r\nVia: "+via+"\r\n\r\n"), m) != nil {
			return
		}
		source := netip.MustParseAddrPort("192.0.2.1:9")
		for _, p := range []Proto{UDP, TCP, WS} {
			hop := ReplyHop(&Received{Msg: m, Hop: Hop{Proto: p, Remote: source}})
			if !hop.Remote.IsValid() || hop.Proto != p || hop.Remote.Port() == 0 {
				t.Errorf("%q: %+v", via, hop)
			}
		}
		if hop, ok := ViaHop(m.Raw, &m.Via); ok && (!hop.Remote.Addr().IsValid() || hop.Remote.Port() == 0) {
			t.Errorf("%q: %+v", via, hop)
		}
	})
}

func TestParseListen(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"udp:127.0.0.1:5060": "udp:127.0.0.1:5060",
		"UDP:127.0.0.1":      "udp:127.0.0.1:5060",
		"tls:[::1]:5061":     "tls:[::1]:5061",
		"tls:[::1]":          "tls:[::1]:5061",
		"tls:::1":            "tls:[::1]:5061",
		"ws:*:8080":          "ws:0.0.0.0:8080",
		"wss:":               "wss:0.0.0.0:443",
		"tcp::0":             "tcp:0.0.0.0:0",
		"tcp:::":             "tcp:[::]:5060",
		"udp:1.2.3.4:65536":  "",
		"udp:1.2.3.4:":       "",
		"udp:example.com:1":  "",
		"sctp:1.2.3.4:1":     "",
		"udp":                "",
		"":                   "",
		"1.2.3.4:5060":       "",
		"udp:[1.2.3.4:5060":  "",
	} {
		l, err := ParseListen(in)
		switch {
		case want == "" && !errors.Is(err, ErrListen):
			t.Errorf("%q: %v, %v", in, l, err)
		case want == "":
			continue
		}
		var again struct{ At Listen }
		text, jsonErr := json.Marshal(struct{ At Listen }{l})
		if jsonErr == nil {
			jsonErr = json.Unmarshal(text, &again)
		}
		switch {
		case jsonErr != nil || again.At != l:
			t.Errorf("%q: as JSON %s, %v, %v", in, text, again.At, jsonErr)
		case err != nil || l.String() != want:
			t.Errorf("%q: %v, %v; want %s", in, l, err, want)
		}
	}
}

func FuzzParseListen(f *testing.F) {
	f.Add("udp:127.0.0.1:5060")
	f.Add("tls:[::1]")
	f.Fuzz(func(t *testing.T, s string) {
		l, err := ParseListen(s)
		if err != nil {
			return
		}
		again, err := ParseListen(l.String())
		if err != nil || again != l {
			t.Errorf("%q is %v, then %v, %v", s, l, again, err)
		}
	})
}

func FuzzParseIPv4(f *testing.F) {
	f.Add([]byte("192.0.2.1"))
	f.Add([]byte("01.2.3.4"))
	f.Add([]byte("1.2.3.256"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, ok := parseIPv4(b)
		want, err := netip.ParseAddr(string(b))
		if ok != (err == nil && want.Is4()) || ok && got != want {
			t.Errorf("%q: %v, %v; want %v, %v", b, got, ok, want, err)
		}
	})
}
