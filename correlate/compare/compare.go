// Package compare says what differs between two SIP messages: line by line, and inside a line piece by piece, by
// meaning and not by spelling (RFC 3261 7.3.1, 19.1.4).
//
// It draws nothing and reads nothing. It does not know what a call is, and does not decide whether a difference
// matters. What it gives holds copies of the texts, so that the messages may be parsed into again. The work is bounded
// whatever the messages hold, see the constants of this package. All functions may be called from any goroutine.
//
//	message → lines → units (a line, or a value of a list) → pieces (a host, a parameter, a word)
//	units of one name are aligned, pieces of one role are compared, the result is laid out as the first message is
package compare

import (
	"bytes"

	"sipscope/decode/sip"
)

// Change says in which of the two messages a line is, and whether it is written alike.
type Change uint8

// Changes.
const (
	_       Change = iota
	Same           // in both, and written alike
	Changed        // in both, and written differently; Line.Meaning says whether it means something else too
	Added          // only in b
	Removed        // only in a
	Moved          // written alike in both, but at another place; not a difference
)

// String is the change in lower case.
func (c Change) String() string {
	switch c {
	case Same:
		return "same"
	case Changed:
		return "changed"
	case Added:
		return "added"
	case Removed:
		return "removed"
	case Moved:
		return "moved"
	default:
		return "invalid"
	}
}

// Section is the part of a message that a line stands in.
type Section uint8

// Sections.
const (
	_      Section = iota
	Start          // the request line or status line
	Header         // a header field, or what stands among them
	Body           // a line of a body that is no SDP; in a multipart body also the delimiters and the parts' headers
	SDP            // a line of a session description
)

// String is the section in lower case.
func (s Section) String() string {
	switch s {
	case Start:
		return "start"
	case Header:
		return "header"
	case Body:
		return "body"
	case SDP:
		return "sdp"
	default:
		return "invalid"
	}
}

// Span is a piece of a line, for drawings that mark what differs inside of it. The texts of a side's spans joined are
// the line as it is on the wire, without its line end; a folded line (RFC 3261 7.3.1) is joined by one blank for each
// fold. The text may hold any bytes.
type Span struct {
	Text    string
	Differs bool
}

// Text joins the texts of a side of a line.
func Text(spans []Span) string {
	if len(spans) == 1 {
		return spans[0].Text
	}
	var b []byte
	for i := range spans {
		b = append(b, spans[i].Text...)
	}
	return string(b)
}

// Line is one line of the comparison: of a, of b, or of both, aligned.
//
// A list that is one line on one side and several on the other, such as "Via: x, y", is taken apart at its commas: its
// values then are Lines that have the same number, in the order of the list.
type Line struct {
	Change  Change
	Section Section
	// Name is the canonical name of a header ("Via" for "v"), of an unknown one the name as written, preferably a's; of
	// a line of SDP its letter with the 0-based index of its medium, preferably a's ("o", "m0", "a0"); else empty.
	Name string
	A, B []Span // nil where that side has no such line
	// NoA and NoB are the 1-based numbers of the line in its message, where a folded line is one and the empty line
	// before the body is one; 0 where that side has no such line.
	NoA, NoB int
	// Why says in a few words what a difference is that is not of meaning: "order of parameters", "case",
	// "expected: new transaction"; empty otherwise.
	Why string
	// Meaning says that the two sides mean different things. The spans then mark what does; in a line without it they
	// mark what is written differently.
	Meaning bool
}

// Result is a comparison: the lines in the order of a, with b's additions after the line that they follow in b.
type Result struct {
	Lines       []Line
	Differences int // lines with Meaning
	Spelling    int // lines that are only written differently
	Expected    int // lines that differ as any two messages do, and with Options.Ignore as any two calls do
}

// Options say what counts.
type Options struct {
	// Ignore does not count what differs in any two messages of different calls: Call-ID, branch, tags, the numbers of
	// CSeq, RSeq and RAck, Date, Timestamp, what a digest makes anew (nonce, cnonce, nc, opaque, response), Session-ID,
	// entity tags, the dialogs that Replaces, Join and Target-Dialog name, icid-value, the signature of Identity, the
	// boundary of a multipart body, the instance of a phone and what a proxy remembers in its Record-Route (;did, ;ftag),
	// and in SDP the numbers of o=, the keys and passwords of crypto, DTLS and ICE, candidates, paths and SSRC.
	// Such a line is marked, and its Why begins with "expected: ". That one side lacks such a value still counts.
	Ignore bool
	// A and B name what stands for what in a and in b, for messages that were recorded at different places. Both nil: what
	// is written differently is different.
	A, B *Names
}

