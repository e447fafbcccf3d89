package pair

import (
	"bufio"
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"maps"
	"sync"

	"sipscope/render/html"
	"sipscope/render/text"
)

//go:embed assets
var assets embed.FS

// built is what all pages share, made once: the style sheet of render/html with what this page adds, script, words.
type built struct {
	top    *template.Template
	script []byte
	style  []byte
	words  map[string]string
	err    error
}

var shared = sync.OnceValue(func() *built { //nolint:gochecknoglobals // read-only
	b := &built{}
	b.err = b.make()
	return b
})

func (b *built) make() error {
	files, err := html.LiveFiles()
	if err != nil {
		return err
	}
	house, err := fs.ReadFile(files, files.Style)
	if err != nil {
		return err
	}
	own, err := assets.ReadFile("assets/pair.css")
	if err != nil {
		return err
	}
	b.style = append(append(bytes.Clone(house), '\n'), own...)
	if b.script, err = assets.ReadFile("assets/pair.js"); err != nil {
		return err
	}
	words, err := assets.ReadFile("assets/words.json")
	if err != nil {
		return err
	}
	if err = json.Unmarshal(words, &b.words); err != nil {
		return err
	}
	b.top, err = template.New("page.tmpl").Funcs(template.FuncMap{"t": b.word}).ParseFS(assets, "assets/page.tmpl")
	return err
}

// word gives the English of a key: this page's, else that of render/html.
func (b *built) word(key string) string {
	if s, ok := b.words[key]; ok {
		return s
	}
	return html.Words(key)
}

// wordsOf are the words that the script of a page needs: of one call's hops nothing parted.
func (b *built) wordsOf(p *page) map[string]string {
	if !p.Hops {
		return b.words
	}
	words := maps.Clone(b.words)
	words["first"], words["list.headline"] = b.word("change"), b.word("change")
	return words
}

// Bounds of a page.
const (
	// DefaultMaxSize is how large a page may become, in bytes: what mail servers and ticket systems take.
	DefaultMaxSize = 25_000_000
	pageLines      = 1000    // of one pair of messages
	pageAll        = 500_000 // of one pair of flows
	plainRows      = 400     // of the picture for readers without scripts
)

// pageRow is a line of the list of pairs.
type pageRow struct {
	Index, A, B               int // 0 for no call
	Verdict, Word, Call, Text string
	Open                      bool // its ladders are in the page
}

// page is what the template shows.
type page struct {
	Title, Source, About, Policy, Verdict, Word, Headline, Plain string
	Style                                                        template.CSS
	Notes                                                        []string
	Rows                                                         []pageRow
	Many                                                         bool
	Hops                                                         bool // the sides are those of Hops: nothing parted
}

// WriteHTML writes one page that needs no network: the list of pairs, two ladders beside each other, and the messages of
// a row side by side. It is bounded by maxSize bytes, 0 for DefaultMaxSize: pairs that are the same are left out first,
// then those at the end, and the page says so. A page is never without its list.
func (r *Report) WriteHTML(to io.Writer, maxSize int64) error {
	b := shared()
	if b.err != nil {
		return b.err
	}
	if maxSize <= 0 {
		maxSize = DefaultMaxSize
	}
	chunks, left, cut, err := r.chunks(maxSize - int64(len(b.script)+len(b.style)) - int64(len(r.Pairs))*rowBytes)
	if err != nil {
		return err
	}
	p := r.page(b, chunks)
	if left > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf(b.word("left_out"), left, float64(maxSize)/1e6))
	}
	if cut {
		p.Notes = append(p.Notes, fmt.Sprintf(b.word("lines_left_out"), pageAll))
	}
	w := bufio.NewWriterSize(to, flushSize)
	if err = b.top.ExecuteTemplate(w, "page", p); err != nil {
		return fmt.Errorf("page: %w", err)
	}
	words, err := json.Marshal(b.wordsOf(p))
	if err != nil {
		return err
	}
	data(w, "words", "application/json", words)
	names, err := json.Marshal(map[string]any{"a": text.Clean(r.A), "b": text.Clean(r.B), "pairs": len(r.Pairs)})
	if err != nil {
		return err
	}
	data(w, "meta", "application/json", names)
	for i, c := range chunks {
		if c != nil {
			data(w, fmt.Sprintf("pair-%d", i), "text/plain", c)
		}
	}
	_, _ = w.WriteString("<script>") // the writer keeps its error
	_, _ = w.Write(b.script)
	_, _ = w.WriteString("</script>\n</body>\n</html>\n")
	return w.Flush()
}

