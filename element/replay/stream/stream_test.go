package stream

import (
	"bytes"
	"fmt"
	"math"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sipscope/capture"
	"sipscope/correlate"
	recorded "sipscope/correlate/cut"
	"sipscope/decode"
	"sipscope/decode/rtp"
	"sipscope/decode/sdp"
	"sipscope/element/media"
)

// TestRecorded compares every packet that arrives with its recording.
func TestRecorded(t *testing.T) {
	t.Parallel()
	for _, speed := range []float64{0, 1, 2, 0.5, math.NaN(), -1} {
		t.Run(fmt.Sprint(speed), func(t *testing.T) {
			t.Parallel()
			all := talk(0, 250)
			press(all, 100, 5)
			press(all, 150, 11)
			all = append(all[:50], all[51:]...) // lost before it was recorded
			all[60].Packet, all[61].Packet = all[61].Packet, all[60].Packet
			for i := range all {
				all[i].at += 3*second + int64(i%5)*ms // recorded with jitter
			}
			rec := NewRecording([]recorded.Payload{pcmu(0), event(101)}, sequence(all))
			if rec.Len() != len(all) || rec.Digits() != "5#" || rec.First() != all[0].at || rec.Last() != all[len(all)-1].at {
				t.Fatalf("%d packets, digits %q", rec.Len(), rec.Digits())
			}
			r := newRig(t, 1)
			cfg := Config{
				Agreed: r.agreed(), Live: []recorded.Payload{pcma(8), pcmu(96), event(97)}, Recordings: []*Recording{rec},
				Start: 2 * second, Speed: speed,
			}
			s := r.stream(t, cfg)
			r.run(t, start+20*second)
			if !(speed > 0) {
				speed = 1
			}
			if len(r.got) != len(all) || !s.Done() {
				t.Fatalf("%d of %d packets", len(r.got), len(all))
			}
			pts := map[uint8]uint8{0: 96, 101: 97}
			for i, g := range r.got {
				w := &all[i]
				if due := start + int64(float64(w.at-2*second)/speed); g.at != due {
					t.Fatalf("packet %d at %d ms, want %d", i, (g.at-start)/ms, (due-start)/ms)
				}
				if g.PT != pts[w.PT] || g.Marker != w.Marker || !bytes.Equal(g.Payload, w.Payload) {
					t.Fatalf("packet %d is %+v, recorded %+v", i, g, w)
				}
				if g.Seq-r.got[0].Seq != w.Seq-all[0].Seq || g.Timestamp-r.got[0].Timestamp != w.Timestamp-all[0].Timestamp {
					t.Fatalf("packet %d has %d and %d, recorded %d and %d", i, g.Seq, g.Timestamp, w.Seq, w.Timestamp)
				}
				if g.SSRC != r.got[0].SSRC || g.SSRC == w.SSRC {
					t.Fatalf("packet %d is of source %x", i, g.SSRC)
				}
			}
			st := s.Stats()
			if st.Sending != "recorded" || int(st.Sent.Packets) != len(all) || st.Skipped+st.Dropped+st.Errors+st.Refused != 0 || len(s.Notes()) != 0 {
				t.Errorf("%+v, %v", st, s.Notes())
			}
			if r.control == 0 || r.lastReport.Packets == 0 {
				t.Errorf("%d reports, %+v", r.control, r.lastReport)
			}
			if err := s.Close(r.network.Now()); err != nil {
				t.Fatal(err)
			}
			r.run(t, start+21*second)
			if !r.bye || s.Next() != math.MaxInt64 {
				t.Error("no goodbye")
			}
		})
	}
}

