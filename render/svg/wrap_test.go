package svg

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sipscope/render/text"
)

func TestWrap(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		s    string
		w    int
		want []string
	}{
		{"", 5, nil},
		{"one", 5, []string{"one"}},
		{"one two", 5, []string{"one", "two"}},
		{"one two", 7, []string{"one two"}},
		{"onetwothree", 5, []string{"onetw", "othre", "e"}},
		{"a · b → c ×3", 5, []string{"a · b", "→ c", "×3"}},
		{"界界界", 4, []string{"界界", "界"}},
		{"界界", 1, []string{"界", "界"}},
		{"abe\u0301cd", 3, []string{"abe\u0301", "cd"}},
		{"abc\u0301", 3, []string{"abc\u0301"}},
		{"  a  ", 1, []string{"a"}},
		{"ab  cd", 3, []string{"ab", "cd"}},
		{"a", 0, []string{"a"}},
	} {
		var got []string
		for s := strings.TrimRight(tt.s, " "); s != ""; {
			var line string
			line, s = wrapLine(s, tt.w)
			got = append(got, line)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%q in %d (-want +got):\n%s", tt.s, tt.w, diff)
		}
		if n := countLines(strings.TrimRight(tt.s, " "), tt.w); n != len(tt.want) {
			t.Errorf("%q in %d: counted %d lines, want %d", tt.s, tt.w, n, len(tt.want))
		}
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		s    string
		w    int
		want string
	}{
		{"INVITE", 6, "INVITE"}, {"INVITE", 5, "INVI…"}, {"界界界", 5, "界界…"}, {"界界界", 4, "界…"}, {"abe\u0301x", 3, "ab…"}, {"ab", 0, "…"}, {"a ×12", 5, "a ×12"},
	} {
		if got := cut(tt.s, tt.w); got != tt.want {
			t.Errorf("%q in %d: %q, want %q", tt.s, tt.w, got, tt.want)
		}
	}
}

func TestEscape(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]string{
		"":                "",
		"180 Ringing":     "180 Ringing",
		`<a b="c">&'`:     "&lt;a b=&quot;c&quot;&gt;&amp;&#39;",
		"a\x00\x1f\tb":    "a\ufffd\ufffd\ufffdb",
		"\xff界\ufffe\xc3": "\ufffd界\ufffd\ufffd",
		"\ufffd\u007f":    "\ufffd\u007f",
		"\U0001f600":      "\U0001f600",
	} {
		if got := string(appendEscaped(nil, s)); got != want {
			t.Errorf("%q becomes %q, want %q", s, got, want)
		}
	}
}

// FuzzWrap: no line is wider than it may be, unless one character is, and nothing but blanks is lost.
func FuzzWrap(f *testing.F) {
	f.Add("one two three", 5)
	f.Add("界\u0301 → ×·👩\u200d👧", 3)
	f.Fuzz(func(t *testing.T, s string, w int) {
		s = text.Clean(s)
		w = w&63 + 1
		var b strings.Builder
		for rest := s; rest != ""; {
			var line string
			before := len(rest)
			line, rest = wrapLine(rest, w)
			if len(rest) >= before {
				t.Fatalf("%q in %d: %q is left", s, w, rest)
			}
			if text.Width(line) > w && len(takeClusters(line, 2)) != len(line) {
				t.Fatalf("%q in %d: %q takes %d", s, w, line, text.Width(line))
			}
			b.WriteString(line)
		}
		if got, want := strings.ReplaceAll(b.String(), " ", ""), strings.ReplaceAll(s, " ", ""); got != want {
			t.Fatalf("%q in %d becomes %q", want, w, got)
		}
		if width(s) != text.Width(s) {
			t.Fatalf("%q: %d, want %d", s, width(s), text.Width(s))
		}
	})
}
