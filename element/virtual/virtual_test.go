package virtual

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sipscope/element/transport"
)

const ms = int64(time.Millisecond)

func message(n int) []byte {
	return fmt.Appendf(nil, "OPTIONS sip:b SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK%d\r\nCall-ID: c%d\r\n"+
		"CSeq: 1 OPTIONS\r\nFrom: <sip:a>;tag=1\r\nTo: <sip:b>\r\nContent-Length: 0\r\n\r\n", n, n)
}

// ear writes down what it is given. It answers when told so.
type ear struct {
	host   *Host
	got    []string
	hops   []transport.Hop
	failed []string
	errs   []error
	kept   [][]byte
	answer bool
	wakeAt int64
	woken  []int64
}

func (e *ear) Receive(r *transport.Received) {
	e.got = append(e.got, fmt.Sprintf("%s@%d", r.Msg.CallID.Of(r.Msg.Raw), e.host.Now()/ms))
	e.hops = append(e.hops, r.Hop)
	e.kept = append(e.kept, r.Msg.Raw)
	if e.answer {
		e.host.Send(r.Hop, message(100+len(e.got)), 0)
	}
}

func (e *ear) Failed(_ transport.Hop, tag uint64, err error) {
	e.failed = append(e.failed, fmt.Sprintf("%d@%d", tag, e.host.Now()/ms))
	e.errs = append(e.errs, err)
}

func (e *ear) Wake(now int64) int64 {
	if e.wakeAt == 0 {
		return math.MaxInt64
	}
	if now >= e.wakeAt {
		e.woken = append(e.woken, now/ms)
		e.wakeAt += 10 * ms
	}
	if len(e.woken) >= 3 {
		return math.MaxInt64
	}
	return e.wakeAt
}

func listen(s string) transport.Listen {
	l, err := transport.ParseListen(s)
	if err != nil {
		return transport.Listen{}
	}
	return l
}

func pair(t *testing.T, n *Net, protos ...string) (a, b *ear) {
	t.Helper()
	var la, lb []transport.Listen
	for _, p := range protos {
		la = append(la, listen(p+":10.0.0.1:5060"))
		lb = append(lb, listen(p+":10.0.0.2:5060"))
	}
	a, b = &ear{host: n.Host("a", la...)}, &ear{host: n.Host("b", lb...)}
	a.host.Attach(a)
	b.host.Attach(b)
	return a, b
}

func run(t *testing.T, n *Net) {
	t.Helper()
	if err := n.Run(math.MaxInt64); err != nil {
		t.Fatal(err)
	}
}

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }

func to(proto transport.Proto, s string) transport.Hop {
	return transport.Hop{Proto: proto, Remote: netip.MustParseAddrPort(s)}
}