// TestDropped has two codecs recorded, of which the live side takes one: the sequence numbers close up.
func TestDropped(t *testing.T) {
	t.Parallel()
	all := talk(0, 60)
	for i := 20; i < 40; i++ {
		all[i].PT = 18
	}
	all[39].Packet, all[40].Packet = all[40].Packet, all[39].Packet
	rec := NewRecording([]recorded.Payload{pcmu(0), g729(18)}, sequence(all))
	r := newRig(t, 1)
	s := r.stream(t, Config{Agreed: r.agreed(), Live: []recorded.Payload{pcmu(0)}, Recordings: []*Recording{rec}})
	r.run(t, start+3*second)
	if len(r.got) != 40 {
		t.Fatalf("%d packets", len(r.got))
	}
	for i, g := range r.got {
		if g.Seq != r.got[0].Seq+uint16(i) || g.PT != 0 {
			t.Errorf("packet %d: number %d, type %d", i, g.Seq-r.got[0].Seq, g.PT)
		}
	}
	if at := (r.got[20].Timestamp - r.got[19].Timestamp) / 160; at != 21 {
		t.Errorf("timestamp goes on by %d packets", at)
	}
	st, notes := s.Stats(), strings.Join(s.Notes(), "\n")
	if st.Dropped != 20 || !strings.Contains(notes, `20 recorded packets of payload type 18 ("G729"/8000) not sent`) {
		t.Errorf("%+v, %s", st, notes)
	}
}

// TestInstead has nothing recorded that the live side takes: silence and the digits, at their time.
func TestInstead(t *testing.T) {
	t.Parallel()
	all := talk(18, 200)
	press(all, 50, 1)
	press(all, 100, 9)
	rec := NewRecording([]recorded.Payload{g729(18), event(101)}, sequence(all))
	for _, c := range []struct {
		mode    Mode
		live    []recorded.Payload
		sending string
		digits  string
		silent  bool
	}{
		{Auto, []recorded.Payload{pcma(8), event(96)}, "silence", "19", true},
		{Auto, []recorded.Payload{pcma(8)}, "silence", "", true},
		{Tone, []recorded.Payload{g729(18), pcmu(97), event(96)}, "tone", "19", false},
		{File, []recorded.Payload{pcmu(0), event(96)}, "file", "19", false},
		{Auto, []recorded.Payload{opus(96)}, "nothing", "", false},
		{Off, []recorded.Payload{pcmu(0)}, "nothing", "", false},
	} {
		r := newRig(t, 1)
		peer := media.NewReceiver(media.ReceiverConfig{
			Codec: map[string]media.Codec{"pcma": media.PCMA}[c.live[0].Name], PT: 97, EventPT: 96,
		})
		var heard []byte
		loud, at := false, []int64(nil)
		r.livePort.Receive(func(now int64, _ netip.AddrPort, b []byte) {
			h, err := peer.Packet(now, b)
			if err != nil {
				t.Fatal(err)
			}
			if h.Digit != 0 {
				heard, at = append(heard, h.Digit), append(at, now-start)
			}
			loud = loud || !silent(h.Sound)
		})
		tone := make(media.Sound, 800)
		for i := range tone {
			tone[i] = int16(i%20-10) * 1000
		}
		s := r.stream(t, Config{Agreed: r.agreed(), Live: c.live, Mode: c.mode, Recordings: []*Recording{rec}, Sound: tone})
		r.run(t, start+5*second)
		st := s.Stats()
		if st.Sending != c.sending || string(heard) != c.digits || loud == (c.silent || c.sending == "nothing") {
			t.Errorf("%s to %+v: %s, digits %q, loud %t", c.mode, c.live, st.Sending, heard, loud)
		}
		for i, a := range at {
			if want := []int64{1000, 2000}[i] * ms; a < want || a > want+25*ms {
				t.Errorf("digit %d at %d ms", i, a/ms)
			}
		}
		if n := peer.Stats().Packets; (n > 0) != (c.sending != "nothing") || uint32(n) > st.Sent.Packets {
			t.Errorf("%s: %d packets of %d", c.mode, n, st.Sent.Packets)
		}
		if c.sending == "nothing" && (r.control > 0 || c.mode == Auto && len(s.Notes()) == 0) {
			t.Errorf("%s: %d reports, notes %q", c.mode, r.control, s.Notes())
		}
		if err := s.Close(r.network.Now()); err != nil {
			t.Error(err)
		}
	}
}

