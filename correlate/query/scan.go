package query

import (
	"slices"
	"strings"
	"time"
	"unicode"
)

// standIn is a part of a filter that expr-lang's grammar does not know. The scanner puts an identifier of the same
// length in its place, so that every position stays that of the source; the resolver finds it again by its position.
type standIn struct {
	header  string  // header.X-Account-ID: the header's name
	seconds float64 // 150ms: the number, when header is empty
	length  int     // characters
}

// scanned is a filter as the scanner leaves it.
type scanned struct {
	source   []rune
	standIns map[int]standIn // by position, in characters
	operator bool            // an operator or a bracket stands outside of quotes
	literal  bool            // the whole of it is one quoted text
	open     int             // where a quote opens that is never closed, -1 when there is none
	comment  int             // where a comment begins, -1 when there is none
}

// headerPrefix names a header where a field may stand.
const headerPrefix = "header."

// scan reads a filter once, from left to right.
func scan(src string) *scanned {
	s := &scanned{source: []rune(src), standIns: map[int]standIn{}, open: -1, comment: -1}
	words := len(strings.Fields(src))
	for i := 0; i < len(s.source); {
		switch r := s.source[i]; {
		case isQuote(r) && !s.inWord(i):
			i = s.quoted(i)
		case isWord(r) && !s.inWord(i):
			i = s.word(i, words)
		default:
			if s.isOperator(i) {
				s.operator = true
			}
			if s.comment < 0 && r == '/' && (s.at(i+1) == '/' || s.at(i+1) == '*') {
				s.comment = i
			}
			i++
		}
	}
	return s
}

// mangled is the source with its stand-ins.
func (s *scanned) mangled() string {
	out := slices.Clone(s.source)
	for at, in := range s.standIns {
		for i := range in.length {
			out[at+i] = '_'
		}
	}
	return string(out)
}

func isQuote(r rune) bool { return r == '"' || r == '\'' || r == '`' }

func isWord(r rune) bool { return r == '_' || r == '$' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// at is the character at i, 0 outside.
func (s *scanned) at(i int) rune {
	if i < 0 || i >= len(s.source) {
		return 0
	}
	return s.source[i]
}

// inWord reports whether a word, a number or a dotted name goes on at i.
func (s *scanned) inWord(i int) bool {
	before := s.at(i - 1)
	return isWord(before) || before == '.' && s.at(i-2) != '.'
}

// isDot reports whether a single dot stands at i: two make a range.
func (s *scanned) isDot(i int) bool {
	return s.source[i] == '.' && s.at(i+1) != '.' && s.at(i-1) != '.'
}

// quoted skips a quoted text. An apostrophe within a word opens none: see scan.
func (s *scanned) quoted(i int) int {
	quote, from := s.source[i], i
	for i++; i < len(s.source); i++ {
		switch {
		case s.source[i] == '\\' && quote != '`':
			i++
		case s.source[i] == quote:
			s.literal = from == 0 && i == len(s.source)-1
			return i + 1
		}
	}
	if s.open < 0 {
		s.open = from
	}
	return len(s.source)
}

// word reads a name, a number or an operator in letters, and notes what needs a stand-in.
func (s *scanned) word(i, words int) int {
	end := i
	for end < len(s.source) && (isWord(s.source[end]) || s.isDot(end)) {
		end++
	}
	text := string(s.source[i:end])
	switch {
	case strings.HasPrefix(text, headerPrefix):
		return s.header(i)
	case words > 1 && isWordOperator(text):
		s.operator = true
	case unicode.IsDigit(s.source[i]):
		if d, err := time.ParseDuration(text); err == nil && text != "0" {
			s.standIns[i] = standIn{seconds: d.Seconds(), length: end - i}
		}
	}
	return end
}

// header reads header.NAME; a name there is letters, digits, "_" and "-" within.
func (s *scanned) header(i int) int {
	from := i + len(headerPrefix)
	end := from
	for end < len(s.source) && (isWord(s.source[end]) || s.source[end] == '-') {
		end++
	}
	for end > from && s.source[end-1] == '-' {
		end--
	}
	if end > from {
		s.standIns[i] = standIn{header: string(s.source[from:end]), length: end - i}
	}
	return max(end, from)
}

func isWordOperator(word string) bool {
	switch word {
	case "and", "or", "not", "in", "contains", "startsWith", "endsWith", "matches":
		return true
	}
	return false
}

// isOperator reports whether the character at i makes the filter an expression.
func (s *scanned) isOperator(i int) bool {
	next := s.at(i + 1)
	switch s.source[i] {
	case '<', '>', '(', '[':
		return true
	case '=':
		return next == '='
	case '&', '|':
		return next == s.source[i]
	case '!':
		return next == '=' || !s.inWord(i)
	}
	return false
}
