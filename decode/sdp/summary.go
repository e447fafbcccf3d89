package sdp

import (
	"bytes"
	"strconv"
)

// Bounds of a summary, which stands on an arrow.
const (
	summaryCodecs = 3  // of a medium; the others are counted
	summaryMedia  = 4  // likewise
	summaryName   = 16 // bytes of a name
)

// Summary says in a few words what a description offers, for a ladder: "sdp PCMU,PCMA", "sdp audio PCMU · video H264",
// "sdp hold PCMU", "sdp audio PCMU · video rejected". The names come from the wire: a caller that writes them to a
// terminal or a page cleans them.
func (s *Session) Summary() string {
	return string(s.AppendSummary(nil))
}

// AppendSummary is Summary, appended to dst.
func (s *Session) AppendSummary(dst []byte) []byte {
	dst = append(dst, "sdp"...)
	if len(s.Media) == 0 {
		return append(dst, " without media"...)
	}
	held := s.Held()
	if held {
		dst = append(dst, " hold"...)
	}
	lone := len(s.Media) == 1 && string(s.Media[0].Type) == "audio" && !s.Media[0].Rejected()
	for i := range s.Media {
		if i == summaryMedia {
			dst = append(dst, " · +"...)
			return strconv.AppendInt(dst, int64(len(s.Media)-i), 10)
		}
		if i > 0 {
			dst = append(dst, " ·"...)
		}
		m := &s.Media[i]
		if !lone {
			dst = append(dst, ' ')
			dst = appendName(dst, m.Type)
		}
		switch {
		case m.Rejected():
			dst = append(dst, " rejected"...)
			continue
		case m.Held() && !held:
			dst = append(dst, " hold"...)
		}
		dst = m.appendCodecs(dst)
	}
	return dst
}

// appendCodecs writes " PCMU,PCMA,G722,+2".
func (m *Media) appendCodecs(dst []byte) []byte {
	sep := byte(' ')
	n, more := 0, 0
	for i := range m.Formats {
		f := &m.Formats[i]
		if f.TelephoneEvent() || f.comfort() || m.repair(f) {
			continue
		}
		if n++; n > summaryCodecs {
			more++
			continue
		}
		name, _, _ := f.Encoding()
		if name == "*" { // of MSRP and BFCP (RFC 4975 8.2, RFC 8856 4)
			name = string(m.Proto[bytes.LastIndexByte(m.Proto, '/')+1:])
		}
		dst = append(dst, sep)
		if name == "" {
			dst = append(appendName(dst, []byte("PT ")), f.Text...)
		} else {
			dst = appendName(dst, []byte(name))
		}
		sep = ','
	}
	if more > 0 {
		dst = append(dst, ",+"...)
		dst = strconv.AppendInt(dst, int64(more), 10)
	}
	return dst
}

// repair reports whether a format of WebRTC's video only mends others (RFC 4588, RFC 5109, RFC 8627).
func (m *Media) repair(f *Format) bool {
	return equalFold(f.Name, "rtx") || equalFold(f.Name, "red") || equalFold(f.Name, "ulpfec") ||
		equalFold(f.Name, "flexfec-03")
}

func appendName(dst, name []byte) []byte { return append(dst, name[:min(len(name), summaryName)]...) }