// rowBytes is about what a line of the list takes.
const rowBytes = 400

// data writes a block that scripts read and browsers do not run: JSON of encoding/json, which escapes "<", or base 64.
func data(w *bufio.Writer, id, kind string, b []byte) {
	_, _ = w.WriteString(`<script type="` + kind + `" id="` + id + `">`) // the writer keeps its error
	_, _ = w.Write(b)
	_, _ = w.WriteString("</script>\n")
}

// chunks packs the pairs: those that differ first, then the others, until the room is used. nil for what is left out.
func (r *Report) chunks(room int64) (packed [][]byte, left int, cut bool, err error) {
	packed = make([][]byte, len(r.Pairs))
	e := encoder{clean: text.Clean, all: true, limit: pageLines}
	for _, same := range [2]bool{false, true} {
		for i := range r.Pairs {
			p := &r.Pairs[i]
			if p.Open == nil || telling(p.Verdict) == same {
				continue
			}
			if room <= 0 {
				left++
				continue
			}
			c, err := pack(func(w io.Writer) error { return e.write(w, p) })
			if err != nil {
				return nil, 0, false, err
			}
			if room -= int64(len(c)); room < 0 {
				left++
				continue
			}
			packed[i] = c
		}
	}
	return packed, left, e.cut, nil
}

// pack is raw deflate (RFC 1951) in base 64, as a browser unpacks it.
func pack(write func(w io.Writer) error) ([]byte, error) {
	var packed bytes.Buffer
	z, err := flate.NewWriter(&packed, flate.DefaultCompression)
	if err != nil {
		return nil, err
	}
	if err = write(z); err != nil {
		return nil, err
	}
	if err = z.Close(); err != nil {
		return nil, err
	}
	return base64.StdEncoding.AppendEncode(nil, packed.Bytes()), nil
}

// hash is a source of a Content-Security-Policy (CSP 3, 2.3.1).
func hash(b []byte) string {
	sum := sha256.Sum256(b)
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

func (r *Report) page(b *built, chunks [][]byte) *page {
	v := r.Verdict()
	p := &page{
		Title: text.Clean(r.title()), About: html.Words("overview.made", r.Version), Many: len(r.Pairs) != 1, Hops: areHops(r.A, r.B),
		// the script and the style sheet of this page, by their hashes, and nothing else: no request, no frame, no form
		Policy:  "default-src 'none'; script-src " + hash(b.script) + "; style-src " + hash(b.style) + "; base-uri 'none'; form-action 'none'",
		Style:   template.CSS(b.style), //nolint:gosec // our own file
		Verdict: v.String(), Word: verdictWord(v),
	}
	for _, n := range r.Notes {
		p.Notes = append(p.Notes, text.Clean(n))
	}
	if p.Many {
		p.Headline = text.Clean(summaryOf(r))
	} else {
		p.Headline = text.Clean(r.Pairs[0].Headline)
	}
	rows := 0
	for i := range r.Pairs {
		x := &r.Pairs[i]
		row := pageRow{Index: i, Verdict: x.Verdict.String(), Word: verdictWord(x.Verdict), Text: text.Clean(headlineOf(x)), Open: chunks[i] != nil}
		if x.A != nil {
			row.A, row.Call = int(x.A.Num), text.Clean(callName(x.A, " → "))
		}
		if x.B != nil {
			row.B = int(x.B.Num)
			if row.Call == "" {
				row.Call = text.Clean(callName(x.B, " → "))
			}
		}
		p.Rows = append(p.Rows, row)
	}
	if len(r.Pairs) == 1 && r.Pairs[0].Open != nil {
		if res := r.Pairs[0].Open(); res != nil {
			rows = len(res.Rows)
		}
	}
	if rows > 0 && rows <= plainRows {
		var out bytes.Buffer
		if r.WriteText(&out, TextOptions{Width: plainWidth}) == nil {
			p.Plain = out.String()
		}
	}
	return p
}

// plainWidth is how wide the picture is that readers without scripts see, in cells.
const plainWidth = 140
