package stream

import (
	"strings"

	recorded "sipscope/correlate/cut"
	"sipscope/decode/sdp"
	"sipscope/element/media"
)

// eventName is the encoding name of telephone-events (RFC 4733 7).
const eventName = "telephone-event"

// staticPayload is what RFC 3551 says of a payload type.
func staticPayload(pt uint8) recorded.Payload {
	name, clock := sdp.StaticPayload(int(pt))
	return recorded.Payload{PT: pt, Name: name, Clock: clock, Channels: 1}
}

// comfort reports whether a payload is comfort noise (RFC 3389).
func comfort(p *recorded.Payload) bool { return strings.EqualFold(p.Name, "CN") }

// agreed are the payload types of an Agreed: G.711 and telephone-events.
func agreed(codec media.Codec, pt uint8, event int) []recorded.Payload {
	all := []recorded.Payload{{PT: pt, Name: codec.String(), Clock: media.Rate, Channels: 1}}
	if event >= 0 {
		pt = uint8(event) //nolint:gosec // Seven bits.
		all = append(all, recorded.Payload{PT: pt, Name: eventName, Clock: media.Rate, Channels: 1})
	}
	return all
}

// g711 finds G.711 among payload types: under number first, when that is one, else the first that is.
func g711(all []recorded.Payload, first uint8) (codec media.Codec, pt uint8, ok bool) {
	for i := range all {
		p := &all[i]
		c, known := media.ParseCodec(p.Name)
		if !known || p.Clock != media.Rate || p.Channels > 1 {
			continue
		}
		if p.PT == first {
			return c, p.PT, true
		}
		if !ok {
			codec, pt, ok = c, p.PT, true
		}
	}
	return codec, pt, ok
}

// events finds the payload type of telephone-events with a clock rate; -1 for none.
func events(all []recorded.Payload, clock uint32) int {
	for i := range all {
		if p := &all[i]; p.Event() && p.Clock == clock {
			return int(p.PT)
		}
	}
	return -1
}

// clockOf is the clock rate of the first codec that is neither telephone-events nor comfort noise.
func clockOf(all []recorded.Payload) uint32 {
	for i := range all {
		if p := &all[i]; !p.Event() && !comfort(p) && p.Clock > 0 {
			return p.Clock
		}
	}
	return media.Rate
}
