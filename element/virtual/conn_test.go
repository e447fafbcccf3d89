package virtual

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sipscope/element/transport"
)

func TestStreams(t *testing.T) {
	t.Parallel()
	for _, proto := range []transport.Proto{transport.TCP, transport.TLS, transport.WS, transport.WSS} {
		t.Run(proto.String(), func(t *testing.T) {
			t.Parallel()
			n := New(0, seeded(1))
			n.Path = Path{Latency: ms, Jitter: 20 * ms, Loss: 1, Duplicate: 1, Reorder: 1} // not theirs
			a, b := pair(t, n, strings.ToLower(proto.String()))
			b.answer = true
			hop := to(proto, "10.0.0.2:5060")
			hop.Name = "b.com"
			for i := range 50 {
				a.host.Send(hop, message(i), 0)
			}
			run(t, n)
			if len(b.got) != 50 || len(a.got) != 50 {
				t.Fatalf("b got %d, a got %d, want 50 each", len(b.got), len(a.got))
			}
			for i, g := range b.got {
				if !strings.HasPrefix(g, fmt.Sprintf("c%d@", i)) {
					t.Fatalf("message %d is %s: out of order", i, g)
				}
			}
			if b.hops[0].Conn == 0 || b.hops[0].Conn != b.hops[49].Conn || a.hops[0].Conn != b.hops[0].Conn {
				t.Errorf("connections %d, %d, %d: want one", b.hops[0].Conn, b.hops[49].Conn, a.hops[0].Conn)
			}
			if a.hops[0].Name != "b.com" || b.hops[0].Name != "" {
				t.Errorf("names %q, %q", a.hops[0].Name, b.hops[0].Name)
			}
			if port := b.hops[0].Remote.Port(); port < firstEphemeral {
				t.Errorf("client port %d is not ephemeral", port)
			}
			if s := n.Stats(); s.Connections != 1 || s.Open != 1 {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

func TestDisconnect(t *testing.T) {
	t.Parallel()
	n := New(0, seeded(1))
	a, b := pair(t, n, "tcp")
	a.host.Send(to(transport.TCP, "10.0.0.2:5060"), message(1), 0)
	run(t, n)
	hop := b.hops[0]
	n.Disconnect(hop.Conn)
	n.Disconnect(hop.Conn)
	b.host.Send(hop, message(2), 7) // the client's ephemeral port listens for nobody
	hop.Remote = netip.MustParseAddrPort("10.0.0.1:5060")
	b.host.Send(hop, message(3), 8) // but its listener does: a new connection
	run(t, n)
	if diff := cmp.Diff([]string{"7@3"}, b.failed); diff != "" {
		t.Errorf("failed (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{"c3@2"}, a.got); diff != "" {
		t.Errorf("got (-want +got)\n%s", diff)
	}
	// What is on its way is lost with its connection.
	a.host.Send(to(transport.TCP, "10.0.0.2:5060"), message(4), 0)
	n.Disconnect(n.lastConn)
	run(t, n)
	if len(b.got) != 1 || n.Stats().Open != 1 || len(a.host.peers)+len(b.host.peers) != 2 {
		t.Errorf("b got %v, stats %+v", b.got, n.Stats())
	}
}

// TestNames: who a TLS server is was verified for one name only (RFC 5922 4).
func TestNames(t *testing.T) {
	t.Parallel()
	for proto, want := range map[transport.Proto]uint64{transport.TLS: 2, transport.WS: 1} {
		n := New(0, seeded(1))
		a, _ := pair(t, n, strings.ToLower(proto.String()))
		for _, name := range []string{"b.com", "c.com", "b.com"} {
			hop := to(proto, "10.0.0.2:5060")
			hop.Name = name
			a.host.Send(hop, message(1), 0)
		}
		if got := n.Stats().Connections; got != want {
			t.Errorf("%s: %d connections, want %d", proto, got, want)
		}
	}
}

func TestMTU(t *testing.T) {
	t.Parallel()
	large := func(start string) []byte {
		return bytes.Replace(append(message(1), bytes.Repeat([]byte("x"), 1300)...), []byte("OPTIONS sip:b SIP/2.0"), []byte(start), 1)
	}
	request, response := large("OPTIONS sip:b SIP/2.0"), large("SIP/2.0 200 OK")
	for _, tt := range []struct {
		name   string
		protos []string
		mtu    int
		raw    [][]byte
		tag    uint64
		want   string
	}{
		{"large", []string{"udp", "tcp"}, 0, [][]byte{request}, 1, "TCP"},
		{"small", []string{"udp", "tcp"}, 0, [][]byte{message(1)}, 1, "UDP"},
		{"never", []string{"udp", "tcp"}, -1, [][]byte{request}, 1, "UDP"},
		{"limit", []string{"udp", "tcp"}, 100, [][]byte{message(1)}, 1, "TCP"},
		{"no TCP there", []string{"udp"}, 0, [][]byte{request}, 1, "UDP"},
		{"response", []string{"udp", "tcp"}, 0, [][]byte{response}, 1, "UDP"},
		{"no SIP", []string{"udp", "tcp"}, 0, [][]byte{bytes.Repeat([]byte("x"), 2000)}, 1, ""},
		{"sent again", []string{"udp", "tcp"}, 0, [][]byte{request, request, request}, 1, "TCP"},
		{"what follows", []string{"udp", "tcp"}, 0, [][]byte{request, message(1), message(1), message(2)}, 1, "UDP TCP TCP TCP"},
		{"without a tag", []string{"udp", "tcp"}, 0, [][]byte{request, request, message(2)}, 0, "UDP TCP TCP"},
	} {
		n := New(0, seeded(1))
		n.MTU = tt.mtu
		a, b := pair(t, n, tt.protos...)
		for _, raw := range tt.raw {
			a.host.Send(to(transport.UDP, "10.0.0.2:5060"), raw, tt.tag)
		}
		run(t, n)
		var got []string
		for _, hop := range b.hops {
			got = append(got, hop.Proto.String())
		}
		slices.Sort(got)
		slices.Reverse(got)
		if s := strings.Join(got, " "); s != tt.want {
			t.Errorf("%s: arrived by %s, want %s", tt.name, s, tt.want)
		}
	}
	// The Via says how it went, and after the connection's end it goes again.
	n := New(0, seeded(1))
	a, _ := pair(t, n, "udp", "tcp")
	tap := &texts{}
	n.Tap(tap)
	for range 100 {
		for range 2 {
			a.host.Send(to(transport.UDP, "10.0.0.2:5060"), request, 1)
		}
		n.Disconnect(n.lastConn)
	}
	if w := &a.host.switched; len(tap.seen) != 100 || len(w.known) != 1 || len(w.order) != 1 {
		t.Errorf("sent %d, remembered %d, %d in order", len(tap.seen), len(w.known), len(w.order))
	}
	for _, s := range tap.seen {
		if s != strings.Replace(string(request), "SIP/2.0/UDP", "SIP/2.0/TCP", 1) {
			t.Fatalf("sent %q", s)
		}
	}
}

// TestMTUMany has more requests go by TCP than are remembered: the oldest are forgotten.
func TestMTUMany(t *testing.T) {
	t.Parallel()
	var w switched
	for i := range uint64(2*maxSwitched + 10) {
		w.remember(i, overTCP{conn: i})
	}
	_, first := w.known[maxSwitched+9]
	last, ok := w.known[2*maxSwitched+9]
	if len(w.known) != maxSwitched || len(w.order) != maxSwitched || first || !ok || last.conn != 2*maxSwitched+9 {
		t.Errorf("%d known, %d in order, the one before: %v, the last: %v", len(w.known), len(w.order), first, last)
	}
}

// texts is a Tap that keeps what was sent.
type texts struct{ seen []string }

func (x *texts) Message(_ int64, _ transport.Proto, _ uint64, _, _ netip.AddrPort, raw []byte) {
	x.seen = append(x.seen, string(raw))
}

func TestOwnConnection(t *testing.T) {
	t.Parallel()
	n := New(0, seeded(1))
	a, _ := pair(t, n, "tcp")
	a.answer = true
	a.host.Send(to(transport.TCP, "10.0.0.1:5060"), message(1), 0)
	for range 4 {
		n.Step()
	}
	if len(a.hops) < 2 || a.hops[0].Local != a.hops[1].Remote || a.hops[0].Remote != a.hops[1].Local {
		t.Fatalf("a host that talks to itself: %+v", a.hops)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		icmp bool
		hop  transport.Hop
		raw  []byte
		want []string
		err  error
	}{
		{"udp is silent", false, to(transport.UDP, "10.0.0.9:5060"), message(1), nil, nil},
		{"udp with icmp", true, to(transport.UDP, "10.0.0.9:5060"), message(1), []string{"5@2"}, ErrUnreachable},
		{"tcp", false, to(transport.TCP, "10.0.0.9:5060"), message(1), []string{"5@2"}, ErrUnreachable},
		{"no listener", false, to(transport.UDP, "[::1]:5060"), message(1), []string{"5@0"}, transport.ErrNoListener},
		{"no address", false, to(transport.TLS, "[::1]:5061"), message(1), []string{"5@2"}, transport.ErrNoListener},
		{"large", false, to(transport.UDP, "10.0.0.2:5060"), make([]byte, 66000), []string{"5@0"}, transport.ErrTooLarge},
		{"very large", false, to(transport.TCP, "10.0.0.2:5060"), make([]byte, 1<<21), []string{"5@2"}, transport.ErrTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := New(0, seeded(1))
			n.ICMP = tt.icmp
			a, _ := pair(t, n, "udp", "tcp")
			a.host.Send(tt.hop, tt.raw, 5)
			a.host.Send(tt.hop, tt.raw, 0) // nobody asks
			if len(a.failed) > 0 {
				t.Error("failed during Send")
			}
			run(t, n)
			if diff := cmp.Diff(tt.want, a.failed); diff != "" {
				t.Errorf("failed (-want +got)\n%s", diff)
			}
			if len(a.errs) > 0 && !errors.Is(a.errs[0], tt.err) {
				t.Errorf("error %v, want %v", a.errs[0], tt.err)
			}
		})
	}
}
