package sdp

import "net/netip"

// Target is where media or its control packets are sent to.
type Target struct {
	Addr netip.Addr // invalid when Host is a name or absent
	Host []byte     // as written
	Port uint16     // 0: nowhere
}

// AddrPort is the target as one value; invalid when the address is.
func (t Target) AddrPort() netip.AddrPort { return netip.AddrPortFrom(t.Addr, t.Port) }

// Codec is what both sides agreed on. Packets to the offerer carry OfferPT, packets to the answerer AnswerPT; they are
// almost always equal (RFC 3264 5.1).
type Codec struct {
	Name              string // "PCMU"; of a medium without RTP its format, e.g. "t38"
	Clock             uint32 // Hz; 0 without RTP
	Channels          uint8  // at least 1
	OfferPT, AnswerPT int16  // -1 without RTP
	OfferParams       []byte // fmtp, what the offerer wants to receive
	AnswerParams      []byte // fmtp, what the answerer wants to receive
}

// Hold says who put whom on hold.
type Hold uint8

// Holds.
const (
	NotHeld      Hold = iota
	HeldByOffer       // the offerer holds the answerer
	HeldByAnswer      // the answerer holds the offerer
	HeldByBoth
)

// String is "", "by offerer", "by answerer" or "by both".
func (h Hold) String() string {
	return [...]string{"", "by offerer", "by answerer", "by both"}[min(h, HeldByBoth)]
}

// Stream is what an offer and an answer say about one medium (RFC 3264 6, 7).
type Stream struct {
	Type      []byte
	Proto     []byte // of the answer; of the offer when there is none
	Mid       []byte
	Rejected  bool    // no media flow: port 0 on either side, no answer for this medium, or no format in common
	Codecs    []Codec // in the answer's order, without telephone-event and comfort noise; the first is the usual one
	DTMF      Codec   // telephone-event; Name is empty when it was not agreed
	Direction Direction
	Hold      Hold
	Ptime     uint16 // milliseconds, the answer's, else the offer's, else 0
	Secure    bool   // on both sides
	RTCPMux   bool   // on both sides

	// Where the two receive: the answerer sends to Offerer, the offerer to Answerer.
	Offerer, Answerer         Target
	OffererRTCP, AnswererRTCP Target
}

// Answer gives the result of an offer and its answer, a Stream for each medium of the offer, in its order. Direction is
// the offerer's view. A medium of the answer that was not offered is left out.
func Answer(offer, answer Session) []Stream {
	streams := make([]Stream, 0, len(offer.Media))
	for i := range offer.Media {
		var a *Media
		if i < len(answer.Media) && string(answer.Media[i].Type) == string(offer.Media[i].Type) {
			a = &answer.Media[i]
		}
		streams = append(streams, negotiate(&offer.Media[i], a))
	}
	return streams
}

// negotiate compares a medium of the offer with the answer's, nil when there is none.
func negotiate(o, a *Media) Stream {
	s := Stream{Type: o.Type, Proto: o.Proto, Mid: o.Mid, Ptime: o.Ptime}
	s.Offerer, s.OffererRTCP = o.targets(o.RTCPMux && a != nil && a.RTCPMux)
	if a == nil {
		s.Rejected = true
		s.Direction = Inactive
		return s
	}
	s.Proto = a.Proto
	s.RTCPMux = o.RTCPMux && a.RTCPMux
	s.Answerer, s.AnswererRTCP = a.targets(s.RTCPMux)
	s.Secure = o.Secure() && a.Secure()
	if a.Ptime > 0 {
		s.Ptime = a.Ptime
	}
	s.codecs(o, a)
	if s.Rejected = o.Rejected() || a.Rejected() || s.empty(); s.Rejected {
		s.Direction = Inactive
		return s
	}
	s.Direction = direction(o.Direction.Sends() && a.Direction.Receives(), o.Direction.Receives() && a.Direction.Sends())
	s.Hold = hold(o, a)
	return s
}

// hold finds who holds whom. Inactive is the only answer to inactive, recvonly or inactive that to sendonly: those hold
// nobody by themselves.
func hold(o, a *Media) (h Hold) {
	if o.Held() {
		h |= HeldByOffer
	}
	if a.Connection.Unspecified() || a.Held() && o.Direction.Receives() {
		h |= HeldByAnswer
	}
	return h
}

// empty reports whether no format was agreed on.
func (s *Stream) empty() bool { return len(s.Codecs) == 0 && s.DTMF.Name == "" }

// codecs finds the formats that both sides have, in the answer's order.
func (s *Stream) codecs(o, a *Media) {
	for i := range a.Formats {
		f := &a.Formats[i]
		g := o.match(f)
		if g == nil {
			continue
		}
		name, clock, channels := f.Encoding()
		c := Codec{
			Name: name, Clock: clock, Channels: channels,
			OfferPT: g.PT, AnswerPT: f.PT, OfferParams: g.Params, AnswerParams: f.Params,
		}
		switch {
		case f.TelephoneEvent():
			if s.DTMF.Name == "" {
				s.DTMF = c
			}
		case !f.comfort():
			s.Codecs = append(s.Codecs, c)
		}
	}
}

// match finds a format of the medium that is the same codec as f, best one of the same payload type.
func (m *Media) match(f *Format) *Format {
	var found *Format
	for i := range m.Formats {
		g := &m.Formats[i]
		if !g.same(f) {
			continue
		}
		if g.PT == f.PT {
			return g
		}
		if found == nil {
			found = g
		}
	}
	return found
}

// targets gives where the author of the medium receives media and control packets.
func (m *Media) targets(mux bool) (rtp, rtcp Target) {
	rtp = target(m.Connection.Address, m.Port)
	if m.Port == 0 || !m.RTP() {
		return rtp, Target{}
	}
	switch {
	case mux:
		return rtp, rtp
	case m.RTCP.Port != 0 && m.RTCP.Address != nil:
		return rtp, target(m.RTCP.Address, m.RTCP.Port)
	case m.RTCP.Port != 0:
		return rtp, Target{Addr: rtp.Addr, Host: rtp.Host, Port: m.RTCP.Port}
	default: // the next port, an odd one in general (RFC 3550 11)
		return rtp, Target{Addr: rtp.Addr, Host: rtp.Host, Port: m.Port + 1}
	}
}

// target reads an address. One of the 45 bytes that no address is longer than costs a small allocation.
func target(host []byte, port uint16) Target {
	t := Target{Host: host, Port: port}
	if len(host) <= 45 {
		if addr, err := netip.ParseAddr(string(host)); err == nil {
			t.Addr = addr.Unmap()
		}
	}
	return t
}
