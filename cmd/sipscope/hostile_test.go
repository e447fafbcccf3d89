package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// Whatever media, DTMF, RTCP, WebSocket and TLS say, no output obeys it: no control character, no formula, no markup.
func TestHostileTexts(t *testing.T) {
	t.Parallel()
	trace := hostileCapture(t)
	dir := t.TempDir()
	columns := "num,callid,from,to,reason,tunnels,media,mos,loss,jitter,codec,header.Host,header.Via"
	few := []string{"--call", "hostile-0@x", "--call", "hostile-17@x", "--call", "hostile-33@x", "--call", "hostile-40@x"}
	for _, tt := range []struct {
		name string
		kind language
		args []string
	}{
		{"list", plain, []string{"ls", trace, "--columns", columns}},
		{"list, narrow", plain, []string{"ls", trace, "--columns", columns, "--width", "60"}},
		{"list as CSV", inCSV, []string{"ls", trace, "--columns", columns, "--format", "csv"}},
		{"list as JSON", inJSON, []string{"ls", trace, "--format", "json"}},
		{"list as NDJSON", inJSON, []string{"ls", trace, "--format", "ndjson"}},
		{"streams", plain, []string{"media", trace, "--findings"}},
		{"streams as CSV", inCSV, []string{"media", trace, "--format", "csv"}},
		{"streams as JSON", inJSON, []string{"media", trace, "--findings", "--series", "--format", "json"}},
		{"streams as NDJSON", inJSON, []string{"media", trace, "--findings", "--format", "ndjson"}},
		{"figures", plain, []string{"stats", trace}},
		{"figures as JSON", inJSON, []string{"stats", trace, "--format", "json"}},
		{"messages", plain, []string{"show", trace, "--filter", "true"}},
		{"messages explained", plain, []string{"show", trace, "--filter", "true", "--format", "parsed"}},
		{"messages as JSON", inJSON, []string{"show", trace, "--filter", "true", "--format", "json"}},
		{"ladder", plain, []string{"flow", trace, "--filter", "true"}},
		{"ladder in ASCII", inASCII, []string{"flow", trace, "--filter", "true", "--format", "ascii"}},
		{"ladder as Mermaid", inMermaid, []string{"flow", trace, "--filter", "true", "--format", "mermaid"}},
		{"ladder as SVG", inXML, []string{"flow", trace, "--filter", "true", "--format", "svg"}},
		{"ladder as HTML", inHTML, append([]string{"flow", trace, "--format", "html"}, few...)},
		{"ladder as JSON", inJSON, []string{"flow", trace, "--filter", "true", "--format", "json"}},
		{"export of texts", plain, []string{"export", trace, "--filter", "true", "--format", "text", "-o", "-"}},
		{"export of ladders", plain, []string{"export", trace, "--filter", "true", "--format", "ladder", "-o", "-"}},
		{"export of HTML", inHTML, []string{"export", trace, "--filter", "true", "--format", "html", "-o", "-"}},
		{"export of CSV", inCSV, []string{"export", trace, "--filter", "true", "--format", "csv", "-o", "-"}},
		{"export of NDJSON", inJSON, []string{"export", trace, "--filter", "true", "--format", "ndjson", "-o", "-"}},
		{"export of sound", plain, []string{"export", trace, "--filter", "true", "--audio", dir + "/"}},
		{"comparison", plain, []string{"diff", trace, "--call", "1,3"}},
		{"comparison as JSON", inJSON, []string{"diff", trace, "--call", "5,35", "--format", "json"}},
		{"comparison for tests", inXML, []string{"diff", trace, trace, "--format", "junit"}},
		{"comparison as HTML", inHTML, []string{"diff", trace, "--call", "35,37", "--format", "html"}},
		{"report", inHTML, []string{"report", trace, "-o", "-"}},
		{"redacted report", inHTML, []string{"report", trace, "--redact", "-o", "-"}},
		{"key log", plain, []string{"ls", trace, "-k", trace}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out, said := written(t, tt.args...)
			plain.check(t, said)
			if tt.name == "export of sound" {
				out = said
			}
			if len(out) < 200 {
				t.Fatalf("%d bytes: %q, %q", len(out), out, said)
			}
			tt.kind.check(t, out)
		})
	}
}

