package stream

import (
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"time"

	recorded "sipscope/correlate/cut"
	"sipscope/decode/rtp"
)

// maxLate is how late (ns) a packet may be sent: what a caller that comes later than that missed is skipped.
const maxLate = int64(200 * time.Millisecond)

// sender makes packets; media.Sender is one.
type sender interface {
	// Next is when a packet is due, math.MaxInt64 for never.
	Next() int64
	// Packet appends the packet that is due at now; false when none is.
	Packet(now int64, dst []byte) ([]byte, bool)
	// Mute stops it, or lets it go on at now.
	Mute(now int64, muted bool)
	// Done reports whether no packet will be due any more.
	Done() bool
}

// schedule is when offsets are due.
type schedule struct {
	begin, start int64 // offset start is due at begin
	speed        float64
}

// Bounds of Config.Speed.
const (
	minSpeed = 1e-3
	maxSpeed = 1e6
)

// newSchedule makes a schedule; a speed of 0, and one that is no number, is 1.
func newSchedule(begin, start int64, speed float64) schedule {
	if !(speed > 0) {
		speed = 1
	}
	return schedule{begin: begin, start: start, speed: min(max(speed, minSpeed), maxSpeed)}
}

// due is when an offset is due.
func (s schedule) due(offset int64) int64 {
	after := offset - s.start
	if s.speed == 1 {
		return s.begin + after
	}
	return s.begin + int64(float64(after)/s.speed) // at most ten days by a thousand: far below 2^63
}

// track is a recording that is being sent.
type track struct {
	rec  *Recording
	next int // packet
	to   mapping
	// gone are the places of packets whose payload type is not sent, in order: the others close up, so that nobody counts
	// them as lost.
	gone []int64

	ssrc  uint32
	seq   uint16 // of place 0
	start uint32 // timestamp of the first packet
}

// aim maps the payload types to those of a live side.
func (t *track) aim(live []recorded.Payload) {
	t.to, _ = t.rec.mapTo(live)
	t.gone = t.gone[:0]
	all := 0
	for pt, n := range t.rec.counts {
		if t.to[pt] == dropped {
			all += n
		}
	}
	if all == 0 || all == len(t.rec.packets) {
		return
	}
	for i := range t.rec.packets {
		if p := &t.rec.packets[i]; t.to[p.pt] == dropped {
			t.gone = append(t.gone, p.place)
		}
	}
	slices.Sort(t.gone)
	t.gone = slices.Compact(t.gone)
}

// player sends recordings by a schedule.
type player struct {
	when    schedule
	tracks  []*track
	muted   bool
	skipped uint64
	dropped uint64
}

// newPlayer makes a player; what is before the start of the schedule is skipped.
func newPlayer(when schedule, recordings []*Recording, live []recorded.Payload, rng *rand.Rand) *player {
	p := &player{when: when}
	for _, rec := range recordings {
		t := &track{rec: rec}
		if rng != nil {
			t.ssrc, t.start, t.seq = rng.Uint32(), rng.Uint32(), uint16(rng.Uint32()) //nolint:gosec // All bits.
		}
		t.next = sort.Search(len(rec.packets), func(i int) bool { return rec.packets[i].offset >= when.start })
		p.skipped += uint64(t.next) //nolint:gosec // Not negative.
		t.aim(live)
		p.tracks = append(p.tracks, t)
	}
	return p
}

// aim maps the payload types to those of another description of the live side.
func (p *player) aim(live []recorded.Payload) {
	for _, t := range p.tracks {
		t.aim(live)
	}
}

// first is the track whose packet is due first, nil when all is sent.
func (p *player) first() (first *track, due int64) {
	due = math.MaxInt64
	for _, t := range p.tracks {
		if t.next == len(t.rec.packets) {
			continue
		}
		if d := p.when.due(t.rec.packets[t.next].offset); d < due {
			first, due = t, d
		}
	}
	return first, due
}

// Next is when the next packet is due. Those that are not sent count as well: the time goes on in a hold.
func (p *player) Next() int64 {
	_, due := p.first()
	return due
}

// Done reports whether all is sent.
func (p *player) Done() bool { return p.Next() == math.MaxInt64 }

// Mute stops the packets, or lets them go on from where the schedule is.
func (p *player) Mute(_ int64, muted bool) { p.muted = muted }

// Packet appends the packet that is due at now, and passes over those that are not to be sent.
func (p *player) Packet(now int64, dst []byte) ([]byte, bool) {
	for {
		t, due := p.first()
		if t == nil || due > now {
			return dst, false
		}
		x := &t.rec.packets[t.next]
		t.next++
		switch {
		case t.to[x.pt] == dropped:
			p.dropped++
		case p.muted || now-due > maxLate:
			p.skipped++
		default:
			return t.append(dst, x), true
		}
	}
}

// append appends a packet with the numbers of this play.
func (t *track) append(dst []byte, x *packet) []byte {
	place := x.place
	if len(t.gone) > 0 {
		before, _ := slices.BinarySearch(t.gone, place)
		place -= int64(before)
	}
	at := len(dst)
	dst = append(dst, x.data...)
	rtp.Rewrite(dst[at:], &rtp.Packet{
		Marker: x.marker, PT: t.to[x.pt], Seq: t.seq + uint16(place), //nolint:gosec // Modulo 2^16.
		Timestamp: t.start + x.time, SSRC: t.ssrc,
	})
	return dst
}
