package txn

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"strings"
	"testing"

	"sipscope/decode/sip"
	"sipscope/element/compose"
	"sipscope/element/transport"
)

// many makes messages of ever new branches out of one template, in place.
type many struct {
	raw  []byte
	at   []int
	msg  sip.Message
	recv transport.Received
}

func newMany(raw string) *many {
	m := &many{raw: []byte(raw), recv: transport.Received{Hop: hop(transport.UDP)}}
	m.recv.Msg = &m.msg
	for i := 0; ; {
		n := bytes.Index(m.raw[i:], []byte(mark))
		if n < 0 {
			return m
		}
		m.at = append(m.at, i+n)
		i += n + len(mark)
	}
}

// set writes the number n over each mark of 16 bytes.
func (m *many) set(n uint64) *transport.Received {
	const digits = "0123456789abcdef"
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], n*0x9E3779B97F4A7C15)
	for _, at := range m.at {
		for i, c := range b {
			m.raw[at+2*i], m.raw[at+2*i+1] = digits[c>>4], digits[c&15]
		}
	}
	if err := sip.Parse(m.raw, &m.msg); err != nil {
		panic(err)
	}
	return &m.recv
}

const mark = "0000000000000000"

// load is a server and a client under load of whole non-INVITE and INVITE transactions.
type load struct {
	w       *world
	options *many
	ok      *many
	invite  *many
	busy    *many
	yes     *many
	ack     *many
}

func newLoad(tb testing.TB) *load {
	tb.Helper()
	ld := &load{w: newWorld(tb, Config{Limit: 1 << 24, Memory: 8 << 30})}
	ld.w.quiet = true
	ld.w.ids = nil
	options, invite := request("OPTIONS", "z9hG4bK"+mark), request("INVITE", "z9hG4bK"+mark)
	more := compose.Reply{Headers: []compose.Header{{ID: sip.HeaderAllow, Value: "INVITE, ACK, CANCEL, BYE, OPTIONS"}}}
	ld.options = newMany(options)
	ld.ok = newMany(reply(tb, options, 200, more))
	ld.invite = newMany(invite)
	ld.busy = newMany(reply(tb, invite, 486, compose.Reply{}))
	ld.yes = newMany(reply(tb, invite, 200, compose.Reply{}))
	ld.ack = newMany(ackOf("z9hG4bK"+mark, "b1"))
	return ld
}

// quietUser answers what comes.
type quietUser struct{ last ID }

func (u *quietUser) Request(id ID, _ *transport.Received)     { u.last = id }
func (u *quietUser) Response(ID, uint64, *transport.Received) {}
func (u *quietUser) Cancel(ID, uint64, *transport.Received)   {}
func (u *quietUser) Failed(_ ID, _ uint64, _ error)           {}
func (u *quietUser) Ended(ID, uint64)                         {}

func (ld *load) use() *quietUser {
	u := new(quietUser)
	ld.w.l.user = u
	return u
}

// serve has one non-INVITE server transaction done.
func (ld *load) serve(u *quietUser, n uint64) {
	ld.w.l.Receive(ld.options.set(n))
	ld.ok.set(n)
	if err := ld.w.l.Respond(u.last, ld.ok.raw); err != nil {
		panic(err)
	}
}

// rejectInvite has one INVITE server transaction rejected and acknowledged.
func (ld *load) rejectInvite(u *quietUser, n uint64) {
	ld.w.l.Receive(ld.invite.set(n))
	ld.busy.set(n)
	if err := ld.w.l.Respond(u.last, ld.busy.raw); err != nil {
		panic(err)
	}
	ld.w.l.Receive(ld.ack.set(n))
}

// acceptInvite has one INVITE server transaction accepted; answered has a client one accepted.
func (ld *load) acceptInvite(u *quietUser, n uint64) {
	ld.w.l.Receive(ld.invite.set(n))
	ld.yes.set(n)
	if err := ld.w.l.Respond(u.last, ld.yes.raw); err != nil {
		panic(err)
	}
}

func (ld *load) answered(n uint64) {
	ld.invite.set(n)
	if _, err := ld.w.l.Send(hop(transport.UDP), ld.invite.raw, n); err != nil {
		panic(err)
	}
	ld.w.l.Receive(ld.yes.set(n))
}

// ask has one non-INVITE client transaction done, call one INVITE.
func (ld *load) ask(n uint64) {
	ld.options.set(n)
	if _, err := ld.w.l.Send(hop(transport.UDP), ld.options.raw, n); err != nil {
		panic(err)
	}
	ld.w.l.Receive(ld.ok.set(n))
}

