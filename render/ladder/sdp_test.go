package ladder

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSDP(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, body, want string
		lines            []string
	}{
		{name: "empty", want: "sdp"},
		{
			name: "static and dynamic", body: "m=audio 4 RTP/AVP 8 0 96 101\na=rtpmap:96 opus/48000/2\na=rtpmap:101 telephone-event/8000\n",
			want:  "sdp PCMA,PCMU,opus",
			lines: []string{"audio port 4 RTP/AVP: 8 PCMA, 0 PCMU, 96 opus/48000/2, 101 telephone-event/8000; sendrecv"},
		},
		{name: "hold", body: "m=audio 4 RTP/AVP 0\r\na=sendonly\r\n", want: "sdp PCMU hold"},
		{name: "session hold", body: "a=inactive\nm=audio 4 RTP/AVP 0\n", want: "sdp PCMU hold"},
		{name: "media overrides", body: "a=inactive\nm=audio 4 RTP/AVP 0\na=sendrecv\n", want: "sdp PCMU"},
		{name: "old hold", body: "c=IN IP4 0.0.0.0\nm=audio 4 RTP/AVP 0\n", want: "sdp PCMU hold"},
		{name: "media address", body: "c=IN IP4 0.0.0.0\nm=audio 4 RTP/AVP 0\nc=IN IP4 1.2.3.4\n", want: "sdp PCMU"},
		{name: "held", body: "m=audio 4 RTP/AVP 0\na=recvonly\n", want: "sdp PCMU held"},
		{name: "rejected", body: "m=audio 0 RTP/AVP 0\nm=video 5 RTP/AVP 99\na=rtpmap:99 H264/90000\n", want: "sdp PCMU rejected + video H264"},
		{name: "srtp", body: "m=audio 4 RTP/SAVP 0\na=sendonly\n", want: "sdp PCMU srtp hold"},
		{name: "fax", body: "m=image 4 udptl t38\n", want: "sdp image t38"},
		{name: "many", body: strings.Repeat("m=audio 4 RTP/AVP 0\n", 30), want: "sdp PCMU + PCMU + PCMU + 13 more"},
		{name: "codecs", body: "m=audio 4 RTP/AVP 0 3 4 8 9\n", want: "sdp PCMU,GSM,G723,PCMA,..."},
		{name: "no formats", body: "m=audio\n", want: "sdp audio"},
		{name: "nonsense", body: "m=\nm\nx=\na=rtpmap:\na=rtpmap:0\nc=\n", want: "sdp "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := readSDP([]byte(c.body))
			if got := s.summary(); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
			if c.lines != nil {
				if diff := cmp.Diff(c.lines, s.lines()); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestAuthParam(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		`Digest realm="a, b", nonce="x"`: "a, b", `Digest nonce=1,REALM=plain`: "plain", `Digest`: "", ``: "",
		`Digest realm`: "", `Digest realm="open`: "open", `Basic ,,realm="x",`: "x",
	} {
		if got := authParam([]byte(value), "realm"); got != want {
			t.Errorf("%s: %q, want %q", value, got, want)
		}
	}
}

func TestClip(t *testing.T) {
	t.Parallel()
	if got := clip(strings.Repeat("é", 300)); len(got) > maxLabel+3 || !strings.HasSuffix(got, "é...") {
		t.Errorf("%q", got)
	}
	if got := clip(strings.Repeat("\x80", 300)); len(got) > maxLabel+3 {
		t.Errorf("%q", got)
	}
}

// TestPath finds what a request passed.
func TestPath(t *testing.T) {
	t.Parallel()
	var r routes
	r.init(6)
	for i := range 4 {
		r.request(i, i+1, i)
	}
	r.request(2, 2, 0)
	for _, c := range []struct {
		from, to int
		want     []int
	}{{0, 4, []int{1, 2, 3}}, {4, 0, []int{3, 2, 1}}, {0, 1, nil}, {1, 1, nil}, {0, 5, nil}, {5, 0, nil}} {
		if diff := cmp.Diff(c.want, r.between(c.from, c.to)); diff != "" {
			t.Errorf("%d to %d: %s", c.from, c.to, diff)
		}
	}
}
