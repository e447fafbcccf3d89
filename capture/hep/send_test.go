package hep

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	crand "crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// sending makes a sender that ends with the test.
func sending(tb testing.TB, o SendOptions, memory int) *Sender {
	tb.Helper()
	s, err := newSender(tb.Context(), o, memory)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		_ = s.Close(ctx)
	})
	return s
}

func closeSender(tb testing.TB, s *Sender) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		tb.Error(err, s.Stats())
	}
	if err := s.Send(numbered(1, time.Now())); !errors.Is(err, ErrClosed) {
		tb.Errorf("%v, want ErrClosed", err)
	}
}

// certificate makes one for 127.0.0.1, and what trusts it.
func certificate(tb testing.TB) (server, client *tls.Config) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), crand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(crand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		tb.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
}

// All transports carry all fields.
func TestSend(t *testing.T) {
	t.Parallel()
	server, client := certificate(t)
	l := listening(t, ListenOptions{
		Addresses: []string{"udp:127.0.0.1:0", "tcp:127.0.0.1:0", "tls:127.0.0.1:0"}, TLS: server, Key: "secret", Window: -1,
	})
	r := reader{s: l}
	for i, scheme := range []string{"udp", "tcp", "tls"} {
		for _, compress := range []bool{false, true} {
			s := sending(t, SendOptions{
				Address: scheme + ":127.0.0.1:" + port(l, i), TLS: client, CaptureID: 7, Node: "node", Key: "secret",
				Compress: compress,
			}, 0)
			p := numbered(1, time.Now())
			p.CaptureID, p.Payload, p.CorrelationID = 0, []byte(invite(1)), []byte("id")
			if err := s.Send(p); err != nil {
				t.Fatal(err)
			}
			own := numbered(2, time.Now())
			own.CaptureID, own.Node = 8, []byte("other")
			if err := s.Send(own); err != nil {
				t.Fatal(err)
			}
			closeSender(t, s)
			all := r.read(t, 2, 10*time.Second)
			if len(all) != 2 {
				t.Fatalf("%s: %d came: %+v, %+v", scheme, len(all), s.Stats(), l.Stats())
			}
			a, b := all[0].hep, all[1].hep
			text := a.Payload
			if a.Compressed {
				var err error
				if text, err = Inflate(nil, text, MaxInflated); err != nil {
					t.Fatal(err)
				}
			}
			if a.CaptureID != 7 || string(a.Node) != "node" || string(a.CorrelationID) != "id" || a.Compressed != compress ||
				string(text) != invite(1) || a.Src != p.Src || a.Dst != p.Dst || a.Time != p.Time/1000*1000 {
				t.Errorf("%s: %+v", scheme, a)
			}
			if b.CaptureID != 8 || string(b.Node) != "other" || string(b.Key) != "secret" {
				t.Errorf("%s: %+v", scheme, b)
			}
			if st := s.Stats(); st.Sent != 2 || st.Buffered != 0 || st.Dropped != 0 || st.Errors != 0 || st.Reconnects != 0 ||
				st.Connected {
				t.Errorf("%s: %+v", scheme, st)
			}
		}
	}
}

func TestSendErrors(t *testing.T) {
	t.Parallel()
	for _, a := range []string{"", "127.0.0.1:9060", "udp:", "udp::9060", "udp:127.0.0.1:0", "tcp:127.0.0.1", "http:127.0.0.1:9060"} {
		if s, err := NewSender(t.Context(), SendOptions{Address: a}); err == nil {
			_ = s.Close(t.Context())
			t.Errorf("%q: no error", a)
		}
	}
	s := sending(t, SendOptions{Address: "udp:127.0.0.1:9"}, 0)
	long := Packet{Payload: make([]byte, MaxDatagram)}
	if err := s.Send(&long); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	if err := s.Send(&Packet{Src: a4, Dst: b6}); err == nil {
		t.Error("no error for two families")
	}
	if st := s.Stats(); st.Dropped != 2 || st.Buffered != 0 || st.LastError == "" {
		t.Errorf("%+v", st)
	}
}

// collector is a listener that can be stopped and started again on its port, and remembers what came.
type collector struct {
	tb   testing.TB
	o    ListenOptions
	mu   sync.Mutex
	l    *Listener
	done chan struct{}
	seen map[int]int
}

func newCollector(tb testing.TB, o ListenOptions) *collector {
	tb.Helper()
	c := &collector{tb: tb, o: o, seen: map[int]int{}}
	c.start()
	c.o.Addresses = []string{o.Addresses[0][:3] + ":" + c.l.Addrs()[0].String()}
	tb.Cleanup(c.stop)
	return c
}

func (c *collector) start() {
	c.tb.Helper()
	var l *Listener
	eventually(c.tb, "the port is free", func() (ok bool) { // somebody's connection may have it for a while
		var err error
		l, err = Listen(context.Background(), c.o)
		return err == nil
	})
	c.l, c.done = l, make(chan struct{})
	go func(done chan struct{}) {
		defer close(done)
		r := reader{s: l}
		for {
			select {
			case <-l.stopped:
				c.note(r.read(c.tb, 1<<30, time.Second)) // until io.EOF
				return
			default:
				c.note(r.read(c.tb, 1, 50*time.Millisecond))
			}
		}
	}(c.done)
}

