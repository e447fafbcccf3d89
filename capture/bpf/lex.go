package bpf

import (
	"fmt"
	"net/netip"
	"strings"
)

// kind of a word.
type kind uint8

const (
	_         kind = iota
	kEnd           // the end of the expression
	kPunct         // one of the operators and brackets; "and" and "or" become "&&" and "||", "not" becomes "!"
	kKeyword       // a word with a meaning of its own
	kNumber        // a number, or a name of one such as tcp-syn
	kName          // any other word: a port, a protocol, a host
	kIPv4          // two to four numbers with dots
	kIPv6          // an IPv6 address
	kEthernet      // a MAC address
)

// word is a token.
type word struct {
	text string // as written; without the backslash of an escaped word
	pos  int    // offset in the expression, bytes
	num  uint32 // of a kNumber
	pair int    // of a parenthesis: the index of the word that closes it
	kind kind
}

// is reports whether the word is an operator, bracket or keyword with this text.
func (w *word) is(text string) bool {
	return (w.kind == kPunct || w.kind == kKeyword) && w.text == text
}

// MaxExpr is the longest expression in bytes.
const MaxExpr = 64 << 10

// maxDepth is how deep parentheses may nest.
const maxDepth = 200

// lexer cuts an expression into words: at each place the longest that fits, as tcpdump does.
type lexer struct {
	expr  string
	pos   int
	words []word
	open  []int // indices of parentheses not yet closed
}

// lex gives all words, the last of kind kEnd, with every parenthesis knowing its pair.
func lex(expr string) ([]word, error) {
	if len(expr) > MaxExpr {
		return nil, &SyntaxError{Expr: expr, Reason: fmt.Sprintf("longer than %d bytes", MaxExpr)}
	}
	l := lexer{expr: expr}
	for {
		for l.pos < len(expr) && strings.IndexByte(" \t\r\n", expr[l.pos]) >= 0 {
			l.pos++
		}
		if l.pos == len(expr) {
			break
		}
		w, n, err := l.next()
		if err != nil {
			return nil, err
		}
		w.pos = l.pos
		l.pos += n
		if err := l.add(w); err != nil {
			return nil, err
		}
	}
	if n := len(l.open); n > 0 {
		return nil, l.fail(l.words[l.open[n-1]].pos, "no ')' closes this parenthesis")
	}
	l.words = append(l.words, word{kind: kEnd, pos: len(expr)})
	return l.words, nil
}

// fail makes an error at an offset.
func (l *lexer) fail(pos int, reason string) error {
	return &SyntaxError{Expr: l.expr, Offset: pos, Reason: reason}
}

// add appends a word and pairs parentheses.
func (l *lexer) add(w word) error {
	switch {
	case w.is("("):
		if len(l.open) == maxDepth {
			return l.fail(w.pos, fmt.Sprintf("parentheses nest deeper than %d", maxDepth))
		}
		l.open = append(l.open, len(l.words))
	case w.is(")"):
		n := len(l.open)
		if n == 0 {
			return l.fail(w.pos, "no '(' opens this parenthesis")
		}
		l.words[l.open[n-1]].pair = len(l.words)
		l.open = l.open[:n-1]
	}
	l.words = append(l.words, w)
	return nil
}

// next reads the word at the position and gives its length.
func (l *lexer) next() (word, int, error) {
	rest := l.expr[l.pos:]
	if n, k := colonWord(rest); n > 0 {
		return word{kind: k, text: rest[:n]}, n, nil
	}
	if n := plainWord(rest); n > 0 {
		return l.plain(rest[:n])
	}
	if rest[0] == '\\' {
		n := strings.IndexAny(rest, " !()\n\t")
		if n < 0 {
			n = len(rest)
		}
		if n > 1 {
			return word{kind: kName, text: rest[1:n]}, n, nil
		}
	}
	if len(rest) >= 2 {
		switch two := rest[:2]; two {
		case "==":
			return word{kind: kPunct, text: "="}, 2, nil
		case ">=", "<=", "!=", "<<", ">>", "&&", "||":
			return word{kind: kPunct, text: two}, 2, nil
		}
	}
	if strings.IndexByte("+-*/%:[]!<>()&|^=", rest[0]) >= 0 {
		return word{kind: kPunct, text: rest[:1]}, 1, nil
	}
	return word{}, 0, l.fail(l.pos, "a character that no filter has")
}

// plainWord is the length of a word of letters, digits, dots and, inside, dashes and underscores.
func plainWord(s string) int {
	if !isAlnum(s[0]) {
		return 0
	}
	n := 1
	for n < len(s) && (isAlnum(s[n]) || strings.IndexByte("-_.", s[n]) >= 0) {
		n++
	}
	for s[n-1] == '-' || s[n-1] == '_' {
		n--
	}
	return n
}

