package redact

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
)

// chooseStem takes the first shape of a kind's pseudonyms that holds no original.
func (r *Redactor) chooseStem(kind Kind) string {
	first, second := stems[kind][0], stems[kind][1]
	for part := range strings.SplitSeq(first, "#") {
		if lower := lowered(part); r.sweep.equals(lower) || r.sweep.within(lower) {
			return second
		}
	}
	return first
}

// maxTries is how many pseudonyms of a kind in a row may hold an original before only equal ones are refused: in a
// hostile capture every one may hold some.
const maxTries = 1024

// choose finds a pseudonym that is no original, holds none, and was not given yet.
func (r *Redactor) choose(n name) string {
	switch n.kind {
	case address:
		return r.chooseAddress(n.text)
	case spelling:
		return r.chooseSpelling(n.text)
	case Number:
		return r.count1(Number, number)
	case Sequence:
		if !r.sweep.equals(n.text) {
			return n.text
		}
		return r.count1(Sequence, r.unusedSequence)
	case User:
		if digits := telephone(n.text); digits > 0 {
			if alias, ok := r.chooseDigits(n.text, shape{digits, 10}); ok {
				return alias
			}
		}
	case Token:
		if digits := hexadecimal(n.text); digits > 0 {
			if alias, ok := r.chooseDigits(n.text, shape{digits, 16}); ok {
				return alias
			}
		}
	default:
	}
	return r.count1(n.kind, func(i int) string { return shaped(n, fill(r.stem[n.kind], i)) })
}

// count1 tries one number of a kind after the other.
func (r *Redactor) count1(kind Kind, alias func(n int) string) string {
	for tries := 0; ; tries++ {
		r.count[kind]++
		if tries == maxTries {
			r.crowded[kind] = true
		}
		if s := alias(r.count[kind]); r.take(s, !r.crowded[kind]) {
			return s
		}
	}
}

// shaped gives a pseudonym the marks of its original that a parser looks at.
func shaped(n name, alias string) string {
	switch {
	case n.kind == CallID && strings.IndexByte(n.text, '@') >= 0:
		return alias + "@invalid"
	case n.kind == HeaderName && !isToken([]byte(n.text)):
		return strings.Replace(alias, "-", " ", 1) // no token before, none after (RFC 3261 7.3.1)
	case n.kind == Method && !isToken([]byte(n.text)):
		return alias + "?"
	}
	return alias
}

// firstNumber is where ids are counted from: seven digits, since shorter numbers stay as they are.
const firstNumber = 1_000_000

func number(n int) string { return strconv.Itoa(firstNumber + n) }

// unusedSequence is a CSeq number that no message has: most keep theirs.
func (r *Redactor) unusedSequence(n int) string {
	for {
		s := number(n)
		if _, used := r.names[Sequence][s]; !used {
			return s
		}
		n++
		r.count[Sequence] = n
	}
}

// chooseAddress counts through 198.18.0.0/15 (RFC 2544, benchmarks) and then 240.0.0.0/4 (reserved), or through
// 2001:db8::/32 (RFC 3849, documentation).
func (r *Redactor) chooseAddress(text string) string {
	if strings.IndexByte(text, ':') >= 0 {
		return r.count1(address, func(n int) string { return addr6(n).String() })
	}
	return r.count1(spelling, func(n int) string { return addr4(n).String() })
}

func addr4(n int) netip.Addr {
	const size = 1 << 17
	const first, more uint32 = 198<<24 | 18<<16, 240 << 24
	v := first + uint32(n) //nolint:gosec // of a count, below size
	if n >= size {
		v = more + uint32(n-size)&(1<<28-1) //nolint:gosec // masked
	}
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], v)
	return netip.AddrFrom4(b)
}

func addr6(n int) netip.Addr {
	b := [16]byte{0x20, 0x01, 0x0d, 0xb8}
	binary.BigEndian.PutUint64(b[8:], uint64(n)) //nolint:gosec // a count
	return netip.AddrFrom16(b)
}

// chooseSpelling finds another spelling of the same pseudonym, for a name that is not spelled as it was first: keys of
// transactions compare spellings (Via's sent-by), people and ladders compare names.
func (r *Redactor) chooseSpelling(text string) string {
	if a, err := netip.ParseAddr(text); err == nil {
		alias := r.names[address][a.WithZone("").String()]
		r.spelled[alias]++
		return spellAddress(alias, r.spelled[alias])
	}
	alias := r.names[Host][lowered(text)]
	r.spelled[alias]++
	return capitals(alias, r.spelled[alias])
}

