package stream

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sipscope/decode/frame"
)

// step is a segment from Alice to Bob, or something else that happens.
type step struct {
	seq   uint32
	text  string
	flags uint8
	cut   bool
	ack   uint32 // from Bob to Alice instead, acknowledging
	say   string // payload of that
	back  uint32 // sequence number of that
	wait  int64  // packet time that passes before
	want  Fate
}

func (w *wire) play(steps []step) {
	for i, s := range steps {
		w.now += s.wait
		var got Fate
		if s.ack != 0 {
			got = w.send(bob, alice, s.back, s.ack, frame.ACK|s.flags, []byte(s.say), false)
		} else {
			got = w.send(alice, bob, s.seq, 0, s.flags, []byte(s.text), s.cut)
		}
		if got != s.want {
			w.t.Errorf("step %d: %v, want %v", i, got, s.want)
		}
	}
}

func TestAssembler(t *testing.T) {
	t.Parallel()
	inv, opt, ok := inviteText(), optionsText(), okText()
	size := func(s string) uint32 { return uint32(len(s)) }
	head := func(s string) string { return strings.SplitN(s, "\r\n", 2)[0] + fmt.Sprintf(" (%d)", len(s)) }
	gap := func(n int) string { return fmt.Sprintf("gap %d", n) }
	wrap := ^uint32(0) - 20
	big := withBody("MESSAGE sip:b SIP/2.0", "text/plain", strings.Repeat("x", 200_000), 200_000)
	cases := []struct {
		name  string
		steps []step
		want  []string // before the end of the capture
		end   []string // after it
	}{
		{name: "handshake and message", steps: []step{
			{seq: 9, flags: frame.SYN, want: Empty}, {seq: 10, text: inv, want: Completed},
		}, want: []string{head(inv)}},
		{name: "SYN with data", steps: []step{{seq: 9, flags: frame.SYN, text: inv, want: Completed}}, want: []string{head(inv)}},
		{
			name: "many in one segment", steps: []step{{seq: 10, text: inv + opt + ok, want: Completed}},
			want: []string{head(inv), head(opt), head(ok)},
		},
		{name: "five bytes first", steps: []step{
			{seq: 10, text: inv[:5], want: Partial}, {seq: 15, text: inv[5:], want: Completed},
		}, want: []string{head(inv)}},
		{name: "end and beginning in one segment", steps: []step{
			{seq: 10, text: inv[:100], want: Partial},
			{seq: 110, text: inv[100:] + opt[:10], want: Completed},
			{seq: 10 + size(inv) + 10, text: opt[10:], want: Completed},
		}, want: []string{head(inv), head(opt)}},
		{name: "start in the middle", steps: []step{
			{seq: 10, text: inv[50:] + opt + ok[:9], want: Completed},
			{seq: 10 + size(inv) - 50 + size(opt) + 9, text: ok[9:], want: Completed},
		}, want: []string{head(opt) + fmt.Sprintf(" skipped=%d", len(inv)-50), head(ok)}},
		{name: "start in the middle, then a start line over two segments", steps: []step{
			{seq: 10, text: sdp[20:] + opt[:20], want: NotSIP}, {seq: 10 + size(sdp), text: opt[20:], want: Completed},
		}, want: []string{head(opt) + fmt.Sprintf(" skipped=%d", len(sdp)-20)}},
		{name: "start in the middle of a sipfrag", steps: []step{
			{seq: 10, text: "SIP/2.0 200 OK\r\n" + opt, want: Completed},
		}, want: []string{head(opt) + " skipped=16"}},
		{name: "first two swapped, no SYN", steps: []step{
			{seq: 10 + size(inv), text: opt, want: Completed},
			{seq: 10, text: inv, want: Completed},
			{seq: 10, text: inv, want: Duplicate},
		}, want: []string{head(opt), head(inv)}},
		{name: "reordered", steps: []step{
			{seq: 9, flags: frame.SYN, want: Empty},
			{seq: 210, text: inv[200:], want: Held},
			{seq: 110, text: inv[100:200], want: Held},
			{seq: 10, text: inv[:100], want: Completed},
		}, want: []string{head(inv)}},
		{name: "retransmitted", steps: []step{
			{seq: 10, text: inv[:100], want: Partial},
			{seq: 10, text: inv[:100], want: Duplicate},
			{seq: 110, text: inv[100:], want: Completed},
			{seq: 10, text: inv, want: Duplicate},
		}, want: []string{head(inv)}},
		{name: "retransmitted with other boundaries", steps: []step{
			{seq: 10, text: inv[:100], want: Partial},
			{seq: 60, text: inv[50:150], want: Partial},
			{seq: 110, text: inv[100:], want: Completed},
		}, want: []string{head(inv)}},
		{name: "overlap with other bytes: the first win", steps: []step{
			{seq: 10, text: inv[:100], want: Partial},
			{seq: 60, text: strings.Repeat("#", 50) + inv[100:], want: Completed},
		}, want: []string{head(inv)}},
		{name: "overlap behind a hole", steps: []step{
			{seq: 10, text: inv[:50], want: Partial},
			{seq: 110, text: inv[100:200], want: Held},
			{seq: 110, text: inv[100:200], want: Duplicate},
			{seq: 90, text: inv[80:120], want: Held},
			{seq: 150, text: "####" + inv[144:], want: Held},
			{seq: 60, text: inv[50:90], want: Completed},
		}, want: []string{head(inv)}},
		{name: "sequence numbers wrap", steps: []step{
			{seq: wrap, text: inv[:100], want: Partial},
			{seq: wrap + 200, text: inv[200:], want: Held},
			{seq: wrap + 100, text: inv[100:200], want: Completed},
		}, want: []string{head(inv)}},
		{name: "keep-alives", steps: []step{
			{seq: 10, text: "\r\n\r\n", want: KeepAlive},
			{seq: 14, text: opt + "\r\n", want: Completed},
			{seq: 16 + size(opt), text: "\r\n", want: KeepAlive},
			{seq: 17 + size(opt), text: "", flags: frame.ACK, want: KeepAlive},
			{seq: 17 + size(opt), text: "\n", flags: frame.ACK, want: KeepAlive},
			{seq: 18 + size(opt), flags: frame.ACK, want: Empty},
			{seq: 18 + size(opt), text: ok, want: Completed},
		}, want: []string{head(opt), head(ok)}},
		{name: "line ends within a message are none", steps: []step{
			{seq: 10, text: opt[:len(opt)-2], want: Partial}, {seq: 10 + size(opt) - 2, text: "\r\n", want: Completed},
		}, want: []string{head(opt)}},
		{name: "loss, decided by time", steps: []step{
			{seq: 10, text: opt, want: Completed},
			{seq: 1010, text: ok, want: Held},
			{seq: 1010 + size(ok), text: opt, wait: 4 * sec, want: Completed},
		}, want: []string{head(opt), gap(1000 - len(opt)), head(ok) + " after-gap", head(opt)}},
		{name: "loss, decided by the ACK", steps: []step{
			{seq: 10, text: opt, want: Completed},
			{seq: 1010, text: ok, want: Held},
			{ack: 1010 + size(ok), back: 5, want: Empty},
			{ack: 1010 + size(ok), back: 5, wait: 60 * ms, want: Empty},
		}, want: []string{head(opt), gap(1000 - len(opt)), head(ok) + " after-gap"}},
		{name: "late, but not lost", steps: []step{
			{seq: 10, text: opt, want: Completed},
			{seq: 10 + size(opt) + size(inv), text: ok, want: Held},
			{seq: 10 + size(opt), text: inv, wait: 2 * sec, want: Completed},
		}, want: []string{head(opt), head(inv), head(ok)}},
		{name: "loss in a body", steps: []step{
			{seq: 10, text: inv[:size(inv)-50], want: Partial}, {seq: 10 + size(inv), text: opt, want: Held},
		}, want: nil, end: []string{
			fmt.Sprintf("%s (%d) truncated", invite, len(inv)-50), gap(50),
			head(opt) + " after-gap",
		}},
		{name: "loss in a head", steps: []step{
			{seq: 10, text: opt + inv[:80], want: Completed}, {seq: 10 + size(opt) + 100, text: inv[100:] + ok, want: Held},
		}, want: []string{head(opt)}, end: []string{
			gap(20), head(ok) + fmt.Sprintf(" after-gap skipped=%d", 80+len(inv)-100),
		}},
		{name: "loss, then the middle of a message", steps: []step{
			{seq: 10, text: opt, want: Completed}, {seq: 500, text: xml + ok, want: Held},
		}, want: []string{head(opt)}, end: []string{
			gap(490 - len(opt)), head(ok) + fmt.Sprintf(" after-gap skipped=%d", len(xml)),
		}},
		{name: "loss at the end, acknowledged", steps: []step{
			{seq: 10, text: opt, want: Completed}, {ack: 10 + size(opt) + 700, back: 5, want: Empty},
		}, want: []string{head(opt)}, end: []string{gap(700)}},
		{name: "cut by the snaplen", steps: []step{
			{seq: 10, text: inv[:200], cut: true, want: Completed},
			{seq: 10 + size(inv), text: ok[:40], cut: true, want: NotSIP},
			{seq: 10 + size(inv) + size(ok), text: opt, want: Completed},
		}, want: []string{
			"INVITE sip:bob@example.com SIP/2.0 (200) truncated", head(opt) + " skipped=40",
		}},
		{
			name: "end of the capture in a body", steps: []step{{seq: 10, text: inv[:len(inv)-9], want: Partial}},
			end: []string{fmt.Sprintf("%s (%d) truncated", invite, len(inv)-9)},
		},
		{name: "end of the capture in a head", steps: []step{{seq: 10, text: inv[:90], want: Partial}}},
		{name: "FIN ends a body without length", steps: []step{
			{seq: 10, text: withBody(invite, "application/sdp", sdp, -1), flags: frame.FIN, want: Completed},
		}, want: []string{head(withBody(invite, "application/sdp", sdp, -1))}},
		{name: "FIN overtakes", steps: []step{
			{seq: 10, text: inv[:100], want: Partial},
			{seq: 10 + size(inv), flags: frame.FIN, want: Empty},
			{seq: 110, text: inv[100:], want: Completed},
		}, want: []string{head(inv)}},
		{name: "an answer settles a body without length", steps: []step{
			{seq: 10, text: withBody(invite, "application/sdp", sdp, -1), want: Partial},
			{ack: 10, back: 77, say: ok, want: Completed},
		}, want: []string{head(withBody(invite, "application/sdp", sdp, -1)), head(ok)}},
		{name: "time settles a body without length", steps: []step{
			{seq: 10, text: withBody(invite, "application/sdp", sdp, -1), want: Partial},
			{ack: 10, back: 77, wait: sec, want: Empty},
		}, want: []string{head(withBody(invite, "application/sdp", sdp, -1))}},
		{name: "RST, then a retransmission", steps: []step{
			{seq: 10, text: opt + inv[:len(inv)-9], want: Completed},
			{seq: 10 + size(opt) + size(inv) - 9, text: "bad", flags: frame.RST, want: Completed},
			{seq: 10, text: opt, want: Duplicate},
		}, want: []string{head(opt), fmt.Sprintf("%s (%d) truncated", invite, len(inv)-9)}},
		{name: "forged RST", steps: []step{
			{seq: 10, text: inv[:50], want: Partial},
			{seq: 1 << 30, flags: frame.RST, want: Empty},
			{seq: 60, text: inv[50:], want: Completed},
		}, want: []string{head(inv)}},
		{name: "same ports again", steps: []step{
			{seq: 9, flags: frame.SYN, want: Empty},
			{seq: 10, text: inv[:len(inv)-9], want: Partial},
			{seq: 7_000_000, flags: frame.SYN, want: Completed},
			{seq: 7_000_001, text: opt, want: Completed},
		}, want: []string{fmt.Sprintf("%s (%d) truncated", invite, len(inv)-9), head(opt)}},
		{name: "same ports again, SYN not seen", steps: []step{
			{seq: 10, text: opt, want: Completed}, {seq: 3_000_000_000, text: ok, want: Completed},
		}, want: []string{head(opt), gap(0), head(ok) + " after-gap"}},
		{name: "SYN again", steps: []step{
			{seq: 9, flags: frame.SYN, want: Empty},
			{seq: 10, text: inv[:50], want: Partial},
			{seq: 9, flags: frame.SYN, want: Empty},
			{seq: 60, text: inv[50:], want: Completed},
		}, want: []string{head(inv)}},
		{name: "SYN overtaken by data", steps: []step{
			{seq: 10, text: inv[:50], want: Partial},
			{seq: 9, flags: frame.SYN, want: Empty},
			{seq: 60, text: inv[50:], want: Completed},
		}, want: []string{head(inv)}},
		{name: "TLS", steps: []step{
			{seq: 10, text: "\x16\x03\x01\x02\x00\x01", want: NotSIP},
			{seq: 5000, text: "\x17\x03\x03rest", want: NotSIP},
			{seq: 9000, text: "continued", want: NotSIP},
		}},
		{name: "SIP after something else", steps: []step{
			{seq: 10, text: "\x16\x03\x01\x02\x00\x01", want: NotSIP}, {seq: 16, text: opt, want: Completed},
		}, want: []string{head(opt)}},
		{name: "large body", steps: []step{
			{seq: 10, text: big[:60000], want: Partial},
			{seq: 60010, text: big[60000:120000], want: Partial},
			{seq: 120010, text: big[120000:180000], want: Partial},
			{seq: 180010, text: big[180000:] + opt, want: Completed},
		}, want: []string{head(big), head(opt)}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWire(t)
			w.play(c.steps)
			if d := cmp.Diff(c.want, w.log); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
			n := len(w.log)
			w.a.Flush(w.frame, w.now)
			if d := cmp.Diff(strings.Join(c.end, "\n"), strings.Join(w.log[n:], "\n")); d != "" {
				t.Errorf("at the end (-want +got):\n%s", d)
			}
			if w.a.Bytes() != 0 || w.a.Flows() != 0 {
				t.Errorf("%d bytes, %d flows are left", w.a.Bytes(), w.a.Flows())
			}
		})
	}
}
