package html

import (
	"bufio"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"strings"
	"sync"

	"sipscope/render/html/chart"
	"sipscope/render/svg"
	"sipscope/render/text"
)

//go:embed assets
var assets embed.FS

// scripts are the parts of the page's script, in order.
func scripts() []string {
	return []string{"base.js", "source.js", "list.js", "message.js", "media.js", "flow.js", "overview.js", "app.js"}
}

// built is what all pages share, made once from the embedded files.
type built struct {
	top    *template.Template
	script []byte // all scripts in one
	style  []byte
	words  []byte // JSON: texts, style classes, the ladder's style sheet
	err    error
}

var shared = sync.OnceValue(func() *built { //nolint:gochecknoglobals // read-only
	b := &built{}
	b.err = b.make()
	return b
})

func (b *built) make() (err error) {
	for _, name := range scripts() {
		part, readErr := assets.ReadFile("assets/" + name)
		if readErr != nil {
			return readErr
		}
		b.script = append(append(b.script, part...), '\n')
	}
	if b.style, err = assets.ReadFile("assets/sipscope.css"); err != nil {
		return err
	}
	b.style = append(b.style, svg.StyleSheet()...)
	b.words, err = json.Marshal(map[string]any{
		"text": english().all, "styles": styleClasses(), "compact": compactNames(), "ladder_style": svg.StyleSheet(),
	})
	if err != nil {
		return err
	}
	b.top, err = template.New("page.tmpl").Funcs(template.FuncMap{
		"t":     english().get,
		"frame": func(n uint64) string { return english().fill("call.frame", n) },
	}).ParseFS(assets, "assets/page.tmpl")
	return err
}

// page is what the template shows.
type page struct {
	Title, Source, About, Licence string
	Notes                         []string
	View                          string // that is seen first: overview, calls, call
	Live, Single, Upload          bool
	Base                          string // of a live page's addresses: "" or "/u/3"
	Overview                      Overview
	Static                        []staticCall
}

// staticCall is a call as it is shown without scripts.
type staticCall struct {
	Title    string
	Facts    []Fact
	Media    staticMedia
	SVG      template.HTML
	Messages []staticMessage
}

type staticMessage struct{ Head, Text string }

// writer writes a page and remembers the first error.
type writer struct {
	w   *bufio.Writer
	n   int64
	err error
}

func (w *writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	var n int
	n, w.err = w.w.Write(p)
	w.n += int64(n)
	return n, w.err
}

func (w *writer) put(parts ...string) {
	for _, p := range parts {
		_, _ = io.WriteString(w, p) // the error is kept
	}
}

// data writes a block that scripts read and browsers do not run. What is in it escapes "<".
func (w *writer) data(id, kind string, b []byte) {
	w.put(`<script type="`, kind, `" id="`, id, `">`)
	_, _ = w.Write(b) // the error is kept
	w.put("</script>\n")
}

// hash is a source of a Content-Security-Policy (CSP 3, 2.3.1).
func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// head writes all before the body of a page that stands alone. Its policy allows the scripts and the style sheet that
// are in the page, by their hashes, and nothing else: no request, no frame, no form, no inline style.
func (w *writer) head(title string, b *built, withCharts bool) {
	scripts := hash(b.script)
	if withCharts {
		scripts += " " + hash(chart.Script())
	}
	w.put(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src `, scripts, `; style-src `, hash(b.style),
		`; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="sipscope">
<title>`, template.HTMLEscapeString(text.Clean(title)), `</title>
<style>`)
	_, _ = w.Write(b.style)
	w.put("</style>\n</head>\n<body>\n")
}

// foot writes the scripts behind the data that they read.
func (w *writer) foot(b *built, withCharts bool) {
	if withCharts {
		w.put("<script>")
		_, _ = w.Write(chart.Script())
		w.put("</script>\n")
	}
	w.put("<script>")
	_, _ = w.Write(b.script)
	w.put("</script>\n</body>\n</html>\n")
}

func (w *writer) template(b *built, p *page) {
	if err := b.top.ExecuteTemplate(w, "top", p); err != nil && w.err == nil {
		w.err = fmt.Errorf("page: %w", err)
	}
}

// fill gives the words of a key with its places {0}, {1} ... filled.
func (w *words) fill(key string, args ...any) string {
	s := w.get(key)
	for i, a := range args {
		s = strings.ReplaceAll(s, fmt.Sprintf("{%d}", i), fmt.Sprint(a))
	}
	return s
}

// fingerprint is a part of a file name that changes with the file.
func fingerprint(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:6])
}
