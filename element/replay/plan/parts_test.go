package plan_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"sipscope/element/replay/plan"
	"sipscope/element/transport"
)

// Who is live is chosen by the rule, and said.
func TestLive(t *testing.T) {
	t.Parallel()
	tests := []struct {
		capture, sut, live, why string
	}{
		{"scenario-trapezoid.pcapng", "", "proxyA", "it passes on requests"},
		{"b2bua.pcap", "", "b2bua", "as a back-to-back user agent"},
		{"attended-transfer.pcap", "", "bob", "the first request goes to it (INVITE)"},
		{"scenario-register.pcapng", "", "registrar", "it answers REGISTER"},
		{"scenario-invite-reliable.pcapng", "", "bob", "the first request goes to it"},
		{"scenario-trapezoid.pcapng", "127.0.2.1:5060", "proxyB", "named"},
		{"scenario-trapezoid.pcapng", "127.0.2.10", "bob", "named"},
		{"scenario-trapezoid.pcapng", "PROXYb", "proxyB", "named"},
		{"ipv6.pcap", "", "proxy", "it passes on requests"},
	}
	for _, test := range tests {
		t.Run(test.capture+" "+test.sut, func(t *testing.T) {
			t.Parallel()
			p, err := load(t, "../../../testdata/pcaps/"+test.capture).plan(t, plan.Options{SUT: test.sut})
			if err != nil {
				t.Fatal(err)
			}
			live, ok := p.LiveHost()
			if !ok || live.Name != test.live || !strings.Contains(live.Why, test.why) {
				t.Errorf("%+v", live)
			}
		})
	}
}

func TestNobody(t *testing.T) {
	t.Parallel()
	r := load(t, "../../../testdata/pcaps/scenario-trapezoid.pcapng")
	invitation := load(t, "../../../testdata/pcaps/scenario-session-invitation.pcapng")
	silent := &recording{name: r.name, calls: r.calls}
	tests := []struct {
		name string
		r    *recording
		o    plan.Options
		is   error
		want string
	}{
		{"unknown", r, plan.Options{SUT: "192.0.2.9"}, plan.ErrSUT, "joe (127.0.1.10:5060)"},
		{"unknown to play", r, plan.Options{As: []string{"carol"}}, plan.ErrSUT, "carol"},
		{"the live one played", r, plan.Options{As: []string{"proxyA"}}, plan.ErrSUT, "is the live one"},
		{"never talked to it", invitation, plan.Options{As: []string{"registrar"}}, plan.ErrSUT, "never talked to proxyA"},
		{"no text", silent, plan.Options{}, plan.ErrNothing, "no message has a whole text"},
		{"no calls", &recording{}, plan.Options{}, plan.ErrNothing, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if _, err := test.r.plan(t, test.o); !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.want) {
				t.Error(err)
			}
		})
	}
}

// A proxy that is cut out leaves no trace on the live one's hops.
func TestCutLeavesNoTrace(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"scenario-bye-two-proxies.pcapng", "scenario-trapezoid.pcapng"} {
		p, err := load(t, "../../../testdata/pcaps/"+name).plan(t, plan.Options{Cut: true})
		if err != nil {
			t.Fatal(err)
		}
		if h, ok := p.Host("proxyB"); !ok || h.Part != plan.Left {
			t.Errorf("%s: %+v", name, h)
		}
		cut := 0
		for _, s := range p.Steps {
			if strings.Contains(s.Why, "cut out") {
				cut++
			}
			if bytes.Contains(s.Message, []byte("127.0.2.1:")) || bytes.Contains(s.Message, []byte("127.0.2.1;")) {
				t.Errorf("%s: step %d:\n%s", name, s.ID, s.Message)
			}
		}
		if cut == 0 || p.Counts.Cut == 0 {
			t.Errorf("%s: %d steps, %+v", name, cut, p.Counts)
		}
	}
}

// What the recording had over the other one of UDP and TCP stays there, and all the rest goes as the server is reached.
func TestCarrier(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ live, step, target, want transport.Proto }{
		{transport.UDP, transport.UDP, transport.UDP, transport.UDP},
		{transport.UDP, transport.TCP, transport.UDP, transport.TCP},
		{transport.TCP, transport.UDP, transport.TCP, transport.UDP},
		{transport.UDP, transport.UDP, transport.TCP, transport.TCP},
		{transport.UDP, transport.TCP, transport.TLS, transport.TLS},
		{transport.UDP, transport.TLS, transport.UDP, transport.UDP},
		{transport.WS, transport.UDP, transport.UDP, transport.UDP},
	} {
		p := &plan.Plan{Hosts: []plan.Host{{Name: "alice", Part: plan.Played}, {Name: "sut", Part: plan.Live, Proto: test.live}}}
		if got := p.Carrier(&plan.Step{Proto: test.step}, test.target); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
	if got := (&plan.Plan{}).Carrier(&plan.Step{Proto: transport.TCP}, transport.UDP); got != transport.UDP {
		t.Errorf("without a live host: %v", got)
	}
}
