package audio

import (
	"cmp"
	"math"
	"slices"

	"sipscope/correlate/cut"
	"sipscope/decode/rtp"
)

// Tolerances of the time line, in ns. A receiver's buffer has to guess what a reader of a capture can look up: whether a
// late packet is late, or all that follow are.
const (
	within    = 100e6 // that a packet's place may be off its arrival, in the middle of a talk spurt
	atSpurt   = 30e6  // and at its beginning, where nobody hears a correction
	lookahead = 1e9   // of arrivals, to find the least delay
	hidden    = 600e9 // a difference of timestamps and arrivals that is no time at all
	maxAhead  = 512   // packets of a lookahead
	jumped    = 3000  // sequence numbers apart that are another sequence (RFC 3550 A.1: MAX_DROPOUT)
)

// arrival is a packet of a stream on its way to its place.
type arrival struct {
	time    int64 // ns, of the capture
	seq     int64 // extended, over jumps too
	section int32 // runs of sequence numbers without a jump
	ts      int64 // extended, in units of the stream's clock
	raw     uint32
	codec   int16 // index into source.codecs; -1: none decodes it
	marker  bool
	jump    bool // its timestamp says nothing about its distance from the packet before
	payload []byte
}

// piece is a payload at its place.
type piece struct {
	at      int64 // samples after the beginning of the recording, at the codec's rate; may be less than 0
	n       int64 // samples, as far as no later piece covers them
	codec   int16
	payload []byte
}

// Figures say what became of the packets of a channel.
type Figures struct {
	Packets    uint64 // of sound, placed
	Lost       uint64 // sequence numbers that never came
	LostTime   int64  // ns of silence in their places
	Duplicates uint64 // of the same sequence number; beside those of the tap
	Unplayed   uint64 // packets of codecs that nothing decodes: silence
	Anchored   uint64 // times that the sender's clock was set against the capture's, the first time not counted
}

// source is one stream ready to be read.
type source struct {
	codecs  []codec
	clock   int64
	pieces  []piece // by place
	ssrc    uint32
	figures Figures
	end     []int64 // of each codec: the place after its last sample
}

// newSource places the packets of a stream on a time line that begins at began (ns since 1970-01-01 UTC). Its cost grows
// with the packets, and its length with their times, whatever the timestamps say.
func newSource(s *cut.Stream, began int64) *source {
	src := &source{ssrc: s.SSRC}
	all := src.arrivals(s)
	src.clock = src.tick(all)
	extend(all, src.clock)
	src.place(all, began)
	return src
}

// arrivals reads the packets and puts them into the order of their sequence numbers, each once.
func (src *source) arrivals(s *cut.Stream) []arrival {
	var index [rtp.MaxPT + 1]int16
	for i := range index {
		index[i] = -1
	}
	for i := range s.Payloads {
		p := &s.Payloads[i]
		if c, ok := codecOf(p); ok {
			index[p.PT&rtp.MaxPT] = int16(len(src.codecs)) //nolint:gosec // At most 128.
			src.codecs = append(src.codecs, c)
		}
	}
	all := make([]arrival, 0, len(s.Packets))
	var highest int64
	var section int32
	for i := range s.Packets {
		var p rtp.Packet
		if rtp.Parse(s.Packets[i].Data, &p) != nil {
			continue
		}
		step := int64(int16(p.Seq - uint16(highest))) //nolint:gosec // Modulo 2^16 (RFC 3550 A.1).
		switch {
		case len(all) == 0:
			highest = int64(p.Seq)
			step = 0
		case step > jumped || step < -jumped:
			section++
			highest += 1<<17 - highest&0xffff + int64(p.Seq)
			step = 0
		}
		seq := highest + step
		highest = max(highest, seq)
		all = append(all, arrival{
			time: s.Packets[i].Time, seq: seq, section: section, raw: p.Timestamp, codec: index[p.PT&rtp.MaxPT],
			marker: p.Marker, payload: p.Payload,
		})
	}
	slices.SortStableFunc(all, func(a, b arrival) int { return cmp.Compare(a.seq, b.seq) })
	distinct := slices.CompactFunc(all, func(a, b arrival) bool { return a.seq == b.seq })
	src.figures.Duplicates = uint64(len(all) - len(distinct)) //nolint:gosec // Not negative.
	return distinct
}

// tick is the clock rate of the timestamps in Hz: that of the first sound, unless the timestamps of packets that follow
// each other run at another rate, and the arrivals do not. So a sender that counts G.722 at 16000 (against RFC 3551 4.5.2)
// is understood.
func (src *source) tick(all []arrival) int64 {
	const sample = 2000 // pairs
	var c *codec
	var ratios []float64
	var sound, arrived float64
	for i := 1; i < len(all) && len(ratios) < sample; i++ {
		a, b := &all[i-1], &all[i]
		if a.codec < 0 || a.codec != b.codec || b.seq != a.seq+1 || !src.codecs[a.codec].sound() {
			continue
		}
		if c == nil {
			c = &src.codecs[a.codec]
		}
		n := c.length(a.payload)
		step := int32(b.raw - a.raw) //nolint:gosec // Modulo 2^32.
		if c != &src.codecs[a.codec] || n == 0 || step <= 0 {
			continue
		}
		ratios = append(ratios, float64(step)*float64(c.rate)/(float64(n)*float64(c.clock)))
		sound += float64(n) / float64(c.rate)
		arrived += float64(b.time-a.time) / 1e9
	}
	if c == nil {
		return src.firstClock()
	}
	const least = 20 // pairs that prove something
	if len(ratios) < least || math.Abs(arrived/sound-1) > 0.2 {
		return c.clock
	}
	slices.Sort(ratios)
	if ratio := ratios[len(ratios)/2]; math.Abs(ratio-1) > 0.1 {
		return min(max(int64(math.Round(float64(c.clock)*ratio)), minRate/4), maxRate*4)
	}
	return c.clock
}

