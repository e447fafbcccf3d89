package media

import (
	"math"
	"testing"

	"sipscope/decode"
	"sipscope/decode/frame"
	"sipscope/decode/rtp"
	"sipscope/decode/sip"
)

// wire feeds a Tracker as the engine does.
type wire struct {
	t      *Tracker
	frames uint64
	now    int64
	ipid   uint16
	proved uint64
}

func newWire(l Limits) *wire { return &wire{t: NewTracker(l), now: 1e18} }

func at(host byte, port uint16) frame.Endpoint { return frame.Endpoint4([]byte{10, 0, 0, host}, port) }

// packet is one RTP packet of 160 bytes.
type packet struct {
	src, dst frame.Endpoint
	ssrc     uint32
	seq      uint16
	ts       uint32
	pt       uint8
	marker   bool
	copied   bool // the IP id of the packet before
}

func (w *wire) send(p packet) {
	w.frames++
	if !p.copied {
		w.ipid++
	}
	f := frame.Packet{Src: p.src, Dst: p.dst, IPID: w.ipid, HasIPID: true, TOS: 46 << 2}
	m := decode.Media{
		Frame: &f, Seq: w.frames, Time: w.now, Key: p.src.Lo<<40 ^ p.dst.Lo<<20 ^ uint64(p.ssrc)<<8 ^ uint64(p.src.Port)<<44 ^ uint64(p.dst.Port)<<3 | 1,
		RTP: rtp.Header{Timestamp: p.ts, SSRC: p.ssrc, Seq: p.seq, PT: p.pt, Marker: p.marker, Size: 160},
	}
	w.proved += w.t.Packet(&m)
}

// talk sends packets of 20 ms with these sequence numbers; timestamps follow them.
func (w *wire) talk(seqs ...int) {
	for _, n := range seqs {
		w.send(packet{src: at(1, 4000), dst: at(2, 5000), ssrc: 7, seq: uint16(n), ts: uint32(n) * 160, pt: 8})
		w.now += 20e6
	}
}

func upTo(from, to int) (all []int) {
	for ; from <= to; from++ {
		all = append(all, from)
	}
	return all
}

func join(parts ...[]int) (all []int) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

func TestArithmetic(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name                                           string
		seqs                                           []int
		expected, missing, duplicates, reordered, jump uint64
		lost                                           int64
	}{
		{"clean", upTo(1, 50), 50, 0, 0, 0, 0, 0},
		{"lost", join(upTo(1, 10), upTo(14, 50)), 50, 3, 0, 0, 0, 3},
		{"a duplicate hides a loss", []int{1, 2, 3, 4, 5, 5, 7, 8}, 8, 1, 1, 0, 0, 0},
		{"reordered", []int{1, 2, 3, 4, 6, 5, 7, 8}, 8, 0, 0, 1, 0, 0},
		{"late by ten", join(upTo(1, 5), upTo(7, 16), []int{6}, upTo(17, 20)), 20, 0, 0, 1, 0, 0},
		{"wraps", upTo(65_500, 65_600), 101, 0, 0, 0, 0, 0},
		{"lost over the wrap", join(upTo(65_500, 65_530), upTo(65_541, 65_600)), 101, 10, 0, 0, 0, 10},
		{"a jump of the clock is no loss", join(upTo(1, 10), upTo(2011, 2020)), 20, 0, 0, 0, 1, 0},
		{"restarts far away", join(upTo(1, 10), upTo(30_001, 30_010)), 20, 0, 0, 0, 1, 0},
		{"one stray", join(upTo(1, 10), []int{30_000}, upTo(11, 20)), 21, 0, 0, 0, 0, 0},
		{"begins out of order", []int{5, 4, 6, 7, 8, 9}, 5, 0, 0, 1, 0, -1},
		{"is sent again", join(upTo(1, 40), upTo(1, 40)), 80, 0, 0, 0, 1, 0},
		{"is sent again from 0 on", join(upTo(0, 40), upTo(0, 40)), 82, 0, 0, 0, 1, 0},
		{"late over the wrap", join(upTo(65_500, 65_534), []int{65_536, 65_535}, upTo(65_537, 65_600)), 101, 0, 0, 1, 0, 0},
		{"doubled, then late", []int{1, 2, 2, 4, 5, 3, 6, 6, 7, 8}, 8, 0, 2, 1, 0, -2},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWire(Limits{})
			w.talk(test.seqs...)
			all := w.t.All()
			if len(all) != 1 {
				t.Fatalf("%d streams", len(all))
			}
			s := all[0]
			if s.Packets != uint64(len(test.seqs)) || w.proved != s.Packets {
				t.Errorf("%d packets, %d proved, want %d", s.Packets, w.proved, len(test.seqs))
			}
			if s.Expected != test.expected || s.Lost != test.lost || s.Missing != test.missing ||
				s.Duplicates != test.duplicates || s.Reordered != test.reordered || s.Jumps != test.jump {
				t.Errorf("expected %d lost %d missing %d duplicates %d reordered %d jumps %d, want %+v",
					s.Expected, s.Lost, s.Missing, s.Duplicates, s.Reordered, s.Jumps, test)
			}
			if s.Found != ByConsistency || s.DSCP != 46 || s.Codec() != "PCMA" || s.PTime != 20e6 {
				t.Errorf("found %s, dscp %d, codec %s, ptime %d", s.Found, s.DSCP, s.Codec(), s.PTime)
			}
		})
	}
}

