package chart

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"sipscope/render/text"
)

// labelWidth is how many columns of a name a chart shows; the table has the whole name.
const labelWidth = 28

// braces are what ECharts would read as a template or a style in places that interpret them ("{b}", "{name|text}").
// The replacement is that of text.Clean for what cannot be shown.
func braces() *strings.Replacer { return strings.NewReplacer("{", `\x7b`, "}", `\x7d`) }

// label makes a name of the wire fit to be drawn: clean, without what ECharts could take for a template, not empty and
// at most labelWidth columns wide.
func label(s string) string { return shorten(braces().Replace(cell(s)), labelWidth, labelWidth) }

// middle is a label that keeps both ends of a long name: in an address the last digits count.
func middle(s string) string { return shorten(braces().Replace(cell(s)), labelWidth, labelWidth/2+1) }

// cell makes a name of the wire fit for a table.
func cell(s string) string {
	if s == "" {
		return "(empty)"
	}
	return text.Clean(s)
}

// shorten cuts s to width columns; what is left out begins after head columns.
func shorten(s string, width, head int) string {
	if columns(s) <= width {
		return s
	}
	runes := []rune(s)
	front, back := 0, len(runes)
	for used := 0; front < back; front++ {
		if used += runeColumns(runes[front]); used > min(head, width-1) {
			break
		}
	}
	for used := head + 1; back > front; back-- {
		if used += runeColumns(runes[back-1]); used > width {
			break
		}
	}
	return strings.TrimRight(string(runes[:front]), " ") + "…" + string(runes[back:])
}

func columns(s string) (n int) {
	for _, r := range s {
		n += runeColumns(r)
	}
	return n
}

// runeColumns is an estimate, for room on an axis: from Hangul on most scripts with wide characters follow.
func runeColumns(r rune) int {
	if r >= 0x1100 {
		return 2
	}
	return 1
}

// thousands writes a number in groups of three digits.
func thousands(n uint64) string {
	s := strconv.FormatUint(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// percent stays with its number when a line is broken.
const percent = "\u00a0%%" // of a format

// alignRight pads numbers with spaces as wide as their digits and commas, so that they end below each other.
func alignRight(numbers []string) {
	longest := ""
	for _, s := range numbers {
		if len(s) > len(longest) {
			longest = s
		}
	}
	blanks := strings.NewReplacer(",", "\u2008") // punctuation space
	for i, s := range numbers {
		head := blanks.Replace(longest[:len(longest)-len(s)])
		numbers[i] = strings.Map(func(r rune) rune {
			if '0' <= r && r <= '9' {
				return '\u2007' // figure space
			}
			return r
		}, head) + s
	}
}

// share writes n of total as a percentage.
func share(n, total uint64) string {
	if total == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f"+percent, float64(n)*100/float64(total))
}

// plural writes a number with its noun.
func plural(n uint64, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + one + "s"
}

// interval writes the width of a timeline's bin.
func interval(seconds int64) string {
	switch {
	case seconds >= day:
		return plural(uint64(seconds/day), "day")
	case seconds >= 3600:
		return fmt.Sprintf("%d h", seconds/3600)
	case seconds >= 60:
		return fmt.Sprintf("%d min", seconds/60)
	default:
		return fmt.Sprintf("%d s", seconds)
	}
}

// clock writes a time of bins of a width, as short as it can be told apart on an axis, and whole. Both are UTC.
func clock(sec, width int64) (short, whole string) {
	t := time.Unix(sec, 0).UTC()
	switch {
	case width >= day:
		return t.Format("2006-01-02"), t.Format("2006-01-02")
	case width >= 3600:
		return t.Format("Jan 2 15:04"), t.Format("2006-01-02 15:04")
	case width >= 60:
		return t.Format("15:04"), t.Format("2006-01-02 15:04")
	default:
		return t.Format("15:04:05"), t.Format("2006-01-02 15:04:05")
	}
}

// stepName names a bin of a histogram: "under 1 ms", "50–100 ms", "500 ms–1 s", "60 s and over".
func stepName(i int) string {
	switch i {
	case 0:
		return "under " + stepEnd(0)
	case len(steps) - 1:
		return stepEnd(i-1) + " and over"
	}
	low, high := stepEnd(i-1), stepEnd(i)
	if number, unit, _ := strings.Cut(low, " "); strings.HasSuffix(high, " "+unit) {
		low = number
	}
	return low + "–" + high
}

// stepEnd writes the upper end of a bin.
func stepEnd(i int) string {
	if ms := steps[i] / 1e6; ms < 1000 {
		return fmt.Sprintf("%d ms", ms)
	}
	return fmt.Sprintf("%d s", steps[i]/1e9)
}