// TestChange holds the stream, and lets it go on elsewhere under other payload types.
func TestChange(t *testing.T) {
	t.Parallel()
	rec := NewRecording([]recorded.Payload{pcmu(0)}, sequence(talk(0, 300)))
	r := newRig(t, 1)
	s := r.stream(t, Config{Agreed: r.agreed(), Live: []recorded.Payload{pcmu(0)}, Recordings: []*Recording{rec}})
	r.run(t, start+second-ms)
	n := len(r.got)
	held := r.agreed()
	held.Direction = sdp.RecvOnly
	s.Change(r.network.Now(), held, []recorded.Payload{pcmu(0)}, nil)
	r.set.Add(s)
	r.run(t, start+3*second-ms)
	if n != 50 || len(r.got) != n {
		t.Errorf("%d packets, %d after the hold", n, len(r.got))
	}
	s.Change(r.network.Now(), r.agreed(), []recorded.Payload{pcma(8), pcmu(99)}, nil)
	r.set.Add(s)
	r.run(t, start+10*second)
	if len(r.got) != 200 || r.got[199].PT != 99 || r.got[50].Timestamp-r.got[49].Timestamp != 101*160 {
		t.Fatalf("%d packets", len(r.got))
	}
	if st := s.Stats(); st.Skipped != 100 || st.Sent.Packets != 200 {
		t.Errorf("%+v", st)
	}
}

