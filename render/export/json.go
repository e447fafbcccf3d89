// Package export writes calls and ladders for other programs: JSON, NDJSON, CSV and Mermaid.
//
// docs/json.md is the contract of the JSON; a test holds it. Whatever the wire carried, JSON is valid UTF-8, CSV is one
// line a row, and Mermaid cannot be broken out of. Encoders append to a slice and use no reflection.
package export

import (
	"encoding/base64"
	"strconv"
	"time"
	"unicode/utf8"

	"sipscope/decode/frame"
)

// rawSuffix ends the name of the companion field that holds a text's bytes in base64 (RFC 4648 4) when they are no
// UTF-8 and the text itself shows U+FFFD in their place.
const rawSuffix = "_raw_b64"

const hexDigits = "0123456789abcdef"

// appendString writes a JSON string (RFC 8259 7). Bytes that are no UTF-8 become U+FFFD. Characters that a terminal
// obeys or that hide text are escaped, which changes nothing for a program.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c < 0x7f && c != '"' && c != '\\' {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			dst = append(dst, s[from:i]...)
			dst = appendEscape(dst, c)
			i++
			from = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && n == 1 {
			dst = append(dst, s[from:i]...)
			dst = append(dst, `\ufffd`...)
			from = i + n
		} else if hidden(r) {
			dst = append(dst, s[from:i]...)
			dst = appendRune(dst, r)
			from = i + n
		}
		i += n
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}

// hidden reports whether a character is a C1 control, a bidirectional control, of no width, or ends a line.
func hidden(r rune) bool {
	switch {
	case r < 0xa0, r == 0xad, r == 0x61c, r == 0xfeff:
		return true
	case r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x206f:
		return true
	default:
		return false
	}
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	default:
		return appendRune(dst, rune(c))
	}
}

// appendRune escapes a character of the basic plane.
func appendRune(dst []byte, r rune) []byte {
	return append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}

// appendText writes `"name":"value"`, and the companion with the bytes when value is no UTF-8.
func appendText(dst []byte, name, value string) []byte {
	dst = append(dst, '"')
	dst = append(dst, name...)
	dst = append(dst, '"', ':')
	dst = appendString(dst, value)
	if !utf8.ValidString(value) {
		dst = append(dst, ',', '"')
		dst = append(dst, name...)
		dst = append(dst, rawSuffix...)
		dst = append(dst, '"', ':', '"')
		dst = base64.StdEncoding.AppendEncode(dst, []byte(value))
		dst = append(dst, '"')
	}
	return dst
}

// appendName writes `"name":`.
func appendName(dst []byte, name string) []byte {
	dst = append(dst, '"')
	dst = append(dst, name...)
	return append(dst, '"', ':')
}

// appendMs writes nanoseconds as milliseconds with up to six decimals, null for a negative number.
func appendMs(dst []byte, ns int64) []byte {
	if ns < 0 {
		return append(dst, "null"...)
	}
	return appendSignedMs(dst, ns)
}

// appendSignedMs is appendMs for intervals that may be negative.
func appendSignedMs(dst []byte, ns int64) []byte {
	u := uint64(ns) //nolint:gosec // made positive below
	if ns < 0 {
		dst = append(dst, '-')
		u = -u
	}
	const ms = uint64(time.Millisecond)
	dst = strconv.AppendUint(dst, u/ms, 10)
	rest := u % ms
	if rest == 0 {
		return dst
	}
	dst = append(dst, '.')
	for unit := ms / 10; rest > 0; unit /= 10 {
		dst = append(dst, hexDigits[rest/unit])
		rest %= unit
	}
	return dst
}

// appendTime writes a time as RFC 3339 with nine decimals, UTC, as a JSON string.
func appendTime(dst []byte, ns int64) []byte {
	dst = append(dst, '"')
	dst = appendTimeText(dst, ns)
	return append(dst, '"')
}

func appendTimeText(dst []byte, ns int64) []byte {
	t := time.Unix(0, ns).UTC()
	year, month, day := t.Date()
	hour, minute, second := t.Clock()
	dst = appendDigits(dst, year, 4)
	dst = appendDigits(append(dst, '-'), int(month), 2)
	dst = appendDigits(append(dst, '-'), day, 2)
	dst = appendDigits(append(dst, 'T'), hour, 2)
	dst = appendDigits(append(dst, ':'), minute, 2)
	dst = appendDigits(append(dst, ':'), second, 2)
	dst = appendDigits(append(dst, '.'), t.Nanosecond(), 9)
	return append(dst, 'Z')
}

// appendDigits writes n with leading zeros. int64 nanoseconds reach from 1677 to 2262: a year has four digits.
func appendDigits(dst []byte, n, width int) []byte {
	var b [9]byte
	for i := width - 1; i >= 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
	return append(dst, b[:width]...)
}

// appendEndpoint writes "address:port", null for none.
func appendEndpoint(dst []byte, e frame.Endpoint) []byte {
	if !e.IsValid() {
		return append(dst, "null"...)
	}
	dst = append(dst, '"')
	dst = appendEndpointText(dst, e)
	return append(dst, '"')
}

// appendEndpointText writes IPv4 by hand: it is what lists are full of.
func appendEndpointText(dst []byte, e frame.Endpoint) []byte {
	if !e.V4 {
		return e.AddrPort().AppendTo(dst)
	}
	ip := uint32(e.Lo) //nolint:gosec // the low half is the IPv4 address
	dst = strconv.AppendUint(dst, uint64(ip>>24), 10)
	dst = strconv.AppendUint(append(dst, '.'), uint64(ip>>16&255), 10)
	dst = strconv.AppendUint(append(dst, '.'), uint64(ip>>8&255), 10)
	dst = strconv.AppendUint(append(dst, '.'), uint64(ip&255), 10)
	return strconv.AppendUint(append(dst, ':'), uint64(e.Port), 10)
}

// appendPositive writes n, null for 0.
func appendPositive(dst []byte, n uint64) []byte {
	if n == 0 {
		return append(dst, "null"...)
	}
	return strconv.AppendUint(dst, n, 10)
}

// appendIndex writes i, null for a negative one.
func appendIndex(dst []byte, i int) []byte {
	if i < 0 {
		return append(dst, "null"...)
	}
	return strconv.AppendInt(dst, int64(i), 10)
}

// appendWord writes a string that is null when empty.
func appendWord(dst []byte, s string) []byte {
	if s == "" {
		return append(dst, "null"...)
	}
	return appendString(dst, s)
}
