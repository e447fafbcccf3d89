package text_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"sipscope/render/text"
)

func TestClean(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want, ascii string }{
		{name: "empty"},
		{"plain", `alice "A" <sip:a@b>\`, `alice "A" <sip:a@b>\`, `alice "A" <sip:a@b>\`},
		{"controls", "a\x00\x1b[31m\x7f\r\n\tb", `a\x00\x1b[31m\x7f\r\n\tb`, `a\x00\x1b[31m\x7f\r\n\tb`},
		{"C1", "a\u009bb\u0085", `a\u009bb\u0085`, `a\u009bb\u0085`},
		{"title of a terminal", "\x1b]0;x\a", `\x1b]0;x\x07`, `\x1b]0;x\x07`},
		{"bidi", "a\u202eb\u2066c\u200f", `a\u202eb\u2066c\u200f`, `a\u202eb\u2066c\u200f`},
		{"zero width", "a\u200bb\u2060c\ufeff\u00ad", `a\u200bb\u2060c\ufeff\u00ad`, `a\u200bb\u2060c\ufeff\u00ad`},
		{"line ends", "a\u2028b\u2029", `a\u2028b\u2029`, `a\u2028b\u2029`},
		{"not UTF-8", "a\xff\xc3(\xed\xa0\x80\xc0\x80", `a\xff\xc3(\xed\xa0\x80\xc0\x80`, `a\xff\xc3(\xed\xa0\x80\xc0\x80`},
		{"a true replacement character", "\ufffd", "\ufffd", `\ufffd`},
		{"scripts", "日本 علي Ünï", "日本 علي Ünï", `\u65e5\u672c \u0639\u0644\u064a \u00dcn\u00ef`},
		{"emoji", "😀", "😀", `\U0001f600`},
		{"tags and private", "\U000e0041\ue000\U0010ffff", `\U000e0041\ue000\U0010ffff`, `\U000e0041\ue000\U0010ffff`},
		{"fillers", "\u3164\u115f\u2800", `\u3164\u115f\u2800`, `\u3164\u115f\u2800`},
		{"marks", "e\u0301", "e\u0301", `e\u0301`},
		{"a mark at the start", "\u0301a", `\u0301a`, `\u0301a`},
		{"a pile of marks", "e" + strings.Repeat("\u0301", 6), "e" + strings.Repeat("\u0301", 4) + `\u0301\u0301`, "e" + strings.Repeat(`\u0301`, 6)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := text.Clean(c.in); got != c.want {
				t.Errorf("Clean: %q, want %q", got, c.want)
			}
			if got := text.CleanASCII(c.in); got != c.ascii {
				t.Errorf("CleanASCII: %q, want %q", got, c.ascii)
			}
		})
	}
}

func TestCleanAllocates(t *testing.T) { //nolint:paralleltest // AllocsPerRun must not run in parallel
	if n := testing.AllocsPerRun(100, func() { _ = text.Clean("alice@example.com;tag=1") }); n != 0 {
		t.Errorf("%v allocations for a clean string", n)
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"alice", "\x1b]0;x\a", "\u202e", "\xff\xfe", "日本\u0301", "👩\u200d👧", "\u009b31m", "\u1160"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := text.Clean(s)
		if !utf8.ValidString(got) {
			t.Fatalf("%q is no UTF-8", got)
		}
		for _, r := range got {
			if !unicode.IsGraphic(r) || unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp) {
				t.Fatalf("%U in %q", r, got)
			}
		}
		if text.Clean(got) != got {
			t.Fatalf("%q is not stable", got)
		}
		if s != "" && uniseg.StringWidth(got) == 0 {
			t.Fatalf("%q shows nothing", got)
		}
		for _, c := range []byte(text.CleanASCII(s)) {
			if c < 0x20 || c > 0x7e {
				t.Fatalf("%q is no ASCII", text.CleanASCII(s))
			}
		}
	})
}
