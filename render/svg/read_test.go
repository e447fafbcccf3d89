package svg_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sipscope/render/text"
)

// picture is what a picture says, read back from its bytes.
type picture struct {
	width, height int
	label         string
	lanes         []int // lifelines of the body, of the header where there is no body
	columns       []readColumn
	rows          []readRow
	titles        []string
	totals        string
	styles        int
}

type readColumn struct {
	aria, title, name, address string
	x                          int
}

type readRow struct {
	classes             []string
	attrs               map[string]string
	title, time, call   string
	label, sdp, prose   string
	margin              string
	media               []string
	y, h                int
	shaftFrom, shaftEnd int // -1 without a shaft
	tip                 int // -1 without a head
	loop                bool
	texts               []readText
}

type readText struct {
	class string
	x, y  int
	s     string
}

// node is an element on the way to its end.
type node struct {
	name   string
	attrs  map[string]string
	text   strings.Builder
	spans  []string // of its tspans that stand on lines of their own
	sdp    string
	offset int
	sums   []readText
}

// allowed are the elements and their attributes; nothing else may be in a picture.
var allowed = map[string]string{
	"svg":   "xmlns class width height viewBox role aria-label",
	"style": "",
	"g":     "class id data-row data-call data-msgs data-streams data-txn data-dialog data-frame data-column tabindex role aria-label transform",
	"title": "",
	"rect":  "class x y width height rx",
	"text":  "class x y",
	"tspan": "class x y",
	"path":  "class aria-hidden d",
}

// shapes are what attribute values must look like, beside those that hold a text of the wire.
var shapes = map[string]*regexp.Regexp{
	"xmlns": regexp.MustCompile(`^http://www\.w3\.org/2000/svg$`), "class": regexp.MustCompile(`^[a-z0-9 -]+$`),
	"width": number, "height": number, "x": number, "y": number, "rx": number,
	"viewBox": regexp.MustCompile(`^0 0 \d+ \d+$`), "role": regexp.MustCompile(`^(group|img|button)$`),
	"id": regexp.MustCompile(`^[a-z0-9-]*r\d+$`), "data-row": number, "data-call": signed, "data-streams": regexp.MustCompile(`^\d+( \d+)?$`), "data-msgs": regexp.MustCompile(`^-?\d+( -?\d+)*$`),
	"data-txn": number, "data-dialog": number, "data-frame": number, "data-column": number, "tabindex": regexp.MustCompile(`^0$`),
	"transform": regexp.MustCompile(`^translate\(0 \d+\)$`), "aria-hidden": regexp.MustCompile(`^true$`),
	"d": regexp.MustCompile(`^[MHVhvlz0-9. -]+$`), "aria-label": regexp.MustCompile(`(?s).*`),
}

var (
	number = regexp.MustCompile(`^\d+$`)
	signed = regexp.MustCompile(`^-?\d+$`)
)

// reader gathers a picture.
type reader struct {
	tb    testing.TB
	p     picture
	stack []*node
	ids   map[string]bool
	row   *readRow
	col   *readColumn
}

// readPicture parses a picture strictly, checks every element and attribute, and gives what it says.
func readPicture(tb testing.TB, b []byte) picture {
	tb.Helper()
	r := reader{tb: tb, ids: map[string]bool{}}
	dec := xml.NewDecoder(bytes.NewReader(b))
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			tb.Fatalf("%v in\n%s", err, b)
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			r.start(tok)
		case xml.EndElement:
			r.end()
		case xml.CharData:
			if len(r.stack) > 0 {
				r.stack[len(r.stack)-1].text.Write(tok)
			} else if s := strings.TrimSpace(string(tok)); s != "" {
				tb.Fatalf("text outside: %q", s)
			}
		case xml.ProcInst:
			if tok.Target != "xml" || dec.InputOffset() > 60 {
				tb.Fatalf("instruction %s", tok.Target)
			}
		default:
			tb.Fatalf("a %T in\n%s", tok, b)
		}
	}
	if len(r.stack) != 0 {
		tb.Fatal("not all elements end")
	}
	return r.p
}

