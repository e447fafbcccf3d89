package html

import (
	"bufio"
	"encoding/json"
	"io"

	"sipscope/render/html/chart"
	"sipscope/render/text"
)

// Live is the shell of a page that a server feeds.
type Live struct {
	View    string // overview, calls, call
	Title   string
	Version string
	Base    string // what the addresses of the page begin with: "" or "/u/3"
	Upload  bool
	Flow    *Flow // of view call: drawn for readers without scripts and before the script is there; nil for none
}

type liveMeta struct {
	Live bool   `json:"live"`
	Base string `json:"base"`
}

// WriteLive writes the shell: a server sends the policy as a header, so the page names files instead of hashes.
func WriteLive(to io.Writer, l *Live) error {
	b := shared()
	if b.err != nil {
		return b.err
	}
	files, err := LiveFiles()
	if err != nil {
		return err
	}
	meta, err := json.Marshal(&liveMeta{Live: true, Base: l.Base})
	if err != nil {
		return err
	}
	p := page{
		Title: text.Clean(l.Title), About: english().fill("overview.live", l.Version), Licence: chart.Licence(), Live: true,
		View: l.View, Base: l.Base, Upload: l.Upload,
	}
	if l.Flow != nil && messageCount(l.Flow) <= staticLimit {
		p.Static = []staticCall{staticOf(l.Flow)}
	}
	out := &writer{w: bufio.NewWriterSize(to, 16<<10)}
	if err := b.top.ExecuteTemplate(out, "live", map[string]any{"Page": &p, "Files": files}); err != nil {
		return err
	}
	out.data("words", "application/json", b.words)
	out.data("meta", "application/json", meta)
	out.put(`<script src="/assets/`, files.Charts, `"></script>`, "\n", `<script src="/assets/`, files.Script, `"></script>`,
		"\n</body>\n</html>\n")
	if out.err == nil {
		out.err = out.w.Flush()
	}
	return out.err
}
