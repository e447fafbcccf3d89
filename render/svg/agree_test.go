package svg_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rivo/uniseg"

	"sipscope/correlate"
	"sipscope/render/export"
	"sipscope/render/ladder"
	"sipscope/render/svg"
	"sipscope/render/text"
	"sipscope/render/tui/flow"
	"sipscope/render/tui/term/termtest"
)

// said is an arrow as a drawing shows it.
type said struct {
	from, to   int
	label, sdp string
	count      int
	hops       int
}

// TestAgree: for every capture of the project, each call alone and all calls in one ladder, the four drawings say the
// same: as many arrows, in the same order, with the same labels, ends and counts, between the same names. What they say
// is read back from what they draw, not from the model.
func TestAgree(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("..", "..", "testdata", "pcaps", "*.pcap*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no captures: %v", err)
	}
	for _, f := range files {
		t.Run(filepath.Base(f), func(t *testing.T) {
			t.Parallel()
			d := termtest.Load(t, f)
			d.Streams = nil // the goldens have rows of media
			var calls []correlate.Call
			for s := range d.Board.Calls() {
				if c, ok := d.Board.Call(s.Num); ok {
					calls = append(calls, c)
				}
			}
			if len(calls) == 0 {
				return // a capture without calls has no ladder
			}
			groups := [][]correlate.Call{calls}
			for i := range calls {
				groups = append(groups, calls[i:i+1])
			}
			for _, group := range groups {
				for _, fold := range []bool{false, true} {
					l := ladder.Build(group, func(c, m int) []byte { return d.Text(&group[c], m) }, ladder.Options{FoldHops: fold})
					h := termtest.NewHost(d)
					h.S.Pane, h.S.FoldHops = false, fold
					agree(t, &l, screen(t, h, group, &l))
				}
			}
		})
	}
}

// screen draws a ladder in the terminal UI, on a screen that it fits on.
func screen(t *testing.T, h *termtest.Host, calls []correlate.Call, l *ladder.Ladder) string {
	t.Helper()
	var nums []uint32
	for i := range calls {
		nums = append(nums, calls[i].Num)
	}
	wide, high := 140+45*len(l.Columns), 20+4*len(l.Rows)
	dump := termtest.Draw(t, flow.New(h, nums, false), wide, high, false)
	lines := strings.SplitN(dump, "\n", high+1)
	return strings.Join(lines[:min(high, len(lines))], "\n")
}

// agree compares the drawings of a ladder.
func agree(t *testing.T, l *ladder.Ladder, tui string) {
	t.Helper()
	p := readPicture(t, svg.Append(nil, l, svg.Options{}))
	p.check(t)
	checkTexts(t, l, &p)
	arrows := arrowsOf(t, &p)
	if n := slices.IndexFunc(p.rows, func(r readRow) bool { return r.is("arrow") }); n < 0 {
		t.Fatal("no arrow")
	}
	var b bytes.Buffer
	if err := text.Ladder(&b, l, text.Options{HeaderEvery: -1}); err != nil {
		t.Fatal(err)
	}
	agreeLanes(t, "text", &p, arrows, b.String())
	agreeLanes(t, "terminal UI", &p, arrows, tui)
	agreeProse(t, &p, b.String())
	b.Reset()
	if err := export.WriteMermaid(&b, l); err != nil {
		t.Fatal(err)
	}
	agreeMermaid(t, &p, arrows, b.String())
}

var (
	countOf = regexp.MustCompile(` ×(\d+)$`)
	hopsOf  = regexp.MustCompile(` \((\d+) hops\)$`)
)

// arrowsOf reads the arrows of a picture: their ends from where the lines are, their words from the texts.
func arrowsOf(t *testing.T, p *picture) []said {
	t.Helper()
	var all []said
	for i := range p.rows {
		r := &p.rows[i]
		if !r.is("arrow") {
			continue
		}
		a := said{label: r.label, sdp: r.sdp, count: 1, hops: 1}
		a.from, a.to = p.ends(r)
		if a.from < 0 || a.to < 0 || r.loop != (a.from == a.to) || strings.Contains(a.label, "…") {
			t.Fatalf("row %d cannot be read: %+v", i, a)
		}
		if m := hopsOf.FindStringSubmatch(a.label); m != nil {
			a.hops, a.label = atoi(m[1]), strings.TrimSuffix(a.label, m[0])
		}
		if m := countOf.FindStringSubmatch(a.label); m != nil {
			a.count, a.label = atoi(m[1]), strings.TrimSuffix(a.label, m[0])
		}
		all = append(all, a)
	}
	return all
}

