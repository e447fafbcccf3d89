package media

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"time"

	"sipscope/decode/rtp"
)

// reportTime is the mean time between two reports (RFC 3550 6.2).
const reportTime = int64(5 * time.Second)

// StreamConfig says what a Stream does.
type StreamConfig struct {
	Port   Port // the stream owns it
	Agreed Agreed
	Source Source // what is said; nil: silence
	// Echo sends back what comes, with an SSRC of its own, in place of Source.
	Echo bool
	// Symmetric sends to where packets come from, once they do, as is needed behind a NAT (RFC 4961).
	Symmetric bool
	Record    int    // samples that are kept of what is heard
	CNAME     string // of the reports (RFC 3550 6.5.1), at most 255 bytes; "": a random one (RFC 7022)
	Rand      *rand.Rand
	// Digit, when set, is told each digit that is heard, Sound the sound of each packet, valid during the call.
	Digit func(now int64, digit byte)
	Sound func(now int64, pcm []int16)
}

// Stream is one audio stream of a call on a Port: it sends what is due when it is woken, takes what arrives, and reports
// (RFC 3550 6). Make one when an offer has its answer.
type Stream struct {
	cfg      StreamConfig
	sender   *Sender
	receiver *Receiver
	echo     echo

	remote, remoteRTCP netip.AddrPort
	latched            bool // remote is where packets come from

	nextReport int64
	reported   uint32 // packets sent up to the last report
	from       lastSR
	report     Report
	has        bool
	stats      Stats
	closed     bool
	place      int // in the Streams that it is in
	buf        []byte
}

// Stats are a stream's figures.
type Stats struct {
	Sent       Sent
	Received   Received
	Report     Report // the other side's last
	HasReport  bool
	Reports    uint64 // sent
	Bye        bool   // the other side's RTCP said that it ends
	SendErrors uint64
	BadRTCP    uint64
}

// NewStream begins a stream at now.
func NewStream(now int64, cfg StreamConfig) *Stream {
	if cfg.CNAME == "" && cfg.Rand != nil {
		cfg.CNAME = randomName(cfg.Rand)
	}
	cfg.CNAME = cfg.CNAME[:min(len(cfg.CNAME), maxCNAME)]
	s := &Stream{cfg: cfg, nextReport: math.MaxInt64}
	s.sender = NewSender(now, s.sends())
	s.receiver = NewReceiver(s.receives())
	s.receiver.deaf = cfg.Record == 0 && cfg.Sound == nil
	s.aim()
	cfg.Port.Receive(s.arrived)
	if c, ok := cfg.Port.(ControlPort); ok {
		c.Control().Receive(s.control)
	}
	s.nextReport = now + s.spread()/2 // RFC 3550 6.2: half the time before the first
	return s
}

// randomName is a CNAME that tells nothing (RFC 7022 4.2): 96 bits.
func randomName(rng *rand.Rand) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	var b [16]byte
	hi, lo := rng.Uint64(), rng.Uint64()
	for i := range b {
		if i == len(b)/2 {
			hi = lo
		}
		b[i] = letters[hi&63]
		hi >>= 6
	}
	return string(b[:])
}

func (s *Stream) sends() SenderConfig {
	a := &s.cfg.Agreed
	return SenderConfig{
		Codec: a.Codec, PT: a.SendPT, EventPT: a.SendEvent, Ptime: a.Ptime, Source: s.cfg.Source, Rand: s.cfg.Rand,
	}
}

func (s *Stream) receives() ReceiverConfig {
	a := &s.cfg.Agreed
	return ReceiverConfig{Codec: a.Codec, PT: a.ReceivePT, EventPT: a.GetEvent, Record: s.cfg.Record}
}

// aim takes the addresses from what was agreed.
func (s *Stream) aim() {
	s.remote, s.remoteRTCP, s.latched = s.cfg.Agreed.Remote, s.cfg.Agreed.RemoteRTCP, false
	s.sender.muted = !s.cfg.Agreed.Sends() || s.cfg.Echo
}

// Change goes on at now with what was agreed anew, as on hold or with another codec. The source goes on where it was; one
// that is given takes its place.
func (s *Stream) Change(now int64, a Agreed, source Source) {
	s.cfg.Agreed = a
	if source != nil {
		s.cfg.Source = source
	}
	muted := s.sender.muted
	s.sender.Change(s.sends())
	s.receiver.Change(s.receives())
	s.aim()
	if to := s.sender.muted; to != muted { // by Mute, which keeps the timestamps going with the time
		s.sender.muted = muted
		s.sender.Mute(now, to)
	}
}

// Play has the stream say something else from now on.
func (s *Stream) Play(source Source) {
	s.cfg.Source = source
	s.sender.Change(s.sends())
}

// SendDigits sends digits as telephone-events; see Sender.SendDigits. An echo says nothing of its own: ErrNoEvents.
func (s *Stream) SendDigits(text string) error {
	if s.cfg.Echo {
		return ErrNoEvents
	}
	return s.sender.SendDigits(text)
}

// Done reports whether the source is over and no digit waits.
func (s *Stream) Done() bool { return s.sender.Done() }

// Next is when the stream wants to be woken.
func (s *Stream) Next() int64 {
	if s.closed {
		return math.MaxInt64
	}
	return min(s.sender.Next(), s.nextReport)
}

