package hostile

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sipscope/decode/sip"
	"sipscope/element/transport"
	"sipscope/element/txn"
	"sipscope/element/ua"
)

// sends notes when one end sends what.
type sends struct {
	from  netip.AddrPort
	begin string // of the first line, or "STATUS METHOD"
	times []int64
}

func (s *sends) Message(now int64, _ transport.Proto, _ uint64, src, _ netip.AddrPort, raw []byte) {
	line := startLine(raw)
	if m := new(sip.Message); strings.HasPrefix(line, "SIP/2.0 ") && sip.Parse(raw, m) == nil {
		line = fmt.Sprintf("%d %s", m.Status, m.CSeqMethod.Of(m.Raw))
	}
	if src.Addr() == s.from.Addr() && strings.HasPrefix(line, s.begin) {
		s.times = append(s.times, now)
	}
}

// schedule is when something is sent: at 0, then after intervals that double from first up to limit, before end.
func schedule(first, limit, end int64) (at []int64) {
	for t, d := int64(0), first; t < end; t, d = t+d, min(2*d, limit) {
		at = append(at, t)
	}
	return at
}

// TestTable4 has one row for each timer of RFC 3261 table 4 and RFC 6026: what is sent, when, and when the transaction
// is gone, all seen from outside, with the usual times, others, and over TCP.
func TestTable4(t *testing.T) {
	single(t)
	t.Parallel()
	for _, times := range []txn.Config{{}, {T1: 100 * ms, T2: 300 * ms, T4: 700 * ms}} {
		for _, proto := range []string{"udp", "tcp"} {
			for _, row := range table4 {
				if row.udp && proto == "tcp" {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/T1=%v", row.name, proto, time.Duration(times.T1)), func(t *testing.T) {
					t.Parallel()
					row.test(t, proto, times)
				})
			}
		}
	}
}

const forever = int64(1) << 60

// timerRow is a row of the table.
type timerRow struct {
	name   string
	method string                  // of alice's
	answer ua.Answer               // of bob to an INVITE
	lose   func(*sip.Message) bool // what gets lost over UDP
	sender string                  // whose messages are looked at
	begin  string                  // which
	want   func(r *times) []int64
	kind   txn.Kind // whose end is looked at, at end
	at     string
	end    func(r *times) int64 // from the first of those messages
	mute   string               // who says nothing over TCP, where nothing gets lost
	udp    bool                 // only there
	talk   time.Duration
}

// times are T1 and so on.
type times struct {
	t1, t2, t4 int64
	tcp        bool
}

// only is d over UDP, and 0 over TCP (timers D, I, J, K).
func (r *times) only(d int64) int64 {
	if r.tcp {
		return 0
	}
	return d
}

// resent is a schedule over UDP, and once over TCP.
func (r *times) resent(first, limit, end int64) []int64 {
	if r.tcp {
		return []int64{0}
	}
	return schedule(first, limit, end)
}

// none has all requests of a method lost.
func none(method string) func(*sip.Message) bool {
	return func(m *sip.Message) bool { return m.Request && string(m.Method.Of(m.Raw)) == method }
}