// spellAddress writes an address in the nth way: with or without leading zeros in each group but the first, which has
// none. Of an IPv6 address there are 128 ways.
func spellAddress(alias string, n int) string {
	a, err := netip.ParseAddr(alias)
	if err != nil || a.Is4() {
		return alias // an IPv4 address is spelled in one way only
	}
	b := a.As16()
	var s strings.Builder
	for i := range 8 {
		if i > 0 {
			s.WriteByte(':')
		}
		group := uint64(b[2*i])<<8 | uint64(b[2*i+1])
		text := strconv.FormatUint(group, 16)
		if i > 0 && n>>(i-1)&1 != 0 && len(text) < 4 {
			text = "0000"[len(text):] + text
		}
		s.WriteString(text)
	}
	return s.String()
}

// capitals writes the letters of a name in upper case where n has bits.
func capitals(s string, n int) string {
	b := []byte(s)
	for i, c := range b {
		if c < 'a' || c > 'z' {
			continue
		}
		if n&1 != 0 {
			b[i] = c - 'a' + 'A'
		}
		n >>= 1
	}
	return string(b)
}

// maxShaped bounds the digits of a pseudonym that has the length of its original.
const maxShaped = 256

// telephone counts the digits of a telephone number after its "+" or "00"; 0 when a user is none. Visual separators
// (RFC 3966 5.1.1) belong to it.
func telephone(s string) (digits int) {
	for i, c := range []byte(s[prefix(s):]) {
		switch {
		case c >= '0' && c <= '9':
			digits++
		case i > 0 && strings.IndexByte("-.()", c) >= 0:
		default:
			return 0
		}
	}
	if digits > maxShaped {
		return 0
	}
	return digits
}

// prefix is the length of the "+" or "00" that a number begins with, where digits follow.
func prefix(s string) int {
	switch {
	case len(s) > 1 && s[0] == '+':
		return 1
	case len(s) > 4 && s[:2] == "00":
		return 2
	default:
		return 0
	}
}

// hexadecimal counts the digits of a text that is hexadecimal, of eight digits or more, such as a digest or, with colons
// between them, a fingerprint; 0 when it is none.
func hexadecimal(s string) (digits int) {
	for _, c := range []byte(s) {
		switch {
		case isHex(c):
			digits++
		case c == ':' || c == '-':
		default:
			return 0
		}
	}
	if digits < 8 || digits > maxShaped {
		return 0
	}
	return digits
}

func isHex(c byte) bool { return c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'f' }

// shape is what numbers that share a counter look like.
type shape struct {
	digits int
	base   int // 10 or 16
}

// pads are the leading digits of numbers, tried in this order: zeros may be an original.
const pads = "0123456789"

// padTries is how many numbers are tried with one leading digit in vain before the next one is.
const padTries = 2048

// chooseDigits writes a number in the shape of the original: digits of the base are counted, all else stays. When a
// length is used up, as all extensions of three digits may be, it makes longer ones. It reports false when originals
// stand in whatever it tries.
func (r *Redactor) chooseDigits(text string, s shape) (alias string, ok bool) {
	c := r.digits[s]
	if c == nil {
		c = &digitCount{}
		r.digits[s] = c
	}
	for ; c.pad < len(pads); c.pad++ {
		for range padTries {
			c.n++
			alias = numbered(text, strconv.FormatUint(c.n, s.base), pads[c.pad])
			if r.take(alias, true) {
				return alias, true
			}
		}
	}
	return "", false
}

// digitCount is where the numbers of a shape stand.
type digitCount struct {
	n   uint64
	pad int // index into pads
}

// numbered writes value, right-aligned, in the place of the digits of text, after its prefix. A value that is longer
// than the text gets its first digits in front of them.
func numbered(text, value string, pad byte) string {
	from := prefix(text)
	places := 0
	for i := from; i < len(text); i++ {
		if isHex(text[i]) {
			places++
		}
	}
	out := make([]byte, 0, len(text)+len(value))
	out = append(out, text[:from]...)
	if extra := len(value) - places; extra > 0 {
		out = append(out, value[:extra]...)
		value = value[extra:]
	}
	for i := from; i < len(text); i++ {
		switch {
		case !isHex(text[i]):
			out = append(out, text[i])
		case places > len(value):
			out = append(out, pad)
			places--
		default:
			out = append(out, value[len(value)-places])
			places--
		}
	}
	return string(out)
}

// standIn is for a name that was never learnt: the kind's number 0.
func standIn(kind Kind, text string) string {
	switch kind {
	case address:
		if strings.IndexByte(text, ':') >= 0 {
			return addr6(0).String()
		}
		return addr4(0).String()
	case spelling:
		return fill(stems[Host][0], 0)
	case Number:
		return strconv.Itoa(firstNumber)
	case Sequence:
		return text
	case User:
		if telephone(text) > 0 {
			return numbered(text, "0", '0')
		}
	case Token:
		if hexadecimal(text) > 0 {
			return numbered(text, "0", '0')
		}
	default:
	}
	return shaped(name{kind, text}, fill(stems[kind][0], 0))
}
