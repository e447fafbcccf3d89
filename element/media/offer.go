package media

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"sipscope/decode/sdp"
)

// Errors of a Session. All of them are reasons for a 488 (RFC 3261 13.3.1.3), or for a BYE when an answer is to blame.
var (
	// ErrNoAudio says that a description has no audio in RTP without encryption.
	ErrNoAudio = errors.New("no audio stream over plain RTP")
	// ErrNoCodec says that there is no codec in common.
	ErrNoCodec = errors.New("no codec in common")
	// ErrNoOffer says that an answer came, and no offer waits for one.
	ErrNoOffer = errors.New("answer without an offer")
	// ErrTooMany says that a description has more streams than anybody needs.
	ErrTooMany = errors.New("too many media streams")
)

// Limits and defaults of descriptions.
const (
	maxLines       = 32  // m= lines of a description that is answered; the parser stops at 64
	defaultEventPT = 101 // of telephone-event in an offer, as everybody does
	defaultPtime   = 20  // ms (RFC 3551 4.2)
	firstDynamic   = 96  // RFC 3551 3
	maxPT          = 127

	// Of the packets that the other side wishes to get; 200 ms are the most that RFC 3551 4.2 has everybody take, and
	// below 10 ms there would be more header than sound.
	leastPtime, mostPtime = 10, 200
)

// SessionConfig says what one side has to offer.
type SessionConfig struct {
	Addr      netip.AddrPort // where RTP is received; RTCP is at the next port
	Codecs    []Codec        // in order of preference; nil: PCMU, PCMA
	EventPT   uint8          // payload type of telephone-event in an offer (RFC 4733); 0: 101
	NoEvents  bool           // no telephone-event
	Ptime     uint16         // ms of sound in a packet; 0: 20
	RTCPMux   bool           // RTCP at the port of RTP, when the other side wants it too (RFC 5761)
	User      string         // of the o= line; "": "-"
	Name      string         // of the s= line; "": "-"
	Rand      *rand.Rand     // makes the session id
	SessionID uint64         // 0: from Rand
}

// Session is one side of a session with one audio stream: it makes offers and answers (RFC 3264) and knows what was
// agreed. A changed description has a version one higher than the last one sent (RFC 3264 8).
type Session struct {
	cfg     SessionConfig
	version uint64
	sent    string // the last description, without its version

	lines []line // media of the session in order; only one is ours
	ours  int

	offered []byte // the offer that waits for an answer
	agreed  Agreed
	has     bool
}

// line is an m= line that is not ours, as it is refused: type, protocol and one format.
type line struct{ kind, proto, format string }

// description is what the audio line of a description says.
type description struct {
	codecs  []payload
	eventPT int // -1 for none
	dir     sdp.Direction
	port    uint16
	mux     bool
}

// payload is a codec and the payload type that carries it to the author of a description.
type payload struct {
	codec Codec
	pt    uint8
}

// Agreed is the result of an offer and its answer, from our side.
type Agreed struct {
	Remote     netip.AddrPort // where to send RTP; invalid when there is nowhere: rejected, or a host name
	RemoteRTCP netip.AddrPort // where to send RTCP
	Local      netip.AddrPort // where we said that we receive
	Codec      Codec
	SendPT     uint8         // of what we send
	ReceivePT  uint8         // of what we get
	SendEvent  int           // payload type of telephone-event that we send; -1: not agreed
	GetEvent   int           // and that we get
	Direction  sdp.Direction // ours: sendonly when we hold the other side
	Held       bool          // the other side holds us: we hear nothing, or it is not heard
	Rejected   bool          // port 0: no media flow
	Ptime      uint16        // ms, what we send in a packet
	Mux        bool          // RTCP at the port of RTP
}

// Sends reports whether RTP is to be sent.
func (a *Agreed) Sends() bool { return !a.Rejected && a.Remote.IsValid() && a.Direction.Sends() }

// NewSession makes a session.
func NewSession(cfg SessionConfig) *Session {
	if len(cfg.Codecs) == 0 {
		cfg.Codecs = []Codec{PCMU, PCMA}
	}
	if cfg.EventPT < firstDynamic || cfg.EventPT > maxPT {
		cfg.EventPT = defaultEventPT
	}
	if cfg.Ptime == 0 {
		cfg.Ptime = defaultPtime
	}
	if cfg.SessionID == 0 && cfg.Rand != nil {
		cfg.SessionID = cfg.Rand.Uint64() >> 2 // fits a signed number, which is how many read it (RFC 8866 5.2)
	}
	cfg.User, cfg.Name = oneWord(cfg.User), oneLine(cfg.Name)
	cfg.Addr = netip.AddrPortFrom(cfg.Addr.Addr().Unmap().WithZone(""), cfg.Addr.Port())
	return &Session{cfg: cfg}
}

