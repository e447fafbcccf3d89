package pair

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"

	"sipscope/correlate/diff"
)

// poison is what a capture may have anywhere: ends of comments, sections, attributes and scripts, control characters, turned
// text, bytes that are no UTF-8, and long.
var poison = []string{
	"\x1b]0;x\x07\x1b[31m\u009b2J\u202e", `</script><script>alert(1)</script><img src=x onerror=alert(1)>"' onload='x`, "]]>--><!--<![CDATA[&x;&#0;",
	"\xff\xfe\xc0\x80\xed\xa0\x80", "\x00\u2028\ufeff", "\r\nInjected: yes\r\n\r\n", strings.Repeat("<a b='", 3000), "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>&e;",
}

// poisoned is a report all of whose texts are hostile.
func poisoned(p string) *Report {
	r := made()
	for i := range r.Who {
		r.Who[i].Name = p
	}
	r.Headline, r.A.Name, r.B.Name = p, p, p
	for i := range r.Rows {
		for k := range r.Rows[i].Differences {
			d := &r.Rows[i].Differences[k]
			d.Where, d.A, d.B, d.Text = p, p, p, p
		}
	}
	for _, f := range []*diff.Flow{&r.A, &r.B} {
		s := &f.Calls[0].Summary
		s.CallID, s.Method, s.Reason, s.From.User, s.To.User = p, p, p, p, p
		for k := range f.Calls[0].Messages {
			f.Calls[0].Messages[k].Method = p
		}
		f.Text = func(int, int) []byte {
			return []byte("INVITE sip:" + p + " SIP/2.0\r\nSubject: " + p + "\r\nX" + p + ": 1\r\n\r\n" + p)
		}
	}
	pair := New(r)
	pair.Headline = p
	return &Report{A: p, B: p, Title: p, Version: p, Notes: []string{p, p}, Pairs: []Pair{pair, New(same())}}
}

var element = regexp.MustCompile(`(?i)<(img|iframe|object|embed|link|base|form|svg\s+on)|\son[a-z]+\s*=\s*['"]?x|javascript:`)

// dataBlock is a block of data, which is text up to its end.
var dataBlock = regexp.MustCompile(`(?s)<script type="[a-z/]+" id="[a-z0-9-]+">[^<]*</script>`)

// Every format stays what it is, for those who read it: no control character on a terminal, XML that is well-formed, JSON,
// and a page with the scripts of its own alone.
func TestHostileFormats(t *testing.T) {
	t.Parallel()
	clean, err := scriptsOf(many())
	if err != nil {
		t.Fatal(err)
	}
	if clean == 0 {
		t.Fatal("a page without scripts")
	}
	for _, p := range poison {
		r := poisoned(p)
		var out bytes.Buffer
		for _, o := range []TextOptions{{Width: 140}, {Width: 60}, {Width: 200, ASCII: true, Details: -1}} {
			if err := r.WriteText(&out, o); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range out.String() {
			if c < ' ' && c != '\n' || c >= 0x7f && c < 0xa0 || c >= 0x202a && c <= 0x202e {
				t.Fatalf("%.20q: the text has %#x", p, c)
			}
		}
		out.Reset()
		if err := r.WriteJUnit(&out, true); err != nil {
			t.Fatal(err)
		}
		for d := xml.NewDecoder(&out); ; {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%.20q: JUnit: %v", p, err)
			}
			if s, ok := token.(xml.StartElement); ok && !strings.Contains(" testsuites testsuite testcase failure system-out ", " "+s.Name.Local+" ") {
				t.Errorf("%.20q: an element %s", p, s.Name.Local)
			}
		}
		out.Reset()
		if err := r.WriteJSON(&out); err != nil {
			t.Fatal(err)
		}
		if !json.Valid(out.Bytes()) {
			t.Errorf("%.20q: no JSON", p)
		}
		out.Reset()
		if err := r.WriteHTML(&out, 0); err != nil {
			t.Fatal(err)
		}
		if found := element.Find(dataBlock.ReplaceAll(out.Bytes(), nil)); found != nil {
			t.Errorf("%.20q: the page has %q", p, found)
		}
		r.Pairs = append(r.Pairs, r.Pairs[:2]...) // as many as the other has
		if n, err := scriptsOf(r); err != nil || n != clean {
			t.Errorf("%.20q: %d blocks of script, %d in a page without harm: %v", p, n, clean, err)
		}
	}
}

func scriptsOf(r *Report) (int, error) {
	r.Pairs = append(r.Pairs[:2:2], r.Pairs[:2]...)
	var out bytes.Buffer
	err := r.WriteHTML(&out, 0)
	return bytes.Count(bytes.ToLower(out.Bytes()), []byte("<script")), err
}

// largest notes the largest piece that is written at once.
type largest struct{ n, all int }

func (l *largest) Write(b []byte) (int, error) {
	l.n, l.all = max(l.n, len(b)), l.all+len(b)
	return len(b), nil
}

// A call of any number of messages is written as it is made: JSON in pieces, and a page with a bound of lines.
func TestLongCall(t *testing.T) {
	t.Parallel()
	r := made()
	rows := r.Rows
	for len(r.Rows) < 20_000 {
		r.Rows = append(r.Rows, rows...)
	}
	rep := &Report{A: "a", B: "b", Pairs: []Pair{New(r)}}
	var out largest
	if err := rep.WriteJSON(&out); err != nil {
		t.Fatal(err)
	}
	if out.all < 5_000_000 || out.n > 200_000 {
		t.Errorf("%d bytes, %d of them at once", out.all, out.n)
	}
	e := encoder{clean: asIs, all: true, limit: pageLines}
	if err := e.write(io.Discard, &rep.Pairs[0]); err != nil {
		t.Fatal(err)
	}
	if e.cut != (e.left <= 0) {
		t.Error("what is left out is not told")
	}
	if used := pageAll - e.left; used < 100_000 || used > pageAll+pageLines {
		t.Errorf("%d lines", used)
	}
}
