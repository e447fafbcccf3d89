package media

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"sipscope/decode/rtp"
)

// Errors of SendDigits.
var (
	// ErrNoEvents says that no telephone-events were agreed.
	ErrNoEvents = errors.New("no telephone-event payload type")
	// ErrDigit says that a character is no digit of a telephone, or that there are too many.
	ErrDigit = errors.New("expected digits of 0-9, *, #, A-D")
)

// Times and limits of a Sender.
const (
	digitTime   = 100 * time.Millisecond // how long a digit is pressed
	digitGap    = 100 * time.Millisecond // and the pause after it (RFC 4733 3.1 wants 40 ms or more of each)
	digitVolume = 10                     // dB below 0 dBm0
	endPackets  = 3                      // of an event: its end is told three times (RFC 4733 2.5.1.4)
	maxDigits   = 256                    // that wait
	maxPtime    = 200                    // ms
	maxLate     = 5                      // packets that are sent at once to catch up; later, they are skipped
	maxSamples  = Rate / 1000 * maxPtime
)

// SenderConfig says what a Sender sends.
type SenderConfig struct {
	Codec   Codec
	PT      uint8  // payload type; that of the codec, or what was agreed
	EventPT int    // of telephone-event; -1: none
	Ptime   uint16 // ms of sound in a packet; 0: 20
	Source  Source // nil: Silence
	Rand    *rand.Rand
}

// Sender makes the RTP packets of a stream. What it has sent tells its figures.
type Sender struct {
	cfg   SenderConfig
	step  uint32 // samples in a packet
	next  int64  // ns: when the next packet is due; MaxInt64 when the source is over
	seq   uint16
	ts    uint32 // of the next packet
	ssrc  uint32
	fresh bool // the next packet begins a talk spurt: it has the marker (RFC 3551 4.1)
	over  bool // the source is over

	rested bool // the last packet's time passed without one

	digits  string // that wait
	event   pressed
	muted   bool
	packets uint32
	octets  uint32 // of payload (RFC 3550 6.4.1)
	pcm     []int16
}

// pressed is the digit that is being sent.
type pressed struct {
	on    bool
	code  uint8
	start uint32 // timestamp of all its packets (RFC 4733 2.2)
	ends  int    // packets with the end bit sent
	wait  uint32 // samples of pause left after it
	took  uint16 // its duration when it ended
}

// NewSender makes a sender whose first packet is due at now. Sequence number, timestamp and SSRC begin at random (RFC
// 3550 5.1).
func NewSender(now int64, cfg SenderConfig) *Sender {
	s := &Sender{next: now, fresh: true}
	if cfg.Rand != nil {
		s.seq, s.ts, s.ssrc = uint16(cfg.Rand.Uint32()), cfg.Rand.Uint32(), cfg.Rand.Uint32() //nolint:gosec // All bits.
	}
	s.pcm = make([]int16, 0, Rate/1000*defaultPtime)
	s.Change(cfg)
	return s
}

// Change goes on with another codec, payload type or source: sequence number, timestamp and SSRC go on.
func (s *Sender) Change(cfg SenderConfig) {
	if cfg.Ptime == 0 || cfg.Ptime > maxPtime {
		cfg.Ptime = defaultPtime
	}
	if cfg.Source == nil {
		cfg.Source = Silence{}
	}
	s.cfg, s.step, s.over = cfg, uint32(cfg.Ptime)*Rate/1000, false
	if cfg.EventPT < 0 || cfg.EventPT > maxPT {
		s.cfg.EventPT, s.digits, s.event.on = -1, "", false
	}
}

// SSRC is the stream's name (RFC 3550 3).
func (s *Sender) SSRC() uint32 { return s.ssrc }

// Mute stops the stream, as a hold does, or lets it go on at now. Its timestamps go on with the time.
func (s *Sender) Mute(now int64, muted bool) {
	if s.muted && !muted {
		if behind := now - s.next; behind > 0 {
			s.skip(behind/s.interval() + 1)
		}
		s.fresh = true
	}
	s.muted = muted
}

// skip passes over packets that nobody gets.
func (s *Sender) skip(packets int64) {
	s.next += packets * s.interval()
	s.ts += uint32(packets) * s.step //nolint:gosec // Timestamps wrap.
}

// SendDigits has digits sent as telephone-events, one after the other, in place of the sound (RFC 4733 2.2).
func (s *Sender) SendDigits(text string) error {
	if s.cfg.EventPT < 0 {
		return ErrNoEvents
	}
	text = strings.ToUpper(text)
	if len(s.digits)+len(text) > maxDigits {
		return fmt.Errorf("%d digits: %w, at most %d", len(s.digits)+len(text), ErrDigit, maxDigits)
	}
	for _, c := range text {
		if !strings.ContainsRune(digits, c) {
			return fmt.Errorf("%q: %w", c, ErrDigit)
		}
	}
	s.digits += text
	return nil
}

