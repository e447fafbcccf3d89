package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestTmuxDiff compares two calls of the list in a real terminal: row by row, then two of their messages, saved as a
// file, and at last one call with itself from hop to hop.
func TestTmuxDiff(t *testing.T) {
	t.Parallel()
	for _, size := range []struct{ w, h int }{{80, 24}, {120, 40}, {200, 50}} {
		t.Run(fmt.Sprintf("%dx%d", size.w, size.h), func(t *testing.T) {
			t.Parallel()
			x := newTerminal(t, size.w, size.h, "sipscope ../../testdata/pcaps/failures.pcap")
			x.wait(`1 of 5 calls(.|\n)*F1 Help`)
			x.keys("=")
			x.wait(`select the call to compare this one with`)
			x.keys("Space", "=") // Space goes on to the next call
			x.wait(`diff · call 1 · call 2(.|\n)*DIFFERS(.|\n)*▶✗`)
			x.keep(fmt.Sprintf("9-diff-%dx%d", size.w, size.h))
			x.keys("n")
			x.wait(`\n 3/7 `)
			x.keys("N", "Enter")
			x.wait(`compare · call 1 message 1 · call 2 message 1(.|\n)*differences`)
			x.keys("q", "d")
			x.wait(`DIFFERS(.|\n)*\n 1/6 `)
			out := filepath.Join(t.TempDir(), "diff.json")
			x.keys("s")
			x.wait(`save as`)
			x.keys("C-u", "text:"+out, "Enter")
			x.wait(`saved to`)
			if b, err := os.ReadFile(out); err != nil || !json.Valid(b) {
				t.Errorf("%s: %v, %.200s", out, err, b)
			}
			for _, to := range [][2]string{{"40", "10"}, {"20", "6"}, {"200", "60"}, {"80", "24"}} {
				x.tmux("resize-window", "-x", to[0], "-y", to[1])
				time.Sleep(50 * time.Millisecond)
			}
			x.wait(`DIFFERS(.|\n)*Esc Back`)
			x.keys("q", "BSpace", "Home", "Enter")
			x.wait(`Esc Back F1 Help.*Extended`)
			x.keys("=")
			x.wait(`hops · call`)
			x.keys("q", "q", "q")
			x.wait(`rc=0\n +echo`)
		})
	}
}

// TestTmuxDiffCommand compares two captures from the command line: quitting gives the verdict.
func TestTmuxDiffCommand(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, args, shown, rc string }{
		{"same", "cancel.pcap cancel.pcap", `SAME`, `rc=0\n +echo`},
		{"differs", "cancel.pcap two-proxies.pcap", `DIFFERS`, `rc=1\n +echo`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			x := newTerminal(t, 100, 30, "cd ../../testdata/pcaps && sipscope diff --tui "+tt.args)
			x.wait(tt.shown + `(.|\n)*Esc Quit`)
			x.keys("q")
			x.wait(tt.rc)
		})
	}
}