func (ld *load) call(n uint64) {
	ld.invite.set(n)
	if _, err := ld.w.l.Send(hop(transport.UDP), ld.invite.raw, n); err != nil {
		panic(err)
	}
	ld.w.l.Receive(ld.busy.set(n))
}

var loads = []struct {
	name     string
	messages int // of a transaction, in and out
	do       func(ld *load, u *quietUser, n uint64)
}{
	{"server OPTIONS 200", 2, func(ld *load, u *quietUser, n uint64) { ld.serve(u, n) }},
	{"server INVITE 486 ACK", 3, func(ld *load, u *quietUser, n uint64) { ld.rejectInvite(u, n) }},
	{"server INVITE 200", 2, func(ld *load, u *quietUser, n uint64) { ld.acceptInvite(u, n) }},
	{"client INVITE 200", 2, func(ld *load, _ *quietUser, n uint64) { ld.answered(n) }},
	{"client OPTIONS 200", 2, func(ld *load, _ *quietUser, n uint64) { ld.ask(n) }},
	{"client INVITE 486 ACK", 3, func(ld *load, _ *quietUser, n uint64) { ld.call(n) }},
}

// BenchmarkTransactions has whole transactions, at 10,000 a second, with up to a few 100,000 waiting for their timers. The time
// includes the parsing of what is received, and the making of the test's messages.
func BenchmarkTransactions(b *testing.B) {
	for _, c := range loads {
		b.Run(strings.ReplaceAll(c.name, " ", "-"), func(b *testing.B) {
			ld := newLoad(b)
			u := ld.use()
			b.ReportAllocs()
			n := uint64(0)
			for b.Loop() {
				n++
				c.do(ld, u, n)
				ld.w.at += ms / 10
				if n%16 == 0 {
					ld.w.l.Wake(ld.w.at)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(c.messages), "ns/msg")
		})
	}
}

// BenchmarkMillion is the load of BenchmarkTransactions on a layer that keeps a million finished transactions all the
// time: each one that comes sees one end by its timer J.
func BenchmarkMillion(b *testing.B) {
	const million = 1_000_000
	ld := newLoad(b)
	u := ld.use()
	before := heapInUse()
	n := uint64(0)
	one := func() {
		n++
		ld.serve(u, n)
		ld.w.at += 64 * 500 * ms / million
		if n%16 == 0 {
			ld.w.l.Wake(ld.w.at)
		}
	}
	for range million {
		one()
	}
	kept := heapInUse() - before
	b.ReportAllocs()
	for b.Loop() {
		one()
	}
	s := ld.w.l.Stats()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/2, "ns/msg")
	b.ReportMetric(float64(kept)/million, "B/kept")
	b.ReportMetric(float64(s.OpenOf(Server)), "open")
}

// heapInUse is the memory in use.
func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestMemory holds the budget: at most 300 bytes kept per finished transaction, nothing after its timers.
//
//nolint:paralleltest // measures the heap
func TestMemory(t *testing.T) {
	const n = 30_000
	for _, c := range loads {
		t.Run(c.name, func(t *testing.T) {
			ld := newLoad(t)
			u := ld.use()
			before := heapInUse()
			for i := range uint64(n) {
				c.do(ld, u, i+1)
			}
			kept := float64(heapInUse()-before) / n
			t.Logf("%.0f bytes per finished transaction", kept)
			if kept > 300 {
				t.Errorf("%.0f bytes per finished transaction, want 300 at most", kept)
			}
			ld.w.until(ld.w.at + 64*500*ms + 1)
			s := ld.w.l.Stats()
			for k := range Kinds {
				if open := s.OpenOf(k); open != 0 {
					t.Errorf("%d transactions of kind %d open after their timers", open, k)
				}
			}
			if left := heapInUse() - before; left > 256<<10 { // a chunk of each sort
				t.Errorf("%d bytes left after the timers", left)
			}
			runtime.KeepAlive(ld)
		})
	}
}

// TestMemoryFlat holds that memory does not grow with the transactions that were.
//
//nolint:paralleltest // measures the heap
func TestMemoryFlat(t *testing.T) {
	ld := newLoad(t)
	u := ld.use()
	n := uint64(0)
	wave := func() int64 {
		for range 10_000 {
			n++
			loads[n%uint64(len(loads))].do(ld, u, n)
			ld.w.at += ms
			ld.w.l.Wake(ld.w.at)
		}
		return heapInUse()
	}
	for range 3 {
		wave()
	}
	first := wave()
	last := first
	for range 6 {
		last = wave()
	}
	if last > first+first/10 {
		t.Errorf("%d bytes after %d transactions, %d after the first waves", last, n, first)
	}
	runtime.KeepAlive(ld)
}
