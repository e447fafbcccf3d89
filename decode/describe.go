package decode

import (
	"bytes"
	"hash/maphash"

	"sipscope/decode/frame"
	"sipscope/decode/rtp"
	"sipscope/decode/sdp"
)

// describer reads of a session description what the streams need, for every message that has one: a few times faster than
// sdp.ParseInto, which reads everything and judges it. Both agree; a test holds it.
type describer struct {
	d *Decoder
	m *Message

	host       frame.Endpoint // of the session's c=, port 0
	hasHost    bool
	direction  sdp.Direction
	print      bool // the session has a=fingerprint
	inMedia    bool
	index      int
	line       Line // of the m= line at hand
	named      bool // it has an address: its own c=, or the session's
	host2      frame.Endpoint
	port       uint16
	control    frame.Endpoint // a=rtcp; port 0 without one, no address when it is the medium's
	from       int            // of its codecs in m.codecs
	candidates int
	skip       bool // beyond the bounds
}

// describe takes the media addresses of the message's session description, if it has one and the run has media; before, it
// looks whether media come that nothing would tell by their form. The worker does it, so that the serial tracker gets
// nothing but addresses.
func (d *Decoder) describe(m *Message) {
	m.Described, m.Beside = false, false
	if m.SIP.Body.Empty() {
		return
	}
	body, ok := m.SIP.SDP()
	switch {
	case !ok:
	case d.hasMedia.Load():
		d.Describe(m, body)
	default:
		m.Beside = besideRTP(body)
	}
}

// Describe takes the media addresses of a session description into m.Lines.
func (d *Decoder) Describe(m *Message, body []byte) {
	m.Lines, m.codecs, m.Described = m.Lines[:0], m.codecs[:0], true
	s := describer{d: d, m: m}
	s.read(body)
}

// WakeMedia tells the workers that the run has media: from here on they read the session descriptions themselves. Before,
// whoever wants one does (Describe). It changes who does it, never the result.
func (d *Decoder) WakeMedia() { d.hasMedia.Store(true) }

// read reads a whole description, line by line.
func (s *describer) read(body []byte) {
	for len(body) > 0 {
		var line []byte
		if i := bytes.IndexByte(body, '\n'); i >= 0 {
			line, body = body[:i], body[i+1:]
		} else {
			line, body = body, nil
		}
		if n := len(line); n > 0 && line[n-1] == '\r' {
			line = line[:n-1]
		}
		if len(line) < 2 || line[1] != '=' {
			continue
		}
		switch line[0] {
		case 'c':
			s.connection(line[2:])
		case 'm':
			s.end()
			s.begin(line[2:])
		case 'a':
			s.attribute(line[2:])
		}
	}
	s.end()
}

// word cuts the first word of b.
func word(b []byte) (first, rest []byte) {
	for len(b) > 0 && b[0] == ' ' {
		b = b[1:]
	}
	if i := bytes.IndexByte(b, ' '); i >= 0 {
		return b[:i], b[i+1:]
	}
	return b, nil
}

// number reads digits; false for none, for more than five and for what follows them.
func number(b []byte) (n uint32, ok bool) {
	if len(b) == 0 || len(b) > 6 {
		return 0, false
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + uint32(c-'0')
	}
	return n, true
}

// connection reads a c= line: network type, address type, address with TTL and count (RFC 8866 5.7).
func (s *describer) connection(b []byte) {
	_, b = word(b)
	_, b = word(b)
	b, _ = word(b)
	if i := bytes.IndexByte(b, '/'); i >= 0 {
		b = b[:i]
	}
	at, ok := address(b, 0)
	if s.inMedia {
		s.host2, s.named = at, ok
	} else {
		s.host, s.hasHost = at, ok
	}
}

