package term

import "github.com/gdamore/tcell/v2"

// ThemeNames lists what NewTheme knows.
func ThemeNames() []string { return []string{"dark", "light", "mono"} }

// NewTheme gives a theme by name: "dark" and "light" for terminals of that background, in their own 16 colours, which
// people have chosen to be legible; "mono" without colour, with bold, underlined and reversed text instead.
func NewTheme(name string) (t *Theme, ok bool) {
	switch name {
	case "dark":
		return colored(name, palette{
			gray: tcell.ColorGray, red: tcell.ColorRed, green: tcell.ColorLime, yellow: tcell.ColorYellow,
			blue: tcell.PaletteColor(12), magenta: tcell.ColorFuchsia, cyan: tcell.ColorAqua, orange: tcell.ColorOlive,
			bar: tcell.ColorNavy, onBar: tcell.ColorWhite, keyOnBar: tcell.ColorYellow, cursor: tcell.PaletteColor(238),
			mark: tcell.PaletteColor(23), found: tcell.PaletteColor(58), peer: tcell.PaletteColor(236),
		}), true
	case "light":
		return colored(name, palette{
			gray: tcell.ColorGray, red: tcell.ColorMaroon, green: tcell.ColorGreen, yellow: tcell.PaletteColor(94),
			blue: tcell.ColorNavy, magenta: tcell.ColorPurple, cyan: tcell.ColorTeal, orange: tcell.PaletteColor(130),
			bar: tcell.PaletteColor(153), onBar: tcell.ColorBlack, keyOnBar: tcell.ColorMaroon, cursor: tcell.PaletteColor(252),
			mark: tcell.PaletteColor(195), found: tcell.PaletteColor(229), peer: tcell.PaletteColor(255),
		}), true
	case "mono":
		return mono(), true
	default:
		return nil, false
	}
}

// palette is what the colored themes differ in.
type palette struct {
	gray, red, green, yellow, blue, magenta, cyan, orange tcell.Color
	bar, onBar, keyOnBar                                  tcell.Color
	cursor, mark, found, peer                             tcell.Color // backgrounds
}

func colored(name string, p palette) *Theme {
	plain := tcell.StyleDefault
	fg := func(c tcell.Color) tcell.Style { return plain.Foreground(c) }
	t := &Theme{Name: name}
	bar := plain.Background(p.bar).Foreground(p.onBar)
	t.styles = [roles]tcell.Style{
		Normal: plain, Dim: fg(p.gray), Bold: plain.Bold(true),
		Bar: bar, BarKey: bar.Foreground(p.keyOnBar).Bold(true), Status: bar,
		Head: plain.Bold(true), HeadSort: plain.Bold(true).Underline(true), Border: fg(p.gray),
		Cursor: plain.Background(p.cursor), Marked: plain.Background(p.mark), Found: plain.Background(p.found),
		Peer:  plain.Background(p.peer),
		Field: plain.Background(p.cursor), Error: fg(p.red).Bold(true), Warning: fg(p.yellow),
		Good: fg(p.green), Bad: fg(p.red), Neutral: fg(p.yellow),
		Request: fg(p.cyan), Provisional: fg(p.yellow), Success: fg(p.green), Redirect: fg(p.magenta), Failure: fg(p.red),
		Time: fg(p.gray), Note: fg(p.gray), GapLine: fg(p.orange), MediaLine: fg(p.blue),
		HeaderName: fg(p.cyan), Method: plain.Bold(true), URI: fg(p.yellow), Parameter: fg(p.gray), Identity: fg(p.magenta),
		Number: fg(p.green), BodyName: fg(p.blue), Diag: fg(p.orange),
		Added: fg(p.green), Removed: fg(p.red), Changed: fg(p.yellow),
	}
	series := [SeriesCount]tcell.Color{p.cyan, p.yellow, p.magenta, p.green, p.blue, p.orange, p.red}
	for i, c := range series {
		t.styles[Series(i)] = fg(c)
	}
	return t
}

// Adapt gives the theme as a terminal with so many colours can show it: with fewer than 256 the backgrounds of overlays
// would be taken for the nearest colour, which is the terminal's own, so the line of the cursor is reversed instead;
// without colours it is mono.
func (t *Theme) Adapt(colors int) *Theme {
	switch {
	case colors >= 256 || t.Name == "mono":
		return t
	case colors < 8:
		return mono()
	}
	out := *t
	plain := tcell.StyleDefault
	out.styles[Cursor], out.styles[Marked] = plain.Reverse(true), plain.Bold(true)
	out.styles[Found], out.styles[Peer], out.styles[Field] = plain.Underline(true), plain, plain.Underline(true)
	return &out
}

func mono() *Theme {
	plain := tcell.StyleDefault
	bold, under, reverse := plain.Bold(true), plain.Underline(true), plain.Reverse(true)
	t := &Theme{Name: "mono"}
	t.styles = [roles]tcell.Style{
		Bold: bold, Bar: reverse, BarKey: reverse.Bold(true), Status: reverse, Head: bold, HeadSort: bold.Underline(true),
		Cursor: reverse, Marked: bold, Found: under, Field: under, Error: bold, Warning: bold, Bad: bold, Request: bold,
		Failure: bold, HeaderName: bold, Method: bold, Diag: under, Added: bold, Removed: under, Changed: bold.Underline(true),
	}
	return t
}