// SetAddr changes where RTP is received, from the next offer or answer on.
func (s *Session) SetAddr(addr netip.AddrPort) {
	s.cfg.Addr = netip.AddrPortFrom(addr.Addr().Unmap().WithZone(""), addr.Port())
}

// Agreed is what the last offer and answer agreed on; false before the first.
func (s *Session) Agreed() (Agreed, bool) { return s.agreed, s.has }

// Pending reports whether an offer of ours waits for its answer.
func (s *Session) Pending() bool { return s.offered != nil }

// Offer makes an offer. dir is what we want: SendRecv, SendOnly to hold the other side, RecvOnly, Inactive; Unstated
// stands for SendRecv. The offer of a session that has a stream already keeps the order and the number of its m= lines
// and the payload types (RFC 3264 8).
func (s *Session) Offer(dir sdp.Direction) []byte {
	if dir == sdp.Unstated {
		dir = sdp.SendRecv
	}
	d := description{dir: dir, port: s.cfg.Addr.Port(), mux: s.cfg.RTCPMux, eventPT: -1}
	running := s.has && !s.agreed.Rejected
	if running { // first what is in use, so that a hold changes no codec
		d.codecs = append(d.codecs, payload{s.agreed.Codec, s.agreed.ReceivePT})
	}
	for _, c := range s.cfg.Codecs {
		if !d.has(c) {
			d.codecs = append(d.codecs, payload{c, uint8(c)})
		}
	}
	if !s.cfg.NoEvents {
		d.eventPT = int(s.cfg.EventPT)
		if running && s.agreed.GetEvent >= 0 {
			d.eventPT = s.agreed.GetEvent
		}
		for d.eventPT == int(d.codecs[0].pt) { // the other side gave its codec the number
			d.eventPT = firstDynamic + (d.eventPT+1)%(maxPT+1-firstDynamic)
		}
	}
	s.offered = s.write(&d)
	return s.offered
}

// Rollback forgets an offer that was refused: what was agreed before stays (RFC 3261 14.1).
func (s *Session) Rollback() { s.offered = nil }

// Accept takes the answer to the last offer.
func (s *Session) Accept(answer []byte) (Agreed, error) {
	if s.offered == nil {
		return Agreed{}, ErrNoOffer
	}
	offer, _ := sdp.Parse(s.offered)
	ans, _ := sdp.Parse(answer)
	streams := sdp.Answer(offer, ans)
	if len(streams) <= s.ours || len(ans.Media) <= s.ours {
		return Agreed{}, fmt.Errorf("answer has %d of %d m= lines: %w", len(ans.Media), len(offer.Media), ErrNoAudio)
	}
	st := &streams[s.ours]
	if st.Rejected && !ans.Media[s.ours].Rejected() {
		return Agreed{}, ErrNoCodec
	}
	s.offered = nil
	a := s.result(st, false)
	a.Held = ans.Media[s.ours].Held() && !a.Rejected
	a.Ptime = s.ptime(&ans.Media[s.ours])
	s.agreed, s.has = a, true
	return a, nil
}

// Answer answers an offer. dir is what we want, Unstated stands for SendRecv: the answer has what the offer leaves of it
// (RFC 3264 6.1). An offer that cannot be answered leaves the session as it was.
func (s *Session) Answer(offer []byte, dir sdp.Direction) (answer []byte, a Agreed, err error) {
	o, _ := sdp.Parse(offer)
	if len(o.Media) > maxLines {
		return nil, Agreed{}, fmt.Errorf("%w: %d", ErrTooMany, len(o.Media))
	}
	at, d, err := s.pick(&o)
	if err != nil {
		return nil, Agreed{}, err
	}
	if dir == sdp.Unstated {
		dir = sdp.SendRecv
	}
	m := &o.Media[at]
	d.dir = direction(dir.Sends() && m.Direction.Receives(), dir.Receives() && m.Direction.Sends())
	s.lines, s.ours = s.lines[:0], at
	for i := range o.Media {
		s.lines = append(s.lines, refused(&o.Media[i]))
	}
	answer = s.write(&d)
	ans, _ := sdp.Parse(answer)
	a = s.result(&sdp.Answer(o, ans)[at], true)
	a.Held = m.Held() && !m.Rejected()
	a.Ptime = s.ptime(m)
	s.agreed, s.has, s.offered = a, true, nil
	return answer, a, nil
}

