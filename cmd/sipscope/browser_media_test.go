package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// The media of a call in a report: its rows in the ladder, the table of its streams, and a chart of each.
func TestBrowserMedia(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	out := filepath.Join(t.TempDir(), "report.html")
	sipscopeRun(t, "report", pcap("media-faults.pcap"), "-o", out)
	b.open(fileURL(out), 1280, 2000)
	b.until(`document.querySelectorAll('.canvas.drawn[data-chart="mos"] canvas, .canvas.drawn[data-chart="media-loss"] canvas').length === 2`)
	if got := b.text(".facttables"); !strings.Contains(got, "RTP streams") {
		t.Errorf("the overview says nothing of RTP: %s", got)
	}
	b.shot("media-overview")
	b.open(fileURL(out)+"#call=1", 1280, 1600)
	b.until(`document.querySelectorAll('.streams tbody tr').length > 0`)
	if n := eval[int](b, `document.querySelectorAll('.ladderbody .row.stream').length`); n == 0 {
		t.Error("the ladder has no row of media")
	}
	b.shot("media-call")
	b.js(`document.querySelector('details.overtime').open = true`)
	b.until(`document.querySelectorAll('.overtime .canvas.drawn canvas').length > 0`)
	b.shot("media-charts")
	// a chart must not be empty: some pixel is neither transparent nor of one colour with all others
	const pixels = `(() => { const c = document.querySelector('.overtime canvas'); const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
		const seen = new Set(); for (let i = 0; i < d.length; i += 4) seen.add(d[i] << 16 | d[i + 1] << 8 | d[i + 2]); return seen.size; })()`
	if n := eval[int](b, pixels); n < 3 {
		t.Errorf("the chart of a stream has %d colours", n)
	}
	b.js(`document.querySelector('#theme').click()`)
	b.shot("media-charts-dark")
	b.quiet("file://")
}
