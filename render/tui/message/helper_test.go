package message

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/gdamore/tcell/v2"
	"go.uber.org/goleak"

	"sipscope/correlate"
	"sipscope/decode"
	"sipscope/render/ladder/laddertest"
	"sipscope/render/text"
	"sipscope/render/tui/term"
	"sipscope/render/tui/term/termtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// crlf gives a text the line ends of the wire, and its length where it says LENGTH.
func crlf(s string) []byte {
	s = strings.ReplaceAll(strings.TrimPrefix(s, "\n"), "\n", "\r\n")
	_, body, _ := strings.Cut(s, "\r\n\r\n")
	return []byte(strings.Replace(s, "LENGTH", strconv.Itoa(len(body)), 1))
}

// invite is a request with a session description.
func invite() []byte {
	return crlf(`
INVITE sip:bob@b.example;transport=udp SIP/2.0
Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bK776asdhds;rport
Via: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKother;received=192.0.2.7
Max-Forwards: 70
f: "Alice A." <sip:alice@a.example>;tag=1928301774
t: Bob <sip:bob@b.example>
Call-ID: a84b4c76e66710@pc33.a.example
CSeq: 314159 INVITE
Contact: <sip:alice@10.0.0.1>
Content-Type: application/sdp
Content-Length: LENGTH

v=0
o=alice 2890844526 2890844526 IN IP4 10.0.0.1
s=-
c=IN IP4 10.0.0.1
t=0 0
m=audio 49170 RTP/AVP 0 8
a=rtpmap:0 PCMU/8000
`)
}

// departing departs from the grammar in several places: a blank before a colon, line ends, a Content-Length that lies,
// no Max-Forwards.
func departing() []byte {
	return []byte("OPTIONS sip:bob@b.example SIP/2.0\r\nVia : SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa\n" +
		"From: <sip:a@a.example>;tag=1\r\nTo: <sip:bob@b.example>\r\nCall-ID: x@y\r\nCSeq: 1 OPTIONS\r\n" +
		"Subject: one\r\n two folded\r\nno header at all\r\nContent-Length: 99\r\n\r\nbody\r\n")
}

// long has a header that is longer than any screen is wide.
func long() []byte {
	return []byte("MESSAGE sip:bob@b.example SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKa\r\nP-Long: start;" +
		strings.Repeat("parameter=0123456789;", 20) + "end\r\nSubject: " + strings.Repeat("中文", 40) +
		"\r\nContent-Length: 0\r\n\r\n")
}

// binary has a body of all bytes.
func binary() []byte {
	b := []byte("MESSAGE sip:bob@b.example SIP/2.0\r\nContent-Type: application/octet-stream\r\nContent-Length: 256\r\n\r\n")
	for i := range 256 {
		b = append(b, byte(i))
	}
	return b
}

// hostile attacks who draws it: escape sequences, overrides of the direction, zero-width runs, piles of marks.
func hostile() []byte {
	return []byte("INVITE sip:\x1b]0;owned\x07@b.example SIP/2.0\r\nFrom: \"\u202eevil\u202c \x1b[2J\" <sip:x@y>;tag=\u200b\u200b\u200b1\r\n" +
		"To: e" + strings.Repeat("\u0301", 40) + "\u0903x <sip:\x00\xff\xfe@z>\r\nSubject: \u2066\ufeff" + strings.Repeat("\u200d", 100) + "中\ufe0f🇩🇪🇫\r\n" +
		"X\x9b31m: \u0e33\u0e33\u102b\u102c\u1038\r\nContent-Length: 0\r\n\r\n")
}

