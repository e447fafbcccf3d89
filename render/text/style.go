package text

// style is one of the 16 colours of a terminal, or an attribute.
type style uint8

const (
	plain style = iota
	bold
	dim
	red
	green
	yellow
	magenta
	cyan
)

// sgr is the style's SGR parameter (ECMA-48 8.3.117).
func (s style) sgr() string {
	return [...]string{"0", "1", "2", "31", "32", "33", "35", "36"}[min(int(s), 7)]
}

// statusStyle colours a request (0) or a response by its class. A challenge is no failure.
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

// glyphs are the characters that a drawing is made of.
type glyphs struct {
	line, cross, head, foot string // lifeline; where an arrow crosses it; where the rules meet it
	rule, ruleCross         string
	dash, dot               string // arrow, gap
	right, left             string // heads
	loopTop, loopEnd        string
	times, sep, to, ell     string
}

func glyphsOf(ascii bool) *glyphs {
	if ascii {
		return &glyphs{
			line: "|", cross: "+", head: "+", foot: "+", rule: "-", ruleCross: "+", dash: "-", dot: ".", right: ">", left: "<",
			loopTop: ".", loopEnd: "'", times: "x", sep: "; ", to: " -> ", ell: "...",
		}
	}
	return &glyphs{
		line: "│", cross: "┼", head: "┬", foot: "┴", rule: "─", ruleCross: "┼", dash: "─", dot: "┄", right: "▶", left: "◀",
		loopTop: "╮", loopEnd: "╯", times: "×", sep: " · ", to: " → ", ell: "…",
	}
}