// Wake sends what is due at now, and says when it wants to be called next.
func (s *Stream) Wake(now int64) (next int64) {
	if s.closed {
		return math.MaxInt64
	}
	for {
		b, due := s.sender.Packet(now, s.buf[:0])
		s.buf = b
		if !due {
			break
		}
		s.send(b)
	}
	if now >= s.nextReport {
		s.sendReport(now, false)
		s.nextReport = now + s.spread()
	}
	return s.Next()
}

// spread is the time to the next report: 5 seconds, less or more by up to a half, so that those of many streams do not
// come at once (RFC 3550 6.3.1).
func (s *Stream) spread() int64 {
	if s.cfg.Rand == nil {
		return reportTime
	}
	return reportTime/2 + s.cfg.Rand.Int64N(reportTime)
}

func (s *Stream) send(b []byte) {
	if s.remote.IsValid() && s.cfg.Port.Send(s.remote, b) != nil {
		s.stats.SendErrors++
	}
}

// sendReport sends a report: a sender report when packets were sent since the last (RFC 3550 6.4).
func (s *Stream) sendReport(now int64, bye bool) {
	port, to := s.cfg.Port, s.remote
	if !s.cfg.Agreed.Mux {
		c, ok := s.cfg.Port.(ControlPort)
		if !ok {
			return // no socket for it
		}
		port, to = c.Control(), s.remoteRTCP
	}
	if !to.IsValid() {
		return
	}
	s.buf = appendReport(s.buf[:0], now, s.sender, s.receiver, s.from, s.sender.packets != s.reported, s.cfg.CNAME, bye)
	s.reported = s.sender.packets
	if port.Send(to, s.buf) != nil {
		s.stats.SendErrors++
		return
	}
	s.stats.Reports++
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
	heard, err := s.receiver.Packet(now, b)
	if err != nil {
		return // counted
	}
	if s.cfg.Symmetric && !s.latched && s.remote.IsValid() {
		s.remote, s.latched = from, true
		if s.remoteRTCP.IsValid() {
			s.remoteRTCP = netip.AddrPortFrom(from.Addr(), from.Port()+1)
		}
	}
	s.tell(now, &heard)
	if s.cfg.Echo && heard.Fresh && s.cfg.Agreed.Sends() && !s.closed {
		s.sendBack(now, b)
	}
}

// tell tells the owner, who may close the stream.
func (s *Stream) tell(now int64, heard *Heard) {
	if heard.Digit != 0 && s.cfg.Digit != nil {
		s.cfg.Digit(now, heard.Digit)
	}
	if len(heard.Sound) > 0 && s.cfg.Sound != nil {
		s.cfg.Sound(now, heard.Sound)
	}
}

// control takes a datagram of RTCP.
func (s *Stream) control(now int64, _ netip.AddrPort, b []byte) {
	if s.closed {
		return
	}
	c, err := parseControl(now, b, s.sender.ssrc)
	if err != nil {
		s.stats.BadRTCP++
	}
	if c.sr.at != 0 {
		s.from = c.sr
	}
	if c.has {
		s.report, s.has = c.report, true
	}
	s.stats.Bye = s.stats.Bye || c.bye
}

// Stats gives the figures.
func (s *Stream) Stats() Stats {
	st := s.stats
	st.Sent, st.Received, st.Report, st.HasReport = s.sender.Stats(), s.receiver.Stats(), s.report, s.has
	return st
}

// Recorded is what was heard; see StreamConfig.Record.
func (s *Stream) Recorded() Sound { return s.receiver.Recorded() }

// Close ends the stream at now: it says so to the other side (RFC 3550 6.6) and closes the port. The figures stay.
func (s *Stream) Close(now int64) error {
	if s.closed {
		return nil
	}
	if s.sender.packets > 0 { // who never sent leaves without a word (RFC 3550 6.3.7)
		s.sendReport(now, true)
	}
	s.closed = true
	return s.cfg.Port.Close()
}

// echo is what an echo needs to send what came in a stream of its own.
type echo struct {
	began  bool
	ssrc   uint32 // of what comes
	offset uint32 // of timestamps
}

// sendBack sends what came with our SSRC, sequence numbers and timestamps. Packets of types that were not agreed on stay
// here, and so does what has our own SSRC: it is our own packet, come back (RFC 3550 8.2).
func (s *Stream) sendBack(now int64, b []byte) {
	var p Packet
	if ParsePacket(b, &p) != nil || p.SSRC == s.sender.ssrc || len(p.Payload) > maxSamples {
		return
	}
	a := &s.cfg.Agreed
	switch {
	case p.PT == a.ReceivePT:
		p.PT = a.SendPT
	case int(p.PT) == a.GetEvent && a.SendEvent >= 0:
		p.PT = uint8(a.SendEvent) //nolint:gosec // A payload type.
	default:
		return
	}
	e := &s.echo
	if !e.began || e.ssrc != p.SSRC {
		e.began, e.ssrc, e.offset = true, p.SSRC, s.sender.timestamp(now)-p.Timestamp
	}
	p.Timestamp += e.offset
	p.SSRC, p.Seq = s.sender.ssrc, s.sender.seq
	s.sender.seq++
	s.sender.packets++
	s.sender.octets += uint32(len(p.Payload)) //nolint:gosec // A datagram.
	s.buf = p.Append(s.buf[:0])
	s.send(s.buf)
}
