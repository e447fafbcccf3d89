package media

import "math"

// timing is what arrival times and timestamps tell of a stream. Times are nanoseconds.
type timing struct {
	prev   int64  // arrival of the newest packet in order of timestamps
	prevTS uint32 // its timestamp
	set    bool   // the two are known
	jitter float64
	mean   float64
	max    float64
	gap    int64
	gapAt  int64

	tick  uint32 // the timestamp step of consecutive packets, as most have it (Boyer and Moore)
	votes uint32

	skew skew
}

// arrive takes a packet with a clock rate in Hz (RFC 3550 A.8, as it stands: in the order of arrival, duplicates and
// pauses included). nth is its number in the stream, 0-based; counts says that it takes part in mean, maximum and gap:
// packets that begin a talkspurt, comfort noise and what follows it come when the sender wants to speak, not when the clock
// ticks.
func (t *timing) arrive(now int64, ts, clock uint32, nth uint64, counts bool) {
	step := int32(ts - t.prevTS) //nolint:gosec // modulo 2^32 is meant
	between := now - t.prev
	if clock == 0 { // no clock that is known; where it goes on, what follows is measured from here
		if !t.set || step >= 0 {
			t.prev, t.prevTS, t.set = now, ts, true
		}
		return
	}
	if t.set {
		d := math.Abs(float64(between) - float64(step)*1e9/float64(clock))
		t.jitter += (d - t.jitter) / 16
		if counts {
			t.max = max(t.max, t.jitter)
			t.mean += (t.jitter - t.mean) / float64(nth)
		}
	}
	if t.set && counts && between > t.gap {
		t.gap, t.gapAt = between, t.prev
	}
	t.prev, t.prevTS, t.set = now, ts, true
}

// restart forgets the clocks: the source began anew, and what comes is as a first packet (RFC 3550 A.1).
func (t *timing) restart() {
	t.set = false
	t.skew.begun = false
}

// vote notes the timestamp step of two consecutive packets.
func (t *timing) vote(step uint32) {
	switch {
	case step == t.tick:
		t.votes++
	case t.votes == 0:
		t.tick, t.votes = step, 1
	default:
		t.votes--
	}
}

// broken reports whether a timestamp does not continue the clock: the time that it tells differs from the time that passed
// by more than brokenAfter.
func (t *timing) broken(now int64, ts, clock uint32) bool {
	if !t.set || clock == 0 {
		return false
	}
	told := int64(int32(ts-t.prevTS)) * 1e9 / int64(clock) //nolint:gosec // modulo 2^32 is meant
	return abs(told-(now-t.prev)) > brokenAfter
}

// brokenAfter is more than a path delays a packet: numbers that were passed over were not lost, but never sent.
const brokenAfter = 2 * second

func abs(a int64) int64 {
	if a < 0 {
		return -a
	}
	return a
}

// skew fits a line through the least delays of each second: delays only ever add, so the least are the clocks' own.
type skew struct {
	start   int64
	startTS uint32
	wraps   int64  // timestamp units before startTS's epoch
	lastTS  uint32 // newest
	least   int64  // of the second at hand
	end     int64  // of it
	begun   bool
	some    bool // least is set
	n       float64
	x, y    float64
	xx, xy  float64
}

// secondsForSkew is how many seconds are needed for a slope that says something.
const secondsForSkew = 5

const second = int64(1e9)

// take takes a packet in order. It gives how much later it came than by its timestamp, counted from the first; false when
// that is not known.
func (k *skew) take(now int64, ts, clock uint32) (delay int64, known bool) {
	if clock == 0 {
		return 0, false
	}
	if !k.begun {
		*k = skew{start: now, startTS: ts, lastTS: ts, end: now + second, begun: true}
	}
	k.wraps += int64(int32(ts - k.lastTS)) //nolint:gosec // modulo 2^32 is meant
	k.lastTS = ts
	delay = now - k.start - k.wraps*second/int64(clock)
	if now >= k.end {
		k.settle()
		k.end += (now - k.end + second) / second * second
		k.some = false
	}
	if !k.some || delay < k.least {
		k.least, k.some = delay, true
	}
	if abs(delay) > brokenAfter {
		k.begun = false // another clock, or none: begin anew
	}
	return delay, k.begun
}

// settle adds the second at hand to the line.
func (k *skew) settle() {
	if !k.some {
		return
	}
	x, y := float64(k.end-k.start)/1e9, float64(k.least)/1e3 // seconds, microseconds
	k.n++
	k.x += x
	k.y += y
	k.xx += x * x
	k.xy += x * y
}

// ppm is the slope of the sender's clock against the capture's: positive when the sender's runs fast, so that delays
// shrink. NaN when too little is known.
func (k *skew) ppm() float64 {
	line := *k
	k = &line // the second at hand is not over
	k.settle()
	if d := k.n*k.xx - k.x*k.x; k.n >= secondsForSkew && d > 0 {
		return -(k.n*k.xy - k.x*k.y) / d
	}
	return math.NaN()
}
