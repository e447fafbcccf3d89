package text

import (
	"strings"

	"github.com/rivo/uniseg"
)

// cell is one place of a line: a character that a person sees, or the right half of the one before.
type cell struct {
	text  string // "" for a blank
	style style
	tail  bool // right half of a wide character
}

// line is a line of cells. Nothing is put beyond limit, when that is set.
type line struct {
	cells []cell
	limit int
}

// maxCluster bounds the bytes of one cell: marks beyond them are dropped.
const maxCluster = 64

// put writes s from cell x on, over what was there.
func (l *line) put(x int, s string, st style) {
	state := -1
	for s != "" {
		var c string
		w := 1
		if s[0] < 0x80 && (len(s) == 1 || s[1] < 0x80) {
			c, s, state = s[:1], s[1:], -1
		} else {
			c, s, w, state = uniseg.FirstGraphemeClusterInString(s, state)
		}
		if w == 0 {
			l.join(x-1, c)
			continue
		}
		if l.limit > 0 && x+w > l.limit {
			return
		}
		l.set(x, w, c, st)
		x += w
	}
}

// join adds a mark without a width of its own to the character before.
func (l *line) join(x int, c string) {
	if x >= 0 && x < len(l.cells) && l.cells[x].tail {
		x--
	}
	if x >= 0 && x < len(l.cells) && len(l.cells[x].text)+len(c) <= maxCluster {
		if l.cells[x].text == "" {
			l.cells[x].text = " "
		}
		l.cells[x].text += c
	}
}

func (l *line) set(x, w int, c string, st style) {
	for len(l.cells) < x+w {
		l.cells = append(l.cells, cell{}) // blank, whatever the recycled cell held
	}
	for i := x; i < x+w; i++ {
		l.clear(i)
	}
	l.cells[x] = cell{text: c, style: st}
	for i := x + 1; i < x+w; i++ {
		l.cells[i] = cell{tail: true, style: st}
	}
}

// clear blanks a cell, and the other half of a wide character that it cuts.
func (l *line) clear(x int) {
	for i := x; i > 0 && l.cells[i].tail; i-- {
		l.cells[i-1].text = ""
	}
	for i := x + 1; i < len(l.cells) && l.cells[i].tail; i++ {
		l.cells[i] = cell{}
	}
	l.cells[x] = cell{}
}

// appendTo writes the line without trailing blanks, in colour or not.
func (l *line) appendTo(dst []byte, color bool) []byte {
	n := len(l.cells)
	for n > 0 && l.cells[n-1].text == "" && !l.cells[n-1].tail {
		n--
	}
	now := plain
	for i := range n {
		c := &l.cells[i]
		if c.tail {
			continue
		}
		if color && c.style != now && c.text != "" {
			dst = appendSGR(dst, now, c.style)
			now = c.style
		}
		if c.text == "" {
			dst = append(dst, ' ')
		} else {
			dst = append(dst, c.text...)
		}
	}
	if now != plain {
		dst = appendSGR(dst, now, plain)
	}
	return append(dst, '\n')
}

// appendSGR changes the style. An attribute does not end when another one begins, so each change starts anew.
func appendSGR(dst []byte, from, to style) []byte {
	dst = append(dst, "\x1b["...)
	if from != plain || to == plain {
		dst = append(dst, '0')
		if to != plain {
			dst = append(dst, ';')
		}
	}
	if to != plain {
		dst = append(dst, to.sgr()...)
	}
	return append(dst, 'm')
}

// Width is the number of terminal cells that s takes.
func Width(s string) int {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return uniseg.StringWidth(s)
		}
	}
	return len(s)
}

// cut shortens s to w cells, with ell at the end when something was cut off.
func cut(s string, w int, ell string) string {
	if w <= 0 {
		return ""
	}
	if Width(s) <= w {
		return s
	}
	room := w - Width(ell)
	if room < 0 {
		room, ell = w, ""
	}
	return take(s, room) + ell
}

// take gives the longest beginning of s that fits into w cells.
func take(s string, w int) string {
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

// Wrap breaks s into lines of at most w cells, at blanks where there are any, else where it must.
func Wrap(s string, w int) []string {
	if w < 1 {
		w = 1
	}
	var lines []string
	for {
		s = strings.TrimLeft(s, " ")
		head := take(s, w)
		if len(head) == len(s) {
			break
		}
		if head == "" {
			head = firstCluster(s) // wider than the line: it must not stop us
		}
		if i := strings.LastIndexByte(head, ' '); i > 0 && s[len(head)] != ' ' {
			head = head[:i]
		}
		lines = append(lines, strings.TrimRight(head, " "))
		s = s[len(head):]
	}
	if s != "" || len(lines) == 0 {
		lines = append(lines, s)
	}
	return lines
}

func firstCluster(s string) string {
	c, _, _, _ := uniseg.FirstGraphemeClusterInString(s, -1)
	return c
}