// firstClock is the clock of a stream of which no two packets of sound follow each other.
func (src *source) firstClock() int64 {
	for i := range src.codecs {
		if src.codecs[i].sound() {
			return src.codecs[i].clock
		}
	}
	return 8000
}

// extend counts timestamps on over their wraps. A step that is no time at all, or one to another sequence, is the step of
// the arrivals instead.
func extend(all []arrival, clock int64) {
	for i := 1; i < len(all); i++ {
		a, b := &all[i-1], &all[i]
		step, passed := int64(int32(b.raw-a.raw)), b.time-a.time //nolint:gosec // Modulo 2^32.
		if off := nanos(step, clock) - passed; off > hidden || off < -hidden || a.section != b.section {
			step, b.jump = ticks(passed, clock), true
		}
		b.ts = a.ts + step
	}
}

// nanos and ticks turn timestamps into ns and back.
func nanos(ts, clock int64) int64 { return ts/clock*1e9 + ts%clock*1e9/clock }
func ticks(ns, clock int64) int64 { return ns/1e9*clock + ns%1e9*clock/1e9 }

// place gives each packet its place. Within a talk spurt the timestamps say it, to the sample. They are tied to the time of
// the capture by an anchor: the least delay of the packets around, since jitter only ever delays.
func (src *source) place(all []arrival, began int64) {
	delay := func(i int) int64 { return all[i].time - nanos(all[i].ts, src.clock) }
	var base, anchorTS, anchorNS int64
	for i := range all {
		a := &all[i]
		if i == 0 || src.moved(all, i, base, delay) {
			if i > 0 {
				src.figures.Anchored++
			}
			base = least(all, i, delay)
			anchorTS, anchorNS = a.ts, nanos(a.ts, src.clock)+base-began
		}
		if i > 0 {
			src.lose(&all[i-1], a)
		}
		if a.codec < 0 {
			src.figures.Unplayed++
			continue
		}
		c := &src.codecs[a.codec]
		if c.silent {
			continue
		}
		at := ticks(anchorNS, c.rate) + scale(a.ts-anchorTS, c.rate, src.clock)
		src.pieces = append(src.pieces, piece{at: at, n: c.length(a.payload), codec: a.codec, payload: a.payload})
		if c.sound() {
			src.figures.Packets++
		}
	}
	src.finish()
}

// scale turns timestamps into samples without overflow.
func scale(ts, rate, clock int64) int64 { return ts/clock*rate + ts%clock*rate/clock }

// moved reports whether a packet's clock is another than the anchor's: it came before its time, or it and all that came
// within a second after it came late.
func (src *source) moved(all []arrival, i int, base int64, delay func(int) int64) bool {
	a, before := &all[i], &all[i-1]
	if a.jump {
		return true
	}
	tolerance := int64(within)
	if src.spurt(before, a) {
		tolerance = atSpurt
	}
	d := delay(i)
	if d < base-tolerance {
		return true
	}
	if d <= base+tolerance {
		return false
	}
	for j := i + 1; j < min(len(all), i+maxAhead) && all[j].time <= a.time+lookahead; j++ {
		if next := delay(j); next <= base+tolerance && next >= base-within {
			return false
		}
	}
	return true
}

// spurt reports whether a packet begins a talk spurt: it says so (RFC 3551 4.1), or its timestamp leaves a gap that its
// sequence number does not.
func (src *source) spurt(before, a *arrival) bool {
	if a.marker {
		return true
	}
	if before.codec < 0 || a.seq != before.seq+1 {
		return false
	}
	c := &src.codecs[before.codec]
	return a.ts-before.ts > c.length(before.payload)*src.clock/c.rate
}

// least is the least delay of the packets that came within a second after a packet, as far as they have its clock.
func least(all []arrival, i int, delay func(int) int64) int64 {
	first := delay(i)
	d := first
	for j := i + 1; j < min(len(all), i+maxAhead) && all[j].time <= all[i].time+lookahead && !all[j].jump; j++ {
		if next := delay(j); next > first-lookahead {
			d = min(d, next)
		}
	}
	return d
}

// lose counts the packets that are missing between two.
func (src *source) lose(before, a *arrival) {
	missing := a.seq - before.seq - 1
	if a.section != before.section || missing <= 0 {
		return // after a jump nobody knows what is missing
	}
	src.figures.Lost += uint64(missing)
	if before.codec < 0 || a.jump {
		return
	}
	c := &src.codecs[before.codec]
	n := nanos(c.length(before.payload), c.rate)
	src.figures.LostTime += max(0, min(missing*n, nanos(a.ts-before.ts, src.clock)-n))
}

// finish orders the pieces, gives comfort noise its length, and leaves no sample to two of them.
func (src *source) finish() {
	rate := func(p *piece) int64 { return src.codecs[p.codec].rate }
	slices.SortStableFunc(src.pieces, func(a, b piece) int {
		return cmp.Compare(nanos(a.at, rate(&a)), nanos(b.at, rate(&b)))
	})
	src.end = make([]int64, len(src.codecs))
	for i := range src.pieces {
		p := &src.pieces[i]
		if i+1 < len(src.pieces) {
			next := &src.pieces[i+1]
			room := max(0, scale(next.at, rate(p), rate(next))-p.at)
			if p.n > room || src.codecs[p.codec].noise {
				p.n = room
			}
		}
		src.end[p.codec] = max(src.end[p.codec], p.at+p.n)
	}
}
