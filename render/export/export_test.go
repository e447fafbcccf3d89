package export_test

import (
	"bytes"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"sipscope/correlate"
	"sipscope/render/export"
	"sipscope/render/ladder"
	"sipscope/render/ladder/laddertest"
)

func sample() *correlate.Summary {
	m := laddertest.TwoProxies()
	s := m.Call.Summary
	s.CallID = "3848276298220188511@atlanta.example.com"
	s.From = correlate.Party{Display: "Alice", User: "alice", Host: "atlanta.example.com", URI: "sip:alice@atlanta.example.com"}
	s.To = correlate.Party{Display: "Bob \"B\"", User: "bob", Host: "biloxi.example.com", URI: "sip:bob@biloxi.example.com"}
	s.RURI, s.UserAgent, s.Server = "sip:bob@biloxi.example.com", "Phone/1.0", "Phone/2.0"
	s.First += 123456789
	s.PDD, s.Setup, s.Duration = 654_000_001, 1557_500_000, -1
	s.Columns, s.Tunnels = []string{"42", "x,y"}, []string{"vlan:100/gre"}
	s.Group, s.Relation = 1, "b2bua"
	return &s
}

func seq(all ...*correlate.Summary) iter.Seq[*correlate.Summary] { return slices.Values(all) }

const wantSummary = `{"num":1,"call_id":"3848276298220188511@atlanta.example.com","method":"INVITE","state":"completed",` +
	`"start":"2026-03-01T12:00:01.123456789Z","start_ns":1772366401123456789,"end":"2026-03-01T12:00:06.101000000Z",` +
	`"from":{"user":"alice","host":"atlanta.example.com","display":"Alice","uri":"sip:alice@atlanta.example.com"},` +
	`"to":{"user":"bob","host":"biloxi.example.com","display":"Bob \"B\"","uri":"sip:bob@biloxi.example.com"},` +
	`"ruri":"sip:bob@biloxi.example.com","source":"10.77.0.10:5060","destination":"10.77.0.20:5060",` +
	`"code":200,"reason":"OK","q850_cause":16,"messages":18,"retransmissions":1,"duplicates":0,"transactions":5,` +
	`"dialogs":1,"early_dialogs":1,"hops":4,"gaps":0,"diags":0,"pdd_ms":654.000001,"setup_ms":1557.5,"duration_ms":null,` +
	`"released_by":"10.77.0.10:5060","ended_by":"caller","user_agent":"Phone/1.0","server":"Phone/2.0",` +
	`"transports":["UDP"],"tunnels":["vlan:100/gre"],"group":1,"relation":"b2bua","columns":{"X-Account":"42","X-Other":"x,y"},` +
	`"evidence":{"request":1,"ring":9,"answer":12,"final":12,"ack":13,"cancel":null,"end":15}}`

func TestSummaryJSON(t *testing.T) {
	t.Parallel()
	got := string(export.AppendSummaryJSON(nil, sample(), []string{"X-Account", "X-Other"}))
	if diff := cmp.Diff(wantSummary, got); diff != "" {
		t.Error(diff)
	}
	empty := string(export.AppendSummaryJSON(nil, &correlate.Summary{Cause: -1, PDD: -1, Setup: -1, Duration: -1}, nil))
	for _, want := range []string{
		`"code":null`, `"q850_cause":null`, `"source":null`, `"released_by":null`, `"ended_by":null`, `"group":null`,
		`"relation":null`, `"transports":[]`, `"tunnels":[]`, `"columns":{}`, `"pdd_ms":null`,
	} {
		if !strings.Contains(empty, want) {
			t.Errorf("no %s in %s", want, empty)
		}
	}
}

// TestDocumented: every field of every object that is written stands in docs/json.md.
func TestDocumented(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "json.md"))
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := export.WriteCallsJSON(&b, seq(sample()), export.Document{Headers: []string{"X-Account"}}); err != nil {
		t.Fatal(err)
	}
	m := laddertest.Lossy()
	m.Call.Registration = &correlate.Registration{}
	m.Texts[0] = []byte{0xff}
	l := ladder.Build([]correlate.Call{m.Call}, laddertest.Text(m), ladder.Options{})
	if err := export.WriteFlowJSON(&b, &l, []correlate.Call{m.Call}, laddertest.Text(m), nil); err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(&b)
	for dec.More() {
		var v any
		if err := dec.Decode(&v); err != nil {
			t.Fatal(err)
		}
		eachKey(v, func(k string) {
			if k != "X-Account" && !bytes.Contains(doc, []byte("`"+k+"`")) {
				t.Errorf("docs/json.md does not have `%s`", k)
			}
		})
	}
	for _, s := range correlate.States() {
		if !bytes.Contains(doc, []byte("`"+s.String()+"`")) {
			t.Errorf("docs/json.md does not have the state `%s`", s)
		}
	}
}

