package stream

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sipscope/decode/frame"
)

// ws makes a WebSocket frame. first is its first byte: FIN, RSV1 and the opcode.
func ws(first byte, masked bool, payload string) string {
	b := []byte{first}
	mask := byte(0)
	if masked {
		mask = 0x80
	}
	switch n := len(payload); {
	case n < 126:
		b = append(b, mask|byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, mask|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, mask|127), uint64(n))
	}
	if !masked {
		return string(b) + payload
	}
	key := []byte{0x37, 0xfa, 0x21, 0x3d}
	b = append(b, key...)
	for i := range len(payload) {
		b = append(b, payload[i]^key[i&3])
	}
	return string(b)
}

// deflater compresses messages as one direction of a connection does, with its context taken over.
type deflater struct {
	b bytes.Buffer
	w *flate.Writer
}

func (d *deflater) message(text string) string {
	if d.w == nil {
		d.w, _ = flate.NewWriter(&d.b, flate.BestCompression)
	}
	d.b.Reset()
	_, _ = d.w.Write([]byte(text))
	_ = d.w.Flush()
	return strings.TrimSuffix(d.b.String(), "\x00\x00\xff\xff")
}

const (
	wsGet = "GET /ws HTTP/1.1\r\nHost: example.com\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Protocol: sip\r\nSec-WebSocket-Version: 13\r\n\r\n"
	wsSwitch = "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Protocol: sip\r\n\r\n"
	ping = "\x89\x80\x01\x02\x03\x04"
)

// noLength is a message without Content-Length, which RFC 7118 5.3 allows.
func noLength() string { return withBody(invite, "application/sdp", sdp, -1) }

