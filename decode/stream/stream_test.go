package stream

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sipscope/capture"
	"sipscope/decode/frame"
)

const (
	ms  = int64(1_000_000)
	sec = 1000 * ms
)

var (
	alice = frame.Endpoint4([]byte{192, 0, 2, 1}, 40000)
	bob   = frame.Endpoint4([]byte{192, 0, 2, 2}, 5060)
)

// wire plays segments into an Assembler and remembers what comes out. File holds the bytes that Pieces point to.
type wire struct {
	t     testing.TB
	a     *Assembler
	file  []byte
	now   int64
	frame uint64
	log   []string // messages and gaps as text, in order
	texts []string
	times []int64
	fates []Fate
	nums  []uint64
	quiet bool // pieces are not looked at
}

func newWire(tb testing.TB) *wire {
	tb.Helper()
	w := &wire{t: tb}
	w.a = New(w)
	return w
}

func (w *wire) Framed(f *Framed) {
	text := string(f.Text)
	flags := ""
	if f.AfterGap {
		flags += " after-gap"
	}
	if f.Truncated {
		flags += " truncated"
	}
	if f.Skipped > 0 {
		flags += fmt.Sprintf(" skipped=%d", f.Skipped)
	}
	line, _, _ := strings.Cut(text, "\r\n")
	w.log = append(w.log, fmt.Sprintf("%s (%d)%s", line, len(text), flags))
	w.texts = append(w.texts, text)
	w.times = append(w.times, f.Time)
	w.nums = append(w.nums, f.Frame)
	if w.quiet {
		return
	}
	var again []byte
	last := uint64(0)
	for _, p := range f.Pieces {
		if p.Loc.File == MadeFile {
			w.made(f)
			return
		}
		if p.Len == 0 || p.Loc.Off+int64(p.Len) > int64(len(w.file)) {
			w.t.Fatalf("piece %+v outside of the %d bytes of the capture", p, len(w.file))
		}
		again = append(again, w.file[p.Loc.Off:p.Loc.Off+int64(p.Len)]...)
		last = max(last, p.Seq)
	}
	if string(again) != text {
		w.t.Errorf("pieces give %q, text is %q", again, text)
	}
	if last != f.Frame {
		w.t.Errorf("frame is %d, pieces say %d", f.Frame, last)
	}
}

// made checks the pieces of a text that is not in the capture byte for byte.
func (w *wire) made(f *Framed) {
	size, last := 0, uint64(0)
	for _, p := range f.Pieces {
		size, last = size+int(p.Len), max(last, p.Seq)
	}
	if size != len(f.Text) || last != f.Frame {
		w.t.Errorf("pieces of %d bytes up to frame %d, text has %d, frame is %d", size, last, len(f.Text), f.Frame)
	}
}

func (w *wire) Gap(g *Gap) { w.log = append(w.log, fmt.Sprintf("gap %d", g.Bytes)) }

// send plays a segment and returns its fate.
func (w *wire) send(src, dst frame.Endpoint, seq, ack uint32, flags uint8, payload []byte, cut bool) Fate {
	w.frame++
	w.now += ms
	at := int64(len(w.file))
	w.file = append(w.file, payload...)
	s := Segment{
		Src: src, Dst: dst, Seq: seq, Ack: ack, Flags: flags, Payload: bytes.Clone(payload), Cut: cut,
		Frame: w.frame, Time: w.now,
	}
	if len(payload) > 0 {
		s.Pieces = []frame.Piece{{Seq: w.frame, Loc: capture.Loc{Off: at}, Len: uint32(len(payload))}}
	}
	fate := w.a.Add(&s)
	for i := range s.Payload {
		s.Payload[i] = 0xee // what is held must be a copy
	}
	w.fates = append(w.fates, fate)
	return fate
}

func msg(start string, headers ...string) string {
	return start + "\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\n" + strings.Join(headers, "") + "\r\n"
}

func withBody(start, contentType, body string, length int) string {
	h := ""
	if contentType != "" {
		h = "Content-Type: " + contentType + "\r\n"
	}
	if length >= 0 {
		h += fmt.Sprintf("Content-Length: %d\r\n", length)
	}
	return msg(start, h) + body
}

const (
	options = "OPTIONS sip:bob@example.com SIP/2.0"
	invite  = "INVITE sip:bob@example.com SIP/2.0"
	bye     = "BYE sip:bob@example.com SIP/2.0"
	ok200   = "SIP/2.0 200 OK"
	sdp     = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n"
	xml     = "<?xml version=\"1.0\"?>\n<presence entity=\"sip:a@b\"></presence>"
	sipfrag = "SIP/2.0 100 Trying\r\nVia: SIP/2.0/UDP x;branch=z9hG4bKq\r\nCall-ID: q\r\n\r\n"
)

