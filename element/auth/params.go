package auth

import (
	"strings"

	"sipscope/decode/sip"
)

// param finds a parameter of "a=b, c="d"" by its name, in any case. The value comes without quotes, escapes kept. It is
// for Authentication-Info (RFC 7615), which has no scheme and parameters of its own.
func param(list []byte, name string) (value []byte, ok bool) {
	for len(list) > 0 {
		end, equals, quoted := 0, -1, false
		for end < len(list) && (quoted || list[end] != ',') {
			switch {
			case list[end] == '"':
				quoted = !quoted
			case list[end] == '\\' && quoted:
				end++
			case list[end] == '=' && equals < 0:
				equals = end
			}
			end++
		}
		end = min(end, len(list)) // an escape at the very end
		if equals >= 0 && strings.EqualFold(string(trim(list[:equals])), name) {
			return unquote(trim(list[equals+1 : end])), true
		}
		list = list[min(end+1, len(list)):]
	}
	return nil, false
}

// unquote takes the quotes off, and leaves escapes.
func unquote(b []byte) []byte {
	if len(b) > 0 && b[0] == '"' {
		b = b[1:]
		if len(b) > 0 && b[len(b)-1] == '"' {
			b = b[:len(b)-1]
		}
	}
	return b
}

// trim takes blanks and line breaks (of folds) off both ends.
func trim(b []byte) []byte {
	for len(b) > 0 && isBlank(b[0]) {
		b = b[1:]
	}
	for len(b) > 0 && isBlank(b[len(b)-1]) {
		b = b[:len(b)-1]
	}
	return b
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

// writable reports whether b can stand between quotes as it is: no control character, no quote that is not escaped.
func writable(b []byte) bool {
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '\\' && i+1 < len(b) && b[i+1] >= ' ' && b[i+1] != 0x7f:
			i++
		case c < ' ', c == 0x7f, c == '"', c == '\\':
			return false
		}
	}
	return true
}

// quote appends s as a quoted-string (RFC 3261 25.1).
func quote(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, s[i])
	}
	return append(dst, '"')
}

// isDigest reports whether a scheme is Digest.
func isDigest(scheme []byte) bool { return strings.EqualFold(string(scheme), schemeDigest) }

// offers reports whether a list such as "auth, auth-int" has an element.
func offers(list []byte, element string) bool {
	for part := range strings.SplitSeq(string(list), ",") {
		if strings.EqualFold(strings.TrimSpace(part), element) {
			return true
		}
	}
	return false
}

// readNC reads a nonce count: 8 hexadecimal digits (RFC 7616 3.4), fewer are tolerated. It reports false for 0.
func readNC(b []byte) (uint32, bool) {
	if len(b) == 0 || len(b) > 8 {
		return 0, false
	}
	n := uint32(0)
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		n = n<<4 | uint32(c)
	}
	return n, n > 0
}

// plain gives the text of a quoted value.
func plain(b []byte) string { return string(sip.Unquote(b)) }
