package audio

import (
	"math"
	"strings"

	"sipscope/correlate/cut"
)

// Bounds of the sampling rates that SDP may name, in Hz.
const (
	minRate = 4000
	maxRate = 192000
)

// decoder makes samples of a stream's payloads, in the order of their sequence numbers.
type decoder interface {
	// decode appends the samples of a payload, of one channel.
	decode(dst []int16, payload []byte) []int16
}

// codec is how the payloads of a payload type become sound.
type codec struct {
	name     string // as RFC 3551 has it
	rate     int64  // samples a second
	clock    int64  // of the timestamps, a second (RFC 3551 4.5.2: G.722 has 8000 for 16000 samples)
	bytes    int64  // of a step
	samples  int64  // of a step
	decoder  func() decoder
	noise    bool // comfort noise (RFC 3389): no samples of its own
	silent   bool // events (RFC 4733): no sound, and no loss either
	channels int64
}

// length is how many samples a payload makes.
func (c *codec) length(payload []byte) int64 {
	if c.bytes == 0 {
		return 0
	}
	return int64(len(payload)) / c.bytes * c.samples
}

// codecOf finds what decodes a payload type; false for none.
func codecOf(p *cut.Payload) (codec, bool) {
	c := codec{name: strings.ToUpper(p.Name), rate: int64(p.Clock), clock: int64(p.Clock), bytes: 1, samples: 1, channels: 1}
	ch := max(int64(p.Channels), 1)
	switch c.name {
	case "PCMU":
		c.companded(&ulaw, ch)
	case "PCMA":
		c.companded(&alaw, ch)
	case "G722":
		// Rates of 16000 stand in some SDP against RFC 3551 4.5.2; the samples are the same.
		c.rate, c.samples = 16000, 2
		c.decoder = func() decoder { return newG722() }
	case "L16":
		c.bytes, c.channels = 2*ch, ch
		c.decoder = func() decoder { return linear16(ch) }
	case "L8":
		c.bytes, c.channels = ch, ch
		c.decoder = func() decoder { return linear8(ch) }
	case "CN":
		c.bytes, c.noise = 0, true
	case "TELEPHONE-EVENT":
		c.bytes, c.silent = 0, true
	default:
		return c, false
	}
	if c.clock == 0 {
		c.rate, c.clock = max(c.rate, 8000), 8000
	}
	return c, c.rate >= minRate && c.rate <= maxRate && c.clock >= minRate && c.clock <= maxRate
}

// companded sets up G.711.
func (c *codec) companded(table *[256]int16, channels int64) {
	c.bytes, c.channels = channels, channels
	c.decoder = func() decoder { return companding{table, channels} }
}

// sound reports whether payloads make samples.
func (c *codec) sound() bool { return c.decoder != nil }

// companding is G.711 (ITU-T G.711): a byte a sample and channel. Several channels are mixed.
type companding struct {
	table    *[256]int16
	channels int64
}

func (c companding) decode(dst []int16, payload []byte) []int16 {
	n := int(c.channels)
	if n == 1 {
		for _, code := range payload {
			dst = append(dst, c.table[code])
		}
		return dst
	}
	for ; len(payload) >= n; payload = payload[n:] {
		var sum int32
		for _, code := range payload[:n] {
			sum += int32(c.table[code])
		}
		dst = append(dst, int16(sum/int32(n))) //nolint:gosec // A mean of samples, at most 255 channels.
	}
	return dst
}

// linear16 is L16 of so many channels (RFC 3551 4.5.11): two's complement in network order. Several channels are mixed.
type linear16 int64

func (l linear16) decode(dst []int16, payload []byte) []int16 {
	n := int(l)
	for ; len(payload) >= 2*n; payload = payload[2*n:] {
		var sum int32
		for i := range n {
			sum += int32(int16(uint16(payload[2*i])<<8 | uint16(payload[2*i+1]))) //nolint:gosec // Two's complement.
		}
		dst = append(dst, int16(sum/int32(n))) //nolint:gosec // A mean of samples, at most 255 channels.
	}
	return dst
}

// linear8 is L8 of so many channels (RFC 3551 4.5.10): 128 is zero. Several channels are mixed.
type linear8 int64

func (l linear8) decode(dst []int16, payload []byte) []int16 {
	n := int(l)
	for ; len(payload) >= n; payload = payload[n:] {
		var sum int32
		for _, b := range payload[:n] {
			sum += (int32(b) - 128) << 8
		}
		dst = append(dst, int16(sum/int32(n))) //nolint:gosec // A mean of samples, at most 255 channels.
	}
	return dst
}

// noise is comfort noise: white, of the level that a packet states, the same for the same stream.
type noise struct {
	state uint32
}

// quietest is the level of noise that is silence in 16 bits, and loudest what is made of louder ones: comfort noise is
// low, whatever a packet claims.
const (
	loudest  = 40 // -dBov
	quietest = 90
)

// amplitude is the largest sample of noise of a payload's level, which is in -dBov (RFC 3389 3).
func amplitude(payload []byte) int32 {
	level := byte(70)
	if len(payload) > 0 {
		level = payload[0] & 0x7f
	}
	if level >= quietest {
		return 0
	}
	// The level is that of the power: white noise between -x and x has x/sqrt(3).
	return int32(32768 * math.Sqrt(3) * math.Pow(10, -float64(max(level, loudest))/20))
}

func (n *noise) next(amplitude int32) int16 {
	n.state = n.state*1664525 + 1013904223
	if amplitude == 0 {
		return 0
	}
	return int16(int32(n.state>>16)%(2*amplitude+1) - amplitude) //nolint:gosec // At most 568.
}
