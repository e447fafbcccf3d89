package ua

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/transport"
)

// A query of bindings has no Contact and no Expires, binds nothing, and is not removed at the end (RFC 3261 10.2.3).
func TestRegisterQuery(t *testing.T) {
	t.Parallel()
	g := newRig(t, 1, "udp", nil)
	p := withPeer(g, func(p *peer, _ *sip.Message, r *transport.Received) {
		p.answer(r, compose.Reply{Status: 200, ToTag: "x", Headers: []compose.Header{
			h(sip.HeaderContact, "<sip:alice@192.0.2.1>;expires=600"), h(sip.HeaderContact, "<sip:alice@192.0.2.2>;expires=60"),
		}})
	})
	g.do(func() {
		q, err := g.alice.Register(RegisterOptions{Registrar: "sip:127.0.2.10", Query: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := q.Remove(true); !errors.Is(err, ErrState) {
			t.Errorf("a query is removed: %v", err)
		}
		if _, err := g.alice.Register(RegisterOptions{Registrar: "sip:b.com", Query: true, Contacts: []string{"*"}}); !errors.Is(err, ErrState) {
			t.Errorf("a query with contacts: %v", err)
		}
	})
	g.run(20 * time.Minute)
	g.do(g.alice.Close)
	if !g.alice.Idle() || p.n != 1 {
		t.Errorf("idle %v after %d requests", g.alice.Idle(), p.n)
	}
	if strings.Contains(p.log[0], "Contact:") || strings.Contains(p.log[0], "Expires:") {
		t.Errorf("%s", p.log[0])
	}
	if want := []string{"a registered 200", "a idle"}; !slices.Equal(g.events, want) {
		t.Errorf("events %q", g.events)
	}
}

// TestRemoveAtOnce: bindings are removed without having been made first (RFC 3261 10.2.2).
func TestRemoveAtOnce(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		opt     RegisterOptions
		contact string
	}{
		"all":   {RegisterOptions{RemoveAll: true}, "*"},
		"own":   {RegisterOptions{Remove: true}, "<sip:bob@192.0.2.10:5060>"},
		"other": {RegisterOptions{Remove: true, Contacts: []string{"<sip:bob@192.0.2.99>"}}, "<sip:bob@192.0.2.99>"},
	} {
		var events []Event
		l := newHostile(nil)
		test.opt.Registrar = "sip:192.0.2.1"
		test.opt.Events = func(e Event) { events = append(events, e) }
		if _, err := l.agent.Register(test.opt); err != nil {
			t.Fatal(err)
		}
		l.wake()
		r := l.last("REGISTER")
		if headerOf(r, "Contact") != test.contact || headerOf(r, "Expires") != "0" {
			t.Errorf("%s: %q", name, r)
		}
		l.receive(respond(r, 200, "r"))
		l.pass(2 * time.Hour)
		if len(events) != 1 || events[0].Kind != EventUnregistered || events[0].Status != 200 || l.count("REGISTER") != 1 {
			t.Errorf("%s: %+v, %d REGISTERs", name, events, l.count("REGISTER"))
		}
	}
	for _, opt := range []RegisterOptions{
		{RemoveAll: true, Contacts: []string{"<sip:bob@192.0.2.99>"}},
		{RemoveAll: true, Query: true},
		{Remove: true, Query: true},
		{Expires: -1},
	} {
		opt.Registrar = "sip:192.0.2.1"
		if _, err := newHostile(nil).agent.Register(opt); !errors.Is(err, ErrState) {
			t.Errorf("%+v: %v", opt, err)
		}
	}
}
