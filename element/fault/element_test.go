package fault_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/fault"
	"sipscope/element/fault/relay"
	"sipscope/element/transport"
	"sipscope/element/txn"
	"sipscope/element/virtual"
)

// The tests here have transactions in a bad network, made by --fault in virtual time and by a relay on real sockets: each
// ends once, with an answer or a timeout, and nothing is left of it.

// caller has many requests answered.
type caller struct {
	layer  *txn.Layer
	rng    *rand.Rand
	hop    transport.Hop
	finals map[uint64]int
	failed map[uint64]int
	ended  map[uint64]int
	errs   []error
	done   func()
}

func (c *caller) start(n int) {
	c.finals, c.failed, c.ended = map[uint64]int{}, map[uint64]int{}, map[uint64]int{}
	for i := range n {
		method := "INVITE"
		if i%2 == 0 {
			method = "OPTIONS"
		}
		own, err := c.layer.Link().SentBy(c.hop)
		if err != nil {
			c.errs = append(c.errs, err)
		}
		r := compose.Request{
			Method: method, URI: "sip:bob@b.com", CSeq: 1, CallID: compose.CallID(c.rng, "a.com"),
			Via:  compose.Via{Proto: "UDP", SentBy: own, Branch: compose.Branch(c.rng), RPort: true},
			From: "<sip:alice@a.com>;tag=" + compose.Tag(c.rng), To: "<sip:bob@b.com>",
		}
		raw, err := r.Append(nil)
		if err == nil {
			_, err = c.layer.Send(c.hop, raw, uint64(i+1))
		}
		if err != nil {
			c.errs = append(c.errs, err)
		}
	}
}

func (*caller) Request(txn.ID, *transport.Received)        {}
func (*caller) Cancel(txn.ID, uint64, *transport.Received) {}

func (c *caller) Response(id txn.ID, data uint64, r *transport.Received) {
	if id != 0 && r.Msg.Status >= 200 {
		c.finals[data]++
	}
}

func (c *caller) Failed(_ txn.ID, data uint64, err error) {
	c.failed[data]++
	if !errors.Is(err, txn.ErrTimeout) {
		c.errs = append(c.errs, err)
	}
}

func (c *caller) Ended(_ txn.ID, data uint64) {
	c.ended[data]++
	if c.done != nil {
		c.done()
	}
}

// answerer rings and is busy.
type answerer struct {
	layer        *txn.Layer
	rng          *rand.Rand
	seen         map[string]int
	begun, ended int
	errs         []error
}

func (a *answerer) Request(id txn.ID, r *transport.Received) {
	if id == 0 {
		return
	}
	a.begun++
	a.seen[string(r.Msg.CallID.Of(r.Msg.Raw))]++
	replies := []int{200}
	if r.Msg.MethodID == sip.MethodInvite {
		replies = []int{180, 486}
	}
	for _, status := range replies {
		raw, err := compose.Response(nil, r.Msg, r.Hop.Remote, &compose.Reply{Status: status, ToTag: compose.Tag(a.rng)})
		if err == nil {
			err = a.layer.Respond(id, raw)
		}
		if err != nil {
			a.errs = append(a.errs, err)
		}
	}
}

func (*answerer) Response(txn.ID, uint64, *transport.Received) {}
func (*answerer) Cancel(txn.ID, uint64, *transport.Received)   {}

func (a *answerer) Failed(_ txn.ID, _ uint64, err error) {
	if !errors.Is(err, txn.ErrNoAck) {
		a.errs = append(a.errs, err)
	}
}

func (a *answerer) Ended(txn.ID, uint64) { a.ended++ }

// check has all transactions ended, and nothing left. share is how many must have been answered.
func check(t *testing.T, n int, share float64, c *caller, a *answerer) {
	t.Helper()
	for _, err := range append(c.errs, a.errs...) {
		t.Error(err)
	}
	for i := range uint64(n) {
		if c.finals[i+1]+c.failed[i+1] != 1 || c.ended[i+1] != 1 {
			t.Fatalf("transaction %d: %d final responses, %d failures, ended %d times",
				i+1, c.finals[i+1], c.failed[i+1], c.ended[i+1])
		}
	}
	if got := float64(len(c.finals)) / float64(n); got < share {
		t.Errorf("%.3f of the requests were answered, want %.3f at least", got, share)
	}
	if a.begun != len(a.seen) || a.begun < len(c.finals) || a.ended != a.begun {
		t.Errorf("%d server transactions of %d requests, %d ended; %d clients were answered",
			a.begun, len(a.seen), a.ended, len(c.finals))
	}
	for _, layer := range []*txn.Layer{c.layer, a.layer} {
		s := layer.Stats()
		for kind := range s.Open {
			if open := s.OpenOf(txn.Kind(kind)); open != 0 {
				t.Errorf("%d transactions are left", open)
			}
		}
		if s.Bytes > 64<<10 { // the chunk that the layer fills next
			t.Errorf("%d bytes are left", s.Bytes)
		}
	}
}

