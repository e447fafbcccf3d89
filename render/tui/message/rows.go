package message

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"sipscope/render/text"
	"sipscope/render/tui/term"
)

// maxRows bounds the rows of a message: 26,000 show maxBytes on 40 cells. On fewer cells its end may be out of reach.
const maxRows = 100_000

// row is what one line of the screen shows of a line: bytes from..to of its text, drawn from cell x on, which is -1 when
// the left edge cuts a wide character.
type row struct{ line, from, to, x int }

// frame is what rows are made for.
type frame struct {
	w, left int // cells; left is how many are scrolled out of sight, when lines are not wrapped
	wrap    bool
	// words breaks at blanks where there are some and indents what goes on. Without it a line is broken wherever the
	// screen ends, and what is on the wire stays as it is.
	words bool
}

// indent is how far a line that goes on begins to the right, with frame.words.
const indent = 4

// rowsOf breaks lines into rows, or gives each line one.
func rowsOf(lines []textLine, f frame) []row {
	rows := make([]row, 0, min(len(lines), maxRows))
	for i := range lines {
		if len(rows) >= maxRows {
			break
		}
		rows = appendRows(rows, i, lines[i].text, f)
	}
	return rows
}

// appendRows gives the rows of one line.
func appendRows(rows []row, line int, s string, f frame) []row {
	if !f.wrap {
		from, cells := fit(s, f.left)
		if from == len(s) {
			return append(rows, row{line: line, from: from, to: from})
		}
		n, _ := fit(s[from:], f.w+f.left-cells)
		return append(rows, row{line: line, from: from, to: from + n, x: cells - f.left})
	}
	for from, x := 0, 0; ; {
		n, _ := fit(s[from:], f.w-x)
		if n == 0 {
			n, _ = character(s[from:]) // wider than the screen
		}
		if f.words {
			n = wordEnd(s[from:], n)
		}
		rows = append(rows, row{line: line, from: from, to: from + n, x: x})
		if from += n; from >= len(s) || len(rows) >= maxRows {
			return rows
		}
		if f.words {
			x = min(indent, f.w/4)
		}
	}
}

// wordEnd gives the end of the last word in the second half of the n bytes that fit, else n.
func wordEnd(s string, n int) int {
	if n == len(s) {
		return n
	}
	if i := strings.LastIndexByte(s[n/2:n], ' '); i >= 0 && !isMark(s[n/2+i+1:]) {
		return n/2 + i + 1
	}
	return n
}

// fit gives how many bytes at the beginning of a clean text fit into w cells, and the cells that they take.
func fit(s string, w int) (n, cells int) {
	for n < len(s) {
		bytes, wide := character(s[n:])
		if cells+wide > w {
			break
		}
		n += bytes
		cells += wide
	}
	return n, cells
}

// character gives the bytes and cells of the first character with its marks: all that text.Clean may look at together,
// so that a row can begin behind it and is drawn as it was measured.
func character(s string) (n, cells int) {
	if s == "" {
		return 0, 0
	}
	if s[0] < utf8.RuneSelf && (len(s) == 1 || s[1] < utf8.RuneSelf) {
		return 1, 1
	}
	c, rest, cells, _ := uniseg.FirstGraphemeClusterInString(s, -1)
	n = len(c)
	for rest != "" && isMark(rest) { // a mark that uniseg takes for a letter
		var wide int
		c, rest, wide, _ = uniseg.FirstGraphemeClusterInString(rest, -1)
		n += len(c)
		cells += wide
	}
	return n, cells
}

func isMark(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.Is(unicode.M, r)
}

// widest gives the cells of the widest line.
func widest(lines []textLine) int {
	w := 0
	for i := range lines {
		if len(lines[i].text) > w { // a byte takes at most a cell
			w = max(w, text.Width(lines[i].text))
		}
	}
	return w
}

// drawCuts marks a row that goes on to the left or to the right of w cells.
func drawCuts(c *term.Canvas, y, w int, s string, r *row) {
	if r.from > 0 && r.to > r.from {
		c.Draw(0, y, 1, c.Glyphs().Left, term.Dim)
	}
	if r.to < len(s) {
		c.Draw(w-1, y, 1, c.Glyphs().Right, term.Dim)
	}
}

// drawScroll shows how far down of all rows the first row in sight is, in the last column.
func drawScroll(c *term.Canvas, y, h, top, rows int) {
	if w, _ := c.Size(); rows > h && h > 1 {
		c.Draw(w-1, y+top*(h-1)/(rows-h), 1, c.Glyphs().ScrollAt, term.Border)
	}
}