// What sipp is given is XML of its own elements, without what sipp would replace.
func TestHostileScenario(t *testing.T) {
	t.Parallel()
	trace, dir := hostileCapture(t), t.TempDir()
	for i := range attacks() {
		call := filepath.Join(dir, "call-"+strconv.Itoa(i))
		_, said := written(t, "export", trace, "--call", "hostile-"+strconv.Itoa(i)+"@x", "--format", "sipp", "-o", call)
		plain.check(t, said)
		for _, side := range []string{"-uac.xml", "-uas.xml"} {
			b, err := os.ReadFile(call + side)
			if err != nil {
				t.Fatalf("%v: %s", err, said)
			}
			inXML.check(t, b)
		}
	}
}

// The live pages and what they ask for.
func TestHostileServe(t *testing.T) {
	t.Parallel()
	trace := hostileCapture(t)
	address, end := serving(t, nil, trace)
	whole(t, address)
	ask := func(path string, k language) {
		status, body := get(t, address+path)
		if status != 200 {
			t.Errorf("%s: %d %s", path, status, body)
		}
		t.Run(path, func(t *testing.T) { k.check(t, body) })
	}
	ask("/api/v1/calls?limit=1000&columns=num,codec,reason,header.Via", inJSON)
	ask("/api/v1/overview", inJSON)
	ask("/api/v1/fields", inJSON)
	ask("/calls/1", inHTML)
	ask("/metrics", inMetrics)
	for i := range 2*len(attacks()) + 1 {
		num := strconv.Itoa(i + 1)
		ask("/api/v1/calls/"+num, inJSON)
		if i%10 == 0 {
			for format, k := range map[string]language{"text": plain, "ladder": plain, "mermaid": inMermaid, "svg": inXML, "html": inHTML, "report": inHTML, "csv": inCSV, "json": inJSON} {
				ask("/api/v1/calls/"+num+"/download?format="+format, k)
			}
		}
	}
	if code := end(); code != exitDone {
		t.Errorf("exit code %d", code)
	}
}

// written is what the program writes. What it says is checked, not its exit code: some attacks have no sound.
func written(t *testing.T, args ...string) (out, said []byte) {
	t.Helper()
	dir := t.TempDir()
	files := [2]*os.File{}
	for i, name := range []string{"out", "said"} {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files[i] = f
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if code := run(t.Context(), args, stdio{in: null, out: files[0], err: files[1]}); code == exitUsage {
		t.Errorf("sipscope %q: exit code %d", args, code)
	}
	read := func(i int) []byte {
		b, err := os.ReadFile(files[i].Name())
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	return read(0), read(1)
}

// language is what an output is written in.
type language int

const (
	plain language = iota
	inASCII
	inCSV
	inJSON
	inMermaid
	inXML
	inHTML
	inMetrics
)

func (k language) check(t *testing.T, b []byte) {
	t.Helper()
	obeyed(t, b, k)
	switch k {
	case inCSV:
		formulas(t, b)
	case inJSON:
		values(t, b)
	case inMermaid:
		statements(t, b)
	case inXML:
		elements(t, b)
	case inHTML:
		tags(t, b)
	case inMetrics:
		samples(t, b)
	case plain, inASCII:
	}
}

// obeyed finds what a terminal obeys, hides or turns around, in any language.
func obeyed(t *testing.T, b []byte, k language) {
	t.Helper()
	for i := 0; i < len(b); {
		r, n := utf8.DecodeRune(b[i:])
		bad := r == utf8.RuneError && n == 1 || r < ' ' && r != '\n' || r >= 0x7f && r < 0xa0 || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)
		if r == '\r' && k == inCSV && i+1 < len(b) && b[i+1] == '\n' || r == '\t' && k == inHTML {
			bad = false
		}
		if bad || k == inASCII && r >= 0x7f {
			t.Errorf("%q at %d: %q", b[i:i+n], i, b[max(0, i-40):min(len(b), i+20)])
			return
		}
		i += n
	}
}

func formulas(t *testing.T, b []byte) {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		for _, cell := range row {
			if _, err := strconv.ParseFloat(cell, 64); err == nil || cell == "" {
				continue
			}
			if first, _ := utf8.DecodeRuneInString(cell); strings.ContainsRune("=+-@\t\r\n＝＋－＠", first) {
				t.Errorf("a spreadsheet calculates %q", cell)
			}
		}
	}
}

