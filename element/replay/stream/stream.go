package stream

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	recorded "sipscope/correlate/cut"
	"sipscope/decode/rtp"
	"sipscope/element/media"
	"sipscope/element/replay/guard"
)

// Config says what a Stream does.
type Config struct {
	Port   media.Port   // of a guard; the stream owns it
	Agreed media.Agreed // addresses, direction, ptime, RTCP; where Live and Local are nil the codec as well
	// Live is what the live side takes: the payload types of its SDP that ours agreed to, in its order. See
	// recorded.Payloads. nil: what Agreed says.
	Live []recorded.Payload
	// Local is what we said that we take. nil: what Agreed says.
	Local      []recorded.Payload
	Mode       Mode
	Recordings []*Recording // each with an SSRC of its own; of the same direction
	Start      int64        // the recordings' offset (ns) that stands for the stream's begin; what is before is skipped
	Speed      float64      // 2: gaps of half the length; 0: 1
	Sound      media.Sound  // of File
	Symmetric  bool         // send to where packets come from, once they do (RFC 4961); the guard is asked all the same
	CNAME      string       // of the reports, at most 255 bytes; "": a random one (RFC 7022)
	Rand       *rand.Rand   // SSRC and so on; nil: all 0
	Digit      func(now int64, digit byte)
}

// Stats are a stream's figures.
type Stats struct {
	Sending  string // what is sent: "recorded", "silence", "tone", "file", "nothing"
	Sent     media.Sent
	Skipped  uint64 // recorded packets that were not sent: before Start, during a hold, or too late
	Dropped  uint64 // recorded packets of codecs that the live side did not take
	Refused  uint64 // datagrams that the guard kept
	Errors   uint64 // datagrams that could not be sent
	Received media.Received
	From     netip.AddrPort // where the last packet came from
	Foreign  uint64         // packets that did not come from where the live SDP says
	Heard    uint64         // packets of G.711
	Silent   uint64         // those with nothing to hear in them
	Longest  time.Duration  // the longest time between two packets that came
	Digits   string         // telephone-events that came, the first 256
	Reports  uint64         // RTCP reports sent
	BadRTCP  uint64
	Report   media.Report // the live side's last about what we sent
	Reported bool         // Report is set
	Bye      bool         // the live side's RTCP said that it ends
}

// OneWay reports whether something was sent and nothing came.
func (s *Stats) OneWay() bool { return s.Sent.Packets > 0 && s.Received.Packets == 0 }

// Mute reports whether G.711 came and all of it was silence.
func (s *Stats) Mute() bool { return s.Heard > 0 && s.Silent == s.Heard }

// Limits of what is kept of what comes.
const (
	maxDigits = 256
	silence   = 64 // samples up to here (of 32767) are nothing to hear: G.711's codes around 0
)

// Stream is one m= line of one call: it sends what is due when it is woken, takes what arrives, and reports. Make one when
// an offer has its answer.
type Stream struct {
	cfg      Config
	sending  string
	sender   sender // nil: nothing is sent
	sound    *media.Sender
	player   *player
	digits   []timed // recorded ones, while sound is sent
	receiver *media.Receiver
	sources  []source
	reports  reports
	muted    bool

	remote, remoteRTCP netip.AddrPort
	latched            bool

	heard  []byte
	stats  Stats
	notes  []string
	closed bool
	place  int // in the Set that it is in
	buf    []byte
}

// timed is a digit and when it is sent.
type timed struct {
	at   int64
	code byte
}

// New begins a stream at now.
func New(now int64, cfg Config) *Stream {
	if cfg.CNAME == "" && cfg.Rand != nil {
		cfg.CNAME = fmt.Sprintf("%016x", cfg.Rand.Uint64())
	}
	s := &Stream{cfg: cfg}
	s.complete()
	s.receiver = media.NewReceiver(s.receives())
	s.choose(now)
	s.reports.begin(now, &cfg)
	s.aim()
	s.mute(now)
	cfg.Port.Receive(s.arrived)
	if c, ok := cfg.Port.(media.ControlPort); ok {
		if control := c.Control(); control != nil {
			control.Receive(s.control)
		}
	}
	return s
}

// complete fills in what the payload types are when the caller has only what was agreed.
func (s *Stream) complete() {
	a := &s.cfg.Agreed
	if s.cfg.Live == nil {
		s.cfg.Live = agreed(a.Codec, a.SendPT, a.SendEvent)
	}
	if s.cfg.Local == nil {
		s.cfg.Local = agreed(a.Codec, a.ReceivePT, a.GetEvent)
	}
}

// receives is what the receiver understands.
func (s *Stream) receives() media.ReceiverConfig {
	local := s.cfg.Local
	codec, pt, ok := g711(local, s.cfg.Agreed.ReceivePT)
	clock := clockOf(local)
	cfg := media.ReceiverConfig{Codec: codec, PT: pt, EventPT: events(local, clock), Clock: clock}
	if !ok {
		cfg.PT = math.MaxUint8 // no packet has it
	}
	for i := range local {
		cfg.Counted = append(cfg.Counted, local[i].PT)
	}
	return cfg
}