// direction is what sends and receives make.
func direction(sends, receives bool) sdp.Direction {
	switch {
	case sends && receives:
		return sdp.SendRecv
	case sends:
		return sdp.SendOnly
	case receives:
		return sdp.RecvOnly
	default:
		return sdp.Inactive
	}
}

// pick finds the m= line to answer: the one that was ours before, else the first that has a codec of ours. One that the
// offerer switched off is answered when there is no other (RFC 3264 8.2).
func (s *Session) pick(o *sdp.Session) (at int, d description, err error) {
	err, off := ErrNoAudio, -1
	for n := range o.Media {
		i := n
		if s.has && s.ours < len(o.Media) { // ours first
			i = (n + s.ours) % len(o.Media)
		}
		m := &o.Media[i]
		if string(m.Type) != "audio" || !m.RTP() || m.Secure() {
			continue
		}
		if m.Rejected() {
			if off < 0 {
				off = i
			}
			continue
		}
		if d = s.common(m); len(d.codecs) > 0 {
			return i, d, nil
		}
		err = ErrNoCodec
	}
	if off >= 0 {
		return off, description{eventPT: -1}, nil
	}
	return 0, description{}, err
}

// common is what of an offered line is ours too: codecs in the offer's order, under the offer's payload types, which is
// what RFC 3264 6.1 asks for.
func (s *Session) common(m *sdp.Media) description {
	d := description{eventPT: -1, port: s.cfg.Addr.Port(), mux: s.cfg.RTCPMux && m.RTCPMux}
	for i := range m.Formats {
		f := &m.Formats[i]
		name, clock, channels := f.Encoding()
		if clock != Rate || channels != 1 || f.PT < 0 || f.PT > maxPT {
			continue
		}
		if f.TelephoneEvent() {
			if d.eventPT < 0 && !s.cfg.NoEvents {
				d.eventPT = int(f.PT)
			}
			continue
		}
		c, known := ParseCodec(name)
		if known && s.supports(c) && !d.has(c) {
			d.codecs = append(d.codecs, payload{c, uint8(f.PT)})
		}
	}
	return d
}

func (s *Session) supports(c Codec) bool {
	return slices.Contains(s.cfg.Codecs, c)
}

func (d *description) has(c Codec) bool {
	return slices.ContainsFunc(d.codecs, func(p payload) bool { return p.codec == c })
}

// result is what a stream means for us.
func (s *Session) result(st *sdp.Stream, answered bool) Agreed {
	a := Agreed{Local: s.cfg.Addr, Direction: st.Direction, Mux: st.RTCPMux, SendEvent: -1, GetEvent: -1}
	remote, rtcp := st.Answerer, st.AnswererRTCP
	if answered { // Stream has the offerer's view
		remote, rtcp = st.Offerer, st.OffererRTCP
		a.Direction = direction(st.Direction.Receives(), st.Direction.Sends())
	}
	codec, known := Codec(0), false
	if len(st.Codecs) > 0 {
		codec, known = ParseCodec(st.Codecs[0].Name)
	}
	if st.Rejected || !known {
		a.Rejected, a.Direction = true, sdp.Inactive
		return a
	}
	send, receive := payloads(&st.Codecs[0], answered)
	a.Codec, a.SendPT, a.ReceivePT = codec, uint8(send&maxPT), uint8(receive&maxPT)
	if st.DTMF.Name != "" {
		send, receive = payloads(&st.DTMF, answered)
		a.SendEvent, a.GetEvent = int(send), int(receive)
	}
	if remote.Port != 0 && remote.Addr.IsValid() && !remote.Addr.IsUnspecified() {
		a.Remote = netip.AddrPortFrom(remote.Addr.Unmap(), remote.Port)
		if rtcp.Addr.IsValid() && rtcp.Port != 0 {
			a.RemoteRTCP = netip.AddrPortFrom(rtcp.Addr.Unmap(), rtcp.Port)
		}
	}
	return a
}

