package sdp

import "bytes"

// attribute reads "name" or "name:value" (RFC 8866 5.13, 6).
func (p *parser) attribute(line []byte, from, to int) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimLeft(value, " \t")
	if d := directionOf(name); d != Unstated {
		if p.m != nil {
			p.m.Direction = d
		} else {
			p.s.Direction = d
		}
		return
	}
	if p.m == nil {
		p.sessionAttribute(name, value)
		return
	}
	if !p.codecAttribute(name, value) {
		p.diag(DiagAttribute, from, to)
	}
}

func directionOf(name []byte) Direction {
	switch string(name) {
	case "sendrecv":
		return SendRecv
	case "sendonly":
		return SendOnly
	case "recvonly":
		return RecvOnly
	case "inactive":
		return Inactive
	default:
		return Unstated
	}
}

func (p *parser) sessionAttribute(name, value []byte) {
	s := p.s
	switch string(name) {
	case "group":
		if len(s.Groups) < maxLists {
			s.Groups = append(s.Groups, value)
		}
	case "setup":
		s.Setup = value
	case "fingerprint":
		s.Fingerprint = true
	case "ice-lite":
		s.ICELite = true
	}
}

// codecAttribute reads what says how the medium is coded; it reports false for a value that cannot be read.
func (p *parser) codecAttribute(name, value []byte) (ok bool) {
	m := p.m
	switch string(name) {
	case "rtpmap":
		return m.rtpmap(value)
	case "fmtp":
		f := fields{rest: value}
		if x := m.format(f.next()); x != nil {
			x.Params = bytes.TrimLeft(f.rest, " \t")
			return true
		}
		return false
	case "ptime":
		m.Ptime, ok = milliseconds(value)
		return ok
	case "maxptime":
		m.MaxPtime, ok = milliseconds(value)
		return ok
	case "rtcp":
		return m.rtcp(value)
	case "candidate":
		if len(m.Candidates) < maxLists {
			m.Candidates = append(m.Candidates, value)
		}
	default:
		m.attribute(name, value)
	}
	return true
}

// attribute reads what cannot be wrong.
func (m *Media) attribute(name, value []byte) {
	switch string(name) {
	case "rtcp-mux", "rtcp-mux-only":
		m.RTCPMux = true
	case "crypto":
		m.Crypto = true
	case "fingerprint":
		m.Fingerprint = true
	case "setup":
		m.Setup = value
	case "mid":
		m.Mid = value
	case "label":
		m.Label = value
	case "bundle-only":
		m.BundleOnly = true
	}
}

// format finds a format by its text, nil when the m= line does not have it.
func (m *Media) format(text []byte) *Format {
	for i := range m.Formats {
		if bytes.Equal(m.Formats[i].Text, text) {
			return &m.Formats[i]
		}
	}
	return nil
}

// rtpmap reads "101 telephone-event/8000" (RFC 8866 6.6). RFC 4475's old examples have no clock rate.
func (m *Media) rtpmap(value []byte) (ok bool) {
	w := fields{rest: value}
	f := m.format(w.next())
	encoding := w.next()
	if f == nil || encoding == nil {
		return false
	}
	name, rest, _ := bytes.Cut(encoding, []byte("/"))
	clock, channels, several := bytes.Cut(rest, []byte("/"))
	f.Name = name
	f.Clock, ok = number(clock, 1<<32-1)
	f.Channels = 0
	if several {
		n, good := number(channels, 255)
		f.Channels = uint8(n) //nolint:gosec // at most 255
		ok = ok && good
	}
	return ok
}

// milliseconds reads a packet time; a fraction, which some elements send, is cut off.
func milliseconds(value []byte) (uint16, bool) {
	whole, _, _ := bytes.Cut(value, []byte("."))
	n, ok := number(whole, 1<<16-1)
	return uint16(n), ok && n > 0 //nolint:gosec // at most 65535
}

// rtcp reads "53020" or "53020 IN IP6 2001:db8::1" (RFC 3605 2.1).
func (m *Media) rtcp(value []byte) bool {
	f := fields{rest: value}
	n, ok := number(f.next(), 1<<16-1)
	m.RTCP.Port = uint16(n) //nolint:gosec // at most 65535
	if f.next() != nil {
		f.next() // the type of the address shows in the address
		m.RTCP.Address = f.next()
		ok = ok && m.RTCP.Address != nil
	}
	return ok
}
