package guard

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"sipscope/element/media"
	"sipscope/element/transport"
	"sipscope/element/virtual"
)

func ap(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// zoned is an address with a zone.
func zoned(s, zone string, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(s).WithZone(zone), port)
}

// lab is a guard as a command line would set it up.
func lab(t *testing.T) *Guard {
	t.Helper()
	g := New(ap("10.0.0.5:5060"))
	for _, text := range []string{"192.168.7.0/24", "10.0.1.9", "fd00::5", "[fe80::7]:5060", "::ffff:172.16.0.1"} {
		if err := g.Allow(text); err != nil {
			t.Fatalf("allow %s: %v", text, err)
		}
	}
	if err := g.Public("203.0.113.7"); err != nil {
		t.Fatal(err)
	}
	if err := g.Allow("203.0.113.7:5060"); err != nil {
		t.Fatal(err)
	}
	g.Own(ap("127.0.1.10:5060"), ap("198.51.100.4:5070"))
	return g
}

func TestReason(t *testing.T) {
	t.Parallel()
	g := lab(t)
	for _, c := range []struct {
		at   netip.AddrPort
		use  Use
		want Reason
	}{
		{ap("10.0.0.5:5060"), Signaling, Fine},
		{ap("[::ffff:10.0.0.5]:5060"), Signaling, Fine},
		{zoned("::ffff:10.0.0.5", "eth0", 5060), Signaling, Fine},
		{ap("10.0.0.5:5061"), Signaling, Unnamed},
		{ap("10.0.0.5:5061"), Connection, Fine},
		{ap("10.0.0.5:40000"), Media, Fine},
		{ap("10.0.0.5:53"), Media, Unnamed},
		{ap("10.0.0.6:5060"), Signaling, Unnamed},
		{ap("10.0.0.6:5060"), Connection, Unnamed},
		{ap("10.0.0.6:40000"), Media, Unnamed},
		{ap("10.0.1.9:1"), Signaling, Fine},
		{ap("10.0.1.9:123"), Media, Unnamed},
		{ap("192.168.7.1:5080"), Signaling, Fine},
		{ap("192.168.7.255:5060"), Signaling, Never + 99}, // broadcast of the network: see below
		{ap("192.168.7.0:5060"), Signaling, Never + 99},
		{ap("192.168.8.1:5060"), Signaling, Unnamed},
		{ap("[fd00::5]:9"), Signaling, Fine},
		{ap("[fd00::6]:9"), Signaling, Unnamed},
		{zoned("fe80::7", "eth0", 5060), Signaling, Fine},
		{ap("[fe80::7]:5060"), Signaling, Fine},
		{zoned("fe80::8", "eth0", 5060), Signaling, Unnamed},
		{ap("172.16.0.1:5060"), Signaling, Fine},
		{ap("203.0.113.7:5060"), Signaling, Fine},
		{ap("203.0.113.7:5061"), Signaling, Unnamed},
		{ap("203.0.113.8:5060"), Signaling, Unnamed},
		{ap("127.0.1.10:5060"), Signaling, Fine},
		{ap("127.0.1.10:22000"), Media, Unnamed},
		{ap("127.0.1.10:33000"), Connection, Fine},
		{ap("127.0.1.10:33000"), Signaling, Unnamed},
		{ap("127.0.0.1:5060"), Signaling, Unnamed},
		{ap("198.51.100.4:5070"), Signaling, Fine},
		{ap("198.51.100.4:5071"), Signaling, Unnamed},
		{netip.AddrPort{}, Signaling, Never},
		{ap("10.0.1.9:0"), Signaling, Never},
		{ap("0.0.0.0:5060"), Signaling, Never},
		{ap("0.1.2.3:5060"), Signaling, Never},
		{ap("[::]:5060"), Signaling, Never},
		{ap("[::ffff:0.0.0.0]:5060"), Signaling, Never},
		{ap("255.255.255.255:5060"), Signaling, Never},
		{ap("[::ffff:255.255.255.255]:5060"), Signaling, Never},
		{ap("127.255.255.255:5060"), Signaling, Never},
		{ap("240.0.0.1:5060"), Signaling, Never},
		{ap("224.0.1.75:5060"), Signaling, Never},
		{ap("[::ffff:224.0.1.75]:5060"), Signaling, Never},
		{ap("[ff02::1]:5060"), Signaling, Never},
		{ap("[::7f00:1]:5060"), Signaling, Unnamed}, // ::127.0.0.1, IPv4-compatible: not loopback
		{ap("[64:ff9b::a00:5]:5060"), Signaling, Unnamed},
	} {
		want := c.want
		if want > Never {
			want = Unnamed
		}
		if got := g.Reason(c.at, c.use); got != want {
			t.Errorf("%s for %d: %s, want %s", c.at, c.use, got, want)
		}
		err := g.Check(c.at, c.use)
		if (err == nil) != (want == Fine) || err != nil && !errors.Is(err, ErrRefused) {
			t.Errorf("%s for %d: %v", c.at, c.use, err)
		}
		if c.use == Signaling && g.Allowed(c.at) != (want == Fine) {
			t.Errorf("%s: Allowed differs from Reason", c.at)
		}
	}
}

