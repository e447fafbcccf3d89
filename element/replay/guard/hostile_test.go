package guard

import (
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"sipscope/element/transport"
	"sipscope/element/virtual"
)

// answering answers 200 to what comes, after the connection that it came on has ended.
type answering struct {
	catcher
	link  transport.Link
	after func(conn uint64)
}

func (a *answering) Receive(r *transport.Received) {
	hop := transport.ReplyHop(r)
	if a.after != nil {
		a.after(r.Hop.Conn)
	}
	a.link.Send(hop, []byte(strings.Replace(options, "OPTIONS sip:a@10.0.0.5 SIP/2.0", "SIP/2.0 200 OK", 1)), 7)
}

// A peer chooses in its Via the port that a response is sent to when its connection is gone (RFC 3261 18.2.2). Only a port
// that the operator named is connected to: else whoever may talk to us would have us talk to all services of its host.
func TestReplyOverGoneConnection(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		sentBy string
		want   int // messages that come there
	}{{"10.0.0.5:25", 0}, {"10.0.0.5:5060", 1}, {"10.0.0.1:25", 0}, {"203.0.113.9:5060", 1}} {
		n := virtual.New(1_700_000_000_000_000_000, rand.New(rand.NewPCG(1, 1)))
		us := n.Host("us", transport.Listen{Proto: transport.TCP, AddrPort: ap("10.0.0.1:5060")})
		g := New(ap("10.0.0.5:5060"))
		g.Own(ap("10.0.0.1:5060"))
		me := &answering{catcher: catcher{failed: map[uint64]error{}}, link: g.Link(us), after: n.Disconnect}
		us.Attach(me)
		victims := &catcher{failed: map[uint64]error{}}
		var listen []transport.Listen
		for _, at := range []string{"10.0.0.5:25", "10.0.0.5:5060"} {
			listen = append(listen, transport.Listen{Proto: transport.TCP, AddrPort: ap(at)})
		}
		peer := n.Host("peer", listen...)
		peer.Attach(victims)
		text := strings.Replace(options, "UDP 10.0.0.1", "TCP "+test.sentBy, 1)
		n.At(n.Now(), func() { peer.Send(transport.Hop{Proto: transport.TCP, Remote: ap("10.0.0.1:5060")}, []byte(text), 0) })
		if err := n.Run(n.Now() + 10e9); err != nil {
			t.Fatal(err)
		}
		if len(victims.got) != test.want {
			t.Errorf("Via %s: %d messages came there", test.sentBy, len(victims.got))
		}
		if told := me.failed[7]; (told == nil) != (test.want > 0) {
			t.Errorf("Via %s: told %v", test.sentBy, told)
		}
	}
}

// The same with sockets, and with connections of somebody whom nobody named: not a byte comes back.
func TestStrangersConnection(t *testing.T) {
	t.Parallel()
	trap, err := net.Listen("tcp", "127.77.5.2:0")
	if err != nil {
		if os.Getenv("SIPSCOPE_CI") != "" {
			t.Fatal(err)
		}
		t.Skip("no such loopback address: ", err)
	}
	defer trap.Close()
	g := New(ap("127.77.5.2:5060"))
	e, err := transport.Open(transport.Config{
		Listen: []transport.Listen{{Proto: transport.TCP, AddrPort: ap("127.77.5.1:0")}}, Accept: g.Accept,
	})
	if err != nil {
		t.Fatal(err)
	}
	me := &answering{catcher: catcher{failed: map[uint64]error{}}, link: g.Link(e)}
	me.after = func(uint64) { time.Sleep(20 * time.Millisecond) } // the reset arrives
	ended := make(chan error, 1)
	go func() { ended <- e.Run(t.Context(), &stopping{me, e}) }()
	ours := e.Listeners()[0].Local

	for _, from := range []string{"127.77.5.3", "127.77.5.2"} {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 5 * time.Second}
		c, err := d.DialContext(t.Context(), "tcp", ours.String())
		if err != nil {
			continue // it was reset at once
		}
		text := strings.Replace(options, "UDP 10.0.0.1", "TCP "+trap.Addr().String(), 1)
		_, err = c.Write([]byte(text))
		if from == "127.77.5.2" {
			if err != nil {
				t.Error(err)
			}
			if tcp, ok := c.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
			_ = c.Close()
			continue
		}
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		if got, err := io.ReadAll(c); len(got) > 0 || errors.Is(err, io.ErrNoProgress) {
			t.Errorf("a stranger got %q", got)
		}
		_ = c.Close()
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if me.failed[7] == nil {
		t.Error("the response that has no way was not told")
	}
	if tcp, ok := trap.(*net.TCPListener); ok {
		_ = tcp.SetDeadline(time.Now().Add(50 * time.Millisecond))
	}
	if c, err := trap.Accept(); err == nil {
		t.Errorf("we connected to the port of a Via, from %s", c.RemoteAddr())
	}
	if refused := g.Refused(); len(refused) != 1 || refused[0].At.Addr() != netip.MustParseAddr("127.77.5.3") || refused[0].Use != Connection {
		t.Errorf("refused %+v", refused)
	}
}

// stopping ends an endpoint with the first failure that is told.
type stopping struct {
	*answering
	e *transport.Endpoint
}

func (s *stopping) Failed(hop transport.Hop, tag uint64, err error) {
	s.answering.Failed(hop, tag, err)
	_ = s.e.Close()
}

// One guard behind another counts what is refused once, and tells it once.
func TestGuardTwice(t *testing.T) {
	t.Parallel()
	n := virtual.New(1_700_000_000_000_000_000, rand.New(rand.NewPCG(1, 1)))
	us := n.Host("us", transport.Listen{Proto: transport.UDP, AddrPort: ap("10.0.0.1:5060")})
	me := &catcher{failed: map[uint64]error{}}
	us.Attach(me)
	g := New(ap("10.0.0.5:5060"))
	link := g.Link(g.Link(us))
	n.At(n.Now(), func() {
		link.Send(transport.Hop{Proto: transport.UDP, Remote: ap("10.0.0.6:5060")}, []byte(options), 7)
	})
	if err := n.Run(n.Now() + 1e9); err != nil {
		t.Fatal(err)
	}
	if refused, _ := g.Count(); refused != 1 || me.failed[7] == nil || len(g.Refused()) != 1 {
		t.Errorf("%d refused: %+v; told %v", refused, g.Refused(), me.failed)
	}
}
