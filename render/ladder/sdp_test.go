package ladder

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sipscope/decode/sdp"
)

// What a ladder shows of each medium; the summary on the arrow is decode/sdp's own.
func TestMediaLines(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, body string
		want       []string
	}{
		{
			"static and dynamic", "m=audio 4 RTP/AVP 8 0 96 101\na=rtpmap:96 opus/48000/2\na=rtpmap:101 telephone-event/8000\n",
			[]string{"audio port 4 RTP/AVP: 8 PCMA/8000, 0 PCMU/8000, 96 opus/48000/2, 101 telephone-event/8000; sendrecv"},
		},
		{
			"two media", "c=IN IP4 1.2.3.4\na=inactive\nm=audio 0 RTP/AVP 0\nm=image 5 udptl t38\nc=IN IP4 5.6.7.8\na=sendrecv\n",
			[]string{"audio port 0 RTP/AVP: 0 PCMU/8000; inactive", "image port 5 udptl: t38; at 5.6.7.8; sendrecv"},
		},
		{"nonsense", "m=\nm\nx=\na=rtpmap:\nc=\n", []string{" port 0 : ; sendrecv"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s, _ := sdp.Parse([]byte(c.body))
			if diff := cmp.Diff(c.want, mediaLines(&s)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	s, _ := sdp.Parse([]byte(strings.Repeat("m=audio 4 RTP/AVP 0\n", 100)))
	if n := len(mediaLines(&s)); n > maxMedia {
		t.Errorf("%d media shown, at most %d", n, maxMedia)
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