func eachKey(v any, f func(string)) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			f(k)
			eachKey(e, f)
		}
	case []any:
		for _, e := range v {
			eachKey(e, f)
		}
	}
}

// TestRawBytes: what is no UTF-8 can still be had.
func TestRawBytes(t *testing.T) {
	t.Parallel()
	s := sample()
	s.CallID, s.From.Display, s.Reason = "a\xffb", "\xc3(", "ok"
	var got struct {
		CallID    string  `json:"call_id"`
		CallIDRaw []byte  `json:"call_id_raw_b64"`
		Reason    *[]byte `json:"reason_raw_b64"`
		From      struct {
			Display string `json:"display"`
			Raw     []byte `json:"display_raw_b64"`
		} `json:"from"`
	}
	if err := json.Unmarshal(export.AppendSummaryJSON(nil, s, nil), &got); err != nil {
		t.Fatal(err)
	}
	if got.CallID != "a\ufffdb" || string(got.CallIDRaw) != s.CallID || string(got.From.Raw) != s.From.Display ||
		got.From.Display != "\ufffd(" || got.Reason != nil {
		t.Errorf("%+v", got)
	}
}

func TestCallsJSON(t *testing.T) {
	t.Parallel()
	for _, calls := range [][]*correlate.Summary{nil, {sample()}, {sample(), sample(), sample()}} {
		var b bytes.Buffer
		doc := export.Document{Accounting: []byte(`{"packets":7}`)}
		if err := export.WriteCallsJSON(&b, seq(calls...), doc); err != nil {
			t.Fatal(err)
		}
		var got struct {
			Calls      []map[string]any
			Accounting map[string]int
			Limits     *int
		}
		if err := json.Unmarshal(b.Bytes(), &got); err != nil {
			t.Fatalf("%v in %s", err, b.String())
		}
		if len(got.Calls) != len(calls) || got.Calls == nil || got.Accounting["packets"] != 7 || got.Limits != nil {
			t.Errorf("%s", b.String())
		}
		var lines bytes.Buffer
		if err := export.WriteCallsNDJSON(&lines, seq(calls...), nil); err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(lines.String(), "\n"); n != len(calls) {
			t.Errorf("%d lines for %d calls", n, len(calls))
		}
	}
	if err := export.WriteCallsJSON(&bytes.Buffer{}, seq(), export.Document{Limits: []byte("{")}); err == nil {
		t.Error("no error for a document that is no JSON")
	}
}

var errFull = errors.New("disk full")

type full struct{ left int }

