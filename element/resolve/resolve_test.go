package resolve

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"sipscope/element/transport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// text is a list of hops as one reads it.
func text(hops []transport.Hop) string {
	var b strings.Builder
	for i, h := range hops {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%s:%s", strings.ToLower(h.Proto.String()), h.Remote)
		if h.Name != "" {
			b.WriteString("/" + h.Name)
		}
	}
	return b.String()
}

func table(tb testing.TB, entries string) *Table {
	tb.Helper()
	var tab Table
	if err := tab.Read(strings.NewReader(entries)); err != nil {
		tb.Fatal(err)
	}
	return &tab
}

const entries = `
host  numbers.com   192.0.2.1 2001:db8::1 192.0.2.2:5070   # two families
host  proxy.b.com   127.0.2.1
host  proxy2.b.com  127.0.2.2
host  backup.b.com  127.0.2.3
host  tls.b.com     127.0.2.4
srv   _sip._udp.b.com    10 0 5060 proxy.b.com.
srv   _sip._udp.b.com    20 0 5062 backup.b.com
srv   _sip._tcp.b.com    10 0 5061 proxy2.b.com
srv   _sips._tcp.b.com   10 0 0 tls.b.com
naptr n.com  10 30 s SIP+D2U   _sip._udp.b.com
naptr n.com  10 20 s SIP+D2T   _sip._tcp.b.com
naptr n.com  10 10 s SIPS+D2T  _sips._tcp.b.com
naptr n.com  5  10 s SIP+D2S   _sip._sctp.b.com
naptr n.com  30 10 a SIP+D2W   proxy.b.com
naptr dead.com 10 10 s SIP+D2T _sip._tcp.nowhere.gone.com
naptr dead.com 20 10 s SIP+D2U _sip._udp.b.com
naptr dead.com 30 10 s SIP+D2T _sip._tcp.b.com
srv   _sip._udp.closed.com 0 0 0 .
host  closed.com    192.0.2.66
srv   _sip._udp.literal.com 0 0 5080 192.0.2.9
host  tcponly.com   tcp:192.0.2.7:5099
host  tlsonly.com   tls:192.0.2.8
srv   _sip._ws.w.com  0 0 8080 proxy.b.com
srv   _sips._ws.w.com 0 0 8443 proxy.b.com
srv   _sip._udp.gone.com 0 0 5060 nowhere.gone.com
`

