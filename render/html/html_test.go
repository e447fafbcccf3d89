package html

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"sipscope/capture"
	"sipscope/correlate"
	"sipscope/correlate/stats"
	"sipscope/decode"
	"sipscope/render/html/chart"
	"sipscope/render/ladder"
	"sipscope/render/text"
)

// archive is a capture of the project, read.
type archive struct {
	files decode.TextReader
	board correlate.Board
	stats stats.Result
	nums  []uint32
}

type sink struct{ stats.Collector }

func (s *sink) Event(e *correlate.Event) error {
	if e.Message != nil {
		s.Message(e.Message, e.Verdict.Retransmission, e.Verdict.Duplicate)
	}
	return nil
}

func read(tb testing.TB, names ...string) *archive {
	tb.Helper()
	var paths []string
	for _, name := range names {
		found, err := filepath.Glob(filepath.Join("..", "..", "testdata", "pcaps", name))
		if err != nil || len(found) == 0 {
			tb.Fatalf("no capture %s: %v", name, err)
		}
		paths = append(paths, found...)
	}
	files, err := capture.Open(paths, capture.Options{Spool: true})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = files.Close() })
	vault := decode.NewVault(decode.VaultOptions{})
	tb.Cleanup(func() { _ = vault.Close() })
	a := &archive{files: vault.Reader(files)}
	var s sink
	if err := correlate.Run(tb.Context(), files, correlate.Config{Board: &a.board, Sink: &s, Vault: vault}); err != nil {
		tb.Fatal(err)
	}
	for c := range a.board.Calls() {
		s.Call(c)
		a.nums = append(a.nums, c.Num)
	}
	acct, limited := a.board.Accounting()
	a.stats = s.Result(stats.NewTotals(acct, a.board.Totals(), limited))
	return a
}

func (a *archive) report() *Report {
	return &Report{
		Title: "t", Version: "test", Result: a.stats, Summaries: a.board.Calls(), Ladder: ladder.Options{Streams: a.board.Media},
		Call: func(num uint32) (correlate.Call, func(int) []byte, bool) {
			c, ok := a.board.Call(num)
			return c, func(i int) []byte {
				b, _ := decode.ReadText(a.files, c.Messages[i].Pieces)
				return b
			}, ok
		},
	}
}

var blockPattern = regexp.MustCompile(`(?s)<script type="([a-z/]+)" id="([a-z0-9-]+)">(.*?)</script>`)

// blocks gives the data blocks of a page by id.
func blocks(t *testing.T, page []byte) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, m := range blockPattern.FindAllStringSubmatch(string(page), -1) {
		all[m[2]] = m[3]
	}
	return all
}

func unpack(t *testing.T, block string, into any) {
	t.Helper()
	packed := fromBase85(t, block)
	raw, err := io.ReadAll(flate.NewReader(bytes.NewReader(packed)))
	if err != nil {
		t.Fatal(err)
	}
	if !utf8.Valid(raw) {
		t.Error("a block is no UTF-8")
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatalf("%v in %.200s", err, raw)
	}
}

// fromBase85 reads what the script S.base85 reads.
func fromBase85(t *testing.T, s string) []byte {
	t.Helper()
	var b []byte
	for len(s) > 0 {
		n := min(5, len(s))
		v := uint64(0)
		for i := range 5 {
			d := 84
			if i < n {
				if d = strings.IndexByte(digits, s[i]); d < 0 {
					t.Fatalf("digit %q", s[i])
				}
			}
			v = v*85 + uint64(d)
		}
		b = append(b, []byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}[:n-1]...)
		s = s[n:]
	}
	return b
}

func TestShorten(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "a", "aa", "aaa", strings.Repeat("─", 700) + "x\n\n\n\n", "漢漢漢 ▶"} {
		got := regexp.MustCompile("(?s)(.)([\ue000-\ue0ff])").ReplaceAllStringFunc(shorten(s), func(m string) string {
			r := []rune(m)
			return strings.Repeat(string(r[0]), int(r[1]-0xe000))
		})
		if got != s {
			t.Errorf("%q came back as %q", s, got)
		}
	}
}

