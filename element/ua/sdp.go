package ua

import (
	"errors"
	"math"
	"net/netip"
	"strconv"

	"sipscope/decode/sdp"
	"sipscope/decode/sip"
	"sipscope/element/transport"
)

const typeSDP = "application/sdp"

// errNoCodec says that two descriptions have no codec in common (488).
var errNoCodec = errors.New("no codec in common")

// dtmfPT is the payload type that offers give to telephone-event (RFC 4733); it is dynamic.
const dtmfPT = 101

// Agreed is what an offer and its answer agree on, for the stream that makes the sound.
type Agreed struct {
	Remote  netip.AddrPort // where to send; not valid where there is no host to send to
	RTCP    netip.AddrPort // where to send RTCP (RFC 3605); not valid likewise
	Mux     bool           // RTCP goes to, and comes to, the port of RTP (RFC 5761)
	Payload uint8          // 0: PCMU, 8: PCMA
	// DTMF is the payload type of the telephone-events that are sent, which the other side's description named, and Hear
	// that of those that come, which the own one named (RFC 3264 5.1, 6.1); -1: not agreed.
	DTMF, Hear int16
	Ptime      uint16 // ms of sound that the other side wants in a packet, from 10 to 200; 0: it does not say
	Send       bool   // this side may send
	Receive    bool   // the other side may
}

// Stream is the sound of one call.
type Stream interface {
	// Addr is where it receives.
	Addr() netip.AddrPort
	// Agree is called with each offer and answer that is agreed on.
	Agree(now int64, g Agreed)
	Close(now int64)
}

// Media makes streams. It and they are called from the agent's loop.
type Media interface {
	// Open makes the stream of a call, on the address local.
	Open(c *Call, local netip.Addr) (Stream, error)
	// Wake does what is due, and says when it wants to be called next, math.MaxInt64 for never.
	Wake(now int64) (next int64)
}

// session is one side's view of offer and answer in a dialog (RFC 3264).
type session struct {
	id, version uint64         // of o=
	addr        netip.AddrPort // own
	want        sdp.Direction  // own wish: SendRecv; SendOnly while this side holds
	offered     bool           // own offer waits for its answer
	owed        bool           // the peer's offer waits for an answer
	agreed      Agreed
	done        bool // at least one offer was answered
	held        bool // the other side holds

	// Further media of the other side's last offer, refused: a later offer of this side keeps their places, in front of
	// the sound and behind it (RFC 3264 8).
	front, back string
	ours        int   // the place of the sound
	feedback    bool  // RTP/AVPF, as the other side has it (RFC 4585 4)
	mux         bool  // the other side offered rtcp-mux: so does this one from then on (RFC 5761 5.1.1)
	event       int16 // payload type of telephone-event in the own description that came last; 0: none
}

// open gives the session its address, and the call its stream.
func (s *session) open(c *Call, hop transport.Hop) error {
	if s.addr.IsValid() {
		return nil
	}
	local := c.a.localOf(hop).Addr().Unmap()
	s.id = c.a.rng.Uint64() >> 2 // fits in 63 bits, as some peers need it
	s.version = 0
	s.want = sdp.SendRecv
	if c.a.cfg.Media == nil {
		// Nobody listens there: an even port, as RTP has (RFC 3550 11), that ladders of several calls can tell apart.
		s.addr = netip.AddrPortFrom(local, uint16(40000+2*(c.id%10000)))
		return nil
	}
	stream, err := c.a.cfg.Media.Open(c, local)
	if err != nil {
		return err
	}
	c.stream, s.addr = stream, stream.Addr()
	return nil
}

// offer appends an offer.
func (s *session) offer(dst []byte) []byte {
	s.version++
	s.offered = true
	if s.event == 0 { // else it keeps its meaning (RFC 3264 8.3.2)
		s.event = dtmfPT
	}
	event := s.event
	dst = append(s.head(dst), s.front...)
	dst = s.line(dst)
	dst = append(dst, " 0 8 "...)
	dst = strconv.AppendInt(dst, int64(event), 10)
	dst = append(dst, "\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"...)
	dst = appendDTMF(dst, event)
	dst = s.attributes(dst)
	dst = append(dst, s.want.String()...)
	return append(append(dst, "\r\n"...), s.back...)
}

