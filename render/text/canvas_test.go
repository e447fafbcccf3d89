package text

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		draw func(l *line)
		want string
	}{
		{"blank", func(*line) {}, "\n"},
		{"gap", func(l *line) { l.put(2, "a", plain) }, "  a\n"},
		{"trailing blanks", func(l *line) { l.put(0, "a", plain); l.put(5, "b", plain); l.clear(5) }, "a\n"},
		{"wide", func(l *line) { l.put(0, "日本", plain); l.put(4, "x", plain) }, "日本x\n"},
		{"over the right half", func(l *line) { l.put(0, "日本", plain); l.put(1, "x", plain) }, " x本\n"},
		{"over the left half", func(l *line) { l.put(0, "日本", plain); l.put(2, "x", plain) }, "日x\n"},
		{"wide over two", func(l *line) { l.put(0, "abcd", plain); l.put(1, "日", plain) }, "a日d\n"},
		{"limit", func(l *line) { l.limit = 3; l.put(0, "abcd", plain); l.put(9, "x", plain) }, "abc\n"},
		{"wide at the limit", func(l *line) { l.limit = 3; l.put(0, "a日日", plain) }, "a日\n"},
		{"mark", func(l *line) { l.put(0, "ae\u0301b", plain) }, "ae\u0301b\n"},
		{"mark on a wide one", func(l *line) { l.put(0, "日", plain); l.join(1, "\u0301") }, "日\u0301\n"},
		{"mark without a base", func(l *line) { l.put(1, "\u0301", plain) }, "\n"},
		{"many marks", func(l *line) {
			l.put(0, "a", plain)
			for range 99 {
				l.join(0, "\u0301")
			}
		}, "a" + strings.Repeat("\u0301", 31) + "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var l line
			c.draw(&l)
			if diff := cmp.Diff(c.want, string(l.appendTo(nil, false))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestColors(t *testing.T) {
	t.Parallel()
	var l line
	l.put(0, "a", red)
	l.put(1, "b", red)
	l.put(2, "c", bold)
	l.put(4, "d", plain)
	want := "\x1b[31mab\x1b[0;1mc \x1b[0md\n"
	if got := string(l.appendTo(nil, true)); got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestWrap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		s    string
		w    int
		want []string
	}{
		{"", 5, []string{""}},
		{"a b", 5, []string{"a b"}},
		{"aa bb cc", 5, []string{"aa bb", "cc"}},
		{"aa  bb", 3, []string{"aa", "bb"}},
		{"aaaaaaa b", 3, []string{"aaa", "aaa", "a b"}},
		{"日本語", 3, []string{"日", "本", "語"}},
		{"日本", 1, []string{"日", "本"}},
		{"abc", 0, []string{"a", "b", "c"}},
		{"  a", 5, []string{"a"}},
	} {
		if got := Wrap(c.s, c.w); !slices.Equal(got, c.want) {
			t.Errorf("Wrap(%q, %d) = %q, want %q", c.s, c.w, got, c.want)
		}
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		s    string
		w    int
		want string
	}{
		{"abc", 3, "abc"},
		{"abcd", 3, "ab…"},
		{"abcd", 1, "…"},
		{"abcd", 0, ""},
		{"日本語", 4, "日…"},
		{"日本語", 5, "日本…"},
	} {
		if got := cut(c.s, c.w, "…"); got != c.want {
			t.Errorf("cut(%q, %d) = %q, want %q", c.s, c.w, got, c.want)
		}
	}
	if got := cut("abcd", 2, "..."); got != "ab" {
		t.Errorf("%q", got)
	}
}

func TestBreakName(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		s    string
		w    int
		want []string
	}{
		{"10.0.0.1", 10, []string{"10.0.0.1"}},
		{"2001:db8:85a3:8d3:1319:8a2e:370:7348", 20, []string{"2001:db8:85a3:8d3:", "1319:8a2e:370:7348"}},
		{"abcdefgh", 3, []string{"abc", "def", "gh"}},
		{"日本", 1, []string{"日", "本"}},
	} {
		if got := breakName(c.s, c.w); !slices.Equal(got, c.want) {
			t.Errorf("breakName(%q, %d) = %q, want %q", c.s, c.w, got, c.want)
		}
	}
}