// TestLongLoss loses 40 seconds: the clock goes on, so it is a loss.
func TestLongLoss(t *testing.T) {
	t.Parallel()
	w := newWire(Limits{})
	w.talk(upTo(1, 10)...)
	w.now += 40e9
	w.talk(upTo(2011, 2020)...)
	if s := w.t.All()[0]; s.Missing != 2000 || s.Lost != 2000 || s.Jumps != 0 || s.MaxJitter > 1e6 || s.MaxGap != 40_020e6 {
		t.Errorf("%+v", s)
	}
}

// TestRestartNearby tells a sequence that begins anew close to the old one from late packets, by its timestamps.
func TestRestartNearby(t *testing.T) {
	t.Parallel()
	w := newWire(Limits{})
	send := func(seq uint16, ts uint32) {
		w.send(packet{src: at(1, 4000), dst: at(2, 5000), ssrc: 7, seq: seq, ts: ts, pt: 0})
		w.now += 20e6
	}
	for i := range uint16(50) {
		send(500+i, uint32(i)*160)
	}
	for i := range uint16(50) {
		send(300+i, 8000+uint32(i)*160)
	}
	if s := w.t.All()[0]; s.Jumps != 1 || s.Missing != 0 || s.Duplicates != 0 || s.Lost != 0 || s.MaxJitter > 1e6 {
		t.Errorf("%+v", s)
	}
}

func TestTapDuplicates(t *testing.T) {
	t.Parallel()
	w := newWire(Limits{})
	for i := range 20 {
		p := packet{src: at(1, 4000), dst: at(2, 5000), ssrc: 7, seq: uint16(i), ts: uint32(i) * 160, pt: 0}
		w.send(p)
		w.now += 30e3
		p.copied = i%2 == 0 // every other one is the network's
		w.send(p)
		w.now += 20e6
	}
	if s := w.t.All()[0]; s.Duplicates != 20 || s.TapDuplicates != 10 || s.Missing != 0 || s.Packets != 40 {
		t.Errorf("%d duplicates, %d of them the tap's, %d missing, %d packets", s.Duplicates, s.TapDuplicates, s.Missing, s.Packets)
	}
}

