package txn

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sipscope/element/compose"
	"sipscope/element/transport"
)

// ours is a request of here: what the client transactions of the tests send.
func ours(method, branch string) string { return request(method, branch) }

func (w *world) mustSend(proto transport.Proto, raw string, data uint64) ID {
	w.t.Helper()
	id, err := w.l.Send(hop(proto), []byte(raw), data)
	if err != nil || id == 0 {
		w.t.Fatalf("Send: id %d, %v", id, err)
	}
	w.ids[id] = true
	return id
}

func TestClient(t *testing.T) {
	t.Parallel()
	const branch = "z9hG4bKc1"
	invite, options := ours("INVITE", branch), ours("OPTIONS", branch)
	status := func(raw string, code int) string { return reply(t, raw, code, compose.Reply{}) }
	for _, c := range []struct {
		name  string
		proto transport.Proto
		do    func(w *world)
		want  string
	}{
		{"INVITE without an answer: A doubles, B", transport.UDP, func(w *world) {
			w.mustSend(transport.UDP, invite, 5)
			w.after(40_000)
		}, `
			0 > INVITE
			500 > INVITE
			1500 > INVITE
			3500 > INVITE
			7500 > INVITE
			15500 > INVITE
			31500 > INVITE
			32000 failed data=5 no final response in time
			32000 ended data=5`},
		{"INVITE over TCP without an answer", transport.TCP, func(w *world) {
			w.mustSend(transport.TCP, invite, 5)
			w.after(40_000)
		}, `
			0 > INVITE
			32000 failed data=5 no final response in time
			32000 ended data=5`},
		{"OPTIONS without an answer: E is capped by T2, F", transport.UDP, func(w *world) {
			w.mustSend(transport.UDP, options, 5)
			w.after(40_000)
		}, `
			0 > OPTIONS
			500 > OPTIONS
			1500 > OPTIONS
			3500 > OPTIONS
			7500 > OPTIONS
			11500 > OPTIONS
			15500 > OPTIONS
			19500 > OPTIONS
			23500 > OPTIONS
			27500 > OPTIONS
			31500 > OPTIONS
			32000 failed data=5 no final response in time
			32000 ended data=5`},
		{"OPTIONS that proceeds: E is T2", transport.UDP, func(w *world) {
			w.mustSend(transport.UDP, options, 5)
			w.after(100)
			w.receive(transport.UDP, status(options, 100))
			w.after(40_000)
		}, `
			0 > OPTIONS
			100 response 100 data=5
			500 > OPTIONS
			4500 > OPTIONS
			8500 > OPTIONS
			12500 > OPTIONS
			16500 > OPTIONS
			20500 > OPTIONS
			24500 > OPTIONS
			28500 > OPTIONS
			32000 failed data=5 no final response in time
			32000 ended data=5`},
		{"OPTIONS answered: K absorbs", transport.UDP, func(w *world) {
			w.mustSend(transport.UDP, options, 5)
			w.after(600)
			w.receive(transport.UDP, status(options, 200))
			w.after(10)
			w.receive(transport.UDP, status(options, 200))
			w.after(40_000)
			w.receive(transport.UDP, status(options, 200))
		}, `
			0 > OPTIONS
			500 > OPTIONS
			600 response 200 data=5
			5600 ended data=5
			40610 response 200 data=0 0`},
		{"OPTIONS over TCP answered: K is 0", transport.TCP, func(w *world) {
			w.mustSend(transport.TCP, options, 5)
			w.after(600)
			w.receive(transport.TCP, status(options, 200))
			w.after(0)
		}, `
			0 > OPTIONS
			600 response 200 data=5
			600 ended data=5`},
		{"INVITE rejected: ACK, D absorbs and acknowledges", transport.UDP, func(w *world) {
			w.mustSend(transport.UDP, invite, 5)
			w.receive(transport.UDP, status(invite, 100))
			w.after(1000)
			w.receive(transport.UDP, status(invite, 180))
			w.after(1000)
			w.receive(transport.UDP, status(invite, 486))
			w.after(500)
			w.receive(transport.UDP, status(invite, 486))
			w.receive(transport.UDP, status(invite, 180))
			w.receive(transport.UDP, status(invite, 200))
			w.after(40_000)
		}, `
			0 > INVITE
			0 response 100 data=5
			1000 response 180 data=5
			2000 > ACK
			2000 response 486 data=5
			2500 > ACK
			34000 ended data=5`},
		{"INVITE over TCP rejected", transport.TCP, func(w *world) {
			w.mustSend(transport.TCP, invite, 5)
			w.receive(transport.TCP, status(invite, 486))
			w.after(0)
		}, `
			0 > INVITE
			0 > ACK
			0 response 486 data=5
			0 ended data=5`},
		{"INVITE accepted: each 2xx is passed until M (RFC 6026)", transport.UDP, func(w *world) {
			w.mustSend(transport.UDP, invite, 5)
			w.receive(transport.UDP, status(invite, 200))
			w.after(500)
			w.receive(transport.UDP, status(invite, 200))
			w.receive(transport.UDP, reply(t, invite, 200, compose.Reply{ToTag: "other"}))
			w.receive(transport.UDP, status(invite, 486))
			w.after(40_000)
			w.receive(transport.UDP, status(invite, 200))
		}, `
			0 > INVITE
			0 response 200 data=5
			500 response 200 data=5
			500 response 200 data=5
			32000 ended data=5
			40500 response 200 data=0 0`},
		{"INVITE that rings for long is not timed out", transport.UDP, func(w *world) {
			w.mustSend(transport.UDP, invite, 5)
			w.receive(transport.UDP, status(invite, 180))
			w.after(600_000)
			w.receive(transport.UDP, status(invite, 408))
		}, `
			0 > INVITE
			0 response 180 data=5
			600000 > ACK
			600000 response 408 data=5`},
		{"CANCEL waits for a provisional response", transport.UDP, func(w *world) {
			id := w.mustSend(transport.UDP, invite, 5)
			w.after(100)
			if err := w.l.Cancel(id, ""); err != nil {
				t.Error(err)
			}
			w.after(500)
			w.receive(transport.UDP, status(invite, 180))
			cancel := w.sent[len(w.sent)-1].raw
			w.receive(transport.UDP, status(cancel, 200))
			w.after(100)
			w.receive(transport.UDP, status(invite, 487))
			w.after(40_000)
		}, `
			0 > INVITE
			500 > INVITE
			600 > CANCEL
			600 response 180 data=5
			700 > ACK
			700 response 487 data=5
			32700 ended data=5`},
		{"CANCEL goes at once, and nothing comes of it", transport.UDP, func(w *world) {
			id := w.mustSend(transport.UDP, invite, 5)
			w.receive(transport.UDP, status(invite, 180))
			if err := errors.Join(w.l.Cancel(id, ""), w.l.Cancel(id, "")); err != nil {
				t.Error(err)
			}
			w.receive(transport.UDP, status(w.sent[len(w.sent)-1].raw, 481))
			w.after(10_000)
			w.receive(transport.UDP, status(invite, 183))
			w.after(40_000)
		}, `
			0 > INVITE
			0 response 180 data=5
			0 > CANCEL
			10000 response 183 data=5
			32000 failed data=5 no final response in time
			32000 ended data=5`},
		{"CANCEL is retransmitted like any request", transport.TLS, func(w *world) {
			id := w.mustSend(transport.UDP, invite, 5)
			w.receive(transport.UDP, status(invite, 180))
			if err := w.l.Cancel(id, `SIP;cause=200;text="Call completed elsewhere"`); err != nil {
				t.Error(err)
			}
			if raw := w.sent[len(w.sent)-1].raw; !strings.Contains(raw, "\r\nReason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n") {
				t.Errorf("no Reason in %q", raw)
			}
			w.after(2000)
			w.receive(transport.UDP, status(invite, 200))
			w.after(1000)
		}, `
			0 > INVITE
			0 response 180 data=5
			0 > CANCEL
			500 > CANCEL
			1500 > CANCEL
			2000 response 200 data=5`},
		{"no CANCEL once the final response is there", transport.UDP, func(w *world) {
			id := w.mustSend(transport.UDP, invite, 5)
			if err := w.l.Cancel(id, "SIP;cause=200"); err != nil {
				t.Error(err)
			}
			w.receive(transport.UDP, status(invite, 200))
			if err := w.l.Cancel(id, ""); err != nil {
				t.Error(err)
			}
			w.after(1000)
		}, `
			0 > INVITE
			0 response 200 data=5`},
		{"the link fails", transport.TCP, func(w *world) {
			id := w.mustSend(transport.TCP, invite, 5)
			w.l.Failed(hop(transport.TCP), uint64(id), errLink)
			w.l.Failed(hop(transport.TCP), uint64(id), errLink)
			id = w.mustSend(transport.UDP, options, 6)
			w.receive(transport.UDP, status(options, 100))
			w.l.Failed(hop(transport.UDP), uint64(id), errLink)
			w.after(1000)
		}, `
			0 > INVITE
			0 failed data=5 link down
			0 ended data=5
			0 > OPTIONS
			0 response 100 data=6
			0 failed data=6 link down
			0 ended data=6`},
		{"a link error after a provisional response is late news", transport.UDP, func(w *world) {
			id := w.mustSend(transport.UDP, invite, 5)
			w.receive(transport.UDP, status(invite, 180))
			w.l.Failed(hop(transport.UDP), uint64(id), errLink)
			w.receive(transport.UDP, status(invite, 486))
			w.l.Failed(hop(transport.UDP), uint64(id), errLink)
		}, `
			0 > INVITE
			0 response 180 data=5
			0 > ACK
			0 response 486 data=5
			0 failed data=5 link down
			0 ended data=5`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, Config{})
			c.do(w)
			if diff := cmp.Diff(lines(c.want), w.take()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestAck holds the ACK of RFC 3261 17.1.1.3, the same each time.
func TestAck(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	invite := strings.Replace(ours("INVITE", "z9hG4bKa1"), "Max-", "Route: <sip:p1.example.com;lr>\r\nMax-", 1)
	w.mustSend(transport.UDP, invite, 0)
	busy := reply(t, invite, 486, compose.Reply{ToTag: "busy"})
	w.receive(transport.UDP, busy)
	w.receive(transport.UDP, busy)
	want := "ACK sip:bob@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2:5062;branch=z9hG4bKa1;rport\r\nMax-Forwards: 70\r\n" +
		"Route: <sip:p1.example.com;lr>\r\nFrom: Alice <sip:alice@192.0.2.2>;tag=a1\r\nTo: <sip:bob@192.0.2.1>;tag=busy\r\n" +
		"Call-ID: z9hG4bKa1@192.0.2.2\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n"
	if len(w.sent) != 3 {
		t.Fatalf("%d messages, want INVITE and two ACKs", len(w.sent))
	}
	for _, s := range w.sent[1:] {
		if diff := cmp.Diff(want, s.raw); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if s.hop != hop(transport.UDP) {
			t.Errorf("sent to %+v", s.hop)
		}
	}
	// What is not that response makes no ACK.
	w.receive(transport.UDP, strings.Replace(busy, "CSeq: 1 INVITE\r\n", "CSeq: 1 INVITE\r\nX: y\r\n", 1))
	if len(w.sent) != 3 {
		t.Errorf("ACK %q", w.sent[3].raw)
	}
}

func TestSendErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{Clients: 2})
	for _, c := range []struct {
		name, raw string
		want      error
	}{
		{"nothing", "", ErrMessage},
		{"ACK", ours("ACK", "z9hG4bKx"), ErrMessage},
		{"response", reply(t, ours("INVITE", "z9hG4bKx"), 200, compose.Reply{}), ErrMessage},
		{"no Via", "OPTIONS sip:b SIP/2.0\r\nCSeq: 1 OPTIONS\r\nCall-ID: 1\r\n\r\n", ErrMessage},
		{"no CSeq", "OPTIONS sip:b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nCall-ID: 1\r\n\r\n", ErrMessage},
	} {
		if _, err := w.l.Send(hop(transport.UDP), []byte(c.raw), 0); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	id := w.mustSend(transport.UDP, ours("OPTIONS", "z9hG4bK1"), 0)
	if _, err := w.l.Send(hop(transport.UDP), []byte(ours("OPTIONS", "z9hG4bK1")), 0); !errors.Is(err, ErrBranch) {
		t.Errorf("the same again: %v, want %v", err, ErrBranch)
	}
	if err := w.l.Cancel(id, ""); !errors.Is(err, ErrKind) {
		t.Errorf("Cancel of OPTIONS: %v, want %v", err, ErrKind)
	}
	if err := w.l.Cancel(77, ""); !errors.Is(err, ErrGone) {
		t.Errorf("Cancel of nothing: %v, want %v", err, ErrGone)
	}
	if err := w.l.Respond(id, []byte(reply(t, ours("OPTIONS", "z9hG4bK1"), 200, compose.Reply{}))); !errors.Is(err, ErrKind) {
		t.Errorf("Respond to what was sent: %v, want %v", err, ErrKind)
	}
	w.mustSend(transport.UDP, ours("INVITE", "z9hG4bK1"), 0) // another method, another transaction
	if _, err := w.l.Send(hop(transport.UDP), []byte(ours("OPTIONS", "z9hG4bK3")), 0); !errors.Is(err, ErrLimit) {
		t.Errorf("over the limit: %v, want %v", err, ErrLimit)
	}
}

// TestCancelAtLimit holds that a CANCEL goes out when no other request may, once for each INVITE.
func TestCancelAtLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{Clients: 2})
	var ids []ID
	for i := range 2 {
		raw := ours("INVITE", fmt.Sprintf("z9hG4bK%d", i))
		ids = append(ids, w.mustSend(transport.UDP, raw, 0))
		w.receive(transport.UDP, reply(t, raw, 180, compose.Reply{}))
	}
	for range 3 {
		for _, id := range ids {
			if err := w.l.Cancel(id, ""); err != nil {
				t.Error(err)
			}
		}
	}
	if s := w.l.Stats(); s.OpenOf(Client) != 2 || s.OpenOf(ClientInvite) != 2 || s.Refused != 0 {
		t.Errorf("%+v", s)
	}
	if _, err := w.l.Send(hop(transport.UDP), []byte(ours("OPTIONS", "z9hG4bK9")), 0); !errors.Is(err, ErrLimit) {
		t.Errorf("over the limit: %v, want %v", err, ErrLimit)
	}
}

