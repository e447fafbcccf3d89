package dtmf

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sipscope/decode/rtp"
	"sipscope/decode/sip"
)

const ms = int64(1e6)

// pkt is a telephone-event packet of a test.
type pkt struct {
	at     int64 // ms
	seq    uint16
	ts     uint32
	marker bool
	code   uint8
	end    bool
	dur    uint16
}

// press makes the packets of a press as RFC 4733 2.5.1 has them: one each 20 ms, and the end three times.
func press(at int64, seq uint16, ts uint32, code uint8, packets int) []pkt {
	var out []pkt
	for i := range packets {
		out = append(out, pkt{at + int64(i)*20, seq + uint16(i), ts, i == 0, code, false, uint16(i+1) * 160})
	}
	for i := range 3 {
		out = append(out, pkt{
			at + int64(packets)*20, seq + uint16(packets+i), ts, false, code, true, uint16(packets+1) * 160,
		})
	}
	return out
}

// run gives packets to a tracker; frames count from 1.
func run(tr *Tracker, packets []pkt) []Press {
	for i, p := range packets {
		feed(tr, uint64(i+1), p)
	}
	return tr.Presses()
}

// feed gives one packet.
func feed(tr *Tracker, frame uint64, p pkt) bool {
	payload := rtp.Event{Code: p.code, End: p.end, Volume: 10, Duration: p.dur}.Append(nil)
	return tr.Packet(p.at*ms, frame, 8000, &rtp.Packet{
		Marker: p.marker, PT: 101, Seq: p.seq, Timestamp: p.ts, SSRC: 1, Payload: payload,
	})
}

// brief is what a test compares: digits with duration in ms, "?" without an end, "<" without a start.
func brief(presses []Press) string {
	var out []string
	for i := range presses {
		p := &presses[i]
		s := p.Name()
		if p.LostStart {
			s = "<" + s
		}
		s += "/" + string(appendInt(nil, p.Duration/ms))
		if !p.Ended {
			s += "?"
		}
		out = append(out, s)
	}
	return strings.Join(out, " ")
}

// appendInt appends a number that is not negative.
func appendInt(dst []byte, n int64) []byte {
	if n < 0 {
		return append(dst, '-')
	}
	if n >= 10 {
		dst = appendInt(dst, n/10)
	}
	return append(dst, byte('0'+n%10))
}

// without drops the packets with these indices.
func without(packets []pkt, drop ...int) []pkt {
	var out []pkt
	for i, p := range packets {
		keep := true
		for _, d := range drop {
			keep = keep && i != d
		}
		if keep {
			out = append(out, p)
		}
	}
	return out
}

// long makes a press of 20 s: two full segments and a third (RFC 4733 2.5.1.3), one packet a second.
func long() []pkt {
	var out []pkt
	ts, seq := uint32(1000), uint16(1)
	for i := range 20 {
		units := uint32(i+1) * 8000
		seg := (units - 1) / segment
		if seg > uint32(i*8000-1)/segment && i > 0 { // the segment before is reported full
			out = append(out, pkt{int64(i) * 1000, seq, ts + (seg-1)*segment, false, 7, false, 0xFFFF})
			seq++
		}
		out = append(out, pkt{
			int64(i) * 1000, seq, ts + seg*segment, i == 0, 7, i == 19, uint16(units - seg*segment),
		})
		seq++
	}
	return out
}

// moving makes a press of a sender that moves the timestamp with each packet, repeated ends included.
func moving(at int64, seq uint16, ts uint32, code uint8) []pkt {
	out := press(at, seq, ts, code, 4)
	for i := range out {
		out[i].ts += uint32(i) * 160
	}
	return out
}