// TestPublic has everything named, and only what is private or was allowed pass.
func TestPublic(t *testing.T) {
	t.Parallel()
	g := New(ap("8.8.8.8:5060"))
	for _, text := range []string{"0.0.0.0/0", "::/0", "::ffff:0:0/96"} {
		if err := g.Allow(text); err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range []string{"8.8.8.8:5060", "1.1.1.1:5060", "100.64.0.1:5060", "[2001:db8::1]:5060", "[2002:a00:5::1]:5060", "192.0.2.1:5060"} {
		if got := g.Reason(ap(at), Signaling); got != Public {
			t.Errorf("%s: %s", at, got)
		}
	}
	for _, at := range []string{"10.9.9.9:5060", "172.31.0.1:5060", "169.254.1.1:5060", "127.0.0.1:1", "[::1]:5060", "[fd12::1]:5060", "[fe80::1]:5060"} {
		if got := g.Reason(ap(at), Signaling); got != Fine {
			t.Errorf("%s: %s", at, got)
		}
	}
	if err := g.Name(ap("8.8.4.4:5060")); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "--allow-public") {
		t.Errorf("naming a public address: %v", err)
	}
	if err := g.Public("8.8.4.0/24"); err != nil {
		t.Fatal(err)
	}
	if err := g.Name(ap("8.8.4.4:5060")); err != nil {
		t.Error(err)
	}
	if !g.Allowed(ap("8.8.4.4:5060")) || g.Allowed(ap("8.8.8.8:5060")) {
		t.Error("allowed public networks")
	}
}

func TestTexts(t *testing.T) {
	t.Parallel()
	g := New()
	for _, bad := range []string{"", "example.com", "10.0.0.1:x", "10.0.0.0/33", "10.0.0.1:70000", "[]", "10.0.0", "fe80::1%eth0/64"} {
		if err := g.Allow(bad); !errors.Is(err, ErrAddress) {
			t.Errorf("%q: %v", bad, err)
		}
		if err := g.Public(bad); !errors.Is(err, ErrAddress) {
			t.Errorf("public %q: %v", bad, err)
		}
	}
	for _, never := range []string{"0.0.0.0", "224.0.0.1:5060", "255.255.255.255", "::", "ff02::1"} {
		if err := g.Allow(never); !errors.Is(err, ErrRefused) {
			t.Errorf("%q: %v", never, err)
		}
	}
	err := g.Check(ap("192.0.2.9:5060"), Signaling)
	if err == nil || err.Error() != "refused to send to 192.0.2.9:5060 (not named; --allow 192.0.2.9)" {
		t.Errorf("%v", err)
	}
}

