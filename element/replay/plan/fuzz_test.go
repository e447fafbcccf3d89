package plan_test

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sipscope/correlate"
	"sipscope/element/replay/plan"
	"sipscope/element/tap"
	"sipscope/element/transport"
)

// keeper keeps the texts of the messages that a run sees.
type keeper struct{ texts map[[2]uint64][]byte }

func (k *keeper) Event(e *correlate.Event) error {
	if e.Message != nil {
		k.texts[[2]uint64{e.Message.Seq, uint64(e.Message.Nth)}] = bytes.Clone(e.Message.SIP.Raw)
	}
	return nil
}

// datagrams makes a recording of texts: each begins with two bytes that choose who sends it to whom.
func datagrams(tb testing.TB, texts [][]byte) *recording {
	tb.Helper()
	source := tap.New(0)
	now := int64(1_700_000_000_000_000_000)
	for _, raw := range texts {
		if len(raw) < 2 {
			continue
		}
		address := func(c byte) netip.AddrPort {
			return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1 + c>>4&3}), 5060+uint16(c&7))
		}
		source.Datagram(now, address(raw[0]), address(raw[1]), raw[2:])
		now += int64(raw[0]) * 1_000_000
	}
	if err := source.Close(); err != nil {
		tb.Fatal(err)
	}
	board, sink := &correlate.Board{}, &keeper{map[[2]uint64][]byte{}}
	if err := correlate.Run(context.Background(), source, correlate.Config{Workers: 1, Board: board, Sink: sink}); err != nil {
		tb.Fatal(err)
	}
	r := &recording{name: "fuzz", texts: map[[2]int][]byte{}}
	for _, num := range board.Numbers() {
		if call, ok := board.Call(num); ok {
			for j := range call.Messages {
				r.texts[[2]int{len(r.calls), j}] = sink.texts[[2]uint64{call.Messages[j].Seq, uint64(call.Messages[j].Nth)}]
			}
			r.calls = append(r.calls, call)
		}
	}
	return r
}

// Whatever the messages say, a plan is valid, complete and can be written, or there is none.
func FuzzNew(f *testing.F) {
	for _, name := range []string{"scenario-ua-fork.pcapng", "attended-transfer.pcap", "scenario-bye-two-proxies.pcapng", "prack-update.pcap"} {
		r := load(f, "../../../testdata/pcaps/"+name)
		var seed [][]byte
		for i := range r.calls {
			for j, m := range r.calls[i].Messages {
				who := []byte{byte(m.Src.Lo)<<4 | byte(m.Src.Lo)&7, byte(m.Dst.Lo)<<4 | byte(m.Dst.Lo)&7}
				seed = append(seed, append(who, r.texts[[2]int{i, j}]...))
			}
		}
		f.Add(bytes.Join(seed, []byte{0xff, 0xfe}))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := datagrams(t, bytes.Split(data, []byte{0xff, 0xfe}))
		for name, o := range map[string]plan.Options{
			"live": {}, "self": {Self: true}, "cut": {Cut: true, SUT: "127.0.0.1:5060"},
		} {
			p, err := r.plan(t, o)
			if errors.Is(err, plan.ErrNothing) || errors.Is(err, plan.ErrSUT) {
				continue
			}
			if err != nil {
				t.Fatal(name, err)
			}
			invariants(t, name, r, p)
		}
	})
}

// What is read is valid, and what is written of it reads back the same.
func FuzzRead(f *testing.F) {
	f.Add([]byte(file(f)))
	f.Add([]byte("plan: 1\nhosts: [{name: a, part: played, at: [\"[::1]:5060\"]}]\nsteps: [{kind: wait, from: a, duration: 1s}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := plan.Read(bytes.NewReader(data), "fuzz.yaml")
		if err != nil {
			if !errors.Is(err, plan.ErrPlan) && !errors.Is(err, plan.ErrTooLarge) {
				t.Error(err)
			}
			return
		}
		if err := p.Validate(); err != nil {
			t.Error(err)
		}
		roundTrip(t, "fuzz", p)
		if err := p.WriteText(&bytes.Buffer{}); err != nil {
			t.Error(err)
		}
	})
}

