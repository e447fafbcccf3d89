package ua

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"sipscope/element/transport"
	"sipscope/element/virtual"
)

const start = int64(1_700_000_000_000_000_000)

// rig is two agents, alice and bob, on a virtual network.
type rig struct {
	t          *testing.T
	net        *virtual.Net
	alice, bob *Agent
	hosts      [2]*virtual.Host
	wire       []string // "INVITE", "200 INVITE" … in the order sent, with the sender's first letter
	ended      map[string][]Event
	events     []string
}

func listen(t *testing.T, s string) transport.Listen {
	t.Helper()
	l, err := transport.ParseListen(s)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func newRig(t *testing.T, seed uint64, proto string, change func(a, b *Config)) *rig {
	t.Helper()
	g := &rig{t: t, net: virtual.New(start, rand.New(rand.NewPCG(seed, 1))), ended: map[string][]Event{}}
	g.hosts[0] = g.net.Host("alice", listen(t, proto+":127.0.1.10:5060"))
	g.hosts[1] = g.net.Host("bob", listen(t, proto+":127.0.2.10:5060"))
	g.net.Tap(g)
	ca := Config{Link: g.hosts[0], Rand: rand.New(rand.NewPCG(seed, 2)), Identity: `"Alice" <sip:alice@a.com>`, Server: "sipscope"}
	cb := Config{Link: g.hosts[1], Rand: rand.New(rand.NewPCG(seed, 3)), Identity: "<sip:bob@b.com>"}
	ca.Events, cb.Events = g.log("a"), g.log("b")
	if change != nil {
		change(&ca, &cb)
	}
	g.alice, g.bob = New(ca), New(cb)
	g.hosts[0].Attach(g.alice.Handler())
	g.hosts[1].Attach(g.bob.Handler())
	return g
}

func (g *rig) log(who string) func(Event) {
	return func(e Event) {
		text := who + " " + e.Kind.String()
		if e.Status != 0 {
			text += fmt.Sprintf(" %d", e.Status)
		}
		if e.Kind == EventEnded {
			text += " " + e.Cause.String()
			g.ended[who] = append(g.ended[who], e)
		}
		g.events = append(g.events, text)
	}
}

// Message is a tap's.
func (g *rig) Message(_ int64, _ transport.Proto, _ uint64, src, _ netip.AddrPort, raw []byte) {
	line, _, _ := strings.Cut(string(raw), "\r\n")
	who := "a "
	if src.Addr() == netip.MustParseAddr("127.0.2.10") {
		who = "b "
	}
	f := strings.Fields(line)
	if f[0] == "SIP/2.0" {
		method := ""
		for l := range strings.SplitSeq(string(raw), "\r\n") {
			if v, ok := strings.CutPrefix(l, "CSeq: "); ok {
				method = strings.Fields(v)[1]
			}
		}
		g.wire = append(g.wire, who+f[1]+" "+method)
		return
	}
	g.wire = append(g.wire, who+f[0])
}

// run lets so much time pass.
func (g *rig) run(d time.Duration) {
	g.t.Helper()
	if err := g.net.Run(g.net.Now() + int64(d)); err != nil {
		g.t.Fatal(err)
	}
}

// drain runs until nothing happens any more, for tests whose agents are closed.
func (g *rig) drain() {
	g.t.Helper()
	if err := g.net.Run(math.MaxInt64); err != nil {
		g.t.Fatal(err)
	}
}

// do runs f in the loop, now.
func (g *rig) do(f func()) {
	g.t.Helper()
	g.net.At(g.net.Now(), f)
	g.run(0)
}

func (g *rig) call(opt CallOptions) *Call {
	g.t.Helper()
	if opt.To == "" {
		opt.To = "sip:bob@127.0.2.10:5060"
		if p := g.hosts[1].Listeners()[0].Proto; p != transport.UDP {
			opt.To += ";transport=" + strings.ToLower(p.String())
		}
	}
	var c *Call
	g.do(func() {
		var err error
		if c, err = g.alice.Call(opt); err != nil {
			g.t.Fatal(err)
		}
	})
	return c
}

// clean checks that nothing is left in an agent.
func (g *rig) clean() {
	g.t.Helper()
	for name, a := range map[string]*Agent{"alice": g.alice, "bob": g.bob} {
		s := a.Stats()
		if s.Calls != 0 || s.Subscriptions != 0 || s.Requests != 0 || len(a.dialogs) != 0 || len(a.alarms.heap) != 0 {
			g.t.Errorf("%s keeps %d calls, %d subscriptions, %d requests, %d dialogs, %d timers",
				name, s.Calls, s.Subscriptions, s.Requests, len(a.dialogs), len(a.alarms.heap))
		}
		if used := len(a.slots) - len(a.free); used != 0 {
			g.t.Errorf("%s keeps %d slots", name, used)
		}
		open := a.layer.Stats()
		for k := range open.Open {
			for _, n := range open.Open[k] {
				if n != 0 {
					g.t.Errorf("%s keeps transactions: %v", name, open.Open)
				}
			}
		}
	}
}

func (g *rig) wants(want string) {
	g.t.Helper()
	if got := strings.Join(g.wire, ", "); got != want {
		g.t.Errorf("on the wire:\n got %s\nwant %s", got, want)
	}
}
