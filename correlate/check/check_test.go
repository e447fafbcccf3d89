package check

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sipscope/correlate"
	"sipscope/correlate/media"
	"sipscope/correlate/media/judge"
	"sipscope/decode"
)

const talked = 7000 * ms // when BYE comes, after the call began

// fault is a call with something planted, and what must be found: that and nothing else.
type fault struct {
	name string
	make func(c *talk)
	want string
}

// usual is a call of 6 s with both streams, changed by somebody.
func usual(change func(c *talk, toCallee, toCaller *sound)) func(c *talk) {
	return func(c *talk) {
		c.setup(offer(c.caller), offer(c.callee))
		a, b := c.both(talked)
		change(c, &a, &b)
		for _, s := range []sound{a, b} {
			if s.end > 0 {
				c.play(s)
			}
		}
		c.bye(talked)
	}
}

// onHold is a call that is put on hold by the caller from 3 s to 6.5 s of 12, with streams changed by somebody.
func onHold(change func(c *talk, toCallee, toCaller *sound)) func(c *talk) {
	return func(c *talk) {
		c.setup(offer(c.caller), offer(c.callee))
		a, b := c.both(12000 * ms)
		b.pause = [2]int64{3050 * ms, 6550 * ms}
		change(c, &a, &b)
		c.play(a)
		c.play(b)
		c.again(3000*ms, 2, offer(c.caller, "a=sendonly"), offer(c.callee, "a=recvonly"))
		c.again(6500*ms, 3, offer(c.caller), offer(c.callee))
		c.bye(12000 * ms)
	}
}

