package many

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestValues(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, in string
		rows     []map[string]string
	}{
		{"plain", "user,pass\nalice,s3cret\nbob,\"a,b\"\n", []map[string]string{{"user": "alice", "pass": "s3cret"}, {"user": "bob", "pass": "a,b"}}},
		{"one column", "user\nalice\n", []map[string]string{{"user": "alice"}}},
		{"semicolons", "a;b\n1;2\n", []map[string]string{{"a": "1", "b": "2"}}},
		{"CRLF, comment, mark", "\ufeffa,b\r\n# no\r\n1,2\r\n", []map[string]string{{"a": "1", "b": "2"}}},
		{"UTF-8 and blanks", "a\nÄ b\n", []map[string]string{{"a": "Ä b"}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v, err := ReadValues(strings.NewReader(tt.in), "v.csv")
			if err != nil {
				t.Fatal(err)
			}
			for n := range uint64(5) {
				if d := cmp.Diff(tt.rows[int(n)%len(tt.rows)], v.Row(n)); d != "" {
					t.Errorf("row %d (-want +got)\n%s", n, d)
				}
			}
			if v.Len() != len(tt.rows) || len(v.Names()) != len(tt.rows[0]) {
				t.Errorf("%d rows, names %v", v.Len(), v.Names())
			}
		})
	}
	var none *Values
	if none.Row(3) != nil || none.Len() != 0 || none.Names() != nil {
		t.Error("nil has rows")
	}
}

func TestValuesBad(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want string }{
		{"empty", "", "v.csv:1: "},
		{"no row", "a,b\n", "v.csv:1: "},
		{"bad name", "a b,c\n1,2\n", "no name of a column"},
		{"no name", "a,,c\n1,2,3\n", "no name of a column"},
		{"twice", "a,a\n1,2\n", "two columns"},
		{"short row", "a,b\n1,2\n3\n", "line 3"},
		{"quote", "a,b\n1,\"2\n", "line"},
		{"quote at the end", "0\n\"0", "line"},
		{"a header's end", "a,b\n1,2\nx,\"y\r\nEvil: 1\"\n", "v.csv:3: "},
		{"NUL", "a\nx\x00y\n", "control character"},
		{"long", "a\n" + strings.Repeat("x", maxValue+1) + "\n", "v.csv:2: "},
		{"many columns", strings.Repeat("a,", maxColumns) + "b\n", "65 columns"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := ReadValues(strings.NewReader(tt.in), "v.csv")
			if !errors.Is(err, ErrValues) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// endless is a table without an end.
type endless struct{ begun bool }

func (e *endless) Read(p []byte) (int, error) {
	row := "0123456789abcdef\n"
	if !e.begun {
		e.begun = true
		return copy(p, "a\n"), nil
	}
	n := 0
	for n+len(row) <= len(p) {
		n += copy(p[n:], row)
	}
	return n, nil
}

func TestValuesEndless(t *testing.T) {
	t.Parallel()
	if _, err := ReadValues(&endless{}, "v.csv"); !errors.Is(err, ErrValues) {
		t.Errorf("%v", err)
	}
}

func FuzzValues(f *testing.F) {
	f.Add("user,pass\nalice,s3cret\n")
	f.Add("a;b\n1;\"x\ny\"\n")
	f.Add("0\n\"0") // a quote that is not closed: there is no field whose line could be asked for
	f.Fuzz(func(t *testing.T, in string) {
		v, err := ReadValues(strings.NewReader(in), "v.csv")
		if err != nil {
			if !errors.Is(err, ErrValues) {
				t.Errorf("%v", err)
			}
			return
		}
		for n := range uint64(v.Len()) {
			row := v.Row(n)
			if len(row) != len(v.Names()) {
				t.Fatalf("row %d has %d values", n, len(row))
			}
			for name, value := range row {
				if name == "" || strings.ContainsAny(value, "\r\n\x00") {
					t.Fatalf("%q: %q", name, value)
				}
			}
		}
	})
}