// choose chooses what is sent.
func (s *Stream) choose(now int64) {
	when := newSchedule(now, s.cfg.Start, s.cfg.Speed)
	mode := s.cfg.Mode
	if mode == Off {
		s.sending = "nothing"
		return
	}
	if mode == Auto && s.playable() {
		s.sending = "recorded"
		s.player = newPlayer(when, s.cfg.Recordings, s.cfg.Live, s.cfg.Rand)
		s.sender = s.player
		s.noteDropped()
		return
	}
	codec, pt, ok := g711(s.cfg.Live, s.cfg.Agreed.SendPT)
	if !ok {
		s.sending = "nothing"
		s.note("no G.711 in the live answer: nothing is sent")
		return
	}
	s.sending = [...]string{"silence", "nothing", "tone", "file"}[min(mode, File)]
	s.sound = media.NewSender(now, media.SenderConfig{
		Codec: codec, PT: pt, EventPT: events(s.cfg.Live, media.Rate), Ptime: s.cfg.Agreed.Ptime,
		Source: s.source(mode), Rand: s.cfg.Rand,
	})
	s.sender = s.sound
	if len(s.cfg.Recordings) > 0 && mode == Auto {
		s.noteDropped()
	}
	s.schedule(when)
}

// source is the sound of a mode.
func (s *Stream) source(mode Mode) media.Source {
	const hz = 440
	switch {
	case mode == Tone:
		if t, err := media.Tone(0, hz); err == nil {
			return t
		}
	case mode == File && len(s.cfg.Sound) > 0:
		return s.cfg.Sound.Play(true)
	}
	return media.Silence{}
}

// playable reports whether the live side takes sound of a recording.
func (s *Stream) playable() bool {
	return slices.ContainsFunc(s.cfg.Recordings, func(r *Recording) bool {
		_, sound := r.mapTo(s.cfg.Live)
		return sound
	})
}

// schedule has the recorded digits sent with the sound.
func (s *Stream) schedule(when schedule) {
	if events(s.cfg.Live, media.Rate) < 0 {
		return
	}
	for _, r := range s.cfg.Recordings {
		for _, d := range r.digits {
			if d.offset >= when.start {
				s.digits = append(s.digits, timed{when.due(d.offset), d.code})
			}
		}
	}
	slices.SortStableFunc(s.digits, func(a, b timed) int { return int(min(max(a.at-b.at, -1), 1)) })
}

// maxNotes bounds what is noted.
const maxNotes = 16

// note keeps what a tester should know, once.
func (s *Stream) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); len(s.notes) < maxNotes && !slices.Contains(s.notes, text) {
		s.notes = append(s.notes, text)
	}
}

// noteDropped notes what the live side does not take.
func (s *Stream) noteDropped() {
	for _, r := range s.cfg.Recordings {
		m, _ := r.mapTo(s.cfg.Live)
		for pt, n := range r.counts {
			if n > 0 && m[pt] == dropped {
				p := r.payload(uint8(pt))
				s.note("%d recorded packets of payload type %d (%s) not sent: the live side did not agree to it", n, pt, describe(&p))
			}
		}
	}
}

// describe is a payload as an rtpmap has it.
func describe(p *recorded.Payload) string {
	if p.Name == "" {
		return "unknown"
	}
	return fmt.Sprintf("%.40q/%d", p.Name, p.Clock)
}

// Notes say what was not sent as recorded, and why, for people.
func (s *Stream) Notes() []string { return s.notes }

// aim takes the addresses from what was agreed.
func (s *Stream) aim() {
	s.remote, s.remoteRTCP, s.latched = s.cfg.Agreed.Remote, s.cfg.Agreed.RemoteRTCP, false
}

// mute stops or lets go what is sent, by what was agreed.
func (s *Stream) mute(now int64) {
	if muted := !s.cfg.Agreed.Sends(); muted != s.muted {
		s.muted = muted
		if s.sender != nil {
			s.sender.Mute(now, muted)
		}
	}
}

// Change goes on, at now, with what a later offer and answer agreed on: the addresses, direction and payload types. Live
// and Local as in Config. Recordings, schedule and SSRCs go on, and so do the figures.
func (s *Stream) Change(now int64, a media.Agreed, live, local []recorded.Payload) {
	s.cfg.Agreed, s.cfg.Live, s.cfg.Local = a, live, local
	s.complete()
	s.receiver.Change(s.receives())
	switch {
	case s.player != nil:
		s.player.aim(s.cfg.Live)
		s.noteDropped()
	case s.sound != nil:
		codec, pt, ok := g711(s.cfg.Live, a.SendPT)
		if !ok {
			s.note("no G.711 in a later answer: nothing is sent from then on")
			s.sender, s.sound, s.digits = nil, nil, nil
			break
		}
		s.sound.Change(media.SenderConfig{
			Codec: codec, PT: pt, EventPT: events(s.cfg.Live, media.Rate), Ptime: a.Ptime, Source: s.source(s.cfg.Mode),
		})
	}
	s.aim()
	s.mute(now)
}