// The rows name the rule of RFC 3263 that they are about.
func TestRules(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, uri, want string
		err             error
	}{
		{"4.1 numeric", "sip:bob@192.0.2.1", "udp:192.0.2.1:5060", nil},
		{"4.1 numeric sips", "sips:bob@192.0.2.1", "tls:192.0.2.1:5061/192.0.2.1", nil},
		{"4.2 numeric with a port", "sip:192.0.2.1:5070", "udp:192.0.2.1:5070", nil},
		{"numeric with a transport", "sip:192.0.2.1;transport=TCP", "tcp:192.0.2.1:5060", nil},
		{"IPv6", "sip:[2001:db8::1]:5070", "udp:[2001:db8::1]:5070", nil},
		{"mapped IPv4", "sip:[::ffff:192.0.2.1]", "udp:192.0.2.1:5060", nil},
		{"maddr", "sip:bob@b.com;maddr=192.0.2.77", "udp:192.0.2.77:5060", nil},
		{"maddr IPv6", "sip:bob@b.com;maddr=[2001:db8::5]", "udp:[2001:db8::5]:5060", nil},
		{"Route value", "<sip:192.0.2.1:5080;lr>", "udp:192.0.2.1:5080", nil},
		{"Route value with a name", `"P" <sip:192.0.2.1;transport=tcp;lr>;x=y`, "tcp:192.0.2.1:5060", nil},
		{"sips with TCP is TLS", "sips:192.0.2.1;transport=tcp", "tls:192.0.2.1:5061/192.0.2.1", nil},
		{"transport tls", "sip:192.0.2.1;transport=tls", "tls:192.0.2.1:5061/192.0.2.1", nil},
		{"7118 ws", "sip:192.0.2.1;transport=ws", "ws:192.0.2.1:80/192.0.2.1", nil},
		{"7118 sips ws", "sips:192.0.2.1;transport=ws", "wss:192.0.2.1:443/192.0.2.1", nil},

		{"4.1 a port: no SRV", "sip:b.com:5060", "", ErrNotFound},
		{"4.1 a port: address", "sip:numbers.com:5099", "udp:[2001:db8::1]:5099 udp:192.0.2.1:5099 udp:192.0.2.2:5099", nil},
		{"4.1 a port and sips", "sips:proxy.b.com:5099", "tls:127.0.2.1:5099/proxy.b.com", nil},
		{"4.2 no records: address", "sip:numbers.com", "udp:[2001:db8::1]:5060 udp:192.0.2.1:5060 udp:192.0.2.2:5070", nil},
		{"4.2 no records and sips", "sips:proxy.b.com", "tls:127.0.2.1:5061/proxy.b.com", nil},
		{
			"4.1 SRV of all transports", "sip:bob@B.com.",
			"udp:127.0.2.1:5060 udp:127.0.2.3:5062 tcp:127.0.2.2:5061 tls:127.0.2.4:5061/b.com", nil,
		},
		{"4.1 SRV and sips", "sips:b.com", "tls:127.0.2.4:5061/b.com", nil},
		{"4.2 SRV of the transport", "sip:b.com;transport=tcp", "tcp:127.0.2.2:5061", nil},
		{"4.2 SRV and sips with TCP", "sips:b.com;transport=tcp", "tls:127.0.2.4:5061/b.com", nil},
		{
			"4.1 NAPTR order", "sip:n.com",
			"tls:127.0.2.4:5061/n.com tcp:127.0.2.2:5061 udp:127.0.2.1:5060 udp:127.0.2.3:5062", nil,
		},
		{"3403 4.1 a higher order where the first leads nowhere", "sip:dead.com", "udp:127.0.2.1:5060 udp:127.0.2.3:5062", nil},
		{"4.1 NAPTR and sips", "sips:n.com", "tls:127.0.2.4:5061/n.com", nil},
		{"4.1 NAPTR is not for a given transport", "sip:n.com;transport=udp", "", ErrNotFound},
		{"2782 no such service", "sip:closed.com", "", ErrRefused},
		{"2782 no such service over UDP", "sip:closed.com;transport=tcp", "tcp:192.0.2.66:5060", nil},
		{"SRV without address", "sip:gone.com", "", ErrNoDNS},
		{"SRV with an address", "sip:literal.com", "udp:192.0.2.9:5080", nil},
		{"table with a transport", "sip:tcponly.com", "tcp:192.0.2.7:5099", nil},
		{"table with a transport, URI with another", "sip:tcponly.com;transport=udp", "udp:192.0.2.7:5099", nil},
		{"table with a transport, sips", "sips:tcponly.com", "tls:192.0.2.7:5099/tcponly.com", nil},
		{"table with TLS", "sips:tlsonly.com", "tls:192.0.2.8:5061/tlsonly.com", nil},
		{"7118 SRV for ws", "sip:w.com;transport=ws", "ws:127.0.2.1:8080/w.com", nil},
		{"7118 SRV for wss", "sips:w.com;transport=ws", "wss:127.0.2.1:8443/w.com", nil},
		{"7118 wss as people write it", "sip:w.com;transport=wss", "wss:127.0.2.1:8443/w.com", nil},
		{"6761 localhost", "sip:localhost", "udp:[::1]:5060 udp:127.0.0.1:5060", nil},

		{"tel", "tel:+15551234", "", ErrURI},
		{"nothing", "", "", ErrURI},
		{"no host", "sip:", "", ErrURI},
		{"bad host", "sip:a..b", "", ErrURI},
		{"bad label", "sip:" + strings.Repeat("a", 64) + ".com", "", ErrURI},
		{"long host", "sip:" + strings.Repeat("abcdefgh.", 40) + "com", "", ErrURI},
		{"unspecified", "sip:0.0.0.0", "", ErrURI},
		{"unknown transport", "sip:b.com;transport=sctp", "", ErrTransport},
		{"sips over UDP", "sips:b.com;transport=udp", "", ErrTransport},
		{"no DNS", "sip:elsewhere.com", "", ErrNoDNS},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := New(Config{Table: table(t, entries)})
			called := 0
			c.Resolve([]byte(tt.uri), func(hops []transport.Hop, err error) {
				called++
				if text(hops) != tt.want || !errors.Is(err, tt.err) {
					t.Errorf("%s:\n got %s, %v\nwant %s, %v", tt.uri, text(hops), err, tt.want, tt.err)
				}
			})
			if called != 1 {
				t.Errorf("done was called %d times", called)
			}
		})
	}
}

func TestTransportsAndFamilies(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		uri        string
		transports []transport.Proto
		families   Families
		want       string
		err        error
	}{
		{
			"sip:b.com",
			[]transport.Proto{transport.TCP, transport.UDP},
			0,
			"tcp:127.0.2.2:5061 udp:127.0.2.1:5060 udp:127.0.2.3:5062", nil,
		},
		{"sip:n.com", []transport.Proto{transport.UDP}, 0, "udp:127.0.2.1:5060 udp:127.0.2.3:5062", nil},
		{"sip:n.com", []transport.Proto{transport.WS}, 0, "ws:127.0.2.1:80/n.com", nil},
		{"sips:n.com", []transport.Proto{transport.UDP}, 0, "", ErrTransport},
		{"sips:192.0.2.1", []transport.Proto{transport.UDP}, 0, "", ErrTransport},
		{"sip:192.0.2.1", []transport.Proto{transport.TCP}, 0, "tcp:192.0.2.1:5060", nil},
		{"sip:192.0.2.1", []transport.Proto{transport.TLS}, 0, "", ErrTransport},
		{"sips:192.0.2.1", []transport.Proto{transport.WSS}, 0, "wss:192.0.2.1:443/192.0.2.1", nil},
		{"sip:b.com;transport=tcp", []transport.Proto{transport.UDP}, 0, "", ErrTransport},
		{"sip:numbers.com", nil, IPv4First, "udp:192.0.2.1:5060 udp:192.0.2.2:5070 udp:[2001:db8::1]:5060", nil},
		{"sip:numbers.com", nil, IPv4Only, "udp:192.0.2.1:5060 udp:192.0.2.2:5070", nil},
		{"sip:numbers.com", nil, IPv6Only, "udp:[2001:db8::1]:5060", nil},
	} {
		c := New(Config{Table: table(t, entries), Transports: tt.transports, Families: tt.families})
		c.Resolve([]byte(tt.uri), func(hops []transport.Hop, err error) {
			if text(hops) != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("%s %v:\n got %s, %v\nwant %s, %v", tt.uri, tt.transports, text(hops), err, tt.want, tt.err)
			}
		})
	}
}

