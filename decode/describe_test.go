package decode

import (
	"fmt"
	"strings"
	"testing"

	"sipscope/decode/frame"
	"sipscope/decode/sdp"
)

// described gives what describe makes of a description, as text.
func described(tb testing.TB, d *Decoder, body string) string {
	tb.Helper()
	raw := "INVITE sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n" +
		"From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nContent-Type: application/sdp\r\n" +
		fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)
	d.WakeMedia()
	var m Message
	if !d.parse(&m, []byte(raw)) {
		tb.Fatalf("no SIP: %q", raw)
	}
	var b strings.Builder
	for _, l := range m.Lines {
		fmt.Fprintf(&b, "%d %s %s rtp=%t control=%t mux=%t secure=%t ice=%t %s %d", l.Index, l.Kind, l.Addr, l.RTP, l.Control, l.Mux, l.Secure,
			l.Candidate, l.Direction, l.Ptime)
		for _, c := range l.Codecs {
			fmt.Fprintf(&b, " %d:%s/%d", c.PT, c.Name, c.Clock)
			if c.Primary != 0 {
				fmt.Fprintf(&b, ">%d", c.Primary-1)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	d := NewDecoder(Options{})
	for _, test := range []struct{ name, body, want string }{
		{
			"audio", "v=0\r\nc=IN IP4 10.0.0.1\r\nm=audio 4000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:30\r\n",
			"0 audio 10.0.0.1:4000 rtp=true control=false mux=false secure=false ice=false sendrecv 30 0:PCMU/8000 101:telephone-event/8000\n",
		},
		{
			"own address, rtcp, secure", "v=0\nc=IN IP4 10.0.0.1\nm=video 4000 RTP/SAVPF 96\nc=IN IP6 2001:db8::1\na=rtpmap:96 VP8/90000\na=rtcp:4009 IN IP4 10.0.0.9\na=sendonly\n",
			"0 video [2001:db8::1]:4000 rtp=true control=false mux=false secure=true ice=false sendonly 0 96:VP8/90000\n" +
				"0 video 10.0.0.9:4009 rtp=true control=true mux=false secure=true ice=false sendonly 0 96:VP8/90000\n",
		},
		{
			"candidates", "c=IN IP4 10.0.0.1\nm=audio 9 UDP/TLS/RTP/SAVPF 111\na=rtpmap:111 opus/48000/2\na=rtcp-mux\n" +
				"a=candidate:1 1 udp 1 192.0.2.1 5000 typ host\na=candidate:1 2 UDP 1 192.0.2.1 5001 typ host\na=candidate:1 1 tcp 1 192.0.2.1 9 typ host\na=candidate:1 1 udp 1 x.local 5000 typ host\n",
			"0 audio 192.0.2.1:5000 rtp=true control=false mux=true secure=true ice=true sendrecv 0 111:opus/48000\n" +
				"0 audio 192.0.2.1:5001 rtp=true control=false mux=true secure=true ice=true sendrecv 0 111:opus/48000\n" +
				"0 audio 10.0.0.1:9 rtp=true control=false mux=true secure=true ice=false sendrecv 0 111:opus/48000\n",
		},
		{
			"fax, messages, floor, rejected", "c=IN IP4 10.0.0.1\nm=audio 0 RTP/AVP 0\na=candidate:1 1 udp 1 192.0.2.1 5000 typ host\nm=image 4002 udptl t38\nm=message 2855 TCP/MSRP *\nm=application 4006 UDP/BFCP *\n",
			"1 t38 10.0.0.1:4002 rtp=false control=false mux=false secure=false ice=false sendrecv 0\n" +
				"2 msrp 10.0.0.1:2855 rtp=false control=false mux=false secure=false ice=false sendrecv 0\n" +
				"3 bfcp 10.0.0.1:4006 rtp=false control=false mux=false secure=false ice=false sendrecv 0\n",
		},
		{
			"redundancy", "c=IN IP4 10.0.0.1\nm=audio 4000 RTP/AVP 63 111 101\na=fmtp:63 111/111\na=rtpmap:63 red/48000/2\na=rtpmap:111 opus/48000/2\n" +
				"a=fmtp:111 useinbandfec=1\na=fmtp:101 0-15,32/8\na=fmtp:111 x/1\na=fmtp:111 300/1\na=fmtp:5 5/5\n",
			"0 audio 10.0.0.1:4000 rtp=true control=false mux=false secure=false ice=false sendrecv 0 63:red/48000>111 111:opus/48000 101:/0\n",
		},
		{"on hold by RFC 2543", "c=IN IP4 0.0.0.0\nm=audio 4000 RTP/AVP 0\n", ""},
		{"names", "c=IN IP4 media.example.com\nm=audio 4000 RTP/AVP 0\n", ""},
		{"nonsense", "m=\nc=\na=\nm=audio\nm=audio x RTP/AVP 0\nm=audio 99999 RTP/AVP 0\nc=IN IP4 1.2.3.4.5\n=", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := described(t, d, test.body); got != test.want {
				t.Errorf("got\n%swant\n%s", got, test.want)
			}
		})
	}
}

func TestDescribeIsBounded(t *testing.T) {
	t.Parallel()
	d := NewDecoder(Options{})
	m := strings.Repeat("m=audio 4000 RTP/AVP"+strings.Repeat(" 0", 500)+"\r\n"+strings.Repeat("a=candidate:1 1 udp 1 1.2.3.4 5 typ host\r\n", 100), 60)
	got := described(t, d, "c=IN IP4 10.0.0.1\r\n"+m)
	if n := strings.Count(got, "\n"); n > maxLines*(maxCandidates+1) {
		t.Errorf("%d addresses", n)
	}
	if n := strings.Count(got, "PCMU"); n > maxLines*(maxCandidates+1)*maxLineCodecs {
		t.Errorf("%d payload types", n)
	}
}

// FuzzDescribe compares with sdp.ParseInto, the reader that judges: what has an address in both has the same one.
func FuzzDescribe(f *testing.F) {
	f.Add("v=0\r\no=- 1 1 IN IP4 h\r\ns=-\r\nc=IN IP4 10.0.0.1/127\r\nt=0 0\r\nm=audio 4000/2 RTP/AVP 0 8\r\na=rtpmap:8 PCMA/8000\r\na=sendonly\r\n")
	f.Add("c=IN IP6 ::1\nm=video 1 RTP/SAVP 96\na=rtpmap:96 H264/90000\na=rtcp:5\nm=audio 2 X 1\nc=IN IP4 1.1.1.1\n")
	f.Fuzz(func(t *testing.T, body string) {
		var m Message
		m.SIP.Raw = []byte(body)
		d := NewDecoder(Options{})
		s := describer{d: d, m: &m}
		s.read([]byte(body))
		full, _ := sdp.Parse([]byte(body))
		for _, l := range m.Lines {
			if !usable(l.Addr) || len(l.Codecs) > maxLineCodecs {
				t.Fatalf("%+v", l)
			}
			if l.Candidate || l.Control || int(l.Index) >= len(full.Media) || len(full.Diags) > 0 {
				continue
			}
			x := &full.Media[l.Index]
			if x.Port != l.Addr.Port || x.RTP() != l.RTP || x.Secure() != l.Secure {
				t.Fatalf("%+v\n%+v", l, x)
			}
			if at, ok := address(x.Connection.Address, x.Port); !ok || at != l.Addr {
				t.Fatalf("%s, want %s", l.Addr, x.Connection.Address)
			}
		}
	})
}

func TestAddress(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"10.0.0.1": "10.0.0.1:7", "255.255.255.255": "255.255.255.255:7", "::1": "[::1]:7", "2001:db8::10.0.0.1": "[2001:db8::a00:1]:7",
		"": "", "10.0.0": "", "10.0.0.256": "", "10.0.0.1.2": "", "host": "", "fe80::1%eth0": "", "1..2.3": "", "1.2.3.": "",
		strings.Repeat("1:", 60): "",
	} {
		got := ""
		if at, ok := address([]byte(text), 7); ok {
			got = at.String()
		} else if at != (frame.Endpoint{}) {
			t.Errorf("%q gives %s and is none", text, at)
		}
		if got != want {
			t.Errorf("%q is %q, want %q", text, got, want)
		}
	}
}

func BenchmarkDescribe(b *testing.B) {
	body := []byte("v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\nm=audio 20000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\n" +
		"a=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=sendrecv\r\na=ptime:20\r\n")
	var m Message
	d := NewDecoder(Options{})
	b.ReportAllocs()
	for b.Loop() {
		m.Lines, m.codecs = m.Lines[:0], m.codecs[:0]
		s := describer{d: d, m: &m}
		s.read(body)
	}
}
