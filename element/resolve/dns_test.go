package resolve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"sipscope/element/transport"
)

// zone is a DNS server for tests: names have the records that its text gives them.
type zone struct {
	t       *testing.T
	addr    string
	mu      sync.Mutex
	records map[string][]dns.RR
	asked   map[string]int
	special func(w dns.ResponseWriter, r *dns.Msg) bool
}

func serve(t *testing.T, records string, special func(w dns.ResponseWriter, r *dns.Msg) bool) *zone {
	t.Helper()
	z := &zone{t: t, records: map[string][]dns.RR{}, asked: map[string]int{}, special: special}
	parser := dns.NewZoneParser(strings.NewReader(records), ".", "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		name := strings.ToLower(rr.Header().Name)
		z.records[name] = append(z.records[name], rr)
	}
	if err := parser.Err(); err != nil {
		t.Fatal(err)
	}
	packets, stream := sockets(t)
	z.addr = packets.LocalAddr().String()
	for _, s := range []*dns.Server{{PacketConn: packets, Handler: z}, {Listener: stream, Handler: z}} {
		ended := make(chan struct{})
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		go func() {
			defer close(ended)
			_ = s.ActivateAndServe()
		}()
		<-started
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_ = s.ShutdownContext(ctx)
			<-ended
		})
	}
	return z
}

// sockets gives one for UDP and one for TCP, on the same port.
func sockets(t *testing.T) (packets net.PacketConn, stream net.Listener) {
	t.Helper()
	var err error
	for range 50 {
		if packets, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			break
		}
		if stream, err = net.Listen("tcp", packets.LocalAddr().String()); err == nil {
			return packets, stream
		}
		_ = packets.Close() // somebody has that port of TCP
	}
	t.Fatal(err)
	return nil, nil
}

func (z *zone) ServeDNS(w dns.ResponseWriter, r *dns.Msg) {
	q := r.Question[0]
	z.mu.Lock()
	z.asked[dns.TypeToString[q.Qtype]+" "+q.Name]++
	z.mu.Unlock()
	if z.special != nil && z.special(w, r) {
		return
	}
	m := new(dns.Msg)
	m.SetReply(r)
	name := strings.ToLower(q.Name)
	records, known := z.records[name]
	for _, rr := range records {
		if rr.Header().Rrtype == q.Qtype || rr.Header().Rrtype == dns.TypeCNAME {
			m.Answer = append(m.Answer, rr)
		}
	}
	if !known {
		m.Rcode = dns.RcodeNameError
	}
	if len(m.Answer) == 0 {
		soa, _ := dns.NewRR("zone. 60 IN SOA ns. me. 1 2 3 4 30")
		m.Ns = append(m.Ns, soa)
	}
	if _, udp := w.RemoteAddr().(*net.UDPAddr); udp && m.Len() > udpSize {
		m.Answer, m.Truncated = nil, true
	}
	_ = w.WriteMsg(m)
}

func (z *zone) total() (n int) {
	z.mu.Lock()
	defer z.mu.Unlock()
	for _, k := range z.asked {
		n += k
	}
	return n
}

// loop is the goroutine that a Client belongs to: the test's.
type loop struct {
	posts chan func()
	now   int64
}

func newLoop() *loop { return &loop{posts: make(chan func(), 10000), now: 1} }

func (l *loop) client(cfg Config) *Client {
	cfg.Post = func(f func()) { l.posts <- f }
	cfg.Now = func() int64 { return l.now }
	return New(cfg)
}

// resolve waits for the hops of a URI.
func (l *loop) resolve(t *testing.T, c *Client, uri string) (hops string, err error) {
	t.Helper()
	called := 0
	c.Resolve([]byte(uri), func(h []transport.Hop, e error) {
		called++
		hops, err = text(h), e
	})
	deadline := time.After(time.Minute)
	for called == 0 {
		select {
		case f := <-l.posts:
			f()
		case <-deadline:
			t.Fatalf("%s: no answer", uri)
		}
	}
	return hops, err
}