func (f *full) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestErrors(t *testing.T) {
	t.Parallel()
	many := func(yield func(*correlate.Summary) bool) {
		s := sample()
		for range 1000 {
			if !yield(s) {
				return
			}
		}
		t.Error("went on after the error")
	}
	m := laddertest.TwoProxies()
	l := ladder.Build([]correlate.Call{m.Call}, nil, ladder.Options{})
	for name, write := range map[string]func(w *full) error{
		"json":    func(w *full) error { return export.WriteCallsJSON(w, many, export.Document{}) },
		"ndjson":  func(w *full) error { return export.WriteCallsNDJSON(w, many, nil) },
		"csv":     func(w *full) error { return export.WriteCallsCSV(w, many, nil) },
		"mermaid": func(w *full) error { w.left = 0; return export.WriteMermaid(w, &l) },
		"flow": func(w *full) error {
			w.left = 0
			return export.WriteFlowJSON(w, &l, []correlate.Call{m.Call}, laddertest.Text(m), nil)
		},
	} {
		if err := write(&full{left: 70_000}); !errors.Is(err, errFull) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestCSV(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   []string
		want string
	}{
		{[]string{"a", "", "b"}, "a,,b\r\n"},
		{[]string{"a,b", `say "x"`, " a"}, `"a,b","say ""x"""," a"` + "\r\n"},
		{[]string{"=cmd()", "+49", "-1", "@x", "\tx", "\rx"}, `'=cmd(),'+49,'-1,'@x,'\tx,'\rx` + "\r\n"},
		{[]string{`=1,"2"`}, `"'=1,""2"""` + "\r\n"},
		{[]string{"a\r\nb\x1b[0m\xff"}, `a\r\nb\x1b[0m\xff` + "\r\n"},
		{[]string{"日本"}, "日本\r\n"},
		{nil, "\r\n"},
	} {
		if got := string(export.AppendCSV(nil, c.in)); got != c.want {
			t.Errorf("%q: %q, want %q", c.in, got, c.want)
		}
	}
}

func TestCallsCSV(t *testing.T) {
	t.Parallel()
	s := sample()
	s.From.Display = `=HYPERLINK("http://x")`
	bare := &correlate.Summary{Cause: -1, PDD: -1, Setup: -1, Duration: -1}
	var b bytes.Buffer
	if err := export.WriteCallsCSV(&b, seq(s, bare), []string{"X-Account", "X-Other"}); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll() // fails when a row has another number of fields
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for i, name := range rows[0] {
		got[name] = rows[1][i]
	}
	for name, want := range map[string]string{
		"num": "1", "from_display": `'=HYPERLINK("http://x")`, "source": "10.77.0.10:5060", "setup_ms": "1557.5",
		"duration_ms": "", "transports": "UDP", "tunnels": "vlan:100/gre", "X-Account": "42", "X-Other": "x,y", "relation": "b2bua",
		"start": "2026-03-01T12:00:01.123456789Z", "diags": "0", "released_by": "10.77.0.10:5060", "q850_cause": "16",
	} {
		if got[name] != want {
			t.Errorf("%s: %q, want %q", name, got[name], want)
		}
	}
	if rows[2][0] != "0" || strings.Join(rows[2][15:20], "") != "" {
		t.Errorf("%q", rows[2])
	}
}

func TestWriteCSV(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	rows := slices.Values([][]string{{"1", "x"}, {"2", "y"}})
	if err := export.WriteCSV(&b, []string{"a", "b"}, rows); err != nil || b.String() != "a,b\r\n1,x\r\n2,y\r\n" {
		t.Errorf("%q %v", b.String(), err)
	}
}

func TestMermaid(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]laddertest.Made{
		"fork": laddertest.Fork(), "names": laddertest.Names(), "lossy": laddertest.Lossy(), "self": laddertest.Self(),
	} {
		l := ladder.Build([]correlate.Call{m.Call}, laddertest.Text(m), ladder.Options{})
		var b bytes.Buffer
		if err := export.WriteMermaid(&b, &l); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("testdata", name+".mmd")
		if os.Getenv("UPDATE_GOLDEN") != "" {
			if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), b.String()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
}

// TestFlowJSON: the document holds what the ladder and the calls hold.
func TestFlowJSON(t *testing.T) {
	t.Parallel()
	m := laddertest.Lossy()
	m.Texts[1] = append(m.Texts[1], 0xff)
	m.Texts[2] = nil
	l := ladder.Build([]correlate.Call{m.Call}, laddertest.Text(m), ladder.Options{})
	var b bytes.Buffer
	if err := export.WriteFlowJSON(&b, &l, []correlate.Call{m.Call}, laddertest.Text(m), nil); err != nil {
		t.Fatal(err)
	}
	var got struct {
		Participants []struct{ Label, Address string }
		Rows         []struct {
			Kind, Label string
			Call        int
			From, To    *int
			Count       int
			Notes       []string
			Intervals   []float64 `json:"intervals_ms"`
			Txn         *int      `json:"transaction"`
		}
		Totals map[string]int
		Calls  []struct {
			Summary      map[string]any
			Transactions []map[string]any
			Dialogs      []map[string]any
			Gaps         []map[string]any
			Messages     []struct {
				Raw   *string
				Raw64 string `json:"raw_b64"`
				Flags []string
				Of    *int `json:"retransmission_of"`
			}
		}
	}
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatalf("%v in %s", err, b.String())
	}
	if len(got.Rows) != len(l.Rows) || len(got.Participants) != 2 || got.Totals["retransmissions"] != 3 {
		t.Fatalf("%s", b.String())
	}
	two := got.Rows[2]
	if two.Count != 4 || *two.From != 0 || *two.To != 1 || two.Label != "200 OK" || two.Call != 1 ||
		!slices.Equal(two.Intervals, []float64{500, 1000, 2000}) || !strings.HasPrefix(two.Notes[0], "retransmitted") {
		t.Errorf("%+v", two)
	}
	c := got.Calls[0]
	if len(c.Transactions) != 2 || len(c.Dialogs) != 1 || len(c.Gaps) != 1 || c.Gaps[0]["bytes"] != 1448.0 {
		t.Errorf("%+v", c)
	}
	if *c.Messages[0].Raw != string(m.Texts[0]) || c.Messages[0].Raw64 != "" || c.Messages[2].Raw != nil ||
		c.Messages[1].Raw64 != base64.StdEncoding.EncodeToString(m.Texts[1]) || *c.Messages[3].Of != 1 ||
		!slices.Equal(c.Messages[5].Flags, []string{"after_gap"}) {
		t.Errorf("%+v", c.Messages)
	}
}

