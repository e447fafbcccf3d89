package stream

import (
	"cmp"
	"iter"
	"math"
	"slices"

	recorded "sipscope/correlate/cut"
	"sipscope/decode/rtp"
)

// Recording is what one source sent, ready to be sent again. It does not change, and any number of streams may play it.
type Recording struct {
	packets  []packet
	payloads []recorded.Payload
	counts   [rtp.MaxPT + 1]int // packets of each payload type
	digits   []digit
	invalid  int
}

// packet is a packet of a recording.
type packet struct {
	offset int64  // ns, as recorded
	place  int64  // sequence number without its wraps, after that of the first packet; less than 0 for one that came late
	time   uint32 // timestamp after that of the first packet
	pt     uint8
	marker bool
	data   []byte
}

// digit is a recorded telephone-event.
type digit struct {
	offset int64
	code   byte
}

// maxOffset bounds the offset (ns) of what is played: ten days.
const maxOffset = int64(10 * 24 * 3600e9)

// NewRecording makes a recording of the packets of one source: pairs of an offset (ns, from wherever the caller counts)
// and an RTP packet, which is kept and must not change. payloads say what the payload types stand for; those that they
// do not name are looked up in RFC 3551. What is no RTP, or is more than ten days off, is left out; see Invalid.
func NewRecording(payloads []recorded.Payload, packets iter.Seq2[int64, []byte]) *Recording {
	r := &Recording{payloads: payloads}
	var first, p rtp.Packet
	highest := int64(0)
	events := eventTypes(payloads)
	lastEvent, inEvent := uint32(0), false
	for offset, data := range packets {
		if rtp.Parse(data, &p) != nil || offset > maxOffset || offset < -maxOffset {
			r.invalid++
			continue
		}
		if len(r.packets) == 0 {
			first = p
		}
		place := highest + int64(int16(p.Seq-first.Seq-uint16(highest))) //nolint:gosec // A difference modulo 2^16.
		highest = max(highest, place)
		r.packets = append(r.packets, packet{
			offset: offset, place: place, time: p.Timestamp - first.Timestamp, pt: p.PT, marker: p.Marker, data: data,
		})
		r.counts[p.PT]++
		if !events[p.PT] || inEvent && int32(p.Timestamp-lastEvent) <= 0 { //nolint:gosec // A difference.
			continue
		}
		if e, ok := rtp.ParseEvent(p.Payload); ok && e.Digit() != 0 {
			r.digits = append(r.digits, digit{offset, e.Digit()})
			lastEvent, inEvent = p.Timestamp, true
		}
	}
	slices.SortStableFunc(r.packets, func(a, b packet) int { return cmp.Compare(a.offset, b.offset) })
	slices.SortStableFunc(r.digits, func(a, b digit) int { return cmp.Compare(a.offset, b.offset) })
	return r
}

// eventTypes are the payload types of telephone-events.
func eventTypes(payloads []recorded.Payload) (events [rtp.MaxPT + 1]bool) {
	for i := range payloads {
		if p := &payloads[i]; p.PT <= rtp.MaxPT && p.Event() {
			events[p.PT] = true
		}
	}
	return events
}

// Len is the number of packets.
func (r *Recording) Len() int { return len(r.packets) }

// Invalid is the number of packets that were left out.
func (r *Recording) Invalid() int { return r.invalid }

// First is the offset of the first packet, 0 when there is none.
func (r *Recording) First() int64 {
	if len(r.packets) == 0 {
		return 0
	}
	return r.packets[0].offset
}

// Last is the offset of the last packet, 0 when there is none.
func (r *Recording) Last() int64 {
	if len(r.packets) == 0 {
		return 0
	}
	return r.packets[len(r.packets)-1].offset
}

// Digits are the telephone-events of the recording, as digits.
func (r *Recording) Digits() string {
	b := make([]byte, len(r.digits))
	for i, d := range r.digits {
		b[i] = d.code
	}
	return string(b)
}

// payload is what a payload type of the recording stands for.
func (r *Recording) payload(pt uint8) recorded.Payload {
	for _, p := range r.payloads {
		if p.PT == pt && p.Name != "" {
			return p
		}
	}
	return staticPayload(pt)
}

// dropped is a payload type in a mapping that is not sent.
const dropped = math.MaxUint8

// mapping says under which payload type each of a recording's is sent.
type mapping [rtp.MaxPT + 1]uint8

// mapTo maps the payload types of a recording to those of a live side. It reports whether sound, and not digits or comfort
// noise alone, is among what can be sent.
func (r *Recording) mapTo(live []recorded.Payload) (m mapping, sound bool) {
	for pt := range m {
		m[pt] = dropped
		if r.counts[pt] == 0 {
			continue
		}
		p := r.payload(uint8(pt))
		m[pt] = choose(&p, live)
		sound = sound || m[pt] != dropped && !p.Event() && !comfort(&p)
	}
	return m, sound
}

// choose is the payload type of a live side for a codec: under the same number, else with the same parameters, else the
// first.
func choose(p *recorded.Payload, live []recorded.Payload) uint8 {
	found, rank := uint8(dropped), 0
	for i := range live {
		q := &live[i]
		if q.PT > rtp.MaxPT || !p.Same(q) {
			continue
		}
		score := 1
		if p.Params == q.Params {
			score += 2
		}
		if p.PT == q.PT {
			score += 4
		}
		if score > rank {
			found, rank = q.PT, score
		}
	}
	return found
}
