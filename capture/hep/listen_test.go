package hep

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"sipscope/capture"
)

func dial(tb testing.TB, l *Listener, i int) net.Conn {
	tb.Helper()
	a := l.Addrs()[i]
	c, err := net.Dial(a.Network(), net.JoinHostPort("127.0.0.1", port(l, i)))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.Close() })
	return c
}

func write(tb testing.TB, w io.Writer, b []byte) {
	tb.Helper()
	if _, err := w.Write(b); err != nil {
		tb.Fatal(err)
	}
}

// Every address family and transport gives datagrams from the agent to the listener, with sums that are right.
func TestListenDatagrams(t *testing.T) {
	t.Parallel()
	l := listening(t, ListenOptions{
		Addresses: []string{"udp:127.0.0.1:0", "tcp:127.0.0.1:0", "udp:[::1]:0", "tcp:[::1]:0", "udp::0", "TCP:0.0.0.0:0"},
		Window:    -1,
	})
	r := reader{s: l}
	for i, to := range []string{"127.0.0.1", "127.0.0.1", "::1", "::1", "127.0.0.1", "127.0.0.1"} {
		addr := netip.MustParseAddrPort(net.JoinHostPort(to, port(l, i)))
		c, err := net.Dial(l.Addrs()[i].Network(), addr.String())
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{i, 1000 + i} { // an odd and an even length
			write(t, c, encode(t, numbered(n, time.Now())))
			all := r.read(t, 1, 10*time.Second)
			if len(all) != 1 {
				t.Fatalf("%v: nothing came", addr)
			}
			local := netip.MustParseAddrPort(c.LocalAddr().String())
			if g := all[0]; g.number() != n || g.src != local || g.dst != addr || g.at != g.hep.Time {
				t.Errorf("got %d from %v to %v, want %d from %v to %v", g.number(), g.src, g.dst, n, local, addr)
			}
			sums(t, r.b.Packets[0].Data)
		}
		c.Close()
	}
	if s := l.Stats(); s.Received != 12 || s.Malformed != 0 || s.Connections != 6/2 {
		t.Errorf("%+v", s)
	}
}

// fakeClock is a clock that a test moves.
type fakeClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) add(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	c.mu.Unlock()
}

// bench is a listener whose clock stands still, fed by hand.
type bench struct {
	*Listener
	clock *fakeClock
	batch capture.Batch
}

func newBench(t *testing.T, o ListenOptions) *bench {
	t.Helper()
	c := &fakeClock{now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	o.Addresses, o.Now = []string{"udp:127.0.0.1:0"}, c.Now
	return &bench{Listener: listening(t, o), clock: c}
}

// comes is a message that arrives now; at is its time from now.
func (b *bench) comes(t *testing.T, agent string, n int, at time.Duration) {
	t.Helper()
	var p Packet
	b.accept(encode(t, numbered(n, b.clock.Now().Add(at))), netip.MustParseAddrPort(agent), b4, &p)
}

// gives is what Next gives now: numbers, and the time reached from now.
func (b *bench) gives(t *testing.T) (numbers []int, now time.Duration) {
	t.Helper()
	if err := b.Next(t.Context(), &b.batch); err != nil {
		t.Fatal(err)
	}
	for i := range b.batch.Packets {
		var p Packet
		if err := Decode(b.batch.Packets[i].Data[28:], &p); err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, got{hep: p}.number())
	}
	return numbers, time.Duration(b.batch.Now - b.clock.Now().UnixNano())
}

func (b *bench) want(t *testing.T, now time.Duration, numbers ...int) {
	t.Helper()
	if got, at := b.gives(t); !slices.Equal(got, numbers) || at != now {
		t.Fatalf("%v at %v, want %v at %v", got, at, numbers, now)
	}
}

const (
	agent1 = "198.51.100.1:1000"
	agent2 = "198.51.100.2:1000"
	ms     = time.Millisecond
)