// FuzzJSON: whatever the wire carried, the output is JSON, UTF-8, and says the same.
func FuzzJSON(f *testing.F) {
	f.Add("a\xff\x00\u2028\"\\", int64(-1), int64(1), uint16(5060), uint64(1))
	f.Add("日本\u202e\u009b", int64(1)<<62, int64(-1)<<63, uint16(0), ^uint64(0))
	f.Fuzz(func(t *testing.T, s string, a, b int64, port uint16, hi uint64) {
		sum := sample()
		sum.CallID, sum.Reason, sum.From.User, sum.Columns = s, s, s, []string{s}
		sum.PDD, sum.First, sum.State = a, b, correlate.State(port)
		sum.Src.Hi, sum.Src.Port, sum.Src.V4 = hi, port, hi%2 == 0
		out := export.AppendSummaryJSON(nil, sum, []string{s})
		if !json.Valid(out) || !utf8.Valid(out) {
			t.Fatalf("%s", out)
		}
		var got struct {
			CallID string `json:"call_id"`
			Raw    []byte `json:"call_id_raw_b64"`
		}
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatal(err)
		}
		if utf8.ValidString(s) && got.CallID != s || !utf8.ValidString(s) && string(got.Raw) != s {
			t.Fatalf("%q became %q, %q", s, got.CallID, got.Raw)
		}
		line := export.AppendCSV(nil, []string{s, "x"})
		rec, err := csv.NewReader(bytes.NewReader(line)).ReadAll()
		if err != nil || len(rec) != 1 || len(rec[0]) != 2 {
			t.Fatalf("%q: %v %q", line, err, rec)
		}
	})
}

// FuzzMermaid: the lines of a diagram have the shape that Mermaid's grammar asks for, whatever the wire carried.
func FuzzMermaid(f *testing.F) {
	f.Add("alice", "200 OK", "x; y #1 end\nNote over p1: z")
	f.Add("end", "<script>", "%%{init}%%")
	f.Add("a", "b", "<b>%%{init: {}}%%")
	f.Add("\xff\x1b", "wrap:a", "")
	f.Fuzz(func(t *testing.T, name, label, note string) {
		l := ladder.Ladder{
			Calls:   []ladder.Title{{Num: 1, CallID: note}},
			Columns: []ladder.Column{{Label: name, Address: label}, {Address: note}},
			Rows: []ladder.Row{
				{Kind: ladder.Arrow, To: 1, Label: label, SDP: note, Notes: []string{note, name}, Count: 3},
				{Kind: ladder.Gap, From: -1, To: -1, Label: label},
				{Kind: ladder.State, Label: "s" + note},
			},
		}
		var b bytes.Buffer
		if err := export.WriteMermaid(&b, &l); err != nil {
			t.Fatal(err)
		}
		for i, s := range strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n") {
			checkMermaid(t, i, s)
		}
	})
}

