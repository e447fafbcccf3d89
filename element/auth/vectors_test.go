package auth

import (
	"strings"
	"testing"
)

// smithBody is the body of draft-smith-sip-auth-examples.
const smithBody = "v=0\r\no=bob 2890844526 2890844526 IN IP4 media.biloxi.com\r\ns=-\r\nc=IN IP4 media.biloxi.com\r\n" +
	"t=0 0\r\nm=audio 49170 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\nm=video 51372 RTP/AVP 31\r\n" +
	"a=rtpmap:31 H261/90000\r\nm=video 53000 RTP/AVP 32\r\na=rtpmap:32 MPV/90000\r\n"

func TestVectors(t *testing.T) {
	t.Parallel()
	type vector struct {
		name, user, realm, password string
		alg                         Algorithm
		nonce, nc, cnonce, qop      string
		method, uri, body, want     string
	}
	mufasa := func(name string, alg Algorithm, want string) vector {
		return vector{
			name, "Mufasa", "http-auth@example.org", "Circle of Life", alg,
			"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "00000001",
			"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", "auth", "GET", "/dir/index.html", "", want,
		}
	}
	smith := func(name string, alg Algorithm, qop, want string) vector {
		v := vector{
			name, "bob", "biloxi.com", "zanzibar", alg, "dcd98b7102dd2f0e8b11d0f600bfb0c093", "00000001", "0a4f113b",
			qop, "INVITE", "sip:bob@biloxi.com", smithBody, want,
		}
		return v
	}
	for _, v := range []vector{
		{
			"RFC 2069 2.4, corrected", "Mufasa", "testrealm@host.com", "CircleOfLife", MD5,
			"dcd98b7102dd2f0e8b11d0f600bfb0c093", "", "", "", "GET", "/dir/index.html", "",
			"1949323746fe6a43ef61f9606e7febea",
		},
		{
			"RFC 2617 3.5", "Mufasa", "testrealm@host.com", "Circle Of Life", MD5,
			"dcd98b7102dd2f0e8b11d0f600bfb0c093", "00000001", "0a4f113b", "auth", "GET", "/dir/index.html", "",
			"6629fae49393a05397450978507c4ef1",
		},
		mufasa("RFC 7616 3.9.1 MD5", MD5, "8ca523f5e9506fed4657c9700eebdbec"),
		mufasa("RFC 7616 3.9.1 SHA-256", SHA256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
		{
			"RFC 7616 3.9.2, corrected by errata 4897", "J\u00e4s\u00f8n Doe", "api@example.org", "Secret, or not?", SHA512x256,
			"5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", "00000001", "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v", "auth",
			"GET", "/doe.json", "", "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5",
		},
		smith("SIP, no qop", MD5, "", "bf57e4e0d0bffc0fbaedce64d59add5e"),
		smith("SIP, auth", MD5, "auth", "89eb0059246c02b2f6ee02c7961d5ea3"),
		smith("SIP, auth-int", MD5, "auth-int", "bdbeebb2da6adb6bca02599c2239e192"),
		smith("SIP, MD5-sess, auth", MD5Sess, "auth", "e4e4ea61d186d07a92c9e1f6919902e9"),
		smith("SIP, MD5-sess, auth-int", MD5Sess, "auth-int", "91984da2d8663716e91554859c22ca70"),
	} {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			p := proof{
				algorithm: v.alg, nonce: []byte(v.nonce), nc: []byte(v.nc), cnonce: []byte(v.cnonce), qop: []byte(v.qop),
				method: []byte(v.method), uri: []byte(v.uri), body: []byte(v.body),
			}
			ha1 := HA1(v.alg, v.user, v.realm, v.password)
			if got, _ := p.append(nil, []byte(ha1), nil); string(got) != v.want {
				t.Errorf("response %s, want %s", got, v.want)
			}
			// The client's way to the same, through the library.
			c := NewClient(Credentials{User: v.user, Password: v.password})
			s := space{realm: v.realm, alg: v.alg, algRaw: string(v.alg), qop: v.qop, nonce: v.nonce, cnonce: v.cnonce}
			h, err := c.header(&s, v.method, v.uri, []byte(v.body))
			if err != nil || !strings.Contains(h.Value, `response="`+v.want+`"`) {
				t.Errorf("client: %s, %v, want %s", h.Value, err, v.want)
			}
		})
	}
}