func TestBase85(t *testing.T) {
	t.Parallel()
	if len(digits) != 85 || strings.ContainsAny(digits, "<>&\"'\\`") {
		t.Error(digits)
	}
	for n := range 300 {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(i*n*7 + 255 - i)
		}
		if got := fromBase85(t, string(appendBase85(nil, b))); !bytes.Equal(got, b) {
			t.Fatalf("%d bytes: %x, want %x", n, got, b)
		}
	}
	for _, b := range [][]byte{{255, 255, 255, 255}, {0, 0, 0, 0}, {255}, {255, 255, 255}} {
		if got := fromBase85(t, string(appendBase85(nil, b))); !bytes.Equal(got, b) {
			t.Errorf("%x came back as %x", b, got)
		}
	}
}

// docMessage is what of a message's JSON is looked at.
type docMessage struct {
	F     uint64   `json:"f"`
	Fs    []uint64 `json:"fs"`
	Label string   `json:"label"`
	Raw   string   `json:"raw"`
	Txn   int      `json:"txn"`
	Diags []struct {
		Line int    `json:"line"`
		Code string `json:"code"`
		RFC  string `json:"rfc"`
	} `json:"diags"`
}

type doc struct {
	Head   string `json:"head"`
	Body   string `json:"body"`
	Ladder string `json:"ladder"`
	Pcap   string `json:"pcap"`
	Calls  []struct {
		Num      uint32       `json:"num"`
		CallID   string       `json:"call_id"`
		Facts    [][]any      `json:"facts"`
		Messages []docMessage `json:"messages"`
		Txns     []struct {
			Msgs []int `json:"msgs"`
		} `json:"txns"`
	} `json:"calls"`
}

// Everything that the archive knows of every call of every capture of the project is in the report.
func TestReportHoldsAll(t *testing.T) {
	t.Parallel()
	a := read(t, "*.pcap*")
	var out bytes.Buffer
	written, err := a.report().Write(t.Context(), &out)
	if err != nil {
		t.Fatal(err)
	}
	if written.Calls != len(a.nums) || written.Detailed != len(a.nums) || written.Bytes != int64(out.Len()) {
		t.Errorf("%+v for %d calls, %d bytes", written, len(a.nums), out.Len())
	}
	all := blocks(t, out.Bytes())
	var rows []struct {
		Num uint32 `json:"num"`
	}
	unpack(t, all["rows-0"], &rows)
	for i, r := range rows {
		if r.Num != a.nums[i] {
			t.Fatalf("row %d is call %d, want %d", i, r.Num, a.nums[i])
		}
	}
	var docs []doc
	for i := 0; ; i++ {
		block, ok := all[fmt.Sprintf("chunk-%d", i)]
		if !ok {
			break
		}
		var some []doc
		unpack(t, block, &some)
		docs = append(docs, some...)
	}
	if len(docs) != len(a.nums) || len(rows) != len(docs) {
		t.Fatalf("%d documents, %d rows, %d calls", len(docs), len(rows), len(a.nums))
	}
	for i := range docs {
		call, _ := a.board.Call(a.nums[i])
		checkDoc(t, a, &docs[i], &call)
	}
}

var stylePattern = regexp.MustCompile("[\ue000-\ue03f]")

