package text_test

import (
	"bytes"
	"strings"
	"testing"

	"sipscope/correlate"
	"sipscope/render/ladder"
	"sipscope/render/ladder/laddertest"
	"sipscope/render/text"
)

// A stream says what the whole ladder says, whatever pieces its rows come in, and names the participants again only
// when they change.
func TestStream(t *testing.T) {
	t.Parallel()
	made := laddertest.TwoProxies()
	l := ladder.Build([]correlate.Call{made.Call}, laddertest.Text(made), ladder.Options{Unfold: true})
	for _, width := range []int{0, 160, 100, 70, 40} {
		for _, step := range []int{1, 3, len(l.Rows)} {
			var out, whole bytes.Buffer
			if err := text.Ladder(&whole, &l, text.Options{Width: width, HeaderEvery: -1}); err != nil {
				t.Fatal(err)
			}
			s := text.NewStream(&out, text.Options{Width: width, HeaderEvery: -1})
			for from := 0; from < len(l.Rows); from += step {
				if err := s.Draw(l.Columns, l.Calls, l.Rows[from:min(from+step, len(l.Rows))]); err != nil {
					t.Fatal(err)
				}
			}
			want, got := words(whole.String()), words(out.String())
			for i := range l.Rows {
				r := &l.Rows[i]
				if r.Kind == ladder.State {
					continue
				}
				if label := strings.Fields(r.Label)[0]; got[label] < min(want[label], 1) {
					t.Errorf("width %d, %d rows at a time: %q is missing:\n%s", width, step, label, out.String())
				}
			}
			if n := strings.Count(out.String(), "┬"); width == 160 && n != len(l.Columns) {
				t.Errorf("%d rows at a time: %d heads of lifelines, want %d", step, n, len(l.Columns))
			}
			for line := range strings.Lines(out.String()) {
				if w := text.Width(strings.TrimRight(line, "\n")); width > 0 && w > width {
					t.Errorf("width %d: a line of %d: %s", width, w, line)
				}
			}
			if n := strings.Count(out.String(), "#1"); n < 14 {
				t.Errorf("%d numbers of calls", n)
			}
		}
	}
}

// Somebody new gets a lifeline under a new header.
func TestStreamColumns(t *testing.T) {
	t.Parallel()
	made := laddertest.TwoProxies()
	l := ladder.Build([]correlate.Call{made.Call}, laddertest.Text(made), ladder.Options{})
	var out bytes.Buffer
	s := text.NewStream(&out, text.Options{Width: 120})
	for _, n := range []int{2, 2, 3} {
		if err := s.Draw(l.Columns[:n], l.Calls, l.Rows[:1]); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(out.String(), "┬"); n != 5 {
		t.Errorf("%d heads:\n%s", n, out.String())
	}
	if n := strings.Count(out.String(), "12:00"); n != 1 {
		t.Errorf("%d times of day:\n%s", n, out.String())
	}
}

// words counts them.
func words(s string) map[string]int {
	all := map[string]int{}
	for w := range strings.FieldsSeq(s) {
		all[w]++
	}
	return all
}
