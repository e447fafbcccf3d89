package watch

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"sipscope/correlate"
)

func TestClean(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ in, want string }{
		{"", ""},
		{"sip:alice@example.com", "sip:alice@example.com"},
		{`$(touch /tmp/x);"'`, `$(touch /tmp/x);"'`},
		{"a=b", "a=b"},
		{"a\x00b\r\nc\td\x7fe\u0085f", "a b  c d e f"},
		{"\x1b]0;title\x07", " ]0;title "},
		{"\u202eabc\u2028d\u2066", " abc d "},
		{"M\u00fcller \u4e2d\U0001f600", "M\u00fcller \u4e2d\U0001f600"},
		{"\xff\xc3", "\ufffd\ufffd"},
		{strings.Repeat("x", maxValue), strings.Repeat("x", maxValue)},
		{strings.Repeat("x", maxValue) + "y", strings.Repeat("x", maxValue)},
		{strings.Repeat("x", maxValue-1) + "\u00fc" + "y", strings.Repeat("x", maxValue-1)},
		{strings.Repeat("\xff", 65536), strings.Repeat("\ufffd", maxValue/3)},
	} {
		if got := clean(tt.in); got != tt.want {
			t.Errorf("%.40q: %.80q, want %.80q", tt.in, got, tt.want)
		}
	}
}

// FuzzClean: a value is short, whole UTF-8 without characters that act, is not changed by cleaning it again, and honest
// short text stays as it is.
func FuzzClean(f *testing.F) {
	for _, s := range []string{"", "a\x00b", "\u202e", "\xff\xfe", strings.Repeat("\u00fc", 600), `$(touch /tmp/x);"'`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s)
		if len(got) > maxValue || !utf8.ValidString(got) {
			t.Fatalf("%d bytes, valid %v", len(got), utf8.ValidString(got))
		}
		for _, r := range got {
			if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029' {
				t.Fatalf("%q holds %q", got, r)
			}
		}
		if again := clean(got); again != got {
			t.Fatalf("%q becomes %q", got, again)
		}
		if len(s) <= maxValue && utf8.ValidString(s) && !strings.ContainsFunc(s, hidden) && got != s {
			t.Fatalf("%q becomes %q", s, got)
		}
		for _, v := range variables(&correlate.Summary{CallID: s, Reason: s, Method: s}) {
			name, value, ok := strings.Cut(v, "=")
			if !ok || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") != "" || len(value) > maxValue {
				t.Fatalf("variable %q", v)
			}
		}
	})
}

// chunks notes what was written at a time.
type chunks struct {
	got  []string
	fail bool
}

func (c *chunks) Write(p []byte) (int, error) {
	c.got = append(c.got, string(p))
	if c.fail {
		return 0, errors.New("gone")
	}
	return len(p), nil
}

// Lines reach the writer whole, whatever the pieces that they come in, and a writer that fails does not stop a command.
func TestOutput(t *testing.T) {
	t.Parallel()
	for _, fail := range []bool{false, true} {
		c := &chunks{fail: fail}
		o := newOutput(c)
		for _, piece := range []string{"on", "e\ntwo\nth", "ree", "", "\n", "\xc3", "\xbc"} {
			if n, err := o.Write([]byte(piece)); n != len(piece) || err != nil {
				t.Errorf("%q: %d, %v", piece, n, err)
			}
		}
		o.end()
		if got := strings.Join(c.got, "|"); got != "one\ntwo\n|three\n|\u00fc\n" {
			t.Errorf("%q", got)
		}
	}
}

// A command that prints one endless line costs no more than the bound.
func TestOutputBound(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	o := newOutput(&b)
	piece := bytes.Repeat([]byte("x"), 1000)
	for range 1000 {
		if n, err := o.Write(piece); n != len(piece) || err != nil {
			t.Fatal(n, err)
		}
	}
	if cap(o.line) > 2*maxOutput {
		t.Errorf("%d bytes are held", cap(o.line))
	}
	o.end()
	if want := strings.Repeat("x", maxOutput) + "\n(934464 more bytes not shown)\n"; b.String() != want {
		t.Errorf("%d bytes, want %d: %q", b.Len(), len(want), b.String()[maxOutput-10:])
	}
}
