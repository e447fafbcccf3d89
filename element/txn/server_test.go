package txn

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/transport"
)

// respond answers the last request.
func (w *world) respond(raw string, status int) {
	w.t.Helper()
	if err := w.l.Respond(w.last, []byte(reply(w.t, raw, status, compose.Reply{}))); err != nil {
		w.note("error %v", err)
	}
}

func TestServer(t *testing.T) {
	t.Parallel()
	const branch = "z9hG4bKs1"
	invite, options := request("INVITE", branch), request("OPTIONS", branch)
	ack, cancel := ackOf(branch, "b1"), request("CANCEL", branch)
	for _, c := range []struct {
		name string
		cfg  Config
		do   func(w *world)
		want string
	}{
		{"INVITE rejected without an ACK: G is capped by T2, H", Config{}, func(w *world) {
			w.receive(transport.UDP, invite)
			w.respond(invite, 486)
			w.after(40_000)
		}, `
			0 request INVITE
			0 > 486
			500 > 486
			1500 > 486
			3500 > 486
			7500 > 486
			11500 > 486
			15500 > 486
			19500 > 486
			23500 > 486
			27500 > 486
			31500 > 486
			32000 failed data=0 no ACK in time
			32000 ended data=0`},
		{"INVITE over TCP rejected without an ACK", Config{}, func(w *world) {
			w.receive(transport.TCP, invite)
			w.respond(invite, 486)
			w.after(40_000)
		}, `
			0 request INVITE
			0 > 486
			32000 failed data=0 no ACK in time
			32000 ended data=0`},
		{"INVITE rejected: retransmissions, ACK, I", Config{}, func(w *world) {
			w.receive(transport.UDP, invite)
			w.l.SetData(w.last, 9)
			w.receive(transport.UDP, invite)
			w.respond(invite, 180)
			w.after(100)
			w.receive(transport.UDP, invite)
			w.receive(transport.UDP, ack) // too early: it acknowledges nothing
			w.respond(invite, 486)
			w.after(100)
			w.receive(transport.UDP, invite)
			w.after(100)
			w.receive(transport.UDP, ack)
			w.receive(transport.UDP, ack)
			w.receive(transport.UDP, invite)
			w.respond(invite, 486)
			w.after(10_000)
			w.respond(invite, 486)
			w.receive(transport.UDP, ack)
		}, `
			0 request INVITE
			0 > 180
			100 > 180
			100 > 486
			200 > 486
			300 error respond 486: transaction has its final response
			5300 ended data=9
			10300 error no such transaction
			10300 request ACK 0`},
		{"INVITE over TCP: I is 0", Config{}, func(w *world) {
			w.receive(transport.TCP, invite)
			w.respond(invite, 486)
			w.receive(transport.TCP, ack)
			w.after(0)
		}, `
			0 request INVITE
			0 > 486
			0 ended data=0`},
		{"INVITE accepted: retransmissions are absorbed until L (RFC 6026)", Config{}, func(w *world) {
			w.receive(transport.UDP, invite)
			w.respond(invite, 200)
			w.after(400)
			w.receive(transport.UDP, invite)
			w.respond(invite, 200) // by the user, who retransmits it
			w.respond(invite, 486)
			w.receive(transport.UDP, ackOf("z9hG4bKother", "b1"))
			w.receive(transport.UDP, ack) // some peers use the INVITE's branch
			w.after(40_000)
			w.receive(transport.UDP, invite)
		}, `
			0 request INVITE
			0 > 200
			400 > 200
			400 error respond 486: transaction has its final response
			400 request ACK 0
			400 request ACK 0
			32000 ended data=0
			40400 request INVITE`},
		{"100 after 200 ms", Config{Trying: true}, func(w *world) {
			w.receive(transport.UDP, invite)
			w.after(1000)
			w.receive(transport.UDP, invite)
			w.respond(invite, 180)
			w.receive(transport.UDP, invite)
		}, `
			0 request INVITE
			200 > 100
			1000 > 100
			1000 > 180
			1000 > 180`},
		{"no 100 when the user answers within 200 ms", Config{Trying: true}, func(w *world) {
			w.receive(transport.UDP, invite)
			w.after(199)
			w.respond(invite, 180)
			w.after(1000)
		}, `
			0 request INVITE
			199 > 180`},
		{"OPTIONS: retransmissions, J", Config{}, func(w *world) {
			w.receive(transport.UDP, options)
			w.l.SetData(w.last, 9)
			w.receive(transport.UDP, options)
			w.respond(options, 100)
			w.receive(transport.UDP, options)
			w.respond(options, 200)
			w.receive(transport.UDP, options)
			w.respond(options, 500)
			w.after(31_999)
			w.receive(transport.UDP, options)
			w.after(1)
		}, `
			0 request OPTIONS
			0 > 100
			0 > 100
			0 > 200
			0 > 200
			0 error respond 500: transaction has its final response
			31999 > 200
			32000 ended data=9`},
		{"OPTIONS over TCP: J is 0", Config{}, func(w *world) {
			w.receive(transport.TCP, options)
			w.respond(options, 200)
			w.after(0)
		}, `
			0 request OPTIONS
			0 > 200
			0 ended data=0`},
		{"OPTIONS answered too late: nothing is sent (RFC 4320)", Config{}, func(w *world) {
			w.receive(transport.UDP, options)
			w.after(32_001)
			w.respond(options, 200)
			w.receive(transport.UDP, options)
			w.after(31_999)
			w.after(1)
		}, `
			0 request OPTIONS
			3500 > 100
			64000 ended data=0`},
		{"OPTIONS with a provisional answer: late is 64*T1 after the request", Config{}, func(w *world) {
			w.receive(transport.UDP, options)
			w.respond(options, 100)
			w.after(31_999)
			w.receive(transport.UDP, options)
			w.respond(options, 200)
		}, `
			0 request OPTIONS
			0 > 100
			31999 > 100
			31999 > 200`},
		{"OPTIONS with a provisional answer over TCP, and none else", Config{}, func(w *world) {
			w.receive(transport.TCP, options)
			w.after(3_000)
			w.respond(options, 100)
			w.after(29_000)
			w.respond(options, 200)
			w.after(0)
		}, `
			0 request OPTIONS
			3000 > 100
			32000 ended data=0
			32000 error no such transaction`},
		{"CANCEL of an INVITE", Config{}, func(w *world) {
			w.receive(transport.UDP, invite)
			w.l.SetData(w.last, 9)
			w.respond(invite, 180)
			w.receive(transport.UDP, cancel)
			w.receive(transport.UDP, cancel)
			w.respond(invite, 487)
			w.receive(transport.UDP, ack)
			w.after(5000)
			w.receive(transport.UDP, cancel)
			w.after(40_000)
		}, `
			0 request INVITE
			0 > 180
			0 > 200
			0 cancel data=9
			0 > 200
			0 > 487
			5000 ended data=9
			5000 > 200`},
		{"CANCEL that comes too late", Config{}, func(w *world) {
			w.receive(transport.UDP, invite)
			w.respond(invite, 200)
			w.receive(transport.UDP, cancel)
		}, `
			0 request INVITE
			0 > 200
			0 > 200`},
		{"CANCEL of an OPTIONS has no effect", Config{}, func(w *world) {
			w.receive(transport.UDP, options)
			w.receive(transport.UDP, cancel)
			w.respond(options, 200)
		}, `
			0 request OPTIONS
			0 > 200
			0 > 200`},
		{"CANCEL of nothing", Config{}, func(w *world) {
			w.receive(transport.UDP, cancel)
			w.receive(transport.UDP, cancel)
		}, `
			0 > 481
			0 > 481`},
		{"CANCEL of nothing at a proxy", Config{StrayCancel: true}, func(w *world) {
			w.receive(transport.UDP, cancel)
		}, `
			0 request CANCEL 0`},
		{"the link fails: the transaction goes on (RFC 6026)", Config{}, func(w *world) {
			w.receive(transport.UDP, options)
			w.respond(options, 100)
			w.l.Failed(hop(transport.UDP), uint64(w.last), errLink)
			w.respond(options, 200)
			w.l.Failed(hop(transport.UDP), uint64(w.last), errLink)
			w.receive(transport.UDP, options)
		}, `
			0 request OPTIONS
			0 > 100
			0 failed data=0 link down
			0 > 200
			0 failed data=0 link down
			0 > 200`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.cfg)
			c.do(w)
			if diff := cmp.Diff(lines(c.want), w.take()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestResent holds that what is sent again is the same to the byte, though it is kept as a delta.
func TestResent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	options := request("OPTIONS", "z9hG4bKr1")
	w.receive(transport.UDP, options)
	ok := reply(t, options, 200, compose.Reply{
		Headers:     []compose.Header{{ID: sip.HeaderAllow, Value: "INVITE, ACK"}, {Name: "X-Odd", Value: "a\r\n b"}},
		ContentType: "application/sdp", Body: []byte("v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\n"),
	})
	if err := w.l.Respond(w.last, []byte(ok)); err != nil {
		t.Fatal(err)
	}
	w.receive(transport.UDP, options)
	// A client that changes a value that is not repeated, as a Date is, still gets its answer.
	w.receive(transport.UDP, strings.Replace(options, "Max-Forwards: 70", "Max-Forwards: 69", 1))
	// Another message of the same key gets none.
	w.receive(transport.UDP, strings.Replace(options, "Max-Forwards: 70", "Subject: 70", 1))
	if len(w.sent) != 3 {
		t.Fatalf("%d messages, want 3", len(w.sent))
	}
	for _, s := range w.sent {
		if diff := cmp.Diff(ok, s.raw); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if want := hop(transport.UDP); s.hop != want {
			t.Errorf("sent to %+v, want %+v", s.hop, want)
		}
	}
	// A client whose connection broke gets the answer on the new one.
	w = newWorld(t, Config{})
	invite := request("INVITE", "z9hG4bKr2")
	w.receive(transport.TCP, invite)
	w.respond(invite, 180)
	var m sip.Message
	if err := sip.Parse([]byte(invite), &m); err != nil {
		t.Fatal(err)
	}
	again := hop(transport.TCP)
	again.Conn = 8
	w.l.Receive(&transport.Received{Msg: &m, Hop: again})
	if n := len(w.sent); n != 2 || w.sent[1].hop.Conn != 8 {
		t.Errorf("%d messages, the last to %+v", n, w.sent[n-1].hop)
	}
}

// TestRequest holds what a user can ask of a server transaction.
func TestRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	invite := strings.Replace(request("INVITE", "z9hG4bKq1"), ";rport", "", 1) // answered to 5062 as its Via says
	var m sip.Message
	if err := sip.Parse([]byte(invite), &m); err != nil {
		t.Fatal(err)
	}
	from := hop(transport.UDP)
	from.Remote = there2
	w.l.Receive(&transport.Received{Msg: &m, Hop: from})
	raw, got, ok := w.l.Request(w.last)
	if !ok || string(raw) != invite || got != from {
		t.Errorf("Request: %q from %+v, %v", raw, got, ok)
	}
	w.respond(invite, 486)
	if w.sent[0].hop.Remote.Port() != 5062 {
		t.Errorf("answered to %v", w.sent[0].hop.Remote)
	}
	if _, _, ok = w.l.Request(w.last); ok {
		t.Error("the request is kept after the final response")
	}
	if err := w.l.Respond(w.last, []byte("SIP/2.0 20x OK\r\n")); !errors.Is(err, ErrMessage) {
		t.Errorf("Respond with no response: %v", err)
	}
	w.l.SetData(12345, 1)
	if w.l.Link() != transport.Link(w) {
		t.Error("another link")
	}
}

func TestMerged(t *testing.T) {
	t.Parallel()
	one := request("OPTIONS", "z9hG4bKone")
	two := strings.Replace(one, "branch=z9hG4bKone", "branch=z9hG4bKtwo", 1)
	inviteOne := strings.ReplaceAll(one, "OPTIONS", "INVITE")
	inviteTwo := strings.ReplaceAll(two, "OPTIONS", "INVITE")
	for _, c := range []struct {
		name  string
		cfg   Config
		first string
		done  int // the answer to the first one, which comes before the second; 0: none
		next  string
		want  string
	}{
		{"a copy", Config{}, one, 0, two, "0 request OPTIONS\n0 > 482"},
		{"a copy at a proxy", Config{Merged: true}, one, 0, two, "0 request OPTIONS\n0 request OPTIONS"},
		{"a copy of one that rings", Config{}, inviteOne, 180, inviteTwo, "0 request INVITE\n0 > 180\n0 > 482"},
		{"a copy of one that succeeded", Config{}, one, 200, two, "0 request OPTIONS\n0 > 200\n0 > 482"},
		{"a copy of a call", Config{}, inviteOne, 200, inviteTwo, "0 request INVITE\n0 > 200\n0 > 482"},
		{"a copy of one that succeeded at a proxy", Config{Merged: true}, one, 200, two, "0 request OPTIONS\n0 > 200\n0 request OPTIONS"},
		{"another try after a failure", Config{}, one, 503, two, "0 request OPTIONS\n0 > 503\n0 request OPTIONS"},
		{"another try of a call", Config{}, inviteOne, 486, inviteTwo, "0 request INVITE\n0 > 486\n0 request INVITE"},
		{
			"another CSeq",
			Config{},
			one, 0, strings.Replace(two, "CSeq: 1", "CSeq: 2", 1),
			"0 request OPTIONS\n0 request OPTIONS",
		},
		{
			"another Call-ID",
			Config{},
			one, 0, strings.Replace(two, "Call-ID: ", "Call-ID: x", 1),
			"0 request OPTIONS\n0 request OPTIONS",
		},
		{
			"another From tag",
			Config{},
			one, 0, strings.Replace(two, "tag=a1", "tag=a2", 1),
			"0 request OPTIONS\n0 request OPTIONS",
		},
		{
			"in a dialog",
			Config{},
			strings.Replace(one, "192.0.2.1>\r\n", "192.0.2.1>;tag=b\r\n", 1), 0,
			strings.Replace(two, "192.0.2.1>\r\n", "192.0.2.1>;tag=b\r\n", 1), "0 request OPTIONS\n0 request OPTIONS",
		},
	} {
		w := newWorld(t, c.cfg)
		w.receive(transport.UDP, c.first)
		if c.done != 0 {
			w.respond(c.first, c.done)
		}
		w.receive(transport.UDP, c.next)
		if diff := cmp.Diff(c.want, w.take()); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", c.name, diff)
		}
	}
	// When the transaction of one that succeeded has ended, nothing is known of it.
	w := newWorld(t, Config{})
	w.receive(transport.UDP, one)
	w.respond(one, 200)
	w.after(32_000)
	w.receive(transport.UDP, two)
	if diff := cmp.Diff("0 request OPTIONS\n0 > 200\n32000 ended data=0\n32000 request OPTIONS", w.take()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{Limit: 2, Server: "sipscope"})
	for i := range 3 {
		w.receive(transport.UDP, request("INVITE", fmt.Sprintf("z9hG4bK%d", i)))
	}
	refused := w.sent[0].raw
	w.receive(transport.UDP, request("INVITE", "z9hG4bK2"))
	if w.sent[1].raw != refused || !strings.Contains(refused, "\r\nRetry-After: ") ||
		!strings.Contains(refused, "\r\nServer: sipscope\r\n") {
		t.Errorf("refused by %q, then %q", refused, w.sent[1].raw)
	}
	var m sip.Message
	if err := sip.Parse([]byte(refused), &m); err != nil {
		t.Fatal(err)
	}
	w.receive(transport.UDP, ackOf("z9hG4bK2", string(m.To.Tag.Of(m.Raw)))) // is absorbed without state
	w.receive(transport.UDP, request("CANCEL", "z9hG4bK1"))                 // relieves, and is let in
	want := "0 request INVITE\n0 request INVITE\n0 > 503\n0 > 503\n0 > 200\n0 cancel data=0"
	if diff := cmp.Diff(want, w.take()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if s := w.l.Stats(); s.Refused != 2 || s.OpenOf(ServerInvite) != 2 || s.Absorbed != 1 {
		t.Errorf("%+v", s)
	}
	// The same for memory: a chunk is taken by the first request.
	w = newWorld(t, Config{Memory: 1})
	w.receive(transport.UDP, request("OPTIONS", "z9hG4bK0"))
	w.receive(transport.UDP, request("OPTIONS", "z9hG4bK1"))
	if diff := cmp.Diff("0 request OPTIONS\n0 > 503", w.take()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestCrowd holds that one branch cannot be used for ever more transactions, which a search would have to pass.
func TestCrowd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, Config{})
	w.quiet = true
	for i := range 200 {
		w.receive(transport.UDP, request(fmt.Sprintf("M%d", i), "z9hG4bKsame"))
		w.receive(transport.UDP, strings.Replace(request("OPTIONS", "old"), "192.0.2.1>\r\n", fmt.Sprintf("192.0.2.1>;tag=%d\r\n", i), 1))
	}
	if s := w.l.Stats(); s.OpenOf(Server) != 2*crowd || s.Refused != 2*(200-crowd) {
		t.Errorf("%+v", s)
	}
	w.receive(transport.UDP, request("M0", "z9hG4bKsame"))
	if w.l.Stats().Absorbed != 1 {
		t.Error("a retransmission is not found in a crowd")
	}
}

// TestCancelFlood holds that CANCELs of one INVITE, which To tags without the magic cookie make different, stay within the
// limits, whichever is reached first; that each is answered, and the user told once.
func TestCancelFlood(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		limit, most int
	}{
		{10, 10},
		{1000, crowd},
	} {
		w := newWorld(t, Config{Limit: c.limit, StrayCancel: true})
		invite := strings.Replace(request("INVITE", "old"), ";rport", "", 1)
		w.receive(transport.UDP, invite)
		cancel := strings.ReplaceAll(invite, "INVITE", "CANCEL")
		for i := range 100 {
			w.receive(transport.UDP, strings.Replace(cancel, "192.0.2.1>\r\n", fmt.Sprintf("192.0.2.1>;tag=%d\r\n", i), 1))
		}
		want := "0 request INVITE\n0 > 200\n0 cancel data=0" + strings.Repeat("\n0 > 200", 99)
		if diff := cmp.Diff(want, w.take()); diff != "" {
			t.Errorf("limit %d: (-want +got)\n%s", c.limit, diff)
		}
		if s := w.l.Stats(); s.OpenOf(Server)+s.OpenOf(ServerInvite) != c.most {
			t.Errorf("limit %d: %+v", c.limit, s)
		}
	}
	// Full by other requests: the same answer to each copy, without state.
	w := newWorld(t, Config{Limit: 1})
	w.receive(transport.UDP, request("INVITE", "z9hG4bKone"))
	for range 3 {
		w.receive(transport.UDP, request("CANCEL", "z9hG4bKone"))
	}
	if diff := cmp.Diff("0 request INVITE\n0 > 200\n0 cancel data=0\n0 > 200\n0 > 200", w.take()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if w.sent[0].raw != w.sent[1].raw || w.sent[1].raw != w.sent[2].raw {
		t.Errorf("answers differ: %q, %q", w.sent[0].raw, w.sent[1].raw)
	}
}

// TestRFC2543 holds the matching of peers without the magic cookie (RFC 3261 17.2.3).
func TestRFC2543(t *testing.T) {
	t.Parallel()
	old := func(method, totag, uri string) string {
		raw := strings.Replace(request(method, "1"), ";branch=1;rport", "", 1)
		if totag != "" {
			raw = strings.Replace(raw, "192.0.2.1>\r\n", "192.0.2.1>;tag="+totag+"\r\n", 1)
		}
		return strings.Replace(raw, " sip:bob@192.0.2.1 ", " "+uri+" ", 1)
	}
	const uri = "sip:bob@192.0.2.1"
	invite := old("INVITE", "", uri)
	for _, c := range []struct {
		name string
		do   func(w *world)
		want string
	}{
		{"retransmission", func(w *world) {
			w.receive(transport.UDP, invite)
		}, "0 > 486"},
		{"another Request-URI", func(w *world) {
			w.receive(transport.UDP, strings.Replace(invite, uri, "sip:eve@192.0.2.1", 1))
		}, "0 request INVITE"},
		{"another To tag", func(w *world) {
			w.receive(transport.UDP, old("INVITE", "b1", uri))
		}, "0 request INVITE"},
		{"another From tag", func(w *world) {
			w.receive(transport.UDP, strings.Replace(invite, "tag=a1", "tag=a2", 1))
		}, "0 request INVITE"},
		{"another Call-ID", func(w *world) {
			w.receive(transport.UDP, strings.Replace(invite, "Call-ID: 1", "Call-ID: 2", 1))
		}, "0 request INVITE"},
		{"ACK", func(w *world) {
			w.receive(transport.UDP, old("ACK", "b1", uri))
			w.after(40_000)
		}, "5000 ended data=0"},
		{"ACK of another response", func(w *world) {
			w.receive(transport.UDP, old("ACK", "b2", uri))
		}, "0 request ACK 0"},
		{"CANCEL", func(w *world) {
			w.receive(transport.UDP, old("CANCEL", "", uri))
		}, "0 > 200"},
		{"CANCEL of another", func(w *world) {
			w.receive(transport.UDP, old("CANCEL", "", "sip:eve@192.0.2.1"))
		}, "0 > 481"},
	} {
		w := newWorld(t, Config{Merged: true})
		w.receive(transport.UDP, invite)
		w.respond(invite, 486)
		w.take()
		c.do(w)
		if got := w.take(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	// A 2xx: the ACK, which may look like the INVITE's, is the user's.
	w := newWorld(t, Config{})
	w.receive(transport.UDP, invite)
	w.respond(invite, 200)
	w.receive(transport.UDP, old("ACK", "b1", uri))
	if diff := cmp.Diff("0 request INVITE\n0 > 200\n0 request ACK 0", w.take()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
