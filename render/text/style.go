package text

// style is one of the 16 colours of a terminal, an attribute, or what a piece of a message is. On a terminal of 16
// colours the latter are drawn as sgr says; a user interface may have a theme for them.
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
	request
	provisional
	success
	redirect
	failure
	headerName
	method
	uri
	parameter
	identity
	number
	bodyName
	diagWarning
	diagError
	styles
)

// sgr is the style's SGR parameter (ECMA-48 8.3.117).
func (s style) sgr() string {
	if s >= styles {
		s = plain
	}
	return [styles]string{
		plain: "0", bold: "1", dim: "2", red: "31", green: "32", yellow: "33", magenta: "35", cyan: "36",
		request: "36", provisional: "33", success: "32", redirect: "35", failure: "31",
		headerName: "36", method: "1", uri: "32", parameter: "2", identity: "33", number: "35", bodyName: "36",
		diagWarning: "33", diagError: "31",
	}[s]
}

// responseStyle is what a response is by its class (RFC 3261 7.2); 0 stands for a request. A challenge is no failure.
func responseStyle(status uint16) style {
	switch {
	case status == 0:
		return request
	case status < 200, status == 401, status == 407:
		return provisional
	case status < 300:
		return success
	case status < 400:
		return redirect
	default:
		return failure
	}
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
	wire                    string // span of a medium
}

func glyphsOf(ascii bool) *glyphs {
	if ascii {
		return &glyphs{
			line: "|", cross: "+", head: "+", foot: "+", rule: "-", ruleCross: "+", dash: "-", dot: ".", right: ">", left: "<",
			loopTop: ".", loopEnd: "'", times: "x", sep: "; ", to: " -> ", ell: "...", wire: "=",
		}
	}
	return &glyphs{
		line: "│", cross: "┼", head: "┬", foot: "┴", rule: "─", ruleCross: "┼", dash: "─", dot: "┄", right: "▶", left: "◀",
		loopTop: "╮", loopEnd: "╯", times: "×", sep: " · ", to: " → ", ell: "…", wire: "═",
	}
}