// faults lists the planted faults.
func faults() []fault {
	return []fault{
		{"clean", usual(func(*talk, *sound, *sound) {}), ""},
		{"clean-hold", onHold(func(*talk, *sound, *sound) {}), "hold"},
		{"one-way", usual(func(_ *talk, _, b *sound) { b.end = 0 }), "one-way"},
		{"no-media", usual(func(_ *talk, a, b *sound) { a.end, b.end = 0, 0 }), "no-media"},
		{"early-media", func(c *talk) {
			c.send(0, true, "INVITE", "INVITE", 1, "application/sdp", offer(c.caller))
			c.send(200*ms, false, "183 Session Progress", "INVITE", 1, "application/sdp", offer(c.callee))
			c.send(1000*ms, false, "200 OK", "INVITE", 1, "application/sdp", offer(c.callee))
			c.send(1020*ms, true, "ACK", "ACK", 1, "", "")
			a, b := c.both(talked)
			b.begin = 300 * ms
			c.play(a)
			c.play(b)
			c.bye(talked)
		}, "early-media"},
		{"late-media", usual(func(_ *talk, _, b *sound) { b.begin = 4000 * ms }), "late-media"},
		{"wrong-port", usual(func(c *talk, a, _ *sound) {
			a.to = strings.Replace(c.callee, ":5000", ":5002", 1)
		}), "wrong-destination"},
		{"other-port", usual(func(c *talk, a, _ *sound) { a.from = strings.Replace(c.caller, ":4000", ":4444", 1) }), "other-port"},
		{"nat", usual(func(_ *talk, a, b *sound) { a.from, b.to = "198.51.100.7:61000", "198.51.100.7:61000" }), "nat"},
		{"other-address", func(c *talk) {
			c.caller = "192.0.2.1:4000"
			usual(func(_ *talk, a, b *sound) { a.from, b.to = "198.51.100.8:61000", "198.51.100.8:61000" })(c)
		}, "other-address"},
		{"payload-type", usual(func(_ *talk, a, _ *sound) { a.pt = 0 }), "payload-type"},
		{"dtmf", func(c *talk) {
			plain := strings.NewReplacer(" 101\r\n", "\r\n", "a=rtpmap:101 telephone-event/8000\r\n", "").Replace(offer(c.callee))
			c.setup(offer(c.caller), plain)
			a, b := c.both(talked)
			c.play(a)
			c.play(b)
			c.press(3000*ms, c.caller, c.callee, 1050, 1<<20+16000, 5, 3)
			c.bye(talked)
		}, "dtmf-not-negotiated"},
		{"ptime", usual(func(_ *talk, a, _ *sound) { a.step = 60 * ms }), "ptime"},
		{"maxptime", func(c *talk) {
			c.setup(offer(c.caller), offer(c.callee, "a=maxptime:50"))
			a, b := c.both(talked)
			a.step = 60 * ms
			c.play(a)
			c.play(b)
			c.bye(talked)
		}, "maxptime"},
		{"media-on-hold", onHold(func(_ *talk, _, b *sound) { b.pause = [2]int64{} }), "hold media-on-hold"},
		{"no-resume", onHold(func(_ *talk, _, b *sound) { b.end = 3050 * ms }), "hold no-resume"},
		{"stops", func(c *talk) {
			c.setup(offer(c.caller), offer(c.callee))
			a, b := c.both(12000 * ms)
			b.end = 5000 * ms
			c.play(a)
			c.play(b)
			c.bye(12000 * ms)
		}, "stops"},
		{"after-bye", usual(func(_ *talk, a, _ *sound) { a.end = talked + 3000*ms }), "media-after-bye"},
		{"codec-change", func(c *talk) {
			two := strings.NewReplacer(" 18 101", " 18 3 101")
			c.setup(two.Replace(offer(c.caller)), two.Replace(offer(c.callee)))
			a, b := c.both(talked)
			c.play(b)
			c.play(a)
			for i := range c.packets {
				p := &c.packets[i]
				const pt = 14 + 20 + 8 + 1
				if p.Time > began+c.at+4000*ms && len(p.Data) > pt && p.Data[pt] == g729 && p.Data[26] == 10 && int(p.Data[27]) == c.n && p.Data[29] == 1 {
					p.Data[pt] = 3
					p.Data[40], p.Data[41] = 0, 0 // no UDP checksum
				}
			}
		}, "codec-change"},
		{"loss", usual(func(_ *talk, a, _ *sound) { a.skip = func(i int) bool { return i%40 == 20 } }), "loss"},
		{"jitter", usual(func(_ *talk, a, _ *sound) { a.late = func(i int) int64 { return int64(i%2) * 39 * ms } }), "jitter"},
		{"unanswered", func(c *talk) {
			c.send(0, true, "INVITE", "INVITE", 1, "application/sdp", offer(c.caller))
			c.send(900*ms, false, "486 Busy Here", "INVITE", 1, "", "")
			c.send(910*ms, true, "ACK", "ACK", 1, "", "")
		}, ""},
		{"offer-in-200", func(c *talk) {
			c.send(0, true, "INVITE", "INVITE", 1, "", "")
			c.send(1000*ms, false, "200 OK", "INVITE", 1, "application/sdp", offer(c.callee))
			c.send(1020*ms, true, "ACK", "ACK", 1, "application/sdp", offer(c.caller))
			a, b := c.both(talked)
			c.play(a)
			c.play(b)
			c.bye(talked)
		}, ""},
	}
}

// TestFaults writes a capture with a call for each fault, and holds that each gives exactly its finding.
func TestFaults(t *testing.T) {
	t.Parallel()
	w := &wire{tb: t}
	list := faults()
	for i, f := range list {
		f.make(w.begin(i+1, "fault-"+f.name))
	}
	path := filepath.Join(t.TempDir(), "faults.pcap")
	if err := os.WriteFile(path, w.file(), 0o600); err != nil {
		t.Fatal(err)
	}
	a := read(t, path)
	seen := 0
	for i := range a.calls {
		c := &a.calls[i]
		for _, f := range list {
			if "fault-"+f.name != c.CallID {
				continue
			}
			seen++
			var got []string
			findings := a.checker.Media(c, a.text(c))
			for _, x := range findings {
				got = append(got, string(x.Code))
				if len(x.Frames) == 0 || x.Frames[0] == 0 || x.Text == "" {
					t.Errorf("%s: not complete: %+v", f.name, x)
				}
			}
			if s := strings.Join(got, " "); s != f.want {
				t.Errorf("%s: %q, want %q: %+v", f.name, s, f.want, findings)
			}
		}
	}
	if seen != len(list) {
		t.Errorf("%d calls of %d: %v", seen, len(list), len(a.calls))
	}
}

