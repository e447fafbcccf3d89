package compare

import (
	"encoding/binary"
	"slices"
	"strings"
)

// piece is a part of a unit's text that means something. Between pieces stand punctuation and blanks only.
type piece struct {
	from, to int    // bytes, in the unit's text
	value    int    // where the value begins, behind the name of a parameter; from when there is none
	text     string // what stands there
	role     uint32 // pieces of one role are compared
	id       uint32 // equal for pieces of one role that mean the same
	class    class
	why      string // of a piece that is not plain
	isName   bool   // it is the name of a header
	known    bool   // the id is of what the text stands for, see Names
	plain    uint32 // the id of what is written; 0 of a place
}

// label is what stands before the value.
func (p *piece) label() string { return p.text[:p.value-p.from] }

// class says what it means when a piece differs.
type class uint8

const (
	plain   class = iota
	loose         // nothing: only the spelling differs
	usual         // what differs in any two messages; that one side lacks it means something
	follows       // likewise, and that one side lacks it means nothing: the port of a place
	vague         // a place that cannot be told from others, see Names
)

// scribe takes a text apart into pieces, from its beginning to its end.
type scribe struct {
	c      *comparer
	text   string
	at     int // where the piece before ended
	pieces []piece
}

// scribe begins a text. The one before it must be finished: they share their room.
func (c *comparer) scribe(text string) scribe { return scribe{c: c, text: text, pieces: c.room[:0]} }

// glue is what may stand between pieces and means nothing by itself.
const glue = " \t;,:=@?&<>\"/"

// piece notes text[from:to] with its role and its meaning. What cannot be is left out: the places come from readers of
// hostile texts. The result is for setting what is not usual, and is valid until the next piece.
func (s *scribe) piece(from, to int, role, meaning string) *piece {
	if from < s.at || to <= from || to > len(s.text) {
		return &piece{}
	}
	s.fill(from)
	s.add(from, to, role, meaning)
	return &s.pieces[len(s.pieces)-1]
}

func (s *scribe) add(from, to int, role, meaning string) {
	p := piece{
		from: from, to: to, value: from, text: s.text[from:to], role: s.c.id(role), id: s.c.id(role, meaning),
	}
	p.plain = p.id
	if n := s.c.names; n != nil && n.Word != nil {
		if word, ok := n.Word(meaning); ok {
			s.c.stand(&p, role, word)
		}
	}
	s.pieces = append(s.pieces, p)
	s.at = to
}

// stand makes a piece one that stands for something. What it stands for is no text: it begins with a byte of its own.
func (c *comparer) stand(p *piece, role, what string) {
	p.id, p.known, p.why = c.id(role, "\x01"+what), true, whyPlace
}

// place says who stands behind a host, which p is, and its port, "" without one. It reports whether that is known.
func (s *scribe) place(p *piece, role, port string) bool {
	n := s.c.names
	if n == nil || n.Place == nil || p.role == 0 {
		return false
	}
	if p.known { // by Word, which does not know the port
		p.id, p.known, p.why = p.plain, false, ""
	}
	p.plain = 0
	switch who, ok := n.Place(hostMeaning(p.text), port); {
	case !ok:
		return false
	case who == "":
		p.class, p.why = vague, whyPlace
	default:
		s.c.stand(p, role, who)
	}
	return true
}

// fill makes a piece of what stands before to and is no glue: what a reader of values did not understand must not get
// lost.
func (s *scribe) fill(to int) {
	from := s.at
	for from < to && strings.IndexByte(glue, s.text[from]) >= 0 {
		from++
	}
	end := to
	for end > from && strings.IndexByte(glue, s.text[end-1]) >= 0 {
		end--
	}
	if end > from {
		s.add(from, end, "~", foldBlanks(s.text[from:end]))
	}
	s.at = to
}

// skip takes text[s.at:to] as glue, whatever it is.
func (s *scribe) skip(to int) { s.at = max(s.at, to) }

