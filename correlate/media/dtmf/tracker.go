package dtmf

import (
	"slices"

	"sipscope/decode/rtp"
)

const (
	flashEvent  = 16         // RFC 4733 3.2, table 7
	segment     = 0xFFFF     // longest duration of a segment (RFC 4733 2.5.1.3)
	recent      = 4          // presses that a late packet may still belong to
	defaultHz   = 8000       // clock rate when the description names none (RFC 4733 2.1)
	longestNano = 1 << 40    // about 18 minutes: a duration that grows beyond is not believed
	nanos       = 1000000000 // in a second
)

// Tracker makes presses of the telephone-event packets of one stream. The zero value is ready. It allocates for a new press
// only.
type Tracker struct {
	presses []Press
	dropped uint64
	tail    [recent]open // the newest presses, by place in presses modulo recent
	count   int          // presses ever begun
}

// open is what is needed to tell whether a packet belongs to a press.
type open struct {
	index   int    // in presses, -1 for one that was not kept
	event   uint8  // RFC 4733 event code
	ended   bool   // an end was seen
	seq     uint16 // of its newest packet
	ts      uint32 // timestamp of its newest segment
	units   uint32 // duration of the newest segment, in units of the clock rate
	earlier uint64 // duration of the segments before
}

// Packet takes a packet of a payload type that stands for telephone-event. now is the packet time in ns since 1970, frame the
// number of its frame, clock the rate of the payload type in Hz, 0 for 8000. It reports whether a new press began. Events that
// are no keys (RFC 4734 tones) and payloads that are none are passed over.
func (t *Tracker) Packet(now int64, frame uint64, clock uint32, p *rtp.Packet) bool {
	e, ok := rtp.ParseEvent(p.Payload)
	if !ok || e.Code > flashEvent {
		return false
	}
	if clock == 0 {
		clock = defaultHz
	}
	if o := t.find(&e, p); o != nil {
		t.extend(o, &e, p, now, frame, clock)
		return false
	}
	t.begin(&e, p, now, frame, clock)
	return true
}

// Copy takes a telephone-event that was sent before, as redundant data (RFC 2198) brings it; now is when its timestamp was,
// p.Seq at most one more than the number of the packet that it was first sent in. It adds to a press that is remembered, and
// begins one only when all packets of that were lost: newer than the newest in numbers and timestamps.
func (t *Tracker) Copy(now int64, frame uint64, clock uint32, p *rtp.Packet) bool {
	e, ok := rtp.ParseEvent(p.Payload)
	if !ok || e.Code > flashEvent {
		return false
	}
	o := t.find(&e, p)
	if t.count > 0 && (o == nil || o.ts != p.Timestamp) {
		newest := &t.tail[(t.count-1)%recent]
		if int16(p.Seq-newest.seq) <= 0 || int32(p.Timestamp-newest.ts) <= 0 { //nolint:gosec // modulo 2^16 and 2^32 are meant
			return false // of a press that is remembered no more, or of a packet that came
		}
	}
	q := *p
	q.Marker = o == nil // it begins at its timestamp
	return t.Packet(now, frame, clock, &q)
}

// Presses are a copy of those so far, in order of first packets.
func (t *Tracker) Presses() []Press { return slices.Clone(t.presses) }

// Len is the number of presses kept.
func (t *Tracker) Len() int { return len(t.presses) }

// Dropped counts the presses beyond MaxPresses.
func (t *Tracker) Dropped() uint64 { return t.dropped }

// find gives the press that a packet belongs to, or nil for a new one: the same event with the same timestamp, or a
// continuation of the newest.
func (t *Tracker) find(e *rtp.Event, p *rtp.Packet) *open {
	for back := 1; back <= min(recent, t.count); back++ {
		if o := &t.tail[(t.count-back)%recent]; o.event == e.Code && o.ts == p.Timestamp {
			return o
		}
	}
	if t.count == 0 || p.Marker {
		return nil
	}
	o := &t.tail[(t.count-1)%recent]
	if o.event == e.Code && continues(o, e, p) {
		return o
	}
	return nil
}

// continues reports whether a packet without marker and with another timestamp goes on with a press.
func continues(o *open, e *rtp.Event, p *rtp.Packet) bool {
	if !o.ended && p.Timestamp-o.ts == segment {
		return true // RFC 4733 2.5.1.3: the next segment begins where the one before is full
	}
	// Some senders move the timestamp with every packet of a press, and that of the repeated ends, too. Nothing is missing
	// between two such packets, so that no start or end of another press can have been lost there.
	if p.Seq != o.seq+1 || uint32(e.Duration) < o.units {
		return false
	}
	return !o.ended || e.End && uint32(e.Duration) == o.units
}

// begin makes a new press.
func (t *Tracker) begin(e *rtp.Event, p *rtp.Packet, now int64, frame uint64, clock uint32) {
	o := &t.tail[t.count%recent]
	t.count++
	*o = open{index: -1, event: e.Code, ended: e.End, seq: p.Seq, ts: p.Timestamp, units: uint32(e.Duration)}
	if len(t.presses) >= MaxPresses {
		t.dropped++
		return
	}
	o.index = len(t.presses)
	took := span(uint64(e.Duration), clock)
	press := Press{
		Digit: digit(e.Code), Via: ViaEvent, Volume: e.Volume, Ended: e.End, Start: now, Duration: took,
		First: frame, Last: frame, Packets: 1, Timestamp: p.Timestamp,
	}
	// The marker tells the first packet of an event (RFC 4733 2.2.1). Without one, a packet that says more than one packet
	// interval of 50 ms has gone by (RFC 4733 2.5.1.2) is not the first.
	if !p.Marker && took > 50e6 {
		press.LostStart = true
		press.Start -= took
	}
	t.presses = append(t.presses, press)
}

// extend adds a packet to its press.
func (t *Tracker) extend(o *open, e *rtp.Event, p *rtp.Packet, now int64, frame uint64, clock uint32) {
	units := uint32(e.Duration)
	switch {
	case p.Timestamp == o.ts:
		o.units = max(o.units, units) // late packets come with shorter durations
	case p.Timestamp-o.ts == segment && !o.ended:
		o.earlier += segment
		o.ts, o.units = p.Timestamp, units
	default:
		o.ts, o.units = p.Timestamp, units
	}
	if int16(p.Seq-o.seq) > 0 { //nolint:gosec // modulo 2^16 is meant
		o.seq = p.Seq
	}
	o.ended = o.ended || e.End
	if o.index < 0 {
		return
	}
	press := &t.presses[o.index]
	press.Packets++
	press.Ended = press.Ended || e.End
	press.Duration = max(press.Duration, span(o.earlier+uint64(o.units), clock))
	press.Last = max(press.Last, frame)
	if frame < press.First {
		press.First, press.Start = frame, now
	}
}

// span is a duration in units of a clock rate in nanoseconds.
func span(units uint64, clock uint32) int64 {
	// Seconds first: units times 10^9 would leave 64 bits.
	rate := uint64(clock)
	whole, rest := units/rate, units%rate
	if whole >= longestNano/nanos {
		return longestNano
	}
	return int64(whole*nanos + rest*nanos/rate) //nolint:gosec // below longestNano
}

// digit is the character of an event that is a key.
func digit(code uint8) byte {
	if int(code) < len(rtp.Digits) {
		return rtp.Digits[code]
	}
	return Flash
}
