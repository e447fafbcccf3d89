package text_test

import (
	"bytes"
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
