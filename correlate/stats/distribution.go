package stats

import (
	"math"
	"math/bits"
	"slices"
	"time"
)

// Distribution describes durations in milliseconds. Percentiles are by nearest rank: the smallest value that at least
// so many percent of all values do not exceed. Up to 65,536 values they are exact, beyond that within 0.4 %.
type Distribution struct {
	Count uint64  `json:"count"`
	Min   float64 `json:"min"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P95   float64 `json:"p95"`
	P99   float64 `json:"p99"`
	Max   float64 `json:"max"`
}

// distribution gathers durations: all of them while they are few, then a histogram of fixed size.
type distribution struct {
	count    uint64
	sum      float64 // nanoseconds; 4 million durations of an hour would overflow an int64
	min, max int64
	exact    []int64
	buckets  []uint64 // nil while exact holds all
}

func (d *distribution) clone() distribution {
	out := *d
	out.exact, out.buckets = slices.Clone(d.exact), slices.Clone(d.buckets)
	return out
}

// maxExact values take 512 KiB; the histogram takes 58 KiB.
const maxExact = 1 << 16

// The histogram has the values below 2^bucketBits one by one, and 2^(bucketBits-1) buckets for each power of two above,
// so a bucket is at most 1/128 of its values wide, and its middle half of that away.
const (
	bucketBits = 8
	halfBucket = 1 << (bucketBits - 1)
	allBuckets = (64-bucketBits)*halfBucket + halfBucket
)

// add counts a duration in nanoseconds; a negative one is unknown and does not count.
func (d *distribution) add(v int64) {
	if v < 0 {
		return
	}
	if d.count == 0 {
		d.min, d.max = v, v
	}
	d.count++
	d.sum += float64(v)
	d.min, d.max = min(d.min, v), max(d.max, v)
	if d.buckets == nil && len(d.exact) < maxExact {
		d.exact = append(d.exact, v)
		return
	}
	if d.buckets == nil {
		d.buckets = make([]uint64, allBuckets)
		for _, e := range d.exact {
			d.buckets[bucket(e)]++
		}
		d.exact = nil
	}
	d.buckets[bucket(v)]++
}

// bucket gives the bucket of a value that is not negative.
func bucket(v int64) int {
	shift := max(bits.Len64(uint64(v))-bucketBits, 0) //nolint:gosec // v is not negative
	return shift*halfBucket + int(v>>shift)
}

// middle gives the value in the middle of a bucket.
func middle(bucket int) int64 {
	if bucket < 2*halfBucket {
		return int64(bucket)
	}
	shift := bucket/halfBucket - 1
	return int64(bucket-shift*halfBucket)<<shift + int64(1)<<shift/2
}

// result gives the figures, nil when nothing was counted.
func (d *distribution) result() *Distribution {
	if d.count == 0 {
		return nil
	}
	sorted := slices.Clone(d.exact)
	slices.Sort(sorted)
	at := func(percent uint64) float64 {
		rank := (d.count*percent + 99) / 100 // 1-based
		if d.buckets == nil {
			return milliseconds(float64(sorted[rank-1]))
		}
		return milliseconds(float64(d.ranked(rank)))
	}
	return &Distribution{
		Count: d.count, Min: milliseconds(float64(d.min)), Max: milliseconds(float64(d.max)),
		Mean: milliseconds(d.sum / float64(d.count)), P50: at(50), P90: at(90), P95: at(95), P99: at(99),
	}
}

// ranked finds the value of a rank in the histogram.
func (d *distribution) ranked(rank uint64) int64 {
	for i, n := range d.buckets {
		if n >= rank {
			return min(max(middle(i), d.min), d.max)
		}
		rank -= n
	}
	return d.max
}

// milliseconds turns nanoseconds into milliseconds with three places: captures seldom know more than microseconds.
func milliseconds(ns float64) float64 {
	return math.Round(ns/float64(time.Microsecond)) / 1000
}