const zoneText = `
b.com.               60 IN NAPTR 10 10 "s" "SIP+D2T" "" _sip._tcp.b.com.
b.com.               60 IN NAPTR 10 20 "S" "SIP+D2U" "" _sip._udp.b.com.
_sip._tcp.b.com.     60 IN SRV 10 10 5060 proxy.b.com.
_sip._udp.b.com.     60 IN SRV 10 10 5062 alias.b.com.
proxy.b.com.         30 IN A 192.0.2.1
proxy.b.com.         60 IN AAAA 2001:db8::1
alias.b.com.         60 IN CNAME far.b.com.
far.b.com.           60 IN A 192.0.2.9
plain.com.           60 IN A 192.0.2.5
loop.com.            60 IN CNAME loop2.com.
loop2.com.           60 IN CNAME loop.com.
self.com.            60 IN CNAME self.com.
null.com.            60 IN SRV 0 0 0 .
_sip._udp.null.com.  60 IN SRV 0 0 0 .
`

func TestDNS(t *testing.T) {
	t.Parallel()
	z := serve(t, zoneText, nil)
	l := newLoop()
	c := l.client(Config{Server: z.addr})
	defer c.Close()
	for _, tt := range []struct {
		uri, want string
		err       error
	}{
		{"sip:b.com", "tcp:[2001:db8::1]:5060 tcp:192.0.2.1:5060 udp:192.0.2.9:5062", nil},
		{"sip:b.com;transport=udp", "udp:192.0.2.9:5062", nil},
		{"sip:plain.com", "udp:192.0.2.5:5060", nil},
		{"sips:PLAIN.com", "tls:192.0.2.5:5061/plain.com", nil},
		{"sip:nowhere.com", "", ErrNotFound},
		{"sip:loop.com", "", ErrLoop},
		{"sip:self.com:5060", "", ErrLoop},
		{"sip:null.com", "", ErrRefused},
	} {
		got, err := l.resolve(t, c, tt.uri)
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s:\n got %s, %v\nwant %s, %v", tt.uri, got, err, tt.want, tt.err)
		}
	}
	if s := c.Stats(); s.InFlight != 0 || s.Resolved != 4 || s.Failed != 4 {
		t.Errorf("stats %+v", s)
	}
}

func TestCache(t *testing.T) {
	t.Parallel()
	z := serve(t, zoneText, nil)
	l := newLoop()
	c := l.client(Config{Server: z.addr})
	defer c.Close()
	both := func() {
		t.Helper()
		if got, err := l.resolve(t, c, "sip:proxy.b.com:5060"); err != nil {
			t.Fatal(got, err)
		}
		if _, err := l.resolve(t, c, "sip:nowhere.com:5060"); !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
	}
	both()
	before := z.total()
	both()
	if after := z.total(); after != before || c.Stats().CacheHits < 4 {
		t.Errorf("%d questions for what is in the cache; %+v", after-before, c.Stats())
	}
	l.now += int64(29 * time.Second)
	both()
	if after := z.total(); after != before {
		t.Errorf("%d questions before the TTL was over", after-before)
	}
	l.now += int64(2 * time.Second) // proxy's A had 30 s, as the negative answers by their SOA
	both()
	if after := z.total(); after != before+3 {
		t.Errorf("%d questions after the TTL was over, want 3: A of one, A and AAAA of the other", after-before)
	}
}

func TestCoalesced(t *testing.T) {
	t.Parallel()
	z := serve(t, zoneText, nil)
	l := newLoop()
	c := l.client(Config{Server: z.addr})
	defer c.Close()
	done := 0
	for range 500 {
		c.Resolve([]byte("sip:plain.com:5060"), func(hops []transport.Hop, err error) {
			done++
			if text(hops) != "udp:192.0.2.5:5060" {
				t.Errorf("%s, %v", text(hops), err)
			}
		})
	}
	for done < 500 {
		(<-l.posts)()
	}
	if n := z.total(); n != 2 {
		t.Errorf("%d questions for 500 equal wishes, want 2", n)
	}
}