// begin reads an m= line: type, port with count, protocol, formats (RFC 8866 5.14).
func (s *describer) begin(b []byte) {
	kind, b := word(b)
	port, b := word(b)
	proto, b := word(b)
	if i := bytes.IndexByte(port, '/'); i >= 0 {
		port = port[:i]
	}
	n, ok := number(port)
	if s.inMedia {
		s.index++
	}
	s.inMedia = true
	s.skip = !ok || n > 1<<16-1 || s.index >= maxLines
	s.line = Line{
		Index: uint8(min(s.index, maxLines)), Kind: lineKind(kind, proto), RTP: bytes.Contains(proto, []byte("RTP/")), //nolint:gosec // at most maxLines
		Direction: s.direction, Secure: s.print || bytes.Contains(proto, []byte("SAVP")) || bytes.Contains(proto, []byte("TLS")),
	}
	s.port = uint16(n) //nolint:gosec // at most 65535, or skipped
	s.host2, s.named = s.host, s.hasHost
	s.control, s.from, s.candidates = frame.Endpoint{}, len(s.m.codecs), len(s.m.Lines)
	if s.skip || !s.line.RTP {
		return
	}
	for len(b) > 0 && len(s.m.codecs)-s.from < maxLineCodecs {
		var f []byte
		f, b = word(b)
		if pt, ok := number(f); ok && pt <= rtp.MaxPT {
			s.m.codecs = append(s.m.codecs, staticCodecs[pt])
		}
	}
}

// staticCodecs are the payload types of RFC 3551 6; the others have no name and no clock.
var staticCodecs = func() (all [rtp.MaxPT + 1]Codec) { //nolint:gochecknoglobals // a read-only table
	for pt := range all {
		name, clock := sdp.StaticPayload(pt)
		all[pt] = Codec{PT: uint8(pt), Clock: clock}
		copy(all[pt].Name[:], name)
	}
	return all
}()

// attribute reads an a= line (RFC 8866 6).
func (s *describer) attribute(b []byte) {
	name, value, _ := bytes.Cut(b, []byte(":"))
	switch string(name) {
	case "sendrecv":
		s.direct(sdp.SendRecv)
	case "sendonly":
		s.direct(sdp.SendOnly)
	case "recvonly":
		s.direct(sdp.RecvOnly)
	case "inactive":
		s.direct(sdp.Inactive)
	case "rtpmap":
		s.rtpmap(value)
	case "fmtp":
		s.fmtp(value)
	case "candidate":
		s.candidate(value)
	default:
		s.property(name, value)
	}
}

// property reads what else is told of an m= line.
func (s *describer) property(name, value []byte) {
	switch string(name) {
	case "fingerprint":
		s.print = s.print || !s.inMedia
		s.line.Secure = true
	case "crypto":
		s.line.Secure = true
	case "rtcp-mux":
		s.line.Mux = true
	case "rtcp":
		s.rtcp(value)
	case "ptime":
		v, _ := word(value)
		if n, ok := number(v); ok && n < 1<<16 {
			s.line.Ptime = uint16(n)
		}
	}
}

func (s *describer) direct(d sdp.Direction) {
	if s.inMedia {
		s.line.Direction = d
	} else {
		s.direction = d
	}
}

// rtpmap reads payload type, name and clock rate (RFC 8866 6.6).
func (s *describer) rtpmap(b []byte) {
	v, b := word(b)
	pt, ok := number(v)
	if !ok || !s.inMedia || s.skip {
		return
	}
	for i := s.from; i < len(s.m.codecs); i++ {
		c := &s.m.codecs[i]
		if uint32(c.PT) != pt {
			continue
		}
		b, _ = word(b)
		name, rate, _ := bytes.Cut(b, []byte("/"))
		rate, _, _ = bytes.Cut(rate, []byte("/"))
		clock, _ := number(rate)
		c.Name, c.Clock = CodecName{}, clock
		copy(c.Name[:], name)
	}
}

// fmtp reads which payload type redundant data carry first: "63 111/111" (RFC 2198 5). Other parameters are not looked at.
func (s *describer) fmtp(b []byte) {
	v, b := word(b)
	pt, ok := number(v)
	first, _, listed := bytes.Cut(b, []byte("/"))
	primary, known := number(first)
	if !ok || !listed || !known || primary > rtp.MaxPT || !s.inMedia || s.skip {
		return
	}
	for i := s.from; i < len(s.m.codecs); i++ {
		if c := &s.m.codecs[i]; uint32(c.PT) == pt {
			c.Primary = uint8(primary) + 1
		}
	}
}

