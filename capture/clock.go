package capture

import (
	"math"
	"math/bits"
)

// The range of times in seconds: what nanoseconds in 64 bits hold, the years 1677 to 2262.
const (
	maxSecond = math.MaxInt64/1_000_000_000 - 1
	minSecond = -maxSecond
)

// clock turns an interface's ticks into nanoseconds since 1970-01-01 UTC.
type clock struct {
	ns        uint64 // nanoseconds a tick, where that is a whole number; else 0
	perSecond uint64 // ticks a second, for powers of 10
	shift     uint8  // ticks a second are 1<<shift, for powers of 2
	binary    bool
	offset    int64 // seconds to add (if_tsoffset)
}

// resolve takes if_tsresol: a negative power of 10, or of 2 with the upper bit set. What is finer than 64 bits can say
// counts as the finest.
func (c *clock) resolve(v byte) {
	n := v & 0x7f
	c.binary = v&0x80 != 0
	c.ns, c.shift = 0, min(n, 63)
	c.perSecond = 1
	if c.binary {
		return
	}
	for range min(n, 19) {
		c.perSecond *= 10
	}
	if c.perSecond <= 1e9 {
		c.ns = 1e9 / c.perSecond
	}
}

// time gives nanoseconds, clamped to what 64 bits hold.
func (c *clock) time(ticks uint64) int64 {
	if c.offset == 0 && c.ns != 0 {
		hi, ns := bits.Mul64(ticks, c.ns)
		if hi == 0 && ns <= math.MaxInt64 {
			return int64(ns)
		}
		return math.MaxInt64
	}
	var sec, ns uint64
	if c.binary {
		sec = ticks >> c.shift
		hi, lo := bits.Mul64(ticks&(1<<c.shift-1), 1e9)
		ns = hi<<(64-c.shift) | lo>>c.shift // shifts by 64 give 0
	} else {
		sec = ticks / c.perSecond
		hi, lo := bits.Mul64(ticks%c.perSecond, 1e9)
		ns, _ = bits.Div64(hi, lo, c.perSecond) // hi is below perSecond, as the remainder is
	}
	at := addSeconds(min(sec, math.MaxInt64), c.offset)
	switch {
	case at > maxSecond:
		return math.MaxInt64
	case at < minSecond:
		return math.MinInt64
	}
	return at*1e9 + int64(ns) //nolint:gosec // below 1e9
}

// addSeconds adds without wrapping; sec is at most the largest int64.
func addSeconds(sec uint64, offset int64) int64 {
	s := int64(sec) //nolint:gosec // bounded by the caller
	if offset > 0 && s > math.MaxInt64-offset {
		return math.MaxInt64
	}
	return s + offset
}
