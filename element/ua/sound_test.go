package ua

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"sipscope/decode/sdp"
	"sipscope/element/media"
	"sipscope/element/transport"
	"sipscope/element/virtual"
)

// TestSound has alice say something that bob sends back, hold it, and press a key.
func TestSound(t *testing.T) {
	t.Parallel()
	var g *rig
	sound := func(host *virtual.Host, echo bool, seed uint64) *Sound {
		return NewSound(SoundConfig{
			Ports: media.Opener[*virtual.Port](host.OpenPort), Echo: echo, Rand: rand.New(rand.NewPCG(seed, 1)),
			Source: func(*Call) media.Source { return media.Silence{} },
		})
	}
	g = newRig(t, 1, "udp", func(a, b *Config) {
		ha, okA := a.Link.(*virtual.Host)
		hb, okB := b.Link.(*virtual.Host)
		if !okA || !okB {
			t.Fatal("no virtual hosts")
		}
		a.Media, b.Media = sound(ha, false, 1), sound(hb, true, 2)
	})
	c := g.call(CallOptions{})
	g.run(2 * time.Second)
	stream, ok := c.Stream().(*SoundStream)
	if !ok {
		t.Fatalf("no sound: %T", c.Stream())
	}
	s := stream.Media().Stats()
	if s.Sent.Packets < 95 || s.Sent.Packets > 105 || s.Received.Packets < 95 {
		t.Errorf("in 2 s: sent %d packets, received %d", s.Sent.Packets, s.Received.Packets)
	}
	g.do(func() { must(g, stream.SendDigits("7")) })
	g.run(time.Second)
	if !slices.Contains(g.events, "b dtmf") {
		t.Errorf("events %q", g.events)
	}
	g.do(func() { must(g, g.bob.calls.all[0].Hold()) })
	g.run(100 * time.Millisecond)
	before := stream.Media().Stats().Sent.Packets
	g.run(time.Second)
	if n := stream.Media().Stats().Sent.Packets - before; n != 0 {
		t.Errorf("%d packets while on hold", n)
	}
	g.do(func() { must(g, c.Hangup()) })
	g.drain()
	g.clean()
}

// TestVoiceHammer has a call answered whose ACKs are lost: nobody knows whether the caller is where it says, so nothing is
// said there.
func TestVoiceHammer(t *testing.T) {
	t.Parallel()
	g := newRig(t, 1, "udp", func(_, b *Config) {
		host, ok := b.Link.(*virtual.Host)
		if !ok {
			t.Fatal("no virtual host")
		}
		b.Media = NewSound(SoundConfig{
			Ports: media.Opener[*virtual.Port](host.OpenPort), Rand: rand.New(rand.NewPCG(1, 1)),
			Source: func(*Call) media.Source { return media.Silence{} },
		})
		b.Answer.EarlyMedia = true
	})
	lost := true
	g.net.Lose = func(_, _ netip.AddrPort, raw []byte) bool { return lost && bytes.HasPrefix(raw, []byte("ACK ")) }
	g.call(CallOptions{})
	g.run(10 * time.Second)
	stream, ok := g.bob.calls.all[0].Stream().(*SoundStream)
	if !ok {
		t.Fatal("no sound")
	}
	if n := stream.Media().Stats().Sent.Packets; n != 0 {
		t.Errorf("%d packets without an ACK", n)
	}
	lost = false
	g.run(5 * time.Second)
	if n := stream.Media().Stats().Sent.Packets; n < 40 {
		t.Errorf("%d packets after the ACK", n)
	}
}

// TestReoffer checks that an offer after an answer keeps the places of all media (RFC 3264 8).
func TestReoffer(t *testing.T) {
	t.Parallel()
	offer := "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=video 5000 RTP/AVP 96\r\n" +
		"m=audio 6000 RTP/AVPF 8 97\r\na=rtpmap:97 telephone-event/8000\r\na=sendonly\r\nm=application 7000 TCP x\r\n"
	s := session{addr: netip.MustParseAddrPort("192.0.2.2:4000"), want: sdp.SendRecv}
	var scratch sdp.Session
	sdp.ParseInto([]byte(offer), &scratch)
	answer, err := s.answerTo(nil, &scratch)
	if err != nil {
		t.Fatal(err)
	}
	want := "m=video 0 RTP/AVP 96|m=audio 4000 RTP/AVPF 8 97|m=application 0 TCP x"
	if got := mediaLines(answer); got != want {
		t.Errorf("answer %s", got)
	}
	if g := s.agreed; g.Send || !g.Receive || g.Payload != 8 || g.DTMF != 97 || !s.held {
		t.Errorf("agreed %+v, held %v", g, s.held)
	}
	again := s.offer(nil)
	if got := mediaLines(again); got != "m=video 0 RTP/AVP 96|m=audio 4000 RTP/AVPF 0 8 97|m=application 0 TCP x" {
		t.Errorf("offer %s", got)
	}
	for _, d := range [][]byte{answer, again} {
		if _, diags := sdp.Parse(d); len(diags) > 0 {
			t.Errorf("%v in\n%s", diags, d)
		}
	}
}