// TestJitter follows RFC 3550 A.8 by hand: packets that come 5 ms late and early in turn.
func TestJitter(t *testing.T) {
	t.Parallel()
	w := newWire(Limits{})
	base := w.now
	want, most, prev := 0.0, 0.0, int64(0)
	for i := range 200 {
		late := int64(i%2) * 5e6
		w.now = base + int64(i)*20e6 + late
		w.send(packet{src: at(1, 4000), dst: at(2, 5000), ssrc: 7, seq: uint16(i), ts: uint32(i) * 160, pt: 0})
		if i > 0 {
			want += (math.Abs(float64(late-prev)) - want) / 16
			most = max(most, want)
		}
		prev = late
	}
	s := w.t.All()[0]
	if math.Abs(float64(s.Jitter)-want) > 1 || math.Abs(float64(s.MaxJitter)-most) > 1 {
		t.Errorf("jitter %d, largest %d, want %f and %f", s.Jitter, s.MaxJitter, want, most)
	}
}

// TestPause holds that a pause is no loss, that its timestamps tell whether it is jitter (RFC 3550 A.8), and that markers
// are not in the largest gap.
func TestPause(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name        string
		step        uint32 // of the timestamp over the pause of 60 s
		marker      bool
		jitter, gap int64
	}{
		{"the clock goes on", 60*8000 + 160, true, 0, 20e6},
		{"the clock goes on, no marker", 60*8000 + 160, false, 0, 60_020e6},
		{"the clock stands still", 160, true, 3750e6 * 15 / 16, 20e6},
		{"the clock stands still, no marker", 160, false, 3750e6, 60_020e6},
		{"another clock", 160 + 30*8000, true, 1875e6 * 15 / 16, 20e6},
		{"another clock, backwards", 1<<32 + 160 - 30*8000, true, 5625e6 * 15 / 16, 20e6},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWire(Limits{})
			ts := uint32(240_000)
			for i := range uint16(200) {
				if i == 100 {
					w.now += 60e9
					ts += test.step - 160
				}
				w.send(packet{src: at(1, 4000), dst: at(2, 5000), ssrc: 7, seq: i, ts: ts, pt: 0, marker: i == 100 && test.marker})
				w.now += 20e6
				ts += 160
			}
			s := w.t.All()[0]
			if s.Missing != 0 || s.Jumps != 0 || abs(s.MaxJitter-test.jitter) > 1 || s.MaxGap != test.gap {
				t.Errorf("%d missing, %d jumps, jitter %d, gap %d, want %+v", s.Missing, s.Jumps, s.MaxJitter, s.MaxGap, test)
			}
		})
	}
}

// TestLaggingCopies tells a tap that sees each packet again 430 ms later from a sequence that is sent once more.
func TestLaggingCopies(t *testing.T) {
	t.Parallel()
	const n, lag = 100, 21
	var seqs []int
	for i := range n + lag {
		if i < n {
			seqs = append(seqs, 1000+i)
		}
		if i >= lag {
			seqs = append(seqs, 1000+i-lag)
		}
	}
	w := newWire(Limits{})
	for _, seq := range seqs {
		w.send(packet{src: at(1, 4000), dst: at(2, 5000), ssrc: 7, seq: uint16(seq), ts: uint32(seq) * 160, pt: 8})
		w.now += 10e6
	}
	if s := w.t.All()[0]; s.Duplicates != n || s.Jumps != 0 || s.Lost != -n || s.Missing != 0 {
		t.Errorf("%d duplicates, %d jumps, %d lost, %d missing", s.Duplicates, s.Jumps, s.Lost, s.Missing)
	}
}

// TestSkew finds a clock that runs 200 ppm fast through jitter that only ever delays.
func TestSkew(t *testing.T) {
	t.Parallel()
	w := newWire(Limits{})
	base := w.now
	noise := uint32(1)
	for i := range 3000 {
		noise = noise*1664525 + 1013904223
		w.now = base + int64(float64(i)*20e6/1.0002) + int64(noise%8e6)
		w.send(packet{src: at(1, 4000), dst: at(2, 5000), ssrc: 7, seq: uint16(i), ts: uint32(i) * 160, pt: 0})
	}
	if s := w.t.All()[0]; math.Abs(s.Skew-200) > 15 {
		t.Errorf("%.1f ppm, want 200", s.Skew)
	}
}

