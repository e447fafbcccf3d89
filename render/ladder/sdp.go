package ladder

import (
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
