package sdp

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// plain is a description without a fault.
const plain = "v=0\r\no=alice 2890844526 2890844527 IN IP4 host.example\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n" +
	"m=audio 49170 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n"

// audio gives a description with an audio medium and the lines after it.
func audio(lines ...string) string {
	return "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n" + strings.Join(lines, "\r\n") + "\r\n"
}

func diagNames(s *Session) string {
	names := make([]string, 0, len(s.Diags))
	for _, d := range s.Diags {
		names = append(names, strings.TrimPrefix(d.Code.String(), "sdp-"))
	}
	return strings.Join(names, " ")
}

// text gives what was read, one line a part.
func text(s *Session) string {
	var b strings.Builder
	o := s.Origin
	fmt.Fprintf(&b, "%s %s %s %s %s|%s|%s|%s", o.Username, o.SessionID, o.Version, o.AddrType, o.Address, s.Name, s.Connection.Address, s.Timing)
	for _, g := range s.Groups {
		fmt.Fprintf(&b, "|group %s", g)
	}
	for i := range s.Media {
		m := &s.Media[i]
		fmt.Fprintf(&b, "\n%s %d/%d %s %s %s", m.Type, m.Port, m.Ports, m.Proto, m.Connection.Address, m.Direction)
		for j := range m.Formats {
			f := &m.Formats[j]
			name, clock, channels := f.Encoding()
			fmt.Fprintf(&b, " [%d %s %d %d %s]", f.PT, name, clock, channels, f.Params)
		}
		if m.Ptime+m.MaxPtime > 0 {
			fmt.Fprintf(&b, " ptime %d %d", m.Ptime, m.MaxPtime)
		}
		if m.RTCP.Port > 0 {
			fmt.Fprintf(&b, " rtcp %d %s", m.RTCP.Port, m.RTCP.Address)
		}
		for _, flag := range []struct {
			name string
			on   bool
		}{{"mux", m.RTCPMux}, {"crypto", m.Crypto}, {"fingerprint", m.Fingerprint}, {"bundle-only", m.BundleOnly}, {"rejected", m.Rejected()}, {"held", m.Held()}, {"secure", m.Secure()}} {
			if flag.on {
				b.WriteString(" " + flag.name)
			}
		}
		for _, v := range [][]byte{m.Setup, m.Mid, m.Label} {
			if v != nil {
				b.WriteString(" " + string(v))
			}
		}
		for _, c := range m.Candidates {
			fmt.Fprintf(&b, " {%s}", c)
		}
	}
	return b.String()
}