// checkMermaid takes a line apart: entities out, then nothing may be left that Mermaid or HTML would read.
func checkMermaid(t *testing.T, i int, s string) {
	t.Helper()
	if i == 0 {
		if s != "sequenceDiagram" {
			t.Fatalf("%q", s)
		}
		return
	}
	head, text, ok := strings.Cut(s, ": ")
	if rest, found := strings.CutPrefix(s, "%% call "); found {
		head, text, ok = "Note", rest, true // a directive is found in comments, too
	}
	if p, alias, found := strings.Cut(s, " as "); found && strings.HasPrefix(s, "    participant ") {
		head, text, ok = p, alias, true
	}
	fields := strings.Fields(head)
	if !ok || len(fields) == 0 || !slices.Contains([]string{"participant", "Note", "p1->>p2", "p1-->>p2"}, fields[0]) {
		t.Fatalf("line %d: %q", i, s)
	}
	text = strings.ReplaceAll(text, "<br/>", " ")
	for {
		before, after, found := strings.Cut(text, "#")
		if strings.ContainsAny(before, "<>;:%{}[]\"'`&|\\\n\r") {
			t.Fatalf("line %d: %q", i, s)
		}
		if !found {
			break
		}
		digits, rest, found := strings.Cut(after, ";")
		if !found || digits == "" || strings.Trim(digits, "0123456789") != "" {
			t.Fatalf("line %d: entity in %q", i, s)
		}
		text = rest
	}
	for _, word := range strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return r < 'a' || r > 'z' }) {
		if word == "end" {
			t.Fatalf("line %d: the keyword end in %q", i, s)
		}
	}
}

// What encoding/json lets through to a terminal is escaped, and means the same.
func TestShown(t *testing.T) {
	t.Parallel()
	want := "a\u009b31m\u202e\u2066\u200b\ufeff\u00ad\x7f é中😀"
	b, err := json.Marshal([]string{want})
	if err != nil {
		t.Fatal(err)
	}
	b = export.Shown(b)
	if s := string(b); s != `["a\u009b31m\u202e\u2066\u200b\ufeff\u00ad\u007f é中😀"]` {
		t.Errorf("%s", s)
	}
	var got []string
	if err := json.Unmarshal(b, &got); err != nil || got[0] != want {
		t.Errorf("%q, %v", got, err)
	}
	plain := []byte(`{"a":1}`)
	if got := export.Shown(plain); &got[0] != &plain[0] {
		t.Error("clean JSON is copied")
	}
}

func TestCSVFormula(t *testing.T) {
	t.Parallel()
	got := string(export.AppendCSV(nil, []string{"=1", "-1+1", "＝1+1", "＠A", "\n=1", "\u200b=1", "a=1"}))
	if want := "'=1,'-1+1,'＝1+1,'＠A,'\\n=1,\\u200b=1,a=1\r\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func BenchmarkAppendSummaryJSON(b *testing.B) {
	s := sample()
	buf := export.AppendSummaryJSON(nil, s, nil)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		buf = export.AppendSummaryJSON(buf[:0], s, nil)
	}
}

func BenchmarkCallsCSV(b *testing.B) {
	all := slices.Repeat([]*correlate.Summary{sample()}, 1000)
	b.ReportAllocs()
	for b.Loop() {
		if err := export.WriteCallsCSV(&bytes.Buffer{}, slices.Values(all), nil); err != nil {
			b.Fatal(err)
		}
	}
}

// TestPlainPrefix: the fast scan escapes what encoding/json escapes, at every place of a word.
func TestPlainPrefix(t *testing.T) {
	t.Parallel()
	for c := range 256 {
		for at := range 17 {
			s := []byte("aZ09~!#[]^`{|}_az")
			s[at] = byte(c)
			sum := &correlate.Summary{UserAgent: string(s)}
			var got struct {
				UserAgent string `json:"user_agent"`
				Raw       []byte `json:"user_agent_raw_b64"`
			}
			out := export.AppendSummaryJSON(nil, sum, nil)
			if err := json.Unmarshal(out, &got); err != nil {
				t.Fatalf("%q: %v", s, err)
			}
			if c < 0x80 && got.UserAgent != string(s) || c >= 0x80 && string(got.Raw) != string(s) {
				t.Fatalf("%q: %q %q", s, got.UserAgent, got.Raw)
			}
			if bytes.IndexFunc(out, func(r rune) bool { return r < ' ' || r == 0x7f }) >= 0 {
				t.Fatalf("%q: a control character in %q", s, out)
			}
		}
	}
}
