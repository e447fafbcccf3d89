package hostile

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"sipscope/element/transport"
	"sipscope/element/ua"
)

// site is an element on real sockets.
type site struct {
	*element

	tb   testing.TB
	end  *transport.Endpoint
	stop context.CancelFunc
	done chan error
}

// open binds sockets; what it gives is to be run.
func open(tb testing.TB, cfg transport.Config) *transport.Endpoint {
	tb.Helper()
	end, err := transport.Open(cfg)
	if err != nil {
		if os.Getenv("SIPSCOPE_CI") != "" {
			tb.Fatal(err)
		}
		tb.Skip("no sockets on loopback: ", err)
	}
	return end
}

// launch runs a handler on an endpoint until the test ends.
func launch(tb testing.TB, end *transport.Endpoint, e *element, h transport.Handler) *site {
	tb.Helper()
	ctx, stop := context.WithCancel(context.Background())
	s := &site{element: e, tb: tb, end: end, stop: stop, done: make(chan error, 1)}
	go func() { s.done <- end.Run(ctx, h) }()
	tb.Cleanup(s.close)
	return s
}

// close ends the sockets.
func (s *site) close() {
	if s.done == nil {
		return
	}
	s.stop()
	select {
	case err := <-s.done:
		if err != nil && !errors.Is(err, context.Canceled) {
			s.tb.Error(err)
		}
	case <-time.After(20 * time.Second):
		s.tb.Error("the loop does not end")
	}
	s.done = nil
}

// live puts an element on real sockets, UDP and TCP on one port, or the places of cfg.
func live(tb testing.TB, kind, bob string, cfg transport.Config) *site {
	tb.Helper()
	if cfg.Listen == nil {
		cfg.Listen = []transport.Listen{at("udp:127.50.0.1:0"), at("tcp:127.50.0.1:0")}
	}
	end := open(tb, cfg)
	e := build(tb, kind, end, end.Listeners(), bob, limits{})
	return launch(tb, end, e, e.handler)
}

// do runs f in the loop, and waits for it.
func (s *site) do(f func()) {
	s.tb.Helper()
	done := make(chan struct{})
	s.end.Post(func() { f(); close(done) })
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		s.tb.Fatal("the loop does not answer")
	}
}

// at is the address of the first listener of a transport.
func (s *site) at(p transport.Proto) netip.AddrPort {
	for _, h := range s.end.Listeners() {
		if h.Proto == p {
			return h.Local
		}
	}
	s.tb.Fatal("no listener of ", p)
	return netip.AddrPort{}
}

// eventually waits for a condition, which is asked in the loop.
func (s *site) eventually(what string, within time.Duration, cond func() bool) {
	s.tb.Helper()
	for begun := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		ok := false
		s.do(func() { ok = cond() })
		if ok {
			return
		}
		if time.Since(begun) > within {
			s.do(func() {
				if s.agent != nil {
					s.tb.Logf("%+v\n%+v", s.agent.Stats(), s.layer.Stats())
				}
			})
			s.tb.Fatalf("not in %v: %s: %s", within, what, s.kind)
		}
	}
}

// client is a user agent of ours that tests whether an element serves.
type client struct{ *site }

func newClient(tb testing.TB) *client {
	tb.Helper()
	end := open(tb, transport.Config{Listen: []transport.Listen{at("udp:127.50.1.1:0"), at("tcp:127.50.1.1:0")}})
	a := ua.New(ua.Config{Link: end, Rand: rng(77), Identity: "<sip:alice@a.com>"})
	return &client{launch(tb, end, &element{kind: "client", agent: a, layer: a.Layer(), handler: a.Handler()}, a.Handler())}
}

// call makes a call and gives how it ended.
func (c *client) call(to string, route ...string) (cause ua.Cause, code int) {
	c.tb.Helper()
	ended := make(chan ua.Event, 1)
	c.do(func() {
		_, err := c.agent.Call(ua.CallOptions{To: to, Route: route, Talk: time.Millisecond, Ring: 30 * time.Second, Events: func(e ua.Event) {
			if e.Kind == ua.EventEnded {
				ended <- e
			}
		}})
		if err != nil {
			c.tb.Error(err)
		}
	})
	select {
	case e := <-ended:
		return e.Cause, e.Status
	case <-time.After(70 * time.Second):
		c.tb.Fatal("the call does not end")
		return 0, 0
	}
}

// register binds a contact and gives the status.
func (c *client) register(registrarAt string) int {
	c.tb.Helper()
	code := make(chan int, 1)
	c.do(func() {
		_, err := c.agent.Register(ua.RegisterOptions{Registrar: registrarAt, Once: true, Events: func(e ua.Event) {
			switch e.Kind {
			case ua.EventRegistered:
				code <- 200
			case ua.EventUnregistered:
				code <- e.Status
			default:
			}
		}})
		if err != nil {
			c.tb.Error(err)
		}
	})
	select {
	case n := <-code:
		return n
	case <-time.After(40 * time.Second):
		c.tb.Fatal("the registration does not end")
		return 0
	}
}

// served has an element do what it is there for.
func (c *client) served(s *site, p transport.Proto) {
	c.tb.Helper()
	where := s.at(p).String()
	if p != transport.UDP {
		where += ";transport=" + strings.ToLower(p.String())
	}
	switch s.kind {
	case "user agent":
		if cause, code := c.call("sip:bob@" + where); cause != ua.CauseBye {
			c.tb.Fatalf("user agent: the call ended with %v %d", cause, code)
		}
	case "proxy", "stateless":
		if cause, code := c.call("sip:bob@b.com", "<sip:"+where+";lr>"); cause != ua.CauseBye {
			c.tb.Fatalf("%s: the call ended with %v %d", s.kind, cause, code)
		}
	case "registrar":
		if code := c.register("sip:" + where); code != 200 {
			c.tb.Fatalf("registrar: %d", code)
		}
	case "redirect":
		if cause, code := c.call("sip:bob@b.com", "<sip:"+where+";lr>"); cause != ua.CauseRejected || code != 302 {
			c.tb.Fatalf("redirect server: the call ended with %v %d", cause, code)
		}
	}
}

// bobSite is a user agent on real sockets that answers, for proxies to reach.
func bobSite(tb testing.TB) *site {
	tb.Helper()
	return live(tb, "user agent", "", transport.Config{Listen: []transport.Listen{at("udp:127.50.2.1:0"), at("tcp:127.50.2.1:0")}})
}

// tcp is a raw connection.
func tcp(tb testing.TB, to netip.AddrPort) *net.TCPConn {
	tb.Helper()
	c, err := net.DialTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 50, 3, 1)}, net.TCPAddrFromAddrPort(to))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(60 * time.Second))
	return c
}

// udp is a raw socket.
func udp(tb testing.TB, to netip.AddrPort) *net.UDPConn {
	tb.Helper()
	c, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 50, 3, 1)}, net.UDPAddrFromAddrPort(to))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	return c
}