// rtcp reads a port and, with three words more, an address (RFC 3605 2.1).
func (s *describer) rtcp(b []byte) {
	v, b := word(b)
	n, ok := number(v)
	if !ok || n > 1<<16-1 {
		return
	}
	s.control = frame.Endpoint{Port: uint16(n)}
	_, b = word(b)
	_, b = word(b)
	b, _ = word(b)
	if at, ok := address(b, uint16(n)); ok {
		s.control = at
	}
}

// candidate reads an ICE candidate (RFC 8839 5.1): foundation, component, transport, priority, address, port.
func (s *describer) candidate(b []byte) {
	if !s.inMedia || s.skip || len(s.m.Lines)-s.candidates >= maxCandidates {
		return
	}
	_, b = word(b)
	component, b := word(b)
	transport, b := word(b)
	_, b = word(b)
	host, b := word(b)
	v, _ := word(b)
	n, ok := number(v)
	if !ok || n > 1<<16-1 || !bytes.EqualFold(transport, []byte("udp")) {
		return
	}
	if at, ok := address(host, uint16(n)); ok {
		s.m.Lines = append(s.m.Lines, Line{Addr: at, Control: string(component) == "2", Candidate: true})
	}
}

// end gives the addresses of the m= line at hand: those of its candidates, its own, and that of a=rtcp where it is not the
// next port (RFC 3550 11).
func (s *describer) end() {
	if !s.inMedia || s.skip {
		return
	}
	l, m := &s.line, s.m
	if l.RTP {
		s.mapped()
	}
	if s.port == 0 {
		m.Lines = m.Lines[:s.candidates] // rejected (RFC 3264 6)
		return
	}
	s.host2.Port = s.port
	s.candidatesOf()
	if s.named && usable(s.host2) {
		l.Addr = s.host2
		m.Lines = append(m.Lines, *l)
	}
	if s.control.Port == 0 || !l.RTP || l.Mux {
		return
	}
	to := s.control
	if to.Lo|to.Hi == 0 {
		if to = s.host2; !s.named {
			return
		}
		to.Port = s.control.Port
	}
	if usable(to) {
		l.Addr, l.Control = to, true
		m.Lines = append(m.Lines, *l)
	}
}

// mapped gives the line its payload types.
func (s *describer) mapped() {
	l, m := &s.line, s.m
	for i := s.from; i < len(m.codecs); i++ {
		c := &m.codecs[i]
		l.Set = mix(l.Set^uint64(c.Primary)<<40^uint64(c.PT)<<32^uint64(c.Clock), maphash.Bytes(s.d.hash.seed, c.Name[:]))
	}
	l.Set |= 1
	l.Codecs = m.codecs[s.from:len(m.codecs):len(m.codecs)]
}

// candidatesOf makes lines of the candidates of the m= line at hand, as far as they are other addresses than its own.
func (s *describer) candidatesOf() {
	l, m := &s.line, s.m
	kept := s.candidates
	for i := s.candidates; i < len(m.Lines); i++ {
		at, control := m.Lines[i].Addr, m.Lines[i].Control
		if at == s.host2 || !usable(at) {
			continue
		}
		m.Lines[kept] = *l
		m.Lines[kept].Addr, m.Lines[kept].Control, m.Lines[kept].Candidate = at, control && !l.Mux, true
		kept++
	}
	m.Lines = m.Lines[:kept]
}

// usable reports whether something can be sent to an address: 0.0.0.0 and :: hold (RFC 2543), port 0 rejects.
func usable(at frame.Endpoint) bool {
	return at.Port != 0 && at.Lo|at.Hi != 0 && (at.Lo != 0xffff<<32 || at.Hi != 0)
}

// lineKind says what an m= line carries.
func lineKind(kind, proto []byte) LineKind {
	switch string(kind) {
	case "audio":
		return LineAudio
	case "video":
		return LineVideo
	case "text":
		return LineText
	case "image":
		return LineFax
	case "message":
		return LineMessage
	case "application":
		if bytes.Contains(proto, []byte("BFCP")) {
			return LineFloor
		}
		return LineApplication
	default:
		return LineOther
	}
}