// maxColonWord is the longest address with colons, in bytes: six groups of IPv6 and an IPv4 tail.
const maxColonWord = 45

// colonWord is the length of the longest address with colons at the beginning of s, or 0.
func colonWord(s string) (int, kind) {
	n, colon := 0, false
	for n < len(s) && n < maxColonWord && (isHex(s[n]) || s[n] == ':' || s[n] == '.') {
		colon = colon || s[n] == ':'
		n++
	}
	if !colon {
		return 0, 0
	}
	for ; n > 1; n-- {
		if a, err := netip.ParseAddr(s[:n]); err == nil && a.Is6() {
			return n, kIPv6
		}
		if _, ok := parseMAC(s[:n]); ok {
			return n, kEthernet
		}
	}
	return 0, 0
}

// plain makes a word of one without colons.
func (l *lexer) plain(text string) (word, int, error) {
	n := len(text)
	if _, ok := parseMAC(text); ok {
		return word{kind: kEthernet, text: text}, n, nil
	}
	if keyword(text) {
		switch text {
		case "and":
			return word{kind: kPunct, text: "&&"}, n, nil
		case "or":
			return word{kind: kPunct, text: "||"}, n, nil
		case "not":
			return word{kind: kPunct, text: "!"}, n, nil
		case "length":
			text = "len"
		}
		return word{kind: kKeyword, text: text}, n, nil
	}
	if v, ok := namedNumber(text); ok {
		return word{kind: kNumber, text: text, num: v}, n, nil
	}
	switch parts := strings.Split(text, "."); {
	case len(parts) == 1 && isNumber(text):
		v, reason := parseNumber(text)
		if reason != "" {
			return word{}, 0, l.fail(l.pos, reason)
		}
		return word{kind: kNumber, text: text, num: v}, n, nil
	case len(parts) > 1 && len(parts) <= 4 && allNumbers(parts):
		return word{kind: kIPv4, text: text}, n, nil
	}
	return word{kind: kName, text: text}, n, nil
}

// isAlnum is for ASCII letters and digits.
func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// isHex is for hexadecimal digits.
func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// isNumber is for digits, or hexadecimal digits after 0x.
func isNumber(s string) bool {
	if len(s) > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') {
		return allHex(s[2:])
	}
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' }) < 0
}

// allNumbers says so of each.
func allNumbers(parts []string) bool {
	for _, p := range parts {
		if !isNumber(p) {
			return false
		}
	}
	return true
}

// parseNumber reads a decimal, hexadecimal (0x) or octal (0) number of 32 bits; the reason is empty when it is one.
func parseNumber(s string) (v uint32, reason string) {
	base, digits := uint64(10), s
	switch {
	case len(s) > 2 && (s[1] == 'x' || s[1] == 'X'):
		base, digits = 16, s[2:]
	case s[0] == '0':
		base, digits = 8, s[1:]
	}
	n := uint64(0)
	for i := range len(digits) {
		d := uint64(hexValue(digits[i]))
		if d >= base {
			return 0, "a number that begins with 0 is octal and has no digit 8 or 9"
		}
		if n = n*base + d; n > 0xffffffff {
			return 0, "a number of more than 32 bits"
		}
	}
	return uint32(n), ""
}

// hexValue is what a hexadecimal digit stands for.
func hexValue(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	}
	return c - '0'
}

// parseMAC reads the notations of a MAC address that tcpdump knows: six numbers of one or two digits between colons,
// dashes or dots, three of four digits between dots, or twelve digits.
func parseMAC(s string) (mac [6]byte, ok bool) {
	if len(s) < 11 || len(s) > 17 {
		return mac, false
	}
	for _, sep := range []string{":", "-", "."} {
		if parts := strings.Split(s, sep); len(parts) == len(mac) {
			return sixNumbers(parts)
		}
	}
	if parts := strings.Split(s, "."); len(parts) == 3 && len(parts[0]) == 4 && len(parts[1]) == 4 {
		s = parts[0] + parts[1] + parts[2]
	}
	if len(s) != 12 {
		return mac, false
	}
	return sixNumbers([]string{s[:2], s[2:4], s[4:6], s[6:8], s[8:10], s[10:]})
}

// sixNumbers reads hexadecimal numbers of one or two digits.
func sixNumbers(parts []string) (mac [6]byte, ok bool) {
	for i, p := range parts {
		if len(p) < 1 || len(p) > 2 || !allHex(p) {
			return mac, false
		}
		for j := range len(p) {
			mac[i] = mac[i]<<4 | hexValue(p[j])
		}
	}
	return mac, true
}

// allHex says so of each character.
func allHex(s string) bool {
	for i := range len(s) {
		if !isHex(s[i]) {
			return false
		}
	}
	return true
}
