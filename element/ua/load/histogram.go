package load

import (
	"math/bits"
	"time"
)

// Each doubling of the time is divided into 32 parts, and a part is told by its middle: what a Histogram says is wrong by
// at most 1/64, 1.6 %.
const (
	subBits = 5
	parts   = 1 << subBits
	rows    = 40 // the last part ends at 2^44 units of 1 µs: 203 days
)

// Histogram counts times. Its size is fixed, 10 KB; percentiles are exact to 1.6 %. The zero value is empty.
type Histogram struct {
	counts   [rows * parts]uint64
	n        uint64
	sum      int64 // ns
	min, max int64 // ns
}

// Add counts a time in ns.
func (h *Histogram) Add(ns int64) {
	ns = max(ns, 0)
	h.counts[place(uint64(ns)/1000)]++
	if h.n == 0 || ns < h.min {
		h.min = ns
	}
	h.max = max(h.max, ns)
	h.n++
	h.sum += ns
}

// place is the part of a time in µs: the first 32 are exact, then each doubling has 32.
func place(us uint64) int {
	if us < parts {
		return int(us)
	}
	shift := bits.Len64(us) - 1 - subBits
	return min((shift+1)<<subBits+int(us>>shift)-parts, rows*parts-1) //nolint:gosec // G115: at most 63.
}

// middle is the time in ns that stands for a part.
func middle(i int) int64 {
	if i < parts {
		return int64(i)*1000 + 500
	}
	shift := i>>subBits - 1
	low := int64(i&(parts-1)+parts) << shift
	return (low + int64(1)<<shift/2) * 1000
}

// N is how many were counted.
func (h *Histogram) N() uint64 { return h.n }

// Min is the shortest time. Min, Max and Mean are exact.
func (h *Histogram) Min() time.Duration { return time.Duration(h.min) }

// Max is the longest time.
func (h *Histogram) Max() time.Duration { return time.Duration(h.max) }

// Mean is the average; 0 for none.
func (h *Histogram) Mean() time.Duration {
	if h.n == 0 {
		return 0
	}
	return time.Duration(h.sum / int64(h.n)) //nolint:gosec // G115: a count of events in one process.
}

// Percentile is the time that p percent of all do not exceed, p from 0 to 100; 0 when there is none.
func (h *Histogram) Percentile(p float64) time.Duration {
	if h.n == 0 {
		return 0
	}
	p = min(max(p, 0), 100)
	rank := uint64(p / 100 * float64(h.n))
	rank = min(max(rank, 1), h.n)
	var seen uint64
	for i, n := range h.counts {
		if seen += n; n > 0 && seen >= rank {
			return time.Duration(min(max(middle(i), h.min), h.max))
		}
	}
	return time.Duration(h.max)
}