// notSIP is no message.
func notSIP() []byte { return []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n") }

// sizes of the goldens.
func sizes() [][2]int { return [][2]int{{40, 10}, {80, 24}, {120, 40}} }

// drawn gives what draw draws at all sizes, in Unicode and in ASCII.
func drawn(t *testing.T, draw func(c *term.Canvas)) string {
	t.Helper()
	var b strings.Builder
	for _, size := range sizes() {
		for _, ascii := range []bool{false, true} {
			s := termtest.NewScreen(t, size[0], size[1])
			c := term.NewCanvas(s, termtest.Theme(), ascii)
			c.Clear()
			draw(c)
			s.Show()
			fmt.Fprintf(&b, "=== ascii %t, %s", ascii, termtest.Dump(s))
		}
	}
	return b.String()
}

// screen gives the lines of a drawing in Unicode, without styles and blank ends.
func screen(t *testing.T, w, h int, draw func(c *term.Canvas)) []string {
	t.Helper()
	s := termtest.NewScreen(t, w, h)
	c := term.NewCanvas(s, termtest.Theme(), false)
	c.Clear()
	draw(c)
	s.Show()
	all, _, _ := strings.Cut(termtest.Dump(s), "--- styles\n")
	return strings.Split(strings.TrimSuffix(all, "\n"), "\n")[1:]
}

// callOf is a call of these messages, between two hosts in turn.
func callOf(num uint32, texts ...[]byte) *correlate.Call {
	c := &correlate.Call{Summary: correlate.Summary{Num: num, CallID: fmt.Sprintf("call-%d@example", num)}}
	a, b := laddertest.Endpoint("10.0.0.1:5060"), laddertest.Endpoint("[2001:db8::2]:5060")
	for i := range texts {
		m := correlate.Message{
			Seq: uint64(i*7 + 1), Time: laddertest.Start + int64(i)*1_234_567, Src: a, Dst: b, Transport: decode.UDP,
			Txn: -1, Dialog: -1, Repeats: -1, Copy: 1,
		}
		a, b = b, a
		c.Messages = append(c.Messages, m)
	}
	return c
}

// hostOf shows calls and their texts; a nil text cannot be read.
func hostOf(texts map[uint32][][]byte) *termtest.Host {
	return termtest.NewHost(term.Data{
		Source: "made.pcap",
		Text: func(call *correlate.Call, message int) []byte {
			if all := texts[call.Num]; message < len(all) {
				return all[message]
			}
			return nil
		},
	})
}

// viewOf shows the first message of a call.
func viewOf(texts ...[]byte) (*View, *termtest.Host) {
	h := hostOf(map[uint32][][]byte{3: texts})
	return NewView(h, callOf(3, texts...), 0), h
}

// compareOf compares two texts.
func compareOf(a, b []byte) (*CompareView, *termtest.Host) {
	h := hostOf(map[uint32][][]byte{3: {a}, 4: {b}})
	return NewCompare(h, term.Comparison{A: term.MessageRef{Call: callOf(3, a)}, B: term.MessageRef{Call: callOf(4, b)}}), h
}

// within draws inside a screen that is a cell larger on each side, and fails when the margin was touched or something
// is on the screen that is not clean.
func within(tb testing.TB, s tcell.SimulationScreen, w, h int, ascii bool, draw func(c *term.Canvas)) {
	tb.Helper()
	s.SetSize(w+2, h+2)
	s.Clear()
	outer := term.NewCanvas(s, termtest.Theme(), ascii)
	outer.Fill(0, 0, w+2, h+2, term.Bar)
	mark := termtest.Theme().Style(term.Bar)
	c := outer.Sub(1, 1, w, h)
	c.Clear()
	draw(c)
	for y := range h + 2 {
		for x := 0; x < w+2; {
			str, st, n := s.Get(x, y)
			inside := x >= 1 && x <= w && y >= 1 && y <= h
			if !inside && (str != " " || st != mark) {
				tb.Fatalf("%d x %d: %q at %d,%d is outside", w, h, str, x-1, y-1)
			}
			if text.Clean("x"+str) != "x"+str || ascii && str != text.CleanASCII(str) { // a mark may have a cell of its own
				tb.Fatalf("%d x %d: %q at %d,%d is not clean", w, h, str, x-1, y-1)
			}
			x += max(n, 1)
		}
	}
}