// TestNoRTP holds that datagrams of the same version bits are not taken for RTP.
func TestNoRTP(t *testing.T) {
	t.Parallel()
	for name, next := range map[string]func(i int) packet{
		"constant number, as in DNS": func(int) packet { return packet{seq: 0x0100, ts: 0x10000, ssrc: 0} },
		"random":                     func(i int) packet { return packet{seq: uint16(i * 40503), ts: uint32(i) * 2654435761, ssrc: 9} },
		"constant timestamp":         func(i int) packet { return packet{seq: uint16(i), ts: 99, ssrc: 9} },
		"new source each time":       func(i int) packet { return packet{seq: uint16(i), ts: uint32(i) * 160, ssrc: uint32(i)} },
		"counts down":                func(i int) packet { return packet{seq: uint16(-i), ts: uint32(i) * 160, ssrc: 9} },
		"steps of seven":             func(i int) packet { return packet{seq: uint16(i * 7), ts: uint32(i) * 160, ssrc: 9} },
		"RTCP's payload types":       func(i int) packet { return packet{seq: uint16(i), ts: uint32(i) * 160, ssrc: 9, pt: 72} },
	} {
		w := newWire(Limits{})
		for i := range 200 {
			p := next(i)
			p.src, p.dst = at(1, 53), at(2, 3000)
			w.send(p)
			w.now += 20e6
		}
		if n := len(w.t.All()); n != 0 || w.proved != 0 {
			t.Errorf("%s: %d streams, %d packets", name, n, w.proved)
		}
	}
}

// names says that a call's SDP from a host names an address.
func (w *wire) names(call uint32, from byte, to frame.Endpoint, codecs ...decode.Codec) {
	w.frames++
	w.proved += w.t.Describe(&decode.Message{
		Seq: w.frames, Time: w.now, Src: at(from, 5060), Dst: at(99, 5060), SIP: sip.Message{},
		Lines: []decode.Line{{Addr: to, Kind: decode.LineAudio, RTP: true, Codecs: codecs, Set: uint64(len(codecs))<<1 | 1}},
	}, call, 0)
}

func TestNamedBySDP(t *testing.T) {
	t.Parallel()
	w := newWire(Limits{})
	codec := decode.Codec{PT: 96, Clock: 48_000}
	copy(codec.Name[:], "opus")
	w.names(3, 2, at(2, 5000), codec)
	w.send(packet{src: at(1, 4000), dst: at(2, 5000), ssrc: 7, seq: 1, pt: 96})
	s := w.t.OfCall(3)
	if len(s) != 1 || w.proved != 1 || s[0].Found != BySDP || s[0].Codec() != "opus" || s[0].Type != "audio" || s[0].Payloads[0].Clock != 48_000 {
		t.Fatalf("%+v", s)
	}
	// The other side's SDP names another address than the packets come from: NAT.
	w.names(3, 1, at(3, 4444))
	if s := w.t.OfCall(3); s[0].Found != BySymmetry {
		t.Errorf("found %s", s[0].Found)
	}
	// Packets from an address that SDP named, to one that it did not.
	w.send(packet{src: at(2, 5000), dst: at(8, 9000), ssrc: 8, seq: 1, pt: 8})
	if s := w.t.OfCall(3); len(s) != 2 || s[1].Found != BySDP {
		t.Errorf("%+v", s)
	}
}

func TestMediaBeforeItsSDP(t *testing.T) {
	t.Parallel()
	w := newWire(Limits{})
	w.talk(1, 2)
	if w.proved != 0 {
		t.Fatal("two packets prove nothing")
	}
	w.names(1, 2, at(2, 5000))
	if w.proved != 2 {
		t.Errorf("%d packets proved by SDP", w.proved)
	}
	if s := w.t.OfCall(1); len(s) != 1 || s[0].Packets != 2 {
		t.Errorf("%+v", s)
	}
}

