package fault_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sipscope/decode/sip"
	"sipscope/element/fault"
	"sipscope/element/transport"
	"sipscope/element/virtual"
)

const ms = int64(time.Millisecond)

// peer writes down what it is given.
type peer struct {
	link   transport.Link
	got    []string // what arrived, and when in ms
	raw    []string
	failed []uint64
}

func (p *peer) Receive(r *transport.Received) {
	m := r.Msg
	what := string(m.Method.Of(m.Raw))
	if !m.Request {
		what = fmt.Sprint(m.Status, " ", what)
	}
	p.got = append(p.got, fmt.Sprintf("%s %s@%d", what, m.CallID.Of(m.Raw), p.link.Now()/ms))
	p.raw = append(p.raw, string(m.Raw))
}

func (p *peer) Failed(_ transport.Hop, tag uint64, _ error) { p.failed = append(p.failed, tag) }
func (*peer) Wake(int64) int64                              { return math.MaxInt64 }

// bench is a plain host, and one with faults.
type bench struct {
	net          *virtual.Net
	plain, under *peer
	faults       *fault.Injector
	to, back     transport.Hop // to the one with faults, and back
}

func newBench(tb testing.TB, rules string) *bench {
	tb.Helper()
	parsed, err := fault.Parse(rules)
	if err != nil {
		tb.Fatal(err)
	}
	b := &bench{net: virtual.New(0, rand.New(rand.NewPCG(1, 2)))}
	at := func(s string) transport.Listen {
		return transport.Listen{Proto: transport.UDP, AddrPort: netip.MustParseAddrPort(s)}
	}
	plain, under := b.net.Host("plain", at("10.0.0.1:5060")), b.net.Host("under", at("10.0.0.2:5060"))
	b.faults = fault.Link(under, parsed, rand.New(rand.NewPCG(3, 4)))
	b.plain, b.under = &peer{link: plain}, &peer{link: b.faults}
	plain.Attach(b.plain)
	under.Attach(b.faults.Handler(b.under))
	b.to = transport.Hop{Proto: transport.UDP, Remote: netip.MustParseAddrPort("10.0.0.2:5060")}
	b.back = transport.Hop{Proto: transport.UDP, Remote: netip.MustParseAddrPort("10.0.0.1:5060")}
	return b
}

func (b *bench) run(tb testing.TB) {
	tb.Helper()
	if err := b.net.Run(math.MaxInt64); err != nil {
		tb.Fatal(err)
	}
}

func message(start, method string, n int) []byte {
	return fmt.Appendf(nil, "%s\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK%d\r\nCall-ID: c%d\r\nCSeq: 1 %s\r\n"+
		"From: <sip:a>;tag=1\r\nTo: <sip:b>\r\nX-Folded: one\r\n two\r\nContent-Length: 0\r\n\r\n", start, n, n, method)
}

func request(method string, n int) []byte { return message(method+" sip:b SIP/2.0", method, n) }

func response(status int, method string, n int) []byte {
	return message(fmt.Sprintf("SIP/2.0 %d x", status), method, n)
}