// Any bytes survive a file.
func FuzzBytes(f *testing.F) {
	f.Add("title", "call", []byte("\r\n\r\nbody"))
	f.Add("\x1b]0;x\a", "\xff\u202e\u2028", []byte("\n\n a\n\t\n \r\n"))
	f.Add("null", "- x: {", []byte(" \ufeff\u0085\r\n\r\n\r\n\r\n"))
	f.Add("0x1", "~", []byte("\n\x00\r"))
	f.Fuzz(func(t *testing.T, title, callID string, body []byte) {
		p := &plan.Plan{
			Title: title, Source: callID, Notes: []string{title, callID},
			Hosts: []plan.Host{
				{Name: "a", Part: plan.Played, Proto: transport.TCP, Users: []string{title}, Names: []string{callID}, Why: title},
				{Name: "b", Part: plan.Live, Proto: transport.UDP},
			},
			Calls: []plan.Call{{CallID: callID, Group: title, Relation: callID}},
			Steps: []plan.Step{
				{ID: 1, Kind: plan.Send, From: "a", To: "b", Proto: transport.TLS, Message: append([]byte("A sip:b SIP/2.0"), body...), Why: callID},
				{ID: 2, Kind: plan.Wait, From: "a", Call: -1, After: []int{1}},
			},
			Needs: []plan.Need{{Realm: title, User: callID, Host: "a", Step: 1}},
		}
		if p.Validate() != nil {
			return
		}
		roundTrip(t, "bytes", p)
	})
}

func TestBytes(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		"", "\r\n", "\r\n\r\n", "\n\n", "\r\n\r\nv=0\r\n", "\r\n\r\nv=0", "\n\nv=0\n", "\r\n\r\n\r\n\r\n", "\r\nA: b\r\n c\r\n\r\n  x\r\n", "\r\nA: \tb\r\n\r\n",
		"\r\nA: b \r\n\r\n", "\r\nA: é 日本\r\n\r\n", "\r\nA: \u202eevil\r\n\r\n", "\r\nA: \x1b[2J\r\n\r\n", "\r\nA: \xff\r\n\r\n", "\nA: b\r\n\r\n",
		"\r\n\r\n\x00\x01\x02", "\r\n\r\n   \r\n", "\r\n\r\n# no comment\r\n- no item\r\n", "\r\n\r\n" + string(bytes.Repeat([]byte("\r\n"), 40)),
	} {
		p := &plan.Plan{
			Hosts: []plan.Host{{Name: "a", Part: plan.Played, Proto: transport.UDP}, {Name: "b", Part: plan.Live, Proto: transport.UDP}},
			Calls: []plan.Call{{}},
			Steps: []plan.Step{
				{ID: 1, Kind: plan.Send, From: "a", To: "b", Proto: transport.UDP, Message: []byte("A sip:b SIP/2.0" + body)},
				{ID: 2, Kind: plan.Send, From: "a", To: "b", Proto: transport.UDP, Message: []byte("A sip:b SIP/2.0" + body)},
			},
		}
		if err := p.Validate(); err != nil {
			t.Errorf("%q: %v", body, err)
			continue
		}
		roundTrip(t, body, p)
		var b bytes.Buffer
		if err := p.WriteYAML(&b); err != nil || bytes.ContainsAny(b.Bytes(), "\x1b\u202e\x00") {
			t.Errorf("%q: a terminal would obey it: %v", body, err)
		}
	}
}

// The same calls give the same plan.
func TestSame(t *testing.T) {
	t.Parallel()
	r := load(t, "../../../testdata/pcaps/fork-two-200.pcap")
	var first *plan.Plan
	for range 20 {
		p, err := r.plan(t, plan.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = p
		}
		if diff := cmp.Diff(first, p, addresses); diff != "" {
			t.Fatal(diff)
		}
	}
}