var table4 = []timerRow{
	{ // A doubles without end, B is 64*T1
		name: "A and B: INVITE without answer", method: "INVITE", lose: none("INVITE"), mute: bobAddr, sender: aliceAddr, begin: "INVITE",
		want: func(r *times) []int64 { return r.resent(r.t1, forever, 64*r.t1) },
		kind: txn.ClientInvite, at: aliceAddr, end: func(r *times) int64 { return 64 * r.t1 },
	},
	{ // E doubles up to T2, F is 64*T1
		name: "E and F: OPTIONS without answer", method: "OPTIONS", lose: none("OPTIONS"), mute: bobAddr, sender: aliceAddr, begin: "OPTIONS",
		want: func(r *times) []int64 { return r.resent(r.t1, r.t2, 64*r.t1) },
		kind: txn.Client, at: aliceAddr, end: func(r *times) int64 { return 64 * r.t1 },
	},
	{ // G doubles up to T2, H is 64*T1: then the transaction is gone
		name: "G and H: 486 without ACK", method: "INVITE", answer: ua.Answer{Code: 486, Ring: -1}, lose: none("ACK"), mute: aliceAddr, sender: bobAddr, begin: "486 INVITE",
		want: func(r *times) []int64 { return r.resent(r.t1, r.t2, 64*r.t1) },
		kind: txn.ServerInvite, at: bobAddr, end: func(r *times) int64 { return 64 * r.t1 },
	},
	{ // I is T4: the ACK comes a way and back after the 486
		name: "I: after the ACK", method: "INVITE", answer: ua.Answer{Code: 486, Ring: -1}, sender: bobAddr, begin: "486 INVITE",
		want: func(*times) []int64 { return []int64{0} },
		kind: txn.ServerInvite, at: bobAddr, end: func(r *times) int64 { return 2*ms + r.only(r.t4) },
	},
	{ // D is 32 s, or 64*T1 where that is less: the 486 comes a way later
		name: "D: after a 486", method: "INVITE", answer: ua.Answer{Code: 486, Ring: -1}, sender: bobAddr, begin: "486 INVITE",
		want: func(*times) []int64 { return []int64{0} },
		kind: txn.ClientInvite, at: aliceAddr, end: func(r *times) int64 { return ms + r.only(min(32*second, 64*r.t1)) },
	},
	{ // J is 64*T1
		name: "J: after the 200 of OPTIONS", method: "OPTIONS", sender: bobAddr, begin: "200 OPTIONS",
		want: func(*times) []int64 { return []int64{0} },
		kind: txn.Server, at: bobAddr, end: func(r *times) int64 { return r.only(64 * r.t1) },
	},
	{ // K is T4
		name: "K: after the 200 of OPTIONS", method: "OPTIONS", sender: bobAddr, begin: "200 OPTIONS",
		want: func(*times) []int64 { return []int64{0} },
		kind: txn.Client, at: aliceAddr, end: func(r *times) int64 { return ms + r.only(r.t4) },
	},
	{ // the core sends its 2xx again, T1 up to T2, over TCP too (RFC 3261 13.3.1.4)
		name: "2xx without ACK", method: "INVITE", answer: ua.Answer{Ring: -1}, lose: none("ACK"), sender: bobAddr, begin: "200 INVITE",
		want: func(r *times) []int64 { return schedule(r.t1, r.t2, 64*r.t1) }, mute: aliceAddr,
		kind: txn.ServerInvite, at: bobAddr, end: func(r *times) int64 { return 64 * r.t1 }, // L
	},
	{ // M is 64*T1 (RFC 6026)
		name: "M: after the 200 of INVITE", method: "INVITE", answer: ua.Answer{Ring: -1}, sender: bobAddr, begin: "200 INVITE",
		want: func(*times) []int64 { return []int64{0} },
		kind: txn.ClientInvite, at: aliceAddr, end: func(r *times) int64 { return ms + 64*r.t1 },
	},
	{ // BYE without answer: the call is over, the transaction goes on as any
		name: "E and F: BYE without answer", method: "INVITE", answer: ua.Answer{Ring: -1}, lose: none("BYE"), udp: true, talk: time.Second, sender: aliceAddr, begin: "BYE",
		want: func(r *times) []int64 { return schedule(r.t1, r.t2, 64*r.t1) },
		kind: txn.Client, at: aliceAddr, end: func(r *times) int64 { return 64 * r.t1 },
	},
}

func (row *timerRow) test(t *testing.T, proto string, cfg txn.Config) {
	t.Helper()
	tm := &times{t1: 500 * ms, t2: 4 * second, t4: 5 * second, tcp: proto == "tcp"}
	if cfg.T1 > 0 {
		*tm = times{t1: cfg.T1, t2: cfg.T2, t4: cfg.T4, tcp: tm.tcp}
	}
	s := newSim(t, 1)
	tap := &sends{from: netip.MustParseAddrPort(row.sender), begin: row.begin}
	s.net.Tap(tap)
	change := func(c *ua.Config) { c.Txn = cfg; c.Answer = row.answer }
	agents, mute := map[string]*ua.Agent{}, ""
	if tm.tcp {
		mute = row.mute
	}
	for addr, identity := range map[string]string{aliceAddr: "<sip:alice@a.com>", bobAddr: "<sip:bob@b.com>"} {
		if addr != mute {
			agents[addr] = s.user(addr, identity, "", change)
		}
	}
	if row.lose != nil && !tm.tcp {
		s.net.Lose = func(_, _ netip.AddrPort, raw []byte) bool { return row.lose(parse(t, string(raw))) }
	}
	if mute != "" {
		peer := s.raw(mute)
		if mute == aliceAddr { // she sends an INVITE, and no ACK
			hop := transport.Hop{Proto: transport.TCP, Remote: netip.MustParseAddrPort(bobAddr)}
			text := req{method: "INVITE", proto: "TCP", branch: "mute", uri: "sip:bob@" + bobAddr}.text()
			s.net.At(start, func() { peer.host.Send(hop, []byte(text), 0) })
			row.judge(t, s, tap, agents[row.at], tm)
			return
		}
	}
	to := "sip:bob@" + bobAddr + ";transport=" + proto
	s.net.At(start, func() {
		var err error
		if row.method == "INVITE" {
			_, err = agents[aliceAddr].Call(ua.CallOptions{To: to, Talk: row.talk})
		} else {
			_, err = agents[aliceAddr].Send(ua.RequestOptions{Method: row.method, To: to})
		}
		if err != nil {
			t.Error(err)
		}
	})
	row.judge(t, s, tap, agents[row.at], tm)
}