func TestSelectors(t *testing.T) {
	t.Parallel()
	// Everything is sent both ways, in this order, 10 ms apart; the plain end gets what goes out, the other what comes in.
	sent := [][]byte{
		request("INVITE", 1), response(180, "INVITE", 2), response(200, "INVITE", 3), request("ACK", 4),
		request("BYE", 5), response(200, "BYE", 6),
	}
	all := "INVITE 180 200 ACK BYE 200"
	for _, tt := range []struct{ rules, in, out string }{
		{"", all, all},
		{"drop=100%", "", ""},
		{"drop=3", "INVITE 180 ACK BYE 200", "INVITE 180 ACK BYE 200"},
		{"drop-in=3", "INVITE 180 ACK BYE 200", all},
		{"drop-out=3", all, "INVITE 180 ACK BYE 200"},
		{"drop-in=2-4", "INVITE BYE 200", all},
		{"drop-in=4-", "INVITE 180 200", all},
		{"drop-in=INVITE", "180 200 ACK BYE 200", all},
		{"drop-in=INVITE@2xx", "INVITE 180 ACK BYE 200", all},
		{"drop-in=INVITE@response", "INVITE ACK BYE 200", all},
		{"drop-in=s180", "INVITE 200 ACK BYE 200", all},
		{"drop-in=2xx@2", "INVITE 180 200 ACK BYE", all},
		{"drop-in=request", "180 200 200", all},
		{"drop-in=response", "INVITE ACK BYE", all},
		{"drop-out=ACK@1,drop-in=BYE", "INVITE 180 200 ACK 200", "INVITE 180 200 BYE 200"},
		{"drop=100%@7-", all, all},
		{"duplicate-in=ACK", "INVITE 180 200 ACK ACK BYE 200", all},
		{"duplicate-in=ACK,duplicate-in=ACK", "INVITE 180 200 ACK ACK ACK BYE 200", all},
		{"reorder-in=2", "INVITE 200 180 ACK BYE 200", all},
		{"reorder-out=6", all, all}, // nothing follows: it comes late
		{"delay-in=25ms@1", "180 200 INVITE ACK BYE 200", all},
		{"delay=1s", all, all},
	} {
		b := newBench(t, tt.rules)
		for i, raw := range sent {
			b.net.At(int64(i)*10*ms, func() {
				b.plain.link.Send(b.to, raw, 0)
				b.faults.Send(b.back, raw, 9)
			})
		}
		b.run(t)
		first := func(got []string) string {
			words := make([]string, len(got))
			for i, g := range got {
				words[i], _, _ = strings.Cut(g, " ")
			}
			return strings.Join(words, " ")
		}
		if in, out := first(b.under.got), first(b.plain.got); in != tt.in || out != tt.out {
			t.Errorf("%s:\n in %s\nwant %s\nout %s\nwant %s", tt.rules, in, tt.in, out, tt.out)
		}
		if len(b.under.failed) > 0 {
			t.Errorf("%s: what is dropped got lost on the way: %v", tt.rules, b.under.failed)
		}
	}
}

