package stream

import (
	"fmt"
	"strings"
	"testing"

	recorded "sipscope/correlate/cut"
	"sipscope/decode/sdp"
	"sipscope/element/media"
)

// session parses a description.
func session(lines ...string) *sdp.Session {
	s := new(sdp.Session)
	text := append([]string{"v=0", "o=- 1 1 IN IP4 10.0.0.1", "s=-", "t=0 0"}, lines...)
	sdp.ParseInto([]byte(strings.Join(text, "\r\n")+"\r\n"), s)
	return s
}

// list writes payloads.
func list(all []recorded.Payload) string {
	var b strings.Builder
	for _, p := range all {
		fmt.Fprintf(&b, "%d %s/%d/%d;", p.PT, p.Name, p.Clock, p.Channels)
	}
	return b.String()
}

func TestAgree(t *testing.T) {
	t.Parallel()
	offer := session("c=IN IP4 10.0.0.1", "m=audio 4000 RTP/AVP 0 8 13 96 101", "a=rtpmap:96 opus/48000/2", "a=rtpmap:101 telephone-event/8000",
		"m=video 4002 RTP/AVP 99", "a=rtpmap:99 H264/90000", "m=image 4004 udptl t38")
	answer := session("c=IN IP6 2001:db8::5", "m=audio 30000 RTP/AVP 8 111 13 97", "a=rtpmap:111 OPUS/48000/2", "a=rtpmap:97 telephone-event/8000",
		"a=ptime:30", "a=rtcp:30009", "a=sendonly", "m=video 0 RTP/AVP 99", "m=image 30004 udptl t38")
	local := ap("10.0.0.1:4000")
	got := Agree(offer, answer, 0, true, local)
	want := media.Agreed{
		Remote: ap("[2001:db8::5]:30000"), RemoteRTCP: ap("[2001:db8::5]:30009"), Local: local, Codec: media.PCMA, SendPT: 8,
		ReceivePT: 8, SendEvent: 97, GetEvent: 101, Direction: sdp.RecvOnly, Held: true, Ptime: 30,
	}
	if got.Agreed != want {
		t.Errorf("%+v, want %+v", got.Agreed, want)
	}
	if l := list(got.Live); l != "8 PCMA/8000/1;111 OPUS/48000/2;97 telephone-event/8000/1;13 CN/8000/1;" {
		t.Error(l)
	}
	if l := list(got.Local); l != "8 PCMA/8000/1;96 OPUS/48000/2;101 telephone-event/8000/1;13 CN/8000/1;" {
		t.Error(l)
	}
	got = Agree(offer, answer, 0, false, local) // the same, from the answerer's side
	if a := got.Agreed; a.Remote != ap("10.0.0.1:4000") || a.RemoteRTCP != ap("10.0.0.1:4001") || a.Direction != sdp.SendOnly || a.Held || a.SendEvent != 101 || a.GetEvent != 97 {
		t.Errorf("%+v", a)
	}
	if l := list(got.Live); l != "8 PCMA/8000/1;96 OPUS/48000/2;101 telephone-event/8000/1;13 CN/8000/1;" {
		t.Error(l)
	}
	for _, line := range []int{-1, 1, 2, 3} {
		if got := Agree(offer, answer, line, true, local); !got.Agreed.Rejected || got.Agreed.Sends() || len(got.Live) > 0 {
			t.Errorf("line %d: %+v", line, got)
		}
	}
	if got := Agree(offer, session("c=IN IP4 0.0.0.0", "m=audio 30000 RTP/AVP 0"), 0, true, local); got.Agreed.Sends() || !got.Agreed.Held {
		t.Errorf("held: %+v", got.Agreed)
	}
	if got := Agree(offer, session("c=IN IP4 10.0.0.5", "m=audio 30000 RTP/SAVP 0", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x"), 0, true, local); got.Secure {
		t.Errorf("secure on one side: %+v", got)
	}
	secure := session("c=IN IP4 10.0.0.5", "m=audio 30000 RTP/SAVP 200 0", "a=rtpmap:200 x/8000")
	if got := Agree(secure, secure, 0, true, local); !got.Secure {
		t.Errorf("%+v", got)
	}
}

// FuzzAgree: whatever two descriptions say, a stream can be made of it.
func FuzzAgree(f *testing.F) {
	f.Add("c=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 0 96\r\na=rtpmap:96 opus/48000/2\r\n", "c=IN IP4 10.0.0.5\r\nm=audio 4000 RTP/AVP 0\r\n", true)
	f.Add("m=audio 1 RTP/AVP 300 -1\r\na=rtpmap:300 PCMU/8000\r\n", "m=audio 1 RTP/AVP 300\r\na=rtpmap:300 PCMU/8000\r\nc=IN IP6 ::1\r\n", false)
	rec := NewRecording([]recorded.Payload{pcmu(0), event(101)}, sequence(talk(0, 5)))
	f.Fuzz(func(t *testing.T, offer, answer string, offered bool) {
		got := Agree(session(offer), session(answer), 0, offered, ap("10.0.0.1:4000"))
		if len(got.Live) != len(got.Local) {
			t.Fatalf("%+v", got)
		}
		r := newRig(t, 1)
		s := r.stream(t, Config{Agreed: got.Agreed, Live: got.Live, Local: got.Local, Recordings: []*Recording{rec}})
		for at := start; at < start+second; at += 20 * ms {
			s.Wake(at)
		}
		if st := s.Stats(); st.Sent.Packets > 0 && !got.Agreed.Sends() {
			t.Fatalf("%+v, %+v", st, got)
		}
	})
}
