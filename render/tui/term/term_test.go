package term

import (
	"strings"
	"testing"

	"github.com/gdamore/tcell/v2"

	"sipscope/render/text"
	"sipscope/render/tui/keymap"
)

// screen is a simulation screen of w by h cells.
func screen(t *testing.T, w, h int) tcell.SimulationScreen {
	t.Helper()
	s := tcell.NewSimulationScreen("UTF-8")
	if err := s.Init(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Fini)
	s.SetSize(w, h)
	return s
}

// line gives what a line of a screen shows.
func line(s tcell.SimulationScreen, y int) string {
	s.Show()
	cells, w, _ := s.GetContents()
	var b strings.Builder
	for x := 0; x < w; {
		str := string(cells[y*w+x].Runes)
		if str == "" {
			str = " "
		}
		b.WriteString(str)
		x += max(text.Width(str), 1)
	}
	return strings.TrimRight(b.String(), " ")
}

func dark() *Theme {
	t, _ := NewTheme("dark")
	return t
}

func TestPutCutsAndCleans(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		x, w  int
		text  string
		ascii bool
		want  string
	}{
		{"fits", 0, 10, "alice", false, "alice"},
		{"cut", 0, 4, "alice", false, "ali…"},
		{"cut in ASCII", 0, 4, "alice", true, "a..."},
		{"from the left", -2, 10, "alice", false, "ice"},
		{"beyond the right", 8, 10, "alice", false, "        al"},
		{"escape sequence", 0, 12, "a\x1b]0;P\x07b", false, `a\x1b]0;P\x…`},
		{"right to left", 0, 12, "a\u202eb", false, `a\u202eb`},
		{"zero width", 0, 12, "a\u200b\u200bb", false, `a\u200b\u20…`},
		{"wide", 0, 6, "日本語", false, "日本語"},
		{"wide, cut", 0, 5, "日本語", false, "日本…"},
		{"wide in ASCII", 0, 12, "日", true, `\u65e5`},
		{"combining", 0, 6, "e\u0301t", false, "e\u0301t"},
		{"no UTF-8", 0, 6, "a\xff", false, `a\xff`},
		{"no room", 0, 0, "alice", false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := screen(t, 10, 2)
			if tt.w > 10 {
				s = screen(t, tt.w, 2)
			}
			c := NewCanvas(s, dark(), tt.ascii)
			c.PutMax(tt.x, 0, tt.w, tt.text, Normal)
			if got := line(s, 0); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if got := line(s, 1); got != "" {
				t.Errorf("the line below has %q", got)
			}
		})
	}
}

// A header of 60 KiB costs what the screen shows of it, not what it has.
func TestPutLooksAtWhatIsSeen(t *testing.T) { //nolint:paralleltest // AllocsPerRun
	c := NewCanvas(screen(t, 80, 2), dark(), false)
	long := strings.Repeat("\x1b", 60<<10)
	if n := testing.AllocsPerRun(10, func() { c.PutMax(0, 0, 80, long, Normal) }); n > 400 {
		t.Errorf("%v allocations", n)
	}
}

func TestSubKeepsInside(t *testing.T) {
	t.Parallel()
	s := screen(t, 10, 4)
	c := NewCanvas(s, dark(), false).Sub(2, 1, 3, 2)
	if w, h := c.Size(); w != 3 || h != 2 {
		t.Fatalf("%d by %d", w, h)
	}
	c.Fill(-5, -5, 100, 100, Bar)
	c.Put(0, 0, "abcdef", Normal)
	c.Put(0, 5, "below", Normal)
	c.PutRight(0, 1, 3, "z", Normal)
	c.Overlay(-3, 0, 50, Cursor)
	c.Draw(1, 1, 9, "-", Normal)
	for y, want := range []string{"", "  abc", "   --", ""} {
		if got := line(s, y); got != want {
			t.Errorf("line %d is %q, want %q", y, got, want)
		}
	}
	cells, w, _ := s.GetContents()
	for i, cell := range cells {
		inside := i%w >= 2 && i%w < 5 && i/w >= 1 && i/w < 3
		if _, bg, _ := cell.Style.Decompose(); (bg != tcell.ColorDefault) != (inside && (i/w == 1 || i%w == 2)) {
			t.Errorf("cell %d,%d has background %v", i%w, i/w, bg)
		}
	}
	if w, h := c.Sub(9, 9, 5, 5).Size(); w != 0 || h != 0 {
		t.Errorf("a part outside has %d by %d cells", w, h)
	}
}