func TestWindow(t *testing.T) {
	t.Parallel()
	b := newBench(t, ListenOptions{})
	if got, _ := b.gives(t); len(got) != 0 || b.batch.Now != 0 {
		t.Fatalf("%v, %d before the first message", got, b.batch.Now)
	}
	b.comes(t, agent1, 2, -10*ms)
	b.want(t, -210*ms) // the slowest is 10 ms late: nothing older than that can come in order
	b.clock.add(100 * ms)
	b.comes(t, agent2, 1, -130*ms) // captured before, came later
	b.comes(t, agent2, 4, -5*ms)
	b.comes(t, agent1, 3, -60*ms)
	b.want(t, -310*ms)
	b.clock.add(99 * ms)
	b.want(t, -330*ms) // 130 ms late is the slowest now
	b.clock.add(1 * ms)
	b.want(t, -210*ms, 1, 2)
	b.clock.add(100 * ms)
	b.want(t, -205*ms, 3, 4)
	b.comes(t, agent1, 5, -400*ms)
	b.want(t, -205*ms, 5)
	if s := b.Stats(); s.Late != 1 || s.Held != 0 || s.Received != 5 {
		t.Errorf("%+v", s)
	}
	b.clock.add(10 * time.Second) // all quiet: the time goes on, as far behind as the slowest message was
	b.want(t, -600*ms)
	b.clock.add(time.Hour)
	b.want(t, -600*ms)
}

// Clocks that are wrong, and messages without a time.
func TestListenClocks(t *testing.T) {
	t.Parallel()
	b := newBench(t, ListenOptions{Window: -1})
	b.comes(t, agent1, 1, 9*time.Second) // ahead, but to be believed
	b.want(t, 9*time.Second, 1)
	b.comes(t, agent1, 2, time.Hour) // not to be believed: it would make all others late
	b.want(t, 9*time.Second, 2)
	if got := b.batch.Packets[0].Time; got != b.clock.Now().UnixNano() {
		t.Errorf("time %d, want that of arrival", got)
	}
	var p Packet
	for _, at := range []time.Time{time.Unix(0, 0), time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2101, 1, 1, 0, 0, 0, 0, time.UTC)} {
		b.accept(encode(t, numbered(3, at)), netip.MustParseAddrPort(agent2), b4, &p)
		b.want(t, 9*time.Second, 3)
		if got := b.batch.Packets[0].Time; got != b.clock.Now().UnixNano() {
			t.Errorf("time %d of %v, want that of arrival", got, at)
		}
	}
	s := b.Stats()
	if s.Ahead != 1 || s.Untimed != 3 || s.Late != 4 {
		t.Errorf("%+v", s)
	}
	if a := s.Agents; len(a) != 2 || a[0].Packets != 3 || a[0].Offset != 0 || a[1].Offset != 9*time.Second ||
		a[1].Addr.String() != "198.51.100.1" || a[1].CaptureID != 1 || a[1].Last != b.clock.Now().UnixNano() {
		t.Errorf("%+v", a)
	}
}

// A capture of years ago, replayed to a listener, keeps its times.
func TestListenReplay(t *testing.T) {
	t.Parallel()
	b := newBench(t, ListenOptions{})
	const ago = -5 * 365 * 24 * time.Hour
	b.comes(t, agent1, 1, ago)
	b.clock.add(200 * ms)
	b.want(t, ago-200*ms, 1)
	b.clock.add(10 * time.Second)
	b.want(t, ago-200*ms) // the time goes on from there
	b.comes(t, agent2, 2, 0)
	b.clock.add(200 * ms)
	b.want(t, -200*ms, 2)
	b.comes(t, agent1, 3, ago) // a replay beside live traffic is late, and does not hold up its time
	b.clock.add(time.Second)
	b.want(t, -200*ms, 3)
}

// The clock of this machine is set back: what waits is given, then the time goes back, once.
func TestListenSetBack(t *testing.T) {
	t.Parallel()
	b := newBench(t, ListenOptions{})
	b.comes(t, agent1, 1, 0)
	b.clock.add(200 * ms)
	b.want(t, -200*ms, 1)
	b.comes(t, agent1, 2, 0)
	b.clock.add(-time.Hour)
	b.comes(t, agent1, 3, 0)
	b.want(t, time.Hour, 3, 2)
	if b.batch.SetBack {
		t.Error("set back too early")
	}
	if got, now := b.gives(t); len(got) != 0 || !b.batch.SetBack || now != -200*ms {
		t.Errorf("%v at %v, %v; want the time set back", got, now, b.batch.SetBack)
	}
	b.comes(t, agent1, 4, 0)
	b.clock.add(200 * ms)
	b.want(t, -200*ms, 4)
	if b.batch.SetBack {
		t.Error("set back twice")
	}
}