// attributes appends what follows the formats, up to the direction.
func (s *session) attributes(dst []byte) []byte {
	dst = append(dst, "a=ptime:20\r\n"...)
	if s.mux {
		dst = append(dst, "a=rtcp-mux\r\n"...)
	}
	return append(dst, "a="...)
}

// line appends the beginning of the m= line of the sound.
func (s *session) line(dst []byte) []byte {
	dst = append(dst, "m=audio "...)
	dst = strconv.AppendUint(dst, uint64(s.addr.Port()), 10)
	dst = append(dst, " RTP/AVP"...)
	if s.feedback {
		dst = append(dst, 'F')
	}
	return dst
}

func (s *session) head(dst []byte) []byte {
	kind := " IN IP4 "
	if s.addr.Addr().Is6() {
		kind = " IN IP6 "
	}
	dst = append(dst, "v=0\r\no=- "...)
	dst = strconv.AppendUint(dst, s.id, 10)
	dst = append(dst, ' ')
	dst = strconv.AppendUint(dst, s.version, 10)
	dst = append(dst, kind...)
	dst = s.addr.Addr().AppendTo(dst)
	dst = append(dst, "\r\ns=-\r\nc="...)
	dst = append(dst, kind[1:]...)
	dst = s.addr.Addr().AppendTo(dst)
	return append(dst, "\r\nt=0 0\r\n"...)
}

func appendDTMF(dst []byte, pt int16) []byte {
	dst = append(dst, "a=rtpmap:"...)
	dst = strconv.AppendInt(dst, int64(pt), 10)
	dst = append(dst, " telephone-event/8000\r\na=fmtp:"...)
	dst = strconv.AppendInt(dst, int64(pt), 10)
	return append(dst, " 0-15\r\n"...)
}

// answerTo appends the answer to an offer (RFC 3264 6): the first audio that has a codec in common, and a refusal of every
// other medium. It fails with errNoCodec when there is none.
func (s *session) answerTo(dst []byte, scratch *sdp.Session) ([]byte, error) {
	audio := -1
	var codec, event int16
	for i := range scratch.Media {
		if codec, event = choose(&scratch.Media[i]); codec >= 0 {
			audio = i
			break
		}
	}
	if audio < 0 || len(scratch.Media) > maxMedia {
		return dst, errNoCodec
	}
	s.version++
	s.offered, s.owed, s.done = false, false, true
	s.front, s.back, s.ours = "", "", audio
	s.feedback, s.mux = string(scratch.Media[audio].Proto) == "RTP/AVPF", scratch.Media[audio].RTCPMux
	if event >= 0 {
		s.event = event // the answer has that of the offer
	}
	if len(scratch.Media) > 1 {
		s.front = string(refuseAll(scratch.Media[:audio]))
		s.back = string(refuseAll(scratch.Media[audio+1:]))
	}
	dst = append(s.head(dst), s.front...)
	dst = s.accept(dst, &scratch.Media[audio], codec, event)
	return append(dst, s.back...), nil
}

// maxMedia is how many media a description may have: each of them is answered.
const maxMedia = 64

func refuseAll(media []sdp.Media) (dst []byte) {
	for i := range media {
		dst = refuse(dst, &media[i])
	}
	return dst
}

// choose gives the first codec of an offered or answered medium that this agent has, and its telephone-event; -1 for none.
func choose(m *sdp.Media) (codec, event int16) {
	codec, event = -1, -1
	if string(m.Type) != "audio" || m.Port == 0 || (string(m.Proto) != "RTP/AVP" && string(m.Proto) != "RTP/AVPF") {
		return
	}
	for i := range m.Formats {
		f := &m.Formats[i]
		switch {
		case f.TelephoneEvent():
			event = f.PT
		case codec < 0 && (f.PT == 0 || f.PT == 8):
			codec = f.PT
		}
	}
	return codec, event
}

// refuse appends the m= line of a medium that is not wanted: port 0 (RFC 3264 6). Its texts come from the wire.
func refuse(dst []byte, m *sdp.Media) []byte {
	dst = append(append(dst, "m="...), word(m.Type, "audio")...)
	dst = append(append(dst, " 0 "...), word(m.Proto, "RTP/AVP")...)
	format := "0"
	if len(m.Formats) > 0 {
		format = word(m.Formats[0].Text, format)
	}
	return append(append(append(dst, ' '), format...), "\r\n"...)
}