// TestWeights draws many times: the shares are those of the weights (RFC 2782).
func TestWeights(t *testing.T) {
	t.Parallel()
	c := New(Config{Rand: rand.New(rand.NewPCG(1, 1)), Table: table(t, `
srv _sip._udp.w.com 10 60 1 192.0.2.1
srv _sip._udp.w.com 10 30 2 192.0.2.2
srv _sip._udp.w.com 10 10 3 192.0.2.3
srv _sip._udp.w.com 10 0  4 192.0.2.4
srv _sip._udp.w.com 20 99 5 192.0.2.5
`)})
	const draws = 20000
	var first [6]int
	for range draws {
		c.Resolve([]byte("sip:w.com"), func(hops []transport.Hop, err error) {
			if err != nil || len(hops) != 5 || hops[4].Remote.Port() != 5 {
				t.Fatalf("%s, %v", text(hops), err)
			}
			ports := map[uint16]bool{}
			for _, h := range hops {
				ports[h.Remote.Port()] = true
			}
			if len(ports) != 5 {
				t.Fatalf("%s: not each once", text(hops))
			}
			first[hops[0].Remote.Port()]++
		})
	}
	for port, want := range map[int]float64{1: 0.6, 2: 0.3, 3: 0.1} {
		if got := float64(first[port]) / draws; got < want-0.02 || got > want+0.02 {
			t.Errorf("port %d was first in %.3f of the draws, want %.1f", port, got, want)
		}
	}
	if first[4] == 0 || first[4] > draws/50 {
		t.Errorf("weight 0 was first %d times: want a small chance", first[4])
	}
}

// TestKeyed: the same key gives the same order each time, and other keys others (RFC 3263 4.4).
func TestKeyed(t *testing.T) {
	t.Parallel()
	c := New(Config{Table: table(t, `
srv _sip._udp.w.com 10 10 1 192.0.2.1
srv _sip._udp.w.com 10 10 2 192.0.2.2
srv _sip._udp.w.com 10 10 3 192.0.2.3
`)})
	orders := map[string]int{}
	for key := range uint64(50) {
		first := ""
		for range 5 {
			c.ResolveKeyed([]byte("sip:w.com"), key, func(hops []transport.Hop, err error) {
				if got := text(hops); first == "" {
					first = got
				} else if got != first || err != nil {
					t.Errorf("key %d: %s, then %s, %v", key, first, got, err)
				}
			})
		}
		orders[first]++
	}
	if len(orders) != 6 {
		t.Errorf("%d orders of three targets, want 6", len(orders))
	}
	c.ResolveKeyed([]byte("tel:1"), 1, func(_ []transport.Hop, err error) {
		if !errors.Is(err, ErrURI) {
			t.Error(err)
		}
	})
}

// FuzzTarget reads URIs: a target has a host that can be asked for or an address.
func FuzzTarget(f *testing.F) {
	for _, s := range []string{"sip:b.com", "<sips:a@[::1]:5061;transport=tcp;maddr=x>", "sip:x;transport=", "tel:1"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, uri []byte) {
		before := slices.Clone(uri)
		got, err := ParseTarget(uri)
		if !slices.Equal(before, uri) {
			t.Fatal("the URI was changed")
		}
		if err == nil && !got.Addr.IsValid() && !isName(got.Host) {
			t.Fatalf("%q: %+v", uri, got)
		}
		if err == nil && got.Secure && got.Proto != 0 && !got.Proto.Secure() {
			t.Fatalf("%q: %+v is not secure", uri, got)
		}
	})
}

func BenchmarkResolveTable(b *testing.B) {
	c := New(Config{Table: table(b, entries)})
	uri, done := []byte("sip:bob@b.com"), func([]transport.Hop, error) {}
	b.ReportAllocs()
	for b.Loop() {
		c.Resolve(uri, done)
	}
}

func BenchmarkResolveNumeric(b *testing.B) {
	c := New(Config{})
	uri, done := []byte("sip:bob@127.0.2.10:5060"), func([]transport.Hop, error) {}
	b.ReportAllocs()
	for b.Loop() {
		c.Resolve(uri, done)
	}
}
