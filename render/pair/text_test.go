package pair

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"sipscope/correlate/diff"
	"sipscope/render/text"
)

func TestTextGoldens(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		name string
		r    *Report
		o    TextOptions
	}{
		{"wide-160.txt", one(), TextOptions{Width: 160}},
		{"wide-120-ascii.txt", one(), TextOptions{Width: 120, ASCII: true}},
		{"merged-80.txt", one(), TextOptions{Width: 80}},
		{"merged-80-color.txt", one(), TextOptions{Width: 80, Color: true}},
		{"list-40.txt", one(), TextOptions{Width: 40}},
		{"unbounded.txt", one(), TextOptions{}},
		{"many-100.txt", many(), TextOptions{Width: 100, Details: -1}},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			if err := x.r.WriteText(&b, x.o); err != nil {
				t.Fatal(err)
			}
			golden(t, x.name, b.Bytes())
		})
	}
}

// No line is wider than the terminal, at any width, and the first line tells what is wrong.
func TestTextWidths(t *testing.T) {
	t.Parallel()
	for w := 24; w <= 220; w += 3 {
		for _, ascii := range []bool{false, true} {
			var b bytes.Buffer
			if err := one().WriteText(&b, TextOptions{Width: w, ASCII: ascii}); err != nil {
				t.Fatal(err)
			}
			for i, l := range strings.Split(b.String(), "\n") {
				if n := text.Width(l); n > w {
					t.Errorf("width %d: line %d takes %d cells: %q", w, i+1, n, l)
				}
				if strings.TrimRight(l, " ") != l {
					t.Errorf("width %d: line %d ends with blanks", w, i+1)
				}
			}
			if ascii {
				for i, c := range b.Bytes() {
					if c >= 0x80 || c < ' ' && c != '\n' {
						t.Fatalf("width %d: byte %#x at %d", w, c, i)
					}
				}
			}
			first, _, _ := strings.Cut(b.String(), "\n")
			if !strings.HasPrefix(first, "DIFFERS at row 4:") {
				t.Errorf("width %d: the first line is %q", w, first)
			}
		}
	}
}

// Colours add nothing but escape sequences that are closed on their line, and leave out only the marks below lines.
func TestTextColor(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := one().WriteText(&b, TextOptions{Width: 120, Color: true}); err != nil {
		t.Fatal(err)
	}
	for i, l := range strings.Split(b.String(), "\n") {
		if on, off := strings.Count(l, "\x1b[")-strings.Count(l, "\x1b[0m"), strings.Count(l, "\x1b[0m"); on != off {
			t.Errorf("line %d: %d styles begin and %d end: %q", i+1, on, off, l)
		}
	}
	if !strings.Contains(b.String(), "\x1b[7;32m") {
		t.Error("nothing inside a line is marked")
	}
}

// What the wire says is hostile in every field.
func TestTextHostile(t *testing.T) {
	t.Parallel()
	r := hostile()
	for _, o := range []TextOptions{{Width: 140}, {Width: 80, Color: true}, {Width: 30}, {ASCII: true}} {
		var b bytes.Buffer
		if err := r.WriteText(&b, o); err != nil {
			t.Fatal(err)
		}
		got := b.String()
		if o.Color {
			for _, st := range []style{bold, dim, red, green, yellow, magenta, cyan, alarm, gone, come, "0"} {
				got = strings.ReplaceAll(got, "\x1b["+string(st)+"m", "")
			}
		}
		for i, c := range got {
			if c < ' ' && c != '\n' || c >= 0x7f && c < 0xa0 || c == 0x202e {
				t.Fatalf("%+v: character %#x at %d: %q", o, c, i, got[max(0, i-40):i+1])
			}
		}
	}
}

// hostileText is what a terminal would obey, a page would run, and XML could not hold.
const hostileText = "\x1b]0;owned\x07\x1b[31m</script><script>window.owned=1</script>\u202e\x00\xff]]>&\"'\r\n<img src=x onerror=window.owned=1>"