// finish takes the rest of the text, and completes the unit.
func (s *scribe) finish(u *unit) {
	s.fill(len(s.text))
	s.c.room = s.pieces
	u.text = s.text
	s.c.pieces, u.pieces = keep(s.c.pieces, s.pieces)
	u.values = max(u.values, 1)
	s.c.seal(u)
}

// keep copies list to the end of a chunk, or of a new one when there is no room, so that many short lists cost few
// allocations.
func keep[T any](chunk, list []T) (grown, kept []T) {
	if cap(chunk)-len(chunk) < len(list) {
		chunk = make([]T, 0, max(len(list), chunkSize))
	}
	n := len(chunk)
	chunk = append(chunk, list...)
	return chunk, chunk[n:len(chunk):len(chunk)]
}

// chunkSize is about the number of pieces in an INVITE.
const chunkSize = 256

// seal works out what units are aligned by.
func (c *comparer) seal(u *unit) {
	c.order, c.ids = c.order[:0], c.ids[:0]
	for i := range u.pieces {
		if u.pieces[i].class == plain {
			c.order = append(c.order, i)
		}
	}
	byRole(u.pieces, c.order)
	c.key = c.key[:0]
	for _, i := range c.order {
		id := u.pieces[i].id
		c.ids = append(c.ids, id)
		c.key = binary.LittleEndian.AppendUint32(c.key, id)
	}
	c.key = append(c.key, "unit"...) // the key of a text ends in 0
	u.key = c.idOf(c.key)
	slices.Sort(c.ids)
	c.parts, u.ids = keep(c.parts, c.ids)
}

// byRole sorts the indices of pieces by role, and those of a role by place.
func byRole(pieces []piece, idx []int) {
	slices.SortFunc(idx, func(i, j int) int {
		if d := int(pieces[i].role) - int(pieces[j].role); d != 0 {
			return d
		}
		return i - j
	})
}

// grow makes room for n pieces more. n comes from counting, so that the text is as long as that.
func (s *scribe) grow(n int) { s.pieces = slices.Grow(s.pieces, n+1) }

// words makes a piece of each word of text[from:to].
func (s *scribe) words(from, to int) {
	s.grow(strings.Count(s.text[from:to], " ") + 1)
	for from < to {
		for from < to && isBlank(s.text[from]) {
			from++
		}
		end := from
		for end < to && !isBlank(s.text[end]) {
			end++
		}
		s.piece(from, end, "word", s.text[from:end])
		from = end
	}
}

// trimmed gives text[from:to] without the blanks at both ends.
func (s *scribe) trimmed(from, to int) (int, int) {
	for from < to && isBlank(s.text[from]) {
		from++
	}
	for to > from && isBlank(s.text[to-1]) {
		to--
	}
	return from, to
}

// until finds the first of the stop bytes in text[from:to] outside quotes, or to.
func (s *scribe) until(from, to int, stops string) int {
	for i := from; i < to; i++ {
		switch c := s.text[i]; {
		case strings.IndexByte(stops, c) >= 0:
			return i
		case c == '"':
			i = closeQuote(s.text, i, to)
		}
	}
	return to
}

// closeQuote finds the quote that closes the one at i (RFC 3261 25.1), or to; a quote that is never closed is no quote
// for what looks behind it, which the caller's own end bounds.
func closeQuote(text string, i, to int) int {
	for i++; i < to; i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return to
}

// foldBlanks makes one blank of each run of blanks.
func foldBlanks(t string) string {
	if !strings.Contains(t, "  ") && strings.IndexByte(t, '\t') < 0 {
		return t
	}
	return strings.Join(strings.FieldsFunc(t, func(r rune) bool { return r == ' ' || r == '\t' }), " ")
}

// noBlanks takes all blanks out.
func noBlanks(t string) string {
	if strings.IndexByte(t, ' ') < 0 && strings.IndexByte(t, '\t') < 0 {
		return t
	}
	b := make([]byte, 0, len(t))
	for i := range len(t) {
		if !isBlank(t[i]) {
			b = append(b, t[i])
		}
	}
	return string(b)
}
