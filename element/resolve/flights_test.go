package resolve

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"sipscope/element/transport"
)

// fan is a server of a hostile domain: each name has many NAPTR records, of which each leads to many SRV records with targets
// in another domain. What there is of those, rest says.
func fan(rest func(w dns.ResponseWriter, r *dns.Msg) bool) func(w dns.ResponseWriter, r *dns.Msg) bool {
	return func(w dns.ResponseWriter, r *dns.Msg) bool {
		q := r.Question[0]
		name := strings.ToLower(q.Name)
		if !strings.HasSuffix(name, ".evil.com.") {
			return rest(w, r)
		}
		m := new(dns.Msg)
		m.SetReply(r)
		m.Compress = true
		add := func(format string, args ...any) {
			if rr, err := dns.NewRR(fmt.Sprintf(format, args...)); err == nil {
				m.Answer = append(m.Answer, rr)
			}
		}
		if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
			m.Truncated = true
			_ = w.WriteMsg(m)
			return true
		}
		for i := range 32 {
			switch q.Qtype {
			case dns.TypeNAPTR:
				add(`%s 60 IN NAPTR 10 %d "s" "SIP+D2U" "" _sip._udp.s%d.%s`, name, i, i, name)
			case dns.TypeSRV:
				add("%s 60 IN SRV 1 1 5060 h%d.%svictim.net.", name, i, strings.TrimPrefix(name, "_sip._udp."))
			}
		}
		_ = w.WriteMsg(m)
		return true
	}
}

func silent(dns.ResponseWriter, *dns.Msg) bool { return true }

// TestHostileDomain holds that a domain whose names lead to servers that do not answer stops no other.
func TestHostileDomain(t *testing.T) {
	t.Parallel()
	z := serve(t, zoneText, fan(func(_ dns.ResponseWriter, r *dns.Msg) bool {
		return strings.HasSuffix(r.Question[0].Name, "victim.net.")
	}))
	l := newLoop()
	c := l.client(Config{Server: z.addr, Timeout: time.Minute})
	defer c.Close()
	for i := range 100 {
		c.Resolve(fmt.Appendf(nil, "sip:x@a%d.evil.com", i), func([]transport.Hop, error) {})
	}
	deadline := time.After(20 * time.Second)
	for c.flights.domains["evil.com"].running < domainFlies || c.flights.waiting == 0 || z.of("victim.net.") < domainFlies {
		select {
		case f := <-l.posts:
			f()
		case <-time.After(time.Millisecond): // the server counts what has started
		case <-deadline:
			t.Fatalf("%+v, %d questions", c.Stats(), z.of("victim.net."))
		}
	}
	if got, err := l.resolve(t, c, "sip:b.com"); err != nil || !strings.HasPrefix(got, "tcp:") {
		t.Errorf("%s, %v", got, err)
	}
	if n := c.flights.running; n != domainFlies {
		t.Errorf("%d questions of a hostile domain in flight, want %d", n, domainFlies)
	}
}

// TestQuestions holds how much one URI can cost.
func TestQuestions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		rest func(w dns.ResponseWriter, r *dns.Msg) bool
		most int
		err  error
	}{
		{"no target exists", func(dns.ResponseWriter, *dns.Msg) bool { return false }, maxRounds * maxAtOnce, ErrLoop},
		{"no target answers", silent, 1 + maxNAPTR + maxSlow*maxAtOnce, ErrTimeout},
		{"the first target answers, no other", func(w dns.ResponseWriter, r *dns.Msg) bool {
			q := r.Question[0]
			if q.Qtype != dns.TypeA || !strings.HasPrefix(q.Name, "h") {
				return true
			}
			m := new(dns.Msg)
			m.SetReply(r)
			rr, _ := dns.NewRR(q.Name + " 60 IN A 192.0.2.77")
			m.Answer = append(m.Answer, rr)
			_ = w.WriteMsg(m)
			return true
		}, 1 + maxNAPTR + maxAtOnce, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			z := serve(t, "", fan(tt.rest))
			l := newLoop()
			timeout := 10 * time.Second
			if tt.most < maxRounds*maxAtOnce {
				timeout = 100 * time.Millisecond
			}
			c := l.client(Config{Server: z.addr, Timeout: timeout})
			defer c.Close()
			got, err := l.resolve(t, c, "sip:a.evil.com")
			if !errors.Is(err, tt.err) || (err == nil) != (got != "") {
				t.Errorf("%s, %v, want %v", got, err, tt.err)
			}
			if n := int(c.Stats().Questions); n > tt.most || n < tt.most/2 {
				t.Errorf("%d questions, want %d at most", n, tt.most)
			}
			if len(c.flights.domains) != 0 || len(c.flights.byQuestion) != 0 || c.flights.waiting+c.flights.running != 0 {
				t.Errorf("left: %+v", c.flights)
			}
		})
	}
}