func TestTransactionsUnderFaults(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		rules string
		share float64
	}{
		{"", 1},
		{"drop=10%", 0.99},
		{"drop=30%", 0.9},
		{"drop=30%,duplicate=20%,reorder=20%,delay=1ms-600ms@30%", 0.9},
		{"drop=100%@INVITE@2xx,reorder=30%,duplicate=50%", 1},
		{"drop-out=ACK@1-20", 1},
		{"drop-in=response", 0},
		{"mangle-out=Call-ID:remove@20%", 0.7},
		{"mangle-in=Via@10%,mangle-in=CSeq:duplicate@10%", 0.9},
	} {
		t.Run(tt.rules, func(t *testing.T) {
			t.Parallel()
			rules, err := fault.Parse(tt.rules)
			if err != nil {
				t.Fatal(err)
			}
			const n = 300
			n1 := virtual.New(0, rand.New(rand.NewPCG(1, 1)))
			at := func(s string) transport.Listen {
				return transport.Listen{Proto: transport.UDP, AddrPort: netip.MustParseAddrPort(s)}
			}
			ha, hb := n1.Host("a", at("10.0.0.1:5060")), n1.Host("b", at("10.0.0.2:5060"))
			inj := fault.Link(ha, rules, rand.New(rand.NewPCG(2, 2)))
			c := &caller{rng: rand.New(rand.NewPCG(3, 3)), hop: transport.Hop{Proto: transport.UDP, Remote: at("10.0.0.2:5060").AddrPort}}
			c.layer = txn.New(inj, c, txn.Config{Rand: c.rng})
			a := &answerer{rng: rand.New(rand.NewPCG(4, 4)), seen: map[string]int{}}
			a.layer = txn.New(hb, a, txn.Config{Rand: a.rng, Merged: true})
			ha.Attach(inj.Handler(c.layer))
			hb.Attach(a.layer)
			ha.Post(func() { c.start(n) })
			if err := n1.Run(math.MaxInt64); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(tt.rules, "mangle") { // who must make sense of it may see one request as two
				a.seen = map[string]int{}
				for i := range a.begun {
					a.seen[strconv.Itoa(i)]++
				}
			}
			check(t, n, tt.share, c, a)
		})
	}
}

// TestTransactionsOverRelay is the same on real sockets.
func TestTransactionsOverRelay(t *testing.T) {
	t.Parallel()
	for _, loss := range []float64{0.1, 0.3} {
		t.Run(fmt.Sprint(loss), func(t *testing.T) {
			t.Parallel()
			const n = 200
			open := func() *transport.Endpoint {
				listen, _ := transport.ParseListen("udp:127.0.0.1:0")
				e, err := transport.Open(transport.Config{Listen: []transport.Listen{listen}})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = e.Close() })
				return e
			}
			ea, eb := open(), open()
			r, err := relay.Open(relay.Config{
				A: ea.Listeners()[0].Local, B: eb.Listeners()[0].Local, Loss: loss, Duplicate: 0.1, Reorder: 0.1, Seed: 3,
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(r.Close)
			const t1 = 20 * ms
			times := txn.Config{T1: t1, T2: 8 * t1, T4: 10 * t1}
			c := &caller{rng: rand.New(rand.NewPCG(3, 3)), hop: transport.Hop{Proto: transport.UDP, Remote: r.AtA()}}
			c.layer = txn.New(ea, c, times)
			a := &answerer{rng: rand.New(rand.NewPCG(4, 4)), seen: map[string]int{}}
			a.layer = txn.New(eb, a, times)
			left := n
			clients := make(chan struct{})
			c.done = func() {
				if left--; left == 0 {
					close(clients)
				}
			}
			ctx, cancel := context.WithCancel(context.Background())
			ended := make(chan error, 2)
			go func() { ended <- ea.Run(ctx, c.layer) }()
			go func() { ended <- eb.Run(ctx, a.layer) }()
			ea.Post(func() { c.start(n) })
			select {
			case <-clients:
				time.Sleep(time.Duration(64*t1) + 500*time.Millisecond) // timers H and J of the other side
			case <-time.After(30 * time.Second):
				t.Error("transactions do not end")
			}
			cancel()
			for range 2 {
				if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			}
			check(t, n, 0.9, c, a)
			if toB, toA := r.Stats(); toB.Lost == 0 || toA.Lost == 0 || toB.Strays+toA.Strays > 0 {
				t.Errorf("relay %+v %+v", toB, toA)
			}
		})
	}
}