func TestTimes(t *testing.T) {
	t.Parallel()
	b := newBench(t, "delay-in=50ms@1,delay-in=10ms-20ms@2,reorder-in=3,delay-out=7ms")
	for i := range 3 {
		b.plain.link.Send(b.to, request("INFO", i), 0)
	}
	b.faults.Send(b.back, request("INFO", 7), 0)
	b.run(t)
	if len(b.under.got) != 3 || b.under.got[1] != "INFO c0@51" || b.under.got[2] != "INFO c2@101" {
		t.Errorf("got %v", b.under.got)
	}
	if diff := cmp.Diff([]string{"INFO c7@8"}, b.plain.got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	var at int64
	if _, err := fmt.Sscanf(b.under.got[0], "INFO c1@%d", &at); err != nil || at < 11 || at > 21 {
		t.Errorf("the second came at %d ms, want 11 to 21", at)
	}
}

func TestShares(t *testing.T) {
	t.Parallel()
	b := newBench(t, "drop=10%,duplicate-in=20%,reorder-out=5%,delay-out=2ms@50%")
	const n = 20000
	for i := range n {
		b.net.At(int64(i)*ms, func() {
			b.plain.link.Send(b.to, request("INFO", i), 0)
			b.faults.Send(b.back, request("INFO", i), 0)
		})
	}
	b.run(t)
	s := b.faults.Stats()
	for _, tt := range []struct {
		name string
		got  uint64
		want float64
	}{
		{"in dropped", s.In.Dropped, 0.1 * n},
		{"out dropped", s.Out.Dropped, 0.1 * n},
		{"in duplicated", s.In.Duplicated, 0.2 * 0.9 * n},
		{"out reordered", s.Out.Reordered, 0.05 * 0.9 * n},
		{"out delayed", s.Out.Delayed, 0.5 * 0.9 * n},
	} {
		if math.Abs(float64(tt.got)-tt.want) > 0.06*tt.want {
			t.Errorf("%s %d, want about %.0f", tt.name, tt.got, tt.want)
		}
	}
	if got := uint64(len(b.under.got)); got != s.In.Messages-s.In.Dropped+s.In.Duplicated || s.In.Messages != n {
		t.Errorf("%d came in: does not add up: %+v", got, s.In)
	}
	if got := uint64(len(b.plain.got)); got != s.Out.Messages-s.Out.Dropped {
		t.Errorf("%d went out: does not add up: %+v", got, s.Out)
	}
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	b := newBench(t, "answer=503@INVITE@1-2")
	at := int64(0)
	send := func(raw []byte) {
		at += 10 * ms
		b.net.At(at, func() { b.plain.link.Send(b.to, raw, 0) })
	}
	send(request("INVITE", 1)) // answered
	send(request("INVITE", 1)) // a retransmission: the same answer, and not the second
	send(request("ACK", 1))    // of the answer: kept from the handler
	send(request("CANCEL", 1)) // too late
	send(request("INVITE", 2)) // answered
	send(request("INVITE", 3)) // let through, and so what belongs to it
	send(request("CANCEL", 3))
	send(request("ACK", 3))
	send(request("BYE", 4))
	send(response(503, "INVITE", 9))
	b.run(t)
	if diff := cmp.Diff([]string{
		"503 INVITE c1@12", "503 INVITE c1@22", "200 CANCEL c1@42", "503 INVITE c2@52",
	}, b.plain.got); diff != "" {
		t.Errorf("answers (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff([]string{
		"INVITE c3@61", "CANCEL c3@71", "ACK c3@81", "BYE c4@91", "503 INVITE c9@101",
	}, b.under.got); diff != "" {
		t.Errorf("let through (-want +got)\n%s", diff)
	}
	if b.plain.raw[0] != b.plain.raw[1] || !strings.Contains(b.plain.raw[0], "\r\nTo: <sip:b>;tag=") {
		t.Errorf("answers:\n%s\n%s", b.plain.raw[0], b.plain.raw[1])
	}
	if s := b.faults.Stats(); s.In.Answered != 4 {
		t.Errorf("%+v", s)
	}
}

// TestAnswerShare: what was let through once is not answered when it comes again.
func TestAnswerShare(t *testing.T) {
	t.Parallel()
	b := newBench(t, "answer=486@50%")
	const calls = 400
	for round := range int64(5) {
		for i := range calls {
			b.net.At(round*100*ms, func() { b.plain.link.Send(b.to, request("INVITE", i), 0) })
		}
	}
	b.run(t)
	got := map[string]int{}
	for _, list := range [][]string{b.plain.got, b.under.got} {
		for _, g := range list {
			_, id, _ := strings.Cut(g, " c")
			id, _, _ = strings.Cut(id, "@")
			kind := "let through "
			if !strings.HasPrefix(g, "INVITE") {
				kind = "answered "
			}
			got[kind+id]++
		}
	}
	if len(got) != calls {
		t.Errorf("%d fates for %d requests", len(got), calls)
	}
	if n := len(b.plain.got) / 5; n < calls*2/5 || n > calls*3/5 {
		t.Errorf("%d of %d answered, want about half", n, calls)
	}
}

func TestMangle(t *testing.T) {
	t.Parallel()
	original := string(request("BYE", 1))
	for _, tt := range []struct{ rule, want string }{
		{"mangle-out=Call-ID:remove", strings.Replace(original, "Call-ID: c1\r\n", "", 1)},
		{"mangle-out=i:remove", strings.Replace(original, "Call-ID: c1\r\n", "", 1)},
		{"mangle-out=call-id:duplicate", strings.Replace(original, "Call-ID: c1\r\n", "Call-ID: c1\r\nCall-ID: c1\r\n", 1)},
		{"mangle-out=x-folded:remove", strings.Replace(original, "X-Folded: one\r\n two\r\n", "", 1)},
		{"mangle-out=X-None:remove", original},
		{"mangle-out=Call-ID:remove@INVITE", original},
		{"mangle-out=To:remove,mangle-out=From:remove", strings.NewReplacer(
			"To: <sip:b>\r\n", "", "From: <sip:a>;tag=1\r\n", "").Replace(original)},
	} {
		b := newBench(t, tt.rule)
		b.faults.Send(b.back, []byte(original), 0)
		b.run(t)
		if len(b.plain.raw) != 1 || b.plain.raw[0] != tt.want {
			t.Errorf("%s:\n got %q\nwant %q", tt.rule, b.plain.raw, tt.want)
		}
	}
	b := newBench(t, "mangle-in=X-Folded")
	for range 50 {
		b.plain.link.Send(b.to, []byte(original), 0)
	}
	b.run(t)
	head, tail, _ := strings.Cut(original, "one\r\n two")
	different := map[string]bool{}
	for _, raw := range b.under.raw {
		if raw == original || len(raw) != len(original) || !strings.HasPrefix(raw, head) || !strings.HasSuffix(raw, tail) {
			t.Errorf("garbled: %q", raw)
		}
		different[raw] = true
	}
	if len(b.under.raw) != 50 || len(different) < 20 {
		t.Errorf("%d messages, %d garbled ways", len(b.under.raw), len(different))
	}
}

// TestSequel: mangling comes before what follows in the list.
func TestSequel(t *testing.T) {
	t.Parallel()
	b := newBench(t, "mangle-in=Via:duplicate,duplicate-in=1,delay-in=5ms,answer=500@OPTIONS")
	b.plain.link.Send(b.to, request("INFO", 1), 0)
	b.plain.link.Send(b.to, request("OPTIONS", 2), 0)
	b.run(t)
	if diff := cmp.Diff([]string{"INFO c1@6", "INFO c1@6"}, b.under.got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for _, raw := range b.under.raw {
		if strings.Count(raw, "Via:") != 2 {
			t.Errorf("not mangled: %q", raw)
		}
	}
	if diff := cmp.Diff([]string{"500 OPTIONS c2@2"}, b.plain.got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestNotSIP(t *testing.T) {
	t.Parallel()
	b := newBench(t, "drop=INVITE,mangle=To,answer=500,duplicate=2")
	b.faults.Send(b.back, []byte("\r\n\r\n"), 0)
	b.faults.Send(b.back, nil, 0)
	b.run(t)
	if s := b.faults.Stats(); s.Out.Messages != 2 || s.Out.Duplicated != 1 || s.Out.Mangled != 0 {
		t.Errorf("%+v", s)
	}
	if n := b.net.Stats().NotSIP; n != 3 {
		t.Errorf("%d arrived, want 3", n)
	}
}

func TestBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t, "delay-out=1h")
	for i := range 12_000 {
		b.faults.Send(b.back, request("INFO", i), 0)
	}
	b.run(t)
	if s := b.faults.Stats(); s.Out.Overflow != 2000 || len(b.plain.got) != 10_000 {
		t.Errorf("%d arrived, %+v", len(b.plain.got), s)
	}
}

// TestFailed: a failure of the link reaches the handler.
func TestFailed(t *testing.T) {
	t.Parallel()
	b := newBench(t, "")
	b.net.ICMP = true
	b.faults.Send(transport.Hop{Proto: transport.UDP, Remote: netip.MustParseAddrPort("10.9.9.9:5060")}, request("BYE", 1), 4)
	b.run(t)
	if !slices.Equal(b.under.failed, []uint64{4}) {
		t.Errorf("failed %v", b.under.failed)
	}
	if at, err := b.faults.SentBy(b.back); err != nil || at.String() != "10.0.0.2:5060" {
		t.Errorf("SentBy %s, %v", at, err)
	}
}

func TestSameSeedSameFaults(t *testing.T) {
	t.Parallel()
	trace := func() string {
		b := newBench(t, "drop=20%,delay=1ms-30ms@30%,reorder=10%,duplicate=10%,answer=500@10%,mangle=To@10%")
		for i := range 500 {
			b.net.At(int64(i)*ms, func() {
				b.plain.link.Send(b.to, request("INFO", i), 0)
				b.faults.Send(b.back, request("INFO", i), 0)
			})
		}
		b.run(t)
		return fmt.Sprint(b.plain.raw, b.under.raw, b.plain.got, b.under.got, b.faults.Stats())
	}
	first, second := trace(), trace()
	if first != second {
		t.Error("two runs differ")
	}
}

func TestParse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		{"drop=10%", "drop=10%"},
		{" drop=3 , delay=50ms@20%,,", "drop=3,delay=50ms@20%"},
		{"drop-out=0.5%,drop-in=100%", "drop-out=0.5%,drop-in=100%"},
		{"delay-in=20ms-80ms", "delay-in=20ms-80ms"},
		{"duplicate=2-5@INVITE", "duplicate=INVITE@2-5"},
		{"reorder=4-@6xx", "reorder=6xx@4-"},
		{"answer=503", "answer-in=503"},
		{"answer-in=503@10%@FOO.BAR", "answer-in=503@FOO.BAR@10%"},
		{"mangle=Call-ID", "mangle=Call-ID:garble"},
		{"mangle-out=X-y:duplicate@s180@INVITE", "mangle-out=X-y:duplicate@INVITE@s180"},
		{"", ""},
	} {
		rules, err := fault.Parse(tt.text)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		// What was written says the same again; an action without selectors is for all.
		if got := rules.String(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.text, got, tt.want)
		}
	}
	var flag fault.Rules
	if flag.Set("drop=1") != nil || flag.Set("drop=2,drop=3") != nil || flag.Set("x") == nil || len(flag) != 3 ||
		flag.Type() != "fault" {
		t.Errorf("flag %v", flag.String())
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		{"drop", "want ACTION=ARGUMENT"},
		{"drip=1", "want drop, delay"},
		{"drop-up=1", "want drop, delay"},
		{"drop=", "want a selector"},
		{"drop=0", "from 1 on"},
		{"drop=5-2", "from 1 on"},
		{"drop=1-0", "from 1 on"},
		{"drop=99999999999", "from 1 on"},
		{"drop=0%", "more than 0%"},
		{"drop=101%", "at most 100%"},
		{"drop=NaN%", "at most 100%"},
		{"drop=x y", "want a share"},
		{"drop=9xx", "1xx to 6xx"},
		{"drop=10%@", "want a selector"},
		{"drop=request@2xx", "no status"},
		{"drop=2xx@s200", "not both"},
		{"delay=50", "such as 50ms"},
		{"delay=2h", "up to an hour"},
		{"delay=-1s", "up to an hour"},
		{"delay=80ms-20ms", "shorter time first"},
		{"answer=99", "100 to 699"},
		{"answer=700", "100 to 699"},
		{"answer-out=503", "come in"},
		{"answer=503@ACK", "ACK is not answered"},
		{"answer=503@2xx", "responses cannot"},
		{"mangle=", "name of a header"},
		{"mangle=To:burn", "remove, garble or duplicate"},
	} {
		if _, err := fault.Parse("drop=1," + tt.text); !errors.Is(err, fault.ErrRule) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.text, err, tt.want)
		}
	}
}

