package cut

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/pion/srtp/v3"

	"sipscope/correlate"
	"sipscope/decode/rtp"
)

// secret makes the base64 of a key and salt of so many bytes.
func secret(seed byte, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = seed + byte(3*i)
	}
	return base64.StdEncoding.EncodeToString(b)
}

func TestParseCrypto(t *testing.T) {
	t.Parallel()
	long, short := secret(1, 46), secret(1, 30)
	for _, tt := range []struct {
		name, value string
		suite       string
		keys        int
		mki         []byte
		fails       string
	}{
		{"RFC 4568 9.1", "1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:32", "AES_CM_128_HMAC_SHA1_80", 1, append(make([]byte, 31), 1), ""},
		{"RFC 4568 7.1.1, two keys", "2 AES_CM_128_HMAC_SHA1_32 inline:" + short + "|2^20|1:4;inline:" + secret(9, 30) + "|2^20|2:4 KDR=1", "", 0, nil, "key derivation"},
		{"a rate of 0", "2 AES_CM_128_HMAC_SHA1_32 inline:" + short + " KDR=0", "AES_CM_128_HMAC_SHA1_32", 1, nil, ""},
		{"a rate out of bounds", "2 AES_CM_128_HMAC_SHA1_32 inline:" + short + " KDR=25", "", 0, nil, "KDR"},
		{"two keys", "2 AES_CM_128_HMAC_SHA1_32 inline:" + short + "|2^20|1:4;inline:" + secret(9, 30) + "|2^20|2:4", "AES_CM_128_HMAC_SHA1_32", 2, []byte{0, 0, 0, 1}, ""},
		{"two keys without MKI", "2 AES_CM_128_HMAC_SHA1_32 inline:" + short + ";inline:" + secret(9, 30), "", 0, nil, "MKI"},
		{"bare", "1 aes_cm_128_hmac_sha1_80 INLINE:" + short, "AES_CM_128_HMAC_SHA1_80", 1, nil, ""},
		{"no padding", "1 AEAD_AES_128_GCM inline:" + strings.TrimRight(secret(1, 28), "="), "AEAD_AES_128_GCM", 1, nil, ""},
		{"AES 256", "1 AES_256_CM_HMAC_SHA1_80 inline:" + long + "|2^48", "AES_256_CM_HMAC_SHA1_80", 1, nil, ""},
		{"AES 256 by its old name", "1 AES_CM_256_HMAC_SHA1_32 inline:" + long + "|1000000", "AES_CM_256_HMAC_SHA1_32", 1, nil, ""},
		{"GCM 256", "1 AEAD_AES_256_GCM inline:" + secret(1, 44), "AEAD_AES_256_GCM", 1, nil, ""},
		{"parameters", "1 AES_CM_128_HMAC_SHA1_80 inline:" + short + " UNENCRYPTED_SRTCP WSH=128 FEC_ORDER=SRTP_FEC -x=1", "AES_CM_128_HMAC_SHA1_80", 1, nil, ""},
		{"blanks", " 1  AES_CM_128_HMAC_SHA1_80\t inline:" + short + "  ", "AES_CM_128_HMAC_SHA1_80", 1, nil, ""},
		{"unknown suite", "1 F8_128_HMAC_SHA1_80 inline:" + short, "", 0, nil, `"F8_128_HMAC_SHA1_80"`},
		{"unknown parameter", "1 AES_CM_128_HMAC_SHA1_80 inline:" + short + " NEW=1", "", 0, nil, `"NEW"`},
		{"key too short", "1 AES_CM_128_HMAC_SHA1_80 inline:" + secret(1, 29), "", 0, nil, "30 bytes"},
		{"key of another suite", "1 AES_256_CM_HMAC_SHA1_80 inline:" + short, "", 0, nil, "46 bytes"},
		{"no base64", "1 AES_CM_128_HMAC_SHA1_80 inline:!!!!", "", 0, nil, "base64"},
		{"no inline", "1 AES_CM_128_HMAC_SHA1_80 uri:https://k/", "", 0, nil, "inline"},
		{"no key", "1 AES_CM_128_HMAC_SHA1_80 ;", "", 0, nil, "no key"},
		{"two words", "1 AES_CM_128_HMAC_SHA1_80", "", 0, nil, "2 words"},
		{"tag", "x AES_CM_128_HMAC_SHA1_80 inline:" + short, "", 0, nil, "tag"},
		{"tag too long", "1234567890 AES_CM_128_HMAC_SHA1_80 inline:" + short, "", 0, nil, "tag"},
		{"lifetime", "1 AES_CM_128_HMAC_SHA1_80 inline:" + short + "|soon", "", 0, nil, "lifetime"},
		{"MKI too large", "1 AES_CM_128_HMAC_SHA1_80 inline:" + short + "|256:1", "", 0, nil, "MKI"},
		{"MKI of 0 bytes", "1 AES_CM_128_HMAC_SHA1_80 inline:" + short + "|1:0", "", 0, nil, "MKI"},
		{"MKI of 129 bytes", "1 AES_CM_128_HMAC_SHA1_80 inline:" + short + "|1:129", "", 0, nil, "MKI"},
		{"many keys", "1 AES_CM_128_HMAC_SHA1_80 " + strings.Repeat("inline:"+short+"|1:1;", 9), "", 0, nil, "more than 8"},
		{"much", "1 AES_CM_128_HMAC_SHA1_80 inline:" + strings.Repeat("A", 4000), "", 0, nil, "2048"},
	} {
		c, err := ParseCrypto([]byte(tt.value))
		if tt.fails != "" {
			if !errors.Is(err, ErrCrypto) || !strings.Contains(err.Error(), tt.fails) {
				t.Errorf("%s: %v, want %q", tt.name, err, tt.fails)
			}
			hidden(t, tt.name, tt.value, err.Error())
			continue
		}
		if err != nil || c.Suite != tt.suite || len(c.keys) != tt.keys || !bytes.Equal(c.keys[0].mki, tt.mki) {
			t.Errorf("%s: %v, %v, %d keys", tt.name, err, c, len(c.keys))
			continue
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
			for _, x := range []any{c, &c, []Crypto{c}, offered{Crypto: c}} {
				hidden(t, tt.name, tt.value, fmt.Sprintf(verb, x))
			}
		}
	}
}

