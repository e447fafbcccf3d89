package chart

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"sipscope/correlate"
)

func TestTimelineWidth(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name       string
		from, to   int64 // seconds since 1970
		width      int64 // seconds
		bins       int
		firstStart int64
	}{
		{"one call", 5, 5, 1, 1, 5},
		{"80 s fit", 0, 79, 1, 80, 0},
		{"81 s do not", 0, 80, 5, 17, 0},
		{"not from a multiple", 3, 402, 10, 41, 0},
		{"400 s from a multiple", 0, 399, 5, 80, 0},
		{"10 s", 1000, 1799, 10, 80, 1000},
		{"30 s", 0, 800, 30, 27, 0},
		{"1 min", 0, 2400, 60, 41, 0},
		{"5 min", 0, 4800, 300, 17, 0},
		{"15 min", 0, 24000, 900, 27, 0},
		{"1 h", 0, 72000, 3600, 21, 0},
		{"6 h", 0, 80 * 3600, 21600, 14, 0},
		{"1 d", 0, 80 * 21600, 86400, 21, 0},
		{"80 d", 0, 80*86400 - 1, 86400, 80, 0},
		{"2 d", 0, 80 * 86400, 2 * 86400, 41, 0},
		{"before 1970", -30, 30, 1, 61, -30},
		{"before 1970, wider", -81, 0, 5, 18, -85},
		{
			"all that fits a Summary", math.MinInt64 / 1_000_000_000, math.MaxInt64 / 1_000_000_000, 4096 * 86400, 54,
			-27 * 4096 * 86400,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, order := range [][]int64{{tt.from, tt.to}, {tt.to, tt.from}} {
				var l timeline
				for _, sec := range order {
					l.add(sec*1e9, succeeded)
				}
				if l.width() != tt.width || l.n != tt.bins || l.start(0) != tt.firstStart {
					t.Errorf("added as %d: %d bins of %d s from %d, want %d of %d s from %d",
						order, l.n, l.width(), l.start(0), tt.bins, tt.width, tt.firstStart)
				}
			}
		})
	}
}

// TestTimelineOrder compares bins with those of counting again when the width is known.
func TestTimelineOrder(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		span := int64(1e9) << rnd.IntN(34)
		base := rnd.Int64N(1<<62) - 1<<61
		type call struct {
			at int64
			c  class
		}
		added := make([]call, 1+rnd.IntN(300))
		var a timeline
		for i := range added {
			added[i] = call{base + rnd.Int64N(span), class(rnd.IntN(classes))}
			a.add(added[i].at, added[i].c)
		}
		want := timeline{level: a.level, first: a.first, n: a.n}
		for _, c := range added {
			sec := time.Unix(0, c.at).Unix() // rounds down
			i := int(math.Floor(float64(sec)/float64(a.width()))) - int(a.first)
			if i < 0 || i >= a.n {
				t.Fatalf("seed %d: a call at %d is in bin %d of %d", seed, c.at, i, a.n)
			}
			want.bins[i][c.c]++
		}
		if a != want {
			t.Fatalf("seed %d: bins are not those of counting once", seed)
		}
		empty := [classes]uint64{}
		if a.bins[0] == empty || a.bins[a.n-1] == empty {
			t.Fatalf("seed %d: the first or the last bin is empty", seed)
		}
		rnd.Shuffle(len(added), func(i, j int) { added[i], added[j] = added[j], added[i] })
		var b timeline
		for _, c := range added {
			b.add(c.at, c.c)
		}
		if a != b {
			t.Fatalf("seed %d: another order gives other bins", seed)
		}
		if a.level == 0 {
			continue
		}
		narrow := timeline{level: a.level - 1}
		first, last := int64(math.MaxInt64), int64(math.MinInt64)
		for _, c := range added {
			bin := floorDiv(time.Unix(0, c.at).Unix(), narrow.width())
			first, last = min(first, bin), max(last, bin)
		}
		if last-first < maxBins {
			t.Fatalf("seed %d: %d bins of %d s would do", seed, last-first+1, narrow.width())
		}
	}
}