func TestListenFull(t *testing.T) {
	t.Parallel()
	b := newBench(t, ListenOptions{maxHeld: 3})
	for i := range 5 {
		b.comes(t, agent1, i, 0)
	}
	b.clock.add(time.Second)
	if got, _ := b.gives(t); !slices.Equal(got, []int{0, 1, 2}) {
		t.Errorf("%v", got)
	}
	if s := b.Stats(); s.Dropped != 2 || s.Received != 5 {
		t.Errorf("%+v", s)
	}
}

func TestListenBatches(t *testing.T) {
	t.Parallel()
	b := newBench(t, ListenOptions{})
	for i := range 1000 {
		b.comes(t, agent1, i, time.Duration(i%7)*ms)
	}
	b.clock.add(time.Second)
	seen := map[int]bool{}
	for _, size := range []int{capture.MaxBatch, capture.MaxBatch, capture.MaxBatch, 1000 - 3*capture.MaxBatch} {
		got, _ := b.gives(t)
		for _, n := range got {
			seen[n] = true
		}
		if len(got) != size {
			t.Errorf("a batch of %d, want %d", len(got), size)
		}
	}
	if len(seen) != 1000 {
		t.Errorf("%d of 1000", len(seen))
	}
}

func TestListenKey(t *testing.T) {
	t.Parallel()
	b := newBench(t, ListenOptions{Key: "secret", Window: -1})
	var p Packet
	for i, key := range []string{"secret", "", "Secret", "secretx", "secre"} {
		m := numbered(i, b.clock.Now())
		m.Key = []byte(key)
		b.accept(encode(t, m), netip.MustParseAddrPort(agent1), b4, &p)
	}
	b.accept(bin(t, goldens()[6].bytes), netip.MustParseAddrPort(agent1), b4, &p) // version 1 has none
	if got, _ := b.gives(t); !slices.Equal(got, []int{0}) {
		t.Errorf("%v", got)
	}
	if s := b.Stats(); s.Rejected != 5 || s.Received != 1 {
		t.Errorf("%+v", s)
	}
}

func TestListenAgents(t *testing.T) {
	t.Parallel()
	b := newBench(t, ListenOptions{Window: -1})
	var p Packet
	for i := range maxAgents + 10 {
		m := numbered(i, b.clock.Now())
		m.CaptureID, m.Node = uint32(i), []byte(strings.Repeat("n", i%100))
		b.accept(encode(t, m), netip.MustParseAddrPort(agent1), b4, &p)
	}
	s := b.Stats()
	if len(s.Agents) != maxAgents || s.Others != 10 || len(s.Agents[99].Node) != maxNode || s.Agents[10].Node != "nnnnnnnnnn" {
		t.Errorf("%d agents, %d others, %+v", len(s.Agents), s.Others, s.Agents[10])
	}
}

func TestListenMalformed(t *testing.T) {
	t.Parallel()
	l := listening(t, ListenOptions{Addresses: []string{"udp:127.0.0.1:0"}, Window: -1})
	c := dial(t, l, 0)
	for _, b := range []string{"", "x", invite(1), "HEP3\x00\x07", "HEP3\x00\x0c\x00\x00\x00\x01\x00\x00"} {
		write(t, c, []byte(b))
	}
	write(t, c, encode(t, numbered(1, time.Now())))
	r := reader{s: l}
	if all := r.read(t, 1, 10*time.Second); len(all) != 1 || all[0].number() != 1 {
		t.Errorf("%v", all)
	}
	if s := l.Stats(); s.Malformed != 5 {
		t.Errorf("%+v", s)
	}
}

