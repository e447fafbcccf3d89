package media

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	pion "github.com/pion/sdp/v3"

	"sipscope/decode/sdp"
)

func at(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func session(addr string, change func(*SessionConfig)) *Session {
	cfg := SessionConfig{Addr: at(addr), SessionID: 1000}
	if change != nil {
		change(&cfg)
	}
	return NewSession(cfg)
}

// lines is a description of those lines.
func lines(s ...string) []byte { return []byte(strings.Join(s, "\r\n") + "\r\n") }

func TestOfferAnswer(t *testing.T) {
	t.Parallel()
	alice, bob := session("127.0.1.10:4000", nil), session("[::1]:6000", func(c *SessionConfig) { c.Codecs = []Codec{PCMA, PCMU} })
	offer := alice.Offer(sdp.Unstated)
	want := lines("v=0", "o=- 1000 1000 IN IP4 127.0.1.10", "s=-", "c=IN IP4 127.0.1.10", "t=0 0", "m=audio 4000 RTP/AVP 0 8 101",
		"a=rtpmap:0 PCMU/8000", "a=rtpmap:8 PCMA/8000", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15", "a=ptime:20", "a=sendrecv")
	if string(offer) != string(want) {
		t.Fatalf("offer\n%s\nwant\n%s", offer, want)
	}
	answer, b, err := bob.Answer(offer, sdp.Unstated)
	if err != nil {
		t.Fatal(err)
	}
	a, err := alice.Accept(answer)
	if err != nil {
		t.Fatal(err)
	}
	wantA := Agreed{
		Remote: at("[::1]:6000"), RemoteRTCP: at("[::1]:6001"), Local: at("127.0.1.10:4000"), SendEvent: 101, GetEvent: 101,
		Direction: sdp.SendRecv, Ptime: 20,
	}
	if a != wantA {
		t.Errorf("alice %+v, want %+v", a, wantA)
	}
	wantA.Remote, wantA.RemoteRTCP, wantA.Local = at("127.0.1.10:4000"), at("127.0.1.10:4001"), at("[::1]:6000")
	if b != wantA {
		t.Errorf("bob %+v, want %+v", b, wantA)
	}
	if _, err := alice.Accept(answer); !errors.Is(err, ErrNoOffer) {
		t.Errorf("a second answer: %v", err)
	}
}

// TestDirections goes through what each side wants (RFC 3264 5.1, 6.1), and hold and resume keep the rest.
func TestDirections(t *testing.T) {
	t.Parallel()
	alice, bob := session("127.0.1.10:4000", nil), session("127.0.2.10:6000", nil)
	version := 0
	for _, tt := range []struct {
		offer, wish, answer sdp.Direction
		heldA, heldB        bool
	}{
		{sdp.SendRecv, sdp.SendRecv, sdp.SendRecv, false, false},
		{sdp.SendOnly, sdp.SendRecv, sdp.RecvOnly, false, true},
		{sdp.SendRecv, sdp.SendRecv, sdp.SendRecv, false, false},
		{sdp.RecvOnly, sdp.SendRecv, sdp.SendOnly, true, false},
		{sdp.Inactive, sdp.SendRecv, sdp.Inactive, true, true},
		{sdp.SendOnly, sdp.SendOnly, sdp.Inactive, true, true},
		{sdp.SendRecv, sdp.SendOnly, sdp.SendOnly, true, false},
		{sdp.SendRecv, sdp.RecvOnly, sdp.RecvOnly, false, false},
		{sdp.RecvOnly, sdp.RecvOnly, sdp.Inactive, true, false},
	} {
		name := fmt.Sprintf("offer %s, wish %s", tt.offer, tt.wish)
		offer := alice.Offer(tt.offer)
		answer, b, err := bob.Answer(offer, tt.wish)
		if err != nil {
			t.Fatal(name, err)
		}
		a, err := alice.Accept(answer)
		if err != nil {
			t.Fatal(name, err)
		}
		if b.Direction != tt.answer || !strings.Contains(string(answer), "\r\na="+tt.answer.String()+"\r\n") {
			t.Errorf("%s: answered %s, want %s", name, b.Direction, tt.answer)
		}
		if a.Direction.Sends() != b.Direction.Receives() || a.Direction.Receives() != b.Direction.Sends() {
			t.Errorf("%s: alice %s, bob %s", name, a.Direction, b.Direction)
		}
		if a.Held != tt.heldA || b.Held != tt.heldB {
			t.Errorf("%s: held %t %t, want %t %t", name, a.Held, b.Held, tt.heldA, tt.heldB)
		}
		o, _ := sdp.Parse(offer)
		if v := string(o.Origin.Version); version > 0 && v != strconv.Itoa(1000+version) && v != strconv.Itoa(1000+version-1) {
			t.Errorf("%s: version %s after %d offers", name, v, version)
		}
		version++
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	s := session("127.0.1.10:4000", nil)
	version := func(b []byte) string {
		d, _ := sdp.Parse(b)
		return string(d.Origin.SessionID) + " " + string(d.Origin.Version)
	}
	for i, want := range []string{"1000 1000", "1000 1000", "1000 1001", "1000 1002"} {
		dir := []sdp.Direction{sdp.SendRecv, sdp.SendRecv, sdp.SendOnly, sdp.SendRecv}[i]
		if got := version(s.Offer(dir)); got != want {
			t.Errorf("offer %d: %s, want %s", i+1, got, want)
		}
	}
	s.SetAddr(at("127.0.1.10:4002"))
	if got := version(s.Offer(sdp.SendRecv)); got != "1000 1003" {
		t.Errorf("from another port: %s", got)
	}
	s.Rollback()
	if s.Pending() {
		t.Error("an offer waits after Rollback")
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	head := []string{"v=0", "o=b 5 5 IN IP4 192.0.2.2", "s=-", "c=IN IP4 192.0.2.2", "t=0 0"}
	for name, tt := range map[string]struct {
		offer  []string
		media  string // m= and a= lines of the answer, but ptime and those of formats
		want   Agreed
		err    error
		config func(*SessionConfig)
	}{
		"types of its own": {
			offer: []string{"m=audio 8000 RTP/AVP 96 110 97", "a=rtpmap:96 opus/48000/2", "a=rtpmap:97 pcma/8000/1", "a=rtpmap:110 telephone-event/8000", "a=ptime:30"},
			media: "m=audio 4000 RTP/AVP 97 110|a=sendrecv",
			want: Agreed{
				Remote: at("192.0.2.2:8000"), RemoteRTCP: at("192.0.2.2:8001"), Codec: PCMA, SendPT: 97, ReceivePT: 97,
				SendEvent: 110, GetEvent: 110, Direction: sdp.SendRecv, Ptime: 30,
			},
		},
		"more media": {
			offer: []string{"m=video 8002 RTP/AVP 96", "a=rtpmap:96 H264/90000", "m=audio 8000 RTP/AVPF 8", "a=rtcp:9001 IN IP4 192.0.2.3", "m=message 8004 TCP/MSRP *"},
			media: "m=video 0 RTP/AVP 96|m=audio 4000 RTP/AVPF 8|a=sendrecv|m=message 0 TCP/MSRP *",
			want: Agreed{
				Remote: at("192.0.2.2:8000"), RemoteRTCP: at("192.0.2.3:9001"), Codec: PCMA, SendPT: 8, ReceivePT: 8,
				SendEvent: -1, GetEvent: -1, Direction: sdp.SendRecv, Ptime: 20,
			},
		},
		"held as of old": {
			offer: []string{"m=audio 8000 RTP/AVP 0", "c=IN IP4 0.0.0.0"},
			media: "m=audio 4000 RTP/AVP 0|a=sendrecv",
			want:  Agreed{SendEvent: -1, GetEvent: -1, Direction: sdp.SendRecv, Held: true, Ptime: 20},
		},
		"mux": {
			offer:  []string{"m=audio 8000 RTP/AVP 0", "a=rtcp-mux", "a=ptime:1"},
			media:  "m=audio 4000 RTP/AVP 0|a=rtcp-mux|a=sendrecv",
			want:   Agreed{Remote: at("192.0.2.2:8000"), RemoteRTCP: at("192.0.2.2:8000"), SendEvent: -1, GetEvent: -1, Direction: sdp.SendRecv, Ptime: 10, Mux: true},
			config: func(c *SessionConfig) { c.RTCPMux = true },
		},
		"switched off": {
			offer: []string{"m=audio 0 RTP/AVP 0"}, media: "m=audio 0 RTP/AVP 0",
			want: Agreed{Rejected: true, SendEvent: -1, GetEvent: -1, Direction: sdp.Inactive, Ptime: 20},
		},
		"one off, one on": {
			offer: []string{"m=audio 0 RTP/AVP 0", "m=audio 8000 RTP/AVP 0"}, media: "m=audio 0 RTP/AVP 0|m=audio 4000 RTP/AVP 0|a=sendrecv",
			want: Agreed{Remote: at("192.0.2.2:8000"), RemoteRTCP: at("192.0.2.2:8001"), SendEvent: -1, GetEvent: -1, Direction: sdp.SendRecv, Ptime: 20},
		},
		"G.729 alone":   {offer: []string{"m=audio 8000 RTP/AVP 18"}, err: ErrNoCodec},
		"wide PCMU":     {offer: []string{"m=audio 8000 RTP/AVP 96", "a=rtpmap:96 PCMU/16000"}, err: ErrNoCodec},
		"encrypted":     {offer: []string{"m=audio 8000 RTP/SAVP 0"}, err: ErrNoAudio},
		"video alone":   {offer: []string{"m=video 8000 RTP/AVP 31"}, err: ErrNoAudio},
		"nothing":       {err: ErrNoAudio},
		"without end":   {offer: strings.Split(strings.Repeat("m=audio 8000 RTP/AVP 0|", 70), "|"), err: ErrTooMany},
		"no codec ours": {offer: []string{"m=audio 8000 RTP/AVP 8"}, err: ErrNoCodec, config: func(c *SessionConfig) { c.Codecs = []Codec{PCMU} }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := session("127.0.2.10:4000", tt.config)
			answer, got, err := s.Answer(lines(append(append([]string{}, head...), tt.offer...)...), sdp.SendRecv)
			if !errors.Is(err, tt.err) || (err != nil) != (tt.err != nil) {
				t.Fatalf("%v, want %v", err, tt.err)
			}
			if err != nil {
				return
			}
			var kept []string
			for l := range strings.SplitSeq(string(answer), "\r\n") {
				if strings.HasPrefix(l, "m=") || l == "a=rtcp-mux" || l == "a=sendrecv" {
					kept = append(kept, l)
				}
			}
			if m := strings.Join(kept, "|"); m != tt.media {
				t.Errorf("answer %s, want %s", m, tt.media)
			}
			tt.want.Local = at("127.0.2.10:4000")
			if got != tt.want {
				t.Errorf("%+v, want %+v", got, tt.want)
			}
			var other pion.SessionDescription
			if err := other.Unmarshal(answer); err != nil {
				t.Errorf("pion/sdp: %v", err)
			}
		})
	}
}

// TestReoffer keeps the order of the lines and the payload types of the other side's offer (RFC 3264 8).
func TestReoffer(t *testing.T) {
	t.Parallel()
	s := session("127.0.2.10:4000", nil)
	offer := lines("v=0", "o=b 5 5 IN IP4 192.0.2.2", "s=-", "c=IN IP4 192.0.2.2", "t=0 0", "m=video 8002 RTP/AVP 34",
		"m=audio 8000 RTP/AVP 101 96", "a=rtpmap:101 PCMA/8000", "a=rtpmap:96 telephone-event/8000")
	if _, _, err := s.Answer(offer, sdp.SendRecv); err != nil {
		t.Fatal(err)
	}
	got := string(s.Offer(sdp.SendOnly))
	if !strings.Contains(got, "m=video 0 RTP/AVP 34\r\nm=audio 4000 RTP/AVP 101 0 96\r\na=rtpmap:101 PCMA/8000") {
		t.Errorf("offer\n%s", got)
	}
	answer := lines("v=0", "o=b 5 6 IN IP4 192.0.2.2", "s=-", "c=IN IP4 192.0.2.2", "t=0 0", "m=video 0 RTP/AVP 34",
		"m=audio 8000 RTP/AVP 101 96", "a=rtpmap:101 PCMA/8000", "a=rtpmap:96 telephone-event/8000", "a=recvonly")
	a, err := s.Accept(answer)
	if err != nil || a.Codec != PCMA || a.SendPT != 101 || a.SendEvent != 96 || a.Direction != sdp.SendOnly {
		t.Errorf("%+v, %v", a, err)
	}
	s.Offer(sdp.SendRecv)
	s.Rollback()
	if kept, ok := s.Agreed(); !ok || kept != a {
		t.Errorf("after Rollback: %+v, want %+v", kept, a)
	}
}

func TestAcceptErrors(t *testing.T) {
	t.Parallel()
	head := "v=0\r\no=b 5 6 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\n"
	for name, tt := range map[string]struct {
		media string
		err   error
		off   bool
	}{
		"no media":      {"", ErrNoAudio, false},
		"another codec": {"m=audio 8000 RTP/AVP 18\r\n", ErrNoCodec, false},
		"refused":       {"m=audio 0 RTP/AVP 0\r\n", nil, true},
	} {
		s := session("127.0.2.10:4000", nil)
		s.Offer(sdp.SendRecv)
		a, err := s.Accept([]byte(head + tt.media))
		if !errors.Is(err, tt.err) || a.Rejected != tt.off || a.Sends() {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
}

// FuzzAnswer answers any offer. The answer has as many lines, reads back, and both sides agree on it.
func FuzzAnswer(f *testing.F) {
	f.Add(lines("v=0", "o=b 5 5 IN IP4 192.0.2.2", "s=-", "c=IN IP4 192.0.2.2", "t=0 0", "m=audio 8000 RTP/AVP 0 8 101", "a=rtpmap:101 telephone-event/8000", "a=sendonly"))
	f.Add(lines("v=0", "c=IN IP6 ::1", "m=video 1 RTP/AVP 31", "m=audio 65535 RTP/AVPF 97 97", "a=rtpmap:97 PCMU/8000", "a=inactive", "a=ptime:999"))
	f.Add(lines("m=audio 8000 RTP/AVP 0", "m=\x00\x1b x y z", "m=audio 0 RTP/AVP 8"))
	f.Fuzz(func(t *testing.T, offer []byte) {
		s := session("127.0.2.10:4000", nil)
		answer, a, err := s.Answer(offer, sdp.SendRecv)
		if err != nil {
			return
		}
		o, _ := sdp.Parse(offer)
		got, diags := sdp.Parse(answer)
		if len(got.Media) != len(o.Media) {
			t.Fatalf("%d lines for %d: %q", len(got.Media), len(o.Media), answer)
		}
		if strings.ContainsAny(strings.ReplaceAll(string(answer), "\r\n", ""), "\r\n\x00\x1b") {
			t.Fatalf("control characters: %q", answer)
		}
		if len(diags) > 0 && !a.Rejected && len(o.Media) == 1 {
			t.Fatalf("%v in %q", diags, answer)
		}
		if a.Sends() && (a.Remote.Port() == 0 || a.Ptime == 0 || a.Ptime > 200) {
			t.Fatalf("%+v", a)
		}
		next := s.Offer(sdp.Inactive)
		if n, _ := sdp.Parse(next); len(n.Media) != max(len(o.Media), 1) {
			t.Fatalf("re-offer of %d lines for %d: %q", len(n.Media), len(o.Media), next)
		}
		_, _ = s.Accept(offer) // any answer
	})
}
