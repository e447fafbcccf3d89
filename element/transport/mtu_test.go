package transport

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// pair is listeners of UDP and TCP at one port.
func pair(tb testing.TB) []Listen {
	tb.Helper()
	for range 20 {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		at := addrPortOf(l.Addr())
		_ = l.Close()
		u, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
		if err != nil {
			continue
		}
		_ = u.Close()
		return []Listen{{UDP, at}, {TCP, at}}
	}
	tb.Fatal("no port is free for UDP and TCP")
	return nil
}

// TestLargeByTCP sends a large request that is meant for UDP by TCP (RFC 3261 18.1.1).
func TestLargeByTCP(t *testing.T) {
	t.Parallel()
	bob := start(t, Config{Listen: pair(t)}, ok)
	alice := start(t, Config{Listen: pair(t)}, nil)
	hop := Hop{Proto: UDP, Remote: bob.at(0)}
	text := request(UDP, alice.at(0), 1, 2000)
	alice.send(hop, text, 1)
	alice.send(hop, text, 1) // as a transaction over UDP does
	g := bob.next()
	if g.hop.Proto != TCP || g.text != strings.Replace(text, "SIP/2.0/UDP", "SIP/2.0/TCP", 1) {
		t.Errorf("%s: %.100q", g.hop.Proto, g.text)
	}
	if g := alice.next(); g.hop.Proto != TCP {
		t.Errorf("response over %s", g.hop.Proto)
	}
	ack := strings.ReplaceAll(request(UDP, alice.at(0), 1, 0), "MESSAGE", "ACK")
	alice.send(hop, ack, 1)
	if g := bob.next(); g.hop.Proto != TCP || !strings.HasPrefix(g.text, "ACK") || !strings.Contains(g.text, "SIP/2.0/TCP") {
		t.Errorf("what belongs to it: %s: %.100q", g.hop.Proto, g.text)
	}
	small := request(UDP, alice.at(0), 2, 0)
	alice.send(hop, small, 2)
	if g := bob.next(); g.hop.Proto != UDP || g.text != small {
		t.Errorf("small: %s: %.100q", g.hop.Proto, g.text)
	}
	response := "SIP/2.0 200 OK\r\n" + strings.SplitN(request(UDP, alice.at(0), 3, 2000), "\r\n", 2)[1]
	alice.send(hop, response, 3)
	if g := bob.next(); g.hop.Proto != UDP || g.text != response {
		t.Errorf("response: %s: %.100q", g.hop.Proto, g.text)
	}
	if s := alice.Stats(); s.Switched != 2 || s.FellBack != 0 {
		t.Errorf("%d switched, %d fell back", s.Switched, s.FellBack)
	}
}

// TestLargeFallsBack sends it by UDP, as it was, to a peer without TCP.
func TestLargeFallsBack(t *testing.T) {
	t.Parallel()
	bob := start(t, Config{Listen: listen(t, "udp:127.0.0.1:0")}, ok)
	alice := start(t, Config{Listen: pair(t)}, nil)
	for i := range 3 {
		text := request(UDP, alice.at(0), i, 2000)
		alice.send(Hop{Proto: UDP, Remote: bob.at(0)}, text, uint64(i+1))
		if g := bob.next(); g.hop.Proto != UDP || g.text != text {
			t.Errorf("%s: %.100q", g.hop.Proto, g.text)
		}
		alice.next()
	}
	if s := alice.Stats(); s.Switched != 1 || s.FellBack != 1 || s.Dials != 1 {
		t.Errorf("%d switched, %d fell back, %d dials", s.Switched, s.FellBack, s.Dials)
	}
	select {
	case g := <-alice.lost:
		t.Errorf("told as lost: %+v", g)
	case <-time.After(10 * time.Millisecond):
	}
}

// TestLargeNowhere tells once when neither way leads anywhere.
func TestLargeNowhere(t *testing.T) {
	t.Parallel()
	alice := start(t, Config{Listen: listen(t, "tcp:127.0.0.1:0")}, nil) // no UDP to fall back to
	alice.send(Hop{Proto: UDP, Remote: freePort(t)}, request(UDP, alice.at(0), 1, 2000), 6)
	if g := alice.nextLost(); g.tag != 6 || g.hop.Proto != UDP {
		t.Errorf("%+v", g)
	}
}

// TestLargeAgain sends it again by TCP when the connection has ended without an answer.
func TestLargeAgain(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	alice := start(t, Config{Listen: pair(t)}, nil)
	text := request(UDP, alice.at(0), 1, 2000)
	for range 2 {
		alice.send(Hop{Proto: UDP, Remote: addrPortOf(l.Addr())}, text, 1)
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, len(text))
		if _, err := io.ReadFull(c, buf); err != nil || !strings.Contains(string(buf), "SIP/2.0/TCP") {
			t.Errorf("%q, %v", buf, err)
		}
		_ = c.Close()
		eventually(t, "closed", func() bool { return alice.Stats().Open == 0 })
	}
}