// full is the label as the text has it.
func (a *said) full() string {
	s := a.label
	if a.count > 1 {
		s += " ×" + strconv.Itoa(a.count)
	}
	if a.hops > 1 {
		s += " (" + strconv.Itoa(a.hops) + " hops)"
	}
	return s
}

// lanesArrow is an arrow in a drawing of cells, with the words of its lines.
type lanesArrow struct {
	from, to int
	words    string
}

// agreeLanes compares the arrows and names with a drawing of lifelines in cells.
func agreeLanes(t *testing.T, what string, p *picture, arrows []said, drawing string) {
	t.Helper()
	names, got := readLanes(drawing)
	if len(names) != len(p.columns) || len(got) != len(arrows) {
		t.Fatalf("%s: %d columns and %d arrows, the picture has %d and %d:\n%s", what, len(names), len(got), len(p.columns), len(arrows), drawing)
	}
	for i := range names {
		want := dense(p.columns[i].name + p.columns[i].address)
		before, after, short := strings.Cut(names[i], "…") // a long name is cut there
		if names[i] != want && (!short || !strings.HasPrefix(want, before) || !strings.HasSuffix(want, after)) {
			t.Errorf("%s: column %d is %q, in the picture %q", what, i, names[i], want)
		}
	}
	for i := range got {
		a, g := &arrows[i], &got[i]
		words := " " + g.words + " "
		label := " " + strings.Join(strings.Fields(a.full()), " ") + " "
		repeats := regexp.MustCompile(` ×(\d+)`).FindStringSubmatch(words)
		switch {
		case g.from != a.from || g.to != a.to:
			t.Errorf("%s: arrow %d goes %d → %d, in the picture %d → %d:\n%s", what, i, g.from, g.to, a.from, a.to, drawing)
		case !strings.Contains(words, label) || !strings.Contains(words, a.sdp):
			t.Errorf("%s: arrow %d says %q, in the picture %q %q", what, i, g.words, a.full(), a.sdp)
		case (repeats != nil) != (a.count > 1) || strings.Contains(words, " hops) ") != (a.hops > 1):
			t.Errorf("%s: arrow %d says %q, in the picture %+v", what, i, g.words, *a)
		}
	}
}

// cells splits a line into terminal cells.
func cells(s string) []string {
	var all []string
	g := uniseg.NewGraphemes(s)
	for g.Next() {
		all = append(all, g.Str())
		for range g.Width() - 1 {
			all = append(all, "")
		}
	}
	return all
}

// readLanes reads the names above the lifelines and the arrows between them.
func readLanes(drawing string) (names []string, arrows []lanesArrow) {
	lines := strings.Split(drawing, "\n")
	head := slices.IndexFunc(lines, func(s string) bool { return strings.HasPrefix(s, "─") && strings.Contains(s, "┬") })
	if head < 0 {
		return nil, nil
	}
	var lanes []int
	for x, c := range cells(lines[head]) {
		if c == "┬" {
			lanes = append(lanes, x)
		}
	}
	names = make([]string, len(lanes))
	first := head
	for first > 0 && lines[first-1] != "" {
		first--
	}
	for _, s := range lines[first:head] {
		line := cells(s)
		for i, x := range lanes {
			end := len(line)
			if i+1 < len(lanes) {
				end = min(end, lanes[i+1])
			}
			if x < end {
				names[i] += dense(strings.Join(line[x:end], ""))
			}
		}
	}
	var words []string
	for _, s := range lines[head+1:] {
		if strings.HasPrefix(s, "─") {
			break
		}
		line := cells(s)
		words = append(words, strings.Fields(strings.Map(func(r rune) rune {
			if strings.ContainsRune("│─┼▶◀╮╯┄", r) {
				return ' '
			}
			return r
		}, s))...)
		if from, to, ok := arrowIn(line, lanes); ok {
			arrows = append(arrows, lanesArrow{from, to, strings.Join(words, " ")})
			words = nil
		}
	}
	return names, arrows
}

