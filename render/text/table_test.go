package text_test

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"sipscope/render/text"
)

func sample() *text.Table {
	t := &text.Table{Columns: []text.TableColumn{
		{Title: "#", Right: true},
		{Title: "FROM", Min: 6},
		{Title: "STATE", Color: func(string) text.Color { return text.Green }},
		{Title: "CALL-ID", Min: 8, Max: 20},
	}}
	t.Add("1", "alice@atlanta.example.com", "completed", "3848276298220188511@atlanta.example.com")
	t.Add("10", "山田太郎\x1b[0m", "busy", "x", "dropped")
	t.Add("2")
	return t
}

func TestTable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		opts text.TableOptions
		want string
	}{
		{
			name: "whole",
			want: `
 #  FROM                       STATE      CALL-ID
 1  alice@atlanta.example.com  completed  3848276298220188511@atlanta.example.com
10  山田太郎\x1b[0m            busy       x
 2
`,
		},
		{
			name: "80", opts: text.TableOptions{Width: 80},
			want: `
 #  FROM                       STATE      CALL-ID
 1  alice@atlanta.example.com  completed  3848276298220188511…
10  山田太郎\x1b[0m            busy       x
 2
`,
		},
		{
			name: "50", opts: text.TableOptions{Width: 50},
			want: `
 #  FROM              STATE      CALL-ID
 1  alice@atlanta.e…  completed  384827629822018…
10  山田太郎\x1b[0m   busy       x
 2
`,
		},
		{
			name: "nothing fits", opts: text.TableOptions{Width: 12},
			want: `
 #  FROM
 1  alice…
10  山田…
 2
`,
		},
		{
			name: "ascii without header", opts: text.TableOptions{Width: 60, ASCII: true, NoHeader: true},
			want: `
 1  alice@atlanta.exampl...  completed  38482762982201885...
10  \u5c71\u7530\u592a\u...  busy       x
 2
`,
		},
		{
			name: "color", opts: text.TableOptions{Width: 50, Color: true, NoHeader: true},
			want: "\n 1  alice@atlanta.e…  \x1b[32mcompleted  \x1b[0m384827629822018…\n" +
				"10  山田太郎\\x1b[0m   \x1b[32mbusy       \x1b[0mx\n 2\n",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			if err := sample().Write(&b, c.opts); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.TrimPrefix(c.want, "\n"), b.String()); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestTableWidths: no line is wider than the terminal, however narrow it is.
func TestTableWidths(t *testing.T) {
	t.Parallel()
	for width := 1; width < 100; width++ {
		for _, ascii := range []bool{false, true} {
			var b bytes.Buffer
			if err := sample().Write(&b, text.TableOptions{Width: width, ASCII: ascii}); err != nil {
				t.Fatal(err)
			}
			for s := range strings.Lines(b.String()) {
				if w := text.Width(strings.TrimSuffix(s, "\n")); w > width {
					t.Fatalf("%d cells at %d: %q", w, width, s)
				}
			}
		}
	}
}

func TestEmptyTable(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	tab := text.Table{Columns: []text.TableColumn{{Title: "A"}, {Title: "B"}}}
	if err := tab.Write(&b, text.TableOptions{Width: 80}); err != nil || b.String() != "A  B\n" || tab.Len() != 0 {
		t.Errorf("%q %v", b.String(), err)
	}
}

var errFull = errors.New("disk full")

// full fails after some bytes.
type full struct{ left int }

func (f *full) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestTableError(t *testing.T) {
	t.Parallel()
	tab := text.Table{Columns: []text.TableColumn{{Title: "A"}}}
	for i := range 20000 {
		tab.Add(strconv.Itoa(i))
	}
	if err := tab.Write(&full{left: 1000}, text.TableOptions{}); !errors.Is(err, errFull) {
		t.Errorf("%v", err)
	}
}

func BenchmarkTable(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		tab := sample()
		for range 1000 {
			tab.Add("10", "alice@atlanta.example.com", "completed", "3848276298220188511@atlanta.example.com")
		}
		var out bytes.Buffer
		if err := tab.Write(&out, text.TableOptions{Width: 100}); err != nil {
			b.Fatal(err)
		}
	}
}