func checkDoc(t *testing.T, a *archive, d *doc, call *correlate.Call) {
	t.Helper()
	if len(d.Calls) != 1 || d.Calls[0].Num != call.Num || len(d.Calls[0].Messages) != len(call.Messages) {
		t.Fatalf("call %d: document of %d calls", call.Num, len(d.Calls))
	}
	for j, m := range d.Calls[0].Messages {
		raw, err := decode.ReadText(a.files, call.Messages[j].Pieces)
		if err != nil {
			t.Fatal(err)
		}
		var want bytes.Buffer
		if err := text.RawMessage(&want, raw, text.MessageOptions{}); err != nil {
			t.Fatal(err)
		}
		got := stylePattern.ReplaceAllString(m.Raw, "")
		if diff := cmp.Diff(strings.TrimRight(want.String(), "\n"), strings.TrimRight(got, "\n")); diff != "" {
			t.Errorf("call %d message %d (-want +got):\n%s", call.Num, j, diff)
		}
		if m.F != call.Messages[j].Seq || m.Txn != call.Messages[j].Txn {
			t.Errorf("call %d message %d: frame %d, transaction %d", call.Num, j, m.F, m.Txn)
		}
		for _, g := range m.Diags {
			if g.Code == "" || g.Line < 0 || g.Line > strings.Count(m.Raw, "\n") {
				t.Errorf("call %d message %d: diag %+v", call.Num, j, g)
			}
		}
	}
	if !strings.HasPrefix(d.Body, "<svg ") || !strings.HasPrefix(d.Head, "<svg ") || len(d.Ladder) < 80 || len(d.Calls[0].Facts) < 3 {
		t.Errorf("call %d: %.40s, %.40s, ladder of %d bytes, %d facts", call.Num, d.Head, d.Body, len(d.Ladder), len(d.Calls[0].Facts))
	}
}

// A page asks nobody for anything, and its policy names each script and style sheet that is in it, and no other.
func TestPolicy(t *testing.T) {
	t.Parallel()
	a := read(t, "two-proxies.pcap")
	var report, single bytes.Buffer
	if _, err := a.report().Write(t.Context(), &report); err != nil {
		t.Fatal(err)
	}
	call, texts, _ := a.report().Call(1)
	f := Flow{Calls: []correlate.Call{call}, Text: func(_, i int) []byte { return texts(i) }}
	if err := WriteFlow(&single, "one", "test", &f); err != nil {
		t.Fatal(err)
	}
	for name, page := range map[string][]byte{"report": report.Bytes(), "single": single.Bytes()} {
		policy := regexp.MustCompile(`Content-Security-Policy" content="([^"]*)"`).FindSubmatch(page)
		if policy == nil {
			t.Fatalf("%s has no policy", name)
		}
		for _, kind := range []string{"script", "style"} {
			var found []string
			for _, m := range regexp.MustCompile(`(?s)<`+kind+`>(.*?)</`+kind+`>`).FindAllSubmatch(page, -1) {
				found = append(found, hash(m[1]))
			}
			want := "; " + kind + "-src " + strings.Join(found, " ") + ";"
			if len(found) == 0 || kind == "script" && !sameSet(policy[1], found) || kind == "style" && !strings.Contains(string(policy[1]), want) {
				t.Errorf("%s: %s elements have %q, the policy says %q", name, kind, found, policy[1])
			}
		}
		if !strings.HasPrefix(string(policy[1]), "default-src 'none';") || strings.Contains(string(policy[1]), "unsafe") {
			t.Errorf("%s: policy %q", name, policy[1])
		}
		for _, m := range regexp.MustCompile(`<(?:link|img|iframe|script|object|embed)\b[^>]*\b(?:src|href|data)=`).FindAll(page, -1) {
			t.Errorf("%s loads something: %s", name, m)
		}
		if bytes.Contains(markup(page), []byte(" style=")) {
			t.Errorf("%s has an inline style, which its policy refuses", name)
		}
	}
}

func sameSet(policy []byte, hashes []string) bool {
	for _, h := range hashes {
		if !bytes.Contains(policy, []byte(h)) {
			return false
		}
	}
	return bytes.Count(policy, []byte("sha256-")) == len(hashes)+1 // and the style sheet's
}

// markup is a page without the contents of scripts.
func markup(page []byte) []byte {
	return regexp.MustCompile(`(?s)<script[^>]*>.*?</script>`).ReplaceAll(page, nil)
}

