package hostile

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sipscope/element/transport"
	"sipscope/element/txn"
	"sipscope/element/ua"
)

// networks are what the ways between two elements do, by the rules of --fault of the sender, so that each way has it once.
var networks = map[string]string{
	"loss 10 %":   "drop-out=10%",
	"loss 30 %":   "drop-out=30%",
	"duplication": "duplicate-out=40%",
	"reordering":  "reorder-out=30%,delay-out=1ms-300ms@20%",
	"everything":  "drop-out=10%,duplicate-out=20%,reorder-out=20%,delay-out=1ms-600ms@20%",
}

// ends are what both sides of one call saw, by Call-ID.
type ends struct {
	a, b *end
}

type end struct {
	cause  ua.Cause
	status int
	remote bool
	talked bool // an answer and its ACK were exchanged, as far as this side knows
	times  int  // how often it was told to have ended
}

func (e *end) String() string {
	if e == nil {
		return "never heard of it"
	}
	return fmt.Sprintf("%v %d remote %v talked %v", e.cause, e.status, e.remote, e.talked)
}

// watchEnd notes how calls end.
func watchEnd(seen map[string]*ends, side func(*ends) **end) func(ua.Event) {
	return func(e ua.Event) {
		if e.Kind != ua.EventEnded {
			return
		}
		p := seen[e.Call.CallID()]
		if p == nil {
			p = &ends{}
			seen[e.Call.CallID()] = p
		}
		at := side(p)
		if *at == nil {
			*at = &end{}
		}
		_, _, _, confirmed, _ := e.Call.Times()
		(*at).cause, (*at).status, (*at).remote, (*at).talked = e.Cause, e.Status, e.Remote, confirmed != 0
		(*at).times++
	}
}

// agree says how two sides see a call differently; "" when they agree: both talked and ended, or both did not talk.
func (p *ends) agree() string {
	both := fmt.Sprintf("alice: %v; bob: %v", p.a, p.b)
	switch {
	case p.a == nil:
		return "alice's never ended: " + both
	case p.a.times != 1 || p.b != nil && p.b.times != 1:
		return "ended more than once: " + both
	case p.b == nil && (p.a.talked || p.a.cause == ua.CauseRejected && p.a.status != 408 && p.a.status != 480):
		return "alice talked to nobody: " + both
	case p.b == nil:
		return ""
	case p.a.talked != p.b.talked && p.b.cause != ua.CauseNoAck && p.b.cause != ua.CauseBye:
		return "one talked: " + both
	case p.a.cause == ua.CauseRejected && p.b.cause == ua.CauseRejected && p.a.status != p.b.status && p.a.status != 408: // a proxy's
		return "another refusal: " + both
	}
	return ""
}

// lossyWorld is alice and bob, with something between them.
type lossyWorld struct {
	*sim
	alice, bob *ua.Agent
	between    []*element
	seen       map[string]*ends
	faults     string
}

// topologies are what may stand between alice and bob.
var topologies = map[string][]string{
	"direct":               nil,
	"stateful":             {"proxy"},
	"record-routing":       {"proxy rr"},
	"stateless":            {"stateless"},
	"two record-routing":   {"proxy rr", "proxy rr"},
	"stateless, stateful":  {"stateless", "proxy rr"},
	"stateful, stateless ": {"proxy", "stateless"},
}

func newLossy(t *testing.T, seed uint64, between []string, faults string) *lossyWorld {
	t.Helper()
	w := &lossyWorld{sim: newSim(t, seed), seen: map[string]*ends{}, faults: faults}
	r := rng(seed)
	w.alice = w.user(aliceAddr, "<sip:alice@a.com>", faults, func(c *ua.Config) {
		c.SessionSec = 90
		c.Events = watchEnd(w.seen, func(p *ends) **end { return &p.a })
		for i := range between {
			c.Route = append(c.Route, "<sip:"+middle(i)+";lr>")
		}
	})
	w.bob = w.user(bobAddr, "<sip:bob@b.com>", faults, func(c *ua.Config) {
		c.Events = watchEnd(w.seen, func(p *ends) **end { return &p.b })
		c.Incoming = func(*ua.Call) *ua.Answer {
			a := &ua.Answer{Delay: time.Duration(r.IntN(3000)) * time.Millisecond, Reliable: r.IntN(3) == 0}
			switch r.IntN(6) {
			case 0:
				a.Code = 486
			case 1:
				a.Talk = time.Duration(1+r.IntN(60)) * time.Second
			case 2:
				a.Delay = -1 // it rings until alice gives up
			default:
			}
			return a
		}
	})
	for i, kind := range between {
		w.between = append(w.between, w.middle(i, kind))
	}
	return w
}

