package sdp

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// streamText gives a Stream as one line.
func streamText(s *Stream) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s %s", s.Type, s.Proto, s.Direction)
	for _, c := range s.Codecs {
		fmt.Fprintf(&b, " %s/%d/%d(%d,%d)", c.Name, c.Clock, c.Channels, c.OfferPT, c.AnswerPT)
	}
	if s.DTMF.Name != "" {
		fmt.Fprintf(&b, " dtmf(%d,%d)", s.DTMF.OfferPT, s.DTMF.AnswerPT)
	}
	fmt.Fprintf(&b, " %s>%s", s.Answerer.AddrPort(), s.Offerer.AddrPort())
	fmt.Fprintf(&b, " rtcp %s>%s", s.AnswererRTCP.AddrPort(), s.OffererRTCP.AddrPort())
	if s.Ptime > 0 {
		fmt.Fprintf(&b, " ptime %d", s.Ptime)
	}
	for _, flag := range []struct {
		name string
		on   bool
	}{{"rejected", s.Rejected}, {"secure", s.Secure}, {"mux", s.RTCPMux}, {"held " + s.Hold.String(), s.Hold != NotHeld}} {
		if flag.on {
			b.WriteString(" " + flag.name)
		}
	}
	return b.String()
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	offer := func(lines ...string) string { return audio(lines...) }
	answer := func(lines ...string) string { return strings.ReplaceAll(audio(lines...), "192.0.2.1", "192.0.2.2") }
	const to, rtcp = " 192.0.2.2:7>192.0.2.1:5", " rtcp 192.0.2.2:8>192.0.2.1:6"
	for _, test := range []struct {
		name, offer, answer string
		want                []string
	}{
		{
			"order of the answer", offer("m=audio 5 RTP/AVP 0 8 18", "a=ptime:30"), answer("m=audio 7 RTP/AVP 8 0"),
			[]string{"audio RTP/AVP sendrecv PCMA/8000/1(8,8) PCMU/8000/1(0,0)" + to + rtcp + " ptime 30"},
		},
		{
			"dynamic types differ", offer("m=audio 5 RTP/AVP 96 97 101", "a=rtpmap:96 opus/48000/2", "a=rtpmap:97 ILBC/8000", "a=rtpmap:101 telephone-event/8000"),
			answer("m=audio 7 RTP/AVP 110 111 13", "a=rtpmap:110 telephone-event/8000", "a=rtpmap:111 iLBC/8000", "a=ptime:20"),
			[]string{"audio RTP/AVP sendrecv iLBC/8000/1(97,111) dtmf(101,110)" + to + rtcp + " ptime 20"},
		},
		{
			"static type with and without rtpmap", offer("m=audio 5 RTP/AVP 0", "a=rtpmap:0 pcmu/8000"), answer("m=audio 7 RTP/AVP 0"),
			[]string{"audio RTP/AVP sendrecv PCMU/8000/1(0,0)" + to + rtcp},
		},
		{
			"clock rates differ", offer("m=audio 5 RTP/AVP 96 97", "a=rtpmap:96 speex/8000", "a=rtpmap:97 speex/16000"), answer("m=audio 7 RTP/AVP 97", "a=rtpmap:97 speex/16000"),
			[]string{"audio RTP/AVP sendrecv speex/16000/1(97,97)" + to + rtcp},
		},
		{
			"unknown dynamic type", offer("m=audio 5 RTP/AVP 96"), answer("m=audio 7 RTP/AVP 96"),
			[]string{"audio RTP/AVP sendrecv /0/1(96,96)" + to + rtcp},
		},
		{
			"nothing in common", offer("m=audio 5 RTP/AVP 0"), answer("m=audio 7 RTP/AVP 8"),
			[]string{"audio RTP/AVP inactive" + to + rtcp + " rejected"},
		},
		{
			"rejected video", offer("m=audio 5 RTP/AVP 0", "m=video 9 RTP/AVP 31"), answer("m=audio 7 RTP/AVP 0", "m=video 0 RTP/AVP 31"),
			[]string{
				"audio RTP/AVP sendrecv PCMU/8000/1(0,0)" + to + rtcp,
				"video RTP/AVP inactive H261/90000/1(31,31) 192.0.2.2:0>192.0.2.1:9 rtcp invalid AddrPort>192.0.2.1:10 rejected",
			},
		},
		{
			"no answer for video, and too much", offer("m=audio 5 RTP/AVP 0", "m=video 9 RTP/AVP 31"), answer("m=audio 7 RTP/AVP 0"),
			[]string{"audio RTP/AVP sendrecv PCMU/8000/1(0,0)" + to + rtcp, "video RTP/AVP inactive invalid AddrPort>192.0.2.1:9 rtcp invalid AddrPort>192.0.2.1:10 rejected"},
		},
		{
			"too many answers", offer("m=audio 5 RTP/AVP 0"), answer("m=audio 7 RTP/AVP 0", "m=video 9 RTP/AVP 31"),
			[]string{"audio RTP/AVP sendrecv PCMU/8000/1(0,0)" + to + rtcp},
		},
		{
			"another type", offer("m=audio 5 RTP/AVP 0"), answer("m=video 7 RTP/AVP 0"),
			[]string{"audio RTP/AVP inactive invalid AddrPort>192.0.2.1:5 rtcp invalid AddrPort>192.0.2.1:6 rejected"},
		},
		{"no media", offer(), answer(), nil},
		{
			"hold", offer("m=audio 5 RTP/AVP 0", "a=sendonly"), answer("m=audio 7 RTP/AVP 0", "a=recvonly"),
			[]string{"audio RTP/AVP sendonly PCMU/8000/1(0,0)" + to + rtcp + " held by offerer"},
		},
		{
			"hold answered by inactive", offer("m=audio 5 RTP/AVP 0", "a=sendonly"), answer("m=audio 7 RTP/AVP 0", "a=inactive"),
			[]string{"audio RTP/AVP inactive PCMU/8000/1(0,0)" + to + rtcp + " held by offerer"},
		},
		{
			"hold by the answerer", offer("m=audio 5 RTP/AVP 0"), answer("a=sendonly", "m=audio 7 RTP/AVP 0"),
			[]string{"audio RTP/AVP recvonly PCMU/8000/1(0,0)" + to + rtcp + " held by answerer"},
		},
		{
			"old hold on both sides", offer("m=audio 5 RTP/AVP 0", "c=IN IP4 0.0.0.0"), answer("m=audio 7 RTP/AVP 0", "c=IN IP6 ::"),
			[]string{"audio RTP/AVP sendrecv PCMU/8000/1(0,0) [::]:7>0.0.0.0:5 rtcp [::]:8>0.0.0.0:6 held by both"},
		},
		{
			"recvonly offer", offer("m=audio 5 RTP/AVP 0", "a=recvonly"), answer("m=audio 7 RTP/AVP 0", "a=sendonly"),
			[]string{"audio RTP/AVP recvonly PCMU/8000/1(0,0)" + to + rtcp + " held by answerer"},
		},
		{
			"rtcp", offer("m=audio 5 RTP/AVP 0", "a=rtcp:50"), answer("m=audio 7 RTP/AVP 0", "a=rtcp:70 IN IP6 2001:db8::7"),
			[]string{"audio RTP/AVP sendrecv PCMU/8000/1(0,0)" + to + " rtcp [2001:db8::7]:70>192.0.2.1:50"},
		},
		{
			"mux on one side is none", offer("m=audio 5 RTP/AVP 0", "a=rtcp-mux"), answer("m=audio 7 RTP/AVP 0"),
			[]string{"audio RTP/AVP sendrecv PCMU/8000/1(0,0)" + to + rtcp},
		},
		{
			"mux and crypto", offer("m=audio 5 RTP/SAVP 0", "a=rtcp-mux"), answer("m=audio 7 RTP/SAVP 0", "a=rtcp-mux", "a=crypto:1 x"),
			[]string{"audio RTP/SAVP sendrecv PCMU/8000/1(0,0)" + to + " rtcp" + to + " secure mux"},
		},
		{
			"names and port 65535", strings.ReplaceAll(offer("m=audio 65535 RTP/AVP 0"), "192.0.2.1", "a.example"), answer("m=audio 7 RTP/AVP 0"),
			[]string{"audio RTP/AVP sendrecv PCMU/8000/1(0,0) 192.0.2.2:7>invalid AddrPort rtcp 192.0.2.2:8>invalid AddrPort"},
		},
		{
			"mapped address", offer("m=audio 5 RTP/AVP 0", "c=IN IP6 ::ffff:192.0.2.9"), answer("m=audio 7 RTP/AVP 0"),
			[]string{"audio RTP/AVP sendrecv PCMU/8000/1(0,0) 192.0.2.2:7>192.0.2.9:5 rtcp 192.0.2.2:8>192.0.2.9:6"},
		},
		{
			"T.38", offer("m=image 5 udptl t38"), answer("m=image 7 udptl t38"),
			[]string{"image udptl sendrecv t38/0/1(-1,-1)" + to + " rtcp invalid AddrPort>invalid AddrPort"},
		},
		{
			"DTMF alone", offer("m=audio 5 RTP/AVP 101", "a=rtpmap:101 telephone-event/8000"), answer("m=audio 7 RTP/AVP 101", "a=rtpmap:101 telephone-event/8000"),
			[]string{"audio RTP/AVP sendrecv dtmf(101,101)" + to + rtcp},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o, _ := Parse([]byte(test.offer))
			a, _ := Parse([]byte(test.answer))
			var got []string
			for _, s := range Answer(o, a) {
				got = append(got, streamText(&s))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestStaticPayload(t *testing.T) {
	t.Parallel()
	for pt, want := range map[int]string{0: "PCMU 8000", 8: "PCMA 8000", 9: "G722 8000", 18: "G729 8000", 34: "H263 90000", 19: " 0", 35: " 0", 96: " 0", -1: " 0", 1000: " 0"} {
		if name, clock := StaticPayload(pt); fmt.Sprint(name, " ", clock) != want {
			t.Errorf("payload type %d is %s/%d, want %s", pt, name, clock, want)
		}
	}
	if Direction(9).String() != "inactive" || Hold(9).String() != "by both" || Unstated.String() != "sendrecv" {
		t.Error("values that do not exist must have words too")
	}
}