// A report keeps within its size, leaves out calls from the end, and says so.
func TestReportSize(t *testing.T) {
	t.Parallel()
	a := read(t, "*.pcap*")
	r := a.report()
	var out bytes.Buffer
	var written Written
	for r.MaxSize = int64(len(chart.Script())); written.Detailed == 0; {
		r.MaxSize += 10_000
		out.Reset()
		var err error
		if written, err = r.Write(t.Context(), &out); err != nil {
			t.Fatal(err)
		}
	}
	if written.Detailed >= written.Rows || written.Rows != len(a.nums) {
		t.Fatalf("%+v of %d calls", written, len(a.nums))
	}
	if int64(out.Len()) > r.MaxSize {
		t.Errorf("%d bytes, limit %d", out.Len(), r.MaxSize)
	}
	want := fmt.Sprintf("Ladders and messages of %d calls from number %d on were left out", written.Rows-written.Detailed, a.nums[written.Detailed])
	if !bytes.Contains(out.Bytes(), []byte(want)) {
		t.Errorf("the page does not say %q", want)
	}
}

// A call that is too long for a ladder is no call with a ladder, and the page says so.
func TestReportLongCall(t *testing.T) {
	t.Parallel()
	a := read(t, "two-proxies.pcap", "fork.pcap")
	r := a.report()
	plain := r.Call
	r.Call = func(num uint32) (correlate.Call, func(int) []byte, bool) {
		c, texts, ok := plain(num)
		if num == 1 {
			c.Messages = slices.Repeat(c.Messages, maxMessages)
		}
		return c, texts, ok
	}
	var out bytes.Buffer
	written, err := r.Write(t.Context(), &out)
	if err != nil || written.Rows != 2 || written.Detailed != 1 {
		t.Errorf("%+v, %v", written, err)
	}
	if !bytes.Contains(out.Bytes(), []byte("1 calls of more than 5,000 messages are without ladder")) {
		t.Error("the page does not say that a call is too long")
	}
}

// The same input gives the same bytes.
func TestReportDeterministic(t *testing.T) {
	t.Parallel()
	a := read(t, "fork*.pcap", "register*.pcap", "tcp*.pcap")
	var first bytes.Buffer
	for i := range 3 {
		var out bytes.Buffer
		if _, err := a.report().Write(t.Context(), &out); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = out
		} else if !bytes.Equal(first.Bytes(), out.Bytes()) {
			t.Fatal("two reports of the same capture differ")
		}
	}
}

// An empty capture has a report, too.
func TestReportEmpty(t *testing.T) {
	t.Parallel()
	r := &Report{Title: "nothing", Summaries: func(func(*correlate.Summary) bool) {}}
	var out bytes.Buffer
	if written, err := r.Write(t.Context(), &out); err != nil || written.Calls != 0 {
		t.Fatalf("%+v, %v", written, err)
	}
}

