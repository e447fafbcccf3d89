package text_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/rivo/uniseg"

	"sipscope/correlate"
	"sipscope/render/ladder"
	"sipscope/render/ladder/laddertest"
	"sipscope/render/text"
)

func build(opts ladder.Options, made ...laddertest.Made) ladder.Ladder {
	calls := make([]correlate.Call, len(made))
	for i := range made {
		calls[i] = made[i].Call
	}
	return ladder.Build(calls, laddertest.Text(made...), opts)
}

func draw(tb testing.TB, l *ladder.Ladder, opts text.Options) string {
	tb.Helper()
	var b bytes.Buffer
	if err := text.Ladder(&b, l, opts); err != nil {
		tb.Fatal(err)
	}
	return b.String()
}

var accounted = "every packet accounted for (68 read: 54 SIP, 14 other)"

// goldens are the drawings that are kept in testdata/golden.
var goldens = []struct {
	name  string
	made  func() []laddertest.Made
	build ladder.Options
	draw  text.Options
}{
	{name: "two-proxies-120", made: one(laddertest.TwoProxies), build: ladder.Options{Source: "trace.pcap", Of: 3, Accounting: accounted}, draw: text.Options{Width: 120}},
	{name: "two-proxies-wide", made: one(laddertest.TwoProxies), build: ladder.Options{Source: "trace.pcap", Of: 3}},
	{name: "two-proxies-80", made: one(laddertest.TwoProxies), draw: text.Options{Width: 80}},
	{name: "two-proxies-40", made: one(laddertest.TwoProxies), draw: text.Options{Width: 40}},
	{name: "two-proxies-200-ascii", made: one(laddertest.TwoProxies), draw: text.Options{Width: 200, ASCII: true}},
	{name: "two-proxies-folded", made: one(laddertest.TwoProxies), build: ladder.Options{FoldHops: true}, draw: text.Options{Width: 120}},
	{name: "two-proxies-unfolded", made: one(laddertest.TwoProxies), build: ladder.Options{Unfold: true}, draw: text.Options{Width: 120, Times: text.TimesRelative}},
	{name: "two-proxies-aliases", made: one(laddertest.TwoProxies), build: ladder.Options{Aliases: map[string]string{"10.77.0.20": "edge", "10.77.0.30:5060": "core"}}, draw: text.Options{Width: 120, Times: text.TimesAbsolute}},
	{name: "fork-120", made: one(laddertest.Fork), draw: text.Options{Width: 120}},
	{name: "fork-80-ascii", made: one(laddertest.Fork), draw: text.Options{Width: 80, ASCII: true}},
	{name: "fork-color", made: one(laddertest.Fork), draw: text.Options{Width: 100, Color: true}},
	{name: "cancelled-80", made: one(laddertest.Cancelled), draw: text.Options{Width: 80}},
	{name: "cancelled-sdp", made: one(laddertest.Cancelled), build: ladder.Options{SDP: true}, draw: text.Options{Width: 80}},
	{name: "cancelled-40", made: one(laddertest.Cancelled), draw: text.Options{Width: 40}},
	{name: "lossy-80", made: one(laddertest.Lossy), draw: text.Options{Width: 80}},
	{name: "lossy-80-ascii", made: one(laddertest.Lossy), draw: text.Options{Width: 80, ASCII: true}},
	{name: "names-100", made: one(laddertest.Names), draw: text.Options{Width: 100}},
	{name: "names-ascii", made: one(laddertest.Names), draw: text.Options{ASCII: true}},
	{name: "self-80", made: one(laddertest.Self), draw: text.Options{Width: 80}},
	{name: "self-by-ip", made: one(laddertest.Self), build: ladder.Options{ByIP: true}, draw: text.Options{Width: 80}},
	{name: "chain-80", made: one(laddertest.Chain), draw: text.Options{Width: 80}},
	{name: "chain-200", made: one(laddertest.Chain), draw: text.Options{Width: 200}},
	{name: "media-120", made: one(laddertest.TwoProxies), build: laddertest.Media(), draw: text.Options{Width: 120}},
	{name: "media-wide", made: one(laddertest.TwoProxies), build: laddertest.Media()},
	{name: "media-80-ascii", made: one(laddertest.TwoProxies), build: laddertest.Media(), draw: text.Options{Width: 80, ASCII: true}},
	{name: "media-40", made: one(laddertest.TwoProxies), build: laddertest.Media(), draw: text.Options{Width: 40, Times: text.TimesRelative}},
	{name: "legs-120", made: laddertest.TwoLegs, draw: text.Options{Width: 120}},
}