func (r *reader) start(tok xml.StartElement) {
	n := &node{name: tok.Name.Local, attrs: map[string]string{}}
	list, ok := allowed[n.name]
	if !ok || tok.Name.Space != "http://www.w3.org/2000/svg" {
		r.tb.Fatalf("element %s", n.name)
	}
	for _, a := range tok.Attr {
		name := a.Name.Local
		if a.Name.Space != "" || !slices.Contains(strings.Fields(list), name) || !shapes[name].MatchString(a.Value) {
			r.tb.Fatalf("<%s %s=%q>", n.name, name, a.Value)
		}
		n.attrs[name] = a.Value
	}
	if id, ok := n.attrs["id"]; ok {
		if r.ids[id] {
			r.tb.Fatalf("two ids %s", id)
		}
		r.ids[id] = true
	}
	if len(r.stack) > 0 {
		n.offset = r.stack[len(r.stack)-1].offset
	}
	if t := n.attrs["transform"]; t != "" {
		n.offset += atoi(strings.TrimSuffix(strings.TrimPrefix(t, "translate(0 "), ")"))
	}
	if n.name == "g" {
		r.group(n)
	}
	r.stack = append(r.stack, n)
}

func (r *reader) group(n *node) {
	classes := strings.Fields(n.attrs["class"])
	switch {
	case len(classes) == 0:
	case classes[0] == "row":
		r.p.rows = append(r.p.rows, readRow{
			classes: classes[1:], attrs: n.attrs, y: n.offset, shaftFrom: -1, shaftEnd: -1, tip: -1,
		})
		r.row = &r.p.rows[len(r.p.rows)-1]
	case classes[0] == "column":
		r.p.columns = append(r.p.columns, readColumn{aria: n.attrs["aria-label"]})
		r.col = &r.p.columns[len(r.p.columns)-1]
	default:
		r.tb.Fatalf("group %q", classes)
	}
}

func (r *reader) end() {
	n := r.stack[len(r.stack)-1]
	r.stack = r.stack[:len(r.stack)-1]
	switch n.name {
	case "svg":
		r.p.width, r.p.height, r.p.label = atoi(n.attrs["width"]), atoi(n.attrs["height"]), n.attrs["aria-label"]
		if n.attrs["viewBox"] != "0 0 "+n.attrs["width"]+" "+n.attrs["height"] {
			r.tb.Fatalf("viewBox %q", n.attrs["viewBox"])
		}
	case "g":
		r.row, r.col = nil, nil
	case "style":
		r.p.styles++
	case "title":
		if r.row != nil {
			r.row.title = n.text.String()
		} else {
			r.col.title = n.text.String()
		}
	case "rect":
		if n.attrs["class"] == "hit" {
			r.row.h = atoi(n.attrs["height"])
		}
	case "tspan":
		up := r.stack[len(r.stack)-1]
		if n.attrs["class"] == "sdp" {
			up.sdp = n.text.String()
		} else {
			up.spans = append(up.spans, n.text.String())
			up.sums = append(up.sums, readText{x: atoi(n.attrs["x"]), y: atoi(n.attrs["y"]), s: n.text.String()})
		}
	case "text":
		r.text(n)
	case "path":
		r.path(n)
	}
}

func (r *reader) text(n *node) {
	class := n.attrs["class"]
	s := n.text.String()
	whole := readText{class: class, x: atoi(n.attrs["x"]), y: atoi(n.attrs["y"]), s: s + n.sdp}
	all := []readText{whole}
	if len(n.spans) > 0 {
		s = strings.Join(n.spans, " ")
		all = n.sums
		for i := range all {
			all[i].class = class
		}
	}
	words := strings.Fields(class)
	switch {
	case r.row != nil:
		r.row.texts = append(r.row.texts, all...)
		r.rowText(words, s, n)
	case r.col != nil && words[0] == "name":
		r.col.name, r.col.x = s, whole.x
	case r.col != nil:
		r.col.address = s
	case words[0] == "totals":
		r.p.totals = s
	default:
		r.p.titles = append(r.p.titles, s)
	}
}

