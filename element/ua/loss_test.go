package ua

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"sipscope/element/virtual"
)

// TestLoss makes calls over a bad network: each ends, on both sides, in a state that both agree on.
func TestLoss(t *testing.T) {
	t.Parallel()
	tests := map[string]virtual.Path{
		"loss 10 %":  {Latency: 5e6, Loss: 0.1},
		"loss 30 %":  {Latency: 5e6, Loss: 0.3},
		"all faults": {Latency: 5e6, Loss: 0.1, Duplicate: 0.2, Reorder: 0.2},
	}
	for name, path := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(20) {
				lossy(t, seed, path)
			}
		})
	}
}

func lossy(t *testing.T, seed uint64, path virtual.Path) {
	t.Helper()
	g := newRig(t, seed, "udp", func(a, b *Config) {
		a.SessionSec = 90
		rng := rand.New(rand.NewPCG(seed, 9))
		b.Incoming = func(*Call) *Answer {
			s := &Answer{Delay: time.Duration(rng.IntN(3000)) * time.Millisecond, Reliable: rng.IntN(2) == 0, EarlyMedia: rng.IntN(2) == 0}
			if rng.IntN(2) == 0 {
				s.Talk = time.Duration(1+rng.IntN(60)) * time.Second
			}
			if rng.IntN(4) == 0 {
				s.Code = 486
			}
			return s
		}
	})
	g.net.Path = path
	type pair struct{ a, b *Event }
	calls := map[string]*pair{}
	of := func(c *Call) *pair {
		if calls[c.CallID()] == nil {
			calls[c.CallID()] = &pair{}
		}
		return calls[c.CallID()]
	}
	g.bob.cfg.Events = func(e Event) {
		if e.Kind == EventEnded {
			of(e.Call).b = &e
		}
	}
	const n = 20
	for i := range n {
		opt := CallOptions{To: "sip:bob@127.0.2.10", Talk: time.Duration(1+i) * 5 * time.Second}
		if i%4 == 0 {
			opt.Ring = time.Duration(i) * 100 * time.Millisecond
		}
		opt.Events = func(e Event) {
			if e.Kind == EventEnded {
				of(e.Call).a = &e
			}
		}
		g.net.At(start+int64(i)*1e9, func() {
			c, err := g.alice.Call(opt)
			if err != nil {
				t.Fatal(err)
			}
			of(c)
		})
	}
	g.drain()
	for id, p := range calls {
		if p.a == nil {
			t.Errorf("seed %d: %s did not end at alice: %v", seed, id, p)
			continue
		}
		if why := disagree(p.a, p.b); why != "" {
			t.Errorf("seed %d: call %d: %s", seed, p.a.Call.ID(), why)
		}
	}
	if len(calls) < n {
		t.Errorf("seed %d: %d calls", seed, len(calls))
	}
	g.clean()
}

// disagree says in which way two sides see a call differently. Two things cannot be known by both: a side whose messages
// all got lost only sees that nobody answers.
func disagree(a, b *Event) string {
	text := func(e *Event) string {
		if e == nil {
			return "never heard of it"
		}
		return fmt.Sprintf("%v %d remote %v", e.Cause, e.Status, e.Remote)
	}
	both := "alice: " + text(a) + ", bob: " + text(b)
	switch {
	case a.Cause == CauseTimeout || a.Cause == CauseLost || b != nil && (b.Cause == CauseNoAck || b.Cause == CauseLost):
		return ""
	case b == nil:
		if a.Cause == CauseCancelled {
			return ""
		}
		return both
	case a.Cause == CauseSession && b.Cause == CauseBye && b.Remote, b.Cause == CauseSession && a.Cause == CauseBye && a.Remote:
		return "" // the other side only sees the BYE
	case a.Cause == CauseCancelled && b.Cause == CauseBye && b.Remote, a.Cause == CauseCancelled && b.Cause == CauseRejected:
		return "" // the CANCEL crossed the answer
	case a.Cause != b.Cause:
		return both
	case a.Remote == b.Remote && a.Cause != CauseBye: // both may hang up at once
		return both
	case a.Cause == CauseRejected && a.Status != b.Status:
		return both
	}
	return ""
}
