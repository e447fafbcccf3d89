package judge

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
)

const sec = int64(1e9)

// at makes an address.
func at(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// Addresses of the clean call.
const (
	caller = "192.0.2.1:4000"
	callee = "192.0.2.2:5000"
)

// end makes a description's side: PCMU, PCMA and telephone-event 101, 20 ms, sendrecv.
func end(addr string) End {
	return End{
		Addrs: []netip.AddrPort{at(addr)}, Sends: true, Receives: true, PTime: 20,
		Payloads: []Payload{{PT: 0, Name: "PCMU"}, {PT: 8, Name: "PCMA"}, {PT: 101, Name: "telephone-event"}},
	}
}

// agreement makes one of an audio line.
func agreement(when int64, offer, answer uint64, from, to End) Agreement {
	return Agreement{Time: when, Offer: offer, Answer: answer, Media: []Medium{{Type: "audio", Caller: from, Callee: to}}}
}

// stream makes one that sends a packet each 20 ms.
func stream(num uint32, src, dst string, from, to int64) Stream {
	s := Stream{
		Num: num, Src: at(src), Dst: at(dst), Type: "audio", First: from, Last: to, FirstFrame: uint64(from/1e8) + 100,
		LastFrame: uint64(to/1e8) + 100, PTime: 20e6, MeanJitter: 1e6,
	}
	for x := from; x < to; x += sec {
		n := min((to-x)/20e6, 50)
		s.Seconds = append(s.Seconds, Second{At: int32((x - from) / sec), Packets: uint32(n)})
		s.Packets += uint64(n)
	}
	s.Expected = s.Packets
	s.Payloads = []Payload{{PT: 0, Name: "PCMU", Packets: s.Packets, First: from}}
	return s
}

// clean is a call that is as it should be: answered at 10 s, ended at 40 s.
func clean() *Call {
	return &Call{
		Answer: 10 * sec, Bye: 40 * sec, AnswerFrame: 5, ByeFrame: 900, First: 5 * sec, Last: 40 * sec, End: 60 * sec, RTP: true, Seen: true,
		Agreements: []Agreement{agreement(10*sec, 1, 5, end(caller), end(callee))},
		Streams: []Stream{
			stream(1, caller, callee, 10*sec+1e8, 40*sec), stream(2, callee, caller, 10*sec, 40*sec),
		},
	}
}

// hold adds a hold by the caller from 20 s to 30 s, whose directions say what the caller says.
func hold(c *Call, sends bool) {
	held := end(caller)
	held.Sends, held.Receives = sends, false
	other := end(callee)
	other.Sends, other.Receives = false, sends
	c.Agreements = append(c.Agreements, agreement(20*sec, 300, 301, held, other), agreement(30*sec, 400, 401, end(caller), end(callee)))
}

// gap takes the packets of a stream between two times out.
func gap(s *Stream, from, to int64) {
	s.Seconds = slices.DeleteFunc(s.Seconds, func(x Second) bool {
		now := s.First + int64(x.At)*sec
		return now >= from && now < to
	})
}

// codes gives the codes of findings, with the number of the stream.
func codes(list []Finding) string {
	var out []string
	for i := range list {
		out = append(out, string(list[i].Code))
	}
	return strings.Join(out, " ")
}

// TestPlanted holds that a clean call gives nothing and that each planted fault gives exactly its finding.
func TestPlanted(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		plant func(c *Call)
		want  string // codes
		text  string // part of the first one's text
	}{
		{"clean", func(*Call) {}, "", ""},
		{"no media at all", func(c *Call) { c.Streams = nil }, "no-media", "no audio in 30 s of talk"},
		{"no media, and no RTP in the capture", func(c *Call) { c.Streams, c.RTP = nil, false }, "", ""},
		{"short call without media", func(c *Call) { c.Streams, c.Bye = nil, 12*sec }, "", ""},
		{"not answered", func(c *Call) { c.Streams, c.Answer = nil, 0 }, "", ""},
		{"one-way", func(c *Call) { c.Streams = c.Streams[:1] }, "one-way", "nothing to the caller (192.0.2.1:4000) in 30 s of talk"},
		{"the other way", func(c *Call) { c.Streams = c.Streams[1:] }, "one-way", "nothing to the callee"},
		{"one-way as agreed", func(c *Call) {
			c.Streams = c.Streams[:1]
			c.Agreements[0].Media[0].Callee.Sends, c.Agreements[0].Media[0].Caller.Receives = false, false
		}, "", ""},
		{"AMR in silence", func(c *Call) { c.Streams[0].PTime = 160e6 }, "", ""},
		{"video comes in bursts", func(c *Call) { c.Streams[0].MeanJitter, c.Streams[0].Type = 80e6, "video" }, "", ""},
		{"rejected", func(c *Call) { c.Streams, c.Agreements[0].Media[0].Rejected = nil, true }, "", ""},
		{"late", func(c *Call) { c.Streams[1] = stream(2, callee, caller, 13*sec, 40*sec) }, "late-media", "begins 3 s after"},
		{"early, with a description", func(c *Call) {
			c.Agreements[0].Time = 7 * sec
			c.Streams[1] = stream(2, callee, caller, 8*sec, 40*sec)
		}, "early-media", "begins 2 s before the answer"},
		{"early, without", func(c *Call) {
			c.Streams[1] = stream(2, callee, caller, 8*sec, 40*sec)
		}, "early-media", "before any description of the callee"},
		{"from another port", func(c *Call) {
			c.Streams[0] = stream(1, "192.0.2.1:4444", callee, 10*sec, 40*sec)
		}, "other-port", "from port 4444 and receives at port 4000"},
		{"from another address", func(c *Call) {
			c.Streams[0] = stream(1, "192.0.2.99:4000", callee, 10*sec, 40*sec)
		}, "other-address", "names 192.0.2.1:4000"},
		{"behind a NAT, latched", func(c *Call) {
			c.Agreements[0].Media[0].Caller.Addrs[0] = at("10.0.0.5:4000")
			c.Streams[0] = stream(1, "198.51.100.7:61000", callee, 10*sec, 40*sec)
			c.Streams[1] = stream(2, callee, "198.51.100.7:61000", 10*sec, 40*sec)
		}, "nat", "private 10.0.0.5:4000"},
		{"to a wrong port, from the right one", func(c *Call) {
			c.Strays = []Stream{stream(3, caller, "192.0.2.2:5002", 10*sec, 40*sec)}
			c.Streams = c.Streams[1:]
		}, "wrong-destination", "the caller sends audio to 192.0.2.2:5002"},
		{"to a wrong port, from another one", func(c *Call) {
			c.Strays = []Stream{stream(3, "192.0.2.1:4448", "192.0.2.2:5002", 10*sec, 40*sec)}
			c.Streams = c.Streams[1:]
		}, "wrong-destination", "should go to 192.0.2.2:5000"},
		{"to a wrong port, as a stream of the call", func(c *Call) {
			c.Streams[1] = stream(3, caller, "192.0.2.2:5002", 10*sec, 40*sec)
			c.Streams[0] = stream(2, callee, caller, 10*sec, 40*sec)
		}, "wrong-destination", "the caller sends audio to 192.0.2.2:5002"},
		{"a relay sends on from the same port", func(c *Call) {
			c.Streams = append(c.Streams, stream(3, callee, "192.0.2.9:6000", 10*sec, 40*sec))
		}, "", ""},
		{"another call between the hosts", func(c *Call) {
			c.Strays = []Stream{stream(3, "192.0.2.1:4448", "192.0.2.2:5002", 10*sec, 40*sec)}
		}, "", ""},
		{"payload type", func(c *Call) {
			c.Streams[0].Payloads = []Payload{{PT: 18, Name: "G729", Packets: 100, First: 10 * sec}}
		}, "payload-type", "100 packets of payload type 18 (G729) to the callee"},
		{"comfort noise", func(c *Call) {
			c.Streams[0].Payloads = append(c.Streams[0].Payloads, Payload{PT: 13, Packets: 5, First: 11 * sec})
		}, "payload-type", "comfort noise"},
		{"DTMF", func(c *Call) {
			c.Agreements[0].Media[0].Callee.Payloads = []Payload{{PT: 0, Name: "PCMU"}}
			c.Streams[0].Payloads = append(c.Streams[0].Payloads, Payload{PT: 101, Packets: 5, First: 11 * sec})
		}, "dtmf-not-negotiated", "did not name telephone-event"},
		{"DTMF with the sender's number", func(c *Call) {
			c.Agreements[0].Media[0].Callee.Payloads = []Payload{{PT: 0, Name: "PCMU"}, {PT: 96, Name: "telephone-event"}}
			c.Streams[0].Payloads = append(c.Streams[0].Payloads, Payload{PT: 101, Packets: 5, First: 11 * sec})
		}, "payload-type", "who named 96 for it"},
		{"agreed DTMF is no codec", func(c *Call) {
			c.Streams[0].Payloads = append(c.Streams[0].Payloads, Payload{PT: 101, Name: "telephone-event", First: 11 * sec})
		}, "", ""},
		{"codec", func(c *Call) {
			c.Streams[0].Payloads = append(c.Streams[0].Payloads, Payload{PT: 8, Name: "PCMA", Packets: 5, First: 11 * sec})
		}, "codec-change", "0 (PCMU), 8 (PCMA)"},
		{"packet time", func(c *Call) { c.Streams[0].PTime = 30e6 }, "ptime", "packets of 30 ms to the callee, who asked for 20 ms"},
		{"longest packet time", func(c *Call) {
			c.Agreements[0].Media[0].Callee.MaxTime, c.Streams[0].PTime = 40, 60e6
		}, "maxptime", "at most 40 ms"},
		{"no ptime is asked for", func(c *Call) {
			c.Agreements[0].Media[0].Callee.PTime, c.Streams[0].PTime = 0, 30e6
		}, "", ""},
		{"hold and resume", func(c *Call) {
			hold(c, true)
			gap(&c.Streams[1], 20*sec, 30*sec)
		}, "hold", "on hold for 10 s: no audio to the caller"},
		{"media during hold", func(c *Call) { hold(c, true) }, "hold media-on-hold", "on hold for 10 s"},
		{"both on hold", func(c *Call) {
			hold(c, false)
			gap(&c.Streams[0], 20*sec, 31*sec)
			gap(&c.Streams[1], 20*sec, 30*sec)
		}, "hold hold", ""},
		{"no resume", func(c *Call) {
			hold(c, true)
			c.Streams[1] = stream(2, callee, caller, 10*sec, 20*sec)
		}, "hold no-resume", ""},
		{"another stream resumes", func(c *Call) {
			hold(c, true)
			c.Streams[1] = stream(2, callee, caller, 10*sec, 20*sec)
			c.Streams = append(c.Streams, stream(3, callee, caller, 30*sec, 40*sec))
		}, "hold", ""},
		{"stops", func(c *Call) { c.Streams[1] = stream(2, callee, caller, 10*sec, 30*sec) }, "stops", "stops 10 s before"},
		{"both stop", func(c *Call) {
			c.Streams[0] = stream(1, caller, callee, 10*sec, 20*sec)
			c.Streams[1] = stream(2, callee, caller, 10*sec, 20*sec)
		}, "stops", "in both directions 20 s before BYE"},
		{"after BYE", func(c *Call) { c.Streams[1] = stream(2, callee, caller, 10*sec, 45*sec) }, "media-after-bye", "for 5 s after BYE"},
		{"a little after BYE", func(c *Call) { c.Streams[1] = stream(2, callee, caller, 10*sec, 40*sec+5e8) }, "", ""},
		{"loss", func(c *Call) { c.Streams[0].Missing, c.Streams[0].Expected = 30, 1500 }, "loss", "(2.0 %)"},
		{"jitter", func(c *Call) { c.Streams[0].MeanJitter = 45e6 }, "jitter", "45 ms"},
		{"the proxy passed the description on", func(c *Call) {
			second := agreement(10*sec, 2, 4, end(caller), end(callee))
			second.Hop = 1
			c.Agreements = append(c.Agreements, second)
			c.Streams = nil
		}, "no-media", ""},
		{"two hops with a relay, one of them one-way", func(c *Call) {
			second := agreement(10*sec, 2, 4, end("192.0.2.50:7000"), end("192.0.2.51:7002"))
			second.Hop = 1
			c.Agreements = append(c.Agreements, second)
			c.Streams = append(c.Streams, stream(3, "192.0.2.50:7000", "192.0.2.51:7002", 10*sec, 40*sec))
		}, "one-way", "192.0.2.50:7000"},
	} {
		c := clean()
		test.plant(c)
		got := Media(c, Defaults())
		if codes(got) != test.want {
			t.Errorf("%s: %q, want %q: %+v", test.name, codes(got), test.want, got)
			continue
		}
		if len(got) > 0 && !strings.Contains(got[0].Text, test.text) {
			t.Errorf("%s: %q, want %q in it", test.name, got[0].Text, test.text)
		}
		for i := range got {
			f := &got[i]
			if f.Severity.String() == "" || f.Code.Section() == "" || len(f.Frames) == 0 || !slices.IsSorted(f.Frames) || f.Time == 0 {
				t.Errorf("%s: not complete: %+v", test.name, f)
			}
			if !slices.Contains(Codes(), f.Code) {
				t.Errorf("%s: %s is not listed", test.name, f.Code)
			}
		}
	}
}