// ptime is how much sound is sent in a packet: what the other side wishes to get (RFC 8866 6.4), else our own.
func (s *Session) ptime(m *sdp.Media) uint16 {
	want := m.Ptime
	if want == 0 {
		want = s.cfg.Ptime
	}
	if m.MaxPtime > 0 {
		want = min(want, m.MaxPtime)
	}
	return min(max(want, leastPtime), mostPtime)
}

// payloads gives what we send and what we get: packets carry the type that their receiver's description names.
func payloads(c *sdp.Codec, answered bool) (send, receive int16) {
	if answered {
		return c.OfferPT, c.AnswerPT
	}
	return c.AnswerPT, c.OfferPT
}

// refused is a line as it is written with port 0. What is no token cannot be given back, and says so itself.
func refused(m *sdp.Media) line {
	l := line{kind: token(string(m.Type)), proto: token(string(m.Proto)), format: "0"}
	if len(m.Formats) > 0 {
		l.format = token(string(m.Formats[0].Text))
	}
	return l
}

// token is s when it is one word of visible characters, else "-".
func token(s string) string {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return "-"
	}
	return s
}

// oneWord makes a text fit the o= line.
func oneWord(s string) string { return token(strings.ReplaceAll(s, " ", "")) }

// oneLine makes a text fit the s= line, which must not be empty (RFC 8866 5.3).
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
	if s == "" {
		return "-"
	}
	return s
}

// write writes a description, with the version that is due.
func (s *Session) write(d *description) []byte {
	rest := s.text(d)
	switch {
	case s.sent == "":
		s.version = s.cfg.SessionID
	case s.sent != rest:
		s.version++
	}
	s.sent = rest
	family, host := family(s.cfg.Addr.Addr())
	head := fmt.Sprintf("v=0\r\no=%s %d %d IN %s %s\r\n", s.cfg.User, s.cfg.SessionID, s.version, family, host)
	return []byte(head + rest)
}

// text is a description from the s= line on.
func (s *Session) text(d *description) string {
	var b strings.Builder
	family, host := family(s.cfg.Addr.Addr())
	fmt.Fprintf(&b, "s=%s\r\nc=IN %s %s\r\nt=0 0\r\n", s.cfg.Name, family, host)
	if len(s.lines) == 0 {
		s.audio(&b, d)
	}
	for i, l := range s.lines {
		if i != s.ours {
			fmt.Fprintf(&b, "m=%s 0 %s %s\r\n", l.kind, l.proto, l.format)
			continue
		}
		if len(d.codecs) == 0 { // switched off by the offer
			fmt.Fprintf(&b, "m=audio 0 %s %s\r\n", l.proto, l.format)
			continue
		}
		s.audio(&b, d)
	}
	return b.String()
}

// audio writes our m= line. Its protocol is the offer's: AVPF is answered with AVPF (RFC 4585 4).
func (s *Session) audio(b *strings.Builder, d *description) {
	proto := "RTP/AVP"
	if s.ours < len(s.lines) {
		proto = s.lines[s.ours].proto
	}
	fmt.Fprintf(b, "m=audio %d %s", d.port, proto)
	for _, p := range d.codecs {
		b.WriteString(" " + strconv.Itoa(int(p.pt)))
	}
	if d.eventPT >= 0 {
		b.WriteString(" " + strconv.Itoa(d.eventPT))
	}
	b.WriteString("\r\n")
	for _, p := range d.codecs {
		fmt.Fprintf(b, "a=rtpmap:%d %s/%d\r\n", p.pt, p.codec, Rate)
	}
	if d.eventPT >= 0 {
		fmt.Fprintf(b, "a=rtpmap:%d telephone-event/%d\r\na=fmtp:%d 0-15\r\n", d.eventPT, Rate, d.eventPT)
	}
	fmt.Fprintf(b, "a=ptime:%d\r\n", s.cfg.Ptime)
	if d.mux {
		b.WriteString("a=rtcp-mux\r\n")
	}
	fmt.Fprintf(b, "a=%s\r\n", d.dir)
}

// family gives address type and address of a c= line.
func family(a netip.Addr) (kind, host string) {
	if a.Is6() {
		return "IP6", a.String()
	}
	if !a.IsValid() {
		return "IP4", "0.0.0.0"
	}
	return "IP4", a.String()
}
