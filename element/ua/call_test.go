package ua

import (
	"fmt"
	"testing"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/compose"
)

func TestCallFlows(t *testing.T) {
	t.Parallel()
	const setup = "a INVITE, b 180 INVITE, b 200 INVITE, a ACK"
	tests := map[string]struct {
		opt        CallOptions
		change     func(a, b *Config)
		act        func(g *rig, c *Call)
		wire       string
		cause      Cause
		status     int
		aRem, bRem bool
	}{
		"answered and ended by the caller": {
			opt: CallOptions{Talk: time.Second}, wire: setup + ", a BYE, b 200 BYE", cause: CauseBye, bRem: true,
		},
		"ended by the callee": {
			change: func(_, b *Config) { b.Answer.Talk = time.Second },
			wire:   setup + ", b BYE, a 200 BYE", cause: CauseBye, aRem: true,
		},
		"busy": {
			change: func(_, b *Config) { b.Answer.Code = 486 },
			wire:   "a INVITE, b 486 INVITE, a ACK", cause: CauseRejected, status: 486, aRem: true,
		},
		"cancelled": {
			opt:    CallOptions{Ring: time.Second},
			change: func(_, b *Config) { b.Answer.Delay = -1 },
			wire:   "a INVITE, b 180 INVITE, a CANCEL, b 200 CANCEL, b 487 INVITE, a ACK",
			cause:  CauseCancelled, status: 487, bRem: true,
		},
		"reliable ringing": {
			opt:    CallOptions{Talk: time.Second},
			change: func(_, b *Config) { b.Answer.Reliable, b.Answer.EarlyMedia = true, true },
			wire:   "a INVITE, b 180 INVITE, a PRACK, b 200 PRACK, b 200 INVITE, a ACK, a BYE, b 200 BYE",
			cause:  CauseBye, bRem: true,
		},
		"reliable ringing, no offer": {
			opt:    CallOptions{Talk: time.Second, NoOffer: true},
			change: func(_, b *Config) { b.Answer.Reliable, b.Answer.EarlyMedia = true, true },
			wire:   "a INVITE, b 180 INVITE, a PRACK, b 200 PRACK, b 200 INVITE, a ACK, a BYE, b 200 BYE",
			cause:  CauseBye, bRem: true,
		},
		"no offer": {
			opt: CallOptions{Talk: time.Second, NoOffer: true}, wire: setup + ", a BYE, b 200 BYE", cause: CauseBye, bRem: true,
		},
		"unknown extension": {
			opt:  CallOptions{Headers: []compose.Header{{ID: sip.HeaderRequire, Value: "teleport"}}},
			wire: "a INVITE, b 420 INVITE, a ACK", cause: CauseRejected, status: 420, aRem: true,
		},
		"no codec in common": {
			opt: CallOptions{Type: typeSDP, Body: []byte("v=0\r\no=- 1 1 IN IP4 127.0.1.10\r\ns=-\r\nc=IN IP4 127.0.1.10\r\nt=0 0\r\n" +
				"m=audio 4000 RTP/AVP 18\r\n")},
			wire: "a INVITE, b 488 INVITE, a ACK", cause: CauseRejected, status: 488, aRem: true,
		},
		"session timer, refreshed by UPDATE": {
			opt:    CallOptions{Talk: 100 * time.Second},
			change: func(a, _ *Config) { a.SessionSec = 90 },
			wire:   setup + ", a UPDATE, b 200 UPDATE, a UPDATE, b 200 UPDATE, a BYE, b 200 BYE", cause: CauseBye, bRem: true,
		},
		"422 and again": {
			opt:    CallOptions{Talk: time.Second},
			change: func(a, b *Config) { a.SessionSec, b.MinSE = 100, 200 },
			wire:   "a INVITE, b 422 INVITE, a ACK, " + setup + ", a BYE, b 200 BYE", cause: CauseBye, bRem: true,
		},
		"hold and resume": {
			opt: CallOptions{Talk: 5 * time.Second},
			act: func(g *rig, c *Call) {
				g.run(time.Second)
				g.do(func() { must(g, c.Hold()) })
				g.run(time.Second)
				if _, held := g.bob.calls.all[0].Held(); !held {
					g.t.Error("bob does not know that he is held")
				}
				g.do(func() { must(g, c.Resume()) })
				g.run(time.Second)
				if _, held := g.bob.calls.all[0].Held(); held {
					g.t.Error("bob is held yet")
				}
			},
			wire:  setup + ", a INVITE, b 200 INVITE, a ACK, a INVITE, b 200 INVITE, a ACK, a BYE, b 200 BYE",
			cause: CauseBye, bRem: true,
		},
		"glare": {
			opt: CallOptions{Talk: 15 * time.Second},
			act: func(g *rig, c *Call) {
				g.run(time.Second)
				g.do(func() {
					must(g, c.Hold())
					must(g, g.bob.calls.all[0].Hold())
				})
				g.run(10 * time.Second)
				la, ra := c.Held()
				lb, rb := g.bob.calls.all[0].Held()
				if !la || !ra || !lb || !rb {
					g.t.Errorf("held: %v %v %v %v", la, ra, lb, rb)
				}
			},
			wire: setup + ", a INVITE, b INVITE, b 491 INVITE, a 491 INVITE, a ACK, b ACK," +
				" b INVITE, a 200 INVITE, b ACK, a INVITE, b 200 INVITE, a ACK, a BYE, b 200 BYE",
			cause: CauseBye, bRem: true,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newRig(t, 1, "udp", tt.change)
			c := g.call(tt.opt)
			if tt.act != nil {
				tt.act(g, c)
			}
			g.drain()
			g.wants(tt.wire)
			g.check("a", tt.cause, tt.status, tt.aRem)
			if tt.cause != CauseRejected {
				g.check("b", tt.cause, tt.status, tt.bRem)
			}
			g.clean()
		})
	}
}