// Streams: messages in pieces of any size, several at once, damaged ones among them, and peers that are none.
func TestListenTCP(t *testing.T) {
	t.Parallel()
	l := listening(t, ListenOptions{Addresses: []string{"tcp:127.0.0.1:0"}, Window: -1, patience: 300 * ms})
	r := reader{s: l}
	one := encode(t, numbered(1, time.Now()))

	c := dial(t, l, 0)
	for i := range one {
		write(t, c, one[i:i+1])
	}
	damaged := append([]byte(nil), one...)
	damaged[10] = 0xff // length of the first chunk
	big := numbered(2, time.Now())
	big.Node = make([]byte, MaxDatagram-len(one)-6)
	tooBig := numbered(3, time.Now())
	tooBig.Node = make([]byte, MaxDatagram-len(one)-5)
	write(t, c, slices.Concat(one, damaged, encode(t, big), encode(t, tooBig), one, one[:20]))
	c.Close()
	all := r.read(t, 4, 10*time.Second)
	var numbers []int
	for _, g := range all {
		numbers = append(numbers, g.number())
	}
	slices.Sort(numbers)
	if !slices.Equal(numbers, []int{1, 1, 1, 2}) {
		t.Errorf("%v", numbers)
	}
	eventually(t, "half a message is counted", func() bool { return l.Stats().Cut == 1 })
	if s := l.Stats(); s.Malformed != 1 || s.Oversize != 1 || s.Garbage != 0 {
		t.Errorf("%+v", s)
	}

	for i, garbage := range []string{"GET / HTTP/1.0\r\n\r\n", string(one) + "x", "HEP3\x00\x05", "HEQ"} {
		c := dial(t, l, 0)
		write(t, c, []byte(garbage))
		if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Errorf("%q: not disconnected", garbage)
		}
		eventually(t, "garbage is counted", func() bool { return l.Stats().Garbage == uint64(i+1) })
	}

	endless := dial(t, l, 0)
	go func() {
		b := make([]byte, 4096)
		for i := range b {
			b[i] = 'H' // no message begins with it twice
		}
		_, _ = endless.Write([]byte("HEP3\xff\xff"))
		for {
			if _, err := endless.Write(b); err != nil {
				return
			}
		}
	}()
	eventually(t, "an endless stream is cut off", func() bool { return l.Stats().Garbage == 5 })

	slow := dial(t, l, 0)
	write(t, slow, one[:7])
	for i := 0; l.Stats().TimedOut == 0; i++ {
		if i > 100 {
			t.Fatal("a slow peer is not disconnected")
		}
		_, _ = slow.Write([]byte{0})
		time.Sleep(50 * ms)
	}
	if s := l.Stats(); s.Connections != 7 {
		t.Errorf("%+v", s)
	}
	eventually(t, "all are gone", func() bool { return l.Stats().Open == 0 })
}

func TestListenIdle(t *testing.T) {
	t.Parallel()
	l := listening(t, ListenOptions{Addresses: []string{"tcp:127.0.0.1:0"}, Idle: 50 * ms})
	dial(t, l, 0)
	eventually(t, "an idle peer is disconnected", func() bool { return l.Stats().TimedOut == 1 && l.Stats().Open == 0 })
}

// When there are too many connections, one that has been quiet for a minute gives way; else the new one is refused.
func TestListenMaxConns(t *testing.T) {
	t.Parallel()
	clock := &fakeClock{now: time.Now()}
	l := listening(t, ListenOptions{Addresses: []string{"tcp:127.0.0.1:0"}, MaxConns: 2, Now: clock.Now})
	first := dial(t, l, 0)
	eventually(t, "the first is there", func() bool { return l.Stats().Open == 1 })
	clock.add(30 * time.Second)
	dial(t, l, 0)
	eventually(t, "the second is there", func() bool { return l.Stats().Open == 2 })
	refused := dial(t, l, 0)
	if n, err := refused.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("not refused")
	}
	clock.add(31 * time.Second)
	fourth := dial(t, l, 0)
	if n, err := first.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("the first is still there")
	}
	write(t, fourth, encode(t, numbered(1, clock.Now())))
	eventually(t, "the message comes", func() bool { return l.Stats().Received == 1 })
	if s := l.Stats(); s.Refused != 1 || s.TimedOut != 1 || s.Connections != 3 || s.Open != 2 {
		t.Errorf("%+v", s)
	}
}