// Done reports whether all recorded packets were sent; silence and tones have no end.
func (s *Stream) Done() bool { return s.sender == nil || s.sender.Done() }

// Next is when the stream wants to be woken, math.MaxInt64 for never.
func (s *Stream) Next() int64 {
	if s.closed {
		return math.MaxInt64
	}
	next := s.reports.next
	if s.sender != nil {
		next = min(next, s.sender.Next())
	}
	if len(s.digits) > 0 {
		next = min(next, s.digits[0].at)
	}
	return next
}

// Wake sends what is due at now, and says when it wants to be called next.
func (s *Stream) Wake(now int64) (next int64) {
	if s.closed {
		return math.MaxInt64
	}
	for len(s.digits) > 0 && s.digits[0].at <= now {
		if s.sound == nil || s.muted || s.sound.SendDigits(string(s.digits[0].code)) != nil {
			s.stats.Skipped++
		}
		s.digits = s.digits[1:]
	}
	for s.sender != nil {
		b, due := s.sender.Packet(now, s.buf[:0])
		s.buf = b
		if !due {
			break
		}
		s.sent(now, b)
	}
	if now >= s.reports.next {
		s.report(now, false)
	}
	return s.Next()
}

// sent sends a packet and counts it for the reports.
func (s *Stream) sent(now int64, b []byte) {
	if !s.remote.IsValid() || !s.send(s.cfg.Port, s.remote, b) {
		return
	}
	var p rtp.Packet
	if rtp.Parse(b, &p) == nil {
		s.count(now, &p)
	}
}

// send sends a datagram.
func (s *Stream) send(port media.Port, to netip.AddrPort, b []byte) bool {
	err := port.Send(to, b)
	switch {
	case err == nil:
		return true
	case errors.Is(err, guard.ErrRefused):
		if s.stats.Refused++; s.stats.Refused == 1 {
			s.note("%v", err)
		}
	default:
		s.stats.Errors++
	}
	return false
}

// arrived takes a datagram from the port of RTP.
func (s *Stream) arrived(now int64, from netip.AddrPort, b []byte) {
	if s.closed {
		return
	}
	if rtp.IsRTCP(b) {
		s.control(now, from, b)
		return
	}
	before := s.receiver.Last()
	heard, err := s.receiver.Packet(now, b)
	if err != nil || !heard.Fresh {
		return // counted
	}
	if before != 0 {
		s.stats.Longest = max(s.stats.Longest, time.Duration(now-before))
	}
	if s.stats.From = from; from != s.cfg.Agreed.Remote {
		s.stats.Foreign++
	}
	s.hear(heard.Sound)
	s.latch(from)
	if heard.Digit == 0 {
		return
	}
	if len(s.heard) < maxDigits {
		s.heard = append(s.heard, heard.Digit)
	}
	if s.cfg.Digit != nil {
		s.cfg.Digit(now, heard.Digit)
	}
}

// hear counts a packet of G.711.
func (s *Stream) hear(pcm []int16) {
	if len(pcm) == 0 {
		return
	}
	s.stats.Heard++
	if silent(pcm) {
		s.stats.Silent++
	}
}

// latch sends to where packets come from (RFC 4961), the first address that they do.
func (s *Stream) latch(from netip.AddrPort) {
	if !s.cfg.Symmetric || s.latched || !s.remote.IsValid() {
		return
	}
	s.remote, s.latched = from, true
	if s.remoteRTCP.IsValid() {
		s.remoteRTCP = netip.AddrPortFrom(from.Addr(), from.Port()+1)
	}
}

// silent reports whether there is nothing to hear.
func silent(pcm []int16) bool {
	for _, v := range pcm {
		if v > silence || v < -silence {
			return false
		}
	}
	return true
}

// Stats gives the figures.
func (s *Stream) Stats() Stats {
	st := s.stats
	st.Sending, st.Received, st.Digits = s.sending, s.receiver.Stats(), string(s.heard)
	for i := range s.sources {
		st.Sent.Packets += s.sources[i].packets
		st.Sent.Octets += s.sources[i].octets
	}
	if s.player != nil {
		st.Skipped += s.player.skipped
		st.Dropped += s.player.dropped
	}
	return st
}

// Close ends the stream at now: it says so to the other side (RFC 3550 6.6) and closes the port. The figures stay.
func (s *Stream) Close(now int64) error {
	if s.closed {
		return nil
	}
	if len(s.sources) > 0 { // who never sent leaves without a word (RFC 3550 6.3.7)
		s.report(now, true)
	}
	s.closed = true
	if err := s.cfg.Port.Close(); err != nil {
		return fmt.Errorf("media: %w", err)
	}
	return nil
}