func TestTracker(t *testing.T) {
	t.Parallel()
	five := press(0, 1, 1000, 5, 4) // 4 packets, 3 ends: 100 ms
	again := press(300, 20, 5000, 5, 4)
	both := append(append([]pkt{}, five...), again...)
	reordered := append([]pkt{}, five...)
	reordered[2], reordered[6] = reordered[6], reordered[2]
	mixed := append(append([]pkt{}, without(five, 6)...), again[0], five[6])
	mixed = append(mixed, again[1:]...)
	keys := []pkt{}
	for code := range uint8(17) {
		keys = append(keys, press(int64(code)*200, uint16(code)*10, uint32(code)*2000, code, 3)...)
	}
	for _, test := range []struct {
		name    string
		packets []pkt
		want    string
	}{
		{"one press is told once", five, "5/100"},
		{"two of one digit", both, "5/100 5/100"},
		{"all ends lost", without(both, 4, 5, 6), "5/80? 5/100"},
		{"start lost", without(five, 0, 1, 2), "<5/100"},
		{"first lost, 40 ms are no sign of it", without(five, 0), "5/100"},
		{"only an end", five[6:], "<5/100"},
		{"reordered", reordered, "5/100"},
		{"end comes after the next press began", mixed, "5/100 5/100"},
		{"end of one and start of the next lost", without(both, 4, 5, 6, 7), "5/80? 5/100"},
		{"all keys", keys, "0/80 1/80 2/80 3/80 4/80 5/80 6/80 7/80 8/80 9/80 */80 #/80 A/80 B/80 C/80 D/80 flash/80"},
		{"long", long(), "7/20000"},
		{"long, the full segment lost", without(long(), 8), "7/20000"},
		{"moving timestamps", append(moving(0, 1, 1000, 3), moving(300, 8, 5000, 3)...), "3/100 3/100"},
		{"duplicated by the network", append(append([]pkt{}, five...), five...), "5/100"},
		{"no key: modem tone", press(0, 1, 1, 32, 3), ""},
		{"duration falls back: another press", []pkt{
			{0, 1, 1000, true, 1, false, 800}, {200, 2, 9000, false, 1, false, 160},
		}, "1/100? 1/20?"},
	} {
		var tr Tracker
		if got := brief(run(&tr, test.packets)); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

// TestPress holds all that is told of one press.
func TestPress(t *testing.T) {
	t.Parallel()
	var tr Tracker
	got := run(&tr, press(1000, 1, 4711, 11, 2))
	want := []Press{{
		Digit: '#', Via: ViaEvent, Volume: 10, Ended: true, Start: 1000 * ms, Duration: 60 * ms,
		First: 1, Last: 5, Packets: 5, Timestamp: 4711,
	}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	tr = Tracker{}
	got = run(&tr, press(1000, 1, 4711, 11, 2)[4:])
	if len(got) != 1 || !got[0].LostStart || got[0].Start != 1040*ms-60*ms {
		t.Errorf("only an end: %+v", got)
	}
	if p := (Press{Digit: 'A'}); p.Name() != "A" {
		t.Error(p.Name())
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		units uint64
		clock uint32
		want  int64
	}{{160, 8000, 20 * ms}, {960, 48000, 20 * ms}, {1, 48000, 20833}, {1 << 62, 8000, longestNano}, {5, 1, 5000 * ms}} {
		if got := span(test.units, test.clock); got != test.want {
			t.Errorf("span(%d, %d) = %d, want %d", test.units, test.clock, got, test.want)
		}
	}
	var tr Tracker
	payload := rtp.Event{Code: 1, Duration: 800}.Append(nil)
	if !tr.Packet(0, 1, 0, &rtp.Packet{Marker: true, Payload: payload}) || tr.Presses()[0].Duration != 100*ms {
		t.Errorf("no clock rate stands for 8000: %+v", tr.Presses())
	}
}

// TestLimit holds that a tracker is bounded, counts what it does not keep, and stays right about it.
func TestLimit(t *testing.T) {
	t.Parallel()
	var tr Tracker
	began := 0
	for i := range MaxPresses + 100 {
		for _, p := range press(int64(i)*200, uint16(i*10), uint32(i)*2000, uint8(i%10), 2) {
			if feed(&tr, 1, p) {
				began++
			}
		}
	}
	if tr.Len() != MaxPresses || tr.Dropped() != 100 || began != MaxPresses+100 {
		t.Errorf("kept %d, dropped %d, began %d", tr.Len(), tr.Dropped(), began)
	}
	if got := Sequence(tr.Presses()[:12]); got != "012345678901" {
		t.Errorf("sequence %q", got)
	}
}

func TestBody(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, mediaType, body string
		digit                 byte // 0: none
		duration              int64
	}{
		{"relay", "application/dtmf-relay", "Signal=5\r\nDuration=160\r\n", '5', 160 * ms},
		{"blanks", "application/dtmf-relay", "Signal= 1\r\nDuration= 250", '1', 250 * ms},
		{"case", "Application/DTMF-Relay", "signal = a \nduration\t=\t100\n", 'A', 100 * ms},
		{"star", "application/dtmf-relay", "Signal=*\r\nDuration=100\r\n", '*', 100 * ms},
		{"star as 10", "application/dtmf-relay", "Signal=10\r\nDuration=100\r\n", '*', 100 * ms},
		{"pound as 11", "application/dtmf-relay", "Signal=11\r\n", '#', -1},
		{"B as 13", "application/dtmf-relay", "Signal=13\r\n", 'B', -1},
		{"flash as 16", "application/dtmf-relay", "Signal=16\r\n", Flash, -1},
		{"flash as a word", "application/dtmf-relay", "Signal=hf\r\n", Flash, -1},
		{"quoted", "application/dtmf-relay", "Signal=\"7\"\r\n", '7', -1},
		{"duration first", "application/dtmf-relay", "Duration=90\rSignal=9", '9', 90 * ms},
		{"duration not believed", "application/dtmf-relay", "Signal=1\r\nDuration=99999999999999\r\n", '1', -1},
		{"negative", "application/dtmf-relay", "Signal=1\r\nDuration=-100\r\n", '1', -1},
		{"the first counts", "application/dtmf-relay", "Signal=1\r\nSignal=2\r\n", '1', -1},
		{"no signal", "application/dtmf-relay", "Duration=100\r\n", 0, 0},
		{"17", "application/dtmf-relay", "Signal=17\r\n", 0, 0},
		{"letter", "application/dtmf-relay", "Signal=x\r\n", 0, 0},
		{"signal too late", "application/dtmf-relay", strings.Repeat("\n", 40) + "Signal=1", 0, 0},
		{"dtmf", "application/dtmf", "5", '5', -1},
		{"dtmf with a line end", "application/dtmf", " #\r\n", '#', -1},
		{"dtmf as 10", "application/dtmf", "10", '*', -1},
		{"dtmf with a relay body", "application/dtmf", "Signal=4\r\nDuration=80\r\n", '4', 80 * ms},
		{"dtmf, words", "application/dtmf", "star", '*', -1},
		{"dtmf, pound", "application/dtmf", "Pound", '#', -1},
		{"dtmf empty", "application/dtmf", "", 0, 0},
		{"two digits are none", "application/dtmf", "55", 0, 0},
		{"hook flash", "application/hook-flash", "", Flash, -1},
		{"another type", "text/plain", "5", 0, 0},
	} {
		p, ok := Body([]byte(test.mediaType), []byte(test.body))
		if ok != (test.digit != 0) || ok && (p.Digit != test.digit || p.Duration != test.duration || !p.Ended) {
			t.Errorf("%s: %+v, %v; want %c %d", test.name, p, ok, test.digit, test.duration)
		}
	}
}

func TestFromMessage(t *testing.T) {
	t.Parallel()
	info := "INFO sip:a@b SIP/2.0\r\nCSeq: 2 INFO\r\nContent-Type: application/dtmf-relay;x=y\r\n" +
		"Content-Length: 24\r\n\r\nSignal=3\r\nDuration=160\r\n"
	multi := "INFO sip:a@b SIP/2.0\r\nCSeq: 2 INFO\r\nContent-Type: multipart/mixed;boundary=x\r\n\r\n" +
		"--x\r\nContent-Type: text/plain\r\n\r\n9\r\n--x\r\nContent-Type: application/dtmf\r\n\r\n#\r\n--x--\r\n"
	for _, test := range []struct {
		name, text string
		want       Press
		ok         bool
	}{
		{"INFO", info, Press{
			Digit: '3', Via: ViaInfoRelay, Ended: true, Start: 7, Duration: 160 * ms, First: 9, Last: 9, Packets: 1,
		}, true},
		{"in a part", multi, Press{
			Digit: '#', Via: ViaInfo, Ended: true, Start: 7, Duration: -1, First: 9, Last: 9, Packets: 1,
		}, true},
		{"NOTIFY", strings.ReplaceAll(info, "INFO", "NOTIFY"), Press{}, false},
		{"answer", strings.Replace(info, "INFO sip:a@b SIP/2.0", "SIP/2.0 200 OK", 1), Press{}, false},
		{"no body", info[:strings.Index(info, "Signal")], Press{}, false},
	} {
		var m sip.Message
		if err := sip.Parse([]byte(test.text), &m); err != nil {
			t.Fatal(err)
		}
		got, ok := FromMessage(&m, 7, 9)
		if ok != test.ok || ok && got != test.want {
			t.Errorf("%s: %+v, %v", test.name, got, ok)
		}
	}
}

func TestVia(t *testing.T) {
	t.Parallel()
	got := ViaEvent.String() + " " + ViaInfoRelay.String() + " " + ViaInfo.String() + " " + Via(9).String()
	if got != "rtp-event info-relay info " {
		t.Error(got)
	}
}

// TestAllocs holds that a packet of a press that began allocates nothing.
//
//nolint:paralleltest // AllocsPerRun counts those of other tests, too
func TestAllocs(t *testing.T) {
	var tr Tracker
	p := rtp.Packet{Seq: 1, Timestamp: 5, Payload: rtp.Event{Code: 1, Duration: 800}.Append(nil)}
	tr.Packet(0, 1, 8000, &p)
	if n := testing.AllocsPerRun(1000, func() { tr.Packet(0, 1, 8000, &p) }); n != 0 {
		t.Errorf("%v allocations a packet", n)
	}
}

func BenchmarkPacket(b *testing.B) {
	b.ReportAllocs()
	var tr Tracker
	p := rtp.Packet{Seq: 1, Timestamp: 5, Payload: rtp.Event{Code: 1, Duration: 800}.Append(nil)}
	for b.Loop() {
		tr.Packet(0, 1, 8000, &p)
	}
}

// FuzzTracker reads packets of ten bytes out of a text. Properties: the tracker is bounded; each press is a key with frames
// and durations that make sense; a packet given twice in a row begins nothing.
func FuzzTracker(f *testing.F) {
	f.Add([]byte("\x80\x01\x00\x00\x00\x05\x05\x0a\x00\xa0\x00\x02\x00\x00\x00\x05\x05\x8a\x01\x40"))
	f.Add([]byte("\x80\x01\x00\x00\x00\x05\x10\x0a\xff\xff\x00\x02\x00\x01\x00\x04\x10\x8a\x01\x40"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var tr Tracker
		for n := uint64(1); len(b) >= 10; n, b = n+1, b[10:] {
			p := rtp.Packet{
				Marker: b[0]&0x80 != 0, Seq: uint16(b[1]), Timestamp: uint32(b[2])<<24 | uint32(b[3])<<16 | uint32(b[4])<<8 | uint32(b[5]),
				Payload: b[6:10],
			}
			tr.Packet(int64(n)*ms, n, uint32(b[0])*400, &p)
			if tr.Packet(int64(n)*ms, n, uint32(b[0])*400, &p) {
				t.Fatalf("the same packet began a second press: %+v", p)
			}
		}
		presses := tr.Presses()
		if len(presses) > MaxPresses || len(Sequence(presses)) != len(presses) {
			t.Fatalf("%d presses", len(presses))
		}
		for i := range presses {
			p := &presses[i]
			if !strings.ContainsRune("0123456789*#ABCD!", rune(p.Digit)) || p.First > p.Last || p.First == 0 || p.Duration < 0 ||
				p.Packets < 2 {
				t.Fatalf("press %d: %+v", i, p)
			}
		}
	})
}

// FuzzBody holds that whatever an INFO says, a press is a key with a duration that is believable.
func FuzzBody(f *testing.F) {
	f.Add("application/dtmf-relay", []byte("Signal= 1\r\nDuration= 160\r\n"))
	f.Add("application/dtmf", []byte("10\r\n"))
	f.Fuzz(func(t *testing.T, mediaType string, body []byte) {
		p, ok := Body([]byte(mediaType), body)
		if ok && (!strings.ContainsRune("0123456789*#ABCD!", rune(p.Digit)) || p.Duration < -1 || p.Duration > longestInfo*ms) {
			t.Fatalf("%+v", p)
		}
	})
}

// TestCopy gives a tracker copies of events in redundant data (RFC 2198): only those of a press that was wholly lost make one.
func TestCopy(t *testing.T) {
	t.Parallel()
	six := func() *Tracker { // six presses of 40 ms, 60 ms apart: ends with numbers 3, 6, ..., 18
		tr := &Tracker{}
		for i := range 6 {
			for j := range 3 {
				feed(tr, uint64(3*i+j+1), pkt{int64(60*i + 20*j), uint16(3*i + j + 1), uint32(480 * i), j == 0, uint8(i), j == 2, uint16(min(j+1, 2) * 160)})
			}
		}
		return tr
	}
	for _, test := range []struct {
		name  string
		copy  pkt
		tr    *Tracker
		want  string
		start int64 // ms, of the last press
	}{
		{"of the newest press", pkt{at: 300, seq: 18, ts: 2400, code: 5, end: true, dur: 320}, six(), "0/40 1/40 2/40 3/40 4/40 5/40", 300},
		{"of a press that is remembered no more", pkt{at: 0, seq: 18, ts: 0, code: 0, end: true, dur: 320}, six(), "0/40 1/40 2/40 3/40 4/40 5/40", 300},
		{"the same behind a packet that was lost", pkt{at: 0, seq: 19, ts: 0, code: 0, end: true, dur: 320}, six(), "0/40 1/40 2/40 3/40 4/40 5/40", 300},
		{"of a packet that came, by a sender that moves timestamps", pkt{at: 320, seq: 17, ts: 2560, code: 5, end: true, dur: 320}, six(), "0/40 1/40 2/40 3/40 4/40 5/40", 300},
		{"of a press that was lost", pkt{at: 360, seq: 21, ts: 2880, code: 9, end: true, dur: 800}, six(), "0/40 1/40 2/40 3/40 4/40 5/40 9/100", 360},
		{"the longer duration", pkt{at: 300, seq: 19, ts: 2400, code: 5, end: true, dur: 480}, six(), "0/40 1/40 2/40 3/40 4/40 5/60", 300},
		{"the first of all", pkt{at: 40, seq: 7, ts: 8, code: 11, end: true, dur: 800}, &Tracker{}, "#/100", 40},
		{"no key", pkt{at: 40, seq: 7, ts: 8, code: 40, end: true, dur: 800}, &Tracker{}, "", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := test.copy
			payload := rtp.Event{Code: p.code, End: p.end, Duration: p.dur}.Append(nil)
			test.tr.Copy(p.at*ms, 50, 8000, &rtp.Packet{Seq: p.seq, Timestamp: p.ts, Payload: payload})
			got := test.tr.Presses()
			if brief(got) != test.want || len(got) > 0 && (got[len(got)-1].Start != test.start*ms || got[len(got)-1].LostStart) {
				t.Errorf("%s, want %s; %+v", brief(got), test.want, got)
			}
		})
	}
}
