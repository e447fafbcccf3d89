package proxy

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"

	"sipscope/decode/sip"
	"sipscope/element/transport"
	"sipscope/element/txn"
)

// benchLink is a link that keeps the last message to each side.
type benchLink struct {
	now        int64
	alice, bob netip.AddrPort
	toAlice    []byte
	toBob      []byte
	sent       int
}

func (l *benchLink) Now() int64 { return l.now }
func (l *benchLink) Send(hop transport.Hop, raw []byte, _ uint64) {
	l.sent++
	if hop.Remote == l.alice {
		l.toAlice = append(l.toAlice[:0], raw...)
		return
	}
	l.toBob = append(l.toBob[:0], raw...)
}

func (l *benchLink) SentBy(transport.Hop) (netip.AddrPort, error) {
	return netip.MustParseAddrPort(proxyAddr), nil
}

// benchCall plays calls as SIPp does: INVITE 100 180 200 ACK BYE 200, with Record-Route.
type benchCall struct {
	link    *benchLink
	handler transport.Handler
	m       sip.Message
	r       transport.Received
	a, b    transport.Hop
	text    []byte
	body    []byte
}

func newBenchCall(tb testing.TB, stateless bool) *benchCall {
	tb.Helper()
	own := netip.MustParseAddrPort(proxyAddr)
	c := &benchCall{link: &benchLink{
		now: start, alice: netip.MustParseAddrPort(aliceAddr), bob: netip.MustParseAddrPort(bobAddr),
	}}
	route, err := ParseRoute("*=sip:10.0.2.1:5060")
	if err != nil {
		tb.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	cfg := Config{
		Listeners: []transport.Hop{{Proto: transport.UDP, Local: own}}, Routes: []Route{route}, RecordRoute: true, Rand: rng,
	}
	c.a = transport.Hop{Proto: transport.UDP, Local: own, Remote: c.link.alice}
	c.b = transport.Hop{Proto: transport.UDP, Local: own, Remote: c.link.bob}
	c.body = []byte("v=0\r\no=user1 53655765 2353687637 IN IP4 10.0.1.1\r\ns=-\r\nc=IN IP4 10.0.1.1\r\nt=0 0\r\n" +
		"m=audio 6000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n")
	if stateless {
		var s *Stateless
		if s, err = NewStateless(cfg); err != nil {
			tb.Fatal(err)
		}
		s.Attach(c.link)
		c.handler = s
		return c
	}
	p, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	layer := txn.New(c.link, p, txn.Config{Merged: true, StrayCancel: true, Rand: rng})
	p.Attach(layer)
	c.handler = p.Handler()
	return c
}

func (c *benchCall) receive(from transport.Hop, raw []byte) {
	c.text = append(c.text[:0], raw...)
	if sip.Parse(c.text, &c.m) != nil {
		panic("no message")
	}
	c.r = transport.Received{Msg: &c.m, Hop: from}
	c.handler.Receive(&c.r)
}

var benchBuf []byte

// reply answers what bob was sent last.
func (c *benchCall) reply(from transport.Hop, request []byte, line string, more string, body []byte) {
	var m sip.Message
	_ = sip.Parse(request, &m)
	b := append(benchBuf[:0], line...)
	for i := range m.Headers {
		h := &m.Headers[i]
		switch h.ID {
		case sip.HeaderVia, sip.HeaderFrom, sip.HeaderCallID, sip.HeaderCSeq, sip.HeaderRecordRoute, sip.HeaderTo:
			b = append(append(b, h.Name.Of(m.Raw)...), ": "...)
			b = append(b, h.Value.Of(m.Raw)...)
			if h.ID == sip.HeaderTo && m.To.Tag.Empty() {
				b = append(b, ";tag=b1"...)
			}
			b = append(b, "\r\n"...)
		default:
		}
	}
	b = append(b, more...)
	b = fmt.Appendf(b, "Content-Length: %d\r\n\r\n", len(body))
	b = append(b, body...)
	benchBuf = b
	c.receive(from, b)
}

const (
	benchHead = "Via: SIP/2.0/UDP 10.0.1.1:5060;branch=z9hG4bK-%d-%d\r\nFrom: sipp <sip:sipp@10.0.1.1:5060>;tag=%d\r\n" +
		"To: service <sip:service@10.0.0.1:5060>%s\r\nCall-ID: %d-1@10.0.1.1\r\nCSeq: %d %s\r\n" +
		"Contact: sip:sipp@10.0.1.1:5060\r\nMax-Forwards: 70\r\nSubject: Performance Test\r\n"
)

// one plays call n.
func (c *benchCall) one(n int) {
	inv := fmt.Appendf(nil, "INVITE sip:service@10.0.0.1:5060 SIP/2.0\r\n"+benchHead+"Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n",
		n, 0, n, "", n, 1, "INVITE", len(c.body))
	c.receive(c.a, append(inv, c.body...))
	invite := append([]byte(nil), c.link.toBob...)
	c.reply(c.b, invite, "SIP/2.0 180 Ringing\r\n", "Contact: <sip:10.0.2.1:5060>\r\n", nil)
	c.reply(c.b, invite, "SIP/2.0 200 OK\r\n", "Contact: <sip:10.0.2.1:5060>\r\nContent-Type: application/sdp\r\n", c.body)
	route := "Route: <sip:10.0.0.1:5060;lr>\r\nContent-Length: 0\r\n\r\n"
	c.receive(c.a, fmt.Appendf(nil, "ACK sip:10.0.2.1:5060 SIP/2.0\r\n"+benchHead+route, n, 1, n, ";tag=b1", n, 1, "ACK"))
	c.receive(c.a, fmt.Appendf(nil, "BYE sip:10.0.2.1:5060 SIP/2.0\r\n"+benchHead+route, n, 2, n, ";tag=b1", n, 2, "BYE"))
	c.reply(c.b, c.link.toBob, "SIP/2.0 200 OK\r\n", "", nil)
	c.link.now += 100_000 // 10,000 calls/s
	c.handler.Wake(c.link.now)
}

// BenchmarkCall is a whole call through the proxy: 6 messages in, 7 out (a stateless one sends no 100), the making and
// parsing of what the peers send included, with the transactions of 32 s behind it at 10,000 calls/s.
func BenchmarkCall(b *testing.B) {
	for _, stateless := range []bool{false, true} {
		name := "stateful"
		if stateless {
			name = "stateless"
		}
		b.Run(name, func(b *testing.B) {
			c := newBenchCall(b, stateless)
			n := 0
			for ; n < 1000; n++ {
				c.one(n)
			}
			b.ReportAllocs()
			sent := c.link.sent
			for b.Loop() {
				c.one(n)
				n++
			}
			if per := (c.link.sent - sent) / max(1, n-1000); per < 6 {
				b.Fatalf("%d messages a call", per)
			}
		})
	}
}

// BenchmarkPeers is what of BenchmarkCall the peers take: the making and the parsing of their messages.
func BenchmarkPeers(b *testing.B) {
	c := newBenchCall(b, false)
	c.one(0)
	c.handler = idle{}
	b.ReportAllocs()
	n := 1
	for b.Loop() {
		c.one(n)
		n++
	}
}

type idle struct{}

func (idle) Receive(*transport.Received)         {}
func (idle) Failed(transport.Hop, uint64, error) {}
func (idle) Wake(int64) int64                    { return 0 }

// TestAllocs bounds what a forwarded message allocates: nothing once the memory of the transactions is there.
func TestAllocs(t *testing.T) { //nolint:paralleltest // it counts the allocations of the process
	c := newBenchCall(t, false)
	n := 0
	for ; n < 5000; n++ {
		c.one(n)
	}
	peers := testing.AllocsPerRun(500, func() {
		h := c.handler
		c.handler = idle{}
		c.one(n)
		c.handler = h
	})
	all := testing.AllocsPerRun(2000, func() { c.one(n); n++ })
	if got := all - peers; got > 4 {
		t.Errorf("%.1f allocations for the 6 messages of a call, want at most 4", got)
	}
}

// TestMemory bounds what a proxied call leaves behind until its transactions are gone, four transactions in all.
func TestMemory(t *testing.T) { //nolint:paralleltest // it measures the memory of the process
	c := newBenchCall(t, false)
	const calls = 50_000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for n := range calls {
		c.one(n)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	per := float64(after.HeapAlloc-before.HeapAlloc) / calls / 4
	t.Logf("%.0f bytes a transaction", per)
	if per > 300 {
		t.Errorf("%.0f bytes a finished transaction with its share of the context, want at most 300", per)
	}
	runtime.KeepAlive(c)
}