// Names say what the hosts and identifiers of a message stand for. Two texts that stand for the same are the same, and
// two equal ones that stand for different things differ.
type Names struct {
	// Place says who stands behind a host, as written but in lower case, and a port, "" without one: an opaque name, equal
	// in both messages for what corresponds. An empty name with ok stands for a place that cannot be told from others, and
	// is equal to any place. False: the host is not known, and is what is written.
	Place func(host, port string) (who string, ok bool)
	// Word replaces the identifiers and addresses in a text by what they stand for. False: there are none.
	Word func(text string) (meaning string, ok bool)
}

// Messages compares two messages. The result of (b, a) is that of (a, b) with the sides exchanged, in the order of b.
// Line ends of the head are not compared, nor is what follows the body that Content-Length states. Of RFC 3261 19.1.4
// one rule is not kept: a URI parameter that only one side has is a difference, since ;lr and its like decide where a
// request goes. A nil message is an empty one.
func Messages(a, b *sip.Message, opts Options) Result {
	x, y := newSide(a), newSide(b)
	// What is aligned with what must not depend on the order of the arguments, though alignments have ties: all but the
	// order of the lines is worked out in one direction.
	flip := bytes.Compare(x.m.Raw, y.m.Raw) > 0
	x.names, y.names = opts.A, opts.B
	if flip {
		x, y = y, x
	}
	c := comparer{opts: opts, flip: flip, table: make(map[string]uint32, 256), cells: maxCells, steps: maxSteps}
	c.named = opts.A != nil || opts.B != nil
	c.bodyLength = followsBody(x.m) && followsBody(y.m) && x.m.Body.Len != y.m.Body.Len
	alike := x.m.Request == y.m.Request
	c.section(Start, c.startUnits(x, alike), c.startUnits(y, alike))
	c.section(Header, c.headerUnits(x), c.headerUnits(y))
	c.bodies(x, y)
	return c.out
}

// followsBody reports whether Content-Length says what the body's length is.
func followsBody(m *sip.Message) bool { return m.ContentLength == int64(m.Body.Len) }

// comparer is the work on two messages. The sides are called x and y: a and b, or b and a when flip is set.
type comparer struct {
	opts       Options
	flip       bool
	bodyLength bool   // a difference of Content-Length follows from the bodies
	named      bool   // there are Names
	names      *Names // of the side at work
	table      map[string]uint32
	key        []byte // of the table, in the making
	cells      int    // left, see maxCells
	steps      int    // left, see maxSteps
	grid       []uint16
	room       []piece  // of the scribe at work
	pieces     []piece  // of units
	ids, parts []uint32 // of the unit at work, and of units
	order      []int    // of its pieces
	out        Result
}

// id gives equal texts an equal number, which is cheaper to compare and to sort. Numbers begin at 1.
func (c *comparer) id(parts ...string) uint32 {
	c.key = c.key[:0]
	for _, p := range parts {
		c.key = append(append(c.key, p...), 0)
	}
	return c.idOf(c.key)
}

func (c *comparer) idOf(key []byte) uint32 {
	if id, ok := c.table[string(key)]; ok {
		return id
	}
	id := uint32(len(c.table)) + 1 //nolint:gosec // far fewer than bytes in two messages
	c.table[string(key)] = id
	return id
}

// verdict is what became of a piece, or of a line: the worst of its pieces.
type verdict uint8

const (
	same     verdict = iota
	spelled          // means the same, written differently
	expected         // differs as any two messages do
	differs
)

// row is a line of the result before it has its place.
type row struct {
	x, y    int // index of the unit of each side, -1 without
	xs, ys  int // how many units from there on the row is made of; a list in one line on both sides has many
	group   uint32
	verdict verdict
	why     string
	sx, sy  []Span
	moved   bool
}

// emit appends a row to the result.
func (c *comparer) emit(sec Section, r *row, xs, ys []unit) {
	l := Line{Section: sec, A: r.sx, B: r.sy, Why: r.why, Meaning: r.verdict == differs}
	var name [2]string
	if r.x >= 0 {
		l.NoA, name[0] = xs[r.x].no, xs[r.x].name
	}
	if r.y >= 0 {
		l.NoB, name[1] = ys[r.y].no, ys[r.y].name
	}
	if c.flip {
		l.A, l.B, l.NoA, l.NoB = l.B, l.A, l.NoB, l.NoA
		name[0], name[1] = name[1], name[0]
	}
	if l.Name = name[0]; l.NoA == 0 {
		l.Name = name[1]
	}
	switch {
	case l.NoA == 0:
		l.Change = Added
	case l.NoB == 0:
		l.Change = Removed
	case r.verdict != same:
		l.Change = Changed
	case r.moved:
		l.Change = Moved
	default:
		l.Change = Same
	}
	switch r.verdict {
	case differs:
		c.out.Differences++
		l.Why = ""
	case expected:
		c.out.Expected++
	case spelled:
		c.out.Spelling++
	default:
	}
	c.out.Lines = append(c.out.Lines, l)
}
