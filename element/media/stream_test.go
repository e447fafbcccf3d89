package media

import (
	"encoding/binary"
	"errors"
	"math"
	"net"
	"net/netip"
	"testing"
	"time"

	"sipscope/decode/sdp"
)

// wire is a world of ports with 10 ms between them, for one test.
type wire struct {
	now   int64
	ports map[netip.AddrPort]*wirePort
	air   []flight
	lose  func(to netip.AddrPort, b []byte) bool
	sent  int
}

type flight struct {
	at       int64
	from, to netip.AddrPort
	b        []byte
}

type wirePort struct {
	w       *wire
	local   netip.AddrPort
	control *wirePort
	receive func(now int64, from netip.AddrPort, b []byte)
}

func newWire() *wire { return &wire{now: start, ports: map[netip.AddrPort]*wirePort{}} }

func (w *wire) open(local string) *wirePort {
	p := &wirePort{w: w, local: at(local)}
	p.control = &wirePort{w: w, local: netip.AddrPortFrom(p.local.Addr(), p.local.Port()+1)}
	w.ports[p.local], w.ports[p.control.local] = p, p.control
	return p
}

func (p *wirePort) Local() netip.AddrPort { return p.local }
func (p *wirePort) Control() Port         { return p.control }
func (p *wirePort) Close() error {
	delete(p.w.ports, p.local)
	return nil
}
func (p *wirePort) Receive(f func(int64, netip.AddrPort, []byte)) { p.receive = f }

func (p *wirePort) Send(to netip.AddrPort, b []byte) error {
	if p.w.ports[p.local] != p {
		return net.ErrClosed
	}
	p.w.sent++
	if p.w.lose == nil || !p.w.lose(to, b) {
		p.w.air = append(p.w.air, flight{p.w.now + 10*ms, p.local, to, append([]byte(nil), b...)})
	}
	return nil
}

// run lets streams work up to a time.
func (w *wire) run(until int64, streams ...*Stream) {
	for {
		next := int64(math.MaxInt64)
		for _, s := range streams {
			next = min(next, s.Next())
		}
		if len(w.air) > 0 {
			next = min(next, w.air[0].at)
		}
		if next > until {
			w.now = until
			return
		}
		w.now = max(next, w.now)
		for len(w.air) > 0 && w.air[0].at <= w.now {
			f := w.air[0]
			w.air = w.air[1:]
			if p := w.ports[f.to]; p != nil && p.receive != nil {
				p.receive(w.now, f.from, f.b)
			}
		}
		for _, s := range streams {
			s.Wake(w.now)
		}
	}
}

// agreed is what two sides agree on, without SDP.
func agreed(local, remote string) Agreed {
	r := at(remote)
	return Agreed{
		Local: at(local), Remote: r, RemoteRTCP: netip.AddrPortFrom(r.Addr(), r.Port()+1), SendEvent: 101, GetEvent: 101,
		Direction: sdp.SendRecv, Ptime: 20,
	}
}

const aliceAt, bobAt = "127.0.1.10:4000", "127.0.2.10:6000"