// TestHundred has a hundred streams at once both ways on a path that loses, and compares what both sides count.
func TestHundred(t *testing.T) {
	t.Parallel()
	const streams, packets = 100, 500
	all := talk(111, packets)
	for i := range all {
		all[i].Timestamp = uint32(960 * i)
	}
	rec := NewRecording([]recorded.Payload{opus(111)}, sequence(all))
	r := newRig(t, 5)
	r.network.Loss, r.network.Duplicate, r.network.Jitter = 0.05, 0.01, 3*ms
	set := r.set
	var both [streams][2]*Stream
	for i := range both {
		a, err := r.guard.Ports(r.us).Open(netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		b, err := r.guard.Ports(r.live).Open(netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		ports := [2]media.Port{a, b}
		for k := range both[i] {
			to := ports[1-k].Local()
			both[i][k] = New(start, Config{
				Port: ports[k], Live: []recorded.Payload{opus(96 + uint8(k))}, Local: []recorded.Payload{opus(97 - uint8(k))},
				Agreed:     media.Agreed{Remote: to, RemoteRTCP: netip.AddrPortFrom(to.Addr(), to.Port()+1), Mux: i%2 == 0},
				Recordings: []*Recording{rec}, Rand: rng(uint64(2*i + k)),
			})
			set.Add(both[i][k])
		}
	}
	r.run(t, start+11*second)
	if set.Len() != 2*streams {
		t.Errorf("%d streams", set.Len())
	}
	lost, reported := 0, 0
	for i := range both {
		for k, s := range both[i] {
			st, other := s.Stats(), both[i][1-k].Stats()
			got := &st.Received
			if other.Sent.Packets != packets || got.Expected > packets || got.Expected < packets-20 || got.Sources != 1 {
				t.Fatalf("stream %d: %+v of %+v", i, got, other.Sent)
			}
			if got.Expected-got.Missing+got.Duplicates != got.Packets || got.Unknown != 0 || got.Invalid != 0 || got.Jitter > 5*time.Millisecond {
				t.Errorf("stream %d: %+v", i, got)
			}
			if st.Reported {
				reported++
			}
			if st.Report.Jitter > 5*time.Millisecond || st.Reports < 1 || st.Silent != 0 || st.Longest < 20*time.Millisecond || st.OneWay() || st.BadRTCP != 0 {
				t.Errorf("stream %d: %+v", i, st)
			}
			if st.Foreign != 0 || st.Refused != 0 {
				t.Errorf("stream %d: %+v", i, st)
			}
			lost += int(got.Missing)
			set.Remove(s)
			if err := s.Close(r.network.Now()); err != nil {
				t.Error(err)
			}
		}
	}
	if reported < 2*streams*9/10 { // reports get lost, too
		t.Errorf("%d streams were reported about", reported)
	}
	if share := float64(lost) / (2 * streams * packets); share < 0.04 || share > 0.06 {
		t.Errorf("%.3f lost", share)
	}
	if set.Len() != 0 || set.Next() != math.MaxInt64 {
		t.Errorf("%d streams left", set.Len())
	}
}

// TestGuarded: what the live SDP says is not enough.
func TestGuarded(t *testing.T) {
	t.Parallel()
	for _, to := range []string{"10.0.0.66:4000", "203.0.113.9:4000", "224.0.0.5:4000", "[::ffff:10.0.0.66]:4000", "10.0.0.5:53"} {
		r := newRig(t, 1)
		a := r.agreed()
		a.Remote, a.RemoteRTCP = ap(to), netip.AddrPortFrom(ap(to).Addr(), ap(to).Port()+1)
		rec := NewRecording(nil, sequence(talk(0, 100)))
		s := r.stream(t, Config{Agreed: a, Live: []recorded.Payload{pcmu(0)}, Recordings: []*Recording{rec}})
		r.run(t, start+6*second)
		_ = s.Close(r.network.Now())
		st := s.Stats()
		if st.Sent.Packets != 0 || st.Refused < 100 || len(s.Notes()) != 1 || !strings.Contains(s.Notes()[0], "refused to send to") {
			t.Errorf("%s: %+v, %q", to, st, s.Notes())
		}
		if n := r.network.Stats(); n.Delivered != 0 || n.Unreachable != 0 {
			t.Errorf("%s: %+v", to, n)
		}
	}
}

// TestSymmetric follows the packets, as far as the guard lets it.
func TestSymmetric(t *testing.T) {
	t.Parallel()
	r := newRig(t, 1)
	a := r.agreed()
	a.Remote = ap("10.0.0.5:9998") // behind a NAT, it says another
	s := r.stream(t, Config{Agreed: a, Symmetric: true, Local: []recorded.Payload{pcmu(0), event(101)}})
	packet := func(i int, payload []byte, pt uint8) []byte {
		return (&rtp.Packet{PT: pt, Seq: uint16(i), Timestamp: uint32(160 * i), SSRC: 7, Payload: payload}).Append(nil)
	}
	quiet := bytes.Repeat([]byte{0xff}, 160)
	for i := range 50 {
		r.network.At(start+second+int64(i)*20*ms, func() {
			_ = r.livePort.Send(s.cfg.Port.Local(), packet(i, quiet, 0))
		})
	}
	r.network.At(start+3*second, func() {
		_ = r.livePort.Send(s.cfg.Port.Local(), packet(100, rtp.Event{Code: 3, Duration: 160}.Append(nil), 101))
		_ = r.livePort.Control().Send(netip.AddrPortFrom(s.cfg.Port.Local().Addr(), s.cfg.Port.Local().Port()+1), rtp.AppendBye(rtp.AppendReport(nil, 7, nil, nil), 7))
		_ = r.livePort.Send(s.cfg.Port.Local(), []byte{1, 2, 3})
		_ = r.livePort.Send(s.cfg.Port.Local(), []byte{0x80, 201, 0, 9, 0, 0, 0, 0})
	})
	r.run(t, start+5*second)
	st := s.Stats()
	if len(r.got) < 190 || st.From != r.livePort.Local() || st.Foreign != 51 {
		t.Errorf("%d packets, %+v", len(r.got), st)
	}
	if st.Silent != 50 || !st.Mute() || st.OneWay() || st.Digits != "3" || !st.Bye || st.BadRTCP != 1 || st.Received.Invalid != 1 || st.Longest < time.Second {
		t.Errorf("%+v", st)
	}
}

// TestLate has a caller that slept.
func TestLate(t *testing.T) {
	t.Parallel()
	rec := NewRecording(nil, sequence(talk(0, 200)))
	r := newRig(t, 1)
	s := r.stream(t, Config{Agreed: r.agreed(), Recordings: []*Recording{rec}})
	s.Wake(start)
	s.Wake(start + 2*second) // packets 90 to 100 are not too late
	r.run(t, start+5*second)
	st := s.Stats()
	if st.Skipped != 89 || st.Sent.Packets != 111 || len(r.got) != 111 || r.got[1].Seq-r.got[0].Seq != 90 {
		t.Errorf("%+v, %d", st, len(r.got))
	}
	// Start in the middle.
	r = newRig(t, 1)
	s = r.stream(t, Config{Agreed: r.agreed(), Recordings: []*Recording{rec}, Start: second})
	r.run(t, start+5*second)
	if st := s.Stats(); st.Skipped != 50 || st.Sent.Packets != 150 || r.got[0].at != start {
		t.Errorf("%+v", st)
	}
}

// TestSources has two sources of one direction, one after the other.
func TestSources(t *testing.T) {
	t.Parallel()
	second2 := talk(0, 100)
	for i := range second2 {
		second2[i].at += 2 * second
	}
	recs := []*Recording{NewRecording(nil, sequence(talk(0, 100))), NewRecording(nil, sequence(second2))}
	r := newRig(t, 1)
	s := r.stream(t, Config{Agreed: r.agreed(), Recordings: recs})
	r.run(t, start+5*second)
	if len(r.got) != 200 || r.got[0].SSRC == r.got[150].SSRC || s.Stats().Sent.Packets != 200 {
		t.Errorf("%d packets", len(r.got))
	}
	_ = s.Close(r.network.Now())
	r.run(t, start+6*second)
	if r.control < 2 || !r.bye {
		t.Errorf("%d reports", r.control)
	}
}

func TestInvalid(t *testing.T) {
	t.Parallel()
	rec := NewRecording(nil, func(yield func(int64, []byte) bool) {
		_ = yield(0, nil) && yield(0, []byte{0x80, 200, 0, 0}) && yield(math.MaxInt64, talk(0, 1)[0].Append(nil)) &&
			yield(math.MinInt64, talk(0, 1)[0].Append(nil))
	})
	if rec.Len() != 0 || rec.Invalid() != 4 || rec.First() != 0 || rec.Last() != 0 || rec.Digits() != "" {
		t.Errorf("%+v", rec)
	}
	for i, name := range []string{"auto", "OFF", "Tone", "file"} {
		if m, err := ParseMode(name); err != nil || m != Mode(i) || m.String() != strings.ToLower(name) {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
	if _, err := ParseMode("loud"); err == nil {
		t.Error("loud")
	}
}

// TestChoose is how payload types are mapped.
func TestChoose(t *testing.T) {
	t.Parallel()
	h264 := func(pt uint8, params string) recorded.Payload {
		return recorded.Payload{PT: pt, Name: "H264", Clock: 90000, Channels: 1, Params: params}
	}
	for _, c := range []struct {
		p    recorded.Payload
		live []recorded.Payload
		want uint8
	}{
		{pcmu(0), []recorded.Payload{pcma(8), pcmu(96), pcmu(0)}, 0},
		{pcmu(0), []recorded.Payload{pcma(8), pcmu(96)}, 96},
		{pcmu(0), []recorded.Payload{pcma(0)}, dropped},
		{opus(96), []recorded.Payload{{PT: 96, Name: "opus", Clock: 48000, Channels: 1}}, dropped},
		{opus(96), []recorded.Payload{{PT: 97, Name: "OPUS", Clock: 48000, Channels: 2, Params: "useinbandfec=1"}}, 97},
		{h264(96, "packetization-mode=1"), []recorded.Payload{h264(97, "packetization-mode=0"), h264(98, "packetization-mode=1")}, 98},
		{recorded.Payload{PT: 120}, []recorded.Payload{{PT: 120}}, dropped},
		{event(101), []recorded.Payload{{PT: 101, Name: "telephone-event", Clock: 48000, Channels: 1}}, dropped},
		{pcmu(0), []recorded.Payload{{PT: 200, Name: "PCMU", Clock: 8000}}, dropped},
	} {
		if got := choose(&c.p, c.live); got != c.want {
			t.Errorf("%+v to %+v: %d, want %d", c.p, c.live, got, c.want)
		}
	}
}

// TestReal sends the media of captured calls again.
func TestReal(t *testing.T) {
	t.Parallel()
	for name, digits := range map[string]string{
		"NormB__sipnab/SIP_DTMF2.cap": "", "peers/media_g711_clean.pcap": "*", "NormB__sipnab/sip-rtp-g722.pcap": "",
	} {
		found, _ := filepath.Glob("../../../../shared/pcaps/" + strings.TrimSuffix(name, ".pcap") + ".pcap*")
		if strings.HasSuffix(name, ".cap") {
			found, _ = filepath.Glob("../../../../shared/pcaps/" + name)
		}
		if len(found) == 0 {
			t.Skip("no captures of others at ../shared/pcaps beside this checkout")
		}
		var path string
		for _, f := range found {
			if !strings.HasSuffix(f, ".json") {
				path = f
			}
		}
		result := cut(t, path)
		if len(result.Streams) == 0 {
			t.Errorf("%s: no streams", name)
		}
		var pressed strings.Builder
		for i := range result.Streams {
			x := &result.Streams[i]
			rec := NewRecording(x.Payloads, func(yield func(int64, []byte) bool) {
				for k := range x.Packets {
					if !yield(x.Packets[k].Offset, x.Packets[k].Data) {
						return
					}
				}
			})
			pressed.WriteString(rec.Digits())
			r := newRig(t, 1)
			s := r.stream(t, Config{Agreed: r.agreed(), Live: x.Payloads, Recordings: []*Recording{rec}, Start: rec.First()})
			peer := media.NewReceiver(media.ReceiverConfig{PT: x.Payloads[0].PT, EventPT: -1})
			r.livePort.Receive(func(now int64, _ netip.AddrPort, b []byte) { _, _ = peer.Packet(now, b) })
			r.run(t, start+rec.Last()-rec.First()+second)
			if st, got := s.Stats(), peer.Stats(); int(st.Sent.Packets) != len(x.Packets) || got.Packets != uint64(len(x.Packets)) {
				t.Errorf("%s: %d recorded, %d sent, %+v arrived", name, len(x.Packets), st.Sent.Packets, got)
			}
		}
		if digits != "" && pressed.Len() == 0 {
			t.Errorf("%s: no digits", name)
		}
		t.Logf("%s: %d streams, digits %q", name, len(result.Streams), pressed.String())
	}
}

// cut cuts all media of a capture.
func cut(t *testing.T, path string) *recorded.Result {
	t.Helper()
	files, err := capture.Open([]string{path}, capture.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = files.Close() }()
	board := new(correlate.Board)
	if err = correlate.Run(t.Context(), files, correlate.Config{Board: board}); err != nil {
		t.Fatal(err)
	}
	var calls []correlate.Call
	for _, n := range board.Numbers() {
		if c, ok := board.Call(n); ok {
			calls = append(calls, c)
		}
	}
	again, err := files.Reopen()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	r, err := recorded.Cut(t.Context(), again, calls, func(call, message int) []byte {
		b, _ := decode.ReadText(files, calls[call].Messages[message].Pieces)
		return b
	}, recorded.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// FuzzRecording: any packets and any live side give packets that keep their payload.
func FuzzRecording(f *testing.F) {
	f.Add(talk(0, 1)[0].Append(nil), int64(0), uint16(1), byte(0), 1.0)
	f.Add(talk(18, 1)[0].Append(nil), int64(-5), uint16(40000), byte(18), 1e300)
	f.Fuzz(func(t *testing.T, b []byte, gap int64, jump uint16, pt byte, speed float64) {
		var packets [][]byte
		for i := range 20 {
			c := bytes.Clone(b)
			if len(c) > 4 {
				c[2], c[3] = byte(uint16(i)*jump>>8), byte(uint16(i)*jump)
			}
			packets = append(packets, c)
		}
		rec := NewRecording([]recorded.Payload{{PT: pt, Name: "x", Clock: 8000}}, func(yield func(int64, []byte) bool) {
			for i, p := range packets {
				if !yield(int64(i)*(gap%second), p) {
					return
				}
			}
		})
		live := []recorded.Payload{{PT: 96, Name: "X", Clock: 8000}}
		p := newPlayer(newSchedule(start, 0, speed), []*Recording{rec}, live, rng(1))
		sent := 0
		for p.Next() < math.MaxInt64 {
			out, ok := p.Packet(p.Next(), nil)
			if !ok {
				continue
			}
			sent++
			var x, y rtp.Packet
			if rtp.Parse(out, &x) != nil || rtp.Parse(packets[0], &y) != nil || x.PT != 96 || !bytes.Equal(x.Payload, y.Payload) || x.Marker != y.Marker {
				t.Fatalf("% x of % x", out, packets[0])
			}
		}
		if sent+int(p.skipped)+int(p.dropped) != rec.Len() {
			t.Fatalf("%d sent, %d skipped, %d dropped of %d", sent, p.skipped, p.dropped, rec.Len())
		}
	})
}

// FuzzArrived: whatever comes, nothing grows and nothing breaks.
func FuzzArrived(f *testing.F) {
	f.Add(talk(0, 1)[0].Append(nil), rtp.AppendReport(nil, 1, &rtp.Info{NTP: 1}, &rtp.Block{}), uint32(8000))
	f.Fuzz(func(t *testing.T, b, c []byte, clock uint32) {
		r := newRig(t, 1)
		s := r.stream(t, Config{
			Agreed: r.agreed(), Symmetric: true, Local: []recorded.Payload{{PT: 96, Name: "x", Clock: clock}, pcmu(0), event(101)},
			Live: []recorded.Payload{{PT: 96, Name: "x", Clock: clock}},
		})
		for i := range 300 {
			now := start + int64(i)*20*ms
			if len(b) > 3 {
				b[3]++
			}
			if len(b) > 7 {
				b[7] += 3
			}
			s.arrived(now, r.livePort.Local(), b)
			s.control(now, r.livePort.Local(), c)
			s.Wake(now)
		}
		st := s.Stats()
		if len(st.Digits) > maxDigits || st.Received.Packets > 300 || st.Report.RTT < 0 || st.Received.Jitter < 0 {
			t.Fatalf("%+v", st)
		}
		_ = s.Close(start + 7*second)
	})
}

func BenchmarkWake(b *testing.B) {
	rec := NewRecording(nil, sequence(talk(0, 1000)))
	r := newRig(b, 1)
	s := r.stream(b, Config{Agreed: r.agreed(), Recordings: []*Recording{rec}})
	s.cfg.Port = nowhere{}
	s.reports.next = math.MaxInt64
	now := start
	b.ReportAllocs()
	for b.Loop() {
		if s.player.tracks[0].next == 1000 {
			s.player.tracks[0].next, now = 0, start
		}
		s.Wake(now)
		now += 20 * ms
	}
}

// nowhere is a port that sends nothing.
type nowhere struct{}

func (nowhere) Local() netip.AddrPort                       { return netip.AddrPort{} }
func (nowhere) Send(netip.AddrPort, []byte) error           { return nil }
func (nowhere) Receive(func(int64, netip.AddrPort, []byte)) {}
func (nowhere) Close() error                                { return nil }

func BenchmarkNewRecording(b *testing.B) {
	all := talk(0, 3000)
	b.ReportAllocs()
	for b.Loop() {
		NewRecording(nil, sequence(all))
	}
}