// TestClientMatching holds what a response must have of its request (RFC 3261 17.1.3).
func TestClientMatching(t *testing.T) {
	t.Parallel()
	raw := ours("OPTIONS", "z9hG4bKm1")
	ok := reply(t, raw, 200, compose.Reply{})
	for _, c := range []struct {
		name, old, new string
		match          bool
	}{
		{"as it is", "200 OK", "200 OK", true},
		{"branch in upper case", "z9hG4bKm1", "Z9HG4BKM1", true},
		{"another branch", "branch=z9hG4bKm1", "branch=z9hG4bKm2", false},
		{"another sent-by", "UDP 192.0.2.2:5062", "UDP 192.0.2.3:5062", false},
		{"another method", "1 OPTIONS", "1 INVITE", false},
		{"another number", "1 OPTIONS", "2 OPTIONS", false},
		{"another To", "sip:bob", "sip:eve", true},
	} {
		w := newWorld(t, Config{})
		w.mustSend(transport.UDP, raw, 5)
		w.take()
		w.receive(transport.UDP, strings.ReplaceAll(ok, c.old, c.new))
		want := "0 response 200 data=5"
		if !c.match {
			want = "0 response 200 data=0 0"
		}
		if got := w.take(); got != want {
			t.Errorf("%s: %s, want %s", c.name, got, want)
		}
	}
	// A client that is of RFC 2543 by its branch.
	w := newWorld(t, Config{})
	old := ours("OPTIONS", "1")
	w.mustSend(transport.UDP, old, 5)
	w.receive(transport.UDP, strings.Replace(reply(t, old, 200, compose.Reply{}), "tag=a1", "tag=a2", 1))
	w.receive(transport.UDP, reply(t, old, 200, compose.Reply{}))
	if diff := cmp.Diff(lines("0 > OPTIONS\n0 response 200 data=0 0\n0 response 200 data=5"), w.take()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