// TestDocs holds that docs/media.md tells of every code.
func TestDocs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../../docs/media.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range Codes() {
		if !strings.Contains(string(page), "| `"+string(code)+"` |") {
			t.Errorf("docs/media.md does not tell of %s", code)
		}
	}
}

// TestBadLoss holds that heavy loss is an error.
func TestBadLoss(t *testing.T) {
	t.Parallel()
	c := clean()
	c.Streams[0].Missing = c.Streams[0].Expected / 10
	if got := Media(c, Defaults()); len(got) != 1 || got[0].Severity != Error {
		t.Errorf("%+v", got)
	}
}

// TestBounded holds that a hostile call gives no more than MaxFindings.
func TestBounded(t *testing.T) {
	t.Parallel()
	c := clean()
	for i := range uint32(2000) {
		c.Streams = append(c.Streams, stream(i+3, callee, caller, 10*sec, 60*sec))
	}
	if got := Media(c, Defaults()); len(got) != MaxFindings {
		t.Errorf("%d findings", len(got))
	}
	if got := Media(&Call{}, Defaults()); got != nil {
		t.Errorf("of nothing: %+v", got)
	}
	if Severity(9).String() != "" || Code("x").Section() != "" {
		t.Error("unknown severity or code")
	}
}

func BenchmarkMedia(b *testing.B) {
	b.ReportAllocs()
	c := clean()
	hold(c, true)
	for b.Loop() {
		Media(c, Defaults())
	}
}
