package hostile

import (
	"fmt"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/registrar"
	"sipscope/element/transport"
	"sipscope/element/txn"
	"sipscope/element/ua"
)

// heap is what is in use after a collection, in bytes.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// sink is a link that keeps nothing, and counts what an element sends by status.
type sink struct {
	now   int64
	own   netip.AddrPort
	sent  map[int]int // responses by status; 0: requests
	retry int         // of them those with Retry-After
	last  string
	msg   sip.Message
}

func (s *sink) Now() int64                                   { return s.now }
func (s *sink) SentBy(transport.Hop) (netip.AddrPort, error) { return s.own, nil }
func (s *sink) Send(_ transport.Hop, raw []byte, _ uint64) {
	if sip.Parse(raw, &s.msg) != nil {
		return
	}
	s.last = string(raw)
	if s.msg.Request {
		s.sent[0]++
		return
	}
	s.sent[int(s.msg.Status)]++
	if _, ok := s.msg.Value(sip.HeaderRetryAfter); ok {
		s.retry++
	}
}

// bench is one element on a sink.
type bench struct {
	*element
	*sink

	in sip.Message
}

func newBench(tb testing.TB, kind string, lim limits) *bench {
	tb.Helper()
	own := netip.MustParseAddrPort(proxyAddr)
	s := &sink{now: start, own: own, sent: map[int]int{}}
	e := build(tb, kind, s, []transport.Hop{{Proto: transport.UDP, Local: own}, {Proto: transport.TCP, Local: own}}, bobAddr, lim)
	return &bench{element: e, sink: s}
}

// give gives the element a message from a peer, unless it cannot be parsed.
func (b *bench) give(from netip.AddrPort, raw []byte) {
	if sip.Parse(raw, &b.in) != nil {
		return
	}
	b.handler.Receive(&transport.Received{Msg: &b.in, Hop: transport.Hop{Proto: transport.UDP, Local: b.own, Remote: from}})
}

// pass lets time go by, timer after timer.
func (b *bench) pass(d time.Duration) {
	for end := b.now + int64(d); ; {
		next := b.handler.Wake(b.now)
		if next > end {
			b.now = end
			return
		}
		b.now = max(next, b.now+1)
	}
}

// offer is a session description.
const offer = "v=0\r\no=a 1 1 IN IP4 10.9.9.9\r\ns=-\r\nc=IN IP4 10.9.9.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"

// good is a call or registration of somebody decent, which has to be served in between. It gives the final status.
func (b *bench) good(tb testing.TB, name string) int {
	tb.Helper()
	from := netip.MustParseAddrPort("10.9.9.9:5060")
	q := req{method: "INVITE", via: from.String(), branch: "good" + name, more: []string{"Content-Type: application/sdp"}, body: offer}
	if b.kind == "registrar" {
		q.method, q.uri = "REGISTER", "sip:b.com"
	}
	b.last = ""
	b.give(from, []byte(q.text()))
	b.handler.Wake(b.now)
	b.pass(time.Millisecond)
	if b.msg.Request || b.last == "" {
		return 0 // forwarded: the proxy's 100 went before it
	}
	return int(b.msg.Status)
}

