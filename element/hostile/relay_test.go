package hostile

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"sipscope/element/fault/relay"
	"sipscope/element/transport"
	"sipscope/element/txn"
	"sipscope/element/ua"
)

// detour sends what is for some neighbours to relays in their place, so that everything between two elements goes through
// one, whatever addresses Contact and Record-Route name.
type detour struct {
	transport.Link

	to map[netip.AddrPort]netip.AddrPort
}

func (d detour) Send(hop transport.Hop, raw []byte, tag uint64) {
	if by, ok := d.to[hop.Remote]; ok {
		hop.Remote = by
	}
	d.Link.Send(hop, raw, tag)
}

// way is a relay between two endpoints.
func way(tb testing.TB, loss float64, a, b *transport.Endpoint, da, db detour) *relay.Relay {
	tb.Helper()
	atA, atB := a.Listeners()[0].Local, b.Listeners()[0].Local
	r, err := relay.Open(relay.Config{
		A: atA, B: atB, Listen: netip.MustParseAddr("127.50.4.1"), Loss: loss, Duplicate: 0.1, Reorder: 0.1, Seed: uint64(atA.Port()),
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(r.Close)
	da.to[atB], db.to[atA] = r.AtA(), r.AtB()
	// the answer to a Via without rport goes to where it came from, and the port that it names (RFC 3261 18.2.2)
	da.to[netip.AddrPortFrom(r.AtA().Addr(), atB.Port())] = r.AtA()
	db.to[netip.AddrPortFrom(r.AtB().Addr(), atA.Port())] = r.AtB()
	return r
}

const fast = 20 * ms

// fastTimes are those of RFC 3261 table 4, 25 times as fast.
var fastTimes = txn.Config{T1: fast, T2: 8 * fast, T4: 10 * fast}

// TestCallsOverRelay is TestCallsInBadNetworks on real sockets, with relays or --fault in between.
func TestCallsOverRelay(t *testing.T) {
	t.Parallel()
	for _, loss := range []float64{0.1, 0.3} {
		for _, between := range []string{"", "proxy", "proxy rr", "stateless"} {
			for _, by := range []string{"relay", "fault"} {
				if by == "fault" && between != "" {
					continue
				}
				t.Run(fmt.Sprintf("%v %s by %s", loss, between, by), func(t *testing.T) {
					t.Parallel()
					overRelay(t, loss, between, by)
				})
			}
		}
	}
}

func overRelay(t *testing.T, loss float64, between, by string) {
	t.Helper()
	listen := func(a string) *transport.Endpoint {
		return open(t, transport.Config{Listen: []transport.Listen{at("udp:" + a + ":0")}})
	}
	ea, eb := listen("127.50.1.1"), listen("127.50.2.1")
	da, db := detour{ea, map[netip.AddrPort]netip.AddrPort{}}, detour{eb, map[netip.AddrPort]netip.AddrPort{}}
	var lines []*relay.Relay
	var route []string
	var middle *site
	if by == "relay" {
		lines = append(lines, way(t, loss, ea, eb, da, db))
	}
	if between != "" {
		ep := listen("127.50.0.1")
		dp := detour{ep, map[netip.AddrPort]netip.AddrPort{}}
		lines = append(lines, way(t, loss, ea, ep, da, dp), way(t, loss, ep, eb, dp, db))
		e := relayed(t, between, dp, ep)
		middle = launch(t, ep, e, e.handler)
		route = []string{"<sip:" + ep.Listeners()[0].Local.String() + ";lr>"}
	}
	const n = 40
	seen := [2]map[string]*ends{{}, {}} // by side: two loops write
	alice := relayUser(t, ea, da, by, loss, func(c *ua.Config) {
		c.Identity, c.Route = "<sip:alice@a.com>", route
		c.Events = watchEnd(seen[0], func(p *ends) **end { return &p.a })
	})
	answers := rng(3)
	bob := relayUser(t, eb, db, by, loss, func(c *ua.Config) {
		c.Identity = "<sip:bob@b.com>"
		c.Limits.Ring = 4 * time.Second // for a caller who gave up without an answer, and so cannot send CANCEL
		c.Events = watchEnd(seen[1], func(p *ends) **end { return &p.b })
		c.Incoming = func(*ua.Call) *ua.Answer {
			a := &ua.Answer{Delay: time.Duration(answers.IntN(200)) * time.Millisecond}
			switch answers.IntN(6) {
			case 0:
				a.Code = 486
			case 1:
				a.Delay = -1
			default:
			}
			return a
		}
	})
	alice.do(func() {
		for i := range n {
			alice.agent.At(alice.end.Now()+int64(i)*20*ms, func(int64) {
				if _, err := alice.agent.Call(ua.CallOptions{
					To: "sip:bob@" + eb.Listeners()[0].Local.String(), Talk: time.Duration(50+i*20) * time.Millisecond, Ring: time.Second,
				}); err != nil {
					t.Error(err)
				}
			})
		}
	})
	alice.eventually("alice's calls end", 15*time.Second, func() bool {
		st := alice.agent.Stats()
		return st.CallsOut == n && alice.left() == ""
	})
	bob.eventually("bob forgets", 15*time.Second, func() bool { return bob.left() == "" })
	if middle != nil {
		middle.eventually("the proxy forgets", 15*time.Second, func() bool { return middle.left() == "" })
	}
	for _, s := range []*site{alice, bob} {
		s.close()
	}
	talked := 0
	for id, p := range seen[0] {
		if q := seen[1][id]; q != nil {
			p.b = q.b
		}
		if why := p.agree(); why != "" {
			t.Errorf("%s: %s", id, why)
		}
		if p.a.talked {
			talked++
		}
	}
	if len(seen[0]) != n || talked < n/3 {
		t.Errorf("%d calls of %d ended, %d talked", len(seen[0]), n, talked)
	}
	for _, r := range lines[min(1, len(lines)/2):] { // what goes straight is little, or nothing
		if toB, toA := r.Stats(); toB.Lost == 0 || toA.Lost == 0 || toB.Strays+toA.Strays > 0 {
			t.Errorf("relay %+v %+v", toB, toA)
		}
	}
}

func relayed(t *testing.T, between string, link transport.Link, ep *transport.Endpoint) *element {
	t.Helper()
	if between == "stateless" {
		return buildProxy(t, between, link, ep.Listeners(), false, txn.Config{})
	}
	return buildProxy(t, "proxy", link, ep.Listeners(), between == "proxy rr", fastTimes)
}

func relayUser(t *testing.T, end *transport.Endpoint, link transport.Link, by string, loss float64, change func(*ua.Config)) *site {
	t.Helper()
	faults := ""
	if by == "fault" {
		faults = fmt.Sprintf("drop-out=%v%%,duplicate-out=10%%,reorder-out=10%%", loss*100)
	}
	link, wrap := faulty(t, link, faults)
	cfg := ua.Config{Link: link, Txn: fastTimes, Rand: rng(uint64(end.Listeners()[0].Local.Port()))}
	change(&cfg)
	a := ua.New(cfg)
	return launch(t, end, &element{kind: "user agent", agent: a, layer: a.Layer()}, wrap(a.Handler()))
}
