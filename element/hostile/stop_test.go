package hostile

import (
	"fmt"
	"testing"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/transport"
	"sipscope/element/ua"
)

// busy is an agent with one of everything: calls made and received in every state, a registration, a publication, a
// subscription, a watcher, a request on its way.
type busy struct {
	*sim

	agent, bob *ua.Agent
	reg        *element
	peer       *raw // who takes what bob does not
	idle       int  // how often alice was told that nothing is left
	idleAt     int64
}

// newBusy makes it. silent has the peer say nothing to what comes when the agent is closed.
func newBusy(t *testing.T) *busy {
	t.Helper()
	b := &busy{sim: newSim(t, 3)}
	b.agent = b.user(aliceAddr, "<sip:alice@b.com>", "", func(c *ua.Config) {
		c.Answer = ua.Answer{Delay: 20 * time.Second}
		c.Incoming = func(call *ua.Call) *ua.Answer {
			if call.ID()%2 == 0 {
				return &ua.Answer{}
			}
			return nil
		}
		c.Packages = []ua.Package{{Event: "presence", Type: "text/plain", State: func(*ua.Watcher) (string, []byte) { return "text/plain", []byte("here") }}}
		c.Events = func(e ua.Event) {
			if e.Kind == ua.EventIdle {
				b.idle++
				b.idleAt = e.At
			}
		}
	})
	b.bob = b.user(bobAddr, "<sip:bob@b.com>", "", func(c *ua.Config) {
		c.Packages = []ua.Package{{Event: "presence", Type: "text/plain", State: func(*ua.Watcher) (string, []byte) { return "text/plain", []byte("here") }}}
		c.Incoming = func(call *ua.Call) *ua.Answer {
			if call.ID()%3 == 0 {
				return &ua.Answer{Delay: -1}
			}
			return &ua.Answer{}
		}
	})
	b.reg = b.add("registrar", proxyAddr, "", limits{}, "")
	b.peer = b.raw(otherAddr)
	b.peer.auto = func(m *sip.Message, hop transport.Hop) { // a presence server, as far as that goes
		if m.Request && m.Method.Of(m.Raw)[0] == 'P' && len(b.peer.got) < 3 {
			b.peer.send(hop.Remote.String(), reply(t, string(m.Raw), 200, "e", "SIP-ETag: e1", "Expires: 600"))
		}
	}
	try := func(_ any, err error) {
		if err != nil {
			t.Error(err)
		}
	}
	b.net.At(start, func() {
		for range 9 {
			try(b.agent.Call(ua.CallOptions{To: "sip:bob@" + bobAddr}))
			try(b.bob.Call(ua.CallOptions{To: "sip:alice@" + aliceAddr}))
		}
		try(b.agent.Call(ua.CallOptions{To: "sip:nobody@10.99.0.1"})) // nobody answers it
		try(b.agent.Register(ua.RegisterOptions{Registrar: "sip:" + proxyAddr, AOR: "sip:alice@b.com"}))
		try(b.agent.Publish(ua.PublishOptions{To: "sip:alice@" + otherAddr, Event: "presence", Type: "text/plain", Body: []byte("here")}))
		try(b.agent.Subscribe(ua.SubscribeOptions{To: "sip:bob@" + bobAddr, Event: "presence"}))
		try(b.bob.Subscribe(ua.SubscribeOptions{To: "sip:alice@" + aliceAddr, Event: "presence"}))
	})
	b.run(3 * time.Second)
	if st, _ := b.agent.Stats(), b.bob.Stats(); st.Calls != 19 || st.Subscriptions < 2 || b.reg.store.Stats().Bindings != 1 {
		t.Fatalf("%+v, %+v", st, b.reg.store.Stats())
	}
	return b
}

