package flow

import (
	"strings"

	"sipscope/render/tui/term"
)

// plainPane shows the raw text of a message, a line a line.
type plainPane struct {
	head  string
	lines []string
	at    int // first line in sight
}

// Show takes a message; nil says that its text is gone.
func (p *plainPane) Show(raw []byte, head string) {
	p.head, p.at = head, 0
	p.lines = []string{"the text of this message cannot be read again"}
	if raw != nil {
		p.lines = strings.Split(strings.ReplaceAll(string(raw), "\r\n", "\n"), "\n")
	}
}

// Draw draws the head and the lines in sight.
func (p *plainPane) Draw(c *term.Canvas) {
	w, h := c.Size()
	c.PutMax(0, 0, w, p.head, term.Head)
	for y := 1; y < h && p.at+y-1 < len(p.lines); y++ {
		c.PutMax(0, y, w, p.lines[p.at+y-1], term.Normal)
	}
}

// Scroll moves by lines.
func (p *plainPane) Scroll(lines int) { p.at = min(max(p.at+lines, 0), max(len(p.lines)-1, 0)) }

// Search brings the next line that holds a text to the top.
func (p *plainPane) Search(text string, next, backwards bool) bool {
	step, from := 1, p.at
	if backwards {
		step = -1
	}
	if next {
		from += step
	}
	low := []byte(strings.ToLower(text))
	for i := from; len(low) > 0 && i >= 0 && i < len(p.lines); i += step {
		if containsFold([]byte(p.lines[i]), low) {
			p.at = i
			return true
		}
	}
	return false
}

// NextDiag finds nothing: raw text does not say where it departs from the grammar.
func (p *plainPane) NextDiag(bool) bool { return false }
