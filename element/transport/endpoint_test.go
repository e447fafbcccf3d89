package transport

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestExchange sends requests of all sizes over each transport and both address families, and gets the responses.
func TestExchange(t *testing.T) {
	t.Parallel()
	certs, pool := certify(t)
	for _, proto := range []Proto{UDP, TCP, TLS, WS, WSS} {
		for _, addr := range []string{"127.0.0.1", "[::1]"} {
			t.Run(fmt.Sprint(proto, addr), func(t *testing.T) {
				t.Parallel()
				at := listen(t, fmt.Sprintf("%s:%s:0", proto, addr))
				bob := start(t, Config{Listen: at, Certificates: certs, MTU: -1}, ok)
				alice := start(t, Config{Listen: at, Certificates: certs, RootCAs: pool, MTU: -1}, nil)
				for i, size := range []int{0, 1, 1300, 5000, 60_000} {
					text := request(proto, alice.at(0), i, size)
					alice.send(Hop{Proto: proto, Remote: bob.at(0)}, text, uint64(i+1))
					req := bob.next()
					if req.text != text {
						t.Fatalf("request of %d bytes came as %d bytes", len(text), len(req.text))
					}
					if req.hop.Proto != proto || req.hop.Local != bob.at(0) {
						t.Errorf("hop %+v", req.hop)
					}
					resp := alice.next()
					if !strings.HasPrefix(resp.text, "SIP/2.0 200 OK\r\n") || resp.hop.Remote != bob.at(0) {
						t.Errorf("response %q from %+v", resp.text, resp.hop)
					}
				}
				if s := alice.Stats(); proto != UDP && (s.Dials != 1 || s.Open != 1) {
					t.Errorf("%d dials, %d open: the connection is not reused", s.Dials, s.Open)
				}
				if s := bob.Stats().Listeners[0]; s.MessagesIn != 5 || s.MessagesOut != 5 {
					t.Errorf("bob's figures %+v", s)
				}
			})
		}
	}
}

// TestOrder sends many at once: they come in order, and all of them.
func TestOrder(t *testing.T) {
	t.Parallel()
	certs, pool := certify(t)
	for _, proto := range []Proto{UDP, TCP, TLS, WS, WSS} {
		t.Run(proto.String(), func(t *testing.T) {
			t.Parallel()
			at := listen(t, proto.String()+":127.0.0.1:0")
			bob := start(t, Config{Listen: at, Certificates: certs}, ok)
			alice := start(t, Config{Listen: at, Certificates: certs, RootCAs: pool}, nil)
			const n = 2000
			hop := Hop{Proto: proto, Remote: bob.at(0)}
			for from := 0; from < n; from += 100 {
				alice.Post(func() {
					for i := from; i < from+100; i++ {
						alice.Send(hop, []byte(request(proto, alice.at(0), i, i%500)), uint64(i+1))
					}
				})
				time.Sleep(time.Millisecond) // UDP: not more than the socket buffer
			}
			for i := range n {
				want := fmt.Sprintf("branch=z9hG4bK%d;", i)
				if g := bob.next(); !strings.Contains(g.text, want) {
					t.Fatalf("message %d at bob is %.200q", i, g.text)
				}
				if g := alice.next(); !strings.Contains(g.text, want) {
					t.Fatalf("message %d at alice is %.200q", i, g.text)
				}
			}
		})
	}
}

// TestReplyAfterClose sends the response on a new connection to the port of sent-by when the request's is gone.
func TestReplyAfterClose(t *testing.T) {
	t.Parallel()
	at := listen(t, "tcp:127.0.0.1:0")
	bob := start(t, Config{Listen: at}, nil)
	carol := start(t, Config{Listen: at}, nil)
	alice := start(t, Config{Listen: at}, nil)
	alice.send(Hop{Proto: TCP, Remote: bob.at(0)}, request(TCP, carol.at(0), 1, 0), 1)
	req := bob.next()
	_ = alice.Close()
	ended := make(chan bool)
	eventually(t, "bob has seen it", func() bool {
		bob.Post(func() { ended <- bob.conns.ended.first != nil })
		return <-ended
	})
	r := parsed(t, req)
	hop := ReplyHop(r)
	if hop.Conn == 0 || hop.Remote != carol.at(0) {
		t.Fatalf("reply to %+v", hop)
	}
	bob.send(hop, ok(r), 7)
	if g := carol.next(); !strings.HasPrefix(g.text, "SIP/2.0 200") {
		t.Errorf("got %q", g.text)
	}
	eventually(t, "only the new one is left", func() bool { return bob.Stats().Open == 1 })
}

