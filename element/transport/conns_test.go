package transport

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"sipscope/decode/sip"
)

// TestConnTable adds, uses and removes connections at random: the indices agree with a plain list.
func TestConnTable(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	var table connTable
	table.init()
	var all []*conn // in the order of use
	for step := range 20_000 {
		switch n := len(all); {
		case n == 0 || rng.IntN(5) < 2 && n < 60:
			c := &conn{proto: TCP + Proto(rng.IntN(2)), remote: netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(rng.IntN(5)))}
			table.add(c, int64(step))
			all = append(all, c)
		case rng.IntN(2) == 0:
			i := rng.IntN(n)
			c := all[i]
			table.touch(c, int64(step), rng.IntN(2) == 0)
			all = append(append(all[:i:i], all[i+1:]...), c)
		default:
			i := rng.IntN(n)
			table.remove(all[i])
			all = append(all[:i:i], all[i+1:]...)
		}
		if err := table.check(all); err != nil {
			t.Fatalf("step %d: %v", step, err)
		}
	}
}

func (t *connTable) check(all []*conn) error {
	inLists, byRemote := 0, 0
	for _, l := range []*connList{&t.fresh, &t.proven} {
		last := int64(-1)
		for c := l.first; c != nil; c = c.next {
			if c.list != l || c.used < last || (c.next == nil) != (l.last == c) {
				return fmt.Errorf("connection %d out of order", c.id)
			}
			last = c.used
			inLists++
		}
	}
	for key, c := range t.byRemote {
		for ; c != nil; c = c.sibling {
			if key != (remoteKey{c.proto, c.remote}) || t.byID[c.id] != c {
				return fmt.Errorf("connection %d under %v", c.id, key)
			}
			byRemote++
		}
	}
	if n := len(all); inLists != n || byRemote != n || len(t.byID) != n {
		return fmt.Errorf("%d in lists, %d by remote, %d by number; want %d", inLists, byRemote, len(t.byID), n)
	}
	return nil
}

// starving is a listener that cannot accept at first.
type starving struct {
	net.Listener
	fails atomic.Int32
}

func (s *starving) Accept() (net.Conn, error) {
	if s.fails.Add(-1) >= 0 {
		return nil, syscall.EMFILE
	}
	return s.Listener.Accept()
}

// TestStarving goes on to accept when there are files again.
func TestStarving(t *testing.T) {
	t.Parallel()
	ep, err := Open(Config{Listen: listen(t, "tcp:127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	ln := &starving{Listener: ep.listeners[0].tcp}
	ln.fails.Store(3)
	ep.listeners[0].tcp = ln
	done := make(chan error, 1)
	go func() { done <- ep.Run(t.Context(), &fakeHandler{receive: func(*Received) { _ = ep.Close() }}) }()
	_, _ = fmt.Fprint(dialTCP(t, ep.Listeners()[0].Local), request(TCP, ep.Listeners()[0].Local, 1, 0))
	if err := <-done; err != nil || ln.fails.Load() >= 0 {
		t.Error(err, ln.fails.Load())
	}
}

// TestThousandConns serves a thousand connections at once.
func TestThousandConns(t *testing.T) {
	t.Parallel()
	el := start(t, Config{Listen: listen(t, "tcp:127.0.0.1:0")}, ok)
	var conns []net.Conn
	for range 1000 {
		conns = append(conns, dialTCP(t, el.at(0)))
	}
	for i, c := range conns {
		_, _ = fmt.Fprint(c, request(TCP, el.at(0), i, 0))
	}
	buf := make([]byte, 2000)
	for i, c := range conns {
		n, err := c.Read(buf)
		if err != nil || !strings.Contains(string(buf[:n]), fmt.Sprintf("branch=z9hG4bK%d;", i)) {
			t.Fatalf("connection %d: %q, %v", i, buf[:n], err)
		}
	}
}

// TestSendErrors tells of a datagram that the system refuses, and sends those around it.
func TestSendErrors(t *testing.T) {
	t.Parallel()
	bob := start(t, Config{Listen: listen(t, "udp:127.0.0.1:0")}, nil)
	alice := start(t, Config{Listen: listen(t, "udp:127.0.0.1:0")}, nil)
	alice.Post(func() {
		for i := range 100 { // more than one call moves
			hop := Hop{Proto: UDP, Remote: bob.at(0)}
			if i%3 == 1 {
				hop.Remote = netip.MustParseAddrPort("192.0.2.1:5060") // not from loopback
			}
			alice.Send(hop, []byte(request(UDP, alice.at(0), i, 0)), uint64(i+1))
		}
	})
	for i := range 100 {
		if i%3 == 1 {
			if g := alice.nextLost(); g.tag != uint64(i+1) {
				t.Errorf("%d: %+v", i, g)
			}
		} else if g := bob.next(); !strings.Contains(g.text, fmt.Sprintf("branch=z9hG4bK%d;", i)) {
			t.Errorf("%d: %.150q", i, g.text)
		}
	}
	if s := alice.Stats().Listeners[0]; s.SendErrors != 33 {
		t.Errorf("%d errors", s.SendErrors)
	}
}

// TestFailedSends sends from Failed, again and again: the loop goes on.
func TestFailedSends(t *testing.T) {
	t.Parallel()
	ep, err := Open(Config{Listen: listen(t, "udp:127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	h := &fakeHandler{}
	h.failed = func(hop Hop, tag uint64, err error) {
		if n++; n == 1000 || !errors.Is(err, ErrNoListener) {
			_ = ep.Close()
		}
		ep.Send(hop, []byte("x"), tag+1)
	}
	ep.Post(func() { ep.Send(Hop{Proto: UDP, Remote: netip.MustParseAddrPort("[::1]:9")}, []byte("x"), 1) })
	if err := ep.Run(t.Context(), h); err != nil || n < 1000 {
		t.Error(err, n)
	}
}

// FuzzRejection: what refuses a request is a message that its sender can read, and adds no lines of the request's making.
func FuzzRejection(f *testing.F) {
	f.Add([]byte(request(TCP, netip.MustParseAddrPort("192.0.2.1:5060"), 1, 0)))
	f.Add([]byte("OPTIONS sip:a@b SIP/2.0\r\nv: a\r\n b\r\ni: 1\r\nTo: a\r\nCSeq: 1 OPTIONS\r\nFrom: x\ry"))
	f.Fuzz(func(t *testing.T, head []byte) {
		raw := rejection(head, 413, "message of more than 7 bytes")
		if raw == nil {
			return
		}
		var m, req sip.Message
		if err := sip.Parse(raw, &m); err != nil || m.Status != 413 {
			t.Fatalf("%q: %v", raw, err)
		}
		if err := sip.Parse(head, &req); err != nil || len(m.Headers) > len(req.Headers)+2 {
			t.Errorf("%d headers for %d: %v", len(m.Headers), len(req.Headers), err)
		}
	})
}
