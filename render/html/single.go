package html

import (
	"bufio"
	"encoding/json"
	"io"
	"strings"

	"sipscope/render/text"
)

// WriteFlow writes a page with one ladder that stands alone: `sipscope flow --format html`. version is the program's, ""
// when not known.
func WriteFlow(to io.Writer, title, version string, f *Flow) error {
	b := shared()
	if b.err != nil {
		return b.err
	}
	var e Encoder
	doc, err := e.Append(nil, f)
	if err != nil {
		return err
	}
	packed, err := pack(doc)
	if err != nil {
		return err
	}
	meta, err := json.Marshal(&reportMeta{Calls: len(f.Calls), Single: true})
	if err != nil {
		return err
	}
	p := page{
		Title: text.Clean(title), About: strings.Replace(english().fill("overview.made", version), " .", ".", 1), Single: true, View: "call",
	}
	if messageCount(f) <= staticLimit {
		p.Static = []staticCall{staticOf(f)}
	}
	out := &writer{w: bufio.NewWriterSize(to, 64<<10)}
	out.head(title, b, false)
	out.template(b, &p)
	out.data("words", "application/json", b.words)
	out.data("chunk-0", "text/plain", packed)
	out.data("meta", "application/json", meta)
	out.foot(b, false)
	if out.err == nil {
		out.err = out.w.Flush()
	}
	return out.err
}
