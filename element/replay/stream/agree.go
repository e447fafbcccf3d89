package stream

import (
	"net/netip"

	recorded "sipscope/correlate/cut"
	"sipscope/decode/sdp"
	"sipscope/element/media"
)

// Terms are what an offer and its answer agree on about one m= line, from our side: what Config and Change want.
type Terms struct {
	Agreed media.Agreed
	Live   []recorded.Payload // what the live side takes, in the answer's order
	Local  []recorded.Payload // the same codecs under the payload types that we take them under
	Secure bool               // SRTP was agreed: what is recorded in the clear cannot be sent
}

// Agree gives the terms of an m= line (0-based) of an offer and its answer (RFC 3264). offered says that the offer is
// ours. local is the address of our port. An m= line that is not there, or that was rejected, gives terms whose Agreed
// says so. The terms keep nothing of the descriptions.
func Agree(offer, answer *sdp.Session, line int, offered bool, local netip.AddrPort) Terms {
	t := Terms{Agreed: media.Agreed{Local: local, Rejected: true, Direction: sdp.Inactive, SendEvent: -1, GetEvent: -1}}
	if line < 0 || line >= len(offer.Media) || line >= len(answer.Media) || !offer.Media[line].RTP() {
		return t
	}
	s := sdp.Answer(sdp.Session{Media: offer.Media[line : line+1]}, sdp.Session{Media: answer.Media[line : line+1]})[0]
	if s.Rejected {
		return t
	}
	a := &t.Agreed
	a.Rejected, a.Ptime, a.Mux, a.Direction = false, s.Ptime, s.RTCPMux, s.Direction
	t.Secure = s.Secure
	theirs := &answer.Media[line]
	a.Remote, a.RemoteRTCP = s.Answerer.AddrPort(), s.AnswererRTCP.AddrPort()
	if !offered {
		theirs = &offer.Media[line]
		a.Remote, a.RemoteRTCP = s.Offerer.AddrPort(), s.OffererRTCP.AddrPort()
		a.Direction = reverse(s.Direction)
	}
	if theirs.Connection.Unspecified() {
		a.Remote, a.RemoteRTCP = netip.AddrPort{}, netip.AddrPort{} // held as RFC 2543 has it
	}
	a.Held = theirs.Held()
	for i := range s.Codecs {
		t.add(&s.Codecs[i], offered)
	}
	if s.DTMF.Name != "" {
		t.add(&s.DTMF, offered)
	}
	const comfortPT = 13 // RFC 3389 4
	if has(&offer.Media[line], comfortPT) && has(&answer.Media[line], comfortPT) {
		p := staticPayload(comfortPT)
		t.Live, t.Local = append(t.Live, p), append(t.Local, p)
	}
	t.g711()
	return t
}

// add adds a codec that was agreed on: packets to the offerer carry its payload type, packets to the answerer the
// answerer's.
func (t *Terms) add(c *sdp.Codec, offered bool) {
	theirs, ours, params, own := c.OfferPT, c.AnswerPT, c.OfferParams, c.AnswerParams
	if offered {
		theirs, ours, params, own = ours, theirs, own, params
	}
	if theirs < 0 || ours < 0 {
		return
	}
	payload := func(pt int16, params []byte) recorded.Payload {
		return recorded.Payload{
			PT: uint8(pt), Name: c.Name, Clock: c.Clock, Channels: c.Channels, Params: string(params), //nolint:gosec // ≤ 127
		}
	}
	t.Live, t.Local = append(t.Live, payload(theirs, params)), append(t.Local, payload(ours, own))
}

// g711 fills in what Agreed says of the sound that can be made.
func (t *Terms) g711() {
	a := &t.Agreed
	if codec, pt, ok := g711(t.Live, dropped); ok {
		a.Codec, a.SendPT, a.ReceivePT = codec, pt, pt
		for i := range t.Live {
			if t.Live[i].PT == pt {
				a.ReceivePT = t.Local[i].PT
			}
		}
	}
	a.SendEvent, a.GetEvent = events(t.Live, media.Rate), events(t.Local, media.Rate)
}

// has reports whether an m= line has a payload type.
func has(m *sdp.Media, pt int16) bool {
	for i := range m.Formats {
		if m.Formats[i].PT == pt {
			return true
		}
	}
	return false
}

// reverse is a direction as the other side sees it.
func reverse(d sdp.Direction) sdp.Direction {
	switch d {
	case sdp.SendOnly:
		return sdp.RecvOnly
	case sdp.RecvOnly:
		return sdp.SendOnly
	default:
		return d
	}
}
