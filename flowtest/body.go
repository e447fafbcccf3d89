package flowtest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// codec is an audio codec as SDP names it.
type codec struct {
	payload int
	rtpmap  string
	fill    byte // of a silent G.711 frame, 0 for codecs that flows do not send
}

// codecOf finds a codec by the name that flows use. Static payload types are those of RFC 3551 6.
func codecOf(name string) (codec, bool) {
	switch name {
	case "PCMU":
		return codec{0, "PCMU/8000", 0xff}, true
	case "GSM":
		return codec{3, "GSM/8000", 0}, true
	case "PCMA":
		return codec{8, "PCMA/8000", 0xd5}, true
	case "G722":
		return codec{9, "G722/8000", 0}, true
	case "G729":
		return codec{18, "G729/8000", 0}, true
	case "opus":
		return codec{111, "opus/48000/2", 0}, true
	case "telephone-event":
		return codec{101, "telephone-event/8000", 0}, true
	}
	return codec{}, false
}

// sdp writes an offer or answer (RFC 4566) of host h. version counts the descriptions that it sent in the call.
func (s *step) sdp(h *host, list string, version int) (string, error) {
	family, addr := "IP4", h.addr.Addr().String()
	if h.addr.Addr().Is6() {
		family = "IP6"
	}
	addr = s.text("sdp.addr", addr)
	port, err := number(s.text("sdp.port", strconv.Itoa(int(h.rtp))), 0, 65535)
	if err != nil {
		return "", fmt.Errorf("sdp.port=%w", err)
	}
	var payloads, maps strings.Builder
	for name := range strings.SplitSeq(list, ",") {
		c, ok := codecOf(name)
		if !ok {
			return "", fmt.Errorf("sdp: no codec %q", name)
		}
		fmt.Fprintf(&payloads, " %d", c.payload)
		fmt.Fprintf(&maps, "a=rtpmap:%d %s\r\n", c.payload, c.rtpmap)
		if name == "telephone-event" {
			maps.WriteString("a=fmtp:101 0-16\r\n")
		}
	}
	id := derive(h.name, "sdp")
	return fmt.Sprintf("v=0\r\no=%s %d %d IN %s %s\r\ns=-\r\nc=IN %s %s\r\nt=0 0\r\nm=audio %d RTP/AVP%s\r\n%sa=%s\r\n",
		h.name, id, version, family, addr, family, addr, port, payloads.String(), maps.String(),
		s.text("sdp.dir", "sendrecv")), nil
}

// pidf writes a presence document (RFC 3863).
func pidf(uri, basic string) string {
	return `<?xml version="1.0" encoding="UTF-8"?>` + "\r\n" +
		`<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="` + strings.Replace(uri, "sip:", "pres:", 1) + `">` + "\r\n" +
		`<tuple id="t1"><status><basic>` + basic + `</basic></status></tuple>` + "\r\n</presence>\r\n"
}

// setBody gives a message the body that its line asks for.
func (p *player) setBody(s *step, m *message) error {
	if v, ok := s.opt("sdp"); ok {
		p.sdps[ends{s.call, s.a}]++
		body, err := s.sdp(s.a, v, p.sdps[ends{s.call, s.a}])
		if err != nil {
			return err
		}
		m.body, m.bodyType = body, "application/sdp"
	}
	if v, ok := s.opt("pidf"); ok {
		m.body, m.bodyType = pidf(s.a.user, v), "application/pidf+xml"
	}
	if v, ok := s.opt("body"); ok {
		m.body = v
		if m.bodyType == "" {
			m.bodyType = "text/plain"
		}
	}
	m.bodyType = s.text("type", m.bodyType)
	return nil
}

// apply takes what the line says in place of what was generated, and adds to it.
func (s *step) apply(m *message) error {
	m.callID = s.text("callid", m.callID)
	m.contact = s.text("contact", m.contact)
	if v, ok := s.opt("cseq"); ok {
		n, err := strconv.ParseUint(v, 10, 32)
		if err != nil {
			return fmt.Errorf("cseq=%s: %w", v, err)
		}
		m.cseq = uint32(n)
	}
	if v, ok := s.opt("tag"); ok && m.status == 0 {
		m.fromTag = v
	} else if ok {
		m.toTag = v
	}
	for _, o := range s.opts {
		if name, ok := strings.CutPrefix(o.key, "header."); ok {
			m.over = append(m.over, field{name, o.text})
		}
	}
	if v, ok := s.opt("without"); ok {
		m.without = append(m.without, strings.Split(v, ",")...)
		if slices.Contains(m.without, "Contact") {
			m.contact = ""
		}
	}
	m.lf = m.lf || s.has("lf")
	m.compact = m.compact || s.has("compact")
	return nil
}
