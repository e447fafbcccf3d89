package pair

import (
	"io"

	"github.com/rivo/uniseg"

	"sipscope/render/text"
)

// style is how a piece of a line looks on a terminal: an SGR parameter (ECMA-48 8.3.117), "" for plain.
type style string

const (
	plain   style = ""
	bold    style = "1"
	dim     style = "2"
	red     style = "31"
	green   style = "32"
	yellow  style = "33"
	magenta style = "35"
	cyan    style = "36"
	alarm   style = "1;31" // where the flows part
	gone    style = "7;31" // inside a line, what only the first side has
	come    style = "7;32" // and the second
)

// statusStyle colours a request (0) or a response by its class, as render/text does. A challenge is no failure.
func statusStyle(status uint16) style {
	switch {
	case status == 0:
		return cyan
	case status < 200, status == 401, status == 407:
		return yellow
	case status < 300:
		return green
	case status < 400:
		return magenta
	default:
		return red
	}
}

// pen writes lines piece by piece, each at or behind a cell. What is put must be clean.
type pen struct {
	w     io.Writer
	color bool
	width int // cells; 0 for no bound
	at    int // cell
	buf   []byte
	err   error
}

// flushSize is how much text is gathered before it is written.
const flushSize = 32 << 10

// to moves to a cell of the line; one that was passed is left alone.
func (p *pen) to(x int) {
	for ; p.at < x; p.at++ {
		p.buf = append(p.buf, ' ')
	}
}

// put writes s, as much as fits on the line.
func (p *pen) put(s string, st style) {
	if p.width > 0 {
		s, _ = split(s, p.width-p.at)
	}
	if s == "" {
		return
	}
	if p.color && st != plain {
		p.buf = append(p.buf, "\x1b["+string(st)+"m"...)
		p.buf = append(p.buf, s...)
		p.buf = append(p.buf, "\x1b[0m"...)
	} else {
		p.buf = append(p.buf, s...)
	}
	p.at += text.Width(s)
}

// end ends the line without blanks at its end.
func (p *pen) end() {
	n := len(p.buf)
	for n > 0 && p.buf[n-1] == ' ' {
		n--
	}
	p.buf = append(p.buf[:n], '\n')
	p.at = 0
	if len(p.buf) >= flushSize {
		p.flush()
	}
}

// line writes a whole line.
func (p *pen) line(s string, st style) {
	p.put(s, st)
	p.end()
}

// wrapped writes a text on as many lines as it needs, from a cell on.
func (p *pen) wrapped(x int, s string, st style) {
	w := unbounded
	if p.width > 0 {
		w = max(p.width-x, minProse)
	}
	for _, l := range text.Wrap(s, w) {
		p.to(x)
		p.line(l, st)
	}
}

func (p *pen) flush() {
	if p.err == nil && len(p.buf) > 0 {
		_, p.err = p.w.Write(p.buf)
	}
	p.buf = p.buf[:0]
}

const (
	unbounded = 1 << 30
	minProse  = 16 // cells of a wrapped text, however narrow the terminal is
)

// split gives the longest beginning of s that fits into w cells, and the rest.
func split(s string, w int) (head, rest string) {
	if w <= 0 {
		return "", s
	}
	if len(s) <= w {
		return s, "" // no character takes more cells than bytes
	}
	state, at := -1, 0
	for tail := s; tail != ""; {
		var c string
		var n int
		c, tail, n, state = uniseg.FirstGraphemeClusterInString(tail, state)
		if n > w {
			break
		}
		w -= n
		at += len(c)
	}
	return s[:at], s[at:]
}

// cut shortens s to w cells, with an ellipsis when something was cut off.
func cut(s string, w int, ell string) string {
	if text.Width(s) <= w {
		return s
	}
	head, _ := split(s, w-text.Width(ell))
	if head == "" {
		head, _ = split(s, w)
		return head
	}
	return head + ell
}

// glyphs are the characters that a drawing is made of.
type glyphs struct {
	line, cross, rule, dash, right, left, loop string

	sep, to, ell, mark string
	sign               [8]string // by verdict
}

func glyphsOf(ascii bool) *glyphs {
	if ascii {
		return &glyphs{
			line: "|", cross: "+", rule: "-", dash: "-", right: ">", left: "<", loop: "<'", sep: "; ", to: " -> ", ell: "...",
			mark: "^", sign: [8]string{"=", "=", "~", "!", "x", "-", "+", "."},
		}
	}
	return &glyphs{
		line: "│", cross: "┼", rule: "─", dash: "─", right: "▶", left: "◀", loop: "◀╯", sep: " · ", to: " → ", ell: "…",
		mark: "^", sign: [8]string{"=", "=", "~", "◷", "✗", "−", "+", "·"},
	}
}