func middle(i int) string { return fmt.Sprintf("10.0.0.%d:5060", i+1) }

// middle puts a proxy between the two.
func (w *lossyWorld) middle(i int, kind string) *element {
	w.t.Helper()
	h := w.host(middle(i))
	link, wrap := faulty(w.t, h, w.faults)
	base, rr, _ := strings.Cut(kind, " ")
	e := buildProxy(w.t, base, link, h.Listeners(), rr == "rr", txn.Config{})
	h.Attach(wrap(e.handler))
	return e
}

// single skips a test in virtual time under the race detector: it is one goroutine.
func single(t *testing.T) {
	t.Helper()
	if raceDetector {
		t.Skip("one goroutine: nothing for the race detector to find")
	}
}

// TestCallsInBadNetworks makes hundreds of calls over each bad network and through each kind of proxies: answered and ended by
// either side, refused, given up, ringing for ever. Each ends once at both ends, both agree on whether they talked, and
// no call, dialog or transaction is left anywhere.
func TestCallsInBadNetworks(t *testing.T) {
	single(t)
	t.Parallel()
	calls := 300
	if testing.Short() {
		calls = 40
	}
	for topology, between := range topologies {
		for network, faults := range networks {
			t.Run(topology+"/"+network, func(t *testing.T) {
				t.Parallel()
				w := newLossy(t, uint64(len(topology)*100+len(network)), between, faults)
				w.calls(calls)
				w.check(calls, network)
			})
		}
	}
}

// calls makes so many calls, one a half second.
func (w *lossyWorld) calls(n int) {
	for i := range n {
		opt := ua.CallOptions{To: "sip:bob@" + bobAddr, Talk: time.Duration(1+i%40) * 2 * time.Second, Ring: 90 * time.Second}
		if i%5 == 0 {
			opt.Ring = time.Duration(i%60) * 50 * time.Millisecond
		}
		w.net.At(start+int64(i)*second/2, func() {
			if _, err := w.alice.Call(opt); err != nil {
				w.t.Error(err)
			}
		})
	}
	w.drain()
}

func (w *lossyWorld) check(n int, network string) {
	t := w.t
	t.Helper()
	count := map[string]int{}
	bySession := 0
	for id, p := range w.seen {
		if why := p.agree(); why != "" {
			t.Errorf("%s: %s", id, why)
		}
		if p.a != nil {
			count[fmt.Sprint(p.a.cause)]++
			if p.a.cause == ua.CauseSession || p.b != nil && p.b.cause == ua.CauseSession {
				bySession++
			}
		}
	}
	if len(w.seen) != n {
		t.Errorf("%d calls of %d were seen to end", len(w.seen), n)
	}
	talked, noAnswer := count["bye"], count["timeout"]+count["lost"]+count["no ack"]
	t.Logf("%v, %d by the session timer", count, bySession)
	if talked < n/3 || count["rejected"] == 0 || count["cancelled"] == 0 {
		t.Errorf("too few of a kind: %v", count)
	}
	if limit := map[bool]int{true: n/20 + 3, false: n/100 + 1}[strings.Contains(network, "30")]; noAnswer > limit || bySession > limit {
		t.Errorf("%d calls had no answer, %d ended by the session timer, at most %d should: %v", noAnswer, bySession, limit, count)
	}
	for name, a := range map[string]*ua.Agent{"alice": w.alice, "bob": w.bob} {
		e := element{agent: a, layer: a.Layer()}
		if left := e.left(); left != "" {
			t.Errorf("%s keeps %s", name, left)
		}
	}
	for _, e := range w.between {
		if left := e.left(); left != "" {
			t.Errorf("%s keeps %s", e.kind, left)
		}
	}
}