// TestStreams has two streams talk for a minute, with loss, and compares what each knows with what happened.
func at(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func TestStreams(t *testing.T) {
	t.Parallel()
	w := newWire()
	lost := 0
	w.lose = func(to netip.AddrPort, b []byte) bool {
		var p Packet
		if to == at(bobAt) && ParsePacket(b, &p) == nil && p.Seq%10 == 3 {
			lost++
			return true
		}
		return false
	}
	tone, err := Tone(0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var heard []byte
	a := NewStream(start, StreamConfig{Port: w.open(aliceAt), Agreed: agreed(aliceAt, bobAt), Source: tone, Rand: rng(1), CNAME: "alice"})
	b := NewStream(start, StreamConfig{
		Port: w.open(bobAt), Agreed: agreed(bobAt, aliceAt), Rand: rng(2), Record: 3 * Rate,
		Digit: func(_ int64, d byte) { heard = append(heard, d) },
	})
	w.run(start+30_000*ms, a, b)
	if err := a.SendDigits("42#"); err != nil {
		t.Fatal(err)
	}
	w.run(start+60_000*ms, a, b)
	sa, sb := a.Stats(), b.Stats()
	if sa.Sent.Packets != 3001 || int(sb.Received.Packets) != 3000-lost || sb.Received.Missing != uint64(lost) || sa.Received.Missing != 0 {
		t.Errorf("alice sent %d, bob got %+v, %d were lost", sa.Sent.Packets, sb.Received, lost)
	}
	if string(heard) != "42#" {
		t.Errorf("heard %q", heard)
	}
	if l := level(b.Recorded(), 1000); len(b.Recorded()) != 3*Rate || math.Abs(l-0.9*0.25) > 0.01 {
		t.Errorf("recorded %d samples, level %.3f", len(b.Recorded()), l)
	}
	if !sa.HasReport || !sb.HasReport || sa.Reports < 8 || sa.Reports > 24 {
		t.Fatalf("reports: %+v, %+v", sa, sb)
	}
	if d := sa.Report.RTT - 20*time.Millisecond; d.Abs() > 100*time.Microsecond {
		t.Errorf("round trip %v, want 20 ms", sa.Report.RTT)
	}
	if f := int(sa.Report.Fraction); f < 18 || f > 34 { // a tenth is 25.6; an interval has 125 packets or more
		t.Errorf("fraction lost %d/256", f)
	}
	if int(sa.Report.Lost) > lost || int(sa.Report.Lost) < lost-100 || sb.Report.Lost != 0 {
		t.Errorf("reported lost %d and %d of %d", sa.Report.Lost, sb.Report.Lost, lost)
	}
	if err := a.Close(w.now); err != nil {
		t.Fatal(err)
	}
	w.run(w.now+100*ms, b)
	if !b.Stats().Bye || a.Next() != math.MaxInt64 || a.Wake(w.now) != math.MaxInt64 {
		t.Error("alice's end was not told, or she goes on")
	}
	if b.Stats().BadRTCP+sa.BadRTCP > 0 {
		t.Error("reports that cannot be read")
	}
}

func TestHold(t *testing.T) {
	t.Parallel()
	w := newWire()
	a := NewStream(start, StreamConfig{Port: w.open(aliceAt), Agreed: agreed(aliceAt, bobAt), Rand: rng(1)})
	b := NewStream(start, StreamConfig{Port: w.open(bobAt), Agreed: agreed(bobAt, aliceAt), Rand: rng(2)})
	w.run(start+1000*ms, a, b)
	held := agreed(aliceAt, bobAt)
	held.Direction = sdp.RecvOnly
	a.Change(w.now, held, nil)
	before := a.Stats().Sent.Packets
	w.run(start+11_000*ms, a, b)
	if n := a.Stats().Sent.Packets; n != before {
		t.Errorf("%d packets while held", n-before)
	}
	resumed := agreed(aliceAt, bobAt)
	resumed.Codec, resumed.SendPT, resumed.ReceivePT = PCMA, 8, 8
	a.Change(w.now, resumed, nil)
	w.run(start+12_000*ms, a, b)
	st := b.Stats().Received
	if st.Missing != 0 || st.Packets < 95 || st.Jitter > 5*time.Millisecond || st.Sources != 1 {
		t.Errorf("bob got %+v", st)
	}
}

func TestEcho(t *testing.T) {
	t.Parallel()
	w := newWire()
	tone, err := Tone(0, 500)
	if err != nil {
		t.Fatal(err)
	}
	var heard []byte
	a := NewStream(start, StreamConfig{
		Port: w.open(aliceAt), Agreed: agreed(aliceAt, bobAt), Source: tone, Rand: rng(1), Record: Rate,
		Digit: func(_ int64, d byte) { heard = append(heard, d) },
	})
	b := NewStream(start, StreamConfig{Port: w.open(bobAt), Agreed: agreed(bobAt, aliceAt), Echo: true, Rand: rng(2)})
	w.run(start+2000*ms, a, b)
	if err := a.SendDigits("7"); err != nil {
		t.Fatal(err)
	}
	w.run(start+20_000*ms, a, b)
	st := a.Stats().Received
	if st.Packets != 1000 || st.Missing != 0 || st.SSRC == a.sender.ssrc || st.Jitter != 0 || string(heard) != "7" {
		t.Errorf("alice got %+v back, heard %q", st, heard)
	}
	if l := level(a.Recorded(), 500); math.Abs(l-0.25) > 0.01 {
		t.Errorf("level %.3f", l)
	}
	if r := b.Stats(); r.Sent.Packets != 1000 || r.Reports == 0 {
		t.Errorf("bob %+v", r)
	}
	// Two that echo each other: each takes only what has another's SSRC, and nothing is sent of itself.
	w = newWire()
	a = NewStream(start, StreamConfig{Port: w.open(aliceAt), Agreed: agreed(aliceAt, bobAt), Echo: true, Rand: rng(1)})
	b = NewStream(start, StreamConfig{Port: w.open(bobAt), Agreed: agreed(bobAt, aliceAt), Echo: true, Rand: rng(2)})
	w.run(start+4000*ms, a, b)
	if a.Stats().Sent.Packets+b.Stats().Sent.Packets != 0 {
		t.Error("two echoes talk")
	}
}

func TestSymmetric(t *testing.T) {
	t.Parallel()
	w := newWire()
	const inside = "10.0.0.1:4000" // what alice's description says; her packets come from elsewhere
	a := NewStream(start, StreamConfig{Port: w.open(aliceAt), Agreed: agreed(inside, bobAt), Rand: rng(1)})
	b := NewStream(start, StreamConfig{Port: w.open(bobAt), Agreed: agreed(bobAt, inside), Rand: rng(2), Symmetric: true})
	w.run(start+10_000*ms, a, b)
	if st := a.Stats(); st.Received.Packets < 490 || !st.HasReport {
		t.Errorf("alice got %+v", st)
	}
}

// TestPlay says one thing after the other, and knows when it is done.
func TestPlayAgain(t *testing.T) {
	t.Parallel()
	w := newWire()
	a := NewStream(start, StreamConfig{Port: w.open(aliceAt), Agreed: agreed(aliceAt, bobAt), Source: make(Sound, Rate).Play(false), Rand: rng(1)})
	b := NewStream(start, StreamConfig{Port: w.open(bobAt), Agreed: agreed(bobAt, aliceAt), Rand: rng(2)})
	w.run(start+2000*ms, a, b)
	if n := a.Stats().Sent.Packets; !a.Done() || n != 50 {
		t.Errorf("done=%t after %d packets", a.Done(), n)
	}
	a.Play(make(Sound, Rate/2).Play(false))
	if a.Done() || a.Next() > w.now {
		t.Error("nothing is due though there is something to say")
	}
	w.run(start+4000*ms, a, b)
	if st := b.Stats().Received; !a.Done() || st.Packets != 75 || st.Missing != 0 || st.Jitter > 10*time.Millisecond {
		t.Errorf("done=%t, bob got %+v", a.Done(), st)
	}
	echo := NewStream(start, StreamConfig{Port: new(idle), Agreed: agreed(aliceAt, bobAt), Echo: true})
	if err := echo.SendDigits("1"); !errors.Is(err, ErrNoEvents) {
		t.Errorf("an echo sends digits: %v", err)
	}
}

func TestControlErrors(t *testing.T) {
	t.Parallel()
	rr := []byte{0x81, 201, 0, 7, 0, 0, 0, 1}
	block := make([]byte, 24)
	binary.BigEndian.PutUint32(block, 42)
	binary.BigEndian.PutUint32(block[4:], 128<<24|0xfffffe)
	good := append(append([]byte{}, rr...), block...)
	c, err := parseControl(start, good, 42)
	if err != nil || !c.has || c.report.Lost != -2 || c.report.Fraction != 128 {
		t.Errorf("%+v, %v", c, err)
	}
	if c, _ := parseControl(start, good, 43); c.has {
		t.Error("a block about another stream")
	}
	for n := range good {
		if n%4 == 0 && n == len(good) {
			continue
		}
		if _, err := parseControl(start, good[:n], 42); !errors.Is(err, ErrNotRTCP) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
}

func FuzzControl(f *testing.F) {
	r := NewReceiver(ReceiverConfig{EventPT: -1})
	for i := range 5 {
		_, _ = r.Packet(start, (&Packet{Seq: uint16(2 * i), SSRC: 9}).Append(nil))
	}
	s := NewSender(start, SenderConfig{EventPT: -1})
	f.Add(appendReport(nil, start, s, r, lastSR{}, true, "cname", true))
	f.Add(appendReport(nil, start, s, r, lastSR{1, start}, false, "", false))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseControl(start, b, 0)
		if err != nil && !errors.Is(err, ErrNotRTCP) {
			t.Fatal(err)
		}
		if c.has && (c.report.RTT < 0 || c.report.Jitter < 0) {
			t.Fatalf("%+v", c.report)
		}
	})
}

// idle is a port that goes nowhere.
type idle struct{ sent int }

func (*idle) Local() netip.AddrPort                       { return at(aliceAt) }
func (p *idle) Send(netip.AddrPort, []byte) error         { p.sent++; return nil }
func (*idle) Receive(func(int64, netip.AddrPort, []byte)) {}
func (*idle) Close() error                                { return nil }

// TestStreamsOrder has a set of streams woken as each would be alone.
func TestStreamsOrder(t *testing.T) {
	t.Parallel()
	set, random := NewStreams(), rng(8)
	var all []*Stream
	for i := range 200 {
		s := NewStream(start+random.Int64N(20*ms), StreamConfig{Port: new(idle), Agreed: agreed(aliceAt, bobAt), Rand: rng(uint64(i))})
		all = append(all, s)
		set.Add(s)
	}
	for _, s := range all[150:] {
		set.Remove(s)
		set.Remove(s)
	}
	now := start
	for now < start+1000*ms {
		next := set.Wake(now)
		if next <= now {
			t.Fatalf("woken at %d, next %d", now, next)
		}
		if first := set.Next(); first != next {
			t.Fatalf("next %d, then %d", next, first)
		}
		now = next
	}
	if set.Len() != 150 {
		t.Errorf("%d streams", set.Len())
	}
	for i, s := range all {
		if n := s.Stats().Sent.Packets; i < 150 && n != 50 || i >= 150 && n != 0 {
			t.Errorf("stream %d sent %d packets", i, n)
		}
	}
	if NewStreams().Wake(start) != math.MaxInt64 {
		t.Error("an empty set waits for something")
	}
}

// TestNoAllocations holds the way of a packet through a stream free of allocations.
func TestNoAllocations(t *testing.T) { //nolint:paralleltest // AllocsPerRun counts those of all goroutines.
	tone, err := Tone(0, 440)
	if err != nil {
		t.Fatal(err)
	}
	set := NewStreams()
	s := NewStream(start, StreamConfig{
		Port: new(idle), Agreed: agreed(aliceAt, bobAt), Source: tone, Rand: rng(1),
		Sound: func(int64, []int16) {},
	})
	set.Add(s)
	now, seq := start, uint16(0)
	buf := make([]byte, 0, 200)
	payload := make([]byte, 160)
	if n := testing.AllocsPerRun(100, func() {
		set.Wake(now)
		seq++
		p := Packet{Seq: seq, SSRC: 1, Payload: payload}
		buf = p.Append(buf[:0])
		s.arrived(now, at2, buf)
		now += 20 * ms
	}); n != 0 {
		t.Errorf("%.1f allocations for a packet each way", n)
	}
}

// BenchmarkStreams is one second of a thousand streams that send, and get, 50 packets a second each.
func BenchmarkStreams(b *testing.B) {
	b.ReportAllocs()
	const n = 1000
	set := NewStreams()
	var all []*Stream
	for i := range n {
		tone, err := Tone(0, 440)
		if err != nil {
			b.Fatal(err)
		}
		s := NewStream(start+int64(i)*20*ms/n, StreamConfig{Port: new(idle), Agreed: agreed(aliceAt, bobAt), Source: tone, Rand: rng(uint64(i))})
		all = append(all, s)
		set.Add(s)
	}
	now, seq := start, uint16(0)
	payload := make([]byte, 160)
	var buf []byte
	for b.Loop() {
		for end := now + 1000*ms; now < end; now += 20 * ms {
			for next := now; next < now+20*ms; next = set.Wake(next) {
			}
			seq++
			p := Packet{Seq: seq, Timestamp: uint32(seq) * 160, SSRC: 3, Payload: payload}
			buf = p.Append(buf[:0])
			for _, s := range all {
				s.arrived(now, at2, buf)
			}
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/(n*50), "ns/packet-pair")
}

var at2 = at(bobAt)