// own are the captures of the project that this package makes.
func own(t *testing.T) map[string]*wire {
	t.Helper()
	bad := &wire{tb: t}
	n := 0
	for _, f := range faults() {
		switch f.name {
		case "clean", "one-way", "nat", "wrong-port", "payload-type", "media-on-hold", "after-bye":
			n++
			f.make(bad.begin(n, "fault-"+f.name))
		}
	}
	keys := &wire{tb: t}
	c := keys.begin(1, "keypad-1")
	c.setup(offer(c.caller), offer(c.callee))
	_, b := c.both(talked)
	c.play(b)
	c.play(sound{from: c.caller, to: c.callee, pt: g729, ssrc: 1, begin: 1040 * ms, end: 2000 * ms})
	ts := func(at int64) uint32 { return 1<<20 + uint32((at-1040*ms)/ms*8) }
	seq := uint16(1024)
	for i, k := range []struct {
		code uint8
		lost []int
	}{{1, nil}, {1, nil}, {10, []int{3, 4, 5}}, {11, []int{0, 1}}, {12, nil}, {16, []int{5}}} {
		at := 2000*ms + int64(i)*400*ms
		c.press(at, c.caller, c.callee, seq, ts(at), k.code, 3, k.lost...)
		seq += 6
	}
	c.send(5000*ms, true, "INFO", "INFO", 2, "application/dtmf-relay", "Signal= 7\r\nDuration= 160\r\n")
	c.send(5010*ms, false, "200 OK", "INFO", 2, "", "")
	c.send(5500*ms, true, "INFO", "INFO", 3, "application/dtmf", "#")
	c.send(5510*ms, false, "200 OK", "INFO", 3, "", "")
	c.bye(talked)
	return map[string]*wire{"media-faults.pcap": bad, "media-dtmf.pcap": keys}
}

// TestOwn holds that the captures in testdata are those that this test makes. UPDATE_GOLDEN=1 writes them.
func TestOwn(t *testing.T) {
	t.Parallel()
	for name, w := range own(t) {
		path := filepath.Join("../../testdata/pcaps", name)
		want := w.file()
		if os.Getenv("UPDATE_GOLDEN") != "" {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what this test makes (%v); UPDATE_GOLDEN=1 writes it", path, err)
		}
	}
}

// TestPresses holds the keys of the capture with DTMF: each press once, whatever was lost, and those of INFO.
func TestPresses(t *testing.T) {
	t.Parallel()
	a := read(t, "../../testdata/pcaps/media-dtmf.pcap")
	if len(a.calls) != 1 {
		t.Fatalf("%d calls", len(a.calls))
	}
	var got []string
	for _, p := range a.checker.Presses(&a.calls[0], a.text(&a.calls[0])) {
		got = append(got, fmt.Sprintf("%s %s %d ms lost start %v ended %v", p.Name(), p.Via, p.Duration/ms, p.LostStart, p.Ended))
	}
	want := []string{
		"1 rtp-event 160 ms lost start false ended true", "1 rtp-event 160 ms lost start false ended true",
		"* rtp-event 120 ms lost start false ended false", "# rtp-event 160 ms lost start true ended true",
		"A rtp-event 160 ms lost start false ended true", "flash rtp-event 160 ms lost start false ended true",
		"7 info-relay 160 ms lost start false ended true", "# info 0 ms lost start false ended true",
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("got\n%s\nwant\n%s", g, w)
	}
	if f := a.codes(); f != "loss" { // of the events
		t.Errorf("findings %q", f)
	}
}