func must(g *rig, err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

// check looks at how the only call of one side ended.
func (g *rig) check(who string, cause Cause, status int, remote bool) {
	g.t.Helper()
	if len(g.ended[who]) != 1 {
		g.t.Fatalf("%s: %d calls ended; events %q, wire %q", who, len(g.ended[who]), g.events, g.wire)
	}
	e := g.ended[who][0]
	if e.Cause != cause || e.Status != status || e.Remote != remote {
		g.t.Errorf("%s: ended by %v %d remote %v, want %v %d %v", who, e.Cause, e.Status, e.Remote, cause, status, remote)
	}
}

// TestTransports has the callee hang up over each transport: its BYE finds the caller, a WebSocket client by the
// connection that it made.
func TestTransports(t *testing.T) {
	t.Parallel()
	for _, proto := range []string{"udp", "tcp", "tls", "ws", "wss"} {
		for _, sips := range []bool{false, true} {
			if sips && proto == "udp" {
				continue
			}
			t.Run(fmt.Sprintf("%s sips=%v", proto, sips), func(t *testing.T) {
				t.Parallel()
				g := newRig(t, 1, proto, func(_, b *Config) { b.Answer.Talk = time.Second })
				opt := CallOptions{}
				if sips {
					transportOf := map[string]string{"tcp": "tcp", "tls": "tcp", "ws": "ws", "wss": "ws"}[proto]
					opt.To = "sips:bob@127.0.2.10:5060;transport=" + transportOf
				}
				if sips && (proto == "tcp" || proto == "ws") {
					g.call(opt) // there is no secure listener
					g.drain()
					g.check("a", CauseTransport, 503, false)
					g.clean()
					return
				}
				g.call(opt)
				g.drain()
				g.wants("a INVITE, b 180 INVITE, b 200 INVITE, a ACK, b BYE, a 200 BYE")
				g.clean()
			})
		}
	}
}