func mediaLines(b []byte) string {
	var out []string
	for l := range strings.SplitSeq(string(b), "\r\n") {
		if strings.HasPrefix(l, "m=") {
			out = append(out, l)
		}
	}
	return strings.Join(out, "|")
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte("v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 6000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=inactive\r\n"))
	f.Add([]byte("m=x\x01 0 0 \r\nm=audio 1 RTP/AVPF 8\r\n"))
	f.Fuzz(func(t *testing.T, offer []byte) {
		s := session{addr: netip.MustParseAddrPort("192.0.2.2:4000"), want: sdp.SendRecv}
		var scratch sdp.Session
		sdp.ParseInto(offer, &scratch)
		n := len(scratch.Media)
		answer, err := s.answerTo(nil, &scratch)
		if err != nil {
			return
		}
		got, diags := sdp.Parse(answer)
		if len(diags) > 0 || len(got.Media) != n {
			t.Fatalf("%d media answered with %d, %v:\n%s", n, len(got.Media), diags, answer)
		}
		other := session{addr: s.addr, want: sdp.SendRecv, ours: s.ours}
		if err := other.answered(&got); err != nil {
			t.Fatalf("own answer: %v\n%s", err, answer)
		}
	})
}

func FuzzHost(f *testing.F) {
	for _, s := range []string{"127.0.0.1", "[2001:db8::1]", "1.2.3", "256.1.1.1", "01.2.3.4", "1.2.3.4.5", "::1", "fe80::1%eth0", "b.com"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := parseHost([]byte(s))
		bare := strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
		want, err := netip.ParseAddr(bare)
		if ok && (err != nil || got != want || got.Zone() != "") {
			t.Fatalf("%q: %v, want %v %v", s, got, want, err)
		}
		if !ok && err == nil && s == bare && want.Zone() == "" && len(s) <= 45 {
			t.Fatalf("%q was refused", s)
		}
	})
}

// TestHops reads URIs without a resolver.
func TestHops(t *testing.T) {
	t.Parallel()
	a := newHostile(nil).agent
	for uri, want := range map[string]string{
		"sip:bob@192.0.2.1":                           "UDP 192.0.2.1:5060",
		"sip:bob@192.0.2.1:5070;transport=TCP":        "TCP 192.0.2.1:5070",
		"sips:bob@192.0.2.1":                          "TLS 192.0.2.1:5061",
		"sips:bob@192.0.2.1;transport=ws":             "WSS 192.0.2.1:443",
		"sip:bob@[2001:db8::1];transport=ws":          "WS [2001:db8::1]:80",
		"sip:bob@b.com;maddr=192.0.2.7":               "UDP 192.0.2.7:5060",
		"sip:bob@b.com":                               "",
		"sips:bob@192.0.2.1;transport=udp":            "",
		"sip:bob@192.0.2.1;transport=sctp":            "",
		"tel:+4930123":                                "",
		"sip:bob@999.0.2.1":                           "",
		"sip:alice;day=tuesday@192.0.2.1":             "UDP 192.0.2.1:5060",
		"sip:bob@192.0.2.1?Route=%3Csip:192.0.2.9%3E": "UDP 192.0.2.1:5060",
	} {
		hop, ok := a.directHop(uri)
		got := ""
		if ok {
			got = hop.Proto.String() + " " + hop.Remote.String()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", uri, got, want)
		}
	}
	if v := contactValue("bob", transport.WSS, netip.MustParseAddrPort("[::1]:443"), true); v != "<sips:bob@[::1]:443;transport=ws>" {
		t.Error(v)
	}
}

// TestSessionExpires: the side that refreshes goes silent, the other one ends the call (RFC 4028 10).
func TestSessionExpires(t *testing.T) {
	t.Parallel()
	g := newRig(t, 1, "udp", func(a, _ *Config) { a.SessionSec = 90 })
	g.call(CallOptions{})
	g.run(time.Second)
	g.hosts[0].Unplug(true)
	g.drain()
	g.check("b", CauseSession, 0, false)
	g.check("a", CauseSession, 0, false)
	if d := time.Duration(g.ended["b"][0].At - start); d < 60*time.Second || d > 130*time.Second {
		t.Errorf("ended after %v", d)
	}
	g.clean()
}