func inviteText() string  { return withBody(invite, "application/sdp", sdp, len(sdp)) }
func optionsText() string { return msg(options, "Content-Length: 0\r\n") }
func byeText() string     { return msg(bye, "l: 0\r\n") }
func okText() string      { return msg(ok200, "Content-Length: 0\r\n") }

// framingCase is a stream of bytes and the messages in it, whatever the cuts.
type framingCase struct {
	name, stream string
	want         []string
}

var framingCases = []framingCase{
	{"one", inviteText(), []string{inviteText()}},
	{"several", inviteText() + okText() + byeText(), []string{inviteText(), okText(), byeText()}},
	{"crlf before and between", "\r\n\r\n" + okText() + "\r\n\r\n\r\n" + byeText() + "\r\n", []string{okText(), byeText()}},
	{
		"line feeds only", "OPTIONS sip:b SIP/2.0\nVia: SIP/2.0/TCP h\nl: 2\n\nhiBYE sip:b SIP/2.0\nl: 0\n\n",
		[]string{"OPTIONS sip:b SIP/2.0\nVia: SIP/2.0/TCP h\nl: 2\n\nhi", "BYE sip:b SIP/2.0\nl: 0\n\n"},
	},
	{
		"folded length", msg(options, "Content-Length:\r\n  3\r\n") + "abc" + byeText(),
		[]string{msg(options, "Content-Length:\r\n  3\r\n") + "abc", byeText()},
	},
	{"unknown method", msg("FLY sip:b SIP/2.0", "l: 0\r\n") + byeText(), []string{msg("FLY sip:b SIP/2.0", "l: 0\r\n"), byeText()}},
	{"no length, no type", msg(options) + byeText(), []string{msg(options), byeText()}},
	{
		"no length, a body", withBody(invite, "application/sdp", sdp, -1) + byeText(),
		[]string{withBody(invite, "application/sdp", sdp, -1), byeText()},
	},
	{
		"no length, a body at the end", withBody(invite, "application/sdp", sdp, -1),
		[]string{withBody(invite, "application/sdp", sdp, -1)},
	},
	{
		"unreadable length", msg(invite, "c: application/sdp\r\nl: many\r\n") + sdp + byeText(),
		[]string{msg(invite, "c: application/sdp\r\nl: many\r\n") + sdp, byeText()},
	},
	{
		"length too small", withBody(invite, "application/sdp", sdp, len(sdp)-5) + byeText(),
		[]string{strings.TrimSuffix(withBody(invite, "application/sdp", sdp, len(sdp)-5), "P 0\r\n"), byeText()},
	},
	{
		"length too small, no line end", withBody("NOTIFY sip:a SIP/2.0", "application/pidf+xml", xml, len(xml)-7) + okText(),
		[]string{strings.TrimSuffix(withBody("NOTIFY sip:a SIP/2.0", "application/pidf+xml", xml, len(xml)-7), "esence>"), okText()},
	},
	{
		"length too small, no line end, request", withBody("NOTIFY sip:a SIP/2.0", "application/pidf+xml", xml, len(xml)-7) + byeText(),
		[]string{strings.TrimSuffix(withBody("NOTIFY sip:a SIP/2.0", "application/pidf+xml", xml, len(xml)-7), "esence>"), byeText()},
	},
	{
		"length zero, a body", withBody(invite, "application/sdp", sdp, 0) + byeText(),
		[]string{withBody(invite, "application/sdp", "", 0), byeText()},
	},
	{
		"length too large by 2", withBody(invite, "application/sdp", sdp, len(sdp)+2) + byeText() + okText(),
		[]string{withBody(invite, "application/sdp", sdp, len(sdp)+2), byeText(), okText()},
	},
	{
		"length too large by 2, a response next", withBody(invite, "application/sdp", sdp, len(sdp)+2) + okText() + byeText(),
		[]string{withBody(invite, "application/sdp", sdp, len(sdp)+2), okText(), byeText()},
	},
	{
		"length too large by 20", withBody(invite, "application/sdp", sdp, len(sdp)+20) + byeText() + okText(),
		[]string{withBody(invite, "application/sdp", sdp, len(sdp)+20), byeText(), okText()},
	},
	{
		"length too large by 100", withBody(invite, "application/sdp", sdp, len(sdp)+100) + byeText() + okText(),
		[]string{withBody(invite, "application/sdp", sdp, len(sdp)+100), byeText(), okText()},
	},
	{
		"length far too large", withBody(invite, "application/sdp", sdp, 70000) + byeText() + okText(),
		[]string{withBody(invite, "application/sdp", sdp, 70000), byeText(), okText()},
	},
	{
		"length absurd", msg(invite, "c: application/sdp\r\nl: 1099511627776\r\n") + sdp + byeText() + okText(),
		[]string{msg(invite, "c: application/sdp\r\nl: 1099511627776\r\n") + sdp, byeText(), okText()},
	},
	{
		"length too large, text", withBody("MESSAGE sip:b SIP/2.0", "text/plain", "hello", 90) + "\r\n" + byeText() + okText(),
		[]string{withBody("MESSAGE sip:b SIP/2.0", "text/plain", "hello", 90) + "\r\n", byeText(), okText()},
	},
	{
		"sipfrag", withBody("NOTIFY sip:a SIP/2.0", "message/sipfrag;version=2.0", sipfrag, len(sipfrag)) + byeText(),
		[]string{withBody("NOTIFY sip:a SIP/2.0", "message/sipfrag;version=2.0", sipfrag, len(sipfrag)), byeText()},
	},
	{
		"sipfrag, one line", withBody("NOTIFY sip:a SIP/2.0", "message/sipfrag", "SIP/2.0 200 OK", 14) + okText(),
		[]string{withBody("NOTIFY sip:a SIP/2.0", "message/sipfrag", "SIP/2.0 200 OK", 14), okText()},
	},
	{
		"quoted in text", withBody("MESSAGE sip:b SIP/2.0", "text/plain", "see:\r\n"+byeText(), 6+len(byeText())) + byeText(),
		[]string{withBody("MESSAGE sip:b SIP/2.0", "text/plain", "see:\r\n"+byeText(), 6+len(byeText())), byeText()},
	},
	{
		"quoted in text, last", withBody("MESSAGE sip:b SIP/2.0", "text/plain", "see:\r\n"+byeText(), 6+len(byeText())),
		[]string{withBody("MESSAGE sip:b SIP/2.0", "text/plain", "see:\r\n"+byeText(), 6+len(byeText()))},
	},
	{
		"quoted in text, cut short", withBody("MESSAGE sip:b SIP/2.0", "text/plain", byeText()[:50], 50) + "\r\n" + okText(),
		[]string{withBody("MESSAGE sip:b SIP/2.0", "text/plain", byeText()[:50], 50), okText()},
	},
	{
		"text like a method", withBody("MESSAGE sip:b SIP/2.0", "text/plain", "BYE", 3) + byeText() + withBody("MESSAGE sip:b SIP/2.0", "text/plain", "IN", 2),
		[]string{withBody("MESSAGE sip:b SIP/2.0", "text/plain", "BYE", 3), byeText(), withBody("MESSAGE sip:b SIP/2.0", "text/plain", "IN", 2)},
	},
	{
		"no line end before a request", withBody("INFO sip:b SIP/2.0", "application/dtmf-relay", "Signal=5\r\nDuration=160", 22) + byeText(),
		[]string{withBody("INFO sip:b SIP/2.0", "application/dtmf-relay", "Signal=5\r\nDuration=160", 22), byeText()},
	},
	{"rubbish before", "GET / HTTP/1.1\r\nHost: a\r\n\r\nHTTP/1.1 200 OK\r\n\r\n" + okText() + byeText(), []string{okText(), byeText()}},
	{"binary before", "\x00\x01\x02\xff\xfe\r\n\x80" + okText() + byeText(), []string{okText(), byeText()}},
	{"rubbish between", okText() + "%%%%\r\nfoo bar\r\n" + byeText(), []string{okText(), byeText()}},
	{"http with sip after", "CONNECT p:5060 HTTP/1.1\r\n\r\n" + inviteText(), []string{inviteText()}},
	{
		"binary body", withBody(invite, "application/octet-stream", "\x00\r\n\r\n\xff\x00", 7) + byeText(),
		[]string{withBody(invite, "application/octet-stream", "\x00\r\n\r\n\xff\x00", 7), byeText()},
	},
}