func webSocketCases() []framingCase {
	big := withBody(invite, "text/plain", strings.Repeat("0123456789", 8000), 80_000)
	third := len(inviteText()) / 3
	one, two, three := inviteText()[:third], inviteText()[third:2*third], inviteText()[2*third:]
	var d deflater
	packed := ws(0xc1, true, d.message(inviteText())) + ws(0xc1, true, d.message(byeText())) + ws(0x81, true, okText())
	again := d.message(inviteText())
	packed += ws(0x41, true, again[:5]) + ping + ws(0x80, true, again[5:])
	return []framingCase{
		{"masked", wsGet + ws(0x81, true, inviteText()), []string{inviteText()}},
		{"clear", wsSwitch + ws(0x81, false, okText()) + ws(0x82, false, byeText()), []string{okText(), byeText()}},
		{"16 bit length", wsGet + ws(0x81, true, noLength()), []string{noLength()}},
		{"64 bit length", wsSwitch + ws(0x81, false, big) + ws(0x81, false, okText()), []string{big, okText()}},
		{
			"several, with pings between", wsGet + ping + ws(0x81, true, inviteText()) + ping + ws(0x82, true, byeText()) + ping,
			[]string{inviteText(), byeText()},
		},
		{"fragments, with pings between", wsGet + ws(0x01, true, one) + ping + ws(0x00, true, two) + ping + ws(0x80, true, three) +
			ws(0x81, true, byeText()), []string{inviteText(), byeText()}},
		{"empty fragments", wsGet + ws(0x01, true, "") + ws(0x00, true, okText()) + ws(0x80, true, ""), []string{okText()}},
		{
			"keep-alives", wsGet + ws(0x81, true, "\r\n\r\n") + ws(0x81, true, byeText()) + ws(0x81, true, "\r\n"),
			[]string{byeText()},
		},
		{
			"not SIP between", wsSwitch + ws(0x81, false, `{"event":"x"}`) + ws(0x81, false, okText()) + ws(0x82, false, "\x00\xff"),
			[]string{okText()},
		},
		{"close", wsGet + ws(0x81, true, byeText()) + ws(0x88, true, "\x03\xe8bye"), []string{byeText()}},
		{
			"refused, then not", "GET /page HTTP/1.1\r\nHost: x\r\n\r\n" + wsGet + wsGet + ws(0x81, true, byeText()),
			[]string{byeText()},
		},
		{"the answer to another request before", "HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno\n" + wsSwitch +
			ws(0x89, false, "") + ws(0x81, false, okText()), []string{okText()}},
		{"compressed, context taken over", wsGet + packed, []string{inviteText(), byeText(), okText(), inviteText()}},
		{
			"one message is one SIP message", wsGet + ws(0x81, true, withBody(options, "text/plain", "longer", 3)),
			[]string{withBody(options, "text/plain", "longer", 3)},
		},
		{"midway, masked", ws(0x81, true, inviteText()) + ping + ws(0x81, true, byeText()), []string{inviteText(), byeText()}},
		{"midway, clear", ws(0x81, false, okText()) + ws(0x81, false, noLength()), []string{okText(), noLength()}},
		{"midway, a ping first", ping + ws(0x81, true, inviteText()) + ws(0x81, true, byeText()), []string{inviteText(), byeText()}},
		{
			"midway, keep-alives first", ws(0x81, true, "\r\n\r\n") + ping + ws(0x82, true, inviteText()) + ws(0x81, true, byeText()),
			[]string{inviteText(), byeText()},
		},
		{"midway, compressed, each for itself", ws(0xc1, true, alone(inviteText())) + ping + ws(0xc1, true, alone(byeText())) +
			ws(0xc1, true, alone(inviteText())), []string{inviteText(), byeText(), inviteText()}},
		{
			"midway, compressed, a ping first", ping + ws(0xc1, false, alone(okText())) + ping + ws(0xc1, false, alone(byeText())),
			[]string{okText(), byeText()},
		},
		{
			"through a proxy", "CONNECT sip.example.com:8080 HTTP/1.1\r\nHost: sip.example.com\r\n\r\n" + wsGet +
				ws(0x01, true, one) + ping + ws(0x80, true, two+three), []string{inviteText()},
		},
		{
			"through a proxy, the answer", "HTTP/1.1 200 Connection established\r\nVia: 1.1 proxy\r\n\r\n" + wsSwitch +
				ws(0x01, false, one) + ping + ws(0x80, false, two+three), []string{inviteText()},
		},
		{
			"a form before", "POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\nuser=me" + wsGet + ws(0x01, true, one) +
				ws(0x80, true, two+three), []string{inviteText()},
		},
		{
			"pages before", "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /sip.js HTTP/1.1\r\nHost: x\r\n\r\n" + wsGet + ws(0x01, true, one) +
				ws(0x80, true, two+three), []string{inviteText()},
		},
		{"in the middle of a frame", ws(0x81, true, inviteText())[40:] + ws(0x81, true, inviteText()) + ping +
			ws(0x81, true, byeText()), []string{inviteText(), byeText()}},
		{"rubbish between frames", wsGet + ws(0x81, true, inviteText()) + "\xf3\x17rubbish" + ws(0x81, true, byeText()) + ping +
			ws(0x81, true, inviteText()), []string{inviteText(), byeText(), inviteText()}},
		{
			"a length beyond all bounds", wsSwitch + "\x81\x7f\x7f\xff\xff\xff\xff\xff\xff\xff" + ws(0x81, false, okText()),
			[]string{okText()},
		},
		{"a length that is too long", wsSwitch + "\x81\x7e\x40\x00" + okText() + ws(0x81, false, byeText()) +
			ws(0x89, false, "") + ws(0x81, false, okText()), []string{okText(), byeText(), okText()}},
	}
}

// alone compresses a message without those before it.
func alone(text string) string {
	var d deflater
	return d.message(text)
}

