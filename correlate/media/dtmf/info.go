package dtmf

import (
	"bytes"

	"sipscope/decode/sip"
)

const (
	infoLines   = 16    // of an application/dtmf-relay body that are read
	longestInfo = 60000 // milliseconds: a longer press is not believed, its duration is not known
)

// FromMessage reads the press that an INFO request carries, in its body or in a part of it. now is the packet time of the
// message, frame the frame that completes it. False for other messages, and for a body that is none.
func FromMessage(m *sip.Message, now int64, frame uint64) (Press, bool) {
	if !m.Request || m.MethodID != sip.MethodInfo {
		return Press{}, false
	}
	p, ok := Body(m.ContentType.Of(m.Raw), m.Body.Of(m.Raw))
	for part := range m.Parts() {
		if ok {
			break
		}
		p, ok = Body(part.Type, part.Body.Of(m.Raw))
	}
	p.Start, p.First, p.Last, p.Packets = now, frame, frame, 1
	return p, ok
}

// Body reads the body of an INFO by its media type (without parameters): application/dtmf-relay, which says Signal= and
// Duration= in milliseconds, or application/dtmf, which is the digit alone. No RFC says what they look like; what elements
// send is read: blanks anywhere, any case, keys 10 and 11 for * and #, 12 to 15 for A to D, 16 for a flash.
func Body(mediaType, body []byte) (Press, bool) {
	switch {
	case bytes.EqualFold(mediaType, []byte("application/dtmf-relay")):
		return relay(body, ViaInfoRelay)
	case bytes.EqualFold(mediaType, []byte("application/hook-flash")):
		return Press{Digit: Flash, Via: ViaInfo, Ended: true, Duration: -1}, true
	case !bytes.EqualFold(mediaType, []byte("application/dtmf")):
		return Press{}, false
	}
	if bytes.IndexByte(body, '=') >= 0 {
		return relay(body, ViaInfo) // a relay body under the other name
	}
	digit, ok := key(bytes.TrimSpace(body))
	return Press{Digit: digit, Via: ViaInfo, Ended: true, Duration: -1}, ok
}

// relay reads the lines of a dtmf-relay body. The first Signal counts.
func relay(body []byte, via Via) (Press, bool) {
	p := Press{Via: via, Ended: true, Duration: -1}
	for range infoLines {
		if len(body) == 0 {
			break
		}
		var line []byte
		line, body = cutLine(body)
		name, value, ok := bytes.Cut(line, []byte("="))
		if !ok {
			continue
		}
		name, value = bytes.TrimSpace(name), bytes.TrimSpace(value)
		switch {
		case p.Digit == 0 && bytes.EqualFold(name, []byte("signal")):
			if p.Digit, ok = key(value); !ok {
				return Press{}, false
			}
		case bytes.EqualFold(name, []byte("duration")):
			if ms := number(value); ms >= 0 && ms <= longestInfo {
				p.Duration = int64(ms) * 1e6
			}
		}
	}
	return p, p.Digit != 0
}

// cutLine cuts the first line off, which ends with CR, LF or both.
func cutLine(b []byte) (line, rest []byte) {
	i := bytes.IndexAny(b, "\r\n")
	if i < 0 {
		return b, nil
	}
	return b[:i], b[i+1:]
}

// key reads a key as elements write it.
func key(b []byte) (byte, bool) {
	b = bytes.Trim(b, `"'`)
	if len(b) == 1 {
		switch c := b[0]; {
		case c >= '0' && c <= '9', c == '*', c == '#', c >= 'A' && c <= 'D', c == Flash:
			return c, true
		case c >= 'a' && c <= 'd':
			return c - 'a' + 'A', true
		}
		return 0, false
	}
	switch {
	case bytes.EqualFold(b, []byte("star")):
		return '*', true
	case bytes.EqualFold(b, []byte("pound")), bytes.EqualFold(b, []byte("hash")):
		return '#', true
	case bytes.EqualFold(b, []byte("hf")), bytes.EqualFold(b, []byte("flash")), bytes.EqualFold(b, []byte("hookflash")):
		return Flash, true
	}
	if n := number(b); len(b) == 2 && n >= 10 && n <= flashEvent {
		return digit(uint8(n)), true
	}
	return 0, false
}

// number reads a decimal number of up to nine digits; -1 for what is none.
func number(b []byte) int {
	if len(b) == 0 || len(b) > 9 {
		return -1
	}
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return -1
		}
		n = n*10 + int(c-'0')
	}
	return n
}