func one(f func() laddertest.Made) func() []laddertest.Made {
	return func() []laddertest.Made { return []laddertest.Made{f()} }
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for _, c := range goldens {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := build(c.build, c.made()...)
			golden(t, c.name, draw(t, &l, c.draw))
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", "golden", name+".txt")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// TestWidths holds what every drawing promises, at every width.
func TestWidths(t *testing.T) {
	t.Parallel()
	for _, c := range goldens {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l := build(c.build, c.made()...)
			for width := 24; width <= 220; width += 1 + width/64*4 {
				for _, ascii := range []bool{false, true} {
					got := draw(t, &l, text.Options{Width: width, ASCII: ascii, HeaderEvery: -1})
					checkDrawing(t, c.name, got, width, ascii)
				}
			}
		})
	}
}

// checkDrawing holds the invariants of a drawing without colour and repeated headers: no line is wider than the
// terminal, none has a control character, lifelines stand in their cells, and the first one is never broken.
func checkDrawing(tb testing.TB, name, got string, width int, ascii bool) {
	tb.Helper()
	if !strings.HasSuffix(got, "\n") {
		tb.Fatalf("%s at %d: the last line does not end", name, width)
	}
	vertical := "│"
	if ascii {
		vertical = "|"
	}
	var lanes []int
	inside := false
	for n, s := range strings.Split(strings.TrimSuffix(got, "\n"), "\n") {
		if w := uniseg.StringWidth(s); width > 0 && w > width {
			tb.Fatalf("%s at %d: line %d is %d cells wide: %q\n%s", name, width, n, w, s, got)
		}
		for _, r := range s {
			if r == unicode.ReplacementChar || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || ascii && r > 0x7e {
				tb.Fatalf("%s at %d: line %d has %U: %q", name, width, n, r, s)
			}
		}
		cells := cellsOf(s)
		if at := ruleLanes(cells, ascii); at != nil {
			if lanes != nil && !cmp.Equal(lanes, at) {
				tb.Fatalf("%s at %d: line %d: lifelines at %v, before at %v\n%s", name, width, n, at, lanes, got)
			}
			inside = lanes == nil
			lanes = at
			continue
		}
		if !inside {
			continue
		}
		if len(cells) <= lanes[0] || cells[lanes[0]] != vertical {
			tb.Fatalf("%s at %d: line %d breaks the first lifeline\n%s", name, width, n, got)
		}
		for x, c := range cells[:min(len(cells), lanes[len(lanes)-1]+1)] {
			if c == vertical && !contains(lanes, x) {
				tb.Fatalf("%s at %d: line %d: a lifeline in cell %d, not in %v\n%s", name, width, n, x, lanes, got)
			}
		}
	}
}

// ruleLanes gives the cells of the lifelines that a horizontal rule meets, nil when the line is no rule.
func ruleLanes(cells []string, ascii bool) []int {
	dash, meet := "─", "┬┴┼"
	if ascii {
		dash, meet = "-", "+"
	}
	var at []int
	for x, c := range cells {
		switch {
		case c == dash:
		case c != "" && strings.Contains(meet, c):
			at = append(at, x)
		default:
			return nil
		}
	}
	return at
}

func contains(all []int, n int) bool {
	return slices.Contains(all, n)
}

// cellsOf splits a line into terminal cells.
func cellsOf(s string) []string {
	var cells []string
	g := uniseg.NewGraphemes(s)
	for g.Next() {
		cells = append(cells, g.Str())
		for range g.Width() - 1 {
			cells = append(cells, "")
		}
	}
	return cells
}