func TestHistogramBins(t *testing.T) {
	t.Parallel()
	ms := int64(time.Millisecond)
	for _, tt := range []struct {
		ns   int64
		want string // "" for not counted
	}{
		{-1, ""},
		{math.MinInt64, ""},
		{0, "under 1 ms"},
		{ms - 1, "under 1 ms"},
		{ms, "1–2 ms"},
		{2*ms - 1, "1–2 ms"},
		{2 * ms, "2–5 ms"},
		{5 * ms, "5–10 ms"},
		{10 * ms, "10–20 ms"},
		{99 * ms, "50–100 ms"},
		{100 * ms, "100–200 ms"},
		{499 * ms, "200–500 ms"},
		{500 * ms, "500 ms–1 s"},
		{1000 * ms, "1–2 s"},
		{19_999 * ms, "10–20 s"},
		{20_000 * ms, "20–30 s"},
		{59_999 * ms, "30–60 s"},
		{60_000 * ms, "60 s and over"},
		{math.MaxInt64, "60 s and over"},
	} {
		var h histogram
		h.add(tt.ns)
		got, n := "", uint64(0)
		for i, k := range h.bins {
			if n += k; k > 0 {
				got = stepName(i)
			}
		}
		if got != tt.want || n != h.total {
			t.Errorf("%d ns is in %q, want %q; %d in the bins, %d in all", tt.ns, got, tt.want, n, h.total)
		}
	}
}

func TestAddMethod(t *testing.T) {
	t.Parallel()
	var c Calls
	c.Add(&correlate.Summary{Method: "REGISTER", PDD: 1, Setup: 1})
	c.Add(&correlate.Summary{Method: "INVITE", PDD: -1, Setup: 5})
	if c.total != 2 || c.pdd.total != 0 || c.setup.total != 1 {
		t.Errorf("%d calls, %d delays, %d setups, want 2, 0 (one REGISTER, one not known) and 1",
			c.total, c.pdd.total, c.setup.total)
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	var got []string
	for _, n := range []uint64{0, 999, 1000, 1234567, math.MaxUint64} {
		got = append(got, thousands(n))
	}
	got = append(got, share(1, 3), share(0, 0), plural(1, "call"), plural(0, "call"), plural(1000, "call"))
	for _, s := range []int64{1, 30, 60, 900, 3600, 21600, 86400, 8192 * 86400} {
		got = append(got, interval(s))
	}
	for _, w := range []int64{1, 60, 3600, 86400} {
		short, whole := clock(1_800_000_000, w)
		got = append(got, short, whole)
	}
	long := "0123456789012345678901234567890123456789"
	got = append(got, label("INVITE"), label(""), label("{a}"), label(long), middle(long), middle("10.0.0.1"),
		label("12345678901234567890123456  8901"), label("中中中中中中中中中中中中中中"), label("中中中中中中中中中中中中中中中"))
	want := []string{
		"0", "999", "1,000", "1,234,567", "18,446,744,073,709,551,615",
		"33.3\u00a0%", "", "1 call", "0 calls", "1,000 calls",
		"1 s", "30 s", "1 min", "15 min", "1 h", "6 h", "1 day", "8,192 days",
		"08:00:00", "2027-01-15 08:00:00", "08:00", "2027-01-15 08:00", "Jan 15 08:00", "2027-01-15 08:00",
		"2027-01-15", "2027-01-15",
		"INVITE", "(empty)", `\x7ba\x7d`, "012345678901234567890123456…", "012345678901234…890123456789", "10.0.0.1",
		"12345678901234567890123456…", "中中中中中中中中中中中中中中", "中中中中中中中中中中中中中…",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestAlignRight(t *testing.T) {
	t.Parallel()
	got := []string{"1,234,567", "5", "77,777", ""}
	alignRight(got)
	want := []string{
		"1,234,567", "\u2007\u2008\u2007\u2007\u2007\u2008\u2007\u20075", "\u2007\u2008\u200777,777",
		"\u2007\u2008\u2007\u2007\u2007\u2008\u2007\u2007\u2007",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	alignRight(nil)
}

func BenchmarkAdd(b *testing.B) {
	summaries := make([]correlate.Summary, 1024)
	rnd := rand.New(rand.NewPCG(1, 1))
	states := correlate.States()
	for i := range summaries {
		summaries[i] = correlate.Summary{
			Method: "INVITE", State: states[rnd.IntN(len(states))], First: 1_800_000_000e9 + int64(i)*1e9,
			PDD: rnd.Int64N(10e9), Setup: rnd.Int64N(60e9),
		}
	}
	var c Calls
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		c.Add(&summaries[i&1023])
		i++
	}
}

// TestAddAllocates holds the first call and the widening, too, which the benchmark does not see.
func TestAddAllocates(t *testing.T) { //nolint:paralleltest // AllocsPerRun may not run beside other tests
	var c Calls
	s := correlate.Summary{Method: "INVITE"}
	if n := testing.AllocsPerRun(1000, func() {
		s.First = s.First*3 + 1e9
		c.Add(&s)
	}); n > 0 {
		t.Errorf("Add allocates %v times a call", n)
	}
}
