package media

import (
	"math/bits"
	"slices"
	"time"

	"sipscope/decode/rtp"
)

// Constants of RFC 3550 A.1.
const (
	maxDropout  = 3000    // a jump up to here is loss
	maxMisorder = 100     // and down to here is a late packet; beyond, the sender begins again when two follow each other
	dupWindow   = 64      // sequence numbers back in which a duplicate is known
	firstCycle  = 1 << 16 // where extended numbers begin, so that packets before the first one have numbers too
)

// ReceiverConfig says what a Receiver understands.
type ReceiverConfig struct {
	Codec   Codec
	PT      uint8 // payload type of Codec; static payload types of the other codec are understood too
	EventPT int   // of telephone-event; -1: none
	Record  int   // samples that are kept of what is heard; 0: none
	// Clock is the rate (Hz) of the timestamps, which the jitter is measured by; 0: Rate.
	Clock uint32
	// Counted are payload types that were agreed too: they are counted, and not heard.
	Counted []uint8
}

// maxClock is the highest rate (Hz) of timestamps that is believed: 90 kHz is usual, and 384 kHz of sound the most.
const maxClock = 1 << 20

// clock is the rate of the timestamps.
func (c *ReceiverConfig) clock() uint64 {
	if c.Clock == 0 || c.Clock > maxClock {
		return Rate
	}
	return uint64(c.Clock)
}

// Heard is what a packet says.
type Heard struct {
	Sound []int16 // valid until the next packet
	Digit byte    // 0 for none; a digit is told once, when its first packet comes
	Fresh bool    // false for a duplicate, and for what does not fit into the stream
}

// Received are a receiver's figures.
type Received struct {
	SSRC       uint32
	Packets    uint64 // of the source, duplicates too
	Octets     uint64 // of payload
	Expected   uint64 // by the sequence numbers (RFC 3550 A.3)
	Lost       int64  // Expected less what came; negative when duplicates came (RFC 3550 6.4.1)
	Missing    uint64 // Expected less what came once: duplicates do not hide losses
	Duplicates uint64
	Reordered  uint64 // came after one that was sent later
	Jitter     time.Duration
	MaxJitter  time.Duration
	Sources    uint32 // SSRCs that followed each other
	Restarts   uint32 // of the sequence numbers (RFC 3550 A.1)
	Unknown    uint64 // packets of a payload type that was not agreed
	Invalid    uint64 // datagrams that are no RTP, and packets in probation that came to nothing
	First      int64  // ns; when the first and the last packet came
	Last       int64
}

// Receiver reads the RTP packets of a stream.
type Receiver struct {
	cfg   ReceiverConfig
	stats Received
	began bool

	// RFC 3550 A.1: the source.
	base    uint32 // extended; the first sequence number
	highest uint32 // extended by cycles
	bad     uint32 // sequence number + 1 of the last that did not fit; above 16 bits for none
	ssrc    uint32
	seen    uint64 // bit n: highest-n came
	unique  uint64 // packets that are no duplicates, since base

	// RFC 3550 A.3: the last report.
	priorExpected, priorReceived uint64
	counted                      uint64 // packets since base

	// RFC 3550 A.8.
	transit   uint32
	measured  bool
	jitter    uint64 // samples, times 16
	maxJitter uint64

	eventAt uint32 // timestamp of the last event
	inEvent bool

	deaf      bool // nobody wants the sound
	sound     []int16
	recorded  Sound
	recording bool
	origin    uint32 // timestamp of the first sample of recorded
}

// noBad is a value of bad that no sequence number has.
const noBad = 1 << 16

// NewReceiver makes a receiver.
func NewReceiver(cfg ReceiverConfig) *Receiver {
	return &Receiver{cfg: cfg, bad: noBad, sound: make([]int16, 0, Rate/1000*defaultPtime)}
}

// Change goes on with what was agreed anew. Figures and record go on.
func (r *Receiver) Change(cfg ReceiverConfig) { r.cfg = cfg }

