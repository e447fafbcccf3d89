package sip

import (
	"encoding/binary"
	"math/bits"
	"strings"
)

// Classes of bytes (RFC 3261 25.1).
const (
	classToken  uint8 = 1 << iota // alphanum - . ! % * _ + ` ' ~
	classBlank                    // SP HTAB CR LF: what LWS is made of
	classScheme                   // alphanum + - .
	classHost                     // what goes on in a host name: all but : ; ? / , @ [ ] < > and blanks
	classUser                     // what goes on in a user without a password: all but : ; ? / , @ [ ] < > " and blanks
	classValue                    // what goes on in an unquoted parameter value: all but ; , " and blanks
)

// classes has the classes of every byte.
var classes = makeClasses() //nolint:gochecknoglobals // read-only table

func makeClasses() (t [256]uint8) {
	mark := func(chars string, class uint8) {
		for i := range len(chars) {
			t[chars[i]] |= class
		}
	}
	const alphanum = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	mark(alphanum+"-.!%*_+`'~", classToken)
	mark(" \t\r\n", classBlank)
	mark(alphanum+"+-.", classScheme)
	allBut := func(chars string, class uint8) {
		for c := range t {
			if strings.IndexByte(chars, byte(c)) < 0 {
				t[c] |= class
			}
		}
	}
	allBut(":;?/,@[]<> \t\r\n", classHost)
	allBut(":;?/,@[]<>\" \t\r\n", classUser)
	allBut(";,\" \t\r\n", classValue)
	return t
}

func isToken(c byte) bool { return classes[c]&classToken != 0 }

func isBlank(c byte) bool { return classes[c]&classBlank != 0 }

func isDigit(c byte) bool { return c-'0' < 10 }

// lower is an ASCII letter in lower case; other bytes may change, but never into a letter.
func lower(c byte) byte { return c | 0x20 }

// run gives how many bytes b begins with that are of a class.
func run(b []byte, class uint8) int {
	for i, c := range b {
		if classes[c]&class == 0 {
			return i
		}
	}
	return len(b)
}

// allToken reports whether b is a token.
func allToken(b []byte) bool {
	return len(b) > 0 && run(b, classToken) == len(b)
}

// SWAR constants: one byte in each of the eight of a word.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// nextControl finds the first control character of b (below SP, or DEL) at or after i, len(b) when there is none.
// It reads eight bytes at a time: line ends are control characters, so that one look at the text finds both the lines
// and what hides in them.
func nextControl(b []byte, i int) int {
	for ; i+8 <= len(b); i += 8 {
		w := binary.LittleEndian.Uint64(b[i:])
		low := w &^ highs
		// low+0x60 has the high bit for a byte from 0x20 on, low+1 for DEL alone; bytes over 0x7f are neither
		if c := (^(low + 0x60*ones) | (low + ones)) &^ w & highs; c != 0 {
			return i + bits.TrailingZeros64(c)>>3
		}
	}
	for ; i < len(b); i++ {
		if b[i] < ' ' || b[i] == 0x7f {
			return i
		}
	}
	return i
}

// colonWithin gives the distance from at to the next colon, -1 when a header name of the table cannot end there.
func colonWithin(b []byte, at int) int {
	n := at
	for ; n+8 <= len(b) && n < at+maxHeaderName; n += 8 {
		w := binary.LittleEndian.Uint64(b[n:]) ^ ':'*ones
		if c := (w - ones) &^ w & highs; c != 0 {
			return n - at + bits.TrailingZeros64(c)>>3
		}
	}
	for ; n < len(b) && n <= at+maxHeaderName; n++ {
		if b[n] == ':' {
			return n - at
		}
	}
	return -1
}

// skipBlanks gives the first index from i on that holds no blank, at most end.
func skipBlanks(b []byte, i, end int) int {
	for i < end && isBlank(b[i]) {
		i++
	}
	return i
}

// backBlanks gives the last index down from end that has no blank before it, at least from.
func backBlanks(b []byte, from, end int) int {
	for end > from && isBlank(b[end-1]) {
		end--
	}
	return end
}

func trimRight(b []byte) []byte { return b[:backBlanks(b, 0, len(b))] }

// trim takes the blanks off both ends, those of folds too.
func trim(b []byte) []byte {
	b = trimRight(b)
	return b[skipBlanks(b, 0, len(b)):]
}

// equalFold compares ASCII letters whatever their case; name is a constant of ours, in any case.
func equalFold(b []byte, name string) bool {
	if len(b) != len(name) {
		return false
	}
	for i := range b {
		x := b[i] ^ name[i]
		if x != 0 && (x != 0x20 || lower(b[i])-'a' > 'z'-'a') {
			return false
		}
	}
	return true
}

// maxNumber is the most that digits reads: 2^53, so that every JSON reader can hold it.
const maxNumber = 1 << 53

// digits reads a decimal number; -1 when b is none, or over maxNumber.
func digits(b []byte) int64 {
	if len(b) == 0 {
		return -1
	}
	var n int64
	for _, c := range b {
		if !isDigit(c) || n > maxNumber {
			return -1
		}
		n = n*10 + int64(c-'0')
	}
	if n > maxNumber {
		return -1
	}
	return n
}