func TestFailures(t *testing.T) {
	t.Parallel()
	certs, pool := certify(t)
	nobody := freePort(t)
	for _, tt := range []struct {
		name   string
		listen string
		hop    Hop
		size   int
		want   error // nil: any
	}{
		{"no address", "udp:127.0.0.1:0", Hop{Proto: UDP}, 0, ErrAddress},
		{"no port", "tcp:127.0.0.1:0", Hop{Proto: TCP, Remote: netip.MustParseAddrPort("127.0.0.1:0")}, 0, ErrAddress},
		{"no transport", "tcp:127.0.0.1:0", Hop{Remote: nobody}, 0, ErrAddress},
		{"unknown transport", "tcp:127.0.0.1:0", Hop{Proto: 99, Remote: nobody}, 0, ErrAddress},
		{"no listener", "udp:127.0.0.1:0", Hop{Proto: UDP, Remote: netip.MustParseAddrPort("[::1]:5060")}, 0, ErrNoListener},
		{"no UDP listener", "tcp:127.0.0.1:0", Hop{Proto: UDP, Remote: nobody}, 0, ErrNoListener},
		{"too large", "udp:127.0.0.1:0", Hop{Proto: UDP, Remote: nobody}, 65_500, ErrTooLarge},
		{"too large for a queue", "tcp:127.0.0.1:0", Hop{Proto: TCP, Remote: nobody}, 9_000_000, ErrSlow},
		{"refused", "tcp:127.0.0.1:0", Hop{Proto: TCP, Remote: nobody}, 0, nil},
		{"refused TLS", "tcp:127.0.0.1:0", Hop{Proto: TLS, Remote: nobody}, 0, nil},
		{"refused WS", "tcp:127.0.0.1:0", Hop{Proto: WS, Remote: nobody}, 0, nil},
		{"gone WS", "tcp:127.0.0.1:0", Hop{Proto: WS, Remote: nobody, Conn: 99}, 0, ErrConnGone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			el := start(t, Config{Listen: listen(t, tt.listen), Certificates: certs, RootCAs: pool, MTU: -1}, nil)
			inSend := false
			el.Post(func() {
				inSend = true
				el.Send(tt.hop, []byte(request(UDP, el.at(0), 1, tt.size)), 5)
				inSend = len(el.lost) > 0
				el.Send(tt.hop, []byte(request(UDP, el.at(0), 1, tt.size)), 0) // nobody wants to know
			})
			g := el.nextLost()
			if g.tag != 5 || g.hop != tt.hop || inSend || tt.want != nil && !errors.Is(g.err, tt.want) {
				t.Errorf("lost %+v, in Send: %v; want %v", g, inSend, tt.want)
			}
			select {
			case g := <-el.lost:
				t.Errorf("also lost %+v", g)
			case <-time.After(20 * time.Millisecond):
			}
		})
	}
}

// TestDialFailsAll fails every message that waited for a connection.
func TestDialFailsAll(t *testing.T) {
	t.Parallel()
	el := start(t, Config{Listen: listen(t, "tcp:127.0.0.1:0")}, nil)
	hop := Hop{Proto: TCP, Remote: freePort(t)}
	el.Post(func() {
		for tag := range uint64(20) {
			el.Send(hop, []byte(request(TCP, el.at(0), 1, 0)), tag+1)
		}
	})
	for tag := range uint64(20) {
		if g := el.nextLost(); g.tag != tag+1 {
			t.Fatalf("tag %d, want %d", g.tag, tag+1)
		}
	}
	eventually(t, "nothing open", func() bool { return el.Stats().Open == 0 })
	if s := el.Stats(); s.Dials != 1 || s.DialError != 1 || s.Dialled[TCP].SendErrors != 20 {
		t.Errorf("%+v", s)
	}
}

