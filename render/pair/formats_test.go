package pair

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"html"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"sipscope/correlate"
	"sipscope/correlate/diff"
)

// formats are all ways to write a report.
func formats(r *Report) map[string]func(io.Writer) error {
	return map[string]func(io.Writer) error{
		"text":  func(w io.Writer) error { return r.WriteText(w, TextOptions{}) },
		"json":  r.WriteJSON,
		"junit": func(w io.Writer) error { return r.WriteJUnit(w, false) },
		"html":  func(w io.Writer) error { return r.WriteHTML(w, 0) },
	}
}

func TestGoldens(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]*Report{"one": one(), "many": many()} {
		for _, format := range []string{"json", "junit"} {
			var b bytes.Buffer
			if err := formats(r)[format](&b); err != nil {
				t.Fatal(err)
			}
			got := b.Bytes()
			if format == "json" {
				var pretty bytes.Buffer
				if err := json.Indent(&pretty, got, "", " "); err != nil {
					t.Fatal(err)
				}
				got = pretty.Bytes()
			}
			golden(t, name+"."+format, got)
		}
	}
}

// The names of all members are in docs/diff.md, and those that it lists are written.
func TestContract(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "diff.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(doc), "## JSON")
	if !ok {
		t.Fatal("docs/diff.md has no section JSON")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	listed := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| (`[^|]+) \\|").FindAllStringSubmatch(section, -1) {
		for _, name := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(m[1], -1) {
			listed[name[1]] = true
		}
	}
	written := map[string]bool{"pairs": true, "notes": true}
	for _, v := range []any{jsonPair{}, jsonNote{}, jsonCall{}, jsonCounts{}, jsonWho{}, jsonRow{}, jsonMessage{}, jsonDifference{}, jsonLine{}, jsonSpan{}} {
		for f := range reflect.TypeOf(v).Fields() {
			written[f.Tag.Get("json")] = true
		}
	}
	for name := range written {
		if !listed[name] {
			t.Errorf("docs/diff.md does not tell of %q", name)
		}
	}
	for name := range listed {
		if !written[name] {
			t.Errorf("docs/diff.md tells of %q, which is not written", name)
		}
	}
}

// Hostile texts come back from JSON as they were, as far as they are UTF-8, and leave nothing that a terminal obeys.
func TestJSONHostile(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	if err := hostile().WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	for i, c := range b.String() {
		if c < ' ' && c != '\n' || c >= 0x7f && !unicode.IsPrint(c) || c == 0xfffd {
			t.Fatalf("character %#x at %d", c, i)
		}
	}
	var doc struct{ Pairs []jsonPair }
	if err := json.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if got, want := doc.Pairs[0].Headline, strings.ToValidUTF8(hostileText, "\ufffd"); got != want {
		t.Errorf("headline %q, want %q", got, want)
	}
}

// junit is what a reader of JUnit's XML sees.
type junit struct {
	Tests    int `xml:"tests,attr"`
	Failures int `xml:"failures,attr"`
	Cases    []struct {
		Name    string `xml:"name,attr"`
		Failure *struct {
			Message string `xml:"message,attr"`
			Text    string `xml:",chardata"`
		} `xml:"failure"`
	} `xml:"testsuite>testcase"`
}

func readJUnit(t *testing.T, r *Report, strict bool) junit {
	t.Helper()
	var b bytes.Buffer
	if err := r.WriteJUnit(&b, strict); err != nil {
		t.Fatal(err)
	}
	var doc junit
	if err := xml.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatalf("%v in %s", err, b.Bytes())
	}
	return doc
}

func TestJUnit(t *testing.T) {
	t.Parallel()
	doc := readJUnit(t, many(), false)
	if doc.Tests != 4 || doc.Failures != 3 || len(doc.Cases) != 4 {
		t.Errorf("%d tests, %d failures, %d cases", doc.Tests, doc.Failures, len(doc.Cases))
	}
	if f := doc.Cases[0].Failure; f == nil || !strings.HasPrefix(f.Message, "expected 180 Ringing") || !strings.Contains(f.Text, "row 7 ACK: extra: ACK is extra") {
		t.Errorf("the first case failed with %+v", f)
	}
	if doc.Cases[1].Failure != nil {
		t.Error("calls that are the same failed")
	}
	if got := readJUnit(t, hostile(), false); got.Failures != 1 {
		t.Errorf("hostile texts: %+v", got)
	}

	tolerated := same()
	tolerated.Verdict, tolerated.Rows[2].Verdict = diff.Tolerated, diff.Tolerated
	rep := &Report{A: "a", B: "b", Pairs: []Pair{New(tolerated)}}
	if a, b := readJUnit(t, rep, false).Failures, readJUnit(t, rep, true).Failures; a != 0 || b != 1 {
		t.Errorf("tolerated differences: %d failures, %d when strict", a, b)
	}
}

// Calls that were compared together, such as the legs of a back-to-back user agent, have a test case each.
func TestJUnitGroup(t *testing.T) {
	t.Parallel()
	r := made()
	second := good()
	second.Call.Num = 4
	for _, f := range []*diff.Flow{&r.A, &r.B} {
		f.Calls = append(f.Calls, second.Call)
		read := f.Text
		f.Text = func(call, message int) []byte {
			if call == 1 {
				return second.Texts[message]
			}
			return read(call, message)
		}
	}
	r.Rows = append(r.Rows, diff.Row{A: diff.Ref{Call: 1}, B: diff.Ref{Call: 1}})
	doc := readJUnit(t, &Report{A: "a", B: "b", Pairs: []Pair{New(r)}}, false)
	if len(doc.Cases) != 3 || doc.Failures != 2 {
		t.Fatalf("%d cases, %d failures", len(doc.Cases), doc.Failures)
	}
	if doc.Cases[0].Failure == nil || doc.Cases[0].Failure.Message != r.Headline {
		t.Errorf("the call where the flows part: %+v", doc.Cases[0])
	}
	if doc.Cases[1].Failure != nil {
		t.Errorf("a call that is the same failed: %+v", doc.Cases[1])
	}
}

// blocks gives the data of a page by id.
func blocks(page string) map[string]string {
	all := map[string]string{}
	for _, m := range regexp.MustCompile(`(?s)<script type="[^"]*" id="([^"]*)">(.*?)</script>`).FindAllStringSubmatch(page, -1) {
		all[m[1]] = m[2]
	}
	return all
}

func unpack(t *testing.T, block string) jsonPair {
	t.Helper()
	packed, err := base64.StdEncoding.DecodeString(block)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(flate.NewReader(bytes.NewReader(packed)))
	if err != nil {
		t.Fatal(err)
	}
	var p jsonPair
	if err = json.Unmarshal(raw, &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func writePage(t *testing.T, r *Report, size int64) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.WriteHTML(&b, size); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// The page's policy allows its own script and style sheet by their hashes, and nothing else.
func TestPolicy(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]*Report{"one": one(), "many": many(), "hostile": hostile()} {
		page := writePage(t, r, 0)
		m := regexp.MustCompile(`Content-Security-Policy" content="([^"]*)"`).FindStringSubmatch(page)
		if m == nil {
			t.Fatal("no policy")
		}
		policy := html.UnescapeString(m[1])
		script := page[strings.LastIndex(page, "<script>")+len("<script>"):]
		script, _, _ = strings.Cut(script, "</script>")
		_, style, _ := strings.Cut(page, "<style>")
		style, _, _ = strings.Cut(style, "</style>")
		want := "default-src 'none'; script-src " + hash([]byte(script)) + "; style-src " + hash([]byte(style)) + "; base-uri 'none'; form-action 'none'"
		if policy != want {
			t.Errorf("%s: policy %q, want %q", name, policy, want)
		}
		if n := strings.Count(page, "<script>"); n != 1 {
			t.Errorf("%s: %d scripts", name, n)
		}
		for _, bad := range []string{"<img", "style=\"", "http:", "https:"} {
			if i := strings.Index(page, bad); i >= 0 {
				t.Errorf("%s: the page has %q: %q", name, bad, page[max(0, i-40):i+40])
			}
		}
	}
}

// A page has every pair with its rows and the lines of its messages.
func TestPage(t *testing.T) {
	t.Parallel()
	all := blocks(writePage(t, many(), 0))
	p := unpack(t, all["pair-0"])
	if len(p.Rows) != 11 || p.First == nil || *p.First != 4 || len(p.Rows[0].Lines) < 8 {
		t.Errorf("the pair has %d rows, first %v, %d lines", len(p.Rows), p.First, len(p.Rows[0].Lines))
	}
	if _, ok := all["pair-1"]; !ok {
		t.Error("a pair that is the same is not in the page, and there is room")
	}
	if _, ok := all["pair-2"]; ok {
		t.Error("a call without partner has a comparison")
	}
	clean := unpack(t, blocks(writePage(t, hostile(), 0))["pair-0"])
	if strings.ContainsAny(clean.Headline+clean.Participants[0].Name, "\x1b\u202e\n") {
		t.Errorf("texts of the page are not clean: %q", clean.Headline)
	}
}

// What does not fit is left out, pairs that are the same first, and the page says so.
func TestPageSize(t *testing.T) {
	t.Parallel()
	r := many()
	full := writePage(t, r, 0)
	all := blocks(full)
	if len(all["pair-0"]) == 0 || len(all["pair-1"]) == 0 {
		t.Fatal("a page without bound lacks a pair")
	}
	var gone []string
	for size := len(full) + 10_000; size > 0 && len(gone) == 0; size -= 500 {
		left := blocks(writePage(t, r, int64(size)))
		for _, id := range []string{"pair-0", "pair-1"} {
			if _, ok := left[id]; !ok {
				gone = append(gone, id)
			}
		}
	}
	if !slices.Equal(gone, []string{"pair-1"}) {
		t.Errorf("left out first: %q", gone)
	}
	small := writePage(t, r, 1)
	if len(blocks(small)) != 2 || !strings.Contains(small, "were left out to keep this file below") {
		t.Errorf("a page without room has %d blocks, and does not say so", len(blocks(small)))
	}
}

// All words that templates and scripts ask for are there, and no others.
func TestWords(t *testing.T) {
	t.Parallel()
	b := shared()
	if b.err != nil {
		t.Fatal(b.err)
	}
	var sources strings.Builder
	for _, name := range []string{"assets/pair.js", "assets/page.tmpl"} {
		s, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		sources.Write(s)
	}
	text := sources.String()
	for key := range b.words {
		if key != "left_out" && key != "lines_left_out" && !strings.HasPrefix(key, "v.") && !strings.Contains(text, `'`+key+`'`) && !strings.Contains(text, `"`+key+`"`) {
			t.Errorf("nobody asks for %q", key)
		}
	}
	for _, m := range regexp.MustCompile(`\bt\(?[ ]?['"]([a-z._]+)['"]`).FindAllStringSubmatch(text, -1) {
		if key := m[1]; b.word(key) == key && key != "v." {
			t.Errorf("no words for %q", key)
		}
	}
}

// Hops are drawn like any other comparison.
func TestHops(t *testing.T) {
	t.Parallel()
	m := good()
	text := func(i int) []byte { return m.Texts[i] }
	hops := []diff.Hop{
		{
			Element: ends("10.0.0.2:5060")[0], In: 0, Out: 1, Method: "INVITE", Latency: 1_000_000,
			Differences: []diff.Difference{
				{Verdict: diff.Extra, Where: "Record-Route", Text: "Record-Route is added"},
				{Verdict: diff.Tolerated, Where: "Via", Text: "Via is added"},
			},
		},
		{In: 3, Out: 4, Status: 180, Latency: 1_000_000, Differences: []diff.Difference{{Verdict: diff.Tolerated, Where: "Via", Text: "Via is removed"}}},
		{In: 99, Out: 100},
	}
	r := Hops(m.Call, text, hops, diff.Rules{})
	if len(r.Rows) != 2 || r.Verdict != diff.Differs || r.First != 0 || r.Counts.Tolerated != 1 {
		t.Errorf("%d rows, %v, first %d, %+v", len(r.Rows), r.Verdict, r.First, r.Counts)
	}
	if want := "proxy: INVITE: Record-Route is added"; r.Headline != want {
		t.Errorf("headline %q, want %q", r.Headline, want)
	}
	var b bytes.Buffer
	rep := Report{A: HopIn, B: HopOut, Pairs: []Pair{New(r)}}
	if err := rep.WriteText(&b, TextOptions{Width: 140}); err != nil {
		t.Fatal(err)
	}
	golden(t, "hops-140.txt", b.Bytes())
	rep.Pairs = append(rep.Pairs, New(r)) // a list has a heading
	if page := writePage(t, &rep, 0); !strings.Contains(page, `<th scope="col">First change</th>`) ||
		!strings.Contains(page, `"first":"First change"`) || strings.Contains(page, "First divergence") {
		t.Error("the page of hops does not call its first row that counts a change")
	}
	if page := writePage(t, many(), 0); !strings.Contains(page, `"first":"First divergence"`) || !strings.Contains(page, `<th scope="col">First divergence</th>`) {
		t.Error("the page of two captures does not name the first divergence")
	}
	if r := Hops(m.Call, text, hops[1:2], diff.Rules{}); r.Verdict != diff.Tolerated {
		t.Errorf("what every proxy does is %v", r.Verdict)
	}
	if r := Hops(m.Call, text, hops[1:2], diff.Rules{Strict: true}); r.Verdict != diff.Differs {
		t.Errorf("what every proxy does is %v when rules are strict", r.Verdict)
	}
	if r := Hops(correlate.Call{}, text, hops, diff.Rules{}); r.Verdict != diff.Same || len(r.Rows) != 0 {
		t.Errorf("a call without messages: %v", r.Verdict)
	}
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		all  []diff.Verdict
		want diff.Verdict
	}{
		{nil, diff.Same},
		{[]diff.Verdict{diff.Same, diff.Tolerated, diff.Same}, diff.Tolerated},
		{[]diff.Verdict{diff.Tolerated, diff.Differs}, diff.Differs},
		{[]diff.Verdict{diff.Same, diff.Missing}, diff.Differs},
		{[]diff.Verdict{diff.Extra}, diff.Differs},
	} {
		r := Report{}
		for _, v := range x.all {
			r.Pairs = append(r.Pairs, Pair{Verdict: v})
		}
		if got := r.Verdict(); got != x.want {
			t.Errorf("%v: %v, want %v", x.all, got, x.want)
		}
	}
}

// A replay has a class of its own, its notes are the suite's output, and its pairs are plays.
func TestReplayWords(t *testing.T) {
	t.Parallel()
	r := many()
	r.Replay, r.Notes = true, []string{"+auth: 407 answered", "a\x1b[31m b"}
	var b bytes.Buffer
	if err := r.WriteJUnit(&b, false); err != nil {
		t.Fatal(err)
	}
	var doc xmlSuites
	if err := xml.Unmarshal(b.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	for i := range doc.Suite.Cases {
		if class := doc.Suite.Cases[i].Class; class != "sipscope.replay" {
			t.Errorf("class %q", class)
		}
	}
	if out := doc.Suite.Out; !strings.HasPrefix(out, "+auth: 407 answered\na") || strings.Contains(out, "\x1b") || len(doc.Suite.Cases) == 0 {
		t.Errorf("output %q", out)
	}
	b.Reset()
	if err := r.WriteText(&b, TextOptions{}); err != nil {
		t.Fatal(err)
	}
	if text := b.String(); !strings.Contains(text, " plays: ") || strings.Contains(text, "pairs of calls") {
		t.Errorf("%s", text)
	}
}