func TestUDPRoundTrip(t *testing.T) {
	t.Parallel()
	n := New(0, seeded(1))
	a, b := pair(t, n, "udp")
	b.answer = true
	a.host.Send(to(transport.UDP, "10.0.0.2:5060"), message(1), 0)
	run(t, n)
	if diff := cmp.Diff([]string{"c1@1"}, b.got); diff != "" {
		t.Errorf("b got (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{"c101@2"}, a.got); diff != "" {
		t.Errorf("a got (-want +got)\n%s", diff)
	}
	want := transport.Hop{
		Proto: transport.UDP, Local: netip.MustParseAddrPort("10.0.0.2:5060"), Remote: netip.MustParseAddrPort("10.0.0.1:5060"),
	}
	if b.hops[0] != want {
		t.Errorf("hop %+v, want %+v", b.hops[0], want)
	}
	if raw := b.kept[0]; bytes.Count(raw, []byte{poison}) != len(raw) {
		t.Errorf("bytes are not overwritten after the call: %q", raw)
	}
	if s := n.Stats(); s.Sent != 2 || s.Delivered != 2 {
		t.Errorf("stats %+v", s)
	}
}

func TestPathFaults(t *testing.T) {
	t.Parallel()
	const sent = 20000
	n := New(0, seeded(7))
	a, b := pair(t, n, "udp")
	n.SetPath(a.host, b.host, Path{Latency: 5 * ms, Loss: 0.3, Duplicate: 0.1, Reorder: 0.2})
	for i := range sent {
		n.At(int64(i)*ms, func() {
			a.host.Send(to(transport.UDP, "10.0.0.2:5060"), message(i), 0)
			b.host.Send(to(transport.UDP, "10.0.0.1:5060"), message(i), 0) // the other direction is clean
		})
	}
	run(t, n)
	s := n.Stats()
	near := func(name string, got uint64, want float64) {
		if math.Abs(float64(got)-want) > 0.05*want {
			t.Errorf("%s %d, want about %.0f", name, got, want)
		}
	}
	near("lost", s.Lost, 0.3*sent)
	near("duplicated", s.Duplicated, 0.07*sent)
	near("reordered", s.Reordered, 0.2*0.77*sent)
	if s.Sent+s.Duplicated != s.Delivered+s.Lost {
		t.Errorf("does not add up: %+v", s)
	}
	if len(a.got) != sent || !slices.IsSortedFunc(a.got, byNumber) {
		t.Errorf("the clean direction brought %d of %d in order", len(a.got), sent)
	}
	if slices.IsSortedFunc(b.got, byNumber) {
		t.Error("nothing came out of order")
	}
}

func byNumber(x, y string) int {
	var i, j int
	_, _ = fmt.Sscanf(x, "c%d@", &i)
	_, _ = fmt.Sscanf(y, "c%d@", &j)
	return i - j
}

func TestJitterKeepsOrder(t *testing.T) {
	t.Parallel()
	n := New(0, seeded(3))
	n.Path = Path{Latency: ms, Jitter: 50 * ms}
	a, b := pair(t, n, "udp")
	for i := range 200 {
		n.At(int64(i)*ms, func() { a.host.Send(to(transport.UDP, "10.0.0.2:5060"), message(i), 0) })
	}
	run(t, n)
	if len(b.got) != 200 || !slices.IsSortedFunc(b.got, byNumber) {
		t.Errorf("got %v", b.got)
	}
}

func TestSameSeedSameRun(t *testing.T) {
	t.Parallel()
	trace := func(seed uint64) string {
		n := New(12345, seeded(seed))
		n.Path = Path{Latency: ms, Jitter: 9 * ms, Loss: 0.2, Duplicate: 0.2, Reorder: 0.2}
		a, b := pair(t, n, "udp", "tcp")
		b.answer = true
		for i := range 300 {
			proto := transport.UDP
			if i%3 == 0 {
				proto = transport.TCP
			}
			n.At(int64(i)*ms, func() { a.host.Send(to(proto, "10.0.0.2:5060"), message(i), uint64(i)) })
		}
		run(t, n)
		return fmt.Sprint(a.got, b.got, n.Stats())
	}
	first, second := trace(1), trace(1)
	if first != second {
		t.Error("two runs differ")
	}
	if first == trace(2) {
		t.Error("the seed does not matter")
	}
}

// recorder is a Tap for SIP and RTP.
type recorder struct{ seen []string }

func (r *recorder) Message(now int64, proto transport.Proto, conn uint64, src, dst netip.AddrPort, raw []byte) {
	r.seen = append(r.seen, fmt.Sprintf("%d %s/%d %s>%s %d", now/ms, proto, conn, src, dst, len(raw)))
}

func (r *recorder) Datagram(now int64, src, dst netip.AddrPort, b []byte) {
	r.seen = append(r.seen, fmt.Sprintf("%d rtp %s>%s %s", now/ms, src, dst, b))
}

func TestTap(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		arrivals bool
		want     []string
	}{
		{false, []string{
			"0 UDP/0 10.0.0.1:5060>10.0.0.2:5060 151", "0 UDP/0 10.0.0.1:5060>10.0.0.2:5060 151",
			"0 TCP/1 10.0.0.1:49152>10.0.0.2:5060 151", "0 rtp 10.0.0.1:16384>10.0.0.2:16384 x",
		}},
		{true, []string{
			"1 UDP/0 10.0.0.1:5060>10.0.0.2:5060 151",
			"1 TCP/1 10.0.0.1:49152>10.0.0.2:5060 151", "1 rtp 10.0.0.1:16384>10.0.0.2:16384 x",
		}},
	} {
		n := New(0, seeded(1))
		n.TapArrivals = tt.arrivals
		lost := false
		n.Lose = func(_, _ netip.AddrPort, raw []byte) bool {
			first := !lost && bytes.HasPrefix(raw, []byte("OPTIONS"))
			lost = true
			return first
		}
		var r recorder
		n.Tap(&r)
		a, b := pair(t, n, "udp", "tcp")
		a.host.Send(to(transport.UDP, "10.0.0.2:5060"), message(1), 0)
		a.host.Send(to(transport.UDP, "10.0.0.2:5060"), message(2), 0)
		a.host.Send(to(transport.TCP, "10.0.0.2:5060"), message(3), 0)
		p, err := a.host.OpenPort(netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		q, err := b.host.OpenPort(netip.MustParseAddr("10.0.0.2"))
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Send(q.Local(), []byte("x")); err != nil {
			t.Fatal(err)
		}
		run(t, n)
		if diff := cmp.Diff(tt.want, r.seen); diff != "" {
			t.Errorf("arrivals %t (-want +got)\n%s", tt.arrivals, diff)
		}
		if n.Stats().Lost != 1 {
			t.Errorf("stats %+v", n.Stats())
		}
	}
}

func TestWake(t *testing.T) {
	t.Parallel()
	n := New(0, seeded(1))
	a, b := pair(t, n, "udp")
	a.wakeAt = 10 * ms
	b.wakeAt = 5 * ms
	run(t, n)
	if diff := cmp.Diff([]int64{10, 20, 30}, a.woken); diff != "" {
		t.Errorf("a (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]int64{5, 15, 25}, b.woken); diff != "" {
		t.Errorf("b (-want +got)\n%s", diff)
	}
	if n.Step() || n.Next() != math.MaxInt64 {
		t.Error("something is left to do")
	}
	// A handler that is detached is not called any more.
	a.woken, a.wakeAt = nil, n.Now()+ms
	a.host.Post(func() {})
	n.Step()
	a.host.Attach(nil)
	run(t, n)
	if a.woken != nil {
		t.Errorf("woken after its end: %v", a.woken)
	}
}

func TestRunUntil(t *testing.T) {
	t.Parallel()
	n := New(1000, seeded(1))
	var called []int64
	n.At(500, func() { called = append(called, n.Now()) }) // in the past: now
	n.At(2000, func() { called = append(called, n.Now()) })
	n.At(2001, func() { called = append(called, n.Now()) })
	if err := n.Run(2000); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int64{1000, 2000}, called); diff != "" || n.Now() != 2000 {
		t.Errorf("now %d (-want +got)\n%s", n.Now(), diff)
	}
	if err := n.Run(5000); err != nil || n.Now() != 5000 || len(called) != 3 {
		t.Errorf("now %d, called %v, %v", n.Now(), called, err)
	}
	if _ = n.Run(10); n.Now() != 5000 {
		t.Error("time went back")
	}
}

// busy is a handler that always wants to be called now, or a moment later.
type busy struct{ later int64 }

func (busy) Receive(*transport.Received) {}

func (busy) Failed(transport.Hop, uint64, error) {}

func (b busy) Wake(now int64) int64 { return now + b.later }

func TestEndless(t *testing.T) {
	t.Parallel()
	for _, tt := range []busy{{0}, {1}, {-5}} {
		n := New(0, seeded(1))
		n.MaxEvents, n.instant = 20_000, 10_000
		n.Host("a", listen("udp:10.0.0.1:5060")).Attach(tt)
		if err := n.Run(math.MaxInt64); !errors.Is(err, ErrEndless) {
			t.Errorf("%+v: %v, want %v", tt, err, ErrEndless)
		}
	}
}

func TestBadHosts(t *testing.T) {
	t.Parallel()
	for _, tt := range [][]transport.Listen{
		{listen("udp:0.0.0.0:5060")},
		{{}},
		{listen("udp:10.0.0.1:5060"), listen("udp:10.0.0.1:5060")},
	} {
		n := New(0, seeded(1))
		n.Host("a", tt...)
		if err := n.Run(math.MaxInt64); !errors.Is(err, ErrAddress) || !errors.Is(n.Err(), ErrAddress) || n.Step() {
			t.Errorf("%v: %v", tt, err)
		}
	}
}

func TestUnplug(t *testing.T) {
	t.Parallel()
	n := New(0, seeded(1))
	a, b := pair(t, n, "udp", "tcp")
	a.host.Send(to(transport.TCP, "10.0.0.2:5060"), message(1), 0)
	a.host.Send(to(transport.UDP, "10.0.0.2:5060"), message(2), 0)
	b.host.Unplug(true)
	a.host.Send(to(transport.TCP, "10.0.0.2:5060"), message(3), 3)
	b.host.Send(to(transport.UDP, "10.0.0.1:5060"), message(4), 0)
	run(t, n)
	if len(a.got)+len(b.got) != 0 || len(a.failed) != 1 {
		t.Errorf("unplugged: %v %v %v", a.got, b.got, a.failed)
	}
	b.host.Unplug(false)
	a.host.Send(to(transport.TCP, "10.0.0.2:5060"), message(5), 0)
	run(t, n)
	if len(b.got) != 1 {
		t.Errorf("plugged in again: %v", b.got)
	}
}

func TestSentBy(t *testing.T) {
	t.Parallel()
	n := New(0, seeded(1))
	h := n.Host("a", listen("udp:10.0.0.1:5060"), listen("udp:10.0.0.1:5070"), listen("udp:[fd00::1]:0"))
	for _, tt := range []struct{ local, remote, want string }{
		{"", "10.0.0.2:5060", "10.0.0.1:5060"},
		{"10.0.0.1:5070", "10.0.0.2:5060", "10.0.0.1:5070"},
		{"10.0.0.1:49152", "10.0.0.2:5060", "10.0.0.1:5060"}, // an end of a connection is no listener
		{"", "[fd00::2]:5060", "[fd00::1]:32770"},
		{"", "[::ffff:10.0.0.2]:5060", "10.0.0.1:5060"},
		{"tcp", "10.0.0.2:5060", "10.0.0.1:5060"}, // a client without a listener
	} {
		hop := to(transport.UDP, tt.remote)
		if tt.local == "tcp" {
			hop.Proto, tt.local = transport.TCP, ""
		}
		if tt.local != "" {
			hop.Local = netip.MustParseAddrPort(tt.local)
		}
		got, err := h.SentBy(hop)
		if err != nil || got.String() != tt.want {
			t.Errorf("SentBy(%+v) = %s, %v; want %s", hop, got, err, tt.want)
		}
	}
	if len(h.Listeners()) != 3 || h.Name() != "a" {
		t.Errorf("listeners %v of %s", h.Listeners(), h.Name())
	}
}

func TestNotSIP(t *testing.T) {
	t.Parallel()
	n := New(0, seeded(1))
	a, b := pair(t, n, "udp")
	a.host.Send(to(transport.UDP, "10.0.0.2:5060"), []byte("\r\n\r\n"), 0)
	a.host.Send(to(transport.UDP, "10.0.0.2:5060"), nil, 0)
	run(t, n)
	if len(b.got) != 0 || n.Stats().NotSIP != 2 {
		t.Errorf("got %v, %+v", b.got, n.Stats())
	}
}

//nolint:paralleltest // it counts allocations
func TestDeliveryDoesNotAllocate(t *testing.T) {
	n := New(0, seeded(1))
	h := n.Host("a", listen("udp:10.0.0.1:5060"))
	h.Attach(sink{})
	hop, raw := to(transport.UDP, "10.0.0.1:5060"), message(1)
	if err := n.Run(ms); err != nil {
		t.Fatal(err)
	}
	got := testing.AllocsPerRun(1000, func() {
		h.Send(hop, raw, 0)
		n.Step()
	})
	if got > 0 {
		t.Errorf("%v allocations per message", got)
	}
}

type sink struct{}

func (sink) Receive(*transport.Received) {}

func (sink) Failed(transport.Hop, uint64, error) {}

func (sink) Wake(int64) int64 { return math.MaxInt64 }

func BenchmarkDelivery(b *testing.B) {
	n := New(0, seeded(1))
	h := n.Host("a", listen("udp:10.0.0.1:5060"))
	h.Attach(sink{})
	hop, raw := to(transport.UDP, "10.0.0.1:5060"), message(1)
	b.ReportAllocs()
	for b.Loop() {
		h.Send(hop, raw, 0)
		n.Step()
	}
}