func (r *reader) rowText(words []string, s string, n *node) {
	switch {
	case words[0] == "time":
		r.row.time = s
	case words[0] == "call":
		r.row.call = s
	case words[0] == "margin":
		r.row.margin = s
	case words[0] == "media":
		r.row.media = append(r.row.media, s)
	case slices.Contains(words, "prose"):
		r.row.prose = s
	case slices.Contains(words, "sdp"):
		r.row.sdp = s
	case n.sdp != "":
		r.row.label, r.row.sdp = strings.TrimSuffix(s, " "), n.sdp
	default:
		r.row.label = s
	}
}

var lane = regexp.MustCompile(`M(\d+)\.5`)

func (r *reader) path(n *node) {
	d := n.attrs["d"]
	switch n.attrs["class"] {
	case "life":
		r.p.lanes = nil
		for _, m := range lane.FindAllStringSubmatch(d, -1) {
			r.p.lanes = append(r.p.lanes, atoi(m[1]))
		}
	case "shaft":
		before, after, _ := strings.Cut(d, "H")
		r.row.shaftFrom = atoi(lane.FindStringSubmatch(before)[1])
		r.row.shaftEnd = atoi(after)
		r.row.loop = strings.Contains(d, "v")
	case "head":
		x, _, _ := strings.Cut(strings.TrimPrefix(d, "M"), " ")
		r.row.tip = atoi(x)
	case "foot":
	default:
		r.tb.Fatalf("path %q", n.attrs["class"])
	}
}

func atoi(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return -1
	}
	return n
}

// column is the lifeline that stands at x, or a pixel beside it; -1 for none.
func (p *picture) column(x int) int {
	for i, at := range p.lanes {
		if x == at || x == at+1 {
			return i
		}
	}
	return -1
}

// ends gives the lifelines of an arrow, from where its line begins and where its head points.
func (p *picture) ends(r *readRow) (from, to int) { return p.column(r.shaftFrom), p.column(r.tip) }

func (r *readRow) is(class string) bool { return slices.Contains(r.classes, class) }

// check holds what every picture promises: rows below each other and inside the picture, texts inside it and on their
// place, the whole row to click on.
func (p *picture) check(tb testing.TB) {
	tb.Helper()
	y := 0
	for i := range p.rows {
		r := &p.rows[i]
		if r.y < y || r.h < 20 || r.y+r.h > p.height {
			tb.Fatalf("row %d is at %d, %d high, after %d of %d", i, r.y, r.h, y, p.height)
		}
		y = r.y + r.h
		if r.attrs["aria-label"] == "" || r.title == "" {
			tb.Fatalf("row %d is not told", i)
		}
		button := r.attrs["role"] == "button" && r.attrs["tabindex"] == "0"
		if r.is("arrow") != button || !button && r.attrs["tabindex"] != "" {
			tb.Fatalf("row %d has the role %q", i, r.attrs["role"])
		}
		for k := range r.texts {
			p.checkText(tb, r, &r.texts[k])
		}
	}
}

func (p *picture) checkText(tb testing.TB, r *readRow, t *readText) {
	tb.Helper()
	w := (text.Width(t.s)*72 + 9) / 10
	lo, hi := t.x, t.x+w
	words := strings.Fields(t.class)
	middle := words[0] == "label" && !slices.Contains(words, "side") && !slices.Contains(words, "prose")
	switch {
	case words[0] == "time":
		lo, hi = t.x-w, t.x
	case middle:
		lo, hi = t.x-w/2, t.x+w/2
	}
	const glyph, air = 15, 6 // a line must hold one character, however wide; no label touches a lifeline
	if lo < 0 || hi > p.width && w > glyph || t.y < 10 || t.y > r.h {
		tb.Fatalf("%q (%s) takes %d to %d at %d in a row of %d by %d", t.s, t.class, lo, hi, t.y, p.width, r.h)
	}
	if middle && !slices.Contains(words, "over") {
		for _, x := range p.lanes {
			if x > lo-air && x < hi+air && w > glyph {
				tb.Fatalf("%q takes %d to %d over the lifeline at %d", t.s, lo, hi, x)
			}
		}
	}
	if words[0] == "margin" && len(p.lanes) > 0 && lo <= p.lanes[len(p.lanes)-1] {
		tb.Fatalf("the note %q begins at %d", t.s, lo)
	}
}