func values(t *testing.T, b []byte) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(b))
	for n := 0; ; n++ {
		var v any
		if err := dec.Decode(&v); errors.Is(err, io.EOF) && n > 0 {
			return
		} else if err != nil {
			t.Fatalf("value %d: %v", n+1, err)
		}
	}
}

// statements finds lines that no sequence diagram of ours has.
func statements(t *testing.T, b []byte) {
	t.Helper()
	escaped := regexp.MustCompile(`#\d+;|<br/>`)
	ours := regexp.MustCompile(`^(sequenceDiagram|(participant p\d+ as |p\d+--?(>>|x|\))p\d+: |Note (over|right of|left of) p\d+(,p\d+)?: |%% call \d+, Call-ID )[\pL\pN\pM .,/()@+=*_×-]*)$`)
	for line := range strings.Lines(string(b)) {
		if !ours.MatchString(escaped.ReplaceAllString(strings.TrimSpace(line), "")) {
			t.Errorf("a statement of somebody else: %q", line)
		}
	}
}

// elements finds elements and attributes that only the wire has.
func elements(t *testing.T, b []byte) {
	t.Helper()
	dec := xml.NewDecoder(bytes.NewReader(b))
	n := 0
	for ; ; n++ {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		if strings.Contains(start.Name.Local, "zz") || start.Name.Local == "exec" && !strings.HasPrefix(start.Attr[0].Name.Local, "play") {
			t.Errorf("element %v", start)
		}
		for _, a := range start.Attr {
			if strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "href" {
				t.Errorf("attribute %v of %v", a, start.Name)
			}
		}
	}
	if n < 5 {
		t.Errorf("%d tokens", n)
	}
}

// tags finds what a browser would take for an element or an attribute of ours.
func tags(t *testing.T, b []byte) {
	t.Helper()
	tok := html.NewTokenizer(bytes.NewReader(b))
	scripts := 0
	for n := 0; ; n++ {
		kind := tok.Next()
		if kind == html.ErrorToken {
			if !errors.Is(tok.Err(), io.EOF) || n < 20 {
				t.Errorf("%d tokens: %v", n, tok.Err())
			}
			break
		}
		token := tok.Token()
		if kind != html.StartTagToken && kind != html.SelfClosingTagToken {
			if kind == html.CommentToken {
				t.Errorf("a comment: %.40q", token.Data)
			}
			continue
		}
		if strings.Contains(token.Data, "zz") {
			t.Errorf("element %v", token)
		}
		if token.Data == "script" {
			scripts++
		}
		for _, a := range token.Attr {
			if strings.HasPrefix(a.Key, "on") || (a.Key == "href" || a.Key == "src") && strings.Contains(a.Val, "zz") {
				t.Errorf("attribute %v of %v", a, token.Data)
			}
		}
	}
	if scripts == 0 {
		t.Error("no script is ours")
	}
}

// samples finds lines that no exposition of ours has.
func samples(t *testing.T, b []byte) {
	t.Helper()
	ours := regexp.MustCompile(`^(# (HELP|TYPE) [a-z_]+ |[a-z_0-9]+(\{([a-z_]+="[^"\\]*",?)*\})? [-+0-9.eNaInf]+$)`)
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSuffix(line, "\n"); !ours.MatchString(line) || strings.Contains(line, "zz") {
			t.Errorf("a sample of somebody else: %q", line)
		}
	}
}
