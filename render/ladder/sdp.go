package ladder

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
)

// Bounds on what is read of a session description.
const (
	maxMedia  = 16 // m= lines
	maxCodecs = 32 // payload types of an m= line
)

// session is what a ladder says of a session description (RFC 8866). It is a small reader of its own kind: it takes
// lines in any order and ignores what it does not know.
type session struct {
	direction string
	held      bool // c=0.0.0.0, the hold of RFC 2543
	media     []media
}

type media struct {
	kind      string // audio, video, image, application
	port      string
	proto     string
	formats   []string
	codecs    map[string]string // payload type to name, from rtpmap
	direction string
	conn      string
	held      bool
}

// readSDP reads the lines that a ladder shows.
func readSDP(body []byte) session {
	var s session
	for line := range bytes.Lines(body) {
		line = bytes.TrimSpace(line)
		if len(line) < 2 || line[1] != '=' {
			continue
		}
		value := string(line[2:min(len(line), 1024)])
		switch line[0] {
		case 'm':
			if len(s.media) == maxMedia {
				return s
			}
			s.media = append(s.media, readMedia(value))
		case 'c':
			s.connection(value)
		case 'a':
			s.attribute(value)
		}
	}
	return s
}

func readMedia(value string) media {
	f := strings.Fields(value)
	m := media{codecs: map[string]string{}}
	if len(f) > 0 {
		m.kind = f[0]
	}
	if len(f) > 1 {
		m.port = f[1]
	}
	if len(f) > 2 {
		m.proto = f[2]
		m.formats = f[3:min(len(f), 3+maxCodecs)]
	}
	return m
}

func (s *session) last() *media {
	if len(s.media) == 0 {
		return nil
	}
	return &s.media[len(s.media)-1]
}

func (s *session) connection(value string) {
	f := strings.Fields(value)
	if len(f) < 3 {
		return
	}
	held := f[2] == "0.0.0.0"
	if m := s.last(); m != nil {
		m.conn, m.held = f[2], held
	} else {
		s.held = held
	}
}

func (s *session) attribute(value string) {
	name, rest, _ := strings.Cut(value, ":")
	m := s.last()
	switch name {
	case "sendrecv", "sendonly", "recvonly", "inactive":
		if m != nil {
			m.direction = name
		} else {
			s.direction = name
		}
	case "rtpmap":
		pt, codec, ok := strings.Cut(strings.TrimSpace(rest), " ")
		if ok && m != nil && len(m.codecs) < maxCodecs {
			m.codecs[pt] = strings.TrimSpace(codec)
		}
	}
}

// staticCodec names the payload types that need no rtpmap (RFC 3551 6).
func staticCodec(pt string) string {
	switch pt {
	case "0":
		return "PCMU"
	case "3":
		return "GSM"
	case "4":
		return "G723"
	case "8":
		return "PCMA"
	case "9":
		return "G722"
	case "13":
		return "CN"
	case "15":
		return "G728"
	case "18":
		return "G729"
	case "26":
		return "JPEG"
	case "31":
		return "H261"
	case "34":
		return "H263"
	default:
		return pt
	}
}

// codec is the name of a format without clock rate.
func (m *media) codec(pt string) string {
	if c, ok := m.codecs[pt]; ok {
		name, _, _ := strings.Cut(c, "/")
		return name
	}
	if strings.Contains(m.proto, "RTP") {
		return staticCodec(pt)
	}
	return pt
}

// names lists the codecs without those that carry no sound or picture of their own.
func (m *media) names() []string {
	var names []string
	for _, pt := range m.formats {
		switch name := m.codec(pt); strings.ToLower(name) {
		case "telephone-event", "cn", "red", "ulpfec", "rtx", "flexfec-03":
		default:
			if !contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

func contains(all []string, one string) bool {
	return slices.Contains(all, one)
}

func (s *session) directionOf(m *media) string {
	switch {
	case m.direction != "":
		return m.direction
	case s.direction != "":
		return s.direction
	default:
		return "sendrecv"
	}
}

// hold says in one word that the media do not flow both ways (RFC 3264 8.4), "" when they do.
func (s *session) hold(m *media) string {
	switch d := s.directionOf(m); {
	case d == "sendonly", d == "inactive", m.held, s.held && m.conn == "":
		return "hold"
	case d == "recvonly":
		return "held"
	default:
		return ""
	}
}

// shown is how many codecs of a media line the summary names.
const shown = 4

// summary is the session in a few words: "sdp PCMU,PCMA", "sdp opus srtp + video H264", "sdp PCMU hold".
func (s *session) summary() string {
	if len(s.media) == 0 {
		return "sdp"
	}
	parts := make([]string, 0, len(s.media))
	for i := range s.media {
		m := &s.media[i]
		if i == 3 {
			parts = append(parts, strconv.Itoa(len(s.media)-i)+" more")
			break
		}
		parts = append(parts, s.mediaSummary(m))
	}
	return clip("sdp " + strings.Join(parts, " + "))
}

func (s *session) mediaSummary(m *media) string {
	names := m.names()
	if len(names) > shown {
		names = append(names[:shown:shown], "...")
	}
	words := make([]string, 0, 4)
	if m.kind != "audio" || len(names) == 0 {
		words = append(words, m.kind)
	}
	if len(names) > 0 {
		words = append(words, strings.Join(names, ","))
	}
	switch hold := s.hold(m); {
	case m.port == "0":
		words = append(words, "rejected") // RFC 3264 6
	case strings.Contains(m.proto, "SAVP"):
		words = append(words, "srtp")
		fallthrough
	default:
		if hold != "" {
			words = append(words, hold)
		}
	}
	return strings.Join(words, " ")
}

// lines writes each media line in words: "audio port 49170 RTP/AVP: 0 PCMU/8000, 101 telephone-event/8000; sendrecv".
func (s *session) lines() []string {
	out := make([]string, 0, len(s.media))
	for i := range s.media {
		m := &s.media[i]
		formats := make([]string, 0, len(m.formats))
		for _, pt := range m.formats {
			name := m.codecs[pt]
			if name == "" && strings.Contains(m.proto, "RTP") {
				name = staticCodec(pt)
			}
			if name != "" && name != pt {
				pt += " " + name
			}
			formats = append(formats, pt)
		}
		line := m.kind + " port " + m.port + " " + m.proto + ": " + strings.Join(formats, ", ")
		if m.conn != "" {
			line += "; at " + m.conn
		}
		out = append(out, clip(line+"; "+s.directionOf(m)))
	}
	return out
}
