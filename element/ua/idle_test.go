package ua

import (
	"bytes"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/compose"
)

// TestAfterIdleness has a person do something when nothing has happened for long: its timers begin then, not when the agent
// was last awake.
func TestAfterIdleness(t *testing.T) {
	t.Parallel()
	var in *Call
	g := newRig(t, 1, "udp", func(a, b *Config) {
		a.Limits.Ring, b.Limits.Ring = time.Hour, time.Hour
		b.Answer, b.SessionSec = Answer{Manual: true}, 7200
		b.Packages = []Package{{Event: "presence", Type: "text/plain"}}
		log := b.Events
		b.Events = func(e Event) {
			if log(e); e.Kind == EventIncoming {
				in = e.Call
			}
		}
	})
	c := g.call(CallOptions{})
	g.run(10 * time.Millisecond)
	var s *Subscription
	g.do(func() {
		_ = in.Ring(180, false, false)
		var err error
		if s, err = g.alice.Subscribe(SubscribeOptions{To: "sip:bob@127.0.2.10", Event: "presence", Expires: 7200}); err != nil {
			t.Fatal(err)
		}
	})
	g.run(10 * time.Minute)
	g.wire = nil
	g.do(func() { _ = in.Answer() })
	g.run(10 * time.Second)
	if c.State() != StateConfirmed || in.State() != StateConfirmed {
		t.Fatalf("after an answer that came late: %v, %v", c.State(), in.State())
	}
	g.wants("b 200 INVITE, a ACK")
	g.run(10 * time.Minute)
	g.hosts[1].Unplug(true)
	g.do(func() { _ = c.Hold() })
	g.run(30 * time.Second)
	if c.State() != StateConfirmed {
		t.Errorf("a re-INVITE without answer ended the call early: %v", c.State())
	}
	g.hosts[1].Unplug(false)
	g.run(10 * time.Minute)
	g.do(func() { _ = s.Unsubscribe() })
	g.run(time.Second)
	if !s.done {
		t.Error("the last NOTIFY did not end the subscription")
	}
	begun := g.net.Now()
	g.do(g.alice.Close)
	g.do(g.bob.Close)
	g.drain()
	g.clean()
	if d := time.Duration(g.net.Now() - begun); d > 3*time.Minute {
		t.Errorf("it took %v to stop", d)
	}
}

// TestCloseWithoutLastNotify closes an agent whose notifier answers, and goes on saying that the subscription is active.
func TestCloseWithoutLastNotify(t *testing.T) {
	t.Parallel()
	g := newRig(t, 1, "udp", func(_, b *Config) { b.Packages = []Package{{Event: "presence", Type: "text/plain"}} })
	g.do(func() {
		if _, err := g.alice.Subscribe(SubscribeOptions{To: "sip:bob@127.0.2.10", Event: "presence"}); err != nil {
			t.Fatal(err)
		}
	})
	g.run(5 * time.Minute)
	g.net.Lose = lastNotify
	g.do(g.alice.Close)
	g.run(40 * time.Second)
	if !g.alice.Idle() {
		t.Errorf("not idle: %+v", g.alice.Stats())
	}
}

// TestIntervalsWithoutEnd: a 422 that always wants a longer session than the one before is not followed for ever.
func TestIntervalsWithoutEnd(t *testing.T) {
	t.Parallel()
	l := newHostile(func(c *Config) { c.SessionSec = 90 })
	c, err := l.agent.Call(CallOptions{To: "sip:x@192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	for n := 0; n < 100 && c.State() != StateEnded; n++ {
		raw := refusal(l.sent, 1000+n)
		l.sent = nil
		if raw == nil {
			break
		}
		asked++
		l.receive(raw)
	}
	if cause, status, _ := c.Outcome(); asked != intervalTries+1 || cause != CauseRejected || status != 422 {
		t.Errorf("%d INVITEs, then %v %d", asked, cause, status)
	}
}

// lastNotify loses the NOTIFY that ends a subscription.
func lastNotify(_, _ netip.AddrPort, raw []byte) bool {
	return bytes.HasPrefix(raw, []byte("NOTIFY ")) && bytes.Contains(raw, []byte("terminated"))
}

// refusal is the 422 to the INVITE that was sent last; nil for none.
func refusal(sent []string, seconds int) []byte {
	for _, text := range slices.Backward(sent) {
		var m sip.Message
		if !strings.HasPrefix(text, "INVITE ") || sip.Parse([]byte(text), &m) != nil {
			continue
		}
		raw, err := compose.Response(nil, &m, netip.MustParseAddrPort("192.0.2.10:5060"), &compose.Reply{
			Status: 422, ToTag: "x", Headers: []compose.Header{{ID: sip.HeaderMinSE, Value: strconv.Itoa(seconds)}},
		})
		if err == nil {
			return raw
		}
	}
	return nil
}