// What has come is given after Stop, and then the end.
func TestListenStop(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"Stop", "Close", "context"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			l, err := Listen(ctx, ListenOptions{Addresses: []string{"udp:127.0.0.1:0", "tcp:127.0.0.1:0"}, Window: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			write(t, dial(t, l, 0), encode(t, numbered(1, time.Now())))
			write(t, dial(t, l, 1), encode(t, numbered(2, time.Now())))
			eventually(t, "both are here", func() bool { return l.Stats().Held == 2 })
			switch how {
			case "Stop":
				l.Stop()
			case "Close":
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			default:
				cancel()
			}
			r := reader{s: l}
			if all := r.read(t, 3, 10*time.Second); len(all) != 2 || all[0].number() != 1 || all[1].number() != 2 {
				t.Errorf("%v", all)
			}
			for range 2 {
				if err := l.Next(t.Context(), &r.b); !errors.Is(err, io.EOF) {
					t.Errorf("%v, want io.EOF", err)
				}
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			}
			if s := l.Stats(); s.LastError != "" || s.Open != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestListenContext(t *testing.T) {
	t.Parallel()
	l := listening(t, ListenOptions{Addresses: []string{"udp:127.0.0.1:0"}})
	var b capture.Batch
	why := errors.New("why")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	if err := l.Next(ctx, &b); !errors.Is(err, why) || !b.Empty() {
		t.Errorf("%v", err)
	}
	if err := l.Next(t.Context(), &b); err != nil || !b.Empty() {
		t.Errorf("%v after a context that ended", err)
	}
}

func TestListenErrors(t *testing.T) {
	t.Parallel()
	busy, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	for _, o := range [][]string{
		nil,
		{"127.0.0.1:9060"},
		{"sctp:127.0.0.1:9060"},
		{"udp:127.0.0.1"},
		{"udp:127.0.0.1:sip"},
		{"udp:127.0.0.1:65536"},
		{"tls:127.0.0.1:0"}, // without a certificate
		{"udp:127.0.0.1:0", "tcp:127.0.0.1:0", "udp:" + busy.LocalAddr().String()},
	} {
		l, err := Listen(t.Context(), ListenOptions{Addresses: o})
		if err == nil {
			l.Close()
			t.Errorf("%q: no error", o)
		} else if len(o) > 0 && !strings.Contains(err.Error(), o[len(o)-1]) {
			t.Errorf("%q: %v does not name it", o, err)
		}
	}
}

func TestListenAllocs(t *testing.T) { //nolint:paralleltest // it counts allocations
	l := listening(t, ListenOptions{Addresses: []string{"udp:127.0.0.1:0"}, Window: -1})
	m := encode(t, numbered(1, time.Now()))
	var p Packet
	var b capture.Batch
	src := netip.MustParseAddrPort(agent1)
	if n := testing.AllocsPerRun(100, func() {
		for range 100 {
			l.accept(m, src, b4, &p)
		}
		if err := l.Next(t.Context(), &b); err != nil || len(b.Packets) != 100 {
			t.Fatal(err, len(b.Packets))
		}
	}); n > 5 && !raceDetector {
		t.Errorf("%v allocations for 100 messages", n)
	}
}

func BenchmarkListen(b *testing.B) {
	l := listening(b, ListenOptions{Addresses: []string{"udp:127.0.0.1:0"}, Window: -1})
	now := time.Now()
	m := make([][]byte, 100)
	for i := range m {
		q := numbered(i, now)
		q.Payload = []byte(invite(i))
		m[i] = encode(b, q)
	}
	var p Packet
	var batch capture.Batch
	src := netip.MustParseAddrPort(agent1)
	b.ReportAllocs()
	for b.Loop() {
		for i := range m {
			l.accept(m[i], src, b4, &p)
		}
		if err := l.Next(b.Context(), &batch); err != nil || len(batch.Packets) != len(m) {
			b.Fatal(err, len(batch.Packets))
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(m)), "ns/message")
}