// Done reports whether the source is over and no digit waits.
func (s *Sender) Done() bool { return s.over && s.idle() }

// idle reports whether no digit is sent or waits.
func (s *Sender) idle() bool { return !s.event.on && s.event.wait == 0 && s.digits == "" }

// Next is when a packet is due, math.MaxInt64 for never.
func (s *Sender) Next() int64 {
	if s.muted || s.Done() {
		return math.MaxInt64
	}
	return s.next
}

// interval is the time of a packet in ns.
func (s *Sender) interval() int64 { return int64(s.cfg.Ptime) * int64(time.Millisecond) }

// Packet appends the packet that is due at now to dst. It reports false when none is. Call it again until it does: a
// caller that comes late catches up by a few packets, and skips more than that.
func (s *Sender) Packet(now int64, dst []byte) ([]byte, bool) {
	if s.Next() > now {
		return dst, false
	}
	if late := (now - s.next) / s.interval(); s.rested {
		s.skip(late) // there was nothing to say
	} else if late > maxLate {
		s.skip(late - maxLate)
	}
	s.press()
	if s.event.on {
		dst = s.eventPacket(dst)
	} else {
		var sent bool
		if dst, sent = s.soundPacket(dst); !sent {
			s.rested, s.fresh = true, true
			s.advance()
			return dst, false
		}
	}
	s.rested = false
	s.advance()
	s.seq++
	s.packets++
	return dst, true
}

// advance goes on to the next packet's time.
func (s *Sender) advance() {
	s.next += s.interval()
	s.ts += s.step
}

// press begins the next digit, when none is pressed and the pause after the last one is over.
func (s *Sender) press() {
	if s.event.on || s.event.wait > 0 || s.digits == "" {
		return
	}
	code := strings.IndexByte(digits, s.digits[0])
	s.event = pressed{on: true, code: uint8(code), start: s.ts} //nolint:gosec // SendDigits took only those.
	s.digits = s.digits[1:]
}

// eventPacket appends the next packet of a digit. Its duration counts from the digit's begin; the packet that is sent
// when it begins says what will have passed at the end of its packet time.
func (s *Sender) eventPacket(dst []byte) []byte {
	e := &s.event
	const press, gap = uint32(digitTime * Rate / time.Second), uint32(digitGap * Rate / time.Second)
	first := s.ts == e.start && e.ends == 0
	lasted := s.ts - e.start + s.step
	if e.ends == 0 {
		e.took = uint16(min(lasted, math.MaxUint16))
	}
	ev := rtp.Event{Code: e.code, End: lasted >= press, Volume: digitVolume, Duration: e.took}
	if ev.End {
		e.ends++
	}
	p := Packet{Marker: first, PT: uint8(s.cfg.EventPT), Seq: s.seq, Timestamp: e.start, SSRC: s.ssrc} //nolint:gosec // ≤ 127
	dst = ev.Append(p.AppendHeader(dst))
	s.octets += rtp.EventBytes
	if e.ends == endPackets {
		e.on, e.wait, s.fresh = false, gap, true
	}
	return dst
}

// soundPacket appends a packet of sound; false when the source is over.
func (s *Sender) soundPacket(dst []byte) ([]byte, bool) {
	s.event.wait -= min(s.event.wait, s.step)
	if s.over {
		return dst, false
	}
	p := Packet{Marker: s.fresh, PT: s.cfg.PT, Seq: s.seq, Timestamp: s.ts, SSRC: s.ssrc}
	if _, silent := s.cfg.Source.(Silence); silent { // what most streams of a load test say
		s.fresh = false
		s.octets += s.step
		return s.cfg.Codec.appendSilence(p.AppendHeader(dst), int(s.step)), true
	}
	if cap(s.pcm) < int(s.step) {
		s.pcm = make([]int16, 0, s.step)
	}
	pcm := s.pcm[:s.step]
	if n := s.cfg.Source.Read(pcm); n < len(pcm) {
		s.over = true
		if n == 0 {
			return dst, false
		}
		clear(pcm[n:])
	}
	s.fresh = false
	dst = s.cfg.Codec.Encode(p.AppendHeader(dst), pcm)
	s.octets += s.step
	return dst, true
}

// Sent are a sender's figures.
type Sent struct {
	Packets uint32
	Octets  uint32 // of payload
}

// Stats gives the figures.
func (s *Sender) Stats() Sent { return Sent{Packets: s.packets, Octets: s.octets} }

// timestamp is the RTP timestamp of the time now, for a sender report (RFC 3550 6.4.1).
func (s *Sender) timestamp(now int64) uint32 {
	ahead := (now - s.next) / int64(time.Microsecond) * (Rate / 1000) / 1000
	return s.ts + uint32(ahead) //nolint:gosec // Timestamps wrap.
}
