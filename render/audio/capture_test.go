package audio

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pion/srtp/v3"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/correlate/cut"
	"sipscope/decode"
	"sipscope/decode/rtp"
)

// film is a capture of a call that is made here, and what is heard in it.
type film struct {
	callID  string
	begin   int64 // ns since began
	packets []sent
	cseq    int
}

// sip adds a message. Lines are those of a description after t=; none: no body.
func (f *film) sip(after int64, request bool, first, cseq string, lines ...string) {
	body := ""
	if len(lines) > 0 {
		body = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nt=0 0\r\n" + strings.Join(lines, "\r\n") + "\r\n"
	}
	from, to := "10.0.0.1:5060", "10.0.0.2:5060"
	if !request {
		from, to = to, from
	}
	tag := ";tag=b"
	if cseq == "1 INVITE" && (request || strings.Contains(first, " 100 ")) {
		tag = ""
	}
	text := fmt.Sprintf("%s\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK%s\r\nMax-Forwards: 70\r\nFrom: <sip:alice@example.com>;tag=a\r\n"+
		"To: <sip:bob@example.com>%s\r\nCall-ID: %s\r\nCSeq: %s\r\nContact: <sip:%s>\r\n",
		first, strings.ReplaceAll(cseq, " ", ""), tag, f.callID, cseq, from)
	if body != "" {
		text += "Content-Type: application/sdp\r\n"
	}
	f.packets = append(f.packets, sent{after, from, to, fmt.Appendf(nil, "%sContent-Length: %d\r\n\r\n%s", text, len(body), body)})
}

// invite adds an INVITE that is answered, with a description of each end.
func (f *film) invite(after int64, offer, answer []string) {
	f.cseq++
	cseq := fmt.Sprintf("%d INVITE", f.cseq)
	f.sip(after, true, "INVITE sip:bob@example.com SIP/2.0", cseq, append([]string{"c=IN IP4 10.0.0.1"}, offer...)...)
	f.sip(after+5e6, false, "SIP/2.0 200 OK", cseq, append([]string{"c=IN IP4 10.0.0.2"}, answer...)...)
	f.sip(after+9e6, true, "ACK sip:bob@10.0.0.2 SIP/2.0", fmt.Sprintf("%d ACK", f.cseq))
}

func (f *film) bye(after int64) {
	cseq := fmt.Sprintf("%d BYE", f.cseq+1)
	f.sip(after, true, "BYE sip:bob@10.0.0.2 SIP/2.0", cseq)
	f.sip(after+2e6, false, "SIP/2.0 200 OK", cseq)
}

// sound adds RTP from one end to the other, packets of 20 ms from 20 ms on, and gives them to change each: it returns
// when the packet comes, less than 0 for never.
func (f *film) sound(from, to string, pt uint8, ssrc uint32, payloads [][]byte, clock int, change func(i int, p []byte) (late int64, data []byte)) {
	for i, payload := range payloads {
		p := rtp.Packet{PT: pt, Seq: uint16(65500 + i), Timestamp: uint32(1000 + i*clock/50), SSRC: ssrc, Payload: payload, Marker: i == 0}
		late, data := int64(0), p.Append(nil)
		if change != nil {
			late, data = change(i, data)
		}
		if data != nil {
			f.packets = append(f.packets, sent{20e6 + int64(i)*20e6 + late, from, to, data})
		}
	}
}

// pcap is the capture file, with times in µs (libpcap's classic format).
func (f *film) pcap() []byte {
	le := binary.LittleEndian
	slices.SortStableFunc(f.packets, func(a, b sent) int { return int(a.after - b.after) })
	b := le.AppendUint32(nil, 0xa1b2c3d4)
	b = le.AppendUint32(b, 2|4<<16)
	b = append(b, make([]byte, 8)...)
	b = le.AppendUint32(b, 1<<18)
	b = le.AppendUint32(b, 1) // Ethernet
	for _, p := range f.packets {
		frame := udp(p.from, p.to, p.data)
		at := began + f.begin + p.after
		b = le.AppendUint32(b, uint32(at/1e9))
		b = le.AppendUint32(b, uint32(at%1e9/1000))
		b = le.AppendUint32(b, uint32(len(frame)))
		b = le.AppendUint32(b, uint32(len(frame)))
		b = append(b, frame...)
	}
	return b
}