// TestHelp: the examples of the help can be read.
func TestHelp(t *testing.T) {
	t.Parallel()
	n := 0
	for line := range strings.Lines(fault.Help) {
		fields := strings.Fields(line)
		if len(fields) == 0 || !strings.Contains(fields[0], "=") || strings.ContainsAny(fields[0], "STHC[") && n == 0 {
			continue
		}
		if strings.Contains(line, "=SELECTOR") || strings.Contains(line, "=TIME") || strings.Contains(line, "=CODE") ||
			strings.Contains(line, "=HEADER") {
			continue
		}
		n++
		if _, err := fault.Parse(fields[0]); err != nil {
			t.Errorf("%s: %v", fields[0], err)
		}
	}
	if n < 5 {
		t.Errorf("%d examples found", n)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"drop=10%@INVITE", "delay-in=20ms-80ms@3", "answer=503@2-", "mangle=To:remove@s180,reorder=1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		rules, err := fault.Parse(s)
		if err != nil {
			return
		}
		again, err := fault.Parse(rules.String())
		if err != nil || again.String() != rules.String() {
			t.Fatalf("%q: %q: %v", s, rules.String(), err)
		}
	})
}

// FuzzMessages has any message pass all the actions, in and out.
func FuzzMessages(f *testing.F) {
	f.Add(request("INVITE", 1))
	f.Add(response(200, "BYE", 2))
	f.Add([]byte("INVITE sip:b SIP/2.0\nVia:\nTo"))
	f.Add([]byte("ACK sip:b SIP/2.0\r\nCall-ID:\r\n  \r\n\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		b := newBench(t, "mangle=Via@50%,mangle=Call-ID:remove@50%,mangle=To:duplicate@50%,mangle=X-Folded,"+
			"reorder=20%,delay=1ms@20%,duplicate=50%,answer=500@50%")
		for range 8 {
			b.plain.link.Send(b.to, raw, 1)
			b.faults.Send(b.back, raw, 2)
		}
		b.run(t)
		s := b.faults.Stats()
		var m sip.Message
		if sip.Parse(raw, &m) == nil && s.In.Messages != 8 {
			t.Fatalf("%+v", s)
		}
	})
}

func BenchmarkPass(b *testing.B) {
	bench := newBench(b, "drop=0.0001%,delay=1s@BYE")
	raw := request("INVITE", 1)
	b.ReportAllocs()
	for b.Loop() {
		bench.faults.Send(bench.back, raw, 0)
		bench.net.Step()
	}
}
