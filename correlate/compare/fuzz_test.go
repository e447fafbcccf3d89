package compare_test

import (
	"cmp"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"sipscope/correlate/compare"
	"sipscope/decode/sip"
)

func FuzzMessages(f *testing.F) {
	for _, s := range seeds() {
		f.Add([]byte(s[0]), []byte(s[1]), false)
		f.Add([]byte(s[0]), []byte(s[1]), true)
	}
	f.Fuzz(func(t *testing.T, x, y []byte, ignore bool) {
		var a, b sip.Message
		if sip.Parse(x, &a) != nil || sip.Parse(y, &b) != nil {
			return
		}
		checkAll(t, &a, &b, compare.Options{Ignore: ignore})
	})
}

// checkAll holds two messages against all invariants.
func checkAll(t *testing.T, a, b *sip.Message, opts compare.Options) {
	t.Helper()
	forth, back := compare.Messages(a, b, opts), compare.Messages(b, a, opts)
	checkLines(t, a, b, &forth)
	checkLines(t, b, a, &back)
	checkMirror(t, &forth, &back)
	for _, m := range []*sip.Message{a, b} {
		alike := compare.Messages(m, m, opts)
		checkLines(t, m, m, &alike)
		for _, l := range alike.Lines {
			if l.Change != compare.Same || l.NoA != l.NoB {
				t.Fatalf("a message and itself: %+v", l)
			}
		}
	}
}

var fold = regexp.MustCompile("[ \t]*\r?\n[ \t]+")

// wireLines gives the lines of a message by number, straight from its text.
func wireLines(m *sip.Message) map[int]string {
	lines := make(map[int]string)
	if m.Head == 0 {
		return lines
	}
	no := 1
	first, head, ended := strings.Cut(string(m.Raw[:m.Head]), "\n")
	if ended {
		first = strings.TrimSuffix(first, "\r")
	}
	lines[no] = first
	for head != "" {
		end := 0
		for {
			n := strings.IndexByte(head[end:], '\n')
			if n < 0 {
				end = len(head)
				break
			}
			end += n + 1
			if empty := head == "\n" || head == "\r\n"; empty || end == len(head) || head[end] != ' ' && head[end] != '\t' {
				break
			}
		}
		line := strings.TrimSuffix(head[:end], "\n")
		if len(line) < end {
			line = strings.TrimSuffix(line, "\r")
		}
		no++
		if line != "" {
			lines[no] = fold.ReplaceAllString(line, " ")
		}
		head = head[end:]
	}
	body := string(m.Body.Of(m.Raw))
	for body != "" {
		line, rest, ended := strings.Cut(body, "\n")
		if ended {
			line = strings.TrimSuffix(line, "\r")
		}
		no++
		lines[no] = line
		body = rest
	}
	return lines
}

// checkLines holds that the texts of a comparison are those of the messages, and that it agrees with itself.
func checkLines(t *testing.T, a, b *sip.Message, r *compare.Result) {
	t.Helper()
	gotA, gotB := map[int]string{}, map[int]string{}
	var differences, spelling, expect int
	for _, l := range r.Lines {
		if l.A != nil {
			gotA[l.NoA] += compare.Text(l.A)
		}
		if l.B != nil {
			gotB[l.NoB] += compare.Text(l.B)
		}
		checkLine(t, l)
		switch {
		case l.Meaning:
			differences++
		case strings.HasPrefix(l.Why, "expected: "):
			expect++
		case l.Why != "":
			spelling++
		}
	}
	if want := wireLines(a); !maps.Equal(want, gotA) {
		t.Fatalf("lines of a (-wire +got):\n%s\n%q", gocmp.Diff(want, gotA), a.Raw)
	}
	if want := wireLines(b); !maps.Equal(want, gotB) {
		t.Fatalf("lines of b (-wire +got):\n%s\n%q", gocmp.Diff(want, gotB), b.Raw)
	}
	if differences != r.Differences || spelling != r.Spelling || expect != r.Expected {
		t.Fatalf("counts %d %d %d, of the lines %d %d %d",
			r.Differences, r.Spelling, r.Expected, differences, spelling, expect)
	}
}

func checkLine(t *testing.T, l compare.Line) {
	t.Helper()
	alike := l.Change == compare.Same || l.Change == compare.Moved
	marked := false
	for _, s := range append(slices.Clone(l.A), l.B...) {
		marked = marked || s.Differs
	}
	switch {
	case l.Section == 0, l.Section.String() == "invalid", l.Change.String() == "invalid",
		(l.A == nil) != (l.NoA == 0), (l.B == nil) != (l.NoB == 0),
		(l.Change == compare.Added) != (l.A == nil), (l.Change == compare.Removed) != (l.B == nil),
		alike && (l.Meaning || l.Why != "" || marked || compare.Text(l.A) != compare.Text(l.B)),
		!alike && l.Meaning != (l.Why == ""),
		l.Meaning && !marked && compare.Text(l.A)+compare.Text(l.B) != "":
		t.Fatalf("line %+v contradicts itself", l)
	}
}

// checkMirror holds that a comparison in the other direction gives the same lines.
func checkMirror(t *testing.T, forth, back *compare.Result) {
	t.Helper()
	mirrored := slices.Clone(back.Lines)
	for i := range mirrored {
		l := &mirrored[i]
		l.A, l.B, l.NoA, l.NoB = l.B, l.A, l.NoB, l.NoA
		switch l.Change {
		case compare.Added:
			l.Change = compare.Removed
		case compare.Removed:
			l.Change = compare.Added
		default:
		}
	}
	want := slices.Clone(forth.Lines)
	for _, lines := range [][]compare.Line{want, mirrored} {
		for i := range lines {
			lines[i].Name = "" // that of an unknown header is as its a writes it
		}
		slices.SortStableFunc(lines, func(k, l compare.Line) int {
			return cmp.Or(k.NoA-l.NoA, k.NoB-l.NoB, strings.Compare(compare.Text(k.A), compare.Text(l.A)),
				strings.Compare(compare.Text(k.B), compare.Text(l.B)))
		})
	}
	if !reflect.DeepEqual(want, mirrored) {
		t.Fatalf("(a, b) and (b, a) (-forth +back):\n%s", gocmp.Diff(want, mirrored))
	}
	if forth.Differences != back.Differences || forth.Spelling != back.Spelling || forth.Expected != back.Expected {
		t.Fatal("counts depend on the direction")
	}
}
