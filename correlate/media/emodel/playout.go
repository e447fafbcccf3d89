package emodel

import "math"

const (
	playoutWindow = 10e9 // ns for which the quickest packet sets the time of playing
	lateRun       = 5    // late packets in a row after which a receiver plays later
)

// Playout is the assumed jitter buffer of a receiver, which adapts: a packet is played BufferDepth after the quickest packet
// of the last one to two windows of 10 s would have come. When five in a row come too late, the way got longer, or the
// sender's clock is slow: it plays on from the fifth. It tells which packets come too late. The zero value is ready; it holds
// no pointers.
type Playout struct {
	Late uint64 // packets that came too late

	since    int64 // when the window under way began
	now      int64 // smallest transit of the window under way
	before   int64 // that of the window before
	run      uint8 // late packets in a row
	started  bool
	previous bool // there was a window before
}

// Packet takes a packet that came at arrival and whose transit (arrival less its RTP timestamp as a time, with any constant
// added) is given, both in nanoseconds, and reports whether it is too late. After a jump of the timestamps, Restart it.
func (p *Playout) Packet(arrival, transit int64) bool {
	switch {
	case !p.started:
		p.started, p.since, p.now = true, arrival, transit
	case arrival-p.since >= playoutWindow:
		// Nothing came for a whole window: what was before it is too old.
		p.previous = arrival-p.since < 2*playoutWindow
		p.since, p.before, p.now = arrival, p.now, transit
	}
	p.now = min(p.now, transit)
	base := p.now
	if p.previous {
		base = min(base, p.before)
	}
	// A difference that leaves 64 bits comes from a timestamp that lies; it is no delay.
	if base < 0 && transit > math.MaxInt64+base {
		return false
	}
	if transit-base <= BufferDepth {
		p.run = 0
		return false
	}
	p.Late++
	if p.run++; p.run >= lateRun {
		p.since, p.now, p.previous, p.run = arrival, transit, false, 0
	}
	return true
}

// Restart forgets the quickest packets, not the count.
func (p *Playout) Restart() { *p = Playout{Late: p.Late} }
