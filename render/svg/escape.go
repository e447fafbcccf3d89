package svg

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"sipscope/render/text"
)

// str writes markup.
func (d *drawing) str(s string) { d.buf = append(d.buf, s...) }

// text writes a text of the wire, as content or as an attribute in double quotes.
func (d *drawing) text(s string) { d.buf = appendEscaped(d.buf, s) }

func (d *drawing) uint(n uint64) { d.buf = strconv.AppendUint(d.buf, n, 10) }

// pair writes markup and a number behind it.
func (d *drawing) pair(s string, n int) { d.buf = strconv.AppendInt(append(d.buf, s...), int64(n), 10) }

// replacement stands for what XML forbids.
const replacement = "\ufffd"

// appendEscaped writes s for XML and HTML, as content or in an attribute. A character that XML 1.0 (2.2) forbids becomes
// U+FFFD; text.Clean leaves none, but a picture that a parser refuses shows nothing at all.
func appendEscaped(dst []byte, s string) []byte {
	from := 0
	for i := 0; i < len(s); {
		if plain(s[i]) {
			i++
			continue
		}
		n, with := 1, ""
		if c := s[i]; c < utf8.RuneSelf {
			with = entity(c)
		} else {
			var r rune
			r, n = utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 || r == 0xfffe || r == 0xffff {
				with = replacement
			}
		}
		if with != "" {
			dst = append(append(dst, s[from:i]...), with...)
			from = i + n
		}
		i += n
	}
	return append(dst, s[from:]...)
}

// plain reports whether a byte is ASCII that is written as it is.
func plain(c byte) bool {
	return c >= 0x20 && c < utf8.RuneSelf && c != '&' && c != '<' && c != '>' && c != '"' && c != '\''
}

// entity is what stands for an ASCII character that is not plain.
func entity(c byte) string {
	switch c {
	case '&':
		return "&amp;"
	case '<':
		return "&lt;"
	case '>':
		return "&gt;"
	case '"':
		return "&quot;"
	case '\'':
		return "&#39;"
	}
	return replacement
}

// simple is the length in bytes of the character that s begins with, when it takes one cell and combines with nothing:
// ASCII, and the marks that this package puts between the words of a ladder; 0 for others.
func simple(s string) int {
	if s[0] < utf8.RuneSelf {
		return 1
	}
	if r, n := utf8.DecodeRuneInString(s); r == '·' || r == '×' || r == '→' {
		return n
	}
	return 0
}

// width is text.Width, without its cost for texts of simple characters.
func width(s string) int {
	n := 0
	for i := 0; i < len(s); n++ {
		if s[i] < utf8.RuneSelf {
			i++
			continue
		}
		size := simple(s[i:])
		if size == 0 {
			return text.Width(s)
		}
		i += size
	}
	return n
}

// take gives the longest beginning of s that fits into w cells. It looks no further than that.
func take(s string, w int) string {
	if len(s) <= w {
		return s // no character takes more cells than bytes
	}
	for i, n := 0, 0; i < len(s); n++ {
		size := simple(s[i:])
		if size == 0 {
			return takeClusters(s, w)
		}
		if n == w {
			return s[:i]
		}
		i += size
	}
	return s
}

func takeClusters(s string, w int) string {
	state, at, rest := -1, 0, s
	for rest != "" {
		var c string
		var cw int
		c, rest, cw, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if cw > w {
			break
		}
		w -= cw
		at += len(c)
	}
	return s[:at]
}

// cut shortens s to w cells, with an ellipsis when something was cut off.
func cut(s string, w int) string {
	if width(s) <= w {
		return s
	}
	return take(s, max(w-1, 0)) + "…"
}

// wrapLine splits the first line of at most w cells off s, at a blank where there is one, else where it must.
func wrapLine(s string, w int) (line, rest string) {
	s = strings.TrimLeft(s, " ")
	line = take(s, max(w, 1))
	if len(line) == len(s) {
		return line, ""
	}
	if line == "" { // a character wider than the line must not stop us
		line, _, _, _ = uniseg.FirstGraphemeClusterInString(s, -1)
	}
	if i := strings.LastIndexByte(line, ' '); i > 0 && len(line) < len(s) && s[len(line)] != ' ' {
		line = line[:i]
	}
	return strings.TrimRight(line, " "), strings.TrimLeft(s[len(line):], " ")
}

// countLines is how many lines s takes in w cells; an empty text takes none.
func countLines(s string, w int) int {
	n := 0
	for s != "" {
		_, s = wrapLine(s, w)
		n++
	}
	return n
}
