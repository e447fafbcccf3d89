package main

import (
	"fmt"
	"testing"
)

// TestTmuxMedia looks at the streams of a capture: the list, one of them, its call, and from a row of media back.
func TestTmuxMedia(t *testing.T) {
	t.Parallel()
	for _, size := range []struct{ w, h int }{{80, 24}, {120, 40}} {
		t.Run(fmt.Sprintf("%dx%d", size.w, size.h), func(t *testing.T) {
			t.Parallel()
			name := func(what string) string { return fmt.Sprintf("%s-%dx%d", what, size.w, size.h) }
			x := newTerminal(t, size.w, size.h, "sipscope ../../testdata/pcaps/media-dtmf.pcap")
			x.wait(`F1 Help`)
			x.keys("M")
			x.wait(`all streams(.|\n)*packets(.|\n)*stream 1 of`)
			x.keep(name("9-streams"))
			x.keys("F1", "End")
			x.wait(`the ladder of the stream's call`)
			x.keys("q")
			x.wait(`stream 1 of`)
			x.keys("Enter")
			x.wait(`found by +SDP`)
			x.keep(name("10-stream"))
			x.keys("Enter")
			x.wait(`RTP (.|\n)*══`)
			x.keep(name("11-media-ladder"))
			x.keys("F3")
			x.wait(`no media rows`)
			x.keys("F3", "J")
			x.wait(`streams of call 1`)
			x.keys("q", "q", "q", "q", "q")
			x.wait(`rc=0\n +echo`)
		})
	}
}