func TestFraming(t *testing.T) {
	t.Parallel()
	for _, c := range framingCases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, size := range []int{len(c.stream), 1, 2, 3, 7, 100} {
				w := newWire(t)
				w.stream(1000, true, c.stream, size)
				w.a.Flush(w.frame, w.now)
				if d := cmp.Diff(c.want, w.texts); d != "" {
					t.Fatalf("segments of %d bytes (-want +got):\n%s", size, d)
				}
			}
			for i := range len(c.stream) {
				w := newWire(t)
				w.send(alice, bob, 999, 0, frame.SYN, nil, false)
				w.send(alice, bob, 1000, 0, frame.ACK, []byte(c.stream[:i]), false)
				w.send(alice, bob, 1000+uint32(i), 0, frame.ACK, []byte(c.stream[i:]), false)
				w.a.Flush(w.frame, w.now)
				if d := cmp.Diff(c.want, w.texts); d != "" {
					t.Fatalf("cut at %d (-want +got):\n%s", i, d)
				}
			}
		})
	}
}

// stream plays a text in segments of a size.
func (w *wire) stream(seq uint32, syn bool, text string, size int) {
	if syn {
		w.send(alice, bob, seq-1, 0, frame.SYN, nil, false)
	}
	for i := 0; i < len(text); i += size {
		part := text[i:min(i+size, len(text))]
		w.send(alice, bob, seq+uint32(i), 0, frame.ACK, []byte(part), false)
	}
}
