package ua

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"sipscope/decode/sip"
	"sipscope/element/transport"
)

// wire carries messages between agents in order, without a fault, and without more work than parsing.
type wire struct {
	now   int64
	ends  [2]*wireEnd
	queue []wireItem
	texts [][]byte
	msg   sip.Message
	count int
	got   transport.Received
}

type wireItem struct {
	to  int
	raw []byte
}

type wireEnd struct {
	w    *wire
	i    int
	addr netip.AddrPort
	h    transport.Handler
}

func (e *wireEnd) Now() int64 { return e.w.now }

func (e *wireEnd) SentBy(transport.Hop) (netip.AddrPort, error) { return e.addr, nil }

func (e *wireEnd) Send(_ transport.Hop, raw []byte, _ uint64) {
	w := e.w
	var b []byte
	if n := len(w.texts); n > 0 {
		b, w.texts = w.texts[n-1], w.texts[:n-1]
	}
	w.queue = append(w.queue, wireItem{1 - e.i, append(b[:0], raw...)})
}

func newWire() *wire {
	w := &wire{now: start}
	for i, addr := range []string{"127.0.1.10:5060", "127.0.2.10:5060"} {
		w.ends[i] = &wireEnd{w: w, i: i, addr: netip.MustParseAddrPort(addr)}
	}
	return w
}

// deliver carries until nothing is left.
func (w *wire) deliver() {
	i := 0
	for i < len(w.queue) { // it grows
		it := w.queue[i]
		if err := sip.Parse(it.raw, &w.msg); err != nil {
			panic(err)
		}
		to := w.ends[it.to]
		w.got = transport.Received{
			Msg: &w.msg, Hop: transport.Hop{Proto: transport.UDP, Local: to.addr, Remote: w.ends[1-it.to].addr},
		}
		to.h.Receive(&w.got)
		w.texts = append(w.texts, it.raw)
		w.count++
		i++
	}
	w.queue = w.queue[:0]
}

// BenchmarkCall places, answers and ends calls at 18,000 a second of virtual time, so that as many finished transactions
// are open as at that rate. One operation is both sides of one call: seven messages.
func BenchmarkCall(b *testing.B) {
	b.ReportAllocs()
	w := newWire()
	var agents [2]*Agent
	for i := range agents {
		cfg := Config{Link: w.ends[i], Rand: rand.New(rand.NewPCG(uint64(i), 2)), Identity: "<sip:u@a.com>", Recycle: true}
		cfg.Events = func(e Event) {
			if e.Kind == EventAnswered && !e.Call.Incoming() {
				_ = e.Call.Hangup()
			}
		}
		agents[i] = New(cfg)
		w.ends[i].h = agents[i].Handler()
	}
	for b.Loop() {
		if _, err := agents[0].Call(CallOptions{To: "sip:bob@127.0.2.10"}); err != nil {
			b.Fatal(err)
		}
		w.deliver()
		w.now += 1_000_000_000 / 18_000
		for _, e := range w.ends {
			e.h.Wake(w.now)
		}
		w.deliver()
	}
	if s := agents[0].Stats(); s.Ended[CauseBye] != uint64(b.N) || s.Calls != 0 {
		b.Fatalf("%d calls: %+v", b.N, s)
	}
	b.ReportMetric(float64(w.count)/float64(b.N), "messages/op")
}
