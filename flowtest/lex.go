package flowtest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// token is one word of a line: a plain word, or key=value.
type token struct {
	key    string // before "=", empty for a plain word
	text   string // the word, or the value with quotes resolved
	quoted bool   // the text was written in quotes, at least in part
}

var errQuote = errors.New(`a quoted text does not end (escapes are those of Go: \r \n \" \\ \x1b)`)

// fields cuts a line into tokens. A "#" at the start of a word begins a comment. Quotes may stand anywhere in a word, as
// in name="Joe Public".
func fields(line string) ([]token, error) {
	var out []token
	for {
		line = strings.TrimLeft(line, " \t")
		if line == "" || line[0] == '#' {
			return out, nil
		}
		t, rest, err := word(line)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
		line = rest
	}
}

// word reads one token from the start of s.
func word(s string) (t token, rest string, err error) {
	var b strings.Builder
	i := 0
	for i < len(s) && s[i] != ' ' && s[i] != '\t' {
		switch {
		case s[i] == '"':
			q, err := strconv.QuotedPrefix(s[i:])
			if err != nil {
				return token{}, "", errQuote
			}
			text, err := strconv.Unquote(q)
			if err != nil {
				return token{}, "", fmt.Errorf("%s: %w", q, errQuote)
			}
			b.WriteString(text)
			t.quoted = true
			i += len(q)
		case s[i] == '=' && t.key == "" && !t.quoted && isKey(b.String()):
			t.key = b.String()
			b.Reset()
			i++
		default:
			b.WriteByte(s[i])
			i++
		}
	}
	t.text = b.String()
	return t, s[i:], nil
}

// isKey reports whether s can stand before "=": letters, digits and . - _, which no URI and no quoted text is.
func isKey(s string) bool {
	for _, c := range []byte(s) {
		if !isAlnum(c) && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return s != ""
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// isMethod reports whether s is written like a method: capitals, digits and "-", a capital first.
func isMethod(s string) bool {
	for i, c := range []byte(s) {
		if (c < 'A' || c > 'Z') && (i == 0 || (c < '0' || c > '9') && c != '-') {
			return false
		}
	}
	return s != ""
}

// isStatus reports whether s is a status code: three digits, 100 to 699 (RFC 3261 7.2).
func isStatus(s string) bool {
	return len(s) == 3 && s >= "100" && s <= "699" && s[1] >= '0' && s[1] <= '9' && s[2] >= '0' && s[2] <= '9'
}