// catcher is told what could not be sent.
type catcher struct {
	got    []string
	failed map[uint64]error
}

func (c *catcher) Receive(r *transport.Received) { c.got = append(c.got, r.Hop.Local.String()) }
func (c *catcher) Failed(_ transport.Hop, tag uint64, err error) {
	c.failed[tag] = err
}
func (*catcher) Wake(int64) int64 { return 1<<63 - 1 }

const options = "OPTIONS sip:a@10.0.0.5 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa\r\nFrom: <sip:a@a>;tag=1\r\n" +
	"To: <sip:b@b>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"

// TestLink has a link that reaches everybody, and a handler that is told of what stays here.
func TestLink(t *testing.T) {
	t.Parallel()
	const start = int64(1_700_000_000_000_000_000)
	for _, proto := range []transport.Proto{transport.UDP, transport.TCP} {
		network := virtual.New(start, rand.New(rand.NewPCG(1, 1)))
		us := network.Host("us", transport.Listen{Proto: proto, AddrPort: ap("10.0.0.1:5060")})
		places := map[string]*catcher{}
		for _, at := range []string{"10.0.0.5:5060", "10.0.0.6:5060", "203.0.113.9:5060"} {
			c := &catcher{failed: map[uint64]error{}}
			places[at] = c
			network.Host(at, transport.Listen{Proto: proto, AddrPort: ap(at)}).Attach(c)
		}
		me := &catcher{failed: map[uint64]error{}}
		us.Attach(me)
		g := New(ap("10.0.0.5:5060"))
		link := g.Link(us)
		if link.Now() != start {
			t.Errorf("time %d", link.Now())
		}
		tags := []string{"10.0.0.5:5060", "10.0.0.6:5060", "203.0.113.9:5060", "[::ffff:10.0.0.5]:5060", "224.0.0.1:5060"}
		for i, at := range tags {
			link.Send(transport.Hop{Proto: proto, Remote: ap(at)}, []byte(options), uint64(i)+1)
			link.Send(transport.Hop{Proto: proto, Remote: ap(at)}, []byte(options), 0)
		}
		if len(me.failed) > 0 {
			t.Errorf("%s: told during Send", proto)
		}
		if err := network.Run(start + 1e9); err != nil {
			t.Fatal(err)
		}
		if n := len(places["10.0.0.5:5060"].got); n != 4 {
			t.Errorf("%s: the named one got %d", proto, n)
		}
		for at, c := range places {
			if at != "10.0.0.5:5060" && len(c.got) > 0 {
				t.Errorf("%s: %s got %d", proto, at, len(c.got))
			}
		}
		for _, tag := range []uint64{2, 3, 5} {
			if me.failed[tag] == nil {
				t.Errorf("%s: tag %d was not told: %v", proto, tag, me.failed)
			}
		}
		if len(me.failed) != 3 {
			t.Errorf("%s: %v", proto, me.failed)
		}
		refused := g.Refused()
		if len(refused) != 3 || refused[0].At != ap("10.0.0.6:5060") || refused[0].Count != 2 || refused[2].Reason != Never {
			t.Errorf("%s: %+v", proto, refused)
		}
		if n, other := g.Count(); n != 6 || other != 0 {
			t.Errorf("%s: %d packets refused, %d unlisted", proto, n, other)
		}
		if err := refused[0].Err(); !errors.Is(err, ErrRefused) {
			t.Error(err)
		}
	}
}

