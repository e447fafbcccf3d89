package transport

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
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

// TestEnded tells how connections end: closed, broken, refused or misused by the peer; and nothing of those that are
// closed from here.
func TestEnded(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		peer func(c *net.TCPConn)
		want error
	}{
		{"closed", func(c *net.TCPConn) { _, _ = c.Read(make([]byte, 10_000)); _ = c.Close() }, io.EOF},
		{"broken", func(c *net.TCPConn) { _, _ = c.Read(make([]byte, 10_000)); _ = c.SetLinger(0); _ = c.Close() }, syscall.ECONNRESET},
		{"no SIP", func(c *net.TCPConn) { _, _ = io.WriteString(c, "HTTP/1.0 400 Bad Request\r\n\r\n") }, ErrStream},
		{"refused", nil, syscall.ECONNREFUSED},
		{"ours", func(*net.TCPConn) {}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l, err := net.Listen("tcp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			told := make(chan error, 10)
			el := start(t, Config{Listen: listen(t, "tcp:127.0.0.1:0"), Ended: func(proto Proto, remote netip.AddrPort, err error) {
				if proto != TCP || remote != addrPortOf(l.Addr()) {
					t.Errorf("%v %v", proto, remote)
				}
				told <- err
			}}, nil)
			if tt.peer == nil {
				_ = l.Close()
			}
			el.send(Hop{Proto: TCP, Remote: addrPortOf(l.Addr())}, request(TCP, el.at(0), 1, 0), 0)
			if tt.peer != nil {
				c, failed := l.Accept()
				tcp, ok := c.(*net.TCPConn)
				if !ok {
					t.Fatal(failed)
				}
				defer tcp.Close()
				tt.peer(tcp)
			}
			if tt.want == nil {
				eventually(t, "open", func() bool { return el.Stats().Open == 1 })
				el.Post(func() {
					for c := range el.conns.all() {
						el.drop(c, ErrIdle)
					}
				})
				eventually(t, "dropped", func() bool { return el.Stats().Open == 0 })
			} else {
				select {
				case err = <-told:
					if !errors.Is(err, tt.want) {
						t.Errorf("%v, want %v", err, tt.want)
					}
				case <-time.After(patience):
					t.Fatal("nothing is told")
				}
			}
			eventually(t, "gone", func() bool { return tt.name == "no SIP" || el.Stats().Open == 0 })
			if len(told) > 0 {
				t.Errorf("told: %v", <-told)
			}
		})
	}
}