func (c *collector) note(all []got) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, g := range all {
		c.seen[g.number()]++
	}
}

func (c *collector) stop() {
	if err := c.l.Close(); err != nil {
		c.tb.Error(err)
	}
	<-c.done
}

// count is how many different messages came, and how many more than once.
func (c *collector) count() (different, more int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.seen {
		if n > 1 {
			more++
		}
	}
	return len(c.seen), more
}

// The collector is stopped and started again while messages are sent: all arrive, over TCP and over TLS.
func TestSendRestart(t *testing.T) {
	t.Parallel()
	server, client := certificate(t)
	for _, scheme := range []string{"tcp", "tls"} {
		t.Run(scheme, func(t *testing.T) {
			t.Parallel()
			c := newCollector(t, ListenOptions{Addresses: []string{scheme + ":127.0.0.1:0"}, TLS: server, Window: -1})
			// A small memory, so that what waits goes to disk, too.
			s := sending(t, SendOptions{Address: c.o.Addresses[0], TLS: client, Dir: t.TempDir()}, 0)
			const total = 20_000
			away, onDisk := 0, int64(0)
			for i := range total {
				switch i {
				case 5000, 12_000:
					c.stop()
					away++
				case 9000, 16_000:
					onDisk = max(onDisk, s.Stats().Disk)
					c.start()
				}
				p := numbered(i, time.Now())
				p.Node = []byte(strings.Repeat("x", 100))
				if err := s.Send(p); err != nil {
					t.Fatal(err)
				}
				if i%100 == 0 {
					time.Sleep(5 * time.Millisecond)
				}
			}
			closeSender(t, s)
			eventually(t, "all have come", func() bool { n, _ := c.count(); return n == total })
			st := s.Stats()
			if st.Sent != total || st.Dropped != 0 || st.Buffered != 0 || st.Reconnects == 0 || onDisk == 0 {
				t.Errorf("%+v, %d bytes on disk", st, onDisk)
			}
			_, more := c.count()
			t.Logf("%d messages came twice, %d were sent once more; %d bytes were on disk", more, st.Resent, onDisk)
		})
	}
}

// A collector that dies with messages unread: its kernel had acknowledged them, and yet they come.
func TestSendUnread(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("how a death shows is the system's")
	}
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := sending(t, SendOptions{Address: "tcp:" + dead.Addr().String()}, 0)
	conn, err := dead.Accept()
	if err != nil {
		t.Fatal(err)
	}
	const total = 300
	for i := range total {
		if err := s.Send(numbered(i, time.Now())); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "all are acknowledged", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.log.sent > 0 && s.log.acked == s.log.mem
	})
	conn.Close() // with all of it unread
	dead.Close()
	c := newCollector(t, ListenOptions{Addresses: []string{"tcp:" + dead.Addr().String()}, Window: -1})
	eventually(t, "all have come", func() bool { n, _ := c.count(); return n == total })
	closeSender(t, s)
	if st := s.Stats(); st.Sent != total || st.Resent != total || st.Reconnects != 1 {
		t.Errorf("%+v", st)
	}
}

// A collector hangs while messages come, more than all kernels and the memory hold, and dies with what it had not read.
func TestSendHung(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("how a death shows is the system's")
	}
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := sending(t, SendOptions{Address: "tcp:" + dead.Addr().String(), Dir: t.TempDir()}, sendMemory)
	conn, err := dead.Accept()
	if err != nil {
		t.Fatal(err)
	}
	const total = 40_000 // 32 MB
	node := []byte(strings.Repeat("x", 700))
	for i := range total {
		p := numbered(i, time.Now())
		p.Node = node
		if err := s.Send(p); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the disk is used, and the kernels are full", func() bool {
		before := s.Stats().Sent
		time.Sleep(100 * time.Millisecond)
		st := s.Stats()
		return st.Disk > 0 && st.Sent == before
	})
	conn.Close()
	dead.Close()
	c := newCollector(t, ListenOptions{Addresses: []string{"tcp:" + dead.Addr().String()}, Window: -1})
	eventually(t, "all have come", func() bool { n, _ := c.count(); return n == total })
	closeSender(t, s)
	if st := s.Stats(); st.Sent != total || st.Dropped != 0 || st.Resent == 0 || st.Reconnects != 1 {
		t.Errorf("%+v", st)
	}
}

// What was acknowledged long ago is not sent again, whatever happens.
func TestSendKeepsForAWhile(t *testing.T) {
	t.Parallel()
	clock := &fakeClock{now: time.Now()}
	c := newCollector(t, ListenOptions{Addresses: []string{"tcp:127.0.0.1:0"}, Window: -1})
	s := sending(t, SendOptions{Address: c.o.Addresses[0], Now: clock.Now}, 0)
	if err := s.Send(numbered(1, time.Now())); err != nil {
		t.Fatal(err)
	}
	acked := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.log.sent > 0 && s.log.acked == s.log.mem
	}
	eventually(t, "it is acknowledged", acked)
	eventually(t, "it is kept no more", func() bool {
		clock.add(time.Second)
		if time.Until(clock.Now()) < keepFor/2 {
			s.mu.Lock()
			kept := s.log.base
			s.mu.Unlock()
			if kept > 0 {
				t.Error("not kept at all")
			}
		}
		_ = s.Send(numbered(2, time.Now())) // so that the kernel is asked
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.log.base > 0
	})
	closeSender(t, s)
}