// hidden fails when a text holds a key of an attribute.
func hidden(t *testing.T, name, value, text string) {
	t.Helper()
	_, key, _ := strings.Cut(strings.ToLower(value), "inline:")
	if len(key) < 20 {
		return
	}
	raw, _ := base64.StdEncoding.DecodeString(value[len(value)-len(key):][:16])
	for _, k := range []string{key[:16], hex.EncodeToString(raw), strings.Trim(fmt.Sprintf("%d", raw), "[]"), string(raw)} {
		if strings.Contains(strings.ToLower(text), strings.ToLower(k)) {
			t.Errorf("%s: a key shows in %q", name, text)
		}
	}
}

// sealer encrypts packets as a sender does.
type sealer struct {
	t       *testing.T
	context *srtp.Context
}

func newSealer(t *testing.T, attribute string, rollover uint32, ssrc uint32) *sealer {
	t.Helper()
	c, err := ParseCrypto([]byte(attribute))
	if err != nil {
		t.Fatal(err)
	}
	x, err := c.context(&c.keys[0])
	if err != nil {
		t.Fatal(err)
	}
	x.SetROC(ssrc, rollover)
	return &sealer{t, x}
}

func (s *sealer) seal(plain []byte) []byte {
	s.t.Helper()
	b, err := s.context.EncryptRTP(nil, plain, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

// answerOf makes a response of a request with SDP.
func answerOf(request []byte) []byte {
	_, rest, _ := bytes.Cut(request, []byte("\r\n"))
	return append([]byte("SIP/2.0 200 OK\r\n"), rest...)
}

func TestOpen(t *testing.T) {
	t.Parallel()
	const ssrc = 7
	one := "1 AES_CM_128_HMAC_SHA1_80 inline:" + secret(1, 30)
	two := "1 AES_CM_128_HMAC_SHA1_80 inline:" + secret(2, 30)
	three := "1 AEAD_AES_256_GCM inline:" + secret(3, 44)
	offer := func(attributes ...string) []byte {
		lines := []string{"c=IN IP4 10.0.0.1", "m=audio 4000 RTP/SAVP 0"}
		for _, a := range attributes {
			lines = append(lines, "a=crypto:"+a)
		}
		return invite(lines...)
	}
	answer := func(attributes ...string) []byte {
		return answerOf(bytes.ReplaceAll(offer(attributes...), []byte("10.0.0.1\r\nm=audio 4000"), []byte("10.0.0.2\r\nm=audio 5000")))
	}
	plain := func(n, from int) (all [][]byte) {
		for i := range n {
			p := rtp.Packet{Seq: uint16(from + i), Timestamp: uint32(160 * i), SSRC: ssrc, Payload: bytes.Repeat([]byte{byte(i)}, 160)}
			all = append(all, p.Append(nil))
		}
		return all
	}
	sealed := func(all [][]byte, attribute string, rollover uint32) (out [][]byte) {
		s := newSealer(t, attribute, rollover, ssrc)
		for _, b := range all {
			out = append(out, s.seal(b))
		}
		return out
	}
	swap := func(all [][]byte, i int) [][]byte { all[i], all[i+1] = all[i+1], all[i]; return all }
	for _, tt := range []struct {
		name   string
		bodies [][]byte
		sent   [][]byte // by the callee, to the caller
		want   [][]byte
		how    Opened
		err    error
	}{
		{
			"each direction has its key",
			[][]byte{offer(one), answer(two)},
			sealed(plain(10, 5), two, 0), plain(10, 5),
			Opened{Authenticated: 10, Keys: 1, Suite: "AES_CM_128_HMAC_SHA1_80"},
			nil,
		},
		{
			"the offer's suite that the answer chose",
			[][]byte{offer(one, three), answer(three)},
			sealed(plain(10, 5), three, 0), plain(10, 5),
			Opened{Authenticated: 10, Keys: 1, Suite: "AEAD_AES_256_GCM"},
			nil,
		},
		{
			"sequence numbers wrap",
			[][]byte{offer(one), answer(two)},
			sealed(plain(20, 65526), two, 0), plain(20, 65526),
			Opened{Authenticated: 20, Keys: 1, Suite: "AES_CM_128_HMAC_SHA1_80"},
			nil,
		},
		{
			"they wrap out of order",
			[][]byte{offer(one), answer(two)},
			swap(sealed(plain(20, 65526), two, 0), 9), swap(plain(20, 65526), 9),
			Opened{Authenticated: 20, Keys: 1, Suite: "AES_CM_128_HMAC_SHA1_80"},
			nil,
		},
		{
			"the beginning was not seen",
			[][]byte{offer(one), answer(two)},
			sealed(plain(10, 5), two, 41), plain(10, 5),
			Opened{Authenticated: 10, Keys: 1, Suite: "AES_CM_128_HMAC_SHA1_80"},
			nil,
		},
		{
			"a hole of more than a wrap",
			[][]byte{offer(one), answer(two)},
			append(sealed(plain(5, 5), two, 0), sealed(plain(5, 9), two, 3)...),
			append(plain(5, 5), plain(5, 9)...),
			Opened{Authenticated: 10, Keys: 1, Suite: "AES_CM_128_HMAC_SHA1_80"},
			nil,
		},
		{
			"a re-INVITE changes the key",
			[][]byte{offer(one), answer(two), offer(one), answer(three)},
			append(sealed(plain(5, 5), two, 0), sealed(plain(5, 10), three, 0)...), append(plain(5, 5), plain(5, 10)...),
			Opened{Authenticated: 10, Keys: 2, Suite: "AEAD_AES_256_GCM"},
			nil,
		},
		{
			"a packet between was forged",
			[][]byte{offer(one), answer(two)},
			append(append(sealed(plain(5, 5), two, 0), sealed(plain(1, 10), one+"|2^31|1:1", 0)...), sealed(plain(5, 11), two, 0)...),
			append(plain(5, 5), plain(5, 11)...),
			Opened{Authenticated: 10, Failed: 1, Keys: 1, Suite: "AES_CM_128_HMAC_SHA1_80"},
			nil,
		},
		{
			"MKI",
			[][]byte{offer(one), answer(two + "|2^31|77:2")},
			sealed(plain(5, 5), two+"|2^31|77:2", 0), plain(5, 5),
			Opened{Authenticated: 5, Keys: 1, Suite: "AES_CM_128_HMAC_SHA1_80"},
			nil,
		},
		{
			"not encrypted",
			[][]byte{offer(one), answer(two + " UNENCRYPTED_SRTP")},
			sealed(plain(5, 5), two+" UNENCRYPTED_SRTP", 0), plain(5, 5),
			Opened{Authenticated: 5, Keys: 1, Suite: "AES_CM_128_HMAC_SHA1_80"},
			nil,
		},
		{
			"not authenticated",
			[][]byte{offer(one), answer(two + " UNAUTHENTICATED_SRTP")},
			sealed(plain(5, 5), two+" UNAUTHENTICATED_SRTP", 0), plain(5, 5),
			Opened{Authenticated: 5, Keys: 1, Suite: "AES_CM_128_HMAC_SHA1_80", Unproved: true},
			nil,
		},
		{"another key", [][]byte{offer(one), answer(two)}, sealed(plain(5, 5), three, 0), nil, Opened{Failed: 5}, ErrAuthentication},
		{"no key", [][]byte{offer(), answer()}, sealed(plain(5, 5), two, 0), nil, Opened{}, ErrNoKey},
		{"a suite of its own", [][]byte{offer("1 F8_128_HMAC_SHA1_80 inline:" + secret(1, 30))}, sealed(plain(5, 5), two, 0), nil, Opened{}, ErrCrypto},
		{"DTLS", [][]byte{invite("c=IN IP4 10.0.0.1", "m=audio 4000 UDP/TLS/RTP/SAVPF 0", "a=fingerprint:sha-256 00")}, sealed(plain(5, 5), two, 0), nil, Opened{}, ErrDTLS},
		{"best effort, refused", [][]byte{invite("c=IN IP4 10.0.0.1", "m=audio 4000 RTP/AVP 0", "a=crypto:"+one)}, plain(5, 5), plain(5, 5), Opened{Plain: true}, nil},
		{
			"best effort, taken",
			[][]byte{invite("c=IN IP4 10.0.0.1", "m=audio 4000 RTP/AVP 0", "a=crypto:"+one)},
			sealed(plain(5, 5), one, 0), plain(5, 5),
			Opened{Authenticated: 5, Keys: 1, Suite: "AES_CM_128_HMAC_SHA1_80"},
			nil,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var w world
			w.call(tt.bodies...)
			c := NewCutter(w.calls, w.text, Options{})
			for i, b := range tt.sent {
				c.Packet(datagram(t, uint64(100+i), began+1e9+int64(i)*20e6, "10.0.0.2:5000", "10.0.0.1:4000", b))
			}
			r := c.Result()
			if len(r.Streams) != 1 || r.Side(0) != correlate.Callee || !r.Streams[0].Secure {
				t.Fatalf("%d streams, side %v", len(r.Streams), r.Side(0))
			}
			s, how, err := r.Open(0)
			if !errors.Is(err, tt.err) || how != tt.how {
				t.Fatalf("%v, %+v, want %v, %+v", err, how, tt.err, tt.how)
			}
			if err != nil {
				return
			}
			var got [][]byte
			for _, p := range s.Packets {
				got = append(got, p.Data)
			}
			if len(got) != len(tt.want) || !bytes.Equal(bytes.Join(got, nil), bytes.Join(tt.want, nil)) {
				t.Errorf("%d packets, want %d, or they differ", len(got), len(tt.want))
			}
			if !bytes.Equal(r.Streams[0].Packets[0].Data, tt.sent[0]) {
				t.Error("the result has changed")
			}
		})
	}
}

// TestForged holds that packets which fit nothing, for as many keys as a call can name, cost what is bounded.
func TestForged(t *testing.T) {
	t.Parallel()
	var lines []string
	for i := range 200 {
		lines = append(lines, fmt.Sprintf("a=crypto:%d AES_CM_128_HMAC_SHA1_80 inline:%s", i, secret(byte(i), 30)))
	}
	var w world
	w.call(invite(append([]string{"c=IN IP4 10.0.0.1", "m=audio 4000 RTP/SAVP 0"}, lines...)...))
	c := NewCutter(w.calls, w.text, Options{})
	for i := range 20_000 {
		c.Packet(datagram(t, uint64(100+i), began+1e9+int64(i)*20e6, "10.0.0.2:5000", "10.0.0.1:4000", sound(0, i, 1)))
	}
	r := c.Result()
	if n := len(r.secrets[0].cryptos); n != maxCryptos {
		t.Errorf("%d keys are kept", n)
	}
	o := opener{tries: r.secrets[0].tries(correlate.Callee, 0)}
	o.packets(r.Streams[0].Packets)
	if o.budget > 0 || o.opened.Authenticated > 0 || o.opened.Failed != 20_000 {
		t.Errorf("%d left to try, %+v", o.budget, o.opened)
	}
}

// TestForgedBetween holds that packets of a right key between the forged ones do not buy more tries.
func TestForgedBetween(t *testing.T) {
	t.Parallel()
	var lines []string
	for i := range maxCryptos {
		lines = append(lines, fmt.Sprintf("a=crypto:%d AES_CM_128_HMAC_SHA1_80 inline:%s", i, secret(byte(i), 30)))
	}
	var w world
	w.call(invite(append([]string{"c=IN IP4 10.0.0.1", "m=audio 4000 RTP/SAVP 0"}, lines...)...))
	c := NewCutter(w.calls, w.text, Options{})
	s := newSealer(t, strings.TrimPrefix(lines[3], "a=crypto:"), 0, 1)
	for i := range 10_000 {
		b := sound(0, i, 1)
		if i%2 == 0 {
			b = s.seal(b)
		}
		c.Packet(datagram(t, uint64(100+i), began+1e9+int64(i)*20e6, "10.0.0.2:5000", "10.0.0.1:4000", b))
	}
	r := c.Result()
	o := opener{tries: r.secrets[0].tries(correlate.Callee, 0)}
	o.packets(r.Streams[0].Packets)
	if o.left < 0 || o.left >= maxCryptos || o.opened.Authenticated != 5000 || o.opened.Failed != 5000 {
		t.Errorf("%d left to try, %+v", o.left, o.opened)
	}
}

func FuzzParseCrypto(f *testing.F) {
	f.Add([]byte("1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:32"))
	f.Add([]byte("2 AES_CM_128_HMAC_SHA1_32 inline:" + secret(1, 30) + "|2^20|1:4;inline:" + secret(9, 30) + "|2^20|2:4 KDR=0 UNENCRYPTED_SRTCP"))
	f.Add([]byte("1 AEAD_AES_256_GCM inline:" + secret(1, 44) + " UNAUTHENTICATED_SRTP"))
	f.Fuzz(func(t *testing.T, value []byte) {
		c, err := ParseCrypto(value)
		if err != nil {
			if !errors.Is(err, ErrCrypto) {
				t.Fatalf("not an ErrCrypto: %v", err)
			}
			return
		}
		if len(c.keys) == 0 || len(c.keys) > maxKeyParams {
			t.Fatalf("%d keys", len(c.keys))
		}
		for i := range c.keys {
			x, err := c.context(&c.keys[i])
			if err != nil {
				t.Fatalf("what was read cannot be used: %v", err)
			}
			x.DecryptRTP(nil, sound(0, 1, 1), nil) // it must not panic
		}
	})
}

func BenchmarkOpen(b *testing.B) {
	var w world
	w.call(invite("c=IN IP4 10.0.0.1", "m=audio 4000 RTP/SAVP 0", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:"+secret(1, 30)))
	c, err := ParseCrypto([]byte("1 AES_CM_128_HMAC_SHA1_80 inline:" + secret(1, 30)))
	if err != nil {
		b.Fatal(err)
	}
	x, err := c.context(&c.keys[0])
	if err != nil {
		b.Fatal(err)
	}
	k := NewCutter(w.calls, w.text, Options{})
	for i := range 1000 {
		sealed, err := x.EncryptRTP(nil, sound(0, i, 1), nil)
		if err != nil {
			b.Fatal(err)
		}
		k.Packet(datagram(b, uint64(100+i), began+1e9+int64(i)*20e6, "10.0.0.2:5000", "10.0.0.1:4000", sealed))
	}
	r := k.Result()
	b.ReportAllocs()
	for b.Loop() {
		if _, how, err := r.Open(0); err != nil || how.Authenticated != 1000 {
			b.Fatal(err)
		}
	}
}