// TestEndpoint has real sockets tell.
func TestEndpoint(t *testing.T) {
	t.Parallel()
	e, err := transport.Open(transport.Config{Listen: []transport.Listen{
		{Proto: transport.UDP, AddrPort: ap("127.0.0.1:0")}, {Proto: transport.TCP, AddrPort: ap("127.0.0.1:0")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	g := New()
	link := g.Link(e)
	me := &waiting{catcher: catcher{failed: map[uint64]error{}}, e: e}
	e.Post(func() {
		link.Send(transport.Hop{Proto: transport.UDP, Remote: ap("127.0.0.1:9")}, []byte(options), 1)
		link.Send(transport.Hop{Proto: transport.TCP, Remote: ap("127.0.0.1:9")}, []byte(options), 2)
	})
	if err := e.Run(t.Context(), me); err != nil {
		t.Fatal(err)
	}
	if len(me.failed) != 2 {
		t.Errorf("%v", me.failed)
	}
}

// waiting ends the endpoint when two failures were told.
type waiting struct {
	catcher
	e *transport.Endpoint
}

func (w *waiting) Failed(hop transport.Hop, tag uint64, err error) {
	w.catcher.Failed(hop, tag, err)
	if len(w.failed) == 2 {
		_ = w.e.Close()
	}
}

func TestPorts(t *testing.T) {
	t.Parallel()
	network := virtual.New(1, rand.New(rand.NewPCG(1, 1)))
	open := func(name, at string) media.Ports {
		return network.Host(name, transport.Listen{Proto: transport.UDP, AddrPort: ap(at)})
	}
	us, named, other := open("us", "10.0.0.1:5060"), open("named", "10.0.0.5:5060"), open("other", "10.0.0.6:5060")
	g := New(ap("10.0.0.5:5060"))
	counts := map[string]int{}
	receiver := func(name string, ports media.Ports) media.ControlPort {
		p, err := ports.Open(netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		c, ok := p.(media.ControlPort)
		if !ok {
			t.Fatal("no socket for RTCP")
		}
		p.Receive(func(int64, netip.AddrPort, []byte) { counts[name]++ })
		c.Control().Receive(func(int64, netip.AddrPort, []byte) { counts[name+" RTCP"]++ })
		return c
	}
	good, bad := receiver("named", named), receiver("other", other)
	mine := receiver("us", g.Ports(us))
	for _, to := range []media.ControlPort{good, bad} {
		for _, p := range []struct{ from, to media.Port }{{mine, to}, {mine.Control(), to.Control()}} {
			err := p.from.Send(p.to.Local(), []byte("x"))
			if (err == nil) != (to == good) || err != nil && !errors.Is(err, ErrRefused) {
				t.Errorf("to %s: %v", p.to.Local(), err)
			}
		}
	}
	if err := network.Run(1e9); err != nil {
		t.Fatal(err)
	}
	if counts["named"] != 1 || counts["named RTCP"] != 1 || len(counts) != 2 {
		t.Errorf("%v", counts)
	}
	if r := g.Refused(); len(r) != 1 || r[0].Use != Media || r[0].Count != 2 {
		t.Errorf("%+v", r)
	}
	if _, err := g.Ports(us).Open(netip.MustParseAddr("10.0.0.77")); err == nil {
		t.Error("opened elsewhere")
	}
	// A port for RTCP has none beside it.
	if c, ok := g.Port(mine.Control()).(media.ControlPort); ok && c.Control() != nil {
		t.Error("RTCP beside RTCP")
	}
	// What was opened by the guard may be sent to while it is open.
	second, err := g.Ports(us).Open(netip.Addr{})
	if err != nil {
		t.Fatal(err)
	}
	if err := mine.Send(second.Local(), []byte("x")); err != nil {
		t.Errorf("to our own port: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	if err := mine.Send(second.Local(), []byte("x")); !errors.Is(err, ErrRefused) {
		t.Errorf("to a port that is closed: %v", err)
	}
	if err := mine.Close(); err != nil || len(g.ours) != 0 {
		t.Errorf("%v, %v", err, g.ours)
	}
}

// TestBound has a peer name very many addresses, from many goroutines.
func TestBound(t *testing.T) {
	t.Parallel()
	g := New()
	var wg sync.WaitGroup
	for k := range 4 {
		wg.Go(func() {
			for i := range 1000 {
				at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(k), byte(i >> 8), byte(i)}), 5060)
				if g.pass(at, Signaling) == nil {
					t.Error("passed")
				}
				_ = g.Refused()
			}
		})
	}
	wg.Wait()
	if n, other := g.Count(); n != 4000 || other != 4000-maxRefusals || len(g.Refused()) != maxRefusals {
		t.Errorf("%d, %d, %d", n, other, len(g.Refused()))
	}
}

// FuzzGuard: what is refused in one form is refused in all forms of the same address, and what nobody named never passes.
func FuzzGuard(f *testing.F) {
	f.Add("10.0.0.0/8", "203.0.113.0/24", "10.1.2.3:5060")
	f.Add("::ffff:10.0.0.0/104", "::/0", "[::ffff:10.1.2.3]:5060")
	f.Add("fe80::1", "0.0.0.0/0", "[fe80::1%eth0]:5060")
	f.Fuzz(func(t *testing.T, allow, public, to string) {
		at, err := netip.ParseAddrPort(to)
		if err != nil {
			t.Skip()
		}
		if g := New(); g.Reason(at, Media) == Fine || g.Reason(at, Signaling) == Fine || g.Reason(at, Connection) == Fine {
			t.Fatalf("%s passes a guard without names", at)
		}
		g := New()
		_ = g.Public(public)
		_ = g.Allow(allow)
		bare := at.Addr().Unmap().WithZone("")
		want := g.Reason(at, Signaling)
		forms := []netip.Addr{bare}
		if bare.Is4() {
			forms = append(forms, netip.AddrFrom16(bare.As16()), netip.AddrFrom16(bare.As16()).WithZone("x"))
		} else {
			forms = append(forms, bare.WithZone("x"))
		}
		for _, a := range forms {
			if got := g.Reason(netip.AddrPortFrom(a, at.Port()), Signaling); got != want {
				t.Fatalf("%s: %s, as %s: %s", at, want, a, got)
			}
		}
		if want != Fine {
			return
		}
		if bare.IsMulticast() || bare.IsUnspecified() || at.Port() == 0 || bare == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
			t.Fatalf("%s passes", at)
		}
		p, err := netip.ParsePrefix(public)
		single, err2 := netip.ParseAddr(strings.Trim(public, "[]"))
		inPublic := err == nil && (p.Contains(bare) || p.Contains(netip.AddrFrom16(bare.As16()))) || err2 == nil && single.Unmap().WithZone("") == bare
		if !bare.IsLoopback() && !bare.IsPrivate() && !bare.IsLinkLocalUnicast() && !inPublic {
			t.Fatalf("%s is public and passes with --allow-public %s", at, public)
		}
	})
}

func BenchmarkLink(b *testing.B) {
	g := New(ap("10.0.0.5:5060"))
	link := g.Link(nowhere{})
	hop, raw := transport.Hop{Proto: transport.UDP, Remote: ap("10.0.0.5:5060")}, []byte(options)
	b.ReportAllocs()
	for b.Loop() {
		link.Send(hop, raw, 1)
	}
}

func BenchmarkRefused(b *testing.B) {
	g := New(ap("10.0.0.5:5060"))
	link := g.Link(nowhere{})
	hop, raw := transport.Hop{Proto: transport.UDP, Remote: ap("10.0.0.6:5060")}, []byte(options)
	b.ReportAllocs()
	for b.Loop() {
		link.Send(hop, raw, 0)
	}
}

// nowhere is a Link that sends nothing.
type nowhere struct{}

func (nowhere) Now() int64                                   { return 1 }
func (nowhere) Send(transport.Hop, []byte, uint64)           {}
func (nowhere) SentBy(transport.Hop) (netip.AddrPort, error) { return netip.AddrPort{}, nil }