// TestTruth holds what an independent reader found in captures of others: keys, and calls that are clean or not.
func TestTruth(t *testing.T) {
	t.Parallel()
	const peers = "../../../shared/pcaps/peers/"
	if _, err := os.Stat(peers); errors.Is(err, fs.ErrNotExist) {
		t.Skip("no captures of others at ../shared/pcaps beside this checkout")
	}
	for _, test := range []struct{ file, keys, codes string }{
		{"media_g711_clean.pcap", "159#*", ""},
		{"media_g711_loss.pcap", "47", ""},
		{"info_dtmf.pcap", "1*#5", ""},
		{"media_oneway.pcap", "", "one-way"},
		{"reinvite_hold.pcap", "", "hold hold"},
	} {
		a := read(t, peers+test.file)
		var all strings.Builder
		for i := range a.calls {
			all.WriteString(a.keys(&a.calls[i]))
		}
		keys := all.String()
		if keys != test.keys || a.codes() != test.codes {
			t.Errorf("%s: keys %q, findings %q; want %q, %q: %s", test.file, keys, a.codes(), test.keys, test.codes, a.findings())
		}
	}
}

// TestNothing holds that calls without texts, and others than INVITEs, give no findings.
func TestNothing(t *testing.T) {
	t.Parallel()
	k := New(nil, judge.Defaults())
	c := correlate.Call{Summary: correlate.Summary{Method: "REGISTER"}}
	if got := k.Media(&c, nil); got != nil {
		t.Errorf("of a REGISTER: %+v", got)
	}
	c.Method = "INVITE"
	c.Messages = []correlate.Message{{Seq: 1, SDP: true, Repeats: -1, Txn: -1}, {Seq: 2, Method: "INFO", Repeats: -1}}
	if got := k.Media(&c, func(int) []byte { return nil }); got != nil {
		t.Errorf("without texts: %+v", got)
	}
	if got := k.Presses(&c, nil); got != nil {
		t.Errorf("without texts: %+v", got)
	}
	if got := k.Presses(&c, func(int) []byte { return []byte("no SIP") }); got != nil {
		t.Errorf("of noise: %+v", got)
	}
}

// FuzzAgreements holds that no description, whatever it claims, makes more than its bounds or panics.
func FuzzAgreements(f *testing.F) {
	f.Add([]byte(offer("10.0.0.1:4000")), []byte(offer("10.0.0.2:4000", "a=group:BUNDLE 0", "a=mid:0", "a=candidate:1 1 udp 1 10.0.0.3 9 typ host")))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		c := correlate.Call{Summary: correlate.Summary{Method: "INVITE", Last: 10e9}}
		c.Evidence.Answer = 2
		texts := [][]byte{message("INVITE sip:b@b SIP/2.0", a), message("SIP/2.0 200 OK", b)}
		c.Messages = []correlate.Message{
			{Seq: 1, Time: 1, SDP: true, Repeats: -1, Method: "INVITE"},
			{Seq: 2, Time: 2, SDP: true, Repeats: -1, Method: "INVITE", Status: 200},
		}
		text := func(i int) []byte { return texts[i] }
		for _, x := range agreements(&c, text) {
			if len(x.Media) > maxLines {
				t.Fatalf("%d media", len(x.Media))
			}
			for i := range x.Media {
				if m := &x.Media[i]; len(m.Caller.Addrs) > maxAddrs || len(m.Caller.Payloads) > maxPayloads || len(m.Callee.Payloads) > maxPayloads {
					t.Fatalf("beyond the bounds: %+v", m)
				}
			}
		}
		streams := []media.Stream{{Num: 1, First: 3, Last: 9e9, Packets: 100, Expected: 100}}
		New(streams, judge.Defaults()).Media(&c, text)
	})
}

// message is a SIP message with SDP.
func message(start string, body []byte) []byte {
	return fmt.Appendf(nil, "%s\r\nCall-ID: 1\r\nFrom: <sip:a@a>;tag=1\r\nTo: <sip:b@b>\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\n\r\n%s",
		start, body)
}

// BenchmarkMedia judges a call of a capture.
func BenchmarkMedia(b *testing.B) {
	a := read(b, "../../testdata/pcaps/media-faults.pcap")
	texts := map[int][]byte{}
	c := &a.calls[0]
	for i := range c.Messages {
		texts[i], _ = decode.ReadText(a.files, c.Messages[i].Pieces)
	}
	b.ReportAllocs()
	for b.Loop() {
		a.checker.Media(c, func(i int) []byte { return texts[i] })
	}
}
