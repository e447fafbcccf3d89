package message

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sipscope/render/text"
	"sipscope/render/tui/term"
	"sipscope/render/tui/term/termtest"
)

// paneOf shows a message without a head.
func paneOf(raw []byte, set func(s *term.Settings)) (*Pane, *term.Settings) {
	s := term.DefaultSettings()
	if set != nil {
		set(&s)
	}
	p := NewPane(&s)
	p.Show(raw, "")
	return p, &s
}

// numbered is a message of n header lines of different text.
func numbered(n int) []byte {
	var b bytes.Buffer
	b.WriteString("OPTIONS sip:a@b SIP/2.0\r\n")
	for i := range n {
		fmt.Fprintf(&b, "X-%d: value %d\r\n", i, i)
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

func TestScroll(t *testing.T) {
	t.Parallel()
	p, _ := paneOf(numbered(100), nil)
	first := func(want string) {
		t.Helper()
		if got := screen(t, 30, 10, p.Draw)[0]; !strings.HasPrefix(got, want) {
			t.Errorf("the first line is %q, want %q", got, want)
		}
	}
	first("OPTIONS")
	p.Scroll(-5)
	first("OPTIONS")
	p.Scroll(3)
	first("X-2:")
	p.Scroll(1 << 30)
	first("X-91:") // 102 lines, the last ten
	p.Scroll(-1)
	first("X-90:")

	p.Show(numbered(100), "")
	first("X-90:") // the same message keeps its place
	p.Show(numbered(100), "with a head")
	if got := screen(t, 30, 10, p.Draw)[1]; !strings.HasPrefix(got, "X-90:") {
		t.Errorf("below a head the first line is %q", got)
	}
	p.Show(numbered(99), "")
	first("OPTIONS")
	p.Show(nil, "")
	first("the text of this")
	p.Show(numbered(99), "")
	first("OPTIONS")
}

// TestKeepsPlace: what stands at the top stays there when the width, wrapping or the view changes.
func TestKeepsPlace(t *testing.T) {
	t.Parallel()
	p, s := paneOf(numbered(100), nil)
	screen(t, 80, 10, p.Draw)
	p.Scroll(41)
	for _, change := range []func(){
		func() {}, func() { s.Wrap = false }, func() { s.Parsed = true }, func() { s.Wrap = true }, func() { s.Syntax = false },
		func() { s.Parsed = false },
	} {
		change()
		for _, w := range []int{80, 9, 33} {
			if got := screen(t, w, 10, p.Draw)[0]; !strings.Contains(got, "X-40") {
				t.Errorf("%d wide, parsed %t, wrap %t: the first line is %q, want that of X-40", w, s.Parsed, s.Wrap, got)
			}
		}
	}
}

// TestRows: the rows of a line joined are the line, none is wider than the frame, and all of a line is within reach.
func TestRows(t *testing.T) {
	t.Parallel()
	for _, raw := range [][]byte{invite(), departing(), long(), binary(), hostile(), numbered(3)} {
		for _, ascii := range []bool{false, true} {
			lines := layOut(raw, nil, ascii)
			for _, f := range []frame{
				{w: 1, wrap: true},
				{w: 2, wrap: true},
				{w: 7, wrap: true},
				{w: 80, wrap: true},
				{w: 7, wrap: true, words: true},
				{w: 40, wrap: true, words: true},
				{w: 1, wrap: true, words: true},
			} {
				joined := make([]string, len(lines))
				for _, r := range rowsOf(lines, f) {
					s := lines[r.line].text[r.from:r.to]
					joined[r.line] += s
					if n := text.Width(s) + r.x; n > max(f.w, 7) {
						t.Errorf("%+v: %q takes %d cells", f, s, n)
					}
				}
				for i := range lines {
					if joined[i] != lines[i].text {
						t.Errorf("%+v: rows make %q of %q", f, joined[i], lines[i].text)
					}
				}
			}
		}
	}
}

// TestSideways: in each place of a cut line the same cell shows the same character.
func TestSideways(t *testing.T) {
	t.Parallel()
	const line = "ab中文cdéf中g"
	lines := []textLine{{text: line}}
	cells := []rune("ab中 文 cdéf中 g")
	for left := range len(cells) + 3 {
		r := rowsOf(lines, frame{w: 5, left: left})[0]
		if got := text.Width(line[:r.from]) - left; r.from < len(line) && (got != r.x || r.x > 0 || r.x < -1) {
			t.Errorf("left %d: byte %d is drawn at %d, not %d", left, r.from, r.x, got)
		}
		if n := text.Width(line[r.from:r.to]) + r.x; n > 5 {
			t.Errorf("left %d: %q takes %d cells", left, line[r.from:r.to], n)
		}
	}
	p, s := paneOf(long(), func(s *term.Settings) { s.Wrap = false })
	screen(t, 40, 10, p.Draw)
	p.Sideways(1 << 30)
	if got := screen(t, 40, 10, p.Draw)[2]; !strings.HasSuffix(strings.TrimSpace(got), ";end") {
		t.Errorf("at the right end: %q", got)
	}
	p.Sideways(-1 << 30)
	if got := screen(t, 40, 10, p.Draw)[2]; !strings.HasPrefix(got, "P-Long: start;") {
		t.Errorf("at the left end: %q", got)
	}
	s.Wrap = true
	p.Sideways(8)
	if got := screen(t, 40, 10, p.Draw)[2]; !strings.HasPrefix(got, "P-Long: start;") {
		t.Errorf("wrapped: %q", got)
	}
}

func TestPaneSearch(t *testing.T) {
	t.Parallel()
	p, s := paneOf(numbered(100), nil)
	top := func() string { return screen(t, 30, 10, p.Draw)[3] } // a third from the top
	search := func(needle string, next, back, want bool, line string) {
		t.Helper()
		if got := p.Search(needle, next, back); got != want {
			t.Errorf("Search(%q, %t, %t) = %t", needle, next, back, got)
		}
		if got := top(); line != "" && !strings.HasPrefix(got, line) {
			t.Errorf("Search(%q, %t, %t) shows %q, want %q", needle, next, back, got, line)
		}
	}
	top()
	search("VALUE 5", false, false, true, "")       // X-5 is in sight: nothing moves
	search("VALUE 55", false, false, true, "X-55:") // typed on
	search("value 5", false, false, true, "")       // and back
	if p.hit.line != 6 {
		t.Errorf("taking a letter back finds line %d, want that of X-5", p.hit.line)
	}
	search("value 5", true, false, true, "X-50:")
	search("value 5", true, false, true, "")
	search("value 5", true, true, true, "")
	search("value 5", true, true, true, "")
	if p.hit.line != 6 {
		t.Errorf("going back finds line %d, want that of X-5", p.hit.line)
	}
	search("value 5", true, true, false, "")
	search("nowhere", false, false, false, "")
	search("", false, false, false, "")

	p.Scroll(80)
	search("value 2", false, false, false, "") // from what is in sight
	search("value 99", false, false, true, "")
	s.Parsed = true
	top()
	if p.hit.line < 0 || !strings.Contains(p.lines[p.hit.line].text, "value 99") {
		t.Errorf("in the parsed view the search stands on line %d", p.hit.line)
	}
	p.Show(nil, "")
	search("value", false, false, false, "")
}

// TestSearchInLine finds each place of a long line, wrapped or cut.
func TestSearchInLine(t *testing.T) {
	t.Parallel()
	for _, wrap := range []bool{true, false} {
		p, _ := paneOf(long(), func(s *term.Settings) { s.Wrap = wrap })
		screen(t, 40, 6, p.Draw)
		seen := map[place]bool{}
		for p.Search("parameter=", true, false) {
			if seen[p.hit] {
				t.Fatalf("%v was found twice", p.hit)
			}
			seen[p.hit] = true
			s := strings.Join(screen(t, 40, 6, p.Draw), "")
			if !strings.Contains(strings.NewReplacer("◀", "", "▶", "", "█", "").Replace(s), "parameter=") {
				t.Errorf("wrap %t: what was found is not in sight: %q", wrap, s)
			}
			if len(seen) > 100 {
				t.Fatal("the search does not end")
			}
		}
		if len(seen) != 20 {
			t.Errorf("wrap %t: found %d places, want 20", wrap, len(seen))
		}
	}
}

func TestNextDiag(t *testing.T) {
	t.Parallel()
	for _, parsed := range []bool{false, true} {
		p, _ := paneOf(departing(), func(s *term.Settings) { s.Parsed = parsed })
		var got []string
		for p.NextDiag(false) {
			lines := screen(t, 100, 8, p.Draw)
			if parsed {
				at, _ := p.diagPlace()
				got = append(got, p.lines[at.line].text)
				if !strings.Contains(strings.Join(lines, "\n"), strings.TrimSpace(p.lines[at.line].text)) {
					t.Errorf("%q is not in sight", p.lines[at.line].text)
				}
			} else {
				got = append(got, lines[7])
			}
		}
		if len(got) != 5 {
			t.Errorf("parsed %t: %d departures, want 5: %q", parsed, len(got), got)
		}
		for i, want := range []string{"Max-Forwards", "LF alone", "no colon", "Content-Length", "Content-Type"} {
			if i < len(got) && (!strings.Contains(got[i], want) || !strings.Contains(got[i], "(RFC 3261 ")) {
				t.Errorf("parsed %t: departure %d is %q, want one of %q", parsed, i, got[i], want)
			}
		}
		n := 0
		for p.NextDiag(true) {
			n++
		}
		if n != 4 {
			t.Errorf("parsed %t: %d steps back, want 4", parsed, n)
		}
	}
	p, _ := paneOf(notSIP(), nil)
	if p.NextDiag(false) || p.NextDiag(true) {
		t.Error("what is no SIP has departures")
	}
}

// TestFootOfSearch: a search that stands on a departure explains it, too.
func TestFootOfSearch(t *testing.T) {
	t.Parallel()
	p, _ := paneOf(departing(), nil)
	p.Search("no header", false, false)
	if got := screen(t, 80, 24, p.Draw)[23]; got != "! A header line has no colon. (RFC 3261 7.3.1)" {
		t.Errorf("the last line is %q", got)
	}
	p.Search("Call-ID", false, false)
	if got := screen(t, 80, 24, p.Draw)[23]; got != "" {
		t.Errorf("the last line is %q, want none", got)
	}
}

// TestMarks: in the raw view a departure is marked where it is, behind characters that are shown longer than they are.
func TestMarks(t *testing.T) {
	t.Parallel()
	raw := []byte("OPTIONS sip:a@b SIP/2.0\r\nSubject: \x01中\x02\r\n\r\n")
	p, _ := paneOf(raw, nil)
	screen(t, 80, 24, p.Draw)
	var got []string
	for i := range p.lines {
		for _, m := range p.marksOf(i) {
			got = append(got, fmt.Sprintf("%s: %s", p.msg.Diags[m.diag].Code, p.lines[i].text[m.from:m.to]))
		}
	}
	if !strings.Contains(strings.Join(got, "\n"), `control: \x01`) {
		t.Errorf("marked are %q", got)
	}
}

func TestTooLong(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string][]byte{
		"lines": bytes.Repeat([]byte("\n"), maxLines+10),
		"bytes": bytes.Repeat([]byte("0123456789abcde\n"), maxBytes/16+1),
	} {
		p, _ := paneOf(append([]byte("OPTIONS sip:a@b SIP/2.0\r\n"), raw...), nil)
		screen(t, 60, 5, p.Draw)
		p.Scroll(1 << 30)
		if got := screen(t, 60, 5, p.Draw); !strings.Contains(strings.Join(got, "\n"), goesOn) {
			t.Errorf("%s: at the end stands %q", name, got)
		}
	}
	if n := len(rowsOf([]textLine{{text: strings.Repeat("x", 2*maxRows)}}, frame{w: 1, wrap: true})); n != maxRows {
		t.Errorf("%d rows, want %d", n, maxRows)
	}
}

// TestFound: every place is marked, also one that the end of a row parts, and nothing else.
func TestFound(t *testing.T) {
	t.Parallel()
	s := termtest.NewScreen(t, 6, 3)
	c := term.NewCanvas(s, termtest.Theme(), false)
	c.Clear()
	l := textLine{text: "....aNa.ANA中ana", parts: []part{{100, term.Normal}}}
	for y, r := range rowsOf([]textLine{l}, frame{w: 6, wrap: true}) {
		drawText(c, r.x, y, &l, r.from, r.to, true)
		drawFound(c, r.x, y, l.text, &r, "ana")
	}
	s.Show()
	_, grid, _ := strings.Cut(termtest.Dump(s), "--- styles\n")
	if diff := cmp.Diff("....aa\na.aaa\n..aaa\na default on color58\n", grid); diff != "" {
		t.Errorf("(-want +got)\n%s\n%s", diff, termtest.Dump(s))
	}
}

func TestQuoted(t *testing.T) {
	t.Parallel()
	if got := quoted(strings.Repeat("中", 50)); got != `"`+strings.Repeat("中", 14)+`..."` {
		t.Error(got)
	}
	if got := quoted("a"); got != `"a"` {
		t.Error(got)
	}
}