func TestPortOfAnotherCall(t *testing.T) {
	t.Parallel()
	w := newWire(Limits{})
	w.names(1, 2, at(2, 5000))
	w.talk(upTo(1, 20)...)
	w.now += 10e9
	w.names(2, 2, at(2, 5000))
	w.talk(upTo(500, 520)...)
	a, b := w.t.OfCall(1), w.t.OfCall(2)
	if len(a) != 1 || len(b) != 1 || a[0].Packets != 20 || b[0].Packets != 21 || b[0].Missing != 0 {
		t.Errorf("%+v\n%+v", a, b)
	}
}

// TestManySources holds that a million SSRCs cost no more than the limit, and that a long stream outlives them.
func TestManySources(t *testing.T) {
	t.Parallel()
	const limit = 1024
	w := newWire(Limits{Streams: limit})
	w.names(1, 2, at(2, 5000))
	n := 1_000_000
	if testing.Short() {
		n = 50_000
	}
	for i := range n {
		if i%10 == 0 {
			w.talk(i / 10)
		}
		w.send(packet{src: at(1, 4000), dst: at(2, 5000), ssrc: uint32(i) + 100, seq: uint16(i), ts: 1, pt: 0})
	}
	if live := w.t.streams.Live(); live > limit {
		t.Errorf("%d streams", live)
	}
	if w.t.payloads.Live() > limit || w.t.seconds.Live() > 4*limit+defaultSeconds/secondsEach || w.t.byKey.Len() > limit {
		t.Errorf("%d payload types, %d seconds, %d keys", w.t.payloads.Live(), w.t.seconds.Live(), w.t.byKey.Len())
	}
	if s := w.t.OfCall(1); len(s) == 0 || s[0].SSRC != 7 || s[0].Packets != uint64(n/10) {
		t.Error("the long stream was let go")
	}
	if c := w.t.Counts(); c.Evicted == 0 || c.Packets != w.proved {
		t.Errorf("%+v, %d proved", c, w.proved)
	}
}

func TestSecondsAndLimit(t *testing.T) {
	t.Parallel()
	w := newWire(Limits{Seconds: 3})
	w.talk(join(upTo(0, 60), upTo(65, 500))...)
	s := w.t.All()[0]
	if len(s.Seconds) != 3 || s.Seconds[0].Packets != 50 || s.Seconds[1].Lost != 4 || s.SecondsDropped != s.Packets-150 {
		t.Errorf("%+v, %d in none", s.Seconds, s.SecondsDropped)
	}
}

func TestNoAllocation(t *testing.T) { //nolint:paralleltest // it counts the allocations of the whole program
	w := newWire(Limits{})
	f := frame.Packet{Src: at(1, 4000), Dst: at(2, 5000), HasIPID: true}
	m := decode.Media{Frame: &f, Key: 5, RTP: rtp.Header{SSRC: 7, PT: 0, Size: 160}}
	if n := testing.AllocsPerRun(1000, func() {
		m.Seq, m.Time = m.Seq+1, m.Time+20e3
		m.RTP.Seq, m.RTP.Timestamp = m.RTP.Seq+1, m.RTP.Timestamp+160
		w.t.Packet(&m)
	}); n != 0 {
		t.Errorf("%f allocations a packet", n)
	}
}

func BenchmarkPacket(b *testing.B) {
	const streams = 1000
	t := NewTracker(Limits{})
	f := make([]frame.Packet, streams)
	m := make([]decode.Media, streams)
	for i := range m {
		f[i] = frame.Packet{Src: at(1, uint16(i)+1), Dst: at(2, uint16(i)+1), HasIPID: true}
		m[i] = decode.Media{Frame: &f[i], Key: (uint64(i) + 1) * 0x9e3779b97f4a7c15, RTP: rtp.Header{SSRC: uint32(i), Size: 160}}
	}
	i, now := 0, int64(0)
	b.ReportAllocs()
	for b.Loop() {
		x := &m[i]
		x.Time = now
		x.RTP.Seq++
		x.RTP.Timestamp += 160
		t.Packet(x)
		if i++; i == streams {
			i, now = 0, now+20e6
		}
	}
}