// hostile has such texts wherever a Result has texts.
func hostile() *Report {
	r := made()
	r.Headline = hostileText
	for i := range r.Who {
		r.Who[i].Name = fmt.Sprint(hostileText, i)
	}
	for i := range r.Rows {
		for j := range r.Rows[i].Differences {
			d := &r.Rows[i].Differences[j]
			d.Where, d.A, d.B, d.Text = hostileText, hostileText, hostileText, hostileText
		}
	}
	read := r.B.Text
	r.B.Text = func(call, message int) []byte {
		raw := bytes.Replace(read(call, message), []byte("\r\n"), []byte("\r\nSubject: "+strings.ReplaceAll(hostileText, "\r\n", "")+"\r\n"), 1)
		return raw
	}
	for _, f := range []*diff.Flow{&r.A, &r.B} {
		s := &f.Calls[0].Summary
		s.CallID, s.From.User, s.To.Host, s.Reason, s.Method = hostileText, hostileText, hostileText, hostileText, hostileText
		for i := range f.Calls[0].Messages {
			if m := &f.Calls[0].Messages[i]; m.Status == 0 {
				m.Method = hostileText
			}
		}
	}
	return &Report{A: hostileText, B: hostileText, Notes: []string{hostileText}, Title: hostileText, Version: "test", Pairs: []Pair{New(r)}}
}

// References that lead nowhere are drawn as nothing, and break nothing.
func TestOdd(t *testing.T) {
	t.Parallel()
	r := made()
	r.Rows[0].A = diff.Ref{Call: 7, Message: 1}
	r.Rows[1].B = diff.Ref{Call: 0, Message: 700}
	r.Rows[2].A, r.Rows[2].B = diff.Ref{Message: -1}, diff.Ref{Message: -1}
	r.Rows[3].From, r.Rows[3].To = -1, 99
	r.Rows[4].Verdict = 200
	r.Rows[5].Differences = make([]diff.Difference, 40)
	r.Who = nil
	empty := &diff.Result{First: -1, Headline: "same"}
	noText := made()
	noText.A.Text, noText.B.Text = nil, nil
	for _, x := range []*diff.Result{r, empty, noText} {
		rep := &Report{A: "a", B: "b", Pairs: []Pair{New(x)}}
		for _, w := range []int{0, 1, 10, 50, 90, 200} {
			if err := rep.WriteText(&bytes.Buffer{}, TextOptions{Width: w}); err != nil {
				t.Fatal(err)
			}
		}
		for name, write := range formats(rep) {
			if err := write(&bytes.Buffer{}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	nothing := &Report{A: "a", B: "b"}
	for name, write := range formats(nothing) {
		if err := write(&bytes.Buffer{}); err != nil {
			t.Errorf("%s of nothing: %v", name, err)
		}
	}
}

// failing is a writer that takes n bytes.
type failing struct{ n int }

var errFull = errors.New("full")

func (f *failing) Write(p []byte) (int, error) {
	if f.n -= len(p); f.n < 0 {
		return 0, errFull
	}
	return len(p), nil
}

// A writer's error is what every format gives.
func TestWriteErrors(t *testing.T) {
	t.Parallel()
	for name, write := range formats(many()) {
		for _, n := range []int{0, 100} {
			if err := write(&failing{n}); !errors.Is(err, errFull) {
				t.Errorf("%s after %d bytes: %v", name, n, err)
			}
		}
	}
}

func BenchmarkText(b *testing.B) {
	r := one()
	b.ReportAllocs()
	for b.Loop() {
		if err := r.WriteText(&bytes.Buffer{}, TextOptions{Width: 140}); err != nil {
			b.Fatal(err)
		}
	}
}

func FuzzText(f *testing.F) {
	f.Add("INVITE sip:a SIP/2.0\r\nSubject: x\r\n\r\nv=0\r\n", "SIP/2.0 200 OK\r\n\r\n", "name", 80)
	f.Add(hostileText, "\xff", hostileText, 33)
	f.Fuzz(func(t *testing.T, rawA, rawB, name string, width int) {
		width %= 300
		r := made()
		r.Who[1].Name, r.Headline, r.Rows[3].Differences[0].Text = name, name, name
		r.A.Text = func(int, int) []byte { return []byte(rawA) }
		r.B.Text = func(int, int) []byte { return []byte(rawB) }
		rep := &Report{A: name, B: "b", Pairs: []Pair{New(r)}}
		var out bytes.Buffer
		if err := rep.WriteText(&out, TextOptions{Width: max(width, 0)}); err != nil {
			t.Fatal(err)
		}
		for l := range strings.SplitSeq(out.String(), "\n") {
			if n := text.Width(l); width >= 24 && n > width {
				t.Errorf("width %d: %d cells: %q", width, n, l)
			}
			for _, c := range l {
				if c < ' ' || c >= 0x7f && c < 0xa0 {
					t.Fatalf("character %#x in %q", c, l)
				}
			}
		}
		for _, write := range formats(rep) {
			if err := write(&bytes.Buffer{}); err != nil {
				t.Fatal(err)
			}
		}
	})
}