// TestHostile has servers that do not answer as they should.
func TestHostile(t *testing.T) {
	t.Parallel()
	reply := func(r *dns.Msg, change func(*dns.Msg)) *dns.Msg {
		m := new(dns.Msg)
		m.SetReply(r)
		change(m)
		return m
	}
	answer := func(m *dns.Msg, format string, n int) {
		for i := range n {
			rr, err := dns.NewRR(fmt.Sprintf(format, m.Question[0].Name, i%250+1, i/250))
			if err == nil {
				m.Answer = append(m.Answer, rr)
			}
		}
	}
	tests := []struct {
		name    string
		special func(w dns.ResponseWriter, r *dns.Msg) bool
		hops    int
		err     error // ErrTimeout: soon
	}{
		{"silent", func(dns.ResponseWriter, *dns.Msg) bool { return true }, 0, ErrTimeout},
		{"failing", func(w dns.ResponseWriter, r *dns.Msg) bool {
			_ = w.WriteMsg(reply(r, func(m *dns.Msg) { m.Rcode = dns.RcodeServerFailure }))
			return true
		}, 0, ErrServer},
		{"garbage", func(w dns.ResponseWriter, _ *dns.Msg) bool {
			for range 40 {
				_, _ = w.Write([]byte("garbage that is no DNS message"))
			}
			return true
		}, 0, ErrServer},
		{"empty datagrams", func(w dns.ResponseWriter, _ *dns.Msg) bool {
			_, _ = w.Write(nil)
			return true
		}, 0, ErrTimeout},
		{"forged id, then the truth", func(w dns.ResponseWriter, r *dns.Msg) bool {
			forged := reply(r, func(m *dns.Msg) { m.Id++; answer(m, "%s 60 IN A 203.0.113.%d ; %d", 1) })
			_ = w.WriteMsg(forged)
			return false
		}, 1, nil},
		{"other question, then the truth", func(w dns.ResponseWriter, r *dns.Msg) bool {
			other := reply(r, func(m *dns.Msg) { m.Question[0].Name = "evil.com."; answer(m, "%s 60 IN A 203.0.113.%d ; %d", 1) })
			_ = w.WriteMsg(other)
			return false
		}, 1, nil},
		{"records of another name", func(w dns.ResponseWriter, r *dns.Msg) bool {
			_ = w.WriteMsg(reply(r, func(m *dns.Msg) {
				rr, _ := dns.NewRR("evil.com. 60 IN A 203.0.113.1")
				m.Answer = append(m.Answer, rr)
			}))
			return true
		}, 0, ErrNotFound},
		{"thousands of addresses over TCP", func(w dns.ResponseWriter, r *dns.Msg) bool {
			if r.Question[0].Qtype != dns.TypeA {
				return false
			}
			_ = w.WriteMsg(reply(r, func(m *dns.Msg) {
				if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
					m.Truncated = true
					return
				}
				m.Compress = true
				answer(m, "%s 60 IN A 192.0.%[3]d.%[2]d", 3000)
			}))
			return true
		}, maxHops, nil},
		{"aliases without end", func(w dns.ResponseWriter, r *dns.Msg) bool {
			_ = w.WriteMsg(reply(r, func(m *dns.Msg) {
				rr, _ := dns.NewRR(m.Question[0].Name + " 60 IN CNAME x" + m.Question[0].Name)
				m.Answer = append(m.Answer, rr)
			}))
			return true
		}, 0, ErrLoop},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			z := serve(t, zoneText, tt.special)
			l := newLoop()
			timeout := 10 * time.Second
			if errors.Is(tt.err, ErrTimeout) {
				timeout = 100 * time.Millisecond
			}
			c := l.client(Config{Server: z.addr, Timeout: timeout})
			defer c.Close()
			got, err := l.resolve(t, c, "sip:plain.com:5060")
			n := 0
			if got != "" {
				n = strings.Count(got, " ") + 1
			}
			if n != tt.hops || !errors.Is(err, tt.err) || strings.Contains(got, "203.0.113.") {
				t.Errorf("%d hops %s, %v; want %d, %v", n, got, err, tt.hops, tt.err)
			}
		})
	}
}