// TestCleanStop closes an agent in the middle of everything: within a few round trips calls are cancelled, ended or refused,
// bindings, publications and subscriptions removed, at the other side too.
func TestCleanStop(t *testing.T) {
	single(t)
	t.Parallel()
	b := newBusy(t)
	b.net.At(b.net.Now(), b.agent.Close)
	begun := b.net.Now()
	b.run(time.Second)
	if n := b.reg.store.Lookup("sip:alice@b.com", b.net.Now()); len(n) != 0 {
		t.Errorf("still bound: %v", n)
	}
	if st := b.bob.Stats(); st.Calls > 0 || st.Subscriptions > 0 {
		t.Errorf("bob keeps %d calls, %d subscriptions", st.Calls, st.Subscriptions)
	}
	removed := false
	for _, text := range b.peer.got {
		m := parse(t, text)
		if v, ok := m.Value(sip.HeaderExpires); m.Request && ok && string(v) == "0" {
			removed = true
		}
	}
	if !removed {
		t.Errorf("the publication is not removed: %q", b.peer.got)
	}
	if st := b.agent.Stats(); st.Calls > 1 { // the one that nobody answers has no provisional response to be cancelled
		t.Errorf("%d calls", st.Calls)
	}
	b.drain()
	b.stopped(t, begun)
}

// TestStopAmongTheDead closes it when nobody answers any more: all is given up after the time of a transaction, and a
// registration may have asked twice.
func TestStopAmongTheDead(t *testing.T) {
	single(t)
	t.Parallel()
	b := newBusy(t)
	b.net.Loss = 1
	b.net.At(b.net.Now(), b.agent.Close)
	begun := b.net.Now()
	b.run(3 * time.Minute)
	b.stopped(t, begun)
}

// TestStopInBadNetwork closes it where a third of everything gets lost.
func TestStopInBadNetwork(t *testing.T) {
	single(t)
	t.Parallel()
	for range 5 {
		b := newBusy(t)
		b.net.Loss = 0.3
		b.net.At(b.net.Now(), b.agent.Close)
		begun := b.net.Now()
		b.run(3 * time.Minute)
		b.stopped(t, begun)
		if st := b.bob.Stats(); st.Calls > 0 {
			t.Errorf("bob keeps %d calls", st.Calls)
		}
	}
}

func (b *busy) stopped(t *testing.T, begun int64) {
	t.Helper()
	if took := b.idleAt - begun; b.idle != 1 || took > 70*second {
		t.Errorf("told %d times that nothing is left, after %v", b.idle, time.Duration(took))
	}
	if left := (&element{agent: b.agent, layer: b.agent.Layer()}).left(); left != "" || !b.agent.Idle() {
		t.Errorf("alice keeps %q, idle %v: %+v", left, b.agent.Idle(), b.agent.Stats())
	}
	if _, err := b.agent.Call(ua.CallOptions{To: "sip:bob@" + bobAddr}); err == nil {
		t.Error("a closed agent makes a call")
	}
}

// TestClosedAgentRefuses: what comes after Close is refused, and does not hold it up.
func TestClosedAgentRefuses(t *testing.T) {
	single(t)
	t.Parallel()
	b := newBusy(t)
	b.net.At(b.net.Now(), b.agent.Close)
	late := b.raw("10.0.3.3:5060")
	for i, method := range []string{"INVITE", "SUBSCRIBE", "MESSAGE", "OPTIONS", "REFER"} {
		b.net.At(b.net.Now()+int64(i+1)*10*ms, func() {
			late.send(aliceAddr, req{method: method, via: "10.0.3.3:5060", branch: fmt.Sprint("late", i), more: []string{"Event: presence", "Refer-To: <sip:x@y>"}}.text())
		})
	}
	begun := b.net.Now()
	b.run(2 * time.Minute)
	for code := range late.all {
		if code < 300 && code != 100 && late.all[code] > 2 { // MESSAGE and OPTIONS may still be answered
			t.Errorf("heard %v", late.all)
		}
	}
	if late.all[480]+late.all[503]+late.all[486]+late.all[603] == 0 {
		t.Errorf("the INVITE was not refused: %v", late.all)
	}
	b.stopped(t, begun)
}
