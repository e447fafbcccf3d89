package message

import (
	"testing"

	"sipscope/correlate"
	"sipscope/decode"
)

func TestHead(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		set   func(m *correlate.Message)
		ascii bool
		want  string
	}{
		{"plain", func(*correlate.Message) {}, false, "frame 8 · [2001:db8::2]:5060 → 10.0.0.1:5060 UDP · 12:00:01.001234"},
		{"ascii", func(*correlate.Message) {}, true, "frame 8; [2001:db8::2]:5060 -> 10.0.0.1:5060 UDP; 12:00:01.001234"},
		{
			"retransmission", func(m *correlate.Message) { m.Repeats, m.Interval = 0, 500_000_000 }, false,
			"frame 8 · [2001:db8::2]:5060 → 10.0.0.1:5060 UDP · 12:00:01.001234 · sent again after 500 ms, first in frame 1",
		},
		{
			"interval unknown", func(m *correlate.Message) { m.Repeats = 0 }, true,
			"frame 8; [2001:db8::2]:5060 -> 10.0.0.1:5060 UDP; 12:00:01.001234; sent again, first in frame 1",
		},
		{
			"tap", func(m *correlate.Message) { m.Repeats, m.Flags = 0, decode.TapDuplicate }, true,
			"frame 8; [2001:db8::2]:5060 -> 10.0.0.1:5060 UDP; 12:00:01.001234; seen twice by the tap, first in frame 1",
		},
		{
			"proxied", func(m *correlate.Message) { m.Copy, m.Transport = 3, decode.TLS }, true,
			"frame 8; [2001:db8::2]:5060 -> 10.0.0.1:5060 TLS; 12:00:01.001234; copy 3 on its path",
		},
		{
			"stream", func(m *correlate.Message) { m.Flags = decode.Reassembled | decode.AfterGap | decode.Truncated }, true,
			"frame 8; [2001:db8::2]:5060 -> 10.0.0.1:5060 UDP; 12:00:01.001234; not whole; after a hole in the stream; " +
				"out of several frames",
		},
		{
			"nonsense", func(m *correlate.Message) { m.Repeats = 99 }, true,
			"frame 8; [2001:db8::2]:5060 -> 10.0.0.1:5060 UDP; 12:00:01.001234",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := callOf(3, nil, nil)
			tt.set(&c.Messages[1])
			if got := Head(c, 1, tt.ascii); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
	for _, i := range []int{-1, 2} {
		if got := Head(callOf(3, nil, nil), i, false); got != "" {
			t.Errorf("message %d: %q", i, got)
		}
	}
	if got := Head(nil, 0, false); got != "" {
		t.Errorf("no call: %q", got)
	}
}
