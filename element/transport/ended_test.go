package transport

import (
	"io"
	"net"
	"strings"
	"testing"
)

// TestCrossedFIN closes connections that a request went by. Of one that was idle before, it may have crossed the FIN: it is
// told as lost. Of one that was not, the peer may answer over another (RFC 3261 18.2.2), and of one that breaks, it did
// not read it.
func TestCrossedFIN(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ idle, breaks, lost bool }{
		"busy": {false, false, false}, "idle": {true, false, true}, "broken": {false, true, true},
	} {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		el := start(t, Config{Listen: listen(t, "tcp:127.0.0.1:0")}, nil)
		hop := Hop{Proto: TCP, Remote: addrPortOf(l.Addr())}
		el.send(hop, request(TCP, el.at(0), 1, 0), 4)
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = c.Read(make([]byte, 10_000))
		_, _ = io.WriteString(c, "SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n") // of the first
		el.next()
		if tt.idle {
			el.Post(func() {
				for c := range el.conns.all() {
					c.used -= crossedIdle
					c.alive.Store(c.used)
				}
			})
		}
		el.send(hop, request(TCP, el.at(0), 2, 0), 5)
		_, _ = c.Read(make([]byte, 10_000))
		if tcp, ok := c.(*net.TCPConn); ok && tt.breaks {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
		if tt.lost {
			if g := el.nextLost(); g.tag != 5 {
				t.Errorf("%s: %+v", name, g)
			}
			continue
		}
		_, _ = io.WriteString(dialTCP(t, el.at(0)), "SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n")
		if g := el.next(); !strings.HasPrefix(g.text, "SIP/2.0 200") {
			t.Errorf("%s: %q", name, g.text)
		}
		eventually(t, "closed", func() bool { return el.Stats().Open == 1 })
		if len(el.lost) > 0 {
			t.Errorf("%s: told as lost: %+v", name, <-el.lost)
		}
	}
}

// TestHalfClose answers, later, a peer that has sent its last: the request and what it is owed, and then closes. One that
// is owed nothing is closed at once.
func TestHalfClose(t *testing.T) {
	t.Parallel()
	for _, owed := range []bool{true, false} {
		el := start(t, Config{Listen: listen(t, "tcp:127.0.0.1:0")}, nil)
		c := dialTCP(t, el.at(0))
		text := request(TCP, el.at(0), 1, 0)
		if !owed {
			text = strings.ReplaceAll(text, "MESSAGE", "ACK")
		}
		_, _ = io.WriteString(c, text)
		g := el.next()
		_ = c.CloseWrite()
		if !owed {
			eventually(t, "closed", func() bool { return el.Stats().Open == 0 })
			continue
		}
		ended := make(chan bool)
		eventually(t, "end seen", func() bool {
			el.Post(func() { ended <- el.conns.ended.first != nil })
			return <-ended
		})
		r := parsed(t, g)
		answer := ok(r)
		el.send(ReplyHop(r), strings.Replace(answer, "200 OK", "100 Trying", 1), 5)
		el.send(ReplyHop(r), answer, 5)
		if all, err := io.ReadAll(c); err != nil || strings.Count(string(all), "SIP/2.0 ") != 2 {
			t.Errorf("%q, %v", all, err)
		}
		eventually(t, "closed", func() bool { return el.Stats().Open == 0 })
	}
}

// TestHalfCloseEnds closes a connection that a response is owed over and never comes, after the time of a transaction; a
// request to the same peer does not go by it.
func TestHalfCloseEnds(t *testing.T) {
	t.Parallel()
	el := start(t, Config{Listen: listen(t, "tcp:127.0.0.1:0")}, nil)
	c := dialTCP(t, el.at(0))
	_, _ = io.WriteString(c, request(TCP, el.at(0), 1, 0))
	hop := el.next().hop
	_ = c.CloseWrite()
	ended := make(chan bool)
	eventually(t, "end seen", func() bool {
		el.Post(func() { ended <- el.conns.ended.first != nil })
		return <-ended
	})
	el.send(hop, request(TCP, el.at(0), 2, 0), 6)
	if g := el.nextLost(); g.tag != 6 { // nobody listens at a client's port
		t.Errorf("%+v", g)
	}
	el.Post(func() { el.conns.ended.first.used -= endedLife })
	if b, err := io.ReadAll(c); err != nil || len(b) > 0 {
		t.Errorf("%q, %v", b, err)
	}
}
