package cut

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/decode/frame"
	"sipscope/decode/rtp"
)

// ep is an endpoint.
func ep(s string) frame.Endpoint { return frame.FromAddrPort(netip.MustParseAddrPort(s)) }

// began is the time of the first message of the calls here.
const began = int64(1_700_000_000_000_000_000)

// invite is a message with SDP.
func invite(lines ...string) []byte {
	body := "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nt=0 0\r\n" + strings.Join(lines, "\r\n") + "\r\n"
	return fmt.Appendf(nil, "INVITE sip:b@b SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bK1\r\nFrom: <sip:a@a>;tag=1\r\nTo: <sip:b@b>\r\n"+
		"Call-ID: 1\r\nCSeq: 1 INVITE\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// world is calls and what their messages say.
type world struct {
	calls []correlate.Call
	texts map[[2]int][]byte
}

// call adds a call whose messages come with frames 10, 20 and so on.
func (w *world) call(bodies ...[]byte) *correlate.Call {
	if w.texts == nil {
		w.texts = map[[2]int][]byte{}
	}
	c := correlate.Call{Summary: correlate.Summary{First: began, Last: began + 1e9}}
	for i, b := range bodies {
		c.Messages = append(c.Messages, correlate.Message{
			Seq: uint64(10 * (i + 1)), Time: began + int64(i)*1e8, SDP: true, Repeats: -1, Txn: -1, Dialog: -1,
		})
		w.texts[[2]int{len(w.calls), i}] = b
	}
	w.calls = append(w.calls, c)
	return &w.calls[len(w.calls)-1]
}

func (w *world) text(call, message int) []byte { return w.texts[[2]int{call, message}] }

// datagram is a packet of a capture.
func datagram(tb testing.TB, seq uint64, now int64, from, to string, data []byte) *capture.Packet {
	tb.Helper()
	b, err := appendFrame(nil, ep(from), ep(to), data)
	if err != nil {
		tb.Fatal(err)
	}
	return &capture.Packet{Seq: seq, Time: now, Data: b, WireLen: uint32(len(b)), Link: capture.LinkEthernet}
}

// sound is an RTP packet.
func sound(pt uint8, seq int, ssrc uint32) []byte {
	return (&rtp.Packet{PT: pt, Seq: uint16(seq), Timestamp: uint32(160 * seq), SSRC: ssrc, Payload: make([]byte, 160)}).Append(nil)
}

func TestBinding(t *testing.T) {
	t.Parallel()
	var w world
	w.call(
		invite("c=IN IP4 10.0.0.1", "m=audio 4000 RTP/AVP 0 101", "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-15", "m=video 4010 RTP/SAVP 99", "a=rtpmap:99 H264/90000"),
		invite("c=IN IP6 2001:db8::2", "m=audio 5000 RTP/AVP 96 101", "a=rtcp-mux", "a=rtpmap:96 opus/48000/2", "a=rtpmap:101 telephone-event/8000"),
		invite("c=IN IP4 10.0.0.1", "m=audio 4000 RTP/AVP 8"),
	)
	c := NewCutter(w.calls, w.text, Options{})
	n := uint64(0)
	put := func(seq uint64, from, to string, data []byte) {
		n++
		c.Packet(datagram(t, seq, began+int64(n)*20e6, from, to, data))
	}
	put(5, "10.0.0.2:5000", "10.0.0.1:4000", sound(0, 1, 1))         // before anybody named it
	put(11, "10.0.0.2:5000", "10.0.0.1:4000", sound(0, 2, 1))        // early media
	put(12, "10.0.0.2:5000", "10.0.0.1:4000", sound(101, 3, 1))      // and a digit
	put(13, "10.0.0.2:5001", "10.0.0.1:4001", rtp.AppendBye(nil, 1)) // RTCP
	put(14, "10.0.0.2:5001", "10.0.0.1:4001", sound(0, 1, 9))        // RTP to the port of RTCP
	put(15, "10.0.0.2:5000", "10.0.0.1:4010", sound(99, 1, 2))       // SRTP
	put(16, "10.0.0.2:5000", "10.0.0.1:4000", []byte{0, 1, 0, 0})    // STUN
	put(17, "10.0.0.2:5000", "10.0.0.9:4000", sound(0, 4, 1))        // to somebody else
	put(21, "[2001:db8::9]:4000", "[2001:db8::2]:5000", sound(96, 1, 3))
	put(22, "[2001:db8::2]:5000", "[2001:db8::9]:7777", sound(96, 1, 4)) // nobody named where it goes to
	put(31, "10.0.0.2:5000", "10.0.0.1:4000", sound(8, 4, 5))
	put(32, "10.0.0.2:5000", "10.0.0.1:4000", sound(8, 4, 5)[:20]) // short, but RTP
	r := c.Result()
	type want struct {
		from, to        string
		ssrc            uint32
		message, sender int
		medium          int
		kind            string
		secure          bool
		payloads        string
		packets         int
	}
	wants := []want{
		{"10.0.0.2:5000", "10.0.0.1:4000", 1, 0, -1, 0, "audio", false, "0 PCMU/8000/1 , 101 telephone-event/8000/1 0-15", 2},
		{"10.0.0.2:5000", "10.0.0.1:4010", 2, 0, -1, 1, "video", true, "99 H264/90000/1 ", 1},
		{"[2001:db8::9]:4000", "[2001:db8::2]:5000", 3, 1, -1, 0, "audio", false, "96 opus/48000/2 ", 1},
		{"[2001:db8::2]:5000", "[2001:db8::9]:7777", 4, -1, 1, 0, "audio", false, "96 opus/48000/2 ", 1},
		{"10.0.0.2:5000", "10.0.0.1:4000", 5, 2, -1, 0, "audio", false, "8 PCMA/8000/1 ", 2},
	}
	if len(r.Streams) != len(wants) {
		t.Fatalf("%d streams: %+v", len(r.Streams), r.Streams)
	}
	for i := range r.Streams {
		s := &r.Streams[i]
		var payloads []string
		for _, p := range s.Payloads {
			payloads = append(payloads, fmt.Sprintf("%d %s/%d/%d %s", p.PT, p.Name, p.Clock, p.Channels, p.Params))
		}
		got := want{
			s.From.String(), s.To.String(), s.SSRC, s.Message, s.Sender, s.Medium, s.Type, s.Secure,
			strings.Join(payloads, ", "), len(s.Packets),
		}
		if got != wants[i] {
			t.Errorf("stream %d: %+v, want %+v", i, got, wants[i])
		}
	}
	if p := r.Streams[0].Packets[0]; p.Time != began+40e6 || p.Offset != 40e6 || !bytes.Equal(p.Data, sound(0, 2, 1)) {
		t.Errorf("packet %+v", p)
	}
	want2 := Counts{Packets: 7, Bytes: 6*172 + 20, RTCP: 1, Other: 2}
	if r.Counts != want2 {
		t.Errorf("%+v, want %+v", r.Counts, want2)
	}
}

// TestOvertaken: the first packets of a stream came before the answer that names where they come from.
func TestOvertaken(t *testing.T) {
	t.Parallel()
	var w world
	w.call(invite("c=IN IP4 10.0.0.1", "m=audio 4000 RTP/AVP 0"), invite("c=IN IP4 10.0.0.1", "m=audio 5000 RTP/AVP 0"))
	c := NewCutter(w.calls, w.text, Options{})
	for i, seq := range []uint64{11, 12, 21, 22} {
		c.Packet(datagram(t, seq, began+int64(i)*20e6, "10.0.0.1:5000", "10.0.0.1:4000", sound(0, i, 1)))
	}
	if r := c.Result(); len(r.Streams) != 1 || r.Streams[0].Message != 0 || r.Streams[0].Sender != 1 || len(r.Streams[0].Packets) != 4 {
		t.Errorf("%+v", r.Streams)
	}
}

// TestReuse has two calls use one address one after the other.
func TestReuse(t *testing.T) {
	t.Parallel()
	var w world
	first := w.call(invite("c=IN IP4 10.0.0.1", "m=audio 4000 RTP/AVP 0"))
	first.Evidence.End, first.Last = 15, began+1e9
	second := w.call(invite("c=IN IP4 10.0.0.1", "m=audio 4000 RTP/AVP 8"))
	second.First, second.Messages[0].Seq = began+2e9, 30
	c := NewCutter(w.calls, w.text, Options{Linger: 1e9})
	for _, at := range []struct {
		seq uint64
		now int64
	}{{11, 1e8}, {16, 19e8}, {20, 21e8}, {31, 22e8}, {40, 1e12}} {
		c.Packet(datagram(t, at.seq, began+at.now, "10.0.0.2:5000", "10.0.0.1:4000", sound(0, int(at.seq), 1)))
	}
	r := c.Result()
	if len(r.Streams) != 2 || len(r.Streams[0].Packets) != 2 || len(r.Streams[1].Packets) != 2 || r.Streams[1].Call != 1 {
		t.Errorf("%+v", r.Streams)
	}
}

// TestLegs has two calls that go on name the same address by turns: a stream stays one.
func TestLegs(t *testing.T) {
	t.Parallel()
	var w world
	body := invite("c=IN IP4 10.0.0.1", "m=audio 4000 RTP/AVP 0")
	w.call(body, nil, invite("c=IN IP4 10.0.0.1", "m=audio 4000 RTP/AVP 0 8"))
	w.call(nil, body)
	c := NewCutter(w.calls, w.text, Options{})
	for i, seq := range []uint64{11, 21, 31, 41} {
		c.Packet(datagram(t, seq, began+int64(i)*1e8, "10.0.0.2:5000", "10.0.0.1:4000", sound(0, i, 1)))
		c.Packet(datagram(t, seq, began+int64(i)*1e8, "10.0.0.2:5000", "10.0.0.1:4000", sound(0, i, uint32(seq))))
	}
	r := c.Result()
	if len(r.Streams) != 5 || len(r.Streams[0].Packets) != 4 || r.Streams[0].Call != 0 {
		t.Errorf("%+v", r.Streams)
	}
	for i, want := range []int{0, 0, 0, 0, 1} {
		if r.Streams[i].Call != want {
			t.Errorf("stream %d is of call %d, want %d", i, r.Streams[i].Call, want)
		}
	}
}

// TestProxied: of the copies of a message on its hops the first one names the address.
func TestProxied(t *testing.T) {
	t.Parallel()
	var w world
	body := invite("c=IN IP4 10.0.0.1", "m=audio 4000 RTP/AVP 0")
	w.call(body, body, body)
	c := NewCutter(w.calls, w.text, Options{})
	c.Packet(datagram(t, 99, began, "10.0.0.2:5000", "10.0.0.1:4000", sound(0, 1, 1)))
	if r := c.Result(); len(r.Streams) != 1 || r.Streams[0].Message != 0 {
		t.Errorf("%+v", r.Streams)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	var w world
	w.call(
		invite("c=IN IP4 host.example", "m=audio 4000 RTP/AVP 0"),
		invite("c=IN IP4 0.0.0.0", "m=audio 4000 RTP/AVP 0"),
		invite("c=IN IP4 10.0.0.1", "m=audio 0 RTP/AVP 0", "m=image 4000 udptl t38"),
		invite("c=IN IP4 10.0.0.1", "m=audio 65534/3 RTP/AVP 0", "a=rtcp:9999 IN IP4 10.0.0.3",
			"a=candidate:1 1 UDP 2130706431 10.0.0.4 8998 typ host", "a=candidate:1 2 udp 2130706431 10.0.0.4 8999 typ host",
			"a=candidate:2 1 TCP 1 10.0.0.5 9 typ host", "a=candidate:3 1 UDP 1 10.0.0.6 x", "a=candidate:"),
		nil, []byte("no SIP"), []byte("INVITE sip:a SIP/2.0\r\n\r\n"),
	)
	c := NewCutter(w.calls, w.text, Options{})
	want := map[string]bool{ // true: of RTCP
		"10.0.0.1:65534": false, "10.0.0.1:2": false, "10.0.0.3:9999": true, "10.0.0.4:8998": false, "10.0.0.4:8999": true,
	}
	for e, list := range c.names.of {
		control, ok := want[e.String()]
		if !ok || list[0].control != control {
			t.Errorf("%s: %+v", e, list)
		}
	}
	if len(c.names.of) != len(want) {
		t.Errorf("%v", c.names.of)
	}
	if r := c.Result(); r.Counts.Unread != 3 {
		t.Errorf("%+v", r.Counts)
	}
}

func TestDuplicates(t *testing.T) {
	t.Parallel()
	var w world
	w.call(invite("c=IN IP4 10.0.0.1", "m=audio 4000 RTP/AVP 0"))
	c := NewCutter(w.calls, w.text, Options{})
	for i := range 10 {
		for k, after := range []int64{0, 5e3, 1e6} { // the tap's copies
			c.Packet(datagram(t, uint64(20+i), began+int64(i)*20e6+after, "10.0.0.2:5000", "10.0.0.1:4000", sound(0, i, 1)))
			_ = k
		}
	}
	c.Packet(datagram(t, 40, began+10*20e6, "10.0.0.2:5000", "10.0.0.1:4000", sound(0, 9, 1))) // sent again, really
	r := c.Result()
	if len(r.Streams[0].Packets) != 11 || r.Counts.Duplicates != 20 || r.Streams[0].Duplicates != 20 {
		t.Errorf("%d packets, %+v", len(r.Streams[0].Packets), r.Counts)
	}
}

// TestBounds has a capture claim more than is kept.
func TestBounds(t *testing.T) {
	t.Parallel()
	var w world
	var many []string
	for i := range 200 {
		many = append(many, fmt.Sprintf("m=audio %d RTP/AVP 0 8 18 101", 10000+2*i), "a=rtcp-mux")
	}
	w.call(invite(append([]string{"c=IN IP4 10.0.0.1"}, many...)...), invite("c=IN IP4 10.0.0.2", "m=audio 4000 RTP/AVP 0"))
	const limit = 10 * (172 + packetCost)
	c := NewCutter(w.calls, w.text, Options{Bytes: limit, Streams: 5})
	for i := range 100 {
		c.Packet(datagram(t, uint64(30+i), began+int64(i)*20e6, "10.0.0.9:5000", "10.0.0.1:10000", sound(0, i, uint32(i%2))))
	}
	for i := range 100 {
		c.Packet(datagram(t, uint64(200+i), began+int64(i)*20e6, "10.0.0.9:5000", "10.0.0.1:10000", sound(0, i, uint32(i))))
	}
	r := c.Result()
	if r.Counts.Packets != 10 || r.Counts.Left+r.Counts.Packets+r.Counts.Streamless != 200 || r.Counts.Complete() || r.Counts.Refused == 0 {
		t.Errorf("%+v", r.Counts)
	}
	kept := 0
	for i := range r.Streams {
		s := &r.Streams[i]
		kept += len(s.Packets)
		for k := 1; k < len(s.Packets); k++ { // what is kept of a stream is its begin
			if s.Packets[k].Time-s.Packets[k-1].Time != 40e6 {
				t.Errorf("a hole in stream %d", i)
			}
		}
	}
	if kept != 10 || len(r.Streams) != 5 {
		t.Errorf("%d packets in %d streams", kept, len(r.Streams))
	}
	if len(c.names.of) > maxAddresses {
		t.Errorf("%d addresses", len(c.names.of))
	}
	c = NewCutter(w.calls, w.text, Options{Types: []string{"video"}})
	c.Packet(datagram(t, 30, began, "10.0.0.9:5000", "10.0.0.1:10000", sound(0, 1, 1)))
	if r := c.Result(); len(r.Streams) != 0 || r.Counts != (Counts{}) {
		t.Errorf("other types: %+v", r)
	}
}

// TestFragments has a datagram come in pieces.
func TestFragments(t *testing.T) {
	t.Parallel()
	var w world
	w.call(invite("c=IN IP4 10.0.0.1", "m=video 4000 RTP/AVP 99", "a=rtpmap:99 H264/90000"))
	c := NewCutter(w.calls, w.text, Options{})
	whole := (&rtp.Packet{PT: 99, SSRC: 7, Payload: bytes.Repeat([]byte("x"), 3000)}).Append(nil)
	full := datagram(t, 20, began, "10.0.0.2:5000", "10.0.0.1:4000", whole).Data
	const head = ethernetBytes + ipv4Bytes
	payload := full[head:]
	for at := 0; at < len(payload); at += 1480 {
		part := payload[at:min(at+1480, len(payload))]
		b := append(bytes.Clone(full[:head]), part...)
		more := byte(0)
		if at+1480 < len(payload) {
			more = 0x20
		}
		b[16], b[17] = byte((20+len(part))>>8), byte(20+len(part))
		b[18], b[19], b[20], b[21] = 0, 7, more|byte(at/8>>8), byte(at/8)
		c.Packet(&capture.Packet{Seq: 20 + uint64(at), Time: began, Data: b, WireLen: uint32(len(b)), Link: capture.LinkEthernet})
	}
	if r := c.Result(); len(r.Streams) != 1 || !bytes.Equal(r.Streams[0].Packets[0].Data, whole) {
		t.Errorf("%+v", r)
	}
}

// TestWrite writes streams and reads them, with tshark as a witness where it is there.
func TestWrite(t *testing.T) {
	t.Parallel()
	var streams []Stream
	for i, at := range [][2]string{{"10.0.0.1:4000", "10.0.0.2:5000"}, {"10.0.0.2:5000", "10.0.0.1:4000"}, {"[2001:db8::1]:9", "[2001:db8::2]:65535"}} {
		s := Stream{From: ep(at[0]), To: ep(at[1]), SSRC: uint32(i) + 7, Call: -1, Message: -1, Sender: -1}
		for k := range 50 {
			offset := int64(k)*20e6 + int64(i)*1e6 + int64(k%7)*1001
			s.Packets = append(s.Packets, Packet{Time: began + offset, Offset: offset, Data: sound(uint8(8*i), k, s.SSRC)})
		}
		s.Packets[49].Data = s.Packets[49].Data[:12+i] // odd lengths
		s.First, s.Last = s.Packets[0].Time, s.Packets[49].Time
		streams = append(streams, s)
	}
	for _, format := range []struct {
		name  string
		write func(io.Writer, int64, ...Stream) error
		unit  int64
	}{{"pcap", WritePcap, 1000}, {"pcapng", WritePcapng, 1}} {
		var b bytes.Buffer
		if err := format.write(&b, began, streams...); err != nil {
			t.Fatal(err)
		}
		r, err := Read(bytes.NewReader(b.Bytes()), "x", began, Options{})
		if err != nil || len(r.Streams) != 3 || r.Counts.Packets != 150 {
			t.Fatalf("%s: %+v, %v", format.name, r, err)
		}
		for i := range r.Streams {
			got, want := &r.Streams[i], &streams[i]
			if got.From != want.From || got.To != want.To || got.SSRC != want.SSRC || len(got.Packets) != 50 {
				t.Fatalf("%s: stream %d: %+v", format.name, i, got)
			}
			for k := range got.Packets {
				p, q := &got.Packets[k], &want.Packets[k]
				if p.Offset != q.Offset/format.unit*format.unit || !bytes.Equal(p.Data, q.Data) {
					t.Fatalf("%s: stream %d packet %d: %d, want %d", format.name, i, k, p.Offset, q.Offset)
				}
			}
		}
		for n := 0; n < b.Len(); n += 97 { // cut short anywhere: no more than there is, and no panic
			if r, err := Read(bytes.NewReader(b.Bytes()[:n]), "x", began, Options{}); err == nil && r.Counts.Packets == 150 {
				t.Errorf("%s cut at %d: %+v", format.name, n, r.Counts)
			}
		}
		tshark(t, format.name, b.Bytes())
	}
}

// tshark has tshark verify what was written.
func tshark(t *testing.T, name string, b []byte) {
	t.Helper()
	path, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("SIPSCOPE_CI") != "" {
			t.Fatal("CI must have the Debian package tshark")
		}
		return
	}
	cmd := exec.CommandContext(t.Context(), path, "-r", "-", "-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE",
		"-T", "fields", "-e", "udp.checksum.status", "-e", "ip.checksum.status", "-e", "_ws.malformed")
	cmd.Stdin = bytes.NewReader(b)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	for _, l := range lines {
		if f := strings.Split(strings.TrimRight(l, "\t"), "\t"); f[0] != "1" || len(f) > 1 && f[1] != "1" && f[1] != "" || len(f) > 2 {
			t.Fatalf("%s: tshark finds %q", name, l)
		}
	}
	if len(lines) != 150 {
		t.Errorf("%s: tshark finds %d packets", name, len(lines))
	}
}

func TestWriteErrors(t *testing.T) {
	t.Parallel()
	good := Packet{Data: sound(0, 1, 1)}
	for name, c := range map[string]struct {
		s    Stream
		want error
	}{
		"no address": {Stream{Packets: []Packet{good}}, ErrPacket},
		"mixed":      {Stream{From: ep("10.0.0.1:1"), To: ep("[::1]:1"), Packets: []Packet{good}}, ErrPacket},
		"too long":   {Stream{From: ep("10.0.0.1:1"), To: ep("10.0.0.2:1"), Packets: []Packet{{Data: make([]byte, 65508)}}}, ErrPacket},
		"no time":    {Stream{From: ep("10.0.0.1:1"), To: ep("10.0.0.2:1"), Packets: []Packet{{Offset: math.MinInt64 / 2, Data: good.Data}}}, capture.ErrTime},
	} {
		if err := WritePcap(io.Discard, began, c.s); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err := WritePcapng(io.Discard, began, c.s); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := WritePcap(full{}, began, Stream{From: ep("10.0.0.1:1"), To: ep("10.0.0.2:1"), Packets: []Packet{good}}); !errors.Is(err, errFull) {
		t.Errorf("a full disk: %v", err)
	}
	if _, err := Read(strings.NewReader("no capture at all, certainly"), "x", 0, Options{}); !errors.Is(err, capture.ErrFormat) {
		t.Errorf("no capture: %v", err)
	}
}

var errFull = errors.New("full")

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

// FuzzCut: whatever SDP and packets say, the bounds hold and what is kept is RTP.
func FuzzCut(f *testing.F) {
	f.Add(invite("c=IN IP4 10.0.0.1", "m=audio 4000 RTP/AVP 0"), sound(0, 1, 1), uint16(4000))
	f.Add(invite("c=IN IP4 10.0.0.1", "m=audio 65535/65535 RTP/AVP 0", "a=candidate:1 1 UDP 1 10.0.0.1 4000"), []byte{0x80}, uint16(1))
	f.Fuzz(func(t *testing.T, text, data []byte, port uint16) {
		var w world
		w.call(text, text)
		c := NewCutter(w.calls, w.text, Options{Bytes: 4096, Streams: 3})
		if len(data) > 2000 {
			data = data[:2000]
		}
		for i := range 30 {
			b := bytes.Clone(data)
			if len(b) > 11 {
				b[11] += byte(i % 5)
			}
			c.Packet(datagram(t, uint64(20+i), began+int64(i)*20e6, "10.0.0.2:5000", netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), port).String(), b))
		}
		c.Packet(&capture.Packet{Seq: 99, Time: began, Data: data, WireLen: uint32(len(data)), Link: capture.LinkEthernet})
		r := c.Result()
		size := 0
		for i := range r.Streams {
			for _, p := range r.Streams[i].Packets {
				var x rtp.Packet
				if rtp.Parse(p.Data, &x) != nil || x.SSRC != r.Streams[i].SSRC {
					t.Fatalf("% x is kept", p.Data)
				}
				size += len(p.Data)
			}
		}
		if size > 4096 || len(r.Streams) > 3 || len(c.names.of) > 2*maxAddresses {
			t.Fatalf("%d bytes in %d streams, %d addresses", size, len(r.Streams), len(c.names.of))
		}
		var out bytes.Buffer
		if err := WritePcapng(&out, r.Began, r.Streams...); err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzRead reads files that anybody may have edited.
func FuzzRead(f *testing.F) {
	var b bytes.Buffer
	s := Stream{From: ep("10.0.0.1:1"), To: ep("10.0.0.2:1"), SSRC: 1, Packets: []Packet{{Data: sound(0, 1, 1)}, {Offset: 20e6, Data: sound(0, 2, 1)}}}
	if err := WritePcapng(&b, began, s); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Read(bytes.NewReader(b), "x", 0, Options{Bytes: 4096, Streams: 3})
		if err == nil && (r.Counts.Bytes > 4096 || len(r.Streams) > 3) {
			t.Fatalf("%+v", r.Counts)
		}
	})
}

func BenchmarkCut(b *testing.B) {
	var w world
	w.call(invite("c=IN IP4 10.0.0.1", "m=audio 4000 RTP/AVP 0"))
	hit := datagram(b, 20, began, "10.0.0.2:5000", "10.0.0.1:4000", sound(0, 1, 1))
	miss := datagram(b, 20, began, "10.0.0.2:5000", "10.0.0.7:4000", sound(0, 1, 1))
	for name, p := range map[string]*capture.Packet{"Hit": hit, "Miss": miss} {
		b.Run(name, func(b *testing.B) {
			c := NewCutter(w.calls, w.text, Options{Bytes: 1 << 20})
			b.ReportAllocs()
			for b.Loop() {
				p.Time += 20e6
				c.Packet(p)
			}
		})
	}
}

// TestUnknown gives what nobody names no name.
func TestUnknown(t *testing.T) {
	t.Parallel()
	var n namings
	if p := n.payload(120); p.Name != "" || p.PT != 120 {
		t.Errorf("%+v", p)
	}
	a, b := Payload{Name: "pcma", Clock: 8000}, Payload{Name: "PCMA", Clock: 8000, Channels: 1}
	if !a.Same(&b) || (&Payload{}).Same(&Payload{}) || a.Same(&Payload{Name: "PCMA", Clock: 16000}) {
		t.Error("same codecs")
	}
}