func TestHeaderRepeats(t *testing.T) {
	t.Parallel()
	l := build(ladder.Options{}, laddertest.TwoProxies())
	got := draw(t, &l, text.Options{Width: 120, HeaderEvery: 5})
	if n := strings.Count(got, "10.77.0.10"); n != 4 {
		t.Errorf("%d headers in\n%s", n, got)
	}
	if n := strings.Count(draw(t, &l, text.Options{Width: 120}), "10.77.0.10"); n != 1 {
		t.Errorf("%d headers in a short ladder", n)
	}
}

// TestNothing: no calls and calls without messages are drawn too.
func TestNothing(t *testing.T) {
	t.Parallel()
	for _, calls := range [][]correlate.Call{nil, {{}}} {
		l := ladder.Build(calls, nil, ladder.Options{})
		for _, width := range []int{0, 24, 80} {
			if got := draw(t, &l, text.Options{Width: width}); !strings.Contains(got, "0 transactions on 0") {
				t.Errorf("%q", got)
			}
		}
	}
}

// TestLadderError: an error of the writer comes back.
func TestLadderError(t *testing.T) {
	t.Parallel()
	l := build(ladder.Options{}, laddertest.TwoProxies())
	if err := text.Ladder(&full{}, &l, text.Options{}); err == nil {
		t.Error("no error")
	}
}

// TestColorsChangeNothing: without its escape sequences a coloured ladder is the plain one.
func TestColorsChangeNothing(t *testing.T) {
	t.Parallel()
	for _, c := range goldens {
		l := build(c.build, c.made()...)
		opts := c.draw
		opts.Color = true
		colored := draw(t, &l, opts)
		opts.Color = false
		if diff := cmp.Diff(draw(t, &l, opts), stripSGR(colored)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func stripSGR(s string) string {
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(s, "\x1b[")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		_, s, _ = strings.Cut(after, "m")
	}
}

// FuzzLadderText draws ladders of any names, labels and widths.
func FuzzLadderText(f *testing.F) {
	f.Add("alice", "180 Ringing", "note", uint8(80), uint8(3), uint64(0x1234), false)
	f.Add("山田太郎\u0301", "\x1b[31m", "👩\u200d👧", uint8(40), uint8(9), uint64(99), true)
	f.Add(strings.Repeat("2001:db8::", 30), strings.Repeat("x ", 200), "\u202e", uint8(120), uint8(64), ^uint64(0), false)
	f.Add("\U0001f1e9\U0001f1ea", "\u0e33", "ก\u0e33", uint8(24), uint8(1), uint64(7), false)
	f.Fuzz(func(t *testing.T, name, label, note string, width, columns uint8, seed uint64, ascii bool) {
		if strings.ContainsAny(name+label+note, "│┬┴┼─|+-") {
			return // they look like lifelines and rules
		}
		l := ladder.Ladder{Calls: []ladder.Title{{Num: 1, CallID: note, From: name, To: label}}}
		n := int(columns)%64 + 1
		for i := range n {
			l.Columns = append(l.Columns, ladder.Column{Label: name[:len(name)*i/n], Address: label[:len(label)*i/n]})
		}
		for i := range 12 {
			bits := seed >> (i * 5)
			l.Rows = append(l.Rows, ladder.Row{
				Kind: ladder.Kind(bits%4 + 1), From: int(bits % uint64(n)), To: int(bits / 4 % uint64(n)),
				Label: label, SDP: note[:len(note)/2], Notes: []string{note, label}, Count: i, Status: uint16(bits % 700),
				Time: int64(bits), SincePrev: int64(seed), Media: []string{name},
			})
		}
		w := max(int(width), 24)
		for _, width := range []int{w, 0} {
			got := draw(t, &l, text.Options{Width: width, ASCII: ascii, HeaderEvery: -1, Times: text.Times(seed % 3)})
			if width == 0 {
				continue // as wide as it needs
			}
			checkDrawing(t, "fuzz", got, width, ascii)
		}
	})
}

func BenchmarkLadder(b *testing.B) {
	l := build(ladder.Options{}, laddertest.TwoProxies())
	b.ReportAllocs()
	for b.Loop() {
		if err := text.Ladder(io.Discard, &l, text.Options{Width: 120}); err != nil {
			b.Fatal(err)
		}
	}
}
