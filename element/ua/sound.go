package ua

import (
	"math"
	"math/rand/v2"
	"net/netip"

	"sipscope/element/media"
)

// SoundConfig says what is said and heard in calls.
type SoundConfig struct {
	Ports media.Ports
	// Source is what a call says; nil, or a nil result: silence.
	Source    func(c *Call) media.Source
	Echo      bool // sends back what comes instead
	Symmetric bool // sends to where packets come from (RFC 4961)
	Record    int  // samples kept of what is heard, for each call
	Rand      *rand.Rand
	// Ended is told of each stream that ends what it sent and got, and what of that was recorded; nil: nobody.
	Ended func(now int64, c *Call, st media.Stats, heard media.Sound)
}

// Sound is a Media of RTP streams. It belongs to one agent.
type Sound struct {
	cfg     SoundConfig
	streams *media.Streams
}

var _ Media = (*Sound)(nil)

// NewSound makes a Sound.
func NewSound(cfg SoundConfig) *Sound { return &Sound{cfg: cfg, streams: media.NewStreams()} }

// Open opens a port for a call.
func (s *Sound) Open(c *Call, local netip.Addr) (Stream, error) {
	port, err := s.cfg.Ports.Open(local)
	if err != nil {
		return nil, err
	}
	return &SoundStream{sound: s, call: c, port: port}, nil
}

// Wake sends what is due.
func (s *Sound) Wake(now int64) int64 {
	if s.streams.Len() == 0 {
		return math.MaxInt64
	}
	return s.streams.Wake(now)
}

// SoundStream is the stream of one call.
type SoundStream struct {
	sound  *Sound
	call   *Call
	port   media.Port
	stream *media.Stream // nil until something is agreed
}

// Addr is where RTP is received.
func (s *SoundStream) Addr() netip.AddrPort { return s.port.Local() }

// Media is the RTP stream, for its figures and to send digits; nil before anything is agreed.
func (s *SoundStream) Media() *media.Stream { return s.stream }

// SendDigits sends digits as telephone-events (RFC 4733).
func (s *SoundStream) SendDigits(text string) error {
	if s.stream == nil {
		return ErrState
	}
	err := s.stream.SendDigits(text)
	s.sound.streams.Add(s.stream) // its time may be another now
	return err
}

// Agree begins the stream, or changes it.
func (s *SoundStream) Agree(now int64, g Agreed) {
	a := media.Agreed{
		Remote: g.Remote, RemoteRTCP: g.RTCP, Mux: g.Mux, Local: s.port.Local(),
		Codec: media.Codec(g.Payload), SendPT: g.Payload, ReceivePT: g.Payload, Ptime: g.Ptime,
		SendEvent: int(g.DTMF), GetEvent: int(g.Hear), Direction: direction(g.Send, g.Receive), Held: !g.Receive,
		Rejected: !g.Remote.IsValid(),
	}
	if s.stream != nil {
		s.stream.Change(now, a, nil)
		s.sound.streams.Add(s.stream)
		return
	}
	cfg := media.StreamConfig{
		Port: s.port, Agreed: a, Echo: s.sound.cfg.Echo, Symmetric: s.sound.cfg.Symmetric, Record: s.sound.cfg.Record,
		Rand: s.sound.cfg.Rand, Digit: s.digit,
	}
	if s.sound.cfg.Source != nil {
		cfg.Source = s.sound.cfg.Source(s.call)
	}
	s.stream = media.NewStream(now, cfg)
	s.sound.streams.Add(s.stream)
}

func (s *SoundStream) digit(now int64, digit byte) {
	a := s.call.a
	a.now = max(a.now, now)
	a.emit(&Event{Kind: EventDTMF, Call: s.call, Remote: true, Body: []byte{digit}})
}

// Close ends the stream and closes its port.
func (s *SoundStream) Close(now int64) {
	if s.stream == nil {
		_ = s.port.Close() // nothing was sent
		return
	}
	s.sound.streams.Remove(s.stream)
	_ = s.stream.Close(now) // it owns the port; a BYE of RTCP that cannot be sent matters to nobody
	if s.sound.cfg.Ended != nil {
		s.sound.cfg.Ended(now, s.call, s.stream.Stats(), s.stream.Recorded())
	}
}
