package pair

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"sipscope/correlate/diff"
	"sipscope/render/pair"
	"sipscope/render/save"
	"sipscope/render/text"
	"sipscope/render/tui/term"
)

// endings are the files that a comparison can be saved as.
const endings = ".txt, .html, .json or .xml (JUnit)"

// ask asks for the file to save to.
func (v *View) ask() {
	if v.result == nil || v.pic == nil {
		v.host.Say("there is no comparison yet")
		return
	}
	v.host.Ask(term.Prompt{
		Label: "save as " + endings, Text: "diff.html",
		Done: func(path string) error {
			path = strings.TrimSpace(path)
			if path == "" {
				return errors.New("no file named")
			}
			write := v.writer(path)
			if write == nil {
				return fmt.Errorf("the name must end with %s", endings)
			}
			v.save(home(path), false, write)
			return nil
		},
	})
}

// home replaces a leading "~/", which only shells know.
func home(path string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok {
		if dir, err := os.UserHomeDir(); err == nil {
			return filepath.Join(dir, rest)
		}
	}
	return path
}

// writer is what writes the comparison that is shown, by the ending of the file's name; nil for one that is not known.
func (v *View) writer(path string) func(w io.Writer) error {
	r := v.shown()
	switch strings.ToLower(filepath.Ext(path)) {
	case ".txt":
		return func(w io.Writer) error { return r.WriteText(w, pair.TextOptions{}) }
	case ".html", ".htm":
		return func(w io.Writer) error { return r.WriteHTML(w, 0) }
	case ".json":
		return func(w io.Writer) error { return r.WriteJSON(w) }
	case ".xml":
		strict := v.result.Rules.Strict
		return func(w io.Writer) error { return r.WriteJUnit(w, strict) }
	default:
		return nil
	}
}

// shown is the report with nothing but the comparison on the screen.
func (v *View) shown() *pair.Report {
	r := *v.report
	result := v.result
	p := r.Pairs[v.at]
	p.Verdict, p.Headline = result.Verdict, result.Headline
	p.Open = func() *diff.Result { return result }
	r.Pairs = []pair.Pair{p}
	return &r
}

// save writes on another goroutine, and asks before it overwrites.
func (v *View) save(path string, force bool, write func(w io.Writer) error) {
	v.host.Go(func(context.Context) func() {
		err := save.WriteFile(path, force, write)
		return func() {
			switch {
			case err == nil:
				v.host.Say("saved to " + path)
			case errors.Is(err, save.ErrExists) && !force:
				v.host.Confirm(path+" exists. Overwrite it?", func() { v.save(path, true, write) })
			case errors.Is(err, fs.ErrNotExist):
				v.host.Fail(fmt.Errorf("%w: the directory must exist", err))
			default:
				v.host.Fail(err)
			}
		}
	})
}

// Saving implements term.View: a comparison has files of its own.
func (v *View) Saving() term.Selection { return term.Selection{} }

// copyRow copies what differs in the row under the cursor.
func (v *View) copyRow() {
	if v.result == nil || v.pic == nil || v.cursor >= len(v.list) {
		v.host.Say("there is nothing to copy")
		return
	}
	i := int(v.list[v.cursor])
	r := &v.result.Rows[i]
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", v.pic.hop(i, v.to()), word(r.Verdict))
	for k := range r.Differences {
		fmt.Fprintf(&b, "%s %s\n", sign(r.Differences[k].Verdict, v.pic.ascii), text.Clean(told(&r.Differences[k])))
	}
	v.host.Copy(b.String(), "row")
}

// maxCopy bounds what goes to the clipboard: terminals refuse much more.
const maxCopy = 1<<20 - 64

// errFull ends a drawing that is longer than the clipboard takes.
var errFull = errors.New("the clipboard is full")

// limited keeps what is written up to a limit.
type limited struct {
	strings.Builder
	left int
}

// Write fails with errFull at the limit, at the end of a line.
func (l *limited) Write(p []byte) (int, error) {
	if len(p) <= l.left {
		l.left -= len(p)
		return l.Builder.Write(p)
	}
	end := strings.LastIndexByte(string(p[:l.left]), '\n') + 1
	l.Builder.Write(p[:end])
	l.left = 0
	return end, errFull
}

// copyAll copies the comparison as text, as wide as it needs.
func (v *View) copyAll() {
	if v.result == nil || v.pic == nil {
		v.host.Say("there is no comparison yet")
		return
	}
	r, ascii := v.shown(), v.pic.ascii
	v.host.Go(func(context.Context) func() {
		out := limited{left: maxCopy}
		err := r.WriteText(&out, pair.TextOptions{ASCII: ascii})
		return func() {
			if err != nil {
				v.host.Copy(out.String()+"... the rest was not copied\n", "beginning of the comparison")
				return
			}
			v.host.Copy(out.String(), "comparison")
		}
	})
}
