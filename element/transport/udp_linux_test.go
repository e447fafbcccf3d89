package transport

import (
	"errors"
	"math"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestUnreachable tells the tags that were sent to a port where nobody listens (RFC 3261 18.4), and no others.
func TestUnreachable(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"127.0.0.1", "[::1]"} {
		bob := start(t, Config{Listen: listen(t, "udp:"+addr+":0")}, ok)
		gone := start(t, Config{Listen: listen(t, "udp:"+addr+":0")}, nil)
		nobody := gone.at(0)
		_ = gone.Close()
		<-gone.done
		gone.done <- nil
		alice := start(t, Config{Listen: listen(t, "udp:"+addr+":0")}, nil)
		good, bad := Hop{Proto: UDP, Remote: bob.at(0)}, Hop{Proto: UDP, Remote: nobody}
		alice.Post(func() {
			for i := range 5 {
				alice.Send(good, []byte(request(UDP, alice.at(0), i, 0)), 10)
				if i < 2 {
					alice.Send(bad, []byte(request(UDP, alice.at(0), i, 0)), uint64(20+i))
				}
			}
		})
		for i := range 5 {
			if g := bob.next(); !strings.Contains(g.text, "z9hG4bK"+string(rune('0'+i))) {
				t.Errorf("message %d is %q: an error of another datagram cost it", i, g.text)
			}
		}
		for range 2 {
			if g := alice.nextLost(); !errors.Is(g.err, syscall.ECONNREFUSED) || g.hop != bad || g.tag < 20 {
				t.Errorf("%+v", g)
			}
		}
		for range 5 { // none of the responses is lost for it
			select {
			case g := <-alice.got:
				if !strings.HasPrefix(g.text, "SIP/2.0 200") {
					t.Errorf("%q", g.text)
				}
			case g := <-alice.lost:
				t.Errorf("also lost: %+v", g)
			}
		}
		if alice.Stats().ICMP == 0 {
			t.Error("not counted")
		}
	}
}

// TestWildcard answers from the address that a request came to, and sends from the one that is asked for.
func TestWildcard(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ any, to, from string }{
		{"udp:0.0.0.0:0", "127.0.0.7", "127.0.0.9"},
		{"udp:[::]:0", "::1", "::1"},
		{"tcp:0.0.0.0:0", "127.0.0.7", "127.0.0.9"},
	} {
		var tap tapped
		bob := start(t, Config{Listen: listen(t, tt.any), Tap: &tap}, ok)
		alice := start(t, Config{Listen: listen(t, tt.any)}, nil)
		proto := bob.Listeners()[0].Proto
		to := netip.AddrPortFrom(netip.MustParseAddr(tt.to), bob.at(0).Port())
		from := netip.AddrPortFrom(netip.MustParseAddr(tt.from), alice.at(0).Port())
		alice.send(Hop{Proto: proto, Local: from, Remote: to}, request(proto, from, 1, 0), 1)
		g := bob.next()
		if g.hop.Local != to || g.hop.Remote.Addr() != from.Addr() {
			t.Errorf("request came to %v from %v, want %v from %v", g.hop.Local, g.hop.Remote, to, from)
		}
		if r := alice.next(); r.hop.Remote != to || r.hop.Local.Addr() != from.Addr() {
			t.Errorf("response came from %v to %v, want %v, %v", r.hop.Remote, r.hop.Local, to, from)
		}
		tap.mu.Lock()
		if len(tap.lines) != 2 || !strings.Contains(tap.lines[1], to.String()+" "+g.hop.Remote.String()) {
			t.Errorf("tap saw %q", tap.lines)
		}
		tap.mu.Unlock()
		alice.Post(func() {
			at, err := alice.SentBy(Hop{Proto: proto, Remote: to})
			if err != nil || at.Addr().IsUnspecified() || !at.Addr().IsLoopback() || at.Port() != alice.at(0).Port() {
				t.Errorf("sent-by %v, %v", at, err)
			}
			at, err = alice.SentBy(Hop{Proto: proto, Local: from, Remote: to})
			if err != nil || at != from {
				t.Errorf("sent-by %v, %v; want %v", at, err, from)
			}
			alice.send(Hop{Proto: proto, Remote: to}, request(proto, from, 2, 0), 2)
		})
		bob.next()
	}
}

