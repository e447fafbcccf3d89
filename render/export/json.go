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

// plainPrefix is the number of bytes at the beginning of s that need no escape in JSON: printable ASCII without the
// quote and the backslash. It looks at eight bytes at a time.
func plainPrefix(s string) int {
	i := 0
	for ; len(s)-i >= 8; i += 8 {
		w := s[i : i+8]
		x := uint64(w[0]) | uint64(w[1])<<8 | uint64(w[2])<<16 | uint64(w[3])<<24 |
			uint64(w[4])<<32 | uint64(w[5])<<40 | uint64(w[6])<<48 | uint64(w[7])<<56
		if special(x) {
			break
		}
	}
	for ; i < len(s); i++ {
		if c := s[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			break
		}
	}
	return i
}

// special reports whether one of eight bytes is a control character, a quote, a backslash, DEL or above. The test for a
// byte below n is exact in the lowest byte that matches, which is all that is asked.
func special(x uint64) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	quote, slash, del := x^ones*'"', x^ones*'\\', x^ones*0x7f
	return (x|(x-ones*' ')&^x|(quote-ones)&^quote|(slash-ones)&^slash|(del-ones)&^del)&highs != 0
}

// appendString writes a JSON string (RFC 8259 7). Bytes that are no UTF-8 become U+FFFD. Characters that a terminal
// obeys or that hide text are escaped, which changes nothing for a program.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for {
		n := plainPrefix(s)
		dst = append(dst, s[:n]...)
		if n == len(s) {
			return append(dst, '"')
		}
		s = s[n:]
		if s[0] < utf8.RuneSelf {
			dst = appendEscape(dst, s[0])
			s = s[1:]
			continue
		}
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			dst = append(dst, `\ufffd`...)
		case hidden(r):
			dst = appendRune(dst, r)
		default:
			dst = append(dst, s[:size]...)
		}
		s = s[size:]
	}
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
	if plainPrefix(value) == len(value) {
		dst = append(dst, '"')
		dst = append(dst, value...)
		return append(dst, '"')
	}
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
	dst = appendUint(dst, u/ms)
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
	b := [...]byte{
		'0', '0', '0', '0', '-', '0', '0', '-', '0', '0', 'T', '0', '0', ':', '0', '0', ':', '0', '0', '.',
		'0', '0', '0', '0', '0', '0', '0', '0', '0', 'Z',
	}
	// Nothing is negative, and int64 nanoseconds reach from 1677 to 2262: four digits do.
	digits(b[0:4], uint(year))
	digits(b[5:7], uint(month))
	digits(b[8:10], uint(day))
	digits(b[11:13], uint(hour))
	digits(b[14:16], uint(minute))
	digits(b[17:19], uint(second))
	digits(b[20:29], uint(t.Nanosecond()))
	return append(dst, b[:]...)
}

// digits fills b with the decimal digits of n.
func digits(b []byte, n uint) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
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
	dst = appendUint(dst, uint64(ip>>24))
	dst = appendUint(append(dst, '.'), uint64(ip>>16&255))
	dst = appendUint(append(dst, '.'), uint64(ip>>8&255))
	dst = appendUint(append(dst, '.'), uint64(ip&255))
	return appendUint(append(dst, ':'), uint64(e.Port))
}

// appendUint is strconv.AppendUint, faster for the small numbers that lists are full of.
func appendUint(dst []byte, n uint64) []byte {
	switch {
	case n < 10:
		return append(dst, hexDigits[n])
	case n < 100:
		return append(dst, hexDigits[n/10], hexDigits[n%10])
	default:
		return strconv.AppendUint(dst, n, 10)
	}
}

// appendPositive writes n, null for 0.
func appendPositive(dst []byte, n uint64) []byte {
	if n == 0 {
		return append(dst, "null"...)
	}
	return appendUint(dst, n)
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
