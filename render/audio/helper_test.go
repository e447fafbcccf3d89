package audio

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/correlate/cut"
	"sipscope/decode/rtp"
)

// began is the time of a scene's first message, ns since 1970-01-01 UTC.
const began = int64(1_700_000_000_000_000_000)

// The ends of a scene.
const (
	alice = "10.0.0.1:4000"
	bob   = "10.0.0.2:5000"
)

// sent is a datagram of a scene.
type sent struct {
	after    int64 // ns since began
	from, to string
	data     []byte
}

// scene is a call with its media.
type scene struct {
	tb      testing.TB
	call    correlate.Call
	texts   [][]byte
	packets []sent
}

// newScene is a call of alice to bob, with the same formats on both sides: "RTP/AVP 0", and further lines.
func newScene(tb testing.TB, formats string, lines ...string) *scene {
	tb.Helper()
	s := &scene{tb: tb, call: correlate.Call{Summary: correlate.Summary{Num: 1, First: began, Last: began + 3600e9}}}
	s.call.Dialogs = []correlate.Dialog{{CallerTag: "a", CalleeTag: "b", Answered: true}}
	s.message(true, alice, formats, lines...)
	s.message(false, bob, formats, lines...)
	s.call.Evidence.Answer = s.call.Messages[1].Seq
	return s
}

// message adds a request of the caller or a response of the callee, with the SDP of an end.
func (s *scene) message(request bool, at, formats string, lines ...string) {
	s.sdp(request, fmt.Sprintf("c=IN IP4 %s\r\nm=audio %d %s\r\n", netip.MustParseAddrPort(at).Addr(), netip.MustParseAddrPort(at).Port(), formats), lines...)
}

func (s *scene) sdp(request bool, media string, lines ...string) {
	body := "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nt=0 0\r\n" + media
	if len(lines) > 0 {
		body += strings.Join(lines, "\r\n") + "\r\n"
	}
	first := "SIP/2.0 200 OK"
	if request {
		first = "INVITE sip:b@b SIP/2.0"
	}
	s.texts = append(s.texts, fmt.Appendf(nil, "%s\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@a>;tag=a\r\nTo: <sip:b@b>;tag=b\r\n"+
		"Call-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", first, len(body), body))
	i := len(s.call.Messages)
	s.call.Messages = append(s.call.Messages, correlate.Message{
		Seq: uint64(i + 1), Time: began + int64(i)*1e6, SDP: true, Repeats: -1, Txn: -1, Dialog: 0,
	})
}

// put adds an RTP packet.
func (s *scene) put(after int64, from, to string, p rtp.Packet) {
	s.packets = append(s.packets, sent{after, from, to, p.Append(nil)})
}

// result cuts the media of the scene.
func (s *scene) result() *cut.Result {
	s.tb.Helper()
	c := cut.NewCutter([]correlate.Call{s.call}, func(_, m int) []byte { return s.texts[m] }, cut.Options{})
	for i, p := range s.packets {
		b := udp(p.from, p.to, p.data)
		c.Packet(&capture.Packet{Seq: uint64(100 + i), Time: began + p.after, Data: b, WireLen: uint32(len(b)), Link: capture.LinkEthernet})
	}
	return c.Result()
}

// record makes the recording of the scene.
func (s *scene) record(streams ...int) *Recording {
	s.tb.Helper()
	r, err := New(s.result(), &s.call, 0, Options{Streams: streams})
	if err != nil {
		s.tb.Fatal(err)
	}
	return r
}

// udp is an Ethernet frame with a datagram in IPv4.
func udp(from, to string, data []byte) []byte {
	a, b := netip.MustParseAddrPort(from), netip.MustParseAddrPort(to)
	f := make([]byte, 14, 14+28+len(data))
	f[12] = 8
	f = append(f, 0x45, 0)
	f = binary.BigEndian.AppendUint16(f, uint16(28+len(data)))
	f = append(f, 0, 1, 0, 0, 64, 17, 0, 0)
	f = append(append(f, a.Addr().AsSlice()...), b.Addr().AsSlice()...)
	f = binary.BigEndian.AppendUint16(f, a.Port())
	f = binary.BigEndian.AppendUint16(f, b.Port())
	f = binary.BigEndian.AppendUint16(f, uint16(8+len(data)))
	return append(append(f, 0, 0), data...)
}

// samples writes a recording and reads its channels.
func samples(tb testing.TB, r *Recording) [][]int16 {
	tb.Helper()
	var b bytes.Buffer
	if err := r.WriteWAV(tb.Context(), &b); err != nil {
		tb.Fatal(err)
	}
	return wav(tb, b.Bytes(), r.Rate)
}

// wav reads a WAV file as its format says, not as the writer does.
func wav(tb testing.TB, b []byte, rate int) [][]int16 {
	tb.Helper()
	le := binary.LittleEndian
	if len(b) < 44 || string(b[:4]) != "RIFF" || string(b[8:16]) != "WAVEfmt " || string(b[36:40]) != "data" ||
		int(le.Uint32(b[4:])) != len(b)-8 || le.Uint32(b[16:]) != 16 || le.Uint16(b[20:]) != 1 || le.Uint16(b[34:]) != 16 {
		tb.Fatalf("header % x", b[:min(len(b), 44)])
	}
	n := int(le.Uint16(b[22:]))
	if int(le.Uint32(b[40:])) != len(b)-44 || int(le.Uint32(b[24:])) != rate || int(le.Uint32(b[28:])) != rate*n*2 || int(le.Uint16(b[32:])) != 2*n {
		tb.Fatalf("header % x of %d bytes", b[:44], len(b))
	}
	channels := make([][]int16, n)
	for i := 44; i+1 < len(b); i += 2 {
		c := (i - 44) / 2 % n
		channels[c] = append(channels[c], int16(le.Uint16(b[i:])))
	}
	return channels
}

// correlateDialog is a dialog of a fork that was not answered.
func correlateDialog() correlate.Dialog {
	return correlate.Dialog{CallerTag: "a", CalleeTag: "c", WasEarly: true}
}