// TestTurns holds the order in which questions start.
func TestTurns(t *testing.T) {
	t.Parallel()
	var f flights
	of := func(host string) *resolution { return &resolution{target: Target{Host: host}} }
	q := func(format string, args ...any) question {
		return question{name: fmt.Sprintf(format, args...), kind: dns.TypeA}
	}
	for i := range domainWaits {
		if known, ok := f.join(of(fmt.Sprintf("x%d.evil.com", i)), q("e%d", i)); known || !ok {
			t.Fatalf("question %d: known %v, %v", i, known, ok)
		}
	}
	if known, ok := f.join(of("evil.com"), q("one more")); known || ok {
		t.Errorf("a domain has all the room: known %v, %v", known, ok)
	}
	if known, ok := f.join(of("y.evil.com"), q("e%d", domainWaits-1)); !known || !ok {
		t.Errorf("what somebody asks already: known %v, %v", known, ok)
	}
	// Another domain wants what the first one asks last.
	if known, ok := f.join(of("sip.good.com"), q("e%d", domainWaits-1)); !known || !ok {
		t.Errorf("a question of two domains: known %v, %v", known, ok)
	}
	if known, ok := f.join(of("good.com"), q("g")); known || !ok {
		t.Errorf("another domain: known %v, %v", known, ok)
	}
	for _, want := range []question{q("e0"), q("e%d", domainWaits-1), q("e1"), q("g"), q("e2")} {
		if got, ok := f.next(); got != want || !ok {
			t.Errorf("started %v, %v, want %v", got, ok, want)
		}
	}
	if n := len(f.land(q("e%d", domainWaits-1))); n != 3 {
		t.Errorf("%d waited, want 3", n)
	}
	if f.land(q("e9")) != nil || f.land(q("nobody's")) != nil {
		t.Error("a question ended that was not started")
	}
	started := 0
	for {
		if _, ok := f.next(); !ok {
			break
		}
		started++
	}
	if started != domainFlies-3 {
		t.Errorf("%d more started, want %d", started, domainFlies-3)
	}
	f.land(q("g"))
	for d := f.domains["evil.com"]; d != nil; d = f.domains["evil.com"] {
		for name := range f.byQuestion {
			f.land(name)
		}
		for _, ok := f.next(); ok; _, ok = f.next() {
			started++
		}
	}
	if started != domainWaits-4 || f.waiting+f.running+len(f.byQuestion)+len(f.domains)+len(f.turns) != 0 {
		t.Errorf("%d started, left %+v", started, f)
	}
	for host, want := range map[string]string{"a.b.com": "b.com", "b.com": "b.com", "com": "com", "": "", "x.a.b.com": "b.com"} {
		if got := domainOf(host); got != want {
			t.Errorf("domainOf(%q) = %q, want %q", host, got, want)
		}
	}
}

// TestKeyedDNS holds that a key decides alone, whatever the order of records in an answer, and whatever the cache has (RFC
// 3263 4.4).
func TestKeyedDNS(t *testing.T) {
	t.Parallel()
	var turn atomic.Int64
	z := serve(t, "", func(w dns.ResponseWriter, r *dns.Msg) bool {
		from := int(turn.Add(1))
		m := new(dns.Msg)
		m.SetReply(r)
		q := r.Question[0]
		for i := range 4 {
			n := (from + i) % 4
			var record string
			switch {
			case q.Qtype == dns.TypeSRV && strings.HasPrefix(q.Name, "_sip._udp."):
				record = fmt.Sprintf("%s 1 IN SRV 10 %d 506%d h%d.w.com.", q.Name, 10*(n%2), n, n)
			case q.Qtype == dns.TypeA:
				record = fmt.Sprintf("%s 1 IN A 192.0.2.%d", q.Name, n+1)
			default:
				continue
			}
			rr, _ := dns.NewRR(record)
			m.Answer = append(m.Answer, rr)
		}
		_ = w.WriteMsg(m)
		return true
	})
	firsts := map[string]int{}
	for key := range uint64(12) {
		want := ""
		l := newLoop()
		c := l.client(Config{Server: z.addr, Timeout: 10 * time.Second})
		for try := range 4 { // nothing known, all known, nothing known again
			var got string
			done := false
			c.ResolveKeyed([]byte("sip:w.com"), key, func(hops []transport.Hop, err error) {
				if done = true; err == nil {
					got = text(hops[:1])
				}
			})
			for !done {
				(<-l.posts)()
			}
			if want == "" {
				want = got
			}
			if got != want || got == "" {
				t.Errorf("key %d, try %d: %s, want %s", key, try, got, want)
			}
			l.now += int64(time.Second) * int64(try)
		}
		firsts[want]++
		c.Close()
	}
	if len(firsts) < 4 {
		t.Errorf("12 keys lead to %v only", firsts)
	}
}

// TestNoEDNS has servers that do not know EDNS (RFC 6891 7).
func TestNoEDNS(t *testing.T) {
	t.Parallel()
	for _, bare := range []bool{false, true} {
		z := serve(t, zoneText, func(w dns.ResponseWriter, r *dns.Msg) bool {
			if r.IsEdns0() == nil {
				return false
			}
			m := new(dns.Msg)
			m.SetRcode(r, dns.RcodeFormatError)
			if bare { // only the header
				m.Question = nil
			}
			_ = w.WriteMsg(m)
			return true
		})
		l := newLoop()
		c := l.client(Config{Server: z.addr, Timeout: 10 * time.Second})
		if got, err := l.resolve(t, c, "sip:plain.com:5060"); got != "udp:192.0.2.5:5060" || err != nil {
			t.Errorf("%s, %v", got, err)
		}
		if n := z.total(); n != 4 {
			t.Errorf("%d questions, want 2 with EDNS and 2 without", n)
		}
		c.Close()
	}
}

// of counts the questions about names with an ending.
func (z *zone) of(ending string) (n int) {
	z.mu.Lock()
	defer z.mu.Unlock()
	for name, k := range z.asked {
		if strings.HasSuffix(name, ending) {
			n += k
		}
	}
	return n
}
