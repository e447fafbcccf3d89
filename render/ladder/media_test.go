package ladder_test

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sipscope/correlate"
	"sipscope/correlate/media"
	"sipscope/correlate/media/dtmf"
	"sipscope/decode/frame"
	"sipscope/render/ladder"
	"sipscope/render/ladder/laddertest"
)

func withMedia(streams ladder.StreamsFunc) ladder.Ladder {
	m := laddertest.TwoProxies()
	return ladder.Build([]correlate.Call{m.Call}, laddertest.Text(m), ladder.Options{Streams: streams})
}

func kinds(l *ladder.Ladder, k ladder.Kind) []ladder.Row {
	var rows []ladder.Row
	for _, r := range l.Rows {
		if r.Kind == k {
			rows = append(rows, r)
		}
	}
	return rows
}

// Both directions of an audio line make one row between the participants whose descriptions named the addresses; a server
// that is no participant stands in the lane of the one that was offered the address.
func TestMediaRows(t *testing.T) {
	t.Parallel()
	l := withMedia(laddertest.Streams)
	if len(l.Columns) != 4 {
		t.Errorf("%d columns: media must not add any", len(l.Columns))
	}
	rows := kinds(&l, ladder.Media)
	if len(rows) != 2 {
		t.Fatalf("%d media rows, want 2: %+v", len(rows), rows)
	}
	early, both := &rows[0], &rows[1]
	if early.From != 3 || early.To != 0 || !early.OneWay || early.Figures[0] != "182 packets ← only" {
		t.Errorf("the server's stream: %+v", early)
	}
	if both.From != 0 || both.To != 3 || both.OneWay || !slices.Equal(both.Streams, []uint32{1, 2}) {
		t.Errorf("the pair: %+v", both)
	}
	if both.Label != "RTP PCMU 20 ms" {
		t.Errorf("label %q", both.Label)
	}
	want := []string{"182 ↔ 180 packets", "loss 0.0 ↔ 1.1 %", "jitter 1.2 ms", "MOS 4.4 (est.)"}
	if !slices.Equal(both.Figures, want) {
		t.Errorf("figures %q, want %q", both.Figures, want)
	}
	keys := kinds(&l, ladder.DTMF)
	if len(keys) != 1 || keys[0].Label != "DTMF 1 2 #" || keys[0].From != 0 || keys[0].To != 3 {
		t.Errorf("keys: %+v", keys)
	}
	last := int64(math.MinInt64)
	for _, r := range l.Rows {
		if r.Kind == ladder.State {
			break
		}
		if r.Time < last {
			t.Errorf("row %q is out of order", r.Label)
		}
		last = r.Time
	}
}

// A stream without a way back says so, in the direction that it is drawn.
func TestMediaOneWay(t *testing.T) {
	t.Parallel()
	for i, want := range map[int]string{1: "182 packets → only", 2: "180 packets ← only"} {
		l := withMedia(func(num uint32) []media.Stream { return laddertest.Streams(num)[i : i+1] })
		if rows := kinds(&l, ladder.Media); len(rows) != 1 || rows[0].Figures[0] != want || !rows[0].OneWay {
			t.Errorf("stream %d: %+v, want %q", i, rows, want)
		}
	}
}

// A change of the SSRC in one direction does not make that direction one-way.
func TestMediaSSRCChange(t *testing.T) {
	t.Parallel()
	l := withMedia(func(num uint32) []media.Stream {
		all := laddertest.Streams(num)[1:]
		again := all[0]
		again.Num, again.First, again.Presses = 9, again.First+2e9, nil
		return append(all, again)
	})
	rows := kinds(&l, ladder.Media)
	if len(rows) != 2 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, r := range rows {
		if strings.Contains(r.Figures[0], "only") {
			t.Errorf("%v", r.Figures)
		}
	}
}

// Whatever a capture holds, the rows of a call are bounded, and what is left out is counted.
func TestMediaHostile(t *testing.T) {
	t.Parallel()
	const n = 5000
	l := withMedia(func(num uint32) []media.Stream {
		var all []media.Stream
		for i := range n {
			s := laddertest.Streams(num)[1]
			s.Num, s.SSRC = uint32(i+1), uint32(i)
			s.Src, s.Dst = frame.Endpoint{}, laddertest.Endpoint("10.9.0.1:"+strconv.Itoa(i+1))
			s.Message, s.Medium = math.MaxInt-i, -i
			s.Payloads = []media.Payload{{PT: 96, Name: strings.Repeat("\x1b]0;x\x07é", 1000)}}
			s.Presses = slices.Repeat([]dtmf.Press{{Digit: '5', Duration: math.MaxInt64, Start: math.MinInt64}}, 100)
			s.MOS, s.MeanJitter, s.Expected = math.NaN(), -1, 0
			all = append(all, s)
		}
		return all
	})
	if len(l.Rows) > 100 {
		t.Errorf("%d rows", len(l.Rows))
	}
	left := ""
	for _, r := range l.Rows {
		if len(r.Label) > 300 {
			t.Errorf("a label of %d bytes", len(r.Label))
		}
		if strings.HasSuffix(r.Label, "streams more") {
			left = r.Label
		}
	}
	if want := "and " + strconv.Itoa(n-12) + " streams more"; left != want {
		t.Errorf("%q, want %q", left, want)
	}
}

// An answer that takes T.38 says so, in its margin, once.
func TestMediaLanes(t *testing.T) {
	t.Parallel()
	const fax = "v=0\r\no=- 1 1 IN IP4 10.77.0.10\r\ns=-\r\nc=IN IP4 10.77.0.10\r\nt=0 0\r\nm=image 4000 udptl t38\r\n"
	m := laddertest.TwoProxies()
	for i, raw := range m.Texts {
		if head, _, ok := strings.Cut(string(raw), "\r\n\r\nv=0"); ok {
			m.Texts[i] = []byte(head + "\r\n\r\n" + fax)
		}
	}
	l := ladder.Build([]correlate.Call{m.Call}, laddertest.Text(m), ladder.Options{})
	var at []string
	for _, r := range l.Rows {
		if slices.Contains(r.Notes, "T.38 negotiated") {
			at = append(at, r.Label)
		}
	}
	if !slices.Equal(at, []string{"200 OK"}) {
		t.Errorf("said at %q", at)
	}
}