// TestInviteFlood has 100,000 INVITEs come within a second, each from another place, none with an ACK: every kind of element
// keeps as many as it may, refuses the others with 503 and Retry-After (a user agent that has its calls: 486), says so in its
// figures, serves again as soon as there is room, and keeps nothing in the end.
func TestInviteFlood(t *testing.T) { //nolint:paralleltest // it measures the heap
	single(t)
	const n = 100_000
	want := map[string]func(b *bench) bool{
		"user agent": func(b *bench) bool {
			st := b.agent.Stats()
			return st.Calls == 1000 && st.Limited == 9000 && b.sent[486] >= 9000 && b.sent[503] == n-10_000
		},
		"proxy": func(b *bench) bool {
			st := b.proxy.Stats()
			return st.Contexts <= 5000 && st.Limited >= 5000 && b.sent[503] >= n-5000 && b.layer.Stats().Refused == n-10_000 && b.sent[0] >= 5000
		},
		"stateless": func(b *bench) bool { return b.sent[0] == n },
		"registrar": func(b *bench) bool { return b.sent[405] >= 10_000 && b.sent[503] == n-10_000 },
		"redirect":  func(b *bench) bool { return b.sent[302] >= 10_000 && b.sent[503] == n-10_000 },
	}
	for _, kind := range kinds {
		b := newBench(t, kind, limits{txns: 10_000, calls: 1000, contexts: 5000})
		before := heap()
		begun := time.Now()
		for i := range n {
			from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), uint16(5060+i>>16))
			b.give(from, []byte(req{method: "INVITE", via: from.String(), branch: fmt.Sprintf("f%d", i), fromTag: strconv.Itoa(i)}.text()))
			if i%100 == 99 {
				b.now += ms
				b.handler.Wake(b.now)
			}
		}
		took, grown := time.Since(begun), heap()-before
		t.Logf("%-10s %d INVITEs in %v, heap +%.1f MB, sent %v, %d with Retry-After", kind, n, took.Round(ms2), float64(grown)/1e6, b.sent, b.retry)
		if !want[kind](b) || b.retry != b.sent[503] {
			t.Errorf("%s: sent %v, %d with Retry-After, %+v", kind, b.sent, b.retry, b.figures())
		}
		if grown > 48<<20 {
			t.Errorf("%s: the heap grew by %d bytes", kind, grown)
		}
		if kind != "stateless" && b.layer.Stats().Refused == 0 {
			t.Errorf("%s: no figure says that requests were refused", kind)
		}
		b.pass(5 * time.Minute)
		if code := b.good(t, "after"); code != map[string]int{"user agent": 200, "registrar": 200, "redirect": 302}[kind] {
			t.Errorf("%s: a good request afterwards gets %d", kind, code)
		}
		b.pass(10 * time.Minute)
		if left := b.left(); left != "" {
			t.Errorf("%s keeps %s", kind, left)
		}
		if grown = heap() - before; grown > 16<<20 {
			t.Errorf("%s: %d bytes are still there", kind, grown)
		}
		runtime.KeepAlive(b)
	}
}

const ms2 = time.Millisecond

// figures are what an element counts.
func (e *element) figures() string {
	var s []string
	if e.layer != nil {
		s = append(s, fmt.Sprintf("%+v", e.layer.Stats()))
	}
	switch {
	case e.agent != nil:
		s = append(s, fmt.Sprintf("%+v", e.agent.Stats()))
	case e.proxy != nil:
		s = append(s, fmt.Sprintf("%+v", e.proxy.Stats()))
	}
	return strings.Join(s, "\n")
}

// TestServedDuringFlood: while 503s go out by the thousand, requests of transactions that exist are served: the good call that
// began before can be ended.
func TestServedDuringFlood(t *testing.T) {
	t.Parallel()
	b := newBench(t, "user agent", limits{txns: 100, calls: 50})
	from := netip.MustParseAddrPort("10.9.9.9:5060")
	if code := b.good(t, "call"); code != 200 {
		t.Fatal(code)
	}
	tag := string(b.msg.To.Tag.Of(b.msg.Raw))
	b.give(from, []byte(req{method: "ACK", via: from.String(), branch: "ack", callID: "goodcall", toTag: tag}.text()))
	for i := range 1000 {
		b.give(netip.MustParseAddrPort(aliceAddr), []byte(req{method: "INVITE", branch: fmt.Sprint("x", i), fromTag: strconv.Itoa(i)}.text()))
	}
	b.pass(time.Minute)
	before := b.agent.Stats().Calls
	b.give(from, []byte(req{method: "BYE", via: from.String(), branch: "bye", callID: "goodcall", toTag: tag, cseq: 2}.text()))
	if b.msg.Status != 200 || b.agent.Stats().Calls != before-1 || b.agent.Stats().Ended[ua.CauseBye] != 1 {
		t.Errorf("the BYE gets %d; %+v", b.msg.Status, b.agent.Stats())
	}
}