func TestThemes(t *testing.T) {
	t.Parallel()
	for _, name := range ThemeNames() {
		theme, ok := NewTheme(name)
		if !ok || theme.Name != name {
			t.Fatalf("no theme %s", name)
		}
		for _, colors := range []int{0, 8, 16, 256, 1 << 24} {
			a := theme.Adapt(colors)
			if a.Style(Cursor) == a.Style(Normal) {
				t.Errorf("%s with %d colours does not show the cursor", name, colors)
			}
			if _, bg, attr := a.Style(Cursor).Decompose(); colors < 256 && (bg != tcell.ColorDefault || attr&tcell.AttrReverse == 0) {
				t.Errorf("%s with %d colours shows the cursor by a background that may not be there", name, colors)
			}
		}
	}
	mono, _ := NewTheme("mono")
	for _, r := range Roles() {
		if fg, bg, _ := mono.Style(r).Decompose(); fg != tcell.ColorDefault || bg != tcell.ColorDefault {
			t.Errorf("mono has a colour for %s", r)
		}
	}
	if _, ok := NewTheme("pink"); ok {
		t.Error("there is a theme called pink")
	}
}

func TestRolesHaveNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, r := range Roles() {
		if name := r.String(); name == "" || seen[name] {
			t.Errorf("role %d is called %q", r, name)
		} else {
			seen[name] = true
		}
	}
	if Series(SeriesCount) != Series(0) || Series(1) == Series(0) || Series(-1) != Normal {
		t.Error("series do not go round")
	}
}

func TestParseStyle(t *testing.T) {
	t.Parallel()
	want := tcell.StyleDefault.Foreground(tcell.NewHexColor(0xff8800)).Background(tcell.PaletteColor(17)).Bold(true).Underline(true)
	got, err := ParseStyle("Bold underline #ff8800 on color17")
	if err != nil || got != want {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"pinkish", "color256", "#12", "on on what"} {
		if _, err := ParseStyle(bad); err == nil {
			t.Errorf("%q is a style", bad)
		}
	}
}

func TestKeyOf(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		ev   *tcell.EventKey
		want keymap.Key
	}{
		{tcell.NewEventKey(tcell.KeyRune, 'q', 0), "q"},
		{tcell.NewEventKey(tcell.KeyRune, ' ', 0), "Space"},
		{tcell.NewEventKey(tcell.KeyRune, 'q', tcell.ModAlt), ""},
		{tcell.NewEventKey(tcell.KeyF10, 0, 0), "F10"},
		{tcell.NewEventKey(tcell.KeyPgDn, 0, 0), "PgDn"},
		{tcell.NewEventKey(tcell.KeyEsc, 0, 0), "Esc"},
		{tcell.NewEventKey(tcell.KeyBackspace2, 0, 0), "Backspace"},
		{tcell.NewEventKey(tcell.KeyTab, 0, 0), "Tab"},
		{tcell.NewEventKey(tcell.KeyBacktab, 0, 0), "Backtab"},
		{tcell.NewEventKey(tcell.KeyEnter, 0, 0), "Enter"},
		{tcell.NewEventKey(tcell.KeyCtrlL, 0, tcell.ModCtrl), "Ctrl-L"},
		{tcell.NewEventKey(tcell.KeyCtrlSpace, 0, tcell.ModCtrl), ""},
	} {
		got := KeyOf(tt.ev)
		if got != tt.want {
			t.Errorf("%v is %q, want %q", tt.ev.Name(), got, tt.want)
		}
		if parsed, err := keymap.ParseKey(string(got)); got != "" && (err != nil || parsed != got) {
			t.Errorf("%q reads as %q, %v: it cannot be bound", got, parsed, err)
		}
	}
}

func TestLower(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"abc": "abc", "SIP:Ä\xffX": "sip:Ä\xffx", "": ""} {
		if got := Lower(in); got != want || len(got) != len(in) {
			t.Errorf("%q becomes %q", in, got)
		}
	}
}

// FuzzCanvas holds that nothing of the wire is drawn outside, breaks a line, or puts a control character on the screen.
func FuzzCanvas(f *testing.F) {
	for _, s := range []string{"alice", "a\x1b[2Jb", "日本語", "e\u0301\u0301\u0301\u0301\u0301\u0301", "\u202e\u200b\u2028", "👨‍👩‍👧‍👦", "\xff\xfe"} {
		f.Add(s, 3, 7, true)
		f.Add(s, -1, 2, false)
	}
	f.Fuzz(func(t *testing.T, s string, x, w int, ascii bool) {
		if x < -100 || x > 100 || w < -5 || w > 100 {
			return
		}
		sim := screen(t, 12, 3)
		c := NewCanvas(sim, dark(), ascii).Sub(1, 1, 10, 1)
		c.PutMax(x, 0, w, s, Normal)
		sim.Show()
		cells, width, _ := sim.GetContents()
		for i := range cells {
			runes := cells[i].Runes
			outside := i/width != 1 || i%width < 1 || i%width > 10
			for _, r := range runes {
				if outside && r != ' ' && r != 'X' {
					t.Fatalf("%q at %d,%d", r, i%width, i/width)
				}
				if r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || ascii && r > 0x7e {
					t.Fatalf("%q is drawn", r)
				}
			}
		}
	})
}