// TestRegistrationsInBadNetworks has phones register, refresh, and remove their bindings: who was told 200 is bound, and
// when all are closed nothing is left but what the registrar has to let expire.
func TestRegistrationsInBadNetworks(t *testing.T) {
	single(t)
	t.Parallel()
	for network, faults := range networks {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			s := newSim(t, 5)
			reg := s.add("registrar", proxyAddr, "", limits{}, faults)
			told := map[string]bool{}
			var phones []*ua.Agent
			const n = 60
			for i := range n {
				aor := fmt.Sprintf("sip:u%d@b.com", i)
				a := s.user(fmt.Sprintf("10.1.0.%d:5060", i+1), "<"+aor+">", faults, func(c *ua.Config) {
					c.Rand = rng(uint64(i))
					c.Events = func(e ua.Event) {
						switch e.Kind {
						case ua.EventRegistered:
							told[aor] = true
						case ua.EventUnregistered:
							delete(told, aor)
						default:
						}
					}
				})
				phones = append(phones, a)
				s.net.At(start+int64(i)*20*ms, func() {
					if _, err := a.Register(ua.RegisterOptions{Registrar: "sip:" + proxyAddr, AOR: aor, Expires: 120, Retry: 5 * time.Second}); err != nil {
						t.Error(err)
					}
				})
			}
			s.run(5 * time.Minute)
			for aor := range told {
				if len(reg.store.Lookup(aor, s.net.Now())) != 1 {
					t.Errorf("%s was told of a binding that is not there", aor)
				}
			}
			if len(told) < n*9/10 {
				t.Errorf("%d of %d are registered", len(told), n)
			}
			for _, a := range phones {
				s.net.At(s.net.Now(), a.Close)
			}
			s.run(2 * time.Minute)
			left := reg.store.Stats().Bindings
			if limit := map[bool]int{true: 2, false: 0}[strings.Contains(network, "30")]; left > limit {
				t.Errorf("%d bindings are left", left)
			}
			s.drain()
			for _, a := range phones {
				e := element{agent: a, layer: a.Layer()}
				if got := e.left(); got != "" || !a.Idle() {
					t.Errorf("a phone keeps %q, idle %v", got, a.Idle())
				}
			}
			if got := reg.left(); got != "" || reg.store.Stats().Bindings != 0 {
				t.Errorf("the registrar keeps %q and %d bindings", got, reg.store.Stats().Bindings)
			}
		})
	}
}

// TestOrder: what one peer sends over UDP reaches the application in that order.
func TestOrder(t *testing.T) {
	t.Parallel()
	const peers, n = 4, 2000
	next := map[string]int{}
	wrong, got := 0, 0
	end := open(t, transport.Config{Listen: []transport.Listen{at("udp:127.50.0.1:0")}})
	a := ua.New(ua.Config{Link: end, Rand: rng(1), Identity: "<sip:bob@b.com>", Events: func(e ua.Event) {
		if e.Kind != ua.EventMessage {
			return
		}
		var peer string
		var i int
		if _, err := fmt.Sscanf(string(e.Body), "%s %d", &peer, &i); err != nil || i < next[peer] {
			wrong++
		}
		next[peer] = i + 1
		got++
	}})
	s := launch(t, end, &element{kind: "user agent", agent: a, layer: a.Layer()}, a.Handler())
	done := make(chan struct{})
	for p := range peers {
		c := udp(t, s.at(transport.UDP))
		go func() {
			for i := range n {
				_, _ = c.Write([]byte(req{
					method: "MESSAGE", via: c.LocalAddr().String(), branch: fmt.Sprintf("o%d-%d", p, i), more: []string{"Content-Type: text/plain"}, body: fmt.Sprintf("p%d %d", p, i),
				}.text()))
				if i%50 == 49 {
					time.Sleep(time.Millisecond)
				}
			}
			done <- struct{}{}
		}()
	}
	for range peers {
		<-done
	}
	s.eventually("most messages came", 10*time.Second, func() bool {
		return got+int(s.end.Stats().Listeners[0].KernelDrops) >= peers*n
	})
	s.do(func() {
		if wrong != 0 || got < peers*n/2 {
			t.Errorf("%d of %d came, %d out of order", got, peers*n, wrong)
		}
	})
}