// TestOtherFloods: BYEs and CANCELs for nothing, SUBSCRIBEs, OPTIONS, ACKs, and garbage of every method, 10,000 each.
func TestOtherFloods(t *testing.T) { //nolint:paralleltest // it measures the heap
	single(t)
	const n = 10_000
	for _, method := range []string{"BYE", "CANCEL", "ACK", "OPTIONS", "SUBSCRIBE", "REFER", "NOTIFY", "PRACK", "MESSAGE", "PUBLISH", "FOO", "REGISTER"} {
		for _, kind := range kinds {
			b := newBench(t, kind, limits{txns: 2000, calls: 500, contexts: 1000})
			before := heap()
			for i := range n {
				b.give(netip.MustParseAddrPort(aliceAddr), []byte(req{
					method: method, branch: fmt.Sprint("f", i), toTag: map[bool]string{true: "x"}[method == "BYE"], fromTag: strconv.Itoa(i), from: fmt.Sprintf("sip:u%d@b.com", i), more: []string{"Event: presence", "Refer-To: <sip:x@y>"},
				}.text()))
				if i%100 == 99 {
					b.now += ms
					b.handler.Wake(b.now)
				}
			}
			if grown := heap() - before; grown > 24<<20 {
				t.Errorf("%s, %s: the heap grew by %d bytes", method, kind, grown)
			}
			if method == "ACK" && len(b.sent) > 0 && b.sent[0] == 0 {
				t.Errorf("%s answers an ACK: %v", kind, b.sent)
			}
			if open := b.open(); open > 2000+4*2000 {
				t.Errorf("%s, %s: %d transactions", method, kind, open)
			}
			b.pass(2 * time.Hour)
			if left := b.left(); left != "" {
				t.Errorf("%s, %s keeps %s", method, kind, left)
			}
			if code := b.good(t, "after"); code != map[string]int{"user agent": 200, "registrar": 200, "redirect": 302}[kind] {
				t.Errorf("%s, %s: a good request afterwards gets %d", method, kind, code)
			}
		}
	}
}

// TestMillionRegistrations binds a million addresses, through transaction layer and registrar: all are there, in the memory
// that StoreConfig promises, then the limit says 503, and an hour later all is forgotten.
func TestMillionRegistrations(t *testing.T) { //nolint:paralleltest // it measures the heap
	single(t)
	n := 1_000_000
	if testing.Short() {
		n = 50_000
	}
	own := netip.MustParseAddrPort(proxyAddr)
	link := &sink{now: start, own: own, sent: map[int]int{}}
	store := registrar.NewStore(registrar.StoreConfig{MaxBindings: n, MaxAORs: n})
	reg := registrar.New(registrar.Config{Store: store, Rand: rng(1)})
	layer := txn.New(link, reg, txn.Config{Rand: rng(2)})
	reg.Attach(layer)
	b := &bench{element: &element{kind: "registrar", registrar: reg, store: store, layer: layer, handler: registrar.Handler(layer, store)}, sink: link}
	before := heap()
	begun := time.Now()
	var buf []byte
	text := func(i int) []byte {
		buf = fmt.Appendf(buf[:0], "REGISTER sip:b.com SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKr%d\r\nMax-Forwards: 70\r\n"+
			"From: <sip:user%[2]d@b.com>;tag=1\r\nTo: <sip:user%[2]d@b.com>\r\nCall-ID: r%[2]d\r\nCSeq: 1 REGISTER\r\n"+
			"Contact: <sip:user@%[1]s>;expires=3600\r\nContent-Length: 0\r\n\r\n", aliceAddr, i)
		return buf
	}
	from := netip.MustParseAddrPort(aliceAddr)
	for i := range n {
		b.give(from, text(i))
		if i%1000 == 999 {
			b.now += 100 * ms // 10,000 a second
			b.handler.Wake(b.now)
		}
	}
	took := time.Since(begun)
	b.pass(time.Minute)
	grown := heap() - before
	t.Logf("%d registrations in %v, %.0f bytes each", n, took.Round(ms2), float64(grown)/float64(n))
	if st := store.Stats(); st.Bindings != n || b.sent[200] != n {
		t.Errorf("%+v, sent %v", st, b.sent)
	}
	if grown > int64(n)*400 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	b.give(from, text(n))
	if b.msg.Status != 503 || b.retry != 1 {
		t.Errorf("one too many gets %d, Retry-After %d", b.msg.Status, b.retry)
	}
	b.pass(2 * time.Hour)
	if st := store.Stats(); st.Bindings != 0 || b.open() != 0 {
		t.Errorf("%+v, %d transactions", st, b.open())
	}
	runtime.KeepAlive(b)
}