// Scripts and templates ask for no words that are not there, and no word is there in vain.
func TestWords(t *testing.T) {
	t.Parallel()
	w := english()
	if len(w.all) == 0 {
		t.Fatal("assets/words.json cannot be read")
	}
	used := map[string]bool{}
	dynamic := []string{"list.", "col.", "note.", "sdp.", "fact.", "stream.", "call.download."}
	sources, err := filepath.Glob("assets/*.*")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	cmd, err := filepath.Glob("../../cmd/sipscope/*.go")
	if err != nil {
		t.Fatal(err)
	}
	pattern := regexp.MustCompile(`["'` + "`" + `]([a-z]+(?:\.[a-z_]+)+)["'` + "`" + `]`)
	for _, path := range slices.Concat(sources, more, cmd) {
		if strings.HasSuffix(path, "words.json") || strings.HasSuffix(path, "_test.go") {
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range pattern.FindAllSubmatch(b, -1) {
			used[string(m[1])] = true
		}
		asks := regexp.MustCompile(`(?:\bt |\.get\(|\.fill\(|Words\()"([a-z._]+)"`)
		if strings.HasSuffix(path, ".js") {
			asks = regexp.MustCompile(`S\.t\('([a-z._]+)'`)
		}
		for _, m := range asks.FindAllSubmatch(b, -1) {
			if _, ok := w.all[string(m[1])]; !ok && !strings.HasSuffix(string(m[1]), ".") {
				t.Errorf("%s asks for %q", path, m[1])
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(w.all)) {
		if used[key] || slices.ContainsFunc(dynamic, func(p string) bool { return strings.HasPrefix(key, p) }) {
			continue
		}
		t.Errorf("nobody asks for %q", key)
	}
}

// A string of any bytes survives the way through a script element.
func FuzzString(f *testing.F) {
	for _, s := range []string{"", "a\"b\\c", "</script>", "\u2028\u2029", "\xff\xfe", "<!--", "\x00\x1f\x7f", "é漢😀", "\xe2\x80"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := appendString(nil, s)
		var got string
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%q: %v", b, err)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); utf8.ValidString(s) && got != want {
			t.Errorf("%q came back as %q", s, got)
		}
		if bytes.ContainsAny(b, "<>&\u2028\u2029") || !utf8.Valid(b) {
			t.Errorf("%q", b)
		}
	})
}

// The document of a call is valid JSON whatever its messages are.
func FuzzAppend(f *testing.F) {
	f.Add([]byte("INVITE sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a\r\n\r\n"), "x", "y")
	f.Add([]byte("\x00<\xff"), "</script>", "\xff")
	f.Fuzz(func(t *testing.T, raw []byte, callID, method string) {
		c := correlate.Call{Messages: []correlate.Message{{Txn: 0, Dialog: -1, Repeats: -1, Method: method}}, Transactions: []correlate.Transaction{
			{Method: method, Request: 0, Final: -1, Ack: -1, Cancel: -1},
		}}
		c.CallID, c.Method, c.Cause = callID, method, -1
		var e Encoder
		b, err := e.Append(nil, &Flow{Calls: []correlate.Call{c}, Text: func(int, int) []byte { return raw }})
		if err != nil {
			t.Fatal(err)
		}
		var d doc
		if err := json.Unmarshal(b, &d); err != nil {
			t.Fatalf("%v in %q", err, b)
		}
		if bytes.ContainsAny(b, "<>") {
			t.Errorf("%q", b)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	a := read(b, "two-proxies.pcap")
	call, texts, _ := a.report().Call(1)
	var e Encoder
	f := Flow{Calls: []correlate.Call{call}, Text: func(_, i int) []byte { return texts(i) }}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if dst, err = e.Append(dst[:0], &f); err != nil {
			b.Fatal(err)
		}
	}
}

// The files of live pages are those that the shell names, and can be read.
func TestLive(t *testing.T) {
	t.Parallel()
	a := read(t, "two-proxies.pcap")
	call, texts, _ := a.report().Call(1)
	flow := Flow{Calls: []correlate.Call{call}, Text: func(_, i int) []byte { return texts(i) }}
	var shell bytes.Buffer
	if err := WriteLive(&shell, &Live{View: "call", Title: "a <b>", Version: "v", Base: "/u/3", Upload: true, Flow: &flow}); err != nil {
		t.Fatal(err)
	}
	files, err := LiveFiles()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{files.Script, files.Charts, files.Style} {
		if b, err := fs.ReadFile(files, name); err != nil || len(b) < 1000 || !bytes.Contains(shell.Bytes(), []byte(`"/assets/`+name+`"`)) {
			t.Errorf("%s: %d bytes, %v", name, len(b), err)
		}
	}
	if _, err := files.Open("../page.tmpl"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("another file: %v", err)
	}
	for _, want := range []string{"a &lt;b&gt;", `href="/u/3/calls"`, `action="/u/3/api/v1/upload"`, "180 Ringing", `{"live":true,"base":"/u/3"}`, "<svg "} {
		if !bytes.Contains(shell.Bytes(), []byte(want)) {
			t.Errorf("the shell lacks %q", want)
		}
	}
	if bytes.Contains(markup(shell.Bytes()), []byte(" style=")) || bytes.Contains(shell.Bytes(), []byte("<script>")) {
		t.Error("the shell has an inline style or script, which the server's policy refuses")
	}
}