// judge runs the network until nothing is left to do, and looks at when the transaction ended.
func (row *timerRow) judge(t *testing.T, s *sim, tap *sends, a *ua.Agent, tm *times) {
	t.Helper()
	begun, gone := false, int64(0)
	for s.net.Step() {
		st := a.Layer().Stats()
		n := st.OpenOf(row.kind)
		begun = begun || n > 0 || st.Created[row.kind] > 0
		if len(tap.times) > 0 && begun && n == 0 && gone == 0 {
			gone = s.net.Now()
		}
	}
	if err := s.net.Err(); err != nil {
		t.Fatal(err)
	}
	if len(tap.times) == 0 {
		t.Fatal("nothing was sent")
	}
	first := tap.times[0]
	for i := range tap.times {
		tap.times[i] -= first
	}
	if want := row.want(tm); !slices.Equal(tap.times, want) {
		t.Errorf("sent at %v, want %v", seconds(tap.times), seconds(want))
	}
	if got, want := gone-first, row.end(tm); got != want {
		t.Errorf("gone after %v, want %v", time.Duration(got), time.Duration(want))
	}
}

func seconds(ns []int64) (s []string) {
	for _, v := range ns {
		s = append(s, time.Duration(v).String())
	}
	return s
}

// TestProvisional: a provisional response stops A and B, and makes E T2 at once (RFC 3261 17.1.1.2, 17.1.2.2).
func TestProvisional(t *testing.T) {
	single(t)
	t.Parallel()
	for method, want := range map[string][]int64{
		"INVITE":  {0, 500 * ms},
		"OPTIONS": {0, 500 * ms, 1500 * ms, 5500 * ms, 9500 * ms, 13500 * ms, 17500 * ms, 21500 * ms, 25500 * ms, 29500 * ms},
	} {
		s := newSim(t, 1)
		tap := &sends{from: netip.MustParseAddrPort(aliceAddr), begin: method}
		s.net.Tap(tap)
		alice := s.user(aliceAddr, "<sip:alice@a.com>", "", nil)
		peer, n := s.raw(bobAddr), 0
		peer.auto = func(m *sip.Message, _ transport.Hop) {
			if n++; n == 2 && m.Request {
				peer.send(aliceAddr, reply(t, string(m.Raw), 100, ""))
			}
		}
		var ended, failed int64
		s.net.At(start, func() {
			var err error
			if method == "INVITE" {
				_, err = alice.Call(ua.CallOptions{To: "sip:bob@" + bobAddr, Ring: time.Minute, Events: func(e ua.Event) {
					if e.Kind == ua.EventEnded {
						ended = e.At - start
					}
				}})
			} else {
				_, err = alice.Send(ua.RequestOptions{Method: method, To: "sip:bob@" + bobAddr, Events: func(e ua.Event) { failed = e.At - start }})
			}
			if err != nil {
				t.Error(err)
			}
		})
		s.drain()
		for i := range tap.times {
			tap.times[i] -= start
		}
		if !slices.Equal(tap.times, want) {
			t.Errorf("%s: sent at %v, want %v", method, seconds(tap.times), seconds(want))
		}
		if method == "OPTIONS" && failed != 32*second {
			t.Errorf("timer F fired at %v", time.Duration(failed))
		}
		if method == "INVITE" && ended != 60*second+32*second { // the CANCEL's 64*T1 (RFC 3261 9.1)
			t.Errorf("the call ended at %v", time.Duration(ended))
		}
		e := element{agent: alice, layer: alice.Layer()}
		if left := e.left(); left != "" {
			t.Error(left)
		}
	}
}
