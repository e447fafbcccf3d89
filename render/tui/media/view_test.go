package media

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sipscope/correlate/media"
	"sipscope/correlate/media/dtmf"
	"sipscope/correlate/media/judge"
	"sipscope/render/export"
	"sipscope/render/tui/keymap"
	"sipscope/render/tui/term"
	"sipscope/render/tui/term/termtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open shows the streams of a capture of the project.
func open(tb testing.TB, name string) (*View, *termtest.Host) {
	tb.Helper()
	d := termtest.Load(tb, filepath.Join("..", "..", "..", "testdata", "pcaps", name))
	d.Source = name
	h := termtest.NewHost(d)
	v := New(h, nil)
	h.RunQueue()
	return v, h
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, pcap string
		w, h       int
		ascii      bool
		do         []keymap.Action
	}{
		{name: "list-80x24", pcap: "media-faults.pcap", w: 80, h: 24},
		{name: "list-120x40", pcap: "media-faults.pcap", w: 120, h: 40, do: []keymap.Action{keymap.Down, keymap.SortNext, keymap.SortSwap}},
		{name: "list-120x20-ascii", pcap: "media-dtmf.pcap", w: 120, h: 20, ascii: true, do: []keymap.Action{keymap.Layout, keymap.Layout}},
		{name: "list-30x10", pcap: "media-dtmf.pcap", w: 30, h: 10},
		{name: "none-80x24", pcap: "two-proxies.pcap", w: 80, h: 24},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v, h := open(t, tt.pcap)
			h.S.ASCII = tt.ascii
			for _, a := range tt.do {
				termtest.Draw(t, v, tt.w, tt.h, tt.ascii)
				v.Do(a)
			}
			got := termtest.Draw(t, v, tt.w, tt.h, tt.ascii)
			termtest.Golden(t, tt.name, "title  "+v.Title()+"\nstatus "+v.Status()+"\n"+got)
		})
	}
}

// The figures of one stream, and of the next.
func TestDetail(t *testing.T) {
	t.Parallel()
	v, h := open(t, "media-dtmf.pcap")
	h.D.Findings = func(uint32) []judge.Finding {
		return []judge.Finding{{Code: judge.OneWay, Severity: judge.Error, Text: "nobody hears anybody", Frames: []uint64{7}}}
	}
	d := &detail{list: v}
	termtest.Draw(t, d, 100, 60, false)
	h.RunQueue() // the findings
	got := termtest.Draw(t, d, 100, 60, false)
	termtest.Golden(t, "detail-100x60", "title  "+d.Title()+"\nstatus "+d.Status()+"\n"+got)
	for _, want := range []string{"nobody hears anybody, frame 7", "packets/s", "SSRC"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q", want)
		}
	}
	before := v.cursor
	d.Do(keymap.NextMessage)
	if len(v.rows) > 1 && v.cursor == before {
		t.Error("the next stream is the same")
	}
	d.Do(keymap.PrevMessage)
	if v.cursor != before {
		t.Errorf("back at %d, want %d", v.cursor, before)
	}
	d.Do(keymap.Open)
	if !slices.Equal(h.Opened, []string{"calls"}) {
		t.Errorf("Enter opened %q", h.Opened)
	}
}