// The other end reads nothing: Send does not wait, and what has no room is dropped and counted.
func TestSendFull(t *testing.T) {
	t.Parallel()
	stuck, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stuck.Close()
	const disk = 1 << 20
	s := sending(t, SendOptions{Address: "tcp:" + stuck.Addr().String(), Dir: t.TempDir(), Limit: disk}, 0)
	p := Packet{Payload: make([]byte, 60_000)}
	var full int
	for range 2000 { // 120 MB: more than all kernels take
		begun := time.Now()
		if err := s.Send(&p); errors.Is(err, ErrFull) {
			full++
		} else if err != nil {
			t.Fatal(err)
		}
		if d := time.Since(begun); d > 5*time.Second {
			t.Fatalf("Send took %v", d)
		}
	}
	st := s.Stats()
	if full == 0 || st.Dropped != uint64(full) || st.Disk > disk || st.Sent+st.Buffered+st.Dropped != 2000 {
		t.Errorf("%d times full, %+v", full, st)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := s.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want that something is left", err)
	}
	if st := s.Stats(); st.Buffered == 0 {
		t.Errorf("%+v", st)
	}
}

// A full or absent disk is an error of Send, and counted.
func TestSendNoDisk(t *testing.T) {
	t.Parallel()
	for _, o := range []SendOptions{{Dir: t.TempDir() + "/absent"}, {Limit: -1}} {
		o.Address = "tcp:127.0.0.1:1" // nobody is there
		s := sending(t, o, 0)
		failed := uint64(0)
		for range 400 {
			if err := s.Send(&Packet{Payload: make([]byte, 1000)}); err != nil {
				failed++
			}
		}
		st := s.Stats()
		if failed == 0 || st.Dropped != failed || st.Buffered != 400-failed || st.LastError == "" {
			t.Errorf("%d failed, %+v", failed, st)
		}
		eventually(t, "the collector's absence is told", func() bool { return s.Stats().Errors > 1 })
	}
}

// UDP to nobody: told as errors, and what comes once somebody is there arrives.
func TestSendUDPRefused(t *testing.T) {
	t.Parallel()
	hole, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := hole.LocalAddr().String()
	hole.Close()
	s := sending(t, SendOptions{Address: "udp:" + addr}, 0)
	for range 50 {
		if err := s.Send(numbered(1, time.Now())); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	eventually(t, "refusals are told", func() bool { return s.Stats().Errors > 0 })
	c := newCollector(t, ListenOptions{Addresses: []string{"udp:" + addr}, Window: -1})
	for i := range 10 {
		if err := s.Send(numbered(100+i, time.Now())); err != nil {
			t.Fatal(err)
		}
	}
	closeSender(t, s)
	eventually(t, "the last ten have come", func() bool { n, _ := c.count(); return n >= 10 })
	if st := s.Stats(); st.Sent+st.Dropped != 60 || st.Buffered != 0 || st.LastError == "" {
		t.Errorf("%+v", st)
	}
}

// A certificate that is not trusted gives errors and no messages.
func TestSendUntrusted(t *testing.T) {
	t.Parallel()
	server, _ := certificate(t)
	l := listening(t, ListenOptions{Addresses: []string{"tls:127.0.0.1:0"}, TLS: server})
	s := sending(t, SendOptions{Address: "tls:127.0.0.1:" + port(l, 0)}, 0)
	_ = s.Send(numbered(1, time.Now()))
	eventually(t, "the sender tells", func() bool { return strings.Contains(s.Stats().LastError, "certificate") })
	eventually(t, "the listener tells", func() bool { return l.Stats().Handshakes > 0 })
	if st := s.Stats(); st.Sent != 0 || st.Connected || l.Stats().Received != 0 {
		t.Errorf("%+v", st)
	}
}

// The end of the context ends the sender without waiting.
func TestSendContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s, err := NewSender(ctx, SendOptions{Address: "tcp:127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(numbered(1, time.Now())); err != nil {
		t.Fatal(err)
	}
	cancel()
	<-s.ended
	if err := s.Close(t.Context()); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want that something is left", err)
	}
	if st := s.Stats(); st.Buffered != 1 {
		t.Errorf("%+v", st)
	}
}

func TestSendAllocs(t *testing.T) { //nolint:paralleltest // it counts allocations
	s := sending(t, SendOptions{Address: "tcp:127.0.0.1:1", Node: "node", Key: "secret", Limit: -1}, 1<<20)
	p := numbered(1, time.Now())
	if n := testing.AllocsPerRun(100, func() {
		if err := s.Send(p); err != nil {
			t.Fatal(err)
		}
	}); n > 1 { // connecting in the background allocates now and then
		t.Errorf("%v allocations", n)
	}
}