func TestWake(t *testing.T) {
	t.Parallel()
	ep, err := Open(Config{Listen: listen(t, "udp:127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	const step = int64(20 * time.Millisecond)
	var fired []int64
	due := ep.Now() + step
	h := &fakeHandler{wake: func(now int64) int64 {
		for due <= now {
			fired = append(fired, now-due)
			due += step
		}
		if len(fired) >= 5 {
			_ = ep.Close()
			return math.MaxInt64
		}
		return due
	}}
	if err := ep.Run(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	if len(fired) < 5 || fired[0] > int64(time.Second) {
		t.Errorf("late by %v ns", fired)
	}
	if err := ep.Run(t.Context(), h); !errors.Is(err, ErrClosed) {
		t.Errorf("ran twice: %v", err)
	}
}

// TestBusyWake keeps receiving while a handler wants to be called all the time.
func TestBusyWake(t *testing.T) {
	t.Parallel()
	ep, err := Open(Config{Listen: listen(t, "udp:127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	var n atomic.Int64
	h := &fakeHandler{
		wake:    func(now int64) int64 { return now },
		receive: func(*Received) { n.Add(1); _ = ep.Close() },
	}
	alice := start(t, Config{Listen: listen(t, "udp:127.0.0.1:0")}, nil)
	alice.send(Hop{Proto: UDP, Remote: ep.Listeners()[0].Local}, request(UDP, alice.at(0), 1, 0), 0)
	if err := ep.Run(t.Context(), h); err != nil || n.Load() != 1 {
		t.Error(err, n.Load())
	}
}

func TestCloseBeforeRun(t *testing.T) {
	t.Parallel()
	ep, err := Open(Config{Listen: listen(t, "udp:127.0.0.1:0", "tcp:127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	_ = ep.Close()
	_ = ep.Close()
	if err = ep.Run(context.Background(), &fakeHandler{}); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	again, err := Open(Config{Listen: []Listen{{UDP, ep.Listeners()[0].Local}, {TCP, ep.Listeners()[1].Local}}})
	if err != nil {
		t.Fatal("still bound:", err)
	}
	_ = again.Close()
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	used, err := Open(Config{Listen: listen(t, "udp:127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	defer used.Close()
	for name, tt := range map[string]struct {
		at   []Listen
		want error
	}{
		"nothing":        {nil, ErrNoListener},
		"no certificate": {listen(t, "tls:127.0.0.1:0"), ErrNoCertificate},
		"no address":     {[]Listen{{Proto: UDP}}, ErrAddress},
		"no transport":   {[]Listen{{AddrPort: netip.MustParseAddrPort("127.0.0.1:1")}}, ErrAddress},
		"in use":         {[]Listen{{UDP, used.Listeners()[0].Local}}, nil},
	} {
		if _, err := Open(Config{Listen: tt.at}); err == nil || tt.want != nil && !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestStopFlushes ends an endpoint right after it has sent.
func TestStopFlushes(t *testing.T) {
	t.Parallel()
	for _, proto := range []Proto{UDP, TCP} {
		bob := start(t, Config{Listen: listen(t, proto.String()+":127.0.0.1:0")}, nil)
		alice := start(t, Config{Listen: listen(t, proto.String()+":127.0.0.1:0")}, nil)
		alice.Post(func() {
			for i := range 50 {
				alice.Send(Hop{Proto: proto, Remote: bob.at(0)}, []byte(request(proto, alice.at(0), i, 0)), 1)
			}
			_ = alice.Close()
		})
		for range 50 {
			bob.next()
		}
	}
}

// tapped is what a tap saw, as text.
type tapped struct {
	mu    sync.Mutex
	lines []string
}

func (p *tapped) Message(now int64, proto Proto, conn uint64, src, dst netip.AddrPort, raw []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	first, _, _ := strings.Cut(string(raw), " ")
	p.lines = append(p.lines, fmt.Sprint(proto, " ", conn != 0, " ", src, " ", dst, " ", first))
	if now == 0 {
		p.lines = append(p.lines, "no time")
	}
}

func TestTap(t *testing.T) {
	t.Parallel()
	for _, proto := range []Proto{UDP, TCP, WS} {
		var a, b tapped
		bob := start(t, Config{Listen: listen(t, proto.String()+":127.0.0.1:0"), Tap: &b}, ok)
		alice := start(t, Config{Listen: listen(t, proto.String()+":127.0.0.1:0"), Tap: &a}, nil)
		alice.send(Hop{Proto: proto, Remote: bob.at(0)}, request(proto, alice.at(0), 1, 0), 1)
		req := bob.next()
		alice.next()
		want := []string{
			fmt.Sprint(proto, " ", proto != UDP, " ", req.hop.Remote, " ", bob.at(0), " MESSAGE"),
			fmt.Sprint(proto, " ", proto != UDP, " ", bob.at(0), " ", req.hop.Remote, " SIP/2.0"),
		}
		for name, p := range map[string]*tapped{"alice": &a, "bob": &b} {
			p.mu.Lock()
			if fmt.Sprint(p.lines) != fmt.Sprint(want) {
				t.Errorf("%s at %s:\n%q\nwant\n%q", proto, name, p.lines, want)
			}
			p.mu.Unlock()
		}
	}
}