// word is b when it can stand in an m= line.
func word(b []byte, other string) string {
	for _, c := range b {
		if c <= ' ' || c >= 0x7f {
			return other
		}
	}
	if len(b) == 0 || len(b) > 64 {
		return other
	}
	return string(b)
}

// accept appends the answered medium, and notes what is agreed.
func (s *session) accept(dst []byte, m *sdp.Media, codec, event int16) []byte {
	s.agree(m, codec, event)
	dst = append(s.line(dst), ' ')
	dst = strconv.AppendInt(dst, int64(codec), 10)
	if event >= 0 {
		dst = append(dst, ' ')
		dst = strconv.AppendInt(dst, int64(event), 10)
	}
	dst = append(dst, "\r\na=rtpmap:"...)
	if codec == 0 {
		dst = append(dst, "0 PCMU/8000\r\n"...)
	} else {
		dst = append(dst, "8 PCMA/8000\r\n"...)
	}
	if event >= 0 {
		dst = appendDTMF(dst, event)
	}
	dst = s.attributes(dst)
	dst = append(dst, direction(s.agreed.Send, s.agreed.Receive).String()...)
	return append(dst, "\r\n"...)
}

// direction is what two wishes make together.
func direction(send, receive bool) sdp.Direction {
	switch {
	case send && receive:
		return sdp.SendRecv
	case send:
		return sdp.SendOnly
	case receive:
		return sdp.RecvOnly
	default:
		return sdp.Inactive
	}
}

// agree notes what the peer's medium means for this side.
func (s *session) agree(m *sdp.Media, codec, event int16) {
	addr, ok := parseHost(m.Connection.Address)
	ok = ok && single(addr) && m.Port != 0
	s.held = m.Held()
	s.agreed = Agreed{
		Payload: uint8(codec), DTMF: event, Hear: -1, Send: ok && m.Direction.Receives() && s.want.Sends(), //nolint:gosec // G115: 0 or 8.
		Receive: m.Direction.Sends() && s.want.Receives(), Mux: s.mux && m.RTCPMux,
	}
	if event >= 0 {
		s.agreed.Hear = s.event
	}
	if p := m.Ptime; p > 0 {
		if m.MaxPtime > 0 {
			p = min(p, m.MaxPtime)
		}
		s.agreed.Ptime = min(max(p, leastPtime), mostPtime)
	}
	if ok {
		s.agreed.Remote = netip.AddrPortFrom(addr, m.Port)
		s.agreed.RTCP = control(m, addr)
	}
}

// Of the packets that the other side wishes to get, ms: the most is what RFC 3551 4.2 has everybody take, and below the
// least there would be more header than sound.
const leastPtime, mostPtime = 10, 200

// control is where RTCP goes: to the port after that of RTP, or where a=rtcp says (RFC 3605). That it names another host
// than the sound's is not followed: it would be one that agreed to nothing.
func control(m *sdp.Media, addr netip.Addr) netip.AddrPort {
	switch {
	case m.RTCP.Port != 0:
		if other, ok := parseHost(m.RTCP.Address); len(m.RTCP.Address) > 0 && (!ok || other != addr) {
			return netip.AddrPort{}
		}
		return netip.AddrPortFrom(addr, m.RTCP.Port)
	case m.Port == math.MaxUint16:
		return netip.AddrPort{}
	default:
		return netip.AddrPortFrom(addr, m.Port+1) // RFC 3550 11
	}
}

// answered reads the answer to the own offer.
func (s *session) answered(scratch *sdp.Session) error {
	s.offered, s.done = false, true
	if len(scratch.Media) <= s.ours {
		return errNoCodec
	}
	m := &scratch.Media[s.ours] // an answer keeps the order of its offer
	codec, event := choose(m)
	if codec < 0 {
		return errNoCodec
	}
	s.agree(m, codec, event)
	return nil
}

// description is the SDP of a message; nil for none.
func description(m *sip.Message) []byte {
	b, ok := m.SDP()
	if !ok || len(b) == 0 {
		return nil
	}
	return b
}

// parseSDP reads a description into the agent's scratch.
func (a *Agent) parseSDP(b []byte) *sdp.Session {
	sdp.ParseInto(b, &a.sdp)
	return &a.sdp
}