// encode finds the code of G.711 that is next to each sample: the inverse of the decoder, by looking.
func encode(table *[256]int16, samples []int16) (out []byte) {
	for _, v := range samples {
		best, least := 0, 1<<17
		for code, w := range table {
			if d := max(int(v)-int(w), int(w)-int(v)); d < least {
				best, least = code, d
			}
		}
		out = append(out, byte(best))
	}
	return out
}

// chunks cuts bytes into payloads.
func chunks(b []byte, n int) [][]byte { return slices.Collect(slices.Chunk(b, n)) }

// expand16 decodes G.711.
func expand16(table *[256]int16, codes []byte) (out []int16) {
	for _, c := range codes {
		out = append(out, table[c])
	}
	return out
}

// films are the captures in testdata/pcaps that this package makes, with the two channels that must be heard.
func films(t *testing.T) map[string]struct {
	film
	channels [2][]int16
	rate     int
} {
	t.Helper()
	type made = struct {
		film
		channels [2][]int16
		rate     int
	}
	all := map[string]made{}

	f := film{callID: "g711"}
	low, high := encode(&ulaw, sine(8000, 440, 8000)), encode(&ulaw, sine(8000, 660, 8000))
	f.invite(0, []string{"m=audio 4000 RTP/AVP 0"}, []string{"m=audio 5000 RTP/AVP 0"})
	f.sound(alice, bob, 0, 0xa11ce, chunks(low, 160), 8000, nil)
	right := expand16(&ulaw, high)
	var repeated []byte
	f.sound(bob, alice, 0, 0xb0b, chunks(high, 160), 8000, func(i int, p []byte) (int64, []byte) {
		if i >= 20 && i < 23 { // lost
			clear(right[160*i : 160*i+160])
			return 0, nil
		}
		if i == 30 { // overtaken by the next
			return 25e6, p
		}
		if i == 40 {
			repeated = p
		}
		return int64(i*7%5) * 1e6, p // jitter
	})
	f.packets = append(f.packets, sent{20e6 + 40*20e6 + 15e6, bob, alice, repeated})
	f.bye(1100e6)
	all["audio-g711.pcap"] = made{f, [2][]int16{expand16(&ulaw, low), right}, 8000}

	f = film{callID: "g722-l16", begin: 1 * 60e9}
	wide, g := sine(8000, 3000, 16000), codes(4000)
	f.invite(0, []string{"m=audio 4000 RTP/AVP 9 97", "a=rtpmap:97 L16/16000"}, []string{"m=audio 5000 RTP/AVP 9 97", "a=rtpmap:97 L16/16000"})
	f.sound(alice, bob, 97, 0xa11ce, chunks(linearBytes(wide), 640), 16000, nil)
	f.sound(bob, alice, 9, 0xb0b, chunks(g, 160), 8000, nil)
	f.bye(600e6)
	all["audio-g722-l16.pcap"] = made{f, [2][]int16{wide, newG722().decode(nil, g)}, 16000}

	f = film{callID: "sdes", begin: 2 * 60e9}
	keys := [3]string{"AES_CM_128_HMAC_SHA1_80", "AES_256_CM_HMAC_SHA1_80", "AEAD_AES_256_GCM"}
	lengths := [3]int{30, 46, 44}
	crypto := func(i int) string {
		return fmt.Sprintf("a=crypto:1 %s inline:%s", keys[i], base64.StdEncoding.EncodeToString(codes(100 + lengths[i])[100:]))
	}
	f.invite(0, []string{"m=audio 4000 RTP/SAVP 8", crypto(0)}, []string{"m=audio 5000 RTP/SAVP 8", crypto(1)})
	f.invite(520e6, []string{"m=audio 4000 RTP/SAVP 8", crypto(0)}, []string{"m=audio 5000 RTP/SAVP 8", crypto(2)})
	low, high = encode(&alaw, sine(8000, 440, 8000)), encode(&alaw, sine(8000, 660, 8000))
	seal := func(profile srtp.ProtectionProfile, i, n int) func(p []byte) []byte {
		secret := codes(100 + lengths[i])[100:]
		x, err := srtp.CreateContext(secret[:n], secret[n:], profile)
		if err != nil {
			t.Fatal(err)
		}
		return func(p []byte) []byte {
			out, err := x.EncryptRTP(nil, p, nil)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
	}
	a, b1, b2 := seal(srtp.ProtectionProfileAes128CmHmacSha1_80, 0, 16), seal(srtp.ProtectionProfileAes256CmHmacSha1_80, 1, 32), seal(srtp.ProtectionProfileAeadAes256Gcm, 2, 32)
	f.sound(alice, bob, 8, 0xa11ce, chunks(low, 160), 8000, func(_ int, p []byte) (int64, []byte) { return 0, a(p) })
	f.sound(bob, alice, 8, 0xb0b, chunks(high, 160), 8000, func(i int, p []byte) (int64, []byte) {
		if i < 26 {
			return 0, b1(p)
		}
		return 0, b2(p)
	})
	f.bye(1100e6)
	all["srtp-sdes.pcap"] = made{f, [2][]int16{expand16(&alaw, low), expand16(&alaw, high)}, 8000}

	f = film{callID: "sound-3", begin: 3 * 60e9}
	f.invite(0, []string{"m=audio 4000 RTP/AVP 96", "a=rtpmap:96 opus/48000/2"}, []string{"m=audio 5000 RTP/AVP 96", "a=rtpmap:96 opus/48000/2"})
	f.sound(alice, bob, 96, 0xa11ce, chunks(codes(500), 50), 48000, nil)
	f.bye(300e6)
	all["audio-opus.pcap"] = made{film: f}

	f = film{callID: "sound-4", begin: 4 * 60e9}
	f.invite(0, []string{"m=audio 4000 UDP/TLS/RTP/SAVPF 0", "a=fingerprint:sha-256 00:01", "a=setup:actpass"},
		[]string{"m=audio 5000 UDP/TLS/RTP/SAVPF 0", "a=fingerprint:sha-256 02:03", "a=setup:active"})
	f.sound(alice, bob, 0, 0xa11ce, chunks(codes(1700), 170), 8000, nil)
	f.bye(300e6)
	all["srtp-dtls.pcap"] = made{film: f}
	return all
}

// TestCaptures makes the captures of testdata/pcaps and holds that they are heard sample by sample, through the whole
// pipeline. UPDATE_GOLDEN=1 writes them.
func TestCaptures(t *testing.T) {
	t.Parallel()
	for name, f := range films(t) {
		path := filepath.Join("..", "..", "testdata", "pcaps", name)
		want := f.pcap()
		if os.Getenv("UPDATE_GOLDEN") != "" {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what is made here (UPDATE_GOLDEN=1 writes it): %v", name, err)
			continue
		}
		calls, r := pipeline(t, path)
		rec, err := New(r, &calls[0], 0, Options{})
		if f.rate == 0 {
			if !errors.Is(err, ErrCodec) && !errors.Is(err, cut.ErrDTLS) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		all := samples(t, rec)
		for i := range all {
			if rec.Rate != f.rate || !slices.Equal(all[i], f.channels[i]) {
				t.Errorf("%s: channel %d has %d samples, want %d; %s", name, i, len(all[i]), len(f.channels[i]), differ(all[i], f.channels[i]))
			}
		}
	}
}

// pipeline reads a capture, and its media a second time.
func pipeline(tb testing.TB, path string) ([]correlate.Call, *cut.Result) {
	tb.Helper()
	files, err := capture.Open([]string{path}, capture.Options{Spool: true, SpoolDir: tb.TempDir()})
	if err != nil {
		tb.Fatal(err)
	}
	defer files.Close()
	board := &correlate.Board{}
	if err = correlate.Run(context.Background(), files, correlate.Config{Workers: 1, Board: board}); err != nil && !errors.Is(err, capture.ErrDamaged) {
		tb.Fatal(err)
	}
	var calls []correlate.Call
	for s := range board.Calls() {
		if c, ok := board.Call(s.Num); ok {
			calls = append(calls, c)
		}
	}
	again, err := files.Reopen()
	if err != nil {
		tb.Fatal(err)
	}
	defer again.Close()
	r, err := cut.Cut(context.Background(), again, calls, func(call, m int) []byte {
		b, failed := decode.ReadText(files, calls[call].Messages[m].Pieces)
		if failed != nil {
			return nil
		}
		return b
	}, cut.Options{Types: []string{"audio"}})
	if err != nil && !errors.Is(err, capture.ErrDamaged) {
		tb.Fatal(err)
	}
	return calls, r
}