// TestNotSwitched leaves to UDP what has no Via to rewrite.
func TestNotSwitched(t *testing.T) {
	t.Parallel()
	bob := start(t, Config{Listen: pair(t)}, nil)
	alice := start(t, Config{Listen: pair(t)}, nil)
	for _, text := range []string{
		"OPTIONS sip:a@b SIP/2.0\r\nX: " + strings.Repeat("x", 2000) + "\r\n\r\n",
		strings.Replace(request(UDP, alice.at(0), 1, 2000), "SIP/2.0/UDP", "SIP/2.0/SCTP", 1),
	} {
		alice.send(Hop{Proto: UDP, Remote: bob.at(0)}, text, 1)
		if g := bob.next(); g.hop.Proto != UDP || g.text != text {
			t.Errorf("%s: %.100q", g.hop.Proto, g.text)
		}
	}
	alice.send(Hop{Proto: UDP, Remote: bob.at(0)}, strings.Repeat("x", 2000), 1)
	eventually(t, "garbage goes as it is", func() bool { return bob.Stats().Listeners[0].NotSIP == 1 })
}

// TestLargeMany remembers hundreds of requests that went by TCP, and what belongs to each, whatever its tag.
func TestLargeMany(t *testing.T) {
	t.Parallel()
	bob := start(t, Config{Listen: pair(t)}, nil)
	alice := start(t, Config{Listen: pair(t)}, nil)
	hop := Hop{Proto: UDP, Remote: bob.at(0)}
	const n = 300
	alice.Post(func() {
		for range 2 { // the second as timer A has it
			for i := range n {
				alice.Send(hop, []byte(request(UDP, alice.at(0), i, 1500)), uint64(i+1))
			}
		}
		for i := range n {
			cancel := strings.ReplaceAll(request(UDP, alice.at(0), i, 0), "MESSAGE", "CANCEL")
			alice.Send(hop, []byte(cancel), uint64(n+i+1))
			alice.Send(hop, []byte(strings.ReplaceAll(cancel, "CANCEL", "ACK")), uint64(i+1))
		}
		alice.Send(hop, []byte(request(UDP, alice.at(0), n, 0)), 2*n+1)
	})
	counts := map[string]int{}
	for range 3*n + 1 {
		g := bob.next()
		method, _, _ := strings.Cut(g.text, " ")
		counts[method+g.hop.Proto.String()]++
	}
	if counts["MESSAGETCP"] != n || counts["CANCELTCP"] != n || counts["ACKTCP"] != n || counts["MESSAGEUDP"] != 1 {
		t.Errorf("%v", counts)
	}
}

// TestSwitchesForget bounds what is remembered, by number and by time.
func TestSwitchesForget(t *testing.T) {
	t.Parallel()
	var w switches
	const many = switchedMost * 3
	for i := range uint64(many) {
		w.remember(i+1, switched{at: int64(i)})
		if i%3 == 0 {
			w.forget(i + 1)
		}
	}
	if n := len(w.order) - w.head; len(w.known) > switchedMost || len(w.known) < switchedMost/2 || n > switchedMost ||
		cap(w.order) > 4*switchedMost {
		t.Errorf("%d known, %d in order, room for %d", len(w.known), n, cap(w.order))
	}
	if _, ok := w.known[many]; !ok {
		t.Error("the newest is not known")
	}
	w.remember(1, switched{at: 4 * switchedLife})
	if len(w.known) != 1 || len(w.order)-w.head != 1 {
		t.Errorf("%d known, %d in order, want what is new", len(w.known), len(w.order)-w.head)
	}
}

// TestTopBranch finds the branch as the parser does.
func TestTopBranch(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ raw, want string }{
		{"INVITE sip:a;branch=no SIP/2.0\r\nVia: SIP/2.0/UDP h;rport;branch=z9hG4bK1\r\n", "z9hG4bK1"},
		{"INVITE sip:a SIP/2.0\r\nRoute: <sip:b>;branch=no\r\nv:SIP/2.0/UDP h ; Branch = z9hG4bK2 ;x\r\n", "z9hG4bK2"},
		{"INVITE sip:a SIP/2.0\nVIA : SIP/2.0/UDP h;branch=1, SIP/2.0/UDP i;branch=2\n", "1"},
		{"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h\r\nVia: SIP/2.0/UDP h;branch=2\r\n", ""},
		{"INVITE sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1", ""}, // cut off
		{"INVITE sip:a SIP/2.0\r\nVariant: x;branch=1\r\n", ""},
		{"INVITE", ""},
		{"\n\n:\nV:;branch=\n", ""},
		{"", ""},
	} {
		if got := string(topBranch([]byte(tt.raw))); got != tt.want {
			t.Errorf("%q: %q, want %q", tt.raw, got, tt.want)
		}
	}
}

func FuzzTopBranch(f *testing.F) {
	f.Add([]byte("INVITE sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\r\n"))
	f.Fuzz(func(_ *testing.T, raw []byte) { topBranch(raw) })
}

// TestLargeAtTheEnd sends by UDP what turns out not to go by TCP while the endpoint ends.
func TestLargeAtTheEnd(t *testing.T) {
	t.Parallel()
	bob := start(t, Config{Listen: listen(t, "udp:127.0.0.1:0")}, nil)
	alice := start(t, Config{Listen: pair(t)}, nil)
	text := request(UDP, alice.at(0), 1, 2000)
	alice.Post(func() {
		alice.Send(Hop{Proto: UDP, Remote: bob.at(0)}, []byte(text), 1)
		_ = alice.Close()
	})
	if g := bob.next(); g.text != text {
		t.Errorf("%.100q", g.text)
	}
}
