// Package sdp reads session descriptions (RFC 8866) as they are found in SIP, and what an offer and its answer agree on
// (RFC 3264).
//
// It is tolerant: lines in any order, LF alone, lines that are missing or not understood all give a Session with what
// can be read, and a Diag for each departure. It does not judge attributes that it does not know, does not write SDP,
// and resolves no names. A Session points into the text that it was parsed from, which must not change as long as the
// Session is in use. A Session that is parsed into again and again does not allocate once its slices have grown. The
// functions of this package hold no state and may be called from any goroutine.
package sdp

// Origin is the o= line (RFC 8866 5.2).
type Origin struct {
	Username  []byte
	SessionID []byte
	Version   []byte // goes up with each new offer or answer of a session
	AddrType  []byte // "IP4", "IP6"
	Address   []byte
}

// Connection is a c= line (RFC 8866 5.7).
type Connection struct {
	AddrType []byte // "IP4", "IP6"
	Address  []byte // host name or address without TTL and count; nil when there is no line
}

// Unspecified reports whether the address is 0.0.0.0 or ::, which RFC 2543 elements put a call on hold with.
func (c Connection) Unspecified() bool {
	switch string(c.Address) {
	case "0.0.0.0", "::", "0:0:0:0:0:0:0:0":
		return true
	default:
		return false
	}
}

// Direction says who sends, from the view of the description's author (RFC 8866 6.7).
type Direction uint8

// Directions. The zero value stands for none of the four attributes, which means sendrecv.
const (
	Unstated Direction = iota
	SendRecv
	SendOnly
	RecvOnly
	Inactive
)

// String is the attribute's name; that of sendrecv when it is not stated.
func (d Direction) String() string {
	return [...]string{"sendrecv", "sendrecv", "sendonly", "recvonly", "inactive"}[min(d, Inactive)]
}

// Sends reports whether the author sends.
func (d Direction) Sends() bool { return d <= SendOnly }

// Receives reports whether the author receives.
func (d Direction) Receives() bool { return d != SendOnly && d != Inactive }

func direction(sends, receives bool) Direction {
	switch {
	case sends && receives:
		return SendRecv
	case sends:
		return SendOnly
	case receives:
		return RecvOnly
	default:
		return Inactive
	}
}

// Session is a session description. The zero value is ready for ParseInto.
type Session struct {
	Origin     Origin
	Name       []byte     // s=
	Connection Connection // for media that have none of their own
	Timing     []byte     // the first t=, e.g. "0 0"
	Direction  Direction  // for media that have none of their own
	Groups     [][]byte   // a=group, e.g. "BUNDLE 0 1" (RFC 5888)
	Media      []Media
	Diags      []Diag

	Setup       []byte // a=setup for media that have none of their own (RFC 4145)
	Fingerprint bool   // a=fingerprint stands here or at each medium (RFC 8122)
	ICELite     bool   // RFC 8839 5.3
}

// Media is an m= line with what follows it (RFC 8866 5.14).
type Media struct {
	Type       []byte // "audio", "video", "image", "application", "message", "text"
	Port       uint16 // 0: rejected or not wanted, see Rejected
	Ports      uint16 // number of ports, 1 when not given
	Proto      []byte // "RTP/AVP"
	Formats    []Format
	Connection Connection // its own, else the session's
	Direction  Direction  // its own, else the session's

	Ptime, MaxPtime uint16   // milliseconds of sound in a packet, 0 when not given (RFC 8866 6.4, 6.5)
	RTCP            RTCP     // RFC 3605
	RTCPMux         bool     // RFC 5761
	Candidates      [][]byte // a=candidate values as they are (RFC 8839 5.1)
	Crypto          bool     // a=crypto stands here (RFC 4568)
	Fingerprint     bool     // here or at the session (RFC 8122)
	Setup           []byte   // here or at the session: "active", "passive", "actpass" (RFC 4145)
	Mid             []byte   // RFC 5888
	Label           []byte   // RFC 4574
	BundleOnly      bool     // port 0 does not reject this medium (RFC 9143 6)
}

// RTCP is an a=rtcp attribute (RFC 3605 2.1). Without one, RTCP goes to the next port, or with rtcp-mux to the same.
type RTCP struct {
	Port    uint16 // 0 without the attribute
	Address []byte // nil: that of the medium
}

// Format is one format of an m= line with its rtpmap and fmtp (RFC 8866 5.14, 6.6, 6.15).
type Format struct {
	Text     []byte // as in the m= line: "0", "101", "t38"
	PT       int16  // RTP payload type, -1 when the format is none
	Name     []byte // of rtpmap; nil without one, see EncodingName
	Clock    uint32 // Hz, of rtpmap
	Channels uint8  // of rtpmap, 0 when not given
	Params   []byte // of fmtp
}

// Rejected reports whether the medium is refused in an answer, or switched off in an offer (RFC 3264 6, 8.2).
func (m *Media) Rejected() bool { return m.Port == 0 && !m.BundleOnly }

// RTP reports whether the medium is carried in RTP.
func (m *Media) RTP() bool { return contains(m.Proto, "RTP/") }

// Secure reports whether the medium is encrypted: SRTP or DTLS.
func (m *Media) Secure() bool {
	return contains(m.Proto, "SAVP") || contains(m.Proto, "TLS") || m.Crypto || m.Fingerprint
}

// Held reports whether the author puts the other side on hold with this medium: sendonly and inactive (RFC 3264 8.4),
// or the address 0.0.0.0 of RFC 2543.
func (m *Media) Held() bool {
	return m.Direction == SendOnly || m.Direction == Inactive || m.Connection.Unspecified()
}

// Held reports whether every medium that is not rejected is held. A session without one is not.
func (s *Session) Held() bool {
	held := false
	for i := range s.Media {
		m := &s.Media[i]
		switch {
		case m.Rejected():
		case !m.Held():
			return false
		default:
			held = true
		}
	}
	return held
}

// Bounds of what is kept of one description. No call comes near; a hostile body of 64 KiB would.
const (
	maxMedia   = 64
	maxFormats = 128
	maxLists   = 64 // candidates of a medium, groups
)