// TestFailingNAPTR: servers exist that fail on what they do not know.
func TestFailingNAPTR(t *testing.T) {
	t.Parallel()
	z := serve(t, zoneText, func(w dns.ResponseWriter, r *dns.Msg) bool {
		if k := r.Question[0].Qtype; k != dns.TypeNAPTR && k != dns.TypeSRV {
			return false
		}
		m := new(dns.Msg)
		m.SetRcode(r, dns.RcodeNotImplemented)
		_ = w.WriteMsg(m)
		return true
	})
	l := newLoop()
	c := l.client(Config{Server: z.addr})
	defer c.Close()
	if got, err := l.resolve(t, c, "sip:plain.com"); got != "udp:192.0.2.5:5060" || err != nil {
		t.Errorf("%s, %v", got, err)
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	z := serve(t, "", func(dns.ResponseWriter, *dns.Msg) bool { return true })
	l := newLoop()
	c := l.client(Config{Server: z.addr, Timeout: time.Minute})
	closed := 0
	for i := range 200 { // more than may fly
		c.Resolve(fmt.Appendf(nil, "sip:host%d.com", i), func(_ []transport.Hop, err error) {
			if errors.Is(err, ErrClosed) {
				closed++
			}
		})
	}
	c.Close()
	c.Close()
	if closed != 200 {
		t.Errorf("%d of 200 were told", closed)
	}
	for range maxFlights { // all goroutines end at once
		select {
		case f := <-l.posts:
			f()
		case <-time.After(5 * time.Second):
			t.Fatal("a question outlives Close")
		}
	}
	c.Resolve([]byte("sip:b.com"), func(_ []transport.Hop, err error) {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestBusy(t *testing.T) {
	t.Parallel()
	z := serve(t, "", func(dns.ResponseWriter, *dns.Msg) bool { return true })
	l := newLoop()
	c := l.client(Config{Server: z.addr, Timeout: time.Minute, Families: IPv4Only})
	busy := 0
	const wishes = maxFlights + maxWaiting + 10
	for i := range wishes {
		c.Resolve(fmt.Appendf(nil, "sip:host%d.com:5060", i), func(_ []transport.Hop, err error) {
			if errors.Is(err, ErrBusy) {
				busy++
			}
		})
	}
	if busy != 10 {
		t.Errorf("%d of %d were turned away, want 10", busy, wishes)
	}
	c.Close()
}

func TestServers(t *testing.T) {
	t.Parallel()
	post := func(func()) {}
	for _, tt := range []struct {
		server string
		want   []string
	}{
		{"192.0.2.53", []string{"192.0.2.53:53"}},
		{"192.0.2.53:5353", []string{"192.0.2.53:5353"}},
		{"2001:db8::53", []string{"[2001:db8::53]:53"}},
		{"[2001:db8::53]", []string{"[2001:db8::53]:53"}},
		{"[2001:db8::53]:5353", []string{"[2001:db8::53]:5353"}},
		{"dns.example.com", []string{"dns.example.com:53"}},
		{"dns.example.com:54", []string{"dns.example.com:54"}},
		{"none", []string{}},
	} {
		if diff := cmp.Diff(tt.want, servers(&Config{Server: tt.server, Post: post})); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.server, diff)
		}
	}
	if got := servers(&Config{Server: "192.0.2.53"}); len(got) != 0 {
		t.Errorf("without Post: %v", got)
	}
}

// FuzzRead reads DNS messages: no panic, no more records than allowed, no endless aliases.
func FuzzRead(f *testing.F) {
	m := new(dns.Msg)
	m.SetQuestion("b.com.", dns.TypeNAPTR)
	parser := dns.NewZoneParser(strings.NewReader(zoneText), ".", "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		m.Answer = append(m.Answer, rr)
	}
	packed, err := m.Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed, "b.com")
	f.Add(packed, "loop.com")
	f.Fuzz(func(t *testing.T, b []byte, name string) {
		var got dns.Msg
		if got.Unpack(b) != nil {
			return
		}
		for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeSRV, dns.TypeNAPTR} {
			a, _, keep, readErr := read(&got, normal(name), kind)
			if a.size() > maxRecords || keep < 0 || keep > maxKeep {
				t.Fatalf("%d records kept for %s", a.size(), keep)
			}
			if readErr != nil {
				continue
			}
			p := plan{
				target: Target{Host: "b.com"}, transports: []transport.Proto{transport.UDP, transport.TCP, transport.TLS},
				key: 1, keyed: true, ask: func(question) (answer, bool) { return a, true },
			}
			hops, makeErr := p.make()
			if (len(hops) == 0) == (makeErr == nil) || len(hops) > maxHops {
				t.Fatalf("%d hops, %v", len(hops), makeErr)
			}
		}
	})
}
