package query

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Error says what is wrong with a filter and where. It is always a *Error that Compile returns.
type Error struct {
	Source  string // the filter as it was given
	Column  int    // 0-based, counted in characters of Source; its length when something is missing at the end
	Message string // what is wrong
	Hint    string // what to do about it, "" when there is nothing to say
}

// Error is one line: the position, counted from 1, what is wrong and what to do.
func (e *Error) Error() string {
	text := fmt.Sprintf("column %d: %s", e.Column+1, e.Message)
	if e.Hint != "" {
		text += ": " + e.Hint
	}
	return text
}

// printable puts blanks for what is no printable character, so that what an error quotes stays on its line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}

// Caret is two lines for a user interface: the filter, with blanks for what is no printable character, and a "^"
// below the place. Each character counts as one cell.
func (e *Error) Caret() string {
	var b strings.Builder
	b.WriteString(printable(e.Source))
	b.WriteByte('\n')
	b.WriteString(strings.Repeat(" ", min(e.Column, utf8.RuneCountInString(e.Source))))
	b.WriteByte('^')
	return b.String()
}

// nearest gives the candidate with the fewest edits from word, "" when none is near enough to be meant.
func nearest(word string, candidates []string) string {
	if len(word) > maxNear {
		return ""
	}
	best, least := "", len(word)/3+2
	for _, c := range candidates {
		if d := edits(strings.ToLower(word), strings.ToLower(c)); d < least && d < len(c) {
			best, least = c, d
		}
	}
	return best
}

// maxNear bounds the work of nearest: no field name is longer.
const maxNear = 40

// edits is the distance of Damerau and Levenshtein (neighbours changed round count one) between two short words.
func edits(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