// Stats gives the figures.
func (r *Receiver) Stats() Received {
	s := r.stats
	s.SSRC, s.Jitter, s.MaxJitter = r.ssrc, r.inTime(r.jitter), r.inTime(r.maxJitter)
	if r.began {
		e, l, m := r.spans()
		s.Expected, s.Lost, s.Missing = s.Expected+e, s.Lost+l, s.Missing+m
	}
	return s
}

// Last is when the last packet came (ns), 0 before any.
func (r *Receiver) Last() int64 { return r.stats.Last }

// spans gives expected, lost and missing packets since base.
func (r *Receiver) spans() (expected uint64, lost int64, missing uint64) {
	expected = uint64(r.highest-r.base) + 1
	return expected, int64(expected) - int64(r.counted), expected - min(r.unique, expected) //nolint:gosec // Packet counts.
}

// inTime makes time of jitter.
func (r *Receiver) inTime(j uint64) time.Duration {
	hi, lo := bits.Mul64(j, uint64(time.Second))
	ns, _ := bits.Div64(hi, lo, 16*r.cfg.clock()) // jitter is below 2^36: less than 2^66 by at least 16
	return time.Duration(ns)                      //nolint:gosec // Likewise.
}

// Recorded is what was heard, by its timestamps; see ReceiverConfig.Record.
func (r *Receiver) Recorded() Sound { return r.recorded }

// Packet takes a datagram that came at now. It fails, with ErrNotRTP, for what is no RTP. Duplicates and what was not
// agreed give nothing to hear.
func (r *Receiver) Packet(now int64, b []byte) (Heard, error) {
	var p Packet
	if err := ParsePacket(b, &p); err != nil {
		r.stats.Invalid++
		return Heard{}, err
	}
	fresh := r.count(now, &p)
	if !fresh {
		return Heard{}, nil
	}
	h := Heard{Fresh: true}
	codec, known := r.codec(p.PT)
	switch {
	case int(p.PT) == r.cfg.EventPT:
		h.Digit = r.digit(&p)
		return h, nil
	case !known:
		if !slices.Contains(r.cfg.Counted, p.PT) {
			r.stats.Unknown++
		}
		return h, nil
	}
	if r.deaf {
		return h, nil
	}
	r.sound = codec.Decode(r.sound[:0], p.Payload[:min(len(p.Payload), maxSamples)])
	r.record(p.Timestamp)
	h.Sound = r.sound
	return h, nil
}

// record puts the sound to where its timestamp says, so that what was lost is silence.
func (r *Receiver) record(ts uint32) {
	if r.cfg.Record == 0 {
		return
	}
	if !r.recording { // what a new source says follows what the last one said
		r.recording, r.origin = true, ts-uint32(len(r.recorded)) //nolint:gosec // Timestamps wrap.
	}
	from := int(int32(ts - r.origin)) //nolint:gosec // A difference.
	if from < 0 || from >= r.cfg.Record {
		return
	}
	to := min(from+len(r.sound), r.cfg.Record)
	if missing := to - len(r.recorded); missing > 0 {
		r.recorded = append(r.recorded, make(Sound, missing)...)
	}
	copy(r.recorded[from:to], r.sound)
}

// codec is that of a payload type.
func (r *Receiver) codec(pt uint8) (Codec, bool) {
	switch {
	case pt == r.cfg.PT:
		return r.cfg.Codec, true
	case pt == uint8(PCMU), pt == uint8(PCMA):
		return Codec(pt), true
	default:
		return 0, false
	}
}

// digit gives the digit of an event packet, once for each event: all its packets have one timestamp (RFC 4733 2.2), and
// any of them may be the first that arrives.
func (r *Receiver) digit(p *Packet) byte {
	e, ok := rtp.ParseEvent(p.Payload)
	if !ok || e.Digit() == 0 || r.inEvent && int32(p.Timestamp-r.eventAt) <= 0 { //nolint:gosec // A difference.
		return 0
	}
	r.inEvent, r.eventAt = true, p.Timestamp
	return e.Digit()
}