// arrowIn finds the arrow of a line by its head beside a lifeline; it begins at the next lifeline that it does not cross.
func arrowIn(line []string, lanes []int) (from, to int, ok bool) {
	at := func(x int) string {
		if x < 0 || x >= len(line) {
			return ""
		}
		return line[x]
	}
	for i, x := range lanes {
		switch {
		case at(x+1) == "◀" && at(x+2) == "╯":
			return i, i, true
		case at(x+1) == "◀":
			for j := i + 1; j < len(lanes); j++ {
				if at(lanes[j]) == "│" {
					return j, i, true
				}
			}
		case at(x-1) == "▶":
			for j := i - 1; j >= 0; j-- {
				if at(lanes[j]) == "│" {
					return j, i, true
				}
			}
		}
	}
	return 0, 0, false
}

// agreeProse compares what is said above, below and between the arrows with the text ladder, which breaks no line of it.
func agreeProse(t *testing.T, p *picture, drawing string) {
	t.Helper()
	titles, _, _ := strings.Cut(drawing, "\n\n")
	bare := func(s string) string { return strings.NewReplacer(" ", "", "\n", "", "·", "").Replace(s) }
	if got := strings.Join(p.titles, ""); bare(got) != bare(titles) {
		t.Errorf("the titles are %q, in the text ladder %q", got, titles)
	}
	lines := strings.Split(strings.TrimRight(drawing, "\n"), "\n")
	if last := strings.TrimSpace(lines[len(lines)-1]); p.totals != last {
		t.Errorf("the totals are %q, in the text ladder %q", p.totals, last)
	}
	all := dense(strings.NewReplacer("│", "", "─", "", "┼", "", "┄", "").Replace(drawing))
	var parts []string
	for i := range p.rows {
		r := &p.rows[i]
		parts = append(parts, r.prose, r.margin, r.time)
		if r.is("gap") {
			parts = append(parts, r.label)
		}
	}
	for _, s := range parts {
		if !strings.Contains(all, dense(s)) {
			t.Errorf("the text ladder does not say %q:\n%s", s, drawing)
		}
	}
}

var (
	mermaidName  = regexp.MustCompile(`^    participant p(\d+) as (.*)$`)
	mermaidArrow = regexp.MustCompile(`^    p(\d+)(--?>>)p(\d+): (.*)$`)
	entityOf     = regexp.MustCompile(`#(\d+);`)
)

// unescape takes Mermaid's entities back.
func unescape(s string) string {
	return entityOf.ReplaceAllStringFunc(s, func(e string) string { return string(rune(atoi(e[1 : len(e)-1]))) })
}

func agreeMermaid(t *testing.T, p *picture, arrows []said, diagram string) {
	t.Helper()
	columns, n := 0, 0
	dashed := make([]bool, 0, len(arrows))
	for i := range p.rows {
		if p.rows[i].is("arrow") {
			dashed = append(dashed, p.rows[i].is("response"))
		}
	}
	for s := range strings.SplitSeq(diagram, "\n") {
		if m := mermaidName.FindStringSubmatch(s); m != nil {
			name, address, _ := strings.Cut(m[2], "<br/>")
			c := &p.columns[columns]
			if unescape(name) != c.name || unescape(address) != c.address {
				t.Errorf("Mermaid: column %d is %q %q, in the picture %q %q", columns, name, address, c.name, c.address)
			}
			columns++
		}
		m := mermaidArrow.FindStringSubmatch(s)
		if m == nil {
			continue
		}
		if n == len(arrows) {
			t.Fatalf("Mermaid has more than the %d arrows of the picture", n)
		}
		a := &arrows[n]
		words := []string{a.label}
		for _, more := range []struct {
			is bool
			s  string
		}{{a.sdp != "", a.sdp}, {a.count > 1, fmt.Sprintf("×%d", a.count)}, {a.hops > 1, fmt.Sprintf("(%d hops)", a.hops)}} {
			if more.is {
				words = append(words, more.s)
			}
		}
		want := strings.Join(words, " ")
		if atoi(m[1]) != a.from+1 || atoi(m[3]) != a.to+1 || unescape(m[4]) != want || (m[2] == "-->>") != dashed[n] {
			t.Errorf("Mermaid: arrow %d is %q, in the picture %+v", n, s, *a)
		}
		n++
	}
	if columns != len(p.columns) || n != len(arrows) {
		t.Errorf("Mermaid: %d columns and %d arrows, the picture has %d and %d", columns, n, len(p.columns), len(arrows))
	}
}
