package decode

import (
	"bytes"
	"cmp"
	"net/netip"
	"slices"

	"sipscope/decode/frame"
	"sipscope/decode/rtp"
	"sipscope/decode/sdp"
)

// Media is a datagram that has the form of RTP or RTCP. Whether it is, its stream tells: the tracker of streams decides, in
// the order of the capture. It is valid as long as its Work.
type Media struct {
	Frame   *frame.Packet // addresses, IP id, DSCP and the datagram
	Seq     uint64        // of the frame, of fragments the one that completed the datagram
	Time    int64         // packet time, nanoseconds since 1970-01-01 UTC
	Waited  uint32        // frames before that one with further fragments of the datagram
	Key     uint64        // secret hash of addresses and SSRC, not of RTCP
	Control bool          // RTCP: a packet type of its own (RFC 5761 4)
	RTP     rtp.Header    // of RTP
}

// Payload is what was captured of the RTP payload, padding included.
func (m *Media) Payload() []byte {
	b := m.Frame.Payload
	return b[min(int(m.RTP.Start), len(b)):]
}

// media takes a datagram of version 2 (RFC 3550 5.1), which no SIP, STUN, DTLS or QUIC is. Nothing is decided here but what a
// worker can see alone, and nothing is allocated but the room for the batch.
func (d *Decoder) media(w *Work, i int) {
	p, u := &w.Batch.Packets[i], &w.units[i]
	w.addMedia(&u.frame, d.secret, p.Seq, p.Time)
}

// media takes a datagram that came out of fragments, like those that came whole. It reports whether it has the form.
func (s *Streams) media(d *frame.Datagram, seq uint64, now int64) bool {
	if len(d.Payload) == 0 || d.Payload[0]>>6 != 2 {
		return false
	}
	m := s.w.addMedia(&d.Packet, s.secret, seq, now)
	if m == nil {
		return false
	}
	m.Waited = uint32(max(d.Frames-1, 0)) //nolint:gosec // a datagram's fragments
	s.w.joined = true
	return true
}

// addMedia adds a datagram to the batch's media; nil when it has the form of neither RTP nor RTCP.
func (w *Work) addMedia(f *frame.Packet, secret, seq uint64, now int64) *Media {
	n := len(w.media)
	if n < cap(w.media) {
		w.media = w.media[:n+1]
	} else {
		w.media = append(w.media, Media{})
	}
	m := &w.media[n]
	switch {
	case rtp.View(f.Payload, f.Missing, &m.RTP):
		m.Control = false
		m.Key = streamKey(secret, f, m.RTP.SSRC)
	case rtp.IsRTCP(f.Payload):
		m.Control = true
	default:
		w.media = w.media[:n]
		return nil
	}
	m.Frame, m.Seq, m.Time, m.Waited = f, seq, now, 0
	return m
}

// sortMedia puts what came out of fragments, after all that came whole, where it belongs in the order of the capture.
func (w *Work) sortMedia() {
	if w.joined {
		slices.SortStableFunc(w.media, func(a, b Media) int { return cmp.Compare(a.Seq, b.Seq) })
	}
}

// streamKey hashes what makes a stream: its addresses and its source.
func streamKey(secret uint64, f *frame.Packet, ssrc uint32) uint64 {
	k := mix(secret^f.Src.Lo, f.Dst.Lo^uint64(ssrc)<<32)
	k = mix(k, uint64(f.Src.Port)<<48|uint64(f.Dst.Port)<<32|uint64(ssrc))
	if f.Src.Hi|f.Dst.Hi != 0 {
		k = mix(mix(k, f.Src.Hi), f.Dst.Hi)
	}
	return k
}

// Media gives the batch's datagrams that have the form of RTP or RTCP, in the order of the capture.
func (w *Work) Media() []Media { return w.media }

// Reckon moves n packets, of this batch or of earlier ones, from OutcomeOther to what their stream turned out to be.
func (w *Work) Reckon(o Outcome, n uint64) {
	w.acct.Outcomes[OutcomeOther] -= n // wraps within the batch, adds up over the run
	w.acct.Outcomes[o] += n
}

// LineKind is what an m= line carries (RFC 8866 5.14).
type LineKind uint8

// Kinds of lines.
const (
	LineOther LineKind = iota
	LineAudio
	LineVideo
	LineText
	LineFax         // T.38 over UDPTL (RFC 7345, ITU-T T.38 D)
	LineMessage     // MSRP (RFC 4975)
	LineFloor       // BFCP (RFC 8856)
	LineApplication // other application media
)

// String is the kind as the m= line names it, or the protocol where that says more.
func (k LineKind) String() string {
	return [...]string{"", "audio", "video", "text", "t38", "msrp", "bfcp", "application"}[min(int(k), 7)]
}

// Line is an address at which a session description's author receives.
type Line struct {
	Addr      frame.Endpoint
	Index     uint8 // 0-based m= line
	Kind      LineKind
	RTP       bool // carried in RTP; false for UDPTL and the like
	Control   bool // for RTCP alone, where that is not the next port
	Mux       bool // for both (RFC 5761)
	Secure    bool // SRTP
	Candidate bool // an ICE candidate
	Direction sdp.Direction
	Ptime     uint16  // milliseconds, 0 when not given
	Codecs    []Codec // by payload type, as the author wants them; shared by the addresses of a line
	Set       uint64  // secret hash of Codecs
}

// CodecName is an encoding name without a pointer, cut at its size; what is unused is 0.
type CodecName [16]byte

// String is the name.
func (n CodecName) String() string { return string(bytes.TrimRight(n[:], "\x00")) }

// Codec is a payload type as an m= line maps it.
type Codec struct {
	Clock uint32 // Hz, 0 unknown
	PT    uint8
	Name  CodecName
	// Primary is 1 more than the payload type that redundant data (RFC 2198 5) begins its list in a=fmtp with; 0 not told.
	Primary uint8
}

// Bounds of what is taken of one description.
const (
	maxLines      = 32 // m= lines
	maxLineCodecs = 24 // payload types of an m= line
	maxCandidates = 16 // of an m= line
)

// address reads an IP address; names are not resolved.
func address(b []byte, port uint16) (frame.Endpoint, bool) {
	var ip [4]byte
	n, digits, v := 0, 0, 0
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9' && digits < 3:
			v, digits = v*10+int(c-'0'), digits+1
		case c == '.' && digits > 0 && v < 256 && n < 3:
			ip[n] = byte(v) //nolint:gosec // below 256
			n, digits, v = n+1, 0, 0
		default:
			return address6(b, port)
		}
	}
	if n != 3 || digits == 0 || v > 255 {
		return frame.Endpoint{}, false
	}
	ip[3] = byte(v)
	return frame.Endpoint4(ip[:], port), true
}

// maxAddress is the longest text of an IPv6 address (RFC 4291 2.2), with an IPv4 address in it.
const maxAddress = 45

func address6(b []byte, port uint16) (frame.Endpoint, bool) {
	if len(b) > maxAddress || bytes.IndexByte(b, ':') < 0 {
		return frame.Endpoint{}, false
	}
	a, err := netip.ParseAddr(string(b))
	if err != nil || a.Zone() != "" {
		return frame.Endpoint{}, false
	}
	return frame.FromAddrPort(netip.AddrPortFrom(a, port)), true
}