func TestSentBy(t *testing.T) {
	t.Parallel()
	el := start(t, Config{Listen: listen(t, "udp:127.0.0.1:0", "udp:127.0.0.2:0", "tcp:127.0.0.2:0", "udp:[::1]:0", "tcp:127.0.0.2:0")}, nil)
	done := make(chan struct{})
	to4, to6 := netip.MustParseAddrPort("127.0.0.1:9"), netip.MustParseAddrPort("[::1]:9")
	mapped := netip.MustParseAddrPort("[::ffff:127.0.0.1]:9")
	el.Post(func() {
		defer close(done)
		for _, tt := range []struct {
			hop  Hop
			want int // listener, -1 for an error
		}{
			{Hop{Proto: UDP, Remote: to4}, 0},
			{Hop{Proto: UDP, Remote: mapped}, 0},
			{Hop{Proto: UDP, Remote: to4, Local: el.at(1)}, 1},
			{Hop{Proto: UDP, Remote: to6}, 3},
			{Hop{Proto: TCP, Remote: to4}, 2},
			{Hop{Proto: TCP, Remote: to4, Local: netip.MustParseAddrPort("127.0.0.2:1")}, 2},
			{Hop{Proto: TCP, Remote: to4, Local: el.at(4)}, 4}, // of several at one address
			{Hop{Proto: WS, Remote: to6}, 3},
		} {
			at, err := el.SentBy(tt.hop)
			if err != nil || at != el.at(tt.want) {
				t.Errorf("%+v: %v, %v; want %v", tt.hop, at, err, el.at(tt.want))
			}
		}
		only4, err := Open(Config{Listen: listen(t, "udp:127.0.0.1:0")})
		if err != nil {
			t.Error(err)
			return
		}
		defer only4.Close()
		if _, err := only4.SentBy(Hop{Proto: UDP, Remote: to6}); !errors.Is(err, ErrNoListener) {
			t.Error(err)
		}
	})
	<-done
}

// TestRecentTags fails what was sent to one address with one branch of late, each tag once.
func TestRecentTags(t *testing.T) {
	t.Parallel()
	e := &Endpoint{}
	a, b := netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("192.0.2.1:2")
	e.recent.add(recentTag{remote: a, tag: 1, key: 7, sent: math.MinInt64 / 2}) // long ago
	for i := range recentSize + 5 {
		remote := a
		if i%2 == 0 {
			remote = b
		}
		e.recent.add(recentTag{remote: remote, tag: uint64(i/16 + 2), key: uint64(i/16 + 2), sent: e.Now()})
	}
	for range 2 {
		for key := range uint64(recentSize) {
			e.unreachable(bounce{remote: a, key: key, err: ErrAddress})
		}
	}
	if n := recentSize/16 + 1; len(e.fails) != n || len(e.recent.ring) != recentSize {
		t.Errorf("%d failed of %d, want %d", len(e.fails), len(e.recent.ring), n)
	}
}

func FuzzControl(f *testing.F) {
	var oob [controlBytes]byte
	n := setPacketInfo(&oob, netip.MustParseAddr("192.0.2.1"))
	f.Add(oob[:n])
	n = setPacketInfo(&oob, netip.MustParseAddr("2001:db8::1"))
	f.Add(oob[:n])
	f.Fuzz(func(_ *testing.T, b []byte) {
		packetInfo(b)
		_ = extendedError(b)
	})
}

func TestPacketInfo(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"192.0.2.1", "2001:db8::1"} {
		var oob [controlBytes]byte
		want := netip.MustParseAddr(s)
		if got := packetInfo(oob[:setPacketInfo(&oob, want)]); got != want {
			t.Errorf("%v, want %v", got, want)
		}
	}
}

// TestBounced fails what did not arrive, by what ICMP quotes of it: once though it was sent three times, and not what had
// arrived at the same address before.
func TestBounced(t *testing.T) {
	t.Parallel()
	for i, addr := range []string{"127.0.0.1:0", "[::1]:0", "127.0.0.1:0"} {
		at := []string{"udp:" + addr}
		if i == 2 {
			at = []string{"udp:[::1]:0", "udp:" + addr} // one that the loop does not read itself
		}
		el := start(t, Config{Listen: listen(t, at...)}, nil)
		pc, err := net.ListenPacket("udp", addr)
		if err != nil {
			t.Fatal(err)
		}
		hop := Hop{Proto: UDP, Remote: netip.MustParseAddrPort(pc.LocalAddr().String())}
		el.send(hop, request(UDP, el.at(0), 1, 0), 1)
		_ = pc.SetReadDeadline(time.Now().Add(patience))
		if _, _, err := pc.ReadFrom(make([]byte, 2000)); err != nil {
			t.Fatal(err)
		}
		_ = pc.Close()
		el.Post(func() {
			for range 3 {
				el.Send(hop, []byte(request(UDP, el.at(0), 2, 0)), 2)
			}
			el.Send(hop, []byte(request(UDP, el.at(0), 3, 0)), 3)
		})
		got := map[uint64]int{}
		for range 2 {
			g := el.nextLost()
			got[g.tag]++
		}
		el.send(hop, request(UDP, el.at(0), 4, 0), 4)
		if g := el.nextLost(); g.tag != 4 || got[2] != 1 || got[3] != 1 || len(el.lost) > 0 {
			t.Errorf("%s: %v, then tag %d, then %d more", addr, got, g.tag, len(el.lost))
		}
	}
}