// count takes a packet into the figures (RFC 3550 A.1, A.8). It reports false for a duplicate and in probation of a
// source that takes another's place.
func (r *Receiver) count(now int64, p *Packet) (fresh bool) {
	switch {
	case !r.began:
		r.began, r.stats.First = true, now
		r.source(p)
	case p.SSRC != r.ssrc:
		return r.other(now, p)
	}
	if !r.place(p.Seq) {
		return false
	}
	r.came(now, p)
	return true
}

// came counts a packet that has its place. Event packets share a timestamp, and say nothing about jitter.
func (r *Receiver) came(now int64, p *Packet) {
	r.stats.Packets++
	r.stats.Octets += uint64(len(p.Payload))
	r.stats.Last = now
	if int(p.PT) != r.cfg.EventPT {
		r.arrive(now, p.Timestamp)
	}
}

// source begins a source with its first packet.
func (r *Receiver) source(p *Packet) {
	r.ssrc, r.measured, r.inEvent, r.recording, r.jitter = p.SSRC, false, false, false, 0
	r.stats.Sources++
	r.restart(p.Seq)
}

// restart begins the sequence numbers.
func (r *Receiver) restart(seq uint16) {
	r.base = firstCycle | uint32(seq)
	r.highest = r.base
	r.bad, r.seen, r.unique, r.counted = noBad, 0, 0, 0
	r.priorExpected, r.priorReceived = 0, 0
}

// fold puts the figures of sequence numbers that end aside.
func (r *Receiver) fold() {
	e, l, m := r.spans()
	r.stats.Expected, r.stats.Lost, r.stats.Missing = r.stats.Expected+e, r.stats.Lost+l, r.stats.Missing+m
}

// other takes a packet of another source: it takes the place of the first when two of it follow each other.
func (r *Receiver) other(now int64, p *Packet) bool {
	if uint32(p.Seq) != r.bad {
		r.stats.Invalid++
		r.bad = uint32(p.Seq + 1)
		return false
	}
	r.fold()
	r.source(p)
	r.place(p.Seq)
	r.came(now, p)
	return true
}

// place finds the place of a sequence number (RFC 3550 A.1 update_seq). It reports false for one that is not counted,
// or that came before.
func (r *Receiver) place(seq uint16) bool {
	switch ahead := seq - uint16(r.highest); { //nolint:gosec // Its low 16 bits.
	case r.counted == 0:
		r.seen = 1
	case ahead == 0:
		return r.duplicate()
	case ahead < maxDropout:
		r.seen = r.seen<<min(ahead, dupWindow) | 1
		r.highest += uint32(ahead)
	case ahead <= 1<<16-1-maxMisorder:
		if uint32(seq) != r.bad {
			r.stats.Invalid++
			r.bad = uint32(seq + 1)
			return false
		}
		r.fold()
		r.restart(seq)
		r.stats.Restarts++
		r.measured, r.inEvent, r.recording, r.seen = false, false, false, 1
	default:
		behind := -ahead                               // ≤ maxMisorder
		r.base = min(r.base, r.highest-uint32(behind)) // it may be older than the first that came
		if behind < dupWindow {
			if r.seen&(1<<behind) != 0 {
				return r.duplicate()
			}
			r.seen |= 1 << behind
		}
		r.stats.Reordered++
	}
	r.bad = noBad
	r.counted++
	r.unique++
	return true
}

// duplicate counts a packet that came before.
func (r *Receiver) duplicate() bool {
	r.stats.Duplicates++
	r.stats.Packets++
	r.counted++
	return false
}

// arrive updates the jitter (RFC 3550 A.8).
func (r *Receiver) arrive(now int64, ts uint32) {
	hi, lo := bits.Mul64(uint64(now), r.cfg.clock()) //nolint:gosec // A time after 1970.
	at, _ := bits.Div64(hi, lo, uint64(time.Second))
	transit := uint32(at) - ts //nolint:gosec // Timestamps wrap.
	if r.measured {
		d := int32(transit - r.transit) //nolint:gosec // A difference.
		j := uint64(max(d, -d))         //nolint:gosec // Not negative, but for the lowest number, which is no jitter.
		if d != -1<<31 {
			r.jitter += j - (r.jitter+8)>>4
			r.maxJitter = max(r.maxJitter, r.jitter)
		}
	}
	r.transit, r.measured = transit, true
}
