package media

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/pion/rtp"

	reader "sipscope/decode/rtp"
)

const start = int64(1_700_000_000_000_000_000)

func rng(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 11)) }

const ms = int64(time.Millisecond)

// TestParsePacket has pion/rtp make packets of all shapes.
func TestParsePacket(t *testing.T) {
	t.Parallel()
	for _, pad := range []uint8{0, 4} {
		for _, csrc := range []int{0, 2, 15} {
			for _, ext := range []bool{false, true} {
				p := rtp.Packet{Header: rtp.Header{
					Version: 2, Marker: true, PayloadType: 101, SequenceNumber: 65535, Timestamp: 1 << 31, SSRC: 0xdeadbeef,
					CSRC: make([]uint32, csrc),
				}, Payload: []byte("sound")}
				if pad > 0 {
					p.Padding, p.PaddingSize = true, pad
				}
				if ext {
					if err := p.SetExtension(1, []byte("abc")); err != nil {
						t.Fatal(err)
					}
				}
				b, err := p.Marshal()
				if err != nil {
					t.Fatal(err)
				}
				var got Packet
				if err := ParsePacket(b, &got); err != nil {
					t.Fatal(err)
				}
				if !got.Marker || got.PT != 101 || got.Seq != 65535 || got.Timestamp != 1<<31 || got.SSRC != 0xdeadbeef || string(got.Payload) != "sound" {
					t.Errorf("pad %d csrc %d ext %t: %+v", pad, csrc, ext, got)
				}
			}
		}
	}
	for name, b := range map[string][]byte{
		"short": make([]byte, 11), "version 1": bytes.Repeat([]byte{0x40}, 12), "RTCP": {0x80, 200, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0},
		"CSRC beyond":      {0x8f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
		"extension beyond": {0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xbe, 0xde, 0xff, 0xff},
		"padding beyond":   {0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 200},
	} {
		if err := ParsePacket(b, new(Packet)); !errors.Is(err, ErrNotRTP) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzPacket(f *testing.F) {
	f.Add([]byte("\x80\x00\x00\x01\x00\x00\x00\xa0\x12\x34\x56\x78sound"))
	f.Add([]byte("\xb1\x80\x00\x01\x00\x00\x00\xa0\x12\x34\x56\x78AAAA\xbe\xde\x00\x01BBBBsound\x01"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var p Packet
		var q rtp.Packet
		err, other := ParsePacket(b, &p), q.Unmarshal(b)
		if err != nil {
			if !errors.Is(err, ErrNotRTP) {
				t.Fatal(err)
			}
			return
		}
		if other == nil && q.Version == 2 && (p.Seq != q.SequenceNumber || p.Timestamp != q.Timestamp || p.SSRC != q.SSRC ||
			p.PT != q.PayloadType || p.Marker != q.Marker || !q.Padding && !bytes.Equal(p.Payload, q.Payload)) {
			t.Fatalf("%+v, want %+v", p, q)
		}
		r := NewReceiver(ReceiverConfig{EventPT: 101, Record: 1000})
		for range 3 {
			if _, err := r.Packet(start, b); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// packets drives a sender up to a time, and reads what it sends.
func packets(t *testing.T, s *Sender, until int64) (out []rtp.Packet, at []int64) {
	t.Helper()
	for now := s.Next(); now <= until; now = s.Next() {
		for {
			b, ok := s.Packet(now, nil)
			if !ok {
				break
			}
			var p rtp.Packet
			if err := p.Unmarshal(b); err != nil {
				t.Fatal(err)
			}
			out, at = append(out, p), append(at, now)
		}
		if s.Next() <= now {
			t.Fatalf("due at %d, still due at %d", now, s.Next())
		}
	}
	return out, at
}

func TestSender(t *testing.T) {
	t.Parallel()
	tone, err := Tone(time.Second+5*time.Millisecond, 440)
	if err != nil {
		t.Fatal(err)
	}
	s := NewSender(start, SenderConfig{Codec: PCMA, PT: 8, EventPT: -1, Source: tone, Rand: rng(1)})
	got, at := packets(t, s, start+10_000*ms)
	if len(got) != 51 || !s.Done() || s.Next() != math.MaxInt64 {
		t.Fatalf("%d packets, done=%t, next %d", len(got), s.Done(), s.Next())
	}
	for i := range got {
		p := &got[i]
		if p.Marker != (i == 0) || p.PayloadType != 8 || p.SSRC != s.SSRC() || len(p.Payload) != 160 ||
			p.SequenceNumber != got[0].SequenceNumber+uint16(i) || p.Timestamp != got[0].Timestamp+160*uint32(i) || at[i] != start+20*ms*int64(i) {
			t.Errorf("packet %d at %d ms: %v", i, (at[i]-start)/ms, p)
		}
	}
	if st := s.Stats(); st.Packets != 51 || st.Octets != 51*160 {
		t.Errorf("%+v", st)
	}
	if err := s.SendDigits("1"); !errors.Is(err, ErrNoEvents) {
		t.Errorf("digits without events: %v", err)
	}
}

// TestSenderDigits checks RFC 4733 2.5: one timestamp and one marker an event, durations that grow, three ends; and the
// sound around it keeps its time.
func TestSenderDigits(t *testing.T) {
	t.Parallel()
	s := NewSender(start, SenderConfig{Codec: PCMU, EventPT: 101, Rand: rng(2)})
	before, _ := packets(t, s, start+39*ms)
	if err := s.SendDigits("1d"); err != nil {
		t.Fatal(err)
	}
	got, at := packets(t, s, start+999*ms)
	type run struct {
		pt, packets, markers, ends int
		event                      byte
	}
	var runs []run
	for i, p := range got {
		pt := int(p.PayloadType)
		fresh := len(runs) == 0 || runs[len(runs)-1].pt != pt
		if fresh {
			runs = append(runs, run{pt: pt})
		}
		r := &runs[len(runs)-1]
		r.packets++
		if p.Marker {
			r.markers++
		}
		since := uint32((at[i] - start) / ms * 8)
		if pt != 101 {
			if p.Timestamp != before[0].Timestamp+since {
				t.Errorf("sound at %d ms: timestamp %d, want %d", (at[i]-start)/ms, p.Timestamp-before[0].Timestamp, since)
			}
			continue
		}
		e, ok := reader.ParseEvent(p.Payload)
		if !ok || fresh && p.Timestamp != before[0].Timestamp+since || int(e.Duration) != 160*min(r.packets, 5) {
			t.Errorf("event packet %d of a run: %+v, timestamp %d", r.packets, e, p.Timestamp)
		}
		r.event = e.Code
		if e.End {
			r.ends++
		}
		if p.SequenceNumber != before[0].SequenceNumber+uint16(i+len(before)) {
			t.Errorf("sequence number %d of packet %d", p.SequenceNumber, i)
		}
	}
	want := []run{{101, 7, 1, 3, 1}, {0, 5, 1, 0, 0}, {101, 7, 1, 3, 15}, {0, 29, 1, 0, 0}}
	if len(runs) != len(want) {
		t.Fatalf("%+v, want %+v", runs, want)
	}
	for i := range want {
		if runs[i] != want[i] {
			t.Errorf("run %d: %+v, want %+v", i+1, runs[i], want[i])
		}
	}
	if err := s.SendDigits("12x"); !errors.Is(err, ErrDigit) {
		t.Errorf("x: %v", err)
	}
	if err := s.SendDigits(string(bytes.Repeat([]byte("1"), maxDigits+1))); !errors.Is(err, ErrDigit) {
		t.Errorf("too many: %v", err)
	}
}

// TestSenderLate has a caller that slept: no burst, and the time goes on.
func TestSenderLate(t *testing.T) {
	t.Parallel()
	s := NewSender(start, SenderConfig{Codec: PCMU, EventPT: -1, Rand: rng(3)})
	first, _ := packets(t, s, start)
	n := 0
	var last rtp.Packet
	for {
		b, ok := s.Packet(start+60_000*ms, nil)
		if !ok {
			break
		}
		n++
		if err := last.Unmarshal(b); err != nil {
			t.Fatal(err)
		}
	}
	if n != maxLate+1 || last.Timestamp != first[0].Timestamp+60_000*8 || last.SequenceNumber != first[0].SequenceNumber+uint16(n) {
		t.Errorf("%d packets after a minute, the last %v", n, last)
	}
	s.Mute(start+60_010*ms, true)
	if s.Next() != math.MaxInt64 {
		t.Error("due though muted")
	}
	s.Mute(start+70_001*ms, false)
	got, at := packets(t, s, start+70_030*ms)
	if len(got) == 0 || !got[0].Marker || at[0] < start+70_001*ms || got[0].Timestamp != first[0].Timestamp+uint32((at[0]-start)/ms*8) {
		t.Errorf("after the pause: %v at %v", got, at)
	}
}

// feed sends packets of sound with sequence numbers, each 20 ms after the other, to a receiver.
func feed(t *testing.T, r *Receiver, now int64, ssrc uint32, seqs ...int) {
	t.Helper()
	for i, seq := range seqs {
		p := Packet{Seq: uint16(seq), Timestamp: uint32(seq) * 160, SSRC: ssrc, Payload: make([]byte, 160)}
		if _, err := r.Packet(now+int64(i)*20*ms, p.Append(nil)); err != nil {
			t.Fatal(err)
		}
	}
}

func count(from, to int) (out []int) {
	for i := from; i <= to; i++ {
		out = append(out, i)
	}
	return out
}

func TestReceiverCounts(t *testing.T) {
	t.Parallel()
	join := func(parts ...[]int) (out []int) {
		for _, p := range parts {
			out = append(out, p...)
		}
		return out
	}
	for name, tt := range map[string]struct {
		seqs []int
		want Received
	}{
		"in order":            {count(1, 10), Received{Packets: 10, Expected: 10}},
		"loss":                {join(count(1, 3), count(7, 10)), Received{Packets: 7, Expected: 10, Lost: 3, Missing: 3}},
		"around":              {count(65530, 65545), Received{Packets: 16, Expected: 16}},
		"duplicates":          {[]int{1, 2, 2, 3, 1}, Received{Packets: 5, Expected: 3, Lost: -2, Duplicates: 2}},
		"duplicate hides":     {[]int{1, 2, 2, 4}, Received{Packets: 4, Expected: 4, Missing: 1, Duplicates: 1}},
		"reordered":           {[]int{1, 3, 2, 4}, Received{Packets: 4, Expected: 4, Reordered: 1}},
		"the first came late": {[]int{5, 3, 4, 6}, Received{Packets: 4, Expected: 4, Reordered: 2}},
		"late around":         {[]int{65536, 65534, 65535, 65537}, Received{Packets: 4, Expected: 4, Reordered: 2}},
		"late and again":      {[]int{1, 2, 4, 3, 3}, Received{Packets: 5, Expected: 4, Lost: -1, Duplicates: 1, Reordered: 1}},
		"one stray":           {join(count(1, 5), []int{20000}, count(6, 9)), Received{Packets: 9, Expected: 9, Invalid: 1}},
		"began again":         {join(count(1, 5), count(20000, 20004)), Received{Packets: 9, Expected: 9, Invalid: 1, Restarts: 1}},
		"two jumps in a row":  {join(count(1, 5), []int{20000, 30000}, count(6, 7)), Received{Packets: 7, Expected: 7, Invalid: 2}},
		"a long gap":          {[]int{1, 2999}, Received{Packets: 2, Expected: 2999, Lost: 2997, Missing: 2997}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := NewReceiver(ReceiverConfig{EventPT: -1})
			feed(t, r, start, 7, tt.seqs...)
			got := r.Stats()
			tt.want.SSRC, tt.want.Sources, tt.want.First, tt.want.Octets = 7, 1, start, 160*tt.want.Packets
			got.Last, got.Jitter, got.MaxJitter = 0, 0, 0
			got.Octets += 160 * got.Duplicates // of which no octets are counted
			if got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestReceiverSources(t *testing.T) {
	t.Parallel()
	r := NewReceiver(ReceiverConfig{EventPT: -1})
	feed(t, r, start, 7, 1, 2, 4)
	feed(t, r, start+100*ms, 8, 100)
	if st := r.Stats(); st.SSRC != 7 || st.Sources != 1 || st.Invalid != 1 {
		t.Errorf("a stray of another source: %+v", st)
	}
	feed(t, r, start+200*ms, 9, 500, 501, 502)
	if st := r.Stats(); st.SSRC != 9 || st.Sources != 2 || st.Packets != 5 || st.Expected != 6 || st.Missing != 1 {
		t.Errorf("another source: %+v", st)
	}
}

// TestJitter compares with RFC 3550 A.8 in floating point.
func TestJitter(t *testing.T) {
	t.Parallel()
	r := NewReceiver(ReceiverConfig{EventPT: -1})
	random := rng(4)
	want, before := 0.0, 0.0
	for i := range 2000 {
		delay := random.Int64N(30 * ms)
		at := start + int64(i)*20*ms + delay
		p := Packet{Seq: uint16(i), Timestamp: uint32(i)*160 + 4e9, SSRC: 1, Payload: make([]byte, 160)}
		if _, err := r.Packet(at, p.Append(nil)); err != nil {
			t.Fatal(err)
		}
		transit := float64(delay) / float64(time.Second) * Rate
		if i > 0 {
			want += (math.Abs(transit-before) - want) / 16
		}
		before = transit
	}
	if got := r.Stats().Jitter.Seconds() * Rate; math.Abs(got-want) > 1 {
		t.Errorf("jitter %.2f samples, want %.2f", got, want)
	}
}

func TestReceiverDigits(t *testing.T) {
	t.Parallel()
	s := NewSender(start, SenderConfig{Codec: PCMU, EventPT: 101, Rand: rng(5)})
	if err := s.SendDigits("110*#ABCD9"); err != nil {
		t.Fatal(err)
	}
	sent, at := packets(t, s, start+3000*ms)
	for name, lost := range map[string]func(i int) bool{
		"all":               func(int) bool { return false },
		"every second":      func(i int) bool { return i%2 == 0 },
		"two of three":      func(i int) bool { return i%3 != 0 },
		"every packet once": nil,
	} {
		r := NewReceiver(ReceiverConfig{EventPT: 101})
		var heard []byte
		for i := range sent {
			b, _ := sent[i].Marshal()
			times := 1
			if lost == nil {
				times = 2
			} else if lost(i) {
				continue
			}
			for range times {
				h, err := r.Packet(at[i], b)
				if err != nil {
					t.Fatal(err)
				}
				if h.Digit != 0 {
					heard = append(heard, h.Digit)
				}
			}
		}
		if string(heard) != "110*#ABCD9" {
			t.Errorf("%s: heard %q", name, heard)
		}
	}
}

func TestReceiverHears(t *testing.T) {
	t.Parallel()
	tone, err := Tone(0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	s := NewSender(start, SenderConfig{Codec: PCMA, PT: 97, EventPT: -1, Source: tone})
	r := NewReceiver(ReceiverConfig{Codec: PCMA, PT: 97, EventPT: -1, Record: Rate})
	for now := start; now < start+3000*ms; now += 20 * ms {
		b, _ := s.Packet(now, nil)
		if _, err := r.Packet(now, b); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.Recorded(); len(got) != Rate || math.Abs(level(got, 1000)-0.25) > 0.005 {
		t.Errorf("%d samples, level %.3f", len(got), level(got, 1000))
	}
	// Loss, disorder and another source: what is heard keeps its place.
	r = NewReceiver(ReceiverConfig{EventPT: -1, Record: 700})
	for _, p := range []Packet{{Seq: 5, SSRC: 1}, {Seq: 8, SSRC: 1}, {Seq: 7, SSRC: 1}, {Seq: 90, SSRC: 2}, {Seq: 91, SSRC: 2}, {Seq: 92, SSRC: 2}} {
		p.Timestamp = uint32(p.Seq)*160 - 1000
		p.Payload = PCMU.Encode(nil, Sound{int16(p.Seq) * 100, int16(p.Seq) * 100})
		if _, err := r.Packet(start, p.Append(nil)); err != nil {
			t.Fatal(err)
		}
	}
	for at, want := range map[int]int16{0: 500, 1: 500, 2: 0, 160: 0, 320: 700, 480: 800, 481: 800, 482: 9100, 642: 9200} {
		if got := r.Recorded()[at]; abs(int(got)-int(want)) > int(want)/20 {
			t.Errorf("sample %d of %d is %d, want %d", at, len(r.Recorded()), got, want)
		}
	}
	r = NewReceiver(ReceiverConfig{Codec: PCMA, PT: 97, EventPT: -1})
	unknown := Packet{PT: 18, Seq: 151, SSRC: 0, Payload: make([]byte, 20)}
	if h, err := r.Packet(start, unknown.Append(nil)); err != nil || len(h.Sound) > 0 || r.Stats().Unknown != 1 {
		t.Errorf("G.729: %+v, %v", h, err)
	}
}

// TestClock measures the jitter of a stream of 48 kHz, whose payload type is counted and not heard.
func TestClock(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		clock uint32
		want  time.Duration // jitter, at most
		least time.Duration
	}{{48_000, time.Millisecond, 100 * time.Microsecond}, {0, time.Minute, 10 * time.Millisecond}, {math.MaxUint32, time.Minute, 10 * time.Millisecond}} {
		r := NewReceiver(ReceiverConfig{PT: 255, EventPT: -1, Clock: c.clock, Counted: []uint8{96}})
		for i := range 200 {
			at := start + int64(i)*20*ms + int64(i%2)*ms/2
			b := (&Packet{PT: uint8(96 + i/150), Seq: uint16(i), Timestamp: uint32(960 * i), SSRC: 1}).Append(nil)
			if h, err := r.Packet(at, b); err != nil || !h.Fresh || h.Sound != nil {
				t.Fatalf("%+v, %v", h, err)
			}
		}
		if st := r.Stats(); st.Jitter > c.want || st.Jitter < c.least || st.Unknown != 50 || r.Last() != st.Last {
			t.Errorf("clock %d: %+v", c.clock, st)
		}
		b, ok := r.Block(start+5*int64(time.Second), 7, start+4*int64(time.Second))
		if !ok || b.SSRC != 1 || b.Highest != 199 || b.LSR != 7 || b.DLSR != 1<<16 || b.Lost != 0 {
			t.Errorf("%+v", b)
		}
	}
	if _, ok := NewReceiver(ReceiverConfig{}).Block(start, 0, 0); ok {
		t.Error("a block about nothing")
	}
}
