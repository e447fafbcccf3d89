// Package termtest draws views on tcell's simulation screen for tests, and plays the application for them.
package termtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gdamore/tcell/v2"

	"sipscope/render/text"
	"sipscope/render/tui/term"
)

// NewScreen is a simulation screen of w by h cells. It is closed with the test.
func NewScreen(tb testing.TB, w, h int) tcell.SimulationScreen {
	tb.Helper()
	s := tcell.NewSimulationScreen("UTF-8")
	if err := s.Init(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Fini)
	s.SetSize(w, h)
	return s
}

// Theme is the dark theme, in which most roles differ.
func Theme() *term.Theme {
	t, _ := term.NewTheme("dark")
	return t
}

// Draw draws a view on a screen of its own and gives the dump.
func Draw(tb testing.TB, v term.View, w, h int, ascii bool) string {
	tb.Helper()
	s := NewScreen(tb, w, h)
	c := term.NewCanvas(s, Theme(), ascii)
	c.Clear()
	v.Draw(c)
	s.Show()
	return Dump(s)
}

// Dump writes what a screen shows: its text, and below a grid with a letter for each style, explained at the end.
// Every line must take as many cells as the screen has, or it says so.
func Dump(s tcell.SimulationScreen) string {
	cells, w, h := s.GetContents()
	var txt, grid strings.Builder
	const letter = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	letters := map[tcell.Style]byte{tcell.StyleDefault: '.'}
	var legend []string
	for y := range h {
		width := 0
		var line, marks strings.Builder
		for x := 0; x < w; {
			cell := &cells[y*w+x]
			l, ok := letters[cell.Style]
			if !ok {
				l = letter[min(len(letters), len(letter))-1]
				letters[cell.Style] = l
				legend = append(legend, fmt.Sprintf("%c %s", l, describe(cell.Style)))
			}
			str := string(cell.Runes)
			if str == "" {
				str = " "
			}
			n := max(text.Width(str), 1)
			line.WriteString(str)
			marks.WriteString(strings.Repeat(string(l), n))
			x += n
			width += n
		}
		fmt.Fprintf(&txt, "%s\n", strings.TrimRight(line.String(), " "))
		fmt.Fprintf(&grid, "%s\n", strings.TrimRight(marks.String(), "."))
		if width != w {
			fmt.Fprintf(&txt, "^ %d cells, the screen has %d\n", width, w)
		}
	}
	return fmt.Sprintf("%d x %d\n%s--- styles\n%s%s\n", w, h, txt.String(), grid.String(), strings.Join(legend, "\n"))
}

func describe(st tcell.Style) string {
	fg, bg, attr := st.Decompose()
	words := []string{colorName(fg)}
	if bg != tcell.ColorDefault {
		words = append(words, "on", colorName(bg))
	}
	for _, a := range []struct {
		mask tcell.AttrMask
		name string
	}{
		{tcell.AttrBold, "bold"},
		{tcell.AttrReverse, "reverse"},
		{tcell.AttrUnderline, "underline"},
		{tcell.AttrDim, "dim"},
		{tcell.AttrItalic, "italic"},
	} {
		if attr&a.mask != 0 {
			words = append(words, a.name)
		}
	}
	return strings.Join(words, " ")
}

// colorName is a colour's place in the palette: tcell has two names for some.
func colorName(c tcell.Color) string {
	switch {
	case c == tcell.ColorDefault:
		return "default"
	case c.IsRGB():
		return fmt.Sprintf("#%06x", c.Hex())
	default:
		return fmt.Sprintf("color%d", c-tcell.ColorValid)
	}
}

// Golden compares got with testdata/NAME.golden of the package under test; UPDATE_GOLDEN=1 writes it anew.
func Golden(tb testing.TB, name, got string) {
	tb.Helper()
	path := filepath.Join("testdata", name+".golden")
	if os.Getenv("UPDATE_GOLDEN") != "" {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			tb.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			tb.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		tb.Fatalf("%v (UPDATE_GOLDEN=1 writes it)", err)
	}
	if string(want) != got {
		tb.Errorf("%s: want\n%s\ngot\n%s", path, want, got)
	}
}
