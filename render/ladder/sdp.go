package ladder

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"sipscope/decode/sdp"
)

// Bounds on what is shown of a session description.
const (
	maxMedia   = 16 // media
	maxFormats = 32 // formats of one
)

// mediaLines writes each medium in words: "audio port 49170 RTP/AVP: 0 PCMU/8000, 101 telephone-event/8000; sendrecv".
func mediaLines(s *sdp.Session) []string {
	out := make([]string, 0, min(len(s.Media), maxMedia))
	for i := range s.Media[:min(len(s.Media), maxMedia)] {
		m := &s.Media[i]
		line := string(m.Type) + " port " + strconv.Itoa(int(m.Port)) + " " + string(m.Proto) + ": " + formats(m)
		if at := string(m.Connection.Address); at != "" && at != string(s.Connection.Address) {
			line += "; at " + at
		}
		out = append(out, clip(line+"; "+m.Direction.String()))
	}
	return out
}

// formats lists a medium's formats with what rtpmap or RFC 3551 says of them.
func formats(m *sdp.Media) string {
	words := make([]string, 0, min(len(m.Formats), maxFormats))
	for i := range m.Formats[:min(len(m.Formats), maxFormats)] {
		f := &m.Formats[i]
		word := string(f.Text)
		if name, clock, channels := f.Encoding(); name != "" && name != word {
			word += " " + name
			if clock > 0 {
				word += "/" + strconv.FormatUint(uint64(clock), 10)
			}
			if channels > 1 {
				word += "/" + strconv.Itoa(int(channels))
			}
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

// lanes names the media of a session description that are not carried in RTP and not refused: "T.38, MSRP".
func lanes(s *sdp.Session) string {
	var names []string
	for i := range s.Media[:min(len(s.Media), maxMedia)] {
		m := &s.Media[i]
		name := lane(m)
		if name != "" && !m.Rejected() && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// lane names a medium by its transport: RFC 7345 and T.38 annex D, RFC 4975, RFC 8856.
func lane(m *sdp.Media) string {
	proto := bytes.ToUpper(m.Proto)
	switch {
	case bytes.Contains(proto, []byte("UDPTL")):
		return "T.38"
	case bytes.HasSuffix(proto, []byte("MSRP")):
		return "MSRP"
	case bytes.HasSuffix(proto, []byte("BFCP")):
		return "BFCP"
	case len(m.Formats) > 0 && bytes.EqualFold(m.Formats[0].Text, []byte("t38")):
		return "T.38" // over TCP, or under a name of its own
	default:
		return ""
	}
}
