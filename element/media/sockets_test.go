package media

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// loop is a loop of one goroutine.
type loop struct{ posted chan func() }

func newLoop() *loop { return &loop{posted: make(chan func(), 64)} }

func (l *loop) post(f func()) { l.posted <- f }

func now() int64 { return time.Now().UnixNano() }

// run runs what is posted, and wakes streams, until they are done or a time is over.
func (l *loop) run(d time.Duration, wake func(now int64) (next int64), done func() bool) {
	deadline := time.After(d)
	for !done() {
		wait := time.NewTimer(max(0, min(time.Duration(wake(now())-now()), d)))
		select {
		case f := <-l.posted:
			f()
		case <-wait.C:
		case <-deadline:
			wait.Stop()
			return
		}
		wait.Stop()
	}
}

func TestSockets(t *testing.T) {
	t.Parallel()
	for _, ip := range []string{"127.0.0.1", "::1"} {
		t.Run(ip, func(t *testing.T) {
			t.Parallel()
			l := newLoop()
			s, err := NewSockets(SocketsConfig{Post: l.post, Now: now, Rand: rng(uint64(len(ip)))})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			a, err := s.Open(netip.MustParseAddr(ip))
			if err != nil && ip == "::1" {
				t.Skipf("no IPv6: %v", err)
			}
			if err != nil {
				t.Fatal(err)
			}
			b, err := s.Open(netip.MustParseAddr(ip))
			if err != nil {
				t.Fatal(err)
			}
			control, ok := a.(ControlPort)
			if !ok || a.Local().Port()%2 != 0 || control.Control().Local().Port() != a.Local().Port()+1 {
				t.Fatalf("%s and no RTCP next to it", a.Local())
			}
			var heard []byte
			x := NewStream(now(), StreamConfig{Port: a, Agreed: agreed(a.Local().String(), b.Local().String()), Rand: rng(1)})
			y := NewStream(now(), StreamConfig{
				Port: b, Agreed: agreed(b.Local().String(), a.Local().String()), Rand: rng(2),
				Digit: func(_ int64, d byte) { heard = append(heard, d) },
			})
			x.nextReport = now() + 300*ms
			if err := x.SendDigits("5"); err != nil {
				t.Fatal(err)
			}
			set := NewStreams()
			set.Add(x)
			set.Add(y)
			l.run(10*time.Second, set.Wake, func() bool {
				return y.Stats().Received.Packets >= 10 && len(heard) > 0 && y.from.at != 0
			})
			if n := y.Stats().Received.Packets; n < 5 || string(heard) != "5" || y.from.at == 0 {
				t.Errorf("%d packets, heard %q, report %v, %d lost", n, heard, y.from, s.Lost())
			}
			if err := errors.Join(x.Close(now()), y.Close(now())); err != nil {
				t.Error(err)
			}
			if err := a.Send(b.Local(), []byte("x")); !errors.Is(err, net.ErrClosed) {
				t.Errorf("sent on a closed port: %v", err)
			}
			go func() { // the loop goes on until the sockets are closed
				for f := range l.posted {
					f()
				}
			}()
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			close(l.posted)
			if _, err := s.Open(netip.MustParseAddr(ip)); !errors.Is(err, net.ErrClosed) {
				t.Errorf("opened after Close: %v", err)
			}
		})
	}
}

func TestSocketsRange(t *testing.T) {
	t.Parallel()
	l := newLoop()
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := netip.MustParseAddrPort(taken.LocalAddr().String()).Port() &^ 1
	s, err := NewSockets(SocketsConfig{Min: port, Max: port + 1, Post: l.post, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Open(netip.MustParseAddr("127.0.0.1")); !errors.Is(err, ErrNoPort) {
		t.Errorf("a range that is taken: %v", err)
	}
	if _, err := s.Open(netip.MustParseAddr("192.0.2.1")); err == nil || errors.Is(err, ErrNoPort) {
		t.Errorf("an address that is not ours: %v", err)
	}
	for _, c := range []SocketsConfig{{}, {Post: l.post}, {Min: 5001, Max: 5002, Post: l.post, Now: now}, {Min: 6000, Max: 5000, Post: l.post, Now: now}} {
		if _, err := NewSockets(c); err == nil {
			t.Errorf("%+v accepted", c)
		}
	}
}

// TestSocketsFull has no pair left, which is known without asking the system for each one again, until one of ours is
// closed or a second has passed.
func TestSocketsFull(t *testing.T) {
	t.Parallel()
	l, clock, local := newLoop(), int64(1), netip.MustParseAddr("127.73.200.1")
	s, err := NewSockets(SocketsConfig{Min: 20000, Max: 20001, Post: l.post, Now: func() int64 { return clock }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	taken, err := net.ListenPacket("udp", "127.73.200.1:20000")
	if err != nil {
		t.Fatal(err)
	}
	full := func(when string) {
		t.Helper()
		if _, why := s.Open(local); !errors.Is(why, ErrNoPort) {
			t.Fatalf("%s: %v", when, why)
		}
	}
	full("another program has it")
	_ = taken.Close()
	full("nobody is asked within a second")
	clock += fullFor
	p, err := s.Open(local)
	if err != nil {
		t.Fatalf("a second later: %v", err)
	}
	full("we have it")
	_ = p.Close()
	if _, err = s.Open(local); err != nil {
		t.Errorf("one of ours was closed: %v", err)
	}
}

// TestSocketsFlood has a loop that does not come: what waits stays bounded, and the rest is counted.
func TestSocketsFlood(t *testing.T) {
	t.Parallel()
	posted := 0
	s, err := NewSockets(SocketsConfig{Post: func(func()) { posted++ }, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	p := &socket{sockets: s, local: at(aliceAt)}
	b := make([]byte, 172)
	const n = 20_000
	for range n {
		s.enter(item{to: p, from: at(bobAt), at: start, size: len(b)}, b)
	}
	if posted != 1 || s.Lost() == 0 || len(s.waiting.bytes) > maxWaiting {
		t.Errorf("posted %d times, %d lost, %d bytes wait", posted, s.Lost(), len(s.waiting.bytes))
	}
	got := 0
	p.receive = func(int64, netip.AddrPort, []byte) { got++ }
	s.deliver()
	if uint64(got)+s.Lost() != n {
		t.Errorf("%d delivered and %d lost of %d", got, s.Lost(), n)
	}
}
