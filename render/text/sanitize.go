// Package text writes for terminals and tickets: ladders, tables and messages, in cells of a fixed width, with or
// without colour and box drawing characters.
//
// Everything is written to an io.Writer that the caller gives. Every string that came from a packet passes Clean: a
// display name is an attacker's text, and a terminal obeys control characters.
package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxMarks is how many combining marks may follow a character: no script needs more, and piles of them draw over the
// lines above and below.
const maxMarks = 4

// Clean makes a string of the wire safe and visible: control characters, line ends, escape sequences, bidirectional
// overrides, zero-width and private characters become \x1b, \n or \u202e, and bytes that are no UTF-8 become \xff.
// What is left is printable, and one line. A clean string is returned as it is, without allocating.
func Clean(s string) string {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f {
			return clean(s, i, false)
		}
	}
	return s
}

// CleanASCII is Clean for output that may hold ASCII only: every other character becomes \u4e2d or \U0001f600.
func CleanASCII(s string) string {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f {
			return clean(s, i, true)
		}
	}
	return s
}

// clean does the work from the first byte that is not printable ASCII.
func clean(s string, from int, ascii bool) string {
	var b strings.Builder
	b.Grow(len(s) + 8)
	b.WriteString(s[:from])
	marks := 0
	if from == 0 {
		marks = maxMarks // nothing to combine with
	}
	for i := from; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n <= 1:
			escapeByte(&b, s[i])
			marks, n = 0, 1
		case unicode.Is(unicode.M, r):
			marks++
			if ascii || marks > maxMarks || hidden(r) {
				escape(&b, r)
			} else {
				b.WriteRune(r)
			}
		case hidden(r) || ascii && r >= utf8.RuneSelf:
			escape(&b, r)
			marks = 0
		default:
			b.WriteRune(r)
			marks = 0
		}
		i += n
	}
	return b.String()
}

// hidden reports whether a character must not reach a terminal as it is: all that is not a letter, mark, number,
// punctuation, symbol or space (controls, formats, separators of lines, surrogates, private and unassigned characters),
// and the few of those that show nothing.
func hidden(r rune) bool {
	switch r {
	case 0x034f, // combining grapheme joiner
		0x115f, 0x1160, 0x3164, 0xffa0, // Hangul fillers
		0x17b4, 0x17b5, // Khmer inherent vowels
		0x2800: // Braille blank
		return true
	}
	if r >= 0xfe00 && r <= 0xfe0f || r >= 0xe0100 && r <= 0xe01ef || r >= 0x180b && r <= 0x180f {
		return true // variation selectors: terminals disagree on the width that they give
	}
	return !unicode.IsGraphic(r)
}

const hexDigits = "0123456789abcdef"

func escapeByte(b *strings.Builder, c byte) {
	b.WriteString(`\x`)
	b.WriteByte(hexDigits[c>>4])
	b.WriteByte(hexDigits[c&15])
}

func escape(b *strings.Builder, r rune) {
	switch {
	case r == '\n':
		b.WriteString(`\n`)
	case r == '\r':
		b.WriteString(`\r`)
	case r == '\t':
		b.WriteString(`\t`)
	case r < 0x80:
		b.WriteString(`\x`)
		hex(b, r, 4)
	case r < 0x10000:
		b.WriteString(`\u`)
		hex(b, r, 12)
	default:
		b.WriteString(`\U`)
		hex(b, r, 28)
	}
}

// hex writes r from the digit at shift down.
func hex(b *strings.Builder, r rune, shift int) {
	for ; shift >= 0; shift -= 4 {
		b.WriteByte(hexDigits[r>>shift&15])
	}
}