func TestWebSocket(t *testing.T) {
	t.Parallel()
	for _, c := range webSocketCases() {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, size := range []int{len(c.stream), 1, 2, 3, 7, 50, 536} {
				if size > 1 && len(c.stream)/size > 3000 || size == 1 && len(c.stream) > 20_000 {
					continue
				}
				for _, syn := range []bool{true, false} {
					w := newWire(t)
					w.stream(1000, syn, c.stream, size)
					w.a.Flush(w.frame, w.now)
					if d := cmp.Diff(c.want, w.texts); d != "" {
						t.Fatalf("segments of %d, SYN %t (-want +got):\n%s", size, syn, d)
					}
					if w.a.Flows() != 0 || w.a.Bytes() != 0 || w.a.tubed != 0 {
						t.Fatalf("%d flows, %d bytes, %d of conduits are left", w.a.Flows(), w.a.Bytes(), w.a.tubed)
					}
				}
			}
			for seed := range uint64(20) {
				w := newWire(t)
				w.a = NewLimited(w, roomy())
				w.cuts([]byte(c.stream), seed)
				if d := cmp.Diff(c.want, w.texts); d != "" {
					t.Fatalf("seed %d (-want +got):\n%s", seed, d)
				}
			}
		})
	}
}

// TestWebSocketGaps leaves segments out.
func TestWebSocketGaps(t *testing.T) {
	t.Parallel()
	first, second, third := ws(0x81, true, inviteText()), ws(0x81, true, optionsText()), ws(0x81, true, byeText())
	var d deflater
	packed := []string{ws(0xc1, true, d.message(inviteText())), ws(0xc1, true, d.message(byeText()))}
	for _, c := range []struct {
		name     string
		stream   string
		from, to int // missing, behind the upgrade
		want     []string
	}{
		{"a whole frame", first + second + third, len(first), len(first) + len(second), []string{
			line(inviteText()), fmt.Sprintf("gap %d", len(second)), line(byeText()) + " after-gap",
		}},
		{"the end of a frame", first + second + third, 150, len(first), []string{
			fmt.Sprintf("INVITE sip:bob@example.com SIP/2.0 (%d) truncated", 150-8), fmt.Sprintf("gap %d", len(first)-150),
			line(optionsText()) + " after-gap", line(byeText()),
		}},
		{"the middle of a frame", first + second + third, 100, 130, []string{
			fmt.Sprintf("INVITE sip:bob@example.com SIP/2.0 (%d) truncated", 100-8), "gap 30",
			line(optionsText()) + " after-gap", line(byeText()),
		}},
		{"into another frame", first + second + third, 150, len(first) + 20, []string{
			fmt.Sprintf("INVITE sip:bob@example.com SIP/2.0 (%d) truncated", 150-8), fmt.Sprintf("gap %d", len(first)+20-150),
			fmt.Sprintf("%s after-gap skipped=%d", line(byeText()), len(second)-20),
		}},
		{"of what is compressed", first + packed[0] + packed[1] + third, len(first), len(first) + len(packed[0]), []string{
			line(inviteText()), fmt.Sprintf("gap %d", len(packed[0])),
			fmt.Sprintf("%s after-gap skipped=%d", line(byeText()), len(packed[1])),
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t)
			stream := wsGet + c.stream
			from, to := len(wsGet)+c.from, len(wsGet)+c.to
			w.send(alice, bob, 999, 0, frame.SYN, nil, false)
			w.send(alice, bob, 1000, 0, frame.ACK, []byte(stream[:from]), false)
			w.send(alice, bob, 1000+uint32(to), 0, frame.ACK, []byte(stream[to:]), false)
			w.now += 10 * sec
			w.a.Flush(w.frame, w.now)
			if d := cmp.Diff(c.want, w.log); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
}

// line is what wire logs of a text.
func line(text string) string {
	first, _, _ := strings.Cut(text, "\r\n")
	return fmt.Sprintf("%s (%d)", first, len(text))
}

// TestWebSocketFates says what becomes of each segment.
func TestWebSocketFates(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	seq := uint32(1000)
	w.send(alice, bob, seq-1, 0, frame.SYN, nil, false)
	for _, c := range []struct {
		payload string
		want    Fate
	}{
		{wsGet, NotSIP},
		{ping, KeepAlive},
		{ws(0x81, true, "\r\n"), KeepAlive},
		{ws(0x81, true, inviteText())[:20], Partial},
		{ws(0x81, true, inviteText())[20:], Completed},
		{ws(0x81, true, "no SIP at all"), NotSIP},
	} {
		if got := w.send(alice, bob, seq, 0, frame.ACK, []byte(c.payload), false); got != c.want {
			t.Errorf("%.20q: %v, want %v", c.payload, got, c.want)
		}
		seq += uint32(len(c.payload))
	}
}

// TestWebSocketHostile claims much and sends little, compresses bombs, and never ends a message.
func TestWebSocketHostile(t *testing.T) {
	t.Parallel()
	var bomb deflater
	huge := bomb.message(strings.Repeat("INVITE sip:b SIP/2.0\r\nA: b\r\n", 1<<20))
	for name, c := range map[string]struct {
		head, repeat string
		times        int
	}{
		"frames without an end":   {wsGet + ws(0x01, true, inviteText()), ws(0x00, true, strings.Repeat("x", 1000)), 5000},
		"tiny frames":             {wsGet, strings.Repeat("\x81\x00", 700), 3000},
		"pings":                   {wsGet, strings.Repeat("\x89\x00", 700), 3000},
		"lengths that lie":        {wsGet, "\x81\x7f\x00\x00\x00\x00\x00\x0f\xff\xff" + strings.Repeat("y", 1000), 5000},
		"a bomb":                  {wsGet + ws(0xc1, true, huge), ws(0xc1, true, "\x00"), 10},
		"heads of HTTP":           {"", "HTTP/1.1 101 a:b\r\n", 20000},
		"frames that may be some": {"garbage", "\x81\xfe\x10\x00\x00\x00\x00\x00INVITE sip:", 20000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t)
			seq := uint32(1)
			send := func(s string) {
				w.file = nil // nobody reads it again here
				w.send(alice, bob, seq, 0, frame.ACK, []byte(s), false)
				seq += uint32(len(s))
				if n := w.a.Bytes(); n > 4<<20 {
					t.Fatalf("%d bytes are held", n)
				}
			}
			w.quiet = true
			send(c.head + c.repeat)
			for range c.times {
				send(c.repeat)
			}
			w.a.Flush(w.frame, w.now)
		})
	}
}

