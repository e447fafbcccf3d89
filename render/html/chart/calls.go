package chart

import (
	"math"

	"sipscope/correlate"
	"sipscope/decode/sip"
)

// Calls gathers what the charts need of each call; the zero value is ready. It keeps some kilobytes whatever the number
// of calls and the time between them, and nothing that it is given. The order of the calls does not matter. A Calls
// belongs to one goroutine at a time; a copy of it shares nothing.
type Calls struct {
	total      uint64
	time       timeline
	pdd, setup histogram
	heard      heard
}

// Add counts a call. The delays are those of calls that an INVITE began, as in stats.Result.
func (c *Calls) Add(s *correlate.Summary) {
	c.total++
	c.time.add(s.First, classOf(s.State))
	c.heard.add(&s.Media)
	if s.Method != sip.MethodInvite.String() {
		return
	}
	c.pdd.add(s.PDD)
	c.setup.add(s.Setup)
}

// maxBins is how many bars a chart over time has at most.
const maxBins = 80

const (
	second = int64(1)
	day    = 86400 * second
)

// widths are those of the bins of a timeline, in seconds. Each divides the next, so bins can be merged.
var widths = [...]int64{1, 5, 10, 30, 60, 300, 900, 3600, 21600, day} //nolint:gochecknoglobals // read-only table

// timeline counts calls by class in bins of equal width, which start at multiples of the width since 1970. It takes the
// narrowest width that needs at most maxBins; beyond a day the width doubles. So the bins depend on the first and the
// last time alone, and not on the order.
type timeline struct {
	level int   // index into widths; beyond, days are doubled
	first int64 // number of the first bin: its start in widths since 1970-01-01 UTC
	n     int   // bins from the first to the last with a call; 0 before the first call
	bins  [maxBins][classes]uint64
}

// width gives the width of the bins in seconds.
func (t *timeline) width() int64 {
	if t.level < len(widths) {
		return widths[t.level]
	}
	return day << (t.level - len(widths) + 1)
}

// start gives the time at which bin i starts, in seconds since 1970-01-01 UTC.
func (t *timeline) start(i int) int64 { return (t.first + int64(i)) * t.width() }

// add counts a call that began at ns nanoseconds since 1970-01-01 UTC.
func (t *timeline) add(ns int64, c class) {
	sec := floorDiv(ns, 1e9)
	bin := floorDiv(sec, t.width())
	if t.n == 0 {
		t.first, t.n = bin, 1
	}
	for bin-t.first >= maxBins || t.first+int64(t.n)-bin > maxBins {
		t.widen()
		bin = floorDiv(sec, t.width())
	}
	if before := int(t.first - bin); before > 0 {
		copy(t.bins[before:], t.bins[:t.n])
		clear(t.bins[:before])
		t.first, t.n = bin, t.n+before
	}
	i := int(bin - t.first)
	t.n = max(t.n, i+1)
	t.bins[i][c]++
}

// widen takes the next width and merges the bins.
func (t *timeline) widen() {
	before := t.width()
	t.level++
	k := t.width() / before
	first := floorDiv(t.first, k)
	n := 0
	for i := range t.n {
		counts := t.bins[i]
		t.bins[i] = [classes]uint64{}
		n = int(floorDiv(t.first+int64(i), k) - first) // never over i, so nothing unread is lost
		for c := range counts {
			t.bins[n][c] += counts[c]
		}
	}
	t.first, t.n = first, n+1
}

// floorDiv divides and rounds down, also below zero: times before 1970 are in order, too.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// steps are the upper ends of a histogram's bins in nanoseconds: three a decade from 1 ms to 20 s, then 30 s and 60 s,
// where people and timers give up. A bin holds its lower end, not its upper one.
var steps = [...]int64{ //nolint:gochecknoglobals // read-only table
	1e6, 2e6, 5e6, 1e7, 2e7, 5e7, 1e8, 2e8, 5e8, 1e9, 2e9, 5e9, 1e10, 2e10, 3e10, 6e10, math.MaxInt64,
}

// histogram counts durations.
type histogram struct {
	total uint64
	bins  [len(steps)]uint64
}

// add counts a duration in nanoseconds; a negative one is not known.
func (h *histogram) add(ns int64) {
	if ns < 0 {
		return
	}
	i := 0
	for i < len(steps)-1 && ns >= steps[i] {
		i++
	}
	h.bins[i]++
	h.total++
}
