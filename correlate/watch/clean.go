package watch

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"sipscope/correlate"
	"sipscope/decode/frame"
)

// maxValue is how many bytes an environment variable's value may have: enough for any honest URI or Call-ID, and all of
// them together far below what systems allow a program's environment.
const maxValue = 1024

// prefix begins the names of all variables of ours.
const prefix = "SIPSCOPE_"

// variables are the environment variables that describe a call. What is not known is empty.
func variables(s *correlate.Summary) []string {
	code := ""
	if s.Code != 0 {
		code = strconv.Itoa(int(s.Code))
	}
	pairs := [...][2]string{
		{"NUM", strconv.FormatUint(uint64(s.Num), 10)},
		{"CALL_ID", s.CallID},
		{"STATE", s.State.String()},
		{"CODE", code},
		{"REASON", s.Reason},
		{"FROM", s.From.URI},
		{"TO", s.To.URI},
		{"SOURCE", endpoint(s.Src)},
		{"DESTINATION", endpoint(s.Dst)},
		{"METHOD", s.Method},
	}
	vars := make([]string, len(pairs))
	for i, p := range pairs {
		vars[i] = prefix + p[0] + "=" + clean(p[1])
	}
	return vars
}

func endpoint(e frame.Endpoint) string {
	if !e.IsValid() {
		return ""
	}
	return e.AddrPort().String()
}

// clean makes a text of the wire fit for an environment variable: control characters (NUL and line ends among them),
// line separators and marks that turn the direction of writing become blanks, what is no UTF-8 becomes U+FFFD, and what
// is longer than maxValue is cut between two characters. All else, a shell's special characters too, stays as it is.
func clean(s string) string {
	var b strings.Builder
	b.Grow(min(len(s), maxValue))
	for _, r := range s {
		if hidden(r) {
			r = ' '
		}
		if b.Len()+utf8.RuneLen(r) > maxValue {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

// hidden reports whether a character says something to a terminal or a log viewer instead of a person.
func hidden(r rune) bool {
	switch {
	case unicode.IsControl(r), r == '\u2028', r == '\u2029':
		return true
	default:
		return unicode.Is(unicode.Bidi_Control, r)
	}
}
