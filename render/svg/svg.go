// Package svg draws ladders as SVG: for a page, which shares one style sheet between its pictures, or as a file of its
// own.
//
// A picture says what the text of render/text says, in the same words and order: a row is an event. What a page needs to
// know of a row stands in its data attributes, and what a screen reader needs in its aria-label. Every string of the wire
// passes text.Clean and is escaped, and there is nothing in a picture that runs.
//
//	Ladder ─▶ read: clean texts, widths ─▶ plan: lifelines, margin, heights ─▶ draw: bytes
//
// All functions are pure and may run on any goroutine.
package svg

import (
	"io"
	"slices"

	"sipscope/render/ladder"
	"sipscope/render/text"
)

// Options say how a ladder is drawn.
type Options struct {
	// Standalone writes a file of its own: XML declaration, style sheet inside, an opaque background, light colours and
	// dark ones by prefers-color-scheme. Without it the SVG is for a page that has StyleSheet(): no <style>, no style
	// attribute.
	Standalone bool
	// Times says what the left column shows.
	Times text.Times
	// ID prefixes the ids inside, so that several ladders fit in one page: "c12-". Only [a-z0-9-]; other characters are
	// left out. A row's id is ID + "r" + its index in Ladder.Rows.
	ID string
	// Terse leaves out the rows' ids and tips (title elements), an eighth of a compressed picture: the page makes a tip of
	// a row's aria-label when somebody points at it.
	Terse bool
}

// flushSize is how many bytes are gathered before they are written.
const flushSize = 64 << 10

// Write draws the whole ladder: title, header, rows, footer. The error is the writer's.
func Write(w io.Writer, l *ladder.Ladder, opts Options) error {
	d := newDrawing(nil, l, &opts)
	d.w = w
	d.whole()
	d.flush()
	return d.err
}

// Append draws what Write does, behind dst.
func Append(dst []byte, l *ladder.Ladder, opts Options) []byte {
	d := newDrawing(dst, l, &opts)
	d.whole()
	return d.buf
}

// AppendHeader draws the participants only, in the width and with the lifelines of the ladder: a page keeps them in sight
// above AppendBody. Options.Standalone makes no difference.
func AppendHeader(dst []byte, l *ladder.Ladder, opts Options) []byte {
	opts.Standalone = false
	d := newDrawing(dst, l, &opts)
	d.open(d.headH, "participants")
	d.header()
	d.str("</svg>")
	return d.buf
}

// AppendBody draws the rows only, without the title and the totals, which a page writes as HTML. Options.Standalone
// makes no difference.
func AppendBody(dst []byte, l *ladder.Ladder, opts Options) []byte {
	opts.Standalone = false
	d := newDrawing(dst, l, &opts)
	d.open(d.bodyH, "messages")
	d.body()
	d.str("</svg>")
	return d.buf
}

// drawing is a ladder on its way to buf, and from there to w when there is one. All measures are pixels, unless they are
// said to be cells.
type drawing struct {
	l    *ladder.Ladder
	opts *Options
	w    io.Writer
	buf  []byte
	err  error

	id   string
	cols []column
	rows []row

	timeX  int // right end of the time column
	callX  int // of the call's number, when there are several calls
	x0     int // of prose, where there are no lifelines
	noteX  int // of the margin
	noteW  int // of the margin, in cells
	width  int
	headH  int
	laneH  int // of the lifelines; the state rows stand below
	bodyH  int
	tail   int // what loops of the last lifeline take right of it
	tallHd bool
}

// column is a participant in clean text.
type column struct {
	label, address string
	x              int // of the lifeline
	box            int // width of the head
}

// row is a row in clean text. A row that is no arrow between two lifelines is prose: one text with all that it says.
type row struct {
	time, label, sdp, notes string
	labelW, sdpW, notesW    int // cells
	h                       int
	prose                   bool
}

func newDrawing(dst []byte, l *ladder.Ladder, opts *Options) drawing {
	d := drawing{l: l, opts: opts, buf: dst, id: cleanID(opts.ID)}
	d.read()
	d.plan()
	const head, each, most = 2 << 10, 900, flushSize * 4
	d.buf = slices.Grow(d.buf, min(head+each*len(l.Rows), most))
	return d
}

// whole draws all in one picture.
func (d *drawing) whole() {
	if d.opts.Standalone {
		d.str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n")
	}
	titles, titleH := d.titles()
	foot := d.totals()
	footH := 0
	for s := foot; s != ""; footH += lineStep {
		_, s = wrapLine(s, d.cells(pad))
	}
	footH += pad
	d.open(titleH+d.headH+d.bodyH+footH, "ladder")
	if d.opts.Standalone {
		d.str("<style>")
		d.buf = appendStandalone(d.buf)
		d.pair(`</style><rect class="paper" width="`, d.width)
		d.pair(`" height="`, titleH+d.headH+d.bodyH+footH)
		d.str(`"/>`)
	}
	y := titleBase
	for i := range titles {
		y = d.headline(&titles[i], y)
	}
	d.group(titleH)
	d.header()
	d.str("</g>")
	d.group(titleH + d.headH)
	d.body()
	d.str("</g>")
	d.lines("totals", pad, titleH+d.headH+d.bodyH+lineStep-4, foot, d.cells(pad))
	d.str("</svg>")
	if d.opts.Standalone {
		d.str("\n")
	}
}

// open begins a picture. what says which part of the ladder it is.
func (d *drawing) open(height int, what string) {
	height = max(height, 1) // a viewBox without height is an error
	d.str(`<svg xmlns="http://www.w3.org/2000/svg" class="ladder`)
	d.pair(`" width="`, d.width)
	d.pair(`" height="`, height)
	d.pair(`" viewBox="0 0 `, d.width)
	d.pair(" ", height)
	d.str(`" role="group" aria-label="`)
	d.str(what)
	for i := range d.l.Calls {
		if i == maxNamed {
			d.str(", ...")
			break
		}
		d.str([...]string{" of ", ", "}[min(i, 1)])
		d.call(i)
	}
	d.str(`">`)
}

// maxNamed bounds the calls that the label of a picture names.
const maxNamed = 8

// call writes what a call is known by, in an attribute: "call 1, alice@a.com → bob@b.com, completed".
func (d *drawing) call(i int) {
	c := &d.l.Calls[i]
	d.str("call ")
	d.uint(uint64(c.Num))
	if c.From != "" || c.To != "" {
		d.str(", ")
		d.text(text.Clean(c.From))
		d.str(arrowWord)
		d.text(text.Clean(c.To))
	}
	d.str(", ")
	d.text(stateWord(c.State))
}

// cleanID keeps what an id may have: whoever sets Options.ID from elsewhere cannot break out of the attribute.
func cleanID(s string) string {
	for i := range len(s) {
		if !idByte(s[i]) {
			b := make([]byte, 0, len(s))
			for k := range len(s) {
				if idByte(s[k]) {
					b = append(b, s[k])
				}
			}
			return string(b)
		}
	}
	return s
}

func idByte(c byte) bool { return c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' }

// flushAt writes what has been gathered, when it is enough.
func (d *drawing) flushAt() {
	if d.w != nil && len(d.buf) >= flushSize {
		d.flush()
	}
}

func (d *drawing) flush() {
	if d.err == nil && len(d.buf) > 0 {
		_, d.err = d.w.Write(d.buf)
	}
	d.buf = d.buf[:0]
}
