package redact

import (
	"math/bits"
)

// Bounds of what the sweep looks for: shorter originals stand in too many words, and of longer ones the beginning tells.
const (
	leastSwept  = 4
	leastNumber = 7 // digits: ports, clock rates and extensions have fewer
	mostSwept   = 64
)

// sweeper finds originals in a text in one pass, whatever their number: a filter of the first four letters of all
// originals says where one may begin, a table which lengths it may have, and a set whether it is one.
type sweeper struct {
	all     map[string]struct{} // every original in lower case
	sought  map[string]bool     // those that may stand nowhere, cut to mostSwept; true for addresses
	lengths map[uint32]uint64   // by first four letters: bit n for a length of leastSwept+n
	filter  []uint64            // bits by hash of the first four letters
	shift   uint
}

// add notes an original.
func (s *sweeper) add(n name) {
	if n.kind == Sequence || n.kind == ParamName {
		return
	}
	if s.all == nil {
		s.all, s.sought, s.lengths = map[string]struct{}{}, map[string]bool{}, map[uint32]uint64{}
	}
	lower := lowered(n.text)
	s.all[lower] = struct{}{}
	if !swept(lower) {
		return
	}
	lower = lower[:min(len(lower), mostSwept)]
	s.sought[lower] = n.kind == address && len(n.text) <= mostSwept
	s.lengths[fourOf(lower)] |= 1 << (len(lower) - leastSwept)
}

// lowered is s with its ASCII letters in lower case.
func lowered(s string) string {
	for i := range len(s) {
		if s[i]-'A' < 26 {
			b := []byte(s)
			for j := i; j < len(b); j++ {
				b[j] = lowerOf(b[j])
			}
			return string(b)
		}
	}
	return s
}

func lowerOf(c byte) byte {
	if c-'A' < 26 {
		return c + 'a' - 'A'
	}
	return c
}

// swept reports whether an original may stand nowhere. Short ones, short numbers, and those that are made of SIP's own
// words may: a user called "phone" is replaced wherever a user stands, and user=phone stays.
func swept(lower string) bool {
	if len(lower) < leastSwept {
		return false
	}
	b := []byte(lower)
	words, digits := 0, 0
	for i := 0; i < len(b); {
		if !isAlnum(b[i]) {
			i++
			continue
		}
		end := wordEnd(b, i)
		words++
		switch n := end - i; {
		case allDigits(b[i:end]):
			digits += n
		case !vocabulary(b[i:end]):
			return true
		}
		i = end
	}
	return digits >= leastNumber || words > 3 && digits >= leastSwept // 10.0.0.1 has four words and five digits
}

// build makes the filter: 16 bits or more an original, so that few positions of a text need a closer look.
func (s *sweeper) build() {
	size := max(64, len(s.lengths)*16)
	logSize := min(bits.Len(uint(size)), 24)
	s.filter = make([]uint64, 1<<logSize/64)
	s.shift = uint(32 - logSize)
	for four := range s.lengths {
		h := hashFour(four) >> s.shift
		s.filter[h>>6] |= 1 << (h & 63)
	}
}

func hashFour(four uint32) uint32 { return four * 0x9E3779B1 }

func fourOf(s string) uint32 {
	return uint32(s[0])<<24 | uint32(s[1])<<16 | uint32(s[2])<<8 | uint32(s[3])
}

// equals reports whether a text in lower case is an original.
func (s *sweeper) equals(lower string) bool {
	_, ok := s.all[lower]
	return ok
}

// within reports whether a text in lower case holds an original, be it in the middle of a word.
func (s *sweeper) within(lower string) bool {
	_, _, found := s.search([]byte(lower), 0, false)
	return found
}

// find gives the first original that stands in b at or after from, whatever the case. An address stands there only
// between what is no part of one: 10.0.0.1 is not in 10.0.0.12.
func (s *sweeper) find(b []byte, from int) (at, end int, found bool) { return s.search(b, from, true) }

func (s *sweeper) search(b []byte, from int, whole bool) (at, end int, found bool) {
	if len(s.lengths) == 0 {
		return 0, 0, false
	}
	var four uint32
	for i := from; i < len(b); i++ {
		four = four<<8 | uint32(lowerOf(b[i]))
		h := hashFour(four) >> s.shift
		if s.filter[h>>6]&(1<<(h&63)) == 0 || i-from < leastSwept-1 {
			continue
		}
		at = i - leastSwept + 1
		if size := s.lookup(b, at, four, whole); size > 0 {
			return at, at + size, true
		}
	}
	return 0, 0, false
}

// lookup gives the length of the longest original that stands at b[at], 0 when none does.
func (s *sweeper) lookup(b []byte, at int, four uint32, whole bool) int {
	var buf [mostSwept]byte
	n := min(len(b)-at, mostSwept)
	for i := range n {
		buf[i] = lowerOf(b[at+i])
	}
	for lengths := s.lengths[four]; lengths != 0; {
		bit := 63 - bits.LeadingZeros64(lengths)
		lengths &^= 1 << bit
		size := bit + leastSwept
		if size > n {
			continue
		}
		if bounded, ok := s.sought[string(buf[:size])]; ok && (!whole || !bounded || !inAddress(b, at, at+size)) {
			return size
		}
	}
	return 0
}

// inAddress reports whether b[at:end] is in the middle of a longer address.
func inAddress(b []byte, at, end int) bool {
	return at > 0 && isAlnum(b[at-1]) || end < len(b) && isAlnum(b[end])
}

// excused reports whether what was found at b[at:end] is part of words of SIP, such as "even" of telephone-event.
func excused(b []byte, at, end int) bool {
	for at > 0 && isAlnum(b[at-1]) && isAlnum(b[at]) {
		at--
	}
	for end < len(b) && isAlnum(b[end-1]) && isAlnum(b[end]) {
		end++
	}
	for at < end {
		if !isAlnum(b[at]) {
			at++
			continue
		}
		word := b[at:wordEnd(b[:end], at)]
		if !vocabulary(word) {
			return false
		}
		at += len(word)
	}
	return true
}