func TestParse(t *testing.T) {
	t.Parallel()
	const origin = "- 1 1 IP4 192.0.2.1|-|192.0.2.1|0 0"
	for _, test := range []struct{ name, sdp, diags, want string }{
		{
			"plain", plain, "",
			"alice 2890844526 2890844527 IP4 host.example|-|192.0.2.1|0 0\naudio 49170/1 RTP/AVP 192.0.2.1 sendrecv [0 PCMU 8000 1 ] [8 PCMA 8000 1 ] [101 telephone-event 8000 1 0-15] ptime 20 0",
		},
		{
			"LF alone", strings.ReplaceAll(plain, "\r\n", "\n"), "line-end",
			"alice 2890844526 2890844527 IP4 host.example|-|192.0.2.1|0 0\naudio 49170/1 RTP/AVP 192.0.2.1 sendrecv [0 PCMU 8000 1 ] [8 PCMA 8000 1 ] [101 telephone-event 8000 1 0-15] ptime 20 0",
		},
		{"empty", "", "missing-version missing-origin missing-name missing-time", "    |||"},
		{"no SDP", "<xml/>\r\n", "line missing-version missing-origin missing-name missing-time", "    |||"},
		{
			"only media", "m=audio 5 RTP/AVP 0\r\n", "missing-version missing-origin missing-name missing-time missing-connection",
			"    |||\naudio 5/1 RTP/AVP  sendrecv [0 PCMU 8000 1 ]",
		},
		{
			"out of order", "v=0\r\ns=x y\r\nc=IN IP6 ::1\r\no=a 1 2 IN IP6 ::1\r\nt=1 2\r\nt=3 4\r\nm=audio 5 RTP/AVP 0\r\n", "order",
			"a 1 2 IP6 ::1|x y|::1|1 2\naudio 5/1 RTP/AVP ::1 sendrecv [0 PCMU 8000 1 ]",
		},
		{
			"two times with repeats", "v=0\r\no=a 1 2 IN IP6 ::1\r\ns=\r\nt=1 2\r\nr=1 2 3\r\nt=3 4\r\nr=1\r\n", "",
			"a 1 2 IP6 ::1|||1 2",
		},
		{"version 1", strings.Replace(audio(), "v=0", "v=1", 1), "version", origin},
		{
			"short origin", strings.Replace(audio(), "o=- 1 1 IN IP4 192.0.2.1", "o=- 1 1", 1), "origin",
			"- 1 1  |-|192.0.2.1|0 0",
		},
		{"long origin", strings.Replace(audio(), "o=- 1", "o=John Doe 1", 1), "origin", "John Doe 1 IN IP4|-|192.0.2.1|0 0"},
		{
			"blanks", strings.Replace(audio("m =audio 5 RTP/AVP 0"), "c=", "c = ", 1), "blanks blanks",
			origin + "\naudio 5/1 RTP/AVP 192.0.2.1 sendrecv [0 PCMU 8000 1 ]",
		},
		{
			"TTL", strings.Replace(audio("m=audio 5/2 RTP/AVP 0"), "c=IN IP4 192.0.2.1", "c=IN IP4 224.2.1.1/127/3", 1), "",
			"- 1 1 IP4 192.0.2.1|-|224.2.1.1|0 0\naudio 5/2 RTP/AVP 224.2.1.1 sendrecv [0 PCMU 8000 1 ]",
		},
		{"odd connection", strings.Replace(audio(), "c=IN IP4", "c=ATM NSAP", 1), "connection", origin},
		{
			"empty connection", strings.Replace(audio(), "c=IN IP4 192.0.2.1", "c=", 1), "connection",
			"- 1 1 IP4 192.0.2.1|-||0 0",
		},
		{
			"own connection and direction", audio("a=sendonly", "m=audio 5 RTP/AVP 0", "c=IN IP6 2001:db8::1", "c=IN IP6 2001:db8::2", "m=video 7 RTP/AVP 31", "a=recvonly"), "",
			origin + "\naudio 5/1 RTP/AVP 2001:db8::1 sendonly [0 PCMU 8000 1 ] held\nvideo 7/1 RTP/AVP 192.0.2.1 recvonly [31 H261 90000 1 ]",
		},
		{
			"rejected", audio("m=audio 0 RTP/AVP 0", "m=video 0 RTP/AVP 31", "a=bundle-only"), "",
			origin + "\naudio 0/1 RTP/AVP 192.0.2.1 sendrecv [0 PCMU 8000 1 ] rejected\nvideo 0/1 RTP/AVP 192.0.2.1 sendrecv [31 H261 90000 1 ] bundle-only",
		},
		{
			"old hold", audio("m=audio 5 RTP/AVP 0", "c=IN IP4 0.0.0.0"), "",
			origin + "\naudio 5/1 RTP/AVP 0.0.0.0 sendrecv [0 PCMU 8000 1 ] held",
		},
		{
			"inactive", audio("m=audio 5 RTP/AVP 0", "a=inactive"), "",
			origin + "\naudio 5/1 RTP/AVP 192.0.2.1 inactive [0 PCMU 8000 1 ] held",
		},
		{
			"codecs", audio("m=audio 5 RTP/AVP 96 97 9 18 98 200", "a=rtpmap:96 opus/48000/2", "a=fmtp:96 useinbandfec=1; x=y", "a=rtpmap: 97  iLBC/8000", "a=rtpmap:9 G722/8000/1", "a=maxptime:40", "a=ptime:20.5"), "",
			origin + "\naudio 5/1 RTP/AVP 192.0.2.1 sendrecv [96 opus 48000 2 useinbandfec=1; x=y] [97 iLBC 8000 1 ] [9 G722 8000 1 ] [18 G729 8000 1 ] [98  0 1 ] [-1 200 0 1 ] ptime 20 40",
		},
		{
			"odd attributes", audio("m=audio 5 RTP/AVP 0", "a=rtpmap:99 X/1", "a=rtpmap:0", "a=rtpmap:0 LPC", "a=fmtp:7 x", "a=ptime:0", "a=ptime:99999", "a=rtcp:x", "a=rtpmap:0 X/1/999", "a=", "a=x"),
			"attribute attribute attribute attribute attribute attribute attribute attribute",
			origin + "\naudio 5/1 RTP/AVP 192.0.2.1 sendrecv [0 X 1 1 ]",
		},
		{
			"WebRTC", audio("a=group:BUNDLE 0 1", "a=setup:actpass", "a=fingerprint:sha-256 AA", "a=ice-lite", "m=audio 9 UDP/TLS/RTP/SAVPF 111", "a=rtcp:53020 IN IP6 2001:db8::1", "a=rtcp-mux",
				"a=mid:0", "a=label:main", "a=candidate:1 1 udp 2 192.0.2.3 5 typ host", "m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "a=setup:active", "a=mid:1"), "",
			origin + "|group BUNDLE 0 1\naudio 9/1 UDP/TLS/RTP/SAVPF 192.0.2.1 sendrecv [111  0 1 ] rtcp 53020 2001:db8::1 mux fingerprint secure actpass 0 main {1 1 udp 2 192.0.2.3 5 typ host}\n" +
				"application 9/1 UDP/DTLS/SCTP 192.0.2.1 sendrecv [-1 webrtc-datachannel 0 1 ] fingerprint secure active 1",
		},
		{
			"crypto", audio("m=audio 5 RTP/AVP 0", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x"), "",
			origin + "\naudio 5/1 RTP/AVP 192.0.2.1 sendrecv [0 PCMU 8000 1 ] crypto secure",
		},
		{
			"T.38", audio("m=image 5 udptl t38", "a=T38FaxVersion:0"), "",
			origin + "\nimage 5/1 udptl 192.0.2.1 sendrecv [-1 t38 0 1 ]",
		},
		{
			"odd media", audio("m=audio", "m=audio x RTP/AVP 0", "m=audio 70000 RTP/AVP 0", "m=audio 5/x RTP/AVP 0", "m=audio 5 RTP/AVP", "m="), "media media media media media media",
			origin + "\naudio 0/1  192.0.2.1 sendrecv rejected" + strings.Repeat("\naudio 0/1 RTP/AVP 192.0.2.1 sendrecv [0 PCMU 8000 1 ] rejected", 2) +
				"\naudio 5/1 RTP/AVP 192.0.2.1 sendrecv [0 PCMU 8000 1 ]\naudio 5/1 RTP/AVP 192.0.2.1 sendrecv\n 0/1  192.0.2.1 sendrecv rejected",
		},
		{
			"unknown letter", audio("x=1", "m=audio 5 RTP/AVP 0", "s=late", "=", "a"), "line line line line",
			"- 1 1 IP4 192.0.2.1|late|192.0.2.1|0 0\naudio 5/1 RTP/AVP 192.0.2.1 sendrecv [0 PCMU 8000 1 ]",
		},
		{
			"trailing NUL and empty lines", plain + "\r\n\r\n\x00", "",
			"alice 2890844526 2890844527 IP4 host.example|-|192.0.2.1|0 0\naudio 49170/1 RTP/AVP 192.0.2.1 sendrecv [0 " +
				"PCMU 8000 1 ] [8 PCMA 8000 1 ] [101 telephone-event 8000 1 0-15] ptime 20 0",
		},
		{
			"no line end at the end", strings.TrimSuffix(plain, "\r\n"), "",
			"alice 2890844526 2890844527 IP4 host.example|-|192.0.2.1|0 0\naudio 49170/1 RTP/AVP 192.0.2.1 sendrecv [0 " +
				"PCMU 8000 1 ] [8 PCMA 8000 1 ] [101 telephone-event 8000 1 0-15] ptime 20 0",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s, diags := Parse([]byte(test.sdp))
			if diff := cmp.Diff(test.want, text(&s)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(test.diags, diagNames(&s)); diff != "" || len(diags) != len(s.Diags) {
				t.Errorf("diags (-want +got)\n%s", diff)
			}
			checkBounds(t, []byte(test.sdp), &s)
		})
	}
}

// checkBounds fails when a description keeps more than its bounds, or a diag is outside of the text.
func checkBounds(t *testing.T, b []byte, s *Session) {
	t.Helper()
	if len(s.Media) > maxMedia || len(s.Groups) > maxLists || len(s.Diags) > maxDiags {
		t.Fatalf("%d media, %d groups, %d diags", len(s.Media), len(s.Groups), len(s.Diags))
	}
	for i := range s.Media {
		if m := &s.Media[i]; len(m.Formats) > maxFormats || len(m.Candidates) > maxLists || m.Ports == 0 {
			t.Fatalf("%d formats, %d candidates, %d ports", len(m.Formats), len(m.Candidates), m.Ports)
		}
	}
	for _, d := range s.Diags {
		if uint64(d.Off)+uint64(d.Len) > uint64(len(b)) || d.Code.Section() == "" {
			t.Fatalf("diag %+v of %d bytes", d, len(b))
		}
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	for _, piece := range []string{"m=a 1 RTP/AVP 0\r\n", "m=a 1 RTP/AVP" + strings.Repeat(" 0", 300) + "\r\n", "a=group:x\r\n", "x\r\n", "\n", "a=candidate:1\r\n", "m= \r\n", "=\n", "a=rtpmap:0 X/1\r\n"} {
		for _, head := range []string{"", plain} {
			b := []byte(head + strings.Repeat(piece, 65000/len(piece)))
			s, _ := Parse(b)
			checkBounds(t, b, &s)
			if n := len(s.Summary()); n > 400 {
				t.Errorf("%.20q: summary of %d bytes", piece, n)
			}
			Answer(s, s)
		}
	}
}

// A Session that is parsed into again keeps nothing of the description before, and allocates nothing.
func TestParseInto(t *testing.T) { //nolint:paralleltest // counts the allocations of the whole process
	webrtc := audio("a=group:BUNDLE 0", "a=setup:actpass", "m=audio 9 UDP/TLS/RTP/SAVPF 111 0 8", "a=candidate:1", "m=video 5 RTP/AVP 31", "a=inactive")
	texts := []string{plain, webrtc, "", "m=audio 5 RTP/AVP 0 8 9 18", audio("m=audio 0 RTP/AVP 0")}
	var used Session
	for i := range 3 * len(texts) {
		b := []byte(texts[i*2%len(texts)])
		fresh, _ := Parse(b)
		ParseInto(b, &used)
		if diff := cmp.Diff(text(&fresh)+diagNames(&fresh), text(&used)+diagNames(&used)); diff != "" {
			t.Fatalf("(-fresh +used)\n%s", diff)
		}
	}
	b, dst := []byte(plain), make([]byte, 0, 100)
	if n := testing.AllocsPerRun(100, func() {
		ParseInto(b, &used)
		if used.Media[0].Formats[2].TelephoneEvent() != true {
			t.Fatal("no telephone-event")
		}
		dst = used.AppendSummary(dst[:0])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ sdp, want string }{
		{plain, "sdp PCMU,PCMA"},
		{"", "sdp without media"},
		{audio("m=audio 5 RTP/AVP 0 8 9 18 3 13 101", "a=rtpmap:101 telephone-event/8000"), "sdp PCMU,PCMA,G722,+2"},
		{
			audio("m=audio 5 RTP/AVP 0", "m=video 5 RTP/AVP 99 98", "a=rtpmap:99 H264/90000", "a=rtpmap:98 rtx/90000"),
			"sdp audio PCMU · video H264",
		},
		{audio("m=audio 5 RTP/AVP 0", "m=video 0 RTP/AVP 31"), "sdp audio PCMU · video rejected"},
		{audio("m=audio 0 RTP/AVP 0"), "sdp audio rejected"},
		{audio("m=image 5 udptl t38"), "sdp image t38"},
		{audio("m=message 5 TCP/TLS/MSRP *"), "sdp message MSRP"},
		{audio("m=application 5 UDP/BFCP *"), "sdp application BFCP"},
		{audio("m=audio 5 RTP/AVP 0", "a=sendonly"), "sdp hold PCMU"},
		{audio("a=inactive", "m=audio 5 RTP/AVP 0", "m=video 5 RTP/AVP 31"), "sdp hold audio PCMU · video H261"},
		{audio("m=audio 5 RTP/AVP 0", "a=sendonly", "m=video 5 RTP/AVP 31"), "sdp audio hold PCMU · video H261"},
		{audio("m=audio 5 RTP/AVP 96"), "sdp PT 96"},
		{audio("m=audio 5 RTP/AVP 96", "a=rtpmap:96 AVeryLongNameOfACodec/8000"), "sdp AVeryLongNameOfA"},
		{
			audio(strings.Split(strings.Repeat("m=audio 5 RTP/AVP 0\n", 6), "\n")[:6]...),
			"sdp audio PCMU · audio PCMU · audio PCMU · audio PCMU · +2",
		},
		{audio("m=audio 5 RTP/AVP 101", "a=rtpmap:101 telephone-event/8000"), "sdp"},
	} {
		s, _ := Parse([]byte(test.sdp))
		if got := s.Summary(); got != test.want {
			t.Errorf("%q, want %q, of\n%s", got, test.want, test.sdp)
		}
	}
}

func FuzzSDP(f *testing.F) {
	for _, s := range []string{plain, audio("m=audio 5/2 RTP/AVP 0 96", "a=rtpmap:96 opus/48000/2", "a=rtcp:5 IN IP4 1.2.3.4"), "m =a 1 RTP/ 0\nc = IN IP4 0.0.0.0/1\na=inactive"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s, _ := Parse(b)
		checkBounds(t, b, &s)
		var again Session
		ParseInto([]byte(plain), &again)
		ParseInto(b, &again)
		if a, b := text(&s), text(&again); a != b {
			t.Fatalf("a used Session reads\n%s, a new one\n%s", b, a)
		}
		if sum := s.Summary(); len(sum) > 400 || !strings.HasPrefix(sum, "sdp") {
			t.Fatalf("summary %q", sum)
		}
		for _, st := range Answer(s, s) {
			if st.Rejected && st.Direction != Inactive || len(st.Codecs) > maxFormats {
				t.Fatalf("stream %+v", st)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	var s Session
	text := []byte(plain)
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		ParseInto(text, &s)
	}
}

func BenchmarkAnswer(b *testing.B) {
	s, _ := Parse([]byte(plain))
	b.ReportAllocs()
	for b.Loop() {
		Answer(s, s)
	}
}