// The list keeps its cursor on a stream when others come, and asks for news only while there may be any.
func TestLive(t *testing.T) {
	t.Parallel()
	v, h := open(t, "media-faults.pcap")
	termtest.Draw(t, v, 100, 30, false)
	v.Do(keymap.Down)
	h.Async = true
	at := v.current().Num
	fresh := append([]media.Stream{{Num: 4000, First: 1, MOS: 1}}, h.D.Streams(0)...)
	v.install(fresh, false)
	if got := v.current().Num; got != at {
		t.Errorf("the cursor went from stream %d to %d", at, got)
	}
	if !v.Tick(time.Unix(100, 0)) {
		t.Error("new rows are not drawn")
	}
	if len(h.Queue) != 1 {
		t.Errorf("%d jobs, want one that looks for news", len(h.Queue))
	}
	h.RunQueue()
	if !v.final {
		t.Error("the capture was read, and still it looks for news")
	}
	v.Tick(time.Unix(200, 0))
	if len(h.Queue) != 0 {
		t.Error("it looks for news after the end")
	}
	v.Do(keymap.Bottom)
	v.Do(keymap.ToCall)
	if !slices.Equal(h.Opened, []string{"calls"}) {
		t.Errorf("opened %q", h.Opened)
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	v, h := open(t, "media-faults.pcap")
	last := v.rows[len(v.rows)-1]
	v.Search(strings.ToUpper(export.SSRC(last.SSRC)[2:]), false, false)
	if got := v.current(); got.SSRC != last.SSRC {
		t.Errorf("found %x", got.SSRC)
	}
	v.Search("no such stream", true, false)
	if !strings.Contains(strings.Join(h.Said, "\n"), "no such stream") {
		t.Errorf("said %q", h.Said)
	}
}

// hostile is a stream as nobody would send it.
func hostile() media.Stream {
	s := media.Stream{
		Num: math.MaxUint32, SSRC: math.MaxUint32, Type: "\x1b]0;x\x07", Message: math.MaxInt, Medium: math.MaxInt, Call: 9,
		Payloads: []media.Payload{{PT: 255, Name: strings.Repeat("\x1b[2J\u202e", 5000), Clock: math.MaxUint32, Packets: math.MaxUint64}},
		Packets:  math.MaxUint64, Expected: math.MaxUint64, Missing: math.MaxUint64, Lost: math.MinInt64, First: math.MinInt64,
		Last: math.MaxInt64, Jitter: math.MinInt64, MeanJitter: math.MaxInt64, MaxJitter: math.MaxInt64, Skew: math.Inf(1),
		MOS: math.NaN(), R: math.Inf(-1), MaxGap: math.MaxInt64, MaxGapAt: math.MinInt64, PTime: math.MaxInt64,
		Seconds: []media.Second{
			{At: math.MinInt32, Packets: 1}, {At: math.MaxInt32, Packets: math.MaxUint32, Lost: math.MaxUint32, Jitter: math.MaxUint32}, {At: 3},
		},
		Presses: slices.Repeat([]dtmf.Press{{Digit: 0x1b, Start: math.MinInt64, Duration: math.MaxInt64}}, 200),
	}
	s.Reports.CNAME = strings.Repeat("\x07\x1b]52;c;x\x07", 5000)
	s.Reports.Sender, s.Reports.Receiver, s.Reports.Points = 1, 1, make([]media.Point, 1000)
	return s
}

// Nothing that a stream says may break the screen, whatever its size.
func TestHostile(t *testing.T) {
	t.Parallel()
	last := hostile()
	last.Seconds = append(last.Seconds, media.Second{At: math.MaxInt32})
	for _, size := range [][2]int{{1, 1}, {7, 3}, {30, 5}, {80, 24}, {200, 60}} {
		h := termtest.NewHost(term.Data{Source: "x", Streams: func(uint32) []media.Stream { return []media.Stream{hostile(), last} }})
		v := New(h, []uint32{0, 1, 2})
		h.RunQueue()
		for _, a := range []keymap.Action{keymap.Layout, keymap.Layout, keymap.SortPrev, keymap.Bottom} {
			v.Do(a)
			got := termtest.Draw(t, v, size[0], size[1], false)
			if strings.ContainsAny(got, "\x1b\x07\u202e") {
				t.Fatalf("a control character at %v", size)
			}
		}
		d := &detail{list: v}
		got := termtest.Draw(t, d, size[0], size[1], true)
		if strings.ContainsAny(got, "\x1b\x07\u202e") {
			t.Fatalf("a control character at %v", size)
		}
	}
}

func TestSpark(t *testing.T) {
	t.Parallel()
	s := media.Stream{Seconds: []media.Second{{At: 0, Packets: 50, Jitter: 8000}, {At: 1, Packets: 25}, {At: 3, Packets: 50, Lost: 9}}}
	for _, tt := range []struct {
		k    series
		w    int
		want []float64
	}{
		{ofPackets, 4, []float64{50, 25, 0, 50}},
		{ofPackets, 2, []float64{25, 0}},
		{ofPackets, 100, []float64{50, 25, 0, 50}},
		{ofLoss, 2, []float64{0, 9}},
		{ofJitter, 1, []float64{8}},
		{ofJitter, 0, nil},
	} {
		if got := buckets(&s, tt.k, tt.w); !slices.Equal(got, tt.want) {
			t.Errorf("%v in %d: %v, want %v", tt.k, tt.w, got, tt.want)
		}
	}
	if got := spark([]float64{0, 1, 4, 8}, 0, false); got != " ▂▅█" {
		t.Errorf("%q", got)
	}
	if got := spark([]float64{0, 8}, 16, true); got != " +" {
		t.Errorf("%q", got)
	}
	lines, top := plot([]float64{1, 2}, 2, false)
	if top != 2 || !slices.Equal(lines, []string{" █", "██"}) {
		t.Errorf("%q, %v", lines, top)
	}
}
