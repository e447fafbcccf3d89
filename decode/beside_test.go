package decode

import "testing"

func TestBesideRTP(t *testing.T) {
	t.Parallel()
	const head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
	for _, c := range []struct {
		name, sdp string
		want      bool
	}{
		{"sound", head + "m=audio 4000 RTP/AVP 0\r\nm=video 4002 UDP/TLS/RTP/SAVPF 96\r\n", false},
		{"fax", head + "m=audio 0 RTP/AVP 0\r\nm=image 4000 udptl t38\r\n", true},
		{"LF only, no end", head + "m=message 2855 TCP/MSRP *", true},
		{"rejected", head + "m=image 0 udptl t38\r\n", false},
		{"two blanks", head + "m=application  3478  UDP/BFCP *\r\n", true},
		{"no protocol", head + "m=image 4000\r\n", false},
		{"inside a line", head + "i=m=image 4000 udptl t38\r\n", false},
		{"nothing", "", false},
		{"only the mark", "\nm=", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := besideRTP([]byte(c.sdp)); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}