// TestBombs holds that a connection makes no more of what it sends than messages do, and what the first one may be.
func TestBombs(t *testing.T) {
	t.Parallel()
	var d deflater
	const limit = 1 << 20
	z, packed, made := &inflater{}, 0, 0
	for i := range 50 {
		p := d.message("OPTIONS sip:b SIP/2.0\r\nA: b\r\n" + strings.Repeat("a", 100_000))
		text, ok := z.message([]byte(p), limit)
		if i < 2 && (!ok || len(text) < 100_000) || i == 49 && ok {
			t.Errorf("message %d: %d bytes, %t", i+1, len(text), ok)
		}
		packed, made = packed+len(p), made+len(text)
	}
	if most := maxRatio*packed + firstSpare; made > most {
		t.Errorf("%d bytes of %d, and at most %d are given", made, packed, most)
	}
	var same deflater
	z = &inflater{}
	for i := range 500 {
		m := fmt.Sprintf("%s%d\r\n", inviteText(), i)
		if text, ok := z.message([]byte(same.message(m)), limit); !ok || string(text) != m {
			t.Fatalf("message %d: %t, %q", i+1, ok, text)
		}
	}
}

func FuzzWebSocket(f *testing.F) {
	for i, c := range webSocketCases() {
		if len(c.stream) < 10_000 {
			f.Add([]byte(c.stream), uint64(i))
		}
	}
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64) {
		if len(stream) > 10_000 {
			return
		}
		stream = append([]byte(wsGet), stream...)
		whole, pieces := newWire(t), newWire(t)
		whole.a, pieces.a = NewLimited(whole, roomy()), NewLimited(pieces, roomy())
		whole.stream(1000, true, string(stream), len(stream))
		whole.a.Flush(whole.frame, whole.now)
		pieces.cuts(stream, seed&^1)
		if d := cmp.Diff(whole.log, pieces.log); d != "" {
			t.Errorf("cut differently (-whole +pieces):\n%s", d)
		}
		if d := cmp.Diff(whole.texts, pieces.texts); d != "" {
			t.Errorf("texts (-whole +pieces):\n%s", d)
		}
	})
}
